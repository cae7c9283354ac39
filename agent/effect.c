/* agent/effect.c -- see effect.h.
 *
 *   begin             is the DC there?
 *   on_read           the account as this DC shows it: guard, then what must be changed
 *   state_intent      expectation open, intent queued
 *   on_intended       the intent is on disk: send
 *   on_answer         accepted; conflict: read again; refused form: the other form; lost: look
 *   look, on_look     the evidence: a second question to the world, never the effect's own answer
 *   finish            the one way out
 *   on_confirm        the event log's word, beside all this
 */
#include "agent/effect.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ledger.h"
#include "agent/run.h"
#include "agent/world.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sm.h"
#include "base/stamp.h"
#include "base/text.h"
#include "ldap/gather.h"
#include "ldap/uac.h"

#define TRIES 5 /* lost swaps, refused forms */
#define BUSY_WAIT_MS 250
#define RESETS 2
#define PASSWORD_LENGTH 40

static const struct sm_state states[] = {
    [EFFECT_WAITING] = {"waiting", SM_TO(EFFECT_READING) | SM_TO(EFFECT_ENDED)},
    [EFFECT_READING] = {"reading", SM_TO(EFFECT_READING) | SM_TO(EFFECT_WAITING) |
                                       SM_TO(EFFECT_INTENT) | SM_TO(EFFECT_EVIDENCE) |
                                       SM_TO(EFFECT_ENDED)},
    [EFFECT_INTENT] = {"intent",
                       SM_TO(EFFECT_EFFECT) | SM_TO(EFFECT_READING) | SM_TO(EFFECT_ENDED)},
    [EFFECT_EFFECT] = {"effect",
                       SM_TO(EFFECT_EVIDENCE) | SM_TO(EFFECT_READING) | SM_TO(EFFECT_ENDED)},
    [EFFECT_EVIDENCE] = {"evidence", SM_TO(EFFECT_READING) | SM_TO(EFFECT_ENDED)},
    [EFFECT_ENDED] = {"ended", 0},
};

static void begin(void *arg);
static void on_watched(void *arg);
static void on_read(void *arg, struct ad_account *a, const struct err *e);
static void consider(struct effect *x);
static void state_intent(struct effect *x);
static void on_intended(void *arg, const struct err *e);
static void send_next(struct effect *x);
static void on_answer(void *arg, const struct err *e);
static void look(void *arg);
static void on_look(void *arg, struct ad_account *a, const struct err *e);
static void finish(struct effect *x, enum outcome how, const struct err *e);
static void on_confirm(void *arg, const struct watch_result *r);

static void effect_move(struct effect *x, enum effect_state next)
{
    int now = (int)x->state;

    sm_move(states, ARRAY_LEN(states), &now, (int)next, x->kind->step);
    x->state = next;
}

static void prove(struct effect *x, enum proof p)
{
    if (p > x->step.proof)
        x->step.proof = p;
}

static void keep_why(struct effect *x, const struct err *e)
{
    free(x->why_words);
    x->why = e->code;
    x->why_words = text_dup(e->msg);
}

static const char *why_words(const struct effect *x)
{
    return x->why_words != NULL ? x->why_words : err_word(x->why);
}

static uint64_t now_us(const struct effect *x)
{
    return loop_now_us(x->cf->w->loop);
}

static void after(struct effect *x, uint64_t ms, loop_cb cb)
{
    struct err e;

    x->timer = loop_timer_start(x->cf->w->loop, ms, cb, x);
    if (x->timer == NULL) { /* nothing can be told later then: tell now what is known */
        (void)err_set(&e, ERR_NOMEM, 0, "%s", x->kind->step);
        log_error("case=%s step=%s out of memory", x->cf->id, x->kind->step);
        finish(x, x->sent ? OUT_UNKNOWN : OUT_FAILED, &e);
    }
}

