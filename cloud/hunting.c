/* cloud/hunting.c -- asking advanced hunting (through Graph) and Log Analytics.
 *
 *   hunt_identity_start         on_graph
 *   hunt_security_event_start   on_token, on_answer: one new token after a 401
 *   take                        the rows
 *
 * Both only read; every try may be repeated.
 */
#include <stdio.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/stamp.h"
#include "cloud/field.h"
#include "cloud/hunting_inside.h"
#include "cloud/media.h"

enum {
    TRY_MS = 200 * 1000, /* a query may take three minutes */
    ALL_MS = 300 * 1000,
    URL_MAX = 1024,
    BODY_MAX = 8 * 1024,
};

struct hunt_call {
    hunt_cb cb;
    void *arg;
    char sid[HUNT_SID];
    int64_t from_ms, to_ms;
    bool canceled;

    struct graph_call *graph;

    struct hunt_workspace w;
    char url[URL_MAX];
    struct text body;
    struct token_ask *ask;
    struct http_call *http;
    struct secret *used; /* the token it goes with */
    bool renewed;
    struct loop_timer *timer; /* canceled while it waits for a token */
};

static void on_graph(void *arg, const struct graph_answer *a, const struct err *e);
static void on_token(void *arg, const struct secret *authorization, const struct err *e);
static void on_answer(void *arg, const struct http_answer *a, const struct err *e);

static void call_free(struct hunt_call *c)
{
    if (c == NULL)
        return;
    loop_timer_stop(&c->timer);
    graph_abandon(c->graph);
    if (c->ask != NULL)
        token_ask_cancel(c->ask);
    http_abandon(c->http);
    secret_free(c->used);
    text_done(&c->body);
    free(c);
}

static void call_freep(struct hunt_call **c)
{
    call_free(*c);
}

static int call_new(const char *sid, int64_t from_ms, int64_t to_ms, hunt_cb cb, void *arg,
                    struct hunt_call **ret_call, struct err *e)
{
    struct hunt_call *c;

    if (hunt_check(sid, from_ms, to_ms, e) < 0)
        return -1;
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return err_set(e, ERR_NOMEM, 0, "hunting");
    text_init(&c->body, BODY_MAX);
    c->cb = cb;
    c->arg = arg;
    c->from_ms = from_ms;
    c->to_ms = to_ms;
    field_copy(c->sid, sizeof(c->sid), sid);
    *ret_call = c;
    return 0;
}

static void finish(struct hunt_call *c, const struct hunt_rows *r, const struct err *e)
{
    c->cb(c->arg, r, e);
    call_free(c);
}

static void take(struct hunt_call *c, const struct cJSON *body, const char *request_id)
{
    CLEANUP(hunt_table_freep) struct hunt_table *t = NULL;
    struct hunt_rows r;
    struct err e;

    if (hunt_read(body, c->sid, c->from_ms, c->to_ms, &t, &e) < 0) {
        finish(c, NULL, &e);
        return;
    }
    hunt_table_rows(t, &r);
    (void)field_shown(r.request_id, sizeof(r.request_id), request_id);
    finish(c, &r, NULL);
}

/* {"<query>":"...","<timespan>":"from/to"} */
static int make_body(struct hunt_call *c, const char *query_name, const char *query,
                     const char *span_name, struct err *e)
{
    char from[STAMP_TEXT], to[STAMP_TEXT], span[2 * STAMP_TEXT];
    struct json_out o;

    (void)snprintf(span, sizeof(span), "%s/%s", stamp_iso(from, c->from_ms),
                   stamp_iso(to, c->to_ms));
    json_out_init(&o, &c->body);
    json_out_object(&o, NULL);
    json_out_str(&o, query_name, query);
    json_out_str(&o, span_name, span);
    json_out_end_object(&o);
    return text_check(&c->body, "query", e);
}

/* --- hunting ---------------------------------------------------------------------------------- */

