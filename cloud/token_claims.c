/* cloud/token_claims.c -- what an access token says of itself, and what a challenge demands.
 *
 * The token is Microsoft's to read, not ours, and its signature is not checked: what is taken from
 * it only ever becomes words for a person. entra-graph.md 2.6, 11.2, 11.3.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "cloud/token_inside.h"

enum {
    ROLES_MAX = 16 * 1024,
    WIDS_MAX = 4 * 1024,
    ROLE_MAX = 128,
    CLAIMS_DEPTH = 12,
};

void token_claims_init(struct token_claims *k)
{
    *k = (struct token_claims){0};
    text_init(&k->roles, ROLES_MAX);
    text_init(&k->wids, WIDS_MAX);
}

void token_claims_done(struct token_claims *k)
{
    text_done(&k->roles);
    text_done(&k->wids);
    *k = (struct token_claims){0};
    text_init(&k->roles, ROLES_MAX);
    text_init(&k->wids, WIDS_MAX);
}

static bool is_guid(const char *s)
{
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s[i] != '-' : strchr("0123456789abcdefABCDEF", s[i]) == NULL || s[i] == '\0')
            return false;
    }
    return s[36] == '\0';
}

static bool is_word(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > ROLE_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] <= ' ' || s[i] > '~')
            return false;
    }
    return true;
}

static void take_roles(struct token_claims *k, const struct cJSON *list)
{
    for (const struct cJSON *j = json_is_array(list) ? json_first(list) : NULL; j != NULL;
         j = json_next(j)) {
        const char *s = json_value_str(j);

        if (s != NULL && is_word(s))
            text_addn(&k->roles, s, strlen(s) + 1);
    }
}

/* The payload of a JWT; NULL where the token is opaque. */
static struct cJSON *payload(const char *token, size_t n)
{
    static const struct json_limits lim = {.bytes = TOKEN_MAX,
                                           .depth = CLAIMS_DEPTH,
                                           .members = 1024,
                                           .string = 16 * 1024,
                                           .flags = JSON_FLOATS};
    const char *one = memchr(token, '.', n);
    const char *two = one != NULL ? memchr(one + 1, '.', n - (size_t)(one + 1 - token)) : NULL;
    CLEANUP(cleanup_charp) char *buf = NULL;
    struct cJSON *j = NULL;
    struct err e;
    size_t len, got = 0;

    if (two == NULL || n > TOKEN_MAX)
        return NULL;
    len = (size_t)(two - one - 1);
    buf = malloc(len + 1);
    if (buf == NULL || !jws_unb64url((uint8_t *)buf, len, one + 1, len, &got) ||
        json_parse(buf, got, &lim, &j, &e) < 0)
        return NULL;
    if (!json_is_object(j)) {
        json_free(j);
        return NULL;
    }
    return j;
}

void token_claims_read(struct token_claims *k, const char *token, size_t n)
{
    CLEANUP(json_freep) struct cJSON *j = payload(token, n);
    const struct cJSON *wids = json_get(j, "wids");
    const char *oid = json_str(j, "oid");

    token_claims_done(k);
    if (j == NULL)
        return;
    k->readable = true;
    take_roles(k, json_get(j, "roles"));
    take_roles(k, json_get(j, "scp")); /* Okta: what it calls scopes */
    for (const struct cJSON *w = json_is_array(wids) ? json_first(wids) : NULL; w != NULL;
         w = json_next(w)) {
        const char *s = json_value_str(w);

        if (s != NULL && is_guid(s))
            text_addf(&k->wids, "%s%s", k->wids.len > 0 ? "," : "", s);
    }
    if (oid != NULL && is_guid(oid))
        memcpy(k->oid, oid, sizeof(k->oid));
}

bool token_claims_role(const struct token_claims *k, const char *role)
{
    for (size_t at = 0; at < k->roles.len; at += strlen(k->roles.s + at) + 1) {
        if (strcmp(k->roles.s + at, role) == 0)
            return true;
    }
    return false;
}

/* --- challenges -------------------------------------------------------------------- */

