/* tests/unit/cloud/test_entra_match.c -- which user of Entra is this account of AD? By SID and
 * anchor, never by name: whatever does not fit is an error that shows both sides. */
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
#define SID "S-1-5-21-1-2-3-1104"
#define GUID "AAECAwQFBgcICQoLDA0ODw=="        /* 0 to 15 */
#define CONSISTENCY "DxAREhMUFRYXGBkaGxwdHg==" /* 15 to 30 */
#define USER_OF(id, upn, sid, anchor, more)                                         \
    "{\"id\":\"" id "\",\"userPrincipalName\":\"" upn "\",\"accountEnabled\":true," \
    "\"onPremisesSyncEnabled\":true,\"onPremisesSecurityIdentifier\":" sid ","      \
    "\"onPremisesImmutableId\":" anchor more "}"
#define USER(id, sid, anchor) USER_OF(id, "a@corp.example", sid, anchor, "")
#define Q(s) "\"" s "\""
#define LIST(users) "{\"value\":[" users "]}"
#define BY_SID(...)                                                                            \
    {                                                                                          \
        "GET", "/users?$filter=onPremisesSecurityIdentifier%20eq%20%27" SID "%27&$select=id,", \
            __VA_ARGS__                                                                        \
    }
#define BY_GUID(...)                                                                             \
    {                                                                                            \
        "GET",                                                                                   \
            "/users?$count=true&$filter=onPremisesImmutableId%20eq%20%27AAECAwQFBgcICQoLDA0ODw%" \
            "3D%3D%27",                                                                          \
            __VA_ARGS__                                                                          \
    }
#define BY_NAME(...)                                              \
    {                                                             \
        "GET", "/users/a%40corp.example?$select=id,", __VA_ARGS__ \
    }
#define SAYS(text) .status = 200, .body = (text)
#define NOBODY .code = ERR_NOTFOUND, .status = 404

static struct got {
    unsigned calls;
    char id[40];
    struct err e;
} got;

static void on_user(void *arg, const struct entra_user *u, const struct err *e)
{
    (void)arg;
    got.calls++;
    assert_true((u != NULL) != (e != NULL));
    (void)snprintf(got.id, sizeof(got.id), "%s", u != NULL ? u->id : "");
    got.e = e != NULL ? *e : ERR_NONE;
}

static struct entra_facts facts(const char *upn, bool has_consistency)
{
    static uint8_t guid[16], consistency[16];

    for (uint8_t i = 0; i < 16; i++) {
        guid[i] = i;
        consistency[i] = (uint8_t)(i + 15);
    }
    return (struct entra_facts){.sid = SID,
                                .guid = guid,
                                .consistency = has_consistency ? consistency : NULL,
                                .upn = upn,
                                .domain = "corp.example"};
}

