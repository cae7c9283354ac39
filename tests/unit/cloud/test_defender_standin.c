/* tests/unit/cloud/test_defender_standin.c -- Live Response against the stand-in: real requests,
 * checked by the service's description, and an account that is really changed, or is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/id.h"
#include "base/jws.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/defender.h"
#include "tests/unit/cloud/standin.h"

#define SID "S-1-5-21-3623811015-3361044348-30300820-1613"
#define ANNA "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a10"
#define DC "dc1.corp.example.com"
#define NONCE "0123456789abcdef"
#define SCRIPT "Write-Output 'it stands for the script'\r\n"

static struct token_source *token;
static struct defender *defender;

static struct {
    unsigned calls;
    struct defender_machine m;
    struct defender_result r;
    struct defender_check checks[8];
    size_t n;
    bool has_marker;
    struct err e;
} got;

/* A client as new as the stand-in's state: no token of before. */
static void fresh(void)
{
    struct token_settings t = {.kind = TOKEN_SECRET};
    struct defender_settings s = {.script = "cordon-dc.ps1", .wait_ms = 60};
    const char *hosts[1];
    uint8_t hash[ID_SHA256];
    struct err e;

    standin_fresh();
    defender_free(defender);
    token_free(token);
    t.scope = standin_env("STANDIN_DEFENDER");
    s.url = t.scope;
    hosts[0] = standin_env("STANDIN_STORE");
    t.login_url = standin_env("STANDIN_LOGIN");
    t.tenant = standin_env("STANDIN_TENANT");
    t.client_id = standin_env("STANDIN_CLIENT_ID");
    t.file = standin_path("secret");
    s.result_hosts = hosts;
    s.result_host_count = 1;
    assert_int_equal(id_sha256(SCRIPT, strlen(SCRIPT), hash, &e), 0);
    s.sha256 = hash;
    assert_int_equal(token_new(standin.loop, standin.http, &t, &token, &e), 0);
    assert_int_equal(defender_new(standin.loop, standin.http, token, &s, &defender, &e), 0);
    (void)standin_order("POST", "/defender/machines", "{\"computerDnsName\":\"" DC "\"}");
    (void)standin_order("POST", "/users",
                        "{\"kind\":\"hybrid\",\"id\":\"" ANNA "\",\"sid\":\"" SID "\"}");
    (void)standin_order("POST", "/defender/library",
                        "{\"fileName\":\"cordon-dc.ps1\",\"text\":"
                        "\"Write-Output 'it stands for the script'\\r\\n\"}");
    memset(&got, 0, sizeof(got));
}

static bool is_enabled(void)
{
    bool on = false;

    assert_true(
        json_bool(json_get(standin_order("GET", "/users/" ANNA, NULL), "ad"), "enabled", &on));
    return on;
}

static unsigned actions(void)
{
    unsigned n = 0;

    for (const struct cJSON *a = json_first(standin_order("GET", "/defender/actions", NULL));
         a != NULL; a = json_next(a))
        n++;
    return n;
}

static void setting(const char *json)
{
    (void)standin_order("PATCH", "/defender/settings", json);
}

static void there(const char *json)
{
    (void)standin_order("PATCH", "/defender/machines/" DC, json);
}

static void on_machine(void *arg, const struct defender_machine *m, const struct err *e)
{
    (void)arg;
    got.calls++;
    if (m != NULL)
        got.m = *m;
    got.e = e != NULL ? *e : ERR_NONE;
    loop_stop(standin.loop);
}

static enum err_code find(const char *host, const char *id)
{
    struct err e;

    assert_int_equal(defender_find_start(defender, host, id, on_machine, NULL, NULL, &e), 0);
    standin_run();
    return got.e.code;
}

static void on_machines(void *arg, const struct defender_machine *m, size_t n, const struct err *e)
{
    (void)arg;
    assert_null(e);
    got.n = n;
    if (n > 0)
        got.m = m[0];
    loop_stop(standin.loop);
}

static void on_run(void *arg, const struct defender_result *r)
{
    (void)arg;
    got.calls++;
    got.r = *r;
    got.has_marker = r->marker != NULL;
    got.r.marker = NULL;
    loop_stop(standin.loop);
}

static enum defender_end run(uint64_t all_ms)
{
    CLEANUP(text_done) struct text json = TEXT_INIT(2048);
    CLEANUP(text_done) struct text payload = TEXT_INIT(4096);
    struct defender_ask ask = {
        .machine_id = got.m.id, .nonce = NONCE, .comment = "a test", .all_ms = all_ms};
    struct err e;

