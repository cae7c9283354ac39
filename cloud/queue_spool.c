/* cloud/queue_spool.c -- the queue that is a folder: each verb is one job on the pool.
 *
 *   start     copies what the job needs; the call is the job's until on_done
 *   work      on the pool: queue_spool_dir.c, straight-line
 *   on_done   on the loop: the message's new name, the callback
 *
 * A call that is dropped while its job runs is freed by on_done. What a dropped receive had taken
 * comes again when its lease is over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cloud/queue_spool_inside.h"

#define DAY_MS (UINT64_C(24) * 3600 * 1000)

struct spool {
    struct queue q;
    struct spool_dir *d;
    struct loop_fswatch *watch;
};

struct spool_call {
    struct queue_call c;
    struct spool_dir *d;
    bool running, orphan;
    char id[ID_ULID];
    char file[NAME_MAX + 1]; /* where the message is, and then where it went */
    /* How it ended. */
    enum queue_end end;
    struct err err;
    struct spool_got *got;
    size_t got_n;
    uint64_t count;
    int64_t oldest_ms;
};

static void work(void *arg);
static void on_done(void *arg, bool canceled);

/* --- the folder, shared by the queue and its jobs -------------------------------------------- */

static void dir_unref(struct spool_dir *d)
{
    if (d == NULL || --d->refs > 0)
        return;
    spool_close(d);
    free(d);
}

static void on_watch(void *arg)
{
    struct spool *s = arg;

    /* Taking a file away is a change, too. */
    if (spool_has_new(s->d))
        queue_news(&s->q);
}

static void spool_free(struct queue *q)
{
    struct spool *s = (struct spool *)q;

    loop_fswatch_stop(&s->watch);
    dir_unref(s->d);
    free(s);
}

void queue_spool_set_clock(struct queue *q, spool_clock clock)
{
    ((struct spool *)q)->d->clock = clock;
}

/* --- calls ----------------------------------------------------------------------------------- */

static int spool_start(struct queue_call *call, struct err *e)
{
    struct spool_call *c = (struct spool_call *)call;
    struct spool *s = (struct spool *)call->q;
    struct spool_now now;

    c->d = s->d;
    c->d->refs++;
    c->d->clock(&now);
    if (id_ulid(c->id, now.wall_ms, e) < 0)
        return -1;
    if (call->held != NULL)
        memcpy(c->file, call->held->key, strlen(call->held->key) + 1);
    if (call->verb == QUEUE_RECEIVE) {
        c->got = calloc(call->max, sizeof(*c->got));
        if (c->got == NULL)
            return err_set(e, ERR_NOMEM, 0, "spool");
    }
    if (loop_job_start(call->q->loop, work, on_done, c, e) < 0)
        return -1;
    c->running = true;
    return 0;
}

static void spool_drop(struct queue_call *call)
{
    struct spool_call *c = (struct spool_call *)call;

    if (c->running)
        c->orphan = true;
    else
        queue_call_free(call);
}

static void spool_done(struct queue_call *call)
{
    struct spool_call *c = (struct spool_call *)call;

    for (size_t i = 0; i < c->got_n; i++)
        free(c->got[i].text);
    free(c->got);
    dir_unref(c->d);
}

static const struct queue_ops spool_ops = {
    .call_size = sizeof(struct spool_call),
    .max_delay_ms = 7 * DAY_MS,
    .max_ttl_ms = 3650 * DAY_MS,
    .start = spool_start,
    .drop = spool_drop,
    .done = spool_done,
    .close = spool_free,
};

/* --- on the pool ----------------------------------------------------------------------------- */

static enum queue_end end_of(int rc, const struct err *e)
{
    return rc < 0 ? queue_end_of(e) : QUEUE_OK;
}

static void work(void *arg)
{
    struct spool_call *c = arg;
    const struct queue_call *q = &c->c;
    struct spool_dir *d = c->d;
    struct err *e = &c->err;

    switch (q->verb) {
    case QUEUE_RECEIVE:
        c->end = end_of(spool_receive(d, c->id, q->max, q->ms, c->got, &c->got_n, e), e);
        break;
    case QUEUE_RENEW:
        c->end = spool_renew(d, c->file, q->ms, q->word, e);
        break;
    case QUEUE_COMPLETE:
        c->end = spool_complete(d, c->file, e);
        break;
    case QUEUE_RELEASE:
        c->end = spool_release(d, c->file, q->ms, e);
        break;
    case QUEUE_DEAD:
        c->end = spool_dead(d, c->id, c->file, q->word, e);
        break;
    case QUEUE_PUT:
        c->end = end_of(spool_put(d, c->id, q->text, q->len, q->ms, e), e);
        break;
    case QUEUE_DEPTH:
        c->end = end_of(spool_depth(d, &c->count, &c->oldest_ms, e), e);
        break;
    }
}

