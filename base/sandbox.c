/* base/sandbox.c -- see sandbox.h. Landlock by its system calls, since Debian 12 has no library for
 * it and its headers know the first two versions only; and what a process can give up besides.
 *
 * Landlock holds for the thread that asks for it and for those it starts, so there may be no other
 * yet. Rules are kept as open descriptors until they are in force, those below /proc for good: the
 * kernel forgets and makes anew what is there, but for what somebody has open.
 */
#include "base/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/sandbox_inside.h"
#include "base/text.h"

/* What later versions brought (linux/landlock.h of Linux 6.12). */
#define FS_TRUNCATE (1ULL << 14)   /* ABI 3 */
#define FS_IOCTL_DEV (1ULL << 15)  /* ABI 5 */
#define NET_BIND_TCP (1ULL << 0)   /* ABI 4 */
#define SCOPE_ABSTRACT (1ULL << 0) /* ABI 6 */
#define SCOPE_SIGNAL (1ULL << 1)

/* The kernel takes a shorter or longer one than its own, as long as what it does not know is 0. */
struct ruleset {
    uint64_t handled_fs, handled_net, scoped;
};

enum { ABI_MIN = 2 };

static const uint64_t rights_v2 = (LANDLOCK_ACCESS_FS_REFER << 1) - 1; /* all of the first two */
static const uint64_t rights_read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t rights_write = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                                     LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                                     LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE;
static const uint64_t rights_of_files =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;

struct rule {
    char *path; /* real: no links, no dots */
    int fd;     /* -1 once it is in force */
    dev_t dev;
    ino_t ino;
    bool folder;
    enum sandbox_right right;
};

struct sandbox {
    struct rule *rules;
    size_t count, cap;
};

/* --- what is granted -------------------------------------------------------------------------- */

int sandbox_new(struct sandbox **ret_sandbox, struct err *e)
{
    struct sandbox *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "sandbox");
    *ret_sandbox = s;
    return 0;
}

void sandbox_free(struct sandbox *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++) {
        free(s->rules[i].path);
        cleanup_fdp(&s->rules[i].fd);
    }
    free(s->rules);
    free(s);
}

void sandbox_freep(struct sandbox **s)
{
    sandbox_free(*s);
}

static int add_rule(struct sandbox *s, struct rule *r, struct err *e)
{
    if (s->count == s->cap) {
        size_t cap = s->cap > 0 ? 2 * s->cap : 32;
        struct rule *more = reallocarray(s->rules, cap, sizeof(*more));

        if (more == NULL)
            return err_set(e, ERR_NOMEM, 0, "sandbox");
        s->rules = more;
        s->cap = cap;
    }
    s->rules[s->count++] = *r;
    return 0;
}

int sandbox_grant(struct sandbox *s, const char *path, enum sandbox_right right, struct err *e)
{
    CLEANUP(cleanup_charp) char *real = NULL;
    CLEANUP(cleanup_fdp) int fd = open(path, O_PATH | O_CLOEXEC);
    char shown[TEXT_SHOWN];
    struct stat st;

    /* Where we cannot get at it now, there is nothing to be kept. */
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(e, ERR_IO, errno, "'%s'", text_shown(shown, path));
    real = realpath(path, NULL);
    if (real == NULL)
        return err_sys(e, errno == ENOMEM ? ERR_NOMEM : ERR_IO, errno, "'%s'",
                       text_shown(shown, path));
    struct rule r = {.path = real,
                     .fd = fd,
                     .dev = st.st_dev,
                     .ino = st.st_ino,
                     .folder = S_ISDIR(st.st_mode),
                     .right = right};

    if (add_rule(s, &r, e) < 0)
        return -1;
    real = NULL;
    fd = -1;
    return 0;
}

/* A folder that holds what is other people's: to read all of it for one file is too much. */
static bool is_everybodys(const char *folder)
{
    static const char *const list[] = {"",      "/boot", "/dev",  "/etc", "/home",   "/media",
                                       "/mnt",  "/opt",  "/proc", "/run", "/srv",    "/sys",
                                       "/root", "/tmp",  "/usr",  "/var", "/var/tmp"};

    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        if (strcmp(folder, list[i]) == 0)
            return true;
    }
    return false;
}

static int grant_folder_of(struct sandbox *s, const char *path, enum sandbox_right right,
                           struct err *e)
{
    CLEANUP(cleanup_charp) char *folder = strdup(path), *real = NULL;
    char *slash = folder != NULL ? strrchr(folder, '/') : NULL;

