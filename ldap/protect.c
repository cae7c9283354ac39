/* ldap/protect.c -- see protect.h. The tables are sections of Microsoft's own documents: well-known
 * SIDs (MS-DTYP 2.4.2.4, MS-SAMR 2.2.1.14), AdminSDHolder (MS-ADTS 3.1.1.6.1), Entra Connect's and
 * Exchange's account names.
 *
 *   hard_rules[]   one function a rule, in the order in which they are asked
 *   judgeable      is everything there that the rest decides by?
 *   privileged     memberships, primary group, history, adminCount
 *   ad_protect_judge
 */
#include "ldap/protect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ldap/uac.h"

#define RID_KRBTGT 502
#define RID_DOMAIN_CONTROLLERS 516
#define RID_READONLY_CONTROLLERS 521
#define RID_PROTECTED_USERS 525
#define RID_FIRST_ORDINARY 1000
#define RID_BUILTIN_EVENT_READERS 573
#define RID_BUILTIN_REMOTE_MANAGERS 580

struct known_rid {
    uint32_t rid;
    const char *name;
};

/* S-1-5-21-a-b-c-RID in any domain: two of these exist in the forest's root domain only, and an
 * account of a child domain may well be a member there. */
static const struct known_rid privileged_domain_rids[] = {
    {498, "Enterprise Read-only Domain Controllers"},
    {500, "Administrator"},
    {502, "krbtgt"},
    {512, "Domain Admins"},
    {516, "Domain Controllers"},
    {517, "Cert Publishers"},
    {518, "Schema Admins"},
    {519, "Enterprise Admins"},
    {520, "Group Policy Creator Owners"},
    {521, "Read-only Domain Controllers"},
    {522, "Cloneable Domain Controllers"},
    {526, "Key Admins"},
    {527, "Enterprise Key Admins"},
};

/* S-1-5-32-RID. 573 and 580 are hints only. */
static const struct known_rid privileged_builtin_rids[] = {
    {544, "Administrators"},
    {548, "Account Operators"},
    {549, "Server Operators"},
    {550, "Print Operators"},
    {551, "Backup Operators"},
    {552, "Replicator"},
    {556, "Network Configuration Operators"},
    {557, "Incoming Forest Trust Builders"},
    {569, "Cryptographic Operators"},
    {578, "Hyper-V Administrators"},
    {579, "Access Control Assistance Operators"},
};

/* --- small questions ---------------------------------------------------------- */

static const char *known(const struct known_rid *table, size_t count, uint32_t rid)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].rid == rid)
            return table[i].name;
    }
    return NULL;
}

bool ad_protect_is_privileged(const struct ad_sid *sid, const struct ad_guard_facts *f,
                              const char **ret_name)
{
    const char *name = NULL;

    if (ad_sid_is_account(sid))
        name = known(privileged_domain_rids, ARRAY_LEN(privileged_domain_rids), ad_sid_rid(sid));
    else if (ad_sid_is_builtin(sid))
        name = known(privileged_builtin_rids, ARRAY_LEN(privileged_builtin_rids), ad_sid_rid(sid));
    for (size_t i = 0; name == NULL && f != NULL && i < f->privileged_count; i++) {
        if (ad_sid_eq(&f->privileged[i].sid, sid))
            name = f->privileged[i].name != NULL ? f->privileged[i].name : "a privileged group";
    }
    if (name == NULL)
        return false;
    *ret_name = name;
    return true;
}

static bool holds(const struct ad_sid *sids, size_t count, const struct ad_sid *sid)
{
    for (size_t i = 0; i < count; i++) {
        if (ad_sid_eq(&sids[i], sid))
            return true;
    }
    return false;
}

/* ASCII case folded; NULL begins with nothing. Returns what stands behind the prefix, or NULL. */
static const char *behind(const char *s, const char *prefix)
{
    if (s == NULL)
        return NULL;
    for (; *prefix != '\0'; s++, prefix++) {
        char a = *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s;
        char b = *prefix >= 'A' && *prefix <= 'Z' ? (char)(*prefix - 'A' + 'a') : *prefix;

        if (a != b)
            return NULL;
    }
    return s;
}

/* At least `least` characters, all of them from `set`, up to the end. */
static bool all_of(const char *s, const char *set, size_t least)
{
    size_t n = strspn(s, set);

    return s[n] == '\0' && n >= least;
}

static const char digits[] = "0123456789";
static const char hex_digits[] = "0123456789abcdefABCDEF";