/* --- back on the loop ------------------------------------------------------------------------ */

static struct queue_held *hold(struct spool_call *c, struct spool_got *got)
{
    CLEANUP(queue_held_freep) struct queue_held *h = queue_held_new(c->c.q);

    if (h == NULL)
        return NULL;
    h->id = text_dup(got->name.id);
    h->key = text_dup(got->file);
    h->claim = text_dup(got->name.claim);
    h->text = TAKE(got->text);
    h->m.why = got->why;
    h->m.deliveries = got->name.deliveries;
    h->m.ends = c->c.began + c->c.ms;
    h->m.put_ms = spool_name_time(&got->name);
    if (h->id == NULL || h->key == NULL || h->claim == NULL)
        return NULL;
    queue_held_show(h, got->len);
    return TAKE(h);
}

/* What finds no memory comes again when its lease is over. */
static void received(struct spool_call *c)
{
    struct queue_held *held[QUEUE_BATCH_MAX];
    size_t n = 0;

    for (size_t i = 0; i < c->got_n; i++) {
        held[n] = hold(c, &c->got[i]);
        n += held[n] != NULL;
    }
    if (c->got_n > 0 && n == 0) {
        (void)err_set(&c->err, ERR_NOMEM, 0, "spool");
        c->end = QUEUE_RETRY;
    }
    queue_end_receive(&c->c, held, n, c->end, &c->err);
}

/* Its new name and lease. False: no memory, so that we no longer know where it is. */
static bool renewed(struct spool_call *c)
{
    struct queue_held *h = c->c.held;
    char *key = text_dup(c->file);
    char *claim = text_dup(c->c.word != NULL ? c->c.word : h->claim);

    if (key == NULL || claim == NULL) {
        free(key);
        free(claim);
        return false;
    }
    free(h->key);
    free(h->claim);
    h->key = key;
    h->claim = claim;
    h->m.claim = claim;
    h->m.ends = c->c.began + c->c.ms;
    return true;
}

static void on_done(void *arg, bool canceled)
{
    struct spool_call *c = arg;

    (void)canceled; /* nobody cancels jobs */
    c->running = false;
    if (c->orphan) {
        queue_call_free(&c->c);
    } else if (c->c.verb == QUEUE_RECEIVE) {
        received(c);
    } else if (c->c.verb == QUEUE_DEPTH && c->end == QUEUE_OK) {
        queue_end_depth(&c->c, c->count, c->oldest_ms);
    } else {
        if (c->c.verb == QUEUE_RENEW && c->end == QUEUE_OK && !renewed(c)) {
            (void)err_set(&c->err, ERR_NOMEM, 0, "spool: no memory for the message's new name");
            c->end = QUEUE_LOST;
        }
        queue_end(&c->c, c->end, &c->err);
    }
}

/* --- beginning ------------------------------------------------------------------------------- */

int queue_spool_new(struct loop *l, const struct queue_spool_settings *s, struct queue **ret_queue,
                    struct err *e)
{
    CLEANUP(queue_freep) struct queue *q = NULL;
    struct spool *sp;

    if (s->dir == NULL || s->dir[0] == '\0')
        return err_set(e, ERR_CONFIG, 0, "spool: no folder");
    if (!queue_agent_ok(s->agent))
        return err_set(e, ERR_CONFIG, 0, "spool: an agent's id is 1 to %d letters, digits, - . _ ~",
                       QUEUE_AGENT_MAX);
    sp = calloc(1, sizeof(*sp));
    if (sp == NULL)
        return err_set(e, ERR_NOMEM, 0, "spool");
    q = &sp->q;
    q->ops = &spool_ops;
    q->loop = l;
    q->caps = (struct queue_caps){
        .max_batch = QUEUE_BATCH_MAX, .max_lease_ms = 7 * DAY_MS, .max_text = SPOOL_TEXT_MAX};
    sp->d = calloc(1, sizeof(*sp->d));
    if (sp->d == NULL)
        return err_set(e, ERR_NOMEM, 0, "spool");
    *sp->d = (struct spool_dir){
        .tmp = -1, .new = -1, .claimed = -1, .dead = -1, .refs = 1, .clock = spool_clock_real};
    memcpy(sp->d->agent, s->agent, strlen(s->agent) + 1);
    if (spool_open(s->dir, sp->d, e) < 0)
        return -1;
    if (asprintf(&q->name, "spool:%s", s->dir) < 0) {
        q->name = NULL;
        return err_set(e, ERR_NOMEM, 0, "spool");
    }
    if (s->watch) {
        char path[PATH_MAX];

        (void)snprintf(path, sizeof(path), "%s/new", s->dir);
        /* Where the kernel has none to give (inotify's limits), polling must do. */
        sp->watch = loop_fswatch_start(l, path, on_watch, sp);
    }
    *ret_queue = TAKE(q);
    return 0;
}