int effect_start(struct casefile *cf, const struct effect_kind *kind, struct ad_dc *dc,
                 struct ad_account *account, const struct prior *prior,
                 void (*done)(struct effect *x), struct effect **ret_effect, struct err *e)
{
    struct effect *x = calloc(1, sizeof(*x));

    if (x == NULL) {
        ad_account_free(account);
        return err_set(e, ERR_NOMEM, 0, "%s", kind->step);
    }
    x->cf = cf;
    x->kind = kind;
    x->dc = dc;
    x->account = account;
    x->prior = prior;
    x->done = done;
    x->state = EFFECT_WAITING;
    x->step.name = kind->step;
    x->step.target = dc->host;
    x->step.started_us = now_us(x);
    x->deadline = loop_now(cf->w->loop) + cf->w->domain->connect_timeout_ms +
                  cf->w->domain->operation_timeout_ms;
    x->timer = loop_timer_start(cf->w->loop, 0, begin, x);
    if (x->timer == NULL) {
        ad_account_free(account);
        free(x);
        return err_set(e, ERR_NOMEM, 0, "%s", kind->step);
    }
    *ret_effect = x;
    return 0;
}

void effect_free(struct effect *x)
{
    if (x == NULL)
        return;
    loop_timer_stop(&x->timer);
    watch_wait_cancel(&x->wait);
    watch_expect_cancel(&x->expect);
    ad_account_free(x->account);
    step_done(&x->step);
    step_done(&x->confirm_step);
    free(x->why_words);
    free(x);
}

/* --- read and judge ----------------------------------------------------------------- */

static void begin(void *arg)
{
    struct effect *x = arg;
    struct err e;
    int what = x->kind->needs_dacl ? AD_READ_DACL : AD_READ_JUDGE;

    x->timer = NULL;
    if (x->cf->interrupted) {
        (void)err_set(&e, ERR_CANCELED, 0, "told to stop");
        finish(x, x->sent ? OUT_UNKNOWN : OUT_FAILED, &e);
        return;
    }
    if (x->dc->state != AD_DC_READY) {
        /* Not there yet: effect_dc_changed comes back. Down for good as far as we can wait: say it.
         */
        bool over = loop_now(x->cf->w->loop) >= x->deadline;

        if (x->dc->state == AD_DC_UNFIT || (!ad_dc_hopeful(x->dc) && !x->sent) || over) {
            e = x->dc->why;
            if (e.code == ERR_OK)
                (void)err_set(&e, ERR_UNSENT, 0, "%s: not ready in time", x->dc->host);
            if (!x->sent)
                e.code = ERR_UNSENT;
            finish(x, x->sent ? OUT_UNKNOWN : OUT_FAILED, &e);
            return;
        }
        after(x, 100, begin);
        return;
    }
    if (watch_wait_start(x->cf->w->watch, x->dc->host, on_watched, x, &x->wait))
        return;
    effect_move(x, EFFECT_READING);
    if (x->account != NULL) {
        consider(x);
        return;
    }
    if (ad_read_start(x->dc->conn, &x->cf->found.guid, what, on_read, x, &x->op, &e) < 0)
        finish(x, x->sent ? OUT_UNKNOWN : OUT_FAILED, &e);
}

/* The log of this DC is open, or was given up on: containment beats proof. */
static void on_watched(void *arg)
{
    struct effect *x = arg;

    x->wait = NULL;
    begin(x);
}

void effect_dc_changed(struct effect *x)
{
    if (x->state != EFFECT_WAITING || x->timer == NULL)
        return;
    loop_timer_stop(&x->timer);
    after(x, 0, begin);
}

static void on_read(void *arg, struct ad_account *a, const struct err *e)
{
    struct effect *x = arg;
    struct judgement j;
    struct err mine;

    x->op = NULL;
    if (e != NULL) {
        if (x->sent && err_is_elsewhere(e) && loop_now(x->cf->w->loop) < x->deadline) {
            effect_move(x, EFFECT_WAITING);
            after(x, 100, begin);
            return;
        }
        finish(x, x->sent ? OUT_UNKNOWN : OUT_FAILED, e);
        return;
    }
    x->account = a;
    /* The guard judges the object as read from the DC that will be changed (G1). */
    if (!run_judge(x->cf, x->dc, a, &j)) {
        (void)err_set(&mine, ERR_REFUSED, 0, "%s: %s", j.rule, j.detail);
        x->refused_here = true;
        finish(x, x->sent ? OUT_UNKNOWN : OUT_REFUSED, &mine);
        return;
    }
    consider(x);
}

