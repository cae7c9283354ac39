/* agent/dc_payload.c -- see dc_payload.h. */
#include "agent/dc_payload.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/json.h"
#include "base/jws.h"
#include "ldap/uac.h"

#define WORD_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ._-?"
#define EXPIRES_MIN INT64_C(1000000000000) /* 13 digits: 2001 to 2286 */
#define EXPIRES_MAX INT64_C(9999999999999)
#define DOMAIN_MAX 254

static const char *const ops[] = {
    [DC_DISABLE] = "disable",
    [DC_ENABLE] = "enable",
    [DC_EXPIRE_PASSWORD] = "expire-password",
    [DC_RESET_PASSWORD] = "reset-password",
    [DC_PROBE] = "probe",
};
static const char *const outcomes[] = {
    [DC_DONE] = "done",     [DC_ALREADY] = "already", [DC_REFUSED] = "refused",
    [DC_FAILED] = "failed", [DC_UNKNOWN] = "unknown",
};
static const char *const logs[] = {
    [DC_LOG_SEEN] = "seen",
    [DC_LOG_NOT_SEEN] = "not-seen",
    [DC_LOG_UNREADABLE] = "unreadable",
    [DC_LOG_NOT_ASKED] = "not-asked",
};
/* The marker's members, in the order in which the script writes them. */
static const char *const members[] = {
    "v",   "version",    "op",        "outcome",    "code",      "detail",
    "sid", "uac_before", "uac_after", "pwd_before", "pwd_after", "usn",
    "log", "events",     "computer",  "lang",       "time",
};

static const struct {
    const char *code, *words;
} codes[] = {
    {"language", "PowerShell there runs in a restricted language mode; allow the script's signer "
                 "(WDAC), and run it again"},
    {"payload", "the order is not in the form that this script takes; publish the script of this "
                "cordon"},
    {"expired", "the order's time was over when it ran; look at the account, and try again"},
    {"too-far-ahead",
     "the order ends too far ahead; compare the clocks of the DC and of this host"},
    {"no-dc", "that machine is no domain controller; correct 'dcs' or the tag"},
    {"rodc", "that is a read-only domain controller; take it out of 'dcs'"},
    {"not-synchronized",
     "that DC has not replicated since it was started; repadmin /showrepl there"},
    {"another-domain", "the DC, or the account, is of another domain than the order"},
    {"another-account", "the object with that GUID has another SID; look the account up again"},
    {"built-in", "a built-in account"},
    {"krbtgt", "an account of the KDC"},
    {"no-user", "no ordinary user: a computer, a managed service account or a trust"},
    {"system-account", "an account of the synchronisation with Entra, or of Exchange"},
    {"cannot-judge", "the DC does not show what the script needs to judge the account by"},
    {"privileged", "a privileged account, or one that the script's $Never names"},
    {"smart-card-only", "logs on by smart card only: a forced change would do nothing; disable it"},
    {"cannot-change-password", "may not change the password, and would be locked out; use "
                               "reset-password or disable"},
    {"never-expires", "the password never expires, so a forced change would do nothing; use "
                      "--clear-never-expires, reset-password or disable"},
    {"what-if", "run with -WhatIf: nothing was changed"},
    {"not-so", "the DC took the change, and then it was not so; look who changed it back"},
    {"probe", "the script could run there"},
    {"exception", "the script failed there; the detail names the place"},
};

const char *dc_op_word(enum dc_op op)
{
    return ops[op];
}

const char *dc_outcome_word(enum dc_outcome outcome)
{
    return outcomes[outcome];
}

const char *dc_code_words(const char *code)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (strcmp(codes[i].code, code) == 0)
            return codes[i].words;
    }
    return text_starts(code, "ldap-") ? "the DC answered with that LDAP result" : NULL;
}

/* --- the order -------------------------------------------------------------------------- */

