/* tests/unit/eventlog/test_source_winrm.c -- a subscription that goes on whatever the server does.
 *
 * The server is the test: winrm_*_start below note what was asked, and the test calls back. What
 * must hold: an event is handed over once, none is lost without a gap being said, and "open" is
 * true only while a Pull is on its way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "base/stamp.h"
#include "base/winrm_pull.h"
#include "base/xml.h"
#include "eventlog/source_ops.h"
#include "eventlog/source_winrm.h"
#include "eventlog/winrm_query.h"

#define DC "dc1.corp.example.com"
#define ALICE "S-1-5-21-1-2-3-1104"

/* --- the server ---------------------------------------------------------------------------------
 */

enum op { OP_NONE, OP_IDENTIFY, OP_SUBSCRIBE, OP_PULL, OP_UNSUBSCRIBE };

struct winrm {
    int unused;
};
struct winrm_call {
    int unused;
};

static struct server {
    struct winrm winrm;
    struct winrm_call call;
    enum op op; /* the one in flight */
    unsigned identifies, subscribes, pulls, unsubscribes, abandoned;
    bool earliest, as_text;
    struct winrm_bookmark from;
    char query[4096], context[WINRM_CONTEXT], identifier[WINRM_CONTEXT];
    unsigned max;
    winrm_subscribe_cb on_subscribe;
    winrm_pull_cb on_pull;
    winrm_done_cb on_done;
    winrm_identify_cb on_identify;
    void *arg;
    bool has_clock;
    int64_t clock_ms;
    int news; /* struct winrm made */
} srv;

int winrm_new(struct loop *l, const struct winrm_settings *s, struct winrm **ret, struct err *e)
{
    (void)l;
    (void)e;
    assert_string_equal(s->host, DC);
    srv.news++;
    *ret = &srv.winrm;
    return 0;
}

void winrm_free(struct winrm *w)
{
    srv.news -= w != NULL ? 1 : 0;
}

int winrm_set_ccache(struct winrm *w, const char *ccache, struct err *e)
{
    (void)w;
    (void)ccache;
    (void)e;
    return 0;
}

void winrm_facts(const struct winrm *w, struct winrm_facts *ret)
{
    (void)w;
    *ret = (struct winrm_facts){.has_clock = srv.has_clock, .clock_ms = srv.clock_ms};
}

void winrm_call_abandon(struct winrm_call *c)
{
    if (c == NULL)
        return;
    srv.abandoned++;
    srv.op = OP_NONE;
}

static int begun(enum op op, void *arg, struct winrm_call **ret)
{
    assert_int_equal(srv.op, OP_NONE); /* one in flight */
    srv.op = op;
    srv.arg = arg;
    *ret = &srv.call;
    return 0;
}

int winrm_identify_start(struct winrm *w, bool anonymous, winrm_identify_cb cb, void *arg,
                         struct winrm_call **ret, struct err *e)
{
    (void)w;
    (void)e;
    assert_false(anonymous);
    srv.identifies++;
    srv.on_identify = cb;
    return begun(OP_IDENTIFY, arg, ret);
}

int winrm_subscribe_start(struct winrm *w, const struct winrm_subscribe *s, winrm_subscribe_cb cb,
                          void *arg, struct winrm_call **ret, struct err *e)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(sizeof(srv.query) - 1);
    struct xml_out x;

    (void)w;
    xml_out_init(&x, &t);
    if (s->query != NULL)
        s->query(&x, s->arg);
    else
        text_add(&t, s->filter);
    assert_int_equal(xml_out_check(&x, "query", e), 0);
    (void)snprintf(srv.query, sizeof(srv.query), "%s", t.s);
    srv.as_text = s->query == NULL;
    srv.earliest = s->earliest;
    srv.from = s->from != NULL ? *s->from : (struct winrm_bookmark){0};
    assert_int_equal(s->heartbeat_ms, s->operation_ms);
    srv.subscribes++;
    srv.on_subscribe = cb;
    return begun(OP_SUBSCRIBE, arg, ret);
}

int winrm_pull_start(struct winrm *w, const struct winrm_pull *p, winrm_pull_cb cb, void *arg,
                     struct winrm_call **ret, struct err *e)
{
    (void)w;
    (void)e;
    (void)snprintf(srv.context, sizeof(srv.context), "%s", p->context);
    srv.max = p->max;
    srv.pulls++;
    srv.on_pull = cb;
    return begun(OP_PULL, arg, ret);
}

