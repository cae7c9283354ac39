/* agent/intake/risk.c -- see risk.h.
 *
 *   poll            who is at risk
 *   on_users        keep those that are due, the latest first
 *   next_user       what was detected about this one
 *   on_detections   keep what counts and is not known yet
 *   on_entra        who that is on premises
 *   offer           the request; then the record, in the same turn
 *   end_poll        the one way out; the next one in `poll`
 *
 * One question is under way at a time. What fails for one user is asked again at the next poll;
 * ERRORS of them end this one. It is told once, until something else is wrong or nothing is.
 */
#include "agent/intake/risk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/entra.h"
#include "cloud/risk.h"

enum {
    USERS_MAX = 5000,
    AGAIN_MS = 3600 * 1000,
    SOON_MS = 5 * 1000,
    GOOD_FOR_MS = 3600 * 1000, /* from issued to expires */
    TYPES = 200,
    ERRORS = 3,
};

#define BY_ADMIN "adminConfirmedUserCompromised"

struct detection_id {
    char s[128];
};
_Static_assert(sizeof(((struct risk_detection *)NULL)->id) == sizeof(struct detection_id), "an id");

struct asked { /* a user that was looked at */
    char id[RISK_ID];
    int64_t updated_ms; /* of its record then */
    uint64_t at;        /* by loop_now */
};

struct intake_risk {
    struct loop *loop;
    struct ledger *ledger;
    struct graph *graph;
    const struct cfg *cfg;
    intake_risk_cb cb;
    void *arg;
    struct loop_timer *timer;
    bool closing, again; /* again: the settings changed while a poll ran */

    struct detection_id *known;
    size_t known_count, known_room;
    struct asked *asked;
    size_t asked_count, asked_room;

    /* the poll under way */
    bool polling;
    struct risk_call *call;
    struct entra_call *entra;
    struct risk_user *users; /* that are due */
    size_t user_count, at;
    unsigned errors;
    unsigned failures;            /* of polls, in a row */
    struct err first;             /* of them */
    struct detection_id ids[200]; /* new ones of users[at], the latest first */
    size_t id_count;
    char types[TYPES];
    int64_t detected_ms;

    struct intake_risk_health health;
    struct err why;
};

static void poll(void *arg);
static void on_users(void *arg, const struct risk_user *users, size_t n, bool more,
                     const struct err *e);
static void next_user(struct intake_risk *r);
static void on_detections(void *arg, const struct risk_detection *d, size_t n, bool more,
                          const struct err *e);
static void on_entra(void *arg, const struct entra_user *u, const struct err *e);
static int offer(struct intake_risk *r, const struct entra_user *u, struct err *e);
static void user_failed(struct intake_risk *r, const struct err *e);
static void end_poll(struct intake_risk *r, const struct err *e);

/* --- what is known ----------------------------------------------------------------------- */

static int room_for(void **items, size_t *room, size_t count, size_t size, struct err *e)
{
    size_t more = *room == 0 ? 64 : *room * 2;
    void *grown;

    if (count < *room)
        return 0;
    grown = reallocarray(*items, more, size);
    if (grown == NULL)
        return err_set(e, ERR_NOMEM, 0, "risk");
    *items = grown;
    *room = more;
    return 0;
}

static bool is_known(const struct intake_risk *r, const char *id)
{
    for (size_t i = 0; i < r->known_count; i++) {
        if (strcmp(r->known[i].s, id) == 0)
            return true;
    }
    return false;
}

static int know(struct intake_risk *r, const char *id, struct err *e)
{
    void *p = r->known;

    if (is_known(r, id))
        return 0;
    if (room_for(&p, &r->known_room, r->known_count, sizeof(*r->known), e) < 0)
        return -1;
    r->known = p;
    (void)snprintf(r->known[r->known_count++].s, sizeof(r->known->s), "%s", id);
    return 0;
}

static struct asked *asked_find(struct intake_risk *r, const char *id)
{
    for (size_t i = 0; i < r->asked_count; i++) {
        if (text_eq_nocase(r->asked[i].id, id))
            return &r->asked[i];
    }
    return NULL;
}

