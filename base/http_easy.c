/* base/http_easy.c -- every curl handle is made here, and nowhere else (checklist H1).
 *
 * What curl would do by itself and must not: follow a redirect, read the environment or a .netrc,
 * keep a cookie, fall back to plain http, look at authorities besides ours, and send a request
 * twice. The last is subtle: where a reused connection dies before the first byte of the answer,
 * curl sends the request again on a new one, a POST too, although the server may have acted on the
 * first. on_send sees each sending before it happens, and stops the second one of HTTP_ONCE unless
 * not a byte of the first went out, or HTTP/2's REFUSED_STREAM said that nobody has looked at it.
 * (On a reused connection curl does not tell REFUSED_STREAM from a dead one: then it is stopped.)
 */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/http_inside.h"
#include "base/id.h"

enum { HEADER_VALUE_MAX = 8192, AUTHORIZATION_MAX = 70000, LOGIN_MAX = 1024 };

/* --- header lines ---------------------------------------------------------------------------- */

void http_slist_free(struct curl_slist *l)
{
    while (l != NULL) {
        struct curl_slist *next = l->next;

        if (l->data != NULL)
            explicit_bzero(l->data, strlen(l->data));
        free(l->data);
        free(l);
        l = next;
    }
}

int http_slist_add(struct curl_slist **list, const char *name, const void *value, size_t n,
                   struct err *e)
{
    struct curl_slist *node = calloc(1, sizeof(*node));
    size_t len = strlen(name);
    /* To curl "name:" means that the header is to be left out, "name;" that it is empty. */
    const char *between = n > 0 ? ": " : ";";

    if (node == NULL || (node->data = malloc(len + 2 + n + 1)) == NULL) {
        free(node);
        return err_set(e, ERR_NOMEM, 0, "http");
    }
    memcpy(node->data, name, len);
    memcpy(node->data + len, between, strlen(between));
    len += strlen(between);
    memcpy(node->data + len, value, n);
    node->data[len + n] = '\0';
    node->next = *list;
    *list = node;
    return 0;
}

/* "name:": curl leaves out what it would send by itself. */
static int leave_out(struct curl_slist **list, const char *line, struct err *e)
{
    struct curl_slist *node = calloc(1, sizeof(*node));

    if (node == NULL || (node->data = strdup(line)) == NULL) {
        free(node);
        return err_set(e, ERR_NOMEM, 0, "http");
    }
    node->next = *list;
    *list = node;
    return 0;
}

/* RFC 9110 5.6.2 */
static bool is_token(const char *s)
{
    return *s != '\0' && strlen(s) <= 64 &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                     "!#$%&'*+-.^_`|~") == strlen(s);
}

/* Visible ASCII, spaces and tabs; H5. */
static bool is_value(const uint8_t *s, size_t n, size_t max)
{
    for (size_t i = 0; i < n; i++) {
        if ((s[i] < ' ' && s[i] != '\t') || s[i] > '~')
            return false;
    }
    return n <= max;
}

static const uint8_t *bytes_of(const struct secret *s)
{
    return secret_bytes((struct secret *)s); /* only read */
}

/* Not URL-decoded, not split, not answered to a challenge: what curl does with CURLOPT_PROXYUSERPWD
 * depends on its version. It goes into the CONNECT and nowhere else (CURLHEADER_SEPARATE). */
int http_slist_add_login(struct curl_slist **list, const struct secret *login, struct err *e)
{
    static const char basic[] = "Basic ";
    size_t n = secret_len(login);
    CLEANUP(secret_freep) struct secret *value = NULL;
    const uint8_t *s = bytes_of(login);

    while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\r'))
        n--;
    if (n > LOGIN_MAX || memchr(s, ':', n) == NULL || memchr(s, '\n', n) != NULL ||
        memchr(s, '\0', n) != NULL)
        return err_set(e, ERR_CONFIG, 0, "the proxy's login is one line, user:password");
    if (secret_new(sizeof(basic) + (n + 2) / 3 * 4, &value, e) < 0)
        return -1;
    memcpy(secret_bytes(value), basic, strlen(basic));
    (void)EVP_EncodeBlock(secret_bytes(value) + strlen(basic), s, (int)n);
    return http_slist_add(list, "Proxy-Authorization", secret_bytes(value),
                          strlen((char *)secret_bytes(value)), e);
}

