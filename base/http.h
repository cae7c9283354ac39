/* base/http.h -- one request to a web service, and its whole answer or a clear reason.
 *
 * libcurl's multi interface on the loop: HTTP/2 where the server speaks it, connections reused, TLS
 * 1.2 or later with the system's authorities or `ca_file`, certificate and host name always
 * checked. No redirect is followed, no cookie kept, no .netrc or proxy variable read. https only;
 * plain http only where a call says HTTP_PLAIN_LOCAL and the host is a fixed metadata address or
 * loopback, or HTTP_PLAIN_SEALED.
 *
 * The asynchronous contract of style.md, 1: the callback runs once, later, from the loop; a call
 * copies what it needs and frees itself after its callback.
 */
#ifndef CORDON_BASE_HTTP_H
#define CORDON_BASE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/secret.h"

struct http;      /* connections, settings */
struct http_call; /* one request with all its tries */

struct http_settings {                /* copied */
    const char *ca_file;              /* PEM; NULL: the system's authorities */
    const char *proxy;                /* "http://host:port"; NULL: none */
    const struct secret *proxy_login; /* "user:password" (a newline behind it does not count) */
    const char *no_proxy;             /* hosts and suffixes, comma-separated; NULL: none */
    const char *user_agent;           /* NULL: "cordon/VERSION" */
    uint64_t connect_ms;              /* per connection; 0: 10 s */
    size_t connections;               /* to one host at a time; 0: 8 */
    const char *client_cert;          /* PEM, certificate and key; NULL: none */
    /* For a login that belongs to the connection: HTTP/1.1, one connection and no second one beside
     * it, no proxy, no packing of answers; the peer's certificate is looked at. One call at a time.
     */
    bool one_connection;
};

int http_new(struct loop *l, const struct http_settings *s, struct http **ret_http, struct err *e);
/* Calls still running end without their callbacks. */
void http_free(struct http *h);
void http_freep(struct http **h);
/* Ends the connections that are kept. No call may be running. From a call's callback is fine. */
void http_hang_up(struct http *h);

struct http_header {
    const char *name, *value;
};

/* May the same be sent again when its end is not known? */
enum http_repeat {
    HTTP_ONCE,   /* never: only what surely was not sent, or was clearly turned away (429, 503 with
                    Retry-After), is tried again. For a POST that may have acted. */
    HTTP_SAFELY, /* it changes nothing, or the same twice does no harm: also after a cut connection,
                    a time-out, 500, 502, 503, 504 */
};
enum {
    HTTP_NO_PROXY = 1,    /* whatever the settings say (metadata services) */
    HTTP_PLAIN_LOCAL = 2, /* http:// to 169.254.169.254 or loopback is fine */
    HTTP_SECRET = 4,      /* the body, asked or answered, holds a secret: wiped when freed */
    HTTP_ONE_TRY = 8,     /* hand back every answer as it is, 429 and 5xx, too; and every failure */
    HTTP_READS = 16, /* it changes nothing although it is no GET: its ends are sorted like one */
    HTTP_PLAIN_SEALED = 32,    /* http:// is fine: the caller has sealed the body, or there is
                                  nothing in it that anybody may not see or change */
    HTTP_SAME_CONNECTION = 64, /* over the connection that stands, or not at all: ERR_UNSENT */
};

struct http_ask {       /* copied by http_start */
    const char *method; /* "GET", "POST", "PATCH", "DELETE", "PUT" */
    const char *url;    /* whole, already percent-encoded; no user part, no fragment */
    const struct http_header *headers;
    size_t header_count;
    const struct secret *authorization; /* the value of that header, "Bearer ..."; NULL: none */
    const void *body;                   /* a body-less POST, PUT, PATCH has Content-Length: 0 */
    size_t body_len;
    enum http_repeat repeat;
    int flags;
    size_t max_answer; /* bytes of the body, unpacked; 0: 4 MiB. More: ERR_TOOBIG */
    uint64_t try_ms;   /* one try; 0: 30 s */
    uint64_t all_ms;   /* all of it, waits included; 0: 60 s. A Retry-After that would outlast it
                          ends the call at once with that answer */
    unsigned tries;    /* at most; 0: 6 */
    uint64_t wait_ms;  /* first wait where the server names none, doubled each time, with jitter;
                          0: 1 s */
    const char *id_header; /* name of the header that gets a new UUID for each try
                              ("client-request-id"); NULL: none */
};

