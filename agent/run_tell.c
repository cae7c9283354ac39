/* agent/run_tell.c -- what a case says of its steps: to the person, and to the ledger. */
#include "agent/run_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

const char *case_detail(const struct casefile *cf)
{
    return cf->detail != NULL ? cf->detail : "";
}

/* The sentence of the verdict. Its own old text may stand among the arguments. */
void run_say(struct casefile *cf, const char *fmt, ...)
{
    char words[700], *mine;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    mine = text_dup(words);
    if (mine == NULL)
        return;
    free(cf->detail);
    cf->detail = mine;
}

void run_add_detail(struct casefile *cf, const char *s)
{
    const char *so_far = case_detail(cf);

    run_say(cf, "%s%s%s", so_far, so_far[0] != '\0' ? "; " : "", s);
}

/* --- telling ------------------------------------------------------------------------------------
 */

void run_step_json(const struct casefile *cf, const struct step *s, struct json_out *o)
{
    json_out_str(o, "type", "step");
    json_out_str(o, "case", cf->id);
    json_out_str(o, "account", cf->typed);
    json_out_str(o, "step", s->name);
    json_out_str(o, "target", step_target(s));
    json_out_str(o, "state", outcome_word(s->outcome));
    json_out_str(o, "proof", proof_word(s->proof));
    json_out_str(o, "detail", step_detail(s));
    json_out_u64(o, "ms", s->ended_us > s->started_us ? (s->ended_us - s->started_us) / 1000 : 0);
}

void run_stamp_json(const char *name, const struct ad_stamp *s, struct json_out *o)
{
    char guid[AD_GUID_TEXT];

    json_out_object(o, name);
    json_out_u64(o, "version", s->version);
    json_out_str(o, "invocation", ad_guid_to_text(&s->invocation, guid));
    json_out_u64(o, "usn", s->originating_usn);
    json_out_end_object(o);
}

void run_tell(struct casefile *cf, const struct step *s)
{
    log_info("case=%s step=%s target=%s state=%s proof=%s", cf->id, s->name, step_target(s),
             outcome_word(s->outcome), proof_word(s->proof));
    report_step(cf->w->report, cf, s);
    if (cf->terms.told != NULL)
        cf->terms.told(cf->terms.arg, cf, s);
}

/* Record and tell a step that is not an effect (those record themselves). */
void run_tell_and_record(struct casefile *cf, const struct step *s)
{
    struct text body = TEXT_INIT(8 * 1024);
    struct json_out o;
    struct err e;

    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    run_step_json(cf, s, &o);
    json_out_end_object(&o);
    if (text_check(&body, "step", &e) < 0 || run_record(cf, "step", body.s, NULL, NULL, &e) < 0)
        log_error("case=%s step=%s cannot be recorded: %s", cf->id, s->name, e.msg);
    text_done(&body);
    run_tell(cf, s);
}

/* Not on disk after all: the next record of this case must bring it along again. (Callbacks come in
 * the order of adding, so the case is still there.) */
static void on_opened(void *arg, const struct err *e)
{
    struct casefile *cf = arg;

    if (e != NULL)
        cf->recorded = false;
}

int run_record(struct casefile *cf, const char *kind, const char *body, ledger_cb cb, void *arg,
               struct err *e)
{
    struct text t = TEXT_INIT(32 * 1024);
    char guid[AD_GUID_TEXT], sid[AD_SID_TEXT];
    struct json_out o;
    bool locked = false;
    int rc = 0;

    if (cf->w->ledger == NULL) /* a dry run */
        return 0;
    if (!cf->recorded) {
        /* So that --resume knows whether someone still has it in hand. */
        if (ledger_lock_case(cf->w->ledger, cf->id, &locked, e) < 0)
            return -1;
        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "action", action_word(cf->plan->action));
        json_out_str(&o, "account", cf->typed);
        json_out_str(&o, "domain", cf->w->domain->name);
        json_out_str(&o, "requester", cf->requester);
        json_out_str(&o, "reason", cf->reason);
        json_out_str(&o, "ticket", cf->ticket);
        json_out_bool(&o, "privileged", cf->leave.privileged);
        json_out_bool(&o, "clear_never_expires", cf->options.clear_never_expires);
        json_out_bool(&o, "must_change", cf->options.must_change);
        json_out_bool(&o, "via_mdi", cf->options.via_mdi);
        json_out_bool(&o, "via_mde", cf->options.via_mde);
        json_out_bool(&o, "undo", cf->options.undo);
        json_out_bool(&o, "undo_disabled", cf->options.undo_disabled);
        json_out_bool(&o, "undo_never_expires", cf->options.undo_never_expires);
        json_out_bool(&o, "undo_expired", cf->options.undo_expired);
        json_out_bool(&o, "undo_entra", cf->options.undo_entra);
        json_out_bool(&o, "undo_okta", cf->options.undo_okta);
        json_out_bool(&o, "okta", cf->options.okta);
        json_out_bool(&o, "okta_deactivate", cf->options.okta_deactivate);
        json_out_str(&o, "okta_id", cf->options.okta_id);
        json_out_bool(&o, "with_mfa", cf->options.with_mfa);
        json_out_bool(&o, "in_ad", cf->in_ad);
        json_out_bool(&o, "in_cloud", cf->in_cloud);
        if (cf->resolved) {
            json_out_str(&o, "guid", ad_guid_to_text(&cf->found.guid, guid));
            json_out_str(&o, "sid", ad_sid_to_text(&cf->found.sid, sid));
            json_out_str(&o, "dn", cf->found.dn);
            json_out_str(&o, "sam", cf->found.sam);
            json_out_str(&o, "upn", cf->found.upn);
        }
        json_out_end_object(&o);
        rc = text_check(&t, "case", e);
        if (rc == 0)
            rc = ledger_add(cf->w->ledger, cf->id, "case", t.s, on_opened, cf, e);
        text_done(&t);
        if (rc < 0)
            return -1;
        cf->recorded = true;
    }
    return ledger_add(cf->w->ledger, cf->id, kind, body, cb, arg, e);
}
