/* agent/steps/disable.c -- what a disable changes: the one bit, and no other. */
#include "agent/plan.h"

#include "ldap/uac.h"

static enum need decide(const struct ad_account *a, const struct options *o, struct ad_edits *edits,
                        struct err *why)
{
    (void)o;
    (void)why;
    if ((a->uac & AD_UAC_ACCOUNTDISABLE) != 0)
        return NEED_NOTHING;
    *edits = (struct ad_edits){.uac = true,
                               .uac_old = a->uac,
                               .uac_new = (a->uac & ~AD_UAC_NEVER_WRITE) | AD_UAC_ACCOUNTDISABLE};
    return NEED_CHANGE;
}

const struct effect_kind effect_disable = {.step = "disable", .decide = decide};
