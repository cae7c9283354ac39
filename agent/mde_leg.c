/* agent/mde_leg.c -- see mde_leg.h.
 *
 *   mde_leg_start   whose SID; the machines with the tag, where one is configured
 *   next            the next DC: which machine is it?
 *   on_machine      the intent, with the nonce
 *   on_intended     the log is watched from here on; the run
 *   on_ran          nothing was done there: the next DC. Else look
 *   look, on_look   read back, where a DC can be asked
 *   on_event        the log has spoken, or its time is up
 *   settle          both are in: the next step of the plan, or the end
 *
 * Invariants: no second DC is asked while the first may have done it, or may still. The script's
 * word is never proof.
 */
#include "agent/mde_leg.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cloud.h"
#include "agent/cloud_leg.h"
#include "agent/dc_payload.h"
#include "agent/ledger.h"
#include "agent/run_inside.h"
#include "agent/world.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/defender.h"
#include "ldap/uac.h"

enum { TARGETS = 32, OPS = 2, LOOK_MS = 1000, LOOKS_MS = 10 * 1000 };
#define RUN_MS (8 * 60 * 1000)              /* defender-endpoint.md 10 */
#define EXPIRY_MS (INT64_C(10) * 60 * 1000) /* of the order: the service may keep it for days */

struct target {
    char host[256], machine[64]; /* machine: its id; "": found by name */
};

struct mde_leg {
    struct casefile *cf;
    struct defender *defender;
    enum dc_op ops[OPS];
    size_t op_count, op_at;
    struct target targets[TARGETS];
    size_t count, at;
    struct ad_sid sid;
    struct ad_guid guid;
    char sid_text[AD_SID_TEXT];
    char machine[64];
    struct dc_order order; /* of the run in hand */
    struct defender_call *call;
    bool running; /* call is a run: it is cancelled, not abandoned */
    struct loop_timer *timer;
    struct step step, confirm_step;
    struct watch_expect *expect;
    bool looking, looked, heard, over, hurried, interrupted;
    bool shown, met;       /* of the step in hand */
    enum defender_end end; /* of the run in hand */
    uint64_t look_until;
    bool some_done, some_already, some_unknown, some_refused, some_failed, not_shown, all_logged;
    char why[400]; /* the last that went wrong */
};

static void on_tagged(void *arg, const struct defender_machine *m, size_t n, const struct err *e);
static void next(struct mde_leg *m);
static void on_machine(void *arg, const struct defender_machine *machine, const struct err *e);
static void on_intended(void *arg, const struct err *e);
static void on_ran(void *arg, const struct defender_result *r);
static void look(void *arg);
static void on_look(void *arg, struct ad_account *a, const struct err *e);
static void on_event(void *arg, const struct watch_result *r);
static void settle(struct mde_leg *m);

/* --- what there is
 * --------------------------------------------------------------------------------- */

/* The script's own operations; 0: it has none for this. */
static size_t ops_of(enum action a, enum dc_op ret[OPS])
{
    switch (a) {
    case ACT_DISABLE:
        ret[0] = DC_DISABLE;
        return 1;
    case ACT_ENABLE:
        ret[0] = DC_ENABLE;
        return 1;
    case ACT_EXPIRE:
        ret[0] = DC_EXPIRE_PASSWORD;
        return 1;
    case ACT_RESET:
        ret[0] = DC_RESET_PASSWORD;
        return 1;
    case ACT_CONTAIN:
        ret[0] = DC_DISABLE;
        ret[1] = DC_RESET_PASSWORD;
        return 2;
    default:
        return 0;
    }
}

bool mde_leg_wanted(const struct casefile *cf)
{
    enum dc_op ops[OPS];

    return cf->w->cfg->defender.on && cf->w->cloud != NULL && cf->w->cloud->defender != NULL &&
           cf->mde == NULL && !cf->dry_run && !cf->interrupted && run_ad_steps(cf) > 0 &&
           (cf->options.via_mde || cf->w->cfg->defender.fallback) &&
           ops_of(cf->plan->action, ops) > 0;
}

