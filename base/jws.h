/* base/jws.h -- compact JWS (RFC 7515): sign; verify with the algorithm that the caller names.
 *
 * The algorithm is a property of the key, pinned by the caller; a message that names another is
 * refused, never obeyed (checklist R3). Verified are the received bytes, and only then is the
 * payload decoded. Keys: RSA of 2048 bits or more, EC P-256, Ed25519, as PEM. OpenSSL's EVP does
 * the work: some milliseconds at most, so it may be done on the loop.
 */
#ifndef CORDON_BASE_JWS_H
#define CORDON_BASE_JWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/text.h"

enum jws_alg {
    JWS_PS256, /* RSA-PSS, SHA-256, MGF1-SHA-256, salt of 32 bytes */
    JWS_RS256, /* RSA PKCS #1 v1.5, SHA-256 */
    JWS_ES256, /* ECDSA on P-256, SHA-256; the signature is r and s, 32 bytes each */
    JWS_EDDSA, /* Ed25519 */
};
const char *jws_alg_name(enum jws_alg alg); /* "PS256" ... */

enum {
    JWS_MAX = 128 * 1024,  /* bytes of a message */
    JWS_HEADER_MAX = 2048, /* of its header, decoded */
    JWS_KID = 257,         /* a key id and its NUL */
};

/* --- base64url without padding ------------------------------------------------- */
void jws_b64url(struct text *t, const void *p, size_t n); /* appends */
/* Strict: no padding, no white space, nothing but the alphabet, unused last bits zero. False: that
 * or more than `cap` bytes; buf is then undefined. */
bool jws_unb64url(uint8_t *buf, size_t cap, const char *s, size_t n, size_t *ret_n);

/* --- keys ------------------------------------------------------------------------ */
struct jws_key;
/* The first private key of a PEM text (certificates may stand around it); without a passphrase.
 * ERR_CONFIG: none, encrypted, or of a kind or size we do not take. */
int jws_key_private(struct secret *pem, struct jws_key **ret_key, struct err *e);
/* "BEGIN PUBLIC KEY", or the key of the first "BEGIN CERTIFICATE" (which is not judged). */
int jws_key_public(const char *pem, size_t n, struct jws_key **ret_key, struct err *e);
/* A new pair: JWS_EDDSA or JWS_ES256. */
int jws_key_new(enum jws_alg alg, struct jws_key **ret_key, struct err *e);
int jws_key_private_pem(const struct jws_key *k, struct secret **ret_pem, struct err *e);
int jws_key_public_pem(const struct jws_key *k, struct text *t, struct err *e); /* appends */
void jws_key_free(struct jws_key *k);
void jws_key_freep(struct jws_key **k);
/* Is the key of the kind that this algorithm works with? */
bool jws_key_can(const struct jws_key *k, enum jws_alg alg);
/* The key's own name: JWK thumbprint by SHA-256 (RFC 7638; RFC 8037 for Ed25519), appended as
 * base64url. */
int jws_key_thumbprint(const struct jws_key *k, struct text *t, struct err *e);

struct jws_cert {
    uint8_t sha1[20], sha256[32]; /* of the DER: x5t, x5t#S256 */
    int64_t from_ms, ends_ms;     /* its time, Unix ms */
};
/* The certificate in `pem` that belongs to k. ERR_CONFIG: none does. */
int jws_cert_of(struct secret *pem, const struct jws_key *k, struct jws_cert *ret_cert,
                struct err *e);

/* --- signing ----------------------------------------------------------------------- */
struct jws_head {    /* what stands in the header besides "alg"; NULL: left out */
    const char *typ; /* "JWT" */
    const char *kid;
    const struct jws_cert *x5t, *x5t_s256;
};
/* Appends the whole message. ERR_UNSUPPORTED: the key cannot do `alg`. */
int jws_sign(const struct jws_key *k, enum jws_alg alg, const struct jws_head *head,
             const void *payload, size_t n, struct text *t, struct err *e);

/* --- verifying ----------------------------------------------------------------------- */
/* Its key id, not verified: a hint for choosing the key. "" where it names none. ERR_INVALID,
 * ERR_TOOBIG. */
int jws_kid(const char *jws, size_t n, char kid[JWS_KID], struct err *e);
/* What else its header says of itself, for the words of a refusal; "" where it says nothing, and
 * cut where it is long. ERR_INVALID, ERR_TOOBIG. */
struct jws_hint {
    char alg[16], typ[64], kid[JWS_KID];
};
int jws_peek(const char *jws, size_t n, struct jws_hint *ret_hint, struct err *e);
/* Checks jws[0..n) and appends its payload to `payload` (whose `max` is the limit). typ: must stand
 * in the header just so; NULL: whatever. ERR_INVALID: no JWS, another algorithm, a header that
 * brings its own key ("jwk", "jku", "x5u", "x5c"), "crit" or "b64"; ERR_DENIED: the signature is
 * not this key's; ERR_TOOBIG; ERR_UNSUPPORTED: the key cannot do `alg`. */
int jws_verify(const struct jws_key *k, enum jws_alg alg, const char *typ, const char *jws,
               size_t n, struct text *payload, struct err *e);

#endif
