/* base/http_url.c -- URLs: taken apart, compared, checked, and text made fit for them. */
#include "base/http_url.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/http.h"
#include "base/text.h"

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* --- taking apart ---------------------------------------------------------------------------- */

/* "name" or "[address]". Returns what follows it, or NULL. */
static const char *parse_host(const char *s, struct http_url *u)
{
    static const char name_set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789-._";
    bool bracket = *s == '[';
    size_t n = bracket ? strcspn(++s, "]") : strspn(s, name_set);

    if (n == 0 || n > HTTP_HOST_MAX || (bracket && s[n] != ']'))
        return NULL;
    memcpy(u->host, s, n);
    u->host[n] = '\0';
    for (char *c = u->host; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
    if (bracket) {
        struct in6_addr addr;

        return inet_pton(AF_INET6, u->host, &addr) == 1 ? s + n + 1 : NULL;
    }
    /* No empty labels; a dot at the end is one too (another name for the same host). */
    if (u->host[0] == '.' || u->host[0] == '-' || u->host[n - 1] == '.' ||
        strstr(u->host, "..") != NULL)
        return NULL;
    return s + n;
}

static const char *parse_port(const char *s, struct http_url *u)
{
    unsigned port = 0;
    size_t n = 0;

    u->port = u->tls ? 443 : 80;
    if (*s != ':')
        return s;
    for (s++; *s >= '0' && *s <= '9' && n < 6; s++, n++)
        port = port * 10 + (unsigned)(*s - '0');
    if (n == 0 || port == 0 || port > 65535)
        return NULL;
    u->port = port;
    return s;
}

/* One segment of a path is "." or "..", with the dots plain or as %2e. */
static bool is_dots(const char *s, size_t n)
{
    size_t dots = 0;

    for (size_t i = 0; i < n; dots++) {
        if (s[i] == '.')
            i++;
        else if (n - i >= 3 && s[i] == '%' && s[i + 1] == '2' && (s[i + 2] | 0x20) == 'e')
            i += 3;
        else
            return false;
    }
    return dots == 1 || dots == 2;
}

/* Path and query: visible ASCII that may stand there, whole escapes. */
static bool rest_ok(const char *s, const char **ret_why)
{
    static const char others[] = "!$&'()*+,;=:@/?";

    for (; *s != '\0'; s++) {
        if (is_unreserved(*s) || strchr(others, *s) != NULL)
            continue;
        if (*s == '%' && hex_value(s[1]) >= 0 && hex_value(s[2]) >= 0) {
            if (s[1] == '0' && s[2] == '0') {
                *ret_why = "an encoded NUL";
                return false;
            }
            continue;
        }
        *ret_why = *s == '#' ? "a fragment" : "a character that must be percent-encoded";
        return false;
    }
    return true;
}

bool http_url_parse(const char *s, struct http_url *ret_url, const char **ret_why)
{
    struct http_url u = {0};
    size_t authority;

    if (strnlen(s, HTTP_URL_MAX + 1) > HTTP_URL_MAX) {
        *ret_why = "it is too long";
        return false;
    }
    u.tls = strncasecmp(s, "https://", 8) == 0;
    if (!u.tls && strncasecmp(s, "http://", 7) != 0) {
        *ret_why = "it does not begin with https://";
        return false;
    }
    s += u.tls ? 8 : 7;
    authority = strcspn(s, "/?#");
    if (memchr(s, '@', authority) != NULL) {
        *ret_why = "no name or password in a URL: secrets are never values";
        return false;
    }
    *ret_why = "no host name";
    if ((s = parse_host(s, &u)) == NULL)
        return false;
    *ret_why = "no port number from 1 to 65535";
    if ((s = parse_port(s, &u)) == NULL)
        return false;
    *ret_why = "a character that does not belong in a host name";
    if (*s != '\0' && *s != '/' && *s != '?' && *s != '#')
        return false;
    if (!rest_ok(s, ret_why))
        return false;

    u.path = s;
    u.path_len = strcspn(s, "?");
    u.has_query = s[u.path_len] == '?';
    *ret_why = "'.' and '..' in the path";
    for (size_t i = 0; i < u.path_len;) {
        size_t n;

        i++; /* the slash */
        n = strcspn(s + i, "/?");
        if (is_dots(s + i, n))
            return false;
        i += n;
    }
    *ret_url = u;
    *ret_why = NULL;
    return true;
}

bool http_url_is_loopback(const struct http_url *u)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (strcmp(u->host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, u->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, u->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool http_url_is_metadata(const struct http_url *u)
{
    return strcmp(u->host, "169.254.169.254") == 0;
}

bool http_url_is_link_local(const struct http_url *u)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, u->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 16 == 0xa9fe;
    if (inet_pton(AF_INET6, u->host, &v6) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&v6))
        return v6.s6_addr[12] == 169 && v6.s6_addr[13] == 254;
    return IN6_IS_ADDR_LINKLOCAL(&v6);
}

/* --- for callers ----------------------------------------------------------------------------- */

bool http_same_root(const char *url, const char *root)
{
    struct http_url u, r;
    const char *why;
    size_t n;

    if (!http_url_parse(url, &u, &why) || !http_url_parse(root, &r, &why) || r.has_query)
        return false;
    if (u.tls != r.tls || u.port != r.port || strcmp(u.host, r.host) != 0)
        return false;
    n = r.path_len;
    while (n > 0 && r.path[n - 1] == '/')
        n--;
    return u.path_len >= n && memcmp(u.path, r.path, n) == 0 &&
           (u.path_len == n || n == 0 || u.path[n] == '/');
}

int http_check_root(const char *url, bool plain_local, struct err *e)
{
    char shown[TEXT_SHOWN];
    struct http_url u;
    const char *why;
    bool plain_fine;

    if (!http_url_parse(url, &u, &why)) {
        /* What is before an '@' may be a password: such a text is not repeated. */
        if (strchr(url, '@') != NULL)
            return err_set(e, ERR_CONFIG, 0, "%s", why);
        return err_set(e, ERR_CONFIG, 0, "'%s' is no URL that can be used: %s",
                       text_shown(shown, url), why);
    }
    (void)text_shown(shown, url);
    plain_fine = plain_local && (http_url_is_loopback(&u) || http_url_is_metadata(&u));
    if (!u.tls && !plain_fine)
        return err_set(e, ERR_CONFIG, 0, "'%s': only https:// is used%s", shown,
                       plain_local ? ", but for 169.254.169.254 and loopback" : "");
    if (!plain_fine && http_url_is_link_local(&u))
        return err_set(e, ERR_CONFIG, 0, "'%s': a link-local address is nobody's name", shown);
    if (u.has_query)
        return err_set(e, ERR_CONFIG, 0, "'%s': no '?' here", shown);
    if (u.path_len > 0 && u.path[u.path_len - 1] == '/')
        return err_set(e, ERR_CONFIG, 0, "'%s': without the '/' at its end", shown);
    return 0;
}

int http_check_proxy(const char *url, struct err *e)
{
    char shown[TEXT_SHOWN];
    struct http_url u;
    const char *why;

    if (strchr(url, '@') != NULL)
        return err_set(e, ERR_CONFIG, 0,
                       "no name or password in a proxy's URL: a file that holds them is named "
                       "instead");
    (void)text_shown(shown, url);
    /* The port must be there: what libcurl takes without one (1080) nobody expects. */
    if (!http_url_parse(url, &u, &why) || u.tls || u.path_len > 0 || u.has_query ||
        url[strlen(url) - 1] < '0' || url[strlen(url) - 1] > '9' || strrchr(url + 7, ':') == NULL ||
        (strchr(url, ']') != NULL && strrchr(url, ':') < strchr(url, ']')))
        return err_set(e, ERR_CONFIG, 0, "'%s': a proxy is written http://host:port", shown);
    return 0;
}

void http_escape(struct text *t, const char *s, size_t n)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        char out[3] = {'%', digits[c >> 4], digits[c & 15]};

        if (is_unreserved(s[i]))
            text_addc(t, s[i]);
        else
            text_addn(t, out, sizeof(out));
    }
}
