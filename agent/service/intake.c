/* agent/service/intake.c -- the life of one message from the queue.
 *
 *   message_take    judged at once, by its bytes and by the ledger:
 *     refused       recorded, answered where it is genuine, then dead-lettered
 *     known         already ours: kept for its job, or completed
 *     taken         a job; from the moment that is on disk it is claimed and renewed
 *   message_end     the job has no need of it any more: completed
 *
 *   judged -> carried -> ending -> over
 *
 * Verified before anything in it is believed; nothing outside the signature decides anything but
 * that a foreign claim makes us more careful (checklist R, Q). One verb at a time on a message. A
 * verb that fails is tried again until the lease is over; then it comes again by itself, and the
 * ledger knows it.
 */
#include "agent/service/service_inside.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sm.h"
#include "base/stamp.h"

static const struct sm_state message_states[] = {
    [MESSAGE_JUDGED] = {"judged",
                        SM_TO(MESSAGE_CARRIED) | SM_TO(MESSAGE_ENDING) | SM_TO(MESSAGE_OVER)},
    [MESSAGE_CARRIED] = {"carried", SM_TO(MESSAGE_ENDING) | SM_TO(MESSAGE_OVER)},
    [MESSAGE_ENDING] = {"ending", SM_TO(MESSAGE_OVER)},
    [MESSAGE_OVER] = {"over", 0},
};

static void refuse(struct message *m, const struct signed_in *in);
static void on_refused(void *arg, const struct err *e);
static bool known(struct message *m, struct signed_in *in);
static void take(struct message *m, const struct signed_in *in);
static void renew(void *arg);
static void on_renewed(void *arg, enum queue_end end, const struct err *e);
static void try_end(void *arg);
static void on_end(void *arg, enum queue_end end, const struct err *e);

static void message_move(struct message *m, enum message_state next)
{
    int now = (int)m->state;

    sm_move(message_states, MESSAGE_OVER + 1, &now, (int)next, "message");
    m->state = next;
}

static void message_over(struct message *m)
{
    struct service *s = m->s;
    struct message **at = &s->messages;

    assert(!m->verb && m->job == NULL);
    message_move(m, MESSAGE_OVER);
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    loop_timer_stop(&m->timer);
    queue_message_free(m->m);
    free(m);
    service_wake(s);
    service_maybe_end(s);
}

size_t messages_ending(const struct service *s)
{
    size_t n = 0;

    for (const struct message *m = s->messages; m != NULL; m = m->next)
        n += m->job == NULL;
    return n;
}

/* --- judged -------------------------------------------------------------------------- */

void message_take(struct service *s, struct queue_message *qm)
{
    struct message *m = calloc(1, sizeof(*m));
    struct signed_in in = {.outcome = SIGNED_MALFORMED};

    if (m == NULL) { /* its lease runs out by itself */
        log_error("message=%s out of memory", qm->id);
        queue_message_free(qm);
        return;
    }
    m->s = s;
    m->m = qm;
    m->next = s->messages;
    s->messages = m;
    if (qm->text == NULL)
        (void)snprintf(in.why, sizeof(in.why), "%.380s", qm->why.msg);
    else
        signed_verify(s->signers, qm->text, qm->len, stamp_now_ms(), service_now_ms(s), &in);
    if (in.outcome == SIGNED_NOT_CHECKED) {
        log_error("message=%s cannot be checked, it is left for later: %s", qm->id, in.why);
        message_end(m, MESSAGE_RELEASE, SERVICE_WAIT_MAX_MS / 2, NULL);
        return;
    }
    if (in.has_request && known(m, &in))
        return;
    if (in.outcome == SIGNED_GOOD)
        take(m, &in);
    else
        refuse(m, &in);
}

