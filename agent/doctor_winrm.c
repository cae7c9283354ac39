/* agent/doctor_winrm.c -- can each DC's Security log be read over WinRM? (winrm.md section 9)
 *
 *   doctor_check_winrm   every host at once, each in this order:
 *   on_there             something answers, and it is WinRM
 *   on_login             we are logged in; certificate, encryption, clock
 *   on_subscribed        we may read the log
 *   on_pulled            a pull lives
 *   on_audit             were there account events of late? (from the beginning of the log)
 *   on_depth             how far back does the log go?
 *   close_next           every subscription is given back
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/doctor.h"
#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"
#include "base/winrm_pull.h"
#include "eventlog/event.h"

enum {
    PULL_MS = 2000,
    HOSTS = 64,
    SUBSCRIPTIONS = 3,
    CERT_WARN_DAYS = 14,
    CLOCK_WARN_MS = 60 * 1000,
};
#define DEPTH_WARN_MS (INT64_C(3600) * 1000)
#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define AUDIT_GUID "{0CCE9235-69AE-11D9-BED3-505054503030}"
#define BY_ID                                                                           \
    "(EventID=4722 or EventID=4723 or EventID=4724 or EventID=4725 or EventID=4738 or " \
    "EventID=4740 or EventID=4767 or EventID=4781)"

struct host {
    struct doctor_winrm *all;
    struct doctor *d;
    char name[256];
    const char *log; /* "Security", "ForwardedEvents" */
    struct winrm *winrm;
    struct winrm_call *call;
    struct winrm_subscription open[SUBSCRIPTIONS];
    unsigned open_count;
    int64_t newest_ms, oldest_ms;
};

struct doctor_winrm {
    struct doctor *d;
    struct host hosts[HOSTS];
    size_t count, left;
};

static void on_there(void *arg, const struct winrm_identity *i, const struct soap_fault *f,
                     const struct err *e);
static void on_login(void *arg, const struct winrm_identity *i, const struct soap_fault *f,
                     const struct err *e);
static void on_subscribed(void *arg, const struct winrm_subscription *s, const struct soap_fault *f,
                          const struct err *e);
static void on_pulled(void *arg, const struct winrm_pulled *p, const struct soap_fault *f,
                      const struct err *e);
static void on_audit_open(void *arg, const struct winrm_subscription *s, const struct soap_fault *f,
                          const struct err *e);
static void on_audit(void *arg, const struct winrm_pulled *p, const struct soap_fault *f,
                     const struct err *e);
static void on_depth_open(void *arg, const struct winrm_subscription *s, const struct soap_fault *f,
                          const struct err *e);
static void on_depth(void *arg, const struct winrm_pulled *p, const struct soap_fault *f,
                     const struct err *e);
static void close_next(struct host *h);

static void finish(struct host *h)
{
    struct doctor_winrm *a = h->all;
    struct doctor *d = a->d;

    if (--a->left > 0)
        return;
    /* The connections are closed when nothing of them is on the stack any more: by
     * doctor_winrm_free. */
    doctor_done(d);
}

static bool tls(const struct host *h)
{
    return h->d->domain->winrm == CFG_WINRM_HTTPS;
}

/* --- there, and logged in -----------------------------------------------------------------------
 */

static void on_there(void *arg, const struct winrm_identity *i, const struct soap_fault *f,
                     const struct err *e)
{
    struct host *h = arg;
    char mend[700];
    struct err mine;

    (void)i;
    (void)f;
    h->call = NULL;
    if (e != NULL) {
        unsigned port = h->d->domain->winrm_port;

        if (port == 0)
            port = tls(h) ? 5986 : 5985;
        if (tls(h))
            (void)snprintf(mend, sizeof(mend),
                           "on %s: winrm enumerate winrm/config/listener; make an HTTPS listener "
                           "with a certificate for that name, or set winrm = http; let this host "
                           "through to TCP %u (docs/windows-setup.md)",
                           h->name, port);
        else
            (void)snprintf(
                mend, sizeof(mend),
                "on %s: Enable-CordonWinRM.ps1 -ManagementHost THIS-HOST (installer/windows), or "
                "winrm quickconfig; look at the policy \"Allow remote "
                "server management through WinRM\" (IPv4 filter); let this host through "
                "to TCP %u (docs/windows-setup.md)",
                h->name, port);
        doctor_say(h->d, "winrm", h->name, HEALTH_FAILED, mend, "%s", e->msg);
        finish(h);
        return;
    }
    if (winrm_identify_start(h->winrm, /* anonymous */ false, on_login, h, &h->call, &mine) < 0) {
        doctor_say(h->d, "winrm", h->name, HEALTH_FAILED, "", "%s", mine.msg);
        finish(h);
    }
}