/* Memory that runs out here only means to ask again. */
static void note_asked(struct intake_risk *r, const struct risk_user *u)
{
    struct asked *a = asked_find(r, u->id);
    struct err ignored;
    void *p = r->asked;

    if (a == NULL && room_for(&p, &r->asked_room, r->asked_count, sizeof(*a), &ignored) == 0) {
        r->asked = p;
        a = &r->asked[r->asked_count++];
        (void)snprintf(a->id, sizeof(a->id), "%s", u->id);
    }
    if (a != NULL) {
        a->updated_ms = u->updated_ms;
        a->at = loop_now(r->loop);
    }
}

/* Those that are not at risk any more need not be remembered. */
static void forget_asked(struct intake_risk *r)
{
    uint64_t now = loop_now(r->loop);
    size_t kept = 0;

    for (size_t i = 0; i < r->asked_count; i++) {
        if (now - r->asked[i].at < AGAIN_MS)
            r->asked[kept++] = r->asked[i];
    }
    r->asked_count = kept;
}

struct reading {
    struct intake_risk *r;
    struct err *e;
    bool failed;
};

static bool on_record(void *arg, const struct ledger_record *rec)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct reading *rd = arg;
    const struct cJSON *ids;

    if (strcmp(rec->kind, "risk") != 0)
        return true;
    rd->failed = json_parse(rec->body, strlen(rec->body), NULL, &j, rd->e) < 0;
    ids = json_get(j, "detections");
    if (!rd->failed && !json_is_array(ids))
        rd->failed = err_set(rd->e, ERR_INVALID, 0, "not as cordon writes it") < 0;
    for (const struct cJSON *c = json_first(ids); c != NULL && !rd->failed; c = json_next(c)) {
        const char *id = json_value_str(c);

        rd->failed = id == NULL ? err_set(rd->e, ERR_INVALID, 0, "not as cordon writes it") < 0
                                : know(rd->r, id, rd->e) < 0;
    }
    if (rd->failed)
        (void)err_wrap(rd->e, "ledger: record %lld (risk)", (long long)rec->seq);
    return !rd->failed;
}

/* --- open, close ------------------------------------------------------------------------- */

static void risk_free(struct intake_risk *r)
{
    if (r == NULL)
        return;
    loop_timer_stop(&r->timer);
    free(r->known);
    free(r->asked);
    free(r->users);
    free(r);
}

static void risk_freep(struct intake_risk **r)
{
    risk_free(*r);
}

static int arm(struct intake_risk *r, uint64_t ms, struct err *e)
{
    loop_timer_stop(&r->timer);
    r->timer = loop_timer_start(r->loop, ms, poll, r);
    return r->timer != NULL ? 0 : err_set(e, ERR_NOMEM, 0, "risk");
}

int intake_risk_open(struct loop *l, struct ledger *ledger, struct graph *graph,
                     const struct cfg *cfg, intake_risk_cb cb, void *arg,
                     struct intake_risk **ret_risk, struct err *e)
{
    CLEANUP(risk_freep) struct intake_risk *r = calloc(1, sizeof(*r));
    struct reading rd = {.r = r, .e = e};

    if (r == NULL)
        return err_set(e, ERR_NOMEM, 0, "risk");
    r->loop = l;
    r->ledger = ledger;
    r->graph = graph;
    r->cfg = cfg;
    r->cb = cb;
    r->arg = arg;
    if (ledger_each(ledger, NULL, 0, on_record, &rd, e) < 0 || rd.failed || arm(r, 0, e) < 0)
        return err_wrap(e, "risk");
    *ret_risk = TAKE(r);
    return 0;
}

void intake_risk_configure(struct intake_risk *r, const struct cfg *cfg)
{
    struct err e;

    r->cfg = cfg;
    r->asked_count = 0; /* what did not count may count now */
    r->again = r->polling;
    if (!r->polling && arm(r, 0, &e) < 0)
        log_error("risk: %s: Identity Protection is not asked any more", e.msg);
}

void intake_risk_again(struct intake_risk *r)
{
    struct err e;
    struct reading rd = {.r = r, .e = &e};

    r->known_count = r->asked_count = 0;
    r->again = r->polling;
    if (ledger_each(r->ledger, NULL, 0, on_record, &rd, &e) < 0 || rd.failed)
        log_error("risk: %s", e.msg); /* what was taken is known by its id */
    if (!r->polling && arm(r, SOON_MS, &e) < 0)
        log_error("risk: %s: Identity Protection is not asked any more", e.msg);
}

