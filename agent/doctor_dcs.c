/* agent/doctor_dcs.c -- doctor's checks of DNS and of every DC.
 *
 *   doctor_check_dns   on_located (SRV, even where `dcs` is configured) -> names_work, a job:
 *                      getaddrinfo of each -> names_done
 *   doctor_check_dcs   the set is opened as an action would; on_dcs, until each DC is ready or has
 *                      failed once -> say_dc for each
 */
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/doctor.h"
#include "base/text.h"
#include "ldap/locate.h"

#define SKEW_WARN_MS (2 * 60 * 1000)
#define SKEW_FAIL_MS (5 * 60 * 1000)
#define NAMES_MAX 128
#define DC_EXTRA_MS 2000  /* for the three questions after the bind */
#define KDC_WAIT_MS 30000 /* for the agent's ticket, where the KDC asked first hangs */

/* --- DNS ------------------------------------------------------------------------------------- */

struct names { /* owned by the job until names_done */
    struct doctor *d;
    char host[NAMES_MAX][256];
    int rc[NAMES_MAX];
    bool listed[NAMES_MAX]; /* in DNS' SRV records */
    size_t count;
};

static void names_add(struct names *n, const char *host, bool listed)
{
    for (size_t i = 0; i < n->count; i++) {
        if (text_eq_nocase(n->host[i], host)) {
            n->listed[i] = n->listed[i] || listed;
            return;
        }
    }
    if (n->count < NAMES_MAX) {
        n->listed[n->count] = listed;
        (void)snprintf(n->host[n->count++], sizeof(n->host[0]), "%s", host);
    }
}

static void names_work(void *arg)
{
    struct names *n = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai;

    for (size_t i = 0; i < n->count; i++) {
        ai = NULL;
        n->rc[i] = getaddrinfo(n->host[i], NULL, &hints, &ai);
        if (ai != NULL)
            freeaddrinfo(ai);
    }
}

static void names_done(void *arg, bool canceled)
{
    struct names *n = arg;
    struct doctor *d = n->d;
    size_t good = 0;

    for (size_t i = 0; i < n->count; i++) {
        if (!canceled && n->rc[i] == 0) {
            good++;
            continue;
        }
        doctor_say(d, "names", n->host[i], HEALTH_FAILED,
                   "give it an A record, or take the DC out of the configuration and of DNS",
                   "does not resolve: %s", canceled ? "not asked" : gai_strerror(n->rc[i]));
    }
    if (good > 0)
        doctor_say(d, "names", "", HEALTH_OK, "", "%zu of %zu DC names resolve", good, n->count);
    free(n);
    doctor_done(d);
}

static void on_located(void *arg, const struct ad_locations *locs, const struct err *e)
{
    struct doctor *d = arg;
    const struct cfg_list *dcs = &d->domain->dcs;
    struct names *n;
    char mend[700], shown[TEXT_SHOWN];
    struct err mine;

    if (e != NULL) {
        (void)snprintf(
            mend, sizeof(mend),
            "point this host's resolver at the domain's DNS: dig SRV _ldap._tcp.dc._msdcs.%s",
            d->domain->name);
        doctor_say(d, "dns", "", dcs->count > 0 ? HEALTH_WARNING : HEALTH_FAILED, mend, "%s%s",
                   e->msg, dcs->count > 0 ? "; going by the configured `dcs`" : "");
    } else {
        doctor_say(d, "dns", "", HEALTH_OK, "", "%zu DC%s, site %s", locs->count,
                   locs->count == 1 ? "" : "s",
                   locs->site[0] != '\0' ? text_shown(shown, locs->site) : "unknown");
    }
    n = calloc(1, sizeof(*n));
    if (n == NULL) {
        doctor_done(d);
        return;
    }
    n->d = d;
    for (size_t i = 0; i < dcs->count; i++)
        names_add(n, dcs->items[i], false);
    for (size_t i = 0; e == NULL && i < locs->count; i++) {
        size_t k = 0;

        while (k < dcs->count && !text_eq_nocase(dcs->items[k], locs->at[i].host))
            k++;
        if (dcs->count > 0 && k == dcs->count)
            doctor_say(d, "dns", locs->at[i].host, HEALTH_WARNING,
                       "add it to `dcs`, or leave `dcs` out",
                       "a DC by DNS, but not in `dcs`: it is neither written to nor asked");
        names_add(n, locs->at[i].host, true);
    }
    for (size_t i = 0; e == NULL && i < dcs->count; i++) {
        if (!n->listed[i])
            doctor_say(d, "dns", dcs->items[i], HEALTH_WARNING,
                       "nltest /dsregdns on it (Samba: samba_dnsupdate)",
                       "in `dcs`, but no SRV record names it");
    }
    if (loop_job_start(d->loop, names_work, names_done, n, &mine) < 0) {
        free(n);
        doctor_done(d);
    }
}

