/* cloud/queue_azure.c -- the queue that is Azure Queue Storage (azure-queue-storage.md).
 *
 *   receive    GET messages                               on_received
 *   renew      PUT message, with a body where our claim   on_renewed: the new receipt is kept. An
 *              goes onto it                               answer that was lost is asked for again,
 *                                                         once, with the receipt we have
 *   complete   DELETE message                             on_ended
 *   release    PUT message                                on_ended
 *   dead       POST to the dead-letter queue              on_dead: then DELETE message   on_ended
 *   put        POST messages                              on_ended
 *   depth      GET metadata                               on_counted: then peek          on_peeked
 *
 * Each request is one try (queue_azure_call.c): waiting and trying again are the caller's.
 */
#include "cloud/queue_azure_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define DAY_MS (UINT64_C(24) * 3600 * 1000)
enum {
    ENVELOPE = 21, /* {"v":1,"request":""} */
    JSON_MAX = AZURE_TEXT_MAX / 4 * 3,
    SINGLES = 32, /* receives of one message, after a list that could not be read */
    CUT = 16 * 1024,
};

static void on_received(struct azure_call *c, const struct http_answer *a, enum queue_end end,
                        const struct err *e);
static void on_renewed(struct azure_call *c, const struct http_answer *a, enum queue_end end,
                       const struct err *e);
static void on_dead(struct azure_call *c, const struct http_answer *a, enum queue_end end,
                    const struct err *e);
static void on_counted(struct azure_call *c, const struct http_answer *a, enum queue_end end,
                       const struct err *e);
static void on_peeked(struct azure_call *c, const struct http_answer *a, enum queue_end end,
                      const struct err *e);
static void on_ended(struct azure_call *c, const struct http_answer *a, enum queue_end end,
                     const struct err *e);

/* --- URLs and bodies ------------------------------------------------------------------------- */

static unsigned long long secs(uint64_t ms)
{
    return (ms + 999) / 1000;
}

/* .../messages/ID?popreceipt=R */
static void url_of_message(struct azure_call *c)
{
    const struct queue_held *h = c->c.held;

    azure_url(c, false, "/messages/");
    http_escape(&c->url, h->id, strlen(h->id));
    text_add(&c->url, "?popreceipt=");
    http_escape(&c->url, h->key, strlen(h->key));
}

/* The text in its envelope, as base64; where that leaves no room and `clear` allows it, as it is.
 */
static int write_body(struct azure_call *c, const char *text, size_t len, const char *claim,
                      const char *reason, bool clear, struct err *e)
{
    struct text json = TEXT_INIT(2 * AZURE_TEXT_MAX), coded = TEXT_INIT(4 * AZURE_TEXT_MAX);
    int rc;

    queue_envelope_write(&json, text, len, claim, reason);
    queue_base64(&coded, json.s, json.len);
    rc = text_check(&json, "Azure", e) < 0 ? -1 : text_check(&coded, "Azure", e);
    if (rc == 0)
        rc = azure_body(&c->body, coded.s, e);
    if (rc < 0 && e->code == ERR_TOOBIG && clear && !json.failed) {
        text_clear(&c->body);
        rc = azure_body(&c->body, json.s, e);
    }
    text_done(&json);
    text_done(&coded);
    return rc;
}

/* For a person to read, and to be put back: with the reason where there is room, else as it was.
 * What even so does not fit is cut. */
static int dead_body(struct azure_call *c, const struct queue_held *h, struct err *e)
{
    const char *what = h->text != NULL ? h->text : h->raw;
    char cut[CUT];
    int rc = write_body(c, what, strlen(what), h->claim, c->c.word, true, e);

    if (rc == 0 || e->code != ERR_TOOBIG)
        return rc;
    text_clear(&c->body);
    rc = azure_body(&c->body, what, e);
    if (rc == 0 || e->code == ERR_NOMEM)
        return rc;
    /* The rest is lost: it was neither ours nor of any use. */
    text_clear(&c->body);
    (void)snprintf(cut, sizeof(cut), "%s", what);
    while (cut[0] != '\0' && !text_utf8_ok(cut, strlen(cut)))
        cut[strlen(cut) - 1] = '\0';
    return write_body(c, cut, strlen(cut), h->claim, c->c.word, true, e);
}

/* --- beginning ------------------------------------------------------------------------------- */

static int start_receive(struct azure_call *c, struct err *e)
{
    unsigned max = c->c.max;

    if (c->a->singles > 0) {
        c->a->singles--;
        max = 1;
    }
    azure_url(c, false, "/messages");
    text_addf(&c->url, "?numofmessages=%u&visibilitytimeout=%llu", max, secs(c->c.ms));
    return azure_ask(c, "GET", 200, on_received, e);
}

