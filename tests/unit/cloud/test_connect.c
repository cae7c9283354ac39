/* tests/unit/cloud/test_connect.c -- Entra Connect: what its scripts print, and one cycle for all
 * who ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/sync.h"
#include "tests/unit/alloc.h"
#include "tests/unit/cloud/sim.h"

#define UID "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a10"
#define HEAD "{\"cordon\":1,\"module\":true,"
#define SCHED(enabled, staging, suspended, progress)                                  \
    "\"scheduler\":{\"SyncCycleEnabled\":" enabled ",\"StagingModeEnabled\":" staging \
    ",\"SchedulerSuspended\":" suspended ",\"SyncCycleInProgress\":" progress "},"
#define WELL SCHED("true", "false", "false", "false")
#define TAIL(result) "\"running\":0,\"result\":" result ",\"errorType\":null,\"error\":null}"
#define FAILS(type, text) "\"result\":null,\"errorType\":\"" type "\",\"error\":\"" text "\"}"
#define INVALID_OP "System.InvalidOperationException"

#define STARTED HEAD WELL TAIL("\"Success\"")
#define READY HEAD WELL TAIL("null")
#define RUNNING \
    HEAD WELL FAILS(INVALID_OP, "Sync is already running. Cannot start a new run till this one")
#define STILL HEAD SCHED("true", "false", "false", "true") TAIL("null")
#define BUSY HEAD WELL FAILS(INVALID_OP, "Connector: corp.example - AAD is busy.")

static void printed(void **state)
{
    static const struct {
        const char *out;
        enum sync_cycle want;
    } cases[] = {
        {STARTED, SYNC_CYCLE_STARTED},
        {STARTED "\r\n", SYNC_CYCLE_STARTED},
        {READY, SYNC_CYCLE_READY},
        {RUNNING, SYNC_CYCLE_RUNNING},
        {STILL, SYNC_CYCLE_RUNNING},
        {HEAD WELL "\"running\":2,\"result\":null}", SYNC_CYCLE_RUNNING},
        {BUSY, SYNC_CYCLE_BUSY},
        {HEAD SCHED("true", "true", "false", "false") TAIL("null"), SYNC_CYCLE_STAGING},
        {HEAD SCHED("true", "true", "false", "false") TAIL("\"Success\""), SYNC_CYCLE_STAGING},
        {HEAD SCHED("false", "false", "false", "false") TAIL("null"), SYNC_CYCLE_OFF},
        {HEAD SCHED("true", "false", "true", "false") TAIL("null"), SYNC_CYCLE_OFF},
        {HEAD SCHED("true", "false", "null", "null") TAIL("\"Success\""), SYNC_CYCLE_STARTED},
        {HEAD WELL TAIL("\"Failure\""), SYNC_CYCLE_FAILED},
        {"{\"cordon\":1,\"module\":false," FAILS("System.IO.FileNotFoundException", "x"),
         SYNC_CYCLE_NO_MODULE},
        {HEAD FAILS("System.Management.Automation.CommandNotFoundException", "x"),
         SYNC_CYCLE_NO_MODULE},
        {HEAD FAILS("System.UnauthorizedAccessException", "x"), SYNC_CYCLE_DENIED},
        {"{\"cordon\":1,\"module\":false," FAILS("System.UnauthorizedAccessException", "x"),
         SYNC_CYCLE_DENIED},
        {HEAD FAILS(INVALID_OP, "etwas anderes"), SYNC_CYCLE_FAILED},
        {HEAD FAILS("System.Exception", "Sync is already running."), SYNC_CYCLE_FAILED},
        {HEAD "\"scheduler\":null," TAIL("\"Success\""), SYNC_CYCLE_UNREADABLE},
        {HEAD TAIL("\"Success\""), SYNC_CYCLE_UNREADABLE},
        {"{\"module\":true," WELL TAIL("\"Success\""), SYNC_CYCLE_UNREADABLE},
        {"{\"cordon\":2,\"module\":true," WELL TAIL("\"Success\""), SYNC_CYCLE_UNREADABLE},
        {"WARNING: x\n" STARTED, SYNC_CYCLE_UNREADABLE},
        {STARTED STARTED, SYNC_CYCLE_UNREADABLE},
        {"", SYNC_CYCLE_UNREADABLE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char words[256] = "";
        enum sync_cycle c =
            sync_read_cycle(cases[i].out, strlen(cases[i].out), words, sizeof(words));

        if (c != cases[i].want)
            fail_msg("%zu: %d (%s)", i, (int)c, words);
        assert_string_not_equal(words, "");
    }
}

/* W1: the scripts are constants, and can do nothing but look and start a delta cycle. */
static void scripts(void **state)
{
    (void)state;
    assert_non_null(strstr(sync_script_start, "Start-ADSyncSyncCycle -PolicyType Delta"));
    assert_null(strstr(sync_script_start, "Initial"));
    assert_null(strstr(sync_script_look, "Start-"));
    for (const char *p = sync_script_start; (p = strstr(p, "-ADSync")) != NULL; p++)
        assert_true(strncmp(p - 3, "Get", 3) == 0 || strncmp(p - 5, "Start", 5) == 0);
    assert_null(strstr(sync_script_start, "Set-"));
}

