/* ldap/dcs.c -- see dcs.h.
 *
 *   ad_dcs_open_start   who are we: keytab job, or the caller's cache
 *   on_cred             then the list: named in the config, or located by DNS
 *   on_located
 *   dc_connect          one per DC, all at once
 *   on_ready            bound: three questions in one go
 *   on_rootdse, on_ping, on_head
 *   checked             all three answered: ready, or unfit
 *   ask_all, on_ntds, on_servers   which DCs are there besides those we were told of?
 *   dc_down             closed; again after a while
 */
#include "ldap/dcs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/boot.h"
#include "base/cleanup.h"
#include "base/id.h"
#include "base/log.h"
#include "base/sm.h"
#include "base/stamp.h"
#include "base/text.h"
#include "ldap/locate.h"
#include "ldap/name.h"
#include "ldap/netlogon.h"
#include "ldap/renew.h"
#include "ldap/sd.h"
#include "ldap/value.h"

#define RETRY_FIRST_MS 500
#define RETRY_LAST_MS 60000
#define RENEW_BEFORE_MS (10 * 60 * 1000)
#define DCS_ASKED 512 /* NTDS settings objects looked at */

static const struct sm_state dc_states[] = {
    [AD_DC_CONNECTING] = {"connecting", SM_TO(AD_DC_CHECKING) | SM_TO(AD_DC_DOWN)},
    [AD_DC_CHECKING] = {"checking", SM_TO(AD_DC_READY) | SM_TO(AD_DC_UNFIT) | SM_TO(AD_DC_DOWN)},
    [AD_DC_READY] = {"ready", SM_TO(AD_DC_DOWN)},
    [AD_DC_DOWN] = {"down", SM_TO(AD_DC_CONNECTING)},
    [AD_DC_UNFIT] = {"unfit", SM_TO(AD_DC_DOWN)},
};

struct ad_dcs {
    struct loop *loop;
    const struct cfg_domain *domain;
    bool as_agent;
    char *only;
    unsigned window;
    ad_dcs_cb changed;
    void *arg;
    struct ad_cred cred;   /* with a count of its cache */
    struct ad_renew renew; /* by keytab */
    bool suspect;          /* a DC did not take who we are: the keytab may be a new one */
    bool has_cred, cred_pending, located, locating, closing;
    struct err failed;
    struct loop_timer *tell;
    struct ad_dc *dcs[AD_DCS_MAX];
    size_t count;
    enum ad_dcs_known known;
    bool asked;
    char **servers; /* DNs of the server objects of the domain's writable DCs, while asking */
    size_t server_count;
};

static void on_cred(void *arg, const struct ad_cred *cred, const struct err *e);
static void on_located(void *arg, const struct ad_locations *locs, const struct err *e);
static void dc_connect(struct ad_dc *dc);
static void on_ready(void *arg, const struct err *e);
static void on_lost(void *arg, const struct err *e);
static void on_rootdse(void *arg, const struct ad_entry *en, size_t n, const struct err *e);
static void on_ping(void *arg, const struct ad_entry *en, size_t n, const struct err *e);
static void on_head(void *arg, const struct ad_entry *en, size_t n, const struct err *e);
static void on_retry(void *arg);
static void ask_all(struct ad_dc *dc);
static void on_ntds(void *arg, const struct ad_entry *en, size_t n, const struct err *e);
static void on_servers(void *arg, const struct ad_entry *en, size_t n, const struct err *e);

const char *ad_dc_state_word(enum ad_dc_state s)
{
    return dc_states[s].name;
}

static void dc_move(struct ad_dc *dc, enum ad_dc_state next)
{
    int now = (int)dc->state;

    sm_move(dc_states, ARRAY_LEN(dc_states), &now, (int)next, dc->host);
    dc->state = next;
}

static void forget_servers(struct ad_dcs *d)
{
    for (size_t i = 0; i < d->server_count; i++)
        free(d->servers[i]);
    free(d->servers);
    d->servers = NULL;
    d->server_count = 0;
}

/* The set is freed when its last job has come back. */
static void maybe_free(struct ad_dcs *d)
{
    if (!d->closing || d->cred_pending || d->locating || d->tell != NULL)
        return;
    forget_servers(d);
    ad_ccache_unref(&d->cred.cache);
    for (size_t i = 0; i < d->count; i++) {
        free(d->dcs[i]->tokens);
        free(d->dcs[i]);
    }
    free(d->only);
    free(d);
}

