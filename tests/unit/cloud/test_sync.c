/* tests/unit/cloud/test_sync.c -- pushes of cloud sync: what an answer proves, who is sent when,
 * and that danger is never told as proof. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/sync.h"
#include "cloud/sync_inside.h"
#include "tests/unit/alloc.h"
#include "tests/unit/cloud/sim.h"

#define UID "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a10"
#define UID2 "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a11"
#define SP "9a0d5e1c-2b7f-4c3e-8f64-7e1b2a3c4d5e"
#define JOB "AD2AADProvisioning.4b9f0a6e2d3c4f7f9c1e5d8a7b6c5d4e"
#define RULE "6f1c2c0a-1d5b-4f7e-9b32-8a7c6d5e4f30"
#define DN "CN=Novak\\, Anna,OU=Staff,DC=corp,DC=example"

/* --- answers --------------------------------------------------------------------------- */

/* The outer text, with its inner ones quoted. */
static char *answer(const char *key, const char *value)
{
    struct text t = TEXT_INIT(64 * 1024);
    struct json_out o;

    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_str(&o, "@odata.context", "x");
    if (key != NULL)
        json_out_str(&o, "key", key);
    if (value != NULL)
        json_out_str(&o, "value", value);
    json_out_end_object(&o);
    assert_false(t.failed);
    return text_take(&t);
}

#define OK "{\"result\":\"Success\",\"details\":{}}"
#define SKIP(code) "{\"result\":\"Skipped\",\"details\":{\"errorCode\":\"" code "\"}}"
#define IMPORT(how) \
    "{\"type\":\"Import\",\"status\":\"Success\",\"details\":{\"accountDisabled\":" how "}}"
#define EXPORT(how) "{\"type\":\"Export\",\"status\":\"" how "\",\"details\":{}}"
#define WROTE(how) "{\"displayName\":\"AccountEnabled\",\"oldValue\":\"x\",\"newValue\":" how "}"
#define VALUE(steps, changes, target)                             \
    "{\"provisioningSteps\":[" steps "],\"modifiedProperties\":[" \
    "{\"displayName\":\"Mail\",\"newValue\":\"False\"}" changes   \
    "],\"statusInfo\":{\"status\":\"Success\"}" target "}"
#define TO(id) ",\"targetIdentity\":{\"id\":\"" id "\",\"type\":\"User\"}"

