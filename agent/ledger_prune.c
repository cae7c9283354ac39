/* agent/ledger_prune.c -- take away the oldest records and leave an anchor in their place.
 *
 * One transaction: verify all (what was tampered with must not vanish in a prune), find the border,
 * delete up to it, write a "prune" record, move the anchor. So verify can hold the anchor's new
 * beginning against what the chain itself says about it.
 */
#include "agent/ledger.h"

#include "agent/ledger_db.h"
#include "agent/ledger_inside.h"
#include "base/cleanup.h"
#include "base/id.h"
#include "base/json.h"
#include "base/stamp.h"

/* One number by a query with one number in it; `otherwise` where there is no row. */
static int ask(sqlite3 *db, const char *sql, int64_t with, int64_t otherwise, int64_t *ret,
               struct err *e)
{
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *s = NULL;
    int rc;

    if (ledger_db_prepare(db, sql, &s, e) < 0)
        return -1;
    if (sqlite3_bind_int64(s, 1, with) != SQLITE_OK)
        return ledger_db_fail(db, e);
    rc = ledger_db_step(s, e);
    if (rc < 0)
        return -1;
    *ret = rc == 1 ? sqlite3_column_int64(s, 0) : otherwise;
    return 0;
}

/* The last record that may go. */
static int find_border(struct ledger *l, int64_t before_ms, int64_t *ret_last, struct err *e)
{
    int64_t none = l->chain.at.count + 1, young = 0, open = 0;

    /* In the order of the chain, not of the clock, which may have been set back. */
    if (ask(l->db, "SELECT seq FROM record WHERE time_ms >= ?1 ORDER BY seq LIMIT 1", before_ms,
            none, &young, e) < 0 ||
        ask(l->db,
            "SELECT o.seq FROM record o INDEXED BY record_opened WHERE o.kind = 'case'"
            " AND o.seq > ?1 AND " LEDGER_UNFINISHED " ORDER BY o.seq LIMIT 1",
            0, none, &open, e) < 0)
        return -1;
    *ret_last = (young < open ? young : open) - 1;
    return 0;
}

static int write_prune_record(struct ledger *l, int64_t before_ms, int64_t removed, struct err *e)
{
    struct text body = TEXT_INIT(1024);
    char head[2 * ID_SHA256 + 1];
    struct json_out o;
    int rc;

    id_hex(head, l->chain.at.pruned_head, ID_SHA256);
    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    json_out_time(&o, "before", before_ms);
    json_out_i64(&o, "removed", removed);
    json_out_i64(&o, "count", l->chain.at.pruned);
    json_out_str(&o, "head", head);
    json_out_end_object(&o);
    rc = text_check(&body, "prune", e);
    if (rc == 0)
        rc = ledger_chain_append(&l->chain, stamp_now_ms(), "", "prune", body.s, e);
    text_done(&body);
    return rc;
}

static int prune_inside(struct ledger *l, int64_t before_ms, int64_t *ret_removed, struct err *e)
{
    struct ledger_anchor *at = &l->chain.at;
    char head[2 * ID_SHA256 + 1];
    int64_t last, removed, nothing;

    if (ledger_chain_verify(l->db, at, e) < 0 || find_border(l, before_ms, &last, e) < 0)
        return -1;
    removed = last - at->pruned;
    if (removed <= 0) {
        *ret_removed = 0;
        return 0;
    }
    if (ledger_head_at(l, last, head, e) < 0 ||
        ask(l->db, "DELETE FROM record WHERE seq <= ?1", last, 0, &nothing, e) < 0)
        return -1;
    at->pruned += removed;
    if (!id_unhex(at->pruned_head, ID_SHA256, head))
        return err_set(e, ERR_INTERNAL, 0, "hash");
    if (write_prune_record(l, before_ms, removed, e) < 0)
        return -1;
    *ret_removed = removed;
    return 0;
}

int ledger_prune(struct ledger *l, int64_t before_ms, int64_t *ret_removed, struct err *e)
{
    int64_t removed = 0;

    if (l->readonly || l->reading > 0)
        return err_set(e, ERR_INTERNAL, 0, "prune of a ledger that is being read");
    if (ledger_commit(l, e) < 0)
        return -1;
    if (ledger_chain_begin(&l->chain, e) < 0 || prune_inside(l, before_ms, &removed, e) < 0 ||
        ledger_chain_commit(&l->chain, e) < 0) {
        ledger_chain_rollback(&l->chain);
        (void)err_wrap(e, "prune");
        return ledger_wrap(l, e);
    }
    /* What was deleted stands in the WAL file still; best effort, since others may be reading. */
    if (removed > 0)
        (void)sqlite3_wal_checkpoint_v2(l->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    *ret_removed = removed;
    return 0;
}
