/* cloud/token.c -- who asks for a token, what is kept, and when it is renewed. See token.h.
 *
 *   token_get        fresh enough: answered in the next turn. Else the ask waits for the fetch
 *   on_fetched       the token, or why not: those who wait are answered
 *   on_due           renewal in the background; while it fails the old token serves on
 *   token_refused    the token is dropped; the next token_get fetches
 *   deliver          the one place where askers' callbacks run
 *
 * Invariants: one fetch at a time (t->fetch). An ask is in t->asks exactly while its callback is
 * owed. `authorization` is NULL or usable in form; whether in time, usable() says, by loop_now().
 * Callbacks may do all that token.h offers, token_free included: deliver() looks after each.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "base/log.h"
#include "base/stamp.h"
#include "cloud/token_inside.h"

enum {
    /* Times the first wait (1 s): */
    RENEW_FIRST_WAITS = 30, /* after a renewal that failed, doubled up to */
    RENEW_MOST_WAITS = 300,
    BRAKE_WAITS = 2, /* so long a failure answers all that ask */
};

enum ask_state { ASK_WAITS, ASK_READY, ASK_FAILED };

struct token_ask {
    struct token_source *t;
    struct token_ask *next, *prev;
    enum ask_state state;
    token_cb cb;
    void *arg;
};

struct token_source {
    struct token_conf c;
    struct token_ask *first, *last;
    struct token_fetch *fetch;
    struct loop_timer *due;  /* the next renewal */
    struct loop_timer *turn; /* asks can be answered */

    struct secret *authorization;
    uint64_t use_until; /* loop_now() */
    int64_t ends_ms;    /* Unix ms; 0: it has no end */
    struct token_claims claims;

    struct secret *retired; /* refused while its callback was still running */
    char *challenge;        /* value of `claims` for the next request; NULL: the plain one */
    bool again;             /* what is being fetched knows nothing of the challenge */
    unsigned failures;      /* of renewals, one after the other */
    struct err failure;     /* the last one */
    uint64_t brake_until;   /* loop_now() */

    unsigned busy; /* deliver() is at work: memory stays */
    bool dead;     /* token_free was called meanwhile */
};

static void on_fetched(void *arg, struct token_got *got, const struct err *e, uint64_t wait_ms);
static void on_due(void *arg);
static void on_turn(void *arg);
static void deliver(struct token_source *t);

/* --- making one ------------------------------------------------------------------------ */

static void source_free(struct token_source *t)
{
    struct token_ask *next;

    for (struct token_ask *a = t->first; a != NULL; a = next) {
        next = a->next;
        free(a);
    }
    token_fetch_free(t->fetch);
    loop_timer_stop(&t->due);
    loop_timer_stop(&t->turn);
    secret_free(t->authorization);
    secret_free(t->retired);
    token_claims_done(&t->claims);
    free(t->challenge);
    free(t->c.url);
    free(t->c.client_id);
    free(t->c.file);
    free(t->c.key_id);
    free(t->c.scope);
    free(t->c.arc_tokens);
    free(t);
}

void token_free(struct token_source *t)
{
    if (t == NULL)
        return;
    t->dead = true;
    if (t->busy == 0)
        source_free(t);
}

void token_freep(struct token_source **t)
{
    token_free(*t);
}

static bool is_name(const char *s, const char *more, size_t max)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++) {
        if (strchr(letters, s[i]) == NULL && strchr(more, s[i]) == NULL)
            return false;
    }
    return n > 0 && n <= max;
}

static bool is_shared_tenant(const char *s)
{
    return text_eq_nocase(s, "common") || text_eq_nocase(s, "organizations") ||
           text_eq_nocase(s, "consumers");
}