int winrm_unsubscribe_start(struct winrm *w, const char *resource, const char *identifier,
                            winrm_done_cb cb, void *arg, struct winrm_call **ret, struct err *e)
{
    (void)w;
    (void)e;
    assert_null(resource);
    (void)snprintf(srv.identifier, sizeof(srv.identifier), "%s", identifier);
    srv.unsubscribes++;
    srv.on_done = cb;
    return begun(OP_UNSUBSCRIBE, arg, ret);
}

/* --- what it answers
 * ------------------------------------------------------------------------------ */

static void subscribed(const char *identifier, const char *context)
{
    struct winrm_subscription s = {0};

    assert_int_equal(srv.op, OP_SUBSCRIBE);
    (void)snprintf(s.identifier, sizeof(s.identifier), "%s", identifier);
    (void)snprintf(s.context, sizeof(s.context), "%s", context);
    srv.op = OP_NONE;
    srv.on_subscribe(srv.arg, &s, NULL, NULL);
}

static void fail_now(const struct soap_fault *f, const struct err *e)
{
    enum op op = srv.op;

    srv.op = OP_NONE;
    if (op == OP_SUBSCRIBE)
        srv.on_subscribe(srv.arg, NULL, f, e);
    else if (op == OP_PULL)
        srv.on_pull(srv.arg, NULL, f, e);
    else if (op == OP_IDENTIFY)
        srv.on_identify(srv.arg, NULL, f, e);
    else if (op == OP_UNSUBSCRIBE)
        srv.on_done(srv.arg, f, e);
    else
        fail_msg("nothing is in flight");
}

static void fault(enum soap_fault_kind kind)
{
    struct soap_fault f = {.kind = kind, .code = 1};
    struct err e = {.code = ERR_REFUSED};

    if (kind == SOAP_TIMED_OUT)
        e.code = ERR_TIMEOUT;
    (void)snprintf(e.msg, sizeof(e.msg), "fault %d", (int)kind);
    fail_now(&f, &e);
}

static void broken(enum err_code code)
{
    struct err e = {.code = code};

    (void)snprintf(e.msg, sizeof(e.msg), "%s", err_word(code));
    fail_now(NULL, &e);
}

/* Events with these numbers (0 ends); bookmark 0: none. */
static void pulled(const unsigned *records, uint64_t bookmark, const char *context)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(64 * 1024);
    CLEANUP(xml_freep) struct xml_doc *doc = NULL;
    struct winrm_pulled p = {.context = context};
    struct err e;

    assert_int_equal(srv.op, OP_PULL);
    text_add(&t, "<Items>");
    for (size_t i = 0; records[i] != 0; i++)
        text_addf(&t,
                  "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
                  "<Provider Name='Microsoft-Windows-Security-Auditing'/><EventID>4725</EventID>"
                  "<Keywords>0x8020000000000000</Keywords>"
                  "<TimeCreated SystemTime='2026-11-20T09:30:01.1234567Z'/>"
                  "<EventRecordID>%u</EventRecordID><Channel>Security</Channel>"
                  "<Computer>" DC "</Computer></System><EventData>"
                  "<Data Name='TargetSid'>" ALICE "</Data></EventData></Event>",
                  records[i]);
    text_add(&t, "</Items>");
    assert_int_equal(xml_parse(t.s, t.len, &doc, &e), 0);
    p.items = xml_root(doc);
    if (bookmark != 0) {
        p.bookmark.count = 1;
        p.bookmark.at[0].record = bookmark;
        (void)snprintf(p.bookmark.at[0].channel, sizeof(p.bookmark.at[0].channel), "Security");
    }
    srv.op = OP_NONE;
    srv.on_pull(srv.arg, &p, NULL, NULL);
}
#define NONE ((const unsigned[]){0})
#define RECORDS(...) ((const unsigned[]){__VA_ARGS__, 0})

/* --- the world
 * ------------------------------------------------------------------------------------ */

struct world {
    struct loop *loop;
    struct evlog_watcher *watcher;
    struct evlog_source *source;
    unsigned ready, events;
    uint64_t last;
    struct err why;
    bool ended;
};

