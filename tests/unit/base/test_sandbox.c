/* What a process that has entered the sandbox can still do, and which files it cannot get at. Where
 * the kernel has no Landlock, what it would do is skipped, and said to be. */
#include "tests/unit/base/sandbox_help.h"

#include <gssapi/gssapi.h>
#include <iconv.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/un.h>

#include "base/loop.h"

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

/* Landlock would not reach another thread: so it is not entered, and not said to be. */
static int pipe_fd[2];

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
        CHECK(got.calls); /* the filter does */
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(pipe_fd[0]);
    (void)close(pipe_fd[1]);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on),    cmocka_unit_test(files_outside),
        cmocka_unit_test(by_links),   cmocka_unit_test(not_with_threads),
        cmocka_unit_test(covers),     cmocka_unit_test(beside_links),
        cmocka_unit_test(everybodys), cmocka_unit_test(words),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
