/* tests/unit/base/test_jws.c -- signatures, by the examples of the RFCs and by OpenSSL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/cleanup.h"
#include "base/jws.h"
#include "tests/unit/keys.h"

/* RFC 7515 A.2.1, A.3.1; RFC 8037 A.4 */
#define RFC_CLAIMS \
    "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"
#define RFC_CLAIMS_64                                                                              \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"
#define RFC_RS256                                                                                \
    "eyJhbGciOiJSUzI1NiJ9." RFC_CLAIMS_64                                                        \
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W"  \
    "2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjt" \
    "QBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6I" \
    "eYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define RFC_ES256_SIG \
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define RFC_ES256 "eyJhbGciOiJFUzI1NiJ9." RFC_CLAIMS_64 "." RFC_ES256_SIG
#define RFC_EDDSA                                               \
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc." \
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"

static struct secret *secret_of(const char *s)
{
    struct secret *k = NULL;
    struct err e;

    assert_int_equal(secret_new(strlen(s), &k, &e), 0);
    memcpy(secret_bytes(k), s, strlen(s));
    return k;
}

static struct jws_key *private_key(const char *pem)
{
    CLEANUP(secret_freep) struct secret *s = secret_of(pem);
    struct jws_key *k = NULL;
    struct err e = ERR_NONE;

    if (jws_key_private(s, &k, &e) < 0)
        fail_msg("%s", e.msg);
    return k;
}

static struct jws_key *public_key(const char *pem)
{
    struct jws_key *k = NULL;
    struct err e = ERR_NONE;

    if (jws_key_public(pem, strlen(pem), &k, &e) < 0)
        fail_msg("%s", e.msg);
    return k;
}

/* As verify does, in a block of memory without a byte behind it. */
static enum err_code verify(const struct jws_key *k, enum jws_alg alg, const char *typ,
                            const char *jws, struct text *payload)
{
    CLEANUP(cleanup_charp) char *exact = malloc(strlen(jws) + (jws[0] == '\0'));
    struct err e = ERR_NONE;

    assert_non_null(exact);
    memcpy(exact, jws, strlen(jws));
    if (jws_verify(k, alg, typ, exact, strlen(jws), payload, &e) == 0)
        return ERR_OK;
    assert_int_equal(payload->len, 0);
    assert_true(e.msg[0] != '\0');
    return e.code;
}

static void base64url(void **state)
{
    static const struct {
        const char *plain, *coded;
    } good[] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xFF\xFE\xFD", "__79"},
        {"\xFB\xEF", "--8"}};
    static const char *const bad[] = {"Z",    "Zg==",  "Zg=",   "Zh",   "Zm9=",  "Zm9v=",   "Zm8 ",
                                      " Zm8", "Zm\n8", "Zm9vY", "+/79", "Zm9v.", "Zm9v\x80"};
    uint8_t buf[16];
    size_t n;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct text t = TEXT_INIT(64);

        jws_b64url(&t, good[i].plain, strlen(good[i].plain));
        assert_string_equal(t.s, good[i].coded);
        text_done(&t);
        assert_true(jws_unb64url(buf, sizeof(buf), good[i].coded, strlen(good[i].coded), &n));
        assert_int_equal(n, strlen(good[i].plain));
        assert_memory_equal(buf, good[i].plain, n);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (jws_unb64url(buf, sizeof(buf), bad[i], strlen(bad[i]), &n))
            fail_msg("taken: '%s'", bad[i]);
    }
    assert_true(jws_unb64url(buf, 6, "Zm9vYmFy", 8, &n));
    assert_false(jws_unb64url(buf, 5, "Zm9vYmFy", 8, &n));
}

