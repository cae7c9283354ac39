/* Attribute values: exactly one, whole, in range. (L8, T2) */
#include "ldap/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"

/* An attribute with that one value (n bytes of s). */
static const struct ad_attr *one(const char *s, size_t n)
{
    static struct ad_value v;
    static struct ad_attr a;

    v = (struct ad_value){.s = s, .n = n};
    a = (struct ad_attr){.name = "x", .values = &v, .count = 1};
    return &a;
}

static const struct ad_attr *text(const char *s)
{
    return one(s, strlen(s));
}

static const struct ad_value two_values[] = {{"1", 1}, {"2", 1}};
static const struct ad_attr two = {.name = "x", .values = two_values, .count = 2};
static const struct ad_attr empty = {.name = "x", .values = NULL, .count = 0};

static void how_many(void **state)
{
    struct ad_value v;
    struct err e;
    int64_t n = 7;
    bool there = true;

    (void)state;
    assert_int_equal(ad_value_one(NULL, &there, &v, &e), 0);
    assert_false(there);
    assert_int_equal(ad_value_one(&empty, &there, &v, &e), 0);
    assert_false(there);
    assert_int_equal(ad_value_one(&two, &there, &v, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
    assert_int_equal(ad_value_i64(NULL, 0, 9, &there, &n, &e), 0);
    assert_false(there);
    assert_int_equal(n, 7);
    assert_int_equal(ad_value_i64(&two, 0, 9, &there, &n, &e), -1);
}

static void numbers(void **state)
{
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "0x1",
                                      "1.0",
                                      "1e3",
                                      "--1",
                                      "-",
                                      "11",
                                      "-6",
                                      "one",
                                      "99999999999999999999999999999999",
                                      "9223372036854775808"};
    struct err e;
    int64_t n;
    uint32_t bits;
    bool there, b;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (ad_value_i64(text(bad[i]), -5, 10, &there, &n, &e) == 0)
            fail_msg("'%s' was taken", bad[i]);
    }
    assert_int_equal(ad_value_i64(one("1\0", 2), 0, 10, &there, &n, &e), -1);
    assert_int_equal(ad_value_i64(text("-5"), -5, 10, &there, &n, &e), 0);
    assert_true(there && n == -5);
    assert_int_equal(ad_value_i64(text("9223372036854775807"), 0, INT64_MAX, &there, &n, &e), 0);
    assert_true(n == INT64_MAX);

    assert_int_equal(ad_value_bits(text("514"), &there, &bits, &e), 0);
    assert_int_equal(bits, 514);
    assert_int_equal(ad_value_bits(text("-2147483648"), &there, &bits, &e), 0);
    assert_true(bits == UINT32_C(0x80000000));
    assert_int_equal(ad_value_bits(text("2147483648"), &there, &bits, &e), -1);

    assert_int_equal(ad_value_bool(text("TRUE"), &there, &b, &e), 0);
    assert_true(there && b);
    assert_int_equal(ad_value_bool(text("FALSE"), &there, &b, &e), 0);
    assert_false(b);
    assert_int_equal(ad_value_bool(text("true"), &there, &b, &e), -1);
    assert_int_equal(ad_value_bool(text("1"), &there, &b, &e), -1);
    assert_int_equal(ad_value_bool(NULL, &there, &b, &e), 0);
    assert_false(there);
}

static void times(void **state)
{
    struct ad_time t;
    struct err e;
    int64_t ms;
    bool there;

    (void)state;
    assert_int_equal(ad_value_filetime(text("0"), &there, &t, &e), 0);
    assert_int_equal(t.kind, AD_TIME_ZERO);
    assert_int_equal(ad_value_filetime(text("9223372036854775807"), &there, &t, &e), 0);
    assert_int_equal(t.kind, AD_TIME_NEVER);
    assert_int_equal(ad_value_filetime(text("116444736000000000"), &there, &t, &e), 0);
    assert_int_equal(t.kind, AD_TIME_AT);
    assert_true(t.ms == 0 && t.raw == INT64_C(116444736000000000));
    /* past 2038, and one short of never */
    assert_int_equal(ad_value_filetime(text("138000000000000000"), &there, &t, &e), 0);
    assert_true(t.ms > INT64_C(2147483647000));
    assert_int_equal(ad_value_filetime(text("9223372036854775806"), &there, &t, &e), 0);
    assert_int_equal(t.kind, AD_TIME_AT);
    assert_int_equal(ad_value_filetime(text("-1"), &there, &t, &e), -1);
    assert_int_equal(ad_value_filetime(text("never"), &there, &t, &e), -1);
    assert_int_equal(ad_value_filetime(NULL, &there, &t, &e), 0);
    assert_false(there);

    assert_int_equal(ad_value_time(text("19700101000001.0Z"), &there, &ms, &e), 0);
    assert_true(there && ms == 1000);
    assert_int_equal(ad_value_time(text("1970"), &there, &ms, &e), -1);
}

static void identifiers(void **state)
{
    static const char sid_bytes[] = {1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0};
    const struct ad_value sids[] = {{sid_bytes, 16}, {sid_bytes, 16}, {sid_bytes, 15}};
    struct ad_attr many = {.name = "tokenGroups", .values = sids, .count = 2};
    struct ad_sid sid, *list = NULL;
    struct ad_guid guid;
    struct err e;
    size_t count = 5;
    bool there;
    char *s;

    (void)state;
    assert_int_equal(ad_value_sid(one(sid_bytes, 16), &there, &sid, &e), 0);
    assert_int_equal(ad_sid_rid(&sid), 544);
    assert_int_equal(ad_value_sid(one(sid_bytes, 15), &there, &sid, &e), -1);
    assert_int_equal(ad_value_guid(one(sid_bytes, 16), &there, &guid, &e), 0);
    assert_int_equal(ad_value_guid(one(sid_bytes, 15), &there, &guid, &e), -1);

    assert_int_equal(ad_value_sids(NULL, 9, &list, &count, &e), 0);
    assert_true(list == NULL && count == 0);
    assert_int_equal(ad_value_sids(&many, 9, &list, &count, &e), 0);
    assert_int_equal(count, 2);
    free(list);
    assert_int_equal(ad_value_sids(&many, 1, &list, &count, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    many.count = 3; /* one of them is broken: then all of it is */
    assert_int_equal(ad_value_sids(&many, 9, &list, &count, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);

    assert_int_equal(ad_value_text(NULL, 9, &s, &e), 0);
    assert_null(s);
    assert_int_equal(ad_value_text(text("Zoë"), 9, &s, &e), 0);
    assert_string_equal(s, "Zoë");
    free(s);
    assert_int_equal(ad_value_text(one("", 0), 9, &s, &e), 0);
    assert_string_equal(s, "");
    free(s);
    assert_int_equal(ad_value_text(text("Zoë"), 3, &s, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    assert_int_equal(ad_value_text(one("a\0b", 3), 9, &s, &e), -1);
    assert_int_equal(ad_value_text(text("\xff"), 9, &s, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_many),
        cmocka_unit_test(numbers),
        cmocka_unit_test(times),
        cmocka_unit_test(identifiers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