static void on_ready(void *arg, struct evlog_source *s, const struct err *e)
{
    struct world *w = arg;

    (void)s;
    w->ready++;
    w->why = e != NULL ? *e : ERR_NONE;
}

static void on_listen(void *arg, const struct evlog_source *s, const struct evlog_event *ev)
{
    struct world *w = arg;

    (void)s;
    w->events++;
    w->last = ev->record;
}

static void stop(void *arg)
{
    loop_stop(((struct world *)arg)->loop);
}

/* Some turns of the loop: what is due in 0 ms comes. */
static void turn(struct world *w)
{
    for (int i = 0; i < 3; i++) {
        struct err e;

        assert_non_null(loop_timer_start(w->loop, 0, stop, w));
        assert_int_equal(loop_run(w->loop, &e), 0);
    }
}

/* Until something is in flight. */
static void until_asked(struct world *w)
{
    for (int i = 0; i < 200 && srv.op == OP_NONE; i++) {
        struct err e;

        assert_non_null(loop_timer_start(w->loop, 10, stop, w));
        assert_int_equal(loop_run(w->loop, &e), 0);
    }
    assert_int_not_equal(srv.op, OP_NONE);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct err e;

    memset(&srv, 0, sizeof(srv));
    *state = w;
    if (w == NULL || loop_new(&w->loop, &e) < 0 || evlog_watcher_new(w->loop, &w->watcher, &e) < 0)
        return -1;
    evlog_watcher_listen(w->watcher, on_listen, w);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    evlog_watcher_free(w->watcher);
    loop_free(w->loop);
    assert_int_equal(srv.news, 0);
    free(w);
    return 0;
}

