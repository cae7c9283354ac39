/* agent/ledger_chain.h -- the chain of hashes, and the transactions that make it longer or shorter.
 * For agent/ledger*.c only.
 *
 * The hash of a record is SHA-256 over these fields, in this order, each behind its length in bytes
 * (32 bits); all numbers big-endian, text without a NUL:
 *
 *     "cordon ledger"   version (4)   seq (8)   time_ms (8)   case_id   kind   body   prev (32)
 *
 * prev is the hash of the record before it; 32 zero bytes for the first. Anyone can recompute it
 * from the lines of ledger_export.
 */
#ifndef CORDON_AGENT_LEDGER_CHAIN_H
#define CORDON_AGENT_LEDGER_CHAIN_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/ledger.h"
#include "base/err.h"
#include "base/id.h"
#include "base/text.h"

#define LEDGER_FORMAT 1 /* of a record: stored in each */

struct ledger_anchor {
    int64_t count; /* records ever written */
    uint8_t head[ID_SHA256];
    int64_t pruned; /* of which these are gone */
    uint8_t pruned_head[ID_SHA256];
};

/* A record as the file has it. The pointers are borrowed until the next step of the statement. */
struct ledger_row {
    struct ledger_record r;
    int64_t version;
    const uint8_t *prev, *hash; /* 32 bytes each */
};
#define LEDGER_ROW_COLUMNS "seq, time_ms, case_id, kind, body, version, prev, hash"
/* From a statement that selects LEDGER_ROW_COLUMNS. ERR_INVALID: a record no cordon wrote. */
int ledger_chain_row(sqlite3_stmt *s, struct ledger_row *ret_row, struct err *e);

/* The writing half: statements prepared once, a buffer kept. */
struct ledger_chain {
    sqlite3 *db; /* borrowed */
    sqlite3_stmt *begin, *commit, *rollback, *insert, *move;
    struct text scratch;     /* what is hashed */
    struct ledger_anchor at; /* between begin and the end: where the chain stands */
};
int ledger_chain_init(struct ledger_chain *c, sqlite3 *db, struct err *e);
void ledger_chain_done(struct ledger_chain *c);

/* begin, any number of appends, commit. After any -1 call ledger_chain_rollback, once. */
int ledger_chain_begin(struct ledger_chain *c, struct err *e);
int ledger_chain_append(struct ledger_chain *c, int64_t time_ms, const char *case_id,
                        const char *kind, const char *body, struct err *e);
int ledger_chain_commit(struct ledger_chain *c, struct err *e);
void ledger_chain_rollback(struct ledger_chain *c);

int ledger_chain_anchor(sqlite3 *db, struct ledger_anchor *ret_anchor, struct err *e);
/* All records against each other and the anchor, inside whatever transaction is open. */
int ledger_chain_verify(sqlite3 *db, struct ledger_anchor *ret_anchor, struct err *e);

#endif
