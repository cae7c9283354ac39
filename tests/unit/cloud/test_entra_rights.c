/* tests/unit/cloud/test_entra_rights.c -- what our own principal lacks to set a password: by the
 * token, and by its role assignments where the token has no role. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/entra_rights.h"
#include "tests/unit/alloc.h"
#include "tests/unit/cloud/sim.h"

#define OID "9a0d5e1c-2b7f-4c3e-8f64-7e1b2a3c4d5e"
#define NO_ROLE "0997a1d0-0d1d-4acb-b408-d5ca73121e90"
#define USER_ADMIN "fe930be7-5e62-47db-91af-98c3a49a38b1"
#define PASSWORD_ADMIN "966707d0-3269-4727-9be2-8c3a10f19b9d"
#define READERS "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"
#define PASSWORDS " User-PasswordProfile.ReadWrite.All "
#define READS PASSWORDS "RoleManagement.Read.Directory "
#define ASKED                                                               \
    "/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20" \
    "%27" OID "%27&$expand=roleDefinition"

struct got {
    unsigned calls;
    bool failed;
    struct entra_rights r;
    struct err e;
};

static void on_rights(void *arg, const struct entra_rights *r, const struct err *e)
{
    struct got *g = arg;

    g->calls++;
    g->failed = e != NULL;
    g->r = *r;
    if (e != NULL)
        g->e = *e;
}

static void token(const char *roles, const char *wids, const char *oid)
{
    sim.roles = roles;
    sim.wids = wids;
    sim.oid = oid;
}

static void rights(void **state)
{
    static const struct {
        const char *what, *roles, *wids, *oid;
        struct sim_says says; /* of our assignments; method NULL: not asked */
        const char *role;
        const char *lacks[3]; /* all of these; none: nothing */
        bool failed, at_once; /* at_once: the dry run knows it, too */
    } rows[] = {
        {"both", PASSWORDS, NO_ROLE "," USER_ADMIN, OID, {0}, "User Administrator", {0}, 0, 0},
        {"in other letters",
         PASSWORDS,
         "966707D0-3269-4727-9BE2-8C3A10F19B9D",
         OID,
         {0},
         "Password Administrator",
         {0},
         0,
         0},
        {"a greater permission",
         " User.ReadWrite.All ",
         USER_ADMIN,
         OID,
         {0},
         "User Administrator",
         {0},
         0,
         0},
        {"neither",
         " User.Read.All ",
         NO_ROLE,
         OID,
         {0},
         "",
         {"permission User-PasswordProfile.ReadWrite.All", "User Administrator", OID},
         0,
         1},
        {"no permission",
         " User.Read.All ",
         USER_ADMIN,
         OID,
         {0},
         "User Administrator",
         {"permission User-PasswordProfile.ReadWrite.All", "admin consent"},
         0,
         1},
        {"no role, and nobody to ask",
         PASSWORDS,
         NO_ROLE "," READERS,
         OID,
         {0},
         "",
         {"lacks an Entra role", "User Administrator", "RoleManagement.Read.Directory"},
         0,
         1},
        {"no role, nor an id", READS, NO_ROLE, NULL, {0}, "", {"lacks an Entra role"}, 0, 1},
        {"no role anywhere",
         READS,
         NO_ROLE,
         OID,
         {"GET", ASKED, .status = 200, .body = "{\"value\":[]}"},
         "",
         {"lacks an Entra role", "User Administrator"},
         0,
         0},
        {"another role",
         READS,
         NO_ROLE,
         OID,
         {"GET", ASKED, .status = 200,
          .body = "{\"value\":[{\"roleDefinitionId\":\"" READERS "\"},{\"roleDefinition\":{"
                  "\"templateId\":7}}]}"},
         "",
         {"lacks an Entra role"},
         0,
         0},
        {"at a unit",
         READS,
         NO_ROLE,
         OID,
         {"GET", ASKED, .status = 200,
          .body = "{\"value\":[{\"roleDefinitionId\":\"x\",\"directoryScopeId\":"
                  "\"/administrativeUnits/7\",\"roleDefinition\":{\"templateId\":\"" PASSWORD_ADMIN
                  "\"}}]}"},
         "Password Administrator at /administrativeUnits/7",
         {0},
         0,
         0},
        {"not yet in the token",
         READS,
         NO_ROLE,
         OID,
         {"GET", ASKED, .status = 200,
          .body =
              "{\"value\":[{\"roleDefinitionId\":\"" USER_ADMIN "\",\"directoryScopeId\":\"/\"}]}"},
         "User Administrator",
         {0},
         0,
         0},
        {"not to be asked after all",
         READS,
         NO_ROLE,
         OID,
         {"GET", ASKED, .code = ERR_DENIED, .status = 403},
         "",
         {"lacks an Entra role"},
         0,
         0},
        {"no answer", READS, NO_ROLE, OID, {"GET", ASKED, .code = ERR_TIMEOUT}, "", {0}, 1, 0},
        /* What does not tell is not called missing: Entra will. */
        {"an opaque token", NULL, NULL, NULL, {0}, "", {0}, 0, 0},
        {"a token without roles", PASSWORDS, "", OID, {0}, "", {0}, 0, 0},
        {"the same, where it can be asked",
         READS,
         "",
         OID,
         {"GET", ASKED, .status = 200, .body = "{\"value\":[]}"},
         "",
         {"lacks an Entra role"},
         0,
         0},
        {"the same, and there is no answer",
         READS,
         "",
         OID,
         {"GET", ASKED, .code = ERR_DENIED},
         "",
         {0},
         0,
         0},
        {"no ids", PASSWORDS, "User Administrator", OID, {0}, "", {"lacks an Entra role"}, 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char words[ENTRA_RIGHTS_WORDS] = "";
        struct got g = {0};
        struct err e;

        sim_script(&rows[i].says, rows[i].says.method != NULL ? 1 : 0);
        token(rows[i].roles, rows[i].wids, rows[i].oid);
        assert_int_equal(entra_rights_start(NULL, on_rights, &g, NULL, &e), 0);
        assert_int_equal(g.calls, 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        if (strcmp(g.r.role, rows[i].role) != 0 || g.failed != rows[i].failed)
            fail_msg("%s: '%s' %s", rows[i].what, g.r.role, g.r.lacking);
        if (!g.failed && (g.r.lacking[0] == '\0') != (rows[i].lacks[0] == NULL))
            fail_msg("%s: '%s'", rows[i].what, g.r.lacking);
        for (size_t k = 0; k < ARRAY_LEN(rows[i].lacks) && rows[i].lacks[k] != NULL; k++) {
            if (strstr(g.r.lacking, rows[i].lacks[k]) == NULL)
                fail_msg("%s: '%s' without '%s'", rows[i].what, g.r.lacking, rows[i].lacks[k]);
        }
        if (entra_rights_lacking(NULL, words) != rows[i].at_once ||
            (rows[i].at_once && strcmp(words, g.r.lacking) != 0))
            fail_msg("%s, at once: '%s'", rows[i].what, words);
        sim_end();
    }
}

static void canceled(void **state)
{
    struct entra_call *c;
    struct got g = {0};
    struct err e;

    (void)state;
    sim_script(&(struct sim_says){"GET", ASKED, .status = 200, .body = "{}", .after_ms = 100}, 1);
    token(READS, NO_ROLE, OID);
    assert_int_equal(entra_rights_start(NULL, on_rights, &g, &c, &e), 0);
    entra_cancel(c);
    assert_int_equal(g.calls, 0);
    sim_run();
    assert_true(g.calls == 1 && g.failed);
    assert_int_equal(g.e.code, ERR_CANCELED);
    sim_end();
    sim_script(NULL, 0); /* nothing to be asked: it comes soon anyway */
    token(PASSWORDS, USER_ADMIN, OID);
    assert_int_equal(entra_rights_start(NULL, on_rights, &g, &c, &e), 0);
    entra_cancel(c);
    sim_run();
    assert_true(g.calls == 2 && !g.failed);
    sim_end();
}

/* M2 */
static void memory(void **state)
{
    static const struct sim_says says = {"GET", ASKED, .status = 200,
                                         .body = "{\"value\":[{\"roleDefinitionId\":\"" USER_ADMIN
                                                 "\"}]}"};

    (void)state;
    for (int asks = 0; asks < 2; asks++) {
        for (long n = 0; alloc_sweep(n); n++) {
            struct got g = {0};
            struct err e;
            int rc;

            sim_script(&says, 1);
            token(asks ? READS : PASSWORDS, asks ? NO_ROLE : USER_ADMIN, OID);
            rc = entra_rights_start(NULL, on_rights, &g, NULL, &e);
            sim_run();
            alloc_left = -1;
            assert_int_equal(g.calls, rc == 0 ? 1 : 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rights),
        cmocka_unit_test(canceled),
        cmocka_unit_test(memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
