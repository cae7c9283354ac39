/* cloud/okta_decode.c -- what Okta answers: users, events, errors, links. Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/stamp.h"
#include "cloud/field.h"
#include "cloud/media.h"
#include "cloud/okta_inside.h"

enum { ID_MIN = 16, ID_MAX = 32, ERROR_BODY_MAX = 64 * 1024, SHOWN = 160 };
#define SINCE_SLACK_MS INT64_C(1000)

bool okta_id_ok(const char *s)
{
    size_t n = 0;

    if (s == NULL)
        return false;
    for (; s[n] != '\0'; n++) {
        char c = s[n];

        if (n >= ID_MAX ||
            !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return false;
    }
    return n >= ID_MIN;
}

enum okta_status okta_status_of(const char *word)
{
    static const char *const words[] = {
        [OKTA_STAGED] = "STAGED",         [OKTA_PROVISIONED] = "PROVISIONED",
        [OKTA_ACTIVE] = "ACTIVE",         [OKTA_RECOVERY] = "RECOVERY",
        [OKTA_SUSPENDED] = "SUSPENDED",   [OKTA_PASSWORD_EXPIRED] = "PASSWORD_EXPIRED",
        [OKTA_LOCKED_OUT] = "LOCKED_OUT", [OKTA_DEPROVISIONED] = "DEPROVISIONED",
    };

    for (size_t i = 1; word != NULL && i < ARRAY_LEN(words); i++) {
        if (strcmp(word, words[i]) == 0)
            return (enum okta_status)i;
    }
    return OKTA_UNKNOWN;
}

const char *okta_outcome_word(enum okta_outcome o)
{
    static const char *const words[] = {
        [OKTA_DONE] = "done",     [OKTA_ALREADY] = "already",   [OKTA_GONE] = "deactivated",
        [OKTA_CANNOT] = "cannot", [OKTA_LATER] = "later",       [OKTA_NOT_DONE] = "not-done",
        [OKTA_NOT_SO] = "not-so", [OKTA_UNPROVEN] = "unproven",
    };

    return (size_t)o < ARRAY_LEN(words) ? words[o] : "unknown";
}

/* --- users ------------------------------------------------------------------------------------ */

static void read_name(const struct cJSON *profile, struct okta_user *u)
{
    const char *first = json_str(profile, "firstName"), *last = json_str(profile, "lastName");
    char name[2 * OKTA_TEXT];

    (void)snprintf(name, sizeof(name), "%.310s%s%.310s", first != NULL ? first : "",
                   first != NULL && last != NULL ? " " : "", last != NULL ? last : "");
    field_copy(u->name, sizeof(u->name), name);
}

int okta_read_user(const struct cJSON *j, struct okta_user *ret_user, struct err *e)
{
    const struct cJSON *profile = json_get(j, "profile");
    const struct cJSON *provider = json_at(j, "credentials/provider");
    struct okta_user u = {0};

    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, 0, "Okta: the answer is no user");
    if (field_str(j, "id", FIELD_MUST, u.id, sizeof(u.id), e) < 0 ||
        field_str(j, "status", FIELD_MUST, u.status_word, sizeof(u.status_word), e) < 0 ||
        field_str(j, "transitioningToStatus", FIELD_MAY_LACK, u.becoming, sizeof(u.becoming), e) <
            0 ||
        field_time(j, "statusChanged", FIELD_MAY_LACK, &u.status_changed_ms, e) < 0 ||
        field_time(j, "lastLogin", FIELD_MAY_LACK, &u.last_login_ms, e) < 0 ||
        field_time(j, "passwordChanged", FIELD_MAY_LACK, &u.password_changed_ms, e) < 0 ||
        field_str(profile, "login", FIELD_MAY_LACK, u.login, sizeof(u.login), e) < 0 ||
        field_str(profile, "email", FIELD_MAY_LACK, u.email, sizeof(u.email), e) < 0 ||
        field_str(provider, "type", FIELD_MAY_LACK, u.provider, sizeof(u.provider), e) < 0 ||
        field_str(provider, "name", FIELD_MAY_LACK, u.provider_name, sizeof(u.provider_name), e) <
            0)
        return err_wrap(e, "Okta");
    if (!okta_id_ok(u.id))
        return err_set(e, ERR_INVALID, 0, "Okta: the user's id has characters it should not have");
    u.status = okta_status_of(u.status_word);
    u.from_ad = strcmp(u.provider, "ACTIVE_DIRECTORY") == 0;
    read_name(profile, &u);
    *ret_user = u;
    return 0;
}

