/* agent/run.c -- one case, from the name to the verdict; see run.h.
 *
 *   begin             a DC to ask
 *   on_found          the account, by its GUID from here on
 *   judge_all         read and judge it at every DC that will be written to
 *   on_judged         one of them answered
 *   maybe_go          all, and Entra too (or it is not to be waited for): go
 *   without_ad        AD cannot say who it is, or has no such account: the cloud alone
 *   refuse            a guard said no, in words
 *   go                the effects of this plan step, at one DC or at all
 *   effect_done       one ended; all: the next plan step
 *   run_confirmed, on_converged
 *   run_settle        everything is in: the verdict (run_end.c)
 *
 * Invariants: a refusal at any DC that answered in time refuses everywhere. The verdict is told
 * after it is on disk. Each wait has a bound: the DCs' time-outs, confirm_ms, wait_ms.
 */
#include "agent/run_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cloud_leg.h"
#include "agent/effect.h"
#include "agent/mde_leg.h"
#include "agent/mdi_leg.h"
#include "agent/okta_leg.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/stamp.h"
#include "base/text.h"
#include "ldap/change.h"
#include "ldap/gather.h"

#define CROWD 16     /* cases at a time from which on questions wait for company */
#define GRACE_MS 250 /* for the other DCs' word before the first change is sent */

static void begin(void *arg);
static void on_found(void *arg, const struct ad_found *found, size_t n, const struct err *e);
static void judge_all(struct casefile *cf);
static void on_judged(void *arg, struct ad_account *a, const struct err *e);
static void on_grace(void *arg);
static void refuse(struct casefile *cf, const struct judgement *j, struct ad_dc *dc,
                   const struct ad_account *a);
static bool maybe_go(struct casefile *cf, bool after_grace);
static void resolved(struct casefile *cf);
static void on_explained(void *arg, const char *words);
static void without_ad(struct casefile *cf, const struct err *e);
static void go(struct casefile *cf);
static void effect_done(struct effect *x);
static void after_effects(struct casefile *cf);
static void by_live_response(struct casefile *cf);
static void on_converged(struct casefile *cf, const struct step *s);

uint64_t run_now_us(const struct casefile *cf)
{
    return loop_now_us(cf->w->loop);
}

/* --- beginning and end ----------------------------------------------------------------------- */

int run_case_start(struct world *w, const struct request *r,
                   void (*done)(void *arg, struct casefile *cf), void *arg,
                   struct casefile **ret_case, struct err *e)
{
    struct casefile *cf = calloc(1, sizeof(*cf));

    if (cf == NULL)
        return err_set(e, ERR_NOMEM, 0, "case");
    cf->w = w;
    cf->plan = plan_for(r->action);
    cf->options = r->options;
    cf->reason = r->reason;
    cf->ticket = r->ticket;
    cf->requester = r->requester;
    cf->dry_run = r->dry_run;
    cf->leave = r->leave;
    cf->terms = r->terms;
    cf->in_ad = r->in_ad;
    cf->in_cloud = r->in_cloud && w->with_cloud;
    cf->typed = text_dup(r->account);
    cf->done = done;
    cf->arg = arg;
    cf->started_ms = stamp_now_ms();
    cf->started_us = run_now_us(cf);
    cf->verdict = VERDICT_FAILED;
    cf->priors = (struct prior *)(uintptr_t)r->priors;
    cf->prior_names = r->prior_names;
    cf->prior_count = r->prior_count;
    if (cf->typed == NULL)
        goto nomem;
    if (r->dry_run) {
        cf->id[0] = '\0'; /* nothing is recorded, so there is nothing to look up */
    } else if (r->case_id != NULL) {
        (void)snprintf(cf->id, sizeof(cf->id), "%s", r->case_id);
        cf->recorded = !r->unrecorded;
    } else if (id_ulid(cf->id, cf->started_ms, e) < 0) {
        goto fail;
    }
    if (r->known != NULL) {
        if (ad_found_copy(r->known, &cf->found, e) < 0)
            goto fail;
        cf->resolved = true;
        watch_focus(w->watch, &cf->found.sid);
    }
    cf->later = loop_timer_start(w->loop, 0, begin, cf);
    if (cf->later == NULL)
        goto nomem;
    cf->next_running = w->running;
    w->running = cf;
    ad_gather_crowded(w->gather, ++w->running_count >= CROWD);
    *ret_case = cf;
    return 0;
nomem:
    (void)err_set(e, ERR_NOMEM, 0, "case");
fail:
    ad_found_done(&cf->found);
    free(cf->typed);
    free(cf);
    return -1;
}

