/* SIDs and GUIDs: bytes and text, both ways; what is refused. (L8) */
#include "ldap/sid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"

static struct ad_sid sid(const char *s)
{
    struct ad_sid r;

    assert_int_equal(ad_sid_from_text(s, strlen(s), &r), 0);
    return r;
}

static void text_there_and_back(void **state)
{
    static const char *const good[] = {
        "S-1-1-0",
        "S-1-5-10",
        "S-1-5-32-544",
        "S-1-5-21-0-0-0-500",
        "S-1-5-21-4294967295-4294967295-4294967295-4294967295",
        "S-1-4294967295-1",
        "S-1-0x000100000000-1",
        "S-1-0xffffffffffff"
        "-4294967295-4294967295-4294967295-4294967295-4294967295"
        "-4294967295-4294967295-4294967295-4294967295-4294967295"
        "-4294967295-4294967295-4294967295-4294967295-4294967295",
    };
    char buf[AD_SID_TEXT];
    struct ad_sid again;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct ad_sid s = sid(good[i]);

        assert_string_equal(ad_sid_to_text(&s, buf), good[i]);
        assert_int_equal(ad_sid_from_bytes(s.b, s.n, &again), 0);
        assert_true(ad_sid_eq(&s, &again));
    }
    struct ad_sid small = sid("s-1-5-18");

    assert_string_equal(ad_sid_to_text(&small, buf), "S-1-5-18");
}

static void text_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "S",
                                      "S-1",
                                      "S-1-",
                                      "S-1-5",
                                      "S-1-5-",
                                      "S-2-5-21",
                                      "S-1--5-21",
                                      "S-1-5--21",
                                      "S-1-5-21-",
                                      "S-1-5-+21",
                                      "S-1-5--1",
                                      "S-1-5-021",
                                      "S-1-05-21",
                                      "S-1-5-4294967296",
                                      "S-1-4294967296-1",
                                      "S-1-0x5-21",
                                      "S-1-0x000000000005-21",
                                      "S-1-0x1000000000000-1",
                                      "S-1-5-0x15",
                                      " S-1-5-21",
                                      "S-1-5-21 ",
                                      "S-1-5-2 1",
                                      "S-1-5-21-1a",
                                      "S-1-5-21\n",
                                      "S-1-5-99999999999999999999999999",
                                      "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16"};
    struct ad_sid s, before;

    (void)state;
    memset(&s, 0x5a, sizeof(s));
    before = s;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (ad_sid_from_text(bad[i], strlen(bad[i]), &s) == 0)
            fail_msg("'%s' was taken", bad[i]);
        assert_memory_equal(&s, &before, sizeof(s));
    }
    /* a NUL is a byte like any other */
    assert_int_equal(ad_sid_from_text("S-1-5-21\0-1", 11, &s), -1);
    assert_int_equal(ad_sid_from_text("S-1-5-21\0", 9, &s), -1);
}

static void bytes(void **state)
{
    /* S-1-5-21-1-2-3-500 */
    static const uint8_t b[] = {1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0,    0, 1, 0,
                                0, 0, 2, 0, 0, 0, 3, 0, 0,  0, 0xf4, 1, 0, 0};
    uint8_t changed[sizeof(b) + 4];
    char buf[AD_SID_DN];
    struct ad_sid s;

    (void)state;
    assert_int_equal(ad_sid_from_bytes(b, sizeof(b), &s), 0);
    assert_string_equal(ad_sid_to_text(&s, buf), "S-1-5-21-1-2-3-500");
    assert_string_equal(ad_sid_to_dn(&s, buf), "<SID=S-1-5-21-1-2-3-500>");
    for (size_t n = 0; n < sizeof(b); n++) {
        assert_int_equal(ad_sid_from_bytes(b, n, &s), -1);
        assert_int_equal(ad_sid_from_prefix(b, n, &s), -1);
    }
    memset(changed, 0, sizeof(changed));
    memcpy(changed, b, sizeof(b));
    assert_int_equal(ad_sid_from_bytes(changed, sizeof(changed), &s), -1);
    assert_int_equal(ad_sid_from_prefix(changed, sizeof(changed), &s), 0);
    assert_int_equal(s.n, sizeof(b));
    changed[0] = 2; /* revision */
    assert_int_equal(ad_sid_from_bytes(changed, sizeof(b), &s), -1);
    changed[0] = 1;
    changed[1] = 16; /* parts */
    assert_int_equal(ad_sid_from_prefix(changed, sizeof(changed), &s), -1);
    changed[1] = 0;
    assert_int_equal(ad_sid_from_bytes(changed, 8, &s), -1);
    assert_int_equal(ad_sid_from_bytes(NULL, 0, &s), -1);
}

