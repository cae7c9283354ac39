/* cloud/defender.c -- see defender.h. One request: its turn, a token, the sending, more tries.
 *
 *   defender_ask   asks for a token
 *   on_token       waits for a place in the lane, then sends
 *   on_answer      401: a new token, once. 429: the lane rests as told. A question that went
 *                  unanswered: again. Else decodes and hands on
 *
 * Every try takes a place of its own, so that the service's limits hold for tries, too; what may
 * have acted is never tried again here (base/http is told to try once).
 */
#include "cloud/defender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "cloud/defender_inside.h"
#include "cloud/field.h"
#include "cloud/media.h"

enum {
    TRY_MS = 20 * 1000,
    ALL_MS = 60 * 1000,
    TRIES = 4,
    AGAIN_MS = 2000,     /* before the second try; doubled */
    REST_MS = 15 * 1000, /* after a 429 that names no time */
    WAIT_MS = 10 * 1000,
    MINUTE = 60 * 1000,
    HOUR = 60 * MINUTE,
    STARTS_A_MINUTE = 10, /* defender-endpoint.md 3 */
    CALLS_A_MINUTE = 100,
    CALLS_AN_HOUR = 1500,
};

static void on_token(void *arg, const struct secret *authorization, const struct err *e);
static void on_answer(void *arg, const struct http_answer *a, const struct err *e);
static void on_timer(void *arg);

/* --- the service ------------------------------------------------------------------------------ */

static bool limit_init(struct defender_limit *m, size_t most, uint64_t span_ms)
{
    m->times = calloc(most, sizeof(*m->times));
    m->most = most;
    m->span_ms = span_ms;
    return m->times != NULL;
}

static int copy_hosts(struct defender *d, const struct defender_settings *s, struct err *e)
{
    if (s->result_host_count == 0)
        return 0;
    d->hosts = calloc(s->result_host_count, sizeof(*d->hosts));
    if (d->hosts == NULL)
        return err_set(e, ERR_NOMEM, 0, "Defender");
    for (; d->host_count < s->result_host_count; d->host_count++) {
        d->hosts[d->host_count] = text_dup(s->result_hosts[d->host_count]);
        if (d->hosts[d->host_count] == NULL)
            return err_set(e, ERR_NOMEM, 0, "Defender");
    }
    return 0;
}

int defender_new(struct loop *l, struct http *http, struct token_source *token,
                 const struct defender_settings *s, struct defender **ret_defender, struct err *e)
{
    CLEANUP(defender_freep) struct defender *d = NULL;

    if (http_check_root(s->url, /* plain_local */ false, e) < 0)
        return err_wrap(e, "Defender");
    if (!defender_script_name_ok(s->script))
        return err_set(e, ERR_CONFIG, 0,
                       "Defender: the script's name may have letters, digits, '-', '_' and '.' "
                       "only, and ends in .ps1");
    d = calloc(1, sizeof(*d));
    if (d == NULL)
        return err_set(e, ERR_NOMEM, 0, "Defender");
    d->loop = l;
    d->http = http;
    d->token = token;
    d->root = text_dup(s->url);
    d->script = text_dup(s->script);
    if (d->root == NULL || d->script == NULL || !limit_init(&d->starts, STARTS_A_MINUTE, MINUTE) ||
        !limit_init(&d->minute, CALLS_A_MINUTE, MINUTE) ||
        !limit_init(&d->hour, CALLS_AN_HOUR, HOUR))
        return err_set(e, ERR_NOMEM, 0, "Defender");
    if (copy_hosts(d, s, e) < 0)
        return -1;
    d->wait_ms = s->wait_ms != 0 ? s->wait_ms : WAIT_MS;
    d->has_sha256 = s->sha256 != NULL;
    if (d->has_sha256)
        memcpy(d->sha256, s->sha256, sizeof(d->sha256));
    *ret_defender = TAKE(d);
    return 0;
}

void defender_free(struct defender *d)
{
    if (d == NULL)
        return;
    while (d->calls != NULL)
        defender_call_free(d->calls);
    for (size_t i = 0; i < d->host_count; i++)
        free(d->hosts[i]);
    free(d->hosts);
    free(d->starts.times);
    free(d->minute.times);
    free(d->hour.times);
    free(d->root);
    free(d->script);
    free(d);
}

