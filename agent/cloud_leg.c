/* agent/cloud_leg.c -- see cloud_leg.h.
 *
 *   cloud_leg_start   who is this in Entra?
 *   on_matched        nobody: no cloud part. Somebody: who is that?
 *   on_guarded        privileged: refused, here and in AD
 *   cloud_leg_go      nothing to wait for any more: act
 *   act_next          each act: already so; or what it needs is there (cloud_act_checked), then
 *                     intent -> on_intended -> cloud_act_answered
 *   look, on_look     one question for all of them: does the user show it?
 *   leg_sync          every DC shows the change: push it through (cloud_sync.c), and look again
 *   leg_end           the one way out
 *
 * Invariants: nothing is sent before the leg is judged and its intent is on disk. What was sent is
 * decided by reading the user, never by the answer alone. The leg ends once.
 */
#include "agent/cloud_leg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cloud_leg_inside.h"
#include "agent/run_inside.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/sm.h"
#include "base/stamp.h"
#include "base/text.h"

#define DOWN_MS 5000
#define BUDGET_MS 3000 /* entra-graph.md 13: the guard's questions never hold AD up for longer */

static const struct sm_state states[] = {
    [LEG_MATCHING] = {"matching", SM_TO(LEG_JUDGING) | SM_TO(LEG_WAITING) | SM_TO(LEG_ENDED)},
    [LEG_JUDGING] = {"judging", SM_TO(LEG_WAITING) | SM_TO(LEG_ENDED)},
    [LEG_WAITING] = {"waiting", SM_TO(LEG_ACTING) | SM_TO(LEG_ENDED)},
    [LEG_ACTING] = {"acting", SM_TO(LEG_LOOKING) | SM_TO(LEG_SYNCING) | SM_TO(LEG_EVIDENCE) |
                                  SM_TO(LEG_HOLDING) | SM_TO(LEG_ENDED)},
    [LEG_AUDITING] = {"auditing", SM_TO(LEG_SYNCING) | SM_TO(LEG_EVIDENCE) | SM_TO(LEG_HOLDING) |
                                      SM_TO(LEG_ENDED)},
    [LEG_LOOKING] = {"looking", SM_TO(LEG_AUDITING) | SM_TO(LEG_SYNCING) | SM_TO(LEG_EVIDENCE) |
                                    SM_TO(LEG_HOLDING) | SM_TO(LEG_ENDED)},
    [LEG_SYNCING] = {"syncing", SM_TO(LEG_LOOKING_AGAIN) | SM_TO(LEG_EVIDENCE) |
                                    SM_TO(LEG_HOLDING) | SM_TO(LEG_ENDED)},
    [LEG_LOOKING_AGAIN] = {"looking again", SM_TO(LEG_ACTING) | SM_TO(LEG_EVIDENCE) |
                                                SM_TO(LEG_HOLDING) | SM_TO(LEG_ENDED)},
    [LEG_EVIDENCE] = {"evidence", SM_TO(LEG_HOLDING) | SM_TO(LEG_ENDED)},
    [LEG_HOLDING] = {"holding", SM_TO(LEG_LOOKING_AGAIN) | SM_TO(LEG_ENDED)},
    [LEG_ENDED] = {"ended", 0},
};

static void on_matched(void *arg, const struct entra_user *u, const struct err *e);
static void on_guarded(void *arg, const struct entra_guard *g, const struct err *e);
static void judged(struct cloud_leg *l);
static void on_budget(void *arg);
static void act_all(struct cloud_leg *l);
static void act_next(struct cloud_leg *l);
static void on_intended(void *arg, const struct err *e);
static void look(struct cloud_leg *l);
static void on_look(void *arg, const struct entra_user *u, bool held, const struct err *e);

void leg_move(struct cloud_leg *l, enum leg_state next)
{
    int now = (int)l->state;

    sm_move(states, ARRAY_LEN(states), &now, (int)next, "cloud");
    l->state = next;
}

