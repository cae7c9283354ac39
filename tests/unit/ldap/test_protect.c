/* The guard: every row of its tables, their order, and what it says when it cannot see. (G3, G5,
 * G6)
 */
#include "ldap/protect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "ldap/uac.h"

#define DOMAIN "S-1-5-21-1-2-3"

static struct ad_sid sid(const char *s)
{
    struct ad_sid r;

    if (ad_sid_from_text(s, strlen(s), &r) < 0)
        fail_msg("'%s'", s);
    return r;
}

/* A world in which alice may be touched; each test changes one thing. */
struct world {
    struct ad_subject s;
    struct ad_guard_facts f;
    struct ad_sid groups[8], history[4], replicators[4];
    struct ad_named_sid privileged[2];
};

static void make(struct world *w)
{
    memset(w, 0, sizeof(*w));
    w->groups[0] = sid(DOMAIN "-513");
    w->groups[1] = sid(DOMAIN "-1200");
    w->groups[2] = sid("S-1-5-32-545");
    w->replicators[0] = sid("S-1-5-32-544");
    w->replicators[1] = sid(DOMAIN "-1999");
    w->replicators[2] = sid("S-1-5-9");
    w->privileged[0] = (struct ad_named_sid){sid(DOMAIN "-1101"), "DnsAdmins"};
    w->s = (struct ad_subject){
        .sid = sid(DOMAIN "-1104"),
        .sam = "alice",
        .name = "Alice Liddell",
        .classes = AD_CLASS_READ | AD_CLASS_USER,
        .has_uac = true,
        .uac = 512,
        .has_sam_type = true,
        .sam_type = AD_SAM_TYPE_USER,
        .has_primary_group = true,
        .primary_group = 513,
        .has_token_groups = true,
        .token_groups = w->groups,
        .token_group_count = 3,
        .sid_history = w->history,
    };
    w->f = (struct ad_guard_facts){
        .own_sid = sid(DOMAIN "-1150"),
        .own_computer = "LNX01$",
        .domain_sid = sid(DOMAIN),
        .replicators_known = true,
        .replicators = w->replicators,
        .replicator_count = 3,
        .privileged = w->privileged,
        .privileged_count = 1,
    };
}

static struct ad_verdict judge(struct world *w)
{
    struct ad_verdict v;

    memset(&v, 0x5a, sizeof(v));
    ad_protect_judge(&w->s, &w->f, &v);
    assert_non_null(memchr(v.detail, '\0', sizeof(v.detail)));
    assert_int_equal(v.detail[0] == '\0', v.may == AD_MAY);
    assert_int_equal(v.rule[0] == '\0', v.may == AD_MAY);
    return v;
}

static void expect(struct world *w, enum ad_may may, const char *rule)
{
    struct ad_verdict v = judge(w);

    if (v.may != may || strcmp(v.rule, rule) != 0)
        fail_msg("%s '%s' (%s), not '%s'", ad_may_word(v.may), v.rule, v.detail, rule);
}

static void expect_by(struct world *w, enum ad_may may, const char *rule, const char *by,
                      const char *detail)
{
    char text[AD_SID_TEXT];
    struct ad_verdict v = judge(w);

    expect(w, may, rule);
    assert_string_equal(ad_sid_to_text(&v.by, text), by);
    if (strstr(v.detail, detail) == NULL)
        fail_msg("'%s' lacks '%s'", v.detail, detail);
}

static void may(void **state)
{
    struct world w;

    (void)state;
    make(&w);
    expect(&w, AD_MAY, "");
    w.s.uac = 66050; /* disabled, never expires: not the guard's business */
    expect(&w, AD_MAY, "");
    w.s.classes |= AD_CLASS_INETORGPERSON;
    expect(&w, AD_MAY, "");
    w.s.has_admin_count = true;
    w.s.admin_count = 0;
    expect(&w, AD_MAY, "");
    w.s.name = NULL;
    expect(&w, AD_MAY, "");
    /* primaryGroupID that could not be read: tokenGroups holds it anyway */
    w.s.has_primary_group = false;
    expect(&w, AD_MAY, "");
    w.f.own_computer = NULL;
    expect(&w, AD_MAY, "");
    w.f.replicator_count = 0;
    w.f.privileged_count = 0;
    expect(&w, AD_MAY, "");
}

