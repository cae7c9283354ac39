/* eventlog/tail.c -- see tail.h.
 *
 *   evlog_tail_open   find the file that the mark means: the present one, or the one rotated last
 *   evlog_tail_begin  arm the notices and read
 *   on_notice         inotify, the FIFO's descriptor or the safety timer: read
 *   read_some         previous file, present file, then: truncated? rotated? come back?
 *
 * Invariants: buf[0] of a file is the byte at `off`; what is in buf is less than one line once
 * take_lines has been through it. A line's offset is that of its first byte. A mark names the first
 * byte that was not handed out as a line, and a check sum of the bytes before it, so that an inode
 * used again, or a file cut and grown again, is not taken for the one we knew.
 */
#include "eventlog/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "eventlog/event.h"

enum {
    BUFFER = EVLOG_LINE_MAX + 32 * 1024,
    CHECK = 64,   /* bytes before the mark that its check sum covers */
    HISTORY = 16, /* files that a mark can be found in */
};

struct file {
    int fd; /* -1: none */
    dev_t dev;
    ino_t ino;
    uint32_t gen;
    uint64_t off; /* of buf[0] */
    char *buf;    /* BUFFER bytes, or NULL */
    size_t have;
    bool skip; /* throw away up to the next newline */
    bool has_sum;
    uint32_t sum; /* of the bytes before `off` as we read them */
};

struct evlog_tail {
    struct loop *loop; /* borrowed */
    char *path;
    struct evlog_tail_cbs cbs;
    void *arg;
    struct file now, before; /* `before` was rotated away, and may yet be written to */
    uint64_t before_since;   /* loop time */
    struct {
        dev_t dev;
        ino_t ino;
        uint32_t gen;
    } history[HISTORY];
    unsigned known; /* files so far */
    uint32_t gen;   /* of the last one */
    struct loop_fswatch *notice;
    bool notice_is_dir;
    struct loop_watch *readable; /* a FIFO */
    struct loop_timer *timer;
    const char *start_gap; /* to be reported before anything is read */
    bool fifo, missing, writable, begun, reading;
};

static void on_notice(void *arg);
static void on_readable(void *arg, int events);
static void on_timer(void *arg);

/* --- files -------------------------------------------------------------------------------- */

static void file_close(struct file *f)
{
    if (f->fd >= 0)
        (void)close(f->fd);
    free(f->buf);
    *f = (struct file){.fd = -1};
}

static uint32_t fnv(const unsigned char *p, size_t n)
{
    uint32_t h = UINT32_C(2166136261);

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * UINT32_C(16777619);
    return h;
}

/* Of the CHECK bytes before `off`; false where they cannot be read. */
static bool check_sum(int fd, uint64_t off, uint32_t *ret)
{
    unsigned char bytes[CHECK];
    size_t n = off < CHECK ? (size_t)off : CHECK;

    if (off > INT64_MAX || pread(fd, bytes, n, (off_t)(off - n)) != (ssize_t)n)
        return false;
    *ret = fnv(bytes, n);
    return true;
}

/* In the middle of a line: what follows up to its newline is not a line. */
static bool mid_line(int fd, uint64_t off)
{
    char c;

    return off > 0 && pread(fd, &c, 1, (off_t)(off - 1)) == 1 && c != '\n';
}

static bool others_write(const struct stat *st)
{
    return (st->st_mode & (S_IWGRP | S_IWOTH)) != 0 || (st->st_uid != 0 && st->st_uid != geteuid());
}

static void learn(struct evlog_tail *t, struct file *f, const struct stat *st)
{
    f->dev = st->st_dev;
    f->ino = st->st_ino;
    f->gen = ++t->gen;
    t->history[t->known % HISTORY].dev = st->st_dev;
    t->history[t->known % HISTORY].ino = st->st_ino;
    t->history[t->known % HISTORY].gen = f->gen;
    t->known++;
    t->writable = others_write(st);
}

