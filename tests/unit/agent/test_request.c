/* tests/unit/agent/test_request.c -- a request in JSON: what is one, what is none, and there and
 * back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/intake/request.h"
#include "base/cleanup.h"
#include "tests/unit/alloc.h"

#define ID "\"id\":\"01KAM6V4QZ5Y8S3T9W2X7R1B0C\","
#define TIMES "\"issued\":\"2026-11-21T09:14:03Z\",\"expires\":\"2026-11-21T09:24:03Z\","
#define WHO "\"requester\":\"soc@example.com\","
#define WHERE "\"audience\":\"corp.example.com\""
#define REST WHO TIMES WHERE
#define ALICE "\"account\":\"alice\","
#define GOOD "{" ID "\"action\":\"disable\"," ALICE REST "}"

/* In a block of memory without a byte behind it. */
static int parse(const char *s, struct intake_request *r, struct err *e)
{
    size_t n = strlen(s);
    CLEANUP(cleanup_charp) char *exact = malloc(n + (n == 0));

    *e = ERR_NONE;
    if (exact == NULL)
        return err_set(e, ERR_NOMEM, 0, "test");
    memcpy(exact, s, n);
    return intake_request_parse(exact, n, r, e);
}

static struct intake_request good(const char *s)
{
    struct intake_request r;
    struct err e;

    if (parse(s, &r, &e) < 0)
        fail_msg("'%s': %s", s, e.msg);
    return r;
}

static void the_least(void **state)
{
    struct intake_request r = good(GOOD);
    struct options o;
    bool ad, cloud;

    (void)state;
    assert_string_equal(r.id, "01KAM6V4QZ5Y8S3T9W2X7R1B0C");
    assert_int_equal(r.action, ACT_DISABLE);
    assert_string_equal(r.account, "alice");
    assert_int_equal(r.scope, INTAKE_BOTH);
    assert_string_equal(r.reason, "");
    assert_string_equal(r.ticket, "");
    assert_string_equal(r.requester, "soc@example.com");
    assert_true(r.issued_ms == INT64_C(1795252443000));
    assert_true(r.expires_ms - r.issued_ms == 600000);
    assert_string_equal(r.audience, "corp.example.com");
    assert_false(r.options.clear_never_expires || r.options.must_change || r.options.mfa ||
                 r.options.audit || r.options.okta || r.options.steps);
    intake_request_options(&r, &o, &ad, &cloud);
    assert_true(ad && cloud && !o.okta && !o.audit);
}

static void all_of_it(void **state)
{
    struct intake_request r =
        good("{\"options\":{\"clear-never-expires\":true,\"mfa\":true,\"audit\":true,\"steps\":"
             "true,\"idp\":\"okta\",\"must-change\":false},"
             "\"id\":\"0F8FAD5B-D9CB-469F-A165-70867728950E\",\"action\":\"expire-password\","
             "\"account\":\"CN=Doe\\\\, J\\u00fcrgen,OU=People,DC=corp,DC=example,DC=com\","
             "\"scope\":\"cloud\",\"reason\":\"line one\\nline two \\ud83d\\ude00\","
             "\"ticket\":\"INC-4711\",\"requester\":\"soc\","
             "\"issued\":\"2026-11-21T10:14:03.250+01:00\","
             "\"expires\":\"2026-11-21T09:14:03.251Z\",\"audience\":\"CORP.Example.com\"}");
    struct intake_request again;
    struct text t = TEXT_INIT(INTAKE_BODY_MAX);
    struct options o;
    bool ad, cloud;
    struct err e;

    (void)state;
    assert_string_equal(r.id, "0f8fad5b-d9cb-469f-a165-70867728950e");
    assert_string_equal(r.audience, "corp.example.com");
    assert_int_equal(r.action, ACT_EXPIRE);
    assert_int_equal(r.scope, INTAKE_CLOUD);
    assert_true(r.expires_ms - r.issued_ms == 1);
    intake_request_options(&r, &o, &ad, &cloud);
    assert_true(!ad && cloud && o.clear_never_expires && o.with_mfa && o.audit && o.okta);

    /* There and back. */
    assert_int_equal(intake_request_json(&r, &t, &e), 0);
    again = good(t.s);
    assert_memory_equal(&again, &r, sizeof(r));
    text_done(&t);
}