static int start_renew(struct azure_call *c, struct err *e)
{
    const struct queue_held *h = c->c.held;

    url_of_message(c);
    text_addf(&c->url, "&visibilitytimeout=%llu", secs(c->c.ms));
    if (c->c.word != NULL && h->text != NULL && strcmp(c->c.word, h->claim) != 0 &&
        write_body(c, h->text, h->m.len, c->c.word, NULL, true, e) < 0)
        return -1;
    return azure_ask(c, "PUT", 204, on_renewed, e);
}

static int start_delete(struct azure_call *c, struct err *e)
{
    text_clear(&c->body);
    url_of_message(c);
    return azure_ask(c, "DELETE", 204, on_ended, e);
}

static int start_release(struct azure_call *c, struct err *e)
{
    url_of_message(c);
    text_addf(&c->url, "&visibilitytimeout=%llu", secs(c->c.ms));
    return azure_ask(c, "PUT", 204, on_ended, e);
}

static int start_dead(struct azure_call *c, struct err *e)
{
    if (c->c.held->dead_put)
        return start_delete(c, e);
    azure_url(c, true, "/messages?messagettl=-1");
    if (dead_body(c, c->c.held, e) < 0)
        return -1;
    return azure_ask(c, "POST", 201, on_dead, e);
}

static int start_put(struct azure_call *c, struct err *e)
{
    azure_url(c, false, "/messages?messagettl=");
    if (c->c.ms == 0)
        text_add(&c->url, "-1");
    else
        text_addf(&c->url, "%llu", secs(c->c.ms));
    if (write_body(c, c->c.text, c->c.len, NULL, NULL, false, e) < 0)
        return -1;
    return azure_ask(c, "POST", 201, on_ended, e);
}

static int start_depth(struct azure_call *c, struct err *e)
{
    azure_url(c, false, "?comp=metadata");
    return azure_ask(c, "GET", 200, on_counted, e);
}

static int azure_start(struct queue_call *call, struct err *e)
{
    static int (*const starts[])(struct azure_call * c, struct err * e) = {
        [QUEUE_RECEIVE] = start_receive, [QUEUE_RENEW] = start_renew,
        [QUEUE_COMPLETE] = start_delete, [QUEUE_RELEASE] = start_release,
        [QUEUE_DEAD] = start_dead,       [QUEUE_PUT] = start_put,
        [QUEUE_DEPTH] = start_depth,
    };
    struct azure_call *c = (struct azure_call *)call;

    azure_call_init(c, (struct azure *)call->q);
    return starts[call->verb](c, e);
}

/* --- receive --------------------------------------------------------------------------------- */

/* Our own clock decides, from before it was asked for; where the server's lease is shorter, that.
 */
static uint64_t ends_at(const struct azure_call *c, int64_t visible_ms, int64_t date_ms)
{
    uint64_t lease = c->c.ms;

    if (visible_ms != 0 && date_ms != 0 && visible_ms - date_ms + 1000 < (int64_t)lease)
        lease = visible_ms > date_ms ? (uint64_t)(visible_ms - date_ms) : 0;
    return c->c.began + lease;
}

static struct queue_held *hold(struct azure_call *c, struct azure_message *m, int64_t date_ms)
{
    CLEANUP(queue_held_freep) struct queue_held *h = queue_held_new(c->c.q);
    struct queue_envelope v = {0};
    size_t len = 0;

    if (h == NULL)
        return NULL;
    h->id = TAKE(m->id);
    h->key = TAKE(m->receipt);
    h->raw = TAKE(m->text);
    h->m.deliveries = m->deliveries;
    h->m.put_ms = m->put_ms;
    h->m.ends = ends_at(c, m->visible_ms, date_ms);
    if (queue_envelope_read(h->raw, &v, &h->m.why) == 0) {
        h->m.why = ERR_NONE;
        h->text = TAKE(v.request);
        len = v.len;
        free(TAKE(h->raw));
    } else if (h->m.why.code == ERR_NOMEM) {
        return NULL; /* no judgement: it comes again */
    }
    h->claim = text_dup(v.claim);
    queue_envelope_done(&v);
    if (h->claim == NULL)
        return NULL;
    queue_held_show(h, len);
    return TAKE(h);
}

