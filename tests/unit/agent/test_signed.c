/* tests/unit/agent/test_signed.c -- every reason to refuse a signed request, and the few not to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "agent/intake/result.h"
#include "agent/intake/signed.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/stamp.h"
#include "config/keys.h"
#include "tests/unit/alloc.h"
#include "tests/unit/keys.h"

#define CONF                                                                          \
    "[cordon]\ndomains = corp.example.com, b.example.com\n"                           \
    "[domain/corp.example.com]\n[domain/b.example.com]\n"                             \
    "[signer/soar]\nkey = /1\nnext_key = /2\n"                                        \
    "not_before = 2026-11-01\nnot_after = 2026-11-21T12:00:00Z\n"                     \
    "next_not_before = 2026-11-21T09:00:00Z\nnext_not_after = 2027-01-01\n"           \
    "actions = disable, revoke, contain, expire-password\n"                           \
    "[signer/narrow]\nkey = /3\nactions = disable, revoke\ndomains = b.example.com\n" \
    "accounts = svc-*, adm-*\nscope = cloud\n"                                        \
    "[queue]\ndirectory = /q\nmax_age = 1h\n"

#define NOON "2026-11-21T09:14:03Z" /* when requests here are issued */
#define TYPE "\"typ\":\"" SIGNED_REQUEST_TYPE "\""
#define BODY(action, account, scope, issued, expires, audience)                               \
    "{\"id\":\"01KAM6V4QZ5Y8S3T9W2X7R1B0C\",\"action\":\"" action "\",\"account\":\"" account \
    "\",\"scope\":\"" scope "\",\"requester\":\"soc\",\"issued\":\"" issued                   \
    "\",\"expires\":\"" expires "\",\"audience\":\"" audience "\"}"
#define GOOD BODY("disable", "alice", "both", NOON, "2026-11-21T09:24:03Z", "corp.example.com")

static struct {
    struct cfg *cfg;
    struct signers *signers;
    struct jws_key *ed, *ec, *rsa, *narrow, *stranger;
    char ed_kid[SIGNER_KID], ec_kid[SIGNER_KID], narrow_kid[SIGNER_KID];
} t0;

static int64_t at(const char *iso)
{
    int64_t ms = 0;

    assert_true(stamp_parse_iso(iso, &ms));
    return ms;
}

static struct jws_key *private_key(const char *pem)
{
    CLEANUP(secret_freep) struct secret *s = NULL;
    struct jws_key *k = NULL;
    struct err e;

    assert_int_equal(secret_new(strlen(pem), &s, &e), 0);
    memcpy(secret_bytes(s), pem, strlen(pem));
    assert_int_equal(jws_key_private(s, &k, &e), 0);
    return k;
}

