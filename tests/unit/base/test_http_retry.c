/* tests/unit/base/test_http_retry.c -- the pure parts of http: URLs, times to wait, what may be
 * repeated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/http_retry.h"
#include "base/http_url.h"
#include "base/text.h"

#define NOW 784111777000 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define DAY (24 * 60 * 60 * 1000)

static void dates(void **state)
{
    static const struct {
        const char *s;
        int64_t want; /* -1: refused */
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", NOW},
        {"Sunday, 06-Nov-94 08:49:37 GMT", NOW},
        {"Wednesday, 01-Jan-70 00:00:00 GMT", 0},
        {"Friday, 06-Nov-26 08:49:37 GMT", 1793954977000},
        {"Sun Nov  6 08:49:37 1994", NOW},
        {"Sun Nov 16 08:49:37 1994", NOW + 10LL * DAY},
        {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800000},
        {"Thu, 29 Feb 2023 00:00:00 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:37 +0000", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 nov 1994 08:49:37 GMT", -1},
        {"Son, 06 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
        {"Sun, 32 Nov 1994 08:49:37 GMT", -1},
        {"1994-11-06T08:49:37Z", -1},
        {"Sun", -1},
        {"", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = -1;
        bool ok = http_date(rows[i].s, &got);

        if (ok != (rows[i].want >= 0) || (ok && got != rows[i].want))
            fail_msg("'%s': %d %lld", rows[i].s, ok, (long long)got);
    }
}

static void retry_after(void **state)
{
    static const struct {
        const char *s;
        int64_t want; /* -1: neither */
    } rows[] = {
        {"0", 0},
        {"1", 1000},
        {"120", 120000},
        {"2.128", 2128},
        {"0.3", 300},
        {"0.0001", 1}, /* never earlier than told */
        {"1.0000", 1000},
        {"86400", DAY},
        {"86401", DAY},
        {"99999999999999999999999999999999", DAY},
        {"86399.9999", DAY},
        {"Sun, 06 Nov 1994 08:49:47 GMT", 10000},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1994 08:49:36 GMT", 0},
        {"Sun, 06 Nov 2094 08:49:36 GMT", DAY},
        {"", -1},
        {"-1", -1},
        {"+1", -1},
        {" 1", -1},
        {"1 ", -1},
        {"1.", -1},
        {".5", -1},
        {"1e3", -1},
        {"0x10", -1},
        {"1,5", -1},
        {"inf", -1},
        {"soon", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t got = 0;
        bool ok = http_retry_after(rows[i].s, NOW, &got);

        if (ok != (rows[i].want >= 0) || (ok && got != (uint64_t)rows[i].want))
            fail_msg("'%s': %d %llu", rows[i].s, ok, (unsigned long long)got);
    }
}

static void rate_limit_reset(void **state)
{
    static const struct {
        const char *s;
        int64_t now, want;
    } rows[] = {
        {"1795000010", 1795000000000, 11000}, {"1795000010", 1795000009500, 1500},
        {"1795000010", 1795000010000, 1000},  {"1795000010", 1795000500000, 1000},
        {"1795900000", 1795000000000, DAY},   {"60", 1795000000000, -1},
        {"1795000010.5", 1795000000000, -1},  {"", 1795000000000, -1},
        {"-1795000010", 1795000000000, -1},   {"99999999999999999999", 1795000000000, -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t got = 0;
        bool ok = http_rate_limit_reset(rows[i].s, rows[i].now, &got);

        if (ok != (rows[i].want >= 0) || (ok && got != (uint64_t)rows[i].want))
            fail_msg("'%s': %d %llu", rows[i].s, ok, (unsigned long long)got);
    }
}

/* What may be sent again, and what may have acted. The column that must not be wrong: ONCE. */
static void repeats(void **state)
{
    static const struct {
        enum http_end end;
        long status;
        bool named, once, safely, acted;
    } rows[] = {
        {HTTP_END_UNSENT, 0, false, true, true, false},
        {HTTP_END_NEVER, 0, false, false, false, false},
        {HTTP_END_CUT, 0, false, false, true, true},
        {HTTP_END_TIMEOUT, 0, false, false, true, true},
        {HTTP_END_INVALID, 0, false, false, false, true},
        {HTTP_END_TOOBIG, 200, false, false, false, true},
        {HTTP_END_ANSWER, 200, false, false, false, false},
        {HTTP_END_ANSWER, 204, false, false, false, false},
        {HTTP_END_ANSWER, 302, false, false, false, false},
        {HTTP_END_ANSWER, 400, false, false, false, false},
        {HTTP_END_ANSWER, 401, false, false, false, false},
        {HTTP_END_ANSWER, 404, true, false, false, false},
        {HTTP_END_ANSWER, 408, false, false, true, false},
        {HTTP_END_ANSWER, 409, false, false, false, false},
        {HTTP_END_ANSWER, 429, false, true, true, false},
        {HTTP_END_ANSWER, 429, true, true, true, false},
        {HTTP_END_ANSWER, 500, false, false, true, true},
        {HTTP_END_ANSWER, 500, true, false, true, true},
        {HTTP_END_ANSWER, 501, false, false, false, false},
        {HTTP_END_ANSWER, 502, false, false, true, true},
        {HTTP_END_ANSWER, 503, false, false, true, true},
        {HTTP_END_ANSWER, 503, true, true, true, false},
        {HTTP_END_ANSWER, 504, true, false, true, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_verdict v = {
            .end = rows[i].end, .status = rows[i].status, .named = rows[i].named};

        v.repeat = HTTP_ONCE;
        if (http_may_repeat(&v) != rows[i].once || http_may_have_acted(&v) != rows[i].acted)
            fail_msg("#%zu once", i);
        v.repeat = HTTP_SAFELY;
        if (http_may_repeat(&v) != rows[i].safely)
            fail_msg("#%zu safely", i);
        v.flags = HTTP_ONE_TRY;
        assert_false(http_may_repeat(&v));
        v.only_asks = true;
        assert_false(http_may_have_acted(&v));
    }
}

static void waits(void **state)
{
    static const uint32_t some[] = {0, 1, 511, 1023, 1024, 0x80000000, UINT32_MAX};
    struct http_verdict named = {.end = HTTP_END_ANSWER, .status = 429, .named = true};
    struct http_verdict not = {.end = HTTP_END_ANSWER, .status = 429};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(some); i++) {
        /* as told, and up to a fifth more */
        for (named.named_ms = 1; named.named_ms <= DAY; named.named_ms *= 10) {
            uint64_t ms = http_wait_ms(&named, 1000, 2, some[i]);

            assert_in_range(ms, named.named_ms, named.named_ms + named.named_ms / 5);
        }
        for (unsigned next = 2; next < 40; next++) {
            uint64_t least = next < 8 ? 1000U << (next - 2) : 60000, ms;

            least = least > 60000 ? 60000 : least;
            ms = http_wait_ms(&not, 1000, next, some[i]);
            assert_in_range(ms, least, least + least / 2);
        }
        /* told "0": no reason to hammer */
        named.named_ms = 0;
        assert_in_range(http_wait_ms(&named, 1000, 2, some[i]), 1000, 1500);
    }
    named.named_ms = 1000;
    assert_int_equal(http_wait_ms(&named, 1, 2, 1023), 1200);
    assert_int_equal(http_wait_ms(&named, 1, 2, 0), 1000);
}

/* --- URLs ------------------------------------------------------------------------------------ */

static void urls(void **state)
{
    static const struct {
        const char *s, *host; /* NULL: refused */
        unsigned port;
        const char *path;
    } rows[] = {
        {"https://graph.microsoft.com", "graph.microsoft.com", 443, ""},
        {"HTTPS://Graph.Microsoft.com:443/v1.0/users?$select=id", "graph.microsoft.com", 443,
         "/v1.0/users"},
        {"https://a?x", "a", 443, ""},
        {"http://a:8080/", "a", 8080, "/"},
        {"https://[::1]:1/x", "::1", 1, "/x"},
        {"https://10.0.0.1", "10.0.0.1", 443, ""},
        {"https://a/b%20c('d')/e:f;g=h,i@j", "a", 443, "/b%20c('d')/e:f;g=h,i@j"},
        {"https://a/..b/.c/...", "a", 443, "/..b/.c/..."},
        {"https://a/b?c=../..", "a", 443, "/b"},
        {"", NULL, 0, ""},
        {"a", NULL, 0, ""},
        {"//a", NULL, 0, ""},
        {"https:", NULL, 0, ""},
        {"https://", NULL, 0, ""},
        {"https:///a", NULL, 0, ""},
        {"https:/a", NULL, 0, ""},
        {"ftp://a", NULL, 0, ""},
        {"file:///etc/passwd", NULL, 0, ""},
        {" https://a", NULL, 0, ""},
        {"https://a@b", NULL, 0, ""},
        {"https://a:b@c/", NULL, 0, ""},
        {"https://@a", NULL, 0, ""},
        {"https://a:", NULL, 0, ""},
        {"https://a:0", NULL, 0, ""},
        {"https://a:65536", NULL, 0, ""},
        {"https://a:99999999999999999999", NULL, 0, ""},
        {"https://a:1a", NULL, 0, ""},
        {"https://a b", NULL, 0, ""},
        {"https://a\\b", NULL, 0, ""},
        {"https://a.", NULL, 0, ""},
        {"https://.a", NULL, 0, ""},
        {"https://a..b", NULL, 0, ""},
        {"https://-a", NULL, 0, ""},
        {"https://%61", NULL, 0, ""},
        {"https://\xc3\xa4", NULL, 0, ""},
        {"https://[::1", NULL, 0, ""},
        {"https://[a]", NULL, 0, ""},
        {"https://[fe80::1%25eth0]", NULL, 0, ""},
        {"https://a/#b", NULL, 0, ""},
        {"https://a#b", NULL, 0, ""},
        {"https://a/b c", NULL, 0, ""},
        {"https://a/b\\c", NULL, 0, ""},
        {"https://a/b\nc", NULL, 0, ""},
        {"https://a/\x7f", NULL, 0, ""},
        {"https://a/\xc3\xa4", NULL, 0, ""},
        {"https://a/%", NULL, 0, ""},
        {"https://a/%2", NULL, 0, ""},
        {"https://a/%zz", NULL, 0, ""},
        {"https://a/%00", NULL, 0, ""},
        {"https://a/.", NULL, 0, ""},
        {"https://a/..", NULL, 0, ""},
        {"https://a/b/../c", NULL, 0, ""},
        {"https://a/b/./c?d", NULL, 0, ""},
        {"https://a/b/%2e%2E/c", NULL, 0, ""},
        {"https://a/b/.%2e?c", NULL, 0, ""},
        {"https://a/\"", NULL, 0, ""},
        {"https://a/{b}", NULL, 0, ""},
        {"https://a/[1-9]", NULL, 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_url u;
        const char *why = NULL;
        bool ok = http_url_parse(rows[i].s, &u, &why);

        if (ok != (rows[i].host != NULL))
            fail_msg("'%s': %d", rows[i].s, ok);
        if (!ok) {
            assert_non_null(why);
            continue;
        }
        assert_string_equal(u.host, rows[i].host);
        assert_int_equal(u.port, rows[i].port);
        assert_int_equal(u.path_len, strlen(rows[i].path));
        assert_memory_equal(u.path, rows[i].path, u.path_len);
    }
}

static void long_url(void **state)
{
    static char s[HTTP_URL_MAX + 2];
    struct http_url u;
    const char *why;

    (void)state;
    memset(s, 'a', sizeof(s) - 1);
    memcpy(s, "https://a/", 10);
    assert_false(http_url_parse(s, &u, &why));
    s[HTTP_URL_MAX] = '\0';
    assert_true(http_url_parse(s, &u, &why));
    memset(s + 8, 'a', HTTP_HOST_MAX);
    s[8 + HTTP_HOST_MAX] = '\0';
    assert_true(http_url_parse(s, &u, &why));
    s[8 + HTTP_HOST_MAX] = 'a';
    s[8 + HTTP_HOST_MAX + 1] = '\0';
    assert_false(http_url_parse(s, &u, &why));
}

/* Whether a token may go there. */
static void roots(void **state)
{
    static const struct {
        const char *url, *root;
        bool want;
    } rows[] = {
        {"https://graph.microsoft.com/v1.0/users?$skiptoken=x", "https://graph.microsoft.com",
         true},
        {"https://GRAPH.microsoft.com:443/v1.0", "https://graph.microsoft.com", true},
        {"https://graph.microsoft.com", "https://graph.microsoft.com", true},
        {"https://graph.microsoft.com?x", "https://graph.microsoft.com", true},
        {"https://a/x/y", "https://a/x", true},
        {"https://a/x?y", "https://a/x", true},
        {"https://a/x/y", "https://a/x/", true},
        {"https://a/xy", "https://a/x", false},
        {"https://a/", "https://a/x", false},
        {"https://a/X/y", "https://a/x", false},
        {"https://a/x/../y", "https://a/x", false},
        {"https://a/x/%2e%2e/y", "https://a/x", false},
        {"http://graph.microsoft.com/v1.0", "https://graph.microsoft.com", false},
        {"https://graph.microsoft.com:8443/v1.0", "https://graph.microsoft.com", false},
        {"https://graph.microsoft.com.evil.example/", "https://graph.microsoft.com", false},
        {"https://evil.example/graph.microsoft.com", "https://graph.microsoft.com", false},
        {"https://graph.microsoft.com@evil.example/", "https://graph.microsoft.com", false},
        {"https://evil.example#graph.microsoft.com", "https://graph.microsoft.com", false},
        {"https://evil.example\\.graph.microsoft.com/", "https://graph.microsoft.com", false},
        {"https://graph.microsoft.com./", "https://graph.microsoft.com", false},
        {"//graph.microsoft.com/", "https://graph.microsoft.com", false},
        {"/v1.0/users", "https://graph.microsoft.com", false},
        {"", "https://graph.microsoft.com", false},
        {"https://a", "", false},
        {"https://a", "https://a?b", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (http_same_root(rows[i].url, rows[i].root) != rows[i].want)
            fail_msg("'%s' '%s'", rows[i].url, rows[i].root);
    }
}

static void checked_roots(void **state)
{
    static const struct {
        const char *url;
        bool want, want_local;
    } rows[] = {
        {"https://graph.microsoft.com", true, true},
        {"https://a:8443/b", true, true},
        {"https://127.0.0.1:1", true, true}, /* a stand-in */
        {"http://127.0.0.1:1", false, true},
        {"http://127.255.1.2", false, true},
        {"http://localhost:1", false, true},
        {"http://[::1]:1", false, true},
        {"http://169.254.169.254", false, true},
        {"http://169.254.169.253", false, false},
        {"https://169.254.169.254", false, true},
        {"https://169.254.1.1", false, false},
        {"https://[fe80::1]", false, false},
        {"https://[::ffff:169.254.169.254]", false, false},
        {"http://128.0.0.1", false, false},
        {"http://localhost.example.com", false, false},
        {"http://127.0.0.1.example.com", false, false},
        {"http://0x7f.1", false, false},
        {"https://a/", false, false},
        {"https://a?b", false, false},
        {"https://a#b", false, false},
        {"https://b@a", false, false},
        {"a", false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_NONE;

        if ((http_check_root(rows[i].url, false, &e) == 0) != rows[i].want ||
            (http_check_root(rows[i].url, true, &e) == 0) != rows[i].want_local)
            fail_msg("'%s'", rows[i].url);
        assert_true(e.code == ERR_OK || e.code == ERR_CONFIG);
        assert_null(strstr(e.msg, "b@a"));
    }
}

static void proxies(void **state)
{
    static const struct {
        const char *url;
        bool want;
    } rows[] = {
        {"http://proxy.example.com:3128", true},
        {"http://10.0.0.1:8080", true},
        {"http://[::1]:8080", true},
        {"http://proxy.example.com", false},
        {"http://[::1]", false},
        {"http://proxy.example.com:3128/", false},
        {"https://proxy.example.com:3128", false},
        {"socks5://proxy.example.com:3128", false},
        {"proxy.example.com:3128", false},
        {"http://me:hunter2@proxy.example.com:3128", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_NONE;

        if ((http_check_proxy(rows[i].url, &e) == 0) != rows[i].want)
            fail_msg("'%s'", rows[i].url);
        assert_null(strstr(e.msg, "hunter2"));
    }
}

static void escaped(void **state)
{
    struct text t = TEXT_INIT(1024);

    (void)state;
    http_escape(&t, "aZ09-._~", 8);
    http_escape(&t, " /?#%&+='@\"\\\xc3\xa4\0", 15);
    assert_string_equal(t.s, "aZ09-._~%20%2F%3F%23%25%26%2B%3D%27%40%22%5C%C3%A4%00");
    text_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates),
        cmocka_unit_test(retry_after),
        cmocka_unit_test(rate_limit_reset),
        cmocka_unit_test(repeats),
        cmocka_unit_test(waits),
        cmocka_unit_test(urls),
        cmocka_unit_test(long_url),
        cmocka_unit_test(roots),
        cmocka_unit_test(checked_roots),
        cmocka_unit_test(proxies),
        cmocka_unit_test(escaped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
