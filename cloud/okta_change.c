/* cloud/okta_change.c -- suspend, unsuspend, deactivate; end the sessions; the System Log.
 *
 *   okta_change_start   how does the user stand?
 *   on_before           already so, or not from here: say it. Otherwise send, once
 *   on_sent             refused: end. Agreed or silent: go and look
 *   look, on_after      the evidence: read until it is so, or four times
 *   finish              the one way out
 *
 * After on_before has sent it, nothing is ever sent again: only a clear refusal or on_after may say
 * how it went.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/stamp.h"
#include "cloud/field.h"
#include "cloud/okta_inside.h"

enum {
    LOOKS = 4,
    LOOK_MS = 1000,          /* before the second look; then doubled */
    CONFIRM_FIRST_MS = 1000, /* before the second question; then doubled, up to */
    CONFIRM_EVERY_MS = 5000,
    CONFIRM_LAST_MS = 500,       /* what the last question has to be answered in */
    CONFIRM_BACK_MS = 60 * 1000, /* Okta's log is asked from a little before */
};

static const struct {
    const char *path, *verb;
    enum okta_status goal;
} changes[] = {
    [OKTA_SUSPEND] = {"/lifecycle/suspend", "suspend", OKTA_SUSPENDED},
    [OKTA_UNSUSPEND] = {"/lifecycle/unsuspend", "unsuspend", OKTA_ACTIVE},
    [OKTA_DEACTIVATE] = {"/lifecycle/deactivate?sendEmail=false", "deactivate", OKTA_DEPROVISIONED},
};

static void on_before(struct okta_call *c, const struct http_answer *a, const struct err *e);
static void on_sent(struct okta_call *c, const struct http_answer *a, const struct err *e);
static void look(struct okta_call *c);
static void on_after(struct okta_call *c, const struct http_answer *a, const struct err *e);
static void finish(struct okta_call *c, enum okta_outcome how, const struct err *e);

