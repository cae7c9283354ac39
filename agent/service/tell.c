/* agent/service/tell.c -- see tell.h. Nothing here waits, and nothing here changes anything but by
 * held.c and the brake. */
#include "agent/service/tell.h"

#include <inttypes.h>
#include <stdio.h>

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

static size_t ready_dcs(struct world *w)
{
    size_t n = 0;

    for (size_t i = 0; w->dcs != NULL && i < ad_dcs_count(w->dcs); i++)
        n += ad_dcs_at(w->dcs, i)->state == AD_DC_READY;
    return n;
}

/* --- status ---------------------------------------------------------------------------- */

static void tell_domains(struct service *s, struct json_out *o)
{
    json_out_array(o, "domains");
    for (size_t i = 0; i < s->place_count; i++) {
        struct world *w = &s->places[i].world;

        json_out_object(o, NULL);
        json_out_str(o, "name", s->places[i].domain->name);
        json_out_bool(o, "ready", world_can_judge(w) && world_dc(w, true) != NULL);
        json_out_u64(o, "dcs_ready", ready_dcs(w));
        json_out_u64(o, "dcs", w->dcs != NULL ? ad_dcs_count(w->dcs) : 0);
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

/* What somebody should look at, in sentences; an empty list is a healthy service. */
static void tell_degraded(struct service *s, struct json_out *o)
{
    char words[600], why[400] = "";
    int64_t since;

    json_out_array(o, "degraded");
    if (s->sick)
        json_out_str(o, NULL, "the ledger cannot be written: nothing new is taken");
    if (s->poll_failures > 0) {
        uint64_t age = loop_now(s->loop) - s->queue_proven;

        (void)snprintf(words, sizeof(words), "the queue cannot be read; it last answered %s%s",
                       s->queue_proven > 0 ? stamp_age(why, (int64_t)age) : "before this start",
                       s->queue_proven > 0 ? " ago" : "");
        json_out_str(o, NULL, words);
    }
    if (brake_is_engaged(s->brake, why, sizeof(why), &since)) {
        (void)snprintf(words, sizeof(words), "the brake is engaged: %s", why);
        json_out_str(o, NULL, words);
    }
    for (size_t i = 0; i < s->place_count; i++) {
        struct place *p = &s->places[i];

        if (world_can_judge(&p->world) && world_dc(&p->world, true) != NULL)
            continue;
        (void)snprintf(words, sizeof(words), "no DC of %s can be used%s%.400s", p->domain->name,
                       p->world.failed.code != ERR_OK ? ": " : "",
                       p->world.failed.code != ERR_OK ? p->world.failed.msg : "");
        json_out_str(o, NULL, words);
    }
    if (outbox_stuck(s->outbox) > 0) {
        (void)snprintf(words, sizeof(words), "%zu answers cannot be delivered",
                       outbox_stuck(s->outbox));
        json_out_str(o, NULL, words);
    }
    json_out_end_array(o);
}

static int status(void *arg, struct json_out *o, struct err *e)
{
    struct service *s = arg;
    char head[2 * ID_SHA256 + 1];
    int64_t count;

    if (ledger_head(s->ledger, &count, head, e) < 0)
        return -1;
    json_out_str(o, "version", CORDON_VERSION);
    if (s->set.sandbox != NULL)
        json_out_str(o, "sandbox", s->set.sandbox);
    json_out_str(o, "agent", s->agent);
    json_out_time(o, "started", s->started_ms);
    json_out_str(o, "state", s->stopping ? "stopping" : s->sick ? "ledger-failed" : "running");
    json_out_str(o, "queue", queue_name(s->queue));
    json_out_str(o, "queue_state", s->poll_failures > 0 ? "failed" : "ok");
    json_out_u64(o, "in_flight", s->running);
    json_out_u64(o, "waiting", count_jobs(s, JOB_WAITING) + count_jobs(s, JOB_TAKING));
    json_out_u64(o, "held", count_jobs(s, JOB_HELD));
    json_out_u64(o, "outbox", outbox_count(s->outbox));
    json_out_u64(o, "taken", s->taken);
    json_out_u64(o, "refused", s->refused);
    json_out_u64(o, "answered", s->answered);
    tell_degraded(s, o);
    tell_domains(s, o);
    tell_brake(s, o);
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
    struct service *s = arg;
    int64_t since;
    char why[400];
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } all[] = {
        {"cordon_requests_taken", "counter", "Requests taken from the queue.", s->taken},
        {"cordon_requests_refused", "counter", "Messages refused.", s->refused},
        {"cordon_requests_answered", "counter", "Requests that have an answer.", s->answered},
        {"cordon_requests_in_flight", "gauge", "Cases being carried out.", s->running},
        {"cordon_requests_waiting", "gauge", "Requests waiting to be begun.",
         count_jobs(s, JOB_WAITING)},
        {"cordon_requests_held", "gauge", "Requests waiting for a person.",
         count_jobs(s, JOB_HELD)},
        {"cordon_outbox", "gauge", "Answers not delivered yet.", outbox_count(s->outbox)},
        {"cordon_queue_failures", "gauge", "Failed looks at the queue in a row.", s->poll_failures},
        {"cordon_ledger_failed", "gauge", "1: the ledger cannot be written.", s->sick},
        {"cordon_brake_engaged", "gauge", "1: everything automatic is held.",
         brake_is_engaged(s->brake, why, sizeof(why), &since)},
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        text_addf(out, "# TYPE %s %s\n# HELP %s %s\n%s%s %" PRIu64 "\n", all[i].name, all[i].type,
                  all[i].name, all[i].help, all[i].name, all[i].type[0] == 'c' ? "_total" : "",
                  all[i].value);
    text_add(out, "# TYPE cordon_dcs_ready gauge\n# HELP cordon_dcs_ready DCs that can be used.\n");
    for (size_t i = 0; i < s->place_count; i++)
        text_addf(out, "cordon_dcs_ready{domain=\"%s\"} %zu\n", s->places[i].domain->name,
                  ready_dcs(&s->places[i].world));
    text_add(out, "# EOF\n");
    return text_check(out, "metrics", e);
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
