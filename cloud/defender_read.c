/* cloud/defender_read.c -- what Defender answers: errors, machines, actions, the library. Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "cloud/defender_inside.h"
#include "cloud/field.h"

/* Set by the service on what was onboarded with selective response actions
 * (defender-endpoint.md 5): Live Response runs no script there. */
#define RESTRICTED_TAG "Restricted security operations"

enum { ERROR_BODY_MAX = 64 * 1024, SCRIPT_NAME_MAX = 255, MACHINE_ID_LEN = 40 };

bool defender_machine_id_ok(const char *s)
{
    return s != NULL && strlen(s) == MACHINE_ID_LEN &&
           strspn(s, "0123456789abcdefABCDEF") == MACHINE_ID_LEN;
}

bool defender_script_name_ok(const char *s)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    return s != NULL && strlen(s) <= SCRIPT_NAME_MAX && s[strspn(s, set)] == '\0' && *s != '.' &&
           *s != '-' && text_ends_nocase(s, ".ps1");
}

/* --- errors ----------------------------------------------------------------------------------- */

static const struct {
    const char *code;
    enum defender_why why;
    enum err_code err;
    const char *words;
} kinds[] = {
    {"ActiveRequestAlreadyExists", DEFENDER_WHY_ACTIVE, ERR_BUSY,
     "another action runs on that machine"},
    {"OsPlatformNotSupported", DEFENDER_WHY_MACHINE, ERR_UNSUPPORTED,
     "Live Response does not work with that machine's Windows"},
    {"ClientVersionNotSupported", DEFENDER_WHY_MACHINE, ERR_UNSUPPORTED,
     "the sensor on that machine is too old"},
    {"DisabledFeature", DEFENDER_WHY_FEATURE, ERR_REFUSED,
     "switch on 'Live Response' and 'Live Response for Servers' in the portal's advanced features"},
    {"DisallowedOperation", DEFENDER_WHY_DISALLOWED, ERR_REFUSED,
     "not allowed on this device: its group has no remediation level, or it was onboarded in "
     "restricted mode"},
    {"Forbidden", DEFENDER_WHY_PERMISSION, ERR_DENIED,
     "grant cordon's application Machine.LiveResponse and Machine.Read.All (for publishing "
     "Library.Manage), with admin consent"},
    {"ResourceNotFound", DEFENDER_WHY_MACHINE, ERR_NOTFOUND, "there is no such thing"},
    {"NotFound", DEFENDER_WHY_MACHINE, ERR_NOTFOUND, "there is no such thing"},
    {"TooManyRequests", DEFENDER_WHY_THROTTLED, ERR_BUSY, "throttled, and not let through in time"},
};

static enum err_code code_of(long status, bool changes)
{
    if (status == 401)
        return ERR_AUTH;
    if (status == 403)
        return ERR_DENIED;
    if (status == 429 || (status == 503 && !changes))
        return ERR_BUSY;
    if (status >= 400 && status < 500)
        return ERR_REFUSED;
    if (status >= 500 && status < 600)
        return changes ? ERR_UNPROVEN : ERR_TIMEOUT;
    return changes ? ERR_UNPROVEN : ERR_INVALID; /* 3xx, or nothing we ever asked for */
}

int defender_read_error(long status, const char *body, size_t n, const char *foreign,
                        const char *request_id, bool changes, enum defender_why *ret_why,
                        struct err *e)
{
    const struct json_limits lim = {.bytes = ERROR_BODY_MAX, .flags = JSON_FLOATS};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const struct cJSON *error;
    char code[64], message[200], target[64], request[64];
    enum err_code ec = code_of(status, changes);
    enum defender_why why = DEFENDER_WHY_OTHER;
    const char *words = NULL;
    struct err ignored;

    /* HTML, or nothing: the status says enough. */
    if (foreign == NULL)
        (void)json_parse(body, n, &lim, &j, &ignored);
    error = json_get(j, "error");
    (void)field_shown(code, sizeof(code), json_str(error, "code"));
    (void)field_shown(message, sizeof(message), json_str(error, "message"));
    (void)field_shown(target, sizeof(target), json_str(error, "target"));
    (void)field_shown(request, sizeof(request), request_id);
    /* A code says what a 4xx means; a 5xx stays one, whatever it says. */
    for (size_t i = 0; status >= 400 && status < 500 && i < ARRAY_LEN(kinds); i++) {
        if (strcmp(code, kinds[i].code) == 0) {
            why = kinds[i].why;
            ec = kinds[i].err;
            words = kinds[i].words;
        }
    }
    if (foreign != NULL)
        words = "the answer is no JSON: a proxy or gateway said it, it seems";
    else if (words == NULL && status == 401)
        words = "the token is refused, a new one as well";
    *ret_why = why;
    return err_set(e, ec, (int)status, "Defender answers %ld%s%s%s%s%s%s (%s)", status,
                   code[0] != '\0' ? " " : "", code, words != NULL ? ": " : "",
                   words != NULL ? words : "", message[0] != '\0' ? ": " : "", message,
                   target[0] != '\0'    ? target
                   : request[0] != '\0' ? request
                                        : "no request id");
}

