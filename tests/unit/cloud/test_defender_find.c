/* tests/unit/cloud/test_defender_find.c -- Defender for Endpoint: which machine is meant, whether
 * it could be used, and the script in its library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cloud/defender.h"

static void settings(void **state)
{
    static const struct defender_settings bad[] = {
        {.url = "http://api.example.com", .script = "a.ps1"},
        {.url = ROOT "/?x", .script = "a.ps1"},
        {.url = ROOT, .script = "a b.ps1"},
        {.url = ROOT, .script = NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct defender *d = NULL;
        struct err e;

        assert_int_equal(defender_new(NULL, NULL, NULL, &bad[i], &d, &e), -1);
        assert_int_equal(e.code, ERR_CONFIG);
    }
}

/* --- finding --------------------------------------------------------------------------- */

static void on_machine(void *arg, const struct defender_machine *m, const struct err *e)
{
    struct got *g = arg;

    keep(g, e);
    assert_true((m != NULL) == (e == NULL));
    if (m != NULL)
        g->m[0] = *m;
}

static void on_machines(void *arg, const struct defender_machine *m, size_t n, const struct err *e)
{
    struct got *g = arg;

    keep(g, e);
    assert_true((m != NULL) == (e == NULL));
    assert_true(n <= ARRAY_LEN(g->m));
    g->count = n;
    for (size_t i = 0; m != NULL && i < n; i++)
        g->m[i] = m[i];
}

