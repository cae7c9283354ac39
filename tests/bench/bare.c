/* tests/bench/bare.c -- the least that empties an Azure queue, to measure cordon's by.
 *
 *   bare put URL SAS CA < TEXTS                  a message a line, as it is to be stored
 *   bare drain URL SAS CA COUNT                  receive, delete
 *   bare answer URL SAS CA COUNT OTHER SAS       receive, put it onto the other queue, delete
 *   bare calls URL SAS CA COUNT OTHER SAS        the same, but first write it back (a claim)
 *
 * SAS and CA are files. Bare curl-multi: 15 in a receive, one receive at a time, 30 in hand at
 * most, 8 connections, which is what cordon's queue layer does. Answers are looked at for id,
 * receipt and text, and for nothing else. Prints COUNT, milliseconds and requests.
 */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 15, IN_HAND = 30, CONNECTIONS = 8, BODY = 96 * 1024 };

enum verb { PUT, RECEIVE, RENEW, DELETE, ANSWER };
static const long wanted[] = {201, 200, 204, 204, 201};

struct call {
    CURL *c;
    enum verb verb;
    char *body; /* what is sent */
    char *id, *receipt, *text;
    char *got; /* of a receive */
    size_t got_len;
};

static CURLM *multi;
static struct curl_slist *with_body, *without;
static const char *url, *ca, *answers_url;
static char sas[1024], answers_sas[1024];
static bool answers, claims, receiving;
static long left, in_hand, requests;

static size_t on_body(char *p, size_t s, size_t n, void *arg)
{
    struct call *x = arg;

    if (x->verb != RECEIVE)
        return s * n;
    x->got = realloc(x->got, x->got_len + s * n + 1);
    memcpy(x->got + x->got_len, p, s * n);
    x->got_len += s * n;
    x->got[x->got_len] = '\0';
    return s * n;
}

static size_t on_header(char *p, size_t s, size_t n, void *arg)
{
    static const char name[] = "x-ms-popreceipt: ";
    struct call *x = arg;

    if (x->verb == RENEW && s * n > sizeof(name) && strncasecmp(p, name, sizeof(name) - 1) == 0) {
        free(x->receipt);
        x->receipt = strndup(p + sizeof(name) - 1, s * n - sizeof(name) + 1);
        x->receipt[strcspn(x->receipt, "\r\n")] = '\0';
    }
    return s * n;
}

static void call_free(struct call *x)
{
    curl_easy_cleanup(x->c);
    free(x->body);
    free(x->id);
    free(x->receipt);
    free(x->text);
    free(x->got);
    free(x);
}

static char *wrapped(const char *text)
{
    char *s = malloc(BODY);

    (void)snprintf(s, BODY, "<QueueMessage><MessageText>%s</MessageText></QueueMessage>", text);
    return s;
}

