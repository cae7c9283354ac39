/* tests/azurite/queue_probe.c -- cordon's queues by hand: one command a line on stdin, one answer a
 * line on stdout. For queue.t.
 *
 *   open Q key|sas|token FILE QUEUE AGENT [DEAD-SAS-FILE]   (AZURITE_URL _ACCOUNT _CA)
 *   create QUEUE FILE                        with the account's key
 *   put Q TEXT | fill Q BYTES                fill: a text of that length
 *   raw QUEUE FILE TEXT | rawfill QUEUE FILE BYTES      as it is, without an envelope
 *   receive Q MAX LEASE_MS                   the messages are named 1, 2, ... in order of coming
 *   until Q LEASE_MS                         the same for one message, again and again until it
 * comes renew M LEASE_MS [AGENT] | complete M | release M DELAY_MS | dead M REASON | free M | ends
 * M depth Q | wait MS
 *
 * Answers: "ok|gone|lost|retry|auth|fatal CODE WORDS", after a receive "ok N" and N lines
 * "M deliveries=N claim=AGENT len=N text=TEXT" ("why=WORDS" where there is none).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "cloud/queue_azure_call.h"
#include "tests/unit/cloud/queue_sync.h"

enum { QUEUES = 32, MESSAGES = 64, LINE = 70000, UNTIL = 100, UNTIL_WAIT_MS = 200 };

static struct http *http;
static struct {
    char name[16];
    struct queue *q;
} queues[QUEUES];
static struct queue_message *messages[MESSAGES];
static size_t message_count;
static struct secret *token;

/* --- a token that is always there ------------------------------------------------------------ */

struct token_ask {
    token_cb cb;
    void *arg;
    struct loop_timer *timer;
};

int __wrap_token_get(struct token_source *t, token_cb cb, void *arg, struct token_ask **ret_ask,
                     struct err *e);
void __wrap_token_ask_cancel(struct token_ask *a);
void __wrap_token_refused(struct token_source *t, const struct secret *authorization,
                          const char *claims);

static void give_token(void *arg)
{
    struct token_ask a = *(struct token_ask *)arg;

    free(arg);
    a.cb(a.arg, token, NULL);
}

int __wrap_token_get(struct token_source *t, token_cb cb, void *arg, struct token_ask **ret_ask,
                     struct err *e)
{
    struct token_ask *a = calloc(1, sizeof(*a));

    (void)t;
    if (a == NULL)
        return err_set(e, ERR_NOMEM, 0, "token");
    a->cb = cb;
    a->arg = arg;
    a->timer = loop_timer_start(sync_.l, 0, give_token, a);
    *ret_ask = a;
    return 0;
}

void __wrap_token_ask_cancel(struct token_ask *a)
{
    loop_timer_stop(&a->timer);
    free(a);
}

void __wrap_token_refused(struct token_source *t, const struct secret *authorization,
                          const char *claims)
{
    (void)t, (void)authorization, (void)claims;
}

/* --- answers --------------------------------------------------------------------------------- */

static void say(enum queue_end end)
{
    static const char *const words[] = {
        [QUEUE_OK] = "ok",       [QUEUE_GONE] = "gone", [QUEUE_LOST] = "lost",
        [QUEUE_RETRY] = "retry", [QUEUE_AUTH] = "auth", [QUEUE_FATAL] = "fatal",
    };

    if (end == QUEUE_OK || end == QUEUE_GONE)
        (void)printf("%s\n", words[end]);
    else
        (void)printf("%s %s %s\n", words[end], err_word(sync_.err.code), sync_.err.msg);
}

static void say_message(size_t i)
{
    const struct queue_message *m = messages[i];

    (void)printf("%zu deliveries=%u claim=%s len=%zu %s=%.100s\n", i + 1, m->deliveries, m->claim,
                 m->len, m->text != NULL ? "text" : "why", m->text != NULL ? m->text : m->why.msg);
}

static void received(enum queue_end end)
{
    size_t first = message_count;

    if (end != QUEUE_OK) {
        say(end);
        return;
    }
    for (size_t i = 0; i < sync_.n && message_count < MESSAGES; i++)
        messages[message_count++] = sync_.msgs[i];
    (void)printf("ok %zu\n", sync_.n);
    for (size_t i = first; i < message_count; i++)
        say_message(i);
}

/* --- raw requests ---------------------------------------------------------------------------- */

static void on_raw(void *arg, const struct http_answer *a, const struct err *e)
{
    (void)arg;
    if (a != NULL)
        (void)printf("%ld %s\n", a->status, http_header_get(a, "x-ms-error-code", 0));
    else
        (void)printf("error %s\n", e->msg);
    loop_stop(sync_.l);
}