/* As AD has it, or as Entra has it from AD; the script goes by the GUID, and compares the SID. */
static int find_sid(struct mde_leg *m, struct err *e)
{
    const struct casefile *cf = m->cf;
    const struct cloud_leg *c = cf->cloud;

    if (cf->resolved) {
        m->sid = cf->found.sid;
        m->guid = cf->found.guid;
    } else if (c == NULL || !c->has_user || c->user.sid == NULL ||
               ad_sid_from_text(c->user.sid, strlen(c->user.sid), &m->sid) < 0 ||
               !entra_anchor_guid(&c->user, m->guid.b)) {
        return err_set(e, ERR_NOTFOUND, 0,
                       "Live Response needs the account's SID and objectGUID: no DC can be asked, "
                       "and Entra does not tell both");
    }
    (void)ad_sid_to_text(&m->sid, m->sid_text);
    return 0;
}

static void add_target(struct mde_leg *m, const char *host, size_t n, const char *machine)
{
    struct target *t = &m->targets[m->count];

    if (m->count == TARGETS || n >= sizeof(t->host) || strlen(machine) >= sizeof(t->machine))
        return;
    (void)snprintf(t->host, sizeof(t->host), "%.*s", (int)n, host);
    for (size_t i = 0; i < m->count; i++) {
        if (text_eq_nocase(m->targets[i].host, t->host))
            return;
    }
    (void)snprintf(t->machine, sizeof(t->machine), "%s", machine);
    m->count++;
}

/* "dc1.corp.example.com" or "dc1.corp.example.com=<id>", of this domain. */
static void targets_of(struct mde_leg *m)
{
    const struct cfg_list *l = &m->cf->w->cfg->defender.dcs;
    char suffix[260];

    (void)snprintf(suffix, sizeof(suffix), ".%s", m->cf->w->domain->name);
    for (size_t i = 0; i < l->count; i++) {
        size_t n = strcspn(l->items[i], "=");
        char host[256];

        (void)snprintf(host, sizeof(host), "%.*s", (int)n, l->items[i]);
        if (text_ends_nocase(host, suffix))
            add_target(m, host, n, l->items[i][n] == '=' ? l->items[i] + n + 1 : "");
    }
}

/* A tag makes nobody a DC: only whom DNS, or the configuration, knows as one. */
static bool is_dc(const struct mde_leg *m, const char *host)
{
    struct ad_dcs *dcs = m->cf->w->dcs;

    for (size_t i = 0; dcs != NULL && i < ad_dcs_count(dcs); i++) {
        if (text_eq_nocase(ad_dcs_at(dcs, i)->host, host))
            return true;
    }
    return false;
}

static void on_later(void *arg)
{
    struct mde_leg *m = arg;

    m->timer = NULL;
    next(m);
}

int mde_leg_start(struct casefile *cf, struct err *e)
{
    const char *tag = cf->w->cfg->defender.dc_tag;
    struct mde_leg *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return err_set(e, ERR_NOMEM, 0, "mde");
    m->cf = cf;
    m->op_count = ops_of(cf->plan->action, m->ops);
    m->all_logged = true;
    if (cf->w->cloud == NULL || cf->w->cloud->defender == NULL || m->op_count == 0) {
        if (cf->w->cloud == NULL)
            *e = cf->w->cloud_failed;
        else if (m->op_count == 0)
            (void)err_set(e, ERR_UNSUPPORTED, 0, "Live Response has no script for %s",
                          action_word(cf->plan->action));
        else
            *e = cf->w->cloud->defender_failed;
        free(m);
        return -1;
    }
    m->defender = cf->w->cloud->defender;
    if (find_sid(m, e) < 0) {
        free(m);
        return -1;
    }
    watch_focus(cf->w->watch, &m->sid);
    targets_of(m);
    cf->mde = m;
    if (tag != NULL && defender_tagged_start(m->defender, tag, on_tagged, m, &m->call, e) == 0)
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
        if (is_dc(m, machines[i].name))
            add_target(m, machines[i].name, strlen(machines[i].name), machines[i].id);
        else
            log_warning("%s has the tag of a DC and is none that DNS shows: not used",
                        machines[i].name);
    }
    next(m);
}