static int take_headers(struct http_call *c, const struct http_ask *ask, struct err *e)
{
    bool typed = false;

    for (size_t i = 0; i < ask->header_count; i++) {
        const struct http_header *hd = &ask->headers[i];

        if (!is_token(hd->name) ||
            !is_value((const uint8_t *)hd->value, strlen(hd->value), HEADER_VALUE_MAX))
            return err_set(e, ERR_INVALID, 0, "http: header that cannot be sent");
        if (http_slist_add(&c->headers, hd->name, hd->value, strlen(hd->value), e) < 0)
            return -1;
        typed = typed || text_eq_nocase(hd->name, "Content-Type");
    }
    /* Of itself curl waits for a "100 Continue", and calls each body a form. */
    if (leave_out(&c->headers, "Expect:", e) < 0 ||
        (!typed && leave_out(&c->headers, "Content-Type:", e) < 0))
        return -1;
    if (ask->authorization == NULL)
        return 0;
    if (!is_value(bytes_of(ask->authorization), secret_len(ask->authorization),
                  AUTHORIZATION_MAX) ||
        secret_len(ask->authorization) == 0)
        return err_set(e, ERR_INVALID, 0, "http: authorization that cannot be sent");
    return http_slist_add(&c->headers, "Authorization", bytes_of(ask->authorization),
                          secret_len(ask->authorization), e);
}

/* --- what curl asks us on the way ------------------------------------------------------------ */

bool http_easy_sent(const struct http_call *c)
{
    long size = 0;

    if (c->sends == 0)
        return false;
    (void)curl_easy_getinfo(c->easy, CURLINFO_REQUEST_SIZE, &size);
    return size > c->size_before;
}

/* The connection stands, and the request is about to be sent. */
static int on_send(void *arg, char *peer, char *us, int peer_port, int our_port)
{
    struct http_call *c = arg;
    long connects = 0;

    (void)peer;
    (void)us;
    (void)peer_port;
    (void)our_port;
    if ((c->flags & HTTP_SAME_CONNECTION) != 0 &&
        curl_easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &connects) == CURLE_OK && connects > 0) {
        c->resend_stopped = true;
        return CURL_PREREQFUNC_ABORT;
    }
    if (c->sends > 0 && c->repeat == HTTP_ONCE && http_easy_sent(c) && !c->refused_stream) {
        c->resend_stopped = true;
        return CURL_PREREQFUNC_ABORT;
    }
    if (c->sends == 0)
        (void)curl_easy_getinfo(c->easy, CURLINFO_REQUEST_SIZE, &c->size_before);
    c->sends++;
    c->refused_stream = false;
    c->h->sent++;
    return CURL_PREREQFUNC_OK;
}

unsigned http_easy_connected(const struct http_call *c)
{
    struct curl_certinfo *chain = NULL;
    long connects = 0;

    (void)curl_easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &connects);
    if (connects <= 0)
        return 0;
    c->h->has_peer = false;
    if (c->h->one_connection && c->target.tls &&
        curl_easy_getinfo(c->easy, CURLINFO_CERTINFO, &chain) == CURLE_OK && chain != NULL &&
        chain->num_of_certs > 0) {
        for (const struct curl_slist *l = chain->certinfo[0]; l != NULL; l = l->next) {
            if (text_starts(l->data, "Cert:"))
                c->h->has_peer = http_peer_read(l->data + strlen("Cert:"), &c->h->peer);
        }
    }
    return (unsigned)connects;
}

/* Only to learn of REFUSED_STREAM: nothing else here is looked at, least of all headers. Were the
 * words to change, a request would end as unproven instead of being sent again. */
static int on_debug(CURL *easy, curl_infotype type, char *s, size_t n, void *arg)
{
    static const char refused[] = "REFUSED_STREAM";
    struct http_call *c = arg;

    (void)easy;
    if (type == CURLINFO_TEXT && memmem(s, n, refused, strlen(refused)) != NULL)
        c->refused_stream = true;
    return 0;
}

