/* tests/unit/cloud/test_defender_run.c -- Live Response: what is sent and how often, and what may
 * be said of it afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/alloc.h"
#include "tests/unit/cloud/defender.h"

/* --- running --------------------------------------------------------------------------- */

struct run_case {
    struct sim_says says[12];
    size_t n;
    enum defender_end end;
    const char *words; /* NULL: any */
    bool cancelled, may_still_fire;
    bool hash; /* known: the library is looked at */
    bool elsewhere, not_there;
};

static unsigned started;
static void on_started(void *arg, const char *action_id)
{
    const struct got *g = arg;

    assert_int_equal(g->calls, 0); /* before the end */
    assert_string_equal(action_id, ACTION);
    started++;
}

static void run_one(const struct run_case *c, size_t i, uint64_t all_ms)
{
    struct defender *d = new_defender(c->says, c->n, c->hash ? known_hash : NULL);
    struct defender_ask ask = disable;
    struct got g = {0};
    struct err e;

    ask.all_ms = all_ms;
    ask.started = on_started;
    started = 0;
    assert_int_equal(defender_run_start(d, &ask, on_run, &g, NULL, &e), 0);
    assert_int_equal(g.calls, 0);
    sim_run();
    assert_int_equal(g.calls, 1);
    if (g.r.end != c->end || (c->words != NULL && strstr(g.r.words, c->words) == NULL) ||
        g.r.cancelled != c->cancelled || g.r.may_still_fire != c->may_still_fire ||
        g.r.elsewhere != c->elsewhere || g.r.not_there != c->not_there)
        fail_msg("%zu: %s: %s (%d %d %d %d)", i, defender_end_word(g.r.end), g.r.words,
                 g.r.cancelled, g.r.may_still_fire, g.r.elsewhere, g.r.not_there);
    assert_int_equal(started, g.r.action_id[0] != '\0'); /* told once, as soon as it is known */
    if (g.r.end == DEFENDER_DONE) {
        assert_string_equal(g.marker, "{\"v\":1,\"outcome\":\"done\",\"computer\":\"dc1\"}");
        assert_string_equal(g.r.action_id, ACTION);
    }
    defender_free(d);
    sim_end();
}

