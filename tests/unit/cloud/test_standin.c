/* tests/unit/cloud/test_standin.c -- cloud sync, Okta, Identity Protection, Defender and hunting
 * against the stand-in tenant: real requests, checked by the services' descriptions; and lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/hunting.h"
#include "cloud/mdi.h"
#include "cloud/okta.h"
#include "cloud/risk.h"
#include "cloud/sync.h"
#include "tests/unit/cloud/standin.h"

#define ANNA "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a10"
#define SID "S-1-5-21-3623811015-3361044348-30300820-1613"
#define DN "CN=Nov\xc3\xa1k\\, Anna,OU=Staff,DC=corp,DC=example,DC=com"
#define DN_JSON "CN=Nov\xc3\xa1k\\\\, Anna,OU=Staff,DC=corp,DC=example,DC=com"

static void add_anna(const char *enabled, const char *ad)
{
    char body[1024];

    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"hybrid\",\"id\":\"" ANNA
                   "\",\"userPrincipalName\":\"anna@corp.example.com\",\"sid\":\"" SID
                   "\",\"onPremisesDistinguishedName\":\"" DN_JSON "\",\"accountEnabled\":%s}",
                   enabled);
    (void)standin_order("POST", "/users", body);
    (void)snprintf(body, sizeof(body), "{\"user\":\"" ANNA "\",\"enabled\":%s}", ad);
    (void)standin_order("POST", "/ad", body);
}

/* --- cloud sync ------------------------------------------------------------------------ */

static struct sync_result pushed;

static void on_pushed(void *arg, const struct sync_result *r)
{
    (void)arg;
    pushed = *r;
    loop_stop(standin.loop);
}

static struct sync *new_sync(const char *domain)
{
    const struct sync_settings set = {.kind = SYNC_KIND_CLOUD, .domain = domain};
    struct sync *s = NULL;
    struct err e;

    assert_int_equal(sync_new(standin.loop, standin.graph, &set, &s, &e), 0);
    return s;
}

static enum sync_outcome push(struct sync *s, const char *dn, bool want_enabled)
{
    const struct sync_ask ask = {
        .user_id = ANNA, .dn = dn, .synchronised = true, .want_enabled = want_enabled};
    struct sync_push *p = NULL;
    struct err e;

    assert_int_equal(sync_push_start(s, &ask, on_pushed, NULL, &p, &e), 0);
    standin_run();
    return pushed.outcome;
}

static bool anna_is_enabled(void)
{
    bool on = false;

    assert_true(json_bool(standin_order("GET", "/users/" ANNA, NULL), "accountEnabled", &on));
    return on;
}

static void sync_pushes(void **state)
{
    struct sync *s;

    (void)state;
    standin_fresh();
    add_anna("true", "false");
    s = new_sync("corp.example.com");
    assert_int_equal(push(s, DN, false), SYNC_PROVEN);
    assert_false(anna_is_enabled());
    assert_int_equal(push(s, DN, false), SYNC_PROVEN); /* both sides equal */
    assert_int_equal(push(s, DN, true), SYNC_SAW_OTHER);
    (void)standin_order("POST", "/ad", "{\"user\":\"" ANNA "\",\"enabled\":true}");
    assert_int_equal(push(s, DN, false), SYNC_EXPORTED_OTHER);
    assert_true(anna_is_enabled());
    assert_int_equal(push(s, DN, false), SYNC_SAW_OTHER);
    assert_int_equal(push(s, DN, true), SYNC_PROVEN);
    assert_string_not_equal(pushed.request_id, "");
    sync_free(s);
}