static void legs_free(struct casefile *cf)
{
    for (size_t i = 0; i < cf->leg_count; i++)
        ad_account_free(cf->legs[i].account);
    free(cf->legs);
    cf->legs = NULL;
    cf->leg_count = 0;
}

static void case_free(struct casefile *cf)
{
    struct casefile **at = &cf->w->running;

    while (*at != cf)
        at = &(*at)->next_running;
    *at = cf->next_running;
    ad_gather_crowded(cf->w->gather, --cf->w->running_count >= CROWD);
    loop_timer_stop(&cf->grace);
    loop_timer_stop(&cf->later);
    loop_timer_stop(&cf->head_start);
    cloud_leg_free(cf);
    okta_leg_free(cf);
    mdi_leg_free(cf);
    mde_leg_free(cf);
    converge_free(cf);
    legs_free(cf);
    for (size_t i = 0; i < cf->effect_count; i++)
        effect_free(cf->effects[i]);
    free(cf->effects);
    ad_found_done(&cf->found);
    free(cf->detail);
    free(cf->ad_words);
    free(cf->typed);
    if (cf->w->ledger != NULL && cf->recorded)
        ledger_unlock_case(cf->w->ledger, cf->id);
    free(cf);
}

/* A DC that is slow to answer the guard's question still holds a pointer into the case. */
static void case_end(void *arg)
{
    struct casefile *cf = arg;
    bool cloud = cloud_leg_busy(cf), okta = okta_leg_busy(cf), mdi = mdi_leg_busy(cf);
    bool mde = mde_leg_busy(cf);
    bool pending = cloud || okta || mdi || mde; /* each is hurried */

    cf->later = NULL;
    for (size_t i = 0; i < cf->leg_count; i++) {
        if (cf->legs[i].op != NULL) {
            ad_op_cancel(cf->legs[i].op);
            pending = true;
        }
    }
    if (pending)
        cf->later = loop_timer_start(cf->w->loop, 5, case_end, cf);
    else
        case_free(cf);
}

void run_case_end(struct casefile *cf)
{
    case_end(cf);
}

/* --- resolve -----------------------------------------------------------------------------------
 */

/* Whatever waits for AD's part to be under way. */
static void others_go(struct casefile *cf)
{
    cloud_leg_go(cf);
    okta_leg_go(cf);
}

static void begin(void *arg)
{
    struct casefile *cf = arg;
    struct ad_name name;
    struct err e;

    cf->later = NULL;
    if (cf->w->interrupted) {
        run_end_early(cf, VERDICT_FAILED, "",
                      "told to stop before it was begun; nothing was changed");
        return;
    }
    cf->home = world_dc(cf->w, true);
    if (cf->home == NULL && world_hopeful(cf->w)) {
        cf->later = loop_timer_start(cf->w->loop, 50, begin, cf);
        return;
    }
    if (cf->home == NULL) {
        (void)world_no_dc(cf->w, &e);
        without_ad(cf, &e);
        return;
    }
    /* A DC that came later than the world was opened: the lists are on their way. */
    if (cf->w->policy_failed) {
        run_fail(cf, &cf->w->failed);
        return;
    }
    if (cf->w->policy == NULL) {
        cf->later = loop_timer_start(cf->w->loop, 50, begin, cf);
        return;
    }
    if (cf->resolved) {
        resolved(cf);
        return;
    }
    if (ad_name_parse(cf->typed, strlen(cf->typed), cf->w->domain->name, &name, &e) < 0) {
        run_fail(cf, &e);
        return;
    }
    if (ad_gather_find(cf->w->gather, cf->home, &name, on_found, cf, &e) < 0)
        run_fail(cf, &e);
}

static void on_found(void *arg, const struct ad_found *found, size_t n, const struct err *e)
{
    struct casefile *cf = arg;
    struct err mine;

    if (e != NULL && err_is_elsewhere(e) && !cf->w->interrupted) {
        cf->later = loop_timer_start(cf->w->loop, 50, begin, cf); /* another DC */
        return;
    }
    if (e != NULL) {
        without_ad(cf, e);
        return;
    }
    (void)n;
    if (ad_found_copy(&found[0], &cf->found, &mine) < 0) {
        run_fail(cf, &mine);
        return;
    }
    cf->resolved = true;
    watch_focus(cf->w->watch, &cf->found.sid);
    resolved(cf);
}