/* Open what is at `path` now. 0 with fd -1: nothing there. */
static int open_now(struct evlog_tail *t, const char *path, struct file *f, struct stat *st,
                    struct err *e)
{
    char shown[TEXT_SHOWN];
    CLEANUP(cleanup_fdp) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0)
        return err_sys(e, errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_IO, errno, "'%s'",
                       text_shown(shown, path));
    if (fstat(fd, st) < 0)
        return err_sys(e, ERR_IO, errno, "'%s'", text_shown(shown, path));
    if (!S_ISREG(st->st_mode) && !S_ISFIFO(st->st_mode))
        return err_set(e, ERR_CONFIG, 0, "'%s' is neither a file nor a FIFO",
                       text_shown(shown, path));
    if (S_ISFIFO(st->st_mode)) {
        /* With a writer of our own it never reads as ended, so it never spins (fifo(7)). */
        int both = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        struct stat again;

        if (both >= 0 && fstat(both, &again) == 0 && again.st_ino == st->st_ino &&
            again.st_dev == st->st_dev) {
            (void)close(fd);
            fd = both;
        } else if (both >= 0) {
            (void)close(both);
        }
        t->fifo = true;
    }
    f->buf = malloc(BUFFER);
    if (f->buf == NULL)
        return err_set(e, ERR_NOMEM, 0, "'%s'", text_shown(shown, path));
    f->fd = fd;
    fd = -1;
    learn(t, f, st);
    return 0;
}

/* --- marks ---------------------------------------------------------------------------------- */

struct mark {
    bool none; /* "-": the file was missing, so all of it is later; or "fifo" */
    bool fifo;
    uint64_t dev, ino, off;
    uint32_t check;
};

static bool mark_parse(const char *s, struct mark *m)
{
    uint64_t v[4];

    *m = (struct mark){0};
    if (strcmp(s, "-") == 0 || strcmp(s, "fifo") == 0) {
        m->none = true;
        m->fifo = *s == 'f';
        return true;
    }
    for (int i = 0; i < 4; i++) {
        char *end;

        if (strspn(s, "0123456789abcdef") == 0 || strspn(s, "0123456789abcdef") > 16)
            return false;
        v[i] = strtoull(s, &end, 16);
        if (*end != (i < 3 ? '.' : '\0'))
            return false;
        s = end + 1;
    }
    if (v[2] > INT64_MAX || v[3] > UINT32_MAX)
        return false;
    *m = (struct mark){.dev = v[0], .ino = v[1], .off = v[2], .check = (uint32_t)v[3]};
    return true;
}

void evlog_tail_mark(const struct evlog_tail *t, struct text *out)
{
    uint32_t check;

    if (t->fifo)
        text_add(out, "fifo");
    else if (t->now.fd < 0 || !check_sum(t->now.fd, t->now.off, &check))
        text_add(out, "-");
    else
        text_addf(out, "%" PRIx64 ".%" PRIx64 ".%" PRIx64 ".%" PRIx32, (uint64_t)t->now.dev,
                  (uint64_t)t->now.ino, t->now.off, check);
}

bool evlog_tail_locate(const struct evlog_tail *t, const char *mark, uint32_t *ret_gen,
                       uint64_t *ret_off)
{
    struct mark m;

    if (!mark_parse(mark, &m))
        return false;
    *ret_gen = 0;
    *ret_off = 0;
    for (unsigned i = 0; !m.none && i < HISTORY && i < t->known; i++)
        if ((uint64_t)t->history[i].dev == m.dev && (uint64_t)t->history[i].ino == m.ino &&
            (*ret_gen == 0 || t->history[i].gen < *ret_gen)) {
            *ret_gen = t->history[i].gen;
            *ret_off = m.off;
        }
    return true;
}

