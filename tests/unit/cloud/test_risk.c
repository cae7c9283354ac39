/* tests/unit/cloud/test_risk.c -- Identity Protection: what is read, what is marked, and what is
 * only believed to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/stamp.h"
#include "cloud/risk.h"
#include "tests/unit/alloc.h"
#include "tests/unit/cloud/sim.h"

#define ID "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a10"
#define ID2 "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a11"
#define USER(id, level, state)                                                             \
    "{\"id\":\"" id "\",\"isDeleted\":false,\"isProcessing\":false,\"riskLevel\":\"" level \
    "\",\"riskState\":\"" state "\",\"riskDetail\":\"none\",\"riskLastUpdatedDateTime\":"  \
    "\"2026-09-14T08:19:02Z\",\"userDisplayName\":\"A\",\"userPrincipalName\":\"a@corp.example\"}"

struct got {
    unsigned calls;
    struct risk_user u[8];
    struct risk_detection d[8];
    struct risk_result r[200];
    size_t n;
    bool more, failed;
    struct err e;
};

static void keep(struct got *g, const struct err *e)
{
    g->calls++;
    g->failed = e != NULL;
    if (e != NULL)
        g->e = *e;
}

static void on_user(void *arg, const struct risk_user *u, const struct err *e)
{
    struct got *g = arg;

    keep(g, e);
    assert_true((u != NULL) == (e == NULL));
    if (u != NULL)
        g->u[0] = *u;
}

static void on_list(void *arg, const struct risk_user *u, size_t n, bool more, const struct err *e)
{
    struct got *g = arg;

    keep(g, e);
    g->n = n;
    g->more = more;
    for (size_t i = 0; i < n && i < ARRAY_LEN(g->u); i++)
        g->u[i] = u[i];
}

static void on_detections(void *arg, const struct risk_detection *d, size_t n, bool more,
                          const struct err *e)
{
    struct got *g = arg;

    keep(g, e);
    g->n = n;
    g->more = more;
    for (size_t i = 0; i < n && i < ARRAY_LEN(g->d); i++)
        g->d[i] = d[i];
}

static void on_marked(void *arg, const struct risk_result *r, size_t n, const char *request_id,
                      const struct err *e)
{
    struct got *g = arg;

    assert_non_null(request_id);
    keep(g, e);
    g->n = n;
    for (size_t i = 0; i < n && i < ARRAY_LEN(g->r); i++)
        g->r[i] = r[i];
}

static void users(void **state)
{
    static const struct {
        const char *json;
        bool fine;
        enum risk_level level;
        enum risk_state state;
    } cases[] = {
        {USER(ID, "high", "confirmedCompromised"), true, RISK_LEVEL_HIGH, RISK_STATE_COMPROMISED},
        {USER(ID, "hidden", "atRisk"), true, RISK_LEVEL_HIDDEN, RISK_STATE_AT_RISK},
        {USER(ID, "extreme", "newState"), true, RISK_LEVEL_UNKNOWN, RISK_STATE_UNKNOWN},
        {USER("a@b", "high", "atRisk"), false, 0, 0},
        {"{\"id\":\"" ID "\",\"riskLevel\":\"high\"}", false, 0, 0},
        {"{\"id\":\"" ID "\",\"riskLevel\":\"high\",\"riskState\":7}", false, 0, 0},
        {"{\"id\":\"" ID "\",\"riskLevel\":\"high\",\"riskState\":\"none\",\"isProcessing\":1}",
         false, 0, 0},
        {"[]", false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) struct cJSON *j = sim_json(cases[i].json);
        struct risk_user u;
        struct err e = ERR_NONE;

        assert_int_equal(risk_read_user(j, &u, &e), cases[i].fine ? 0 : -1);
        assert_int_equal(e.code, cases[i].fine ? ERR_OK : ERR_INVALID);
        if (!cases[i].fine)
            continue;
        assert_int_equal(u.level, cases[i].level);
        assert_int_equal(u.state, cases[i].state);
        if (u.level == RISK_LEVEL_UNKNOWN)
            assert_string_equal(u.level_word, "extreme");
    }
}

static void one_user(void **state)
{
    static const struct {
        struct sim_says says;
        enum err_code code;
    } cases[] = {
        {{"GET", "/identityProtection/riskyUsers/" ID, .status = 200,
          .body = USER(ID, "high", "atRisk")},
         ERR_OK},
        {{"GET", "/riskyUsers/", .status = 200, .body = USER(ID2, "high", "atRisk")}, ERR_INVALID},
        {{"GET", "/riskyUsers/", .status = 200}, ERR_INVALID},
        {{"GET", "/riskyUsers/", .code = ERR_NOTFOUND, .status = 404}, ERR_NOTFOUND},
        {{"GET", "/riskyUsers/", .code = ERR_DENIED, .status = 403}, ERR_DENIED},
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct got g = {0};

        sim_script(&cases[i].says, 1);
        assert_int_equal(risk_read_start(NULL, ID, on_user, &g, NULL, &e), 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        assert_int_equal(g.failed ? g.e.code : ERR_OK, cases[i].code);
        sim_end();
    }
    assert_int_equal(risk_read_start(NULL, "a@b", on_user, NULL, NULL, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
}

static void lists(void **state)
{
    static const struct sim_says two[] = {
        {"GET",
         "riskyUsers?$filter=(riskLevel%20eq%20%27medium%27%20or%20riskLevel%20eq%20%27high%27)"
         "%20and%20riskState%20eq%20%27atRisk%27",
         .status = 200,
         .body = "{\"value\":[" USER(ID, "high", "atRisk") "," USER(ID2, "low", "atRisk") "]}",
         .next = "{\"value\":[" USER(ID, "high", "atRisk") "," USER(
             ID2, "medium", "dismissed") "," USER("3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a12", "medium",
                                                  "atRisk") "]}"},
        {"GET", "/identityProtection/riskyUsers", .status = 200,
         .body = "{\"value\":[" USER(ID, "none", "none") "," USER(ID2, "low", "atRisk") "]}"},
        {"GET", "/identityProtection/riskyUsers", .status = 200, .body = "{\"value\":[7]}"},
        {"GET", "/identityProtection/riskyUsers", .code = ERR_DENIED, .status = 403},
    };
    const struct risk_filter f = {.at_least = RISK_LEVEL_MEDIUM, .state = RISK_STATE_AT_RISK};
    const struct risk_filter one = {.max = 1}, any = {0};
    struct got g = {0};
    struct err e;

    (void)state;
    sim_script(two, ARRAY_LEN(two));
    assert_int_equal(risk_list_start(NULL, &f, on_list, &g, NULL, &e), 0);
    sim_run();
    assert_false(g.failed || g.more);
    assert_int_equal(g.n, 2); /* filtered here, too, and each once */
    assert_string_equal(g.u[0].id, ID);
    assert_int_equal(g.u[1].level, RISK_LEVEL_MEDIUM);
    assert_int_equal(risk_list_start(NULL, &one, on_list, &g, NULL, &e), 0);
    sim_run();
    assert_int_equal(g.n, 1);
    assert_true(g.more);
    assert_int_equal(risk_list_start(NULL, &any, on_list, &g, NULL, &e), 0);
    sim_run();
    assert_int_equal(g.e.code, ERR_INVALID);
    assert_int_equal(risk_list_start(NULL, &any, on_list, &g, NULL, &e), 0);
    sim_run();
    assert_int_equal(g.e.code, ERR_DENIED);
    assert_int_equal(g.calls, 4);
    sim_end();
}

