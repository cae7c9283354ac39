/* agent/service/health.c -- is the world still there? Health is the age of the last answer, so
 * where nothing else asks, a small question is asked from time to time: of each DC its rootDSE, of
 * Graph one user's id, of the queue how much is in it. A DC that does not answer its question is
 * connected to anew before somebody needs it.
 *
 * The file of metrics is written here, too.
 */
#include "agent/service/service_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/cloud.h"
#include "agent/intake/risk.h"
#include "agent/service/holdwatch.h"
#include "agent/service/metrics.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/stamp.h"

enum {
    LOOK_MS = 15 * 1000,
    DC_MS = 60 * 1000,
    DEPTH_MS = 60 * 1000,
    GRAPH_MS = 5 * 60 * 1000,
    METRICS_MAX = 1024 * 1024,
};

static void look(void *arg);

/* --- DCs --------------------------------------------------------------------------------- */

struct probe {
    struct place *place; /* outlives the loop */
    size_t at;
};

static void on_dc(void *arg, const struct ad_entry *entries, size_t count, const struct err *e)
{
    struct probe *x = arg;
    struct place *p = x->place;

    (void)entries;
    (void)count;
    p->probing[x->at] = false;
    if (e != NULL && e->code == ERR_TIMEOUT && p->world.dcs != NULL &&
        x->at < ad_dcs_count(p->world.dcs)) {
        struct ad_dc *dc = ad_dcs_at(p->world.dcs, x->at);

        if (dc->state == AD_DC_READY) {
            log_warning("%s does not answer any more, it is connected to anew", dc->host);
            ad_dc_reconnect(dc, e);
        }
    }
    free(x);
}

static void ask_dc(struct place *p, size_t at, struct ad_conn *c)
{
    static const char *const attrs[] = {"currentTime", NULL};
    const struct ad_search search = {
        .base = "", .filter = "(objectClass=*)", .attrs = attrs, .limit = 1};
    struct probe *x = calloc(1, sizeof(*x));
    struct err e;

    if (x == NULL)
        return;
    *x = (struct probe){p, at};
    p->probing[at] = ad_search_start(c, &search, on_dc, x, NULL, &e) == 0;
    if (!p->probing[at])
        free(x);
}

void health_look(struct service *s)
{
    for (size_t i = 0; i < s->place_count; i++) {
        struct place *p = &s->places[i];

        for (size_t k = 0; p->world.dcs != NULL && k < ad_dcs_count(p->world.dcs); k++) {
            const struct ad_dc *dc = ad_dcs_at(p->world.dcs, k);
            uint64_t at = dc->state == AD_DC_READY ? ad_conn_answered(dc->conn) : 0;

            if (at > p->proven[k])
                p->proven[k] = at;
        }
    }
}

static void ask_dcs(struct service *s, uint64_t now)
{
    health_look(s);
    for (size_t i = 0; i < s->place_count; i++) {
        struct place *p = &s->places[i];

        for (size_t k = 0; p->world.dcs != NULL && k < ad_dcs_count(p->world.dcs); k++) {
            const struct ad_dc *dc = ad_dcs_at(p->world.dcs, k);

            if (dc->state == AD_DC_READY && !p->probing[k] && now - p->proven[k] >= DC_MS)
                ask_dc(p, k, dc->conn);
        }
    }
}

/* --- Graph ------------------------------------------------------------------------------- */

uint64_t health_graph(const struct service *s)
{
    uint64_t last = s->tenant != NULL ? graph_answered(s->tenant->graph) : 0;

    for (size_t i = 0; i < s->place_count; i++) {
        const struct cloud *c = s->places[i].world.cloud;
        uint64_t at = c != NULL && c->graph != NULL ? graph_answered(c->graph) : 0;

        if (at > last)
            last = at;
    }
    return last;
}

uint64_t health_okta(const struct service *s)
{
    uint64_t last = 0;

    for (size_t i = 0; i < s->place_count; i++) {
        const struct cloud *c = s->places[i].world.cloud;
        uint64_t at = c != NULL && c->okta != NULL ? okta_answered(c->okta) : 0;

        if (at > last)
            last = at;
    }
    return last;
}

static void on_graph(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct service *s = arg;

    (void)a;
    s->health.probe = NULL;
    if (e != NULL && s->health.graph_why.code == ERR_OK && !s->stopping)
        log_warning("Graph does not answer, trying on: %s", e->msg);
    s->health.graph_why = e != NULL ? *e : ERR_NONE;
}

static void ask_graph(struct service *s, uint64_t now)
{
    static const struct graph_ask ask = {
        .method = "GET", .path = "/users?$top=1&$select=id", .flags = GRAPH_ALONE};
    struct health *h = &s->health;
    uint64_t last = health_graph(s);
    struct err e;

    if (s->tenant == NULL || h->probe != NULL)
        return;
    if (last > h->probed_at)
        h->graph_why = ERR_NONE; /* somebody else was answered since */
    if ((last != 0 && now - last < GRAPH_MS) ||
        (h->probed_at != 0 && now - h->probed_at < SERVICE_WAIT_MAX_MS))
        return;
    h->probed_at = now;
    if (graph_start(s->tenant->graph, &ask, on_graph, s, &h->probe, &e) < 0)
        log_debug("Graph: %s", e.msg);
}

/* --- the queue --------------------------------------------------------------------------- */

