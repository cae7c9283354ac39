/* cloud/sync_answer.c -- what provisionOnDemand answers: proof, danger, or neither. Pure.
 *
 * The body is JSON whose members `key` and `value` are JSON texts again. `key` may also be the
 * plain name of a type. Judged in this order:
 *
 *   1  the other state was written           SYNC_EXPORTED_OTHER
 *   2  the agent read the other state        SYNC_SAW_OTHER
 *   3  success, the wanted state was written, to this user       SYNC_PROVEN
 *   4  skipped as redundant, and the agent read the wanted state SYNC_PROVEN
 *   5  the rest: success without proof, skipped, failed
 *
 * A redundant export proves that both sides are equal, not what they are: only together with what
 * the agent read is it proof.
 */
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cloud/field.h"
#include "cloud/sync_inside.h"

enum { INNER_MAX = 512 * 1024, SHOWN = 192 };
#define UAC_ACCOUNTDISABLE INT64_C(2)

struct story {       /* what the inner texts tell */
    char result[64]; /* of key, or of statusInfo; "" */
    char code[SHOWN], message[SHOWN];
    bool wrote_enabled, wrote_disabled, read_enabled, read_disabled;
    bool export_failed;
    char target[64]; /* targetIdentity.id; "" */
};

/* "True", true, "\"True\"", "[true]": the service nests JSON in JSON. */
static bool truth(const struct cJSON *o, const char *name, bool *ret)
{
    const char *s = json_str(o, name);
    size_t n;

    if (json_bool(o, name, ret))
        return true;
    if (s == NULL)
        return false;
    while (*s != '\0' && strchr(" \"[", *s) != NULL)
        s++;
    n = strcspn(s, " \"]");
    *ret = n == 4;
    return (n == 4 && strncasecmp(s, "true", 4) == 0) ||
           (n == 5 && strncasecmp(s, "false", 5) == 0);
}

static void read_import(const struct cJSON *details, struct story *st)
{
    const char *text = json_str(details, "userAccountControl");
    bool disabled;
    int64_t uac;

    if (truth(details, "accountDisabled", &disabled)) {
        st->read_disabled |= disabled;
        st->read_enabled |= !disabled;
    }
    if (json_i64(details, "userAccountControl", &uac) ||
        (text != NULL && text_to_i64(text, INT32_MIN, UINT32_MAX, &uac))) {
        st->read_disabled |= (uac & UAC_ACCOUNTDISABLE) != 0;
        st->read_enabled |= (uac & UAC_ACCOUNTDISABLE) == 0;
    }
}

static void read_steps(const struct cJSON *steps, struct story *st)
{
    if (!json_is_array(steps))
        return;
    for (const struct cJSON *c = json_first(steps); c != NULL; c = json_next(c)) {
        const char *type = json_str(c, "type"), *status = json_str(c, "status");

        if (type == NULL)
            continue;
        if (text_eq_nocase(type, "Import"))
            read_import(json_get(c, "details"), st);
        if (text_eq_nocase(type, "Export") &&
            (status == NULL || !text_eq_nocase(status, "Success")))
            st->export_failed = true;
    }
}

static void read_changes(const struct cJSON *list, struct story *st)
{
    bool enabled;

    if (!json_is_array(list))
        return;
    for (const struct cJSON *c = json_first(list); c != NULL; c = json_next(c)) {
        const char *name = json_str(c, "displayName");

        if (name == NULL || !text_eq_nocase(name, "AccountEnabled") ||
            !truth(c, "newValue", &enabled))
            continue;
        st->wrote_enabled |= enabled;
        st->wrote_disabled |= !enabled;
    }
}

static struct cJSON *inner(const struct cJSON *body, const char *name)
{
    const struct json_limits lim = {.bytes = INNER_MAX, .flags = JSON_FLOATS};
    const char *s = json_str(body, name);
    struct cJSON *j = NULL;
    struct err e;

    if (s != NULL)
        (void)json_parse(s, strlen(s), &lim, &j, &e);
    return j;
}

