/* agent/okta_log.c -- Okta's System Log as proof of what the leg did.
 *
 *   okta_log_ask   whose are we there? A service app is its client id; a token is its admin's
 *   on_me          that admin
 *   ask, on_event  the event, by us, about this user, after we sent it
 *   on_late        the time is up
 *   okta_log_tell  what came of it, as one step
 *
 * An event of ours makes the proof `logged`. One that is not there, not ours, or cannot be read
 * takes nothing away from what was read back, and is told. All of it takes the setting `confirm` at
 * most.
 */
#include <stdio.h>
#include <string.h>

#include "agent/cloud.h"
#include "agent/okta_leg_inside.h"
#include "agent/run_inside.h"
#include "agent/world.h"
#include "base/stamp.h"

static void on_me(void *arg, const struct okta_user *u, const struct err *e);
static void ask(struct okta_proof *p);
static void on_event(void *arg, const struct okta_event *ev, const struct err *e);
static void on_late(void *arg);

static void over(struct okta_proof *p, const struct err *e)
{
    p->call = NULL;
    p->over = true;
    if (e != NULL)
        p->why = *e;
    okta_leg_settle(p->leg);
}

void okta_log_ask(struct okta_leg *l, struct okta_proof *p, const char *what, const char *type,
                  int64_t since_ms, int64_t after_ms)
{
    struct cloud *c = l->cf->w->cloud;
    struct err e;

    if (l->interrupted)
        return;
    p->leg = l;
    p->what = what;
    p->type = type;
    p->since_ms = since_ms;
    p->after_ms = after_ms;
    if (l->log_step.started_us == 0)
        l->log_step.started_us = run_now_us(l->cf);
    if (l->log_timer == NULL)
        l->log_timer = loop_timer_start(l->cf->w->loop, l->cf->w->cfg->confirm_ms, on_late, l);
    if (since_ms == 0)
        (void)err_set(&e, ERR_INVALID, 0, "Okta's answers have no date to look from");
    else if (l->log_timer == NULL)
        (void)err_set(&e, ERR_NOMEM, 0, "no memory");
    else if (c->okta_actor[0] != '\0') {
        ask(p);
        return;
    } else if (okta_me_start(c->okta, on_me, p, &p->call, &e) == 0)
        return;
    over(p, &e);
}

static void on_me(void *arg, const struct okta_user *u, const struct err *e)
{
    struct okta_proof *p = arg;
    struct cloud *c = p->leg->cf->w->cloud;
    struct err mine;

    p->call = NULL;
    if (e != NULL) {
        (void)err_set(&mine, e->code, e->native, "whose token it is cannot be asked: %s", e->msg);
        over(p, &mine);
        return;
    }
    (void)snprintf(c->okta_actor, sizeof(c->okta_actor), "%s", u->id);
    ask(p);
}

static void ask(struct okta_proof *p)
{
    const struct okta_leg *l = p->leg;
    const struct cloud *c = l->cf->w->cloud;
    uint64_t gone_ms = (run_now_us(l->cf) - l->log_step.started_us) / 1000;
    uint64_t all_ms = l->cf->w->cfg->confirm_ms;
    const struct okta_expect x = {.id = l->user.id,
                                  .type = p->type,
                                  .actor = c->okta_actor,
                                  .since_ms = p->since_ms,
                                  .after_ms = p->after_ms};
    struct err e;

    if (gone_ms >= all_ms)
        (void)err_set(&e, ERR_CANCELED, 0, "the time is up");
    else if (okta_confirm_start(c->okta, &x, all_ms - gone_ms, on_event, p, &p->call, &e) == 0)
        return;
    over(p, &e);
}

static void on_event(void *arg, const struct okta_event *ev, const struct err *e)
{
    struct okta_proof *p = arg;

    if (ev != NULL) {
        p->event = *ev;
        p->has_event = true;
    }
    over(p, e);
}

static void on_late(void *arg)
{
    struct okta_leg *l = arg;

    l->log_timer = NULL;
    (void)okta_log_cancel(l);
}

bool okta_log_waits(const struct okta_leg *l)
{
    return (l->of_change.type != NULL && !l->of_change.over) ||
           (l->of_sessions.type != NULL && !l->of_sessions.over);
}

bool okta_log_cancel(struct okta_leg *l)
{
    bool any = false;

    if (l->of_change.call != NULL) {
        okta_cancel(l->of_change.call);
        any = true;
    }
    if (l->of_sessions.call != NULL) {
        okta_cancel(l->of_sessions.call);
        any = true;
    }
    return any;
}

bool okta_log_has(const struct okta_proof *p)
{
    return p->has_event && p->event.ours;
}

/* --- telling ------------------------------------------------------------------------------------
 */

static void describe(const struct okta_proof *p, char words[200])
{
    if (okta_log_has(p))
        (void)snprintf(words, 200, "%s: event %.63s", p->what, p->event.uuid);
    else if (p->has_event)
        (void)snprintf(words, 200, "%s: there is one by %.80s, who is not us: no proof", p->what,
                       p->event.actor_name[0] != '\0' ? p->event.actor_name
                       : p->event.actor_id[0] != '\0' ? p->event.actor_id
                                                      : "somebody not named");
    else if (p->why.code == ERR_OK)
        (void)snprintf(words, 200, "%s: no event of ours in time, which proves nothing", p->what);
    else if (p->why.code == ERR_CANCELED)
        (void)snprintf(words, 200, "%s: no answer in time", p->what);
    else
        (void)snprintf(words, 200, "%s: %.150s", p->what, p->why.msg);
}

void okta_log_tell(struct okta_leg *l)
{
    const struct okta_proof *const proofs[] = {&l->of_change, &l->of_sessions};
    char words[2][200] = {"", ""};
    bool all = true;

    loop_timer_stop(&l->log_timer);
    for (size_t i = 0; i < 2; i++) {
        if (proofs[i]->type == NULL)
            continue;
        describe(proofs[i], words[i]);
        all = all && okta_log_has(proofs[i]);
    }
    l->log_step.outcome = all ? OUT_DONE : OUT_UNCONFIRMED;
    l->log_step.proof = all ? PROOF_LOGGED : PROOF_NONE;
    step_say(&l->log_step, "Okta's System Log: %s%s%s", words[0],
             words[0][0] != '\0' && words[1][0] != '\0' ? "; " : "", words[1]);
    okta_leg_tell(l, &l->log_step);
}
