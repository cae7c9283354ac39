/* agent/cloud_evidence.c -- --evidence: is it seen where logs are collected? Slow, and independent.
 *
 * Log Analytics (SecurityEvent 4725, 4738 ... by SID) or advanced hunting
 * (IdentityDirectoryEvents). It is told as a step of its own and changes no verdict: no rows are no
 * evidence of anything. A row counts where it is about this account (hunting.h sees to that), of
 * what this case does, not before it, and by our own SID; and where the answer is complete.
 */
#include <stdio.h>
#include <string.h>

#include "agent/cloud_leg_inside.h"
#include "agent/run_inside.h"
#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/hunting.h"

#define EVERY_MS 10000
#define CLOCKS_MS 5000 /* by how much a DC's clock may be behind ours */

static void ask(void *arg);

bool leg_evidence_wanted(const struct cloud_leg *l)
{
    return l->cf->options.evidence != EVIDENCE_NONE && !l->evidence_over && !l->interrupted &&
           l->cf->resolved && run_ad_steps(l->cf) > 0;
}

static void evidence_end(struct cloud_leg *l, enum outcome how, const char *words)
{
    struct step s = {.name = "evidence", .started_us = l->evidence_us};

    s.target = l->cf->options.evidence == EVIDENCE_SENTINEL ? "sentinel" : "hunting";
    s.outcome = how;
    s.proof = how == OUT_DONE ? PROOF_LOGGED : PROOF_NONE;
    s.ended_us = run_now_us(l->cf);
    step_say(&s, "%s", words);
    run_tell_and_record(l->cf, &s);
    step_done(&s);
    l->evidence_over = true;
    leg_hold(l);
}

/* What a row of ours is: the event of Windows, and the words of IdentityDirectoryEvents. */
static const struct {
    unsigned event;
    const char *action;
} rows_of[] = {
    [ACT_DISABLE] = {4725, "Account disabled"},
    [ACT_ENABLE] = {4722, "Account enabled"},
    [ACT_EXPIRE] = {4738, NULL},
    [ACT_RESET] = {4724, NULL},
    [ACT_CONTAIN] = {4725, "Account disabled"},
};

static bool is_ours(const struct cloud_leg *l, const struct hunt_row *r)
{
    const struct casefile *cf = l->cf;
    enum action a = cf->plan->action;
    char sid[AD_SID_TEXT];

    if ((size_t)a >= ARRAY_LEN(rows_of) || cf->home == NULL || !cf->home->has_self)
        return false;
    if (r->event_id != 0
            ? r->event_id != rows_of[a].event
            : rows_of[a].action == NULL || !text_eq_nocase(r->action, rows_of[a].action))
        return false;
    return r->time_ms >= cf->started_ms - CLOCKS_MS &&
           text_eq_nocase(r->actor_sid, ad_sid_to_text(&cf->home->self, sid));
}

static void describe(char *words, size_t size, const char *before, const struct hunt_row *r)
{
    char iso[STAMP_TEXT], event[24] = "";

    if (r->event_id != 0)
        (void)snprintf(event, sizeof(event), "event %u ", r->event_id);
    (void)snprintf(words, size, "%s%s%.80s at %s on %.80s by %.80s", before, event, r->action,
                   stamp_iso(iso, r->time_ms), r->computer,
                   r->actor[0] != '\0' ? r->actor : "somebody not named");
}

/* 0: none yet; `words` says what there is instead. */
static size_t count_ours(const struct cloud_leg *l, const struct hunt_rows *r, char *words,
                         size_t size)
{
    const struct hunt_row *first = NULL;
    size_t n = 0;

    for (size_t i = 0; i < r->count; i++) {
        if (!is_ours(l, &r->rows[i]))
            continue;
        first = first != NULL ? first : &r->rows[i];
        n++;
    }
    if (r->partial) {
        (void)snprintf(words, size, "the answer is not complete, and no evidence: %.200s", r->note);
        return 0;
    }
    if (n > 0)
        describe(words, size, "", first);
    else if (r->count > 0)
        describe(words, size, "no row of ours; the last that there is: ", &r->rows[r->count - 1]);
    else
        (void)snprintf(words, size,
                       "nothing there yet: it lags by minutes, and silence proves nothing (cordon "
                       "query --case ID prints the query)");
    return n;
}

static void on_rows(void *arg, const struct hunt_rows *r, const struct err *e)
{
    struct cloud_leg *l = arg;
    uint64_t gone_ms = (run_now_us(l->cf) - l->evidence_us) / 1000, left_ms;
    char words[STEP_DETAIL];

    l->hunt = NULL;
    if (e == NULL && count_ours(l, r, words, sizeof(words)) > 0) {
        evidence_end(l, OUT_DONE, words);
        return;
    }
    if (e != NULL && e->code != ERR_BUSY && e->code != ERR_TIMEOUT) {
        evidence_end(l, OUT_FAILED, e->msg);
        return;
    }
    if (!l->interrupted && gone_ms < l->cf->w->wait_ms) {
        left_ms = l->cf->w->wait_ms - gone_ms;
        l->timer =
            loop_timer_start(l->cf->w->loop, left_ms < EVERY_MS ? left_ms : EVERY_MS, ask, l);
        if (l->timer != NULL)
            return;
    }
    evidence_end(l, OUT_UNCONFIRMED, e != NULL ? e->msg : words);
}

static void ask(void *arg)
{
    struct cloud_leg *l = arg;
    struct cloud *c = l->cf->w->cloud;
    const struct cfg_entra *entra = &l->cf->w->cfg->entra;
    int64_t from = l->cf->started_ms - 60000, to = stamp_now_ms() + 60000;
    char sid[AD_SID_TEXT];
    struct err e;
    int rc = 0;

    l->timer = NULL;
    (void)ad_sid_to_text(&l->cf->found.sid, sid);
    if (l->cf->options.evidence == EVIDENCE_HUNTING) {
        rc = hunt_identity_start(c->graph, sid, from, to, on_rows, l, &l->hunt, &e);
    } else if (entra->workspace == NULL) {
        rc = err_set(&e, ERR_CONFIG, 0, "no workspace in [entra]: the id of the Log Analytics one");
    } else {
        if (c->logs_token == NULL)
            rc = cloud_token(c, entra->loganalytics_url, &c->logs_token, &e);
        if (rc == 0)
            rc = hunt_security_event_start(&(struct hunt_workspace){.loop = l->cf->w->loop,
                                                                    .http = c->http,
                                                                    .token = c->logs_token,
                                                                    .root = entra->loganalytics_url,
                                                                    .workspace = entra->workspace},
                                           sid, from, to, on_rows, l, &l->hunt, &e);
    }
    if (rc < 0)
        evidence_end(l, OUT_FAILED, e.msg);
}

void leg_evidence(struct cloud_leg *l)
{
    l->evidence_us = run_now_us(l->cf);
    leg_move(l, LEG_EVIDENCE);
    ask(l);
}
