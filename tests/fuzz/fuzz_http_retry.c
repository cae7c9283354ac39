/* tests/fuzz/fuzz_http_retry.c -- what a server says of time, and URLs it hands us. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/http_inside.h"

#define DAY_MS (24ULL * 60 * 60 * 1000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_times(const char *s)
{
    struct http_verdict v = {.end = HTTP_END_ANSWER, .status = 429, .named = true};
    int64_t when;
    uint64_t ms;

    (void)http_date(s, &when);
    if (http_rate_limit_reset(s, 1795000000000, &ms))
        assert(ms >= 1000 && ms <= DAY_MS);
    if (!http_retry_after(s, 1795000000000, &ms))
        return;
    assert(ms <= DAY_MS);
    v.named_ms = ms;
    ms = http_wait_ms(&v, 1000, 2, (uint32_t)strlen(s) * 2654435761U);
    assert(ms >= v.named_ms && ms >= 1 && ms <= DAY_MS + DAY_MS / 5);
}

static void check_url(const char *s)
{
    struct http_url u;
    const char *why;
    struct err e;

    if (!http_url_parse(s, &u, &why)) {
        assert(why != NULL && !http_same_root(s, s) && http_check_root(s, true, &e) < 0);
        return;
    }
    assert(u.host[0] != '\0' && u.port > 0 && u.port < 65536);
    assert(u.path >= s && u.path + u.path_len <= s + strlen(s));
    assert(u.path_len == 0 || u.path[0] == '/');
    if (!u.has_query)
        assert(http_same_root(s, s));
    /* What a token may go to is never another host. */
    if (http_same_root(s, "https://graph.microsoft.com/v1.0"))
        assert(u.tls && strcmp(u.host, "graph.microsoft.com") == 0 && u.port == 443);
    /* libcurl reads it the same way. */
    {
        CURLU *c = curl_url();
        char *host = NULL, *port = NULL, *user = NULL;

        assert(c != NULL && curl_url_set(c, CURLUPART_URL, s, 0) == CURLUE_OK);
        assert(curl_url_get(c, CURLUPART_USER, &user, 0) == CURLUE_NO_USER);
        assert(curl_url_get(c, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK);
        assert((unsigned)strtoul(port, NULL, 10) == u.port);
        assert(curl_url_get(c, CURLUPART_HOST, &host, 0) == CURLUE_OK);
        if (host[0] != '[' && strspn(host, "0123456789.") != strlen(host))
            assert(strcasecmp(host, u.host) == 0);
        curl_free(host);
        curl_free(port);
        curl_url_cleanup(c);
    }
}

/* Header lines, one from each line of the input, and then the body. */
static void check_answer(const uint8_t *data, size_t n)
{
    struct http_got g;
    char id[HTTP_ID_MAX];
    int64_t date;
    uint64_t ms;
    bool named;
    size_t at = 0;

    http_got_init(&g, 1024, n % 2 == 0);
    while (at < n) {
        const uint8_t *end = memchr(data + at, '\n', n - at);
        size_t len = end != NULL ? (size_t)(end - data) + 1 - at : n - at;
        char *line = malloc(len);

        assert(line != NULL);
        memcpy(line, data + at, len);
        if (http_got_header(line, 1, len, &g) != len) {
            free(line);
            break;
        }
        (void)http_got_body(line, 1, len, &g);
        assert(g.len <= 1024 && g.field_count <= HTTP_HEADERS_MAX);
        free(line);
        at += len;
    }
    http_got_read(&g, 429, &date, id, &named, &ms);
    assert(strlen(id) < HTTP_ID_MAX && strpbrk(id, "\r\n \033") == NULL);
    (void)http_got_field(&g, "request-id", 1);
    http_got_clear(&g);
    assert(g.len == 0 && http_got_field(&g, "Date", 0) == NULL);
    http_got_done(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct text t = TEXT_INIT(1 << 20);
    char *s = strndup((const char *)data, n);

    assert(s != NULL);
    check_times(s);
    check_url(s);
    check_answer(data, n);
    http_escape(&t, (const char *)data, n);
    assert(t.failed || strspn(t.s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "-._~%") == t.len);
    text_done(&t);
    free(s);
    return 0;
}