static void say_facts(struct host *h, const struct winrm_identity *i)
{
    struct winrm_facts f;
    char at[STAMP_TEXT], shown[TEXT_SHOWN];
    int64_t left;

    winrm_facts(h->winrm, &f);
    doctor_say(h->d, "winrm", h->name, HEALTH_OK, "", "%s, logged in%s%s%s%s",
               i->version[0] != '\0' ? i->version : "WinRM", f.enctype[0] != '\0' ? ", " : "",
               f.enctype, tls(h) ? ", inside TLS" : ", sealed by Kerberos",
               f.bound ? ", bound to its certificate" : "");
    if (f.tls_ends_ms != 0) {
        left = f.tls_ends_ms - stamp_now_ms();
        doctor_say(h->d, "winrm", h->name,
                   left < CERT_WARN_DAYS * DAY_MS ? HEALTH_WARNING : HEALTH_OK,
                   "renew the certificate, and set the listener to the new one",
                   "certificate of %s, until %s", text_shown(shown, f.tls_subject),
                   stamp_iso(at, f.tls_ends_ms));
    }
    if (f.has_clock && (f.clock_ms > CLOCK_WARN_MS || f.clock_ms < -CLOCK_WARN_MS))
        doctor_say(h->d, "winrm", h->name, HEALTH_WARNING,
                   "w32tm /resync on the DC; timedatectl here. Kerberos fails at 5 min",
                   "its clock is %" PRId64 " s away from ours", f.clock_ms / 1000);
}

static void on_login(void *arg, const struct winrm_identity *i, const struct soap_fault *f,
                     const struct err *e)
{
    struct host *h = arg;
    char mend[700], filter[600];
    struct winrm_subscribe ask = {
        .filter = filter, .heartbeat_ms = PULL_MS, .operation_ms = PULL_MS};
    const char *service = watch_winrm_service(h->d->domain);
    struct err mine;

    (void)f;
    h->call = NULL;
    if (e != NULL) {
        (void)snprintf(mend, sizeof(mend),
                       "setspn -Q %s/%s has to name the DC's own account (else set winrm_service); "
                       "the account needs \"Access this computer from the network\"; winrm get "
                       "winrm/config/service/auth has to show Kerberos = true",
                       service, h->name);
        doctor_say(h->d, "winrm", h->name, HEALTH_FAILED, mend, "login: %s", e->msg);
        finish(h);
        return;
    }
    say_facts(h, i);
    (void)snprintf(filter, sizeof(filter),
                   "<QueryList><Query Id=\"0\"><Select Path=\"%s\">*[System[" BY_ID
                   "]]</Select></Query></QueryList>",
                   h->log);
    if (winrm_subscribe_start(h->winrm, &ask, on_subscribed, h, &h->call, &mine) < 0) {
        doctor_say(h->d, "event log", h->name, HEALTH_FAILED, "", "%s", mine.msg);
        finish(h);
    }
}

/* --- may we read, and does a pull live? ----------------------------------------------------------
 */

static void refused(struct host *h, const char *what, const struct soap_fault *f,
                    const struct err *e)
{
    char mend[900];

    if (f != NULL && f->kind == SOAP_DENIED)
        (void)snprintf(mend, sizeof(mend),
                       "Add-ADGroupMember S-1-5-32-573 %s (Event Log Readers), then get a new "
                       "ticket (kdestroy; kinit); still refused: wevtutil gl %s and winrm get "
                       "\"winrm/config/plugin?Name=Event Forwarding Plugin\"",
                       h->d->who, h->log);
    else if (f != NULL && f->kind == SOAP_QUOTA)
        (void)snprintf(mend, sizeof(mend),
                       "another agent with this account? At most 15 subscriptions of one account; "
                       "forgotten ones end within a minute");
    else if (f != NULL && f->kind == SOAP_NO_LOG)
        (void)snprintf(mend, sizeof(mend), "on the DC: wevtutil gl %s", h->log);
    else
        (void)snprintf(mend, sizeof(mend), "cordon winrm pull %s shows more", h->name);
    doctor_say(h->d, "event log", h->name, HEALTH_FAILED, mend, "%s: %s", what, e->msg);
    close_next(h);
}

