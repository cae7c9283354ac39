/* cloud/sync_connect.c -- Entra Connect: one delta cycle for all who ask, at most one start in five
 * minutes.
 *
 *   sync_connect_add   waits for the next start
 *   step               start, look, or wait: whatever is due
 *   on_started         the start script's answer
 *   on_looked          a cycle was running: is it over?
 *   end_aboard         those for whom the start was made are told
 *
 * A push that comes while a start is being made is not aboard: the cycle may read Active Directory
 * before its change is there. It waits for the next one. A cycle that was running when we asked has
 * perhaps read already: its end is awaited, and then one is started, once.
 */
#include <stdlib.h>
#include <string.h>

#include "cloud/field.h"
#include "cloud/sync_inside.h"

enum {
    RUN_MS = 120 * 1000, /* one script, with all it takes to get there */
    LOOK_MS = 10 * 1000, /* between two looks at a running cycle */
    BUSY_MS = 15 * 1000, /* until a busy connector is tried again */
    BUSY_MAX = 3,
    FAILED_MS = 30 * 1000, /* so long a failure answers for who comes after it */
};

struct sync_connect {
    struct sync *s;
    void *run;                /* in flight, or NULL */
    bool running, looking;    /* running: a script; looking: it is the one that only looks */
    struct loop_timer *timer; /* step is due */
    uint64_t wait_until;      /* not before that */

    bool made; /* a start was made at: */
    uint64_t made_at;
    bool planned;  /* somebody was told "later": it will be made */
    bool awaiting; /* the end of a cycle that ran when we asked */
    bool waited;   /* ... which was awaited already */
    uint64_t await_ends;
    unsigned busy;
    bool failed;
    uint64_t failed_at;
    struct sync_result failure;
};

static void step(void *arg);
static void on_started(void *arg, const struct sync_ran *ran, const struct err *e);
static void on_looked(void *arg, const struct sync_ran *ran, const struct err *e);

int sync_connect_new(struct sync *s, struct err *e)
{
    s->connect = calloc(1, sizeof(*s->connect));
    if (s->connect == NULL)
        return err_set(e, ERR_NOMEM, 0, "sync");
    s->connect->s = s;
    return 0;
}

void sync_connect_free(struct sync_connect *c)
{
    if (c == NULL)
        return;
    loop_timer_stop(&c->timer);
    if (c->running)
        c->s->runner.cancel(c->s->runner.arg, c->run);
    free(c);
}

/* step, in `ms` from now; sooner than planned where that is sooner. Without memory: the pushes have
 * deadlines, and the next one tries again. */
static void step_in(struct sync_connect *c, uint64_t ms)
{
    uint64_t at = loop_now(c->s->loop) + ms;

    if (c->timer != NULL && c->wait_until <= at)
        return;
    loop_timer_stop(&c->timer);
    c->wait_until = at;
    c->timer = loop_timer_start(c->s->loop, ms, step, c);
}

void sync_connect_add(struct sync_push *p)
{
    struct sync_connect *c = p->s->connect;

    if (c->timer == NULL && !c->running)
        step_in(c, 0);
    else if (!c->running && !c->awaiting && c->busy == 0)
        step_in(c, 0); /* to tell it when its turn is */
}

void sync_connect_late(struct sync_push *p, struct sync_result *r)
{
    struct sync_connect *c = p->s->connect;

    if (p->dn == NULL) {
        sync_result_set(r, SYNC_NOT_DONE, ERR_TIMEOUT, "%s did not answer", p->s->server);
        return;
    }
    c->planned = true;
    sync_result_set(r, SYNC_LATER, ERR_OK, "%s",
                    c->awaiting ? "a sync cycle is running; one of ours is started at its end"
                                : "a sync cycle is started as soon as it may be");
}

/* --- who is told ------------------------------------------------------------------------------ */

static bool is_check(const struct sync_push *p)
{
    return p->dn == NULL;
}

static void end_aboard(struct sync_connect *c, const struct sync_result *r, bool checks)
{
    struct sync_result mine = *r;

    field_copy(mine.job, sizeof(mine.job), c->s->server);
    for (struct sync_push *p = c->s->pushes; p != NULL; p = p->next) {
        if (p->settled || !p->aboard || is_check(p) != checks)
            continue;
        p->sent = mine.sent;
        sync_settle(p, &mine); /* is told, and unlinked, in another turn */
    }
}

