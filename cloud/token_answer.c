/* cloud/token_answer.c -- what a token service answers: a token, or why not, in words.
 *
 * Everything here comes from outside. A token is taken only whole and in its form; of a refusal the
 * numbers are looked up in a table of ours, and the service's own words are shown shortened and
 * made safe, where we have none. entra-graph.md 2.3, 2.6, 2.7; okta.md 2.2.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/stamp.h"
#include "cloud/token_inside.h"

static const struct json_limits limits = {.bytes = TOKEN_ANSWER_MAX,
                                          .depth = 8,
                                          .members = 64,
                                          .string = TOKEN_MAX,
                                          .flags = JSON_FLOATS};

/* --- a token ------------------------------------------------------------------------- */

/* The tree holds the token once more: wiped before its memory is given back. */
static void wipe_tree(struct cJSON **j)
{
    for (const struct cJSON *c = *j != NULL ? json_first(*j) : NULL; c != NULL; c = json_next(c)) {
        char *s = (char *)(uintptr_t)json_value_str(c);

        if (s != NULL)
            explicit_bzero(s, strlen(s));
    }
    json_free(*j);
}

/* A whole number, written as one or as a string. */
static bool number(const struct cJSON *j, const char *name, int64_t *ret)
{
    const char *s = json_str(j, name);

    return s != NULL ? text_to_i64(s, INT64_MIN, INT64_MAX, ret) : json_i64(j, name, ret);
}

/* Seconds it still lives. */
static int life(const struct cJSON *j, int64_t now_ms, int64_t *ret_s, struct err *e)
{
    int64_t in = 0, on = 0, left;
    bool has_in = number(j, "expires_in", &in), has_on = number(j, "expires_on", &on);

    if (!has_in && !has_on)
        return err_set(e, ERR_INVALID, 0, "the answer does not say how long the token lives");
    /* Metadata services keep tokens, and some then name the whole life and not what is left of it:
     * the point in time is the better word, where the clock it is measured by is their own. */
    if (!has_in && now_ms == 0)
        now_ms = stamp_now_ms();
    if (has_on && now_ms > 0 && on > -(INT64_C(1) << 40) && on < INT64_C(1) << 40) {
        left = on - now_ms / 1000;
        if (!has_in || left < in)
            in = left;
        has_in = true;
    }
    if (!has_in || in <= 0)
        return err_set(e, ERR_INVALID, 0, "the answer's token has ended already");
    *ret_s = in < TOKEN_LIFE_MAX_S ? in : TOKEN_LIFE_MAX_S;
    return 0;
}

/* "https://graph.microsoft.com" and "https://graph.microsoft.com/" are one. */
static bool same_resource(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);

    while (n > 0 && a[n - 1] == '/')
        n--;
    while (m > 0 && b[m - 1] == '/')
        m--;
    return n == m && strncasecmp(a, b, n) == 0;
}

/* Did a metadata service give what was asked for? Old agents of Azure Arc do not know of several
 * identities, and give the machine's own instead without a word. */
static int check_echo(const struct token_conf *c, const struct cJSON *j, struct err *e)
{
    const char *id = json_str(j, "client_id"), *resource = json_str(j, "resource");

    if (c->way != TOKEN_BY_IMDS && c->way != TOKEN_BY_ARC)
        return 0;
    if (resource != NULL && resource[0] != '\0' && !same_resource(resource, c->scope))
        return err_set(e, ERR_INVALID, 0, "the token is for another resource than asked for");
    if (c->client_id == NULL)
        return 0;
    if (id != NULL ? !text_eq_nocase(id, c->client_id) : c->way == TOKEN_BY_ARC)
        return err_set(e, ERR_AUTH, 0, "the token is for another identity than '%s'%s",
                       c->client_id,
                       c->way == TOKEN_BY_ARC
                           ? ": update the Azure Connected Machine agent, or use the machine's own"
                           : "");
    return 0;
}

