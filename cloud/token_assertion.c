/* cloud/token_assertion.c -- private_key_jwt (RFC 7523), and the one word in a file.
 *
 * Files are read anew each time: what was exchanged in the meantime is used. An assertion is made
 * for one request and kept by nobody: its jti may be seen once. entra-graph.md 2.2, okta.md 2.2.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "cloud/token_inside.h"

enum {
    LIFE_ENTRA_S = 600, /* "now + 600 s at most" */
    LIFE_OKTA_S = 300,
};

int token_word_read(const char *path, size_t max, const char *what, struct secret **ret_word,
                    struct err *e)
{
    CLEANUP(secret_freep) struct secret *file = NULL, *word = NULL;
    char shown[TEXT_SHOWN];
    const uint8_t *p;
    size_t n;

    /* Room for the white space at the end. */
    if (secret_from_file(path, max + 16, &file, e) < 0)
        return -1;
    p = secret_bytes(file);
    n = secret_len(file);
    while (n > 0 && (p[n - 1] == ' ' || (p[n - 1] >= '\t' && p[n - 1] <= '\r')))
        n--;
    if (n == 0)
        return err_set(e, ERR_CONFIG, 0, "'%s' is empty: it holds %s", text_shown(shown, path),
                       what);
    if (n > max)
        return err_set(e, ERR_TOOBIG, 0, "'%s' is larger than %zu bytes: it holds %s alone",
                       text_shown(shown, path), max, what);
    for (size_t i = 0; i < n; i++) {
        if (p[i] <= ' ' || p[i] > '~')
            return err_set(e, ERR_CONFIG, 0, "'%s' holds more than %s: one line, without spaces",
                           text_shown(shown, path), what);
    }
    if (secret_new(n, &word, e) < 0)
        return -1;
    memcpy(secret_bytes(word), p, n);
    *ret_word = TAKE(word);
    return 0;
}

/* The claims: RFC 7523, 3. */
static int claims(const struct token_conf *c, int64_t now_ms, struct text *t, struct err *e)
{
    int64_t now = now_ms / 1000;
    char jti[ID_UUID];
    struct json_out o;

    if (id_uuid(jti, e) < 0)
        return -1;
    json_out_init(&o, t);
    json_out_object(&o, NULL);
    json_out_str(&o, "aud", c->url);
    json_out_str(&o, "iss", c->client_id);
    json_out_str(&o, "sub", c->client_id);
    json_out_str(&o, "jti", jti);
    json_out_i64(&o, "nbf", now);
    json_out_i64(&o, "iat", now);
    json_out_i64(&o, "exp", now + (c->kind == TOKEN_OKTA_KEY ? LIFE_OKTA_S : LIFE_ENTRA_S));
    json_out_end_object(&o);
    return text_check(t, "assertion", e);
}

static int sign(struct token_conf *c, bool rs256, struct secret *pem, const struct text *payload,
                struct text *t, struct err *e)
{
    CLEANUP(jws_key_freep) struct jws_key *k = NULL;
    struct jws_cert cert;
    struct jws_head head = {.typ = "JWT"};
    enum jws_alg alg = rs256 ? JWS_RS256 : JWS_PS256;

    if (jws_key_private(pem, &k, e) < 0)
        return -1;
    if (c->kind == TOKEN_OKTA_KEY) {
        /* Okta takes no PS256. A key id only, no certificate. */
        alg = jws_key_can(k, JWS_ES256) ? JWS_ES256 : JWS_RS256;
        head.kid = c->key_id;
        if (!jws_key_can(k, alg))
            return err_set(e, ERR_CONFIG, 0, "Okta wants an RSA key or one on the curve P-256");
    } else {
        if (!jws_key_can(k, JWS_PS256))
            return err_set(e, ERR_CONFIG, 0, "Entra ID wants an RSA key");
        if (jws_cert_of(pem, k, &cert, e) < 0)
            return -1;
        c->credential_ends = cert.ends_ms;
        if (rs256)
            head.x5t = &cert;
        else
            head.x5t_s256 = &cert;
    }
    return jws_sign(k, alg, &head, payload->s, payload->len, t, e);
}

int token_assertion(struct token_conf *c, bool rs256, int64_t now_ms, struct text *t, struct err *e)
{
    CLEANUP(secret_freep) struct secret *file = NULL;
    struct text payload = TEXT_INIT(4096);
    char shown[TEXT_SHOWN];
    int rc;

    /* Issued elsewhere, and exchanged by whoever issues it. */
    if (c->kind == TOKEN_FEDERATED) {
        if (token_word_read(c->file, TOKEN_JWT_MAX, "a signed token", &file, e) < 0)
            return -1;
        text_addn(t, secret_bytes(file), secret_len(file));
        return text_check(t, "assertion", e);
    }
    if (secret_from_file(c->file, TOKEN_PEM_MAX, &file, e) < 0)
        return -1;
    rc = claims(c, now_ms, &payload, e);
    if (rc == 0) {
        size_t from = t->len;

        rc = sign(c, rs256, file, &payload, t, e);
        if (rc < 0 && e->code == ERR_UNSUPPORTED && !rs256 && t->len == from)
            rc = sign(c, true, file, &payload, t, e); /* a key that cannot do PSS */
        if (rc < 0 && e->code != ERR_NOMEM)
            (void)err_wrap(e, "'%s'", text_shown(shown, c->file));
    }
    text_done(&payload);
    return rc;
}
