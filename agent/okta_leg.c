/* agent/okta_leg.c -- see okta_leg.h.
 *
 *   okta_leg_go    who is it there?
 *   on_found       the intent
 *   on_intended    suspend: look, send once, look (cloud/okta.c)
 *   on_changed     what is so now; then the sessions, whatever came of it
 *   on_cleared     the acts are over
 *   okta_log.c     beside them: the events of what was done
 *   okta_leg_settle
 *
 * Invariants: nothing is sent before the intent is on disk. The sessions are ended even where the
 * user cannot be suspended (okta.md 0).
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cloud.h"
#include "agent/ledger.h"
#include "agent/okta_leg_inside.h"
#include "agent/run_inside.h"
#include "agent/world.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

static void on_found(void *arg, const struct okta_user *u, const struct err *e);
static void on_intended(void *arg, const struct err *e);
static void on_changed(void *arg, const struct okta_result *r, const struct err *e);
static void clear_sessions(struct okta_leg *l);
static void on_cleared(void *arg, const char *request_id, int64_t sent_ms, const struct err *e);

/* For the ledger; for a person; and its event. */
static const struct {
    const char *verb, *would, *event;
} words_of[] = {
    [OKTA_SUSPEND] = {"suspend", "suspend it", "user.lifecycle.suspend"},
    [OKTA_UNSUSPEND] = {"unsuspend", "unsuspend it", "user.lifecycle.unsuspend"},
    [OKTA_DEACTIVATE] = {"deactivate", "deactivate it (which cordon does not undo)",
                         "user.lifecycle.deactivate"},
};

int okta_leg_start(struct casefile *cf, struct err *e)
{
    struct okta_leg *l;
    enum action a = cf->plan->action;
    const struct prior *prior = run_find_prior(cf, "okta", "okta");

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
    l->change = a == ACT_ENABLE               ? OKTA_UNSUSPEND
                : cf->options.okta_deactivate ? OKTA_DEACTIVATE
                                              : OKTA_SUSPEND;
    l->step = (struct step){.name = "okta", .target = "okta"};
    l->sessions_step = (struct step){.name = "okta-sessions", .target = "okta"};
    l->log_step = (struct step){.name = "okta-log", .target = "okta"};
    if (prior != NULL && prior->intended) {
        l->intended_before = true;
        l->intended_ms = prior->intended_ms;
    }
    cf->okta = l;
    return 0;
}

void okta_leg_free(struct casefile *cf)
{
    if (cf->okta == NULL)
        return;
    step_done(&cf->okta->step);
    step_done(&cf->okta->sessions_step);
    step_done(&cf->okta->log_step);
    loop_timer_stop(&cf->okta->log_timer);
    free(cf->okta);
    cf->okta = NULL;
}

bool okta_leg_ended(const struct casefile *cf)
{
    return cf->okta == NULL || cf->okta->ended;
}

bool okta_leg_absent(const struct casefile *cf)
{
    return cf->okta == NULL || cf->okta->absent;
}

static bool cancel(struct okta_leg *l)
{
    bool log = okta_log_cancel(l);

    if (l->call != NULL)
        okta_cancel(l->call);
    return log || l->call != NULL;
}

bool okta_leg_busy(struct casefile *cf)
{
    return cf->okta != NULL && cancel(cf->okta);
}

void okta_leg_interrupt(struct casefile *cf)
{
    struct okta_leg *l = cf->okta;

    if (l == NULL || l->ended)
        return;
    l->interrupted = true;
    if (cancel(l) || l->went)
        return;
    l->went = true;
    l->ended = true;
}

const struct okta_user *okta_leg_user(const struct casefile *cf)
{
    return cf->okta != NULL && cf->okta->user.id[0] != '\0' ? &cf->okta->user : NULL;
}

/* --- telling ------------------------------------------------------------------------------------
 */

static void add_event(struct json_out *o, const struct okta_proof *p)
{
    if (!okta_log_has(p))
        return;
    json_out_object(o, NULL);
    json_out_str(o, "type", p->event.type);
    json_out_str(o, "uuid", p->event.uuid);
    json_out_time(o, "published", p->event.published_ms);
    json_out_str(o, "actor", p->event.actor_id);
    json_out_end_object(o);
}