static void judged(void **state)
{
    static const struct {
        const char *key, *value;
        enum sync_outcome disable, enable;
    } cases[] = {
        /* written, to this user */
        {OK, VALUE(IMPORT("\"True\"") "," EXPORT("Success"), "," WROTE("\"False\""), TO(UID)),
         SYNC_PROVEN, SYNC_EXPORTED_OTHER},
        {OK, VALUE(IMPORT("\"False\"") "," EXPORT("Success"), "," WROTE("\"True\""), TO(UID)),
         SYNC_EXPORTED_OTHER, SYNC_PROVEN},
        {OK, VALUE(IMPORT("true"), "," WROTE("false"), TO(UID)), SYNC_PROVEN, SYNC_EXPORTED_OTHER},
        {OK, VALUE(IMPORT("\"true\""), "," WROTE("\"[false]\""), TO(UID)), SYNC_PROVEN,
         SYNC_EXPORTED_OTHER},
        {OK, VALUE("", "," WROTE("\"False\""), TO(UID)), SYNC_PROVEN, SYNC_EXPORTED_OTHER},
        /* both sides equal: only with what was read */
        {SKIP("RedundantExport"), VALUE(IMPORT("\"True\"") "," EXPORT("Skipped"), "", TO(UID)),
         SYNC_PROVEN, SYNC_SAW_OTHER},
        {SKIP("RedundantExport"), VALUE(IMPORT("\"False\"") "," EXPORT("Skipped"), "", TO(UID)),
         SYNC_SAW_OTHER, SYNC_PROVEN},
        {SKIP("RedundantExport"), VALUE("", "", TO(UID)), SYNC_SKIPPED, SYNC_SKIPPED},
        {SKIP("RedundantExport"), VALUE(IMPORT("\"True\""), "", ""), SYNC_SKIPPED, SYNC_SAW_OTHER},
        {SKIP("NotEffectivelyEntitled"), VALUE(IMPORT("\"True\""), "", TO(UID)), SYNC_SKIPPED,
         SYNC_SAW_OTHER},
        /* userAccountControl tells it, too; where they contradict, the worse one counts */
        {SKIP("RedundantExport"),
         VALUE("{\"type\":\"Import\",\"details\":{\"userAccountControl\":\"514\"}}", "", TO(UID)),
         SYNC_PROVEN, SYNC_SAW_OTHER},
        {OK,
         VALUE("{\"type\":\"Import\",\"details\":{\"accountDisabled\":\"True\","
               "\"userAccountControl\":512}}",
               "," WROTE("\"False\""), TO(UID)),
         SYNC_SAW_OTHER, SYNC_EXPORTED_OTHER},
        /* danger is danger whatever the result says */
        {OK, VALUE(IMPORT("\"False\""), "", TO(UID)), SYNC_SAW_OTHER, SYNC_NO_PROOF},
        {"{\"result\":\"Failure\",\"details\":{}}", VALUE(IMPORT("\"False\""), "", TO(UID)),
         SYNC_SAW_OTHER, SYNC_FAILED},
        {OK, VALUE(IMPORT("\"True\""), "," WROTE("\"False\"") "," WROTE("\"True\""), TO(UID)),
         SYNC_EXPORTED_OTHER, SYNC_EXPORTED_OTHER},
        /* no proof */
        {OK, VALUE(IMPORT("\"True\""), "", TO(UID)), SYNC_NO_PROOF, SYNC_SAW_OTHER},
        {OK, VALUE(IMPORT("\"True\""), "," WROTE("\"False\""), ""), SYNC_NO_PROOF,
         SYNC_EXPORTED_OTHER},
        {OK, VALUE(IMPORT("\"True\"") "," EXPORT("Failure"), "," WROTE("\"False\""), TO(UID)),
         SYNC_NO_PROOF, SYNC_EXPORTED_OTHER},
        {OK, VALUE("", "," WROTE("\"maybe\""), TO(UID)), SYNC_NO_PROOF, SYNC_NO_PROOF},
        {OK, VALUE("", "," WROTE("\"Falsetto\""), TO(UID)), SYNC_NO_PROOF, SYNC_NO_PROOF},
        /* another user */
        {OK, VALUE(IMPORT("\"True\""), "," WROTE("\"False\""), TO(UID2)), SYNC_UNCLEAR,
         SYNC_EXPORTED_OTHER},
        {"{\"result\":\"Failure\",\"details\":{\"errorCode\":\"X\",\"errorMessage\":\"no\"}}",
         VALUE(IMPORT("\"True\"") "," EXPORT("Failure"), "", TO(UID)), SYNC_FAILED, SYNC_SAW_OTHER},
        {"{\"result\":\"Perhaps\"}", VALUE("", "", TO(UID)), SYNC_UNCLEAR, SYNC_UNCLEAR},
        /* key is the name of a type */
        {"Microsoft.Identity.StatusInfo", "{\"statusInfo\":{\"status\":\"Success\"}}",
         SYNC_NO_PROOF, SYNC_NO_PROOF},
        {"Microsoft.Identity.StatusInfo",
         VALUE(IMPORT("\"True\""), "," WROTE("\"False\""), TO(UID)), SYNC_PROVEN,
         SYNC_EXPORTED_OTHER},
        /* unreadable */
        {"{\"result\":\"Failure\",}", VALUE(IMPORT("\"True\""), "," WROTE("\"False\""), TO(UID)),
         SYNC_UNCLEAR, SYNC_EXPORTED_OTHER},
        {OK, "<html>", SYNC_UNCLEAR, SYNC_UNCLEAR},
        {OK, NULL, SYNC_UNCLEAR, SYNC_UNCLEAR},
        {NULL, NULL, SYNC_UNCLEAR, SYNC_UNCLEAR},
        {NULL, "{}", SYNC_UNCLEAR, SYNC_UNCLEAR},
        {OK, "[]", SYNC_UNCLEAR, SYNC_UNCLEAR},
        {OK, "{\"a\":1,\"a\":2}", SYNC_UNCLEAR, SYNC_UNCLEAR},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(cleanup_charp) char *s = answer(cases[i].key, cases[i].value);
        CLEANUP(json_freep) struct cJSON *j = sim_json(s);
        struct sync_result r = {0};

        sync_read_answer(j, UID, false, &r);
        if (r.outcome != cases[i].disable)
            fail_msg("%zu, disable: %s (%s)", i, sync_outcome_word(r.outcome), r.words);
        assert_string_not_equal(r.words, "");
        sync_read_answer(j, UID, true, &r);
        if (r.outcome != cases[i].enable)
            fail_msg("%zu, enable: %s (%s)", i, sync_outcome_word(r.outcome), r.words);
    }
}

