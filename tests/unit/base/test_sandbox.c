/* What a process that has entered the sandbox can still do, and what it cannot: each in a child of
 * its own. Where the kernel has no Landlock, what it would do is skipped, and said to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gssapi/gssapi.h>
#include <iconv.h>
#include <linux/landlock.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <seccomp.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "base/sandbox.h"
#include "base/sandbox_inside.h"
#include "base/text.h"

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

static const char *at(const char *name)
{
    static char paths[4][256];
    static unsigned n;
    char *p = paths[n++ % 4];

    (void)snprintf(p, sizeof(paths[0]), "%s/%s", folder, name);
    return p;
}

static void put(const char *path, const char *s)
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

static void enter(enum how how)
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

static int child(enum how how, void (*what)(void))
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

static void fine(enum how how, void (*what)(void))
{
    int status = child(how, what);

    if (status != 0)
        fail_msg("%s %d", WIFSIGNALED(status) ? "died of signal" : "exit", WTERMSIG(status));
}

static void need_landlock(void)
{
    if (abi >= 2)
        return;
    print_message("skipped: this kernel has no Landlock, or a too old one\n");
    skip();
}

/* --- what goes on ----------------------------------------------------------------------------- */

static void *in_thread(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}

static void threads(void)
{
    pthread_t t;
    int ran = 0;

    CHECK(pthread_create(&t, NULL, in_thread, &ran) == 0);
    CHECK(pthread_join(t, NULL) == 0 && ran == 1);
}

static void on_pool(void *arg)
{
    *(bool *)arg = true;
}

static void on_back(void *arg, bool canceled)
{
    CHECK(*(bool *)arg && !canceled);
}

static void the_loop(void)
{
    struct loop *l = NULL;
    struct err e;
    bool ran = false;

    CHECK(loop_new(&l, &e) == 0);
    CHECK(loop_job_start(l, on_pool, on_back, &ran, &e) == 0);
    CHECK(loop_run(l, &e) == 0);
    CHECK(ran);
    loop_free(l);
}

static void files(void)
{
    char buf[8];
    int fd = open(at("read/file"), O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0 && read(fd, buf, sizeof(buf)) == 5);
    fd = open(at("write/new"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0 && ftruncate(fd, 0) == 0);
    CHECK(mkdir(at("write/d"), 0700) == 0);
    CHECK(rename(at("write/new"), at("also/new")) == 0); /* what ABI 1 could not */
    CHECK(unlink(at("also/new")) == 0 && rmdir(at("write/d")) == 0);
}

static void database(void)
{
    sqlite3 *db = NULL;

    CHECK(sqlite3_open(at("write/db"), &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db,
                       "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
                       "CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (1); "
                       "PRAGMA wal_checkpoint(TRUNCATE);",
                       NULL, NULL, NULL) == SQLITE_OK);
    CHECK(sqlite3_close(db) == SQLITE_OK);
}

static void network(void)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_ADDRCONFIG},
                    *found = NULL;
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    CHECK(getaddrinfo("localhost", "ldap", &hints, &found) == 0);
    freeaddrinfo(found);
}

static void unix_socket(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", at("write/sock"));
    CHECK(fd >= 0 && fchmod(fd, 0600) == 0);
    CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 1) == 0);
    CHECK(unlink(a.sun_path) == 0);
}

/* Libraries that are loaded only now: Kerberos's mechanism, a conversion, users' names. */
static void libraries(void)
{
    gss_OID_set mechs = GSS_C_NO_OID_SET;
    gss_name_t name = GSS_C_NO_NAME;
    gss_buffer_desc text = {.length = 14, .value = (char[]){"ldap@localhost"}};
    OM_uint32 minor;
    iconv_t c = iconv_open("UTF-8", "IBM037");

    CHECK(c != (iconv_t)-1 && iconv_close(c) == 0);
    CHECK(getpwuid(0) != NULL);
    CHECK(gss_indicate_mechs(&minor, &mechs) == GSS_S_COMPLETE && mechs->count > 0);
    CHECK(gss_import_name(&minor, &text, GSS_C_NT_HOSTBASED_SERVICE, &name) == GSS_S_COMPLETE);
    (void)gss_release_name(&minor, &name);
    (void)gss_release_oid_set(&minor, &mechs);
}

