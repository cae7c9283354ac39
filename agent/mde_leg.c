/* agent/mde_leg.c -- see mde_leg.h; its other files are named in mde_leg_inside.h.
 *
 *   mde_leg_start   whose SID; the machines with the tag, where one is configured
 *   begin_op        a run that an earlier process left behind is taken up
 *   next            the next DC: which machine is it?
 *   on_machine      one of ours is there: the next one, or wait in line. Else the intent
 *   on_intended     the log is watched from here on; the run
 *   on_ran          surely nothing was done there: the next DC. Else look (mde_look.c)
 *   mde_op_over     that operation is settled: the next one, or the end
 *
 * Invariants: no second DC is asked while the first may have done it, or may still. The script's
 * word is never proof, neither of yes nor of no.
 */
#include "agent/mde_leg_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cloud.h"
#include "agent/run_inside.h"
#include "agent/world.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/stamp.h"
#include "base/text.h"

#define EXPIRY_MS \
    (INT64_C(2) * 60 * 1000) /* after the run's own end: the service keeps it for days */

static void on_tagged(void *arg, const struct defender_machine *m, size_t n, const struct err *e);
static void begin_op(struct mde_leg *m);
static void next(struct mde_leg *m);
static void on_machine(void *arg, const struct defender_machine *machine, const struct err *e);
static void on_intended(void *arg, const struct err *e);
static void on_log_open(void *arg);
static void on_ran(void *arg, const struct defender_result *r);

/* --- beginning and end ------------------------------------------------------------------------ */

bool mde_leg_resumes(const struct casefile *cf)
{
    return cf->w->cloud != NULL && cf->w->cloud->defender != NULL && mde_has_prior(cf);
}

bool mde_leg_wanted(const struct casefile *cf)
{
    enum dc_op ops[MDE_OPS];

    return cf->w->cfg->defender.on && cf->w->cloud != NULL && cf->w->cloud->defender != NULL &&
           cf->mde == NULL && !cf->dry_run && !cf->interrupted && run_ad_steps(cf) > 0 &&
           (cf->options.via_mde || cf->w->cfg->defender.fallback || mde_has_prior(cf)) &&
           mde_ops(cf->plan->action, ops) > 0;
}

static void on_later(void *arg)
{
    struct mde_leg *m = arg;

    m->timer = NULL;
    begin_op(m);
}

static int can_begin(struct mde_leg *m, struct err *e)
{
    const struct cloud *c = m->cf->w->cloud;

    if (c == NULL)
        *e = m->cf->w->cloud_failed;
    else if (m->op_count == 0)
        (void)err_set(e, ERR_UNSUPPORTED, 0, "Live Response has no script for %s",
                      action_word(m->cf->plan->action));
    else if (c->defender == NULL)
        *e = c->defender_failed;
    else
        return mde_find_account(m, e);
    return -1;
}

int mde_leg_start(struct casefile *cf, struct err *e)
{
    const struct cfg_defender *d = &cf->w->cfg->defender;
    struct mde_leg *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return err_set(e, ERR_NOMEM, 0, "mde");
    m->cf = cf;
    m->op_count = mde_ops(cf->plan->action, m->ops);
    if (can_begin(m, e) < 0) {
        free(m);
        return -1;
    }
    m->defender = cf->w->cloud->defender;
    m->patience = loop_now(cf->w->loop) + d->run_ms;
    watch_focus(cf->w->watch, &m->sid);
    mde_targets(m);
    cf->mde = m;
    if (d->dc_tag != NULL &&
        defender_tagged_start(m->defender, d->dc_tag, on_tagged, m, &m->call, e) == 0)
        return 0;
    m->timer = loop_timer_start(cf->w->loop, 0, on_later, m);
    if (m->timer != NULL)
        return 0;
    cf->mde = NULL;
    free(m);
    return err_set(e, ERR_NOMEM, 0, "mde");
}

