/* base/http.c -- calls and their tries, and curl's multi handle on our loop. See http.h.
 *
 *   http_start      check, copy, first try
 *   try_now         into curl's hands, with a deadline       HTTP_RUNNING
 *   on_over         curl is done with it: sort how it ended  (http_turned)
 *   on_timer        the try's deadline, the wait's end, or the end that was asked for
 *   judge           once more, after a wait (HTTP_WAITING), or the end
 *   finish          the one way out: callback, memory
 *
 * Invariants: a call is in h->calls until finish takes it out, so each callback is made once; it is
 * in curl's hands exactly while HTTP_RUNNING; it always has a timer, but for the moment in which
 * that fires. No callback of the caller's is made while curl is on the stack. A callback may start,
 * cancel and free what it likes: `h` itself stays until the last of our own functions has left.
 *
 * curl's own time-out is not used, since what waits for a connection it does not time; ours counts
 * from the moment a try begins.
 */
#include "base/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/http_inside.h"
#include "base/id.h"
#include "base/log.h"

enum {
    CONNECT_MS = 10000,
    TRY_MS = 30000,
    ALL_MS = 60000,
    WAIT_MS = 1000,
    TRIES = 6,
    CONNECTIONS = 8,
    ANSWER_MAX = 4 * 1024 * 1024,
};

static void on_timer(void *arg);
static void on_over(struct http_call *c, CURLcode rc);
static void judge(struct http_call *c, struct http_verdict *v, CURLcode rc);
static void finish(struct http_call *c, const struct http_answer *a, const struct err *e);
static void multi_broken(struct http *h, CURLMcode rc);

/* --- being below our own callbacks ----------------------------------------------------------- */

static void enter(struct http *h)
{
    h->busy++;
}

/* May free `h`. */
static void leave(struct http *h)
{
    h->busy--;
    if (h->freed && h->busy == 0)
        free(h);
}

/* --- life ------------------------------------------------------------------------------------ */

static void call_free(struct http_call *c)
{
    if (c->next != NULL)
        c->next->prev = c->prev;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else if (c->h->calls == c)
        c->h->calls = c->next;
    loop_timer_stop(&c->timer);
    curl_easy_cleanup(c->easy);
    http_slist_free(c->headers);
    http_got_done(&c->got);
    if (c->body != NULL && (c->flags & HTTP_SECRET) != 0)
        explicit_bzero(c->body, c->body_len);
    free(c->body);
    free(c->method);
    free(c->url);
    free(c->id_header);
    free(c);
}

static void call_freep(struct http_call **c)
{
    if (*c != NULL)
        call_free(*c);
}

void http_free(struct http *h)
{
    if (h == NULL || h->freed)
        return;
    while (h->calls != NULL) {
        if (h->calls->state == HTTP_RUNNING)
            (void)curl_multi_remove_handle(h->multi, h->calls->easy);
        call_free(h->calls);
    }
    if (h->multi != NULL)
        http_multi_free(h);
    free(h->ca_file);
    free(h->client_cert);
    free(h->proxy);
    free(h->no_proxy);
    free(h->user_agent);
    http_slist_free(h->proxy_headers);
    h->freed = true;
    if (h->busy == 0)
        free(h);
}

void http_freep(struct http **h)
{
    http_free(*h);
}

static int take_settings(struct http *h, const struct http_settings *s, struct err *e)
{
    const char *agent = s->user_agent != NULL ? s->user_agent : "cordon/" CORDON_VERSION;

    h->connect_ms = s->connect_ms != 0 ? s->connect_ms : CONNECT_MS;
    h->connections = s->one_connection ? 1 : s->connections != 0 ? s->connections : CONNECTIONS;
    h->one_connection = s->one_connection;
    h->client_cert = text_dup(s->client_cert);
    h->ca_file = text_dup(s->ca_file);
    h->proxy = text_dup(s->proxy);
    h->no_proxy = text_dup(s->no_proxy);
    h->user_agent = text_dup(agent);
    if ((s->ca_file != NULL && h->ca_file == NULL) ||
        (s->client_cert != NULL && h->client_cert == NULL) ||
        (s->proxy != NULL && h->proxy == NULL) || (s->no_proxy != NULL && h->no_proxy == NULL) ||
        h->user_agent == NULL)
        return err_set(e, ERR_NOMEM, 0, "http");
    if (h->ca_file != NULL && access(h->ca_file, R_OK) < 0)
        return err_set(e, ERR_CONFIG, 0, "http: the authorities' file cannot be read");
    if (h->proxy != NULL && http_check_proxy(h->proxy, e) < 0)
        return err_wrap(e, "http");
    if (s->proxy_login != NULL)
        return http_slist_add_login(&h->proxy_headers, s->proxy_login, e);
    return 0;
}

