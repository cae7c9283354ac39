/* agent/service/tell.c -- see tell.h. Nothing here waits, and nothing here changes anything but by
 * held.c and the brake. */
#include "agent/service/tell.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/cloud.h"
#include "agent/intake/risk.h"
#include "agent/service/holdwatch.h"
#include "agent/service/service_inside.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/stamp.h"

enum { COUNTS = 16 };

static size_t count_jobs(const struct service *s, enum job_state state)
{
    size_t n = 0;

    for (const struct job *j = s->jobs; j != NULL; j = j->next)
        n += j->state == state;
    return n;
}

/* --- status ---------------------------------------------------------------------------- */

static void tell_dcs(struct world *w, struct json_out *o)
{
    size_t n = w->dcs != NULL ? ad_dcs_count(w->dcs) : 0, ready = 0;
    int64_t now = stamp_now_ms(), at;

    for (size_t i = 0; i < n; i++)
        ready += ad_dcs_at(w->dcs, i)->state == AD_DC_READY;
    json_out_u64(o, "dcs_ready", ready);
    json_out_u64(o, "dcs", n);
    json_out_array(o, "each");
    for (size_t i = 0; i < n; i++) {
        const struct ad_dc *dc = ad_dcs_at(w->dcs, i);

        at = numbers_event_ms(w, dc->host);
        json_out_object(o, NULL);
        json_out_str(o, "dc", dc->host);
        json_out_str(o, "state", ad_dc_state_word(dc->state));
        if (dc->why.code != ERR_OK && dc->state != AD_DC_READY)
            json_out_str(o, "why", dc->why.msg);
        json_out_bool(o, "log", watch_covers(w->watch, dc->host));
        if (at != 0) {
            json_out_time(o, "last_event", at);
            json_out_i64(o, "last_event_ms_ago", at < now ? now - at : 0);
        }
        json_out_end_object(o);
    }
    json_out_end_array(o);
}

static void tell_domains(struct service *s, struct json_out *o)
{
    json_out_array(o, "domains");
    for (size_t i = 0; i < s->place_count; i++) {
        struct world *w = &s->places[i].world;

        json_out_object(o, NULL);
        json_out_str(o, "name", s->places[i].domain->name);
        json_out_bool(o, "ready", world_can_judge(w) && world_dc(w, true) != NULL);
        tell_dcs(w, o);
        json_out_end_object(o);
    }
    json_out_end_array(o);
}

static void tell_brake(struct service *s, struct json_out *o)
{
    struct brake_count counts[COUNTS];
    char why[400] = "";
    int64_t since = 0;
    bool engaged = brake_is_engaged(s->brake, why, sizeof(why), &since);
    size_t n = brake_counts(s->brake, service_now_ms(s), counts, COUNTS);

    json_out_object(o, "brake");
    json_out_bool(o, "engaged", engaged);
    if (engaged) {
        json_out_str(o, "why", why);
        json_out_time(o, "since", since);
    }
    json_out_array(o, "counts");
    for (size_t i = 0; i < n; i++) {
        json_out_object(o, NULL);
        json_out_str(o, "rule", counts[i].rule);
        json_out_str(o, "whom", counts[i].whom);
        json_out_u64(o, "count", counts[i].count);
        json_out_u64(o, "limit", counts[i].limit);
        json_out_u64(o, "per_ms", counts[i].per_ms);
        json_out_end_object(o);
    }
    json_out_end_array(o);
    json_out_end_object(o);
}

static void say(void *arg, const char *words)
{
    json_out_str(arg, NULL, words);
}

static void tell_degraded(struct service *s, struct json_out *o)
{
    json_out_array(o, "degraded");
    health_complain(s, say, o);
    json_out_end_array(o);
}

/* Something that happened then, by loop_now; 0: never. */
static void tell_age(const struct service *s, struct json_out *o, const char *name, uint64_t at)
{
    if (at != 0)
        json_out_u64(o, name, loop_now(s->loop) - at);
    else
        json_out_null(o, name);
}

static void tell_leg(const struct service *s, struct json_out *o, const char *name, uint64_t at)
{
    json_out_object(o, NULL);
    json_out_str(o, "name", name);
    tell_age(s, o, "proven_ms_ago", at);
    json_out_end_object(o);
}

