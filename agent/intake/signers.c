/* agent/intake/signers.c -- see signers.h. */
#include "agent/intake/signers.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

enum { PEM_MAX = 64 * 1024 };

void signers_free(struct signers *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++)
        jws_key_free(s->keys[i].key);
    free(s->keys);
    free(s);
}

void signers_freep(struct signers **s)
{
    signers_free(*s);
}

int signers_new(const struct cfg *cfg, struct signers **ret_signers, struct err *e)
{
    struct signers *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "signers");
    s->cfg = cfg;
    *ret_signers = s;
    return 0;
}

int signer_alg(const struct jws_key *k, enum jws_alg *ret_alg, struct err *e)
{
    if (jws_key_can(k, JWS_EDDSA))
        *ret_alg = JWS_EDDSA;
    else if (jws_key_can(k, JWS_ES256))
        *ret_alg = JWS_ES256;
    else
        return err_set(e, ERR_CONFIG, 0,
                       "an RSA key: requests are signed by Ed25519 or EC on P-256 "
                       "(cordon key new)");
    return 0;
}

int signers_add(struct signers *s, const struct cfg_signer *of, bool next, const char *pem,
                size_t n, struct err *e)
{
    CLEANUP(jws_key_freep) struct jws_key *key = NULL;
    struct text kid = TEXT_INIT(SIGNER_KID - 1);
    struct signer_key *more, *k;
    enum jws_alg alg;
    int rc = jws_key_public(pem, n, &key, e);

    if (rc == 0)
        rc = signer_alg(key, &alg, e);
    if (rc == 0)
        rc = jws_key_thumbprint(key, &kid, e);
    for (size_t i = 0; rc == 0 && i < s->count; i++) {
        if (strcmp(s->keys[i].kid, kid.s) == 0)
            rc = err_set(e, ERR_CONFIG, 0, "the same key as that of [signer/%s]: whose is it?",
                         s->keys[i].signer->name);
    }
    if (rc == 0) {
        more = reallocarray(s->keys, s->count + 1, sizeof(*more));
        if (more == NULL) {
            rc = err_set(e, ERR_NOMEM, 0, "signers");
        } else {
            s->keys = more;
            k = &more[s->count++];
            *k = (struct signer_key){.signer = of, .key = TAKE(key), .alg = alg};
            k->from_ms = next ? of->next_before_ms : of->not_before_ms;
            k->until_ms = next ? of->next_after_ms : of->not_after_ms;
            memcpy(k->kid, kid.s, kid.len + 1);
        }
    }
    text_done(&kid);
    return rc;
}

static int load_one(struct signers *s, const struct cfg_signer *of, bool next, struct err *e)
{
    const char *path = next ? of->next_key : of->key;
    struct text pem = TEXT_INIT(PEM_MAX);
    int rc = 0;

    if (path == NULL)
        return 0;
    if (file_read_trusted(path, FILE_PUBLIC, PEM_MAX, &pem, e) < 0 ||
        signers_add(s, of, next, pem.s, pem.len, e) < 0) {
        if (e->code != ERR_NOMEM)
            e->code = ERR_CONFIG;
        rc = strstr(e->msg, path) != NULL
                 ? err_wrap(e, "[signer/%s] %s", of->name, next ? "next_key" : "key")
                 : err_wrap(e, "[signer/%s] %s: '%s'", of->name, next ? "next_key" : "key", path);
    }
    text_done(&pem);
    return rc;
}

int signers_load(const struct cfg *cfg, struct signers **ret_signers, struct err *e)
{
    CLEANUP(signers_freep) struct signers *s = NULL;

    if (signers_new(cfg, &s, e) < 0)
        return -1;
    for (size_t i = 0; i < cfg->signer_count; i++) {
        if (load_one(s, &cfg->signers[i], false, e) < 0 ||
            load_one(s, &cfg->signers[i], true, e) < 0)
            return -1;
    }
    *ret_signers = TAKE(s);
    return 0;
}