void defender_freep(struct defender **d)
{
    defender_free(*d);
    *d = NULL;
}

/* --- a call ----------------------------------------------------------------------------------- */

int defender_call_new(struct defender *d, enum defender_kind kind, void *arg,
                      struct defender_call **ret_call, struct err *e)
{
    struct defender_call *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return err_set(e, ERR_NOMEM, 0, "Defender");
    text_init(&c->url, DEFENDER_URL_MAX);
    text_init(&c->body, DEFENDER_BODY_MAX);
    c->d = d;
    c->kind = kind;
    c->arg = arg;
    c->next = d->calls;
    if (c->next != NULL)
        c->next->prev = c;
    d->calls = c;
    *ret_call = c;
    return 0;
}

void defender_call_detach(struct defender_call *c)
{
    if (c->d == NULL)
        return;
    defender_drop(c);
    loop_timer_stop(&c->deadline);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        c->d->calls = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    c->d = NULL;
}

void defender_call_free(struct defender_call *c)
{
    if (c == NULL)
        return;
    defender_call_detach(c);
    secret_free(c->used);
    text_wipe(&c->url); /* it may have been a result's link */
    text_done(&c->body);
    pages_done(&c->pages);
    free(c->seen);
    free(c->payload);
    free(c->comment);
    free(c);
}

void defender_call_freep(struct defender_call **c)
{
    defender_call_free(*c);
    *c = NULL;
}

void defender_abandon(struct defender_call *c)
{
    defender_call_free(c);
}

void defender_drop(struct defender_call *c)
{
    loop_timer_stop(&c->timer);
    if (c->ask != NULL)
        token_ask_cancel(c->ask);
    c->ask = NULL;
    http_abandon(c->http);
    c->http = NULL;
}

int defender_wait(struct defender_call *c, uint64_t ms, void (*then)(struct defender_call *c),
                  struct err *e)
{
    c->on_timer = then;
    c->timer = loop_timer_start(c->d->loop, ms, on_timer, c);
    return c->timer != NULL ? 0 : err_set(e, ERR_NOMEM, 0, "Defender");
}

static void on_timer(void *arg)
{
    struct defender_call *c = arg;

    c->timer = NULL;
    c->on_timer(c);
}

/* --- the limits ------------------------------------------------------------------------------- */

/* When may the next one go? */
static uint64_t limit_free_at(const struct defender_limit *m)
{
    return m->count < m->most ? 0 : m->times[m->at] + m->span_ms;
}

