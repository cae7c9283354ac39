/* base/http_answer.c -- what a server sends back, counted as it comes. See http_inside.h.
 *
 * Invariants: no more than got.max bytes of body (unpacked: curl unpacks before it calls) and
 * HTTP_HEADER_BYTES_MAX of headers are ever kept; a byte more ends the transfer.
 */
#include <stdlib.h>
#include <string.h>

#include "base/http_inside.h"
#include "base/stamp.h"

void http_got_init(struct http_got *g, size_t max, bool secret)
{
    *g = (struct http_got){.max = max, .secret = secret};
    text_init(&g->text, HTTP_HEADER_BYTES_MAX + 2 * HTTP_HEADERS_MAX);
}

void http_got_clear(struct http_got *g)
{
    struct http_got old = *g;

    if (g->secret && g->body != NULL)
        explicit_bzero(g->body, g->cap);
    text_clear(&g->text);
    *g = (struct http_got){
        .body = old.body, .cap = old.cap, .max = old.max, .secret = old.secret, .text = g->text};
}

void http_got_done(struct http_got *g)
{
    if (g->secret && g->body != NULL)
        explicit_bzero(g->body, g->cap);
    free(g->body);
    g->body = NULL;
    if (g->secret)
        text_wipe(&g->text);
    else
        text_done(&g->text);
}

/* --- headers --------------------------------------------------------------------------------- */

/* "Name: value" without the end of the line. What has no colon is left out: curl has judged it. */
static void keep_field(struct http_got *g, const char *s, size_t n)
{
    const char *colon = memchr(s, ':', n);
    size_t name, value, from;

    if (colon == NULL || colon == s)
        return;
    from = (size_t)(colon - s) + 1;
    while (from < n && (s[from] == ' ' || s[from] == '\t'))
        from++;
    while (n > from && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    name = g->text.len;
    text_addn(&g->text, s, (size_t)(colon - s));
    text_addc(&g->text, '\0');
    value = g->text.len;
    text_addn(&g->text, s + from, n - from);
    text_addc(&g->text, '\0');
    if (g->text.failed) {
        g->no_memory = true;
        return;
    }
    g->fields[g->field_count++] = (struct http_field){name, value};
}

size_t http_got_header(char *s, size_t size, size_t n, void *arg)
{
    struct http_got *g = arg;
    size_t len = size * n;

    g->header_bytes += len;
    g->header_lines++;
    if (g->header_bytes > HTTP_HEADER_BYTES_MAX || g->header_lines > HTTP_HEADERS_MAX) {
        g->too_big = true;
        g->many_headers = true;
        return 0;
    }
    /* A head begins. What an interim one (103) said is forgotten. */
    if (len >= 5 && memcmp(s, "HTTP/", 5) == 0 && g->len == 0) {
        g->head_done = false;
        g->field_count = 0;
        text_clear(&g->text);
        return len;
    }
    if (g->head_done)
        return len;
    n = len;
    while (n > 0 && (s[n - 1] == '\r' || s[n - 1] == '\n'))
        n--;
    if (n == 0)
        g->head_done = true;
    else
        keep_field(g, s, n);
    return g->no_memory ? 0 : len;
}

const char *http_got_field(const struct http_got *g, const char *name, size_t nth)
{
    for (unsigned i = 0; i < g->field_count; i++) {
        if (text_eq_nocase(g->text.s + g->fields[i].name, name) && nth-- == 0)
            return g->text.s + g->fields[i].value;
    }
    return NULL;
}

/* What another host calls its request goes into logs: visible ASCII, not too long. */
static void keep_id(const struct http_got *g, char ret_id[HTTP_ID_MAX])
{
    static const char *const names[] = {"request-id", "x-ms-request-id", "X-Okta-Request-Id"};
    const char *s = NULL;
    size_t n;

    ret_id[0] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && s == NULL; i++)
        s = http_got_field(g, names[i], 0);
    if (s == NULL || (n = strlen(s)) >= HTTP_ID_MAX)
        return;
    for (size_t i = 0; i < n; i++) {
        if (s[i] <= ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\')
            return;
    }
    memcpy(ret_id, s, n + 1);
}

void http_got_read(const struct http_got *g, long status, int64_t *ret_date_ms,
                   char ret_id[HTTP_ID_MAX], bool *ret_named, uint64_t *ret_named_ms)
{
    const char *date = http_got_field(g, "Date", 0);
    const char *after = http_got_field(g, "Retry-After", 0);
    const char *reset = http_got_field(g, "X-Rate-Limit-Reset", 0);
    int64_t now;

    *ret_date_ms = 0;
    if (date == NULL || !http_date(date, ret_date_ms))
        *ret_date_ms = 0;
    now = *ret_date_ms != 0 ? *ret_date_ms : stamp_now_ms();
    *ret_named_ms = 0;
    /* X-Rate-Limit-Reset is on every answer of Okta, and means a wait only here. */
    *ret_named =
        (after != NULL && http_retry_after(after, now, ret_named_ms)) ||
        (status == 429 && reset != NULL && http_rate_limit_reset(reset, now, ret_named_ms));
    keep_id(g, ret_id);
}

/* --- body ------------------------------------------------------------------------------------ */

/* Not realloc: it may leave a copy of a secret behind. */
static bool grow(struct http_got *g, size_t least)
{
    size_t cap = g->cap == 0 ? 4096 : g->cap;
    char *p;

    while (cap < least)
        cap = cap > SIZE_MAX / 2 ? least : cap * 2;
    p = malloc(cap);
    if (p == NULL)
        return false;
    if (g->body != NULL) {
        memcpy(p, g->body, g->len);
        if (g->secret)
            explicit_bzero(g->body, g->cap);
        free(g->body);
    }
    g->body = p;
    g->cap = cap;
    return true;
}

size_t http_got_body(char *s, size_t size, size_t n, void *arg)
{
    struct http_got *g = arg;
    size_t len = size * n;

    if (len > g->max - g->len) {
        g->too_big = true;
        return 0;
    }
    if (g->len + len + 1 > g->cap && !grow(g, g->len + len + 1)) {
        g->no_memory = true;
        return 0;
    }
    memcpy(g->body + g->len, s, len);
    g->len += len;
    g->body[g->len] = '\0';
    return len;
}
