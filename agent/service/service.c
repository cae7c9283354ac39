/* agent/service/service.c -- see service.h. Opens, polls, stops; what comes is intake.c's.
 *
 *   service_open    ledger, keys, brake, queue, outbox, a world for each domain, what is open
 *   poll            room, and the ledger can be written: receive
 *   on_received     each message its life; soon again, or later and later
 *   service_stop    nothing new; settle, park, end
 *
 * Order at the start: the ledger's open requests before anything new is taken. Order at the end:
 * cases, then the verbs on their messages, then everything else.
 */
#include "agent/service/service_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cloud.h"
#include "agent/service/control.h"
#include "agent/service/holdwatch.h"
#include "agent/service/link.h"
#include "agent/service/tell.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/stamp.h"

enum {
    BACKOFF_MS = 500,
    TICK_MS = 1000,
    SICK_MS = 30 * 1000,
    PEM_MAX = 64 * 1024,
    CLOCK_BACK_MS = 5 * 60 * 1000,
};

static void poll_soon(struct service *s, uint64_t ms);
static void poll(void *arg);
static void on_received(void *arg, struct queue_message **msgs, size_t n, enum queue_end end,
                        const struct err *e);
static void on_news(void *arg);
static void tick(void *arg);
static void on_stop_time(void *arg);
static void check_end(void *arg);

/* --- small things ------------------------------------------------------------------------------
 */

/* Not for secrets: only that two that failed together do not come back together. */
static uint64_t jitter(uint64_t ms)
{
    uint16_t r = 0;
    struct err e;

    if (id_random(&r, sizeof(r), &e) < 0)
        return ms;
    return ms - ms / 4 + ms / 2 * r / UINT16_MAX;
}

uint64_t service_backoff_ms(unsigned tries)
{
    uint64_t ms = tries > 7 ? SERVICE_WAIT_MAX_MS : (uint64_t)BACKOFF_MS << tries;

    ms = jitter(ms);
    return ms < SERVICE_WAIT_MAX_MS ? ms : SERVICE_WAIT_MAX_MS;
}

int64_t service_now_ms(struct service *s)
{
    int64_t now = stamp_now_ms();

    if (now > s->seen_ms)
        s->seen_ms = now;
    return s->seen_ms;
}

size_t service_busy(const struct service *s)
{
    size_t n = 0;

    for (const struct job *j = s->jobs; j != NULL; j = j->next)
        n += j->state != JOB_HELD;
    return n;
}

void service_ledger_failed(struct service *s, const struct err *e)
{
    if (!s->sick)
        log_error("nothing new is taken while the ledger cannot be written: %s", e->msg);
    s->sick = true;
    s->sick_until = loop_now(s->loop) + SICK_MS;
}

void service_ledger_fine(struct service *s)
{
    if (s->sick)
        log_warning("the ledger can be written again, going on");
    s->sick = false;
}

void service_note(struct service *s, const char *what, const char *detail)
{
    struct text t = TEXT_INIT(4096);
    struct json_out o;
    struct err e;

    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_str(&o, "what", what);
    json_out_str(&o, "agent", s->agent);
    json_out_str(&o, "detail", detail);
    json_out_end_object(&o);
    if (text_check(&t, "service", &e) < 0 ||
        ledger_add(s->ledger, "", "service", t.s, NULL, NULL, &e) < 0)
        log_error("%s", e.msg);
    text_done(&t);
}

/* --- opening ------------------------------------------------------------------------------------
 */

static int open_keys(struct service *s, struct err *e)
{
    const char *path = s->cfg->queue.signing_key;
    CLEANUP(secret_freep) struct secret *pem = NULL;
    enum jws_alg alg;

    if (signers_load(s->cfg, &s->signers, e) < 0)
        return -1;
    if (path == NULL) {
        if (s->cfg->queue.result_directory != NULL || s->cfg->queue.result_queue != NULL)
            log_warning("no answers are sent: [queue] signing_key is not given");
        return 0;
    }
    if (secret_from_file(path, PEM_MAX, &pem, e) < 0 || jws_key_private(pem, &s->own, e) < 0 ||
        signer_alg(s->own, &alg, e) < 0) {
        e->code = ERR_CONFIG;
        return err_wrap(e, "[queue] signing_key '%s'", path);
    }
    return 0;
}