/* What this kind needs, and the form of what becomes part of a URL or a claim. */
static int check(const struct token_settings *s, struct err *e)
{
    bool okta = s->kind == TOKEN_OKTA_KEY;
    bool entra =
        s->kind == TOKEN_SECRET || s->kind == TOKEN_CERTIFICATE || s->kind == TOKEN_FEDERATED;
    char shown[TEXT_SHOWN];

    if (((entra || okta) && (s->login_url == NULL || s->client_id == NULL)) ||
        (entra && s->tenant == NULL) || (okta && s->key_id == NULL) ||
        (s->kind != TOKEN_MANAGED && s->file == NULL) ||
        (s->kind != TOKEN_OKTA_SSWS && (s->scope == NULL || s->scope[0] == '\0')))
        return err_set(e, ERR_INTERNAL, 0, "a setting is missing");
    if ((entra || okta) && http_check_root(s->login_url, /* plain_local */ false, e) < 0)
        return -1;
    if (s->client_id != NULL && !is_name(s->client_id, "-._", 128))
        return err_set(e, ERR_CONFIG, 0, "client_id '%s' is none", text_shown(shown, s->client_id));
    if (entra && (!is_name(s->tenant, "-.", 253) || strstr(s->tenant, "..") != NULL))
        return err_set(e, ERR_CONFIG, 0, "tenant '%s' is neither a GUID nor a domain",
                       text_shown(shown, s->tenant));
    if (entra && is_shared_tenant(s->tenant))
        return err_set(e, ERR_CONFIG, 0, "tenant '%s' stands for any: name one", s->tenant);
    return 0;
}

static int place(struct token_conf *c, const struct token_settings *s, struct err *e)
{
    struct text url = TEXT_INIT(2048), scope = TEXT_INIT(2048);
    bool ok = true;

    if (s->kind == TOKEN_MANAGED)
        return token_managed_place(c, s, e);
    if (s->kind == TOKEN_OKTA_SSWS) {
        c->way = TOKEN_BY_FILE;
        return 0;
    }
    c->way = TOKEN_BY_FORM;
    if (s->kind == TOKEN_OKTA_KEY) {
        text_addf(&url, "%s/oauth2/v1/token", s->login_url);
    } else {
        text_addf(&url, "%s/%s/oauth2/v2.0/token", s->login_url, s->tenant);
        text_addf(&scope, "%s/.default", c->scope);
        free(c->scope);
        c->scope = text_take(&scope);
        ok = c->scope != NULL;
    }
    c->url = text_take(&url);
    text_done(&url);
    text_done(&scope);
    if (!ok || c->url == NULL)
        return err_set(e, ERR_NOMEM, 0, "no memory");
    return 0;
}

int token_new(struct loop *l, struct http *h, const struct token_settings *s,
              struct token_source **ret_source, struct err *e)
{
    CLEANUP(token_freep) struct token_source *t = NULL;
    struct token_conf *c;

    if (check(s, e) < 0)
        return err_wrap(e, "token");
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return err_set(e, ERR_NOMEM, 0, "token: no memory");
    token_claims_init(&t->claims);
    c = &t->c;
    c->loop = l;
    c->http = h;
    c->kind = s->kind;
    c->wait_ms = s->wait_ms != 0 ? s->wait_ms : TOKEN_WAIT_MS;
    c->client_id = text_dup(s->client_id);
    c->file = text_dup(s->file);
    c->key_id = text_dup(s->key_id);
    c->scope = text_dup(s->scope);
    if ((s->client_id != NULL && c->client_id == NULL) || (s->file != NULL && c->file == NULL) ||
        (s->key_id != NULL && c->key_id == NULL) || (s->scope != NULL && c->scope == NULL))
        return err_set(e, ERR_NOMEM, 0, "token: no memory");
    if (place(c, s, e) < 0)
        return err_wrap(e, "token");
    *ret_source = TAKE(t);
    return 0;
}

/* --- asks -------------------------------------------------------------------------------- */

static void ask_link(struct token_source *t, struct token_ask *a)
{
    a->prev = t->last;
    if (t->last != NULL)
        t->last->next = a;
    else
        t->first = a;
    t->last = a;
}

static void ask_unlink(struct token_ask *a)
{
    struct token_source *t = a->t;

    if (a->prev != NULL)
        a->prev->next = a->next;
    else
        t->first = a->next;
    if (a->next != NULL)
        a->next->prev = a->prev;
    else
        t->last = a->prev;
}

static bool usable(const struct token_source *t)
{
    return t->authorization != NULL && loop_now(t->c.loop) < t->use_until;
}

/* Entra's own clients can answer a claims challenge, and say so; the others know no such thing. */
static bool knows_claims(const struct token_source *t)
{
    return t->c.kind == TOKEN_SECRET || t->c.kind == TOKEN_CERTIFICATE ||
           t->c.kind == TOKEN_FEDERATED;
}