int token_answer_read(const struct token_conf *c, const char *body, size_t n, int64_t now_ms,
                      struct token_got *ret_got, struct err *e)
{
    CLEANUP(wipe_tree) struct cJSON *j = NULL;
    CLEANUP(secret_freep) struct secret *s = NULL;
    const char *token, *type;
    size_t len;
    int64_t secs = 0, refresh = 0;

    if (json_parse(body, n, &limits, &j, e) < 0)
        return err_wrap(e, "the answer is no token");
    token = json_str(j, "access_token");
    type = json_str(j, "token_type");
    if (token == NULL)
        return err_set(e, ERR_INVALID, 0, "the answer has no access_token");
    if (type == NULL || !text_eq_nocase(type, "Bearer"))
        return err_set(e, ERR_INVALID, 0, "the answer's token is not of the type Bearer");
    len = strlen(token);
    if (len == 0)
        return err_set(e, ERR_INVALID, 0, "the answer has no access_token");
    for (size_t i = 0; i < len; i++) { /* H5: it becomes part of a header */
        if (token[i] <= ' ' || token[i] > '~')
            return err_set(e, ERR_INVALID, 0, "the answer's token has characters that none has");
    }
    if (life(j, now_ms, &secs, e) < 0 || check_echo(c, j, e) < 0)
        return -1;
    if (!number(j, "refresh_in", &refresh) || refresh <= 0 || refresh >= secs)
        refresh = 0;

    if (secret_new(len + strlen("Bearer "), &s, e) < 0)
        return -1;
    memcpy(secret_bytes(s), "Bearer ", strlen("Bearer "));
    memcpy(secret_bytes(s) + strlen("Bearer "), token, len);
    *ret_got = (struct token_got){.authorization = TAKE(s),
                                  .life_ms = (uint64_t)secs * 1000,
                                  .refresh_ms = (uint64_t)refresh * 1000};
    return 0;
}

/* Microsoft's rule: as good as over five minutes before the end; what lives longer than two hours
 * is renewed at half its life, or when the service says. What lives shorter is renewed a little
 * before it is as good as over, so that nobody ever waits for it. */
void token_plan(uint64_t life_ms, uint64_t refresh_in_ms, uint64_t *ret_use_ms,
                uint64_t *ret_refresh_ms)
{
    const uint64_t minute = 60000, hour = 60 * minute;
    uint64_t margin = life_ms / 5 < 5 * minute ? life_ms / 5 : 5 * minute;
    uint64_t use = life_ms - margin, refresh;

    if (refresh_in_ms != 0 && refresh_in_ms < use)
        refresh = refresh_in_ms;
    else if (life_ms > 2 * hour)
        refresh = life_ms / 2;
    else
        refresh = use - margin;
    *ret_use_ms = use;
    *ret_refresh_ms = refresh;
}

/* --- a refusal ------------------------------------------------------------------------- */

/* What to do about it, where that is the same for several. */
#define DO_SECRET "make a new one in the app registration and put it into"
#define DO_CERT "register the certificate of this file with the app registration:"
#define DO_TENANT "check tenant, login_url and cloud"
#define DO_SCOPE "check graph_url and cloud"
#define DO_FEDERATED "compare the federated credential of the app registration with the token in"
#define DO_ATTACK                                                                                \
    "check tenant and client_id; if they are right, find out who did that: it takes cordon out " \
    "of "                                                                                        \
    "play"
#define DO_REPORT "this is a mistake of cordon: please report it"
#define DO_CLOCK "set this machine's clock (NTP)"

/* Microsoft reserves the right to change these: `error` decides where there is no number that we
 * know. Ordered by class. */