static void on_tagged(void *arg, const struct defender_machine *machines, size_t n,
                      const struct err *e)
{
    struct mde_leg *m = arg;

    m->call = NULL;
    if (e != NULL)
        (void)snprintf(m->why, sizeof(m->why), "%.390s", e->msg);
    for (size_t i = 0; e == NULL && i < n; i++) {
        if (mde_is_dc(m, machines[i].name))
            mde_add_target(m, machines[i].name, machines[i].id);
        else
            log_warning("%s has the tag of a DC and is none that DNS shows: not used",
                        machines[i].name);
    }
    begin_op(m);
}

static void leg_ends(struct mde_leg *m)
{
    bool any = false;

    m->over = true;
    for (size_t i = 0; i < m->op_count; i++)
        any = any || m->facts[i].done || m->facts[i].already;
    run_mde_over(m->cf, any);
}

/* --- one DC after the other ------------------------------------------------------------------- */

static void new_step(struct mde_leg *m, const char *target)
{
    step_done(&m->step);
    m->step = (struct step){.name = "mde", .target = target, .started_us = run_now_us(m->cf)};
    m->looked = m->heard = m->shown = m->met = m->denied = m->may_still_fire = false;
    m->has_said = false;
    m->left.has = false;
    m->taken_up = NULL;
}

static void ends_nowhere(struct mde_leg *m)
{
    new_step(m, "mde");
    m->facts[m->op_at].failed = true;
    mde_tell(m, OUT_FAILED, PROOF_NONE, "%s",
             m->cf->interrupted  ? "told to stop"
             : m->why[0] != '\0' ? m->why
                                 : "no DC is configured for Live Response");
    leg_ends(m);
}

static void begin_op(struct mde_leg *m)
{
    new_step(m, "mde");
    m->at = m->op_at == 0 ? 0 : m->at; /* the second on the same DC */
    m->line = false;
    if (m->cf->interrupted || !mde_take_up(m)) {
        next(m);
        return;
    }
    log_info("case=%s the run on %s that was begun before is followed", m->cf->id,
             m->targets[m->at].host);
    m->step.target = m->targets[m->at].host;
    /* It may be over in no time, and then its proof is read from where it began. */
    if (!watch_wait_start(m->cf->w->watch, m->targets[m->at].host, on_log_open, m, &m->wait))
        on_log_open(m);
}

static void on_log_open(void *arg)
{
    struct mde_leg *m = arg;
    const char *action = m->taken_up->action;
    struct err e;

    m->wait = NULL;
    mde_expect(m);
    if (defender_resume_start(m->defender, action[0] != '\0' ? action : NULL, m->order.nonce,
                              m->cf->w->cfg->defender.run_ms, on_ran, m, &m->call, &e) == 0) {
        m->running = true;
        return;
    }
    watch_expect_cancel(&m->expect);
    m->facts[m->op_at].unknown = true;
    mde_tell(m, OUT_UNKNOWN, PROOF_NONE, "the run that was begun before cannot be followed: %.300s",
             e.msg);
    leg_ends(m);
}

static void on_again(void *arg)
{
    struct mde_leg *m = arg;

    m->timer = NULL;
    m->waiting = false;
    m->at = 0;
    m->line = false;
    next(m);
}

/* Somebody is on every machine: ours will be off soon, a session in the portal perhaps. */
static bool waits(struct mde_leg *m)
{
    uint64_t now = loop_now(m->cf->w->loop);
    bool any = false;

    for (size_t i = 0; i < m->count; i++)
        any = any || !m->targets[i].out;
    if (!any || m->cf->interrupted || (!m->line && now >= m->patience))
        return false;
    m->timer = loop_timer_start(m->cf->w->loop, m->cf->w->cfg->defender.poll_ms, on_again, m);
    m->waiting = m->timer != NULL;
    return m->waiting;
}

static void next(struct mde_leg *m)
{
    const struct mde_target *t;
    struct err e;

    while (m->at < m->count && m->targets[m->at].out)
        m->at++;
    if (m->at == m->count && waits(m))
        return;
    if (m->at == m->count || m->cf->interrupted) {
        ends_nowhere(m);
        return;
    }
    t = &m->targets[m->at];
    new_step(m, t->host);
    if (defender_find_start(m->defender, t->host, t->machine[0] != '\0' ? t->machine : NULL,
                            on_machine, m, &m->call, &e) < 0)
        on_machine(m, NULL, &e);
}

