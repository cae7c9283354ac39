/* ldap/gather.c -- see gather.h.
 *
 *   ad_gather_find, ad_gather_prove   into the line
 *   on_due                            the line, by DC and kind, in batches
 *   on_names, on_proofs               who is answered; the rest alone
 */
#include "ldap/gather.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "ldap/value.h"

#define COMPANY_MS 15
#define PROOFS 16 /* read-backs in one search: the evidence of one should not wait for many */
#define PROXIES 64
#define VALUE_MAX 4096

struct ask {
    struct ask *next;
    struct ad_dc *dc;
    char *name; /* a look-up: as typed; a parsed one takes 1.6 KiB, and hundreds may wait */
    ad_find_cb found;
    struct ad_guid guid; /* a read-back */
    ad_read_cb read;
    void *arg;
};

struct batch { /* one search under way */
    struct ad_gather *g;
    struct batch *next;
    struct ask *asks[AD_NAME_BATCH];
    size_t count;
    struct ad_dc *dc;
    char *domain;
};

struct ad_gather {
    struct loop *loop;
    struct loop_timer *timer;
    bool crowded, soon;
    struct ask *first, **last;
    size_t waiting;
    struct batch *batches;
    bool closed; /* freed by its owner while searches are out */
};

static void on_due(void *arg);
static void on_names(void *arg, const struct ad_entry *entries, size_t n, const struct err *e);
static void on_proofs(void *arg, const struct ad_entry *entries, size_t n, const struct err *e);

int ad_gather_new(struct loop *l, struct ad_gather **ret_gather, struct err *e)
{
    struct ad_gather *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return err_set(e, ERR_NOMEM, 0, "look-up");
    g->loop = l;
    g->last = &g->first;
    *ret_gather = g;
    return 0;
}

static void ask_free(struct ask *a)
{
    free(a->name);
    free(a);
}

static void batch_free(struct batch *b)
{
    struct ad_gather *g = b->g;
    struct batch **at = &g->batches;

    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    for (size_t i = 0; i < b->count; i++)
        ask_free(b->asks[i]);
    free(b->domain);
    free(b);
    if (g->closed && g->batches == NULL)
        free(g);
}

void ad_gather_free(struct ad_gather *g)
{
    struct ask *next;

    if (g == NULL)
        return;
    loop_timer_stop(&g->timer);
    for (struct ask *a = g->first; a != NULL; a = next) {
        next = a->next;
        ask_free(a);
    }
    g->first = NULL;
    g->closed = true;
    if (g->batches == NULL)
        free(g);
}

void ad_gather_crowded(struct ad_gather *g, bool crowded)
{
    g->crowded = crowded;
}

static int enqueue(struct ad_gather *g, struct ask *a, struct err *e)
{
    bool soon = !g->crowded || g->waiting + 1 >= AD_NAME_BATCH;

    if (g->timer != NULL && soon && !g->soon)
        loop_timer_stop(&g->timer);
    if (g->timer == NULL) {
        g->timer = loop_timer_start(g->loop, soon ? 0 : COMPANY_MS, on_due, g);
        g->soon = soon;
        if (g->timer == NULL) {
            ask_free(a);
            return err_set(e, ERR_NOMEM, 0, "look-up");
        }
    }
    *g->last = a;
    g->last = &a->next;
    g->waiting++;
    return 0;
}

int ad_gather_find(struct ad_gather *g, struct ad_dc *dc, const struct ad_name *name, ad_find_cb cb,
                   void *arg, struct err *e)
{
    struct ask *a = calloc(1, sizeof(*a));

    if (a == NULL || (a->name = text_dup(name->text)) == NULL) {
        free(a);
        return err_set(e, ERR_NOMEM, 0, "look-up");
    }
    a->dc = dc;
    a->found = cb;
    a->arg = arg;
    return enqueue(g, a, e);
}

