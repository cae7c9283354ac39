/* ldap/locate.c -- see locate.h. A job on the pool: the resolver and the ping block. */
#include "ldap/locate.h"

#include <arpa/nameser.h>
#include <ldap.h>
#include <netdb.h>
#include <openldap.h> /* ldap_init_fd */
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/text.h"
#include "ldap/dial.h"
#include "ldap/netlogon.h"
#include "ldap/options.h"

#define PING_MS 1000

struct srv {
    char host[256];
    unsigned port, priority, weight;
};

struct locate {
    char *domain, *site;
    ad_locate_cb cb;
    void *arg;
    struct ad_locations locs;
    int rc;
    struct err err;
};

static int by_priority(const void *a, const void *b)
{
    const struct srv *x = a, *y = b;

    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    return x->weight > y->weight ? -1 : x->weight < y->weight;
}

/* The SRV records of `name`, in RFC 2782's order (weights shuffled by a random part). */
static int query_srv(const char *name, const char *domain, struct srv *ret, size_t max,
                     size_t *ret_n, struct err *e)
{
    unsigned char answer[16384];
    struct __res_state rs;
    char suffix[260];
    size_t n = 0;
    ns_msg msg;
    int len;

    memset(&rs, 0, sizeof(rs));
    if (res_ninit(&rs) != 0)
        return err_set(e, ERR_INTERNAL, 0, "resolver");
    rs.retrans = 2; /* seconds for the first try */
    rs.retry = 2;
    len = res_nquery(&rs, name, ns_c_in, ns_t_srv, answer, sizeof(answer));
    int why = rs.res_h_errno;

    res_nclose(&rs);
    if (len < 0)
        return err_set(e, why == HOST_NOT_FOUND || why == NO_DATA ? ERR_NOTFOUND : ERR_UNSENT, why,
                       "DNS: SRV %s: %s", name, hstrerror(why));
    if (len > (int)sizeof(answer) || ns_initparse(answer, len, &msg) < 0)
        return err_set(e, ERR_INVALID, 0, "DNS: SRV %s: broken answer", name);
    (void)snprintf(suffix, sizeof(suffix), ".%s", domain);
    for (int i = 0; i < ns_msg_count(msg, ns_s_an) && n < max; i++) {
        struct srv *s = &ret[n];
        uint16_t chance = 0;
        ns_rr rr;

        if (ns_parserr(&msg, ns_s_an, i, &rr) < 0 || ns_rr_type(rr) != ns_t_srv ||
            ns_rr_rdlen(rr) < 7)
            continue;
        if (dn_expand(ns_msg_base(msg), ns_msg_end(msg), ns_rr_rdata(rr) + 6, s->host,
                      sizeof(s->host)) < 0)
            continue;
        s->priority = ns_get16(ns_rr_rdata(rr));
        s->weight = ns_get16(ns_rr_rdata(rr) + 2);
        s->port = ns_get16(ns_rr_rdata(rr) + 4);
        if (!text_ends_nocase(s->host, suffix)) /* K2 */
            continue;
        if (id_random(&chance, sizeof(chance), e) == 0)
            s->weight = s->weight * 256 + chance % (s->weight * 256 + 256);
        n++;
    }
    if (n == 0)
        return err_set(e, ERR_NOTFOUND, 0, "DNS: SRV %s: no DC below %s", name, domain);
    qsort(ret, n, sizeof(*ret), by_priority);
    *ret_n = n;
    return 0;
}

/* LDAP ping over TCP, unauthenticated: which site are we in? The handle bears what
 * those that bind bear (L1); nothing is bound. */
