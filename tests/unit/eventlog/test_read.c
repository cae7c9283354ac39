/* tests/unit/eventlog/test_read.c -- whole files in any form, whole and in pieces; followed files
 * in one watcher, up to the proof. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/loop.h"
#include "eventlog/expect.h"
#include "eventlog/read.h"
#include "eventlog/source.h"

struct got {
    struct text ids; /* "4725 4738 " */
    unsigned bad;
    uint64_t bad_line;
};

static void on_event(void *arg, const struct evlog_event *ev)
{
    struct got *g = arg;

    text_addf(&g->ids, "%u ", ev->id);
}

static void on_bad(void *arg, uint64_t line, const struct err *e)
{
    struct got *g = arg;

    assert_true(e->code != ERR_OK && e->msg[0] != '\0');
    g->bad++;
    g->bad_line = line;
}

static void read_in(struct got *g, const char *s, size_t n, size_t step)
{
    struct evlog_read *r = NULL;
    struct err e;

    text_init(&g->ids, 1024 * 1024);
    g->bad = 0;
    assert_int_equal(evlog_read_new(on_event, on_bad, g, &r, &e), 0);
    for (size_t i = 0; i < n; i += step)
        assert_int_equal(evlog_read_bytes(r, s + i, n - i < step ? n - i : step, &e), 0);
    assert_int_equal(evlog_read_end(r, &e), 0);
    assert_int_equal(evlog_read_bad(r), g->bad);
    evlog_read_free(r);
}

#define X(id) "<Event><System><EventID>" id "</EventID></System></Event>"
#define J(id) "{\"EventID\":" id ",\"Channel\":\"Security\"}"
#define SID "S-1-5-21-446816963-3164974082-3454712361-1103"
#define SAMBA_AS(tx, old, new)                                                              \
    "  {\"timestamp\": \"2026-11-21T03:05:08.516445+0000\", \"type\": \"dsdbChange\", "     \
    "\"dsdbChange\": {\"statusCode\": 0, \"operation\": \"Modify\", \"remoteAddress\": "    \
    "\"ipv4:10.0.0.1:5\", \"userSid\": \"" SID                                              \
    "\", \"dn\": \"CN=a,DC=b\", \"transactionId\": \"" tx                                   \
    "\", \"attributes\": {\"userAccountControl\": {\"actions\": [{\"action\": \"delete\", " \
    "\"values\": [{\"value\": \"" old                                                       \
    "\"}]}, {\"action\": \"add\", \"values\": [{\"value\": \"" new "\"}]}]}}}}\n"
#define SAMBA(old, new) SAMBA_AS("tx1", old, new)
#define COMMIT_AS(tx)                                                                        \
    "  {\"timestamp\": \"2026-11-21T03:05:08.517231+0000\", \"type\": \"dsdbTransaction\", " \
    "\"dsdbTransaction\": {\"action\": \"commit\", \"transactionId\": \"" tx "\"}}\n"
#define COMMIT COMMIT_AS("tx1")