/* Our names for the actions, and those of invokeAction. */
static void actions(void **state)
{
    static const struct {
        const char *word;
        enum action action;
    } words[] = {
        {"disable", ACT_DISABLE},
        {"enable", ACT_ENABLE},
        {"expire-password", ACT_EXPIRE},
        {"reset-password", ACT_RESET},
        {"revoke", ACT_REVOKE},
        {"mark-compromised", ACT_MARK},
        {"contain", ACT_CONTAIN},
        {"dismiss-risk", ACT_DISMISS},
        {"disableAccount", ACT_DISABLE},
        {"enableAccount", ACT_ENABLE},
        {"forcePasswordReset", ACT_EXPIRE},
        {"revokeAllSessions", ACT_REVOKE},
        {"requireUserToSignInAgain", ACT_REVOKE},
        {"markUserAsCompromised", ACT_MARK},
    };
    char s[1024];
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct intake_request r;
        struct text t = TEXT_INIT(4096);

        (void)snprintf(s, sizeof(s), "{" ID "\"action\":\"%s\"," ALICE REST "}", words[i].word);
        r = good(s);
        assert_int_equal(r.action, words[i].action);
        assert_int_equal(intake_request_json(&r, &t, &e), 0);
        (void)snprintf(s, sizeof(s), "\"action\":\"%s\"", action_word(words[i].action));
        assert_non_null(strstr(t.s, s));
        text_done(&t);
    }
}

/* R7: every form of a name; `*` is a character. */
static void names(void **state)
{
    static const char *const accounts[] = {
        "alice",
        "svc-*",
        "WS1$",
        "CORP\\\\alice",
        "alice@corp.example.com",
        "CN=Alice,OU=People,DC=corp,DC=example,DC=com",
        "S-1-5-21-1-2-3-1104",
        "3f2a5e10-0000-4000-8000-000000000001",
        "{3f2a5e10-0000-4000-8000-000000000001}",
        "\\u0418\\u0432\\u0430\\u043d",
        "J\u00fcrgen",
    };
    static const char *const not_taken[] = {
        "",
        " alice",
        "alice ",
        "ali\\u200bce",
        "ali\\u202ece",
        "ali\\u00adce",
        "ali\\tce",
        "ali\\nce",
        "Ju\\u0308rgen",
        "\\u212bke",
        "S-1-5-21-",
        "CN=Alice,OU=People,DC=other,DC=example,DC=com",
        "CN=Alice,OU=",
        "\\ud800",
        "a\\u0000b",
    };
    char s[4096], big[INTAKE_ACCOUNT + 2];
    struct intake_request r;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(accounts); i++) {
        (void)snprintf(s, sizeof(s), "{" ID "\"action\":\"disable\",\"account\":\"%s\"," REST "}",
                       accounts[i]);
        (void)good(s);
    }
    for (size_t i = 0; i < ARRAY_LEN(not_taken); i++) {
        (void)snprintf(s, sizeof(s), "{" ID "\"action\":\"disable\",\"account\":\"%s\"," REST "}",
                       not_taken[i]);
        if (parse(s, &r, &e) == 0)
            fail_msg("taken: '%s'", s);
        assert_int_equal(e.code, ERR_INVALID);
    }
    for (size_t n = INTAKE_ACCOUNT; n <= INTAKE_ACCOUNT + 1; n++) {
        memset(big, 'a', n);
        big[n] = '\0';
        (void)snprintf(s, sizeof(s), "{" ID "\"action\":\"disable\",\"account\":\"%s\"," REST "}",
                       big);
        assert_int_equal(parse(s, &r, &e), n > INTAKE_ACCOUNT ? -1 : 0);
    }
}

#define WITH(member) "{" ID "\"action\":\"disable\"," ALICE REST "," member "}"
#define ACTION(word, member) "{" ID "\"action\":\"" word "\"," ALICE REST "," member "}"
#define IDENTITY(id) "{\"id\":\"" id "\",\"action\":\"disable\"," ALICE REST "}"
#define FROM_TO(from, to)                                                                  \
    "{" ID "\"action\":\"disable\"," ALICE WHO "\"issued\":\"" from "\",\"expires\":\"" to \
    "\"," WHERE "}"

