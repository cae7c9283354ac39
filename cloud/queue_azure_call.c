/* cloud/queue_azure_call.c -- one request to the queue service: who we are, send, what it means.
 *
 *   azure_ask    sign it, or put the SAS behind it, or get a token (on_token)
 *   send_it      one try: what to do about its end is known further up
 *   on_answer    401 with a token: once more with a new one. Else azure_outcome
 */
#include "cloud/queue_azure_call.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/stamp.h"
#include "base/xml.h"

enum {
    URL_MAX = 16 * 1024,
    BODY_MAX = 4 * AZURE_TEXT_MAX,
    TRY_MS = 20 * 1000,
    TRY_MIN_MS = 2 * 1000,
};

static void on_token(void *arg, const struct secret *authorization, const struct err *e);
static void on_answer(void *arg, const struct http_answer *a, const struct err *e);

void azure_call_init(struct azure_call *c, struct azure *a)
{
    c->a = a;
    text_init(&c->url, URL_MAX);
    text_init(&c->body, BODY_MAX);
}

void azure_call_done(struct queue_call *call)
{
    struct azure_call *c = (struct azure_call *)call;

    if (c->ask != NULL)
        token_ask_cancel(c->ask);
    http_abandon(c->http);
    secret_free(c->used);
    text_wipe(&c->url);
    text_done(&c->body);
}

void azure_url(struct azure_call *c, bool dead, const char *rest)
{
    text_wipe(&c->url); /* there may be a SAS in it */
    c->to_dead = dead;
    text_add(&c->url, dead ? c->a->dead : c->a->queue);
    text_add(&c->url, rest);
}

/* --- sending --------------------------------------------------------------------------------- */

/* What hangs must leave time: for another renewal, or to work on what was received. Where the
 * lease is over already nothing is gained by haste. */
static uint64_t patience(const struct azure_call *c)
{
    uint64_t ms = TRY_MS, now = loop_now(c->a->q.loop);

    if (c->c.verb == QUEUE_RECEIVE)
        ms = c->c.ms / 2;
    else if (c->c.verb == QUEUE_RENEW && c->c.held->m.ends > now)
        ms = (c->c.held->m.ends - now) / 2;

    return ms > TRY_MS ? TRY_MS : ms < TRY_MIN_MS ? TRY_MIN_MS : ms;
}

static int send_it(struct azure_call *c, const struct secret *authorization, struct err *e)
{
    CLEANUP(secret_freep) struct secret *signature = NULL;
    char date[AZURE_DATE], id[QUEUE_AGENT_MAX + 1 + ID_UUID], uuid[ID_UUID];
    struct http_header headers[] = {
        {"x-ms-version", AZURE_VERSION},
        {"x-ms-date", date},
        {"x-ms-client-request-id", id},
        {"Content-Type", "application/xml"}, /* the last: only with a body */
    };
    const struct azure_request r = {
        .method = c->method,
        .url = c->url.s,
        .headers = headers,
        .header_count = ARRAY_LEN(headers) - (c->body.len == 0),
        .body_len = c->body.len,
    };
    struct http_ask ask = {
        .method = r.method,
        .url = r.url,
        .headers = headers,
        .header_count = r.header_count,
        .authorization = authorization,
        .body = c->body.s,
        .body_len = c->body.len,
        /* A renewal or a put that may have happened is not sent again behind our back. */
        .repeat = strcmp(c->method, "PUT") == 0 || strcmp(c->method, "POST") == 0 ? HTTP_ONCE
                                                                                  : HTTP_SAFELY,
        .flags = HTTP_ONE_TRY | c->a->flags,
        .max_answer = XML_MAX_BYTES,
        .try_ms = patience(c),
    };

    if (id_uuid(uuid, e) < 0)
        return -1;
    (void)snprintf(id, sizeof(id), "%s.%s", c->a->agent, uuid);
    azure_date(stamp_now_ms(), date);
    if (c->a->auth == AZURE_KEY) {
        if (azure_shared_key(&r, c->a->account, c->a->key, &signature, e) < 0)
            return -1;
        ask.authorization = signature;
    }
    return http_start(c->a->http, &ask, on_answer, c, &c->http, e);
}

int azure_again(struct azure_call *c, struct err *e)
{
    if (c->a->auth == AZURE_TOKEN)
        return token_get(c->a->token, on_token, c, &c->ask, e);
    return send_it(c, NULL, e);
}

int azure_ask(struct azure_call *c, const char *method, long want, azure_then then, struct err *e)
{
    if (c->a->auth == AZURE_SAS) {
        struct secret *sas = c->to_dead && c->a->dead_sas != NULL ? c->a->dead_sas : c->a->sas;

        text_addc(&c->url, strchr(c->url.s, '?') != NULL ? '&' : '?');
        text_addn(&c->url, secret_bytes(sas), secret_len(sas));
    }
    if (text_check(&c->url, "Azure", e) < 0 || text_check(&c->body, "Azure", e) < 0)
        return -1;
    c->method = method;
    c->want = want;
    c->then = then;
    c->token_anew = false;
    return azure_again(c, e);
}

static void on_token(void *arg, const struct secret *authorization, const struct err *e)
{
    struct azure_call *c = arg;
    struct err mine;

    c->ask = NULL;
    if (e == NULL &&
        (secret_keep(&c->used, authorization, &mine) < 0 || send_it(c, authorization, &mine) < 0))
        e = &mine;
    if (e != NULL)
        c->then(c, NULL, queue_end_of(e), e);
}

/* --- the answer ------------------------------------------------------------------------------ */

static void on_answer(void *arg, const struct http_answer *a, const struct err *e)
{
    struct azure_call *c = arg;
    char of_body[128] = "";
    struct azure_answer said;
    const char *code;
    struct err mine;
    enum queue_end end;

    c->http = NULL;
    if (a == NULL) {
        c->then(c, NULL, queue_end_of(e), e);
        return;
    }
    if (a->status == 401 && c->used != NULL) {
        token_refused(c->a->token, c->used, NULL);
        if (!c->token_anew) {
            c->token_anew = true;
            if (azure_again(c, &mine) == 0)
                return;
            c->then(c, NULL, queue_end_of(&mine), &mine);
            return;
        }
    }
    code = http_header_get(a, "x-ms-error-code", 0);
    if (code == NULL && a->status != c->want)
        azure_error_code(a->body, a->len, of_body, sizeof(of_body));
    said = (struct azure_answer){.status = a->status,
                                 .code = code != NULL ? code : of_body,
                                 .request_id = a->request_id,
                                 .date_ms = a->date_ms};
    end = azure_outcome(&said, c->want, c->a->auth, stamp_now_ms(), &mine);
    c->then(c, a, end, end == QUEUE_OK ? NULL : &mine);
}
