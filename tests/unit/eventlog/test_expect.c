/* tests/unit/eventlog/test_expect.c -- our event proves, and no other one does (X4).
 *
 * A source made of nothing delivers what the test says, in the order it says; time is the loop's.
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
#include "eventlog/expect.h"
#include "eventlog/source_ops.h"

#define DC "dc1.corp.example.com"
#define ALICE "S-1-5-21-1-2-3-1104"
#define BOB "S-1-5-21-1-2-3-1105"
#define US "S-1-5-21-1-2-3-1200"
#define THEM "S-1-5-21-1-2-3-500"
#define DN "CN=Alice,OU=People,DC=corp,DC=example,DC=com"
#define DN2 "CN=Alice Smith,OU=People,DC=corp,DC=example,DC=com"

/* What came back, kept beyond the callback. */
struct answer {
    unsigned calls;
    enum evlog_end end;
    unsigned found, proofs, foreign, opposite, failures, elsewhere, empty, unproving;
    uint32_t first, second; /* ids */
    bool opposite_is_ours, commit_unseen, other_connection, lost;
    char foreign_sid[64], other_remote[64];
};

struct world {
    struct loop *loop;
    struct evlog_watcher *watcher;
    struct evlog_source *source;
    uint64_t record;
    struct answer a;
};

/* --- a source of our own --------------------------------------------------------------------- */

static void nothing(struct evlog_source *s)
{
    (void)s;
}

static void fake_mark(const struct evlog_source *s, struct text *out)
{
    (void)s;
    text_add(out, "fake");
}

static bool fake_locate(const struct evlog_source *s, const char *mark, struct evlog_since *ret)
{
    (void)s;
    ret->at[0].gen = 1;
    ret->at[0].off = 1000;
    return strcmp(mark, "fake") == 0;
}

static void fake_health(const struct evlog_source *s, struct evlog_health *ret)
{
    (void)s;
    (void)ret;
}

static void fake_free(struct evlog_source *s)
{
    free(s);
}

static const struct evlog_source_ops fake_ops = {
    .begin = nothing,
    .poke = nothing,
    .drain = nothing,
    .mark = fake_mark,
    .locate = fake_locate,
    .health = fake_health,
    .free = fake_free,
};

static struct evlog_source *fake(struct world *w, const char *dc)
{
    struct evlog_source *s = calloc(1, sizeof(*s));
    struct err e;

    assert_non_null(s);
    assert_int_equal(evlog_source_adopt(w->watcher, s, &fake_ops, dc, NULL, NULL, &e), 0);
    return s;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct err e;

    *state = w;
    if (w == NULL || loop_new(&w->loop, &e) < 0 || evlog_watcher_new(w->loop, &w->watcher, &e) < 0)
        return -1;
    w->source = fake(w, NULL);
    w->record = 100;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    evlog_watcher_free(w->watcher);
    loop_free(w->loop);
    free(w);
    return 0;
}

static struct evlog_event event(struct world *w, uint32_t id)
{
    struct evlog_event ev;

    evlog_event_init(&ev);
    ev.id = id;
    ev.kind = EVLOG_XML;
    ev.outcome = EVLOG_SUCCESS;
    ev.has_record = true;
    ev.record = w->record++;
    ev.has_time = true;
    ev.time_ms = 1000000;
    ev.computer = "DC1.corp.example.com";
    ev.channel = EVLOG_CHANNEL;
    ev.provider = EVLOG_PROVIDER;
    ev.target.sid = ALICE;
    ev.actor.sid = US;
    return ev;
}

static struct evlog_event changed(struct world *w, uint32_t old, uint32_t new)
{
    struct evlog_event ev = event(w, EVLOG_CHANGED);

    ev.uac = (struct evlog_uac){.has_old = true, .has_new = true, .old = old, .new = new};
    return ev;
}

static void deliver(struct evlog_source *s, const struct evlog_event *ev)
{
    struct evlog_pos pos = {.seq = evlog_source_next_seq(s), .gen = 1, .off = 5000};

    evlog_source_deliver(s, ev, &pos);
}

static void send(struct world *w, struct evlog_event ev)
{
    deliver(w->source, &ev);
}