static int letter(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Either alphabet, with or without padding: services send all of these. */
static int decode(const char *s, struct text *t, struct err *e)
{
    size_t n = strlen(s);
    uint32_t bits = 0;
    unsigned have = 0;

    if (n > TOKEN_CLAIMS_MAX / 3 * 4)
        return err_set(e, ERR_TOOBIG, 0, "over %d bytes", TOKEN_CLAIMS_MAX);
    while (n > 0 && s[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++) {
        int v = letter(s[i]);

        if (v < 0)
            return err_set(e, ERR_INVALID, 0, "no base64");
        bits = (bits << 6 | (uint32_t)v) & 0xFFFFU;
        have += 6;
        if (have >= 8) {
            have -= 8;
            text_addc(t, (char)(unsigned char)(bits >> have));
        }
    }
    return text_check(t, "text", e);
}

/* Write `v`, the member `name` of `parent` (NULL: an item), as it is. False: it holds what this
 * cannot tell apart (true, false or null as an item of a list). Depth was limited by the parser. */
static bool copy(struct json_out *o, const struct cJSON *parent, const char *name,
                 const struct cJSON *v)
{
    int64_t number;
    bool yes, ok = true;

    if (json_is_object(v) || json_is_array(v)) {
        bool object = json_is_object(v);

        if (object)
            json_out_object(o, name);
        else
            json_out_array(o, name);
        for (const struct cJSON *c = json_first(v); c != NULL; c = json_next(c))
            ok = copy(o, object ? v : NULL, object ? json_name(c) : NULL, c) && ok;
        if (object)
            json_out_end_object(o);
        else
            json_out_end_array(o);
    } else if (json_value_str(v) != NULL) {
        json_out_str(o, name, json_value_str(v));
    } else if (json_value_i64(v, &number)) {
        json_out_i64(o, name, number);
    } else if (parent == NULL) {
        ok = false;
    } else if (json_bool(parent, name, &yes)) {
        json_out_bool(o, name, yes);
    } else {
        json_out_null(o, name);
    }
    return ok;
}

/* "access_token" as the challenge has it, and "xms_cc" as we have it. */
static bool copy_access_token(struct json_out *o, const struct cJSON *from)
{
    bool ok = true;

    json_out_object(o, "access_token");
    for (const struct cJSON *c = from != NULL ? json_first(from) : NULL; c != NULL;
         c = json_next(c)) {
        if (strcmp(json_name(c), "xms_cc") != 0)
            ok = copy(o, from, json_name(c), c) && ok;
    }
    json_out_object(o, "xms_cc");
    json_out_array(o, "values");
    json_out_str(o, NULL, "cp1");
    json_out_end_array(o);
    json_out_end_object(o);
    json_out_end_object(o);
    return ok;
}

int token_claims_merge(const char *challenge, struct text *t, struct err *e)
{
    static const struct json_limits lim = {
        .bytes = TOKEN_CLAIMS_MAX, .depth = 8, .members = 64, .string = 4096};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const struct cJSON *access_token;
    struct text plain = TEXT_INIT(TOKEN_CLAIMS_MAX);
    struct json_out o;
    bool ok = true;
    int rc = 0;

    if (challenge != NULL) {
        rc = decode(challenge, &plain, e);
        if (rc == 0)
            rc = json_parse(plain.s, plain.len, &lim, &j, e);
        text_done(&plain);
        if (rc < 0)
            return err_wrap(e, "claims challenge");
        if (!json_is_object(j))
            return err_set(e, ERR_INVALID, 0, "claims challenge: no object");
    }
    access_token = json_get(j, "access_token");
    if (access_token != NULL && !json_is_object(access_token))
        return err_set(e, ERR_INVALID, 0, "claims challenge: 'access_token' is no object");

    json_out_init(&o, t);
    json_out_object(&o, NULL);
    for (const struct cJSON *c = j != NULL ? json_first(j) : NULL; c != NULL; c = json_next(c)) {
        if (c != access_token)
            ok = copy(&o, j, json_name(c), c) && ok;
    }
    ok = copy_access_token(&o, access_token) && ok;
    json_out_end_object(&o);
    if (!ok)
        return err_set(e, ERR_INVALID, 0, "claims challenge: of a form that we do not pass on");
    return text_check(t, "claims challenge", e);
}