#define DETECTION(id, user, at)                                                        \
    "{\"id\":\"" id "\",\"userId\":\"" user "\",\"riskEventType\":\"anomalousToken\"," \
    "\"riskState\":\"atRisk\",\"riskLevel\":\"high\",\"detectedDateTime\":\"" at "\"," \
    "\"location\":{\"geoCoordinates\":{\"latitude\":52.09}}}"

static void detections(void **state)
{
    static const struct sim_says script[] = {
        {"GET",
         "riskDetections?$filter=userId%20eq%20%27" ID "%27%20and%20detectedDateTime%20ge%20"
         "2026-09-14T00:00:00.000Z&$top=50",
         .status = 200,
         .body = "{\"value\":[" DETECTION("a", ID, "2026-09-14T08:00:00Z") "," DETECTION(
             "b", ID,
             "2026-09-14T09:00:00Z") "," DETECTION("c", ID2,
                                                   "2026-09-14T09:00:00Z") "," DETECTION("d", ID,
                                                                                         "2026-09-"
                                                                                         "13T23:00:"
                                                                                         "00Z") "]"
                                                                                                "}"}};
    struct got g = {0};
    int64_t since;
    struct err e;

    (void)state;
    assert_true(stamp_parse_iso("2026-09-14T00:00:00Z", &since));
    sim_script(script, 1);
    assert_int_equal(risk_detections_start(NULL, ID, since, on_detections, &g, NULL, &e), 0);
    sim_run();
    assert_int_equal(g.n, 2);
    assert_string_equal(g.d[0].id, "b"); /* newest first */
    assert_string_equal(g.d[1].type, "anomalousToken");
    sim_end();
}

