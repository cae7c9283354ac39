/* eventlog/source_winrm.c -- see source_winrm.h.
 *
 *   winrm_source_begin   hold: Identify, which logs in. Else subscribe
 *   subscribe       from the bookmark, from a time, or from now
 *   on_subscribed   open: pull
 *   on_pulled       deliver, keep bookmark and context, pull again
 *   on_swept        a subscription that was left behind is given back, between two pulls
 *   stumble         a fault or a lost connection: subscribe again, at once or later
 *
 * Invariants: one request in flight. A Pull whose answer was lost is never repeated; it is
 * subscribed anew from the last bookmark. A bookmark is taken only with events.
 */
#include "eventlog/source_winrm_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/log.h"
#include "base/sm.h"
#include "base/stamp.h"

#define FORWARDER "Microsoft-Windows-EventForwarder"

enum {
    RETRY_MS = 250,
    RETRY_MAX_MS = 30 * 1000,
    REFUSED_MS = 60 * 1000, /* rights may be given meanwhile */
    MARGIN_MS = 5000,       /* winrm.md 4.2 */
    SKEW_MS = 300 * 1000,   /* what Kerberos lets pass, where the server's clock is unknown */
};

static const struct sm_state states[] = {
    [S_IDLE] = {"idle", SM_TO(S_LOGIN) | SM_TO(S_SUBSCRIBING) | SM_TO(S_WAITING) | SM_TO(S_ENDED)},
    [S_LOGIN] = {"login", SM_TO(S_HELD) | SM_TO(S_WAITING) | SM_TO(S_ENDED)},
    [S_HELD] = {"held", SM_TO(S_SUBSCRIBING) | SM_TO(S_WAITING) | SM_TO(S_ENDED)},
    [S_SUBSCRIBING] = {"subscribing", SM_TO(S_SUBSCRIBING) | SM_TO(S_WATCHING) | SM_TO(S_WAITING) |
                                          SM_TO(S_ENDED)},
    [S_WATCHING] = {"watching", SM_TO(S_WATCHING) | SM_TO(S_SWEEPING) | SM_TO(S_SUBSCRIBING) |
                                    SM_TO(S_WAITING) | SM_TO(S_ENDED)},
    [S_SWEEPING] = {"sweeping", SM_TO(S_WATCHING) | SM_TO(S_WAITING) | SM_TO(S_ENDED)},
    [S_WAITING] = {"waiting", SM_TO(S_LOGIN) | SM_TO(S_SUBSCRIBING) | SM_TO(S_ENDED)},
    [S_ENDED] = {"ended", 0},
};

static void subscribe(struct winrm_source *s);
static void on_subscribed(void *arg, const struct winrm_subscription *sub,
                          const struct soap_fault *f, const struct err *e);
static void pull(struct winrm_source *s);
static void on_pulled(void *arg, const struct winrm_pulled *p, const struct soap_fault *f,
                      const struct err *e);
static void on_swept(void *arg, const struct soap_fault *f, const struct err *e);
static void stumble(struct winrm_source *s, const struct soap_fault *f, const struct err *e);

static struct loop *loop_of(const struct winrm_source *s)
{
    return evlog_watcher_loop(s->base.watcher);
}

static void move(struct winrm_source *s, enum source_state to)
{
    sm_move(states, ARRAY_LEN(states), &s->state, (int)to, s->host);
    s->base.health.open = to == S_WATCHING || to == S_SWEEPING;
}

struct evlog_query winrm_source_query(const struct winrm_source *s)
{
    return (struct evlog_query){.log = s->log, .target_sid = s->target_sid};
}

int64_t winrm_source_there(const struct winrm_source *s, int64_t ours_ms)
{
    struct winrm_facts f;

    winrm_facts(s->winrm, &f);
    return ours_ms + (f.has_clock ? f.clock_ms - MARGIN_MS : -(SKEW_MS + MARGIN_MS));
}

static void on_tell(void *arg)
{
    struct winrm_source *s = arg;
    evlog_ready_cb ready = s->ready;
    struct err e = s->told;

    s->teller = NULL;
    s->ready = NULL;
    if (ready != NULL)
        ready(s->ready_arg, &s->base, e.code != ERR_OK ? &e : NULL); /* may close the source */
}

/* The first news counts. */
static void tell(struct winrm_source *s, const struct err *e)
{
    if (s->ready == NULL || s->teller != NULL)
        return;
    s->told = e != NULL ? *e : ERR_NONE;
    s->teller = loop_timer_start(loop_of(s), 0, on_tell, s);
}

/* --- subscribing ------------------------------------------------------------------------------ */

static void on_identified(void *arg, const struct winrm_identity *i, const struct soap_fault *f,
                          const struct err *e)
{
    struct winrm_source *s = arg;

    (void)i;
    s->call = NULL;
    if (e != NULL) {
        stumble(s, f, e);
        return;
    }
    s->failures = 0;
    move(s, S_HELD);
    if (s->held)
        tell(s, NULL);
    else
        subscribe(s);
}