static int fetch(struct token_source *t, struct err *e)
{
    struct text claims = TEXT_INIT(2 * (size_t)TOKEN_CLAIMS_MAX);
    int rc = 0;

    t->again = false;
    if (knows_claims(t) && t->challenge == NULL)
        rc = token_claims_merge(NULL, &claims, e);
    if (rc == 0)
        rc = token_fetch_start(&t->c,
                               !knows_claims(t)       ? NULL
                               : t->challenge != NULL ? t->challenge
                                                      : claims.s,
                               on_fetched, t, &t->fetch, e);
    text_done(&claims);
    return rc < 0 ? err_wrap(e, "token") : 0;
}

static int turn_soon(struct token_source *t, struct err *e)
{
    if (t->turn == NULL)
        t->turn = loop_timer_start(t->c.loop, 0, on_turn, t);
    return t->turn != NULL ? 0 : err_set(e, ERR_NOMEM, 0, "token: no memory");
}

int token_get(struct token_source *t, token_cb cb, void *arg, struct token_ask **ret_ask,
              struct err *e)
{
    CLEANUP(cleanup_charp) char *mem = NULL;
    struct token_ask *a = calloc(1, sizeof(*a));
    int rc = 0;

    if (a == NULL)
        return err_set(e, ERR_NOMEM, 0, "token: no memory");
    mem = (char *)a;
    *a = (struct token_ask){.t = t, .cb = cb, .arg = arg};
    if (usable(t)) {
        a->state = ASK_READY;
        rc = turn_soon(t, e);
    } else if (t->fetch != NULL) {
        a->state = ASK_WAITS;
    } else if (t->failure.code != ERR_OK && loop_now(t->c.loop) < t->brake_until) {
        a->state = ASK_FAILED; /* as the last one, a moment ago */
        rc = turn_soon(t, e);
    } else {
        a->state = ASK_WAITS;
        rc = fetch(t, e);
    }
    if (rc < 0)
        return -1;
    mem = NULL;
    ask_link(t, a);
    if (ret_ask != NULL)
        *ret_ask = a;
    return 0;
}

const struct secret *token_now(const struct token_source *t)
{
    return t->first == NULL && usable(t) ? t->authorization : NULL;
}

void token_ask_cancel(struct token_ask *a)
{
    if (a == NULL)
        return;
    ask_unlink(a);
    free(a);
}

static void on_turn(void *arg)
{
    struct token_source *t = arg;

    t->turn = NULL;
    deliver(t);
}

/* All who wait get an answer; `failed` or the token, by then. */
static void settle(struct token_source *t, enum ask_state state)
{
    for (struct token_ask *a = t->first; a != NULL; a = a->next) {
        if (a->state == ASK_WAITS)
            a->state = state;
    }
}

/* Between token_get and its turn the token was refused, or ended: those who were to get it wait. */
static void unready(struct token_source *t)
{
    struct err mine;
    bool any = false;

    for (struct token_ask *a = t->first; a != NULL; a = a->next) {
        if (a->state == ASK_READY) {
            a->state = ASK_WAITS;
            any = true;
        }
    }
    if (any && t->fetch == NULL && fetch(t, &mine) < 0) {
        t->failure = mine;
        settle(t, ASK_FAILED);
    }
}

static struct token_ask *first_settled(const struct token_source *t)
{
    struct token_ask *a = t->first;

    while (a != NULL && a->state == ASK_WAITS)
        a = a->next;
    return a;
}

/* Answer those whose answer is known now; who asks meanwhile has its turn in the next one. */
static void deliver(struct token_source *t)
{
    struct token_ask *a;
    struct err why, unused;
    size_t n = 0;

    for (a = t->first; a != NULL; a = a->next)
        n += a->state != ASK_WAITS;
    t->busy++;
    while (!t->dead && n-- > 0 && (a = first_settled(t)) != NULL) {
        bool failed = a->state == ASK_FAILED;
        token_cb cb = a->cb;
        void *arg = a->arg;

        if (!failed && !usable(t)) {
            unready(t);
            continue;
        }
        why = t->failure;
        ask_unlink(a);
        free(a);
        cb(arg, failed ? NULL : t->authorization, failed ? &why : NULL);
        secret_free(t->retired);
        t->retired = NULL;
    }
    t->busy--;
    if (t->dead)
        source_free(t);
    else if (first_settled(t) != NULL)
        (void)turn_soon(t, &unused); /* no memory: the next token_get or fetch comes by here */
}

/* --- keeping ------------------------------------------------------------------------------- */

