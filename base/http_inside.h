/* base/http_inside.h -- inside base/ only: what the files of http share.
 *
 *   http.c         calls and their tries
 *   http_multi.c   curl's multi handle on the loop
 *   http_easy.c    from an http_ask to a curl handle: the one place where its options are set
 *   http_answer.c  what comes back: headers and body, within their limits
 *   http_peer.c    the server's certificate, where a login is bound to it
 */
#ifndef CORDON_BASE_HTTP_INSIDE_H
#define CORDON_BASE_HTTP_INSIDE_H

#include <curl/curl.h>

#include "base/http.h"
#include "base/http_retry.h"
#include "base/http_url.h"
#include "base/text.h"

enum {
    HTTP_HEADER_BYTES_MAX = 64 * 1024, /* of one answer, all lines together */
    HTTP_HEADERS_MAX = 200,
    HTTP_ID_MAX = 128,
    HTTP_UUID = 37,
    HTTP_ID_LINE = 96, /* "client-request-id: UUID" */
};

/* --- what comes back ------------------------------------------------------------------------- */

struct http_field { /* offsets into `text` */
    size_t name, value;
};

struct http_got {
    char *body; /* NUL behind it; NULL while empty */
    size_t len, cap, max;
    bool secret;       /* bytes are wiped before their memory is given back */
    bool too_big;      /* of body or headers */
    bool many_headers; /* ... of headers */
    bool no_memory;
    bool head_done;      /* what follows are trailers: not ours */
    size_t header_bytes; /* of all lines, those of interim answers too */
    unsigned header_lines;
    struct text text; /* "name\0value\0" ... */
    struct http_field fields[HTTP_HEADERS_MAX];
    unsigned field_count;
};

void http_got_init(struct http_got *g, size_t max, bool secret);
void http_got_clear(struct http_got *g); /* for the next try */
void http_got_done(struct http_got *g);
/* For curl: the number of bytes taken; anything else ends the transfer. */
size_t http_got_header(char *s, size_t size, size_t n, void *arg);
size_t http_got_body(char *s, size_t size, size_t n, void *arg);
const char *http_got_field(const struct http_got *g, const char *name, size_t nth);
/* Date, ids and the time to wait, as struct http_answer and http_verdict have them. `ret_id` is
 * fit to be logged, or "". */
void http_got_read(const struct http_got *g, long status, int64_t *ret_date_ms,
                   char ret_id[HTTP_ID_MAX], bool *ret_named, uint64_t *ret_named_ms);

/* --- calls ----------------------------------------------------------------------------------- */

enum http_state {
    HTTP_RUNNING, /* in curl's hands */
    HTTP_WAITING, /* for the time of the next try */
    HTTP_ENDING,  /* told to end: the callback comes in the next turn */
};

struct http_call {
    struct http *h;
    struct http_call *next, *prev; /* of the calls that are not yet over */
    http_cb cb;
    void *arg;

    /* what was asked, copied */
    char *method, *url, *id_header;
    struct http_url target;
    void *body;
    size_t body_len;
    enum http_repeat repeat;
    int flags;
    uint64_t try_ms, wait_ms;
    uint64_t ends; /* monotonic milliseconds by which all of it is over */
    unsigned tries_max;
    bool only_asks;

    /* the try in hand */
    CURL *easy;
    struct curl_slist *headers; /* ours, node by node: wiped when freed */
    struct curl_slist id_node;  /* in front of them */
    char id_line[HTTP_ID_LINE];
    char id[HTTP_UUID];
    char curl_said[CURL_ERROR_SIZE];
    struct http_got got;
    uint64_t began_us;
    unsigned sends;      /* how often curl was about to send, in this try */
    long size_before;    /* of requests (a proxy's CONNECT), when it first was */
    bool refused_stream; /* HTTP/2: the peer says that it has not looked at it */
    bool resend_stopped; /* curl would have sent it once more, unasked, or on a new connection */

    /* all of it */
    enum http_state state;
    struct loop_timer *timer; /* by state: the try's deadline, the wait's end, the next turn */
    unsigned tries;
    bool unclear;   /* some try may have acted */
    struct err why; /* HTTP_ENDING: what the callback will be told */
};

struct http {
    struct loop *loop; /* borrowed */
    CURLM *multi;
    struct loop_timer *timer; /* curl's */
    struct http_socket *sockets;
    struct http_call *calls;
    char *ca_file, *client_cert, *proxy, *no_proxy, *user_agent;
    struct curl_slist *proxy_headers; /* the login: wiped when freed */
    uint64_t connect_ms;
    size_t connections;
    bool one_connection;
    struct http_peer peer; /* one_connection: of the last connection */
    bool has_peer;
    uint64_t sent;
    unsigned busy; /* we are below one of our own callbacks: memory of `h` must stay */
    bool freed;    /* http_free was called there */
};

/* NULL: no memory. */
CURLM *http_multi_make(struct http *h);
/* Ends h->multi, its connections, sockets and timer. */
void http_multi_free(struct http *h);
/* http.c: called when curl has had its turn. May free `h`. */
void http_turned(struct http *h, CURLMcode how);

/* The curl handle and the headers of a call, from its ask. ERR_INVALID, ERR_NOMEM. */
int http_easy_make(struct http_call *c, const struct http_ask *ask, struct err *e);
/* For each try: the new id, and nothing left of the try before. */
int http_easy_again(struct http_call *c, struct err *e);
/* Did bytes of the request itself (not of a proxy's CONNECT) go out? */
bool http_easy_sent(const struct http_call *c);
/* New connections of this try. Where there is one, h->peer is of it now. */
unsigned http_easy_connected(const struct http_call *c);
/* False: not a certificate in PEM. */
bool http_peer_read(const char *pem, struct http_peer *ret_peer);
/* Wipes each string and frees all. */
void http_slist_free(struct curl_slist *l);
/* "name: value" of which `value` may be a secret; malloc'd, in front of *list. */
int http_slist_add(struct curl_slist **list, const char *name, const void *value, size_t n,
                   struct err *e);
/* "Proxy-Authorization: Basic ..." */
int http_slist_add_login(struct curl_slist **list, const struct secret *login, struct err *e);

#endif