static void limit_take(struct defender_limit *m, uint64_t at)
{
    m->times[m->at] = at;
    m->at = (m->at + 1) % m->most;
    if (m->count < m->most)
        m->count++;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Takes the next place in the lane: how long it has to be waited for. */
static int take_place(struct defender_call *c, uint64_t *ret_ms, struct err *e)
{
    struct defender *d = c->d;
    enum defender_lane lane = c->r.lane;
    uint64_t now = loop_now(d->loop), at = later(now, d->not_before[lane]);

    if (lane == DEFENDER_LANE_STARTS)
        at = later(at, limit_free_at(&d->starts));
    else
        at = later(at, later(limit_free_at(&d->minute), limit_free_at(&d->hour)));
    if (at > c->ends) {
        c->why = DEFENDER_WHY_THROTTLED;
        return err_set(e, ERR_BUSY, 0,
                       "Defender: the service takes no more of this for now, and not in time");
    }
    if (lane == DEFENDER_LANE_STARTS) {
        limit_take(&d->starts, at);
    } else {
        limit_take(&d->minute, at);
        limit_take(&d->hour, at);
    }
    *ret_ms = at - now;
    return 0;
}

/* --- a request -------------------------------------------------------------------------------- */

void defender_url(struct defender_call *c, const char *path)
{
    text_clear(&c->url);
    text_add(&c->url, c->d->root);
    text_add(&c->url, path);
}

void defender_filter(struct defender_call *c, const char *filter)
{
    text_add(&c->url, "?$filter=");
    http_escape(&c->url, filter, strlen(filter));
}

static bool is_question(const struct defender_call *c)
{
    return strcmp(c->r.method, "GET") == 0;
}

static void fail(struct defender_call *c, const struct err *e)
{
    c->r.then(c, NULL, e);
}

static void ask_token(struct defender_call *c)
{
    struct err e;

    if (token_get(c->d->token, on_token, c, &c->ask, &e) < 0) {
        if (e.code == ERR_NOTFOUND) /* a file of ours, not what was asked for */
            e.code = ERR_AUTH;
        (void)err_wrap(&e, "Defender");
        fail(c, &e);
    }
}

static void send_now(struct defender_call *c);

void defender_ask(struct defender_call *c, const struct defender_request *r)
{
    struct err e;

    c->r = *r;
    c->tries = 0;
    c->renewed = c->placed = false;
    c->why = DEFENDER_WHY_NONE;
    c->ends = loop_now(c->d->loop) + (r->all_ms != 0 ? r->all_ms : ALL_MS);
    if (text_check(&c->url, "Defender", &e) < 0 || text_check(&c->body, "Defender", &e) < 0)
        fail(c, &e);
    else if (r->bare)
        send_now(c);
    else
        ask_token(c);
}

/* What the token says that it lacks need not be asked for. */
static int check_roles(struct defender_call *c, struct err *e)
{
    static const struct {
        unsigned need;
        const char *role, *or_role;
    } roles[] = {
        {DEFENDER_READS, "Machine.Read.All", "Machine.ReadWrite.All"},
        {DEFENDER_RUNS, "Machine.LiveResponse", NULL},
        {DEFENDER_LIBRARY, "Library.Manage", NULL},
    };
    const struct token_source *t = c->d->token;

    for (size_t i = 0; i < ARRAY_LEN(roles) && token_readable(t); i++) {
        if ((c->r.needs & roles[i].need) == 0 || token_has_role(t, roles[i].role) ||
            (roles[i].or_role != NULL && token_has_role(t, roles[i].or_role)))
            continue;
        c->why = DEFENDER_WHY_PERMISSION;
        return err_set(e, ERR_DENIED, 0,
                       "Defender: cordon's application lacks the permission %s: grant it in "
                       "WindowsDefenderATP, with admin consent",
                       roles[i].role);
    }
    return 0;
}

static void on_token(void *arg, const struct secret *authorization, const struct err *e)
{
    struct defender_call *c = arg;
    uint64_t ms = 0;
    struct err mine;

    c->ask = NULL;
    if (e != NULL) {
        mine = *e;
        if (mine.code == ERR_NOTFOUND)
            mine.code = ERR_AUTH;
        (void)err_wrap(&mine, "Defender");
        fail(c, &mine);
        return;
    }
    if (secret_keep(&c->used, authorization, &mine) < 0 || check_roles(c, &mine) < 0 ||
        (!c->placed && take_place(c, &ms, &mine) < 0)) {
        fail(c, &mine);
        return;
    }
    c->placed = true;
    if (ms == 0)
        send_now(c);
    else if (defender_wait(c, ms, ask_token, &mine) < 0) /* it may be another by then */
        fail(c, &mine);
}

static void send_now(struct defender_call *c)
{
    struct http_header headers[2] = {{"Accept", c->r.bare ? "*/*" : "application/json"}};
    struct http_ask ask = {
        .method = c->r.method,
        .url = c->url.s,
        .headers = headers,
        .header_count = 1,
        .authorization = c->r.bare ? NULL : c->used,
        .repeat = is_question(c) ? HTTP_SAFELY : HTTP_ONCE,
        .flags = HTTP_ONE_TRY,
        .max_answer = DEFENDER_ANSWER_MAX,
        .try_ms = c->r.try_ms != 0 ? c->r.try_ms : TRY_MS,
        .all_ms = c->r.try_ms != 0 ? c->r.try_ms : TRY_MS,
    };
    struct err e;

    if (c->r.type != NULL) {
        headers[ask.header_count++] = (struct http_header){"Content-Type", c->r.type};
        ask.body = c->body.s;
        ask.body_len = c->body.len;
    }
    c->placed = false; /* used up */
    c->tries++;
    if (http_start(c->d->http, &ask, on_answer, c, &c->http, &e) < 0) {
        fail(c, &e);
        return;
    }
    (void)failpoint_hit("cloud-send");
}

/* Once more after `ms`, where there is time for it. */
static bool again(struct defender_call *c, uint64_t ms)
{
    struct err e;

    return loop_now(c->d->loop) + ms <= c->ends &&
           defender_wait(c, ms, c->r.bare ? send_now : ask_token, &e) == 0;
}

static bool try_again(struct defender_call *c)
{
    return c->tries < TRIES && again(c, (uint64_t)AGAIN_MS << (c->tries - 1));
}

static void no_answer(struct defender_call *c, const struct err *e)
{
    bool harmless = is_question(c) || c->r.again;
    struct err mine = *e;

    if (e->code == ERR_UNSENT ||
        (harmless && (e->code == ERR_TIMEOUT || e->code == ERR_UNPROVEN))) {
        if (try_again(c))
            return;
    }
    /* Something was cut, junk or too big: what a change did is not known. */
    if (!is_question(c) &&
        (e->code == ERR_INVALID || e->code == ERR_TOOBIG || e->code == ERR_TIMEOUT))
        mine.code = ERR_UNPROVEN;
    (void)err_wrap(&mine, c->r.bare ? "Defender: the result" : "Defender");
    fail(c, &mine);
}

/* 429, or 503 with a time: nothing was done. The whole lane rests; a request of ours, too. */
static bool rest(struct defender_call *c, const struct http_answer *a)
{
    uint64_t ms = a->retry_after_ms != 0 ? a->retry_after_ms : REST_MS;

    if (c->r.bare || (a->status != 429 && !(a->status == 503 && a->retry_after_ms != 0)))
        return false;
    c->d->not_before[c->r.lane] = later(c->d->not_before[c->r.lane], loop_now(c->d->loop) + ms);
    return again(c, ms);
}

static void take_answer(struct defender_call *c, const struct http_answer *a)
{
    const struct json_limits lim = {
        .bytes = DEFENDER_ANSWER_MAX, .depth = 24, .members = 20000, .flags = JSON_FLOATS};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct defender_answer got = {.body = a->body, .len = a->len};
    bool fine = a->status >= 200 && a->status < 300;
    char foreign[MEDIA_NAME];
    bool is_foreign = !c->r.bare && media_is_foreign(a, foreign);
    enum err_code bad = is_question(c) ? ERR_INVALID : ERR_UNPROVEN;
    struct err e, why;

    if (!fine) {
        (void)defender_read_error(a->status, a->body, a->len, is_foreign ? foreign : NULL,
                                  c->request_id, !is_question(c), &c->why, &e);
        fail(c, &e);
    } else if (is_foreign) {
        (void)err_set(&e, bad, (int)a->status,
                      "Defender: the answer is %s, not JSON: the page of a proxy, it seems",
                      foreign);
        fail(c, &e);
    } else if (!c->r.bare && a->len > 0 && json_parse(a->body, a->len, &lim, &j, &why) < 0) {
        (void)err_set(&e, why.code == ERR_NOMEM && is_question(c) ? ERR_NOMEM : bad, (int)a->status,
                      "Defender: the answer (%ld) is no clean JSON: %.200s", a->status, why.msg);
        fail(c, &e);
    } else {
        got.json = j;
        c->r.then(c, &got, NULL);
    }
}

static void on_answer(void *arg, const struct http_answer *a, const struct err *e)
{
    struct defender_call *c = arg;

    c->http = NULL;
    (void)failpoint_hit("cloud-answer");
    if (e != NULL) {
        no_answer(c, e);
        return;
    }
    if (!c->r.bare)
        (void)field_shown(c->request_id, sizeof(c->request_id), a->request_id);
    if (a->status == 401 && !c->r.bare && c->used != NULL) {
        token_refused(c->d->token, c->used, NULL);
        if (!c->renewed) {
            c->renewed = true;
            ask_token(c);
            return;
        }
    }
    if (rest(c, a))
        return;
    if (a->status >= 500 && (is_question(c) || c->r.again) && try_again(c))
        return;
    take_answer(c, a);
}