static void words_are_safe(void **state)
{
    CLEANUP(cleanup_charp)
    char *s = answer(
        "{\"result\":\"Failure\",\"details\":{\"errorMessage\":\"a\\u001b[31m\\r\\nb\"}}", "{}");
    CLEANUP(json_freep) struct cJSON *j = sim_json(s);
    struct sync_result r = {0};

    (void)state;
    sync_read_answer(j, UID, false, &r);
    assert_int_equal(r.outcome, SYNC_FAILED);
    assert_null(strpbrk(r.words, "\x1b\r\n"));
}

/* --- the look-up ----------------------------------------------------------------------- */

static void job_is_read(void **state)
{
    static const struct {
        const char *job;
        bool ours, failed, active;
        const char *health;
    } cases[] = {
        {"{\"id\":\"" JOB "\",\"status\":{\"code\":\"Active\"}}", true, false, true, ""},
        {"{\"id\":\"" JOB "\",\"status\":{\"code\":\"Paused\"}}", true, false, false, "paused"},
        {"{\"id\":\"" JOB "\",\"status\":{\"code\":\"Quarantine\",\"quarantine\":{\"currentBegan\":"
         "\"2026-09-14T06:00:00Z\",\"reason\":\"EncounteredEscrowProportionThreshold\"}}}",
         true, false, false, "quarantine since 2026-09-14T06:00:00Z (EncounteredEscrow"},
        {"{\"id\":\"" JOB "\",\"status\":{\"code\":\"NotRun\"}}", true, false, false, "never run"},
        {"{\"id\":\"" JOB "\",\"status\":{\"code\":\"New\\u001b\"}}", true, false, false,
         "New\\x1b"},
        {"{\"id\":\"" JOB "\"}", true, false, false, "unknown"},
        {"{\"id\":\"" JOB "\",\"status\":{\"code\":\"Active\",\"lastExecution\":{\"state\":"
         "\"Failed\"}}}",
         true, false, true, "last run failed"},
        {"{\"id\":\"AD2AADPasswordHash.1\",\"status\":{\"code\":\"Active\"}}", false, false, false,
         ""},
        {"{\"id\":\"AAD2ADGroupProvisioning.1\"}", false, false, false, ""},
        {"{\"id\":\"AD2AADProvisioning.a/../b\"}", false, true, false, ""},
        {"{\"id\":\"AD2AADProvisioning.a?b\"}", false, true, false, ""},
        {"{\"id\":7}", false, true, false, ""},
        {"{\"id\":\"" JOB "\",\"status\":{\"code\":\"Active\"},\"synchronizationJobSettings\":[{"
         "\"name\":\"Domain\",\"value\":\"{\\\"domain\\\":\\\"CORP.example\\\"}\"}]}",
         true, false, true, ""},
        {"{\"id\":\"" JOB "\",\"status\":{\"code\":\"Active\"},\"synchronizationJobSettings\":[{"
         "\"name\":\"Domain\",\"value\":\"{\\\"domain\\\":\\\"other.example\\\"}\"}]}",
         false, true, false, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) struct cJSON *j = sim_json(cases[i].job);
        struct sync_found f = {0};
        bool active = false, failed = false;
        struct err e = ERR_NONE;

        assert_int_equal(sync_read_job(j, "corp.example", &f, &active, &e, &failed), cases[i].ours);
        assert_int_equal(failed, cases[i].failed);
        assert_int_equal(active, cases[i].active);
        if (cases[i].health[0] == '\0' ? f.health[0] != '\0'
                                       : strstr(f.health, cases[i].health) == NULL)
            fail_msg("%zu: %s", i, f.health);
        assert_int_equal(e.code != ERR_OK, failed);
    }
}

