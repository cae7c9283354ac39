/* tests/unit/cloud/test_hunting.c -- query texts that nothing can be smuggled into, and rows that
 * are about the one SID only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/field.h"
#include "cloud/hunting.h"
#include "tests/unit/alloc.h"
#include "tests/unit/cloud/sim.h"

#define SID "S-1-5-21-3623811015-3361044348-30300820-1613"
#define FROM INT64_C(1789344000000) /* 2026-09-14T00:00:00Z */
#define TO INT64_C(1789430400000)
#define WORKSPACE "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a10"

static void ids(void **state)
{
    static const struct {
        const char *s;
        bool sid, guid;
    } cases[] = {
        {SID, true, false},
        {"S-1-5-18", true, false},
        {"S-1-5-32-544", true, false},
        {"S-1-281474976710655-4294967295", true, false},
        {"S-1-281474976710656-1", false, false},
        {"S-1-5-4294967296", false, false},
        {"S-1-5", false, false},
        {"S-1-5-", false, false},
        {"S-1-5-21-01", false, false},
        {"S-2-5-21-1", false, false},
        {"s-1-5-21-1", false, false},
        {"S-1-5-21-1'", false, false},
        {"S-1-5-21-1 or 1==1", false, false},
        {"S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15", true, false},
        {"S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16", false, false},
        {WORKSPACE, false, true},
        {"3F8A1C52-7C0E-4F0B-9A57-1D2B6C9E4A10", false, true},
        {"3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a1", false, false},
        {"3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a1g", false, false},
        {"3f8a1c527c0e-4f0b-9a57-1d2b6c9e4a10-", false, false},
        {"", false, false},
        {NULL, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (field_sid_ok(cases[i].s) != cases[i].sid || field_guid_ok(cases[i].s) != cases[i].guid)
            fail_msg("%s", cases[i].s);
    }
    assert_true(field_opaque_ok("AD2AADProvisioning.4b9f"));
    assert_false(field_opaque_ok(".."));
    assert_false(field_opaque_ok("a/b"));
    assert_false(field_opaque_ok("a%2fb"));
    assert_false(field_opaque_ok(""));
}

static void texts(void **state)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(4096);
    struct err e;

    (void)state;
    assert_int_equal(hunt_text_security_event(&t, SID, FROM, TO, &e), 0);
    assert_string_equal(t.s,
                        "SecurityEvent\n"
                        "| where TimeGenerated between (datetime(2026-09-14T00:00:00.000Z) .. "
                        "datetime(2026-09-15T00:00:00.000Z))\n"
                        "| where EventID in (4725, 4722, 4738, 4724)\n"
                        "| where TargetSid == '" SID "'\n"
                        "| project TimeGenerated, Computer, EventID, TargetSid, SubjectUserSid, "
                        "SubjectUserName, TargetUserName\n"
                        "| order by TimeGenerated asc\n"
                        "| take 1001\n");
    text_clear(&t);
    assert_int_equal(hunt_text_identity(&t, SID, FROM, TO, &e), 0);
    assert_non_null(strstr(t.s, "| where TargetSid == '" SID "'\n"));
    assert_int_equal(strncmp(t.s, "IdentityDirectoryEvents\n", 24), 0);
    assert_int_equal(hunt_text_identity(&t, "x' or '1'=='1", FROM, TO, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
    assert_int_equal(hunt_text_identity(&t, SID, TO, FROM, &e), -1);
    assert_int_equal(hunt_text_identity(&t, SID, FROM, FROM + INT64_C(31) * 86400000, &e), -1);
    assert_int_equal(hunt_text_identity(&t, SID, -1, 0, &e), -1);
    assert_int_equal(hunt_text_security_event(&t, SID, INT64_MIN, INT64_MAX, &e), -1);
}

static void query_xml(void **state)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(4096);
    static const unsigned two[] = {4740, 4767}, bad[] = {70000}, none[] = {0};
    unsigned many[17];
    struct err e;

    (void)state;
    assert_int_equal(hunt_text_query_xml(&t, SID, two, 2, &e), 0);
    assert_string_equal(
        t.s, "<QueryList>\n"
             "  <Query Id=\"0\" Path=\"Security\">\n"
             "    <Select Path=\"Security\">*[System[Provider[@Name='Microsoft-Windows-Security-"
             "Auditing'] and (EventID=4740 or EventID=4767)]] and "
             "*[EventData[Data[@Name='TargetSid']='" SID "']]</Select>\n"
             "  </Query>\n"
             "</QueryList>\n");
    text_clear(&t);
    assert_int_equal(hunt_text_query_xml(&t, SID, NULL, 0, &e), 0);
    assert_non_null(strstr(t.s, "EventID=4725 or EventID=4722 or EventID=4738 or EventID=4724"));
    assert_int_equal(hunt_text_query_xml(&t, SID, bad, 1, &e), -1);
    assert_int_equal(hunt_text_query_xml(&t, SID, none, 1, &e), -1);
    assert_int_equal(hunt_text_query_xml(&t, SID, two, 0, &e), -1);
    assert_int_equal(hunt_text_query_xml(&t, SID "<", two, 2, &e), -1);
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = 4725;
    assert_int_equal(hunt_text_query_xml(&t, SID, many, ARRAY_LEN(many), &e), -1);
}

#define H(at, action, sid)                                                         \
    "{\"Timestamp\":\"" at "\",\"ActionType\":\"" action "\",\"TargetSid\":\"" sid \
    "\",\"AccountName\":\"adm\",\"DestinationDeviceName\":\"dc01\",\"Score\":1.5}"
#define RESULTS(...) \
    "{\"schema\":[{\"Name\":\"Timestamp\",\"Type\":\"DateTime\"}],\"results\":[" __VA_ARGS__ "]}"
#define COLUMNS                                                                              \
    "\"columns\":[{\"name\":\"TimeGenerated\",\"type\":\"datetime\"},{\"name\":\"EventID\"," \
    "\"type\":\"int\"},{\"name\":\"Computer\"},{\"name\":\"TargetSid\"},{\"name\":"          \
    "\"SubjectUserName\"}]"
#define L(at, id, sid) "[\"" at "\"," id ",\"dc01.corp.example\",\"" sid "\",\"svc\"]"
#define TABLE(rows) "{\"tables\":[{\"name\":\"PrimaryResult\"," COLUMNS ",\"rows\":[" rows "]}]}"
#define NOON "2026-09-14T12:00:00Z"
#define LATER "2026-09-14T13:00:00.5Z"

/* Who did it: by SID, or nobody. */
static void actors(void **state)
{
    static const struct {
        const char *json, *sid;
    } cases[] = {
        {RESULTS("{\"Timestamp\":\"" NOON "\",\"TargetSid\":\"" SID
                 "\",\"AccountSid\":\"S-1-5-21-1-2-3-9\"}"),
         "S-1-5-21-1-2-3-9"},
        {RESULTS("{\"Timestamp\":\"" NOON "\",\"TargetSid\":\"" SID "\",\"AccountSid\":\"adm\"}"),
         ""},
        {RESULTS(H(NOON, "Account disabled", SID)), ""},
        {"{\"tables\":[{\"columns\":[{\"name\":\"TimeGenerated\"},{\"name\":\"TargetSid\"},{"
         "\"name\":"
         "\"SubjectUserSid\"}],\"rows\":[[\"" NOON "\",\"" SID "\",\"S-1-5-18\"]]}]}",
         "S-1-5-18"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) struct cJSON *j = sim_json(cases[i].json);
        CLEANUP(hunt_table_freep) struct hunt_table *t = NULL;
        struct hunt_rows r;
        struct err e;

        assert_int_equal(hunt_read(j, SID, FROM, TO, &t, &e), 0);
        hunt_table_rows(t, &r);
        assert_int_equal(r.count, 1);
        assert_string_equal(r.rows[0].actor_sid, cases[i].sid);
    }
}

static void answers(void **state)
{
    static const struct {
        const char *json;
        bool fine;
        size_t count, left_out;
        unsigned id;
        const char *action;
        bool partial;
    } cases[] = {
        {RESULTS(H(NOON, "Account disabled", SID)), true, 1, 0, 0, "Account disabled", false},
        {RESULTS(""), true, 0, 0, 0, "", false},
        {"{\"Schema\":[],\"Results\":[{\"timestamp\":\"" NOON "\",\"TargetAccountSid\":\"" SID
         "\"}]}",
         true, 1, 0, 0, "", false},
        /* sorted; another SID, another day, no time: left out */
        {RESULTS(H(LATER, "Account enabled", SID) "," H(NOON, "Account disabled", SID) "," H(
             NOON, "x", "S-1-5-21-1-2-3-500") "," H("2026-09-16T00:00:00Z", "x",
                                                    SID) "," H("soon", "x", SID) ",{}"),
         true, 2, 4, 0, "Account disabled", false},
        {TABLE(L(NOON, "4725", SID)), true, 1, 0, 4725, "account disabled", false},
        {TABLE(L(NOON, "\"4722\"", SID)), true, 1, 0, 4722, "account enabled", false},
        {TABLE(L(NOON, "null", SID)), true, 1, 0, 0, "", false},
        {TABLE(L(NOON, "4725.5", SID)), true, 1, 0, 0, "", false},
        {TABLE(L(LATER, "4725", SID) "," L(NOON, "4724", SID) "," L(NOON, "4725", "S-1-5-18")),
         true, 2, 1, 4724, "password reset attempted", false},
        {"{\"tables\":[{\"name\":\"PrimaryResult\"," COLUMNS
         ",\"rows\":[" L(NOON, "4725", SID) "]}],\"error\":{\"code\":\"PartialError\",\"message\":"
                                            "\"some\",\"details\":[{\"message\":"
                                            "\"too many\\u001b\"}]}}",
         true, 1, 0, 4725, "account disabled", true},
        /* not such answers */
        {TABLE("[1,2]"), false, 0, 0, 0, "", false},
        {TABLE("7"), false, 0, 0, 0, "", false},
        {"{\"tables\":[]}", false, 0, 0, 0, "", false},
        {"{\"tables\":[{\"columns\":[{}],\"rows\":[]}]}", false, 0, 0, 0, "", false},
        {"{\"tables\":[{\"columns\":[]}]}", false, 0, 0, 0, "", false},
        {RESULTS("7"), false, 0, 0, 0, "", false},
        {"{\"results\":{}}", false, 0, 0, 0, "", false},
        {"{}", false, 0, 0, 0, "", false},
        {"[]", false, 0, 0, 0, "", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) struct cJSON *j = sim_json(cases[i].json);
        CLEANUP(hunt_table_freep) struct hunt_table *t = NULL;
        struct hunt_rows r;
        struct err e = ERR_NONE;

        if ((hunt_read(j, SID, FROM, TO, &t, &e) == 0) != cases[i].fine)
            fail_msg("%zu: %s", i, e.msg);
        if (!cases[i].fine) {
            assert_int_equal(e.code, ERR_INVALID);
            continue;
        }
        hunt_table_rows(t, &r);
        if (r.count != cases[i].count || r.left_out != cases[i].left_out ||
            r.partial != cases[i].partial)
            fail_msg("%zu: %zu rows, %zu left out", i, r.count, r.left_out);
        assert_null(strpbrk(r.note, "\x1b\r\n"));
        assert_int_equal(r.note[0] != '\0', r.partial);
        if (r.count == 0)
            continue;
        assert_int_equal(r.rows[0].event_id, cases[i].id);
        assert_string_equal(r.rows[0].action, cases[i].action);
        assert_string_equal(r.rows[0].target_sid, SID);
        for (size_t k = 1; k < r.count; k++)
            assert_true(r.rows[k - 1].time_ms <= r.rows[k].time_ms);
    }
}

static void too_many(void **state)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(1 << 20);
    CLEANUP(json_freep) struct cJSON *j = NULL;
    CLEANUP(hunt_table_freep) struct hunt_table *table = NULL;
    struct hunt_rows r;
    struct err e;

    (void)state;
    text_add(&t, "{\"results\":[");
    for (unsigned i = 0; i <= HUNT_ROWS; i++)
        text_addf(&t, "%s%s", i > 0 ? "," : "", H(NOON, "x", SID));
    text_add(&t, "]}");
    j = sim_json(t.s);
    assert_int_equal(hunt_read(j, SID, FROM, TO, &table, &e), 0);
    hunt_table_rows(table, &r);
    assert_int_equal(r.count, HUNT_ROWS);
    assert_true(r.more);
}