static int open_rates(struct service *s, struct err *e)
{
    s->rates = calloc(s->cfg->signer_count + 1, sizeof(*s->rates));
    for (size_t i = 0; s->rates != NULL && i < s->cfg->signer_count; i++) {
        struct rate *r = &s->rates[i];

        r->signer = &s->cfg->signers[i];
        r->count = r->signer->rate.count;
        r->at = calloc(r->count, sizeof(*r->at));
        if (r->at == NULL)
            return err_set(e, ERR_NOMEM, 0, "rates");
    }
    return s->rates == NULL ? err_set(e, ERR_NOMEM, 0, "rates") : 0;
}

static int open_ledger(struct service *s, struct err *e)
{
    int64_t now = stamp_now_ms();
    char age[STAMP_TEXT];

    if (ledger_open(s->set.state_dir, s->loop, /* readonly */ false, &s->ledger, e) < 0 ||
        requests_seen_ms(s->ledger, &s->seen_ms, e) < 0)
        return -1;
    if (s->seen_ms > now + CLOCK_BACK_MS)
        log_error("the clock is %s behind what it was once: requests are judged by the later time, "
                  "and refused as expired until it is past that; set the clock right",
                  stamp_age(age, s->seen_ms - now));
    return brake_new(s->ledger, s->cfg, &s->brake, e);
}

static int open_queue(struct service *s, struct err *e)
{
    if (queue_link_agent(s->cfg, s->agent, sizeof(s->agent), e) < 0 ||
        queue_link_open(s->loop, s->cfg, /* watch */ true, &s->link, e) < 0)
        return -1;
    s->queue = queue_link_requests(s->link);
    queue_on_news(s->queue, on_news, s);
    return outbox_new(s->loop, s->ledger, s->agent, s->cfg->queue.result_directory,
                      queue_link_results(s->link), &s->outbox, e);
}

static int open_places(struct service *s, struct err *e)
{
    s->places = calloc(s->cfg->domain_count, sizeof(*s->places));
    if (s->places == NULL)
        return err_set(e, ERR_NOMEM, 0, "domains");
    for (size_t i = 0; i < s->cfg->domain_count; i++) {
        s->place_count++;
        if (place_open(s, &s->cfg->domains[i], &s->places[i], e) < 0)
            return -1;
    }
    return 0;
}

/* A cloud that cannot be used holds nothing up. */
static void open_tenant(struct service *s)
{
    if (!s->cfg->entra.on)
        return;
    if (cloud_open_graph(s->loop, s->cfg, &s->tenant, &s->tenant_failed) < 0)
        log_error("%s", s->tenant_failed.msg);
    else
        graph_batching(s->tenant->graph, true, 0);
}

static int open_all(struct service *s, struct err *e)
{
    if (s->cfg->signer_count == 0 && !s->cfg->risk.on)
        return err_set(
            e, ERR_CONFIG, 0,
            "there is no [signer/NAME], and no [risk]: nobody's requests could be taken");
    if (open_keys(s, e) < 0 || open_rates(s, e) < 0 || open_ledger(s, e) < 0 ||
        open_queue(s, e) < 0 || open_places(s, e) < 0)
        return -1;
    open_tenant(s);
    if (watchers_open(s, e) < 0 || resume_all(s, e) < 0 || risks_open(s, e) < 0 ||
        health_open(s, e) < 0)
        return -1;
    s->tick = loop_timer_start(s->loop, TICK_MS, tick, s);
    if (s->tick == NULL)
        return err_set(e, ERR_NOMEM, 0, "service");
    return s->set.socket != NULL
               ? control_open(s->loop, s->set.socket, &tell_ops, s, &s->control, e)
               : 0;
}

int service_open(struct loop *l, const struct service_settings *set,
                 void (*ended)(void *arg, const struct err *e), void *arg,
                 struct service **ret_service, struct err *e)
{
    struct service *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "service");
    s->loop = l;
    s->set = *set;
    s->cfg = set->cfg;
    s->ended = ended;
    s->arg = arg;
    s->started_ms = stamp_now_ms();
    s->poll_ms = s->cfg->queue.poll_min_ms;
    *ret_service = s;
    if (open_all(s, e) < 0)
        return -1;
    service_note(s, "started", CORDON_VERSION);
    log_info("agent=%s queue=%s serving %zu domain%s", s->agent, queue_name(s->queue),
             s->place_count, s->place_count == 1 ? "" : "s");
    poll_soon(s, 0);
    return 0;
}

