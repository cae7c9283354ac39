/* base/winrm.c -- calls in line, one at a time, each to one end. See winrm.h.
 *
 *   winrm_call_start   the envelope is written; into the line
 *   on_kick            the first in line: log in (winrm_login.c), or send at once
 *   winrm_logged_in    the line is up: send
 *   send_request       sealed over HTTP, plain within TLS
 *   on_answer          none: was it served? Else unseal and read it
 *   finish             the one way out: callback, memory, the next in line
 *
 * Invariants: the callback of a call is made from finish, once; a call in the list has a timer. A
 * request goes out on the connection that its context was made with, or not at all (http's
 * HTTP_SAME_CONNECTION looks before the first byte), but where the login is in each request
 * (WINRM_CERTIFICATE) or there is none (anonymous). After any answer that was not as it should be,
 * and after any abandoned request, connection and context are given up: their sequence is not
 * known any more.
 *
 * Over HTTP only what unseals is the host's word. A bare status is anybody's: it is good enough to
 * ask again what may be asked twice, and not to call a WINRM_ONCE unserved.
 */
#include "base/winrm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/winrm_inside.h"
#include "base/winrm_seal.h"

enum {
    CONNECT_MS = 10000,
    OPERATION_MS = 60000,
    SLACK_MS = 10000,
    FRAME_MAX = 16 * 1024, /* around a sealed answer */
    CONTEXT_LEFT_S = 60,   /* with less a new one is made first */
    HEADERS = 4,
};

static const char mutual[] = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual";
static const char soap_type[] = "application/soap+xml;charset=UTF-8";

struct winrm_call {
    struct winrm *w;
    struct winrm_call *next;
    winrm_cb cb;
    void *arg;
    struct text envelope;
    char id[SOAP_ID]; /* "" in an Identify */
    enum winrm_repeat repeat;
    bool anonymous;
    bool again;     /* it is in its second try */
    bool unproven;  /* the first may have been served */
    bool requested; /* in http's hands, or was */
    uint64_t all_ms;
    struct loop_timer *timer; /* its deadline */
};

static void on_kick(void *arg);
static void on_late(void *arg);
static int send_request(struct winrm_call *c, struct err *e);
static void on_answer(void *arg, const struct http_answer *a, const struct err *e);
static void finish(struct winrm_call *c, const struct soap_answer *a, const struct soap_fault *f,
                   const struct err *e);

/* --- life ------------------------------------------------------------------------------------ */

static void call_free(struct winrm_call *c)
{
    loop_timer_stop(&c->timer);
    text_done(&c->envelope);
    free(c);
}

static void call_freep(struct winrm_call **c)
{
    if (*c != NULL)
        call_free(*c);
}

static void unlink_call(struct winrm_call *c)
{
    struct winrm *w = c->w;
    struct winrm_call **p = &w->calls;

    while (*p != NULL && *p != c)
        p = &(*p)->next;
    if (*p == c)
        *p = c->next;
    if (w->last == &c->next)
        w->last = p;
    if (w->active == c)
        w->active = NULL;
}

void winrm_drop(struct winrm *w)
{
    http_abandon(TAKE(w->asking));
    gss_free(TAKE(w->gss));
    loop_timer_stop(&w->login_timer);
    if (w->http != NULL)
        http_hang_up(w->http);
    w->line = WINRM_DOWN;
}

void winrm_free(struct winrm *w)
{
    if (w == NULL || w->freed)
        return;
    winrm_drop(w);
    loop_timer_stop(&w->kick);
    while (w->calls != NULL) {
        struct winrm_call *c = w->calls;

        unlink_call(c);
        call_free(c);
    }
    http_free(w->http);
    w->http = NULL;
    free(w->host);
    free(w->url);
    free(w->service);
    free(w->ccache);
    w->host = w->url = w->service = w->ccache = NULL;
    w->freed = true;
    if (w->busy == 0)
        free(w);
}

void winrm_freep(struct winrm **w)
{
    winrm_free(*w);
}

/* A name, as it stands in a service principal and in a certificate. */
static bool is_name(const char *s)
{
    return *s != '\0' && strlen(s) <= 253 &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
               strlen(s);
}

