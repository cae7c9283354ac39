/* The one function that judges: every combination of facts, and it never says more than they do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/verdict.h"
#include "base/cleanup.h"

static struct goal_facts facts(unsigned bits)
{
    return (struct goal_facts){
        .some_done = (bits & 1) != 0,
        .some_already = (bits & 2) != 0,
        .some_unknown = (bits & 4) != 0,
        .some_refused = (bits & 8) != 0,
        .some_failed = (bits & 16) != 0,
        .some_undone = (bits & 32) != 0,
        .some_logged = (bits & 64) != 0,
        .log_watched = (bits & 128) != 0,
        .converged = (bits & 256) != 0,
        .reverted = (bits & 512) != 0,
        .not_shown = (bits & 1024) != 0,
    };
}

static void never_more_than_the_evidence(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 2048; bits++) {
        struct goal_facts g = facts(bits);
        struct verdict_out v = verdict_of(&g, 1);

        if (v.verdict == VERDICT_DONE) {
            assert_true(g.some_done || g.some_already);
            assert_false(g.reverted || (g.not_shown && !g.some_logged));
            /* a watched log must have spoken, or nothing was changed and every DC shows it so */
            if (g.log_watched)
                assert_true((g.some_done && g.some_logged) || (!g.some_done && g.converged));
        }
        if (v.proof == PROOF_LOGGED)
            assert_true(g.some_logged && g.some_done);
        if (v.proof == PROOF_EVERYWHERE)
            assert_true(g.converged && !g.reverted);
        /* "nothing changed" is never said where something may have been */
        if (v.verdict == VERDICT_FAILED || v.verdict == VERDICT_REFUSED)
            assert_false(g.some_done || g.some_already || g.some_unknown);
        if (g.some_unknown && !g.some_done && !g.some_already)
            assert_int_equal(v.verdict, VERDICT_UNKNOWN);
    }
}

static void two_goals(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 2048; a += 5) {
        for (unsigned b = 0; b < 2048; b += 7) {
            struct goal_facts g[2] = {facts(a), facts(b)};
            struct verdict_out one = verdict_of(&g[0], 1), two = verdict_of(&g[1], 1),
                               both = verdict_of(g, 2);

            if (both.verdict == VERDICT_DONE) {
                assert_int_equal(one.verdict, VERDICT_DONE);
                assert_int_equal(two.verdict, VERDICT_DONE);
                assert_true(both.proof <= one.proof && both.proof <= two.proof);
            }
            if (both.verdict == VERDICT_FAILED || both.verdict == VERDICT_REFUSED) {
                assert_true(one.verdict == VERDICT_FAILED || one.verdict == VERDICT_REFUSED);
                assert_true(two.verdict == VERDICT_FAILED || two.verdict == VERDICT_REFUSED);
            }
            if (one.verdict == VERDICT_UNKNOWN || two.verdict == VERDICT_UNKNOWN)
                assert_int_equal(both.verdict, VERDICT_UNKNOWN);
        }
    }
}

static void cases(void **state)
{
    static const struct {
        struct goal_facts g;
        enum verdict verdict;
        enum proof proof;
    } table[] = {
        {{.some_done = true, .log_watched = true, .some_logged = true, .converged = true},
         VERDICT_DONE,
         PROOF_EVERYWHERE},
        {{.some_done = true, .log_watched = true, .some_logged = true}, VERDICT_DONE, PROOF_LOGGED},
        {{.some_done = true, .log_watched = true, .converged = true},
         VERDICT_UNCONFIRMED,
         PROOF_READ_BACK},
        {{.some_done = true}, VERDICT_DONE, PROOF_READ_BACK}, /* events = none */
        {{.some_already = true, .log_watched = true, .converged = true},
         VERDICT_DONE,
         PROOF_EVERYWHERE},
        {{.some_already = true, .log_watched = true}, VERDICT_UNCONFIRMED, PROOF_READ_BACK},
        {{.some_done = true, .log_watched = true, .some_logged = true, .reverted = true},
         VERDICT_UNCONFIRMED,
         PROOF_READ_BACK},
        {{.some_failed = true, .some_undone = true, .log_watched = true},
         VERDICT_FAILED,
         PROOF_NONE},
        {{.some_done = true, .not_shown = true}, VERDICT_UNCONFIRMED, PROOF_ACCEPTED},
        {{.some_refused = true}, VERDICT_REFUSED, PROOF_NONE},
        {{.some_unknown = true, .some_failed = true}, VERDICT_UNKNOWN, PROOF_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct verdict_out v = verdict_of(&table[i].g, 1);

        assert_int_equal(v.verdict, table[i].verdict);
        assert_int_equal(v.proof, table[i].proof);
    }
    struct goal_facts half[2] = {table[0].g, {.some_failed = true}};

    assert_int_equal(verdict_of(half, 2).verdict, VERDICT_PARTIAL);
}

static void words(void **state)
{
    static const int exits[] = {0, 10, 11, 12, 13, 14, 14, 15, 16};
    enum action a;
    enum verdict v;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(exits); i++) {
        assert_int_equal(verdict_exit((enum verdict)i), exits[i]);
        assert_true(verdict_parse(verdict_word((enum verdict)i), &v));
        assert_int_equal(v, i);
    }
    assert_true(action_parse("forcePasswordReset", &a));
    assert_int_equal(a, ACT_EXPIRE);
    assert_false(action_parse("Disable", &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_more_than_the_evidence),
        cmocka_unit_test(two_goals),
        cmocka_unit_test(cases),
        cmocka_unit_test(words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
