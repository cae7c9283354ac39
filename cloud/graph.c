/* cloud/graph.c -- see graph.h.
 *
 *   graph_start    into the next turn
 *   begin          its turn: into a batch (graph_batch.c), or alone
 *   on_token       the request, with its conventions
 *   on_answer      401: one new token
 *   take_answer    decode, or say what was refused
 *   call_end       the one way out
 */
#include "cloud/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/text.h"
#include "cloud/graph_inside.h"
#include "cloud/media.h"

#define ANSWER_MAX (1024 * 1024)
#define TRY_MS 15000
#define ALL_MS 30000
#define RISK_GAP_MS 1050  /* Identity Protection: one request a second, of all apps together */
#define AUDIT_GAP_MS 2050 /* the audit log: five in ten seconds */
#define PATH_LIMIT 8192

static void begin(void *arg);
static void on_token(void *arg, const struct secret *authorization, const struct err *e);
static void on_answer(void *arg, const struct http_answer *a, const struct err *e);
static void take_answer(struct graph_call *c, const struct http_answer *a);

int graph_new(struct loop *l, struct http *h, struct token_source *token, const char *root,
              struct graph **ret_graph, struct err *e)
{
    struct graph *g = calloc(1, sizeof(*g));

    if (g == NULL || (g->root = text_dup(root)) == NULL) {
        free(g);
        return err_set(e, ERR_NOMEM, 0, "Graph");
    }
    g->loop = l;
    g->http = h;
    g->token = token;
    graph_batch_no_line(g);
    g->pace[GRAPH_LANE_RISK].gap_ms = RISK_GAP_MS;
    g->pace[GRAPH_LANE_AUDIT].gap_ms = AUDIT_GAP_MS;
    *ret_graph = g;
    return 0;
}

static void unlink_call(struct graph_call *c)
{
    loop_timer_stop(&c->timer);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        c->g->calls = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
}

static void call_free(struct graph_call *c)
{
    free(c->method);
    free(c->path);
    if (c->body != NULL)
        explicit_bzero(c->body, strlen(c->body));
    free(c->body);
    free(c);
}

void graph_free(struct graph *g)
{
    if (g == NULL)
        return;
    graph_batches_free(g);
    while (g->calls != NULL)
        graph_abandon(g->calls);
    secret_free(g->used);
    free(g->root);
    free(g);
}

void graph_freep(struct graph **g)
{
    graph_free(*g);
    *g = NULL;
}

struct loop *graph_loop(const struct graph *g)
{
    return g->loop;
}

const char *graph_root(const struct graph *g)
{
    return g->root;
}

struct token_source *graph_token(const struct graph *g)
{
    return g->token;
}

uint64_t graph_operations(const struct graph *g)
{
    return g->operations;
}

bool graph_is_idle(const struct graph *g)
{
    return g->calls == NULL;
}

uint64_t graph_answered(const struct graph *g)
{
    return g->answered;
}

/* --- one call --------------------------------------------------------------------------------- */

static enum graph_lane lane_of(const struct graph_call *c)
{
    if (strstr(c->path, "/identityProtection/") != NULL)
        return GRAPH_LANE_RISK;
    return strstr(c->path, "/auditLogs/") != NULL ? GRAPH_LANE_AUDIT : GRAPH_LANE_NONE;
}

bool graph_is_write(const struct graph_call *c)
{
    return strcmp(c->method, "GET") != 0 && (c->flags & GRAPH_READS) == 0;
}

int graph_start(struct graph *g, const struct graph_ask *ask, graph_cb cb, void *arg,
                struct graph_call **ret_call, struct err *e)
{
    struct graph_call *c;

    if (ask->path[0] != '/' || strlen(ask->path) > PATH_LIMIT)
        return err_set(e, ERR_INTERNAL, 0, "Graph: no path");
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return err_set(e, ERR_NOMEM, 0, "Graph");
    c->g = g;
    c->method = text_dup(ask->method);
    c->path = text_dup(ask->path);
    c->body = text_dup(ask->body);
    c->flags = ask->flags;
    c->max_answer = ask->max_answer != 0 ? ask->max_answer : ANSWER_MAX;
    c->try_ms = ask->try_ms != 0 ? ask->try_ms : TRY_MS;
    c->deadline = loop_now(g->loop) + (ask->all_ms != 0 ? ask->all_ms : ALL_MS);
    c->cb = cb;
    c->arg = arg;
    c->next = g->calls;
    if (g->calls != NULL)
        g->calls->prev = c;
    g->calls = c;
    c->timer = loop_timer_start(g->loop, 0, begin, c);
    if (c->method == NULL || c->path == NULL || (ask->body != NULL && c->body == NULL) ||
        c->timer == NULL) {
        unlink_call(c);
        call_free(c);
        return err_set(e, ERR_NOMEM, 0, "Graph");
    }
    g->operations++;
    if (ret_call != NULL)
        *ret_call = c;
    return 0;
}