/* The verdict, and true, so that a rule reads: return say(v, ...). */
static bool say(struct ad_verdict *v, enum ad_may may, const char *rule, const struct ad_sid *by,
                const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static bool say(struct ad_verdict *v, enum ad_may may, const char *rule, const struct ad_sid *by,
                const char *fmt, ...)
{
    va_list ap;

    v->may = may;
    v->rule = rule;
    v->by = by != NULL ? *by : (struct ad_sid){0};
    va_start(ap, fmt);
    (void)vsnprintf(v->detail, sizeof(v->detail), fmt, ap);
    va_end(ap);
    return true;
}

/* --- 1. hard -------------------------------------------------------------------- */

typedef bool rule_fn(const struct ad_subject *s, const struct ad_guard_facts *f,
                     struct ad_verdict *v);

static bool is_krbtgt(const struct ad_subject *s, const struct ad_guard_facts *f,
                      struct ad_verdict *v)
{
    const char *rest = behind(s->sam, "krbtgt");

    (void)f;
    if (ad_sid_is_account(&s->sid) && ad_sid_rid(&s->sid) == RID_KRBTGT)
        return say(v, AD_REFUSE_HARD, "krbtgt", &s->sid, "krbtgt signs every Kerberos ticket");
    /* An RODC's has an ordinary RID and no adminCount: only these two tell. */
    if (s->has_krbtgt_number)
        return say(v, AD_REFUSE_HARD, "krbtgt", &s->sid,
                   "the krbtgt of a read-only domain controller");
    if (rest != NULL && (rest[0] == '\0' || (rest[0] == '_' && (all_of(rest + 1, digits, 1) ||
                                                                text_eq_nocase(rest, "_AzureAD")))))
        return say(v, AD_REFUSE_HARD, "krbtgt", &s->sid, "by its name an account of the KDC");
    return false;
}

static bool is_ourselves(const struct ad_subject *s, const struct ad_guard_facts *f,
                         struct ad_verdict *v)
{
    if (ad_sid_eq(&s->sid, &f->own_sid))
        return say(v, AD_REFUSE_HARD, "self", &s->sid, "the account that cordon itself acts as");
    if (s->sam != NULL && f->own_computer != NULL && text_eq_nocase(s->sam, f->own_computer))
        return say(v, AD_REFUSE_HARD, "self", &s->sid, "the computer that cordon runs on");
    return false;
}

static bool is_built_in(const struct ad_subject *s, const struct ad_guard_facts *f,
                        struct ad_verdict *v)
{
    (void)f;
    if (ad_sid_is_builtin(&s->sid) ||
        (ad_sid_is_account(&s->sid) && ad_sid_rid(&s->sid) < RID_FIRST_ORDINARY))
        return say(v, AD_REFUSE_HARD, "built-in", &s->sid, "a built-in account (RID %u)",
                   ad_sid_rid(&s->sid));
    return false;
}

static bool is_critical(const struct ad_subject *s, const struct ad_guard_facts *f,
                        struct ad_verdict *v)
{
    (void)f;
    return s->critical && say(v, AD_REFUSE_HARD, "critical-system-object", &s->sid,
                              "isCriticalSystemObject is TRUE");
}

static bool is_controller(const struct ad_subject *s, const struct ad_guard_facts *f,
                          struct ad_verdict *v)
{
    (void)f;
    if (s->has_uac &&
        (s->uac & (AD_UAC_SERVER_TRUST_ACCOUNT | AD_UAC_PARTIAL_SECRETS_ACCOUNT)) != 0)
        return say(v, AD_REFUSE_HARD, "domain-controller", &s->sid,
                   "a domain controller (userAccountControl 0x%x)", s->uac);
    if (s->has_primary_group && (s->primary_group == RID_DOMAIN_CONTROLLERS ||
                                 s->primary_group == RID_READONLY_CONTROLLERS))
        return say(v, AD_REFUSE_HARD, "domain-controller", &s->sid,
                   "a domain controller (primaryGroupID %u)", s->primary_group);
    return false;
}

static bool is_trust(const struct ad_subject *s, const struct ad_guard_facts *f,
                     struct ad_verdict *v)
{
    (void)f;
    if ((s->has_uac && (s->uac & AD_UAC_INTERDOMAIN_TRUST_ACCOUNT) != 0) ||
        (s->has_sam_type && s->sam_type == AD_SAM_TYPE_TRUST) || (s->classes & AD_CLASS_TRUST) != 0)
        return say(v, AD_REFUSE_HARD, "trust", &s->sid, "the account of a trust with a domain");
    return false;
}

static bool is_sync_account(const struct ad_subject *s, const struct ad_guard_facts *f,
                            struct ad_verdict *v)
{
    static const char *const prefixes[] = {
        "MSOL_",         /* Entra Connect, AD connector */
        "AAD_",          /* Entra Connect, older service account */
        "ADSyncMSA",     /* Entra Connect, group managed */
        "provAgentgMSA", /* Entra cloud sync */
        "pGMSA_",        /* Entra cloud sync */
    };

    (void)f;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (behind(s->sam, prefixes[i]) != NULL)
            return say(v, AD_REFUSE_HARD, "sync-account", &s->sid,
                       "by its name (%s) an account of the synchronisation with Entra",
                       prefixes[i]);
    }
    return false;
}