static bool ping_site(const struct srv *s, const char *domain, char ret_site[64])
{
    char url[300], attr[] = "netlogon", *attrs[] = {attr, NULL};
    struct timeval tv = {.tv_sec = PING_MS / 1000};
    struct text filter = TEXT_INIT(1024);
    struct ad_netlogon nl;
    struct berval **values = NULL;
    LDAPMessage *msg = NULL;
    LDAP *ld = NULL;
    struct err e;
    bool ok = false;
    int fd = -1;

    /* NtVer 0x16: v5, v5EX, with the closest site. The domain comes from the config: host syntax.
     */
    text_addf(&filter, "(&(DnsDomain=%s)(NtVer=\\16\\00\\00\\00))", domain);
    (void)snprintf(url, sizeof(url), "ldap://%.255s:%u", s->host, s->port);
    if (filter.failed || ad_dial_host(s->host, s->port, PING_MS, &fd, &e) < 0)
        goto out;
    if (ldap_init_fd(fd, LDAP_PROTO_TCP, url, &ld) != LDAP_SUCCESS) {
        (void)close(fd);
        goto out;
    }
    if (ad_options_set(ld, &(struct ad_options){.wait_ms = PING_MS}, &e) < 0)
        goto out;
    if (ldap_search_ext_s(ld, "", LDAP_SCOPE_BASE, filter.s, attrs, 0, NULL, NULL, &tv, 1, &msg) ==
        LDAP_SUCCESS) {
        LDAPMessage *en = ldap_first_entry(ld, msg);

        if (en != NULL)
            values = ldap_get_values_len(ld, en, "netlogon");
        if (values != NULL && values[0] != NULL &&
            ad_netlogon_parse(values[0]->bv_val, values[0]->bv_len, &nl, &e) == 0 &&
            nl.client_site[0] != '\0' &&
            strspn(nl.client_site, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ"
                                   "KLMNOPQRSTUVWXYZ0123456789-_") == strlen(nl.client_site)) {
            (void)snprintf(ret_site, 64, "%.63s", nl.client_site);
            ok = true;
        }
    }
out:
    if (values != NULL)
        ldap_value_free_len(values);
    if (msg != NULL)
        (void)ldap_msgfree(msg);
    if (ld != NULL)
        (void)ldap_unbind_ext(ld, NULL, NULL);
    text_done(&filter);
    return ok;
}

static void add(struct ad_locations *l, const struct srv *s, bool in_site)
{
    for (size_t i = 0; i < l->count; i++) {
        if (text_eq_nocase(l->at[i].host, s->host))
            return;
    }
    if (l->count == AD_LOCATE_MAX)
        return;
    memcpy(l->at[l->count].host, s->host, sizeof(s->host));
    l->at[l->count].port = s->port;
    l->at[l->count].in_site = in_site;
    l->count++;
}

static void locate_work(void *arg)
{
    struct locate *lo = arg;
    struct srv all[AD_LOCATE_MAX], near[AD_LOCATE_MAX];
    size_t n = 0, m = 0;
    char name[600];
    struct err ignored;

    (void)snprintf(name, sizeof(name), "_ldap._tcp.dc._msdcs.%s", lo->domain);
    lo->rc = query_srv(name, lo->domain, all, ARRAY_LEN(all), &n, &lo->err);
    if (lo->rc < 0)
        return;
    if (lo->site != NULL) {
        (void)snprintf(lo->locs.site, sizeof(lo->locs.site), "%s", lo->site);
    } else if (n > 1) {
        for (size_t i = 0; i < n && i < 3; i++) {
            if (ping_site(&all[i], lo->domain, lo->locs.site))
                break;
        }
    }
    if (lo->locs.site[0] != '\0') {
        (void)snprintf(name, sizeof(name), "_ldap._tcp.%s._sites.dc._msdcs.%s", lo->locs.site,
                       lo->domain);
        if (query_srv(name, lo->domain, near, ARRAY_LEN(near), &m, &ignored) < 0)
            m = 0; /* no DC in our site: the others do */
    }
    for (size_t i = 0; i < m; i++)
        add(&lo->locs, &near[i], true);
    for (size_t i = 0; i < n; i++)
        add(&lo->locs, &all[i], false);
}

static void locate_free(struct locate *lo)
{
    free(lo->domain);
    free(lo->site);
    free(lo);
}

static void locate_done(void *arg, bool canceled)
{
    struct locate *lo = arg;

    if (canceled)
        lo->rc = err_set(&lo->err, ERR_CANCELED, 0, "DNS: never started");
    lo->cb(lo->arg, lo->rc == 0 ? &lo->locs : NULL, lo->rc == 0 ? NULL : &lo->err);
    locate_free(lo);
}

int ad_locate_start(struct loop *l, const char *domain, const char *site, ad_locate_cb cb,
                    void *arg, struct err *e)
{
    struct locate *lo = calloc(1, sizeof(*lo));

    if (lo == NULL)
        return err_set(e, ERR_NOMEM, 0, "locate");
    lo->domain = text_dup(domain);
    lo->site = text_dup(site);
    lo->cb = cb;
    lo->arg = arg;
    if (lo->domain == NULL || (site != NULL && lo->site == NULL)) {
        locate_free(lo);
        return err_set(e, ERR_NOMEM, 0, "locate");
    }
    if (loop_job_start(l, locate_work, locate_done, lo, e) < 0) {
        locate_free(lo);
        return -1;
    }
    return 0;
}
