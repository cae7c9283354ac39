/* eventlog/source_files.c -- the source that follows files: Samba's audit log, or events a line.
 *
 * Each line goes by its look: Samba's to the one translator of this source (its classes may be in
 * several files, and the commit in another one than the change), the others to the parsers.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "eventlog/event.h"
#include "eventlog/line.h"
#include "eventlog/samba.h"
#include "eventlog/source_ops.h"
#include "eventlog/tail.h"

struct files {
    struct evlog_source base; /* first: ops get its address */
    enum evlog_lines lines;
    unsigned count;
    struct followed {
        struct files *of;
        uint32_t number;
        struct evlog_tail *tail;
    } file[EVLOG_FILES];
    struct evlog_samba *samba;
    struct loop_timer *hold;     /* the next moment at which something has waited long enough */
    const struct evlog_pos *pos; /* of the line in hand */
};

static void on_hold(void *arg);

/* --- lines --------------------------------------------------------------------------------------
 */

static void on_samba_event(void *arg, const struct evlog_event *ev, const struct evlog_pos *pos)
{
    struct files *f = arg;

    evlog_source_deliver(&f->base, ev, pos);
}

static void on_event(void *arg, const struct evlog_event *ev)
{
    struct files *f = arg;

    evlog_source_deliver(&f->base, ev, f->pos);
}

static void release(struct files *f)
{
    struct loop *l = evlog_watcher_loop(f->base.watcher);
    uint64_t left = evlog_samba_due(f->samba, loop_now(l));

    /* Where there is no memory for a timer, the next line looks. */
    if (left > 0 && f->hold == NULL)
        f->hold = loop_timer_start(l, left, on_hold, f);
}

static void on_hold(void *arg)
{
    struct files *f = arg;

    f->hold = NULL;
    release(f);
}

static void on_line(void *arg, const char *line, size_t n, uint32_t gen, uint64_t off)
{
    struct followed *from = arg;
    struct files *f = from->of;
    struct evlog_pos pos = {
        .seq = evlog_source_next_seq(&f->base), .file = from->number, .gen = gen, .off = off};
    struct err e;
    bool samba = f->lines == EVLOG_LINES_SAMBA ||
                 (f->lines == EVLOG_LINES_ANY && evlog_line_is_samba(line, n));
    int rc;

    f->pos = &pos;
    if (samba) {
        rc = evlog_samba_line(f->samba, line, n, &pos,
                              loop_now(evlog_watcher_loop(f->base.watcher)), &e);
        release(f);
    } else {
        rc = evlog_line_parse(line, n, on_event, f, &e);
    }
    f->pos = NULL;
    if (rc < 0)
        evlog_source_bad(&f->base, &e);
}

static void on_too_long(void *arg)
{
    struct followed *from = arg;

    from->of->base.health.too_long++;
}

static void on_gap(void *arg, const char *why)
{
    struct followed *from = arg;

    evlog_source_gap(&from->of->base, why);
}

/* --- ops ----------------------------------------------------------------------------------------
 */

static void files_begin(struct evlog_source *s)
{
    struct files *f = (struct files *)s;

    for (unsigned i = 0; i < f->count; i++)
        evlog_tail_begin(f->file[i].tail);
}

static void files_poke(struct evlog_source *s)
{
    struct files *f = (struct files *)s;

    for (unsigned i = 0; i < f->count; i++)
        evlog_tail_read(f->file[i].tail);
}

static void files_drain(struct evlog_source *s)
{
    struct files *f = (struct files *)s;

    for (unsigned i = 0; i < f->count; i++)
        evlog_tail_drain(f->file[i].tail);
}

static void files_mark(const struct evlog_source *s, struct text *out)
{
    const struct files *f = (const struct files *)s;

    for (unsigned i = 0; i < f->count; i++) {
        if (i > 0)
            text_addc(out, '+');
        evlog_tail_mark(f->file[i].tail, out);
    }
}

/* The i-th of "MARK+MARK", into buf; "" behind the last one. */
static bool nth_mark(const char *marks, unsigned i, char *buf, size_t size)
{
    size_t n;

    for (; i > 0 && *marks != '\0'; i--) {
        marks += strcspn(marks, "+");
        marks += *marks == '+' ? 1 : 0;
    }
    n = strcspn(marks, "+");
    if (n >= size)
        return false;
    memcpy(buf, marks, n);
    buf[n] = '\0';
    return true;
}

