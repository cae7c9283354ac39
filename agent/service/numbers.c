/* agent/service/numbers.c -- the service's numbers, for a monitor (metrics.h). */
#include "agent/service/service_inside.h"

#include <stdlib.h>

#include "agent/cloud.h"
#include "agent/intake/risk.h"
#include "agent/service/holdwatch.h"
#include "agent/service/metrics.h"
#include "base/stamp.h"

enum { LEGS = 3, EXPIRIES = 2, RULES = 8 };

static int64_t age_of(const struct service *s, uint64_t at)
{
    return at != 0 ? (int64_t)(loop_now(s->loop) - at) : METRICS_UNKNOWN;
}

int64_t numbers_event_ms(const struct world *w, const char *dc)
{
    struct watch_health h;
    int64_t last = 0;

    for (size_t i = 0; watch_health(w->watch, i, &h); i++) {
        if ((h.dc == NULL || text_eq_nocase(h.dc, dc)) && h.event_ms > last)
            last = h.event_ms;
    }
    return last;
}

static size_t count_dcs(const struct service *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->place_count; i++)
        n += s->places[i].world.dcs != NULL ? ad_dcs_count(s->places[i].world.dcs) : 0;
    return n;
}

static size_t take_dcs(const struct service *s, struct metrics_dc *dcs)
{
    int64_t now = stamp_now_ms();
    size_t n = 0;

    for (size_t i = 0; i < s->place_count; i++) {
        const struct place *p = &s->places[i];

        for (size_t k = 0; p->world.dcs != NULL && k < ad_dcs_count(p->world.dcs); k++) {
            const struct ad_dc *dc = ad_dcs_at(p->world.dcs, k);
            int64_t at = numbers_event_ms(&p->world, dc->host);

            dcs[n++] = (struct metrics_dc){.name = dc->host,
                                           .up = dc->state == AD_DC_READY,
                                           .proven_age_ms = age_of(s, p->proven[k]),
                                           .event_age_ms = at == 0    ? METRICS_UNKNOWN
                                                           : at < now ? now - at
                                                                      : 0};
        }
    }
    return n;
}

static void count_alive(void *arg, const struct holdwatch_state *x)
{
    int64_t *n = arg;

    *n += x->ad_alive || x->entra_alive;
}

static void count_complaint(void *arg, const char *words)
{
    int64_t *n = arg;

    (void)words;
    (*n)++;
}

static void take_jobs(const struct service *s, struct metrics *m)
{
    for (const struct job *j = s->jobs; j != NULL; j = j->next) {
        m->waiting += j->state == JOB_WAITING || j->state == JOB_TAKING;
        m->held += j->state == JOB_HELD;
    }
}

static void take_queue(const struct service *s, struct metrics *m)
{
    const struct health *h = &s->health;
    int64_t now = stamp_now_ms();

    m->queue_depth = m->queue_oldest_ms = METRICS_UNKNOWN;
    if (!h->known)
        return;
    m->queue_depth = (int64_t)h->depth;
    m->queue_oldest_ms = h->oldest_ms > 0 && h->oldest_ms < now ? now - h->oldest_ms : 0;
}

static void take_risk(const struct service *s, struct metrics *m)
{
    struct intake_risk_health h;

    m->at_risk = METRICS_UNKNOWN;
    if (s->risks == NULL)
        return;
    intake_risk_health(s->risks, &h);
    if (h.asked)
        m->at_risk = (int64_t)h.at_risk;
    m->risk_polls = h.polls;
    m->risk_failures = h.failed;
    m->risk_requests = h.requests;
}

/* When Kerberos' tickets end, the earliest; METRICS_UNKNOWN is told as not known. */
static size_t take_expiries(const struct service *s, struct metrics_expiry *left)
{
    int64_t now = stamp_now_ms(), first = 0, token;
    size_t n = 0;

    for (size_t i = 0; i < s->place_count; i++) {
        const struct world *w = &s->places[i].world;
        const struct ad_cred *cred = w->dcs != NULL ? ad_dcs_cred(w->dcs) : NULL;

        if (cred != NULL && cred->ends_ms != 0 && (first == 0 || cred->ends_ms < first))
            first = cred->ends_ms;
    }
    if (first != 0)
        left[n++] = (struct metrics_expiry){"kerberos", first - now};
    token = s->tenant != NULL ? token_expires_ms(s->tenant->token) : 0;
    if (token != 0)
        left[n++] = (struct metrics_expiry){"entra", token - now};
    return n;
}

int numbers_write(struct service *s, struct text *t, struct err *e)
{
    struct metrics_leg legs[LEGS];
    struct metrics_expiry expiries[EXPIRIES];
    struct brake_count counts[RULES];
    struct metrics_brake brakes[RULES];
    struct metrics_dc *dcs = calloc(count_dcs(s) + 1, sizeof(*dcs));
    char head[2 * ID_SHA256 + 1], why[400];
    struct metrics m = {.version = CORDON_VERSION,
                        .in_flight = (int64_t)s->running,
                        .outbox = (int64_t)outbox_count(s->outbox),
                        .outbox_stuck = (int64_t)outbox_stuck(s->outbox),
                        .ledger_failed = s->sick,
                        .watched = (int64_t)holdwatch_count(s->watch),
                        .taken = s->taken,
                        .refused = s->refused,
                        .answered = s->answered,
                        .came_back = s->came_back,
                        .put_back = s->put_back,
                        .dcs = dcs,
                        .legs = legs,
                        .expiries = expiries,
                        .brakes = brakes};
    int64_t since;
    int rc;

    if (dcs == NULL)
        return err_set(e, ERR_NOMEM, 0, "metrics");
    health_look(s);
    m.dc_count = take_dcs(s, dcs);
    legs[m.leg_count++] = (struct metrics_leg){"queue", age_of(s, s->health.queue_ok)};
    if (s->cfg->entra.on)
        legs[m.leg_count++] = (struct metrics_leg){"entra", age_of(s, health_graph(s))};
    if (s->cfg->okta.on)
        legs[m.leg_count++] = (struct metrics_leg){"okta", age_of(s, health_okta(s))};
    m.expiry_count = take_expiries(s, expiries);
    m.brake_count = brake_counts(s->brake, service_now_ms(s), counts, RULES);
    for (size_t i = 0; i < m.brake_count; i++)
        brakes[i] = (struct metrics_brake){counts[i].rule, counts[i].count, counts[i].limit};
    m.brake_engaged = brake_is_engaged(s->brake, why, sizeof(why), &since);
    for (int v = 0; v <= VERDICT_UNKNOWN; v++)
        m.verdicts[v] = s->verdicts[v];
    take_jobs(s, &m);
    take_queue(s, &m);
    take_risk(s, &m);
    holdwatch_each(s->watch, count_alive, &m.alive);
    health_complain(s, count_complaint, &m.degraded);
    rc = ledger_head(s->ledger, &m.ledger_records, head, e);
    if (rc == 0)
        rc = metrics_write(&m, t, e);
    free(dcs);
    return rc;
}