static void refuse(struct message *m, const struct signed_in *in)
{
    struct service *s = m->s;
    struct text jws = TEXT_INIT(LEDGER_BODY_MAX);
    const char *id = in->has_request ? in->request.id : "";
    /* Genuine, and never heard of: that takes a key. Copies of it do not, nor what is forged. */
    bool news = in->has_request && !m->heard;
    struct err e = ERR_NONE;
    char shown[TEXT_SHOWN];
    int rc = 0;

    s->refused++;
    (void)snprintf(m->reason, sizeof(m->reason), "%s: %s", signed_word(in->outcome), in->why);
    if (!news && !refusals_room(s, in->outcome)) {
        refusals_count(s, in->outcome);
        log_debug("message=%s refused (%s): %s", text_shown(shown, m->m->id),
                  signed_word(in->outcome), in->why);
        message_end(m, MESSAGE_DEAD, 0, m->reason);
        return;
    }
    log_warning("message=%s refused (%s): %s", text_shown(shown, m->m->id),
                signed_word(in->outcome), in->why);
    if (news) {
        rc = answer_of_refusal(s, in, &jws, &e);
        if (rc == 0)
            rc = requests_answer(s->ledger, id, "", jws.s, NULL, NULL, &e);
    }
    if (rc == 0)
        rc = requests_refuse(s->ledger, id, signed_word(in->outcome), in->why,
                             in->key != NULL ? in->key->signer->name : "", on_refused, m, &e);
    text_done(&jws);
    if (rc < 0)
        on_refused(m, &e);
    else if (in->has_request)
        memcpy(m->answers, id, strlen(id) + 1);
}

static void on_refused(void *arg, const struct err *e)
{
    struct message *m = arg;
    struct service *s = m->s;

    if (e != NULL) {
        service_ledger_failed(s, e);
        message_end(m, MESSAGE_RELEASE, SERVICE_WAIT_MAX_MS / 2, NULL);
        return;
    }
    service_ledger_fine(s);
    if (m->answers[0] != '\0')
        outbox_add_recorded(s->outbox, m->answers);
    message_end(m, MESSAGE_DEAD, 0, m->reason);
}

/* --- known? ------------------------------------------------------------------------------ */

struct looking {
    struct message *m;
    struct signed_in *in;
    bool taken;     /* this id was taken once */
    bool same_body; /* and this is what it said then */
    bool same;      /* by this very message */
    bool done;
    struct job *job; /* that has it in hand; it may have been taken up just now */
};

static bool same_message(const struct message *m, const char *message_id)
{
    return strcmp(m->m->id, message_id) == 0;
}

static bool look(void *arg, const struct request_entry *en)
{
    struct looking *k = arg;
    struct err e;

    k->m->heard = true;
    k->taken = en->request != NULL;
    if (!k->taken)
        return true;
    k->same_body = strcmp(en->digest, k->in->digest) == 0;
    k->same = k->same_body && same_message(k->m, en->message);
    k->done = en->state == REQUEST_DONE;
    /* Open, and given up here: its message went to another agent, and has come back. */
    if (k->same && !k->done && resume_one(k->m->s, en, &k->job, &e) < 0)
        log_error("request=%s %s", en->id, e.msg);
    return true;
}

/* The job that has it keeps this lease from now on. */
static void give_to(struct message *m, struct job *j)
{
    if (j->state != JOB_TAKING && j->state != JOB_WAITING && j->state != JOB_RUNNING) {
        /* Held: the ledger has it. Answering: it will, or the message comes once more. */
        message_end(m, j->state == JOB_HELD ? MESSAGE_COMPLETE : MESSAGE_DROP, 0, NULL);
        return;
    }
    if (j->message != NULL) { /* whose lease must be over */
        j->message->job = NULL;
        message_end(TAKE(j->message), MESSAGE_DROP, 0, NULL);
    }
    m->job = j;
    j->message = m;
    if (j->state != JOB_TAKING) {
        message_carry(m);
        job_consider(j);
    }
}