static int check_settings(const struct winrm_settings *s, struct err *e)
{
    if (s->host == NULL || !is_name(s->host))
        return err_set(e, ERR_CONFIG, 0, "the host is a DNS name (FQDN)");
    if (s->port > 65535)
        return err_set(e, ERR_CONFIG, 0, "port %u", s->port);
    if (s->service != NULL && !is_name(s->service))
        return err_set(e, ERR_CONFIG, 0, "the service of the SPN is a word (HTTP, WSMAN, HOST)");
    if (s->auth == WINRM_CERTIFICATE && (!s->tls || s->certificate == NULL))
        return err_set(e, ERR_CONFIG, 0, "login by certificate: HTTPS and a certificate's file");
    if (s->auth == WINRM_CERTIFICATE && file_check_trusted(s->certificate, FILE_SECRET, e) < 0)
        return err_wrap(e, "certificate");
    return 0;
}

int winrm_new(struct loop *l, const struct winrm_settings *s, struct winrm **ret_winrm,
              struct err *e)
{
    CLEANUP(winrm_freep) struct winrm *w = NULL;
    struct http_settings hs = {
        .ca_file = s->ca_file,
        .client_cert = s->auth == WINRM_CERTIFICATE ? s->certificate : NULL,
        .connect_ms = s->connect_ms != 0 ? s->connect_ms : CONNECT_MS,
        .one_connection = true,
    };
    struct text url = TEXT_INIT(1024);

    if (check_settings(s, e) < 0)
        return err_wrap(e, "WinRM");
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return err_set(e, ERR_NOMEM, 0, "WinRM");
    w->loop = l;
    w->last = &w->calls;
    w->auth = s->auth;
    w->tls = s->tls;
    w->port = s->port != 0 ? s->port : s->tls ? 5986 : 5985;
    w->connect_ms = hs.connect_ms;
    w->host = text_dup(s->host);
    w->service = text_dup(s->service != NULL ? s->service : "HTTP");
    w->ccache = text_dup(s->ccache);
    text_addf(&url, "%s://%s:%u%s", s->tls ? "https" : "http", s->host, w->port,
              s->path != NULL ? s->path : "/wsman");
    w->url = url.failed ? NULL : text_take(&url);
    text_done(&url);
    if (w->host == NULL || w->service == NULL || w->url == NULL ||
        (s->ccache != NULL && w->ccache == NULL))
        return err_set(e, ERR_NOMEM, 0, "WinRM");
    if (http_new(l, &hs, &w->http, e) < 0)
        return err_wrap(e, "WinRM");
    *ret_winrm = TAKE(w);
    return 0;
}

int winrm_set_ccache(struct winrm *w, const char *ccache, struct err *e)
{
    char *copy = text_dup(ccache);

    if (ccache != NULL && copy == NULL)
        return err_set(e, ERR_NOMEM, 0, "WinRM");
    free(w->ccache);
    w->ccache = copy;
    w->renewed = true;
    return 0;
}

const char *winrm_host(const struct winrm *w)
{
    return w->host;
}

const char *winrm_url(const struct winrm *w)
{
    return w->url;
}

void winrm_facts(const struct winrm *w, struct winrm_facts *ret)
{
    *ret = w->facts;
    ret->context_left_s = w->line == WINRM_UP && w->gss != NULL ? gss_left_s(w->gss) : 0;
    (void)snprintf(ret->tls_subject, sizeof(ret->tls_subject), "%s", w->peer.subject);
    ret->tls_ends_ms = w->peer.ends_ms;
}

/* --- the line -------------------------------------------------------------------------------- */

/* Without memory for the timer the calls end by their deadlines. */
static void kick(struct winrm *w)
{
    if (w->kick == NULL && w->calls != NULL)
        w->kick = loop_timer_start(w->loop, 0, on_kick, w);
}

static int write_envelope(struct winrm_call *c, const struct winrm_ask *ask, uint64_t operation_ms,
                          struct err *e)
{
    struct soap_request r = {
        .to = c->w->url,
        .resource = ask->resource,
        .action = ask->action,
        .message_id = c->id,
        .operation_ms = operation_ms,
        .selectors = ask->selectors,
        .selector_count = ask->selector_count,
        .options = ask->options,
        .option_count = ask->option_count,
        .header = ask->header,
        .body = ask->body,
        .arg = ask->arg,
    };

    if (ask->resource != NULL)
        soap_message_id(c->id);
    return soap_write(&r, &c->envelope, e);
}

int winrm_call_start(struct winrm *w, const struct winrm_ask *ask, winrm_cb cb, void *arg,
                     struct winrm_call **ret_call, struct err *e)
{
    CLEANUP(call_freep) struct winrm_call *c = calloc(1, sizeof(*c));
    uint64_t operation_ms = ask->operation_ms != 0 ? ask->operation_ms : OPERATION_MS;

