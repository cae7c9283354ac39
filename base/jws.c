/* base/jws.c -- see jws.h. base64url, keys, signing, verifying; all by OpenSSL 3's EVP. */
#include "base/jws.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/json.h"
#include "base/jws_inside.h"

enum {
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 8192,
    SIGNATURE_MAX = RSA_BITS_MAX / 8,
    ES256_PART = 32, /* bytes of r, and of s */
};

/* --- base64url ------------------------------------------------------------------ */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void jws_b64url(struct text *t, const void *p, size_t n)
{
    const uint8_t *in = p;

    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i < 3 ? n - i : 3;
        uint32_t v = (uint32_t)in[i] << 16;

        if (left > 1)
            v |= (uint32_t)in[i + 1] << 8;
        if (left > 2)
            v |= in[i + 2];
        for (size_t k = 0; k <= left; k++)
            text_addc(t, alphabet[v >> (18 - 6 * k) & 63]);
    }
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool jws_unb64url(uint8_t *buf, size_t cap, const char *s, size_t n, size_t *ret_n)
{
    size_t out = 0;
    uint32_t bits = 0;
    unsigned have = 0;

    if (n % 4 == 1)
        return false;
    for (size_t i = 0; i < n; i++) {
        int v = sextet(s[i]);

        if (v < 0)
            return false;
        bits = (bits << 6 | (uint32_t)v) & 0xFFFFU;
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (out == cap)
                return false;
            buf[out++] = (uint8_t)(bits >> have);
        }
    }
    /* What is left over says nothing, and must: else one message had several spellings. */
    if ((bits & ((1U << have) - 1)) != 0)
        return false;
    *ret_n = out;
    return true;
}

/* --- keys -------------------------------------------------------------------------- */

const char *jws_alg_name(enum jws_alg alg)
{
    static const char *const names[] = {
        [JWS_PS256] = "PS256", [JWS_RS256] = "RS256", [JWS_ES256] = "ES256", [JWS_EDDSA] = "EdDSA"};

    return names[alg];
}

/* OpenSSL keeps a list of what went wrong, per thread: never leave ours to the next. */
static int openssl_failed(struct err *e, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    err_set_text(e, ERR_INTERNAL, 0, "%s: OpenSSL: %s", what, reason != NULL ? reason : "failed");
    ERR_clear_error();
    return -1;
}

void jws_key_free(struct jws_key *k)
{
    if (k == NULL)
        return;
    EVP_PKEY_free(k->pkey); /* wipes a private key */
    free(k);
}

void jws_key_freep(struct jws_key **k)
{
    jws_key_free(*k);
}

int jws_key_take(EVP_PKEY *pkey, struct jws_key **ret_key, struct err *e)
{
    CLEANUP(jws_key_freep) struct jws_key *k = calloc(1, sizeof(*k));
    char group[32] = "";
    int bits = EVP_PKEY_get_bits(pkey);

    if (k == NULL) {
        EVP_PKEY_free(pkey);
        return err_set(e, ERR_NOMEM, 0, "key");
    }
    k->pkey = pkey;
    k->pss_only = EVP_PKEY_is_a(pkey, "RSA-PSS") == 1;
    k->rsa = k->pss_only || EVP_PKEY_is_a(pkey, "RSA") == 1;
    k->ed25519 = EVP_PKEY_is_a(pkey, "ED25519") == 1;
    k->p256 = EVP_PKEY_is_a(pkey, "EC") == 1 &&
              EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
              strcmp(group, "prime256v1") == 0;
    ERR_clear_error();
    if (!k->rsa && !k->ed25519 && !k->p256)
        return err_set(e, ERR_CONFIG, 0,
                       "a key of another kind than RSA, EC on the curve P-256, or Ed25519");
    if (k->rsa && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX))
        return err_set(e, ERR_CONFIG, 0, "an RSA key of %d bits: it must have %d to %d", bits,
                       RSA_BITS_MIN, RSA_BITS_MAX);
    *ret_key = TAKE(k);
    return 0;
}