/* --- one DC after the other
 * -------------------------------------------------------------------------- */

static void leg_ends(struct mde_leg *m)
{
    m->over = true;
    run_mde_over(m->cf, m->some_done || m->some_already);
}

static void tell(struct mde_leg *m, enum outcome how, enum proof proof, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void tell(struct mde_leg *m, enum outcome how, enum proof proof, const char *fmt, ...)
{
    char words[500];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    m->step.outcome = how;
    m->step.proof = proof;
    m->step.ended_us = run_now_us(m->cf);
    step_say(&m->step, "%s", words);
    run_tell_and_record(m->cf, &m->step);
}

static void next(struct mde_leg *m)
{
    const struct target *t = &m->targets[m->at];
    struct err e;

    if (m->at == m->count || m->cf->interrupted) {
        step_done(&m->step);
        m->step = (struct step){.name = "mde", .target = "mde", .started_us = run_now_us(m->cf)};
        m->some_failed = true;
        tell(m, OUT_FAILED, PROOF_NONE, "%s",
             m->cf->interrupted  ? "told to stop"
             : m->why[0] != '\0' ? m->why
                                 : "no DC is configured for Live Response");
        leg_ends(m);
        return;
    }
    step_done(&m->step);
    m->step = (struct step){.name = "mde", .target = t->host, .started_us = run_now_us(m->cf)};
    m->looked = m->heard = m->shown = m->met = false;
    if (defender_find_start(m->defender, t->host, t->machine[0] != '\0' ? t->machine : NULL,
                            on_machine, m, &m->call, &e) < 0)
        on_machine(m, NULL, &e);
}

/* Nothing was done there. */
static void elsewhere(struct mde_leg *m, const char *why)
{
    char line[500];

    (void)snprintf(line, sizeof(line), "%s", why);
    (void)snprintf(m->why, sizeof(m->why), "%.100s: %.280s", m->targets[m->at].host, line);
    tell(m, OUT_FAILED, PROOF_NONE, "%s", line);
    m->at++;
    next(m);
}

static void on_machine(void *arg, const struct defender_machine *machine, const struct err *e)
{
    struct mde_leg *m = arg;
    CLEANUP(text_done) struct text body = TEXT_INIT(4096);
    struct json_out o;
    struct err mine;

    m->call = NULL;
    if (e != NULL) {
        elsewhere(m, e->msg);
        return;
    }
    m->order = (struct dc_order){.op = m->ops[m->op_at],
                                 .sid = m->sid,
                                 .guid = m->guid,
                                 .domain = m->cf->w->domain->name,
                                 .expires_ms = stamp_now_ms() + EXPIRY_MS,
                                 .case_id = m->cf->id};
    m->order.must_change = m->order.op == DC_RESET_PASSWORD && m->cf->options.must_change;
    m->order.clear_never_expires = m->cf->options.clear_never_expires &&
                                   (m->order.op == DC_EXPIRE_PASSWORD || m->order.must_change);
    if (dc_nonce(m->order.nonce, &mine) < 0) {
        elsewhere(m, mine.msg);
        return;
    }
    (void)snprintf(m->machine, sizeof(m->machine), "%s", machine->id);
    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    json_out_str(&o, "step", "mde");
    json_out_str(&o, "target", m->targets[m->at].host);
    json_out_str(&o, "machine", m->machine);
    json_out_str(&o, "op", dc_op_word(m->order.op));
    json_out_str(&o, "nonce", m->order.nonce);
    json_out_end_object(&o);
    if (text_check(&body, "intent", &mine) < 0 ||
        run_record(m->cf, "intent", body.s, on_intended, m, &mine) < 0)
        elsewhere(m, mine.msg);
}

static enum watch_what event_of(enum dc_op op)
{
    return op == DC_DISABLE           ? WATCH_DISABLED
           : op == DC_ENABLE          ? WATCH_ENABLED
           : op == DC_EXPIRE_PASSWORD ? WATCH_EXPIRED
                                      : WATCH_RESET;
}

/* The script runs as LocalSystem. */
static void expect(struct mde_leg *m)
{
    static const char system[] = "S-1-5-18";
    struct ad_sid actor;
    struct watch_spec spec = {.what = event_of(m->ops[m->op_at]),
                              .count = 1,
                              .dc = m->targets[m->at].host,
                              .target = &m->sid,
                              .actor = &actor,
                              .target_dn = m->cf->resolved        ? m->cf->found.dn
                                           : m->cf->cloud != NULL ? m->cf->cloud->user.on_prem_dn
                                                                  : NULL,
                              .local = ""};
    struct err e;

    if (!watch_is_on(m->cf->w->watch) || ad_sid_from_text(system, strlen(system), &actor) < 0)
        return;
    if (watch_expect_start(m->cf->w->watch, &spec, on_event, m, &m->expect, &e) < 0)
        log_warning("case=%s %s", m->cf->id, e.msg);
}

static void on_intended(void *arg, const struct err *e)
{
    struct mde_leg *m = arg;
    CLEANUP(text_done) struct text payload = TEXT_INIT(8192);
    char comment[300];
    struct defender_ask ask = {
        .machine_id = m->machine, .nonce = m->order.nonce, .comment = comment, .all_ms = RUN_MS};
    struct err mine;

    if (e != NULL || m->cf->interrupted) {
        elsewhere(m, e != NULL ? e->msg : "told to stop");
        return;
    }
    (void)snprintf(comment, sizeof(comment), "cordon case %s: %s %s", m->cf->id,
                   dc_op_word(m->order.op), m->sid_text);
    if (dc_payload_build(&m->order, &payload, &mine) < 0) {
        elsewhere(m, mine.msg);
        return;
    }
    ask.payload = payload.s;
    expect(m);
    if (defender_run_start(m->defender, &ask, on_ran, m, &m->call, &mine) < 0) {
        watch_expect_cancel(&m->expect);
        elsewhere(m, mine.msg);
        return;
    }
    m->running = true;
    log_info("case=%s %s through Live Response on %s: this takes minutes", m->cf->id,
             dc_op_word(m->order.op), m->targets[m->at].host);
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

static void on_ran(void *arg, const struct defender_result *r)
{
    struct mde_leg *m = arg;

    struct dc_said said;
    struct err mine;

    m->call = NULL;
    m->running = false;
    m->end = r->end;
    (void)snprintf(m->why, sizeof(m->why), "%.390s", r->words);
    /* Only a marker that fits the order says how it went. */
    if (r->marker != NULL && dc_marker_read(r->marker, r->marker_len, &m->order, &said, &mine) == 0)
        take_said(m, &said);
    else if (r->marker != NULL || r->end == DEFENDER_DONE || r->end == DEFENDER_ALREADY)
        not_said(m, r->marker != NULL ? mine.msg : "no answer of the script");
    if (r->may_still_fire) {
        size_t n = strlen(m->why);

        if (m->end != DEFENDER_DONE && m->end != DEFENDER_ALREADY)
            m->end = DEFENDER_UNKNOWN;
        (void)snprintf(m->why + n, sizeof(m->why) - n,
                       "; it could not be cancelled and may still run");
    }
    if (m->end == DEFENDER_BUSY || m->end == DEFENDER_FAILED) {
        watch_expect_cancel(&m->expect);
        elsewhere(m, m->why);
        return;
    }
    if (m->end == DEFENDER_REFUSED) {
        watch_expect_cancel(&m->expect);
        m->some_refused = true;
        tell(m, OUT_REFUSED, PROOF_NONE, "%s", m->why);
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

/* --- what the world says
 * ------------------------------------------------------------------------------ */

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
    struct ad_dc *dc = world_dc(m->cf->w, false);
    struct err e;

    m->timer = NULL;
    if (dc != NULL && m->cf->resolved &&
        ad_read_start(dc->conn, &m->cf->found.guid, AD_READ_PROVE, on_look, m, NULL, &e) == 0) {
        m->looking = true;
        return;
    }
    m->looked = true;
    settle(m);
}

static void on_look(void *arg, struct ad_account *a, const struct err *e)
{
    struct mde_leg *m = arg;

    (void)e;
    m->looking = false;
    m->shown = a != NULL && is_so(m, a);
    ad_account_free(a);
    if (!m->shown && !m->cf->interrupted && loop_now(m->cf->w->loop) < m->look_until &&
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
    char words[400];

    if (!m->looked || !m->heard || m->over)
        return;
    (void)snprintf(words, sizeof(words), "%.390s", m->why);
    if (m->end == DEFENDER_ALREADY && !m->met) {
        m->some_already = true;
        m->not_shown = m->not_shown || !m->shown;
        tell(m, OUT_ALREADY, m->shown ? PROOF_READ_BACK : PROOF_NONE, "%s", words);
    } else if (said || proven) {
        m->some_done = true;
        m->not_shown = m->not_shown || !proven;
        m->all_logged = m->all_logged && m->met;
        tell(m, OUT_DONE,
             m->shown ? PROOF_READ_BACK
             : said   ? PROOF_ACCEPTED
                      : PROOF_NONE,
             "%s%s", words, proven ? m->shown ? "; read back" : "; the DC's log shows it" : "");
        m->cf->accepted_us = m->cf->accepted_us == 0 ? run_now_us(m->cf) : m->cf->accepted_us;
    } else {
        m->some_unknown = true;
        tell(m, OUT_UNKNOWN, PROOF_NONE, "%s", words);
    }
    if (!m->some_unknown && ++m->op_at < m->op_count && !m->cf->interrupted) {
        next(m); /* on the same DC */
        return;
    }
    leg_ends(m);
}

/* --- for the case
 * ------------------------------------------------------------------------------------ */

void mde_leg_free(struct casefile *cf)
{
    struct mde_leg *m = cf->mde;

    if (m == NULL)
        return;
    loop_timer_stop(&m->timer);
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

    if (m == NULL || m->over || m->hurried || m->call == NULL)
        return;
    m->hurried = true;
    if (m->running)
        defender_run_cancel(m->call);
}

bool mde_leg_busy(struct casefile *cf)
{
    mde_leg_interrupt(cf);
    return cf->mde != NULL && ((!cf->mde->over && cf->mde->running) || cf->mde->looking);
}

bool mde_leg_ended(const struct casefile *cf)
{
    return cf->mde == NULL || cf->mde->over;
}

size_t mde_leg_goals(const struct casefile *cf, struct goal_facts *ret)
{
    const struct mde_leg *m = cf->mde;

    if (m == NULL)
        return 0;
    *ret = (struct goal_facts){.log_watched = watch_is_on(cf->w->watch),
                               .some_done = m->some_done,
                               .some_already = m->some_already,
                               .some_unknown = m->some_unknown,
                               .some_refused = m->some_refused,
                               .some_failed = m->some_failed,
                               .some_logged = m->some_done && m->all_logged,
                               .not_shown = m->not_shown && !m->all_logged};
    return 1;
}

void mde_leg_explain(struct casefile *cf)
{
    const struct mde_leg *m = cf->mde;
    char line[STEP_DETAIL + 300];

    if (m == NULL)
        return;
    if (m->step.outcome != OUT_DONE && m->step.outcome != OUT_ALREADY) {
        (void)snprintf(line, sizeof(line), "Live Response: %.480s", step_detail(&m->step));
        run_add_detail(cf, line);
    } else if (cf->verdict == VERDICT_UNCONFIRMED) {
        (void)snprintf(line, sizeof(line),
                       "made through Live Response on %s by what the script says; %.300s",
                       m->step.target,
                       m->confirm_step.name != NULL ? step_detail(&m->confirm_step)
                                                    : "it could not be read back");
        run_add_detail(cf, line);
    }
}
