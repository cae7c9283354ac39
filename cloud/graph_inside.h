/* cloud/graph_inside.h -- what the graph*.c files share; nobody else's. */
#ifndef CORDON_CLOUD_GRAPH_INSIDE_H
#define CORDON_CLOUD_GRAPH_INSIDE_H

#include "base/loop.h"
#include "cloud/graph.h"

enum graph_lane { GRAPH_LANE_NONE, GRAPH_LANE_RISK, GRAPH_LANE_AUDIT, GRAPH_LANES };

struct graph_call {
    struct graph *g;
    struct graph_call *prev, *next; /* all of g */
    struct graph_call *in_line;     /* waiting for a batch */
    char *method, *path, *body;
    int flags;
    size_t max_answer;
    uint64_t try_ms, deadline;
    graph_cb cb;
    void *arg;
    void (*forget)(void *arg); /* frees arg where the call is abandoned; NULL: its owner does */
    struct loop_timer *timer;
    struct token_ask *ask;
    struct http_call *http;
    unsigned token; /* which one it went with: graph.token_at then */
    bool renewed;   /* a 401 was answered with a new token */
    bool canceled;  /* the callback is to come soon */
    bool sent;      /* within a batch, too */
    bool unclear;   /* an earlier try may have acted */
    unsigned tries;
};

struct graph_batch;

struct graph {
    struct loop *loop;
    struct http *http;
    struct token_source *token;
    struct secret *used; /* the token of late, to say which one was refused */
    unsigned token_at;   /* the how-manieth it is */
    char *root;
    struct graph_call *calls;
    uint64_t answered; /* graph_answered */
    struct {
        uint64_t gap_ms, next;
    } pace[GRAPH_LANES];
    bool batching;
    unsigned batches_max, batches_open;
    /* Waiting for a batch: who is being acted on before who is looked up. Cases that have come far
     * come to their end so, one after the other, and new ones begin meanwhile; in one line they all
     * went in step, and nothing was in flight while the next ones were judged in AD. */
    struct graph_line {
        struct graph_call *first, **end;
    } lines[2];
    struct loop_timer *line_timer;
    struct graph_batch *batches;
    uint64_t operations;
};

bool graph_is_write(const struct graph_call *c); /* may it have changed something? */
/* What came, whichever way; all borrowed. */
struct graph_reply {
    long status;
    const struct cJSON *json; /* NULL: no body, or none that could be read: */
    const struct err *junk;   /* it is no clean JSON: why */
    const char *foreign;      /* it is not said to be JSON, but this: "text/html" */
    const char *request_id, *client_request_id;
    int64_t date_ms;
};
/* Ends the call: with the answer, or with an error. */
void graph_call_answer(struct graph_call *c, const struct graph_reply *r);
void graph_call_fail(struct graph_call *c, const struct err *e);

/* Remember with which token a request goes; and that it was refused. */
int graph_use(struct graph *g, const struct secret *authorization, unsigned *ret_token,
              struct err *e);
void graph_refused(struct graph *g, unsigned token, const char *claims);

/* graph_error.c: what a status other than 2xx means. Always -1. */
int graph_error(const struct graph_call *c, const struct graph_reply *r, struct err *e);

/* graph_batch.c */
bool graph_batch_takes(const struct graph_call *c);
int graph_batch_add(struct graph_call *c, struct err *e);
void graph_batch_no_line(struct graph *g);   /* empty ones */
void graph_batch_drop(struct graph_call *c); /* it waits in the line, and is to end */
void graph_batches_free(struct graph *g);

#endif