static void note_before(struct effect *x)
{
    const struct ad_account *a = x->account;

    x->before_uac = a->uac;
    x->before_unicode = a->has_unicode_stamp ? a->unicode_stamp : (struct ad_stamp){0};
    x->was_locked = a->has_lockout_time && a->lockout_time > 0;
    x->before_stamp = a->has_uac_stamp ? a->uac_stamp : (struct ad_stamp){0};
}

/* What must be changed here? */
static void consider(struct effect *x)
{
    struct err why = ERR_NONE;
    bool replace_form = x->edits.replace_form;
    enum need need;

    note_before(x);
    need = x->kind->decide(x->account, &x->cf->options, &x->edits, &why);
    x->edits.replace_form = replace_form;
    if (need == NEED_REFUSED) {
        x->refused_here = true;
        finish(x, x->sent ? OUT_UNKNOWN : OUT_REFUSED, &why);
        return;
    }
    /* An earlier run had this in hand: what it may have sent counts as sent. */
    if (x->prior != NULL && x->prior->intended && !x->sent) {
        bool there = need == NEED_NOTHING;

        if (x->kind->resets)
            there = x->account->has_unicode_stamp && x->prior->unicode_version != 0 &&
                    x->account->unicode_stamp.version >= x->prior->unicode_version + RESETS;
        if (there) {
            x->sent = true;
            x->answer_lost = true;
            x->resets = x->kind->resets ? RESETS : 0;
            x->before_unicode.version = x->prior->unicode_version;
            state_intent(x); /* opens the expectation from the old mark; sends nothing */
            return;
        }
    }
    if (need == NEED_NOTHING) {
        if (x->sent) { /* our own, of which the answer was lost; or someone else's just now */
            look(x);
            return;
        }
        x->uac_stamp = x->account->uac_stamp;
        x->pwd_stamp = x->account->pwd_stamp;
        x->unicode_stamp = x->account->unicode_stamp;
        x->has_stamps = x->account->has_uac_stamp;
        x->after_uac = x->account->uac;
        prove(x, PROOF_READ_BACK);
        if (x->kind == &effect_expire)
            step_say(&x->step, "already so: pwdLastSet 0");
        else
            step_say(&x->step, "already so: userAccountControl %" PRIu32, x->account->uac);
        finish(x, OUT_ALREADY, NULL);
        return;
    }
    state_intent(x);
}

/* --- intent ------------------------------------------------------------------------- */

static enum watch_what expectation(const struct effect *x)
{
    uint32_t bit = x->edits.uac ? x->edits.uac_old ^ x->edits.uac_new : 0;

    if (x->kind->resets)
        return WATCH_RESET;
    if (x->kind == &effect_disable)
        return WATCH_DISABLED;
    if (x->kind == &effect_expire)
        return x->edits.pwd == AD_PWD_EXPIRE || !x->edits.uac ? WATCH_EXPIRED : WATCH_NEVER_CLEARED;
    /* enable: the flag is what matters; what else may come back is in the same modify */
    if ((bit & AD_UAC_ACCOUNTDISABLE) != 0 || (!x->edits.uac && x->edits.pwd == AD_PWD_KEEP))
        return WATCH_ENABLED;
    return x->edits.uac ? WATCH_NEVER_SET : WATCH_PASSWORD_NOW;
}