/* Nobody is asked for a passphrase, whatever the file says. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static bool has(const uint8_t *p, size_t n, const char *what)
{
    return memmem(p, n, what, strlen(what)) != NULL;
}

static BIO *bio_over(const void *p, size_t n)
{
    return n > INT32_MAX ? NULL : BIO_new_mem_buf(p, (int)n);
}

int jws_key_private(struct secret *pem, struct jws_key **ret_key, struct err *e)
{
    const uint8_t *p = secret_bytes(pem);
    size_t n = secret_len(pem);
    BIO *bio = bio_over(p, n);
    EVP_PKEY *pkey = NULL;

    if (bio == NULL)
        return err_set(e, ERR_NOMEM, 0, "key");
    pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    if (pkey != NULL)
        return jws_key_take(pkey, ret_key, e);
    if (has(p, n, "ENCRYPTED"))
        return err_set(e, ERR_CONFIG, 0,
                       "the private key is encrypted: write it without a passphrase "
                       "(openssl pkey -in OLD -out NEW)");
    if (has(p, n, "PRIVATE KEY-----"))
        return err_set(e, ERR_CONFIG, 0, "the private key is broken");
    return err_set(e, ERR_CONFIG, 0, "no private key in it (\"-----BEGIN PRIVATE KEY-----\")");
}

int jws_key_public(const char *pem, size_t n, struct jws_key **ret_key, struct err *e)
{
    BIO *bio = bio_over(pem, n);
    EVP_PKEY *pkey = NULL;

    if (bio == NULL)
        return err_set(e, ERR_NOMEM, 0, "key");
    if (has((const uint8_t *)pem, n, "-----BEGIN CERTIFICATE-----")) {
        X509 *x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);

        if (x != NULL)
            pkey = X509_get_pubkey(x);
        X509_free(x);
    } else {
        pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (pkey == NULL)
        return err_set(e, ERR_CONFIG, 0, "no public key in it (\"-----BEGIN PUBLIC KEY-----\")");
    return jws_key_take(pkey, ret_key, e);
}

bool jws_key_can(const struct jws_key *k, enum jws_alg alg)
{
    switch (alg) {
    case JWS_PS256:
        return k->rsa;
    case JWS_RS256:
        return k->rsa && !k->pss_only;
    case JWS_ES256:
        return k->p256;
    case JWS_EDDSA:
        return k->ed25519;
    }
    return false;
}

/* A number of the key as base64url: whole for RSA, padded to a coordinate's length for EC. */
static bool jwk_number(const struct jws_key *k, const char *param, size_t pad, struct text *t)
{
    uint8_t buf[SIGNATURE_MAX];
    BIGNUM *bn = NULL;
    int n = -1;

    if (EVP_PKEY_get_bn_param(k->pkey, param, &bn) == 1 && BN_num_bytes(bn) <= (int)sizeof(buf))
        n = BN_bn2binpad(bn, buf, pad != 0 ? (int)pad : BN_num_bytes(bn));
    BN_free(bn);
    if (n > 0)
        jws_b64url(t, buf, (size_t)n);
    return n > 0;
}