static void tell_list(void *arg)
{
    struct ad_dcs *d = arg;

    d->tell = NULL;
    d->changed(d->arg, NULL);
}

static void tell_list_soon(struct ad_dcs *d)
{
    if (d->tell == NULL)
        d->tell = loop_timer_start(d->loop, 0, tell_list, d);
}

static void on_closed(void *arg)
{
    struct ad_dcs *d = arg;

    d->tell = NULL;
    maybe_free(d);
}

/* Of what runs at once in one turn nobody knows the order: the connections are through with theirs
 * when the next turn comes. */
static void on_closing(void *arg)
{
    struct ad_dcs *d = arg;

    d->tell = loop_timer_start(d->loop, 0, on_closed, d);
}

/* --- who we are ------------------------------------------------------------------ */

static int get_cred(struct ad_dcs *d, struct err *e)
{
    struct ad_keytab_mark mark;

    if (!d->as_agent) {
        /* A file of the caller's: read here, at once. */
        if (ad_cred_caller(d->domain->realm, &d->cred, e) < 0)
            return -1;
        d->has_cred = true;
        return 0;
    }
    if (d->domain->keytab == NULL)
        return err_set(e, ERR_CONFIG, 0, "[domain/%s] names no keytab: --as-agent needs one",
                       d->domain->name);
    ad_keytab_mark(d->domain->keytab, &mark);
    if (ad_cred_keytab_start(d->loop, d->domain->keytab, d->domain->principal, d->domain->realm,
                             on_cred, d, e) < 0)
        return -1;
    ad_renew_asked(&d->renew, &mark);
    d->cred_pending = true;
    d->suspect = false;
    return 0;
}

static void connect_all(struct ad_dcs *d)
{
    for (size_t i = 0; i < d->count; i++) {
        if (d->dcs[i]->state == AD_DC_CONNECTING && d->dcs[i]->conn == NULL)
            dc_connect(d->dcs[i]);
    }
}

static void on_cred(void *arg, const struct ad_cred *cred, const struct err *e)
{
    struct ad_dcs *d = arg;

    d->cred_pending = false;
    if (d->closing) {
        maybe_free(d);
        return;
    }
    ad_renew_answered(&d->renew, e, e == NULL ? cred->ends_ms - stamp_now_ms() : 0,
                      loop_now(d->loop));
    if (e != NULL && !d->has_cred) {
        d->failed = *e;
        d->changed(d->arg, NULL);
        return;
    }
    if (e != NULL) {
        log_warning("renewing the ticket failed, going on with the old one: %s", e->msg);
    } else {
        ad_ccache_unref(&d->cred.cache); /* who still binds with it has a count of its own */
        d->cred = *cred;
        (void)ad_ccache_ref(d->cred.cache);
        d->has_cred = true;
    }
    connect_all(d);
}

/* --- which DCs -------------------------------------------------------------------- */

static struct ad_dc *add_dc(struct ad_dcs *d, const char *host, unsigned port, bool in_site,
                            struct err *e)
{
    struct ad_dc *dc;

    for (size_t i = 0; i < d->count; i++) {
        if (text_eq_nocase(d->dcs[i]->host, host))
            return d->dcs[i];
    }
    if (d->count == AD_DCS_MAX || strlen(host) >= sizeof(dc->host)) {
        (void)err_set(e, ERR_TOOBIG, 0, "too many DCs (%d), or too long a name", AD_DCS_MAX);
        return NULL;
    }
    dc = calloc(1, sizeof(*dc));
    if (dc == NULL) {
        (void)err_set(e, ERR_NOMEM, 0, "DC list");
        return NULL;
    }
    dc->dcs = d;
    dc->index = (unsigned)d->count;
    (void)snprintf(dc->host, sizeof(dc->host), "%s", host);
    dc->port = d->domain->transport == CFG_TRANSPORT_LDAPS ? 636 : port;
    dc->in_site = in_site;
    dc->state = AD_DC_CONNECTING;
    dc->write = d->only == NULL || text_eq_nocase(d->only, host);
    d->dcs[d->count++] = dc;
    return dc;
}