/* Close-on-exec from the start; and no way to link-local addresses but where that was asked for,
 * whatever a name resolves to (H9). */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    const struct http_call *c = arg;
    bool local = false;

    (void)purpose;
    if (a->family == AF_INET)
        local =
            ntohl(((const struct sockaddr_in *)(const void *)&a->addr)->sin_addr.s_addr) >> 16 ==
            0xa9fe;
    else if (a->family == AF_INET6)
        local = IN6_IS_ADDR_LINKLOCAL(
            &((const struct sockaddr_in6 *)(const void *)&a->addr)->sin6_addr);
    if (local && !((c->flags & HTTP_PLAIN_LOCAL) != 0 && http_url_is_metadata(&c->target)))
        return CURL_SOCKET_BAD;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* --- the handle ------------------------------------------------------------------------------ */

#define SET(option, value)                                                                     \
    do {                                                                                       \
        CURLcode rc_ = curl_easy_setopt(easy, (option), (value));                              \
        if (rc_ != CURLE_OK)                                                                   \
            return err_set(e, rc_ == CURLE_OUT_OF_MEMORY ? ERR_NOMEM : ERR_INTERNAL, (int)rc_, \
                           "http: curl refuses " #option);                                     \
    } while (0)

static int set_trust(const struct http *h, CURL *easy, struct err *e)
{
    const char *system = curl_version_info(CURLVERSION_NOW)->cainfo;

    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* One file, and no folder besides it: the folder's authorities would count as well, and with
     * one curl does not keep what it has read, but reads it anew for each connection. */
    if (h->ca_file != NULL || (system != NULL && access(system, R_OK) == 0)) {
        SET(CURLOPT_CAINFO, h->ca_file != NULL ? h->ca_file : system);
        SET(CURLOPT_CAPATH, (char *)NULL);
    }
    if (h->one_connection)
        SET(CURLOPT_CERTINFO, 1L);
    if (h->client_cert != NULL) {
        SET(CURLOPT_SSLCERT, h->client_cert); /* the key is looked for in the same file */
        SET(CURLOPT_SSLCERTTYPE, "PEM");
    }
    return 0;
}

static int set_way(const struct http_call *c, CURL *easy, struct err *e)
{
    const struct http *h = c->h;
    bool proxy =
        h->proxy != NULL && !h->one_connection && (c->flags & HTTP_NO_PROXY) == 0 && c->target.tls;

    SET(CURLOPT_URL, c->url);
    SET(CURLOPT_PROTOCOLS_STR, c->target.tls ? "https" : "http");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "https"); /* "" is refused; none is followed */
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    /* Both always: where one is not set, curl looks into the environment. */
    SET(CURLOPT_PROXY, proxy ? h->proxy : "");
    SET(CURLOPT_NOPROXY, proxy && h->no_proxy != NULL ? h->no_proxy : "");
    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (proxy && h->proxy_headers != NULL)
        SET(CURLOPT_PROXYHEADER, h->proxy_headers);
    SET(CURLOPT_HTTP_VERSION,
        (long)(h->one_connection ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
    SET(CURLOPT_PIPEWAIT, 1L); /* rather share a connection than open one */
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)h->connect_ms);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* a look-up that hangs must not hold up whoever gives up */
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, c);
    return 0;
}

static int set_request(struct http_call *c, CURL *easy, struct err *e)
{
    bool post = strcmp(c->method, "POST") == 0;
    bool bodied = post || strcmp(c->method, "PUT") == 0 || strcmp(c->method, "PATCH") == 0;

    if (bodied || c->body_len > 0) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, c->body != NULL ? (char *)c->body : ""); /* ours: not copied */
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body_len);
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
    if (!post)
        SET(CURLOPT_CUSTOMREQUEST, c->method);
    SET(CURLOPT_USERAGENT, c->h->user_agent);
    if (!c->h->one_connection)
        SET(CURLOPT_ACCEPT_ENCODING, "gzip");
    SET(CURLOPT_PREREQFUNCTION, on_send);
    SET(CURLOPT_PREREQDATA, c);
    if (c->repeat == HTTP_ONCE) {
        SET(CURLOPT_VERBOSE, 1L);
        SET(CURLOPT_DEBUGFUNCTION, on_debug);
        SET(CURLOPT_DEBUGDATA, c);
    }
    return 0;
}

