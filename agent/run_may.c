/* agent/run_may.c -- the terms of a request that the service carries out, beside the guards: its
 * signer's list, the state where another agent had it in hand, the brake.
 */
#include "agent/run_inside.h"

#include <stdio.h>

#include "agent/policy.h"
#include "base/stamp.h"
#include "base/text.h"
#include "ldap/uac.h"

#define ROUNDING_MS 1000 /* stamps are in whole seconds */

static bool newer(bool has, const struct ad_stamp *s, int64_t issued_ms, const char *what,
                  char why[200])
{
    char at[STAMP_TEXT];

    if (!has) {
        (void)snprintf(why, 200, "when %s was changed last cannot be read", what);
        return true;
    }
    if (s->time_ms + ROUNDING_MS < issued_ms)
        return false;
    (void)snprintf(why, 200, "%s was changed at %s, after it was asked for", what,
                   stamp_iso(at, s->time_ms));
    return true;
}

bool run_changed_since(enum action action, const struct ad_account *a, int64_t issued_ms,
                       char why[200])
{
    why[0] = '\0';
    switch (action) {
    case ACT_ENABLE: /* what was disabled since then is not to be given back */
        return (a->uac & AD_UAC_ACCOUNTDISABLE) != 0 &&
               newer(a->has_uac_stamp, &a->uac_stamp, issued_ms, "userAccountControl", why);
    case ACT_RESET:
        return newer(a->has_unicode_stamp, &a->unicode_stamp, issued_ms, "the password", why);
    case ACT_EXPIRE:
        return !(a->has_pwd_last_set && a->pwd_last_set == 0) &&
               newer(a->has_pwd_stamp, &a->pwd_stamp, issued_ms, "pwdLastSet", why);
    default:
        return false; /* the same done twice; or, with contain, harmless once it is disabled */
    }
}

bool run_may(const struct casefile *cf, const struct ad_account *a, struct judgement *ret)
{
    const struct run_terms *t = &cf->terms;
    char why[200];

    if (t->only != NULL && !policy_only(t->only, a)) {
        ret->verdict = VERDICT_REFUSED;
        ret->rule = "signer-accounts";
        (void)snprintf(ret->detail, sizeof(ret->detail),
                       "not on the list of accounts that its signer may name");
        return false;
    }
    /* Once it goes, what has changed since is our own doing. */
    if (t->taken_over && !cf->going && !cf->leave.approved &&
        run_changed_since(cf->plan->action, a, t->issued_ms, why)) {
        ret->verdict = VERDICT_HELD;
        ret->rule = "taken-over";
        (void)snprintf(ret->detail, sizeof(ret->detail),
                       "another agent had it in hand, and %s: a person must look", why);
        return false;
    }
    return true;
}

bool run_let(struct casefile *cf)
{
    const char *rule = "brake";
    char why[400] = "";

    if (cf->terms.let == NULL || cf->leave.approved ||
        cf->terms.let(cf->terms.arg, cf, &rule, why, sizeof(why)))
        return true;
    cf->ending = true;
    cf->verdict = VERDICT_HELD;
    (void)snprintf(cf->rule, sizeof(cf->rule), "%s", rule);
    run_say(cf, "%s", why);
    return false;
}
