/* tests/unit/cloud/test_defender.c -- what Defender, and the script on a DC, answer, and what it
 * means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cloud/defender.h"
#include "cloud/defender_inside.h"

#define M1 "1e5bc9d7e413ddd7902c2932e418702b84d0cc07"
#define ERROR(code) \
    "{\"error\":{\"code\":\"" code "\",\"message\":\"a\\u001b[0m\",\"target\":\"43f4cb08\"}}"

static void markers(void **state)
{
    const struct defender_action action = {
        .status = "Succeeded", .is_final = true, .succeeded = true, .began = true, .ran = true};
    const struct json_limits lim = {.string = 1 << 16};
    CLEANUP(text_done) struct text file = TEXT_INIT(1 << 20);
    CLEANUP(json_freep) struct cJSON *j = NULL;
    unsigned n = 0;
    struct err e;

    (void)state;
    assert_int_equal(
        file_read_any(TEST_SOURCE_DIR "/tests/data/defender/outputs.json", 1 << 20, &file, &e), 0);
    assert_int_equal(json_parse(file.s, file.len, &lim, &j, &e), 0);
    for (const struct cJSON *v = json_first(json_get(j, "outputs")); v != NULL;
         v = json_next(v), n++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(1 << 16);
        const char *out = json_str(v, "output"), *name = json_str(v, "name");
        const char *want = json_str(v, "json");
        struct defender_output output = {.has_exit = true};
        struct defender_result r = {0};
        struct defender_claim claim;
        int rc = defender_marker(out, strlen(out), json_str(j, "nonce"), &t, &e);

        if ((rc == 0) != (want != NULL))
            fail_msg("%s: %s", name, rc < 0 ? e.msg : t.s);
        if (rc < 0)
            assert_int_equal(e.code, ERR_INVALID);
        else
            assert_string_equal(t.s, want);
        if (rc == 0)
            rc = defender_read_claim(t.s, t.len, &claim, &e);
        assert_true(json_i64(v, "exit", &output.exit_code));
        defender_judge(&action, &output, rc == 0 ? &claim : NULL, rc < 0 ? &e : NULL, true, &r);
        if (strcmp(defender_end_word(r.end), json_str(v, "end")) != 0)
            fail_msg("%s: %s: %s", name, defender_end_word(r.end), r.words);
        assert_int_equal(r.code == ERR_OK, r.end == DEFENDER_DONE || r.end == DEFENDER_ALREADY);
        assert_true(r.words[0] != '\0');
    }
    assert_true(n >= 25);
}

/* --- pure ------------------------------------------------------------------------------ */

static void names(void **state)
{
    (void)state;
    assert_true(defender_machine_id_ok(M1));
    assert_false(defender_machine_id_ok(NULL));
    assert_false(defender_machine_id_ok("1e5bc9d7"));
    assert_false(defender_machine_id_ok("../bc9d7e413ddd7902c2932e418702b84d0cc07"));
    assert_true(defender_script_name_ok("cordon-dc-v1_6e21.ps1"));
    assert_false(defender_script_name_ok(NULL));
    assert_false(defender_script_name_ok(""));
    assert_false(defender_script_name_ok("cordon dc.ps1"));
    assert_false(defender_script_name_ok("a/b.ps1"));
    assert_false(defender_script_name_ok("-a.ps1"));
    assert_false(defender_script_name_ok("cordon-dc.exe"));
}

