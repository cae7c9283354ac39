/* tests/unit/eventlog/test_tail.c -- every line once, through all that happens to a log file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "base/text.h"
#include "eventlog/event.h"
#include "eventlog/tail.h"

struct world {
    struct loop *loop;
    char dir[64], path[96], old[100];
    struct evlog_tail *tail;
    struct text lines; /* each followed by '|' */
    unsigned gaps, too_long;
    const char *wait_for;
    struct loop_timer *limit;
};

static void on_line(void *arg, const char *line, size_t n, uint32_t gen, uint64_t off)
{
    struct world *w = arg;

    (void)gen;
    (void)off;
    text_addn(&w->lines, line, n < 40 ? n : 40);
    text_addc(&w->lines, '|');
    if (w->wait_for != NULL && w->lines.len >= strlen(w->wait_for) &&
        strcmp(w->lines.s + w->lines.len - strlen(w->wait_for), w->wait_for) == 0)
        loop_stop(w->loop);
}

static void on_too_long(void *arg)
{
    struct world *w = arg;

    w->too_long++;
}

static void on_gap(void *arg, const char *why)
{
    struct world *w = arg;

    assert_true(why[0] != '\0');
    w->gaps++;
}

static const struct evlog_tail_cbs cbs = {on_line, on_too_long, on_gap};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct err e;

    *state = w;
    if (w == NULL || loop_new(&w->loop, &e) < 0)
        return -1;
    text_init(&w->lines, 64 * 1024 * 1024);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/cordon-tail-XXXXXX");
    if (mkdtemp(w->dir) == NULL)
        return -1;
    (void)snprintf(w->path, sizeof(w->path), "%s/log", w->dir);
    (void)snprintf(w->old, sizeof(w->old), "%s.old", w->path);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    evlog_tail_close(&w->tail);
    loop_free(w->loop);
    text_done(&w->lines);
    (void)unlink(w->path);
    (void)unlink(w->old);
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

static void start(struct world *w, const char *mark)
{
    struct err e;

    if (evlog_tail_open(w->loop, w->path, mark, &cbs, w, &w->tail, &e) < 0)
        fail_msg("%s", e.msg);
    evlog_tail_begin(w->tail);
}

static void expect_now(struct world *w, const char *want)
{
    evlog_tail_read(w->tail);
    assert_string_equal(w->lines.s, want);
}

static void on_limit(void *arg)
{
    struct world *w = arg;

    w->limit = NULL;
    loop_stop(w->loop);
}

/* Let the loop run until that line has come by itself. */
static void expect_soon(struct world *w, const char *line)
{
    struct err e;

    w->limit = loop_timer_start(w->loop, 5000, on_limit, w);
    w->wait_for = line;
    if (strstr(w->lines.s, line) == NULL)
        (void)loop_run(w->loop, &e);
    loop_timer_stop(&w->limit);
    w->wait_for = NULL;
    if (strstr(w->lines.s, line) == NULL)
        fail_msg("'%s' never came: %s", line, w->lines.s);
}

static void mark(const struct world *w, char buf[256])
{
    struct text t = TEXT_INIT(255);

    evlog_tail_mark(w->tail, &t);
    memcpy(buf, t.s, t.len + 1);
    text_done(&t);
}

/* --- lines -------------------------------------------------------------------------------------
 */

static void whole_lines_only(void **state)
{
    struct world *w = *state;

    put(w->path, "before\nhalf a li");
    start(w, NULL);
    expect_now(w, "");
    put(w->path, "ne\none\ntw"); /* the rest of what began before us is no line */
    expect_now(w, "one|");
    expect_now(w, "one|");
    put(w->path, "o");
    expect_now(w, "one|");
    put(w->path, "\r\n\n\r\nthree\n");
    expect_now(w, "one|two|three|");
    assert_int_equal(w->gaps, 0);
}

static void long_lines(void **state)
{
    struct world *w = *state;
    char *line = malloc(EVLOG_LINE_MAX * 4 + 2);

    assert_non_null(line);
    put(w->path, "");
    start(w, NULL);
    memset(line, 'x', EVLOG_LINE_MAX * 4);
    for (size_t n = EVLOG_LINE_MAX - 1; n < EVLOG_LINE_MAX + 3; n++) {
        memcpy(line + n, "\n", 2);
        put(w->path, line);
        memset(line, 'x', EVLOG_LINE_MAX * 4);
        evlog_tail_read(w->tail);
    }
    assert_int_equal(w->too_long, 2);
    memcpy(line + EVLOG_LINE_MAX * 4, "\n", 2);
    put(w->path, line);
    put(w->path, "after\n");
    text_clear(&w->lines);
    expect_now(w, "after|");
    assert_int_equal(w->too_long, 3);
    free(line);
}

