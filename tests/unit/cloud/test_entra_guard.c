/* tests/unit/cloud/test_entra_guard.c -- who is privileged in Entra, by a Graph that is played:
 * what is found refuses, what goes unanswered is not taken for a no, what may not be asked is
 * named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/entra.h"
#include "tests/unit/alloc.h"
#include "tests/unit/cloud/sim.h"

#define ID "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a10"
#define ID2 "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a11"
#define GID "c2b5a4d3-7e6f-4a0b-9c1d-2e3f4a5b6c7d"
#define GID2 "c2b5a4d3-7e6f-4a0b-9c1d-2e3f4a5b6c7e"
#define NONE "{\"value\":[]}"
#define LIST(items) "{\"value\":[" items "]}"
#define BUDGET 3000
/* The questions, in the order in which they are put. */
#define MEMBERS(...)                                            \
    {                                                           \
        "GET", "/users/" ID "/transitiveMemberOf?", __VA_ARGS__ \
    }
#define GROUPS(...)                                                      \
    {                                                                    \
        "GET", "/transitiveMemberOf/microsoft.graph.group?", __VA_ARGS__ \
    }
#define ROLES(...)                                                                     \
    {                                                                                  \
        "GET", "/roleAssignments?$filter=principalId%20eq%20%27" ID "%27", __VA_ARGS__ \
    }
#define ELIGIBLE(...)                                            \
    {                                                            \
        "GET", "/roleEligibilityScheduleInstances?", __VA_ARGS__ \
    }
#define UNITS(...)                                                          \
    {                                                                       \
        "GET", "/memberOf/microsoft.graph.administrativeUnit?", __VA_ARGS__ \
    }
#define OWNED(...)                                                            \
    {                                                                         \
        "GET", "/groups?$filter=isAssignableToRole%20eq%20true&", __VA_ARGS__ \
    }
#define SAYS(text) .status = 200, .body = (text)
#define ALL                                                              \
    " User.Read.All GroupMember.Read.All RoleManagement.Read.Directory " \
    "RoleEligibilitySchedule.Read.Directory AdministrativeUnit.Read.All "
#define OWNED_GROUP(id, name, owners)                                          \
    "{\"id\":\"" id "\",\"displayName\":" name ",\"isAssignableToRole\":true," \
    "\"owners\":[" owners "]}"
#define OWNER(id) "{\"@odata.type\":\"#microsoft.graph.user\",\"id\":\"" id "\"}"

static struct entra_owners *owners;
static const struct cfg_list no_groups;

struct got {
    unsigned calls;
    struct entra_guard g;
};

static void on_guard(void *arg, const struct entra_guard *g, const struct err *e)
{
    struct got *got = arg;

    got->calls++;
    assert_null(e);
    got->g = *g;
}

static struct entra_user user_of(const char *id)
{
    return (struct entra_user){.id = (char *)(uintptr_t)id, .upn = (char[]){"a@x"}};
}

static int set_up(void **state)
{
    struct err e;

    (void)state;
    memset(&sim, 0, sizeof(sim));
    return entra_owners_new(NULL, &owners, &e);
}

static int tear_down(void **state)
{
    (void)state;
    entra_owners_free(owners);
    return 0;
}

static struct got judge(const struct sim_says *says, size_t n, const char *roles,
                        const struct cfg_list *groups)
{
    struct entra_user u = user_of(ID);
    struct got got = {0};
    struct err e;

    entra_owners_free(owners); /* a tenant that was never asked */
    assert_int_equal(entra_owners_new(NULL, &owners, &e), 0);
    sim_script(says, n);
    sim.roles = roles;
    assert_int_equal(entra_guard_start(NULL, owners, &u, BUDGET, groups, on_guard, &got, NULL, &e),
                     0);
    assert_int_equal(got.calls, 0); /* never from inside the start */
    sim_run();
    assert_int_equal(got.calls, 1);
    sim_end();
    return got;
}