static bool is_managed(const struct ad_subject *s, const struct ad_guard_facts *f,
                       struct ad_verdict *v)
{
    (void)f;
    return (s->classes & (AD_CLASS_MSA | AD_CLASS_GMSA | AD_CLASS_DMSA)) != 0 &&
           say(v, AD_REFUSE_HARD, "managed-service-account", &s->sid, "a managed service account");
}

static bool is_computer(const struct ad_subject *s, const struct ad_guard_facts *f,
                        struct ad_verdict *v)
{
    size_t n = s->sam != NULL ? strlen(s->sam) : 0;

    (void)f;
    if ((s->classes & AD_CLASS_COMPUTER) != 0 ||
        (s->has_sam_type && s->sam_type == AD_SAM_TYPE_MACHINE) ||
        (s->has_uac && (s->uac & AD_UAC_WORKSTATION_TRUST_ACCOUNT) != 0) ||
        (n > 0 && s->sam[n - 1] == '$'))
        return say(v, AD_REFUSE_HARD, "computer", &s->sid, "a computer account");
    return false;
}

/* "Migration.8f3e7716-2011-...": the prefix and the beginning of a GUID. A person may well be
 * called migration.lead. */
static bool is_arbitration(const char *s, const char *prefix)
{
    const char *rest = behind(s, prefix);

    return rest != NULL && strspn(rest, hex_digits) == 8 && rest[8] == '-';
}

static bool exchange_name(const char *s)
{
    const char *rest;

    /* HealthMailbox + hex; as sAMAccountName cut to 20 characters */
    if ((rest = behind(s, "HealthMailbox")) != NULL && all_of(rest, hex_digits, 1))
        return true;
    /* SM_ + 17 hex digits: the sAMAccountName that Exchange makes for its mailboxes */
    if ((rest = behind(s, "SM_")) != NULL && all_of(rest, hex_digits, 8))
        return true;
    return behind(s, "SystemMailbox{") != NULL || behind(s, "DiscoverySearchMailbox{") != NULL ||
           is_arbitration(s, "FederatedEmail.") || is_arbitration(s, "Migration.");
}

static bool is_exchange(const struct ad_subject *s, const struct ad_guard_facts *f,
                        struct ad_verdict *v)
{
    (void)f;
    return (exchange_name(s->sam) || exchange_name(s->name)) &&
           say(v, AD_REFUSE_HARD, "exchange-system", &s->sid,
               "by its name a system mailbox of Exchange");
}

/* Directly, through its history, or through a group made for it. A group that is privileged anyway
 * (Administrators may always replicate) is left to that rule, whose name says more. */
static bool replicates(const struct ad_subject *s, const struct ad_guard_facts *f,
                       struct ad_verdict *v)
{
    char text[AD_SID_TEXT];
    const char *name;

    if (holds(f->replicators, f->replicator_count, &s->sid))
        return say(v, AD_REFUSE_HARD, "replicates-secrets", &s->sid,
                   "it may replicate all secrets of the domain");
    for (size_t i = 0; i < s->sid_history_count; i++) {
        if (holds(f->replicators, f->replicator_count, &s->sid_history[i]) &&
            !ad_protect_is_privileged(&s->sid_history[i], f, &name))
            return say(v, AD_REFUSE_HARD, "replicates-secrets", &s->sid_history[i],
                       "its sIDHistory %s may replicate all secrets of the domain",
                       ad_sid_to_text(&s->sid_history[i], text));
    }
    for (size_t i = 0; s->has_token_groups && i < s->token_group_count; i++) {
        if (holds(f->replicators, f->replicator_count, &s->token_groups[i]) &&
            !ad_protect_is_privileged(&s->token_groups[i], f, &name))
            return say(v, AD_REFUSE_HARD, "replicates-secrets", &s->token_groups[i],
                       "its group %s may replicate all secrets of the domain",
                       ad_sid_to_text(&s->token_groups[i], text));
    }
    return false;
}

