/* cloud/queue.h -- a queue of texts with leases: five verbs, several engines.
 *
 *   receive      some messages, each hidden from others for a lease
 *   renew        the lease anew; with the first one, our claim goes onto the message
 *   complete     it is done: gone for good
 *   release      somebody else may have it, at once or later
 *   dead-letter  put aside, with the reason, for a person
 *
 * At least once, in no order. The agent's own monotonic deadline, taken before a receive or renew
 * is sent, says when a lease is over; a server's word only shortens it. Engines: a spool directory
 * (cloud/queue_spool.c), Azure Queue Storage (cloud/queue_azure.c). azure-queue-storage.md 10.3.
 *
 * The asynchronous contract of style.md, 1. A message belongs to its receiver until
 * queue_message_free; one verb at a time on it.
 */
#ifndef CORDON_CLOUD_QUEUE_H
#define CORDON_CLOUD_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

struct queue;

struct queue_caps {
    unsigned max_batch;
    uint64_t max_lease_ms;
    bool fixed_lease; /* the server decides how long */
    size_t max_text;  /* bytes that queue_put takes */
};

struct queue_message {
    struct queue *queue;
    const char *id; /* the engine's, for logs */
    const char
        *text; /* what was put, decoded; NUL behind it. NULL: it could not be decoded: `why` */
    size_t len;
    const char *claim;   /* of whoever held it last (an agent's id); "" */
    unsigned deliveries; /* this one included; a hint */
    uint64_t ends;       /* loop_now when the lease is over; moves with each renew */
    int64_t put_ms;      /* when it was put, by the server's clock; 0 unknown */
    struct err why;
    void *engine; /* private */
};
void queue_message_free(
    struct queue_message *m); /* the lease, if any is left, runs out by itself */

enum queue_end {
    QUEUE_OK,
    QUEUE_GONE,  /* there is no such message any more: somebody completed it */
    QUEUE_LOST,  /* another one has it now: begin nothing new for it */
    QUEUE_RETRY, /* not now: an outage, a throttle; the state is unknown */
    QUEUE_AUTH,  /* a right or a credential is missing */
    QUEUE_FATAL, /* configuration, or our bug */
};

/* msgs: n of them, now the caller's; n may be 0. e: QUEUE_RETRY, AUTH, FATAL in `end`. */
typedef void (*queue_receive_cb)(void *arg, struct queue_message **msgs, size_t n,
                                 enum queue_end end, const struct err *e);
int queue_receive_start(struct queue *q, unsigned max, uint64_t lease_ms, queue_receive_cb cb,
                        void *arg, struct err *e);
typedef void (*queue_cb)(void *arg, enum queue_end end,
                         const struct err *e); /* e NULL with OK, GONE */
/* claim: NULL leaves what is there. */
int queue_renew_start(struct queue_message *m, uint64_t lease_ms, const char *claim, queue_cb cb,
                      void *arg, struct err *e);
int queue_complete_start(struct queue_message *m, queue_cb cb, void *arg, struct err *e);
int queue_release_start(struct queue_message *m, uint64_t delay_ms, queue_cb cb, void *arg,
                        struct err *e);
int queue_dead_start(struct queue_message *m, const char *reason, queue_cb cb, void *arg,
                     struct err *e);
/* ttl_ms 0: as long as the engine keeps it. Safe to do again where the end is not known: at least
 * once. */
int queue_put_start(struct queue *q, const char *text, size_t len, uint64_t ttl_ms, queue_cb cb,
                    void *arg, struct err *e);
typedef void (*queue_depth_cb)(void *arg, uint64_t count, int64_t oldest_ms /* 0 unknown */,
                               enum queue_end end, const struct err *e);
int queue_depth_start(struct queue *q, queue_depth_cb cb, void *arg, struct err *e);

const struct queue_caps *queue_caps(const struct queue *q);
const char *queue_name(const struct queue *q); /* for logs: "spool:/var/lib/...", without secrets */
/* Calls still there end without their callbacks. */
void queue_free(struct queue *q);
void queue_freep(struct queue **q);

/* --- engines --------------------------------------------------------------------------------- */

struct queue_spool_settings { /* copied */
    const char *dir;   /* 0700, ours; made with new/ claimed/ done/ dead/ inside where missing */
    const char *agent; /* id of this process's claims */
    bool watch;        /* tell at once when a file comes (inotify) */
};
int queue_spool_new(struct loop *l, const struct queue_spool_settings *s, struct queue **ret_queue,
                    struct err *e);

struct http;
struct token_source;
struct secret;
struct queue_azure_settings {   /* copied */
    const char *url;            /* base, "https://ACCOUNT.queue.core.windows.net" */
    const char *account;        /* for Shared Key */
    const char *queue;          /* its name */
    const char *dead;           /* NULL: "QUEUE-poison" */
    const struct secret *key;   /* Shared Key, base64 as the portal shows it; or */
    const struct secret *sas;   /* a ready SAS, "sv=...&sig=..."; or */
    struct token_source *token; /* Entra; borrowed */
    const char *agent;
};
int queue_azure_new(struct loop *l, struct http *http, const struct queue_azure_settings *s,
                    struct queue **ret_queue, struct err *e);

/* Called when there is news before the next poll would see it (spool with `watch`). NULL: none. */
void queue_on_news(struct queue *q, void (*cb)(void *arg), void *arg);

#endif
