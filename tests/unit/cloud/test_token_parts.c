/* tests/unit/cloud/test_token_parts.c -- what a token service answers, and what is made for it: no
 * network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "cloud/token_inside.h"
#include "tests/unit/alloc.h"
#include "tests/unit/keys.h"

static char dir[] = "/tmp/cordon-token-XXXXXX";

static char *path_of(const char *name)
{
    static char path[2][256];
    static int i;

    i = !i;
    (void)snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
    return path[i];
}

static void put(const char *name, const void *p, size_t n)
{
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static char file_name[] = "/etc/cordon/entra.secret";
static char graph[] = "https://graph.microsoft.com";
static const struct token_conf entra = {
    .kind = TOKEN_SECRET, .way = TOKEN_BY_FORM, .file = file_name};
static const struct token_conf okta = {
    .kind = TOKEN_OKTA_KEY, .way = TOKEN_BY_FORM, .file = file_name};

/* --- a token ------------------------------------------------------------------------- */

static void answers(void **state)
{
    static const struct {
        const char *body;
        int64_t now_s;
        enum err_code want;
        uint64_t life_s, refresh_s;
    } cases[] = {
        {"{\"token_type\":\"Bearer\",\"expires_in\":3599,\"ext_expires_in\":3599,\"access_token\":"
         "\"a.b\"}",
         0, ERR_OK, 3599, 0},
        {"{\"token_type\":\"bearer\",\"expires_in\":\"3599\",\"access_token\":\"a.b\"}", 0, ERR_OK,
         3599, 0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":86399,\"refresh_in\":43199,\"access_token\":"
         "\"x\"}",
         0, ERR_OK, 86399, 43199},
        {"{\"token_type\":\"Bearer\",\"expires_in\":600,\"refresh_in\":600,\"access_token\":\"x\"}",
         0, ERR_OK, 600, 0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":99999999999,\"access_token\":\"x\"}", 0, ERR_OK,
         TOKEN_LIFE_MAX_S, 0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":3600,\"access_token\":\"x\",\"z\":1.5}", 0,
         ERR_OK, 3600, 0},
        /* IMDS: kept for a while, and expires_in still says the whole life */
        {"{\"token_type\":\"Bearer\",\"expires_in\":\"86400\",\"expires_on\":\"1700000600\","
         "\"access_token\":\"x\"}",
         1700000000, ERR_OK, 600, 0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":\"500\",\"expires_on\":\"1700000600\",\"access_"
         "token\":\"x\"}",
         1700000000, ERR_OK, 500, 0},
        {"{\"token_type\":\"Bearer\",\"expires_on\":\"1700000600\",\"access_token\":\"x\"}",
         1700000000, ERR_OK, 600, 0},
        {"{\"token_type\":\"Bearer\",\"expires_on\":\"1700000600\",\"access_token\":\"x\"}",
         1700000600, ERR_INVALID, 0, 0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":\"86400\",\"expires_on\":\"1700000600\","
         "\"access_token\":\"x\"}",
         0, ERR_OK, 86400, 0},
        /* none */
        {"", 0, ERR_INVALID, 0, 0},
        {"<html>sign in</html>", 0, ERR_INVALID, 0, 0},
        {"[]", 0, ERR_INVALID, 0, 0},
        {"{}", 0, ERR_INVALID, 0, 0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":3599}", 0, ERR_INVALID, 0, 0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"\"}", 0, ERR_INVALID, 0,
         0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":7}", 0, ERR_INVALID, 0,
         0},
        {"{\"token_type\":\"pop\",\"expires_in\":3599,\"access_token\":\"x\"}", 0, ERR_INVALID, 0,
         0},
        {"{\"expires_in\":3599,\"access_token\":\"x\"}", 0, ERR_INVALID, 0, 0},
        {"{\"token_type\":\"Bearer\",\"access_token\":\"x\"}", 0, ERR_INVALID, 0, 0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":0,\"access_token\":\"x\"}", 0, ERR_INVALID, 0,
         0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":-5,\"access_token\":\"x\"}", 0, ERR_INVALID, 0,
         0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":\"soon\",\"access_token\":\"x\"}", 0,
         ERR_INVALID, 0, 0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":1e3,\"access_token\":\"x\"}", 0, ERR_INVALID, 0,
         0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"a\\r\\nX: y\"}", 0,
         ERR_INVALID, 0, 0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"a b\"}", 0, ERR_INVALID,
         0, 0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"\xC3\xA9\"}", 0,
         ERR_INVALID, 0, 0},
        {"{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"x\",\"access_token\":"
         "\"y\"}",
         0, ERR_INVALID, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct token_got got = {0};
        struct err e = ERR_NONE;
        int rc = token_answer_read(&entra, cases[i].body, strlen(cases[i].body),
                                   cases[i].now_s * 1000, &got, &e);

        if ((rc == 0 ? ERR_OK : e.code) != cases[i].want)
            fail_msg("%s: %s (%s)", cases[i].body, err_word(rc == 0 ? ERR_OK : e.code), e.msg);
        if (rc == 0) {
            assert_memory_equal(secret_bytes(got.authorization), "Bearer ", 7);
            assert_int_equal(got.life_ms, cases[i].life_s * 1000);
            assert_int_equal(got.refresh_ms, cases[i].refresh_s * 1000);
        }
        secret_free(got.authorization);
    }
}

static void answer_limits(void **state)
{
    struct text t = TEXT_INIT(TOKEN_ANSWER_MAX);

    (void)state;
    for (size_t n = TOKEN_MAX; n <= TOKEN_MAX + 1; n++) {
        struct token_got got = {0};
        struct err e = ERR_NONE;
        int rc;

        text_clear(&t);
        text_add(&t, "{\"token_type\":\"Bearer\",\"expires_in\":60,\"access_token\":\"");
        for (size_t i = 0; i < n; i++)
            text_addc(&t, 'a');
        text_add(&t, "\"}");
        rc = token_answer_read(&entra, t.s, t.len, 0, &got, &e);
        assert_int_equal(rc, n == TOKEN_MAX ? 0 : -1);
        assert_int_equal(e.code, n == TOKEN_MAX ? ERR_OK : ERR_TOOBIG);
        secret_free(got.authorization);
    }
    text_done(&t);
}

/* A metadata service gives what was asked for, or it is refused. */
static void echoes(void **state)
{
    static const char id[] = "ABCDEF00-0000-0000-0000-000000000001";
    static const struct {
        enum token_way way;
        const char *want_id, *id, *resource;
        enum err_code want;
    } cases[] = {
        {TOKEN_BY_IMDS, NULL, NULL, NULL, ERR_OK},
        {TOKEN_BY_IMDS, NULL, id, "https://graph.microsoft.com/", ERR_OK},
        {TOKEN_BY_IMDS, NULL, id, "https://GRAPH.microsoft.com", ERR_OK},
        {TOKEN_BY_IMDS, NULL, id, "https://vault.azure.net", ERR_INVALID},
        {TOKEN_BY_IMDS, id, "abcdef00-0000-0000-0000-000000000001", NULL, ERR_OK},
        {TOKEN_BY_IMDS, id, NULL, NULL, ERR_OK},
        {TOKEN_BY_IMDS, id, "abcdef00-0000-0000-0000-000000000002", NULL, ERR_AUTH},
        {TOKEN_BY_ARC, id, "abcdef00-0000-0000-0000-000000000001", NULL, ERR_OK},
        {TOKEN_BY_ARC, id, NULL, NULL, ERR_AUTH}, /* an old agent: the machine's own */
        {TOKEN_BY_ARC, id, "abcdef00-0000-0000-0000-000000000002", NULL, ERR_AUTH},
        {TOKEN_BY_ARC, NULL, NULL, NULL, ERR_OK},
        {TOKEN_BY_FORM, id, NULL, "https://vault.azure.net", ERR_OK},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(cleanup_charp) char *want = text_dup(cases[i].want_id);
        struct token_conf c = {
            .kind = TOKEN_MANAGED, .way = cases[i].way, .client_id = want, .scope = graph};
        struct text t = TEXT_INIT(1024);
        struct json_out o;
        struct token_got got = {0};
        struct err e = ERR_NONE;

        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "token_type", "Bearer");
        json_out_str(&o, "expires_in", "3600");
        json_out_str(&o, "access_token", "x");
        if (cases[i].id != NULL)
            json_out_str(&o, "client_id", cases[i].id);
        if (cases[i].resource != NULL)
            json_out_str(&o, "resource", cases[i].resource);
        json_out_end_object(&o);
        (void)token_answer_read(&c, t.s, t.len, 0, &got, &e);
        if (e.code != cases[i].want)
            fail_msg("#%zu: %s", i, err_word(e.code));
        secret_free(got.authorization);
        text_done(&t);
    }
}