static void on_located(void *arg, const struct ad_locations *locs, const struct err *e)
{
    struct ad_dcs *d = arg;
    struct err mine;

    d->locating = false;
    if (d->closing) {
        maybe_free(d);
        return;
    }
    if (e != NULL && d->count == 0) {
        d->failed = *e;
        d->changed(d->arg, NULL);
        return;
    }
    for (size_t i = 0; e == NULL && i < locs->count; i++) {
        size_t before = d->count;
        struct ad_dc *dc =
            add_dc(d, locs->at[i].host, locs->at[i].port, locs->at[i].in_site, &mine);

        if (dc == NULL)
            log_warning("leaving a DC out: %s", mine.msg);
        else if (d->count > before && before >= d->domain->write_limit)
            dc->write = false; /* past the limit: only asked, to prove that it has the change */
    }
    d->located = true;
    if (d->has_cred)
        connect_all(d);
    d->changed(d->arg, NULL);
}

int ad_dcs_open_start(struct loop *l, const struct ad_dcs_opts *opts, ad_dcs_cb changed, void *arg,
                      struct ad_dcs **ret_dcs, struct err *e)
{
    struct ad_dcs *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return err_set(e, ERR_NOMEM, 0, "DC list");
    d->loop = l;
    d->domain = opts->domain;
    d->as_agent = opts->as_agent;
    d->only = text_dup(opts->only);
    d->window = opts->window;
    d->changed = changed;
    d->arg = arg;
    if (opts->only != NULL && d->only == NULL) {
        (void)err_set(e, ERR_NOMEM, 0, "DC list");
        goto fail;
    }
    if (get_cred(d, e) < 0)
        goto fail;

    /* The one asked for by name stands first, the configured ones keep their order. */
    if (opts->only != NULL && add_dc(d, opts->only, 389, true, e) == NULL)
        goto fail_later;
    for (size_t i = 0; i < opts->domain->dcs.count; i++) {
        if (add_dc(d, opts->domain->dcs.items[i], 389, true, e) == NULL)
            goto fail_later;
    }
    if (opts->domain->dcs.count == 0) {
        if (ad_locate_start(l, opts->domain->name, opts->domain->site, on_located, d, e) < 0)
            goto fail_later;
        d->locating = true;
    } else {
        d->located = true;
        tell_list_soon(d);
    }
    if (d->has_cred)
        connect_all(d);
    *ret_dcs = d;
    return 0;
fail_later: /* a job may hold it */
    d->closing = true;
    maybe_free(d);
    return -1;
fail:
    free(d->only);
    free(d);
    return -1;
}

void ad_dcs_close(struct ad_dcs **dp)
{
    struct ad_dcs *d = *dp;

    *dp = NULL;
    if (d == NULL)
        return;
    d->closing = true;
    loop_timer_stop(&d->tell);
    for (size_t i = 0; i < d->count; i++) {
        loop_timer_stop(&d->dcs[i]->retry);
        ad_conn_close(&d->dcs[i]->conn);
    }
    /* Closing connections call their operations back in the next turn; those of ours look at
     * `closing`. They hold `dc`, so the memory stays until then. */
    d->tell = loop_timer_start(d->loop, 0, on_closing, d);
}

bool ad_dcs_located(const struct ad_dcs *d)
{
    return d->located;
}

const struct err *ad_dcs_failed(const struct ad_dcs *d)
{
    return d->failed.code == ERR_OK ? NULL : &d->failed;
}

size_t ad_dcs_count(const struct ad_dcs *d)
{
    return d->count;
}

struct ad_dc *ad_dcs_at(struct ad_dcs *d, size_t i)
{
    return d->dcs[i];
}

const struct ad_cred *ad_dcs_cred(const struct ad_dcs *d)
{
    return &d->cred;
}

enum ad_dcs_known ad_dcs_known(const struct ad_dcs *d)
{
    return d->known;
}

const char *ad_dcs_domain(const struct ad_dcs *d)
{
    return d->domain->name;
}

int64_t ad_dc_skew_ms(const struct ad_dc *dc)
{
    return dc->skew_ms + dc->skew_wall_ms - (stamp_now_ms() - boot_now_ms());
}

bool ad_dc_hopeful(const struct ad_dc *dc)
{
    if (dc->state == AD_DC_READY || dc->state == AD_DC_UNFIT)
        return false;
    /* A first attempt under way, or a connection that was lost and is being made again. */
    return (dc->failures == 0 && dc->state != AD_DC_DOWN) || (dc->was_ready && dc->failures < 2);
}