void doctor_check_dns(struct doctor *d)
{
    struct err e;

    if (ad_locate_start(d->loop, d->domain->name, d->domain->site, on_located, d, &e) < 0) {
        doctor_say(d, "dns", "", HEALTH_FAILED, "", "%s", e.msg);
        doctor_done(d);
    }
}

/* --- the DCs --------------------------------------------------------------------------------- */

static void say_dc(struct doctor *d, const struct ad_dc *dc)
{
    const char *why = dc->why.code != ERR_OK ? dc->why.msg : "no answer in time";
    char mend[700] = "", shown[TEXT_SHOWN];
    const char *site = dc->site[0] != '\0' ? text_shown(shown, dc->site) : "unknown";

    if (dc->state != AD_DC_READY && dc->state != AD_DC_UNFIT) {
        if (dc->why.code == ERR_AUTH)
            (void)snprintf(mend, sizeof(mend), "kvno ldap/%s; setspn -Q ldap/%s", dc->host,
                           dc->host);
        else
            (void)snprintf(mend, sizeof(mend), "nc -vz %s %u; nc -vz %s 88", dc->host, dc->port,
                           dc->host);
        /* Most of these begin with the host's name, which stands in front already. */
        if (text_starts(why, dc->host) && text_starts(why + strlen(dc->host), ": "))
            why += strlen(dc->host) + 2;
        doctor_say(d, "dc", dc->host, HEALTH_FAILED, mend, "%s", why);
        return;
    }
    if (dc->state == AD_DC_UNFIT) {
        doctor_say(d, "dc", dc->host, HEALTH_WARNING, "take it out of `dcs`",
                   "%s: never written to", dc->why.msg);
    } else if (ad_conn_tls(dc->conn)) {
        doctor_say(d, "dc", dc->host, HEALTH_OK, "",
                   "bound as ldap/%s inside checked TLS, site %s, level %" PRIu32, dc->host, site,
                   dc->functional_level);
    } else {
        doctor_say(d, "dc", dc->host, ad_conn_ssf(dc->conn) >= 128 ? HEALTH_OK : HEALTH_FAILED, "",
                   "bound as ldap/%s, sealed with %u bits, site %s, level %" PRIu32, dc->host,
                   ad_conn_ssf(dc->conn), site, dc->functional_level);
    }
    if (!dc->synchronized)
        doctor_say(d, "sync", dc->host, HEALTH_WARNING,
                   "repadmin /showrepl (Samba: samba-tool drs showrepl)",
                   "isSynchronized is not TRUE: it has not replicated since it was started");
    if (!dc->has_skew)
        doctor_say(d, "clock", dc->host, HEALTH_WARNING, "", "it does not tell its time");
    else if (llabs(dc->skew_ms) > SKEW_WARN_MS)
        doctor_say(d, "clock", dc->host,
                   llabs(dc->skew_ms) > SKEW_FAIL_MS ? HEALTH_FAILED : HEALTH_WARNING,
                   "chronyc tracking; take the time from the DCs",
                   "%+lld s from ours; Kerberos ends at 300 s", (long long)(dc->skew_ms / 1000));
    else
        doctor_say(d, "clock", dc->host, HEALTH_OK, "", "%+lld s", (long long)(dc->skew_ms / 1000));
    if (!dc->has_self)
        doctor_say(
            d, "identity", dc->host, HEALTH_FAILED, "",
            "it does not say who we are (tokenGroups of the rootDSE): every account is refused");
    if (!dc->replicators_known) {
        char who[TEXT_SHOWN], dn[TEXT_SHOWN];

        (void)snprintf(mend, sizeof(mend), "dsacls \"%s\" /G \"%s:RC\"",
                       text_shown(dn, dc->domain_dn), text_shown(who, d->who));
        doctor_say(d, "domain-acl", dc->host, HEALTH_FAILED, mend,
                   "the domain's access control list is not readable: who may replicate secrets is "
                   "unknown, so "
                   "every account is refused");
    } else {
        doctor_say(d, "domain-acl", dc->host, HEALTH_OK, "", "readable: %zu may replicate secrets",
                   dc->replicator_count);
    }
}