static void login(struct winrm_source *s)
{
    struct err e;

    move(s, S_LOGIN);
    if (winrm_identify_start(s->winrm, /* anonymous */ false, on_identified, s, &s->call, &e) < 0)
        stumble(s, NULL, &e);
}

static void set_bookmark(struct winrm_source *s, uint64_t record)
{
    s->bookmark.count = 1;
    s->bookmark.at[0].record = record;
    s->bookmark.at[0].current = true;
    (void)snprintf(s->bookmark.at[0].channel, sizeof(s->bookmark.at[0].channel), "%s", s->log);
}

static void subscribe(struct winrm_source *s)
{
    static const struct soap_pair options[] = {{"SubscriptionName", "cordon"},
                                               {"ContentFormat", "Raw"}};
    struct evlog_query q = winrm_source_query(s);
    CLEANUP(text_done) struct text t = TEXT_INIT(8192);
    struct winrm_subscribe ask = {.query = evlog_query_write,
                                  .arg = &q,
                                  .options = options,
                                  .option_count = ARRAY_LEN(options),
                                  .heartbeat_ms = s->poll_ms,
                                  .operation_ms = s->poll_ms};
    struct err e;

    move(s, S_SUBSCRIBING);
    if (s->from.record > 0 && s->from.hash == evlog_query_hash(&q))
        set_bookmark(s, s->from.record);
    s->from.record = 0; /* once */
    if (s->bookmark.count > 0) {
        ask.from = &s->bookmark;
    } else if (s->bounded) {
        ask.earliest = true;
        q.since_ms = s->from.since_ms != 0 ? s->from.since_ms : winrm_source_there(s, s->since_ms);
    } else {
        s->since_ms = stamp_now_ms();
    }
    if (s->as_text) { /* some releases may take the query as text only (winrm.md 4.1) */
        CLEANUP(text_done) struct text xml = TEXT_INIT(8192);
        struct xml_out x;

        xml_out_init(&x, &xml);
        evlog_query_write(&x, &q);
        ask.query = NULL;
        if (xml_out_check(&x, "event query", &e) < 0) {
            stumble(s, NULL, &e);
            return;
        }
        text_add(&t, xml.s);
        ask.filter = t.s;
    }
    if (winrm_subscribe_start(s->winrm, &ask, on_subscribed, s, &s->call, &e) < 0)
        stumble(s, NULL, &e);
}

static void on_subscribed(void *arg, const struct winrm_subscription *sub,
                          const struct soap_fault *f, const struct err *e)
{
    struct winrm_source *s = arg;

    s->call = NULL;
    if (f != NULL && f->kind == SOAP_BAD_QUERY && !s->as_text) {
        s->as_text = true;
        subscribe(s);
        return;
    }
    if (e != NULL) {
        stumble(s, f, e);
        return;
    }
    s->now = *sub;
    s->base.health.why[0] = '\0';
    s->bounded = true; /* without a bookmark, the next one goes back to here */
    pull(s);
    if (s->state == S_WATCHING)
        tell(s, NULL); /* a turn later the Pull is on its way */
}

/* --- pulling ---------------------------------------------------------------------------------- */

static void pull(struct winrm_source *s)
{
    struct winrm_pull ask = {.context = s->now.context, .max = s->max, .operation_ms = s->poll_ms};
    struct err e;

    move(s, S_WATCHING);
    if (winrm_pull_start(s->winrm, &ask, on_pulled, s, &s->call, &e) < 0)
        stumble(s, NULL, &e);
}

/* FNV-1a, 64 bits, of what makes an event the same one: computer, channel, number, and time, since
 * numbers may begin anew in a log that was cleared. */
static uint64_t identity(const struct evlog_event *ev)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(1024);
    uint64_t h = UINT64_C(14695981039346656037);

    text_addf(&t, "%s\n%s\n%" PRIu64 "\n%" PRId64, ev->computer, ev->channel, ev->record,
              ev->time_ms);
    for (size_t i = 0; i < t.len; i++)
        h = (h ^ (unsigned char)t.s[i]) * UINT64_C(1099511628211);
    return h == 0 ? 1 : h;
}

static bool seen_before(struct winrm_source *s, const struct evlog_event *ev)
{
    uint64_t id = identity(ev);

    if (!ev->has_record)
        return false;
    for (unsigned i = 0; i < WINRM_SEEN; i++) {
        if (s->seen[i] == id)
            return true;
    }
    s->seen[s->seen_at] = id;
    s->seen_at = (s->seen_at + 1) % WINRM_SEEN;
    return false;
}

