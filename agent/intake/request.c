/* agent/intake/request.c -- see request.h. */
#include "agent/intake/request.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/nfc.h"
#include "base/stamp.h"
#include "config/value.h"
#include "ldap/name.h"

static const char *const scopes[] = {"both", "on-prem", "cloud"};

const char *intake_scope_word(enum intake_scope s)
{
    return scopes[s];
}

bool intake_scope_parse(const char *s, enum intake_scope *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
        if (strcmp(s, scopes[i]) == 0) {
            *ret = (enum intake_scope)i;
            return true;
        }
    }
    return false;
}

/* --- rules for one member ---------------------------------------------------------------- */

/* The one spelling of an id, so that case cannot make it look new (R6). */
static int check_id(char *s, struct err *e)
{
    size_t n = strlen(s);
    char c;

    if (n == ID_ULID - 1) {
        for (size_t i = 0; i < n; i++)
            s[i] = (char)(s[i] >= 'a' && s[i] <= 'z' ? s[i] - 'a' + 'A' : s[i]);
        if (id_ulid_ok(s))
            return 0;
    } else if (n == ID_UUID - 1) {
        size_t i;

        cfg_lower(s);
        for (i = 0; i < n; i++) {
            c = s[i];
            if (i == 8 || i == 13 || i == 18 || i == 23 ? c != '-'
                                                        : strchr("0123456789abcdef", c) == NULL)
                break;
        }
        if (i == n)
            return 0;
    }
    return err_set(e, ERR_INVALID, 0, "id: neither a ULID nor a UUID");
}

/* One name has one spelling, and all of it can be seen (R7). */
static int check_seen(const char *what, const char *s, struct err *e)
{
    size_t n = strlen(s), len;
    char shown[TEXT_SHOWN];
    uint32_t c;

    if (!text_utf8_ok(s, n))
        return err_set(e, ERR_INVALID, 0, "%s: not UTF-8", what);
    for (size_t at = 0; at < n; at += len) {
        len = text_utf8_next(s + at, n - at, &c);
        if (text_is_hidden(c))
            return err_set(e, ERR_INVALID, 0, "%s: '%s' holds U+%04X, which cannot be seen", what,
                           text_shown(shown, s), (unsigned)c);
    }
    if (!nfc_sure(s, n, &c))
        return err_set(e, ERR_INVALID, 0,
                       "%s: '%s' may not be in Unicode's form NFC (U+%04X): send it composed, or "
                       "the SID",
                       what, text_shown(shown, s), (unsigned)c);
    return 0;
}

static int check_account(const struct intake_request *r, struct err *e)
{
    struct ad_name name;

    if (check_seen("account", r->account, e) < 0)
        return -1;
    /* A DN of another domain than the audience is caught here. */
    if (ad_name_parse(r->account, strlen(r->account), r->audience, &name, e) < 0) {
        if (e->code != ERR_NOMEM)
            e->code = ERR_INVALID;
        return err_wrap(e, "account");
    }
    return 0;
}

/* What goes with what: as on the command line (agent/cmd_action.c). */
static int check_options(const struct intake_request *r, struct err *e)
{
    const struct intake_options *o = &r->options;
    const struct plan *plan = plan_for(r->action);

    if (o->must_change && r->action != ACT_RESET && r->action != ACT_CONTAIN)
        return err_set(e, ERR_INVALID, 0,
                       "options: must-change goes with reset-password or contain");
    if (o->clear_never_expires && r->action != ACT_EXPIRE && !o->must_change)
        return err_set(e, ERR_INVALID, 0,
                       "options: clear-never-expires goes with expire-password or must-change");
    if (o->mfa && r->action != ACT_EXPIRE)
        return err_set(e, ERR_INVALID, 0, "options: mfa goes with expire-password");
    if (r->scope == INTAKE_ON_PREM && plan->count == 0)
        return err_set(e, ERR_INVALID, 0, "scope: %s has no part on-prem", action_word(r->action));
    return 0;
}