static void expect(struct effect *x)
{
    struct watch *w = x->cf->w->watch;
    struct watch_spec spec = {
        .what = expectation(x),
        .count = x->kind->resets ? RESETS : 1,
        .dc = x->dc->host,
        .target = &x->cf->found.sid,
        .actor = &x->dc->self,
        .target_dn = x->account->dn,
        .local = ad_conn_local(x->dc->conn),
    };
    struct err e;

    if (!watch_is_on(w) || x->expect != NULL)
        return;
    if (x->prior != NULL && x->prior->intended) {
        spec.mark = x->prior->mark;
        spec.local = x->prior->local;
    }
    if (x->dc->has_skew) /* currentTime has whole seconds, and we measured it some time ago */
        spec.not_before_ms = (spec.mark != NULL ? x->prior->intended_ms : stamp_now_ms()) +
                             ad_dc_skew_ms(x->dc) - 3000;
    if (watch_expect_start(w, &spec, on_confirm, x, &x->expect, &e) < 0) {
        x->confirm = CONFIRM_MISSED;
        step_say(&x->confirm_step, "%s", e.msg);
        return;
    }
    x->confirm = CONFIRM_WAITING;
    x->confirm_step.name = "confirm";
    x->confirm_step.started_us = now_us(x);
    x->confirm_step.target = x->dc->host;
}

static void state_intent(struct effect *x)
{
    struct text body = TEXT_INIT(16 * 1024);
    struct json_out o;
    char mark[192] = "";
    struct err e;
    int rc;

    expect(x); /* open before anything is sent */
    if (x->answer_lost && x->prior != NULL && x->prior->intended && x->tries == 0) {
        look(x); /* done by an earlier run, it seems: prove it */
        return;
    }
    effect_move(x, EFFECT_INTENT);
    watch_mark(x->cf->w->watch, x->dc->host, mark, sizeof(mark));
    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    json_out_str(&o, "step", x->kind->step);
    json_out_str(&o, "target", x->dc->host);
    if (x->edits.uac) {
        json_out_u64(&o, "uac_old", x->edits.uac_old);
        json_out_u64(&o, "uac_new", x->edits.uac_new);
        json_out_str(&o, "form", x->edits.replace_form ? "replace" : "swap");
    }
    if (x->edits.pwd != AD_PWD_KEEP)
        json_out_str(&o, "pwdLastSet", x->edits.pwd == AD_PWD_EXPIRE ? "0" : "-1");
    if (x->kind->resets)
        json_out_u64(&o, "unicode_version", x->before_unicode.version);
    json_out_u64(&o, "uac_before", x->before_uac);
    json_out_str(&o, "mark", mark);
    json_out_str(&o, "local", ad_conn_local(x->dc->conn));
    json_out_end_object(&o);
    rc = text_check(&body, "intent", &e);
    if (rc == 0)
        rc = run_record(x->cf, "intent", body.s, on_intended, x, &e);
    text_done(&body);
    if (rc < 0)
        finish(x, x->sent ? OUT_UNKNOWN : OUT_FAILED, &e);
    else
        x->intent_open = true;
}

static void on_intended(void *arg, const struct err *e)
{
    struct effect *x = arg;

    x->intent_open = false;
    if (e != NULL) {
        finish(x, x->sent ? OUT_UNKNOWN : OUT_FAILED, e);
        return;
    }
    effect_move(x, EFFECT_EFFECT);
    send_next(x);
}

/* --- effect ------------------------------------------------------------------------- */

/* A reset is two modifies and perhaps a third; everything else is one. */
static void send_next(struct effect *x)
{
    struct ad_guid *guid = &x->cf->found.guid;
    struct secret *password = NULL;
    struct err e;
    int rc;

    if (x->cf->interrupted && !x->sent) {
        (void)err_set(&e, ERR_CANCELED, 0, "told to stop");
        finish(x, OUT_FAILED, &e);
        return;
    }
    if (x->kind->resets && x->resets < RESETS) {
        rc = secret_password(PASSWORD_LENGTH, &password, &e);
        if (rc == 0)
            rc = ad_reset_start(x->dc->conn, guid, password, on_answer, x, &x->op, &e);
        secret_free(password);
    } else {
        rc = ad_change_start(x->dc->conn, guid, &x->edits, on_answer, x, &x->op, &e);
    }
    if (rc < 0) {
        if (x->sent)
            look(x);
        else
            finish(x, OUT_FAILED, &e);
        return;
    }
    x->sent = true;
    ad_account_free(x->account); /* decided: what is left to know stands in x */
    x->account = NULL;
}