int http_new(struct loop *l, const struct http_settings *s, struct http **ret_http, struct err *e)
{
    static bool ready; /* once in a process; the loop's thread only */
    CLEANUP(http_freep) struct http *h = NULL;

    if (!ready && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(e, ERR_INTERNAL, 0, "http: curl does not start");
    ready = true;
    h = calloc(1, sizeof(*h));
    if (h == NULL)
        return err_set(e, ERR_NOMEM, 0, "http");
    h->loop = l;
    if (take_settings(h, s, e) < 0)
        return -1;
    h->multi = http_multi_make(h);
    if (h->multi == NULL)
        return err_set(e, ERR_NOMEM, 0, "http");
    *ret_http = TAKE(h);
    return 0;
}

void http_hang_up(struct http *h)
{
    if (h->multi != NULL)
        http_multi_free(h); /* the next try makes a new one */
    h->has_peer = false;
}

uint64_t http_requests_sent(const struct http *h)
{
    return h->sent;
}

/* --- the tries ------------------------------------------------------------------------------- */

/* The loop's cached time is behind after a long turn; a deadline counts from now. */
static uint64_t now_ms(const struct http *h)
{
    return loop_now_us(h->loop) / 1000;
}

static uint64_t left_ms(const struct http_call *c)
{
    uint64_t now = now_ms(c->h);

    return now < c->ends ? c->ends - now : 0;
}

/* The new timer first: where there is no memory for it, the old one stays. False: there is none. */
static bool set_timer(struct http_call *c, uint64_t ms)
{
    struct loop_timer *t = loop_timer_start(c->h->loop, ms, on_timer, c);

    if (t != NULL) {
        loop_timer_stop(&c->timer);
        c->timer = t;
    }
    return c->timer != NULL;
}

static int try_now(struct http_call *c, struct err *e)
{
    uint64_t ms = left_ms(c) < c->try_ms ? left_ms(c) : c->try_ms;
    CURLMcode rc;

    if (c->h->multi == NULL && (c->h->multi = http_multi_make(c->h)) == NULL)
        return err_set(e, ERR_NOMEM, 0, "http");
    if (http_easy_again(c, e) < 0)
        return -1;
    if (!set_timer(c, ms))
        return err_set(e, ERR_NOMEM, 0, "http");
    c->began_us = loop_now_us(c->h->loop);
    rc = curl_multi_add_handle(c->h->multi, c->easy);
    if (rc != CURLM_OK) {
        (void)curl_multi_remove_handle(c->h->multi, c->easy);
        multi_broken(c->h, rc);
        return err_set(e, rc == CURLM_OUT_OF_MEMORY ? ERR_NOMEM : ERR_INTERNAL, (int)rc, "http: %s",
                       curl_multi_strerror(rc));
    }
    c->state = HTTP_RUNNING;
    c->tries++;
    return 0;
}

static int copy_ask(struct http_call *c, const struct http_ask *ask, struct err *e)
{
    c->repeat = ask->repeat;
    c->flags = ask->flags;
    c->only_asks = strcmp(ask->method, "GET") == 0 || (ask->flags & HTTP_READS) != 0;
    c->try_ms = ask->try_ms != 0 ? ask->try_ms : TRY_MS;
    c->wait_ms = ask->wait_ms != 0 ? ask->wait_ms : WAIT_MS;
    c->tries_max = (ask->flags & HTTP_ONE_TRY) != 0 ? 1 : ask->tries != 0 ? ask->tries : TRIES;
    c->ends = now_ms(c->h) + (ask->all_ms != 0 ? ask->all_ms : ALL_MS);
    c->method = text_dup(ask->method);
    c->url = text_dup(ask->url);
    c->id_header = text_dup(ask->id_header);
    if (ask->body_len > 0 && (c->body = malloc(ask->body_len)) != NULL) {
        memcpy(c->body, ask->body, ask->body_len);
        c->body_len = ask->body_len;
    }
    if (c->method == NULL || c->url == NULL || (ask->id_header != NULL && c->id_header == NULL) ||
        c->body_len != ask->body_len)
        return err_set(e, ERR_NOMEM, 0, "http");
    return 0;
}

int http_start(struct http *h, const struct http_ask *ask, http_cb cb, void *arg,
               struct http_call **ret_call, struct err *e)
{
    CLEANUP(call_freep) struct http_call *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return err_set(e, ERR_NOMEM, 0, "http");
    c->h = h;
    c->cb = cb;
    c->arg = arg;
    http_got_init(&c->got, ask->max_answer != 0 ? ask->max_answer : ANSWER_MAX,
                  (ask->flags & HTTP_SECRET) != 0);
    if (copy_ask(c, ask, e) < 0 || http_easy_make(c, ask, e) < 0 || try_now(c, e) < 0)
        return -1;
    c->next = h->calls;
    if (c->next != NULL)
        c->next->prev = c;
    h->calls = c;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c); /* the loop holds it now; finish frees it */
    return 0;
}