/* R3: the examples of the standards */
static void rfc_examples(void **state)
{
    CLEANUP(jws_key_freep) struct jws_key *rsa = public_key(key_rsa_public);
    CLEANUP(jws_key_freep) struct jws_key *ec = public_key(key_ec_public);
    CLEANUP(jws_key_freep) struct jws_key *ed = public_key(key_ed_public);
    CLEANUP(jws_key_freep) struct jws_key *rsa_own = private_key(key_rsa_private);
    CLEANUP(jws_key_freep) struct jws_key *ed_own = private_key(key_ed_private);
    struct text t = TEXT_INIT(4096);
    struct err e = ERR_NONE;

    (void)state;
    assert_int_equal(verify(rsa, JWS_RS256, NULL, RFC_RS256, &t), ERR_OK);
    assert_string_equal(t.s, RFC_CLAIMS);
    text_clear(&t);
    assert_int_equal(verify(ec, JWS_ES256, NULL, RFC_ES256, &t), ERR_OK);
    assert_string_equal(t.s, RFC_CLAIMS);
    text_clear(&t);
    assert_int_equal(verify(ed, JWS_EDDSA, NULL, RFC_EDDSA, &t), ERR_OK);
    assert_string_equal(t.s, "Example of Ed25519 signing");

    /* These two are the same each time: what we make is what the standard prints. */
    text_clear(&t);
    assert_int_equal(
        jws_sign(rsa_own, JWS_RS256, &(struct jws_head){0}, RFC_CLAIMS, strlen(RFC_CLAIMS), &t, &e),
        0);
    assert_string_equal(t.s, RFC_RS256);
    text_clear(&t);
    assert_int_equal(jws_sign(ed_own, JWS_EDDSA, &(struct jws_head){0},
                              "Example of Ed25519 signing", 26, &t, &e),
                     0);
    assert_string_equal(t.s, RFC_EDDSA);
    text_done(&t);
}

/* RFC 8037 A.3, and RFC 7638's rule for the two other kinds */
static void thumbprints(void **state)
{
    static const struct {
        const char *pem, *want;
    } keys[] = {{key_ed_public, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
                {key_rsa_public, "IsUn6_e04MaShXFIISMp4kG62LWzMIPy_MvSA5pJgX8"},
                {key_ec_public, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        CLEANUP(jws_key_freep) struct jws_key *k = public_key(keys[i].pem);
        struct text t = TEXT_INIT(64);
        struct err e;

        assert_int_equal(jws_key_thumbprint(k, &t, &e), 0);
        assert_string_equal(t.s, keys[i].want);
        text_done(&t);
    }
}

/* Sign by us, take the message apart by hand, verify by OpenSSL's own door. */
static void openssl_agrees(void **state)
{
    static const struct {
        enum jws_alg alg;
        const char *own, *pub;
    } cases[] = {{JWS_PS256, key_rsa_private, key_rsa_public},
                 {JWS_RS256, key_rsa_private, key_rsa_public},
                 {JWS_ES256, key_ec_private, key_ec_public},
                 {JWS_EDDSA, key_ed_private, key_ed_public}};

    (void)state;
    /* ECDSA draws numbers whose first byte is zero now and then: often enough to meet that. */
    for (size_t round = 0; round < 600; round++) {
        size_t i = round % 16 == 0 ? round / 16 % 4 : 2;
        CLEANUP(jws_key_freep) struct jws_key *own = private_key(cases[i].own);
        CLEANUP(jws_key_freep) struct jws_key *pub = public_key(cases[i].pub);
        struct text t = TEXT_INIT(4096), back = TEXT_INIT(64);
        BIO *bio = BIO_new_mem_buf(cases[i].pub, -1);
        EVP_PKEY *pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        EVP_PKEY_CTX *pc = NULL;
        uint8_t sig[512], der[80];
        size_t n = 0;
        char *dot;
        struct err e = ERR_NONE;

        assert_int_equal(
            jws_sign(own, cases[i].alg, &(struct jws_head){.typ = "JWT"}, "{}", 2, &t, &e), 0);
        assert_int_equal(verify(pub, cases[i].alg, "JWT", t.s, &back), ERR_OK);
        assert_string_equal(back.s, "{}");
        dot = strrchr(t.s, '.');
        assert_true(jws_unb64url(sig, sizeof(sig), dot + 1, strlen(dot + 1), &n));
        assert_int_equal(n, cases[i].alg == JWS_PS256 || cases[i].alg == JWS_RS256 ? 256 : 64);
        if (cases[i].alg == JWS_ES256) { /* DER by hand */
            size_t at = 2;

            for (int half = 0; half < 2; half++) {
                const uint8_t *p = sig + 32 * half;
                size_t len = 32;

                while (len > 1 && *p == 0) {
                    p++;
                    len--;
                }
                der[at++] = 2;
                der[at++] = (uint8_t)(len + (*p >= 0x80));
                if (*p >= 0x80)
                    der[at++] = 0;
                memcpy(der + at, p, len);
                at += len;
            }
            der[0] = 0x30;
            der[1] = (uint8_t)(at - 2);
            memcpy(sig, der, at);
            n = at;
        }
        assert_int_equal(EVP_DigestVerifyInit(
                             c, &pc, cases[i].alg == JWS_EDDSA ? NULL : EVP_sha256(), NULL, pkey),
                         1);
        if (cases[i].alg == JWS_PS256) {
            assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING), 1);
            assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, 32), 1);
        }
        assert_int_equal(EVP_DigestVerify(c, sig, n, (uint8_t *)t.s, (size_t)(dot - t.s)), 1);
        EVP_MD_CTX_free(c);
        EVP_PKEY_free(pkey);
        BIO_free(bio);
        text_done(&t);
        text_done(&back);
    }
}