static void on_result(void *arg, const struct evlog_result *r)
{
    struct world *w = arg;
    struct answer *a = &w->a;

    a->calls++;
    a->end = r->end;
    a->found = r->found;
    a->proofs = r->proof_count;
    a->foreign = r->foreign_count;
    a->opposite = r->opposite_count;
    a->failures = r->failure_count;
    a->elsewhere = r->elsewhere_count;
    a->empty = r->empty_count;
    a->unproving = r->unproving_count;
    a->first = r->proof_count > 0 ? r->proof[0]->id : 0;
    a->second = r->second != NULL ? r->second->id : 0;
    a->opposite_is_ours = r->opposite_is_ours;
    a->commit_unseen = r->commit_unseen;
    a->other_connection = r->other_connection;
    a->lost = r->lost;
    if (r->foreign != NULL)
        (void)snprintf(a->foreign_sid, sizeof(a->foreign_sid), "%s", r->foreign->actor.sid);
    (void)snprintf(a->other_remote, sizeof(a->other_remote), "%s", r->other_remote);
    loop_stop(w->loop);
}

static struct evlog_spec spec(struct world *w)
{
    struct evlog_spec s = {.target_sid = ALICE,
                           .target_dn = DN,
                           .actor_sid = US,
                           .dc = DC,
                           .source = w->source,
                           .within_ms = 20};

    evlog_want_disabled(&s);
    return s;
}

static struct evlog_expect *expect(struct world *w, const struct evlog_spec *s)
{
    struct evlog_expect *x = NULL;
    struct err e;

    if (evlog_expect_start(w->watcher, s, on_result, w, &x, &e) < 0)
        fail_msg("%s", e.msg);
    return x;
}

static void run(struct world *w)
{
    struct err e;

    (void)loop_run(w->loop, &e);
}

/* One expectation, what comes, and how it ends. */
static struct answer end(struct world *w)
{
    struct answer a;

    run(w);
    a = w->a;
    assert_int_equal(a.calls, 1);
    w->a = (struct answer){0};
    return a;
}

/* --- proof -------------------------------------------------------------------------------------
 */

static void two_events_either_order(void **state)
{
    struct world *w = *state;
    struct evlog_spec s = spec(w);
    struct answer a;

    s.grace_ms = 1000;
    for (int order = 0; order < 2; order++) {
        (void)expect(w, &s);
        send(w, order == 0 ? event(w, EVLOG_DISABLED) : changed(w, 0x10, 0x11));
        assert_int_equal(w->a.calls, 0); /* never from inside */
        send(w, order == 0 ? changed(w, 0x10, 0x11) : event(w, EVLOG_DISABLED));
        a = end(w);
        assert_int_equal(a.end, EVLOG_MET);
        assert_int_equal(a.found, 1);
        assert_int_equal(a.first, order == 0 ? EVLOG_DISABLED : EVLOG_CHANGED);
        assert_int_equal(a.second, order == 0 ? EVLOG_CHANGED : EVLOG_DISABLED);
        assert_false(a.lost);
    }
    /* The second one does not come: after the grace, with what there is. */
    s.grace_ms = 5;
    s.within_ms = 10000;
    (void)expect(w, &s);
    send(w, event(w, EVLOG_DISABLED));
    a = end(w);
    assert_int_equal(a.end, EVLOG_MET);
    assert_int_equal(a.second, 0);
}