void intake_risk_close(struct intake_risk **ref)
{
    struct intake_risk *r = ref != NULL ? TAKE(*ref) : NULL;

    if (r == NULL)
        return;
    r->closing = true;
    if (r->call != NULL)
        risk_cancel(r->call);
    else if (r->entra != NULL)
        entra_cancel(r->entra);
    else
        risk_free(r);
}

void intake_risk_health(const struct intake_risk *r, struct intake_risk_health *ret)
{
    *ret = r->health;
    ret->why = r->why.msg;
}

/* --- a poll ------------------------------------------------------------------------------ */

static enum risk_level level_of(enum cfg_risk_level level)
{
    static const enum risk_level levels[] = {[CFG_RISK_LOW] = RISK_LEVEL_LOW,
                                             [CFG_RISK_MEDIUM] = RISK_LEVEL_MEDIUM,
                                             [CFG_RISK_HIGH] = RISK_LEVEL_HIGH};

    return levels[level];
}

static void poll(void *arg)
{
    struct intake_risk *r = arg;
    struct risk_filter f = {.at_least = level_of(r->cfg->risk.level), .max = USERS_MAX};
    struct err e;

    r->timer = NULL;
    if (!r->cfg->risk.on)
        return; /* until it is configured anew */
    r->polling = true;
    r->again = false;
    r->user_count = r->at = 0;
    r->errors = 0;
    forget_asked(r);
    if (risk_list_start(r->graph, &f, on_users, r, &r->call, &e) < 0)
        end_poll(r, &e);
}

static bool is_at_risk(enum risk_state s)
{
    return s == RISK_STATE_AT_RISK || s == RISK_STATE_COMPROMISED;
}

static int latest_first(const void *va, const void *vb)
{
    const struct risk_user *a = va, *b = vb;

    return (a->updated_ms < b->updated_ms) - (a->updated_ms > b->updated_ms);
}

static void on_users(void *arg, const struct risk_user *users, size_t n, bool more,
                     const struct err *e)
{
    struct intake_risk *r = arg;
    struct err mine;

    r->call = NULL;
    if (r->closing || e != NULL) {
        end_poll(r, e);
        return;
    }
    free(r->users);
    r->users = n > 0 ? calloc(n, sizeof(*r->users)) : NULL;
    if (n > 0 && r->users == NULL) {
        (void)err_set(&mine, ERR_NOMEM, 0, "risk");
        end_poll(r, &mine);
        return;
    }
    if (more)
        log_warning("risk: more than %d users are at risk; the others are not looked at",
                    USERS_MAX);
    r->health.at_risk = 0;
    for (size_t i = 0; i < n; i++) {
        const struct asked *a = asked_find(r, users[i].id);

        if (r->users == NULL || !is_at_risk(users[i].state))
            continue;
        r->health.at_risk++;
        if (a == NULL || a->updated_ms != users[i].updated_ms)
            r->users[r->user_count++] = users[i];
    }
    if (r->users != NULL && r->user_count > 1)
        qsort(r->users, r->user_count, sizeof(*r->users), latest_first);
    next_user(r);
}

static void next_user(struct intake_risk *r)
{
    int64_t since = stamp_now_ms() - (int64_t)r->cfg->risk.max_age_ms;
    struct err e;

    if (r->at >= r->user_count || r->at >= INTAKE_RISK_LOOKS || r->again)
        end_poll(r, r->errors > 0 ? &r->first : NULL);
    else if (risk_detections_start(r->graph, r->users[r->at].id, since, on_detections, r, &r->call,
                                   &e) < 0)
        end_poll(r, &e);
}

static void user_over(struct intake_risk *r)
{
    note_asked(r, &r->users[r->at]);
    r->at++;
    next_user(r);
}

static void user_failed(struct intake_risk *r, const struct err *e)
{
    if (r->errors++ == 0) {
        r->first = *e;
        (void)err_wrap(&r->first, "user %s", r->users[r->at].id);
    }
    r->at++;
    if (r->closing || r->errors >= ERRORS)
        end_poll(r, &r->first);
    else
        next_user(r);
}

/* --- one user ---------------------------------------------------------------------------- */

