/* tests/unit/base/test_http_unsent.c -- what never leaves: wrong certificates, wrong requests,
 * proxies that say no. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/unit/base/http_server.h"

/* --- nothing was sent ------------------------------------------------------------------------ */

static void unsent(const char *url, const struct http_settings *with, const char *want)
{
    struct http *h = make(with);
    struct seen s = ask(h, &(struct http_ask){.method = "POST",
                                              .url = url,
                                              .body = "hunter2",
                                              .body_len = 7,
                                              .tries = 2,
                                              .wait_ms = 1});

    if (s.answered || s.e.code != ERR_UNSENT || strstr(s.e.msg, want) == NULL)
        fail_msg("%s: %d %s", url, s.e.code, s.e.msg);
    assert_null(strstr(s.e.msg, "hunter2"));
    assert_int_equal(http_requests_sent(h), 0);
    http_free(h);
}

static unsigned closed_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    (void)close(fd);
    return ntohs(a.sin_port);
}

static void tls(void **state)
{
    char other[96];

    (void)state;
    unsent(at(server.wronghost, "/ok"), NULL, "1 try"); /* hopeless: not tried again */
    unsent(at(server.stranger, "/ok"), NULL, "1 try");
    unsent(at(server.old, "/ok"), NULL, "nothing was sent");
    unsent(at(closed_port(), "/ok"), NULL, "2 tries");
    unsent("https://nowhere.invalid/", NULL, "nothing was sent");
    /* Instead of the system's authorities, not besides them; and the other way round. */
    (void)snprintf(other, sizeof(other), "%s/strange-ca.pem", server.folder);
    unsent(at(server.good, "/ok"), &(struct http_settings){.ca_file = other}, "1 try");
    unsent(at(server.good, "/ok"),
           &(struct http_settings){.ca_file = "/etc/ssl/certs/ca-certificates.crt"}, "1 try");
}

static void refused_at_once(void **state)
{
    char crlf[] = "a\r\nX-Evil: 1";
    const struct http_header bad_value = {"X-A", crlf}, bad_name = {"X A", "b"}, none = {"", "b"};
    const struct {
        const char *method, *url;
        int flags;
        const struct http_header *header;
    } rows[] = {
        {"GET", at(server.plain, "/ok"), 0, NULL},
        {"GET", "http://example.com/", HTTP_PLAIN_LOCAL, NULL},
        {"GET", "http://169.254.169.253/", HTTP_PLAIN_LOCAL, NULL},
        {"GET", "https://169.254.169.254/", 0, NULL},
        {"GET", "https://a:b@localhost/", 0, NULL},
        {"GET", "https://localhost/#a", 0, NULL},
        {"GET", "https://localhost/../a", 0, NULL},
        {"GET", "https://localhost/a b", 0, NULL},
        {"GET", "ftp://localhost/", 0, NULL},
        {"GET", "file:///etc/passwd", 0, NULL},
        {"GET", "", 0, NULL},
        {"get", at(server.good, "/ok"), 0, NULL},
        {"GET /x", at(server.good, "/ok"), 0, NULL},
        {"GET", at(server.good, "/ok"), 0, &bad_value},
        {"GET", at(server.good, "/ok"), 0, &bad_name},
        {"GET", at(server.good, "/ok"), 0, &none},
    };
    CLEANUP(secret_freep) struct secret *token = NULL;
    struct seen s = {0};
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_ask a = {.method = rows[i].method,
                             .url = rows[i].url,
                             .flags = rows[i].flags,
                             .headers = rows[i].header,
                             .header_count = rows[i].header != NULL};

        e = ERR_NONE;
        if (http_start(http, &a, on_done, &s, NULL, &e) == 0 || e.code != ERR_INVALID)
            fail_msg("#%zu %s: %d", i, rows[i].url, e.code);
    }
    assert_int_equal(secret_new(10, &token, &e), 0);
    memcpy(secret_bytes(token), "Bearer\r\n: ", 10);
    assert_int_equal(http_start(http,
                                &(struct http_ask){.method = "GET",
                                                   .url = at(server.good, "/ok"),
                                                   .authorization = token},
                                on_done, &s, NULL, &e),
                     -1);
    assert_int_equal(e.code, ERR_INVALID);
    (void)loop_run(loop, &e);
    assert_int_equal(s.callbacks, 0);
    assert_int_equal(http_requests_sent(http), 0);
}