/* --- machines --------------------------------------------------------------------------------- */

static void lower(char *s)
{
    for (; *s != '\0'; s++) {
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
    }
}

static int read_tags(const struct cJSON *tags, const char *tag, struct defender_seen *s,
                     struct err *e)
{
    if (tags == NULL || json_is_null(tags))
        return 0;
    if (!json_is_array(tags))
        return err_set(e, ERR_INVALID, 0, "'machineTags' in the answer is no list");
    for (const struct cJSON *t = json_first(tags); t != NULL; t = json_next(t)) {
        const char *word = json_value_str(t);

        if (word == NULL)
            return err_set(e, ERR_INVALID, 0, "a tag in the answer is no text");
        s->restricted = s->restricted || text_eq_nocase(word, RESTRICTED_TAG);
        s->tagged = s->tagged || (tag != NULL && text_eq_nocase(word, tag));
    }
    return 0;
}

int defender_read_machine(const struct cJSON *j, const char *tag, struct defender_seen *ret_seen,
                          struct err *e)
{
    struct defender_seen s = {0};
    char onboarding[64];

    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, 0, "Defender: the answer is no machine");
    if (field_str(j, "id", FIELD_MUST, s.m.id, sizeof(s.m.id), e) < 0 ||
        field_str(j, "computerDnsName", FIELD_MAY_LACK, s.m.name, sizeof(s.m.name), e) < 0 ||
        field_str(j, "healthStatus", FIELD_MAY_LACK, s.m.health, sizeof(s.m.health), e) < 0 ||
        field_str(j, "osPlatform", FIELD_MAY_LACK, s.m.os, sizeof(s.m.os), e) < 0 ||
        field_str(j, "onboardingStatus", FIELD_MAY_LACK, onboarding, sizeof(onboarding), e) < 0 ||
        field_time(j, "lastSeen", FIELD_MAY_LACK, &s.m.seen_ms, e) < 0 ||
        read_tags(json_get(j, "machineTags"), tag, &s, e) < 0)
        return err_wrap(e, "Defender");
    if (!defender_machine_id_ok(s.m.id))
        return err_set(e, ERR_INVALID, 0, "Defender: a machine's id is not 40 hexadecimal digits");
    lower(s.m.id);
    lower(s.m.name);
    s.m.active = text_eq_nocase(s.m.health, "Active");
    s.onboarded = text_eq_nocase(onboarding, "onboarded");
    s.server = strncasecmp(s.m.os, "WindowsServer", 13) == 0;
    *ret_seen = s;
    return 0;
}

/* Is a better than b? 0: they fit equally well. Two that are active always do. */
static int better(const struct defender_seen *a, const struct defender_seen *b)
{
    if (a->m.active != b->m.active)
        return a->m.active ? 1 : -1;
    if (a->m.active || a->m.seen_ms == b->m.seen_ms)
        return 0;
    return a->m.seen_ms > b->m.seen_ms ? 1 : -1;
}

int defender_choose(const struct defender_seen *seen, size_t n, const char *host, size_t *ret_index,
                    struct err *e)
{
    unsigned named = 0, fit = 0, restricted = 0, equal = 0;
    const char *who = host != NULL ? host : "it";
    char shown[TEXT_SHOWN];
    size_t best = 0;

    for (size_t i = 0; i < n; i++) {
        const struct defender_seen *s = &seen[i];

        if (host != NULL && !text_eq_nocase(s->m.name, host))
            continue;
        named++;
        if (!s->onboarded || !s->server)
            continue;
        if (s->restricted) {
            restricted++;
            continue;
        }
        switch (fit++ == 0 ? 1 : better(s, &seen[best])) {
        case 1:
            best = i;
            equal = 0;
            break;
        case 0:
            equal = equal || strcmp(s->m.id, seen[best].m.id) != 0;
            break;
        default:
            break;
        }
    }
    (void)text_shown(shown, who);
    if (fit > 0 && !equal) {
        *ret_index = best;
        return 0;
    }
    if (equal)
        return err_set(e, ERR_AMBIGUOUS, 0,
                       "Defender knows several machines '%s' that fit equally well: name its id in "
                       "the settings",
                       shown);
    if (restricted > 0)
        return err_set(e, ERR_UNSUPPORTED, 0,
                       "Defender: '%s' was onboarded in restricted mode: no script can ever run "
                       "there (only offboarding and onboarding again changes that)",
                       shown);
    if (named > 0)
        return err_set(e, ERR_NOTFOUND, 0, "Defender: '%s' is no onboarded Windows server", shown);
    return err_set(e, ERR_NOTFOUND, 0, "Defender knows no machine '%s'", shown);
}

