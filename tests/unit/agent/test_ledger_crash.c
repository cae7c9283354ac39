/* tests/unit/agent/test_ledger_crash.c -- the ledger when the disk, the process or the company it
 * keeps fails: full, read-only, failing disks; kill -9; other processes; locks.
 *
 * A child that is meant to die is killed by a failpoint (base/failpoint.h), so these need a build
 * with CORDON_FAILPOINTS; without it they are skipped.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "tests/unit/agent/ledger_help.h"

/* --- a disk that fails --------------------------------------------------------------- */

static int sync_errno; /* what fsync gives, or 0 */

int fsync(int fd)
{
    errno = sync_errno;
    return sync_errno != 0 ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    errno = sync_errno;
    return sync_errno != 0 ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* SQLite sleeps while another process holds the file; it counts the naps, not the clock. */
static bool hurry;

int usleep(useconds_t us)
{
    const struct timespec t = {.tv_sec = (time_t)us / 1000000,
                               .tv_nsec = (long)us % 1000000 * 1000};

    return hurry ? 0 : (int)syscall(SYS_nanosleep, &t, NULL);
}

int nanosleep(const struct timespec *t, struct timespec *rest)
{
    return hurry ? 0 : (int)syscall(SYS_nanosleep, t, rest);
}

static ssize_t no_room(int fd, const void *p, size_t n, off_t at_byte)
{
    (void)fd;
    (void)p;
    (void)n;
    (void)at_byte;
    errno = ENOSPC;
    return -1;
}

/* SQLite's own hook for its tests: another function in place of a system call; NULL: the real one.
 */
static void replace_writes(sqlite3_syscall_ptr f)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    (void)vfs->xSetSystemCall(vfs, "pwrite", f);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", f);
}

/* Add a and b, fail, mend, add c: the first two are told the error, the third gets through. */
static void fail_then_mend(void (*fail_disk)(void), void (*mend_disk)(void), const char *words)
{
    struct loop *loop;
    struct ledger *l;

    must(loop_new(&loop, &e));
    must(ledger_open(dir, loop, false, &l, &e));
    must(ledger_add(l, CASE_A, "case", "{}", tell, LETTER('z'), &e));
    must(loop_run(loop, &e));

    must(ledger_add(l, CASE_A, "intent", "{\"a\":1}", tell, LETTER('a'), &e));
    must(ledger_add(l, CASE_A, "intent", "{\"b\":1}", tell, LETTER('b'), &e));
    fail_disk();
    must(loop_run(loop, &e));
    mend_disk();
    assert_string_equal(told, "zAB");
    assert_int_equal(told_err.code, ERR_IO);
    assert_non_null(strstr(told_err.msg, words));
    assert_non_null(strstr(told_err.msg, dir));

    must(ledger_add(l, CASE_A, "intent", "{\"c\":1}", tell, LETTER('c'), &e));
    must(loop_run(loop, &e));
    assert_string_equal(told, "zABc");
    shut(l);
    loop_free(loop);
    assert_int_equal(verified(), 2);
}

static void fill_disk(void)
{
    replace_writes((sqlite3_syscall_ptr)no_room);
}

static void make_room(void)
{
    replace_writes(NULL);
}

static void break_sync(void)
{
    sync_errno = EIO;
}

static void mend_sync(void)
{
    sync_errno = 0;
}

static void test_full_disk(void **state) /* D2 */
{
    (void)state;
    fail_then_mend(fill_disk, make_room, "make room");
}

static void test_failing_disk(void **state) /* D2 */
{
    (void)state;
    fail_then_mend(break_sync, mend_sync,
                   "the disk failed: look at the kernel log, then try again (Input");
}

static sqlite3 *holder;

static void hold(void)
{
    assert_int_equal(sqlite3_open_v2(at("ledger.db"), &holder, SQLITE_OPEN_READWRITE, NULL), 0);
    assert_int_equal(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    hurry = true;
}

static void let_go(void)
{
    hurry = false;
    assert_int_equal(sqlite3_close(holder), SQLITE_OK);
}

static void test_another_holds_it_too_long(void **state)
{
    (void)state;
    fail_then_mend(hold, let_go, "another process");
}

static void move_away(void)
{
    assert_int_equal(rename(at("ledger.db"), at("elsewhere")), 0);
}

static void move_back(void)
{
    assert_int_equal(rename(at("elsewhere"), at("ledger.db")), 0);
}

static void test_moved_away(void **state)
{
    (void)state;
    fail_then_mend(move_away, move_back, "moved or deleted");
}

/* A child with mounts of its own; true in the child. Skips where we may not. */
static bool in_child(void)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0)
        return true;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

