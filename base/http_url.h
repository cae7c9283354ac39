/* base/http_url.h -- inside base/ only: a URL taken apart, more strictly than RFC 3986.
 *
 * scheme "http" or "https", a host, an optional port, an optional path, an optional query. Refused:
 * a user part, a fragment, a path with "." or ".." parts (encoded ones too: who normalizes them is
 * anybody's guess), backslashes, spaces, control bytes, whatever is not ASCII, broken %-escapes.
 * The parser knows nothing of libcurl, and what it lets through libcurl reads the same way.
 */
#ifndef CORDON_BASE_HTTP_URL_H
#define CORDON_BASE_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_URL_MAX = 16384, HTTP_HOST_MAX = 253 };

struct http_url {
    bool tls;
    char host[HTTP_HOST_MAX + 1]; /* lower case; without the brackets of an IPv6 address */
    unsigned port;                /* given, or the scheme's own */
    const char *path;             /* into the text; "" or from '/' on */
    size_t path_len;
    bool has_query;
};

/* False: not such a URL; *ret_why then says what is wrong with it, in words of ours. */
bool http_url_parse(const char *s, struct http_url *ret_url, const char **ret_why);
/* localhost, 127.0.0.0/8 or ::1. */
bool http_url_is_loopback(const struct http_url *u);
/* 169.254.169.254: where the metadata service of a virtual machine is. */
bool http_url_is_metadata(const struct http_url *u);
/* 169.254.0.0/16 or fe80::/10: never where a token may go. */
bool http_url_is_link_local(const struct http_url *u);

#endif
