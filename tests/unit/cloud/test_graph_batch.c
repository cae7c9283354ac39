/* tests/unit/cloud/test_graph_batch.c -- many calls in one request: each gets its own answer, and
 * what has none is not called undone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/graph.h"
#include "tests/unit/alloc.h"
#include "tests/unit/cloud/sim.h"

#define ROOT "https://graph.example.com"
#define PART(id, status, more) "{\"id\":\"" id "\",\"status\":" status more "}"
#define ANSWERS(parts) "{\"responses\":[" parts "]}"
#define ERROR(code, message) \
    ",\"body\":{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\"}}"
#define BATCH(...)                               \
    {                                            \
        "POST", ROOT "/v1.0/$batch", __VA_ARGS__ \
    }

static struct graph *graph;

static struct got {
    unsigned calls;
    long status;
    bool has_json;
    struct err e;
} got[32];

static int set_up(void **state)
{
    struct err e;

    (void)state;
    memset(&sim, 0, sizeof(sim));
    if (graph_new(NULL, NULL, NULL, ROOT, &graph, &e) < 0)
        return -1;
    graph_batching(graph, true, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    graph_free(graph);
    secret_free(sim.token);
    sim.token = NULL;
    return 0;
}

static void on_call(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct got *g = arg;

    g->calls++;
    g->e = e != NULL ? *e : ERR_NONE;
    g->status = a != NULL ? a->status : 0;
    g->has_json = a != NULL && a->json != NULL;
}

static void script(const struct sim_says *says, size_t n)
{
    memset(got, 0, sizeof(got));
    sim_script(says, n);
}

static struct graph_call *start(size_t i, const char *method, const char *path, int flags)
{
    struct graph_call *c;
    struct err e;

    assert_int_equal(graph_start(graph,
                                 &(struct graph_ask){.method = method,
                                                     .path = path,
                                                     .body = strcmp(method, "PATCH") == 0
                                                                 ? "{\"accountEnabled\":false}"
                                                                 : NULL,
                                                     .flags = flags},
                                 on_call, &got[i], &c, &e),
                     0);
    return c;
}

/* A PATCH, and a GET in the advanced mode. */
static void two(void)
{
    (void)start(0, "PATCH", "/users/x", GRAPH_IDEMPOTENT);
    (void)start(1, "GET", "/users/y", GRAPH_EVENTUAL);
    sim_run();
    assert_true(got[0].calls == 1 && got[1].calls == 1);
}

static void each_its_own(void **state)
{
    static const struct sim_says says[] = {
        BATCH(.asks = "{\"requests\":[{\"id\":\"1\",\"method\":\"PATCH\",\"url\":\"/users/x\","
                      "\"headers\":{\"Content-Type\":\"application/json\"},\"body\":"
                      "{\"accountEnabled\":false}},{\"id\":\"2\",\"method\":\"GET\",\"url\":"
                      "\"/users/y\",\"headers\":{\"ConsistencyLevel\":\"eventual\"}}]}",
              .status = 200,
              .body =
                  ANSWERS(PART("2", "200", ",\"body\":{\"id\":\"y\"}") "," PART("1", "204", "")))};

    (void)state;
    script(says, 1);
    two();
    assert_true(got[0].status == 204 && !got[0].has_json);
    assert_true(got[1].status == 200 && got[1].has_json);
    assert_int_equal(graph_operations(graph), 2);
    sim_end();
}