/* Who it is in Entra is asked while the DCs are. */
static void resolved(struct casefile *cf)
{
    struct err e;

    if ((cf->in_cloud && cf->w->cfg->entra.on && cf->cloud == NULL &&
         cloud_leg_start(cf, &e) < 0) ||
        (cf->okta == NULL && okta_leg_start(cf, &e) < 0)) {
        run_fail(cf, &e);
        return;
    }
    judge_all(cf);
}

/* A dead DC delays no cloud, and not every account of Entra is one of AD. */
static void without_ad(struct casefile *cf, const struct err *e)
{
    bool asked = e->code == ERR_NOTFOUND;
    struct err mine;

    bool by_mde = !asked && cf->terms.only == NULL && mde_leg_wanted(cf);

    if (cf->terms.only != NULL && e->code == ERR_NOTFOUND) {
        run_end_early(cf, VERDICT_REFUSED, "signer-accounts",
                      "AD has no such account, so it is not on the list of its signer");
        return;
    }
    if (cf->terms.only != NULL || (!cf->in_cloud && !by_mde) || cf->w->interrupted || cf->going ||
        cf->cloud != NULL || e->code == ERR_AMBIGUOUS || e->code == ERR_USAGE ||
        e->code == ERR_NOMEM) {
        run_fail(cf, e);
        return;
    }
    /* Lists that cannot be resolved protect: nothing is touched. */
    if (cf->w->policy == NULL && world_has_lists(cf->w)) {
        (void)err_set(&mine, e->code, e->native,
                      "%.300s; nor is anything done in the cloud: the lists of the configuration "
                      "cannot be looked up without a DC",
                      e->msg);
        run_fail(cf, &mine);
        return;
    }
    cf->ad_failed = true;
    cf->ad_why = e->code;
    cf->ad_words = text_dup(e->msg);
    cf->mde_waits = by_mde;
    cf->converge_done = !cf->mde_waits;
    if (!asked)
        log_warning("case=%s going on in the cloud without AD: %s", cf->id, e->msg);
    if (okta_leg_start(cf, &mine) < 0 ||
        (cf->in_cloud && cf->w->cfg->entra.on && cloud_leg_start(cf, &mine) < 0))
        run_fail(cf, &mine);
    else if (cf->cloud == NULL && cf->okta == NULL && !by_mde)
        run_fail(cf, e);
    else if (cf->cloud == NULL) /* nobody is waited for */
        run_cloud_judged(cf);
}

void run_cloud_judged(struct casefile *cf)
{
    const char *rule, *words;

    if (cf->ending)
        return;
    if (!cf->going && cloud_leg_refuses(cf, &rule, &words)) {
        bool may_ask = cf->leave.privileged && cf->w->cfg->policy.allow_privileged;

        cf->ending = true;
        cf->verdict = may_ask ? VERDICT_HELD : VERDICT_REFUSED;
        cf->for_two = may_ask;
        (void)snprintf(cf->rule, sizeof(cf->rule), "%s", rule);
        run_say(cf, "%s", words);
        on_explained(cf, NULL);
        return;
    }
    if (!cf->ad_failed) {
        (void)maybe_go(cf, false);
        return;
    }
    cf->going = true;
    if (cf->dry_run) {
        run_dry(cf); /* may end the case */
        return;
    }
    if (!run_let(cf)) {
        on_explained(cf, NULL);
        return;
    }
    others_go(cf);
    if (cf->mde_waits)
        by_live_response(cf);
}

/* --- judge -------------------------------------------------------------------------------------
 */

/* Is the plan's step to be sent to every DC, or to one? */
bool run_wide(const struct casefile *cf)
{
    return cf->plan->steps[0].every_dc && cf->w->domain->write == CFG_WRITE_ALL;
}

static void judge_ask(struct leg *leg)
{
    struct casefile *cf = leg->cf;
    bool dacl = false;
    struct err e;

    for (size_t i = 0; i < cf->plan->count; i++)
        dacl = dacl || cf->plan->steps[i].kind->needs_dacl;
    if (leg->asked || leg->dc->state != AD_DC_READY)
        return;
    if (ad_read_start(leg->dc->conn, &cf->found.guid, dacl ? AD_READ_DACL : AD_READ_JUDGE,
                      on_judged, leg, &leg->op, &e) == 0)
        leg->asked = true;
}