struct cloud *cloud_act_cloud(const struct cloud_act *x)
{
    return x->leg->cf->w->cloud;
}

/* --- beginning and end ------------------------------------------------------------------------ */

static void add_act(struct cloud_leg *l, const struct plan_cloud *p)
{
    struct cloud_act *x = &l->acts[l->act_count++];
    const struct prior *prior = run_find_prior(l->cf, p->kind->step, p->kind->target);

    *x = (struct cloud_act){.leg = l, .kind = p->kind, .goal = p->goal};
    x->step.name = p->kind->step;
    x->step.target = p->kind->target;
    if (prior != NULL && prior->intended) {
        x->intended_before = true;
        x->intended_ms = prior->intended_ms;
    }
}

static void on_closed(void *arg)
{
    struct cloud_leg *l = arg;

    l->timer = NULL;
    if (!l->cf->ending)
        judged(l);
}

int cloud_leg_start(struct casefile *cf, struct err *e)
{
    struct cloud_leg *l = calloc(1, sizeof(*l));
    bool down;
    int rc;

    if (l == NULL)
        return err_set(e, ERR_NOMEM, 0, "cloud");
    l->cf = cf;
    l->state = LEG_MATCHING;
    for (size_t i = 0; i < cf->plan->cloud_count; i++)
        add_act(l, &cf->plan->cloud[i]);
    l->by_name = !cf->resolved;
    down = cf->w->cloud != NULL && loop_now(cf->w->loop) < cf->w->cloud->down_until;
    if (cf->w->cloud == NULL || down) { /* told like any other failure */
        leg_why(l, down ? &cf->w->cloud->down_why : &cf->w->cloud_failed);
        l->state = LEG_WAITING;
        l->timer = loop_timer_start(cf->w->loop, 0, on_closed, l);
        if (l->timer == NULL) {
            free(l->why_words);
            free(l);
            return err_set(e, ERR_NOMEM, 0, "cloud");
        }
        cf->cloud = l;
        return 0;
    }
    if (cf->resolved) {
        char sid[AD_SID_TEXT];
        struct entra_facts f = {.sid = ad_sid_to_text(&cf->found.sid, sid),
                                .guid = cf->found.guid.b,
                                .consistency =
                                    cf->found.has_consistency ? cf->found.consistency.b : NULL,
                                .upn = cf->found.upn,
                                .domain = cf->w->domain->name};

        rc = entra_match_start(cf->w->cloud->graph, &f, on_matched, l, &l->call, e);
    } else {
        rc = entra_find_start(cf->w->cloud->graph, cf->typed, cf->w->domain->name, on_matched, l,
                              &l->call, e);
    }
    if (rc == 0)
        l->budget = loop_timer_start(cf->w->loop, BUDGET_MS, on_budget, l);
    if (rc < 0) {
        free(l);
        return -1;
    }
    cf->cloud = l;
    return 0;
}

void cloud_leg_free(struct casefile *cf)
{
    struct cloud_leg *l = cf->cloud;

    if (l == NULL)
        return;
    cf->cloud = NULL;
    loop_timer_stop(&l->budget);
    loop_timer_stop(&l->timer);
    for (size_t i = 0; i < l->act_count; i++)
        step_done(&l->acts[i].step);
    step_done(&l->sync_step);
    entra_user_done(&l->user);
    free(l->why_words);
    free(l);
}

bool cloud_leg_busy(struct casefile *cf)
{
    struct cloud_leg *l = cf->cloud;

    if (l == NULL || (l->call == NULL && l->plain == NULL && l->push == NULL && l->hunt == NULL))
        return false;
    if (!l->hurried && l->hunt != NULL)
        hunt_cancel(l->hunt);
    if (!l->hurried && l->push != NULL)
        sync_push_cancel(l->push);
    if (!l->hurried && l->call != NULL)
        entra_cancel(l->call);
    if (!l->hurried && l->plain != NULL)
        graph_cancel(l->plain);
    l->hurried = true;
    return true;
}

