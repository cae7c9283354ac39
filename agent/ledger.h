/* agent/ledger.h -- the durable, tamper-evident record of what was asked, meant, done and seen.
 *
 * SQLite in WAL mode with synchronous=FULL. Append-only records, each carrying the SHA-256 of
 * itself and the one before. All records added in one turn of the loop are committed in one
 * transaction at the end of that turn (loop_on_turn_end); then, and only then, their callbacks
 * run, from the loop. So a caller that waits for its callback has its intent on disk before it
 * sends anything. Several processes may share one ledger: the head is read inside the writing
 * transaction.
 *
 * What the chain does not promise: it has no key, so whoever may write the file may also compute
 * it anew from any record on. That shows only against a count and a head that left the host
 * before: ledger_head_at says what the head was at that count.
 */
#ifndef CORDON_AGENT_LEDGER_H
#define CORDON_AGENT_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/text.h"

#define LEDGER_BODY_MAX (64 * 1024)        /* bytes of one body */
#define LEDGER_TURN_MAX (16 * 1024 * 1024) /* bytes of all that one turn adds */
#define LEDGER_KIND_MAX 32                 /* characters of a kind */

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
 * pass loop NULL and readonly true; a missing ledger is then ERR_NOTFOUND. A loop serves one
 * ledger only; loop NULL and readonly false is for a program without a loop, which commits by hand.
 * Only the user who owns the folder may open it: another one would leave files in it that its
 * owner cannot write. Errors: ERR_CONFIG (folder or file not ours alone), ERR_DENIED, ERR_IO (also
 * a damaged file), ERR_UNSUPPORTED (written by a newer cordon; or by an older one, and readonly).
 */
int ledger_open(const char *dir, struct loop *l, bool readonly, struct ledger **ret_ledger,
                struct err *e);
/* Commits what is pending, runs the callbacks that are still owed (ledger_add fails in them), then
 * closes. The ledger is gone even where it returns -1. Not from within a callback. NULL is fine. */
int ledger_close(struct ledger *l, struct err *e);

/* Queue one record. The strings are copied. cb may be NULL.
 *
 * case_id: a ULID or "". kind: a-z, then a-z 0-9 - _. body: a JSON object without line breaks or
 * tabs; no secrets. ERR_INVALID, ERR_TOOBIG (body, or the turn), ERR_NOMEM, ERR_CANCELED (closing).
 *
 * When it returned 0, cb runs exactly once, after the commit, in the order of adding. With an
 * error (ERR_IO, ERR_INVALID, ERR_NOMEM) it is not known to be on disk and must not be relied on:
 * normally it is not there, but after a failing disk and a crash it may turn up. All records of
 * that turn share the error, it is logged once, and the next record may be added at once. */
int ledger_add(struct ledger *l, const char *case_id, const char *kind, const char *body,
               ledger_cb cb, void *arg, struct err *e);
/* Commit now (normally the loop does it). The callbacks still come from the loop; without a loop
 * they run before this returns. */
int ledger_commit(struct ledger *l, struct err *e);

/* Records of one case in order; of all cases when case_id is NULL. since: seq > since. What is not
 * committed yet is not seen. The callback may read the ledger and add to it, but not commit. */
int ledger_each(struct ledger *l, const char *case_id, int64_t since, ledger_each_cb cb, void *arg,
                struct err *e);
/* For `cases`: calls cb with the "case" record and the last "verdict" record (or NULL), newest
 * first. Unfinished: without a verdict, or with an intent after the last one. limit 0: all of them.
 */
typedef bool (*ledger_case_cb)(void *arg, const struct ledger_record *opened,
                               const struct ledger_record *verdict);
int ledger_cases(struct ledger *l, bool unfinished_only, unsigned limit, ledger_case_cb cb,
                 void *arg, struct err *e);
/* The one case whose id starts with `prefix` (>= 4 characters, any case); ERR_NOTFOUND,
 * ERR_AMBIGUOUS (the text names two), ERR_USAGE (too short, or no such characters in an id). */
int ledger_find_case(struct ledger *l, const char *prefix, char ret_id[27], struct err *e);

/* What became of one request: the records of the kinds "request", "held", "decision", "result",
 * "delivered" and "refused" whose body begins {"request":"<this>"; in order. */
int ledger_each_request(struct ledger *l, const char *request, ledger_each_cb cb, void *arg,
                        struct err *e);
/* The last record of each request that waits for something, oldest first: a "request" without a
 * "delivered" behind it; and then a "result" of one that was never taken, the same. */
int ledger_open_requests(struct ledger *l, ledger_each_cb cb, void *arg, struct err *e);
/* The highest time that any record has, 0 without one. Reads all of them. */
int ledger_latest_ms(struct ledger *l, int64_t *ret_ms, struct err *e);

/* Recompute the chain, and check the file itself. On a fault: ERR_INVALID and the first bad seq in
 * words: altered, missing, inserted, shorter than the anchor. The count is that of ledger_head. */
int ledger_verify(struct ledger *l, int64_t *ret_count, char ret_head_hex[65], struct err *e);
/* Count and head hash of the chain as it stands. The count is of all records ever written: those
 * that were pruned are in it. An empty chain: 0 and 64 zeros. */
int ledger_head(struct ledger *l, int64_t *ret_count, char ret_head_hex[65], struct err *e);
/* The head as it was when the chain had `count` records, to compare with one that left the host.
 * ERR_NOTFOUND: there are fewer, or that one was pruned. Believe it only after ledger_verify. */
int ledger_head_at(struct ledger *l, int64_t count, char ret_head_hex[65], struct err *e);

/* All records as JSON, one a line: {"v":1,"seq":..,"time_ms":..,"case":"..","kind":"..",
 * "body":{..},"prev":"<hex>","hash":"<hex>"}. A body that was damaged since is told as "body_text",
 * a string. How to recompute a hash: agent/ledger_chain.h. ERR_IO where `f` fails. */
int ledger_export(struct ledger *l, FILE *f, struct err *e);

/* Take away the oldest records: up to the first that is not older than before_ms, and none from
 * the first record of an unfinished case on. Commits what is pending, verifies the chain before it
 * removes anything (ERR_INVALID: nothing is removed), and adds a "prune" record of its own. What
 * is left still verifies. A finished case on the border may lose its first records. */
int ledger_prune(struct ledger *l, int64_t before_ms, int64_t *ret_removed, struct err *e);

/* So that `case --resume` knows whether the case is still being carried out by a live process:
 * a lock that dies with its holder. It belongs to `l`: asking again for one's own is granted.
 *
 * It is a lock on one byte of ledger.lock, at the first 63 bits of the SHA-256 of the id. Two cases
 * on one byte would exclude each other; with a million cases open at once that has a chance of one
 * in 10^7, and costs a wait, not a wrong effect. */
int ledger_lock_case(struct ledger *l, const char *case_id, bool *ret_got_it, struct err *e);
void ledger_unlock_case(struct ledger *l, const char *case_id);

#endif
