/* agent/service/job.c -- one request in hand, from its acceptance to its answer.
 *
 *   taking -> waiting -> running -> answering -> over
 *                 ^         |           ^
 *                 |         v           |
 *                 +--- held <- holding  |     (approved: waiting; declined, too late: answering)
 *
 *   job_accept       the request is on its way to disk
 *   on_taken         it is there: its message is claimed
 *   job_consider     claimed, a DC is there, there is room: run
 *   on_case          the verdict is on disk: held, or answered
 *   on_answered      the answer is on disk: the outbox has it, the message may go
 *
 * Invariants: no case begins before its request is on disk; what is not the same done twice also
 * waits for our claim on the message. A message is completed only after the answer, or the hold, is
 * on disk. A write that fails is tried again; nothing new is taken meanwhile.
 */
#include "agent/service/service_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sm.h"
#include "base/stamp.h"

enum { LOOK_AGAIN_MS = 250, SKEW_MAX_MS = 5 * 60 * 1000 };

static const struct sm_state job_states[] = {
    [JOB_TAKING] = {"taking", SM_TO(JOB_WAITING) | SM_TO(JOB_OVER)},
    [JOB_WAITING] = {"waiting", SM_TO(JOB_RUNNING) | SM_TO(JOB_ANSWERING) | SM_TO(JOB_OVER)},
    [JOB_RUNNING] = {"running", SM_TO(JOB_HOLDING) | SM_TO(JOB_ANSWERING) | SM_TO(JOB_WAITING)},
    [JOB_HOLDING] = {"holding", SM_TO(JOB_HELD)},
    [JOB_HELD] = {"held", SM_TO(JOB_WAITING) | SM_TO(JOB_ANSWERING)},
    [JOB_ANSWERING] = {"answering", SM_TO(JOB_WAITING) | SM_TO(JOB_OVER)},
    [JOB_OVER] = {"over", 0},
};

static void on_taken(void *arg, const struct err *e);
static void look_again(void *arg);
static void on_case(void *arg, struct casefile *cf);
static void write_answer(void *arg);
static void on_answered(void *arg, const struct err *e);

void job_move(struct job *j, enum job_state next)
{
    int now = (int)j->state;

    sm_move(job_states, JOB_OVER + 1, &now, (int)next, "request");
    j->state = next;
}

/* --- coming and going --------------------------------------------------------------------------
 */

int job_new(struct service *s, const struct intake_request *r, const char *digest,
            const char *signer, const char *message_id, const char *case_id, struct job **ret_job,
            struct err *e)
{
    struct job *j = calloc(1, sizeof(*j)), **at = &s->jobs;

    if (j == NULL)
        return err_set(e, ERR_NOMEM, 0, "request");
    j->s = s;
    j->state = JOB_TAKING;
    j->request = *r;
    j->give_up_ms = r->expires_ms;
    (void)snprintf(j->digest, sizeof(j->digest), "%s", digest);
    (void)snprintf(j->signer, sizeof(j->signer), "%s", signer);
    (void)snprintf(j->message_id, sizeof(j->message_id), "%s", message_id);
    (void)snprintf(j->case_id, sizeof(j->case_id), "%s", case_id);
    if (signer[0] != '\0')
        (void)snprintf(j->requester, sizeof(j->requester), "%s (signed by %s)", r->requester,
                       signer);
    else
        (void)snprintf(j->requester, sizeof(j->requester), "%s", r->requester);
    while (*at != NULL)
        at = &(*at)->next;
    *at = j;
    *ret_job = j;
    return 0;
}

void job_free(struct job *j)
{
    struct job **at = &j->s->jobs;

    while (*at != j)
        at = &(*at)->next;
    *at = j->next;
    loop_timer_stop(&j->timer);
    caseload_free(j->load);
    free(j);
}

struct job *job_find(const struct service *s, const char *id)
{
    for (struct job *j = s->jobs; j != NULL; j = j->next) {
        if (strcmp(j->request.id, id) == 0)
            return j;
    }
    return NULL;
}

static void over(struct job *j)
{
    struct service *s = j->s;

    job_move(j, JOB_OVER);
    job_free(j);
    service_wake(s);
    service_maybe_end(s);
}

/* --- taken -------------------------------------------------------------------------------------
 */

int job_accept(struct job *j, struct err *e)
{
    return requests_accept(j->s->ledger, &j->request, j->digest, j->signer, j->message_id,
                           j->case_id, j->hold, on_taken, j, e);
}