static void plans(void **state)
{
    static const struct {
        uint64_t life_s, refresh_in_s, use_s, refresh_s;
    } cases[] = {
        {3600, 0, 3300, 3000}, /* an hour: five minutes before its end, and a little before that */
        {60, 0, 48, 36},       /* short: a fifth */
        {1500, 0, 1200, 900},  /* where both margins are the same */
        {7200, 0, 6900, 6600}, /* two hours are not over two hours */
        {7201, 0, 6901, 3600}, /* half its life (3600.5 s) */
        {86400, 0, 86100, 43200},
        {86400, 50000, 86100, 50000}, /* as the service wishes */
        {3600, 1800, 3300, 1800},
        {3600, 3500, 3300, 3000}, /* too late: ours */
        {1, 0, 0, 0},             /* 800 ms, 600 ms */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t use, refresh;

        token_plan(cases[i].life_s * 1000, cases[i].refresh_in_s * 1000, &use, &refresh);
        assert_int_equal(use / 1000, cases[i].use_s);
        assert_int_equal(refresh / 1000, cases[i].refresh_s);
        assert_true(refresh < use && use < cases[i].life_s * 1000);
    }
}

/* --- refusals ------------------------------------------------------------------------------ */

static enum token_class refuse(const struct token_conf *c, long status, const char *body,
                               struct err *e)
{
    *e = ERR_NONE;
    return token_refusal_read(c, status, body, strlen(body), "", e);
}

