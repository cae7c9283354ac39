/* tests/unit/cloud/sim.h -- a world for what lives in cloud/: time that a test moves, and a Graph,
 * an http and a token source that answer by a script.
 *
 * Included by one source of a test that is linked with cordon_sim (see tests.cmake): the calls of
 * cloud/ end here; or with cordon_sim_wire, where Graph is the real one. Timers fire in order, and
 * time jumps to the next one, so that no test waits.
 *
 *   static const struct sim_says script[] = {{"GET", "/riskyUsers/", .status = 200, .body = "{}"}};
 *   sim_script(script, 1);
 *   ... start ...
 *   sim_run();          until nothing is left to do
 *   sim_end();          the whole script was used, no timer and no call is left
 */
#ifndef CORDON_TESTS_CLOUD_SIM_H
#define CORDON_TESTS_CLOUD_SIM_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/http.h"
#include "base/json.h"
#include "base/loop.h"
#include "cloud/graph.h"
#include "cloud/token.h"

struct sim_says {
    const char *method, *path; /* path: what the path or URL must have in it */
    const char *asks;          /* what the body must have in it; NULL: anything */
    long status;               /* 0: `code` instead */
    const char *body;          /* JSON; NULL: none */
    enum err_code code;        /* no answer, and why */
    const char *words;
    uint64_t after_ms;
    bool unclear, hold; /* hold: until sim_release */
    bool bare;          /* http: no token may go there */
    uint64_t retry_after_ms;
    const char *link; /* header Link */
    const char *type; /* header Content-Type */
    const char *www;  /* header WWW-Authenticate */
    const char *next; /* graph_list: the second page */
};

enum { SIM_CALLS = 64 };

struct loop_timer {
    struct loop_timer *next;
    uint64_t at, order;
    loop_cb cb;
    void *arg;
};

struct sim_call { /* graph_call and http_call alike */
    const struct sim_says *says;
    bool used, canceled, list, http;
    struct loop_timer *timer;
    graph_cb cb;
    graph_each each;
    void (*done)(void *arg, const struct err *e);
    http_cb http_cb;
    void *arg;
};

static struct {
    uint64_t now, order;
    struct loop_timer *timers;
    const struct sim_says *script;
    size_t script_count, script_at;
    struct sim_call calls[SIM_CALLS];
    struct sim_call *held;
    uint64_t sent_at[SIM_CALLS * 4]; /* when each was asked */
    size_t sent;
    unsigned tokens, tokens_refused;
    enum err_code token_code; /* the token source fails so */
    struct secret *token;
    const char *roles;      /* in the token: " User.Read.All "; NULL: it is opaque */
    const char *wids, *oid; /* and this; NULL: nothing */
    char claims[128];       /* of the last challenge */
    char last_path[4096], last_body[16384], last_headers[1024];
} sim;

/* --- time ------------------------------------------------------------------------------ */

uint64_t __wrap_loop_now(struct loop *l);
struct loop_timer *__wrap_loop_timer_start(struct loop *l, uint64_t ms, loop_cb cb, void *arg);
void __wrap_loop_timer_stop(struct loop_timer **t);

uint64_t __wrap_loop_now(struct loop *l)
{
    (void)l;
    return sim.now;
}

struct loop_timer *__wrap_loop_timer_start(struct loop *l, uint64_t ms, loop_cb cb, void *arg)
{
    struct loop_timer *t = calloc(1, sizeof(*t)), **at = &sim.timers;

    (void)l;
    if (t == NULL)
        return NULL;
    t->at = sim.now + ms;
    t->order = ++sim.order;
    t->cb = cb;
    t->arg = arg;
    while (*at != NULL && (*at)->at <= t->at)
        at = &(*at)->next;
    t->next = *at;
    *at = t;
    return t;
}

void __wrap_loop_timer_stop(struct loop_timer **t)
{
    struct loop_timer **at = &sim.timers;

    if (t == NULL || *t == NULL)
        return;
    while (*at != *t) {
        assert(*at != NULL); /* it fired: its owner must have forgotten it */
        at = &(*at)->next;
    }
    *at = (*t)->next;
    free(*t);
    *t = NULL;
}

/* What is due first. */
static void sim_step(void)
{
    struct loop_timer *t = sim.timers;

    sim.timers = t->next;
    sim.now = t->at > sim.now ? t->at : sim.now;
    t->cb(t->arg);
    free(t);
}

/* Until `until`, or until nothing is left. */
static void sim_run_until(uint64_t until)
{
    for (unsigned turns = 0; sim.timers != NULL && sim.timers->at <= until; turns++) {
        assert(turns < 100000); /* it goes round in circles */
        sim_step();
    }
    if (until != UINT64_MAX && sim.now < until)
        sim.now = until;
}

