/* agent/intake/result.c -- see result.h. */
#include "agent/intake/result.h"

#include <string.h>

#include "base/cleanup.h"

static void write_result(const struct intake_result *r, bool with_steps, struct text *t)
{
    struct json_out o;

    json_out_init(&o, t);
    json_out_object(&o, NULL);
    json_out_str(&o, "request", r->request);
    json_out_str(&o, "digest", r->digest);
    json_out_str(&o, "signer", r->signer);
    json_out_str(&o, "agent", r->agent);
    json_out_time(&o, "time", r->time_ms);
    json_out_str(&o, "outcome", signed_word(r->outcome));
    json_out_str(&o, "detail", r->detail != NULL ? r->detail : "");
    if (r->verdict != NULL)
        json_out_raw(&o, "verdict", r->verdict);
    if (r->ledger_head != NULL) {
        json_out_object(&o, "ledger");
        json_out_i64(&o, "count", r->ledger_count);
        json_out_str(&o, "head", r->ledger_head);
        json_out_end_object(&o);
    }
    if (with_steps && r->step_count > 0) {
        json_out_array(&o, "steps");
        for (size_t i = 0; i < r->step_count; i++)
            json_out_raw(&o, NULL, r->steps[i]);
        json_out_end_array(&o);
    } else if (r->step_count > 0) {
        json_out_u64(&o, "steps_left_out", r->step_count);
    }
    json_out_end_object(&o);
}

int intake_result_json(const struct intake_result *r, struct text *t, struct err *e)
{
    struct text body = TEXT_INIT(INTAKE_RESULT_MAX);
    int rc;

    write_result(r, true, &body);
    if (body.failed && r->step_count > 0) {
        text_clear(&body);
        write_result(r, false, &body);
    }
    rc = text_check(&body, "result", e);
    if (rc == 0) {
        text_addn(t, body.s, body.len);
        rc = text_check(t, "result", e);
    }
    text_done(&body);
    return rc;
}

int intake_result_sign(const struct jws_key *own, const struct intake_result *r, struct text *t,
                       struct err *e)
{
    struct text body = TEXT_INIT(INTAKE_RESULT_MAX);
    int rc = intake_result_json(r, &body, e);

    if (rc == 0)
        rc = signed_sign(own, SIGNED_RESULT_TYPE, body.s, body.len, t, e);
    text_done(&body);
    return rc;
}

static void write_event(const struct intake_event *ev, struct text *t)
{
    struct json_out o;

    json_out_init(&o, t);
    json_out_object(&o, NULL);
    json_out_str(&o, "event", ev->event);
    json_out_str(&o, "id", ev->id);
    json_out_str(&o, "request", ev->request);
    json_out_str(&o, "case", ev->case_id);
    json_out_str(&o, "domain", ev->domain);
    json_out_str(&o, "account", ev->account);
    json_out_str(&o, "sid", ev->sid);
    json_out_str(&o, "entra_id", ev->entra_id);
    json_out_str(&o, "where", ev->where);
    json_out_str(&o, "who", ev->who);
    json_out_str(&o, "what", ev->what);
    json_out_str(&o, "policy", ev->policy);
    json_out_bool(&o, "read", ev->read);
    json_out_str(&o, "agent", ev->agent);
    json_out_time(&o, "time", ev->time_ms);
    json_out_object(&o, "ledger");
    json_out_i64(&o, "count", ev->ledger_count);
    json_out_str(&o, "head", ev->ledger_head);
    json_out_end_object(&o);
    json_out_end_object(&o);
}

int intake_event_json(const struct intake_event *ev, struct text *t, struct err *e)
{
    write_event(ev, t);
    return text_check(t, "event", e);
}

int intake_event_sign(const struct jws_key *own, const struct intake_event *ev, struct text *t,
                      struct err *e)
{
    CLEANUP(text_done) struct text body = TEXT_INIT(INTAKE_RESULT_MAX);

    return intake_event_json(ev, &body, e) < 0
               ? -1
               : signed_sign(own, SIGNED_EVENT_TYPE, body.s, body.len, t, e);
}

static int verify(const struct jws_key *agent, const char *type, const char *jws, size_t n,
                  struct text *payload, char ret_request[ID_UUID], struct err *e)
{
    static const struct json_limits lim = {.bytes = INTAKE_RESULT_MAX};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    size_t from = payload->len;
    enum jws_alg alg;
    const char *id;

    if (signer_alg(agent, &alg, e) < 0)
        return -1;
    if (n > 0 && jws[n - 1] == '\n')
        n--;
    if (jws_verify(agent, alg, type, jws, n, payload, e) < 0)
        return -1;
    if (json_parse(payload->s + from, payload->len - from, &lim, &j, e) < 0)
        return err_wrap(e, "result");
    id = json_str(j, "request");
    if (id == NULL || strlen(id) >= ID_UUID ||
        (json_str(j, "outcome") == NULL && json_get(j, "step") == NULL))
        return err_set(e, ERR_INVALID, 0, "result: no request, or no outcome or step in it");
    memcpy(ret_request, id, strlen(id) + 1);
    return 0;
}

int intake_result_verify(const struct jws_key *agent, const char *jws, size_t n,
                         struct text *payload, char ret_request[ID_UUID], struct err *e)
{
    return verify(agent, SIGNED_RESULT_TYPE, jws, n, payload, ret_request, e);
}

int intake_step_sign(const struct jws_key *own, const struct intake_step *ev, struct text *t,
                     struct err *e)
{
    struct text body = TEXT_INIT(INTAKE_RESULT_MAX);
    struct json_out o;
    int rc;

    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    json_out_str(&o, "request", ev->request);
    json_out_str(&o, "digest", ev->digest);
    json_out_str(&o, "signer", ev->signer);
    json_out_str(&o, "agent", ev->agent);
    json_out_time(&o, "time", ev->time_ms);
    json_out_u64(&o, "number", ev->number);
    json_out_raw(&o, "step", ev->step);
    json_out_end_object(&o);
    rc = text_check(&body, "event", e);
    if (rc == 0)
        rc = signed_sign(own, SIGNED_STEP_TYPE, body.s, body.len, t, e);
    text_done(&body);
    return rc;
}

int intake_step_verify(const struct jws_key *agent, const char *jws, size_t n, struct text *payload,
                       char ret_request[ID_UUID], struct err *e)
{
    return verify(agent, SIGNED_STEP_TYPE, jws, n, payload, ret_request, e);
}
