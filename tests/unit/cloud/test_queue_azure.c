/* tests/unit/cloud/test_queue_azure.c -- Azure Queue Storage without the service: signatures by its
 * documents' vectors, bodies, what its answers mean, and what is sent after an answer was lost.
 * What the service itself does is tried against Azurite: tests/azurite/queue.t. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "cloud/queue_azure_call.h"
#include "tests/unit/alloc.h"
#include "tests/unit/cloud/queue_sync.h"

/* The development account's key, as all its documents print it. */
#define KEY \
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#define SAS "sv=2021-12-02&sp=up&sig=c2VjcmV0%3D"
#define HOST "https://myaccount.queue.core.windows.net"
#define ID "aaf0bd2c-7a39-4c57-8a43-2d8f4b0e8f11"
#define DATE_MS INT64_C(1795227593000) /* Sat, 21 Nov 2026 02:19:53 GMT */
#define LEASE 120000

/* --- a world that answers by a script -------------------------------------------------------- */

struct says {
    const char *method, *path; /* path: what the URL must have in it */
    const char *body;          /* what the body must have in it, decoded where it is base64; NULL */
    long status;               /* 0: `code` instead */
    const char *answer;
    enum err_code code;
    const char *error, *receipt, *visible, *count; /* headers */
    const char *absent;                            /* what neither URL nor body may have in it */
};

struct http_call {
    const struct says *says;
    http_cb cb;
    void *arg;
    struct loop_timer *timer;
};

struct token_ask {
    token_cb cb;
    void *arg;
    struct loop_timer *timer;
};

static const struct says *script;
static size_t script_n, script_at;
static unsigned tokens, refused;
static char last_url[16384], last_authorization[256];
static uint64_t last_try_ms;
static struct secret *token;

int __wrap_http_start(struct http *h, const struct http_ask *ask, http_cb cb, void *arg,
                      struct http_call **ret_call, struct err *e);
void __wrap_http_abandon(struct http_call *c);
const char *__wrap_http_header_get(const struct http_answer *a, const char *name, size_t nth);
int __wrap_token_get(struct token_source *t, token_cb cb, void *arg, struct token_ask **ret_ask,
                     struct err *e);
void __wrap_token_ask_cancel(struct token_ask *a);
void __wrap_token_refused(struct token_source *t, const struct secret *authorization,
                          const char *claims);

static void answer(void *arg)
{
    struct http_call c = *(struct http_call *)arg;
    const struct says *s = c.says;
    struct http_answer a = {.status = s->status,
                            .body = s->answer != NULL ? s->answer : "",
                            .len = s->answer != NULL ? strlen(s->answer) : 0,
                            .client_request_id = "",
                            .request_id = "req-1",
                            .date_ms = DATE_MS,
                            .tries = 1,
                            .headers_ = s};
    struct err e;

    free(arg);
    if (s->status == 0) {
        (void)err_set(&e, s->code, 0, "as told");
        c.cb(c.arg, NULL, &e);
    } else {
        c.cb(c.arg, &a, NULL);
    }
}

/* What is between the tags, and what that is as base64. */
static void decode(const char *body, size_t n, char *buf, size_t size)
{
    const char *from = memmem(body, n, "<MessageText>", 13);
    const char *to = memmem(body, n, "</MessageText>", 14);
    size_t len = 0;

    buf[0] = '\0';
    if (from == NULL || to == NULL)
        return;
    from += 13;
    assert_true((size_t)(to - from) < size);
    if (queue_unbase64((uint8_t *)buf, from, (size_t)(to - from), &len)) {
        buf[len] = '\0';
    } else {
        memcpy(buf, from, (size_t)(to - from));
        buf[to - from] = '\0';
    }
}

int __wrap_http_start(struct http *h, const struct http_ask *ask, http_cb cb, void *arg,
                      struct http_call **ret_call, struct err *e)
{
    static char plain[4 * AZURE_TEXT_MAX];
    struct http_call *c = calloc(1, sizeof(*c));
    const struct says *s;

    (void)h;
    if (c == NULL)
        return err_set(e, ERR_NOMEM, 0, "no memory");
    assert_true(script_at < script_n);
    s = &script[script_at];
    decode(ask->body, ask->body_len, plain, sizeof(plain));
    (void)snprintf(last_url, sizeof(last_url), "%s", ask->url);
    last_try_ms = ask->try_ms;
    last_authorization[0] = '\0';
    if (ask->authorization != NULL)
        (void)snprintf(last_authorization, sizeof(last_authorization), "%.*s",
                       (int)secret_len(ask->authorization),
                       (char *)secret_bytes((struct secret *)ask->authorization));
    if (strcmp(ask->method, s->method) != 0 || strstr(ask->url, s->path) == NULL ||
        (s->body != NULL && strstr(plain, s->body) == NULL) ||
        (s->body == NULL && ask->body_len > 0) ||
        (s->absent != NULL &&
         (strstr(ask->url, s->absent) != NULL || strstr(plain, s->absent) != NULL)))
        fail_msg("script %zu: expected %s %s %s\n but got %s %s %.200s", script_at, s->method,
                 s->path, s->body != NULL ? s->body : "", ask->method, ask->url, plain);
    assert_true((ask->flags & HTTP_ONE_TRY) != 0);
    c->says = s;
    c->cb = cb;
    c->arg = arg;
    c->timer = loop_timer_start(sync_.l, 0, answer, c);
    if (c->timer == NULL) {
        free(c);
        return err_set(e, ERR_NOMEM, 0, "no memory");
    }
    script_at++;
    *ret_call = c;
    return 0;
}

void __wrap_http_abandon(struct http_call *c)
{
    if (c == NULL)
        return;
    loop_timer_stop(&c->timer);
    free(c);
}

const char *__wrap_http_header_get(const struct http_answer *a, const char *name, size_t nth)
{
    const struct says *s = a->headers_;

    assert_int_equal(nth, 0);
    return strcmp(name, "x-ms-error-code") == 0                   ? s->error
           : strcmp(name, "x-ms-popreceipt") == 0                 ? s->receipt
           : strcmp(name, "x-ms-time-next-visible") == 0          ? s->visible
           : strcmp(name, "x-ms-approximate-messages-count") == 0 ? s->count
                                                                  : NULL;
}