bool ad_dcs_hopeful(const struct ad_dcs *d)
{
    if (d->failed.code != ERR_OK)
        return false;
    if (!d->located || !d->has_cred)
        return true;
    for (size_t i = 0; i < d->count; i++) {
        const struct ad_dc *dc = d->dcs[i];

        if (dc->write && ad_dc_hopeful(dc))
            return true;
    }
    return false;
}

/* --- one DC ------------------------------------------------------------------------ */

static void dc_down(struct ad_dc *dc, const struct err *why)
{
    struct ad_dcs *d = dc->dcs;
    uint64_t wait = RETRY_FIRST_MS;
    uint32_t chance = 0;
    struct err ignored;

    dc->why = *why;
    dc->failures++;
    if (dc->state != AD_DC_DOWN)
        dc_move(dc, AD_DC_DOWN);
    ad_conn_close(&dc->conn);
    for (unsigned i = 1; i < dc->failures && wait < RETRY_LAST_MS; i++)
        wait *= 2;
    if (wait > RETRY_LAST_MS)
        wait = RETRY_LAST_MS;
    if (id_random(&chance, sizeof(chance), &ignored) == 0)
        wait -= wait / 4 * (chance % 1000) / 1000;
    loop_timer_stop(&dc->retry);
    dc->retry = loop_timer_start(d->loop, wait, on_retry, dc);
    d->changed(d->arg, dc);
}

static bool ends_soon(const struct ad_dcs *d)
{
    return d->cred.ends_ms - stamp_now_ms() < RENEW_BEFORE_MS;
}

/* Tickets are renewed before they end, and where a DC did not take them: the account may have a new
 * password, and the keytab its new key. When that may be asked again, ldap/renew.c says (K5). */
static bool renewal_is_due(const struct ad_dcs *d)
{
    struct ad_keytab_mark mark;

    if (!d->as_agent || !d->has_cred || d->cred_pending || (!d->suspect && !ends_soon(d)))
        return false;
    ad_keytab_mark(d->domain->keytab, &mark);
    return ad_renew_may(&d->renew, &mark, loop_now(d->loop));
}

static void on_retry(void *arg)
{
    struct ad_dc *dc = arg;
    struct ad_dcs *d = dc->dcs;
    struct err e;

    dc->retry = NULL;
    dc_move(dc, AD_DC_CONNECTING);
    if (renewal_is_due(d) && get_cred(d, &e) < 0)
        log_warning("renewing the ticket failed, going on with the old one: %s", e.msg);
    if (d->cred_pending && (dc->why.code == ERR_AUTH || ends_soon(d)))
        return; /* on_cred connects */
    dc_connect(dc);
}

static void dc_connect(struct ad_dc *dc)
{
    struct ad_dcs *d = dc->dcs;
    struct ad_conn_opts o = {
        .host = dc->host,
        .port = dc->port,
        .tls = d->domain->transport == CFG_TRANSPORT_LDAPS,
        .ca_file = d->domain->ca_file,
        .ccache = d->cred.cache,
        .connect_timeout_ms = d->domain->connect_timeout_ms,
        .operation_timeout_ms = d->domain->operation_timeout_ms,
        .window = d->window,
    };
    struct err e;

    if (ad_conn_open_start(d->loop, &o, on_ready, on_lost, dc, &dc->conn, &e) < 0)
        dc_down(dc, &e);
}

static void on_lost(void *arg, const struct err *e)
{
    struct ad_dc *dc = arg;

    dc_down(dc, e);
}

void ad_dc_reconnect(struct ad_dc *dc, const struct err *why)
{
    if (dc->state == AD_DC_READY)
        dc_down(dc, why);
}

