/* tests/unit/agent/test_intake_risk.c -- each detection becomes one request, whatever happens in
 * between. Identity Protection and Entra are scripted by --wrap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/intake/risk.h"
#include "base/cleanup.h"
#include "base/loop.h"
#include "base/stamp.h"
#include "cloud/entra.h"
#include "cloud/risk.h"
#include "tests/unit/agent/ledger_help.h"

#define DAY INT64_C(86400000)
#define U1 "00000000-0000-0000-0000-000000000001"
#define U2 "00000000-0000-0000-0000-000000000002"
#define U3 "00000000-0000-0000-0000-000000000003"
#define U4 "00000000-0000-0000-0000-000000000004"
#define SID "S-1-5-21-1-2-3-1105"

/* --- the world ------------------------------------------------------------------------- */

static struct {
    struct risk_user users[8];
    size_t user_count;
    struct risk_detection detections[8];
    size_t detection_count;
    const char *failing; /* questions about this user fail; "*": the list does */
    const char *gone;    /* Entra has no such user */
    const char *foreign, *cloud_only, *no_sid;
    char asked[2048];
    uint64_t now; /* loop_now */
    int64_t wall;
    /* what waits for its answer */
    loop_cb timer;
    void *timer_arg;
    uint64_t timer_ms;
    risk_list_cb list_cb;
    risk_detections_cb detections_cb;
    entra_user_cb entra_cb;
    void *arg;
    char about[RISK_ID];
    int64_t since_ms;
    enum risk_level at_least;
    bool canceled;
} w;

static void add_asked(const char *s)
{
    size_t n = strlen(w.asked);

    (void)snprintf(w.asked + n, sizeof(w.asked) - n, "%s ", s);
}

int __wrap_risk_list_start(struct graph *g, const struct risk_filter *f, risk_list_cb cb, void *arg,
                           struct risk_call **ret_call, struct err *err);
int __wrap_risk_detections_start(struct graph *g, const char *id, int64_t since_ms,
                                 risk_detections_cb cb, void *arg, struct risk_call **ret_call,
                                 struct err *err);
int __wrap_entra_read_start(struct graph *g, const char *id, entra_user_cb cb, void *arg,
                            struct entra_call **ret_call, struct err *err);
void __wrap_risk_cancel(struct risk_call *c);
void __wrap_entra_cancel(struct entra_call *c);
struct loop_timer *__wrap_loop_timer_start(struct loop *l, uint64_t ms, loop_cb cb, void *arg);
void __wrap_loop_timer_stop(struct loop_timer **t);
uint64_t __wrap_loop_now(struct loop *l);
int64_t __wrap_stamp_now_ms(void);

int __wrap_risk_list_start(struct graph *g, const struct risk_filter *f, risk_list_cb cb, void *arg,
                           struct risk_call **ret_call, struct err *err)
{
    (void)g;
    (void)err;
    w.list_cb = cb;
    w.arg = arg;
    w.at_least = f->at_least;
    *ret_call = (struct risk_call *)&w;
    add_asked("list");
    return 0;
}

int __wrap_risk_detections_start(struct graph *g, const char *id, int64_t since_ms,
                                 risk_detections_cb cb, void *arg, struct risk_call **ret_call,
                                 struct err *err)
{
    (void)g;
    (void)err;
    w.detections_cb = cb;
    w.arg = arg;
    w.since_ms = since_ms;
    (void)snprintf(w.about, sizeof(w.about), "%s", id);
    *ret_call = (struct risk_call *)&w;
    add_asked(id + 35);
    return 0;
}

int __wrap_entra_read_start(struct graph *g, const char *id, entra_user_cb cb, void *arg,
                            struct entra_call **ret_call, struct err *err)
{
    (void)g;
    (void)err;
    w.entra_cb = cb;
    w.arg = arg;
    (void)snprintf(w.about, sizeof(w.about), "%s", id);
    *ret_call = (struct entra_call *)&w;
    return 0;
}

void __wrap_risk_cancel(struct risk_call *c)
{
    assert_ptr_equal(c, &w);
    w.canceled = true;
}

void __wrap_entra_cancel(struct entra_call *c)
{
    assert_ptr_equal(c, &w);
    w.canceled = true;
}