static void questions(void **state)
{
    struct ad_sid none = {0}, account = sid("S-1-5-21-1-2-3-1104"), domain = sid("S-1-5-21-1-2-3"),
                  other = sid("S-1-5-21-1-2-4-1104"), sibling = sid("S-1-5-21-1-2-3-1105"),
                  admins = sid("S-1-5-32-544"), made;
    char buf[AD_SID_TEXT];

    (void)state;
    assert_int_equal(ad_sid_rid(&account), 1104);
    assert_int_equal(ad_sid_rid(&none), 0);
    assert_string_equal(ad_sid_to_text(&none, buf), "");
    assert_false(ad_sid_eq(&none, &none));
    assert_false(ad_sid_domain_eq(&none, &none));
    assert_false(ad_sid_in_domain(&account, &none));
    assert_false(ad_sid_in_domain(&none, &domain));

    assert_true(ad_sid_domain_eq(&account, &sibling));
    assert_false(ad_sid_domain_eq(&account, &other));
    assert_false(ad_sid_domain_eq(&account, &admins));
    assert_true(ad_sid_in_domain(&account, &domain));
    assert_false(ad_sid_in_domain(&other, &domain));
    assert_false(ad_sid_in_domain(&domain, &domain));
    assert_false(ad_sid_in_domain(&admins, &domain));

    made = ad_sid_in(&domain, 512);
    assert_string_equal(ad_sid_to_text(&made, buf), "S-1-5-21-1-2-3-512");
    made = ad_sid_in(&none, 512);
    assert_int_equal(made.n, 0);

    assert_true(ad_sid_is_account(&account));
    assert_false(ad_sid_is_account(&domain));
    assert_true(ad_sid_is_domain(&domain));
    assert_false(ad_sid_is_domain(&account));
    assert_true(ad_sid_is_builtin(&admins));
    assert_false(ad_sid_is_builtin(&account));
    made = sid("S-1-1-0");
    assert_true(ad_sid_is_everyone(&made));
    assert_false(ad_sid_is_self(&made));
    made = sid("S-1-5-10");
    assert_true(ad_sid_is_self(&made));
    assert_false(ad_sid_is_everyone(&made));
    made = sid("S-1-4-21-1-2-3-512"); /* another authority */
    assert_false(ad_sid_is_account(&made));
    made = sid("S-1-5-21-1-2-3-4-512"); /* one part too many */
    assert_false(ad_sid_is_account(&made));
}

