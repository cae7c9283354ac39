/* base/file.c -- trusted files; see file.h.
 *
 * One walk from "/" does all of it: each component is opened by descriptor below the one
 * before, without following links, and judged by fstat of that very descriptor. A link on the
 * way is followed by hand, and only where root or we made it; the last component never is.
 * Nothing is ever looked at by name and opened afterwards.
 */
#include "base/file.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { LINKS_MAX = 40 };

enum walk_end {
    WALK_FILE,   /* the last component is the caller's to open */
    WALK_DIR,    /* the last component is a folder too, and is judged like the others */
    WALK_CREATE, /* as WALK_DIR; what is missing is made, 0700 */
};

struct walk {
    const char *path;    /* as the caller wrote it: for messages */
    char rest[PATH_MAX]; /* what is still ahead of us, without a slash in front */
    char at[PATH_MAX];   /* the folder that `fd` is, for messages */
    int fd;
    bool shared; /* `fd` is a sticky folder that others may write to */
    int links;
};

/* --- judging ---------------------------------------------------------------- */

static bool owner_ok(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

static int untrusted(const char *path, const char *what, const char *how, struct err *e)
{
    char shown[TEXT_SHOWN];

    return err_set(e, ERR_CONFIG, 0, "'%s' %s%s", text_shown(shown, path), what, how);
}

/* A failed open or stat, as what the caller may do about it. */
static int sys_failed(const char *path, int errnum, struct err *e)
{
    char shown[TEXT_SHOWN];

    if (errnum == ENOENT)
        return err_sys(e, ERR_NOTFOUND, errnum, "'%s'", text_shown(shown, path));
    if (errnum == ELOOP)
        return untrusted(path, "is a symbolic link", ": name the file itself", e);
    return err_sys(e, errnum == EACCES || errnum == EPERM ? ERR_DENIED : ERR_IO, errnum, "'%s'",
                   text_shown(shown, path));
}

/* Is this folder, on the way to what we trust, one that only root or we can rearrange? */
static int judge_folder(struct walk *w, const struct stat *st, struct err *e)
{
    char shown[TEXT_SHOWN];

    if (!owner_ok(st))
        return err_set(e, ERR_CONFIG, 0,
                       "folder '%s' belongs to uid %lu, who could exchange what is in it: "
                       "chown it to root",
                       text_shown(shown, w->at), (unsigned long)st->st_uid);
    w->shared = (st->st_mode & (S_IWGRP | S_IWOTH)) != 0;
    if (w->shared && (st->st_mode & S_ISVTX) == 0)
        return err_set(e, ERR_CONFIG, 0,
                       "folder '%s' may be changed by others: type  chmod go-w '%s'",
                       text_shown(shown, w->at), shown);
    return 0;
}

/* The mode, with what its group bits mean. Behind an access list they are only its mask: a systemd
 * credential is root's, 0440, and the list names nobody but us. Other lists count for what they
 * give to anybody else. acl(5); the format is the kernel's (linux/posix_acl_xattr.h). */
static mode_t true_mode(int fd, const struct stat *st)
{
    struct {
        struct posix_acl_xattr_header head;
        struct posix_acl_xattr_entry entries[32];
    } acl;
    mode_t mode = st->st_mode & 07777U, given = 0;
    ssize_t n = fgetxattr(fd, "system.posix_acl_access", &acl, sizeof(acl));

    /* None, or nothing that we could read: the bits stand. */
    if (n < (ssize_t)sizeof(acl.head) || le32toh(acl.head.a_version) != POSIX_ACL_XATTR_VERSION)
        return mode;
    for (size_t i = 0; i < ((size_t)n - sizeof(acl.head)) / sizeof(acl.entries[0]); i++) {
        const struct posix_acl_xattr_entry *a = &acl.entries[i];
        unsigned tag = le16toh(a->e_tag);
        uid_t who = le32toh(a->e_id);

        if (tag == ACL_GROUP_OBJ || tag == ACL_GROUP ||
            (tag == ACL_USER && who != 0 && who != geteuid()))
            given |= le16toh(a->e_perm);
    }
    return (mode & ~(mode_t)S_IRWXG) | (mode & S_IRWXG & (given << 3));
}

/* What of the mode tells it to others. Settings may be root's, and a group's to read: only root
 * can have given them to it. */
static mode_t too_open(int how, mode_t mode, const struct stat *st)
{
    mode_t allowed = how == FILE_SETTINGS && st->st_uid == 0 ? S_IRGRP : 0;

    return how == FILE_PUBLIC ? 0 : mode & (S_IRWXG | S_IRWXO) & ~allowed;
}

static int judge_file(const char *path, int how, bool shared, int fd, const struct stat *st,
                      struct err *e)
{
    char shown[TEXT_SHOWN];
    mode_t mode = true_mode(fd, st);

    (void)text_shown(shown, path);
    if (!S_ISREG(st->st_mode))
        return err_set(e, ERR_CONFIG, 0, "'%s' is not a regular file", shown);
    if (!owner_ok(st))
        return err_set(e, ERR_CONFIG, 0, "'%s' belongs to uid %lu: only root or uid %lu may own it",
                       shown, (unsigned long)st->st_uid, (unsigned long)geteuid());
    if (too_open(how, mode, st) != 0)
        return err_set(e, ERR_CONFIG, 0, "'%s' is open to others (mode %04o): type  chmod 600 '%s'",
                       shown, (unsigned)mode, shown);
    if ((mode & (S_IWGRP | S_IWOTH)) != 0)
        return err_set(e, ERR_CONFIG, 0,
                       "'%s' may be changed by others (mode %04o): type  chmod go-w '%s'", shown,
                       (unsigned)mode, shown);
    if (how == FILE_SECRET && shared)
        return err_set(e, ERR_CONFIG, 0,
                       "'%s' is a secret in a folder that everybody shares: move it", shown);
    return 0;
}

/* --- walking ----------------------------------------------------------------- */

/* Put `head` (of n bytes) in front of what is still ahead. */
static int push_front(struct walk *w, const char *head, size_t n, struct err *e)
{
    size_t rest = strlen(w->rest);

    if (n + 1 + rest >= sizeof(w->rest))
        return err_sys(e, ERR_IO, ENAMETOOLONG, "path");
    memmove(w->rest + n + 1, w->rest, rest + 1);
    memcpy(w->rest, head, n);
    w->rest[n] = '/';
    return 0;
}

/* Take the next component off the front. False where there is none left. */
static bool pop_front(struct walk *w, char name[NAME_MAX + 1], bool *ret_long)
{
    size_t skip = strspn(w->rest, "/"), n;

    n = strcspn(w->rest + skip, "/");
    *ret_long = n > NAME_MAX;
    if (n == 0 || *ret_long)
        return false;
    memcpy(name, w->rest + skip, n);
    name[n] = '\0';
    memmove(w->rest, w->rest + skip + n, strlen(w->rest + skip + n) + 1);
    return true;
}

static int walk_root(struct walk *w, struct err *e)
{
    struct stat st;

    if (w->fd >= 0)
        (void)close(w->fd);
    memcpy(w->at, "/", sizeof("/"));
    w->fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w->fd < 0 || fstat(w->fd, &st) < 0)
        return sys_failed("/", errno, e);
    return judge_folder(w, &st, e);
}