static struct secret *read_secret(const char *file)
{
    struct secret *s = NULL;
    struct err e;

    if (secret_from_file(file, 65536, &s, &e) < 0) {
        (void)fprintf(stderr, "%s\n", e.msg);
        exit(1);
    }
    return s;
}

static void raw(const char *method, const char *file, const char *url, const char *body)
{
    CLEANUP(secret_freep) struct secret *text = read_secret(file), *key = NULL, *signature = NULL;
    char date[AZURE_DATE];
    const struct http_header headers[] = {
        {"x-ms-version", AZURE_VERSION}, {"x-ms-date", date}, {"Content-Type", "application/xml"}};
    struct azure_request r = {method, url, headers, body != NULL ? 3 : 2,
                              body != NULL ? strlen(body) : 0};
    struct err e;

    azure_date(stamp_now_ms(), date);
    if (azure_key(text, &key, &e) == 0 &&
        azure_shared_key(&r, getenv("AZURITE_ACCOUNT"), key, &signature, &e) == 0) {
        const struct http_ask ask = {.method = method,
                                     .url = url,
                                     .headers = headers,
                                     .header_count = r.header_count,
                                     .authorization = signature,
                                     .body = body,
                                     .body_len = r.body_len,
                                     .flags = HTTP_PLAIN_LOCAL | HTTP_ONE_TRY};

        if (http_start(http, &ask, on_raw, NULL, NULL, &e) == 0) {
            (void)loop_run(sync_.l, &e);
            return;
        }
    }
    (void)printf("error %s\n", e.msg);
}

/* Not azure_body: it refuses what is to be tried here. The text needs no escaping. */
static void raw_put(const char *queue, const char *file, const char *text)
{
    char url[512], *body = NULL;

    (void)snprintf(url, sizeof(url), "%s/%s/messages", getenv("AZURITE_URL"), queue);
    if (asprintf(&body, "<QueueMessage><MessageText>%s</MessageText></QueueMessage>", text) < 0)
        exit(1);
    raw("POST", file, url, body);
    free(body);
}

/* --- commands -------------------------------------------------------------------------------- */

static struct queue *queue_of(const char *name)
{
    for (size_t i = 0; i < QUEUES; i++) {
        if (queues[i].q != NULL && strcmp(queues[i].name, name) == 0)
            return queues[i].q;
    }
    (void)fprintf(stderr, "no queue '%s'\n", name);
    exit(1);
}

static struct queue_message **message_of(const char *number)
{
    size_t i = strtoul(number, NULL, 10);

    if (i == 0 || i > message_count || messages[i - 1] == NULL) {
        (void)fprintf(stderr, "no message '%s'\n", number);
        exit(1);
    }
    return &messages[i - 1];
}

static void open_queue(char *const w[], size_t n)
{
    CLEANUP(secret_freep) struct secret *s = read_secret(w[3]);
    CLEANUP(secret_freep) struct secret *dead = n > 6 ? read_secret(w[6]) : NULL;
    struct queue_azure_settings set = {.url = getenv("AZURITE_URL"),
                                       .account = getenv("AZURITE_ACCOUNT"),
                                       .queue = w[4],
                                       .agent = w[5]};
    size_t i = 0;

    if (strcmp(w[2], "key") == 0) {
        set.key = s;
    } else if (strcmp(w[2], "sas") == 0) {
        set.sas = s;
        set.dead_sas = dead;
    } else {
        set.token = (struct token_source *)(void *)&token; /* only the calls above look at it */
        secret_free(token);
        token = TAKE(s);
    }
    while (i < QUEUES - 1 && queues[i].q != NULL)
        i++;
    (void)snprintf(queues[i].name, sizeof(queues[i].name), "%s", w[1]);
    if (queue_azure_new(sync_.l, http, &set, &queues[i].q, &sync_.err) < 0)
        say(QUEUE_FATAL);
    else
        (void)printf("ok %s\n", queue_name(queues[i].q));
}

static void stop(void *arg)
{
    (void)arg;
    loop_stop(sync_.l);
}

static void wait_ms(uint64_t ms)
{
    struct err e;

    if (loop_timer_start(sync_.l, ms, stop, NULL) != NULL)
        (void)loop_run(sync_.l, &e);
}

static void until(struct queue *q, uint64_t lease_ms)
{
    enum queue_end end = sync_receive(q, 1, lease_ms);

    for (unsigned i = 0; i < UNTIL && end == QUEUE_OK && sync_.n == 0; i++) {
        wait_ms(UNTIL_WAIT_MS);
        end = sync_receive(q, 1, lease_ms);
    }
    received(end);
}