int okta_change_start(struct okta *o, const char *id, enum okta_change change, okta_change_cb cb,
                      void *arg, struct okta_call **ret_call, struct err *e)
{
    CLEANUP(okta_call_freep) struct okta_call *c = NULL;

    if (id == NULL || (size_t)change >= ARRAY_LEN(changes))
        return err_set(e, ERR_USAGE, 0, "Okta: no id");
    if (okta_call_new(o, id, &c, e) < 0)
        return -1;
    c->change_cb = cb;
    c->arg = arg;
    c->change = change;
    okta_url(c, "/api/v1/users/", id, NULL);
    if (okta_ask(c, "GET", false, on_before, e) < 0)
        return -1;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

/* True: it may be sent. Else *ret_how says how this ends. */
static bool may_send(struct okta_call *c, enum okta_outcome *ret_how)
{
    const struct okta_user *u = &c->r.before;
    bool same = u->status == changes[c->change].goal;

    *ret_how = OKTA_CANNOT;
    if (u->becoming[0] != '\0' && strcmp(u->becoming, u->status_word) != 0 &&
        u->status != OKTA_DEPROVISIONED) {
        *ret_how = OKTA_LATER;
        (void)snprintf(c->r.words, sizeof(c->r.words), "a change from %s to %s is running",
                       u->status_word, u->becoming);
    } else if (same) {
        *ret_how = OKTA_ALREADY;
        (void)snprintf(c->r.words, sizeof(c->r.words), "%s already", u->status_word);
    } else if (u->status == OKTA_DEPROVISIONED && c->change == OKTA_SUSPEND) {
        *ret_how = OKTA_GONE;
        field_copy(c->r.words, sizeof(c->r.words), "deactivated already");
    } else if (u->status == OKTA_UNKNOWN) {
        char shown[64];

        (void)snprintf(c->r.words, sizeof(c->r.words), "its status '%s' is unknown to cordon",
                       field_shown(shown, sizeof(shown), u->status_word));
    } else if ((c->change == OKTA_SUSPEND && u->status == OKTA_ACTIVE) ||
               (c->change == OKTA_UNSUSPEND && u->status == OKTA_SUSPENDED) ||
               c->change == OKTA_DEACTIVATE) {
        return true;
    } else {
        (void)snprintf(c->r.words, sizeof(c->r.words), "a user who is %s cannot be %sed",
                       u->status_word, changes[c->change].verb);
    }
    return false;
}

static void on_before(struct okta_call *c, const struct http_answer *a, const struct err *e)
{
    enum okta_outcome how;
    struct err mine;

    if (e == NULL && okta_user_of(a, c->id, &c->r.before, &mine) < 0)
        e = &mine;
    if (e != NULL) {
        finish(c, OKTA_NOT_DONE, e);
        return;
    }
    c->r.have_before = c->r.have_after = true;
    c->r.after = c->r.before;
    c->r.sent_ms = c->date_ms;
    if (!may_send(c, &how)) {
        finish(c, how, NULL);
        return;
    }
    okta_url(c, "/api/v1/users/", c->id, changes[c->change].path);
    okta_ask_on(c, "POST", true, on_sent);
}

/* Nothing was sent, or Okta clearly said no to all that was. */
static bool is_clear_no(const struct http_answer *a, const struct err *e)
{
    if (a == NULL)
        return e->code != ERR_UNPROVEN && e->code != ERR_INVALID && e->code != ERR_TOOBIG &&
               e->code != ERR_TIMEOUT;
    return !a->unclear && a->status >= 400 && a->status < 500;
}

static void on_sent(struct okta_call *c, const struct http_answer *a, const struct err *e)
{
    struct err mine;

    c->r.sent = a != NULL || !is_clear_no(a, e);
    c->r.accepted = a != NULL && a->status >= 200 && a->status < 300;
    if (a != NULL)
        (void)field_shown(c->r.request_id, sizeof(c->r.request_id), a->request_id);
    if (a != NULL && !c->r.accepted) {
        (void)okta_error_of(a, !is_clear_no(a, NULL), &mine);
        e = &mine;
    }
    if (e != NULL) {
        c->has_why = true;
        c->why = *e;
        /* 400 may be that somebody was faster: that is worth a look. */
        if (is_clear_no(a, e) && (a == NULL || a->status != 400)) {
            finish(c, OKTA_NOT_DONE, e);
            return;
        }
        c->unclear = !is_clear_no(a, e);
    }
    look(c);
}

static void look(struct okta_call *c)
{
    struct err e;

    okta_url(c, "/api/v1/users/", c->id, NULL);
    /* Given up after it was sent: no more looking. */
    if (c->canceled) {
        (void)err_set(&e, ERR_CANCELED, 0, "Okta: given up");
        on_after(c, NULL, &e);
        return;
    }
    okta_ask_on(c, "GET", false, on_after);
}

static void tell_not_so(struct okta_call *c)
{
    struct err e;
    char shown[64];

    (void)field_shown(shown, sizeof(shown), c->r.after.status_word);
    if (c->r.accepted) {
        (void)err_set(&e, ERR_CONFLICT, 0, "Okta: it was accepted, and the user is %s", shown);
        finish(c, OKTA_NOT_SO, &e);
    } else if (c->unclear) {
        (void)err_set(&e, ERR_UNPROVEN, c->why.native, "%s; the user is %s", c->why.msg, shown);
        finish(c, OKTA_UNPROVEN, &e);
    } else {
        (void)snprintf(c->r.words, sizeof(c->r.words), "the user is %s", shown);
        finish(c, OKTA_NOT_DONE, &c->why);
    }
}

static void on_after(struct okta_call *c, const struct http_answer *a, const struct err *e)
{
    struct okta_user u;
    struct err mine;

    if (e == NULL && okta_user_of(a, c->id, &u, &mine) < 0)
        e = &mine;
    if (e != NULL && !c->r.accepted && !c->unclear) {
        finish(c, OKTA_NOT_DONE, &c->why); /* a clear no stands without it */
        return;
    }
    if (e != NULL) {
        struct err both;

        (void)err_set(&both, ERR_UNPROVEN, e->native, "%s%s%s", c->has_why ? c->why.msg : "",
                      c->has_why ? "; " : "it was accepted, and cannot be read back: ", e->msg);
        finish(c, OKTA_UNPROVEN, &both);
        return;
    }
    c->r.after = u;
    (void)field_shown(c->r.after_request_id, sizeof(c->r.after_request_id), a->request_id);
    if (u.status == changes[c->change].goal) {
        bool ours = c->r.accepted || c->unclear;

        (void)snprintf(c->r.words, sizeof(c->r.words), "%s%s", u.status_word,
                       ours ? ", read back" : ": somebody was faster");
        finish(c, ours ? OKTA_DONE : OKTA_ALREADY, NULL);
    } else if ((c->r.accepted || c->unclear) && ++c->looks < LOOKS && !c->canceled) {
        okta_wait(c, (uint64_t)LOOK_MS << (c->looks - 1), look);
    } else {
        tell_not_so(c);
    }
}

static void finish(struct okta_call *c, enum okta_outcome how, const struct err *e)
{
    c->r.outcome = how;
    if (c->r.words[0] == '\0' && e != NULL)
        field_copy(c->r.words, sizeof(c->r.words), e->msg);
    okta_call_detach(c);
    c->change_cb(c->arg, &c->r, e);
    okta_call_free(c);
}

/* --- sessions --------------------------------------------------------------------------------- */

static void on_cleared(struct okta_call *c, const struct http_answer *a, const struct err *e)
{
    char request_id[64] = "";
    int64_t sent_ms = 0;
    struct err mine;

    if (a != NULL)
        (void)field_shown(request_id, sizeof(request_id), a->request_id);
    if (c->date_ms != 0)
        sent_ms = c->date_ms - (int64_t)(loop_now(c->o->loop) - c->began);
    if (e == NULL && a != NULL && (a->status < 200 || a->status > 299)) {
        (void)okta_error_of(a, /* changes */ true, &mine);
        e = &mine;
    }
    okta_call_detach(c);
    c->done_cb(c->arg, request_id, sent_ms, e);
    okta_call_free(c);
}

int okta_clear_sessions_start(struct okta *o, const char *id, okta_done_cb cb, void *arg,
                              struct okta_call **ret_call, struct err *e)
{
    CLEANUP(okta_call_freep) struct okta_call *c = NULL;

    if (id == NULL)
        return err_set(e, ERR_USAGE, 0, "Okta: no id");
    if (okta_call_new(o, id, &c, e) < 0)
        return -1;
    c->done_cb = cb;
    c->arg = arg;
    c->began = loop_now(o->loop);
    okta_url(c, "/api/v1/users/", id, "/sessions?oauthTokens=true&forgetDevices=true");
    if (okta_ask(c, "DELETE", /* twice does no harm */ false, on_cleared, e) < 0)
        return -1;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

/* --- the System Log --------------------------------------------------------------------------- */

static void ask_log(struct okta_call *c);

static void finish_log(struct okta_call *c, const struct okta_event *ev, const struct err *e)
{
    okta_call_detach(c);
    c->event_cb(c->arg, ev, e);
    okta_call_free(c);
}

static uint64_t left_of(const struct okta_call *c)
{
    uint64_t now = loop_now(c->o->loop);

    return c->ends > now ? c->ends - now : 0;
}

static int take_log(struct okta_call *c, const struct http_answer *a, struct okta_event *ev,
                    bool *ret_found, struct err *e)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;

    if (a->status != 200)
        return okta_error_of(a, false, e);
    if (okta_json_of(a, &j, e) < 0)
        return -1;
    return okta_read_events(j,
                            &(struct okta_expect){.id = c->id,
                                                  .type = c->type,
                                                  .actor = c->actor[0] != '\0' ? c->actor : NULL,
                                                  .since_ms = c->since_ms,
                                                  .after_ms = c->after_ms},
                            ev, ret_found, e);
}

static void on_log(struct okta_call *c, const struct http_answer *a, const struct err *e)
{
    uint64_t left = left_of(c);
    struct okta_event ev;
    bool found = false;
    struct err mine;

    if (e == NULL && take_log(c, a, &ev, &found, &mine) < 0)
        e = &mine;
    if (found && ev.ours) {
        finish_log(c, &ev, NULL);
        return;
    }
    if (found) {
        c->has_foreign = true;
        c->foreign = ev;
    }
    /* A rate limit that is over in time has been waited for below. */
    if (c->canceled || left <= CONFIRM_LAST_MS ||
        (e != NULL && e->code != ERR_TIMEOUT && e->code != ERR_UNSENT)) {
        finish_log(c, c->has_foreign ? &c->foreign : NULL, c->has_foreign ? NULL : e);
        return;
    }
    okta_wait(c, c->every < left - CONFIRM_LAST_MS ? c->every : left - CONFIRM_LAST_MS, ask_log);
    c->every = c->every * 2 < CONFIRM_EVERY_MS ? c->every * 2 : CONFIRM_EVERY_MS;
}

static void log_url(struct okta_call *c)
{
    CLEANUP(text_done) struct text f = TEXT_INIT(512);
    char since[STAMP_TEXT];

    text_addf(&f, "eventType eq \"%s\" and target.id eq \"%s\"", c->type, c->id);
    (void)stamp_iso(since, c->since_ms - CONFIRM_BACK_MS);
    okta_url(c, "/api/v1/logs?limit=100&since=", since, "&filter=");
    http_escape(&c->url, f.s, f.len);
    if (f.failed)
        c->url.failed = true; /* is told by okta_ask */
}

static void ask_log(struct okta_call *c)
{
    c->all_ms = left_of(c) > CONFIRM_LAST_MS ? left_of(c) : CONFIRM_LAST_MS;
    log_url(c);
    okta_ask_on(c, "GET", false, on_log);
}

/* "user.lifecycle.suspend": nothing that could end the quotes it stands in. */
static bool type_ok(const char *s)
{
    return field_opaque_ok(s) && strchr(s, '~') == NULL && strlen(s) < 64;
}

int okta_confirm_start(struct okta *o, const struct okta_expect *x, uint64_t wait_ms,
                       okta_event_cb cb, void *arg, struct okta_call **ret_call, struct err *e)
{
    CLEANUP(okta_call_freep) struct okta_call *c = NULL;

    if (x->id == NULL || !type_ok(x->type) || (x->actor != NULL && strlen(x->actor) >= OKTA_ID))
        return err_set(e, ERR_USAGE, 0, "Okta: no id, no type of event, or no actor");
    if (okta_call_new(o, x->id, &c, e) < 0)
        return -1;
    c->event_cb = cb;
    c->arg = arg;
    c->since_ms = x->since_ms;
    c->after_ms = x->after_ms;
    c->ends = loop_now(o->loop) + wait_ms;
    c->all_ms = wait_ms; /* 0: the default */
    c->every = CONFIRM_FIRST_MS;
    field_copy(c->type, sizeof(c->type), x->type);
    field_copy(c->actor, sizeof(c->actor), x->actor);
    log_url(c);
    if (okta_ask(c, "GET", false, on_log, e) < 0)
        return -1;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}