/* Encode a header of ours by hand in front of a payload, and sign it rightly with the EC key. */
static void forge(struct text *t, const char *header)
{
    struct text whole = TEXT_INIT(8192);
    BIO *bio = BIO_new_mem_buf(key_ec_private, -1);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    uint8_t sig[80], raw[64] = {0};
    size_t n = sizeof(sig);
    const uint8_t *p = sig;

    jws_b64url(&whole, header, strlen(header));
    text_add(&whole, ".e30");
    assert_int_equal(EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, pkey), 1);
    assert_int_equal(EVP_DigestSign(c, sig, &n, (uint8_t *)whole.s, whole.len), 1);
    p += 2;
    for (int half = 0; half < 2; half++) {
        size_t len = p[1];

        p += 2;
        while (len > 32) {
            p++;
            len--;
        }
        memcpy(raw + 32 * half + 32 - len, p, len);
        p += len;
    }
    text_addc(&whole, '.');
    jws_b64url(&whole, raw, sizeof(raw));
    text_clear(t);
    text_add(t, whole.s);
    text_done(&whole);
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(pkey);
    BIO_free(bio);
}

/* R3: rightly signed, and refused all the same */
static void headers(void **state)
{
    static const struct {
        const char *header;
        const char *typ;
        enum err_code want;
    } cases[] = {
        {"{\"alg\":\"ES256\"}", NULL, ERR_OK},
        {"{\"alg\":\"ES256\",\"typ\":\"cordon-request+jws;v=1\"}", "cordon-request+jws;v=1",
         ERR_OK},
        {"{\"alg\":\"ES256\",\"kid\":\"k1\",\"x\":[1,{\"y\":null}]}", NULL, ERR_OK},
        {"{\"alg\":\"ES256\"}", "cordon-request+jws;v=1", ERR_INVALID},
        {"{\"alg\":\"ES256\",\"typ\":\"CORDON-request+jws;v=1\"}", "cordon-request+jws;v=1",
         ERR_INVALID},
        {"{\"alg\":\"ES256\",\"typ\":7}", "7", ERR_INVALID},
        {"{}", NULL, ERR_INVALID},
        {"[]", NULL, ERR_INVALID},
        {"", NULL, ERR_INVALID},
        {"{\"alg\":\"none\"}", NULL, ERR_INVALID},
        {"{\"alg\":\"es256\"}", NULL, ERR_INVALID},
        {"{\"alg\":\"HS256\"}", NULL, ERR_INVALID},
        {"{\"alg\":\"EdDSA\"}", NULL, ERR_INVALID},
        {"{\"alg\":256}", NULL, ERR_INVALID},
        {"{\"alg\":\"ES256\",\"alg\":\"ES256\"}", NULL, ERR_INVALID},
        {"{\"alg\":\"ES256\",\"\\u0061lg\":\"none\"}", NULL, ERR_INVALID},
        {"{\"alg\":\"ES256\",\"crit\":[\"exp\"],\"exp\":1}", NULL, ERR_INVALID},
        {"{\"alg\":\"ES256\",\"b64\":true}", NULL, ERR_INVALID},
        {"{\"alg\":\"ES256\",\"jwk\":{}}", NULL, ERR_INVALID},
        {"{\"alg\":\"ES256\",\"jku\":\"https://a\"}", NULL, ERR_INVALID},
        {"{\"alg\":\"ES256\",\"x5u\":null}", NULL, ERR_INVALID},
        {"{\"alg\":\"ES256\",\"x5c\":[]}", NULL, ERR_INVALID},
        {"{\"alg\":\"ES256\"} x", NULL, ERR_INVALID},
        {"{\"alg\":\"ES256\",\"a\":[[[[1]]]]}", NULL, ERR_TOOBIG},
    };
    CLEANUP(jws_key_freep) struct jws_key *ec = public_key(key_ec_public);
    struct text t = TEXT_INIT(8192), back = TEXT_INIT(64);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum err_code got;

        forge(&t, cases[i].header);
        text_clear(&back);
        got = verify(ec, JWS_ES256, cases[i].typ, t.s, &back);
        if (got != cases[i].want)
            fail_msg("%s: %s, not %s", cases[i].header, err_word(got), err_word(cases[i].want));
    }
    text_done(&t);
    text_done(&back);
}