/* --- hard ------------------------------------------------------------------------ */

static void rids(void **state)
{
    char text[AD_SID_TEXT];
    struct world w;

    (void)state;
    for (uint32_t rid = 0; rid <= 1001; rid++) {
        make(&w);
        w.s.sid = ad_sid_in(&w.f.domain_sid, rid);
        if (rid == 502)
            expect_by(&w, AD_REFUSE_HARD, "krbtgt", ad_sid_to_text(&w.s.sid, text), "Kerberos");
        else if (rid < 1000)
            expect_by(&w, AD_REFUSE_HARD, "built-in", ad_sid_to_text(&w.s.sid, text), "RID");
        else
            expect(&w, AD_MAY, "");
    }
    /* in any domain, not only in ours */
    make(&w);
    w.s.sid = sid("S-1-5-21-9-9-9-500");
    expect(&w, AD_REFUSE_HARD, "built-in");
    w.s.sid = sid("S-1-5-21-9-9-9-502");
    expect(&w, AD_REFUSE_HARD, "krbtgt");
    w.s.sid = sid("S-1-5-32-544");
    expect(&w, AD_REFUSE_HARD, "built-in");
}

static void by_name(void **state)
{
    static const struct {
        const char *sam, *rule; /* rule "": may */
    } table[] = {
        {"krbtgt", "krbtgt"},
        {"KRBTGT", "krbtgt"},
        {"krbtgt_2108", "krbtgt"},
        {"krbtgt_7", "krbtgt"},
        {"krbtgt_AzureAD", "krbtgt"},
        {"krbtgt_azuread", "krbtgt"},
        {"krbtgt_", ""},
        {"krbtgt_12a", ""},
        {"krbtgts", ""},
        {"LNX01$", "self"},
        {"lnx01$", "self"},
        {"LNX02$", "computer"},
        {"AZUREADSSOACC$", "computer"},
        {"$", "computer"},
        {"MSOL_0a1b2c3d4e5f", "sync-account"},
        {"msol_x", "sync-account"},
        {"AAD_0a1b2c3d4e5f", "sync-account"},
        {"ADSyncMSAa1b2c$", "sync-account"},
        {"provAgentgMSA$", "sync-account"},
        {"pGMSA_a1b2c3d4$", "sync-account"},
        {"MSOLx", ""},
        {"HealthMailboxc3d7722", "exchange-system"},
        {"healthmailbox0659e34", "exchange-system"},
        {"HealthMailbox", ""},
        {"HealthMailbox-Team", ""},
        {"SM_0a9c3bd3a0a24a8b9", "exchange-system"},
        {"SM_Mueller", ""},
        {"SM_abc", ""},
        {"SystemMailbox{1f05a9", "exchange-system"},
        {"DiscoverySearchMailbox{D919BA05", "exchange-system"},
        {"FederatedEmail.4c1f4d8b-8179", "exchange-system"},
        {"Migration.8f3e7716-2011", "exchange-system"},
        {"migration.lead", ""},
        {"alice", ""},
    };
    struct world w;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        make(&w);
        w.s.sam = table[i].sam;
        expect(&w, table[i].rule[0] == '\0' ? AD_MAY : AD_REFUSE_HARD, table[i].rule);
    }
    /* Exchange's names are often only in the RDN; sync accounts' are not looked for there */
    make(&w);
    w.s.sam = "SM_x";
    w.s.name = "SystemMailbox{e0dc1c29-89c3-4034-b678-e6c29d823ed9}";
    expect(&w, AD_REFUSE_HARD, "exchange-system");
    make(&w);
    w.s.name = "krbtgt";
    expect(&w, AD_MAY, "");
}