#define CONFIRM "POST", "/identityProtection/riskyUsers/confirmCompromised"

static void marks(void **state)
{
    static const struct {
        enum risk_mark mark;
        struct sim_says says[3];
        size_t n;
        enum risk_marked first, second;
        enum err_code code;
    } cases[] = {
        {RISK_CONFIRM_COMPROMISED,
         {{CONFIRM, .asks = "{\"userIds\":[\"" ID "\",\"" ID2 "\"]}", .status = 204}},
         1,
         RISK_ACCEPTED,
         RISK_ACCEPTED,
         ERR_OK},
        {RISK_DISMISS,
         {{"POST", "/riskyUsers/dismiss", .status = 204}},
         1,
         RISK_ACCEPTED,
         RISK_ACCEPTED,
         ERR_OK},
        {RISK_CONFIRM_COMPROMISED,
         {{CONFIRM, .code = ERR_DENIED, .status = 403}},
         1,
         RISK_NOT_DONE,
         RISK_NOT_DONE,
         ERR_DENIED},
        {RISK_CONFIRM_COMPROMISED,
         {{CONFIRM, .code = ERR_BUSY, .status = 429}},
         1,
         RISK_NOT_DONE,
         RISK_NOT_DONE,
         ERR_BUSY},
        {RISK_CONFIRM_COMPROMISED,
         {{CONFIRM, .code = ERR_UNSENT}},
         1,
         RISK_NOT_DONE,
         RISK_NOT_DONE,
         ERR_UNSENT},
        /* unclear: each is looked at, nothing is sent again */
        {RISK_CONFIRM_COMPROMISED,
         {{CONFIRM, .code = ERR_UNPROVEN},
          {"GET", "/riskyUsers/" ID, .status = 200,
           .body = USER(ID, "high", "confirmedCompromised")},
          {"GET", "/riskyUsers/" ID2, .status = 200, .body = USER(ID2, "high", "atRisk")}},
         3,
         RISK_SEEN,
         RISK_UNPROVEN,
         ERR_UNPROVEN},
        {RISK_CONFIRM_COMPROMISED,
         {{CONFIRM, .code = ERR_UNPROVEN},
          {"GET", "/riskyUsers/" ID, .status = 200,
           .body = USER(ID, "high", "confirmedCompromised")},
          {"GET", "/riskyUsers/" ID2, .status = 200,
           .body = USER(ID2, "high", "confirmedCompromised")}},
         3,
         RISK_SEEN,
         RISK_SEEN,
         ERR_OK},
        {RISK_DISMISS,
         {{"POST", "/dismiss", .code = ERR_UNPROVEN},
          {"GET", "/riskyUsers/" ID, .code = ERR_TIMEOUT},
          {"GET", "/riskyUsers/" ID2, .status = 200, .body = USER(ID2, "none", "dismissed")}},
         3,
         RISK_UNPROVEN,
         RISK_SEEN,
         ERR_UNPROVEN},
    };
    static const char *const ids[] = {ID, ID2};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct got g = {0};
        struct err e;

        sim_script(cases[i].says, cases[i].n);
        assert_int_equal(risk_mark_start(NULL, cases[i].mark, ids, 2, on_marked, &g, NULL, &e), 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        assert_int_equal(g.n, 2);
        assert_int_equal(g.r[0].how, cases[i].first);
        assert_int_equal(g.r[1].how, cases[i].second);
        assert_int_equal(g.failed ? g.e.code : ERR_OK, cases[i].code);
        sim_end();
    }
}

