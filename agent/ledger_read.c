/* agent/ledger_read.c -- the reading half of ledger.h: each, cases, find, verify, head, export.
 *
 * Each call prepares statements of its own, so that a callback may read the ledger too. While one
 * of them is open nothing may be committed (l->reading): the writer would have to begin on an old
 * view of the file.
 */
#include "agent/ledger.h"

#include <errno.h>
#include <string.h>

#include "agent/ledger_db.h"
#include "agent/ledger_inside.h"
#include "base/cleanup.h"
#include "base/json.h"

enum { PREFIX_MIN = 4, ULID_LEN = ID_ULID - 1 };

static int bind_text(sqlite3 *db, sqlite3_stmt *s, int i, const char *text, struct err *e)
{
    if (sqlite3_bind_text(s, i, text, -1, SQLITE_STATIC) != SQLITE_OK)
        return ledger_db_fail(db, e);
    return 0;
}

static int bind_i64(sqlite3 *db, sqlite3_stmt *s, int i, int64_t v, struct err *e)
{
    return sqlite3_bind_int64(s, i, v) == SQLITE_OK ? 0 : ledger_db_fail(db, e);
}

/* --- records ------------------------------------------------------------------------- */

static int rows(sqlite3_stmt *s, ledger_each_cb cb, void *arg, struct err *e)
{
    struct ledger_row row;
    int rc;

    while ((rc = ledger_db_step(s, e)) == 1) {
        if (ledger_chain_row(s, &row, e) < 0)
            return -1;
        if (!cb(arg, &row.r))
            return 0;
    }
    return rc;
}

static int each(struct ledger *l, const char *case_id, int64_t since, ledger_each_cb cb, void *arg,
                struct err *e)
{
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *s = NULL;

    if (ledger_db_prepare(l->db,
                          case_id != NULL ? "SELECT " LEDGER_ROW_COLUMNS " FROM record"
                                            " WHERE seq > ?1 AND case_id = ?2 ORDER BY seq"
                                          : "SELECT " LEDGER_ROW_COLUMNS " FROM record"
                                            " WHERE seq > ?1 ORDER BY seq",
                          &s, e) < 0 ||
        bind_i64(l->db, s, 1, since, e) < 0 ||
        (case_id != NULL && bind_text(l->db, s, 2, case_id, e) < 0))
        return -1;
    return rows(s, cb, arg, e);
}

int ledger_each(struct ledger *l, const char *case_id, int64_t since, ledger_each_cb cb, void *arg,
                struct err *e)
{
    int rc;

    l->reading++;
    rc = each(l, case_id, since, cb, arg, e);
    l->reading--;
    return rc < 0 ? ledger_wrap(l, e) : 0;
}

/* --- cases --------------------------------------------------------------------------- */

/* From the indexes alone until a case is to be shown. A second "case" record does not count. */
#define CASES_FROM                                                                                 \
    "SELECT o.seq, (SELECT v.seq FROM record v INDEXED BY record_turn WHERE v.case_id = o.case_id" \
    " AND v.kind IN ('case', 'intent', 'verdict') AND v.kind = 'verdict'"                          \
    " ORDER BY v.seq DESC LIMIT 1)"                                                                \
    " FROM record o INDEXED BY record_opened WHERE o.kind = 'case'"                                \
    " AND NOT EXISTS (SELECT 1 FROM record f INDEXED BY record_turn WHERE f.case_id = o.case_id"   \
    " AND f.seq < o.seq AND f.kind IN ('case', 'intent', 'verdict') AND f.kind = 'case')"
#define CASES_NEWEST " ORDER BY o.seq DESC LIMIT ?1"

/* The record `seq` by the statement `s`, which then holds it. */
static int fetch(sqlite3 *db, sqlite3_stmt *s, int64_t seq, struct ledger_row *ret_row,
                 struct err *e)
{
    int rc;

    (void)sqlite3_reset(s);
    if (bind_i64(db, s, 1, seq, e) < 0)
        return -1;
    rc = ledger_db_step(s, e);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return err_set(e, ERR_INVALID, 0,
                       "its index names a record that is not there: type  cordon "
                       "audit verify");
    return ledger_chain_row(s, ret_row, e);
}

