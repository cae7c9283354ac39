/* tests/unit/cloud/test_graph.c -- one call of Graph and one list, against a wire that is played:
 * what an answer means, where a token may go, and that everything ends once. */
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
#define ERROR(code, message) "{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\"}}"
#define HTML "<html><body>Access denied by policy</body></html>"
#define JSON_TYPE "application/json;odata.metadata=minimal;charset=utf-8"

static struct graph *graph;

static struct got {
    unsigned calls, items;
    long status;
    bool has_json;
    struct err e;
    unsigned enough; /* of a list: stop after so many */
} got;

static int set_up(void **state)
{
    struct err e;

    (void)state;
    memset(&got, 0, sizeof(got));
    memset(&sim, 0, sizeof(sim));
    return graph_new(NULL, NULL, NULL, ROOT, &graph, &e);
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
    (void)arg;
    got.calls++;
    assert_true((a != NULL) != (e != NULL));
    got.e = e != NULL ? *e : ERR_NONE;
    got.status = a != NULL ? a->status : 0;
    got.has_json = a != NULL && a->json != NULL;
}

static bool on_each(void *arg, const struct cJSON *item)
{
    (void)arg;
    assert_non_null(item);
    return ++got.items != got.enough;
}

static void on_list(void *arg, const struct err *e)
{
    (void)arg;
    got.calls++;
    got.e = e != NULL ? *e : ERR_NONE;
}

static void call(const char *method, const char *path, int flags)
{
    unsigned before = got.calls;
    struct err e;

    assert_int_equal(
        graph_start(graph,
                    &(struct graph_ask){.method = method,
                                        .path = path,
                                        .body = strcmp(method, "GET") != 0 ? "{}" : NULL,
                                        .flags = flags},
                    on_call, NULL, NULL, &e),
        0);
    assert_int_equal(got.calls, before); /* never from inside the start */
    sim_run();
    assert_int_equal(got.calls, before + 1);
}