static void judge_all(struct casefile *cf)
{
    size_t n = ad_dcs_count(cf->w->dcs);
    struct err e;

    cf->legs = calloc(n, sizeof(*cf->legs));
    if (cf->legs == NULL) {
        (void)err_set(&e, ERR_NOMEM, 0, "case");
        run_fail(cf, &e);
        return;
    }
    /* The home DC first; the others only where they will be written to. */
    cf->legs[cf->leg_count++] = (struct leg){.dc = cf->home, .cf = cf};
    for (size_t i = 0; run_wide(cf) && i < n; i++) {
        struct ad_dc *dc = ad_dcs_at(cf->w->dcs, i);

        if (dc != cf->home && dc->write && dc->state != AD_DC_UNFIT)
            cf->legs[cf->leg_count++] = (struct leg){.dc = dc, .cf = cf};
    }
    cf->judging = true;
    for (size_t i = 0; i < cf->leg_count; i++)
        judge_ask(&cf->legs[i]);
}

static bool all_judged(const struct casefile *cf, bool after_grace)
{
    for (size_t i = 0; i < cf->leg_count; i++) {
        const struct leg *leg = &cf->legs[i];
        bool coming = (leg->asked && leg->op != NULL) ||
                      (!leg->asked && leg->dc->failures == 0 &&
                       (leg->dc->state == AD_DC_CONNECTING || leg->dc->state == AD_DC_CHECKING ||
                        leg->dc->state == AD_DC_READY));

        if (!leg->judged && coming && !after_grace)
            return false;
    }
    return cf->legs[cf->home_leg].judged;
}

/* The DC we began with is gone: go by another one's word. */
static bool change_home(struct casefile *cf, struct leg *gone)
{
    struct ad_dc *other;

    for (size_t i = 0; i < cf->leg_count; i++) {
        if (&cf->legs[i] != gone && (cf->legs[i].judged || cf->legs[i].op != NULL)) {
            cf->home_leg = i;
            cf->home = cf->legs[i].dc;
            return true;
        }
    }
    other = world_dc(cf->w, true);
    if (cf->leg_count != 1 || other == NULL || other == gone->dc)
        return false;
    gone->dc = cf->home = other;
    gone->asked = false;
    judge_ask(gone);
    return gone->asked;
}

static void on_judged(void *arg, struct ad_account *a, const struct err *e)
{
    struct leg *leg = arg;
    struct casefile *cf = leg->cf;
    struct judgement j;

    leg->op = NULL;
    if (cf->ending || cf->going) {
        ad_account_free(a); /* too late to matter: that DC's effect reads for itself */
        return;
    }
    if (e != NULL && leg == &cf->legs[cf->home_leg]) {
        if (!err_is_elsewhere(e) || cf->w->interrupted || !change_home(cf, leg)) {
            run_fail(cf, e);
            return;
        }
    }
    if (e == NULL) {
        leg->account = a;
        leg->judged = true;
        if (!run_judge(cf, leg->dc, a, &j)) {
            refuse(cf, &j, leg->dc, a);
            return;
        }
    }
    if (!maybe_go(cf, false) && cf->grace == NULL)
        cf->grace = loop_timer_start(cf->w->loop, GRACE_MS, on_grace, cf);
}

/* True: gone, and perhaps ended: the case is not to be touched any more. */
static bool maybe_go(struct casefile *cf, bool after_grace)
{
    if (!cf->judging || cf->going || cf->ending || !all_judged(cf, after_grace) ||
        !cloud_leg_judged(cf))
        return false;
    go(cf);
    return true;
}

static void on_grace(void *arg)
{
    struct casefile *cf = arg;

    cf->grace = NULL;
    if (!cf->judging || cf->going || cf->ending)
        return;
    if (!maybe_go(cf, true))
        cf->grace = loop_timer_start(cf->w->loop, GRACE_MS, on_grace, cf);
}

bool run_judge(const struct casefile *cf, const struct ad_dc *dc, const struct ad_account *a,
               struct judgement *ret)
{
    int families = (!cf->plan->credentials ? POLICY_DISABLE : 0) |
                   (cf->plan->credentials || cf->plan->both ? POLICY_CREDENTIALS : 0);

