/* Orders for the script on a DC, and its answers, by the vectors that the script's own test reads
 * too (tests/powershell/dc.js). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/dc_payload.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/jws.h"

static struct cJSON *vectors;

static int load(void **state)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(1 << 20);
    const char *path = TEST_SOURCE_DIR "/tests/data/defender/vectors.json";
    char buf[4096];
    struct err e;
    FILE *f = fopen(path, "re");
    size_t n;

    (void)state;
    assert_non_null(f);
    while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
        text_addn(&t, buf, n);
    (void)fclose(f);
    return json_parse(t.s, t.len, NULL, &vectors, &e);
}

static int unload(void **state)
{
    (void)state;
    json_free(vectors);
    return 0;
}

static struct dc_order order_of(const struct cJSON *j)
{
    struct dc_order o = {.domain = json_str(j, "domain"), .case_id = json_str(j, "case")};
    const char *op = json_str(j, "op"), *sid = json_str(j, "sid"), *guid = json_str(j, "guid");

    while (strcmp(dc_op_word(o.op), op) != 0)
        o.op++;
    if (sid[0] != '\0')
        assert_int_equal(ad_sid_from_text(sid, strlen(sid), &o.sid), 0);
    if (guid[0] != '\0')
        assert_int_equal(ad_guid_from_text(guid, strlen(guid), &o.guid), 0);
    assert_true(json_i64(j, "expires", &o.expires_ms));
    assert_int_equal(strlen(json_str(j, "nonce")), DC_NONCE - 1);
    memcpy(o.nonce, json_str(j, "nonce"), DC_NONCE);
    assert_true(json_bool(j, "clear_never_expires", &o.clear_never_expires));
    assert_true(json_bool(j, "must_change", &o.must_change));
    return o;
}

static struct dc_order order_named(const char *name)
{
    const struct cJSON *j = json_first(json_get(vectors, "orders"));

    while (strcmp(json_str(j, "name"), name) != 0)
        j = json_next(j);
    return order_of(json_get(j, "order"));
}

/* W1: what is built is byte for byte what the script's pattern is tried on. */
static void orders(void **state)
{
    unsigned n = 0;

    (void)state;
    for (const struct cJSON *j = json_first(json_get(vectors, "orders")); j != NULL;
         j = json_next(j), n++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(4096);
        struct dc_order o = order_of(json_get(j, "order"));
        uint8_t back[DC_PAYLOAD_MAX + 1];
        size_t len;
        struct err e;

        assert_int_equal(dc_payload_build(&o, &t, &e), 0);
        assert_string_equal(t.s, json_str(j, "payload"));
        assert_in_range(t.len, DC_PAYLOAD_MIN, DC_PAYLOAD_MAX);
        assert_true(jws_unb64url(back, sizeof(back) - 1, t.s, t.len, &len));
        back[len] = '\0';
        assert_string_equal(back, json_str(j, "json"));
    }
    assert_true(n >= 13);
}

static void domain_in_any_case(void **state)
{
    CLEANUP(text_done) struct text a = TEXT_INIT(4096), b = TEXT_INIT(4096);
    struct dc_order o = order_named("disable");
    struct err e;

    (void)state;
    assert_int_equal(dc_payload_build(&o, &a, &e), 0);
    o.domain = "Corp.EXAMPLE.com";
    assert_int_equal(dc_payload_build(&o, &b, &e), 0);
    assert_string_equal(a.s, b.s);
}

static void refuse(const struct dc_order *o, const char *why)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(4096);
    struct err e;

    text_add(&t, "x");
    assert_int_equal(dc_payload_build(o, &t, &e), -1);
    assert_int_equal(e.code, ERR_INTERNAL);
    assert_non_null(strstr(e.msg, why));
    assert_string_equal(t.s, "x"); /* untouched */
}