static void on_received(struct azure_call *c, const struct http_answer *a, enum queue_end end,
                        const struct err *e)
{
    struct queue_held *held[QUEUE_BATCH_MAX];
    struct azure_list list = {.n = 0};
    int64_t date_ms = a != NULL ? a->date_ms : 0;
    struct err mine;
    size_t n = 0;

    if (end == QUEUE_OK && a != NULL && azure_list_read(a->body, a->len, false, &list, &mine) < 0) {
        end = QUEUE_RETRY;
        e = &mine;
    }
    /* A list too big to be read must not come back whole for ever. */
    if (end == QUEUE_RETRY && (e->code == ERR_TOOBIG || e->code == ERR_INVALID))
        c->a->singles = SINGLES;
    for (size_t i = 0; i < list.n; i++) {
        held[n] = hold(c, &list.m[i], date_ms);
        n += held[n] != NULL;
    }
    if (list.n > 0 && n == 0) {
        (void)err_set(&mine, ERR_NOMEM, 0, "Azure");
        end = QUEUE_RETRY;
        e = &mine;
    }
    azure_list_done(&list);
    queue_end_receive(&c->c, held, n, end, e);
}

/* --- renew ----------------------------------------------------------------------------------- */

/* The new receipt is the only one that still counts. */
static int renewed(struct azure_call *c, const struct http_answer *a, struct err *e)
{
    const char *receipt = http_header_get(a, "x-ms-popreceipt", 0);
    const char *visible = http_header_get(a, "x-ms-time-next-visible", 0);
    struct queue_held *h = c->c.held;
    char *key, *claim;
    int64_t visible_ms;

    if (receipt == NULL || !azure_receipt_ok(receipt))
        return err_set(e, ERR_UNPROVEN, 0, "Azure: renewed, and no receipt came back");
    key = text_dup(receipt);
    claim = text_dup(c->c.word != NULL && h->text != NULL ? c->c.word : h->claim);
    if (key == NULL || claim == NULL) {
        free(key);
        free(claim);
        return err_set(e, ERR_NOMEM, 0, "Azure: no memory for the new receipt");
    }
    if (visible == NULL || !http_date(visible, &visible_ms))
        visible_ms = 0;
    free(h->key);
    free(h->claim);
    h->key = key;
    h->claim = claim;
    h->m.claim = claim;
    h->m.ends = ends_at(c, visible_ms, a->date_ms);
    return 0;
}

static void on_renewed(struct azure_call *c, const struct http_answer *a, enum queue_end end,
                       const struct err *e)
{
    struct err mine;

    /* Was it renewed? With the old receipt the service tells: it still counts, or it does not. */
    if (a == NULL && e->code == ERR_UNPROVEN && !c->again) {
        c->again = true;
        if (azure_again(c, &mine) == 0)
            return;
    }
    if (end == QUEUE_OK && a != NULL && renewed(c, a, &mine) < 0) {
        end = QUEUE_RETRY;
        e = &mine;
    }
    queue_end(&c->c, end, e);
}

/* --- dead-letter, depth, the rest ------------------------------------------------------------ */

static void on_dead(struct azure_call *c, const struct http_answer *a, enum queue_end end,
                    const struct err *e)
{
    struct err mine;

    (void)a;
    if (end == QUEUE_OK) {
        c->c.held->dead_put = true;
        if (start_delete(c, &mine) == 0)
            return;
        end = queue_end_of(&mine);
    } else {
        mine = *e;
        (void)err_wrap(&mine, "dead-letter queue");
    }
    queue_end(&c->c, end, &mine);
}

static void on_counted(struct azure_call *c, const struct http_answer *a, enum queue_end end,
                       const struct err *e)
{
    const char *count = a != NULL ? http_header_get(a, "x-ms-approximate-messages-count", 0) : NULL;
    struct err mine;

    if (end == QUEUE_OK && (count == NULL || !text_to_u64(count, 0, UINT64_MAX, &c->count))) {
        end = QUEUE_RETRY;
        (void)err_set(&mine, ERR_INVALID, 0, "Azure: it does not say how many messages there are");
        e = &mine;
    }
    if (end == QUEUE_OK) {
        azure_url(c, false, "/messages?peekonly=true");
        if (azure_ask(c, "GET", 200, on_peeked, &mine) == 0)
            return;
        queue_end_depth(&c->c, c->count, 0);
    } else {
        queue_end(&c->c, end, e);
    }
}

/* The first of those that are not hidden; without it the count is worth something, too. */
static void on_peeked(struct azure_call *c, const struct http_answer *a, enum queue_end end,
                      const struct err *e)
{
    struct azure_list list = {.n = 0};
    struct err mine;
    int64_t oldest = 0;

    (void)e;
    if (end == QUEUE_OK && a != NULL && azure_list_read(a->body, a->len, true, &list, &mine) == 0 &&
        list.n > 0)
        oldest = list.m[0].put_ms;
    azure_list_done(&list);
    queue_end_depth(&c->c, c->count, oldest);
}

static void on_ended(struct azure_call *c, const struct http_answer *a, enum queue_end end,
                     const struct err *e)
{
    (void)a;
    queue_end(&c->c, end, e);
}

