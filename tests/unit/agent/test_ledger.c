/* tests/unit/agent/test_ledger.c -- what is told as recorded is on disk; what is no record is
 * refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "agent/ledger_db.h"
#include "base/cleanup.h"
#include "tests/unit/agent/ledger_help.h"
#include "tests/unit/alloc.h"

/* --- counting and failing what reaches the disk (SQLite calls these in libc) --------- */

static unsigned syncs;

int fsync(int fd)
{
    syncs++;
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    syncs++;
    return (int)syscall(SYS_fdatasync, fd);
}

/* --- D2: order ----------------------------------------------------------------------- */

static struct ledger *shared;

static void on_first_look(void *arg, const struct err *err)
{
    struct ledger *reader;
    char head[65];
    int64_t count;

    /* On disk when the callback runs: another reader sees it. */
    reader = open_reader();
    must(ledger_head(reader, &count, head, &e));
    assert_int_equal(count, 3);
    shut(reader);
    tell(arg, err);
    /* What a callback adds waits for a commit of its own. */
    must(ledger_add(shared, CASE_A, "evidence", "{\"n\":4}", tell, LETTER('d'), &e));
    assert_string_equal(told, "a");
}

static void test_callbacks_come_after_one_commit(void **state) /* D2 */
{
    struct loop *loop;
    unsigned before;

    (void)state;
    must(loop_new(&loop, &e));
    must(ledger_open(dir, loop, false, &shared, &e));
    before = syncs;
    must(ledger_add(shared, CASE_A, "case", "{}", on_first_look, LETTER('a'), &e));
    must(ledger_add(shared, CASE_A, "intent", "{\"n\":2}", tell, LETTER('b'), &e));
    must(ledger_add(shared, "", "note", "{\"n\":3}", tell, LETTER('c'), &e));
    assert_string_equal(told, "");
    assert_int_equal(syncs, before);

    must(loop_run(loop, &e));
    assert_string_equal(told, "abcd");
    /* Two turns, so two commits; the first also begins the WAL file, which costs its own syncs. */
    assert_in_range(syncs - before, 2, 4);
    before = syncs;
    for (int i = 0; i < 500; i++)
        must(ledger_add(shared, CASE_A, "evidence", "{\"n\":5}", tell, LETTER('e'), &e));
    must(loop_run(loop, &e));
    assert_int_equal(syncs - before, 1);
    assert_int_equal(strlen(told), 504);
    shut(shared);
    loop_free(loop);
    assert_int_equal(verified(), 504);
}

static void test_commit_by_hand(void **state)
{
    struct loop *loop;
    struct ledger *l;

    (void)state;
    /* With a loop the callbacks still come from it. */
    must(loop_new(&loop, &e));
    must(ledger_open(dir, loop, false, &l, &e));
    must(ledger_add(l, CASE_A, "case", "{}", tell, LETTER('a'), &e));
    must(ledger_commit(l, &e));
    must(ledger_add(l, CASE_A, "intent", "{}", tell, LETTER('b'), &e));
    assert_string_equal(told, "");
    must(loop_run(loop, &e));
    assert_string_equal(told, "ab");
    /* Closing commits and tells. */
    must(ledger_add(l, CASE_A, "verdict", "{}", tell, LETTER('c'), &e));
    shut(l);
    assert_string_equal(told, "abc");
    loop_free(loop);

    l = open_plain();
    must(ledger_add(l, CASE_A, "note", "{}", tell, LETTER('d'), &e));
    must(ledger_commit(l, &e));
    assert_string_equal(told, "abcd");
    must(ledger_commit(l, &e)); /* nothing to do */
    shut(l);
    must(ledger_close(NULL, &e));
    assert_int_equal(verified(), 4);
}

static void add_while_closing(void *arg, const struct err *err)
{
    assert_null(err);
    fails(ledger_add(shared, CASE_A, "note", "{}", tell, LETTER('x'), &e), ERR_CANCELED, "closed");
    tell(arg, err);
}