static void by_flag(void **state)
{
    struct world w;

    (void)state;
#define CASE(change, rule)                \
    do {                                  \
        make(&w);                         \
        change;                           \
        expect(&w, AD_REFUSE_HARD, rule); \
    } while (0)
    CASE(w.s.has_krbtgt_number = true, "krbtgt");
    CASE(w.s.sid = w.f.own_sid, "self");
    CASE(w.s.critical = true, "critical-system-object");
    CASE(w.s.uac = 532480, "domain-controller");
    CASE(w.s.uac = 83890176, "domain-controller"); /* RODC */
    CASE(w.s.uac = AD_UAC_PARTIAL_SECRETS_ACCOUNT | 512, "domain-controller");
    CASE(w.s.primary_group = 516, "domain-controller");
    CASE(w.s.primary_group = 521, "domain-controller");
    CASE(w.s.uac = 2048, "trust");
    CASE(w.s.sam_type = AD_SAM_TYPE_TRUST, "trust");
    CASE(w.s.classes |= AD_CLASS_TRUST, "trust");
    CASE(w.s.classes |= AD_CLASS_COMPUTER, "computer");
    CASE(w.s.sam_type = AD_SAM_TYPE_MACHINE, "computer");
    CASE(w.s.uac = 4096, "computer");
    CASE(w.s.classes |= AD_CLASS_MSA | AD_CLASS_COMPUTER, "managed-service-account");
    CASE(w.s.classes |= AD_CLASS_GMSA | AD_CLASS_COMPUTER, "managed-service-account");
    CASE(w.s.classes |= AD_CLASS_DMSA | AD_CLASS_COMPUTER, "managed-service-account");
    /* a flag that was not read is not looked at */
    make(&w);
    w.s.has_uac = false;
    w.s.uac = 532480;
    expect(&w, AD_REFUSE_CANNOT_JUDGE, "cannot-judge");
    make(&w);
    w.s.has_primary_group = false;
    w.s.primary_group = 516;
    expect(&w, AD_MAY, "");
}

static void replicates(void **state)
{
    struct world w;

    (void)state;
    make(&w);
    w.s.sid = w.replicators[1];
    expect_by(&w, AD_REFUSE_HARD, "replicates-secrets", DOMAIN "-1999", "it may replicate");
    make(&w);
    w.groups[1] = w.replicators[1];
    expect_by(&w, AD_REFUSE_HARD, "replicates-secrets", DOMAIN "-1999", "its group");
    make(&w);
    w.history[0] = w.replicators[1];
    w.s.sid_history_count = 1;
    expect_by(&w, AD_REFUSE_HARD, "replicates-secrets", DOMAIN "-1999", "its sIDHistory");
    /* Administrators may replicate, too; that one is told what it is */
    make(&w);
    w.groups[1] = sid("S-1-5-32-544");
    expect(&w, AD_REFUSE_PRIVILEGED, "privileged");
    make(&w);
    w.history[0] = sid("S-1-5-32-544");
    w.s.sid_history_count = 1;
    expect(&w, AD_REFUSE_PRIVILEGED, "privileged");
    /* a Domain Admin with an entry of its own is hard */
    make(&w);
    w.groups[1] = sid(DOMAIN "-512");
    w.s.sid = w.replicators[1];
    expect(&w, AD_REFUSE_HARD, "replicates-secrets");
}

/* --- cannot judge ----------------------------------------------------------------- */

