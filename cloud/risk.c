/* cloud/risk.c -- see risk.h.
 *
 *   risk_read_start, risk_list_start, risk_detections_start   one question each
 *   risk_mark_start   sixty ids in a request, one request after the other
 *   send_some         the next sixty
 *   on_marked         taken over, refused, or unclear: then each is looked at
 *   look, on_looked   the record of one of those
 *   finish_mark       the one way out
 *
 * A request is sent once. What ended unclear is read back where that is a few; the rest stays
 * unproven, for reading a thousand records would take a quarter of an hour (one a second).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/field.h"
#include "cloud/risk.h"

enum {
    IDS_PER_CALL = 60,
    IDS_MAX = 1000,
    LOOKS_MAX = 20,
    LIST_MAX = 1000,
    LIST_LIMIT = 20000,
    DETECTIONS_MAX = 200,
    PAGES = 100,
    PATH_LEN = 1024,
    BODY_MAX = 8 * 1024,
    ALL_MS = 60 * 1000,
    ALL_LIST_MS = 300 * 1000,
};

struct risk_call {
    struct graph *graph;
    void *arg;
    struct graph_call *call;
    bool canceled;
    bool bad; /* an item could not be read: */
    struct err why;

    risk_user_cb user_cb;
    risk_list_cb list_cb;
    risk_detections_cb detections_cb;
    risk_mark_cb mark_cb;

    char id[RISK_ID];
    struct risk_filter filter;
    int64_t since_ms;
    struct risk_user *users;
    struct risk_detection *detections;
    size_t count, cap, max;
    bool more;

    enum risk_mark mark;
    struct risk_result *results;
    size_t n, from, to; /* results[from..to) are in the request under way */
    size_t at;          /* ... and of those this one is looked at */
    unsigned looks;
    bool has_first;
    struct err first; /* the first error */
    char request_id[64];
};

static void call_free(struct risk_call *c)
{
    if (c == NULL)
        return;
    graph_abandon(c->call);
    free(c->users);
    free(c->detections);
    free(c->results);
    free(c);
}

static void call_freep(struct risk_call **c)
{
    call_free(*c);
}

static int call_new(struct graph *g, void *arg, struct risk_call **ret_call, struct err *e)
{
    *ret_call = calloc(1, sizeof(**ret_call));
    if (*ret_call == NULL)
        return err_set(e, ERR_NOMEM, 0, "Identity Protection");
    (*ret_call)->graph = g;
    (*ret_call)->arg = arg;
    return 0;
}

static void give(struct risk_call **ret_call, struct risk_call *c)
{
    if (ret_call != NULL)
        *ret_call = c;
}

void risk_cancel(struct risk_call *c)
{
    c->canceled = true;
    if (c->call != NULL)
        graph_cancel(c->call);
}

/* --- words ------------------------------------------------------------------------------------ */

enum risk_level risk_level_of(const char *word)
{
    static const char *const words[] = {
        [RISK_LEVEL_HIDDEN] = "hidden", [RISK_LEVEL_NONE] = "none", [RISK_LEVEL_LOW] = "low",
        [RISK_LEVEL_MEDIUM] = "medium", [RISK_LEVEL_HIGH] = "high",
    };

    for (size_t i = 1; word != NULL && i < ARRAY_LEN(words); i++) {
        if (strcmp(word, words[i]) == 0)
            return (enum risk_level)i;
    }
    return RISK_LEVEL_UNKNOWN;
}

static const char *const state_words[] = {
    [RISK_STATE_NONE] = "none",
    [RISK_STATE_CONFIRMED_SAFE] = "confirmedSafe",
    [RISK_STATE_REMEDIATED] = "remediated",
    [RISK_STATE_DISMISSED] = "dismissed",
    [RISK_STATE_AT_RISK] = "atRisk",
    [RISK_STATE_COMPROMISED] = "confirmedCompromised",
};

enum risk_state risk_state_of(const char *word)
{
    for (size_t i = 1; word != NULL && i < ARRAY_LEN(state_words); i++) {
        if (strcmp(word, state_words[i]) == 0)
            return (enum risk_state)i;
    }
    return RISK_STATE_UNKNOWN;
}