/* The table of entra-graph.md 2.7, each number once. */
static void numbers(void **state)
{
    static const struct {
        int n;
        enum token_class class;
        enum err_code code;
    } table[] = {
        {7000215, TOKEN_FATAL, ERR_AUTH},    {7000222, TOKEN_FATAL, ERR_AUTH},
        {7000218, TOKEN_OURS, ERR_INTERNAL}, {900144, TOKEN_OURS, ERR_INTERNAL},
        {700016, TOKEN_FATAL, ERR_AUTH},     {700011, TOKEN_FATAL, ERR_AUTH},
        {7000112, TOKEN_FATAL, ERR_AUTH},    {700027, TOKEN_SIGNING, ERR_AUTH},
        {50012, TOKEN_FATAL, ERR_AUTH},      {900384, TOKEN_FATAL, ERR_AUTH},
        {700030, TOKEN_FATAL, ERR_AUTH},     {700024, TOKEN_CLOCK, ERR_AUTH},
        {50013, TOKEN_CLOCK, ERR_AUTH},      {500133, TOKEN_CLOCK, ERR_AUTH},
        {700213, TOKEN_FATAL, ERR_AUTH},     {700211, TOKEN_FATAL, ERR_AUTH},
        {700212, TOKEN_FATAL, ERR_AUTH},     {90002, TOKEN_FATAL, ERR_AUTH},
        {90038, TOKEN_FATAL, ERR_AUTH},      {900382, TOKEN_FATAL, ERR_AUTH},
        {900432, TOKEN_FATAL, ERR_AUTH},     {70011, TOKEN_FATAL, ERR_AUTH},
        {700022, TOKEN_FATAL, ERR_AUTH},     {500011, TOKEN_FATAL, ERR_AUTH},
        {650057, TOKEN_FATAL, ERR_AUTH},     {530032, TOKEN_FATAL, ERR_AUTH},
        {53003, TOKEN_FATAL, ERR_AUTH},      {90055, TOKEN_RETRY, ERR_BUSY},
        {90006, TOKEN_RETRY, ERR_BUSY},      {90012, TOKEN_RETRY, ERR_BUSY},
        {90024, TOKEN_RETRY, ERR_BUSY},      {90033, TOKEN_RETRY, ERR_BUSY},
        {90090, TOKEN_RETRY, ERR_BUSY},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        for (int form = 0; form < 3; form++) {
            char body[512], want[64];
            struct err e;
            /* In error_codes; behind another that we do not know; only in the text. */
            (void)snprintf(body, sizeof(body),
                           form == 0 ? "{\"error\":\"x\",\"error_codes\":[%d]}"
                           : form == 1
                               ? "{\"error\":\"x\",\"error_codes\":[1,%d]}"
                               : "{\"error\":\"x\",\"error_description\":\"AADSTS%d: bad\"}",
                           table[i].n);
            (void)snprintf(want, sizeof(want), "AADSTS%d: ", table[i].n);
            if (refuse(&entra, form == 0 ? 401 : 400, body, &e) != table[i].class ||
                e.code != table[i].code || e.native != table[i].n)
                fail_msg("%s: %s: %s", body, err_word(e.code), e.msg);
            if (strncmp(e.msg, want, strlen(want)) != 0)
                fail_msg("%s: %s", body, e.msg);
        }
    }
}