static void on_ready(void *arg, const struct err *e)
{
    static const char *const root_attrs[] = {"currentTime",
                                             "defaultNamingContext",
                                             "configurationNamingContext",
                                             "dsServiceName",
                                             "isSynchronized",
                                             "tokenGroups",
                                             "domainControllerFunctionality",
                                             "supportedCapabilities",
                                             NULL};
    static const char *const ping_attrs[] = {"netlogon", NULL};
    static const char *const head_attrs[] = {"nTSecurityDescriptor", "objectSid", NULL};
    struct ad_dc *dc = arg;
    const char *domain = dc->dcs->domain->name;
    struct text filter = TEXT_INIT(1024), head = TEXT_INIT(1024);
    struct err mine;
    int rc;

    if (e != NULL) {
        if (e->code == ERR_AUTH)
            dc->dcs->suspect = true;
        dc_down(dc, e);
        return;
    }
    dc_move(dc, AD_DC_CHECKING);
    dc->checks = 3;
    text_addf(&filter, "(&(DnsDomain=%s)(NtVer=\\06\\00\\00\\00))", domain);
    /* The DN of a domain follows from its DNS name (RFC 2247). */
    for (const char *p = domain; *p != '\0';) {
        size_t n = strcspn(p, ".");

        text_addf(&head, "%sDC=%.*s", head.len > 0 ? "," : "", (int)n, p);
        p += n + (p[n] == '.');
    }
    rc = text_check(&filter, "ping", &mine) < 0 || text_check(&head, "base", &mine) < 0 ? -1 : 0;
    if (rc == 0)
        rc = ad_search_start(dc->conn,
                             &(struct ad_search){.base = "", .attrs = root_attrs, .limit = 1},
                             on_rootdse, dc, NULL, &mine);
    if (rc == 0)
        rc = ad_search_start(
            dc->conn,
            &(struct ad_search){.base = "", .filter = filter.s, .attrs = ping_attrs, .limit = 1},
            on_ping, dc, NULL, &mine);
    if (rc == 0)
        rc = ad_search_start(
            dc->conn,
            &(struct ad_search){.base = head.s, .attrs = head_attrs, .limit = 1, .with_dacl = true},
            on_head, dc, NULL, &mine);
    text_done(&filter);
    text_done(&head);
    if (rc < 0)
        dc_down(dc, &mine);
}

/* One of the three answered. */
static void checked(struct ad_dc *dc, const struct err *e)
{
    struct err mine;

    if (dc->dcs->closing || dc->state != AD_DC_CHECKING)
        return; /* went down meanwhile */
    if (e != NULL) {
        mine = *e;
        dc_down(dc, &mine);
        return;
    }
    if (--dc->checks > 0)
        return;
    if (dc->why.code == ERR_UNSUPPORTED) {
        dc_move(dc, AD_DC_UNFIT);
    } else {
        dc->failures = 0;
        dc->was_ready = true;
        dc->why = ERR_NONE;
        dc_move(dc, AD_DC_READY);
        ask_all(dc);
    }
    dc->dcs->changed(dc->dcs->arg, dc);
}

static void copy_dn(char *buf, size_t size, const struct ad_entry *en, const char *name)
{
    const struct ad_attr *a = ad_entry_attr(en, name);

    buf[0] = '\0';
    if (a != NULL && a->count == 1 && a->values[0].n < size &&
        memchr(a->values[0].s, '\0', a->values[0].n) == NULL) {
        memcpy(buf, a->values[0].s, a->values[0].n);
        buf[a->values[0].n] = '\0';
    }
}