int risk_read_user(const struct cJSON *j, struct risk_user *ret_user, struct err *e)
{
    struct risk_user u = {0};

    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, 0, "Identity Protection: the answer is no user");
    if (field_str(j, "id", FIELD_MUST, u.id, sizeof(u.id), e) < 0 ||
        field_str(j, "riskLevel", FIELD_MUST, u.level_word, sizeof(u.level_word), e) < 0 ||
        field_str(j, "riskState", FIELD_MUST, u.state_word, sizeof(u.state_word), e) < 0 ||
        field_str(j, "riskDetail", FIELD_MAY_LACK, u.detail, sizeof(u.detail), e) < 0 ||
        field_bool(j, "isProcessing", FIELD_MAY_LACK, NULL, &u.processing, e) < 0 ||
        field_bool(j, "isDeleted", FIELD_MAY_LACK, NULL, &u.deleted, e) < 0 ||
        field_time(j, "riskLastUpdatedDateTime", FIELD_MAY_LACK, &u.updated_ms, e) < 0 ||
        field_str(j, "userPrincipalName", FIELD_MAY_LACK, u.upn, sizeof(u.upn), e) < 0)
        return err_wrap(e, "Identity Protection");
    if (!field_guid_ok(u.id))
        return err_set(e, ERR_INVALID, 0, "Identity Protection: a user's id is no GUID");
    field_copy(u.name, sizeof(u.name), json_str(j, "userDisplayName"));
    u.level = risk_level_of(u.level_word);
    u.state = risk_state_of(u.state_word);
    *ret_user = u;
    return 0;
}

int risk_read_detection(const struct cJSON *j, struct risk_detection *ret_detection, struct err *e)
{
    struct risk_detection d = {0};

    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, 0, "Identity Protection: the answer is no detection");
    if (field_str(j, "id", FIELD_MUST, d.id, sizeof(d.id), e) < 0 ||
        field_str(j, "userId", FIELD_MUST, d.user_id, sizeof(d.user_id), e) < 0 ||
        field_str(j, "riskEventType", FIELD_MAY_LACK, d.type, sizeof(d.type), e) < 0 ||
        field_str(j, "riskLevel", FIELD_MAY_LACK, d.level_word, sizeof(d.level_word), e) < 0 ||
        field_str(j, "riskState", FIELD_MAY_LACK, d.state_word, sizeof(d.state_word), e) < 0 ||
        field_str(j, "riskDetail", FIELD_MAY_LACK, d.detail, sizeof(d.detail), e) < 0 ||
        field_str(j, "ipAddress", FIELD_MAY_LACK, d.ip, sizeof(d.ip), e) < 0 ||
        field_time(j, "activityDateTime", FIELD_MAY_LACK, &d.activity_ms, e) < 0 ||
        field_time(j, "detectedDateTime", FIELD_MUST, &d.detected_ms, e) < 0)
        return err_wrap(e, "Identity Protection");
    field_copy(d.source, sizeof(d.source), json_str(j, "source"));
    d.level = risk_level_of(d.level_word);
    d.state = risk_state_of(d.state_word);
    *ret_detection = d;
    return 0;
}

/* --- one user --------------------------------------------------------------------------------- */

static int read_same(const struct cJSON *j, const char *id, struct risk_user *u, struct err *e)
{
    if (risk_read_user(j, u, e) < 0)
        return -1;
    if (!text_eq_nocase(u->id, id))
        return err_set(e, ERR_INVALID, 0, "Identity Protection answers about another user than %s",
                       id);
    return 0;
}

static void on_user(void *arg, const struct graph_answer *a, const struct err *e)
{
    CLEANUP(call_freep) struct risk_call *c = arg;
    struct risk_user u;
    struct err mine;

    c->call = NULL;
    if (e == NULL && read_same(a->json, c->id, &u, &mine) < 0)
        e = &mine;
    c->user_cb(c->arg, e == NULL ? &u : NULL, e);
}

static int ask_user(struct risk_call *c, const char *id, graph_cb cb, struct err *e)
{
    char path[PATH_LEN];
    const struct graph_ask ask = {
        .method = "GET", .path = path, .flags = GRAPH_ENUMS, .all_ms = ALL_MS};

    (void)snprintf(path, sizeof(path), "/identityProtection/riskyUsers/%s", id);
    return graph_start(c->graph, &ask, cb, c, &c->call, e);
}

int risk_read_start(struct graph *g, const char *user_id, risk_user_cb cb, void *arg,
                    struct risk_call **ret_call, struct err *e)
{
    CLEANUP(call_freep) struct risk_call *c = NULL;