/* `name` below w->fd is a link: put where it points in front of what is ahead. */
static int walk_link(struct walk *w, int fd, const struct stat *st, struct err *e)
{
    char target[PATH_MAX];
    ssize_t n;

    if (!owner_ok(st))
        return untrusted(w->at, "holds a symbolic link that is not root's nor ours", "", e);
    if (++w->links > LINKS_MAX)
        return err_sys(e, ERR_IO, ELOOP, "path");
    n = readlinkat(fd, "", target, sizeof(target));
    if (n < 0)
        return sys_failed(w->path, errno, e);
    if (n == 0 || (size_t)n >= sizeof(target))
        return err_sys(e, ERR_IO, ENAMETOOLONG, "path");
    if (push_front(w, target, (size_t)n, e) < 0)
        return -1;
    return target[0] == '/' ? walk_root(w, e) : 0;
}

/* One folder down. */
static int walk_down(struct walk *w, const char *name, bool create, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    struct stat st;
    size_t n = strlen(w->at);

    fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && create) {
        if (mkdirat(w->fd, name, 0700) < 0 && errno != EEXIST)
            return sys_failed(w->path, errno, e);
        fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0 || fstat(fd, &st) < 0)
        return sys_failed(w->path, errno, e);
    if (S_ISLNK(st.st_mode))
        return walk_link(w, fd, &st, e);

    if ((size_t)snprintf(w->at + n, sizeof(w->at) - n, "%s%s", n > 1 ? "/" : "", name) >=
        sizeof(w->at) - n)
        return err_sys(e, ERR_IO, ENAMETOOLONG, "path");
    if (!S_ISDIR(st.st_mode))
        return sys_failed(w->path, ENOTDIR, e);
    if (judge_folder(w, &st, e) < 0)
        return -1;
    (void)close(w->fd);
    w->fd = fd;
    fd = -1;
    return 0;
}

