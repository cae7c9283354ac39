/* cloud/sync_cloud.c -- cloud sync: one request per user at a time, five in ten seconds.
 *
 *   sync_cloud_add   into the work for the same user that waits, or new work behind all other
 *   pump             what can be sent now, is; what stands in the way is begun (look-up, wait)
 *   on_found         job and rule, for all who wait; or why not
 *   send             the push
 *   on_answer        judged; a rule or job that is gone is looked up once more
 *
 * Work that was sent takes no one aboard: the agent may have read its DC too early for them. A
 * failed look-up is remembered for a while, so that a thousand pushes do not ask a thousand times.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "cloud/field.h"
#include "cloud/sync_inside.h"

enum {
    PACE = 5, /* begun in ... */
    PACE_MS = 10 * 1000,
    PACE_SLACK_MS = 200, /* the service counts by its own clock */
    TRY_MS = 60 * 1000,
    ALL_MS = 90 * 1000,
    FAILED_MS = 30 * 1000, /* so long is a failed look-up remembered */
    ANSWER_MAX = 1024 * 1024,
    BODY_MAX = 32 * 1024,
    PATH_MAX_LEN = 512,
};

struct sync_work {
    struct sync_cloud *c;
    struct sync_work *next;
    struct sync_push *pushes;
    char user_id[SYNC_GUID];
    char *dn;
    bool want_enabled;
    bool sent, again; /* again: sent anew after another look-up */
    uint64_t sent_at; /* loop_now() */
    struct graph_call *call;
};

struct sync_cloud {
    struct sync *s;
    struct sync_work *works; /* in the order they came */
    struct loop_timer *turn; /* the pace, or the next turn */
    uint64_t begun[PACE];    /* when the last ones were sent; 0: not yet */
    unsigned next;

    struct sync_lookup *lookup; /* in flight, or NULL */
    bool found, failed;
    uint64_t looked_at;
    struct sync_found f;
    struct err why;
};

static void pump(void *arg);
static void on_found(void *arg, const struct sync_found *f, const struct err *e);
static void on_answer(void *arg, const struct graph_answer *a, const struct err *e);

int sync_cloud_new(struct sync *s, struct err *e)
{
    s->cloud = calloc(1, sizeof(*s->cloud));
    if (s->cloud == NULL)
        return err_set(e, ERR_NOMEM, 0, "sync");
    s->cloud->s = s;
    return 0;
}

static void work_free(struct sync_work *w)
{
    if (w == NULL)
        return;
    graph_abandon(w->call);
    free(w->dn);
    free(w);
}

static void work_freep(struct sync_work **w)
{
    work_free(*w);
}

void sync_cloud_free(struct sync_cloud *c)
{
    if (c == NULL)
        return;
    loop_timer_stop(&c->turn);
    sync_lookup_abandon(c->lookup);
    while (c->works != NULL) {
        struct sync_work *w = c->works;

        c->works = w->next;
        work_free(w);
    }
    free(c);
}

static void unlink_work(struct sync_work *w)
{
    struct sync_work **at = &w->c->works;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
}

/* pump, in the next turn (or, with ms, later). Without memory: what comes next tries again, and
 * each push has a deadline. */
static void soon(struct sync_cloud *c, uint64_t ms)
{
    if (c->turn == NULL)
        c->turn = loop_timer_start(c->s->loop, ms, pump, c);
}

/* --- who waits -------------------------------------------------------------------------------- */

static bool same(const struct sync_work *w, const struct sync_push *p)
{
    if (w->sent || (w->dn == NULL) != (p->dn == NULL))
        return false;
    if (w->dn == NULL)
        return true; /* checks */
    return w->want_enabled == p->want_enabled && text_eq_nocase(w->user_id, p->user_id) &&
           strcmp(w->dn, p->dn) == 0;
}