static bool mark_is_of(const struct mark *m, const struct file *f, const struct stat *st)
{
    uint32_t check;

    return (uint64_t)st->st_dev == m->dev && (uint64_t)st->st_ino == m->ino &&
           (uint64_t)st->st_size >= m->off && check_sum(f->fd, m->off, &check) && check == m->check;
}

/* The file that the mark means, at the mark; or the present one from its start, and a gap. */
static int open_at_mark(struct evlog_tail *t, const struct mark *m, struct err *e)
{
    static const char *const rotated[] = {"", ".old", ".1"};

    for (size_t i = 0; !m->none && i < ARRAY_LEN(rotated); i++) {
        CLEANUP(text_done) struct text path = TEXT_INIT(8192);
        struct evlog_tail was = *t;
        struct file f = {.fd = -1};
        struct stat st;
        struct err none;

        text_addf(&path, "%s%s", t->path, rotated[i]);
        if (path.failed || open_now(t, path.s, &f, &st, i == 0 ? e : &none) < 0) {
            file_close(&f);
            if (i == 0)
                return -1;
            *t = was;
            continue;
        }
        if (f.fd >= 0 && S_ISREG(st.st_mode) && mark_is_of(m, &f, &st)) {
            f.off = m->off;
            f.skip = mid_line(f.fd, f.off);
            t->now = f;
            return 0;
        }
        /* Not this one: forget that we saw it. */
        file_close(&f);
        *t = was;
    }

    {
        struct stat st;

        if (open_now(t, t->path, &t->now, &st, e) < 0)
            return -1;
        t->missing = t->now.fd < 0;
        if (!m->none)
            t->start_gap = "the file of the mark is gone: what was rotated away is not seen";
        else if (m->fifo)
            t->start_gap = "a FIFO cannot be read from a mark";
    }
    return 0;
}

/* --- opening and closing ---------------------------------------------------------------------- */

int evlog_tail_open(struct loop *l, const char *path, const char *mark,
                    const struct evlog_tail_cbs *cbs, void *arg, struct evlog_tail **ret_tail,
                    struct err *e)
{
    struct evlog_tail *t = calloc(1, sizeof(*t));
    char shown[TEXT_SHOWN];
    struct mark m = {0};
    struct stat st;

    if (t == NULL)
        return err_set(e, ERR_NOMEM, 0, "'%s'", text_shown(shown, path));
    t->loop = l;
    t->cbs = *cbs;
    t->arg = arg;
    t->now.fd = t->before.fd = -1;
    t->path = text_dup(path);
    if (t->path == NULL) {
        (void)err_set(e, ERR_NOMEM, 0, "'%s'", text_shown(shown, path));
        goto fail;
    }
    if (mark != NULL && mark[0] != '\0') {
        if (!mark_parse(mark, &m)) {
            (void)err_set(e, ERR_CONFIG, 0, "'%s' is no mark of a followed file",
                          text_shown(shown, mark));
            goto fail;
        }
        if (open_at_mark(t, &m, e) < 0)
            goto fail;
    } else {
        if (open_now(t, path, &t->now, &st, e) < 0)
            goto fail;
        t->missing = t->now.fd < 0;
        if (t->now.fd >= 0 && !t->fifo) {
            t->now.off = (uint64_t)st.st_size;
            t->now.skip = mid_line(t->now.fd, t->now.off);
        }
    }
    *ret_tail = t;
    return 0;
fail:
    evlog_tail_close(&t);
    return -1;
}

/* On the file itself; on its folder while it is missing. */
static void arm(struct evlog_tail *t)
{
    const char *slash = strrchr(t->path, '/');
    CLEANUP(cleanup_charp) char *dir = NULL;

    if (t->fifo) {
        if (t->readable == NULL && t->now.fd >= 0)
            t->readable = loop_watch_start(t->loop, t->now.fd, LOOP_READ, on_readable, t);
        return;
    }
    if (t->notice != NULL && t->notice_is_dir == t->missing)
        return;
    loop_fswatch_stop(&t->notice);
    t->notice_is_dir = t->missing;
    if (!t->missing) {
        t->notice = loop_fswatch_start(t->loop, t->path, on_notice, t);
        return;
    }
    dir = slash == NULL      ? text_dup(".")
          : slash == t->path ? text_dup("/")
                             : strndup(t->path, (size_t)(slash - t->path));
    if (dir != NULL)
        t->notice = loop_fswatch_start(t->loop, dir, on_notice, t);
    /* Where there is no notice, the timer looks. */
}