static void on_rootdse(void *arg, const struct ad_entry *en, size_t n, const struct err *e)
{
    struct ad_dc *dc = arg;
    const struct ad_attr *a;
    char text[64];
    int64_t when;
    struct err mine;

    if (e == NULL && n != 1) {
        (void)err_set(&mine, ERR_INVALID, 0, "%s: no rootDSE", dc->host);
        e = &mine;
    }
    if (e != NULL) {
        checked(dc, e);
        return;
    }
    copy_dn(dc->domain_dn, sizeof(dc->domain_dn), en, "defaultNamingContext");
    copy_dn(dc->config_dn, sizeof(dc->config_dn), en, "configurationNamingContext");
    copy_dn(dc->ntds_dn, sizeof(dc->ntds_dn), en, "dsServiceName");
    copy_dn(text, sizeof(text), en, "isSynchronized");
    dc->synchronized = strcmp(text, "TRUE") == 0;
    copy_dn(text, sizeof(text), en, "domainControllerFunctionality");
    uint64_t level = 0;

    if (text_to_u64(text, 0, 1000, &level))
        dc->functional_level = (uint32_t)level;
    copy_dn(text, sizeof(text), en, "currentTime");
    dc->has_skew = stamp_parse_generalized(text, &when);
    if (dc->has_skew) {
        dc->skew_ms = when + 500 - stamp_now_ms();
        dc->skew_wall_ms = stamp_now_ms() - boot_now_ms();
    }

    /* The caller's own token: itself first (seen on Samba and Windows alike). */
    a = ad_entry_attr(en, "tokenGroups");
    dc->has_self = false;
    free(dc->tokens);
    dc->tokens = NULL;
    dc->token_count = 0;
    if (a != NULL && a->count > 0 && a->count <= AD_TOKENS_MAX) {
        dc->tokens = calloc(a->count, sizeof(*dc->tokens));
        for (size_t i = 0; dc->tokens != NULL && i < a->count; i++) {
            if (ad_sid_from_bytes(a->values[i].s, a->values[i].n, &dc->tokens[dc->token_count]) ==
                0)
                dc->token_count++;
            else if (i == 0)
                break;
        }
        if (dc->token_count > 0) {
            dc->self = dc->tokens[0];
            dc->has_self = true;
        }
    }
    /* AD_ACTIVE_DIRECTORY_PARTIAL_SECRETS: a read-only DC (MS-ADTS 3.1.1.3.4.3.6) */
    a = ad_entry_attr(en, "supportedCapabilities");
    for (size_t i = 0; a != NULL && i < a->count; i++) {
        if (a->values[i].n == 22 && memcmp(a->values[i].s, "1.2.840.113556.1.4.1920", 22) == 0)
            (void)err_set(&dc->why, ERR_UNSUPPORTED, 0, "%s is a read-only DC", dc->host);
    }
    checked(dc, NULL);
}

static void on_ping(void *arg, const struct ad_entry *en, size_t n, const struct err *e)
{
    struct ad_dc *dc = arg;
    const struct ad_attr *a;
    struct ad_netlogon nl;
    struct err mine;

    /* Only more knowledge: a DC that does not answer pings still takes changes. */
    if (e != NULL && (e->code == ERR_UNSENT || e->code == ERR_TIMEOUT || e->code == ERR_CANCELED)) {
        checked(dc, e);
        return;
    }
    a = n == 1 ? ad_entry_attr(en, "netlogon") : NULL;
    if (a != NULL && a->count == 1 &&
        ad_netlogon_parse(a->values[0].s, a->values[0].n, &nl, &mine) == 0) {
        (void)snprintf(dc->site, sizeof(dc->site), "%.63s", nl.dc_site);
        (void)snprintf(dc->netbios, sizeof(dc->netbios), "%.63s", nl.netbios_domain);
        if ((nl.flags & AD_NETLOGON_WRITABLE) == 0)
            (void)err_set(&dc->why, ERR_UNSUPPORTED, 0, "%s is a read-only DC", dc->host);
    }
    checked(dc, NULL);
}

static bool add_replicator(void *arg, const struct ad_sid *sid)
{
    struct ad_dc *dc = arg;

    for (size_t i = 0; i < dc->replicator_count; i++) {
        if (ad_sid_eq(&dc->replicators[i], sid))
            return true;
    }
    if (dc->replicator_count == AD_REPLICATORS_MAX)
        return false;
    dc->replicators[dc->replicator_count++] = *sid;
    return true;
}

static void on_head(void *arg, const struct ad_entry *en, size_t n, const struct err *e)
{
    struct ad_dc *dc = arg;
    const struct ad_attr *a;
    struct err mine;

    if (e != NULL && (e->code == ERR_UNSENT || e->code == ERR_TIMEOUT || e->code == ERR_CANCELED)) {
        checked(dc, e);
        return;
    }
    dc->replicator_count = 0;
    dc->replicators_known = false;
    a = n == 1 ? ad_entry_attr(en, "nTSecurityDescriptor") : NULL;
    if (a != NULL && a->count == 1)
        dc->replicators_known =
            ad_sd_replicators(a->values[0].s, a->values[0].n, add_replicator, dc, &mine) == 0;
    a = n == 1 ? ad_entry_attr(en, "objectSid") : NULL;
    dc->has_domain_sid = a != NULL && a->count == 1 &&
                         ad_sid_from_bytes(a->values[0].s, a->values[0].n, &dc->domain_sid) == 0;
    checked(dc, NULL);
}

/* --- is that all? -------------------------------------------------------------------------- */