static void give_token(void *arg)
{
    struct token_ask a = *(struct token_ask *)arg;
    struct err e;

    free(arg);
    if (token != NULL) {
        a.cb(a.arg, token, NULL);
        return;
    }
    (void)err_set(&e, ERR_AUTH, 0, "no token for you");
    a.cb(a.arg, NULL, &e);
}

int __wrap_token_get(struct token_source *t, token_cb cb, void *arg, struct token_ask **ret_ask,
                     struct err *e)
{
    struct token_ask *a = calloc(1, sizeof(*a));

    (void)t;
    if (a == NULL)
        return err_set(e, ERR_NOMEM, 0, "no memory");
    *a = (struct token_ask){cb, arg, loop_timer_start(sync_.l, 0, give_token, a)};
    if (a->timer == NULL) {
        free(a);
        return err_set(e, ERR_NOMEM, 0, "no memory");
    }
    tokens++;
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
    (void)t;
    assert_null(claims);
    assert_true(secret_equal(authorization, token));
    refused++;
}

static void play(const struct says *s, size_t n)
{
    script = s;
    script_n = n;
    script_at = 0;
    tokens = refused = 0;
}

#define PLAY(...)                                     \
    static const struct says says_[] = {__VA_ARGS__}; \
    play(says_, ARRAY_LEN(says_))

static struct secret *secret_of(const char *s)
{
    struct secret *ret = NULL;
    struct err e;

    assert_int_equal(secret_new(strlen(s), &ret, &e), 0);
    memcpy(secret_bytes(ret), s, strlen(s));
    return ret;
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    token = secret_of("Bearer eyJ.token.x");
    play(NULL, 0);
    return loop_new(&sync_.l, &e);
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(script_at, script_n); /* the whole script was used */
    secret_free(token);
    token = NULL;
    loop_free(sync_.l);
    return 0;
}

static struct queue *open_queue(enum azure_auth auth)
{
    CLEANUP(secret_freep) struct secret *key = secret_of(KEY "\n"), *sas = secret_of("?" SAS "\n");
    CLEANUP(secret_freep) struct secret *dead = secret_of("sv=2021-12-02&sp=a&sig=ZGVhZA\n");
    struct queue_azure_settings s = {
        .url = HOST, .account = "myaccount", .queue = "cordon-actions", .agent = "agent-a"};
    struct queue *q = NULL;
    struct err e;

    if (auth == AZURE_KEY)
        s.key = key;
    else if (auth == AZURE_SAS)
        s.sas = sas, s.dead_sas = dead;
    else
        s.token = (struct token_source *)(void *)&token; /* only looked at by the calls above */
    if (queue_azure_new(sync_.l, NULL, &s, &q, &e) < 0)
        fail_msg("%s", e.msg);
    return q;
}

/* --- signing --------------------------------------------------------------------------------- */

static const struct http_header vector_headers[] = {
    {"x-ms-version", AZURE_VERSION},
    {"x-ms-date", "Sat, 21 Nov 2026 02:19:53 GMT"},
    {"Content-Type", "application/xml"},
};

/* azure-queue-storage.md, 3.1 */
static void signatures(void **state)
{
    static const struct {
        struct azure_request r;
        const char *account, *signature;
    } cases[] = {
        {{"GET",
          "http://127.0.0.1:10001/devstoreaccount1/cordon-actions/messages"
          "?numofmessages=32&visibilitytimeout=5",
          vector_headers, 2, 0},
         "devstoreaccount1",
         "ouZzSERmg02nrLB6Vo0ea8A6uh1c7R+cd0vzSa2QRQ4="},
        {{"POST",
          "http://127.0.0.1:10001/devstoreaccount1/cordon-actions/messages"
          "?messagettl=-1&visibilitytimeout=0",
          vector_headers, 3, 134},
         "devstoreaccount1",
         "cONTIXylcMAx01YNO3rF+gvy1wztspILlJQjaqPhH5w="},
        {{"GET",
          HOST "/cordon-actions/messages?visibilitytimeout=5&numofmessages=32", /* any order */
          vector_headers, 2, 0},
         "myaccount",
         "5JGj5V9l6JR9v251gtnUH9JyI295+OnFvQW9W0RAGiA="},
    };
    CLEANUP(secret_freep) struct secret *text = secret_of(KEY "\r\n"), *key = NULL;
    struct err e;

    (void)state;
    assert_int_equal(azure_key(text, &key, &e), 0);
    assert_int_equal(secret_len(key), 64);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(secret_freep) struct secret *a = NULL;
        char want[128];

        assert_int_equal(azure_shared_key(&cases[i].r, cases[i].account, key, &a, &e), 0);
        (void)snprintf(want, sizeof(want), "SharedKey %s:%s", cases[i].account, cases[i].signature);
        assert_int_equal(secret_len(a), strlen(want));
        assert_memory_equal(secret_bytes(a), want, strlen(want));
    }
}

static void string_to_sign(void **state)
{
    static const struct http_header headers[] = {
        {"X-MS-Version", AZURE_VERSION},
        {"Accept", "*/*"},
        {"x-ms-date", "Sat, 21 Nov 2026 02:19:53 GMT"},
        {"x-ms-client-request-id", "job-1"},
    };
    struct azure_request r = {"DELETE",
                              HOST "/q-1/messages/" ID "?timeout=5&PopReceipt=AgAB%2B%2Fw%3D%3D",
                              headers, ARRAY_LEN(headers), 0};
    struct text t = TEXT_INIT(4096);
    struct err e;

    (void)state;
    assert_int_equal(azure_string_to_sign(&r, "myaccount", &t, &e), 0);
    assert_string_equal(t.s, "DELETE\n\n\n\n\n\n\n\n\n\n\n\n"
                             "x-ms-client-request-id:job-1\n"
                             "x-ms-date:Sat, 21 Nov 2026 02:19:53 GMT\n"
                             "x-ms-version:2021-12-02\n"
                             "/myaccount/q-1/messages/" ID "\npopreceipt:AgAB+/w==\ntimeout:5");
    text_clear(&t);
    r.url = HOST;
    assert_int_equal(azure_string_to_sign(&r, "myaccount", &t, &e), -1);
    text_done(&t);
}