static void add(const struct cfg_signer *of, bool next, const struct jws_key *k, char *kid)
{
    struct text pem = TEXT_INIT(4096), name = TEXT_INIT(64);
    struct err e = ERR_NONE;

    assert_int_equal(jws_key_public_pem(k, &pem, &e), 0);
    if (signers_add(t0.signers, of, next, pem.s, pem.len, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(jws_key_thumbprint(k, &name, &e), 0);
    memcpy(kid, name.s, name.len + 1);
    text_done(&pem);
    text_done(&name);
}

static int set_up(void **state)
{
    struct err e;

    (void)state;
    assert_int_equal(cfg_load_bytes("f", CONF, strlen(CONF), &t0.cfg, NULL, &e), 0);
    assert_int_equal(signers_new(t0.cfg, &t0.signers, &e), 0);
    t0.ed = private_key(key_ed_private);
    t0.ec = private_key(key_ec_private);
    t0.rsa = private_key(key_rsa_private);
    assert_int_equal(jws_key_new(JWS_EDDSA, &t0.narrow, &e), 0);
    assert_int_equal(jws_key_new(JWS_EDDSA, &t0.stranger, &e), 0);
    add(&t0.cfg->signers[0], false, t0.ed, t0.ed_kid);
    add(&t0.cfg->signers[0], true, t0.ec, t0.ec_kid);
    add(&t0.cfg->signers[1], false, t0.narrow, t0.narrow_kid);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    jws_key_free(t0.ed);
    jws_key_free(t0.ec);
    jws_key_free(t0.rsa);
    jws_key_free(t0.narrow);
    jws_key_free(t0.stranger);
    signers_free(t0.signers);
    cfg_free(t0.cfg);
    return 0;
}

/* In a block of memory without a byte behind it. */
static struct signed_in judge_at(const char *jws, int64_t now, int64_t seen)
{
    size_t n = strlen(jws);
    CLEANUP(cleanup_charp) char *exact = malloc(n + (n == 0));
    struct signed_in in;

    assert_non_null(exact);
    memcpy(exact, jws, n);
    signed_verify(t0.signers, exact, n, now, seen, &in);
    assert_true((in.outcome == SIGNED_GOOD) == (in.why[0] == '\0'));
    return in;
}

static struct signed_in judge(const char *jws)
{
    return judge_at(jws, at("2026-11-21T09:15:00Z"), 0);
}

/* A message by one of our keys, as any library would make it. */
static void sign(struct text *t, const struct jws_key *k, enum jws_alg alg, const char *typ,
                 const char *kid, const char *body)
{
    struct jws_head head = {.typ = typ, .kid = kid};
    struct err e = ERR_NONE;

    text_clear(t);
    if (jws_sign(k, alg, &head, body, strlen(body), t, &e) < 0)
        fail_msg("%s", e.msg);
}

/* Any header at all, with a true Ed25519 signature over it; or an HMAC; or nothing. */
enum by { BY_ED, BY_HMAC, BY_NOTHING };
static void craft(struct text *t, const char *header, const char *body, enum by by)
{
    unsigned char sig[64];
    size_t n = 0;

    text_clear(t);
    jws_b64url(t, header, strlen(header));
    text_addc(t, '.');
    jws_b64url(t, body, strlen(body));
    if (by == BY_ED) {
        BIO *bio = BIO_new_mem_buf(key_ed_private, -1);
        EVP_PKEY *p = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        EVP_MD_CTX *c = EVP_MD_CTX_new();

        n = sizeof(sig);
        assert_int_equal(EVP_DigestSignInit(c, NULL, NULL, NULL, p), 1);
        assert_int_equal(EVP_DigestSign(c, sig, &n, (const unsigned char *)t->s, t->len), 1);
        EVP_MD_CTX_free(c);
        EVP_PKEY_free(p);
        BIO_free(bio);
    } else if (by == BY_HMAC) {
        unsigned len = 0;

        /* The public key as the secret of an HMAC: the classic. */
        assert_non_null(HMAC(EVP_sha256(), key_ed_public, (int)strlen(key_ed_public),
                             (const unsigned char *)t->s, t->len, sig, &len));
        n = len;
    }
    text_addc(t, '.');
    jws_b64url(t, sig, n);
    assert_false(t->failed);
}

static void is(struct signed_in in, enum signed_outcome want, const char *what)
{
    if (in.outcome != want)
        fail_msg("%s: %s (%s), not %s", what, signed_word(in.outcome), in.why, signed_word(want));
}

/* --- good -------------------------------------------------------------------------------- */

static void good(void **state)
{
    const struct {
        const struct jws_key *k;
        enum jws_alg alg;
        const char *kid, *signer;
    } rows[] = {
        {t0.ed, JWS_EDDSA, t0.ed_kid, "soar"}, /* both keys in overlap */
        {t0.ec, JWS_ES256, t0.ec_kid, "soar"},
        {t0.ed, JWS_EDDSA, NULL, "soar"}, /* few keys: found without a name */
        {t0.ec, JWS_ES256, NULL, "soar"},
        {t0.ed, JWS_EDDSA, "soar", "soar"}, /* by the signer's name */
        {t0.ec, JWS_ES256, "soar", "soar"},
    };
    struct text t = TEXT_INIT(SIGNED_MAX);
    char digest[65] = "";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct signed_in in;

        sign(&t, rows[i].k, rows[i].alg, SIGNED_REQUEST_TYPE, rows[i].kid, GOOD);
        in = judge(t.s);
        is(in, SIGNED_GOOD, "good");
        assert_true(in.has_request);
        assert_string_equal(in.request.account, "alice");
        assert_string_equal(in.key->signer->name, rows[i].signer);
        assert_null(signed_list(&in));
        /* One body, one digest, whoever signed it. */
        if (i > 0)
            assert_string_equal(in.digest, digest);
        memcpy(digest, in.digest, sizeof(digest));
        assert_int_equal(strlen(digest), 64);
        text_add(&t, "\r\n"); /* as a file ends */
        is(judge(t.s), SIGNED_GOOD, "a line end");
        text_add(&t, "\n");
        is(judge(t.s), SIGNED_MALFORMED, "two line ends");
    }
    text_done(&t);
}

/* By another implementation: tests/data/requests/README. */
static void interoperable(void **state)
{
    static const char *const names[] = {"ed25519", "es256"};
    CLEANUP(signers_freep) struct signers *s = NULL;
    struct err e;

    (void)state;
    assert_int_equal(signers_new(t0.cfg, &s, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct text pem = TEXT_INIT(4096), jws = TEXT_INIT(SIGNED_MAX);
        struct signed_in in;
        char path[512];

        (void)snprintf(path, sizeof(path), TEST_SOURCE_DIR "/tests/data/requests/%s.pub", names[i]);
        assert_int_equal(file_read_any(path, 4096, &pem, &e), 0);
        (void)snprintf(path, sizeof(path), TEST_SOURCE_DIR "/tests/data/requests/%s.jws", names[i]);
        assert_int_equal(file_read_any(path, SIGNED_MAX, &jws, &e), 0);
        signed_verify(t0.signers, jws.s, jws.len, at("2026-11-21T09:15:00Z"), 0, &in);
        is(in, SIGNED_UNKNOWN_KEY, names[i]);
        assert_int_equal(signers_add(s, &t0.cfg->signers[0], i == 1, pem.s, pem.len, &e), 0);
        signed_verify(s, jws.s, jws.len, at("2026-11-21T09:15:00Z"), 0, &in);
        is(in, SIGNED_GOOD, names[i]);
        assert_int_equal(in.request.action, ACT_DISABLE);
        assert_string_equal(in.request.account,
                            "CN=Doe\\, J\u00fcrgen,OU=People,DC=corp,DC=example,DC=com");
        assert_string_equal(in.request.reason, "phishing \U0001f41f");
        assert_true(in.request.expires_ms - in.request.issued_ms == 600500);
        assert_true(in.request.options.steps);
        text_done(&pem);
        text_done(&jws);
    }
}

/* --- genuine? ------------------------------------------------------------------------------ */

/* R2: no byte can be changed, dropped or added. */
static void altered(void **state)
{
    const struct {
        const struct jws_key *k;
        enum jws_alg alg;
    } keys[] = {{t0.ed, JWS_EDDSA}, {t0.ec, JWS_ES256}};
    struct text t = TEXT_INIT(SIGNED_MAX), u = TEXT_INIT(SIGNED_MAX);

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        sign(&t, keys[k].k, keys[k].alg, SIGNED_REQUEST_TYPE, NULL, GOOD);
        for (size_t i = 0; i < t.len; i++) {
            static const char others[] = "AQ.-=\n \x80";

            for (size_t x = 0; x < sizeof(others); x++) { /* the NUL, too */
                if (t.s[i] == others[x])
                    continue;
                text_clear(&u);
                text_addn(&u, t.s, t.len);
                u.s[i] = others[x];
                if (others[x] == '\n' && i + 1 == t.len)
                    continue; /* a line end: the next loop drops that letter */
                {
                    struct signed_in in;

                    signed_verify(t0.signers, u.s, u.len, at("2026-11-21T09:15:00Z"), 0, &in);
                    if (in.outcome == SIGNED_GOOD || in.outcome == SIGNED_NOT_CHECKED)
                        fail_msg("byte %zu of %zu: %s", i, u.len, signed_word(in.outcome));
                    assert_false(in.has_request);
                    assert_null(in.key);
                    assert_string_equal(in.digest, "");
                }
            }
            text_clear(&u); /* one less */
            text_addn(&u, t.s, i);
            assert_int_not_equal(judge(u.s).outcome, SIGNED_GOOD);
            text_clear(&u);
            text_addn(&u, t.s, i);
            text_addn(&u, t.s + i + 1, t.len - i - 1);
            assert_int_not_equal(judge(u.s).outcome, SIGNED_GOOD);
        }
    }
    text_done(&t);
    text_done(&u);
}

/* R3: the header decides nothing. */
static void headers(void **state)
{
    static const char long_kid[] =
        "0123456789012345678901234567890123456789012345678901234567890123"
        "0123456789012345678901234567890123456789012345678901234567890123"
        "0123456789012345678901234567890123456789012345678901234567890123"
        "0123456789012345678901234567890123456789012345678901234567890123"
        "0";
    static const struct {
        const char *header;
        enum by by;
        enum signed_outcome want;
    } rows[] = {
        {"{\"alg\":\"EdDSA\"," TYPE "}", BY_ED, SIGNED_GOOD}, /* what the others are held against */
        {"{\"alg\":\"EdDSA\"," TYPE ",\"extra\":1}", BY_ED, SIGNED_GOOD},
        {"{\"alg\":\"none\"," TYPE "}", BY_NOTHING, SIGNED_WRONG_ALG},
        {"{\"alg\":\"none\"," TYPE "}", BY_ED, SIGNED_WRONG_ALG},
        {"{\"alg\":\"None\"," TYPE "}", BY_NOTHING, SIGNED_WRONG_ALG},
        {"{\"alg\":\"\"," TYPE "}", BY_NOTHING, SIGNED_WRONG_ALG},
        {"{" TYPE "}", BY_ED, SIGNED_WRONG_ALG},
        {"{\"alg\":null," TYPE "}", BY_ED, SIGNED_WRONG_ALG},
        {"{\"alg\":[\"EdDSA\"]," TYPE "}", BY_ED, SIGNED_WRONG_ALG},
        {"{\"alg\":\"eddsa\"," TYPE "}", BY_ED, SIGNED_WRONG_ALG},
        {"{\"alg\":\"HS256\"," TYPE "}", BY_HMAC, SIGNED_WRONG_ALG},
        {"{\"alg\":\"HS256\"," TYPE ",\"kid\":\"soar\"}", BY_HMAC, SIGNED_WRONG_ALG},
        {"{\"alg\":\"EdDSA\"," TYPE "}", BY_HMAC, SIGNED_BAD_SIGNATURE},
        {"{\"alg\":\"EdDSA\"," TYPE "}", BY_NOTHING, SIGNED_BAD_SIGNATURE},
        {"{\"alg\":\"ES256\"," TYPE "}", BY_ED, SIGNED_BAD_SIGNATURE},
        {"{\"alg\":\"ES256\"," TYPE "}", BY_NOTHING, SIGNED_MALFORMED},
        {"{\"alg\":\"RS256\"," TYPE "}", BY_ED, SIGNED_WRONG_ALG},
        {"{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\"," TYPE "}", BY_ED, SIGNED_MALFORMED},
        {"{\"alg\":\"EdDSA\"," TYPE ",\"jwk\":{\"kty\":\"OKP\"}}", BY_ED, SIGNED_MALFORMED},
        {"{\"alg\":\"EdDSA\"," TYPE ",\"jku\":\"https://x\"}", BY_ED, SIGNED_MALFORMED},
        {"{\"alg\":\"EdDSA\"," TYPE ",\"x5u\":\"https://x\"}", BY_ED, SIGNED_MALFORMED},
        {"{\"alg\":\"EdDSA\"," TYPE ",\"x5c\":[]}", BY_ED, SIGNED_MALFORMED},
        {"{\"alg\":\"EdDSA\"," TYPE ",\"crit\":[]}", BY_ED, SIGNED_MALFORMED},
        {"{\"alg\":\"EdDSA\"," TYPE ",\"b64\":true}", BY_ED, SIGNED_MALFORMED},
        {"{\"alg\":\"EdDSA\"," TYPE ",\"kid\":7}", BY_ED, SIGNED_MALFORMED},
        {"{\"alg\":\"EdDSA\"," TYPE ",\"kid\":\"nobody\"}", BY_ED, SIGNED_UNKNOWN_KEY},
        {"{\"alg\":\"EdDSA\"," TYPE ",\"kid\":\"SOAR\"}", BY_ED, SIGNED_UNKNOWN_KEY},
        {"{\"alg\":\"EdDSA\"," TYPE ",\"kid\":\"narrow\"}", BY_ED, SIGNED_BAD_SIGNATURE},
        {"{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}", BY_ED, SIGNED_WRONG_TYPE},
        {"{\"alg\":\"EdDSA\"}", BY_ED, SIGNED_WRONG_TYPE},
        {"{\"alg\":\"EdDSA\",\"typ\":7}", BY_ED, SIGNED_WRONG_TYPE},
        {"{\"alg\":\"EdDSA\",\"typ\":\"cordon-request.v2+jwt\"}", BY_ED, SIGNED_WRONG_TYPE},
        {"{\"alg\":\"EdDSA\",\"typ\":\"CORDON-REQUEST.V1+JWT\"}", BY_ED, SIGNED_WRONG_TYPE},
        {"{\"alg\":\"EdDSA\",\"typ\":\"" SIGNED_RESULT_TYPE "\"}", BY_ED, SIGNED_WRONG_TYPE},
        {"{\"alg\":\"EdDSA\"," TYPE "} ", BY_ED, SIGNED_GOOD}, /* white space is JSON's */
        {"{\"alg\":\"EdDSA\"," TYPE "}x", BY_ED, SIGNED_MALFORMED},
        {"[]", BY_ED, SIGNED_MALFORMED},
        {"", BY_ED, SIGNED_MALFORMED},
        {"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}", BY_ED, SIGNED_MALFORMED},
    };
    struct text t = TEXT_INIT(SIGNED_MAX), header = TEXT_INIT(4096);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        craft(&t, rows[i].header, GOOD, rows[i].by);
        is(judge(t.s), rows[i].want, rows[i].header);
    }
    text_addf(&header, "{\"alg\":\"EdDSA\"," TYPE ",\"kid\":\"%s\"}", long_kid);
    craft(&t, header.s, GOOD, BY_ED);
    is(judge(t.s), SIGNED_MALFORMED, "a long kid");

    /* RSA, and the kid of another key. */
    sign(&t, t0.rsa, JWS_RS256, SIGNED_REQUEST_TYPE, t0.ed_kid, GOOD);
    is(judge(t.s), SIGNED_WRONG_ALG, "RS256");
    sign(&t, t0.rsa, JWS_PS256, SIGNED_REQUEST_TYPE, NULL, GOOD);
    is(judge(t.s), SIGNED_WRONG_ALG, "PS256");
    sign(&t, t0.ed, JWS_EDDSA, SIGNED_REQUEST_TYPE, t0.ec_kid, GOOD);
    is(judge(t.s), SIGNED_WRONG_ALG, "an Ed25519 key with the name of a P-256 one");
    sign(&t, t0.ed, JWS_EDDSA, SIGNED_REQUEST_TYPE, t0.narrow_kid, GOOD);
    is(judge(t.s), SIGNED_BAD_SIGNATURE, "a trusted key with the name of another");
    sign(&t, t0.stranger, JWS_EDDSA, SIGNED_REQUEST_TYPE, t0.ed_kid, GOOD);
    is(judge(t.s), SIGNED_BAD_SIGNATURE, "a strange key with the name of a trusted one");
    sign(&t, t0.stranger, JWS_EDDSA, SIGNED_REQUEST_TYPE, NULL, GOOD);
    is(judge(t.s), SIGNED_BAD_SIGNATURE, "a strange key without a name");
    text_done(&t);
    text_done(&header);
}

