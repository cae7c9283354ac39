/* tests/unit/agent/test_ledger_chain.c -- what was recorded cannot be changed unseen; export,
 * prune. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/json.h"
#include "base/stamp.h"
#include "tests/unit/agent/ledger_help.h"

/* --- D3: the chain ------------------------------------------------------------------- */

static void test_tampering_is_found(void **state) /* D3 */
{
    static const struct {
        const char *sql, *words;
    } acts[] = {
        {"UPDATE record SET body = '{}' WHERE seq = 3", "record 3 was altered"},
        {"UPDATE record SET time_ms = time_ms + 1 WHERE seq = 1", "record 1 was altered"},
        {"UPDATE record SET kind = 'verdict' WHERE seq = 10", "record 10 was altered"},
        {"UPDATE record SET case_id = '' WHERE seq = 5", "record 5 was altered"},
        {"UPDATE record SET hash = zeroblob(32) WHERE seq = 5", "record 5 was altered"},
        {"UPDATE record SET hash = x'00' WHERE seq = 5", "record 5 was altered"},
        {"UPDATE record SET version = 0 WHERE seq = 5", "record 5 was altered"},
        {"UPDATE record SET version = 2 WHERE seq = 5", "record 5 has the unknown format 2"},
        {"UPDATE record SET body = cast(x'7b226e223a327d00' AS TEXT) WHERE seq = 3",
         "record 3 was altered"},
        {"DELETE FROM record WHERE seq = 3", "record 3 is missing (the next is 4)"},
        {"DELETE FROM record WHERE seq = 1", "record 1 is missing"},
        {"DELETE FROM record WHERE seq >= 8", "shorter than the anchor: it ends at record 7"},
        {"DELETE FROM record", "shorter than the anchor: it ends at record 0"},
        {"INSERT INTO record SELECT 11, version, time_ms, case_id, kind, body, prev, hash"
         " FROM record WHERE seq = 10",
         "record 11 was inserted"},
        {"INSERT INTO record SELECT 0, version, time_ms, case_id, kind, body, prev, hash"
         " FROM record WHERE seq = 10",
         "record 0 was inserted"},
        {"UPDATE record SET seq = seq + 1 WHERE seq = 10", "record 10 is missing"},
        {"UPDATE anchor SET count = 9, head = (SELECT hash FROM record WHERE seq = 9)",
         "record 10 was inserted"},
        {"UPDATE anchor SET head = zeroblob(32)", "not the one that the anchor names"},
        {"DELETE FROM anchor", "anchor is missing"},
        {"UPDATE anchor SET pruned = 11", "anchor is missing or was altered"},
        {"UPDATE anchor SET pruned = 3, pruned_head = (SELECT hash FROM record WHERE seq = 3);"
         "DELETE FROM record WHERE seq <= 3",
         "not by prune"},
        {"UPDATE anchor SET pruned = 3, pruned_head = (SELECT hash FROM record WHERE seq = 3)",
         "record 1 was inserted"},
    };
    struct ledger *l;
    char head[65];
    int64_t count;

    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        fill(10);
        assert_int_equal(verified(), 10);
        sql(acts[i].sql);
        l = open_reader();
        fails(ledger_verify(l, &count, head, &e), ERR_INVALID, acts[i].words);
        shut(l);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

static void test_an_index_that_hides_a_case_is_found(void **state)
{
    struct ledger *l = NULL;
    char head[65];
    int64_t count;
    int rc;

    (void)state;
    /* The chain is whole, but `cases` would not see this one any more. */
    fill(3);
    sql("PRAGMA writable_schema = ON;"
        "CREATE INDEX other ON record (seq, case_id) WHERE kind = 'nothing';"
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema"
        " WHERE name = 'other') WHERE name = 'record_opened';"
        "DELETE FROM sqlite_schema WHERE name = 'other'");
    rc = ledger_open(dir, NULL, true, &l, &e);
    if (rc == 0)
        rc = ledger_verify(l, &count, head, &e);
    fails(rc, ERR_IO, "damaged");
    if (l != NULL)
        shut(l);
}

static void test_a_cut_stays_visible_under_new_records(void **state)
{
    struct ledger *l;
    char head[65];
    int64_t count;

    (void)state;
    fill(5);
    sql("DELETE FROM record WHERE seq = 5");
    l = open_plain();
    put(l, CASE_A, "evidence", "{}");
    must(ledger_commit(l, &e));
    fails(ledger_verify(l, &count, head, &e), ERR_INVALID, "record 5 is missing (the next is 6)");
    shut(l);
}

static void test_a_record_behind_the_anchor_stops_writing(void **state)
{
    struct ledger *l;

    (void)state;
    fill(5);
    sql("INSERT INTO record SELECT 6, version, time_ms, case_id, kind, body, prev, hash"
        " FROM record WHERE seq = 5");
    l = open_plain();
    must(ledger_add(l, CASE_A, "intent", "{}", tell, LETTER('a'), &e));
    fails(ledger_commit(l, &e), ERR_INVALID, "audit verify");
    assert_string_equal(told, "A");
    shut(l);
}

static void test_an_exchanged_record_is_found(void **state)
{
    char text[512];
    struct ledger *l;
    char head[65], first[65];
    int64_t count;

    (void)state;
    /* A record with a right hash and a right prev, from a copy that went another way. */
    fill(3);
    (void)snprintf(text, sizeof(text), "VACUUM INTO '%s/copy.db'", folder);
    sql(text);
    l = open_plain();
    put(l, CASE_A, "evidence", "{\"guilty\":true}");
    put(l, CASE_A, "verdict", "{}");
    must(ledger_commit(l, &e));
    must(ledger_head_at(l, 4, first, &e));
    shut(l);

    (void)snprintf(dir, sizeof(dir), "%s/other", folder);
    assert_int_equal(mkdir(dir, 0700), 0);
    (void)snprintf(text, sizeof(text), "%s/copy.db", folder);
    assert_int_equal(chmod(text, 0600), 0);
    assert_int_equal(rename(text, at("ledger.db")), 0);
    l = open_plain();
    put(l, CASE_A, "evidence", "{\"guilty\":false}");
    shut(l);
    assert_int_equal(verified(), 4);

    (void)snprintf(dir, sizeof(dir), "%s/state", folder);
    (void)snprintf(text, sizeof(text),
                   "ATTACH '%s/other/ledger.db' AS o; DELETE FROM record WHERE seq = 4;"
                   "INSERT INTO record SELECT * FROM o.record WHERE seq = 4",
                   folder);
    sql(text);
    l = open_reader();
    fails(ledger_verify(l, &count, head, &e), ERR_INVALID, "record 5 does not follow");
    must(ledger_head_at(l, 4, head, &e));
    assert_string_not_equal(head, first); /* what left the host says so too */
    shut(l);
}

static void test_head(void **state)
{
    struct ledger *l = open_plain();
    char head[65], zeros[65], last[65];
    int64_t count;

    (void)state;
    memset(zeros, '0', 64);
    zeros[64] = '\0';
    must(ledger_head(l, &count, head, &e));
    assert_int_equal(count, 0);
    assert_string_equal(head, zeros);
    must(ledger_head_at(l, 0, head, &e));
    assert_string_equal(head, zeros);
    put(l, CASE_A, "case", "{}");
    put(l, CASE_A, "intent", "{}");
    must(ledger_commit(l, &e));
    must(ledger_head(l, &count, head, &e));
    assert_int_equal(count, 2);
    must(ledger_head_at(l, 2, last, &e));
    assert_string_equal(head, last);
    must(ledger_head_at(l, 1, last, &e));
    assert_string_not_equal(head, last);
    fails(ledger_head_at(l, 3, last, &e), ERR_NOTFOUND, "3");
    shut(l);
}

/* --- export -------------------------------------------------------------------------- */

static void frame(struct text *t, const void *p, size_t n)
{
    const uint8_t len[4] = {0, 0, (uint8_t)(n >> 8), (uint8_t)n};

    text_addn(t, len, 4);
    text_addn(t, p, n);
}

static void number(struct text *t, int64_t v, size_t bytes)
{
    uint8_t be[8];

    for (size_t i = 0; i < bytes; i++)
        be[i] = (uint8_t)((uint64_t)v >> (8 * (bytes - 1 - i)));
    frame(t, be, bytes);
}

/* As ledger_chain.h tells a third party to do it. */
static void recompute(const struct cJSON *j, const char *body, char hex[65])
{
    struct text t = TEXT_INIT(4096);
    uint8_t prev[32], hash[32];
    int64_t v, seq, time_ms;

    assert_true(json_i64(j, "v", &v) && json_i64(j, "seq", &seq) &&
                json_i64(j, "time_ms", &time_ms));
    assert_true(id_unhex(prev, 32, json_str(j, "prev")));
    frame(&t, "cordon ledger", 13);
    number(&t, v, 4);
    number(&t, seq, 8);
    number(&t, time_ms, 8);
    frame(&t, json_str(j, "case"), strlen(json_str(j, "case")));
    frame(&t, json_str(j, "kind"), strlen(json_str(j, "kind")));
    frame(&t, body, strlen(body));
    frame(&t, prev, 32);
    must(id_sha256(t.s, t.len, hash, &e));
    id_hex(hex, hash, 32);
    text_done(&t);
}

static void test_export(void **state)
{
    static const char *const bodies[] = {"{}", "{\"a\":[1,2],\"b\":\"\\u0007 \xc3\xa9\"}",
                                         "{\"c\": 3}"};
    char line[1024], hex[65], want[64], head[65], prev[65] = "";
    struct ledger *l = open_plain();
    struct cJSON *j;
    int64_t count;
    FILE *f = tmpfile();

    (void)state;
    assert_non_null(f);
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        put(l, i == 0 ? "" : CASE_A, "note", bodies[i]);
    must(ledger_commit(l, &e));
    must(ledger_head(l, &count, head, &e));
    must(ledger_export(l, f, &e));
    rewind(f);
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        assert_non_null(fgets(line, sizeof(line), f));
        must(json_parse(line, strcspn(line, "\n"), NULL, &j, &e));
        (void)snprintf(want, sizeof(want), "\"body\":%s,\"prev\"", bodies[i]);
        assert_non_null(strstr(line, want)); /* byte for byte */
        recompute(j, bodies[i], hex);
        assert_string_equal(json_str(j, "hash"), hex);
        if (i > 0)
            assert_string_equal(json_str(j, "prev"), prev);
        memcpy(prev, hex, sizeof(prev));
        json_free(j);
    }
    assert_null(fgets(line, sizeof(line), f));
    assert_string_equal(hex, head);
    assert_int_equal(fclose(f), 0);

    /* A body that is no JSON any more cannot forge a line. */
    sql("UPDATE record SET body = '{}' || char(10) || '{\"seq\":9}' WHERE seq = 2");
    f = tmpfile();
    assert_non_null(f);
    must(ledger_export(l, f, &e));
    rewind(f);
    assert_non_null(fgets(line, sizeof(line), f));
    assert_non_null(fgets(line, sizeof(line), f));
    assert_non_null(strstr(line, "\"body_text\":\"{}\\n{\\\"seq\\\":9}\""));
    assert_int_equal(fclose(f), 0);

    f = fopen("/dev/full", "w");
    assert_non_null(f);
    fails(ledger_export(l, f, &e), ERR_IO, "No space");
    (void)fclose(f);
    shut(l);
}