static void words(void **state)
{
    static const char id[] = "\"trace_id\":\"0b1c-AF\",\"correlation_id\":\"x\"";
    struct token_conf cert = entra;
    char body[512];
    struct err e;

    (void)state;
    (void)snprintf(
        body, sizeof(body),
        "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000222: The provided "
        "client secret keys for app 'x' are expired.\\r\\nTrace ID: 0b1c\",\"error_codes\":"
        "[7000222],%s}",
        id);
    assert_int_equal(refuse(&entra, 401, body, &e), TOKEN_FATAL);
    assert_string_equal(e.msg,
                        "AADSTS7000222: the client secret has expired: make a new one in the app "
                        "registration and put it into '/etc/cordon/entra.secret' (trace 0b1c-AF)");

    /* A certificate that ended is named as such. */
    cert.kind = TOKEN_CERTIFICATE;
    cert.credential_ends = INT64_C(1612325045000);
    assert_int_equal(
        refuse(&cert, 401, "{\"error\":\"invalid_client\",\"error_codes\":[700027]}", &e),
        TOKEN_SIGNING);
    assert_non_null(strstr(e.msg, "(it ended on 2021-02-03)"));

    /* A number that is not in the table: the service's words, one line, short, safe. */
    (void)snprintf(
        body, sizeof(body),
        "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS1234: \\u001b[31mno\\u202e "
        "such\\r\\nTrace ID: secret-looking\",\"error_codes\":[1234],\"trace_id\":\"a b\"}");
    assert_int_equal(refuse(&entra, 400, body, &e), TOKEN_FATAL);
    assert_int_equal(e.code, ERR_AUTH);
    assert_int_equal(e.native, 1234);
    assert_non_null(strstr(e.msg, "HTTP 400, invalid_client: 'AADSTS1234: "));
    assert_null(strchr(e.msg, '\x1b'));
    assert_null(strstr(e.msg, "\xE2\x80\xAE"));
    assert_null(strstr(e.msg, "secret-looking"));
    assert_null(strstr(e.msg, "trace"));

    /* No JSON, and servers that are not well */
    assert_int_equal(refuse(&entra, 404, "<html>", &e), TOKEN_FATAL);
    assert_int_equal(e.code, ERR_INVALID);
    assert_non_null(strstr(e.msg, "HTTP 404"));
    assert_int_equal(refuse(&entra, 302, "", &e), TOKEN_FATAL);
    assert_int_equal(e.code, ERR_INVALID);
    assert_int_equal(refuse(&entra, 429, "{\"error\":\"x\",\"error_codes\":[7000222]}", &e),
                     TOKEN_RETRY);
    assert_int_equal(e.code, ERR_BUSY);
    assert_int_equal(refuse(&entra, 503, "<html>", &e), TOKEN_RETRY);
    assert_int_equal(refuse(&entra, 500, "{\"error\":\"server_error\"}", &e), TOKEN_RETRY);
    assert_int_equal(refuse(&entra, 400, "{\"error\":\"temporarily_unavailable\"}", &e),
                     TOKEN_RETRY);
    assert_int_equal(refuse(&entra, 400, "{}", &e), TOKEN_FATAL);
    assert_int_equal(refuse(&entra, 400, "{\"error\":7,\"error_codes\":7}", &e), TOKEN_FATAL);
    assert_int_equal(refuse(&entra, 400, "{\"error_codes\":[\"7000222\",-1,99999999999999]}", &e),
                     TOKEN_FATAL);
}

static void okta_refusals(void **state)
{
    struct err e;

    (void)state;
    assert_int_equal(refuse(&okta, 400, "{\"error\":\"invalid_dpop_proof\"}", &e), TOKEN_FATAL);
    assert_non_null(strstr(e.msg, "Okta: invalid_dpop_proof: "));
    assert_non_null(strstr(e.msg, "Demonstrating Proof of Possession"));
    assert_int_equal(refuse(&okta, 401, "{\"error\":\"invalid_client\"}", &e), TOKEN_SIGNING);
    assert_non_null(strstr(e.msg, "entra.secret"));
    assert_int_equal(e.code, ERR_AUTH);
    assert_int_equal(refuse(&okta, 403, "{\"error\":\"access_denied\"}", &e), TOKEN_FATAL);
    assert_non_null(strstr(e.msg, "network zones"));
    assert_int_equal(
        refuse(&okta, 404, "{\"errorCode\":\"E0000007\",\"errorSummary\":\"Not found: x\"}", &e),
        TOKEN_FATAL);
    assert_non_null(strstr(e.msg, "E0000007: 'Not found: x'"));
    assert_int_equal(refuse(&okta, 429, "", &e), TOKEN_RETRY);
}

/* entra-graph.md 2.3 */
static void managed_refusals(void **state)
{
    struct token_conf c = {.kind = TOKEN_MANAGED, .way = TOKEN_BY_IMDS};
    static const long later[] = {404, 408, 410, 429, 500, 502, 503, 504};
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(later); i++) {
        assert_int_equal(refuse(&c, later[i], "", &e), TOKEN_RETRY);
        assert_int_equal(e.code, ERR_BUSY);
        assert_int_equal(strstr(e.msg, "proxy") != NULL, later[i] == 502 || later[i] == 504);
    }
    assert_int_equal(
        refuse(&c, 400,
               "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}", &e),
        TOKEN_FATAL);
    assert_int_equal(e.code, ERR_AUTH);
    assert_non_null(strstr(e.msg, "'Identity not found'"));
    assert_int_equal(refuse(&c, 403, "<html>", &e), TOKEN_FATAL);
    c.way = TOKEN_BY_ARC;
    assert_int_equal(refuse(&c, 401, "", &e), TOKEN_FATAL);
    assert_non_null(strstr(e.msg, "Azure Arc"));
}

