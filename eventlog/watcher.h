/* eventlog/watcher.h -- sources, and what is expected of them.
 *
 * A watcher combines the sources of one domain: each reads one place (a followed file or FIFO now;
 * a WinRM subscription or a WEF receiver later: struct evlog_source_ops) and belongs to one DC, or
 * to none (the event's own `computer` decides then). An expectation is met by events that arrived
 * after its mark, from the right DC, about the right target, by the right actor, with the right
 * content; the same change by someone else never meets it, and is reported.
 */
#ifndef CORDON_EVENTLOG_WATCHER_H
#define CORDON_EVENTLOG_WATCHER_H

#include "base/loop.h"
#include "eventlog/event.h"

struct evlog_watcher;
struct evlog_expect;

#define EVLOG_MARK 512

/* --- sources ------------------------------------------------------------------------------ */
/* What a source must be able to do. `self` is the source's own. */
struct evlog_source_ops {
    const char *name; /* "samba", "jsonl", later "winrm" */
    int (*open)(void *self, const char *mark, struct err *e); /* mark NULL: from now */
    bool (*is_open)(void *self, struct err *why);
    void (*mark)(void *self, char *buf, size_t size);
    void (*poke)(void *self);
    void (*close)(void *self); /* frees */
};

enum evlog_format { EVLOG_FORMAT_SAMBA, EVLOG_FORMAT_JSONL };

int evlog_watcher_new(struct loop *l, struct evlog_watcher **ret, struct err *e);
void evlog_watcher_free(struct evlog_watcher *w); /* expectations are dropped without a callback */

/* Follow a file or FIFO. dc: the host whose log this is, NULL: the event's `computer` decides. Several
 * files may belong to one DC (Samba's classes): they share one reader. Opened by evlog_watcher_open. */
int evlog_watcher_add_file(struct evlog_watcher *w, enum evlog_format format, const char *dc,
                           const char *path, struct err *e);
int evlog_watcher_add_source(struct evlog_watcher *w, const char *dc, const struct evlog_source_ops *ops,
                             void *self, struct err *e);
/* How such a source hands over an event (may be called from its own callbacks). */
void evlog_watcher_deliver(struct evlog_watcher *w, const char *dc, const struct evlog_event *ev);

/* Open all sources; those with a mark (evlog_watcher_resume_at) from there, the others from now. */
int evlog_watcher_open(struct evlog_watcher *w, struct err *e);
/* Before open: read that DC's sources from this mark (text of evlog_watcher_mark). Of several marks
 * for one DC the earliest one counts. */
int evlog_watcher_resume_at(struct evlog_watcher *w, const char *dc, const char *mark, struct err *e);
/* Where that DC's sources stand: "" if it has none. */
void evlog_watcher_mark(struct evlog_watcher *w, const char *dc, char buf[EVLOG_MARK]);
/* Is that DC's log open now (a source of its own, or one for all)? why (may be NULL): if not. */
bool evlog_watcher_covers(struct evlog_watcher *w, const char *dc, struct err *why);
/* Read now, since the DC has answered. NULL: all. */
void evlog_watcher_poke(struct evlog_watcher *w, const char *dc);
struct evlog_stats {
    uint64_t events, bad, gaps;
    int64_t last_event_ms; /* wall clock when it arrived; 0: none yet */
};
void evlog_watcher_stats(const struct evlog_watcher *w, const char *dc, struct evlog_stats *ret);

/* --- expectations ----------------------------------------------------------------------------- */
enum evlog_want {
    EVLOG_WANT_DISABLED, /* 4725, or 4738 whose SAM bit 0x1 went 0 -> 1 (or is set, where no old value is told) */
    EVLOG_WANT_ENABLED,  /* 4722, or 4738 with the bit 1 -> 0 (or clear, where no old value is told) */
    EVLOG_WANT_EXPIRED,  /* 4738 with PasswordLastSet %%1794 */
    EVLOG_WANT_RESET,    /* 4724 */
    EVLOG_WANT_CHANGED,  /* any 4738 that shows a change of UAC or PasswordLastSet */
};

struct evlog_expect_spec {
    enum evlog_want want;
    unsigned count;            /* how many such events (two resets); 0 is 1. The 4725 and the 4738 of one
                                  change are one. */
    const char *dc;            /* host of the DC that took the write */
    const char *target_sid, *actor_sid; /* text */
    const char *target_dn;     /* for sources without target SIDs */
    const char *remote;        /* our end, "ipv4:..."; NULL or "": unknown. Another one is noted, no more */
    int64_t not_before_ms;     /* by the DC's clock; 0: none. An event with an earlier time is not it */
    bool since_open;           /* also what arrived since the source was opened (resume), not only from now */
};

struct evlog_expect_result {
    bool met;
    unsigned seen;             /* events of ours that fit */
    char events[200];          /* "event 4725 #88123, 4738 #88124" of those */
    bool foreign;              /* the same change by another actor */
    char foreign_words[160];   /* "S-1-5-... (event 4725 #88120)" */
    bool foreign_first;        /* it came before ours */
    bool opposite;             /* the opposite change came after */
    bool failed_attempt;       /* an audit failure of ours was seen */
    bool other_connection;     /* ours by actor, but from another address than expected */
    uint64_t events_of_dc;     /* events of any kind that arrived from that DC meanwhile: 0 hints at auditing off */
    bool covered;              /* that DC's log was open at the end */
    struct err why;            /* if not covered */
};
typedef void (*evlog_expect_cb)(void *arg, const struct evlog_expect_result *r); /* borrowed */

/* Registers. cb once, from the loop (never inside a call of this header other than through the loop,
 * evlog_watcher_poke included: then in the next turn). It waits until evlog_expect_settle starts its clock. */
int evlog_expect_start(struct evlog_watcher *w, const struct evlog_expect_spec *spec, evlog_expect_cb cb,
                       void *arg, struct evlog_expect **ret, struct err *e);
/* The change was taken: from now on wait `within_ms` at most. After the first fitting event, up to 300 ms are
 * given to its companion (4738 after 4725), less when both are there. dn_now: as read back, if not NULL:
 * events under that DN count too, also those that came before this call. */
void evlog_expect_settle(struct evlog_expect *x, const char *dn_now, uint64_t within_ms);
void evlog_expect_count(struct evlog_expect *x, unsigned count);
void evlog_expect_cancel(struct evlog_expect **x); /* no callback; frees */

#endif
