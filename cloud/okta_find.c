/* cloud/okta_find.c -- one user: read by id, or found by what somebody typed.
 *
 *   okta_read_start   by id
 *   okta_me_start     the owner of the token
 *   okta_find_start   by login or mail: a filtered list
 *   on_page           every page, on our own root only
 *   on_named          nobody has it exactly so: Okta's own look-up by login or short login
 *   on_user           read by id: fresh. The one way to a success
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "cloud/field.h"
#include "cloud/okta_inside.h"

enum { TYPED_MAX = 256 };

static void on_page(struct okta_call *c, const struct http_answer *a, const struct err *e);
static void on_named(struct okta_call *c, const struct http_answer *a, const struct err *e);
static void on_user(struct okta_call *c, const struct http_answer *a, const struct err *e);
static void on_me(struct okta_call *c, const struct http_answer *a, const struct err *e);
static void finish(struct okta_call *c, const struct okta_user *u, const struct err *e);

int okta_read_start(struct okta *o, const char *id, okta_user_cb cb, void *arg,
                    struct okta_call **ret_call, struct err *e)
{
    CLEANUP(okta_call_freep) struct okta_call *c = NULL;

    if (id == NULL)
        return err_set(e, ERR_USAGE, 0, "Okta: no id");
    if (okta_call_new(o, id, &c, e) < 0)
        return -1;
    c->user_cb = cb;
    c->arg = arg;
    okta_url(c, "/api/v1/users/", id, NULL);
    if (okta_ask(c, "GET", false, on_user, e) < 0)
        return -1;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

int okta_me_start(struct okta *o, okta_user_cb cb, void *arg, struct okta_call **ret_call,
                  struct err *e)
{
    CLEANUP(okta_call_freep) struct okta_call *c = NULL;

    if (okta_call_new(o, NULL, &c, e) < 0)
        return -1;
    c->user_cb = cb;
    c->arg = arg;
    okta_url(c, "/api/v1/users/me", NULL, NULL);
    if (okta_ask(c, "GET", false, on_me, e) < 0)
        return -1;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

/* profile.login eq "x": quotes and backslashes inside escaped, then all of it for the URL. */
static int filter_url(struct okta_call *c, struct err *e)
{
    CLEANUP(text_done) struct text f = TEXT_INIT(4 * TYPED_MAX);

    text_add(&f, c->by == OKTA_BY_MAIL ? "profile.email eq \"" : "profile.login eq \"");
    for (const char *p = c->typed; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            text_addc(&f, '\\');
        text_addc(&f, *p);
    }
    text_addc(&f, '"');
    if (text_check(&f, "Okta", e) < 0)
        return -1;
    okta_url(c, "/api/v1/users?limit=10&filter=", f.s, NULL);
    return 0;
}

int okta_find_start(struct okta *o, enum okta_by by, const char *typed, okta_user_cb cb, void *arg,
                    struct okta_call **ret_call, struct err *e)
{
    CLEANUP(okta_call_freep) struct okta_call *c = NULL;

    if (by == OKTA_BY_ID)
        return okta_read_start(o, typed, cb, arg, ret_call, e);
    if (typed == NULL || *typed == '\0' || strlen(typed) > TYPED_MAX ||
        !text_utf8_ok(typed, strlen(typed)))
        return err_set(e, ERR_USAGE, 0, "Okta: no name to look for");
    if (okta_call_new(o, NULL, &c, e) < 0)
        return -1;
    c->user_cb = cb;
    c->arg = arg;
    c->by = by;
    c->typed = text_dup(typed);
    if (c->typed == NULL)
        return err_set(e, ERR_NOMEM, 0, "Okta");
    if (filter_url(c, e) < 0 || pages_next(&c->pages, OKTA_PAGES, c->url.s, e) < 0 ||
        okta_ask(c, "GET", false, on_page, e) < 0)
        return -1;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

/* --- a list ----------------------------------------------------------------------------------- */

static int take_users(struct okta_call *c, const struct http_answer *a, struct err *e)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct okta_user u;

    if (a->status != 200)
        return okta_error_of(a, false, e);
    if (okta_json_of(a, &j, e) < 0)
        return -1;
    if (!json_is_array(j))
        return err_set(e, ERR_INVALID, 0, "Okta: the answer is no list of users");
    for (const struct cJSON *i = json_first(j); i != NULL; i = json_next(i)) {
        if (okta_read_user(i, &u, e) < 0)
            return -1;
        if (c->by == OKTA_BY_MAIL ? !text_eq_nocase(u.email, c->typed)
                                  : !text_eq_nocase(u.login, c->typed))
            return err_set(e, ERR_INVALID, 0, "Okta: the list has users that were not asked for");
        if (u.status == OKTA_DEPROVISIONED)
            c->gone++;
        else if (c->found == 0)
            c->user = u, c->found = 1;
        else if (strcmp(c->user.id, u.id) != 0)
            c->other = u, c->found = 2;
    }
    return 0;
}