/* --- claims ---------------------------------------------------------------------------------- */

static void read_claims(struct token_claims *k, const char *payload)
{
    struct text t = TEXT_INIT(TOKEN_MAX);
    char *exact;

    text_add(&t, "eyJ.");
    jws_b64url(&t, payload, strlen(payload));
    text_add(&t, ".c2ln");
    exact = malloc(t.len);
    assert_non_null(exact);
    memcpy(exact, t.s, t.len);
    token_claims_read(k, exact, t.len);
    free(exact);
    text_done(&t);
}

static void token_says(void **state)
{
    static const char *const opaque[] = {"", "opaque", "a.b", "a.b.c", "a.!!!!.c", "..", "a..c"};
    struct token_claims k;

    (void)state;
    token_claims_init(&k);
    read_claims(&k,
                "{\"aud\":\"https://graph.microsoft.com\",\"exp\":1700000000,\"x\":1.5,"
                "\"oid\":\"11111111-2222-3333-4444-555555555555\",\"roles\":[\"User.Read.All\",7,"
                "\"AuditLog.Read.All\",\"a b\",\"\\u0007\"],\"wids\":["
                "\"fe930be7-5e62-47db-91af-98c3a49a38b1\",\"no guid\","
                "\"7be44c8a-adaf-4e2a-84d6-ab2649e08a13\"]}");
    assert_true(k.readable);
    assert_true(token_claims_role(&k, "User.Read.All"));
    assert_true(token_claims_role(&k, "AuditLog.Read.All"));
    assert_false(token_claims_role(&k, "User.Read"));
    assert_false(token_claims_role(&k, "Read.All"));
    assert_false(token_claims_role(&k, "a b"));
    assert_false(token_claims_role(&k, ""));
    assert_string_equal(k.oid, "11111111-2222-3333-4444-555555555555");
    assert_string_equal(k.wids.s, "fe930be7-5e62-47db-91af-98c3a49a38b1,"
                                  "7be44c8a-adaf-4e2a-84d6-ab2649e08a13");

    /* Okta; and nothing is left of the one before */
    read_claims(&k, "{\"scp\":[\"okta.users.read\"],\"oid\":\"x\",\"roles\":\"User.Read.All\"}");
    assert_true(token_claims_role(&k, "okta.users.read"));
    assert_false(token_claims_role(&k, "User.Read.All"));
    assert_string_equal(k.oid, "");
    assert_string_equal(k.wids.s, "");

    for (size_t i = 0; i < ARRAY_LEN(opaque); i++) {
        token_claims_read(&k, opaque[i], strlen(opaque[i]));
        assert_false(k.readable);
        assert_false(token_claims_role(&k, "okta.users.read"));
    }
    read_claims(&k, "[]");
    assert_false(k.readable);
    read_claims(&k, "{\"roles\":[],\"roles\":[\"User.Read.All\"]}");
    assert_false(k.readable);
    token_claims_done(&k);
}

#define CP1 "\"xms_cc\":{\"values\":[\"cp1\"]}"

static void challenges(void **state)
{
    static const struct {
        const char *plain, *want;
    } good[] = {
        {"{\"access_token\":{\"nbf\":{\"essential\":true,\"value\":\"1604106651\"}}}",
         "{\"access_token\":{\"nbf\":{\"essential\":true,\"value\":\"1604106651\"}," CP1 "}}"},
        {"{}", "{\"access_token\":{" CP1 "}}"},
        {"{\"access_token\":{\"xms_cc\":{\"values\":[\"cp9\"]},\"a\":null}}",
         "{\"access_token\":{\"a\":null," CP1 "}}"},
        {"{\"id_token\":{\"n\":[1,[],{\"x\":false}]}}",
         "{\"id_token\":{\"n\":[1,[],{\"x\":false}]},\"access_token\":{" CP1 "}}"},
    };
    static const char *const bad[] = {"",
                                      "[]",
                                      "\"x\"",
                                      "{",
                                      "{} x",
                                      "{\"access_token\":7}",
                                      "{\"access_token\":{},\"access_token\":{}}",
                                      "{\"a\":[true]}",
                                      "{\"a\":1.5}",
                                      "{\"a\":[[[[[[[[[1]]]]]]]]]}"};
    struct text t = TEXT_INIT(4096), code = TEXT_INIT(4096);
    struct err e = ERR_NONE;

    (void)state;
    assert_int_equal(token_claims_merge(NULL, &t, &e), 0);
    assert_string_equal(t.s, "{\"access_token\":{" CP1 "}}");
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        for (int padded = 0; padded < 2; padded++) {
            text_clear(&t);
            text_clear(&code);
            jws_b64url(&code, good[i].plain, strlen(good[i].plain));
            while (padded && code.len % 4 != 0)
                text_addc(&code, '=');
            if (token_claims_merge(code.s, &t, &e) < 0)
                fail_msg("%s: %s", good[i].plain, e.msg);
            assert_string_equal(t.s, good[i].want);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        text_clear(&code);
        jws_b64url(&code, bad[i], strlen(bad[i]));
        if (token_claims_merge(code.s, &t, &e) == 0)
            fail_msg("taken: %s", bad[i]);
    }
    assert_int_equal(token_claims_merge("e30\"", &t, &e), -1);
    assert_int_equal(token_claims_merge("e3 0", &t, &e), -1);
    {
        CLEANUP(cleanup_charp) char *big = malloc(20000);

        assert_non_null(big);
        memset(big, 'A', 19999);
        big[19999] = '\0';
        assert_int_equal(token_claims_merge(big, &t, &e), -1);
        assert_int_equal(e.code, ERR_TOOBIG);
    }
    text_done(&t);
    text_done(&code);
}