static void test_nothing_is_added_while_closing(void **state)
{
    struct loop *loop;

    (void)state;
    must(loop_new(&loop, &e));
    must(ledger_open(dir, loop, false, &shared, &e));
    must(ledger_add(shared, CASE_A, "case", "{}", add_while_closing, LETTER('a'), &e));
    shut(shared);
    assert_string_equal(told, "a");
    loop_free(loop);
}

/* --- what is refused ----------------------------------------------------------------- */

static void test_bad_records_are_refused(void **state)
{
    static const struct {
        const char *id, *kind, *body;
        enum err_code code;
    } bad[] = {
        {"x", "note", "{}", ERR_INVALID},
        {"'; DROP TABLE record; --", "note", "{}", ERR_INVALID},
        {"01J5AAAAAAAAAAAAAAAAAAAAA'", "note", "{}", ERR_INVALID},
        {"01j5aaaaaaaaaaaaaaaaaaaaaa", "note", "{}", ERR_INVALID},
        {"81J5AAAAAAAAAAAAAAAAAAAAAA", "note", "{}", ERR_INVALID},
        {CASE_A "A", "note", "{}", ERR_INVALID},
        {CASE_A, "", "{}", ERR_INVALID},
        {CASE_A, "Note", "{}", ERR_INVALID},
        {CASE_A, "note'); --", "{}", ERR_INVALID},
        {CASE_A, "a23456789-123456789-123456789-123", "{}", ERR_INVALID},
        {CASE_A, "note", "", ERR_INVALID},
        {CASE_A, "note", "[]", ERR_INVALID},
        {CASE_A, "note", "\"text\"", ERR_INVALID},
        {CASE_A, "note", "{", ERR_INVALID},
        {CASE_A, "note", "{} {}", ERR_INVALID},
        {CASE_A, "note", "{\"a\":1,\"a\":2}", ERR_INVALID},
        {CASE_A, "note", "{\n}", ERR_INVALID},
        {CASE_A, "note", "{\"a\":\"\xff\"}", ERR_INVALID},
    };
    struct ledger *l = open_plain();
    char *big = malloc(1024 * 1024 + 1);

    (void)state;
    assert_non_null(big);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        fails(ledger_add(l, bad[i].id, bad[i].kind, bad[i].body, tell, LETTER('x'), &e),
              bad[i].code, "");

    /* One byte over the limit, far over it, and just within it. */
    memset(big, 'x', 1024 * 1024);
    memcpy(big, "{\"a\":\"", 6);
    memcpy(big + 1024 * 1024 - 2, "\"}", 3);
    fails(ledger_add(l, CASE_A, "note", big, tell, LETTER('x'), &e), ERR_TOOBIG, "65536");
    memcpy(big + LEDGER_BODY_MAX - 1, "\"}", 3);
    fails(ledger_add(l, CASE_A, "note", big, tell, LETTER('x'), &e), ERR_TOOBIG, "65536");
    memcpy(big + LEDGER_BODY_MAX - 2, "\"}", 3);
    must(ledger_add(l, CASE_A, "note", big, tell, LETTER('a'), &e));
    shut(l);
    assert_string_equal(told, "a");
    assert_int_equal(verified(), 1);
    free(big);
}

static void test_one_turn_has_a_limit(void **state)
{
    struct ledger *l = open_plain();
    char *big = malloc(LEDGER_BODY_MAX + 1);
    unsigned n = 0;

    (void)state;
    assert_non_null(big);
    memset(big, 'x', LEDGER_BODY_MAX);
    memcpy(big, "{\"a\":\"", 6);
    memcpy(big + LEDGER_BODY_MAX - 2, "\"}", 3);
    while (n < 1000 && ledger_add(l, CASE_A, "note", big, NULL, NULL, &e) == 0)
        n++;
    assert_in_range(n, 250, 256);
    fails(-1, ERR_TOOBIG, "in one turn");
    shut(l);
    assert_int_equal(verified(), n);
    free(big);
}

/* --- reading ------------------------------------------------------------------------- */

static bool nested(void *arg, const struct ledger_record *r)
{
    struct ledger *l = arg;
    int most = 9;

    (void)r;
    must(ledger_each(l, CASE_B, 0, note_seq, &most, &e));
    put(l, "", "note", "{}");
    fails(ledger_commit(l, &e), ERR_INTERNAL, "reads");
    return false;
}