static void sync_troubles(void **state)
{
    static const struct {
        const char *order, *path, *body;
        enum sync_outcome want;
        const char *words; /* in words or health */
    } cases[] = {
        {"PATCH", "/jobs", "{\"code\":\"Quarantine\",\"reason\":\"Because\"}", SYNC_PROVEN,
         "quarantine"},
        {"PATCH", "/jobs", "{\"code\":\"Paused\"}", SYNC_PROVEN, "paused"},
        {"PATCH", "/settings", "{\"provisionResult\":\"Failure\"}", SYNC_FAILED, "Ordered"},
        {"PATCH", "/settings", "{\"provisionResult\":\"Skipped\"}", SYNC_SKIPPED, "Ordered"},
        {"PATCH", "/settings", "{\"provisionKey\":\"plain\"}", SYNC_PROVEN, ""},
        {"PATCH", "/app", "{\"roles\":[\"User.Read.All\"]}", SYNC_FORBIDDEN, ""},
        {"DELETE", "/servicePrincipals", NULL, SYNC_NOT_DONE, "Entra Connect"},
        {"POST", "/faults",
         "{\"match\":{\"path\":\"provisionOnDemand\"},\"do\":{\"status\":504,\"after\":true}}",
         SYNC_UNCLEAR, ""},
        {"POST", "/faults",
         "{\"match\":{\"path\":\"provisionOnDemand\"},\"do\":{\"cut\":\"body\"}}", SYNC_UNCLEAR,
         ""},
        {"POST", "/faults",
         "{\"match\":{\"path\":\"provisionOnDemand\"},\"do\":{\"html\":true,\"status\":200}}",
         SYNC_UNCLEAR, ""},
        {"POST", "/faults",
         "{\"match\":{\"path\":\"provisionOnDemand\"},\"do\":{\"set\":{\"value\":\"junk\"}}}",
         SYNC_UNCLEAR, ""},
        {"POST", "/faults",
         "{\"match\":{\"path\":\"provisionOnDemand\"},\"do\":{\"duplicate\":{\"key\":\"x\"}}}",
         SYNC_UNCLEAR, ""},
        {"POST", "/faults",
         "{\"match\":{\"path\":\"provisionOnDemand\"},\"do\":{\"kind\":\"permission\",\"status\":"
         "403}}",
         SYNC_FORBIDDEN, ""},
        {"POST", "/faults",
         "{\"match\":{\"path\":\"provisionOnDemand\"},\"do\":{\"status\":429,\"retryAfter\":"
         "\"0.3\"}}",
         SYNC_PROVEN, ""},
        {"POST", "/faults", "{\"match\":{\"path\":\"/schema\"},\"do\":{\"deep\":500}}",
         SYNC_NOT_DONE, ""},
        {"POST", "/faults",
         "{\"match\":{\"path\":\"applicationTemplateId\",\"times\":2},\"do\":{\"nextLink\":"
         "\"https://graph.evil.example/v1.0/servicePrincipals?x=1\"}}",
         SYNC_NOT_DONE, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sync *s;

        standin_fresh();
        add_anna("true", "false");
        (void)standin_order(cases[i].order, cases[i].path, cases[i].body);
        (void)standin_order("POST", "/tokens/expire", NULL);
        s = new_sync("corp.example.com");
        if (push(s, DN, false) != cases[i].want || (strstr(pushed.words, cases[i].words) == NULL &&
                                                    strstr(pushed.health, cases[i].words) == NULL))
            fail_msg("%zu: %s: %s; %s", i, sync_outcome_word(pushed.outcome), pushed.words,
                     pushed.health);
        sync_free(s);
    }
}

static void sync_changes(void **state)
{
    struct sync *s, *other;

    (void)state;
    standin_fresh();
    add_anna("true", "false");
    s = new_sync("corp.example.com");
    other = new_sync("other.example.com");
    assert_int_equal(push(s, "CN=Nobody,DC=corp", false), SYNC_FAILED);
    assert_non_null(strstr(pushed.words, "EntryNotFound"));
    assert_int_equal(push(s, DN, false), SYNC_PROVEN);
    /* Another rule since: looked up anew. */
    (void)standin_order("PATCH", "/jobs", "{\"ruleId\":\"6f1c2c0a-1d5b-4f7e-9b32-8a7c6d5e4f30\"}");
    assert_int_equal(push(s, DN, false), SYNC_PROVEN);
    assert_int_equal(push(other, DN, false), SYNC_NOT_DONE);
    assert_non_null(strstr(pushed.words, "only for: corp.example.com"));
    sync_free(s);
    sync_free(other);
}

/* --- Okta ------------------------------------------------------------------------------ */

#define ALICE "00ub0oNGTSWTBKOLGLNR"

static struct {
    struct okta_user u;
    struct okta_result r;
    struct okta_event ev;
    bool seen, failed;
    struct err e;
} got;

static void keep(const struct err *e)
{
    got.failed = e != NULL;
    if (e != NULL)
        got.e = *e;
    loop_stop(standin.loop);
}

static void on_user(void *arg, const struct okta_user *u, const struct err *e)
{
    (void)arg;
    if (u != NULL)
        got.u = *u;
    keep(e);
}

static void on_changed(void *arg, const struct okta_result *r, const struct err *e)
{
    (void)arg;
    got.r = *r;
    keep(e);
}

static void on_done(void *arg, const char *request_id, int64_t sent_ms, const struct err *e)
{
    assert_true(e != NULL || sent_ms != 0);
    (void)arg;
    assert_non_null(request_id);
    keep(e);
}

static void on_event(void *arg, const struct okta_event *ev, const struct err *e)
{
    (void)arg;
    got.seen = ev != NULL;
    if (ev != NULL)
        got.ev = *ev;
    keep(e);
}

static struct token_source *okta_tokens;

static struct okta *new_okta(enum token_kind kind)
{
    const struct token_settings t = {
        .kind = kind,
        .login_url = standin_env("STANDIN_OKTA"),
        .client_id = standin_env("STANDIN_OKTA_CLIENT_ID"),
        .key_id = standin_env("STANDIN_OKTA_KEY_ID"),
        .file = standin_path(kind == TOKEN_OKTA_SSWS ? "okta.token" : "okta.key"),
        .scope = "okta.users.manage okta.users.read okta.logs.read"};
    struct okta *o = NULL;
    struct err e;

    standin_fresh();
    (void)standin_order(
        "POST", "/okta/users",
        "[{\"id\":\"" ALICE "\",\"login\":\"alice+x@corp.example.com\"},"
        "{\"login\":\"bob@corp.example.com\",\"status\":\"LOCKED_OUT\"},"
        "{\"login\":\"bob2@corp.example.com\",\"email\":\"bob@corp.example.com\"}]");
    assert_int_equal(token_new(standin.loop, standin.http, &t, &okta_tokens, &e), 0);
    assert_int_equal(okta_new(standin.loop, standin.http, okta_tokens, t.login_url, &o, &e), 0);
    return o;
}

static void okta_end(struct okta *o)
{
    okta_free(o);
    token_free(okta_tokens);
}

static enum err_code find(struct okta *o, enum okta_by by, const char *typed)
{
    struct err e;

    assert_int_equal(okta_find_start(o, by, typed, on_user, NULL, NULL, &e), 0);
    standin_run();
    return got.failed ? got.e.code : ERR_OK;
}

static enum okta_outcome change(struct okta *o, enum okta_change what)
{
    struct err e;

    assert_int_equal(okta_change_start(o, ALICE, what, on_changed, NULL, NULL, &e), 0);
    standin_run();
    return got.r.outcome;
}

static void okta_whole_way(void **state)
{
    static const enum token_kind kinds[] = {TOKEN_OKTA_KEY, TOKEN_OKTA_SSWS};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct okta *o = new_okta(kinds[i]);
        struct err e;

        assert_int_equal(find(o, OKTA_BY_LOGIN, "alice+x@corp.example.com"), ERR_OK);
        assert_string_equal(got.u.id, ALICE);
        assert_int_equal(find(o, OKTA_BY_LOGIN, "ALICE+x"), ERR_OK);
        assert_int_equal(find(o, OKTA_BY_MAIL, "bob@corp.example.com"), ERR_AMBIGUOUS);
        assert_int_equal(find(o, OKTA_BY_LOGIN, "nobody\"@x"), ERR_NOTFOUND);
        assert_int_equal(change(o, OKTA_SUSPEND), OKTA_DONE);
        assert_true(got.r.accepted && got.r.after.status == OKTA_SUSPENDED);
        assert_string_not_equal(got.r.request_id, "");
        assert_int_equal(okta_confirm_start(o,
                                            &(struct okta_expect){.id = ALICE,
                                                                  .type = "user.lifecycle.suspend",
                                                                  .since_ms = got.r.sent_ms},
                                            0, on_event, NULL, NULL, &e),
                         0);
        standin_run();
        assert_true(got.seen && got.ev.uuid[0] != '\0');
        assert_int_equal(okta_clear_sessions_start(o, ALICE, on_done, NULL, NULL, &e), 0);
        standin_run();
        assert_false(got.failed);
        assert_int_equal(change(o, OKTA_SUSPEND), OKTA_ALREADY);
        assert_int_equal(change(o, OKTA_UNSUSPEND), OKTA_DONE);
        assert_int_equal(change(o, OKTA_DEACTIVATE), OKTA_DONE);
        assert_int_equal(change(o, OKTA_SUSPEND), OKTA_GONE);
        assert_int_equal(find(o, OKTA_BY_LOGIN, "alice+x@corp.example.com"), ERR_NOTFOUND);
        okta_end(o);
    }
}

