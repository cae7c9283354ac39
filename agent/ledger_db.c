/* agent/ledger_db.c -- see ledger_db.h. Opening first, then the tables, then the errors.
 *
 * A version of the file is one row of ledger_migrations: to change the tables, add a row.
 */
#include "agent/ledger_db.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/text.h"

enum { BUSY_MS = 5000 }; /* how long another process may hold the ledger */

/* --- the tables ----------------------------------------------------------------------
 *
 * record   the chain; seq is the rowid, so the file is in the order of the chain
 * anchor   one row: how many records were ever written and the hash of the last; the same for
 *          what prune took away. It changes in the transaction that changes the chain.
 *
 * The indexes hold what `cases` asks, so that it reads no bodies of records it does not show:
 *   record_opened   the "case" records, newest first
 *   record_turn     for one case, which of the three kinds that open and close it came last
 *   record_request  for one request, what became of it (LEDGER_REQUEST_KINDS)
 */
const struct ledger_migration ledger_migrations[] = {
    {"the first tables", "CREATE TABLE record ("
                         " seq INTEGER PRIMARY KEY,"
                         " version INTEGER NOT NULL,"
                         " time_ms INTEGER NOT NULL,"
                         " case_id TEXT NOT NULL,"
                         " kind TEXT NOT NULL,"
                         " body TEXT NOT NULL,"
                         " prev BLOB NOT NULL,"
                         " hash BLOB NOT NULL) STRICT;"
                         "CREATE INDEX record_case ON record (case_id);"
                         "CREATE INDEX record_opened ON record (seq, case_id) WHERE kind = 'case';"
                         "CREATE INDEX record_turn ON record (case_id, seq, kind)"
                         " WHERE kind IN ('case', 'intent', 'verdict');"
                         "CREATE TABLE anchor ("
                         " id INTEGER PRIMARY KEY CHECK (id = 1),"
                         " count INTEGER NOT NULL,"
                         " head BLOB NOT NULL,"
                         " pruned INTEGER NOT NULL,"
                         " pruned_head BLOB NOT NULL) STRICT;"
                         "INSERT INTO anchor VALUES (1, 0, zeroblob(32), 0, zeroblob(32));"},
    {"requests by their ids",
     "CREATE INDEX record_request"
     " ON record (kind, " LEDGER_REQUEST_OF("body") ", seq)"
                                                    " WHERE kind IN " LEDGER_REQUEST_KINDS ";"},
};
const size_t ledger_migration_count = ARRAY_LEN(ledger_migrations);

/* --- opening ------------------------------------------------------------------------- */

/* Two processes that make the same new ledger: SQLite does not wait in its change to WAL. */
static int set_wal(sqlite3 *db, struct err *e)
{
    static const struct timespec nap = {.tv_nsec = 10 * 1000 * 1000};
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *s = NULL;
    int rc = -1;

    for (int waited = 0; waited < BUSY_MS; waited += 10) {
        ledger_db_finalizep(&s);
        if (ledger_db_prepare(db, "PRAGMA journal_mode = WAL", &s, e) < 0)
            return -1;
        rc = ledger_db_step(s, e);
        if (rc >= 0 || (sqlite3_errcode(db) & 0xff) != SQLITE_BUSY)
            break;
        (void)nanosleep(&nap, NULL);
    }
    if (rc < 0)
        return -1;
    if (rc == 0 || strcmp((const char *)sqlite3_column_text(s, 0), "wal") != 0)
        return err_set(e, ERR_CONFIG, 0,
                       "this file system cannot hold a ledger (no WAL): use a local disk");
    return 0;
}

static int configure(sqlite3 *db, bool readonly, struct err *e)
{
    static const struct {
        int what, on;
    } options[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_FKEY, 1},    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},        {SQLITE_DBCONFIG_DQS_DML, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (sqlite3_db_config(db, options[i].what, options[i].on, NULL) != SQLITE_OK)
            return ledger_db_fail(db, e);
    (void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1024 * 1024);
    if (sqlite3_busy_timeout(db, BUSY_MS) != SQLITE_OK)
        return ledger_db_fail(db, e);

    /* secure_delete: what prune takes away is gone. temp_store: nothing of ours in /tmp.
     * cache_size: KiB; we append, and read little. */
    if (ledger_db_exec(
            db,
            "PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL;"
            "PRAGMA temp_store = MEMORY; PRAGMA secure_delete = ON; PRAGMA cache_size = -256;",
            e) < 0)
        return -1;
    if (readonly)
        return ledger_db_exec(db, "PRAGMA query_only = ON;", e);
    if (set_wal(db, e) < 0)
        return -1;
    /* What a long write leaves of the WAL file: 8 MiB. */
    return ledger_db_exec(db, "PRAGMA journal_size_limit = 8388608", e);
}

