/* tests/unit/base/http_server.h -- a server that misbehaves (http_server.py, h2_server.js), a
 * client on a loop, and one call waited for.
 *
 * Included by one source of a test. Each test runs on a loop and a client of its own (ON_LOOP); the
 * server lives for the whole group:
 *
 *   const struct CMUnitTest tests[] = {ON_LOOP(good), ON_LOOP(methods)};
 *   return cmocka_run_group_tests(tests, start_server, stop_server);
 */
#ifndef CORDON_TESTS_BASE_HTTP_SERVER_H
#define CORDON_TESTS_BASE_HTTP_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/http.h"
#include "base/json.h"

#define ON_LOOP(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

extern char **environ;

static struct {
    char folder[64], ca[96];
    pid_t pid, h2_pid; /* h2_pid: 0 where there is no node */
    int in, h2_in;     /* they end when this is closed */
    unsigned h2;
    unsigned good, wronghost, stranger, old, plain, proxy, mutual;
} server;

/* One call, waited for. */
struct seen {
    struct loop *l;
    int callbacks;
    bool answered;
    long status;
    char body[8192];
    size_t len;
    char id[64], request_id[64], header[64], header2[64];
    uint64_t retry_after_ms;
    int64_t date_ms;
    unsigned tries;
    bool unclear;
    unsigned new_connections;
    bool has_peer;
    struct http_peer peer;
    struct err e;
};

static void on_done(void *arg, const struct http_answer *a, const struct err *e)
{
    struct seen *s = arg;

    s->callbacks++;
    assert_true((a == NULL) != (e == NULL));
    if (a != NULL) {
        const char *h0 = http_header_get(a, "x-LATE", 0), *h1 = http_header_get(a, "X-Late", 1);

        s->answered = true;
        s->status = a->status;
        assert_int_equal(a->body[a->len], '\0');
        s->len = a->len;
        (void)snprintf(s->body, sizeof(s->body), "%s", a->body);
        (void)snprintf(s->id, sizeof(s->id), "%s", a->client_request_id);
        (void)snprintf(s->request_id, sizeof(s->request_id), "%s", a->request_id);
        (void)snprintf(s->header, sizeof(s->header), "%s", h0 != NULL ? h0 : "-");
        (void)snprintf(s->header2, sizeof(s->header2), "%s", h1 != NULL ? h1 : "-");
        s->retry_after_ms = a->retry_after_ms;
        s->date_ms = a->date_ms;
        s->tries = a->tries;
        s->unclear = a->unclear;
        s->new_connections = a->new_connections;
        s->has_peer = a->peer != NULL;
        if (a->peer != NULL)
            s->peer = *a->peer;
    } else {
        s->e = *e;
    }
    if (s->l != NULL)
        loop_stop(s->l);
}

static struct loop *loop;
static struct http *http;

static inline struct http *make(const struct http_settings *with)
{
    struct http_settings s = with != NULL ? *with : (struct http_settings){0};
    struct http *h = NULL;
    struct err e;

    if (s.ca_file == NULL)
        s.ca_file = server.ca;
    if (http_new(loop, &s, &h, &e) < 0)
        fail_msg("%s", e.msg);
    return h;
}

static inline int set_up(void **state)
{
    struct err e;

    (void)state;
    assert_int_equal(loop_new(&loop, &e), 0);
    http = make(NULL);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    http_free(http);
    loop_free(loop);
    return 0;
}

/* A URL on one of the server's ports; good for a few more of them. */
static inline const char *at(unsigned port, const char *path)
{
    static char buf[16][512];
    static unsigned next;
    char *p = buf[next++ % 16];

    (void)snprintf(p, sizeof(buf[0]), "%s://localhost:%u%s",
                   port == server.plain ? "http" : "https", port, path);
    return p;
}

static inline struct seen ask(struct http *h, const struct http_ask *a)
{
    struct seen s = {.l = loop};
    struct err e;

    if (http_start(h, a, on_done, &s, NULL, &e) < 0)
        fail_msg("%s: %s", a->url, e.msg);
    assert_int_equal(s.callbacks, 0); /* never from inside the start */
    (void)loop_run(loop, &e);
    assert_int_equal(s.callbacks, 1);
    return s;
}