static void schema_is_read(void **state)
{
    static const struct {
        const char *schema, *rule;
        enum err_code code;
    } cases[] = {
        {"{\"synchronizationRules\":[{\"id\":\"r1\",\"priority\":1,\"objectMappings\":[{"
         "\"enabled\":"
         "true,\"sourceObjectName\":\"user\"}]}]}",
         "r1", ERR_OK},
        {"{\"synchronizationRules\":[{\"id\":\"r1\",\"priority\":2,\"objectMappings\":[{"
         "\"enabled\":"
         "true,\"sourceObjectName\":\"User\"}]},{\"id\":\"r2\",\"priority\":1,\"objectMappings\":[{"
         "\"enabled\":true,\"sourceObjectName\":\"user\"}]}]}",
         "r2", ERR_OK},
        {"{\"synchronizationRules\":[{\"id\":\"r1\",\"objectMappings\":[{\"enabled\":false,"
         "\"sourceObjectName\":\"user\"},{\"enabled\":true,\"sourceObjectName\":\"group\"}]}]}",
         NULL, ERR_NOTFOUND},
        {"{\"synchronizationRules\":[{\"objectMappings\":[{\"enabled\":true,\"sourceObjectName\":"
         "\"user\"}]}]}",
         NULL, ERR_INVALID},
        {"{\"synchronizationRules\":[]}", NULL, ERR_NOTFOUND},
        {"{}", NULL, ERR_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) struct cJSON *j = sim_json(cases[i].schema);
        struct err e = ERR_NONE;
        char rule[128];

        assert_int_equal(sync_read_schema(j, rule, sizeof(rule), &e),
                         cases[i].code == ERR_OK ? 0 : -1);
        assert_int_equal(e.code, cases[i].code);
        if (cases[i].rule != NULL)
            assert_string_equal(rule, cases[i].rule);
    }
}

/* --- pushes ---------------------------------------------------------------------------- */

#define LOOKUP                                                                                     \
    {"GET", "/servicePrincipals?$filter=applicationTemplateId%20eq%20%271a4721b3", .status = 200,  \
     .body = "{\"value\":[{\"id\":\"" UID2 "\",\"displayName\":\"eu.corp.example\"},{\"id\":\"" SP \
             "\",\"displayName\":\"Corp.Example\"}]}"},                                            \
        {"GET", "/servicePrincipals/" SP "/synchronization/jobs", .status = 200,                   \
         .body = "{\"value\":[{\"id\":\"AD2AADPasswordHash.1\",\"status\":{\"code\":\"Active\"}}," \
                 "{\"id\":\"" JOB "\",\"status\":{\"code\":\"Active\"}}]}"},                       \
    {                                                                                              \
        "GET", "/servicePrincipals/" SP "/synchronization/jobs/" JOB "/schema",                    \
            .status = 200,                                                                         \
            .body = "{\"synchronizationRules\":[{\"id\":\"" RULE                                   \
                    "\",\"objectMappings\":[{\"enabled\":true,\"sourceObjectName\":\"user\"}]}]}"  \
    }
#define PUSH "/servicePrincipals/" SP "/synchronization/jobs/" JOB "/provisionOnDemand"
/* {"key":"{\"result\":\"Success\"}", ...} with AccountEnabled written */
#define PROVEN(id)                                                                             \
    "{\"key\":\"{\\\"result\\\":\\\"Success\\\"}\",\"value\":\"{\\\"modifiedProperties\\\":[{" \
    "\\\"displayName\\\":\\\"AccountEnabled\\\",\\\"newValue\\\":\\\"False\\\"}],"             \
    "\\\"targetIdentity\\\":{\\\"id\\\":\\\"" id "\\\"}}\"}"
#define ASKS(dn)                                                                  \
    "{\"parameters\":[{\"ruleId\":\"" RULE "\",\"subjects\":[{\"objectId\":\"" dn \
    "\",\"objectTypeName\":\"user\"}]}]}"

struct got {
    unsigned calls;
    struct sync_result r;
    uint64_t at;
};

static void on_pushed(void *arg, const struct sync_result *r)
{
    struct got *g = arg;

    g->calls++;
    g->r = *r;
    g->at = sim.now;
}

static struct sync *new_sync(void)
{
    const struct sync_settings set = {.kind = SYNC_KIND_CLOUD, .domain = "corp.example"};
    struct sync *s = NULL;
    struct err e;