static void not_a_jws(void **state)
{
    static const char *const rows[] = {"",
                                       ".",
                                       "..",
                                       "...",
                                       "a.b.c",
                                       "a.b",
                                       "{}",
                                       GOOD,
                                       "\n",
                                       "eyJhbGciOiJFZERTQSJ9",
                                       "eyJhbGciOiJFZERTQSJ9.."};
    struct text t = TEXT_INIT(4 * SIGNED_MAX), body = TEXT_INIT(SIGNED_MAX);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_true(judge(rows[i]).outcome == SIGNED_MALFORMED ||
                    judge(rows[i]).outcome == SIGNED_WRONG_TYPE);

    /* R1: in all, and of the payload alone. */
    for (int i = 0; i <= SIGNED_MAX; i++)
        text_addc(&t, 'A');
    is(judge(t.s), SIGNED_TOO_BIG, "64 kB and one");
    text_add(&body, GOOD);
    while (body.len < INTAKE_BODY_MAX)
        text_addc(&body, ' ');
    sign(&t, t0.ed, JWS_EDDSA, SIGNED_REQUEST_TYPE, NULL, body.s);
    is(judge(t.s), SIGNED_GOOD, "32 kB");
    text_addc(&body, ' ');
    sign(&t, t0.ed, JWS_EDDSA, SIGNED_REQUEST_TYPE, NULL, body.s);
    is(judge(t.s), SIGNED_TOO_BIG, "32 kB and one");
    text_done(&t);
    text_done(&body);
}