/* --- files --------------------------------------------------------------------------------------
 */

static void one_word(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        enum err_code want;
    } cases[] = {
        {"s3cr~t", 6, ERR_OK},           {"s3cr~t\n", 7, ERR_OK},
        {"s3cr~t \t\r\n\n", 11, ERR_OK}, {"", 0, ERR_CONFIG},
        {"\n\n", 2, ERR_CONFIG},         {"two words", 9, ERR_CONFIG},
        {"two\nlines", 9, ERR_CONFIG},   {"a\0b", 3, ERR_CONFIG},
        {" s3cr~t", 7, ERR_CONFIG},      {"\xEF\xBB\xBFs", 4, ERR_CONFIG},
        {"0123456789", 10, ERR_OK},      {"01234567890", 11, ERR_TOOBIG},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(secret_freep) struct secret *s = NULL;
        struct err e = ERR_NONE;

        put("word", cases[i].text, cases[i].n);
        (void)token_word_read(path_of("word"), 10, "a client secret", &s, &e);
        if (e.code != cases[i].want)
            fail_msg("#%zu: %s: %s", i, err_word(e.code), e.msg);
        if (s != NULL && i < 3) {
            assert_int_equal(secret_len(s), 6);
            assert_memory_equal(secret_bytes(s), "s3cr~t", 6);
        }
        /* S2: what is in the file is in no message */
        assert_null(strstr(e.msg, "two"));
        assert_null(strstr(e.msg, "s3cr"));
    }
}

/* Azure Arc, entra-graph.md 2.4: the name comes from outside. */
static void arc_paths(void **state)
{
    static const struct {
        const char *header; /* @: the folder */
        bool ok;
    } cases[] = {
        {"Basic realm=@/a.key", true},
        {"basic REALM=@/a.key", true},
        {"Basic realm=\"@/a.key\"", true},
        {"Basic realm=@/a.key  ", true},
        {"Basic realm=@/01234567-89ab.key", true},
        {"Bearer realm=@/a.key", false},
        {"Basic", false},
        {"Basic realm=", false},
        {"", false},
        {"Basic realm=/etc/shadow", false},
        {"Basic realm=/etc/x.key", false},
        {"Basic realm=@/../x.key", false},
        {"Basic realm=@/sub/x.key", false},
        {"Basic realm=@//x.key", false},
        {"Basic realm=@/./x.key", false},
        {"Basic realm=@x/x.key", false},
        {"Basic realm=@", false},
        {"Basic realm=@/", false},
        {"Basic realm=@/.key", false},
        {"Basic realm=@/a.KEY", false},
        {"Basic realm=@/a.key.txt", false},
        {"Basic realm=@/a.key, charset=\"UTF-8\"", false},
        {"Basic realm=@/a\x01.key", false},
        {"Basic realm=@/\xC3\xA9.key", false},
        {"Basic realm=a.key", false},
        {"Basic realm=%2fvar/a.key", false},
    };
    struct text t = TEXT_INIT(4096);
    char path[TOKEN_ARC_PATH_MAX];
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *at = strchr(cases[i].header, '@');

        text_clear(&t);
        if (at == NULL)
            text_add(&t, cases[i].header);
        else
            text_addf(&t, "%.*s%s%s", (int)(at - cases[i].header), cases[i].header, dir, at + 1);
        e = ERR_NONE;
        if ((token_arc_path(t.s, dir, path, &e) == 0) != cases[i].ok)
            fail_msg("%s: %s", t.s, e.msg);
        if (!cases[i].ok)
            assert_int_equal(e.code, ERR_INVALID);
    }
    text_clear(&t);
    text_addf(&t, "Basic realm=%s/", dir);
    for (int i = 0; i < 300; i++)
        text_addc(&t, 'a');
    text_add(&t, ".key");
    assert_int_equal(token_arc_path(t.s, dir, path, &e), -1);
    for (int i = 0; i < 2000; i++)
        text_addc(&t, 'a');
    text_add(&t, ".key");
    assert_int_equal(token_arc_path(t.s, dir, path, &e), -1);
    text_done(&t);
}