int ad_gather_prove(struct ad_gather *g, struct ad_dc *dc, const struct ad_guid *guid,
                    ad_read_cb cb, void *arg, struct err *e)
{
    struct ask *a = calloc(1, sizeof(*a));

    if (a == NULL)
        return err_set(e, ERR_NOMEM, 0, "read");
    a->guid = *guid;
    a->dc = dc;
    a->read = cb;
    a->arg = arg;
    return enqueue(g, a, e);
}

/* --- alone --------------------------------------------------------------------------- */

static struct ad_name_domain domain_of(const struct ad_dc *dc)
{
    return (struct ad_name_domain){.dns = ad_dcs_domain(dc->dcs),
                                   .netbios = dc->netbios[0] != '\0' ? dc->netbios : NULL};
}

/* It was parsed before, so that it can be. */
static int parse(const struct ask *a, struct ad_name *ret, struct err *e)
{
    return ad_name_parse(a->name, strlen(a->name), ad_dcs_domain(a->dc->dcs), ret, e);
}

static int find_alone(const struct ask *a, struct err *e)
{
    struct ad_name_domain domain = domain_of(a->dc);
    struct ad_name name;

    if (parse(a, &name, e) < 0)
        return -1;
    return ad_find_start(a->dc->conn, &name, &domain, a->dc->domain_dn, a->found, a->arg, NULL, e);
}

/* From a callback of the loop: may call back at once. */
static void alone(const struct ask *a)
{
    struct err e;
    int rc;

    if (a->dc->state != AD_DC_READY)
        rc = err_set(&e, ERR_UNSENT, 0, "%s: not connected any more", a->dc->host);
    else if (a->name != NULL)
        rc = find_alone(a, &e);
    else
        rc = ad_read_start(a->dc->conn, &a->guid, AD_READ_PROVE, a->read, a->arg, NULL, &e);
    if (rc == 0)
        return;
    if (a->name != NULL)
        a->found(a->arg, NULL, 0, &e);
    else
        a->read(a->arg, NULL, &e);
}

/* --- together ------------------------------------------------------------------------- */

/* Can it be asked together with others at all? */
static bool sociable(const struct ask *a)
{
    struct ad_name_domain domain = domain_of(a->dc);
    struct text t = TEXT_INIT(AD_NAME_FILTER_MAX);
    struct ad_name name;
    struct err ignored;
    bool yes;

    if (a->name == NULL)
        return true;
    yes = parse(a, &name, &ignored) == 0 && ad_name_batchable(&name) &&
          ad_name_filter(&name, &domain, &t, &ignored) == 0;
    text_done(&t);
    return yes;
}

static void names_freep(struct ad_name **n)
{
    free(*n);
}

static struct ad_name *parse_all(const struct batch *b, const struct ad_name **ret_names,
                                 struct err *e)
{
    struct ad_name *parsed = calloc(b->count, sizeof(*parsed));

    if (parsed == NULL) {
        (void)err_set(e, ERR_NOMEM, 0, "look-up");
        return NULL;
    }
    for (size_t i = 0; i < b->count; i++) {
        if (parse(b->asks[i], &parsed[i], e) < 0) {
            free(parsed);
            return NULL;
        }
        ret_names[i] = &parsed[i];
    }
    return parsed;
}

static int search_names(struct batch *b, struct err *e)
{
    static const char *const attrs[] = {
        "objectGUID", "objectSid",      "sAMAccountName",        "userPrincipalName",
        "mail",       "proxyAddresses", "mS-DS-ConsistencyGuid", NULL};
    const struct ad_name *names[AD_NAME_BATCH];
    struct ad_name_domain domain = domain_of(b->dc);
    CLEANUP(names_freep) struct ad_name *parsed = parse_all(b, names, e);
    struct text filter = TEXT_INIT(AD_NAME_FILTER_MAX);
    int rc;

    if (parsed == NULL)
        return -1;
    rc = ad_name_batch_filter(names, b->count, &domain, &filter, e);
    if (rc == 0)
        rc = ad_search_start(b->dc->conn,
                             &(struct ad_search){.base = b->dc->domain_dn,
                                                 .subtree = true,
                                                 .filter = filter.s,
                                                 .attrs = attrs,
                                                 .limit = (unsigned)b->count + AD_FIND_MAX},
                             on_names, b, NULL, e);
    text_done(&filter);
    return rc;
}