static void ask_all(struct ad_dc *dc)
{
    static const char *const attrs[] = {"msDS-isRODC", NULL};
    struct ad_dcs *d = dc->dcs;
    struct text filter = TEXT_INIT(8192), base = TEXT_INIT(1024);
    struct err e;

    if (d->asked || dc->config_dn[0] == '\0' || dc->domain_dn[0] == '\0')
        return;
    text_add(&filter, "(&(objectClass=nTDSDSA)(msDS-hasMasterNCs=");
    ad_name_escape(&filter, dc->domain_dn, strlen(dc->domain_dn));
    text_add(&filter, "))");
    text_addf(&base, "CN=Sites,%s", dc->config_dn);
    if (!filter.failed && !base.failed &&
        ad_search_start(dc->conn,
                        &(struct ad_search){.base = base.s,
                                            .subtree = true,
                                            .filter = filter.s,
                                            .attrs = attrs,
                                            .limit = DCS_ASKED},
                        on_ntds, dc, NULL, &e) == 0)
        d->asked = true;
    text_done(&filter);
    text_done(&base);
}

static void on_ntds(void *arg, const struct ad_entry *en, size_t n, const struct err *e)
{
    static const char *const attrs[] = {"dNSHostName", NULL};
    struct ad_dc *dc = arg;
    struct ad_dcs *d = dc->dcs;
    struct text base = TEXT_INIT(1024);
    struct err mine;
    int rc = -1;

    if (d->closing)
        return;
    if (e != NULL && (e->code == ERR_UNSENT || e->code == ERR_TIMEOUT)) {
        d->asked = false; /* the next DC that is ready */
        return;
    }
    d->servers = calloc(n + 1, sizeof(char *));
    for (size_t i = 0; e == NULL && d->servers != NULL && i < n; i++) {
        const struct ad_attr *rodc = ad_entry_attr(&en[i], "msDS-isRODC");
        const char *parent = strchr(en[i].dn, ','); /* "CN=NTDS Settings,<server>" */

        if (parent == NULL || (rodc != NULL && rodc->count == 1 && rodc->values[0].n == 4 &&
                               memcmp(rodc->values[0].s, "TRUE", 4) == 0))
            continue;
        d->servers[d->server_count] = text_dup(parent + 1);
        if (d->servers[d->server_count] == NULL)
            break;
        d->server_count++;
    }
    text_addf(&base, "CN=Sites,%s", dc->config_dn);
    if (e == NULL && d->server_count > 0 && !base.failed)
        rc = ad_search_start(dc->conn,
                             &(struct ad_search){.base = base.s,
                                                 .subtree = true,
                                                 .filter = "(objectClass=server)",
                                                 .attrs = attrs,
                                                 .limit = 2 * DCS_ASKED},
                             on_servers, dc, NULL, &mine);
    text_done(&base);
    if (rc < 0) {
        d->known = AD_DCS_NOT_ALL;
        forget_servers(d);
    }
}

static void on_servers(void *arg, const struct ad_entry *en, size_t n, const struct err *e)
{
    struct ad_dc *dc = arg;
    struct ad_dcs *d = dc->dcs;
    size_t matched = 0, before = d->count;
    char suffix[260], host[256];
    struct err mine;

    if (d->closing)
        return;
    (void)snprintf(suffix, sizeof(suffix), ".%s", d->domain->name);
    for (size_t i = 0; e == NULL && i < n; i++) {
        bool ours = false;

        for (size_t k = 0; k < d->server_count; k++)
            ours = ours || text_eq_nocase(d->servers[k], en[i].dn);
        copy_dn(host, sizeof(host), &en[i], "dNSHostName");
        if (!ours)
            continue;
        /* K2: a name outside the domain is not bound to; then it is not known to be asked either.
         */
        if (host[0] != '\0' && text_ends_nocase(host, suffix)) {
            size_t was = d->count;
            struct ad_dc *other = add_dc(d, host, 389, false, &mine);

            if (other == NULL)
                continue;
            if (d->count > was) {
                other->write = false;
                log_info("%s is a DC too: it is asked, and not written to", host);
            }
            matched++;
        }
    }
    d->known = e == NULL && matched == d->server_count ? AD_DCS_ALL : AD_DCS_NOT_ALL;
    forget_servers(d);
    for (size_t i = before; i < d->count; i++)
        dc_connect(d->dcs[i]);
    if (d->count > before)
        d->changed(d->arg, NULL);
}