    return guard_judge(cf->w, dc, a, families, cf->leave, ret) && run_may(cf, a, ret);
}

static void on_explained(void *arg, const char *words)
{
    struct casefile *cf = arg;
    CLEANUP(step_done)
    struct step s = {.name = "guard",
                     .outcome = OUT_REFUSED,
                     .started_us = cf->started_us,
                     .ended_us = run_now_us(cf)};

    if (words != NULL) {
        const char *rest = strstr(case_detail(cf), "--privileged");

        run_say(cf, "%s%s%s", words, rest != NULL ? "; " : "", rest != NULL ? rest : "");
    }
    if (cf->verdict == VERDICT_HELD)
        s.outcome = OUT_SKIPPED;
    step_say(&s, "%s: %.400s", cf->rule, case_detail(cf));
    run_tell_and_record(cf, &s);
    run_conclude(cf);
}

static void refuse(struct casefile *cf, const struct judgement *j, struct ad_dc *dc,
                   const struct ad_account *a)
{
    struct err e;
    bool in_tokens = false;

    cf->ending = true;
    cf->verdict = j->verdict;
    cf->for_two = j->for_two;
    (void)snprintf(cf->rule, sizeof(cf->rule), "%s", j->rule);
    run_say(cf, "%s", j->detail);
    for (size_t i = 0; j->group && i < a->subject.token_group_count; i++)
        in_tokens = in_tokens || ad_sid_eq(&j->by, &a->subject.token_groups[i]);
    /* A membership is told with the way that leads there. */
    if (in_tokens && dc->state == AD_DC_READY &&
        ad_explain_start(dc->conn, a, &j->by, dc->domain_dn, on_explained, cf, &e) == 0)
        return;
    on_explained(cf, NULL);
}

/* --- effects ------------------------------------------------------------------------------------
 */

const struct prior *run_find_prior(const struct casefile *cf, const char *step, const char *target)
{
    for (size_t i = 0; i < cf->prior_count; i++) {
        if (strcmp(cf->prior_names[i][0], step) == 0 &&
            text_eq_nocase(cf->prior_names[i][1], target))
            return &cf->priors[i];
    }
    return NULL;
}

static int add_effect(struct casefile *cf, const struct effect_kind *kind, struct ad_dc *dc,
                      struct ad_account *account, struct err *e)
{
    struct effect **more = realloc(cf->effects, (cf->effect_count + 1) * sizeof(*more));

    if (more == NULL) {
        ad_account_free(account);
        return err_set(e, ERR_NOMEM, 0, "case");
    }
    cf->effects = more;
    if (effect_start(cf, kind, dc, account, run_find_prior(cf, kind->step, dc->host), effect_done,
                     &cf->effects[cf->effect_count], e) < 0)
        return -1;
    cf->effect_count++;
    cf->effects_open++;
    return 0;
}

/* The cloud waits for the first DC that accepts, but not for ever; where nothing is done in AD, for
 * nothing. An account that is to be enabled waits: Entra's part alone would not last. */
static void on_head_start(void *arg)
{
    struct casefile *cf = arg;

    cf->head_start = NULL;
    others_go(cf);
}

static void start_cloud(struct casefile *cf)
{
    if (run_ad_steps(cf) == 0)
        others_go(cf);
    else if ((cf->cloud != NULL || cf->okta != NULL) && cf->plan->action != ACT_ENABLE)
        cf->head_start =
            loop_timer_start(cf->w->loop, cf->w->cfg->cloud_after_ms, on_head_start, cf);
}

size_t run_ad_steps(const struct casefile *cf)
{
    return cf->in_ad && !cf->ad_failed ? cf->plan->count : 0;
}