static void cannot_judge(void **state)
{
    struct world w;

    (void)state;
#define UNCLEAR(change, says)                               \
    do {                                                    \
        make(&w);                                           \
        change;                                             \
        expect(&w, AD_REFUSE_CANNOT_JUDGE, "cannot-judge"); \
        if (strstr(judge(&w).detail, says) == NULL)         \
            fail_msg("'%s'", judge(&w).detail);             \
    } while (0)
    UNCLEAR(w.s.sid.n = 0, "objectSid");
    UNCLEAR(w.s.sid = sid("S-1-5-21-9-9-9-1104"), "this domain");
    UNCLEAR(w.s.sid = sid("S-1-5-18"), "this domain");
    UNCLEAR(w.s.sam = NULL, "sAMAccountName");
    UNCLEAR(w.s.sam = "", "sAMAccountName");
    UNCLEAR(w.s.classes = 0, "objectClass");
    UNCLEAR(w.s.classes = AD_CLASS_READ, "not a user account");
    UNCLEAR(w.s.classes = AD_CLASS_READ | AD_CLASS_GROUP, "not a user account");
    UNCLEAR(w.s.has_sam_type = false, "sAMAccountType");
    UNCLEAR(w.s.sam_type = 268435456, "sAMAccountType"); /* a group */
    UNCLEAR(w.s.has_uac = false, "userAccountControl");
    UNCLEAR(w.s.uac = 2, "userAccountControl"); /* no kind of account */
    UNCLEAR(w.s.uac = AD_UAC_TEMP_DUPLICATE_ACCOUNT, "userAccountControl");
    UNCLEAR(w.s.has_token_groups = false, "tokenGroups");
    UNCLEAR(w.s.token_group_count = 0, "tokenGroups");
    UNCLEAR(w.s.primary_group = 514, "primary group");
    UNCLEAR(w.f.own_sid.n = 0, "cordon itself");
    UNCLEAR(w.f.domain_sid.n = 0, "SID of the domain");
    UNCLEAR(w.f.replicators_known = false, "replicate secrets");
    /* an account that shows nothing at all */
    UNCLEAR(memset(&w.s, 0, sizeof(w.s)), "objectSid");
    UNCLEAR((memset(&w.s, 0, sizeof(w.s)), memset(&w.f, 0, sizeof(w.f))), "cordon itself");
    /* not seeing comes before adminCount and memberships, since it is the graver */
    UNCLEAR((w.s.has_token_groups = false, w.s.has_admin_count = true, w.s.admin_count = 1),
            "tokenGroups");
    /* and after what is hard */
    make(&w);
    w.s.has_token_groups = false;
    w.s.critical = true;
    expect(&w, AD_REFUSE_HARD, "critical-system-object");
}

/* --- privileged -------------------------------------------------------------------- */

static const uint32_t privileged_rids[] = {498, 500, 502, 512, 516, 517, 518,
                                           519, 520, 521, 522, 526, 527};
static const uint32_t privileged_builtins[] = {544, 548, 549, 550, 551, 552,
                                               556, 557, 569, 578, 579};

static bool in(const uint32_t *table, size_t count, uint32_t rid)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i] == rid)
            return true;
    }
    return false;
}

/* Every RID up to 1100, as a group, in the history, of our domain and of another. */
static void memberships(void **state)
{
    const struct ad_sid ours = sid(DOMAIN), root = sid("S-1-5-21-7-8-9"), builtin = sid("S-1-5-32");
    const struct {
        const struct ad_sid *of;
        const uint32_t *table;
        size_t count;
    } sets[] = {
        {&ours, privileged_rids, ARRAY_LEN(privileged_rids)},
        {&root, privileged_rids, ARRAY_LEN(privileged_rids)},
        {&builtin, privileged_builtins, ARRAY_LEN(privileged_builtins)},
    };
    char text[AD_SID_TEXT];
    struct world w;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        for (uint32_t rid = 0; rid <= 1100; rid++) {
            bool bad = in(sets[i].table, sets[i].count, rid);
            struct ad_sid g = ad_sid_in(sets[i].of, rid);
            const char *name = NULL;

            assert_int_equal(ad_protect_is_privileged(&g, NULL, &name), bad);
            assert_int_equal(name != NULL, bad);

            make(&w);
            w.groups[1] = g;
            expect(&w, bad ? AD_REFUSE_PRIVILEGED : AD_MAY, bad ? "privileged" : "");
            make(&w);
            w.history[0] = g;
            w.s.sid_history_count = 1;
            expect(&w, bad ? AD_REFUSE_PRIVILEGED : AD_MAY, bad ? "privileged" : "");
            if (bad)
                expect_by(&w, AD_REFUSE_PRIVILEGED, "privileged", ad_sid_to_text(&g, text),
                          "sIDHistory");
        }
    }
}