void leg_end(struct cloud_leg *l)
{
    loop_timer_stop(&l->budget);
    loop_timer_stop(&l->timer);
    if (l->state != LEG_ENDED)
        leg_move(l, LEG_ENDED);
    run_settle(l->cf);
}

void leg_why(struct cloud_leg *l, const struct err *e)
{
    free(l->why_words);
    l->why = e->code;
    l->why_words = text_dup(e->msg);
}

static const char *why_words(const struct cloud_leg *l)
{
    return l->why_words != NULL ? l->why_words : err_word(l->why);
}

int leg_keep_user(struct cloud_leg *l, const struct entra_user *u, struct err *e)
{
    struct entra_user copy;

    if (entra_user_copy(u, &copy, e) < 0)
        return -1;
    entra_user_done(&l->user);
    l->user = copy;
    l->has_user = true;
    return 0;
}

/* --- match and judge -------------------------------------------------------------------------- */

static void on_matched(void *arg, const struct entra_user *u, const struct err *e)
{
    struct cloud_leg *l = arg;
    struct casefile *cf = l->cf;
    struct err mine;

    l->call = NULL;
    if (cf->ending)
        return;
    if (e == NULL && leg_keep_user(l, u, &mine) < 0)
        e = &mine;
    if (e == NULL) {
        leg_move(l, LEG_JUDGING);
        if (entra_guard_start(cf->w->cloud->graph, cf->w->cloud->owners, &l->user, BUDGET_MS,
                              &cf->w->cfg->entra.protected_groups, on_guarded, l, &l->call,
                              &mine) == 0)
            return;
        e = &mine;
    }
    /* So that a thousand accounts do not find out one after the other. */
    if (e->code == ERR_UNSENT || e->code == ERR_AUTH || e->code == ERR_TIMEOUT) {
        cf->w->cloud->down_until = loop_now(cf->w->loop) + DOWN_MS;
        cf->w->cloud->down_why = *e;
    }
    l->absent = e->code == ERR_NOTFOUND && !l->has_user;
    leg_why(l, e);
    leg_move(l, LEG_WAITING);
    judged(l);
}

static void on_guarded(void *arg, const struct entra_guard *g, const struct err *e)
{
    struct cloud_leg *l = arg;
    struct err mine;

    l->call = NULL;
    if (l->cf->ending)
        return;
    leg_move(l, LEG_WAITING);
    if (e != NULL) {
        (void)err_set(&mine, e->code, e->native, "cannot judge whether it is privileged: %s",
                      e->msg);
        l->refused = true;
        l->rule = "cannot-judge";
        leg_why(l, &mine);
    } else if (g->is == ENTRA_PRIVILEGED && l->cf->leave.twice &&
               l->cf->w->cfg->policy.allow_privileged) {
        log_info("case=%s privileged in Entra, and approved by two", l->cf->id);
    } else if (g->is != ENTRA_ORDINARY) {
        (void)err_set(&mine, ERR_REFUSED, 0, "%s", g->words);
        l->refused = true;
        l->privileged = g->is == ENTRA_PRIVILEGED;
        l->rule = g->rule; /* a constant */
        leg_why(l, &mine);
    }
    judged(l);
}

/* run.c may end the case from here: nothing of `l` is touched after run_cloud_judged. */
static void judged(struct cloud_leg *l)
{
    struct casefile *cf = l->cf;

    loop_timer_stop(&l->budget);
    if (l->go)
        act_all(l);
    else if (!l->was_told) {
        l->was_told = true;
        run_cloud_judged(cf);
    }
}

static void on_budget(void *arg)
{
    struct cloud_leg *l = arg;

    l->budget = NULL;
    if (l->was_told || l->cf->ending)
        return;
    log_info("case=%s Entra has not answered in time; going on in AD", l->cf->id);
    l->was_told = true;
    run_cloud_judged(l->cf);
}

bool cloud_leg_judged(const struct casefile *cf)
{
    const struct cloud_leg *l = cf->cloud;

    return l == NULL || l->was_told || l->state >= LEG_WAITING;
}

