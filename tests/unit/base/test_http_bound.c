/* tests/unit/base/test_http_bound.c -- what belongs to its connection: a login, a certificate. */
#include "tests/unit/base/http_server.h"

/* --- a login that belongs to the connection -------------------------------------------------- */

static struct seen ask_same(struct http *h, const char *path)
{
    return ask(h, &(struct http_ask){.method = "POST",
                                     .url = at(server.good, path),
                                     .body = "{}",
                                     .body_len = 2,
                                     .repeat = HTTP_SAFELY,
                                     .flags = HTTP_ONE_TRY | HTTP_SAME_CONNECTION});
}

/* By a program that is none of ours. */
static void hash_of_certificate(char hex[65])
{
    char command[256];
    FILE *f;

    (void)snprintf(command, sizeof(command),
                   "openssl x509 -in %s/good.pem -outform DER | openssl dgst -sha256 -r",
                   server.folder);
    f = popen(command, "r"); /* NOLINT(cert-env33-c): our own folder */
    assert_non_null(f);
    assert_int_equal(fread(hex, 1, 64, f), 64);
    hex[64] = '\0';
    (void)pclose(f);
}

static void bound_to_one(void **state)
{
    static const char prefix[] = "tls-server-end-point:";
    struct http *h = make(&(struct http_settings){.one_connection = true, .connections = 8});
    const struct http_ask first = {.method = "GET", .url = at(server.good, "/ok?name=one")};
    struct seen a, b;
    char want[65], got[65];

    (void)state;
    a = ask_same(h, "/ok?name=one"); /* there is none yet */
    assert_false(a.answered);
    assert_int_equal(a.e.code, ERR_UNSENT);
    assert_int_equal(asked("one"), 0);
    a = ask(h, &first);
    assert_int_equal(a.new_connections, 1);
    assert_false(echoed(&a, "Accept-Encoding"));
    b = ask_same(h, "/ok?name=one");
    assert_int_equal(b.status, 200);
    assert_int_equal(b.new_connections, 0);
    assert_int_equal(number(&a, "connection"), number(&b, "connection"));

    /* of the connection, so with the second answer as well */
    assert_true(a.has_peer && b.has_peer);
    assert_string_equal(b.peer.subject, "CN=good");
    assert_true(b.peer.ends_ms > 1500000000000);
    assert_int_equal(b.peer.binding_len, strlen(prefix) + 32);
    assert_memory_equal(b.peer.binding, prefix, strlen(prefix));
    for (size_t i = 0; i < 32; i++)
        (void)snprintf(got + 2 * i, 3, "%02x", b.peer.binding[strlen(prefix) + i]);
    hash_of_certificate(want);
    assert_string_equal(got, want);

    http_hang_up(h);
    b = ask_same(h, "/ok?name=one");
    assert_int_equal(b.e.code, ERR_UNSENT);

    /* closed while idle: seen before the next is sent */
    (void)ask(h, &first);
    a = ask_same(h, "/close_after?name=closes");
    assert_int_equal(a.status, 200);
    b = ask_same(h, "/ok?name=closes");
    assert_int_equal(b.e.code, ERR_UNSENT);
    assert_int_equal(asked("closes"), 1);

    /* cut after it was sent: not sent again, although it would be safe */
    (void)ask(h, &first);
    b = ask_same(h, "/cut?name=cuts");
    assert_false(b.answered);
    assert_int_equal(b.e.code, ERR_UNPROVEN);
    assert_int_equal(asked("cuts"), 1);
    http_free(h);
    a = get("/ok?name=other");
    assert_false(a.has_peer); /* not looked at where nobody asks */
}

static void client_certificate(void **state)
{
    char path[128];
    struct http_ask a = {.method = "GET", .url = at(server.mutual, "/ok"), .flags = HTTP_ONE_TRY};
    struct http *h;
    struct seen s;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/client.pem", server.folder);
    h = make(&(struct http_settings){.client_cert = path});
    s = ask(h, &a);
    assert_int_equal(s.status, 200);
    http_free(h);
    s = ask(http, &a); /* TLS 1.3 says no after the handshake: see explain() */
    assert_false(s.answered);
    (void)snprintf(path, sizeof(path), "%s/none.pem", server.folder);
    h = make(&(struct http_settings){.client_cert = path});
    s = ask(h, &a);
    assert_false(s.answered);
    assert_int_equal(s.e.code, ERR_UNSENT);
    http_free(h);
}

static void plain_sealed(void **state)
{
    struct http_ask a = {.method = "POST", .url = "http://not-loopback.invalid/", .body = "x"};
    struct err e;

    (void)state;
    a.body_len = 1;
    assert_int_equal(http_start(http, &a, on_done, NULL, NULL, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
    a.flags = HTTP_PLAIN_SEALED;
    a.url = at(server.plain, "/ok");
    assert_int_equal(ask(http, &a).status, 200);
    a.url = "http://169.254.169.254/"; /* H9 stays */
    assert_int_equal(http_start(http, &a, on_done, NULL, NULL, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_LOOP(bound_to_one),
        ON_LOOP(client_certificate),
        ON_LOOP(plain_sealed),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
