/* agent/caseload.c -- see caseload.h. What stands in the ledger is our own writing, and is read
 * with the same strictness as anything from outside. */
#include "agent/caseload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"

struct loading {
    struct caseload *c;
    bool opened, broken;
};

void caseload_free(struct caseload *c)
{
    if (c == NULL)
        return;
    free(c->account);
    free(c->domain);
    free(c->reason);
    free(c->ticket);
    free(c->requester);
    ad_found_done(&c->found);
    for (size_t i = 0; i < c->prior_count; i++) {
        free((void *)(uintptr_t)c->names[i][0]);
        free((void *)(uintptr_t)c->names[i][1]);
    }
    free(c);
}

static bool flag(const struct cJSON *j, const char *name)
{
    bool v = false;

    return json_bool(j, name, &v) && v;
}

static void take_text(char *buf, size_t size, const struct cJSON *j, const char *name)
{
    const char *s = json_str(j, name);

    (void)snprintf(buf, size, "%s", s != NULL ? s : "");
}

static void take_case(struct loading *l, const struct cJSON *j)
{
    struct caseload *c = l->c;
    const char *action = json_str(j, "action"), *guid = json_str(j, "guid"),
               *sid = json_str(j, "sid");

    if (l->opened) /* a write that was said to have failed was done again: the same */
        return;
    if (action == NULL || !action_parse(action, &c->action)) {
        l->broken = true;
        return;
    }
    c->account = text_dup(json_str(j, "account"));
    c->domain = text_dup(json_str(j, "domain"));
    c->reason = text_dup(json_str(j, "reason"));
    c->ticket = text_dup(json_str(j, "ticket"));
    c->requester = text_dup(json_str(j, "requester"));
    c->privileged = flag(j, "privileged");
    /* Cases from before there was a cloud say nothing of it. */
    if (!json_bool(j, "in_ad", &c->in_ad))
        c->in_ad = true;
    if (!json_bool(j, "in_cloud", &c->in_cloud))
        c->in_cloud = false;
    c->options.clear_never_expires = flag(j, "clear_never_expires");
    c->options.must_change = flag(j, "must_change");
    c->options.via_mdi = flag(j, "via_mdi");
    c->options.via_mde = flag(j, "via_mde");
    c->options.undo = flag(j, "undo");
    c->options.undo_disabled = flag(j, "undo_disabled");
    c->options.undo_never_expires = flag(j, "undo_never_expires");
    c->options.undo_expired = flag(j, "undo_expired");
    c->options.undo_entra = flag(j, "undo_entra");
    c->options.undo_okta = flag(j, "undo_okta");
    c->options.okta = flag(j, "okta");
    c->options.okta_deactivate = flag(j, "okta_deactivate");
    take_text(c->okta_id, sizeof(c->okta_id), j, "okta_id");
    c->options.with_mfa = flag(j, "with_mfa");
    c->found.upn = text_dup(json_str(j, "upn"));
    c->has_guid = guid != NULL && sid != NULL &&
                  ad_guid_from_text(guid, strlen(guid), &c->found.guid) == 0 &&
                  ad_sid_from_text(sid, strlen(sid), &c->found.sid) == 0;
    c->found.dn = text_dup(json_str(j, "dn"));
    c->found.sam = text_dup(json_str(j, "sam"));
    l->opened = true;
}

static struct prior *place(struct caseload *c, const char *step, const char *target)
{
    for (size_t i = 0; i < c->prior_count; i++) {
        if (strcmp(c->names[i][0], step) == 0 && strcmp(c->names[i][1], target) == 0)
            return &c->priors[i];
    }
    if (c->prior_count == CASELOAD_PLACES)
        return NULL;
    c->names[c->prior_count][0] = text_dup(step);
    c->names[c->prior_count][1] = text_dup(target);
    if (c->names[c->prior_count][0] == NULL || c->names[c->prior_count][1] == NULL) {
        free((void *)(uintptr_t)c->names[c->prior_count][0]);
        free((void *)(uintptr_t)c->names[c->prior_count][1]);
        return NULL;
    }
    return &c->priors[c->prior_count++];
}