static void open_with(struct world *w, struct evlog_winrm spec)
{
    struct winrm_settings s = {.host = DC};
    struct err e;

    spec.winrm = &s;
    spec.dc = DC;
    if (evlog_source_open_winrm(w->watcher, &spec, on_ready, w, &w->source, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(srv.op, OP_NONE); /* never inside the call */
    turn(w);
}

static void open_now(struct world *w)
{
    open_with(w, (struct evlog_winrm){0});
    subscribed("id-1", "c1");
    turn(w);
}

static struct evlog_health health(const struct world *w)
{
    struct evlog_health h;

    evlog_source_health(w->source, &h);
    return h;
}

/* --- tests
 * ---------------------------------------------------------------------------------------- */

static void opens_subscribes_and_pulls(void **state)
{
    struct world *w = *state;

    open_with(w, (struct evlog_winrm){.target_sid = ALICE});
    assert_int_equal(srv.op, OP_SUBSCRIBE);
    assert_false(srv.earliest);
    assert_int_equal(srv.from.count, 0);
    assert_non_null(strstr(srv.query, "EventID=4725 or "));
    assert_non_null(strstr(srv.query, "EventData[Data[@Name='TargetSid']='" ALICE "']"));
    assert_null(strstr(srv.query, "TimeCreated"));
    assert_non_null(strstr(srv.query, "<QueryList xmlns=\"\">"));
    assert_false(health(w).open);
    assert_int_equal(w->ready, 0);
    subscribed("id-1", "c1");
    assert_int_equal(srv.op, OP_PULL);
    assert_string_equal(srv.context, "c1");
    assert_int_equal(w->ready, 0); /* a turn later */
    turn(w);
    assert_int_equal(w->ready, 1);
    assert_int_equal(w->why.code, ERR_OK);
    assert_true(health(w).open);
    pulled(RECORDS(101, 102), 102, "c2");
    assert_int_equal(w->events, 2);
    assert_string_equal(srv.context, "c2");
    pulled(NONE, 0, "c3");
    assert_int_equal(w->events, 2);
    assert_string_equal(srv.context, "c3");
    fault(SOAP_TIMED_OUT);
    assert_int_equal(srv.op, OP_PULL);
    assert_string_equal(srv.context, "c3");
    assert_int_equal(srv.subscribes, 1);
}

static void goes_on_from_the_bookmark(void **state)
{
    struct world *w = *state;

    open_now(w);
    pulled(RECORDS(101), 101, "c2");
    pulled(NONE, 77, "c3"); /* a bookmark with nothing is none */
    fault(SOAP_GONE);
    assert_false(health(w).open);
    until_asked(w);
    assert_int_equal(srv.op, OP_SUBSCRIBE);
    assert_int_equal(srv.from.count, 1);
    assert_int_equal(srv.from.at[0].record, 101);
    assert_false(srv.earliest);
    subscribed("id-2", "d1");
    assert_true(health(w).open);
    pulled(RECORDS(101, 102), 102, "d2"); /* a batch that comes again */
    assert_int_equal(w->events, 2);
    assert_int_equal(w->last, 102);
    assert_int_equal(health(w).gaps, 0);
    assert_int_equal(srv.unsubscribes, 0); /* it was gone: nothing to give back */
}

static void a_lost_answer_is_not_pulled_again(void **state)
{
    struct world *w = *state;

    open_now(w);
    pulled(RECORDS(101), 101, "c2");
    broken(ERR_UNPROVEN);
    until_asked(w);
    assert_int_equal(srv.op, OP_SUBSCRIBE);
    assert_int_equal(srv.from.at[0].record, 101);
    subscribed("id-2", "d1");
    pulled(RECORDS(102), 102, "d2");
    /* The old one may still be open there: it is given back between two pulls. */
    assert_int_equal(srv.op, OP_UNSUBSCRIBE);
    assert_string_equal(srv.identifier, "id-1");
    assert_true(health(w).open);
    fault(SOAP_GONE);
    assert_int_equal(srv.op, OP_PULL);
    assert_string_equal(srv.context, "d2");
    assert_int_equal(w->events, 2);
}

static void before_the_first_bookmark_it_goes_back_in_time(void **state)
{
    struct world *w = *state;
    int64_t now = stamp_now_ms();
    char at[STAMP_TEXT], *s;
    int64_t since;

    srv.has_clock = true;
    srv.clock_ms = 60000;
    open_now(w);
    broken(ERR_UNPROVEN);
    until_asked(w);
    assert_int_equal(srv.op, OP_SUBSCRIBE);
    assert_true(srv.earliest);
    assert_int_equal(srv.from.count, 0);
    s = strstr(srv.query, "TimeCreated[@SystemTime&gt;='");
    assert_non_null(s);
    (void)snprintf(at, sizeof(at), "%.24s", s + strlen("TimeCreated[@SystemTime&gt;='"));
    assert_true(stamp_parse_iso(at, &since));
    /* The server's clock is a minute ahead; five seconds to be safe. */
    assert_in_range(since, now + 60000 - 5000 - 1000, now + 60000 - 5000 + 5000);
    assert_int_equal(health(w).gaps, 0);
}

static void a_log_that_rolled_over_is_a_gap(void **state)
{
    struct world *w = *state;

    open_now(w);
    pulled(RECORDS(101), 101, "c2");
    fault(SOAP_STALE);
    assert_int_equal(health(w).gaps, 1);
    until_asked(w);
    assert_int_equal(srv.op, OP_SUBSCRIBE);
    assert_int_equal(srv.from.count, 0);
    assert_true(srv.earliest); /* what is left since watching began */
    subscribed("id-2", "d1");
    pulled(RECORDS(101, 150), 150, "d2");
    assert_int_equal(w->events, 2); /* 101 was seen */
    assert_int_equal(w->last, 150);
}

static void an_unreadable_answer_does_not_stop_the_rest(void **state)
{
    struct world *w = *state;

    open_now(w);
    pulled(RECORDS(101), 101, "c2");
    broken(ERR_INVALID);
    until_asked(w);
    assert_int_equal(srv.from.at[0].record, 101);
    subscribed("id-2", "d1");
    assert_int_equal(srv.max, 1); /* one at a time: the others come through */
    pulled(RECORDS(102), 102, "d2");
    assert_int_equal(w->events, 2);
    broken(ERR_INVALID); /* the unsubscribe */
    until_asked(w);
    assert_int_equal(srv.op, OP_SUBSCRIBE);
    subscribed("id-3", "e1");
    broken(ERR_INVALID);
    until_asked(w);
    subscribed("id-4", "f1");
    broken(ERR_INVALID); /* the same place again: it can't be passed */
    assert_int_equal(health(w).gaps, 1);
    until_asked(w);
    assert_int_equal(srv.op, OP_SUBSCRIBE);
    assert_int_equal(srv.from.count, 0);
    assert_false(srv.earliest); /* from now on */
}

static void too_big_asks_for_less(void **state)
{
    struct world *w = *state;
    unsigned before;

    open_now(w);
    before = srv.max;
    fault(SOAP_TOO_BIG);
    until_asked(w);
    subscribed("id-2", "d1");
    assert_int_equal(srv.max, before / 2);
}

static void the_query_goes_as_text_where_a_server_wants_that(void **state)
{
    struct world *w = *state;

    open_with(w, (struct evlog_winrm){0});
    assert_false(srv.as_text);
    fault(SOAP_BAD_QUERY);
    assert_int_equal(srv.op, OP_SUBSCRIBE);
    assert_true(srv.as_text);
    assert_non_null(strstr(srv.query, "<QueryList"));
    fault(SOAP_BAD_QUERY);
    assert_int_equal(srv.op, OP_NONE); /* once only */
    turn(w);
    assert_int_equal(w->ready, 1);
    assert_int_not_equal(w->why.code, ERR_OK);
}

static void a_refusal_is_told_and_tried_again_slowly(void **state)
{
    struct world *w = *state;

    open_with(w, (struct evlog_winrm){0});
    fault(SOAP_DENIED);
    turn(w);
    assert_int_equal(w->ready, 1);
    assert_int_not_equal(w->why.code, ERR_OK);
    assert_false(health(w).open);
    assert_string_not_equal(health(w).why, "");
    assert_int_equal(srv.subscribes, 1);
}

static void a_host_that_comes_late_is_read_from_when_it_was_asked(void **state)
{
    struct world *w = *state;

    open_with(w, (struct evlog_winrm){0});
    broken(ERR_UNSENT);
    turn(w);
    assert_int_equal(w->ready, 0); /* once is no news */
    until_asked(w);
    broken(ERR_UNSENT);
    turn(w);
    assert_int_equal(w->ready, 1);
    assert_int_not_equal(w->why.code, ERR_OK);
    until_asked(w);
    assert_int_equal(srv.op, OP_SUBSCRIBE);
    assert_true(srv.earliest); /* a change may have been made meanwhile */
    assert_non_null(strstr(srv.query, "TimeCreated"));
    subscribed("id-1", "c1");
    assert_true(health(w).open);
}

static void marks_lead_back(void **state)
{
    struct world *w = *state;
    char mark[EVLOG_MARK], early[EVLOG_MARK];
    struct evlog_since since;
    struct err e;

    open_now(w);
    evlog_source_mark(w->source, early);
    pulled(RECORDS(101), 101, "c2");
    evlog_source_mark(w->source, mark);
    evlog_source_close(&w->source);
    /* Another run: another watcher. */
    evlog_watcher_free(w->watcher);
    srv.op = OP_NONE;
    assert_int_equal(evlog_watcher_new(w->loop, &w->watcher, &e), 0);
    evlog_watcher_listen(w->watcher, on_listen, w);
    open_with(w, (struct evlog_winrm){.mark = mark});
    assert_int_equal(srv.op, OP_SUBSCRIBE);
    assert_int_equal(srv.from.count, 1);
    assert_int_equal(srv.from.at[0].record, 101);
    assert_int_equal(evlog_source_since(w->source, mark, &since, &e), 0);
    assert_true(evlog_since_covers(&since, &(struct evlog_pos){.off = 102}));
    assert_false(evlog_since_covers(&since, &(struct evlog_pos){.off = 101}));
    evlog_source_close(&w->source);
    srv.op = OP_NONE;
    /* No bookmark then: by its time. */
    open_with(w, (struct evlog_winrm){.mark = early});
    assert_int_equal(srv.from.count, 0);
    assert_true(srv.earliest);
    assert_non_null(strstr(srv.query, "TimeCreated"));
    evlog_source_close(&w->source);
    srv.op = OP_NONE;
    /* Another query: its bookmark would not fit. */
    open_with(w, (struct evlog_winrm){.mark = mark, .target_sid = ALICE});
    assert_int_equal(srv.from.count, 0);
    assert_true(srv.earliest);
}

static void a_mark_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = {"x",
                                      "1.2!",
                                      "1.2!w1:",
                                      "1.2!w1:0000000g:1:1",
                                      "1.2!w1:00000000:1",
                                      "1.2!w1:00000000:1:1:1",
                                      "1.2!w1:00000000:-1:1",
                                      "1.2!w2:00000000:1:1"};
    struct world *w = *state;
    struct winrm_settings s = {.host = DC};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct evlog_winrm spec = {.winrm = &s, .dc = DC, .mark = bad[i]};
        struct err e;

        assert_int_equal(evlog_source_open_winrm(w->watcher, &spec, on_ready, w, &w->source, &e),
                         -1);
        assert_int_equal(e.code, ERR_CONFIG);
    }
}

