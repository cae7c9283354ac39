/* ldap/protect.h -- may this account be touched? One pure function of what was read.
 *
 * The order, and the first that speaks decides:
 *   1. hard: what no option may touch (krbtgt, built-in, DCs, trusts, sync accounts, ...)
 *   2. cannot judge: what decides could not be read. Absent is never "no": AD leaves out in silence
 *      what the reader may not see
 *   3. privileged: by nested membership (tokenGroups), primary group, sIDHistory, adminCount
 *   4. hold: an account with service principal names is likely a service; a person decides
 *   5. may
 *
 * Nothing here asks, allocates or logs. Lists and brakes of the policy come after this, in agent/.
 */
#ifndef CORDON_LDAP_PROTECT_H
#define CORDON_LDAP_PROTECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "ldap/sid.h"

/* objectClass, as far as it matters */
#define AD_CLASS_USER 0x0001U
#define AD_CLASS_COMPUTER 0x0002U
#define AD_CLASS_INETORGPERSON 0x0004U
#define AD_CLASS_MSA 0x0008U   /* msDS-ManagedServiceAccount */
#define AD_CLASS_GMSA 0x0010U  /* msDS-GroupManagedServiceAccount */
#define AD_CLASS_DMSA 0x0020U  /* msDS-DelegatedManagedServiceAccount */
#define AD_CLASS_TRUST 0x0040U /* trustedDomain */
#define AD_CLASS_GROUP 0x0080U
#define AD_CLASS_READ 0x8000U /* objectClass was shown at all */
/* The flag of one objectClass value, ASCII case folded; 0 for all others. */
unsigned ad_class_flag(const char *s, size_t n);

/* The account as one DC shows it. Pointers borrowed. */
struct ad_subject {
    struct ad_sid sid; /* n == 0: not shown */
    const char *sam;   /* sAMAccountName; NULL: not shown */
    const char *name;  /* the `name` attribute (the RDN's value); NULL: not shown */
    unsigned classes;  /* AD_CLASS_* */
    bool has_uac;
    uint32_t uac;
    bool has_sam_type;
    uint32_t sam_type; /* sAMAccountType */
    bool has_primary_group;
    uint32_t primary_group; /* primaryGroupID, a RID */
    bool has_admin_count;
    int32_t admin_count;
    bool critical;          /* isCriticalSystemObject is TRUE */
    bool has_krbtgt_number; /* msDS-SecondaryKrbTgtNumber is there */
    bool has_token_groups;
    const struct ad_sid *token_groups;
    size_t token_group_count;
    const struct ad_sid *sid_history;
    size_t sid_history_count;
    size_t spn_count; /* servicePrincipalName values */
};

struct ad_named_sid {
    struct ad_sid sid;
    const char *name; /* for the explanation */
};

/* What the guard knows of itself and of the domain. Pointers borrowed. */
struct ad_guard_facts {
    struct ad_sid own_sid;            /* the agent's; n == 0: not known */
    const char *own_computer;         /* our host's sAMAccountName, "LNX01$"; NULL: not joined */
    struct ad_sid domain_sid;         /* n == 0: not known */
    bool replicators_known;           /* the domain head's DACL could be read whole */
    const struct ad_sid *replicators; /* ad_sd_replicators of the domain head */
    size_t replicator_count;
    const struct ad_named_sid *privileged; /* DnsAdmins, the configured list, ... resolved */
    size_t privileged_count;
};

enum ad_may {
    AD_MAY,
    AD_REFUSE_HARD,
    AD_REFUSE_CANNOT_JUDGE,
    AD_REFUSE_PRIVILEGED, /* the only refusal that --privileged may lift */
    AD_HOLD,              /* a person decides */
};

/* Worth showing to a person; decides nothing. */
#define AD_HINT_PROTECTED_USERS 0x1U /* member of Protected Users (525) */
#define AD_HINT_NOT_DELEGATED 0x2U   /* "sensitive and cannot be delegated" */
#define AD_HINT_EVENT_READER 0x4U    /* Event Log Readers (S-1-5-32-573) */
#define AD_HINT_REMOTE_MANAGER 0x8U  /* Remote Management Users (S-1-5-32-580) */

#define AD_VERDICT_DETAIL 320
struct ad_verdict {
    enum ad_may may;
    /* "" for AD_MAY; hard: "krbtgt" "self" "built-in" "critical-system-object" "domain-controller"
     * "trust" "sync-account" "managed-service-account" "computer" "exchange-system"
     * "replicates-secrets"; "cannot-judge"; "privileged"; hold: "service-account" */
    const char *rule;
    struct ad_sid by; /* the SID that decided (a group, a history entry, the account); or none */
    unsigned hints;   /* AD_HINT_*, whatever the verdict */
    char detail[AD_VERDICT_DETAIL]; /* a sentence for a person, safe to show; "" for AD_MAY */
};

void ad_protect_judge(const struct ad_subject *s, const struct ad_guard_facts *f,
                      struct ad_verdict *ret_verdict);

const char *ad_may_word(enum ad_may may);                   /* "may" "refused" "held" */
void ad_protect_hint_words(struct text *t, unsigned hints); /* "Protected Users, ..." */

/* Does this SID, as a group or in a sIDHistory, mean privilege? Domain RIDs count in any domain of
 * the form S-1-5-21-a-b-c. Gives the group's name. facts may be NULL: the fixed tables only. */
bool ad_protect_is_privileged(const struct ad_sid *sid, const struct ad_guard_facts *f,
                              const char **ret_name);

#endif