/* Not a byte may differ, and there is one spelling only. */
static void changed(void **state)
{
    CLEANUP(jws_key_freep) struct jws_key *rsa = public_key(key_rsa_public);
    CLEANUP(jws_key_freep) struct jws_key *ec = public_key(key_ec_public);
    CLEANUP(jws_key_freep) struct jws_key *ed = public_key(key_ed_public);
    CLEANUP(jws_key_freep) struct jws_key *other = public_key(cert_other);
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "...",
                                      "e30",
                                      "e30.e30",
                                      RFC_ES256 ".",
                                      RFC_ES256 "=",
                                      RFC_ES256 "\n",
                                      " " RFC_ES256,
                                      RFC_ES256 ".e30"};
    struct text t = TEXT_INIT(4096), small = TEXT_INIT(sizeof(RFC_CLAIMS) - 2);
    char buf[sizeof(RFC_ES256)];

    (void)state;
    for (size_t i = 0; i < sizeof(RFC_ES256) - 1; i++) {
        memcpy(buf, RFC_ES256, sizeof(buf));
        buf[i] = buf[i] == 'A' ? 'B' : 'A';
        assert_int_not_equal(verify(ec, JWS_ES256, NULL, buf, &t), ERR_OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(verify(ec, JWS_ES256, NULL, bad[i], &t), ERR_INVALID);

    /* The last letter of the ES256 signature has four unused bits: Q to R changes one of those. */
    memcpy(buf, RFC_ES256, sizeof(buf));
    assert_int_equal(buf[sizeof(buf) - 2], 'Q');
    buf[sizeof(buf) - 2] = 'R';
    assert_int_equal(verify(ec, JWS_ES256, NULL, buf, &t), ERR_INVALID);

    /* The wrong key of the right kind; the right key by the other algorithm; the wrong kind. */
    assert_int_equal(verify(other, JWS_RS256, NULL, RFC_RS256, &t), ERR_DENIED);
    assert_int_equal(verify(rsa, JWS_PS256, NULL, RFC_RS256, &t), ERR_INVALID);
    assert_int_equal(verify(rsa, JWS_ES256, NULL, RFC_ES256, &t), ERR_UNSUPPORTED);
    assert_int_equal(verify(ed, JWS_ES256, NULL, RFC_ES256, &t), ERR_UNSUPPORTED);
    assert_int_equal(verify(ec, JWS_EDDSA, NULL, RFC_EDDSA, &t), ERR_UNSUPPORTED);

    /* Limits */
    assert_int_equal(verify(ec, JWS_ES256, NULL, RFC_ES256, &small), ERR_TOOBIG);
    {
        CLEANUP(cleanup_charp) char *big = malloc(JWS_MAX + 2);

        assert_non_null(big);
        memset(big, 'A', JWS_MAX + 1);
        big[JWS_MAX + 1] = '\0';
        assert_int_equal(verify(ec, JWS_ES256, NULL, big, &t), ERR_TOOBIG);
        big[3000] = big[3010] = '.';
        big[4000] = '\0';
        assert_int_equal(verify(ec, JWS_ES256, NULL, big, &t), ERR_TOOBIG);
    }
    text_done(&t);
    text_done(&small);
}

/* PSS with a salt of another length is not PS256. */
static void salt(void **state)
{
    CLEANUP(jws_key_freep) struct jws_key *rsa = public_key(key_rsa_public);
    static const char head[] = "{\"alg\":\"PS256\"}";

    (void)state;
    for (int len = 0; len <= 64; len += 32) {
        struct text t = TEXT_INIT(4096), back = TEXT_INIT(64);
        BIO *bio = BIO_new_mem_buf(key_rsa_private, -1);
        EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        EVP_PKEY_CTX *pc = NULL;
        uint8_t sig[256];
        size_t n = sizeof(sig);

        jws_b64url(&t, head, sizeof(head) - 1);
        text_add(&t, ".e30");
        assert_int_equal(EVP_DigestSignInit(c, &pc, EVP_sha256(), NULL, pkey), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, len), 1);
        assert_int_equal(EVP_DigestSign(c, sig, &n, (uint8_t *)t.s, t.len), 1);
        text_addc(&t, '.');
        jws_b64url(&t, sig, n);
        assert_int_equal(verify(rsa, JWS_PS256, NULL, t.s, &back), len == 32 ? ERR_OK : ERR_DENIED);
        EVP_MD_CTX_free(c);
        EVP_PKEY_free(pkey);
        BIO_free(bio);
        text_done(&t);
        text_done(&back);
    }
}