static void test_each(void **state)
{
    struct ledger *l = open_plain();

    (void)state;
    put(l, CASE_A, "case", "{}");
    put(l, CASE_B, "case", "{}");
    put(l, CASE_A, "intent", "{}");
    put(l, "", "note", "{}");
    assert_string_equal(seen(l, NULL, 0, 9), ""); /* not committed yet */
    must(ledger_commit(l, &e));
    assert_string_equal(seen(l, NULL, 0, 9), "1:case 2:case 3:intent 4:note ");
    assert_string_equal(seen(l, CASE_A, 0, 9), "1:case 3:intent ");
    assert_string_equal(seen(l, CASE_A, 1, 9), "3:intent ");
    assert_string_equal(seen(l, "", 0, 9), "4:note ");
    assert_string_equal(seen(l, NULL, 1, 2), "2:case 3:intent ");
    assert_string_equal(seen(l, "' OR 1=1 --", 0, 9), "");
    told[0] = '\0';
    must(ledger_each(l, NULL, 0, nested, l, &e));
    assert_string_equal(told, "2:case ");
    shut(l);
    assert_int_equal(verified(), 5);
}

static void test_cases(void **state)
{
    struct ledger *l = open_plain();

    (void)state;
    assert_string_equal(list(l, false, 0), "");
    put(l, CASE_A, "case", "{}");
    put(l, CASE_B, "case", "{}");
    put(l, CASE_B, "intent", "{}");
    put(l, CASE_A, "verdict", "{\"v\":1}");
    put(l, CASE_A, "evidence", "{}");
    put(l, CASE_C, "case", "{}");
    put(l, CASE_C, "case", "{\"again\":1}");
    must(ledger_commit(l, &e));
    assert_string_equal(list(l, false, 0), "C B A{\"v\":1} ");
    assert_string_equal(list(l, false, 2), "C B ");
    assert_string_equal(list(l, true, 0), "C B ");
    /* Taken up again after its verdict, then ended again. */
    put(l, CASE_A, "intent", "{}");
    must(ledger_commit(l, &e));
    assert_string_equal(list(l, true, 0), "C B A{\"v\":1} ");
    put(l, CASE_A, "verdict", "{\"v\":2}");
    put(l, CASE_B, "verdict", "{}");
    must(ledger_commit(l, &e));
    assert_string_equal(list(l, true, 0), "C ");
    assert_string_equal(list(l, false, 0), "C B{} A{\"v\":2} ");
    shut(l);
}

static void test_find_case(void **state)
{
    struct ledger *l = open_plain();
    char id[27] = "untouched";

    (void)state;
    fails(ledger_find_case(l, "01J5", id, &e), ERR_NOTFOUND, "01J5");
    put(l, CASE_A, "case", "{}");
    put(l, CASE_A, "intent", "{}");
    must(ledger_commit(l, &e));
    must(ledger_find_case(l, "01j5", id, &e));
    assert_string_equal(id, CASE_A);
    put(l, CASE_B, "case", "{}");
    must(ledger_commit(l, &e));
    memcpy(id, "untouched", 10);
    fails(ledger_find_case(l, "01J5", id, &e), ERR_AMBIGUOUS, CASE_A ", " CASE_B);
    fails(ledger_find_case(l, "01J", id, &e), ERR_USAGE, "4");
    fails(ledger_find_case(l, "", id, &e), ERR_USAGE, "4");
    fails(ledger_find_case(l, "01J5%", id, &e), ERR_USAGE, "characters");
    fails(ledger_find_case(l, "' OR '1'='1", id, &e), ERR_USAGE, "characters");
    fails(ledger_find_case(l, CASE_A "A", id, &e), ERR_USAGE, "26");
    fails(ledger_find_case(l, "ZZZZ", id, &e), ERR_NOTFOUND, "ZZZZ");
    assert_string_equal(id, "untouched");
    must(ledger_find_case(l, "01J5b", id, &e));
    assert_string_equal(id, CASE_B);
    must(ledger_find_case(l, CASE_A, id, &e));
    assert_string_equal(id, CASE_A);
    shut(l);
}