/* Is this id in the ledger, or on its way there? True: the message is dealt with. */
static bool known(struct message *m, struct signed_in *in)
{
    struct service *s = m->s;
    struct looking k = {.m = m, .in = in, .job = job_find(s, in->request.id)};
    struct err e;

    if (k.job != NULL) {
        m->heard = true;
        k.taken = true;
        k.same_body = strcmp(k.job->digest, in->digest) == 0;
        k.same = k.same_body && same_message(m, k.job->message_id);
    } else if (requests_find(s->ledger, in->request.id, look, &k, &e) < 0 &&
               e.code != ERR_NOTFOUND) {
        log_error("message=%s is left for later: %s", m->m->id, e.msg);
        message_end(m, MESSAGE_RELEASE, SERVICE_WAIT_MAX_MS, NULL);
        return true;
    }
    if (!k.taken)
        return false;
    if (k.same && k.job != NULL) {
        give_to(m, k.job);
        return true;
    }
    if (k.same) { /* answered, and we could not complete it then */
        message_end(m, k.done ? MESSAGE_COMPLETE : MESSAGE_RELEASE, SERVICE_WAIT_MAX_MS, NULL);
        return true;
    }
    if (!k.same_body) {
        log_error("request=%s ALARM: signed a second time by '%s' with another content",
                  in->request.id, in->key->signer->name);
        in->outcome = SIGNED_OTHER_BODY;
        (void)snprintf(in->why, sizeof(in->why), "this id was taken before, with another content");
    } else { /* whatever else is wrong with it */
        in->outcome = SIGNED_SEEN;
        (void)snprintf(in->why, sizeof(in->why), "this id was taken before");
    }
    refuse(m, in);
    return true;
}

/* --- taken ------------------------------------------------------------------------------- */

static struct rate *rate_of(struct service *s, const struct cfg_signer *signer)
{
    for (size_t i = 0; i < s->cfg->signer_count; i++) {
        if (s->rates[i].signer == signer)
            return &s->rates[i];
    }
    return NULL;
}

/* How long until this signer may have one more taken; 0: now, and it is counted. */
static uint64_t rate_wait(struct service *s, const struct cfg_signer *signer)
{
    struct rate *r = rate_of(s, signer);
    int64_t now = (int64_t)loop_now(s->loop), oldest;

    if (r == NULL || r->count == 0)
        return 0;
    oldest = r->at[r->next];
    if (oldest != 0 && oldest + (int64_t)signer->rate.per_ms > now)
        return (uint64_t)(oldest + (int64_t)signer->rate.per_ms - now);
    r->at[r->next] = now;
    r->next = (r->next + 1) % r->count;
    return 0;
}

static void take(struct message *m, const struct signed_in *in)
{
    struct service *s = m->s;
    uint64_t wait = rate_wait(s, in->key->signer);
    char case_id[ID_ULID];
    struct job *j = NULL;
    struct err e;

    if (wait > 0) {
        log_info("request=%s waits on the queue: '%s' is over its rate", in->request.id,
                 in->key->signer->name);
        message_end(m, MESSAGE_RELEASE, wait < SERVICE_WAIT_MAX_MS ? wait : SERVICE_WAIT_MAX_MS,
                    NULL);
        return;
    }
    if (id_ulid(case_id, stamp_now_ms(), &e) < 0 ||
        job_new(s, &in->request, in->digest, in->key->signer->name, m->m->id, case_id, &j, &e) <
            0) {
        log_error("request=%s %s", in->request.id, e.msg);
        message_end(m, MESSAGE_RELEASE, SERVICE_WAIT_MAX_MS / 2, NULL);
        return;
    }
    j->taken_over = m->m->claim[0] != '\0';
    if (j->taken_over)
        log_warning("request=%s comes from '%s', which had it in hand", in->request.id,
                    m->m->claim);
    if (job_accept(j, &e) < 0) {
        service_ledger_failed(s, &e);
        job_free(j);
        message_end(m, MESSAGE_RELEASE, SERVICE_WAIT_MAX_MS / 2, NULL);
        return;
    }
    m->job = j;
    j->message = m;
}

/* --- carried ------------------------------------------------------------------------------- */

void message_carry(struct message *m)
{
    message_move(m, MESSAGE_CARRIED);
    renew(m);
}

static void renew(void *arg)
{
    struct message *m = arg;
    struct service *s = m->s;
    struct err e;

    m->timer = NULL;
    if (queue_renew_start(m->m, s->cfg->queue.lease_ms, s->agent, on_renewed, m, &e) < 0) {
        on_renewed(m, QUEUE_RETRY, &e);
        return;
    }
    m->verb = true;
}