static void key_ids(void **state)
{
    CLEANUP(jws_key_freep) struct jws_key *ed = private_key(key_ed_private);
    struct text t = TEXT_INIT(4096);
    char kid[JWS_KID], longest[JWS_KID + 1];
    struct err e;

    (void)state;
    assert_int_equal(jws_kid(RFC_ES256, strlen(RFC_ES256), kid, &e), 0);
    assert_string_equal(kid, "");
    memset(longest, 'k', sizeof(longest));
    longest[JWS_KID - 1] = '\0';
    assert_int_equal(jws_sign(ed, JWS_EDDSA, &(struct jws_head){.kid = longest}, "", 0, &t, &e), 0);
    assert_int_equal(jws_kid(t.s, t.len, kid, &e), 0);
    assert_string_equal(kid, longest);
    longest[JWS_KID - 1] = 'k';
    longest[JWS_KID] = '\0';
    text_clear(&t);
    assert_int_equal(jws_sign(ed, JWS_EDDSA, &(struct jws_head){.kid = longest}, "", 0, &t, &e), 0);
    assert_int_equal(jws_kid(t.s, t.len, kid, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    text_clear(&t);
    jws_b64url(&t, "{\"kid\":3}", 9);
    text_add(&t, "..");
    assert_int_equal(jws_kid(t.s, t.len, kid, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
    text_done(&t);
}

/* What is no key for us, and in which words. */
static void no_keys(void **state)
{
    static const struct {
        const char *pem, *word;
    } texts[] = {{"", "no private key"},
                 {key_rsa_public, "no private key"},
                 {cert_rsa, "no private key"},
                 {"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n", "broken"}};
    CLEANUP(jws_key_freep) struct jws_key *k = NULL;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CLEANUP(secret_freep) struct secret *s = secret_of(texts[i].pem);

        assert_int_equal(jws_key_private(s, &k, &e), -1);
        assert_int_equal(e.code, ERR_CONFIG);
        assert_non_null(strstr(e.msg, texts[i].word));
    }
    /* Kinds and sizes */
    for (int i = 0; i < 5; i++) {
        EVP_PKEY *pkey = i == 0   ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024)
                         : i == 1 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384")
                         : i == 2 ? EVP_PKEY_Q_keygen(NULL, NULL, "X25519")
                         : i == 3 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED448")
                                  : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
        BIO *bio = BIO_new(BIO_s_mem());
        CLEANUP(secret_freep) struct secret *s = NULL;
        CLEANUP(cleanup_charp) char *pem = NULL;
        char *p = NULL;
        long n;

        assert_non_null(pkey);
        assert_int_equal(PEM_write_bio_PrivateKey(bio, pkey, i == 4 ? EVP_aes_128_cbc() : NULL,
                                                  (const unsigned char *)"pass", i == 4 ? 4 : 0,
                                                  NULL, NULL),
                         1);
        n = BIO_get_mem_data(bio, &p);
        pem = strndup(p, (size_t)n);
        s = secret_of(pem);
        assert_int_equal(jws_key_private(s, &k, &e), -1);
        assert_int_equal(e.code, ERR_CONFIG);
        assert_non_null(strstr(e.msg, i == 0 ? "1024" : i == 4 ? "encrypted" : "kind"));
        BIO_free(bio);
        EVP_PKEY_free(pkey);
    }
    assert_int_equal(jws_key_public("", 0, &k, &e), -1);
    assert_int_equal(jws_key_public(key_rsa_private, strlen(key_rsa_private), &k, &e), -1);
    assert_null(k);
}

/* A key that is bound to PSS signs by PS256 and nothing else. */
static void pss_only(void **state)
{
    CLEANUP(jws_key_freep) struct jws_key *k = NULL;
    CLEANUP(secret_freep) struct secret *s = NULL;
    CLEANUP(cleanup_charp) char *pem = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    EVP_PKEY *pkey = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    struct text t = TEXT_INIT(4096), back = TEXT_INIT(64);
    struct err e = ERR_NONE;
    char *p = NULL;
    long len;

    (void)state;
    assert_int_equal(EVP_PKEY_keygen_init(c), 1);
    assert_int_equal(EVP_PKEY_generate(c, &pkey), 1);
    assert_int_equal(PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
    len = BIO_get_mem_data(bio, &p);
    pem = strndup(p, (size_t)len);
    s = secret_of(pem);
    if (jws_key_private(s, &k, &e) < 0)
        fail_msg("%s", e.msg);
    assert_true(jws_key_can(k, JWS_PS256));
    assert_false(jws_key_can(k, JWS_RS256));
    assert_int_equal(jws_sign(k, JWS_RS256, &(struct jws_head){0}, "", 0, &t, &e), -1);
    assert_int_equal(e.code, ERR_UNSUPPORTED);
    assert_int_equal(jws_sign(k, JWS_PS256, &(struct jws_head){0}, "x", 1, &t, &e), 0);
    assert_int_equal(verify(k, JWS_PS256, NULL, t.s, &back), ERR_OK);
    text_done(&t);
    text_done(&back);
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    EVP_PKEY_CTX_free(c);
}

/* The certificate that goes with the key, wherever it stands in the file. */
static void certificates(void **state)
{
    CLEANUP(jws_key_freep) struct jws_key *k = private_key(key_rsa_private);
    CLEANUP(secret_freep) struct secret *none = secret_of(key_rsa_private);
    CLEANUP(secret_freep) struct secret *wrong = secret_of(cert_other);
    const char *orders[][3] = {{cert_rsa, key_rsa_private, ""},
                               {key_rsa_private, cert_other, cert_rsa},
                               {cert_other, cert_rsa, key_rsa_private}};
    struct jws_cert c;
    struct text t = TEXT_INIT(4096);
    struct err e = ERR_NONE;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        CLEANUP(secret_freep) struct secret *s = NULL;
        CLEANUP(jws_key_freep) struct jws_key *again = NULL;

        text_clear(&t);
        for (size_t j = 0; j < 3; j++)
            text_addf(&t, "words around it\n%s", orders[i][j]);
        s = secret_of(t.s);
        assert_int_equal(jws_key_private(s, &again, &e), 0);
        assert_int_equal(jws_cert_of(s, again, &c, &e), 0);
        text_clear(&t);
        jws_b64url(&t, c.sha1, sizeof(c.sha1));
        assert_string_equal(t.s, CERT_RSA_X5T);
        text_clear(&t);
        jws_b64url(&t, c.sha256, sizeof(c.sha256));
        assert_string_equal(t.s, CERT_RSA_X5T_S256);
        assert_int_equal(c.from_ms, INT64_C(1577836800000));
        assert_int_equal(c.ends_ms, INT64_C(4733510400000));
    }
    assert_int_equal(jws_cert_of(none, k, &c, &e), -1);
    assert_non_null(strstr(e.msg, "no certificate in it ("));
    assert_int_equal(jws_cert_of(wrong, k, &c, &e), -1);
    assert_non_null(strstr(e.msg, "belongs to its private key"));

    text_clear(&t);
    assert_int_equal(jws_cert_of(wrong, k, &c, &e), -1);
    {
        CLEANUP(secret_freep) struct secret *s = secret_of(cert_rsa);

        assert_int_equal(jws_cert_of(s, k, &c, &e), 0);
        assert_int_equal(jws_sign(k, JWS_PS256,
                                  &(struct jws_head){.typ = "JWT", .x5t_s256 = &c, .x5t = &c}, "{}",
                                  2, &t, &e),
                         0);
    }
    {
        uint8_t head[512];
        size_t n = 0;

        assert_true(jws_unb64url(head, sizeof(head) - 1, t.s, strcspn(t.s, "."), &n));
        head[n] = '\0';
        assert_string_equal(head, "{\"alg\":\"PS256\",\"typ\":\"JWT\",\"x5t\":\"" CERT_RSA_X5T
                                  "\",\"x5t#S256\":\"" CERT_RSA_X5T_S256 "\"}");
    }
    text_done(&t);
}

/* A pair of our own making: sign with one half as it is on disk, verify with the other. */
static void new_keys(void **state)
{
    static const enum jws_alg algs[] = {JWS_EDDSA, JWS_ES256};
    CLEANUP(jws_key_freep) struct jws_key *none = NULL;
    char first[64] = "";
    struct err e;

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(algs); i++) {
        CLEANUP(jws_key_freep) struct jws_key *k = NULL, *own = NULL, *pub = NULL;
        CLEANUP(secret_freep) struct secret *pem = NULL;
        struct text pub_pem = TEXT_INIT(4096), t = TEXT_INIT(4096), back = TEXT_INIT(64);
        struct text kid = TEXT_INIT(64), pub_kid = TEXT_INIT(64);

        assert_int_equal(jws_key_new(algs[i / 2], &k, &e), 0);
        assert_int_equal(jws_key_private_pem(k, &pem, &e), 0);
        assert_non_null(strstr((const char *)secret_bytes(pem), "BEGIN PRIVATE KEY"));
        assert_int_equal(jws_key_private(pem, &own, &e), 0);
        assert_int_equal(jws_key_public_pem(k, &pub_pem, &e), 0);
        assert_null(strstr(pub_pem.s, "PRIVATE"));
        assert_int_equal(jws_key_public(pub_pem.s, pub_pem.len, &pub, &e), 0);
        assert_int_equal(jws_key_thumbprint(own, &kid, &e), 0);
        assert_int_equal(jws_key_thumbprint(pub, &pub_kid, &e), 0);
        assert_string_equal(kid.s, pub_kid.s);
        assert_string_not_equal(kid.s, first); /* never the same twice */
        (void)snprintf(first, sizeof(first), "%s", kid.s);
        assert_int_equal(jws_sign(own, algs[i / 2], &(struct jws_head){.typ = "x", .kid = kid.s},
                                  "hi", 2, &t, &e),
                         0);
        assert_int_equal(verify(pub, algs[i / 2], "x", t.s, &back), ERR_OK);
        assert_string_equal(back.s, "hi");
        text_done(&pub_pem);
        text_done(&t);
        text_done(&back);
        text_done(&kid);
        text_done(&pub_kid);
    }
    assert_int_equal(jws_key_new(JWS_RS256, &none, &e), -1);
    assert_int_equal(e.code, ERR_UNSUPPORTED);
}

/* What a header says of itself is not verified, and long words are cut. */
static void peek(void **state)
{
    CLEANUP(jws_key_freep) struct jws_key *own = private_key(key_ed_private);
    struct text t = TEXT_INIT(4096);
    struct jws_hint hint;
    struct err e;

    (void)state;
    assert_int_equal(
        jws_sign(own, JWS_EDDSA, &(struct jws_head){.typ = "a", .kid = "b"}, "", 0, &t, &e), 0);
    t.s[t.len - 1] = '!'; /* the signature is not looked at */
    assert_int_equal(jws_peek(t.s, t.len, &hint, &e), 0);
    assert_string_equal(hint.alg, "EdDSA");
    assert_string_equal(hint.typ, "a");
    assert_string_equal(hint.kid, "b");
    text_clear(&t);
    jws_b64url(&t, "{\"alg\":\"EdDSAEdDSAEdDSAEdDSA\"}", 30);
    text_add(&t, "..");
    assert_int_equal(jws_peek(t.s, t.len, &hint, &e), 0);
    assert_string_equal(hint.alg, "EdDSAEdDSAEdDSA");
    assert_string_equal(hint.typ, "");
    text_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64url),    cmocka_unit_test(rfc_examples),
        cmocka_unit_test(thumbprints),  cmocka_unit_test(new_keys),
        cmocka_unit_test(peek),         cmocka_unit_test(openssl_agrees),
        cmocka_unit_test(headers),      cmocka_unit_test(changed),
        cmocka_unit_test(salt),         cmocka_unit_test(key_ids),
        cmocka_unit_test(no_keys),      cmocka_unit_test(pss_only),
        cmocka_unit_test(certificates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