static int cases(struct ledger *l, bool unfinished_only, unsigned limit, ledger_case_cb cb,
                 void *arg, struct err *e)
{
    static const char one[] = "SELECT " LEDGER_ROW_COLUMNS " FROM record WHERE seq = ?1";
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *s = NULL;
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *opened = NULL;
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *closed = NULL;
    struct ledger_row o, v;
    int rc;

    if (ledger_db_prepare(l->db,
                          unfinished_only ? CASES_FROM " AND " LEDGER_UNFINISHED CASES_NEWEST
                                          : CASES_FROM CASES_NEWEST,
                          &s, e) < 0 ||
        ledger_db_prepare(l->db, one, &opened, e) < 0 ||
        ledger_db_prepare(l->db, one, &closed, e) < 0 ||
        bind_i64(l->db, s, 1, limit == 0 ? -1 : (int64_t)limit, e) < 0)
        return -1;
    while ((rc = ledger_db_step(s, e)) == 1) {
        bool has_verdict = sqlite3_column_type(s, 1) != SQLITE_NULL;

        if (fetch(l->db, opened, sqlite3_column_int64(s, 0), &o, e) < 0 ||
            (has_verdict && fetch(l->db, closed, sqlite3_column_int64(s, 1), &v, e) < 0))
            return -1;
        if (!cb(arg, &o.r, has_verdict ? &v.r : NULL))
            return 0;
    }
    return rc;
}

int ledger_cases(struct ledger *l, bool unfinished_only, unsigned limit, ledger_case_cb cb,
                 void *arg, struct err *e)
{
    int rc;

    l->reading++;
    rc = cases(l, unfinished_only, limit, cb, arg, e);
    l->reading--;
    return rc < 0 ? ledger_wrap(l, e) : 0;
}

/* --- one case by the beginning of its id --------------------------------------------- */

/* The least id that is > or >= `from`; "" where there is none. */
static int next_id(sqlite3 *db, bool or_equal, const char *from, char ret[ID_ULID], struct err *e)
{
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *s = NULL;
    const char *id;
    int rc;

    if (ledger_db_prepare(db,
                          or_equal ? "SELECT case_id FROM record WHERE case_id >= ?1"
                                     " ORDER BY case_id LIMIT 1"
                                   : "SELECT case_id FROM record WHERE case_id > ?1"
                                     " ORDER BY case_id LIMIT 1",
                          &s, e) < 0 ||
        bind_text(db, s, 1, from, e) < 0)
        return -1;
    rc = ledger_db_step(s, e);
    if (rc < 0)
        return -1;
    id = rc == 1 ? (const char *)sqlite3_column_text(s, 0) : "";
    if (id == NULL || (rc == 1 && !id_ulid_ok(id)))
        return err_set(e, ERR_INVALID, 0, "a case id in it was altered: type  cordon audit verify");
    memcpy(ret, id, strlen(id) + 1);
    return 0;
}