struct loop_timer *__wrap_loop_timer_start(struct loop *l, uint64_t ms, loop_cb cb, void *arg)
{
    (void)l;
    w.timer = cb;
    w.timer_arg = arg;
    w.timer_ms = ms;
    return (struct loop_timer *)&w;
}

void __wrap_loop_timer_stop(struct loop_timer **t)
{
    if (*t != NULL)
        w.timer = NULL;
    *t = NULL;
}

uint64_t __wrap_loop_now(struct loop *l)
{
    (void)l;
    return w.now;
}

int64_t __wrap_stamp_now_ms(void)
{
    return w.wall;
}

/* One question is answered; false: none waits. */
static bool answer(void)
{
    struct err no;
    bool fails = w.failing != NULL && (w.detections_cb != NULL || w.entra_cb != NULL)
                     ? strcmp(w.failing, w.about) == 0
                     : w.failing != NULL && w.list_cb != NULL && strcmp(w.failing, "*") == 0;

    (void)err_set(&no, ERR_DENIED, 403, "no licence");
    if (w.canceled) {
        (void)err_set(&no, ERR_CANCELED, 0, "canceled");
        fails = true;
    }
    if (w.list_cb != NULL) {
        risk_list_cb cb = w.list_cb;

        w.list_cb = NULL;
        cb(w.arg, fails ? NULL : w.users, fails ? 0 : w.user_count, false, fails ? &no : NULL);
        return true;
    }
    if (w.detections_cb != NULL) {
        risk_detections_cb cb = w.detections_cb;
        struct risk_detection d[8];
        size_t n = 0;

        w.detections_cb = NULL;
        for (size_t i = 0; i < w.detection_count; i++) { /* as cloud/risk.c: the latest first */
            if (strcmp(w.detections[i].user_id, w.about) == 0 &&
                w.detections[i].detected_ms >= w.since_ms)
                d[n++] = w.detections[i];
        }
        cb(w.arg, fails ? NULL : d, fails ? 0 : n, false, fails ? &no : NULL);
        return true;
    }
    if (w.entra_cb != NULL) {
        entra_user_cb cb = w.entra_cb;
        struct entra_user u = {.id = w.about,
                               .upn = (char[]){"alice@corp.example.com"},
                               .synced = ENTRA_TRUE,
                               .sid = (char[]){SID},
                               .on_prem_domain = (char[]){"Corp.Example.com"}};

        static char elsewhere[] = "else.example.com";

        w.entra_cb = NULL;
        if (w.foreign != NULL && strcmp(w.foreign, w.about) == 0)
            u.on_prem_domain = elsewhere;
        if (w.no_sid != NULL && strcmp(w.no_sid, w.about) == 0)
            u.sid = NULL;
        if (w.cloud_only != NULL && strcmp(w.cloud_only, w.about) == 0) {
            u.synced = ENTRA_NULL;
            u.sid = u.on_prem_domain = NULL;
        }
        if (w.gone != NULL && strcmp(w.gone, w.about) == 0) {
            fails = true;
            no.code = ERR_NOTFOUND;
        }
        cb(w.arg, fails ? NULL : &u, fails ? &no : NULL);
        return true;
    }
    return false;
}

/* --- the service ----------------------------------------------------------------------- */

static struct cfg cfg;
static struct cfg_domain domain = {.name = (char[]){"corp.example.com"}};
static struct ledger *ledger;
static struct intake_risk *risk;
static struct intake_request got[16];
static bool held[16];
static size_t got_count;
static unsigned refuse; /* so many are not taken */

static int on_finding(void *arg, const struct intake_risk_finding *f, struct err *err)
{
    assert_ptr_equal(arg, &w);
    if (refuse > 0) {
        refuse--;
        return err_set(err, ERR_BUSY, 0, "not now");
    }
    assert_true(got_count < ARRAY_LEN(got));
    held[got_count] = f->hold;
    got[got_count++] = *f->request;
    put(ledger, "", "request", "{}");
    return 0;
}

static void start(void)
{
    ledger = open_plain();
    must(intake_risk_open(NULL, ledger, NULL, &cfg, on_finding, &w, &risk, &e));
}

static void stop(void)
{
    intake_risk_close(&risk);
    while (answer())
        ;
    must(ledger_commit(ledger, &e));
    shut(ledger);
}

