/* What each kind of change sends: one bit and no other, and a reason where it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/plan.h"
#include "base/cleanup.h"
#include "ldap/uac.h"

static const uint32_t values[] = {512,        514,      544,        546,       66048,
                                  66050,      262656,   262658,     1049088,   0x0400200,
                                  512 | 0x10, 0x800200, 512 | 0x80, 0x1000200, 0x80000200U};

/* G2: only ACCOUNTDISABLE moves; bits that the directory computes are never sent. */
static void disable_and_enable_move_one_bit(void **state)
{
    struct options o = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct ad_account a = {.uac = values[i]};
        struct ad_edits d = {0}, en = {0};
        struct err e;
        enum need nd = effect_disable.decide(&a, &o, &d, &e);
        enum need ne = effect_enable.decide(&a, &o, &en, &e);

        if ((values[i] & AD_UAC_ACCOUNTDISABLE) != 0) {
            assert_int_equal(nd, NEED_NOTHING);
            assert_int_equal(ne, NEED_CHANGE);
            assert_int_equal(en.uac_old, values[i]);
            assert_int_equal((en.uac_old ^ en.uac_new) & ~AD_UAC_NEVER_WRITE,
                             AD_UAC_ACCOUNTDISABLE);
            assert_int_equal(en.uac_new & AD_UAC_NEVER_WRITE, 0);
        } else {
            assert_int_equal(ne, NEED_NOTHING);
            assert_int_equal(nd, NEED_CHANGE);
            assert_int_equal(d.uac_old, values[i]);
            assert_int_equal((d.uac_old ^ d.uac_new) & ~AD_UAC_NEVER_WRITE, AD_UAC_ACCOUNTDISABLE);
            assert_int_equal(d.uac_new & AD_UAC_NEVER_WRITE, 0);
            assert_int_equal(d.pwd, AD_PWD_KEEP);
        }
    }
}

static void expire(void **state)
{
    static const struct {
        uint32_t uac;
        bool dacl, cannot, clear, has_pwd;
        int64_t pwd;
        enum need need;
        const char *rule;
        bool edits_uac;
        enum ad_pwd_edit edits_pwd;
    } cases[] = {
        {512, true, false, false, true, 1, NEED_CHANGE, NULL, false, AD_PWD_EXPIRE},
        {512, true, false, false, true, 0, NEED_NOTHING, NULL, false, AD_PWD_KEEP},
        {66048, true, false, false, true, 1, NEED_REFUSED, "never-expires:", false, AD_PWD_KEEP},
        {66048, true, false, true, true, 1, NEED_CHANGE, NULL, true, AD_PWD_EXPIRE},
        {66048, true, false, true, true, 0, NEED_CHANGE, NULL, true, AD_PWD_KEEP},
        /* pwdLastSet = 0 means nothing while the password never expires */
        {66048, true, false, false, true, 0, NEED_REFUSED, "never-expires:", false, AD_PWD_KEEP},
        {512, true, true, false, true, 1, NEED_REFUSED, "cannot-change-password:", false,
         AD_PWD_KEEP},
        {512, false, false, false, true, 1, NEED_REFUSED, "cannot-judge:", false, AD_PWD_KEEP},
        {262656, true, false, true, true, 1, NEED_REFUSED, "smart-card-only:", false, AD_PWD_KEEP},
        {512, true, false, false, false, 0, NEED_REFUSED, "cannot-judge:", false, AD_PWD_KEEP},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ad_account a = {.uac = cases[i].uac,
                               .dacl_read = cases[i].dacl,
                               .cannot_change_password = cases[i].cannot,
                               .has_pwd_last_set = cases[i].has_pwd,
                               .pwd_last_set = cases[i].pwd};
        struct options o = {.clear_never_expires = cases[i].clear};
        struct ad_edits edits = {0};
        struct err e = ERR_NONE;

        assert_int_equal(effect_expire.decide(&a, &o, &edits, &e), cases[i].need);
        if (cases[i].rule != NULL) {
            assert_memory_equal(e.msg, cases[i].rule, strlen(cases[i].rule));
        } else if (cases[i].need == NEED_CHANGE) {
            assert_int_equal(edits.uac, cases[i].edits_uac);
            assert_int_equal(edits.pwd, cases[i].edits_pwd);
            if (edits.uac)
                assert_int_equal(edits.uac_old ^ edits.uac_new, AD_UAC_DONT_EXPIRE_PASSWORD);
        }
    }
}