/* Read again, decide again: the value was another, or the form was not taken. */
static void again(struct effect *x, uint64_t wait_ms)
{
    ad_account_free(x->account);
    x->account = NULL;
    effect_move(x, EFFECT_READING);
    x->state = EFFECT_WAITING;
    after(x, wait_ms, begin);
}

static void on_answer(void *arg, const struct err *e)
{
    struct effect *x = arg;
    bool first = !x->accepted;

    x->op = NULL;
    watch_poke(x->cf->w->watch, x->dc->host);
    if (e == NULL) {
        x->accepted = true;
        prove(x, PROOF_ACCEPTED);
        if (first)
            run_accepted(x->cf, x);
        if (x->kind->resets && x->resets < RESETS) {
            x->resets++;
            if (x->resets < RESETS || x->edits.uac || x->edits.pwd != AD_PWD_KEEP) {
                send_next(x);
                return;
            }
        }
        effect_move(x, EFFECT_EVIDENCE);
        look(x);
        return;
    }
    keep_why(x, e);
    if (e->code == ERR_CONFLICT && ++x->tries < TRIES) {
        if (!x->accepted)
            x->sent = false; /* a clear no: it is not under way */
        again(x, 0);
        return;
    }
    /* The DC does not take delete-plus-add, and not because of the value: the other form. */
    if ((e->code == ERR_REFUSED || e->code == ERR_UNSUPPORTED) && x->edits.uac &&
        !x->edits.replace_form && !x->kind->resets && e->native != 10 /* referral: an RODC */) {
        log_info("case=%s step=%s target=%s compare-and-swap refused, trying replace: %s",
                 x->cf->id, x->kind->step, x->dc->host, e->msg);
        x->edits.replace_form = true;
        x->sent = false;
        x->tries++;
        again(x, 0);
        return;
    }
    if (e->code == ERR_BUSY && ++x->tries < TRIES) {
        if (!x->accepted)
            x->sent = false;
        again(x, BUSY_WAIT_MS * x->tries);
        return;
    }
    if (err_is_refusal(e) && !x->accepted) {
        x->sent = false;
        finish(x, OUT_FAILED, e);
        return;
    }
    /* No answer, or one we do not understand, or half of it was taken: go and look. */
    x->answer_lost = !x->accepted;
    effect_move(x, EFFECT_EVIDENCE);
    look(x);
}

/* --- evidence ----------------------------------------------------------------------- */

static void look(void *arg)
{
    struct effect *x = arg;
    struct err e;

    x->timer = NULL;
    if (x->state != EFFECT_EVIDENCE)
        effect_move(x, EFFECT_EVIDENCE);
    if (x->dc->state == AD_DC_READY &&
        ad_gather_prove(x->cf->w->gather, x->dc, &x->cf->found.guid, on_look, x, &e) == 0)
        return;
    /* The connection is gone: it is being made again in the background. */
    if (loop_now(x->cf->w->loop) < x->deadline && !x->cf->interrupted) {
        after(x, 100, look);
        return;
    }
    if (x->dc->why.code != ERR_OK)
        e = x->dc->why;
    else
        (void)err_set(&e, ERR_TIMEOUT, 0, "%s cannot be asked", x->dc->host);
    finish(x, x->accepted ? OUT_UNCONFIRMED : OUT_UNKNOWN, &e);
}

static bool is_so(const struct effect *x, const struct ad_account *a)
{
    uint32_t touched =
        x->edits.uac ? (x->edits.uac_old ^ x->edits.uac_new) & ~AD_UAC_NEVER_WRITE : 0;

    if (x->kind == &effect_disable) /* also where an earlier run sent it: edits are empty then */
        return (a->uac & AD_UAC_ACCOUNTDISABLE) != 0;
    if (((a->uac ^ x->edits.uac_new) & touched) != 0)
        return false;
    if (x->edits.pwd == AD_PWD_EXPIRE && (!a->has_pwd_last_set || a->pwd_last_set != 0))
        return false;
    if (x->edits.pwd == AD_PWD_NOW && a->has_pwd_last_set && a->pwd_last_set == 0)
        return false;
    if (x->kind->resets)
        return a->has_unicode_stamp ? a->unicode_stamp.version > x->before_unicode.version
                                    : x->accepted;
    return true;
}