static void on_next(void *arg)
{
    struct mde_leg *m = arg;

    m->timer = NULL;
    m->at++;
    next(m);
}

static void on_same(void *arg)
{
    struct mde_leg *m = arg;

    m->timer = NULL;
    next(m);
}

/* In another turn: the run in hand still holds its machine. */
static void go_on(struct mde_leg *m)
{
    m->timer = loop_timer_start(m->cf->w->loop, 0, on_next, m);
    if (m->timer == NULL)
        ends_nowhere(m);
}

/* Nothing was done there, and nothing will be. */
void mde_elsewhere(struct mde_leg *m, enum outcome how, const char *why)
{
    struct mde_target *t = &m->targets[m->at];
    char line[500];

    (void)snprintf(line, sizeof(line), "%s", why);
    (void)snprintf(m->why, sizeof(m->why), "%.100s: %.380s", t->host, line);
    t->out = true;
    mde_tell(m, how, PROOF_NONE, "%s", line);
    go_on(m);
}

static void busy(struct mde_leg *m, const char *why)
{
    struct mde_target *t = &m->targets[m->at];

    (void)snprintf(m->why, sizeof(m->why), "%.100s: %.380s", t->host, why);
    if (!t->told)
        mde_tell(m, OUT_FAILED, PROOF_NONE, "%.390s; asked again later", strchr(m->why, ' ') + 1);
    t->told = true;
    go_on(m);
}

static void on_machine(void *arg, const struct defender_machine *machine, const struct err *e)
{
    struct mde_leg *m = arg;
    struct err mine;

    m->call = NULL;
    if (e != NULL) {
        mde_elsewhere(m, OUT_FAILED, e->msg);
        return;
    }
    if (defender_is_taken(m->defender, machine->id)) {
        m->line = true;
        go_on(m);
        return;
    }
    m->order = (struct dc_order){.op = m->ops[m->op_at],
                                 .sid = m->sid,
                                 .guid = m->guid,
                                 .domain = m->cf->w->domain->name,
                                 .expires_ms = stamp_now_ms() +
                                               (int64_t)m->cf->w->cfg->defender.run_ms + EXPIRY_MS,
                                 .case_id = m->cf->id};
    m->order.must_change = m->order.op == DC_RESET_PASSWORD && m->cf->options.must_change;
    m->order.clear_never_expires = m->cf->options.clear_never_expires &&
                                   (m->order.op == DC_EXPIRE_PASSWORD || m->order.must_change);
    (void)snprintf(m->machine, sizeof(m->machine), "%s", machine->id);
    if (dc_nonce(m->order.nonce, &mine) < 0 || mde_record_intent(m, on_intended, &mine) < 0)
        mde_elsewhere(m, OUT_FAILED, mine.msg);
    else
        m->intent_open = true;
}

static void on_started(void *arg, const char *action_id)
{
    mde_record_action(arg, action_id);
}

static void on_intended(void *arg, const struct err *e)
{
    struct mde_leg *m = arg;
    CLEANUP(text_done) struct text payload = TEXT_INIT(8192);
    char comment[300];
    struct defender_ask ask = {.machine_id = m->machine,
                               .nonce = m->order.nonce,
                               .comment = comment,
                               .started = on_started,
                               .all_ms = m->cf->w->cfg->defender.run_ms};
    struct err mine;

    m->intent_open = false;
    if (e != NULL || m->cf->interrupted) {
        mde_elsewhere(m, OUT_FAILED, e != NULL ? e->msg : "told to stop");
        return;
    }
    (void)snprintf(comment, sizeof(comment), "cordon case %s: %s %s", m->cf->id,
                   dc_op_word(m->order.op), m->sid_text);
    if (dc_payload_build(&m->order, &payload, &mine) < 0) {
        mde_elsewhere(m, OUT_FAILED, mine.msg);
        return;
    }
    ask.payload = payload.s;
    mde_expect(m);
    if (defender_run_start(m->defender, &ask, on_ran, m, &m->call, &mine) < 0) {
        watch_expect_cancel(&m->expect);
        mde_elsewhere(m, OUT_FAILED, mine.msg);
        return;
    }
    m->running = true;
    log_info("case=%s %s through Live Response on %s: this takes minutes", m->cf->id,
             dc_op_word(m->order.op), m->targets[m->at].host);
}

