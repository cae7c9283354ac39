/* agent/intake/request.h -- what is asked, in the one form that every intake has.
 *
 *   {"id":"01J...","action":"disable","account":"alice","scope":"both","reason":"phishing",
 *    "ticket":"INC-4711","requester":"soc@example.com","issued":"2026-11-21T09:14:03Z",
 *    "expires":"2026-11-21T09:24:03Z","audience":"corp.example.com","options":{"steps":true}}
 *
 * docs/request.schema.json says the same to others. scope, reason, ticket and options may be left
 * out. Strict: an unknown member is refused, and what is out of its limits is never cut (checklist
 * R1, R7, J2). Pure; whether it may be done is agent/intake/signed.h and the guards.
 */
#ifndef CORDON_AGENT_INTAKE_REQUEST_H
#define CORDON_AGENT_INTAKE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/plan.h"
#include "agent/verdict.h"
#include "base/err.h"
#include "base/id.h"
#include "base/json.h"
#include "base/text.h"

enum {
    INTAKE_BODY_MAX = 32 * 1024, /* bytes of one request */
    INTAKE_ACCOUNT = 256,        /* bytes of text, without the NUL */
    INTAKE_REASON = 500,
    INTAKE_TICKET = 128,
    INTAKE_REQUESTER = 256,
    INTAKE_AUDIENCE = 253,
};

enum intake_scope { INTAKE_BOTH, INTAKE_ON_PREM, INTAKE_CLOUD };
const char *intake_scope_word(enum intake_scope s); /* "both", "on-prem", "cloud" */
bool intake_scope_parse(const char *s, enum intake_scope *ret);

/* As on the command line. */
struct intake_options {
    bool clear_never_expires, must_change, mfa, audit;
    bool okta;  /* "idp":"okta" */
    bool steps; /* the answer lists the steps */
};

struct intake_request {
    char id[ID_UUID]; /* a ULID in upper case, or a UUID in lower case: one spelling each */
    enum action action;
    char account[INTAKE_ACCOUNT + 1]; /* SID, GUID, DN, exact UPN or sAMAccountName: ldap/name.h */
    enum intake_scope scope;
    char reason[INTAKE_REASON + 1], ticket[INTAKE_TICKET + 1]; /* "": none */
    char requester[INTAKE_REQUESTER + 1];                      /* as whoever signed says */
    int64_t issued_ms, expires_ms;
    char audience[INTAKE_AUDIENCE + 1]; /* the domain that is meant, lower case */
    struct intake_options options;
};

/* From JSON bytes. ERR_INVALID, ERR_TOOBIG: `e` names the member; ERR_NOMEM. */
int intake_request_parse(const char *s, size_t n, struct intake_request *ret_request,
                         struct err *e);
/* The same rules for one that was put together here; folds id and audience to their one spelling.
 * ERR_INVALID. */
int intake_request_check(struct intake_request *r, struct err *e);
/* To JSON, a line without its end; the action by our own name. ERR_NOMEM, ERR_TOOBIG. */
int intake_request_json(const struct intake_request *r, struct text *t, struct err *e);
/* For the case that carries it out (agent/run.h). */
void intake_request_options(const struct intake_request *r, struct options *ret_options,
                            bool *ret_in_ad, bool *ret_in_cloud);
/* The members alone, into an object that is open. */
void intake_request_members(const struct intake_request *r, struct json_out *o);

#endif
