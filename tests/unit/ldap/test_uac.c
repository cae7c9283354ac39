/* userAccountControl: words, and what a change may do. (G2) */
#include "ldap/uac.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void words(void **state)
{
    static const struct {
        uint32_t uac;
        const char *words;
    } table[] = {
        {0, "none"},
        {512, "normal"},
        {514, "disabled, normal"},
        {66050, "disabled, normal, password never expires"},
        {262656, "normal, smart card required"},
        {532480, "domain controller, trusted for delegation"},
        {0x40000200, "normal, 0x40000000"},
        {0x80000400, "0x80000400"},
    };
    struct text t = TEXT_INIT(2048);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        text_clear(&t);
        ad_uac_words(&t, table[i].uac);
        assert_string_equal(t.s, table[i].words);
    }
    /* every bit is shown, by its word or by its number */
    for (unsigned i = 0; i < 32; i++) {
        text_clear(&t);
        ad_uac_words(&t, UINT32_C(1) << i);
        assert_true(t.len > 0);
        if (ad_uac_word(UINT32_C(1) << i) != NULL)
            assert_string_equal(t.s, ad_uac_word(UINT32_C(1) << i));
    }
    text_clear(&t);
    ad_uac_words(&t, UINT32_MAX);
    assert_int_equal(text_check(&t, "words", &(struct err){0}), 0);
    assert_null(ad_uac_word(0));
    assert_null(ad_uac_word(3));
    text_done(&t);
}

static void changes(void **state)
{
    uint32_t to = 77;

    (void)state;
    assert_true(ad_uac_change(512, AD_UAC_ACCOUNTDISABLE, 0, &to));
    assert_int_equal(to, 514);
    assert_true(ad_uac_change(514, 0, AD_UAC_ACCOUNTDISABLE, &to));
    assert_int_equal(to, 512);
    /* unknown bits survive */
    assert_true(ad_uac_change(0x40010200, AD_UAC_ACCOUNTDISABLE, AD_UAC_DONT_EXPIRE_PASSWORD, &to));
    assert_int_equal(to, 0x40000202);
    /* computed ones are never part of what is sent */
    assert_true(ad_uac_change(0x00800250, AD_UAC_ACCOUNTDISABLE | AD_UAC_LOCKOUT, 0, &to));
    assert_int_equal(to, 0x202);
    /* the kind of account never changes */
    to = 77;
    assert_false(ad_uac_change(512, AD_UAC_SERVER_TRUST_ACCOUNT, 0, &to));
    assert_false(ad_uac_change(512, 0, AD_UAC_NORMAL_ACCOUNT, &to));
    assert_false(ad_uac_change(0, AD_UAC_NORMAL_ACCOUNT, 0, &to));
    assert_int_equal(to, 77);

    assert_true(ad_uac_same(514, 514 | AD_UAC_LOCKOUT | AD_UAC_PASSWORD_EXPIRED));
    assert_false(ad_uac_same(514, 512));
    assert_int_equal(AD_UAC_NEVER_WRITE, 0x10 | 0x40 | 0x800000);
    assert_int_equal(AD_UAC_TYPE_BITS, 0x100 | 0x200 | 0x800 | 0x1000 | 0x2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words), cmocka_unit_test(changes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