static void to_myself(void)
{
    (void)signal(SIGUSR1, SIG_IGN);
    CHECK(raise(SIGUSR1) == 0 && kill(getpid(), SIGUSR1) == 0);
}

static void goes_on(void **state)
{
    static void (*const all[])(void) = {threads, the_loop,    files,     database,
                                        network, unix_socket, libraries, to_myself};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        fine(WHOLE, all[i]);
        fine(CALLS, all[i]);
    }
}

/* --- files ------------------------------------------------------------------------------------ */

static void outside(void)
{
    CHECK_ERRNO(open(at("outside/file"), O_RDONLY | O_CLOEXEC), EACCES);
    CHECK_ERRNO(open(at("outside"), O_RDONLY | O_DIRECTORY | O_CLOEXEC), EACCES);
    CHECK_ERRNO(open(at("outside/file"), O_WRONLY | O_CLOEXEC), EACCES);
    CHECK_ERRNO(open(at("outside/new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), EACCES);
    CHECK_ERRNO(open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600), EACCES);
    CHECK_ERRNO(mkdir(at("outside/d"), 0700), EACCES);
    CHECK_ERRNO(unlink(at("outside/file")), EACCES);
    CHECK(rename(at("write/kept"), at("outside/kept")) < 0 && (errno == EXDEV || errno == EACCES));
    CHECK(rename(at("outside/file"), at("write/stolen")) < 0 &&
          (errno == EXDEV || errno == EACCES));
    CHECK(link(at("outside/file"), at("write/stolen")) < 0 && (errno == EXDEV || errno == EACCES));
}

static void read_only(void)
{
    CHECK_ERRNO(open(at("read/file"), O_WRONLY | O_CLOEXEC), EACCES);
    CHECK_ERRNO(open(at("read/new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), EACCES);
    CHECK_ERRNO(unlink(at("read/file")), EACCES);
    CHECK_ERRNO(open("/etc/shadow", O_WRONLY | O_CLOEXEC), EACCES);
    CHECK_ERRNO(open("/etc/cordon-was-here", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), EACCES);
}

static void no_listening(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EACCES);
}

/* ABI 6. A signal is stopped by the filter, too, where no sanitizer needs it. */
static void no_others(void)
{
    static const char name[] = "\0cordon-sandbox-test";
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(a.sun_path, name, sizeof(name));
    CHECK(fd >= 0);
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&a,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name))),
                EPERM);
    CHECK(kill(getppid(), 0) < 0 && (errno == EPERM || errno == ENOSYS));
}

static void files_outside(void **state)
{
    (void)state;
    need_landlock();
    fine(WHOLE, outside);
    fine(WHOLE, read_only);
    if (abi >= 4)
        fine(WHOLE, no_listening);
    if (abi >= 6) {
        static const char name[] = "\0cordon-sandbox-test";
        CLEANUP(cleanup_fdp) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        memcpy(a.sun_path, name, sizeof(name));
        assert_int_equal(bind(fd, (struct sockaddr *)&a,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name))),
                         0);
        fine(WHOLE, no_others);
    }
}

/* A link inside that leads out. */
static void by_a_link(void)
{
    CHECK_ERRNO(open(at("read/out"), O_RDONLY | O_CLOEXEC), EACCES);
}

static void by_links(void **state)
{
    (void)state;
    need_landlock();
    fine(WHOLE, by_a_link);
}

/* --- system calls ----------------------------------------------------------------------------- */

static void call_execve(void)
{
    (void)syscall(SYS_execve, "/bin/true", NULL, NULL);
}

