/* agent/run.c -- one case, from the name to the verdict; see run.h.
 *
 *   begin             a DC to ask
 *   on_found          the account, by its GUID from here on
 *   judge_all         read and judge it at every DC that will be written to
 *   on_judged         one of them answered; all: go
 *   refuse            a guard said no, in words
 *   go                the effects of this plan step, at one DC or at all
 *   effect_done       one ended; all: the next plan step
 *   on_pushed, on_converged, run_confirmed
 *   settle            everything is in: the verdict
 *   on_recorded       it is on disk: tell it
 *
 * Invariants: a refusal at any DC that answered in time refuses everywhere. The verdict is told
 * after it is on disk. Each wait has a bound: the DCs' time-outs, confirm_ms, wait_ms.
 */
#include "agent/run.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/effect.h"
#include "agent/residual.h"
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
static void go(struct casefile *cf);
static void effect_done(struct effect *x);
static void after_effects(struct casefile *cf);
static void on_converged(struct casefile *cf, const struct step *s);
static void settle(struct casefile *cf);
static void conclude(struct casefile *cf);
static void on_recorded(void *arg, const struct err *e);
static void tell_unrecorded(void *arg);

static uint64_t now_us(const struct casefile *cf)
{
    return loop_now_us(cf->w->loop);
}

const char *case_detail(const struct casefile *cf)
{
    return cf->detail != NULL ? cf->detail : "";
}

/* The sentence of the verdict. Its own old text may stand among the arguments. */
static __attribute__((format(printf, 2, 3))) void say(struct casefile *cf, const char *fmt, ...)
{
    char words[700], *mine;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    mine = text_dup(words);
    if (mine == NULL)
        return;
    free(cf->detail);
    cf->detail = mine;
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
    cf->privileged = r->privileged;
    cf->typed = text_dup(r->account);
    cf->done = done;
    cf->arg = arg;
    cf->started_ms = stamp_now_ms();
    cf->started_us = now_us(cf);
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
        cf->recorded = true;
    } else if (id_ulid(cf->id, cf->started_ms, e) < 0) {
        goto fail;
    }
    if (r->known != NULL) {
        if (ad_found_copy(r->known, &cf->found, e) < 0)
            goto fail;
        cf->resolved = true;
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
    converge_free(cf);
    legs_free(cf);
    for (size_t i = 0; i < cf->effect_count; i++)
        effect_free(cf->effects[i]);
    free(cf->effects);
    ad_found_done(&cf->found);
    free(cf->detail);
    free(cf->typed);
    if (cf->w->ledger != NULL && cf->recorded)
        ledger_unlock_case(cf->w->ledger, cf->id);
    free(cf);
}

