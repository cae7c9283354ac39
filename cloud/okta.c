/* cloud/okta.c -- see okta.h. One request: a token, the sending, one new token after a 401.
 *
 *   okta_ask        asks for a token
 *   on_token        sends
 *   on_answer       401: a new token, once; else hands the answer on
 *
 * A change is sent once (HTTP_ONCE); a 401 is a clear no, so sending it with a new token is safe.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "cloud/field.h"
#include "cloud/okta_inside.h"

enum {
    TRY_MS = 20 * 1000,
    TRY_CHANGE_MS = 60 * 1000, /* deactivating works through the applications first */
    ALL_MS = 100 * 1000,       /* a rate limit is reset within a minute */
};

static void on_token(void *arg, const struct secret *authorization, const struct err *e);
static void on_answer(void *arg, const struct http_answer *a, const struct err *e);
static void on_timer(void *arg);

int okta_new(struct loop *l, struct http *h, struct token_source *token, const char *root,
             struct okta **ret_okta, struct err *e)
{
    CLEANUP(okta_freep) struct okta *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return err_set(e, ERR_NOMEM, 0, "Okta");
    o->loop = l;
    o->http = h;
    o->token = token;
    o->root = text_dup(root);
    if (o->root == NULL)
        return err_set(e, ERR_NOMEM, 0, "Okta");
    *ret_okta = TAKE(o);
    return 0;
}

void okta_free(struct okta *o)
{
    if (o == NULL)
        return;
    while (o->calls != NULL)
        okta_call_free(o->calls);
    free(o->root);
    free(o);
}

void okta_freep(struct okta **o)
{
    okta_free(*o);
}

uint64_t okta_answered(const struct okta *o)
{
    return o->answered;
}

/* --- a call ----------------------------------------------------------------------------------- */

int okta_call_new(struct okta *o, const char *id, struct okta_call **ret_call, struct err *e)
{
    struct okta_call *c;

    if (id != NULL && !okta_id_ok(id))
        return err_set(e, ERR_USAGE, 0, "Okta: not the id of a user");
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return err_set(e, ERR_NOMEM, 0, "Okta");
    text_init(&c->url, OKTA_URL_MAX);
    c->o = o;
    field_copy(c->id, sizeof(c->id), id);
    c->next = o->calls;
    if (c->next != NULL)
        c->next->prev = c;
    o->calls = c;
    *ret_call = c;
    return 0;
}

void okta_call_detach(struct okta_call *c)
{
    if (c->o == NULL)
        return;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        c->o->calls = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    c->o = NULL;
}

void okta_call_free(struct okta_call *c)
{
    if (c == NULL)
        return;
    okta_call_detach(c);
    loop_timer_stop(&c->timer);
    if (c->ask != NULL)
        token_ask_cancel(c->ask);
    http_abandon(c->http);
    secret_free(c->used);
    text_done(&c->url);
    pages_done(&c->pages);
    free(c->typed);
    free(c);
}

void okta_call_freep(struct okta_call **c)
{
    okta_call_free(*c);
}

static void tell_canceled(struct okta_call *c)
{
    struct err e;

    (void)err_set(&e, ERR_CANCELED, 0, "Okta: given up");
    c->then(c, NULL, &e);
}

void okta_cancel(struct okta_call *c)
{
    struct loop_timer *t;

    if (c->canceled)
        return;
    c->canceled = true;
    if (c->http != NULL) {
        http_cancel(c->http);
        return;
    }
    /* Waiting for a token, or for time to pass. Without memory it ends when that is over. */
    t = loop_timer_start(c->o->loop, 0, on_timer, c);
    if (t == NULL)
        return;
    if (c->ask != NULL) {
        token_ask_cancel(c->ask);
        c->ask = NULL;
        c->on_timer = tell_canceled;
    }
    loop_timer_stop(&c->timer);
    c->timer = t;
}

/* --- a request -------------------------------------------------------------------------------- */

void okta_url(struct okta_call *c, const char *path, const char *id, const char *rest)
{
    text_clear(&c->url);
    text_add(&c->url, c->o->root);
    text_add(&c->url, path);
    if (id != NULL)
        http_escape(&c->url, id, strlen(id));
    if (rest != NULL)
        text_add(&c->url, rest);
}

static int ask_token(struct okta_call *c, struct err *e)
{
    return token_get(c->o->token, on_token, c, &c->ask, e);
}

int okta_ask(struct okta_call *c, const char *method, bool changes, okta_then then, struct err *e)
{
    if (text_check(&c->url, "Okta", e) < 0)
        return -1;
    assert(http_same_root(c->url.s, c->o->root));
    c->method = method;
    c->changes = changes;
    c->then = then;
    c->renewed = false;
    return ask_token(c, e);
}

void okta_ask_on(struct okta_call *c, const char *method, bool changes, okta_then then)
{
    struct err e;

    if (c->canceled)
        (void)err_set(&e, ERR_CANCELED, 0, "Okta: given up");
    else if (okta_ask(c, method, changes, then, &e) == 0)
        return;
    then(c, NULL, &e);
}

static int send(struct okta_call *c, const struct secret *authorization, struct err *e)
{
    static const struct http_header headers[] = {
        {"Accept", "application/json"},
        {"Content-Type", "application/json"},
    };
    struct http_ask ask = {
        .method = c->method,
        .url = c->url.s,
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .authorization = authorization,
        .repeat = c->changes ? HTTP_ONCE : HTTP_SAFELY,
        .max_answer = OKTA_ANSWER_MAX,
        .try_ms = c->changes ? TRY_CHANGE_MS : TRY_MS,
        .all_ms = c->all_ms != 0 ? c->all_ms : ALL_MS,
    };

    if (http_start(c->o->http, &ask, on_answer, c, &c->http, e) < 0)
        return -1;
    (void)failpoint_hit("cloud-send");
    return 0;
}

static void on_token(void *arg, const struct secret *authorization, const struct err *e)
{
    struct okta_call *c = arg;
    struct err mine;

    c->ask = NULL;
    if (e == NULL && c->canceled) {
        (void)err_set(&mine, ERR_CANCELED, 0, "Okta: given up");
        e = &mine;
    }
    if (e == NULL &&
        (secret_keep(&c->used, authorization, &mine) < 0 || send(c, authorization, &mine) < 0))
        e = &mine;
    if (e != NULL)
        c->then(c, NULL, e);
}

static void on_answer(void *arg, const struct http_answer *a, const struct err *e)
{
    struct okta_call *c = arg;
    struct err mine;

    c->http = NULL;
    (void)failpoint_hit("cloud-answer");
    if (a != NULL && a->status / 100 == 2)
        c->o->answered = loop_now(c->o->loop);
    if (a != NULL && a->date_ms != 0)
        c->date_ms = a->date_ms;
    if (a != NULL && a->status == 401 && c->used != NULL)
        token_refused(c->o->token, c->used, NULL);
    if (a != NULL && a->status == 401 && !c->renewed && !a->unclear && !c->canceled) {
        c->renewed = true;
        if (ask_token(c, &mine) == 0)
            return;
        c->then(c, NULL, &mine);
        return;
    }
    c->then(c, a, e);
}

/* --- waiting ---------------------------------------------------------------------------------- */

void okta_wait(struct okta_call *c, uint64_t ms, void (*then)(struct okta_call *c))
{
    c->on_timer = then;
    c->timer = loop_timer_start(c->o->loop, c->canceled ? 0 : ms, on_timer, c);
    if (c->timer == NULL)
        then(c);
}

static void on_timer(void *arg)
{
    struct okta_call *c = arg;

    c->timer = NULL;
    c->on_timer(c);
}
