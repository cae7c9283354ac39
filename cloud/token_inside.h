/* cloud/token_inside.h -- inside cloud/token*.c only: the parts of a token source.
 *
 *   token.c            who asks, what is kept, when it is renewed
 *   token_fetch.c      one new token: requests, waits, second attempts
 *   token_managed.c    where a managed identity is asked, and Azure Arc's key file
 *   token_assertion.c  private_key_jwt, and the secret in a file
 *   token_answer.c     what the service answers: a token, or why not, in words
 *   token_claims.c     what a token says of itself; claims challenges
 */
#ifndef CORDON_CLOUD_TOKEN_INSIDE_H
#define CORDON_CLOUD_TOKEN_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http.h"
#include "base/id.h"
#include "base/jws.h"
#include "base/secret.h"
#include "base/text.h"
#include "cloud/token.h"

enum {
    TOKEN_MAX = 64 * 1024,         /* bytes of an access token */
    TOKEN_ANSWER_MAX = 128 * 1024, /* of the answer around it */
    TOKEN_FORM_MAX = 64 * 1024,    /* of a request's body */
    TOKEN_CLAIMS_MAX = 8 * 1024,   /* of a claims challenge, decoded */
    TOKEN_PEM_MAX = 64 * 1024,
    TOKEN_SECRET_MAX = 1024,    /* of a client secret or an API token */
    TOKEN_JWT_MAX = 16 * 1024,  /* of a federated token */
    TOKEN_ARC_KEY_MAX = 4096,   /* of Azure Arc's key file */
    TOKEN_ARC_PATH_MAX = 1024,  /* of its name */
    TOKEN_LIFE_MAX_S = 2592000, /* 30 days: more is taken as that */
    TOKEN_WAIT_MS = 1000,       /* the first wait between tries */
    TOKEN_RETRY_AFTER_S = 300,  /* at most (checklist H7) */
};

/* --- settings, and what was learned on the way ------------------------------------- */

enum token_way { TOKEN_BY_FORM, TOKEN_BY_IMDS, TOKEN_BY_ARC, TOKEN_BY_FILE };

struct token_conf {
    struct loop *loop; /* borrowed */
    struct http *http; /* borrowed */
    enum token_kind kind;
    enum token_way way;
    char *url;       /* of the token endpoint, or the metadata service, query and all */
    char *client_id; /* managed identity: NULL, or which one */
    char *file, *key_id, *scope, *arc_tokens;
    uint64_t wait_ms;

    /* learned */
    bool rs256;              /* PS256 was refused, and RS256 taken */
    bool clock_known;        /* clock_off_ms has been needed */
    int64_t clock_off_ms;    /* the service's clock minus ours */
    int64_t credential_ends; /* of the certificate, Unix ms; 0: unknown */
};

/* --- answers (pure) ---------------------------------------------------------------- */

struct token_got {
    struct secret *authorization; /* the reader's to free */
    uint64_t life_ms;             /* from when it was asked for; UINT64_MAX: no end */
    uint64_t refresh_ms;          /* the service's wish; 0: none */
};

/* The body of a 200. now_ms: the service's clock, or 0. ERR_INVALID, ERR_TOOBIG, ERR_AUTH (another
 * identity than the one asked for), ERR_NOMEM. No message quotes the token. */
int token_answer_read(const struct token_conf *c, const char *body, size_t n, int64_t now_ms,
                      struct token_got *ret_got, struct err *e);

enum token_class {
    TOKEN_FATAL,   /* a person must act */
    TOKEN_OURS,    /* our own mistake */
    TOKEN_CLOCK,   /* the assertion is outside its time: measure, once more */
    TOKEN_RETRY,   /* not now: again in a while */
    TOKEN_SIGNING, /* the assertion's signature: once more in the other way */
};
/* The body of anything else, in words; sets *e (its native: the AADSTS number, or the status). */
enum token_class token_refusal_read(const struct token_conf *c, long status, const char *body,
                                    size_t n, const char *request_id, struct err *e);

/* How long a token is used, and when the next one is fetched, both from its beginning. */
void token_plan(uint64_t life_ms, uint64_t refresh_in_ms, uint64_t *ret_use_ms,
                uint64_t *ret_refresh_ms);

/* --- claims (pure) ----------------------------------------------------------------- */

struct token_claims {
    bool readable;
    struct text roles; /* each with a NUL behind it */
    struct text wids;  /* comma-separated */
    char oid[ID_UUID];
};
void token_claims_init(struct token_claims *k);
void token_claims_done(struct token_claims *k);
/* From an access token; not readable is no error. */
void token_claims_read(struct token_claims *k, const char *token, size_t n);
bool token_claims_role(const struct token_claims *k, const char *role);
/* The `claims` parameter: what we can do, and what the base64 of a challenge demands (NULL: none).
 * ERR_INVALID, ERR_TOOBIG: the challenge is none that we can pass on. */
int token_claims_merge(const char *challenge, struct text *t, struct err *e);

/* --- credentials ------------------------------------------------------------------- */

/* The one word in a file, white space at its end cut off. ERR_CONFIG and those of file.h. */
int token_word_read(const char *path, size_t max, const char *what, struct secret **ret_word,
                    struct err *e);
/* A signed assertion for `c`, appended to `t` (which the caller wipes). now_ms: the service's time.
 */
int token_assertion(struct token_conf *c, bool rs256, int64_t now_ms, struct text *t,
                    struct err *e);

/* --- managed identity -------------------------------------------------------------- */

/* way and url of a managed identity. ERR_CONFIG. */
int token_managed_place(struct token_conf *c, const struct token_settings *s, struct err *e);
/* The path in 'Basic realm=...' of a 401, checked in its form. ERR_INVALID. */
int token_arc_path(const char *header, const char *dir, char path[TOKEN_ARC_PATH_MAX],
                   struct err *e);
/* "Basic " and the content of that file. */
int token_arc_key(const char *path, const char *dir, struct secret **ret_basic, struct err *e);

/* --- one new token ------------------------------------------------------------------ */

struct token_fetch;
/* got: NULL with an error; the callback may take its `authorization`. wait_ms: how long the service
 * wants to be left alone; 0: it did not say. The fetch frees itself afterwards. */
typedef void (*token_fetch_cb)(void *arg, struct token_got *got, const struct err *e,
                               uint64_t wait_ms);
/* claims: value of that parameter, or NULL. `c` is borrowed until the callback. */
int token_fetch_start(struct token_conf *c, const char *claims, token_fetch_cb cb, void *arg,
                      struct token_fetch **ret_fetch, struct err *e);
void token_fetch_free(struct token_fetch *f); /* before its callback, which never comes then */

#endif