bool cloud_leg_refuses(const struct casefile *cf, const char **ret_rule, const char **ret_words)
{
    const struct cloud_leg *l = cf->cloud;

    if (l == NULL || !l->refused || !l->privileged)
        return false;
    *ret_rule = l->rule;
    *ret_words = why_words(l);
    return true;
}

bool cloud_leg_ended(const struct casefile *cf)
{
    return cf->cloud == NULL || cf->cloud->state == LEG_ENDED;
}

/* --- acts ----------------------------------------------------------------------------------------
 */

void cloud_leg_go(struct casefile *cf)
{
    struct cloud_leg *l = cf->cloud;

    if (l == NULL || l->go)
        return;
    l->go = true;
    if (l->state == LEG_WAITING)
        act_all(l);
}

void cloud_leg_withhold(struct casefile *cf, const char *why)
{
    struct cloud_leg *l = cf->cloud;
    struct err e;

    if (l == NULL || l->go)
        return;
    (void)err_set(&e, ERR_REFUSED, 0, "%s", why);
    leg_why(l, &e);
    l->withheld = true;
}

static void act_end(struct cloud_act *x, enum outcome how, const char *words)
{
    struct cloud_leg *l = x->leg;

    x->state = CACT_ENDED;
    x->step.outcome = how;
    x->step.ended_us = run_now_us(l->cf);
    if (x->step.started_us == 0)
        x->step.started_us = x->step.ended_us;
    if (words != NULL)
        step_say(&x->step, "%s", words);
    leg_record(x);
    run_tell(l->cf, &x->step);
}

/* Nobody to act on, or nobody that may be touched. */
static void give_up(struct cloud_leg *l)
{
    for (size_t i = 0; i < l->act_count; i++) {
        struct cloud_act *x = &l->acts[i];

        if (l->refused && l->rule != NULL) {
            char words[STEP_DETAIL];

            (void)snprintf(words, sizeof(words), "%s: %s", l->rule, why_words(l));
            act_end(x, OUT_REFUSED, words);
        } else {
            act_end(x, l->absent && !l->withheld ? OUT_SKIPPED : OUT_FAILED, why_words(l));
        }
    }
    leg_end(l);
}

static void act_all(struct cloud_leg *l)
{
    leg_move(l, LEG_ACTING);
    if (!l->has_user || l->refused || l->withheld) {
        give_up(l);
        return;
    }
    l->at = 0;
    act_next(l);
}

static int act_begin(struct cloud_act *x, struct err *e)
{
    x->state = CACT_INTENT;
    return leg_intend(x, on_intended, e);
}

static void act_next(struct cloud_leg *l)
{
    struct casefile *cf = l->cf;
    bool open = false;
    struct err e;

    while (l->at < l->act_count) {
        struct cloud_act *x = &l->acts[l->at++];
        const char *words;

        if (x->state == CACT_ENDED)
            continue;
        x->step.started_us = run_now_us(cf);
        if (l->interrupted) {
            act_end(x, OUT_FAILED, "told to stop before it was begun");
            continue;
        }
        words = x->kind->cannot != NULL ? x->kind->cannot(x, &l->user) : NULL;
        if (words != NULL) {
            act_end(x,
                    x->goal && run_ad_steps(cf) == 0 && l->act_count == 1 ? OUT_REFUSED
                                                                          : OUT_SKIPPED,
                    words);
            continue;
        }
        if (x->intended_before && x->kind->shown != NULL && x->kind->shown(x, &l->user)) {
            x->lost = true; /* an earlier run sent it, it seems */
            x->state = CACT_EVIDENCE;
            continue;
        }
        words = x->kind->already != NULL ? x->kind->already(x, &l->user) : NULL;
        if (words != NULL) {
            x->step.proof = PROOF_READ_BACK;
            act_end(x, OUT_ALREADY, words);
            continue;
        }
        if ((x->kind->check != NULL ? x->kind->check(x, &e) : act_begin(x, &e)) == 0)
            return;
        act_end(x, OUT_FAILED, e.msg);
    }
    for (size_t i = 0; i < l->act_count; i++)
        open = open || l->acts[i].state == CACT_EVIDENCE;
    if (open)
        look(l);
    else
        leg_after_acts(l);
}

