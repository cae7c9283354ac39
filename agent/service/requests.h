/* agent/service/requests.h -- where each request stands, as the ledger has it.
 *
 * Records, in this order (all with "request": its id): "request" (accepted: digest, signer, the
 * request itself, the case's id) -> ["held" -> "decision"] -> (the case's own) -> "result" (the
 * signed answer: the outbox) -> "delivered". A message that is refused: one record "refused". An
 * index over the ids makes finding one cheap; the records are the truth.
 */
#ifndef CORDON_AGENT_SERVICE_REQUESTS_H
#define CORDON_AGENT_SERVICE_REQUESTS_H

#include "agent/intake/request.h"
#include "agent/ledger.h"

enum request_state {
    REQUEST_UNKNOWN, /* never seen */
    REQUEST_RUNNING, /* accepted, and no end yet */
    REQUEST_HELD,    /* waits for a person */
    REQUEST_DECIDED, /* approved, and not begun again yet */
    REQUEST_DONE,    /* it has an answer */
};

struct request_entry { /* borrowed during the callback */
    enum request_state state;
    const char *id, *digest, *signer, *case_id;
    const struct intake_request *request;
    const char *held_why, *held_rule;
    int64_t received_ms, held_ms, held_until_ms;
    unsigned approvals_needed, approvals; /* different people */
    const char *result;                   /* the signed answer; NULL: none yet */
    bool delivered;
};
typedef bool (*request_each_cb)(void *arg, const struct request_entry *en);

/* ERR_NOTFOUND: never seen. */
int requests_find(struct ledger *l, const char *id, request_each_cb cb, void *arg, struct err *e);
/* Those without an end, or with an answer that is not delivered; oldest first. */
int requests_open(struct ledger *l, request_each_cb cb, void *arg, struct err *e);

int requests_accept(struct ledger *l, const struct intake_request *r, const char *digest,
                    const char *signer, const char *case_id, ledger_cb cb, void *arg,
                    struct err *e);
int requests_refuse(struct ledger *l, const char *id, const char *word, const char *why,
                    const char *signer, ledger_cb cb, void *arg, struct err *e);
int requests_hold(struct ledger *l, const char *id, const char *case_id, const char *rule,
                  const char *why, unsigned approvals, int64_t until_ms, ledger_cb cb, void *arg,
                  struct err *e);
/* A person's word. approve false: declined. ERR_NOTFOUND (not held), ERR_REFUSED (the same person
 * twice, or the requester), ERR_CONFLICT (decided or expired meanwhile). */
int requests_decide(struct ledger *l, const char *id, bool approve, const char *by, const char *why,
                    int64_t now_ms, ledger_cb cb, void *arg, struct err *e);
int requests_answer(struct ledger *l, const char *id, const char *case_id, const char *jws,
                    ledger_cb cb, void *arg, struct err *e);
int requests_delivered(struct ledger *l, const char *id, const char *where, ledger_cb cb, void *arg,
                       struct err *e);
/* The highest wall clock that any record has (T1). */
int requests_seen_ms(struct ledger *l, int64_t *ret_ms, struct err *e);

#endif
