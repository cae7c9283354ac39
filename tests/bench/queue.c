/* tests/bench/queue.c -- cordon's own queue layer, by itself; beside bare.c.
 *
 *   queue create|clear URL ACCOUNT KEY_FILE CA QUEUE...   with the account's key
 *   queue drain URL SAS_FILE CA QUEUE COUNT               receive, complete; COUNT and milliseconds
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "cloud/queue_azure_call.h"

enum { IN_HAND = 30, LEASE_MS = 120 * 1000, SECRET = 4096 };

static struct loop *loop;
static struct http *http;
static struct queue *queue;
static size_t in_hand, left;
static bool receiving;

static void die(const char *what, const struct err *e)
{
    (void)fprintf(stderr, "queue: %s: %s\n", what, e != NULL ? e->msg : "");
    exit(1);
}

static struct secret *read_secret(const char *file)
{
    struct secret *s = NULL;
    struct err e;

    if (secret_from_file(file, SECRET, &s, &e) < 0)
        die(file, &e);
    return s;
}

/* --- create, clear -------------------------------------------------------------------------------
 */

static void on_managed(void *arg, const struct http_answer *a, const struct err *e)
{
    (void)arg;
    if (a == NULL || a->status / 100 != 2)
        die("refused", e);
    loop_stop(loop);
}

static void manage(const char *method, const char *root, const char *account, const char *file,
                   const char *name)
{
    CLEANUP(secret_freep) struct secret *text = read_secret(file), *key = NULL, *signature = NULL;
    char url[512], date[AZURE_DATE];
    const struct http_header headers[] = {{"x-ms-version", AZURE_VERSION}, {"x-ms-date", date}};
    struct azure_request r = {method, url, headers, ARRAY_LEN(headers), 0};
    struct http_ask ask = {.method = method,
                           .url = url,
                           .headers = headers,
                           .header_count = ARRAY_LEN(headers),
                           .flags = HTTP_PLAIN_LOCAL | HTTP_ONE_TRY};
    struct err e;

    (void)snprintf(url, sizeof(url), "%s/%s%s", root, name,
                   strcmp(method, "DELETE") == 0 ? "/messages" : "");
    azure_date(stamp_now_ms(), date);
    if (azure_key(text, &key, &e) < 0 || azure_shared_key(&r, account, key, &signature, &e) < 0)
        die(name, &e);
    ask.authorization = signature;
    if (http_start(http, &ask, on_managed, NULL, NULL, &e) < 0 || loop_run(loop, &e) < 0)
        die(name, &e);
}

/* --- drain -------------------------------------------------------------------------------- */

static void look(void);

static void on_completed(void *arg, enum queue_end end, const struct err *e)
{
    if (end != QUEUE_OK)
        die("complete", e);
    queue_message_free(arg);
    in_hand--;
    left--;
    look();
}

static void on_received(void *arg, struct queue_message **msgs, size_t n, enum queue_end end,
                        const struct err *e)
{
    struct err mine;

    (void)arg;
    receiving = false;
    if (end != QUEUE_OK)
        die("receive", e);
    for (size_t i = 0; i < n; i++) {
        if (msgs[i]->text == NULL)
            die("a message", &msgs[i]->why);
        in_hand++;
        if (queue_complete_start(msgs[i], on_completed, msgs[i], &mine) < 0)
            die("complete", &mine);
    }
    look();
}

static void look(void)
{
    unsigned batch = queue_caps(queue)->max_batch;
    struct err e;

    if (left == 0) {
        loop_stop(loop);
    } else if (!receiving && in_hand + batch <= IN_HAND && in_hand < left) {
        receiving = true;
        if (queue_receive_start(queue, batch, LEASE_MS, on_received, NULL, &e) < 0)
            die("receive", &e);
    }
}

static void drain(const char *root, const char *file, const char *name, const char *count)
{
    CLEANUP(secret_freep) struct secret *sas = read_secret(file);
    struct queue_azure_settings s = {.url = root, .queue = name, .sas = sas, .agent = "bench"};
    uint64_t began;
    struct err e;

    left = strtoul(count, NULL, 10);
    if (queue_azure_new(loop, http, &s, &queue, &e) < 0)
        die(name, &e);
    began = loop_now(loop);
    look();
    if (loop_run(loop, &e) < 0)
        die(name, &e);
    (void)printf("%s %llu\n", count, (unsigned long long)(loop_now(loop) - began));
    queue_free(queue);
}

int main(int argc, char **argv)
{
    bool drains = argc > 6 && strcmp(argv[1], "drain") == 0;
    const char *method = argc > 6 && strcmp(argv[1], "clear") == 0 ? "DELETE" : "PUT";
    const struct http_settings s = {.ca_file = argc > 6 ? argv[drains ? 4 : 5] : NULL};
    struct err e;

    if (argc < 7)
        return 2;
    if (loop_new(&loop, &e) < 0 || http_new(loop, &s, &http, &e) < 0)
        die("start", &e);
    for (int i = 6; !drains && i < argc; i++)
        manage(method, argv[2], argv[3], argv[4], argv[i]);
    if (drains)
        drain(argv[2], argv[3], argv[5], argv[6]);
    http_free(http);
    loop_free(loop);
    return 0;
}