/* --- how a try ended ------------------------------------------------------------------------- */

/* curl's codes that mean: the connection died under a request. The rest of those that come after
 * sending are answers we cannot read. */
static bool is_cut(CURLcode rc)
{
    switch (rc) {
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR: /* an alert after the handshake (TLS 1.3) */
        return true;
    default:
        return false;
    }
}

/* The proxy's clear no to us; 0: none. */
static long refused_by_proxy(const struct http_call *c)
{
    long said = 0;

    (void)curl_easy_getinfo(c->easy, CURLINFO_HTTP_CONNECTCODE, &said);
    return said == 401 || said == 403 || said == 407 ? said : 0;
}

/* Nothing was sent, and the next try will end the same way. */
static bool is_hopeless(const struct http_call *c, CURLcode rc)
{
    return rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE ||
           rc == CURLE_SSL_ISSUER_ERROR || rc == CURLE_URL_MALFORMAT ||
           rc == CURLE_SSL_CERTPROBLEM || rc == CURLE_UNSUPPORTED_PROTOCOL ||
           refused_by_proxy(c) != 0;
}

static enum http_end end_of(const struct http_call *c, CURLcode rc)
{
    /* To curl a head that ends in its midst is an answer without a body. */
    if (rc == CURLE_OK)
        return c->got.head_done ? HTTP_END_ANSWER : HTTP_END_CUT;
    if (c->got.too_big || rc == CURLE_FILESIZE_EXCEEDED)
        return HTTP_END_TOOBIG;
    if (!http_easy_sent(c))
        return is_hopeless(c, rc) ? HTTP_END_NEVER : HTTP_END_UNSENT;
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return HTTP_END_TIMEOUT;
    return c->resend_stopped || is_cut(rc) ? HTTP_END_CUT : HTTP_END_INVALID;
}

/* What a person reads: cause, ids, tries. Nothing of headers, body or query. */
static void explain(const struct http_call *c, const struct http_verdict *v, CURLcode rc,
                    const char *request_id, struct err *e)
{
    static const char *const words[] = {
        [HTTP_END_UNSENT] = "nothing was sent",
        [HTTP_END_NEVER] = "nothing was sent",
        [HTTP_END_CUT] = "cut before the whole answer came",
        [HTTP_END_TIMEOUT] = "no answer in time",
        [HTTP_END_INVALID] = "the answer cannot be read",
        [HTTP_END_TOOBIG] = "the answer is too big",
    };
    char shown[TEXT_SHOWN];
    enum err_code code = ERR_UNPROVEN;
    long proxy = v->end == HTTP_END_NEVER ? refused_by_proxy(c) : 0;
    const char *cause = proxy == 407 ? "407: the proxy wants a login, or another one"
                        : proxy != 0 ? "the proxy says that this is not allowed"
                        : rc == CURLE_OPERATION_TIMEDOUT      ? "time-out"
                        : c->resend_stopped || rc == CURLE_OK ? "the connection ended"
                        : c->got.many_headers                 ? "headers"
                        : c->curl_said[0] != '\0'             ? c->curl_said
                                                              : curl_easy_strerror(rc);

    if (c->got.no_memory || rc == CURLE_OUT_OF_MEMORY)
        code = c->unclear ? ERR_UNPROVEN : ERR_NOMEM;
    else if (v->end == HTTP_END_UNSENT || v->end == HTTP_END_NEVER)
        code = c->unclear ? ERR_UNPROVEN : ERR_UNSENT;
    else if (c->only_asks)
        code = v->end == HTTP_END_TOOBIG    ? ERR_TOOBIG
               : v->end == HTTP_END_INVALID ? ERR_INVALID
                                            : ERR_TIMEOUT;
    err_set_text(
        e, code, proxy != 0 ? (int)proxy : (int)rc, "%s: %s: %s: %s%s (%u %s%s%s%s%s)",
        c->target.host, c->method, words[v->end], text_shown(shown, cause),
        code == ERR_UNPROVEN && v->end <= HTTP_END_NEVER ? "; an earlier try may have acted" : "",
        c->tries, c->tries == 1 ? "try" : "tries", c->id[0] != '\0' ? ", " : "", c->id,
        request_id[0] != '\0' ? ", request-id " : "", request_id);
}