static void call_end(struct graph_call *c, const struct graph_answer *a, const struct err *e)
{
    unlink_call(c); /* the callback may free the whole of Graph */
    if (e == NULL)
        c->g->answered = loop_now(c->g->loop);
    c->cb(c->arg, a, e);
    call_free(c);
}

void graph_call_fail(struct graph_call *c, const struct err *e)
{
    call_end(c, NULL, e);
}

static void on_canceled(void *arg)
{
    struct graph_call *c = arg;
    struct err e;

    c->timer = NULL;
    (void)err_set(&e, c->sent && graph_is_write(c) ? ERR_UNPROVEN : ERR_CANCELED, 0,
                  "Graph: told to stop");
    call_end(c, NULL, &e);
}

void graph_cancel(struct graph_call *c)
{
    if (c->canceled)
        return;
    c->canceled = true;
    if (c->http != NULL) {
        http_cancel(c->http);
        return;
    }
    if (c->ask != NULL)
        token_ask_cancel(c->ask);
    c->ask = NULL;
    graph_batch_drop(c);
    loop_timer_stop(&c->timer);
    c->timer = loop_timer_start(c->g->loop, 0, on_canceled, c);
}

void graph_abandon(struct graph_call *c)
{
    if (c == NULL)
        return;
    if (c->http != NULL)
        http_abandon(c->http);
    if (c->ask != NULL)
        token_ask_cancel(c->ask);
    graph_batch_drop(c);
    unlink_call(c);
    if (c->forget != NULL)
        c->forget(c->arg);
    call_free(c);
}

/* When may it go? Each lane has its own gap, for all callers together. */
static bool paced(struct graph_call *c)
{
    enum graph_lane lane = lane_of(c);
    uint64_t now = loop_now(c->g->loop), at = c->g->pace[lane].next;

    if (lane == GRAPH_LANE_NONE || c->tries > 0)
        return true;
    if (at < now)
        at = now;
    c->g->pace[lane].next = at + c->g->pace[lane].gap_ms;
    c->tries = 1; /* it has its place in the line */
    if (at == now)
        return true;
    c->timer = loop_timer_start(c->g->loop, at - now, begin, c);
    return c->timer == NULL;
}

static void begin(void *arg)
{
    struct graph_call *c = arg;
    struct err e;

    c->timer = NULL;
    if (!paced(c))
        return;
    if (graph_batch_takes(c)) {
        if (graph_batch_add(c, &e) == 0)
            return;
    } else if (token_get(c->g->token, on_token, c, &c->ask, &e) == 0) {
        return;
    }
    if (e.code == ERR_NOTFOUND)
        e.code = ERR_AUTH;
    call_end(c, NULL, &e);
}

int graph_use(struct graph *g, const struct secret *authorization, unsigned *ret_token,
              struct err *e)
{
    if (g->used == NULL || !secret_equal(g->used, authorization)) {
        if (secret_keep(&g->used, authorization, e) < 0)
            return -1;
        g->token_at++;
    }
    *ret_token = g->token_at;
    return 0;
}

void graph_refused(struct graph *g, unsigned token, const char *claims)
{
    if (g->used != NULL && token == g->token_at)
        token_refused(g->token, g->used, claims);
}

static uint64_t left(const struct graph_call *c)
{
    uint64_t now = loop_now(c->g->loop);

    return c->deadline > now ? c->deadline - now : 1;
}

static void on_token(void *arg, const struct secret *authorization, const struct err *e)
{
    struct graph_call *c = arg;
    struct text url = TEXT_INIT(PATH_LIMIT + 512);
    struct http_header headers[6];
    struct http_ask ask = {
        .method = c->method,
        .headers = headers,
        .authorization = authorization,
        .body = c->body,
        .body_len = c->body != NULL ? strlen(c->body) : 0,
        .repeat =
            !graph_is_write(c) || (c->flags & GRAPH_IDEMPOTENT) != 0 ? HTTP_SAFELY : HTTP_ONCE,
        .flags = strstr(c->path, "password") != NULL || c->body != NULL ? HTTP_SECRET : 0,
        .max_answer = c->max_answer,
        .try_ms = c->try_ms,
        .all_ms = left(c),
        .id_header = "client-request-id"};
    struct err mine;

    c->ask = NULL;
    if (e != NULL) {
        mine = *e;
        if (mine.code == ERR_NOTFOUND) /* a file of ours, not what was asked for */
            mine.code = ERR_AUTH;
        (void)err_wrap(&mine, "Graph");
        call_end(c, NULL, &mine);
        return;
    }
    headers[ask.header_count++] = (struct http_header){"Accept", "application/json"};
    headers[ask.header_count++] = (struct http_header){"x-ms-throttle-priority", "High"};
    if (c->body != NULL)
        headers[ask.header_count++] = (struct http_header){"Content-Type", "application/json"};
    if ((c->flags & GRAPH_EVENTUAL) != 0)
        headers[ask.header_count++] = (struct http_header){"ConsistencyLevel", "eventual"};
    if ((c->flags & GRAPH_ENUMS) != 0)
        headers[ask.header_count++] =
            (struct http_header){"Prefer", "include-unknown-enum-members"};
    if (strcmp(c->method, "GET") != 0 && (c->flags & GRAPH_READS) != 0)
        ask.flags |= HTTP_READS;
    if (lane_of(c) == GRAPH_LANE_RISK)
        ask.wait_ms = 2000; /* no Retry-After ever comes there */
    text_addf(&url, "%s%s%s", c->g->root, (c->flags & GRAPH_BETA) != 0 ? "/beta" : "/v1.0",
              c->path);
    ask.url = url.s;
    if (text_check(&url, "Graph", &mine) < 0 ||
        graph_use(c->g, authorization, &c->token, &mine) < 0 ||
        http_start(c->g->http, &ask, on_answer, c, &c->http, &mine) < 0)
        call_end(c, NULL, &mine);
    else
        c->sent = true;
    (void)failpoint_hit("cloud-send");
    text_done(&url);
}