    assert_int_equal(sync_new(NULL, (struct graph *)&sim, &set, &s, &e), 0);
    return s;
}

static struct sync_push *push(struct sync *s, const char *uid, const char *dn, struct got *g)
{
    const struct sync_ask ask = {.user_id = uid, .dn = dn, .synchronised = true};
    struct sync_push *p = NULL;
    struct err e;

    assert_int_equal(sync_push_start(s, &ask, on_pushed, g, &p, &e), 0);
    return p;
}

static void one_push(void **state)
{
    static const struct sim_says script[] = {
        LOOKUP,
        {"POST", PUSH, .asks = ASKS("CN=Novak\\\\, Anna,OU=Staff,DC=corp,DC=example"),
         .status = 200, .body = PROVEN(UID)},
    };
    struct got g = {0};
    struct sync *s;

    (void)state;
    sim_script(script, ARRAY_LEN(script));
    s = new_sync();
    (void)push(s, UID, DN, &g);
    assert_int_equal(g.calls, 0); /* never inside start */
    sim_run();
    assert_int_equal(g.calls, 1);
    assert_int_equal(g.r.outcome, SYNC_PROVEN);
    assert_true(g.r.sent);
    assert_string_equal(g.r.job, JOB);
    assert_string_equal(g.r.request_id, "req-1");
    sync_free(s);
    sim_end();
}

static void joined_and_followed(void **state)
{
    static const struct sim_says script[] = {
        LOOKUP,
        {"POST", PUSH, .status = 200, .body = PROVEN(UID), .hold = true},
        {"POST", PUSH, .status = 200, .body = PROVEN(UID)},
    };
    struct got g[4] = {{0}};
    struct sync *s;

    (void)state;
    sim_script(script, ARRAY_LEN(script));
    s = new_sync();
    (void)push(s, UID, DN, &g[0]);
    (void)push(s, UID, DN, &g[1]); /* waits as well: joins */
    sim_pass(1000);
    assert_non_null(sim.held);
    (void)push(s, UID, DN, &g[2]); /* too late for that one: another follows */
    (void)push(s, UID, DN, &g[3]);
    sim_pass(1000);
    assert_int_equal(sim.sent, 4); /* one in flight for one user */
    sim_release();
    sim_run();
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(g[i].calls, 1);
        assert_int_equal(g[i].r.outcome, SYNC_PROVEN);
    }
    sync_free(s);
    sim_end();
}

