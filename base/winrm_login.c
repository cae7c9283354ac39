/* base/winrm_login.c -- from nothing to an authenticated connection. See winrm_inside.h.
 *
 *   winrm_login   nothing of the old connection stays
 *   on_probe      HTTPS: the 401 to an empty POST has brought the certificate to bind to
 *   on_token      what the context wants to have sent (made on the pool, by way of the KDC)
 *   on_leg        the server's answer to it: a token back, agreed or refused
 *   over          the one way out: winrm_logged_in
 *
 * All of it within login_ends. Nothing but tokens is sent here, so that whatever goes wrong, the
 * request that waits was surely not served: ERR_UNSENT, or ERR_AUTH.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/winrm_inside.h"

enum { LEGS_MAX = 6, LOGIN_ANSWER_MAX = 64 * 1024 };

static void on_probe(void *arg, const struct http_answer *a, const struct err *e);
static void on_token(void *arg, const void *token, size_t len, bool done, const struct err *e);
static void on_leg(void *arg, const struct http_answer *a, const struct err *e);
static void over(struct winrm *w, const struct err *e);

static uint64_t now_ms(const struct winrm *w)
{
    return loop_now_us(w->loop) / 1000;
}

static void on_late(void *arg)
{
    struct winrm *w = arg;
    struct err e;

    w->login_timer = NULL;
    if (w->asking == NULL)
        err_set_text(&e, ERR_UNSENT, 0,
                     "%s:%u: no ticket for %s/%s in %llu ms: do the KDCs answer (port 88)?",
                     w->host, w->port, w->service, w->host, (unsigned long long)w->connect_ms);
    else
        err_set_text(&e, ERR_UNSENT, 0, "WinRM does not answer on %s:%u: no login in %llu ms",
                     w->host, w->port, (unsigned long long)w->connect_ms);
    over(w, &e);
}

/* An empty POST, with the token or without. */
static int post(struct winrm *w, const void *token, size_t len, http_cb cb, struct err *e)
{
    CLEANUP(secret_freep) struct secret *authorization = NULL;
    const struct http_header cookie = {"Cookie", w->cookie};
    uint64_t now = now_ms(w), left = now < w->login_ends ? w->login_ends - now : 1;
    struct http_ask ask = {
        .method = "POST",
        .url = w->url,
        .headers = &cookie,
        .header_count = w->cookie[0] != '\0' ? 1 : 0,
        .flags = HTTP_NO_PROXY | HTTP_SECRET | HTTP_ONE_TRY | HTTP_READS | HTTP_PLAIN_SEALED,
        .max_answer = LOGIN_ANSWER_MAX,
        .try_ms = left,
        .all_ms = left,
    };

    if (token != NULL) {
        if (winrm_authorization(winrm_scheme(w->auth), token, len, &authorization, e) < 0)
            return -1;
        ask.authorization = authorization;
        /* From the second leg on the server's half of the context is in the connection. */
        if (w->legs++ > 0)
            ask.flags |= HTTP_SAME_CONNECTION;
    }
    return http_start(w->http, &ask, cb, w, &w->asking, e);
}

static int new_context(struct winrm *w, struct err *e)
{
    struct gss_settings s = {
        .mech = w->auth == WINRM_KERBEROS ? GSS_KRB5 : GSS_SPNEGO,
        .service = w->service,
        .host = w->host,
        .ccache = w->ccache,
        .binding = w->tls && w->peer.binding_len > 0 ? w->peer.binding : NULL,
        .binding_len = w->tls ? w->peer.binding_len : 0,
    };

    if (gss_new(w->loop, &s, &w->gss, e) < 0)
        return -1;
    return gss_step_start(w->gss, NULL, 0, on_token, w, e);
}

void winrm_login(struct winrm *w)
{
    struct err e = ERR_NONE;
    int rc;

    winrm_drop(w);
    w->line = WINRM_LOGIN;
    w->renewed = false;
    w->legs = 0;
    w->accepted = false;
    w->peer = (struct http_peer){0};
    w->login_ends = now_ms(w) + w->connect_ms;
    w->login_timer = loop_timer_start(w->loop, w->connect_ms, on_late, w);
    if (w->login_timer == NULL)
        rc = err_set(&e, ERR_NOMEM, 0, "login");
    else
        rc = w->tls ? post(w, NULL, 0, on_probe, &e) : new_context(w, &e);
    if (rc < 0)
        over(w, &e);
}

/* Who is there, and what it offers. */
static int read_answer(struct winrm *w, const struct http_answer *a, struct winrm_challenge *c,
                       struct err *e)
{
    const char *s;

    winrm_learn(w, a);
    for (size_t i = 0; (s = http_header_get(a, "WWW-Authenticate", i)) != NULL; i++) {
        if (winrm_challenge_add(c, s, winrm_scheme(w->auth), e) < 0)
            return -1;
    }
    if (a->status == 401)
        (void)snprintf(w->facts.offered, sizeof(w->facts.offered), "%s", c->offered);
    return 0;
}