/* The next poll, to its end. */
static void poll(void)
{
    loop_cb cb = w.timer;

    assert_non_null(cb);
    w.asked[0] = '\0';
    w.timer = NULL;
    w.now += w.timer_ms;
    w.wall += (int64_t)w.timer_ms;
    cb(w.timer_arg);
    while (answer())
        ;
    must(ledger_commit(ledger, &e));
}

static int begin(void **state)
{
    memset(&w, 0, sizeof(w));
    w.wall = INT64_C(1795252443000);
    got_count = 0;
    refuse = 0;
    cfg = (struct cfg){
        .domains = &domain,
        .domain_count = 1,
        .risk = {
            .on = true, .poll_ms = 120000, .level = CFG_RISK_HIGH, .max_age_ms = (uint64_t)DAY}};
    if (set_up(state) < 0)
        return -1;
    start();
    return 0;
}

static int end(void **state)
{
    stop();
    return tear_down(state);
}

static struct risk_user *user(const char *id)
{
    struct risk_user *u = &w.users[w.user_count++];

    *u = (struct risk_user){.level = RISK_LEVEL_HIGH,
                            .state = RISK_STATE_AT_RISK,
                            .updated_ms = w.wall,
                            .level_word = "high",
                            .state_word = "atRisk"};
    (void)snprintf(u->id, sizeof(u->id), "%s", id);
    (void)snprintf(u->upn, sizeof(u->upn), "alice@corp.example.com");
    return u;
}

/* In front: the latest first. */
static struct risk_detection *detect(const char *user_id, const char *id, const char *type)
{
    struct risk_detection *d = &w.detections[0];

    memmove(d + 1, d, w.detection_count++ * sizeof(*d));
    *d = (struct risk_detection){
        .level = RISK_LEVEL_HIGH, .state = RISK_STATE_AT_RISK, .detected_ms = w.wall - 1000};
    (void)snprintf(d->id, sizeof(d->id), "%s", id);
    (void)snprintf(d->user_id, sizeof(d->user_id), "%s", user_id);
    (void)snprintf(d->type, sizeof(d->type), "%s", type);
    return d;
}

static unsigned records(const char *words)
{
    unsigned n = 0;

    for (const char *s = seen(ledger, NULL, 0, 1000); (s = strstr(s, words)) != NULL; s++)
        n++;
    return n;
}

/* --- tests ----------------------------------------------------------------------------- */

static void one_request(void **state)
{
    (void)state;
    assert_int_equal(w.timer_ms, 0);
    poll();
    assert_int_equal(w.at_least, RISK_LEVEL_HIGH);
    assert_string_equal(w.asked, "list ");
    user(U1);
    detect(U1, "d1", "leakedCredentials");
    poll();
    assert_int_equal(got_count, 1);
    assert_true(held[0]);
    assert_int_equal(got[0].action, ACT_CONTAIN);
    assert_string_equal(got[0].account, SID);
    assert_string_equal(got[0].audience, "corp.example.com");
    assert_int_equal(got[0].scope, INTAKE_BOTH);
    assert_string_equal(got[0].requester, "Identity Protection");
    assert_string_equal(got[0].reason, "risk high, atRisk: leakedCredentials, detected "
                                       "2026-11-21T09:14:02.000Z");
    assert_int_equal(got[0].issued_ms, w.wall);
    must(intake_request_check(&got[0], &e));
    /* The record has not changed: no question; after an hour one, and still no request. */
    for (int i = 0; i < 29; i++) {
        poll();
        assert_string_equal(w.asked, "list ");
    }
    poll();
    assert_string_equal(w.asked, "list 1 ");
    /* It has: asked, and known. */
    w.users[0].updated_ms++;
    poll();
    assert_string_equal(w.asked, "list 1 ");
    assert_int_equal(got_count, 1);
    assert_int_equal(records(":risk"), 1);
    assert_int_equal(w.timer_ms, 120000);
}

static void several_detections(void **state)
{
    (void)state;
    user(U1);
    detect(U1, "d1", "leakedCredentials");
    detect(U1, "d2", "anomalousToken");
    detect(U1, "d3", "anomalousToken\x1b");
    poll();
    assert_int_equal(got_count, 1);
    assert_non_null(strstr(got[0].reason, "leakedCredentials"));
    assert_null(strchr(got[0].reason, '\x1b'));
    detect(U1, "d4", "maliciousIPAddress");
    w.users[0].updated_ms++;
    poll();
    assert_int_equal(got_count, 2);
    assert_string_not_equal(got[0].id, got[1].id);
    assert_non_null(strstr(got[1].reason, ": maliciousIPAddress, "));
}