/* Owns body. x: goes on with this message; NULL: a new call. */
static void go(struct call *x, enum verb verb, char *body)
{
    static const char *const methods[] = {"POST", "GET", "PUT", "DELETE", "POST"};
    char full[4096], *receipt;

    if (x == NULL)
        x = calloc(1, sizeof(*x));
    x->verb = verb;
    free(x->body);
    x->body = body;
    x->c = x->c != NULL ? x->c : curl_easy_init();
    curl_easy_reset(x->c);
    if (verb == RECEIVE) {
        (void)snprintf(full, sizeof(full), "%s/messages?numofmessages=%d&visibilitytimeout=120&%s",
                       url, BATCH, sas);
    } else if (verb == PUT || verb == ANSWER) {
        (void)snprintf(full, sizeof(full), "%s/messages?messagettl=604800&%s",
                       verb == ANSWER ? answers_url : url, verb == ANSWER ? answers_sas : sas);
    } else {
        receipt = curl_easy_escape(x->c, x->receipt, 0);
        (void)snprintf(full, sizeof(full), "%s/messages/%s?popreceipt=%s%s&%s", url, x->id, receipt,
                       verb == RENEW ? "&visibilitytimeout=120" : "", sas);
        curl_free(receipt);
    }
    curl_easy_setopt(x->c, CURLOPT_URL, full);
    curl_easy_setopt(x->c, CURLOPT_CAINFO, ca);
    curl_easy_setopt(x->c, CURLOPT_HTTPHEADER, body != NULL ? with_body : without);
    if (body != NULL) {
        curl_easy_setopt(x->c, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
        curl_easy_setopt(x->c, CURLOPT_POSTFIELDS, body);
    }
    curl_easy_setopt(x->c, CURLOPT_CUSTOMREQUEST, methods[verb]);
    curl_easy_setopt(x->c, CURLOPT_PRIVATE, x);
    curl_easy_setopt(x->c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(x->c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(x->c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(x->c, CURLOPT_HEADERDATA, x);
    curl_multi_add_handle(multi, x->c);
    requests++;
}

/* What stands in the first <name> behind *at; *at moves behind it. NULL: none. */
static char *element(const char **at, const char *name)
{
    char open[32];
    const char *from, *to;

    (void)snprintf(open, sizeof(open), "<%s>", name);
    from = strstr(*at, open);
    if (from == NULL)
        return NULL;
    from += strlen(open);
    to = strchr(from, '<');
    *at = to;
    return strndup(from, (size_t)(to - from));
}

static void received(struct call *x)
{
    const char *at = x->got != NULL ? x->got : "";
    char *id;

    receiving = false;
    while ((id = element(&at, "MessageId")) != NULL) {
        struct call *m = calloc(1, sizeof(*m));

        m->id = id;
        m->receipt = element(&at, "PopReceipt");
        m->text = element(&at, "MessageText");
        in_hand++;
        if (claims)
            go(m, RENEW, wrapped(m->text));
        else if (answers)
            go(m, ANSWER, wrapped(m->text));
        else
            go(m, DELETE, NULL);
    }
    call_free(x);
}

static void ended(struct call *x)
{
    switch (x->verb) {
    case RECEIVE:
        received(x);
        return;
    case RENEW:
        go(x, ANSWER, wrapped(x->text));
        return;
    case ANSWER:
        go(x, DELETE, NULL);
        return;
    default:
        break;
    }
    in_hand--;
    left--;
    call_free(x);
}

static void turn(void)
{
    int running, messages;
    CURLMsg *m;

    curl_multi_perform(multi, &running);
    while ((m = curl_multi_info_read(multi, &messages)) != NULL) {
        struct call *x;
        long status = 0;

        curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x);
        if (m->data.result != CURLE_OK || status != wanted[x->verb]) {
            fprintf(stderr, "bare: %s, %ld\n", curl_easy_strerror(m->data.result), status);
            exit(1);
        }
        curl_multi_remove_handle(multi, x->c);
        ended(x);
    }
}

static void put_all(void)
{
    static char line[BODY];
    bool more = true;

    while (more || in_hand > 0) {
        while (in_hand < IN_HAND && (more = fgets(line, sizeof(line), stdin) != NULL)) {
            line[strcspn(line, "\n")] = '\0';
            in_hand++;
            go(NULL, PUT, wrapped(line));
        }
        turn();
        curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
}

static void drain(void)
{
    while (left > 0) {
        if (!receiving && in_hand + BATCH <= IN_HAND && in_hand < left) {
            receiving = true;
            go(NULL, RECEIVE, NULL);
        }
        turn();
        if (left > 0)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
}

static void read_line(char *buf, size_t size, const char *file)
{
    FILE *f = fopen(file, "r");

    if (f == NULL || fgets(buf, (int)size, f) == NULL)
        exit(2);
    buf[strcspn(buf, "\r\n")] = '\0';
    fclose(f);
}

int main(int argc, char **argv)
{
    struct timespec a, b;
    long count;

    if (argc < 5)
        return 2;
    url = argv[2];
    read_line(sas, sizeof(sas), argv[3]);
    ca = argv[4];
    left = count = argc > 5 ? atol(argv[5]) : 0;
    if (argc > 7) {
        answers = true;
        claims = strcmp(argv[1], "calls") == 0;
        answers_url = argv[6];
        read_line(answers_sas, sizeof(answers_sas), argv[7]);
    }
    curl_global_init(CURL_GLOBAL_ALL);
    multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)CONNECTIONS);
    without = curl_slist_append(NULL, "x-ms-version: 2021-12-02");
    with_body = curl_slist_append(NULL, "x-ms-version: 2021-12-02");
    with_body = curl_slist_append(with_body, "Content-Type: application/xml");
    clock_gettime(CLOCK_MONOTONIC, &a);
    if (strcmp(argv[1], "put") == 0)
        put_all();
    else
        drain();
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%ld %.0f %ld\n", count,
           (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6, requests);
    return 0;
}
