/* agent/cloud_evidence.c -- --evidence: is it seen where logs are collected? Slow, and independent.
 *
 * Log Analytics (SecurityEvent 4725, 4738 ... by SID) or advanced hunting
 * (IdentityDirectoryEvents). It is told as a step of its own and changes no verdict: no rows are no
 * evidence of anything.
 */
#include <stdio.h>
#include <string.h>

#include "agent/cloud_leg_inside.h"
#include "agent/run_inside.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/hunting.h"

#define EVERY_MS 10000

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

static void on_rows(void *arg, const struct hunt_rows *r, const struct err *e)
{
    struct cloud_leg *l = arg;
    char words[STEP_DETAIL], iso[STAMP_TEXT];

    l->hunt = NULL;
    if (e == NULL && r->count > 0) {
        const struct hunt_row *row = &r->rows[0];

        (void)snprintf(words, sizeof(words), "%zu row%s; %s%u %.80s at %s on %.80s by %.80s",
                       r->count, r->count == 1 ? "" : "s", row->event_id != 0 ? "event " : "",
                       row->event_id, row->action, stamp_iso(iso, row->time_ms), row->computer,
                       row->actor[0] != '\0' ? row->actor : "somebody not named");
        evidence_end(l, OUT_DONE, words);
        return;
    }
    if (e != NULL && e->code != ERR_BUSY && e->code != ERR_TIMEOUT) {
        evidence_end(l, OUT_FAILED, e->msg);
        return;
    }
    if (!l->interrupted &&
        run_now_us(l->cf) - l->evidence_us < (l->cf->w->wait_ms + EVERY_MS) * 1000) {
        l->timer = loop_timer_start(l->cf->w->loop, EVERY_MS, ask, l);
        if (l->timer != NULL)
            return;
    }
    evidence_end(l, OUT_UNCONFIRMED,
                 e != NULL ? e->msg
                           : "nothing there yet: it lags by minutes, and silence proves nothing "
                             "(cordon query --case ID prints the query)");
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