static void every_form(void **state)
{
    static const struct {
        const char *s, *ids;
        unsigned bad;
        uint64_t line; /* of the last bad one; 0: do not look */
    } table[] = {
        {"", "", 0, 0},
        {"\n\n", "", 0, 0},
        {X("4725"), "4725 ", 0, 0},
        {X("4725") X("4738") "\n" X("4722"), "4725 4738 4722 ", 0, 0},
        {"<?xml version='1.0'?>\n<Events>\n  " X("4725") "\n  " X("4738") "\n</Events>\n",
         "4725 4738 ", 0, 0},
        {"<Event xmlns=\"http://schemas.microsoft.com/win/2004/08/events/event\">\n <System>\n"
         "  <EventID>4725</EventID>\n </System>\n</Event>\n",
         "4725 ", 0, 0},
        {J("4725") "\n" J("4738") "\n", "4725 4738 ", 0, 0},
        {J("4725") "\r\n" J("4738"), "4725 4738 ", 0, 0},
        {"\xef\xbb\xbf" J("4725") "\n", "4725 ", 0, 0},
        {"[" J("4725") "," J("4738") "]", "4725 4738 ", 0, 0},
        {"[\n  {\n    \"EventID\": 4725,\n    \"x\": {\"y\": [1, \"}\"]}\n  },\n  " J(
             "4738") "\n]\n",
         "4725 4738 ", 0, 0},
        {"Record 1\n{\n  \"EventID\": 4725\n}\nRecord 2\n{\n  \"EventID\": 4738\n}\n", "4725 4738 ",
         0, 0},
        {SAMBA("512", "514") COMMIT, "4725 4738 ", 0, 0},
        {SAMBA("512", "514"), "4725 4738 ", 0, 0},
        {SAMBA("512", "514") J("4722") "\n" X("4724") "\n" COMMIT, "4722 4724 4725 4738 ", 0, 0},
        /* what is broken is named, and what follows is read */
        {J("4725") "\nrubbish\n" J("4738") "\n", "4725 4738 ", 1, 2},
        {"{\"EventID\": 4725, \"cut\n" J("4738") "\n", "4738 ", 1, 1},
        {"{\"EventID\": 4725, \"cut\":\n" J("4738") "\n", "4738 ", 1, 1},
        {J("4725") "\n{\"EventID\":", "4725 ", 1, 2},
        {X("4725") "<Event><System>", "4725 ", 1, 1},
        {X("x") X("4738"), "4738 ", 1, 1},
        {"{\"a\":1}\n" J("4738") "\n", "4738 ", 1, 1},
        {"<Event><System><EventID>4725</EventID></System><EventData><Data Name='TargetUserName'>"
         "<![CDATA[</Event>" X("4722") "]]></Data></EventData></Event>",
         "4725 ", 0, 0},
        {"<Event><!-- </Event>" X("4722") " --><System><EventID>4725</EventID></System></Event>",
         "4725 ", 0, 0},
        {"<EventLog/>" X("4725"), "4725 ", 0, 0},
    };
    struct got g;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        for (size_t step = 1; step < 4096; step = step * 3 + 1) {
            read_in(&g, table[i].s, strlen(table[i].s), step);
            if (strcmp(g.ids.s, table[i].ids) != 0 || g.bad != table[i].bad ||
                (table[i].line != 0 && g.bad_line != table[i].line))
                fail_msg("#%zu, %zu at a time: %s, %u bad (line %llu): %s", i, step, g.ids.s, g.bad,
                         (unsigned long long)g.bad_line, table[i].s);
            text_done(&g.ids);
        }
    }
}

static void cut_samba_line(void **state)
{
    static const char whole[] = SAMBA("512", "514");
    struct got g;
    char s[4096];

    (void)state;
    for (int at = 60; at + 10 < (int)strlen(whole); at += 1) {
        (void)snprintf(s, sizeof(s), "%.*s +>\n  %s" COMMIT, at, whole, whole + at);
        read_in(&g, s, strlen(s), 5);
        if (strcmp(g.ids.s, "4725 4738 ") != 0 || g.bad != 0)
            fail_msg("cut at %d: %s, %u bad", at, g.ids.s, g.bad);
        text_done(&g.ids);
    }
}

static void utf16(void **state)
{
    static const char s[] = J("4725") "\n" X("4738") "\n";
    unsigned char wide[2][512];
    struct got g;

    (void)state;
    memcpy(wide[0], "\xff\xfe", 2);
    memcpy(wide[1], "\xfe\xff", 2);
    for (size_t i = 0; i < sizeof(s) - 1; i++) {
        wide[0][2 + 2 * i] = wide[1][3 + 2 * i] = (unsigned char)s[i];
        wide[0][3 + 2 * i] = wide[1][2 + 2 * i] = 0;
    }
    for (int i = 0; i < 2; i++) {
        read_in(&g, (const char *)wide[i], sizeof(s) * 2, 3);
        assert_string_equal(g.ids.s, "4725 4738 ");
        assert_int_equal(g.bad, 0);
        text_done(&g.ids);
    }
}

static void too_big(void **state)
{
    size_t n = 2 * (size_t)EVLOG_READ_MAX;
    char *s = malloc(n + 256);
    struct got g;

    (void)state;
    assert_non_null(s);
    (void)strcpy(s, "{\"EventID\":4725,\"x\":\"");
    memset(s + 21, 'x', n);
    (void)strcpy(s + 21 + n, "\"}\n" J("4738") "\n");
    read_in(&g, s, strlen(s), 65536);
    assert_string_equal(g.ids.s, "4738 ");
    assert_int_equal(g.bad, 1);
    text_done(&g.ids);
    (void)strcpy(s, "<Event><System>      ");
    memset(s + 21, 'x', n);
    (void)strcpy(s + 21 + n, "</Event>" X("4738"));
    read_in(&g, s, strlen(s), 65536);
    assert_string_equal(g.ids.s, "4738 ");
    assert_int_equal(g.bad, 1);
    text_done(&g.ids);
    free(s);
}