static void okta_troubles(void **state)
{
    static const struct {
        const char *order, *path, *body;
        enum okta_outcome want;
        enum err_code code;
        const char *words;
    } cases[] = {
        {"POST", "/faults",
         "{\"match\":{\"service\":\"okta\",\"path\":\"/suspend\"},\"do\":{\"status\":500,\"after\":"
         "true}}",
         OKTA_DONE, ERR_OK, ""},
        {"POST", "/faults",
         "{\"match\":{\"service\":\"okta\",\"path\":\"/"
         "suspend\"},\"do\":{\"cut\":\"body\",\"after\":"
         "true}}",
         OKTA_DONE, ERR_OK, ""},
        {"POST", "/faults",
         "{\"match\":{\"service\":\"okta\",\"path\":\"/suspend\"},\"do\":{\"status\":401}}",
         OKTA_DONE, ERR_OK, ""},
        {"POST", "/faults",
         "{\"match\":{\"service\":\"okta\",\"path\":\"/"
         "suspend\"},\"do\":{\"status\":429,\"resetIn\":"
         "1}}",
         OKTA_DONE, ERR_OK, ""},
        {"POST", "/faults",
         "{\"match\":{\"service\":\"okta\",\"path\":\"/suspend\"},\"do\":{\"staleReads\":1}}",
         OKTA_DONE, ERR_OK, ""},
        {"POST", "/faults",
         "{\"match\":{\"service\":\"okta\",\"path\":\"/"
         "suspend\"},\"do\":{\"stick\":false,\"audit\":"
         "true}}",
         OKTA_NOT_SO, ERR_CONFLICT, "ACTIVE"},
        {"POST", "/faults",
         "{\"match\":{\"service\":\"okta\",\"path\":\"/suspend\"},\"do\":{\"status\":403,\"html\":"
         "true}}",
         OKTA_NOT_DONE, ERR_DENIED, "403"},
        {"POST", "/faults",
         "{\"match\":{\"service\":\"okta\",\"method\":\"GET\",\"path\":\"/users/"
         "\"},\"do\":{\"html\":"
         "true,\"status\":200}}",
         OKTA_NOT_DONE, ERR_INVALID, ""},
        {"POST", "/faults",
         "{\"match\":{\"service\":\"okta\",\"method\":\"GET\",\"path\":\"/users/"
         "\"},\"do\":{\"remove\":["
         "\"status\"]}}",
         OKTA_NOT_DONE, ERR_INVALID, "status"},
        {"POST", "/faults",
         "{\"match\":{\"service\":\"okta\",\"method\":\"GET\",\"path\":\"/users/"
         "\"},\"do\":{\"duplicate\""
         ":{\"status\":\"SUSPENDED\"}}}",
         OKTA_NOT_DONE, ERR_INVALID, ""},
        {"PATCH", "/okta/settings", "{\"adminRole\":false}", OKTA_NOT_DONE, ERR_DENIED, "E0000006"},
        {"PATCH", "/okta/users/" ALICE, "{\"status\":\"LOCKED_OUT\"}", OKTA_CANNOT, ERR_OK,
         "LOCKED_OUT"},
        {"PATCH", "/okta/users/" ALICE, "{\"transitioningToStatus\":\"DEPROVISIONED\"}", OKTA_LATER,
         ERR_OK, "DEPROVISIONED"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct okta *o = new_okta(TOKEN_OKTA_KEY);

        (void)standin_order(cases[i].order, cases[i].path, cases[i].body);
        if (change(o, OKTA_SUSPEND) != cases[i].want ||
            (got.failed ? got.e.code : ERR_OK) != cases[i].code ||
            strstr(got.failed ? got.e.msg : got.r.words, cases[i].words) == NULL)
            fail_msg("%zu: %s: %s", i, okta_outcome_word(got.r.outcome),
                     got.failed ? got.e.msg : got.r.words);
        okta_end(o);
    }
}

/* --- Identity Protection --------------------------------------------------------------- */

static struct {
    struct risk_user u;
    struct risk_result r;
    size_t n;
    char type[128];
    bool failed;
    struct err e;
} risk;

static void risk_keep(const struct err *e)
{
    risk.failed = e != NULL;
    if (e != NULL)
        risk.e = *e;
    loop_stop(standin.loop);
}

static void on_risk(void *arg, const struct risk_user *u, const struct err *e)
{
    (void)arg;
    if (u != NULL)
        risk.u = *u;
    risk_keep(e);
}

static void on_risks(void *arg, const struct risk_user *u, size_t n, bool more, const struct err *e)
{
    (void)arg;
    (void)more;
    risk.n = n;
    if (n > 0)
        risk.u = u[0];
    risk_keep(e);
}

static void on_detections(void *arg, const struct risk_detection *d, size_t n, bool more,
                          const struct err *e)
{
    (void)arg;
    (void)more;
    risk.n = n;
    if (n > 0)
        (void)snprintf(risk.type, sizeof(risk.type), "%s", d[0].type);
    risk_keep(e);
}

static void on_marked(void *arg, const struct risk_result *r, size_t n, const char *request_id,
                      const struct err *e)
{
    (void)arg;
    (void)request_id;
    risk.n = n;
    risk.r = r[0];
    risk_keep(e);
}

static void risk_whole_way(void **state)
{
    static const char *const ids[] = {ANNA};
    const struct risk_filter high = {.at_least = RISK_LEVEL_MEDIUM, .state = RISK_STATE_AT_RISK};
    struct err e;

    (void)state;
    standin_fresh();
    add_anna("true", "true");
    (void)standin_order("POST", "/riskyUsers",
                        "[{\"id\":\"" ANNA
                        "\",\"riskLevel\":\"high\",\"riskState\":\"atRisk\"},{\"id\":\"" ANNA
                        "\",\"riskLevel\":\"low\",\"riskState\":\"atRisk\"}]");
    (void)standin_order("POST", "/riskDetections",
                        "{\"userId\":\"" ANNA
                        "\",\"riskEventType\":\"anomalousToken\",\"riskLevel\":"
                        "\"high\",\"detectedDateTime\":\"2026-09-14T08:11:44Z\"}");
    assert_int_equal(risk_list_start(standin.graph, &high, on_risks, NULL, NULL, &e), 0);
    standin_run();
    assert_false(risk.failed);
    assert_int_equal(risk.n, 1);
    assert_int_equal(risk.u.level, RISK_LEVEL_HIGH);
    assert_int_equal(risk_detections_start(standin.graph, ANNA, INT64_C(1789344000000),
                                           on_detections, NULL, NULL, &e),
                     0);
    standin_run();
    assert_false(risk.failed);
    assert_int_equal(risk.n, 1);
    assert_string_equal(risk.type, "anomalousToken");
    assert_int_equal(
        risk_mark_start(standin.graph, RISK_CONFIRM_COMPROMISED, ids, 1, on_marked, NULL, NULL, &e),
        0);
    standin_run();
    assert_int_equal(risk.r.how, RISK_ACCEPTED);
    assert_int_equal(risk_read_start(standin.graph, ANNA, on_risk, NULL, NULL, &e), 0);
    standin_run();
    assert_int_equal(risk.u.state, RISK_STATE_COMPROMISED);
    assert_string_equal(risk.u.detail, "adminConfirmedUserCompromised");

    /* Unclear, and done: read back. */
    standin_fault("{\"match\":{\"path\":\"/dismiss\"},\"do\":{\"status\":504,\"after\":true}}");
    assert_int_equal(
        risk_mark_start(standin.graph, RISK_DISMISS, ids, 1, on_marked, NULL, NULL, &e), 0);
    standin_run();
    assert_int_equal(risk.r.how, RISK_SEEN);
    /* Accepted, and a lie: it is only called accepted. */
    standin_fault("{\"match\":{\"path\":\"confirmCompromised\"},\"do\":{\"stick\":false}}");
    assert_int_equal(
        risk_mark_start(standin.graph, RISK_CONFIRM_COMPROMISED, ids, 1, on_marked, NULL, NULL, &e),
        0);
    standin_run();
    assert_int_equal(risk.r.how, RISK_ACCEPTED);

    (void)standin_order("PATCH", "/settings", "{\"licence\":\"P1\"}");
    assert_int_equal(
        risk_mark_start(standin.graph, RISK_CONFIRM_COMPROMISED, ids, 1, on_marked, NULL, NULL, &e),
        0);
    standin_run();
    assert_int_equal(risk.r.how, RISK_NOT_DONE);
    assert_int_equal(risk.e.code, ERR_DENIED);
    assert_int_equal(graph_why_of(&risk.e), GRAPH_WHY_LICENCE);
}

/* --- Defender for Identity ------------------------------------------------------------- */

static struct mdi_identity identity;
static struct mdi_taken taken;

static void on_identity(void *arg, const struct mdi_identity *i, const struct err *e)
{
    (void)arg;
    if (i != NULL)
        identity = *i;
    risk_keep(e);
}

static void on_taken(void *arg, const struct mdi_taken *t, const struct err *e)
{
    (void)arg;
    if (t != NULL)
        taken = *t;
    risk_keep(e);
}

static void mdi_whole_way(void **state)
{
    static const char *const spellings[] = {"{\"mdiSpelling\":\"metadata\"}",
                                            "{\"mdiSpelling\":\"documented\"}"};
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
        standin_fresh();
        add_anna("true", "true");
        (void)standin_order("PATCH", "/settings", spellings[i]);
        assert_int_equal(mdi_find_start(standin.graph, SID, on_identity, NULL, NULL, &e), 0);
        standin_run();
        assert_false(risk.failed);
        assert_string_equal(identity.sid, SID);
        assert_int_equal(mdi_invoke_start(standin.graph, &identity, MDI_ENTRA, MDI_DISABLE,
                                          on_taken, NULL, NULL, &e),
                         -1);
        assert_int_equal(mdi_invoke_start(standin.graph, &identity, MDI_ACTIVE_DIRECTORY,
                                          MDI_DISABLE, on_taken, NULL, NULL, &e),
                         0);
        standin_run();
        assert_false(risk.failed);
        assert_string_not_equal(taken.correlation_id, "");
        assert_non_null(json_first(standin_order("GET", "/actions", NULL)));
        assert_int_equal(
            mdi_find_start(standin.graph, "S-1-5-21-1-2-3-4", on_identity, NULL, NULL, &e), 0);
        standin_run();
        assert_int_equal(risk.e.code, ERR_NOTFOUND);
    }
}

