/* cloud/token_fetch.c -- one new token, from the question to the answer or a clear reason.
 *
 *   token_fetch_start   the first try
 *   ask_form            secret or assertion, made anew for each try: its jti may be seen once
 *   ask_managed         IMDS; Azure Arc, first without and then with the content of the key file
 *   on_answer           a token; or once more at once (clock, RS256, key file), or after a wait
 *   on_wait_over        the next try
 *   finish              the one way out
 *
 * Every request is one try of http.h's, for its repeating the same body would repeat the jti.
 * Waits: 1, 2, 4 s; a metadata service that is being replaced (410) gets 7 times 10 s. Whole:
 * ALL_MS.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "base/stamp.h"
#include "cloud/media.h"
#include "cloud/token_inside.h"

enum {
    TRY_MS = 10 * 1000,
    ALL_MS = 60 * 1000,
    ALL_MANAGED_MS = 120 * 1000, /* a service that is being replaced is back within 70 s */
    TRIES_MORE = 3,
    GONE_TRIES_MORE = 7,
    GONE_WAITS = 10,    /* times the first wait */
    OKTA_CLOCK_S = 60,  /* so far apart, and a refusal may well be for the clock */
    CURL_BAD_CERT = 60, /* CURLE_PEER_FAILED_VERIFICATION */
    CURL_BAD_CA = 77,   /* CURLE_SSL_CACERT_BADFILE */
    PROXY_REFUSES = 403,
    PROXY_LOGIN = 407,
};

struct token_fetch {
    struct token_conf *c; /* borrowed: the source's */
    char *claims;
    token_fetch_cb cb;
    void *arg;

    struct http_call *call;   /* in flight, or NULL */
    struct loop_timer *timer; /* the wait, or the turn after which a file's token is given */
    struct secret *basic;     /* Azure Arc: the content of the key file, once it was asked for */
    struct token_got ready;   /* TOKEN_BY_FILE */
    uint64_t began, ends;     /* loop_now() */
    uint64_t sent_at;         /* of the last request: a token's life begins before it is answered */
    unsigned waits, gone;
    bool rs256, tried_rs256, tried_clock;
    uint64_t asked_ms; /* the service wants to be left alone so long */
};

static void on_answer(void *arg, const struct http_answer *a, const struct err *e);
static void on_wait_over(void *arg);
static void finish(struct token_fetch *f, struct token_got *got, const struct err *e);

void token_fetch_free(struct token_fetch *f)
{
    if (f == NULL)
        return;
    loop_timer_stop(&f->timer);
    http_abandon(f->call);
    secret_free(f->basic);
    secret_free(f->ready.authorization);
    free(f->claims);
    free(f);
}

/* --- asking --------------------------------------------------------------------------- */

/* A form (application/x-www-form-urlencoded) in a secret: what is in it stays in locked memory. */
struct form {
    struct secret *s;
    size_t n;
    bool full;
};

static void form_bytes(struct form *f, const void *p, size_t n)
{
    if (n > secret_len(f->s) - f->n) {
        f->full = true;
        return;
    }
    memcpy(secret_bytes(f->s) + f->n, p, n);
    f->n += n;
}

static void form_add(struct form *f, const char *name, const void *value, size_t n)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    const uint8_t *p = value;

    if (f->n > 0)
        form_bytes(f, "&", 1);
    form_bytes(f, name, strlen(name));
    form_bytes(f, "=", 1);
    for (size_t i = 0; i < n; i++) {
        char coded[3] = {'%', "0123456789ABCDEF"[p[i] >> 4], "0123456789ABCDEF"[p[i] & 15]};

        if (p[i] != '\0' && strchr(plain, p[i]) != NULL)
            form_bytes(f, &p[i], 1);
        else
            form_bytes(f, coded, sizeof(coded));
    }
}

static void form_text(struct form *f, const char *name, const char *value)
{
    form_add(f, name, value, strlen(value));
}

