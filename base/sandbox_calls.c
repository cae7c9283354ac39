/* base/sandbox_calls.c -- which system calls there still are; see sandbox.h for why a list of what
 * is allowed. By libseccomp, which knows the numbers and the ways to pass arguments of each kind of
 * machine; a name that a machine does not have is passed over.
 *
 *   allow     what the program and its libraries use
 *   allow_if  the same, for some arguments only
 *   deny      tried in good faith: EPERM
 *   kill      tried by nobody but an attacker: the process ends (SIGSYS)
 *   the rest  ENOSYS
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/sandbox_inside.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* malloc names its memory by it */
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

bool sandbox_sanitized(void)
{
    return SANITIZED != 0;
}

static const char *const allow[] = {
    /* files that are open, and those that Landlock lets us open */
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2",
    "pwritev2", "open", "openat", "close", "close_range", "lseek", "_llseek", "dup", "dup2", "dup3",
    "fcntl", "fcntl64", "flock", "fsync", "fdatasync", "ftruncate", "ftruncate64", "fallocate",
    "fadvise64", "stat", "fstat", "lstat", "newfstatat", "statx", "statfs", "fstatfs", "access",
    "faccessat", "faccessat2", "readlink", "readlinkat", "getdents", "getdents64", "mkdir",
    "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat",
    "chmod", "fchmod", "fchmodat", "umask", "getcwd", "inotify_init1", "inotify_add_watch",
    "inotify_rm_watch",
    /* waiting */
    "pipe", "pipe2", "eventfd2", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
    "epoll_pwait2", "poll", "ppoll", "select", "pselect6", "signalfd4", "timerfd_create",
    "timerfd_settime", "timerfd_gettime", "nanosleep", "clock_nanosleep", "restart_syscall",
    /* memory; mmap and mprotect are below */
    "munmap", "mremap", "madvise", "brk", "msync", "mlock", "mlock2", "munlock", "mincore",
    /* threads, signals, the end; clone and kill are below */
    "set_robust_list", "get_robust_list", "rseq", "futex", "set_tid_address", "gettid",
    "membarrier", "sched_yield", "sched_getaffinity", "sched_getparam", "sched_getscheduler",
    "sched_get_priority_min", "sched_get_priority_max", "getcpu", "rt_sigaction", "rt_sigprocmask",
    "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend", "sigaltstack", "exit",
    "exit_group",
    /* who, when, how much */
    "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid",
    "getgroups", "getpgrp", "getpgid", "getsid", "capget", "clock_gettime", "clock_getres",
    "gettimeofday", "time", "times", "getrusage", "getrandom", "uname", "sysinfo",
    /* the network; socket is below */
    "connect", "bind", "listen", "accept", "accept4", "getsockname", "getpeername", "getsockopt",
    "setsockopt", "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg", "shutdown"};

/* Libraries have a way round these. clone3 is not here: its flags cannot be looked at, and the C
 * library takes clone where it does not exist. */
static const char *const deny[] = {
    "fork",   "vfork",       "keyctl",       "add_key",  "request_key",   "io_uring_setup",
    "setuid", "setgid",      "setreuid",     "setregid", "setresuid",     "setresgid",
    "setsid", "setgroups",   "setfsuid",     "setfsgid", "capset",        "io_uring_enter",
    "chroot", "personality", "settimeofday", "adjtimex", "clock_adjtime", "io_uring_register"};

static const char *const kill_for[] = {"execve",
                                       "execveat",
                                       "process_vm_writev",
                                       "pidfd_getfd",
                                       "kcmp",
                                       "mount",
                                       "umount",
                                       "umount2",
                                       "move_mount",
                                       "open_tree",
                                       "fsopen",
                                       "fsconfig",
                                       "fsmount",
                                       "fspick",
                                       "mount_setattr",
                                       "pivot_root",
                                       "unshare",
                                       "setns",
                                       "bpf",
                                       "userfaultfd",
                                       "perf_event_open",
                                       "init_module",
                                       "finit_module",
                                       "delete_module",
                                       "kexec_load",
                                       "kexec_file_load",
                                       "reboot",
                                       "swapon",
                                       "swapoff",
                                       "acct",
                                       "quotactl",
                                       "iopl",
                                       "ioperm",
                                       "modify_ldt",
                                       "clock_settime",
                                       "open_by_handle_at"};

