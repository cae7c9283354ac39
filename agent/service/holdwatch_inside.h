/* agent/service/holdwatch_inside.h -- holdwatch.c and its records; nobody else's. */
#ifndef CORDON_AGENT_SERVICE_HOLDWATCH_INSIDE_H
#define CORDON_AGENT_SERVICE_HOLDWATCH_INSIDE_H

#include "agent/service/holdwatch.h"
#include "base/text.h"
#include "cloud/entra.h"

enum {
    HOLDWATCH_TICK_MS = 5 * 1000,
    HOLDWATCH_WHO = 320,
    HOLDWATCH_WHAT = 400,
};

struct holdwatch_entry {
    struct holdwatch *h;
    char *request, *case_id, *domain, *name, *sid, *dn_key, *entra_id, *self_sid; /* never NULL */
    bool has_guid, over;
    struct ad_guid guid;
    uint64_t until, entra_due, ad_due; /* by loop_now */
    bool in_ad_alive, in_entra_alive;  /* told, and not seen disabled since */
    unsigned put_backs;                /* asked for so far */
    struct entra_call *entra;
    bool reading_ad, heard, ours; /* heard: an event waits to be looked at; ours: it is by us */
    char dc[256], who[HOLDWATCH_WHO], what[HOLDWATCH_WHAT];
    bool entra_failing, ad_failing; /* said so */
};

struct holdwatch {
    struct loop *loop;
    struct ledger *ledger;
    struct graph *graph;
    const struct cfg *cfg;
    struct holdwatch_ops ops;
    void *arg;
    struct holdwatch_entry **list;
    size_t count, room;
    unsigned entra_reads, ad_reads;
    struct loop_timer *timer;
    bool closing, paused;
};

/* A watch more, for so long; not on record. */
int holdwatch_push(struct holdwatch *h, const struct holdwatch_account *a, uint64_t left_ms,
                   struct err *e);
struct holdwatch_entry *holdwatch_find(const struct holdwatch *h, const char *request);

/* --- holdwatch_ledger.c ------------------------------------------------------------------- */
int holdwatch_read(struct holdwatch *h, struct err *e); /* what is still watched */
int holdwatch_record_watching(struct holdwatch *h, const struct holdwatch_account *a,
                              struct err *e);
/* These are logged where they fail: a restart knows a little less. */
void holdwatch_record_back(const struct holdwatch_entry *x, const struct holdwatch_return *r);
void holdwatch_record_dead(const struct holdwatch_entry *x, enum holdwatch_where where);
void holdwatch_record_over(const struct holdwatch_entry *x);

#endif
