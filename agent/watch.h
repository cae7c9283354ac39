/* agent/watch.h -- the steps' view of the event log: open before the change, expect, hear once.
 *
 * A thin face over eventlog/: it knows which source belongs to which DC, turns marks into text for
 * the ledger and back, and says in words why an event may have failed to come.
 *
 * Files are opened at once. Over WinRM each DC is asked as soon as it is known and there is a
 * ticket (watch_follow); where it is about one account, the subscription waits until that is known
 * (watch_focus). A step waits for the log of its DC (watch_wait_start), never longer than
 * watch_within.
 */
#ifndef CORDON_AGENT_WATCH_H
#define CORDON_AGENT_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "eventlog/source.h"
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

/* Opens every file; ready is called once, from the loop, when all are open, or after
 * cfg->watch_within_ms; over WinRM at once, see above. NULL marks: from now. events = none gives a
 * watch that watches nothing. `hold`: WinRM: subscribe only after watch_focus. */
int watch_open(struct loop *l, const struct cfg *cfg, const struct cfg_domain *domain, bool hold,
               void (*ready)(void *arg), void *arg, struct watch **ret_watch, struct err *e);
/* Ask the DCs that are there by now, with the ticket that is there by now: whenever one of the set
 * changed. NULL watch, and one that follows files: nothing to do. */
struct ad_dcs;
void watch_follow(struct watch *w, struct ad_dcs *dcs);
/* A held watch: it is about this account (NULL: any). */
void watch_focus(struct watch *w, const struct ad_sid *target);
/* cb once, later, from the loop: that DC's log is open, or there is no more waiting for it; the
 * wait is gone then. false: there is nothing to wait for (or no memory), and cb is not called. */
struct watch_wait;
bool watch_wait_start(struct watch *w, const char *dc, void (*cb)(void *arg), void *arg,
                      struct watch_wait **ret_wait);
void watch_wait_cancel(struct watch_wait **wait); /* cb is not called any more */
/* Give every subscription back to its server; cb once, later, in at most 2 s. false: there is none,
 * and cb is not called. */
bool watch_end_start(struct watch *w, void (*cb)(void *arg), void *arg);
void watch_close(struct watch **w);
const char *watch_winrm_service(const struct cfg_domain *d); /* "HTTP" */
/* How that host's WinRM is reached by the settings of its domain. Borrows all its strings. */
struct winrm_settings;
void watch_winrm_settings(const struct cfg_domain *d, const char *host, const char *ccache,
                          struct winrm_settings *ret);
/* Hear every event of every log: evlog_watcher_listen, its rules. NULL takes it away. */
void watch_listen(struct watch *w, evlog_listen_cb cb, void *arg);
bool watch_is_on(const struct watch *w);                  /* events is not none */
bool watch_covers(const struct watch *w, const char *dc); /* that DC's log is open now */
/* For doctor: the i-th log, false past the end. Strings borrowed from the watch. */
struct watch_health {
    const char *dc; /* NULL: a collector's file, of all DCs */
    const char *paths[4];
    unsigned count;   /* of paths; 0: asked over WinRM */
    const char *name; /* the first path, or the host that is asked */
    bool open, missing, writable;
    const char *why;  /* it could not be opened; "" */
    int64_t event_ms; /* the last event: its own time; 0: none yet */
    uint64_t events;
};
bool watch_health(const struct watch *w, size_t i, struct watch_health *ret);
/* Where that DC's log stands, as text for the ledger, or "@" and the time where it is not open; ""
 * where none is watched. */
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
