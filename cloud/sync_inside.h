/* cloud/sync_inside.h -- inside cloud/sync*.c only.
 *
 *   sync.c          pushes: asked for, ended once, told once
 *   sync_cloud.c    cloud sync: one request per user, five in ten seconds
 *   sync_lookup.c   cloud sync: which job and rule, remembered for all pushes
 *   sync_answer.c   what provisionOnDemand answers. Pure
 *   sync_connect.c  Entra Connect: one cycle for all who ask
 *   sync_cycle.c    the scripts, and what they print. Pure
 */
#ifndef CORDON_CLOUD_SYNC_INSIDE_H
#define CORDON_CLOUD_SYNC_INSIDE_H

#include "cloud/sync.h"

enum {
    SYNC_GUID = 37,
    SYNC_DN_MAX = 4096,
    SYNC_SENT_MS = 120 * 1000, /* longer than anything that was sent may take */
};

struct sync_work; /* one request of cloud sync, and those who wait for it */

struct sync_push {
    struct sync *s;
    struct sync_push *prev, *next; /* of all that are not told yet */
    char user_id[SYNC_GUID];
    char *dn; /* NULL: a check */
    bool want_enabled;
    sync_cb cb;
    void *arg;
    struct loop_timer *timer; /* how long it may wait; once settled: when it is told */
    uint64_t ends;            /* loop_now() */
    bool settled;
    bool sent;     /* and not answered yet */
    bool extended; /* past its waiting time, since it was sent */

    struct sync_work *work; /* cloud sync */
    struct sync_push *work_next;
    bool aboard; /* Connect: the start that is being made is for this one, too */
    struct sync_result r;
};

struct sync_cloud;
struct sync_connect;

struct sync {
    struct loop *loop;   /* borrowed */
    struct graph *graph; /* borrowed */
    enum sync_kind kind;
    char *domain, *server;
    struct sync_runner runner;
    uint64_t wait_ms, lookup_ms, cycle_every_ms, cycle_wait_ms;
    struct sync_push *pushes;
    struct sync_cloud *cloud;
    struct sync_connect *connect;
};

/* Ends a push, once: it is told in the next turn. `r` is copied. */
void sync_settle(struct sync_push *p, const struct sync_result *r);
/* A result with words, printf-like. */
void sync_result_set(struct sync_result *r, enum sync_outcome o, enum err_code code,
                     const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* From an error of something that was not sent, or clearly refused; `changes`: it was a push or a
 * start, whose unclear end is SYNC_UNCLEAR. */
void sync_result_err(struct sync_result *r, const struct err *e, bool changes);

int sync_cloud_new(struct sync *s, struct err *e);
void sync_cloud_free(struct sync_cloud *c);
int sync_cloud_add(struct sync_push *p, struct err *e);
void sync_cloud_drop(struct sync_push *p); /* it waits no more */

int sync_connect_new(struct sync *s, struct err *e);
void sync_connect_free(struct sync_connect *c);
void sync_connect_add(struct sync_push *p);
void sync_connect_late(struct sync_push *p, struct sync_result *r); /* its waiting time is over */

/* Job and rule. The callback runs later; one look-up at a time. */
struct sync_lookup;
struct sync_found {
    char sp[SYNC_GUID], job[96], rule[128];
    char health[256]; /* "": well */
    char state[288];  /* "active; the last run ended 2026-...: Succeeded" */
};
typedef void (*sync_lookup_cb)(void *arg, const struct sync_found *f, const struct err *e);
int sync_lookup_start(struct graph *g, const char *domain, sync_lookup_cb cb, void *arg,
                      struct sync_lookup **ret_lookup, struct err *e);
void sync_lookup_abandon(struct sync_lookup *l); /* the callback is never made */

/* Pure parts of the look-up. Return -1 with a reason. */
struct cJSON;
/* One job of the list: is it ours ("AD2AADProvisioning.")? Then id, health and state are filled. */
bool sync_read_job(const struct cJSON *job, const char *domain, struct sync_found *ret_found,
                   bool *ret_active, struct err *e, bool *ret_failed);
int sync_read_schema(const struct cJSON *schema, char *rule, size_t size, struct err *e);

#endif
