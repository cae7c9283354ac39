/* tests/unit/cloud/test_okta.c -- users in Okta: what is sent, how often, and what may be said of
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/okta.h"
#include "cloud/okta_inside.h"
#include "tests/unit/alloc.h"
#include "tests/unit/cloud/sim.h"

#define ROOT "https://corp.okta.com"
#define ID "00ub0oNGTSWTBKOLGLNR"
#define ID2 "00u118oQYT4TBTemp0g4"
#define USERS "https://corp.okta.com/api/v1/users/"
#define USER_WITH(id, status, login, more)                                                         \
    "{\"id\":\"" id "\",\"status\":\"" status "\",\"statusChanged\":\"2026-11-20T21:02:03.000Z\"," \
    "\"profile\":{\"login\":\"" login "\",\"email\":\"" login "\",\"firstName\":\"Alice\","        \
    "\"lastName\":\"Example\",\"height\":1.75},\"credentials\":{\"provider\":{\"type\":\"OKTA\","  \
    "\"name\":\"OKTA\"}}" more "}"
#define USER(status) USER_WITH(ID, status, "alice@corp.example", "")
#define ERROR(code) \
    "{\"errorCode\":\"" code "\",\"errorSummary\":\"Api validation failed\",\"errorId\":\"oae1\"}"

/* --- pure ------------------------------------------------------------------------------ */

static void ids(void **state)
{
    (void)state;
    assert_true(okta_id_ok(ID));
    assert_false(okta_id_ok(NULL));
    assert_false(okta_id_ok(""));
    assert_false(okta_id_ok("00u"));
    assert_false(okta_id_ok("00ub0oNGTSWTBKOL/../"));
    assert_false(okta_id_ok("00ub0oNGTSWTBKOLGLN?"));
    assert_false(okta_id_ok("alice@corp.example.com"));
    assert_false(okta_id_ok("00ub0oNGTSWTBKOLGLNR00ub0oNGTSWTBKOLGLNR"));
}

static void users(void **state)
{
    static const struct {
        const char *json;
        enum err_code code;
        enum okta_status status;
    } cases[] = {
        {USER("ACTIVE"), ERR_OK, OKTA_ACTIVE},
        {USER("SUSPENDED"), ERR_OK, OKTA_SUSPENDED},
        {USER("active"), ERR_OK, OKTA_UNKNOWN},
        {USER("ACTIVATING"), ERR_OK, OKTA_UNKNOWN},
        {"{\"id\":\"" ID "\",\"status\":\"STAGED\",\"profile\":{\"login\":null}}", ERR_OK,
         OKTA_STAGED},
        {"{\"id\":\"" ID "\"}", ERR_INVALID, 0},
        {"{\"status\":\"ACTIVE\"}", ERR_INVALID, 0},
        {"{\"id\":\"" ID "\",\"status\":true}", ERR_INVALID, 0},
        {"{\"id\":\"a/b\",\"status\":\"ACTIVE\"}", ERR_INVALID, 0},
        {"{\"id\":\"" ID "\",\"status\":\"ACTIVE\",\"statusChanged\":\"soon\"}", ERR_INVALID, 0},
        {"{\"id\":\"" ID "\",\"status\":\"ACTIVE\",\"profile\":{\"login\":7}}", ERR_INVALID, 0},
        {"[]", ERR_INVALID, 0},
        {"7", ERR_INVALID, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) struct cJSON *j = sim_json(cases[i].json);
        struct okta_user u;
        struct err e = ERR_NONE;

        assert_int_equal(okta_read_user(j, &u, &e), cases[i].code == ERR_OK ? 0 : -1);
        assert_int_equal(e.code, cases[i].code);
        if (e.code == ERR_OK)
            assert_int_equal(u.status, cases[i].status);
    }
}