/* --- what the run came to --------------------------------------------------------------------- */

static bool never_ran(const struct defender_result *r)
{
    return r->not_there || (r->end == DEFENDER_FAILED && r->marker == NULL);
}

static void on_ran(void *arg, const struct defender_result *r)
{
    struct mde_leg *m = arg;

    m->call = NULL;
    m->running = false;
    if (m->taken_up != NULL && !m->cf->interrupted && never_ran(r)) {
        /* Looked for again and again, or cancelled in time. What may come late all the same does
         * no more harm than doing it twice would. */
        log_warning("case=%s the run of the earlier process never began: another is begun",
                    m->cf->id);
        watch_expect_cancel(&m->expect);
        m->timer = loop_timer_start(m->cf->w->loop, 0, on_same, m);
        if (m->timer == NULL)
            ends_nowhere(m);
        return;
    }
    mde_take_result(m, r);
    if (m->end == DEFENDER_BUSY || m->end == DEFENDER_FAILED || m->end == DEFENDER_REFUSED)
        watch_expect_cancel(&m->expect);
    if (m->end == DEFENDER_BUSY) {
        busy(m, m->why);
        return;
    }
    if (m->end == DEFENDER_FAILED) {
        mde_elsewhere(m, OUT_FAILED, m->why);
        return;
    }
    if (m->end == DEFENDER_REFUSED) {
        if (m->has_said ? mde_for_this_dc(m->said.code) : r->elsewhere) {
            mde_elsewhere(m, OUT_REFUSED, m->why);
            return;
        }
        m->facts[m->op_at].refused = true;
        mde_tell(m, OUT_REFUSED, PROOF_NONE, "%s", m->why);
        leg_ends(m);
        return;
    }
    mde_look(m);
}

void mde_op_over(struct mde_leg *m)
{
    if (!m->facts[m->op_at].unknown && m->op_at + 1 < m->op_count && !m->cf->interrupted) {
        m->op_at++;
        m->timer = loop_timer_start(m->cf->w->loop, 0, on_later, m);
        if (m->timer != NULL)
            return;
    }
    leg_ends(m);
}

/* --- for the case ----------------------------------------------------------------------------- */

void mde_leg_free(struct casefile *cf)
{
    struct mde_leg *m = cf->mde;

    if (m == NULL)
        return;
    loop_timer_stop(&m->timer);
    watch_wait_cancel(&m->wait);
    watch_expect_cancel(&m->expect);
    defender_abandon(m->call);
    step_done(&m->step);
    step_done(&m->confirm_step);
    free(m);
    cf->mde = NULL;
}

void mde_leg_interrupt(struct casefile *cf)
{
    struct mde_leg *m = cf->mde;

    if (m == NULL || m->over || m->hurried || (m->call == NULL && !m->waiting))
        return;
    m->hurried = true;
    if (m->running) {
        defender_run_cancel(m->call);
        return;
    }
    /* Only a question, or a wait: nothing was sent. */
    defender_abandon(m->call);
    m->call = NULL;
    loop_timer_stop(&m->timer);
    m->timer = loop_timer_start(cf->w->loop, 0, on_again, m);
}

bool mde_leg_busy(struct casefile *cf)
{
    mde_leg_interrupt(cf);
    return cf->mde != NULL &&
           ((!cf->mde->over && cf->mde->running) || cf->mde->looking || cf->mde->intent_open);
}

bool mde_leg_ended(const struct casefile *cf)
{
    return cf->mde == NULL || cf->mde->over;
}
