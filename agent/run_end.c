/* agent/run_end.c -- how a case ends: the facts, the verdict, on disk, told.
 *
 *   run_settle        everything is in: the verdict
 *   run_conclude      to disk
 *   on_recorded       it is there: tell it
 */
#include "agent/run_inside.h"

#include <stdio.h>
#include <string.h>

#include "agent/cloud_leg.h"
#include "agent/effect.h"
#include "agent/mde_leg.h"
#include "agent/mdi_leg.h"
#include "agent/okta_leg.h"
#include "base/log.h"
#include "base/stamp.h"
#include "base/text.h"

static void on_recorded(void *arg, const struct err *e);
static void tell_unrecorded(void *arg);

/* An end before anything was sent. */
void run_end_early(struct casefile *cf, enum verdict v, const char *rule, const char *detail)
{
    cf->verdict = v;
    cf->proof = PROOF_NONE;
    (void)snprintf(cf->rule, sizeof(cf->rule), "%s", rule);
    run_say(cf, "%s", detail);
    run_conclude(cf);
}

/* A DC, a KDC or the ledger that does not answer now may do so later; a no stays a no. */
static bool is_passing(enum err_code code)
{
    const struct err e = {.code = code};

    return err_is_elsewhere(&e) || code == ERR_IO;
}

void run_fail(struct casefile *cf, const struct err *e)
{
    enum verdict v = e->code == ERR_NOTFOUND    ? VERDICT_NOT_FOUND
                     : e->code == ERR_AMBIGUOUS ? VERDICT_AMBIGUOUS
                                                : VERDICT_FAILED;

    cf->unsent = v == VERDICT_FAILED && is_passing(e->code);
    run_end_early(cf, v, "", e->msg);
}

static void goal_facts(const struct casefile *cf, const struct effect_kind *kind,
                       struct goal_facts *g)
{
    *g = (struct goal_facts){.log_watched = watch_is_on(cf->w->watch),
                             .converged = cf->converged,
                             .reverted = cf->reverted};
    for (size_t i = 0; i < cf->effect_count; i++) {
        const struct effect *x = cf->effects[i];

        if (x->kind != kind)
            continue;
        switch (x->step.outcome) {
        case OUT_DONE:
            g->some_done = true;
            break;
        case OUT_ALREADY:
            g->some_already = true;
            break;
        case OUT_REFUSED:
            g->some_refused = true;
            break;
        case OUT_UNCONFIRMED: /* accepted, and never looked at */
            g->some_done = true;
            break;
        case OUT_UNKNOWN:
            g->some_unknown = true;
            break;
        default:
            g->some_failed = true;
            g->some_undone = g->some_undone || x->undone;
            break;
        }
        if (x->confirm == CONFIRM_MET &&
            (x->step.outcome == OUT_DONE || x->step.outcome == OUT_UNCONFIRMED))
            g->some_logged = true;
        /* The event log says that it was done although no answer ever came. */
        if (x->confirm == CONFIRM_MET && x->step.outcome == OUT_UNKNOWN) {
            g->some_done = true;
            g->some_logged = true;
        }
    }
}

/* The sentence of the verdict: for each goal what it lacks. */
static void explain_verdict(struct casefile *cf)
{
    char line[700];

    for (size_t i = 0; i < cf->effect_count; i++) {
        const struct effect *x = cf->effects[i];

        if (x->step.outcome != OUT_DONE && x->step.outcome != OUT_ALREADY) {
            const char *colon = strchr(step_detail(&x->step), ':');
            bool named = text_starts(step_detail(&x->step), x->dc->host);

            /* A refusal begins with its rule, which the verdict names in a place of its own. */
            if (x->step.outcome == OUT_REFUSED && colon != NULL && cf->rule[0] == '\0') {
                (void)snprintf(cf->rule, sizeof(cf->rule), "%.*s",
                               (int)(colon - step_detail(&x->step)), step_detail(&x->step));
                (void)snprintf(line, sizeof(line), "%.400s", colon + 2);
            } else {
                (void)snprintf(line, sizeof(line), "%s%s%s: %.400s", x->step.name,
                               named ? "" : " at ", named ? "" : x->dc->host,
                               step_detail(&x->step));
            }
            run_add_detail(cf, line);
        }
    }
    for (size_t i = 0; i < cf->effect_count; i++) {
        const struct effect *x = cf->effects[i];

        if (x->confirm == CONFIRM_MISSED && cf->verdict == VERDICT_UNCONFIRMED) {
            (void)snprintf(line, sizeof(line), "not proven by the log of %s: %.400s", x->dc->host,
                           step_detail(&x->confirm_step));
            run_add_detail(cf, line);
        }
    }
    if (cf->reverted)
        run_add_detail(cf, "a DC shows at the end that it is not so any more");
}