/* From "/" to the folder that holds `path` (WALK_FILE; its last component is then in `leaf`), or
 * to `path` itself. w->fd is that folder, judged; the caller closes it, also after an error. */
static int walk_to(struct walk *w, const char *path, enum walk_end end, char leaf[NAME_MAX + 1],
                   struct err *e)
{
    char name[NAME_MAX + 1] = "";
    char cwd[PATH_MAX];
    bool too_long;

    *w = (struct walk){.path = path, .fd = -1};
    if (path[0] == '\0' || strlen(path) >= sizeof(w->rest))
        return err_sys(e, ERR_IO, path[0] == '\0' ? ENOENT : ENAMETOOLONG, "path");
    memcpy(w->rest, path, strlen(path) + 1);
    if (path[0] != '/' &&
        (getcwd(cwd, sizeof(cwd)) == NULL || push_front(w, cwd, strlen(cwd), e) < 0))
        return err_sys(e, ERR_IO, errno, "current folder");
    if (end == WALK_FILE && path[strlen(path) - 1] == '/')
        return sys_failed(path, EISDIR, e);

    if (walk_root(w, e) < 0)
        return -1;
    while (pop_front(w, name, &too_long)) {
        if (strcmp(name, ".") == 0)
            continue;
        /* The last one is the caller's: it opens it, without following. */
        if (end == WALK_FILE && w->rest[strspn(w->rest, "/")] == '\0') {
            memcpy(leaf, name, sizeof(name));
            return 0;
        }
        if (walk_down(w, name, end == WALK_CREATE, e) < 0)
            return -1;
    }
    if (too_long)
        return err_sys(e, ERR_IO, ENAMETOOLONG, "path");
    return end == WALK_FILE ? sys_failed(path, EISDIR, e) : 0;
}

/* --- opening and reading ------------------------------------------------------- */

