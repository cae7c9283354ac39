/* eventlog/expect.h -- wait for the event that proves a change, and for no other.
 *
 *   evlog_expect_start   before or soon after the change is sent; collects from its mark on
 *   evlog_expect_settle  the DC has answered: now the clock runs
 *   cb                   once, from the loop: met, deadline or canceled. Then it is freed
 *
 * An event proves the change only if it is of a wanted kind, from the security channel and its
 * provider, a success, about this target, by this actor, logged at this DC and after the mark
 * (checklist X4). All else that touches the target is collected beside it: the same change by
 * somebody else, the opposite change, failures, the right event at the wrong DC.
 */
#ifndef CORDON_EVENTLOG_EXPECT_H
#define CORDON_EVENTLOG_EXPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "eventlog/event.h"
#include "eventlog/source.h"

struct evlog_expect;

enum evlog_when {
    EVLOG_ALWAYS,
    EVLOG_BITS_ROSE,    /* old lacks all of `bits`, new has them; Samba's replace form, which has no
                         * old value: new has them */
    EVLOG_BITS_FELL,    /* the other way round */
    EVLOG_BITS_UP,      /* new has all of `bits`, whatever was before */
    EVLOG_BITS_DOWN,    /* new has none of them */
    EVLOG_MUST_CHANGE,  /* PasswordLastSet: never */
    EVLOG_PASSWORD_SET, /* PasswordLastSet: a time */
};

struct evlog_want {
    uint32_t id; /* 0 ends the list */
    enum evlog_when when;
    uint32_t bits; /* SAM */
};
enum { EVLOG_WANTS = 4, EVLOG_DNS = 4, EVLOG_KEPT = 4 };

struct evlog_spec {
    struct evlog_want want[EVLOG_WANTS];     /* any of these is proof */
    struct evlog_want opposite[EVLOG_WANTS]; /* and these undo it */
    unsigned count;              /* proofs needed, each another event (duplicates by record id, or
                                  * transaction, do not count again); 0 is 1 */
    const char *target_sid;      /* "" or NULL only where the source has none */
    const char *target_dn;       /* for sources without SIDs */
    const char *actor_sid;       /* needed */
    uint64_t logon_id;           /* 0: unknown, not compared */
    const char *dc;              /* FQDN, needed */
    struct evlog_source *source; /* borrowed: only its events count; NULL: of any source */
    const char *mark;      /* of that source: only what was read after it, EVLOG_FROM_START: all
                            * that was read; NULL or "": what comes
                            * from now on */
    int64_t not_before_ms; /* by the DC's clock; 0: no bound */
    const char *remote;    /* our end of the connection, "10.0.0.1:4711" or Samba's "ipv4:...";
                            * another one still counts, and is reported. NULL: unknown */
    uint64_t within_ms;    /* the deadline, from now; 0: only evlog_expect_settle sets it, and
                            * nothing is called before that */
    uint64_t grace_ms;     /* once met, wait so long for the write's second event (4738 beside
                            * 4725); 0: only for what was read in the same turn */
};

/* Fill want and opposite. */
void evlog_want_disabled(struct evlog_spec *s);              /* 4725, or 4738 with 0x1 0 -> 1 */
void evlog_want_enabled(struct evlog_spec *s);               /* 4722, or 4738 with 0x1 1 -> 0 */
void evlog_want_must_change(struct evlog_spec *s);           /* 4738 with PasswordLastSet never */
void evlog_want_reset(struct evlog_spec *s, unsigned count); /* 4724, so many */
/* 4738 whose new value has `set` and lacks `cleared` (one of them 0), e.g. never-expires. */
void evlog_want_bits(struct evlog_spec *s, uint32_t set, uint32_t cleared);

enum evlog_end { EVLOG_MET, EVLOG_DEADLINE, EVLOG_CANCELED };

/* Events here are copies that are good until the callback returns; NULL: none. */
struct evlog_result {
    enum evlog_end end;
    unsigned needed, found;                      /* proofs */
    const struct evlog_event *proof[EVLOG_KEPT]; /* the first ones */
    unsigned proof_count;
    const struct evlog_event *second;   /* another event of the same write: ours, of a wanted id or
                                         * a 4738, but beyond what was needed */
    const struct evlog_event *foreign;  /* the same change by somebody else (the first one) */
    const struct evlog_event *opposite; /* the change undone (the last one), by whom ever... */
    bool opposite_is_ours;
    const struct evlog_event *failure;   /* our own attempt, refused (the last one) */
    const struct evlog_event *elsewhere; /* ours, but logged at another DC: it took the write */
    unsigned foreign_count, opposite_count, failure_count, elsewhere_count;
    unsigned empty_count;     /* 4738 of ours that show nothing ("-" everywhere), or not this */
    unsigned unproving_count; /* would count, but not from the security channel and provider, or
                               * not said to be a success */
    bool commit_unseen;       /* Samba: a proof whose commit line was not seen in time */
    bool other_connection;    /* a proof came from another address than `remote`... */
    const char *other_remote; /* ...namely this; "" none */
    bool lost;                /* events since the mark had already left the ring, or a gap in the
                               * log lies since then: absence proves nothing */
};
/* The callback may do anything, also start others, and free the watcher. */
typedef void (*evlog_expect_cb)(void *arg, const struct evlog_result *r);

/* Everything is copied. cb never runs inside this call, also where the event is there already.
 * Errors: ERR_INTERNAL (no actor, no dc, neither SID nor DN), ERR_INVALID (the mark), ERR_NOMEM. */
int evlog_expect_start(struct evlog_watcher *w, const struct evlog_spec *spec, evlog_expect_cb cb,
                       void *arg, struct evlog_expect **ret_expect, struct err *e);
/* The change was taken: the deadline is within_ms from now (at least one turn), and an
 * expectation that is met already calls in the next turn. May be called again. */
void evlog_expect_settle(struct evlog_expect *x, uint64_t within_ms);
/* The target has another DN now (a rename); what was read since the mark is looked through
 * again. Errors: ERR_TOOBIG (EVLOG_DNS of them), ERR_NOMEM. The same DN again is fine. */
int evlog_expect_add_dn(struct evlog_expect *x, const char *dn, struct err *e);
/* Proofs needed, while it still waits. */
void evlog_expect_count(struct evlog_expect *x, unsigned count);
/* Hurries the callback (EVLOG_CANCELED, or EVLOG_MET where it was). */
void evlog_expect_cancel(struct evlog_expect *x);
/* Sets *x to NULL: freed at once, cb is not called any more. For one's own closing. */
void evlog_expect_drop(struct evlog_expect **x);

#endif