/* H6: what is no JSON is no answer of Graph's, and is called by its name. */
static void answers(void **state)
{
    static const struct {
        const char *method;
        struct sim_says says;
        enum err_code code;
        const char *words;
    } rows[] = {
        {"GET", {.status = 200, .body = "{\"id\":\"1\"}", .type = JSON_TYPE}, ERR_OK, NULL},
        {"GET", {.status = 200, .body = "{}", .type = "application/problem+json"}, ERR_OK, NULL},
        {"GET", {.status = 200, .body = "{}"}, ERR_OK, NULL}, /* nothing is said: it is looked at */
        {"PATCH", {.status = 204, .type = "text/html"}, ERR_OK, NULL}, /* no body, no matter */
        {"GET", {.status = 200, .body = HTML, .type = "text/html"}, ERR_INVALID, "is text/html"},
        {"GET", {.status = 200, .body = "{}", .type = "text/plain"}, ERR_INVALID, "is text/plain"},
        {"GET", {.status = 200, .body = HTML, .type = JSON_TYPE}, ERR_INVALID, "no clean JSON"},
        {"GET", {.status = 200, .body = HTML}, ERR_INVALID, "no clean JSON"},
        {"GET",
         {.status = 200, .body = "{\"id\":1,\"id\":2}", .type = JSON_TYPE},
         ERR_INVALID,
         "no clean JSON"},
        /* Whether the proxy let it through is not known. */
        {"PATCH",
         {.status = 200, .body = HTML, .type = "Text/HTML; charset=utf-8"},
         ERR_UNPROVEN,
         "is Text/HTML"},
        {"PATCH", {.status = 403, .body = HTML, .type = "text/html"}, ERR_DENIED, "a proxy"},
        {"GET", {.status = 404, .body = HTML, .type = "text/html"}, ERR_REFUSED, "a proxy"},
        {"GET", {.status = 302, .body = HTML, .type = "text/html"}, ERR_INVALID, "a proxy"},
        {"GET", {.status = 502, .body = HTML, .type = "text/html"}, ERR_TIMEOUT, "a proxy"},
        {"PATCH", {.status = 502, .body = HTML, .type = "text/html"}, ERR_UNPROVEN, "a proxy"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sim_says says = rows[i].says;

        says.method = rows[i].method;
        says.path = ROOT "/v1.0/users/x";
        sim_script(&says, 1);
        call(rows[i].method, "/users/x", GRAPH_IDEMPOTENT);
        if (got.e.code != rows[i].code ||
            (rows[i].words != NULL && strstr(got.e.msg, rows[i].words) == NULL))
            fail_msg("#%zu: %d %s", i, got.e.code, got.e.msg);
        if (rows[i].code == ERR_OK)
            assert_int_equal(got.status, says.status);
        else
            assert_int_equal(graph_status_of(&got.e), says.status);
        if (says.type != NULL && strncmp(says.type, "text", 4) == 0 && rows[i].code != ERR_OK)
            assert_true(graph_why_of(&got.e) == GRAPH_WHY_OTHER ||
                        graph_why_of(&got.e) == GRAPH_WHY_NONE);
    }
}

/* A refusal says which of its causes it is, and what to do. */
static void refusals(void **state)
{
    static const struct {
        const char *method, *path, *roles;
        long status;
        const char *body;
        enum err_code code;
        enum graph_why why;
        const char *words;
    } rows[] = {
        {"PATCH", "/users/x", " User.Read.All ", 403, ERROR("Authorization_RequestDenied", "no"),
         ERR_DENIED, GRAPH_WHY_PERMISSION, "User.EnableDisableAccount.All"},
        {"PATCH", "/users/x", " User.EnableDisableAccount.All ", 403,
         ERROR("Authorization_RequestDenied", "no"), ERR_DENIED, GRAPH_WHY_PRIVILEGED,
         "User Administrator"},
        {"PATCH", "/users/x", NULL, 403, ERROR("Authorization_RequestDenied", "no"), ERR_DENIED,
         GRAPH_WHY_PRIVILEGED, "administrator"},
        {"POST", "/users/x/revokeSignInSessions", " User.Read.All ", 403, ERROR("", "no"),
         ERR_DENIED, GRAPH_WHY_PERMISSION, "User.RevokeSessions.All"},
        {"PATCH", "/users/x", " User.EnableDisableAccount.All ", 403,
         ERROR("Authorization_RequestDenied",
               "Target object is a member of a restricted management administrative unit"),
         ERR_DENIED, GRAPH_WHY_RESTRICTED, "at that unit's scope"},
        {"POST", "/identityProtection/riskyUsers/dismiss", NULL, 403,
         ERROR("Authentication_RequestFromNonPremiumTenantOrB2CTenant", "no"), ERR_DENIED,
         GRAPH_WHY_LICENCE, "licence"},
        {"GET", "/users/x", " User.Read.All ", 403, ERROR("x", "no"), ERR_DENIED,
         GRAPH_WHY_PERMISSION, "User.Read.All"},
        {"GET", "/elsewhere", NULL, 403, "{}", ERR_DENIED, GRAPH_WHY_PERMISSION, "no words"},
        {"GET", "/users/x", NULL, 404, ERROR("Request_ResourceNotFound", "no"), ERR_NOTFOUND,
         GRAPH_WHY_NOT_FOUND, NULL},
        {"GET", "/users/x", NULL, 404, "{}", ERR_REFUSED, GRAPH_WHY_OTHER, NULL},
        {"GET", "/users", NULL, 400, ERROR("Request_UnsupportedQuery", "no"), ERR_UNSUPPORTED,
         GRAPH_WHY_UNSUPPORTED_QUERY, NULL},
        {"PATCH", "/users/x", NULL, 400,
         ERROR("Request_BadRequest", "Unable to update the specified properties for on-premises "
                                     "mastered Directory Sync objects"),
         ERR_REFUSED, GRAPH_WHY_ON_PREM, "AD owns it"},
        {"PATCH", "/users/x", NULL, 400, "{\"error\":{\"errorCode\":\"Bad\"}}", ERR_REFUSED,
         GRAPH_WHY_OTHER, "Bad"},
        {"PATCH", "/users/x", NULL, 409, ERROR("Directory_ConcurrencyViolation", "no"), ERR_BUSY,
         GRAPH_WHY_OTHER, NULL},
        {"PATCH", "/users/x", NULL, 429, ERROR("TooManyRequests", "no"), ERR_BUSY,
         GRAPH_WHY_THROTTLED, "throttled"},
        {"PATCH", "/users/x", NULL, 504, "{}", ERR_UNPROVEN, GRAPH_WHY_OTHER, NULL},
        {"GET", "/users/x", NULL, 504, "{}", ERR_TIMEOUT, GRAPH_WHY_OTHER, NULL},
        {"PATCH", "/users/x", NULL, 307, "", ERR_UNPROVEN, GRAPH_WHY_OTHER, "no answer of Graph's"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sim_says says = {.method = rows[i].method,
                                .path = rows[i].path,
                                .status = rows[i].status,
                                .body = rows[i].body,
                                .type = JSON_TYPE};

        sim_script(&says, 1);
        sim.roles = rows[i].roles;
        call(rows[i].method, rows[i].path, GRAPH_IDEMPOTENT);
        if (got.e.code != rows[i].code || graph_why_of(&got.e) != rows[i].why ||
            graph_status_of(&got.e) != rows[i].status ||
            (rows[i].words != NULL && strstr(got.e.msg, rows[i].words) == NULL))
            fail_msg("#%zu: %d %d %s", i, got.e.code, graph_why_of(&got.e), got.e.msg);
    }
    /* A permission for passwords is another one than for the flag. */
    sim_script(&(struct sim_says){"PATCH", "/users/x", .status = 403, .body = ERROR("x", "no")}, 1);
    sim.roles = " User.EnableDisableAccount.All ";
    assert_int_equal(graph_start(graph,
                                 &(struct graph_ask){.method = "PATCH",
                                                     .path = "/users/x",
                                                     .body = "{\"passwordProfile\":{}}"},
                                 on_call, NULL, NULL, &got.e),
                     0);
    sim_run();
    assert_non_null(strstr(got.e.msg, "User-PasswordProfile.ReadWrite.All"));
}

/* A clear no to the last try is none to those before it. */
static void unclear_before(void **state)
{
    (void)state;
    sim_script(&(struct sim_says){"PATCH", "/users/x", .status = 403, .body = "{}",
                                  .type = JSON_TYPE, .unclear = true},
               1);
    call("PATCH", "/users/x", GRAPH_IDEMPOTENT);
    assert_int_equal(got.e.code, ERR_UNPROVEN);
}

static void conventions(void **state)
{
    (void)state;
    sim_script(&(struct sim_says){"GET", ROOT "/beta/users", .status = 200, .body = "{}"}, 1);
    call("GET", "/users", GRAPH_BETA | GRAPH_EVENTUAL | GRAPH_ENUMS);
    assert_non_null(strstr(sim.last_headers, "ConsistencyLevel: eventual\n"));
    assert_non_null(strstr(sim.last_headers, "Prefer: include-unknown-enum-members\n"));
    assert_non_null(strstr(sim.last_headers, "x-ms-throttle-priority: High\n"));
    assert_null(strstr(sim.last_headers, "Content-Type"));
    assert_int_equal(graph_start(graph, &(struct graph_ask){.method = "GET", .path = "users"},
                                 on_call, NULL, NULL, &got.e),
                     -1);
    assert_int_equal(got.e.code, ERR_INTERNAL);
}

static void one_new_token(void **state)
{
    static const struct sim_says then[] = {
        {"GET", "/users/x", .status = 401, .body = "{}",
         .www = "Bearer realm=\"\", error=\"insufficient_claims\", claims=\"eyJhIjoxfQ==\""},
        {"GET", "/users/x", .status = 200, .body = "{}"},
        {"GET", "/users/x", .status = 401, .body = "{}", .www = "Bearer error=\"invalid_token\""},
        {"GET", "/users/x", .status = 401, .body = "{}"},
    };

    (void)state;
    sim_script(then, ARRAY_LEN(then));
    call("GET", "/users/x", 0);
    assert_int_equal(got.status, 200);
    assert_int_equal(sim.tokens_refused, 1);
    assert_string_equal(sim.claims, "eyJhIjoxfQ==");
    call("GET", "/users/x", 0);
    assert_int_equal(got.e.code, ERR_AUTH);
    assert_int_equal(sim.tokens_refused, 2);
    assert_string_equal(sim.claims, "");
    sim_end();
    sim_script(NULL, 0);
    sim.token_code = ERR_NOTFOUND; /* a file of ours: not "no such user" */
    call("GET", "/users/x", 0);
    assert_int_equal(got.e.code, ERR_AUTH);
}

/* One request a second to Identity Protection, whoever asks; others do not wait for it. */
static void lanes(void **state)
{
    static const struct sim_says says[] = {
        {"GET", "/identityProtection/riskyUsers/1", .status = 200, .body = "{}"},
        {"GET", "/users/x", .status = 200, .body = "{}"},
        {"GET", "/identityProtection/riskyUsers/2", .status = 200, .body = "{}"},
        {"GET", "/identityProtection/riskyUsers/3", .status = 200, .body = "{}"},
    };
    static const char *const paths[] = {"/identityProtection/riskyUsers/1",
                                        "/identityProtection/riskyUsers/2",
                                        "/identityProtection/riskyUsers/3", "/users/x"};
    struct err e;

    (void)state;
    sim_script(says, ARRAY_LEN(says));
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        assert_int_equal(graph_start(graph, &(struct graph_ask){.method = "GET", .path = paths[i]},
                                     on_call, NULL, NULL, &e),
                         0);
    sim_run();
    assert_int_equal(got.calls, 4);
    assert_true(sim.sent_at[2] - sim.sent_at[0] >= 1000);
    assert_true(sim.sent_at[3] - sim.sent_at[2] >= 1000);
    assert_int_equal(graph_operations(graph), 4);
    sim_end();
}

/* --- lists ---------------------------------------------------------------------------------- */

#define PAGE(items, next) "{\"value\":[" items "],\"@odata.nextLink\":\"" next "\"}"

/* H3: pages below our own root only, none twice, and no more than so many. */
static void pages(void **state)
{
    static const struct {
        const char *what;
        struct sim_says says[6];
        unsigned max, items;
        enum err_code code;
        const char *words;
    } rows[] = {
        {"one", {{"GET", "/users", .status = 200, .body = "{\"value\":[1,2]}"}}, 3, 2, ERR_OK, ""},
        {"three, one of them empty",
         {{"GET", ROOT "/v1.0/users", .status = 200, .body = PAGE("1", ROOT "/v1.0/users?$s=a")},
          {"GET", ROOT "/v1.0/users?$s=a", .status = 200,
           .body = PAGE("", ROOT "/v1.0/users?$s=b")},
          {"GET", ROOT "/v1.0/users?$s=b", .status = 200, .body = "{\"value\":[2]}"}},
         3,
         2,
         ERR_OK,
         ""},
        {"more than asked for",
         {{"GET", "/users", .status = 200, .body = PAGE("1", ROOT "/v1.0/users?$s=a")},
          {"GET", "/users?$s=a", .status = 200, .body = PAGE("2", ROOT "/v1.0/users?$s=b")}},
         2,
         2,
         ERR_TOOBIG,
         "more than 2 pages"},
        {"the first again",
         {{"GET", "/users", .status = 200, .body = PAGE("1", ROOT "/v1.0/users")}},
         9,
         1,
         ERR_INVALID,
         "in circles"},
        {"the last again",
         {{"GET", "/users", .status = 200, .body = PAGE("1", ROOT "/v1.0/users?$s=a")},
          {"GET", "/users?$s=a", .status = 200, .body = PAGE("2", ROOT "/v1.0/users?$s=a")}},
         9,
         2,
         ERR_INVALID,
         "in circles"},
        {"an earlier one again",
         {{"GET", "/users", .status = 200, .body = PAGE("1", ROOT "/v1.0/users?$s=a")},
          {"GET", "/users?$s=a", .status = 200, .body = PAGE("2", ROOT "/v1.0/users?$s=b")},
          {"GET", "/users?$s=b", .status = 200, .body = PAGE("3", ROOT "/v1.0/users?$s=c")},
          {"GET", "/users?$s=c", .status = 200, .body = PAGE("4", ROOT "/v1.0/users?$s=a")}},
         9,
         4,
         ERR_INVALID,
         "after 4 pages the next is page 2 again"},
        {"another host",
         {{"GET", "/users", .status = 200,
           .body = PAGE("1", "https://evil.example.com/v1.0/users")}},
         9,
         1,
         ERR_INVALID,
         "another host"},
        {"another version",
         {{"GET", "/users", .status = 200, .body = PAGE("1", ROOT "/beta/users?$s=a")}},
         9,
         1,
         ERR_INVALID,
         "another host or path"},
        {"a user part",
         {{"GET", "/users", .status = 200,
           .body = PAGE("1", "https://graph.example.com@evil.example.com/v1.0/users")}},
         9,
         1,
         ERR_INVALID,
         "another host"},
        {"the same host in other letters",
         {{"GET", "/users", .status = 200,
           .body = PAGE("1", "https://GRAPH.example.com:443/v1.0/users?$s=a")},
          {"GET", ROOT "/v1.0/users?$s=a", .status = 200, .body = "{\"value\":[2]}"}},
         9,
         2,
         ERR_OK,
         ""},
        {"no text",
         {{"GET", "/users", .status = 200, .body = "{\"value\":[1],\"@odata.nextLink\":7}"}},
         9,
         0,
         ERR_INVALID,
         "no text"},
        {"no list",
         {{"GET", "/users", .status = 200, .body = "{}"}},
         9,
         0,
         ERR_INVALID,
         "\"value\""},
        {"no answer to the second",
         {{"GET", "/users", .status = 200, .body = PAGE("1", ROOT "/v1.0/users?$s=a")},
          {"GET", "/users?$s=a", .code = ERR_TIMEOUT}},
         9,
         1,
         ERR_TIMEOUT,
         ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct graph_call *c = NULL;
        size_t n = 0;
        struct err e;

        while (n < ARRAY_LEN(rows[i].says) && rows[i].says[n].method != NULL)
            n++;
        memset(&got, 0, sizeof(got));
        sim_script(rows[i].says, n);
        assert_int_equal(graph_list(graph, &(struct graph_ask){.path = "/users"}, rows[i].max,
                                    on_each, on_list, NULL, &c, &e),
                         0);
        assert_non_null(c);
        sim_run();
        if (got.calls != 1 || got.items != rows[i].items || got.e.code != rows[i].code ||
            (rows[i].code != ERR_OK && strstr(got.e.msg, rows[i].words) == NULL))
            fail_msg("%s: %u items, %d %s", rows[i].what, got.items, got.e.code, got.e.msg);
        assert_null(c);
        sim_end();
    }
}

/* Enough is known: the next page is not asked for. */
static void enough(void **state)
{
    struct err e;

    (void)state;
    sim_script(&(struct sim_says){"GET", "/users", .status = 200,
                                  .body = PAGE("1,2,3", ROOT "/v1.0/users?$s=a")},
               1);
    got.enough = 2;
    assert_int_equal(graph_list(graph, &(struct graph_ask){.path = "/users"}, 9, on_each, on_list,
                                NULL, NULL, &e),
                     0);
    sim_run();
    assert_int_equal(got.items, 2);
    assert_int_equal(got.e.code, ERR_OK);
    sim_end();
}

/* --- the end before the end --------------------------------------------------------------------
 */

/* Given up at any time: one callback, and what a write did is not called undone. */
static void cancels(void **state)
{
    static const struct {
        const char *method;
        uint64_t after;
        enum err_code code;
    } rows[] = {{"GET", 0, ERR_CANCELED},   {"GET", 1, ERR_CANCELED},
                {"GET", 10, ERR_CANCELED},  {"PATCH", 0, ERR_CANCELED},
                {"PATCH", 1, ERR_UNPROVEN}, {"PATCH", 10, ERR_UNPROVEN}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sim_says says = {rows[i].method, "/users/x", .status = 200, .body = "{}",
                                .after_ms = 100};
        struct graph_call *c;
        struct err e;

        memset(&got, 0, sizeof(got));
        sim_script(&says, 1);
        assert_int_equal(graph_start(graph,
                                     &(struct graph_ask){.method = rows[i].method,
                                                         .path = "/users/x",
                                                         .flags = GRAPH_IDEMPOTENT},
                                     on_call, NULL, &c, &e),
                         0);
        if (rows[i].after > 0)
            sim_pass(rows[i].after);
        graph_cancel(c);
        graph_cancel(c); /* twice is once */
        assert_int_equal(got.calls, 0);
        sim_run();
        assert_int_equal(got.calls, 1);
        if (got.e.code != rows[i].code)
            fail_msg("#%zu: %d %s", i, got.e.code, got.e.msg);
    }
}

/* Abandoned, or all of Graph freed: nobody is called, and nothing is left (ASan). */
static void abandoned(void **state)
{
    static const struct sim_says says[] = {
        {"GET", "/users", .status = 200, .body = PAGE("1", ROOT "/v1.0/users?$s=a")},
        {"GET", "/users?$s=a", .status = 200, .body = "{\"value\":[]}", .hold = true},
    };

    (void)state;
    for (int how = 0; how < 4; how++) {
        struct graph_call *c = NULL;
        struct err e;

        memset(&got, 0, sizeof(got));
        sim_script(says, how < 2 ? 0 : 2);
        assert_int_equal(graph_list(graph, &(struct graph_ask){.path = "/users"}, 9, on_each,
                                    on_list, NULL, &c, &e),
                         0);
        if (how >= 2)
            sim_run(); /* amid the second page */
        if (how % 2 == 0) {
            graph_abandon(c);
        } else {
            graph_free(graph);
            assert_int_equal(graph_new(NULL, NULL, NULL, ROOT, &graph, &e), 0);
        }
        sim_run();
        assert_int_equal(got.calls, 0);
        assert_int_equal(got.items, how < 2 ? 0 : 1);
    }
}

/* M2: each allocation fails once. One callback or an error, always. */
static void memory(void **state)
{
    static const struct sim_says says[] = {
        {"GET", "/users", .status = 200, .body = PAGE("1", ROOT "/v1.0/users?$s=a")},
        {"GET", "/users?$s=a", .status = 200, .body = "{\"value\":[2]}"},
    };

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        struct err e;
        int rc;

        memset(&got, 0, sizeof(got));
        sim_script(says, ARRAY_LEN(says));
        rc = graph_list(graph, &(struct graph_ask){.path = "/users"}, 9, on_each, on_list, NULL,
                        NULL, &e);
        sim_run();
        alloc_left = -1;
        assert_int_equal(got.calls, rc == 0 ? 1 : 0);
    }
    assert_int_equal(got.items, 2);
}

int main(void)
{
#define ON_GRAPH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ON_GRAPH(answers),     ON_GRAPH(refusals),      ON_GRAPH(unclear_before),
        ON_GRAPH(conventions), ON_GRAPH(one_new_token), ON_GRAPH(lanes),
        ON_GRAPH(pages),       ON_GRAPH(enough),        ON_GRAPH(cancels),
        ON_GRAPH(abandoned),   ON_GRAPH(memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