static void other_privileges(void **state)
{
    struct world w;

    (void)state;
    make(&w); /* the last of the groups counts as the first */
    w.groups[2] = sid(DOMAIN "-512");
    expect_by(&w, AD_REFUSE_PRIVILEGED, "privileged", DOMAIN "-512", "member of Domain Admins");
    make(&w); /* by the list */
    w.groups[1] = w.privileged[0].sid;
    expect_by(&w, AD_REFUSE_PRIVILEGED, "privileged", DOMAIN "-1101", "member of DnsAdmins");
    make(&w); /* a list entry without a name is one all the same */
    w.privileged[0].name = NULL;
    w.groups[1] = w.privileged[0].sid;
    expect(&w, AD_REFUSE_PRIVILEGED, "privileged");
    make(&w); /* a name from a directory cannot write on the terminal */
    w.privileged[0].name = "Dns\033[2JAdmins";
    w.groups[1] = w.privileged[0].sid;
    assert_null(strchr(judge(&w).detail, '\033'));

    make(&w); /* the primary group, in no memberOf */
    w.s.primary_group = 512;
    w.groups[0] = sid(DOMAIN "-512");
    expect_by(&w, AD_REFUSE_PRIVILEGED, "privileged", DOMAIN "-512",
              "primary group is Domain Admins");

    make(&w); /* adminCount without a membership */
    w.s.has_admin_count = true;
    w.s.admin_count = 1;
    expect_by(&w, AD_REFUSE_PRIVILEGED, "privileged", "", "adminCount is 1");
    w.s.admin_count = -1;
    expect(&w, AD_REFUSE_PRIVILEGED, "privileged");
    w.s.admin_count = 1;
    w.groups[1] = sid(DOMAIN "-512"); /* a membership says more */
    expect_by(&w, AD_REFUSE_PRIVILEGED, "privileged", DOMAIN "-512", "member of");

    /* the same RIDs elsewhere mean nothing: another authority, more or fewer parts */
    make(&w);
    w.groups[1] = sid("S-1-5-21-1-2-3-4-512");
    expect(&w, AD_MAY, "");
    w.groups[1] = sid("S-1-4-21-1-2-3-512");
    expect(&w, AD_MAY, "");
    w.groups[1] = sid("S-1-5-32-1-544");
    expect(&w, AD_MAY, "");
}

/* --- hold and hints ------------------------------------------------------------------ */

static void services(void **state)
{
    struct world w;

    (void)state;
    make(&w);
    w.s.spn_count = 1;
    expect_by(&w, AD_HOLD, "service-account", "", "1 service principal name:");
    w.s.spn_count = 2;
    expect_by(&w, AD_HOLD, "service-account", "", "2 service principal names:");
    w.groups[1] = sid(DOMAIN "-512"); /* every refusal comes before a hold */
    expect(&w, AD_REFUSE_PRIVILEGED, "privileged");
    w.s.has_token_groups = false;
    expect(&w, AD_REFUSE_CANNOT_JUDGE, "cannot-judge");
}

static void hints(void **state)
{
    struct text t = TEXT_INIT(512);
    struct world w;

    (void)state;
    make(&w);
    assert_int_equal(judge(&w).hints, 0);
    w.groups[3] = sid(DOMAIN "-525");
    w.groups[4] = sid("S-1-5-32-573");
    w.groups[5] = sid("S-1-5-32-580");
    w.s.token_group_count = 6;
    w.s.uac |= AD_UAC_NOT_DELEGATED;
    expect(&w, AD_MAY, ""); /* they decide nothing */
    assert_int_equal(judge(&w).hints, AD_HINT_PROTECTED_USERS | AD_HINT_EVENT_READER |
                                          AD_HINT_REMOTE_MANAGER | AD_HINT_NOT_DELEGATED);
    w.s.critical = true; /* and are there whatever the verdict */
    assert_int_equal(judge(&w).hints, 0xf);
    ad_protect_hint_words(&t, 0xf);
    assert_string_equal(t.s, "member of Protected Users; sensitive, cannot be delegated; "
                             "member of Event Log Readers; member of Remote Management Users");
    text_done(&t);
    assert_string_equal(ad_may_word(AD_MAY), "may");
    assert_string_equal(ad_may_word(AD_HOLD), "held");
    assert_string_equal(ad_may_word(AD_REFUSE_HARD), "refused");
    assert_string_equal(ad_may_word((enum ad_may)99), "refused");
}

