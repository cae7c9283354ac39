/* cloud/sync.c -- see sync.h. Pushes: asked for, ended once, told once.
 *
 *   sync_push_start   checked, and handed to the engine; or its end is settled at once
 *   on_wait_over      the waiting time is over: what was not sent will not be
 *   sync_settle       how it ended, kept until the next turn
 *   on_due            told, freed
 *
 * Invariant: a push has a timer from its start to its end, so that it is told even where there is
 * no memory left for another one.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cloud/field.h"
#include "cloud/sync_inside.h"

enum {
    WAIT_MS = 2 * 60 * 1000,
    LOOKUP_MS = 10 * 60 * 1000,
    CYCLE_EVERY_MS = 5 * 60 * 1000,
    CYCLE_WAIT_MS = 10 * 60 * 1000,
};

static void on_wait_over(void *arg);
static void on_due(void *arg);

const char *sync_outcome_word(enum sync_outcome o)
{
    static const char *const words[] = {
        [SYNC_PROVEN] = "proven",       [SYNC_SAW_OTHER] = "saw-other",
        [SYNC_NO_PROOF] = "no-proof",   [SYNC_EXPORTED_OTHER] = "exported-other",
        [SYNC_SKIPPED] = "skipped",     [SYNC_UNCLEAR] = "unclear",
        [SYNC_STARTED] = "started",     [SYNC_LATER] = "later",
        [SYNC_NOT_DONE] = "not-done",   [SYNC_FAILED] = "failed",
        [SYNC_FORBIDDEN] = "forbidden",
    };

    return (size_t)o < ARRAY_LEN(words) && words[o] != NULL ? words[o] : "unknown";
}

bool sync_outcome_is_danger(enum sync_outcome o)
{
    return o == SYNC_SAW_OTHER || o == SYNC_EXPORTED_OTHER || o == SYNC_UNCLEAR;
}

/* --- results ---------------------------------------------------------------------------------- */

void sync_result_set(struct sync_result *r, enum sync_outcome o, enum err_code code,
                     const char *fmt, ...)
{
    char words[sizeof(r->words) + 4];
    va_list ap;

    r->outcome = o;
    r->code = code;
    va_start(ap, fmt);
    (void)vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    field_copy(r->words, sizeof(r->words), words);
}

void sync_result_err(struct sync_result *r, const struct err *e, bool changes)
{
    enum sync_outcome o = SYNC_NOT_DONE;

    switch (e->code) {
    case ERR_DENIED:
    case ERR_AUTH:
        o = SYNC_FORBIDDEN;
        break;
    case ERR_UNSENT:
    case ERR_NOMEM:
    case ERR_CANCELED: /* else it would be ERR_UNPROVEN */
        break;
    case ERR_REFUSED:
    case ERR_NOTFOUND:
    case ERR_CONFLICT:
    case ERR_BUSY:
        o = changes ? SYNC_FAILED : SYNC_NOT_DONE;
        break;
    default: /* ERR_INVALID, too: there was an answer to a push, and nobody could read it */
        o = changes ? SYNC_UNCLEAR : SYNC_NOT_DONE;
        break;
    }
    sync_result_set(r, o, e->code, "%s", e->msg);
}

/* --- one push --------------------------------------------------------------------------------- */

static void push_free(struct sync_push *p)
{
    if (p == NULL)
        return;
    loop_timer_stop(&p->timer);
    free(p->dn);
    free(p);
}

static void push_freep(struct sync_push **p)
{
    push_free(*p);
}

static void link_push(struct sync *s, struct sync_push *p)
{
    p->next = s->pushes;
    if (p->next != NULL)
        p->next->prev = p;
    s->pushes = p;
}

static void unlink_push(struct sync_push *p)
{
    if (p->prev != NULL)
        p->prev->next = p->next;
    else
        p->s->pushes = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
}

