/* agent/mde_leg.c -- see mde_leg.h; its other files are named in mde_leg_inside.h.
 *
 *   mde_leg_start   whose SID; the machines with the tag, where one is configured
 *   begin_op        a run that an earlier process left behind is taken up
 *   next            the next DC: which machine is it?
 *   on_machine      one of ours is there: the next one, or wait in line. Else the intent
 *   on_intended     the log is watched from here on; the run
 *   on_ran          surely nothing was done there: the next DC. Else look
 *   look, on_look   read back, where a DC can be asked: at best the one itself
 *   on_event        the log has spoken, or its time is up
 *   settle          both are in: the next operation, or the end
 *
 * Invariants: no second DC is asked while the first may have done it, or may still. The script's
 * word is never proof, neither of yes nor of no.
 */
#include "agent/mde_leg_inside.h"

#include <inttypes.h>
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
#include "ldap/uac.h"

enum { LOOK_MS = 1000, LOOKS_MS = 10 * 1000 };
#define EXPIRY_MS (INT64_C(2) * 60 * 1000) /* after the run's own end: the service keeps it for days */
#define DC_CLOCK_MS 5000                   /* between ours and the DC's, where it is not measured */

static void on_tagged(void *arg, const struct defender_machine *m, size_t n, const struct err *e);
static void begin_op(struct mde_leg *m);
static void next(struct mde_leg *m);
static void on_machine(void *arg, const struct defender_machine *machine, const struct err *e);
static void on_intended(void *arg, const struct err *e);
static void on_log_open(void *arg);
static void on_ran(void *arg, const struct defender_result *r);
static void look(void *arg);
static void on_look(void *arg, struct ad_account *a, const struct err *e);
static void on_event(void *arg, const struct watch_result *r);
static void settle(struct mde_leg *m);

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

static void expect(struct mde_leg *m);

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
    expect(m);
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
static void elsewhere(struct mde_leg *m, enum outcome how, const char *why)
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
        elsewhere(m, OUT_FAILED, e->msg);
        return;
    }
    if (defender_is_taken(m->defender, machine->id)) {
        m->line = true;
        go_on(m);
        return;
    }
    m->order = (struct dc_order){
        .op = m->ops[m->op_at],
        .sid = m->sid,
        .guid = m->guid,
        .domain = m->cf->w->domain->name,
        .expires_ms = stamp_now_ms() + (int64_t)m->cf->w->cfg->defender.run_ms + EXPIRY_MS,
        .case_id = m->cf->id};
    m->order.must_change = m->order.op == DC_RESET_PASSWORD && m->cf->options.must_change;
    m->order.clear_never_expires = m->cf->options.clear_never_expires &&
                                   (m->order.op == DC_EXPIRE_PASSWORD || m->order.must_change);
    (void)snprintf(m->machine, sizeof(m->machine), "%s", machine->id);
    if (dc_nonce(m->order.nonce, &mine) < 0 || mde_record_intent(m, on_intended, &mine) < 0)
        elsewhere(m, OUT_FAILED, mine.msg);
    else
        m->intent_open = true;
}

static enum watch_what event_of(enum dc_op op)
{
    return op == DC_DISABLE           ? WATCH_DISABLED
           : op == DC_ENABLE          ? WATCH_ENABLED
           : op == DC_EXPIRE_PASSWORD ? WATCH_EXPIRED
                                      : WATCH_RESET;
}

static struct ad_dc *dc_named(const struct mde_leg *m, const char *host)
{
    struct ad_dcs *dcs = m->cf->w->dcs;

    for (size_t i = 0; dcs != NULL && i < ad_dcs_count(dcs); i++) {
        if (text_eq_nocase(ad_dcs_at(dcs, i)->host, host))
            return ad_dcs_at(dcs, i);
    }
    return NULL;
}

