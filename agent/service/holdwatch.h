/* agent/service/holdwatch.h -- what the service contained is watched for hold_watch, for a
 * synchronisation or a person may give it back.
 *
 * Entra: read anew every minute, twenty at a time (let the graph batch: graph_batching). AD: an
 * event of the DCs' logs that says "enabled" (4722, or 4738 whose disabled bit is gone) makes it
 * read at that DC at once, so that an old event is no alarm; without events it is read every five
 * minutes. Each return to life is told once, until the account was seen disabled or was put back.
 * What cordon gives back itself ends the watch: `cordon enable` of this service (giving_back,
 * holdwatch_drop), or of anybody who acts as its account, by the event. At most
 * HOLDWATCH_PUT_BACKS times one is asked to be contained again; then it is only told. All of it is
 * on record, and a restart goes on from there.
 */
#ifndef CORDON_AGENT_SERVICE_HOLDWATCH_H
#define CORDON_AGENT_SERVICE_HOLDWATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ledger.h"
#include "base/err.h"
#include "base/loop.h"
#include "cloud/graph.h"
#include "config/config.h"
#include "eventlog/source.h"
#include "ldap/account.h"

struct holdwatch;

struct holdwatch_account { /* copied */
    const char *request, *case_id, *domain;
    const char *name;           /* for people */
    const char *sid, *dn;       /* in AD; NULL or "": not there */
    const struct ad_guid *guid; /* NULL: it is not read in AD */
    const char *entra_id;       /* NULL or "": not in Entra */
    const char *self_sid;       /* who we are in AD; NULL: not known */
};

enum { HOLDWATCH_PUT_BACKS = 3 };
enum holdwatch_where { HOLDWATCH_AD, HOLDWATCH_ENTRA };
struct holdwatch_return { /* borrowed for the call */
    const char *request, *case_id, *domain, *name, *sid, *entra_id;
    enum holdwatch_where where;
    const char *who;    /* "CORP\bob (S-1-5-...)"; "": not known */
    const char *what;   /* "event 4722 #88123 at dc1...", "seen when read again" */
    const char *policy; /* "put-back": `hold` of [entra] or of the domain says so; else "tell" */
    unsigned number;    /* of the put-back: 1, 2, ...; 0 */
    bool read;          /* it was read again and is alive; false: the event alone says so */
};

struct holdwatch_ops {
    /* The account as that DC shows it (AD_READ_PROVE); dc NULL: any of the domain. As
     * ad_read_start: 0 and the callback once, later; or -1. NULL: AD is not read. */
    int (*read_ad)(void *arg, const char *domain, const char *dc, const struct ad_guid *guid,
                   ad_read_cb cb, void *cb_arg, struct err *e);
    /* From the loop, never from inside a call here; it may add and drop. The record is queued: what
     * is added to the ledger inside is on disk with it. */
    void (*came_back)(void *arg, const struct holdwatch_return *r);
    /* Are we about to enable that one on purpose? Then it is not told now. NULL: never. */
    bool (*giving_back)(void *arg, const struct holdwatch_return *r);
};

/* Goes on with what the ledger says is still watched. All but ops is borrowed; graph NULL: there is
 * no Entra. */
int holdwatch_open(struct loop *l, struct ledger *ledger, struct graph *graph,
                   const struct cfg *cfg, const struct holdwatch_ops *ops, void *arg,
                   struct holdwatch **ret_watch, struct err *e);
/* Nothing is read any more, soon; what ends until it is closed is still kept on record. */
void holdwatch_pause(struct holdwatch *h);
/* came_back is not called any more. Frees itself when the reads under way have come back: let the
 * loop turn before the graph is freed. NULLs are fine. */
void holdwatch_close(struct holdwatch **h);

/* Contained now. The same request again: nothing. A watch of another request over the same account
 * ends, so that a return is told once. hold_watch = 0: nothing is watched. */
int holdwatch_add(struct holdwatch *h, const struct holdwatch_account *a, struct err *e);
/* It was contained again: the next return is told. The time is that of the first. */
void holdwatch_put_back(struct holdwatch *h, const char *request);
/* What came_back wanted could not be begun: it is looked at, and told, once more. */
void holdwatch_again(struct holdwatch *h, const char *request);
/* It was given back on purpose: `cordon enable` by the service itself. Every watch over that SID or
 * id in Entra ends; the other may be NULL. */
void holdwatch_drop(struct holdwatch *h, const char *sid, const char *entra_id);
/* For status. */
struct holdwatch_state { /* borrowed for the call */
    const char *request, *domain, *name;
    uint64_t left_ms;
    bool in_ad, in_entra;       /* watched there */
    bool ad_alive, entra_alive; /* told, and not seen disabled since */
    unsigned put_backs;
};
void holdwatch_each(const struct holdwatch *h,
                    void (*cb)(void *arg, const struct holdwatch_state *state), void *arg);
/* How many are watched. */
size_t holdwatch_count(const struct holdwatch *h);
/* For evlog_watcher_listen: arg is the holdwatch. */
void holdwatch_hear(void *arg, const struct evlog_source *s, const struct evlog_event *ev);

#endif
