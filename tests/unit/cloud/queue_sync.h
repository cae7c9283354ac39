/* tests/unit/cloud/queue_sync.h -- the verbs of a queue, one after the other: each call runs the
 * loop until its callback was made. For tests and tests/azurite/queue_probe.c. */
#ifndef CORDON_TESTS_QUEUE_SYNC_H
#define CORDON_TESTS_QUEUE_SYNC_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/queue.h"

enum { SYNC_MSGS = 32 };

static struct {
    struct loop *l;
    unsigned calls; /* callbacks since the last one began */
    enum queue_end end;
    struct err err; /* its code ERR_OK: none came */
    struct queue_message *msgs[SYNC_MSGS];
    size_t n;
    uint64_t count;
    int64_t oldest_ms;
} sync_;

static void sync_end(enum queue_end end, const struct err *e)
{
    sync_.calls++;
    sync_.end = end;
    sync_.err = e != NULL ? *e : ERR_NONE;
    assert((e == NULL) == (end == QUEUE_OK || end == QUEUE_GONE));
    loop_stop(sync_.l);
}

static inline void sync_on_receive(void *arg, struct queue_message **msgs, size_t n,
                                   enum queue_end end, const struct err *e)
{
    (void)arg;
    assert(n <= SYNC_MSGS);
    if (n > 0)
        memcpy(sync_.msgs, msgs, n * sizeof(*msgs));
    sync_.n = n;
    sync_end(end, e);
}

static inline void sync_on(void *arg, enum queue_end end, const struct err *e)
{
    (void)arg;
    sync_end(end, e);
}

static inline void sync_on_depth(void *arg, uint64_t count, int64_t oldest_ms, enum queue_end end,
                                 const struct err *e)
{
    (void)arg;
    sync_.count = count;
    sync_.oldest_ms = oldest_ms;
    sync_end(end, e);
}

/* rc: what the start function gave. */
static enum queue_end sync_wait(int rc)
{
    struct err e;

    if (rc < 0)
        return QUEUE_FATAL; /* sync_.err says why */
    sync_.calls = 0;
    (void)loop_run(sync_.l, &e);
    assert(sync_.calls == 1);
    return sync_.end;
}

static inline enum queue_end sync_put(struct queue *q, const char *text, uint64_t ttl_ms)
{
    return sync_wait(queue_put_start(q, text, strlen(text), ttl_ms, sync_on, NULL, &sync_.err));
}

/* The messages are then in sync_.msgs. */
static inline enum queue_end sync_receive(struct queue *q, unsigned max, uint64_t lease_ms)
{
    sync_.n = 0;
    return sync_wait(queue_receive_start(q, max, lease_ms, sync_on_receive, NULL, &sync_.err));
}

/* One message, or NULL. */
static inline struct queue_message *sync_one(struct queue *q, uint64_t lease_ms)
{
    return sync_receive(q, 1, lease_ms) == QUEUE_OK && sync_.n == 1 ? sync_.msgs[0] : NULL;
}

static inline enum queue_end sync_renew(struct queue_message *m, uint64_t lease_ms,
                                        const char *claim)
{
    return sync_wait(queue_renew_start(m, lease_ms, claim, sync_on, NULL, &sync_.err));
}

static inline enum queue_end sync_complete(struct queue_message *m)
{
    return sync_wait(queue_complete_start(m, sync_on, NULL, &sync_.err));
}

static inline enum queue_end sync_release(struct queue_message *m, uint64_t delay_ms)
{
    return sync_wait(queue_release_start(m, delay_ms, sync_on, NULL, &sync_.err));
}

static inline enum queue_end sync_dead(struct queue_message *m, const char *reason)
{
    return sync_wait(queue_dead_start(m, reason, sync_on, NULL, &sync_.err));
}

static inline enum queue_end sync_depth(struct queue *q)
{
    return sync_wait(queue_depth_start(q, sync_on_depth, NULL, &sync_.err));
}

#endif