static inline struct seen get(const char *path)
{
    return ask(http, &(struct http_ask){.method = "GET",
                                        .url = at(server.good, path),
                                        .repeat = HTTP_SAFELY,
                                        .wait_ms = 1});
}

static inline struct seen post(const char *path, enum http_repeat repeat)
{
    return ask(http, &(struct http_ask){.method = "POST",
                                        .url = at(server.good, path),
                                        .body = "{}",
                                        .body_len = 2,
                                        .repeat = repeat,
                                        .wait_ms = 1});
}

static inline int64_t number(const struct seen *s, const char *name)
{
    struct cJSON *j = NULL;
    int64_t n = -1;
    struct err e;

    if (json_parse(s->body, s->len, NULL, &j, &e) < 0)
        fail_msg("%s: '%s' %s", e.msg, s->body, s->e.msg);
    (void)json_i64(j, name, &n);
    json_free(j);
    return n;
}

/* How often the server has been asked for this name. */
static inline int64_t asked(const char *name)
{
    char path[128];
    struct seen s;

    (void)snprintf(path, sizeof(path), "/seen?name=%s", name);
    s = get(path);
    assert_int_equal(s.status, 200);
    return number(&s, "n");
}

static inline bool echoed(const struct seen *s, const char *what)
{
    return strstr(s->body, what) != NULL;
}

/* --- the server ------------------------------------------------------------------------------ */

/* Starts it, and reads its first line. */
static pid_t spawn(const char *program, const char *script, int *ret_in, char line[256])
{
    char path[256];
    char *argv[] = {(char *)program, path, server.folder, NULL};
    posix_spawn_file_actions_t fa;
    int in[2], out[2], rc;
    size_t n = 0;
    pid_t pid;

    (void)snprintf(path, sizeof(path), "%s/tests/unit/base/%s", TEST_SOURCE_DIR, script);
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return -1;
    (void)posix_spawn_file_actions_init(&fa);
    (void)posix_spawn_file_actions_adddup2(&fa, in[0], 0);
    (void)posix_spawn_file_actions_adddup2(&fa, out[1], 1);
    rc = posix_spawnp(&pid, program, &fa, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&fa);
    (void)close(in[0]);
    (void)close(out[1]);
    *ret_in = in[1];
    line[0] = '\0';
    while (rc == 0 && n < 255 && strchr(line, '\n') == NULL) {
        ssize_t got = read(out[0], line + n, 255 - n);

        if (got <= 0)
            break;
        n += (size_t)got;
        line[n] = '\0';
    }
    (void)close(out[0]);
    return rc == 0 ? pid : -1;
}

static int start_server(void **state)
{
    char line[256];

    (void)state;
    (void)snprintf(server.folder, sizeof(server.folder), "/tmp/cordon-http.XXXXXX");
    if (mkdtemp(server.folder) == NULL)
        return -1;
    (void)snprintf(server.ca, sizeof(server.ca), "%s/ca.pem", server.folder);
    server.pid = spawn("python3", "http_server.py", &server.in, line);
    if (server.pid < 0 ||
        sscanf(line, "good=%u wronghost=%u stranger=%u old=%u plain=%u proxy=%u mutual=%u",
               &server.good, &server.wronghost, &server.stranger, &server.old, &server.plain,
               &server.proxy, &server.mutual) != 7)
        return -1;
    server.h2_pid = spawn("node", "h2_server.js", &server.h2_in, line);
    if (server.h2_pid > 0 && sscanf(line, "h2=%u", &server.h2) != 1)
        return -1;
    return 0;
}

static int stop_server(void **state)
{
    static const char *const stems[] = {"ca",        "strange-ca", "good",
                                        "wronghost", "stranger",   "client"};
    static const char *const ends[] = {"key", "pem", "csr", "ext", "srl"};
    int status;

    (void)state;
    (void)close(server.in);
    (void)close(server.h2_in);
    (void)waitpid(server.pid, &status, 0);
    if (server.h2_pid > 0)
        (void)waitpid(server.h2_pid, &status, 0);
    for (size_t i = 0; i < ARRAY_LEN(stems); i++) {
        for (size_t k = 0; k < ARRAY_LEN(ends); k++) {
            char path[128];

            (void)snprintf(path, sizeof(path), "%s/%s.%s", server.folder, stems[i], ends[k]);
            (void)unlink(path);
        }
    }
    return rmdir(server.folder);
}

#endif
