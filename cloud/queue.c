/* cloud/queue.c -- what is the same for every engine: checks, copies, the life of calls and
 * messages. See queue_inside.h. */
#include "cloud/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cloud/field.h"
#include "cloud/queue_inside.h"

/* --- queues ---------------------------------------------------------------------------------- */

static void detach(struct queue_call *c)
{
    if (c->next != NULL)
        c->next->prev = c->prev;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else if (c->q->calls == c)
        c->q->calls = c->next;
    c->next = c->prev = NULL;
    if (c->held != NULL)
        c->held->call = NULL;
    c->held = NULL;
}

static void drop(struct queue_call *c)
{
    detach(c);
    c->ops->drop(c);
}

void queue_free(struct queue *q)
{
    char *name;

    if (q == NULL)
        return;
    while (q->calls != NULL)
        drop(q->calls);
    name = q->name;
    q->ops->close(q);
    free(name);
}

void queue_freep(struct queue **q)
{
    queue_free(*q);
}

const struct queue_caps *queue_caps(const struct queue *q)
{
    return &q->caps;
}

const char *queue_name(const struct queue *q)
{
    return q->name;
}

void queue_on_news(struct queue *q, void (*cb)(void *arg), void *arg)
{
    q->news = cb;
    q->news_arg = arg;
}

void queue_news(struct queue *q)
{
    if (q->news != NULL)
        q->news(q->news_arg);
}

bool queue_agent_ok(const char *agent)
{
    return field_opaque_ok(agent) && strlen(agent) <= QUEUE_AGENT_MAX;
}

enum queue_end queue_end_of(const struct err *e)
{
    switch (e->code) {
    case ERR_AUTH:
    case ERR_DENIED:
        return QUEUE_AUTH;
    case ERR_CONFIG:
    case ERR_USAGE:
    case ERR_INTERNAL:
        return QUEUE_FATAL;
    default:
        return QUEUE_RETRY;
    }
}

/* --- messages -------------------------------------------------------------------------------- */

struct queue_held *queue_held_new(struct queue *q)
{
    struct queue_held *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return NULL;
    h->m.queue = q;
    h->m.engine = h;
    return h;
}

void queue_held_free(struct queue_held *h)
{
    if (h == NULL)
        return;
    if (h->call != NULL)
        drop(h->call);
    free(h->id);
    free(h->text);
    free(h->claim);
    free(h->raw);
    free(h->key);
    free(h);
}

void queue_held_freep(struct queue_held **h)
{
    queue_held_free(*h);
}

void queue_held_show(struct queue_held *h, size_t len)
{
    h->m.id = h->id;
    h->m.text = h->text;
    h->m.len = len;
    h->m.claim = h->claim != NULL ? h->claim : "";
}

void queue_message_free(struct queue_message *m)
{
    if (m != NULL)
        queue_held_free(m->engine);
}

void queue_message_freep(struct queue_message **m)
{
    queue_message_free(*m);
}

/* --- calls ----------------------------------------------------------------------------------- */

void queue_call_free(struct queue_call *c)
{
    if (c == NULL)
        return;
    c->ops->done(c);
    free(c->text);
    free(c->word);
    free(c);
}

static void call_freep(struct queue_call **c)
{
    queue_call_free(*c);
}

/* `text` and `word` may be NULL. */
static struct queue_call *call_new(struct queue *q, enum queue_verb verb, const char *text,
                                   size_t len, const char *word, struct err *e)
{
    CLEANUP(call_freep) struct queue_call *c = calloc(1, q->ops->call_size);

    if (c != NULL) {
        c->q = q;
        c->ops = q->ops;
        c->verb = verb;
        c->began = loop_now(q->loop);
        c->word = text_dup(word);
        c->text = text != NULL ? strndup(text, len) : NULL;
        c->len = len;
    }
    if (c == NULL || (word != NULL && c->word == NULL) || (text != NULL && c->text == NULL)) {
        (void)err_set(e, ERR_NOMEM, 0, "queue");
        return NULL;
    }
    return TAKE(c);
}

/* Owns c, also where it fails. */
static int call_start(struct queue_call *c, struct queue_message *m, struct err *e)
{
    struct queue *q = c->q;

    if (m != NULL) {
        c->held = m->engine;
        assert(c->held->call == NULL); /* one verb at a time */
    }
    if (c->ops->start(c, e) < 0) {
        c->held = NULL;
        queue_call_free(c);
        return -1;
    }
    if (c->held != NULL)
        c->held->call = c;
    c->next = q->calls;
    if (c->next != NULL)
        c->next->prev = c;
    q->calls = c;
    return 0;
}

void queue_end(struct queue_call *c, enum queue_end end, const struct err *e)
{
    const struct err *why = end == QUEUE_OK || end == QUEUE_GONE ? NULL : e;

    detach(c);
    if (c->receive_cb != NULL)
        c->receive_cb(c->arg, NULL, 0, end, why);
    else if (c->depth_cb != NULL)
        c->depth_cb(c->arg, 0, 0, end, why);
    else
        c->cb(c->arg, end, why);
    queue_call_free(c);
}