/* The most telling name first: a DC is also a critical object, a gMSA also a computer. Both are
 * refused either way; the order decides only what the person is told. */
static rule_fn *const hard_rules[] = {
    is_krbtgt,  is_ourselves, is_built_in, is_controller, is_trust,   is_sync_account,
    is_managed, is_computer,  is_exchange, is_critical,   replicates,
};

/* --- 2. can it be judged? --------------------------------------------------------- */

static bool unclear(struct ad_verdict *v, const struct ad_subject *s, const char *why)
{
    return say(v, AD_REFUSE_CANNOT_JUDGE, "cannot-judge", &s->sid, "%s", why);
}

static bool cannot_judge(const struct ad_subject *s, const struct ad_guard_facts *f,
                         struct ad_verdict *v)
{
    struct ad_sid primary;

    /* What we know of ourselves and of the domain */
    if (f->own_sid.n == 0)
        return unclear(v, s, "it is not known which account cordon itself acts as");
    if (f->domain_sid.n == 0)
        return unclear(v, s, "the SID of the domain is not known");
    if (!f->replicators_known)
        return unclear(v, s, "who may replicate secrets could not be read at the domain head");

    /* What the DC showed of the account */
    if (s->sid.n == 0)
        return unclear(v, s, "objectSid could not be read");
    if (!ad_sid_in_domain(&s->sid, &f->domain_sid))
        return unclear(v, s, "it does not belong to this domain");
    if (s->sam == NULL || s->sam[0] == '\0')
        return unclear(v, s, "sAMAccountName could not be read");
    if ((s->classes & AD_CLASS_READ) == 0)
        return unclear(v, s, "objectClass could not be read");
    if ((s->classes & AD_CLASS_USER) == 0)
        return unclear(v, s, "not a user account");
    if (!s->has_sam_type)
        return unclear(v, s, "sAMAccountType could not be read");
    if (s->sam_type != AD_SAM_TYPE_USER)
        return unclear(v, s, "not an ordinary user account (sAMAccountType)");
    if (!s->has_uac)
        return unclear(v, s, "userAccountControl could not be read");
    if ((s->uac & AD_UAC_NORMAL_ACCOUNT) == 0)
        return unclear(v, s, "not an ordinary user account (userAccountControl)");

    /* tokenGroups always holds the primary group at least: without that it was not read. */
    if (!s->has_token_groups || s->token_group_count == 0)
        return unclear(v, s, "its nested groups (tokenGroups) could not be read");
    if (s->has_primary_group) {
        primary = ad_sid_in(&f->domain_sid, s->primary_group);
        if (!holds(s->token_groups, s->token_group_count, &primary))
            return unclear(v, s, "its nested groups (tokenGroups) lack its own primary group");
    }
    return false;
}

/* --- 3. privileged ---------------------------------------------------------------- */

static bool privileged(const struct ad_subject *s, const struct ad_guard_facts *f,
                       struct ad_verdict *v)
{
    char text[AD_SID_TEXT], shown[TEXT_SHOWN];
    struct ad_sid primary = {0};
    const char *name;

    if (s->has_primary_group)
        primary = ad_sid_in(&f->domain_sid, s->primary_group);
    /* Said as what it is, since memberOf and the group's member show nothing of it. */
    if (ad_protect_is_privileged(&primary, f, &name))
        return say(v, AD_REFUSE_PRIVILEGED, "privileged", &primary, "its primary group is %s (%s)",
                   text_shown(shown, name), ad_sid_to_text(&primary, text));
    for (size_t i = 0; i < s->token_group_count; i++) {
        if (ad_protect_is_privileged(&s->token_groups[i], f, &name))
            return say(v, AD_REFUSE_PRIVILEGED, "privileged", &s->token_groups[i],
                       "member of %s (%s)", text_shown(shown, name),
                       ad_sid_to_text(&s->token_groups[i], text));
    }
    for (size_t i = 0; i < s->sid_history_count; i++) {
        if (ad_protect_is_privileged(&s->sid_history[i], f, &name))
            return say(v, AD_REFUSE_PRIVILEGED, "privileged", &s->sid_history[i],
                       "its sIDHistory holds %s (%s)", text_shown(shown, name),
                       ad_sid_to_text(&s->sid_history[i], text));
    }
    /* Perhaps left behind by a membership that has ended; a person can tell, we cannot. */
    if (s->has_admin_count && s->admin_count != 0)
        return say(v, AD_REFUSE_PRIVILEGED, "privileged", NULL, "adminCount is %d", s->admin_count);
    return false;
}