int intake_request_check(struct intake_request *r, struct err *e)
{
    if (check_id(r->id, e) < 0)
        return -1;
    if (cfg_host_check(r->audience, "domain name", e) < 0) {
        e->code = ERR_INVALID;
        return err_wrap(e, "audience");
    }
    if (r->requester[0] == '\0')
        return err_set(e, ERR_INVALID, 0, "requester: empty");
    if (!text_utf8_ok(r->reason, strlen(r->reason)))
        return err_set(e, ERR_INVALID, 0, "reason: not UTF-8");
    if (r->expires_ms <= r->issued_ms)
        return err_set(e, ERR_INVALID, 0, "expires: not after issued");
    if (check_account(r, e) < 0 || check_seen("requester", r->requester, e) < 0 ||
        check_seen("ticket", r->ticket, e) < 0)
        return -1;
    return check_options(r, e);
}

/* --- in ------------------------------------------------------------------------------------ */

enum presence { MUST, MAY, MAY_BE_EMPTY };

/* `size` with the NUL. A member that is left out is "". */
static int take_text(const struct cJSON *j, const char *name, enum presence how, char *buf,
                     size_t size, struct err *e)
{
    const char *s = json_str(j, name);
    size_t n;

    buf[0] = '\0';
    if (s == NULL && json_get(j, name) != NULL)
        return err_set(e, ERR_INVALID, 0, "%s: no string", name);
    if (s == NULL)
        return how == MUST ? err_set(e, ERR_INVALID, 0, "%s: missing", name) : 0;
    n = strlen(s);
    if (n == 0 && how != MAY_BE_EMPTY)
        return err_set(e, ERR_INVALID, 0, "%s: empty", name);
    if (n >= size)
        return err_set(e, ERR_TOOBIG, 0, "%s: over %zu bytes", name, size - 1);
    memcpy(buf, s, n + 1);
    return 0;
}

/* RFC 3339, and no more: 'T', and 'Z' or +hh:mm. */
static int take_time(const struct cJSON *j, const char *name, int64_t *ret_ms, struct err *e)
{
    char s[STAMP_TEXT];
    size_t n;

    if (take_text(j, name, MUST, s, sizeof(s), e) < 0)
        return -1;
    n = strlen(s);
    if (n < 20 || s[10] != 'T' || strchr(s, ',') != NULL || (s[n - 1] != 'Z' && s[n - 3] != ':') ||
        !stamp_parse_iso(s, ret_ms))
        return err_set(e, ERR_INVALID, 0, "%s: no time like 2026-11-21T09:14:03Z", name);
    return 0;
}

static int take_words(const struct cJSON *j, struct intake_request *r, struct err *e)
{
    char word[64], shown[TEXT_SHOWN];

    if (take_text(j, "action", MUST, word, sizeof(word), e) < 0)
        return -1;
    if (!action_parse(word, &r->action))
        return err_set(e, ERR_INVALID, 0, "action: '%s' is none", text_shown(shown, word));
    if (take_text(j, "scope", MAY, word, sizeof(word), e) < 0)
        return -1;
    r->scope = INTAKE_BOTH;
    if (word[0] != '\0' && !intake_scope_parse(word, &r->scope))
        return err_set(e, ERR_INVALID, 0, "scope: '%s' is none of: both on-prem cloud",
                       text_shown(shown, word));
    return 0;
}

static int known_only(const struct cJSON *j, const char *const *names, size_t n, const char *where,
                      struct err *e)
{
    char shown[TEXT_SHOWN];

    for (const struct cJSON *c = json_first(j); c != NULL; c = json_next(c)) {
        bool known = false;

        for (size_t i = 0; i < n; i++)
            known = known || strcmp(json_name(c), names[i]) == 0;
        if (!known)
            return err_set(e, ERR_INVALID, 0, "%s'%s': no such member", where,
                           text_shown(shown, json_name(c)));
    }
    return 0;
}

static int take_options(const struct cJSON *j, struct intake_options *o, struct err *e)
{
    static const char *const names[] = {
        "clear-never-expires", "must-change", "mfa", "audit", "steps", "idp"};
    bool *const flags[] = {&o->clear_never_expires, &o->must_change, &o->mfa, &o->audit, &o->steps};
    char idp[16];

    *o = (struct intake_options){0};
    if (j == NULL)
        return 0;
    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, 0, "options: no object");
    if (known_only(j, names, ARRAY_LEN(names), "options: ", e) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (json_get(j, names[i]) != NULL && !json_bool(j, names[i], flags[i]))
            return err_set(e, ERR_INVALID, 0, "options: %s: neither true nor false", names[i]);
    }
    if (take_text(j, "idp", MAY, idp, sizeof(idp), e) < 0)
        return err_wrap(e, "options");
    o->okta = strcmp(idp, "okta") == 0;
    if (idp[0] != '\0' && !o->okta)
        return err_set(e, ERR_INVALID, 0, "options: idp: okta is the only one");
    return 0;
}