static const struct trouble {
    int number;
    enum token_class class;
    bool names_file; /* the file stands behind `todo` */
    const char *words, *todo;
} troubles[] = {
    {7000215, TOKEN_FATAL, true, "the client secret is wrong", "put its value (not its id) into"},
    {7000222, TOKEN_FATAL, true, "the client secret has expired", DO_SECRET},
    {7000218, TOKEN_OURS, false, "the request had no credential", DO_REPORT},
    {900144, TOKEN_OURS, false, "the request lacked a parameter", DO_REPORT},
    {700016, TOKEN_FATAL, false, "the application is not in this tenant", DO_ATTACK},
    {700011, TOKEN_FATAL, false, "the application is not in this tenant", DO_ATTACK},
    {7000112, TOKEN_FATAL, false, "the application has been disabled", DO_ATTACK},
    {700027, TOKEN_SIGNING, true, "the signature of our assertion was refused", DO_CERT},
    {50012, TOKEN_FATAL, true, "the certificate was refused", DO_CERT},
    {900384, TOKEN_FATAL, true, "the signature of our assertion was refused", DO_CERT},
    {700030, TOKEN_FATAL, true, "the subject of the certificate was refused", DO_CERT},
    {700024, TOKEN_CLOCK, false, "our assertion is outside its time", DO_CLOCK},
    {50013, TOKEN_CLOCK, false, "our assertion is not valid, or outside its time", DO_CLOCK},
    {500133, TOKEN_CLOCK, false, "our assertion is outside its time", DO_CLOCK},
    {700213, TOKEN_FATAL, true, "no federated credential has this subject", DO_FEDERATED},
    {700211, TOKEN_FATAL, true, "no federated credential has this issuer", DO_FEDERATED},
    {700212, TOKEN_FATAL, true, "no federated credential has this audience", DO_FEDERATED},
    {90002, TOKEN_FATAL, false, "there is no such tenant here", DO_TENANT},
    {90038, TOKEN_FATAL, false, "the tenant is in another national cloud", DO_TENANT},
    {900382, TOKEN_FATAL, false, "the tenant is in another national cloud", DO_TENANT},
    {900432, TOKEN_FATAL, false, "the tenant is in another national cloud", DO_TENANT},
    {70011, TOKEN_FATAL, false, "the scope is not valid", DO_SCOPE},
    {700022, TOKEN_FATAL, false, "the scope names several resources", DO_SCOPE},
    {500011, TOKEN_FATAL, false, "the tenant does not know this resource", DO_SCOPE},
    {650057, TOKEN_FATAL, false, "the application may not ask for this resource", DO_SCOPE},
    {530032, TOKEN_FATAL, false, "a security policy of the tenant blocks us",
     "exempt cordon's application from that policy, or allow this machine's address"},
    {53003, TOKEN_FATAL, false, "Conditional Access blocks us",
     "exempt cordon's application from that policy, or allow this machine's address"},
    {90055, TOKEN_RETRY, false, "too many requests", "wait"},
    {90006, TOKEN_RETRY, false, "the service is not well", "wait"},
    {90012, TOKEN_RETRY, false, "the service took too long", "wait"},
    {90024, TOKEN_RETRY, false, "the service is busy", "wait"},
    {90033, TOKEN_RETRY, false, "the service is not well", "wait"},
    {90090, TOKEN_RETRY, false, "the service is not well", "wait"},
};

/* OAuth's own words, RFC 6749 5.2, as Okta uses them. */
static const struct word {
    const char *word;
    enum token_class class;
    bool names_file;
    const char *words, *todo;
} okta_words[] = {
    {"invalid_client", TOKEN_SIGNING, true,
     "client_id, key_id or the signature was refused, or our clock is wrong",
     "register the public key of this file with the service app:"},
    {"invalid_scope", TOKEN_FATAL, false, "a scope is not granted",
     "grant the scopes to the service app"},
    {"access_denied", TOKEN_FATAL, false, "we are not let in from this address",
     "check the network zones of the service app"},
    {"invalid_dpop_proof", TOKEN_FATAL, false, "the service app demands DPoP",
     "switch 'Require Demonstrating Proof of Possession' off in the service app"},
    {"unsupported_grant_type", TOKEN_FATAL, false, "it is no service app",
     "make one of the type API Services"},
    {"temporarily_unavailable", TOKEN_RETRY, false, "the service is not well", "wait"},
    {"invalid_request", TOKEN_FATAL, false, "the request was not understood",
     "check url: it must be the org's own"},
};

