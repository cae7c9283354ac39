/* agent/service/answer.c -- the signed answer, made from the ledger alone, so that it is the same
 * whether the case has just ended or ended before a crash.
 */
#include "agent/intake/result.h"
#include "agent/service/service_inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"

enum { STEPS_MAX = 256 };

struct reading {
    int64_t since;
    char *verdict; /* the last one behind `since` */
    char *steps[STEPS_MAX];
    size_t step_count;
    bool want_steps, failed;
};

static bool on_record(void *arg, const struct ledger_record *r)
{
    struct reading *rd = arg;

    if (strcmp(r->kind, "verdict") == 0 && r->seq > rd->since) {
        free(rd->verdict);
        rd->verdict = text_dup(r->body);
        rd->failed = rd->failed || rd->verdict == NULL;
    } else if (strcmp(r->kind, "step") == 0 && rd->want_steps) {
        if (rd->step_count == STEPS_MAX) /* far more than fit into an answer */
            return true;
        rd->steps[rd->step_count] = text_dup(r->body);
        if (rd->steps[rd->step_count] == NULL)
            rd->failed = true;
        else
            rd->step_count++;
    }
    return !rd->failed;
}

static int sign(struct service *s, const struct intake_result *what, struct text *jws,
                struct err *e)
{
    struct intake_result full = *what, *r = &full;
    char head[2 * ID_SHA256 + 1];

    if (s->own == NULL)
        return 0; /* "": nobody is told */
    if (ledger_head(s->ledger, &r->ledger_count, head, e) < 0)
        return -1;
    r->ledger_head = head;
    r->agent = s->agent;
    r->time_ms = stamp_now_ms();
    return intake_result_sign(s->own, r, jws, e);
}

static struct intake_result of_job(const struct job *j, const char *verdict)
{
    return (struct intake_result){.request = j->request.id,
                                  .digest = j->digest,
                                  .signer = j->signer,
                                  .outcome = SIGNED_GOOD,
                                  .verdict = verdict};
}

int answer_of_case(struct service *s, const struct job *j, struct text *jws, struct err *e)
{
    struct reading rd = {.since = j->moved, .want_steps = j->request.options.steps};
    int rc = ledger_each(s->ledger, j->case_id, 0, on_record, &rd, e);

    if (rc == 0 && rd.failed)
        rc = err_set(e, ERR_NOMEM, 0, "answer");
    if (rc == 0 && rd.verdict == NULL)
        rc = err_set(e, ERR_NOTFOUND, 0, "case %s has no verdict yet", j->case_id);
    if (rc == 0) {
        struct intake_result r = of_job(j, rd.verdict);

        r.steps = (const char *const *)rd.steps;
        r.step_count = rd.step_count;
        rc = sign(s, &r, jws, e);
    }
    for (size_t i = 0; i < rd.step_count; i++)
        free(rd.steps[i]);
    free(rd.verdict);
    return rc;
}

void answer_verdict(const struct job *j, struct text *t)
{
    int64_t now = stamp_now_ms();
    struct json_out o;

    json_out_init(&o, t);
    json_out_object(&o, NULL);
    json_out_str(&o, "type", "verdict");
    json_out_str(&o, "case", j->case_id);
    json_out_str(&o, "account", j->request.account);
    json_out_str(&o, "sid", "");
    json_out_str(&o, "dn", "");
    json_out_str(&o, "action", action_word(j->request.action));
    json_out_str(&o, "verdict", verdict_word(j->end_verdict));
    json_out_str(&o, "proof", proof_word(PROOF_NONE));
    json_out_str(&o, "rule", j->end_rule);
    json_out_str(&o, "detail", j->end_why);
    json_out_array(&o, "residual");
    json_out_end_array(&o);
    json_out_time(&o, "started", now);
    json_out_time(&o, "ended", now);
    json_out_str(&o, "requester", j->requester);
    json_out_end_object(&o);
}

int answer_of_end(struct service *s, const struct job *j, const char *verdict, struct text *jws,
                  struct err *e)
{
    struct intake_result r = of_job(j, verdict);

    return sign(s, &r, jws, e);
}

int answer_of_refusal(struct service *s, const struct signed_in *in, struct text *jws,
                      struct err *e)
{
    struct intake_result r = {.request = in->request.id,
                              .digest = in->digest,
                              .signer = in->key->signer->name,
                              .outcome = in->outcome,
                              .detail = in->why};

    return sign(s, &r, jws, e);
}