/* --- the queue ------------------------------------------------------------------------------- */

static void azure_close(struct queue *q)
{
    struct azure *a = (struct azure *)q;

    free(a->queue);
    free(a->dead);
    free(a->account);
    secret_free(a->key);
    secret_free(a->sas);
    secret_free(a->dead_sas);
    free(a);
}

static const struct queue_ops azure_ops = {
    .call_size = sizeof(struct azure_call),
    .max_delay_ms = 7 * DAY_MS,
    .max_ttl_ms = 3650 * DAY_MS,
    .start = azure_start,
    .drop = queue_call_free,
    .done = azure_call_done,
    .close = azure_close,
};

static int check(const struct queue_azure_settings *s, struct err *e)
{
    bool plain = strncasecmp(s->url, "http://", 7) == 0;

    if ((s->key != NULL) + (s->sas != NULL) + (s->token != NULL) != 1)
        return err_set(e, ERR_CONFIG, 0, "Azure: one of key, SAS and token");
    if (http_check_root(s->url, true, e) < 0)
        return err_wrap(e, "Azure");
    if (plain && (s->token != NULL || strncmp(s->url + 7, "169.254.", 8) == 0))
        return err_set(e, ERR_CONFIG, 0, "Azure: only https:// here");
    if (!azure_queue_name_ok(s->queue) || (s->dead != NULL && !azure_queue_name_ok(s->dead)))
        return err_set(e, ERR_CONFIG, 0,
                       "Azure: a queue's name is 3 to 63 of a-z, 0-9 and single hyphens");
    if (s->key != NULL &&
        (s->account == NULL || strlen(s->account) < 3 || strlen(s->account) > 24 ||
         strspn(s->account, "abcdefghijklmnopqrstuvwxyz0123456789") != strlen(s->account)))
        return err_set(e, ERR_CONFIG, 0, "Azure: an account's name is 3 to 24 of a-z, 0-9");
    if (!queue_agent_ok(s->agent))
        return err_set(e, ERR_CONFIG, 0, "Azure: an agent's id is 1 to %d letters, digits, - . _ ~",
                       QUEUE_AGENT_MAX);
    return 0;
}

static int take_settings(struct azure *a, const struct queue_azure_settings *s, struct err *e)
{
    char dead[80];

    (void)snprintf(dead, sizeof(dead), "%s-poison", s->queue);
    if (s->dead == NULL && !azure_queue_name_ok(dead))
        return err_set(e, ERR_CONFIG, 0, "Azure: '%s' is too long for a queue's name", dead);
    if (asprintf(&a->queue, "%s/%s", s->url, s->queue) < 0)
        a->queue = NULL;
    if (asprintf(&a->dead, "%s/%s", s->url, s->dead != NULL ? s->dead : dead) < 0)
        a->dead = NULL;
    if (asprintf(&a->q.name, "azure:%s/%s", s->url, s->queue) < 0)
        a->q.name = NULL;
    a->account = text_dup(s->account);
    if (a->queue == NULL || a->dead == NULL || a->q.name == NULL ||
        (s->account != NULL && a->account == NULL))
        return err_set(e, ERR_NOMEM, 0, "Azure");
    memcpy(a->agent, s->agent, strlen(s->agent) + 1);
    a->auth = s->key != NULL ? AZURE_KEY : s->sas != NULL ? AZURE_SAS : AZURE_TOKEN;
    a->flags = strncasecmp(s->url, "http://", 7) == 0 ? HTTP_PLAIN_LOCAL : 0;
    a->token = s->token;
    if (s->key != NULL)
        return azure_key(s->key, &a->key, e);
    if (s->sas == NULL)
        return 0;
    if (s->dead_sas != NULL && azure_sas(s->dead_sas, &a->dead_sas, e) < 0)
        return -1;
    return azure_sas(s->sas, &a->sas, e);
}

int queue_azure_new(struct loop *l, struct http *http, const struct queue_azure_settings *s,
                    struct queue **ret_queue, struct err *e)
{
    CLEANUP(queue_freep) struct queue *q = NULL;
    struct azure *a;

    if (check(s, e) < 0)
        return -1;
    a = calloc(1, sizeof(*a));
    if (a == NULL)
        return err_set(e, ERR_NOMEM, 0, "Azure");
    q = &a->q;
    q->ops = &azure_ops;
    q->loop = l;
    q->caps = (struct queue_caps){
        .max_batch = AZURE_BATCH, .max_lease_ms = 7 * DAY_MS, .max_text = JSON_MAX - ENVELOPE};
    a->http = http;
    if (take_settings(a, s, e) < 0)
        return -1;
    *ret_queue = TAKE(q);
    return 0;
}
