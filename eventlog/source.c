/* eventlog/source.c -- the watcher, and what all sources have in common; see source.h.
 *
 * A mark is "RUN.SEQ!INNER": in the run that took it, SEQ alone decides what is later, exactly;
 * after a restart the source's own part does, as well as it can.
 */
#include "eventlog/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/stamp.h"
#include "eventlog/source_ops.h"

struct evlog_watcher {
    struct loop *loop; /* borrowed */
    uint64_t run;      /* tells this run's marks from others' */
    uint64_t seq;
    uint32_t ids;
    struct evlog_source *sources;
    struct evlog_set *set;
    evlog_listen_cb listen;
    void *listen_arg;
};

int evlog_watcher_new(struct loop *l, struct evlog_watcher **ret_watcher, struct err *e)
{
    struct evlog_watcher *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return err_set(e, ERR_NOMEM, 0, "event watcher");
    w->loop = l;
    if (id_random(&w->run, sizeof(w->run), e) < 0 || evlog_set_new(w, &w->set, e) < 0) {
        free(w);
        return err_wrap(e, "event watcher");
    }
    *ret_watcher = w;
    return 0;
}

void evlog_watcher_free(struct evlog_watcher *w)
{
    if (w == NULL)
        return;
    while (w->sources != NULL) {
        struct evlog_source *s = w->sources;

        evlog_source_close(&s);
    }
    evlog_set_free(w->set);
    free(w);
}

void evlog_watcher_listen(struct evlog_watcher *w, evlog_listen_cb cb, void *arg)
{
    w->listen = cb;
    w->listen_arg = arg;
}

struct loop *evlog_watcher_loop(const struct evlog_watcher *w)
{
    return w->loop;
}

struct evlog_set *evlog_watcher_set(const struct evlog_watcher *w)
{
    return w->set;
}

uint64_t evlog_watcher_seq(const struct evlog_watcher *w)
{
    return w->seq;
}

uint64_t evlog_watcher_gap(const struct evlog_watcher *w, uint32_t source)
{
    uint64_t last = source == 0 ? 0 : UINT64_MAX;

    for (const struct evlog_source *s = w->sources; s != NULL; s = s->next) {
        if (s->id == source)
            return s->gap_seq;
        if (source == 0 && s->gap_seq > last)
            last = s->gap_seq;
    }
    return last;
}

/* --- one source's life ------------------------------------------------------------------------ */

static void on_begin(void *arg)
{
    struct evlog_source *s = arg;

    s->ready_timer = NULL;
    s->ops->begin(s);
}

static void on_ready(void *arg)
{
    struct evlog_source *s = arg;

    /* A turn later, and armed first: ready may close the source, and the watcher with it. Where
     * there is no memory for that, at once. */
    s->ready_timer = loop_timer_start(s->watcher->loop, 0, on_begin, s);
    if (s->ready_timer == NULL)
        s->ops->begin(s);
    if (s->ready != NULL)
        s->ready(s->ready_arg, s, NULL); /* may free s; do not touch it below */
}

int evlog_source_adopt(struct evlog_watcher *w, struct evlog_source *s,
                       const struct evlog_source_ops *ops, const char *dc, evlog_ready_cb ready,
                       void *arg, struct err *e)
{
    s->ops = ops;
    s->watcher = w;
    s->ready = ready;
    s->ready_arg = arg;
    s->dc = text_dup(dc);
    if (dc != NULL && s->dc == NULL)
        return err_set(e, ERR_NOMEM, 0, "event source");
    s->ready_timer = loop_timer_start(w->loop, 0, on_ready, s);
    if (s->ready_timer == NULL) {
        free(s->dc);
        s->dc = NULL;
        return err_set(e, ERR_NOMEM, 0, "event source");
    }
    s->id = ++w->ids;
    s->health.open = true;
    s->next = w->sources;
    w->sources = s;
    return 0;
}