static void on_taken(void *arg, const struct err *e)
{
    struct job *j = arg;
    struct message *m = j->message;

    if (e != NULL) {
        service_ledger_failed(j->s, e);
        j->message = NULL;
        if (m != NULL)
            message_end(m, MESSAGE_RELEASE, SERVICE_WAIT_MAX_MS / 2, NULL);
        else
            own_lost(j);
        over(j);
        return;
    }
    service_ledger_fine(j->s);
    j->s->taken++;
    log_info("request=%s case=%s action=%s signer=%s taken", j->request.id, j->case_id,
             action_word(j->request.action), j->signer[0] != '\0' ? j->signer : "(its own)");
    job_move(j, JOB_WAITING);
    if (m != NULL)
        message_carry(m);
    job_consider(j);
}

void job_message_lost(struct job *j, bool gone)
{
    j->message = NULL;
    if (j->state != JOB_WAITING || job_begun(j) || j->approved)
        return; /* it is ended here all the same: what it sends is looked at first */
    if (gone) {
        log_warning("request=%s was completed by another agent, and is left to it", j->request.id);
        j->elsewhere = true;
        job_answer(j);
    } else {
        log_warning("request=%s has gone to another agent before it was begun here", j->request.id);
        over(j); /* should it come back, the ledger knows it */
    }
}

/* --- begun -------------------------------------------------------------------------------------
 */

bool job_begun(const struct job *j)
{
    for (size_t i = 0; j->load != NULL && i < j->load->prior_count; i++) {
        if (j->load->priors[i].intended)
            return true;
    }
    return false;
}

int job_reload(struct job *j, struct err *e)
{
    struct caseload *load = NULL;

    if (caseload(j->s->ledger, j->case_id, &load, e) < 0 && e->code != ERR_NOTFOUND)
        return -1;
    caseload_free(j->load);
    j->load = load;
    return 0;
}

/* Done twice, is it the same as done once? */
static bool repeatable(enum action a)
{
    return a != ACT_ENABLE && a != ACT_RESET && a != ACT_EXPIRE;
}

static void wait_a_little(struct job *j, uint64_t ms)
{
    if (j->timer == NULL)
        j->timer = loop_timer_start(j->s->loop, ms, look_again, j);
}

static void look_again(void *arg)
{
    struct job *j = arg;

    j->timer = NULL;
    job_consider(j);
}

/* What this agent can never do, whatever it waits for. */
static bool impossible(struct job *j, const struct place *p)
{
    const struct intake_request *r = &j->request;
    const struct cfg *cfg = j->s->cfg;
    bool cloud_only = r->scope == INTAKE_CLOUD || plan_for(r->action)->count == 0;

    if (p == NULL)
        job_end(j, VERDICT_FAILED, "not-configured", "the domain %s is not served here",
                r->audience);
    else if (cloud_only && !cfg->entra.on)
        job_end(j, VERDICT_FAILED, "not-configured", "it is about Entra, and there is no [entra]");
    else if (r->options.okta && !cfg->okta.on)
        job_end(j, VERDICT_FAILED, "not-configured", "it is about Okta, and there is no [okta]");
    else
        return false;
    return true;
}

/* T1: then nobody can say what is fresh. */
static bool clock_is_off(struct world *w, char *why, size_t size)
{
    char age[STAMP_TEXT];

    for (size_t i = 0; w->dcs != NULL && i < ad_dcs_count(w->dcs); i++) {
        const struct ad_dc *dc = ad_dcs_at(w->dcs, i);
        int64_t skew = ad_dc_skew_ms(dc);

        if (skew < 0)
            skew = -skew;
        if (dc->state != AD_DC_READY || !dc->has_skew || skew <= SKEW_MAX_MS)
            continue;
        (void)snprintf(why, size, "the clock of %s is %s away from ours", dc->host,
                       stamp_age(age, skew));
        return true;
    }
    return false;
}

static bool let(void *arg, const struct casefile *cf, const char **ret_rule, char *why, size_t size)
{
    const struct job *j = arg;
    struct brake_ask ask = {.request = j->request.id,
                            .domain = j->request.audience,
                            .signer = j->signer,
                            .dn = cf->resolved ? cf->found.dn : "",
                            .now_ms = service_now_ms(j->s)};
    struct err e = ERR_NONE;

    if (j->hold) {
        *ret_rule = "risk";
        (void)snprintf(why, size, "on_high_risk = hold: a person must say yes");
        return false;
    }
    if (clock_is_off(cf->w, why, size))
        return false;
    if (brake_take(j->s->brake, &ask, why, size, &e))
        return true;
    if (e.code != ERR_OK && why[0] == '\0')
        (void)snprintf(why, size, "%s", e.msg);
    return false;
}

