/* tests/unit/agent/test_holdwatch.c -- what comes back to life is told: once, by whom, and not what
 * only an old event says. Entra, AD and the loop's time are scripted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/service/holdwatch.h"
#include "base/cleanup.h"
#include "cloud/entra.h"
#include "eventlog/samflags.h"
#include "ldap/uac.h"
#include "tests/unit/agent/ledger_help.h"

#define SID "S-1-5-21-1-2-3-1105"
#define BOB "S-1-5-21-1-2-3-1106"
#define SELF "S-1-5-21-1-2-3-1000"
#define ENTRA "00000000-0000-0000-0000-000000000001"
enum { MINUTE = 60 * 1000, WAITING = 64 };

/* --- the world ------------------------------------------------------------------------- */

static struct {
    uint64_t now;
    int64_t wall;
    loop_cb timer;
    void *timer_arg;
    uint64_t timer_at;
    bool enabled_in_entra, enabled_in_ad, giving_back;
    enum err_code entra_fails, ad_fails;
    entra_user_cb entra_cb[WAITING];
    void *entra_arg[WAITING];
    size_t entra_count, entra_most, entra_asked;
    ad_read_cb ad_cb[WAITING];
    void *ad_arg[WAITING];
    size_t ad_count;
    unsigned ad_asked;
    char dc[64];
    char told[2048]; /* what came back */
} w;

int __wrap_entra_read_start(struct graph *g, const char *id, entra_user_cb cb, void *arg,
                            struct entra_call **ret_call, struct err *err);
void __wrap_entra_cancel(struct entra_call *c);
struct loop_timer *__wrap_loop_timer_start(struct loop *l, uint64_t ms, loop_cb cb, void *arg);
void __wrap_loop_timer_stop(struct loop_timer **t);
uint64_t __wrap_loop_now(struct loop *l);
int64_t __wrap_stamp_now_ms(void);
const char *__wrap_evlog_source_dc(const struct evlog_source *s);

int __wrap_entra_read_start(struct graph *g, const char *id, entra_user_cb cb, void *arg,
                            struct entra_call **ret_call, struct err *err)
{
    (void)g;
    (void)id;
    (void)err;
    assert_true(w.entra_count < WAITING);
    w.entra_cb[w.entra_count] = cb;
    w.entra_arg[w.entra_count++] = arg;
    w.entra_asked++;
    if (w.entra_count > w.entra_most)
        w.entra_most = w.entra_count;
    *ret_call = (struct entra_call *)&w;
    return 0;
}

void __wrap_entra_cancel(struct entra_call *c)
{
    assert_ptr_equal(c, &w);
    w.entra_fails = ERR_CANCELED;
}

