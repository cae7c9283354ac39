/* agent/service/place.c -- one domain that the service serves: its world, and the lists of those
 * signers that may name some accounts only.
 *
 * A domain without a DC stops nobody: its world goes on looking for one. Where there is nothing to
 * go on with (no ticket, no DNS), it is opened anew after a while.
 */
#include "agent/service/service_inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ldap/count.h"

static void on_world(void *arg, const struct err *e);
static void reopen(void *arg);
static void on_only(void *arg, struct policy *p, const struct err *e);
static void census(void *arg);
static void on_counted(void *arg, uint64_t n, const struct err *e);

enum { CENSUS_LOOK_MS = 1000, CENSUS_MS = 24 * 3600 * 1000 };

static int open_world(struct place *p, struct err *e)
{
    struct service *s = p->s;
    struct world_opts o = {.cfg = s->cfg,
                           .domain = p->domain,
                           .as_agent = true,
                           .with_watch = true,
                           .with_cloud = s->cfg->entra.on || s->cfg->okta.on,
                           .ledger = s->ledger,
                           .wait_ms = s->cfg->wait_ms};

    p->told = false;
    memset(p->proven, 0, sizeof(p->proven));
    if (world_open(s->loop, &o, &p->world, on_world, p, e) < 0)
        return -1;
    watchers_listen(p);
    return 0;
}

int place_open(struct service *s, const struct cfg_domain *d, struct place *p, struct err *e)
{
    *p = (struct place){.s = s, .domain = d};
    if (d->keytab == NULL)
        return err_set(e, ERR_CONFIG, 0, "[domain/%s] keytab: the service needs one", d->name);
    p->lists = calloc(s->cfg->signer_count + 1, sizeof(*p->lists));
    if (p->lists == NULL)
        return err_set(e, ERR_NOMEM, 0, "lists");
    for (size_t i = 0; i < s->cfg->signer_count; i++) {
        if (s->cfg->signers[i].accounts.count > 0)
            p->lists[p->list_count++] =
                (struct place_list){.place = p, .signer = &s->cfg->signers[i]};
    }
    if (s->cfg->policy.brake_percent > 0)
        p->census = loop_timer_start(s->loop, 0, census, p);
    return open_world(p, e);
}

void place_close(struct place *p)
{
    loop_timer_stop(&p->later);
    loop_timer_stop(&p->census);
    if (p->world.loop != NULL)
        world_close(&p->world);
    for (size_t i = 0; i < p->list_count; i++)
        policy_free(p->lists[i].policy);
}

struct place *place_for(struct service *s, const char *domain)
{
    for (size_t i = 0; i < s->place_count; i++) {
        if (strcmp(s->places[i].domain->name, domain) == 0)
            return &s->places[i];
    }
    return NULL;
}

static void on_world(void *arg, const struct err *e)
{
    struct place *p = arg;
    struct service *s = p->s;

    p->told = true;
    if (e != NULL && e->code == ERR_CONFIG) {
        s->failed = *e;
        service_stop(s, true);
        return;
    }
    if (e != NULL) {
        log_error("domain=%s nothing can be done in it yet, trying on: %s", p->domain->name,
                  e->msg);
        /* Without a ticket or a list of DCs nothing will come by itself. */
        if (ad_dcs_failed(p->world.dcs) != NULL && !s->stopping)
            p->later = loop_timer_start(s->loop, service_backoff_ms(p->tries++), reopen, p);
    } else {
        p->tries = 0;
        log_info("domain=%s ready", p->domain->name);
    }
    service_wake(s);
}

static void reopen(void *arg)
{
    struct place *p = arg;
    struct err e;

    p->later = NULL;
    if (p->world.running_count > 0 || p->s->stopping) { /* its cases go on in the cloud */
        p->later = loop_timer_start(p->s->loop, 1000, reopen, p);
        return;
    }
    world_close(&p->world);
    if (open_world(p, &e) < 0) {
        log_error("domain=%s %s", p->domain->name, e.msg);
        p->told = true;
        p->later = loop_timer_start(p->s->loop, service_backoff_ms(p->tries++), reopen, p);
    }
}

/* --- how many users ------------------------------------------------------------------------ */

/* Once a day, and as soon as there is a DC. */
static void census(void *arg)
{
    struct place *p = arg;
    struct service *s = p->s;
    struct ad_dc *dc = world_can_judge(&p->world) ? world_dc(&p->world, false) : NULL;
    uint64_t wait = SERVICE_WAIT_MAX_MS;
    struct err e;

    p->census = NULL;
    if (dc == NULL) {
        wait = CENSUS_LOOK_MS;
    } else if (!p->counting &&
               (p->counted_at == 0 || loop_now(s->loop) - p->counted_at >= CENSUS_MS)) {
        p->counting =
            ad_count_start(dc->conn, dc->domain_dn, AD_ENABLED_USERS, on_counted, p, &e) == 0;
        if (!p->counting)
            log_warning("domain=%s its enabled users cannot be counted: %s", p->domain->name,
                        e.msg);
    }
    p->census = loop_timer_start(s->loop, wait, census, p);
}

static void on_counted(void *arg, uint64_t n, const struct err *e)
{
    struct place *p = arg;

    p->counting = false;
    if (p->world.closed)
        return;
    if (e != NULL) {
        log_warning("domain=%s its enabled users cannot be counted, trying again: brake_percent "
                    "goes by the last count, where there was one: %s",
                    p->domain->name, e->msg);
        return;
    }
    p->counted_at = loop_now(p->s->loop);
    brake_users(p->s->brake, p->domain->name, n);
    log_info("domain=%s has %" PRIu64 " enabled users", p->domain->name, n);
}

/* --- lists ------------------------------------------------------------------------------------ */

enum place_answer place_only(struct place *p, const char *signer, const struct policy **ret_only,
                             const struct err **ret_why)
{
    struct place_list *l = NULL;
    struct ad_dc *dc = world_dc(&p->world, false);
    char what[160];
    struct err e;

    for (size_t i = 0; i < p->list_count; i++) {
        if (strcmp(p->lists[i].signer->name, signer) == 0)
            l = &p->lists[i];
    }
    if (l == NULL)
        return PLACE_NONE;
    *ret_only = l->policy;
    *ret_why = &l->why;
    if (l->policy != NULL)
        return PLACE_READY;
    if (l->failed)
        return PLACE_FAILED;
    if (!l->asking && dc != NULL) {
        (void)snprintf(what, sizeof(what), "[signer/%s] accounts", l->signer->name);
        l->asking = policy_only_start(dc, &l->signer->accounts, what, on_only, l, &e) == 0;
    }
    return PLACE_LATER;
}

static void on_only(void *arg, struct policy *p, const struct err *e)
{
    struct place_list *l = arg;

    l->asking = false;
    if (l->place->world.closed) {
        policy_free(p);
    } else if (e == NULL) {
        l->policy = p;
    } else if (e->code == ERR_CONFIG) {
        /* It names nobody for certain: what this signer asks for is refused until it is mended. */
        l->failed = true;
        l->why = *e;
        log_error("domain=%s the requests of '%s' are refused: %s", l->place->domain->name,
                  l->signer->name, e->msg);
    }
}