    if (!field_guid_ok(user_id))
        return err_set(e, ERR_USAGE, 0, "Identity Protection: the user's id is no GUID");
    if (call_new(g, arg, &c, e) < 0)
        return -1;
    c->user_cb = cb;
    field_copy(c->id, sizeof(c->id), user_id);
    if (ask_user(c, user_id, on_user, e) < 0)
        return -1;
    give(ret_call, TAKE(c));
    return 0;
}

/* --- lists ------------------------------------------------------------------------------------ */

/* Room for one more of `size`; false: no memory, said in c->why. */
static bool grow(struct risk_call *c, void **items, size_t size)
{
    size_t cap = c->cap != 0 ? c->cap * 2 : 32;
    void *p;

    if (c->count < c->cap)
        return true;
    p = reallocarray(*items, cap, size);
    if (p == NULL) {
        c->bad = true;
        (void)err_set(&c->why, ERR_NOMEM, 0, "Identity Protection");
        return false;
    }
    *items = p;
    c->cap = cap;
    return true;
}

static bool wanted(const struct risk_call *c, const struct risk_user *u)
{
    const struct risk_filter *f = &c->filter;

    if (u->deleted || (f->at_least != RISK_LEVEL_UNKNOWN && u->level < f->at_least) ||
        (f->state != RISK_STATE_UNKNOWN && u->state != f->state))
        return false;
    for (size_t i = 0; i < c->count; i++) {
        if (text_eq_nocase(c->users[i].id, u->id))
            return false; /* a page may repeat what the one before had */
    }
    return true;
}

static bool on_item(void *arg, const struct cJSON *item)
{
    struct risk_call *c = arg;
    struct risk_user u;
    void *p = c->users;

    if (risk_read_user(item, &u, &c->why) < 0) {
        c->bad = true;
        return false;
    }
    if (!wanted(c, &u))
        return true;
    if (c->count == c->max) {
        c->more = true;
        return false;
    }
    if (!grow(c, &p, sizeof(u)))
        return false;
    c->users = p;
    c->users[c->count++] = u;
    return true;
}

static void on_items(void *arg, const struct err *e)
{
    CLEANUP(call_freep) struct risk_call *c = arg;

    c->call = NULL;
    if (c->bad)
        e = &c->why;
    c->list_cb(c->arg, e == NULL ? c->users : NULL, e == NULL ? c->count : 0, c->more, e);
}

static void filter_text(struct text *t, const struct risk_filter *f)
{
    /* "eq" only: which other operators there are is not known. */
    static const char *const levels[] = {
        /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one text in two lines */
        [RISK_LEVEL_LOW] = "(riskLevel%20eq%20%27low%27%20or%20riskLevel%20eq%20%27medium%27%20or"
                           "%20riskLevel%20eq%20%27high%27)",
        [RISK_LEVEL_MEDIUM] = "(riskLevel%20eq%20%27medium%27%20or%20riskLevel%20eq%20%27high%27)",
        [RISK_LEVEL_HIGH] = "riskLevel%20eq%20%27high%27",
    };
    bool level = f->at_least >= RISK_LEVEL_LOW && f->at_least <= RISK_LEVEL_HIGH;
    bool state = f->state > RISK_STATE_UNKNOWN && f->state <= RISK_STATE_COMPROMISED;

    text_add(t, "/identityProtection/riskyUsers");
    if (level || state)
        text_add(t, "?$filter=");
    if (level)
        text_add(t, levels[f->at_least]);
    if (level && state)
        text_add(t, "%20and%20");
    if (state)
        text_addf(t, "riskState%%20eq%%20%%27%s%%27", state_words[f->state]);
}

int risk_list_start(struct graph *g, const struct risk_filter *f, risk_list_cb cb, void *arg,
                    struct risk_call **ret_call, struct err *e)
{
    CLEANUP(call_freep) struct risk_call *c = NULL;
    CLEANUP(text_done) struct text path = TEXT_INIT(PATH_LEN);
    struct graph_ask ask = {
        .method = "GET", .flags = GRAPH_ENUMS | GRAPH_ALONE, .all_ms = ALL_LIST_MS};

    if (call_new(g, arg, &c, e) < 0)
        return -1;
    c->list_cb = cb;
    c->filter = *f;
    c->max = f->max == 0 ? LIST_MAX : f->max < LIST_LIMIT ? f->max : LIST_LIMIT;
    filter_text(&path, f);
    if (text_check(&path, "Identity Protection", e) < 0)
        return -1;
    ask.path = path.s;
    if (graph_list(g, &ask, PAGES, on_item, on_items, c, &c->call, e) < 0)
        return -1;
    give(ret_call, TAKE(c));
    return 0;
}

