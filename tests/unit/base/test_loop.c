/* The loop's promises: never from inside the start, once, and a turn has an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/id.h"
#include "base/loop.h"

struct seen {
    struct loop *l;
    int fired, turns_at_fire, turns, jobs, watched;
    struct loop_timer *t;
    struct loop_watch *w;
    int fds[2];
};

static void turn_end(void *arg)
{
    ((struct seen *)arg)->turns++;
}

static void fire(void *arg)
{
    struct seen *s = arg;

    s->fired++;
    s->turns_at_fire = s->turns;
}

static void chain(void *arg)
{
    struct seen *s = arg;

    if (++s->fired < 100)
        assert_non_null(loop_timer_start(s->l, 0, chain, s));
}

static void zero_waits_for_the_next_turn(void **state)
{
    struct seen s = {0};
    struct err e;

    (void)state;
    assert_int_equal(loop_new(&s.l, &e), 0);
    loop_on_turn_end(s.l, turn_end, &s);
    assert_non_null(loop_timer_start(s.l, 0, chain, &s));
    assert_int_equal(s.fired, 0);
    (void)loop_run(s.l, &e);
    assert_int_equal(s.fired, 100);
    assert_true(s.turns >= 100); /* the ledger commits between them */
    loop_free(s.l);
}

static void stopped_never_fires(void **state)
{
    struct seen s = {0};
    struct err e;

    (void)state;
    assert_int_equal(loop_new(&s.l, &e), 0);
    s.t = loop_timer_start(s.l, 0, fire, &s);
    loop_timer_stop(&s.t);
    assert_null(s.t);
    s.t = loop_timer_start(s.l, 1, fire, &s);
    loop_timer_stop(&s.t);
    loop_timer_stop(&s.t);
    (void)loop_run(s.l, &e);
    assert_int_equal(s.fired, 0);
    loop_free(s.l);
}

static void work(void *arg)
{
    ((struct seen *)arg)->jobs++;
}

static void worked(void *arg, bool canceled)
{
    assert_false(canceled);
    ((struct seen *)arg)->fired++;
}

static void jobs(void **state)
{
    struct seen s = {0};
    struct err e;

    (void)state;
    assert_int_equal(loop_new(&s.l, &e), 0);
    assert_int_equal(loop_job_start(s.l, work, worked, &s, &e), 0);
    assert_int_equal(s.fired, 0);
    (void)loop_run(s.l, &e);
    assert_int_equal(s.jobs, 1);
    assert_int_equal(s.fired, 1);
    loop_free(s.l);
}

static void readable(void *arg, int events)
{
    struct seen *s = arg;
    char c;

    assert_true((events & LOOP_READ) != 0);
    assert_int_equal(read(s->fds[0], &c, 1), 1);
    s->watched++;
    loop_watch_stop(&s->w);
}

static void descriptors(void **state)
{
    struct seen s = {0};
    struct err e;

    (void)state;
    assert_int_equal(loop_new(&s.l, &e), 0);
    assert_int_equal(pipe(s.fds), 0);
    s.w = loop_watch_start(s.l, s.fds[0], LOOP_READ, readable, &s);
    assert_non_null(s.w);
    assert_int_equal(write(s.fds[1], "x", 1), 1);
    (void)loop_run(s.l, &e);
    assert_int_equal(s.watched, 1);
    (void)close(s.fds[0]);
    (void)close(s.fds[1]);
    loop_free(s.l);
}

static void ulids(void **state)
{
    char a[ID_ULID], b[ID_ULID];
    struct err e;

    (void)state;
    assert_int_equal(id_ulid(a, 1795252443120, &e), 0);
    assert_true(id_ulid_ok(a));
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(id_ulid(b, 1795252443120, &e), 0);
        assert_true(strcmp(a, b) < 0); /* rises, also within a millisecond */
        memcpy(a, b, sizeof(a));
    }
    assert_false(id_ulid_ok("01M7YCKWNDZF0W9ANVMT8BKVJ"));
    assert_false(id_ulid_ok("01M7YCKWNDZF0W9ANVMT8BKVJU"));
    assert_false(id_ulid_ok("81M7YCKWNDZF0W9ANVMT8BKVJ5"));
}

static void hashes(void **state)
{
    uint8_t h[ID_SHA256], back[ID_SHA256];
    char hex[65];
    struct err e;

    (void)state;
    assert_int_equal(id_sha256("abc", 3, h, &e), 0);
    id_hex(hex, h, sizeof(h));
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(id_unhex(back, sizeof(back), hex));
    assert_memory_equal(h, back, sizeof(h));
    assert_false(id_unhex(back, 2, "0x12"));
    assert_false(id_unhex(back, 1, "123"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_waits_for_the_next_turn),
        cmocka_unit_test(stopped_never_fires),
        cmocka_unit_test(jobs),
        cmocka_unit_test(descriptors),
        cmocka_unit_test(ulids),
        cmocka_unit_test(hashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
