/* cloud/graph.h -- calls to Microsoft Graph: token, conventions, errors in words, paging, $batch.
 *
 * Every call carries a client-request-id and, where the directory service is asked, a high throttle
 * priority; 401 is answered with one new token (claims challenge included), 429 by waiting as told.
 * Identity Protection's one request a second and the audit log's five in ten seconds are kept here,
 * for all callers together. A token never goes to another host than the Graph root's.
 * entra-graph.md sections 3 and 10.
 */
#ifndef CORDON_CLOUD_GRAPH_H
#define CORDON_CLOUD_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http.h"
#include "base/json.h"
#include "cloud/token.h"

struct graph;
struct graph_call;

int graph_new(struct loop *l, struct http *h, struct token_source *token, const char *root,
              struct graph **ret_graph, struct err *e); /* root: "https://graph.microsoft.com" */
void graph_free(struct graph *g); /* calls still running end without their callbacks */
void graph_freep(struct graph **g);

enum {
    GRAPH_BETA = 1,       /* /beta instead of /v1.0 */
    GRAPH_EVENTUAL = 2,   /* ConsistencyLevel: eventual */
    GRAPH_READS = 4,      /* a POST that changes nothing (runHuntingQuery): safe to repeat */
    GRAPH_IDEMPOTENT = 8, /* a write whose repetition does no harm (PATCH accountEnabled, revoke) */
    GRAPH_ALONE = 16,     /* never in a $batch (long answers, provisionOnDemand) */
    GRAPH_ENUMS = 32,     /* Prefer: include-unknown-enum-members */
    GRAPH_SOON = 64, /* before the others that wait for a $batch; writes are so by themselves */
};

struct graph_ask { /* copied */
    const char *method;
    const char *path; /* behind the version, encoded: "/users/GUID?$select=id" */
    const char *body; /* JSON text; NULL: none */
    int flags;
    size_t max_answer;       /* 0: 1 MiB */
    uint64_t try_ms, all_ms; /* 0: 15 s, 30 s */
};

struct graph_answer {         /* borrowed during the callback */
    long status;              /* 2xx here; everything else is an error */
    const struct cJSON *json; /* NULL: no body */
    const char *request_id, *client_request_id;
    int64_t date_ms; /* the server's clock */
};

/* What was refused, and how, for callers that tell kinds apart. */
enum graph_why {
    GRAPH_WHY_NONE,
    GRAPH_WHY_ON_PREM, /* 400: the property is mastered on premises */
    GRAPH_WHY_UNSUPPORTED_QUERY,
    GRAPH_WHY_PERMISSION, /* 403: our token lacks a role that the call needs */
    GRAPH_WHY_PRIVILEGED, /* 403 though the token has it: target is an administrator */
    GRAPH_WHY_RESTRICTED, /* 403: restricted management administrative unit */
    GRAPH_WHY_LICENCE,    /* 403: no P1/P2 */
    GRAPH_WHY_NOT_FOUND,
    GRAPH_WHY_THROTTLED,
    GRAPH_WHY_OTHER,
};

/* Errors: ERR_NOTFOUND (404), ERR_DENIED (403), ERR_AUTH (401 twice), ERR_BUSY (429, 503 to the
 * end), ERR_REFUSED (other 4xx), ERR_UNPROVEN (a write without a clear end: 5xx, cut, time-out),
 * ERR_TIMEOUT, ERR_UNSENT, ERR_INVALID (no JSON, a member missing), ERR_TOOBIG. The message names
 * code, request-id and what to do. err->native is the HTTP status; graph_why_of() its kind. */
typedef void (*graph_cb)(void *arg, const struct graph_answer *a, const struct err *e);
int graph_start(struct graph *g, const struct graph_ask *ask, graph_cb cb, void *arg,
                struct graph_call **ret_call, struct err *e);
void graph_cancel(struct graph_call *c);
/* Ends it at once: its callback is never made. Not from that callback. NULL is fine. */
void graph_abandon(struct graph_call *c);
enum graph_why graph_why_of(const struct err *e); /* kept in err->native beside the status */
long graph_status_of(const struct err *e);

/* All pages: `each` for every item of `value` (return false: enough), then `done` once. pages_max:
 * more is ERR_TOOBIG. A nextLink to another root, or to a page that was fetched before, is
 * ERR_INVALID and never followed. */
typedef bool (*graph_each)(void *arg, const struct cJSON *item);
int graph_list(struct graph *g, const struct graph_ask *ask, unsigned pages_max, graph_each each,
               void (*done)(void *arg, const struct err *e), void *arg,
               struct graph_call **ret_call, struct err *e);

/* While on, calls without GRAPH_ALONE of one version that are started in the same turn of the loop
 * (or while the window of `batches` in flight is full) go out together in a $batch of up to 20.
 * Each caller sees its own answer as if it were alone; throttled parts alone are sent again. */
void graph_batching(struct graph *g, bool on, unsigned batches);

struct loop *graph_loop(const struct graph *g);
const char *graph_root(const struct graph *g);
struct token_source *graph_token(const struct graph *g);
uint64_t graph_operations(const struct graph *g); /* logical calls so far */
bool graph_is_idle(const struct graph *g);        /* no call is under way */
/* By loop_now: when Graph last answered a call with what was asked for; 0: not yet. */
uint64_t graph_answered(const struct graph *g);

#endif