#define P(n)                                                                  \
    {                                                                         \
        "POST", PUSH, .asks = "CN=" #n ",", .status = 200,                    \
                      .body = PROVEN("3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4b" #n) \
    }

static void five_in_ten_seconds(void **state)
{
    static const struct sim_says script[] = {
        LOOKUP, P(00), P(01), P(02), P(03), P(04), P(05), P(06), P(07), P(08), P(09), P(10), P(11),
    };
    struct got g[12] = {{0}};
    struct sync *s;

    (void)state;
    sim_script(script, ARRAY_LEN(script));
    s = new_sync();
    for (unsigned i = 0; i < 12; i++) {
        char uid[40], dn[40];

        (void)snprintf(uid, sizeof(uid), "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4b%02u", i);
        (void)snprintf(dn, sizeof(dn), "CN=%02u,DC=corp", i);
        (void)push(s, uid, dn, &g[i]);
    }
    sim_run();
    for (unsigned i = 0; i < 12; i++)
        assert_int_equal(g[i].r.outcome, SYNC_PROVEN);
    assert_int_equal(sim.sent, 15);
    for (size_t i = 3; i + 5 < sim.sent; i++)
        assert_true(sim.sent_at[i + 5] >= sim.sent_at[i] + 10000);
    sync_free(s);
    sim_end();
}

static void ends(void **state)
{
    static const struct {
        struct sim_says says;
        enum sync_outcome want;
        bool sent;
    } cases[] = {
        {{"POST", PUSH, .code = ERR_DENIED, .status = 403}, SYNC_FORBIDDEN, true},
        {{"POST", PUSH, .code = ERR_AUTH, .status = 401}, SYNC_FORBIDDEN, true},
        {{"POST", PUSH, .code = ERR_UNPROVEN}, SYNC_UNCLEAR, true},
        {{"POST", PUSH, .code = ERR_INVALID, .status = 200}, SYNC_UNCLEAR, true},
        {{"POST", PUSH, .code = ERR_TOOBIG}, SYNC_UNCLEAR, true},
        {{"POST", PUSH, .code = ERR_BUSY, .status = 429}, SYNC_FAILED, true},
        {{"POST", PUSH, .code = ERR_REFUSED, .status = 409}, SYNC_FAILED, true},
        {{"POST", PUSH, .code = ERR_UNSENT}, SYNC_NOT_DONE, false},
        {{"POST", PUSH, .status = 200, .body = NULL}, SYNC_UNCLEAR, true},
        {{"POST", PUSH, .status = 200, .body = "[]"}, SYNC_UNCLEAR, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct sim_says script[] = {LOOKUP, cases[i].says};
        struct got g = {0};
        struct sync *s;

        sim_script(script, ARRAY_LEN(script));
        s = new_sync();
        (void)push(s, UID, DN, &g);
        sim_run();
        assert_int_equal(g.calls, 1);
        if (g.r.outcome != cases[i].want || g.r.sent != cases[i].sent)
            fail_msg("%zu: %s %d (%s)", i, sync_outcome_word(g.r.outcome), g.r.sent, g.r.words);
        sync_free(s);
        sim_end();
    }
}

/* A rule that is gone: looked up and sent once more, and no oftener. */
static void new_rule(void **state)
{
    static const struct sim_says script[] = {
        LOOKUP,
        {"POST", PUSH, .code = ERR_REFUSED, .status = 400, .words = "the job has no such rule"},
        LOOKUP,
        {"POST", PUSH, .code = ERR_REFUSED, .status = 400, .words = "the job has no such rule"},
    };
    struct got g = {0};
    struct sync *s;

    (void)state;
    sim_script(script, ARRAY_LEN(script));
    s = new_sync();
    (void)push(s, UID, DN, &g);
    sim_run();
    assert_int_equal(g.calls, 1);
    assert_int_equal(g.r.outcome, SYNC_FAILED);
    assert_non_null(strstr(g.r.words, "no such rule"));
    sync_free(s);
    sim_end();
}

static void lookup_fails(void **state)
{
    static const struct {
        struct sim_says says[3];
        size_t n;
        enum sync_outcome want;
        const char *words;
    } cases[] = {
        {{{"GET", "/servicePrincipals", .status = 200, .body = "{\"value\":[]}"}},
         1,
         SYNC_NOT_DONE,
         "Entra Connect"},
        {{{"GET", "/servicePrincipals", .status = 200,
           .body = "{\"value\":[{\"id\":\"" SP "\",\"displayName\":\"eu.corp.example\"}]}"}},
         1,
         SYNC_NOT_DONE,
         "only for: eu.corp.example"},
        {{{"GET", "/servicePrincipals", .status = 200,
           .body = "{\"value\":[{\"id\":\"" SP "\",\"displayName\":\"corp.example\"},{\"id\":\"" UID
                   "\",\"displayName\":\"corp.example\"}]}"}},
         1,
         SYNC_NOT_DONE,
         "2 configurations"},
        {{{"GET", "/servicePrincipals", .status = 200,
           .body = "{\"value\":[{\"id\":\"../x\",\"displayName\":\"corp.example\"}]}"}},
         1,
         SYNC_NOT_DONE,
         "no GUID"},
        {{{"GET", "/servicePrincipals", .code = ERR_DENIED, .status = 403,
           .words = "Application.Read.All"}},
         1,
         SYNC_FORBIDDEN,
         "Application.Read.All"},
        {{{"GET", "/servicePrincipals", .code = ERR_TIMEOUT}}, 1, SYNC_NOT_DONE, ""},
        {{{"GET", "/servicePrincipals", .status = 200,
           .body = "{\"value\":[{\"id\":\"" SP "\",\"displayName\":\"corp.example\"}]}"},
          {"GET", "/jobs", .status = 200,
           .body = "{\"value\":[{\"id\":\"AD2AADPasswordHash.1\"}]}"}},
         2,
         SYNC_NOT_DONE,
         "no job that provisions"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct got g[2] = {{0}};
        struct sync *s;

        sim_script(cases[i].says, cases[i].n);
        s = new_sync();
        (void)push(s, UID, DN, &g[0]);
        sim_run();
        (void)push(s, UID2, DN, &g[1]); /* hears the same, and nothing is asked */
        sim_run();
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(g[k].calls, 1);
            assert_false(g[k].r.sent);
            if (g[k].r.outcome != cases[i].want || strstr(g[k].r.words, cases[i].words) == NULL)
                fail_msg("%zu: %s (%s)", i, sync_outcome_word(g[k].r.outcome), g[k].r.words);
        }
        sync_free(s);
        sim_end();
    }
}

static void health_is_told(void **state)
{
    static const struct sim_says script[] = {
        {"GET", "/servicePrincipals", .status = 200,
         .body = "{\"value\":[{\"id\":\"" SP "\",\"displayName\":\"corp.example\"}]}"},
        {"GET", "/jobs", .status = 200,
         .body = "{\"value\":[{\"id\":\"" JOB "\",\"status\":{\"code\":\"Paused\"}}]}"},
        {"GET", "/schema", .status = 200,
         .body = "{\"synchronizationRules\":[{\"id\":\"" RULE "\",\"objectMappings\":[{\"enabled\":"
                 "true,\"sourceObjectName\":\"user\"}]}]}"},
        {"POST", PUSH, .status = 200, .body = PROVEN(UID)},
    };
    struct got g[2] = {{0}};
    struct sync *s;
    struct err e;

    (void)state;
    sim_script(script, ARRAY_LEN(script));
    s = new_sync();
    assert_int_equal(sync_check_start(s, on_pushed, &g[1], NULL, &e), 0);
    (void)push(s, UID, DN, &g[0]);
    sim_run();
    assert_int_equal(g[0].r.outcome, SYNC_PROVEN);
    assert_non_null(strstr(g[0].r.health, "paused"));
    assert_int_equal(g[1].calls, 1);
    assert_int_equal(g[1].r.outcome, SYNC_FAILED);
    assert_non_null(strstr(g[1].r.health, "paused"));
    sync_free(s);
    sim_end();
}

static void not_sent(void **state)
{
    struct sync_ask ask = {.user_id = UID, .dn = DN, .synchronised = false};
    struct sync_push *p = NULL;
    struct got g = {0};
    struct sync *s;
    struct err e;

    (void)state;
    sim_script(NULL, 0);
    s = new_sync();
    assert_int_equal(sync_push_start(s, &ask, on_pushed, &g, &p, &e), 0);
    sim_run();
    assert_int_equal(g.calls, 1);
    assert_int_equal(g.r.outcome, SYNC_NOT_DONE);
    ask.synchronised = true;
    ask.user_id = "anna@corp.example";
    assert_int_equal(sync_push_start(s, &ask, on_pushed, &g, &p, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
    ask.user_id = UID;
    ask.dn = "";
    assert_int_equal(sync_push_start(s, &ask, on_pushed, &g, &p, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
    sync_free(s);
    sim_end();
}

static void canceled(void **state)
{
    static const struct sim_says script[] = {
        LOOKUP,
        {"POST", PUSH, .status = 200, .body = PROVEN(UID), .hold = true},
    };
    struct got g[3] = {{0}};
    struct sync_push *p;
    struct sync *s;

    (void)state;
    sim_script(script, ARRAY_LEN(script));
    s = new_sync();
    sync_push_cancel(push(s, UID2, DN, &g[0]));
    assert_int_equal(g[0].calls, 0);
    p = push(s, UID, DN, &g[1]);
    (void)push(s, UID, DN, &g[2]);
    sim_pass(1000);
    assert_int_equal(g[0].r.outcome, SYNC_NOT_DONE);
    assert_int_equal(g[0].r.code, ERR_CANCELED);
    assert_false(g[0].r.sent);
    sync_push_cancel(p);
    sim_pass(1000);
    assert_int_equal(g[1].calls, 1);
    assert_int_equal(g[1].r.outcome, SYNC_UNCLEAR); /* it was sent */
    assert_true(g[1].r.sent);
    assert_int_equal(g[2].calls, 0);
    sim_release();
    sim_run();
    assert_int_equal(g[2].r.outcome, SYNC_PROVEN);
    sync_free(s);
    sim_end();
}

/* Nobody waits for ever: neither in the line nor for what was sent. */
static void deadlines(void **state)
{
    static const struct sim_says script[] = {
        LOOKUP,
        {"POST", PUSH, .status = 200, .body = PROVEN(UID), .hold = true},
    };
    struct got g[2] = {{0}};
    uint64_t began;
    struct sync *s;

    (void)state;
    sim_script(script, ARRAY_LEN(script));
    s = new_sync();
    began = sim.now;
    (void)push(s, UID, DN, &g[0]);
    sim_pass(1000);
    (void)push(s, UID, DN, &g[1]); /* behind the first, which never ends */
    sim_run();
    assert_int_equal(g[1].r.outcome, SYNC_NOT_DONE);
    assert_false(g[1].r.sent);
    assert_true(g[1].at <= began + 130000);
    assert_int_equal(g[0].r.outcome, SYNC_UNCLEAR);
    assert_true(g[0].at <= began + 250000);
    sync_free(s); /* with the call still in flight */
    sim_end();
}

static void freed_half_way(void **state)
{
    static const struct sim_says script[] = {LOOKUP, {"POST", PUSH, .hold = true}};

    (void)state;
    for (size_t n = 0; n < 4; n++) { /* after so many calls */
        struct got g = {0};
        struct sync *s;

        sim_script(script, n + 1);
        s = new_sync();
        (void)push(s, UID, DN, &g);
        while (sim.script_at < sim.script_count)
            sim_step();
        sync_free(s);
        assert_int_equal(g.calls, 0);
        sim_end();
    }
}

static struct sync *freed_inside;
static void on_pushed_free(void *arg, const struct sync_result *r)
{
    on_pushed(arg, r);
    sync_free(freed_inside);
}

static void freed_by_callback(void **state)
{
    const struct sync_ask ask = {.user_id = UID, .dn = DN, .synchronised = false};
    struct sync_push *p = NULL;
    struct got g[2] = {{0}};
    struct err e;

    (void)state;
    sim_script(NULL, 0);
    freed_inside = new_sync();
    assert_int_equal(sync_push_start(freed_inside, &ask, on_pushed_free, &g[0], &p, &e), 0);
    assert_int_equal(sync_push_start(freed_inside, &ask, on_pushed, &g[1], &p, &e), 0);
    sim_run();
    assert_int_equal(g[0].calls, 1);
    assert_int_equal(g[1].calls, 0);
    sim_end();
}

static void no_memory(void **state)
{
    static const struct sim_says script[] = {
        LOOKUP,
        {"POST", PUSH, .status = 200, .body = PROVEN(UID)},
    };
    const struct sync_settings set = {.kind = SYNC_KIND_CLOUD, .domain = "corp.example"};
    const struct sync_ask ask = {.user_id = UID, .dn = DN, .synchronised = true};

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        struct sync_push *p = NULL;
        struct sync *s = NULL;
        struct got g = {0};
        struct err e;

        sim_script(script, ARRAY_LEN(script));
        if (sync_new(NULL, (struct graph *)&sim, &set, &s, &e) < 0) {
            assert_int_equal(e.code, ERR_NOMEM);
            continue;
        }
        if (sync_push_start(s, &ask, on_pushed, &g, &p, &e) == 0) {
            sim_run();
            assert_int_equal(g.calls, 1); /* exactly once, whatever fails */
        } else {
            assert_int_equal(e.code, ERR_NOMEM);
            assert_int_equal(g.calls, 0);
        }
        if (!alloc_failed)
            assert_int_equal(g.r.outcome, SYNC_PROVEN);
        sync_free(s);
        assert_null(sim.timers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judged),
        cmocka_unit_test(words_are_safe),
        cmocka_unit_test(job_is_read),
        cmocka_unit_test(schema_is_read),
        cmocka_unit_test(one_push),
        cmocka_unit_test(joined_and_followed),
        cmocka_unit_test(five_in_ten_seconds),
        cmocka_unit_test(ends),
        cmocka_unit_test(new_rule),
        cmocka_unit_test(lookup_fails),
        cmocka_unit_test(health_is_told),
        cmocka_unit_test(not_sent),
        cmocka_unit_test(canceled),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(freed_half_way),
        cmocka_unit_test(freed_by_callback),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
