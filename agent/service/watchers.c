/* agent/service/watchers.c -- what the service contained is watched (holdwatch.h), and what comes
 * back to life is told and, by policy, contained again.
 *
 *   watchers_ended   a case has ended: watch whom it contained, or no longer whom it gave back
 *   on_back          an event for whoever reads our answers; a request of our own
 *
 * What a case did is read from the ledger: the same whether it has just ended or ended before a
 * crash. What is added here is on disk together with the answer of the case.
 */
#include "agent/service/service_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cloud.h"
#include "agent/intake/result.h"
#include "agent/service/holdwatch.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/stamp.h"
#include "eventlog/expect.h"

#define ORIGIN "hold_watch:" /* and the request whose watch it was */
enum { GOOD_FOR_MS = 3600 * 1000 };

/* --- what a case did --------------------------------------------------------------------- */

struct facts {
    char name[256], sid[AD_SID_TEXT], dn[1024], entra_id[40];
    struct ad_guid guid;
    bool has_guid, in_ad, in_entra; /* in_*: it is so there now */
    enum verdict verdict;
    bool has_verdict;
};

static void take(char *buf, size_t size, const struct cJSON *j, const char *member)
{
    const char *s = json_str(j, member);

    if (s != NULL && s[0] != '\0' && strlen(s) < size)
        (void)snprintf(buf, size, "%s", s);
}

static void take_step(struct facts *f, const struct cJSON *j)
{
    static const char *const in_ad[] = {"disable", "enable", "mde", "mdi"};
    const char *step = json_str(j, "step"), *state = json_str(j, "state");

    if (step == NULL || state == NULL ||
        (strcmp(state, "done") != 0 && strcmp(state, "already") != 0 &&
         strcmp(state, "unconfirmed") != 0))
        return;
    for (size_t i = 0; i < ARRAY_LEN(in_ad); i++)
        f->in_ad = f->in_ad || strcmp(step, in_ad[i]) == 0;
    f->in_entra = f->in_entra || strcmp(step, "entra") == 0;
}

static bool on_record(void *arg, const struct ledger_record *r)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct facts *f = arg;
    const char *text;
    struct err e;

    if (json_parse(r->body, strlen(r->body), NULL, &j, &e) < 0)
        return true; /* it is told when the ledger is verified */
    take(f->entra_id, sizeof(f->entra_id), j, "entra_id");
    if (strcmp(r->kind, "case") == 0) {
        take(f->name, sizeof(f->name), j, "account");
        take(f->name, sizeof(f->name), j, "sam");
        take(f->sid, sizeof(f->sid), j, "sid");
        take(f->dn, sizeof(f->dn), j, "dn");
        text = json_str(j, "guid");
        f->has_guid = text != NULL && ad_guid_from_text(text, strlen(text), &f->guid) == 0;
    } else if (strcmp(r->kind, "step") == 0) {
        take_step(f, j);
    } else if (strcmp(r->kind, "verdict") == 0) {
        text = json_str(j, "verdict");
        f->has_verdict = text != NULL && verdict_parse(text, &f->verdict);
    }
    return true;
}

static bool read_facts(struct service *s, const char *case_id, struct facts *ret)
{
    struct err e;

    *ret = (struct facts){.verdict = VERDICT_UNKNOWN};
    if (ledger_each(s->ledger, case_id, 0, on_record, ret, &e) == 0)
        return true;
    log_error("case=%s hold_watch: %s", case_id, e.msg);
    return false;
}

/* --- a case has ended --------------------------------------------------------------------- */

static void self_sid(const struct job *j, char buf[AD_SID_TEXT])
{
    struct place *p = place_for(j->s, j->request.audience);
    const struct ad_dc *dc = p != NULL ? world_dc(&p->world, false) : NULL;

    buf[0] = '\0';
    if (dc != NULL && dc->has_self)
        (void)ad_sid_to_text(&dc->self, buf);
}