void evlog_tail_begin(struct evlog_tail *t)
{
    if (t->begun)
        return;
    t->begun = true;
    arm(t);
    if (t->timer == NULL)
        t->timer = loop_timer_start(t->loop, EVLOG_TAIL_POLL_MS, on_timer, t);
    evlog_tail_read(t);
}

void evlog_tail_close(struct evlog_tail **tp)
{
    struct evlog_tail *t = *tp;

    *tp = NULL;
    if (t == NULL)
        return;
    loop_fswatch_stop(&t->notice);
    loop_watch_stop(&t->readable);
    loop_timer_stop(&t->timer);
    file_close(&t->now);
    file_close(&t->before);
    free(t->path);
    free(t);
}

/* --- reading ------------------------------------------------------------------------------------
 */

static void take_lines(struct evlog_tail *t, struct file *f)
{
    size_t at = 0;

    for (;;) {
        char *end = memchr(f->buf + at, '\n', f->have - at);
        size_t n;

        if (end == NULL)
            break;
        n = (size_t)(end - (f->buf + at));
        if (f->skip) {
            f->skip = false;
        } else if (n > EVLOG_LINE_MAX) {
            t->cbs.too_long(t->arg);
        } else {
            size_t len = n > 0 && end[-1] == '\r' ? n - 1 : n;

            if (len > 0)
                t->cbs.line(t->arg, f->buf + at, len, f->gen, f->off + at);
        }
        at += n + 1;
    }
    if (f->have - at > EVLOG_LINE_MAX) {
        /* No end in sight: count it once, and wait for its newline. */
        if (!f->skip)
            t->cbs.too_long(t->arg);
        f->skip = true;
        at = f->have;
    }
    f->off += at;
    f->have -= at;
    if (at > 0 && f->have > 0)
        memmove(f->buf, f->buf + at, f->have);
}

/* A FIFO that we may not write to, so that we are no writer of it ourselves: without one it is
 * ready without end, and has nothing to read (poll(2), POLLHUP). Then only the timer looks. */
static void mind_writer(struct evlog_tail *t, bool there)
{
    if (!there)
        loop_watch_stop(&t->readable);
    else if (t->begun)
        arm(t);
}

/* Reads up to `budget` bytes; returns false at the end of what is there. */
static bool read_file(struct evlog_tail *t, struct file *f, size_t *budget)
{
    ssize_t n;

    while (*budget > 0) {
        size_t room = BUFFER - f->have;

        room = room < *budget ? room : *budget;
        n = t->fifo ? read(f->fd, f->buf + f->have, room)
                    : pread(f->fd, f->buf + f->have, room, (off_t)(f->off + f->have));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (t->fifo)
                mind_writer(t, /* there */ n < 0 && errno == EAGAIN);
            return false;
        }
        *budget -= (size_t)n;
        f->have += (size_t)n;
        take_lines(t, f);
    }
    return true;
}

/* Cut short, also if it has grown again since: then the bytes before `off` are others. */
static bool was_cut(const struct file *f, const struct stat *st)
{
    uint32_t sum;

    if ((uint64_t)st->st_size < f->off + f->have)
        return true;
    return f->has_sum && (uint64_t)st->st_size > f->off + f->have &&
           (!check_sum(f->fd, f->off, &sum) || sum != f->sum);
}