    if (c == NULL)
        return err_set(e, ERR_NOMEM, 0, "WinRM");
    text_init(&c->envelope, SOAP_ENVELOPE);
    if (ask->anonymous && ask->resource != NULL)
        return err_set(e, ERR_INTERNAL, 0, "WinRM: only an Identify needs no login");
    c->w = w;
    c->cb = cb;
    c->arg = arg;
    c->repeat = ask->repeat;
    c->anonymous = ask->anonymous;
    c->all_ms = ask->all_ms != 0 ? ask->all_ms : w->connect_ms + operation_ms + SLACK_MS;
    if (write_envelope(c, ask, operation_ms, e) < 0)
        return err_wrap(e, "%s", w->host);
    c->timer = loop_timer_start(w->loop, c->all_ms, on_late, c);
    if (c->timer == NULL)
        return err_set(e, ERR_NOMEM, 0, "WinRM");
    *w->last = c;
    w->last = &c->next;
    kick(w);
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c); /* the loop holds it now; finish frees it */
    return 0;
}

void winrm_call_abandon(struct winrm_call *c)
{
    struct winrm *w;

    if (c == NULL)
        return;
    w = c->w;
    if (w->active == c)
        winrm_drop(w);
    unlink_call(c);
    call_free(c);
    kick(w);
}

/* Is the context as good as over, or of an older ticket? */
static bool is_stale(const struct winrm *w)
{
    return w->line == WINRM_UP && (w->renewed || gss_left_s(w->gss) < CONTEXT_LEFT_S);
}

/* The first in line, if nothing is under way. */
static void on_kick(void *arg)
{
    struct winrm *w = arg;
    struct winrm_call *c = w->calls;
    struct err e = ERR_NONE;

    w->kick = NULL;
    if (c == NULL || w->active != NULL)
        return;
    w->active = c;
    if (is_stale(w) || (c->anonymous && w->line == WINRM_UP))
        winrm_drop(w);
    if (w->line != WINRM_UP && !c->anonymous && w->auth != WINRM_CERTIFICATE)
        winrm_login(w);
    else if (send_request(c, &e) < 0)
        finish(c, NULL, NULL, &e);
}

void winrm_logged_in(struct winrm *w, const struct err *e)
{
    struct winrm_call *c = w->active;
    struct err mine = ERR_NONE;

    if (e != NULL)
        finish(c, NULL, NULL, e);
    else if (send_request(c, &mine) < 0)
        finish(c, NULL, NULL, &mine);
}

/* --- a request ------------------------------------------------------------------------------- */

static bool is_sealed(const struct winrm_call *c)
{
    return !c->w->tls && !c->anonymous;
}

static enum winrm_seal seal_of(const struct winrm *w)
{
    return w->auth == WINRM_KERBEROS ? WINRM_SEAL_KERBEROS : WINRM_SEAL_SPNEGO;
}

static int seal(struct winrm_call *c, struct text *body, struct err *e)
{
    struct text token = TEXT_INIT(FRAME_MAX), sealed = TEXT_INIT(SOAP_ENVELOPE + FRAME_MAX);
    int rc;

    rc = gss_seal_message(c->w->gss, c->envelope.s, c->envelope.len, &token, &sealed, e);
    if (rc == 0) {
        winrm_seal_write(body, seal_of(c->w), c->envelope.len, token.s, token.len, sealed.s,
                         sealed.len);
        rc = text_check(body, "sealed request", e);
    }
    text_done(&token);
    text_done(&sealed);
    return rc;
}

/* A server may refuse an id that it has seen: the second try gets its own, in the same place. */
static int renew_id(struct winrm_call *c, struct err *e)
{
    char old[SOAP_ID];
    char *at;

    if (c->id[0] == '\0')
        return 0;
    memcpy(old, c->id, sizeof(old));
    soap_message_id(c->id);
    at = memmem(c->envelope.s, c->envelope.len, old, strlen(old));
    if (at == NULL || strlen(old) != strlen(c->id))
        return err_set(e, ERR_INTERNAL, 0, "WinRM: the envelope lacks its id");
    memcpy(at, c->id, strlen(old));
    return 0;
}