int okta_json_of(const struct http_answer *a, struct cJSON **ret_json, struct err *e)
{
    const struct json_limits lim = {
        .bytes = OKTA_ANSWER_MAX, .depth = 32, .members = 4096, .flags = JSON_FLOATS};
    char shown[TEXT_SHOWN], foreign[MEDIA_NAME];
    struct err why;

    if (media_is_foreign(a, foreign))
        return err_set(e, ERR_INVALID, (int)a->status,
                       "Okta: the answer is %s, not JSON: the page of a proxy, it seems (%s)",
                       foreign, text_shown(shown, a->request_id));
    if (json_parse(a->body, a->len, &lim, ret_json, &why) == 0)
        return 0;
    if (why.code == ERR_NOMEM)
        return err_set(e, ERR_NOMEM, 0, "Okta");
    return err_set(e, ERR_INVALID, (int)a->status, "Okta: the answer is no clean JSON: %s (%s)",
                   why.msg, text_shown(shown, a->request_id));
}

int okta_user_of(const struct http_answer *a, const char *id, struct okta_user *ret_user,
                 struct err *e)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;

    if (a->status != 200)
        return okta_error_of(a, /* changes */ false, e);
    if (okta_json_of(a, &j, e) < 0 || okta_read_user(j, ret_user, e) < 0)
        return -1;
    if (id != NULL && strcmp(ret_user->id, id) != 0)
        return err_set(e, ERR_INVALID, 0, "Okta: the answer is about another user than %s", id);
    return 0;
}

/* --- the System Log --------------------------------------------------------------------------- */

static bool is_about(const struct cJSON *ev, const char *id)
{
    const struct cJSON *targets = json_get(ev, "target");

    if (!json_is_array(targets))
        return false;
    for (const struct cJSON *t = json_first(targets); t != NULL; t = json_next(t)) {
        const char *type = json_str(t, "type"), *other = json_str(t, "id");

        if (type != NULL && other != NULL && strcmp(type, "User") == 0 && strcmp(other, id) == 0)
            return true;
    }
    return false;
}

static bool fits(const struct cJSON *ev, const struct okta_expect *want, struct okta_event *x)
{
    const struct cJSON *actor = json_get(ev, "actor");
    const char *is = json_str(ev, "eventType"), *when = json_str(ev, "published");
    const char *how = json_str(json_get(ev, "outcome"), "result");

    memset(x, 0, sizeof(*x));
    if (is == NULL || strcmp(is, want->type) != 0 || how == NULL || strcmp(how, "SUCCESS") != 0 ||
        when == NULL || !stamp_parse_iso(when, &x->published_ms) ||
        x->published_ms < want->since_ms - SINCE_SLACK_MS ||
        (want->after_ms != 0 && x->published_ms <= want->after_ms) || !is_about(ev, want->id))
        return false;
    if (!field_opaque_ok(json_str(ev, "uuid")) || strlen(json_str(ev, "uuid")) >= sizeof(x->uuid))
        return false;
    field_copy(x->uuid, sizeof(x->uuid), json_str(ev, "uuid"));
    field_copy(x->type, sizeof(x->type), is);
    (void)field_shown(x->actor_id, sizeof(x->actor_id), json_str(actor, "id"));
    (void)field_shown(x->actor_type, sizeof(x->actor_type), json_str(actor, "type"));
    (void)field_shown(x->actor_name, sizeof(x->actor_name), json_str(actor, "alternateId"));
    (void)field_shown(x->transaction, sizeof(x->transaction),
                      json_str(json_get(ev, "transaction"), "id"));
    x->ours = want->actor == NULL ||
              (json_str(actor, "id") != NULL && strcmp(json_str(actor, "id"), want->actor) == 0);
    return true;
}

int okta_read_events(const struct cJSON *list, const struct okta_expect *x,
                     struct okta_event *ret_event, bool *ret_found, struct err *e)
{
    struct okta_event ev;
    bool ours = false;