static enum err_code arc_key(const char *name, const char *in, struct secret **s)
{
    struct err e = ERR_NONE;

    (void)token_arc_key(path_of(name), in, s, &e);
    return e.code;
}

static void arc_files(void **state)
{
    static char big[TOKEN_ARC_KEY_MAX + 1];
    CLEANUP(secret_freep) struct secret *s = NULL, *whole = NULL, *none = NULL;
    char other[64];

    (void)state;
    put("a.key", "opaque-Key+/=", 13);
    assert_int_equal(arc_key("a.key", dir, &s), ERR_OK);
    assert_int_equal(secret_len(s), 19);
    assert_memory_equal(secret_bytes(s), "Basic opaque-Key+/=", 19);

    memset(big, 'k', sizeof(big));
    put("b.key", big, TOKEN_ARC_KEY_MAX);
    assert_int_equal(arc_key("b.key", dir, &whole), ERR_OK);
    assert_int_equal(secret_len(whole), TOKEN_ARC_KEY_MAX + 6);

    put("c.key", big, TOKEN_ARC_KEY_MAX + 1);
    assert_int_equal(arc_key("c.key", dir, &none), ERR_INVALID);
    put("d.key", "", 0);
    assert_int_equal(arc_key("d.key", dir, &none), ERR_INVALID);
    put("e.key", "a\r\nX-Evil: 1", 12);
    assert_int_equal(arc_key("e.key", dir, &none), ERR_INVALID);
    assert_int_equal(symlink("a.key", path_of("f.key")), 0);
    assert_int_equal(arc_key("f.key", dir, &none), ERR_INVALID);
    assert_int_equal(mkdir(path_of("g.key"), 0700), 0);
    assert_int_equal(arc_key("g.key", dir, &none), ERR_INVALID);
    assert_int_equal(mkfifo(path_of("h.key"), 0600), 0);
    assert_int_equal(arc_key("h.key", dir, &none), ERR_INVALID); /* and does not hang */
    assert_int_equal(arc_key("missing.key", dir, &none), ERR_NOTFOUND);
    assert_int_equal(arc_key("a.key", "/var/opt/azcmagent/tokens", &none), ERR_INVALID);

    /* The folder itself may be no link. */
    (void)snprintf(other, sizeof(other), "%s-link", dir);
    assert_int_equal(symlink(dir, other), 0);
    {
        char path[128];
        struct err e = ERR_NONE;

        (void)snprintf(path, sizeof(path), "%s/a.key", other);
        assert_int_equal(token_arc_key(path, other, &none, &e), -1);
    }
    assert_int_equal(unlink(other), 0);
    assert_null(none);
}

/* --- assertions
 * ----------------------------------------------------------------------------------- */

static struct jws_key *public_key(const char *pem)
{
    struct jws_key *k = NULL;
    struct err e;

    assert_int_equal(jws_key_public(pem, strlen(pem), &k, &e), 0);
    return k;
}