    assert_int_equal(find(DC, NULL), ERR_OK);
    text_addf(&json,
              "{\"v\":1,\"op\":\"disable\",\"sid\":\"" SID "\",\"nonce\":\"" NONCE
              "\",\"expires\":%lld}",
              (long long)stamp_now_ms() + 60000);
    jws_b64url(&payload, json.s, json.len);
    ask.payload = payload.s;
    assert_int_equal(defender_run_start(defender, &ask, on_run, NULL, NULL, &e), 0);
    standin_run();
    return got.r.end;
}

/* --- what is there ---------------------------------------------------------------------- */

static void machines(void **state)
{
    struct err e;

    (void)state;
    fresh();
    (void)standin_order("POST", "/defender/machines",
                        "{\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"computerDnsName\":"
                        "\"" DC "\",\"healthStatus\":\"Inactive\",\"machineTags\":[\"Bob's DC\"]}");
    assert_int_equal(find("DC1.corp.example.com", NULL), ERR_OK);
    assert_true(got.m.active);
    assert_int_equal(find("dc1.corp.example.co", NULL), ERR_NOTFOUND);
    assert_int_equal(find(DC, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), ERR_OK);
    assert_int_equal(find("dc2.corp.example.com", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
                     ERR_CONFLICT);
    assert_int_equal(find(NULL, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"), ERR_NOTFOUND);
    assert_int_equal(defender_tagged_start(defender, "Bob's DC", on_machines, NULL, NULL, &e), 0);
    standin_run();
    assert_int_equal(got.n, 1);
    assert_string_equal(got.m.id, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    there("{\"machineTags\":[\"Restricted security operations\"]}");
    setting("{\"pageSize\":1}");
    assert_int_equal(find(DC, NULL), ERR_OK); /* the other one */
    assert_string_equal(got.m.id, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}

static void on_published(void *arg, const char *sha256_hex, const struct err *e)
{
    (void)arg;
    got.e = e != NULL ? *e : ERR_NONE;
    got.n = sha256_hex != NULL ? strlen(sha256_hex) : 0;
    loop_stop(standin.loop);
}

static void on_probe(void *arg, const struct defender_check *checks, size_t n)
{
    (void)arg;
    got.n = n;
    memcpy(got.checks, checks, n * sizeof(*checks));
    loop_stop(standin.loop);
}

static unsigned probe(void)
{
    unsigned good = 0;
    struct err e;

    assert_int_equal(defender_probe_start(defender, DC, NULL, on_probe, NULL, NULL, &e), 0);
    standin_run();
    for (size_t i = 0; i < got.n; i++)
        good += got.checks[i].ok;
    return good;
}

static void published(void **state)
{
    static const char *const faults[] = {
        NULL,
        "{\"match\":{\"method\":\"POST\",\"path\":\"libraryfiles\"},\"do\":{\"status\":500,"
        "\"after\":true}}",
        "{\"match\":{\"method\":\"POST\",\"path\":\"libraryfiles\"},\"do\":{\"cut\":\"body\"}}",
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        fresh();
        (void)standin_order("DELETE", "/defender/library", NULL);
        assert_int_equal(probe(), 4); /* token, role, machine, health */
        if (faults[i] != NULL)
            standin_fault(faults[i]);
        assert_int_equal(defender_publish_start(defender, NULL, SCRIPT, strlen(SCRIPT),
                                                on_published, NULL, NULL, &e),
                         0);
        standin_run();
        assert_int_equal(got.e.code, ERR_OK);
        assert_int_equal(got.n, 64);
        assert_int_equal(probe(), 6); /* and the script with its hash */
        assert_int_equal(run(0), DEFENDER_DONE);
        assert_int_equal(probe(), 7);
    }
}

/* --- runs ------------------------------------------------------------------------------- */

static void done(void **state)
{
    (void)state;
    fresh();
    assert_true(is_enabled());
    assert_int_equal(run(0), DEFENDER_DONE);
    assert_true(got.has_marker);
    assert_false(is_enabled());
    assert_int_equal(run(0), DEFENDER_ALREADY);
    assert_int_equal(actions(), 2);
}

/* What the service says no to: nothing is changed, and nothing is left. */
static void refused(void **state)
{
    static const struct {
        const char *machine, *setting;
        enum defender_end end;
        const char *words;
    } cases[] = {
        {"{\"busy\":true}", NULL, DEFENDER_BUSY, ""},
        {"{\"noGroup\":true}", NULL, DEFENDER_REFUSED, "remediation level"},
        {"{\"unsupported\":\"client\"}", NULL, DEFENDER_REFUSED, "too old"},
        {NULL, "{\"liveResponse\":false}", DEFENDER_REFUSED, "Live Response for Servers"},
        {NULL, "{\"sessions\":0}", DEFENDER_FAILED, "429"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fresh();
        if (cases[i].machine != NULL)
            there(cases[i].machine);
        if (cases[i].setting != NULL)
            setting(cases[i].setting);
        assert_int_equal(run(500), cases[i].end);
        if (strstr(got.r.words, cases[i].words) == NULL)
            fail_msg("%zu: %s", i, got.r.words);
        assert_false(got.r.may_still_fire);
        assert_int_equal(actions(), 0);
        assert_true(is_enabled());
    }
    fresh();
    (void)standin_order("PATCH", "/app", "{\"defenderRoles\":[\"Machine.Read.All\"]}");
    assert_int_equal(run(0), DEFENDER_REFUSED);
    assert_non_null(strstr(got.r.words, "Machine.LiveResponse"));
    fresh();
    (void)standin_order(
        "POST", "/defender/library",
        "{\"fileName\":\"cordon-dc.ps1\",\"text\":\"Remove-Item C:\\\\ -Recurse\"}");
    assert_int_equal(run(0), DEFENDER_REFUSED);
    assert_non_null(strstr(got.r.words, "somebody changed it"));
    assert_int_equal(actions(), 0);
}

/* It was done, and nobody may say so on the strength of what came back. */
static void unknown(void **state)
{
    static const struct {
        const char *setting;
        bool changed;
    } cases[] = {
        {"{\"outcome\":\"noMarker\"}", true},   {"{\"outcome\":\"wrongNonce\"}", true},
        {"{\"outcome\":\"twice\"}", true},      {"{\"outcome\":\"cutMarker\"}", true},
        {"{\"outcome\":\"crash\"}", true},      {"{\"outcome\":\"noLink\"}", true},
        {"{\"linkHost\":\"evil.test\"}", true}, {"{\"linkLife\":0}", true},
        {"{\"outcome\":\"timeout\"}", false},   {"{\"outcome\":\"error\"}", false},
        {"{\"outcome\":\"unsigned\"}", false},  {"{\"outcome\":\"hash\"}", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fresh();
        setting(cases[i].setting);
        if (run(0) != DEFENDER_UNKNOWN)
            fail_msg("%zu: %s", i, got.r.words);
        assert_int_equal(got.r.code, ERR_UNPROVEN);
        assert_int_equal(is_enabled(), !cases[i].changed);
        assert_false(got.has_marker);
    }
}

static void lost_answers(void **state)
{
    static const char *const faults[] = {
        "{\"match\":{\"path\":\"runlive\"},\"do\":{\"status\":500,\"after\":true}}",
        "{\"match\":{\"path\":\"runlive\"},\"do\":{\"cut\":\"headers\",\"after\":true}}",
        "{\"match\":{\"path\":\"runlive\"},\"do\":{\"cut\":\"body\"}}",
        "{\"match\":{\"path\":\"runlive\"},\"do\":{\"html\":true,\"after\":true}}",
        "{\"match\":{\"path\":\"runlive\"},\"do\":{\"status\":429,\"retryAfter\":\"0.1\"}}",
        "{\"match\":{\"path\":\"runlive\"},\"do\":{\"status\":401}}",
        "{\"match\":{\"path\":\"machineactions/\"},\"do\":{\"html\":true}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        fresh();
        setting("{\"listDelay\":100}");
        standin_fault(faults[i]);
        if (run(0) != DEFENDER_DONE)
            fail_msg("%zu: %s", i, got.r.words);
        assert_int_equal(actions(), 1); /* never twice */
        assert_false(is_enabled());
    }
}

/* The machine is away: what waits there is cancelled, or the result says that it still waits. */
static void away(void **state)
{
    (void)state;
    fresh();
    there("{\"offline\":true}");
    assert_int_equal(run(300), DEFENDER_FAILED);
    assert_true(got.r.cancelled);
    assert_false(got.r.may_still_fire);
    there("{\"offline\":false}");
    assert_int_equal(run(0), DEFENDER_DONE); /* the way is free again */
    assert_int_equal(actions(), 2);

    fresh();
    there("{\"offline\":true}");
    standin_fault("{\"match\":{\"path\":\"cancel\",\"times\":0},\"do\":{\"stick\":false}}");
    assert_int_equal(run(300), DEFENDER_UNKNOWN);
    assert_true(got.r.may_still_fire);
    assert_false(got.r.cancelled);
    assert_true(got.r.action_id[0] != '\0');
}

static int down(void **state)
{
    (void)state;
    standin_fresh(); /* what the last test asked was right, too */
    defender_free(defender);
    token_free(token);
    standin_down();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machines), cmocka_unit_test(published), cmocka_unit_test(done),
        cmocka_unit_test(refused),  cmocka_unit_test(unknown),   cmocka_unit_test(lost_answers),
        cmocka_unit_test(away),
    };

    if (!standin_has_node()) {
        (void)printf("there is no node: skipped\n");
        return 0;
    }
    if (standin_up() < 0) {
        (void)fprintf(stderr, "the stand-in does not start\n");
        standin_down();
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, down);
}
