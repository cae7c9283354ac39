/* cloud/graph_batch.c -- many calls in one request: POST /$batch (entra-graph.md 10.1).
 *
 *   graph_batch_add   into the line; the line leaves in the next turn, 20 at a time
 *   on_token          the request
 *   on_answer         the next one leaves; each part to its call; throttled parts back into the
 *                     line, after the wait
 *
 * The outer 200 says nothing about the parts. A part without an answer is not known to have been
 * done: ERR_UNPROVEN for what changes something.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "cloud/graph_inside.h"
#include "cloud/media.h"

#define PARTS 20
#define BATCHES 4
#define BODY_MAX (1024 * 1024)
#define BATCH_ANSWER_MAX (8 * 1024 * 1024)
#define TRIES 6
#define WAIT_MS 1000
#define WAIT_MAX_MS 30000

struct graph_batch {
    struct graph *g;
    struct graph_batch *next;
    struct graph_call *calls[PARTS]; /* NULL: ended meanwhile */
    size_t count;
    struct token_ask *ask;
    struct http_call *http;
    unsigned token;
    bool renewed, beta;
    bool landed; /* it is no longer in flight */
};

static void on_line(void *arg);
static void on_token(void *arg, const struct secret *authorization, const struct err *e);
static void on_answer(void *arg, const struct http_answer *a, const struct err *e);

void graph_batching(struct graph *g, bool on, unsigned batches)
{
    g->batching = on;
    g->batches_max = batches != 0 ? batches : BATCHES;
}

bool graph_batch_takes(const struct graph_call *c)
{
    return c->g->batching && (c->flags & (GRAPH_ALONE | GRAPH_ENUMS)) == 0;
}

static int wake_line(struct graph *g, struct err *e)
{
    if (g->line_timer == NULL)
        g->line_timer = loop_timer_start(g->loop, 0, on_line, g);
    return g->line_timer == NULL ? err_set(e, ERR_NOMEM, 0, "Graph") : 0;
}

int graph_batch_add(struct graph_call *c, struct err *e)
{
    struct graph *g = c->g;

    struct graph_line *l = &g->lines[graph_is_write(c) || (c->flags & GRAPH_SOON) != 0 ? 0 : 1];

    if (wake_line(g, e) < 0)
        return -1;
    c->in_line = NULL;
    *l->end = c;
    l->end = &c->in_line;
    return 0;
}

void graph_batch_no_line(struct graph *g)
{
    for (size_t i = 0; i < ARRAY_LEN(g->lines); i++)
        g->lines[i] = (struct graph_line){.first = NULL, .end = &g->lines[i].first};
}

static struct graph_call *first_in_line(const struct graph *g)
{
    return g->lines[0].first != NULL ? g->lines[0].first : g->lines[1].first;
}

static void find_end(struct graph_line *l)
{
    l->end = &l->first;
    while (*l->end != NULL)
        l->end = &(*l->end)->in_line;
}

/* It leaves the line, or the batch it is in. */
void graph_batch_drop(struct graph_call *c)
{
    struct graph *g = c->g;

    for (size_t i = 0; i < ARRAY_LEN(g->lines); i++) {
        struct graph_call **at = &g->lines[i].first;

        while (*at != NULL && *at != c)
            at = &(*at)->in_line;
        if (*at == c) {
            *at = c->in_line;
            find_end(&g->lines[i]);
        }
    }
    for (struct graph_batch *b = g->batches; b != NULL; b = b->next) {
        for (size_t i = 0; i < b->count; i++) {
            if (b->calls[i] == c)
                b->calls[i] = NULL;
        }
    }
}

static void batch_free(struct graph_batch *b)
{
    struct graph_batch **at = &b->g->batches;

    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    if (!b->landed)
        b->g->batches_open--;
    free(b);
}

void graph_batches_free(struct graph *g)
{
    loop_timer_stop(&g->line_timer);
    graph_batch_no_line(g);
    while (g->batches != NULL) {
        if (g->batches->ask != NULL)
            token_ask_cancel(g->batches->ask);
        if (g->batches->http != NULL)
            http_abandon(g->batches->http);
        batch_free(g->batches);
    }
}