static void classes(void **state)
{
    static const struct {
        const char *s;
        unsigned flag;
    } table[] = {
        {"user", AD_CLASS_USER},
        {"USER", AD_CLASS_USER},
        {"computer", AD_CLASS_COMPUTER},
        {"inetOrgPerson", AD_CLASS_INETORGPERSON},
        {"msDS-ManagedServiceAccount", AD_CLASS_MSA},
        {"msDS-GroupManagedServiceAccount", AD_CLASS_GMSA},
        {"msDS-DelegatedManagedServiceAccount", AD_CLASS_DMSA},
        {"trustedDomain", AD_CLASS_TRUST},
        {"group", AD_CLASS_GROUP},
        {"top", 0},
        {"", 0},
        {"users", 0},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_int_equal(ad_class_flag(table[i].s, strlen(table[i].s)), table[i].flag);
    assert_int_equal(ad_class_flag("user\0x", 6), 0);
}

/* Whatever is set, nobody is let through for whom one thing alone would refuse: every pair. */
static void no_way_around(void **state)
{
    struct world w;

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        for (unsigned k = 0; k < 12; k++) {
            make(&w);
            for (unsigned bit = 0; bit < 12; bit++) {
                if (bit != i && bit != k)
                    continue;
                switch (bit) {
                case 0:
                    w.s.sid = ad_sid_in(&w.f.domain_sid, 500);
                    break;
                case 1:
                    w.s.has_krbtgt_number = true;
                    break;
                case 2:
                    w.s.critical = true;
                    break;
                case 3:
                    w.s.uac |= AD_UAC_SERVER_TRUST_ACCOUNT;
                    break;
                case 4:
                    w.s.classes |= AD_CLASS_GMSA;
                    break;
                case 5:
                    w.s.sam = "MSOL_1";
                    break;
                case 6:
                    w.groups[1] = w.replicators[1];
                    break;
                case 7:
                    w.s.has_token_groups = false;
                    break;
                case 8:
                    w.groups[2] = sid(DOMAIN "-519");
                    break;
                case 9:
                    w.s.has_admin_count = true, w.s.admin_count = 1;
                    break;
                case 10:
                    w.s.spn_count = 3;
                    break;
                default:
                    w.history[0] = sid("S-1-5-21-7-8-9-512"), w.s.sid_history_count = 1;
                    break;
                }
            }
            struct ad_verdict v = judge(&w);
            unsigned graver = i < k ? i : k;

            assert_true(v.may != AD_MAY);
            /* 0..5 are hard whatever is beside them; so is 6, unless the groups cannot be seen */
            if (graver <= 5 || (graver == 6 && i != 7 && k != 7))
                assert_int_equal(v.may, AD_REFUSE_HARD);
            else if (i == 7 || k == 7)
                assert_int_equal(v.may, AD_REFUSE_CANNOT_JUDGE);
            else if (!(i == 10 && k == 10))
                assert_int_equal(v.may, AD_REFUSE_PRIVILEGED);
            else
                assert_int_equal(v.may, AD_HOLD);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(may),         cmocka_unit_test(rids),
        cmocka_unit_test(by_name),     cmocka_unit_test(by_flag),
        cmocka_unit_test(replicates),  cmocka_unit_test(cannot_judge),
        cmocka_unit_test(memberships), cmocka_unit_test(other_privileges),
        cmocka_unit_test(services),    cmocka_unit_test(hints),
        cmocka_unit_test(classes),     cmocka_unit_test(no_way_around),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