/* Everything in? */
/* AD could not be asked, or has no such account. Is there a part for it at all? An account that
 * lives in the cloud alone has none. */
static bool ad_is_missing(const struct casefile *cf)
{
    const struct entra_user *u = cf->cloud != NULL && cf->cloud->has_user ? &cf->cloud->user : NULL;

    return cf->ad_failed && cf->in_ad && cf->plan->count > 0 &&
           (u == NULL || u->synced == ENTRA_TRUE || u->sid != NULL);
}

/* Nobody in AD and nobody in the cloud: as if only AD had been asked. */
static void settle_nobody(struct casefile *cf)
{
    struct err e;

    (void)err_set(&e, cf->ad_why, 0, "%s", cf->ad_words != NULL ? cf->ad_words : "");
    if (cf->cloud == NULL) {
        if (cf->ad_why == ERR_NOTFOUND)
            (void)err_set(&e, ERR_NOTFOUND, 0, "%.400s, nor in Okta", cf->ad_words);
    } else if (!cf->cloud->absent)
        (void)err_set(&e, cf->ad_why == ERR_NOTFOUND ? cf->cloud->why : cf->ad_why, 0,
                      "AD: %.220s; Entra: %.220s", cf->ad_words != NULL ? cf->ad_words : "",
                      cf->cloud->why_words != NULL ? cf->cloud->why_words : "");
    else if (cf->ad_why == ERR_NOTFOUND)
        (void)err_set(&e, ERR_NOTFOUND, 0, "%.400s, nor in Entra", cf->ad_words);
    run_fail(cf, &e);
}

/* Everything in? */
void run_settle(struct casefile *cf)
{
    struct goal_facts g[8];
    struct verdict_out out;
    size_t n = 0, in_ad;

    if (cf->ending || cf->effects_open > 0 || cf->confirms_open > 0 || cf->pushes_open > 0 ||
        !cf->converge_done || !mde_leg_ended(cf) || !cloud_leg_ended(cf) || !okta_leg_ended(cf))
        return;
    cf->ending = true;
    if (cf->ad_failed && cf->mde == NULL && (cf->cloud == NULL || !cf->cloud->has_user) &&
        okta_leg_absent(cf)) {
        settle_nobody(cf);
        return;
    }
    n += mdi_leg_goals(cf, g);
    n += mde_leg_goals(cf, g + n);
    for (size_t i = 0; i < run_ad_steps(cf) && cf->mdi == NULL && cf->mde == NULL; i++)
        goal_facts(cf, cf->plan->steps[i].kind, &g[n++]);
    if (ad_is_missing(cf) && cf->mde == NULL)
        g[n++] = (struct goal_facts){.some_failed = true};
    cf->has_ad_proof = n > 0;
    cf->ad_proof = verdict_of(g, n).proof;
    in_ad = n;
    n += cloud_leg_goals(cf, g + n, sizeof(g) / sizeof(g[0]) - n);
    n += okta_leg_goals(cf, g + n, sizeof(g) / sizeof(g[0]) - n);
    cf->has_cloud_proof = n > in_ad;
    cf->cloud_proof = verdict_of(g + in_ad, n - in_ad).proof;
    out = verdict_of(g, n);
    cf->verdict = out.verdict;
    cf->proof = out.proof;
    explain_verdict(cf);
    if (ad_is_missing(cf) && (cf->mde == NULL || cf->verdict != VERDICT_DONE))
        run_add_detail(cf, cf->ad_words != NULL ? cf->ad_words : "AD was not reached");
    mdi_leg_explain(cf);
    mde_leg_explain(cf);
    cloud_leg_explain(cf);
    okta_leg_explain(cf);
    if (cf->cloud != NULL && cf->cloud->held && cf->verdict == VERDICT_REFUSED)
        cf->verdict = VERDICT_HELD;
    if (n == 0 && cf->cloud != NULL && cf->cloud->absent) {
        cf->verdict = VERDICT_NOT_FOUND;
        run_add_detail(cf, cf->cloud->why_words != NULL ? cf->cloud->why_words : "no such user");
    }
    run_conclude(cf);
}