int dc_nonce(char buf[DC_NONCE], struct err *e)
{
    uint8_t raw[(DC_NONCE - 1) / 2];

    if (id_random(raw, sizeof(raw), e) < 0)
        return -1;
    id_hex(buf, raw, sizeof(raw));
    return 0;
}

static bool nonce_ok(const char *s)
{
    return strnlen(s, DC_NONCE) == DC_NONCE - 1 && strspn(s, "0123456789abcdef") == DC_NONCE - 1;
}

/* Lower case into buf. False: nothing that a DC would call its domain. */
static bool domain_lower(char buf[DOMAIN_MAX + 1], const char *s)
{
    size_t n = s != NULL ? strnlen(s, DOMAIN_MAX + 1) : 0;

    if (n == 0 || n > DOMAIN_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        buf[i] = (char)tolower((unsigned char)s[i]);
    buf[n] = '\0';
    return buf[0] != '.' && buf[0] != '-' &&
           strspn(buf, "abcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

static const char *wrong_with(const struct dc_order *o, bool probe)
{
    if ((unsigned)o->op >= ARRAY_LEN(ops))
        return "the operation";
    if (probe ? o->sid.n != 0 || !ad_guid_is_zero(&o->guid)
              : !ad_sid_is_account(&o->sid) || ad_guid_is_zero(&o->guid))
        return "the account";
    if (o->expires_ms < EXPIRES_MIN || o->expires_ms > EXPIRES_MAX)
        return "its time";
    if (!nonce_ok(o->nonce))
        return "the nonce";
    if (o->case_id == NULL || !id_ulid_ok(o->case_id))
        return "the case";
    if ((o->must_change && o->op != DC_RESET_PASSWORD) ||
        (o->clear_never_expires && o->op != DC_EXPIRE_PASSWORD && !o->must_change))
        return "the options";
    return NULL;
}

int dc_payload_build(const struct dc_order *o, struct text *payload, struct err *e)
{
    CLEANUP(text_done) struct text json = TEXT_INIT(DC_PAYLOAD_MAX * 3 / 4);
    CLEANUP(text_done) struct text coded = TEXT_INIT(DC_PAYLOAD_MAX);
    char sid[AD_SID_TEXT] = "", guid[AD_GUID_TEXT] = "", domain[DOMAIN_MAX + 1];
    bool probe = o->op == DC_PROBE;
    const char *wrong = wrong_with(o, probe);

    if (wrong == NULL && !domain_lower(domain, o->domain))
        wrong = "the domain";
    if (wrong != NULL)
        return err_set(e, ERR_INTERNAL, 0, "no order for the script: %s", wrong);
    if (!probe) {
        (void)ad_sid_to_text(&o->sid, sid);
        (void)ad_guid_to_text(&o->guid, guid);
    }
    /* One fixed form; nothing in it needs escaping, which is what was just made sure of. */
    text_addf(&json,
              "{\"v\":1,\"op\":\"%s\",\"sid\":\"%s\",\"guid\":\"%s\",\"domain\":\"%s\","
              "\"expires\":%" PRId64 ",\"nonce\":\"%s\",\"case\":\"%s\","
              "\"clear_never_expires\":%s,\"must_change\":%s}",
              ops[o->op], sid, guid, domain, o->expires_ms, o->nonce, o->case_id,
              o->clear_never_expires ? "true" : "false", o->must_change ? "true" : "false");
    jws_b64url(&coded, json.s, json.len);
    if (text_check(&json, "the order", e) < 0 || text_check(&coded, "the order", e) < 0)
        return -1;
    text_addn(payload, coded.s, coded.len);
    return text_check(payload, "the order", e);
}

/* --- the marker ------------------------------------------------------------------------- */

static int bad(struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID, 0, "the script's answer: %s", what);
}

/* A word of the script's alphabet, into buf. */
static int take_word(const struct cJSON *j, const char *name, char *buf, size_t cap, struct err *e)
{
    const char *s = json_str(j, name);
    size_t n = s != NULL ? strlen(s) : 0;

    if (s == NULL || n >= cap || strspn(s, WORD_CHARS) != n)
        return bad(e, name);
    memcpy(buf, s, n + 1);
    return 0;
}

static int take_choice(const struct cJSON *j, const char *name, const char *const *words, size_t n,
                       unsigned *ret, struct err *e)
{
    const char *s = json_str(j, name);

    for (unsigned i = 0; s != NULL && i < n; i++) {
        if (strcmp(s, words[i]) == 0) {
            *ret = i;
            return 0;
        }
    }
    return bad(e, name);
}

static int take_number(const struct cJSON *j, const char *name, int64_t min, int64_t max,
                       bool *ret_has, int64_t *ret, struct err *e)
{
    const struct cJSON *v = json_get(j, name);

    if (v != NULL && json_is_null(v))
        return 0;
    if (!json_value_i64(v, ret) || *ret < min || *ret > max)
        return bad(e, name);
    *ret_has = true;
    return 0;
}

static int take_uac(const struct cJSON *j, const char *name, bool *ret_has, uint32_t *ret,
                    struct err *e)
{
    int64_t v = 0;

    if (take_number(j, name, INT32_MIN, INT32_MAX, ret_has, &v, e) < 0)
        return -1;
    *ret = (uint32_t)(int32_t)v; /* a signed 32-bit integer in the directory */
    return 0;
}

/* Text, since it does not fit into the integers of JSON. "": not told. */
static int take_time(const struct cJSON *j, const char *name, bool *ret_has, int64_t *ret,
                     struct err *e)
{
    const char *s = json_str(j, name);

    if (s != NULL && s[0] == '\0')
        return 0;
    if (s == NULL || !text_to_i64(s, 0, INT64_MAX, ret))
        return bad(e, name);
    *ret_has = true;
    return 0;
}

static int take_events(const struct cJSON *j, struct dc_said *s, struct err *e)
{
    const struct cJSON *list = json_get(j, "events");
    bool has;

    if (!json_is_array(list))
        return bad(e, "events");
    for (const struct cJSON *c = json_first(list); c != NULL; c = json_next(c)) {
        struct dc_event *ev = &s->events[s->event_count];
        const struct cJSON *id = json_first(c);

        if (s->event_count == DC_EVENTS || !json_is_object(c) || id == NULL ||
            json_next(id) == NULL || json_next(json_next(id)) != NULL)
            return bad(e, "events");
        has = false;
        if (take_number(c, "id", 4722, 4738, &has, &ev->id, e) < 0 || !has)
            return bad(e, "events");
        has = false;
        if (take_number(c, "record", 1, INT64_MAX, &has, &ev->record, e) < 0 || !has)
            return bad(e, "events");
        s->event_count++;
    }
    return 0;
}

/* All members, and no other; the reader has refused doubles already. */
static int check_members(const struct cJSON *j, struct err *e)
{
    size_t n = 0;

    if (!json_is_object(j))
        return bad(e, "no object");
    for (const struct cJSON *c = json_first(j); c != NULL; c = json_next(c))
        n++;
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (json_get(j, members[i]) == NULL)
            return bad(e, members[i]);
    }
    return n == ARRAY_LEN(members) ? 0 : bad(e, "more than it should say");
}

/* Is it an answer to this order? */
static int check_order(const struct cJSON *j, const struct dc_order *o, struct err *e)
{
    char sid[AD_SID_TEXT] = "";
    const char *op = json_str(j, "op"), *theirs = json_str(j, "sid");
    int64_t v;

    (void)ad_sid_to_text(&o->sid, sid);
    if (!json_i64(j, "v", &v) || v != 1)
        return bad(e, "another version");
    if (op == NULL || strcmp(op, ops[o->op]) != 0)
        return bad(e, "another operation");
    if (theirs == NULL || strcmp(theirs, sid) != 0)
        return bad(e, "another account");
    return 0;
}

/* Where an outcome says more than the values beside it, none of it is believed. */
static int check_sense(const struct dc_said *s, const struct dc_order *o, struct err *e)
{
    bool done = s->outcome == DC_DONE, changed = done || s->outcome == DC_UNKNOWN;
    bool has = done ? s->has_uac_after : s->has_uac_before;
    uint32_t uac = done ? s->uac_after : s->uac_before;
    bool has_pwd = done ? s->has_pwd_after : s->has_pwd_before;
    int64_t pwd = done ? s->pwd_after : s->pwd_before;

    if (!changed && (s->has_uac_after || s->has_pwd_after || s->usn != 0 || s->event_count > 0))
        return bad(e, "nothing changed, and a value afterwards");
    if (s->log == DC_LOG_SEEN && s->event_count == 0)
        return bad(e, "seen in a log, without a record");
    if (o->op == DC_PROBE)
        return s->outcome == DC_ALREADY || s->has_uac_before ? bad(e, "a probe that did something")
                                                             : 0;
    if (!done && s->outcome != DC_ALREADY)
        return 0;
    if (!has)
        return bad(e, "no value of userAccountControl");
    switch (o->op) {
    case DC_DISABLE:
        return (uac & AD_UAC_ACCOUNTDISABLE) != 0 ? 0 : bad(e, "it shows the account enabled");
    case DC_ENABLE:
        return (uac & AD_UAC_ACCOUNTDISABLE) == 0 ? 0 : bad(e, "it shows the account disabled");
    case DC_EXPIRE_PASSWORD:
        return has_pwd && pwd == 0 && (uac & AD_UAC_DONT_EXPIRE_PASSWORD) == 0
                   ? 0
                   : bad(e, "it shows a password that is good");
    default: /* a reset is never "already so" */
        return done && has_pwd && (!o->must_change || pwd == 0) ? 0 : bad(e, "it shows no reset");
    }
}

int dc_marker_read(const char *json, size_t n, const struct dc_order *o, struct dc_said *ret_said,
                   struct err *e)
{
    const struct json_limits lim = {
        .bytes = DC_MARKER_JSON_MAX, .depth = 4, .members = 32, .string = 512};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct dc_said s = {0};
    unsigned outcome = 0, log = 0;
    bool has = false;

    if (json_parse(json, n, &lim, &j, e) < 0)
        return err_wrap(e, "the script's answer");
    if (check_members(j, e) < 0 || check_order(j, o, e) < 0 ||
        take_choice(j, "outcome", outcomes, ARRAY_LEN(outcomes), &outcome, e) < 0 ||
        take_choice(j, "log", logs, ARRAY_LEN(logs), &log, e) < 0 ||
        take_word(j, "version", s.version, sizeof(s.version), e) < 0 ||
        take_word(j, "code", s.code, sizeof(s.code), e) < 0 ||
        take_word(j, "detail", s.detail, sizeof(s.detail), e) < 0 ||
        take_word(j, "computer", s.computer, sizeof(s.computer), e) < 0 ||
        take_word(j, "lang", s.lang, sizeof(s.lang), e) < 0 ||
        take_uac(j, "uac_before", &s.has_uac_before, &s.uac_before, e) < 0 ||
        take_uac(j, "uac_after", &s.has_uac_after, &s.uac_after, e) < 0 ||
        take_time(j, "pwd_before", &s.has_pwd_before, &s.pwd_before, e) < 0 ||
        take_time(j, "pwd_after", &s.has_pwd_after, &s.pwd_after, e) < 0 ||
        take_number(j, "usn", 1, INT64_MAX, &has, &s.usn, e) < 0 || take_events(j, &s, e) < 0)
        return -1;
    has = false;
    if (take_number(j, "time", 1, EXPIRES_MAX, &has, &s.time_ms, e) < 0 || !has)
        return bad(e, "time");
    s.outcome = (enum dc_outcome)outcome;
    s.log = (enum dc_log)log;
    if (check_sense(&s, o, e) < 0)
        return -1;
    *ret_said = s;
    return 0;
}