/* In a child an assertion must not run the parent's next test. */
#define CHILD_CHECK(x)                                                     \
    do {                                                                   \
        if (!(x)) {                                                        \
            print_error("%s:%d: %s: %s\n", __FILE__, __LINE__, #x, e.msg); \
            _exit(1);                                                      \
        }                                                                  \
    } while (0)

static void mount_small(void)
{
    CHILD_CHECK(mkdir(dir, 0700) == 0);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", dir, "tmpfs", 0, "size=256k,mode=0700") < 0)
        _exit(77);
}

static void test_small_disk(void **state) /* D2: a real one */
{
    char body[1024];
    struct ledger *l;
    int64_t count, n = 0;
    char head[65];
    int fd;

    (void)state;
    if (!in_child())
        return;
    mount_small();
    memset(body, 'x', sizeof(body));
    memcpy(body, "{\"a\":\"", 6);
    memcpy(body + sizeof(body) - 3, "\"}", 3);
    CHILD_CHECK(ledger_open(dir, NULL, false, &l, &e) == 0);
    CHILD_CHECK((fd = open(at("other"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) >= 0);
    CHILD_CHECK(ftruncate(fd, 0) == 0 && posix_fallocate(fd, 0, 64 * 1024) == 0);
    while (n < 1000 && ledger_add(l, CASE_A, "note", body, tell, LETTER('a'), &e) == 0 &&
           ledger_commit(l, &e) == 0)
        n++;
    CHILD_CHECK(n > 5 && n < 1000);
    CHILD_CHECK(e.code == ERR_IO && strstr(e.msg, "make room") != NULL);
    CHILD_CHECK(told[n] == 'A' && told[n + 1] == '\0');
    /* Room again: it goes on, and what it said holds. */
    CHILD_CHECK(unlink(at("other")) == 0 && close(fd) == 0);
    CHILD_CHECK(ledger_add(l, CASE_A, "note", body, tell, LETTER('b'), &e) == 0);
    CHILD_CHECK(ledger_commit(l, &e) == 0);
    CHILD_CHECK(ledger_verify(l, &count, head, &e) == 0);
    CHILD_CHECK(count == n + 1);
    CHILD_CHECK(ledger_close(l, &e) == 0);
    _exit(0);
}

static void test_read_only_disk(void **state) /* D2 */
{
    struct ledger *l;

    (void)state;
    if (!in_child())
        return;
    mount_small();
    CHILD_CHECK(mount("none", dir, NULL, MS_REMOUNT | MS_RDONLY, "size=256k,mode=0700") == 0);
    CHILD_CHECK(ledger_open(dir, NULL, false, &l, &e) < 0);
    CHILD_CHECK(e.code == ERR_IO && strstr(e.msg, "Read-only") != NULL);

    CHILD_CHECK(mount("none", dir, NULL, MS_REMOUNT, "size=256k,mode=0700") == 0);
    CHILD_CHECK(ledger_open(dir, NULL, false, &l, &e) == 0);
    CHILD_CHECK(ledger_close(l, &e) == 0);
    CHILD_CHECK(mount("none", dir, NULL, MS_REMOUNT | MS_RDONLY, "size=256k,mode=0700") == 0);
    CHILD_CHECK(ledger_open(dir, NULL, false, &l, &e) < 0);
    CHILD_CHECK(e.code == ERR_IO && strstr(e.msg, "Read-only") != NULL);
    CHILD_CHECK(ledger_open(dir, NULL, true, &l, &e) < 0);
    CHILD_CHECK(e.code == ERR_IO && strstr(e.msg, "written") != NULL);
    _exit(0);
}

static void test_no_right_to_the_folder(void **state)
{
    struct ledger *l;

    (void)state;
    if (!in_child())
        return;
    if (geteuid() != 0)
        _exit(77);
    CHILD_CHECK(chmod(folder, 0755) == 0 && setresuid(65534, 65534, 65534) == 0);
    CHILD_CHECK(ledger_open(dir, NULL, false, &l, &e) < 0);
    CHILD_CHECK(e.code == ERR_DENIED && strstr(e.msg, "state") != NULL);
    _exit(0);
}

/* --- kill -9 ------------------------------------------------------------------------- */

#ifdef CORDON_FAILPOINTS

/* A child opens the ledger, adds two records, and is killed where `spec` says. */
static void killed(const char *spec)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct loop *loop;
        struct ledger *l;

        failpoint_set(spec);
        CHILD_CHECK(loop_new(&loop, &e) == 0);
        CHILD_CHECK(ledger_open(dir, loop, false, &l, &e) == 0);
        CHILD_CHECK(ledger_add(l, CASE_A, "case", "{}", NULL, NULL, &e) == 0);
        CHILD_CHECK(ledger_add(l, CASE_A, "intent", "{}", NULL, NULL, &e) == 0);
        (void)loop_run(loop, &e);
        _exit(1); /* it should not come here */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void test_killed_around_the_commit(void **state) /* D2 */
{
    struct ledger *l;
    char head[65];
    int64_t count;

    (void)state;
    killed("commit-before:1:kill");
    l = open_reader();
    must(ledger_head(l, &count, head, &e));
    assert_int_equal(count, 0);
    shut(l);
    killed("commit:1:kill");
    assert_int_equal(verified(), 2);
    killed("commit-before:1:kill");
    assert_int_equal(verified(), 2);
    for (int i = 0; i < 5; i++)
        killed("commit:1:kill");
    l = open_plain();
    put(l, CASE_A, "verdict", "{}");
    shut(l);
    assert_int_equal(verified(), 13);
}

static void test_failpoints(void **state)
{
    struct ledger *l = open_plain();

    (void)state;
    failpoint_set("commit-before:2:fail,commit:2:fail");
    for (int i = 0; i < 4; i++) {
        must(ledger_add(l, CASE_A, "note", "{}", tell, LETTER('a'), &e));
        (void)ledger_commit(l, &e);
    }
    /* The second was not written. The third was, and the answer got lost. */
    assert_string_equal(told, "aAAa");
    failpoint_set(NULL);
    assert_false(failpoint_hit("commit"));
    shut(l);
    assert_int_equal(verified(), 3);
}

static void test_misspelt_failpoints_end_the_program(void **state)
{
    static const char *const bad[] = {"commit",        "commit:1", "commit:0:kill", "commit:x:kill",
                                      "commit:1:stop", ":1:kill",  "commit:1:kill,"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0) {
            (void)signal(SIGABRT, SIG_DFL);
            failpoint_set(bad[i]);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
}

#endif

static void test_a_check_follows_an_unclean_end(void **state)
{
    char body[1024];
    struct ledger *l;
    struct stat st;
    pid_t pid;
    int status, fd;

    (void)state;
    /* A file that is too large to be looked at each time, and a process that dies with it open. */
    memset(body, 'x', sizeof(body));
    memcpy(body, "{\"a\":\"", 6);
    memcpy(body + sizeof(body) - 3, "\"}", 3);
    l = open_plain();
    for (int i = 0; i < 1500; i++)
        put(l, CASE_A, "note", body);
    shut(l);
    assert_int_equal(stat(at("ledger.db"), &st), 0);
    assert_true(st.st_size > 1024 * 1024);

    /* Damage in the middle: unseen when all is clean ... */
    fd = open(at("ledger.db"), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "rubbish rubbish ", 16, 200 * 4096), 16);
    assert_int_equal(close(fd), 0);
    shut(open_plain());

    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        CHILD_CHECK(ledger_open(dir, NULL, false, &l, &e) == 0);
        CHILD_CHECK(ledger_add(l, CASE_A, "note", "{}", NULL, NULL, &e) == 0);
        CHILD_CHECK(ledger_commit(l, &e) == 0);
        (void)raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    /* ... and found when the last one did not close. */
    fails(ledger_open(dir, NULL, false, &l, &e), ERR_IO, "damaged");
}

/* --- several processes --------------------------------------------------------------- */

enum { WRITERS = 4, TURNS = 50 };

static unsigned turns_left;

static void next_turn(void *arg, const struct err *err)
{
    struct ledger *l = arg;

    CHILD_CHECK(err == NULL);
    if (turns_left-- == 0)
        return;
    CHILD_CHECK(ledger_add(l, CASE_A, "note", "{}", NULL, NULL, &e) == 0);
    CHILD_CHECK(ledger_add(l, CASE_A, "note", "{}", next_turn, l, &e) == 0);
}

static void test_several_writers(void **state)
{
    pid_t pids[WRITERS];
    struct ledger *l;
    int status;

    (void)state;
    /* All at once, and the ledger is new: they also race for making it. */
    for (int i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            struct loop *loop;

            turns_left = TURNS;
            CHILD_CHECK(loop_new(&loop, &e) == 0);
            CHILD_CHECK(ledger_open(dir, loop, false, &l, &e) == 0);
            next_turn(l, NULL);
            CHILD_CHECK(loop_run(loop, &e) == 0);
            CHILD_CHECK(ledger_close(l, &e) == 0);
            _exit(0);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_int_equal(verified(), 2 * WRITERS * TURNS);
}

/* Readers come while others make the ledger: they see it whole, or not there. */
static void test_opening_while_it_is_made(void **state)
{
    enum { WRITING = 3, ALL = 6, ROUNDS = 10, TRIES = 20 };
    pid_t pids[ALL];
    struct ledger *l;
    int status;

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < ALL; i++) {
            bool readonly = i < ALL - WRITING; /* first, so that they are there in time */

            pids[i] = fork();
            assert_true(pids[i] >= 0);
            if (pids[i] != 0)
                continue;
            for (int n = 0; n < (readonly ? TRIES : 1); n++) {
                int rc = ledger_open(dir, NULL, readonly, &l, &e);

                CHILD_CHECK(rc == 0 || (readonly && e.code == ERR_NOTFOUND));
                CHILD_CHECK(rc < 0 || ledger_close(l, &e) == 0);
            }
            _exit(0);
        }
        for (int i = 0; i < ALL; i++) {
            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
            assert_true(WIFEXITED(status));
            assert_int_equal(WEXITSTATUS(status), 0);
        }
        assert_int_equal(verified(), 0);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

/* --- locks --------------------------------------------------------------------------- */

static bool lock(struct ledger *l, const char *id)
{
    bool got = false;

    must(ledger_lock_case(l, id, &got, &e));
    return got;
}

static void test_locks(void **state)
{
    struct ledger *a = open_plain(), *b = open_plain(), *child;
    int ready[2], status;
    char byte;
    bool got;
    pid_t pid;

    (void)state;
    assert_true(lock(a, CASE_A));
    assert_true(lock(a, CASE_A)); /* its own */
    assert_false(lock(b, CASE_A));
    assert_true(lock(b, CASE_B));
    assert_false(lock(a, CASE_B));
    ledger_unlock_case(b, CASE_A); /* not its own: nothing */
    assert_false(lock(b, CASE_A));
    ledger_unlock_case(a, CASE_A);
    assert_true(lock(b, CASE_A));
    shut(b);
    assert_true(lock(a, CASE_A)); /* gone with its holder */
    assert_true(lock(a, CASE_B));
    fails(ledger_lock_case(a, "x", &got, &e), ERR_INVALID, "ULID");

    /* However the holder goes. */
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        CHILD_CHECK(ledger_open(dir, NULL, false, &child, &e) == 0);
        CHILD_CHECK(ledger_lock_case(child, CASE_C, &got, &e) == 0 && got);
        CHILD_CHECK(write(ready[1], "x", 1) == 1);
        (void)pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_false(lock(a, CASE_C));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(lock(a, CASE_C));
    (void)close(ready[0]);
    (void)close(ready[1]);
    shut(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_holds_it_too_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_moved_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_small_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_only_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_right_to_the_folder, set_up, tear_down),
#ifdef CORDON_FAILPOINTS
        cmocka_unit_test_setup_teardown(test_killed_around_the_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failpoints, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_misspelt_failpoints_end_the_program, set_up,
                                        tear_down),
#endif
        cmocka_unit_test_setup_teardown(test_a_check_follows_an_unclean_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_several_writers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_opening_while_it_is_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_locks, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