/* No answer: the request that waits was not sent. */
static void no_answer(struct winrm *w, const struct err *e)
{
    struct err mine = *e;

    if (e->code == ERR_UNSENT && w->legs > 1)
        err_wrap_text(&mine, "%s:%u ends the connection in the midst of the login", w->host,
                      w->port);
    else if (e->code == ERR_UNSENT)
        err_wrap_text(&mine, "no connection to WinRM on %s:%u (service, listener, firewall?)",
                      w->host, w->port);
    else
        err_wrap_text(&mine, "WinRM does not answer on %s:%u", w->host, w->port);
    if (e->code != ERR_NOMEM)
        mine.code = ERR_UNSENT;
    over(w, &mine);
}

static void on_probe(void *arg, const struct http_answer *a, const struct err *e)
{
    struct winrm *w = arg;
    struct winrm_challenge c;
    struct err mine = ERR_NONE;
    int rc;

    w->asking = NULL;
    if (e != NULL) {
        no_answer(w, e);
        return;
    }
    winrm_challenge_init(&c);
    rc = read_answer(w, a, &c, &mine);
    text_done(&c.token);
    if (rc == 0 && a->status == 401 && !c.named)
        rc = winrm_refused_err(w, false, &mine);
    else if (rc == 0 && a->status != 401)
        rc = winrm_status_err(w, a->status, &mine);
    if (rc < 0 || new_context(w, &mine) < 0)
        over(w, &mine);
}

static void on_token(void *arg, const void *token, size_t len, bool done, const struct err *e)
{
    struct winrm *w = arg;
    struct err mine = ERR_NONE;

    if (e != NULL) {
        mine = *e;
        if (mine.code == ERR_TIMEOUT) /* no KDC */
            mine.code = ERR_UNSENT;
        over(w, &mine);
    } else if (w->accepted && done) {
        over(w, NULL);
    } else if (w->accepted || len == 0) {
        err_set_text(&mine, ERR_AUTH, 0, "%s:%u says that the login is over, and it is not",
                     w->host, w->port);
        over(w, &mine);
    } else if (w->legs >= LEGS_MAX) {
        err_set_text(&mine, ERR_AUTH, 0, "%s:%u: the login has no end", w->host, w->port);
        over(w, &mine);
    } else if (post(w, token, len, on_leg, &mine) < 0) {
        over(w, &mine);
    }
}

static int next_leg(struct winrm *w, const struct http_answer *a, const struct winrm_challenge *c,
                    struct err *e)
{
    if (a->status == 401 && !c->has_token)
        return winrm_refused_err(w, true, e);
    if (a->status != 401 && (a->status < 200 || a->status > 299))
        return winrm_status_err(w, a->status, e);
    w->accepted = a->status != 401;
    if (!c->has_token)
        return err_set(e, ERR_AUTH, 0, "%s:%u accepts the login without proving who it is", w->host,
                       w->port);
    if (gss_is_done(w->gss))
        return err_set(e, ERR_AUTH, 0, "%s:%u: a token too many in the login", w->host, w->port);
    return gss_step_start(w->gss, c->token.s, c->token.len, on_token, w, e);
}

static void on_leg(void *arg, const struct http_answer *a, const struct err *e)
{
    struct winrm *w = arg;
    struct http_peer bound = w->peer;
    struct winrm_challenge c;
    struct err mine = ERR_NONE;
    int rc;

    w->asking = NULL;
    if (e != NULL) {
        no_answer(w, e);
        return;
    }
    winrm_challenge_init(&c);
    rc = read_answer(w, a, &c, &mine);
    /* A server that closes after its 401 gets the token over a new connection: the binding is to
     * the certificate, which has to be the same. */
    if (rc == 0 && w->tls &&
        (bound.binding_len != w->peer.binding_len ||
         memcmp(bound.binding, w->peer.binding, bound.binding_len) != 0))
        rc = err_set(&mine, ERR_AUTH, 0, "%s:%u shows another certificate than before", w->host,
                     w->port);
    if (rc == 0 && gss_is_done(w->gss) && !c.has_token && a->status >= 200 && a->status <= 299) {
        text_done(&c.token);
        over(w, NULL); /* ours was the last token */
        return;
    }
    if (rc == 0)
        rc = next_leg(w, a, &c, &mine);
    text_done(&c.token);
    if (rc < 0)
        over(w, &mine);
}

/* May free `w`. */
static void over(struct winrm *w, const struct err *e)
{
    loop_timer_stop(&w->login_timer);
    if (e != NULL) {
        struct err mine = *e; /* the original may belong to what is dropped */

        winrm_drop(w);
        winrm_logged_in(w, &mine);
        return;
    }
    w->line = WINRM_UP;
    w->facts.authenticated = true;
    w->facts.bound = gss_is_bound(w->gss);
    w->facts.logins++;
    (void)snprintf(w->facts.enctype, sizeof(w->facts.enctype), "%s", gss_enctype(w->gss));
    winrm_logged_in(w, NULL);
}
