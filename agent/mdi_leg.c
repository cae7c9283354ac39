/* agent/mdi_leg.c -- --via mdi: AD's part by Defender for Identity, where LDAP is not the way.
 *
 *   mdi_leg_start   which identity has this SID?
 *   on_identity     the intent
 *   on_intended     the action, only where the account offers it
 *   on_taken        taken over, which is not done: look in AD, where we can
 *   look, on_look   until it shows, or the time is up
 *
 * A sensor does it with an account of its own, so the DC's log names another actor than us: read
 * back is the best proof there can be (entra-graph.md 7.3).
 */
#include "agent/mdi_leg.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/cloud.h"
#include "agent/ledger.h"
#include "agent/run_inside.h"
#include "agent/world.h"
#include "base/json.h"
#include "base/text.h"
#include "cloud/mdi.h"
#include "ldap/uac.h"

#define LOOK_MS 1000

struct mdi_leg {
    struct casefile *cf;
    enum mdi_action action;
    struct mdi_identity identity;
    struct mdi_call *call;
    struct loop_timer *timer;
    struct step step;
    bool sent, over, looking, hurried, already;
    uint64_t deadline;
    enum outcome how;
};

static void on_identity(void *arg, const struct mdi_identity *i, const struct err *e);
static void on_intended(void *arg, const struct err *e);
static void on_taken(void *arg, const struct mdi_taken *t, const struct err *e);
static void look(void *arg);
static void on_look(void *arg, struct ad_account *a, const struct err *e);

/* What there is for an action; 0: nothing. */
static enum mdi_action action_of(enum action a)
{
    return a == ACT_DISABLE  ? MDI_DISABLE
           : a == ACT_ENABLE ? MDI_ENABLE
           : a == ACT_EXPIRE ? MDI_FORCE_PASSWORD_RESET
                             : 0;
}

static void leg_ends(struct mdi_leg *m, enum outcome how, enum proof proof, const char *words)
{
    m->how = how;
    m->over = true;
    m->step.outcome = how;
    m->step.proof = proof;
    m->step.ended_us = run_now_us(m->cf);
    step_say(&m->step, "%s", words);
    run_tell_and_record(m->cf, &m->step);
    run_mdi_over(m->cf, how == OUT_DONE || how == OUT_ALREADY);
}

static bool is_so(const struct mdi_leg *m, const struct ad_account *a)
{
    if (m->action == MDI_FORCE_PASSWORD_RESET)
        return a->has_pwd_last_set && a->pwd_last_set == 0;
    return ((a->uac & AD_UAC_ACCOUNTDISABLE) != 0) == (m->action == MDI_DISABLE);
}

static void on_already(void *arg)
{
    struct mdi_leg *m = arg;

    m->timer = NULL;
    leg_ends(m, OUT_ALREADY, PROOF_READ_BACK, "already so: nothing was asked for");
}

int mdi_leg_start(struct casefile *cf, struct err *e)
{
    struct mdi_leg *m = calloc(1, sizeof(*m));
    char sid[AD_SID_TEXT];

    if (m == NULL)
        return err_set(e, ERR_NOMEM, 0, "mdi");
    m->cf = cf;
    m->action = action_of(cf->plan->action);
    m->step = (struct step){.name = "mdi", .target = "mdi", .started_us = run_now_us(cf)};
    cf->mdi = m;
    if (m->action != 0 && cf->legs[cf->home_leg].account != NULL &&
        is_so(m, cf->legs[cf->home_leg].account)) {
        m->already = true;
        m->timer = loop_timer_start(cf->w->loop, 0, on_already, m);
        return m->timer != NULL ? 0 : err_set(e, ERR_NOMEM, 0, "mdi");
    }
    if (m->action == 0)
        (void)err_set(e, ERR_UNSUPPORTED, 0, "Defender for Identity offers no %s",
                      action_word(cf->plan->action));
    else if (cf->w->cloud == NULL)
        *e = cf->w->cloud_failed;
    else if (mdi_find_start(cf->w->cloud->graph, ad_sid_to_text(&cf->found.sid, sid), on_identity,
                            m, &m->call, e) == 0)
        return 0;
    return -1;
}

void mdi_leg_free(struct casefile *cf)
{
    if (cf->mdi == NULL)
        return;
    loop_timer_stop(&cf->mdi->timer);
    step_done(&cf->mdi->step);
    free(cf->mdi);
    cf->mdi = NULL;
}

bool mdi_leg_busy(struct casefile *cf)
{
    struct mdi_leg *m = cf->mdi;

    if (m == NULL || (m->call == NULL && !m->looking))
        return false;
    if (m->call != NULL && !m->hurried)
        mdi_cancel(m->call);
    m->hurried = true;
    return true;
}