static void guids(void **state)
{
    static const struct ad_guid user =
        AD_GUID_INIT(bf967aba, 0de6, 11d0, a2, 85, 00, aa, 00, 30, 49, e2);
    static const uint8_t wire[16] = {0xba, 0x7a, 0x96, 0xbf, 0xe6, 0x0d, 0xd0, 0x11,
                                     0xa2, 0x85, 0x00, 0xaa, 0x00, 0x30, 0x49, 0xe2};
    static const char *const good[] = {"bf967aba-0de6-11d0-a285-00aa003049e2",
                                       "BF967ABA-0DE6-11D0-A285-00AA003049E2",
                                       "{bf967aba-0de6-11d0-a285-00aa003049e2}"};
    static const char *const bad[] = {"",
                                      "bf967aba-0de6-11d0-a285-00aa003049e",
                                      "bf967aba-0de6-11d0-a285-00aa003049e2a",
                                      "bf967aba00de6-11d0-a285-00aa003049e2",
                                      "bf967aba-0de6-11d0-a285-00aa003049g2",
                                      "{bf967aba-0de6-11d0-a285-00aa003049e2",
                                      "bf967aba-0de6-11d0-a285-00aa003049e2}",
                                      "(bf967aba-0de6-11d0-a285-00aa003049e2)",
                                      "bf967aba0de611d0a28500aa003049e2",
                                      "-f967aba-0de6-11d0-a285-00aa003049e2"};
    char text[AD_GUID_TEXT], dn[AD_GUID_DN];
    struct ad_guid g;

    (void)state;
    assert_memory_equal(user.b, wire, 16);
    assert_string_equal(ad_guid_to_text(&user, text), good[0]);
    assert_string_equal(ad_guid_to_dn(&user, dn), "<GUID=bf967aba-0de6-11d0-a285-00aa003049e2>");
    assert_int_equal(strlen(dn), AD_GUID_DN - 1);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        memset(&g, 0, sizeof(g));
        assert_int_equal(ad_guid_from_text(good[i], strlen(good[i]), &g), 0);
        assert_true(ad_guid_eq(&g, &user));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(ad_guid_from_text(bad[i], strlen(bad[i]), &g), -1);
    assert_int_equal(ad_guid_from_bytes(wire, 15, &g), -1);
    assert_int_equal(ad_guid_from_bytes(wire, 16, &g), 0);
    assert_false(ad_guid_is_zero(&g));
    memset(&g, 0, sizeof(g));
    assert_true(ad_guid_is_zero(&g));
}

static void base64(void **state)
{
    static const char *const bad[] = {"",
                                      "unqWv+YN0BGihQCqADBJ4g=",
                                      "unqWv+YN0BGihQCqADBJ4g===",
                                      "unqWv+YN0BGihQCqADBJ4h==", /* not canonical */
                                      "unqWv-YN0BGihQCqADBJ4g==", /* the URL alphabet */
                                      "unqWv+YN0BGihQCqADBJ4gA=",
                                      "unqWv YN0BGihQCqADBJ4g==",
                                      "========================"};
    static const struct ad_guid user =
        AD_GUID_INIT(bf967aba, 0de6, 11d0, a2, 85, 00, aa, 00, 30, 49, e2);
    char buf[AD_GUID_BASE64];
    struct ad_guid g;

    (void)state;
    assert_string_equal(ad_guid_to_base64(&user, buf), "unqWv+YN0BGihQCqADBJ4g==");
    assert_int_equal(ad_guid_from_base64(buf, 24, &g), 0);
    assert_true(ad_guid_eq(&g, &user));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(ad_guid_from_base64(bad[i], strlen(bad[i]), &g), -1);
    assert_int_equal(ad_guid_from_base64("unqWv\0YN0BGihQCqADBJ4g==", 24, &g), -1);
    /* every byte value, in every place */
    for (int v = 0; v < 256; v++) {
        struct ad_guid in, out;

        for (int i = 0; i < 16; i++)
            in.b[i] = (uint8_t)(v + 37 * i);
        (void)ad_guid_to_base64(&in, buf);
        assert_int_equal(strlen(buf), 24);
        assert_int_equal(ad_guid_from_base64(buf, 24, &out), 0);
        assert_true(ad_guid_eq(&in, &out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_there_and_back),
        cmocka_unit_test(text_refused),
        cmocka_unit_test(bytes),
        cmocka_unit_test(questions),
        cmocka_unit_test(guids),
        cmocka_unit_test(base64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