static void call_execveat(void)
{
    (void)syscall(SYS_execveat, AT_FDCWD, "/bin/true", NULL, NULL, 0);
}

static void call_ptrace(void)
{
    (void)syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
}

static void call_mount(void)
{
    (void)syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL);
}

static void call_bpf(void)
{
    (void)syscall(SYS_bpf, 0, NULL, 0);
}

static void call_unshare(void)
{
    (void)syscall(SYS_unshare, 0);
}

static void call_userfaultfd(void)
{
    (void)syscall(SYS_userfaultfd, 0);
}

static void call_vm(void)
{
    (void)syscall(SYS_process_vm_writev, getppid(), NULL, 0, NULL, 0, 0);
}

static void call_perf(void)
{
    (void)syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
}

static void call_module(void)
{
    (void)syscall(SYS_finit_module, -1, "", 0);
}

static void dies(void **state)
{
    static void (*const all[])(void) = {call_execve, call_execveat, call_ptrace, call_mount,
                                        call_bpf,    call_unshare,  call_vm,     call_userfaultfd,
                                        call_perf,   call_module};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        int status = child(CALLS, all[i]);

        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("#%zu: status %d", i, status);
    }
    /* In a program with a sanitizer, too, but for what that needs itself. */
    assert_int_equal(WTERMSIG(child(WHOLE, call_execve)), SIGSYS);
    assert_int_equal(WTERMSIG(child(WHOLE, call_mount)), SIGSYS);
}

static void denied(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    CHECK_ERRNO(mprotect(p, 4096, PROT_READ | PROT_EXEC), EPERM);
    CHECK_ERRNO(mprotect(p, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), EPERM);
    CHECK(mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
              MAP_FAILED &&
          errno == EPERM);
    CHECK_ERRNO(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), EPERM); /* a process, not a thread */
    CHECK_ERRNO(syscall(SYS_keyctl, 0, -3), EPERM);
    CHECK_ERRNO(syscall(SYS_io_uring_setup, 8, NULL), EPERM);
    CHECK_ERRNO(setuid(getuid()), EPERM);
    CHECK_ERRNO(syscall(SYS_clone3, NULL, 0), ENOSYS);
    CHECK_ERRNO(socket(AF_PACKET, SOCK_RAW, 0), ENOSYS);
    CHECK_ERRNO(socket(AF_NETLINK, SOCK_RAW, 9 /* audit */), ENOSYS);
    CHECK_ERRNO(kill(getppid(), 0), ENOSYS);
    CHECK_ERRNO(symlink("/", at("write/link")), ENOSYS);
    CHECK_ERRNO(mknod(at("write/pipe"), S_IFIFO | 0600, 0), ENOSYS);
    CHECK_ERRNO(ioctl(0, TIOCSTI, "x"), ENOSYS);
    CHECK_ERRNO(syscall(9999), ENOSYS);
}

static void is_denied(void **state)
{
    (void)state;
    fine(CALLS, denied);
}

/* The filter reaches threads that were there before. */
static int pipe_fd[2];

static void *exec_when_told(void *arg)
{
    char c;

    (void)arg;
    (void)!read(pipe_fd[0], &c, 1);
    call_execve();
    _exit(0);
}