/* A DC that is slow to answer the guard's question still holds a pointer into the case. */
static void case_end(void *arg)
{
    struct casefile *cf = arg;
    bool pending = false;

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

/* --- telling ------------------------------------------------------------------------------------
 */

void run_step_json(const struct casefile *cf, const struct step *s, struct json_out *o)
{
    json_out_str(o, "type", "step");
    json_out_str(o, "case", cf->id);
    json_out_str(o, "account", cf->typed);
    json_out_str(o, "step", s->name);
    json_out_str(o, "target", step_target(s));
    json_out_str(o, "state", outcome_word(s->outcome));
    json_out_str(o, "proof", proof_word(s->proof));
    json_out_str(o, "detail", step_detail(s));
    json_out_u64(o, "ms", s->ended_us > s->started_us ? (s->ended_us - s->started_us) / 1000 : 0);
}

static void tell(struct casefile *cf, const struct step *s)
{
    log_info("case=%s step=%s target=%s state=%s proof=%s", cf->id, s->name, step_target(s),
             outcome_word(s->outcome), proof_word(s->proof));
    report_step(cf->w->report, cf, s);
}

/* Record and tell a step that is not an effect (those record themselves). */
static void tell_and_record(struct casefile *cf, const struct step *s)
{
    struct text body = TEXT_INIT(8 * 1024);
    struct json_out o;
    struct err e;

    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    run_step_json(cf, s, &o);
    json_out_end_object(&o);
    if (text_check(&body, "step", &e) < 0 || run_record(cf, "step", body.s, NULL, NULL, &e) < 0)
        log_error("case=%s step=%s cannot be recorded: %s", cf->id, s->name, e.msg);
    text_done(&body);
    tell(cf, s);
}

/* Not on disk after all: the next record of this case must bring it along again. (Callbacks come in
 * the order of adding, so the case is still there.) */
static void on_opened(void *arg, const struct err *e)
{
    struct casefile *cf = arg;

    if (e != NULL)
        cf->recorded = false;
}

int run_record(struct casefile *cf, const char *kind, const char *body, ledger_cb cb, void *arg,
               struct err *e)
{
    struct text t = TEXT_INIT(32 * 1024);
    char guid[AD_GUID_TEXT], sid[AD_SID_TEXT];
    struct json_out o;
    bool locked = false;
    int rc = 0;

    if (cf->w->ledger == NULL) /* a dry run */
        return 0;
    if (!cf->recorded) {
        /* So that --resume knows whether someone still has it in hand. */
        if (ledger_lock_case(cf->w->ledger, cf->id, &locked, e) < 0)
            return -1;
        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "action", action_word(cf->plan->action));
        json_out_str(&o, "account", cf->typed);
        json_out_str(&o, "domain", cf->w->domain->name);
        json_out_str(&o, "requester", cf->requester);
        json_out_str(&o, "reason", cf->reason);
        json_out_str(&o, "ticket", cf->ticket);
        json_out_bool(&o, "privileged", cf->privileged);
        json_out_bool(&o, "clear_never_expires", cf->options.clear_never_expires);
        json_out_bool(&o, "must_change", cf->options.must_change);
        json_out_bool(&o, "undo", cf->options.undo);
        json_out_bool(&o, "undo_disabled", cf->options.undo_disabled);
        json_out_bool(&o, "undo_never_expires", cf->options.undo_never_expires);
        json_out_bool(&o, "undo_expired", cf->options.undo_expired);
        if (cf->resolved) {
            json_out_str(&o, "guid", ad_guid_to_text(&cf->found.guid, guid));
            json_out_str(&o, "sid", ad_sid_to_text(&cf->found.sid, sid));
            json_out_str(&o, "dn", cf->found.dn);
            json_out_str(&o, "sam", cf->found.sam);
        }
        json_out_end_object(&o);
        rc = text_check(&t, "case", e);
        if (rc == 0)
            rc = ledger_add(cf->w->ledger, cf->id, "case", t.s, on_opened, cf, e);
        text_done(&t);
        if (rc < 0)
            return -1;
        cf->recorded = true;
    }
    return ledger_add(cf->w->ledger, cf->id, kind, body, cb, arg, e);
}

/* An end before anything was sent. */
static void end_early(struct casefile *cf, enum verdict v, const char *rule, const char *detail)
{
    cf->verdict = v;
    cf->proof = PROOF_NONE;
    (void)snprintf(cf->rule, sizeof(cf->rule), "%s", rule);
    say(cf, "%s", detail);
    conclude(cf);
}

static void fail(struct casefile *cf, const struct err *e)
{
    enum verdict v = e->code == ERR_NOTFOUND    ? VERDICT_NOT_FOUND
                     : e->code == ERR_AMBIGUOUS ? VERDICT_AMBIGUOUS
                                                : VERDICT_FAILED;

    end_early(cf, v, "", e->msg);
}

/* --- resolve -----------------------------------------------------------------------------------
 */

static void begin(void *arg)
{
    struct casefile *cf = arg;
    struct ad_name name;
    struct err e;

    cf->later = NULL;
    if (cf->w->interrupted) {
        end_early(cf, VERDICT_FAILED, "", "told to stop before it was begun; nothing was changed");
        return;
    }
    cf->home = world_dc(cf->w, true);
    if (cf->home == NULL && world_hopeful(cf->w)) {
        cf->later = loop_timer_start(cf->w->loop, 50, begin, cf);
        return;
    }
    if (cf->home == NULL) {
        (void)world_no_dc(cf->w, &e);
        fail(cf, &e);
        return;
    }
    if (cf->resolved) {
        judge_all(cf);
        return;
    }
    if (ad_name_parse(cf->typed, strlen(cf->typed), cf->w->domain->name, &name, &e) < 0) {
        fail(cf, &e);
        return;
    }
    if (ad_gather_find(cf->w->gather, cf->home, &name, on_found, cf, &e) < 0)
        fail(cf, &e);
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
        fail(cf, e);
        return;
    }
    (void)n;
    if (ad_found_copy(&found[0], &cf->found, &mine) < 0) {
        fail(cf, &mine);
        return;
    }
    cf->resolved = true;
    judge_all(cf);
}

