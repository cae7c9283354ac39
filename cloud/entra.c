/* cloud/entra.c -- see entra.h: one user read, changed, and looked at until it shows it. */
#include "cloud/entra.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "cloud/entra_inside.h"

#define PATH_LIMIT 6144

/* --- for all ------------------------------------------------------------------------------------
 */

void entra_cancel(struct entra_call *c)
{
    if (c->canceled)
        return;
    c->canceled = true;
    if (c->call != NULL)
        graph_cancel(c->call);
    else if (c->hurry != NULL)
        c->hurry(c);
}

int entra_get(struct entra_call *c, const char *path, int flags, graph_cb cb, void *arg,
              struct err *e)
{
    return graph_start(c->g, &(struct graph_ask){.method = "GET", .path = path, .flags = flags}, cb,
                       arg, &c->call, e);
}

void entra_literal(struct text *t, const char *s)
{
    for (; *s != '\0'; s++) {
        http_escape(t, s, 1);
        if (*s == '\'')
            http_escape(t, s, 1);
    }
}

void entra_base64(const uint8_t guid[16], char out[25])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t k = 0;

    for (size_t i = 0; i < 15; i += 3) {
        uint32_t v = (uint32_t)guid[i] << 16 | (uint32_t)guid[i + 1] << 8 | guid[i + 2];

        out[k++] = digits[v >> 18];
        out[k++] = digits[v >> 12 & 63];
        out[k++] = digits[v >> 6 & 63];
        out[k++] = digits[v & 63];
    }
    out[k++] = digits[guid[15] >> 2];
    out[k++] = digits[(guid[15] & 3) << 4];
    out[k++] = '=';
    out[k++] = '=';
    out[k] = '\0';
}

/* --- read
 * ------------------------------------------------------------------------------------------
 */

struct reading {
    struct entra_call base;
    char id[40];
    entra_user_cb cb;
    void *arg;
};

static void on_read(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct reading *r = arg;
    struct entra_user u = {0};
    struct err mine;

    if (e == NULL && entra_user_decode(a->json, r->id, &u, &mine) < 0)
        e = &mine;
    r->cb(r->arg, e == NULL ? &u : NULL, e);
    entra_user_done(&u);
    free(r);
}

int entra_read_start(struct graph *g, const char *id, entra_user_cb cb, void *arg,
                     struct entra_call **ret_call, struct err *e)
{
    struct reading *r = calloc(1, sizeof(*r));
    char path[PATH_LIMIT];

    if (r == NULL)
        return err_set(e, ERR_NOMEM, 0, "user");
    r->base.g = g;
    r->cb = cb;
    r->arg = arg;
    if (!entra_id_ok(id)) {
        free(r);
        return err_set(e, ERR_INTERNAL, 0, "no object id");
    }
    memcpy(r->id, id, 37);
    (void)snprintf(path, sizeof(path), "/users/%s?$select=%s", id, entra_select);
    if (entra_get(&r->base, path, 0, on_read, r, e) < 0) {
        free(r);
        return -1;
    }
    if (ret_call != NULL)
        *ret_call = &r->base;
    return 0;
}

/* --- change -------------------------------------------------------------------------------------
 */

#define REVOKES 3
#define REVOKE_WAIT_MS 1000

struct changing {
    struct entra_call base;
    char id[40];
    bool revoke, beta;
    unsigned tries;
    entra_done_cb cb;
    void *arg;
};

static void on_changed(void *arg, const struct graph_answer *a, const struct err *e);

static void change_end(struct changing *c, int64_t date_ms, const struct err *e)
{
    loop_timer_stop(&c->base.timer);
    c->cb(c->arg, date_ms, e);
    free(c);
}

static int send_revoke(struct changing *c, struct err *e)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "/users/%s/%s", c->id,
                   c->beta ? "invalidateAllRefreshTokens" : "revokeSignInSessions");
    c->tries++;
    return graph_start(c->base.g,
                       &(struct graph_ask){.method = "POST",
                                           .path = path,
                                           .flags = GRAPH_IDEMPOTENT | (c->beta ? GRAPH_BETA : 0)},
                       on_changed, c, &c->base.call, e);
}