int intake_request_parse(const char *s, size_t n, struct intake_request *ret_request, struct err *e)
{
    static const struct json_limits lim = {
        .bytes = INTAKE_BODY_MAX, .depth = 16, .members = 64, .string = 1024};
    static const char *const names[] = {"id",      "action",    "account", "scope",
                                        "reason",  "ticket",    "issued",  "expires",
                                        "options", "requester", "audience"};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct intake_request r = {0};

    if (json_parse(s, n, &lim, &j, e) < 0)
        return err_wrap(e, "request");
    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, 0, "request: no object");
    if (known_only(j, names, ARRAY_LEN(names), "", e) < 0 ||
        take_text(j, "id", MUST, r.id, sizeof(r.id), e) < 0 || take_words(j, &r, e) < 0 ||
        take_text(j, "account", MUST, r.account, sizeof(r.account), e) < 0 ||
        take_text(j, "reason", MAY_BE_EMPTY, r.reason, sizeof(r.reason), e) < 0 ||
        take_text(j, "ticket", MAY_BE_EMPTY, r.ticket, sizeof(r.ticket), e) < 0 ||
        take_text(j, "requester", MUST, r.requester, sizeof(r.requester), e) < 0 ||
        take_time(j, "issued", &r.issued_ms, e) < 0 ||
        take_time(j, "expires", &r.expires_ms, e) < 0 ||
        take_text(j, "audience", MUST, r.audience, sizeof(r.audience), e) < 0 ||
        take_options(json_get(j, "options"), &r.options, e) < 0 || intake_request_check(&r, e) < 0)
        return err_wrap(e, "request");
    *ret_request = r;
    return 0;
}

/* --- out ------------------------------------------------------------------------------------- */

static void options_json(const struct intake_options *o, struct json_out *out)
{
    const struct {
        const char *name;
        bool on;
    } flags[] = {{"clear-never-expires", o->clear_never_expires},
                 {"must-change", o->must_change},
                 {"mfa", o->mfa},
                 {"audit", o->audit},
                 {"steps", o->steps}};
    bool any = o->okta;

    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        any = any || flags[i].on;
    if (!any)
        return;
    json_out_object(out, "options");
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (flags[i].on)
            json_out_bool(out, flags[i].name, true);
    }
    if (o->okta)
        json_out_str(out, "idp", "okta");
    json_out_end_object(out);
}

void intake_request_members(const struct intake_request *r, struct json_out *o)
{
    json_out_str(o, "id", r->id);
    json_out_str(o, "action", action_word(r->action));
    json_out_str(o, "account", r->account);
    json_out_str(o, "scope", intake_scope_word(r->scope));
    if (r->reason[0] != '\0')
        json_out_str(o, "reason", r->reason);
    if (r->ticket[0] != '\0')
        json_out_str(o, "ticket", r->ticket);
    json_out_str(o, "requester", r->requester);
    json_out_time(o, "issued", r->issued_ms);
    json_out_time(o, "expires", r->expires_ms);
    json_out_str(o, "audience", r->audience);
    options_json(&r->options, o);
}

void intake_request_options(const struct intake_request *r, struct options *ret_options,
                            bool *ret_in_ad, bool *ret_in_cloud)
{
    *ret_options = (struct options){.clear_never_expires = r->options.clear_never_expires,
                                    .must_change = r->options.must_change,
                                    .with_mfa = r->options.mfa,
                                    .audit = r->options.audit,
                                    .okta = r->options.okta};
    *ret_in_ad = r->scope != INTAKE_CLOUD;
    *ret_in_cloud = r->scope != INTAKE_ON_PREM;
}

int intake_request_json(const struct intake_request *r, struct text *t, struct err *e)
{
    struct json_out o;

    json_out_init(&o, t);
    json_out_object(&o, NULL);
    intake_request_members(r, &o);
    json_out_end_object(&o);
    return text_check(t, "request", e);
}
