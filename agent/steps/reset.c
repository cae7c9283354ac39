/* agent/steps/reset.c -- a random password, set twice: the second pushes the stolen one out of
 * the "previous password" place as well (active-directory.md 2). Shown to nobody, kept nowhere.
 */
#include "agent/plan.h"

#include "ldap/uac.h"

static enum need decide(const struct ad_account *a, const struct options *o, struct ad_edits *edits,
                        struct err *why)
{
    *edits = (struct ad_edits){0};
    if ((a->uac & AD_UAC_SMARTCARD_REQUIRED) != 0 && o->must_change) {
        (void)err_set(why, ERR_REFUSED, 0,
                      "smart-card-only: the account logs on by smart card only; a forced change "
                      "would do nothing");
        return NEED_REFUSED;
    }
    if (o->must_change && (a->uac & AD_UAC_DONT_EXPIRE_PASSWORD) != 0 && !o->clear_never_expires) {
        (void)err_set(why, ERR_REFUSED, 0,
                      "never-expires: the password never expires, so the forced change asked for "
                      "would do nothing; use --clear-never-expires, or leave --must-change away");
        return NEED_REFUSED;
    }
    if (o->must_change) {
        edits->pwd = AD_PWD_EXPIRE;
        if ((a->uac & AD_UAC_DONT_EXPIRE_PASSWORD) != 0) {
            edits->uac = true;
            edits->uac_old = a->uac;
            edits->uac_new = a->uac & ~(AD_UAC_DONT_EXPIRE_PASSWORD | AD_UAC_NEVER_WRITE);
        }
    }
    return NEED_CHANGE; /* a reset is never "already so" */
}

const struct effect_kind effect_reset = {
    .step = "reset-password", .decide = decide, .resets = true};