static void by_itself(void **state)
{
    struct world *w = *state;

    put(w->path, "");
    start(w, NULL);
    put(w->path, "one\n");
    expect_soon(w, "one|");
    assert_int_equal(rename(w->path, w->old), 0);
    put(w->old, "two\n");
    expect_soon(w, "two|");
    put(w->path, "three\n");
    expect_soon(w, "three|");
    put(w->path, "four\n");
    expect_soon(w, "four|");
    assert_string_equal(w->lines.s, "one|two|three|four|");
    assert_int_equal(w->gaps, 0);
}

static void missing_at_first(void **state)
{
    struct world *w = *state;

    start(w, NULL);
    assert_true(evlog_tail_missing(w->tail));
    expect_now(w, "");
    put(w->path, "one\n");
    expect_soon(w, "one|");
    assert_false(evlog_tail_missing(w->tail));
    assert_int_equal(w->gaps, 0);
}

/* --- rotation and truncation
 * ---------------------------------------------------------------------- */

static void rotated(void **state)
{
    struct world *w = *state;

    put(w->path, "");
    start(w, NULL);
    put(w->path, "one\n");
    assert_int_equal(rename(w->path, w->old), 0);
    put(w->path, "three\n");
    put(w->old, "two\n");
    expect_now(w, "one|two|three|");
    /* Another process has not noticed yet, and writes to the old one still. */
    put(w->old, "late\n");
    put(w->path, "four\n");
    expect_now(w, "one|two|three|late|four|");
    assert_int_equal(rename(w->path, w->old), 0);
    put(w->path, "five\n");
    expect_now(w, "one|two|three|late|four|five|");
    assert_int_equal(w->gaps, 0);
}

static void truncated(void **state)
{
    struct world *w = *state;

    put(w->path, "");
    start(w, NULL);
    put(w->path, "one\ntwo\nhal");
    expect_now(w, "one|two|");
    assert_int_equal(truncate(w->path, 0), 0);
    expect_now(w, "one|two|");
    assert_int_equal(w->gaps, 1);
    put(w->path, "three\n");
    expect_now(w, "one|two|three|");
    /* Cut and grown past the old end between two looks. */
    put(w->path, "3\n4\n");
    evlog_tail_read(w->tail);
    text_clear(&w->lines);
    assert_int_equal(truncate(w->path, 0), 0);
    put(w->path, "a new line that is longer than all there was before\nand one more\n");
    expect_now(w, "a new line that is longer than all there|and one more|");
    assert_int_equal(w->gaps, 2);
}

