/* agent/service/outbox.c -- see outbox.h.
 *
 *   outbox_add     next to go
 *   go             the directory, then the queue
 *   on_put         taken, or once more later; an event is forgotten
 *   on_delivered   on disk: forgotten here
 */
#include "agent/service/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/service/requests.h"
#include "agent/service/service_inside.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"

enum { IN_FLIGHT = 16 };
/* Whoever asked has a week to read it. */
#define TTL_MS (UINT64_C(7) * 24 * 3600 * 1000)

struct item {
    struct outbox *o;
    struct item *next;
    char id[ID_UUID];
    unsigned number; /* of an event; 0: the answer */
    unsigned behind; /* an answer: so many of its events are still here, and go first */
    char *jws;
    bool busy, in_dir, in_queue, waits;
    unsigned tries;
    struct loop_timer *timer;
};

struct outbox {
    struct loop *loop;
    struct ledger *ledger;
    char *dir, *mark;
    struct queue *queue;
    struct item *items; /* oldest first */
    size_t count, flying;
    struct loop_timer *later;
};

static void go_all(void *arg);
static void go(struct item *x);
static void on_put(void *arg, enum queue_end end, const struct err *e);
static void on_delivered(void *arg, const struct err *e);

int outbox_new(struct loop *l, struct ledger *ledger, const char *agent, const char *dir,
               struct queue *q, struct outbox **ret_outbox, struct err *e)
{
    struct outbox *o;

    if (dir != NULL && file_private_dir(dir, e) < 0)
        return err_wrap(e, "[queue] result_directory");
    o = calloc(1, sizeof(*o));
    if (o == NULL || (o->mark = text_dup(agent)) == NULL ||
        (dir != NULL && (o->dir = text_dup(dir)) == NULL)) {
        outbox_free(o);
        return err_set(e, ERR_NOMEM, 0, "outbox");
    }
    o->loop = l;
    o->ledger = ledger;
    o->queue = q;
    *ret_outbox = o;
    return 0;
}

static void item_free(struct item *x)
{
    loop_timer_stop(&x->timer);
    free(x->jws);
    free(x);
}

void outbox_free(struct outbox *o)
{
    if (o == NULL)
        return;
    for (struct item *x = o->items, *next; x != NULL; x = next) {
        next = x->next;
        item_free(x);
    }
    loop_timer_stop(&o->later);
    free(o->dir);
    free(o->mark);
    free(o);
}

size_t outbox_count(const struct outbox *o)
{
    return o->count;
}

size_t outbox_stuck(const struct outbox *o)
{
    size_t n = 0;

    for (const struct item *x = o->items; x != NULL; x = x->next)
        n += x->tries > 0;
    return n;
}

bool outbox_is_idle(const struct outbox *o)
{
    for (const struct item *x = o->items; x != NULL; x = x->next) {
        if (x->busy || (!x->waits && x->behind == 0))
            return false;
    }
    return true;
}

int outbox_add(struct outbox *o, const char *id, const char *jws, struct err *e)
{
    return outbox_add_event(o, id, 0, jws, e);
}

static bool add_recorded(void *arg, const struct request_entry *en)
{
    struct err e;

    if (en->result != NULL && outbox_add(arg, en->id, en->result, &e) < 0)
        log_error("request=%s its answer goes out with the next start: %s", en->id, e.msg);
    return true;
}

void outbox_add_recorded(struct outbox *o, const char *id)
{
    struct err e;

    if (requests_find(o->ledger, id, add_recorded, o, &e) < 0)
        log_error("request=%s its answer goes out with the next start: %s", id, e.msg);
}

int outbox_add_event(struct outbox *o, const char *id, unsigned number, const char *jws,
                     struct err *e)
{
    struct item **at = &o->items, *x;
    unsigned events = 0;

    for (; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->id, id) != 0)
            continue;
        if ((*at)->number == number)
            return 0;
        events += (*at)->number > 0;
    }
    x = calloc(1, sizeof(*x));
    if (x == NULL || (x->jws = text_dup(jws)) == NULL) {
        free(x);
        return err_set(e, ERR_NOMEM, 0, "outbox");
    }
    x->o = o;
    (void)snprintf(x->id, sizeof(x->id), "%s", id);
    x->number = number;
    x->behind = number == 0 ? events : 0;
    *at = x;
    o->count++;
    if (o->later == NULL)
        o->later = loop_timer_start(o->loop, 0, go_all, o);
    return 0;
}

