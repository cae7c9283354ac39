/* base/gss.h -- one Kerberos security context as its initiator (RFC 4121, RFC 4178, RFC 2743).
 *
 * MIT krb5 by GSSAPI with the agent's own credential: a named ticket cache, or the caller's default
 * one. Mutual authentication, confidentiality, integrity, replay and sequence detection are
 * required of the finished context, and its mechanism has to be krb5 with AES (checklist K); NTLM
 * never. No delegation. A step may talk to the KDC and blocks: it is a job on the pool. Sealing is
 * local and done at once.
 */
#ifndef CORDON_BASE_GSS_H
#define CORDON_BASE_GSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/text.h"

struct gss;

enum gss_mech { GSS_SPNEGO, GSS_KRB5 };

struct gss_settings { /* copied */
    enum gss_mech mech;
    const char *service; /* "HTTP" */
    const char *host;    /* FQDN: the principal is service/host, never from DNS */
    const char *ccache;  /* "MEMORY:...", "FILE:..."; NULL: the caller's default cache */
    const void *binding; /* channel binding, application data ("tls-server-end-point:" + hash);
                            NULL: none */
    size_t binding_len;
};

int gss_new(struct loop *l, const struct gss_settings *s, struct gss **ret_gss, struct err *e);
/* A job in flight ends by itself; its callback is never made. NULL inside is fine. */
void gss_free(struct gss *g);
void gss_freep(struct gss **g);

/* Feed what the peer sent (NULL, 0 at first) and get what to send. done: the context stands and is
 * what we demand. token may be empty when done. Once more while !done. e: ERR_AUTH (no ticket, no
 * such principal, clock, what the peer proved is wrong ...: the message names the principal and the
 * cause, and what to do), ERR_TIMEOUT (no KDC), ERR_NOMEM. */
typedef void (*gss_cb)(void *arg, const void *token, size_t len, bool done, const struct err *e);
int gss_step_start(struct gss *g, const void *token, size_t len, gss_cb cb, void *arg,
                   struct err *e);

/* Seal a copy of the message as Windows expects it (gss_wrap_iov; the header apart from the data).
 * Appends to *token and *sealed. Unseal appends the plain text. A failure ends the context:
 * ERR_AUTH. (libgssapi has functions of its own named gss_seal and gss_unseal.)
 */
int gss_seal_message(struct gss *g, const void *plain, size_t len, struct text *token,
                     struct text *sealed, struct err *e);
int gss_unseal_message(struct gss *g, const void *token, size_t token_len, const void *sealed,
                       size_t sealed_len, struct text *plain, struct err *e);

bool gss_is_done(const struct gss *g);
/* Seconds until the context ends; 0: it has. */
uint32_t gss_left_s(const struct gss *g);
/* Our proof held the channel binding, and the peer accepted it. Whether it looked at the binding it
 * does not say: a wrong one is refused, none may be taken. */
bool gss_is_bound(const struct gss *g);
const char *gss_enctype(const struct gss *g); /* "aes256-cts-hmac-sha1-96"; "" unknown */

#endif
