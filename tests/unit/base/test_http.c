/* tests/unit/base/test_http.c -- whole answers: what is asked, what comes back, and waits as the
 * server wishes. */
#include "tests/unit/base/http_server.h"

/* --- answers --------------------------------------------------------------------------------- */

static void good(void **state)
{
    struct seen a = get("/ok?name=good"), b = get("/ok?name=good");

    (void)state;
    assert_int_equal(a.status, 200);
    assert_int_equal(a.tries, 1);
    assert_int_equal(number(&a, "n"), 1);
    assert_int_equal(number(&b, "n"), 2);
    assert_int_equal(number(&a, "connection"), number(&b, "connection")); /* reused */
    assert_true(echoed(&a, "\"User-Agent: cordon/"));
    assert_true(echoed(&a, "\"Accept-Encoding: gzip\""));
    assert_false(echoed(&a, "Content-Type"));
    assert_false(echoed(&a, "Content-Length"));
    assert_false(echoed(&a, "Expect"));
    assert_int_equal(http_requests_sent(http), 2);
}

static void methods(void **state)
{
    static const struct {
        const char *method, *body, *want, *not ;
    } rows[] = {
        {"POST", NULL, "Content-Length: 0\"", "Content-Type"},
        {"PUT", NULL, "Content-Length: 0\"", "Content-Type"},
        {"PATCH", NULL, "Content-Length: 0\"", "Content-Type"},
        {"DELETE", NULL, "\"method\": \"DELETE\"", "Content-Length"},
        {"GET", NULL, "\"method\": \"GET\"", "Content-Length"},
        {"POST", "{\"a\":1}", "Content-Length: 7\"", "Expect"},
        {"PATCH", "{\"a\":1}", "\"body\": \"{\\\"a\\\":1}\"", "Expect"},
        {"DELETE", "{\"a\":1}", "\"body\": \"{\\\"a\\\":1}\"", "Expect"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char method[64];
        struct seen s =
            ask(http, &(struct http_ask){.method = rows[i].method,
                                         .url = at(server.good, "/ok"),
                                         .body = rows[i].body,
                                         .body_len = rows[i].body ? strlen(rows[i].body) : 0});

        assert_int_equal(s.status, 200);
        (void)snprintf(method, sizeof(method), "\"method\": \"%s\"", rows[i].method);
        if (!echoed(&s, method) || !echoed(&s, rows[i].want) || echoed(&s, rows[i].not ))
            fail_msg("#%zu: %s", i, s.body);
    }
}

/* A large body is neither waited for (Expect) nor sent in another form. */
static void large_body(void **state)
{
    static char body[2 << 20];
    struct seen s;

    (void)state;
    memset(body, 'b', sizeof(body));
    s = ask(http, &(struct http_ask){.method = "POST",
                                     .url = at(server.good, "/expect"),
                                     .body = body,
                                     .body_len = sizeof(body)});
    assert_int_equal(s.status, 204);
    assert_string_equal(s.header, "nothing");
    assert_int_equal(s.len, 0);
    assert_string_equal(s.body, "");
}

static void headers(void **state)
{
    const struct http_header some[] = {
        {"Content-Type", "application/json"}, {"X-Empty", ""}, {"Prefer", "a=b; c"}};
    CLEANUP(secret_freep) struct secret *token = NULL;
    struct seen s, again;
    struct http_ask a = {.method = "POST",
                         .url = at(server.good, "/status/429?name=ids&times=1"),
                         .headers = some,
                         .header_count = 3,
                         .body = "{}",
                         .body_len = 2,
                         .wait_ms = 1,
                         .id_header = "client-request-id"};
    struct err e;

    (void)state;
    assert_int_equal(secret_new(12, &token, &e), 0);
    memcpy(secret_bytes(token), "Bearer abc.d", 12);
    a.authorization = token;
    s = ask(http, &a);
    assert_int_equal(s.tries, 2);
    assert_true(echoed(&s, "\"Content-Type: application/json\""));
    assert_true(echoed(&s, "\"X-Empty: \""));
    assert_true(echoed(&s, "\"Prefer: a=b; c\""));
    assert_true(echoed(&s, "\"Authorization: Bearer abc.d\""));
    assert_int_equal(strlen(s.id), 36);
    assert_true(s.id[14] == '4' && strchr("89ab", s.id[19]) != NULL);
    assert_true(echoed(&s, s.id));
    again = ask(http, &a);
    assert_string_not_equal(s.id, again.id);
}

static void answers(void **state)
{
    struct seen s;

    (void)state;
    s = get("/interim");
    assert_int_equal(s.status, 200);
    assert_string_equal(s.body, "late");
    assert_string_equal(s.header, "1");
    assert_string_equal(s.header2, "2");
    s = get("/until_close"); /* no length given */
    assert_string_equal(s.body, "all of it");
    s = get("/trailers");
    assert_string_equal(s.body, "abc");
    s = get("/gzip");
    assert_string_equal(s.body, "packed");
    s = get("/redirect");
    assert_int_equal(s.status, 302);
    assert_int_equal(asked("redirected"), 0);
    s = get("/cookie");
    s = get("/ok");
    assert_false(echoed(&s, "Cookie"));
    s = get("/status/404?html=1");
    assert_int_equal(s.status, 404);
    assert_string_equal(s.body, "<html>not you</html>");
    assert_string_equal(s.request_id, "server-1");
}

/* --- what is over a limit -------------------------------------------------------------------- */

static void too_big(void **state)
{
    static const char *const paths[] = {"/huge", "/huge_chunked", "/bomb", "/many_headers",
                                        "/big_headers"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct http_ask a = {.method = "GET",
                             .url = at(server.good, paths[i]),
                             .repeat = HTTP_SAFELY,
                             .max_answer = 100000};
        struct seen s = ask(http, &a);

        if (s.answered || s.e.code != ERR_TOOBIG)
            fail_msg("%s: %d %s", paths[i], s.e.code, s.e.msg);
        a.method = "POST"; /* it may have acted */
        s = ask(http, &a);
        assert_int_equal(s.e.code, ERR_UNPROVEN);
        a.flags = HTTP_READS;
        s = ask(http, &a);
        assert_int_equal(s.e.code, ERR_TOOBIG);
    }
    assert_int_equal(ask(http, &(struct http_ask){.method = "GET",
                                                  .url = at(server.good, "/huge"),
                                                  .max_answer = 1 << 20})
                         .len,
                     1 << 20);
}

/* --- waiting and trying again ---------------------------------------------------------------- */

static void waits_as_told(void **state)
{
    static const struct {
        const char *path;
        uint64_t least;
    } rows[] = {
        {"/status/429?name=w1&times=1&after=1", 1000},
        {"/status/429?name=w2&times=1&after=0.3", 300},
        {"/status/503?name=w3&times=2&after=0.2", 400},
        {"/status/429?name=w4&times=1&later=1", 1000}, /* a date, by the server's own clock */
        {"/status/429?name=w5&times=1&reset=0", 1000}, /* and a second */
        {"/status/429?name=w6&times=2", 3},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t began = loop_now_us(loop);
        /* clearly turned away: also for what must not be done twice */
        struct seen s = post(rows[i].path, HTTP_ONCE);

        assert_int_equal(s.status, 200);
        assert_true(s.tries > 1);
        assert_int_equal(number(&s, "n"), s.tries);
        assert_false(s.unclear);
        assert_true(loop_now_us(loop) - began >= rows[i].least * 1000);
    }
}

/* A wait that outlasts the call is not begun: the answer is handed back. */
static void handed_back(void **state)
{
    struct seen s;

    (void)state;
    s = get("/status/429?name=h1&after=3600");
    assert_int_equal(s.status, 429);
    assert_int_equal(s.tries, 1);
    assert_int_equal(s.retry_after_ms, 3600000);
    s = get("/status/429?name=h2&later=7200");
    assert_int_equal(s.retry_after_ms, 7200000);
    assert_true(s.date_ms > 0);
    s = get("/status/429?name=h3&reset=3600");
    assert_int_equal(s.retry_after_ms, 3601000);
    s = get("/status/200?name=h4&reset=3600"); /* Okta says it always */
    assert_int_equal(s.retry_after_ms, 0);
    s = get("/status/429?name=h5");
    assert_int_equal(s.status, 429);
    assert_int_equal(s.tries, 6);
    s = ask(http, &(struct http_ask){.method = "GET",
                                     .url = at(server.good, "/status/429?name=h6"),
                                     .repeat = HTTP_SAFELY,
                                     .flags = HTTP_ONE_TRY});
    assert_int_equal(s.status, 429);
    assert_int_equal(s.tries, 1);
    s = ask(http, &(struct http_ask){.method = "GET",
                                     .url = at(server.good, "/status/500?name=h7"),
                                     .repeat = HTTP_SAFELY,
                                     .tries = 3,
                                     .wait_ms = 1});
    assert_int_equal(s.status, 500);
    assert_int_equal(s.tries, 3);
    assert_int_equal(asked("h7"), 3);
}

static void server_errors(void **state)
{
    static const int codes[] = {500, 502, 503, 504};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        char path[64], name[16];
        struct seen s;

        (void)snprintf(name, sizeof(name), "once%d", codes[i]);
        (void)snprintf(path, sizeof(path), "/status/%d?name=%s&times=1", codes[i], name);
        s = post(path, HTTP_ONCE);
        assert_int_equal(s.status, codes[i]);
        assert_int_equal(asked(name), 1);
        (void)snprintf(path, sizeof(path), "/status/%d?name=safe%d&times=2", codes[i], codes[i]);
        s = post(path, HTTP_SAFELY);
        assert_int_equal(s.status, 200);
        assert_int_equal(s.tries, 3);
        assert_true(s.unclear); /* one of the first two may have acted */
        (void)snprintf(path, sizeof(path), "/status/%d?name=get%d&times=1", codes[i], codes[i]);
        s = get(path);
        assert_int_equal(s.status, 200);
        assert_false(s.unclear);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_LOOP(good),          ON_LOOP(methods),     ON_LOOP(large_body),
        ON_LOOP(headers),       ON_LOOP(answers),     ON_LOOP(too_big),
        ON_LOOP(waits_as_told), ON_LOOP(handed_back), ON_LOOP(server_errors),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