static void go_all(void *arg)
{
    struct outbox *o = arg;

    o->later = NULL;
    for (struct item *x = o->items, *next; x != NULL && o->flying < IN_FLIGHT; x = next) {
        next = x->next; /* an event may be gone at once */
        if (!x->busy && !x->waits && x->behind == 0)
            go(x);
    }
}

static void land(struct item *x)
{
    struct outbox *o = x->o;

    x->busy = false;
    o->flying--;
    if (o->later == NULL)
        o->later = loop_timer_start(o->loop, 0, go_all, o);
}

static void forget(struct item *x)
{
    struct outbox *o = x->o;
    struct item **at = &o->items;

    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    o->count--;
    /* Its answer was added behind it. */
    for (struct item *y = x->number > 0 ? x->next : NULL; y != NULL; y = y->next) {
        if (y->number == 0 && strcmp(y->id, x->id) == 0) {
            y->behind--;
            break;
        }
    }
    item_free(x);
}

static void again(void *arg)
{
    struct item *x = arg;

    x->timer = NULL;
    x->waits = false;
    go_all(x->o);
}

static void wait(struct item *x, const struct err *e)
{
    uint64_t ms = service_backoff_ms(x->tries);

    /* Once is enough for a person; it goes on all the same. */
    if (x->tries++ == 0)
        log_warning("request=%s the answer cannot be delivered yet, trying again: %s", x->id,
                    e->msg);
    else
        log_debug("request=%s the answer cannot be delivered yet: %s", x->id, e->msg);
    x->waits = true;
    x->timer = loop_timer_start(x->o->loop, ms, again, x);
    if (x->timer == NULL)
        log_error("request=%s out of memory: its answer goes out with the next start", x->id);
    land(x);
}

/* The same names each time: written twice is written once, and a killed writer leaves nothing
 * behind for long. Another agent that answers the same one has another mark. */
static int to_dir(struct item *x, struct err *e)
{
    CLEANUP(cleanup_charp) char *path = NULL;
    char number[16] = "";

    if (x->number > 0)
        (void)snprintf(number, sizeof(number), ".%u", x->number);
    if (asprintf(&path, "%s/%s%s.jws", x->o->dir, x->id, number) < 0) {
        path = NULL;
        return err_set(e, ERR_NOMEM, 0, "outbox");
    }
    return file_write_again(path, x->o->mark, x->jws, strlen(x->jws), e);
}

static void go(struct item *x)
{
    struct outbox *o = x->o;
    bool any = x->jws[0] != '\0';
    struct err e;

    x->busy = true;
    o->flying++;
    if (any && o->dir != NULL && !x->in_dir) {
        if (to_dir(x, &e) < 0) {
            wait(x, &e);
            return;
        }
        x->in_dir = true;
    }
    if (any && o->queue != NULL && !x->in_queue) {
        if (queue_put_start(o->queue, x->jws, strlen(x->jws), TTL_MS, on_put, x, &e) < 0)
            wait(x, &e);
        return;
    }
    if (x->number > 0) {
        land(x);
        forget(x);
        return;
    }
    if (requests_delivered(o->ledger, x->id,
                           x->in_dir && x->in_queue ? "queue, directory"
                           : x->in_dir              ? "directory"
                           : x->in_queue            ? "queue"
                                                    : "",
                           on_delivered, x, &e) < 0)
        wait(x, &e);
}

static void on_put(void *arg, enum queue_end end, const struct err *e)
{
    struct item *x = arg;
    struct err mine;

    if (end != QUEUE_OK) {
        if (e == NULL)
            (void)err_set(&mine, ERR_IO, (int)end, "the queue did not take it");
        wait(x, e != NULL ? e : &mine);
        return;
    }
    x->in_queue = true;
    x->o->flying--;
    go(x);
}

static void on_delivered(void *arg, const struct err *e)
{
    struct item *x = arg;

    if (e != NULL) { /* only the record is written again; it goes out once more after a crash */
        wait(x, e);
        return;
    }
    if (x->in_dir || x->in_queue)
        log_info("request=%s answered", x->id);
    land(x);
    forget(x);
}