static void remembered_over_a_restart(void **state)
{
    (void)state;
    user(U1);
    detect(U1, "d1", "leakedCredentials");
    poll();
    stop();
    start();
    poll();
    assert_string_equal(w.asked, "list 1 ");
    assert_int_equal(got_count, 1);
}

/* Not taken, or a crash before it was on disk: offered again, as the same request. */
static void offered_again(void **state)
{
    char id[ID_UUID];

    (void)state;
    user(U1);
    user(U2);
    detect(U1, "d1", "leakedCredentials");
    detect(U2, "d2", "leakedCredentials");
    refuse = 1;
    poll();
    assert_int_equal(got_count, 1); /* the other one */
    poll();
    assert_int_equal(got_count, 2);
    memcpy(id, got[1].id, sizeof(id));
    stop();
    remove_all(dir);
    start();
    detect(U1, "d3", "anomalousToken");
    poll();
    assert_int_equal(got_count, 4);
    assert_true(strcmp(got[2].id, id) == 0 || strcmp(got[3].id, id) == 0);
}

static void what_counts(void **state)
{
    static const struct {
        const char *types, *type;
        enum risk_state state, user_state;
        int64_t age;
        bool counts;
    } cases[] = {
        {NULL, "leakedCredentials", RISK_STATE_AT_RISK, RISK_STATE_AT_RISK, 0, true},
        {NULL, "leakedCredentials", RISK_STATE_AT_RISK, RISK_STATE_COMPROMISED, 0, true},
        {NULL, "x", RISK_STATE_COMPROMISED, RISK_STATE_COMPROMISED, 0, true},
        {NULL, "", RISK_STATE_AT_RISK, RISK_STATE_AT_RISK, 0, true},
        {NULL, "x", RISK_STATE_REMEDIATED, RISK_STATE_AT_RISK, 0, false},
        {NULL, "x", RISK_STATE_DISMISSED, RISK_STATE_AT_RISK, 0, false},
        {NULL, "x", RISK_STATE_UNKNOWN, RISK_STATE_AT_RISK, 0, false},
        {NULL, "x", RISK_STATE_AT_RISK, RISK_STATE_REMEDIATED, 0, false},
        {NULL, "x", RISK_STATE_AT_RISK, RISK_STATE_AT_RISK, DAY - 1000, true},
        {NULL, "x", RISK_STATE_AT_RISK, RISK_STATE_AT_RISK, DAY + 1000, false},
        {NULL, "adminConfirmedUserCompromised", RISK_STATE_AT_RISK, RISK_STATE_AT_RISK, 0, false},
        {"*", "adminConfirmedUserCompromised", RISK_STATE_AT_RISK, RISK_STATE_AT_RISK, 0, false},
        {"adminconfirmedusercompromised", "adminConfirmedUserCompromised", RISK_STATE_AT_RISK,
         RISK_STATE_AT_RISK, 0, true},
        {"leaked*", "leakedCredentials", RISK_STATE_AT_RISK, RISK_STATE_AT_RISK, 0, true},
        {"leaked*", "anomalousToken", RISK_STATE_AT_RISK, RISK_STATE_AT_RISK, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *items[] = {(char *)(uintptr_t)cases[i].types};
        char id[16];

        (void)snprintf(id, sizeof(id), "d%zu", i);
        cfg.risk.detections = (struct cfg_list){items, cases[i].types != NULL};
        intake_risk_configure(risk, &cfg);
        w.user_count = w.detection_count = got_count = 0;
        user(U1)->state = cases[i].user_state;
        detect(U1, id, cases[i].type);
        w.detections[0].state = cases[i].state;
        w.detections[0].detected_ms = w.wall - cases[i].age;
        poll();
        if (got_count != cases[i].counts)
            fail_msg("case %zu", i);
    }
    cfg.risk.detections = (struct cfg_list){0};
}

static void who_it_is(void **state)
{
    (void)state;
    user(U1);
    user(U2);
    user(U3);
    user(U4);
    detect(U1, "d1", "x");
    detect(U2, "d2", "x");
    detect(U3, "d3", "x");
    detect(U4, "d4", "x");
    w.cloud_only = U1;
    w.foreign = U2;
    w.gone = U3;
    w.no_sid = U4;
    cfg.risk.on_high_risk = CFG_ON_RISK_EXPIRE;
    poll();
    assert_int_equal(got_count, 1);
    assert_string_equal(got[0].account, U1);
    assert_int_equal(got[0].scope, INTAKE_CLOUD);
    assert_int_equal(got[0].action, ACT_EXPIRE);
    assert_false(held[0]);
    assert_int_equal(records(":risk"), 4); /* the others are remembered, too */
    intake_risk_configure(risk, &cfg);
    poll();
    assert_int_equal(got_count, 1);
    assert_int_equal(records(":risk"), 4);
}

static void errors(void **state)
{
    struct intake_risk_health h;

    (void)state;
    w.failing = "*";
    poll();
    intake_risk_health(risk, &h);
    assert_false(h.asked);
    assert_int_equal(h.failed, 1);
    assert_string_equal(h.why, "no licence");
    /* One that cannot be asked about does not keep the others waiting. */
    user(U1);
    user(U2);
    detect(U1, "d1", "x");
    detect(U2, "d2", "x");
    w.failing = U1;
    poll();
    assert_int_equal(got_count, 1);
    intake_risk_health(risk, &h);
    assert_int_equal(h.failed, 2);
    assert_int_equal(h.at_risk, 2);
    assert_int_equal(h.requests, 1);
    assert_string_equal(h.why, "user " U1 ": no licence");
    w.failing = NULL;
    poll();
    assert_string_equal(w.asked, "list 1 "); /* only what was not asked */
    assert_int_equal(got_count, 2);
    intake_risk_health(risk, &h);
    assert_true(h.asked);
    assert_int_equal(h.ok_ms, w.wall);
    assert_string_equal(h.why, "");
}

static void latest_first(void **state)
{
    (void)state;
    user(U1)->updated_ms = 1;
    user(U2)->updated_ms = 3;
    user(U3)->updated_ms = 2;
    poll();
    assert_string_equal(w.asked, "list 2 3 1 ");
}

static void switched_off(void **state)
{
    (void)state;
    cfg.risk.on = false;
    poll();
    assert_string_equal(w.asked, "");
    assert_null(w.timer);
    cfg.risk.on = true;
    intake_risk_configure(risk, &cfg);
    poll();
    assert_string_equal(w.asked, "list ");
    assert_non_null(w.timer);
}

/* Closed, or configured, at each point of a poll: nothing is offered after it, nothing leaks. */
static void cut_short(void **state)
{
    (void)state;
    user(U1);
    for (int cut = 0; cut < 8; cut++) {
        char id[16];

        (void)snprintf(id, sizeof(id), "d%d", cut);
        w.detection_count = 0;
        detect(U1, id, "x");
        w.users[0].updated_ms++;
        got_count = 0;
        w.canceled = false;
        w.timer(w.timer_arg);
        for (int i = 0; i < cut / 2; i++)
            (void)answer();
        if (cut % 2 == 0) {
            stop();
            assert_int_equal(got_count, cut / 2 >= 3 ? 1 : 0);
            start();
        } else {
            intake_risk_configure(risk, &cfg);
            while (answer())
                ;
            assert_int_equal(w.timer_ms, 0);
        }
    }
}

static void damaged(void **state)
{
    struct intake_risk *r = NULL;

    (void)state;
    put(ledger, "", "risk", "{\"detections\":[1]}");
    must(ledger_commit(ledger, &e));
    fails(intake_risk_open(NULL, ledger, NULL, &cfg, on_finding, &w, &r, &e), ERR_INVALID,
          "record 1 (risk)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_request, begin, end),
        cmocka_unit_test_setup_teardown(several_detections, begin, end),
        cmocka_unit_test_setup_teardown(remembered_over_a_restart, begin, end),
        cmocka_unit_test_setup_teardown(offered_again, begin, end),
        cmocka_unit_test_setup_teardown(what_counts, begin, end),
        cmocka_unit_test_setup_teardown(who_it_is, begin, end),
        cmocka_unit_test_setup_teardown(errors, begin, end),
        cmocka_unit_test_setup_teardown(latest_first, begin, end),
        cmocka_unit_test_setup_teardown(switched_off, begin, end),
        cmocka_unit_test_setup_teardown(cut_short, begin, end),
        cmocka_unit_test_setup_teardown(damaged, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