/* --- hunting --------------------------------------------------------------------------- */

static struct hunt_row row;
static struct hunt_rows rows;

static void on_rows(void *arg, const struct hunt_rows *r, const struct err *e)
{
    (void)arg;
    if (r != NULL)
        rows = *r;
    if (r != NULL && r->count > 0)
        row = r->rows[0];
    risk_keep(e);
}

static void hunting_whole_way(void **state)
{
    const int64_t from = INT64_C(1789344000000), to = from + INT64_C(86400000);
    struct token_settings t = {.kind = TOKEN_SECRET,
                               .login_url = standin_env("STANDIN_LOGIN"),
                               .tenant = standin_env("STANDIN_TENANT"),
                               .client_id = standin_env("STANDIN_CLIENT_ID"),
                               .file = standin_path("secret"),
                               .scope = standin_env("STANDIN_LOGANALYTICS")};
    struct hunt_workspace w = {.loop = standin.loop,
                               .http = standin.http,
                               .root = t.scope,
                               .workspace = "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a10"};
    struct err e;

    (void)state;
    standin_fresh();
    assert_int_equal(token_new(standin.loop, standin.http, &t, &w.token, &e), 0);
    (void)standin_order(
        "POST", "/rows",
        "{\"table\":\"IdentityDirectoryEvents\",\"rows\":[{\"Timestamp\":\"2026-09-14T08:00:00Z\","
        "\"ActionType\":\"Account disabled\",\"TargetSid\":\"" SID "\",\"AccountName\":\"adm\","
        "\"DestinationDeviceName\":\"dc01\"},{\"Timestamp\":\"2026-09-14T09:00:00Z\","
        "\"ActionType\":"
        "\"Account disabled\",\"TargetSid\":\"S-1-5-18\"}]}");
    (void)standin_order("POST", "/rows",
                        "{\"table\":\"SecurityEvent\",\"rows\":[{\"TimeGenerated\":"
                        "\"2026-09-14T08:00:00Z\",\"EventID\":4725,\"TargetSid\":\"" SID
                        "\",\"Computer\":\"dc01.corp.example.com\",\"SubjectUserName\":\"svc\"}]}");
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(hunt_identity_start(standin.graph, SID, from, to, on_rows, NULL, NULL, &e),
                         0);
        standin_run();
        assert_false(risk.failed);
        assert_int_equal(rows.count, 1);
        assert_string_equal(row.action, "Account disabled");
        assert_string_equal(row.computer, "dc01");
        (void)standin_order("PATCH", "/settings", "{\"huntingSpelling\":\"upper\"}");
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(hunt_security_event_start(&w, SID, from, to, on_rows, NULL, NULL, &e), 0);
        standin_run();
        if (risk.failed)
            fail_msg("%s", risk.e.msg);
        assert_int_equal(rows.count, 1);
        assert_int_equal(row.event_id, 4725);
        assert_string_equal(row.actor, "svc");
        assert_int_equal(rows.partial, i == 1);
        (void)standin_order("PATCH", "/settings", "{\"partialError\":true}");
        (void)standin_order("POST", "/tokens/expire", NULL); /* 401: a new one */
    }
    standin_fault("{\"match\":{\"service\":\"loganalytics\"},\"do\":{\"status\":403}}");
    assert_int_equal(hunt_security_event_start(&w, SID, from, to, on_rows, NULL, NULL, &e), 0);
    standin_run();
    assert_int_equal(risk.e.code, ERR_DENIED);
    assert_non_null(strstr(risk.e.msg, "Log Analytics Reader"));
    token_free(w.token);
}

static int down(void **state)
{
    (void)state;
    standin_fresh(); /* what the last test asked was right, too */
    standin_down();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sync_pushes),   cmocka_unit_test(sync_troubles),
        cmocka_unit_test(sync_changes),  cmocka_unit_test(okta_whole_way),
        cmocka_unit_test(okta_troubles), cmocka_unit_test(risk_whole_way),
        cmocka_unit_test(mdi_whole_way), cmocka_unit_test(hunting_whole_way),
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