/* --- hints ------------------------------------------------------------------------ */

static unsigned hints_of(const struct ad_subject *s)
{
    unsigned hints = 0;

    if (s->has_uac && (s->uac & AD_UAC_NOT_DELEGATED) != 0)
        hints |= AD_HINT_NOT_DELEGATED;
    for (size_t i = 0; s->has_token_groups && i < s->token_group_count; i++) {
        const struct ad_sid *g = &s->token_groups[i];

        if (ad_sid_is_account(g) && ad_sid_rid(g) == RID_PROTECTED_USERS)
            hints |= AD_HINT_PROTECTED_USERS;
        if (ad_sid_is_builtin(g) && ad_sid_rid(g) == RID_BUILTIN_EVENT_READERS)
            hints |= AD_HINT_EVENT_READER;
        if (ad_sid_is_builtin(g) && ad_sid_rid(g) == RID_BUILTIN_REMOTE_MANAGERS)
            hints |= AD_HINT_REMOTE_MANAGER;
    }
    return hints;
}

void ad_protect_hint_words(struct text *t, unsigned hints)
{
    static const struct {
        unsigned hint;
        const char *words;
    } table[] = {
        {AD_HINT_PROTECTED_USERS, "member of Protected Users"},
        {AD_HINT_NOT_DELEGATED, "sensitive, cannot be delegated"},
        {AD_HINT_EVENT_READER, "member of Event Log Readers"},
        {AD_HINT_REMOTE_MANAGER, "member of Remote Management Users"},
    };
    const char *between = "";

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if ((hints & table[i].hint) == 0)
            continue;
        text_addf(t, "%s%s", between, table[i].words);
        between = "; ";
    }
}

/* --- the guard -------------------------------------------------------------------- */

void ad_protect_judge(const struct ad_subject *s, const struct ad_guard_facts *f,
                      struct ad_verdict *ret_verdict)
{
    struct ad_verdict v = {.may = AD_MAY, .rule = "", .hints = hints_of(s)};
    bool decided = false;

    for (size_t i = 0; i < ARRAY_LEN(hard_rules) && !decided; i++)
        decided = hard_rules[i](s, f, &v);
    if (!decided)
        decided = cannot_judge(s, f, &v);
    if (!decided)
        decided = privileged(s, f, &v);
    if (!decided && s->spn_count > 0)
        (void)say(&v, AD_HOLD, "service-account", NULL,
                  "it has %zu service principal name%s: likely a service", s->spn_count,
                  s->spn_count == 1 ? "" : "s");
    *ret_verdict = v;
}

const char *ad_may_word(enum ad_may may)
{
    switch (may) {
    case AD_MAY:
        return "may";
    case AD_HOLD:
        return "held";
    case AD_REFUSE_HARD:
    case AD_REFUSE_CANNOT_JUDGE:
    case AD_REFUSE_PRIVILEGED:
        break;
    }
    return "refused"; /* and whatever else a wrong number may be */
}

unsigned ad_class_flag(const char *s, size_t n)
{
    static const struct {
        const char *name;
        unsigned flag;
    } table[] = {
        {"user", AD_CLASS_USER},
        {"computer", AD_CLASS_COMPUTER},
        {"inetOrgPerson", AD_CLASS_INETORGPERSON},
        {"msDS-ManagedServiceAccount", AD_CLASS_MSA},
        {"msDS-GroupManagedServiceAccount", AD_CLASS_GMSA},
        {"msDS-DelegatedManagedServiceAccount", AD_CLASS_DMSA},
        {"trustedDomain", AD_CLASS_TRUST},
        {"group", AD_CLASS_GROUP},
    };
    char name[64];

    if (n == 0 || n >= sizeof(name))
        return 0;
    memcpy(name, s, n);
    name[n] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (strlen(table[i].name) == n && text_eq_nocase(table[i].name, name))
            return table[i].flag;
    }
    return 0;
}