static void links(void **state)
{
    static const char *const mine[] = {"blob.standin.test", "localhost:8443"};
    const struct defender_settings s = {.result_hosts = mine, .result_host_count = 2};
    static const struct {
        const char *url;
        bool ok;
    } cases[] = {
        {"https://a1.blob.core.windows.net/x/y?se=1&sig=a%2Fb", true},
        {"https://A1.BLOB.core.windows.net/x?sig=1", true},
        {"https://a1.blob.core.usgovcloudapi.net/x", true},
        {"https://blob.standin.test/x", true},
        {"https://a.blob.standin.test/x", true},
        {"https://localhost:8443/x", true},
        {"https://localhost:84430/x", false},
        {"https://localhost:844/x", false},
        {"https://localhost/x", false},
        {"https://xlocalhost:8443/x", false},
        {"https://blob.standin.test:444/x", false},
        {"https://xblob.standin.test/x", false},
        {"http://a1.blob.core.windows.net/x", false},
        {"https://a1.blob.core.windows.net:443/x", false},
        {"https://a1.blob.core.windows.net", false},
        {"https://a1.blob.core.windows.net?x", false},
        {"https://a1.blob.core.windows.net.evil.test/x", false},
        {"https://evilcore.windows.net/x", false},
        {"https://core.windows.net/x", false},
        {"https://.core.windows.net/x", false},
        {"https://a..core.windows.net/x", false},
        {"https://user@a1.blob.core.windows.net/x", false},
        {"https://evil.test\\@a1.blob.core.windows.net/x", false},
        {"https://evil.test#a1.blob.core.windows.net/x", false},
        {"https://evil.test/a1.blob.core.windows.net/x", false},
        {"https://[::1].core.windows.net/x", false},
        {"https://169.254.169.254/x", false},
        {"", false},
        {NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (defender_link_ok(&s, cases[i].url) != cases[i].ok)
            fail_msg("%s", cases[i].url != NULL ? cases[i].url : "NULL");
    }
    assert_false(defender_link_ok(&(struct defender_settings){0}, "https://localhost:8443/x"));
}

static void errors(void **state)
{
    static const struct {
        long status;
        const char *body, *foreign;
        bool changes;
        enum err_code code;
        enum defender_why why;
        const char *words;
    } cases[] = {
        {400, ERROR("ActiveRequestAlreadyExists"), NULL, true, ERR_BUSY, DEFENDER_WHY_ACTIVE,
         "another action"},
        {400, ERROR("InvalidRequestBody"), NULL, true, ERR_REFUSED, DEFENDER_WHY_OTHER,
         "InvalidRequestBody"},
        {400, ERROR("OsPlatformNotSupported"), NULL, true, ERR_UNSUPPORTED, DEFENDER_WHY_MACHINE,
         "Windows"},
        {403, ERROR("DisabledFeature"), NULL, true, ERR_REFUSED, DEFENDER_WHY_FEATURE,
         "Live Response for Servers"},
        {403, ERROR("DisallowedOperation"), NULL, true, ERR_REFUSED, DEFENDER_WHY_DISALLOWED,
         "restricted mode"},
        {403, ERROR("Forbidden"), NULL, true, ERR_DENIED, DEFENDER_WHY_PERMISSION, "consent"},
        {403, "", NULL, true, ERR_DENIED, DEFENDER_WHY_OTHER, "403"},
        {403, "<html>", "text/html", true, ERR_DENIED, DEFENDER_WHY_OTHER, "proxy"},
        {401, ERROR("Unauthorized"), NULL, false, ERR_AUTH, DEFENDER_WHY_OTHER, "refused"},
        {404, ERROR("ResourceNotFound"), NULL, false, ERR_NOTFOUND, DEFENDER_WHY_MACHINE,
         "no such"},
        {404, "<html>", "text/html", true, ERR_REFUSED, DEFENDER_WHY_OTHER, "proxy"},
        {429, ERROR("TooManyRequests"), NULL, true, ERR_BUSY, DEFENDER_WHY_THROTTLED, "throttled"},
        {429, "", NULL, true, ERR_BUSY, DEFENDER_WHY_OTHER, "429"},
        {500, ERROR("InternalServerError"), NULL, true, ERR_UNPROVEN, DEFENDER_WHY_OTHER, "500"},
        /* whatever a broken service says */
        {500, ERROR("Forbidden"), NULL, true, ERR_UNPROVEN, DEFENDER_WHY_OTHER, "500"},
        {503, "", NULL, false, ERR_BUSY, DEFENDER_WHY_OTHER, "503"},
        {302, "", NULL, true, ERR_UNPROVEN, DEFENDER_WHY_OTHER, "302"},
        {302, "", NULL, false, ERR_INVALID, DEFENDER_WHY_OTHER, "302"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum defender_why why = DEFENDER_WHY_NONE;
        struct err e = ERR_NONE;

        assert_int_equal(defender_read_error(cases[i].status, cases[i].body, strlen(cases[i].body),
                                             cases[i].foreign, "req-9", cases[i].changes, &why, &e),
                         -1);
        if (e.code != cases[i].code || why != cases[i].why ||
            strstr(e.msg, cases[i].words) == NULL || strpbrk(e.msg, "\x1b\r\n") != NULL)
            fail_msg("%zu: %s %d: %s", i, err_word(e.code), (int)why, e.msg);
    }
}

static void outputs(void **state)
{
    static const struct {
        const char *body;
        size_t n; /* 0: strlen */
        const char *script;
        bool has_exit;
    } cases[] = {
        {"{\"script_name\":\"a.ps1\",\"exit_code\":0,\"script_output\":\"hello\\r\\n\","
         "\"script_errors\":\"\"}",
         0, "hello\r\n", true},
        {"\xef\xbb\xbf{\"script_output\":\"a\\u0000\\u0000\"}", 0, "a", false},
        {"{\"script_output\":\"a\nb\tc\"}", 0, "a\nb\tc", false},
        {"{\"script_output\":\"a\\\\u0000b\\\"c\"}", 0, "a\\u0000b\"c", false},
        {"{\"script_output\":\"C\\u0000O\\u0000R\\u0000\"}", 0, "COR", false},
        {"{\"script_output\":\"\\ud83dx\"}", 0, "x", false},
        {"{\"script_output\":\"\x84\xfc caf\xc3\xa9\"}", 0, "?? caf\xc3\xa9", false},
        {"{\"script_output\":\"a\0b\"}\0\0", 25, "ab", false},
        {"{\"script_output\":\"a\",\"exit_code\":\"0\"}", 0, "a", false},
        {"{\"script_errors\":\"a\"}", 0, NULL, false},
        {"{\"script_output\":7}", 0, NULL, false},
        {"{\"script_output\":\"a", 0, NULL, false},
        {"<Error><Code>AuthenticationFailed</Code></Error>", 0, NULL, false},
        {"", 0, NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct defender_output o;
        struct err e = ERR_NONE;
        size_t n = cases[i].n != 0 ? cases[i].n : strlen(cases[i].body);
        int rc = defender_read_output(cases[i].body, n, &o, &e);

        if ((rc == 0) != (cases[i].script != NULL))
            fail_msg("%zu: %s", i, e.msg);
        if (rc == 0) {
            assert_string_equal(o.script.s, cases[i].script);
            assert_int_equal(o.has_exit, cases[i].has_exit);
        }
        text_done(&o.script);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markers), cmocka_unit_test(names),   cmocka_unit_test(links),
        cmocka_unit_test(errors),  cmocka_unit_test(outputs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