static int search_proofs(struct batch *b, struct err *e)
{
    struct text filter = TEXT_INIT(AD_NAME_FILTER_MAX);
    int rc;

    text_add(&filter, "(|");
    for (size_t i = 0; i < b->count; i++) {
        text_add(&filter, "(objectGUID=");
        ad_name_escape(&filter, b->asks[i]->guid.b, sizeof(b->asks[i]->guid.b));
        text_addc(&filter, ')');
    }
    text_addc(&filter, ')');
    rc = text_check(&filter, "filter", e);
    if (rc == 0)
        rc = ad_search_start(b->dc->conn,
                             &(struct ad_search){.base = b->dc->domain_dn,
                                                 .subtree = true,
                                                 .filter = filter.s,
                                                 .attrs = ad_prove_attrs,
                                                 .limit = (unsigned)b->count + 1},
                             on_proofs, b, NULL, e);
    text_done(&filter);
    return rc;
}

/* Take the first of the line and what goes with it. */
static struct batch *next_batch(struct ad_gather *g)
{
    struct batch *b = calloc(1, sizeof(*b));
    struct ask **at = &g->first;
    bool name;
    size_t most;

    if (b == NULL)
        return NULL;
    b->g = g;
    b->next = g->batches;
    g->batches = b;
    b->dc = g->first->dc;
    name = g->first->name != NULL;
    most = name ? AD_NAME_BATCH : PROOFS;
    while (*at != NULL && b->count < most) {
        struct ask *a = *at;

        if (a->dc != b->dc || (a->name != NULL) != name || (b->count > 0 && !sociable(a))) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        g->waiting--;
        b->asks[b->count++] = a;
        if (b->count == 1 && !sociable(a))
            break;
    }
    g->last = &g->first;
    while (*g->last != NULL)
        g->last = &(*g->last)->next;
    return b;
}

static void all_alone(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        alone(b->asks[i]);
    batch_free(b);
}

static void on_due(void *arg)
{
    struct ad_gather *g = arg;
    size_t turns = g->waiting;

    g->timer = NULL;
    g->soon = false;
    while (g->first != NULL && turns-- > 0) {
        struct batch *b = next_batch(g);
        struct err e;
        int rc = -1;

        if (b == NULL) { /* no memory: later, then */
            g->timer = loop_timer_start(g->loop, COMPANY_MS, on_due, g);
            return;
        }
        if (b->count > 1 && b->dc->state == AD_DC_READY)
            rc = b->asks[0]->name != NULL ? search_names(b, &e) : search_proofs(b, &e);
        if (rc < 0)
            all_alone(b);
    }
    if (g->first != NULL && g->timer == NULL) /* came in while we called back */
        g->timer = loop_timer_start(g->loop, 0, on_due, g);
}

/* --- names ---------------------------------------------------------------------------- */

struct shown { /* one entry as names are compared with it */
    char *sam, *upn, *mail;
    char *proxies[PROXIES];
    size_t proxy_count;
};

static void shown_done(struct shown *s)
{
    free(s->sam);
    free(s->upn);
    free(s->mail);
    for (size_t i = 0; i < s->proxy_count; i++)
        free(s->proxies[i]);
}