/* The script runs as LocalSystem. */
static void expect(struct mde_leg *m)
{
    static const char system[] = "S-1-5-18";
    const char *host = m->targets[m->at].host, *dn = m->cf->found.dn;
    const struct ad_dc *dc = dc_named(m, host);
    struct ad_sid actor;
    struct watch_spec spec = {.what = event_of(m->order.op),
                              .count = 1,
                              .dc = host,
                              .target = &m->sid,
                              .actor = &actor,
                              .target_dn = dn != NULL && dn[0] != '\0' ? dn : NULL,
                              .local = ""};
    struct err e;

    if (!watch_is_on(m->cf->w->watch) || ad_sid_from_text(system, strlen(system), &actor) < 0)
        return;
    if (m->taken_up != NULL) {
        spec.mark = m->taken_up->mark;
        spec.not_before_ms = m->taken_up->intended_ms - DC_CLOCK_MS;
        if (dc != NULL && dc->has_skew)
            spec.not_before_ms += dc->skew_ms;
    }
    if (watch_expect_start(m->cf->w->watch, &spec, on_event, m, &m->expect, &e) < 0)
        log_warning("case=%s %s", m->cf->id, e.msg);
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
        elsewhere(m, OUT_FAILED, e != NULL ? e->msg : "told to stop");
        return;
    }
    (void)snprintf(comment, sizeof(comment), "cordon case %s: %s %s", m->cf->id,
                   dc_op_word(m->order.op), m->sid_text);
    if (dc_payload_build(&m->order, &payload, &mine) < 0) {
        elsewhere(m, OUT_FAILED, mine.msg);
        return;
    }
    ask.payload = payload.s;
    expect(m);
    if (defender_run_start(m->defender, &ask, on_ran, m, &m->call, &mine) < 0) {
        watch_expect_cancel(&m->expect);
        elsewhere(m, OUT_FAILED, mine.msg);
        return;
    }
    m->running = true;
    log_info("case=%s %s through Live Response on %s: this takes minutes", m->cf->id,
             dc_op_word(m->order.op), m->targets[m->at].host);
}

/* --- what the run came to --------------------------------------------------------------------- */

/* The script's no, for what that DC is: another one may say yes. */
static bool for_this_dc(const char *code)
{
    static const char *const codes[] = {"language",         "expired",     "too-far-ahead", "no-dc",
                                        "rodc",             "cannot-judge", "what-if",
                                        "not-synchronized"};

    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (strcmp(codes[i], code) == 0)
            return true;
    }
    return false;
}

/* What the script claims, in our words. */
static void take_said(struct mde_leg *m, const struct dc_said *said)
{
    static const enum defender_end ends[] = {[DC_DONE] = DEFENDER_DONE,
                                             [DC_ALREADY] = DEFENDER_ALREADY,
                                             [DC_REFUSED] = DEFENDER_REFUSED,
                                             [DC_FAILED] = DEFENDER_FAILED,
                                             [DC_UNKNOWN] = DEFENDER_UNKNOWN};
    const char *words = dc_code_words(said->code);
    char detail[TEXT_SHOWN];

    m->end = ends[said->outcome];
    m->said = *said;
    m->has_said = true;
    if (said->outcome == DC_DONE && said->has_uac_before && said->has_uac_after &&
        said->uac_before != said->uac_after)
        (void)snprintf(m->why, sizeof(m->why),
                       "the script says: userAccountControl %" PRIu32 " -> %" PRIu32,
                       said->uac_before, said->uac_after);
    else if (said->outcome == DC_DONE || said->outcome == DC_ALREADY)
        (void)snprintf(m->why, sizeof(m->why), "the script says: %s",
                       dc_outcome_word(said->outcome));
    else
        (void)snprintf(m->why, sizeof(m->why), "the script says: %.200s%s%.150s",
                       words != NULL ? words : said->code, said->detail[0] != '\0' ? ": " : "",
                       text_shown(detail, said->detail));
}