/* Whom it is about, where the case began without a DC to say so. */
static void take_account(struct caseload *c, const struct cJSON *j)
{
    const char *guid = json_str(j, "guid"), *sid = json_str(j, "sid");

    if (c->has_guid || guid == NULL || sid == NULL ||
        ad_guid_from_text(guid, strlen(guid), &c->found.guid) < 0 ||
        ad_sid_from_text(sid, strlen(sid), &c->found.sid) < 0)
        return;
    c->has_guid = true;
    free(c->found.dn);
    free(c->found.sam);
    c->found.dn = text_dup(json_str(j, "dn"));
    c->found.sam = text_dup(json_str(j, "sam"));
}

/* A run of Live Response: its intent, and later the id of its action. */
static void take_run(struct caseload *c, const struct cJSON *j, int64_t time_ms)
{
    const char *target = json_str(j, "target"), *op = json_str(j, "op"),
               *nonce = json_str(j, "nonce");
    char step[64];
    struct prior *p;

    (void)snprintf(step, sizeof(step), "mde/%s", op != NULL ? op : "");
    p = target != NULL && nonce != NULL ? place(c, step, target) : NULL;
    if (p == NULL)
        return;
    if (strcmp(p->nonce, nonce) != 0) { /* the first there, or another try */
        *p = (struct prior){.intended = true, .intended_ms = time_ms};
        take_text(p->nonce, sizeof(p->nonce), j, "nonce");
        take_text(p->machine, sizeof(p->machine), j, "machine");
        take_text(p->mark, sizeof(p->mark), j, "mark");
        (void)json_i64(j, "expires", &p->expires_ms);
    }
    if (json_str(j, "action") != NULL)
        take_text(p->action, sizeof(p->action), j, "action");
    take_account(c, j);
}

static void take_intent(struct caseload *c, const struct cJSON *j, int64_t time_ms)
{
    const char *step = json_str(j, "step"), *target = json_str(j, "target");
    struct prior *p;
    int64_t v = 0;

    if (step != NULL && strcmp(step, "mde") == 0) {
        take_run(c, j, time_ms);
        return;
    }
    p = step != NULL && target != NULL ? place(c, step, target) : NULL;

    if (json_str(j, "okta_id") != NULL)
        take_text(c->okta_id, sizeof(c->okta_id), j, "okta_id");
    if (p == NULL)
        return;
    /* The first intent has the mark from which everything of ours is still to be seen. */
    if (!p->intended) {
        take_text(p->mark, sizeof(p->mark), j, "mark");
        take_text(p->local, sizeof(p->local), j, "local");
        p->intended_ms = time_ms;
        if (json_i64(j, "unicode_version", &v) && v >= 0 && v <= UINT32_MAX)
            p->unicode_version = (uint32_t)v;
    }
    p->intended = true;
}

static bool take_stamp(const struct cJSON *j, const char *name, struct ad_stamp *ret)
{
    const struct cJSON *s = json_get(j, name);
    const char *guid = json_str(s, "invocation");
    int64_t version, usn;

    if (guid == NULL || !json_i64(s, "version", &version) || !json_i64(s, "usn", &usn) ||
        version < 0 || version > UINT32_MAX || usn < 0 ||
        ad_guid_from_text(guid, strlen(guid), &ret->invocation) < 0)
        return false;
    ret->version = (uint32_t)version;
    ret->originating_usn = (uint64_t)usn;
    return true;
}

static bool is_reset(const char *step)
{
    return strcmp(step, "reset-password") == 0 || strcmp(step, "mde/reset-password") == 0;
}

