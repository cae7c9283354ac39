/* cloud/queue_spool_dir.c -- the spool's folder: straight-line code of the pool's threads. See
 * queue_spool_inside.h.
 *
 *   put        write tmp/ID, fsync, rename into new/, fsync of new/
 *   receive    look: the oldest of new/ and of what is over in claimed/
 *              take: rename into claimed/ under a name that is ours; judge and read what it is
 *   renew, release      rename in claimed/
 *   complete            unlink
 *   dead                write dead/ID.reason, rename to dead/ID, fsync
 *
 * A rename that finds nothing has lost a race: then spool_where tells whether it is somebody else's
 * or gone. Killed anywhere, a message lies in exactly one of the folders, with its text whole; what
 * may be left behind is a file in tmp/ (cleared away after an hour) or a reason without its text
 * (written anew when the message is dead-lettered again).
 *
 * A lease need not survive a power cut, since its holder does not: claims are not synced.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/stamp.h"
#include "cloud/field.h"
#include "cloud/queue_spool_inside.h"

enum {
    TMP_OLD_S = 3600,
    LOOKS = 3, /* where others are faster */
    SPARE = 4, /* candidates for each message that is wanted */
    WHERE_LOOKS = 2,
};

/* A kill here in tests (F6); it never fails. */
#define STEP() (void)failpoint_hit("spool")

static int sys(const char *what, struct err *e)
{
    return err_sys(e, ERR_IO, errno, "spool: %s", what);
}

static void closedirp(DIR **d)
{
    if (*d != NULL)
        (void)closedir(*d);
}

/* A listing of its own, from the start. */
static DIR *list(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

    if (d == NULL && fd >= 0)
        (void)close(fd);
    return d;
}

/* The next name but "." and ".."; NULL at the end. */
static const char *next_name(DIR *d)
{
    const struct dirent *ent;

    do {
        ent = readdir(d);
    } while (ent != NULL && (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0));
    return ent != NULL ? ent->d_name : NULL;
}

/* --- opening --------------------------------------------------------------------------------- */

static int open_one(const char *path, const char *name, int *ret_fd, struct err *e)
{
    char full[PATH_MAX];
    int n = snprintf(full, sizeof(full), "%s/%s", path, name);

    if (n < 0 || (size_t)n >= sizeof(full))
        return err_set(e, ERR_CONFIG, 0, "spool: the folder's name is too long");
    if (file_private_dir(full, e) < 0 || file_open_trusted_dir(full, ret_fd, e) < 0)
        return err_wrap(e, "spool");
    return 0;
}