static inline void sim_run(void)
{
    sim_run_until(UINT64_MAX);
}

static inline void sim_pass(uint64_t ms)
{
    sim_run_until(sim.now + ms);
}

/* --- what is asked --------------------------------------------------------------------- */

static inline void sim_script(const struct sim_says *script, size_t n)
{
    const char *roles = sim.roles; /* a test's own, until it says otherwise */

    secret_free(sim.token);
    memset(&sim, 0, sizeof(sim));
    sim.now = 1000000;
    sim.roles = roles;
    sim.script = script;
    sim.script_count = n;
}

static inline void sim_end(void)
{
    assert(sim.script_at == sim.script_count);
    assert(sim.timers == NULL);
    for (size_t i = 0; i < SIM_CALLS; i++)
        assert(!sim.calls[i].used);
    secret_free(sim.token);
    sim.token = NULL;
}

static struct sim_call *sim_find(const char *method, const char *path, const char *body, size_t n)
{
    struct sim_call *c = sim.calls;
    const struct sim_says *s;

    (void)snprintf(sim.last_path, sizeof(sim.last_path), "%s", path);
    (void)snprintf(sim.last_body, sizeof(sim.last_body), "%.*s", (int)n, body != NULL ? body : "");
    if (sim.script_at == sim.script_count) {
        (void)fprintf(stderr, "not in the script: %s %s %s\n", method, path, sim.last_body);
        abort();
    }
    s = &sim.script[sim.script_at++];
    if (strcmp(s->method, method) != 0 || strstr(path, s->path) == NULL ||
        (s->asks != NULL && strstr(sim.last_body, s->asks) == NULL)) {
        (void)fprintf(stderr, "script %zu: expected %s %s %s\n          but got %s %s %s\n",
                      sim.script_at, s->method, s->path, s->asks != NULL ? s->asks : "", method,
                      path, sim.last_body);
        abort();
    }
    while (c->used)
        c++;
    assert(c < sim.calls + SIM_CALLS);
    memset(c, 0, sizeof(*c));
    c->used = true;
    c->says = s;
    sim.sent_at[sim.sent++ % (SIM_CALLS * 4)] = sim.now;
    return c;
}

static int sim_err(const struct sim_says *s, struct err *e)
{
    if (s->code != ERR_OK)
        return err_set(e, s->code, (int)s->status, "%s", s->words != NULL ? s->words : "as told");
    return 0;
}

static void sim_answer(void *arg);

static int sim_begin(struct sim_call *c, struct err *e)
{
    if (c->says->hold) {
        assert(sim.held == NULL);
        sim.held = c;
        return 0;
    }
    c->timer = __wrap_loop_timer_start(NULL, c->says->after_ms, sim_answer, c);
    if (c->timer != NULL)
        return 0;
    c->used = false;
    sim.script_at--;
    return err_set(e, ERR_NOMEM, 0, "no memory");
}

static inline void sim_release(void)
{
    struct sim_call *c = sim.held;

    assert(c != NULL);
    sim.held = NULL;
    c->timer = __wrap_loop_timer_start(NULL, 0, sim_answer, c);
    assert(c->timer != NULL);
}

static void sim_drop(struct sim_call *c)
{
    if (c == NULL)
        return;
    assert(c->used);
    __wrap_loop_timer_stop(&c->timer);
    if (sim.held == c)
        sim.held = NULL;
    c->used = false;
}

static void sim_cancel(struct sim_call *c)
{
    c->canceled = true;
    __wrap_loop_timer_stop(&c->timer);
    if (sim.held == c)
        sim.held = NULL;
    c->timer = __wrap_loop_timer_start(NULL, 0, sim_answer, c);
}

static struct cJSON *sim_json(const char *s)
{
    const struct json_limits lim = {
        .bytes = 16 << 20, .depth = 32, .members = 20000, .string = 1 << 20, .flags = JSON_FLOATS};
    struct cJSON *j = NULL;
    struct err e;

    if (s != NULL && json_parse(s, strlen(s), &lim, &j, &e) < 0 && e.code != ERR_NOMEM) {
        (void)fprintf(stderr, "script: %s in %s\n", e.msg, s);
        abort();
    }
    return j;
}

/* False: no more, since that is enough, or since there is no memory for it (*e then). */
static bool sim_page(struct sim_call *c, const char *body, struct err *e)
{
    CLEANUP(json_freep) struct cJSON *j = sim_json(body);
    const struct cJSON *list = json_get(j, "value");

    if (j == NULL) {
        (void)err_set(e, ERR_NOMEM, 0, "no memory");
        return false;
    }
    for (const struct cJSON *i = json_first(list); i != NULL; i = json_next(i)) {
        if (!c->each(c->arg, i))
            return false;
    }
    return true;
}