static void dates(void **state)
{
    char buf[AZURE_DATE];
    int64_t ms;

    (void)state;
    azure_date(DATE_MS, buf);
    assert_string_equal(buf, "Sat, 21 Nov 2026 02:19:53 GMT");
    for (int64_t at = 0; at < INT64_C(4000000000000); at += INT64_C(98765432000)) {
        azure_date(at, buf);
        assert_true(http_date(buf, &ms));
        assert_int_equal(ms, at);
    }
}

static void keys_and_sas(void **state)
{
    static const char *const bad_keys[] = {"",     "\n",        "abc",      "ab=c", "=abc",
                                           "ab-_", "YWJj YWJj", "YWJjZB==", "===="};
    static const char *const bad_sas[] = {"",
                                          "?",
                                          "sv=1&sp=up",
                                          "xsig=1",
                                          "sv=1&sig=a b",
                                          "sv=1&sig=a#b",
                                          "sv=1&sig=\xc3\xa4",
                                          "sig=",
                                          "sig=a\nb=c"};
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_keys); i++) {
        CLEANUP(secret_freep) struct secret *in = secret_of(bad_keys[i]), *out = NULL;

        if (azure_key(in, &out, &e) == 0 || e.code != ERR_CONFIG)
            fail_msg("key '%s'", bad_keys[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_sas); i++) {
        CLEANUP(secret_freep) struct secret *in = secret_of(bad_sas[i]), *out = NULL;

        if (azure_sas(in, &out, &e) == 0 || e.code != ERR_CONFIG)
            fail_msg("SAS '%s'", bad_sas[i]);
    }
}

/* --- the envelope ---------------------------------------------------------------------------- */

static void envelopes(void **state)
{
    static const struct {
        const char *raw, *request, *claim; /* request NULL: refused */
    } cases[] = {
        {"eyJh.eyJi.c2ln", "eyJh.eyJi.c2ln", ""},
        {" \r\neyJh.eyJi.c2ln\n", "eyJh.eyJi.c2ln", ""},
        {"ZXlKaC5leUppLmMybG4=", "eyJh.eyJi.c2ln", ""},
        {"{\"v\":1,\"request\":\"a.b.c\"}", "a.b.c", ""},
        {"{\"v\":1,\"request\":\"a.b.c\",\"claim\":\"agent-7\",\"reason\":\"x\"}", "a.b.c",
         "agent-7"},
        {"eyJ2IjoxLCJyZXF1ZXN0IjoiYS5iLmMiLCJjbGFpbSI6ImFnZW50LTcifQ==", "a.b.c", "agent-7"},
        {"{\"id\":\"1\",\"action\":\"disable\"}", "{\"id\":\"1\",\"action\":\"disable\"}", ""},
        {"eyJpZCI6IjEifQ==", "{\"id\":\"1\"}", ""},
        {"", NULL, NULL},
        {"  ", NULL, NULL},
        {"hello", NULL, NULL},
        {"a.b", NULL, NULL},
        {"a..c", NULL, NULL},
        {"a.b.c.d", NULL, NULL},
        {"aGVsbG8=", NULL, NULL},                        /* base64 of no text of ours */
        {"Wm1Gc2MyVT0=", NULL, NULL},                    /* twice */
        {"eyJpZCI6IjEifQ", NULL, NULL},                  /* padding lacks */
        {"{\"v\":2,\"request\":\"a.b.c\"}", NULL, NULL}, /* of a later cordon */
        {"{\"v\":1,\"request\":\"\"}", NULL, NULL},
        {"{\"v\":1,\"request\":{}}", NULL, NULL},
        {"{\"v\":\"1\",\"request\":\"a\"}", NULL, NULL},
        {"{\"v\":1,\"request\":\"a\",\"claim\":\"x y\"}", NULL, NULL},
        {"{\"v\":1,\"request\":\"a\",\"claim\":7}", NULL, NULL},
        {"{\"v\":1,\"request\":\"a\\u0000b\"}", NULL, NULL},
        {"{\"v\":1,\"request\":\"a\"", NULL, NULL},
        {"[1]", NULL, NULL},
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct queue_envelope v = {0};
        int rc = queue_envelope_read(cases[i].raw, &v, &e);

        if ((rc == 0) != (cases[i].request != NULL))
            fail_msg("'%s': %s", cases[i].raw, rc == 0 ? "taken" : e.msg);
        if (rc == 0) {
            assert_string_equal(v.request, cases[i].request);
            assert_int_equal(v.len, strlen(cases[i].request));
            assert_string_equal(v.claim, cases[i].claim);
        } else {
            assert_int_equal(e.code, ERR_INVALID);
        }
        queue_envelope_done(&v);
    }
}

static void base64(void **state)
{
    uint8_t bytes[1600], back[2200];
    struct err e;

    (void)state;
    assert_int_equal(id_random(bytes, sizeof(bytes), &e), 0);
    for (size_t n = 1; n <= sizeof(bytes); n += n < 20 ? 1 : 97) {
        struct text t = TEXT_INIT(4096);
        size_t len = 0;

        queue_base64(&t, bytes, n);
        assert_int_equal(t.len, (n + 2) / 3 * 4);
        assert_true(queue_unbase64(back, t.s, t.len, &len));
        assert_int_equal(len, n);
        assert_memory_equal(back, bytes, n);
        text_done(&t);
    }
}

/* --- bodies ---------------------------------------------------------------------------------- */