static void plan_renewal(struct token_source *t, uint64_t in_ms)
{
    loop_timer_stop(&t->due);
    t->due =
        loop_timer_start(t->c.loop, in_ms, on_due, t); /* NULL: the next token_get sees to it */
}

static void keep(struct token_source *t, struct token_got *got)
{
    uint64_t now = loop_now(t->c.loop), use = 0, refresh = 0;
    const char *p;

    secret_free(t->authorization);
    t->authorization = TAKE(got->authorization);
    free(t->challenge);
    t->challenge = NULL;
    t->failures = 0;
    t->failure = ERR_NONE;
    if (got->life_ms == UINT64_MAX) {
        t->use_until = UINT64_MAX;
        t->ends_ms = 0;
        loop_timer_stop(&t->due);
    } else {
        token_plan(got->life_ms, got->refresh_ms, &use, &refresh);
        t->use_until = now + use;
        t->ends_ms = stamp_now_ms() + (int64_t)got->life_ms;
        plan_renewal(t, refresh);
    }
    if (t->c.way != TOKEN_BY_FILE) {
        p = (const char *)secret_bytes(t->authorization);
        token_claims_read(&t->claims, p + strlen("Bearer "),
                          secret_len(t->authorization) - strlen("Bearer "));
    }
}

static void on_due(void *arg)
{
    struct token_source *t = arg;
    struct err mine;

    t->due = NULL;
    if (t->fetch == NULL && fetch(t, &mine) < 0)
        on_fetched(t, NULL, &mine, 0);
}

static void on_fetched(void *arg, struct token_got *got, const struct err *e, uint64_t wait_ms)
{
    struct token_source *t = arg;
    uint64_t brake = t->c.wait_ms * BRAKE_WAITS;
    struct err mine;

    t->fetch = NULL;
    /* A challenge came while this one was under way, and it knows nothing of it: once more. */
    if (t->again && fetch(t, &mine) == 0)
        return;
    if (got != NULL) {
        keep(t, got);
        settle(t, ASK_READY);
    } else {
        uint64_t most = t->c.wait_ms * RENEW_MOST_WAITS;
        uint64_t wait = t->c.wait_ms * RENEW_FIRST_WAITS << (t->failures < 4 ? t->failures : 4);

        log_debug("%s%s", e->msg, usable(t) ? " (the token we have serves on)" : "");
        t->failure = *e;
        t->failures++;
        t->brake_until = loop_now(t->c.loop) + (wait_ms > brake ? wait_ms : brake);
        if (wait > most)
            wait = most;
        plan_renewal(t, wait > wait_ms ? wait : wait_ms);
        settle(t, ASK_FAILED); /* who waits does so because there is nothing usable */
    }
    deliver(t);
}

void token_refused(struct token_source *t, const struct secret *authorization, const char *claims)
{
    struct text merged = TEXT_INIT(2 * (size_t)TOKEN_CLAIMS_MAX);
    struct err mine;

    if (t->authorization == NULL || !secret_equal(t->authorization, authorization))
        return;
    /* Who tells us may hold it still: it was lent for the length of a callback. */
    if (t->busy > 0 && t->retired == NULL)
        t->retired = TAKE(t->authorization);
    secret_free(t->authorization);
    t->authorization = NULL;
    t->ends_ms = 0;
    t->brake_until = 0;
    loop_timer_stop(&t->due);

    if (claims == NULL || !knows_claims(t))
        return;
    if (token_claims_merge(claims, &merged, &mine) < 0) {
        log_debug("token: %s: asking without it", mine.msg);
    } else {
        free(t->challenge);
        t->challenge = text_take(&merged);
        t->again = t->fetch != NULL;
    }
    text_done(&merged);
}

/* --- what it says of itself ------------------------------------------------------------------ */

bool token_has_role(const struct token_source *t, const char *role)
{
    return token_claims_role(&t->claims, role);
}

bool token_readable(const struct token_source *t)
{
    return t->claims.readable;
}

const char *token_object_id(const struct token_source *t)
{
    return t->claims.oid;
}

const char *token_directory_roles(const struct token_source *t)
{
    return t->claims.wids.s;
}

int64_t token_expires_ms(const struct token_source *t)
{
    return t->authorization != NULL ? t->ends_ms : 0;
}

int64_t token_certificate_ends_ms(const struct token_source *t)
{
    return t->c.credential_ends;
}