static void on_subscribed(void *arg, const struct winrm_subscription *s, const struct soap_fault *f,
                          const struct err *e)
{
    struct host *h = arg;
    struct winrm_pull ask = {.context = s != NULL ? s->context : "", .operation_ms = PULL_MS};
    struct err mine;

    h->call = NULL;
    if (s == NULL) {
        refused(h, "subscribe", f, e);
        return;
    }
    h->open[h->open_count++] = *s;
    if (winrm_pull_start(h->winrm, &ask, on_pulled, h, &h->call, &mine) < 0)
        refused(h, "pull", NULL, &mine);
}

static void ask_old(struct host *h, const char *xpath, winrm_subscribe_cb cb)
{
    char filter[900];
    struct winrm_subscribe ask = {
        .filter = filter, .earliest = true, .heartbeat_ms = PULL_MS, .operation_ms = PULL_MS};
    struct err mine;

    (void)snprintf(filter, sizeof(filter),
                   "<QueryList><Query Id=\"0\"><Select Path=\"%s\">%s</Select></Query></QueryList>",
                   h->log, xpath);
    if (winrm_subscribe_start(h->winrm, &ask, cb, h, &h->call, &mine) < 0)
        refused(h, "subscribe", NULL, &mine);
}

static void on_pulled(void *arg, const struct winrm_pulled *p, const struct soap_fault *f,
                      const struct err *e)
{
    struct host *h = arg;

    (void)p;
    h->call = NULL;
    if (e != NULL && (f == NULL || f->kind != SOAP_TIMED_OUT)) {
        refused(h, "pull", f, e);
        return;
    }
    doctor_say(h->d, "event log", h->name, HEALTH_OK, "", "%s: may be read, a pull lives", h->log);
    ask_old(h, "*[System[" BY_ID " and TimeCreated[timediff(@SystemTime) &lt;= 86400000]]]",
            on_audit_open);
}

/* --- is auditing on?
 * ------------------------------------------------------------------------------ */

static void pull_audit(struct host *h)
{
    struct winrm_pull ask = {.context = h->open[h->open_count - 1].context,
                             .operation_ms = PULL_MS};
    struct err mine;

    if (winrm_pull_start(h->winrm, &ask, on_audit, h, &h->call, &mine) < 0)
        refused(h, "pull", NULL, &mine);
}

static void on_audit_open(void *arg, const struct winrm_subscription *s, const struct soap_fault *f,
                          const struct err *e)
{
    struct host *h = arg;

    h->call = NULL;
    if (s == NULL) {
        refused(h, "subscribe to what was logged", f, e);
        return;
    }
    h->open[h->open_count++] = *s;
    pull_audit(h);
}

static void on_old_event(void *arg, const struct evlog_event *ev)
{
    struct host *h = arg;

    if (!ev->has_time)
        return;
    if (ev->time_ms > h->newest_ms)
        h->newest_ms = ev->time_ms;
    if (h->oldest_ms == 0 || ev->time_ms < h->oldest_ms)
        h->oldest_ms = ev->time_ms;
}

static void take(struct host *h, const struct winrm_pulled *p)
{
    struct err e;

    for (const struct xml_node *n = p == NULL || p->items == NULL ? NULL : p->items->child;
         n != NULL; n = n->next)
        (void)evlog_parse_node(n, on_old_event, h, &e);
}

static void on_audit(void *arg, const struct winrm_pulled *p, const struct soap_fault *f,
                     const struct err *e)
{
    struct host *h = arg;
    char age[STAMP_TEXT];

    h->call = NULL;
    if (e != NULL && (f == NULL || f->kind != SOAP_TIMED_OUT)) {
        refused(h, "pull what was logged", f, e);
        return;
    }
    take(h, p);
    if (h->newest_ms != 0)
        doctor_say(h->d, "audit", h->name, HEALTH_OK, "",
                   "User Account Management is audited: an event of %s ago",
                   stamp_age(age, stamp_now_ms() - h->newest_ms));
    else
        doctor_say(h->d, "audit", h->name, HEALTH_WARNING,
                   "on the DC: auditpol /get /subcategory:" AUDIT_GUID
                   " and, unless it says success: auditpol /set /subcategory:" AUDIT_GUID
                   " /success:enable (or by policy: docs/windows-setup.md)",
                   "no account event in the last 24 h: nothing was changed, or User Account "
                   "Management is not audited");
    h->newest_ms = h->oldest_ms = 0;
    ask_old(h, "*", on_depth_open);
}

/* --- how deep is the log?
 * -------------------------------------------------------------------------- */