static bool counts(const struct intake_risk *r, const struct risk_detection *d)
{
    const struct cfg_list *types = &r->cfg->risk.detections;

    if (!is_at_risk(d->state) || is_known(r, d->id))
        return false;
    for (size_t i = 0; i < types->count; i++) {
        if (text_glob(types->items[i], d->type) &&
            (!text_eq_nocase(d->type, BY_ADMIN) || text_eq_nocase(types->items[i], BY_ADMIN)))
            return true;
    }
    return types->count == 0 && !text_eq_nocase(d->type, BY_ADMIN);
}

/* "leakedCredentials, anomalousToken": each once. */
static void add_type(struct intake_risk *r, const char *type)
{
    size_t n = strlen(r->types);
    char shown[TEXT_SHOWN];

    (void)text_shown(shown, type);
    if (shown[0] == '\0' || strstr(r->types, shown) != NULL ||
        n + strlen(shown) + sizeof(", ") > sizeof(r->types))
        return;
    (void)snprintf(r->types + n, sizeof(r->types) - n, "%s%s", n > 0 ? ", " : "", shown);
}

static void on_detections(void *arg, const struct risk_detection *d, size_t n, bool more,
                          const struct err *e)
{
    struct intake_risk *r = arg;
    struct err mine;

    (void)more; /* the latest are there */
    r->call = NULL;
    if (r->closing || e != NULL) {
        user_failed(r, e != NULL ? e : &ERR_NONE);
        return;
    }
    r->id_count = 0;
    r->types[0] = '\0';
    for (size_t i = 0; i < n && r->id_count < ARRAY_LEN(r->ids); i++) {
        if (!counts(r, &d[i]))
            continue;
        if (r->id_count == 0)
            r->detected_ms = d[i].detected_ms;
        memcpy(r->ids[r->id_count++].s, d[i].id, sizeof(d[i].id));
        add_type(r, d[i].type);
    }
    if (r->id_count == 0)
        user_over(r);
    else if (entra_read_start(r->graph, r->users[r->at].id, on_entra, r, &r->entra, &mine) < 0)
        user_failed(r, &mine);
}

static int record(struct intake_risk *r, const struct intake_request *q, bool hold,
                  const char *skipped, struct err *e)
{
    struct text t = TEXT_INIT(LEDGER_BODY_MAX);
    struct json_out o;
    int rc;

    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_str(&o, "user", r->users[r->at].id);
    json_out_str(&o, "upn", r->users[r->at].upn);
    if (skipped != NULL) {
        json_out_str(&o, "skipped", skipped);
    } else {
        json_out_str(&o, "request", q->id);
        json_out_str(&o, "action", action_word(q->action));
        json_out_bool(&o, "hold", hold);
    }
    json_out_array(&o, "detections");
    for (size_t i = 0; i < r->id_count; i++)
        json_out_str(&o, NULL, r->ids[i].s);
    json_out_end_array(&o);
    json_out_end_object(&o);
    rc = text_check(&t, "risk", e);
    if (rc == 0)
        rc = ledger_add(r->ledger, "", "risk", t.s, NULL, NULL, e);
    text_done(&t);
    for (size_t i = 0; i < r->id_count && rc == 0; i++)
        rc = know(r, r->ids[i].s, e);
    return rc;
}

static void on_entra(void *arg, const struct entra_user *u, const struct err *e)
{
    struct intake_risk *r = arg;
    struct err mine = ERR_NONE;
    int rc;

    r->entra = NULL;
    if (r->closing || (e != NULL && e->code != ERR_NOTFOUND)) {
        user_failed(r, e != NULL ? e : &ERR_NONE);
        return;
    }
    rc = e != NULL ? record(r, NULL, false, "there is no such user any more", &mine)
                   : offer(r, u, &mine);
    if (rc < 0)
        user_failed(r, &mine);
    else
        user_over(r);
}

/* The same id for the same detection, whenever it is offered. */
static int request_id(const char *detection, char ret[ID_UUID], struct err *e)
{
    static const char space[] = "cordon Identity Protection ";
    char name[sizeof(space) + sizeof(struct detection_id)];

    (void)snprintf(name, sizeof(name), "%s%s", space, detection);
    return id_uuid_of(name, ret, e);
}

/* Which of our domains the account is in; NULL: none of them. */
static const char *domain_of(const struct intake_risk *r, const struct entra_user *u)
{
    const struct cfg *cfg = r->cfg;

    for (size_t i = 0; i < cfg->domain_count && u->on_prem_domain != NULL; i++) {
        if (text_eq_nocase(cfg->domains[i].name, u->on_prem_domain))
            return cfg->domains[i].name;
    }
    return u->on_prem_domain == NULL && entra_user_is_cloud_only(u) ? cfg->domains[0].name : NULL;
}