/* The age of the last round trip that was proven, for each leg. */
static void tell_legs(struct service *s, struct json_out *o)
{
    json_out_array(o, "legs");
    tell_leg(s, o, "queue", s->health.queue_ok);
    if (s->cfg->entra.on)
        tell_leg(s, o, "entra", health_graph(s));
    if (s->cfg->okta.on)
        tell_leg(s, o, "okta", health_okta(s));
    for (size_t i = 0; i < s->place_count; i++) {
        const struct place *p = &s->places[i];

        for (size_t k = 0; p->world.dcs != NULL && k < ad_dcs_count(p->world.dcs); k++)
            tell_leg(s, o, ad_dcs_at(p->world.dcs, k)->host, p->proven[k]);
    }
    json_out_end_array(o);
}

static void tell_until(struct json_out *o, const char *name, int64_t until_ms)
{
    json_out_object(o, NULL);
    json_out_str(o, "name", name);
    if (until_ms != 0)
        json_out_time(o, "until", until_ms);
    else
        json_out_null(o, "until");
    json_out_end_object(o);
}

static void tell_credentials(struct service *s, struct json_out *o)
{
    json_out_array(o, "credentials");
    for (size_t i = 0; i < s->place_count; i++) {
        const struct world *w = &s->places[i].world;
        const struct ad_cred *cred = w->dcs != NULL ? ad_dcs_cred(w->dcs) : NULL;

        tell_until(o, cred != NULL && cred->principal[0] != '\0' ? cred->principal : "kerberos",
                   cred != NULL ? cred->ends_ms : 0);
    }
    if (s->tenant != NULL) {
        tell_until(o, "entra token", token_expires_ms(s->tenant->token));
        if (token_certificate_ends_ms(s->tenant->token) != 0)
            tell_until(o, "entra certificate", token_certificate_ends_ms(s->tenant->token));
    }
    json_out_end_array(o);
}

static void tell_risk(const struct service *s, struct json_out *o)
{
    struct intake_risk_health h = {.why = ""};

    json_out_object(o, "risk");
    json_out_bool(o, "on", s->cfg->risk.on);
    if (s->risks != NULL) {
        intake_risk_health(s->risks, &h);
        if (h.asked)
            json_out_time(o, "asked", h.ok_ms);
        json_out_u64(o, "at_risk", h.at_risk);
        json_out_u64(o, "polls", h.polls);
        json_out_u64(o, "failed", h.failed);
        json_out_u64(o, "requests", h.requests);
        json_out_str(o, "why", h.why);
    }
    json_out_end_object(o);
}

static void tell_watch(void *arg, const struct holdwatch_state *x)
{
    struct json_out *o = arg;

    json_out_object(o, NULL);
    json_out_str(o, "request", x->request);
    json_out_str(o, "account", x->name);
    json_out_str(o, "domain", x->domain);
    json_out_bool(o, "in_ad", x->in_ad);
    json_out_bool(o, "in_entra", x->in_entra);
    json_out_bool(o, "alive", x->ad_alive || x->entra_alive);
    json_out_u64(o, "put_backs", x->put_backs);
    json_out_u64(o, "left_ms", x->left_ms);
    json_out_end_object(o);
}

static void tell_watched(const struct service *s, struct json_out *o)
{
    json_out_object(o, "watched");
    json_out_u64(o, "count", holdwatch_count(s->watch));
    json_out_u64(o, "came_back", s->came_back);
    json_out_u64(o, "put_back", s->put_back);
    json_out_array(o, "accounts");
    holdwatch_each(s->watch, tell_watch, o);
    json_out_end_array(o);
    json_out_end_object(o);
}

static void tell_queue(const struct service *s, struct json_out *o)
{
    const struct health *h = &s->health;
    int64_t now = stamp_now_ms();

    json_out_str(o, "queue", queue_name(s->queue));
    json_out_str(o, "queue_state", s->poll_failures > 0 ? "failed" : "ok");
    if (!h->known)
        return;
    json_out_u64(o, "queue_depth", h->depth);
    json_out_i64(o, "queue_lag_ms",
                 h->oldest_ms > 0 && h->oldest_ms < now ? now - h->oldest_ms : 0);
    tell_age(s, o, "queue_asked_ms_ago", h->depth_at);
}