static void end_failed(struct sync_connect *c, const struct sync_result *r)
{
    c->failed = true;
    c->failed_at = loop_now(c->s->loop);
    c->failure = *r;
    c->planned = c->awaiting = c->waited = false;
    c->busy = 0;
    end_aboard(c, r, false);
}

/* Those who wait, and are not aboard yet. */
static struct sync_push *first_waiting(struct sync_connect *c, bool checks)
{
    struct sync_push *p = c->s->pushes;

    while (p != NULL && (p->settled || p->aboard || is_check(p) != checks))
        p = p->next;
    return p;
}

static bool anyone_aboard(struct sync_connect *c)
{
    for (struct sync_push *p = c->s->pushes; p != NULL; p = p->next) {
        if (!p->settled && p->aboard && !is_check(p))
            return true;
    }
    return false;
}

static void take_aboard(struct sync_connect *c, bool checks)
{
    struct sync_push *p;

    while ((p = first_waiting(c, checks)) != NULL)
        p->aboard = true;
}

static void mark_sent(struct sync_connect *c, bool sent)
{
    for (struct sync_push *p = c->s->pushes; p != NULL; p = p->next) {
        if (!p->settled && p->aboard && !is_check(p))
            p->sent = sent;
    }
}

/* --- what is due ------------------------------------------------------------------------------ */

static void run(struct sync_connect *c, const char *script, sync_ran_cb cb)
{
    struct sync *s = c->s;
    struct sync_result r = {0};
    struct err e;

    c->running = true;
    c->looking = script == sync_script_look;
    if (s->runner.run(s->runner.arg, s->server, script, RUN_MS, cb, c, &c->run, &e) == 0) {
        if (!c->looking)
            mark_sent(c, true);
        return;
    }
    c->running = false;
    sync_result_err(&r, &e, /* changes */ false);
    end_aboard(c, &r, true);
    end_failed(c, &r);
}

/* The next start is not due yet: who cannot wait so long is told. */
static void tell_later(struct sync_connect *c, uint64_t now, uint64_t due)
{
    struct sync_result r = {0};

    sync_result_set(&r, SYNC_LATER, ERR_OK,
                    "a sync cycle was started %u s ago; the next one is started in %u s",
                    (unsigned)((now - c->made_at) / 1000), (unsigned)((due - now) / 1000));
    field_copy(r.job, sizeof(r.job), c->s->server);
    for (struct sync_push *p = c->s->pushes; p != NULL; p = p->next) {
        if (p->settled || p->aboard || is_check(p) || p->ends >= due)
            continue;
        c->planned = true;
        sync_settle(p, &r);
    }
}