/* --- a server that answers by a script ------------------------------------------------- */

struct run {
    bool look;
    const char *out;
    enum err_code code;
    uint64_t after_ms;
};
static struct {
    const struct run *runs;
    size_t count, at;
    uint64_t began[80];
    bool under_way;
    sync_ran_cb cb;
    void *arg;
    struct loop_timer *timer;
} server;

static void on_ran(void *arg)
{
    const struct run *run = &server.runs[server.at - 1];
    struct sync_ran r = {.out = run->out, .len = run->out != NULL ? strlen(run->out) : 0};
    struct err e;

    (void)arg;
    server.timer = NULL;
    server.under_way = false;
    if (run->code != ERR_OK)
        (void)err_set(&e, run->code, 0, "as told");
    server.cb(server.arg, run->code == ERR_OK ? &r : NULL, run->code == ERR_OK ? NULL : &e);
}

static int fake_run(void *arg, const char *host, const char *script, uint64_t all_ms,
                    sync_ran_cb cb, void *cb_arg, void **ret_run, struct err *e)
{
    const struct run *run;

    (void)arg;
    assert_string_equal(host, "sync1.corp.example");
    assert_true(all_ms > 0 && !server.under_way);
    if (server.at == server.count)
        fail_msg("not in the script");
    run = &server.runs[server.at];
    assert_ptr_equal(script, run->look ? sync_script_look : sync_script_start);
    server.timer = __wrap_loop_timer_start(NULL, run->after_ms, on_ran, NULL);
    if (server.timer == NULL)
        return err_set(e, ERR_NOMEM, 0, "no memory");
    server.began[server.at++] = sim.now;
    server.under_way = true;
    server.cb = cb;
    server.arg = cb_arg;
    *ret_run = &server;
    return 0;
}

static void fake_cancel(void *arg, void *run)
{
    (void)arg;
    assert_ptr_equal(run, &server);
    server.under_way = false;
    __wrap_loop_timer_stop(&server.timer);
}

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

static struct sync *new_sync(const struct run *runs, size_t n, bool runner)
{
    const struct sync_settings set = {
        .kind = SYNC_KIND_CONNECT,
        .sync_server = "sync1.corp.example",
        .runner = {.run = runner ? fake_run : NULL, .cancel = fake_cancel}};
    struct sync *s = NULL;
    struct err e;

    sim_script(NULL, 0);
    memset(&server, 0, sizeof(server));
    server.runs = runs;
    server.count = n;
    if (sync_new(NULL, NULL, &set, &s, &e) < 0)
        assert_int_equal(e.code, ERR_NOMEM);
    return s;
}

static struct sync_push *push(struct sync *s, struct got *g)
{
    const struct sync_ask ask = {.user_id = UID, .dn = "CN=A", .synchronised = true};
    struct sync_push *p = NULL;
    struct err e;

    memset(g, 0, sizeof(*g));
    assert_int_equal(sync_push_start(s, &ask, on_pushed, g, &p, &e), 0);
    return p;
}

static void done(struct sync *s)
{
    assert_int_equal(server.at, server.count);
    sync_free(s);
    assert_false(server.under_way);
    sim_end();
}