static void take_step(struct caseload *c, const struct cJSON *j)
{
    const char *step = json_str(j, "step"), *target = json_str(j, "target"),
               *state = json_str(j, "state"), *pwd = json_str(j, "pwdLastSet"),
               *op = json_str(j, "op");
    char by_mde[64];
    bool done = state != NULL && (strcmp(state, "done") == 0 || strcmp(state, "unconfirmed") == 0);
    int64_t old = 0, new = 0, after = 0;
    struct undo_left left = {0};
    struct prior *p;

    if (step == NULL || target == NULL)
        return;
    if (strcmp(step, "mde") == 0 && op != NULL) {
        (void)snprintf(by_mde, sizeof(by_mde), "mde/%s", op);
        step = by_mde;
    }
    for (size_t i = 0; i < c->prior_count; i++) {
        if (strcmp(c->names[i][0], step) == 0 && strcmp(c->names[i][1], target) == 0) {
            p = &c->priors[i];
            p->ended = true;
            p->given_up =
                state != NULL && (strcmp(state, "failed") == 0 || strcmp(state, "refused") == 0);
        }
    }
    if (!done)
        return;
    if (strcmp(target, "okta") == 0) {
        c->did_okta = c->did_okta || ((strcmp(step, "okta") == 0 || flag(j, "changed")) &&
                                      c->action != ACT_ENABLE);
        return;
    }
    if (strcmp(target, "entra") == 0) {
        c->did_entra = c->did_entra || (strcmp(step, "entra") == 0 && c->action != ACT_ENABLE);
        return;
    }
    if (json_i64(j, "uac_old", &old) && json_i64(j, "uac_new", &new)) {
        c->did_disable = c->did_disable || ((old & 0x2) == 0 && (new & 0x2) != 0);
        c->did_clear_never_expires =
            c->did_clear_never_expires || ((old & 0x10000) != 0 && (new & 0x10000) == 0);
    } else if (strcmp(step, "disable") == 0 || strcmp(step, "mde/disable") == 0) {
        c->did_disable = true; /* found done when the case was resumed */
    } else if (pwd == NULL) {
        c->did_reset = c->did_reset || is_reset(step);
        return;
    }
    c->did_expire = c->did_expire || (pwd != NULL && strcmp(pwd, "0") == 0);
    c->did_reset = c->did_reset || is_reset(step);
    if (json_i64(j, "uac_after", &after)) {
        left.uac_after = (uint32_t)after;
        left.has_stamps = take_stamp(j, "uac_stamp", &left.uac_stamp) &&
                          take_stamp(j, "pwd_stamp", &left.pwd_stamp);
    }
    if (c->left_count < CASELOAD_PLACES)
        c->left[c->left_count++] = left;
    if (c->first_dc[0] == '\0')
        (void)snprintf(c->first_dc, sizeof(c->first_dc), "%s", target);
}

static bool on_record(void *arg, const struct ledger_record *r)
{
    struct loading *l = arg;
    struct cJSON *j = NULL;
    struct err e;

    if (json_parse(r->body, strlen(r->body), NULL, &j, &e) < 0) {
        l->broken = true;
        return false;
    }
    if (strcmp(r->kind, "case") == 0) {
        take_case(l, j);
    } else if (strcmp(r->kind, "intent") == 0) {
        take_intent(l->c, j, r->time_ms);
    } else if (strcmp(r->kind, "step") == 0) {
        take_step(l->c, j);
    } else if (strcmp(r->kind, "verdict") == 0) {
        const char *v = json_str(j, "verdict");

        l->c->has_verdict = v != NULL && verdict_parse(v, &l->c->verdict);
    }
    json_free(j);
    return true;
}

int caseload(struct ledger *ledger, const char *id, struct caseload **ret, struct err *e)
{
    struct loading l = {.c = calloc(1, sizeof(struct caseload))};

    if (l.c == NULL)
        return err_set(e, ERR_NOMEM, 0, "case");
    (void)snprintf(l.c->id, sizeof(l.c->id), "%s", id);
    if (ledger_each(ledger, id, 0, on_record, &l, e) < 0)
        goto fail;
    if (l.broken || !l.opened) {
        (void)err_set(e, l.broken ? ERR_INVALID : ERR_NOTFOUND, 0, "case %s: %s", id,
                      l.broken ? "its records cannot be read" : "no such case in the ledger");
        goto fail;
    }
    *ret = l.c;
    return 0;
fail:
    caseload_free(l.c);
    return -1;
}