/* What the script would refuse is not built. */
static void not_orders(void **state)
{
    static const char *const domains[] = {"",       ".corp",  "-corp",   "corp example",
                                          "corp\"", "corp/x", "dc=corp", "k\xc3\xb6ln.example",
                                          "corp\n"};
    static const char *const cases[] = {"", "01JD", "01jd7q3w8m5x2t6v9y1z4a7b0c",
                                        "81JD7Q3W8M5X2T6V9Y1Z4A7B0C",
                                        "01JD7Q3W8M5X2T6V9Y1Z4A7B0\""};
    static const char *const nonces[] = {"", "0f1e", "0F1E2D3C4B5A6978", "0f1e2d3c4b5a697\""};
    static const int64_t times[] = {0,         -1,       1795338000, INT64_C(10000000000000),
                                    INT64_MAX, INT64_MIN};
    static const char *const sids[] = {"S-1-5-18", "S-1-5-32-544", "S-1-5-21-1-2-3",
                                       "S-1-5-21-1-2-3-4-5"};
    struct dc_order good = order_named("disable"), o;
    char longest[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(domains); i++)
        refuse((o = good, o.domain = domains[i], &o), "the domain");
    memset(longest, 'a', sizeof(longest));
    longest[255] = '\0';
    refuse((o = good, o.domain = longest, &o), "the domain");
    refuse((o = good, o.domain = NULL, &o), "the domain");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refuse((o = good, o.case_id = cases[i], &o), "the case");
    refuse((o = good, o.case_id = NULL, &o), "the case");
    for (size_t i = 0; i < ARRAY_LEN(nonces); i++) {
        o = good;
        memset(o.nonce, 0, sizeof(o.nonce));
        memcpy(o.nonce, nonces[i], strlen(nonces[i]));
        refuse(&o, "the nonce");
    }
    o = good;
    memset(o.nonce, 'a', sizeof(o.nonce)); /* no end */
    refuse(&o, "the nonce");
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        refuse((o = good, o.expires_ms = times[i], &o), "its time");
    for (size_t i = 0; i < ARRAY_LEN(sids); i++) {
        o = good;
        assert_int_equal(ad_sid_from_text(sids[i], strlen(sids[i]), &o.sid), 0);
        refuse(&o, "the account");
    }
    refuse((o = good, o.sid.n = 0, &o), "the account");
    refuse((o = good, memset(&o.guid, 0, sizeof(o.guid)), &o), "the account");
    refuse((o = good, o.op = DC_PROBE, &o), "the account");
    refuse((o = good, o.op = (enum dc_op)5, &o), "the operation");
    refuse((o = good, o.must_change = true, &o), "the options");
    refuse((o = good, o.clear_never_expires = true, &o), "the options");
    refuse((o = good, o.op = DC_RESET_PASSWORD, o.clear_never_expires = true, &o), "the options");
    refuse((o = good, o.op = DC_EXPIRE_PASSWORD, o.must_change = true, &o), "the options");
}

static void nonces(void **state)
{
    char a[DC_NONCE], b[DC_NONCE];
    struct err e;

    (void)state;
    assert_int_equal(dc_nonce(a, &e), 0);
    assert_int_equal(dc_nonce(b, &e), 0);
    assert_int_equal(strspn(a, "0123456789abcdef"), DC_NONCE - 1);
    assert_int_equal(strlen(a), DC_NONCE - 1);
    assert_string_not_equal(a, b);
}

/* What stands behind "CORDON1 NONCE ". */
static const char *json_of(const struct cJSON *j, const struct dc_order *o)
{
    const char *line = json_str(j, "line");

    assert_true(text_starts(line, DC_MARKER_PREFIX));
    line += strlen(DC_MARKER_PREFIX);
    assert_true(text_starts(line, o->nonce));
    assert_int_equal(line[DC_NONCE - 1], ' ');
    return line + DC_NONCE;
}

static void same_number(const struct cJSON *j, const char *name, bool has, int64_t v)
{
    const char *s = json_str(j, name);
    int64_t want = 0;

    if (s != NULL ? s[0] == '\0' : json_is_null(json_get(j, name))) {
        assert_false(has);
        return;
    }
    assert_true(s != NULL ? text_to_i64(s, INT64_MIN, INT64_MAX, &want) : json_i64(j, name, &want));
    assert_true(has);
    assert_true(v == want);
}