static void errors(void **state)
{
    static const struct {
        long status;
        const char *body, *challenge;
        bool changes;
        enum err_code code;
        const char *words;
    } cases[] = {
        {400, ERROR("E0000001"), NULL, true, ERR_REFUSED, "E0000001: the user's status"},
        {401, ERROR("E0000011"), NULL, false, ERR_AUTH, "expired"},
        {403, ERROR("E0000006"), NULL, true, ERR_DENIED, "admin role"},
        {403, "", "Bearer authorization_uri=\"x\", error=\"insufficient_scope\"", true, ERR_DENIED,
         "lacks a scope"},
        {403, "<html>nginx</html>", NULL, true, ERR_DENIED, "not allowed"},
        {404, ERROR("E0000007"), NULL, false, ERR_NOTFOUND, "no such user"},
        {429, ERROR("E0000047"), NULL, false, ERR_BUSY, "rate limit"},
        {429, "", NULL, true, ERR_BUSY, "429"},
        {500, ERROR("E0000009"), NULL, true, ERR_UNPROVEN, "E0000009"},
        {500, ERROR("E0000009"), NULL, false, ERR_TIMEOUT, "E0000009"},
        {503, "", NULL, true, ERR_UNPROVEN, "503"},
        {503, "", NULL, false, ERR_BUSY, "503"},
        {302, "", NULL, true, ERR_UNPROVEN, "302"},
        {302, "", NULL, false, ERR_INVALID, "302"},
        {409, "{\"errorSummary\":\"a\\u001b[0m\"}", NULL, true, ERR_REFUSED, "a\\x1b[0m"},
        {418, "{\"errorCode\":7,\"errorSummary\":{}}", NULL, true, ERR_REFUSED, "418"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_NONE;

        assert_int_equal(okta_read_error(cases[i].status, cases[i].body, strlen(cases[i].body),
                                         cases[i].challenge, "req-9", cases[i].changes, &e),
                         -1);
        if (e.code != cases[i].code || strstr(e.msg, cases[i].words) == NULL ||
            strstr(e.msg, "req-9") == NULL || strpbrk(e.msg, "\x1b\r\n") != NULL)
            fail_msg("%zu: %s: %s", i, err_word(e.code), e.msg);
    }
}

static void links(void **state)
{
    static const struct {
        const char *header, *url;
    } cases[] = {
        {"<https://a/b?after=1>; rel=\"next\"", "https://a/b?after=1"},
        {"<https://a/self>; rel=\"self\", <https://a/n>; rel=\"next\"", "https://a/n"},
        {"<https://a/n>;rel=next", "https://a/n"},
        {"<https://a/self>; rel=\"self\"", NULL},
        {"<https://a/n", NULL},
        {"<>; rel=\"next\"", NULL},
        {"", NULL},
        {"rel=\"next\"", NULL},
        {NULL, NULL},
    };
    char url[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(okta_next_link(cases[i].header, url, sizeof(url)), cases[i].url != NULL);
        if (cases[i].url != NULL)
            assert_string_equal(url, cases[i].url);
    }
    assert_false(okta_next_link("<https://a/bbbbbbbb>; rel=\"next\"", url, 8));
}

#define US "0oa1b2c3d4e5f6g7h8i9"
#define EVENT_BY(actor, uuid, type, result, when, target)                                        \
    "{\"uuid\":\"" uuid "\",\"eventType\":\"" type "\",\"outcome\":{\"result\":\"" result        \
    "\"},\"published\":\"" when "\"," actor "\"target\":[{\"type\":\"AppInstance\",\"id\":\"" ID \
    "\"}," target "]}"
#define EVENT(uuid, type, result, when, target) \
    EVENT_BY("\"actor\":{\"id\":\"" US "\",\"type\":\"App\"},", uuid, type, result, when, target)
#define FOREIGN(uuid, when)                                                                   \
    EVENT_BY("\"actor\":{\"id\":\"00uadmin000000000000\",\"type\":\"User\"},", uuid, SUSPEND, \
             "SUCCESS", when, ABOUT(ID))
#define ABOUT(id) "{\"type\":\"User\",\"id\":\"" id "\"}"
#define SUSPEND "user.lifecycle.suspend"
#define AT "2026-11-20T21:02:03.412Z"

static void events(void **state)
{
    static const struct {
        const char *list;
        enum { NONE, OURS, THEIRS } want;
        enum err_code code;
    } cases[] = {
        /* whose is it? */
        {"[" FOREIGN("u1", AT) "," FOREIGN("u2", AT) "]", THEIRS, ERR_OK},
        {"[" FOREIGN("u0", AT) "," EVENT("u1", SUSPEND, "SUCCESS", AT, ABOUT(ID)) "," EVENT(
             "u2", SUSPEND, "SUCCESS", AT, ABOUT(ID)) "]",
         OURS, ERR_OK},
        {"[" EVENT_BY("\"actor\":{\"alternateId\":\"" US "\"},", "u1", SUSPEND, "SUCCESS", AT,
                      ABOUT(ID)) "]",
         THEIRS, ERR_OK},
        {"[" EVENT_BY("", "u1", SUSPEND, "SUCCESS", AT, ABOUT(ID)) "]", THEIRS, ERR_OK},
        {"[" EVENT("u1", SUSPEND, "SUCCESS", AT, ABOUT(ID)) "]", OURS, ERR_OK},
        {"[" EVENT("u0", SUSPEND, "SUCCESS", AT, ABOUT(ID2)) "," EVENT("u1", SUSPEND, "SUCCESS", AT,
                                                                       ABOUT(ID)) "]",
         OURS, ERR_OK},
        {"[7,null,{}," EVENT("u1", SUSPEND, "SUCCESS", AT, ABOUT(ID)) "]", OURS, ERR_OK},
        {"[" EVENT("u1", SUSPEND, "FAILURE", AT, ABOUT(ID)) "]", NONE, ERR_OK},
        {"[" EVENT("u1", "user.lifecycle.unsuspend", "SUCCESS", AT, ABOUT(ID)) "]", NONE, ERR_OK},
        {"[" EVENT("u1", SUSPEND, "SUCCESS", AT, ABOUT(ID2)) "]", NONE, ERR_OK},
        {"[" EVENT("u1", SUSPEND, "SUCCESS", AT, "{\"type\":\"AppUser\",\"id\":\"" ID "\"}") "]",
         NONE, ERR_OK},
        {"[" EVENT("u1", SUSPEND, "SUCCESS", "2026-11-20T21:01:50Z", ABOUT(ID)) "]", NONE, ERR_OK},
        {"[" EVENT("", SUSPEND, "SUCCESS", AT, ABOUT(ID)) "]", NONE, ERR_OK},
        {"[" EVENT("u\\u001b", SUSPEND, "SUCCESS", AT, ABOUT(ID)) "]", NONE, ERR_OK},
        {"[]", NONE, ERR_OK},
        {"{}", NONE, ERR_INVALID},
    };
    int64_t since = 1795208523000; /* 2026-11-20T21:02:03Z */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) struct cJSON *j = sim_json(cases[i].list);
        struct okta_event ev;
        struct err e = ERR_NONE;
        bool found = false;

        struct okta_expect x = {.id = ID, .type = SUSPEND, .actor = US, .since_ms = since};

        assert_int_equal(okta_read_events(j, &x, &ev, &found, &e),
                         cases[i].code == ERR_OK ? 0 : -1);
        assert_int_equal(e.code, cases[i].code);
        if ((!found ? NONE : ev.ours ? OURS : THEIRS) != cases[i].want)
            fail_msg("%zu", i);
        if (found)
            assert_string_equal(ev.uuid, "u1");
        /* Not where the user's status changed after it, before we sent anything. */
        x.after_ms = 1795208523412;
        found = false;
        (void)okta_read_events(j, &x, &ev, &found, &e);
        assert_false(found);
    }
}