int jws_key_thumbprint(const struct jws_key *k, struct text *t, struct err *e)
{
    struct text jwk = TEXT_INIT(4096);
    uint8_t raw[32], hash[ID_SHA256];
    size_t n = sizeof(raw);
    bool ok;
    int rc = -1;

    /* The members in alphabetical order, without white space: RFC 7638, 3. */
    if (k->ed25519) {
        ok = EVP_PKEY_get_raw_public_key(k->pkey, raw, &n) == 1 && n == sizeof(raw);
        text_add(&jwk, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"");
        jws_b64url(&jwk, raw, sizeof(raw));
    } else if (k->p256) {
        text_add(&jwk, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
        ok = jwk_number(k, OSSL_PKEY_PARAM_EC_PUB_X, ES256_PART, &jwk);
        text_add(&jwk, "\",\"y\":\"");
        ok = ok && jwk_number(k, OSSL_PKEY_PARAM_EC_PUB_Y, ES256_PART, &jwk);
    } else {
        text_add(&jwk, "{\"e\":\"");
        ok = jwk_number(k, OSSL_PKEY_PARAM_RSA_E, 0, &jwk);
        text_add(&jwk, "\",\"kty\":\"RSA\",\"n\":\"");
        ok = ok && jwk_number(k, OSSL_PKEY_PARAM_RSA_N, 0, &jwk);
    }
    text_add(&jwk, "\"}");
    if (!ok) {
        (void)openssl_failed(e, "key");
    } else if (text_check(&jwk, "key", e) == 0 && id_sha256(jwk.s, jwk.len, hash, e) == 0) {
        jws_b64url(t, hash, sizeof(hash));
        rc = text_check(t, "key", e);
    }
    text_done(&jwk);
    return rc;
}

/* --- certificates -------------------------------------------------------------------- */

static bool asn1_ms(const ASN1_TIME *at, int64_t *ret_ms)
{
    struct tm tm = {0};

    if (at == NULL || ASN1_TIME_to_tm(at, &tm) != 1)
        return false;
    *ret_ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

static bool cert_read(X509 *x, struct jws_cert *c)
{
    unsigned n1 = 0, n256 = 0;

    return X509_digest(x, EVP_sha1(), c->sha1, &n1) == 1 && n1 == sizeof(c->sha1) &&
           X509_digest(x, EVP_sha256(), c->sha256, &n256) == 1 && n256 == sizeof(c->sha256) &&
           asn1_ms(X509_get0_notBefore(x), &c->from_ms) &&
           asn1_ms(X509_get0_notAfter(x), &c->ends_ms);
}

int jws_cert_of(struct secret *pem, const struct jws_key *k, struct jws_cert *ret_cert,
                struct err *e)
{
    BIO *bio = bio_over(secret_bytes(pem), secret_len(pem));
    struct jws_cert c = {0};
    bool any = false, found = false, ok = false;
    X509 *x;

    if (bio == NULL)
        return err_set(e, ERR_NOMEM, 0, "certificate");
    /* A file may hold a chain, in any order: the one that goes with the key is meant. */
    while (!found && (x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        any = true;
        found = X509_check_private_key(x, k->pkey) == 1;
        ok = found && cert_read(x, &c);
        X509_free(x);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (!any)
        return err_set(e, ERR_CONFIG, 0, "no certificate in it (\"-----BEGIN CERTIFICATE-----\")");
    if (!found)
        return err_set(e, ERR_CONFIG, 0, "no certificate in it belongs to its private key");
    if (!ok)
        return err_set(e, ERR_CONFIG, 0, "its certificate is broken");
    *ret_cert = c;
    return 0;
}

/* --- signing and verifying: the bare signature -------------------------------------------- */

/* A context that is ready to sign, or to verify; NULL where OpenSSL fails. */
static EVP_MD_CTX *context(const struct jws_key *k, enum jws_alg alg, bool verify)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pc = NULL; /* belongs to c */
    const char *md = alg == JWS_EDDSA ? NULL : "SHA256";
    bool ok = c != NULL;

    if (ok)
        ok = (verify ? EVP_DigestVerifyInit_ex(c, &pc, md, NULL, NULL, k->pkey, NULL)
                     : EVP_DigestSignInit_ex(c, &pc, md, NULL, NULL, k->pkey, NULL)) == 1;
    if (ok && alg == JWS_PS256)
        ok = EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_mgf1_md(pc, EVP_sha256()) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, 32) == 1;
    if (ok && alg == JWS_RS256)
        ok = EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PADDING) == 1;
    if (ok)
        return c;
    EVP_MD_CTX_free(c);
    return NULL;
}

/* DER as OpenSSL has it, to r and s of 32 bytes each as JWS wants it; and back. */
static bool es256_raw(uint8_t *sig, size_t *n)
{
    const uint8_t *p = sig;
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)*n);
    uint8_t raw[2 * ES256_PART];
    bool ok = s != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, ES256_PART) == ES256_PART &&
              BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + ES256_PART, ES256_PART) == ES256_PART;

    ECDSA_SIG_free(s);
    if (ok) {
        memcpy(sig, raw, sizeof(raw));
        *n = sizeof(raw);
    }
    return ok;
}

static bool es256_der(uint8_t *sig, size_t cap, size_t *n)
{
    ECDSA_SIG *s = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(sig, ES256_PART, NULL),
           *v = BN_bin2bn(sig + ES256_PART, ES256_PART, NULL);
    uint8_t *p = sig;
    int len = -1;

    if (s != NULL && r != NULL && v != NULL && ECDSA_SIG_set0(s, r, v) == 1) {
        r = v = NULL; /* s has them now */
        len = i2d_ECDSA_SIG(s, NULL);
        if (len > 0 && (size_t)len <= cap)
            len = i2d_ECDSA_SIG(s, &p);
        else
            len = -1;
    }
    BN_free(r);
    BN_free(v);
    ECDSA_SIG_free(s);
    if (len > 0)
        *n = (size_t)len;
    return len > 0;
}

