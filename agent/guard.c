/* agent/guard.c -- see guard.h. */
#include "agent/guard.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

bool guard_judge(const struct world *w, const struct ad_dc *dc, const struct ad_account *a,
                 int families, struct guard_leave leave, struct judgement *ret)
{
    struct ad_guard_facts f = {
        .own_sid = dc->self,
        .own_computer = w->own_computer,
        .replicators_known = dc->replicators_known,
        .replicators = dc->replicators,
        .replicator_count = dc->replicator_count,
    };
    struct ad_verdict v;

    *ret = (struct judgement){.verdict = VERDICT_REFUSED, .rule = ""};
    if (dc->has_domain_sid)
        f.domain_sid = dc->domain_sid;
    f.privileged = policy_privileged(w->policy, &f.privileged_count);
    if (!dc->has_self) {
        ret->rule = "cannot-judge";
        (void)snprintf(
            ret->detail, sizeof(ret->detail),
            "%s does not say who we are (tokenGroups of the rootDSE), so the agent's own "
            "account cannot be told apart",
            dc->host);
        return false;
    }
    ad_protect_judge(&a->subject, &f, &v);
    ret->by = v.by;
    ret->hints = v.hints;
    switch (v.may) {
    case AD_MAY:
        break;
    case AD_REFUSE_PRIVILEGED:
        if (leave.twice && w->cfg->policy.allow_privileged)
            break;
        ret->rule = v.rule;
        ret->group = v.by.n != 0;
        if (leave.privileged && w->cfg->policy.allow_privileged) {
            /* Never on one person's word. */
            ret->verdict = VERDICT_HELD;
            ret->for_two = true;
            (void)snprintf(ret->detail, sizeof(ret->detail),
                           "%s; --privileged needs a second person's approval", v.detail);
            return false;
        }
        (void)snprintf(ret->detail, sizeof(ret->detail), "%s%s", v.detail,
                       leave.privileged ? "; --privileged is not allowed by the configuration "
                                          "([policy] allow_privileged)"
                                        : "");
        return false;
    case AD_HOLD:
        if (leave.approved)
            break;
        ret->verdict = VERDICT_HELD;
        ret->rule = v.rule;
        (void)snprintf(ret->detail, sizeof(ret->detail), "%s", v.detail);
        return false;
    default:
        ret->rule = v.rule;
        ret->group = false;
        (void)snprintf(ret->detail, sizeof(ret->detail), "%s", v.detail);
        return false;
    }
    if (w->domain->base != NULL && !policy_below(a->dn, w->domain->base)) {
        char shown[TEXT_SHOWN];

        ret->rule = "outside-base";
        (void)snprintf(ret->detail, sizeof(ret->detail), "not below the configured base %s",
                       text_shown(shown, w->domain->base));
        return false;
    }
    if (!leave.approved &&
        !policy_lists(w->policy, families, a, &ret->rule, ret->detail, sizeof(ret->detail))) {
        ret->verdict = VERDICT_HELD;
        return false;
    }
    return true;
}