static void plain_local(void **state)
{
    struct seen s = ask(http, &(struct http_ask){.method = "GET",
                                                 .url = at(server.plain, "/ok"),
                                                 .flags = HTTP_PLAIN_LOCAL | HTTP_NO_PROXY});

    (void)state;
    assert_int_equal(s.status, 200);
    assert_true(echoed(&s, "\"method\": \"GET\""));
}

/* --- proxies --------------------------------------------------------------------------------- */

static void proxied(void **state)
{
    CLEANUP(secret_freep) struct secret *login = NULL, *wrong = NULL, *token = NULL;
    char proxy[64];
    struct http_settings with = {.proxy = proxy};
    struct http_ask a = {.method = "POST", .url = at(server.good, "/ok?name=through")};
    struct seen s;
    struct http *h;
    int64_t n;
    struct err e;

    (void)state;
    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", server.proxy);
    assert_int_equal(secret_new(17, &login, &e), 0);
    memcpy(secret_bytes(login), "cordon:pass%word\n", 17); /* not URL-decoded */
    assert_int_equal(secret_new(14, &wrong, &e), 0);
    memcpy(secret_bytes(wrong), "cordon:hunter2", 14);
    assert_int_equal(secret_new(12, &token, &e), 0);
    memcpy(secret_bytes(token), "Bearer abc.d", 12);

    with.proxy_login = login;
    a.authorization = token;
    h = make(&with);
    s = ask(h, &a);
    assert_int_equal(s.status, 200);
    assert_true(echoed(&s, "Authorization: Bearer abc.d"));
    assert_false(echoed(&s, "Proxy-Authorization")); /* the proxy's login is the proxy's alone */
    http_free(h);
    s = get("/seen?name=proxy");
    assert_true(echoed(&s, "CONNECT localhost:"));
    assert_true(echoed(&s, "Proxy-Authorization: Basic"));
    assert_false(echoed(&s, "Bearer")); /* and the token the server's */

    n = asked("proxy");
    with.no_proxy = "example.com,localhost";
    h = make(&with);
    s = ask(h, &a);
    assert_int_equal(s.status, 200);
    with.no_proxy = NULL;
    http_free(h);
    h = make(&with);
    a.flags = HTTP_NO_PROXY;
    s = ask(h, &a);
    assert_int_equal(s.status, 200);
    a = (struct http_ask){
        .method = "GET", .url = at(server.plain, "/ok"), .flags = HTTP_PLAIN_LOCAL};
    s = ask(h, &a);
    assert_int_equal(s.status, 200);
    http_free(h);
    assert_int_equal(asked("proxy"), n);

    with.proxy_login = wrong;
    unsent(at(server.good, "/ok"), &with, "407: the proxy wants a login, or another one (1 try");
    with.proxy_login = NULL;
    unsent(at(server.good, "/ok"), &with, "407");
    with = (struct http_settings){.proxy = "http://127.0.0.1:1"};
    unsent(at(server.good, "/ok"), &with, "2 tries");
}

/* What the environment says of proxies is not looked at, in either direction. */
static void environment(void **state)
{
    char proxy[64];
    struct http_settings with = {.proxy = proxy};
    struct seen s;

    (void)state;
    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", server.proxy);
    assert_int_equal(setenv("https_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("no_proxy", "localhost", 1), 0);
    s = get("/ok");
    assert_int_equal(s.status, 200);
    unsent(at(server.good, "/ok"), &with, "407"); /* the proxy was asked all the same */
    (void)unsetenv("https_proxy");
    (void)unsetenv("ALL_PROXY");
    (void)unsetenv("no_proxy");
}

static void bad_settings(void **state)
{
    static const char *const logins[] = {"", "nobody", "a:b\nc:d", "\n"};
    struct http *h = NULL;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(logins); i++) {
        CLEANUP(secret_freep) struct secret *login = NULL;

        assert_int_equal(secret_new(strlen(logins[i]), &login, &e), 0);
        memcpy(secret_bytes(login), logins[i], strlen(logins[i]));
        assert_int_equal(
            http_new(loop, &(struct http_settings){.proxy = "http://a:1", .proxy_login = login}, &h,
                     &e),
            -1);
        assert_int_equal(e.code, ERR_CONFIG);
    }
    assert_int_equal(http_new(loop, &(struct http_settings){.proxy = "a:1"}, &h, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_int_equal(http_new(loop, &(struct http_settings){.ca_file = "/nowhere"}, &h, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_null(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_LOOP(tls),     ON_LOOP(refused_at_once), ON_LOOP(plain_local),
        ON_LOOP(proxied), ON_LOOP(environment),     ON_LOOP(bad_settings),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
