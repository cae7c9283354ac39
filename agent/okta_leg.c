/* agent/okta_leg.c -- see okta_leg.h.
 *
 *   okta_leg_go    who is it there?
 *   on_found       the intent
 *   on_intended    suspend: look, send once, look (cloud/okta.c)
 *   on_changed     what is so now; then the sessions, whatever came of it
 *   on_cleared     ended
 *
 * Invariants: nothing is sent before the intent is on disk. The sessions are ended even where the
 * user cannot be suspended (okta.md 0).
 */
#include "agent/okta_leg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cloud.h"
#include "agent/ledger.h"
#include "agent/run_inside.h"
#include "agent/world.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

struct okta_leg {
    struct casefile *cf;
    bool went, ended, interrupted, hurried;
    enum okta_change change;
    bool changes, sessions; /* what is to be done */
    struct okta_user user;
    struct okta_call *call;
    struct step step, sessions_step;
    bool not_shown;
};

static void on_found(void *arg, const struct okta_user *u, const struct err *e);
static void on_intended(void *arg, const struct err *e);
static void on_changed(void *arg, const struct okta_result *r, const struct err *e);
static void clear_sessions(struct okta_leg *l);
static void on_cleared(void *arg, const char *request_id, const struct err *e);

int okta_leg_start(struct casefile *cf, struct err *e)
{
    struct okta_leg *l;
    enum action a = cf->plan->action;

    if (cf->w->cloud == NULL || cf->w->cloud->okta == NULL ||
        (a != ACT_DISABLE && a != ACT_ENABLE && a != ACT_CONTAIN && a != ACT_REVOKE) ||
        !(cf->options.okta || cf->options.undo_okta ||
          (a == ACT_CONTAIN && cf->w->cfg->okta.contain && cf->in_cloud)) ||
        (cf->options.undo && !cf->options.undo_okta))
        return 0;
    l = calloc(1, sizeof(*l));
    if (l == NULL)
        return err_set(e, ERR_NOMEM, 0, "okta");
    l->cf = cf;
    l->changes = a != ACT_REVOKE;
    l->sessions = a != ACT_ENABLE;
    l->change = a == ACT_ENABLE ? OKTA_UNSUSPEND : OKTA_SUSPEND;
    l->step = (struct step){.name = "okta", .target = "okta"};
    l->sessions_step = (struct step){.name = "okta-sessions", .target = "okta"};
    cf->okta = l;
    return 0;
}

void okta_leg_free(struct casefile *cf)
{
    if (cf->okta == NULL)
        return;
    step_done(&cf->okta->step);
    step_done(&cf->okta->sessions_step);
    free(cf->okta);
    cf->okta = NULL;
}

bool okta_leg_ended(const struct casefile *cf)
{
    return cf->okta == NULL || cf->okta->ended;
}

bool okta_leg_busy(struct casefile *cf)
{
    struct okta_leg *l = cf->okta;

    if (l == NULL || l->call == NULL)
        return false;
    if (!l->hurried)
        okta_cancel(l->call);
    l->hurried = true;
    return true;
}

void okta_leg_interrupt(struct casefile *cf)
{
    struct okta_leg *l = cf->okta;

    if (l == NULL || l->ended)
        return;
    l->interrupted = true;
    if (l->call != NULL)
        okta_cancel(l->call);
    else if (!l->went) {
        l->went = true;
        l->ended = true;
    }
}

static void tell(struct okta_leg *l, struct step *s, enum outcome how, enum proof proof,
                 const char *words)
{
    s->outcome = how;
    s->proof = proof;
    s->ended_us = run_now_us(l->cf);
    if (s->started_us == 0)
        s->started_us = s->ended_us;
    step_say(s, "%s", words);
    run_tell_and_record(l->cf, s);
}

static void leg_ends(struct okta_leg *l)
{
    l->ended = true;
    run_settle(l->cf);
}

/* --- who is it ------------------------------------------------------------------------------- */

void okta_leg_go(struct casefile *cf)
{
    struct okta_leg *l = cf->okta;
    enum cfg_login by = cf->w->cfg->okta.login_attribute;
    const char *name = cf->typed;
    struct err e;

    if (l == NULL || l->went)
        return;
    l->went = true;
    if (cf->resolved && by == CFG_LOGIN_SAM)
        name = cf->found.sam;
    else if (cf->resolved && cf->found.upn != NULL && cf->found.upn[0] != '\0')
        name = cf->found.upn;
    l->step.started_us = run_now_us(cf);
    if (okta_find_start(cf->w->cloud->okta, by == CFG_LOGIN_MAIL ? OKTA_BY_MAIL : OKTA_BY_LOGIN,
                        name, on_found, l, &l->call, &e) < 0)
        on_found(l, NULL, &e);
}

static int intend(struct okta_leg *l, struct err *e)
{
    struct text body = TEXT_INIT(8 * 1024);
    struct json_out o;
    int rc;

    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    json_out_str(&o, "step", "okta");
    json_out_str(&o, "target", "okta");
    json_out_str(&o, "okta_id", l->user.id);
    json_out_str(&o, "status_before", l->user.status_word);
    json_out_end_object(&o);
    rc = text_check(&body, "intent", e);
    if (rc == 0)
        rc = run_record(l->cf, "intent", body.s, on_intended, l, e);
    text_done(&body);
    return rc;
}