void service_close(struct service *s)
{
    struct err e;

    if (s == NULL)
        return;
    s->stopping = true;
    risks_close(s);
    watchers_close(s);
    health_pause(s);
    control_close(&s->control);
    loop_timer_stop(&s->poll);
    loop_timer_stop(&s->tick);
    loop_timer_stop(&s->stopper);
    loop_timer_stop(&s->ending);
    /* What hangs still points into all of it, and the process ends now: only the ledger matters. */
    if (s->give_up) {
        (void)ledger_commit(s->ledger, &e);
        return;
    }
    /* The last callbacks of the domains and of the ledger come from here, and find everything. */
    for (size_t i = 0; i < s->place_count; i++)
        place_close(&s->places[i]);
    if (s->ledger != NULL && ledger_close(s->ledger, &e) < 0)
        log_error("ledger: %s", e.msg);
    loop_timer_stop(&s->ending);
    loop_timer_stop(&s->poll);
    cloud_close(s->tenant);
    outbox_free(s->outbox);
    queue_link_close(&s->link);
    for (struct message *m = s->messages, *next; m != NULL; m = next) {
        next = m->next;
        loop_timer_stop(&m->timer);
        queue_message_free(m->m);
        free(m);
    }
    brake_free(s->brake);
    while (s->jobs != NULL)
        job_free(s->jobs);
    for (size_t i = 0; s->rates != NULL && i < s->cfg->signer_count; i++)
        free(s->rates[i].at);
    free(s->rates);
    signers_free(s->signers);
    jws_key_free(s->own);
}

void service_free(struct service **service)
{
    struct service *s = TAKE(*service);

    if (s == NULL || s->give_up)
        return;
    for (size_t i = 0; i < s->place_count; i++)
        free(s->places[i].lists);
    free(s->places);
    free(s);
}

/* --- polling ------------------------------------------------------------------------------------
 */

static void poll_soon(struct service *s, uint64_t ms)
{
    if (s->receiving || s->stopping)
        return;
    loop_timer_stop(&s->poll);
    s->poll = loop_timer_start(s->loop, ms, poll, s);
    if (s->poll == NULL)
        log_error("out of memory: the queue is looked at with the next tick");
}

/* What can be begun at once: a message that waits uses up its lease. */
static unsigned room(const struct service *s)
{
    size_t busy = service_busy(s), most = s->cfg->service.max_in_flight;
    unsigned batch = queue_caps(s->queue)->max_batch;

    if (busy >= most || messages_ending(s) >= MESSAGES_ENDING_MAX)
        return 0;
    return most - busy < batch ? (unsigned)(most - busy) : batch;
}

static void poll(void *arg)
{
    struct service *s = arg;
    unsigned n = room(s);
    struct err e;

    s->poll = NULL;
    if (s->stopping || s->receiving)
        return;
    if (s->sick && loop_now(s->loop) < s->sick_until) {
        poll_soon(s, s->sick_until - loop_now(s->loop));
        return;
    }
    if (n == 0) { /* service_wake, or later all the same */
        poll_soon(s, s->cfg->queue.poll_max_ms);
        return;
    }
    if (queue_receive_start(s->queue, n, s->cfg->queue.lease_ms, on_received, s, &e) < 0) {
        on_received(s, NULL, 0, QUEUE_RETRY, &e);
        return;
    }
    s->receiving = true;
}

static void on_received(void *arg, struct queue_message **msgs, size_t n, enum queue_end end,
                        const struct err *e)
{
    struct service *s = arg;
    uint64_t max = s->cfg->queue.poll_max_ms;

    s->receiving = false;
    for (size_t i = 0; i < n; i++)
        message_take(s, msgs[i]);
    if (end != QUEUE_OK) {
        uint64_t ms = service_backoff_ms(s->poll_failures++);

        if (s->poll_failures == 1 || end == QUEUE_FATAL || end == QUEUE_AUTH)
            log_error("%s cannot be read, trying on: %s", queue_name(s->queue),
                      e != NULL ? e->msg : "");
        poll_soon(s, ms);
        service_maybe_end(s);
        return;
    }
    if (s->poll_failures > 0)
        log_warning("%s can be read again", queue_name(s->queue));
    s->poll_failures = 0;
    s->health.queue_ok = loop_now(s->loop);
    s->polled_empty = n == 0;
    if (n > 0)
        s->poll_ms = s->cfg->queue.poll_min_ms;
    else
        s->poll_ms = s->poll_ms * 2 < max ? s->poll_ms * 2 : max;
    poll_soon(s, n > 0 && room(s) > 0 ? 0 : jitter(s->poll_ms));
    service_maybe_end(s);
}

