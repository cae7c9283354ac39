/* tests/unit/base/test_winrm.c -- a WinRM that misbehaves (winrm_server.py), and a make-believe
 * Kerberos in place of base/gss.c. The real one is tests/e2e/winrm_conn.t. */
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
#include "base/gss.h"
#include "base/http.h"
#include "base/winrm.h"
#include "base/winrm_inside.h"
#include "tests/unit/alloc.h"

extern char **environ;

/* --- the make-believe ------------------------------------------------------------------------ */

static struct {
    unsigned legs;      /* tokens of ours until the context stands */
    enum err_code fail; /* of the first step */
    bool hangs;         /* a KDC that does not answer */
    uint32_t left_s;
    /* what was seen */
    unsigned made, live;
    enum gss_mech mech;
    char ccache[64], principal[64], binding[128];
    size_t binding_len;
} fake;

struct gss {
    struct loop *loop;
    unsigned legs, seals;
    bool done;
    char in[16];
    gss_cb cb;
    void *arg;
    struct loop_timer *timer;
};

int gss_new(struct loop *l, const struct gss_settings *s, struct gss **ret_gss, struct err *e)
{
    struct gss *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return err_set(e, ERR_NOMEM, 0, "fake");
    g->loop = l;
    fake.made++;
    fake.live++;
    fake.mech = s->mech;
    (void)snprintf(fake.ccache, sizeof(fake.ccache), "%s", s->ccache != NULL ? s->ccache : "-");
    (void)snprintf(fake.principal, sizeof(fake.principal), "%s/%s", s->service, s->host);
    fake.binding_len = s->binding_len;
    memcpy(fake.binding, s->binding != NULL ? s->binding : "", s->binding_len);
    *ret_gss = g;
    return 0;
}

void gss_free(struct gss *g)
{
    if (g == NULL)
        return;
    loop_timer_stop(&g->timer);
    fake.live--;
    free(g);
}

void gss_freep(struct gss **g)
{
    gss_free(*g);
}

static void on_step(void *arg)
{
    struct gss *g = arg;
    char token[8];
    struct err e;

    g->timer = NULL;
    if (fake.fail != ERR_OK) {
        err_set_text(&e, fake.fail, 0, "ticket for HTTP/localhost: make-believe");
        g->cb(g->arg, NULL, 0, false, &e);
        return;
    }
    if (g->legs > 0) {
        (void)snprintf(token, sizeof(token), "S%u", g->legs % 10);
        if (strcmp(g->in, token) != 0) {
            err_set_text(&e, ERR_AUTH, 0, "not the peer: %s", g->in);
            g->cb(g->arg, NULL, 0, false, &e);
            return;
        }
    }
    if (g->legs == fake.legs) {
        g->done = true;
        g->cb(g->arg, "", 0, true, NULL);
        return;
    }
    g->legs++;
    (void)snprintf(token, sizeof(token), "C%u%s", g->legs % 10, g->legs == fake.legs ? "!" : "");
    g->cb(g->arg, token, strlen(token), false, NULL);
}

int gss_step_start(struct gss *g, const void *token, size_t len, gss_cb cb, void *arg,
                   struct err *e)
{
    g->cb = cb;
    g->arg = arg;
    (void)snprintf(g->in, sizeof(g->in), "%.*s", (int)len, len > 0 ? (const char *)token : "");
    if (fake.hangs)
        return 0;
    g->timer = loop_timer_start(g->loop, 0, on_step, g);
    return g->timer != NULL ? 0 : err_set(e, ERR_NOMEM, 0, "fake");
}

static void turn(struct text *out, const uint8_t *s, size_t n, uint8_t by)
{
    for (size_t i = 0; i < n; i++)
        text_addc(out, (char)(s[i] ^ by));
}

int gss_seal_message(struct gss *g, const void *plain, size_t len, struct text *token,
                     struct text *sealed, struct err *e)
{
    assert_true(g->done);
    text_addf(token, "SEAL%u", ++g->seals);
    turn(sealed, plain, len, 0x5a);
    return text_check(token, "token", e) < 0 || text_check(sealed, "sealed", e) < 0 ? -1 : 0;
}

int gss_unseal_message(struct gss *g, const void *token, size_t token_len, const void *sealed,
                       size_t sealed_len, struct text *plain, struct err *e)
{
    char want[16];

    (void)snprintf(want, sizeof(want), "LAES%u", g->seals);
    if (token_len != strlen(want) || memcmp(token, want, token_len) != 0)
        return err_set(e, ERR_AUTH, 0, "not what the peer sealed");
    turn(plain, sealed, sealed_len, 0xa5);
    return text_check(plain, "plain", e);
}

bool gss_is_done(const struct gss *g)
{
    return g->done;
}

uint32_t gss_left_s(const struct gss *g)
{
    (void)g;
    return fake.left_s;
}

bool gss_is_bound(const struct gss *g)
{
    (void)g;
    return fake.binding_len > 0;
}

const char *gss_enctype(const struct gss *g)
{
    (void)g;
    return "make-believe";
}

/* --- the world ------------------------------------------------------------------------------- */

static struct {
    char folder[64], ca[96], client[96];
    pid_t pid;
    int in;
    unsigned plain, tls, mutual, wronghost;
} server;

static struct loop *loop;