enum { HTTP_BINDING_MAX = 96 };
struct http_peer {     /* the server's certificate */
    char subject[256]; /* shown text */
    int64_t ends_ms;   /* Unix ms; 0: unknown */
    /* RFC 5929: "tls-server-end-point:" and the hash; 0 bytes: its signature has no one hash */
    unsigned char binding[HTTP_BINDING_MAX];
    size_t binding_len;
};

struct http_answer { /* borrowed: valid during the callback only */
    long status;
    const char *body; /* NUL behind it; never NULL. Where the server gave no length (HTTP/1 only), a
                         cut looks like the end: JSON shows it */
    size_t len;
    const char *client_request_id; /* of the last try; "" without id_header */
    const char *request_id;        /* request-id, x-ms-request-id or X-Okta-Request-Id; "" */
    uint64_t retry_after_ms; /* 0: none named. From Retry-After (whole or fractional seconds, a
                                date) or X-Rate-Limit-Reset against Date */
    int64_t date_ms;         /* the server's Date, Unix ms; 0: none */
    unsigned tries;
    bool unclear; /* an earlier try was sent, came to no clear end, and may have acted: even where
                     this answer is a clear no. Never with a GET or HTTP_READS */
    unsigned new_connections;     /* opened for the last try */
    const struct http_peer *peer; /* TLS and one_connection: of the connection; else NULL */
    const void *headers_;         /* for http_header_get */
};

/* `a` where a whole answer came, whatever its status; else NULL and why: ERR_UNSENT (name look-up,
 * connect, TLS, proxy: nothing was sent), ERR_UNPROVEN (sent, no whole answer: it may have acted;
 * or an earlier try may), and for a GET or HTTP_READS ERR_TIMEOUT (no answer in time, or cut),
 * ERR_TOOBIG, ERR_INVALID (no HTTP). ERR_CANCELED, ERR_NOMEM. The message names host, request ids
 * and the cause, never a header or a body. e->native is a CURLcode; where a proxy refused us,
 * its status. */
typedef void (*http_cb)(void *arg, const struct http_answer *a, const struct err *e);
int http_start(struct http *h, const struct http_ask *ask, http_cb cb, void *arg,
               struct http_call **ret_call, struct err *e);
/* Hurries the callback: ERR_CANCELED, or ERR_UNPROVEN if it was sent and may act. */
void http_cancel(struct http_call *c);
/* Ends it at once: its callback is never made. Not from that callback. NULL is fine. */
void http_abandon(struct http_call *c);

/* First value of a response header (no case); NULL. The n-th (0, 1, ...) of several. */
const char *http_header_get(const struct http_answer *a, const char *name, size_t nth);

/* How many requests were sent, tries counted (for benchmarks and doctor). */
uint64_t http_requests_sent(const struct http *h);

/* --- pure, for tests and callers ------------------------------------------------------------- */
/* Retry-After: "120", "2.128", an HTTP date (RFC 9110 5.6.7) against now_ms. False: neither. Values
 * over a day count as a day; the past as 0. */
bool http_retry_after(const char *s, int64_t now_ms, uint64_t *ret_ms);
/* RFC 9110 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT", and the two old forms. */
bool http_date(const char *s, int64_t *ret_ms);
/* Append s percent-encoded for a path segment or a query value (all but unreserved characters). */
struct text;
void http_escape(struct text *t, const char *s, size_t n);
/* Do scheme, host and port of `url` equal those of `root`? And is its path below root's? (nextLink,
 * Link: whether a token may go there.) */
bool http_same_root(const char *url, const char *root);
/* A root as the configuration gives it: https only ("http" for loopback and 169.254.169.254 where
 * plain_local), a host, no user part, no query, no fragment, no trailing '/'. ERR_CONFIG. */
int http_check_root(const char *url, bool plain_local, struct err *e);
/* A proxy as the configuration gives it: "http://host:port" and nothing else. ERR_CONFIG. */
int http_check_proxy(const char *url, struct err *e);

#endif
