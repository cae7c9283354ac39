/* cloud/queue_azure_sign.c -- Shared Key, the string to sign and its HMAC; SAS taken in. See
 * azure-queue-storage.md 3 and queue_azure_inside.h.
 *
 *   VERB, eleven headers that are empty but for length and type, the x-ms- headers in order,
 *   "/" ACCOUNT, the path as sent, and each parameter, decoded, in order.
 *
 * The path as sent begins with the account once more where the address is path style.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "cloud/queue_azure_inside.h"

enum { PAIRS_MAX = 16, STRING_MAX = 16 * 1024, KEY_TEXT_MAX = 1024, SAS_MAX = 4096 };

void azure_date(int64_t ms, char ret_date[AZURE_DATE])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t secs = (time_t)(ms / 1000);
    struct tm tm;

    /* Not strftime: names of days depend on the locale. */
    if (gmtime_r(&secs, &tm) == NULL)
        memset(&tm, 0, sizeof(tm));
    (void)snprintf(ret_date, AZURE_DATE, "%s, %02u %s %04u %02u:%02u:%02u GMT",
                   days[tm.tm_wday % 7], (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
                   (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                   (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

/* --- the string ------------------------------------------------------------------------------ */

struct pair {
    const char *name, *value;
    size_t name_len, value_len;
};

static int by_name(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    size_t n = x->name_len < y->name_len ? x->name_len : y->name_len;
    int rc = strncasecmp(x->name, y->name, n);

    if (rc != 0)
        return rc;
    return x->name_len < y->name_len ? -1 : x->name_len > y->name_len;
}

static void add_lower(struct text *t, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        text_addc(t, (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] - 'A' + 'a' : s[i]));
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void add_decoded(struct text *t, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '%' && n - i > 2 && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0) {
            text_addc(t, (char)(hex(s[i + 1]) << 4 | hex(s[i + 2])));
            i += 2;
        } else {
            text_addc(t, s[i]);
        }
    }
}

static const char *header(const struct azure_request *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++) {
        if (text_eq_nocase(r->headers[i].name, name))
            return r->headers[i].value;
    }
    return "";
}

/* Our own headers have no folded lines and nothing to trim. */
static int add_headers(const struct azure_request *r, struct text *t, struct err *e)
{
    struct pair pairs[PAIRS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < r->header_count; i++) {
        const struct http_header *h = &r->headers[i];

        if (strncasecmp(h->name, "x-ms-", 5) != 0)
            continue;
        if (n == PAIRS_MAX)
            return err_set(e, ERR_INTERNAL, 0, "Azure: too many headers");
        pairs[n++] = (struct pair){h->name, h->value, strlen(h->name), strlen(h->value)};
    }
    qsort(pairs, n, sizeof(*pairs), by_name);
    for (size_t i = 0; i < n; i++) {
        add_lower(t, pairs[i].name, pairs[i].name_len);
        text_addc(t, ':');
        text_addn(t, pairs[i].value, pairs[i].value_len);
        text_addc(t, '\n');
    }
    return 0;
}

static int add_resource(const struct azure_request *r, const char *account, struct text *t,
                        struct err *e)
{
    const char *host = strstr(r->url, "://");
    const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
    struct pair pairs[PAIRS_MAX];
    size_t n = 0, len;

    if (path == NULL)
        return err_set(e, ERR_INTERNAL, 0, "Azure: a URL without a path");
    len = strcspn(path, "?");
    text_addc(t, '/');
    text_add(t, account);
    text_addn(t, path, len);
    for (const char *s = path + len; *s != '\0'; s += len) {
        size_t name;

        s++; /* '?' or '&' */
        len = strcspn(s, "&");
        name = strcspn(s, "=&");
        if (n == PAIRS_MAX)
            return err_set(e, ERR_INTERNAL, 0, "Azure: too many parameters");
        pairs[n++] = (struct pair){s, s + name + (name < len), name, len - name - (name < len)};
    }
    qsort(pairs, n, sizeof(*pairs), by_name);
    for (size_t i = 0; i < n; i++) {
        text_addc(t, '\n');
        add_lower(t, pairs[i].name, pairs[i].name_len);
        text_addc(t, ':');
        add_decoded(t, pairs[i].value, pairs[i].value_len);
    }
    return 0;
}

int azure_string_to_sign(const struct azure_request *r, const char *account, struct text *t,
                         struct err *e)
{
    text_add(t, r->method);
    text_add(t, "\n\n\n"); /* encoding, language */
    if (r->body_len > 0)
        text_addf(t, "%zu", r->body_len);
    text_add(t, "\n\n"); /* MD5 */
    text_add(t, header(r, "Content-Type"));
    text_add(t, "\n\n\n\n\n\n\n"); /* date (x-ms-date counts), four conditions, range */
    if (add_headers(r, t, e) < 0 || add_resource(r, account, t, e) < 0)
        return -1;
    return text_check(t, "Azure", e);
}

/* --- keys ------------------------------------------------------------------------------------ */

static const char *chars(const struct secret *s, size_t *ret_len)
{
    const char *p = (const char *)secret_bytes((struct secret *)s); /* only read */
    size_t n = secret_len(s);

    while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r' || p[n - 1] == ' ' || p[n - 1] == '\t'))
        n--;
    *ret_len = n;
    return p;
}

int azure_key(const struct secret *key, struct secret **ret_bytes, struct err *e)
{
    CLEANUP(secret_freep) struct secret *scratch = NULL, *out = NULL;
    const char *s;
    size_t n, len;

    s = chars(key, &n);
    if (n == 0 || n > KEY_TEXT_MAX)
        return err_set(e, ERR_CONFIG, 0, "Azure: the account's key is base64, as the portal shows");
    if (secret_new(n, &scratch, e) < 0)
        return -1;
    if (!queue_unbase64(secret_bytes(scratch), s, n, &len) || len == 0)
        return err_set(e, ERR_CONFIG, 0, "Azure: the account's key is base64, as the portal shows");
    if (secret_new(len, &out, e) < 0)
        return -1;
    memcpy(secret_bytes(out), secret_bytes(scratch), len);
    *ret_bytes = TAKE(out);
    return 0;
}

int azure_shared_key(const struct azure_request *r, const char *account, struct secret *key,
                     struct secret **ret_authorization, struct err *e)
{
    struct text t = TEXT_INIT(STRING_MAX);
    CLEANUP(secret_freep) struct secret *s = NULL;
    unsigned char mac[32];
    unsigned len = 0;
    char head[64];
    int n = snprintf(head, sizeof(head), "SharedKey %s:", account), rc;

    rc = azure_string_to_sign(r, account, &t, e);
    if (rc == 0 && (n < 0 || (size_t)n >= sizeof(head) ||
                    HMAC(EVP_sha256(), secret_bytes(key), (int)secret_len(key),
                         (const unsigned char *)t.s, t.len, mac, &len) == NULL ||
                    len != sizeof(mac)))
        rc = err_set(e, ERR_INTERNAL, 0, "Azure: the request cannot be signed");
    text_done(&t);
    /* 32 bytes are 44 characters; EncodeBlock writes a NUL, which secret_new has room for. */
    if (rc < 0 || secret_new((size_t)n + 44, &s, e) < 0)
        return -1;
    memcpy(secret_bytes(s), head, (size_t)n);
    (void)EVP_EncodeBlock(secret_bytes(s) + n, mac, (int)len);
    *ret_authorization = TAKE(s);
    return 0;
}

int azure_sas(const struct secret *sas, struct secret **ret_sas, struct err *e)
{
    CLEANUP(secret_freep) struct secret *out = NULL;
    bool signature = false;
    const char *s;
    size_t n;

    s = chars(sas, &n);
    if (n > 0 && *s == '?') {
        s++;
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        signature = signature ||
                    ((i == 0 || s[i - 1] == '&') && n - i > 4 && memcmp(s + i, "sig=", 4) == 0);
        /* What http takes in a query. */
        if (s[i] <= ' ' || s[i] > '~' || strchr("#\"<>\\^`{|}", s[i]) != NULL)
            return err_set(e, ERR_CONFIG, 0, "Azure: the SAS holds what no URL may");
    }
    if (n > SAS_MAX || !signature)
        return err_set(e, ERR_CONFIG, 0,
                       "Azure: a SAS is one line, \"sv=...&sig=...\", as the portal shows it");
    if (secret_new(n, &out, e) < 0)
        return -1;
    memcpy(secret_bytes(out), s, n);
    *ret_sas = TAKE(out);
    return 0;
}