static void files(void **state)
{
    struct got g = {.ids = TEXT_INIT(4096)};
    char path[512];
    struct err e;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/tests/data/events/4738-rename-pair.xml",
                   TEST_SOURCE_DIR);
    assert_int_equal(evlog_read_file(path, on_event, on_bad, &g, &e), 0);
    assert_string_equal(g.ids.s, "4738 ");
    assert_int_equal(g.bad, 0);
    assert_int_equal(evlog_read_file("/nonexistent/x", on_event, on_bad, &g, &e), -1);
    assert_int_equal(e.code, ERR_NOTFOUND);
    assert_int_equal(evlog_read_file("/tmp", on_event, on_bad, &g, &e), -1);
    assert_int_equal(e.code, ERR_IO);
    text_done(&g.ids);
}

/* --- a watcher over real files ------------------------------------------------------------------
 */

struct world {
    struct loop *loop;
    struct evlog_watcher *watcher;
    struct evlog_source *source;
    char dir[64], path[2][96];
    struct text heard;
    unsigned met, others;
    bool unseen, lost;
    struct loop_timer *limit;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct err e;

    *state = w;
    if (w == NULL || loop_new(&w->loop, &e) < 0 || evlog_watcher_new(w->loop, &w->watcher, &e) < 0)
        return -1;
    text_init(&w->heard, 1024 * 1024);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/cordon-read-XXXXXX");
    if (mkdtemp(w->dir) == NULL)
        return -1;
    for (int i = 0; i < 2; i++)
        (void)snprintf(w->path[i], sizeof(w->path[i]), "%s/log%d", w->dir, i);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    evlog_watcher_free(w->watcher);
    loop_timer_stop(&w->limit);
    loop_free(w->loop);
    text_done(&w->heard);
    (void)unlink(w->path[0]);
    (void)unlink(w->path[1]);
    (void)rmdir(w->dir);
    free(w);
    return 0;
}

static void put(const char *path, const char *s)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, s, strlen(s)), (ssize_t)strlen(s));
    (void)close(fd);
}

static void on_ready(void *arg, struct evlog_source *s, const struct err *e)
{
    struct world *w = arg;

    assert_null(e);
    assert_ptr_equal(s, w->source);
    loop_stop(w->loop);
}

static void on_limit(void *arg)
{
    struct world *w = arg;

    w->limit = NULL;
    loop_stop(w->loop);
}

static void run(struct world *w)
{
    struct err e;

    w->limit = loop_timer_start(w->loop, 5000, on_limit, w);
    (void)loop_run(w->loop, &e);
    if (w->limit == NULL)
        fail_msg("nothing in 5 s");
    loop_timer_stop(&w->limit);
}

static void open_samba(struct world *w, unsigned count, const char *mark)
{
    struct evlog_files f = {.lines = EVLOG_LINES_SAMBA,
                            .dc = "dc1.corp.example.com",
                            .paths = {w->path[0], w->path[1]},
                            .count = count,
                            .mark = mark,
                            .hold_ms = 50};
    struct err e;

    if (evlog_source_open_files(w->watcher, &f, on_ready, w, &w->source, &e) < 0)
        fail_msg("%s", e.msg);
    run(w);
}

static void on_result(void *arg, const struct evlog_result *r)
{
    struct world *w = arg;

    if (r->end == EVLOG_MET)
        w->met++;
    else
        w->others++;
    w->unseen = r->commit_unseen;
    w->lost = r->lost;
    loop_stop(w->loop);
}

static void expect(struct world *w, const char *mark, uint64_t within_ms)
{
    struct evlog_spec s = {.target_sid = "S-1-5-21-1-2-3-4",
                           .target_dn = "cn=A,dc=B",
                           .actor_sid = SID,
                           .dc = "DC1.corp.example.com",
                           .source = w->source,
                           .mark = mark,
                           .within_ms = within_ms};
    struct evlog_expect *x;
    struct err e;

    evlog_want_disabled(&s);
    if (evlog_expect_start(w->watcher, &s, on_result, w, &x, &e) < 0)
        fail_msg("%s", e.msg);
}

static void from_change_to_proof(void **state)
{
    struct world *w = *state;
    struct evlog_health h;
    char mark[EVLOG_MARK];

    put(w->path[0], SAMBA_AS("tx0", "512", "514") COMMIT_AS("tx0"));
    open_samba(w, 1, NULL);
    /* Not read yet when the mark is taken, but before it all the same. */
    put(w->path[0], SAMBA("512", "514") COMMIT);
    evlog_source_mark(w->source, mark);
    expect(w, mark, 5000);
    put(w->path[0], "rubbish\n" SAMBA_AS("tx2", "512", "514"));
    evlog_source_poke(w->source);
    put(w->path[0], COMMIT_AS("tx2"));
    evlog_source_poke(w->source);
    assert_int_equal(w->met, 0); /* never from inside */
    run(w);
    assert_int_equal(w->met, 1);
    assert_false(w->unseen);
    evlog_source_health(w->source, &h);
    assert_true(h.open && !h.missing && !h.writable);
    assert_int_equal(h.events, 4);
    assert_int_equal(h.bad, 1);
    assert_int_equal(h.gaps, 0);
    assert_true(h.event_ms != 0);

    /* Nothing but what was before the mark. */
    evlog_source_mark(w->source, mark);
    expect(w, mark, 20);
    run(w);
    assert_int_equal(w->others, 1);
}