/* To the ledger, with whom it is about, and to the person. */
void okta_leg_tell(struct okta_leg *l, struct step *s)
{
    struct text body = TEXT_INIT(16 * 1024);
    struct json_out o;
    struct err e;

    s->ended_us = run_now_us(l->cf);
    if (s->started_us == 0)
        s->started_us = s->ended_us;
    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    run_step_json(l->cf, s, &o);
    if (l->user.id[0] != '\0') {
        json_out_str(&o, "okta_id", l->user.id);
        json_out_str(&o, "okta_login", l->user.login);
        json_out_str(&o, "okta_status", l->user.status_word);
    }
    if (s == &l->log_step) {
        json_out_bool(&o, "changed", okta_log_has(&l->of_change));
        json_out_array(&o, "events");
        add_event(&o, &l->of_change);
        add_event(&o, &l->of_sessions);
        json_out_end_array(&o);
    } else if (s == &l->step && l->changes) {
        json_out_str(&o, "okta_change", words_of[l->change].verb);
    }
    json_out_end_object(&o);
    if (text_check(&body, "step", &e) < 0 || run_record(l->cf, "step", body.s, NULL, NULL, &e) < 0)
        log_error("case=%s step=%s cannot be recorded: %s", l->cf->id, s->name, e.msg);
    text_done(&body);
    run_tell(l->cf, s);
}

static void tell(struct okta_leg *l, struct step *s, enum outcome how, enum proof proof,
                 const char *words)
{
    s->outcome = how;
    s->proof = proof;
    step_say(s, "%s", words);
    okta_leg_tell(l, s);
}

static void acts_are_over(struct okta_leg *l)
{
    l->acts_over = true;
    okta_leg_settle(l);
}

void okta_leg_settle(struct okta_leg *l)
{
    if (!l->acts_over || l->ended || okta_log_waits(l))
        return;
    l->ended = true;
    if (l->of_change.type != NULL || l->of_sessions.type != NULL)
        okta_log_tell(l);
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
    /* Whom it was before; a name may be somebody else's by now. */
    if (cf->options.okta_id != NULL
            ? okta_read_start(cf->w->cloud->okta, cf->options.okta_id, on_found, l, &l->call, &e) <
                  0
            : okta_find_start(cf->w->cloud->okta,
                              by == CFG_LOGIN_MAIL ? OKTA_BY_MAIL : OKTA_BY_LOGIN, name, on_found,
                              l, &l->call, &e) < 0)
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
    json_out_str(&o, "okta_status", l->user.status_word);
    if (l->changes)
        json_out_str(&o, "okta_change", words_of[l->change].verb);
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
    l->absent = e->code == ERR_NOTFOUND;
    tell(l, &l->step, OUT_FAILED, PROOF_NONE, e->msg);
    acts_are_over(l);
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
    acts_are_over(l);
}

static void on_changed(void *arg, const struct okta_result *r, const struct err *e)
{
    struct okta_leg *l = arg;
    bool earlier = r->outcome == OKTA_ALREADY && l->intended_before;
    enum outcome how = OUT_FAILED;
    enum proof proof = PROOF_NONE;
    const char *more = "";
    char words[STEP_DETAIL];

    l->call = NULL;
    if (r->have_after)
        l->user = r->after;
    switch (r->outcome) {
    case OKTA_DONE:
        how = OUT_DONE;
        proof = PROOF_READ_BACK;
        break;
    case OKTA_ALREADY:
    case OKTA_GONE:
        how = earlier ? OUT_DONE : OUT_ALREADY;
        proof = PROOF_READ_BACK;
        if (earlier)
            more = ", by an earlier run of this case, it seems";
        break;
    case OKTA_NOT_SO:
        how = OUT_UNCONFIRMED;
        proof = PROOF_ACCEPTED;
        l->not_shown = true;
        break;
    case OKTA_UNPROVEN:
        how = OUT_UNKNOWN;
        break;
    case OKTA_CANNOT:
        if (l->change == OKTA_UNSUSPEND && l->user.status == OKTA_DEPROVISIONED)
            more = ": cordon does not undo that; activate it in Okta, and assign its applications "
                   "again";
        break;
    default:
        break;
    }
    (void)snprintf(words, sizeof(words), "%.200s%s%s%.250s%s", r->words, more,
                   e != NULL && r->words[0] != '\0' ? ": " : "", e != NULL ? e->msg : "",
                   l->user.from_ad ? "; AD is its source, whose import may change it again" : "");
    tell(l, &l->step, how, proof, words);
    /* What does not show now is not proven by an event: it may have been undone. */
    if (r->outcome == OKTA_DONE || r->outcome == OKTA_UNPROVEN || earlier)
        okta_log_ask(l, &l->of_change, words_of[l->change].verb, words_of[l->change].event,
                     earlier ? l->intended_ms : r->sent_ms,
                     earlier ? 0 : r->before.status_changed_ms);
    clear_sessions(l);
}