/* Genuine, and no request: only then is the payload looked at. */
static void payloads(void **state)
{
    static const char *const rows[] = {
        "",
        "{}",
        "null",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
        "]]",
        GOOD GOOD,
        "{\"id\":\"01KAM6V4QZ5Y8S3T9W2X7R1B0C\",\"id\":\"01KAM6V4QZ5Y8S3T9W2X7R1B0D\"}",
        BODY("disable", "ali\\u200bce", "both", NOON, "2026-11-21T09:24:03Z", "corp.example.com"),
        BODY("delete", "alice", "both", NOON, "2026-11-21T09:24:03Z", "corp.example.com"),
    };
    struct text t = TEXT_INIT(SIGNED_MAX);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct signed_in in;

        sign(&t, t0.ed, JWS_EDDSA, SIGNED_REQUEST_TYPE, t0.ed_kid, rows[i]);
        in = judge(t.s);
        is(in, SIGNED_MALFORMED, rows[i]);
        assert_false(in.has_request);
        assert_ptr_equal(in.key->signer, &t0.cfg->signers[0]); /* one knows whom to tell */
        assert_int_equal(strlen(in.digest), 64);
    }
    text_done(&t);
}

/* Q3: whoever names no key, where there are many, costs no check at all. */
static void many_keys(void **state)
{
    CLEANUP(signers_freep) struct signers *s = NULL;
    struct text t = TEXT_INIT(SIGNED_MAX);
    struct signed_in in;
    struct err e;

    (void)state;
    assert_int_equal(signers_new(t0.cfg, &s, &e), 0);
    sign(&t, t0.ed, JWS_EDDSA, SIGNED_REQUEST_TYPE, NULL, GOOD);
    for (int i = 0; i <= SIGNED_TRIES; i++) {
        CLEANUP(jws_key_freep) struct jws_key *k = NULL;
        struct text pem = TEXT_INIT(4096);

        if (i == 0)
            text_add(&pem, key_ed_public);
        else
            assert_int_equal(jws_key_new(JWS_EDDSA, &k, &e), 0);
        if (k != NULL)
            assert_int_equal(jws_key_public_pem(k, &pem, &e), 0);
        assert_int_equal(signers_add(s, &t0.cfg->signers[0], false, pem.s, pem.len, &e), 0);
        signed_verify(s, t.s, t.len, at("2026-11-21T09:15:00Z"), 0, &in);
        is(in, i < SIGNED_TRIES ? SIGNED_GOOD : SIGNED_UNKNOWN_KEY, "no kid");
        text_done(&pem);
    }
    sign(&t, t0.ed, JWS_EDDSA, SIGNED_REQUEST_TYPE, t0.ed_kid, GOOD);
    signed_verify(s, t.s, t.len, at("2026-11-21T09:15:00Z"), 0, &in);
    is(in, SIGNED_GOOD, "kid");
    text_done(&t);
}