/* LeakSanitizer's look at the end: a process beside ours stops our threads and reads their
 * registers. Without a sanitizer these end the process, or are not there. */
static const char *const sanitizer_allow[] = {
    "clone",     "clone3",     "ptrace",      "process_vm_readv",
    "wait4",     "waitid",     "kill",        "tgkill",
    "tkill",     "prctl",      "prlimit64",   "getrlimit",
    "setrlimit", "arch_prctl", "personality", "sched_setaffinity",
    "fork"};
static const char *const sanitizer_kill[] = {"ptrace", "process_vm_readv"};

struct maker {
    scmp_filter_ctx filter;
    bool sanitized;
    struct err *e;
};

static int add(struct maker *m, uint32_t what, const char *name, unsigned n,
               const struct scmp_arg_cmp *args)
{
    int nr = seccomp_syscall_resolve_name(name), rc;

    if (nr == __NR_SCMP_ERROR) /* newer than this libseccomp: on no list, so it does not exist */
        return 0;
    rc = seccomp_rule_add_array(m->filter, what, nr, n, args);
    return rc < 0 ? err_sys(m->e, ERR_INTERNAL, -rc, "the filter of system calls: %s", name) : 0;
}

static bool is_in(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i], name) == 0)
            return true;
    }
    return false;
}

/* A sanitizer's call is allowed whatever its arguments are, and is on no other list. */
static int add_list(struct maker *m, uint32_t what, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (m->sanitized && list != sanitizer_allow &&
            is_in(list[i], sanitizer_allow, ARRAY_LEN(sanitizer_allow)))
            continue;
        if (add(m, what, list[i], 0, NULL) < 0)
            return -1;
    }
    return 0;
}

#define ADD(m, what, name, ...) \
    add((m), (what), (name), 1, (const struct scmp_arg_cmp[]){__VA_ARGS__})

static int add_process(struct maker *m)
{
    const scmp_datum_t me = (scmp_datum_t)getpid();
    static const unsigned long options[] = {PR_SET_NAME,     PR_GET_NAME,     PR_SET_VMA,
                                            PR_GET_DUMPABLE, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS};

    /* Threads, not processes. */
    if (ADD(m, SCMP_ACT_ALLOW, "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) <
            0 ||
        ADD(m, SCMP_ACT_ERRNO(EPERM), "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)) < 0)
        return -1;
    /* Signals to ourselves (abort, raise). */
    if (ADD(m, SCMP_ACT_ALLOW, "kill", SCMP_A0(SCMP_CMP_EQ, me, 0)) < 0 ||
        ADD(m, SCMP_ACT_ALLOW, "tgkill", SCMP_A0(SCMP_CMP_EQ, me, 0)) < 0)
        return -1;
    /* Limits are looked at, not set. */
    if (ADD(m, SCMP_ACT_ALLOW, "prlimit64", SCMP_A2(SCMP_CMP_EQ, 0, 0)) < 0 ||
        add(m, SCMP_ACT_ALLOW, "getrlimit", 0, NULL) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (ADD(m, SCMP_ACT_ALLOW, "prctl", SCMP_A0(SCMP_CMP_EQ, options[i], 0)) < 0)
            return -1;
    }
    return 0;
}

/* Never writable and executable: libraries that are loaded later are mapped as one or the other. */
static int add_memory(struct maker *m)
{
    static const char *const maps[] = {"mmap", "mmap2"};
    static const char *const protects[] = {"mprotect", "pkey_mprotect"};
    const scmp_datum_t both = PROT_WRITE | PROT_EXEC;

    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        if (ADD(m, SCMP_ACT_ALLOW, maps[i], SCMP_A2(SCMP_CMP_MASKED_EQ, both, 0)) < 0 ||
            ADD(m, SCMP_ACT_ALLOW, maps[i], SCMP_A2(SCMP_CMP_MASKED_EQ, both, PROT_WRITE)) < 0 ||
            ADD(m, SCMP_ACT_ALLOW, maps[i], SCMP_A2(SCMP_CMP_MASKED_EQ, both, PROT_EXEC)) < 0 ||
            ADD(m, SCMP_ACT_ERRNO(EPERM), maps[i], SCMP_A2(SCMP_CMP_MASKED_EQ, both, both)) < 0)
            return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(protects); i++) {
        if (ADD(m, SCMP_ACT_ALLOW, protects[i], SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) < 0 ||
            ADD(m, SCMP_ACT_ERRNO(EPERM), protects[i],
                SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)) < 0)
            return -1;
    }
    return 0;
}

static int add_devices(struct maker *m)
{
    /* Compared by 32 bits: a caller's int arrives with the rest of the register as it was. */
    static const scmp_datum_t requests[] = {FIONBIO,  FIONREAD, FIOCLEX,
                                            FIOASYNC, TCGETS,   TIOCGWINSZ};
    static const scmp_datum_t families[] = {AF_UNIX, AF_INET, AF_INET6};

    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        if (ADD(m, SCMP_ACT_ALLOW, "ioctl", SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, requests[i])) <
            0)
            return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        if (ADD(m, SCMP_ACT_ALLOW, "socket", SCMP_A0(SCMP_CMP_EQ, families[i], 0)) < 0)
            return -1;
    }
    if (ADD(m, SCMP_ACT_ALLOW, "socketpair", SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0)) < 0)
        return -1;
    /* The C library asks which addresses this host has, to put a name's in order. */
    return add(m, SCMP_ACT_ALLOW, "socket", 2,
               (const struct scmp_arg_cmp[]){SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0),
                                             SCMP_A2(SCMP_CMP_EQ, NETLINK_ROUTE, 0)});
}