void cloud_act_checked(struct cloud_act *x, const char *lacking)
{
    char words[STEP_DETAIL];
    struct err e;

    x->leg->call = NULL;
    if (x->leg->cf->ending)
        return;
    if (lacking == NULL && x->leg->interrupted)
        lacking = "told to stop";
    if (lacking == NULL && act_begin(x, &e) == 0)
        return;
    (void)snprintf(words, sizeof(words), "not sent: %.480s", lacking != NULL ? lacking : e.msg);
    act_end(x, OUT_FAILED, words);
    act_next(x->leg);
}

void cloud_act_skipped(struct cloud_act *x, const char *step, const char *words)
{
    struct step s = {.name = step, .target = x->kind->target, .outcome = OUT_SKIPPED};

    s.started_us = s.ended_us = run_now_us(x->leg->cf);
    step_say(&s, "%s", words);
    run_tell_and_record(x->leg->cf, &s);
    step_done(&s);
}

static void on_intended(void *arg, const struct err *e)
{
    struct cloud_act *x = arg;
    struct err mine;

    if (e == NULL) {
        x->state = CACT_EFFECT;
        x->sent_ms = stamp_now_ms();
        if (x->kind->send(x, &mine) == 0) {
            x->sent = true;
            return;
        }
        e = &mine;
    }
    act_end(x, OUT_FAILED, e->msg);
    act_next(x->leg);
}

void cloud_act_answered(struct cloud_act *x, int64_t date_ms, const struct err *e)
{
    struct cloud_leg *l = x->leg;
    bool clear_no = e != NULL && e->code != ERR_UNPROVEN && e->code != ERR_TIMEOUT &&
                    e->code != ERR_INVALID && e->code != ERR_TOOBIG && e->code != ERR_CANCELED;

    l->call = NULL;
    l->plain = NULL;
    if (clear_no) {
        act_end(x, OUT_FAILED, e->msg);
        act_next(l);
        return;
    }
    x->state = CACT_EVIDENCE;
    if (e == NULL) {
        x->accepted = true;
        x->accepted_ms = date_ms != 0 ? date_ms : stamp_now_ms();
        x->step.proof = PROOF_ACCEPTED;
        if (l->cf->accepted_us == 0)
            l->cf->accepted_us = run_now_us(l->cf);
    } else {
        x->lost = true;
        step_say(&x->step, "%s", e->msg);
    }
    act_next(l);
}

/* --- evidence --------------------------------------------------------------------------------- */

static void look(struct cloud_leg *l)
{
    struct entra_want want = {0};
    struct err e;

    leg_move(l, LEG_LOOKING);
    for (size_t i = 0; i < l->act_count; i++) {
        struct cloud_act *x = &l->acts[i];

        if (x->state != CACT_EVIDENCE || x->kind->look == NULL)
            continue;
        if (x->kind->look(x, &e) < 0)
            cloud_act_looked(x, false, e.msg);
        return; /* such an act is a plan of its own */
    }
    for (size_t i = 0; i < l->act_count; i++) {
        const struct cloud_act *x = &l->acts[i];

        if (x->state == CACT_EVIDENCE && x->kind->want != NULL)
            x->kind->want(x, &want);
    }
    if (entra_verify_start(l->cf->w->cloud->graph, l->user.id, &want,
                           l->interrupted ? 0 : l->cf->w->wait_ms, on_look, l, &l->call, &e) < 0)
        on_look(l, NULL, false, &e);
}