static void describe(struct effect *x, const struct ad_account *a)
{
    struct text t = TEXT_INIT(4096);

    if (x->kind->resets)
        text_addf(&t, "password set %s to random values", x->resets >= RESETS ? "twice" : "once");
    if (x->edits.uac)
        text_addf(&t, "%suserAccountControl %" PRIu32 " -> %" PRIu32 "%s", t.len > 0 ? ", " : "",
                  x->edits.uac_old, x->edits.uac_new,
                  x->edits.replace_form ? " (by replace: the DC refused the compare-and-swap)"
                                        : "");
    if (x->edits.pwd != AD_PWD_KEEP)
        text_addf(&t, "%spwdLastSet -> %s", t.len > 0 ? ", " : "",
                  x->edits.pwd == AD_PWD_EXPIRE ? "0" : "now");
    if (t.len == 0)
        text_addf(&t, "userAccountControl %" PRIu32, a->uac);
    if (x->edits.uac && !ad_uac_same(a->uac, x->edits.uac_new))
        text_addf(&t, "; now %" PRIu32 ", other bits changed by someone else", a->uac);
    if (x->edits.uac && x->edits.replace_form && a->has_uac_stamp && x->before_stamp.version != 0 &&
        a->uac_stamp.version != x->before_stamp.version + 1)
        text_add(&t, "; someone else wrote userAccountControl at the same time");
    if (x->answer_lost)
        text_add(&t, x->prior != NULL && x->prior->intended
                         ? "; found done when the case was resumed"
                         : "; the answer was lost, found done");
    if (x->was_locked && a->has_lockout_time && a->lockout_time == 0)
        text_add(&t, "; the write also unlocked the account");
    if (x->kind->resets && x->resets == 1)
        text_addf(&t, "; the second was refused: %s", why_words(x));
    step_say(&x->step, "%s", t.s);
    text_done(&t);
}

static void on_look(void *arg, struct ad_account *a, const struct err *e)
{
    CLEANUP(ad_account_freep) struct ad_account *mine = a;
    struct effect *x = arg;
    struct err why;

    x->op = NULL;
    if (e != NULL) {
        if (err_is_elsewhere(e) && loop_now(x->cf->w->loop) < x->deadline && !x->cf->interrupted) {
            after(x, 100, look);
            return;
        }
        finish(x, x->accepted ? OUT_UNCONFIRMED : OUT_UNKNOWN, e);
        return;
    }
    if (!is_so(x, mine)) {
        if (x->accepted) {
            x->undone = true;
            (void)err_set(&why, ERR_UNPROVEN, 0,
                          "the DC accepted it, but shows userAccountControl %" PRIu32
                          ": undone by someone else, or never done",
                          mine->uac);
            finish(x, OUT_FAILED, &why);
            return;
        }
        /* Never answered and not there: it may yet land, and the same swap does no harm twice. */
        if (++x->tries < TRIES && loop_now(x->cf->w->loop) < x->deadline && !x->cf->interrupted) {
            again(x, 200);
            return;
        }
        (void)err_set(&why, ERR_UNPROVEN, 0, "sent, no answer came, and it does not show: %s",
                      why_words(x));
        finish(x, OUT_UNKNOWN, &why);
        return;
    }
    x->after_uac = mine->uac;
    x->uac_stamp = mine->uac_stamp;
    x->pwd_stamp = mine->pwd_stamp;
    x->unicode_stamp = mine->unicode_stamp;
    x->has_stamps = mine->has_uac_stamp;
    describe(x, mine);
    prove(x, PROOF_READ_BACK);
    if (x->expect != NULL) {
        if (x->kind->resets && x->resets < RESETS)
            watch_expect_count(x->expect, x->resets == 0 ? 1 : x->resets);
        watch_poke(x->cf->w->watch, x->dc->host);
        watch_expect_settle(x->expect, mine->dn, x->cf->w->cfg->confirm_ms);
    }
    finish(x, OUT_DONE, NULL);
}

