/* Entries as a DC should never send them: refused whole, in words, and nothing leaks (L8, L9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "ldap/account.h"

#define V(lit)               \
    {                        \
        lit, sizeof(lit) - 1 \
    }
static const struct ad_value guid[] = {
    V("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10")};
static const struct ad_value sid[] = {
    V("\x01\x05\0\0\0\0\0\x05\x15\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x50\x04\0\0")};
static const struct ad_value two_sids[] = {
    V("\x01\x05\0\0\0\0\0\x05\x15\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x50\x04\0\0"),
    V("\x01\x05\0\0\0\0\0\x05\x15\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x51\x04\0\0")};
static const struct ad_value short_sid[] = {V("\x01\x05\0\0\0\0\0\x05\x15\0\0\0")};
static const struct ad_value uac[] = {V("512")}, uac_two[] = {V("512"), V("514")},
                             uac_bad[] = {V("51x")}, uac_big[] = {V("99999999999")},
                             uac_negative[] = {V("-2147483136")};
static const struct ad_value pwd[] = {V("132539328000000000")}, pwd_bad[] = {V("yesterday")};
static const struct ad_value sam[] = {V("alice")}, sam_nul[] = {V("al\0ice")};

static struct ad_entry entry(const struct ad_attr *attrs, size_t n)
{
    return (struct ad_entry){.dn = "CN=alice,DC=x", .attrs = attrs, .count = n};
}

static void good(void **state)
{
    const struct ad_attr attrs[] = {{"objectGUID", guid, 1},        {"OBJECTSID", sid, 1},
                                    {"userAccountControl", uac, 1}, {"sAMAccountName", sam, 1},
                                    {"pwdLastSet", pwd, 1},         {"tokenGroups", two_sids, 2}};
    struct ad_entry en = entry(attrs, ARRAY_LEN(attrs));
    struct ad_account *a = NULL;
    struct ad_guid other = {{9}};
    struct err e;

    (void)state;
    assert_int_equal(ad_account_decode(&en, NULL, AD_READ_JUDGE, &a, &e), 0);
    assert_int_equal(a->uac, 512);
    assert_string_equal(a->sam, "alice");
    assert_true(a->subject.has_token_groups);
    assert_int_equal(a->subject.token_group_count, 2);
    assert_false(a->dacl_read);
    ad_account_free(a);
    /* an answer about another object than asked for */
    a = NULL;
    assert_int_equal(ad_account_decode(&en, &other, AD_READ_JUDGE, &a, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
    assert_null(a);
}

static void broken(void **state)
{
    char *big = calloc(1, 1024 * 1024);
    struct ad_value huge[] = {{big, 1024 * 1024}};
    const struct {
        const char *what;
        struct ad_attr attrs[4];
    } cases[] = {
        {"no objectSid",
         {{"objectGUID", guid, 1}, {"userAccountControl", uac, 1}, {"sAMAccountName", sam, 1}}},
        {"two SIDs",
         {{"objectGUID", guid, 1}, {"objectSid", two_sids, 2}, {"userAccountControl", uac, 1}}},
        {"a cut SID",
         {{"objectGUID", guid, 1}, {"objectSid", short_sid, 1}, {"userAccountControl", uac, 1}}},
        {"no GUID", {{"objectSid", sid, 1}, {"userAccountControl", uac, 1}}},
        {"no userAccountControl", {{"objectGUID", guid, 1}, {"objectSid", sid, 1}}},
        {"two of them",
         {{"objectGUID", guid, 1}, {"objectSid", sid, 1}, {"userAccountControl", uac_two, 2}}},
        {"no number",
         {{"objectGUID", guid, 1}, {"objectSid", sid, 1}, {"userAccountControl", uac_bad, 1}}},
        {"too big",
         {{"objectGUID", guid, 1}, {"objectSid", sid, 1}, {"userAccountControl", uac_big, 1}}},
        {"no time",
         {{"objectGUID", guid, 1},
          {"objectSid", sid, 1},
          {"userAccountControl", uac, 1},
          {"pwdLastSet", pwd_bad, 1}}},
        {"a NUL in a name",
         {{"objectGUID", guid, 1},
          {"objectSid", sid, 1},
          {"userAccountControl", uac, 1},
          {"sAMAccountName", sam_nul, 1}}},
        {"1 MB in a name",
         {{"objectGUID", guid, 1},
          {"objectSid", sid, 1},
          {"userAccountControl", uac, 1},
          {"sAMAccountName", huge, 1}}},
        {"1 MB of metadata",
         {{"objectGUID", guid, 1},
          {"objectSid", sid, 1},
          {"userAccountControl", uac, 1},
          {"replPropertyMetaData", huge, 1}}},
        {"a broken group",
         {{"objectGUID", guid, 1},
          {"objectSid", sid, 1},
          {"userAccountControl", uac, 1},
          {"tokenGroups", short_sid, 1}}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ad_account *a = NULL;
        struct err e = ERR_NONE;
        size_t n = 0;

        while (n < 4 && cases[i].attrs[n].name != NULL)
            n++;
        struct ad_entry en = entry(cases[i].attrs, n);

        if (ad_account_decode(&en, NULL, AD_READ_JUDGE, &a, &e) == 0)
            fail_msg("taken: %s", cases[i].what);
        assert_null(a);
        assert_true(e.code == ERR_INVALID || e.code == ERR_TOOBIG);
        assert_non_null(strstr(e.msg, "alice")); /* names the object */
    }
    free(big);
}

/* The value is a signed number on the wire. */
static void high_bit(void **state)
{
    const struct ad_attr attrs[] = {
        {"objectGUID", guid, 1}, {"objectSid", sid, 1}, {"userAccountControl", uac_negative, 1}};
    struct ad_entry en = entry(attrs, ARRAY_LEN(attrs));
    struct ad_account *a = NULL;
    struct err e;

    (void)state;
    assert_int_equal(ad_account_decode(&en, NULL, AD_READ_PROVE, &a, &e), 0);
    assert_int_equal(a->uac, 0x80000200U);
    ad_account_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(broken),
        cmocka_unit_test(high_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