static int run(struct job *j, struct place *p, const struct policy *only, bool late, struct err *e)
{
    const struct intake_request *q = &j->request;
    struct request r = {
        .action = q->action,
        .account = q->account,
        .reason = q->reason[0] != '\0' ? q->reason : NULL,
        .ticket = q->ticket[0] != '\0' ? q->ticket : NULL,
        .requester = j->requester,
        .leave = {.privileged = true, .approved = j->approved, .twice = j->twice},
        .terms = {.parks = true,
                  .again = !late,
                  .taken_over = j->taken_over && !job_begun(j),
                  .issued_ms = q->issued_ms,
                  .only = only,
                  .let = let,
                  .told = q->options.steps ? event_told : NULL,
                  .arg = j},
        .case_id = j->case_id,
        .unrecorded = j->load == NULL,
    };
    bool mine = false;

    intake_request_options(q, &r.options, &r.in_ad, &r.in_cloud);
    if (j->load != NULL) {
        r.priors = j->load->priors;
        r.prior_names = j->load->names;
        r.prior_count = j->load->prior_count;
        r.options.okta_id = j->load->okta_id[0] != '\0' ? j->load->okta_id : NULL;
        if (j->load->has_guid)
            r.known = &j->load->found;
    }
    if (ledger_lock_case(j->s->ledger, j->case_id, &mine, e) < 0)
        return -1;
    if (!mine)
        return err_set(e, ERR_BUSY, 0, "another process carries out case %s", j->case_id);
    return run_case_start(&p->world, &r, on_case, j, &j->cf, e);
}

/* A DC to begin with; or nothing to hope for, and a part in the cloud. */
static bool can_begin(const struct job *j, struct place *p, bool late)
{
    bool in_cloud = j->request.scope != INTAKE_ON_PREM &&
                    (j->s->cfg->entra.on || (j->request.options.okta && j->s->cfg->okta.on));

    if (!p->told)
        return false;
    if (world_can_judge(&p->world) && world_dc(&p->world, true) != NULL)
        return true;
    return late || (in_cloud && !world_hopeful(&p->world));
}

void job_consider(struct job *j)
{
    struct service *s = j->s;
    struct place *p = place_for(s, j->request.audience);
    const struct policy *only = NULL;
    const struct err *why = NULL;
    bool late = service_now_ms(s) >= j->give_up_ms;
    struct err e;

    if (j->state != JOB_WAITING || s->stopping || j->timer != NULL)
        return;
    if (j->message != NULL && !j->message->claimed && !repeatable(j->request.action))
        return; /* it comes back when it is */
    if (impossible(j, p))
        return;
    if (late && !job_begun(j)) {
        const char *cause = j->failed;

        if (cause[0] == '\0' && p->told && p->world.failed.code != ERR_OK)
            cause = p->world.failed.msg;
        job_end(j, VERDICT_FAILED, "expired", "it could not be begun before it expired%s%.300s",
                cause[0] != '\0' ? ": " : "", cause);
        return;
    }
    if (s->running >= s->cfg->service.max_in_flight)
        return; /* service_wake */
    switch (can_begin(j, p, late) ? place_only(p, j->signer, &only, &why) : PLACE_LATER) {
    case PLACE_LATER:
        wait_a_little(j, LOOK_AGAIN_MS);
        return;
    case PLACE_FAILED:
        job_end(j, VERDICT_REFUSED, "signer-accounts", "%s", why->msg);
        return;
    default:
        break;
    }
    if (run(j, p, only, late, &e) < 0) {
        log_warning("request=%s not begun yet: %s", j->request.id, e.msg);
        wait_a_little(j, service_backoff_ms(j->tries++));
        return;
    }
    s->running++;
    job_move(j, JOB_RUNNING);
}

/* Told to stop: the next start goes on with it. Else nothing could be sent: a little later, until
 * it expires. */
static void begin_again(struct job *j, const struct casefile *cf)
{
    struct err e;

    if (!j->s->stopping) {
        log_warning("request=%s case=%s nothing could be sent, trying again: %s", j->request.id,
                    j->case_id, case_detail(cf));
        (void)snprintf(j->failed, sizeof(j->failed), "%s", case_detail(cf));
        if (job_reload(j, &e) < 0)
            log_error("request=%s %s", j->request.id, e.msg);
        else if (j->load == NULL)
            brake_forget(j->s->brake, j->request.id);
        wait_a_little(j, service_backoff_ms(j->tries++));
    }
    service_maybe_end(j->s);
}