/* The claims of a challenge (entra-graph.md 11.3): WWW-Authenticate may come several times. */
static bool claims_of(const struct http_answer *a, char *buf, size_t size)
{
    for (size_t i = 0; i < 8; i++) {
        const char *v = http_header_get(a, "WWW-Authenticate", i), *p;
        size_t n;

        if (v == NULL)
            return false;
        if (strstr(v, "insufficient_claims") == NULL || (p = strstr(v, "claims=\"")) == NULL)
            continue;
        /* error="insufficient_claims" has no such ending */
        p += strlen("claims=\"");
        n = strcspn(p, "\"");
        if (n == 0 || n >= size)
            continue;
        memcpy(buf, p, n);
        buf[n] = '\0';
        return true;
    }
    return false;
}

static void on_answer(void *arg, const struct http_answer *a, const struct err *e)
{
    struct graph_call *c = arg;
    struct err mine;

    c->http = NULL;
    (void)failpoint_hit("cloud-answer");
    if (e != NULL) {
        mine = *e;
        /* Something was cut, junk or too big: what a write did is not known. */
        if (graph_is_write(c) &&
            (e->code == ERR_INVALID || e->code == ERR_TOOBIG || e->code == ERR_TIMEOUT))
            mine.code = ERR_UNPROVEN;
        (void)err_wrap(&mine, "Graph");
        call_end(c, NULL, &mine);
        return;
    }
    if (a->status == 401 && !c->renewed && !c->canceled) {
        char claims[4096];
        bool challenged = claims_of(a, claims, sizeof(claims));

        c->renewed = true;
        graph_refused(c->g, c->token, challenged ? claims : NULL);
        if (token_get(c->g->token, on_token, c, &c->ask, &mine) == 0)
            return;
        if (mine.code == ERR_NOTFOUND)
            mine.code = ERR_AUTH;
        call_end(c, NULL, &mine);
        return;
    }
    c->unclear = a->unclear;
    take_answer(c, a);
}

/* Its body is JSON, or the page of something in between that answered in Graph's place. */
static void take_answer(struct graph_call *c, const struct http_answer *a)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct json_limits limits = {.bytes = c->max_answer,
                                 .depth = 32,
                                 .members = 20000,
                                 .string = 512 * 1024,
                                 .flags = JSON_FLOATS};
    struct graph_reply r = {.status = a->status,
                            .request_id = a->request_id,
                            .client_request_id = a->client_request_id,
                            .date_ms = a->date_ms};
    char foreign[MEDIA_NAME];
    struct err junk;

    if (media_is_foreign(a, foreign))
        r.foreign = foreign;
    else if (a->len > 0 && json_parse(a->body, a->len, &limits, &j, &junk) < 0)
        r.junk = &junk;
    r.json = j;
    graph_call_answer(c, &r);
}

void graph_call_answer(struct graph_call *c, const struct graph_reply *r)
{
    struct graph_answer a = {.status = r->status,
                             .json = r->json,
                             .request_id = r->request_id,
                             .client_request_id = r->client_request_id,
                             .date_ms = r->date_ms};
    bool fine = r->status >= 200 && r->status < 300;
    enum err_code code = graph_is_write(c) ? ERR_UNPROVEN : ERR_INVALID;
    struct err e;

    if (fine && r->foreign != NULL)
        (void)err_set(&e, code, (int)r->status,
                      "Graph: the answer (%ld) is %s, not JSON: the page of a proxy, it seems "
                      "(request-id %.60s)",
                      r->status, r->foreign, r->request_id[0] != '\0' ? r->request_id : "none");
    else if (fine && r->junk != NULL)
        (void)err_set(&e, code, (int)r->status,
                      "Graph: the answer (%ld) is no clean JSON: %.200s (request-id %.60s)",
                      r->status, r->junk->msg, r->request_id);
    else if (!fine)
        (void)graph_error(c, r, &e);
    if (fine && r->foreign == NULL && r->junk == NULL) {
        call_end(c, &a, NULL);
        return;
    }
    if (!fine && c->unclear && graph_is_write(c)) /* a clear no, but not to all that was sent */
        e.code = ERR_UNPROVEN;
    call_end(c, NULL, &e);
}
