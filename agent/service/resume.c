/* agent/service/resume.c -- at the start: every open request goes on where it was.
 *
 * The ledger alone says where that is. What may have been sent is looked at, not sent again (the
 * priors of the case); what was never begun may have gone to another agent meanwhile, so that its
 * state is proven first.
 */
#include "agent/service/service_inside.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* Before the logs are open: from where each case began. */
static void reopen_logs(struct job *j)
{
    struct place *p = place_for(j->s, j->request.audience);
    struct err e;

    for (size_t i = 0; p != NULL && j->load != NULL && i < j->load->prior_count; i++) {
        const struct prior *prior = &j->load->priors[i];

        if (prior->intended && prior->mark[0] != '\0' &&
            watch_resume_at(p->world.watch, j->load->names[i][1], prior->mark, &e) < 0)
            log_warning("case=%s the event log of %s cannot be read from where it began, going "
                        "on: %s",
                        j->case_id, j->load->names[i][1], e.msg);
    }
}

static bool behind(void *arg, const struct ledger_record *r)
{
    int64_t *since = arg;

    if (r->seq <= *since || strcmp(r->kind, "verdict") != 0)
        return true;
    *since = -1;
    return false;
}

/* Did it end before we could answer? A hold that is not on record is judged once more. */
static bool has_ended(const struct job *j)
{
    int64_t since = j->moved;
    struct err e;

    return j->load != NULL && j->load->has_verdict && j->load->verdict != VERDICT_HELD &&
           ledger_each(j->s->ledger, j->case_id, 0, behind, &since, &e) == 0 && since == -1;
}

int resume_one(struct service *s, const struct request_entry *en, struct job **ret_job,
               struct err *e)
{
    struct job *j = NULL;

    if (job_new(s, en->request, en->digest, en->signer, en->message, en->case_id, &j, e) < 0)
        return -1;
    j->moved = en->moved;
    j->hold = en->hold;
    j->taken_over = en->signer[0] != '\0'; /* our own requests are on no queue */
    j->events = events_again(s, en);
    if (job_reload(j, e) < 0) {
        job_free(j);
        return -1;
    }
    job_move(j, JOB_WAITING);
    switch (en->state) {
    case REQUEST_HELD:
        job_move(j, JOB_RUNNING);
        job_move(j, JOB_HOLDING);
        job_move(j, JOB_HELD);
        j->held_until_ms = en->held_until_ms;
        (void)snprintf(j->hold_rule, sizeof(j->hold_rule), "%s", en->held_rule);
        (void)snprintf(j->hold_why, sizeof(j->hold_why), "%s", en->held_why);
        break;
    case REQUEST_DECIDED:
        if (en->declined) {
            held_declined(j, en);
            break;
        }
        j->approved = true;
        j->twice = en->approvals >= 2;
        j->give_up_ms = service_now_ms(s) + APPROVED_MS; /* people wanted it done: we were away */
        /* fall through */
    default:
        if (has_ended(j)) {
            watchers_ended(j);
            job_answer(j);
        } else {
            reopen_logs(j);
        }
        break;
    }
    *ret_job = j;
    return 0;
}

static bool on_open(void *arg, const struct request_entry *en)
{
    struct service *s = arg;
    struct job *j;
    struct err e = ERR_NONE;
    int rc;

    if (en->state == REQUEST_DONE)
        (void)events_again(s, en); /* before its answer */
    if (en->request == NULL || en->state == REQUEST_DONE)
        rc = en->result != NULL ? outbox_add(s->outbox, en->id, en->result, &e) : 0;
    else
        rc = resume_one(s, en, &j, &e);
    if (rc < 0)
        log_error("request=%s is not taken up: %s", en->id, e.msg);
    else
        log_info("request=%s taken up: %s", en->id, request_state_word(en->state));
    return true;
}

int resume_all(struct service *s, struct err *e)
{
    return requests_open(s->ledger, on_open, s, e);
}