static int set_answer(struct http_call *c, CURL *easy, struct err *e)
{
    SET(CURLOPT_HEADERFUNCTION, http_got_header);
    SET(CURLOPT_HEADERDATA, &c->got);
    SET(CURLOPT_WRITEFUNCTION, http_got_body);
    SET(CURLOPT_WRITEDATA, &c->got);
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)c->got.max);
    SET(CURLOPT_ERRORBUFFER, c->curl_said);
    SET(CURLOPT_PRIVATE, c);
    return 0;
}

static bool method_ok(const char *s)
{
    static const char *const known[] = {"GET", "POST", "PATCH", "DELETE", "PUT"};

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(s, known[i]) == 0)
            return true;
    }
    return false;
}

/* Where may a request go? */
static int check_url(struct http_call *c, const char *url, struct err *e)
{
    bool plain_fine;
    const char *why;

    /* The URL itself is not repeated: its query may hold a secret. */
    if (!http_url_parse(url, &c->target, &why))
        return err_set(e, ERR_INVALID, 0, "http: a URL that cannot be used: %s", why);
    plain_fine = (c->flags & HTTP_PLAIN_LOCAL) != 0 &&
                 (http_url_is_loopback(&c->target) || http_url_is_metadata(&c->target));
    if (!c->target.tls && !plain_fine && (c->flags & HTTP_PLAIN_SEALED) == 0)
        return err_set(e, ERR_INVALID, 0, "http: %s: only https:// is used", c->target.host);
    if (http_url_is_link_local(&c->target) && !plain_fine)
        return err_set(e, ERR_INVALID, 0, "http: %s: a link-local address", c->target.host);
    return 0;
}

int http_easy_make(struct http_call *c, const struct http_ask *ask, struct err *e)
{
    if (!method_ok(ask->method))
        return err_set(e, ERR_INVALID, 0, "http: a method that is not known");
    if (ask->id_header != NULL &&
        (!is_token(ask->id_header) || strlen(ask->id_header) + 2 + HTTP_UUID > HTTP_ID_LINE))
        return err_set(e, ERR_INVALID, 0, "http: a name for an id that cannot be sent");
    if (check_url(c, c->url, e) < 0 || take_headers(c, ask, e) < 0)
        return -1;
    c->easy = curl_easy_init();
    if (c->easy == NULL)
        return err_set(e, ERR_NOMEM, 0, "http");
    return set_trust(c->h, c->easy, e) < 0 || set_way(c, c->easy, e) < 0 ||
                   set_request(c, c->easy, e) < 0 || set_answer(c, c->easy, e) < 0
               ? -1
               : 0;
}

/* RFC 9562 5.4 */
static int new_uuid(char buf[HTTP_UUID], struct err *e)
{
    uint8_t r[16];
    char hex[33];

    if (id_random(r, sizeof(r), e) < 0)
        return -1;
    r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
    r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
    id_hex(hex, r, sizeof(r));
    (void)snprintf(buf, HTTP_UUID, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
                   hex + 20);
    return 0;
}

int http_easy_again(struct http_call *c, struct err *e)
{
    CURL *easy = c->easy;

    http_got_clear(&c->got);
    c->curl_said[0] = '\0';
    c->sends = 0;
    c->size_before = 0;
    c->refused_stream = c->resend_stopped = false;
    c->id_node = (struct curl_slist){.next = c->headers};
    if (c->id_header == NULL) {
        SET(CURLOPT_HTTPHEADER, c->headers);
        return 0;
    }
    if (new_uuid(c->id, e) < 0)
        return -1;
    (void)snprintf(c->id_line, sizeof(c->id_line), "%s: %s", c->id_header, c->id);
    c->id_node.data = c->id_line;
    SET(CURLOPT_HTTPHEADER, &c->id_node);
    return 0;
}
