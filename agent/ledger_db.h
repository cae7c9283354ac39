/* agent/ledger_db.h -- the file under the ledger: how it is opened, its tables, SQLite's errors in
 * our words. For agent/ledger*.c only; nothing else includes sqlite3.h.
 */
#ifndef CORDON_AGENT_LEDGER_DB_H
#define CORDON_AGENT_LEDGER_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define LEDGER_DB_APPLICATION 0x63726e64 /* "crnd", in the file's header */

/* What is found by the request that it is about; and where that stands: the body begins with
 * {"request":"ID". (json_extract may not be in a schema that is not trusted.) Part of the format,
 * since an index is made with both. */
#define LEDGER_REQUEST_KINDS "('request', 'held', 'decision', 'result', 'delivered', 'refused')"
#define LEDGER_REQUEST_OF(body) "substr(" body ", 13, instr(substr(" body ", 13), '\"') - 1)"

/* migrations[i] brings a file from version i to i + 1. */
struct ledger_migration {
    const char *what;
    const char *sql;
};
extern const struct ledger_migration ledger_migrations[];
extern const size_t ledger_migration_count;

/* Open the file at `path` (which is there, and whose folder is ours; no component a link) with all
 * that checklist D1 asks for. The caller closes it, by sqlite3_close. */
int ledger_db_open(const char *path, bool readonly, sqlite3 **ret_db, struct err *e);

/* Bring the file up to version `count`, all steps in one transaction. A newer version, or a file
 * that is not ours: ERR_UNSUPPORTED, ERR_CONFIG. A reader only looks; a file without tables is
 * ERR_NOTFOUND to it. */
int ledger_db_migrate(sqlite3 *db, const struct ledger_migration *table, size_t count,
                      bool readonly, struct err *e);

/* Look for damage: `how` is "quick_check" or "integrity_check". ERR_IO with the first finding. */
int ledger_db_check(sqlite3 *db, const char *how, struct err *e);

int ledger_db_exec(sqlite3 *db, const char *sql, struct err *e);
int ledger_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_stmt, struct err *e);
/* 1: a row, 0: done, -1: failed. */
int ledger_db_step(sqlite3_stmt *s, struct err *e);
/* The first column of the first row of a constant query; 0 where there is none. */
int ledger_db_i64(sqlite3 *db, const char *sql, sqlite3_int64 *ret, struct err *e);
void ledger_db_finalizep(sqlite3_stmt **s);

/* Set `e` from the last error of `db`: cause and next step. Call it before anything else is done
 * with db. Always -1. */
int ledger_db_fail(sqlite3 *db, struct err *e);

#endif