static void undo(void **state)
{
    struct undo_left left = {.uac_after = 514,
                             .has_stamps = true,
                             .uac_stamp = {.version = 5, .originating_usn = 100},
                             .pwd_stamp = {.version = 3, .originating_usn = 90}};
    struct options o = {.undo = true, .undo_disabled = true, .left = &left, .left_count = 1};
    struct ad_account a = {.uac = 514, .has_uac_stamp = true, .uac_stamp = left.uac_stamp};
    struct ad_edits edits;
    struct err e = ERR_NONE;

    (void)state;
    /* as left: put back */
    assert_int_equal(effect_enable.decide(&a, &o, &edits, &e), NEED_CHANGE);
    assert_int_equal(edits.uac_new, 512);
    /* same value, another version: undone and done again by someone */
    a.uac_stamp.version = 7;
    assert_int_equal(effect_enable.decide(&a, &o, &edits, &e), NEED_REFUSED);
    assert_memory_equal(e.msg, "changed-since:", 14);
    /* another bit changed since: ours still stands */
    a.uac = 1049090;
    assert_int_equal(effect_enable.decide(&a, &o, &edits, &e), NEED_CHANGE);
    assert_int_equal(edits.uac_new, 1049088);
    /* enabled already by someone: nothing left to do */
    a.uac = 512;
    assert_int_equal(effect_enable.decide(&a, &o, &edits, &e), NEED_NOTHING);
    /* a case that changed nothing */
    o.undo_disabled = false;
    assert_int_equal(effect_enable.decide(&a, &o, &edits, &e), NEED_REFUSED);
    /* never-expires and pwdLastSet come back together */
    o = (struct options){.undo = true,
                         .undo_never_expires = true,
                         .undo_expired = true,
                         .left = &left,
                         .left_count = 1};
    left.uac_after = 512;
    a = (struct ad_account){.uac = 512,
                            .has_uac_stamp = true,
                            .uac_stamp = left.uac_stamp,
                            .has_pwd_stamp = true,
                            .pwd_stamp = left.pwd_stamp,
                            .has_pwd_last_set = true,
                            .pwd_last_set = 0};
    assert_int_equal(effect_enable.decide(&a, &o, &edits, &e), NEED_CHANGE);
    assert_int_equal(edits.uac_new, 66048);
    assert_int_equal(edits.pwd, AD_PWD_NOW);
    /* the user chose a new password since: pwdLastSet stays */
    a.pwd_last_set = 1;
    assert_int_equal(effect_enable.decide(&a, &o, &edits, &e), NEED_CHANGE);
    assert_int_equal(edits.pwd, AD_PWD_KEEP);
}

static void plans(void **state)
{
    (void)state;
    for (int i = ACT_DISABLE; i <= ACT_CONTAIN; i++) {
        const struct plan *p = plan_for((enum action)i);

        assert_int_equal(p->action, i);
        assert_true(p->count >= 1 && p->count <= ARRAY_LEN(p->steps));
        for (size_t k = 0; k < p->count; k++)
            assert_non_null(p->steps[k].kind);
    }
    assert_true(plan_for(ACT_DISABLE)->steps[0].every_dc);
    assert_false(plan_for(ACT_RESET)->steps[0].every_dc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disable_and_enable_move_one_bit),
        cmocka_unit_test(expire),
        cmocka_unit_test(undo),
        cmocka_unit_test(plans),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