/* --- prune --------------------------------------------------------------------------- */

static void test_prune(void **state)
{
    struct ledger *l = open_plain();
    int64_t removed = -1, count, last;
    char head[65], at2[65], before[65];

    (void)state;
    must(ledger_prune(l, INT64_MAX, &removed, &e));
    assert_int_equal(removed, 0);
    put(l, CASE_A, "case", "{}");
    put(l, CASE_A, "verdict", "{}");
    put(l, CASE_B, "case", "{}");
    put(l, CASE_A, "evidence", "{}");
    put(l, CASE_C, "case", "{}");
    put(l, CASE_C, "verdict", "{}");
    /* Nothing is old enough. */
    must(ledger_prune(l, 1000, &removed, &e));
    assert_int_equal(removed, 0);
    must(ledger_head_at(l, 2, at2, &e));
    /* B is open: it and all after it stay. */
    must(ledger_prune(l, stamp_now_ms() + 1000, &removed, &e));
    assert_int_equal(removed, 2);
    must(ledger_verify(l, &count, head, &e));
    assert_int_equal(count, 7);
    must(ledger_head_at(l, 2, before, &e));
    assert_string_equal(at2, before);
    fails(ledger_head_at(l, 1, before, &e), ERR_NOTFOUND, "1");
    assert_string_equal(seen(l, NULL, 0, 9), "3:case 4:evidence 5:case 6:verdict 7:prune ");
    assert_string_equal(list(l, false, 0), "C{} B ");

    put(l, CASE_B, "verdict", "{}");
    must(ledger_prune(l, stamp_now_ms() + 1000, &removed, &e));
    assert_int_equal(removed, 6); /* with the "prune" record of the first time */
    must(ledger_verify(l, &count, head, &e));
    assert_int_equal(count, 9);
    put(l, CASE_B, "note", "{}");
    must(ledger_commit(l, &e));
    must(ledger_verify(l, &last, head, &e));
    assert_int_equal(last, 10);
    assert_string_equal(seen(l, NULL, 0, 9), "9:prune 10:note ");
    shut(l);

    /* Cut after a prune, by hand. */
    sql("UPDATE anchor SET pruned = 9, pruned_head = (SELECT hash FROM record WHERE seq = 9);"
        "DELETE FROM record WHERE seq = 9");
    l = open_plain();
    fails(ledger_verify(l, &count, head, &e), ERR_INVALID, "not by prune");
    shut(l);
}

static void test_prune_refuses_what_was_tampered_with(void **state)
{
    struct ledger *l;
    int64_t removed, count;
    char head[65];

    (void)state;
    fill(3);
    sql("UPDATE record SET kind = 'note' WHERE seq = 1");
    l = open_plain();
    /* What was tampered with must not vanish. */
    fails(ledger_prune(l, INT64_MAX, &removed, &e), ERR_INVALID, "record 1 was altered");
    must(ledger_head(l, &count, head, &e));
    assert_int_equal(count, 3);
    shut(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tampering_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_index_that_hides_a_case_is_found, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_cut_stays_visible_under_new_records, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_record_behind_the_anchor_stops_writing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_exchanged_record_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_head, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_export, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prune, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prune_refuses_what_was_tampered_with, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
