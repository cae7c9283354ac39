/* Which system calls a process in the sandbox cannot make, and what becomes of it when it tries;
 * and the privileges that it has given up. */
#include "tests/unit/base/sandbox_help.h"

#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dies),           cmocka_unit_test(is_denied),
        cmocka_unit_test(older_threads),  cmocka_unit_test(privileges),
        cmocka_unit_test(without_capset), cmocka_unit_test(machines),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
