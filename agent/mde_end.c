/* agent/mde_end.c -- see mde_leg_inside.h. */
#include <stdarg.h>
#include <stdio.h>

#include "agent/mde_leg_inside.h"
#include "agent/run_inside.h"
#include "agent/world.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

void mde_keep(struct mde_leg *m, const struct ad_account *a)
{
    m->left = (struct mde_left){.has = a->has_uac_stamp,
                                .uac = a->uac,
                                .uac_stamp = a->uac_stamp,
                                .pwd_stamp = a->pwd_stamp,
                                .unicode_stamp = a->unicode_stamp};
}

/* As an effect's: undo reads both. */
static void record(struct mde_leg *m)
{
    CLEANUP(text_done) struct text body = TEXT_INIT(16 * 1024);
    bool done = m->step.outcome == OUT_DONE;
    struct json_out o;
    struct err e;

    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    run_step_json(m->cf, &m->step, &o);
    json_out_str(&o, "op", dc_op_word(m->order.op));
    if (done && m->has_said && m->said.has_uac_before && m->said.has_uac_after) {
        json_out_u64(&o, "uac_old", m->said.uac_before);
        json_out_u64(&o, "uac_new", m->said.uac_after);
    }
    if (done && (m->order.op == DC_EXPIRE_PASSWORD || m->order.must_change))
        json_out_str(&o, "pwdLastSet", "0");
    if (done && m->left.has) {
        json_out_u64(&o, "uac_after", m->left.uac);
        run_stamp_json("uac_stamp", &m->left.uac_stamp, &o);
        run_stamp_json("pwd_stamp", &m->left.pwd_stamp, &o);
        run_stamp_json("unicode_stamp", &m->left.unicode_stamp, &o);
    }
    json_out_end_object(&o);
    if (text_check(&body, "step", &e) < 0 || run_record(m->cf, "step", body.s, NULL, NULL, &e) < 0)
        log_error("case=%s step=mde cannot be recorded: %s", m->cf->id, e.msg);
}

void mde_tell(struct mde_leg *m, enum outcome how, enum proof proof, const char *fmt, ...)
{
    char words[STEP_DETAIL];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    m->step.outcome = how;
    m->step.proof = proof;
    m->step.ended_us = run_now_us(m->cf);
    step_say(&m->step, "%s", words);
    record(m);
    run_tell(m->cf, &m->step);
}

size_t mde_leg_goals(const struct casefile *cf, struct goal_facts *ret)
{
    const struct mde_leg *m = cf->mde;

    for (size_t i = 0; m != NULL && i < m->op_count; i++) {
        const struct mde_facts *f = &m->facts[i];
        bool none = !f->done && !f->already && !f->unknown && !f->refused;

        ret[i] = (struct goal_facts){.log_watched = watch_is_on(cf->w->watch),
                                     .some_done = f->done,
                                     .some_already = f->already,
                                     .some_unknown = f->unknown,
                                     .some_refused = f->refused,
                                     .some_failed = f->failed || none,
                                     .some_undone = f->undone,
                                     .some_logged = f->logged,
                                     .not_shown = f->not_shown && !f->logged};
    }
    return m != NULL ? m->op_count : 0;
}

void mde_leg_did(const struct casefile *cf, struct mde_did *ret)
{
    const struct mde_leg *m = cf->mde;

    *ret = (struct mde_did){0};
    for (size_t i = 0; m != NULL && i < m->op_count; i++) {
        if (!m->facts[i].done && !m->facts[i].already)
            continue;
        ret->disabled = ret->disabled || m->ops[i] == DC_DISABLE;
        ret->reset = ret->reset || m->ops[i] == DC_RESET_PASSWORD;
        ret->expired = ret->expired || m->ops[i] == DC_EXPIRE_PASSWORD ||
                       (m->ops[i] == DC_RESET_PASSWORD && cf->options.must_change);
        ret->dc = m->facts[i].dc;
    }
}

void mde_leg_explain(struct casefile *cf)
{
    const struct mde_leg *m = cf->mde;
    char line[STEP_DETAIL + 300];

    if (m == NULL)
        return;
    if (m->step.outcome != OUT_DONE && m->step.outcome != OUT_ALREADY) {
        (void)snprintf(line, sizeof(line), "Live Response: %.480s", step_detail(&m->step));
        run_add_detail(cf, line);
    } else if (cf->verdict == VERDICT_UNCONFIRMED) {
        (void)snprintf(line, sizeof(line),
                       "made through Live Response on %s by what the script says; %.300s%s",
                       m->step.target,
                       m->confirm_step.name != NULL ? step_detail(&m->confirm_step)
                                                    : "it could not be read back",
                       "; once that log can be read: cordon case ID --resume");
        run_add_detail(cf, line);
    }
}