/* --- finding --------------------------------------------------------------------------- */

struct got {
    unsigned calls;
    bool has_user, has_event;
    struct okta_user u;
    struct okta_result r;
    struct okta_event ev;
    struct err e;
    bool failed;
};

static void keep(struct got *g, const struct err *e)
{
    g->calls++;
    g->failed = e != NULL;
    if (e != NULL)
        g->e = *e;
}

static void on_user(void *arg, const struct okta_user *u, const struct err *e)
{
    struct got *g = arg;

    keep(g, e);
    assert_true((u != NULL) == (e == NULL));
    if (u != NULL)
        g->u = *u;
}

static void on_changed(void *arg, const struct okta_result *r, const struct err *e)
{
    struct got *g = arg;

    keep(g, e);
    g->r = *r;
}

static void on_done(void *arg, const char *request_id, int64_t sent_ms, const struct err *e)
{
    (void)sent_ms;
    assert_non_null(request_id);
    keep(arg, e);
}

static void on_event(void *arg, const struct okta_event *ev, const struct err *e)
{
    struct got *g = arg;

    keep(g, e);
    g->has_event = ev != NULL;
    if (ev != NULL)
        g->ev = *ev;
}

static struct okta *new_okta(const struct sim_says *script, size_t n)
{
    struct okta *o = NULL;
    struct err e;

    sim_script(script, n);
    if (okta_new(NULL, NULL, NULL, ROOT, &o, &e) < 0)
        assert_int_equal(e.code, ERR_NOMEM);
    return o;
}

#define BY_LOGIN \
    ROOT "/api/v1/users?limit=10&filter=profile.login%20eq%20%22alice%40corp.example%22"
#define LIST(...) "[" __VA_ARGS__ "]"
#define GET(where, json)                          \
    {                                             \
        "GET", where, .status = 200, .body = json \
    }