static void on_depth_open(void *arg, const struct winrm_subscription *s, const struct soap_fault *f,
                          const struct err *e)
{
    struct host *h = arg;
    struct winrm_pull ask = {
        .context = s != NULL ? s->context : "", .max = 1, .operation_ms = PULL_MS};
    struct err mine;

    h->call = NULL;
    if (s == NULL) {
        refused(h, "subscribe to the oldest record", f, e);
        return;
    }
    h->open[h->open_count++] = *s;
    if (winrm_pull_start(h->winrm, &ask, on_depth, h, &h->call, &mine) < 0)
        refused(h, "pull the oldest record", NULL, &mine);
}

static void on_depth(void *arg, const struct winrm_pulled *p, const struct soap_fault *f,
                     const struct err *e)
{
    struct host *h = arg;
    char age[STAMP_TEXT], mend[300];
    int64_t depth;

    h->call = NULL;
    if (e != NULL && (f == NULL || f->kind != SOAP_TIMED_OUT)) {
        refused(h, "pull the oldest record", f, e);
        return;
    }
    take(h, p);
    if (h->oldest_ms != 0) {
        depth = stamp_now_ms() - h->oldest_ms;
        (void)snprintf(mend, sizeof(mend),
                       "wevtutil sl %s /ms:1073741824 (1 GiB), or by policy: a pause of the agent "
                       "longer than that loses proofs",
                       h->log);
        doctor_say(h->d, "event log", h->name, depth < DEPTH_WARN_MS ? HEALTH_WARNING : HEALTH_OK,
                   mend, "%s goes back %s", h->log, stamp_age(age, depth));
    }
    close_next(h);
}

/* --- the end -------------------------------------------------------------------------------------
 */

static void on_closed(void *arg, const struct soap_fault *f, const struct err *e)
{
    struct host *h = arg;

    (void)f;
    (void)e; /* one that is not given back ends by itself */
    h->call = NULL;
    close_next(h);
}

static void close_next(struct host *h)
{
    struct err mine;

    while (h->open_count > 0) {
        const struct winrm_subscription *s = &h->open[--h->open_count];

        if (s->identifier[0] != '\0' && winrm_unsubscribe_start(h->winrm, NULL, s->identifier,
                                                                on_closed, h, &h->call, &mine) == 0)
            return;
    }
    finish(h);
}

static void begin(struct host *h)
{
    struct winrm_settings s;
    struct err e;

    watch_winrm_settings(h->d->domain, h->name,
                         h->d->dcs != NULL ? ad_ccache_name(ad_dcs_cred(h->d->dcs)->cache) : NULL,
                         &s);
    if (winrm_new(h->d->loop, &s, &h->winrm, &e) < 0 ||
        winrm_identify_start(h->winrm, /* anonymous */ true, on_there, h, &h->call, &e) < 0) {
        doctor_say(h->d, "winrm", h->name, HEALTH_FAILED, "", "%s", e.msg);
        finish(h);
    }
}

static void add(struct doctor_winrm *a, const char *host, const char *log)
{
    struct host *h = &a->hosts[a->count];

    if (a->count == HOSTS)
        return;
    h->all = a;
    h->d = a->d;
    h->log = log;
    (void)snprintf(h->name, sizeof(h->name), "%s", host);
    a->count++;
}

void doctor_check_winrm(struct doctor *d)
{
    struct doctor_winrm *a = calloc(1, sizeof(*a));

    if (a == NULL) {
        doctor_say(d, "winrm", "", HEALTH_FAILED, "", "out of memory");
        doctor_done(d);
        return;
    }
    a->d = d;
    d->winrm = a;
    if (d->domain->event_host != NULL)
        add(a, d->domain->event_host, "ForwardedEvents");
    for (size_t i = 0; d->domain->event_host == NULL && d->dcs != NULL && i < ad_dcs_count(d->dcs);
         i++) {
        const struct ad_dc *dc = ad_dcs_at(d->dcs, i);

        if (dc->state != AD_DC_UNFIT)
            add(a, dc->host, EVLOG_CHANNEL);
    }
    a->left = a->count + 1;
    for (size_t i = 0; i < a->count; i++)
        begin(&a->hosts[i]);
    if (a->count == 0)
        doctor_say(d, "winrm", "", HEALTH_SKIPPED, "", "no DC to ask");
    if (--a->left == 0)
        doctor_done(d);
}

void doctor_winrm_free(struct doctor_winrm *a)
{
    for (size_t i = 0; a != NULL && i < a->count; i++) {
        winrm_call_abandon(a->hosts[i].call);
        winrm_free(a->hosts[i].winrm);
    }
    free(a);
}