    if (folder == NULL)
        return err_set(e, ERR_NOMEM, 0, "sandbox");
    if (slash == NULL)
        return err_set(e, ERR_INTERNAL, 0, "sandbox: '%s' is not absolute", path);
    *slash = '\0';
    real = realpath(slash == folder ? "/" : folder, NULL);
    if (real == NULL)
        return errno == ENOMEM ? err_set(e, ERR_NOMEM, 0, "sandbox") : 0;
    if (right == SANDBOX_READ && is_everybodys(strcmp(real, "/") == 0 ? "" : real))
        return sandbox_grant(s, path, right, e);
    return sandbox_grant(s, real, right, e);
}

int sandbox_grant_beside(struct sandbox *s, const char *path, enum sandbox_right right,
                         struct err *e)
{
    CLEANUP(cleanup_charp) char *real = realpath(path, NULL);

    if (real == NULL && errno == ENOMEM)
        return err_set(e, ERR_NOMEM, 0, "sandbox");
    if (grant_folder_of(s, path, right, e) < 0)
        return -1;
    return real != NULL && strcmp(real, path) != 0 ? grant_folder_of(s, real, right, e) : 0;
}

/* The real path of what is there; or of the nearest folder above that is. */
static char *real_or_above(const char *path)
{
    CLEANUP(cleanup_charp) char *p = strdup(path);

    while (p != NULL) {
        char *real = realpath(p[0] != '\0' ? p : "/", NULL), *slash = strrchr(p, '/');

        if (real != NULL || errno != ENOENT || slash == NULL || p[0] == '\0')
            return real;
        *slash = '\0';
    }
    return NULL;
}

bool sandbox_covers(const struct sandbox *s, const char *path, enum sandbox_right right)
{
    CLEANUP(cleanup_charp) char *real = real_or_above(path);
    struct stat st = {0};

    if (real == NULL)
        return false;
    (void)stat(path, &st);
    for (size_t i = 0; i < s->count; i++) {
        const struct rule *r = &s->rules[i];
        size_t n = strlen(r->path);

        if (r->right < right)
            continue;
        if (!r->folder && st.st_ino == r->ino && st.st_dev == r->dev)
            return true;
        if (r->folder && strncmp(real, r->path, n) == 0 &&
            (real[n] == '/' || real[n] == '\0' || n == 1))
            return true;
    }
    return false;
}

/* --- Landlock --------------------------------------------------------------------------------- */

static int landlock_abi(void)
{
    if (failpoint_hit("landlock")) { /* a kernel without it */
        errno = ENOSYS;
        return -1;
    }
    return (int)syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
                        LANDLOCK_CREATE_RULESET_VERSION);
}

/* ThreadSanitizer has a thread of its own from the start. */
static int count_threads(void)
{
    DIR *d = opendir("/proc/self/task");
    const struct dirent *ent;
    int n = 0;

    if (d == NULL)
        return -1;
    while ((ent = readdir(d)) != NULL)
        n += ent->d_name[0] != '.';
    (void)closedir(d);
#ifdef __SANITIZE_THREAD__
    n--;
#endif
    return n;
}

static int apply_rules(struct sandbox *s, int ruleset, uint64_t handled, struct err *e)
{
    for (size_t i = 0; i < s->count; i++) {
        struct rule *r = &s->rules[i];
        struct landlock_path_beneath_attr a = {
            .allowed_access = (r->right == SANDBOX_WRITE ? rights_write : rights_read) & handled,
            .parent_fd = r->fd};

        if (!r->folder)
            a.allowed_access &= rights_of_files;
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &a, 0) < 0)
            return err_sys(e, ERR_IO, errno, "Landlock: '%s'", r->path);
    }
    return 0;
}

static void let_go(struct sandbox *s)
{
    struct statfs fs;

    for (size_t i = 0; i < s->count; i++) {
        struct rule *r = &s->rules[i];

        if (fstatfs(r->fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC)
            continue;
        cleanup_fdp(&r->fd);
        r->fd = -1;
    }
}

static int enter_landlock(struct sandbox *s, unsigned flags, int abi, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    struct ruleset set = {.handled_fs = rights_v2};

    if (abi >= 3)
        set.handled_fs |= FS_TRUNCATE;
    if (abi >= 5)
        set.handled_fs |= FS_IOCTL_DEV;
    if (abi >= 4)
        set.handled_net = NET_BIND_TCP;
    if (abi >= 6)
        set.scoped = SCOPE_SIGNAL | ((flags & SANDBOX_ABSTRACT) != 0 ? 0 : SCOPE_ABSTRACT);
    fd = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof(set), 0);
    if (fd < 0)
        return err_sys(e, ERR_IO, errno, "Landlock");
    if (apply_rules(s, fd, set.handled_fs, e) < 0)
        return -1;
    if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
        return err_sys(e, ERR_IO, errno, "Landlock");
    return 0;
}