static int set_up(void **state)
{
    struct err e;

    (void)state;
    memset(&fake, 0, sizeof(fake));
    fake.legs = 1;
    fake.left_s = 36000;
    return loop_new(&loop, &e);
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

enum where { PLAIN, TLS };

static struct winrm *make_with(struct winrm_settings s)
{
    struct winrm *w = NULL;
    struct err e;

    if (s.host == NULL)
        s.host = "localhost";
    if (s.tls)
        s.ca_file = server.ca;
    if (s.port == 0)
        s.port = s.tls ? server.tls : server.plain;
    if (winrm_new(loop, &s, &w, &e) < 0)
        fail_msg("%s", e.msg);
    return w;
}

static struct winrm *make(enum where where, const char *path)
{
    return make_with((struct winrm_settings){.tls = where == TLS, .path = path});
}

struct seen {
    int callbacks;
    bool answered, faulted;
    char action[64];
    struct soap_fault f;
    struct err e;
    int *order, place;
};

static void on_done(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                    const struct err *e)
{
    struct seen *s = arg;

    s->callbacks++;
    assert_true(a != NULL ? f == NULL && e == NULL : e != NULL);
    if (a != NULL) {
        s->answered = true;
        (void)snprintf(s->action, sizeof(s->action), "%s", a->action);
    }
    if (f != NULL) {
        s->faulted = true;
        s->f = *f;
    }
    if (e != NULL)
        s->e = *e;
    if (s->order != NULL)
        s->place = ++*s->order;
}

static const struct winrm_ask ask = {
    .resource = "urn:test", .action = "urn:do", .repeat = WINRM_SAFELY};
static const struct winrm_ask ask_once = {
    .resource = "urn:test", .action = "urn:do", .repeat = WINRM_ONCE};

static void run(void)
{
    struct err e;

    (void)loop_run(loop, &e);
}

static struct seen call(struct winrm *w, const struct winrm_ask *a)
{
    struct seen s = {0};
    struct err e;

    if (winrm_call_start(w, a, on_done, &s, NULL, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(s.callbacks, 0);
    run();
    assert_int_equal(s.callbacks, 1);
    return s;
}

static void on_seen(void *arg, const struct http_answer *a, const struct err *e)
{
    if (a == NULL)
        fail_msg("%s", e->msg);
    (void)snprintf(arg, 4096, " %s ", a->body);
}

/* What the server has counted under a name. */
static unsigned seen(const char *name, const char *what)
{
    char url[128], body[4096], key[64];
    struct http *h = NULL;
    const char *at;
    struct err e;

    (void)snprintf(url, sizeof(url), "http://localhost:%u/seen/%s", server.plain, name);
    assert_int_equal(http_new(loop, &(struct http_settings){.one_connection = true}, &h, &e), 0);
    assert_int_equal(http_start(h,
                                &(struct http_ask){.method = "GET",
                                                   .url = url,
                                                   .flags = HTTP_PLAIN_LOCAL | HTTP_NO_PROXY},
                                on_seen, body, NULL, &e),
                     0);
    run();
    http_free(h);
    (void)snprintf(key, sizeof(key), " %s=", what);
    at = strstr(body, key);
    return at != NULL ? (unsigned)strtoul(at + strlen(key), NULL, 10) : 0;
}

static struct winrm_facts facts(struct winrm *w)
{
    struct winrm_facts f;

    winrm_facts(w, &f);
    return f;
}

/* --- what is right --------------------------------------------------------------------------- */

static void good(void **state)
{
    static const enum winrm_auth ways[] = {WINRM_NEGOTIATE, WINRM_KERBEROS};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        char path[32], name[16];
        struct winrm *w;
        struct seen s;

        (void)snprintf(name, sizeof(name), "good%u", i);
        (void)snprintf(path, sizeof(path), "/ok/%s/0", name);
        fake.legs = 1 + i % 2;
        w = make_with((struct winrm_settings){
            .path = path, .tls = i >= 2, .auth = ways[i % 2], .ccache = "MEMORY:x"});
        for (int n = 0; n < 3; n++) {
            s = call(w, n == 1 ? &ask_once : &ask);
            if (!s.answered)
                fail_msg("%u %d: %s", i, n, s.e.msg);
            assert_string_equal(s.action, "urn:done");
        }
        assert_int_equal(facts(w).logins, 1);
        assert_int_equal(facts(w).requests, 3);
        assert_true(facts(w).connected && facts(w).authenticated);
        assert_string_equal(facts(w).enctype, "make-believe");
        assert_int_equal(facts(w).context_left_s, 36000);
        assert_int_equal(fake.mech, ways[i % 2] == WINRM_KERBEROS ? GSS_KRB5 : GSS_SPNEGO);
        assert_string_equal(fake.principal, "HTTP/localhost");
        assert_string_equal(fake.ccache, "MEMORY:x");
        /* its certificate, known before the first token */
        assert_int_equal(facts(w).bound, i >= 2);
        assert_int_equal(fake.binding_len, i >= 2 ? 21 + 32 : 0);
        assert_string_equal(facts(w).tls_subject, i >= 2 ? "CN=good" : "");
        assert_int_equal(facts(w).tls_ends_ms > 0, i >= 2);
        /* the server says 1994, as in RFC 9110 */
        assert_true(facts(w).has_clock);
        assert_true(facts(w).clock_ms < -1000000000000 && facts(w).clock_ms > -4000000000000);
        winrm_free(w);
        assert_int_equal(fake.live, 0);
        assert_int_equal(seen(name, "logins"), 1);
        assert_int_equal(seen(name, "legs"), fake.legs);
        assert_int_equal(seen(name, "probes"), i >= 2 ? 1 : 0);
        assert_int_equal(seen(name, "requests"), 3);
        assert_int_equal(seen(name, "cookies"), 3);
        assert_int_equal(seen(name, "repeated"), 0);
    }
}

static void faults(void **state)
{
    (void)state;
    for (enum where i = PLAIN; i <= TLS; i++) {
        struct winrm *w = make(i, i == PLAIN ? "/fault/fault0/1" : "/fault/fault1/1");
        struct seen s = call(w, &ask_once);

        assert_true(s.faulted);
        assert_int_equal(s.f.kind, SOAP_DENIED);
        assert_int_equal(s.e.code, ERR_DENIED);
        assert_true(call(w, &ask_once).answered); /* the connection is as good as before */
        assert_int_equal(facts(w).logins, 1);
        winrm_free(w);
    }
}

/* --- what is wrong --------------------------------------------------------------------------- */

/* The login never came to an end: the request was surely not served, or it was refused. */
static void bad_logins(void **state)
{
    static const struct {
        const char *action;
        unsigned legs;
        enum err_code want;
        const char *words;
    } rows[] = {
        {"login_no", 1, ERR_AUTH, "it offers: Negotiate, Kerberos, Basic"},
        {"login_bare", 1, ERR_AUTH, "without proving who it is"},
        {"login_liar", 1, ERR_AUTH, "not the peer: LIE"},
        {"login_junk", 1, ERR_AUTH, "refused the ticket for HTTP/localhost"},
        {"login_nobase64", 1, ERR_INVALID, "no base64"},
        {"login_endless", 100, ERR_AUTH, "no end"},
        {"login_status404", 1, ERR_UNSUPPORTED, "another web server"},
        {"login_status503", 1, ERR_BUSY, "try again later"},
        {"login_cut", 1, ERR_UNSENT, "WinRM does not answer on localhost:"},
        {"login_hang", 1, ERR_UNSENT, "WinRM does not answer on localhost:"},
        {"login_close", 2, ERR_UNSENT, "in the midst of the login"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (enum where k = PLAIN; k <= TLS; k++) {
            char path[64], name[48];
            struct winrm *w;
            struct seen s;

            (void)snprintf(name, sizeof(name), "%s-%d", rows[i].action, k);
            (void)snprintf(path, sizeof(path), "/%s/%s/1", rows[i].action, name);
            if (strcmp(rows[i].action, "login_endless") == 0)
                (void)snprintf(path, sizeof(path), "/%s/%s/100", rows[i].action, name);
            fake.legs = rows[i].legs;
            w = make_with((struct winrm_settings){
                .path = path,
                .tls = k == TLS,
                .connect_ms = strcmp(rows[i].action, "login_hang") == 0 ? 300 : 0});
            s = call(w, &ask_once);
            if (s.answered || s.e.code != rows[i].want || strstr(s.e.msg, rows[i].words) == NULL)
                fail_msg("%s: %s %s", name, err_word(s.e.code), s.e.msg);
            assert_int_equal(facts(w).requests, 0);
            assert_int_equal(facts(w).context_left_s, 0);
            fake.legs = 1;
            if (rows[i].legs != 100) { /* nothing of it sticks */
                s = call(w, &ask_once);
                if (!s.answered)
                    fail_msg("%s: then %s", name, s.e.msg);
            }
            winrm_free(w);
            assert_int_equal(seen(name, "strangers"), 0);
        }
    }
}

static void no_ticket(void **state)
{
    struct winrm *w = make(PLAIN, "/ok/ticket/0");
    struct seen s;

    (void)state;
    fake.fail = ERR_AUTH;
    s = call(w, &ask);
    assert_int_equal(s.e.code, ERR_AUTH);
    assert_non_null(strstr(s.e.msg, "make-believe"));
    fake.fail = ERR_TIMEOUT; /* no KDC: then nothing was sent */
    s = call(w, &ask_once);
    assert_int_equal(s.e.code, ERR_UNSENT);
    fake.fail = ERR_OK;
    assert_true(call(w, &ask_once).answered);
    winrm_free(w);

    w = make_with((struct winrm_settings){.path = "/ok/ticket/0", .connect_ms = 50});
    fake.hangs = true;
    s = call(w, &ask_once);
    assert_int_equal(s.e.code, ERR_UNSENT);
    assert_non_null(strstr(s.e.msg, "no ticket for HTTP/localhost"));
    winrm_free(w);
    assert_int_equal(fake.live, 0);
}

static void nobody_there(void **state)
{
    /* 1: nobody listens there */
    for (enum where i = PLAIN; i <= TLS; i++) {
        struct winrm *w = make_with((struct winrm_settings){.tls = i == TLS, .port = 1});
        struct seen s = call(w, &ask);

        assert_int_equal(s.e.code, ERR_UNSENT);
        assert_non_null(strstr(s.e.msg, "no connection to WinRM on localhost:1"));
        assert_false(facts(w).connected);
        winrm_free(w);
    }
    (void)state;
}

static void wrong_certificate(void **state)
{
    struct winrm *w = make_with((struct winrm_settings){.tls = true, .port = server.wronghost});
    struct seen s = call(w, &ask);
    struct err e;

    (void)state;
    assert_int_equal(s.e.code, ERR_UNSENT);
    assert_int_equal(fake.made, 0); /* no ticket was asked for, least of all shown */
    winrm_free(w);

    /* an authority that this host does not know */
    assert_int_equal(
        winrm_new(loop,
                  &(struct winrm_settings){.host = "localhost", .tls = true, .port = server.tls},
                  &w, &e),
        0);
    s = call(w, &ask);
    assert_int_equal(s.e.code, ERR_UNSENT);
    assert_int_equal(fake.made, 0);
    winrm_free(w);
}

/* One wrong answer, and then right ones. What is told, and how often it was served. */
static void bad_answers(void **state)
{
    static const struct {
        const char *action;
        int where; /* -1: both */
        /* WINRM_ONCE */
        enum err_code once;
        unsigned once_served;
        /* WINRM_SAFELY; ERR_OK: answered, by the second try */
        enum err_code safely;
        unsigned safely_served;
        const char *words;
    } rows[] = {
        {"bare200", PLAIN, ERR_UNPROVEN, 1, ERR_INVALID, 1, "the answer came in clear"},
        {"bare500", PLAIN, ERR_UNPROVEN, 1, ERR_INVALID, 1, "HTTP status 500"},
        {"html", PLAIN, ERR_UNPROVEN, 1, ERR_INVALID, 1, "the answer came in clear"},
        {"html", TLS, ERR_UNPROVEN, 1, ERR_INVALID, 1, "an answer without SOAP"},
        {"status401", PLAIN, ERR_UNPROVEN, 1, ERR_OK, 2, "refused the ticket"},
        {"status401", TLS, ERR_OK, 2, ERR_OK, 2, ""}, /* by a host that has proven itself */
        {"status400", PLAIN, ERR_UNPROVEN, 1, ERR_OK, 2, "HTTP status 400"},
        {"status400", TLS, ERR_REFUSED, 1, ERR_REFUSED, 1, "HTTP status 400"},
        {"status404", PLAIN, ERR_UNPROVEN, 1, ERR_UNSUPPORTED, 1, "another web server"},
        {"status404", TLS, ERR_UNSUPPORTED, 1, ERR_UNSUPPORTED, 1, "another web server"},
        {"status413", PLAIN, ERR_UNPROVEN, 1, ERR_TOOBIG, 1, "MaxEnvelopeSizekb"},
        {"status413", TLS, ERR_TOOBIG, 1, ERR_TOOBIG, 1, "MaxEnvelopeSizekb"},
        {"status503", PLAIN, ERR_UNPROVEN, 1, ERR_BUSY, 1, "out of resources"},
        {"status503", TLS, ERR_BUSY, 1, ERR_BUSY, 1, "out of resources"},
        {"status500", -1, ERR_UNPROVEN, 1, ERR_INVALID, 1, "HTTP status 500"},
        {"status302", PLAIN, ERR_UNPROVEN, 1, ERR_REFUSED, 1, "HTTP status 302"},
        {"cut", -1, ERR_UNPROVEN, 1, ERR_OK, 2, "cut before the whole answer"},
        {"cut_body", -1, ERR_UNPROVEN, 1, ERR_OK, 2, "cut before the whole answer"},
        {"huge", -1, ERR_UNPROVEN, 1, ERR_TOOBIG, 1, "too big"},
        {"junk", -1, ERR_UNPROVEN, 1, ERR_INVALID, 1, ""},
        {"another", -1, ERR_UNPROVEN, 1, ERR_INVALID, 1, ""},
        {"replay", PLAIN, ERR_UNPROVEN, 1, ERR_INVALID, 1, "not what the peer sealed"},
        {"length", PLAIN, ERR_UNPROVEN, 1, ERR_INVALID, 1, ""},
        {"frame", PLAIN, ERR_UNPROVEN, 1, ERR_INVALID, 1, ""},
        {"credssp", PLAIN, ERR_UNPROVEN, 1, ERR_UNSUPPORTED, 1, ""},
        {"hang", -1, ERR_UNPROVEN, 1, ERR_TIMEOUT, 1, "no answer in 300 ms"},
        /* closed without a word, between requests: seen before anything is sent */
        {"close_idle", -1, ERR_OK, 1, ERR_OK, 1, ""},
        {"close_after", -1, ERR_OK, 1, ERR_OK, 1, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int k = 0; k < 4; k++) {
            enum where where = k / 2 == 0 ? PLAIN : TLS;
            bool once = k % 2 == 0;
            enum err_code want = once ? rows[i].once : rows[i].safely;
            struct winrm_ask a = once ? ask_once : ask;
            char path[64], name[48];
            struct winrm *w;
            struct seen s;

            if (rows[i].where >= 0 && rows[i].where != (int)where)
                continue;
            (void)snprintf(name, sizeof(name), "%s-%d", rows[i].action, k);
            (void)snprintf(path, sizeof(path), "/%s/%s/1", rows[i].action, name);
            w = make(where, path);
            a.all_ms = strcmp(rows[i].action, "hang") == 0 ? 300 : 0;
            s = call(w, &a);
            if (s.answered != (want == ERR_OK) || s.e.code != want ||
                (want != ERR_OK && strstr(s.e.msg, rows[i].words) == NULL))
                fail_msg("%s: %s %s", name, err_word(s.e.code), s.e.msg);
            assert_int_equal(seen(name, "requests"),
                             once ? rows[i].once_served : rows[i].safely_served);
            while (strcmp(rows[i].action, "close_after") == 0 && seen(name, "closed") == 0)
                ;
            s = call(w, &ask_once); /* and nothing of it sticks */
            if (!s.answered)
                fail_msg("%s: then %s", name, s.e.msg);
            winrm_free(w);
            assert_int_equal(seen(name, "strangers"), 0); /* never on another connection */
            assert_int_equal(seen(name, "repeated"), 0);  /* never an id twice */
            assert_int_equal(fake.live, 0);
        }
    }
    assert_int_equal(seen("errors", "sequence"), 0);
    assert_int_equal(seen("errors", "frame"), 0);
}

/* A server that always closes after the login, or always says 401: it ends. */
static void never_right(void **state)
{
    static const struct {
        const char *action;
        enum where where;
        enum err_code want;
        unsigned logins;
    } rows[] = {
        {"close_idle", PLAIN, ERR_UNSENT, 2}, {"close_idle", TLS, ERR_UNSENT, 2},
        {"status401", TLS, ERR_AUTH, 2},      {"status401", PLAIN, ERR_AUTH, 2},
        {"cut", PLAIN, ERR_TIMEOUT, 2},       {"cut", TLS, ERR_TIMEOUT, 2},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char path[64], name[32];
        struct winrm *w;
        struct seen s;

        (void)snprintf(name, sizeof(name), "never%zu", i);
        (void)snprintf(path, sizeof(path), "/%s/%s/1000", rows[i].action, name);
        w = make(rows[i].where, path);
        s = call(w, &ask);
        if (s.e.code != rows[i].want)
            fail_msg("%s: %s %s", rows[i].action, err_word(s.e.code), s.e.msg);
        winrm_free(w);
        assert_int_equal(seen(name, "logins"), rows[i].logins);
        assert_int_equal(seen(name, "strangers"), 0);
    }
}

/* --- contexts -------------------------------------------------------------------------------- */

static void renewed(void **state)
{
    struct winrm *w = make(PLAIN, "/ok/renewed/0");
    struct err e;

    (void)state;
    assert_true(call(w, &ask).answered);
    assert_int_equal(winrm_set_ccache(w, "MEMORY:new", &e), 0);
    assert_true(call(w, &ask).answered);
    assert_string_equal(fake.ccache, "MEMORY:new");
    assert_int_equal(facts(w).logins, 2);
    assert_true(call(w, &ask).answered);
    assert_int_equal(facts(w).logins, 2);
    fake.left_s = 59;
    assert_true(call(w, &ask).answered);
    assert_true(
        call(w, &ask).answered); /* the new one is no better: once a request, not for ever */
    assert_int_equal(facts(w).logins, 4);
    winrm_free(w);
    assert_int_equal(seen("renewed", "requests"), 5);
    assert_int_equal(seen("renewed", "cookies"), 5);
}

static void anonymous(void **state)
{
    const struct winrm_ask identify = {.anonymous = true, .repeat = WINRM_SAFELY};

    (void)state;
    for (enum where i = PLAIN; i <= TLS; i++) {
        struct winrm *w = make(i, i == PLAIN ? "/ok/anon0/0" : "/ok/anon1/0");
        struct winrm_ask wrong = ask;
        struct err e;

        assert_true(call(w, &identify).answered);
        assert_false(facts(w).authenticated);
        assert_int_equal(fake.made, 0);
        assert_true(call(w, &ask_once).answered);
        assert_true(call(w, &identify).answered); /* not over what was logged in on */
        assert_true(call(w, &ask_once).answered);
        wrong.anonymous = true;
        assert_int_equal(winrm_call_start(w, &wrong, on_done, NULL, NULL, &e), -1);
        winrm_free(w);
        assert_int_equal(seen(i == PLAIN ? "anon0" : "anon1", "anonymous"), 2);
        assert_int_equal(seen(i == PLAIN ? "anon0" : "anon1", "logins"), 2);
        fake.made = 0;
    }
}

static void certificate(void **state)
{
    struct winrm_settings s = {.host = "localhost",
                               .port = server.mutual,
                               .tls = true,
                               .path = "/ok/cert/0",
                               .ca_file = server.ca,
                               .auth = WINRM_CERTIFICATE,
                               .certificate = server.client};
    struct winrm *w = make_with(s);
    struct err e;

    (void)state;
    assert_true(call(w, &ask_once).answered);
    assert_true(call(w, &ask_once).answered);
    assert_int_equal(fake.made, 0);
    assert_true(facts(w).authenticated);
    winrm_free(w);
    assert_int_equal(seen("cert", "mutual"), 2);
    s.path = "/status401/cert2/9";
    w = make_with(s);
    assert_int_equal(call(w, &ask_once).e.code, ERR_AUTH);
    winrm_free(w);

    s.tls = false;
    assert_int_equal(winrm_new(loop, &s, &w, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    s.tls = true;
    s.certificate = NULL;
    assert_int_equal(winrm_new(loop, &s, &w, &e), -1);
    s.certificate = "/nonexistent/cert.pem";
    assert_int_equal(winrm_new(loop, &s, &w, &e), -1);
}

static void settings(void **state)
{
    static const struct winrm_settings rows[] = {
        {.host = ""},
        {.host = "a b"},
        {.host = "dc1/x"},
        {.host = "user@dc1"},
        {.host = "dc1", .port = 65536},
        {.host = "dc1", .service = "HT TP"},
        {.host = "dc1", .tls = true, .ca_file = "/nonexistent"},
    };
    struct winrm *w;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(winrm_new(loop, &rows[i], &w, &e), -1);
        assert_int_equal(e.code, ERR_CONFIG);
    }
    assert_int_equal(
        winrm_new(loop, &(struct winrm_settings){.host = "dc1.corp.example.com"}, &w, &e), 0);
    assert_string_equal(winrm_url(w), "http://dc1.corp.example.com:5985/wsman");
    assert_string_equal(winrm_host(w), "dc1.corp.example.com");
    winrm_free(w);
    assert_int_equal(winrm_new(loop, &(struct winrm_settings){.host = "dc1", .tls = true}, &w, &e),
                     0);
    assert_string_equal(winrm_url(w), "https://dc1:5986/wsman");
    winrm_free(w);
}

/* --- the line -------------------------------------------------------------------------------- */

static void in_order(void **state)
{
    struct winrm *w = make(PLAIN, "/cut/order/1");
    struct seen s[5] = {0};
    int order = 0;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        s[i].order = &order;
        assert_int_equal(winrm_call_start(w, &ask, on_done, &s[i], NULL, &e), 0);
    }
    run();
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        assert_true(s[i].answered);
        assert_int_equal(s[i].place, (int)i + 1);
    }
    assert_int_equal(facts(w).logins, 2);
    winrm_free(w);
}

static void deadlines(void **state)
{
    struct winrm *w = make(PLAIN, "/hang/late/1");
    struct seen a = {0}, b = {0}, c = {0};
    struct winrm_ask slow = ask_once, quick = ask_once;
    struct err e;

    (void)state;
    slow.all_ms = 400;
    quick.all_ms = 100;
    assert_int_equal(winrm_call_start(w, &slow, on_done, &a, NULL, &e), 0);
    assert_int_equal(winrm_call_start(w, &quick, on_done, &b, NULL, &e), 0);
    assert_int_equal(winrm_call_start(w, &ask_once, on_done, &c, NULL, &e), 0);
    run();
    assert_int_equal(a.e.code, ERR_UNPROVEN);
    assert_int_equal(b.e.code, ERR_UNSENT); /* waited in line, and was never sent */
    assert_non_null(strstr(b.e.msg, "turn"));
    assert_true(c.answered);
    winrm_free(w);

    fake.hangs = true;
    w = make(PLAIN, "/ok/late2/0");
    a = call(w, &quick);
    assert_int_equal(a.e.code, ERR_UNSENT);
    winrm_free(w);
    assert_int_equal(fake.live, 0);
}

struct stop {
    struct winrm *w;
    struct winrm_call *c;
};

static void abandon_now(void *arg)
{
    winrm_call_abandon(((struct stop *)arg)->c);
}

static void free_now(void *arg)
{
    winrm_free(((struct stop *)arg)->w);
}

/* Abandoned, or all of it freed, in each state: no callback, no leak, and the next has its turn.
 */
static void abandoned(void **state)
{
    static const char *const paths[] = {"/hang/gone", "/login_hang/gone", "/ok/gone"};

    (void)state;
    for (unsigned i = 0; i < 48; i++) {
        bool all = i % 2 == 0, tls = i / 2 % 2 == 0;
        unsigned which = i / 4 % 4; /* the last: a KDC that hangs */
        unsigned after = i / 16;    /* at once, in the midst, or so late that it is over or hangs */
        struct seen s = {0}, next = {0};
        struct stop stop = {0};
        struct winrm_ask second = ask;
        char path[64];
        struct err e;

        second.all_ms = 300; /* what hangs may not have been reached by the first */
        (void)snprintf(path, sizeof(path), "%s%u/1", paths[which % 3], i);
        fake.hangs = which == 3;
        stop.w = make(tls ? TLS : PLAIN, path);
        assert_int_equal(winrm_call_start(stop.w, &ask, on_done, &s, &stop.c, &e), 0);
        assert_int_equal(winrm_call_start(stop.w, &second, on_done, &next, NULL, &e), 0);
        if (which == 2 && after > 0) {
            run(); /* nothing to stop any more */
            assert_int_equal(s.callbacks, 1);
            winrm_free(stop.w);
            continue;
        }
        if (after == 0)
            (all ? free_now : abandon_now)(&stop);
        else
            assert_non_null(
                loop_timer_start(loop, after == 1 ? 3 : 150, all ? free_now : abandon_now, &stop));
        if (fake.hangs && !all) { /* ends only with its owner */
            assert_non_null(loop_timer_start(loop, 200, free_now, &stop));
            run();
            assert_int_equal(next.callbacks, 0);
        } else {
            run();
            assert_int_equal(next.callbacks, all ? 0 : 1);
            if (!all)
                winrm_free(stop.w);
        }
        assert_int_equal(s.callbacks, 0);
        assert_int_equal(fake.live, 0);
        fake.hangs = false;
    }
}

/* What the caller gave away is freed with the call, however that ends, and not where it did not
 * start. (That nothing is lost is for the leak checker to see.) */
static void owned(void **state)
{
    struct winrm *w = make(PLAIN, "/hang/owned/1");
    struct winrm_ask a = ask;
    struct seen s = {0};
    struct winrm_call *c;
    char *mine;
    struct err e;

    (void)state;
    a.owned = malloc(10);
    a.all_ms = 100;
    assert_int_equal(call(w, &a).e.code, ERR_TIMEOUT);
    a.owned = malloc(10);
    assert_int_equal(winrm_call_start(w, &a, on_done, &s, &c, &e), 0);
    winrm_call_abandon(c);
    a.owned = malloc(10);
    assert_int_equal(winrm_call_start(w, &a, on_done, &s, NULL, &e), 0);
    a.owned = mine = malloc(10);
    a.resource = "\x01";
    assert_int_equal(winrm_call_start(w, &a, on_done, &s, NULL, &e), -1);
    free(mine);
    winrm_free(w);
    run();
    assert_int_equal(s.callbacks, 0);
}

struct inside {
    struct winrm *w;
    struct winrm_call *other;
    int what, callbacks;
};

static void on_inside(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                      const struct err *e)
{
    struct inside *in = arg;
    struct err mine;

    (void)f;
    in->callbacks++;
    if (in->what == 0) {
        winrm_free(in->w);
        in->w = NULL;
    } else if (in->callbacks == 1) {
        winrm_call_abandon(in->other);
        assert_int_equal(winrm_call_start(in->w, &ask, on_inside, in, NULL, &mine), 0);
    }
    if (a != NULL) /* still ours until we return */
        assert_string_equal(a->action, "urn:done");
    else
        assert_true(e->code != ERR_OK);
}

static void from_inside_a_callback(void **state)
{
    static const char *const paths[] = {"/ok/inside/0", "/login_no/inside1/1", "/html/inside2/1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        for (int what = 0; what < 4; what++) {
            struct inside in = {.what = what % 2};
            struct seen other = {0};
            struct err e;

            in.w = make(what < 2 ? PLAIN : TLS, paths[i]);
            assert_int_equal(winrm_call_start(in.w, &ask, on_inside, &in, NULL, &e), 0);
            assert_int_equal(winrm_call_start(in.w, &ask, on_done, &other, &in.other, &e), 0);
            run();
            assert_int_equal(in.callbacks, what % 2 == 0 ? 1 : 2);
            assert_int_equal(other.callbacks, 0);
            winrm_free(in.w);
            assert_int_equal(fake.live, 0);
        }
    }
}

/* M2: each allocation of ours fails once. Always one callback or an error, and it goes on after. */
static void memory(void **state)
{
    (void)state;
    for (enum where k = PLAIN; k <= TLS; k++) {
        struct winrm *w = NULL;
        struct winrm_ask a = ask;
        struct err e;

        a.all_ms = 100;
        for (long n = 0; alloc_sweep(n); n++) {
            struct seen s = {0};
            int rc;

            if (n % 2 == 0) { /* from nothing, or over what stands */
                alloc_left = -1;
                winrm_free(w);
                w = make(k, "/ok/memory/0");
                alloc_left = n;
            }
            rc = winrm_call_start(w, &a, on_done, &s, NULL, &e);
            run();
            alloc_left = -1;
            assert_int_equal(s.callbacks, rc == 0 ? 1 : 0);
        }
        assert_true(call(w, &ask).answered);
        winrm_free(w);
    }
    for (long n = 0; alloc_sweep(n); n++) {
        struct winrm_settings s = {
            .host = "localhost", .ccache = "MEMORY:x", .path = "/a", .service = "HTTP"};
        struct winrm *w = NULL;
        struct err e;

        if (winrm_new(loop, &s, &w, &e) == 0)
            (void)winrm_set_ccache(w, "MEMORY:y", &e);
        alloc_left = -1;
        winrm_free(w);
    }
}

/* --- headers --------------------------------------------------------------------------------- */

static void challenges(void **state)
{
    static const struct {
        const char *value, *offered, *token; /* NULL: none */
        bool named;
        int rc;
    } rows[] = {
        {"Negotiate", "Negotiate", NULL, true, 0},
        {"negotiate aGVsbG8=", "negotiate", "hello", true, 0},
        {"Negotiate   aGVsbG8h  ", "Negotiate", "hello!", true, 0},
        {"Kerberos aGVsbG8=", "Kerberos", NULL, false, 0},
        {"Kerberos, Negotiate aGVsbA==", "Kerberos, Negotiate", "hell", true, 0},
        {"Basic realm=\"a, Negotiate\", charset=\"UTF-8\", Negotiate", "Basic, Negotiate", NULL,
         true, 0},
        {"Basic realm=\"a \\\" Kerberos\"", "Basic", NULL, false, 0},
        {"Digest realm = x, nonce=Negotiate", "Digest", NULL, false, 0},
        {"Negotiate ???", "Negotiate", NULL, true, 0},
        {"Negotiate abc", "Negotiate", NULL, true, -1},
        {"Negotiate ab-_", "Negotiate", NULL, true, -1},
        {"Negotiate a===", "Negotiate", NULL, true, -1},
        {"NegotiateX aGVsbG8=", "NegotiateX", NULL, false, 0},
        {"", "", NULL, false, 0},
        {",,\t ,", "", NULL, false, 0},
        {"\"", "", NULL, false, 0},
        {"Basic realm=\"", "Basic", NULL, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct winrm_challenge c;
        struct err e;

        winrm_challenge_init(&c);
        if (winrm_challenge_add(&c, rows[i].value, "Negotiate", &e) != rows[i].rc)
            fail_msg("%s", rows[i].value);
        assert_string_equal(c.offered, rows[i].offered);
        assert_int_equal(c.named, rows[i].named);
        assert_int_equal(c.has_token, rows[i].token != NULL);
        if (rows[i].token != NULL)
            assert_string_equal(c.token.s, rows[i].token);
        text_done(&c.token);
    }
}

static void cookies(void **state)
{
    char buf[WINRM_COOKIE] = "";

    (void)state;
    assert_true(winrm_cookie("MS-WSMAN=a-b_c==; path=/wsman; HttpOnly", buf));
    assert_string_equal(buf, "MS-WSMAN=a-b_c==");
    assert_false(winrm_cookie("session=1", buf));
    assert_false(winrm_cookie("MS-WSMAN=a b", buf));
    assert_false(winrm_cookie("MS-WSMAN=a\r\nX: y", buf));
    assert_string_equal(buf, "MS-WSMAN=a-b_c==");
    assert_true(winrm_is_type(" Application/SOAP+xml; charset=utf-8", "application/soap+xml"));
    assert_true(winrm_is_type("application/soap+xml", "application/soap+xml"));
    assert_false(winrm_is_type("application/soap+xmlx", "application/soap+xml"));
    assert_false(winrm_is_type(NULL, "application/soap+xml"));
}

/* --- the server ------------------------------------------------------------------------------ */

static int start_server(void **state)
{
    char path[256], line[256] = "";
    char *argv[] = {(char *)"python3", path, server.folder, NULL};
    posix_spawn_file_actions_t fa;
    int in[2], out[2], rc;
    ssize_t got;
    size_t n = 0;

    (void)state;
    (void)snprintf(server.folder, sizeof(server.folder), "/tmp/cordon-winrm.XXXXXX");
    if (mkdtemp(server.folder) == NULL || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return -1;
    (void)snprintf(server.ca, sizeof(server.ca), "%s/ca.pem", server.folder);
    (void)snprintf(server.client, sizeof(server.client), "%s/client.pem", server.folder);
    (void)snprintf(path, sizeof(path), "%s/tests/unit/base/winrm_server.py", TEST_SOURCE_DIR);
    (void)posix_spawn_file_actions_init(&fa);
    (void)posix_spawn_file_actions_adddup2(&fa, in[0], 0);
    (void)posix_spawn_file_actions_adddup2(&fa, out[1], 1);
    rc = posix_spawnp(&server.pid, "python3", &fa, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&fa);
    (void)close(in[0]);
    (void)close(out[1]);
    server.in = in[1];
    while (rc == 0 && n < sizeof(line) - 1 && strchr(line, '\n') == NULL &&
           (got = read(out[0], line + n, sizeof(line) - 1 - n)) > 0)
        n += (size_t)got;
    (void)close(out[0]);
    return sscanf(line, "plain=%u tls=%u mutual=%u wronghost=%u", &server.plain, &server.tls,
                  &server.mutual, &server.wronghost) == 4
               ? 0
               : -1;
}

static int stop_server(void **state)
{
    static const char *const stems[] = {"ca", "good", "wronghost", "client"};
    static const char *const ends[] = {"key", "pem", "csr", "ext", "srl"};
    int status;

    (void)state;
    (void)close(server.in);
    (void)waitpid(server.pid, &status, 0);
    for (size_t i = 0; i < ARRAY_LEN(stems); i++) {
        for (size_t k = 0; k < ARRAY_LEN(ends); k++) {
            char path[128];

            (void)snprintf(path, sizeof(path), "%s/%s.%s", server.folder, stems[i], ends[k]);
            (void)unlink(path);
        }
    }
    return rmdir(server.folder);
}

int main(void)
{
#define ON_LOOP(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ON_LOOP(good),
        ON_LOOP(faults),
        ON_LOOP(bad_logins),
        ON_LOOP(no_ticket),
        ON_LOOP(nobody_there),
        ON_LOOP(wrong_certificate),
        ON_LOOP(bad_answers),
        ON_LOOP(never_right),
        ON_LOOP(renewed),
        ON_LOOP(anonymous),
        ON_LOOP(certificate),
        ON_LOOP(settings),
        ON_LOOP(in_order),
        ON_LOOP(deadlines),
        ON_LOOP(abandoned),
        ON_LOOP(owned),
        ON_LOOP(from_inside_a_callback),
        ON_LOOP(memory),
        cmocka_unit_test(challenges),
        cmocka_unit_test(cookies),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