static void not_said(struct mde_leg *m, const char *why)
{
    m->end = DEFENDER_UNKNOWN;
    (void)snprintf(m->why, sizeof(m->why), "it ran, and what came back proves nothing: %.280s",
                   why);
}

static void take_result(struct mde_leg *m, const struct defender_result *r)
{
    char until[STAMP_TEXT];
    struct dc_said said;
    struct err mine;
    size_t n;

    m->end = r->end;
    m->has_said = false;
    m->may_still_fire = r->may_still_fire;
    (void)snprintf(m->why, sizeof(m->why), "%.390s", r->words);
    /* Only a marker that fits the order says how it went. */
    if (r->marker != NULL && dc_marker_read(r->marker, r->marker_len, &m->order, &said, &mine) == 0)
        take_said(m, &said);
    else if (r->marker != NULL || r->end == DEFENDER_DONE || r->end == DEFENDER_ALREADY)
        not_said(m, r->marker != NULL ? mine.msg : "no answer of the script");
    if (!m->may_still_fire)
        return;
    if (m->end != DEFENDER_DONE && m->end != DEFENDER_ALREADY)
        m->end = DEFENDER_UNKNOWN;
    n = strlen(m->why);
    (void)snprintf(m->why + n, sizeof(m->why) - n,
                   "; it could not be cancelled and may still run, until %s",
                   stamp_iso(until, m->order.expires_ms));
}

static void on_ran(void *arg, const struct defender_result *r)
{
    struct mde_leg *m = arg;

    m->call = NULL;
    m->running = false;
    if (m->taken_up != NULL && r->not_there && !m->cf->interrupted) {
        /* Looked for, again and again: it never got there. What may come late does no more harm
         * than doing it twice would. */
        log_warning("case=%s no run with the mark of the earlier process is listed: begun anew",
                    m->cf->id);
        watch_expect_cancel(&m->expect);
        m->timer = loop_timer_start(m->cf->w->loop, 0, on_same, m);
        if (m->timer == NULL)
            ends_nowhere(m);
        return;
    }
    take_result(m, r);
    if (m->end == DEFENDER_BUSY || m->end == DEFENDER_FAILED || m->end == DEFENDER_REFUSED)
        watch_expect_cancel(&m->expect);
    if (m->end == DEFENDER_BUSY) {
        busy(m, m->why);
        return;
    }
    if (m->end == DEFENDER_FAILED) {
        elsewhere(m, OUT_FAILED, m->why);
        return;
    }
    if (m->end == DEFENDER_REFUSED) {
        if (m->has_said ? for_this_dc(m->said.code) : r->elsewhere) {
            elsewhere(m, OUT_REFUSED, m->why);
            return;
        }
        m->facts[m->op_at].refused = true;
        mde_tell(m, OUT_REFUSED, PROOF_NONE, "%s", m->why);
        leg_ends(m);
        return;
    }
    m->look_until = loop_now(m->cf->w->loop) + LOOKS_MS;
    if (m->expect != NULL)
        watch_expect_settle(m->expect, NULL, m->cf->w->cfg->confirm_ms);
    else
        m->heard = true;
    look(m);
}

/* --- what the world says ---------------------------------------------------------------------- */

static bool is_so(const struct mde_leg *m, const struct ad_account *a)
{
    if (m->order.op == DC_EXPIRE_PASSWORD)
        return a->has_pwd_last_set && a->pwd_last_set == 0;
    if (m->order.op == DC_RESET_PASSWORD)
        return false; /* a password shows nothing; only the log does */
    return ((a->uac & AD_UAC_ACCOUNTDISABLE) != 0) == (m->order.op == DC_DISABLE);
}

static void look(void *arg)
{
    struct mde_leg *m = arg;
    struct ad_dc *dc = dc_named(m, m->targets[m->at].host);
    struct err e;

    m->timer = NULL;
    m->own = dc != NULL && dc->state == AD_DC_READY;
    if (!m->own)
        dc = world_dc(m->cf->w, false);
    if (dc != NULL &&
        ad_read_start(dc->conn, &m->guid, AD_READ_PROVE, on_look, m, NULL, &e) == 0) {
        m->looking = true;
        return;
    }
    m->looked = true;
    settle(m);
}