/* --- fresh? allowed? ---------------------------------------------------------------------------
 */

/* R5, T1: issued 09:14:03, expires 09:24:03, at most an hour old. */
static void times(void **state)
{
    static const struct {
        const char *now, *seen, *issued, *expires;
        enum signed_outcome want;
    } rows[] = {
        {"2026-11-21T09:14:03Z", NULL, NOON, "2026-11-21T09:24:03Z", SIGNED_GOOD},
        {"2026-11-21T09:24:02.999Z", NULL, NOON, "2026-11-21T09:24:03Z", SIGNED_GOOD},
        {"2026-11-21T09:24:03Z", NULL, NOON, "2026-11-21T09:24:03Z", SIGNED_EXPIRED},
        {"2026-11-21T09:24:04Z", NULL, NOON, "2026-11-21T09:24:03Z", SIGNED_EXPIRED},
        {"2026-11-21T09:09:03Z", NULL, NOON, "2026-11-21T09:24:03Z", SIGNED_GOOD}, /* 5 min */
        {"2026-11-21T09:09:02.999Z", NULL, NOON, "2026-11-21T09:24:03Z", SIGNED_FUTURE},
        {"2026-11-21T10:13:00Z", NULL, NOON, "2026-11-21T10:14:03Z", SIGNED_GOOD}, /* an hour */
        {"2026-11-21T10:13:00Z", NULL, NOON, "2026-11-21T10:14:03.001Z", SIGNED_TOO_LONG},
        {"2026-11-21T09:15:00Z", NULL, NOON, "2027-11-21T09:14:03Z", SIGNED_TOO_LONG},
        {"2026-11-21T10:14:03Z", NULL, NOON, "2026-11-21T12:00:00Z", SIGNED_TOO_LONG},
        {"2026-11-21T10:14:03.001Z", NULL, NOON, "2026-11-21T12:00:00Z", SIGNED_TOO_OLD},
        {"2038-01-19T03:14:08Z", NULL, NOON, "2026-11-21T09:24:03Z", SIGNED_KEY_OVER},
        /* The clock was put back: what had ended stays ended. */
        {"2026-11-21T09:15:00Z", "2026-11-21T09:24:02Z", NOON, "2026-11-21T09:24:03Z", SIGNED_GOOD},
        {"2026-11-21T09:15:00Z", "2026-11-21T09:24:03Z", NOON, "2026-11-21T09:24:03Z",
         SIGNED_EXPIRED},
        {"2026-11-21T09:15:00Z", "2026-11-21T10:30:00Z", NOON, "2026-11-21T11:00:00Z",
         SIGNED_TOO_OLD},
        {"2026-11-21T09:15:00Z", "2026-11-21T12:00:00Z", NOON, "2026-11-21T09:24:03Z",
         SIGNED_KEY_OVER},
        /* and what a later time would allow is not allowed yet */
        {"2026-11-21T09:00:00Z", "2026-11-21T09:15:00Z", NOON, "2026-11-21T09:24:03Z",
         SIGNED_FUTURE},
    };
    struct text t = TEXT_INIT(SIGNED_MAX);
    char body[1024];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct signed_in in;

        (void)snprintf(body, sizeof(body),
                       "{\"id\":\"01KAM6V4QZ5Y8S3T9W2X7R1B0C\",\"action\":\"disable\",\"account\":"
                       "\"alice\",\"requester\":\"soc\",\"issued\":\"%s\",\"expires\":\"%s\","
                       "\"audience\":\"corp.example.com\"}",
                       rows[i].issued, rows[i].expires);
        sign(&t, t0.ed, JWS_EDDSA, SIGNED_REQUEST_TYPE, t0.ed_kid, body);
        in = judge_at(t.s, at(rows[i].now), rows[i].seen != NULL ? at(rows[i].seen) : 0);
        is(in, rows[i].want, rows[i].now);
        assert_true(in.has_request); /* genuine, so it may be told of what it was about */
    }
    text_done(&t);
}