int jws_sign(const struct jws_key *k, enum jws_alg alg, const struct jws_head *head,
             const void *payload, size_t n, struct text *t, struct err *e)
{
    struct text json = TEXT_INIT(JWS_HEADER_MAX), one = TEXT_INIT(64);
    struct json_out o;
    uint8_t sig[SIGNATURE_MAX];
    size_t from = t->len, sig_n = sizeof(sig);
    EVP_MD_CTX *c = NULL;
    bool ok;

    if (!jws_key_can(k, alg))
        return err_set(e, ERR_UNSUPPORTED, 0, "this key cannot sign by %s", jws_alg_name(alg));

    /* Header */
    json_out_init(&o, &json);
    json_out_object(&o, NULL);
    json_out_str(&o, "alg", jws_alg_name(alg));
    if (head->typ != NULL)
        json_out_str(&o, "typ", head->typ);
    if (head->kid != NULL)
        json_out_str(&o, "kid", head->kid);
    if (head->x5t != NULL) {
        jws_b64url(&one, head->x5t->sha1, sizeof(head->x5t->sha1));
        json_out_str(&o, "x5t", one.s);
    }
    if (head->x5t_s256 != NULL) {
        text_clear(&one);
        jws_b64url(&one, head->x5t_s256->sha256, sizeof(head->x5t_s256->sha256));
        json_out_str(&o, "x5t#S256", one.s);
    }
    json_out_end_object(&o);
    ok = !json.failed && !one.failed;
    jws_b64url(t, json.s, json.len);
    text_done(&json);
    text_done(&one);
    if (!ok)
        return err_set(e, ERR_NOMEM, 0, "JWS header");

    /* Payload, signature */
    text_addc(t, '.');
    jws_b64url(t, payload, n);
    if (text_check(t, "JWS", e) < 0)
        return -1;
    c = context(k, alg, /* verify */ false);
    ok = c != NULL &&
         EVP_DigestSign(c, sig, &sig_n, (const uint8_t *)t->s + from, t->len - from) == 1 &&
         (alg != JWS_ES256 || es256_raw(sig, &sig_n));
    EVP_MD_CTX_free(c);
    if (!ok)
        return openssl_failed(e, "sign");
    ERR_clear_error();
    text_addc(t, '.');
    jws_b64url(t, sig, sig_n);
    return text_check(t, "JWS", e);
}

/* --- verifying ----------------------------------------------------------------------------- */

struct parts {
    const char *header, *payload, *sig;
    size_t header_n, payload_n, sig_n;
};

static int split(const char *jws, size_t n, struct parts *ret, struct err *e)
{
    const char *one, *two;

    if (n > JWS_MAX)
        return err_set(e, ERR_TOOBIG, 0, "JWS: over %d bytes", JWS_MAX);
    one = memchr(jws, '.', n);
    two = one != NULL ? memchr(one + 1, '.', n - (size_t)(one + 1 - jws)) : NULL;
    if (two == NULL)
        return err_set(e, ERR_INVALID, 0, "JWS: not three parts with dots between them");
    *ret = (struct parts){.header = jws,
                          .header_n = (size_t)(one - jws),
                          .payload = one + 1,
                          .payload_n = (size_t)(two - one - 1),
                          .sig = two + 1,
                          .sig_n = n - (size_t)(two + 1 - jws)};
    return 0; /* a third dot is no letter of the signature */
}

/* What a header may not have: it would bring its own key, or change what is signed. */
static const char *const refused[] = {"crit", "b64", "jwk", "jku", "x5u", "x5c"};

static int header_read(const struct parts *p, struct cJSON **ret_json, struct err *e)
{
    static const struct json_limits lim = {
        .bytes = JWS_HEADER_MAX, .depth = 4, .members = 32, .string = 1024};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    uint8_t buf[JWS_HEADER_MAX];
    size_t n = 0;

    if (p->header_n > JWS_HEADER_MAX / 3 * 4)
        return err_set(e, ERR_TOOBIG, 0, "JWS: a header over %d bytes", JWS_HEADER_MAX);
    if (!jws_unb64url(buf, sizeof(buf), p->header, p->header_n, &n))
        return err_set(e, ERR_INVALID, 0, "JWS: the header is no base64url");
    if (json_parse((const char *)buf, n, &lim, &j, e) < 0)
        return err_wrap(e, "JWS: header");
    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, 0, "JWS: the header is no object");
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (json_get(j, refused[i]) != NULL)
            return err_set(e, ERR_INVALID, 0, "JWS: '%s' in the header is not taken", refused[i]);
    }
    *ret_json = TAKE(j);
    return 0;
}