static void on_found(void *arg, const struct okta_user *u, const struct err *e)
{
    struct okta_leg *l = arg;
    struct err mine;

    l->call = NULL;
    if (e == NULL && l->interrupted) {
        (void)err_set(&mine, ERR_CANCELED, 0, "told to stop before it was begun");
        e = &mine;
    }
    if (e == NULL) {
        l->user = *u;
        if (intend(l, &mine) == 0)
            return;
        e = &mine;
    }
    tell(l, &l->step, OUT_FAILED, PROOF_NONE, e->msg);
    leg_ends(l);
}

/* --- suspend ------------------------------------------------------------------------------------
 */

static void on_intended(void *arg, const struct err *e)
{
    struct okta_leg *l = arg;
    struct err mine;

    if (e == NULL && !l->changes) {
        clear_sessions(l);
        return;
    }
    if (e == NULL && okta_change_start(l->cf->w->cloud->okta, l->user.id, l->change, on_changed, l,
                                       &l->call, &mine) == 0)
        return;
    tell(l, &l->step, OUT_FAILED, PROOF_NONE, e != NULL ? e->msg : mine.msg);
    leg_ends(l);
}

static void on_changed(void *arg, const struct okta_result *r, const struct err *e)
{
    struct okta_leg *l = arg;
    enum outcome how = OUT_FAILED;
    enum proof proof = PROOF_NONE;
    char words[STEP_DETAIL];

    l->call = NULL;
    switch (r->outcome) {
    case OKTA_DONE:
        how = OUT_DONE;
        proof = PROOF_READ_BACK;
        break;
    case OKTA_ALREADY:
    case OKTA_GONE:
        how = l->change == OKTA_UNSUSPEND && r->outcome == OKTA_GONE ? OUT_FAILED : OUT_ALREADY;
        proof = PROOF_READ_BACK;
        break;
    case OKTA_NOT_SO:
        how = OUT_UNCONFIRMED;
        proof = PROOF_ACCEPTED;
        l->not_shown = true;
        break;
    case OKTA_UNPROVEN:
        how = OUT_UNKNOWN;
        break;
    default:
        break;
    }
    (void)snprintf(words, sizeof(words), "%.200s%s%.250s%s", r->words, e != NULL ? ": " : "",
                   e != NULL ? e->msg : "",
                   l->user.from_ad ? "; AD is its source, whose import may change it again" : "");
    tell(l, &l->step, how, proof, words);
    clear_sessions(l);
}

static void clear_sessions(struct okta_leg *l)
{
    struct err e;

    if (!l->sessions || l->interrupted) {
        leg_ends(l);
        return;
    }
    l->sessions_step.started_us = run_now_us(l->cf);
    if (okta_clear_sessions_start(l->cf->w->cloud->okta, l->user.id, on_cleared, l, &l->call, &e) <
        0)
        on_cleared(l, "", &e);
}

static void on_cleared(void *arg, const char *request_id, const struct err *e)
{
    struct okta_leg *l = arg;

    (void)request_id;
    l->call = NULL;
    if (e == NULL)
        tell(l, &l->sessions_step, OUT_DONE, PROOF_ACCEPTED,
             "Okta's sessions and tokens are ended; the applications' own are not");
    else
        tell(l, &l->sessions_step,
             e->code == ERR_UNPROVEN || e->code == ERR_CANCELED ? OUT_UNKNOWN : OUT_FAILED,
             PROOF_NONE, e->msg);
    leg_ends(l);
}

/* --- for the verdict -----------------------------------------------------------------------------
 */

static struct goal_facts facts_of(const struct step *s, bool not_shown)
{
    struct goal_facts g = {.not_shown = not_shown};

    g.some_done = s->outcome == OUT_DONE || s->outcome == OUT_UNCONFIRMED;
    g.some_already = s->outcome == OUT_ALREADY;
    g.some_unknown = s->outcome == OUT_UNKNOWN;
    g.some_failed = !g.some_done && !g.some_already && !g.some_unknown;
    return g;
}

size_t okta_leg_goals(const struct casefile *cf, struct goal_facts *ret, size_t max)
{
    const struct okta_leg *l = cf->okta;
    size_t n = 0;

    if (l != NULL && (l->changes || l->step.outcome == OUT_FAILED) && n < max)
        ret[n++] = facts_of(&l->step, l->not_shown);
    /* That the sessions ended shows nowhere: 204 is all there will be. */
    if (l != NULL && l->sessions && l->sessions_step.ended_us != 0 && n < max)
        ret[n++] = facts_of(&l->sessions_step, false);
    return n;
}

void okta_leg_explain(struct casefile *cf)
{
    const struct okta_leg *l = cf->okta;
    const struct step *steps[2];
    char line[STEP_DETAIL + 40];

    if (l == NULL)
        return;
    steps[0] = &l->step;
    steps[1] = &l->sessions_step;
    for (size_t i = 0; i < 2; i++) {
        const struct step *s = steps[i];

        if (s->ended_us == 0 || s->outcome == OUT_DONE || s->outcome == OUT_ALREADY)
            continue;
        (void)snprintf(line, sizeof(line), "%s: %.400s", s->name, step_detail(s));
        run_add_detail(cf, line);
    }
}

void okta_leg_dry(struct casefile *cf)
{
    struct okta_leg *l = cf->okta;

    if (l == NULL)
        return;
    l->step.outcome = OUT_SKIPPED;
    step_say(&l->step, "would %s%s",
             !l->changes                   ? "end the sessions"
             : l->change == OKTA_UNSUSPEND ? "unsuspend it"
                                           : "suspend it",
             l->changes && l->sessions ? " and end the sessions" : "");
    run_tell(cf, &l->step);
}
