/* base/winrm.c -- calls in line, one at a time, each to one end. See winrm.h.
 *
 *   winrm_call_start   the envelope is written; into the line
 *   on_kick            the first in line: log in (winrm_login.c), or send at once
 *   winrm_logged_in    the line is up: winrm_send, and what became of it (winrm_request.c)
 *   on_late            its deadline
 *   winrm_finish       the one way out: callback, memory, the next in line
 *
 * Invariants: the callback of a call is made from winrm_finish, once; a call in the list has a
 * timer, but for the moment in which that fires; at most one is `active`.
 */
#include "base/winrm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/winrm_inside.h"

enum {
    CONNECT_MS = 10000,
    OPERATION_MS = 60000,
    CONTEXT_LEFT_S = 60, /* with less a new one is made first */
};

static void on_kick(void *arg);
static void on_late(void *arg);

/* --- life ------------------------------------------------------------------------------------ */

static void call_free(struct winrm_call *c)
{
    loop_timer_stop(&c->timer);
    text_done(&c->envelope);
    free(c->owned);
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

struct loop *winrm_loop(const struct winrm *w)
{
    return w->loop;
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
void winrm_kick(struct winrm *w)
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
    c->all_ms = ask->all_ms != 0 ? ask->all_ms : w->connect_ms + operation_ms + WINRM_SLACK_MS;
    if (write_envelope(c, ask, operation_ms, e) < 0)
        return err_wrap(e, "%s", w->host);
    c->timer = loop_timer_start(w->loop, c->all_ms, on_late, c);
    if (c->timer == NULL)
        return err_set(e, ERR_NOMEM, 0, "WinRM");
    *w->last = c;
    w->last = &c->next;
    winrm_kick(w);
    c->owned = ask->owned;
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
    winrm_kick(w);
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
    else if (winrm_send(c, &e) < 0)
        winrm_finish(c, NULL, NULL, &e);
}

void winrm_logged_in(struct winrm *w, const struct err *e)
{
    struct winrm_call *c = w->active;
    struct err mine = ERR_NONE;

    if (e != NULL)
        winrm_finish(c, NULL, NULL, e);
    else if (winrm_send(c, &mine) < 0)
        winrm_finish(c, NULL, NULL, &mine);
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
    winrm_fail(c, served, &e);
}

void winrm_finish(struct winrm_call *c, const struct soap_answer *a, const struct soap_fault *f,
                  const struct err *e)
{
    struct winrm *w = c->w;

    unlink_call(c);
    winrm_kick(w);
    w->busy++;
    c->cb(c->arg, a, f, e);
    call_free(c);
    w->busy--;
    if (w->freed && w->busy == 0)
        free(w);
}
