/* agent/steps/enable.c -- undo: exactly what a case changed, or the one bit where no case is named.
 *
 * Only what still stands as the case left it is put back. It stands where the attribute has the
 * version that the case left, or where other bits were changed since but this one was not. The
 * same value under another version was undone and done again by someone: theirs to decide.
 */
#include "agent/plan.h"

#include "ldap/uac.h"

static bool uac_stands(const struct ad_account *a, const struct options *o)
{
    bool same_value = false;

    for (size_t i = 0; i < o->left_count; i++) {
        const struct undo_left *l = &o->left[i];

        /* Without versions nobody can tell: then it is not put back. */
        if (!l->has_stamps || !a->has_uac_stamp)
            return false;
        if (ad_stamp_eq(&a->uac_stamp, &l->uac_stamp))
            return true;
        same_value = same_value || ad_uac_same(a->uac, l->uac_after);
    }
    return o->left_count > 0 && !same_value;
}

static bool pwd_stands(const struct ad_account *a, const struct options *o)
{
    for (size_t i = 0; i < o->left_count; i++) {
        if (o->left[i].has_stamps && a->has_pwd_stamp &&
            ad_stamp_eq(&a->pwd_stamp, &o->left[i].pwd_stamp))
            return true;
    }
    return false;
}

static enum need decide(const struct ad_account *a, const struct options *o, struct ad_edits *edits,
                        struct err *why)
{
    uint32_t now = a->uac & ~AD_UAC_NEVER_WRITE, to = now;
    bool wants_uac, wants_pwd;

    *edits = (struct ad_edits){.uac_old = a->uac};
    if (!o->undo) {
        to &= ~AD_UAC_ACCOUNTDISABLE;
    } else {
        if (!o->undo_disabled && !o->undo_never_expires && !o->undo_expired) {
            (void)err_set(why, ERR_REFUSED, 0,
                          "nothing-to-undo: that case changed nothing that could be put back");
            return NEED_REFUSED;
        }
        if (o->undo_disabled)
            to &= ~AD_UAC_ACCOUNTDISABLE;
        if (o->undo_never_expires)
            to |= AD_UAC_DONT_EXPIRE_PASSWORD;
        wants_uac = to != now;
        /* 0 to "now": the date before is gone for good (a client may write only 0 and -1). */
        wants_pwd = o->undo_expired && a->has_pwd_last_set && a->pwd_last_set == 0;
        if ((wants_uac && !uac_stands(a, o)) || (wants_pwd && !wants_uac && !pwd_stands(a, o))) {
            (void)err_set(why, ERR_REFUSED, 0,
                          "changed-since: the account does not stand as the case left it, or its "
                          "versions cannot be read; someone else may have decided since (enable "
                          "without --case clears the flag all the same)");
            return NEED_REFUSED;
        }
        if (wants_pwd && pwd_stands(a, o))
            edits->pwd = AD_PWD_NOW;
    }
    edits->uac = to != now;
    edits->uac_new = to;
    return edits->uac || edits->pwd != AD_PWD_KEEP ? NEED_CHANGE : NEED_NOTHING;
}

const struct effect_kind effect_enable = {.step = "enable", .decide = decide};