void cloud_act_looked(struct cloud_act *x, bool shown, const char *words)
{
    struct cloud_leg *l = x->leg;

    l->plain = NULL;
    x->shown = shown;
    if (shown)
        x->step.proof = PROOF_READ_BACK;
    act_end(x, shown ? OUT_DONE : x->accepted ? OUT_UNCONFIRMED : OUT_UNKNOWN, words);
    leg_after_acts(l);
}

static void on_look(void *arg, const struct entra_user *u, bool held, const struct err *e)
{
    struct cloud_leg *l = arg;
    struct entra_user before = l->user;
    struct err mine;

    l->call = NULL;
    (void)held; /* each act looks for itself */
    for (size_t i = 0; i < l->act_count; i++) {
        struct cloud_act *x = &l->acts[i];

        if (x->state != CACT_EVIDENCE)
            continue;
        x->shown = u != NULL && x->kind->shown != NULL && x->kind->shown(x, u);
        if (x->shown) {
            x->step.proof = PROOF_READ_BACK;
            x->kind->describe(x, &before, u);
            act_end(x, OUT_DONE, NULL);
        } else if (x->accepted) {
            char words[STEP_DETAIL];

            if (x->kind->shown == NULL)
                (void)snprintf(words, sizeof(words), "accepted; %s", x->kind->unshown);
            else if (u != NULL)
                (void)snprintf(words, sizeof(words),
                               "accepted, but Entra does not show it after %llu s: accountEnabled "
                               "is %s",
                               (unsigned long long)(l->cf->w->wait_ms / 1000),
                               u->enabled ? "true" : "false");
            else
                (void)snprintf(words, sizeof(words), "accepted, but it cannot be read back: %.400s",
                               e != NULL ? e->msg : "no answer");
            act_end(x, OUT_UNCONFIRMED, words);
        } else {
            char words[STEP_DETAIL];

            (void)snprintf(words, sizeof(words), "sent, no clear answer came%s: %.380s",
                           u != NULL ? ", and the user does not show it" : ", nor can it be read",
                           step_detail(&x->step));
            act_end(x, OUT_UNKNOWN, words);
        }
    }
    if (u != NULL && leg_keep_user(l, u, &mine) < 0)
        log_error("case=%s %s", l->cf->id, mine.msg);
    if (u != NULL && l->cf->proven_us == 0)
        l->cf->proven_us = run_now_us(l->cf);
    leg_after_acts(l);
}

void leg_after_acts(struct cloud_leg *l)
{
    if (leg_audit_wanted(l)) {
        leg_audit(l);
        return;
    }
    if (l->interrupted || !leg_sync_wanted(l)) {
        leg_hold(l);
        return;
    }
    leg_move(l, LEG_SYNCING);
    if (l->converged_known)
        leg_sync(l);
}

void cloud_leg_converged(struct casefile *cf, bool all)
{
    struct cloud_leg *l = cf->cloud;

    if (l == NULL)
        return;
    l->converged_known = true;
    l->converged = all;
    if (l->state == LEG_SYNCING && !l->sync_over)
        leg_sync(l);
}

/* It came back to life: the same acts once more. */
void leg_repair(struct cloud_leg *l)
{
    l->repairs++;
    for (size_t i = 0; i < l->act_count; i++) {
        struct cloud_act *x = &l->acts[i];

        if (x->kind != &cloud_disable && x->kind != &cloud_revoke)
            continue;
        x->state = CACT_WAITING;
        x->intended_before = x->sent = x->accepted = x->shown = x->lost = false;
        x->accepted_ms = 0;
        x->again = true;
        x->step.proof = PROOF_NONE;
        x->step.started_us = 0;
    }
    leg_move(l, LEG_ACTING);
    l->at = 0;
    act_next(l);
}

/* --- from outside ------------------------------------------------------------------------------
 */

void cloud_leg_interrupt(struct casefile *cf)
{
    struct cloud_leg *l = cf->cloud;

    if (l == NULL || l->state == LEG_ENDED)
        return;
    l->interrupted = true;
    if (l->call != NULL && l->state != LEG_ACTING)
        entra_cancel(l->call);
    if (l->hunt != NULL)
        hunt_cancel(l->hunt);
    else if (l->state == LEG_HOLDING || l->state == LEG_EVIDENCE)
        leg_end(l);
    else if (l->push != NULL)
        sync_push_cancel(l->push);
    else if (l->state == LEG_SYNCING && !l->sync_over)
        leg_end(l);
}