static void on_case(void *arg, struct casefile *cf)
{
    struct job *j = arg;
    struct service *s = j->s;

    j->cf = NULL;
    s->running--;
    if (run_parked(cf)) {
        job_move(j, JOB_WAITING);
        begin_again(j, cf);
    } else if (cf->verdict == VERDICT_HELD) {
        j->for_two = cf->for_two;
        (void)snprintf(j->hold_rule, sizeof(j->hold_rule), "%s", cf->rule);
        (void)snprintf(j->hold_why, sizeof(j->hold_why), "%s", case_detail(cf));
        job_move(j, JOB_HOLDING);
        held_begin(j);
    } else {
        s->verdicts[cf->verdict]++;
        watchers_ended(j);
        job_answer(j);
    }
    service_wake(s);
}

/* --- answered ----------------------------------------------------------------------------------
 */

void job_answer(struct job *j)
{
    loop_timer_stop(&j->timer);
    job_move(j, JOB_ANSWERING);
    write_answer(j);
}

void job_end(struct job *j, enum verdict v, const char *rule, const char *fmt, ...)
{
    va_list ap;

    j->end_verdict = v;
    j->s->verdicts[v]++;
    j->end_rule = rule;
    va_start(ap, fmt);
    (void)vsnprintf(j->end_why, sizeof(j->end_why), fmt, ap);
    va_end(ap);
    log_info("request=%s case=%s verdict=%s rule=%s", j->request.id, j->case_id, verdict_word(v),
             rule);
    job_answer(j);
}

/* The verdict of an end without a case is on record in the same transaction as its answer. */
static int prepare(struct job *j, struct text *jws, struct err *e)
{
    struct text verdict = TEXT_INIT(16 * 1024);
    int rc;

    if (j->elsewhere)
        return 0;
    if (j->end_rule == NULL)
        return answer_of_case(j->s, j, jws, e);
    answer_verdict(j, &verdict);
    rc = text_check(&verdict, "verdict", e);
    if (rc == 0)
        rc = answer_of_end(j->s, j, verdict.s, jws, e);
    if (rc == 0)
        rc = ledger_add(j->s->ledger, j->case_id, "verdict", verdict.s, NULL, NULL, e);
    text_done(&verdict);
    return rc;
}

static void try_later(struct job *j, const struct err *e)
{
    service_ledger_failed(j->s, e);
    j->timer = loop_timer_start(j->s->loop, service_backoff_ms(j->tries++), write_answer, j);
}

static bool look_if_done(void *arg, const struct request_entry *en)
{
    *(bool *)arg = en->state == REQUEST_DONE;
    return true;
}

/* A write that is said to have failed may have got there all the same: there is one answer only. */
static bool is_answered(const struct job *j)
{
    bool done = false;
    struct err e;

    return j->tries > 0 &&
           requests_find(j->s->ledger, j->request.id, look_if_done, &done, &e) == 0 && done;
}

static void write_answer(void *arg)
{
    struct job *j = arg;
    struct text jws = TEXT_INIT(LEDGER_BODY_MAX);
    struct err e;
    int rc;

    j->timer = NULL;
    if (is_answered(j)) {
        on_answered(j, NULL);
        return;
    }
    rc = prepare(j, &jws, &e);
    if (rc == 0)
        rc = requests_answer(j->s->ledger, j->request.id, j->case_id, jws.s, on_answered, j, &e);
    text_done(&jws);
    if (rc == 0)
        return;
    if (e.code == ERR_NOTFOUND && job_reload(j, &(struct err){0}) == 0) {
        /* The verdict did not get to disk: the case is gone through once more, looking first. */
        job_move(j, JOB_WAITING);
        wait_a_little(j, service_backoff_ms(j->tries++));
        return;
    }
    try_later(j, &e);
}

static void on_answered(void *arg, const struct err *e)
{
    struct job *j = arg;
    struct service *s = j->s;

    if (e != NULL) {
        try_later(j, e);
        return;
    }
    service_ledger_fine(s);
    s->answered++;
    outbox_add_recorded(s->outbox, j->request.id);
    if (j->message != NULL)
        message_end(TAKE(j->message), MESSAGE_COMPLETE, 0, NULL);
    over(j);
}
