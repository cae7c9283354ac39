/* Times: 64-bit, both ways, no 2038 (T2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/stamp.h"

static void iso(void **state)
{
    static const struct {
        const char *s;
        bool ok;
        int64_t ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", true, 0},
        {"2026-11-21T09:14:03.120Z", true, INT64_C(1795252443120)},
        {"2026-11-21T09:14:03.1234567Z", true, INT64_C(1795252443123)},
        {"2026-11-21T10:14:03+01:00", true, INT64_C(1795252443000)},
        {"2026-11-21T03:05:08.516445+0000", true, INT64_C(1795230308516)},
        {"2038-01-19T03:14:08Z", true, INT64_C(2147483648000)},
        {"2016-12-31T23:59:60Z", true, INT64_C(1483228800000)}, /* leap second: the second after */
        {"1601-01-01T00:00:00Z", true, INT64_C(-11644473600000)},
        {"2024-02-29T00:00:00Z", true, INT64_C(1709164800000)},
        {"2023-02-29T00:00:00Z", false, 0},
        {"2026-13-01T00:00:00Z", false, 0},
        {"2026-11-21T24:00:00Z", false, 0},
        {"2026-11-21T09:14:03", false, 0},
        {"2026-11-21T09:14:03.Z", false, 0},
        {"2026-11-21T09:14:03Zx", false, 0},
        {"", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = 0;

        assert_int_equal(stamp_parse_iso(cases[i].s, &ms), cases[i].ok);
        if (cases[i].ok)
            assert_true(ms == cases[i].ms);
    }
}

static void there_and_back(void **state)
{
    char buf[STAMP_TEXT];

    (void)state;
    for (int64_t ms = INT64_C(-62135596800000); ms < INT64_C(253402300799999);
         ms += INT64_C(987654321987)) {
        int64_t got = 0;

        assert_true(stamp_parse_iso(stamp_iso(buf, ms), &got));
        assert_true(got == ms);
    }
    assert_string_equal(stamp_iso(buf, INT64_MAX), "?");
}

static void generalized(void **state)
{
    int64_t ms = 0;

    (void)state;
    assert_true(stamp_parse_generalized("20261121091403.0Z", &ms));
    assert_true(ms == INT64_C(1795252443000));
    assert_false(stamp_parse_generalized("2026112109140Z", &ms));
    assert_false(stamp_parse_generalized("20261121091403.0", &ms));
}

static void filetime(void **state)
{
    (void)state;
    assert_true(stamp_from_filetime(INT64_C(116444736000000000)) == 0);
    assert_true(stamp_from_filetime_seconds(INT64_C(11644473600)) == 0);
    assert_true(stamp_from_filetime_seconds(INT64_MAX) == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iso),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(generalized),
        cmocka_unit_test(filetime),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
