/* agent/intake/signers.h -- whose requests are taken: the keys of [signer/NAME], read once.
 *
 * The algorithm is a property of the key: Ed25519 is EdDSA, EC on P-256 is ES256, others are
 * refused (checklist R3). A key belongs to one signer only.
 */
#ifndef CORDON_AGENT_INTAKE_SIGNERS_H
#define CORDON_AGENT_INTAKE_SIGNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jws.h"
#include "config/config.h"

#define SIGNER_KID 44 /* a thumbprint and the NUL */

struct signer_key {
    const struct cfg_signer *signer; /* borrowed from the configuration */
    struct jws_key *key;
    enum jws_alg alg;
    char kid[SIGNER_KID];      /* JWK thumbprint, RFC 7638 */
    int64_t from_ms, until_ms; /* 0: no limit */
};

struct signers {
    const struct cfg *cfg; /* borrowed: outlives this */
    struct signer_key *keys;
    size_t count;
};

/* Reads the key files of the configuration. ERR_CONFIG names the section, the key and the file. */
int signers_load(const struct cfg *cfg, struct signers **ret_signers, struct err *e);
/* The parts of it, for tests: none yet; one more, from a PEM text. */
int signers_new(const struct cfg *cfg, struct signers **ret_signers, struct err *e);
int signers_add(struct signers *s, const struct cfg_signer *of, bool next, const char *pem,
                size_t n, struct err *e);
void signers_free(struct signers *s);
void signers_freep(struct signers **s);

/* The one algorithm that we take of this key. ERR_CONFIG: a key of another kind. */
int signer_alg(const struct jws_key *k, enum jws_alg *ret_alg, struct err *e);

#endif