static void older_threads(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(pipe_fd), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        pthread_t t;

        CHECK(pthread_create(&t, NULL, exec_when_told, NULL) == 0);
        enter(CALLS);
        CHECK(write(pipe_fd[1], "", 1) == 1);
        (void)pthread_join(t, NULL);
        _exit(2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
    (void)close(pipe_fd[0]);
    (void)close(pipe_fd[1]);
}

/* Landlock does not: so it is not entered, and not said to be. */
static void *waits(void *arg)
{
    char c;

    (void)arg;
    (void)!read(pipe_fd[0], &c, 1);
    return NULL;
}

static void not_with_threads(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    need_landlock();
    assert_int_equal(pipe(pipe_fd), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sandbox *s = NULL;
        struct sandbox_state got;
        struct err e;
        pthread_t t;

        CHECK(pthread_create(&t, NULL, waits, NULL) == 0);
        CHECK(sandbox_new(&s, &e) == 0);
        CHECK(sandbox_enter(s, 0, &got, &e) < 0 && e.code == ERR_INTERNAL);
        CHECK(got.landlock == 0 && strstr(got.why, "threads") != NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(pipe_fd[0]);
    (void)close(pipe_fd[1]);
}

/* --- privileges ------------------------------------------------------------------------------- */

static void no_privileges(void)
{
    static const char *const lines[] = {"NoNewPrivs:\t1\n",
                                        "Seccomp:\t2\n",
                                        "CapInh:\t0000000000000000\n",
                                        "CapPrm:\t0000000000000000\n",
                                        "CapEff:\t0000000000000000\n",
                                        "CapAmb:\t0000000000000000\n"};
    char buf[8192];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, buf, sizeof(buf) - 1) : -1;

    CHECK(n > 0);
    buf[n] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        CHECK(strstr(buf, lines[i]) != NULL);
}

static void privileges(void **state)
{
    (void)state;
    fine(WHOLE, no_privileges);
}

/* As under the unit's own filter (SystemCallFilter=~@privileged): no capset, and none needed. */
static void without_capset(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);

        CHECK(getuid() != 0 || setresuid(65534, 65534, 65534) == 0);
        CHECK(f != NULL && seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(capset), 0) == 0 &&
              seccomp_load(f) == 0);
        enter(WHOLE);
        no_privileges();
        call_execve();
        _exit(2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* --- without a child -------------------------------------------------------------------------- */

static void covers(void **state)
{
    struct sandbox *s = NULL;
    struct err e;

    (void)state;
    assert_int_equal(sandbox_new(&s, &e), 0);
    assert_false(sandbox_covers(s, at("read/file"), SANDBOX_READ));
    assert_int_equal(sandbox_grant_beside(s, at("read/file"), SANDBOX_READ, &e), 0);
    assert_int_equal(sandbox_grant(s, at("write"), SANDBOX_WRITE, &e), 0);
    assert_true(sandbox_covers(s, at("read/file"), SANDBOX_READ));
    assert_true(sandbox_covers(s, at("read/not/there/yet"), SANDBOX_READ));
    assert_true(sandbox_covers(s, at("write/../read/file"), SANDBOX_READ));
    assert_false(sandbox_covers(s, at("read/file"), SANDBOX_WRITE));
    assert_false(sandbox_covers(s, at("read/out"), SANDBOX_READ)); /* a link that leads out */
    assert_false(sandbox_covers(s, at("readable"), SANDBOX_READ)); /* not by its beginning */
    assert_false(sandbox_covers(s, at(""), SANDBOX_READ));
    assert_false(sandbox_covers(s, at("outside/file"), SANDBOX_READ));
    assert_true(sandbox_covers(s, at("write/x"), SANDBOX_WRITE));
    assert_true(sandbox_covers(s, at("write/x"), SANDBOX_READ));
    assert_false(sandbox_covers(s, "/", SANDBOX_READ));
    sandbox_free(s);
}

/* A key that is a link: both the folder of the link and that of the file, so that either can be
 * exchanged. */
static void beside_links(void **state)
{
    struct sandbox *s = NULL;
    struct err e;

    (void)state;
    assert_int_equal(sandbox_new(&s, &e), 0);
    assert_int_equal(sandbox_grant_beside(s, at("read/out"), SANDBOX_READ, &e), 0);
    assert_true(sandbox_covers(s, at("read/out"), SANDBOX_READ));
    assert_true(sandbox_covers(s, at("read/file"), SANDBOX_READ));
    assert_true(sandbox_covers(s, at("outside/other"), SANDBOX_READ));
    sandbox_free(s);
}

/* A file in a folder that is everybody's: it alone, and not what takes its place. */
static void everybodys(void **state)
{
    char path[] = "/tmp/cordon-sandbox-file-XXXXXX", other[] = "/tmp/cordon-sandbox-file-XXXXXX";
    int fd = mkstemp(path), fd2 = mkstemp(other);
    struct sandbox *s = NULL;
    struct err e;

    (void)state;
    assert_true(fd >= 0 && fd2 >= 0);
    assert_int_equal(sandbox_new(&s, &e), 0);
    assert_int_equal(sandbox_grant_beside(s, path, SANDBOX_READ, &e), 0);
    assert_true(sandbox_covers(s, path, SANDBOX_READ));
    assert_false(sandbox_covers(s, other, SANDBOX_READ));
    assert_int_equal(rename(other, path), 0);
    assert_false(sandbox_covers(s, path, SANDBOX_READ));
    assert_int_equal(unlink(path), 0);
    (void)close(fd);
    (void)close(fd2);
    sandbox_free(s);
}

static void words(void **state)
{
    const struct {
        struct sandbox_state s;
        const char *words;
    } rows[] = {
        {{.landlock = 7, .calls = true}, "files by Landlock (ABI 7), system calls filtered"},
        {{.calls = true, .why = "no Landlock: this kernel has none"},
         "system calls filtered; no Landlock: this kernel has none"},
        {{.calls = true, .leaves = "what x needs"}, "system calls filtered but for what x needs"},
        {{.landlock = 3, .why = "system calls are not filtered: y"},
         "files by Landlock (ABI 3); system calls are not filtered: y"},
        {{.why = "nothing"}, "nothing"},
    };
    char buf[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(sandbox_words(&rows[i].s, buf, sizeof(buf)), rows[i].words);
}

/* Both kinds of machine that cordon is built for, whichever this is: as libseccomp writes it. */
static void machines(void **state)
{
    static const struct {
        uint32_t arch;
        const char *name, *has;
    } rows[] = {{SCMP_ARCH_X86_64, "arch x86_64", "\"open\""},
                {SCMP_ARCH_AARCH64, "arch aarch64", "\"openat\""}};
    static char buf[512 * 1024];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(cleanup_fdp) int fd = memfd_create("filter", MFD_CLOEXEC);
        const char *exec;
        struct err e;
        ssize_t n;

        assert_true(fd >= 0);
        if (sandbox_calls_show(rows[i].arch, /* sanitized */ false, fd, &e) < 0)
            fail_msg("%s", e.msg);
        n = pread(fd, buf, sizeof(buf) - 1, 0);
        assert_true(n > 0);
        buf[n] = '\0';
        assert_non_null(strstr(buf, rows[i].name));
        assert_non_null(strstr(buf, rows[i].has));
        exec = strstr(buf, "\"execve\"");
        assert_non_null(exec);
        assert_int_equal(strncmp(strstr(exec, "action "), "action KILL_PROCESS;", 20), 0);
        assert_non_null(strstr(buf, "# default action\n  action ERRNO(38);"));
    }
}

static int set_up(void **state)
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

static int tear_down(void **state)
{
    static const char *const all[] = {"read/file",    "read/out",     "write/kept",  "write/db",
                                      "write/db-wal", "write/db-shm", "outside/file"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        (void)unlink(at(all[i]));
    return rmdir(at("read")) | rmdir(at("write")) | rmdir(at("also")) | rmdir(at("outside")) |
           rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on),
        cmocka_unit_test(files_outside),
        cmocka_unit_test(by_links),
        cmocka_unit_test(dies),
        cmocka_unit_test(is_denied),
        cmocka_unit_test(older_threads),
        cmocka_unit_test(not_with_threads),
        cmocka_unit_test(privileges),
        cmocka_unit_test(without_capset),
        cmocka_unit_test(covers),
        cmocka_unit_test(beside_links),
        cmocka_unit_test(everybodys),
        cmocka_unit_test(words),
        cmocka_unit_test(machines),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