static int build(struct intake_risk *r, const struct entra_user *u, const char *domain,
                 struct intake_request *q, struct err *e)
{
    static const enum action actions[] = {[CFG_ON_RISK_HOLD] = ACT_CONTAIN,
                                          [CFG_ON_RISK_EXPIRE] = ACT_EXPIRE,
                                          [CFG_ON_RISK_CONTAIN] = ACT_CONTAIN};
    char when[STAMP_TEXT];

    *q = (struct intake_request){.action = actions[r->cfg->risk.on_high_risk],
                                 .scope = u->sid != NULL ? INTAKE_BOTH : INTAKE_CLOUD,
                                 .issued_ms = stamp_now_ms()};
    q->expires_ms = q->issued_ms + GOOD_FOR_MS;
    (void)snprintf(q->account, sizeof(q->account), "%s", u->sid != NULL ? u->sid : u->id);
    (void)snprintf(q->audience, sizeof(q->audience), "%s", domain);
    (void)snprintf(q->requester, sizeof(q->requester), "Identity Protection");
    (void)snprintf(q->reason, sizeof(q->reason), "risk %s, %s: %s, detected %s",
                   r->users[r->at].level_word, r->users[r->at].state_word,
                   r->types[0] != '\0' ? r->types : "no type", stamp_iso(when, r->detected_ms));
    /* The first that was detected: more may come until this is offered again. */
    if (request_id(r->ids[r->id_count - 1].s, q->id, e) < 0)
        return -1;
    return intake_request_check(q, e);
}

static int offer(struct intake_risk *r, const struct entra_user *u, struct err *e)
{
    const char *domain = domain_of(r, u);
    bool hold = r->cfg->risk.on_high_risk == CFG_ON_RISK_HOLD;
    struct intake_request q;
    struct intake_risk_finding f = {&q, hold, u->id, u->upn};
    char shown[TEXT_SHOWN], words[TEXT_SHOWN + 64];

    (void)text_shown(shown, u->on_prem_domain != NULL ? u->on_prem_domain : "");
    if (domain == NULL || (u->on_prem_domain != NULL && u->sid == NULL)) {
        (void)snprintf(words, sizeof(words), domain == NULL ? "not of our domains: '%s'" : "no SID",
                       shown);
        log_info("risk: user %s is left alone: %s", u->id, words);
        return record(r, NULL, false, words, e);
    }
    if (build(r, u, domain, &q, e) < 0) {
        struct err why = *e;

        log_warning("risk: user %s is left alone: %s", u->id, why.msg);
        return why.code == ERR_NOMEM ? -1 : record(r, NULL, false, why.msg, e);
    }
    if (r->cb(r->arg, &f, e) < 0)
        return -1;
    r->health.requests++;
    return record(r, &q, hold, NULL, e);
}

/* --- the end ----------------------------------------------------------------------------- */

/* After a failure sooner than else, and later each time. */
static uint64_t next_ms(const struct intake_risk *r)
{
    uint64_t ms = (uint64_t)SOON_MS << (r->failures < 6 ? r->failures : 6);

    return r->failures > 0 && ms < r->cfg->risk.poll_ms ? ms : r->cfg->risk.poll_ms;
}

static void end_poll(struct intake_risk *r, const struct err *e)
{
    struct err mine;
    bool again = r->again;

    if (r->closing) {
        risk_free(r);
        return;
    }
    free(r->users);
    r->users = NULL;
    r->polling = r->again = false;
    r->health.polls++;
    if (e != NULL) {
        r->health.failed++;
        r->failures++;
        if (strcmp(r->why.msg, e->msg) != 0)
            log_warning("risk: Identity Protection: %s; asked again in a while", e->msg);
        r->why = *e;
    } else {
        if (r->why.code != ERR_OK)
            log_info("risk: Identity Protection answers again");
        r->why = ERR_NONE;
        r->failures = 0;
        r->health.asked = true;
        r->health.ok_ms = stamp_now_ms();
    }
    if (arm(r, again ? 0 : next_ms(r), &mine) < 0)
        log_error("risk: %s: Identity Protection is not asked any more", mine.msg);
}
