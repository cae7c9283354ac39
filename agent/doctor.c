/* agent/doctor.c -- what works, what does not, and what mends it. Changes nothing.
 *
 *   the checks of `checks[]`, one after the other; each ends with done(), later or at once:
 *   config -> krb5.conf -> keytab -> ticket -> DNS -> every DC -> lists -> rights -> events -> ledger
 *
 * A check that fails never stops the next: the person wants the whole list. What rests on something
 * that failed is told as skipped. The only thing written is the ledger's own folder, if missing.
 */
#include "agent/doctor.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/commands.h"
#include "agent/ledger.h"
#include "agent/policy.h"
#include "agent/verdict.h"
#include "agent/watch.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/stamp.h"
#include "base/text.h"
#include "ldap/locate.h"

#define SKEW_WARN_MS (2 * 60 * 1000)
#define SKEW_FAIL_MS (5 * 60 * 1000)
#define TICKET_WARN_MS (INT64_C(15) * 60 * 1000)
#define QUIET_WARN_MS (INT64_C(24) * 3600 * 1000)
#define NAMES_MAX 128
#define DC_EXTRA_MS 2000   /* for the three questions after the bind */
#define KDC_WAIT_MS 30000  /* for the agent's ticket, where the KDC asked first hangs */

struct doctor {
    bool json, as_agent;
    const char *wanted; /* --domain */
    const struct cfg_domain *domain;
    struct cfg *cfg;
    struct loop *loop;
    struct loop_timer *later;
    size_t at;
    unsigned counts[HEALTH_SKIPPED + 1];
    char krb5_path[512]; /* the system's krb5.conf, before ours was put in front */
    struct ad_locations locs;
    struct names *names;
    struct ad_dcs *dcs;
    bool dcs_waiting, has_cred;
    char who[AD_PRINCIPAL];
    struct policy *policy;
    struct watch *watch;
};

static void done(struct doctor *d);

/* --- telling ------------------------------------------------------------------------------- */

void doctor_say(struct doctor *d, const char *name, const char *target, enum health h,
                const char *mend, const char *fmt, ...)
{
    static const char *const words[] = {"ok", "warning", "failed", "skipped"};
    static const char *const shorts[] = {"ok", "WARN", "FAIL", "skip"};
    struct text t = TEXT_INIT(64 * 1024);
    char detail[1500];
    struct json_out o;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    d->counts[h]++;
    if (d->json) {
        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "check");
        json_out_str(&o, "name", name);
        json_out_str(&o, "target", target);
        json_out_str(&o, "state", words[h]);
        json_out_str(&o, "detail", detail);
        json_out_str(&o, "mend", h == HEALTH_OK ? "" : mend);
        json_out_end_object(&o);
        text_addc(&t, '\n');
        (void)fputs(t.s, stdout);
    } else {
        text_addf(&t, "  %-5s %-14s ", shorts[h], name);
        if (target[0] != '\0') {
            text_show(&t, target, strlen(target), 200);
            text_add(&t, ": ");
        }
        text_addf(&t, "%s\n", detail);
        if (mend[0] != '\0' && h != HEALTH_OK)
            text_addf(&t, "        %-14s mend: %s\n", "", mend);
        (void)fputs(t.s, stdout);
    }
    (void)fflush(stdout);
    text_done(&t);
}

/* --- configuration, krb5.conf ------------------------------------------------------------------ */

static void check_config(struct doctor *d)
{
    const char *path = cmd_config_path();
    struct text notices = TEXT_INIT(64 * 1024);
    char shown[TEXT_SHOWN];
    struct stat st;
    struct err e;

    (void)text_shown(shown, path);
    if (stat(path, &st) == 0)
        doctor_say(d, "config", "", HEALTH_OK, "", "%s (mode %04o), domain %s", shown,
                   (unsigned)st.st_mode & 07777, d->domain->name);
    if (cfg_notices(d->cfg, &notices, &e) == 0) {
        for (char *line = strtok(notices.s, "\n"); notices.len > 0 && line != NULL; line = strtok(NULL, "\n"))
            doctor_say(d, "config", "", HEALTH_WARNING, "", "%s", line);
    }
    text_done(&notices);
    done(d);
}