/* False: there is nothing readable in it. */
static bool read_story(const struct cJSON *body, struct story *st)
{
    CLEANUP(json_freep) struct cJSON *key = inner(body, "key");
    CLEANUP(json_freep) struct cJSON *value = inner(body, "value");
    const struct cJSON *details = json_get(key, "details");
    const char *result = json_str(key, "result");

    (void)field_shown(st->code, sizeof(st->code), json_str(details, "errorCode"));
    (void)field_shown(st->message, sizeof(st->message), json_str(details, "errorMessage"));
    if (result == NULL) /* key is the name of a type, then */
        result = json_str(json_get(value, "statusInfo"), "status");
    (void)field_shown(st->result, sizeof(st->result), result);
    read_steps(json_get(value, "provisioningSteps"), st);
    read_changes(json_get(value, "modifiedProperties"), st);
    field_copy(st->target, sizeof(st->target), json_str(json_get(value, "targetIdentity"), "id"));
    /* A key that is JSON and cannot be read may have said that it failed. */
    if (key == NULL && json_str(body, "key") != NULL && text_starts(json_str(body, "key"), "{"))
        st->result[0] = '\0';
    return json_is_object(value) && st->result[0] != '\0';
}

static void judge(const struct story *st, const char *user_id, bool want, struct sync_result *r)
{
    const char *wanted = want ? "enabled" : "disabled", *other = want ? "disabled" : "enabled";
    bool success = text_eq_nocase(st->result, "Success");
    bool skipped = text_eq_nocase(st->result, "Skipped");
    bool read_wanted = want ? st->read_enabled : st->read_disabled;
    bool read_other = want ? st->read_disabled : st->read_enabled;
    bool wrote_wanted = want ? st->wrote_enabled : st->wrote_disabled;
    bool wrote_other = want ? st->wrote_disabled : st->wrote_enabled;
    bool same_user = text_eq_nocase(st->target, user_id);

    if (wrote_other) {
        sync_result_set(r, SYNC_EXPORTED_OTHER, ERR_OK, "cloud sync wrote '%s' to Entra ID%s",
                        other,
                        read_other ? ": its agent read a DC that does not have the change" : "");
    } else if (read_other) {
        sync_result_set(r, SYNC_SAW_OTHER, ERR_OK,
                        "the provisioning agent read a DC where the account is still %s%s", other,
                        read_wanted ? ", in one of two contradicting places" : "");
    } else if (st->target[0] != '\0' && !same_user) {
        sync_result_set(r, SYNC_UNCLEAR, ERR_CONFLICT,
                        "cloud sync answered about another user than %s", user_id);
    } else if (st->result[0] == '\0') {
        sync_result_set(r, SYNC_UNCLEAR, ERR_INVALID,
                        "cloud sync took the push, and its answer cannot be read");
    } else if (success && wrote_wanted && same_user && !st->export_failed) {
        sync_result_set(r, SYNC_PROVEN, ERR_OK, "cloud sync wrote '%s' to Entra ID", wanted);
    } else if (skipped && strcmp(st->code, "RedundantExport") == 0 && read_wanted && same_user) {
        sync_result_set(r, SYNC_PROVEN, ERR_OK,
                        "Active Directory and Entra ID both have '%s' already", wanted);
    } else if (success) {
        sync_result_set(r, SYNC_NO_PROOF, ERR_OK,
                        "cloud sync reports success, and does not say that it wrote '%s'", wanted);
    } else if (skipped) {
        sync_result_set(r, SYNC_SKIPPED, ERR_OK, "cloud sync skipped the user%s%s%s%s",
                        st->code[0] != '\0' ? ": " : "", st->code,
                        st->message[0] != '\0' ? ": " : "", st->message);
    } else if (!text_eq_nocase(st->result, "Failure") && !text_eq_nocase(st->result, "Failed")) {
        sync_result_set(r, SYNC_UNCLEAR, ERR_INVALID, "cloud sync answered '%s', which is unknown",
                        st->result);
    } else {
        sync_result_set(r, SYNC_FAILED, ERR_REFUSED,
                        "cloud sync could not push the user: %s%s%s%s%s", st->result,
                        st->code[0] != '\0' ? ", " : "", st->code,
                        st->message[0] != '\0' ? ": " : "", st->message);
    }
}

void sync_read_answer(const struct cJSON *body, const char *user_id, bool want_enabled,
                      struct sync_result *r)
{
    struct story st = {0};

    if (!read_story(body, &st))
        st.result[0] = '\0';
    judge(&st, user_id, want_enabled, r);
}