struct loop_timer *__wrap_loop_timer_start(struct loop *l, uint64_t ms, loop_cb cb, void *arg)
{
    (void)l;
    w.timer = cb;
    w.timer_arg = arg;
    w.timer_at = w.now + ms;
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

const char *__wrap_evlog_source_dc(const struct evlog_source *s)
{
    (void)s;
    return "dc2.corp.example.com";
}

static int read_ad(void *arg, const char *domain, const char *dc, const struct ad_guid *guid,
                   ad_read_cb cb, void *cb_arg, struct err *err)
{
    assert_ptr_equal(arg, &w);
    assert_string_equal(domain, "corp.example.com");
    assert_int_equal(guid->b[0], 7);
    if (w.ad_fails == ERR_UNSENT)
        return err_set(err, ERR_UNSENT, 0, "no DC");
    w.ad_asked++;
    assert_true(w.ad_count < WAITING);
    w.ad_cb[w.ad_count] = cb;
    w.ad_arg[w.ad_count++] = cb_arg;
    (void)snprintf(w.dc, sizeof(w.dc), "%s", dc != NULL ? dc : "any");
    return 0;
}

static void came_back(void *arg, const struct holdwatch_return *r)
{
    size_t n = strlen(w.told);

    assert_ptr_equal(arg, &w);
    (void)snprintf(w.told + n, sizeof(w.told) - n, "[%s %s by '%s': %s; %s%s]", r->request,
                   r->where == HOLDWATCH_AD ? "ad" : "entra", r->who, r->what, r->policy,
                   r->read ? "" : " unread");
}

static bool giving_back(void *arg, const struct holdwatch_return *r)
{
    assert_ptr_equal(arg, &w);
    assert_non_null(strstr(r->sid, "S-1-5-21-1-2-3-"));
    return w.giving_back;
}

static void answer(void)
{
    struct err no;

    (void)err_set(&no, ERR_BUSY, 0, "down");
    while (w.entra_count > 0 || w.ad_count > 0) {
        if (w.ad_count > 0) {
            struct ad_account *a = calloc(1, sizeof(*a));

            assert_non_null(a);
            a->uac = 0x200 | (w.enabled_in_ad ? 0 : AD_UAC_ACCOUNTDISABLE);
            w.ad_count--;
            no.code = w.ad_fails;
            if (w.ad_fails != ERR_OK) {
                free(a);
                a = NULL;
            }
            w.ad_cb[w.ad_count](w.ad_arg[w.ad_count], a, a == NULL ? &no : NULL);
        } else {
            struct entra_user u = {.enabled = w.enabled_in_entra};

            w.entra_count--;
            no.code = w.entra_fails;
            w.entra_cb[w.entra_count](w.entra_arg[w.entra_count],
                                      w.entra_fails == ERR_OK ? &u : NULL,
                                      w.entra_fails == ERR_OK ? NULL : &no);
        }
    }
}

/* The loop, for so long. */
static void pass(uint64_t ms)
{
    uint64_t end = w.now + ms;

    answer();
    while (w.timer != NULL && w.timer_at <= end) {
        loop_cb cb = w.timer;

        w.wall += (int64_t)(w.timer_at - w.now);
        w.now = w.timer_at;
        w.timer = NULL;
        cb(w.timer_arg);
        answer();
    }
    w.wall += (int64_t)(end - w.now);
    w.now = end;
}

static const char *told_now(void)
{
    static char copy[sizeof(w.told)];

    memcpy(copy, w.told, sizeof(copy));
    w.told[0] = '\0';
    return copy;
}

/* --- the service ----------------------------------------------------------------------- */

static struct cfg cfg;
static struct ledger *ledger;
static struct holdwatch *watch;
static const struct ad_guid guid = {{7}};

static void start(void)
{
    const struct holdwatch_ops ops = {read_ad, came_back, giving_back};

    ledger = open_plain();
    must(holdwatch_open(NULL, ledger, (struct graph *)&w, &cfg, &ops, &w, &watch, &e));
}

static void stop(void)
{
    holdwatch_close(&watch);
    answer();
    w.entra_fails = ERR_OK;
    must(ledger_commit(ledger, &e));
    shut(ledger);
}

static int begin(void **state)
{
    memset(&w, 0, sizeof(w));
    w.now = 1000000;
    w.wall = INT64_C(1795252443000);
    cfg = (struct cfg){.hold_watch_ms = 45 * MINUTE, .entra = {.hold = true}};
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

/* "R1" is alice, and each other number is somebody else. */
static const char *sid_of(const char *request)
{
    static char sid[64];

    (void)snprintf(sid, sizeof(sid), "S-1-5-21-1-2-3-%d",
                   strcmp(request, "R1") == 0 ? 1105 : 2000 + (int)strtol(request + 1, NULL, 10));
    return sid;
}

static void add_as(const char *request, const char *who)
{
    char entra[40];
    const struct holdwatch_account a = {.request = request,
                                        .case_id = CASE_A,
                                        .domain = "corp.example.com",
                                        .name = "alice",
                                        .sid = sid_of(who),
                                        .dn = "CN=Alice,OU=People,DC=corp",
                                        .guid = &guid,
                                        .entra_id = entra,
                                        .self_sid = SELF};

    (void)snprintf(entra, sizeof(entra), "00000000-0000-0000-0000-%012ld",
                   strtol(who + 1, NULL, 10));
    must(holdwatch_add(watch, &a, &e));
}

static void add(const char *request)
{
    add_as(request, request);
}

static void event(uint32_t id, uint32_t old, uint32_t new, const char *actor)
{
    struct evlog_event ev;

    evlog_event_init(&ev);
    ev.id = id;
    ev.outcome = EVLOG_SUCCESS;
    ev.target.sid = SID;
    ev.actor.sid = actor;
    ev.actor.name = "bob";
    ev.actor.domain = "CORP";
    ev.has_record = true;
    ev.record = 88123;
    ev.uac.has_old = ev.uac.has_new = id == EVLOG_CHANGED;
    ev.uac.old = old;
    ev.uac.new = new;
    holdwatch_hear(watch, (const struct evlog_source *)&w, &ev);
}

/* --- tests ----------------------------------------------------------------------------- */

static void in_entra(void **state)
{
    (void)state;
    add("R1");
    pass(10 * MINUTE);
    assert_int_equal(w.entra_asked, 10);
    assert_string_equal(told_now(), "");
    w.enabled_in_entra = true;
    pass(MINUTE);
    assert_string_equal(told_now(), "[R1 entra by '': seen when read again; put-back]");
    pass(5 * MINUTE);
    assert_string_equal(told_now(), ""); /* once */
    w.enabled_in_entra = false;
    pass(MINUTE);
    w.enabled_in_entra = true;
    cfg.entra.hold = false;
    pass(MINUTE);
    assert_string_equal(told_now(), "[R1 entra by '': seen when read again; tell]");
    holdwatch_put_back(watch, "R1"); /* and enabled again within a minute */
    pass(MINUTE);
    assert_string_equal(told_now(), "[R1 entra by '': seen when read again; tell]");
    assert_int_equal(holdwatch_count(watch), 1);
    pass(45 * MINUTE);
    assert_int_equal(holdwatch_count(watch), 0);
    assert_null(w.timer);
    assert_string_equal(told_now(), "");
}

static void by_event(void **state)
{
    (void)state;
    add("R1");
    w.enabled_in_ad = true;
    event(EVLOG_ENABLED, 0, 0, BOB);
    assert_string_equal(told_now(), ""); /* not from inside */
    event(EVLOG_CHANGED, EVLOG_SAM_DISABLED | 0x10, 0x10, BOB);
    pass(0);
    assert_string_equal(w.dc, "dc2.corp.example.com");
    assert_string_equal(told_now(), "[R1 ad by 'CORP\\bob (" BOB ")': event 4738 #88123 at "
                                    "dc2.corp.example.com; tell]");
}

static void what_events_say(void **state)
{
    static const struct {
        uint32_t id, old, new;
        bool read;
    } cases[] = {
        {EVLOG_ENABLED, 0, 0, true},         {EVLOG_CHANGED, 0x11, 0x10, true},
        {EVLOG_CHANGED, 0x10, 0x10, false}, /* another change */
        {EVLOG_CHANGED, 0x11, 0x211, false}, {EVLOG_CHANGED, 0x10, 0x11, false},
        {EVLOG_DISABLED, 0, 0, false},       {EVLOG_UNLOCKED, 0, 0, false},
    };
    struct evlog_event ev;

    (void)state;
    add("R1");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        w.ad_asked = 0;
        event(cases[i].id, cases[i].old, cases[i].new, BOB);
        pass(0);
        assert_int_equal(w.ad_asked, cases[i].read);
    }
    assert_string_equal(told_now(), ""); /* read, and still disabled: an old event */

    evlog_event_init(&ev);
    ev.id = EVLOG_ENABLED;
    w.ad_asked = 0;
    ev.outcome = EVLOG_FAILURE;
    ev.target.sid = SID;
    holdwatch_hear(watch, (const struct evlog_source *)&w, &ev);
    ev.outcome = EVLOG_SUCCESS;
    ev.target.sid = BOB;
    holdwatch_hear(watch, (const struct evlog_source *)&w, &ev);
    pass(0);
    assert_int_equal(w.ad_asked, 0);
    ev.target.sid = "";
    ev.target.dn = "cn=Bob, ou=People, dc=corp";
    holdwatch_hear(watch, (const struct evlog_source *)&w, &ev);
    pass(0);
    assert_int_equal(w.ad_asked, 0);
    ev.target.dn = "cn=alice, ou=people, dc=corp"; /* Samba */
    holdwatch_hear(watch, (const struct evlog_source *)&w, &ev);
    pass(0);
    assert_int_equal(w.ad_asked, 1);
}

/* Twice within what a re-read would see as once; and by ourselves. */
static void again_by_event(void **state)
{
    (void)state;
    add("R1");
    w.enabled_in_ad = true;
    event(EVLOG_ENABLED, 0, 0, BOB);
    pass(0);
    assert_non_null(strstr(told_now(), "4722"));
    event(EVLOG_ENABLED, 0, 0, BOB);
    pass(0);
    assert_string_equal(told_now(), "");
    event(EVLOG_DISABLED, 0, 0, SELF);
    event(EVLOG_ENABLED, 0, 0, SELF);
    pass(0);
    assert_string_equal(told_now(), "");
    assert_int_equal(holdwatch_count(watch), 0); /* cordon enable, by our own account */
}

static void ad_without_events(void **state)
{
    (void)state;
    add("R1");
    pass(11 * MINUTE);
    assert_int_equal(w.ad_asked, 2);
    assert_string_equal(w.dc, "any");
    w.enabled_in_ad = true;
    pass(5 * MINUTE);
    assert_string_equal(told_now(), "[R1 ad by '': seen when read again; tell]");
}

static void cannot_be_read(void **state)
{
    (void)state;
    add("R1");
    w.entra_fails = w.ad_fails = ERR_BUSY;
    pass(6 * MINUTE);
    assert_string_equal(told_now(), "");
    event(EVLOG_ENABLED, 0, 0, BOB);
    pass(0);
    assert_non_null(strstr(told_now(), "; tell unread]"));
    event(EVLOG_DISABLED, 0, 0, SELF);
    w.ad_fails = ERR_UNSENT; /* it cannot even be begun */
    event(EVLOG_ENABLED, 0, 0, BOB);
    pass(0);
    assert_non_null(strstr(told_now(), "; tell unread]"));
    w.entra_fails = w.ad_fails = ERR_NOTFOUND; /* deleted: not alive */
    w.enabled_in_entra = true;
    pass(6 * MINUTE);
    assert_string_equal(told_now(), "");
}

static void over_a_restart(void **state)
{
    (void)state;
    add("R1");
    add("R2");
    pass(10 * MINUTE);
    stop();
    w.now = 5; /* another loop */
    w.enabled_in_entra = true;
    start();
    assert_int_equal(holdwatch_count(watch), 2);
    pass(10 * 1000); /* soon, not in a minute */
    assert_non_null(strstr(w.told, "[R1 entra"));
    assert_non_null(strstr(told_now(), "[R2 entra"));
    holdwatch_drop(watch, NULL, ENTRA);
    assert_int_equal(holdwatch_count(watch), 1);
    holdwatch_drop(watch, sid_of("R2"), NULL);
    assert_int_equal(holdwatch_count(watch), 0);
    stop();
    start();
    assert_int_equal(holdwatch_count(watch), 0);
    add("R3");
    stop();
    w.wall += 45 * MINUTE;
    start();
    assert_int_equal(holdwatch_count(watch), 0);
}

static void drop(void **state)
{
    (void)state;
    add("R1");
    event(EVLOG_ENABLED, 0, 0, BOB);
    w.enabled_in_ad = w.enabled_in_entra = true;
    holdwatch_drop(watch, SID, NULL); /* on purpose */
    pass(10 * MINUTE);
    assert_string_equal(told_now(), "");
    cfg.hold_watch_ms = 0;
    add("R2");
    assert_int_equal(holdwatch_count(watch), 0);
}

/* By the domain's own policy, and no more than so often: also over restarts. */
static void put_back_in_ad(void **state)
{
    struct cfg_domain domain = {.name = (char[]){"corp.example.com"}, .hold = true};

    (void)state;
    cfg.domains = &domain;
    cfg.domain_count = 1;
    add("R1");
    w.enabled_in_ad = true;
    for (int i = 0; i < HOLDWATCH_PUT_BACKS; i++) {
        event(EVLOG_ENABLED, 0, 0, BOB);
        pass(0);
        assert_non_null(strstr(told_now(), "; put-back]"));
        stop();
        start();
        pass(10 * 1000);
        assert_string_equal(told_now(), ""); /* that it is alive is on record */
        holdwatch_put_back(watch, "R1");
        if (i == 1) {
            stop();
            start(); /* and that it was put back */
        }
    }
    event(EVLOG_ENABLED, 0, 0, BOB);
    pass(0);
    assert_non_null(strstr(told_now(), "; tell]"));
    pass(30 * MINUTE);
    assert_string_equal(told_now(), "");
    cfg.domain_count = 0;
}

/* What came_back wanted did not get to disk. */
static void once_more(void **state)
{
    (void)state;
    add("R1");
    w.enabled_in_entra = true;
    pass(MINUTE);
    assert_non_null(strstr(told_now(), "; put-back]"));
    for (int i = 0; i < 2 * HOLDWATCH_PUT_BACKS; i++) { /* nothing was put back yet */
        holdwatch_again(watch, "R1");
        pass(15 * 1000);
        assert_non_null(strstr(told_now(), "; put-back]"));
    }
}

static void given_back_by_us(void **state)
{
    (void)state;
    add("R1");
    w.giving_back = w.enabled_in_ad = w.enabled_in_entra = true;
    event(EVLOG_ENABLED, 0, 0, BOB); /* whoever: there is a request for it */
    pass(2 * MINUTE);
    assert_string_equal(told_now(), "");
    w.giving_back = false; /* it did not enable it: somebody else did */
    pass(5 * MINUTE);
    assert_non_null(strstr(w.told, "[R1 entra"));
    assert_non_null(strstr(w.told, "[R1 ad"));
}

static void paused(void **state)
{
    (void)state;
    add("R1");
    w.enabled_in_entra = true;
    holdwatch_pause(watch);
    pass(10 * MINUTE);
    assert_int_equal(w.entra_asked, 0);
    add("R2"); /* it ends while we stop: the next start watches it */
    stop();
    start();
    assert_int_equal(holdwatch_count(watch), 2);
}

/* Contained once more by another request: its watch is the one that counts. */
static void a_newer_watch(void **state)
{
    (void)state;
    add("R1");
    pass(40 * MINUTE);
    add_as("R2", "R1");
    assert_int_equal(holdwatch_count(watch), 1);
    stop();
    start();
    pass(40 * MINUTE);
    w.enabled_in_ad = true;
    event(EVLOG_ENABLED, 0, 0, BOB);
    pass(0);
    assert_non_null(strstr(w.told, "[R2 ad"));
    assert_null(strstr(w.told, "[R1 ad"));
}

static void many(void **state)
{
    char id[16];

    (void)state;
    for (int i = 0; i < 90; i++) {
        (void)snprintf(id, sizeof(id), "R%d", i);
        add(id);
    }
    pass(MINUTE);
    assert_int_equal(w.entra_most, 20);
    assert_int_equal(w.entra_asked, 90);
}

static void closed_while_reading(void **state)
{
    (void)state;
    add("R1");
    w.now += 5 * MINUTE;
    w.enabled_in_ad = w.enabled_in_entra = true;
    w.timer(w.timer_arg);
    assert_int_equal(w.entra_count, 1);
    assert_int_equal(w.ad_count, 1);
    stop();
    assert_string_equal(told_now(), "");
    start();
    add("R2");
    w.timer(w.timer_arg);
    holdwatch_drop(watch, SID, NULL);
    holdwatch_drop(watch, sid_of("R2"), NULL);
    answer();
    assert_string_equal(told_now(), "");
}

static void damaged(void **state)
{
    const struct holdwatch_ops ops = {read_ad, came_back, giving_back};
    struct holdwatch *h = NULL;

    (void)state;
    put(ledger, CASE_A, "watching", "{\"request\":\"R1\"}");
    must(ledger_commit(ledger, &e));
    fails(holdwatch_open(NULL, ledger, NULL, &cfg, &ops, &w, &h, &e), ERR_INVALID,
          "record 1 (watching)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_entra, begin, end),
        cmocka_unit_test_setup_teardown(by_event, begin, end),
        cmocka_unit_test_setup_teardown(what_events_say, begin, end),
        cmocka_unit_test_setup_teardown(again_by_event, begin, end),
        cmocka_unit_test_setup_teardown(ad_without_events, begin, end),
        cmocka_unit_test_setup_teardown(cannot_be_read, begin, end),
        cmocka_unit_test_setup_teardown(over_a_restart, begin, end),
        cmocka_unit_test_setup_teardown(drop, begin, end),
        cmocka_unit_test_setup_teardown(put_back_in_ad, begin, end),
        cmocka_unit_test_setup_teardown(once_more, begin, end),
        cmocka_unit_test_setup_teardown(given_back_by_us, begin, end),
        cmocka_unit_test_setup_teardown(paused, begin, end),
        cmocka_unit_test_setup_teardown(a_newer_watch, begin, end),
        cmocka_unit_test_setup_teardown(many, begin, end),
        cmocka_unit_test_setup_teardown(closed_while_reading, begin, end),
        cmocka_unit_test_setup_teardown(damaged, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