static void held_until_it_is_known_whom_it_is_about(void **state)
{
    struct world *w = *state;

    open_with(w, (struct evlog_winrm){.hold = true});
    assert_int_equal(srv.op, OP_IDENTIFY);
    srv.op = OP_NONE;
    srv.on_identify(srv.arg, &(struct winrm_identity){0}, NULL, NULL);
    turn(w);
    assert_int_equal(w->ready, 1);
    assert_int_equal(srv.op, OP_NONE);
    assert_false(health(w).open);
    evlog_winrm_focus(w->source, ALICE, on_ready, w);
    assert_int_equal(srv.op, OP_SUBSCRIBE);
    assert_non_null(strstr(srv.query, ALICE));
    subscribed("id-1", "c1");
    turn(w);
    assert_int_equal(w->ready, 2);
    assert_true(health(w).open);
}

static void focus_before_the_login_is_over(void **state)
{
    struct world *w = *state;

    open_with(w, (struct evlog_winrm){.hold = true});
    assert_int_equal(srv.op, OP_IDENTIFY);
    evlog_winrm_focus(w->source, ALICE, on_ready, w);
    srv.op = OP_NONE;
    srv.on_identify(srv.arg, &(struct winrm_identity){0}, NULL, NULL);
    assert_int_equal(srv.op, OP_SUBSCRIBE);
    assert_non_null(strstr(srv.query, ALICE));
    subscribed("id-1", "c1");
    turn(w);
    assert_int_equal(w->ready, 1);
}

