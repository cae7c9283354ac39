/* agent/service/held.c -- requests that wait for a person.
 *
 *   held_begin    the hold goes to disk, with its end and how many must approve
 *   on_held       from here on the ledger alone has it: its message is completed
 *   held_decide   a person's word goes to disk
 *   on_decided    approved by enough: it is carried out; declined: it is answered
 *   held_tick     nobody decided in time: the same as declined
 *
 * The message is completed because a hold may last for hours and belongs to the people at this
 * host: no second agent is to hold it as well.
 */
#include "agent/service/service_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/stamp.h"

static void write_hold(void *arg);
static void on_held(void *arg, const struct err *e);
static void on_decided(void *arg, const struct err *e);

/* --- held ---------------------------------------------------------------------------- */

void held_begin(struct job *j)
{
    write_hold(j);
}

static void write_hold(void *arg)
{
    struct job *j = arg;
    struct service *s = j->s;
    unsigned people = j->for_two ? 2 : s->cfg->service.approvals;
    struct err e;

    j->timer = NULL;
    j->held_until_ms = service_now_ms(s) + (int64_t)s->cfg->service.hold_expires_ms;
    if (requests_hold(s->ledger, j->request.id, j->case_id, j->hold_rule, j->hold_why, people,
                      j->held_until_ms, on_held, j, &e) < 0)
        on_held(j, &e);
}

static void on_held(void *arg, const struct err *e)
{
    struct job *j = arg;

    if (e != NULL) {
        service_ledger_failed(j->s, e);
        j->timer = loop_timer_start(j->s->loop, service_backoff_ms(j->tries++), write_hold, j);
        return;
    }
    service_ledger_fine(j->s);
    j->tries = 0;
    log_warning("request=%s case=%s held by the rule %s: it waits for a person (cordon pending)",
                j->request.id, j->case_id, j->hold_rule);
    job_move(j, JOB_HELD);
    if (j->message != NULL)
        message_end(TAKE(j->message), MESSAGE_COMPLETE, 0, NULL);
    service_wake(j->s);
    service_maybe_end(j->s);
}

/* --- decided --------------------------------------------------------------------------- */

struct decision {
    struct service *s;
    char id[ID_UUID];
    void (*done)(void *arg, const struct err *e); /* NULL: nobody asked */
    void *arg;
};

static int decide(struct job *j, bool approve, const char *by, const char *why,
                  void (*done)(void *arg, const struct err *e), void *arg, struct err *e)
{
    struct decision *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return err_set(e, ERR_NOMEM, 0, "decision");
    d->s = j->s;
    (void)snprintf(d->id, sizeof(d->id), "%s", j->request.id);
    d->done = done;
    d->arg = arg;
    if (requests_decide(j->s->ledger, j->request.id, approve, by, why, service_now_ms(j->s),
                        on_decided, d, e) < 0) {
        free(d);
        return -1;
    }
    j->deciding = true;
    return 0;
}

int held_decide(struct service *s, const char *id, bool approve, const char *by, const char *why,
                void (*done)(void *arg, const struct err *e), void *arg, struct err *e)
{
    struct job *j = job_find(s, id);

    if (j == NULL || j->state != JOB_HELD)
        return err_set(e, ERR_NOTFOUND, 0, "no held request %.40s", id);
    if (j->deciding)
        return err_set(e, ERR_CONFLICT, 0, "request %s: somebody decides just now", id);
    return decide(j, approve, by, why, done, arg, e);
}

void held_declined(struct job *j, const struct request_entry *en)
{
    if (en->decided_by[0] != '\0')
        job_end(j, VERDICT_REFUSED, "declined", "declined by %s%s%s", en->decided_by,
                en->decided_why[0] != '\0' ? ": " : "", en->decided_why);
    else
        job_end(j, VERDICT_REFUSED, "hold-expired",
                "it was held (%s: %s), and nobody approved in time", en->held_rule, en->held_why);
}

static bool go_on(void *arg, const struct request_entry *en)
{
    struct job *j = arg;
    struct err e;

    if (en->state != REQUEST_DECIDED) {
        log_info("request=%s approved by %u of %u", en->id, en->approvals, en->approvals_needed);
        return true;
    }
    j->moved = en->moved;
    if (en->declined) {
        held_declined(j, en);
        return true;
    }
    j->approved = true;
    j->twice = en->approvals >= 2;
    j->give_up_ms = service_now_ms(j->s) + APPROVED_MS;
    if (job_reload(j, &e) < 0)
        log_error("request=%s %s", en->id, e.msg);
    log_info("request=%s approved by %s", en->id, en->decided_by);
    job_move(j, JOB_WAITING);
    return true;
}

static bool look_if_decided(void *arg, const struct request_entry *en)
{
    *(bool *)arg = en->state == REQUEST_DECIDED;
    return true;
}

static void on_decided(void *arg, const struct err *e)
{
    struct decision *d = arg;
    struct service *s = d->s;
    struct job *j = job_find(s, d->id);
    bool there = false;
    struct err mine;

    if (j != NULL)
        j->deciding = false;
    if (e == NULL) {
        service_ledger_fine(s);
    } else {
        service_ledger_failed(s, e);
        /* A write that is said to have failed may have got there all the same: then it counts. */
        if (requests_find(s->ledger, d->id, look_if_decided, &there, &mine) == 0 && there)
            e = NULL;
    }
    if (e == NULL && j != NULL && j->state == JOB_HELD) {
        if (requests_find(s->ledger, d->id, go_on, j, &mine) < 0)
            log_error("request=%s %s", d->id, mine.msg);
        j = job_find(s, d->id);
        if (j != NULL)
            job_consider(j);
    }
    if (d->done != NULL)
        d->done(d->arg, e);
    free(d);
}

void held_tick(struct job *j)
{
    struct err e;

    if (j->state != JOB_HELD || j->deciding || service_now_ms(j->s) < j->held_until_ms ||
        (j->s->sick && loop_now(j->s->loop) < j->s->sick_until))
        return;
    if (decide(j, false, NULL, "nobody decided in time", NULL, NULL, &e) < 0)
        log_error("request=%s %s", j->request.id, e.msg);
}