static void go(struct casefile *cf)
{
    const struct plan_step *ps = &cf->plan->steps[cf->plan_at];
    struct err e;

    cf->going = true;
    loop_timer_stop(&cf->grace);
    if (cf->dry_run) {
        run_dry(cf);
        return;
    }
    if (cf->plan_at == 0 && !run_let(cf)) {
        on_explained(cf, NULL);
        return;
    }
    if (cf->plan_at == 0) {
        CLEANUP(step_done)
        struct step s = {.name = "guard",
                         .outcome = OUT_DONE,
                         .proof = PROOF_NONE,
                         .started_us = cf->started_us,
                         .ended_us = run_now_us(cf)};

        step_say(&s, "not privileged; on no list that holds it");
        run_tell(cf, &s);
        start_cloud(cf);
    }
    if ((cf->options.via_mde || mde_leg_resumes(cf)) && run_ad_steps(cf) > 0) {
        others_go(cf);
        if (mde_leg_start(cf, &e) < 0)
            run_end_early(cf, VERDICT_REFUSED, "via-mde", e.msg);
        return;
    }
    if (cf->options.via_mdi && run_ad_steps(cf) > 0) {
        if (mdi_leg_start(cf, &e) < 0)
            run_end_early(cf, VERDICT_REFUSED, "via-mdi", e.msg);
        return;
    }
    if (run_ad_steps(cf) == 0) {
        after_effects(cf);
        return;
    }
    if (ps->every_dc && run_wide(cf)) {
        for (size_t i = 0; i < cf->leg_count; i++) {
            if (add_effect(cf, ps->kind, cf->legs[i].dc, TAKE(cf->legs[i].account), &e) < 0)
                log_error("case=%s %s", cf->id, e.msg);
        }
    } else {
        struct ad_dc *dc = cf->accepted_at != NULL && cf->accepted_at->state == AD_DC_READY
                               ? cf->accepted_at
                               : cf->home;
        struct ad_account *a = cf->plan_at == 0 ? TAKE(cf->legs[cf->home_leg].account) : NULL;

        if (add_effect(cf, ps->kind, dc, a, &e) < 0)
            log_error("case=%s %s", cf->id, e.msg);
    }
    if (cf->effects_open == 0)
        after_effects(cf);
}

void run_accepted(struct casefile *cf, struct effect *x)
{
    if (cf->accepted_at != NULL)
        return;
    if (cf->accepted_us == 0)
        cf->accepted_us = run_now_us(cf);
    cf->accepted_at = x->dc;
    others_go(cf);
}

/* Might another DC take what this one could not? Only what surely was not done here. */
static bool elsewhere(struct casefile *cf, const struct effect *x, struct ad_dc **ret_dc)
{
    size_t n = ad_dcs_count(cf->w->dcs);

    if (x->step.outcome != OUT_FAILED || x->sent || x->undone || cf->w->interrupted ||
        !err_is_elsewhere(&(struct err){.code = x->why}))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct ad_dc *dc = ad_dcs_at(cf->w->dcs, i);
        bool tried = false;

        for (size_t k = 0; k < cf->effect_count; k++)
            tried = tried || (cf->effects[k]->dc == dc && cf->effects[k]->kind == x->kind);
        if (!tried && dc->write && dc->state == AD_DC_READY) {
            *ret_dc = dc;
            return true;
        }
    }
    return false;
}

static void effect_done(struct effect *x)
{
    struct casefile *cf = x->cf;
    struct ad_dc *other;
    struct err e;

    cf->effects_open--;
    run_tell(cf, &x->step);
    if (x->confirm == CONFIRM_WAITING) {
        x->confirm_counted = true;
        cf->confirms_open++;
    } else if (x->confirm != CONFIRM_NOT_ASKED) {
        run_confirmed(cf, x); /* it came, or failed, before the effect ended */
    }
    if (!(cf->plan->steps[cf->plan_at].every_dc && run_wide(cf)) && elsewhere(cf, x, &other)) {
        cf->home = other;
        if (add_effect(cf, x->kind, other, NULL, &e) == 0)
            return;
    }
    if (cf->effects_open == 0)
        after_effects(cf);
}

/* The log has spoken (or its time is up) about one effect. */
void run_confirmed(struct casefile *cf, struct effect *x)
{
    if (x->state != EFFECT_ENDED)
        return; /* effect_done tells it */
    if (x->confirm_step.name == NULL) {
        x->confirm_step.name = "confirm";
        x->confirm_step.target = x->dc->host;
    }
    if (x->confirm == CONFIRM_MET && cf->proven_us == 0)
        cf->proven_us = run_now_us(cf);
    x->confirm_step.outcome = x->confirm == CONFIRM_MET ? OUT_DONE : OUT_UNCONFIRMED;
    x->confirm_step.proof = x->confirm == CONFIRM_MET ? PROOF_LOGGED : PROOF_NONE;
    if (x->confirm_step.started_us < x->step.started_us)
        x->confirm_step.started_us = x->step.started_us;
    if (x->confirm_step.ended_us == 0)
        x->confirm_step.ended_us = run_now_us(cf);
    run_tell_and_record(cf, &x->confirm_step);
    if (x->confirm_counted) {
        x->confirm_counted = false;
        cf->confirms_open--;
    }
    run_settle(cf);
}

