/* tests/unit/cloud/standin.h -- the stand-in tenant (tests/standin), and what of cloud/ talks to
 * it.
 *
 * Included by one source of a test. Where there is no node, standin_up says so and the test skips.
 */
#ifndef CORDON_TESTS_CLOUD_STANDIN_H
#define CORDON_TESTS_CLOUD_STANDIN_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/http.h"
#include "base/json.h"
#include "base/loop.h"
#include "cloud/graph.h"
#include "cloud/token.h"

static struct {
    char dir[32];
    pid_t pid;
    char *env; /* DIR/env */
    struct loop *loop;
    struct http *http;
    struct token_source *token;
    struct graph *graph;
    struct cJSON *answer; /* of the last order */
    long status;
} standin = {.pid = -1};

/* export NAME='value'. The value stays where it is. */
static const char *standin_env(const char *name)
{
    static struct {
        char name[32], value[256];
    } known[16];
    const char *p = strstr(standin.env, name);
    unsigned i = 0;

    while (known[i].name[0] != '\0' && strcmp(known[i].name, name) != 0)
        i++;
    assert_true(i < ARRAY_LEN(known) - 1 && p != NULL);
    p = strchr(p, '\'') + 1;
    (void)snprintf(known[i].name, sizeof(known[i].name), "%s", name);
    (void)snprintf(known[i].value, sizeof(known[i].value), "%.*s", (int)strcspn(p, "'"), p);
    return known[i].value;
}

static const char *standin_path(const char *name)
{
    static char path[4][64];
    static unsigned i;

    i = (i + 1) % 4;
    (void)snprintf(path[i], sizeof(path[i]), "%s/%s", standin.dir, name);
    return path[i];
}

static bool standin_has_node(void)
{
    return system("command -v node >/dev/null 2>&1 || command -v nodejs >/dev/null 2>&1") == 0;
}

static void standin_down(void)
{
    json_free(standin.answer);
    standin.answer = NULL;
    graph_free(standin.graph);
    token_free(standin.token);
    http_free(standin.http);
    loop_free(standin.loop);
    free(standin.env);
    if (standin.pid > 0) {
        (void)kill(standin.pid, SIGTERM);
        (void)waitpid(standin.pid, NULL, 0);
    }
    if (standin.dir[0] != '\0' && fork() == 0) {
        (void)execlp("rm", "rm", "-rf", standin.dir, (char *)NULL);
        _exit(127);
    }
    (void)wait(NULL);
}

static int standin_up(void)
{
    CLEANUP(text_done) struct text env = TEXT_INIT(8192);
    struct token_settings t = {.kind = TOKEN_SECRET};
    struct http_settings h = {0};
    struct err e;

    (void)snprintf(standin.dir, sizeof(standin.dir), "/tmp/cordon-standin-XXXXXX");
    if (mkdtemp(standin.dir) == NULL)
        return -1;
    standin.pid = fork();
    if (standin.pid == 0) {
        const char *program = TEST_SOURCE_DIR "/tests/standin/standin";

        (void)execl(program, program, "serve", "--dir", standin.dir, (char *)NULL);
        _exit(127);
    }
    for (unsigned i = 0; access(standin_path("ready"), F_OK) < 0; i++) {
        if (i > 1200 || waitpid(standin.pid, NULL, WNOHANG) != 0)
            return -1;
        (void)usleep(100 * 1000);
    }
    if (file_read_any(standin_path("env"), 8192, &env, &e) < 0)
        return -1;
    if ((standin.env = text_take(&env)) == NULL)
        return -1;
    h.ca_file = standin_env("STANDIN_CA");
    if (loop_new(&standin.loop, &e) < 0 || http_new(standin.loop, &h, &standin.http, &e) < 0)
        return -1;
    t.login_url = standin_env("STANDIN_LOGIN");
    t.tenant = standin_env("STANDIN_TENANT");
    t.client_id = standin_env("STANDIN_CLIENT_ID");
    t.file = standin_path("secret");
    t.scope = standin_env("STANDIN_GRAPH");
    if (token_new(standin.loop, standin.http, &t, &standin.token, &e) < 0 ||
        graph_new(standin.loop, standin.http, standin.token, t.scope, &standin.graph, &e) < 0) {
        (void)fprintf(stderr, "%s\n", e.msg);
        return -1;
    }
    return 0;
}

/* The loop, until a callback has called loop_stop. */
static void standin_run(void)
{
    struct err e;

    assert_int_equal(loop_run(standin.loop, &e), 0);
}

static void standin_ordered(void *arg, const struct http_answer *a, const struct err *e)
{
    struct err mine;

    (void)arg;
    if (e != NULL)
        (void)fprintf(stderr, "order: %s\n", e->msg);
    assert_null(e);
    standin.status = a->status;
    if (a->status != 200)
        (void)fprintf(stderr, "order: %ld %s\n", a->status, a->body);
    assert_int_equal(json_parse(a->body, a->len, NULL, &standin.answer, &mine), 0);
    loop_stop(standin.loop);
}

/* What is answered stays until the next order. */
static const struct cJSON *standin_order(const char *method, const char *path, const char *body)
{
    static const struct http_header type[] = {{"Content-Type", "application/json"}};
    char url[512];
    struct http_ask ask = {.method = method,
                           .url = url,
                           .headers = type,
                           .header_count = 1,
                           .body = body,
                           .body_len = body != NULL ? strlen(body) : 0,
                           .flags = HTTP_PLAIN_LOCAL};
    struct http_call *c;
    struct err e;

    json_free(standin.answer);
    standin.answer = NULL;
    (void)snprintf(url, sizeof(url), "%s%s", standin_env("STANDIN_ORDERS"), path);
    assert_int_equal(http_start(standin.http, &ask, standin_ordered, NULL, &c, &e), 0);
    standin_run();
    assert_int_equal(standin.status, 200);
    return standin.answer;
}

static inline void standin_fault(const char *fault)
{
    (void)standin_order("POST", "/faults", fault);
}

/* All as at the start, with new tokens; nothing may have been asked in a wrong way. */
static inline void standin_fresh(void)
{
    const struct cJSON *wrong = standin_order("GET", "/violations", NULL);

    if (json_first(wrong) != NULL)
        (void)fprintf(stderr, "a violation: %s\n", json_str(json_first(wrong), "op"));
    assert_null(json_first(wrong));
    (void)standin_order("POST", "/reset", NULL);
}

#endif