static void step(void *arg)
{
    struct sync_connect *c = arg;
    uint64_t now = loop_now(c->s->loop);
    uint64_t due = c->made ? c->made_at + c->s->cycle_every_ms : 0;

    c->timer = NULL;
    if (c->running)
        return;
    if (first_waiting(c, true) != NULL) {
        take_aboard(c, true);
        run(c, sync_script_look, on_looked);
        return;
    }
    if (c->awaiting) {
        run(c, sync_script_look, on_looked);
        return;
    }
    if (first_waiting(c, false) == NULL && !c->planned && !anyone_aboard(c)) {
        c->waited = false;
        c->busy = 0;
        return;
    }
    if (c->failed && now - c->failed_at < FAILED_MS) {
        take_aboard(c, false);
        end_aboard(c, &c->failure, false);
        return;
    }
    if (now < due) {
        tell_later(c, now, due);
        if (c->planned || first_waiting(c, false) != NULL)
            step_in(c, due - now);
        return;
    }
    take_aboard(c, false);
    run(c, sync_script_start, on_started);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void started(struct sync_connect *c, struct sync_result *r)
{
    c->made = true;
    c->made_at = loop_now(c->s->loop);
    c->planned = c->awaiting = c->waited = c->failed = false;
    c->busy = 0;
    r->sent = true;
    end_aboard(c, r, false);
}

static void read_ran(const struct sync_ran *ran, enum sync_cycle *ret_cycle, char *words,
                     size_t size)
{
    *ret_cycle = SYNC_CYCLE_UNREADABLE;
    if (ran->truncated)
        field_copy(words, size, "the sync server's answer is too long");
    else
        *ret_cycle = sync_read_cycle(ran->out, ran->len, words, size);
}

static void on_started(void *arg, const struct sync_ran *ran, const struct err *e)
{
    struct sync_connect *c = arg;
    struct sync_result r = {0};
    enum sync_cycle cycle;
    char words[256];

    c->running = false;
    c->run = NULL;
    step_in(c, 0); /* for those who came meanwhile; what is decided below may be later */
    if (e != NULL) {
        sync_result_err(&r, e, /* changes */ true);
        if (r.outcome == SYNC_UNCLEAR) { /* counts as a start: there may have been one */
            started(c, &r);
            return;
        }
        end_failed(c, &r);
        return;
    }
    read_ran(ran, &cycle, words, sizeof(words));
    switch (cycle) {
    case SYNC_CYCLE_STARTED:
        sync_result_set(&r, SYNC_STARTED, ERR_OK, "%s", words);
        started(c, &r);
        return;
    case SYNC_CYCLE_RUNNING:
        if (c->waited) {
            /* The one we waited for is over, so this one began after we were asked. */
            sync_result_set(&r, SYNC_STARTED, ERR_OK, "%s, begun after the change", words);
            started(c, &r);
            return;
        }
        mark_sent(c, false);
        c->awaiting = true;
        c->await_ends = loop_now(c->s->loop) + c->s->cycle_wait_ms;
        loop_timer_stop(&c->timer);
        step_in(c, LOOK_MS);
        return;
    case SYNC_CYCLE_BUSY:
        if (++c->busy < BUSY_MAX) {
            mark_sent(c, false);
            loop_timer_stop(&c->timer);
            step_in(c, BUSY_MS);
            return;
        }
        sync_result_set(&r, SYNC_FAILED, ERR_BUSY, "%s", words);
        break;
    case SYNC_CYCLE_DENIED:
        sync_result_set(&r, SYNC_FORBIDDEN, ERR_DENIED, "%s", words);
        break;
    case SYNC_CYCLE_UNREADABLE:
        sync_result_set(&r, SYNC_UNCLEAR, ERR_INVALID, "%s", words);
        started(c, &r);
        return;
    case SYNC_CYCLE_READY: /* it did not even try, and says no reason */
    case SYNC_CYCLE_STAGING:
    case SYNC_CYCLE_OFF:
    case SYNC_CYCLE_NO_MODULE:
    case SYNC_CYCLE_FAILED:
        sync_result_set(&r, SYNC_FAILED, ERR_REFUSED, "%s", words);
        break;
    }
    end_failed(c, &r);
}

static void end_checks(struct sync_connect *c, const struct sync_ran *ran, enum sync_cycle cycle,
                       const char *words, const struct err *e)
{
    bool well = cycle == SYNC_CYCLE_READY || cycle == SYNC_CYCLE_RUNNING;
    struct sync_result r = {0};

    if (e != NULL)
        sync_result_err(&r, e, /* changes */ false);
    else if (cycle == SYNC_CYCLE_DENIED)
        sync_result_set(&r, SYNC_FORBIDDEN, ERR_DENIED, "%s", words);
    else
        sync_result_set(&r, well ? SYNC_PROVEN : SYNC_FAILED, well ? ERR_OK : ERR_REFUSED, "%s",
                        words);
    (void)ran;
    end_aboard(c, &r, true);
}

static void on_looked(void *arg, const struct sync_ran *ran, const struct err *e)
{
    struct sync_connect *c = arg;
    struct sync_result r = {0};
    enum sync_cycle cycle = SYNC_CYCLE_UNREADABLE;
    char words[256] = "";

    c->running = false;
    c->run = NULL;
    if (e == NULL)
        read_ran(ran, &cycle, words, sizeof(words));
    end_checks(c, ran, cycle, words, e);
    if (!c->awaiting) {
        step_in(c, 0);
        return;
    }
    if (e == NULL && cycle != SYNC_CYCLE_RUNNING) {
        c->awaiting = false; /* over; what else is wrong, the start will tell */
        c->waited = true;
        step_in(c, 0);
        return;
    }
    if (loop_now(c->s->loop) < c->await_ends) {
        step_in(c, LOOK_MS);
        return;
    }
    if (e != NULL)
        sync_result_err(&r, e, /* changes */ false);
    else
        sync_result_set(&r, SYNC_NOT_DONE, ERR_TIMEOUT,
                        "a sync cycle has been running for %u s, and no other can be started",
                        (unsigned)(c->s->cycle_wait_ms / 1000));
    end_failed(c, &r);
    step_in(c, 0);
}