static void end_dcs(struct doctor *d)
{
    const struct err *e = d->dcs != NULL ? ad_dcs_failed(d->dcs) : NULL;

    d->dcs_waiting = false;
    loop_timer_stop(&d->later);
    if (e != NULL)
        doctor_say(d, "dc", "", HEALTH_FAILED, "", "%s", e->msg);
    for (size_t i = 0; e == NULL && i < ad_dcs_count(d->dcs); i++)
        say_dc(d, ad_dcs_at(d->dcs, i));
    doctor_done(d);
}

static void on_deadline(void *arg)
{
    struct doctor *d = arg;

    d->later = NULL;
    end_dcs(d);
}

static void on_dcs(void *arg, struct ad_dc *dc)
{
    struct doctor *d = arg;

    (void)dc;
    if (!d->dcs_waiting)
        return;
    if (ad_dcs_failed(d->dcs) == NULL) {
        if (!ad_dcs_located(d->dcs))
            return;
        for (size_t i = 0; i < ad_dcs_count(d->dcs); i++) {
            const struct ad_dc *one = ad_dcs_at(d->dcs, i);

            if (one->failures == 0 && one->state != AD_DC_READY && one->state != AD_DC_UNFIT)
                return;
        }
    }
    /* In a turn of its own: we are called from inside the set. */
    loop_timer_stop(&d->later);
    d->later = loop_timer_start(d->loop, 0, on_deadline, d);
}

void doctor_check_dcs(struct doctor *d)
{
    struct ad_dcs_opts o = {.domain = d->domain, .as_agent = d->as_agent, .window = d->cfg->window};
    struct err e;

    if (!d->has_cred) {
        doctor_say(d, "dc", "", HEALTH_SKIPPED, "", "no ticket to go there with");
        doctor_done(d);
        return;
    }
    if (ad_dcs_open_start(d->loop, &o, on_dcs, d, &d->dcs, &e) < 0) {
        doctor_say(d, "dc", "", HEALTH_FAILED, "", "%s", e.msg);
        doctor_done(d);
        return;
    }
    d->dcs_waiting = true;
    /* Ticket, location, connect, bind (at most twice the operation's time), the questions after. */
    d->later =
        loop_timer_start(d->loop,
                         d->domain->connect_timeout_ms + 2 * d->domain->operation_timeout_ms +
                             DC_EXTRA_MS + (d->as_agent ? KDC_WAIT_MS : 0),
                         on_deadline, d);
}

struct ad_dc *doctor_ready_dc(struct doctor *d)
{
    for (size_t i = 0; d->dcs != NULL && i < ad_dcs_count(d->dcs); i++) {
        if (ad_dcs_at(d->dcs, i)->state == AD_DC_READY)
            return ad_dcs_at(d->dcs, i);
    }
    return NULL;
}