static void findings(void **state)
{
    static char tier0[] = "TIER-0", by_id[] = GID2;
    static char *items[] = {tier0, by_id};
    static const struct cfg_list protected_groups = {.items = items, .count = 2};
    static const struct {
        struct sim_says says[6];
        enum entra_privilege is;
        const char *rule, *words;
    } rows[] = {
        {{MEMBERS(SAYS(NONE)), GROUPS(SAYS(NONE)), ROLES(SAYS(NONE)), ELIGIBLE(SAYS(NONE)),
          UNITS(SAYS(NONE)), OWNED(SAYS(NONE))},
         ENTRA_ORDINARY,
         NULL,
         ""},
        {{MEMBERS(SAYS(LIST("{\"@odata.type\":\"#microsoft.graph.directoryRole\",\"displayName\":"
                            "\"Global Administrator\"}"))),
          GROUPS(SAYS(NONE)), ROLES(SAYS(NONE)), ELIGIBLE(SAYS(NONE)), UNITS(SAYS(NONE)),
          OWNED(SAYS(NONE))},
         ENTRA_PRIVILEGED,
         "privileged",
         "Entra role Global Administrator"},
        /* A role whose name we may not read is a role. */
        {{MEMBERS(SAYS(LIST("{\"@odata.type\":\"#microsoft.graph.directoryRole\",\"displayName\":"
                            "null}"))),
          GROUPS(SAYS(NONE)), ROLES(SAYS(NONE)), ELIGIBLE(SAYS(NONE)), UNITS(SAYS(NONE)),
          OWNED(SAYS(NONE))},
         ENTRA_PRIVILEGED,
         "privileged",
         "without a name"},
        {{MEMBERS(SAYS(LIST("{\"@odata.type\":\"#microsoft.graph.directoryRole\",\"displayName\":"
                            "\"directory readers\"}"))),
          GROUPS(SAYS(LIST("{\"isAssignableToRole\":null},{\"isAssignableToRole\":false}"))),
          ROLES(SAYS(LIST("{\"roleDefinition\":{\"displayName\":\"Guest Inviter\"}}"))),
          ELIGIBLE(SAYS(NONE)), UNITS(SAYS(LIST("{\"isMemberManagementRestricted\":false}"))),
          OWNED(SAYS(NONE))},
         ENTRA_ORDINARY,
         NULL,
         ""},
        {{MEMBERS(SAYS(NONE)),
          GROUPS(SAYS(LIST("{\"displayName\":\"Vault\",\"isAssignableToRole\":true}"))),
          ROLES(SAYS(NONE)), ELIGIBLE(SAYS(NONE)), UNITS(SAYS(NONE)), OWNED(SAYS(NONE))},
         ENTRA_PRIVILEGED,
         "privileged",
         "role-assignable group Vault"},
        {{MEMBERS(SAYS(NONE)), GROUPS(SAYS(NONE)),
          ROLES(SAYS(LIST("{\"roleDefinitionId\":\"62e90394\",\"roleDefinition\":null}"))),
          ELIGIBLE(SAYS(NONE)), UNITS(SAYS(NONE)), OWNED(SAYS(NONE))},
         ENTRA_PRIVILEGED,
         "privileged",
         "Entra role 62e90394"},
        {{MEMBERS(SAYS(NONE)), GROUPS(SAYS(NONE)), ROLES(SAYS(NONE)),
          ELIGIBLE(SAYS(LIST("{\"roleDefinition\":{\"displayName\":\"User Administrator\"}}"))),
          UNITS(SAYS(NONE)), OWNED(SAYS(NONE))},
         ENTRA_PRIVILEGED,
         "privileged",
         "eligible for the Entra role User Administrator"},
        {{MEMBERS(SAYS(NONE)), GROUPS(SAYS(NONE)), ROLES(SAYS(NONE)), ELIGIBLE(SAYS(NONE)),
          UNITS(SAYS(LIST("{\"displayName\":\"VIP\",\"isMemberManagementRestricted\":true}"))),
          OWNED(SAYS(NONE))},
         ENTRA_PRIVILEGED,
         "restricted-unit",
         "VIP"},
        {{MEMBERS(SAYS(LIST("{\"@odata.type\":\"#microsoft.graph.group\",\"displayName\":"
                            "\"Tier-0\",\"id\":\"" GID "\"}"))),
          GROUPS(SAYS(NONE)), ROLES(SAYS(NONE)), ELIGIBLE(SAYS(NONE)), UNITS(SAYS(NONE)),
          OWNED(SAYS(NONE))},
         ENTRA_PRIVILEGED,
         "privileged",
         "protected group Tier-0"},
        {{MEMBERS(SAYS(LIST("{\"displayName\":null,\"id\":\"" GID2 "\"}"))), GROUPS(SAYS(NONE)),
          ROLES(SAYS(NONE)), ELIGIBLE(SAYS(NONE)), UNITS(SAYS(NONE)), OWNED(SAYS(NONE))},
         ENTRA_PRIVILEGED,
         "privileged",
         "protected group " GID2},
        {{MEMBERS(SAYS(NONE)), GROUPS(SAYS(NONE)), ROLES(SAYS(NONE)), ELIGIBLE(SAYS(NONE)),
          UNITS(SAYS(NONE)),
          OWNED(SAYS(LIST(OWNED_GROUP(GID, "\"Quiet\"", OWNER(ID2)) "," OWNED_GROUP(
              GID2, "\"Tier 1\"", OWNER(ID2) "," OWNER(ID)))))},
         ENTRA_PRIVILEGED,
         "privileged",
         "owner of the role-assignable group Tier 1"},
        {{MEMBERS(SAYS(NONE)), GROUPS(SAYS(NONE)), ROLES(SAYS(NONE)), ELIGIBLE(SAYS(NONE)),
          UNITS(SAYS(NONE)), OWNED(SAYS(LIST(OWNED_GROUP(GID, "null", OWNER(ID)))))},
         ENTRA_PRIVILEGED,
         "privileged",
         "owner of the role-assignable group without a name"},
        {{MEMBERS(SAYS(NONE)), GROUPS(SAYS(NONE)), ROLES(SAYS(NONE)), ELIGIBLE(SAYS(NONE)),
          UNITS(SAYS(NONE)), OWNED(SAYS(LIST(OWNED_GROUP(GID, "\"Quiet\"", OWNER(ID2)))))},
         ENTRA_ORDINARY,
         NULL,
         ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct got got = judge(rows[i].says, 6, ALL, &protected_groups);

        if (got.g.is != rows[i].is || strstr(got.g.words, rows[i].words) == NULL ||
            (rows[i].rule == NULL) != (got.g.rule == NULL) ||
            (rows[i].rule != NULL && strcmp(got.g.rule, rows[i].rule) != 0))
            fail_msg("#%zu: %d %s", i, got.g.is, got.g.words);
        assert_string_equal(got.g.not_asked, "");
    }
}

/* What the user itself says is enough. */
static void restricted(void **state)
{
    static const struct sim_says says[] = {MEMBERS(SAYS(NONE))};
    struct entra_user u = user_of(ID);
    struct got got = {0};
    struct err e;

    (void)state;
    u.restricted = ENTRA_TRUE;
    sim_script(says, 1);
    sim.roles = " User.Read.All ";
    assert_int_equal(
        entra_guard_start(NULL, owners, &u, BUDGET, &no_groups, on_guard, &got, NULL, &e), 0);
    sim_run();
    assert_int_equal(got.g.is, ENTRA_PRIVILEGED);
    assert_string_equal(got.g.rule, "restricted-unit");
    sim_end();
}

/* Refused, or not to be put: named, and the rest decides. Failed: nobody knows. */
static void unanswered(void **state)
{
    static const struct {
        struct sim_says says[6];
        size_t n;
        const char *roles;
        enum entra_privilege is;
        const char *not_asked;
    } rows[] = {
        {{MEMBERS(SAYS(NONE))},
         1,
         " User.Read.All ",
         ENTRA_ORDINARY,
         "role-assignable groups, role assignments, eligible roles (PIM), administrative units, "
         "owners of role-assignable groups"},
        {{MEMBERS(SAYS(NONE)), GROUPS(.code = ERR_UNSUPPORTED), OWNED(.code = ERR_DENIED)},
         3,
         " GroupMember.Read.All ",
         ENTRA_ORDINARY,
         "role-assignable groups, role assignments, eligible roles (PIM), administrative units, "
         "owners of role-assignable groups"},
        /* An opaque token: all is asked, and the service decides. */
        {{MEMBERS(SAYS(NONE)), GROUPS(SAYS(NONE)), ROLES(.code = ERR_DENIED),
          ELIGIBLE(.code = ERR_DENIED), UNITS(SAYS(NONE)), OWNED(SAYS(NONE))},
         6,
         NULL,
         ENTRA_ORDINARY,
         "role assignments, eligible roles (PIM)"},
        {{MEMBERS(.code = ERR_DENIED)}, 1, " ", ENTRA_UNKNOWN, NULL},
        {{MEMBERS(.code = ERR_TIMEOUT)}, 1, " ", ENTRA_UNKNOWN, NULL},
        {{MEMBERS(SAYS(NONE)), GROUPS(.code = ERR_TIMEOUT), OWNED(SAYS(NONE))},
         3,
         " GroupMember.Read.All ",
         ENTRA_UNKNOWN,
         NULL},
        {{MEMBERS(SAYS(NONE)), GROUPS(SAYS(NONE)), OWNED(.code = ERR_TIMEOUT)},
         3,
         " GroupMember.Read.All ",
         ENTRA_UNKNOWN,
         NULL},
        {{MEMBERS(SAYS(NONE)), GROUPS(SAYS(NONE)),
          OWNED(SAYS(LIST("{\"id\":\"../x\",\"isAssignableToRole\":true,\"owners\":[]}")))},
         3,
         " GroupMember.Read.All ",
         ENTRA_UNKNOWN,
         NULL},
        {{MEMBERS(SAYS(NONE)), GROUPS(SAYS(NONE)),
          OWNED(SAYS(LIST(OWNED_GROUP(GID, "\"a\"", "{\"id\":7}"))))},
         3,
         " GroupMember.Read.All ",
         ENTRA_UNKNOWN,
         NULL},
        /* Not in time: the whole is over by then, and says so. */
        {{MEMBERS(SAYS(NONE)), GROUPS(SAYS(NONE)), OWNED(SAYS(NONE), .after_ms = BUDGET + 1)},
         3,
         " GroupMember.Read.All ",
         ENTRA_UNKNOWN,
         NULL},
        {{MEMBERS(SAYS(NONE), .after_ms = BUDGET + 1)}, 1, " ", ENTRA_UNKNOWN, NULL},
        /* Found is found, whatever else is missing. */
        {{MEMBERS(.code = ERR_TIMEOUT), GROUPS(SAYS(LIST("{\"isAssignableToRole\":true}"))),
          OWNED(SAYS(NONE))},
         3,
         " GroupMember.Read.All ",
         ENTRA_PRIVILEGED,
         NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct got got = judge(rows[i].says, rows[i].n, rows[i].roles, &no_groups);

        if (got.g.is != rows[i].is ||
            (rows[i].not_asked != NULL && strcmp(got.g.not_asked, rows[i].not_asked) != 0))
            fail_msg("#%zu: %d %s; %s", i, got.g.is, got.g.words, got.g.not_asked);
        if (rows[i].is == ENTRA_UNKNOWN)
            assert_string_equal(got.g.rule, "cannot-judge");
    }
}

static void canceled(void **state)
{
    static const struct sim_says says[] = {MEMBERS(SAYS(NONE), .after_ms = 100),
                                           GROUPS(SAYS(NONE), .after_ms = 100),
                                           OWNED(SAYS(NONE), .after_ms = 100)};
    struct entra_user u = user_of(ID);
    struct entra_call *c;
    struct got got = {0};
    struct err e;

    (void)state;
    sim_script(says, 3);
    sim.roles = " GroupMember.Read.All ";
    assert_int_equal(
        entra_guard_start(NULL, owners, &u, BUDGET, &no_groups, on_guard, &got, &c, &e), 0);
    sim_pass(10);
    entra_cancel(c);
    entra_cancel(c); /* twice is once */
    assert_int_equal(got.calls, 0);
    sim_pass(10);
    assert_int_equal(got.calls, 1);
    assert_int_equal(got.g.is, ENTRA_UNKNOWN);
    sim_run(); /* the tenant's list goes on: others may want it */
    sim_end();
}

/* --- the list of owners ------------------------------------------------------------------------
 */

struct asked {
    unsigned calls;
    char group[64];
    enum err_code code;
};

static void on_owner(void *arg, const char *group, const struct err *e)
{
    struct asked *a = arg;

    a->calls++;
    (void)snprintf(a->group, sizeof(a->group), "%s", group != NULL ? group : "none");
    a->code = e != NULL ? e->code : ERR_OK;
}

static void ask(const char *id, struct asked *a)
{
    struct entra_owners_ask *ask;
    struct err e;

    *a = (struct asked){0};
    assert_int_equal(entra_owners_start(owners, id, on_owner, a, &ask, &e), 0);
    assert_int_equal(a->calls, 0);
}

/* One list for all who ask within a minute; a failure is nobody's but of those who waited. */
static void one_list(void **state)
{
    static const struct sim_says says[] = {
        OWNED(.code = ERR_TIMEOUT),
        OWNED(SAYS(LIST(OWNED_GROUP(GID, "\"Tier0\"", OWNER(ID))))),
        OWNED(SAYS(NONE)),
    };
    struct asked a, b, c;

    (void)state;
    sim_script(says, 3);
    sim.roles = NULL;
    ask(ID, &a);
    sim_run();
    assert_int_equal(a.code, ERR_TIMEOUT);
    ask(ID, &a);
    ask(ID2, &b);
    sim_run();
    assert_true(a.calls == 1 && b.calls == 1);
    assert_string_equal(a.group, "Tier0");
    assert_string_equal(b.group, "none");
    sim_pass(59 * 1000);
    ask("3F8A1C52-7C0E-4F0B-9A57-1D2B6C9E4A10", &c); /* ids are compared without case */
    sim_run();
    assert_string_equal(c.group, "Tier0");
    sim_pass(2 * 1000);
    entra_owners_warm_up(owners);
    ask(ID, &a);
    sim_run();
    assert_string_equal(a.group, "none"); /* no longer */
    sim_end();
}

/* Twenty are as many as an $expand shows; and one that is ignored shows none. */
static void long_lists(void **state)
{
#define FOUR OWNER(ID2) "," OWNER(ID2) "," OWNER(ID2) "," OWNER(ID2)
    static const struct sim_says says[] = {
        OWNED(SAYS(LIST(OWNED_GROUP(
            GID, "\"Crowd\"",
            FOUR "," FOUR "," FOUR "," FOUR
                 "," FOUR) ","
                           "{\"id\":\"" GID2
                           "\",\"displayName\":\"Bare\",\"isAssignableToRole\":true},"
                           "{\"id\":\"" GID2
                           "\",\"displayName\":\"Chess\",\"owners\":[" OWNER(ID2) "]}"))),
        {"GET", "/groups/" GID "/owners?$select=id", SAYS(LIST(OWNER(ID2))),
         .next = LIST(OWNER(ID))},
        {"GET", "/groups/" GID2 "/owners?$select=id", .code = ERR_NOTFOUND, .status = 404},
    };
    struct asked a;

    (void)state;
    sim_script(says, 3);
    sim.roles = NULL;
    ask(ID, &a);
    sim_run();
    assert_int_equal(a.code, ERR_OK);
    assert_string_equal(a.group, "Crowd");
    sim_end();
}

/* Freed while the list comes, and while an answer is due: nobody is called. */
static void freed(void **state)
{
    static const struct sim_says says[] = {OWNED(SAYS(NONE), .after_ms = 100)};
    struct asked a, b;
    struct err e;

    (void)state;
    sim_script(says, 1);
    sim.roles = NULL;
    ask(ID, &a);
    entra_owners_free(owners);
    assert_int_equal(entra_owners_new(NULL, &owners, &e), 0);
    sim_run();
    assert_int_equal(a.calls, 0);
    sim_end();
    sim_script(says, 1);
    ask(ID, &a);
    sim_run();
    ask(ID, &b);
    entra_owners_free(owners);
    assert_int_equal(entra_owners_new(NULL, &owners, &e), 0);
    sim_run();
    assert_true(a.calls == 1 && b.calls == 0);
    sim_end();
}

/* M2: each allocation fails once: an answer, or an error, and never "ordinary" by mistake. What
 * fails to be sent is missing in the order: all answers are the same. */
static void memory(void **state)
{
#define ANY                                                              \
    {                                                                    \
        "GET", "/", SAYS(LIST(OWNED_GROUP(GID, "\"Tier0\"", OWNER(ID)))) \
    }
    static const struct sim_says says[] = {ANY, ANY, ANY};
    struct entra_user u = user_of(ID);
    struct got got = {0};

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        struct entra_owners *fresh = NULL;
        struct err e;
        int rc = -1;

        got.calls = 0;
        sim_script(says, 3);
        sim.roles = " GroupMember.Read.All ";
        if (entra_owners_new(NULL, &fresh, &e) == 0)
            rc = entra_guard_start(NULL, fresh, &u, BUDGET, &no_groups, on_guard, &got, NULL, &e);
        sim_run();
        alloc_left = -1;
        entra_owners_free(fresh);
        assert_int_equal(got.calls, rc == 0 ? 1 : 0);
        if (rc == 0)
            assert_int_not_equal(got.g.is, ENTRA_ORDINARY);
    }
    assert_int_equal(got.g.is, ENTRA_PRIVILEGED);
}

int main(void)
{
#define WITH_OWNERS(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_OWNERS(findings), WITH_OWNERS(restricted), WITH_OWNERS(unanswered),
        WITH_OWNERS(canceled), WITH_OWNERS(one_list),   WITH_OWNERS(long_lists),
        WITH_OWNERS(freed),    WITH_OWNERS(memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