int jws_peek(const char *jws, size_t n, struct jws_hint *ret_hint, struct err *e)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct parts p;
    const char *alg, *typ, *kid;

    if (split(jws, n, &p, e) < 0 || header_read(&p, &j, e) < 0)
        return -1;
    alg = json_str(j, "alg");
    typ = json_str(j, "typ");
    kid = json_str(j, "kid");
    if (kid == NULL && json_get(j, "kid") != NULL)
        return err_set(e, ERR_INVALID, 0, "JWS: 'kid' is no string");
    if (kid != NULL && strlen(kid) >= JWS_KID)
        return err_set(e, ERR_TOOBIG, 0, "JWS: 'kid' over %d bytes", JWS_KID - 1);
    (void)snprintf(ret_hint->alg, sizeof(ret_hint->alg), "%s", alg != NULL ? alg : "");
    (void)snprintf(ret_hint->typ, sizeof(ret_hint->typ), "%s", typ != NULL ? typ : "");
    (void)snprintf(ret_hint->kid, sizeof(ret_hint->kid), "%s", kid != NULL ? kid : "");
    return 0;
}

int jws_kid(const char *jws, size_t n, char kid[JWS_KID], struct err *e)
{
    struct jws_hint hint;

    if (jws_peek(jws, n, &hint, e) < 0)
        return -1;
    memcpy(kid, hint.kid, JWS_KID);
    return 0;
}

/* Does the message say what we know already? */
static int header_check(const struct parts *p, enum jws_alg alg, const char *typ, struct err *e)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    char shown[TEXT_SHOWN];
    const char *s;

    if (header_read(p, &j, e) < 0)
        return -1;
    s = json_str(j, "alg");
    if (s == NULL || strcmp(s, jws_alg_name(alg)) != 0)
        return err_set(e, ERR_INVALID, 0, "JWS: signed by '%s', and the key is for %s",
                       text_shown(shown, s != NULL ? s : ""), jws_alg_name(alg));
    s = json_str(j, "typ");
    if (typ != NULL && (s == NULL || strcmp(s, typ) != 0))
        return err_set(e, ERR_INVALID, 0, "JWS: of the type '%s', not '%s'",
                       text_shown(shown, s != NULL ? s : ""), typ);
    return 0;
}

static int signature_check(const struct jws_key *k, enum jws_alg alg, const struct parts *p,
                           struct err *e)
{
    uint8_t sig[SIGNATURE_MAX];
    size_t n = 0, signed_n = p->header_n + 1 + p->payload_n;
    EVP_MD_CTX *c = NULL;
    int ok = 0;

    if (!jws_unb64url(sig, sizeof(sig), p->sig, p->sig_n, &n))
        return err_set(e, ERR_INVALID, 0, "JWS: the signature is no base64url");
    if (alg == JWS_ES256 && n != 2 * ES256_PART)
        return err_set(e, ERR_INVALID, 0, "JWS: an ES256 signature of %zu bytes, not 64", n);
    if (alg == JWS_ES256 && !es256_der(sig, sizeof(sig), &n))
        return openssl_failed(e, "JWS");
    c = context(k, alg, /* verify */ true);
    if (c == NULL)
        return openssl_failed(e, "JWS");
    ok = EVP_DigestVerify(c, sig, n, (const uint8_t *)p->header, signed_n);
    EVP_MD_CTX_free(c);
    ERR_clear_error();
    if (ok != 1)
        return err_set(e, ERR_DENIED, 0, "JWS: the signature is not by this key");
    return 0;
}

int jws_verify(const struct jws_key *k, enum jws_alg alg, const char *typ, const char *jws,
               size_t n, struct text *payload, struct err *e)
{
    CLEANUP(cleanup_charp) char *buf = NULL;
    struct parts p;
    size_t got = 0, cap;

    if (!jws_key_can(k, alg))
        return err_set(e, ERR_UNSUPPORTED, 0, "this key cannot verify %s", jws_alg_name(alg));
    if (split(jws, n, &p, e) < 0 || header_check(&p, alg, typ, e) < 0 ||
        signature_check(k, alg, &p, e) < 0)
        return -1;

    cap = p.payload_n / 4 * 3 + 3;
    buf = malloc(cap);
    if (buf == NULL)
        return err_set(e, ERR_NOMEM, 0, "JWS");
    if (!jws_unb64url((uint8_t *)buf, cap, p.payload, p.payload_n, &got))
        return err_set(e, ERR_INVALID, 0, "JWS: the payload is no base64url");
    if (got > payload->max - payload->len)
        return err_set(e, ERR_TOOBIG, 0, "JWS: a payload over %zu bytes", payload->max);
    text_addn(payload, buf, got);
    return text_check(payload, "JWS payload", e);
}