int sync_cloud_add(struct sync_push *p, struct err *e)
{
    struct sync_cloud *c = p->s->cloud;
    struct sync_work **at = &c->works;

    while (*at != NULL && !same(*at, p))
        at = &(*at)->next;
    if (*at == NULL) {
        CLEANUP(work_freep) struct sync_work *w = calloc(1, sizeof(*w));

        if (w != NULL)
            w->dn = text_dup(p->dn);
        if (w == NULL || (p->dn != NULL && w->dn == NULL))
            return err_set(e, ERR_NOMEM, 0, "sync");
        w->c = c;
        w->want_enabled = p->want_enabled;
        memcpy(w->user_id, p->user_id, sizeof(w->user_id));
        *at = TAKE(w);
        if (p->dn == NULL)
            c->found = c->failed = false; /* a check asks anew */
    }
    p->work = *at;
    p->work_next = (*at)->pushes;
    (*at)->pushes = p;
    soon(c, 0);
    return 0;
}

void sync_cloud_drop(struct sync_push *p)
{
    struct sync_work *w = p->work;
    struct sync_push **at;

    if (w == NULL)
        return;
    for (at = &w->pushes; *at != p; at = &(*at)->work_next)
        continue;
    *at = p->work_next;
    p->work = NULL;
    if (w->pushes == NULL && !w->sent) {
        unlink_work(w);
        work_free(w);
    }
}

/* Tell all who wait for it, and be done with it. */
static void end_work(struct sync_work *w, const struct sync_result *r)
{
    struct sync_result mine = *r;

    mine.sent = w->sent && r->outcome != SYNC_NOT_DONE;
    if (mine.health[0] == '\0')
        field_copy(mine.health, sizeof(mine.health), w->c->f.health);
    field_copy(mine.job, sizeof(mine.job), w->c->f.job);
    w->sent = true; /* so that the last one to leave does not free it */
    while (w->pushes != NULL) {
        struct sync_push *p = w->pushes;

        p->sent = mine.sent;
        sync_settle(p, &mine);
    }
    unlink_work(w);
    work_free(w);
}

/* --- what stands in the way ------------------------------------------------------------------- */

static void fail_all(struct sync_cloud *c, const struct err *e)
{
    struct sync_result r = {0};
    struct sync_work *next;

    sync_result_err(&r, e, /* changes */ false);
    for (struct sync_work *w = c->works; w != NULL; w = next) {
        next = w->next;
        if (!w->sent)
            end_work(w, &r);
    }
}

/* True: job and rule are known. Else it is being asked, or all who wait were told why not. */
static bool look_up(struct sync_cloud *c)
{
    uint64_t now = loop_now(c->s->loop);
    struct err e;

    if (c->found && now - c->looked_at < c->s->lookup_ms)
        return true;
    if (c->lookup != NULL)
        return false;
    c->found = false;
    if (c->failed && now - c->looked_at < FAILED_MS) {
        fail_all(c, &c->why);
        return false;
    }
    if (sync_lookup_start(c->s->graph, c->s->domain, on_found, c, &c->lookup, &e) < 0)
        fail_all(c, &e);
    return false;
}

static void on_found(void *arg, const struct sync_found *f, const struct err *e)
{
    struct sync_cloud *c = arg;

    c->lookup = NULL;
    c->looked_at = loop_now(c->s->loop);
    c->found = e == NULL;
    c->failed = e != NULL;
    memset(&c->f, 0, sizeof(c->f));
    if (e == NULL)
        c->f = *f;
    else
        c->why = *e;
    soon(c, 0);
}

/* How long until one more may be sent; 0: now. */
static uint64_t pace(struct sync_cloud *c)
{
    uint64_t now = loop_now(c->s->loop), oldest = c->begun[c->next];

    if (oldest == 0 || now >= oldest + PACE_MS + PACE_SLACK_MS)
        return 0;
    return oldest + PACE_MS + PACE_SLACK_MS - now;
}

static bool user_is_busy(const struct sync_cloud *c, const char *user_id)
{
    for (const struct sync_work *w = c->works; w != NULL; w = w->next) {
        if (w->sent && text_eq_nocase(w->user_id, user_id))
            return true;
    }
    return false;
}

static bool anyone_waits(const struct sync_cloud *c)
{
    for (const struct sync_work *w = c->works; w != NULL; w = w->next) {
        if (!w->sent)
            return true;
    }
    return false;
}