static int push_new(struct sync *s, sync_cb cb, void *arg, struct sync_push **ret_push,
                    struct err *e)
{
    CLEANUP(push_freep) struct sync_push *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return err_set(e, ERR_NOMEM, 0, "sync");
    p->s = s;
    p->cb = cb;
    p->arg = arg;
    p->ends = loop_now(s->loop) + s->wait_ms;
    p->timer = loop_timer_start(s->loop, s->wait_ms, on_wait_over, p);
    if (p->timer == NULL)
        return err_set(e, ERR_NOMEM, 0, "sync");
    *ret_push = TAKE(p);
    return 0;
}

static void give(struct sync_push **ret_push, struct sync_push *p)
{
    if (ret_push != NULL) /* else nobody is going to cancel it */
        *ret_push = p;
}

/* To the engine, or to its end at once. */
static int begin(struct sync_push *p, struct err *e)
{
    struct sync_result r = {0};

    if (p->s->kind == SYNC_KIND_CLOUD)
        return sync_cloud_add(p, e);
    if (p->s->kind == SYNC_KIND_CONNECT && p->s->runner.run != NULL) {
        sync_connect_add(p);
        return 0;
    }
    if (p->s->kind == SYNC_KIND_CONNECT)
        sync_result_set(&r, SYNC_NOT_DONE, ERR_UNSUPPORTED,
                        "there is no way to run a command on %s: the next cycle carries the change",
                        p->s->server);
    else
        sync_result_set(&r, SYNC_NOT_DONE, ERR_UNSUPPORTED,
                        "no sync is configured: the next cycle carries the change");
    sync_settle(p, &r);
    return 0;
}

int sync_push_start(struct sync *s, const struct sync_ask *ask, sync_cb cb, void *arg,
                    struct sync_push **ret_push, struct err *e)
{
    CLEANUP(push_freep) struct sync_push *p = NULL;
    struct sync_result r = {0};

    if (!field_guid_ok(ask->user_id))
        return err_set(e, ERR_USAGE, 0, "sync: the user's id is no GUID");
    if (ask->dn == NULL || *ask->dn == '\0' || strlen(ask->dn) > SYNC_DN_MAX ||
        !text_utf8_ok(ask->dn, strlen(ask->dn)))
        return err_set(e, ERR_USAGE, 0, "sync: no distinguished name");
    if (push_new(s, cb, arg, &p, e) < 0)
        return -1;
    memcpy(p->user_id, ask->user_id, SYNC_GUID);
    p->want_enabled = ask->want_enabled;
    p->dn = text_dup(ask->dn);
    if (p->dn == NULL)
        return err_set(e, ERR_NOMEM, 0, "sync");
    if (!ask->synchronised) {
        sync_result_set(&r, SYNC_NOT_DONE, ERR_USAGE,
                        "the user is not synchronised from Active Directory: nothing to push");
        sync_settle(p, &r);
    } else if (begin(p, e) < 0) {
        return -1;
    }
    link_push(s, p);
    give(ret_push, TAKE(p));
    return 0;
}

int sync_check_start(struct sync *s, sync_cb cb, void *arg, struct sync_push **ret_push,
                     struct err *e)
{
    CLEANUP(push_freep) struct sync_push *p = NULL;

    if (push_new(s, cb, arg, &p, e) < 0 || begin(p, e) < 0)
        return -1;
    link_push(s, p);
    give(ret_push, TAKE(p));
    return 0;
}

void sync_settle(struct sync_push *p, const struct sync_result *r)
{
    struct loop_timer *soon;

    if (p->settled)
        return;
    p->settled = true;
    p->r = *r;
    p->r.sent = p->r.sent || p->sent;
    if (p->s->kind == SYNC_KIND_CLOUD)
        sync_cloud_drop(p);
    /* Where there is no memory for it, the old timer tells it later. */
    soon = loop_timer_start(p->s->loop, 0, on_due, p);
    if (soon != NULL) {
        loop_timer_stop(&p->timer);
        p->timer = soon;
    }
}

