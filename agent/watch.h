/* agent/watch.h -- the steps' view of the event log: open before the change, expect, hear once.
 *
 * A thin face over eventlog/: it knows which source belongs to which DC, turns marks into text for
 * the ledger and back, and says in words why an event may have failed to come.
 */
#ifndef CORDON_AGENT_WATCH_H
#define CORDON_AGENT_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "ldap/sid.h"

struct watch;
struct watch_expect;

enum watch_what {
    WATCH_DISABLED,      /* 4725, or 4738 whose SAM bit 0x1 went 0 -> 1 */
    WATCH_ENABLED,       /* 4722, or 4738 1 -> 0 */
    WATCH_EXPIRED,       /* 4738 with PasswordLastSet %%1794 */
    WATCH_RESET,         /* 4724, `count` times */
    WATCH_NEVER_CLEARED, /* 4738 whose new value lacks never-expires */
    WATCH_NEVER_SET,
    WATCH_PASSWORD_NOW, /* 4738 with a PasswordLastSet that is a time */
};

struct watch_spec {
    enum watch_what what;
    unsigned count; /* events needed; 0 counts as 1 */
    const char *dc; /* host */
    const struct ad_sid *target, *actor;
    const char *target_dn;
    const char *local;     /* our end of the connection, "ipv4:..."; "" unknown */
    const char *mark;      /* from watch_mark at some earlier run; NULL: now */
    int64_t not_before_ms; /* by the DC's clock; 0: no bound */
};

struct watch_result {
    bool met;
    char detail[256];  /* "event 4725 #88123, 4738 #88124", or why it probably did not come */
    char foreign[160]; /* someone else's same change in the window: "S-1-5-... (4725 #...)"; "" */
    bool opposite;     /* the log shows it undone afterwards */
};
typedef void (*watch_cb)(void *arg, const struct watch_result *r);

/* Opens every source; ready is called once, from the loop, when all are open, or after
 * cfg->watch_within_ms. NULL marks: from now. events = none gives a watch that watches nothing. */
int watch_open(struct loop *l, const struct cfg *cfg, const struct cfg_domain *domain,
               void (*ready)(void *arg), void *arg, struct watch **ret_watch, struct err *e);
void watch_close(struct watch **w);
bool watch_is_on(const struct watch *w);                  /* events is not none */
bool watch_covers(const struct watch *w, const char *dc); /* that DC's log is open now */
/* For doctor: the i-th log, false past the end. Strings borrowed from the watch. */
struct watch_health {
    const char *dc; /* NULL: a collector's file, of all DCs */
    const char *paths[4];
    unsigned count;
    bool open, missing, writable;
    const char *why; /* it could not be opened; "" */
};
bool watch_health(const struct watch *w, size_t i, struct watch_health *ret);
/* Where that DC's log stands, as text for the ledger; "" where it is not watched. */
void watch_mark(struct watch *w, const char *dc, char *buf, size_t size);
/* Reopen sources at marks of an earlier run, so that what was logged since is seen. Before ready.
 */
int watch_resume_at(struct watch *w, const char *dc, const char *mark, struct err *e);

/* The clock of the expectation starts with watch_expect_settle (the change is known to have been
 * taken); until then it only collects. cb once, from the loop, never from inside these calls. */
int watch_expect_start(struct watch *w, const struct watch_spec *spec, watch_cb cb, void *arg,
                       struct watch_expect **ret_expect, struct err *e);
void watch_expect_settle(struct watch_expect *x, const char *dn_now, uint64_t within_ms);
void watch_expect_count(struct watch_expect *x, unsigned count);
void watch_expect_cancel(struct watch_expect **x); /* cb is not called any more */
/* The DC has answered: read its log now rather than at the next notice. */
void watch_poke(struct watch *w, const char *dc);

#endif