static void kinds(void **state)
{
    struct world *w = *state;
    struct {
        const char *what;
        struct evlog_event ev;
        void (*want)(struct evlog_spec *s);
        bool met;
    } table[] = {
        {"0 -> 1", changed(w, 0x10, 0x11), evlog_want_disabled, true},
        {"still disabled", changed(w, 0x15, 0x211), evlog_want_disabled, false},
        {"was disabled", changed(w, 0x11, 0x11), evlog_want_disabled, false},
        {"1 -> 0", changed(w, 0x11, 0x10), evlog_want_disabled, false},
        {"dashes", event(w, EVLOG_CHANGED), evlog_want_disabled, false},
        {"another event", event(w, EVLOG_UNLOCKED), evlog_want_disabled, false},
        {"4722", event(w, EVLOG_ENABLED), evlog_want_enabled, true},
        {"1 -> 0", changed(w, 0x11, 0x10), evlog_want_enabled, true},
        {"0 -> 0", changed(w, 0x10, 0x210), evlog_want_enabled, false},
        {"unchanged", event(w, EVLOG_CHANGED), evlog_want_must_change, false},
    };
    struct evlog_event ev;
    struct evlog_spec s;
    struct answer a;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        s = spec(w);
        memset(s.want, 0, sizeof(s.want));
        memset(s.opposite, 0, sizeof(s.opposite));
        table[i].want(&s);
        (void)expect(w, &s);
        send(w, table[i].ev);
        a = end(w);
        if ((a.end == EVLOG_MET) != table[i].met)
            fail_msg("#%zu %s", i, table[i].what);
    }

    /* PasswordLastSet: never is proof, a time is the opposite. */
    s = spec(w);
    memset(s.want, 0, sizeof(s.want));
    evlog_want_must_change(&s);
    (void)expect(w, &s);
    ev = event(w, EVLOG_CHANGED);
    ev.password_last_set = EVLOG_PLS_NEVER;
    send(w, ev);
    assert_int_equal(end(w).end, EVLOG_MET);
    (void)expect(w, &s);
    ev = event(w, EVLOG_CHANGED);
    ev.password_last_set = EVLOG_PLS_TIME;
    ev.password_last_set_text = "1/24/2022 5:03:25 PM";
    send(w, ev);
    a = end(w);
    assert_int_equal(a.end, EVLOG_DEADLINE);
    assert_int_equal(a.opposite, 1);

    /* Never-expires cleared, and set. */
    s = spec(w);
    memset(s.want, 0, sizeof(s.want));
    evlog_want_bits(&s, 0, 0x200);
    (void)expect(w, &s);
    send(w, changed(w, 0x210, 0x211));
    send(w, changed(w, 0x211, 0x11));
    a = end(w);
    assert_int_equal(a.end, EVLOG_MET);
    assert_int_equal(a.found, 1);
}

/* Samba's replace form says no old value. A Windows event without one says nothing. */
static void replace_form(void **state)
{
    struct world *w = *state;
    struct evlog_spec s = spec(w);

    for (int samba = 0; samba < 2; samba++) {
        struct evlog_event ev = event(w, EVLOG_CHANGED);

        ev.uac = (struct evlog_uac){.has_new = true, .new = 0x11};
        if (samba) {
            ev.kind = EVLOG_SAMBA;
            ev.channel = ev.provider = "";
            ev.has_record = false;
            ev.target.sid = "";
            ev.target.dn = DN;
        }
        (void)expect(w, &s);
        send(w, ev);
        assert_int_equal(end(w).end, samba ? EVLOG_MET : EVLOG_DEADLINE);
    }
}

/* --- not ours, not here, not it
 * -------------------------------------------------------------------- */