static void on_depth(void *arg, uint64_t count, int64_t oldest_ms, enum queue_end end,
                     const struct err *e)
{
    struct service *s = arg;
    struct health *h = &s->health;

    h->asking = false;
    if (end != QUEUE_OK) {
        log_debug("how much is in the queue is not known: %s", e != NULL ? e->msg : "");
        h->known = false;
        return;
    }
    h->known = true;
    h->depth = count;
    h->oldest_ms = oldest_ms;
}

static void ask_depth(struct service *s, uint64_t now)
{
    struct health *h = &s->health;
    struct err e;

    if (h->asking || (h->depth_at != 0 && now - h->depth_at < DEPTH_MS))
        return;
    h->depth_at = now;
    h->asking = queue_depth_start(s->queue, on_depth, s, &e) == 0;
}

/* --- the file ---------------------------------------------------------------------------- */

static void write_file(struct service *s)
{
    const char *path = s->cfg->service.metrics_file;
    CLEANUP(text_done) struct text t = TEXT_INIT(METRICS_MAX);
    struct err e;
    bool good;

    if (path == NULL)
        return;
    good = numbers_write(s, &t, &e) == 0 && metrics_to_file(path, &t, &e) == 0;
    if (!good && !s->health.file_failed)
        log_error("[service] metrics_file: %s", e.msg);
    s->health.file_failed = !good;
}

/* --- from time to time ------------------------------------------------------------------- */

static void look(void *arg)
{
    struct service *s = arg;
    uint64_t now = loop_now(s->loop);

    s->health.timer = loop_timer_start(s->loop, LOOK_MS, look, s);
    ask_dcs(s, now);
    ask_graph(s, now);
    ask_depth(s, now);
    write_file(s);
}

int health_open(struct service *s, struct err *e)
{
    s->health.timer = loop_timer_start(s->loop, 0, look, s);
    return s->health.timer != NULL ? 0 : err_set(e, ERR_NOMEM, 0, "service");
}

void health_pause(struct service *s)
{
    loop_timer_stop(&s->health.timer);
    if (s->health.probe != NULL)
        graph_cancel(s->health.probe);
}

/* --- complaints -------------------------------------------------------------------------- */

struct saying {
    void (*say)(void *arg, const char *words);
    void *arg;
};

static void say_alive(void *arg, const struct holdwatch_state *x)
{
    const struct saying *to = arg;
    char words[400], shown[TEXT_SHOWN];

    if (!x->ad_alive && !x->entra_alive)
        return;
    (void)snprintf(words, sizeof(words), "'%.200s' was contained, and came back to life in %s",
                   text_shown(shown, x->name),
                   x->ad_alive && x->entra_alive ? "AD and Entra"
                   : x->ad_alive                 ? "AD"
                                                 : "Entra");
    to->say(to->arg, words);
}

static void complain_of_cloud(struct service *s, const struct saying *to)
{
    struct intake_risk_health h;
    char words[600];

    if (s->tenant_failed.code != ERR_OK)
        to->say(to->arg, s->tenant_failed.msg);
    if (s->health.graph_why.code != ERR_OK) {
        (void)snprintf(words, sizeof(words), "Graph does not answer: %.400s",
                       s->health.graph_why.msg);
        to->say(to->arg, words);
    }
    if (s->risks == NULL)
        return;
    intake_risk_health(s->risks, &h);
    if (h.why[0] != '\0') {
        (void)snprintf(words, sizeof(words), "Identity Protection cannot be asked: %.400s", h.why);
        to->say(to->arg, words);
    }
}

static void complain_queue(struct service *s, void (*say)(void *arg, const char *words), void *arg)
{
    char words[200], age[STAMP_TEXT];
    uint64_t at = s->health.queue_ok;

    (void)snprintf(words, sizeof(words), "the queue cannot be read; it last answered %s%s",
                   at > 0 ? stamp_age(age, (int64_t)(loop_now(s->loop) - at)) : "before this start",
                   at > 0 ? " ago" : "");
    say(arg, words);
}

void health_complain(struct service *s, void (*say)(void *arg, const char *words), void *arg)
{
    struct saying to = {say, arg};
    char words[600], why[400] = "";
    int64_t since;

    if (s->sick)
        say(arg, "the ledger cannot be written: nothing new is taken");
    if (s->poll_failures > 0)
        complain_queue(s, say, arg);
    if (brake_is_engaged(s->brake, why, sizeof(why), &since)) {
        (void)snprintf(words, sizeof(words), "the brake is engaged: %s", why);
        say(arg, words);
    }
    for (size_t i = 0; i < s->place_count; i++) {
        struct place *p = &s->places[i];

        if (world_can_judge(&p->world) && world_dc(&p->world, true) != NULL)
            continue;
        (void)snprintf(words, sizeof(words), "no DC of %s can be used%s%.400s", p->domain->name,
                       p->world.failed.code != ERR_OK ? ": " : "",
                       p->world.failed.code != ERR_OK ? p->world.failed.msg : "");
        say(arg, words);
    }
    if (outbox_stuck(s->outbox) > 0) {
        (void)snprintf(words, sizeof(words), "%zu answers cannot be delivered",
                       outbox_stuck(s->outbox));
        say(arg, words);
    }
    complain_of_cloud(s, &to);
    holdwatch_each(s->watch, say_alive, &to);
}