static int fill(struct maker *m)
{
    if (add_list(m, SCMP_ACT_ALLOW, allow, ARRAY_LEN(allow)) < 0 ||
        add_list(m, SCMP_ACT_ERRNO(EPERM), deny, ARRAY_LEN(deny)) < 0 ||
        add_list(m, SCMP_ACT_KILL_PROCESS, kill_for, ARRAY_LEN(kill_for)) < 0 ||
        add_list(m, SCMP_ACT_KILL_PROCESS, sanitizer_kill, ARRAY_LEN(sanitizer_kill)) < 0 ||
        add_memory(m) < 0 || add_devices(m) < 0)
        return -1;
    return m->sanitized ? add_list(m, SCMP_ACT_ALLOW, sanitizer_allow, ARRAY_LEN(sanitizer_allow))
                        : add_process(m);
}

static void releasep(scmp_filter_ctx *filter)
{
    if (*filter != NULL)
        seccomp_release(*filter);
}

int sandbox_calls_load(bool sanitized, struct err *e)
{
    CLEANUP(releasep) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    struct maker m = {.filter = filter, .sanitized = sanitized, .e = e};
    int rc;

    if (failpoint_hit("seccomp"))
        return err_set(e, ERR_UNSUPPORTED, ENOSYS, "this kernel has no filter");
    if (filter == NULL)
        return err_set(e, ERR_NOMEM, 0, "the filter of system calls");
    /* All threads; and a call by the numbers of another kind of machine ends the process. */
    if (seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) < 0 ||
        seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0 ||
        seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0)
        return err_set(e, ERR_UNSUPPORTED, 0, "this kernel's filter is too old");
    if (fill(&m) < 0)
        return -1;
    rc = seccomp_load(filter);
    return rc < 0 ? err_sys(e, rc == -EINVAL || rc == -ENOSYS ? ERR_UNSUPPORTED : ERR_IO, -rc,
                            "the filter of system calls")
                  : 0;
}

int sandbox_calls_show(uint32_t arch, bool sanitized, int fd, struct err *e)
{
    CLEANUP(releasep) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    struct maker m = {.filter = filter, .sanitized = sanitized, .e = e};
    int rc = 0;

    if (filter == NULL)
        return err_set(e, ERR_NOMEM, 0, "the filter of system calls");
    if (arch != seccomp_arch_native()) {
        rc = seccomp_arch_add(filter, arch);
        if (rc == 0)
            rc = seccomp_arch_remove(filter, SCMP_ARCH_NATIVE);
    }
    if (rc == 0 && fill(&m) < 0)
        return -1;
    if (rc == 0)
        rc = seccomp_export_pfc(filter, fd);
    return rc < 0 ? err_sys(e, ERR_INTERNAL, -rc, "the filter of system calls") : 0;
}