static void not_proof(void **state)
{
    struct world *w = *state;
    struct evlog_spec s = spec(w);
    struct evlog_event ev;
    struct answer a;

    /* The same change by somebody else, in the same second. */
    (void)expect(w, &s);
    ev = event(w, EVLOG_DISABLED);
    ev.actor.sid = THEM;
    send(w, ev);
    a = end(w);
    assert_int_equal(a.end, EVLOG_DEADLINE);
    assert_int_equal(a.foreign, 1);
    assert_string_equal(a.foreign_sid, THEM);

    /* Ours, at another DC; and the short name of the right one. */
    (void)expect(w, &s);
    ev = event(w, EVLOG_DISABLED);
    ev.computer = "dc2.corp.example.com";
    send(w, ev);
    ev = event(w, EVLOG_DISABLED);
    ev.computer = "dc1.evil.example.com";
    send(w, ev);
    a = end(w);
    assert_int_equal(a.end, EVLOG_DEADLINE);
    assert_int_equal(a.elsewhere, 2);
    (void)expect(w, &s);
    ev = event(w, EVLOG_DISABLED);
    ev.computer = "DC1";
    send(w, ev);
    assert_int_equal(end(w).end, EVLOG_MET);

    /* Another target; no target at all. */
    (void)expect(w, &s);
    ev = event(w, EVLOG_DISABLED);
    ev.target.sid = BOB;
    ev.target.dn = DN; /* a SID that differs is another account, whatever the name */
    send(w, ev);
    ev.target.sid = ev.target.dn = "";
    send(w, ev);
    a = end(w);
    assert_int_equal(a.end, EVLOG_DEADLINE);
    assert_int_equal(a.foreign + a.elsewhere + a.empty, 0);

    /* A failed attempt. */
    (void)expect(w, &s);
    ev = event(w, EVLOG_DISABLED);
    ev.outcome = EVLOG_FAILURE;
    send(w, ev);
    a = end(w);
    assert_int_equal(a.end, EVLOG_DEADLINE);
    assert_int_equal(a.failures, 1);

    /* From another channel or provider, or not said to be a success. */
    (void)expect(w, &s);
    ev = event(w, EVLOG_DISABLED);
    ev.channel = "Application";
    send(w, ev);
    ev = event(w, EVLOG_DISABLED);
    ev.provider = "Evil";
    send(w, ev);
    ev = event(w, EVLOG_DISABLED);
    ev.provider = "";
    send(w, ev);
    ev = event(w, EVLOG_DISABLED);
    ev.outcome = EVLOG_UNSAID;
    send(w, ev);
    a = end(w);
    assert_int_equal(a.end, EVLOG_DEADLINE);
    assert_int_equal(a.unproving, 4);

    /* Dashes, and still disabled: ours, here, and nothing. */
    (void)expect(w, &s);
    send(w, event(w, EVLOG_CHANGED));
    send(w, changed(w, 0x15, 0x211));
    a = end(w);
    assert_int_equal(a.end, EVLOG_DEADLINE);
    assert_int_equal(a.empty, 2);

    /* Too early by the DC's clock. */
    s.not_before_ms = 1000001;
    (void)expect(w, &s);
    send(w, event(w, EVLOG_DISABLED));
    assert_int_equal(end(w).end, EVLOG_DEADLINE);
    s.not_before_ms = 1000000;
    (void)expect(w, &s);
    send(w, event(w, EVLOG_DISABLED));
    assert_int_equal(end(w).end, EVLOG_MET);

    /* Another logon of the same account. */
    s.logon_id = 0x3e7;
    (void)expect(w, &s);
    ev = event(w, EVLOG_DISABLED);
    ev.has_logon_id = true;
    ev.logon_id = 0x3e8;
    send(w, ev);
    assert_int_equal(end(w).foreign, 1);
}

/* A source that is dc2's says nothing about dc1, even where its lines name no computer. */
static void other_source(void **state)
{
    struct world *w = *state;
    struct evlog_source *dc2 = fake(w, "dc2.corp.example.com"), *dc1 = fake(w, DC);
    struct evlog_spec s = spec(w);
    struct evlog_event ev = event(w, EVLOG_DISABLED);
    struct answer a;

    ev.computer = "";
    (void)expect(w, &s);
    deliver(dc2, &ev);
    assert_int_equal(end(w).end, EVLOG_DEADLINE);
    s.source = NULL; /* any source: then the DC's name decides */
    (void)expect(w, &s);
    deliver(dc2, &ev);
    ev.record++;
    deliver(dc1, &ev);
    a = end(w);
    assert_int_equal(a.end, EVLOG_MET);
    assert_int_equal(a.elsewhere, 1);
}

/* --- marks and lateness
 * ------------------------------------------------------------------------------ */

