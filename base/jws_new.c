/* base/jws_new.c -- a new key pair, and keys as PEM. See jws.h. */
#include "base/jws.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/jws_inside.h"

static int failed(struct err *e)
{
    ERR_clear_error();
    return err_set(e, ERR_INTERNAL, 0, "key: OpenSSL could not make it");
}

int jws_key_new(enum jws_alg alg, struct jws_key **ret_key, struct err *e)
{
    EVP_PKEY *pkey = NULL;

    if (alg == JWS_EDDSA)
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else if (alg == JWS_ES256)
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    else
        return err_set(e, ERR_UNSUPPORTED, 0, "no keys of this kind are made here");
    if (pkey == NULL)
        return failed(e);
    return jws_key_take(pkey, ret_key, e);
}

int jws_key_private_pem(const struct jws_key *k, struct secret **ret_pem, struct err *e)
{
    BIO *bio = BIO_new(BIO_s_secmem()); /* wiped when it is freed */
    char *p = NULL;
    long n = 0;
    int rc;

    if (bio == NULL)
        return err_set(e, ERR_NOMEM, 0, "key");
    if (PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL) == 1)
        n = BIO_get_mem_data(bio, &p);
    rc = n <= 0 || p == NULL ? failed(e) : secret_new((size_t)n, ret_pem, e);
    if (rc == 0)
        memcpy(secret_bytes(*ret_pem), p, (size_t)n);
    BIO_free(bio);
    return rc;
}

int jws_key_public_pem(const struct jws_key *k, struct text *t, struct err *e)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *p = NULL;
    long n = 0;
    int rc;

    if (bio == NULL)
        return err_set(e, ERR_NOMEM, 0, "key");
    if (PEM_write_bio_PUBKEY(bio, k->pkey) == 1)
        n = BIO_get_mem_data(bio, &p);
    if (n > 0 && p != NULL)
        text_addn(t, p, (size_t)n);
    rc = n <= 0 || p == NULL ? failed(e) : text_check(t, "key", e);
    BIO_free(bio);
    return rc;
}
