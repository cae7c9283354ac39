/* cloud/token.h -- who we are in the cloud: one access token for one resource, always fresh.
 *
 * A token is kept and renewed early, in the background; while a renewal fails the old one serves on
 * until it ends. However many ask, one request is in flight. Sources: client secret, certificate
 * (private_key_jwt: PS256, RS256 where the key or the service cannot), managed identity by IMDS or
 * by Azure Arc, federated token file; Okta's service app (private_key_jwt at the org server).
 */
#ifndef CORDON_CLOUD_TOKEN_H
#define CORDON_CLOUD_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http.h"
#include "base/secret.h"

enum token_kind {
    TOKEN_SECRET,      /* file: the client secret */
    TOKEN_CERTIFICATE, /* file: PEM with certificate and private key (RSA) */
    TOKEN_MANAGED,     /* IMDS, or Azure Arc where its agent is installed */
    TOKEN_FEDERATED,   /* file: a JWT, read anew for each request */
    TOKEN_OKTA_KEY,    /* file: PEM private key (RSA or EC P-256); key_id: its kid */
    TOKEN_OKTA_SSWS,   /* file: an API token; never renewed */
};

struct token_settings { /* copied */
    enum token_kind kind;
    const char *login_url;         /* "https://login.microsoftonline.com"; Okta: the org's URL */
    const char *tenant;            /* GUID or domain */
    const char *client_id;         /* managed identity: NULL, or the user-assigned one */
    const char *file;              /* trusted (FILE_SECRET) */
    const char *key_id;            /* Okta */
    const char *imds_url;          /* NULL or "http://169.254.169.254": Azure Arc where its agent is
                                      installed, else that address. Another: that one */
    const char *identity_endpoint; /* NULL, or the variable IDENTITY_ENDPOINT where IMDS_ENDPOINT
                                      is set, too: Azure Arc, and only on a loopback address */
    const char *arc_tokens;        /* NULL: "/var/opt/azcmagent/tokens" (tests name another) */
    uint64_t wait_ms;  /* first wait between tries, others by it; 0: 1 s (tests name another) */
    const char *scope; /* Entra: resource root, "/.default" is added; Okta: scopes, with spaces */
};

struct token_source;
/* l and h are borrowed: they outlive it. ERR_CONFIG, ERR_NOMEM; the file is not looked at yet. */
int token_new(struct loop *l, struct http *h, const struct token_settings *s,
              struct token_source **ret_source, struct err *e);
void token_free(struct token_source *t); /* callbacks still owed are never made */
void token_freep(struct token_source **t);

/* The value of an Authorization header ("Bearer ...", "SSWS ..."), borrowed for the callback.
 * Errors: ERR_AUTH with the AADSTS number in words and what to do, ERR_UNSENT, ERR_TIMEOUT... */
typedef void (*token_cb)(void *arg, const struct secret *authorization, const struct err *e);
struct token_ask;
int token_get(struct token_source *t, token_cb cb, void *arg, struct token_ask **ret_ask,
              struct err *e);
void token_ask_cancel(struct token_ask *a); /* its callback is never made */
/* The same at once, where there is one that may be used; NULL: token_get. Borrowed until the loop
 * has its turn. */
const struct secret *token_now(const struct token_source *t);

/* The service refused `authorization` (401): drop it if it is still the current one, so that the
 * next token_get asks anew. claims: base64 JSON of a claims challenge, or NULL. */
void token_refused(struct token_source *t, const struct secret *authorization, const char *claims);

/* What the current token says of itself (not verified: only for words to a person). False: none
 * yet, or opaque. role: "User.Read.All". */
bool token_has_role(const struct token_source *t, const char *role);
bool token_readable(const struct token_source *t);
const char *token_object_id(const struct token_source *t);       /* our service principal; "" */
const char *token_directory_roles(const struct token_source *t); /* wids, comma-separated; "" */
int64_t token_expires_ms(const struct token_source *t);          /* Unix ms; 0: none */
/* When the certificate ends that was signed with last, Unix ms; 0: none, or not yet used. */
int64_t token_certificate_ends_ms(const struct token_source *t);

#endif