static void on_identity(void *arg, const struct mdi_identity *i, const struct err *e)
{
    struct mdi_leg *m = arg;
    struct text body = TEXT_INIT(4096);
    struct json_out o;
    struct err mine;
    int rc;

    m->call = NULL;
    if (e != NULL || m->cf->interrupted) {
        leg_ends(m, OUT_FAILED, PROOF_NONE, e != NULL ? e->msg : "told to stop");
        return;
    }
    m->identity = *i;
    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    json_out_str(&o, "step", "mdi");
    json_out_str(&o, "target", "mdi");
    json_out_str(&o, "identity", i->id);
    json_out_str(&o, "action", mdi_action_word(m->action));
    json_out_end_object(&o);
    rc = text_check(&body, "intent", &mine);
    if (rc == 0)
        rc = run_record(m->cf, "intent", body.s, on_intended, m, &mine);
    text_done(&body);
    if (rc < 0)
        leg_ends(m, OUT_FAILED, PROOF_NONE, mine.msg);
}

static void on_intended(void *arg, const struct err *e)
{
    struct mdi_leg *m = arg;
    struct err mine;

    if (e == NULL) {
        if (mdi_invoke_start(m->cf->w->cloud->graph, &m->identity, MDI_ACTIVE_DIRECTORY, m->action,
                             on_taken, m, &m->call, &mine) == 0) {
            m->sent = true;
            return;
        }
        e = &mine;
    }
    leg_ends(m, e->code == ERR_UNSUPPORTED ? OUT_REFUSED : OUT_FAILED, PROOF_NONE, e->msg);
}

static void on_taken(void *arg, const struct mdi_taken *t, const struct err *e)
{
    struct mdi_leg *m = arg;

    m->call = NULL;
    if (e != NULL && e->code != ERR_UNPROVEN && e->code != ERR_CANCELED) {
        leg_ends(m, OUT_FAILED, PROOF_NONE, e->msg);
        return;
    }
    if (t != NULL)
        m->step.proof = PROOF_ACCEPTED;
    m->deadline = loop_now(m->cf->w->loop) + m->cf->w->wait_ms;
    look(m);
}

static void look(void *arg)
{
    struct mdi_leg *m = arg;
    struct ad_dc *dc = world_dc(m->cf->w, false);
    struct err e;

    m->timer = NULL;
    if (dc != NULL &&
        ad_read_start(dc->conn, &m->cf->found.guid, AD_READ_PROVE, on_look, m, NULL, &e) == 0) {
        m->looking = true;
        return;
    }
    on_look(m, NULL, dc == NULL ? NULL : &e);
}

static void on_look(void *arg, struct ad_account *a, const struct err *e)
{
    struct mdi_leg *m = arg;
    bool so = a != NULL && is_so(m, a);
    char words[300];

    m->looking = false;
    if (so) {
        (void)snprintf(words, sizeof(words),
                       "%s by Defender for Identity, read back: userAccountControl %u",
                       mdi_action_word(m->action), (unsigned)a->uac);
        ad_account_free(a);
        leg_ends(m, OUT_DONE, PROOF_READ_BACK, words);
        return;
    }
    if (loop_now(m->cf->w->loop) < m->deadline && !m->cf->interrupted) {
        ad_account_free(a);
        m->timer = loop_timer_start(m->cf->w->loop, LOOK_MS, look, m);
        if (m->timer != NULL)
            return;
        a = NULL;
    }
    (void)snprintf(words, sizeof(words), "%s, but AD %s%.180s",
                   m->step.proof == PROOF_ACCEPTED ? "taken over, not done" : "no clear answer",
                   a != NULL ? "does not show it" : "cannot be read", e != NULL ? e->msg : "");
    ad_account_free(a);
    leg_ends(m, m->step.proof == PROOF_ACCEPTED ? OUT_UNCONFIRMED : OUT_UNKNOWN, m->step.proof,
             words);
}

size_t mdi_leg_goals(const struct casefile *cf, struct goal_facts *ret)
{
    const struct mdi_leg *m = cf->mdi;

    if (m == NULL)
        return 0;
    /* No log is watched for it: the sensor is not us. */
    *ret = (struct goal_facts){.some_done = m->how == OUT_DONE || m->how == OUT_UNCONFIRMED,
                               .some_already = m->how == OUT_ALREADY,
                               .not_shown = m->how == OUT_UNCONFIRMED,
                               .some_unknown = m->how == OUT_UNKNOWN,
                               .some_refused = m->how == OUT_REFUSED,
                               .some_failed = m->how == OUT_FAILED};
    return 1;
}

void mdi_leg_explain(struct casefile *cf)
{
    char line[STEP_DETAIL + 10];

    if (cf->mdi == NULL || cf->mdi->how == OUT_DONE || cf->mdi->how == OUT_ALREADY)
        return;
    (void)snprintf(line, sizeof(line), "mdi: %.480s", step_detail(&cf->mdi->step));
    run_add_detail(cf, line);
}
