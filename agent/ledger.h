/* agent/ledger.h -- the durable, tamper-evident record of what was asked, meant, done and seen.
 *
 * SQLite in WAL mode with synchronous=FULL. Append-only records, each carrying the SHA-256 of
 * itself and the one before. All records added in one turn of the loop are committed in one
 * transaction at the end of that turn (loop_on_turn_end); then, and only then, their callbacks
 * run, from the loop. So a caller that waits for its callback has its intent on disk before it
 * sends anything. Several processes may share one ledger: the head is read inside the writing
 * transaction.
 */
#ifndef CORDON_AGENT_LEDGER_H
#define CORDON_AGENT_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/text.h"

struct ledger;

struct ledger_record {
    int64_t seq;         /* 1, 2, 3, ... without gaps, but for what `prune` took away */
    int64_t time_ms;     /* wall clock */
    const char *case_id; /* ULID, or "" for records about the ledger itself */
    const char *kind;    /* "case", "step", "intent", "evidence", "verdict", ... */
    const char *body;    /* JSON object */
};

typedef void (*ledger_cb)(void *arg, const struct err *e); /* e NULL: it is on disk */
/* Return false to stop. The record is borrowed for the call. */
typedef bool (*ledger_each_cb)(void *arg, const struct ledger_record *r);

/* Open (create) `dir`/ledger.db; dir is made 0700 if it is missing. Readers that change nothing
 * pass loop NULL and readonly true; a missing ledger is then ERR_NOTFOUND. */
int ledger_open(const char *dir, struct loop *l, bool readonly, struct ledger **ret_ledger,
                struct err *e);
/* Commits what is pending, then closes. */
int ledger_close(struct ledger *l, struct err *e);

/* Queue one record. The strings are copied. cb may be NULL. */
int ledger_add(struct ledger *l, const char *case_id, const char *kind, const char *body,
               ledger_cb cb, void *arg, struct err *e);
/* Commit now (normally the loop does it). */
int ledger_commit(struct ledger *l, struct err *e);

/* Records of one case in order; of all cases when case_id is NULL. since: seq > since. */
int ledger_each(struct ledger *l, const char *case_id, int64_t since, ledger_each_cb cb, void *arg,
                struct err *e);
/* For `cases`: calls cb with the "case" record and the last "verdict" record (or NULL), newest first. */
typedef bool (*ledger_case_cb)(void *arg, const struct ledger_record *opened,
                               const struct ledger_record *verdict);
int ledger_cases(struct ledger *l, bool unfinished_only, unsigned limit, ledger_case_cb cb, void *arg,
                 struct err *e);
/* The one case whose id starts with `prefix` (>= 4 characters); ERR_NOTFOUND, ERR_AMBIGUOUS. */
int ledger_find_case(struct ledger *l, const char *prefix, char ret_id[27], struct err *e);

/* Recompute the chain. On a fault: ERR_INVALID and the first bad seq in words: altered, missing,
 * inserted, shorter than the anchor. */
int ledger_verify(struct ledger *l, int64_t *ret_count, char ret_head_hex[65], struct err *e);
/* Count and head hash of the chain as it stands. */
int ledger_head(struct ledger *l, int64_t *ret_count, char ret_head_hex[65], struct err *e);

/* So that `case --resume` knows whether the case is still being carried out by a live process:
 * a lock that dies with its holder. */
int ledger_lock_case(struct ledger *l, const char *case_id, bool *ret_got_it, struct err *e);
void ledger_unlock_case(struct ledger *l, const char *case_id);

#endif