static void many(void **state)
{
    static const struct sim_says fine[] = {{CONFIRM, .status = 204},
                                           {CONFIRM, .code = ERR_REFUSED, .status = 400},
                                           {CONFIRM, .status = 204}};
    static const struct sim_says denied[] = {{CONFIRM, .code = ERR_DENIED, .status = 403}};
    static char text[150][40];
    const char *ids[150];
    struct got g = {0};
    struct err e;

    (void)state;
    for (unsigned i = 0; i < 150; i++) {
        (void)snprintf(text[i], sizeof(text[i]), "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4%03u", i);
        ids[i] = text[i];
    }
    sim_script(fine, ARRAY_LEN(fine)); /* 60, 60, 30 */
    assert_int_equal(
        risk_mark_start(NULL, RISK_CONFIRM_COMPROMISED, ids, 150, on_marked, &g, NULL, &e), 0);
    sim_run();
    for (unsigned i = 0; i < 150; i++)
        assert_int_equal(g.r[i].how, i >= 60 && i < 120 ? RISK_NOT_DONE : RISK_ACCEPTED);
    assert_int_equal(g.e.code, ERR_REFUSED);
    sim_end();
    sim_script(denied, ARRAY_LEN(denied)); /* the rest would hear the same */
    assert_int_equal(
        risk_mark_start(NULL, RISK_CONFIRM_COMPROMISED, ids, 150, on_marked, &g, NULL, &e), 0);
    sim_run();
    for (unsigned i = 0; i < 150; i++)
        assert_int_equal(g.r[i].code, ERR_DENIED);
    sim_end();

    ids[1] = ids[0];
    assert_int_equal(
        risk_mark_start(NULL, RISK_CONFIRM_COMPROMISED, ids, 2, on_marked, &g, NULL, &e), -1);
    ids[1] = "a@b";
    assert_int_equal(
        risk_mark_start(NULL, RISK_CONFIRM_COMPROMISED, ids, 2, on_marked, &g, NULL, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
    assert_int_equal(
        risk_mark_start(NULL, RISK_CONFIRM_COMPROMISED, ids, 0, on_marked, &g, NULL, &e), -1);
}

static void no_memory(void **state)
{
    static const char *const ids[] = {ID};
    static const struct sim_says script[] = {
        {CONFIRM, .code = ERR_UNPROVEN},
        {"GET", "/riskyUsers/" ID, .status = 200, .body = USER(ID, "high", "confirmedCompromised")},
        {"GET", "/identityProtection/riskyUsers", .status = 200,
         .body = "{\"value\":[" USER(ID, "high", "atRisk") "]}"}};
    const struct risk_filter any = {0};

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        struct got g = {0};
        struct err e;

        sim_script(script, ARRAY_LEN(script));
        if (risk_mark_start(NULL, RISK_CONFIRM_COMPROMISED, ids, 1, on_marked, &g, NULL, &e) == 0) {
            sim_run();
            assert_int_equal(g.calls, 1);
            assert_int_not_equal(g.r[0].how, RISK_ACCEPTED);
        }
        sim.script_at = 2;
        g.calls = 0;
        if (risk_list_start(NULL, &any, on_list, &g, NULL, &e) == 0) {
            sim_run();
            assert_int_equal(g.calls, 1);
        }
        assert_null(sim.timers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users),      cmocka_unit_test(one_user), cmocka_unit_test(lists),
        cmocka_unit_test(detections), cmocka_unit_test(marks),    cmocka_unit_test(many),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