void evlog_source_close(struct evlog_source **sp)
{
    struct evlog_source *s = *sp, **at;

    *sp = NULL;
    if (s == NULL)
        return;
    for (at = &s->watcher->sources; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    loop_timer_stop(&s->ready_timer);
    free(s->dc);
    s->ops->free(s);
}

const char *evlog_source_dc(const struct evlog_source *s)
{
    return s->dc;
}

void evlog_source_poke(struct evlog_source *s)
{
    s->ops->poke(s);
}

/* --- what comes in ------------------------------------------------------------------------------
 */

uint64_t evlog_source_next_seq(struct evlog_source *s)
{
    return ++s->watcher->seq;
}

void evlog_source_deliver(struct evlog_source *s, const struct evlog_event *ev,
                          const struct evlog_pos *pos)
{
    struct evlog_watcher *w = s->watcher;
    struct evlog_event named = *ev;

    /* Samba's lines do not say whose they are; a Windows event does, and is believed. */
    if (named.computer[0] == '\0' && s->dc != NULL)
        named.computer = s->dc;
    s->health.events++;
    if (named.has_time) {
        s->health.event_ms = named.time_ms;
        s->health.seen_ms = stamp_now_ms();
        s->health.lag_ms = s->health.seen_ms - named.time_ms;
    }
    if (w->listen != NULL)
        w->listen(w->listen_arg, s, &named);
    evlog_set_event(w->set, s->id, &named, pos);
}

void evlog_source_bad(struct evlog_source *s, const struct err *e)
{
    s->health.bad++;
    (void)text_shown(s->health.last_bad, e->msg);
}

void evlog_source_gap(struct evlog_source *s, const char *why)
{
    s->health.gaps++;
    s->gap_seq = evlog_source_next_seq(s);
    (void)text_shown(s->health.last_gap, why);
}

void evlog_source_health(const struct evlog_source *s, struct evlog_health *ret)
{
    *ret = s->health;
    s->ops->health(s, ret);
}

/* --- marks
 * ----------------------------------------------------------------------------------------- */

void evlog_source_mark(struct evlog_source *s, char buf[EVLOG_MARK])
{
    CLEANUP(text_done) struct text t = TEXT_INIT(EVLOG_MARK - 1);

    s->ops->drain(s);
    text_addf(&t, "%" PRIx64 ".%" PRIx64 "!", s->watcher->run, s->watcher->seq);
    s->ops->mark(s, &t);
    buf[0] = '\0';
    if (!t.failed)
        memcpy(buf, t.s, t.len + 1);
}

/* "RUN.SEQ!INNER" */
static bool mark_parse(const char *mark, uint64_t *ret_run, uint64_t *ret_seq,
                       const char **ret_inner)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = strspn(mark, digits), m;
    char *end;

    if (n == 0 || n > 16 || mark[n] != '.')
        return false;
    m = strspn(mark + n + 1, digits);
    if (m == 0 || m > 16 || mark[n + 1 + m] != '!')
        return false;
    *ret_run = strtoull(mark, &end, 16);
    *ret_seq = strtoull(end + 1, &end, 16);
    *ret_inner = end + 1;
    return true;
}

const char *evlog_mark_inner(const char *mark)
{
    const char *inner;
    uint64_t run, seq;

    return mark_parse(mark, &run, &seq, &inner) ? inner : NULL;
}

int evlog_source_since(const struct evlog_source *s, const char *mark, struct evlog_since *ret,
                       struct err *e)
{
    const char *inner;
    char shown[TEXT_SHOWN];
    uint64_t run, seq;

    *ret = (struct evlog_since){0};
    if (strcmp(mark, EVLOG_FROM_START) == 0) { /* all that was read */
        ret->by_seq = true;
        return 0;
    }
    if (strlen(mark) >= EVLOG_MARK || !mark_parse(mark, &run, &seq, &inner))
        return err_set(e, ERR_INVALID, 0, "'%s' is no mark", text_shown(shown, mark));
    if (run == s->watcher->run) {
        ret->by_seq = true;
        ret->seq = seq;
        return 0;
    }
    if (!s->ops->locate(s, inner, ret))
        return err_set(e, ERR_INVALID, 0, "'%s' is no mark of this source",
                       text_shown(shown, mark));
    return 0;
}

bool evlog_since_covers(const struct evlog_since *since, const struct evlog_pos *pos)
{
    if (since->by_seq)
        return pos->seq > since->seq;
    if (pos->file >= EVLOG_FILES)
        return false;
    return pos->gen > since->at[pos->file].gen ||
           (pos->gen == since->at[pos->file].gen && pos->off >= since->at[pos->file].off);
}
