/* agent/service/requests.h -- where each request stands, as the ledger has it.
 *
 * Records, in this order, each beginning with {"request":ID: "request" (accepted: digest, signer,
 * the message, the request itself, the case's id) -> ["held" -> "decision"...] -> (the case's own)
 * -> "result" (the signed answer: the outbox) -> "delivered". A message that is refused: one record
 * "refused", and a "result" where it was genuine. The records are the truth; an index over the ids
 * makes finding them cheap.
 */
#ifndef CORDON_AGENT_SERVICE_REQUESTS_H
#define CORDON_AGENT_SERVICE_REQUESTS_H

#include "agent/intake/request.h"
#include "agent/ledger.h"

#define REQUESTS_PEOPLE 4 /* whose approvals are told apart */

enum request_state {
    REQUEST_UNKNOWN, /* never taken; it may have been refused, with an answer */
    REQUEST_RUNNING, /* accepted, and no end yet */
    REQUEST_HELD,    /* waits for a person */
    REQUEST_DECIDED, /* approved by enough, or declined; and not ended yet */
    REQUEST_DONE,    /* it has an answer */
};
const char *request_state_word(enum request_state s);

struct request_entry { /* borrowed during the callback */
    enum request_state state;
    const char *id, *digest, *signer, *message, *case_id;
    const struct intake_request *request; /* NULL: never taken */
    bool hold;                            /* whatever the guards say: a person must say yes */
    const char *held_why, *held_rule;
    int64_t received_ms, held_ms, held_until_ms;
    unsigned approvals_needed, approvals; /* different people */
    bool declined;                        /* also when the hold's time was over */
    const char *decided_by, *decided_why; /* the last word; "" */
    int64_t moved;                        /* seq of what brought it into its state */
    const char *result;                   /* the signed answer, "" where none is sent; NULL: none */
    bool delivered;
};
typedef bool (*request_each_cb)(void *arg, const struct request_entry *en);

/* ERR_NOTFOUND: no record of it. ERR_INVALID: they cannot be read. */
int requests_find(struct ledger *l, const char *id, request_each_cb cb, void *arg, struct err *e);
/* Those without an end, or with an answer that is not delivered; oldest first. One whose records
 * cannot be read is logged and left out. */
int requests_open(struct ledger *l, request_each_cb cb, void *arg, struct err *e);

/* message: the queue's id of what brought it; of one that we made ourselves (own.c) what made it,
 * and signer is "" then. hold: a person must say yes. */
int requests_accept(struct ledger *l, const struct intake_request *r, const char *digest,
                    const char *signer, const char *message, const char *case_id, bool hold,
                    ledger_cb cb, void *arg, struct err *e);
/* id, signer: "" where that was not found out. */
int requests_refuse(struct ledger *l, const char *id, const char *word, const char *why,
                    const char *signer, ledger_cb cb, void *arg, struct err *e);
/* So many that have no record of their own; why: how many of what. */
int requests_refuse_many(struct ledger *l, uint64_t count, const char *why, ledger_cb cb, void *arg,
                         struct err *e);
int requests_hold(struct ledger *l, const char *id, const char *case_id, const char *rule,
                  const char *why, unsigned approvals, int64_t until_ms, ledger_cb cb, void *arg,
                  struct err *e);
/* A person's word. approve false: declined. by NULL: nobody's, the hold's time is over. One
 * decision at a time on a request: what is not on disk yet is not seen. ERR_NOTFOUND (not held),
 * ERR_REFUSED (the same person twice, or the requester), ERR_CONFLICT (its time is over). */
int requests_decide(struct ledger *l, const char *id, bool approve, const char *by, const char *why,
                    int64_t now_ms, ledger_cb cb, void *arg, struct err *e);
/* jws: "" where no answer is sent. case_id: "" for one that was refused. */
int requests_answer(struct ledger *l, const char *id, const char *case_id, const char *jws,
                    ledger_cb cb, void *arg, struct err *e);
int requests_delivered(struct ledger *l, const char *id, const char *where, ledger_cb cb, void *arg,
                       struct err *e);
/* The highest wall clock that any record has (T1). */
int requests_seen_ms(struct ledger *l, int64_t *ret_ms, struct err *e);

/* Do these two name one person? Of "ann (uid 1000)", "ann@example.com" and "ann on host1" the name
 * counts: what is in doubt is the same person. */
bool requests_same_person(const char *a, const char *b);

#endif
