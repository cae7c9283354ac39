/* cloud/queue_azure_call.h -- inside cloud/queue_azure*.c: one request to the queue service. */
#ifndef CORDON_CLOUD_QUEUE_AZURE_CALL_H
#define CORDON_CLOUD_QUEUE_AZURE_CALL_H

#include "cloud/queue_azure_inside.h"
#include "cloud/token.h"

struct azure {
    struct queue q;
    struct http *http;          /* borrowed */
    struct token_source *token; /* borrowed; NULL */
    enum azure_auth auth;
    char *queue, *dead; /* URLs of the two queues */
    char *account;
    struct secret *key, *sas, *dead_sas; /* dead_sas NULL: sas */
    char agent[QUEUE_AGENT_MAX + 1];
    int flags; /* of http */
    unsigned singles;
};

struct azure_call;
/* a: NULL where no answer came; e: NULL with QUEUE_OK. */
typedef void (*azure_then)(struct azure_call *c, const struct http_answer *a, enum queue_end end,
                           const struct err *e);

struct azure_call {
    struct queue_call c;
    struct azure *a;
    struct text url, body; /* the URL with a SAS is a secret: wiped */
    const char *method;
    long want;
    bool to_dead; /* the URL is the dead-letter queue's */
    azure_then then;
    struct token_ask *ask;  /* in flight, or NULL */
    struct http_call *http; /* in flight, or NULL */
    struct secret *used;    /* the token that was sent */
    bool token_anew, again;
    uint64_t count;
};

void azure_call_init(struct azure_call *c, struct azure *a);
void azure_call_done(struct queue_call *c);
/* Begins c->url anew, of the queue or of its dead-letters; parameters may be added behind it. */
void azure_url(struct azure_call *c, bool dead, const char *rest);
/* Sends c->url and c->body, once (and once more with another token after a 401). `want` is the
 * status that means yes. */
int azure_ask(struct azure_call *c, const char *method, long want, azure_then then, struct err *e);
/* The same once more. */
int azure_again(struct azure_call *c, struct err *e);

#endif