/* --- judge -------------------------------------------------------------------------------------
 */

/* Is the plan's step to be sent to every DC, or to one? */
static bool wide(const struct casefile *cf)
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
        fail(cf, &e);
        return;
    }
    /* The home DC first; the others only where they will be written to. */
    cf->legs[cf->leg_count++] = (struct leg){.dc = cf->home, .cf = cf};
    for (size_t i = 0; wide(cf) && i < n; i++) {
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
            fail(cf, e);
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
    if (all_judged(cf, false)) {
        go(cf);
        return;
    }
    if (cf->grace == NULL)
        cf->grace = loop_timer_start(cf->w->loop, GRACE_MS, on_grace, cf);
}

static void on_grace(void *arg)
{
    struct casefile *cf = arg;

    cf->grace = NULL;
    if (!cf->judging || cf->going || cf->ending)
        return;
    if (all_judged(cf, true))
        go(cf);
    else
        cf->grace = loop_timer_start(cf->w->loop, GRACE_MS, on_grace, cf);
}

bool run_judge(const struct casefile *cf, const struct ad_dc *dc, const struct ad_account *a,
               struct judgement *ret)
{
    int families = (!cf->plan->credentials ? POLICY_DISABLE : 0) |
                   (cf->plan->credentials || cf->plan->both ? POLICY_CREDENTIALS : 0);

    return guard_judge(cf->w, dc, a, families, cf->privileged, ret);
}

static void on_explained(void *arg, const char *words)
{
    struct casefile *cf = arg;
    CLEANUP(step_done)
    struct step s = {.name = "guard",
                     .outcome = OUT_REFUSED,
                     .started_us = cf->started_us,
                     .ended_us = now_us(cf)};

    if (words != NULL) {
        const char *rest = strstr(case_detail(cf), "--privileged");

        say(cf, "%s%s%s", words, rest != NULL ? "; " : "", rest != NULL ? rest : "");
    }
    if (cf->verdict == VERDICT_HELD)
        s.outcome = OUT_SKIPPED;
    step_say(&s, "%s: %.400s", cf->rule, case_detail(cf));
    tell_and_record(cf, &s);
    conclude(cf);
}

static void refuse(struct casefile *cf, const struct judgement *j, struct ad_dc *dc,
                   const struct ad_account *a)
{
    struct err e;
    bool in_tokens = false;

    cf->ending = true;
    cf->verdict = j->verdict;
    (void)snprintf(cf->rule, sizeof(cf->rule), "%s", j->rule);
    say(cf, "%s", j->detail);
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

static const struct prior *find_prior(const struct casefile *cf, const char *step,
                                      const char *target)
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
    if (effect_start(cf, kind, dc, account, find_prior(cf, kind->step, dc->host), effect_done,
                     &cf->effects[cf->effect_count], e) < 0)
        return -1;
    cf->effect_count++;
    cf->effects_open++;
    return 0;
}

static void dry(struct casefile *cf)
{
    CLEANUP(step_done)
    struct step s = {
        .name = "guard", .outcome = OUT_DONE, .started_us = cf->started_us, .ended_us = now_us(cf)};

    step_say(&s, "not privileged; on no list that holds it");
    tell(cf, &s);
    for (size_t i = 0; i < cf->plan->count; i++) {
        const struct plan_step *ps = &cf->plan->steps[i];
        struct ad_edits edits = {0};
        struct err why = ERR_NONE;
        enum need need =
            ps->kind->decide(cf->legs[cf->home_leg].account, &cf->options, &edits, &why);

        step_done(&s);
        s = (struct step){.name = ps->kind->step, .outcome = OUT_SKIPPED, .started_us = now_us(cf)};
        s.ended_us = s.started_us;
        s.target = ps->every_dc && wide(cf) && cf->leg_count > 1 ? "" : cf->home->host;
        if (need == NEED_REFUSED) {
            const char *colon = strchr(why.msg, ':');
            char rule[64];

            (void)snprintf(rule, sizeof(rule), "%.*s", colon != NULL ? (int)(colon - why.msg) : 0,
                           why.msg);
            s.outcome = OUT_REFUSED;
            step_say(&s, "%s", why.msg);
            tell(cf, &s);
            end_early(cf, VERDICT_REFUSED, rule, why.msg);
            return;
        }
        if (need == NEED_NOTHING)
            step_say(&s, "would do nothing: already so");
        else if (edits.uac)
            step_say(&s, "would change userAccountControl %" PRIu32 " -> %" PRIu32 "%s%s",
                     edits.uac_old, edits.uac_new,
                     edits.pwd == AD_PWD_EXPIRE ? " and pwdLastSet -> 0" : "",
                     step_target(&s)[0] == '\0' ? " at every writable DC" : "");
        else
            step_say(&s, "would %s",
                     ps->kind->resets             ? "set a random password, twice"
                     : edits.pwd == AD_PWD_EXPIRE ? "set pwdLastSet -> 0"
                                                  : "set pwdLastSet -> now");
        tell(cf, &s);
    }
    cf->ending = true;
    cf->ended_us = now_us(cf);
    cf->planned = true;
    report_plan(cf->w->report, cf);
    cf->done(cf->arg, cf);
    case_end(cf);
}