static void marks(void **state)
{
    struct world *w = *state;
    struct evlog_spec s = spec(w);
    char mark[EVLOG_MARK];
    struct evlog_expect *x;
    struct err e;
    struct answer a;

    /* Before the mark: another run of ours, a minute ago. After it, before the expectation: counts.
     */
    send(w, event(w, EVLOG_DISABLED));
    evlog_source_mark(w->source, mark);
    s.mark = mark;
    (void)expect(w, &s);
    assert_int_equal(end(w).end, EVLOG_DEADLINE);

    send(w, changed(w, 0x10, 0x11));
    send(w, event(w, EVLOG_DISABLED));
    x = expect(w, &s);
    assert_non_null(x);
    assert_int_equal(w->a.calls, 0);
    a = end(w);
    assert_int_equal(a.end, EVLOG_MET);
    assert_int_equal(a.second, EVLOG_DISABLED);
    assert_false(a.lost);

    /* Without a mark: from now on only. */
    s.mark = NULL;
    (void)expect(w, &s);
    assert_int_equal(end(w).end, EVLOG_DEADLINE);

    /* A mark of another run is a place in the file: 1000, and our events stand at 5000. */
    s.mark = "1234.99!fake";
    (void)expect(w, &s);
    assert_int_equal(end(w).end, EVLOG_MET);

    s.mark = "1234.99!other";
    assert_int_equal(evlog_expect_start(w->watcher, &s, on_result, w, &x, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
    s.mark = "x";
    assert_int_equal(evlog_expect_start(w->watcher, &s, on_result, w, &x, &e), -1);
    s.mark = mark;
    s.source = NULL;
    assert_int_equal(evlog_expect_start(w->watcher, &s, on_result, w, &x, &e), -1);
    s = spec(w);
    s.actor_sid = "";
    assert_int_equal(evlog_expect_start(w->watcher, &s, on_result, w, &x, &e), -1);
    s = spec(w);
    s.dc = NULL;
    assert_int_equal(evlog_expect_start(w->watcher, &s, on_result, w, &x, &e), -1);
    s = spec(w);
    s.target_sid = s.target_dn = NULL;
    assert_int_equal(evlog_expect_start(w->watcher, &s, on_result, w, &x, &e), -1);
}

/* What left the ring before the expectation was registered: absence proves nothing. */
static void ring_overrun(void **state)
{
    struct world *w = *state;
    struct evlog_spec s = spec(w);
    char mark[EVLOG_MARK];
    struct answer a;

    evlog_source_mark(w->source, mark);
    s.mark = mark;
    send(w, event(w, EVLOG_DISABLED));
    for (unsigned i = 0; i < EVLOG_RING; i++) {
        struct evlog_event ev = event(w, EVLOG_DISABLED);

        ev.target.sid = BOB;
        send(w, ev);
    }
    (void)expect(w, &s);
    a = end(w);
    assert_int_equal(a.end, EVLOG_DEADLINE);
    assert_true(a.lost);
    /* A gap in the log itself says the same. */
    evlog_source_mark(w->source, mark);
    (void)expect(w, &s);
    assert_false(end(w).lost);
    (void)expect(w, &s);
    evlog_source_gap(w->source, "rotated");
    assert_true(end(w).lost);
}

static void on_stop(void *arg)
{
    struct world *w = arg;

    loop_stop(w->loop);
}

static void settle_later(void **state)
{
    struct world *w = *state;
    struct evlog_spec s = spec(w);
    struct evlog_expect *x;
    struct loop_timer *t;

    s.within_ms = 0;
    x = expect(w, &s);
    send(w, event(w, EVLOG_DISABLED));
    t = loop_timer_start(w->loop, 20, on_stop, w);
    assert_non_null(t);
    run(w);
    assert_int_equal(w->a.calls, 0); /* collected, not told */
    evlog_expect_settle(x, 5000);
    assert_int_equal(end(w).end, EVLOG_MET);
}

static void renamed_meanwhile(void **state)
{
    struct world *w = *state;
    struct evlog_spec s = spec(w);
    struct evlog_event ev = event(w, EVLOG_DISABLED);
    struct evlog_expect *x;
    struct err e;
    struct answer a;

    ev.kind = EVLOG_SAMBA;
    ev.channel = ev.provider = "";
    ev.has_record = false;
    ev.commit = EVLOG_COMMIT_UNSEEN;
    ev.target.sid = "";
    ev.target.dn = DN2;
    ev.transaction = "t1";
    s.within_ms = 5000;
    x = expect(w, &s);
    send(w, ev);
    /* The read-back shows the new name: what came under it before counts too, once. */
    assert_int_equal(
        evlog_expect_add_dn(x, "cn=alice smith, ou=people,dc=corp,dc=example,dc=com", &e), 0);
    assert_int_equal(evlog_expect_add_dn(x, DN2, &e), 0);
    a = end(w);
    assert_int_equal(a.end, EVLOG_MET);
    assert_int_equal(a.found, 1);
    assert_int_equal(a.second, 0);
    assert_true(a.commit_unseen);

    s.within_ms = 20;
    x = expect(w, &s);
    assert_int_equal(evlog_expect_add_dn(x, "CN=1", &e), 0);
    assert_int_equal(evlog_expect_add_dn(x, "CN=2", &e), 0);
    assert_int_equal(evlog_expect_add_dn(x, "CN=3", &e), 0);
    assert_int_equal(evlog_expect_add_dn(x, "CN=4", &e), -1);
    assert_int_equal(end(w).end, EVLOG_DEADLINE);
}

/* --- counts, copies, undoing
 * ---------------------------------------------------------------------------- */

static void two_resets(void **state)
{
    struct world *w = *state;
    struct evlog_spec s = spec(w);
    struct evlog_event first = event(w, EVLOG_RESET_PASSWORD), set = event(w, EVLOG_CHANGED);
    struct answer a;

    memset(s.want, 0, sizeof(s.want));
    memset(s.opposite, 0, sizeof(s.opposite));
    evlog_want_reset(&s, 2);
    set.password_last_set = EVLOG_PLS_TIME;
    set.password_last_set_text = "now";
    (void)expect(w, &s);
    send(w, first);
    send(w, set);
    send(w, first); /* the same record once more is not another reset */
    a = end(w);
    assert_int_equal(a.end, EVLOG_DEADLINE);
    assert_int_equal(a.found, 1);
    assert_int_equal(a.second, EVLOG_CHANGED);

    (void)expect(w, &s);
    send(w, event(w, EVLOG_RESET_PASSWORD));
    send(w, event(w, EVLOG_RESET_PASSWORD));
    a = end(w);
    assert_int_equal(a.end, EVLOG_MET);
    assert_int_equal(a.proofs, 2);

    /* Samba has no records: a transaction is one. */
    first.kind = EVLOG_SAMBA;
    first.has_record = false;
    first.transaction = "t1";
    (void)expect(w, &s);
    send(w, first);
    send(w, first);
    assert_int_equal(end(w).found, 1);
    (void)expect(w, &s);
    send(w, first);
    first.transaction = "t2";
    send(w, first);
    assert_int_equal(end(w).found, 2);
}

static void undone(void **state)
{
    struct world *w = *state;
    struct evlog_spec s = spec(w);
    struct evlog_event ev;
    struct answer a;

    s.grace_ms = 1000;
    (void)expect(w, &s);
    send(w, event(w, EVLOG_ENABLED)); /* before our change: nothing undone */
    send(w, event(w, EVLOG_DISABLED));
    send(w, changed(w, 0x10, 0x11));
    a = end(w);
    assert_int_equal(a.end, EVLOG_MET);
    assert_int_equal(a.opposite, 0);

    s.within_ms = 5000;
    (void)expect(w, &s);
    send(w, event(w, EVLOG_DISABLED));
    ev = event(w, EVLOG_ENABLED);
    ev.actor.sid = THEM;
    send(w, ev);
    send(w, changed(w, 0x10, 0x11));
    a = end(w);
    assert_int_equal(a.end, EVLOG_MET);
    assert_int_equal(a.opposite, 1);
    assert_false(a.opposite_is_ours);
}

static void other_address(void **state)
{
    struct world *w = *state;
    struct evlog_spec s = spec(w);
    struct evlog_event ev = event(w, EVLOG_DISABLED);
    struct answer a;

    s.remote = "ipv4:10.0.0.1:4711";
    ev.remote = "10.0.0.1:4711";
    (void)expect(w, &s);
    send(w, ev);
    assert_false(end(w).other_connection);
    ev.remote = "10.0.0.9:4711";
    ev.record++;
    (void)expect(w, &s);
    send(w, ev);
    a = end(w);
    assert_int_equal(a.end, EVLOG_MET);
    assert_true(a.other_connection);
    assert_string_equal(a.other_remote, "10.0.0.9:4711");
}

/* --- ends
 * -----------------------------------------------------------------------------------------------
 */

static void canceled(void **state)
{
    struct world *w = *state;
    struct evlog_spec s = spec(w);
    struct evlog_expect *x;

    s.within_ms = 60000;
    x = expect(w, &s);
    evlog_expect_cancel(x);
    evlog_expect_cancel(x);
    assert_int_equal(w->a.calls, 0);
    assert_int_equal(end(w).end, EVLOG_CANCELED);

    x = expect(w, &s);
    send(w, event(w, EVLOG_DISABLED));
    evlog_expect_cancel(x);
    assert_int_equal(end(w).end, EVLOG_MET);

    x = expect(w, &s);
    send(w, event(w, EVLOG_DISABLED)); /* due */
    evlog_expect_drop(&x);
    assert_null(x);
    x = expect(w, &s);
    evlog_expect_drop(&x);
    /* The last one is left to the watcher's end. */
    (void)expect(w, &s);
    x = expect(w, &s);
    evlog_expect_cancel(x);
    assert_int_equal(end(w).end, EVLOG_CANCELED);
}

static void on_again(void *arg, const struct evlog_result *r)
{
    struct world *w = arg;
    struct evlog_spec s = spec(w);

    /* From inside a callback: a new one, which cannot be called in the same turn. */
    assert_int_equal(r->end, EVLOG_DEADLINE);
    s.mark = "1.1!fake";
    (void)expect(w, &s);
    assert_int_equal(w->a.calls, 0);
}

static void again_from_inside(void **state)
{
    struct world *w = *state;
    struct evlog_spec s = spec(w);
    struct evlog_expect *x;
    struct err e;

    send(w, event(w, EVLOG_DISABLED));
    assert_int_equal(evlog_expect_start(w->watcher, &s, on_again, w, &x, &e), 0);
    assert_int_equal(end(w).end, EVLOG_MET);
}

static void on_close_all(void *arg, const struct evlog_result *r)
{
    struct world *w = arg;

    assert_int_equal(r->end, EVLOG_DEADLINE);
    evlog_watcher_free(w->watcher); /* with others due in the same turn, and one that waits */
    w->watcher = NULL;
    loop_stop(w->loop);
}

static void free_from_inside(void **state)
{
    struct world *w = *state;
    struct evlog_spec s = spec(w);
    struct evlog_expect *x;
    struct err e;

    assert_int_equal(evlog_expect_start(w->watcher, &s, on_close_all, w, &x, &e), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(evlog_expect_start(w->watcher, &s, on_result, w, &x, &e), 0);
    s.within_ms = 60000;
    (void)expect(w, &s);
    run(w);
    assert_null(w->watcher);
    assert_int_equal(w->a.calls, 0);
}

static void on_one_of_many(void *arg, const struct evlog_result *r)
{
    unsigned *met = arg;

    *met += r->end == EVLOG_MET ? 1 : 1000000;
}

static void many(void **state)
{
    enum { MANY = 20000 };
    struct world *w = *state;
    struct evlog_spec s = spec(w);
    char sid[64], dn[128];
    unsigned met = 0;
    struct evlog_expect *x;
    struct err e;

    s.within_ms = 60000;
    s.target_sid = sid;
    s.target_dn = dn;
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(sid, sizeof(sid), "S-1-5-21-1-2-3-%u", 2000 + i);
        (void)snprintf(dn, sizeof(dn), "CN=u%u,OU=People,DC=corp,DC=example,DC=com", i);
        assert_int_equal(evlog_expect_start(w->watcher, &s, on_one_of_many, &met, &x, &e), 0);
    }
    for (unsigned i = 0; i < MANY; i++) {
        struct evlog_event ev = event(w, EVLOG_DISABLED);

        (void)snprintf(sid, sizeof(sid), "S-1-5-21-1-2-3-%u", 2000 + i);
        ev.target.sid = sid;
        send(w, ev);
    }
    s = spec(w);
    (void)expect(w, &s);
    (void)end(w);
    assert_int_equal(met, MANY);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(two_events_either_order),
        T(kinds),
        T(replace_form),
        T(not_proof),
        T(other_source),
        T(marks),
        T(ring_overrun),
        T(settle_later),
        T(renamed_meanwhile),
        T(two_resets),
        T(undone),
        T(other_address),
        T(canceled),
        T(again_from_inside),
        T(free_from_inside),
        T(many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