/* --- capabilities and the like ---------------------------------------------------------------- */

static bool has_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct has[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (syscall(SYS_capget, &head, has) < 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(has); i++) {
        if ((has[i].effective | has[i].permitted | has[i].inheritable) != 0)
            return true;
    }
    return false;
}

static int drop_privileges(struct err *e)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    /* The bounding set can only be lowered by who has CAP_SETPCAP; without a program that is
     * executed, it gives nobody anything. */
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    /* Under systemd's filter there is no capset, and nothing to be given up by it. */
    if (has_capabilities() && syscall(SYS_capset, &head, none) < 0)
        return err_sys(e, ERR_IO, errno, "capabilities cannot be given up");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_sys(e, ERR_IO, errno, "prctl");
    return 0;
}

static void missing(struct sandbox_state *state, const char *what, const char *why)
{
    size_t n = strlen(state->why);

    (void)snprintf(state->why + n, sizeof(state->why) - n, "%s%s: %s", n > 0 ? "; " : "", what,
                   why);
}

/* 0: in force, or the kernel has none, and the state says so; -1: it should have been. */
static int try_landlock(struct sandbox *s, unsigned flags, int threads, struct sandbox_state *state,
                        struct err *e)
{
    int abi = landlock_abi();

    if (abi < 0) {
        missing(state, "no Landlock",
                errno == EOPNOTSUPP ? "it is switched off in this kernel (lsm=)"
                : errno == ENOSYS   ? "this kernel has none, or a container hides it"
                                    : "a filter that is there already does not let it through");
        return 0;
    }
    if (abi < ABI_MIN) {
        missing(state, "no Landlock", "this kernel's is too old (before Linux 5.19)");
        return 0;
    }
    if (threads != 1) {
        missing(state, "no Landlock",
                threads < 0 ? "/proc cannot be read" : "other threads are running");
        return err_set(e, ERR_INTERNAL, 0, "%s", state->why);
    }
    if (enter_landlock(s, flags, abi, e) < 0) {
        missing(state, "no Landlock", "it cannot be entered");
        return -1;
    }
    state->landlock = abi;
    return 0;
}

static int try_calls(struct sandbox_state *state, struct err *e)
{
    state->calls = sandbox_calls_load(sandbox_sanitized(), e) == 0;
    if (state->calls)
        return 0;
    missing(state, "system calls are not filtered", e->msg);
    return e->code == ERR_UNSUPPORTED ? 0 : -1;
}

int sandbox_enter(struct sandbox *s, unsigned flags, struct sandbox_state *ret_state, struct err *e)
{
    int threads = count_threads(), rc = 0;
    struct err calls;

    *ret_state = (struct sandbox_state){.landlock = 0};
    if (sandbox_sanitized()) { /* which name the lines of our own program */
        ret_state->leaves = "what the sanitizers need";
        rc = sandbox_grant(s, "/proc/self/exe", SANDBOX_READ, e);
    }
    /* One that fails is no reason to do without the others: the first error is told. */
    if (drop_privileges(rc == 0 ? e : &calls) < 0)
        rc = -1;
    if (try_landlock(s, flags, threads, ret_state, rc == 0 ? e : &calls) < 0)
        rc = -1;
    let_go(s);
    if (try_calls(ret_state, &calls) < 0) {
        if (rc == 0)
            *e = calls;
        rc = -1;
    }
    return rc;
}

const char *sandbox_words(const struct sandbox_state *state, char *buf, size_t size)
{
    const char *but = state->calls && state->leaves != NULL ? state->leaves : NULL;
    char landlock[48] = "";

    if (state->landlock > 0)
        (void)snprintf(landlock, sizeof(landlock), "files by Landlock (ABI %d)%s", state->landlock,
                       state->calls ? ", " : "");
    (void)snprintf(buf, size, "%s%s%s%s%s%s", landlock, state->calls ? "system calls filtered" : "",
                   but != NULL ? " but for " : "", but != NULL ? but : "",
                   (state->landlock > 0 || state->calls) && state->why[0] != '\0' ? "; " : "",
                   state->why);
    return buf;
}
