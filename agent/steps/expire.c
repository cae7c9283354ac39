/* agent/steps/expire.c -- "must change password at next logon", where that means anything.
 *
 * A forced change is stored and does nothing for a password that never expires, and locks out
 * (rather than resets) a user who may not change the password or logs on by smart card only. The
 * right to change is two deny ACEs, not the flag bit of the same name (active-directory.md 2).
 */
#include "agent/plan.h"

#include "ldap/uac.h"

static enum need decide(const struct ad_account *a, const struct options *o, struct ad_edits *edits,
                        struct err *why)
{
    bool never = (a->uac & AD_UAC_DONT_EXPIRE_PASSWORD) != 0;

    if ((a->uac & AD_UAC_SMARTCARD_REQUIRED) != 0) {
        (void)err_set(
            why, ERR_REFUSED, 0,
            "smart-card-only: the account logs on by smart card only, its password is not "
            "in use; disable it instead");
        return NEED_REFUSED;
    }
    if (!a->dacl_read) {
        (void)err_set(
            why, ERR_REFUSED, 0,
            "cannot-judge: the account's access control list cannot be read, so it is not "
            "known whether the user may change the password; give the agent Read "
            "Permissions on it");
        return NEED_REFUSED;
    }
    if (a->cannot_change_password) {
        (void)err_set(why, ERR_REFUSED, 0,
                      "cannot-change-password: the user may not change the password and would be "
                      "locked out; use reset-password or disable");
        return NEED_REFUSED;
    }
    if (never && !o->clear_never_expires) {
        (void)err_set(why, ERR_REFUSED, 0,
                      "never-expires: the password never expires, so a forced change would do "
                      "nothing; use --clear-never-expires, reset-password or disable");
        return NEED_REFUSED;
    }
    if (!a->has_pwd_last_set) {
        (void)err_set(why, ERR_REFUSED, 0, "cannot-judge: pwdLastSet cannot be read");
        return NEED_REFUSED;
    }
    if (a->pwd_last_set == 0 && !never)
        return NEED_NOTHING;
    *edits = (struct ad_edits){.pwd = a->pwd_last_set == 0 ? AD_PWD_KEEP : AD_PWD_EXPIRE};
    if (never) {
        edits->uac = true;
        edits->uac_old = a->uac;
        edits->uac_new = a->uac & ~(AD_UAC_DONT_EXPIRE_PASSWORD | AD_UAC_NEVER_WRITE);
    }
    return NEED_CHANGE;
}

const struct effect_kind effect_expire = {
    .step = "expire-password", .decide = decide, .needs_dacl = true};