static void assertions(void **state)
{
    static const int64_t now = INT64_C(1700000000999);
    static char url[] = "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token";
    static char id[] = "8c1f9a9e-0000-0000-0000-000000000001", kid[] = "okta-kid";
    struct text pem = TEXT_INIT(16384);
    char jti[2][64] = {"", ""}, file[256];
    const struct {
        enum token_kind kind;
        const char *own, *own_cert, *pub;
        bool rs256;
        enum jws_alg alg;
        const char *thumb;
        int64_t life;
    } cases[] = {
        {TOKEN_CERTIFICATE, key_rsa_private, cert_rsa, key_rsa_public, false, JWS_PS256,
         "\"x5t#S256\":\"" CERT_RSA_X5T_S256 "\"}", 600},
        {TOKEN_CERTIFICATE, key_rsa_private, cert_rsa, key_rsa_public, true, JWS_RS256,
         "\"x5t\":\"" CERT_RSA_X5T "\"}", 600},
        {TOKEN_OKTA_KEY, key_rsa_private, "", key_rsa_public, false, JWS_RS256,
         "\"kid\":\"okta-kid\"}", 300},
        {TOKEN_OKTA_KEY, key_ec_private, "", key_ec_public, false, JWS_ES256,
         "\"kid\":\"okta-kid\"}", 300},
    };

    (void)state;
    (void)snprintf(file, sizeof(file), "%s", path_of("key.pem"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(jws_key_freep) struct jws_key *pub = public_key(cases[i].pub);
        struct token_conf c = {
            .kind = cases[i].kind, .url = url, .client_id = id, .file = file, .key_id = kid};

        text_clear(&pem);
        text_addf(&pem, "%s%s", cases[i].own_cert, cases[i].own);
        put("key.pem", pem.s, pem.len);
        for (int twice = 0; twice < 2; twice++) {
            CLEANUP(json_freep) struct cJSON *j = NULL;
            struct text t = TEXT_INIT(8192), payload = TEXT_INIT(4096);
            uint8_t head[512];
            size_t n = 0;
            int64_t v;
            struct err e = ERR_NONE;

            if (token_assertion(&c, cases[i].rs256, now, &t, &e) < 0)
                fail_msg("%s", e.msg);
            if (jws_verify(pub, cases[i].alg, "JWT", t.s, t.len, &payload, &e) < 0)
                fail_msg("%s", e.msg);
            assert_true(jws_unb64url(head, sizeof(head) - 1, t.s, strcspn(t.s, "."), &n));
            head[n] = '\0';
            assert_non_null(strstr((char *)head, cases[i].thumb));
            assert_int_equal(json_parse(payload.s, payload.len, NULL, &j, &e), 0);
            assert_string_equal(json_str(j, "aud"), url);
            assert_string_equal(json_str(j, "iss"), id);
            assert_string_equal(json_str(j, "sub"), id);
            assert_true(json_i64(j, "nbf", &v) && v == 1700000000);
            assert_true(json_i64(j, "iat", &v) && v == 1700000000);
            assert_true(json_i64(j, "exp", &v) && v == 1700000000 + cases[i].life);
            assert_int_equal(strlen(json_str(j, "jti")), 36);
            (void)snprintf(jti[twice], sizeof(jti[twice]), "%s", json_str(j, "jti"));
            text_done(&t);
            text_done(&payload);
        }
        assert_string_not_equal(jti[0], jti[1]);
        assert_int_equal(c.credential_ends,
                         cases[i].kind == TOKEN_CERTIFICATE ? INT64_C(4733510400000) : 0);
    }

    /* What cannot work says so. */
    {
        const struct {
            const char *one, *two, *word;
        } bad[] = {{key_ec_private, cert_rsa, "RSA key"},
                   {key_rsa_private, "", "no certificate"},
                   {key_rsa_private, cert_other, "belongs"},
                   {cert_rsa, "", "no private key"}};

        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            struct token_conf c = {
                .kind = TOKEN_CERTIFICATE, .url = url, .client_id = id, .file = file};
            struct text t = TEXT_INIT(8192);
            struct err e = ERR_NONE;

            text_clear(&pem);
            text_addf(&pem, "%s%s", bad[i].one, bad[i].two);
            put("key.pem", pem.s, pem.len);
            assert_int_equal(token_assertion(&c, false, now, &t, &e), -1);
            assert_int_equal(e.code, ERR_CONFIG);
            assert_non_null(strstr(e.msg, bad[i].word));
            assert_non_null(strstr(e.msg, "key.pem"));
            text_done(&t);
        }
    }
    text_done(&pem);
}

/* M2: each allocation fails once. */
static void no_memory(void **state)
{
    static const char answer[] =
        "{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"a.b\"}";
    static const char refusal[] =
        "{\"error\":\"x\",\"error_codes\":[7000222],\"trace_id\":\"abc\"}";
    static const char challenge[] = "eyJhY2Nlc3NfdG9rZW4iOnsiYSI6bnVsbH19";

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        struct token_got got = {0};
        struct text t = TEXT_INIT(4096);
        struct token_claims k;
        struct err e = ERR_NONE;

        if (token_answer_read(&entra, answer, sizeof(answer) - 1, 0, &got, &e) < 0)
            assert_int_equal(e.code, ERR_NOMEM);
        secret_free(got.authorization);
        e = ERR_NONE;
        (void)token_refusal_read(&entra, 400, refusal, sizeof(refusal) - 1, "", &e);
        assert_int_not_equal(e.code, ERR_OK);
        if (token_claims_merge(challenge, &t, &e) < 0) /* text_check has one code for both */
            assert_true(e.code == ERR_NOMEM || e.code == ERR_TOOBIG);
        text_done(&t);
        token_claims_init(&k);
        token_claims_read(&k, "a.eyJyb2xlcyI6WyJhIl19.c", 24);
        token_claims_done(&k);
    }
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"word",  "a.key", "b.key", "c.key",  "d.key",
                                        "e.key", "f.key", "h.key", "key.pem"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        (void)unlink(path_of(names[i]));
    (void)rmdir(path_of("g.key"));
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),       cmocka_unit_test(answer_limits),
        cmocka_unit_test(echoes),        cmocka_unit_test(plans),
        cmocka_unit_test(numbers),       cmocka_unit_test(words),
        cmocka_unit_test(okta_refusals), cmocka_unit_test(managed_refusals),
        cmocka_unit_test(token_says),    cmocka_unit_test(challenges),
        cmocka_unit_test(one_word),      cmocka_unit_test(arc_paths),
        cmocka_unit_test(arc_files),     cmocka_unit_test(assertions),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