int hunt_identity_start(struct graph *g, const char *sid, int64_t from_ms, int64_t to_ms,
                        hunt_cb cb, void *arg, struct hunt_call **ret_call, struct err *e)
{
    CLEANUP(call_freep) struct hunt_call *c = NULL;
    CLEANUP(text_done) struct text query = TEXT_INIT(HUNT_QUERY_MAX);
    struct graph_ask ask = {
        .method = "POST",
        .path = "/security/runHuntingQuery",
        .flags = GRAPH_READS | GRAPH_ALONE,
        .max_answer = HUNT_ANSWER_MAX,
        .try_ms = TRY_MS,
        .all_ms = ALL_MS,
    };

    if (call_new(sid, from_ms, to_ms, cb, arg, &c, e) < 0 ||
        hunt_text_identity(&query, sid, from_ms, to_ms, e) < 0 ||
        make_body(c, "Query", query.s, "Timespan", e) < 0)
        return -1;
    ask.body = c->body.s;
    if (graph_start(g, &ask, on_graph, c, &c->graph, e) < 0)
        return -1;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

static void on_graph(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct hunt_call *c = arg;

    c->graph = NULL;
    if (e != NULL)
        finish(c, NULL, e);
    else
        take(c, a->json, a->request_id);
}

/* --- Log Analytics ---------------------------------------------------------------------------- */

int hunt_security_event_start(const struct hunt_workspace *w, const char *sid, int64_t from_ms,
                              int64_t to_ms, hunt_cb cb, void *arg, struct hunt_call **ret_call,
                              struct err *e)
{
    CLEANUP(call_freep) struct hunt_call *c = NULL;
    CLEANUP(text_done) struct text query = TEXT_INIT(HUNT_QUERY_MAX);
    int n;

    if (!field_guid_ok(w->workspace))
        return err_set(e, ERR_USAGE, 0, "Log Analytics: the workspace is no GUID");
    if (call_new(sid, from_ms, to_ms, cb, arg, &c, e) < 0 ||
        hunt_text_security_event(&query, sid, from_ms, to_ms, e) < 0 ||
        make_body(c, "query", query.s, "timespan", e) < 0)
        return -1;
    c->w = *w;
    n = snprintf(c->url, sizeof(c->url), "%s/v1/workspaces/%s/query", w->root, w->workspace);
    if (n < 0 || (size_t)n >= sizeof(c->url))
        return err_set(e, ERR_TOOBIG, 0, "Log Analytics: its URL is too long");
    if (token_get(w->token, on_token, c, &c->ask, e) < 0)
        return -1;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

static int send(struct hunt_call *c, const struct secret *authorization, struct err *e)
{
    static const struct http_header headers[] = {
        {"Accept", "application/json"},
        {"Content-Type", "application/json"},
    };
    const struct http_ask ask = {
        .method = "POST",
        .url = c->url,
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .authorization = authorization,
        .body = c->body.s,
        .body_len = c->body.len,
        .repeat = HTTP_SAFELY,
        .flags = HTTP_READS,
        .max_answer = HUNT_ANSWER_MAX,
        .try_ms = TRY_MS,
        .all_ms = ALL_MS,
        .id_header = "x-ms-client-request-id",
    };

    return http_start(c->w.http, &ask, on_answer, c, &c->http, e);
}

static void on_token(void *arg, const struct secret *authorization, const struct err *e)
{
    struct hunt_call *c = arg;
    struct err mine;

    c->ask = NULL;
    if (e == NULL && c->canceled) {
        (void)err_set(&mine, ERR_CANCELED, 0, "Log Analytics: given up");
        e = &mine;
    }
    if (e == NULL &&
        (secret_keep(&c->used, authorization, &mine) < 0 || send(c, authorization, &mine) < 0))
        e = &mine;
    if (e != NULL)
        finish(c, NULL, e);
}

static void on_answer(void *arg, const struct http_answer *a, const struct err *e)
{
    const struct json_limits lim = {
        .bytes = HUNT_ANSWER_MAX, .members = HUNT_ANSWER_ROWS, .flags = JSON_FLOATS};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct hunt_call *c = arg;
    char foreign[MEDIA_NAME];
    struct err mine;

    c->http = NULL;
    assert(e != NULL || a != NULL); /* http.h */
    if (a != NULL && a->status == 401) {
        token_refused(c->w.token, c->used, NULL);
        if (!c->renewed && !c->canceled) {
            c->renewed = true;
            if (token_get(c->w.token, on_token, c, &c->ask, &mine) < 0)
                finish(c, NULL, &mine);
            return;
        }
    }
    if (a != NULL && a->status != 200) {
        (void)hunt_read_error(a->status, a->body, a->len, a->request_id, &mine);
        e = &mine;
    } else if (e == NULL && a != NULL && media_is_foreign(a, foreign)) {
        (void)err_set(&mine, ERR_INVALID, 0,
                      "Log Analytics: the answer is %s, not JSON: the page of a proxy, it seems",
                      foreign);
        e = &mine;
    } else if (e == NULL && a != NULL && json_parse(a->body, a->len, &lim, &j, &mine) < 0) {
        (void)err_wrap(&mine, "Log Analytics");
        e = &mine;
    }
    if (e != NULL)
        finish(c, NULL, e);
    else
        take(c, j, a->request_id);
}

static void on_canceled(void *arg)
{
    struct hunt_call *c = arg;
    struct err e;

    c->timer = NULL;
    (void)err_set(&e, ERR_CANCELED, 0, "Log Analytics: given up");
    finish(c, NULL, &e);
}

void hunt_cancel(struct hunt_call *c)
{
    if (c->canceled)
        return;
    c->canceled = true;
    if (c->graph != NULL) {
        graph_cancel(c->graph);
    } else if (c->http != NULL) {
        http_cancel(c->http);
    } else if (c->ask != NULL) {
        /* Without memory for it, it ends when the token is there. */
        c->timer = loop_timer_start(c->w.loop, 0, on_canceled, c);
        if (c->timer != NULL)
            token_ask_cancel(TAKE(c->ask));
    }
}