static void fail_all(struct graph_batch *b, const struct err *e)
{
    for (size_t i = 0; i < b->count; i++) {
        struct graph_call *c = TAKE(b->calls[i]);
        struct err mine = *e;

        if (mine.code == ERR_NOTFOUND) /* a file of ours, not what was asked for */
            mine.code = ERR_AUTH;
        if (c == NULL)
            continue;
        if (!graph_is_write(c) && e->code == ERR_UNPROVEN)
            mine.code = ERR_TIMEOUT;
        graph_call_fail(c, &mine);
    }
}

/* Nothing would ever call them otherwise. */
static void fail_line(struct graph *g, const struct err *e)
{
    while (first_in_line(g) != NULL) {
        struct graph_call *c = first_in_line(g);

        graph_batch_drop(c);
        graph_call_fail(c, e);
    }
}

static void batch_end(struct graph_batch *b)
{
    struct graph *g = b->g;
    struct err e;

    batch_free(b);
    if (first_in_line(g) != NULL && wake_line(g, &e) < 0)
        fail_line(g, &e);
}

/* As many as there is room for, of the version of the first. */
static void take_from(struct graph_batch *b, struct graph_line *l)
{
    struct graph_call **at = &l->first;

    while (*at != NULL && b->count < PARTS) {
        struct graph_call *c = *at;

        if (((c->flags & GRAPH_BETA) != 0) != b->beta) {
            at = &c->in_line;
            continue;
        }
        *at = c->in_line;
        b->calls[b->count++] = c;
    }
    find_end(l);
}

static void set_out(struct graph *g)
{
    struct graph_batch *b = calloc(1, sizeof(*b));
    const struct secret *authorization;
    struct err e;

    if (b == NULL) {
        (void)err_set(&e, ERR_NOMEM, 0, "Graph");
        fail_line(g, &e);
        return;
    }
    b->g = g;
    b->next = g->batches;
    g->batches = b;
    g->batches_open++;
    b->beta = (first_in_line(g)->flags & GRAPH_BETA) != 0;
    for (size_t i = 0; i < ARRAY_LEN(g->lines); i++)
        take_from(b, &g->lines[i]);
    authorization = token_now(g->token);
    if (authorization != NULL) {
        on_token(b, authorization, NULL);
    } else if (token_get(g->token, on_token, b, &b->ask, &e) < 0) {
        fail_all(b, &e);
        batch_free(b);
    }
}

static void on_line(void *arg)
{
    struct graph *g = arg;

    g->line_timer = NULL;
    while (first_in_line(g) != NULL && g->batches_open < g->batches_max)
        set_out(g);
}

/* What waits already, if it fills a batch, leaves before the answer to this one is looked at: else
 * nothing is on its way meanwhile. */
static void land(struct graph_batch *b)
{
    struct graph *g = b->g;
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(g->lines); i++) {
        for (struct graph_call *c = g->lines[i].first; c != NULL && n < PARTS; c = c->in_line)
            n++;
    }
    b->landed = true;
    g->batches_open--;
    if (n == PARTS && g->batches_open < g->batches_max)
        set_out(g);
}

static void write_part(struct json_out *o, const struct graph_call *c, size_t id)
{
    char name[8];
    bool get = strcmp(c->method, "GET") == 0;

    (void)snprintf(name, sizeof(name), "%zu", id + 1);
    json_out_object(o, NULL);
    json_out_str(o, "id", name);
    json_out_str(o, "method", c->method);
    json_out_str(o, "url", c->path);
    if (!get || (c->flags & GRAPH_EVENTUAL) != 0) {
        json_out_object(o, "headers");
        if (!get)
            json_out_str(o, "Content-Type", "application/json");
        if ((c->flags & GRAPH_EVENTUAL) != 0)
            json_out_str(o, "ConsistencyLevel", "eventual");
        json_out_end_object(o);
    }
    if (!get)
        json_out_raw(o, "body", c->body != NULL ? c->body : "{}");
    json_out_end_object(o);
}

