/* agent/cloud_record.c -- the cloud's part of the ledger: intents, and what came of them. */
#include "agent/cloud_leg_inside.h"
#include "agent/run_inside.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

int leg_intend(struct cloud_act *x, ledger_cb cb, struct err *e)
{
    const struct entra_user *u = &x->leg->user;
    struct text body = TEXT_INIT(8 * 1024);
    struct json_out o;
    int rc;

    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    json_out_str(&o, "step", x->kind->step);
    json_out_str(&o, "target", x->kind->target);
    json_out_str(&o, "entra_id", u->id);
    json_out_bool(&o, "enabled_before", u->enabled);
    json_out_time(&o, "sessions_valid_from", u->sessions_valid_from_ms);
    if (x->again)
        json_out_bool(&o, "again", true);
    json_out_end_object(&o);
    rc = text_check(&body, "intent", e);
    if (rc == 0)
        rc = run_record(x->leg->cf, "intent", body.s, cb, x, e);
    text_done(&body);
    return rc;
}

void leg_record(const struct cloud_act *x)
{
    const struct cloud_leg *l = x->leg;
    struct text body = TEXT_INIT(16 * 1024);
    struct json_out o;
    struct err e;

    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    run_step_json(l->cf, &x->step, &o);
    if (l->has_user) {
        json_out_str(&o, "entra_id", l->user.id);
        json_out_str(&o, "entra_upn", l->user.upn);
    }
    if (x->sent || x->lost)
        json_out_bool(&o, "sent", true);
    if (x->accepted_ms != 0)
        json_out_time(&o, "accepted", x->accepted_ms);
    json_out_end_object(&o);
    if (text_check(&body, "step", &e) < 0 || run_record(l->cf, "step", body.s, NULL, NULL, &e) < 0)
        log_error("case=%s step=%s cannot be recorded: %s", l->cf->id, x->step.name, e.msg);
    text_done(&body);
}
