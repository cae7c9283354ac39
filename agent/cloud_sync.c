/* agent/cloud_sync.c -- make the synchronisation carry the change, and look again after it.
 *
 *   leg_sync     AD's part is over: push the user, if every DC shows the change
 *   on_pushed    what came of it, as data: it never fails the case
 *   on_again     the user once more: a push that read an old DC may have enabled it again
 *
 * A push before every DC shows the change would export the old state over ours
 * (entra-graph.md 8.3).
 */
#include <stdio.h>

#include "agent/cloud_leg_inside.h"
#include "agent/run_inside.h"
#include "agent/world.h"
#include "base/log.h"
#include "base/text.h"

#define REPAIRS 3
#define HOLD_EVERY_MS 10000

static void on_pushed(void *arg, const struct sync_result *r);
static void hold_look(void *arg);
static void on_again(void *arg, const struct entra_user *u, const struct err *e);

/* Is there a state that a synchronisation carries: the flag of an account of AD? */
bool leg_sync_wanted(const struct cloud_leg *l)
{
    const struct casefile *cf = l->cf;
    enum action a = cf->plan->action;

    return !l->sync_over && l->has_user && !l->refused && !l->withheld &&
           l->user.synced == ENTRA_TRUE && cf->w->cfg->entra.sync != CFG_SYNC_NONE &&
           run_ad_steps(cf) > 0 && (a == ACT_DISABLE || a == ACT_CONTAIN || a == ACT_ENABLE);
}

static void sync_end(struct cloud_leg *l, enum outcome how, enum proof proof, const char *words)
{
    l->sync_over = true;
    l->sync_step.outcome = how;
    l->sync_step.proof = proof;
    l->sync_step.ended_us = run_now_us(l->cf);
    step_say(&l->sync_step, "%s", words);
    run_tell_and_record(l->cf, &l->sync_step);
}

void leg_sync(struct cloud_leg *l)
{
    struct casefile *cf = l->cf;
    struct sync_ask ask = {.user_id = l->user.id,
                           .dn = cf->resolved ? cf->found.dn : l->user.on_prem_dn,
                           .synchronised = true,
                           .want_enabled = cf->plan->action == ACT_ENABLE};
    struct err e;

    l->sync_step = (struct step){.name = "sync", .started_us = run_now_us(cf)};
    if (!l->converged) {
        sync_end(l, OUT_SKIPPED, PROOF_NONE,
                 "not every DC shows the change yet: a push now might carry the old state");
        leg_hold(l);
        return;
    }
    if (ask.dn == NULL ||
        sync_push_start(cf->w->cloud->sync, &ask, on_pushed, l, &l->push, &e) < 0) {
        sync_end(l, OUT_SKIPPED, PROOF_NONE, ask.dn == NULL ? "no distinguishedName" : e.msg);
        leg_hold(l);
    }
}

static void on_pushed(void *arg, const struct sync_result *r)
{
    struct cloud_leg *l = arg;
    enum outcome how = OUT_SKIPPED;
    enum proof proof = PROOF_NONE;
    char words[STEP_DETAIL];
    struct err e;

    l->push = NULL;
    switch (r->outcome) {
    case SYNC_PROVEN:
        how = OUT_DONE;
        proof = PROOF_READ_BACK;
        break;
    case SYNC_STARTED:
    case SYNC_NO_PROOF:
        how = OUT_DONE;
        proof = PROOF_ACCEPTED;
        break;
    case SYNC_SAW_OTHER:
    case SYNC_EXPORTED_OTHER:
        how = OUT_UNCONFIRMED;
        break;
    case SYNC_UNCLEAR:
        how = OUT_UNKNOWN;
        break;
    case SYNC_FAILED:
    case SYNC_FORBIDDEN:
        how = OUT_FAILED;
        break;
    default:
        break;
    }
    (void)snprintf(words, sizeof(words), "%.400s%s%.90s", r->words,
                   r->health[0] != '\0' ? "; " : "", r->health);
    sync_end(l, how, proof, words);
    if (!r->sent || l->interrupted) {
        leg_hold(l);
        return;
    }
    leg_move(l, LEG_LOOKING_AGAIN);
    if (entra_read_start(l->cf->w->cloud->graph, l->user.id, on_again, l, &l->call, &e) < 0)
        on_again(l, NULL, &e);
}

static void on_again(void *arg, const struct entra_user *u, const struct err *e)
{
    struct cloud_leg *l = arg;
    struct err mine;

    l->call = NULL;
    if (u == NULL || leg_keep_user(l, u, &mine) < 0) {
        log_warning("case=%s the user cannot be read again: %s", l->cf->id,
                    e != NULL ? e->msg : mine.msg);
        l->not_seen_again = true;
        leg_hold(l);
        return;
    }
    l->not_seen_again = false;
    if (l->cf->plan->action != ACT_ENABLE && l->user.enabled) {
        l->came_back = true;
        log_warning("case=%s the user came back to life in Entra", l->cf->id);
        if (l->cf->w->cfg->entra.hold && l->repairs < REPAIRS && !l->interrupted) {
            leg_repair(l);
            return;
        }
    }
    leg_hold(l);
}

/* --- the watch after it --------------------------------------------------------------------------
 */

/* A synchronisation or a person may enable it again: look from time to time while asked to. */
void leg_hold(struct cloud_leg *l)
{
    struct casefile *cf = l->cf;
    uint64_t now = loop_now(cf->w->loop);

    if (leg_evidence_wanted(l)) {
        leg_evidence(l);
        return;
    }
    if (l->hold_until == 0)
        l->hold_until = now + cf->options.hold_ms;
    if (cf->options.hold_ms == 0 || l->interrupted || now >= l->hold_until || !l->has_user ||
        cf->plan->action == ACT_ENABLE) {
        leg_end(l);
        return;
    }
    leg_move(l, LEG_HOLDING);
    l->timer = loop_timer_start(
        cf->w->loop, l->hold_until - now < HOLD_EVERY_MS ? l->hold_until - now : HOLD_EVERY_MS,
        hold_look, l);
    if (l->timer == NULL)
        leg_end(l);
}

static void hold_look(void *arg)
{
    struct cloud_leg *l = arg;
    struct err e;

    l->timer = NULL;
    leg_move(l, LEG_LOOKING_AGAIN);
    if (l->interrupted ||
        entra_read_start(l->cf->w->cloud->graph, l->user.id, on_again, l, &l->call, &e) < 0)
        leg_end(l);
}
