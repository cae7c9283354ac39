/* base/jws_inside.h -- inside base/jws*.c only: what a key is. */
#ifndef CORDON_BASE_JWS_INSIDE_H
#define CORDON_BASE_JWS_INSIDE_H

#include <openssl/evp.h>
#include <stdbool.h>

#include "base/jws.h"

struct jws_key {
    EVP_PKEY *pkey;
    bool rsa, pss_only, p256, ed25519;
};

/* Takes `pkey` over in any case. */
int jws_key_take(EVP_PKEY *pkey, struct jws_key **ret_key, struct err *e);

#endif