static int status(void *arg, struct json_out *o, struct err *e)
{
    struct service *s = arg;
    char head[2 * ID_SHA256 + 1];
    int64_t count;

    if (ledger_head(s->ledger, &count, head, e) < 0)
        return -1;
    health_look(s);
    json_out_str(o, "version", CORDON_VERSION);
    if (s->set.sandbox != NULL)
        json_out_str(o, "sandbox", s->set.sandbox);
    json_out_str(o, "agent", s->agent);
    json_out_time(o, "started", s->started_ms);
    json_out_str(o, "state", s->stopping ? "stopping" : s->sick ? "ledger-failed" : "running");
    tell_queue(s, o);
    json_out_u64(o, "in_flight", s->running);
    json_out_u64(o, "waiting", count_jobs(s, JOB_WAITING) + count_jobs(s, JOB_TAKING));
    json_out_u64(o, "held", count_jobs(s, JOB_HELD));
    json_out_u64(o, "outbox", outbox_count(s->outbox));
    json_out_u64(o, "taken", s->taken);
    json_out_u64(o, "refused", s->refused);
    json_out_u64(o, "answered", s->answered);
    tell_degraded(s, o);
    tell_domains(s, o);
    tell_legs(s, o);
    tell_credentials(s, o);
    tell_brake(s, o);
    tell_risk(s, o);
    tell_watched(s, o);
    json_out_object(o, "ledger");
    json_out_i64(o, "count", count);
    json_out_str(o, "head", head);
    json_out_end_object(o);
    return 0;
}

/* --- pending ----------------------------------------------------------------------------- */

static bool tell_held(void *arg, const struct request_entry *en)
{
    struct json_out *o = arg;
    const struct intake_request *r = en->request;

    json_out_object(o, NULL);
    json_out_str(o, "id", en->id);
    json_out_str(o, "case", en->case_id);
    json_out_str(o, "action", action_word(r->action));
    json_out_str(o, "account", r->account);
    json_out_str(o, "domain", r->audience);
    json_out_str(o, "scope", intake_scope_word(r->scope));
    json_out_str(o, "requester", r->requester);
    json_out_str(o, "signer", en->signer);
    json_out_str(o, "reason", r->reason);
    json_out_str(o, "ticket", r->ticket);
    json_out_str(o, "rule", en->held_rule);
    json_out_str(o, "why", en->held_why);
    json_out_time(o, "since", en->held_ms);
    json_out_time(o, "until", en->held_until_ms);
    json_out_u64(o, "approvals", en->approvals);
    json_out_u64(o, "approvals_needed", en->approvals_needed);
    json_out_end_object(o);
    return true;
}

static int pending(void *arg, struct json_out *o, struct err *e)
{
    const struct service *s = arg;

    for (const struct job *j = s->jobs; j != NULL; j = j->next) {
        if (j->state == JOB_HELD && requests_find(s->ledger, j->request.id, tell_held, o, e) < 0)
            return -1;
    }
    return 0;
}

/* --- the rest ------------------------------------------------------------------------------ */

static int decide(void *arg, const char *id, bool approve, const char *by, const char *why,
                  void (*done)(void *done_arg, const struct err *e), void *done_arg, struct err *e)
{
    return held_decide(arg, id, approve, by, why, done, done_arg, e);
}

static int release(void *arg, const char *by, const char *why, struct err *e)
{
    const struct service *s = arg;

    return brake_release(s->brake, by, why, e);
}

static int metrics(void *arg, struct text *out, struct err *e)
{
    return numbers_write(arg, out, e);
}

static int log_level(void *arg, const char *word, struct err *e)
{
    enum log_level level;
    char shown[TEXT_SHOWN];

    (void)arg;
    if (!log_level_parse(word, &level))
        return err_set(e, ERR_USAGE, 0, "no log level '%s'", text_shown(shown, word));
    log_set_level(level);
    log_at(level, "log level: %s", word);
    return 0;
}

const struct control_ops tell_ops = {.status = status,
                                     .pending = pending,
                                     .decide = decide,
                                     .brake_release = release,
                                     .metrics = metrics,
                                     .log_level = log_level};