static void bodies(void **state)
{
    struct text t = TEXT_INIT(4 * AZURE_TEXT_MAX);
    char *big = calloc(1, AZURE_TEXT_MAX + 2);
    struct err e;

    (void)state;
    assert_non_null(big);
    assert_int_equal(azure_body(&t, "a<b>&\"c\r", &e), 0);
    assert_string_equal(t.s, "<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessage><MessageText>"
                             "a&lt;b&gt;&amp;\"c&#13;</MessageText></QueueMessage>");
    text_clear(&t);
    assert_int_equal(azure_body(&t, "a\x01", &e), -1); /* X2 */
    assert_int_equal(e.code, ERR_INVALID);
    text_clear(&t);
    memset(big, 'x', AZURE_TEXT_MAX);
    assert_int_equal(azure_body(&t, big, &e), 0);
    text_clear(&t);
    big[AZURE_TEXT_MAX] = 'x';
    assert_int_equal(azure_body(&t, big, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    text_done(&t);
    free(big);
}

#define MESSAGE_OF(text, count)                                        \
    "<QueueMessage><MessageId>" ID "</MessageId>"                      \
    "<InsertionTime>Sat, 21 Nov 2026 02:19:00 GMT</InsertionTime>"     \
    "<ExpirationTime>Fri, 31 Dec 9999 23:59:59 GMT</ExpirationTime>"   \
    "<PopReceipt>AgAB+/w==</PopReceipt>"                               \
    "<TimeNextVisible>Sat, 21 Nov 2026 02:21:53 GMT</TimeNextVisible>" \
    "<DequeueCount>" count "</DequeueCount><MessageText>" text "</MessageText></QueueMessage>"
#define LIST(messages)                                              \
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>" \
    "<QueueMessagesList>" messages "</QueueMessagesList>"
#define ONE LIST(MESSAGE_OF("eyJh.eyJi.c2ln", "1"))

static void lists(void **state)
{
    static const struct {
        const char *xml;
        int n; /* -1: refused */
    } cases[] = {
        {ONE, 1},
        {"\xef\xbb\xbf" ONE, 1}, /* Azure's own puts a BOM in front */
        {LIST(""), 0},
        {"<QueueMessagesList/>", 0},
        {"<QueueMessagesList />", 0},
        {LIST(MESSAGE_OF("a.b.c", "1") MESSAGE_OF("d.e.f", "2")), 2},
        {LIST("<QueueMessage><MessageId>" ID "</MessageId><PopReceipt>x</PopReceipt>"
              "<DequeueCount>1</DequeueCount><MessageText/></QueueMessage>"),
         1},
        {"", -1},
        {"{}", -1},
        {"<html/>", -1},
        {"<!DOCTYPE x [<!ENTITY e \"x\">]>" ONE, -1}, /* X1 */
        {LIST(MESSAGE_OF("&e;", "1")), -1},
        {LIST(MESSAGE_OF("a", "-1")), -1},
        {LIST(MESSAGE_OF("a", "")), -1},
        {LIST("<QueueMessage><MessageId>../x</MessageId><PopReceipt>x</PopReceipt>"
              "<DequeueCount>1</DequeueCount><MessageText/></QueueMessage>"),
         -1},
        {LIST("<QueueMessage><MessageId>a</MessageId><PopReceipt>x y</PopReceipt>"
              "<DequeueCount>1</DequeueCount><MessageText/></QueueMessage>"),
         -1},
        {LIST("<QueueMessage><MessageId>a</MessageId>"
              "<DequeueCount>1</DequeueCount><MessageText/></QueueMessage>"),
         -1},
        {LIST("<QueueMessage><MessageId>a</MessageId><PopReceipt>x</PopReceipt>"
              "<DequeueCount>1</DequeueCount></QueueMessage>"),
         -1},
        {LIST("<QueueMessage><MessageId>a</MessageId><PopReceipt>x</PopReceipt>"
              "<DequeueCount>1</DequeueCount><MessageText>a<b/></MessageText></QueueMessage>"),
         -1},
    };
    struct azure_list l = {.n = 0};
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int rc = azure_list_read(cases[i].xml, strlen(cases[i].xml), false, &l, &e);

        if ((rc < 0) != (cases[i].n < 0) || (rc == 0 && (int)l.n != cases[i].n))
            fail_msg("%s: %s", cases[i].xml, rc < 0 ? e.msg : "taken");
        azure_list_done(&l);
    }
    assert_int_equal(azure_list_read(ONE, strlen(ONE), false, &l, &e), 0);
    assert_string_equal(l.m[0].id, ID);
    assert_string_equal(l.m[0].receipt, "AgAB+/w==");
    assert_string_equal(l.m[0].text, "eyJh.eyJi.c2ln");
    assert_int_equal(l.m[0].deliveries, 1);
    assert_int_equal(l.m[0].put_ms, DATE_MS - 53000);
    assert_int_equal(l.m[0].visible_ms, DATE_MS + 120000);
    azure_list_done(&l);
    assert_int_equal(azure_list_read(cases[17].xml, strlen(cases[17].xml), true, &l, &e), -1);
}

static void error_bodies(void **state)
{
    char code[32];

    (void)state;
#define CODE(s) azure_error_code(s, strlen(s), code, sizeof(code))
    CODE("\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>QueueNotFound</Code>"
         "<Message>text\nRequestId:1</Message></Error>");
    assert_string_equal(code, "QueueNotFound");
    CODE("");
    assert_string_equal(code, "");
    CODE("<Error><Code>a\x1b b</Code></Error>");
    assert_string_equal(code, "");
    CODE("<Error><Code>&#10;x</Code></Error>");
    assert_string_equal(code, "");
    CODE("<html><Code>QueueNotFound</Code></html>");
    assert_string_equal(code, "");
}

/* --- what an answer means -------------------------------------------------------------------- */

/* Sections 5 and 6, line by line. */
static void outcomes(void **state)
{
    static const struct {
        long status;
        const char *code;
        enum queue_end end;
        enum err_code err;
    } cases[] = {
        {204, "", QUEUE_OK, ERR_OK},
        {200, "", QUEUE_RETRY, ERR_UNPROVEN}, /* a page of a proxy */
        {301, "", QUEUE_FATAL, ERR_REFUSED},
        {400, "PopReceiptMismatch", QUEUE_LOST, ERR_CONFLICT},
        {400, "OutOfRangeQueryParameterValue", QUEUE_FATAL, ERR_REFUSED},
        {400, "InvalidQueryParameterValue", QUEUE_FATAL, ERR_REFUSED},
        {400, "OutOfRangeInput", QUEUE_FATAL, ERR_REFUSED},
        {400, "InvalidResourceName", QUEUE_FATAL, ERR_REFUSED},
        {400, "InvalidXmlDocument", QUEUE_FATAL, ERR_REFUSED},
        {400, "InvalidHeaderValue", QUEUE_FATAL, ERR_REFUSED},
        {400, "MissingRequiredQueryParameter", QUEUE_FATAL, ERR_REFUSED},
        {400, "", QUEUE_FATAL, ERR_REFUSED},
        {400, "MessageTooLarge", QUEUE_FATAL, ERR_TOOBIG},
        {401, "NoAuthenticationInformation", QUEUE_AUTH, ERR_AUTH},
        {401, "InvalidAuthenticationInfo", QUEUE_AUTH, ERR_AUTH},
        {401, "", QUEUE_AUTH, ERR_AUTH},
        {403, "AuthenticationFailed", QUEUE_AUTH, ERR_AUTH},
        {403, "AuthorizationPermissionMismatch", QUEUE_AUTH, ERR_DENIED},
        {403, "AuthorizationProtocolMismatch", QUEUE_AUTH, ERR_DENIED},
        {403, "AuthorizationFailure", QUEUE_AUTH, ERR_DENIED},
        {403, "KeyBasedAuthenticationNotPermitted", QUEUE_AUTH, ERR_DENIED},
        {403, "", QUEUE_AUTH, ERR_DENIED},
        {404, "QueueNotFound", QUEUE_FATAL, ERR_CONFIG},
        {404, "MessageNotFound", QUEUE_GONE, ERR_NOTFOUND},
        {404, "ResourceNotFound", QUEUE_FATAL, ERR_CONFIG},
        {404, "", QUEUE_FATAL, ERR_REFUSED}, /* gone only where the service says so */
        {409, "QueueBeingDeleted", QUEUE_RETRY, ERR_BUSY},
        {409, "QueueDisabled", QUEUE_RETRY, ERR_BUSY},
        {409, "QueueAlreadyExists", QUEUE_FATAL, ERR_CONFLICT},
        {411, "MissingContentLengthHeader", QUEUE_FATAL, ERR_REFUSED},
        {413, "RequestBodyTooLarge", QUEUE_FATAL, ERR_TOOBIG},
        {413, "", QUEUE_FATAL, ERR_TOOBIG},
        {429, "", QUEUE_RETRY, ERR_BUSY},
        {500, "InternalError", QUEUE_RETRY, ERR_BUSY},
        {500, "OperationTimedOut", QUEUE_RETRY, ERR_BUSY},
        {503, "ServerBusy", QUEUE_RETRY, ERR_BUSY},
        {502, "", QUEUE_RETRY, ERR_BUSY},
        {200, "MessageNotFound", QUEUE_RETRY, ERR_UNPROVEN}, /* a code counts with an error only */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct azure_answer a = {cases[i].status, cases[i].code, "req-1", DATE_MS};
        struct err e = ERR_NONE;
        enum queue_end end = azure_outcome(&a, 204, AZURE_KEY, DATE_MS, &e);

        if (end != cases[i].end || (end != QUEUE_OK && e.code != cases[i].err))
            fail_msg("%ld %s: %d, %s", cases[i].status, cases[i].code, (int)end, e.msg);
        assert_true(end == QUEUE_OK || strstr(e.msg, "req-1") != NULL);
    }
}

static void clock_skew(void **state)
{
    const struct azure_answer a = {403, "AuthenticationFailed", "", DATE_MS};
    const struct azure_answer undated = {403, "AuthenticationFailed", "", 0};
    struct err e;

    (void)state;
    assert_int_equal(azure_outcome(&a, 200, AZURE_KEY, DATE_MS + 1000, &e), QUEUE_AUTH);
    assert_non_null(strstr(e.msg, "the key"));
    assert_null(strstr(e.msg, "clock"));
    assert_int_equal(azure_outcome(&a, 200, AZURE_KEY, DATE_MS + 1200000, &e), QUEUE_AUTH);
    assert_non_null(strstr(e.msg, "20 min ahead of"));
    assert_int_equal(azure_outcome(&a, 200, AZURE_TOKEN, DATE_MS - 3600000, &e), QUEUE_AUTH);
    assert_non_null(strstr(e.msg, "behind"));
    assert_int_equal(azure_outcome(&undated, 200, AZURE_SAS, DATE_MS, &e), QUEUE_AUTH);
    assert_non_null(strstr(e.msg, "SAS"));
}

/* --- the verbs ------------------------------------------------------------------------------- */

#define MSG "/cordon-actions/messages/" ID "?popreceipt="
#define FIRST "AgAB%2B%2Fw%3D%3D" /* of ONE: + / = are encoded */
#define GET                                                                            \
    {                                                                                  \
        "GET", "/cordon-actions/messages?numofmessages=1&visibilitytimeout=120", NULL, \
            .status = 200, .answer = ONE                                               \
    }
#define RENEWED(r) .status = 204, .receipt = r, .visible = "Sat, 21 Nov 2026 02:21:53 GMT"

static void newest_receipt(void **state)
{
    CLEANUP(queue_freep) struct queue *q = open_queue(AZURE_KEY);
    struct queue_message *m;

    (void)state;
    PLAY(GET, {"PUT", MSG FIRST "&visibilitytimeout=120", NULL, RENEWED("n2+")},
         {"PUT", MSG "n2%2B&visibilitytimeout=60",
          "{\"v\":1,\"request\":\"eyJh.eyJi.c2ln\",\"claim\":\"agent-a\"}", RENEWED("n3/")},
         {"PUT", MSG "n3%2F&visibilitytimeout=1", NULL, RENEWED("n4")}, /* 1 ms is no less */
         {"DELETE", MSG "n4", NULL, .status = 204},
         {"DELETE", MSG "n4", NULL, .status = 404, .error = "MessageNotFound"});
    m = sync_one(q, LEASE);
    assert_non_null(m);
    assert_string_equal(m->id, ID);
    assert_string_equal(m->text, "eyJh.eyJi.c2ln");
    assert_string_equal(m->claim, "");
    assert_int_equal(m->deliveries, 1);
    assert_int_equal(m->put_ms, DATE_MS - 53000);
    assert_true(m->ends > loop_now(sync_.l) && m->ends <= loop_now(sync_.l) + LEASE);
    assert_int_equal(strncmp(last_authorization, "SharedKey myaccount:", 20), 0);
    assert_int_equal(last_try_ms, 20000);
    assert_int_equal(sync_renew(m, LEASE, NULL), QUEUE_OK);
    assert_int_equal(last_try_ms, 20000);
    assert_int_equal(sync_renew(m, LEASE / 2, "agent-a"), QUEUE_OK);
    m->ends = loop_now(sync_.l) + 12000; /* there is time for others before it is over */
    assert_string_equal(m->claim, "agent-a");
    assert_int_equal(sync_renew(m, 1, "agent-a"), QUEUE_OK); /* it is there: no body */
    assert_true(last_try_ms > 5000 && last_try_ms <= 6000);
    assert_int_equal(sync_complete(m), QUEUE_OK);
    assert_int_equal(sync_complete(m), QUEUE_GONE);
    queue_message_free(m);
}

/* The server's word shortens a lease, and never makes it longer. */
static void whose_clock(void **state)
{
    CLEANUP(queue_freep) struct queue *q = open_queue(AZURE_KEY);
    struct queue_message *m;
    uint64_t before;

    (void)state;
    PLAY({"GET", "=3600", NULL, .status = 200, .answer = ONE},
         {"GET", "=30", NULL, .status = 200, .answer = ONE});
    before = loop_now(sync_.l);
    m = sync_one(q, 3600 * 1000);
    assert_non_null(m);
    assert_true(m->ends <= loop_now(sync_.l) + 120000 && m->ends >= before + 119000);
    queue_message_free(m);
    before = loop_now(sync_.l);
    m = sync_one(q, 30000);
    assert_non_null(m);
    assert_true(m->ends <= loop_now(sync_.l) + 30000 && m->ends >= before + 30000);
    queue_message_free(m);
}

static struct queue_message *get(struct queue *q)
{
    struct queue_message *m = sync_one(q, LEASE);

    assert_non_null(m);
    return m;
}

#define LOST_ANSWER .status = 0, .code = ERR_UNPROVEN
#define MISMATCH .status = 400, .error = "PopReceiptMismatch"

static void lost_answers(void **state)
{
    CLEANUP(queue_freep) struct queue *q = open_queue(AZURE_KEY);
    struct queue_message *m;

    (void)state;
    /* It had not happened. It had: the old receipt is over. Nobody answers; and then. */
    PLAY(GET, {"PUT", MSG FIRST, NULL, LOST_ANSWER}, {"PUT", MSG FIRST, NULL, RENEWED("n2")},
         {"PUT", MSG "n2", NULL, LOST_ANSWER}, {"PUT", MSG "n2", NULL, MISMATCH}, GET,
         {"PUT", MSG FIRST, NULL, LOST_ANSWER}, {"PUT", MSG FIRST, NULL, LOST_ANSWER},
         {"PUT", MSG FIRST, NULL, MISMATCH}, GET,
         {"PUT", MSG FIRST, NULL, .status = 0, .code = ERR_UNSENT},
         {"PUT", MSG FIRST, NULL, .status = 204}, /* without a receipt */
         {"DELETE", MSG FIRST, NULL, LOST_ANSWER},
         {"DELETE", MSG FIRST, NULL, .status = 404, .error = "MessageNotFound"},
         {"DELETE", MSG FIRST, NULL, MISMATCH}, {"PUT", MSG FIRST, NULL, MISMATCH});
    m = get(q);
    assert_int_equal(sync_renew(m, LEASE, NULL), QUEUE_OK);
    assert_int_equal(sync_renew(m, LEASE, NULL), QUEUE_LOST);
    queue_message_free(m);
    m = get(q);
    assert_int_equal(sync_renew(m, LEASE, NULL), QUEUE_RETRY);
    assert_int_equal(sync_.err.code, ERR_UNPROVEN);
    assert_int_equal(sync_renew(m, LEASE, NULL), QUEUE_LOST);
    queue_message_free(m);
    m = get(q);
    assert_int_equal(sync_renew(m, LEASE, NULL), QUEUE_RETRY);
    assert_int_equal(sync_renew(m, LEASE, NULL), QUEUE_RETRY);
    assert_int_equal(sync_complete(m), QUEUE_RETRY);
    assert_int_equal(sync_complete(m), QUEUE_GONE);
    assert_int_equal(sync_complete(m), QUEUE_LOST);
    assert_int_equal(sync_release(m, 0), QUEUE_LOST);
    queue_message_free(m);
}

#define DEAD "/cordon-actions-poison/messages?messagettl=-1"
#define DEAD_SAS DEAD "&sv=2021-12-02&sp=a&sig=ZGVhZA"

static void dead_letters(void **state)
{
    CLEANUP(queue_freep) struct queue *q = open_queue(AZURE_SAS);
    struct queue_message *m;

    (void)state;
    PLAY(GET, {"POST", DEAD_SAS, "\"reason\":\"not signed\"", .status = 503, .error = "ServerBusy"},
         {"POST", DEAD_SAS, "\"request\":\"eyJh.eyJi.c2ln\"", .status = 201},
         {"DELETE", MSG FIRST "&" SAS, NULL, LOST_ANSWER},
         {"DELETE", MSG FIRST "&" SAS, NULL, .status = 204}, /* it is not put there twice */
         {"GET", "=1&", NULL, .status = 200, .answer = LIST(MESSAGE_OF("&lt;junk> \xc3\xa4", "6"))},
         {"POST", DEAD_SAS, "\"request\":\"<junk> \xc3\xa4\",\"reason\":\"junk\"", .status = 201},
         {"DELETE", MSG FIRST "&" SAS, NULL, .status = 204}, GET,
         {"POST", DEAD_SAS, "", .status = 404, .error = "QueueNotFound"});
    m = get(q);
    assert_int_equal(sync_dead(m, "not signed"), QUEUE_RETRY);
    assert_int_equal(sync_dead(m, "not signed"), QUEUE_RETRY);
    assert_int_equal(sync_dead(m, "not signed"), QUEUE_OK);
    queue_message_free(m);
    m = get(q);
    assert_null(m->text);
    assert_int_equal(m->why.code, ERR_INVALID);
    assert_int_equal(m->deliveries, 6);
    assert_int_equal(sync_dead(m, "junk"), QUEUE_OK);
    queue_message_free(m);
    m = get(q);
    assert_int_equal(sync_dead(m, "x"), QUEUE_FATAL);
    assert_non_null(strstr(sync_.err.msg, "dead-letter queue"));
    queue_message_free(m);
}

/* Each text that came in can be got rid of, however large it is. */
static void large_ones(void **state)
{
    CLEANUP(queue_freep) struct queue *q = open_queue(AZURE_KEY);
    char *big = calloc(1, AZURE_TEXT_MAX + 1), *xml = calloc(1, 4 * AZURE_TEXT_MAX);
    struct queue_message *m;
    struct says s[3];
    struct err e;
    size_t max = queue_caps(q)->max_text;

    (void)state;
    assert_true(big != NULL && xml != NULL);
    memset(big, 'a', AZURE_TEXT_MAX);
    big[1] = big[3] = '.'; /* a JWS that fills a message: there is no room for an envelope */
    (void)snprintf(xml, 4 * AZURE_TEXT_MAX,
                   LIST("<QueueMessage><MessageId>" ID "</MessageId><PopReceipt>AgAB+/w=="
                        "</PopReceipt><DequeueCount>1</DequeueCount><MessageText>%s</MessageText>"
                        "</QueueMessage>"),
                   big);
    s[0] = (struct says)GET;
    s[0].answer = xml;
    s[1] = (struct says){"POST", DEAD, "a.a.aaa", .status = 201, .absent = "reason"};
    s[2] = (struct says){"DELETE", MSG FIRST, NULL, .status = 204};
    play(s, 3);
    m = get(q);
    assert_int_equal(m->len, AZURE_TEXT_MAX);
    assert_int_equal(sync_renew(m, LEASE, "agent-a"), QUEUE_FATAL);
    assert_int_equal(sync_.err.code, ERR_TOOBIG);
    assert_int_equal(sync_dead(m, "too large"), QUEUE_OK);
    queue_message_free(m);

    /* One that is no text, and is larger than a message once it is escaped. */
    memset(big, '<', AZURE_TEXT_MAX);
    xml[0] = '\0';
    (void)strcat(xml, "<QueueMessagesList><QueueMessage><MessageId>" ID
                      "</MessageId><PopReceipt>AgAB+/w==</PopReceipt><DequeueCount>1"
                      "</DequeueCount><MessageText><![CDATA[");
    (void)strcat(xml, big);
    (void)strcat(xml, "]]></MessageText></QueueMessage></QueueMessagesList>");
    s[1] = (struct says){"POST", DEAD, "\"reason\":\"junk\"", .status = 201};
    play(s, 3);
    m = get(q);
    assert_null(m->text);
    assert_int_equal(sync_dead(m, "junk"), QUEUE_OK);
    queue_message_free(m);

    /* Room for a claim is found for all that we take: in clear, where need be. */
    memset(big, 'a', max);
    big[1] = big[3] = '.';
    big[max] = '\0';
    (void)snprintf(xml, 4 * AZURE_TEXT_MAX,
                   LIST("<QueueMessage><MessageId>" ID "</MessageId><PopReceipt>AgAB+/w=="
                        "</PopReceipt><DequeueCount>1</DequeueCount><MessageText>%s</MessageText>"
                        "</QueueMessage>"),
                   big);
    s[1] = (struct says){"PUT", MSG FIRST, ",\"claim\":\"agent-a\"}", RENEWED("n2")};
    s[2] =
        (struct says){"POST", "/cordon-actions/messages?messagettl=3600", "a.a.aaa", .status = 201};
    play(s, 3);
    m = get(q);
    assert_int_equal(sync_renew(m, LEASE, "agent-a"), QUEUE_OK);
    queue_message_free(m);
    assert_int_equal(sync_put(q, big, 3600 * 1000), QUEUE_OK);
    big[max] = 'a';
    assert_int_equal(queue_put_start(q, big, max + 1, 0, sync_on, NULL, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    memset(big, '"', max); /* twice as long in JSON */
    assert_int_equal(queue_put_start(q, big, max, 0, sync_on, NULL, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    free(big);
    free(xml);
}

/* A list that cannot be read is asked for anew, one by one: it must not block the queue. */
static void unreadable_lists(void **state)
{
    CLEANUP(queue_freep) struct queue *q = open_queue(AZURE_KEY);

    (void)state;
    PLAY({"GET", "numofmessages=15&", NULL, .status = 200, .answer = "<html>"},
         {"GET", "numofmessages=1&", NULL, .status = 200, .answer = "<QueueMessagesList/>"},
         {"GET", "numofmessages=1&", NULL, .status = 0, .code = ERR_TIMEOUT});
    assert_int_equal(sync_receive(q, 32, LEASE), QUEUE_RETRY);
    assert_int_equal(sync_receive(q, 32, LEASE), QUEUE_OK);
    assert_int_equal(sync_.n, 0);
    assert_int_equal(sync_receive(q, 32, LEASE), QUEUE_RETRY);
}

static void sas_in_the_url(void **state)
{
    CLEANUP(queue_freep) struct queue *q = open_queue(AZURE_SAS);
    struct queue_message *m;

    (void)state;
    PLAY({"GET", "visibilitytimeout=120&" SAS, NULL, .status = 200, .answer = ONE},
         {"DELETE", MSG FIRST "&" SAS, NULL, .status = 403,
          .error = "AuthorizationPermissionMismatch"},
         {"GET", "/cordon-actions?comp=metadata&" SAS, NULL, .status = 200, .count = "7"},
         {"GET", "/messages?peekonly=true&" SAS, NULL, .status = 403,
          .error = "AuthorizationFailure"},
         {"GET", "/cordon-actions?comp=metadata&" SAS, NULL, .status = 200, .count = "x"});
    m = get(q);
    assert_string_equal(last_authorization, "");
    assert_int_equal(sync_complete(m), QUEUE_AUTH);
    assert_int_equal(sync_.err.code, ERR_DENIED);
    assert_null(strstr(sync_.err.msg, "sig"));
    assert_null(strstr(queue_name(q), "sig"));
    queue_message_free(m);
    assert_int_equal(sync_depth(q), QUEUE_OK);
    assert_int_equal(sync_.count, 7);
    assert_int_equal(sync_.oldest_ms, 0);
    assert_int_equal(sync_depth(q), QUEUE_RETRY);
}

static void tokens_anew(void **state)
{
    CLEANUP(queue_freep) struct queue *q = open_queue(AZURE_TOKEN);

    (void)state;
    PLAY({"POST", "messagettl=-1", "a.b.c", .status = 401, .error = "InvalidAuthenticationInfo"},
         {"POST", "messagettl=-1", "a.b.c", .status = 201},
         {"POST", "messagettl=-1", "a.b.c", .status = 401, .error = "InvalidAuthenticationInfo"},
         {"POST", "messagettl=-1", "a.b.c", .status = 401, .error = "InvalidAuthenticationInfo"});
    assert_int_equal(sync_put(q, "a.b.c", 0), QUEUE_OK);
    assert_string_equal(last_authorization, "Bearer eyJ.token.x");
    assert_int_equal(tokens, 2);
    assert_int_equal(refused, 1);
    assert_int_equal(sync_put(q, "a.b.c", 0), QUEUE_AUTH); /* once, and not for ever */
    assert_int_equal(tokens, 4);
    secret_free(TAKE(token));
    assert_int_equal(sync_put(q, "a.b.c", 0), QUEUE_AUTH);
    assert_non_null(strstr(sync_.err.msg, "no token for you"));
}

enum { WITH_KEY = 1, WITH_SAS = 2, WITH_TOKEN = 4 };

static void settings(void **state)
{
    static const struct {
        const char *what, *url, *account, *queue, *dead, *agent; /* NULL: what is fine */
        int with;
        bool ok;
    } cases[] = {
        {"fine", .account = "myaccount", .with = WITH_KEY, .ok = true},
        {"no account for a SAS", .with = WITH_SAS, .ok = true},
        {"a token", .with = WITH_TOKEN, .ok = true},
        {"loopback", .url = "http://127.0.0.1:1/a", .with = WITH_SAS, .ok = true},
        {"a token in clear", .url = "http://127.0.0.1:1/a", .with = WITH_TOKEN},
        {"metadata", .url = "http://169.254.169.254", .with = WITH_SAS},
        {"clear", .url = "http://a.example", .with = WITH_SAS},
        {"a query", .url = HOST "?x", .with = WITH_SAS},
        {"two ways", .account = "myaccount", .with = WITH_KEY | WITH_SAS},
        {"no way", .account = "myaccount"},
        {"no account", .with = WITH_KEY},
        {"its name", .account = "My/", .with = WITH_KEY},
        {"short", .queue = "q1", .with = WITH_SAS},
        {"upper case", .queue = "Q-1", .with = WITH_SAS},
        {"hyphens", .queue = "q--1", .with = WITH_SAS},
        {"a path", .queue = "q-1/x", .with = WITH_SAS},
        {"dead", .dead = "-q1", .with = WITH_SAS},
        {"too long with -poison",
         .queue = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         .with = WITH_SAS},
        {"agent", .agent = "a b", .with = WITH_SAS},
    };
    CLEANUP(secret_freep) struct secret *key = secret_of(KEY), *sas = secret_of(SAS);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct queue_azure_settings s = {
            .url = cases[i].url != NULL ? cases[i].url : HOST,
            .account = cases[i].account,
            .queue = cases[i].queue != NULL ? cases[i].queue : "q-1",
            .dead = cases[i].dead,
            .agent = cases[i].agent != NULL ? cases[i].agent : "a",
            .key = (cases[i].with & WITH_KEY) != 0 ? key : NULL,
            .sas = (cases[i].with & WITH_SAS) != 0 ? sas : NULL,
            .token =
                (cases[i].with & WITH_TOKEN) != 0 ? (struct token_source *)(void *)&token : NULL,
        };
        struct queue *q = NULL;
        struct err e;
        int rc;

        rc = queue_azure_new(sync_.l, NULL, &s, &q, &e);
        if ((rc == 0) != cases[i].ok || (rc < 0 && e.code != ERR_CONFIG))
            fail_msg("%s: %s", cases[i].what, rc == 0 ? "taken" : e.msg);
        queue_free(q);
    }
}

/* --- the end, and no memory ------------------------------------------------------------------ */

static void never(void *arg, enum queue_end end, const struct err *e)
{
    (void)arg, (void)end, (void)e;
    fail_msg("a callback after the end");
}

static void freed_in_the_midst(void **state)
{
    struct queue *q = open_queue(AZURE_SAS);
    struct queue_message *m;
    struct err e;

    (void)state;
    PLAY(GET, {"PUT", MSG FIRST, NULL, .status = 204}, {"DELETE", MSG FIRST, NULL, .status = 204});
    m = get(q);
    assert_int_equal(queue_renew_start(m, LEASE, NULL, never, NULL, &e), 0);
    queue_free(q);
    queue_message_free(m);

    q = open_queue(AZURE_TOKEN);
    assert_int_equal(queue_put_start(q, "a.b.c", 5, 0, never, NULL, &e), 0); /* waits for a token */
    queue_free(q);

    q = open_queue(AZURE_SAS);
    play(says_, 1);
    m = get(q);
    play(says_ + 2, 1);
    assert_int_equal(queue_complete_start(m, never, NULL, &e), 0);
    queue_message_free(m);
    queue_free(q);
    (void)loop_run(sync_.l, &e);
}

static void without_memory(void **state)
{
    static const struct says says[] = {
        GET,
        {"PUT", MSG FIRST, "agent-a", RENEWED("n2")},
        {"POST", DEAD, "", .status = 201},
        {"DELETE", MSG "n2", NULL, .status = 204},
    };

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        struct queue *q;
        struct queue_message *m;

        alloc_left = -1;
        q = open_queue(AZURE_KEY);
        play(says, ARRAY_LEN(says));
        alloc_left = n;
        m = sync_one(q, LEASE);
        if (m != NULL) {
            assert_string_equal(m->text, "eyJh.eyJi.c2ln");
            if (sync_renew(m, LEASE, "agent-a") == QUEUE_OK && sync_dead(m, "x") == QUEUE_OK)
                assert_int_equal(script_at, script_n);
        }
        alloc_left = -1;
        queue_message_free(m);
        queue_free(q);
    }
    play(NULL, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(signatures),         T(string_to_sign), T(dates),        T(keys_and_sas),
        T(envelopes),          T(base64),         T(bodies),       T(lists),
        T(error_bodies),       T(outcomes),       T(clock_skew),   T(newest_receipt),
        T(whose_clock),        T(lost_answers),   T(dead_letters), T(large_ones),
        T(unreadable_lists),   T(sas_in_the_url), T(tokens_anew),  T(settings),
        T(freed_in_the_midst), T(without_memory),
    };

    return cmocka_run_group_tests_name("cloud/queue_azure", tests, NULL, NULL);
}