/* What shows who we are. */
static int form_credential(struct token_fetch *f, struct form *form, struct err *e)
{
    struct token_conf *c = f->c;
    int rc;

    if (c->kind == TOKEN_SECRET) {
        CLEANUP(secret_freep) struct secret *s = NULL;

        if (token_word_read(c->file, TOKEN_SECRET_MAX, "a client secret", &s, e) < 0)
            return -1;
        form_add(form, "client_secret", secret_bytes(s), secret_len(s));
    } else {
        struct text jwt = TEXT_INIT(TOKEN_JWT_MAX);

        rc = token_assertion(c, f->rs256, stamp_now_ms() + c->clock_off_ms, &jwt, e);
        form_text(form, "client_assertion_type",
                  "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        form_add(form, "client_assertion", jwt.s, jwt.len);
        text_wipe(&jwt);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static int send_try(struct token_fetch *f, const struct http_ask *ask, struct err *e)
{
    f->sent_at = loop_now(f->c->loop);
    return http_start(f->c->http, ask, on_answer, f, &f->call, e);
}

/* The last try ends when all of it does, but has a second in any case. */
static uint64_t try_ms(const struct token_fetch *f)
{
    uint64_t now = loop_now(f->c->loop), left = f->ends > now ? f->ends - now : 0;

    return left < 1000 ? 1000 : left < TRY_MS ? left : TRY_MS;
}

static int ask_form(struct token_fetch *f, struct err *e)
{
    static const struct http_header headers[] = {
        {"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}};
    struct token_conf *c = f->c;
    struct form form = {0};
    int rc;

    if (secret_new(TOKEN_FORM_MAX, &form.s, e) < 0)
        return -1;
    form_text(&form, "grant_type", "client_credentials");
    form_text(&form, "scope", c->scope);
    if (c->kind != TOKEN_OKTA_KEY)
        form_text(&form, "client_id", c->client_id);
    rc = form_credential(f, &form, e);
    if (rc == 0 && f->claims != NULL)
        form_text(&form, "claims", f->claims);
    if (rc == 0 && form.full)
        rc = err_set(e, ERR_TOOBIG, 0, "a request over %d bytes", TOKEN_FORM_MAX);
    if (rc == 0)
        rc = send_try(f,
                      &(struct http_ask){
                          .method = "POST",
                          .url = c->url,
                          .headers = headers,
                          .header_count = ARRAY_LEN(headers),
                          .body = secret_bytes(form.s),
                          .body_len = form.n,
                          .repeat = HTTP_SAFELY,
                          .flags = HTTP_SECRET | HTTP_ONE_TRY | HTTP_READS,
                          .max_answer = TOKEN_ANSWER_MAX,
                          .try_ms = try_ms(f),
                          .all_ms = try_ms(f),
                          .id_header = c->kind == TOKEN_OKTA_KEY ? NULL : "client-request-id",
                      },
                      e);
    secret_free(form.s);
    return rc;
}

static int ask_managed(struct token_fetch *f, struct err *e)
{
    static const struct http_header headers[] = {{"Metadata", "true"}};

    return send_try(f,
                    &(struct http_ask){
                        .method = "GET",
                        .url = f->c->url,
                        .headers = headers,
                        .header_count = ARRAY_LEN(headers),
                        .authorization = f->basic,
                        .repeat = HTTP_SAFELY,
                        .flags = HTTP_SECRET | HTTP_ONE_TRY | HTTP_NO_PROXY | HTTP_PLAIN_LOCAL,
                        .max_answer = TOKEN_ANSWER_MAX,
                        .try_ms = try_ms(f),
                        .all_ms = try_ms(f),
                    },
                    e);
}

/* Okta's own token: there is nobody to ask. */
static int ask_file(struct token_fetch *f, struct err *e)
{
    CLEANUP(secret_freep) struct secret *word = NULL, *s = NULL;

    if (token_word_read(f->c->file, TOKEN_SECRET_MAX, "an API token", &word, e) < 0 ||
        secret_new(secret_len(word) + strlen("SSWS "), &s, e) < 0)
        return -1;
    memcpy(secret_bytes(s), "SSWS ", strlen("SSWS "));
    memcpy(secret_bytes(s) + strlen("SSWS "), secret_bytes(word), secret_len(word));
    f->timer = loop_timer_start(f->c->loop, 0, on_wait_over, f);
    if (f->timer == NULL)
        return err_set(e, ERR_NOMEM, 0, "no memory");
    f->ready = (struct token_got){.authorization = TAKE(s), .life_ms = UINT64_MAX};
    return 0;
}

static int ask(struct token_fetch *f, struct err *e)
{
    switch (f->c->way) {
    case TOKEN_BY_FORM:
        return ask_form(f, e);
    case TOKEN_BY_IMDS:
    case TOKEN_BY_ARC:
        return ask_managed(f, e);
    case TOKEN_BY_FILE:
        return ask_file(f, e);
    }
    return err_set(e, ERR_INTERNAL, 0, "a way that there is not");
}

int token_fetch_start(struct token_conf *c, const char *claims, token_fetch_cb cb, void *arg,
                      struct token_fetch **ret_fetch, struct err *e)
{
    struct token_fetch *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return err_set(e, ERR_NOMEM, 0, "no memory");
    f->c = c;
    f->cb = cb;
    f->arg = arg;
    f->rs256 = c->rs256;
    f->began = loop_now(c->loop);
    f->ends = f->began + (c->way == TOKEN_BY_FORM ? ALL_MS : ALL_MANAGED_MS);
    f->claims = text_dup(claims);
    if ((claims != NULL && f->claims == NULL) || ask(f, e) < 0) {
        if (claims != NULL && f->claims == NULL)
            (void)err_set(e, ERR_NOMEM, 0, "no memory");
        token_fetch_free(f);
        return -1;
    }
    *ret_fetch = f;
    return 0;
}

/* --- what came back -------------------------------------------------------------------- */

/* The next try at once; or the end, where it cannot even be sent. */
static void ask_again(struct token_fetch *f)
{
    struct err mine;

    if (ask(f, &mine) < 0)
        finish(f, NULL, &mine);
}

static void on_wait_over(void *arg)
{
    struct token_fetch *f = arg;

    f->timer = NULL;
    if (f->ready.authorization != NULL)
        finish(f, &f->ready, NULL);
    else
        ask_again(f);
}

/* Not now: again later, where there are tries and time left. */
static void retry(struct token_fetch *f, bool gone, uint64_t asked_ms, const struct err *e)
{
    uint64_t wait = gone ? f->c->wait_ms * GONE_WAITS : f->c->wait_ms << f->waits;
    unsigned *count = gone ? &f->gone : &f->waits;

    if (asked_ms > (uint64_t)TOKEN_RETRY_AFTER_S * 1000)
        asked_ms = (uint64_t)TOKEN_RETRY_AFTER_S * 1000;
    if (asked_ms > wait)
        wait = asked_ms;
    if (*count >= (gone ? GONE_TRIES_MORE : TRIES_MORE) || loop_now(f->c->loop) + wait > f->ends) {
        f->asked_ms = asked_ms;
        finish(f, NULL, e);
        return;
    }
    (*count)++;
    f->timer = loop_timer_start(f->c->loop, wait, on_wait_over, f);
    if (f->timer == NULL) {
        finish(f, NULL, e);
        return;
    }
    secret_free(f->basic); /* Azure Arc asks for another file next time */
    f->basic = NULL;
}

/* How far is the service's clock from ours, by its answer's Date? */
static bool measure(struct token_fetch *f, const struct http_answer *a)
{
    if (a->date_ms == 0)
        return false;
    f->c->clock_off_ms = a->date_ms - stamp_now_ms();
    f->c->clock_known = true;
    return true;
}

/* 401 of Azure Arc's agent: the file it names, and again at once. */
static void on_challenge(struct token_fetch *f, const struct http_answer *a)
{
    char path[TOKEN_ARC_PATH_MAX];
    const char *header = NULL, *s;
    struct err mine = ERR_NONE;

    for (size_t i = 0; (s = http_header_get(a, "WWW-Authenticate", i)) != NULL; i++) {
        if (header == NULL || strncasecmp(s, "Basic", 5) == 0)
            header = s;
    }
    if (header == NULL)
        (void)err_set(&mine, ERR_INVALID, (int)a->status,
                      "Azure Arc's agent refuses and does not say what it wants");
    else if (token_arc_path(header, f->c->arc_tokens, path, &mine) == 0)
        (void)token_arc_key(path, f->c->arc_tokens, &f->basic, &mine);
    if (mine.code != ERR_OK)
        finish(f, NULL, &mine);
    else
        ask_again(f);
}

static void on_token(struct token_fetch *f, const struct http_answer *a)
{
    char foreign[MEDIA_NAME];
    struct token_got got;
    struct err mine;

    if (f->c->way == TOKEN_BY_ARC && f->basic == NULL) {
        /* It has to ask for the proof first: else it is not the agent. */
        (void)err_set(&mine, ERR_INVALID, (int)a->status,
                      "what answers on Azure Arc's port asks for no proof");
        finish(f, NULL, &mine);
        return;
    }
    if (token_answer_read(f->c, a->body, a->len, a->date_ms, &got, &mine) < 0) {
        if (mine.code == ERR_INVALID && media_is_foreign(a, foreign))
            (void)err_wrap(&mine, "HTTP %ld, but %s and not JSON: the page of a proxy, it seems",
                           a->status, foreign);
        else if (mine.code == ERR_INVALID)
            (void)err_wrap(&mine, "HTTP %ld", a->status);
        finish(f, NULL, &mine);
        return;
    }
    f->c->rs256 = f->rs256; /* remember which of the two worked */
    if (f->c->clock_known)
        (void)measure(f, a);
    finish(f, &got, NULL);
    secret_free(got.authorization);
}

static void on_refusal(struct token_fetch *f, const struct http_answer *a)
{
    struct err mine = ERR_NONE;
    struct token_conf *c = f->c;
    bool okta = c->kind == TOKEN_OKTA_KEY;
    enum token_class class =
        token_refusal_read(c, a->status, a->body, a->len, a->request_id, &mine);
    int64_t off = a->date_ms - stamp_now_ms() - c->clock_off_ms;

    /* Okta has one word for a wrong clock and a wrong key: its Date tells which it may be. */
    if (okta && class == TOKEN_SIGNING &&
        (a->date_ms == 0 || (off > -OKTA_CLOCK_S * 1000 && off < OKTA_CLOCK_S * 1000)))
        class = TOKEN_FATAL;
    else if (okta && class == TOKEN_SIGNING)
        class = TOKEN_CLOCK;

    if (class == TOKEN_CLOCK && !f->tried_clock && c->kind != TOKEN_SECRET && measure(f, a)) {
        f->tried_clock = true;
        ask_again(f);
    } else if (class == TOKEN_SIGNING && c->kind == TOKEN_CERTIFICATE && !f->tried_rs256) {
        /* AD FS, and keys that the service takes for PKCS #1 v1.5 only; or the other way round. */
        f->tried_rs256 = true;
        f->rs256 = !f->rs256;
        ask_again(f);
    } else if (class == TOKEN_RETRY) {
        retry(f, a->status == 410 && c->way != TOKEN_BY_FORM, a->retry_after_ms, &mine);
    } else {
        finish(f, NULL, &mine);
    }
}

static void on_answer(void *arg, const struct http_answer *a, const struct err *e)
{
    struct token_fetch *f = arg;

    f->call = NULL;
    if (e != NULL) {
        struct err mine = *e;

        if (f->c->way == TOKEN_BY_IMDS && (e->code == ERR_UNSENT || e->code == ERR_TIMEOUT))
            (void)err_wrap(&mine, "no metadata service here (managed_identity is for Azure VMs and "
                                  "servers with Azure Arc)");
        /* A certificate does not mend itself, nor does a login to the proxy; all else may. */
        if (e->code == ERR_CANCELED || e->code == ERR_NOMEM || e->code == ERR_TOOBIG ||
            e->code == ERR_INVALID || e->native == CURL_BAD_CERT || e->native == CURL_BAD_CA ||
            e->native == PROXY_LOGIN || e->native == PROXY_REFUSES)
            finish(f, NULL, &mine);
        else
            retry(f, /* gone */ false, 0, &mine);
    } else if (a->status == 200) {
        on_token(f, a);
    } else if (a->status == 401 && f->c->way == TOKEN_BY_ARC && f->basic == NULL) {
        on_challenge(f, a);
    } else {
        on_refusal(f, a);
    }
}

/* The one way out. */
static void finish(struct token_fetch *f, struct token_got *got, const struct err *e)
{
    struct err wrapped = ERR_NONE;

    if (got != NULL && got->life_ms != UINT64_MAX) {
        uint64_t took = loop_now(f->c->loop) - f->sent_at;

        got->life_ms = got->life_ms > took ? got->life_ms - took : 1;
    }
    if (e != NULL) {
        wrapped = *e;
        (void)err_wrap(&wrapped, "token");
    }
    f->cb(f->arg, got, e != NULL ? &wrapped : NULL, f->asked_ms);
    token_fetch_free(f);
}