static void watch(struct job *j, const struct facts *f)
{
    char self[AD_SID_TEXT];
    const struct holdwatch_account a = {.request = j->request.id,
                                        .case_id = j->case_id,
                                        .domain = j->request.audience,
                                        .name = f->name,
                                        .sid = f->in_ad ? f->sid : "",
                                        .dn = f->in_ad ? f->dn : "",
                                        .guid = f->in_ad && f->has_guid ? &f->guid : NULL,
                                        .entra_id = f->in_entra ? f->entra_id : "",
                                        .self_sid = self};
    struct err e;

    self_sid(j, self);
    if (holdwatch_add(j->s->watch, &a, &e) < 0)
        log_error("request=%s %s: it is not watched", j->request.id, e.msg);
}

void watchers_ended(struct job *j)
{
    struct service *s = j->s;
    enum action a = j->request.action;
    struct facts f;

    if (s->watch == NULL || (a != ACT_DISABLE && a != ACT_CONTAIN && a != ACT_ENABLE) ||
        !read_facts(s, j->case_id, &f) || !f.has_verdict || (!f.in_ad && !f.in_entra))
        return;
    if (a == ACT_ENABLE)
        holdwatch_drop(s->watch, f.sid[0] != '\0' ? f.sid : NULL,
                       f.entra_id[0] != '\0' ? f.entra_id : NULL);
    else if (text_starts(j->message_id, ORIGIN))
        holdwatch_put_back(s->watch, j->message_id + strlen(ORIGIN));
    else
        watch(j, &f);
}

void watchers_lost(struct service *s, const char *what)
{
    if (s->watch != NULL && text_starts(what, ORIGIN))
        holdwatch_again(s->watch, what + strlen(ORIGIN));
}

/* --- it came back -------------------------------------------------------------------------- */

/* One that is about to be enabled by a request, or has been and has no verdict yet. */
static bool giving_back(void *arg, const struct holdwatch_return *r)
{
    struct service *s = arg;
    struct facts f;

    for (const struct job *j = s->jobs; j != NULL; j = j->next) {
        if (j->request.action != ACT_ENABLE || j->state == JOB_HELD ||
            !read_facts(s, j->case_id, &f))
            continue;
        if ((f.sid[0] != '\0' && evlog_same_sid(f.sid, r->sid)) ||
            (f.entra_id[0] != '\0' && text_eq_nocase(f.entra_id, r->entra_id)))
            return true;
    }
    return false;
}

struct event {
    struct service *s;
    char id[ID_ULID];
};

static void event_freep(struct event **ev)
{
    free(*ev);
}

static void on_event(void *arg, const struct err *e)
{
    CLEANUP(event_freep) struct event *ev = arg;

    if (e != NULL)
        service_ledger_failed(ev->s, e);
    else
        outbox_add_recorded(ev->s->outbox, ev->id);
}

/* To whoever reads our answers, the way they go. */
static int tell(struct service *s, const struct holdwatch_return *r, struct err *e)
{
    CLEANUP(text_done) struct text jws = TEXT_INIT(LEDGER_BODY_MAX);
    CLEANUP(event_freep) struct event *ev = calloc(1, sizeof(*ev));
    char head[2 * ID_SHA256 + 1];
    struct intake_event what = {.event = "came-back",
                                .request = r->request,
                                .case_id = r->case_id,
                                .domain = r->domain,
                                .account = r->name,
                                .sid = r->sid,
                                .entra_id = r->entra_id,
                                .where = r->where == HOLDWATCH_AD ? "ad" : "entra",
                                .who = r->who,
                                .what = r->what,
                                .policy = r->policy,
                                .read = r->read,
                                .agent = s->agent,
                                .time_ms = stamp_now_ms(),
                                .ledger_head = head};

    if (s->own == NULL)
        return 0;
    if (ev == NULL)
        return err_set(e, ERR_NOMEM, 0, "event");
    ev->s = s;
    what.id = ev->id;
    if (id_ulid(ev->id, what.time_ms, e) < 0 ||
        ledger_head(s->ledger, &what.ledger_count, head, e) < 0 ||
        intake_event_sign(s->own, &what, &jws, e) < 0 ||
        requests_answer(s->ledger, ev->id, r->case_id, jws.s, on_event, ev, e) < 0)
        return -1;
    (void)TAKE(ev);
    return 0;
}

/* The same id whenever it is asked for. */
static int put_back_id(const struct holdwatch_return *r, char ret[ID_UUID], struct err *e)
{
    char name[160];

    (void)snprintf(name, sizeof(name), "cordon hold_watch %.40s %u", r->request, r->number);
    return id_uuid_of(name, ret, e);
}