static void a_folder(void **state)
{
    struct world *w = *state;
    struct evlog_tail *t = NULL;
    struct err e;

    assert_int_equal(evlog_tail_open(w->loop, w->dir, NULL, &cbs, w, &t, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_int_equal(evlog_tail_open(w->loop, "/dev/null", NULL, &cbs, w, &t, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_int_equal(evlog_tail_open(w->loop, w->path, "1.2.x.4", &cbs, w, &t, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_null(t);
}

/* --- marks
 * -------------------------------------------------------------------------------------------- */

static void restart_at(struct world *w, const char *at)
{
    evlog_tail_close(&w->tail);
    text_clear(&w->lines);
    w->gaps = 0;
    start(w, at);
}

static void marks(void **state)
{
    struct world *w = *state;
    char at[256], later[256];
    uint32_t gen;
    uint64_t off;

    put(w->path, "one\n");
    start(w, NULL);
    mark(w, at);
    put(w->path, "two\nhal");
    expect_now(w, "two|");
    mark(w, later);
    assert_true(evlog_tail_locate(w->tail, at, &gen, &off));
    assert_true(gen == 1 && off == 4);
    assert_true(evlog_tail_locate(w->tail, later, &gen, &off));
    assert_true(gen == 1 && off == 8);
    assert_false(evlog_tail_locate(w->tail, "nonsense", &gen, &off));

    restart_at(w, at);
    put(w->path, "f\n");
    expect_now(w, "two|half|");
    assert_int_equal(w->gaps, 0);

    /* Rotated once: the old one from the mark, then the new one. */
    assert_int_equal(rename(w->path, w->old), 0);
    put(w->path, "three\n");
    restart_at(w, at);
    expect_now(w, "two|half|three|");
    assert_int_equal(w->gaps, 0);

    /* Rotated twice: what was between is gone. */
    assert_int_equal(rename(w->path, w->old), 0);
    put(w->path, "four\n");
    restart_at(w, at);
    expect_now(w, "four|");
    assert_int_equal(w->gaps, 1);

    /* The inode lives, its contents are others. */
    mark(w, at);
    assert_int_equal(truncate(w->path, 0), 0);
    put(w->path, "five\nsix\n");
    restart_at(w, at);
    expect_now(w, "five|six|");
    assert_int_equal(w->gaps, 1);

    /* Not there then, and there now; and from the start on purpose. */
    restart_at(w, "-");
    expect_now(w, "five|six|");
    assert_int_equal(w->gaps, 0);
}

/* --- FIFO
 * ------------------------------------------------------------------------------------------------
 */

static void fifo(void **state)
{
    struct world *w = *state;
    char at[256];
    int fd;

    assert_int_equal(mkfifo(w->path, 0600), 0);
    start(w, NULL);
    expect_now(w, ""); /* no writer: nothing, at once */
    mark(w, at);
    assert_string_equal(at, "fifo");
    fd = open(w->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "one\ntw", 6), 6);
    expect_soon(w, "one|");
    (void)close(fd); /* the last writer goes, another one comes */
    fd = open(w->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_int_equal(write(fd, "o\n", 2), 2);
    expect_soon(w, "two|");
    (void)close(fd);
    restart_at(w, at);
    assert_int_equal(w->gaps, 1);
}

static void on_turn(void *arg)
{
    ++*(unsigned *)arg;
}

/* The usual one: the log daemon's, and we may only read it. Without a writer it must not keep the
 * loop busy, and the next writer must be heard. */
static void fifo_read_only(void **state)
{
    struct world *w = *state;
    const uid_t nobody = 65534;
    bool root = geteuid() == 0;
    unsigned turns = 0;
    struct err e;
    int fd;

    assert_int_equal(mkfifo(w->path, 0400), 0);
    if (root) {
        assert_int_equal(chmod(w->dir, 0755), 0);
        assert_int_equal(chown(w->path, nobody, (gid_t)-1), 0);
        assert_int_equal(seteuid(nobody), 0);
    }
    start(w, NULL);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(w->path, 0600), 0);
    for (unsigned i = 0; i < 2; i++) {
        text_clear(&w->lines);
        fd = open(w->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "one\n", 4), 4);
        expect_soon(w, "one|");
        assert_int_equal(write(fd, "two\n", 4), 4);
        expect_soon(w, "two|");
        (void)close(fd);
        turns = 0;
        loop_on_turn_end(w->loop, on_turn, &turns);
        w->limit = loop_timer_start(w->loop, 600, on_limit, w);
        (void)loop_run(w->loop, &e);
        loop_on_turn_end(w->loop, NULL, NULL);
        assert_true(turns < 50);
    }
    assert_int_equal(w->gaps, 0);
}

/* More than one turn may read: it goes on by itself, and nothing is lost. */
static void much(void **state)
{
    struct world *w = *state;
    FILE *f;

    put(w->path, "");
    start(w, NULL);
    f = fopen(w->path, "ae");
    assert_non_null(f);
    for (int i = 0; i < 200000; i++)
        (void)fprintf(f, "line %06d 0123456789\n", i);
    (void)fprintf(f, "last\n");
    (void)fclose(f);
    evlog_tail_read(w->tail);
    assert_null(strstr(w->lines.s, "last|"));
    expect_soon(w, "last|");
    assert_int_equal(w->lines.len, 200000 * 23 + 5);

    /* And a drain does it at once. */
    f = fopen(w->path, "ae");
    assert_non_null(f);
    for (int i = 0; i < 200000; i++)
        (void)fprintf(f, "line %06d 0123456789\n", i);
    (void)fprintf(f, "end\n");
    (void)fclose(f);
    evlog_tail_drain(w->tail);
    assert_non_null(strstr(w->lines.s, "|end|"));
}

static void others_may_write(void **state)
{
    struct world *w = *state;

    put(w->path, "");
    assert_int_equal(chmod(w->path, 0666), 0);
    start(w, NULL);
    assert_true(evlog_tail_writable(w->tail));
    evlog_tail_close(&w->tail);
    assert_int_equal(chmod(w->path, 0640), 0);
    start(w, NULL);
    assert_false(evlog_tail_writable(w->tail));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(whole_lines_only), T(long_lines), T(by_itself),
        T(missing_at_first), T(rotated),    T(truncated),
        T(a_folder),         T(marks),      T(fifo),
        T(fifo_read_only),   T(much),       T(others_may_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
