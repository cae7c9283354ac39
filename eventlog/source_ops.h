/* eventlog/source_ops.h -- what a source is made of, for those who write one (inside this floor).
 *
 * A source embeds struct evlog_source, fills in its ops, calls evlog_source_adopt when it is open,
 * and then hands over events with evlog_source_deliver from its own callbacks.
 */
#ifndef CORDON_EVENTLOG_SOURCE_OPS_H
#define CORDON_EVENTLOG_SOURCE_OPS_H

#include "eventlog/source.h"

/* From where on events of a source count. */
struct evlog_since {
    bool by_seq;  /* a mark of this run: by the order of reading, which is exact */
    uint64_t seq; /* what came later has a higher one */
    struct {
        uint32_t gen;
        uint64_t off;
    } at[EVLOG_FILES]; /* a mark of an earlier run: by place */
};

struct evlog_source_ops {
    void (*begin)(struct evlog_source *s); /* after ready: deliver from now on */
    void (*poke)(struct evlog_source *s);
    void (*drain)(struct evlog_source *s); /* before a mark: read all there is */
    void (*mark)(const struct evlog_source *s, struct text *out); /* no blanks, no '!' */
    bool (*locate)(const struct evlog_source *s, const char *mark, struct evlog_since *ret);
    void (*health)(const struct evlog_source *s, struct evlog_health *ret); /* what it adds */
    void (*free)(struct evlog_source *s); /* stops everything, frees all but what base holds */
};

struct evlog_source {
    const struct evlog_source_ops *ops;
    struct evlog_watcher *watcher;
    struct evlog_source *next;
    uint32_t id; /* never used twice, unlike an address */
    char *dc;    /* or NULL */
    struct evlog_health health;
    uint64_t gap_seq; /* the sequence at the last gap; 0: none */
    evlog_ready_cb ready;
    void *ready_arg;
    struct loop_timer *ready_timer;
};

struct loop *evlog_watcher_loop(const struct evlog_watcher *w);
/* Takes its place in the watcher; ready comes in the next turn, then ops->begin. ERR_NOMEM: s is
 * still the caller's. */
int evlog_source_adopt(struct evlog_watcher *w, struct evlog_source *s,
                       const struct evlog_source_ops *ops, const char *dc, evlog_ready_cb ready,
                       void *arg, struct err *e);
uint64_t evlog_source_next_seq(struct evlog_source *s); /* for each line or record, as it is read */
void evlog_source_deliver(struct evlog_source *s, const struct evlog_event *ev,
                          const struct evlog_pos *pos);
void evlog_source_bad(struct evlog_source *s, const struct err *e);
void evlog_source_gap(struct evlog_source *s, const char *why);

/* The part of an evlog_source_mark that is the source's own: behind the envelope "run.seq!". NULL:
 * no such mark. */
const char *evlog_mark_inner(const char *mark);
/* What a mark means for this source. ERR_INVALID: nothing. */
int evlog_source_since(const struct evlog_source *s, const char *mark, struct evlog_since *ret,
                       struct err *e);
bool evlog_since_covers(const struct evlog_since *since, const struct evlog_pos *pos);

/* --- the set of expectations (expect.c) ------------------------------------------------------- */

struct evlog_set;
int evlog_set_new(struct evlog_watcher *w, struct evlog_set **ret_set, struct err *e);
void evlog_set_free(struct evlog_set *set);
/* Keep it for expectations to come, and show it to those there are. */
void evlog_set_event(struct evlog_set *set, uint32_t source, const struct evlog_event *ev,
                     const struct evlog_pos *pos);
struct evlog_set *evlog_watcher_set(const struct evlog_watcher *w);
uint64_t evlog_watcher_seq(const struct evlog_watcher *w); /* the last one that was given out */
/* The sequence at the last gap of that source, or of any (0); UINT64_MAX where it is closed. */
uint64_t evlog_watcher_gap(const struct evlog_watcher *w, uint32_t source);

#endif
