/* base/winrm_request.c -- one request, and what became of it. See winrm_inside.h.
 *
 *   winrm_send   sealed over HTTP, plain within TLS
 *   on_answer    none: was it served? Else unseal and read it, and finish
 *
 * A request goes out on the connection that its context was made with, or not at all (http's
 * HTTP_SAME_CONNECTION looks before the first byte), but where the login is in each request
 * (WINRM_CERTIFICATE) or there is none (anonymous). After any answer that was not as it should be,
 * connection and context are given up: their sequence is not known any more.
 *
 * Over HTTP only what unseals is the host's word. A bare status is anybody's: it is good enough to
 * ask again what may be asked twice, and not to call a WINRM_ONCE unserved.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/winrm_inside.h"
#include "base/winrm_seal.h"

enum {
    FRAME_MAX = 16 * 1024, /* around a sealed message */
    HEADERS = 4,
};

static const char mutual[] = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual";
static const char soap_type[] = "application/soap+xml;charset=UTF-8";

static void on_answer(void *arg, const struct http_answer *a, const struct err *e);

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

int winrm_send(struct winrm_call *c, struct err *e)
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
        .try_ms = c->all_ms + WINRM_SLACK_MS, /* our own timer ends it before */
        .all_ms = c->all_ms + WINRM_SLACK_MS,
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
    winrm_kick(w);
    return true;
}

/* What e means for the call: was it served? `served`: it may have been. */
void winrm_fail(struct winrm_call *c, bool served, struct err *e)
{
    served = served || c->unproven;
    if (served && c->repeat == WINRM_ONCE)
        e->code = ERR_UNPROVEN;
    else if (served && (e->code == ERR_UNSENT || e->code == ERR_UNPROVEN))
        e->code = ERR_TIMEOUT;
    else if (served && e->code == ERR_AUTH && !c->w->tls)
        e->code = ERR_INVALID;
    winrm_finish(c, NULL, NULL, e);
}

/* The envelope that came, as the host meant it. */
static void take(struct winrm_call *c, const char *s, size_t n, const char *type)
{
    struct soap_answer a;
    struct err e = ERR_NONE;

    if (soap_read(s, n, type, c->id[0] != '\0' ? c->id : NULL, &a, &e) < 0) {
        err_wrap_text(&e, "%s", c->w->host);
        winrm_fail(c, true, &e);
        return;
    }
    if (a.fault.kind != SOAP_NO_FAULT) {
        (void)soap_fault_err(&a.fault, c->w->host, &e);
        winrm_finish(c, NULL, &a.fault, &e);
    } else {
        winrm_finish(c, &a, NULL, NULL);
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
        winrm_fail(c, true, &e);
    else
        winrm_finish(c, NULL, NULL, &e);
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
        winrm_fail(c, true, &e);
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
    winrm_fail(c, e.code == ERR_INVALID, &e); /* the others are a clear no */
}

void winrm_learn(struct winrm *w, const struct http_answer *a)
{
    const char *s;

    w->facts.connected = true;
    if (a->peer != NULL)
        w->peer = *a->peer;
    if (a->date_ms != 0) {
        w->facts.has_clock = true;
        w->facts.clock_ms = a->date_ms - stamp_now_ms();
    }
    for (size_t i = 0; (s = http_header_get(a, "Set-Cookie", i)) != NULL; i++)
        (void)winrm_cookie(s, w->cookie);
}

/* The schemes that a 401 offers. */
static void keep_offered(struct winrm *w, const struct http_answer *a)
{
    struct winrm_challenge ch;
    struct err ignored = ERR_NONE;
    const char *s;

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
        winrm_fail(c, !unsent, &mine);
        return;
    }
    winrm_learn(w, a);
    if (a->status == 401)
        keep_offered(w, a);
    type = http_header_get(a, "Content-Type", 0);
    if (!is_sealed(c))
        take_plain(c, a, type);
    else if (winrm_is_type(type, "multipart/encrypted") ||
             winrm_is_type(type, "multipart/x-multi-encrypted"))
        take_sealed(c, a, type);
    else
        take_bare(c, a);
}