static void revoke_again(void *arg)
{
    struct changing *c = arg;
    struct err e;

    c->base.timer = NULL;
    if (send_revoke(c, &e) < 0)
        change_end(c, 0, &e);
}

static void hurry_change(struct entra_call *base)
{
    loop_timer_stop(&base->timer);
    base->timer = loop_timer_start(base->loop, 0, revoke_again, base);
}

static void on_changed(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct changing *c = arg;
    struct err mine;
    bool yes;

    c->base.call = NULL;
    /* "value": false says that it was not done, under a 200 (entra-graph.md 4.5). */
    if (e == NULL && c->revoke && json_bool(a->json, "value", &yes) && !yes) {
        (void)err_set(&mine, ERR_UNPROVEN, 0, "Graph says that the sessions were not revoked (%s)",
                      a->request_id);
        if (c->tries < REVOKES && !c->base.canceled) {
            c->base.timer = loop_timer_start(c->base.loop, REVOKE_WAIT_MS, revoke_again, c);
            if (c->base.timer != NULL)
                return;
        }
        e = &mine;
    }
    if (e != NULL && c->revoke && !c->beta &&
        (graph_status_of(e) == 405 || graph_status_of(e) == 501)) {
        c->beta = true;
        if (send_revoke(c, &mine) == 0)
            return;
    }
    change_end(c, e == NULL ? a->date_ms : 0, e);
}

static struct changing *changing_new(struct graph *g, const char *id, entra_done_cb cb, void *arg,
                                     struct err *e)
{
    struct changing *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        (void)err_set(e, ERR_NOMEM, 0, "user");
        return NULL;
    }
    if (!entra_id_ok(id)) {
        (void)err_set(e, ERR_INTERNAL, 0, "no object id");
        free(c);
        return NULL;
    }
    c->base.g = g;
    c->base.loop = graph_loop(g);
    c->base.hurry = hurry_change;
    memcpy(c->id, id, 37);
    c->cb = cb;
    c->arg = arg;
    return c;
}

static int patch(struct changing *c, const char *body, struct entra_call **ret_call, struct err *e)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/users/%s", c->id);
    if (graph_start(c->base.g,
                    &(struct graph_ask){
                        .method = "PATCH", .path = path, .body = body, .flags = GRAPH_IDEMPOTENT},
                    on_changed, c, &c->base.call, e) < 0) {
        free(c);
        return -1;
    }
    if (ret_call != NULL)
        *ret_call = &c->base;
    return 0;
}

int entra_enable_start(struct graph *g, const char *id, bool enabled, entra_done_cb cb, void *arg,
                       struct entra_call **ret_call, struct err *e)
{
    struct changing *c = changing_new(g, id, cb, arg, e);

    if (c == NULL)
        return -1;
    return patch(c, enabled ? "{\"accountEnabled\":true}" : "{\"accountEnabled\":false}", ret_call,
                 e);
}

int entra_revoke_start(struct graph *g, const char *id, entra_done_cb cb, void *arg,
                       struct entra_call **ret_call, struct err *e)
{
    struct changing *c = changing_new(g, id, cb, arg, e);

    if (c == NULL)
        return -1;
    c->revoke = true;
    if (send_revoke(c, e) < 0) {
        free(c);
        return -1;
    }
    if (ret_call != NULL)
        *ret_call = &c->base;
    return 0;
}

int entra_password_start(struct graph *g, const char *id, bool must_change, bool with_mfa,
                         struct secret *password, entra_done_cb cb, void *arg,
                         struct entra_call **ret_call, struct err *e)
{
    struct changing *c = changing_new(g, id, cb, arg, e);
    struct text body = TEXT_INIT(1024);
    struct json_out o;
    int rc;