static void on_news(void *arg)
{
    struct service *s = arg;

    if (s->receiving || s->sick || s->poll_failures > 0)
        return;
    s->poll_ms = s->cfg->queue.poll_min_ms;
    poll_soon(s, 0);
}

void service_wake(struct service *s)
{
    struct job *next;

    for (struct job *j = s->jobs; j != NULL && !s->stopping; j = next) {
        next = j->next;
        if (j->state == JOB_WAITING)
            job_consider(j);
    }
    if (!s->polled_empty && !s->sick && s->poll_failures == 0 && room(s) > 0)
        poll_soon(s, 0);
}

static void tick(void *arg)
{
    struct service *s = arg;
    struct job *next;

    s->tick = loop_timer_start(s->loop, TICK_MS, tick, s);
    for (struct job *j = s->jobs; j != NULL; j = next) {
        next = j->next;
        if (j->state == JOB_HELD)
            held_tick(j);
        else if (j->state == JOB_WAITING)
            job_consider(j);
    }
    if (s->poll == NULL)
        poll_soon(s, 0);
    refusals_tell(s, false);
    service_maybe_end(s);
}

/* --- ending ------------------------------------------------------------------------------------
 */

void service_stop(struct service *s, bool reopens)
{
    s->reopens = reopens;
    if (s->stopping)
        return;
    s->stopping = true;
    risks_close(s);
    holdwatch_pause(s->watch);
    health_pause(s);
    loop_timer_stop(&s->poll);
    log_info("stopping: %zu case%s in flight", s->running, s->running == 1 ? "" : "s");
    /* Two thirds of the time to end well, the rest to park. */
    s->stopper =
        loop_timer_start(s->loop, s->cfg->service.stop_timeout_ms / 3 * 2, on_stop_time, s);
    for (struct message *m = s->messages; m != NULL; m = m->next)
        message_hurry(m);
    service_maybe_end(s);
}

static void on_stop_time(void *arg)
{
    struct service *s = arg;

    s->stopper = NULL;
    if (!s->interrupted) {
        s->interrupted = true;
        for (size_t i = 0; i < s->place_count; i++)
            run_interrupt(&s->places[i].world);
        s->stopper =
            loop_timer_start(s->loop, s->cfg->service.stop_timeout_ms / 3, on_stop_time, s);
    } else {
        log_warning("%zu cases did not end in time: the next start goes on with them", s->running);
        s->give_up = !s->reopens;
    }
    service_maybe_end(s);
}

/* Is anything under way that ends by itself? */
static bool settled(const struct service *s)
{
    if (s->running > 0 || s->receiving || (s->tenant != NULL && !graph_is_idle(s->tenant->graph)))
        return false;
    for (const struct message *m = s->messages; m != NULL; m = m->next) {
        if (m->verb || m->ends || m->state != MESSAGE_CARRIED)
            return false;
    }
    for (const struct job *j = s->jobs; j != NULL; j = j->next) {
        if (j->deciding || j->state == JOB_TAKING ||
            ((j->state == JOB_HOLDING || j->state == JOB_ANSWERING) && j->timer == NULL))
            return false;
    }
    return true;
}

static bool all_done(const struct service *s)
{
    return s->polled_empty && risks_asked(s) && service_busy(s) == 0 && s->messages == NULL &&
           outbox_is_idle(s->outbox);
}

void service_maybe_end(struct service *s)
{
    if (s->ending == NULL)
        s->ending = loop_timer_start(s->loop, 0, check_end, s);
}

static void check_end(void *arg)
{
    struct service *s = arg;

    s->ending = NULL;
    if (s->told)
        return;
    if (!s->stopping && s->set.once && all_done(s))
        service_stop(s, false);
    if (!s->stopping || !(settled(s) || s->give_up))
        return;
    s->told = true;
    refusals_tell(s, true);
    service_note(s, "stopped", s->give_up ? "not all of it had ended" : "");
    s->ended(s->arg, s->failed.code != ERR_OK ? &s->failed : NULL);
}