/* R4: one key for the other, without a gap and without an end that is not one. */
static void rotation(void **state)
{
    static const struct {
        const char *now;
        enum signed_outcome ed, ec;
    } rows[] = {
        {"2026-10-31T23:59:59.999Z", SIGNED_KEY_NOT_YET, SIGNED_KEY_NOT_YET},
        {"2026-11-01T00:00:00Z", SIGNED_GOOD, SIGNED_KEY_NOT_YET},
        {"2026-11-21T08:59:59.999Z", SIGNED_GOOD, SIGNED_KEY_NOT_YET},
        {"2026-11-21T09:00:00Z", SIGNED_GOOD, SIGNED_GOOD},
        {"2026-11-21T11:59:59.999Z", SIGNED_GOOD, SIGNED_GOOD},
        {"2026-11-21T12:00:00Z", SIGNED_KEY_OVER, SIGNED_GOOD},
        {"2026-12-31T23:59:59.999Z", SIGNED_KEY_OVER, SIGNED_GOOD},
        {"2027-01-01T00:00:00Z", SIGNED_KEY_OVER, SIGNED_KEY_OVER},
    };
    struct text t = TEXT_INIT(SIGNED_MAX);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t now = at(rows[i].now);
        struct intake_request r = {.id = "01KAM6V4QZ5Y8S3T9W2X7R1B0C",
                                   .action = ACT_DISABLE,
                                   .account = "alice",
                                   .requester = "soc",
                                   .issued_ms = now,
                                   .expires_ms = now + 60000,
                                   .audience = "corp.example.com"};
        struct err e = ERR_NONE;

        text_clear(&t);
        assert_int_equal(signed_request(t0.ed, &r, &t, &e), 0);
        is(judge_at(t.s, now, 0), rows[i].ed, rows[i].now);
        text_clear(&t);
        assert_int_equal(signed_request(t0.ec, &r, &t, &e), 0);
        is(judge_at(t.s, now, 0), rows[i].ec, rows[i].now);
    }
    text_done(&t);
}

#define ASKS(action, account, scope, audience) \
    BODY(action, account, scope, NOON, "2026-11-21T09:24:03Z", audience)

