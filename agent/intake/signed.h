/* agent/intake/signed.h -- a signed request: is it genuine, fresh, meant for us, and within what
 * its signer may do?
 *
 *   size -> header (the type; a hint at the key) -> signature, over the bytes as received
 *        -> only then the payload is parsed -> the key's time -> the request's time -> audience
 *        -> what the signer may do
 *
 * A compact JWS (RFC 7515) by Ed25519 or ES256. Nothing outside the signature decides anything but
 * which key is tried (checklist R2, R3, R5, T1). Pure: no clock, no file, no ledger. What is left
 * to the caller: replay, by the id in the ledger and the digest ("the same id with another body",
 * R6); the signer's rate; and, once the account was found, its list of accounts (signed_list).
 */
#ifndef CORDON_AGENT_INTAKE_SIGNED_H
#define CORDON_AGENT_INTAKE_SIGNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/intake/request.h"
#include "agent/intake/signers.h"
#include "base/jws.h"

#define SIGNED_REQUEST_TYPE "cordon-request.v1+jwt" /* "typ": another version is another word */

enum {
    SIGNED_MAX = 64 * 1024,          /* bytes of a whole message (R1) */
    SIGNED_AHEAD_MS = 5 * 60 * 1000, /* how far a signer's clock may be ahead of ours */
    SIGNED_TRIES = 4,                /* keys tried where a message names none (Q3) */
    SIGNED_WHY = 400,
};

/* Why not. The words are a contract: they stand in results, in the ledger and in dead letters. */
enum signed_outcome {
    SIGNED_GOOD,        /* "good" */
    SIGNED_NOT_CHECKED, /* "not-checked": we could not; it is no fault of the message. Try again */
    SIGNED_TOO_BIG,     /* "too-big" */
    SIGNED_MALFORMED,   /* "malformed": no JWS, or a payload that is no request */
    SIGNED_WRONG_TYPE,  /* "wrong-type": signed, but as something else */
    SIGNED_UNKNOWN_KEY, /* "unknown-key" */
    SIGNED_WRONG_ALG,   /* "wrong-algorithm": not the one that goes with the key */
    SIGNED_BAD_SIGNATURE,  /* "bad-signature": altered, or by another key */
    SIGNED_KEY_NOT_YET,    /* "key-not-yet-valid" */
    SIGNED_KEY_OVER,       /* "key-no-longer-valid" */
    SIGNED_FUTURE,         /* "from-the-future" */
    SIGNED_TOO_OLD,        /* "too-old" */
    SIGNED_EXPIRED,        /* "expired" */
    SIGNED_TOO_LONG,       /* "lifetime-too-long" */
    SIGNED_WRONG_AUDIENCE, /* "wrong-audience" */
    SIGNED_NOT_ALLOWED,    /* "not-allowed": more than its signer may do */
    SIGNED_SEEN,           /* "seen-before": the caller's, from the ledger */
    SIGNED_OTHER_BODY,     /* "same-id-other-body": the same, and an alarm */
    SIGNED_OUTCOMES
};
const char *signed_word(enum signed_outcome o);

struct signed_in {
    enum signed_outcome outcome;
    char why[SIGNED_WHY];         /* a sentence for a person; quotes foreign text safely */
    const struct signer_key *key; /* whose signature it is; NULL: that was not found out */
    bool has_request;             /* genuine, and the payload is a request: `request` counts */
    struct intake_request request;
    char digest[2 * ID_SHA256 + 1]; /* SHA-256 of the payload, hex; "" before it was verified */
};

/* Judge jws[0..n); one line end behind it does not count. now_ms: the wall clock. seen_ms: the
 * highest time that was ever seen (0: none), so that a clock that was put back revives nothing. */
void signed_verify(const struct signers *s, const char *jws, size_t n, int64_t now_ms,
                   int64_t seen_ms, struct signed_in *ret_in);

/* The list that the account, once found, must be on (policy_only, agent/policy.h); NULL: any. */
const struct cfg_list *signed_list(const struct signed_in *in);

/* The counterpart: sign a payload with our own key, whose thumbprint becomes the key id. Appends
 * the message. */
int signed_sign(const struct jws_key *own, const char *typ, const char *payload, size_t n,
                struct text *t, struct err *e);
/* Checks the request, folds it to its one spelling, and signs it. */
int signed_request(const struct jws_key *own, struct intake_request *r, struct text *t,
                   struct err *e);

#endif