static void on_event(void *arg, const struct evlog_event *ev)
{
    struct winrm_source *s = arg;

    /* The forwarder's own first word (111), which has no number. */
    if (strcmp(ev->provider, FORWARDER) == 0)
        return;
    s->took = true;
    if (seen_before(s, ev))
        return;
    s->pos = (struct evlog_pos){.seq = evlog_source_next_seq(&s->base), .gen = s->gen};
    s->pos.off = ev->has_record && s->base.dc != NULL ? ev->record
                 : s->bookmark.count > 0              ? s->bookmark.at[0].record
                                                      : 0;
    evlog_source_deliver(&s->base, ev, &s->pos);
}

static void take_items(struct winrm_source *s, const struct winrm_pulled *p)
{
    struct err e;

    s->took = false;
    for (const struct xml_node *n = p->items == NULL ? NULL : p->items->child; n != NULL;
         n = n->next) {
        /* One that is none must not stop the rest. */
        if (evlog_parse_node(n, on_event, s, &e) < 0) {
            s->took = true;
            evlog_source_bad(&s->base, &e);
        }
    }
}

static void on_pulled(void *arg, const struct winrm_pulled *p, const struct soap_fault *f,
                      const struct err *e)
{
    struct winrm_source *s = arg;
    const struct winrm_bookmark before = s->bookmark;

    s->call = NULL;
    if (f != NULL && f->kind == SOAP_TIMED_OUT) {
        s->failures = 0;
        pull(s);
        return;
    }
    if (e != NULL) {
        stumble(s, f, e);
        return;
    }
    if (p->bookmark.count > 0)
        s->bookmark = p->bookmark;
    take_items(s, p);
    if (!s->took) /* other servers send one with nothing, too: not a place to come back to */
        s->bookmark = before;
    s->failures = 0;
    s->unreadable = 0;
    s->max = s->max < WINRM_PULL_MAX / 2 ? s->max * 2 : WINRM_PULL_MAX;
    if (p->context[0] != '\0')
        (void)snprintf(s->now.context, sizeof(s->now.context), "%s", p->context);
    if (p->ended) {
        s->left[0] = '\0';
        subscribe(s);
        return;
    }
    if (s->left[0] != '\0') {
        struct err mine;

        move(s, S_SWEEPING);
        if (winrm_unsubscribe_start(s->winrm, NULL, s->left, on_swept, s, &s->call, &mine) == 0)
            return;
    }
    pull(s);
}

static void on_swept(void *arg, const struct soap_fault *f, const struct err *e)
{
    struct winrm_source *s = arg;

    s->call = NULL;
    if (e != NULL)
        log_debug("%s: an older subscription could not be given back: %s", s->host, e->msg);
    s->left[0] = '\0';
    if (e != NULL && f == NULL)
        stumble(s, NULL, e); /* the connection, not the subscription */
    else
        pull(s);
}

/* --- what goes wrong ----------------------------------------------------------------------------
 */

static void on_wait(void *arg)
{
    struct winrm_source *s = arg;

    s->timer = NULL;
    if (s->held)
        login(s);
    else
        subscribe(s);
}

static void wait_then(struct winrm_source *s, uint64_t ms)
{
    struct err e;
    uint32_t jitter = 0;

    if (ms > 0 && id_random(&jitter, sizeof(jitter), &e) == 0)
        ms += ms * (jitter % 256) / 512;
    move(s, S_WAITING);
    loop_timer_stop(&s->timer);
    s->timer = loop_timer_start(loop_of(s), ms, on_wait, s);
}

