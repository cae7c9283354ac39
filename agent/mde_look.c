/* agent/mde_look.c -- what a run came to: its own word, the DC that is read, and the log. See
 * mde_leg_inside.h.
 *
 *   mde_expect       before the run: the log is watched
 *   mde_take_result  after it: what the script claims
 *   mde_look         read back, where a DC can be asked: at best the one itself
 *   on_event         the log has spoken, or its time is up
 *   settle           both are in
 */
#include "agent/mde_leg_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/run_inside.h"
#include "agent/world.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/stamp.h"
#include "base/text.h"
#include "ldap/uac.h"

enum { LOOK_MS = 1000, LOOKS_MS = 10 * 1000 };
#define DC_CLOCK_MS 5000 /* between ours and the DC's, where it is not measured */

static void look(void *arg);
static void on_look(void *arg, struct ad_account *a, const struct err *e);
static void on_event(void *arg, const struct watch_result *r);
static void settle(struct mde_leg *m);

/* --- the log ---------------------------------------------------------------------------------- */

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
void mde_expect(struct mde_leg *m)
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

/* --- its own word ------------------------------------------------------------------------------
 */

/* The script's no, for what that DC is: another one may say yes. */
bool mde_for_this_dc(const char *code)
{
    static const char *const codes[] = {
        "language", "expired",      "too-far-ahead", "no-dc",
        "rodc",     "cannot-judge", "what-if",       "not-synchronized"};

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

void mde_take_result(struct mde_leg *m, const struct defender_result *r)
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

/* --- what the world says ---------------------------------------------------------------------- */

static bool is_so(const struct mde_leg *m, const struct ad_account *a)
{
    if (m->order.op == DC_EXPIRE_PASSWORD)
        return a->has_pwd_last_set && a->pwd_last_set == 0;
    if (m->order.op == DC_RESET_PASSWORD)
        return false; /* a password shows nothing; only the log does */
    return ((a->uac & AD_UAC_ACCOUNTDISABLE) != 0) == (m->order.op == DC_DISABLE);
}

void mde_look(struct mde_leg *m)
{
    m->look_until = loop_now(m->cf->w->loop) + LOOKS_MS;
    if (m->expect != NULL)
        watch_expect_settle(m->expect, NULL, m->cf->w->cfg->confirm_ms);
    else
        m->heard = true;
    look(m);
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
    if (dc != NULL && ad_read_start(dc->conn, &m->guid, AD_READ_PROVE, on_look, m, NULL, &e) == 0) {
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
    if (!m->shown && !m->own && !m->cf->interrupted && loop_now(m->cf->w->loop) < m->look_until &&
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
        mde_elsewhere(m, OUT_FAILED, words);
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
    mde_op_over(m);
}