int ledger_find_case(struct ledger *l, const char *prefix, char ret_id[27], struct err *e)
{
    char want[ID_ULID], id[ID_ULID], other[ID_ULID], shown[TEXT_SHOWN];
    size_t n = strnlen(prefix, ULID_LEN + 1);

    if (n < PREFIX_MIN)
        return err_set(e, ERR_USAGE, 0, "case '%s': give at least %d characters of its id",
                       text_shown(shown, prefix), PREFIX_MIN);
    if (n > ULID_LEN)
        return err_set(e, ERR_USAGE, 0, "case '%s': an id has %d characters",
                       text_shown(shown, prefix), ULID_LEN);
    for (size_t i = 0; i < n; i++) {
        char c = prefix[i];

        want[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    want[n] = '\0';
    if (strspn(want, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") != n)
        return err_set(e, ERR_USAGE, 0, "case '%s': no id has such characters",
                       text_shown(shown, prefix));

    if (next_id(l->db, /* or_equal */ true, want, id, e) < 0)
        return ledger_wrap(l, e);
    if (strncmp(id, want, n) != 0)
        return err_set(e, ERR_NOTFOUND, 0, "no case begins with '%s'", want);
    if (next_id(l->db, /* or_equal */ false, id, other, e) < 0)
        return ledger_wrap(l, e);
    if (strncmp(other, want, n) == 0)
        return err_set(e, ERR_AMBIGUOUS, 0, "several cases begin with '%s': %s, %s ...", want, id,
                       other);
    memcpy(ret_id, id, ID_ULID);
    return 0;
}

/* --- requests ------------------------------------------------------------------------ */

/* What stands behind a record r of the same request. The list of kinds lets SQLite see that the
 * index holds all of them. */
#define REQUEST_FROM \
    " FROM record r INDEXED BY record_request WHERE r.kind IN " LEDGER_REQUEST_KINDS
#define REQUEST_OTHER                                                   \
    " AND NOT EXISTS (SELECT 1 FROM record o INDEXED BY record_request" \
    " WHERE o.kind IN " LEDGER_REQUEST_KINDS                            \
    " AND " LEDGER_REQUEST_OF("o.body") " = " LEDGER_REQUEST_OF("r.body")

int ledger_each_request(struct ledger *l, const char *request, ledger_each_cb cb, void *arg,
                        struct err *e)
{
    static const char each_sql[] = "SELECT " LEDGER_ROW_COLUMNS REQUEST_FROM
                                   " AND " LEDGER_REQUEST_OF("r.body") " = ?1 ORDER BY seq";
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *s = NULL;
    int rc;

    l->reading++;
    rc = ledger_db_prepare(l->db, each_sql, &s, e);
    if (rc == 0)
        rc = bind_text(l->db, s, 1, request, e);
    if (rc == 0)
        rc = rows(s, cb, arg, e);
    l->reading--;
    return rc < 0 ? ledger_wrap(l, e) : 0;
}

int ledger_open_requests(struct ledger *l, ledger_each_cb cb, void *arg, struct err *e)
{
    static const char waiting[] =
        "SELECT " LEDGER_ROW_COLUMNS REQUEST_FROM " AND r.kind = 'request'" REQUEST_OTHER
        " AND o.kind = 'delivered' AND o.seq > r.seq) ORDER BY seq";
    static const char never_taken[] =
        "SELECT " LEDGER_ROW_COLUMNS REQUEST_FROM " AND r.kind = 'result'" REQUEST_OTHER
        " AND o.kind = 'delivered' AND o.seq > r.seq)" REQUEST_OTHER
        " AND o.kind = 'request' AND o.seq < r.seq) ORDER BY seq";
    const char *const which[] = {waiting, never_taken};
    int rc = 0;

    l->reading++;
    for (size_t i = 0; i < ARRAY_LEN(which) && rc == 0; i++) {
        CLEANUP(ledger_db_finalizep) sqlite3_stmt *s = NULL;

        rc = ledger_db_prepare(l->db, which[i], &s, e);
        if (rc == 0)
            rc = rows(s, cb, arg, e);
    }
    l->reading--;
    return rc < 0 ? ledger_wrap(l, e) : 0;
}

int ledger_latest_ms(struct ledger *l, int64_t *ret_ms, struct err *e)
{
    sqlite3_int64 ms;

    if (ledger_db_i64(l->db, "SELECT max(time_ms) FROM record", &ms, e) < 0)
        return ledger_wrap(l, e);
    *ret_ms = ms;
    return 0;
}

/* --- the chain ----------------------------------------------------------------------- */

int ledger_verify(struct ledger *l, int64_t *ret_count, char ret_head_hex[65], struct err *e)
{
    struct ledger_anchor a;
    int rc;

    /* One view of the file for the anchor and the records, while others go on writing. The chain
     * first: it says which record; the file as a whole after that. */
    if (ledger_db_exec(l->db, "BEGIN", e) < 0)
        return ledger_wrap(l, e);
    rc = ledger_chain_verify(l->db, &a, e);
    if (rc == 0)
        rc = ledger_db_check(l->db, "integrity_check", e);
    (void)sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL);
    if (rc < 0)
        return ledger_wrap(l, e);
    *ret_count = a.count;
    id_hex(ret_head_hex, a.head, ID_SHA256);
    return 0;
}

int ledger_head(struct ledger *l, int64_t *ret_count, char ret_head_hex[65], struct err *e)
{
    struct ledger_anchor a;

    if (ledger_chain_anchor(l->db, &a, e) < 0)
        return ledger_wrap(l, e);
    *ret_count = a.count;
    id_hex(ret_head_hex, a.head, ID_SHA256);
    return 0;
}

int ledger_head_at(struct ledger *l, int64_t count, char ret_head_hex[65], struct err *e)
{
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *s = NULL;
    struct ledger_anchor a;
    struct ledger_row row;
    int rc;

    if (ledger_chain_anchor(l->db, &a, e) < 0)
        return ledger_wrap(l, e);
    if (count == a.pruned) { /* also 0: before the first */
        id_hex(ret_head_hex, a.pruned_head, ID_SHA256);
        return 0;
    }
    if (ledger_db_prepare(l->db, "SELECT " LEDGER_ROW_COLUMNS " FROM record WHERE seq = ?1", &s,
                          e) < 0 ||
        bind_i64(l->db, s, 1, count, e) < 0)
        return ledger_wrap(l, e);
    rc = ledger_db_step(s, e);
    if (rc < 0)
        return ledger_wrap(l, e);
    if (rc == 0) {
        (void)err_set(e, ERR_NOTFOUND, 0, "it holds no record %lld", (long long)count);
        return ledger_wrap(l, e);
    }
    if (ledger_chain_row(s, &row, e) < 0)
        return ledger_wrap(l, e);
    id_hex(ret_head_hex, row.hash, ID_SHA256);
    return 0;
}

/* --- export -------------------------------------------------------------------------- */

/* May this body stand in a line of JSON as it is? One that was damaged since may not. */
static bool body_is_json(const char *body)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct err ignored;

    return strpbrk(body, "\t\n\r") == NULL &&
           json_parse(body, strlen(body), NULL, &j, &ignored) == 0;
}

static int export_row(const struct ledger_row *row, struct text *line, FILE *f, struct err *e)
{
    char prev[2 * ID_SHA256 + 1], hash[2 * ID_SHA256 + 1];
    struct json_out o;

    id_hex(prev, row->prev, ID_SHA256);
    id_hex(hash, row->hash, ID_SHA256);
    text_clear(line);
    json_out_init(&o, line);
    json_out_object(&o, NULL);
    json_out_i64(&o, "v", row->version);
    json_out_i64(&o, "seq", row->r.seq);
    json_out_i64(&o, "time_ms", row->r.time_ms);
    json_out_str(&o, "case", row->r.case_id);
    json_out_str(&o, "kind", row->r.kind);
    /* As it is, byte for byte, so that the hash can be recomputed from the line. */
    if (body_is_json(row->r.body))
        json_out_raw(&o, "body", row->r.body);
    else
        json_out_str(&o, "body_text", row->r.body);
    json_out_str(&o, "prev", prev);
    json_out_str(&o, "hash", hash);
    json_out_end_object(&o);
    text_addc(line, '\n');
    if (text_check(line, "line", e) < 0)
        return -1;
    if (fwrite(line->s, 1, line->len, f) != line->len)
        return err_sys(e, ERR_IO, errno, "write");
    return 0;
}

int ledger_export(struct ledger *l, FILE *f, struct err *e)
{
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *s = NULL;
    struct text line = TEXT_INIT(8 * 1024 * 1024);
    struct ledger_row row;
    int rc;

    rc = ledger_db_prepare(l->db, "SELECT " LEDGER_ROW_COLUMNS " FROM record ORDER BY seq", &s, e);
    while (rc == 0 && (rc = ledger_db_step(s, e)) == 1) {
        rc = ledger_chain_row(s, &row, e);
        if (rc == 0)
            rc = export_row(&row, &line, f, e);
    }
    text_done(&line);
    if (rc == 0 && fflush(f) != 0)
        rc = err_sys(e, ERR_IO, errno, "write");
    if (rc == 0)
        return 0;
    (void)err_wrap(e, "export");
    return ledger_wrap(l, e);
}