static const char *filled(const char *bytes)
{
    static char buf[LINE];
    size_t n = strtoul(bytes, NULL, 10);

    if (n < 5 || n >= sizeof(buf))
        exit(1);
    memset(buf, 'a', n);
    buf[1] = buf[3] = '.';
    buf[n] = '\0';
    return buf;
}

static uint64_t number(const char *s)
{
    return strtoull(s, NULL, 10);
}

/* n: words of the line. */
static void run(char *const w[], size_t n)
{
    const char *cmd = w[0];

    if (strcmp(cmd, "open") == 0 && (n == 6 || n == 7)) {
        open_queue(w, n);
    } else if (strcmp(cmd, "create") == 0 && n == 3) {
        char url[512];

        (void)snprintf(url, sizeof(url), "%s/%s", getenv("AZURITE_URL"), w[1]);
        raw("PUT", w[2], url, NULL);
    } else if (strcmp(cmd, "put") == 0 && n == 3) {
        say(sync_put(queue_of(w[1]), w[2], 0));
    } else if (strcmp(cmd, "fill") == 0 && n == 3) {
        say(sync_put(queue_of(w[1]), filled(w[2]), 3600 * 1000));
    } else if (strcmp(cmd, "raw") == 0 && n == 4) {
        raw_put(w[1], w[2], w[3]);
    } else if (strcmp(cmd, "rawfill") == 0 && n == 4) {
        raw_put(w[1], w[2], filled(w[3]));
    } else if (strcmp(cmd, "receive") == 0 && n == 4) {
        received(sync_receive(queue_of(w[1]), (unsigned)number(w[2]), number(w[3])));
    } else if (strcmp(cmd, "until") == 0 && n == 3) {
        until(queue_of(w[1]), number(w[2]));
    } else if (strcmp(cmd, "renew") == 0 && (n == 3 || n == 4)) {
        say(sync_renew(*message_of(w[1]), number(w[2]), n == 4 ? w[3] : NULL));
    } else if (strcmp(cmd, "complete") == 0 && n == 2) {
        say(sync_complete(*message_of(w[1])));
    } else if (strcmp(cmd, "release") == 0 && n == 3) {
        say(sync_release(*message_of(w[1]), number(w[2])));
    } else if (strcmp(cmd, "dead") == 0 && n == 3) {
        say(sync_dead(*message_of(w[1]), w[2]));
    } else if (strcmp(cmd, "ends") == 0 && n == 2) {
        uint64_t now = loop_now(sync_.l), ends = (*message_of(w[1]))->ends;

        (void)printf("%llu\n", (unsigned long long)(ends > now ? ends - now : 0));
    } else if (strcmp(cmd, "free") == 0 && n == 2) {
        queue_message_free(TAKE(*message_of(w[1])));
        (void)printf("ok\n");
    } else if (strcmp(cmd, "depth") == 0 && n == 2) {
        enum queue_end end = sync_depth(queue_of(w[1]));
        int64_t age = stamp_now_ms() - sync_.oldest_ms;

        if (end == QUEUE_OK)
            (void)printf("ok %llu %s\n", (unsigned long long)sync_.count,
                         sync_.oldest_ms == 0           ? "unknown"
                         : age > -3000 && age < 3600000 ? "dated"
                                                        : "odd");
        else
            say(end);
    } else if (strcmp(cmd, "wait") == 0 && n == 2) {
        wait_ms(number(w[1]));
        (void)printf("ok\n");
    } else {
        (void)fprintf(stderr, "what is '%s' with %zu words?\n", cmd, n);
        exit(64);
    }
    (void)printf(".\n");
    (void)fflush(stdout);
}

int main(void)
{
    static char line[LINE];
    const char *ca = getenv("AZURITE_CA");
    const struct http_settings s = {.ca_file = ca != NULL && ca[0] != '\0' ? ca : NULL};
    struct err e;

    if (getenv("AZURITE_URL") == NULL || loop_new(&sync_.l, &e) < 0 ||
        http_new(sync_.l, &s, &http, &e) < 0)
        return 1;
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *w[8], *next = line;
        size_t n = 0;

        line[strcspn(line, "\n")] = '\0';
        while (next != NULL && n < ARRAY_LEN(w))
            w[n++] = strsep(&next, " ");
        run(w, n);
    }
    for (size_t i = 0; i < message_count; i++)
        queue_message_free(messages[i]);
    for (size_t i = 0; i < QUEUES; i++)
        queue_free(queues[i].q);
    http_free(http);
    secret_free(token);
    loop_free(sync_.l);
    return 0;
}