/* --- actions ---------------------------------------------------------------------------------- */

static void read_status(struct defender_action *a)
{
    a->succeeded = strcmp(a->status, "Succeeded") == 0;
    a->cancelled = strcmp(a->status, "Cancelled") == 0;
    a->in_progress = strcmp(a->status, "InProgress") == 0;
    a->timed_out = strcmp(a->status, "TimeOut") == 0;
    a->is_final = a->succeeded || a->cancelled || a->timed_out || strcmp(a->status, "Failed") == 0;
}

/* The first of the commands' errors. They are free text: shown, never judged by. */
static void read_command_errors(const struct cJSON *errors, struct defender_action *a)
{
    if (json_is_array(errors) && a->error[0] == '\0')
        (void)field_shown(a->error, sizeof(a->error), json_value_str(json_first(errors)));
}

static int read_commands(const struct cJSON *list, struct defender_action *a, struct err *e)
{
    if (list == NULL || json_is_null(list)) {
        a->began = a->ran = true; /* nobody said that it has not */
        return 0;
    }
    if (!json_is_array(list))
        return err_set(e, ERR_INVALID, 0, "'commands' in the answer is no list");
    a->began = a->ran = json_first(list) == NULL;
    for (const struct cJSON *c = json_first(list); c != NULL; c = json_next(c)) {
        char status[32], start[64];

        if (field_str(c, "commandStatus", FIELD_MAY_LACK, status, sizeof(status), e) < 0 ||
            field_str(c, "startTime", FIELD_MAY_LACK, start, sizeof(start), e) < 0)
            return -1;
        /* What is not said to be just created may have begun. */
        a->began = a->began || start[0] != '\0' || strcmp(status, "Created") != 0;
        a->ran = a->ran || strcmp(status, "Completed") == 0 || strcmp(status, "Failed") == 0;
        read_command_errors(json_get(c, "errors"), a);
    }
    return 0;
}

int defender_read_action(const struct cJSON *j, const char *mark,
                         struct defender_action *ret_action, struct err *e)
{
    struct defender_action a = {0};
    const char *comment;

    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, 0, "Defender: the answer is no action");
    if (field_str(j, "id", FIELD_MUST, a.id, sizeof(a.id), e) < 0 ||
        field_str(j, "status", FIELD_MUST, a.status, sizeof(a.status), e) < 0 ||
        field_str(j, "machineId", FIELD_MAY_LACK, a.machine, sizeof(a.machine), e) < 0 ||
        field_time(j, "creationDateTimeUtc", FIELD_MAY_LACK, &a.created_ms, e) < 0 ||
        read_commands(json_get(j, "commands"), &a, e) < 0)
        return err_wrap(e, "Defender");
    if (!field_guid_ok(a.id))
        return err_set(e, ERR_INVALID, 0, "Defender: an action's id is no GUID");
    comment = json_str(j, "requestorComment");
    a.ours = mark != NULL && comment != NULL && strstr(comment, mark) != NULL;
    read_status(&a);
    *ret_action = a;
    return 0;
}

int defender_read_actions(const struct cJSON *list, const char *mark,
                          struct defender_action *ret_action, bool *ret_found, struct err *e)
{
    bool found = false;

    if (!json_is_array(list))
        return err_set(e, ERR_INVALID, 0, "Defender: the answer is no list of actions");
    for (const struct cJSON *c = json_first(list); c != NULL; c = json_next(c)) {
        struct defender_action a;

        if (defender_read_action(c, mark, &a, e) < 0)
            return -1;
        if (!a.ours)
            continue;
        if (found && strcmp(a.id, ret_action->id) != 0)
            return err_set(e, ERR_AMBIGUOUS, 0, "Defender: two actions with our mark");
        *ret_action = a;
        found = true;
    }
    *ret_found = found;
    return 0;
}

/* --- the library ------------------------------------------------------------------------------ */

int defender_read_library(const struct cJSON *j, const char *name, char sha256_hex[65],
                          struct err *e)
{
    const struct cJSON *list = json_get(j, "value");

    if (!json_is_array(list))
        return err_set(e, ERR_INVALID, 0, "Defender: the library's answer is no list");
    for (const struct cJSON *f = json_first(list); f != NULL; f = json_next(f)) {
        const char *is = json_str(f, "fileName"), *hash = json_str(f, "sha256");
        uint8_t raw[32];

        if (is == NULL || !text_eq_nocase(is, name))
            continue;
        if (hash == NULL || !id_unhex(raw, sizeof(raw), hash))
            return err_set(e, ERR_INVALID, 0, "Defender: the library gives no hash of '%s'", name);
        id_hex(sha256_hex, raw, sizeof(raw));
        return 0;
    }
    return err_set(e, ERR_NOTFOUND, 0,
                   "Defender: '%s' is not in the library: cordon defender publish", name);
}