/* --- the one way out ----------------------------------------------------------------- */

static void record_end(struct effect *x)
{
    struct text body = TEXT_INIT(16 * 1024);
    struct json_out o;
    struct err e;

    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    run_step_json(x->cf, &x->step, &o);
    if (x->edits.uac) {
        json_out_u64(&o, "uac_old", x->edits.uac_old);
        json_out_u64(&o, "uac_new", x->edits.uac_new);
    }
    if (x->edits.pwd != AD_PWD_KEEP)
        json_out_str(&o, "pwdLastSet", x->edits.pwd == AD_PWD_EXPIRE ? "0" : "-1");
    if (x->has_stamps) {
        json_out_u64(&o, "uac_after", x->after_uac);
        run_stamp_json("uac_stamp", &x->uac_stamp, &o);
        run_stamp_json("pwd_stamp", &x->pwd_stamp, &o);
        run_stamp_json("unicode_stamp", &x->unicode_stamp, &o);
    }
    json_out_end_object(&o);
    if (text_check(&body, "step", &e) < 0 || run_record(x->cf, "step", body.s, NULL, NULL, &e) < 0)
        log_error("case=%s step=%s cannot be recorded: %s", x->cf->id, x->step.name, e.msg);
    text_done(&body);
}

static void finish(struct effect *x, enum outcome how, const struct err *e)
{
    loop_timer_stop(&x->timer);
    if (x->state != EFFECT_ENDED)
        effect_move(x, EFFECT_ENDED);
    x->step.outcome = how;
    x->step.ended_us = now_us(x);
    if (e != NULL) {
        keep_why(x, e);
        step_say(&x->step, "%s", e->msg);
    }
    /* Nothing to wait for in the log where nothing was changed by us. */
    if (how != OUT_DONE && how != OUT_UNCONFIRMED && how != OUT_UNKNOWN) {
        watch_expect_cancel(&x->expect);
        x->confirm = CONFIRM_NOT_ASKED;
    } else if (how != OUT_DONE && x->expect != NULL) {
        watch_expect_settle(x->expect, NULL, x->cf->w->cfg->confirm_ms);
    }
    ad_account_free(x->account);
    x->account = NULL;
    record_end(x);
    x->done(x);
}

void effect_interrupt(struct effect *x)
{
    if (x->state == EFFECT_WAITING && (x->timer != NULL || x->wait != NULL)) {
        watch_wait_cancel(&x->wait);
        loop_timer_stop(&x->timer);
        after(x, 0, begin);
    }
    watch_expect_cancel(&x->expect);
    if (x->confirm == CONFIRM_WAITING) {
        x->confirm = CONFIRM_MISSED;
        step_say(&x->confirm_step, "told to stop before the event came");
        run_confirmed(x->cf, x);
    }
}

/* --- the log's word ------------------------------------------------------------------ */

static void on_confirm(void *arg, const struct watch_result *r)
{
    struct effect *x = arg;

    x->expect = NULL;
    x->confirm = r->met ? CONFIRM_MET : CONFIRM_MISSED;
    x->foreign = r->foreign[0] != '\0';
    x->confirm_step.ended_us = now_us(x);
    x->confirm_step.outcome = r->met ? OUT_DONE : OUT_UNCONFIRMED;
    x->confirm_step.proof = r->met ? PROOF_LOGGED : PROOF_NONE;
    step_say(&x->confirm_step, "%s%s%s%s", r->detail,
             r->foreign[0] != '\0' ? "; the same change by " : "", r->foreign,
             r->opposite ? "; undone again afterwards, by the log" : "");
    if (r->met)
        prove(x, PROOF_LOGGED);
    run_confirmed(x->cf, x);
}