static void go(struct casefile *cf)
{
    const struct plan_step *ps = &cf->plan->steps[cf->plan_at];
    struct err e;

    cf->going = true;
    loop_timer_stop(&cf->grace);
    if (cf->dry_run) {
        dry(cf);
        return;
    }
    if (cf->plan_at == 0) {
        CLEANUP(step_done)
        struct step s = {.name = "guard",
                         .outcome = OUT_DONE,
                         .proof = PROOF_NONE,
                         .started_us = cf->started_us,
                         .ended_us = now_us(cf)};

        step_say(&s, "not privileged; on no list that holds it");
        tell(cf, &s);
    }
    if (ps->every_dc && wide(cf)) {
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
    if (cf->accepted_us != 0)
        return;
    cf->accepted_us = now_us(cf);
    cf->accepted_at = x->dc;
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
    tell(cf, &x->step);
    if (x->confirm == CONFIRM_WAITING) {
        x->confirm_counted = true;
        cf->confirms_open++;
    } else if (x->confirm != CONFIRM_NOT_ASKED) {
        run_confirmed(cf, x); /* it came, or failed, before the effect ended */
    }
    if (!(cf->plan->steps[cf->plan_at].every_dc && wide(cf)) && elsewhere(cf, x, &other)) {
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
        cf->proven_us = now_us(cf);
    x->confirm_step.outcome = x->confirm == CONFIRM_MET ? OUT_DONE : OUT_UNCONFIRMED;
    x->confirm_step.proof = x->confirm == CONFIRM_MET ? PROOF_LOGGED : PROOF_NONE;
    if (x->confirm_step.started_us < x->step.started_us)
        x->confirm_step.started_us = x->step.started_us;
    if (x->confirm_step.ended_us == 0)
        x->confirm_step.ended_us = now_us(cf);
    tell_and_record(cf, &x->confirm_step);
    if (x->confirm_counted) {
        x->confirm_counted = false;
        cf->confirms_open--;
    }
    settle(cf);
}

/* --- after the effects: push, converge
 * ------------------------------------------------------------ */

struct push {
    struct casefile *cf;
    struct step step;
};

static void on_pushed(void *arg, const struct err *e)
{
    struct push *p = arg;
    struct casefile *cf = p->cf;

    p->step.ended_us = now_us(cf);
    if (e == NULL) {
        p->step.outcome = OUT_DONE;
        p->step.proof = PROOF_ACCEPTED;
        step_say(&p->step, "asked to pull the object");
    } else if (e->code == ERR_DENIED) {
        p->step.outcome = OUT_SKIPPED;
        step_say(&p->step, "no right to ask for it: %.400s", e->msg);
    } else {
        p->step.outcome = OUT_SKIPPED;
        step_say(&p->step, "not offered: %.400s", e->msg);
    }
    tell_and_record(cf, &p->step);
    cf->pushes_open--;
    step_done(&p->step);
    free(p);
    settle(cf);
}

static void push_all(struct casefile *cf)
{
    size_t n = ad_dcs_count(cf->w->dcs);

    if (cf->accepted_at == NULL || cf->accepted_at->ntds_dn[0] == '\0')
        return;
    for (size_t i = 0; i < n; i++) {
        struct ad_dc *dc = ad_dcs_at(cf->w->dcs, i);
        struct push *p;
        bool written = false;
        struct err e;

        for (size_t k = 0; k < cf->effect_count; k++)
            written = written ||
                      (cf->effects[k]->dc == dc &&
                       (cf->effects[k]->accepted || cf->effects[k]->step.outcome == OUT_ALREADY));
        if (written || dc->state != AD_DC_READY)
            continue;
        p = calloc(1, sizeof(*p));
        if (p == NULL)
            return;
        p->cf = cf;
        p->step = (struct step){.name = "push", .started_us = now_us(cf)};
        p->step.target = dc->host;
        if (ad_push_start(dc->conn, cf->accepted_at->ntds_dn, cf->found.dn, on_pushed, p, NULL,
                          &e) < 0)
            free(p);
        else
            cf->pushes_open++;
    }
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

static void after_effects(struct casefile *cf)
{
    bool any = false;
    struct err e;

    /* Each part of the plan is worth having without the others: go on even where one failed. */
    if (cf->plan_at + 1 < cf->plan->count && !cf->w->interrupted) {
        cf->plan_at++;
        go(cf);
        return;
    }
    for (size_t i = 0; i < cf->plan->count; i++)
        any = any || goal_met(cf, cf->plan->steps[i].kind);
    if (!any || cf->w->interrupted) {
        cf->converge_done = true;
        settle(cf);
        return;
    }
    push_all(cf);
    if (converge_start(cf, on_converged, &e) < 0) {
        log_error("case=%s converge: %s", cf->id, e.msg);
        cf->converge_done = true;
        settle(cf);
    }
}

static void on_converged(struct casefile *cf, const struct step *s)
{
    cf->converge_done = true;
    tell_and_record(cf, s);
    settle(cf);
}

/* --- verdict
 * --------------------------------------------------------------------------------------- */

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

static void add_detail(struct casefile *cf, const char *s)
{
    const char *so_far = case_detail(cf);

    say(cf, "%s%s%s", so_far, so_far[0] != '\0' ? "; " : "", s);
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
            add_detail(cf, line);
        }
    }
    for (size_t i = 0; i < cf->effect_count; i++) {
        const struct effect *x = cf->effects[i];

        if (x->confirm == CONFIRM_MISSED && cf->verdict == VERDICT_UNCONFIRMED) {
            (void)snprintf(line, sizeof(line), "not proven by the log of %s: %.400s", x->dc->host,
                           step_detail(&x->confirm_step));
            add_detail(cf, line);
        }
    }
    if (cf->reverted)
        add_detail(cf, "a DC shows at the end that it is not so any more");
}

/* Everything in? */
static void settle(struct casefile *cf)
{
    struct goal_facts g[3];
    struct verdict_out out;

    if (cf->ending || cf->effects_open > 0 || cf->confirms_open > 0 || cf->pushes_open > 0 ||
        !cf->converge_done)
        return;
    cf->ending = true;
    for (size_t i = 0; i < cf->plan->count; i++)
        goal_facts(cf, cf->plan->steps[i].kind, &g[i]);
    out = verdict_of(g, cf->plan->count);
    cf->verdict = out.verdict;
    cf->proof = out.proof;
    explain_verdict(cf);
    conclude(cf);
}

static void conclude(struct casefile *cf)
{
    struct text body = TEXT_INIT(16 * 1024);
    struct json_out o;
    struct err e;
    int rc;

    cf->ending = true;
    loop_timer_stop(&cf->grace);
    cf->ended_us = now_us(cf);
    json_out_init(&o, &body);
    report_verdict_json(cf, &o);
    rc = text_check(&body, "verdict", &e);
    /* An interrupted case whose end is open stays open: --resume takes it up. */
    if (rc == 0 && cf->w->ledger != NULL && cf->w->interrupted && cf->verdict == VERDICT_UNKNOWN)
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
    case_end(cf);
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
        add_detail(cf, "this verdict could not be written to the ledger");
        if (cf->verdict == VERDICT_DONE) /* nobody could look it up later */
            cf->verdict = VERDICT_UNCONFIRMED;
    }
    tell_verdict(cf);
}

/* --- from outside
 * ------------------------------------------------------------------------------------ */

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
            if (all_judged(cf, false)) {
                go(cf);
                continue;
            }
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
    }
}
