/* tests/unit/cloud/test_token.c -- a token source against services that answer to order
 * (token_server.py): what is asked, how often, and what comes of it. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/jws.h"
#include "base/loop.h"
#include "base/stamp.h"
#include "cloud/token.h"
#include "tests/unit/keys.h"

enum { REQUESTS_MAX = 64, QUICK_MS = 10 };

static char dir[] = "/tmp/cordon-token-XXXXXX";
static pid_t server;
static int server_in = -1, server_out = -1;
static unsigned tls_port, plain_port;

static struct loop *loop;
static struct http *http;
static struct cJSON *requests[REQUESTS_MAX];
static size_t request_count;

/* --- the world ------------------------------------------------------------------------- */

static const char *path_of(const char *name)
{
    static char path[4][256];
    static int i;

    i = (i + 1) % 4;
    (void)snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
    return path[i];
}

static void put(const char *name, const char *s)
{
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_true(fputs(s, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* A line of the server's; false: none within ms. */
static bool server_line(char *buf, size_t size, int ms)
{
    size_t n = 0;

    while (n + 1 < size) {
        struct pollfd p = {.fd = server_out, .events = POLLIN};

        if (poll(&p, 1, n > 0 ? 5000 : ms) != 1 || read(server_out, buf + n, 1) != 1)
            return false;
        if (buf[n] == '\n') {
            buf[n] = '\0';
            return true;
        }
        n++;
    }
    return false;
}

static int world_up(void **state)
{
    int in[2], out[2];
    char line[256], pem[256], arc[256], script[512];
    struct text t = TEXT_INIT(16384);

    (void)state;
    if (mkdtemp(dir) == NULL || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return -1;
    text_addf(&t, "%s%s", cert_localhost, key_rsa_private);
    put("server.pem", t.s);
    put("ca.pem", cert_localhost);
    text_clear(&t);
    text_addf(&t, "%s%s", cert_rsa, key_rsa_private);
    put("cert.pem", t.s);
    text_done(&t);
    put("okta.pem", key_ec_private);
    put("secret", "s3cr~t/+=&%\n");
    put("good.key", "arc-key-1");
    if (symlink("good.key", path_of("link.key")) < 0)
        return -1;
    (void)snprintf(pem, sizeof(pem), "%s/server.pem", dir);
    (void)snprintf(arc, sizeof(arc), "%s", dir);
    (void)snprintf(script, sizeof(script), "%s/tests/unit/cloud/token_server.py", TEST_SOURCE_DIR);
    server = fork();
    if (server == 0) {
        (void)dup2(in[0], 0);
        (void)dup2(out[1], 1);
        (void)execlp("python3", "python3", script, pem, arc, (char *)NULL);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    server_in = in[1];
    server_out = out[0];
    if (!server_line(line, sizeof(line), 20000) ||
        sscanf(line, "%u %u", &tls_port, &plain_port) != 2)
        return -1;
    return 0;
}

static int world_down(void **state)
{
    static const char *const names[] = {"server.pem", "ca.pem",   "cert.pem", "okta.pem", "secret",
                                        "good.key",   "link.key", "file",     "changing"};
    int status = 0;

    (void)state;
    (void)close(server_in); /* it ends by itself */
    (void)close(server_out);
    (void)waitpid(server, &status, 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        (void)unlink(path_of(names[i]));
    return rmdir(dir);
}

static size_t asked(void);

static int up(void **state)
{
    char ca[256];
    struct err e = ERR_NONE;

    (void)state;
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
    if (loop_new(&loop, &e) < 0 ||
        http_new(loop, &(struct http_settings){.ca_file = ca}, &http, &e) < 0) {
        print_error("%s\n", e.msg);
        return -1;
    }
    return 0;
}

static int down(void **state)
{
    (void)state;
    http_free(http);
    loop_free(loop);
    (void)asked(); /* what this test left unread is nothing to the next */
    for (size_t i = 0; i < request_count; i++)
        json_free(requests[i]);
    request_count = 0;
    return 0;
}

/* Requests so far. */
static size_t asked(void)
{
    static char line[64 * 1024];
    struct err e = ERR_NONE;

    while (server_line(line, sizeof(line), 0)) {
        assert_true(request_count < REQUESTS_MAX);
        if (json_parse(line, strlen(line), NULL, &requests[request_count], &e) < 0)
            fail_msg("%s: %s", e.msg, line);
        request_count++;
    }
    return request_count;
}

static const char *request(size_t i, const char *name)
{
    assert_true(i < asked());
    return json_str(requests[i], name);
}

static const char *header(size_t i, const char *name)
{
    assert_true(i < asked());
    return json_str(json_get(requests[i], "headers"), name);
}

/* A field of a form, decoded; "" where it is not there. */
static const char *field(size_t i, const char *name)
{
    static char buf[4][8192];
    static int turn;
    char *out = buf[turn = (turn + 1) % 4];
    const char *s = request(i, "body");
    size_t n = 0;

    while (s != NULL && (strncmp(s, name, strlen(name)) != 0 || s[strlen(name)] != '=')) {
        s = strchr(s, '&');
        if (s != NULL)
            s++;
    }
    if (s != NULL) {
        for (s += strlen(name) + 1; *s != '\0' && *s != '&'; s++) {
            char hex[3] = {0};

            assert_true(n < 8190);
            assert_true(*s != '+'); /* a space is %20 */
            if (*s == '%') {
                memcpy(hex, s + 1, 2);
                out[n++] = (char)strtol(hex, NULL, 16);
                s += 2;
            } else {
                out[n++] = *s;
            }
        }
    }
    out[n] = '\0';
    return out;
}

/* --- asking ------------------------------------------------------------------------------ */

struct got {
    int calls, stop_at;
    struct err e;
    char value[512];
    struct secret *copy; /* of the last one */
    struct token_source *free_this;
    struct token_source *refuse_this;
};

static void on_token(void *arg, const struct secret *authorization, const struct err *e)
{
    struct got *g = arg;

    g->calls++;
    g->e = e != NULL ? *e : ERR_NONE;
    g->value[0] = '\0';
    assert_true((authorization == NULL) == (e != NULL));
    if (e != NULL) {
        /* S2: whatever went wrong, no message holds the secret or an assertion. */
        assert_null(strstr(e->msg, "s3cr"));
        assert_null(strstr(e->msg, "eyJ"));
        assert_memory_equal(e->msg, "token: ", 7);
    } else {
        struct secret *s = (struct secret *)(uintptr_t)authorization;
        struct err mine;

        /* It was lent until we return, refused or not; and whoever asks again waits. */
        if (g->refuse_this != NULL) {
            token_refused(g->refuse_this, authorization, NULL);
            token_refused(g->refuse_this, authorization, NULL);
            assert_int_equal(token_expires_ms(g->refuse_this), 0);
            assert_int_equal(token_get(g->refuse_this, on_token, g, NULL, &mine), 0);
            g->refuse_this = NULL;
        }
        (void)snprintf(g->value, sizeof(g->value), "%.*s", (int)secret_len(s),
                       (char *)secret_bytes(s));
        secret_free(g->copy);
        assert_int_equal(secret_new(secret_len(s), &g->copy, &mine), 0);
        memcpy(secret_bytes(g->copy), secret_bytes(s), secret_len(s));
    }
    token_free(g->free_this);
    g->free_this = NULL;
    if (g->calls == g->stop_at)
        loop_stop(loop);
}

static void on_enough(void *arg)
{
    *(struct loop_timer **)arg = NULL;
    loop_stop(loop);
}

/* Run until loop_stop, but not for ever. */
static void run(uint64_t ms)
{
    struct loop_timer *t = loop_timer_start(loop, ms, on_enough, &t);
    struct err e = ERR_NONE;

    assert_int_equal(loop_run(loop, &e), 0);
    loop_timer_stop(&t);
}

/* Ask once and wait for the answer. */
static void get(struct token_source *t, struct got *g)
{
    struct err e = ERR_NONE;

    g->stop_at = g->calls + 1;
    if (token_get(t, on_token, g, NULL, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(g->calls, g->stop_at - 1); /* never from inside */
    run(30000);
    assert_int_equal(g->calls, g->stop_at);
}

static struct token_source *source(const struct token_settings *s)
{
    struct token_source *t = NULL;
    struct err e = ERR_NONE;

    if (token_new(loop, http, s, &t, &e) < 0)
        fail_msg("%s", e.msg);
    return t;
}

static struct token_source *entra(enum token_kind kind, const char *story, const char *file)
{
    char url[64];

    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u", tls_port);
    return source(&(struct token_settings){.kind = kind,
                                           .login_url = url,
                                           .tenant = story,
                                           .client_id = "the-client",
                                           .file = path_of(file),
                                           .scope = "https://graph.microsoft.com",
                                           .wait_ms = QUICK_MS});
}

static struct token_source *okta(const char *story, const char *file)
{
    char url[64];

    (void)snprintf(url, sizeof(url), "https://localhost:%u/%s", tls_port, story);
    return source(&(struct token_settings){.kind = TOKEN_OKTA_KEY,
                                           .login_url = url,
                                           .client_id = "the-client",
                                           .file = path_of(file),
                                           .key_id = "kid-1",
                                           .scope = "okta.users.read okta.logs.read",
                                           .wait_ms = QUICK_MS});
}

static struct token_source *managed(const char *story, const char *client_id, bool arc)
{
    char url[128], scope[128];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", plain_port,
                   arc ? "/metadata/identity/oauth2/token" : "");
    (void)snprintf(scope, sizeof(scope), "https://graph.microsoft.com/%s", story);
    return source(&(struct token_settings){.kind = TOKEN_MANAGED,
                                           .client_id = client_id,
                                           .imds_url = arc ? NULL : url,
                                           .identity_endpoint = arc ? url : NULL,
                                           .arc_tokens = dir,
                                           .scope = scope,
                                           .wait_ms = QUICK_MS});
}

#define CP1 "{\"access_token\":{\"xms_cc\":{\"values\":[\"cp1\"]}}}"

/* --- Entra ID -------------------------------------------------------------------------------- */

static void client_secret(void **state)
{
    CLEANUP(token_freep) struct token_source *t = entra(TOKEN_SECRET, "plain", "secret");
    struct got g = {0};

    (void)state;
    get(t, &g);
    assert_string_equal(g.value, "Bearer plain-1");
    assert_string_equal(request(0, "method"), "POST");
    assert_string_equal(request(0, "path"), "/plain/oauth2/v2.0/token");
    assert_string_equal(header(0, "content-type"), "application/x-www-form-urlencoded");
    assert_int_equal(strlen(header(0, "client-request-id")), 36);
    assert_string_equal(
        request(0, "body"),
        "grant_type=client_credentials&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default&client_"
        "id="
        "the-client&client_secret=s3cr~t%2F%2B%3D%26%25&claims=%7B%22access_token%22%3A%7B%22xms_cc"
        "%22%3A%7B%22values%22%3A%5B%22cp1%22%5D%7D%7D%7D");

    /* Kept: no second request, and an end in an hour. */
    get(t, &g);
    assert_string_equal(g.value, "Bearer plain-1");
    assert_int_equal(asked(), 1);
    assert_true(token_expires_ms(t) > stamp_now_ms() + 3500 * 1000);
    assert_true(token_expires_ms(t) <= stamp_now_ms() + 3600 * 1000);
    assert_false(token_readable(t));
    assert_string_equal(token_object_id(t), "");
    assert_string_equal(token_directory_roles(t), "");

    /* Refused: dropped once; who still holds the old one refuses nothing. */
    token_refused(t, g.copy, NULL);
    assert_int_equal(token_expires_ms(t), 0);
    {
        struct secret *old = g.copy;

        g.copy = NULL;
        get(t, &g);
        assert_string_equal(g.value, "Bearer plain-2");
        token_refused(t, old, NULL);
        secret_free(old);
    }
    get(t, &g);
    assert_string_equal(g.value, "Bearer plain-2");
    assert_int_equal(asked(), 2);
    secret_free(g.copy);
}

/* However many ask, one request. */
static void one_flight(void **state)
{
    CLEANUP(token_freep) struct token_source *t = entra(TOKEN_SECRET, "slow", "secret");
    struct got g[20] = {{0}};
    struct token_ask *gone = NULL;
    struct err e;

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(token_get(t, on_token, &g[i], i == 7 ? &gone : NULL, &e), 0);
    token_ask_cancel(gone);
    g[19].stop_at = 1;
    run(30000);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(g[i].calls, i == 7 ? 0 : 1);
        if (i != 7)
            assert_string_equal(g[i].value, "Bearer slow-1");
        secret_free(g[i].copy);
    }
    assert_int_equal(asked(), 1);
}

static struct cJSON *assertion(size_t i, const char *pub, enum jws_alg alg)
{
    struct jws_key *k = NULL;
    struct text payload = TEXT_INIT(4096);
    struct cJSON *j = NULL;
    const char *jwt = field(i, "client_assertion");
    struct err e = ERR_NONE;

    assert_string_equal(field(i, "client_assertion_type"),
                        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_int_equal(jws_key_public(pub, strlen(pub), &k, &e), 0);
    if (jws_verify(k, alg, "JWT", jwt, strlen(jwt), &payload, &e) < 0)
        fail_msg("request %zu: %s", i, e.msg);
    assert_int_equal(json_parse(payload.s, payload.len, NULL, &j, &e), 0);
    text_done(&payload);
    jws_key_free(k);
    return j;
}

static void certificate(void **state)
{
    CLEANUP(token_freep) struct token_source *t = entra(TOKEN_CERTIFICATE, "plain", "cert.pem");
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct got g = {0};
    char url[128];

    (void)state;
    assert_int_equal(token_certificate_ends_ms(t), 0);
    get(t, &g);
    j = assertion(0, key_rsa_public, JWS_PS256);
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/plain/oauth2/v2.0/token", tls_port);
    assert_string_equal(json_str(j, "aud"), url);
    assert_string_equal(json_str(j, "sub"), "the-client");
    assert_string_equal(field(0, "client_id"), "the-client");
    assert_string_equal(field(0, "client_secret"), "");
    assert_string_equal(field(0, "claims"), CP1);
    assert_int_equal(token_certificate_ends_ms(t), INT64_C(4733510400000));
    secret_free(g.copy);
}

/* 700027: once more by RS256, and from then on. */
static void falls_back(void **state)
{
    CLEANUP(token_freep) struct token_source *t = entra(TOKEN_CERTIFICATE, "rs256", "cert.pem");
    CLEANUP(token_freep) struct token_source *no = entra(TOKEN_CERTIFICATE, "nokey", "cert.pem");
    struct got g = {0};

    (void)state;
    get(t, &g);
    assert_string_equal(g.value, "Bearer rs256-2");
    token_refused(t, g.copy, NULL);
    get(t, &g);
    assert_string_equal(g.value, "Bearer rs256-3");
    assert_int_equal(asked(), 3);
    json_free(assertion(0, key_rsa_public, JWS_PS256));
    json_free(assertion(1, key_rsa_public, JWS_RS256));
    json_free(assertion(2, key_rsa_public, JWS_RS256));

    /* Neither: the error, after two. The next one begins with PS256 again. */
    get(no, &g);
    assert_int_equal(g.e.code, ERR_AUTH);
    assert_int_equal(g.e.native, 700027);
    assert_int_equal(asked(), 5);
    run(5 * QUICK_MS);
    get(no, &g);
    assert_int_equal(asked(), 7);
    json_free(assertion(5, key_rsa_public, JWS_PS256));
    json_free(assertion(6, key_rsa_public, JWS_RS256));
    secret_free(g.copy);
}

/* Our clock is two hours behind: measured by Date, once; and remembered. */
static void wrong_clock(void **state)
{
    CLEANUP(token_freep) struct token_source *t = entra(TOKEN_CERTIFICATE, "clock", "cert.pem");
    CLEANUP(token_freep) struct token_source *no = entra(TOKEN_CERTIFICATE, "clocks", "cert.pem");
    struct got g = {0};

    (void)state;
    get(t, &g);
    assert_string_equal(g.value, "Bearer clock-2");
    token_refused(t, g.copy, NULL);
    get(t, &g);
    assert_int_equal(asked(), 3);
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(json_freep) struct cJSON *j = assertion(i, key_rsa_public, JWS_PS256);
        int64_t iat = 0, off;

        assert_true(json_i64(j, "iat", &iat));
        off = iat - stamp_now_ms() / 1000;
        assert_in_range(off + 100, i == 0 ? 40 : 7240, i == 0 ? 101 : 7301);
    }
    get(no, &g);
    assert_int_equal(g.e.code, ERR_AUTH);
    assert_int_equal(g.e.native, 500133);
    assert_non_null(strstr(g.e.msg, "NTP"));
    assert_int_equal(asked(), 5);
    secret_free(g.copy);
}

static void refused(void **state)
{
    CLEANUP(token_freep) struct token_source *t = entra(TOKEN_SECRET, "expired", "secret");
    CLEANUP(token_freep) struct token_source *html = entra(TOKEN_SECRET, "html", "secret");
    CLEANUP(token_freep) struct token_source *moved = entra(TOKEN_SECRET, "moved", "secret");
    struct got g = {0};

    (void)state;
    get(t, &g);
    assert_int_equal(g.e.code, ERR_AUTH);
    assert_int_equal(g.e.native, 7000222);
    assert_memory_equal(
        g.e.msg,
        "token: AADSTS7000222: the client secret has expired: make a new one in the "
        "app registration and put it into '/tmp/cordon-token-",
        100);
    assert_non_null(strstr(g.e.msg, "secret' (trace trace-1)"));

    /* A moment later the same without a request; then with one. */
    get(t, &g);
    assert_int_equal(g.e.native, 7000222);
    assert_int_equal(asked(), 1);
    run(5 * QUICK_MS);
    get(t, &g);
    assert_int_equal(asked(), 2);

    get(html, &g);
    assert_int_equal(g.e.code, ERR_INVALID);
    assert_non_null(strstr(g.e.msg, "HTTP 200"));
    get(moved, &g);
    assert_int_equal(g.e.code, ERR_INVALID);
    assert_non_null(strstr(g.e.msg, "HTTP 302"));
    assert_int_equal(asked(), 4); /* and nobody followed it */
}

/* The secret is exchanged while we run. */
static void exchanged(void **state)
{
    CLEANUP(token_freep) struct token_source *t = NULL;
    struct got g = {0};
    struct err e = ERR_NONE;

    (void)state;
    put("changing", "old");
    t = entra(TOKEN_SECRET, "once", "changing");
    get(t, &g);
    assert_int_equal(g.e.native, 7000222);
    put("changing", "new\n");
    run(5 * QUICK_MS);
    get(t, &g);
    assert_string_equal(g.value, "Bearer once-2");
    assert_string_equal(field(0, "client_secret"), "old");
    assert_string_equal(field(1, "client_secret"), "new");

    /* No file: an error at once, and no callback. */
    assert_int_equal(unlink(path_of("changing")), 0);
    token_refused(t, g.copy, NULL);
    assert_int_equal(token_get(t, on_token, &g, NULL, &e), -1);
    assert_int_equal(e.code, ERR_NOTFOUND);
    assert_memory_equal(e.msg, "token: ", 7);
    put("changing", "open");
    assert_int_equal(chmod(path_of("changing"), 0644), 0);
    assert_int_equal(token_get(t, on_token, &g, NULL, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    secret_free(g.copy);
}

static void weak(void **state)
{
    CLEANUP(token_freep) struct token_source *t = entra(TOKEN_CERTIFICATE, "weak", "cert.pem");
    CLEANUP(token_freep) struct token_source *down_ = entra(TOKEN_SECRET, "down", "secret");
    CLEANUP(token_freep) struct token_source *wait = entra(TOKEN_SECRET, "wait", "secret");
    struct got g = {0};
    char jti[4][64];

    (void)state;
    get(t, &g);
    assert_string_equal(g.value, "Bearer weak-4");
    /* Each try has an assertion of its own. */
    for (size_t i = 0; i < 4; i++) {
        CLEANUP(json_freep) struct cJSON *j = assertion(i, key_rsa_public, JWS_PS256);

        (void)snprintf(jti[i], sizeof(jti[i]), "%s", json_str(j, "jti"));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(jti[i], jti[k]);
    }
    get(down_, &g);
    assert_int_equal(g.e.code, ERR_BUSY);
    assert_int_equal(asked(), 8);

    /* 100 s is longer than anybody waits for one token: said at once, and nobody asks meanwhile. */
    get(wait, &g);
    assert_int_equal(g.e.code, ERR_BUSY);
    run(10 * QUICK_MS);
    get(wait, &g);
    assert_int_equal(g.e.code, ERR_BUSY);
    assert_int_equal(asked(), 9);
    secret_free(g.copy);
}

static void nobody_there(void **state)
{
    CLEANUP(token_freep) struct token_source *t = NULL;
    struct got g = {0};

    (void)state;
    t = source(&(struct token_settings){.kind = TOKEN_SECRET,
                                        .login_url = "https://127.0.0.1:1",
                                        .tenant = "contoso.com",
                                        .client_id = "x",
                                        .file = path_of("secret"),
                                        .scope = "https://graph.microsoft.com",
                                        .wait_ms = QUICK_MS});
    get(t, &g);
    assert_int_equal(g.e.code, ERR_UNSENT);
    assert_int_equal(asked(), 0);
}

/* --- keeping, renewing ---------------------------------------------------------------------------
 */

/* Lives a second: renewed after 600 ms although nobody asks. */
static void renewed(void **state)
{
    CLEANUP(token_freep) struct token_source *t = entra(TOKEN_SECRET, "short", "secret");
    struct got g = {0};

    (void)state;
    get(t, &g);
    assert_string_equal(g.value, "Bearer short-1");
    for (int i = 0; i < 100 && asked() < 3; i++)
        run(100);
    assert_true(asked() >= 3);
    get(t, &g);
    assert_string_not_equal(g.value, "Bearer short-1");
    secret_free(g.copy);
}

/* A renewal that fails: the old one serves on, without anybody waiting; the next try renews it. */
static void serves_on(void **state)
{
    CLEANUP(token_freep) struct token_source *t = entra(TOKEN_SECRET, "long", "secret");
    struct got g = {0};

    (void)state;
    get(t, &g);
    assert_string_equal(g.value, "Bearer long-1");
    for (int i = 0; i < 100 && asked() < 2; i++)
        run(50);
    assert_int_equal(asked(), 2);
    get(t, &g);
    assert_string_equal(g.value, "Bearer long-1");
    for (int i = 0; i < 100 && asked() < 3; i++)
        run(50);
    assert_int_equal(asked(), 3);
    run(100);
    get(t, &g);
    assert_string_equal(g.value, "Bearer long-3");
    secret_free(g.copy);
}

static void says_of_itself(void **state)
{
    CLEANUP(token_freep) struct token_source *t = entra(TOKEN_SECRET, "roles", "secret");
    struct got g = {0};

    (void)state;
    assert_false(token_has_role(t, "User.Read.All"));
    get(t, &g);
    assert_true(token_readable(t));
    assert_true(token_has_role(t, "User.Read.All"));
    assert_false(token_has_role(t, "User.ReadWrite.All"));
    assert_string_equal(token_object_id(t), "11111111-2222-3333-4444-555555555555");
    assert_string_equal(token_directory_roles(t), "fe930be7-5e62-47db-91af-98c3a49a38b1");
    secret_free(g.copy);
}

/* {"access_token":{"nbf":{"essential":true,"value":"1604106651"}}} */
#define CHALLENGE \
    "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNjA0MTA2NjUxIn19fQ=="
#define MERGED                                                                  \
    "{\"access_token\":{\"nbf\":{\"essential\":true,\"value\":\"1604106651\"}," \
    "\"xms_cc\":{\"values\":[\"cp1\"]}}}"

static void challenged(void **state)
{
    CLEANUP(token_freep) struct token_source *t = entra(TOKEN_SECRET, "plain", "secret");
    struct got g = {0};

    (void)state;
    get(t, &g);
    token_refused(t, g.copy, CHALLENGE);
    get(t, &g);
    assert_string_equal(field(1, "claims"), MERGED);
    /* Answered: the next request is a plain one. */
    token_refused(t, g.copy, NULL);
    get(t, &g);
    assert_string_equal(field(2, "claims"), CP1);
    /* Junk: dropped all the same, and asked for without it. */
    token_refused(t, g.copy, "!!!!");
    get(t, &g);
    assert_string_equal(field(3, "claims"), CP1);
    assert_int_equal(asked(), 4);
    secret_free(g.copy);
}

/* The challenge comes while a renewal is under way: what that brings is not taken. */
static void challenged_meanwhile(void **state)
{
    CLEANUP(token_freep) struct token_source *t = entra(TOKEN_SECRET, "meanwhile", "secret");
    struct got g = {0};

    (void)state;
    get(t, &g);
    assert_string_equal(g.value, "Bearer meanwhile-1");
    for (int i = 0; i < 100 && asked() < 2; i++)
        run(50);
    assert_int_equal(asked(), 2);
    token_refused(t, g.copy, CHALLENGE);
    get(t, &g);
    assert_string_equal(g.value, "Bearer meanwhile-3");
    assert_int_equal(asked(), 3);
    assert_string_equal(field(1, "claims"), CP1);
    assert_string_equal(field(2, "claims"), MERGED);
    secret_free(g.copy);
}

/* Refused from inside the callback, while another asker has its turn ahead. */
static void refused_inside(void **state)
{
    CLEANUP(token_freep) struct token_source *t = entra(TOKEN_SECRET, "inside", "secret");
    struct got g = {0}, behind = {0};
    struct err e;

    (void)state;
    get(t, &g);
    assert_string_equal(g.value, "Bearer inside-1");
    g.refuse_this = t;
    g.stop_at = 3;
    assert_int_equal(token_get(t, on_token, &g, NULL, &e), 0);
    assert_int_equal(token_get(t, on_token, &behind, NULL, &e), 0);
    run(30000);
    run(50);
    assert_int_equal(g.calls, 3);
    assert_string_equal(g.value, "Bearer inside-2");
    assert_int_equal(behind.calls, 1);
    assert_string_equal(behind.value, "Bearer inside-2");
    assert_int_equal(asked(), 2);
    secret_free(g.copy);
    secret_free(behind.copy);
}

/* --- the ends of things
 * ------------------------------------------------------------------------------ */

static void freed(void **state)
{
    struct token_source *t;
    struct got g = {0}, second = {0}, third = {0};
    struct token_ask *a = NULL;
    struct err e;

    (void)state;
    /* In the first callback: the others are never made. */
    t = entra(TOKEN_SECRET, "plain", "secret");
    g.free_this = t;
    g.stop_at = 1;
    assert_int_equal(token_get(t, on_token, &g, NULL, &e), 0);
    assert_int_equal(token_get(t, on_token, &second, NULL, &e), 0);
    run(30000);
    run(50);
    assert_int_equal(g.calls, 1);
    assert_int_equal(second.calls, 0);

    /* With a request in flight; and before the turn of an answer that is ready. */
    t = entra(TOKEN_SECRET, "slow", "secret");
    assert_int_equal(token_get(t, on_token, &third, &a, &e), 0);
    run(50);
    token_free(t);
    run(500);
    t = entra(TOKEN_SECRET, "plain", "secret");
    get(t, &g);
    assert_int_equal(token_get(t, on_token, &third, &a, &e), 0);
    token_ask_cancel(a);
    assert_int_equal(token_get(t, on_token, &third, NULL, &e), 0);
    token_free(t);
    run(50);
    assert_int_equal(third.calls, 0);
    token_free(NULL);
    secret_free(g.copy);
}

static void settings(void **state)
{
    const struct token_settings good = {.kind = TOKEN_SECRET,
                                        .login_url = "https://login.microsoftonline.com",
                                        .tenant = "contoso.com",
                                        .client_id = "x",
                                        .file = "/etc/x",
                                        .scope = "https://graph.microsoft.com"};
    struct token_settings bad[12];
    struct token_source *t = NULL;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        bad[i] = good;
    bad[0].login_url = "http://login.microsoftonline.com";
    bad[1].login_url = "https://login.microsoftonline.com/#x";
    bad[2].tenant = "common";
    bad[3].tenant = "Organizations";
    bad[4].tenant = "a/b";
    bad[5].tenant = "..";
    bad[6].client_id = "a&b";
    bad[7].tenant = NULL;
    bad[8].file = NULL;
    bad[9].scope = "";
    bad[10] = (struct token_settings){
        .kind = TOKEN_MANAGED, .scope = "x", .identity_endpoint = "http://10.0.0.1:40342/metadata"};
    bad[11] =
        (struct token_settings){.kind = TOKEN_MANAGED, .scope = "x", .imds_url = "http://10.0.0.1"};
    assert_int_equal(token_new(loop, http, &good, &t, &e), 0);
    token_free(t);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        t = NULL;
        if (token_new(loop, http, &bad[i], &t, &e) == 0)
            fail_msg("#%zu was taken", i);
        assert_null(t);
        assert_int_equal(e.code, i >= 7 && i <= 9 ? ERR_INTERNAL : ERR_CONFIG);
        assert_memory_equal(e.msg, "token: ", 7);
    }
    for (size_t i = 0; i < 6; i++) {
        static const char *const elsewhere[] = {"http://127.0.0.1.evil.example:40342/x",
                                                "https://127.0.0.1:40342/x",
                                                "http://127.0.0.1@evil.example/x",
                                                "http://127.0.0.1:40342@evil.example/x",
                                                "http://localhost/x",
                                                "http://127.0.0.1:40342/x?resource=y"};
        struct token_settings s = {
            .kind = TOKEN_MANAGED, .scope = "x", .identity_endpoint = elsewhere[i]};

        assert_int_equal(token_new(loop, http, &s, &t, &e), -1);
    }
}

/* --- federated, Okta
 * ------------------------------------------------------------------------------------ */

static void federated(void **state)
{
    CLEANUP(token_freep) struct token_source *t = NULL;
    struct got g = {0};

    (void)state;
    put("changing", "aaa.bbb.ccc\n");
    t = entra(TOKEN_FEDERATED, "plain", "changing");
    get(t, &g);
    put("changing", "ddd.eee.fff");
    token_refused(t, g.copy, NULL);
    get(t, &g);
    assert_string_equal(field(0, "client_assertion"), "aaa.bbb.ccc");
    assert_string_equal(field(1, "client_assertion"), "ddd.eee.fff");
    assert_string_equal(field(1, "client_assertion_type"),
                        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    secret_free(g.copy);
}

static void okta_service(void **state)
{
    CLEANUP(token_freep) struct token_source *ec = okta("plain", "okta.pem");
    CLEANUP(token_freep) struct token_source *rsa = okta("plain", "cert.pem");
    CLEANUP(token_freep) struct token_source *clock_ = okta("okta-clock", "okta.pem");
    CLEANUP(token_freep) struct token_source *key = okta("okta-key", "okta.pem");
    struct got g = {0};
    char url[128], kid[JWS_KID];
    struct err e;

    (void)state;
    get(ec, &g);
    get(rsa, &g);
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(json_freep)
        struct cJSON *j =
            assertion(i, i == 0 ? key_ec_public : key_rsa_public, i == 0 ? JWS_ES256 : JWS_RS256);
        const char *jwt = field(i, "client_assertion");

        assert_string_equal(request(i, "path"), "/plain/oauth2/v1/token");
        (void)snprintf(url, sizeof(url), "https://localhost:%u/plain/oauth2/v1/token", tls_port);
        assert_string_equal(json_str(j, "aud"), url);
        assert_int_equal(jws_kid(jwt, strlen(jwt), kid, &e), 0);
        assert_string_equal(kid, "kid-1");
        assert_string_equal(field(i, "scope"), "okta.users.read okta.logs.read");
        assert_string_equal(field(i, "claims"), "");
        assert_null(header(i, "client-request-id"));
    }
    /* invalid_client for a clock ten minutes off is mended; for the key it is not. */
    get(clock_, &g);
    assert_string_equal(g.value, "Bearer okta-clock-2");
    get(key, &g);
    assert_int_equal(g.e.code, ERR_AUTH);
    assert_non_null(strstr(g.e.msg, "okta.pem"));
    assert_int_equal(asked(), 5);
    secret_free(g.copy);
}

static void okta_ssws(void **state)
{
    CLEANUP(token_freep) struct token_source *t = NULL;
    struct got g = {0};

    (void)state;
    put("changing", "00abc \n");
    t = source(&(struct token_settings){.kind = TOKEN_OKTA_SSWS, .file = path_of("changing")});
    get(t, &g);
    assert_string_equal(g.value, "SSWS 00abc");
    put("changing", "00def\n");
    get(t, &g);
    assert_string_equal(g.value, "SSWS 00abc");
    token_refused(t, g.copy, NULL);
    get(t, &g);
    assert_string_equal(g.value, "SSWS 00def");
    assert_int_equal(token_expires_ms(t), 0);
    assert_int_equal(asked(), 0);
    secret_free(g.copy);
}

/* --- managed identity
 * -------------------------------------------------------------------------------------- */

static void imds(void **state)
{
    CLEANUP(token_freep) struct token_source *t = managed("imds", NULL, false);
    CLEANUP(token_freep) struct token_source *mine = managed("imds", "user-assigned", false);
    CLEANUP(token_freep) struct token_source *weak_ = managed("imds-weak", NULL, false);
    CLEANUP(token_freep) struct token_source *gone = managed("imds-gone", NULL, false);
    CLEANUP(token_freep) struct token_source *never = managed("imds-never", NULL, false);
    CLEANUP(token_freep) struct token_source *none = managed("imds-none", NULL, false);
    CLEANUP(token_freep) struct token_source *other = managed("imds-other", "user-assigned", false);
    struct got g = {0};

    (void)state;
    get(t, &g);
    assert_string_equal(g.value, "Bearer imds-1");
    assert_string_equal(request(0, "method"), "GET");
    assert_string_equal(
        request(0, "path"),
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F"
        "%2Fgraph.microsoft.com%2Fimds");
    assert_string_equal(header(0, "metadata"), "true");
    assert_null(header(0, "authorization"));
    get(mine, &g);
    assert_non_null(strstr(request(1, "path"), "&client_id=user-assigned"));

    get(weak_, &g);
    assert_string_equal(g.value, "Bearer imds-weak-4");
    assert_int_equal(asked(), 6);
    get(gone, &g);
    assert_string_equal(g.value, "Bearer imds-gone-6");
    assert_int_equal(asked(), 12);
    get(never, &g);
    assert_int_equal(g.e.code, ERR_BUSY);
    assert_int_equal(asked(), 20); /* one, and seven more */
    get(none, &g);
    assert_int_equal(g.e.code, ERR_AUTH);
    assert_int_equal(asked(), 21);
    get(other, &g);
    assert_int_equal(g.e.code, ERR_AUTH);
    assert_non_null(strstr(g.e.msg, "another identity"));
    secret_free(g.copy);
}

static void arc(void **state)
{
    CLEANUP(token_freep) struct token_source *t = managed("arc", NULL, true);
    CLEANUP(token_freep) struct token_source *twice = managed("arc-twice", NULL, true);
    CLEANUP(token_freep) struct token_source *refuses = managed("arc-refuses", NULL, true);
    static const char *const evil[] = {"arc-evil", "arc-link", "arc-bearer", "arc-silent",
                                       "arc-open"};
    struct got g = {0};
    size_t n;

    (void)state;
    get(t, &g);
    assert_string_equal(g.value, "Bearer arc-2");
    assert_string_equal(
        request(0, "path"),
        "/metadata/identity/oauth2/token?api-version=2020-06-01&resource=https%3A%2F"
        "%2Fgraph.microsoft.com%2Farc");
    assert_string_equal(header(0, "metadata"), "true");
    assert_null(header(0, "authorization"));
    assert_string_equal(header(1, "metadata"), "true");
    assert_string_equal(header(1, "authorization"), "Basic arc-key-1");

    /* After a failure the challenge is asked for again. */
    get(twice, &g);
    assert_string_equal(g.value, "Bearer arc-twice-4");
    assert_int_equal(asked(), 6);
    assert_null(header(4, "authorization"));

    get(refuses, &g);
    assert_int_equal(g.e.code, ERR_AUTH);
    assert_int_equal(asked(), 8);

    /* One request each, and nothing was read. */
    n = asked();
    for (size_t i = 0; i < ARRAY_LEN(evil); i++) {
        CLEANUP(token_freep) struct token_source *bad = managed(evil[i], NULL, true);

        get(bad, &g);
        assert_int_equal(g.e.code, ERR_INVALID);
        assert_int_equal(asked(), ++n);
    }
    secret_free(g.copy);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        T(client_secret),  T(one_flight),
        T(certificate),    T(falls_back),
        T(wrong_clock),    T(refused),
        T(exchanged),      T(weak),
        T(nobody_there),   T(renewed),
        T(serves_on),      T(says_of_itself),
        T(challenged),     T(challenged_meanwhile),
        T(refused_inside), T(freed),
        T(settings),       T(federated),
        T(okta_service),   T(okta_ssws),
        T(imds),           T(arc),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, world_up, world_down);
}