static void on_token(void *arg, const struct secret *authorization, const struct err *e)
{
    struct graph_batch *b = arg;
    struct text body = TEXT_INIT(BODY_MAX), url = TEXT_INIT(512);
    struct http_header headers[] = {{"Accept", "application/json"},
                                    {"Content-Type", "application/json"},
                                    {"x-ms-throttle-priority", "High"}};
    struct http_ask ask = {.method = "POST",
                           .headers = headers,
                           .header_count = ARRAY_LEN(headers),
                           .authorization = authorization,
                           .repeat = HTTP_SAFELY,
                           .flags = HTTP_SECRET,
                           .max_answer = BATCH_ANSWER_MAX,
                           .try_ms = 30000,
                           .id_header = "client-request-id"};
    struct json_out o;
    struct err mine;
    bool reads = true;
    int rc = 0;

    b->ask = NULL;
    if (e != NULL) {
        mine = *e;
        (void)err_wrap(&mine, "Graph");
        fail_all(b, &mine);
        batch_end(b);
        return;
    }
    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    json_out_array(&o, "requests");
    for (size_t i = 0; i < b->count; i++) {
        struct graph_call *c = b->calls[i];
        uint64_t now = loop_now(b->g->loop), left;

        if (c == NULL)
            continue;
        write_part(&o, c, i);
        c->tries++;
        reads = reads && !graph_is_write(c);
        if (graph_is_write(c) && (c->flags & GRAPH_IDEMPOTENT) == 0)
            ask.repeat = HTTP_ONCE;
        left = c->deadline > now ? c->deadline - now : 1;
        if (left > ask.all_ms)
            ask.all_ms = left;
    }
    json_out_end_array(&o);
    json_out_end_object(&o);
    if (ask.all_ms == 0) { /* all were given up meanwhile */
        text_wipe(&body);
        batch_end(b);
        return;
    }
    if (reads)
        ask.flags |= HTTP_READS;
    text_addf(&url, "%s%s/$batch", b->g->root, b->beta ? "/beta" : "/v1.0");
    ask.url = url.s;
    rc = text_check(&body, "batch", &mine) < 0 || text_check(&url, "batch", &mine) < 0 ? -1 : 0;
    ask.body = body.s;
    ask.body_len = body.len;
    if (rc == 0)
        rc = graph_use(b->g, authorization, &b->token, &mine);
    if (rc == 0)
        rc = http_start(b->g->http, &ask, on_answer, b, &b->http, &mine);
    if (rc < 0) {
        fail_all(b, &mine);
        batch_end(b);
    } else {
        for (size_t i = 0; i < b->count; i++) {
            if (b->calls[i] != NULL)
                b->calls[i]->sent = true;
        }
    }
    text_wipe(&body);
    text_done(&url);
}

static void again(void *arg)
{
    struct graph_call *c = arg;
    struct err e;

    c->timer = NULL;
    if (graph_batch_add(c, &e) < 0)
        graph_call_fail(c, &e);
}

/* A throttled or stumbling part: once more, after a while. False: no time or no tries are left. */
static bool later(struct graph_call *c, uint64_t wait_ms)
{
    uint64_t own = (uint64_t)WAIT_MS << (c->tries < 5 ? c->tries - 1 : 4);

    if (wait_ms < own)
        wait_ms = own;
    wait_ms += wait_ms / 5 * (uint64_t)((uintptr_t)c >> 6 & 7) /
               7; /* up to a fifth more, unlike the others */
    if (c->canceled || c->tries >= TRIES || loop_now(c->g->loop) + wait_ms >= c->deadline)
        return false;
    c->timer = loop_timer_start(c->g->loop, wait_ms, again, c);
    return c->timer != NULL;
}

static uint64_t wait_of(const struct cJSON *part)
{
    const struct cJSON *headers = json_get(part, "headers");
    const char *s = json_str(headers, "Retry-After");
    uint64_t ms;

    if (s == NULL)
        s = json_str(headers, "retry-after");
    return s != NULL && http_retry_after(s, 0, &ms) && ms <= WAIT_MAX_MS * 10 ? ms : 0;
}

