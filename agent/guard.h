/* agent/guard.h -- may this account be touched? The directory's guard, the base, the lists.
 *
 * One judgement for everybody who asks: the run before anything is sent, each effect again at its
 * DC, and `show`. It reads nothing; what it says is about the account as that DC showed it.
 */
#ifndef CORDON_AGENT_GUARD_H
#define CORDON_AGENT_GUARD_H

#include <stdbool.h>

#include "agent/verdict.h"
#include "agent/world.h"
#include "ldap/account.h"
#include "ldap/dcs.h"

/* What people have said beforehand. None of it lifts a hard rule. */
struct guard_leave {
    bool privileged; /* a privileged account is meant: held for two people, where that is allowed */
    bool approved;   /* somebody approved of what a list or the directory holds for a person */
    bool twice;      /* two people did: also of a privileged account, where that is allowed */
};

struct judgement {
    enum verdict verdict; /* REFUSED or HELD */
    const char *rule;
    char detail[400];
    struct ad_sid by; /* the group that decided, if one did */
    bool group;
    bool for_two;   /* HELD, and one person's approval will not do */
    unsigned hints; /* AD_HINT_*, whatever the answer */
};

/* All guards. families: POLICY_DISABLE | POLICY_CREDENTIALS, whose lists apply. True: it may be
 * touched. Needs the world's policy. */
bool guard_judge(const struct world *w, const struct ad_dc *dc, const struct ad_account *a,
                 int families, struct guard_leave leave, struct judgement *ret);

#endif