static void found(void **state)
{
    static const struct {
        enum okta_by by;
        const char *typed;
        struct sim_says says[4];
        size_t n;
        enum err_code code;
        const char *words;
    } cases[] = {
        {OKTA_BY_ID, ID, {GET(USERS ID, USER("ACTIVE"))}, 1, ERR_OK, ""},
        {OKTA_BY_ID,
         ID,
         {GET(USERS ID, USER_WITH(ID2, "ACTIVE", "a", ""))},
         1,
         ERR_INVALID,
         "another user"},
        {OKTA_BY_ID, ID, {{"GET", USERS ID, .status = 200, .body = "<html>"}}, 1, ERR_INVALID, ""},
        {OKTA_BY_ID,
         ID,
         {{"GET", USERS ID, .status = 404, .body = ERROR("E0000007")}},
         1,
         ERR_NOTFOUND,
         "no such user"},
        {OKTA_BY_ID, ID, {{"GET", USERS ID, .code = ERR_TIMEOUT}}, 1, ERR_TIMEOUT, ""},
        /* a new token, once */
        {OKTA_BY_ID,
         ID,
         {{"GET", USERS ID, .status = 401, .body = ERROR("E0000011")},
          GET(USERS ID, USER("ACTIVE"))},
         2,
         ERR_OK,
         ""},
        {OKTA_BY_ID,
         ID,
         {{"GET", USERS ID, .status = 401, .body = ERROR("E0000011")},
          {"GET", USERS ID, .status = 401, .body = ERROR("E0000011")}},
         2,
         ERR_AUTH,
         "expired"},
        {OKTA_BY_LOGIN,
         "alice@corp.example",
         {GET(BY_LOGIN, LIST(USER("ACTIVE"))), GET(USERS ID, USER("LOCKED_OUT"))},
         2,
         ERR_OK,
         ""},
        /* deactivated ones do not count */
        {OKTA_BY_LOGIN,
         "alice@corp.example",
         {GET(BY_LOGIN,
              LIST(USER_WITH(ID2, "DEPROVISIONED", "alice@corp.example", "") "," USER("ACTIVE"))),
          GET(USERS ID, USER("ACTIVE"))},
         2,
         ERR_OK,
         ""},
        {OKTA_BY_LOGIN,
         "alice@corp.example",
         {GET(BY_LOGIN,
              LIST(USER("ACTIVE") "," USER_WITH(ID2, "STAGED", "alice@corp.example", "")))},
         1,
         ERR_AMBIGUOUS,
         ID2},
        /* the second page, on our root */
        {OKTA_BY_LOGIN,
         "alice@corp.example",
         {{"GET", BY_LOGIN, .status = 200, .body = LIST(USER("ACTIVE")),
           .link = "<https://corp.okta.com/api/v1/users?after=x>; rel=\"next\""},
          GET("https://corp.okta.com/api/v1/users?after=x",
              LIST(USER_WITH(ID2, "ACTIVE", "ALICE@corp.example", "")))},
         2,
         ERR_AMBIGUOUS,
         ID2},
        {OKTA_BY_LOGIN,
         "alice@corp.example",
         {{"GET", BY_LOGIN, .status = 200, .body = LIST(USER("ACTIVE")),
           .link = "<https://corp.okta.com.evil.example/api/v1/users?after=x>; rel=\"next\""}},
         1,
         ERR_INVALID,
         "another host"},
        /* H3: a list that goes round in circles */
        {OKTA_BY_LOGIN,
         "alice@corp.example",
         {{"GET", BY_LOGIN, .status = 200, .body = LIST(USER("ACTIVE")),
           .link = "<https://corp.okta.com/api/v1/users?after=x>; rel=\"next\""},
          {"GET", "https://corp.okta.com/api/v1/users?after=x", .status = 200, .body = "[]",
           .link = "<https://corp.okta.com/api/v1/users?after=y>; rel=\"next\""},
          {"GET", "https://corp.okta.com/api/v1/users?after=y", .status = 200, .body = "[]",
           .link = "<https://corp.okta.com/api/v1/users?after=x>; rel=\"next\""}},
         3,
         ERR_INVALID,
         "in circles"},
        /* H6: the page of something in between */
        {OKTA_BY_LOGIN,
         "alice@corp.example",
         {{"GET", BY_LOGIN, .status = 200, .body = "[]", .type = "text/html"}},
         1,
         ERR_INVALID,
         "is text/html"},
        /* a list that is not what was asked for */
        {OKTA_BY_LOGIN,
         "alice@corp.example",
         {GET(BY_LOGIN, LIST(USER_WITH(ID2, "ACTIVE", "bob@corp.example", "")))},
         1,
         ERR_INVALID,
         "not asked for"},
        {OKTA_BY_LOGIN,
         "alice@corp.example",
         {GET(BY_LOGIN, USER("ACTIVE"))},
         1,
         ERR_INVALID,
         "no list"},
        /* in another case, and as a short login */
        {OKTA_BY_LOGIN,
         "Alice@corp.example",
         {GET("filter=profile.login%20eq%20%22Alice%40corp.example%22", "[]"),
          GET(USERS "Alice%40corp.example", USER("ACTIVE"))},
         2,
         ERR_OK,
         ""},
        {OKTA_BY_LOGIN,
         "alice",
         {GET("%22alice%22", "[]"), GET(USERS "alice", USER("ACTIVE"))},
         2,
         ERR_OK,
         ""},
        {OKTA_BY_LOGIN,
         "alic",
         {GET("%22alic%22", "[]"), GET(USERS "alic", USER("ACTIVE"))},
         2,
         ERR_NOTFOUND,
         "alic"},
        {OKTA_BY_LOGIN,
         "alice",
         {GET("%22alice%22", "[]"), GET(USERS "alice", USER("DEPROVISIONED"))},
         2,
         ERR_NOTFOUND,
         "deactivated"},
        {OKTA_BY_LOGIN,
         "alice",
         {GET("%22alice%22", "[]"), {"GET", USERS "alice", .status = 404, .body = ""}},
         2,
         ERR_NOTFOUND,
         ""},
        /* nothing that is typed leaves its place */
        {OKTA_BY_LOGIN, "a/b", {GET("%22a%2Fb%22", "[]")}, 1, ERR_NOTFOUND, "a/b"},
        {OKTA_BY_LOGIN, "..", {GET("%22..%22", "[]")}, 1, ERR_NOTFOUND, ""},
        {OKTA_BY_MAIL,
         "a\" or id pr \\",
         {GET("%22a%5C%22%20or%20id%20pr%20%5C%5C%22", "[]")},
         1,
         ERR_NOTFOUND,
         ""},
        {OKTA_BY_MAIL,
         "ALICE@corp.example",
         {GET("filter=profile.email%20eq%20%22ALICE%40corp.example%22", LIST(USER("ACTIVE"))),
          GET(USERS ID, USER("ACTIVE"))},
         2,
         ERR_OK,
         ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct okta *o = new_okta(cases[i].says, cases[i].n);
        struct okta_call *c = NULL;
        struct got g = {0};
        struct err e;

        assert_int_equal(okta_find_start(o, cases[i].by, cases[i].typed, on_user, &g, &c, &e), 0);
        assert_int_equal(g.calls, 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        if (g.failed ? g.e.code != cases[i].code || strstr(g.e.msg, cases[i].words) == NULL
                     : cases[i].code != ERR_OK)
            fail_msg("%zu: %s", i, g.failed ? g.e.msg : "no error");
        if (!g.failed)
            assert_string_equal(g.u.id, ID);
        okta_free(o);
        sim_end();
    }
}

static void not_asked(void **state)
{
    struct okta *o = new_okta(NULL, 0);
    struct got g = {0};
    struct err e;

    (void)state;
    assert_int_equal(okta_read_start(o, "../../x", on_user, &g, NULL, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
    assert_int_equal(okta_read_start(o, NULL, on_user, &g, NULL, &e), -1);
    assert_int_equal(okta_find_start(o, OKTA_BY_LOGIN, "", on_user, &g, NULL, &e), -1);
    assert_int_equal(okta_find_start(o, OKTA_BY_MAIL, "\xff", on_user, &g, NULL, &e), -1);
    assert_int_equal(okta_change_start(o, "x", OKTA_SUSPEND, on_changed, &g, NULL, &e), -1);
    assert_int_equal(okta_clear_sessions_start(o, "x", on_done, &g, NULL, &e), -1);
    assert_int_equal(okta_confirm_start(o, &(struct okta_expect){.id = ID, .type = "a\" or \""}, 0,
                                        on_event, &g, NULL, &e),
                     -1);
    okta_free(o);
    sim_end();
}

/* --- changes --------------------------------------------------------------------------- */

#define LOOK(status) GET(USERS ID, USER(status))
#define POST_SUSPEND "POST", USERS ID "/lifecycle/suspend"
#define SENT(st)                                 \
    {                                            \
        POST_SUSPEND, .status = st, .body = "{}" \
    }

static void suspended(void **state)
{
    static const struct {
        struct sim_says says[8];
        size_t n;
        enum okta_outcome want;
        bool sent, accepted, failed;
        enum err_code code;
    } cases[] = {
        /* it went well */
        {{LOOK("ACTIVE"), SENT(200), LOOK("SUSPENDED")}, 3, OKTA_DONE, true, true, false, 0},
        {{LOOK("ACTIVE"), {POST_SUSPEND, .status = 204}, LOOK("SUSPENDED")},
         3,
         OKTA_DONE,
         true,
         true,
         false,
         0},
        {{LOOK("ACTIVE"), SENT(200), LOOK("ACTIVE"), LOOK("SUSPENDED")},
         4,
         OKTA_DONE,
         true,
         true,
         false,
         0},
        /* nothing to do, or nothing that can be done */
        {{LOOK("SUSPENDED")}, 1, OKTA_ALREADY, false, false, false, 0},
        {{LOOK("DEPROVISIONED")}, 1, OKTA_GONE, false, false, false, 0},
        {{LOOK("LOCKED_OUT")}, 1, OKTA_CANNOT, false, false, false, 0},
        {{LOOK("PASSWORD_EXPIRED")}, 1, OKTA_CANNOT, false, false, false, 0},
        {{LOOK("STAGED")}, 1, OKTA_CANNOT, false, false, false, 0},
        {{LOOK("SOMETHING_NEW")}, 1, OKTA_CANNOT, false, false, false, 0},
        {{GET(USERS ID,
              USER_WITH(ID, "ACTIVE", "a", ",\"transitioningToStatus\":\"DEPROVISIONED\""))},
         1,
         OKTA_LATER,
         false,
         false,
         false,
         0},
        {{GET(USERS ID, USER_WITH(ID, "ACTIVE", "a", ",\"transitioningToStatus\":null")), SENT(200),
          LOOK("SUSPENDED")},
         3,
         OKTA_DONE,
         true,
         true,
         false,
         0},
        /* the look before fails: nothing is sent */
        {{{"GET", USERS ID, .code = ERR_UNSENT}}, 1, OKTA_NOT_DONE, false, false, true, ERR_UNSENT},
        {{{"GET", USERS ID, .status = 403, .body = ""}},
         1,
         OKTA_NOT_DONE,
         false,
         false,
         true,
         ERR_DENIED},
        {{GET(USERS ID, USER_WITH(ID2, "ACTIVE", "a", ""))},
         1,
         OKTA_NOT_DONE,
         false,
         false,
         true,
         ERR_INVALID},
        /* clear refusals */
        {{LOOK("ACTIVE"), {POST_SUSPEND, .status = 403, .body = ERROR("E0000006")}},
         2,
         OKTA_NOT_DONE,
         true,
         false,
         true,
         ERR_DENIED},
        {{LOOK("ACTIVE"), {POST_SUSPEND, .code = ERR_UNSENT}},
         2,
         OKTA_NOT_DONE,
         false,
         false,
         true,
         ERR_UNSENT},
        {{LOOK("ACTIVE"), {POST_SUSPEND, .status = 429, .body = ""}},
         2,
         OKTA_NOT_DONE,
         true,
         false,
         true,
         ERR_BUSY},
        /* somebody was faster; or the status changed */
        {{LOOK("ACTIVE"),
          {POST_SUSPEND, .status = 400, .body = ERROR("E0000001")},
          LOOK("SUSPENDED")},
         3,
         OKTA_ALREADY,
         true,
         false,
         false,
         0},
        {{LOOK("ACTIVE"),
          {POST_SUSPEND, .status = 400, .body = ERROR("E0000001")},
          LOOK("LOCKED_OUT")},
         3,
         OKTA_NOT_DONE,
         true,
         false,
         true,
         ERR_REFUSED},
        {{LOOK("ACTIVE"),
          {POST_SUSPEND, .status = 400, .body = ""},
          {"GET", USERS ID, .code = ERR_TIMEOUT}},
         3,
         OKTA_NOT_DONE,
         true,
         false,
         true,
         ERR_REFUSED},
        /* unclear ends: look, and never send again */
        {{LOOK("ACTIVE"), {POST_SUSPEND, .code = ERR_UNPROVEN}, LOOK("SUSPENDED")},
         3,
         OKTA_DONE,
         true,
         false,
         false,
         0},
        {{LOOK("ACTIVE"),
          {POST_SUSPEND, .status = 502, .body = "<html>"},
          LOOK("ACTIVE"),
          LOOK("SUSPENDED")},
         4,
         OKTA_DONE,
         true,
         false,
         false,
         0},
        {{LOOK("ACTIVE"),
          {POST_SUSPEND, .code = ERR_UNPROVEN},
          LOOK("ACTIVE"),
          LOOK("ACTIVE"),
          LOOK("ACTIVE"),
          LOOK("ACTIVE")},
         6,
         OKTA_UNPROVEN,
         true,
         false,
         true,
         ERR_UNPROVEN},
        {{LOOK("ACTIVE"),
          {POST_SUSPEND, .status = 500, .body = ""},
          {"GET", USERS ID, .code = ERR_TIMEOUT}},
         3,
         OKTA_UNPROVEN,
         true,
         false,
         true,
         ERR_UNPROVEN},
        {{LOOK("ACTIVE"),
          {POST_SUSPEND, .status = 400, .body = "", .unclear = true},
          LOOK("SUSPENDED")},
         3,
         OKTA_DONE,
         true,
         false,
         false,
         0},
        {{LOOK("ACTIVE"),
          {POST_SUSPEND, .status = 403, .body = "", .unclear = true},
          {"GET", USERS ID, .code = ERR_TIMEOUT}},
         3,
         OKTA_UNPROVEN,
         true,
         false,
         true,
         ERR_UNPROVEN},
        {{LOOK("ACTIVE"), {POST_SUSPEND, .status = 302, .body = ""}, LOOK("SUSPENDED")},
         3,
         OKTA_DONE,
         true,
         false,
         false,
         0},
        /* accepted, and a lie */
        {{LOOK("ACTIVE"), SENT(200), LOOK("ACTIVE"), LOOK("ACTIVE"), LOOK("ACTIVE"),
          LOOK("ACTIVE")},
         6,
         OKTA_NOT_SO,
         true,
         true,
         true,
         ERR_CONFLICT},
        {{LOOK("ACTIVE"), SENT(200), {"GET", USERS ID, .code = ERR_TIMEOUT}},
         3,
         OKTA_UNPROVEN,
         true,
         true,
         true,
         ERR_UNPROVEN},
        {{LOOK("ACTIVE"), SENT(200), GET(USERS ID, USER_WITH(ID2, "SUSPENDED", "a", ""))},
         3,
         OKTA_UNPROVEN,
         true,
         true,
         true,
         ERR_UNPROVEN},
        /* the token is renewed in between */
        {{LOOK("ACTIVE"), {POST_SUSPEND, .status = 401, .body = ""}, SENT(200), LOOK("SUSPENDED")},
         4,
         OKTA_DONE,
         true,
         true,
         false,
         0},
        {{LOOK("ACTIVE"),
          {POST_SUSPEND, .status = 401, .body = ""},
          {POST_SUSPEND, .status = 401, .body = ""}},
         3,
         OKTA_NOT_DONE,
         true,
         false,
         true,
         ERR_AUTH},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct okta *o = new_okta(cases[i].says, cases[i].n);
        struct okta_call *c = NULL;
        struct got g = {0};
        struct err e;

        assert_int_equal(okta_change_start(o, ID, OKTA_SUSPEND, on_changed, &g, &c, &e), 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        if (g.r.outcome != cases[i].want || g.r.sent != cases[i].sent ||
            g.r.accepted != cases[i].accepted || g.failed != cases[i].failed ||
            (g.failed && g.e.code != cases[i].code))
            fail_msg("%zu: %s sent %d accepted %d: %s", i, okta_outcome_word(g.r.outcome), g.r.sent,
                     g.r.accepted, g.failed ? g.e.msg : g.r.words);
        assert_string_not_equal(g.r.words, "");
        okta_free(o);
        sim_end();
    }
}

static void others(void **state)
{
    static const struct {
        enum okta_change change;
        const char *before, *path, *after;
        enum okta_outcome want;
    } cases[] = {
        {OKTA_UNSUSPEND, USER("SUSPENDED"), "/lifecycle/unsuspend", USER("ACTIVE"), OKTA_DONE},
        {OKTA_UNSUSPEND, USER("ACTIVE"), NULL, NULL, OKTA_ALREADY},
        {OKTA_UNSUSPEND, USER("DEPROVISIONED"), NULL, NULL, OKTA_CANNOT},
        {OKTA_UNSUSPEND, USER("LOCKED_OUT"), NULL, NULL, OKTA_CANNOT},
        {OKTA_DEACTIVATE, USER("LOCKED_OUT"), "/lifecycle/deactivate?sendEmail=false",
         USER("DEPROVISIONED"), OKTA_DONE},
        {OKTA_DEACTIVATE, USER("DEPROVISIONED"), NULL, NULL, OKTA_ALREADY},
        {OKTA_DEACTIVATE, USER("NEW_ONE"), NULL, NULL, OKTA_CANNOT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct sim_says script[] = {
            {"GET", USERS ID, .status = 200, .body = cases[i].before},
            {"POST", cases[i].path, .status = 200, .body = ""},
            {"GET", USERS ID, .status = 200, .body = cases[i].after},
        };
        struct okta *o = new_okta(script, cases[i].path != NULL ? 3 : 1);
        struct got g = {0};
        struct err e;

        assert_int_equal(okta_change_start(o, ID, cases[i].change, on_changed, &g, NULL, &e), 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        assert_int_equal(g.r.outcome, cases[i].want);
        okta_free(o);
        sim_end();
    }
}

static void canceled(void **state)
{
    static const struct sim_says script[] = {
        LOOK("ACTIVE"), {POST_SUSPEND, .status = 200, .body = "{}", .after_ms = 5000}};
    static const uint64_t when[] = {0, 1, 2, 3, 1000};

    (void)state;
    /* In each stage: before the token, between, while it is out. */
    for (size_t i = 0; i < ARRAY_LEN(when); i++) {
        struct okta *o = new_okta(script, ARRAY_LEN(script));
        struct okta_call *c = NULL;
        struct got g = {0};
        struct err e;
        bool sent;

        assert_int_equal(okta_change_start(o, ID, OKTA_SUSPEND, on_changed, &g, &c, &e), 0);
        sim_pass(when[i]);
        assert_int_equal(g.calls, 0);
        sent = sim.script_at == 2;
        okta_cancel(c);
        okta_cancel(c);
        assert_int_equal(g.calls, 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        assert_true(g.failed);
        assert_int_equal(g.r.outcome, sent ? OKTA_UNPROVEN : OKTA_NOT_DONE);
        assert_int_equal(g.r.sent, sent);
        assert_int_equal(g.e.code, sent ? ERR_UNPROVEN : ERR_CANCELED);
        okta_free(o);
        sim.script_at = sim.script_count;
        sim_end();
    }
}

static void freed_half_way(void **state)
{
    static const struct sim_says script[] = {LOOK("ACTIVE"), SENT(200), LOOK("ACTIVE"),
                                             LOOK("SUSPENDED")};

    (void)state;
    for (unsigned n = 0; n < 12; n++) {
        struct okta *o = new_okta(script, ARRAY_LEN(script));
        struct got g = {0};
        struct err e;

        assert_int_equal(okta_change_start(o, ID, OKTA_SUSPEND, on_changed, &g, NULL, &e), 0);
        for (unsigned i = 0; i < n && sim.timers != NULL && g.calls == 0; i++)
            sim_step();
        okta_free(o);
        sim.script_at = sim.script_count;
        sim_end();
    }
}

/* --- sessions and the log -------------------------------------------------------------- */

static void sessions(void **state)
{
    static const struct {
        struct sim_says says;
        enum err_code code;
    } cases[] = {
        {{"DELETE", USERS ID "/sessions?oauthTokens=true&forgetDevices=true", .status = 204},
         ERR_OK},
        {{"DELETE", "/sessions", .status = 403, .body = ERROR("E0000006")}, ERR_DENIED},
        {{"DELETE", "/sessions", .status = 404, .body = ""}, ERR_NOTFOUND},
        {{"DELETE", "/sessions", .status = 500, .body = ""}, ERR_UNPROVEN},
        {{"DELETE", "/sessions", .code = ERR_UNPROVEN}, ERR_UNPROVEN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct okta *o = new_okta(&cases[i].says, 1);
        struct got g = {0};
        struct err e;

        assert_int_equal(okta_clear_sessions_start(o, ID, on_done, &g, NULL, &e), 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        assert_int_equal(g.failed, cases[i].code != ERR_OK);
        if (g.failed)
            assert_int_equal(g.e.code, cases[i].code);
        okta_free(o);
        sim_end();
    }
}

#define LOGS \
    "/api/v1/logs?limit=100&since=2026-11-20T21%3A01%3A03.000Z&filter=eventType%20eq%20%22user"
#define LOG(json)                                \
    {                                            \
        "GET", LOGS, .status = 200, .body = json \
    }

static void confirmed(void **state)
{
    static const struct {
        struct sim_says says[5];
        size_t n;
        uint64_t wait_ms;
        enum { NONE, OURS, THEIRS, FAILED } want;
    } cases[] = {
        /* somebody else's does not end the waiting, and is told only where there is no better */
        {{LOG(LIST(FOREIGN("u0", AT))), LOG(LIST(EVENT("u1", SUSPEND, "SUCCESS", AT, ABOUT(ID))))},
         2,
         60000,
         OURS},
        {{LOG(LIST(FOREIGN("u1", AT))), LOG("[]")}, 2, 1500, THEIRS},
        {{LOG("[]"), {"GET", LOGS, .status = 429, .body = ERROR("E0000047")}}, 2, 60000, FAILED},
        {{LOG(LIST(EVENT("u1", SUSPEND, "SUCCESS", AT, ABOUT(ID))))}, 1, 0, OURS},
        {{LOG("[]")}, 1, 0, NONE},
        {{LOG("[]"), LOG("[]"), LOG(LIST(EVENT("u1", SUSPEND, "SUCCESS", AT, ABOUT(ID))))},
         3,
         60000,
         OURS},
        {{LOG("[]"), LOG("[]"), LOG("[]"), LOG("[]")}, 4, 5000, NONE},
        {{LOG("[]"),
          {"GET", LOGS, .code = ERR_TIMEOUT},
          LOG(LIST(EVENT("u1", SUSPEND, "SUCCESS", AT, ABOUT(ID))))},
         3,
         60000,
         OURS},
        {{{"GET", LOGS, .status = 403, .body = ERROR("E0000006")}}, 1, 60000, FAILED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct okta *o = new_okta(cases[i].says, cases[i].n);
        struct got g = {0};
        struct err e;

        const struct okta_expect x = {
            .id = ID, .type = SUSPEND, .actor = US, .since_ms = 1795208523000};

        assert_int_equal(okta_confirm_start(o, &x, cases[i].wait_ms, on_event, &g, NULL, &e), 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        if ((g.failed ? FAILED : !g.has_event ? NONE : g.ev.ours ? OURS : THEIRS) != cases[i].want)
            fail_msg("%zu", i);
        if (g.has_event)
            assert_string_equal(g.ev.uuid, "u1");
        okta_free(o);
        sim_end();
    }
}

static void whose_token(void **state)
{
    static const struct sim_says script[] = {
        GET(USERS "me", USER_WITH(ID2, "ACTIVE", "admin@corp.example", "")),
        {"GET", USERS "me", .status = 403, .body = ERROR("E0000006")}};
    struct okta *o = new_okta(script, ARRAY_LEN(script));
    struct got g[2] = {{0}};
    struct err e;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(okta_me_start(o, on_user, &g[i], NULL, &e), 0);
        sim_run();
    }
    assert_false(g[0].failed);
    assert_string_equal(g[0].u.id, ID2);
    assert_int_equal(g[1].e.code, ERR_DENIED);
    okta_free(o);
    sim_end();
}

static void no_memory(void **state)
{
    static const struct sim_says script[] = {GET(BY_LOGIN, LIST(USER("ACTIVE"))),
                                             GET(USERS ID, USER("ACTIVE")),
                                             LOOK("ACTIVE"),
                                             SENT(200),
                                             LOOK("ACTIVE"),
                                             LOOK("SUSPENDED")};

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        struct okta *o = new_okta(script, ARRAY_LEN(script));
        struct got g[2] = {{0}};
        struct err e;

        if (o == NULL)
            continue;
        if (okta_find_start(o, OKTA_BY_LOGIN, "alice@corp.example", on_user, &g[0], NULL, &e) ==
            0) {
            sim_run();
            assert_int_equal(g[0].calls, 1);
        }
        sim.script_at = 2;
        if (okta_change_start(o, ID, OKTA_SUSPEND, on_changed, &g[1], NULL, &e) == 0) {
            sim_run();
            assert_int_equal(g[1].calls, 1);
            /* Accepted is known by the answer; done only by a look. */
            if (g[1].r.outcome == OKTA_DONE)
                assert_int_equal(g[1].r.after.status, OKTA_SUSPENDED);
        }
        if (!alloc_failed)
            assert_int_equal(g[1].r.outcome, OKTA_DONE);
        okta_free(o);
        assert_null(sim.timers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),       cmocka_unit_test(users),          cmocka_unit_test(errors),
        cmocka_unit_test(links),     cmocka_unit_test(events),         cmocka_unit_test(found),
        cmocka_unit_test(not_asked), cmocka_unit_test(suspended),      cmocka_unit_test(others),
        cmocka_unit_test(canceled),  cmocka_unit_test(freed_half_way), cmocka_unit_test(sessions),
        cmocka_unit_test(confirmed), cmocka_unit_test(whose_token),    cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