int file_open_trusted(const char *path, int how, int *ret_fd, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    char leaf[NAME_MAX + 1];
    struct stat st;
    struct walk w;
    int rc;

    rc = walk_to(&w, path, WALK_FILE, leaf, e);
    if (rc == 0) {
        /* O_NONBLOCK: a pipe put in the file's place must not hold us up. */
        fd = openat(w.fd, leaf, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        rc = fd < 0 || fstat(fd, &st) < 0 ? sys_failed(path, errno, e)
                                          : judge_file(path, how, w.shared, fd, &st, e);
    }
    cleanup_fdp(&w.fd);
    if (rc < 0)
        return -1;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int file_open_trusted_dir(const char *path, int *ret_fd, struct err *e)
{
    struct walk w;
    int rc, fd = -1;

    rc = walk_to(&w, path, WALK_DIR, NULL, e);
    if (rc == 0 && w.shared)
        rc = untrusted(path, "is a folder that everybody shares", "", e);
    if (rc == 0) {
        fd = openat(w.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            rc = sys_failed(path, errno, e);
    }
    cleanup_fdp(&w.fd);
    if (rc < 0)
        return -1;
    *ret_fd = fd;
    return 0;
}

/* Until the end of the file, or one byte more than `max`. */
static int read_all(int fd, const char *path, size_t max, struct text *t, struct err *e)
{
    char buf[16384], shown[TEXT_SHOWN];
    size_t total = 0;

    for (;;) {
        ssize_t n = read(fd, buf, sizeof(buf));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            (void)err_sys(e, ERR_IO, errno, "read '%s'", text_shown(shown, path));
            break;
        }
        if (n == 0) {
            explicit_bzero(buf, sizeof(buf));
            return text_check(t, text_shown(shown, path), e);
        }
        total += (size_t)n;
        if (total > max) {
            (void)err_set(e, ERR_TOOBIG, 0, "'%s' is larger than %zu bytes",
                          text_shown(shown, path), max);
            break;
        }
        text_addn(t, buf, (size_t)n);
    }
    explicit_bzero(buf, sizeof(buf));
    return -1;
}

int file_read_trusted(const char *path, int how, size_t max, struct text *t, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;

    if (file_open_trusted(path, how, &fd, e) < 0)
        return -1;
    return read_all(fd, path, max, t, e);
}

int file_check_trusted(const char *path, int how, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;

    return file_open_trusted(path, how, &fd, e);
}

int file_read_any(const char *path, size_t max, struct text *t, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;

    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, "standard input", max, t, e);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return sys_failed(path, errno, e);
    return read_all(fd, path, max, t, e);
}

/* --- writing -------------------------------------------------------------------- */

int file_private_dir(const char *path, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    char shown[TEXT_SHOWN];
    struct stat st = {0};
    struct walk w;
    int rc;

    rc = walk_to(&w, path, WALK_CREATE, NULL, e);
    if (rc == 0) {
        fd = openat(w.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
            rc = sys_failed(path, errno, e);
    }
    cleanup_fdp(&w.fd);
    if (rc < 0)
        return -1;

    if (st.st_uid != geteuid())
        return err_set(e, ERR_CONFIG, 0,
                       "folder '%s' belongs to uid %lu: it must be ours (uid %lu)",
                       text_shown(shown, path), (unsigned long)st.st_uid, (unsigned long)geteuid());
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return err_set(e, ERR_CONFIG, 0,
                       "folder '%s' may be changed by others: type  chmod 700 '%s'",
                       text_shown(shown, path), shown);
    /* Ours, and merely readable by others (a service manager makes it 0755): close it. */
    if ((st.st_mode & 07777U) != 0700 && fchmod(fd, 0700) < 0)
        return sys_failed(path, errno, e);
    return 0;
}

static int write_all(int fd, const void *p, size_t n)
{
    const char *s = p;

    while (n > 0) {
        ssize_t done = write(fd, s, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        s += done;
        n -= (size_t)done;
    }
    return 0;
}

/* Without this the rename itself may be lost in a power cut. */
static int sync_folder_of(const char *path)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');

    if (slash != NULL) {
        size_t n = slash == path ? 1 : (size_t)(slash - path);

        memcpy(folder, path, n);
        folder[n] = '\0';
    }
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    return fsync(fd);
}

/* mark: NULL, a name that nobody else has. */
static int write_whole(const char *path, const char *mark, const void *p, size_t n, unsigned flags,
                       struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    char temp[PATH_MAX], shown[TEXT_SHOWN];
    int len, saved;

    len = snprintf(temp, sizeof(temp), "%s.%s", path, mark != NULL ? mark : "XXXXXX");
    if (len < 0 || (size_t)len >= sizeof(temp))
        return err_sys(e, ERR_IO, ENAMETOOLONG, "write '%s'", text_shown(shown, path));
    fd = mark != NULL ? open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600)
                      : mkostemp(temp, O_CLOEXEC); /* O_EXCL, 0600 */
    if (fd < 0)
        return err_sys(e, ERR_IO, errno, "write '%s'", text_shown(shown, path));

    if (write_all(fd, p, n) == 0 && fsync(fd) == 0 &&
        renameat2(AT_FDCWD, temp, AT_FDCWD, path, flags) == 0) {
        if (sync_folder_of(path) == 0)
            return 0;
        return err_sys(e, ERR_IO, errno, "sync the folder of '%s'", text_shown(shown, path));
    }
    saved = errno;
    (void)unlink(temp);
    if (saved == EEXIST && flags != 0)
        return err_set(e, ERR_REFUSED, saved, "'%s' is there already: nothing is overwritten",
                       text_shown(shown, path));
    return err_sys(e, ERR_IO, saved, "write '%s'", text_shown(shown, path));
}

int file_write_atomic(const char *path, const void *p, size_t n, struct err *e)
{
    return write_whole(path, NULL, p, n, 0, e);
}

int file_write_again(const char *path, const char *mark, const void *p, size_t n, struct err *e)
{
    return write_whole(path, mark, p, n, 0, e);
}

int file_write_new(const char *path, const void *p, size_t n, struct err *e)
{
    return write_whole(path, NULL, p, n, RENAME_NOREPLACE, e);
}
