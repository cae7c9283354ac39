/* tests/unit/eventlog/test_alloc.c -- the n-th allocation fails, for every n: an error or less
 * proof, never a crash, a leak, or a proof that is none (M2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "eventlog/expect.h"
#include "eventlog/read.h"
#include "eventlog/samba.h"
#include "tests/unit/alloc.h"

#define SID "S-1-5-21-446816963-3164974082-3454712361-1103"
#define CHANGE                                                                                   \
    "  {\"timestamp\": \"2026-11-21T03:05:08.516445+0000\", \"type\": \"dsdbChange\", "          \
    "\"dsdbChange\": {\"statusCode\": 0, \"operation\": \"Modify\", \"userSid\": \"" SID         \
    "\", \"dn\": \"CN=a,DC=b\", \"transactionId\": \"tx1\", \"attributes\": "                    \
    "{\"userAccountControl\": {\"actions\": [{\"action\": \"delete\", \"values\": [{\"value\": " \
    "\"512\"}]}, {\"action\": \"add\", \"values\": [{\"value\": \"514\"}]}]}}}}\n"
#define COMMIT                                                                               \
    "  {\"timestamp\": \"2026-11-21T03:05:08.517231+0000\", \"type\": \"dsdbTransaction\", " \
    "\"dsdbTransaction\": {\"action\": \"commit\", \"transactionId\": \"tx1\"}}\n"
#define EVENT "<Event><System><EventID>4725</EventID></System></Event>\n"
#define OBJECT "{\"EventID\":4738,\"Keywords\":-9214364837600034816}\n"

static void on_event(void *arg, const struct evlog_event *ev)
{
    unsigned *count = arg;

    assert_true(ev->id == 4725 || ev->id == 4738);
    ++*count;
}

static void on_bad(void *arg, uint64_t line, const struct err *e)
{
    (void)line;
    (void)arg;
    assert_true(e->code == ERR_NOMEM || e->code == ERR_TOOBIG);
}

static void reading(void **state)
{
    static const char s[] = EVENT OBJECT CHANGE COMMIT;
    unsigned count = 0;

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        struct evlog_read *r = NULL;
        struct err e = ERR_NONE;

        count = 0;
        if (evlog_read_new(on_event, on_bad, &count, &r, &e) < 0) {
            assert_int_equal(e.code, ERR_NOMEM);
            continue;
        }
        (void)evlog_read_bytes(r, s, sizeof(s) - 1, &e);
        (void)evlog_read_end(r, &e);
        evlog_read_free(r);
    }
    alloc_left = -1;
    assert_int_equal(count, 4);
}

struct world {
    struct loop *loop;
    enum evlog_end end;
    unsigned calls;
};

static void on_result(void *arg, const struct evlog_result *r)
{
    struct world *w = arg;

    w->end = r->end;
    w->calls++;
    loop_stop(w->loop);
}

static void on_limit(void *arg)
{
    struct world *w = arg;

    loop_stop(w->loop);
}

static void prove(struct world *w, const char *path, FILE *f)
{
    struct evlog_files files = {
        .lines = EVLOG_LINES_SAMBA, .dc = "dc1.b", .paths = {path}, .count = 1, .hold_ms = 1};
    struct evlog_spec s = {.target_sid = "S-1-5-21-1",
                           .target_dn = "CN=a,DC=b",
                           .actor_sid = SID,
                           .dc = "dc1.b",
                           .within_ms = 10};
    struct evlog_watcher *watcher = NULL;
    struct loop_timer *limit;
    struct evlog_expect *x = NULL;
    char mark[EVLOG_MARK];
    struct err e = ERR_NONE;

    if (evlog_watcher_new(w->loop, &watcher, &e) < 0 ||
        evlog_source_open_files(watcher, &files, NULL, NULL, &s.source, &e) < 0)
        goto out;
    evlog_source_mark(s.source, mark);
    s.mark = mark;
    (void)fputs(CHANGE COMMIT, f);
    (void)fflush(f);
    evlog_source_poke(s.source);
    evlog_want_disabled(&s);
    if (mark[0] == '\0' || evlog_expect_start(watcher, &s, on_result, w, &x, &e) < 0)
        goto out;
    alloc_left = -1; /* the loop's own timers */
    limit = loop_timer_start(w->loop, 200, on_limit, w);
    (void)loop_run(w->loop, &e);
    /* It may be that nothing could be started to call us: then it fell silent, which is no proof.
     */
    if (w->calls > 0)
        loop_timer_stop(&limit);
    assert_true(w->calls <= 1);
out:
    evlog_watcher_free(watcher);
    assert_true(x != NULL || e.code == ERR_OK || e.code == ERR_NOMEM || e.code == ERR_TOOBIG);
}

static void proving(void **state)
{
    char path[] = "/tmp/cordon-alloc-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "a");
    struct world w = {0};
    unsigned met = 0, rounds = 0;
    struct err e;

    (void)state;
    assert_non_null(f);
    (void)fputs("  \n", f);
    (void)fflush(f);
    for (long n = 0; alloc_sweep(n); n++) {
        long left = alloc_left;

        alloc_left = -1;
        w = (struct world){0};
        assert_int_equal(loop_new(&w.loop, &e), 0);
        alloc_left = left;
        prove(&w, path, f);
        alloc_left = -1;
        loop_free(w.loop);
        met += w.calls == 1 && w.end == EVLOG_MET ? 1 : 0;
        rounds++;
    }
    alloc_left = -1;
    assert_true(w.calls == 1 && w.end == EVLOG_MET); /* the last one, with all it needs */
    assert_true(met < rounds);
    (void)fclose(f);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reading), cmocka_unit_test(proving)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
