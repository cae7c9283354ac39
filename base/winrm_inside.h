/* base/winrm_inside.h -- inside base/ only: what the files of winrm share.
 *
 *   winrm.c          calls and their line
 *   winrm_login.c    from nothing to an authenticated connection
 *   winrm_request.c  one request, and what became of it
 *   winrm_auth.c     headers of HTTP's login, and the words for what a status means. Pure
 */
#ifndef CORDON_BASE_WINRM_INSIDE_H
#define CORDON_BASE_WINRM_INSIDE_H

#include "base/gss.h"
#include "base/http.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/winrm.h"

enum {
    WINRM_OFFERED = 128,
    WINRM_COOKIE = 512,
    WINRM_TOKEN_MAX = 64 * 1024,
    WINRM_SLACK_MS = 10000,
};

enum winrm_line {
    WINRM_DOWN,
    WINRM_LOGIN, /* for the call in front, by login_ends */
    WINRM_UP,    /* the connection is authenticated: gss holds its context */
};

struct winrm {
    struct loop *loop; /* borrowed */
    struct http *http;
    enum winrm_auth auth;
    bool tls;
    unsigned port;
    uint64_t connect_ms;
    char *host, *url, *service, *ccache;

    enum winrm_line line;
    struct gss *gss;
    bool renewed;             /* the ticket cache was exchanged: a new context before all else */
    struct http_call *asking; /* the one HTTP request in flight */
    struct loop_timer *login_timer;
    uint64_t login_ends; /* monotonic milliseconds */
    unsigned legs;
    bool accepted;             /* it said 2xx before our context was done */
    char cookie[WINRM_COOKIE]; /* "MS-WSMAN=..."; "" */
    struct http_peer peer;     /* of the last TLS connection */

    struct winrm_call *calls, **last; /* in line; the first may be `active` */
    struct winrm_call *active;
    struct loop_timer *kick;
    struct winrm_facts facts;
    unsigned busy; /* below a callback of a caller: memory of `w` must stay */
    bool freed;
};

struct winrm_call {
    struct winrm *w;
    struct winrm_call *next;
    winrm_cb cb;
    void *arg;
    void *owned; /* the caller's, to be freed */
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

/* Ends connection, context and what is under way on them. Makes no callback. */
void winrm_drop(struct winrm *w);
/* Begins a login for the call in front. Then, now or later: winrm_logged_in. */
void winrm_login(struct winrm *w);
/* winrm.c. e NULL: the line is up. May free `w`. */
void winrm_logged_in(struct winrm *w, const struct err *e);

/* The call in front, whose turn it is. An error: nothing was sent, and the line is down. */
int winrm_send(struct winrm_call *c, struct err *e);
/* The end with an error that is put as winrm_cb promises it. `served`: it may have been. May free
 * `w`. */
void winrm_fail(struct winrm_call *c, bool served, struct err *e);
/* The one way out. May free `w`, if the callback does. */
void winrm_finish(struct winrm_call *c, const struct soap_answer *a, const struct soap_fault *f,
                  const struct err *e);
/* The first in line has its turn, soon. */
void winrm_kick(struct winrm *w);

/* --- headers --------------------------------------------------------------------------------- */

const char *winrm_scheme(enum winrm_auth a); /* "Negotiate", "Kerberos" */

struct winrm_challenge {
    char offered[WINRM_OFFERED]; /* schemes as named, "Negotiate, Kerberos"; shown text */
    bool named;                  /* ours is among them */
    bool has_token;
    struct text token; /* decoded; the caller's: text_done */
};
void winrm_challenge_init(struct winrm_challenge *c);
/* One WWW-Authenticate value, of several. ERR_INVALID: our scheme's token is no base64. */
int winrm_challenge_add(struct winrm_challenge *c, const char *value, const char *scheme,
                        struct err *e);
/* "Negotiate <base64>" */
int winrm_authorization(const char *scheme, const void *token, size_t len,
                        struct secret **ret_value, struct err *e);
/* "MS-WSMAN=..." out of a Set-Cookie value; false: another cookie, or one that cannot be sent. */
bool winrm_cookie(const char *set_cookie, char buf[WINRM_COOKIE]);
/* Of 'multipart/encrypted; ...' and the like. */
bool winrm_is_type(const char *content_type, const char *type);

/* What any answer says of the host: certificate, cookie, clock. */
void winrm_learn(struct winrm *w, const struct http_answer *a);

/* --- words ----------------------------------------------------------------------------------- */

/* What a status means that carries no SOAP. Always -1. */
int winrm_status_err(const struct winrm *w, long status, struct err *e);
/* The login was refused. */
int winrm_refused_err(const struct winrm *w, bool with_token, struct err *e);

#endif