static void renew_later(struct message *m, uint64_t ms)
{
    m->timer = loop_timer_start(m->s->loop, ms, renew, m);
}

static void on_renewed(void *arg, enum queue_end end, const struct err *e)
{
    struct message *m = arg;
    struct job *j = m->job;
    uint64_t now = loop_now(m->s->loop);

    m->verb = false;
    if (m->ends) {
        try_end(m);
        return;
    }
    if (end == QUEUE_OK) {
        m->tries = 0;
        renew_later(m, m->s->cfg->queue.lease_ms / 3);
        if (!m->claimed) {
            m->claimed = true;
            job_consider(j);
        }
        return;
    }
    log_warning("request=%s its lease is not renewed: %s", j->request.id,
                e != NULL ? e->msg : "the queue has it no more");
    if (end != QUEUE_GONE && end != QUEUE_LOST && now < m->m->ends) {
        uint64_t ms = service_backoff_ms(m->tries++), left = m->m->ends - now;

        renew_later(m, ms < left ? ms : left);
        return;
    }
    /* First the job: message_over wakes those that wait, and it must not be begun as one of them.
     */
    m->job = NULL;
    job_message_lost(j, end == QUEUE_GONE);
    message_over(m);
}

/* --- ending ---------------------------------------------------------------------------------- */

void message_end(struct message *m, enum message_end how, uint64_t delay_ms, const char *reason)
{
    m->job = NULL;
    m->ends = true;
    m->end = how;
    m->delay_ms = delay_ms;
    if (reason != NULL && reason != m->reason)
        (void)snprintf(m->reason, sizeof(m->reason), "%s", reason);
    if (!m->verb) { /* else behind it */
        loop_timer_stop(&m->timer);
        m->tries = 0;
        /* Later, so that nobody's message goes away under him. */
        m->timer = loop_timer_start(m->s->loop, 0, try_end, m);
    }
}

void message_hurry(struct message *m)
{
    if (m->timer == NULL || !m->ends)
        return;
    loop_timer_stop(&m->timer);
    m->timer = loop_timer_start(m->s->loop, 0, try_end, m);
}

static void try_end(void *arg)
{
    struct message *m = arg;
    struct err e;
    int rc = 0;

    m->timer = NULL;
    if (m->state != MESSAGE_ENDING)
        message_move(m, MESSAGE_ENDING);
    switch (m->end) {
    case MESSAGE_COMPLETE:
        rc = queue_complete_start(m->m, on_end, m, &e);
        break;
    case MESSAGE_DEAD:
        rc = queue_dead_start(m->m, m->reason, on_end, m, &e);
        break;
    case MESSAGE_RELEASE:
        rc = queue_release_start(m->m, m->delay_ms, on_end, m, &e);
        break;
    default:
        message_over(m);
        return;
    }
    if (rc < 0)
        on_end(m, QUEUE_RETRY, &e);
    else
        m->verb = true;
}

static void on_end(void *arg, enum queue_end end, const struct err *e)
{
    struct message *m = arg;
    uint64_t now = loop_now(m->s->loop);

    m->verb = false;
    if (end == QUEUE_OK || end == QUEUE_GONE || end == QUEUE_LOST || m->s->stopping ||
        m->end == MESSAGE_RELEASE || now >= m->m->ends) {
        if (end != QUEUE_OK && end != QUEUE_GONE)
            log_info("message=%s comes again: %s", m->m->id, e != NULL ? e->msg : "");
        message_over(m);
        return;
    }
    if (messages_ending(m->s) > MESSAGES_FAILING_MAX) {
        log_debug("message=%s is left on the queue: too many cannot be taken off", m->m->id);
        message_over(m);
        return;
    }
    log_warning("message=%s is not off the queue yet, trying again: %s", m->m->id,
                e != NULL ? e->msg : "");
    m->timer = loop_timer_start(m->s->loop, service_backoff_ms(m->tries++), try_end, m);
}
