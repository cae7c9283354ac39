/* tests/unit/base/sandbox_help.h -- a process that enters the sandbox, and does something in it: in
 * a child of its own. For test_sandbox*.c. */
#ifndef CORDON_TESTS_UNIT_BASE_SANDBOX_HELP_H
#define CORDON_TESTS_UNIT_BASE_SANDBOX_HELP_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/sandbox.h"
#include "base/sandbox_inside.h"

static char folder[] = "/tmp/cordon-sandbox-XXXXXX";
static int abi;
static uint16_t port; /* somebody listens there, on loopback */

/* In a child: a failed one is told on stderr, and fails the test by the exit status. */
#define CHECK(cond)                                                                          \
    do {                                                                                     \
        if (!(cond)) {                                                                       \
            (void)dprintf(2, "%s:%d: %s (errno %d: %s)\n", __FILE__, __LINE__, #cond, errno, \
                          strerror(errno));                                                  \
            _exit(1);                                                                        \
        }                                                                                    \
    } while (0)
#define CHECK_ERRNO(call, wanted) \
    do {                          \
        errno = 0;                \
        CHECK((call) < 0);        \
        CHECK(errno == (wanted)); \
    } while (0)

static inline const char *at(const char *name)
{
    static char paths[4][256];
    static unsigned n;
    char *p = paths[n++ % 4];

    (void)snprintf(p, sizeof(paths[0]), "%s/%s", folder, name);
    return p;
}

static inline void put(const char *path, const char *s)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, s, strlen(s)), (ssize_t)strlen(s));
    assert_int_equal(close(fd), 0);
}

enum how {
    WHOLE, /* as the service does */
    CALLS, /* the filter alone, as without sanitizers */
};

static inline void enter(enum how how)
{
    static const char *const system_files[] = {"/etc", "/usr", "/lib", "/lib64", "/proc"};
    struct sandbox *s = NULL;
    struct sandbox_state state;
    struct err e = ERR_NONE;

    if (how == CALLS) {
        if (sandbox_calls_load(/* sanitized */ false, &e) < 0)
            (void)dprintf(2, "%s\n", e.msg);
        CHECK(e.code == ERR_OK);
        return;
    }
    CHECK(sandbox_new(&s, &e) == 0);
    for (size_t i = 0; i < ARRAY_LEN(system_files); i++)
        CHECK(sandbox_grant(s, system_files[i], SANDBOX_READ, &e) == 0);
    CHECK(sandbox_grant(s, at("read"), SANDBOX_READ, &e) == 0);
    CHECK(sandbox_grant(s, at("write"), SANDBOX_WRITE, &e) == 0);
    CHECK(sandbox_grant(s, at("also"), SANDBOX_WRITE, &e) == 0);
    CHECK(sandbox_grant(s, "/dev/null", SANDBOX_WRITE, &e) == 0);
    CHECK(sandbox_grant(s, "/nothing/there", SANDBOX_WRITE, &e) == 0);
    if (sandbox_enter(s, 0, &state, &e) < 0)
        (void)dprintf(2, "%s\n", e.msg);
    CHECK(e.code == ERR_OK);
    CHECK(state.calls);
    CHECK((state.landlock >= 2) == (abi >= 2));
    sandbox_free(s);
}

static inline int child(enum how how, void (*what)(void))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        enter(how);
        what();
        _exit(0); /* no sanitizer looks at the end: under the bare filter it could not */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static inline void fine(enum how how, void (*what)(void))
{
    int status = child(how, what);

    if (status != 0)
        fail_msg("%s %d", WIFSIGNALED(status) ? "died of signal" : "exit", WTERMSIG(status));
}

static inline void need_landlock(void)
{
    if (abi >= 2)
        return;
    print_message("skipped: this kernel has no Landlock, or a too old one\n");
    skip();
}

static inline int set_up(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    if (mkdtemp(folder) == NULL || mkdir(at("read"), 0700) < 0 || mkdir(at("write"), 0700) < 0 ||
        mkdir(at("also"), 0700) < 0 || mkdir(at("outside"), 0700) < 0 || fd < 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return -1;
    port = ntohs(a.sin_port);
    put(at("read/file"), "bytes");
    put(at("write/kept"), "kept");
    put(at("outside/file"), "secret");
    abi =
        (int)syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    return symlink(at("outside/file"), at("read/out"));
}

static inline int tear_down(void **state)
{
    static const char *const all[] = {"read/file",    "read/out",     "write/kept",  "write/db",
                                      "write/db-wal", "write/db-shm", "outside/file"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        (void)unlink(at(all[i]));
    return rmdir(at("read")) | rmdir(at("write")) | rmdir(at("also")) | rmdir(at("outside")) |
           rmdir(folder);
}

#endif