/* Twenty at most, and of one version; what wants to be alone is. */
static void lines(void **state)
{
    static const struct sim_says says[] = {
        {"POST", "/users/x/revokeSignInSessions", .status = 204},
        /* who is acted on goes before who is looked up */
        {"POST", ROOT "/beta/$batch", .status = 200, .body = ANSWERS(PART("1", "204", ""))},
        BATCH(.asks = "\"id\":\"20\"", .status = 200, .body = ANSWERS("")),
        BATCH(.asks = "{\"requests\":[{\"id\":\"1\",\"method\":\"GET\",\"url\":\"/users/2\"}]}",
              .status = 200, .body = ANSWERS("")),
    };

    (void)state;
    script(says, ARRAY_LEN(says));
    for (size_t i = 0; i < 20; i++)
        (void)start(i, "GET", "/users/1", 0);
    (void)start(20, "POST", "/users/b/invalidateAllRefreshTokens", GRAPH_BETA);
    (void)start(21, "GET", "/users/2", 0);
    (void)start(22, "POST", "/users/x/revokeSignInSessions", GRAPH_ALONE | GRAPH_IDEMPOTENT);
    sim_run();
    for (size_t i = 0; i < 23; i++)
        assert_int_equal(got[i].calls, 1);
    assert_int_equal(got[20].status, 204);
    assert_int_equal(got[22].status, 204);
    assert_int_equal(got[21].e.code, ERR_TIMEOUT); /* no answer to this part */
    sim_end();
}