static const struct trouble *find(int64_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(troubles); i++) {
        if (troubles[i].number == n)
            return &troubles[i];
    }
    return NULL;
}

/* The number: the first in error_codes that we know, or else the first; or the one in the text. */
static int64_t aadsts(const struct cJSON *j, const char *description)
{
    const struct cJSON *list = json_get(j, "error_codes");
    const char *at = description != NULL ? strstr(description, "AADSTS") : NULL;
    int64_t first = 0, n;

    for (const struct cJSON *c = json_is_array(list) ? json_first(list) : NULL; c != NULL;
         c = json_next(c)) {
        if (!json_value_i64(c, &n) || n <= 0 || n > INT32_MAX)
            continue;
        if (find(n) != NULL)
            return n;
        if (first == 0)
            first = n;
    }
    if (first == 0 && at != NULL) {
        char digits[12] = "";

        at += strlen("AADSTS");
        (void)snprintf(digits, sizeof(digits), "%.*s", (int)strspn(at, "0123456789"), at);
        if (text_to_i64(digits, 1, INT32_MAX, &n))
            first = n;
    }
    return first;
}

/* " (trace ...)": what Microsoft's support asks for. Letters of an id, and nothing else. */
static const char *trace(char buf[96], const struct cJSON *j, const char *request_id)
{
    const char *s = json_str(j, "trace_id");
    size_t n;

    buf[0] = '\0';
    if (s == NULL || s[0] == '\0')
        s = request_id;
    n = strlen(s);
    if (n > 0 && n <= 64 &&
        strspn(s, "0123456789abcdefABCDEFghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ"
                  "-_.") == n)
        (void)snprintf(buf, 96, " (trace %s)", s);
    return buf;
}

/* One line of the service's own text: Microsoft puts ids and times behind the first. */
static const char *first_line(char buf[TEXT_SHOWN], const char *s)
{
    return text_shownn(buf, s, strcspn(s, "\r\n"));
}

static enum err_code code_of(enum token_class class)
{
    return class == TOKEN_RETRY ? ERR_BUSY : class == TOKEN_OURS ? ERR_INTERNAL : ERR_AUTH;
}

static enum token_class say(const struct token_conf *c, enum token_class class, bool names_file,
                            const char *who, const char *words, const char *todo,
                            const char *trace_text, int native, struct err *e)
{
    char shown[TEXT_SHOWN], ended[STAMP_TEXT + 40] = "", at[STAMP_TEXT];
    bool file = names_file && c->file != NULL;

    if ((class == TOKEN_SIGNING || names_file) && c->kind == TOKEN_CERTIFICATE &&
        c->credential_ends > 0 && c->credential_ends < stamp_now_ms() + c->clock_off_ms)
        (void)snprintf(ended, sizeof(ended), " (it ended on %.10s)",
                       stamp_iso(at, c->credential_ends));
    err_set_text(e, code_of(class), native, "%s: %s: %s%s%s%s%s%s", who, words, todo,
                 file         ? " '"
                 : names_file ? " the app registration"
                              : "",
                 file ? text_shown(shown, c->file) : "", file ? "'" : "", ended, trace_text);
    return class;
}

static enum token_class say_entra(const struct token_conf *c, long status, const struct cJSON *j,
                                  const char *request_id, struct err *e)
{
    const char *word = json_str(j, "error"), *description = json_str(j, "error_description");
    int64_t n = aadsts(j, description);
    const struct trouble *t = find(n);
    char who[32], trace_text[96], shown[TEXT_SHOWN], shown2[TEXT_SHOWN];

    (void)trace(trace_text, j, request_id);
    (void)snprintf(who, sizeof(who), "AADSTS%" PRId64, n);
    if (t != NULL)
        return say(c, t->class, t->names_file, who, t->words, t->todo, trace_text, (int)n, e);
    if (word == NULL)
        word = "?";
    if (strcmp(word, "temporarily_unavailable") == 0 || status >= 500)
        err_set_text(e, ERR_BUSY, (int)status, "the service is not well: %s%s",
                     first_line(shown, description != NULL ? description : word), trace_text);
    else
        err_set_text(e, ERR_AUTH, n > 0 ? (int)n : (int)status, "HTTP %ld, %s: '%s'%s", status,
                     text_shownn(shown, word, strnlen(word, 40)),
                     first_line(shown2, description != NULL ? description : ""), trace_text);
    return e->code == ERR_BUSY ? TOKEN_RETRY : TOKEN_FATAL;
}