/* R1, R6, J1, J2. Each with a word of what the sentence must say. */
static void refused(void **state)
{
    static const struct {
        const char *json, *says;
    } bad[] = {
        {"", ""},
        {"{}", "id: missing"},
        {"[]", "no object"},
        {"null", "no object"},
        {GOOD "x", ""},
        {"\xef\xbb\xbf" GOOD, ""},
        {WITH("\"force\":true"), "'force'"},
        {WITH("\"Action\":\"enable\""), "'Action'"},
        {WITH("\"action\":\"enable\""), "twice"},
        {WITH("\"\\u0061ction\":\"enable\""), "twice"},
        {WITH("\"options\":null"), "options"},
        {WITH("\"options\":[]"), "options"},
        {WITH("\"options\":{\"privileged\":true}"), "'privileged'"},
        {WITH("\"options\":{\"steps\":1}"), "steps"},
        {WITH("\"options\":{\"steps\":null}"), "steps"},
        {WITH("\"options\":{\"idp\":\"ping\"}"), "idp"},
        {WITH("\"options\":{\"idp\":\"\"}"), "idp"},
        {WITH("\"options\":{\"must-change\":true}"), "must-change"},
        {WITH("\"options\":{\"mfa\":true}"), "mfa"},
        {WITH("\"options\":{\"clear-never-expires\":true}"), "clear-never-expires"},
        {WITH("\"options\":{\"steps\":true,\"steps\":true}"), "twice"},
        {WITH("\"scope\":\"everything\""), "scope"},
        {WITH("\"scope\":\"\""), "scope"},
        {WITH("\"scope\":null"), "scope"},
        {WITH("\"reason\":7"), "reason"},
        {WITH("\"reason\":\"\xff\""), ""},
        {WITH("\"reason\":\"a\tb\""), ""},
        {WITH("\"ticket\":\"IN\\u202eC\""), "ticket"},
        {ACTION("revoke", "\"scope\":\"on-prem\""), "on-prem"},
        {ACTION("Disable", "\"scope\":\"both\""), "action"},
        {ACTION("delete", "\"scope\":\"both\""), "action"},
        {"{" ID "\"action\":[\"disable\"]," ALICE REST "}", "action"},
        {"{" ID "\"action\":\"disable\",\"account\":[\"alice\",\"bob\"]," REST "}", "account"},
        {"{" ID ALICE REST "}", "action: missing"},
        {"{" ID "\"action\":\"disable\"," REST "}", "account: missing"},
        {"{" ID "\"action\":\"disable\"," ALICE TIMES WHERE "}", "requester: missing"},
        {"{" ID "\"action\":\"disable\"," ALICE "\"requester\":\"\"," TIMES WHERE "}",
         "requester: empty"},
        {"{" ID "\"action\":\"disable\"," ALICE "\"requester\":\"a\\u200bb\"," TIMES WHERE "}",
         "requester"},
        {"{" ID "\"action\":\"disable\"," ALICE WHO WHERE "}", "issued: missing"},
        {"{" ID "\"action\":\"disable\"," ALICE WHO TIMES "\"audience\":\"\"}", "audience"},
        {"{" ID "\"action\":\"disable\"," ALICE WHO TIMES "\"audience\":\"a b\"}", "audience"},
        {"{" ID "\"action\":\"disable\"," ALICE WHO TIMES "\"audience\":[\"a.b\"]}", "audience"},
        {IDENTITY("1"), "id"},
        {IDENTITY("81KAM6V4QZ5Y8S3T9W2X7R1B0C"), "id"},
        {IDENTITY("01KAM6V4QZ5Y8S3T9W2X7R1B0U"), "id"},
        {IDENTITY("01KAM6V4QZ5Y8S3T9W2X7R1B0C0"), "id"},
        {IDENTITY("0f8fad5b-d9cb-469f-a165-70867728950"), "id"},
        {IDENTITY("0f8fad5b-d9cb-469f-a165-70867728950g"), "id"},
        {IDENTITY("{0f8fad5b-d9cb-469f-a165-70867728950e}"), "id"},
        {IDENTITY("0f8fad5bd9cb469fa16570867728950e"), "id"},
        {FROM_TO("2026-11-21T09:14:03Z", "2026-11-21T09:14:03Z"), "expires"},
        {FROM_TO("2026-11-21T09:14:03Z", "2026-11-21T09:14:02Z"), "expires"},
        {FROM_TO("2026-11-21 09:14:03Z", "2026-11-21T09:24:03Z"), "issued"},
        {FROM_TO("2026-11-21T09:14:03", "2026-11-21T09:24:03Z"), "issued"},
        {FROM_TO("2026-11-21T09:14:03z", "2026-11-21T09:24:03Z"), "issued"},
        {FROM_TO("2026-11-21T09:14:03,5Z", "2026-11-21T09:24:03Z"), "issued"},
        {FROM_TO("2026-11-21T09:14:03+0100", "2026-11-21T09:24:03Z"), "issued"},
        {FROM_TO("2026-02-30T09:14:03Z", "2026-11-21T09:24:03Z"), "issued"},
        {FROM_TO("2026-11-21T09:14:03Z", "never"), "expires"},
        {"{" ID "\"action\":\"disable\"," ALICE WHO
         "\"issued\":1795252443,\"expires\":1795253043," WHERE "}",
         "issued"},
    };
    struct intake_request r;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (parse(bad[i].json, &r, &e) == 0)
            fail_msg("taken: '%s'", bad[i].json);
        if (strstr(e.msg, bad[i].says) == NULL)
            fail_msg("'%s': '%s' does not say '%s'", bad[i].json, e.msg, bad[i].says);
        assert_true(e.code == ERR_INVALID || e.code == ERR_TOOBIG);
    }
}