static void end_check(struct sync_work *w)
{
    const struct sync_found *f = &w->c->f;
    struct sync_result r = {0};

    sync_result_set(&r, f->health[0] == '\0' ? SYNC_PROVEN : SYNC_FAILED,
                    f->health[0] == '\0' ? ERR_OK : ERR_REFUSED, "cloud sync of %s: job %s, %s",
                    w->c->s->domain, f->job, f->state);
    end_work(w, &r);
}

/* --- sending ---------------------------------------------------------------------------------- */

static int send(struct sync_work *w, struct err *e)
{
    struct sync_cloud *c = w->c;
    struct graph_ask ask = {
        .method = "POST",
        .flags = GRAPH_ALONE,
        .max_answer = ANSWER_MAX,
        .try_ms = TRY_MS,
        .all_ms = ALL_MS,
    };
    CLEANUP(text_done) struct text body = TEXT_INIT(BODY_MAX);
    char path[PATH_MAX_LEN];
    struct json_out o;

    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    json_out_array(&o, "parameters");
    json_out_object(&o, NULL);
    json_out_str(&o, "ruleId", c->f.rule);
    json_out_array(&o, "subjects");
    json_out_object(&o, NULL);
    json_out_str(&o, "objectId", w->dn);
    json_out_str(&o, "objectTypeName", "user");
    json_out_end_object(&o);
    json_out_end_array(&o);
    json_out_end_object(&o);
    json_out_end_array(&o);
    json_out_end_object(&o);
    if (text_check(&body, "cloud sync", e) < 0)
        return -1;
    (void)snprintf(path, sizeof(path),
                   "/servicePrincipals/%s/synchronization/jobs/%s/provisionOnDemand", c->f.sp,
                   c->f.job);
    ask.path = path;
    ask.body = body.s;
    return graph_start(c->s->graph, &ask, on_answer, w, &w->call, e);
}

static void begin(struct sync_work *w)
{
    struct sync_cloud *c = w->c;
    struct sync_result r = {0};
    struct err e;

    if (send(w, &e) < 0) {
        sync_result_err(&r, &e, /* changes */ false);
        end_work(w, &r);
        return;
    }
    w->sent = true;
    w->sent_at = loop_now(c->s->loop);
    c->begun[c->next] = w->sent_at != 0 ? w->sent_at : 1;
    c->next = (c->next + 1) % PACE;
    for (struct sync_push *p = w->pushes; p != NULL; p = p->work_next)
        p->sent = true;
}

static void pump(void *arg)
{
    struct sync_cloud *c = arg;
    struct sync_work *next;
    uint64_t wait;

    c->turn = NULL;
    if (!anyone_waits(c) || !look_up(c))
        return;
    for (struct sync_work *w = c->works; w != NULL; w = next) {
        next = w->next;
        if (w->sent)
            continue;
        if (w->dn == NULL) {
            end_check(w);
            continue;
        }
        if (user_is_busy(c, w->user_id))
            continue; /* on_answer comes back here */
        wait = pace(c);
        if (wait > 0) {
            soon(c, wait);
            continue; /* checks behind it need not wait */
        }
        begin(w);
    }
}

static void on_answer(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct sync_work *w = arg;
    struct sync_cloud *c = w->c;
    struct sync_result r = {0};

    w->call = NULL;
    soon(c, 0);
    if (e != NULL && !w->again && (graph_status_of(e) == 400 || graph_status_of(e) == 404) &&
        c->looked_at <= w->sent_at) {
        /* A clear no: the rule or the job may be new ones by now. What is wrong otherwise (the DN)
         * is refused again. */
        c->found = c->failed = false;
    }
    if (e != NULL && !w->again && (graph_status_of(e) == 400 || graph_status_of(e) == 404)) {
        w->again = true;
        w->sent = false;
        for (struct sync_push *p = w->pushes; p != NULL; p = p->work_next)
            p->sent = false;
        if (w->pushes == NULL) {
            unlink_work(w);
            work_free(w);
        }
        return;
    }
    if (e != NULL) {
        sync_result_err(&r, e, /* changes */ true);
    } else {
        sync_read_answer(a->json, w->user_id, w->want_enabled, &r);
        (void)field_shown(r.request_id, sizeof(r.request_id), a->request_id);
    }
    end_work(w, &r);
}