static void on_look(void *arg, struct ad_account *a, const struct err *e)
{
    struct mde_leg *m = arg;
    /* A run that is over cannot change the DC's own answer any more. */
    bool last = m->own && !m->may_still_fire;

    (void)e;
    m->looking = false;
    m->shown = a != NULL && is_so(m, a);
    m->denied = a != NULL && last && !m->shown && m->order.op != DC_RESET_PASSWORD;
    if (m->shown)
        mde_keep(m, a);
    ad_account_free(a);
    if (!m->shown && !m->own && !m->cf->interrupted &&
        loop_now(m->cf->w->loop) < m->look_until &&
        m->order.op != DC_RESET_PASSWORD) { /* from another DC: it has to come there */
        m->timer = loop_timer_start(m->cf->w->loop, LOOK_MS, look, m);
        if (m->timer != NULL)
            return;
    }
    m->looked = true;
    settle(m);
}

static void on_event(void *arg, const struct watch_result *r)
{
    struct mde_leg *m = arg;

    m->expect = NULL;
    m->heard = true;
    m->met = r->met;
    step_done(&m->confirm_step);
    m->confirm_step = (struct step){.name = "confirm",
                                    .target = m->targets[m->at].host,
                                    .started_us = m->step.started_us,
                                    .ended_us = run_now_us(m->cf),
                                    .outcome = r->met ? OUT_DONE : OUT_UNCONFIRMED,
                                    .proof = r->met ? PROOF_LOGGED : PROOF_NONE};
    step_say(&m->confirm_step, "%s", r->detail);
    if (r->met && m->cf->proven_us == 0)
        m->cf->proven_us = run_now_us(m->cf);
    run_tell_and_record(m->cf, &m->confirm_step);
    settle(m);
}

static void settle(struct mde_leg *m)
{
    bool said = m->end == DEFENDER_DONE || m->end == DEFENDER_ALREADY;
    bool proven = m->shown || m->met;
    struct mde_facts *f = &m->facts[m->op_at];
    char words[500];

    if (!m->looked || !m->heard || m->over)
        return;
    f->dc = m->targets[m->at].host;
    (void)snprintf(words, sizeof(words), "%s", m->why);
    if (m->denied && !m->met && !said) {
        (void)snprintf(words, sizeof(words), "%.380s; the DC itself shows that it was not made",
                       m->why);
        elsewhere(m, OUT_FAILED, words);
        return;
    }
    if (m->denied && !m->met) {
        f->undone = true;
        mde_tell(m, OUT_FAILED, PROOF_NONE, "%.380s, but the DC itself shows that it is not so",
                 words);
    } else if (m->end == DEFENDER_ALREADY && !m->met) {
        f->already = true;
        f->not_shown = !m->shown;
        mde_tell(m, OUT_ALREADY, m->shown ? PROOF_READ_BACK : PROOF_NONE, "%s", words);
    } else if (said || proven) {
        f->done = true;
        f->not_shown = !proven;
        f->logged = m->met;
        mde_tell(m, OUT_DONE,
                 m->shown ? PROOF_READ_BACK
                 : said   ? PROOF_ACCEPTED
                          : PROOF_NONE,
                 "%s%s", words, proven ? m->shown ? "; read back" : "; the DC's log shows it" : "");
        m->cf->accepted_us = m->cf->accepted_us == 0 ? run_now_us(m->cf) : m->cf->accepted_us;
    } else {
        f->unknown = true;
        mde_tell(m, OUT_UNKNOWN, PROOF_NONE, "%s", words);
    }
    if (!f->unknown && m->op_at + 1 < m->op_count && !m->cf->interrupted) {
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