/* R1: each limit, and one past it. */
static void limits(void **state)
{
    static const struct {
        const char *name;
        size_t max;
    } texts[] = {{"reason", INTAKE_REASON}, {"ticket", INTAKE_TICKET}};
    struct text t = TEXT_INIT(1024 * 1024);
    struct intake_request r;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        for (size_t n = texts[i].max; n <= texts[i].max + 1; n++) {
            text_clear(&t);
            text_addf(&t, "{" ID "\"action\":\"disable\"," ALICE REST ",\"%s\":\"", texts[i].name);
            for (size_t k = 0; k < n; k++)
                text_addc(&t, 'x');
            text_add(&t, "\"}");
            assert_int_equal(parse(t.s, &r, &e), n > texts[i].max ? -1 : 0);
        }
    }
    /* White space counts. */
    for (size_t over = 0; over < 2; over++) {
        text_clear(&t);
        text_add(&t, GOOD);
        while (t.len < (size_t)INTAKE_BODY_MAX + over)
            text_addc(&t, ' ');
        assert_int_equal(parse(t.s, &r, &e), over > 0 ? -1 : 0);
        if (over > 0)
            assert_int_equal(e.code, ERR_TOOBIG);
    }
    /* Deep, and many. */
    text_clear(&t);
    text_add(&t, "{\"options\":");
    for (int i = 0; i < 5000; i++)
        text_addc(&t, '[');
    assert_int_equal(parse(t.s, &r, &e), -1);
    text_clear(&t);
    text_add(&t, "{\"options\":{\"x0\":1");
    for (int i = 1; i < 70; i++)
        text_addf(&t, ",\"x%d\":1", i);
    text_add(&t, "}}");
    assert_int_equal(parse(t.s, &r, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    text_done(&t);
}

/* M2 */
static void no_memory(void **state)
{
    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        struct text t = TEXT_INIT(4096);
        struct intake_request r;
        struct err e = ERR_NONE;

        if (intake_request_parse(GOOD, strlen(GOOD), &r, &e) < 0)
            assert_int_equal(e.code, ERR_NOMEM);
        else if (intake_request_json(&r, &t, &e) < 0)
            assert_true(e.code == ERR_NOMEM || e.code == ERR_TOOBIG); /* base/text.h cannot tell */
        text_done(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_least), cmocka_unit_test(all_of_it),
                                       cmocka_unit_test(actions),   cmocka_unit_test(names),
                                       cmocka_unit_test(refused),   cmocka_unit_test(limits),
                                       cmocka_unit_test(no_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