static void clear_sessions(struct okta_leg *l)
{
    struct err e;

    if (!l->sessions || l->interrupted) {
        acts_are_over(l);
        return;
    }
    l->sessions_step.started_us = run_now_us(l->cf);
    if (okta_clear_sessions_start(l->cf->w->cloud->okta, l->user.id, on_cleared, l, &l->call, &e) <
        0)
        on_cleared(l, "", 0, &e);
}

static void on_cleared(void *arg, const char *request_id, int64_t sent_ms, const struct err *e)
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
    if (e == NULL || (e->code == ERR_UNPROVEN && sent_ms != 0))
        okta_log_ask(l, &l->of_sessions, "sessions", "user.session.clear", sent_ms, 0);
    acts_are_over(l);
}

/* --- for the verdict -----------------------------------------------------------------------------
 */

/* An event of ours also says that it was done where no answer ever came. */
static struct goal_facts facts_of(const struct step *s, const struct okta_proof *p, bool not_shown)
{
    struct goal_facts g = {.not_shown = not_shown, .some_logged = okta_log_has(p)};

    g.some_done = s->outcome == OUT_DONE || s->outcome == OUT_UNCONFIRMED ||
                  (s->outcome == OUT_UNKNOWN && g.some_logged);
    g.some_already = s->outcome == OUT_ALREADY;
    g.some_unknown = s->outcome == OUT_UNKNOWN && !g.some_logged;
    g.some_failed = !g.some_done && !g.some_already && !g.some_unknown;
    return g;
}

unsigned okta_leg_residual(const struct casefile *cf, const char *ret[2])
{
    const struct okta_leg *l = cf->okta;
    unsigned n = 0;

    if (l == NULL || l->user.id[0] == '\0' || !l->acts_over)
        return 0;
    if (l->user.status == OKTA_DEPROVISIONED)
        ret[n++] = cf->plan->action == ACT_ENABLE
                       ? "Okta: still deactivated: activate it there, and assign its applications "
                         "again"
                       : "Okta: deactivated, its applications are taken away: enable does not "
                         "undo that";
    if (l->sessions)
        ret[n++] = "Okta: sessions that its applications keep for themselves: end them there";
    return n;
}

size_t okta_leg_goals(const struct casefile *cf, struct goal_facts *ret, size_t max)
{
    const struct okta_leg *l = cf->okta;
    size_t n = 0;

    if (l != NULL && (l->changes || l->step.outcome == OUT_FAILED) && n < max)
        ret[n++] = facts_of(&l->step, &l->of_change, l->not_shown);
    /* That the sessions ended shows nowhere but in the log. */
    if (l != NULL && l->sessions && l->sessions_step.ended_us != 0 && n < max)
        ret[n++] = facts_of(&l->sessions_step, &l->of_sessions, false);
    return n;
}

void okta_leg_explain(struct casefile *cf)
{
    const struct okta_leg *l = cf->okta;
    const struct step *steps[2];
    const struct okta_proof *proofs[2];
    char line[STEP_DETAIL + 80];

    if (l == NULL)
        return;
    steps[0] = &l->step;
    steps[1] = &l->sessions_step;
    proofs[0] = &l->of_change;
    proofs[1] = &l->of_sessions;
    for (size_t i = 0; i < 2; i++) {
        const struct step *s = steps[i];

        if (s->ended_us == 0 || s->outcome == OUT_DONE || s->outcome == OUT_ALREADY)
            continue;
        (void)snprintf(line, sizeof(line), "%s: %.400s%s", s->name, step_detail(s),
                       okta_log_has(proofs[i]) ? "; the System Log has it" : "");
        run_add_detail(cf, line);
    }
}

void okta_leg_dry(struct casefile *cf)
{
    struct okta_leg *l = cf->okta;

    if (l == NULL)
        return;
    l->step.outcome = OUT_SKIPPED;
    step_say(&l->step, "would %s%s", l->changes ? words_of[l->change].would : "end the sessions",
             l->changes && l->sessions ? ", and end the sessions" : "");
    run_tell(cf, &l->step);
}
