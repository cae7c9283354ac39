/* agent/ledger_inside.h -- what the files of the ledger share. For agent/ledger*.c only. */
#ifndef CORDON_AGENT_LEDGER_INSIDE_H
#define CORDON_AGENT_LEDGER_INSIDE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "agent/ledger.h"
#include "agent/ledger_chain.h"

struct ledger_batch; /* ledger.c */

struct ledger {
    sqlite3 *db;
    struct ledger_chain chain; /* unused in a reader */
    struct loop *loop;         /* borrowed, or NULL */
    char *path;                /* of the file, for messages */
    int dir_fd, lock_fd;
    bool readonly, closing;
    bool calling;     /* callbacks are being run, further up the stack */
    unsigned reading; /* ledger_each and the like, further up the stack */

    struct ledger_batch *adding;           /* this turn's records, or NULL */
    struct ledger_batch *owed, *owed_last; /* committed or failed: callbacks to be run, in order */
    struct ledger_batch *spare;            /* its memory is used again, or NULL */
};

/* Is the case of the "case" record `o` unfinished? Of the records that open and close a case, which
 * came last; answered by the index alone. */
#define LEDGER_UNFINISHED                                                             \
    "(SELECT t.kind FROM record t INDEXED BY record_turn WHERE t.case_id = o.case_id" \
    " AND t.kind IN ('case', 'intent', 'verdict') ORDER BY t.seq DESC LIMIT 1) <> 'verdict'"

/* Put "ledger '<path>'" in front. Always -1. */
int ledger_wrap(const struct ledger *l, struct err *e);

#endif
