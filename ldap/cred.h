/* ldap/cred.h -- who we are to Kerberos.
 *
 * The caller's own ticket cache (one-shot), or tickets from a keytab in a cache in memory that
 * nobody else sees (service, --as-agent): MIT krb5, AES only, not forwardable, mutual
 * authentication always (checklist K). Nothing is put into the environment but KRB5_CONFIG, once.
 */
#ifndef CORDON_LDAP_CRED_H
#define CORDON_LDAP_CRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

#define AD_PRINCIPAL 256

/* Tickets in memory. Counted: by who may still bind with them, and destroyed with the last (K3).
 * Counted from the loop only; a job may read the name while its owner holds one. */
struct ad_ccache;
struct ad_ccache *ad_ccache_ref(struct ad_ccache *c); /* NULL: NULL */
void ad_ccache_unref(struct ad_ccache **c);
const char *ad_ccache_name(const struct ad_ccache *c); /* "MEMORY:..."; NULL: NULL */

struct ad_cred {
    struct ad_ccache *cache;      /* NULL: the caller's default cache */
    char principal[AD_PRINCIPAL]; /* who: "svc-cordon@CORP.EXAMPLE.COM" */
    int64_t ends_ms;              /* wall clock, when the ticket-granting ticket ends */
};

/* Only the GSSAPI plug-in of libsasl2 may be loaded (checklist L3). Before the first bind. */
int ad_cred_only_gssapi(struct err *e);

/* What the Kerberos library is to know of one domain. */
struct ad_realm {
    const char *domain; /* DNS name */
    const char *realm;
    const char *const *hosts; /* its DCs as configured: each is a KDC too */
    size_t host_count;
};

/* Put our own settings in front of the system's krb5.conf: no DNS canonicalisation, no reverse
 * DNS, AES only, tickets not forwardable (K1, K4), and the realm of each domain. Where several DCs
 * are named, the one whose port 88 answers first is asked first (within `probe_ms`): the library
 * would wait seconds for a dead one in front. Before the first thread. `base_path`: the krb5.conf
 * to build upon. */
int ad_cred_profile(const struct ad_realm *realms, size_t count, const char *base_path,
                    unsigned probe_ms, struct err *e);

/* Tickets from a keytab, as a job. cb(arg, cred, NULL) or cb(arg, NULL, err): the error names the
 * cause (kvno, unknown principal, clock, KDC) and what to do. Once. Who keeps `cred` takes a count
 * of its cache in the callback; else the tickets are destroyed after it. Where the key is wrong and
 * the file was exchanged meanwhile, it is read once more; the same key is never tried twice (K5).
 */
typedef void (*ad_cred_cb)(void *arg, const struct ad_cred *cred, const struct err *e);
int ad_cred_keytab_start(struct loop *l, const char *keytab, const char *principal,
                         const char *realm, ad_cred_cb cb, void *arg, struct err *e);

/* What the caller's own cache holds. ERR_AUTH: no cache, no ticket, or it has ended. Reads a local
 * file only. `realm`: the realm whose ticket-granting ticket is wanted. */
int ad_cred_caller(const char *realm, struct ad_cred *ret_cred, struct err *e);

#endif