static int send_request(struct winrm_call *c, struct err *e)
{
    struct winrm *w = c->w;
    struct text body = TEXT_INIT(SOAP_ENVELOPE + 2 * FRAME_MAX);
    CLEANUP(secret_freep) struct secret *authorization = NULL;
    struct http_header headers[HEADERS];
    size_t n = 0;
    bool sealed = is_sealed(c);
    struct http_ask ask = {
        .method = "POST",
        .url = w->url,
        .headers = headers,
        .flags = HTTP_NO_PROXY | HTTP_ONE_TRY | (w->tls ? 0 : HTTP_PLAIN_SEALED) |
                 (w->line == WINRM_UP ? HTTP_SAME_CONNECTION : 0) |
                 (c->repeat == WINRM_SAFELY ? HTTP_READS : 0),
        .max_answer = SOAP_MAX_ANSWER + FRAME_MAX,
        .try_ms = c->all_ms + SLACK_MS, /* our own timer ends it before */
        .all_ms = c->all_ms + SLACK_MS,
    };
    int rc = 0;

    headers[n++] =
        (struct http_header){"Content-Type", sealed ? winrm_seal_type(seal_of(w)) : soap_type};
    if (w->cookie[0] != '\0')
        headers[n++] = (struct http_header){"Cookie", w->cookie};
    if (c->anonymous)
        headers[n++] = (struct http_header){"WSMANIDENTIFY", "unauthenticated"};
    if (!c->anonymous && w->auth == WINRM_CERTIFICATE)
        headers[n++] = (struct http_header){"Authorization", mutual};
    ask.header_count = n;
    if (c->again)
        rc = renew_id(c, e);
    if (rc == 0 && sealed)
        rc = seal(c, &body, e);
    if (rc == 0) {
        ask.body = sealed ? body.s : c->envelope.s;
        ask.body_len = sealed ? body.len : c->envelope.len;
        c->requested = true;
        rc = http_start(w->http, &ask, on_answer, c, &w->asking, e);
    }
    text_done(&body);
    if (rc < 0)
        winrm_drop(w); /* the sequence has a hole */
    return rc;
}

/* --- its end --------------------------------------------------------------------------------- */

/* Once more, over a new connection: where that is safe, and has not been done yet. False: no. */
static bool try_again(struct winrm_call *c, bool surely_unserved)
{
    struct winrm *w = c->w;

    if (c->again || c->anonymous || (!surely_unserved && c->repeat != WINRM_SAFELY))
        return false;
    winrm_drop(w);
    c->again = true;
    c->requested = false;
    c->unproven = c->unproven || !surely_unserved;
    w->active = NULL;
    kick(w);
    return true;
}

/* What e means for the call: was it served? `served`: it may have been. */
static void fail(struct winrm_call *c, bool served, struct err *e)
{
    served = served || c->unproven;
    if (served && c->repeat == WINRM_ONCE)
        e->code = ERR_UNPROVEN;
    else if (served && (e->code == ERR_UNSENT || e->code == ERR_UNPROVEN))
        e->code = ERR_TIMEOUT;
    else if (served && e->code == ERR_AUTH && !c->w->tls)
        e->code = ERR_INVALID;
    finish(c, NULL, NULL, e);
}

static void on_late(void *arg)
{
    struct winrm_call *c = arg;
    struct winrm *w = c->w;
    bool served = w->active == c && c->requested;
    struct err e;

    c->timer = NULL;
    err_set_text(&e, served ? ERR_TIMEOUT : ERR_UNSENT, 0, "%s:%u: %s in %llu ms", w->host, w->port,
                 served           ? "no answer"
                 : w->active == c ? "no login"
                                  : "its turn did not come",
                 (unsigned long long)c->all_ms);
    if (w->active == c)
        winrm_drop(w);
    fail(c, served, &e);
}

/* The envelope that came, as the host meant it. */
static void take(struct winrm_call *c, const char *s, size_t n, const char *type)
{
    struct soap_answer a;
    struct err e = ERR_NONE;

    if (soap_read(s, n, type, c->id[0] != '\0' ? c->id : NULL, &a, &e) < 0) {
        err_wrap_text(&e, "%s", c->w->host);
        fail(c, true, &e);
        return;
    }
    if (a.fault.kind != SOAP_NO_FAULT) {
        (void)soap_fault_err(&a.fault, c->w->host, &e);
        finish(c, NULL, &a.fault, &e);
    } else {
        finish(c, &a, NULL, NULL);
    }
    soap_answer_done(&a);
}

/* An answer to a sealed request that is not sealed. Nobody vouches for it. */
static void take_bare(struct winrm_call *c, const struct http_answer *a)
{
    struct winrm *w = c->w;
    struct err e = ERR_NONE;

    winrm_drop(w);
    if ((a->status == 401 || a->status == 400) && try_again(c, false))
        return;
    if (a->status == 401)
        (void)winrm_refused_err(w, true, &e);
    else if (a->status >= 200 && a->status <= 299)
        err_set_text(&e, ERR_INVALID, (int)a->status,
                     "%s:%u: the request was sealed, and the answer came in clear", w->host,
                     w->port);
    else
        (void)winrm_status_err(w, a->status, &e);
    /* With WINRM_SAFELY the status may be told as it is: nothing is lost if it lies. */
    if (c->repeat == WINRM_ONCE)
        fail(c, true, &e);
    else
        finish(c, NULL, NULL, &e);
}