static void on_ended(void *arg)
{
    ((struct world *)arg)->ended = true;
}

static void the_end_gives_the_subscription_back(void **state)
{
    struct world *w = *state;

    open_now(w);
    evlog_winrm_end(w->source, 1000, on_ended, w);
    assert_int_equal(srv.abandoned, 1); /* the pull */
    assert_int_equal(srv.op, OP_UNSUBSCRIBE);
    assert_string_equal(srv.identifier, "id-1");
    assert_int_equal(srv.news, 2); /* the pull held the first connection */
    assert_false(w->ended);
    srv.op = OP_NONE;
    srv.on_done(srv.arg, NULL, NULL);
    turn(w);
    assert_true(w->ended);
}

static void the_end_does_not_wait_for_ever(void **state)
{
    struct world *w = *state;
    struct err e;

    open_now(w);
    evlog_winrm_end(w->source, 20, on_ended, w);
    for (int i = 0; i < 100 && !w->ended; i++) {
        assert_non_null(loop_timer_start(w->loop, 10, stop, w));
        assert_int_equal(loop_run(w->loop, &e), 0);
    }
    assert_true(w->ended);
    assert_int_equal(srv.abandoned, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(opens_subscribes_and_pulls),
        T(goes_on_from_the_bookmark),
        T(a_lost_answer_is_not_pulled_again),
        T(before_the_first_bookmark_it_goes_back_in_time),
        T(a_log_that_rolled_over_is_a_gap),
        T(an_unreadable_answer_does_not_stop_the_rest),
        T(too_big_asks_for_less),
        T(the_query_goes_as_text_where_a_server_wants_that),
        T(a_refusal_is_told_and_tried_again_slowly),
        T(a_host_that_comes_late_is_read_from_when_it_was_asked),
        T(marks_lead_back),
        T(a_mark_that_is_none_is_refused),
        T(held_until_it_is_known_whom_it_is_about),
        T(focus_before_the_login_is_over),
        T(the_end_gives_the_subscription_back),
        T(the_end_does_not_wait_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