/* Is there another page? -1: there is one where no token may go. */
static int next_page(struct okta_call *c, const struct http_answer *a, bool *ret_more,
                     struct err *e)
{
    char url[4096];
    const char *link;

    *ret_more = false;
    for (size_t i = 0; (link = http_header_get(a, "Link", i)) != NULL; i++) {
        if (!okta_next_link(link, url, sizeof(url)))
            continue;
        if (!http_same_root(url, c->o->root))
            return err_set(e, ERR_INVALID, 0, "Okta: the list goes on at another host");
        if (pages_next(&c->pages, OKTA_PAGES, url, e) < 0)
            return err_wrap(e, "Okta");
        text_clear(&c->url);
        text_add(&c->url, url);
        *ret_more = true;
        return 0;
    }
    return 0;
}

static void tell_ambiguous(struct okta_call *c)
{
    char typed[TEXT_SHOWN], one[TEXT_SHOWN], two[TEXT_SHOWN];
    struct err e;

    (void)err_set(&e, ERR_AMBIGUOUS, 0, "Okta: '%s' is at least two users: %s (%s) and %s (%s)",
                  text_shown(typed, c->typed), text_shown(one, c->user.login), c->user.id,
                  text_shown(two, c->other.login), c->other.id);
    finish(c, NULL, &e);
}

static void tell_none(struct okta_call *c)
{
    char typed[TEXT_SHOWN];
    struct err e;

    (void)err_set(&e, ERR_NOTFOUND, 0, "Okta: there is no user '%s'%s", text_shown(typed, c->typed),
                  c->gone > 0 ? " but deactivated ones" : "");
    finish(c, NULL, &e);
}

static void on_page(struct okta_call *c, const struct http_answer *a, const struct err *e)
{
    struct err mine;
    bool more = false;

    if (e == NULL && (take_users(c, a, &mine) < 0 || next_page(c, a, &more, &mine) < 0))
        e = &mine;
    if (e != NULL) {
        finish(c, NULL, e);
    } else if (c->found > 1) {
        tell_ambiguous(c);
    } else if (more) {
        okta_ask_on(c, "GET", false, on_page);
    } else if (c->found == 1) {
        memcpy(c->id, c->user.id, sizeof(c->id));
        okta_url(c, "/api/v1/users/", c->id, NULL);
        okta_ask_on(c, "GET", false, on_user);
    } else if (c->by == OKTA_BY_LOGIN && strchr(c->typed, '/') == NULL && c->typed[0] != '.') {
        okta_url(c, "/api/v1/users/", c->typed, NULL);
        okta_ask_on(c, "GET", false, on_named);
    } else {
        tell_none(c);
    }
}

/* Okta found one for the name: it must be its login, or the part before '@' of it. */
static bool is_named(const struct okta_user *u, const char *typed)
{
    size_t n = strlen(typed);
    char start[TYPED_MAX + 1];

    if (text_eq_nocase(u->login, typed))
        return true;
    if (strchr(typed, '@') != NULL || strlen(u->login) <= n || u->login[n] != '@')
        return false;
    field_copy(start, sizeof(start), u->login);
    start[n] = '\0';
    return text_eq_nocase(start, typed);
}

static void on_named(struct okta_call *c, const struct http_answer *a, const struct err *e)
{
    struct okta_user u;
    struct err mine;

    if (e == NULL && okta_user_of(a, NULL, &u, &mine) < 0)
        e = &mine;
    if (e != NULL && e->code != ERR_NOTFOUND) {
        finish(c, NULL, e);
    } else if (e != NULL || !is_named(&u, c->typed)) {
        tell_none(c);
    } else if (u.status == OKTA_DEPROVISIONED) {
        c->gone++;
        tell_none(c);
    } else {
        finish(c, &u, NULL);
    }
}

static void on_user(struct okta_call *c, const struct http_answer *a, const struct err *e)
{
    struct okta_user u;
    struct err mine;

    if (e == NULL && okta_user_of(a, c->id, &u, &mine) < 0)
        e = &mine;
    finish(c, e == NULL ? &u : NULL, e);
}

static void on_me(struct okta_call *c, const struct http_answer *a, const struct err *e)
{
    struct okta_user u;
    struct err mine;

    if (e == NULL && okta_user_of(a, NULL, &u, &mine) < 0)
        e = &mine;
    finish(c, e == NULL ? &u : NULL, e);
}

static void finish(struct okta_call *c, const struct okta_user *u, const struct err *e)
{
    okta_call_detach(c);
    c->user_cb(c->arg, u, e);
    okta_call_free(c);
}
