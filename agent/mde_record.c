/* agent/mde_record.c -- see mde_leg_inside.h. */
#include <stdio.h>
#include <string.h>

#include "agent/mde_leg_inside.h"
#include "agent/run_inside.h"
#include "agent/world.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

static void open_record(const struct mde_leg *m, struct json_out *o)
{
    json_out_object(o, NULL);
    json_out_str(o, "step", "mde");
    json_out_str(o, "target", m->targets[m->at].host);
    json_out_str(o, "op", dc_op_word(m->order.op));
    json_out_str(o, "nonce", m->order.nonce);
}

int mde_record_intent(struct mde_leg *m, void (*cb)(void *arg, const struct err *e), struct err *e)
{
    CLEANUP(text_done) struct text body = TEXT_INIT(8 * 1024);
    char guid[AD_GUID_TEXT], mark[192] = "";
    struct json_out o;

    watch_mark(m->cf->w->watch, m->targets[m->at].host, mark, sizeof(mark));
    json_out_init(&o, &body);
    open_record(m, &o);
    json_out_str(&o, "machine", m->machine);
    json_out_i64(&o, "expires", m->order.expires_ms);
    json_out_str(&o, "mark", mark);
    /* Whom it is about, where the case itself was begun without a DC to say so. */
    json_out_str(&o, "sid", m->sid_text);
    json_out_str(&o, "guid", ad_guid_to_text(&m->guid, guid));
    json_out_str(&o, "dn", m->cf->found.dn);
    json_out_str(&o, "sam", m->cf->found.sam);
    json_out_end_object(&o);
    if (text_check(&body, "intent", e) < 0)
        return -1;
    return run_record(m->cf, "intent", body.s, cb, m, e);
}

/* Nobody waits for this one: without it the action is found by its nonce. */
void mde_record_action(struct mde_leg *m, const char *action_id)
{
    CLEANUP(text_done) struct text body = TEXT_INIT(4096);
    struct json_out o;
    struct err e;

    json_out_init(&o, &body);
    open_record(m, &o);
    json_out_str(&o, "action", action_id);
    json_out_end_object(&o);
    if (text_check(&body, "action", &e) < 0 ||
        run_record(m->cf, "intent", body.s, NULL, NULL, &e) < 0)
        log_warning("case=%s the id of its action is not on record: %s", m->cf->id, e.msg);
}

static bool is_of(const char *name, enum dc_op op)
{
    return text_starts(name, "mde/") && strcmp(name + 4, dc_op_word(op)) == 0;
}

bool mde_has_prior(const struct casefile *cf)
{
    for (size_t i = 0; i < cf->prior_count; i++) {
        if (text_starts(cf->prior_names[i][0], "mde/") && cf->priors[i].intended &&
            !cf->priors[i].given_up)
            return true;
    }
    return false;
}

bool mde_take_up(struct mde_leg *m)
{
    const struct casefile *cf = m->cf;
    enum dc_op op = m->ops[m->op_at];
    const struct prior *p = NULL;
    const char *host = NULL;

    /* Of several the latest: the others ended, or this one would not have been begun. */
    for (size_t i = 0; i < cf->prior_count; i++) {
        if (is_of(cf->prior_names[i][0], op) && cf->priors[i].intended && !cf->priors[i].given_up &&
            (p == NULL || cf->priors[i].intended_ms >= p->intended_ms)) {
            p = &cf->priors[i];
            host = cf->prior_names[i][1];
        }
    }
    if (p == NULL || strlen(p->nonce) != DC_NONCE - 1)
        return false;
    mde_add_target(m, host, p->machine);
    for (m->at = 0; m->at < m->count && !text_eq_nocase(m->targets[m->at].host, host);)
        m->at++;
    if (m->at == m->count)
        return false;
    m->order = (struct dc_order){
        .op = op,
        .sid = m->sid,
        .guid = m->guid,
        .domain = cf->w->domain->name,
        .expires_ms = p->expires_ms,
        .case_id = cf->id,
        .must_change = op == DC_RESET_PASSWORD && cf->options.must_change,
        .clear_never_expires =
            cf->options.clear_never_expires &&
            (op == DC_EXPIRE_PASSWORD || (op == DC_RESET_PASSWORD && cf->options.must_change))};
    memcpy(m->order.nonce, p->nonce, DC_NONCE);
    (void)snprintf(m->machine, sizeof(m->machine), "%s", p->machine);
    m->taken_up = p;
    return true;
}