static enum token_class say_okta(const struct token_conf *c, long status, const struct cJSON *j,
                                 const char *request_id, struct err *e)
{
    const char *word = json_str(j, "error"), *description = json_str(j, "error_description");
    char who[64], trace_text[96], shown[TEXT_SHOWN], shown2[TEXT_SHOWN];

    (void)trace(trace_text, NULL, request_id);
    if (word == NULL) /* Okta's API errors, not OAuth's: {"errorCode","errorSummary"} */
        word = json_str(j, "errorCode");
    if (description == NULL)
        description = json_str(j, "errorSummary");
    if (word == NULL)
        word = "?";
    for (size_t i = 0; i < ARRAY_LEN(okta_words); i++) {
        const struct word *w = &okta_words[i];

        if (strcmp(w->word, word) != 0)
            continue;
        (void)snprintf(who, sizeof(who), "Okta: %s", word);
        return say(c, w->class, w->names_file, who, w->words, w->todo, trace_text, (int)status, e);
    }
    err_set_text(e, status >= 500 ? ERR_BUSY : ERR_AUTH, (int)status, "Okta: HTTP %ld, %s: '%s'%s",
                 status, text_shownn(shown, word, strnlen(word, 40)),
                 first_line(shown2, description != NULL ? description : ""), trace_text);
    return e->code == ERR_BUSY ? TOKEN_RETRY : TOKEN_FATAL;
}

static enum token_class say_managed(const struct token_conf *c, long status, const struct cJSON *j,
                                    struct err *e)
{
    const char *description = json_str(j, "error_description");
    const char *who = c->way == TOKEN_BY_ARC ? "Azure Arc's agent" : "the metadata service";
    char shown[TEXT_SHOWN];

    if (description == NULL)
        description = json_str(j, "error");
    if (description == NULL)
        description = "";
    (void)first_line(shown, description);
    if (status == 404 || status == 408 || status == 410 || status == 429 || status >= 500) {
        err_set_text(e, ERR_BUSY, (int)status, "%s cannot answer now (HTTP %ld%s)", who, status,
                     status == 502 || status == 504 ? ": is there a proxy in the way?" : "");
        return TOKEN_RETRY;
    }
    if (status == 400)
        err_set_text(e, ERR_AUTH, (int)status,
                     "%s knows no such identity ('%s'): assign one to this machine, and check "
                     "managed_identity",
                     who, shown);
    else
        err_set_text(e, ERR_AUTH, (int)status, "%s refused (HTTP %ld, '%s')", who, status, shown);
    return TOKEN_FATAL;
}

enum token_class token_refusal_read(const struct token_conf *c, long status, const char *body,
                                    size_t n, const char *request_id, struct err *e)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    char trace_text[96];
    struct err mine;
    bool json = json_parse(body, n, &limits, &j, &mine) == 0 && json_is_object(j);

    if (c->way == TOKEN_BY_IMDS || c->way == TOKEN_BY_ARC)
        return say_managed(c, status, j, e);
    if (status == 429 || status == 408 || (status >= 500 && !json)) {
        err_set_text(e, ERR_BUSY, (int)status, "the service cannot answer now (HTTP %ld)%s", status,
                     trace(trace_text, NULL, request_id));
        return TOKEN_RETRY;
    }
    if (!json) {
        err_set_text(e, ERR_INVALID, (int)status,
                     "HTTP %ld, and no answer of a token service: check login_url or url%s", status,
                     trace(trace_text, NULL, request_id));
        return TOKEN_FATAL;
    }
    return c->kind == TOKEN_OKTA_KEY ? say_okta(c, status, j, request_id, e)
                                     : say_entra(c, status, j, request_id, e);
}