static uint64_t backoff(const struct winrm_source *s)
{
    uint64_t ms = RETRY_MS;

    if (s->failures <= 1)
        return 0;
    for (unsigned i = 2; i < s->failures && ms < RETRY_MAX_MS; i++)
        ms *= 2;
    return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

/* The place in the log is gone: what lies between is lost to us. */
static void lose_place(struct winrm_source *s, const char *why)
{
    evlog_source_gap(&s->base, why);
    s->bookmark.count = 0;
    s->gen++;
}

/* An answer that can't be read: once more, one event at a time; then go on behind it. */
static void on_unreadable(struct winrm_source *s, const struct err *e)
{
    evlog_source_bad(&s->base, e);
    if (++s->unreadable == 1) {
        s->max = 1;
        return;
    }
    lose_place(s, e->msg);
    s->bounded = false; /* from now on: what can't be read would only come again */
    s->unreadable = 0;
    s->max = WINRM_PULL_MAX;
}

static void stumble(struct winrm_source *s, const struct soap_fault *f, const struct err *why)
{
    struct err e = *why;
    bool watched = s->state == S_WATCHING;
    uint64_t ms;

    s->failures++;
    ms = backoff(s);
    s->bounded = true;
    /* A lost answer, or a fault that leaves it open: it may still be there, and counts against us.
     */
    if (watched && s->now.identifier[0] != '\0' && (f == NULL || f->kind != SOAP_GONE))
        (void)snprintf(s->left, sizeof(s->left), "%s", s->now.identifier);
    s->now = (struct winrm_subscription){0};
    switch (f != NULL ? f->kind : SOAP_NO_FAULT) {
    case SOAP_STALE:
        lose_place(s, e.msg);
        break;
    case SOAP_TOO_BIG:
        s->max = s->max > 1 ? s->max / 2 : 1;
        break;
    case SOAP_DENIED:
    case SOAP_NO_LOG:
    case SOAP_NO_RESOURCE:
    case SOAP_BAD_QUERY:
    case SOAP_OUR_BUG:
        ms = REFUSED_MS;
        break;
    case SOAP_NO_FAULT:
        if (e.code == ERR_AUTH || e.code == ERR_CONFIG)
            ms = s->failures > 1 ? REFUSED_MS : RETRY_MS;
        else if (watched && (e.code == ERR_INVALID || e.code == ERR_TOOBIG))
            on_unreadable(s, &e);
        break;
    default:
        break;
    }
    log_debug("event log of %s: %s (again in %" PRIu64 " ms)", s->host, e.msg, ms);
    wait_then(s, ms);
    (void)text_shown(s->base.health.last_bad, e.msg);
    (void)snprintf(s->base.health.why, sizeof(s->base.health.why), "%.255s", e.msg);
    /* Once is no news, unless it is a clear no: the service may be starting, or the connection have
     * been closed while idle. */
    if (s->failures > 1 || ms > 0)
        tell(s, &e);
}

/* --- the end ------------------------------------------------------------------------------------
 */

static void said_bye(struct winrm_source *s)
{
    void (*ended)(void *arg) = s->ended;

    loop_timer_stop(&s->bye_timer);
    winrm_call_abandon(s->bye_call);
    s->bye_call = NULL;
    s->ended = NULL;
    if (ended != NULL)
        ended(s->ended_arg); /* may close the source */
}

static void on_bye(void *arg, const struct soap_fault *f, const struct err *e)
{
    struct winrm_source *s = arg;

    (void)f;
    s->bye_call = NULL;
    if (e != NULL)
        log_debug("event log of %s: unsubscribe: %s", s->host, e->msg);
    said_bye(s);
}

static void on_bye_late(void *arg)
{
    struct winrm_source *s = arg;

    s->bye_timer = NULL;
    log_debug("event log of %s: the subscription was not given back in time; it ends by itself",
              s->host);
    said_bye(s);
}

void evlog_winrm_end(struct evlog_source *base, uint64_t ms, void (*cb)(void *arg), void *arg)
{
    struct winrm_source *s = (struct winrm_source *)base;
    const char *id = s->now.identifier[0] != '\0' ? s->now.identifier : s->left;
    struct err e = ERR_NONE;

    s->ended = cb;
    s->ended_arg = arg;
    s->ready = NULL;
    loop_timer_stop(&s->timer);
    winrm_call_abandon(s->call);
    s->call = NULL;
    move(s, S_ENDED);
    s->bye_timer = loop_timer_start(loop_of(s), id[0] != '\0' ? ms : 0, on_bye_late, s);
    if (id[0] == '\0')
        return;
    /* The Pull holds the first connection. */
    if (winrm_new(loop_of(s), &s->settings, &s->bye, &e) < 0 ||
        winrm_unsubscribe_start(s->bye, NULL, id, on_bye, s, &s->bye_call, &e) < 0)
        log_debug("event log of %s: unsubscribe: %s", s->host, e.msg);
}

void winrm_source_begin(struct evlog_source *base)
{
    struct winrm_source *s = (struct winrm_source *)base;

    if (s->state != S_IDLE) /* ended, or a focus came before */
        return;
    if (s->held)
        login(s);
    else
        subscribe(s);
}

void evlog_winrm_focus(struct evlog_source *base, const char *target_sid, evlog_ready_cb ready,
                       void *arg)
{
    struct winrm_source *s = (struct winrm_source *)base;

    s->ready = ready;
    s->ready_arg = arg;
    free(s->target_sid);
    s->target_sid = text_dup(target_sid); /* no memory: of any account, which holds this one, too */
    s->held = false;
    /* Where it is not logged in yet, or waits to try again, that goes on to subscribe. */
    if (s->state == S_HELD)
        subscribe(s);
}

int evlog_winrm_ccache(struct evlog_source *base, const char *ccache, struct err *e)
{
    struct winrm_source *s = (struct winrm_source *)base;
    char *mine = text_dup(ccache);

    if (ccache != NULL && mine == NULL)
        return err_set(e, ERR_NOMEM, 0, "event source");
    free(s->ccache);
    s->ccache = mine;
    s->settings.ccache = mine;
    return winrm_set_ccache(s->winrm, mine, e);
}