static void sim_answer(void *arg)
{
    struct sim_call *c = arg;
    const struct sim_says *s = c->says;
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct err e = ERR_NONE;
    bool failed = sim_err(s, &e) < 0;

    c->timer = NULL;
    if (c->canceled)
        failed = err_set(&e, strcmp(s->method, "GET") == 0 ? ERR_CANCELED : ERR_UNPROVEN, 0,
                         "canceled") < 0;
    if (c->http) {
        struct http_answer a = {.status = s->status,
                                .body = s->body != NULL ? s->body : "",
                                .len = s->body != NULL ? strlen(s->body) : 0,
                                .client_request_id = "",
                                .request_id = "req-1",
                                .retry_after_ms = s->retry_after_ms,
                                .date_ms = 1790000000000,
                                .tries = 1,
                                .unclear = s->unclear,
                                .headers_ = s};

        c->used = false;
        c->http_cb(c->arg, failed ? NULL : &a, failed ? &e : NULL);
    } else if (c->list) {
        if (!failed && sim_page(c, s->body, &e) && s->next != NULL)
            (void)sim_page(c, s->next, &e);
        c->used = false;
        c->done(c->arg, e.code != ERR_OK ? &e : NULL);
    } else {
        struct graph_answer a = {.status = s->status,
                                 .request_id = "req-1",
                                 .client_request_id = "creq-1",
                                 .date_ms = 1790000000000};

        if (!failed)
            a.json = j = sim_json(s->body);
        c->used = false;
        c->cb(c->arg, failed ? NULL : &a, failed ? &e : NULL);
    }
}

/* --- Graph ----------------------------------------------------------------------------- */

int __wrap_graph_start(struct graph *g, const struct graph_ask *ask, graph_cb cb, void *arg,
                       struct graph_call **ret_call, struct err *e);
int __wrap_graph_list(struct graph *g, const struct graph_ask *ask, unsigned pages_max,
                      graph_each each, void (*done)(void *arg, const struct err *e), void *arg,
                      struct graph_call **ret_call, struct err *e);
void __wrap_graph_cancel(struct graph_call *c);
void __wrap_graph_abandon(struct graph_call *c);
long __wrap_graph_status_of(const struct err *e);

int __wrap_graph_start(struct graph *g, const struct graph_ask *ask, graph_cb cb, void *arg,
                       struct graph_call **ret_call, struct err *e)
{
    struct sim_call *c =
        sim_find(ask->method, ask->path, ask->body, ask->body != NULL ? strlen(ask->body) : 0);

    (void)g;
    if (ask->body != NULL)
        json_free(sim_json(ask->body)); /* it is JSON */
    c->cb = cb;
    c->arg = arg;
    if (sim_begin(c, e) < 0)
        return -1;
    *ret_call = (struct graph_call *)(void *)c;
    return 0;
}

int __wrap_graph_list(struct graph *g, const struct graph_ask *ask, unsigned pages_max,
                      graph_each each, void (*done)(void *arg, const struct err *e), void *arg,
                      struct graph_call **ret_call, struct err *e)
{
    struct sim_call *c = sim_find("GET", ask->path, NULL, 0);

    (void)g;
    assert(pages_max > 0);
    c->list = true;
    c->each = each;
    c->done = done;
    c->arg = arg;
    if (sim_begin(c, e) < 0)
        return -1;
    *ret_call = (struct graph_call *)(void *)c;
    return 0;
}

void __wrap_graph_cancel(struct graph_call *c)
{
    sim_cancel((struct sim_call *)(void *)c);
}

void __wrap_graph_abandon(struct graph_call *c)
{
    sim_drop((struct sim_call *)(void *)c);
}

long __wrap_graph_status_of(const struct err *e)
{
    return e->native;
}

/* --- http and tokens ------------------------------------------------------------------- */

int __wrap_http_start(struct http *h, const struct http_ask *ask, http_cb cb, void *arg,
                      struct http_call **ret_call, struct err *e);
void __wrap_http_cancel(struct http_call *c);
void __wrap_http_abandon(struct http_call *c);
const char *__wrap_http_header_get(const struct http_answer *a, const char *name, size_t nth);
int __wrap_token_get(struct token_source *t, token_cb cb, void *arg, struct token_ask **ret_ask,
                     struct err *e);
const struct secret *__wrap_token_now(const struct token_source *t);
void __wrap_token_ask_cancel(struct token_ask *a);
void __wrap_token_refused(struct token_source *t, const struct secret *authorization,
                          const char *claims);

int __wrap_http_start(struct http *h, const struct http_ask *ask, http_cb cb, void *arg,
                      struct http_call **ret_call, struct err *e)
{
    struct sim_call *c = sim_find(ask->method, ask->url, ask->body, ask->body_len);

