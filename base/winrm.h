/* base/winrm.h -- WS-Management with one Windows host: ask, and its answer or a clear reason.
 *
 * HTTPS (SOAP inside checked TLS, channel binding sent) or HTTP with Kerberos message encryption,
 * the default of Windows (winrm.md 2). One connection, one security context, one request in flight;
 * more wait in line. A context that is gone (connection closed, 401, expired ticket) is made anew,
 * and what was surely not served is sent again once; WINRM_SAFELY also where it may have been.
 * Never a request in clear, never one on an unauthenticated connection, no NTLM, no redirect, no
 * proxy. Each struct winrm has its own connection cache: a long poll gets a struct of its own.
 *
 * The asynchronous contract of style.md, 1.
 */
#ifndef CORDON_BASE_WINRM_H
#define CORDON_BASE_WINRM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/soap.h"

struct winrm;
struct winrm_call;

enum winrm_auth {
    WINRM_NEGOTIATE,   /* SPNEGO, which has to choose krb5 */
    WINRM_KERBEROS,    /* raw krb5 */
    WINRM_CERTIFICATE, /* TLS client certificate; HTTPS only */
};

struct winrm_settings { /* copied */
    const char *host;   /* FQDN, as in its service principal name */
    unsigned port;      /* 0: 5985, or 5986 with tls */
    bool tls;
    const char *path;    /* NULL: "/wsman" */
    const char *ca_file; /* PEM; NULL: the system's */
    enum winrm_auth auth;
    const char *service;     /* of the principal; NULL: "HTTP" */
    const char *ccache;      /* NULL: the caller's default cache */
    const char *certificate; /* WINRM_CERTIFICATE: PEM file with certificate and key */
    uint64_t connect_ms;     /* name, TCP, TLS, login; 0: 10 s */
};

int winrm_new(struct loop *l, const struct winrm_settings *s, struct winrm **ret_winrm,
              struct err *e);
/* Calls still there end without their callbacks. */
void winrm_free(struct winrm *w);
void winrm_freep(struct winrm **w);
/* For the contexts to come: a renewed ticket cache. */
int winrm_set_ccache(struct winrm *w, const char *ccache, struct err *e);
const char *winrm_host(const struct winrm *w);
struct loop *winrm_loop(const struct winrm *w);
const char *winrm_url(const struct winrm *w); /* "https://dc1...:5986/wsman" */

enum winrm_repeat { WINRM_ONCE, WINRM_SAFELY };
struct winrm_ask { /* copied, but for what header and body look at: the envelope is written inside
                      winrm_call_start */
    const char *resource, *action;
    const struct soap_pair *selectors, *options;
    size_t selector_count, option_count;
    void (*header)(struct xml_out *x, const void *arg);
    void (*body)(struct xml_out *x, const void *arg);
    const void *arg;
    uint64_t operation_ms; /* the server's time to answer; 0: 60 s */
    uint64_t all_ms;       /* from the start, with login and waiting in line; 0: what is left of
                              connecting + operation_ms + 10 s */
    enum winrm_repeat repeat;
    bool anonymous; /* Identify without login: resource and action NULL */
    void *owned; /* malloc'd: freed with the call, whether it calls back or is abandoned. Taken over
                    only where _start succeeds. NULL: none */
};

/* One of three: `a` (no fault), `f` with e (the server's clear no, see soap_fault_err), or e alone:
 * ERR_UNSENT (surely not served: name, connect, TLS, no KDC), ERR_AUTH (no ticket, or the login was
 * refused: the message lists what the server offered and the likely causes of winrm.md 2.7),
 * ERR_UNPROVEN (sent, no whole answer that can be believed; it may have acted), with WINRM_SAFELY
 * instead ERR_TIMEOUT, ERR_INVALID or ERR_TOOBIG; and a clear no without SOAP: ERR_BUSY (503),
 * ERR_TOOBIG (413), ERR_UNSUPPORTED (404: no WinRM there), ERR_DENIED, ERR_REFUSED. Over HTTP such
 * a status comes unsealed and is nobody's word: with WINRM_ONCE it is ERR_UNPROVEN as well.
 * ERR_NOMEM. */
typedef void (*winrm_cb)(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                         const struct err *e);
int winrm_call_start(struct winrm *w, const struct winrm_ask *ask, winrm_cb cb, void *arg,
                     struct winrm_call **ret_call, struct err *e);
/* Ends it at once: its callback is never made. What was sent may still act; the connection is given
 * up then. NULL is fine. */
void winrm_call_abandon(struct winrm_call *c);

/* What is known of the host so far: for doctor and errors. Strings borrowed until the next turn. */
struct winrm_facts {
    char offered[128]; /* schemes of its last 401, "Negotiate, Kerberos"; "" */
    bool connected, authenticated;
    bool bound; /* it accepted a login with the channel binding, see gss_is_bound */
    char enctype[64];
    uint32_t context_left_s;
    char tls_subject[256];     /* of its certificate; "" */
    int64_t tls_ends_ms;       /* 0 unknown */
    uint64_t logins, requests; /* contexts made, envelopes sent */
    bool has_clock;            /* it sends a Date (RFC 9110 6.6.1) */
    int64_t clock_ms;          /* its clock minus ours, +- 1 s and half a round trip */
};
void winrm_facts(const struct winrm *w, struct winrm_facts *ret);

#endif