/* --- for the verdict -----------------------------------------------------------------------------
 */

size_t cloud_leg_goals(const struct casefile *cf, struct goal_facts *ret, size_t max)
{
    const struct cloud_leg *l = cf->cloud;
    size_t n = 0;

    for (size_t i = 0; l != NULL && i < l->act_count && n < max; i++) {
        const struct cloud_act *x = &l->acts[i];
        struct goal_facts g = {0};

        if (!x->goal || x->step.outcome == OUT_SKIPPED)
            continue;
        g.some_logged = x->logged;
        switch (x->step.outcome) {
        case OUT_DONE:
            g.some_done = true;
            break;
        case OUT_ALREADY:
            g.some_already = true;
            break;
        case OUT_UNCONFIRMED:
            g.some_done = g.not_shown = true;
            break;
        case OUT_UNKNOWN:
            g.some_unknown = true;
            break;
        case OUT_REFUSED:
            g.some_refused = true;
            break;
        default:
            g.some_failed = true;
            break;
        }
        if (x->kind == &cloud_disable && l->has_user && l->came_back && l->user.enabled)
            g.reverted = true;
        if (x->kind == &cloud_disable && l->not_seen_again)
            g.not_shown = true; /* a push may have undone it, and nobody could look */
        ret[n++] = g;
    }
    return n;
}

void cloud_leg_explain(struct casefile *cf)
{
    struct cloud_leg *l = cf->cloud;
    char line[STEP_DETAIL + 40];

    for (size_t i = 0; l != NULL && i < l->act_count; i++) {
        const struct cloud_act *x = &l->acts[i];

        if (x->step.outcome == OUT_DONE || x->step.outcome == OUT_ALREADY ||
            x->step.outcome == OUT_SKIPPED)
            continue;
        if (i > 0 && strcmp(step_detail(&x->step), step_detail(&l->acts[0].step)) == 0)
            continue; /* said already */
        (void)snprintf(line, sizeof(line), "%s: %.400s", x->step.name, step_detail(&x->step));
        run_add_detail(cf, line);
        if (l->refused && cf->rule[0] == '\0' && l->rule != NULL)
            (void)snprintf(cf->rule, sizeof(cf->rule), "%s", l->rule);
    }
    if (l != NULL && l->not_seen_again)
        run_add_detail(cf, "Entra could not be read again after the synchronisation");
    if (l != NULL && l->came_back)
        run_add_detail(cf, l->user.enabled
                               ? "Entra enabled it again"
                               : "it came back to life in Entra, and was disabled again");
}

void cloud_leg_dry(struct casefile *cf)
{
    struct cloud_leg *l = cf->cloud;

    for (size_t i = 0; l != NULL && i < l->act_count; i++) {
        struct cloud_act *x = &l->acts[i];
        const char *cannot, *already;
        char lacking[STEP_DETAIL];

        x->step.outcome = l->refused ? OUT_REFUSED : OUT_SKIPPED;
        if (!l->has_user || l->refused) {
            step_say(&x->step, "%s", why_words(l));
        } else {
            cannot = x->kind->cannot != NULL ? x->kind->cannot(x, &l->user) : NULL;
            already = x->kind->already != NULL ? x->kind->already(x, &l->user) : NULL;
            if (cannot != NULL)
                step_say(&x->step, "%s", cannot);
            else if (already == NULL && x->kind->lacking != NULL && x->kind->lacking(x, lacking))
                step_say(&x->step, "would not %s: %s", x->kind->would, lacking);
            else
                step_say(&x->step, "would %s",
                         already != NULL ? "do nothing: already so" : x->kind->would);
        }
        run_tell(cf, &x->step);
    }
}