    (void)h;
    assert((ask->authorization == NULL) == c->says->bare);
    sim.last_headers[0] = '\0';
    for (size_t i = 0; i < ask->header_count; i++) {
        size_t n = strlen(sim.last_headers);

        (void)snprintf(sim.last_headers + n, sizeof(sim.last_headers) - n, "%s: %s\n",
                       ask->headers[i].name, ask->headers[i].value);
    }
    /* What changes something is sent once, and nothing else is; but for Graph, who knows better. */
    assert(ask->id_header != NULL ||
           (strcmp(ask->method, "POST") == 0 && (ask->flags & HTTP_READS) == 0) ==
               (ask->repeat == HTTP_ONCE));
    c->http = true;
    c->http_cb = cb;
    c->arg = arg;
    if (sim_begin(c, e) < 0)
        return -1;
    *ret_call = (struct http_call *)(void *)c;
    return 0;
}

void __wrap_http_cancel(struct http_call *c)
{
    sim_cancel((struct sim_call *)(void *)c);
}

void __wrap_http_abandon(struct http_call *c)
{
    sim_drop((struct sim_call *)(void *)c);
}

const char *__wrap_http_header_get(const struct http_answer *a, const char *name, size_t nth)
{
    const struct sim_says *s = a->headers_;

    if (nth > 0)
        return NULL;
    if (strcmp(name, "Link") == 0)
        return s->link;
    if (strcmp(name, "Content-Type") == 0)
        return s->type;
    return strcmp(name, "WWW-Authenticate") == 0 ? s->www : NULL;
}

struct sim_token_ask {
    token_cb cb;
    void *arg;
    struct loop_timer *timer;
};

static void sim_token(void *arg)
{
    struct sim_token_ask a = *(struct sim_token_ask *)arg;
    struct err e;

    free(arg);
    if (sim.token_code != ERR_OK) {
        (void)err_set(&e, sim.token_code, 0, "no token");
        a.cb(a.arg, NULL, &e);
        return;
    }
    if (sim.token == NULL && secret_new(8, &sim.token, &e) < 0) {
        a.cb(a.arg, NULL, &e);
        return;
    }
    a.cb(a.arg, sim.token, NULL);
}

int __wrap_token_get(struct token_source *t, token_cb cb, void *arg, struct token_ask **ret_ask,
                     struct err *e)
{
    struct sim_token_ask *a = calloc(1, sizeof(*a));

    (void)t;
    if (a == NULL)
        return err_set(e, ERR_NOMEM, 0, "no memory");
    a->cb = cb;
    a->arg = arg;
    a->timer = __wrap_loop_timer_start(NULL, 1, sim_token, a);
    if (a->timer == NULL) {
        free(a);
        return err_set(e, ERR_NOMEM, 0, "no memory");
    }
    sim.tokens++;
    *ret_ask = (struct token_ask *)(void *)a;
    return 0;
}

/* It has to be waited for each time. */
const struct secret *__wrap_token_now(const struct token_source *t)
{
    (void)t;
    return NULL;
}

void __wrap_token_ask_cancel(struct token_ask *t)
{
    struct sim_token_ask *a = (struct sim_token_ask *)(void *)t;

    __wrap_loop_timer_stop(&a->timer);
    free(a);
}

void __wrap_token_refused(struct token_source *t, const struct secret *authorization,
                          const char *claims)
{
    (void)t;
    assert(secret_equal(authorization, sim.token));
    sim.tokens_refused++;
    (void)snprintf(sim.claims, sizeof(sim.claims), "%s", claims != NULL ? claims : "");
}

/* --- what the token says ----------------------------------------------------------------- */

const char *__wrap_token_directory_roles(const struct token_source *t);
const char *__wrap_token_object_id(const struct token_source *t);
struct loop *__wrap_graph_loop(const struct graph *g);
struct token_source *__wrap_graph_token(const struct graph *g);
bool __wrap_token_readable(const struct token_source *t);
bool __wrap_token_has_role(const struct token_source *t, const char *role);

const char *__wrap_token_directory_roles(const struct token_source *t)
{
    (void)t;
    return sim.wids != NULL ? sim.wids : "";
}

const char *__wrap_token_object_id(const struct token_source *t)
{
    (void)t;
    return sim.oid != NULL ? sim.oid : "";
}

struct loop *__wrap_graph_loop(const struct graph *g)
{
    (void)g;
    return NULL;
}

struct token_source *__wrap_graph_token(const struct graph *g)
{
    (void)g;
    return NULL;
}

bool __wrap_token_readable(const struct token_source *t)
{
    (void)t;
    return sim.roles != NULL;
}

bool __wrap_token_has_role(const struct token_source *t, const char *role)
{
    char word[80];

    (void)t;
    (void)snprintf(word, sizeof(word), " %s ", role);
    return sim.roles != NULL && strstr(sim.roles, word) != NULL;
}

#endif