static void take_part(struct graph_batch *b, const struct cJSON *part, const struct http_answer *a,
                      uint64_t longest)
{
    const struct cJSON *headers = json_get(part, "headers");
    const char *id = json_str(part, "id"), *request_id = json_str(headers, "request-id");
    char *end;
    unsigned long at = id != NULL ? strtoul(id, &end, 10) : 0;
    struct graph_call *c;
    int64_t status;

    if (id == NULL || at == 0 || at > b->count || *end != '\0' || b->calls[at - 1] == NULL ||
        !json_i64(part, "status", &status) || status < 100 || status > 599)
        return; /* whoever it was for has no answer then */
    c = TAKE(b->calls[at - 1]);
    if ((status == 429 || status == 503) && later(c, longest))
        return;
    if (status >= 500 && status != 503 &&
        (!graph_is_write(c) || (c->flags & GRAPH_IDEMPOTENT) != 0) && later(c, 0))
        return;
    graph_call_answer(
        c, &(struct graph_reply){.status = (long)status,
                                 .json = json_get(part, "body"),
                                 .request_id = request_id != NULL ? request_id : a->request_id,
                                 .client_request_id = a->client_request_id,
                                 .date_ms = a->date_ms});
}

static void on_answer(void *arg, const struct http_answer *a, const struct err *e)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct graph_batch *b = arg;
    struct json_limits limits = {.bytes = BATCH_ANSWER_MAX,
                                 .depth = 32,
                                 .members = 20000,
                                 .string = 512 * 1024,
                                 .flags = JSON_FLOATS};
    const struct cJSON *parts;
    char foreign[MEDIA_NAME];
    bool is_foreign;
    uint64_t longest = 0;
    struct err mine;

    b->http = NULL;
    if (e == NULL && a->status == 200)
        land(b);
    if (e != NULL) {
        mine = *e;
        if (e->code == ERR_INVALID || e->code == ERR_TOOBIG || e->code == ERR_TIMEOUT)
            mine.code = ERR_UNPROVEN; /* fail_all weakens it for reads */
        (void)err_wrap(&mine, "Graph $batch");
        fail_all(b, &mine);
        batch_end(b);
        return;
    }
    if (a->status == 401 && !b->renewed) {
        b->renewed = true;
        graph_refused(b->g, b->token, NULL);
        if (token_get(b->g->token, on_token, b, &b->ask, &mine) == 0)
            return;
        fail_all(b, &mine);
        batch_end(b);
        return;
    }
    is_foreign = media_is_foreign(a, foreign);
    if (a->status == 200 && is_foreign) {
        (void)err_set(&mine, ERR_UNPROVEN, 0,
                      "Graph $batch: the answer is %s, not JSON: the page of a proxy, it seems",
                      foreign);
        fail_all(b, &mine);
        batch_end(b);
        return;
    }
    if (!is_foreign && json_parse(a->body, a->len, &limits, &j, &mine) < 0 && a->status == 200) {
        (void)err_set(&mine, ERR_UNPROVEN, 0, "Graph $batch: no clean JSON (request-id %.60s)",
                      a->request_id);
        fail_all(b, &mine);
        batch_end(b);
        return;
    }
    if (a->status != 200) {
        for (size_t i = 0; i < b->count; i++) {
            struct graph_call *c = TAKE(b->calls[i]);

            if (c == NULL)
                continue;
            c->unclear = a->unclear;
            graph_call_answer(c, &(struct graph_reply){.status = a->status < 400 ? 500 : a->status,
                                                       .json = j,
                                                       .foreign = is_foreign ? foreign : NULL,
                                                       .request_id = a->request_id,
                                                       .client_request_id = a->client_request_id,
                                                       .date_ms = a->date_ms});
        }
        batch_end(b);
        return;
    }
    parts = json_get(j, "responses");
    for (const struct cJSON *p = json_first(parts); p != NULL; p = json_next(p)) {
        uint64_t ms = wait_of(p);

        if (ms > longest)
            longest = ms;
    }
    for (const struct cJSON *p = json_first(parts); p != NULL; p = json_next(p))
        take_part(b, p, a, longest);
    (void)err_set(&mine, ERR_UNPROVEN, 0, "Graph $batch: no answer to this part (request-id %.60s)",
                  a->request_id);
    fail_all(b, &mine);
    batch_end(b);
}