/* --- detections ------------------------------------------------------------------------------- */

static bool on_detection(void *arg, const struct cJSON *item)
{
    struct risk_call *c = arg;
    struct risk_detection d;
    void *p = c->detections;

    if (risk_read_detection(item, &d, &c->why) < 0) {
        c->bad = true;
        return false;
    }
    /* Which filters the service obeys is not known: so here, too. */
    if (!text_eq_nocase(d.user_id, c->id) || d.detected_ms < c->since_ms)
        return true;
    if (c->count == c->max) {
        c->more = true;
        return false;
    }
    if (!grow(c, &p, sizeof(d)))
        return false;
    c->detections = p;
    c->detections[c->count++] = d;
    return true;
}

static int newest_first(const void *a, const void *b)
{
    const struct risk_detection *x = a, *y = b;

    return (x->detected_ms < y->detected_ms) - (x->detected_ms > y->detected_ms);
}

static void on_detections(void *arg, const struct err *e)
{
    CLEANUP(call_freep) struct risk_call *c = arg;

    c->call = NULL;
    if (c->bad)
        e = &c->why;
    if (e == NULL && c->count > 1)
        qsort(c->detections, c->count, sizeof(*c->detections), newest_first);
    c->detections_cb(c->arg, e == NULL ? c->detections : NULL, e == NULL ? c->count : 0, c->more,
                     e);
}

int risk_detections_start(struct graph *g, const char *user_id, int64_t since_ms,
                          risk_detections_cb cb, void *arg, struct risk_call **ret_call,
                          struct err *e)
{
    CLEANUP(call_freep) struct risk_call *c = NULL;
    char path[PATH_LEN], since[STAMP_TEXT];
    const struct graph_ask ask = {
        .method = "GET", .path = path, .flags = GRAPH_ENUMS | GRAPH_ALONE, .all_ms = ALL_LIST_MS};

    if (!field_guid_ok(user_id))
        return err_set(e, ERR_USAGE, 0, "Identity Protection: the user's id is no GUID");
    if (call_new(g, arg, &c, e) < 0)
        return -1;
    c->detections_cb = cb;
    c->since_ms = since_ms;
    c->max = DETECTIONS_MAX;
    field_copy(c->id, sizeof(c->id), user_id);
    (void)snprintf(path, sizeof(path),
                   "/identityProtection/riskDetections?$filter=userId%%20eq%%20%%27%s%%27%%20and"
                   "%%20detectedDateTime%%20ge%%20%s&$top=50",
                   user_id, stamp_iso(since, since_ms));
    if (graph_list(g, &ask, PAGES, on_detection, on_detections, c, &c->call, e) < 0)
        return -1;
    give(ret_call, TAKE(c));
    return 0;
}

/* --- marking ---------------------------------------------------------------------------------- */

static void send_some(struct risk_call *c);
static void on_marked(void *arg, const struct graph_answer *a, const struct err *e);
static void look(struct risk_call *c);
static void on_looked(void *arg, const struct graph_answer *a, const struct err *e);
static void finish_mark(struct risk_call *c);

static int take_ids(struct risk_call *c, const char *const *ids, size_t n, struct err *e)
{
    if (n == 0 || n > IDS_MAX)
        return err_set(e, ERR_USAGE, 0, "Identity Protection: 1 to %d users", IDS_MAX);
    c->results = calloc(n, sizeof(*c->results));
    if (c->results == NULL)
        return err_set(e, ERR_NOMEM, 0, "Identity Protection");
    c->n = n;
    for (size_t i = 0; i < n; i++) {
        if (!field_guid_ok(ids[i]))
            return err_set(e, ERR_USAGE, 0, "Identity Protection: the user's id is no GUID");
        for (size_t k = 0; k < i; k++) {
            if (text_eq_nocase(c->results[k].id, ids[i]))
                return err_set(e, ERR_USAGE, 0, "Identity Protection: a user is named twice");
        }
        field_copy(c->results[i].id, sizeof(c->results[i].id), ids[i]);
        c->results[i].how = RISK_NOT_DONE;
        c->results[i].code = ERR_CANCELED; /* until it is sent */
    }
    return 0;
}