    if (!json_is_array(list))
        return err_set(e, ERR_INVALID, 0, "Okta: the answer is no list of events");
    *ret_found = false;
    for (const struct cJSON *c = json_first(list); c != NULL && !ours; c = json_next(c)) {
        if (!fits(c, x, &ev) || (*ret_found && !ev.ours))
            continue;
        *ret_event = ev;
        *ret_found = true;
        ours = ev.ours;
    }
    return 0;
}

/* --- errors ----------------------------------------------------------------------------------- */

static enum err_code code_of(long status, bool changes)
{
    if (status == 401)
        return ERR_AUTH;
    if (status == 403)
        return ERR_DENIED;
    if (status == 404)
        return ERR_NOTFOUND;
    if (status == 429 || (status == 503 && !changes))
        return ERR_BUSY;
    if (status >= 400 && status < 500)
        return ERR_REFUSED;
    if (status >= 500 && status < 600)
        return changes ? ERR_UNPROVEN : ERR_TIMEOUT;
    return changes ? ERR_UNPROVEN : ERR_INVALID; /* 3xx, or nothing we ever asked for */
}

/* What to do about it, by Okta's own code. */
static const char *advice(long status, const char *code, const char *challenge)
{
    static const struct {
        const char *code, *words;
    } table[] = {
        {"E0000001", "the user's status does not allow it"},
        {"E0000004", "the token is not accepted"},
        {"E0000006", "cordon's app needs the scope okta.users.manage and an admin role that may "
                     "suspend this user; the user may be a higher administrator"},
        {"E0000007", "there is no such user"},
        {"E0000011", "the token is invalid or has expired"},
        {"E0000015", "this Okta organisation does not have the feature"},
        {"E0000038", "the user's status does not allow it"},
        {"E0000047", "Okta's rate limit"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (strcmp(code, table[i].code) == 0)
            return table[i].words;
    }
    if (challenge != NULL && strstr(challenge, "insufficient_scope") != NULL)
        return "the token lacks a scope: grant okta.users.read, okta.users.manage, okta.logs.read";
    if (status == 403)
        return "not allowed";
    return NULL;
}

int okta_read_error(long status, const char *body, size_t n, const char *challenge,
                    const char *request_id, bool changes, struct err *e)
{
    const struct json_limits lim = {.bytes = ERROR_BODY_MAX, .flags = JSON_FLOATS};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    char code[24], id[64], request[96], summary[SHOWN];
    const char *words;
    struct err ignored;

    (void)json_parse(body, n, &lim, &j, &ignored); /* HTML, or nothing: the status says enough */
    (void)field_shown(code, sizeof(code), json_str(j, "errorCode"));
    (void)field_shown(id, sizeof(id), json_str(j, "errorId"));
    (void)field_shown(request, sizeof(request), request_id);
    words = advice(status, code, challenge);
    (void)field_shown(summary, sizeof(summary), json_str(j, "errorSummary"));
    return err_set(e, code_of(status, changes), (int)status, "Okta: %ld%s%s%s%s%s%s%s%s%s%s%s",
                   status, code[0] != '\0' ? " " : "", code, words != NULL ? ": " : "",
                   words != NULL ? words : "", summary[0] != '\0' ? ": " : "", summary,
                   id[0] != '\0' ? " (errorId " : " (", id, id[0] != '\0' ? ", " : "",
                   request[0] != '\0' ? request : "no request id", ")");
}

int okta_error_of(const struct http_answer *a, bool changes, struct err *e)
{
    return okta_read_error(a->status, a->body, a->len, http_header_get(a, "WWW-Authenticate", 0),
                           a->request_id, changes, e);
}

/* --- links ------------------------------------------------------------------------------------ */

/* One or several of: <url>; rel="next"; title="...", <url>; rel=... (RFC 8288) */
bool okta_next_link(const char *header, char *url, size_t size)
{
    while (header != NULL && (header = strchr(header, '<')) != NULL) {
        const char *end = strchr(++header, '>');
        const char *params, *stop;
        size_t n;

        if (end == NULL)
            return false;
        n = (size_t)(end - header);
        params = end + 1;
        stop = params + strcspn(params, "<"); /* up to the next link */
        for (const char *p = params; p < stop; p++) {
            if (strncasecmp(p, "rel=\"next\"", 10) == 0 || strncasecmp(p, "rel=next", 8) == 0) {
                if (n == 0 || n >= size)
                    return false;
                memcpy(url, header, n);
                url[n] = '\0';
                return true;
            }
        }
        header = stop;
    }
    return false;
}