static void restart(struct evlog_tail *t, struct file *f, const struct stat *st)
{
    f->off = 0;
    f->have = 0;
    f->skip = false;
    f->has_sum = false;
    learn(t, f, st);
    t->cbs.gap(t->arg, "the file was cut short");
}

static void retire(struct evlog_tail *t)
{
    file_close(&t->before);
    t->before = t->now;
    t->before_since = loop_now(t->loop);
    t->now = (struct file){.fd = -1};
}

/* Is there another file at our path now? Then the one we have is the one before. */
static void look_for_new(struct evlog_tail *t)
{
    struct stat st, opened;
    struct file f = {.fd = -1};
    struct err e;
    bool was_missing = t->missing;

    t->missing = stat(t->path, &st) < 0;
    if (!t->missing && t->now.fd >= 0 && st.st_dev == t->now.dev && st.st_ino == t->now.ino) {
        if (was_missing)
            arm(t);
        return;
    }
    if (t->missing) {
        if (!was_missing)
            arm(t);
        return;
    }
    if (open_now(t, t->path, &f, &opened, &e) < 0 || f.fd < 0) {
        file_close(&f);
        t->missing = true;
        if (!was_missing)
            t->cbs.gap(t->arg, "the file was replaced by one that cannot be read");
        arm(t);
        return;
    }
    if (t->now.fd >= 0)
        retire(t);
    t->now = f;
    loop_fswatch_stop(&t->notice);
    arm(t);
}

/* Returns whether the budget ended before the bytes did. */
static bool read_some(struct evlog_tail *t, size_t budget)
{
    struct stat st;
    bool more = false;

    if (t->start_gap != NULL) {
        t->cbs.gap(t->arg, t->start_gap);
        t->start_gap = NULL;
    }
    if (t->before.fd >= 0) {
        more = read_file(t, &t->before, &budget);
        if (!more && loop_now(t->loop) - t->before_since > EVLOG_TAIL_KEEP_MS)
            file_close(&t->before);
    }
    /* Twice: the present file, and the one that has come in its place. */
    for (int i = 0; i < 2 && !more; i++) {
        struct file *f = &t->now;
        uint32_t gen = f->gen;

        if (f->fd >= 0 && !t->fifo && fstat(f->fd, &st) == 0 && was_cut(f, &st))
            restart(t, f, &st);
        if (f->fd >= 0) {
            more = read_file(t, f, &budget);
            f->has_sum = !t->fifo && check_sum(f->fd, f->off, &f->sum);
        }
        if (more || (t->fifo && f->fd >= 0))
            break;
        look_for_new(t);
        if (f->gen == gen || f->fd < 0)
            break;
    }
    return more;
}

void evlog_tail_read(struct evlog_tail *t)
{
    if (t->reading)
        return;
    t->reading = true;
    if (read_some(t, EVLOG_TAIL_TURN)) {
        loop_timer_stop(&t->timer);
        t->timer = loop_timer_start(t->loop, 0, on_timer, t);
    }
    t->reading = false;
}

void evlog_tail_drain(struct evlog_tail *t)
{
    if (t->reading)
        return;
    t->reading = true;
    for (size_t read = 0; read < EVLOG_TAIL_DRAIN && read_some(t, EVLOG_TAIL_TURN);)
        read += EVLOG_TAIL_TURN;
    t->reading = false;
}

static void on_notice(void *arg)
{
    evlog_tail_read(arg);
}

static void on_readable(void *arg, int events)
{
    (void)events;
    evlog_tail_read(arg);
}

static void on_timer(void *arg)
{
    struct evlog_tail *t = arg;

    /* No memory for a timer: notices still come, and poke. */
    t->timer = loop_timer_start(t->loop, EVLOG_TAIL_POLL_MS, on_timer, t);
    evlog_tail_read(t);
}

bool evlog_tail_missing(const struct evlog_tail *t)
{
    return t->missing;
}

bool evlog_tail_writable(const struct evlog_tail *t)
{
    return t->writable;
}