static bool goal_met(const struct casefile *cf, const struct effect_kind *kind)
{
    for (size_t i = 0; i < cf->effect_count; i++) {
        const struct effect *x = cf->effects[i];

        if (x->kind == kind && (x->step.outcome == OUT_DONE || x->step.outcome == OUT_ALREADY))
            return true;
    }
    return false;
}

/* AD's part has nothing more to do; everywhere: every writable DC shows it. */
static void ad_over(struct casefile *cf, bool everywhere)
{
    cf->converge_done = true;
    cloud_leg_converged(cf, everywhere);
    run_settle(cf);
}

/* Where no DC takes it over LDAP: the same by another way. The cloud is under way already. */
static void by_live_response(struct casefile *cf)
{
    struct err e;

    cf->mde_waits = false;
    if (mde_leg_start(cf, &e) == 0)
        return;
    run_add_detail(cf, e.msg);
    ad_over(cf, false);
}

void run_mde_over(struct casefile *cf, bool done)
{
    run_mdi_over(cf, done);
}

void run_mdi_over(struct casefile *cf, bool done)
{
    if (!done && cf->plan->action == ACT_ENABLE)
        cloud_leg_withhold(cf, "AD's part failed, and Entra's alone would not last");
    others_go(cf);
    ad_over(cf, done);
}

/* Every DC failed, and surely nothing was changed at any. */
static bool nothing_sent(const struct casefile *cf)
{
    for (size_t i = 0; i < cf->effect_count; i++) {
        const struct effect *x = cf->effects[i];

        if (x->step.outcome != OUT_FAILED || x->sent || x->undone)
            return false;
    }
    return true;
}

static void after_effects(struct casefile *cf)
{
    bool any = false;
    struct err e;

    /* Each part of the plan is worth having without the others: go on even where one failed. */
    if (cf->plan_at + 1 < run_ad_steps(cf) && !cf->w->interrupted) {
        cf->plan_at++;
        go(cf);
        return;
    }
    for (size_t i = 0; i < run_ad_steps(cf); i++)
        any = any || goal_met(cf, cf->plan->steps[i].kind);
    if (!any && cf->plan->action == ACT_ENABLE && run_ad_steps(cf) > 0)
        cloud_leg_withhold(cf, "AD's part failed, and Entra's alone would not last");
    others_go(cf);
    if (!any && nothing_sent(cf) && mde_leg_wanted(cf)) {
        by_live_response(cf);
        return;
    }
    if (!any || cf->w->interrupted) {
        ad_over(cf, false);
        return;
    }
    run_push_all(cf);
    if (converge_start(cf, on_converged, &e) < 0) {
        log_error("case=%s converge: %s", cf->id, e.msg);
        ad_over(cf, false);
    }
}

static void on_converged(struct casefile *cf, const struct step *s)
{
    run_tell_and_record(cf, s);
    ad_over(cf, s->outcome == OUT_DONE);
}

/* --- from outside ---------------------------------------------------------------------------- */

void run_dc_changed(struct world *w, struct ad_dc *dc)
{
    struct casefile *next;

    for (struct casefile *cf = w->running; cf != NULL; cf = next) {
        next = cf->next_running;
        if (cf->ending)
            continue;
        if (cf->judging && !cf->going) {
            for (size_t i = 0; i < cf->leg_count; i++) {
                if (cf->legs[i].dc == dc)
                    judge_ask(&cf->legs[i]);
            }
            if (maybe_go(cf, false))
                continue;
        }
        for (size_t i = 0; i < cf->effect_count; i++) {
            if (cf->effects[i]->dc == dc)
                effect_dc_changed(cf->effects[i]);
        }
    }
}

void run_interrupt(struct world *w)
{
    struct casefile *next;

    w->interrupted = true;
    for (struct casefile *cf = w->running; cf != NULL; cf = next) {
        next = cf->next_running;
        cf->interrupted = true;
        for (size_t i = 0; i < cf->effect_count; i++)
            effect_interrupt(cf->effects[i]);
        cloud_leg_interrupt(cf);
        okta_leg_interrupt(cf);
        mde_leg_interrupt(cf);
    }
}