static void many_ask(void **state)
{
    static const struct run runs[] = {{.out = STARTED, .after_ms = 2000},
                                      {.out = STARTED, .after_ms = 2000}};
    struct got g[1003];
    struct sync *s = new_sync(runs, ARRAY_LEN(runs), true);

    (void)state;
    for (size_t i = 0; i < 1000; i++)
        (void)push(s, &g[i]);
    sim_pass(1000);
    (void)push(s, &g[1000]); /* the start is under way: not aboard */
    sim_pass(4000);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(g[i].calls, 1);
        assert_int_equal(g[i].r.outcome, SYNC_STARTED);
        assert_true(g[i].r.sent);
        assert_string_equal(g[i].r.job, "sync1.corp.example");
    }
    /* Due in five minutes, and it can wait two: it is told, and the start is planned. */
    assert_int_equal(g[1000].calls, 1);
    assert_int_equal(g[1000].r.outcome, SYNC_LATER);
    assert_false(g[1000].r.sent);
    sim_pass(240 * 1000);
    (void)push(s, &g[1001]); /* due within its waiting time */
    assert_int_equal(server.at, 1);
    sim_run();
    assert_int_equal(g[1001].r.outcome, SYNC_STARTED);
    assert_true(server.began[1] >= server.began[0] + 300 * 1000);
    done(s);
}

static void planned(void **state)
{
    static const struct run runs[] = {{.out = STARTED}, {.out = STARTED}};
    struct got g[2];
    struct sync *s = new_sync(runs, ARRAY_LEN(runs), true);

    (void)state;
    (void)push(s, &g[0]);
    sim_pass(1000);
    (void)push(s, &g[1]);
    sim_run();
    assert_int_equal(g[1].r.outcome, SYNC_LATER);
    assert_int_equal(server.at, 2); /* made though nobody waited any more */
    done(s);
}

/* One was running: its end is awaited, and one is started after that. */
static void running(void **state)
{
    static const struct run runs[] = {{.out = RUNNING},
                                      {.look = true, .out = STILL},
                                      {.look = true, .code = ERR_TIMEOUT},
                                      {.look = true, .out = READY},
                                      {.out = STARTED}};
    struct got g;
    struct sync *s = new_sync(runs, ARRAY_LEN(runs), true);

    (void)state;
    (void)push(s, &g);
    sim_run();
    assert_int_equal(g.calls, 1);
    assert_int_equal(g.r.outcome, SYNC_STARTED);
    done(s);
}

static void running_again(void **state)
{
    static const struct run runs[] = {
        {.out = RUNNING}, {.look = true, .out = READY}, {.out = RUNNING}};
    struct got g;
    struct sync *s = new_sync(runs, ARRAY_LEN(runs), true);

    (void)state;
    (void)push(s, &g);
    sim_run();
    assert_int_equal(g.r.outcome, SYNC_STARTED); /* it began after we were asked */
    done(s);
}

static void running_long(void **state)
{
    struct run runs[64] = {{.out = RUNNING}};
    struct got g;
    struct sync *s;

    (void)state;
    for (size_t i = 1; i < ARRAY_LEN(runs); i++)
        runs[i] = (struct run){.look = true, .out = STILL};
    s = new_sync(runs, ARRAY_LEN(runs), true);
    (void)push(s, &g);
    sim_run();
    assert_int_equal(g.calls, 1);
    assert_int_equal(g.r.outcome, SYNC_LATER); /* after its waiting time */
    assert_true(server.at < 63);               /* and that, too, has an end */
    assert_true(sim.now <= 1000000 + 11 * 60 * 1000);
    sync_free(s);
    sim_end();
}

static void busy(void **state)
{
    static const struct run runs[] = {{.out = BUSY}, {.out = STARTED}};
    static const struct run never[] = {{.out = BUSY}, {.out = BUSY}, {.out = BUSY}};
    struct got g;
    struct sync *s = new_sync(runs, ARRAY_LEN(runs), true);

    (void)state;
    (void)push(s, &g);
    sim_run();
    assert_int_equal(g.r.outcome, SYNC_STARTED);
    assert_true(server.began[1] >= server.began[0] + 10000);
    done(s);

    s = new_sync(never, ARRAY_LEN(never), true);
    (void)push(s, &g);
    sim_run();
    assert_int_equal(g.r.outcome, SYNC_FAILED);
    assert_int_equal(g.r.code, ERR_BUSY);
    done(s);
}

