/* agent/sync_order.h -- what installer/defender/cordon-sync.ps1 is told, and what it answers. Pure.
 *
 * As agent/dc_payload.h, for the Entra Connect server: one line of JSON in one fixed form as
 * base64url, one line "CORDON1 NONCE JSON" back.
 */
#ifndef CORDON_AGENT_SYNC_ORDER_H
#define CORDON_AGENT_SYNC_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

enum sync_op { SYNC_OP_LOOK, SYNC_OP_START };
const char *sync_op_word(enum sync_op op); /* "sync-look" */

/* Appends the base64url. ERR_INTERNAL: no order that the script would take; ERR_NOMEM. */
int sync_order_build(enum sync_op op, int64_t expires_ms, const char *nonce, struct text *payload,
                     struct err *e);
/* The marker's JSON: what cloud/sync.h reads of the server is appended. ERR_INVALID: it is of
 * another order; ERR_REFUSED: the script did nothing, with its code. */
int sync_answer_read(const char *json, size_t n, enum sync_op op, struct text *answer,
                     struct err *e);

#endif