static void matches(void **state)
{
    static const struct {
        const char *what;
        struct sim_says says[4];
        const char *id; /* the one it is; NULL: */
        enum err_code code;
        const char *words[3];
        bool consistency, nameless;
    } rows[] = {
        {"SID and anchor", {BY_SID(SAYS(LIST(USER(ID, Q(SID), Q(GUID)))))}, ID, ERR_OK, {0}, 0, 0},
        {"mS-DS-ConsistencyGuid is the anchor",
         {BY_SID(SAYS(LIST(USER(ID, Q(SID), Q(CONSISTENCY)))))},
         ID,
         ERR_OK,
         {0},
         1,
         0},
        {"it is set, but the tenant goes by objectGUID",
         {BY_SID(SAYS(LIST(USER(ID, Q(SID), Q(GUID)))))},
         ID,
         ERR_OK,
         {0},
         1,
         0},
        {"an anchor of the tenant's own choice, and ours is nobody's",
         {BY_SID(SAYS(LIST(USER(ID, Q(SID), Q("c2l4dGVlbiBvZiB0aGVtIQ=="))))),
          BY_GUID(SAYS(LIST("")))},
         ID,
         ERR_OK,
         {0},
         0,
         0},
        {"no anchor, and ours is nobody's",
         {BY_SID(SAYS(LIST(USER(ID, Q(SID), "null")))), BY_GUID(SAYS(LIST("")))},
         ID,
         ERR_OK,
         {0},
         0,
         0},
        {"no anchor, and ours is another's",
         {BY_SID(SAYS(LIST(USER(ID, Q(SID), "null")))),
          BY_GUID(SAYS(LIST(USER(ID2, Q("S-1-5-21-9"), Q(GUID)))))},
         NULL,
         ERR_CONFLICT,
         {"one user has the SID, another the anchor", SID, "S-1-5-21-9"},
         0,
         0},
        {"another SID than was asked for",
         {BY_SID(SAYS(LIST(USER(ID, Q("S-1-5-21-1-2-3-1105"), Q(GUID)))))},
         NULL,
         ERR_CONFLICT,
         {"another SID"},
         0,
         0},
        {"no SID in the answer",
         {BY_SID(SAYS(LIST(USER(ID, "null", Q(GUID)))))},
         NULL,
         ERR_CONFLICT,
         {"another SID"},
         0,
         0},
        {"two with the SID",
         {BY_SID(SAYS(LIST(
             USER(ID, Q(SID), Q(GUID)) "," USER_OF(ID2, "b@corp.example", Q(SID), "null", ""))))},
         NULL,
         ERR_AMBIGUOUS,
         {"a@corp.example", "b@corp.example"},
         0,
         0},
        {"one, and there are more pages",
         {BY_SID(SAYS("{\"value\":[" USER(ID, Q(SID), Q(GUID)) "],\"@odata.nextLink\":\"x\"}"))},
         NULL,
         ERR_AMBIGUOUS,
         {"another"},
         0,
         0},
        {"none, and there are more pages",
         {BY_SID(SAYS("{\"value\":[],\"@odata.nextLink\":\"x\"}"))},
         NULL,
         ERR_INVALID,
         {"an empty page"},
         0,
         0},
        {"by anchor alone",
         {BY_SID(SAYS(LIST(""))), BY_GUID(SAYS(LIST(USER(ID, "null", Q(GUID)))))},
         ID,
         ERR_OK,
         {0},
         0,
         0},
        {"the anchor fits, the SID does not",
         {BY_SID(SAYS(LIST(""))), BY_GUID(SAYS(LIST(USER(ID, Q("S-1-5-21-9"), Q(GUID)))))},
         NULL,
         ERR_CONFLICT,
         {"the SID does not", "S-1-5-21-9", GUID},
         0,
         0},
        {"another anchor than was asked for, in case alone",
         {BY_SID(SAYS(LIST(""))),
          BY_GUID(SAYS(LIST(USER(ID, "null", Q("aaecawqfbgcicqolda0odw==")))))},
         NULL,
         ERR_CONFLICT,
         {"the SID does not"},
         0,
         0},
        {"only the name fits",
         {BY_SID(SAYS(LIST(""))), BY_GUID(SAYS(LIST(""))), BY_NAME(SAYS(USER(ID, "null", "null")))},
         NULL,
         ERR_CONFLICT,
         {"only the name fits", "a@corp.example", "none"},
         0,
         0},
        {"nobody",
         {BY_SID(SAYS(LIST(""))), BY_GUID(SAYS(LIST(""))), BY_NAME(NOBODY)},
         NULL,
         ERR_NOTFOUND,
         {"not synchronised (yet)"},
         0,
         0},
        {"nobody, and AD has no UPN",
         {BY_SID(SAYS(LIST(""))), BY_GUID(SAYS(LIST("")))},
         NULL,
         ERR_NOTFOUND,
         {"not synchronised (yet)"},
         0,
         1},
        {"the name cannot be looked up",
         {BY_SID(SAYS(LIST(""))), BY_GUID(SAYS(LIST(""))), BY_NAME(.code = ERR_TIMEOUT)},
         NULL,
         ERR_TIMEOUT,
         {0},
         0,
         0},
        /* A search that is "not found" says nothing of users. */
        {"no search", {BY_SID(NOBODY)}, NULL, ERR_REFUSED, {0}, 0, 0},
        {"no second search",
         {BY_SID(SAYS(LIST(""))), BY_GUID(NOBODY)},
         NULL,
         ERR_REFUSED,
         {0},
         0,
         0},
        {"not allowed", {BY_SID(.code = ERR_DENIED)}, NULL, ERR_DENIED, {0}, 0, 0},
        {"no list", {BY_SID(SAYS("{}"))}, NULL, ERR_INVALID, {"\"value\""}, 0, 0},
        {"no user in the list", {BY_SID(SAYS(LIST("7")))}, NULL, ERR_INVALID, {0}, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct entra_facts f = facts(rows[i].nameless ? "" : "a@corp.example", rows[i].consistency);
        size_t n = 0;
        struct err e;

        while (n < ARRAY_LEN(rows[i].says) && rows[i].says[n].method != NULL)
            n++;
        memset(&got, 0, sizeof(got));
        sim_script(rows[i].says, n);
        assert_int_equal(entra_match_start(NULL, &f, on_user, NULL, NULL, &e), 0);
        assert_int_equal(got.calls, 0);
        sim_run();
        assert_int_equal(got.calls, 1);
        if (strcmp(got.id, rows[i].id != NULL ? rows[i].id : "") != 0 || got.e.code != rows[i].code)
            fail_msg("%s: '%s' %d %s", rows[i].what, got.id, got.e.code, got.e.msg);
        for (size_t k = 0; k < ARRAY_LEN(rows[i].words) && rows[i].words[k] != NULL; k++) {
            if (strstr(got.e.msg, rows[i].words[k]) == NULL)
                fail_msg("%s: '%s' without '%s'", rows[i].what, got.e.msg, rows[i].words[k]);
        }
        sim_end();
    }
}

/* What a person typed: each form goes its own way, and none of it into the path as it is. */
static void typed(void **state)
{
#define OURS \
    USER_OF(ID, "a@corp.example", Q(SID), "null", ",\"onPremisesDomainName\":\"CORP.example\"")
#define FOREIGN \
    USER_OF(ID, "a@corp.example", Q(SID), "null", ",\"onPremisesDomainName\":\"x.example\"")
#define BY_SAM "/users?$count=true&$filter=onPremisesSamAccountName%20eq%20%27"
    static const struct {
        const char *typed;
        struct sim_says says;
        enum err_code code;
        const char *words;
    } rows[] = {
        {ID, {"GET", "/users/" ID "?$select=", SAYS(OURS)}, ERR_OK, NULL},
        {"a@corp.example", BY_NAME(SAYS(OURS)), ERR_OK, NULL},
        {"x#EXT#@corp.example",
         {"GET", "/users/x%23EXT%23%40corp.example?", SAYS(OURS)},
         ERR_OK,
         NULL},
        {"$o'p@corp.example",
         {"GET", "/users('%24o%27%27p%40corp.example')?", SAYS(OURS)},
         ERR_OK,
         NULL},
        {"../x@y", {"GET", "/users/..%2Fx%40y?", NOBODY}, ERR_NOTFOUND, "no user '../x@y'"},
        {SID, BY_SID(SAYS(LIST(OURS))), ERR_OK, NULL},
        {GUID, BY_GUID(SAYS(LIST(OURS))), ERR_OK, NULL},
        {"alice", {"GET", BY_SAM "alice%27&", SAYS(LIST(OURS))}, ERR_OK, NULL},
        {"CORP\\o'brien", {"GET", BY_SAM "o%27%27brien%27&", SAYS(LIST(OURS))}, ERR_OK, NULL},
        /* The short name is not unique across domains. */
        {"alice", {"GET", BY_SAM, SAYS(LIST(FOREIGN))}, ERR_NOTFOUND, "no user 'alice'"},
        {"alice", {"GET", BY_SAM, SAYS(LIST(USER(ID, Q(SID), "null")))}, ERR_NOTFOUND, NULL},
        {"alice",
         {"GET", BY_SAM, SAYS(LIST(OURS "," USER(ID2, Q("S-1-5-21-9"), "null")))},
         ERR_AMBIGUOUS,
         NULL},
        {"alice", {"GET", BY_SAM, SAYS(LIST(""))}, ERR_NOTFOUND, "no user 'alice'"},
        {"alice", {"GET", BY_SAM, .code = ERR_DENIED}, ERR_DENIED, NULL},
        {"CN=Alice,DC=corp", {.method = NULL}, ERR_NOTFOUND, NULL},
        {"", {.method = NULL}, ERR_USAGE, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool asks = rows[i].says.method != NULL;
        struct err e = ERR_NONE;
        int rc;

        memset(&got, 0, sizeof(got));
        sim_script(&rows[i].says, asks ? 1 : 0);
        rc = entra_find_start(NULL, rows[i].typed, "corp.example", on_user, NULL, NULL, &e);
        assert_int_equal(rc, asks ? 0 : -1);
        sim_run();
        assert_int_equal(got.calls, asks ? 1 : 0);
        if (asks)
            e = got.e;
        if (e.code != rows[i].code || (e.code == ERR_OK && strcmp(got.id, ID) != 0) ||
            (rows[i].words != NULL && strstr(e.msg, rows[i].words) == NULL))
            fail_msg("#%zu '%s': %d %s", i, rows[i].typed, e.code, e.msg);
        sim_end();
    }
}

static void canceled(void **state)
{
    static const struct sim_says says[] = {BY_SID(SAYS(LIST(""))),
                                           BY_GUID(SAYS(LIST("")), .after_ms = 100)};
    struct entra_facts f = facts(NULL, false);
    struct entra_call *c;
    struct err e;

    (void)state;
    for (uint64_t after = 0; after < 50; after += 10) {
        memset(&got, 0, sizeof(got));
        sim_script(says, after == 0 ? 1 : 2);
        assert_int_equal(entra_match_start(NULL, &f, on_user, NULL, &c, &e), 0);
        if (after > 0)
            sim_pass(after);
        entra_cancel(c);
        assert_int_equal(got.calls, 0);
        sim_run();
        assert_int_equal(got.calls, 1);
        assert_int_equal(got.e.code, ERR_CANCELED);
        sim_end();
    }
}

/* M2: never another user, never "nobody" for want of memory. */
static void memory(void **state)
{
    static const struct sim_says says[] = {BY_SID(SAYS(LIST(""))),
                                           BY_GUID(SAYS(LIST(USER(ID, "null", Q(GUID)))))};
    struct entra_facts f = facts("a@corp.example", false);

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        struct err e;
        int rc;

        memset(&got, 0, sizeof(got));
        sim_script(says, 2);
        rc = entra_match_start(NULL, &f, on_user, NULL, NULL, &e);
        sim_run();
        alloc_left = -1;
        assert_int_equal(got.calls, rc == 0 ? 1 : 0);
        assert_int_not_equal(got.e.code, ERR_NOTFOUND);
        assert_int_not_equal(got.e.code, ERR_CONFLICT);
    }
    assert_string_equal(got.id, ID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches),
        cmocka_unit_test(typed),
        cmocka_unit_test(canceled),
        cmocka_unit_test(memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