static void on_due(void *arg)
{
    struct sync_push *p = arg;

    p->timer = NULL;
    unlink_push(p);
    p->cb(p->arg, &p->r); /* may free p->s */
    push_free(p);
}

static void on_wait_over(void *arg)
{
    struct sync_push *p = arg;
    struct sync_result r = {0};

    p->timer = NULL;
    if (!p->settled && p->sent && !p->extended) {
        /* What was sent has a deadline of its own, which comes first. */
        p->extended = true;
        p->timer = loop_timer_start(p->s->loop, SYNC_SENT_MS, on_wait_over, p);
        if (p->timer != NULL)
            return;
    }
    if (!p->settled) {
        if (p->sent)
            sync_result_set(&r, SYNC_UNCLEAR, ERR_UNPROVEN, "no end of the push was seen");
        else if (p->s->kind == SYNC_KIND_CONNECT)
            sync_connect_late(p, &r);
        else
            sync_result_set(&r, SYNC_NOT_DONE, ERR_BUSY,
                            "not sent within %u s, since too many pushes wait; cloud sync itself "
                            "runs every 2 minutes",
                            (unsigned)(p->s->wait_ms / 1000));
        sync_settle(p, &r);
        loop_timer_stop(&p->timer); /* we are in the loop already */
    }
    on_due(p);
}

void sync_push_cancel(struct sync_push *p)
{
    struct sync_result r = {0};

    if (p->sent)
        sync_result_set(&r, SYNC_UNCLEAR, ERR_UNPROVEN, "given up after it was sent");
    else
        sync_result_set(&r, SYNC_NOT_DONE, ERR_CANCELED, "given up before it was sent");
    sync_settle(p, &r);
}

/* --- all of it -------------------------------------------------------------------------------- */

static int set_text(char **to, const char *s, struct err *e)
{
    *to = text_dup(s);
    return s != NULL && *to == NULL ? err_set(e, ERR_NOMEM, 0, "sync") : 0;
}

int sync_new(struct loop *l, struct graph *graph, const struct sync_settings *set,
             struct sync **ret_sync, struct err *e)
{
    CLEANUP(sync_freep) struct sync *s = NULL;

    if (set->kind == SYNC_KIND_CLOUD && (set->domain == NULL || graph == NULL))
        return err_set(e, ERR_CONFIG, 0, "cloud sync needs the AD domain's name and [entra]");
    if (set->kind == SYNC_KIND_CONNECT && set->sync_server == NULL)
        return err_set(e, ERR_CONFIG, 0, "sync = connect needs sync_server");
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "sync");
    s->loop = l;
    s->graph = graph;
    s->kind = set->kind;
    s->runner = set->runner;
    s->wait_ms = set->wait_ms != 0 ? set->wait_ms : WAIT_MS;
    s->lookup_ms = set->lookup_ms != 0 ? set->lookup_ms : LOOKUP_MS;
    s->cycle_every_ms = set->cycle_every_ms != 0 ? set->cycle_every_ms : CYCLE_EVERY_MS;
    s->cycle_wait_ms = set->cycle_wait_ms != 0 ? set->cycle_wait_ms : CYCLE_WAIT_MS;
    if (set_text(&s->domain, set->domain, e) < 0 || set_text(&s->server, set->sync_server, e) < 0)
        return -1;
    if (s->kind == SYNC_KIND_CLOUD && sync_cloud_new(s, e) < 0)
        return -1;
    if (s->kind == SYNC_KIND_CONNECT && sync_connect_new(s, e) < 0)
        return -1;
    *ret_sync = TAKE(s);
    return 0;
}

void sync_free(struct sync *s)
{
    if (s == NULL)
        return;
    sync_cloud_free(s->cloud);
    sync_connect_free(s->connect);
    while (s->pushes != NULL) {
        struct sync_push *p = s->pushes;

        unlink_push(p);
        push_free(p);
    }
    free(s->domain);
    free(s->server);
    free(s);
}

void sync_freep(struct sync **s)
{
    sync_free(*s);
}