static void ends(void **state)
{
    static const struct {
        struct run run;
        enum sync_outcome want;
        bool sent, counts; /* counts: there may have been a start, so the next one waits */
    } cases[] = {
        {{.out = HEAD SCHED("true", "true", "false", "false") TAIL("null")},
         SYNC_FAILED,
         false,
         false},
        {{.out = HEAD SCHED("false", "false", "false", "false") TAIL("null")},
         SYNC_FAILED,
         false,
         false},
        {{.out = READY}, SYNC_FAILED, false, false},
        {{.out = HEAD FAILS("System.UnauthorizedAccessException", "x")},
         SYNC_FORBIDDEN,
         false,
         false},
        {{.out = "junk"}, SYNC_UNCLEAR, true, true},
        {{.code = ERR_UNPROVEN}, SYNC_UNCLEAR, true, true},
        {{.code = ERR_UNSENT}, SYNC_NOT_DONE, false, false},
        {{.code = ERR_AUTH}, SYNC_FORBIDDEN, false, false},
        {{.code = ERR_DENIED}, SYNC_FORBIDDEN, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct got g[2];
        struct sync *s = new_sync(&cases[i].run, 1, true);

        (void)push(s, &g[0]);
        sim_pass(1000);
        assert_int_equal(g[0].calls, 1);
        if (g[0].r.outcome != cases[i].want || g[0].r.sent != cases[i].sent)
            fail_msg("%zu: %s %d (%s)", i, sync_outcome_word(g[0].r.outcome), g[0].r.sent,
                     g[0].r.words);
        (void)push(s, &g[1]);
        sim_pass(1000);
        assert_int_equal(g[1].calls, 1);
        assert_int_equal(g[1].r.outcome, cases[i].counts ? SYNC_LATER : cases[i].want);
        done(s);
    }
}

static void checked(void **state)
{
    static const struct {
        struct run run;
        enum sync_outcome want;
    } cases[] = {
        {{.look = true, .out = READY}, SYNC_PROVEN},
        {{.look = true, .out = STILL}, SYNC_PROVEN},
        {{.look = true, .out = HEAD SCHED("true", "true", "false", "false") TAIL("null")},
         SYNC_FAILED},
        {{.look = true, .out = "junk"}, SYNC_FAILED},
        {{.look = true, .code = ERR_UNSENT}, SYNC_NOT_DONE},
        {{.look = true, .code = ERR_DENIED}, SYNC_FORBIDDEN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sync *s = new_sync(&cases[i].run, 1, true);
        struct got g = {0};
        struct err e;

        assert_int_equal(sync_check_start(s, on_pushed, &g, NULL, &e), 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        assert_int_equal(g.r.outcome, cases[i].want);
        assert_false(g.r.sent);
        done(s);
    }
}

static void no_runner(void **state)
{
    struct got g;
    struct sync *s = new_sync(NULL, 0, false);

    (void)state;
    (void)push(s, &g);
    sim_run();
    assert_int_equal(g.r.outcome, SYNC_NOT_DONE);
    assert_non_null(strstr(g.r.words, "sync1.corp.example"));
    done(s);
}

static void canceled(void **state)
{
    static const struct run runs[] = {{.out = STARTED, .after_ms = 5000}};
    struct got g[2];
    struct sync *s = new_sync(runs, ARRAY_LEN(runs), true);
    struct sync_push *p;

    (void)state;
    p = push(s, &g[0]);
    sim_pass(1000);
    sync_push_cancel(p);
    sim_pass(1000);
    assert_int_equal(g[0].r.outcome, SYNC_UNCLEAR);
    sync_push_cancel(push(s, &g[1]));
    sim_pass(1000);
    assert_int_equal(g[1].r.outcome, SYNC_NOT_DONE);
    assert_int_equal(g[1].r.code, ERR_CANCELED);
    sync_free(s); /* while the script runs */
    assert_false(server.under_way);
    sim_end();
}

static void no_memory(void **state)
{
    static const struct run runs[] = {
        {.out = RUNNING}, {.look = true, .out = READY}, {.out = STARTED}};

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        const struct sync_ask ask = {.user_id = UID, .dn = "CN=A", .synchronised = true};
        struct sync *s = new_sync(runs, ARRAY_LEN(runs), true);
        struct sync_push *p = NULL;
        struct got g = {0};
        struct err e;

        if (s != NULL && sync_push_start(s, &ask, on_pushed, &g, &p, &e) == 0) {
            sim_run();
            assert_int_equal(g.calls, 1);
        }
        if (!alloc_failed)
            assert_int_equal(g.r.outcome, SYNC_STARTED);
        sync_free(s);
        assert_null(sim.timers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printed),      cmocka_unit_test(scripts),
        cmocka_unit_test(many_ask),     cmocka_unit_test(planned),
        cmocka_unit_test(running),      cmocka_unit_test(running_again),
        cmocka_unit_test(running_long), cmocka_unit_test(busy),
        cmocka_unit_test(ends),         cmocka_unit_test(checked),
        cmocka_unit_test(no_runner),    cmocka_unit_test(canceled),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