    if (c == NULL)
        return -1;
    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    json_out_object(&o, "passwordProfile");
    if (password != NULL)
        json_out_strn(&o, "password", (const char *)secret_bytes(password), secret_len(password));
    json_out_bool(
        &o, with_mfa ? "forceChangePasswordNextSignInWithMfa" : "forceChangePasswordNextSignIn",
        must_change);
    json_out_end_object(&o);
    json_out_end_object(&o);
    if (text_check(&body, "password", e) < 0) {
        free(c);
        rc = -1;
    } else {
        rc = patch(c, body.s, ret_call, e);
    }
    text_wipe(&body);
    return rc;
}

/* --- look until it shows
 * --------------------------------------------------------------------------
 */

struct verifying {
    struct entra_call base;
    char id[40];
    struct entra_want want;
    uint64_t deadline, wait_ms;
    struct entra_user last;
    bool has_last;
    struct err why;
    entra_verify_cb cb;
    void *arg;
};

static void look(void *arg);

static bool holds(const struct entra_want *w, const struct entra_user *u)
{
    return !(w->disabled && u->enabled) && !(w->enabled && !u->enabled) &&
           u->sessions_valid_from_ms >= w->valid_from_ms &&
           (w->password_since_ms == 0 || u->password_changed_ms >= w->password_since_ms);
}

static void verify_end(struct verifying *v, bool held)
{
    loop_timer_stop(&v->base.timer);
    v->cb(v->arg, v->has_last ? &v->last : NULL, held, v->has_last ? NULL : &v->why);
    entra_user_done(&v->last);
    free(v);
}

static void on_seen(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct verifying *v = arg;
    struct entra_user u = {0};
    uint64_t now = loop_now(v->base.loop);
    struct err mine;

    v->base.call = NULL;
    if (e == NULL && entra_user_decode(a->json, v->id, &u, &mine) < 0)
        e = &mine;
    if (e != NULL) {
        v->why = *e;
    } else {
        entra_user_done(&v->last);
        v->last = u;
        v->has_last = true;
        if (holds(&v->want, &v->last)) {
            verify_end(v, true);
            return;
        }
    }
    if (v->base.canceled || now + v->wait_ms >= v->deadline ||
        (e != NULL && (e->code == ERR_DENIED || e->code == ERR_NOTFOUND))) {
        verify_end(v, false);
        return;
    }
    v->base.timer = loop_timer_start(v->base.loop, v->wait_ms, look, v);
    v->wait_ms = v->wait_ms < 4000 ? v->wait_ms * 2 : 8000;
    if (v->base.timer == NULL)
        verify_end(v, false);
}

static void look(void *arg)
{
    struct verifying *v = arg;
    char path[PATH_LIMIT];

    v->base.timer = NULL;
    if (v->base.canceled) {
        if (!v->has_last && v->why.code == ERR_OK)
            (void)err_set(&v->why, ERR_CANCELED, 0, "told to stop");
        verify_end(v, false);
        return;
    }
    (void)snprintf(path, sizeof(path), "/users/%s?$select=%s", v->id, entra_select);
    if (entra_get(&v->base, path, GRAPH_SOON, on_seen, v, &v->why) < 0)
        verify_end(v, false);
}

static void hurry_verify(struct entra_call *base)
{
    loop_timer_stop(&base->timer);
    base->timer = loop_timer_start(base->loop, 0, look, base);
}

int entra_verify_start(struct graph *g, const char *id, const struct entra_want *want,
                       uint64_t within_ms, entra_verify_cb cb, void *arg,
                       struct entra_call **ret_call, struct err *e)
{
    struct verifying *v = calloc(1, sizeof(*v));

    if (v == NULL)
        return err_set(e, ERR_NOMEM, 0, "user");
    v->base = (struct entra_call){.g = g, .loop = graph_loop(g), .hurry = hurry_verify};
    memcpy(v->id, id, 37);
    v->want = *want;
    v->deadline = loop_now(v->base.loop) + within_ms;
    v->wait_ms = 250;
    v->cb = cb;
    v->arg = arg;
    v->base.timer = loop_timer_start(v->base.loop, 0, look, v);
    if (v->base.timer == NULL) {
        free(v);
        return err_set(e, ERR_NOMEM, 0, "user");
    }
    if (ret_call != NULL)
        *ret_call = &v->base;
    return 0;
}
