/* eventlog/source_winrm.h -- the source that asks a DC for its Security log, over WinRM.
 *
 * A WS-Eventing pull subscription (winrm.md 4), filtered at the server; a long poll of its own
 * connection. It goes on by itself: a context that is over is subscribed anew from the last
 * bookmark, before the first one from a bounded time; a lost connection is made again; a refusal is
 * tried again slowly, since rights may be given. An event is handed over once. What the server may
 * have lost (log rolled over, an answer that can't be read) is a gap (evlog_health), after which
 * absence proves nothing.
 *
 * "Open" (evlog_health.open) is: subscribed, and a Pull is on its way.
 */
#ifndef CORDON_EVENTLOG_SOURCE_WINRM_H
#define CORDON_EVENTLOG_SOURCE_WINRM_H

#include "base/winrm.h"
#include "eventlog/source.h"

struct evlog_winrm {
    const struct winrm_settings *winrm; /* copied; host: whom to ask */
    const char *dc;         /* whose log it is; NULL: a collector, each event's computer says */
    const char *log;        /* NULL: "Security"; a collector's: "ForwardedEvents" */
    const char *target_sid; /* only events about this account; NULL: about any */
    const char *mark; /* evlog_source_mark of an earlier run: from there. NULL or "": from now */
    int64_t since_ms; /* wall clock: where there is no mark, and the subscription can only be
                         made later than that: from then. 0: from now */
    uint64_t poll_ms; /* heartbeat and long poll; 0: 5 s */
    bool hold;        /* log in, and wait for evlog_winrm_focus before subscribing */
};

/* `ready`: once; e NULL: open (with `hold`: logged in). With an error it goes on trying all the
 * same. ERR_CONFIG (a mark that is none), ERR_NOMEM. */
int evlog_source_open_winrm(struct evlog_watcher *w, const struct evlog_winrm *spec,
                            evlog_ready_cb ready, void *arg, struct evlog_source **ret_source,
                            struct err *e);
/* Of a source opened with `hold`, once: subscribe, for this account (NULL: any). `ready` as above.
 */
void evlog_winrm_focus(struct evlog_source *s, const char *target_sid, evlog_ready_cb ready,
                       void *arg);
/* A renewed ticket cache, for the logins to come. */
int evlog_winrm_ccache(struct evlog_source *s, const char *ccache, struct err *e);
/* Unsubscribe at the server, so that nothing of ours is left there; cb once, later, at most `ms`
 * from now. The source delivers nothing any more; close it then. */
void evlog_winrm_end(struct evlog_source *s, uint64_t ms, void (*cb)(void *arg), void *arg);

#endif
