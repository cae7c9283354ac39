/* ldap/dcs.h -- the domain controllers of one domain, each with its connection and its health.
 *
 *   credentials (keytab or the caller's cache) -> list (config or DNS) -> all opened at once
 *   per DC: connecting -> checking (rootDSE, ping, domain head) -> ready | down | unfit (read-only)
 *   down: tried again in the background, 0.5 s doubling to 60 s, with jitter, for ever
 *
 * The owner hears of each move by one callback, from the loop.
 */
#ifndef CORDON_LDAP_DCS_H
#define CORDON_LDAP_DCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "ldap/conn.h"
#include "ldap/cred.h"
#include "ldap/sid.h"

#define AD_DCS_MAX 64
#define AD_REPLICATORS_MAX 64
#define AD_TOKENS_MAX 4096

enum ad_dc_state { AD_DC_CONNECTING, AD_DC_CHECKING, AD_DC_READY, AD_DC_DOWN, AD_DC_UNFIT };

struct ad_dcs;

struct ad_dc {
    struct ad_dcs *dcs;
    unsigned index;
    char host[256];
    unsigned port;
    bool in_site;
    bool write; /* may be written to (false: only read, for convergence) */
    enum ad_dc_state state;
    struct ad_conn *conn; /* usable in state READY */
    struct err why;       /* in states DOWN and UNFIT */
    unsigned failures;    /* in a row */
    bool was_ready;       /* once: then a lost connection is worth a short wait */
    /* what it told us after the bind */
    struct ad_sid self; /* who we are there: the first of rootDSE's tokenGroups */
    bool has_self;
    struct ad_sid *tokens; /* our own groups there, `self` first */
    size_t token_count;
    int64_t skew_ms;      /* its clock minus ours then, +- 1 s (currentTime has whole seconds) */
    int64_t skew_wall_ms; /* our wall clock minus the time since boot, then */
    bool has_skew;
    char domain_dn[256];
    char config_dn[256];
    char ntds_dn[512]; /* dsServiceName */
    char site[64];
    char netbios[64]; /* of the domain: "CORP"; "" unknown */
    uint32_t functional_level;
    bool synchronized;
    struct ad_sid domain_sid;
    bool has_domain_sid;
    struct ad_sid replicators[AD_REPLICATORS_MAX]; /* who may read all secrets */
    size_t replicator_count;
    bool replicators_known; /* the domain head's DACL could be read whole */
    /* private */
    struct loop_timer *retry;
    unsigned checks;
};

struct ad_dcs_opts {
    const struct cfg_domain *domain; /* borrowed; outlives the set */
    bool as_agent;                   /* keytab, else the caller's cache */
    const char *only;                /* --dc HOST: the only one written to; NULL */
    unsigned window;
};

/* dc: what changed; NULL: the list as such (located, or ad_dcs_failed says why not). */
typedef void (*ad_dcs_cb)(void *arg, struct ad_dc *dc);

int ad_dcs_open_start(struct loop *l, const struct ad_dcs_opts *opts, ad_dcs_cb changed, void *arg,
                      struct ad_dcs **ret_dcs, struct err *e);
void ad_dcs_close(struct ad_dcs **d); /* the callback is not called any more */

bool ad_dcs_located(const struct ad_dcs *d);
const struct err *
ad_dcs_failed(const struct ad_dcs *d); /* no credentials, no DNS: nothing will come */
size_t ad_dcs_count(const struct ad_dcs *d);
struct ad_dc *ad_dcs_at(struct ad_dcs *d, size_t i);
/* Do we know of every writable DC of the domain? Asked of the directory itself (the NTDS settings
 * objects below CN=Sites, MS-ADTS 6.1.1.2.2.1.2.1.1) once, at the first DC that is ready: those
 * that neither the configuration nor DNS named are added, to be read and never written to. */
enum ad_dcs_known { AD_DCS_ASKING, AD_DCS_ALL, AD_DCS_NOT_ALL };
enum ad_dcs_known ad_dcs_known(const struct ad_dcs *d);
/* Whether some DC may still become ready soon (first attempts not over). */
bool ad_dc_hopeful(const struct ad_dc *dc);
/* Its clock minus ours as it is now: ours may have been set since it was asked. Only with has_skew.
 */
int64_t ad_dc_skew_ms(const struct ad_dc *dc);
bool ad_dcs_hopeful(const struct ad_dcs *d);
const struct ad_cred *ad_dcs_cred(const struct ad_dcs *d);
const char *ad_dcs_domain(const struct ad_dcs *d); /* its DNS name, as configured */
const char *ad_dc_state_word(enum ad_dc_state s);
/* Start over with a DC whose connection stopped answering. */
void ad_dc_reconnect(struct ad_dc *dc, const struct err *why);

#endif