int ledger_db_open(const char *path, bool readonly, sqlite3 **ret_db, struct err *e)
{
    /* No SQLITE_OPEN_URI: a name is a name (D1). The caller made the file, 0600, so no CREATE. */
    int flags = (readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
    sqlite3 *db = NULL;
    int rc;

    errno = 0;
    rc = sqlite3_open_v2(path, &db, flags, NULL) == SQLITE_OK ? 0 : ledger_db_fail(db, e);
    if (rc == 0)
        rc = configure(db, readonly, e);
    if (rc < 0) {
        (void)sqlite3_close(db);
        return -1;
    }
    *ret_db = db;
    return 0;
}

/* --- the version --------------------------------------------------------------------- */

static int judge_version(sqlite3 *db, size_t known, sqlite3_int64 *ret_version, struct err *e)
{
    sqlite3_int64 version, application, tables;

    if (ledger_db_i64(db, "PRAGMA user_version", &version, e) < 0 ||
        ledger_db_i64(db, "PRAGMA application_id", &application, e) < 0 ||
        ledger_db_i64(db, "SELECT count(*) FROM sqlite_schema", &tables, e) < 0)
        return -1;
    if (application != LEDGER_DB_APPLICATION && (application != 0 || version != 0 || tables != 0))
        return err_set(e, ERR_CONFIG, 0, "this SQLite file is not a ledger of cordon");
    if (version < 0 || (sqlite3_uint64)version > known)
        return err_set(e, ERR_UNSUPPORTED, 0,
                       "it was written by a newer cordon (format %lld, this one knows up to %zu): "
                       "install that version again; nothing was changed",
                       (long long)version, known);
    *ret_version = version;
    return 0;
}

static int migrate_inside(sqlite3 *db, const struct ledger_migration *table, size_t count,
                          struct err *e)
{
    char pragma[96];
    sqlite3_int64 version;

    /* Another process may have been faster: look again, now that nobody else can write. */
    if (judge_version(db, count, &version, e) < 0)
        return -1;
    for (size_t i = (size_t)version; i < count; i++)
        if (ledger_db_exec(db, table[i].sql, e) < 0)
            return err_wrap(e, "format %zu (%s)", i + 1, table[i].what);

    (void)snprintf(pragma, sizeof(pragma), "PRAGMA application_id = %d; PRAGMA user_version = %d",
                   LEDGER_DB_APPLICATION, (int)count);
    return ledger_db_exec(db, pragma, e);
}

int ledger_db_migrate(sqlite3 *db, const struct ledger_migration *table, size_t count,
                      bool readonly, struct err *e)
{
    sqlite3_int64 version;
    int rc;

    /* One view for its questions: another process may be making the tables right now. */
    if (ledger_db_exec(db, "BEGIN", e) < 0)
        return -1;
    rc = judge_version(db, count, &version, e);
    (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    if (rc < 0)
        return -1;
    if ((size_t)version == count)
        return 0;
    /* Whoever made the file has not come to the tables yet, or died before. */
    if (readonly && version == 0)
        return err_set(e, ERR_NOTFOUND, 0, "there is none yet");
    if (readonly)
        return err_set(e, ERR_UNSUPPORTED, 0,
                       "it has the older format %lld: run a command that may write to it first",
                       (long long)version);

    if (ledger_db_exec(db, "BEGIN IMMEDIATE", e) < 0)
        return -1;
    if (migrate_inside(db, table, count, e) == 0 && ledger_db_exec(db, "COMMIT", e) == 0)
        return 0;
    (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return err_wrap(e, "bring it to a newer format");
}

int ledger_db_check(sqlite3 *db, const char *how, struct err *e)
{
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *s = NULL;
    bool quick = strcmp(how, "quick_check") == 0;
    char shown[TEXT_SHOWN];
    const char *found;
    int rc;

    rc =
        ledger_db_prepare(db, quick ? "PRAGMA quick_check(1)" : "PRAGMA integrity_check(1)", &s, e);
    if (rc == 0)
        rc = ledger_db_step(s, e);
    if (rc < 0)
        return -1;
    found = rc == 1 ? (const char *)sqlite3_column_text(s, 0) : NULL;
    if (found != NULL && strcmp(found, "ok") == 0)
        return 0;
    return err_set(e, ERR_IO, SQLITE_CORRUPT,
                   "the file is damaged (%s): stop cordon, keep a copy of the folder, then restore "
                   "it from a backup",
                   text_shown(shown, found != NULL ? found : "no answer"));
}

/* --- statements ---------------------------------------------------------------------- */

int ledger_db_exec(sqlite3 *db, const char *sql, struct err *e)
{
    errno = 0;
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : ledger_db_fail(db, e);
}

int ledger_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_stmt, struct err *e)
{
    errno = 0;
    if (sqlite3_prepare_v3(db, sql, -1, 0, ret_stmt, NULL) != SQLITE_OK)
        return ledger_db_fail(db, e);
    return 0;
}

int ledger_db_step(sqlite3_stmt *s, struct err *e)
{
    int rc;

    errno = 0;
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : ledger_db_fail(sqlite3_db_handle(s), e);
}

int ledger_db_i64(sqlite3 *db, const char *sql, sqlite3_int64 *ret, struct err *e)
{
    CLEANUP(ledger_db_finalizep) sqlite3_stmt *s = NULL;
    int rc;

    if (ledger_db_prepare(db, sql, &s, e) < 0)
        return -1;
    rc = ledger_db_step(s, e);
    if (rc < 0)
        return -1;
    *ret = rc == 1 ? sqlite3_column_int64(s, 0) : 0;
    return 0;
}

void ledger_db_finalizep(sqlite3_stmt **s)
{
    (void)sqlite3_finalize(*s); /* its error was told when it happened */
    *s = NULL;
}

/* --- errors in words ----------------------------------------------------------------- */

/* All of them are ERR_IO to a caller: ERR_BUSY would mean "ask another DC". */
static const struct {
    int code; /* the low byte of SQLite's */
    enum err_code ours;
    bool os; /* the operating system has more to say */
    const char *words;
} causes[] = {
    {SQLITE_FULL, ERR_IO, true, "no room left on its disk: make room, then try again"},
    {SQLITE_READONLY, ERR_IO, true,
     "it may not be written: look at the mount options and at who owns the folder"},
    {SQLITE_IOERR, ERR_IO, true, "the disk failed: look at the kernel log, then try again"},
    {SQLITE_CANTOPEN, ERR_IO, true,
     "it cannot be opened: look at who owns the folder, and whether it may be written"},
    {SQLITE_BUSY, ERR_IO, false,
     "another process has held it for 5 s: find it (fuser on the file), then try again"},
    {SQLITE_LOCKED, ERR_IO, false, "it is being read by ourselves"},
    {SQLITE_CORRUPT, ERR_IO, false,
     "the file is damaged: stop cordon, keep a copy of the folder, restore it from a backup"},
    {SQLITE_NOTADB, ERR_IO, false,
     "the file is not a ledger: keep a copy of the folder, restore it from a backup"},
    {SQLITE_PERM, ERR_IO, true, "no right to it: run this as the user who owns it"},
    {SQLITE_AUTH, ERR_IO, true, "no right to it: run this as the user who owns it"},
    {SQLITE_PROTOCOL, ERR_IO, false, "its locks do not work here: use a local disk"},
    {SQLITE_NOLFS, ERR_IO, false, "large files do not work here: use another disk"},
    {SQLITE_CONSTRAINT, ERR_INVALID, false,
     "there is a record behind the last one: type  cordon audit verify"},
    {SQLITE_TOOBIG, ERR_INVALID, false, "a value in it is too large: type  cordon audit verify"},
    {SQLITE_NOMEM, ERR_NOMEM, false, "out of memory"},
};

int ledger_db_fail(sqlite3 *db, struct err *e)
{
    int code, os, last = errno;

    if (db == NULL)
        return err_set(e, ERR_NOMEM, 0, "out of memory");
    code = sqlite3_extended_errcode(db);
    /* SQLite does not keep the reason when a COMMIT fails; whoever called it set errno to 0. */
    os = sqlite3_system_errno(db);
    if (os == 0)
        os = last;
    for (size_t i = 0; i < ARRAY_LEN(causes); i++) {
        if (causes[i].code != (code & 0xff))
            continue;
        if (causes[i].os && os != 0)
            return err_set(e, causes[i].ours, code, "%s (%s)", causes[i].words, strerror(os));
        return err_set(e, causes[i].ours, code, "%s", causes[i].words);
    }
    return err_set(e, ERR_INTERNAL, code, "SQLite: %s", sqlite3_errmsg(db));
}