struct wanted {
    struct intake_request q;
    bool found;
};

static bool copy(void *arg, const struct request_entry *en)
{
    struct wanted *w = arg;

    w->found = en->request != NULL;
    if (w->found)
        w->q = *en->request;
    return true;
}

/* What was asked for the first time, once more. */
static int put_back(struct service *s, const struct holdwatch_return *r, struct err *e)
{
    struct wanted w = {0};
    struct intake_request *q = &w.q;
    char what[sizeof(ORIGIN) + ID_UUID], who[TEXT_SHOWN];

    if (requests_find(s->ledger, r->request, copy, &w, e) < 0)
        return -1;
    if (!w.found)
        return err_set(e, ERR_NOTFOUND, 0, "no request %.40s", r->request);
    (void)snprintf(what, sizeof(what), ORIGIN "%.36s", r->request);
    (void)snprintf(q->requester, sizeof(q->requester), "hold_watch");
    (void)snprintf(q->reason, sizeof(q->reason),
                   "came back to life in %s%s%.150s: %.150s (request %.40s)",
                   r->where == HOLDWATCH_AD ? "AD" : "Entra", r->who[0] != '\0' ? ", by " : "",
                   text_shown(who, r->who), r->what, r->request);
    if (r->sid[0] != '\0') /* it may have been renamed */
        (void)snprintf(q->account, sizeof(q->account), "%.200s", r->sid);
    q->options.steps = false;
    q->issued_ms = stamp_now_ms();
    q->expires_ms = q->issued_ms + GOOD_FOR_MS;
    return put_back_id(r, q->id, e) < 0 || intake_request_check(q, e) < 0
               ? -1
               : own_request(s, q, what, /* hold */ false, e);
}

static void on_back(void *arg, const struct holdwatch_return *r)
{
    struct service *s = arg;
    struct err e;

    s->came_back++;
    if (tell(s, r, &e) < 0)
        log_error("case=%s the event is not sent: %s", r->case_id, e.msg);
    if (strcmp(r->policy, "put-back") != 0)
        return;
    if (put_back(s, r, &e) == 0) {
        s->put_back++;
        return;
    }
    log_error("case=%s it is not contained again yet: %s", r->case_id, e.msg);
    if (!s->stopping)
        holdwatch_again(s->watch, r->request);
}

/* --- open, close ------------------------------------------------------------------------- */

static int read_ad(void *arg, const char *domain, const char *dc, const struct ad_guid *guid,
                   ad_read_cb cb, void *cb_arg, struct err *e)
{
    struct service *s = arg;
    struct place *p = place_for(s, domain);
    struct ad_dc *at = p != NULL ? world_dc(&p->world, false) : NULL;

    for (size_t i = 0; dc != NULL && at != NULL && i < ad_dcs_count(p->world.dcs); i++) {
        struct ad_dc *one = ad_dcs_at(p->world.dcs, i);

        if (one->state == AD_DC_READY && text_eq_nocase(one->host, dc))
            at = one;
    }
    if (at == NULL)
        return err_set(e, ERR_UNSENT, 0, "no DC of %s can be asked", domain);
    return ad_read_start(at->conn, guid, AD_READ_PROVE, cb, cb_arg, NULL, e);
}

int watchers_open(struct service *s, struct err *e)
{
    static const struct holdwatch_ops ops = {
        .read_ad = read_ad, .came_back = on_back, .giving_back = giving_back};

    if (holdwatch_open(s->loop, s->ledger, s->tenant != NULL ? s->tenant->graph : NULL, s->cfg,
                       &ops, s, &s->watch, e) < 0)
        return -1;
    for (size_t i = 0; i < s->place_count; i++)
        watchers_listen(&s->places[i]);
    return 0;
}

void watchers_listen(struct place *p)
{
    if (p->s->watch != NULL && p->world.watch != NULL)
        watch_listen(p->world.watch, holdwatch_hear, p->s->watch);
}

void watchers_close(struct service *s)
{
    for (size_t i = 0; i < s->place_count; i++) {
        if (s->places[i].world.watch != NULL)
            watch_listen(s->places[i].world.watch, NULL, NULL);
    }
    holdwatch_close(&s->watch);
}