/* R4, R5: who may ask for what, of whom, where. */
static void rights(void **state)
{
    const struct {
        bool narrow;
        const char *body;
        enum signed_outcome want;
    } rows[] = {
        {false, ASKS("contain", "alice", "both", "b.example.com"), SIGNED_GOOD},
        {false, ASKS("revokeAllSessions", "alice", "cloud", "B.Example.COM"), SIGNED_GOOD},
        {false, ASKS("forcePasswordReset", "alice", "on-prem", "corp.example.com"), SIGNED_GOOD},
        {false, ASKS("enable", "alice", "both", "corp.example.com"), SIGNED_NOT_ALLOWED},
        {false, ASKS("enableAccount", "alice", "both", "corp.example.com"), SIGNED_NOT_ALLOWED},
        {false, ASKS("reset-password", "alice", "both", "corp.example.com"), SIGNED_NOT_ALLOWED},
        {false, ASKS("mark-compromised", "alice", "both", "corp.example.com"), SIGNED_NOT_ALLOWED},
        {false, ASKS("dismiss-risk", "alice", "both", "corp.example.com"), SIGNED_NOT_ALLOWED},
        {false, ASKS("disable", "alice", "both", "other.example.com"), SIGNED_WRONG_AUDIENCE},
        {false, ASKS("disable", "alice", "both", "example.com"), SIGNED_WRONG_AUDIENCE},
        {false, ASKS("disable", "alice", "both", "x.corp.example.com"), SIGNED_WRONG_AUDIENCE},
        {true, ASKS("disable", "svc-web", "cloud", "b.example.com"), SIGNED_GOOD},
        {true, ASKS("disable", "ADM-x", "cloud", "b.example.com"), SIGNED_GOOD},
        {true, ASKS("disable", "B\\\\svc-web", "cloud", "b.example.com"), SIGNED_GOOD},
        {true, ASKS("disable", "svc-web", "cloud", "corp.example.com"), SIGNED_NOT_ALLOWED},
        {true, ASKS("contain", "svc-web", "cloud", "b.example.com"), SIGNED_NOT_ALLOWED},
        {true, ASKS("disable", "svc-web", "both", "b.example.com"), SIGNED_NOT_ALLOWED},
        {true, ASKS("disable", "svc-web", "on-prem", "b.example.com"), SIGNED_NOT_ALLOWED},
        /* Outside its list, as far as the name says; other forms are asked in the directory. */
        {true, ASKS("disable", "alice", "cloud", "b.example.com"), SIGNED_NOT_ALLOWED},
        {true, ASKS("disable", "B\\\\alice", "cloud", "b.example.com"), SIGNED_NOT_ALLOWED},
        {true, ASKS("disable", "x-svc-web", "cloud", "b.example.com"), SIGNED_NOT_ALLOWED},
        {true, ASKS("disable", "*", "cloud", "b.example.com"), SIGNED_NOT_ALLOWED},
        {true, ASKS("disable", "S-1-5-21-1-2-3-1104", "cloud", "b.example.com"), SIGNED_GOOD},
        {true, ASKS("disable", "alice@b.example.com", "cloud", "b.example.com"), SIGNED_GOOD},
    };
    struct text t = TEXT_INIT(SIGNED_MAX);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct signed_in in;

        sign(&t, rows[i].narrow ? t0.narrow : t0.ed, JWS_EDDSA, SIGNED_REQUEST_TYPE,
             rows[i].narrow ? t0.narrow_kid : t0.ed_kid, rows[i].body);
        in = judge(t.s);
        is(in, rows[i].want, rows[i].body);
        assert_true(in.has_request);
        /* Whatever the name says: the list is to be asked once the account was found. */
        assert_ptr_equal(signed_list(&in), rows[i].narrow ? &t0.cfg->signers[1].accounts : NULL);
    }
    text_done(&t);
}

/* The words of [signer] actions stand in the order of enum action: bits are counted by it. */
static void action_words(void **state)
{
    const struct cfg_key *k = cfg_key_find("signer", "actions");
    char word[32];

    (void)state;
    assert_non_null(k);
    for (unsigned i = 0; i <= ACT_DISMISS; i++)
        assert_string_equal(cfg_word_at(k->words, i, word), action_word((enum action)i));
    assert_string_equal(cfg_word_at(k->words, ACT_DISMISS + 1, word), "");
}

/* --- keys ----------------------------------------------------------------------------------------
 */

static void bad_keys(void **state)
{
    static const struct {
        const char *pem, *says;
    } rows[] = {{key_rsa_public, "RSA"},
                {key_ed_private, "no public key"},
                {"", "no public key"},
                {key_ed_public, "[signer/soar]"}}; /* there already */
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(signers_add(t0.signers, &t0.cfg->signers[1], true, rows[i].pem,
                                     strlen(rows[i].pem), &e),
                         -1);
        assert_int_equal(e.code, ERR_CONFIG);
        assert_non_null(strstr(e.msg, rows[i].says));
    }
    assert_int_equal(t0.signers->count, 3);
}

/* --- results -------------------------------------------------------------------------------------
 */