/* One request with results[from..to). */
static int ask_mark(struct risk_call *c, struct err *e)
{
    CLEANUP(text_done) struct text body = TEXT_INIT(BODY_MAX);
    struct graph_ask ask = {.method = "POST",
                            .path = c->mark == RISK_DISMISS
                                        ? "/identityProtection/riskyUsers/dismiss"
                                        : "/identityProtection/riskyUsers/confirmCompromised",
                            .flags = GRAPH_ALONE,
                            .all_ms = ALL_MS};
    struct json_out o;

    c->to = c->n - c->from > IDS_PER_CALL ? c->from + IDS_PER_CALL : c->n;
    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    json_out_array(&o, "userIds");
    for (size_t i = c->from; i < c->to; i++)
        json_out_str(&o, NULL, c->results[i].id);
    json_out_end_array(&o);
    json_out_end_object(&o);
    if (text_check(&body, "Identity Protection", e) < 0)
        return -1;
    ask.body = body.s;
    return graph_start(c->graph, &ask, on_marked, c, &c->call, e);
}

int risk_mark_start(struct graph *g, enum risk_mark mark, const char *const *user_ids, size_t n,
                    risk_mark_cb cb, void *arg, struct risk_call **ret_call, struct err *e)
{
    CLEANUP(call_freep) struct risk_call *c = NULL;

    if (call_new(g, arg, &c, e) < 0)
        return -1;
    c->mark_cb = cb;
    c->mark = mark;
    if (take_ids(c, user_ids, n, e) < 0 || ask_mark(c, e) < 0)
        return -1;
    give(ret_call, TAKE(c));
    return 0;
}

static void note(struct risk_call *c, const struct err *e)
{
    if (!c->has_first)
        c->first = *e;
    c->has_first = true;
}

static void set_all(struct risk_call *c, size_t to, enum risk_marked how, enum err_code code)
{
    for (size_t i = c->from; i < to; i++) {
        c->results[i].how = how;
        c->results[i].code = code;
    }
}

/* The next sixty, or the end. */
static void send_some(struct risk_call *c)
{
    struct err e;

    c->from = c->to;
    if (c->from < c->n && c->canceled) {
        (void)err_set(&e, ERR_CANCELED, 0, "Identity Protection: given up before all was sent");
        note(c, &e);
    } else if (c->from < c->n) {
        if (ask_mark(c, &e) == 0)
            return;
        note(c, &e);
        set_all(c, c->n, RISK_NOT_DONE, e.code);
    }
    finish_mark(c);
}

static bool is_clear_no(const struct err *e)
{
    return err_is_refusal(e) || e->code == ERR_UNSENT || e->code == ERR_CANCELED ||
           e->code == ERR_NOMEM;
}

static void on_marked(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct risk_call *c = arg;

    c->call = NULL;
    if (a != NULL)
        (void)field_shown(c->request_id, sizeof(c->request_id), a->request_id);
    if (e == NULL) {
        set_all(c, c->to, RISK_ACCEPTED, ERR_OK);
        send_some(c);
        return;
    }
    note(c, e);
    if (is_clear_no(e)) {
        set_all(c, c->to, RISK_NOT_DONE, e->code);
        if (e->code == ERR_DENIED || e->code == ERR_AUTH || e->code == ERR_CANCELED) {
            c->from = c->to; /* the next ones would hear the same */
            set_all(c, c->n, RISK_NOT_DONE, e->code);
            c->to = c->n;
        }
        send_some(c);
        return;
    }
    set_all(c, c->to, RISK_UNPROVEN, ERR_UNPROVEN);
    c->at = c->from;
    look(c);
}

static void look(struct risk_call *c)
{
    struct err e;

    if (!c->canceled && c->at < c->to && c->looks < LOOKS_MAX) {
        c->looks++;
        if (ask_user(c, c->results[c->at].id, on_looked, &e) == 0)
            return;
    }
    send_some(c);
}

static void on_looked(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct risk_call *c = arg;
    struct risk_result *r = &c->results[c->at++];
    enum risk_state goal = c->mark == RISK_DISMISS ? RISK_STATE_DISMISSED : RISK_STATE_COMPROMISED;
    struct risk_user u;
    struct err mine;

    c->call = NULL;
    if (e == NULL && read_same(a->json, r->id, &u, &mine) == 0 && u.state == goal) {
        r->how = RISK_SEEN;
        r->code = ERR_OK;
    }
    look(c);
}

static void finish_mark(struct risk_call *c)
{
    bool fine = true;

    for (size_t i = 0; i < c->n; i++)
        fine = fine && (c->results[i].how == RISK_ACCEPTED || c->results[i].how == RISK_SEEN);
    c->mark_cb(c->arg, c->results, c->n, c->request_id, fine ? NULL : &c->first);
    call_free(c);
}