/* Did nothing of it go out, anywhere, for a reason that may pass? */
static bool nothing_sent(const struct casefile *cf)
{
    if (cf->mdi != NULL || cf->mde != NULL || !okta_leg_absent(cf) ||
        (cf->cloud != NULL && cf->cloud->has_user))
        return false;
    for (size_t i = 0; i < cf->effect_count; i++) {
        if (cf->effects[i]->sent || cf->effects[i]->step.outcome != OUT_FAILED ||
            !is_passing(cf->effects[i]->why))
            return false;
    }
    return cf->effect_count > 0 || cf->unsent;
}

bool run_parked(const struct casefile *cf)
{
    if (cf->terms.again && cf->verdict == VERDICT_FAILED && nothing_sent(cf))
        return true;
    return cf->w->interrupted &&
           (cf->verdict == VERDICT_UNKNOWN || (cf->terms.parks && cf->verdict != VERDICT_DONE));
}

void run_conclude(struct casefile *cf)
{
    struct text body = TEXT_INIT(16 * 1024);
    struct json_out o;
    struct err e;
    int rc;

    cf->ending = true;
    loop_timer_stop(&cf->grace);
    cf->ended_us = run_now_us(cf);
    json_out_init(&o, &body);
    report_verdict_json(cf, &o);
    rc = text_check(&body, "verdict", &e);
    /* An interrupted case whose end is open stays open: --resume takes it up; or the service's next
     * start. */
    if (rc == 0 && !cf->recorded && !cf->w->interrupted && run_parked(cf)) /* nothing to keep */
        cf->later = loop_timer_start(cf->w->loop, 0, tell_unrecorded, cf);
    else if (rc == 0 && cf->w->ledger != NULL && run_parked(cf))
        rc = run_record(cf, "paused", body.s, on_recorded, cf, &e);
    else if (rc == 0 && cf->w->ledger != NULL)
        rc = run_record(cf, "verdict", body.s, on_recorded, cf, &e);
    else if (rc == 0)
        cf->later = loop_timer_start(cf->w->loop, 0, tell_unrecorded, cf);
    text_done(&body);
    if (rc < 0) {
        log_error("case=%s the verdict cannot be recorded: %s", cf->id, e.msg);
        cf->later = loop_timer_start(cf->w->loop, 0, tell_unrecorded, cf);
    }
}

static void tell_verdict(struct casefile *cf)
{
    report_verdict(cf->w->report, cf);
    cf->done(cf->arg, cf);
    run_case_end(cf);
}

static void tell_unrecorded(void *arg)
{
    struct casefile *cf = arg;

    cf->later = NULL;
    tell_verdict(cf);
}

static void on_recorded(void *arg, const struct err *e)
{
    struct casefile *cf = arg;

    if (e != NULL) {
        log_error("case=%s the verdict is not on disk: %s", cf->id, e->msg);
        run_add_detail(cf, "this verdict could not be written to the ledger");
        if (cf->verdict == VERDICT_DONE) /* nobody could look it up later */
            cf->verdict = VERDICT_UNCONFIRMED;
    }
    tell_verdict(cf);
}