static void take_sealed(struct winrm_call *c, const struct http_answer *a, const char *type)
{
    struct winrm *w = c->w;
    struct text plain = TEXT_INIT(SOAP_MAX_ANSWER);
    struct winrm_sealed s;
    struct err e = ERR_NONE;
    int rc;

    rc = winrm_seal_read(a->body, a->len, type, seal_of(w), &s, &e);
    if (rc == 0)
        rc = gss_unseal_message(w->gss, s.token, s.token_len, s.sealed, s.sealed_len, &plain, &e);
    if (rc == 0 && plain.len != s.plain_len)
        rc = err_set(&e, ERR_INVALID, 0, "the sealed answer has another length than it says");
    if (rc < 0) {
        err_wrap_text(&e, "%s:%u", w->host, w->port);
        winrm_drop(w);
        fail(c, true, &e);
    } else {
        take(c, plain.s, plain.len, s.original_type);
    }
    text_done(&plain);
}

/* Within TLS, or anonymous. */
static void take_plain(struct winrm_call *c, const struct http_answer *a, const char *type)
{
    struct winrm *w = c->w;
    struct err e = ERR_NONE;

    if (winrm_is_type(type, "application/soap+xml")) {
        w->facts.authenticated = w->facts.authenticated || !c->anonymous;
        take(c, a->body, a->len, type);
        return;
    }
    if (a->status == 401 && w->line == WINRM_UP && try_again(c, true))
        return;
    winrm_drop(w);
    if (a->status == 401)
        (void)winrm_refused_err(w, !c->anonymous, &e);
    else
        (void)winrm_status_err(w, a->status, &e);
    fail(c, e.code == ERR_INVALID, &e); /* the others are a clear no */
}

static void keep_facts(struct winrm *w, const struct http_answer *a)
{
    struct winrm_challenge ch;
    struct err ignored = ERR_NONE;
    const char *s;

    w->facts.connected = true;
    if (a->peer != NULL)
        w->peer = *a->peer;
    for (size_t i = 0; (s = http_header_get(a, "Set-Cookie", i)) != NULL; i++)
        (void)winrm_cookie(s, w->cookie);
    if (a->status != 401)
        return;
    winrm_challenge_init(&ch);
    for (size_t i = 0; (s = http_header_get(a, "WWW-Authenticate", i)) != NULL; i++)
        (void)winrm_challenge_add(&ch, s, "", &ignored);
    (void)snprintf(w->facts.offered, sizeof(w->facts.offered), "%s", ch.offered);
    text_done(&ch.token);
}

static void on_answer(void *arg, const struct http_answer *a, const struct err *e)
{
    struct winrm_call *c = arg;
    struct winrm *w = c->w;
    bool unsent = e != NULL && (e->code == ERR_UNSENT || e->code == ERR_NOMEM);
    const char *type;
    struct err mine;

    w->asking = NULL;
    if (!unsent)
        w->facts.requests++;
    if (e != NULL) {
        bool was_up = w->line == WINRM_UP, cut = e->code == ERR_TIMEOUT;

        mine = *e;
        winrm_drop(w);
        if ((unsent && was_up && try_again(c, true)) || (cut && try_again(c, false)))
            return;
        if (unsent && was_up)
            err_wrap_text(&mine, "%s:%u does not keep the connection that was logged in on",
                          w->host, w->port);
        else if (unsent)
            err_wrap_text(&mine, "no connection to WinRM on %s:%u (service, listener, firewall?)",
                          w->host, w->port);
        fail(c, !unsent, &mine);
        return;
    }
    keep_facts(w, a);
    type = http_header_get(a, "Content-Type", 0);
    if (!is_sealed(c))
        take_plain(c, a, type);
    else if (winrm_is_type(type, "multipart/encrypted") ||
             winrm_is_type(type, "multipart/x-multi-encrypted"))
        take_sealed(c, a, type);
    else
        take_bare(c, a);
}

/* The one way out. May free `w`, if the callback does. */
static void finish(struct winrm_call *c, const struct soap_answer *a, const struct soap_fault *f,
                   const struct err *e)
{
    struct winrm *w = c->w;

    unlink_call(c);
    kick(w);
    w->busy++;
    c->cb(c->arg, a, f, e);
    call_free(c);
    w->busy--;
    if (w->freed && w->busy == 0)
        free(w);
}