/* The outer 200 says nothing of the parts. */
static void parts(void **state)
{
    static const struct {
        const char *body;
        enum err_code patch, get;
        enum graph_why why;
    } rows[] = {
        {ANSWERS(PART("1", "403", ERROR("Authorization_RequestDenied", "no")) "," PART(
             "2", "404", ERROR("Request_ResourceNotFound", "no"))),
         ERR_DENIED, ERR_NOTFOUND, GRAPH_WHY_PRIVILEGED},
        {ANSWERS(PART("1", "424", "") "," PART("2", "200", "")), ERR_REFUSED, ERR_OK,
         GRAPH_WHY_OTHER},
        {ANSWERS(""), ERR_UNPROVEN, ERR_TIMEOUT, GRAPH_WHY_NONE},
        {"{}", ERR_UNPROVEN, ERR_TIMEOUT, GRAPH_WHY_NONE},
        {ANSWERS(PART("2", "200", "")), ERR_UNPROVEN, ERR_OK, GRAPH_WHY_NONE},
        /* Answers to nobody: another id, no id, no status, one that is none, twice. */
        {ANSWERS(PART("3", "204", "") "," PART("0", "204", "") "," PART(
             "1x", "204", "") ",{\"status\":204},{\"id\":\"1\"}," PART("1", "7",
                                                                       "") "," PART("1", "\"204\"",
                                                                                    "") ",7"),
         ERR_UNPROVEN, ERR_TIMEOUT, GRAPH_WHY_NONE},
        {ANSWERS(PART("1", "403", ERROR("x", "no")) "," PART("1", "204", "")), ERR_DENIED,
         ERR_TIMEOUT, GRAPH_WHY_PRIVILEGED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sim_says says = BATCH(.status = 200, .body = rows[i].body);

        script(&says, 1);
        sim.roles = NULL;
        two();
        if (got[0].e.code != rows[i].patch || got[1].e.code != rows[i].get ||
            graph_why_of(&got[0].e) != rows[i].why)
            fail_msg("#%zu: %d %s; %d %s", i, got[0].e.code, got[0].e.msg, got[1].e.code,
                     got[1].e.msg);
        sim_end();
    }
}

/* No batch came back: what it changed is not known. */
static void outer(void **state)
{
    static const struct {
        struct sim_says says;
        enum err_code patch, get;
        const char *words;
    } rows[] = {
        {BATCH(.status = 200, .body = "<html>", .type = "text/html"), ERR_UNPROVEN, ERR_TIMEOUT,
         "is text/html"},
        {BATCH(.status = 200, .body = "{"), ERR_UNPROVEN, ERR_TIMEOUT, "no clean JSON"},
        {BATCH(.status = 503, .body = "<html>", .type = "text/html"), ERR_BUSY, ERR_BUSY,
         "a proxy"},
        {BATCH(.status = 403, .body = "<html>", .type = "text/html"), ERR_DENIED, ERR_DENIED,
         "a proxy"},
        {BATCH(.status = 403, .body = "{}", .unclear = true), ERR_UNPROVEN, ERR_DENIED, NULL},
        {BATCH(.status = 302, .body = ""), ERR_UNPROVEN, ERR_TIMEOUT, NULL},
        {BATCH(.status = 400, .body = "{\"error\":{\"code\":\"BadRequest\"}}"), ERR_REFUSED,
         ERR_REFUSED, "BadRequest"},
        {BATCH(.code = ERR_UNSENT), ERR_UNSENT, ERR_UNSENT, NULL},
        {BATCH(.code = ERR_TOOBIG), ERR_UNPROVEN, ERR_TIMEOUT, NULL},
        {BATCH(.code = ERR_UNPROVEN), ERR_UNPROVEN, ERR_TIMEOUT, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        script(&rows[i].says, 1);
        two();
        if (got[0].e.code != rows[i].patch || got[1].e.code != rows[i].get ||
            (rows[i].words != NULL && strstr(got[0].e.msg, rows[i].words) == NULL))
            fail_msg("#%zu: %d %s; %d %s", i, got[0].e.code, got[0].e.msg, got[1].e.code,
                     got[1].e.msg);
        sim_end();
    }
    script(NULL, 0);
    sim.token_code = ERR_NOTFOUND; /* a file of ours */
    two();
    assert_true(got[0].e.code == ERR_AUTH && got[1].e.code == ERR_AUTH);
}

/* A throttled part alone goes again, after the longest wait that any part names. (Two would wait
 * differently long, and go together or not.) */
static void throttled(void **state)
{
    static const struct sim_says says[] = {
        BATCH(.status = 200,
              .body = ANSWERS(PART("1", "429", ",\"headers\":{\"Retry-After\":\"0.5\"}") "," PART(
                  "2", "200", ",\"headers\":{\"retry-after\":\"2.5\"}"))),
        BATCH(.asks = "{\"requests\":[{\"id\":\"1\",\"method\":\"PATCH\",\"url\":\"/users/x\"",
              .status = 200, .body = ANSWERS(PART("1", "204", ""))),
    };

    (void)state;
    script(says, 2);
    two();
    assert_int_equal(got[0].status, 204);
    assert_int_equal(got[1].status, 200);
    assert_true(sim.sent_at[1] - sim.sent_at[0] >= 2500);
    assert_true(sim.sent_at[1] - sim.sent_at[0] < 4000);
    sim_end();
}

/* What stumbled may have acted: it goes again only where twice does no harm. */
static void stumbles(void **state)
{
    static const struct {
        const char *method, *path;
        int flags;
        bool again;
    } rows[] = {{"PATCH", "/users/x", GRAPH_IDEMPOTENT, true},
                {"GET", "/users/x", 0, true},
                {"POST", "/riskyUsers/dismiss", 0, false}};
    static const struct sim_says says[] = {
        BATCH(.status = 200, .body = ANSWERS(PART("1", "504", ""))),
        BATCH(.status = 200, .body = ANSWERS(PART("1", "204", ""))),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        script(says, rows[i].again ? 2 : 1);
        (void)start(0, rows[i].method, rows[i].path, rows[i].flags);
        sim_run();
        assert_int_equal(got[0].status, rows[i].again ? 204 : 0);
        assert_int_equal(got[0].e.code, rows[i].again ? ERR_OK : ERR_UNPROVEN);
        sim_end();
    }
}

/* No time is left for the wait: the part's own answer is handed back. */
static void no_time(void **state)
{
    static const struct sim_says says[] = {
        BATCH(.status = 200,
              .body = ANSWERS(PART("1", "429", ",\"headers\":{\"Retry-After\":\"60\"}")))};

    (void)state;
    script(says, 1);
    (void)start(0, "PATCH", "/users/x", GRAPH_IDEMPOTENT);
    sim_run();
    assert_int_equal(got[0].e.code, ERR_BUSY);
    assert_int_equal(graph_why_of(&got[0].e), GRAPH_WHY_THROTTLED);
    sim_end();
}

static void one_new_token(void **state)
{
    static const struct sim_says says[] = {
        BATCH(.status = 401, .body = "{}"),
        BATCH(.status = 200, .body = ANSWERS(PART("1", "204", "") "," PART("2", "200", ""))),
        BATCH(.status = 401, .body = "{}"),
        BATCH(.status = 401, .body = "{}"),
    };

    (void)state;
    script(says, 4);
    two();
    assert_true(got[0].status == 204 && got[1].status == 200);
    assert_int_equal(sim.tokens_refused, 1);
    memset(got, 0, sizeof(got));
    two();
    assert_true(got[0].e.code == ERR_AUTH && got[1].e.code == ERR_AUTH);
    sim_end();
}

/* One given up, at any time: the others are not touched by it. */
static void cancels(void **state)
{
    static const struct sim_says says[] = {
        BATCH(.after_ms = 100, .status = 200,
              .body = ANSWERS(PART("1", "204", "") "," PART("2", "200", "")))};

    (void)state;
    for (uint64_t after = 0; after <= 50; after += 5) {
        struct graph_call *c;

        script(says, 1);
        (void)start(0, "GET", "/users/y", 0);
        c = start(1, "PATCH", "/users/x", GRAPH_IDEMPOTENT);
        if (after > 0)
            sim_pass(after);
        graph_cancel(c);
        assert_int_equal(got[1].calls, 0);
        sim_run();
        assert_true(got[0].calls == 1 && got[0].e.code == ERR_OK);
        assert_int_equal(got[1].calls, 1);
        assert_int_equal(got[1].e.code, after == 0 ? ERR_CANCELED : ERR_UNPROVEN);
        sim_end();
    }
}

/* All of them, while the token is asked for: there is nothing to be sent. */
static void all_canceled(void **state)
{
    struct graph_call *a, *b;

    (void)state;
    script(NULL, 0);
    a = start(0, "GET", "/users/y", 0);
    b = start(1, "PATCH", "/users/x", GRAPH_IDEMPOTENT);
    sim_pass(0);
    assert_int_equal(sim.tokens, 1);
    graph_cancel(a);
    graph_cancel(b);
    sim_run();
    assert_int_equal(got[0].e.code, ERR_CANCELED);
    assert_int_equal(got[1].e.code, ERR_CANCELED);
    sim_end();
}

static void freed(void **state)
{
    static const struct sim_says says[] = {
        BATCH(.after_ms = 100, .status = 200, .body = ANSWERS(""))};
    struct err e;

    (void)state;
    for (uint64_t after = 0; after <= 50; after += 1 + after) {
        script(says, 1);
        (void)start(0, "GET", "/users/y", 0);
        (void)start(1, "PATCH", "/users/x", GRAPH_IDEMPOTENT);
        if (after > 0)
            sim_pass(after);
        graph_free(graph);
        assert_int_equal(graph_new(NULL, NULL, NULL, ROOT, &graph, &e), 0);
        graph_batching(graph, true, 0);
        sim_run();
        assert_true(got[0].calls == 0 && got[1].calls == 0);
    }
}

/* M2 */
static void memory(void **state)
{
    static const struct sim_says says[] = {
        BATCH(.status = 200, .body = ANSWERS(PART("1", "204", "") "," PART("2", "200", "")))};

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        int rc[2];
        struct err e;

        script(says, 1);
        for (size_t i = 0; i < 2; i++)
            rc[i] = graph_start(graph, &(struct graph_ask){.method = "GET", .path = "/users/x"},
                                on_call, &got[i], NULL, &e);
        sim_run();
        alloc_left = -1;
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(got[i].calls, rc[i] == 0 ? 1 : 0);
    }
    assert_true(got[0].status == 204 && got[1].status == 200);
}

int main(void)
{
#define ON_GRAPH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ON_GRAPH(each_its_own), ON_GRAPH(lines),        ON_GRAPH(parts),   ON_GRAPH(outer),
        ON_GRAPH(throttled),    ON_GRAPH(stumbles),     ON_GRAPH(no_time), ON_GRAPH(one_new_token),
        ON_GRAPH(cancels),      ON_GRAPH(all_canceled), ON_GRAPH(freed),   ON_GRAPH(memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
