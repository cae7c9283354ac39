/* agent/ledger_chain.c -- see ledger_chain.h. Hashing, then appending, then verifying.
 *
 * Invariants: the anchor moves only in the transaction that appends or prunes, and appending goes
 * on from the anchor, never from the last record found: so a tail that was cut off by hand leaves
 * a gap that stays visible however much is written after it.
 */
#include "agent/ledger_chain.h"

#include <inttypes.h>
#include <string.h>

#include "agent/ledger_db.h"
#include "base/cleanup.h"
#include "base/json.h"

/* --- one record ---------------------------------------------------------------------- */

static void add_be(struct text *t, uint64_t v, unsigned bytes)
{
    uint8_t be[8];

    for (unsigned i = 0; i < bytes; i++)
        be[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    text_addn(t, be, bytes);
}

static void add_framed(struct text *t, const void *p, size_t n)
{
    add_be(t, n, 4);
    text_addn(t, p, n);
}

static void add_number(struct text *t, uint64_t v, unsigned bytes)
{
    add_be(t, bytes, 4);
    add_be(t, v, bytes);
}

static int hash_row(struct text *scratch, const struct ledger_row *row, uint8_t ret[ID_SHA256],
                    struct err *e)
{
    static const char tag[] = "cordon ledger";

    text_clear(scratch);
    add_framed(scratch, tag, sizeof(tag) - 1);
    add_number(scratch, (uint64_t)row->version, 4);
    add_number(scratch, (uint64_t)row->r.seq, 8);
    add_number(scratch, (uint64_t)row->r.time_ms, 8);
    add_framed(scratch, row->r.case_id, strlen(row->r.case_id));
    add_framed(scratch, row->r.kind, strlen(row->r.kind));
    add_framed(scratch, row->r.body, strlen(row->r.body));
    add_framed(scratch, row->prev, ID_SHA256);
    if (text_check(scratch, "record", e) < 0)
        return -1;
    return id_sha256(scratch->s, scratch->len, ret, e);
}

/* Text of which every byte counts: no NUL inside, so that strlen tells all of it. */
static const char *column_text(sqlite3_stmt *s, int i)
{
    const char *p = (const char *)sqlite3_column_text(s, i);

    return p != NULL && strlen(p) == (size_t)sqlite3_column_bytes(s, i) ? p : NULL;
}

static const uint8_t *column_hash(sqlite3_stmt *s, int i)
{
    const uint8_t *p = sqlite3_column_blob(s, i);

    return p != NULL && sqlite3_column_bytes(s, i) == ID_SHA256 ? p : NULL;
}

int ledger_chain_row(sqlite3_stmt *s, struct ledger_row *ret_row, struct err *e)
{
    struct ledger_row row = {
        .r = {.seq = sqlite3_column_int64(s, 0),
              .time_ms = sqlite3_column_int64(s, 1),
              .case_id = column_text(s, 2),
              .kind = column_text(s, 3),
              .body = column_text(s, 4)},
        .version = sqlite3_column_int64(s, 5),
        .prev = column_hash(s, 6),
        .hash = column_hash(s, 7),
    };

    if (row.version > LEDGER_FORMAT)
        return err_set(e, ERR_INVALID, 0,
                       "record %" PRId64 " has the unknown format %" PRId64
                       ": altered, or written by a newer cordon",
                       row.r.seq, row.version);
    if (row.version < 1 || row.r.case_id == NULL || row.r.kind == NULL || row.r.body == NULL ||
        row.prev == NULL || row.hash == NULL)
        return err_set(e, ERR_INVALID, 0, "record %" PRId64 " was altered: no cordon wrote it so",
                       row.r.seq);
    *ret_row = row;
    return 0;
}

/* --- appending ----------------------------------------------------------------------- */

int ledger_chain_init(struct ledger_chain *c, sqlite3 *db, struct err *e)
{
    static const char insert[] = "INSERT INTO record (" LEDGER_ROW_COLUMNS ")"
                                 " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    static const char move[] =
        "UPDATE anchor SET count = ?1, head = ?2, pruned = ?3, pruned_head = ?4 WHERE id = 1";

    *c = (struct ledger_chain){.db = db, .scratch = TEXT_INIT(2 * LEDGER_BODY_MAX)};
    if (ledger_db_prepare(db, "BEGIN IMMEDIATE", &c->begin, e) < 0 ||
        ledger_db_prepare(db, "COMMIT", &c->commit, e) < 0 ||
        ledger_db_prepare(db, "ROLLBACK", &c->rollback, e) < 0 ||
        ledger_db_prepare(db, insert, &c->insert, e) < 0 ||
        ledger_db_prepare(db, move, &c->move, e) < 0) {
        ledger_chain_done(c);
        return -1;
    }
    return 0;
}

void ledger_chain_done(struct ledger_chain *c)
{
    ledger_db_finalizep(&c->begin);
    ledger_db_finalizep(&c->commit);
    ledger_db_finalizep(&c->rollback);
    ledger_db_finalizep(&c->insert);
    ledger_db_finalizep(&c->move);
    text_done(&c->scratch);
}

/* Run a statement that gives no rows, and have it ready for the next time. */
static int run(sqlite3_stmt *s, struct err *e)
{
    int rc = ledger_db_step(s, e);

    (void)sqlite3_reset(s); /* repeats the error of the step */
    return rc < 0 ? -1 : 0;
}

int ledger_chain_anchor(sqlite3 *db, struct ledger_anchor *ret_anchor, struct err *e)
{
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *s = NULL;
    const uint8_t *head, *pruned_head;
    int rc;

    if (ledger_db_prepare(db, "SELECT count, head, pruned, pruned_head FROM anchor WHERE id = 1",
                          &s, e) < 0)
        return -1;
    rc = ledger_db_step(s, e);
    if (rc < 0)
        return -1;
    head = rc == 1 ? column_hash(s, 1) : NULL;
    pruned_head = rc == 1 ? column_hash(s, 3) : NULL;
    if (head == NULL || pruned_head == NULL || sqlite3_column_int64(s, 2) < 0 ||
        sqlite3_column_int64(s, 0) < sqlite3_column_int64(s, 2))
        return err_set(e, ERR_INVALID, 0, "its anchor is missing or was altered");
    ret_anchor->count = sqlite3_column_int64(s, 0);
    ret_anchor->pruned = sqlite3_column_int64(s, 2);
    memcpy(ret_anchor->head, head, ID_SHA256);
    memcpy(ret_anchor->pruned_head, pruned_head, ID_SHA256);
    return 0;
}

int ledger_chain_begin(struct ledger_chain *c, struct err *e)
{
    /* IMMEDIATE: from here on nobody else writes, so the head that we read is the head. */
    if (run(c->begin, e) < 0)
        return -1;
    return ledger_chain_anchor(c->db, &c->at, e);
}

int ledger_chain_append(struct ledger_chain *c, int64_t time_ms, const char *case_id,
                        const char *kind, const char *body, struct err *e)
{
    const struct ledger_row row = {
        .r = {.seq = c->at.count + 1,
              .time_ms = time_ms,
              .case_id = case_id,
              .kind = kind,
              .body = body},
        .version = LEDGER_FORMAT,
        .prev = c->at.head,
    };
    uint8_t hash[ID_SHA256];
    sqlite3_stmt *s = c->insert;

    if (hash_row(&c->scratch, &row, hash, e) < 0)
        return -1;
    /* Static: all of it stays where it is until the step is done. */
    if (sqlite3_bind_int64(s, 1, row.r.seq) != SQLITE_OK ||
        sqlite3_bind_int64(s, 2, time_ms) != SQLITE_OK ||
        sqlite3_bind_text(s, 3, case_id, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(s, 4, kind, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(s, 5, body, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_int64(s, 6, row.version) != SQLITE_OK ||
        sqlite3_bind_blob(s, 7, row.prev, ID_SHA256, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_blob(s, 8, hash, ID_SHA256, SQLITE_STATIC) != SQLITE_OK)
        return ledger_db_fail(c->db, e);
    if (run(s, e) < 0)
        return -1;
    c->at.count++;
    memcpy(c->at.head, hash, ID_SHA256);
    return 0;
}

int ledger_chain_commit(struct ledger_chain *c, struct err *e)
{
    sqlite3_stmt *s = c->move;

    if (sqlite3_bind_int64(s, 1, c->at.count) != SQLITE_OK ||
        sqlite3_bind_blob(s, 2, c->at.head, ID_SHA256, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_int64(s, 3, c->at.pruned) != SQLITE_OK ||
        sqlite3_bind_blob(s, 4, c->at.pruned_head, ID_SHA256, SQLITE_STATIC) != SQLITE_OK)
        return ledger_db_fail(c->db, e);
    if (run(s, e) < 0)
        return -1;
    return run(c->commit, e);
}

void ledger_chain_rollback(struct ledger_chain *c)
{
    struct err ignored;

    /* Some errors have rolled back already; a failed BEGIN has nothing to undo. */
    if (sqlite3_get_autocommit(c->db) == 0)
        (void)run(c->rollback, &ignored);
}

/* --- verifying ----------------------------------------------------------------------- */

struct verify {
    struct ledger_anchor anchor;
    int64_t last; /* the record before the one looked at */
    uint8_t head[ID_SHA256];
    /* What the chain itself says was pruned: its last "prune" record. */
    int64_t pruned;
    char pruned_head[2 * ID_SHA256 + 1];
    struct text scratch;
};

static int note_prune(struct verify *v, const struct ledger_row *row, struct err *e)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const char *head;

    if (json_parse(row->r.body, strlen(row->r.body), NULL, &j, e) < 0)
        return err_wrap(e, "record %" PRId64, row->r.seq);
    head = json_str(j, "head");
    if (!json_i64(j, "count", &v->pruned) || head == NULL || strlen(head) >= sizeof(v->pruned_head))
        return err_set(e, ERR_INVALID, 0, "record %" PRId64 " tells of no prune that cordon made",
                       row->r.seq);
    memcpy(v->pruned_head, head, strlen(head) + 1);
    return 0;
}

static int verify_row(struct verify *v, const struct ledger_row *row, struct err *e)
{
    uint8_t hash[ID_SHA256];
    int64_t seq = row->r.seq;

    /* The place first: it says most about what was done. */
    if (seq <= v->last)
        return err_set(e, ERR_INVALID, 0,
                       "record %" PRId64 " was inserted: all up to %" PRId64 " were pruned", seq,
                       v->last);
    if (seq > v->anchor.count && v->last == v->anchor.count)
        return err_set(e, ERR_INVALID, 0,
                       "record %" PRId64 " was inserted: the anchor ends at %" PRId64, seq,
                       v->anchor.count);
    if (seq > v->last + 1)
        return err_set(e, ERR_INVALID, 0, "record %" PRId64 " is missing (the next is %" PRId64 ")",
                       v->last + 1, seq);

    if (hash_row(&v->scratch, row, hash, e) < 0)
        return err_wrap(e, "record %" PRId64, seq);
    if (memcmp(hash, row->hash, ID_SHA256) != 0)
        return err_set(e, ERR_INVALID, 0, "record %" PRId64 " was altered", seq);
    if (memcmp(row->prev, v->head, ID_SHA256) != 0)
        return err_set(e, ERR_INVALID, 0,
                       "record %" PRId64 " does not follow the one before it: one of the two was "
                       "inserted or exchanged",
                       seq);
    v->last = seq;
    memcpy(v->head, hash, ID_SHA256);
    return row->r.case_id[0] == '\0' && strcmp(row->r.kind, "prune") == 0 ? note_prune(v, row, e)
                                                                          : 0;
}

static int verify_end(const struct verify *v, struct err *e)
{
    char hex[2 * ID_SHA256 + 1];

    if (v->last < v->anchor.count)
        return err_set(e, ERR_INVALID, 0,
                       "shorter than the anchor: it ends at record %" PRId64
                       ", the anchor at %" PRId64 ": the end was cut off",
                       v->last, v->anchor.count);
    if (memcmp(v->head, v->anchor.head, ID_SHA256) != 0)
        return err_set(e, ERR_INVALID, 0,
                       "record %" PRId64 " is not the one that the anchor names: the last record "
                       "or the anchor was exchanged",
                       v->last);
    /* Whoever takes away the beginning by hand can move the anchor, but must also leave word. */
    id_hex(hex, v->anchor.pruned_head, ID_SHA256);
    if (v->pruned != v->anchor.pruned || (v->pruned != 0 && strcmp(hex, v->pruned_head) != 0))
        return err_set(e, ERR_INVALID, 0,
                       "record %" PRId64 " is missing: it was taken away, but not by prune",
                       v->pruned + 1);
    return 0;
}

static int verify_all(sqlite3 *db, struct verify *v, struct err *e)
{
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *s = NULL;
    struct ledger_row row;
    int rc;

    if (ledger_chain_anchor(db, &v->anchor, e) < 0)
        return -1;
    v->last = v->anchor.pruned;
    memcpy(v->head, v->anchor.pruned_head, ID_SHA256);
    if (ledger_db_prepare(db, "SELECT " LEDGER_ROW_COLUMNS " FROM record ORDER BY seq", &s, e) < 0)
        return -1;
    while ((rc = ledger_db_step(s, e)) == 1)
        if (ledger_chain_row(s, &row, e) < 0 || verify_row(v, &row, e) < 0)
            return -1;
    return rc < 0 ? -1 : verify_end(v, e);
}

int ledger_chain_verify(sqlite3 *db, struct ledger_anchor *ret_anchor, struct err *e)
{
    struct verify v = {.scratch = TEXT_INIT(4 * 1024 * 1024)};
    int rc = verify_all(db, &v, e);

    text_done(&v.scratch);
    if (rc == 0)
        *ret_anchor = v.anchor;
    return rc;
}
