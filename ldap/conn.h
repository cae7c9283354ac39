/* ldap/conn.h -- one authenticated, sealed LDAP connection to one DC, many operations in flight.
 *
 * Opening (name look-up, connect, TLS, GSSAPI bind) is a job on the pool; afterwards libldap
 * runs asynchronously on the loop. Bind: Kerberos only (RFC 4752), sign and seal with SSF >= 128
 * on 389, or GSSAPI without a layer inside checked TLS on 636 (MS-ADTS 5.1.1.1.2: no SASL layer
 * inside TLS). No referrals, no reverse DNS, no fallback to anything weaker (checklist L, K).
 *
 * Every operation calls back exactly once, later, from the loop. What its error tells:
 *   ERR_UNSENT    it never left this machine
 *   ERR_UNPROVEN  a modify was sent and no answer came: it may have happened
 *   ERR_TIMEOUT   a search was not answered in time (nothing was changed)
 *   ERR_CONFLICT  noSuchAttribute (16): the compare of a compare-and-swap failed
 *   ERR_DENIED    no right; ERR_BUSY busy/unavailable; ERR_NOTFOUND; ERR_REFUSED any other clear no
 */
#ifndef CORDON_LDAP_CONN_H
#define CORDON_LDAP_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

struct ad_ccache;
struct ad_conn;
struct ad_op;

struct ad_conn_opts {
    const char *host; /* FQDN as in the SPN ldap/host: from config or SRV, never from reverse DNS */
    unsigned port;    /* 0: 389, or 636 with tls */
    bool tls;         /* LDAPS */
    const char *ca_file;      /* NULL: the system's */
    struct ad_ccache *ccache; /* of an ad_cred: counted until bound; NULL: the caller's default */
    uint64_t connect_timeout_ms;   /* name look-up and TCP connect */
    uint64_t operation_timeout_ms; /* each operation; the bind too, but at most twice the above */
    unsigned window;               /* operations in flight; more wait in line */
};

typedef void (*ad_conn_cb)(void *arg, const struct err *e);

/* Start opening. `ready` is called once: e NULL when bound. If it was ready and is lost later,
 * `lost` is called once; all operations have called back by then. opts are copied. */
int ad_conn_open_start(struct loop *l, const struct ad_conn_opts *opts, ad_conn_cb ready,
                       ad_conn_cb lost, void *arg, struct ad_conn **ret_conn, struct err *e);
/* Close: operations still there call back in the next turn (ERR_CANCELED; ERR_UNPROVEN for a
 * modify that was sent); `ready` and `lost` are not called any more. Frees itself after that. */
void ad_conn_close(struct ad_conn **c);
bool ad_conn_usable(const struct ad_conn *c); /* bound, and not lost */
const char *ad_conn_host(const struct ad_conn *c);
unsigned ad_conn_ssf(const struct ad_conn *c); /* bits of encryption by SASL; 0 inside TLS */
bool ad_conn_tls(const struct ad_conn *c);     /* inside checked TLS */
/* Referrals to other servers in all answers so far. None is ever followed. */
uint64_t ad_conn_referrals(const struct ad_conn *c);
/* By loop_now: when the DC last answered an operation; 0: not yet. */
uint64_t ad_conn_answered(const struct ad_conn *c);
/* "ipv4:10.0.0.5:50123": our end, in the form of Samba's audit log; "" if unknown. */
const char *ad_conn_local(const struct ad_conn *c);

/* --- what a search gives ------------------------------------------------------ */
struct ad_value {
    const char *s; /* length-counted; NUL-terminated by courtesy of nobody */
    size_t n;
};
struct ad_attr {
    const char *name;
    const struct ad_value *values;
    size_t count;
};
struct ad_entry {
    const char *dn;
    const struct ad_attr *attrs;
    size_t count;
};
/* NULL where the entry does not show that attribute (name: ASCII case folded). */
const struct ad_attr *ad_entry_attr(const struct ad_entry *en, const char *name);

/* A page of a long answer (RFC 2696). All pages go over one connection. */
enum { AD_PAGE_COOKIE = 8 * 1024 };
struct ad_page {
    unsigned size;               /* entries */
    size_t n;                    /* bytes of `cookie`; 0: the first page, and after the last one */
    char cookie[AD_PAGE_COOKIE]; /* of the page before, and then of this one */
};

struct ad_search {
    const char *base; /* a DN or "<GUID=...>", "<SID=...>" */
    bool subtree;     /* else base */
    const char *filter;
    const char *const *attrs; /* NULL-terminated; must outlive the call only */
    unsigned limit;           /* more entries than this: ERR_TOOBIG */
    bool some;                /* ... or, for a sample: as many are enough */
    bool with_dacl;           /* LDAP_SERVER_SD_FLAGS_OID, DACL only (MS-ADTS 3.1.1.3.4.1.11) */
    uint64_t timeout_ms;      /* 0: the connection's */
    struct ad_page *page;     /* outlives the operation; NULL: all of it */
};
/* entries borrowed for the call; e set: entries NULL. Referrals are counted only. */
typedef void (*ad_search_cb)(void *arg, const struct ad_entry *entries, size_t count,
                             const struct err *e);
int ad_search_start(struct ad_conn *c, const struct ad_search *s, ad_search_cb cb, void *arg,
                    struct ad_op **ret_op, struct err *e);

enum ad_mod_how { AD_MOD_ADD, AD_MOD_DELETE, AD_MOD_REPLACE };
struct ad_mod {
    enum ad_mod_how how;
    const char *attr;
    struct ad_value value; /* exactly one */
};
/* All in one modify, in order; atomic (RFC 4511 4.6). The values are copied; they are wiped after.
 */
typedef void (*ad_modify_cb)(void *arg, const struct err *e);
int ad_modify_start(struct ad_conn *c, const char *dn, const struct ad_mod *mods, size_t count,
                    ad_modify_cb cb, void *arg, struct ad_op **ret_op, struct err *e);

/* Hurries the callback (ERR_CANCELED; ERR_UNPROVEN for a modify that was sent). The caller drops
 * its pointer in the callback, at the latest. */
void ad_op_cancel(struct ad_op *op);

#endif
