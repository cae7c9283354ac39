/* agent/intake/result.h -- the answer to a request, signed by this agent.
 *
 *   {"request":"01J...","digest":"<hex>","signer":"soar","agent":"cordon-1","time":"...",
 *    "outcome":"good","detail":"","verdict":{...},"ledger":{"count":42,"head":"<hex>"},"steps":[...]}
 *
 * docs/result.schema.json says the same to others. outcome is a word of agent/intake/signed.h; with
 * another one than "good" there is no verdict, since nothing was done. verdict and steps are
 * objects as `--json` prints them. Count and head of the ledger leave the host with every answer
 * (checklist D3, Q4). A request whose signature was not good gets no answer at all.
 */
#ifndef CORDON_AGENT_INTAKE_RESULT_H
#define CORDON_AGENT_INTAKE_RESULT_H

#include <stddef.h>
#include <stdint.h>

#include "agent/intake/signed.h"

#define SIGNED_RESULT_TYPE "cordon-result.v1+jwt"
#define SIGNED_STEP_TYPE "cordon-step.v1+jwt"

/* As a JWS and once more in base64 it still goes through a queue that takes 64 KiB. */
enum { INTAKE_RESULT_MAX = 32 * 1024 };

struct intake_result {            /* all borrowed */
    const char *request, *digest; /* of the request */
    const char *signer, *agent;
    int64_t time_ms;
    enum signed_outcome outcome;
    const char *detail;  /* a sentence; NULL: none */
    const char *verdict; /* a JSON object; NULL: none */
    int64_t ledger_count;
    const char *ledger_head;  /* 64 hex digits; NULL: no ledger to speak of */
    const char *const *steps; /* JSON objects */
    size_t step_count;
};

/* To JSON. Where it would be over INTAKE_RESULT_MAX, the steps are left out, and "steps_left_out"
 * says how many. ERR_TOOBIG, ERR_NOMEM. */
int intake_result_json(const struct intake_result *r, struct text *t, struct err *e);
/* The same, signed; appends the message. */
int intake_result_sign(const struct jws_key *own, const struct intake_result *r, struct text *t,
                       struct err *e);
/* What nobody asked for goes out the same way: who was contained came back to life.
 *
 *   {"event":"came-back","id":"01J...","request":"01J...","case":"01J...","domain":"...",
 *    "account":"alice","sid":"S-1-5-...","entra_id":"","where":"ad","who":"CORP\\bob (S-1-5-...)",
 *    "what":"event 4722 #88123 at dc1...","policy":"put-back","read":true,"agent":"cordon-1",
 *    "time":"...","ledger":{...}}
 *
 * docs/event.schema.json. id is its own; request and case are those that contained the account. */
#define SIGNED_EVENT_TYPE "cordon-event.v1+jwt"
struct intake_event { /* all borrowed; not NULL */
    const char *event, *id, *request, *case_id, *domain, *account, *sid, *entra_id;
    const char *where, *who, *what, *policy, *agent, *ledger_head;
    bool read; /* it was read again and is so; false: an event alone says so */
    int64_t time_ms, ledger_count;
};
int intake_event_json(const struct intake_event *ev, struct text *t, struct err *e);
/* The same, signed; appends the message. */
int intake_event_sign(const struct jws_key *own, const struct intake_event *ev, struct text *t,
                      struct err *e);

/* Whoever asked: is this an answer by the agent with that public key? Appends its JSON to `payload`
 * (whose `max` should be INTAKE_RESULT_MAX), and says to which request. ERR_INVALID, ERR_DENIED,
 * ERR_TOOBIG, ERR_CONFIG (a key of another kind). */
int intake_result_verify(const struct jws_key *agent, const char *jws, size_t n,
                         struct text *payload, char ret_request[ID_UUID], struct err *e);

/* One step of it, as soon as it has ended, for whoever asked for the steps:
 *
 *   {"request":"01J...","digest":"<hex>","signer":"soar","agent":"cordon-1","time":"...",
 *    "number":1,"step":{...}}
 *
 * docs/step.schema.json. Delivered at least once and before the answer, which lists them all:
 * after a crash they come again, and may be numbered otherwise. */
struct intake_step { /* all borrowed */
    const char *request, *digest, *signer, *agent;
    int64_t time_ms;
    unsigned number;
    const char *step; /* a JSON object */
};
int intake_step_sign(const struct jws_key *own, const struct intake_step *ev, struct text *t,
                     struct err *e);
/* As intake_result_verify. */
int intake_step_verify(const struct jws_key *agent, const char *jws, size_t n, struct text *payload,
                       char ret_request[ID_UUID], struct err *e);

#endif