static void runs(void **state)
{
    static const struct run_case cases[] = {
        {SAYS(POST(201, PENDING), POLL(PENDING), POLL(RUNNING), POLL(SUCCEEDED), LINK(BLOB),
              RESULT(OUTPUT(SAYS_DONE, 0))),
         .end = DEFENDER_DONE, .words = "dc1 says: done"},
        {SAYS(LIBRARY("cordon-dc.ps1", HASH), POST(200, SUCCEEDED), LINK(BLOB),
              RESULT(OUTPUT(SAYS_DONE, 0))),
         .end = DEFENDER_DONE, .hash = true},
        /* the script is another one, or not there; or we may not look */
        {SAYS(LIBRARY("cordon-dc.ps1",
                      "ba00000000000000000000000000000000000000000000000000000000000000")),
         .end = DEFENDER_REFUSED, .words = "somebody changed it", .hash = true},
        {SAYS(LIBRARY("other.ps1", HASH)), .end = DEFENDER_REFUSED, .words = "not in the library",
         .hash = true},
        {SAYS({"GET", "/api/libraryfiles", .status = 403, .body = ERROR("Forbidden")},
              POST(201, SUCCEEDED), LINK(BLOB), RESULT(OUTPUT(SAYS_DONE, 0))),
         .end = DEFENDER_DONE, .words = "no Library.Manage", .hash = true},
        {SAYS({"GET", "/api/libraryfiles", .status = 404, .body = "<html>"}),
         .end = DEFENDER_FAILED, .words = "404", .hash = true},
        /* a clear no to the start */
        {SAYS(POST(400, ERROR("ActiveRequestAlreadyExists"))), .end = DEFENDER_BUSY,
         .elsewhere = true},
        {SAYS(POST(400, ERROR("InvalidRequestBody"))), .end = DEFENDER_REFUSED},
        {SAYS(POST(403, ERROR("DisabledFeature"))), .end = DEFENDER_REFUSED, .words = "Servers"},
        {SAYS(POST(403, ERROR("DisallowedOperation"))), .end = DEFENDER_REFUSED, .elsewhere = true},
        {SAYS(POST(403, ERROR("Forbidden"))), .end = DEFENDER_REFUSED},
        {SAYS(POST(404, ERROR("ResourceNotFound"))), .end = DEFENDER_REFUSED, .elsewhere = true},
        {SAYS(POST(401, ""), POST(401, "")), .end = DEFENDER_FAILED},
        {SAYS({"POST", "/runliveresponse", .code = ERR_UNSENT},
              {"POST", "/runliveresponse", .code = ERR_UNSENT},
              {"POST", "/runliveresponse", .code = ERR_UNSENT},
              {"POST", "/runliveresponse", .code = ERR_UNSENT}),
         .end = DEFENDER_FAILED},
        /* throttled: nothing was done, so it is sent again */
        {SAYS({"POST", "/runliveresponse", .status = 429, .retry_after_ms = 27000},
              POST(201, SUCCEEDED), LINK(BLOB), RESULT(OUTPUT(SAYS_DONE, 0))),
         .end = DEFENDER_DONE},
        {SAYS({"POST", "/runliveresponse", .status = 429, .retry_after_ms = 3600000}),
         .end = DEFENDER_FAILED, .words = "429"},
        /* the answer is lost: it is looked for, never sent again */
        {SAYS({"POST", "/runliveresponse", .code = ERR_UNPROVEN}, LOOK_FOR(LIST(PENDING)),
              POLL(SUCCEEDED), LINK(BLOB), RESULT(OUTPUT(SAYS_DONE, 0))),
         .end = DEFENDER_DONE},
        {SAYS(POST(500, ERROR("InternalServerError")), LOOK_FOR(LIST()),
              {"GET", "/api/machineactions?", .status = 403, .body = ""}, LOOK_FOR(LIST(SUCCEEDED)),
              LINK(BLOB), RESULT(OUTPUT(SAYS_DONE, 0))),
         .end = DEFENDER_DONE},
        {SAYS(POST(201, "<html>"), LOOK_FOR(LIST(SUCCEEDED)), LINK(BLOB),
              RESULT(OUTPUT(SAYS_DONE, 0))),
         .end = DEFENDER_DONE},
        {SAYS(POST(201, ACTION_WITH(ACTION, M2, "Pending", "Created", "null")), LOOK_FOR(LIST()),
              LOOK_FOR(LIST()), LOOK_FOR(LIST()), LOOK_FOR(LIST()), LOOK_FOR(LIST()),
              LOOK_FOR(LIST())),
         .end = DEFENDER_UNKNOWN, .words = "may still run", .may_still_fire = true,
         .not_there = true},
        {SAYS({"POST", "/runliveresponse", .code = ERR_UNPROVEN},
              LOOK_FOR(LIST(PENDING "," ACTION_WITH("988cc94e-7a8f-4b28-ab65-54970c5d5019", M1,
                                                    "Pending", "Created", "null"))),
              LOOK_FOR(LIST()), LOOK_FOR(LIST()), LOOK_FOR(LIST()), LOOK_FOR(LIST()),
              LOOK_FOR(LIST())),
         .end = DEFENDER_UNKNOWN, .words = "may still run", .may_still_fire = true},
        /* questions without an answer are no end */
        {SAYS(POST(201, PENDING), {"GET", "/api/machineactions/" ACTION, .status = 404, .body = ""},
              POLL("{}"),
              POLL(ACTION_WITH("988cc94e-7a8f-4b28-ab65-54970c5d5019", M1, "Succeeded", "Completed",
                               STARTED)),
              POLL(SUCCEEDED), LINK(BLOB), RESULT(OUTPUT(SAYS_DONE, 0))),
         .end = DEFENDER_DONE},
        /* it ended badly */
        {SAYS(POST(201, ACTION_WITH(ACTION, M1, "Failed", "Created", "null"))),
         .end = DEFENDER_FAILED, .words = "before the script began"},
        {SAYS(POST(201, PENDING), POLL(ACTION_WITH(ACTION, M1, "Failed", "Failed", STARTED)),
              LINK(BLOB), RESULT(OUTPUT("At line:1 char:1", 1))),
         .end = DEFENDER_UNKNOWN, .words = "no marker line; exit code 1"},
        {SAYS(POST(201, PENDING), POLL(ACTION_WITH(ACTION, M1, "TimeOut", "Created", STARTED)),
              {"GET", LINK_PATH, .status = 404, .body = ERROR("ResourceNotFound")},
              {"GET", LINK_PATH, .status = 404, .body = ERROR("ResourceNotFound")},
              {"GET", LINK_PATH, .status = 404, .body = ERROR("ResourceNotFound")}),
         .end = DEFENDER_UNKNOWN, .words = "TimeOut", .may_still_fire = true},
        /* its word is not ours, or cannot be had */
        {SAYS(POST(201, SUCCEEDED), LINK(BLOB), RESULT(OUTPUT(SAYS_OTHER, 0))),
         .end = DEFENDER_UNKNOWN, .words = "nonce is not ours"},
        {SAYS(POST(201, SUCCEEDED), LINK(BLOB), RESULT(OUTPUT(SAYS_DONE, 20))),
         .end = DEFENDER_UNKNOWN, .words = "exit code 20"},
        {SAYS(POST(201, SUCCEEDED), LINK("https://evil.test/x?sig=secret")),
         .end = DEFENDER_UNKNOWN, .words = "not fetched"},
        {SAYS(POST(201, SUCCEEDED), GET(LINK_PATH, "{}")), .end = DEFENDER_UNKNOWN,
         .words = "no link"},
        {SAYS(POST(201, SUCCEEDED), {"GET", LINK_PATH, .status = 404, .body = ERROR("NotFound")},
              LINK(BLOB), RESULT_STATUS(403, "<Error/>"), LINK(BLOB), RESULT(OUTPUT(SAYS_DONE, 0))),
         .end = DEFENDER_DONE},
        {SAYS(POST(201, SUCCEEDED), LINK(BLOB), RESULT("<Error/>")), .end = DEFENDER_UNKNOWN,
         .words = "the result"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        run_one(&cases[i], i, 0);
}

/* What is sent stands in the comment: our mark, and the words for the audit trail. */
static void body_of_a_start(void **state)
{
    static const struct sim_says script[] = {POST(403, ERROR("Forbidden"))};
    struct defender_ask ask = disable;
    struct defender *d = new_defender(script, 1, NULL);
    struct got g = {0};
    struct err e;

    (void)state;
    ask.comment = "case \"7\" \xe2\x80\xae";
    assert_int_equal(defender_run_start(d, &ask, on_run, &g, NULL, &e), 0);
    sim_run();
    assert_string_equal(
        sim.last_body,
        "{\"Commands\":[{\"type\":\"RunScript\",\"params\":[{\"key\":\"ScriptName\",\"value\":"
        "\"cordon-dc.ps1\"},{\"key\":\"Args\",\"value\":\"-Payload c1_eyJ2IjoxfQ\"}]}],"
        "\"Comment\":\"cordon " NONCE ": case \\\"7\\\" \\u202e\"}");
    assert_non_null(strstr(sim.last_headers, "Content-Type: application/json\n"));
    defender_free(d);
    sim_end();
}

#define POLLS_A_MINUTE POLL(PENDING), POLL(PENDING), POLL(PENDING)

static void deadlines(void **state)
{
    static const struct run_case cases[] = {
        /* 10 s, 23 s, 39.9 s; at 60 s it is enough */
        {SAYS(POST(201, PENDING), POLLS_A_MINUTE, CANCEL(200, CANCELLED), POLL(CANCELLED)),
         .end = DEFENDER_FAILED, .words = "before the script began", .cancelled = true},
        /* the cancel came too late: its word counts */
        {SAYS(POST(201, PENDING), POLLS_A_MINUTE, CANCEL(400, ERROR("BadRequest")), POLL(SUCCEEDED),
              LINK(BLOB), RESULT(OUTPUT(SAYS_DONE, 0))),
         .end = DEFENDER_DONE},
        /* it had begun: a cancel does not stop it */
        {SAYS(POST(201, PENDING), POLL(RUNNING), POLL(RUNNING), POLL(RUNNING),
              CANCEL(200, CANCELLED), POLL(CANCELLED),
              {"GET", LINK_PATH, .status = 403, .body = ""}),
         .end = DEFENDER_UNKNOWN, .words = "Cancelled", .cancelled = true, .may_still_fire = true},
        /* not to be cancelled */
        {SAYS(POST(201, PENDING), POLLS_A_MINUTE, CANCEL(403, ERROR("Forbidden")), POLL(PENDING),
              CANCEL(403, ERROR("Forbidden")), POLL(PENDING), CANCEL(403, ERROR("Forbidden")),
              POLL(PENDING), {"GET", ACTION, .code = ERR_TIMEOUT, .after_ms = 200000}),
         .end = DEFENDER_UNKNOWN, .words = "could not be cancelled", .may_still_fire = true},
        /* agreed to, and never confirmed */
        {SAYS(POST(201, PENDING), POLLS_A_MINUTE, CANCEL(200, PENDING), POLL(PENDING),
              POLL(PENDING), {"GET", ACTION, .code = ERR_INVALID, .after_ms = 200000}),
         .end = DEFENDER_UNKNOWN, .words = "agreed to", .may_still_fire = true},
        /* the answer to the start comes after it */
        {SAYS({"POST", "/runliveresponse", .status = 201, .body = PENDING, .after_ms = 70000},
              CANCEL(200, CANCELLED), POLL(CANCELLED)),
         .end = DEFENDER_FAILED, .cancelled = true},
        {SAYS({"POST", "/runliveresponse", .code = ERR_UNPROVEN, .after_ms = 70000},
              LOOK_FOR(LIST(PENDING)), CANCEL(200, CANCELLED), POLL(CANCELLED)),
         .end = DEFENDER_FAILED, .cancelled = true},
        /* nothing was sent */
        {SAYS({"GET", "/api/libraryfiles", .hold = true}), .end = DEFENDER_FAILED,
         .words = "before anything was sent", .hash = true},
        {SAYS({"POST", "/runliveresponse", .status = 429, .retry_after_ms = 59000},
              {"POST", "/runliveresponse", .status = 429, .retry_after_ms = 59000}),
         .end = DEFENDER_FAILED, .words = "429"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        run_one(&cases[i], i, 60000);
}

static void told_to_stop(void **state)
{
    static const struct sim_says polling[] = {POST(201, PENDING), POLL(PENDING),
                                              CANCEL(200, CANCELLED), POLL(CANCELLED)};
    static const struct sim_says starting[] = {
        {"POST", "/runliveresponse", .status = 201, .body = PENDING, .after_ms = 5000},
        CANCEL(200, CANCELLED),
        POLL(CANCELLED)};
    static const struct {
        const struct sim_says *says;
        size_t n;
        uint64_t after_ms;
        bool cancelled;
    } cases[] = {{NULL, 0, 0, false}, {starting, 3, 1000, true}, {polling, 4, 15000, true}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct defender *d = new_defender(cases[i].says, cases[i].n, NULL);
        struct defender_call *c = NULL;
        struct got g = {0};
        struct err e;

        assert_int_equal(defender_run_start(d, &disable, on_run, &g, &c, &e), 0);
        if (cases[i].after_ms > 0)
            sim_pass(cases[i].after_ms);
        assert_int_equal(g.calls, 0);
        defender_run_cancel(c);
        defender_run_cancel(c);
        assert_int_equal(g.calls, 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        assert_int_equal(g.r.end, DEFENDER_FAILED);
        assert_int_equal(g.r.cancelled, cases[i].cancelled);
        assert_false(g.r.may_still_fire);
        defender_free(d);
        sim_end();
    }
}

static void resumed(void **state)
{
    static const struct sim_says by_id[] = {POLL(SUCCEEDED), LINK(BLOB),
                                            RESULT(OUTPUT(SAYS_DONE, 0))};
    static const struct sim_says by_nonce[] = {
        GET("/api/machineactions?$filter=type%20eq%20%27LiveResponse%27", LIST(SUCCEEDED)),
        LINK(BLOB), RESULT(OUTPUT(SAYS_DONE, 0))};
    struct err e;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct defender *d = new_defender(i == 0 ? by_id : by_nonce, 3, NULL);
        struct got g = {0};

        assert_int_equal(
            defender_resume_start(d, i == 0 ? ACTION : NULL, NONCE, 0, on_run, &g, NULL, &e), 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        assert_int_equal(g.r.end, DEFENDER_DONE);
        defender_free(d);
        sim_end();
    }
}

/* A script of its own in place of the settings': its name is run, its hash is what is compared. */
static void another_script(void **state)
{
    static const uint8_t hash[32] = {0xcd};
    static const struct defender_script script = {"cordon-sync.ps1", hash};
    static const struct sim_says good[] = {
        LIBRARY("cordon-sync.ps1",
                "cd00000000000000000000000000000000000000000000000000000000000000"),
        {"POST", "/api/machines/" M1 "/runliveresponse",
         .asks = "{\"key\":\"ScriptName\",\"value\":\"cordon-sync.ps1\"}", .status = 201,
         .body = SUCCEEDED},
        LINK(BLOB),
        RESULT(OUTPUT(SAYS_DONE, 0))};
    static const struct sim_says bad[] = {LIBRARY("cordon-sync.ps1", HASH)};
    struct err e;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct defender *d = new_defender(i == 0 ? good : bad, i == 0 ? 4 : 1, known_hash);
        struct defender_ask ask = disable;
        struct got g = {0};

        ask.script = &script;
        assert_int_equal(defender_run_start(d, &ask, on_run, &g, NULL, &e), 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        assert_int_equal(g.r.end, i == 0 ? DEFENDER_DONE : DEFENDER_REFUSED);
        defender_free(d);
        sim_end();
    }
}

/* Two on one machine: the second is not sent. And what the token lacks is not asked for. */
static void one_at_a_time(void **state)
{
    static const struct sim_says script[] = {POST(201, PENDING), POLL(SUCCEEDED), LINK(BLOB),
                                             RESULT(OUTPUT(SAYS_DONE, 0))};
    struct defender *d = new_defender(script, 4, NULL);
    struct got g[2] = {{0}};
    struct err e;

    (void)state;
    assert_int_equal(defender_run_start(d, &disable, on_run, &g[0], NULL, &e), 0);
    assert_int_equal(defender_run_start(d, &disable, on_run, &g[1], NULL, &e), 0);
    sim_run();
    assert_int_equal(g[0].calls, 1);
    assert_int_equal(g[1].calls, 1);
    assert_true((g[0].r.end == DEFENDER_BUSY) != (g[1].r.end == DEFENDER_BUSY));
    assert_true((g[0].r.end == DEFENDER_DONE) != (g[1].r.end == DEFENDER_DONE));
    defender_free(d);
    sim_end();
}

static void roles_lacking(void **state)
{
    static const char *const lacking[] = {" Machine.LiveResponse ", " Machine.Read.All ", " "};
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lacking); i++) {
        struct defender *d = new_defender(NULL, 0, NULL);
        struct got g = {0};

        sim.roles = lacking[i];
        assert_int_equal(defender_run_start(d, &disable, on_run, &g, NULL, &e), 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        assert_int_equal(g.r.end, DEFENDER_REFUSED);
        assert_non_null(strstr(g.r.words, "lacks the permission Machine."));
        defender_free(d);
        sim_end();
        sim.roles = NULL;
    }
}

static void on_found(void *arg, const struct defender_machine *m, const struct err *e)
{
    (void)m;
    keep(arg, e);
}

/* Ten starts a minute, for all together; and a hundred other calls. */
static void limits(void **state)
{
    static struct sim_says starts[24], finds[120];
    struct defender *d;
    struct got g[120];
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        starts[i] = (struct sim_says){"POST", "/runliveresponse", .status = 403, .body = ""};
    d = new_defender(starts, ARRAY_LEN(starts), NULL);
    memset(g, 0, sizeof(g));
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct defender_ask ask = disable;
        char id[41];

        (void)snprintf(id, sizeof(id), "%040zx", i);
        ask.machine_id = id;
        assert_int_equal(defender_run_start(d, &ask, on_run, &g[i], NULL, &e), 0);
    }
    sim_run();
    for (size_t i = 10; i < ARRAY_LEN(starts); i++)
        assert_true(sim.sent_at[i] >= sim.sent_at[i - 10] + 60000);
    assert_true(sim.sent_at[9] < sim.sent_at[0] + 1000);
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        assert_int_equal(g[i].calls, 1);
    defender_free(d);
    sim_end();

    for (size_t i = 0; i < ARRAY_LEN(finds); i++)
        finds[i] = (struct sim_says){"GET", "/api/machines/", .status = 403, .body = ""};
    d = new_defender(finds, ARRAY_LEN(finds), NULL);
    memset(g, 0, sizeof(g));
    for (size_t i = 0; i < ARRAY_LEN(finds); i++) {
        assert_int_equal(defender_find_start(d, NULL, M1, on_found, &g[i], NULL, &e), 0);
        sim_pass(100);
    }
    sim_run();
    for (size_t i = 100; i < ARRAY_LEN(finds); i++)
        assert_true(sim.sent_at[i] >= sim.sent_at[i - 100] + 60000);
    assert_true(sim.sent_at[99] < sim.sent_at[0] + 15000);
    defender_free(d);
    sim_end();
}

/* --- cut anywhere ------------------------------------------------------------------------ */

static const struct sim_says whole[] = {
    LIBRARY("cordon-dc.ps1", HASH), POST(201, PENDING), POLL(SUCCEEDED), LINK(BLOB),
    RESULT(OUTPUT(SAYS_DONE, 0)),
};

static void freed_half_way(void **state)
{
    struct err e;

    (void)state;
    for (unsigned n = 0;; n++) {
        struct defender *d = new_defender(whole, ARRAY_LEN(whole), known_hash);
        struct got g = {0};

        assert_int_equal(defender_run_start(d, &disable, on_run, &g, NULL, &e), 0);
        for (unsigned i = 0; i < n && sim.timers != NULL; i++)
            sim_step();
        defender_free(d);
        assert_null(sim.timers);
        secret_free(sim.token);
        sim.token = NULL;
        if (g.calls == 1)
            break;
        assert_int_equal(g.calls, 0);
    }
}

static void no_memory(void **state)
{
    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        struct defender *d = new_defender(whole, ARRAY_LEN(whole), known_hash);
        struct got g = {0};
        unsigned posts = 0;
        struct err e;

        if (d == NULL)
            continue;
        if (defender_run_start(d, &disable, on_run, &g, NULL, &e) == 0) {
            sim_run();
            assert_int_equal(g.calls, 1);
            /* Once it was sent, nothing but its own word says how it went. */
            posts = sim.script_at >= 2;
            if (posts > 0)
                assert_true(g.r.end == DEFENDER_DONE || g.r.end == DEFENDER_UNKNOWN);
            else
                assert_true(g.r.end == DEFENDER_FAILED || g.r.end == DEFENDER_REFUSED);
        }
        if (!alloc_failed)
            assert_int_equal(g.r.end, DEFENDER_DONE);
        defender_free(d);
        assert_null(sim.timers);
        for (size_t i = 0; i < SIM_CALLS; i++)
            sim.calls[i].used = false;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs),           cmocka_unit_test(body_of_a_start),
        cmocka_unit_test(deadlines),      cmocka_unit_test(told_to_stop),
        cmocka_unit_test(resumed),        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(another_script), cmocka_unit_test(roles_lacking),
        cmocka_unit_test(limits),         cmocka_unit_test(freed_half_way),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