/* --- opening ------------------------------------------------------------------------- */

static void test_who_may_open(void **state)
{
    struct ledger *l = NULL;
    struct stat st;

    (void)state;
    fails(ledger_open(dir, NULL, true, &l, &e), ERR_NOTFOUND, "");
    assert_int_equal(access(dir, F_OK), -1);
    fill(1);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(at("ledger.db"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(at("ledger.lock"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);

    assert_int_equal(chmod(dir, 0777), 0);
    fails(ledger_open(dir, NULL, false, &l, &e), ERR_CONFIG, "chmod");
    fails(ledger_open(dir, NULL, true, &l, &e), ERR_CONFIG, "");
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(chmod(at("ledger.db"), 0660), 0);
    fails(ledger_open(dir, NULL, false, &l, &e), ERR_CONFIG, "chmod 600");
    assert_int_equal(chmod(at("ledger.db"), 0600), 0);
    assert_int_equal(link(at("ledger.db"), at("second")), 0);
    fails(ledger_open(dir, NULL, false, &l, &e), ERR_CONFIG, "link");
    assert_int_equal(unlink(at("ledger.db")), 0);
    assert_int_equal(symlink("second", at("ledger.db")), 0);
    fails(ledger_open(dir, NULL, false, &l, &e), ERR_CONFIG, "link");
    assert_int_equal(rename(at("second"), at("ledger.db")), 0);

    if (geteuid() == 0) {
        assert_int_equal(chown(at("ledger.db"), 65534, 65534), 0);
        fails(ledger_open(dir, NULL, false, &l, &e), ERR_CONFIG, "65534");
        assert_int_equal(chown(at("ledger.db"), 0, 0), 0);
        assert_int_equal(chown(dir, 65534, 65534), 0);
        fails(ledger_open(dir, NULL, false, &l, &e), ERR_CONFIG, "65534");
        fails(ledger_open(dir, NULL, true, &l, &e), ERR_CONFIG, "65534");
        assert_int_equal(chown(dir, 0, 0), 0);
    }
    assert_null(l);
    assert_int_equal(verified(), 1);

    /* A link to the folder is followed: systemd makes state directories that way. */
    (void)snprintf(dir, sizeof(dir), "%s/link", folder);
    assert_int_equal(symlink("state", dir), 0);
    assert_int_equal(verified(), 1);
}

static void test_reader_writes_nothing(void **state)
{
    struct ledger *l;
    int64_t removed;
    bool got;

    (void)state;
    fill(1);
    l = open_reader();
    fails(ledger_add(l, CASE_A, "note", "{}", tell, LETTER('x'), &e), ERR_INTERNAL, "reading");
    fails(ledger_prune(l, 0, &removed, &e), ERR_INTERNAL, "read");
    fails(ledger_lock_case(l, CASE_A, &got, &e), ERR_INTERNAL, "reading");
    ledger_unlock_case(l, CASE_A);
    shut(l);
}

static void test_other_files_are_refused(void **state) /* D4 */
{
    struct ledger *l = NULL;
    char version[96];
    int fd;

    (void)state;
    fill(200);
    sql("PRAGMA user_version = 99");
    fails(ledger_open(dir, NULL, false, &l, &e), ERR_UNSUPPORTED, "newer cordon (format 99");
    fails(ledger_open(dir, NULL, true, &l, &e), ERR_UNSUPPORTED, "newer cordon (format 99");
    (void)snprintf(version, sizeof(version), "PRAGMA user_version = %zu; PRAGMA application_id = 7",
                   ledger_migration_count);
    sql(version);
    fails(ledger_open(dir, NULL, false, &l, &e), ERR_CONFIG, "not a ledger");
    sql("PRAGMA application_id = 0x63726e64");
    assert_int_equal(verified(), 200);

    /* Rubbish in the middle; then no SQLite file at all. */
    fd = open(at("ledger.db"), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t i = 1; i < 8; i++)
        assert_int_equal(pwrite(fd, "rubbish rubbish ", 16, i * 4096), 16);
    fails(ledger_open(dir, NULL, false, &l, &e), ERR_IO, "damaged");
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, "hello, this is some text\n", 25, 0), 25);
    assert_int_equal(close(fd), 0);
    fails(ledger_open(dir, NULL, false, &l, &e), ERR_IO, "not a ledger");
    assert_null(l);
}

/* --- migration ----------------------------------------------------------------------- */

static sqlite3_int64 version_of(sqlite3 *db)
{
    sqlite3_int64 v = -1;

    must(ledger_db_i64(db, "PRAGMA user_version", &v, &e));
    return v;
}

static void test_migration(void **state) /* D4 */
{
    static const struct ledger_migration ages[] = {
        {"a table", "CREATE TABLE t (a); INSERT INTO t VALUES (1);"},
        {"a column", "ALTER TABLE t ADD COLUMN b; UPDATE t SET b = a + 1;"},
        {"a slip", "INSERT INTO t (a, b) VALUES (5, 6); INSERT INTO nowhere VALUES (1);"},
        {"an index", "CREATE INDEX i ON t (b);"},
    };
    static const struct ledger_migration mended[] = {
        {"a table", "never run again"},
        {"a column", "never run again"},
        {"an index", "CREATE INDEX i ON t (b); UPDATE t SET b = 9;"},
    };
    sqlite3_int64 n;
    sqlite3 *db;
    int fd;

    (void)state;
    assert_int_equal(mkdir(dir, 0700), 0);
    fd = open(at("ledger.db"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && close(fd) == 0);
    must(ledger_db_open(at("ledger.db"), false, &db, &e));
    fails(ledger_db_migrate(db, ages, 1, /* readonly */ true, &e), ERR_NOTFOUND, "none yet");
    must(ledger_db_migrate(db, ages, 1, false, &e));
    assert_int_equal(version_of(db), 1);
    must(ledger_db_migrate(db, ages, 2, false, &e));
    must(ledger_db_i64(db, "SELECT b FROM t", &n, &e));
    assert_int_equal(n, 2);
    /* All or nothing. */
    fails(ledger_db_migrate(db, ages, 4, false, &e), ERR_INTERNAL, "format 3 (a slip)");
    assert_int_equal(version_of(db), 2);
    must(ledger_db_i64(db, "SELECT count(*) FROM t", &n, &e));
    assert_int_equal(n, 1);
    fails(ledger_db_migrate(db, mended, 3, true, &e), ERR_UNSUPPORTED, "older format 2");
    must(ledger_db_migrate(db, mended, 3, false, &e));
    must(ledger_db_migrate(db, mended, 3, false, &e));
    must(ledger_db_i64(db, "SELECT b FROM t", &n, &e));
    assert_int_equal(n, 9);
    fails(ledger_db_migrate(db, ages, 2, false, &e), ERR_UNSUPPORTED, "newer");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* --- M2: memory runs out anywhere ---------------------------------------------------- */

static void test_no_memory(void **state) /* M2 */
{
    unsigned promised = 0, whole = 0;
    struct loop *loop;

    (void)state;
    must(loop_new(&loop, &e));
    fill(1);
    for (long n = 0; alloc_sweep(n); n++) {
        struct ledger *l = NULL;
        bool all = true;

        told[0] = '\0';
        if (ledger_open(dir, loop, false, &l, &e) < 0)
            continue;
        for (int i = 0; i < 200; i++) {
            size_t before = strlen(told);
            bool ok = ledger_add(l, CASE_A, "note", "{\"some\":\"text to fill the room\"}", tell,
                                 LETTER('a'), &e) == 0;

            promised += ok;
            all = all && ok;
            assert_int_equal(strlen(told), before);
        }
        alloc_left = -1;
        must(loop_run(loop, &e));
        whole += all;
        assert_null(strchr(told, 'A'));
        shut(l);
    }
    assert_true(whole > 0);
    loop_free(loop);
    /* Each that was promised, and no other. */
    assert_int_equal(verified(), promised + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_callbacks_come_after_one_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commit_by_hand, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_is_added_while_closing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_records_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_turn_has_a_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_each, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_find_case, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_may_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reader_writes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_files_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_migration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_memory, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