static void commit_in_another_file(void **state)
{
    struct world *w = *state;
    char mark[EVLOG_MARK];

    open_samba(w, 2, NULL); /* both missing at first */
    evlog_source_mark(w->source, mark);
    expect(w, mark, 5000);
    put(w->path[1], COMMIT);
    evlog_source_poke(w->source);
    put(w->path[0], SAMBA("512", "514"));
    run(w); /* by itself */
    assert_int_equal(w->met, 1);
    assert_false(w->unseen);

    /* The transaction class is off: after the hold, and said so. */
    evlog_source_mark(w->source, mark);
    expect(w, mark, 5000);
    put(w->path[0], SAMBA_AS("tx9", "512", "514"));
    run(w);
    assert_int_equal(w->met, 2);
    assert_true(w->unseen);
}

/* The program ends after its change was sent and begins again. */
static void after_a_restart(void **state)
{
    struct world *w = *state;
    char mark[EVLOG_MARK], early[EVLOG_MARK];
    struct err e;

    put(w->path[0], "");
    put(w->path[1], "");
    open_samba(w, 2, NULL);
    evlog_source_mark(w->source, early);
    put(w->path[0], SAMBA_AS("tx5", "512", "514"));
    put(w->path[1], COMMIT_AS("tx5"));
    evlog_source_mark(w->source, mark);
    evlog_watcher_free(w->watcher);
    w->watcher = NULL;
    put(w->path[0], SAMBA("512", "514"));
    put(w->path[1], COMMIT);

    assert_int_equal(evlog_watcher_new(w->loop, &w->watcher, &e), 0);
    /* Opened at an earlier mark, for another case: ours still begins at its own. */
    open_samba(w, 2, early);
    expect(w, mark, 5000);
    run(w);
    assert_int_equal(w->met, 1);
    assert_false(w->lost);
    evlog_source_close(&w->source);

    /* All that is there is before a mark at the end. */
    open_samba(w, 2, mark);
    evlog_source_mark(w->source, mark);
    expect(w, mark, 20);
    run(w);
    assert_int_equal(w->others, 1);
    evlog_source_close(&w->source);

    /* The file of the mark is gone: a gap, so that absence proves nothing. */
    assert_int_equal(unlink(w->path[0]), 0);
    put(w->path[1], "  \n");
    put(w->path[0], "  \n");
    open_samba(w, 2, mark);
    expect(w, mark, 300);
    run(w);
    assert_int_equal(w->others, 2);
    assert_true(w->lost);
}

static void on_heard(void *arg, const struct evlog_source *s, const struct evlog_event *ev)
{
    struct world *w = arg;

    assert_ptr_equal(s, w->source);
    text_addf(&w->heard, "%u@%s ", ev->id, ev->computer);
    if (w->limit != NULL) /* it runs */
        loop_stop(w->loop);
}

static void any_lines(void **state)
{
    struct world *w = *state;
    struct evlog_files f = {
        .lines = EVLOG_LINES_ANY, .paths = {w->path[0]}, .count = 1, .mark = EVLOG_FROM_START};
    struct err e;

    put(w->path[0], J("4725") "\n");
    evlog_watcher_listen(w->watcher, on_heard, w);
    assert_int_equal(evlog_source_open_files(w->watcher, &f, NULL, NULL, &w->source, &e), 0);
    assert_null(evlog_source_dc(w->source));
    run(w);
    put(w->path[0], X("4738") "\n" SAMBA("512", "514") COMMIT
        "{\"winlog\":{\"event_id\":4722,\"computer_name\":\"dc2\"}}\n");
    evlog_source_poke(w->source);
    assert_string_equal(w->heard.s, "4725@ 4738@ 4725@ 4738@ 4722@dc2 ");

    f.mark = "nonsense";
    assert_int_equal(evlog_source_open_files(w->watcher, &f, NULL, NULL, &w->source, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    f.count = 0;
    assert_int_equal(evlog_source_open_files(w->watcher, &f, NULL, NULL, &w->source, &e), -1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form),
        cmocka_unit_test(cut_samba_line),
        cmocka_unit_test(utf16),
        cmocka_unit_test(too_big),
        cmocka_unit_test(files),
        T(from_change_to_proof),
        T(commit_in_another_file),
        T(after_a_restart),
        T(any_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
