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
    size_t max_text; /* bytes that queue_put takes. What is larger goes elsewhere (a file), and only
                        where to find it is put: ask before a result is written out */
};

struct queue_message {
    struct queue *queue;
    const char *id;   /* the engine's, for logs; safe to show */
    const char *text; /* what was put, decoded: UTF-8 without NUL, and a NUL behind it. NULL: there
                         is nothing to be taken seriously, and `why`: a case for queue_dead */
    size_t len;
    const char *claim;   /* the agent that began to work on it last: see queue_renew_start; "" */
    unsigned deliveries; /* this one included; a hint */
    uint64_t ends;       /* loop_now when the lease is over; moves with each renew */
    int64_t put_ms;      /* when it was put, by the server's clock; 0 unknown */
    struct err why;
    void *engine; /* private */
};
/* The lease, if any is left, runs out by itself. A verb that still runs on it ends without its
 * callback. Also after queue_free. */
void queue_message_free(struct queue_message *m);
void queue_message_freep(struct queue_message **m);

enum queue_end {
    QUEUE_OK,
    QUEUE_GONE,  /* there is no such message any more: somebody completed it */
    QUEUE_LOST,  /* another one has it now: begin nothing new for it */
    QUEUE_RETRY, /* not now: an outage, a throttle; the state is unknown */
    QUEUE_AUTH,  /* a right or a credential is missing */
    QUEUE_FATAL, /* configuration, or our bug */
};

/* The start functions: ERR_NOMEM; ERR_USAGE: a lease of 0 or past caps.max_lease_ms, max of 0, a
 * delay or time to live past what the engine knows. One verb at a time on a message.
 *
 * The ends: e says why, and is NULL with OK and GONE. QUEUE_RETRY after renew, release or complete:
 * it may have happened; do it again, and LOST or GONE is then the last word. How long to wait
 * before is the caller's (never more than 60 s); the engine itself never waits between tries. */

/* msgs: n of them, now the caller's (the array is not); n may be 0, and is 0 where end is not
 * QUEUE_OK. max: at most caps.max_batch are asked for. Take no more than are worked on at once: a
 * message that waits uses up its lease. */
typedef void (*queue_receive_cb)(void *arg, struct queue_message **msgs, size_t n,
                                 enum queue_end end, const struct err *e);
int queue_receive_start(struct queue *q, unsigned max, uint64_t lease_ms, queue_receive_cb cb,
                        void *arg, struct err *e);
typedef void (*queue_cb)(void *arg, enum queue_end end, const struct err *e);
/* claim: our agent's id (letters, digits, - . _ ~; at most 64), from now on to be seen by whoever
 * receives it after us; NULL leaves what is there. ERR_TOOBIG: the text leaves no room for it. */
int queue_renew_start(struct queue_message *m, uint64_t lease_ms, const char *claim, queue_cb cb,
                      void *arg, struct err *e);
int queue_complete_start(struct queue_message *m, queue_cb cb, void *arg, struct err *e);
int queue_release_start(struct queue_message *m, uint64_t delay_ms, queue_cb cb, void *arg,
                        struct err *e);
/* reason: a sentence, kept beside the text where a person will look. Done again after QUEUE_RETRY
 * it goes on where it stood. */
int queue_dead_start(struct queue_message *m, const char *reason, queue_cb cb, void *arg,
                     struct err *e);
/* text: UTF-8 without NUL, not empty (ERR_INVALID), that fits (ERR_TOOBIG). ttl_ms 0: as long as
 * the engine keeps it. Safe to do again where the end is not known: at least once. */
int queue_put_start(struct queue *q, const char *text, size_t len, uint64_t ttl_ms, queue_cb cb,
                    void *arg, struct err *e);
/* How many there are, hidden ones too; a hint. */
typedef void (*queue_depth_cb)(void *arg, uint64_t count, int64_t oldest_ms /* 0 unknown */,
                               enum queue_end end, const struct err *e);
int queue_depth_start(struct queue *q, queue_depth_cb cb, void *arg, struct err *e);

const struct queue_caps *queue_caps(const struct queue *q);
const char *queue_name(const struct queue *q); /* for logs: "spool:/var/lib/...", without secrets */
/* Calls still there end without their callbacks. Messages stay; all that may be done with them is
 * queue_message_free. */
void queue_free(struct queue *q);
void queue_freep(struct queue **q);

/* Called when there may be news before the next poll would see it (spool with `watch`). NULL: none.
 */
void queue_on_news(struct queue *q, void (*cb)(void *arg), void *arg);

/* --- engines --------------------------------------------------------------------------------- */

/* A folder on a disk of this machine, for any number of processes of one user. To put a message
 * without us: write the text (JWS or JSON) into DIR/tmp/, fsync, and rename it into DIR/new/ under
 * a name that is a ULID. Whatever else lies there (other names, links, other owners, more than 256
 * KiB) is delivered without a text, for queue_dead. DIR/dead/ID holds a text put aside, and
 * DIR/dead/ID.reason says why. */
struct queue_spool_settings { /* copied */
    const char *dir;   /* 0700, ours; made with tmp/ new/ claimed/ dead/ inside where missing */
    const char *agent; /* id of this process's claims, as in queue_renew_start */
    bool watch;        /* queue_on_news when a file comes (inotify; without it polling must do) */
};
/* ERR_CONFIG: the folder is not to be trusted, the agent's id; ERR_IO, ERR_NOMEM. */
int queue_spool_new(struct loop *l, const struct queue_spool_settings *s, struct queue **ret_queue,
                    struct err *e);

struct http;
struct token_source;
struct secret;
/* One of key, sas and token; each message goes there as base64 of {"v":1,"request":TEXT,...}. Read
 * are also a text without that around it (JWS or JSON), and both without base64. */
struct queue_azure_settings {      /* copied */
    const char *url;               /* base: "https://ACCOUNT.queue.core.windows.net"; http only to
                                      loopback, and not with a token */
    const char *account;           /* for Shared Key */
    const char *queue;             /* its name */
    const char *dead;              /* NULL: "QUEUE-poison"; must be there */
    const struct secret *key;      /* Shared Key, base64 as the portal shows it */
    const struct secret *sas;      /* a ready SAS, "sv=...&sig=..." */
    const struct secret *dead_sas; /* for the dead-letter queue ("a"); NULL: `sas` is for both */
    struct token_source *token;    /* Entra, scope "https://storage.azure.com"; borrowed */
    const char *agent;             /* part of the request ids that the service logs */
};
/* http is borrowed. ERR_CONFIG, ERR_NOMEM; nothing is asked of the service yet. */
int queue_azure_new(struct loop *l, struct http *http, const struct queue_azure_settings *s,
                    struct queue **ret_queue, struct err *e);

#endif
