/* cloud/queue_inside.h -- inside cloud/queue*.c only: what every engine shares.
 *
 *   queue_X_start      check, copy, ops->start                      cloud/queue.c
 *   queue_end*         the one way out of a call: callback, memory  cloud/queue.c
 *   queue_envelope_*   what goes around a text in a foreign store   cloud/queue_envelope.c
 *
 * A call is in its queue's list until its end, or until queue_free or queue_message_free let it go
 * (ops->drop): so each callback is made once or not at all.
 */
#ifndef CORDON_CLOUD_QUEUE_INSIDE_H
#define CORDON_CLOUD_QUEUE_INSIDE_H

#include "base/text.h"
#include "cloud/queue.h"

enum queue_verb {
    QUEUE_RECEIVE,
    QUEUE_RENEW,
    QUEUE_COMPLETE,
    QUEUE_RELEASE,
    QUEUE_DEAD,
    QUEUE_PUT,
    QUEUE_DEPTH,
};

enum { QUEUE_AGENT_MAX = 64, QUEUE_BATCH_MAX = 32, QUEUE_REASON_MAX = 1024 };

struct queue_call;

struct queue_ops {
    size_t call_size; /* of what begins with struct queue_call */
    uint64_t max_delay_ms, max_ttl_ms;
    int (*start)(struct queue_call *c, struct err *e);
    /* Ends c at once, without a callback, and frees it (queue_call_free) now or when it can. */
    void (*drop)(struct queue_call *c);
    void (*done)(struct queue_call *c); /* frees the engine's part */
    void (*close)(struct queue *q);     /* frees the engine; no call is left in the list */
};

struct queue { /* the first member of an engine's own */
    const struct queue_ops *ops;
    struct loop *loop;
    struct queue_caps caps;
    char *name;
    struct queue_call *calls;
    void (*news)(void *arg);
    void *news_arg;
};

/* A message as we hold it. */
struct queue_held {
    struct queue_message m;  /* its strings are those below; m.engine is this struct */
    struct queue_call *call; /* the one verb on it, or NULL */
    char *id, *text, *claim;
    char *raw;     /* as it lies in a foreign store */
    char *key;     /* what proves that we hold it: the newest pop receipt, the file's name */
    bool dead_put; /* half of a dead-letter is done */
};

struct queue_call { /* the first member of an engine's own */
    struct queue *q;
    const struct queue_ops *ops;
    struct queue_call *next, *prev;
    enum queue_verb verb;
    struct queue_held *held; /* of renew, complete, release, dead */
    queue_receive_cb receive_cb;
    queue_cb cb;
    queue_depth_cb depth_cb;
    void *arg;
    /* What was asked. */
    unsigned max;
    uint64_t ms; /* lease, delay or time to live */
    char *text;  /* of a put */
    size_t len;
    char *word;     /* claim or reason; NULL */
    uint64_t began; /* loop_now before anything was sent */
};

/* The ways out. They run the callback, then free c. */
void queue_end(struct queue_call *c, enum queue_end end, const struct err *e);
void queue_end_receive(struct queue_call *c, struct queue_held **held, size_t n, enum queue_end end,
                       const struct err *e); /* with QUEUE_OK the messages change hands */
void queue_end_depth(struct queue_call *c, uint64_t count, int64_t oldest_ms);
void queue_call_free(struct queue_call *c);

struct queue_held *queue_held_new(struct queue *q); /* NULL: no memory */
void queue_held_free(struct queue_held *h);
void queue_held_freep(struct queue_held **h);
/* m's view of its strings. */
void queue_held_show(struct queue_held *h, size_t len);

void queue_news(struct queue *q); /* calls whoever wants to know */
bool queue_agent_ok(const char *agent);
/* What a caller may do about e, where nothing better is known. */
enum queue_end queue_end_of(const struct err *e);

/* --- envelope -------------------------------------------------------------------------------- */

struct queue_envelope {
    char *request; /* UTF-8 without NUL */
    size_t len;
    char claim[QUEUE_AGENT_MAX + 1]; /* "" */
};
void queue_envelope_done(struct queue_envelope *v);
/* raw: a JWS, JSON, or base64 of either; JSON with "v" and "request" is an envelope, whatever else
 * it holds. ERR_INVALID, ERR_TOOBIG, ERR_NOMEM. */
int queue_envelope_read(const char *raw, struct queue_envelope *ret_envelope, struct err *e);
/* Appends JSON; claim and reason may be NULL. */
void queue_envelope_write(struct text *t, const char *request, size_t len, const char *claim,
                          const char *reason);
void queue_base64(struct text *t, const void *p, size_t n);
/* Strict (RFC 4648 4): padded, nothing around it. buf has n bytes, which are written to in any
 * case.
 */
bool queue_unbase64(uint8_t *buf, const char *s, size_t n, size_t *ret_n);

#endif