static void found(void **state)
{
    static const struct {
        const char *host, *id;
        struct sim_says says[3];
        size_t n;
        enum err_code code;
        const char *words; /* or the id that is chosen */
    } cases[] = {
        {DC, NULL, SAYS(GET(BY_NAME, LIST(MACHINE(M1, "Active", NEW)))), .code = ERR_OK,
         .words = M1},
        {"DC01.Corp.Example.com", NULL, SAYS(GET(BY_NAME, LIST(MACHINE(M1, "Active", NEW)))),
         .code = ERR_OK, .words = M1},
        {DC, NULL, SAYS(GET(BY_NAME, LIST())), .code = ERR_NOTFOUND, .words = "knows no machine"},
        {DC, NULL, SAYS({"GET", BY_NAME, .status = 404, .body = ERROR("ResourceNotFound")}),
         .code = ERR_NOTFOUND, .words = "knows no machine"},
        /* a record from before, and one that was only discovered */
        {DC, NULL,
         SAYS(GET(BY_NAME,
                  LIST(MACHINE(M2, "Inactive", NEW) "," MACHINE(M1, "Active", OLD) "," MACHINE_WITH(
                      "a9e15a8b846d93d43d60000000000000000000aa", DC, "CanBeOnboarded", "Active",
                      "WindowsServer", NEW, "")))),
         .code = ERR_OK, .words = M1},
        {DC, NULL,
         SAYS(
             GET(BY_NAME, LIST(MACHINE(M2, "Inactive", OLD) "," MACHINE(M1, "NoSensorData", NEW)))),
         .code = ERR_OK, .words = M1},
        {DC, NULL,
         SAYS(GET(BY_NAME, LIST(MACHINE(M2, "Active", OLD) "," MACHINE(M1, "Active", NEW)))),
         .code = ERR_AMBIGUOUS, .words = "several machines"},
        {DC, NULL,
         SAYS(GET(BY_NAME, LIST(MACHINE(M2, "Inactive", NEW) "," MACHINE(M1, "Unknown", NEW)))),
         .code = ERR_AMBIGUOUS, .words = "several machines"},
        /* two that were equal do not matter where a third is better */
        {DC, NULL,
         SAYS(GET(BY_NAME, LIST(MACHINE(M2, "Inactive", NEW) "," MACHINE(
                               "a9e15a8b846d93d43d60000000000000000000aa", "Unknown",
                               NEW) "," MACHINE(M1, "Active", OLD)))),
         .code = ERR_OK, .words = M1},
        {DC, NULL,
         SAYS(GET(BY_NAME, LIST(MACHINE_WITH(M1, DC, "Onboarded", "Active", "WindowsServer2022",
                                             NEW, "\"x\",\"Restricted security operations\"")))),
         .code = ERR_UNSUPPORTED, .words = "restricted mode"},
        {DC, NULL,
         SAYS(
             GET(BY_NAME, LIST(MACHINE_WITH(M1, DC, "Onboarded", "Active", "Windows11", NEW, "")))),
         .code = ERR_NOTFOUND, .words = "no onboarded Windows server"},
        /* another name than was asked for, and a beginning of it */
        {DC, NULL,
         SAYS(GET(BY_NAME, LIST(MACHINE_WITH(M1, "dc01.corp.example.com.evil", "Onboarded",
                                             "Active", "WindowsServer2022", NEW, "")))),
         .code = ERR_NOTFOUND, .words = "knows no machine"},
        {DC, NULL, SAYS(GET(BY_NAME, LIST(MACHINE("../x", "Active", NEW)))), .code = ERR_INVALID,
         .words = "id"},
        {DC, NULL, SAYS(GET(BY_NAME, "{\"value\":{}}")), .code = ERR_INVALID, .words = "value"},
        {DC, NULL, SAYS(GET(BY_NAME, "<html>")), .code = ERR_INVALID, .words = "JSON"},
        {DC, NULL, SAYS({"GET", BY_NAME, .status = 403, .body = ERROR("Forbidden")}),
         .code = ERR_DENIED, .words = "Machine.Read.All"},
        {DC, NULL,
         SAYS({"GET", BY_NAME, .status = 401, .body = ERROR("Unauthorized")},
              GET(BY_NAME, LIST(MACHINE(M1, "Active", NEW)))),
         .code = ERR_OK, .words = M1},
        {DC, NULL, SAYS({"GET", BY_NAME, .status = 401}, {"GET", BY_NAME, .status = 401}),
         .code = ERR_AUTH, .words = "refused"},
        /* questions are asked again, and a throttle is waited for */
        {DC, NULL,
         SAYS({"GET", BY_NAME, .status = 429, .retry_after_ms = 20000},
              {"GET", BY_NAME, .status = 500}, GET(BY_NAME, LIST(MACHINE(M1, "Active", NEW)))),
         .code = ERR_OK, .words = M1},
        {DC, NULL, SAYS({"GET", BY_NAME, .status = 429, .retry_after_ms = 90000}), .code = ERR_BUSY,
         .words = "429"},
        /* pages */
        {DC, NULL,
         SAYS(GET(BY_NAME, "{\"value\":[],\"@odata.nextLink\":\"" ROOT "/api/machines?$skip=1\"}"),
              GET(ROOT "/api/machines?$skip=1", LIST(MACHINE(M1, "Active", NEW)))),
         .code = ERR_OK, .words = M1},
        {DC, NULL,
         SAYS(
             GET(BY_NAME, "{\"value\":[],\"@odata.nextLink\":\"https://evil.test/api/machines\"}")),
         .code = ERR_INVALID, .words = "another host"},
        {DC, NULL, SAYS(GET(BY_NAME, "{\"value\":[],\"@odata.nextLink\":\"" BY_NAME "\"}")),
         .code = ERR_INVALID, .words = "circles"},
        /* by id, the name is a cross-check */
        {NULL, M1, SAYS(GET("/api/machines/" M1, MACHINE(M1, "Active", NEW))), .code = ERR_OK,
         .words = M1},
        {DC, M1, SAYS(GET("/api/machines/" M1, MACHINE(M1, "Inactive", OLD))), .code = ERR_OK,
         .words = M1},
        {"dc02.corp.example.com", M1, SAYS(GET("/api/machines/" M1, MACHINE(M1, "Active", NEW))),
         .code = ERR_CONFLICT, .words = "not 'dc02"},
        {NULL, M1, SAYS(GET("/api/machines/" M1, MACHINE(M2, "Active", NEW))), .code = ERR_INVALID,
         .words = "another"},
        {NULL, M1,
         SAYS({"GET", "/api/machines/" M1, .status = 404, .body = ERROR("ResourceNotFound")}),
         .code = ERR_NOTFOUND, .words = "ResourceNotFound"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct defender *d = new_defender(cases[i].says, cases[i].n, NULL);
        struct got g = {0};
        struct err e;

        assert_int_equal(
            defender_find_start(d, cases[i].host, cases[i].id, on_machine, &g, NULL, &e), 0);
        assert_int_equal(g.calls, 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        if (g.e.code != cases[i].code ||
            strstr(g.failed ? g.e.msg : g.m[0].id, cases[i].words) == NULL)
            fail_msg("%zu: %s: %s %s", i, err_word(g.e.code), g.e.msg, g.m[0].id);
        defender_free(d);
        sim_end();
    }
}

static void not_asked(void **state)
{
    struct defender *d = new_defender(NULL, 0, NULL);
    struct defender_ask good = {.machine_id = M1, .payload = "eyJ2IjoxfQ", .nonce = NONCE}, ask;
    struct got g = {0};
    struct err e;

    (void)state;
    assert_int_equal(defender_find_start(d, "dc1' or '1' eq '1", NULL, on_machine, &g, NULL, &e),
                     -1);
    assert_int_equal(e.code, ERR_USAGE);
    assert_int_equal(defender_find_start(d, NULL, "dc1", on_machine, &g, NULL, &e), -1);
    assert_int_equal(defender_find_start(d, NULL, NULL, on_machine, &g, NULL, &e), -1);
    assert_int_equal(defender_tagged_start(d, "", on_machines, &g, NULL, &e), -1);
    for (unsigned i = 0; i < 7; i++) {
        static const char *const payloads_[] = {"c1_eyJ2IjoxfQ", "eyJ2IjoxfQ==", "eyJ2; iex x", ""};

        ask = good;
        if (i < 4)
            ask.payload = payloads_[i];
        else if (i == 4)
            ask.machine_id = "dc01";
        else if (i == 5)
            ask.nonce = "short";
        else
            ask.nonce = "0123456789abcdef'";
        assert_int_equal(defender_run_start(d, &ask, NULL, &g, NULL, &e), -1);
        assert_int_equal(e.code, ERR_USAGE);
    }
    assert_int_equal(defender_resume_start(d, "../x", NONCE, 0, NULL, &g, NULL, &e), -1);
    assert_int_equal(defender_publish_start(d, NULL, "", 0, NULL, &g, NULL, &e), -1);
    defender_free(d);
    sim_end();
    assert_int_equal(g.calls, 0);
}

static void tagged(void **state)
{
    static const struct sim_says script[] = {GET(
        "/api/machines?$filter=machineTags%2Fany%28tag%3A%20tag%20eq%20%27Bob%27%27s%20DC%27%29",
        LIST(MACHINE_WITH(M1, "dc01.a", "Onboarded", "Active", "WindowsServer2022", NEW, "\"Bob's DC\"") "," MACHINE_WITH(
            M2,
            "dc01.a", "Onboarded", "Inactive", "WindowsServer2022",
            NEW,
            "\"Bob's DC\"") "," MACHINE_WITH("a9e15a8b846d93d43d60000000000000000000aa", "dc02.a",
                                             "Onboarded", "Active",
                                             "WindowsServer2019", NEW,
                                             "\"bob's dc\"") "," MACHINE_WITH("a9e15a8b846d93d43d60"
                                                                              "0000"
                                                                              "00000000000000ab",
                                                                              "dc03.a", "Onboarded",
                                                                              "Active",
                                                                              "WindowsServer2019",
                                                                              NEW,
                                                                              "\"another\"")))};
    struct defender *d = new_defender(script, 1, NULL);
    struct got g = {0};
    struct err e;

    (void)state;
    assert_int_equal(defender_tagged_start(d, "Bob's DC", on_machines, &g, NULL, &e), 0);
    sim_run();
    assert_int_equal(g.calls, 1);
    assert_false(g.failed);
    assert_int_equal(g.count, 2);
    assert_string_equal(g.m[0].id, M1);
    assert_string_equal(g.m[1].name, "dc02.a");
    defender_free(d);
    sim_end();
}

/* --- readiness, publishing ------------------------------------------------------------- */

static void on_probe(void *arg, const struct defender_check *checks, size_t n)
{
    struct got *g = arg;

    g->calls++;
    assert_int_equal(n, DEFENDER_CHECKS);
    memcpy(g->checks, checks, n * sizeof(*checks));
}

/* "+" ok, "-" not, "." not known. */
static void shape(const struct got *g, char s[DEFENDER_CHECKS + 1])
{
    for (size_t i = 0; i < DEFENDER_CHECKS; i++) {
        assert_true(g->checks[i].known || !g->checks[i].ok);
        assert_true(g->checks[i].words[0] != '\0');
        s[i] = '.';
        if (g->checks[i].known)
            s[i] = g->checks[i].ok ? '+' : '-';
    }
    s[DEFENDER_CHECKS] = '\0';
}

#define PAST(json) GET("creationDateTimeUtc%20ge%20", json)

static void probes(void **state)
{
    static const struct {
        struct sim_says says[3];
        size_t n;
        const char *roles, *shape; /* token role machine health live script hash */
    } cases[] = {
        {{GET(BY_NAME, LIST(MACHINE(M1, "Active", NEW))), PAST(LIST(SUCCEEDED)),
          LIBRARY("cordon-dc.ps1", HASH)},
         3,
         ALL_ROLES,
         "+++++++"},
        {{GET(BY_NAME, LIST(MACHINE(M1, "Inactive", NEW))), PAST(LIST()),
          LIBRARY("cordon-dc.ps1",
                  "ba00000000000000000000000000000000000000000000000000000000000000")},
         3,
         ALL_ROLES,
         "+++-.+-"},
        {{GET(BY_NAME, LIST(MACHINE(M1, "Active", NEW))), PAST(LIST(SUCCEEDED "," PENDING))},
         2,
         " Machine.LiveResponse Machine.Read.All ",
         "++++-.."},
        {{GET(BY_NAME, LIST()), LIBRARY("x.ps1", HASH)}, 2, ALL_ROLES, "++-..-."},
        {{GET(BY_NAME, LIST(MACHINE_WITH(M1, DC, "Onboarded", "Active", "WindowsServer2022", NEW,
                                         "\"Restricted security operations\""))),
          LIBRARY("cordon-dc.ps1", HASH)},
         2,
         NULL,
         "+.+.-++"},
        {{{"GET", BY_NAME, .status = 401}, {"GET", BY_NAME, .status = 401}}, 2, NULL, "-......"},
        {{{"GET", BY_NAME, .status = 500},
          {"GET", BY_NAME, .status = 403, .body = ""},
          LIBRARY("cordon-dc.ps1", HASH)},
         3,
         " Library.Manage Machine.Read.All ",
         "+-...++"},
        {{LIBRARY("cordon-dc.ps1", HASH)}, 1, " Library.Manage ", "+-...++"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct defender *d = new_defender(cases[i].says, cases[i].n, known_hash);
        char s[DEFENDER_CHECKS + 1];
        struct got g = {0};
        struct err e;

        sim.roles = cases[i].roles;
        assert_int_equal(defender_probe_start(d, DC, NULL, on_probe, &g, NULL, &e), 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        shape(&g, s);
        if (strcmp(s, cases[i].shape) != 0)
            fail_msg("%zu: %s, not %s", i, s, cases[i].shape);
        defender_free(d);
        sim_end();
        sim.roles = NULL;
    }
}

static void no_token(void **state)
{
    struct defender *d = new_defender(NULL, 0, known_hash);
    struct got g = {0};
    char s[DEFENDER_CHECKS + 1];
    struct err e;

    (void)state;
    sim.token_code = ERR_NOTFOUND; /* the secret's file */
    assert_int_equal(defender_probe_start(d, DC, NULL, on_probe, &g, NULL, &e), 0);
    sim_run();
    shape(&g, s);
    assert_string_equal(s, "-......");
    assert_int_equal(defender_run_start(d, &disable, on_run, &g, NULL, &e), 0);
    sim_run();
    assert_int_equal(g.r.end, DEFENDER_FAILED);
    assert_int_equal(g.r.code, ERR_AUTH);
    defender_free(d);
    sim_end();
}

static void on_published(void *arg, const char *sha256_hex, const struct err *e)
{
    struct got *g = arg;

    keep(g, e);
    assert_true((sha256_hex != NULL) == (e == NULL));
    if (sha256_hex != NULL)
        (void)snprintf(g->hash, sizeof(g->hash), "%s", sha256_hex);
}

#define FILE_TEXT "Write-Output 'hello'\r\n"
#define FILE_HASH "e3b88d13ec7dcb51c0dc24fb6ba8a3fe8e1df5b8c5ee50bd4f8fc6e2e8f0e9ee"

static void published(void **state)
{
    static char right[256];
    static struct {
        struct sim_says says[2];
        size_t n;
        enum err_code code;
    } cases[] = {
        {{{"POST", "/api/libraryfiles", .status = 200, .body = "{}"},
          GET("/api/libraryfiles", right)},
         2,
         ERR_OK},
        /* its hash decides, whatever became of the answer */
        {{{"POST", "/api/libraryfiles", .status = 500, .body = ""},
          GET("/api/libraryfiles", right)},
         2,
         ERR_OK},
        {{{"POST", "/api/libraryfiles", .status = 200, .body = "{}"},
          LIBRARY("cordon-dc.ps1", HASH)},
         2,
         ERR_UNPROVEN},
        {{{"POST", "/api/libraryfiles", .code = ERR_UNPROVEN}, LIBRARY("cordon-dc.ps1", HASH)},
         2,
         ERR_UNPROVEN},
        {{{"POST", "/api/libraryfiles", .status = 200, .body = "{}"},
          {"GET", "/api/libraryfiles", .status = 403, .body = ""}},
         2,
         ERR_UNPROVEN},
        {{{"POST", "/api/libraryfiles", .status = 403, .body = ERROR("Forbidden")}}, 1, ERR_DENIED},
        {{{"POST", "/api/libraryfiles", .status = 400, .body = ERROR("BadRequest")}},
         1,
         ERR_REFUSED},
    };
    uint8_t raw[32];
    char hex[65];
    struct err e;

    (void)state;
    assert_int_equal(id_sha256(FILE_TEXT, strlen(FILE_TEXT), raw, &e), 0);
    id_hex(hex, raw, 32);
    (void)snprintf(right, sizeof(right),
                   "{\"value\":[{\"fileName\":\"cordon-dc.ps1\",\"sha256\":\"%s\"}]}", hex);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct defender *d = new_defender(cases[i].says, cases[i].n, NULL);
        struct got g = {0};

        assert_int_equal(defender_publish_start(d, NULL, FILE_TEXT, strlen(FILE_TEXT), on_published,
                                                &g, NULL, &e),
                         0);
        sim_run();
        assert_int_equal(g.calls, 1);
        if (g.e.code != cases[i].code)
            fail_msg("%zu: %s", i, g.e.msg);
        if (!g.failed)
            assert_string_equal(g.hash, hex);
        defender_free(d);
        sim_end();
    }
}

/* The form: each part between boundaries that are in no part. */
static void form(void **state)
{
    static const struct sim_says script[] = {
        {"POST", "/api/libraryfiles", .status = 403, .body = ERROR("Forbidden")}};
    static const char end[] = "--\r\n";
    struct defender *d = new_defender(script, 1, NULL);
    char boundary[128] = "--", *p;
    struct got g = {0};
    unsigned parts = 0;
    struct err e;

    (void)state;
    assert_int_equal(
        defender_publish_start(d, NULL, FILE_TEXT, strlen(FILE_TEXT), on_published, &g, NULL, &e),
        0);
    sim_run();
    p = strstr(sim.last_headers, "Content-Type: multipart/form-data; boundary=");
    assert_non_null(p);
    assert_int_equal(sscanf(strchr(p, '=') + 1, "%100s", boundary + 2), 1);
    assert_int_equal(strncmp(sim.last_body, boundary, strlen(boundary)), 0);
    for (p = sim.last_body; (p = strstr(p, boundary)) != NULL; p++)
        parts++;
    assert_int_equal(parts, 6); /* five, and the end */
    p = sim.last_body + strlen(sim.last_body) - strlen(end);
    assert_string_equal(p, end);
    assert_non_null(strstr(sim.last_body,
                           "name=\"file\"; filename=\"cordon-dc.ps1\"\r\nContent-Type: "
                           "application/octet-stream\r\n\r\n" FILE_TEXT "\r\n--"));
    assert_non_null(strstr(sim.last_body, "name=\"OverrideIfExists\"\r\n\r\ntrue\r\n--"));
    defender_free(d);
    sim_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings),  cmocka_unit_test(found),  cmocka_unit_test(not_asked),
        cmocka_unit_test(tagged),    cmocka_unit_test(probes), cmocka_unit_test(no_token),
        cmocka_unit_test(published), cmocka_unit_test(form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