static void log_try(const struct http_call *c, const struct http_verdict *v, CURLcode rc,
                    const char *request_id)
{
    char path[TEXT_SHOWN], ended[48];
    uint64_t ms = (loop_now_us(c->h->loop) - c->began_us) / 1000;

    if (v->end == HTTP_END_ANSWER)
        (void)snprintf(ended, sizeof(ended), "status=%ld", v->status);
    else
        (void)snprintf(ended, sizeof(ended), "curl=%d", (int)rc);
    log_debug("http method=%s host=%s path=%s %s ms=%llu try=%u id=%s request-id=%s", c->method,
              c->target.host, text_shownn(path, c->target.path, c->target.path_len), ended,
              (unsigned long long)ms, c->tries, c->id, request_id);
}

/* A try is over; curl has given the handle back. */
static void on_over(struct http_call *c, CURLcode rc)
{
    struct http_verdict v = {.only_asks = c->only_asks, .repeat = c->repeat, .flags = c->flags};

    (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &v.status);
    v.end = end_of(c, rc);
    judge(c, &v, rc);
}

/* Once more, or the end. May free `c` and what belongs to it. */
static void judge(struct http_call *c, struct http_verdict *v, CURLcode rc)
{
    char request_id[HTTP_ID_MAX];
    bool acted_before = c->unclear;
    uint32_t random = 0;
    struct err e = ERR_NONE;
    int64_t date;
    uint64_t wait;

    http_got_read(&c->got, v->status, &date, request_id, &v->named, &v->named_ms);
    log_try(c, v, rc, request_id);
    c->unclear = c->unclear || http_may_have_acted(v);
    (void)id_random(&random, sizeof(random), &e); /* without it: no jitter */
    wait = http_wait_ms(v, c->wait_ms, c->tries + 1, random);
    if (c->tries < c->tries_max && http_may_repeat(v) && !c->got.no_memory &&
        rc != CURLE_OUT_OF_MEMORY && wait < left_ms(c)) {
        c->state = HTTP_WAITING;
        if (set_timer(c, wait))
            return;
        err_set_text(&e, c->unclear ? ERR_UNPROVEN : ERR_NOMEM, 0, "%s: out of memory",
                     c->target.host);
        finish(c, NULL, &e);
    } else if (v->end == HTTP_END_ANSWER) {
        unsigned connected = http_easy_connected(c); /* sets the peer */

        finish(c,
               &(struct http_answer){
                   .status = v->status,
                   .body = c->got.body != NULL ? c->got.body : "",
                   .len = c->got.len,
                   .client_request_id = c->id,
                   .request_id = request_id,
                   .retry_after_ms = v->named_ms,
                   .date_ms = date,
                   .tries = c->tries,
                   .unclear = acted_before,
                   .new_connections = connected,
                   .peer = c->h->has_peer && c->target.tls ? &c->h->peer : NULL,
                   .headers_ = &c->got,
               },
               NULL);
    } else {
        explain(c, v, rc, request_id, &e);
        finish(c, NULL, &e);
    }
}

