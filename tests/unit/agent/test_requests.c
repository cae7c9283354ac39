/* Where each request stands: folded from its records, and from nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/service/requests.h"
#include "tests/unit/agent/ledger_help.h"

#define NOW INT64_C(1790000000000)
#define UUID "0b5c1f0e-0000-4000-8000-000000000001"

static struct ledger *l;

static int open_one(void **state)
{
    if (set_up(state) < 0)
        return -1;
    l = open_plain();
    return 0;
}

static int close_one(void **state)
{
    shut(l);
    return tear_down(state);
}

static struct intake_request request(const char *id)
{
    struct intake_request r = {.action = ACT_DISABLE,
                               .account = "alice",
                               .reason = "phishing, \"INC\"",
                               .requester = "ann@example.com",
                               .issued_ms = NOW,
                               .expires_ms = NOW + 600000,
                               .audience = "corp.example.com",
                               .options = {.steps = true}};

    (void)snprintf(r.id, sizeof(r.id), "%s", id);
    return r;
}

/* What an entry says, in one line. */
static char line[1024];

static bool note(void *arg, const struct request_entry *en)
{
    size_t n = strlen(line);

    (void)arg;
    (void)snprintf(line + n, sizeof(line) - n, "%s%.4s %s%s", n > 0 ? ", " : "", en->id,
                   request_state_word(en->state), en->delivered ? " delivered" : "");
    n = strlen(line);
    if (en->state == REQUEST_HELD)
        (void)snprintf(line + n, sizeof(line) - n, " %s %u/%u", en->held_rule, en->approvals,
                       en->approvals_needed);
    else if (en->state == REQUEST_DECIDED)
        (void)snprintf(line + n, sizeof(line) - n, " %s by %s", en->declined ? "no" : "yes",
                       en->decided_by);
    else if (en->result != NULL)
        (void)snprintf(line + n, sizeof(line) - n, " '%s'", en->result);
    return true;
}

static const char *find(const char *id)
{
    line[0] = '\0';
    must(requests_find(l, id, note, NULL, &e));
    return line;
}

static const char *open_ones(void)
{
    line[0] = '\0';
    must(requests_open(l, note, NULL, &e));
    return line;
}

static void accept(const char *id, const char *case_id)
{
    struct intake_request r = request(id);

    must(requests_accept(l, &r, "d1", "soar", "m-1", case_id, false, NULL, NULL, &e));
    must(ledger_commit(l, &e));
}

static void hold(const char *id, const char *rule, unsigned approvals)
{
    must(requests_hold(l, id, CASE_A, rule, "why not", approvals, NOW + 1000, NULL, NULL, &e));
    must(ledger_commit(l, &e));
}

static void decide(bool approve, const char *by)
{
    must(requests_decide(l, CASE_B, approve, by, "looked at it", NOW, NULL, NULL, &e));
    must(ledger_commit(l, &e));
}

static bool same(void *arg, const struct request_entry *en)
{
    const struct intake_request want = request(arg);

    assert_string_equal(en->id, arg);
    assert_string_equal(en->digest, "d1");
    assert_string_equal(en->signer, "soar");
    assert_string_equal(en->message, "m-1");
    assert_string_equal(en->case_id, CASE_A);
    assert_string_equal(en->request->account, want.account);
    assert_string_equal(en->request->reason, want.reason);
    assert_string_equal(en->request->requester, want.requester);
    assert_int_equal(en->request->expires_ms, want.expires_ms);
    assert_true(en->request->options.steps);
    assert_true(en->received_ms > 0 && en->moved > 0);
    return true;
}

static void test_a_life(void **state)
{
    (void)state;
    fails(requests_find(l, UUID, note, NULL, &e), ERR_NOTFOUND, "no request");
    assert_string_equal(open_ones(), "");
    accept(UUID, CASE_A);
    must(requests_find(l, UUID, same, (void *)(uintptr_t)UUID, &e));
    assert_string_equal(find(UUID), "0b5c running");
    assert_string_equal(open_ones(), "0b5c running");
    must(requests_answer(l, UUID, CASE_A, "a.b.c", NULL, NULL, &e));
    assert_string_equal(find(UUID), "0b5c running"); /* not on disk, not so */
    must(ledger_commit(l, &e));
    assert_string_equal(open_ones(), "0b5c done 'a.b.c'");
    must(requests_delivered(l, UUID, "here", NULL, NULL, &e));
    must(ledger_commit(l, &e));
    assert_string_equal(find(UUID), "0b5c done delivered 'a.b.c'");
    assert_string_equal(open_ones(), "");
    shut(l); /* and another process sees the same */
    l = open_plain();
    assert_string_equal(find(UUID), "0b5c done delivered 'a.b.c'");
}