/* "rdns = true" in [libdefaults]: of several the first counts, as for the library. Files that are
 * included are not looked into: it is a hint, and cordon goes by its own settings. */
static bool krb5_says_true(const char *s, const char *key)
{
    bool in_defaults = false;

    for (const char *line = s; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        size_t n = end != NULL ? (size_t)(end - line) : strlen(line), k = strlen(key);
        size_t blank = strspn(line, " \t");

        if (blank < n && line[blank] == '[')
            in_defaults = text_starts(line + blank, "[libdefaults]");
        if (in_defaults && blank + k < n && strncmp(line + blank, key, k) == 0) {
            const char *v = line + blank + k;

            v += strspn(v, " \t");
            if (*v == '=') {
                v += 1 + strspn(v + 1, " \t");
                /* MIT's words for yes (libkrb5, profile_get_boolean) */
                return strncasecmp(v, "true", 4) == 0 || strncasecmp(v, "yes", 3) == 0 ||
                       strncasecmp(v, "on", 2) == 0 || *v == '1' || *v == 'y' || *v == 't';
            }
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return false;
}

static void check_krb5(struct doctor *d)
{
    static const char *const keys[] = {"rdns", "dns_canonicalize_hostname"};
    struct text t = TEXT_INIT(1024 * 1024);
    char shown[TEXT_SHOWN], mend[300];
    bool warned = false;
    struct err e;

    (void)text_shown(shown, d->krb5_path);
    if (file_read_any(d->krb5_path, t.max, &t, &e) < 0) {
        doctor_say(d, "krb5.conf", "", e.code == ERR_NOTFOUND ? HEALTH_OK : HEALTH_WARNING, "",
                   e.code == ERR_NOTFOUND ? "no %s: cordon brings what it needs" : "%s", shown);
        text_done(&t);
        done(d);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (!krb5_says_true(t.s, keys[i]))
            continue;
        warned = true;
        (void)snprintf(mend, sizeof(mend), "in %s: %s = false", shown, keys[i]);
        doctor_say(d, "krb5.conf", "", HEALTH_WARNING, mend,
                   "%s sets %s = true: cordon does not go by it, kinit and other tools do", shown, keys[i]);
    }
    if (!warned)
        doctor_say(d, "krb5.conf", "", HEALTH_OK, "", "%s", shown);
    text_done(&t);
    done(d);
}

/* --- who we are ------------------------------------------------------------------------------------ */

static void say_ticket(struct doctor *d, const char *name, const struct ad_cred *cred, const char *what)
{
    char when[STAMP_TEXT], age[STAMP_TEXT], who[TEXT_SHOWN];
    int64_t left = cred->ends_ms - stamp_now_ms();

    doctor_say(d, name, "", left < TICKET_WARN_MS ? HEALTH_WARNING : HEALTH_OK,
               "kinit -R, or kinit", "%s%s, ticket until %s (in %s)", what, text_shown(who, cred->principal),
               stamp_iso(when, cred->ends_ms), stamp_age(age, left));
}

static void on_keytab(void *arg, const struct ad_cred *cred, const struct err *e)
{
    struct doctor *d = arg;
    char shown[TEXT_SHOWN], mend[500];

    if (e == NULL) {
        say_ticket(d, "keytab", cred, "gives a ticket: ");
        if (d->as_agent) {
            d->has_cred = true;
            (void)snprintf(d->who, sizeof(d->who), "%s", cred->principal);
        }
        done(d);
        return;
    }
    (void)text_shown(shown, d->domain->keytab);
    if (!d->as_agent && e->code == ERR_DENIED) {
        doctor_say(d, "keytab", "", HEALTH_SKIPPED, "run this as the agent's user, with --as-agent",
                   "%s is not for you to read", shown);
        done(d);
        return;
    }
    if (e->code == ERR_UNSENT)
        (void)snprintf(mend, sizeof(mend), "open port 88 (TCP and UDP) to the DCs");
    else if (e->code == ERR_AUTH)
        (void)snprintf(mend, sizeof(mend), "klist -ekt %s; on a DC: ktpass, or samba-tool domain exportkeytab",
                       shown);
    else
        (void)snprintf(mend, sizeof(mend), "keytab = ... in [domain/%s]; chown and chmod 0600 %s",
                       d->domain->name, shown);
    doctor_say(d, "keytab", "", HEALTH_FAILED, mend, "%s", e->msg);
    done(d);
}

static void check_keytab(struct doctor *d)
{
    struct err e;

    if (d->domain->keytab == NULL) {
        doctor_say(d, "keytab", "", d->as_agent ? HEALTH_FAILED : HEALTH_SKIPPED,
                   "keytab = /etc/cordon/cordon.keytab in the configuration",
                   "none configured%s", d->as_agent ? ": --as-agent needs one" : "");
        done(d);
        return;
    }
    if (ad_cred_keytab_start(d->loop, d->domain->keytab, d->domain->principal, d->domain->realm, on_keytab, d,
                             &e) < 0) {
        doctor_say(d, "keytab", "", HEALTH_FAILED, "", "%s", e.msg);
        done(d);
    }
}

static void check_ticket(struct doctor *d)
{
    struct ad_cred cred;
    char mend[400];
    struct err e;

    if (d->as_agent) {
        doctor_say(d, "ticket", "", HEALTH_SKIPPED, "", "your own is not used with --as-agent");
    } else if (ad_cred_caller(d->domain->realm, &cred, &e) < 0) {
        (void)snprintf(mend, sizeof(mend), "kinit USER@%s", d->domain->realm);
        doctor_say(d, "ticket", "", HEALTH_FAILED, mend, "%s", e.msg);
    } else {
        say_ticket(d, "ticket", &cred, "");
        d->has_cred = true;
        (void)snprintf(d->who, sizeof(d->who), "%s", cred.principal);
    }
    done(d);
}

/* --- DNS ---------------------------------------------------------------------------------------------- */

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
    done(d);
}

static void on_located(void *arg, const struct ad_locations *locs, const struct err *e)
{
    struct doctor *d = arg;
    const struct cfg_list *dcs = &d->domain->dcs;
    char mend[700];

    if (e != NULL) {
        (void)snprintf(mend, sizeof(mend),
                       "point this host's resolver at the domain's DNS: dig SRV _ldap._tcp.dc._msdcs.%s",
                       d->domain->name);
        doctor_say(d, "dns", "", dcs->count > 0 ? HEALTH_WARNING : HEALTH_FAILED, mend, "%s%s", e->msg,
                   dcs->count > 0 ? "; going by the configured `dcs`" : "");
    } else {
        doctor_say(d, "dns", "", HEALTH_OK, "", "%zu DC%s, site %s", locs->count, locs->count == 1 ? "" : "s",
                   locs->site[0] != '\0' ? locs->site : "unknown");
    }
    d->names = calloc(1, sizeof(*d->names));
    if (d->names == NULL) {
        done(d);
        return;
    }
    d->names->d = d;
    for (size_t i = 0; i < dcs->count; i++)
        names_add(d->names, dcs->items[i], false);
    for (size_t i = 0; e == NULL && i < locs->count; i++) {
        size_t k = 0;

        while (k < dcs->count && !text_eq_nocase(dcs->items[k], locs->at[i].host))
            k++;
        if (dcs->count > 0 && k == dcs->count)
            doctor_say(d, "dns", locs->at[i].host, HEALTH_WARNING, "add it to `dcs`, or leave `dcs` out",
                       "a DC by DNS, but not in `dcs`: it is neither written to nor asked");
        names_add(d->names, locs->at[i].host, true);
    }
    for (size_t i = 0; e == NULL && i < dcs->count; i++) {
        if (!d->names->listed[i])
            doctor_say(d, "dns", dcs->items[i], HEALTH_WARNING, "nltest /dsregdns on it (Samba: samba_dnsupdate)",
                       "in `dcs`, but no SRV record names it");
    }
    struct names *n = TAKE(d->names);
    struct err mine;

    if (loop_job_start(d->loop, names_work, names_done, n, &mine) < 0) {
        free(n);
        done(d);
    }
}

static void check_dns(struct doctor *d)
{
    struct err e;

    if (ad_locate_start(d->loop, d->domain->name, d->domain->site, on_located, d, &e) < 0) {
        doctor_say(d, "dns", "", HEALTH_FAILED, "", "%s", e.msg);
        done(d);
    }
}

/* --- the DCs --------------------------------------------------------------------------------------------- */

static void say_dc(struct doctor *d, const struct ad_dc *dc)
{
    const char *why = dc->why.code != ERR_OK ? dc->why.msg : "no answer in time";
    char mend[700] = "";

    if (dc->state != AD_DC_READY && dc->state != AD_DC_UNFIT) {
        if (dc->why.code == ERR_AUTH)
            (void)snprintf(mend, sizeof(mend), "kvno ldap/%s; setspn -Q ldap/%s", dc->host, dc->host);
        else
            (void)snprintf(mend, sizeof(mend), "nc -vz %s %u; nc -vz %s 88", dc->host, dc->port, dc->host);
        /* Most of these begin with the host's name, which stands in front already. */
        if (text_starts(why, dc->host) && text_starts(why + strlen(dc->host), ": "))
            why += strlen(dc->host) + 2;
        doctor_say(d, "dc", dc->host, HEALTH_FAILED, mend, "%s", why);
        return;
    }
    if (dc->state == AD_DC_UNFIT) {
        doctor_say(d, "dc", dc->host, HEALTH_WARNING, "take it out of `dcs`", "%s: never written to", dc->why.msg);
    } else if (ad_conn_tls(dc->conn)) {
        doctor_say(d, "dc", dc->host, HEALTH_OK, "", "bound as ldap/%s inside checked TLS, site %s, level %" PRIu32,
                   dc->host, dc->site[0] != '\0' ? dc->site : "unknown", dc->functional_level);
    } else {
        doctor_say(d, "dc", dc->host, ad_conn_ssf(dc->conn) >= 128 ? HEALTH_OK : HEALTH_FAILED, "",
                   "bound as ldap/%s, sealed with %u bits, site %s, level %" PRIu32, dc->host, ad_conn_ssf(dc->conn),
                   dc->site[0] != '\0' ? dc->site : "unknown", dc->functional_level);
    }
    if (!dc->synchronized)
        doctor_say(d, "sync", dc->host, HEALTH_WARNING, "repadmin /showrepl (Samba: samba-tool drs showrepl)",
                   "isSynchronized is not TRUE: it has not replicated since it was started");
    if (!dc->has_skew)
        doctor_say(d, "clock", dc->host, HEALTH_WARNING, "", "it does not tell its time");
    else if (llabs(dc->skew_ms) > SKEW_WARN_MS)
        doctor_say(d, "clock", dc->host, llabs(dc->skew_ms) > SKEW_FAIL_MS ? HEALTH_FAILED : HEALTH_WARNING,
                   "chronyc tracking; take the time from the DCs", "%+lld s from ours; Kerberos ends at 300 s",
                   (long long)(dc->skew_ms / 1000));
    else
        doctor_say(d, "clock", dc->host, HEALTH_OK, "", "%+lld s", (long long)(dc->skew_ms / 1000));
    if (!dc->has_self)
        doctor_say(d, "identity", dc->host, HEALTH_FAILED, "",
                   "it does not say who we are (tokenGroups of the rootDSE): every account is refused");
    if (!dc->replicators_known) {
        char who[TEXT_SHOWN], dn[TEXT_SHOWN];

        (void)snprintf(mend, sizeof(mend), "dsacls \"%s\" /G \"%s:RC\"", text_shown(dn, dc->domain_dn),
                       text_shown(who, d->who));
        doctor_say(d, "domain-acl", dc->host, HEALTH_FAILED, mend,
                   "the domain's access control list is not readable: who may replicate secrets is unknown, so "
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
    done(d);
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

static void check_dcs(struct doctor *d)
{
    struct ad_dcs_opts o = {.domain = d->domain, .as_agent = d->as_agent, .window = d->cfg->window};
    struct err e;

    if (!d->has_cred) {
        doctor_say(d, "dc", "", HEALTH_SKIPPED, "", "no ticket to go there with");
        done(d);
        return;
    }
    if (ad_dcs_open_start(d->loop, &o, on_dcs, d, &d->dcs, &e) < 0) {
        doctor_say(d, "dc", "", HEALTH_FAILED, "", "%s", e.msg);
        done(d);
        return;
    }
    d->dcs_waiting = true;
    /* Ticket, location, connect, bind (at most twice the operation's time), the questions after. */
    d->later = loop_timer_start(d->loop,
                                d->domain->connect_timeout_ms + 2 * d->domain->operation_timeout_ms +
                                    DC_EXTRA_MS + (d->as_agent ? KDC_WAIT_MS : 0),
                                on_deadline, d);
}

static struct ad_dc *ready_dc(struct doctor *d)
{
    for (size_t i = 0; d->dcs != NULL && i < ad_dcs_count(d->dcs); i++) {
        if (ad_dcs_at(d->dcs, i)->state == AD_DC_READY)
            return ad_dcs_at(d->dcs, i);
    }
    return NULL;
}

/* --- lists, rights ----------------------------------------------------------------------------------------- */

static void on_policy(void *arg, struct policy *p, const struct err *e)
{
    struct doctor *d = arg;
    const struct cfg_policy *c = &d->cfg->policy;
    size_t privileged = 0;

    if (e != NULL) {
        doctor_say(d, "lists", "", HEALTH_FAILED, "cordon config check; mend the entry in [policy]", "%s", e->msg);
    } else {
        d->policy = p;
        (void)policy_privileged(p, &privileged);
        doctor_say(d, "lists", "", HEALTH_OK, "",
                   "%zu entries resolve; %zu privileged groups without a fixed SID",
                   c->never_disable.count + c->always_disable.count + c->never_credentials.count +
                       c->always_credentials.count + c->privileged_groups.count,
                   privileged);
    }
    done(d);
}

static void check_lists(struct doctor *d)
{
    struct ad_dc *dc = ready_dc(d);
    struct err e;

    if (dc == NULL) {
        doctor_say(d, "lists", "", HEALTH_SKIPPED, "", "no DC to ask");
        done(d);
    } else if (policy_resolve_start(dc, &d->cfg->policy, on_policy, d, &e) < 0) {
        doctor_say(d, "lists", "", HEALTH_FAILED, "", "%s", e.msg);
        done(d);
    }
}

static void check_rights(struct doctor *d)
{
    struct ad_dc *dc = ready_dc(d);
    struct err e;

    if (dc == NULL) {
        doctor_say(d, "rights", "", HEALTH_SKIPPED, "", "no DC to ask");
        done(d);
    } else if (doctor_rights_start(d, dc, d->domain->base != NULL ? d->domain->base : dc->domain_dn, d->who, done,
                                   &e) < 0) {
        doctor_say(d, "rights", "", HEALTH_FAILED, "", "%s", e.msg);
        done(d);
    }
}

/* --- events --------------------------------------------------------------------------------------------------- */

static void say_log(struct doctor *d, const struct watch_health *h)
{
    char shown[TEXT_SHOWN], mend[500], age[STAMP_TEXT];
    int64_t last = 0;
    struct stat st;

    (void)text_shown(shown, h->paths[0]);
    if (!h->open || h->missing) {
        (void)snprintf(mend, sizeof(mend), "events_file in [domain/%s]; as the agent's user: head -1 %s",
                       d->domain->name, shown);
        doctor_say(d, "events", h->dc != NULL ? h->dc : "", HEALTH_FAILED, mend, "%s: %s", shown,
                   h->why[0] != '\0' ? h->why : h->missing ? "not there" : "not open");
        return;
    }
    for (unsigned i = 0; i < h->count; i++) {
        if (stat(h->paths[i], &st) == 0 && (int64_t)st.st_mtim.tv_sec * 1000 > last)
            last = (int64_t)st.st_mtim.tv_sec * 1000;
    }
    (void)stamp_age(age, stamp_now_ms() - last);
    if (h->writable) {
        (void)snprintf(mend, sizeof(mend), "chmod go-w %s", shown);
        doctor_say(d, "events", h->dc != NULL ? h->dc : "", HEALTH_WARNING, mend,
                   "%s may be written to by others: what it says proves less", shown);
    }
    if (last == 0 || stamp_now_ms() - last > QUIET_WARN_MS)
        doctor_say(d, "events", h->dc != NULL ? h->dc : "", HEALTH_WARNING,
                   "see whether the DC still logs (Windows: auditpol /get /category:*; Samba: log level dsdb_json_audit:5)",
                   "%s: readable, last written %s ago", shown, age);
    else
        doctor_say(d, "events", h->dc != NULL ? h->dc : "", HEALTH_OK, "", "%s: readable, last written %s ago",
                   shown, age);
}

static void end_events(void *arg)
{
    struct doctor *d = arg;
    struct watch_health h;

    d->later = NULL;
    for (size_t i = 0; watch_health(d->watch, i, &h); i++)
        say_log(d, &h);
    for (size_t i = 0; d->dcs != NULL && i < ad_dcs_count(d->dcs); i++) {
        const struct ad_dc *dc = ad_dcs_at(d->dcs, i);
        bool named = false;

        for (size_t k = 0; watch_health(d->watch, k, &h); k++)
            named = named || h.dc == NULL || text_eq_nocase(h.dc, dc->host);
        if (!named)
            doctor_say(d, "events", dc->host, HEALTH_WARNING, "add its log to events_file",
                       "no log of this DC: changes there are proven by reading back only");
    }
    done(d);
}

static void on_watch(void *arg)
{
    struct doctor *d = arg;

    d->later = loop_timer_start(d->loop, 0, end_events, d);
}

static void check_events(struct doctor *d)
{
    struct err e;

    if (d->domain->events == CFG_EVENTS_NONE) {
        doctor_say(d, "events", "", HEALTH_WARNING, "events = samba or jsonl, and events_file",
                   "none: a change is proven by reading back, never by the DC's own log");
        done(d);
    } else if (watch_open(d->loop, d->cfg, d->domain, on_watch, d, &d->watch, &e) < 0) {
        doctor_say(d, "events", "", HEALTH_FAILED, "", "%s", e.msg);
        done(d);
    }
}

/* --- ledger ------------------------------------------------------------------------------------------------------ */

static void check_ledger(struct doctor *d)
{
    struct ledger *l = NULL;
    char dir[512], shown[TEXT_SHOWN], head[65];
    int64_t count = 0;
    struct err e;

    if (cmd_state_dir(dir, sizeof(dir), &e) < 0) {
        doctor_say(d, "ledger", "", HEALTH_FAILED, "set CORDON_STATE", "%s", e.msg);
        done(d);
        return;
    }
    (void)text_shown(shown, dir);
    if (ledger_open(dir, NULL, /* readonly */ false, &l, &e) < 0)
        doctor_say(d, "ledger", "", HEALTH_FAILED, "a folder of your own, mode 0700, with room on its disk", "%s: %s",
                   shown, e.msg);
    else if (access(dir, W_OK) != 0)
        doctor_say(d, "ledger", "", HEALTH_FAILED, "chmod u+w", "%s: %s", shown, strerror(errno));
    else if (ledger_verify(l, &count, head, &e) < 0)
        doctor_say(d, "ledger", "", HEALTH_FAILED,
                   "keep a copy; cordon audit export; find out who altered it before going on", "%s: %s", shown,
                   e.msg);
    else
        doctor_say(d, "ledger", "", HEALTH_OK, "", "%s: %" PRId64 " records, chain good, head %.12s", shown, count,
                   head);
    if (l != NULL)
        (void)ledger_close(l, &e);
    done(d);
}

/* --- in order ------------------------------------------------------------------------------------------------------ */

static void (*const checks[])(struct doctor *d) = {
    check_config, check_krb5,  check_keytab, check_ticket, check_dns,
    check_dcs,    check_lists, check_rights, check_events, check_ledger,
};

static void go(void *arg)
{
    struct doctor *d = arg;

    d->later = NULL;
    if (d->at == ARRAY_LEN(checks))
        loop_stop(d->loop);
    else
        checks[d->at++](d);
}

/* The check ended: the next one, in a turn of its own. */
static void done(struct doctor *d)
{
    d->later = loop_timer_start(d->loop, 0, go, d);
    if (d->later == NULL)
        loop_stop(d->loop);
}

static int examine(struct doctor *d)
{
    const char *base = getenv("KRB5_CONFIG");
    struct err e;
    int code;

    /* Before ours is put in front (cmd_load). */
    (void)snprintf(d->krb5_path, sizeof(d->krb5_path), "%s",
                   base != NULL && base[0] == '/' && strchr(base, ':') == NULL ? base : "/etc/krb5.conf");
    code = cmd_load(&d->cfg);
    if (code != 0) {
        doctor_say(d, "config", "", HEALTH_FAILED, "cordon config check", "%s cannot be used", cmd_config_path());
        return code;
    }
    d->domain = cmd_domain(d->cfg, d->wanted, &e);
    if (d->domain == NULL || loop_new(&d->loop, &e) < 0) {
        code = cmd_fail("doctor", cmd_exit_for(&e), "%s", e.msg);
        goto out;
    }
    done(d);
    (void)loop_run(d->loop, &e);
    if (d->at < ARRAY_LEN(checks))
        code = cmd_fail("doctor", verdict_exit(VERDICT_FAILED), "ended before all was looked at");
    if (d->counts[HEALTH_FAILED] > 0)
        code = verdict_exit(VERDICT_FAILED);
    if (!d->json)
        (void)printf("\n%u ok, %u warning%s, %u failed, %u skipped\n", d->counts[HEALTH_OK],
                     d->counts[HEALTH_WARNING], d->counts[HEALTH_WARNING] == 1 ? "" : "s",
                     d->counts[HEALTH_FAILED], d->counts[HEALTH_SKIPPED]);
    loop_timer_stop(&d->later);
    policy_free(d->policy);
    watch_close(&d->watch);
    ad_dcs_close(&d->dcs);
out:
    loop_free(d->loop);
    cfg_free(d->cfg);
    return code;
}

int cmd_doctor(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},          {"as-agent", no_argument, NULL, 'a'},
        {"domain", required_argument, NULL, 'D'},  {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    struct doctor d = {0};
    char shown[TEXT_SHOWN];
    int c;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        switch (c) {
        case 'j':
            d.json = true;
            break;
        case 'a':
            d.as_agent = true;
            break;
        case 'D':
            d.wanted = optarg;
            break;
        case 'h':
            cmd_help(argv[0]);
            return 0;
        default:
            return cmd_fail(argv[0], EXIT_USAGE, "'%s': %s", text_shown(shown, argv[optind - 1]),
                            c == ':' ? "needs a value" : "no such option");
        }
    }
    if (optind != argc)
        return cmd_fail(argv[0], EXIT_USAGE, "'%s': doctor takes no account (cordon show does)",
                        text_shown(shown, argv[optind]));
    return examine(&d);
}