/* The one way out. May free `c->h`, if the callback does. */
static void finish(struct http_call *c, const struct http_answer *a, const struct err *e)
{
    struct http *h = c->h;

    /* Out of the list first: an http_free in the callback must not free what we still hold. */
    if (c->next != NULL)
        c->next->prev = c->prev;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        h->calls = c->next;
    c->next = c->prev = NULL;
    enter(h);
    c->cb(c->arg, a, e);
    call_free(c);
    leave(h);
}

/* Takes it out of curl's hands and sorts that as an end by `rc`. */
static struct http_verdict stop_try(struct http_call *c, CURLcode rc)
{
    struct http_verdict v = {.only_asks = c->only_asks, .repeat = c->repeat, .flags = c->flags};

    (void)curl_multi_remove_handle(c->h->multi, c->easy);
    v.end = end_of(c, rc);
    return v;
}

static void on_timer(void *arg)
{
    struct http_call *c = arg;
    struct http *h = c->h;
    struct http_verdict v;
    struct err e = ERR_NONE;

    c->timer = NULL;
    enter(h);
    switch (c->state) {
    case HTTP_RUNNING:
        v = stop_try(c, CURLE_OPERATION_TIMEDOUT);
        judge(c, &v, CURLE_OPERATION_TIMEDOUT);
        break;
    case HTTP_WAITING:
        if (try_now(c, &e) == 0)
            break;
        if (c->unclear)
            e.code = ERR_UNPROVEN;
        finish(c, NULL, &e);
        break;
    case HTTP_ENDING:
        e = c->why;
        finish(c, NULL, &e);
        break;
    }
    leave(h);
}

void http_cancel(struct http_call *c)
{
    if (c->state == HTTP_ENDING)
        return;
    if (c->state == HTTP_RUNNING) {
        struct http_verdict v = stop_try(c, CURLE_OPERATION_TIMEDOUT);

        c->unclear = c->unclear || http_may_have_acted(&v);
    }
    c->state = HTTP_ENDING;
    err_set_text(&c->why, c->unclear ? ERR_UNPROVEN : ERR_CANCELED, 0, "%s: %s: canceled%s",
                 c->target.host, c->method, c->unclear ? " after it was sent" : "");
    /* Without memory for a new timer the old one ends it: later, but surely. */
    (void)set_timer(c, 0);
}

void http_abandon(struct http_call *c)
{
    if (c == NULL)
        return;
    if (c->state == HTTP_RUNNING)
        (void)stop_try(c, CURLE_OPERATION_TIMEDOUT);
    call_free(c);
}

/* curl has given up as a whole: we had no memory to watch a socket, or it had none. All that is
 * under way will end, from its timer, as if its connection had been cut; what comes next finds a
 * multi handle that is new. Makes no callback. */
static void multi_broken(struct http *h, CURLMcode rc)
{
    for (struct http_call *c = h->calls; c != NULL; c = c->next) {
        struct http_verdict v;

        if (c->state != HTTP_RUNNING)
            continue;
        v = stop_try(c, CURLE_OUT_OF_MEMORY);
        c->unclear = c->unclear || http_may_have_acted(&v);
        c->state = HTTP_ENDING;
        err_set_text(&c->why, c->unclear ? ERR_UNPROVEN : ERR_NOMEM, (int)rc, "%s: %s: %s",
                     c->target.host, c->method, curl_multi_strerror(rc));
        (void)set_timer(c, 0); /* else the old one ends it */
    }
    http_multi_free(h);
    h->multi = http_multi_make(h);
    if (h->multi == NULL)
        log_debug("http: out of memory");
}

/* curl has had its turn. Callbacks may free anything, `h` too. */
void http_turned(struct http *h, CURLMcode how)
{
    CURLMsg *m;
    int left;

    if (how != CURLM_OK) {
        multi_broken(h, how);
        return;
    }
    enter(h);
    while (!h->freed && (m = curl_multi_info_read(h->multi, &left)) != NULL) {
        struct http_call *c = NULL;
        CURLcode rc = m->data.result;
        CURL *easy = m->easy_handle; /* `m` is gone with the handle */

        if (m->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &c);
        (void)curl_multi_remove_handle(h->multi, easy);
        on_over(c, rc);
    }
    leave(h);
}

/* --- answers --------------------------------------------------------------------------------- */

const char *http_header_get(const struct http_answer *a, const char *name, size_t nth)
{
    return http_got_field(a->headers_, name, nth);
}