/* What puts that were killed left behind. */
static void clear_tmp(struct spool_dir *d)
{
    CLEANUP(closedirp) DIR *names = list(d->tmp);
    time_t now = time(NULL);
    const char *name;
    struct stat st;

    while (names != NULL && (name = next_name(names)) != NULL) {
        if (fstatat(d->tmp, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            now - st.st_mtime > TMP_OLD_S)
            (void)unlinkat(d->tmp, name, 0);
    }
}

int spool_open(const char *path, struct spool_dir *ret_dir, struct err *e)
{
    struct spool_dir d = *ret_dir;

    d.tmp = d.new = d.claimed = d.dead = -1;
    if (file_private_dir(path, e) < 0)
        return err_wrap(e, "spool");
    if (open_one(path, "tmp", &d.tmp, e) < 0 || open_one(path, "new", &d.new, e) < 0 ||
        open_one(path, "claimed", &d.claimed, e) < 0 || open_one(path, "dead", &d.dead, e) < 0) {
        spool_close(&d);
        return -1;
    }
    clear_tmp(&d);
    *ret_dir = d;
    return 0;
}

void spool_close(struct spool_dir *d)
{
    cleanup_fdp(&d->tmp);
    cleanup_fdp(&d->new);
    cleanup_fdp(&d->claimed);
    cleanup_fdp(&d->dead);
}

/* --- writing --------------------------------------------------------------------------------- */

static int write_all(int fd, const char *s, size_t n)
{
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

/* tmp/`temp`, whole and on disk, and then folder/name in one step. */
static int write_into(struct spool_dir *d, const char *temp, const char *s, size_t n, int folder,
                      const char *name, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;

    STEP();
    fd = openat(d->tmp, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return sys("write", e);
    STEP();
    if (write_all(fd, s, n / 2) < 0)
        goto failed;
    STEP();
    if (write_all(fd, s + n / 2, n - n / 2) < 0 || fsync(fd) < 0)
        goto failed;
    STEP();
    if (renameat(d->tmp, temp, folder, name) < 0)
        goto failed;
    STEP();
    if (fsync(folder) < 0)
        return sys("sync", e); /* it may be there, and may not last */
    STEP();
    return 0;
failed:
    (void)sys("write", e);
    (void)unlinkat(d->tmp, temp, 0);
    return -1;
}

int spool_put(struct spool_dir *d, const char *id, const char *text, size_t len, uint64_t ttl_ms,
              struct err *e)
{
    struct spool_name n = {0};
    char file[NAME_MAX + 1];
    struct spool_now now;

    d->clock(&now);
    memcpy(n.id, id, sizeof(n.id));
    if (ttl_ms == 0) {
        memcpy(file, n.id, sizeof(n.id));
    } else {
        n.expires = now.wall_ms + (int64_t)ttl_ms;
        spool_name_write(&n, file);
    }
    return write_into(d, n.id, text, len, d->new, file, e);
}

/* --- looking --------------------------------------------------------------------------------- */

struct candidate {
    bool claimed; /* where it is */
    bool named;   /* its name is one of ours */
    struct spool_name name;
    char file[NAME_MAX + 1];
};

struct candidates { /* the oldest `max`, in order of their ids; names that are not ours last */
    struct candidate *list;
    size_t n, max;
};

static void consider(struct candidates *cs, const struct candidate *c)
{
    size_t at = cs->n;

    while (at > 0 && strcmp(c->name.id, cs->list[at - 1].name.id) < 0)
        at--;
    if (at == cs->max)
        return;
    if (cs->n == cs->max)
        cs->n--;
    memmove(cs->list + at + 1, cs->list + at, (cs->n - at) * sizeof(*cs->list));
    cs->list[at] = *c;
    cs->n++;
}

/* Another agent may have taken it since `now`; then its lease ends later than any lease from then
 * could, and looks like none. By a clock that was read after the name it does not. */
static bool is_free(const struct spool_dir *d, const struct spool_name *n,
                    const struct spool_now *now)
{
    struct spool_now later;

    if (!spool_lease_over(n, now))
        return false;
    d->clock(&later);
    return spool_lease_over(n, &later);
}

static int look_into(const struct spool_dir *d, int folder, const struct spool_now *now,
                     struct candidates *cs, struct err *e)
{
    CLEANUP(closedirp) DIR *names = list(folder);
    bool claimed = folder == d->claimed;
    const char *name;

    if (names == NULL)
        return sys("list", e);
    while ((name = next_name(names)) != NULL) {
        struct candidate c = {.claimed = claimed};

        c.named = spool_name_read(name, &c.name);
        if (!c.named)
            c.name.id[0] = '~';
        if (c.named && claimed && !is_free(d, &c.name, now))
            continue;
        memcpy(c.file, name, strlen(name) + 1);
        consider(cs, &c);
    }
    return 0;
}

/* --- taking ---------------------------------------------------------------------------------- */

/* What lies there, by descriptor; nothing is followed and nothing waits. ERR_INVALID, ERR_TOOBIG:
 * it is no message; another error is our own trouble. */
static int judge(int fd, const struct spool_name *n, const struct spool_now *now, size_t *ret_size,
                 struct err *e)
{
    struct stat st;

    if (fd < 0 && errno == ELOOP)
        return err_set(e, ERR_INVALID, 0, "spool: a symbolic link");
    if (fd < 0 && (errno == EACCES || errno == ENXIO))
        return err_sys(e, ERR_INVALID, errno, "spool: it cannot be opened");
    if (fd < 0 || fstat(fd, &st) < 0)
        return sys("open", e);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, 0, "spool: no regular file");
    if (st.st_uid != geteuid())
        return err_set(e, ERR_INVALID, 0, "spool: the file belongs to uid %lu, not to us",
                       (unsigned long)st.st_uid);
    if (st.st_nlink != 1)
        return err_set(e, ERR_INVALID, 0, "spool: the file has %lu names",
                       (unsigned long)st.st_nlink);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return err_set(e, ERR_INVALID, 0, "spool: others may write to the file");
    if (st.st_size > SPOOL_TEXT_MAX)
        return err_set(e, ERR_TOOBIG, 0, "spool: more than %d bytes", SPOOL_TEXT_MAX);
    if (n->refused)
        return err_set(e, ERR_INVALID, 0, "spool: it came under a name that is none of ours");
    if (n->expires != 0 && now->wall_ms >= n->expires)
        return err_set(e, ERR_INVALID, 0, "spool: its time was over before it was received");
    *ret_size = (size_t)st.st_size;
    return 0;
}

/* All of the `size` bytes that it should be, and no more. Errors as above. */
static int read_text(int fd, size_t size, char **ret_text, size_t *ret_len, struct err *e)
{
    CLEANUP(cleanup_charp) char *s = malloc(size + 2);
    size_t n = 0;

    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "spool");
    while (n <= size) {
        ssize_t got = read(fd, s + n, size + 1 - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sys("read", e);
        if (got == 0)
            break;
        n += (size_t)got;
    }
    if (n != size)
        return err_set(e, ERR_INVALID, 0, "spool: it is still being written to");
    while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\r' || s[n - 1] == ' '))
        n--;
    if (n == 0 || memchr(s, '\0', n) != NULL || !text_utf8_ok(s, n))
        return err_set(e, ERR_INVALID, 0, "spool: there is no text in it");
    s[n] = '\0';
    *ret_len = n;
    *ret_text = TAKE(s);
    return 0;
}

/* Its new name: the same message, ours from now on. */
static struct spool_name name_anew(const struct spool_dir *d, const struct candidate *c,
                                   const char *id, uint64_t lease_ms, const struct spool_now *now)
{
    struct spool_name n = c->name;

    if (!c->named) {
        memcpy(n.id, id, sizeof(n.id));
        n.refused = true;
    }
    n.deliveries++;
    memcpy(n.boot, now->boot, sizeof(n.boot));
    n.boot_end = now->boot_ms + lease_ms;
    n.wall_end = now->wall_ms + (int64_t)lease_ms;
    n.span = lease_ms;
    memcpy(n.holder, d->agent, sizeof(n.holder));
    return n;
}

/* 1: taken, 0: somebody was faster. */
static int take(struct spool_dir *d, const struct candidate *c, const char *id, uint64_t lease_ms,
                struct spool_got *got, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    struct spool_now now;
    size_t size = 0;

    *got = (struct spool_got){0};
    d->clock(&now);
    got->name = name_anew(d, c, id, lease_ms, &now);
    spool_name_write(&got->name, got->file);
    STEP();
    if (renameat(c->claimed ? d->claimed : d->new, c->file, d->claimed, got->file) < 0)
        return errno == ENOENT ? 0 : sys("claim", e);
    STEP();
    fd = openat(d->claimed, got->file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (judge(fd, &got->name, &now, &size, &got->why) < 0 ||
        read_text(fd, size, &got->text, &got->len, &got->why) < 0) {
        /* What is merely our trouble is no judgement: it comes again when the lease is over. */
        if (got->why.code != ERR_INVALID && got->why.code != ERR_TOOBIG) {
            *e = got->why;
            return -1;
        }
    }
    return 1;
}

int spool_receive(struct spool_dir *d, const char *id, unsigned max, uint64_t lease_ms,
                  struct spool_got *got, size_t *ret_n, struct err *e)
{
    struct candidates cs = {.max = (size_t)max * SPARE};
    CLEANUP(cleanup_charp) char *mem = NULL;
    struct spool_now now;
    size_t n = 0;
    bool raced = true, id_used = false;
    int rc = 0;

    cs.list = calloc(cs.max, sizeof(*cs.list));
    mem = (char *)cs.list;
    if (cs.list == NULL)
        return err_set(e, ERR_NOMEM, 0, "spool");
    for (unsigned look = 0; look < LOOKS && n < max && raced && rc >= 0; look++) {
        cs.n = 0;
        raced = false;
        d->clock(&now);
        rc = look_into(d, d->claimed, &now, &cs, e);
        if (rc >= 0)
            rc = look_into(d, d->new, &now, &cs, e);
        for (size_t i = 0; i < cs.n && n < max && rc >= 0; i++) {
            if (!cs.list[i].named && id_used)
                continue;
            rc = take(d, &cs.list[i], id, lease_ms, &got[n], e);
            id_used = id_used || (!cs.list[i].named && rc > 0);
            n += rc > 0;
            raced = raced || rc == 0;
        }
    }
    /* With some in hand, what went wrong can wait. */
    if (rc < 0 && n == 0)
        return -1;
    *ret_n = n;
    return 0;
}

/* --- keeping and letting go ------------------------------------------------------------------ */

/* `file` is not there any more: has somebody else got it? A name may be missed while it changes. */
static enum queue_end where(struct spool_dir *d, const char *file, struct err *e)
{
    const int folders[] = {d->claimed, d->new};

    for (size_t i = 0; i < ARRAY_LEN(folders) * WHERE_LOOKS; i++) {
        CLEANUP(closedirp) DIR *names = list(folders[i % ARRAY_LEN(folders)]);
        const char *name;

        if (names == NULL) {
            (void)sys("list", e);
            return QUEUE_RETRY;
        }
        while ((name = next_name(names)) != NULL) {
            if (strncmp(name, file, ID_ULID - 1) != 0)
                continue;
            (void)err_set(e, ERR_CONFLICT, 0, "spool: another one has it now");
            return QUEUE_LOST;
        }
    }
    return QUEUE_GONE;
}

static enum queue_end end_of(struct spool_dir *d, const char *file, const char *what, struct err *e)
{
    if (errno == ENOENT)
        return where(d, file, e);
    (void)sys(what, e);
    return QUEUE_RETRY;
}

/* The name with another end. */
static enum queue_end rename_to_end(struct spool_dir *d, const char *file, uint64_t ms,
                                    const char *holder, const char *claim,
                                    char ret_file[NAME_MAX + 1], struct err *e)
{
    struct spool_name n;
    struct spool_now now;

    if (!spool_name_read(file, &n)) {
        (void)err_set(e, ERR_INTERNAL, 0, "spool: not a name of ours");
        return QUEUE_FATAL;
    }
    d->clock(&now);
    memcpy(n.boot, now.boot, sizeof(n.boot));
    n.boot_end = now.boot_ms + ms;
    n.wall_end = now.wall_ms + (int64_t)ms;
    n.span = ms;
    field_copy(n.holder, sizeof(n.holder), holder);
    if (claim != NULL)
        field_copy(n.claim, sizeof(n.claim), claim);
    spool_name_write(&n, ret_file);
    STEP();
    if (renameat(d->claimed, file, d->claimed, ret_file) < 0)
        return end_of(d, file, "rename", e);
    STEP();
    return QUEUE_OK;
}

enum queue_end spool_renew(struct spool_dir *d, char file[NAME_MAX + 1], uint64_t lease_ms,
                           const char *claim, struct err *e)
{
    char next[NAME_MAX + 1];
    enum queue_end end = rename_to_end(d, file, lease_ms, d->agent, claim, next, e);

    if (end == QUEUE_OK)
        memcpy(file, next, sizeof(next));
    return end;
}

/* It stays in claimed/, nobody's, with the delay as its lease. */
enum queue_end spool_release(struct spool_dir *d, const char *file, uint64_t delay_ms,
                             struct err *e)
{
    char next[NAME_MAX + 1];

    return rename_to_end(d, file, delay_ms, "", NULL, next, e);
}

enum queue_end spool_complete(struct spool_dir *d, const char *file, struct err *e)
{
    STEP();
    /* A folder that somebody put there is no message: it goes by dead-letter only. */
    if (unlinkat(d->claimed, file, 0) < 0)
        return end_of(d, file, "unlink", e);
    STEP();
    /* Should that get lost, the message comes again: at least once. */
    (void)fsync(d->claimed);
    return QUEUE_OK;
}

enum queue_end spool_dead(struct spool_dir *d, const char *id, const char *file, const char *reason,
                          struct err *e)
{
    struct text t = TEXT_INIT(8192);
    char why[ID_ULID + 16];
    struct spool_name n;
    int rc;

    if (!spool_name_read(file, &n)) {
        (void)err_set(e, ERR_INTERNAL, 0, "spool: not a name of ours");
        return QUEUE_FATAL;
    }
    /* Not over the words of whoever was faster. */
    if (faccessat(d->claimed, file, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return end_of(d, file, "dead-letter", e);
    text_safe(&t, reason);
    text_addf(&t, "\ndeliveries %u\nclaim %s\n", n.deliveries, n.claim);
    (void)snprintf(why, sizeof(why), "%s.reason", n.id);
    rc = text_check(&t, "spool", e);
    if (rc == 0)
        rc = write_into(d, id, t.s, t.len, d->dead, why, e);
    text_done(&t);
    if (rc < 0)
        return QUEUE_RETRY;
    if (renameat(d->claimed, file, d->dead, n.id) < 0) {
        enum queue_end end = end_of(d, file, "rename", e);

        /* Who has it now will say why himself, if ever. */
        if (end == QUEUE_LOST || (end == QUEUE_GONE && faccessat(d->dead, n.id, F_OK, 0) < 0))
            (void)unlinkat(d->dead, why, 0);
        return end;
    }
    STEP();
    if (fsync(d->dead) < 0 || fsync(d->claimed) < 0) {
        (void)sys("sync", e);
        return QUEUE_RETRY;
    }
    STEP();
    return QUEUE_OK;
}

/* --- counting -------------------------------------------------------------------------------- */

int spool_depth(struct spool_dir *d, uint64_t *ret_count, int64_t *ret_oldest_ms, struct err *e)
{
    const int folders[] = {d->new, d->claimed};
    uint64_t count = 0;
    int64_t oldest = 0;

    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        CLEANUP(closedirp) DIR *names = list(folders[i]);
        struct spool_name n;
        const char *name;

        if (names == NULL)
            return sys("list", e);
        while ((name = next_name(names)) != NULL) {
            count++;
            if (spool_name_read(name, &n) && (oldest == 0 || spool_name_time(&n) < oldest))
                oldest = spool_name_time(&n);
        }
    }
    *ret_count = count;
    *ret_oldest_ms = oldest;
    return 0;
}

bool spool_has_new(const struct spool_dir *d)
{
    CLEANUP(closedirp) DIR *names = list(d->new);

    return names != NULL && next_name(names) != NULL;
}