/* --- asking ---------------------------------------------------------------------------- */

struct got {
    unsigned calls;
    size_t count;
    bool failed;
    struct err e;
};

static void on_rows(void *arg, const struct hunt_rows *r, const struct err *e)
{
    struct got *g = arg;

    g->calls++;
    g->failed = e != NULL;
    assert_true((r == NULL) == (e != NULL));
    if (e != NULL)
        g->e = *e;
    else
        g->count = r->count;
}

static const struct hunt_workspace place = {.root = "https://api.loganalytics.io",
                                            .workspace = WORKSPACE};

static void asked(void **state)
{
    static const struct {
        bool graph;
        struct sim_says says[2];
        size_t n;
        enum err_code code;
    } cases[] = {
        {true,
         {{"POST", "/security/runHuntingQuery", .asks = "{\"Query\":\"IdentityDirectoryEvents\\n",
           .status = 200, .body = RESULTS(H(NOON, "Account disabled", SID))}},
         1,
         ERR_OK},
        {true, {{"POST", "/runHuntingQuery", .code = ERR_BUSY, .status = 429}}, 1, ERR_BUSY},
        {true, {{"POST", "/runHuntingQuery", .status = 200, .body = "{}"}}, 1, ERR_INVALID},
        {false,
         {{"POST", "https://api.loganalytics.io/v1/workspaces/" WORKSPACE "/query",
           .asks = "\"timespan\":\"2026-09-14T00:00:00.000Z/2026-09-15T00:00:00.000Z\"}",
           .status = 200, .body = TABLE(L(NOON, "4725", SID))}},
         1,
         ERR_OK},
        {false,
         {{"POST", "/query", .status = 401, .body = ""},
          {"POST", "/query", .status = 200, .body = TABLE(L(NOON, "4725", SID))}},
         2,
         ERR_OK},
        {false,
         {{"POST", "/query", .status = 401, .body = ""},
          {"POST", "/query", .status = 401, .body = ""}},
         2,
         ERR_AUTH},
        {false,
         {{"POST", "/query", .status = 403,
           .body = "{\"error\":{\"code\":\"InsufficientAccessError\",\"message\":\"no\"}}"}},
         1,
         ERR_DENIED},
        {false, {{"POST", "/query", .status = 400, .body = "<html>"}}, 1, ERR_REFUSED},
        {false, {{"POST", "/query", .status = 404, .body = ""}}, 1, ERR_NOTFOUND},
        {false, {{"POST", "/query", .status = 429, .body = ""}}, 1, ERR_BUSY},
        {false, {{"POST", "/query", .status = 504, .body = ""}}, 1, ERR_TIMEOUT},
        {false, {{"POST", "/query", .status = 302, .body = ""}}, 1, ERR_INVALID},
        {false, {{"POST", "/query", .status = 200, .body = "<html>"}}, 1, ERR_INVALID},
        {false, {{"POST", "/query", .code = ERR_UNSENT}}, 1, ERR_UNSENT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct got g = {0};
        struct err e;

        sim_script(cases[i].says, cases[i].n);
        if (cases[i].graph)
            assert_int_equal(hunt_identity_start(NULL, SID, FROM, TO, on_rows, &g, NULL, &e), 0);
        else
            assert_int_equal(
                hunt_security_event_start(&place, SID, FROM, TO, on_rows, &g, NULL, &e), 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        if ((g.failed ? g.e.code : ERR_OK) != cases[i].code)
            fail_msg("%zu: %s", i, g.e.msg);
        if (!g.failed)
            assert_int_equal(g.count, 1);
        sim_end();
    }
}

static void canceled(void **state)
{
    static const struct sim_says script[] = {
        {"POST", "/query", .status = 200, .body = "{}", .after_ms = 1000}};

    (void)state;
    for (uint64_t when = 0; when < 4; when++) {
        struct hunt_call *c = NULL;
        struct got g = {0};
        struct err e;

        sim_script(script, 1);
        assert_int_equal(hunt_security_event_start(&place, SID, FROM, TO, on_rows, &g, &c, &e), 0);
        sim_pass(when);
        hunt_cancel(c);
        hunt_cancel(c);
        assert_int_equal(g.calls, 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        assert_true(g.failed);
        sim.script_at = sim.script_count;
        sim_end();
    }
}

static void no_memory(void **state)
{
    static const struct sim_says script[] = {
        {"POST", "/query", .status = 200, .body = TABLE(L(NOON, "4725", SID))}};

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        struct got g = {0};
        struct err e;

        sim_script(script, 1);
        if (hunt_security_event_start(&place, SID, FROM, TO, on_rows, &g, NULL, &e) == 0) {
            sim_run();
            assert_int_equal(g.calls, 1);
        }
        assert_null(sim.timers);
    }
    secret_free(sim.token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),    cmocka_unit_test(texts),    cmocka_unit_test(query_xml),
        cmocka_unit_test(actors), cmocka_unit_test(answers),  cmocka_unit_test(too_many),
        cmocka_unit_test(asked),  cmocka_unit_test(canceled), cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