static void markers(void **state)
{
    unsigned n = 0;

    (void)state;
    for (const struct cJSON *j = json_first(json_get(vectors, "markers")); j != NULL;
         j = json_next(j), n++) {
        static const char *const logs[] = {"seen", "not-seen", "unreadable", "not-asked"};
        struct dc_order o = order_named(json_str(j, "of"));
        const struct cJSON *want = json_get(j, "said"), *ev = json_first(json_get(want, "events"));
        const char *json = json_of(j, &o);
        struct dc_said s;
        struct err e;
        int64_t v;

        if (dc_marker_read(json, strlen(json), &o, &s, &e) < 0)
            fail_msg("%s: %s", json_str(j, "name"), e.msg);
        assert_string_equal(dc_outcome_word(s.outcome), json_str(want, "outcome"));
        assert_string_equal(logs[s.log], json_str(want, "log"));
        assert_string_equal(s.code, json_str(want, "code"));
        assert_string_equal(s.detail, json_str(want, "detail"));
        assert_string_equal(s.version, json_str(want, "version"));
        assert_string_equal(s.computer, json_str(want, "computer"));
        assert_string_equal(s.lang, json_str(want, "lang"));
        same_number(want, "uac_before", s.has_uac_before, (int32_t)s.uac_before);
        same_number(want, "uac_after", s.has_uac_after, (int32_t)s.uac_after);
        same_number(want, "pwd_before", s.has_pwd_before, s.pwd_before);
        same_number(want, "pwd_after", s.has_pwd_after, s.pwd_after);
        same_number(want, "usn", s.usn != 0, s.usn);
        same_number(want, "time", true, s.time_ms);
        for (size_t i = 0; i < s.event_count; i++, ev = json_next(ev)) {
            assert_true(json_i64(ev, "id", &v) && v == s.events[i].id);
            assert_true(json_i64(ev, "record", &v) && v == s.events[i].record);
        }
        assert_null(ev);
        if (s.code[0] != '\0')
            assert_non_null(dc_code_words(s.code));
    }
    assert_true(n >= 26);
}

/* W3: anything else is no answer. */
static void not_markers(void **state)
{
    unsigned n = 0;

    (void)state;
    for (const struct cJSON *j = json_first(json_get(vectors, "not_markers")); j != NULL;
         j = json_next(j), n++) {
        struct dc_order o = order_named(json_str(j, "of"));
        const char *json = json_of(j, &o);
        struct dc_said s = {.version = "untouched"};
        struct err e;

        if (dc_marker_read(json, strlen(json), &o, &s, &e) == 0)
            fail_msg("%s was taken", json_str(j, "name"));
        assert_true(e.code == ERR_INVALID || e.code == ERR_TOOBIG);
        assert_null(strchr(e.msg, '\x1b'));
        assert_string_equal(s.version, "untouched");
    }
    assert_true(n >= 80);
}

/* Each marker with one byte gone, or changed: nothing crashes, and what is still taken says the
 * same thing about the account. */
static void broken_markers(void **state)
{
    (void)state;
    for (const struct cJSON *j = json_first(json_get(vectors, "markers")); j != NULL;
         j = json_next(j)) {
        struct dc_order o = order_named(json_str(j, "of"));
        const char *json = json_of(j, &o);
        size_t len = strlen(json);
        char buf[DC_MARKER_JSON_MAX];

        for (size_t i = 0; i < len; i++) {
            static const char with[] = "\"\\\n\x80{0-";
            struct dc_said s;
            struct err e;

            memcpy(buf, json, i);
            memcpy(buf + i, json + i + 1, len - i - 1);
            if (dc_marker_read(buf, len - 1, &o, &s, &e) == 0 && o.op == DC_DISABLE &&
                s.outcome == DC_DONE)
                assert_true((s.uac_after & 2) != 0);
            for (size_t k = 0; with[k] != '\0'; k++) {
                memcpy(buf, json, len);
                buf[i] = with[k];
                if (dc_marker_read(buf, len, &o, &s, &e) == 0 && o.op == DC_DISABLE &&
                    s.outcome == DC_DONE)
                    assert_true((s.uac_after & 2) != 0);
            }
        }
    }
}

static void words(void **state)
{
    (void)state;
    assert_non_null(dc_code_words("privileged"));
    assert_non_null(dc_code_words("ldap-50"));
    assert_null(dc_code_words("no such code"));
    assert_null(dc_code_words(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders),         cmocka_unit_test(domain_in_any_case),
        cmocka_unit_test(not_orders),     cmocka_unit_test(nonces),
        cmocka_unit_test(markers),        cmocka_unit_test(not_markers),
        cmocka_unit_test(broken_markers), cmocka_unit_test(words),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