static int shown_take(const struct ad_entry *en, struct shown *s, struct err *e)
{
    const struct ad_attr *p = ad_entry_attr(en, "proxyAddresses");

    if (ad_value_text(ad_entry_attr(en, "sAMAccountName"), VALUE_MAX, &s->sam, e) < 0 ||
        ad_value_text(ad_entry_attr(en, "userPrincipalName"), VALUE_MAX, &s->upn, e) < 0 ||
        ad_value_text(ad_entry_attr(en, "mail"), VALUE_MAX, &s->mail, e) < 0)
        return -1;
    if (p != NULL && p->count > PROXIES)
        return err_set(e, ERR_TOOBIG, 0, "over %d proxyAddresses", PROXIES);
    for (size_t i = 0; p != NULL && i < p->count; i++) {
        if (p->values[i].n > VALUE_MAX || memchr(p->values[i].s, '\0', p->values[i].n) != NULL)
            return err_set(e, ERR_INVALID, 0, "a strange proxyAddress");
        s->proxies[i] = strndup(p->values[i].s, p->values[i].n);
        if (s->proxies[i] == NULL)
            return err_set(e, ERR_NOMEM, 0, "look-up");
        s->proxy_count++;
    }
    return 0;
}

/* -1: the answer cannot be told apart; everyone alone. */
static int assign(const struct batch *b, const struct ad_entry *entries, size_t n, size_t *which,
                  struct err *e)
{
    struct ad_name_domain domain = domain_of(b->dc);
    const struct ad_name *names[AD_NAME_BATCH];
    CLEANUP(names_freep) struct ad_name *parsed = parse_all(b, names, e);
    struct ad_name_entry *compared = calloc(n + 1, sizeof(*compared));
    struct shown *shown = calloc(n + 1, sizeof(*shown));
    int rc = parsed == NULL || compared == NULL || shown == NULL
                 ? err_set(e, ERR_NOMEM, 0, "look-up")
                 : 0;

    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = shown_take(&entries[i], &shown[i], e);
        compared[i] = (struct ad_name_entry){.sam = shown[i].sam,
                                             .upn = shown[i].upn,
                                             .mail = shown[i].mail,
                                             .proxies = (const char *const *)shown[i].proxies,
                                             .proxy_count = shown[i].proxy_count};
    }
    if (rc == 0)
        ad_name_batch_assign(names, b->count, &domain, compared, n, which);
    for (size_t i = 0; shown != NULL && i < n; i++)
        shown_done(&shown[i]);
    free(shown);
    free(compared);
    return rc;
}

static void on_names(void *arg, const struct ad_entry *entries, size_t n, const struct err *e)
{
    struct batch *b = arg;
    size_t which[AD_NAME_BATCH];
    struct err mine;

    if (b->g->closed) {
        batch_free(b);
        return;
    }
    if (e != NULL || assign(b, entries, n, which, &mine) < 0) {
        all_alone(b);
        return;
    }
    for (size_t i = 0; i < b->count; i++) {
        const struct ask *a = b->asks[i];
        struct ad_found found = {0};
        bool one = which[i] < n && ad_found_decode(&entries[which[i]], &found, &mine) == 0;

        if (which[i] == AD_NAME_UNCLEAR || (which[i] < n && !one))
            alone(a); /* its own search says it in its own words */
        else if (ad_find_judge(a->name, ad_dcs_domain(a->dc->dcs), &found, one ? 1 : 0, &mine) < 0)
            a->found(a->arg, NULL, 0, &mine);
        else
            a->found(a->arg, &found, 1, NULL);
        ad_found_done(&found);
    }
    batch_free(b);
}

/* --- proofs ----------------------------------------------------------------------------- */

static void on_proofs(void *arg, const struct ad_entry *entries, size_t n, const struct err *e)
{
    struct batch *b = arg;

    if (b->g->closed) {
        batch_free(b);
        return;
    }
    for (size_t i = 0; i < b->count; i++) {
        const struct ask *a = b->asks[i];
        struct ad_account *account = NULL;
        struct err mine;

        for (size_t k = 0; e == NULL && k < n && account == NULL; k++)
            (void)ad_account_decode(&entries[k], &a->guid, AD_READ_PROVE, &account, &mine);
        if (account != NULL)
            a->read(a->arg, account, NULL);
        else
            alone(a);
    }
    batch_free(b);
}
