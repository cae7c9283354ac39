/* Text: the buffer's promises, what is shown of foreign text (O1), numbers whole and with a range.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"

static void buffer(void **state)
{
    struct text t = TEXT_INIT(10);
    struct err e;

    (void)state;
    assert_string_equal(t.s, "");
    text_add(&t, "12345");
    text_addf(&t, "%d", 678);
    assert_string_equal(t.s, "12345678");
    text_add(&t, "abc"); /* would be 11 */
    assert_true(t.failed);
    assert_string_equal(t.s, "12345678"); /* as it was */
    text_add(&t, "x");
    assert_int_equal(text_check(&t, "this", &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    text_clear(&t);
    text_add(&t, "1234567890");
    assert_int_equal(text_check(&t, "this", &e), 0);
    char *s = text_take(&t);

    assert_string_equal(s, "1234567890");
    assert_string_equal(t.s, "");
    free(s);
    text_done(&t);
}

static void shown(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain", "plain"},
        {"a\nb", "a\\nb"},
        {"a\x1b[31mred", "a\\x1b[31mred"},
        {"\\", "\\\\"},
        {"\xc2\x9b", "\\u{9b}"},             /* C1 */
        {"a\xe2\x80\xae b", "a\\u{202e} b"}, /* right-to-left override */
        {"\xe2\x80\x8b", "\\u{200b}"},       /* zero width */
        {"\xff", "\\xff"},
        {"\xc0\xaf", "\\xc0\\xaf"},          /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* surrogate */
        {"שלום", "שלום"},
        {"\xf0\x9f\x90\x99", "\xf0\x9f\x90\x99"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text t = TEXT_INIT(1000);

        text_show(&t, cases[i].in, strlen(cases[i].in), 100);
        assert_string_equal(t.s, cases[i].out);
        text_done(&t);
    }
    struct text t = TEXT_INIT(1000);

    text_show(&t, "abcdef", 6, 3);
    assert_string_equal(t.s, "abc…");
    text_done(&t);
}

static void shown_short(void **state)
{
    char buf[TEXT_SHOWN], many[400];

    (void)state;
    for (size_t i = 0; i + 2 < sizeof(many); i += 2)
        memcpy(many + i, "é", 3);
    assert_true(strlen(text_shown(buf, many)) < TEXT_SHOWN);
    assert_true(text_utf8_ok(buf, strlen(buf)));
}

static void numbers(void **state)
{
    uint64_t u = 7;
    int64_t i = 7;

    (void)state;
    assert_true(text_to_u64("18446744073709551615", 0, UINT64_MAX, &u));
    assert_true(u == UINT64_MAX);
    assert_false(text_to_u64("18446744073709551616", 0, UINT64_MAX, &u));
    assert_false(text_to_u64("", 0, 10, &u));
    assert_false(text_to_u64("1 ", 0, 10, &u));
    assert_false(text_to_u64("+1", 0, 10, &u));
    assert_false(text_to_u64("11", 0, 10, &u));
    assert_true(text_to_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &i));
    assert_true(i == INT64_MIN);
    assert_false(text_to_i64("9223372036854775808", INT64_MIN, INT64_MAX, &i));
    assert_false(text_to_i64("--1", INT64_MIN, INT64_MAX, &i));
}

static void durations(void **state)
{
    static const struct {
        const char *s;
        bool ok;
        uint64_t ms;
    } cases[] = {{"250ms", true, 250}, {"3s", true, 3000},    {"3", true, 3000},
                 {"5m", true, 300000}, {"2h", true, 7200000}, {"1d", true, 86400000},
                 {"", false, 0},       {"s", false, 0},       {"-1s", false, 0},
                 {"1 s", false, 0},    {"1w", false, 0},      {"99999999999999999999s", false, 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t ms = 0;

        assert_int_equal(text_to_duration(cases[i].s, &ms), cases[i].ok);
        if (cases[i].ok)
            assert_true(ms == cases[i].ms);
    }
}

static void globs(void **state)
{
    (void)state;
    assert_true(text_glob("svc-*", "SVC-cordon"));
    assert_true(text_glob("*", ""));
    assert_true(text_glob("a?c*e", "abcdde"));
    assert_false(text_glob("a?c", "ac"));
    assert_false(text_glob("", "a"));
    /* many stars against a long string: linear, or the test never ends */
    char s[4000];

    memset(s, 'a', sizeof(s) - 1);
    s[sizeof(s) - 1] = '\0';
    assert_false(text_glob("*a*a*a*a*a*a*a*a*a*b", s));
}

static void distance(void **state)
{
    (void)state;
    assert_int_equal(text_distance("kytab", "keytab"), 1);
    assert_int_equal(text_distance("same", "SAME"), 0);
    assert_int_equal(text_distance("disable", "enable"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer),   cmocka_unit_test(shown),     cmocka_unit_test(shown_short),
        cmocka_unit_test(numbers),  cmocka_unit_test(durations), cmocka_unit_test(globs),
        cmocka_unit_test(distance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