void queue_end_receive(struct queue_call *c, struct queue_held **held, size_t n, enum queue_end end,
                       const struct err *e)
{
    struct queue_message *msgs[QUEUE_BATCH_MAX];

    assert(n <= QUEUE_BATCH_MAX && (n == 0 || end == QUEUE_OK));
    for (size_t i = 0; i < n; i++)
        msgs[i] = &TAKE(held[i])->m;
    detach(c);
    c->receive_cb(c->arg, msgs, n, end, end == QUEUE_OK ? NULL : e);
    queue_call_free(c);
}

void queue_end_depth(struct queue_call *c, uint64_t count, int64_t oldest_ms)
{
    detach(c);
    c->depth_cb(c->arg, count, oldest_ms, QUEUE_OK, NULL);
    queue_call_free(c);
}

/* --- verbs ----------------------------------------------------------------------------------- */

static int check_lease(const struct queue *q, uint64_t lease_ms, struct err *e)
{
    if (lease_ms == 0 || lease_ms > q->caps.max_lease_ms)
        return err_set(e, ERR_USAGE, 0, "queue: a lease of %llu ms", (unsigned long long)lease_ms);
    return 0;
}

int queue_receive_start(struct queue *q, unsigned max, uint64_t lease_ms, queue_receive_cb cb,
                        void *arg, struct err *e)
{
    struct queue_call *c;

    if (max == 0)
        return err_set(e, ERR_USAGE, 0, "queue: receive no message");
    if (check_lease(q, lease_ms, e) < 0)
        return -1;
    c = call_new(q, QUEUE_RECEIVE, NULL, 0, NULL, e);
    if (c == NULL)
        return -1;
    c->receive_cb = cb;
    c->arg = arg;
    c->max = max < q->caps.max_batch ? max : q->caps.max_batch;
    c->ms = lease_ms;
    return call_start(c, NULL, e);
}

static int start_on(struct queue_message *m, enum queue_verb verb, uint64_t ms, const char *word,
                    queue_cb cb, void *arg, struct err *e)
{
    struct queue_call *c = call_new(m->queue, verb, NULL, 0, word, e);

    if (c == NULL)
        return -1;
    c->cb = cb;
    c->arg = arg;
    c->ms = ms;
    return call_start(c, m, e);
}

int queue_renew_start(struct queue_message *m, uint64_t lease_ms, const char *claim, queue_cb cb,
                      void *arg, struct err *e)
{
    if (claim != NULL && !queue_agent_ok(claim))
        return err_set(e, ERR_USAGE, 0, "queue: that is no agent's id");
    if (check_lease(m->queue, lease_ms, e) < 0)
        return -1;
    return start_on(m, QUEUE_RENEW, lease_ms, claim, cb, arg, e);
}

int queue_complete_start(struct queue_message *m, queue_cb cb, void *arg, struct err *e)
{
    return start_on(m, QUEUE_COMPLETE, 0, NULL, cb, arg, e);
}

int queue_release_start(struct queue_message *m, uint64_t delay_ms, queue_cb cb, void *arg,
                        struct err *e)
{
    if (delay_ms > m->queue->ops->max_delay_ms)
        return err_set(e, ERR_USAGE, 0, "queue: a delay of %llu ms", (unsigned long long)delay_ms);
    return start_on(m, QUEUE_RELEASE, delay_ms, NULL, cb, arg, e);
}

int queue_dead_start(struct queue_message *m, const char *reason, queue_cb cb, void *arg,
                     struct err *e)
{
    char cut[QUEUE_REASON_MAX];

    field_copy(cut, sizeof(cut), reason);
    return start_on(m, QUEUE_DEAD, 0, cut, cb, arg, e);
}

int queue_put_start(struct queue *q, const char *text, size_t len, uint64_t ttl_ms, queue_cb cb,
                    void *arg, struct err *e)
{
    struct queue_call *c;

    if (ttl_ms > q->ops->max_ttl_ms)
        return err_set(e, ERR_USAGE, 0, "queue: %llu ms to live", (unsigned long long)ttl_ms);
    if (len > q->caps.max_text)
        return err_set(e, ERR_TOOBIG, 0, "%s: %zu bytes are more than the %zu of a message",
                       q->name, len, q->caps.max_text);
    if (len == 0 || memchr(text, '\0', len) != NULL || !text_utf8_ok(text, len))
        return err_set(e, ERR_INVALID, 0, "queue: what is to be put is no text");
    c = call_new(q, QUEUE_PUT, text, len, NULL, e);
    if (c == NULL)
        return -1;
    c->cb = cb;
    c->arg = arg;
    c->ms = ttl_ms;
    return call_start(c, NULL, e);
}

int queue_depth_start(struct queue *q, queue_depth_cb cb, void *arg, struct err *e)
{
    struct queue_call *c = call_new(q, QUEUE_DEPTH, NULL, 0, NULL, e);

    if (c == NULL)
        return -1;
    c->depth_cb = cb;
    c->arg = arg;
    return call_start(c, NULL, e);
}