static void test_held_and_decided(void **state)
{
    (void)state;
    accept(CASE_B, CASE_A);
    fails(requests_decide(l, CASE_B, true, "bob", "", NOW, NULL, NULL, &e), ERR_NOTFOUND,
          "is running");
    hold(CASE_B, "never_disable", 1);
    assert_string_equal(find(CASE_B), "01J5 held never_disable 0/1");
    assert_string_equal(open_ones(), "01J5 held never_disable 0/1");
    /* R8: whoever asked does not approve, by whatever name. */
    fails(requests_decide(l, CASE_B, true, "ann (uid 1000)", "", NOW, NULL, NULL, &e), ERR_REFUSED,
          "same person");
    fails(requests_decide(l, CASE_B, true, "ANN@other.example", "", NOW, NULL, NULL, &e),
          ERR_REFUSED, "same person");
    fails(requests_decide(l, CASE_B, true, "bob", "", NOW + 1000, NULL, NULL, &e), ERR_CONFLICT,
          "over");
    fails(requests_decide(l, CASE_B, false, NULL, "", NOW + 999, NULL, NULL, &e), ERR_CONFLICT,
          "not over");
    decide(true, "bob (uid 7)");
    assert_string_equal(find(CASE_B), "01J5 decided yes by bob (uid 7)");
    fails(requests_decide(l, CASE_B, true, "cy", "", NOW, NULL, NULL, &e), ERR_NOTFOUND, "decided");
    /* Held once more, for a stronger reason: what was said before does not count. */
    hold(CASE_B, "privileged", 2);
    assert_string_equal(find(CASE_B), "01J5 held privileged 0/2");
    decide(true, "bob (uid 7)");
    assert_string_equal(find(CASE_B), "01J5 held privileged 1/2");
    fails(requests_decide(l, CASE_B, true, "bob (uid 8)", "", NOW, NULL, NULL, &e), ERR_REFUSED,
          "another person");
    decide(true, "cy (uid 9)");
    assert_string_equal(find(CASE_B), "01J5 decided yes by cy (uid 9)");
    /* By sudo everybody is root: the login says who it was, and without one nobody can tell. */
    hold(CASE_B, "privileged", 2);
    decide(true, "bob (login uid 7)");
    fails(requests_decide(l, CASE_B, true, "root (uid 0)", "", NOW, NULL, NULL, &e), ERR_REFUSED,
          "nobody can tell");
    decide(true, "cy (login uid 9)");
    assert_string_equal(find(CASE_B), "01J5 decided yes by cy (login uid 9)");
}

static void test_declined_and_expired(void **state)
{
    (void)state;
    accept(CASE_B, CASE_A);
    hold(CASE_B, "brake", 2);
    decide(true, "bob (uid 7)");
    decide(false, "ann (uid 1000)"); /* anybody may say no */
    assert_string_equal(find(CASE_B), "01J5 decided no by ann (uid 1000)");
    hold(CASE_B, "brake", 1);
    must(requests_decide(l, CASE_B, true, NULL, "too late", NOW + 1000, NULL, NULL, &e));
    must(ledger_commit(l, &e));
    assert_string_equal(find(CASE_B), "01J5 decided no by "); /* nobody's word is a no */
}

static void test_refused(void **state)
{
    (void)state;
    must(requests_refuse(l, "", "unknown-key", "no such key", "", NULL, NULL, &e));
    must(requests_refuse(l, UUID, "from-the-future", "early", "soar", NULL, NULL, &e));
    must(requests_answer(l, UUID, "", "x.y.z", NULL, NULL, &e));
    must(ledger_commit(l, &e));
    assert_string_equal(open_ones(), "0b5c unknown 'x.y.z'"); /* the answer is still to go out */
    must(requests_delivered(l, UUID, "here", NULL, NULL, &e));
    must(ledger_commit(l, &e));
    assert_string_equal(open_ones(), "");
    /* The same message, in its time. */
    accept(UUID, CASE_A);
    assert_string_equal(open_ones(), "0b5c running");
    /* And a copy of it: that is refused, and changes nothing. */
    must(requests_refuse(l, UUID, "seen-before", "again", "soar", NULL, NULL, &e));
    must(ledger_commit(l, &e));
    assert_string_equal(find(UUID), "0b5c running");
}

static void test_many(void **state)
{
    char id[ID_ULID];

    (void)state;
    for (int i = 0; i < 300; i++) {
        (void)snprintf(id, sizeof(id), "01J5%022d", i);
        accept(id, CASE_A);
        if (i % 100 != 7) {
            must(requests_answer(l, id, CASE_A, "", NULL, NULL, &e));
            must(requests_delivered(l, id, "", NULL, NULL, &e));
        }
    }
    must(ledger_commit(l, &e));
    assert_string_equal(open_ones(), "01J5 running, 01J5 running, 01J5 running");
    shut(l);
    assert_int_equal(verified(), 300 + 2 * 297);
    l = open_plain();
}

static void test_what_cannot_be_read_is_not_acted_on(void **state)
{
    (void)state;
    accept(UUID, CASE_A);
    accept(CASE_B, CASE_A);
    shut(l);
    sql("UPDATE record SET body = replace(body, 'disable', 'destroy') WHERE seq = 1");
    l = open_plain();
    fails(requests_find(l, UUID, note, NULL, &e), ERR_INVALID, "cannot be read");
    assert_string_equal(open_ones(), "01J5 running");
}

static void test_the_highest_clock(void **state) /* T1 */
{
    int64_t ms = -1;

    (void)state;
    must(requests_seen_ms(l, &ms, &e));
    assert_int_equal(ms, 0);
    accept(UUID, CASE_A);
    sql("UPDATE record SET time_ms = 4000000000000");
    accept(CASE_B, CASE_A);
    must(requests_seen_ms(l, &ms, &e));
    assert_int_equal(ms, INT64_C(4000000000000));
}

static void test_people(void **state)
{
    (void)state;
    assert_true(requests_same_person("root (uid 0)", "root on host1"));
    assert_true(requests_same_person("Ann@a.example", "ann (uid 3)"));
    assert_false(requests_same_person("ann", "anna"));
    assert_false(requests_same_person("", "ann"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_life, open_one, close_one),
        cmocka_unit_test_setup_teardown(test_held_and_decided, open_one, close_one),
        cmocka_unit_test_setup_teardown(test_declined_and_expired, open_one, close_one),
        cmocka_unit_test_setup_teardown(test_refused, open_one, close_one),
        cmocka_unit_test_setup_teardown(test_many, open_one, close_one),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_read_is_not_acted_on, open_one,
                                        close_one),
        cmocka_unit_test_setup_teardown(test_the_highest_clock, open_one, close_one),
        cmocka_unit_test(test_people),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