static void results(void **state)
{
    CLEANUP(cleanup_charp) char *step = malloc(11001);
    const char *steps[] = {"{\"type\":\"step\"}", step, step, step};
    struct intake_result r = {.request = "01KAM6V4QZ5Y8S3T9W2X7R1B0C",
                              .digest = "00",
                              .signer = "soar",
                              .agent = "cordon-1",
                              .time_ms = at(NOON),
                              .outcome = SIGNED_GOOD,
                              .verdict = "{\"type\":\"verdict\",\"verdict\":\"done\"}",
                              .ledger_count = 42,
                              .ledger_head = "ab",
                              .steps = steps,
                              .step_count = 1};
    CLEANUP(jws_key_freep) struct jws_key *other = NULL;
    struct text t = TEXT_INIT(SIGNED_MAX), back = TEXT_INIT(INTAKE_RESULT_MAX);
    char id[ID_UUID];
    struct err e = ERR_NONE;

    (void)state;
    assert_non_null(step);
    memset(step, '"', 11000);
    memset(step + 1, 'x', 10998);
    step[11000] = '\0';
    assert_int_equal(intake_result_sign(t0.ec, &r, &t, &e), 0);
    assert_int_equal(intake_result_verify(t0.ec, t.s, t.len, &back, id, &e), 0);
    assert_string_equal(id, r.request);
    assert_string_equal(back.s,
                        "{\"request\":\"01KAM6V4QZ5Y8S3T9W2X7R1B0C\",\"digest\":\"00\",\"signer\":"
                        "\"soar\",\"agent\":\"cordon-1\",\"time\":\"2026-11-21T09:14:03.000Z\","
                        "\"outcome\":\"good\",\"detail\":\"\",\"verdict\":{\"type\":\"verdict\","
                        "\"verdict\":\"done\"},\"ledger\":{\"count\":42,\"head\":\"ab\"},"
                        "\"steps\":[{\"type\":\"step\"}]}");
    /* By another key; and never a request for a result, nor a result for a request. */
    text_clear(&back);
    assert_int_equal(intake_result_verify(t0.ed, t.s, t.len, &back, id, &e), -1);
    assert_int_equal(jws_key_new(JWS_ES256, &other, &e), 0);
    assert_int_equal(intake_result_verify(other, t.s, t.len, &back, id, &e), -1);
    assert_int_equal(e.code, ERR_DENIED);
    is(judge(t.s), SIGNED_WRONG_TYPE, "a result");
    sign(&t, t0.ec, JWS_ES256, SIGNED_REQUEST_TYPE, NULL, GOOD);
    assert_int_equal(intake_result_verify(t0.ec, t.s, t.len, &back, id, &e), -1);

    /* Too long for a queue: without the steps, and saying so. */
    r.step_count = 4;
    text_clear(&t);
    assert_int_equal(intake_result_json(&r, &t, &e), 0);
    assert_null(strstr(t.s, "\"steps\""));
    assert_non_null(strstr(t.s, "\"steps_left_out\":4}"));

    /* A refusal has no verdict. */
    r = (struct intake_result){.request = r.request,
                               .digest = "00",
                               .signer = "soar",
                               .agent = "cordon-1",
                               .outcome = SIGNED_EXPIRED,
                               .detail = "expired"};
    text_clear(&t);
    assert_int_equal(intake_result_json(&r, &t, &e), 0);
    assert_non_null(strstr(t.s, "\"outcome\":\"expired\",\"detail\":\"expired\"}"));
    text_done(&t);
    text_done(&back);
}

/* A step is no answer, nor the other way round. */
static void steps(void **state)
{
    struct intake_step ev = {.request = "01KAM6V4QZ5Y8S3T9W2X7R1B0C",
                             .digest = "00",
                             .signer = "soar",
                             .agent = "cordon-1",
                             .time_ms = at("2026-11-21T09:14:03Z"),
                             .number = 3,
                             .step = "{\"type\":\"step\"}"};
    struct text t = TEXT_INIT(SIGNED_MAX), back = TEXT_INIT(INTAKE_RESULT_MAX);
    char id[ID_UUID];
    struct err e = ERR_NONE;

    (void)state;
    assert_int_equal(intake_step_sign(t0.ec, &ev, &t, &e), 0);
    assert_int_equal(intake_step_verify(t0.ec, t.s, t.len, &back, id, &e), 0);
    assert_string_equal(id, ev.request);
    assert_string_equal(back.s, "{\"request\":\"01KAM6V4QZ5Y8S3T9W2X7R1B0C\",\"digest\":\"00\","
                                "\"signer\":\"soar\",\"agent\":\"cordon-1\",\"time\":"
                                "\"2026-11-21T09:14:03.000Z\",\"number\":3,"
                                "\"step\":{\"type\":\"step\"}}");
    text_clear(&back);
    assert_int_equal(intake_step_verify(t0.ed, t.s, t.len, &back, id, &e), -1);
    assert_int_equal(intake_result_verify(t0.ec, t.s, t.len, &back, id, &e), -1);
    is(judge(t.s), SIGNED_WRONG_TYPE, "a step");
    text_done(&t);
    text_done(&back);
}

/* M2: no memory is never the message's fault. */
static void no_memory(void **state)
{
    struct text t = TEXT_INIT(SIGNED_MAX);

    (void)state;
    sign(&t, t0.ed, JWS_EDDSA, SIGNED_REQUEST_TYPE, t0.ed_kid, GOOD);
    for (long n = 0; alloc_sweep(n); n++) {
        struct signed_in in;

        signed_verify(t0.signers, t.s, t.len, at("2026-11-21T09:15:00Z"), 0, &in);
        /* Some memory is for the words of an error that then is none. */
        if (in.outcome != SIGNED_GOOD && !(alloc_failed && in.outcome == SIGNED_NOT_CHECKED))
            fail_msg("allocation %ld: %s: %s", n, signed_word(in.outcome), in.why);
    }
    text_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),      cmocka_unit_test(interoperable), cmocka_unit_test(altered),
        cmocka_unit_test(headers),   cmocka_unit_test(not_a_jws),     cmocka_unit_test(payloads),
        cmocka_unit_test(many_keys), cmocka_unit_test(times),         cmocka_unit_test(rotation),
        cmocka_unit_test(rights),    cmocka_unit_test(action_words),  cmocka_unit_test(bad_keys),
        cmocka_unit_test(results),   cmocka_unit_test(steps),         cmocka_unit_test(no_memory)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