static bool files_locate(const struct evlog_source *s, const char *mark, struct evlog_since *ret)
{
    const struct files *f = (const struct files *)s;
    char one[EVLOG_MARK];

    for (unsigned i = 0; i < f->count; i++) {
        if (!nth_mark(mark, i, one, sizeof(one)))
            return false;
        /* One that the mark does not know yet was opened after it, at its end: all of it is later.
         */
        if (one[0] != '\0' &&
            !evlog_tail_locate(f->file[i].tail, one, &ret->at[i].gen, &ret->at[i].off))
            return false;
    }
    return true;
}

static void files_health(const struct evlog_source *s, struct evlog_health *ret)
{
    const struct files *f = (const struct files *)s;

    for (unsigned i = 0; i < f->count; i++) {
        ret->missing = ret->missing || evlog_tail_missing(f->file[i].tail);
        ret->writable = ret->writable || evlog_tail_writable(f->file[i].tail);
    }
    ret->rollbacks = f->samba == NULL ? 0 : evlog_samba_rollbacks(f->samba);
}

static void files_free(struct evlog_source *s)
{
    struct files *f = (struct files *)s;

    loop_timer_stop(&f->hold);
    for (unsigned i = 0; i < EVLOG_FILES; i++)
        evlog_tail_close(&f->file[i].tail);
    evlog_samba_free(f->samba);
    free(f);
}

static const struct evlog_source_ops files_ops = {
    .begin = files_begin,
    .poke = files_poke,
    .drain = files_drain,
    .mark = files_mark,
    .locate = files_locate,
    .health = files_health,
    .free = files_free,
};

static int open_each(struct evlog_watcher *w, struct files *f, const struct evlog_files *spec,
                     struct err *e)
{
    static const struct evlog_tail_cbs cbs = {
        .line = on_line, .too_long = on_too_long, .gap = on_gap};
    bool all = spec->mark != NULL && strcmp(spec->mark, EVLOG_FROM_START) == 0;
    const char *inner = NULL;
    char one[EVLOG_MARK] = "", shown[TEXT_SHOWN];

    if (!all && spec->mark != NULL && spec->mark[0] != '\0' &&
        (strlen(spec->mark) >= EVLOG_MARK || (inner = evlog_mark_inner(spec->mark)) == NULL))
        return err_set(e, ERR_CONFIG, 0, "'%s' is no mark", text_shown(shown, spec->mark));
    for (unsigned i = 0; i < spec->count; i++) {
        f->file[i].of = f;
        f->file[i].number = i;
        /* A file more than the mark has: there was nothing to remember, so from its end. */
        if (inner != NULL && !nth_mark(inner, i, one, sizeof(one)))
            return err_set(e, ERR_CONFIG, 0, "'%s' is no mark", text_shown(shown, spec->mark));
        if (evlog_tail_open(evlog_watcher_loop(w), spec->paths[i], all ? "-" : one, &cbs,
                            &f->file[i], &f->file[i].tail, e) < 0)
            return -1;
        f->count = i + 1;
    }
    return 0;
}

int evlog_source_open_files(struct evlog_watcher *w, const struct evlog_files *spec,
                            evlog_ready_cb ready, void *arg, struct evlog_source **ret_source,
                            struct err *e)
{
    struct files *f;

    if (spec->count == 0 || spec->count > EVLOG_FILES)
        return err_set(e, ERR_CONFIG, 0, "event source: 1 to %d files, not %u", EVLOG_FILES,
                       spec->count);
    f = calloc(1, sizeof(*f));
    if (f == NULL)
        return err_set(e, ERR_NOMEM, 0, "event source");
    f->lines = spec->lines;
    if (((spec->lines & EVLOG_LINES_SAMBA) != 0 &&
         evlog_samba_new(spec->hold_ms, on_samba_event, f, &f->samba, e) < 0) ||
        open_each(w, f, spec, e) < 0 ||
        evlog_source_adopt(w, &f->base, &files_ops, spec->dc, ready, arg, e) < 0) {
        files_free(&f->base);
        return err_wrap(e, "event source");
    }
    *ret_source = &f->base;
    return 0;
}
