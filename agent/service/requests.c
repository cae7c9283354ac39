/* agent/service/requests.c -- see requests.h.
 *
 * Reading folds the records of one request, in order, into one entry. What stands in the ledger is
 * our own writing, and is read with the same strictness as anything from outside.
 */
#include "agent/service/requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/stamp.h"

static const char *const words[] = {"unknown", "running", "held", "decided", "done"};

const char *request_state_word(enum request_state s)
{
    return words[s];
}

/* --- reading ------------------------------------------------------------------------- */

struct fold {
    struct request_entry en;
    struct intake_request request;
    char case_id[ID_ULID];
    struct cJSON *taken, *held, *decision, *result; /* what the entry points into */
    char *people[REQUESTS_PEOPLE];                  /* who approved of this hold */
    bool any, broken;
};

static void forget_people(struct fold *f)
{
    for (size_t i = 0; i < ARRAY_LEN(f->people); i++) {
        free(f->people[i]);
        f->people[i] = NULL;
    }
    f->en.approvals = 0;
}

static void fold_done(struct fold *f)
{
    forget_people(f);
    json_free(f->taken);
    json_free(f->held);
    json_free(f->decision);
    json_free(f->result);
}

static void keep(struct cJSON **slot, struct cJSON **j)
{
    json_free(*slot);
    *slot = TAKE(*j);
}

static bool read_taken(struct fold *f, const struct ledger_record *r, struct cJSON **j)
{
    const char *body = json_str(*j, "body");
    struct request_entry *en = &f->en;
    struct err e;

    en->digest = json_str(*j, "digest");
    en->signer = json_str(*j, "signer");
    en->message = json_str(*j, "message");
    if (body == NULL || en->digest == NULL || en->signer == NULL || en->message == NULL ||
        !id_ulid_ok(r->case_id) || intake_request_parse(body, strlen(body), &f->request, &e) < 0)
        return false;
    memcpy(f->case_id, r->case_id, sizeof(f->case_id));
    en->case_id = f->case_id;
    en->request = &f->request;
    en->state = REQUEST_RUNNING;
    en->received_ms = r->time_ms;
    /* What was answered before was another message of this id, and refused. */
    en->result = NULL;
    en->delivered = false;
    en->hold = false;
    (void)json_bool(*j, "hold", &en->hold);
    keep(&f->taken, j);
    return true;
}

static bool read_held(struct fold *f, const struct ledger_record *r, struct cJSON **j)
{
    struct request_entry *en = &f->en;
    int64_t approvals, until;

    en->held_rule = json_str(*j, "rule");
    en->held_why = json_str(*j, "why");
    if (en->held_rule == NULL || en->held_why == NULL || !json_i64(*j, "approvals", &approvals) ||
        !json_i64(*j, "until_ms", &until) || approvals < 1 || approvals > REQUESTS_PEOPLE)
        return false;
    forget_people(f);
    en->state = REQUEST_HELD;
    en->declined = false;
    en->held_ms = r->time_ms;
    en->held_until_ms = until;
    en->approvals_needed = (unsigned)approvals;
    keep(&f->held, j);
    return true;
}

static bool read_decision(struct fold *f, struct cJSON **j)
{
    struct request_entry *en = &f->en;
    bool approve;

    en->decided_by = json_str(*j, "by");
    en->decided_why = json_str(*j, "why");
    if (en->decided_by == NULL || en->decided_why == NULL || !json_bool(*j, "approve", &approve))
        return false;
    if (approve && en->approvals < REQUESTS_PEOPLE) {
        f->people[en->approvals] = text_dup(en->decided_by);
        if (f->people[en->approvals] == NULL)
            return false;
        en->approvals++;
    }
    en->declined = !approve;
    if (!approve || en->approvals >= en->approvals_needed)
        en->state = REQUEST_DECIDED;
    keep(&f->decision, j);
    return true;
}

static bool read_result(struct fold *f, struct cJSON **j)
{
    f->en.result = json_str(*j, "jws");
    if (f->en.result == NULL)
        return false;
    if (f->en.request != NULL)
        f->en.state = REQUEST_DONE;
    f->en.delivered = false;
    keep(&f->result, j);
    return true;
}

static bool on_record(void *arg, const struct ledger_record *r)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct fold *f = arg;
    bool good = true;
    struct err e;

    f->any = true;
    if (json_parse(r->body, strlen(r->body), NULL, &j, &e) < 0)
        good = false;
    else if (strcmp(r->kind, "request") == 0)
        good = read_taken(f, r, &j);
    else if (strcmp(r->kind, "held") == 0)
        good = read_held(f, r, &j);
    else if (strcmp(r->kind, "decision") == 0)
        good = read_decision(f, &j);
    else if (strcmp(r->kind, "result") == 0)
        good = read_result(f, &j);
    else if (strcmp(r->kind, "delivered") == 0)
        f->en.delivered = true;
    if (strcmp(r->kind, "refused") != 0) /* moves nothing */
        f->en.moved = r->seq;
    f->broken = !good;
    return good;
}

/* ret: of fold_done, whatever comes. */
static int find(struct ledger *l, const char *id, struct fold *ret, struct err *e)
{
    *ret = (struct fold){.en = {.id = id,
                                .digest = "",
                                .signer = "",
                                .message = "",
                                .case_id = "",
                                .held_why = "",
                                .held_rule = "",
                                .decided_by = "",
                                .decided_why = ""}};
    if (ledger_each_request(l, id, on_record, ret, e) < 0)
        return -1;
    if (ret->broken)
        return err_set(e, ERR_INVALID, 0, "request %s: its records cannot be read", id);
    return ret->any ? 0 : err_set(e, ERR_NOTFOUND, 0, "no request %s", id);
}

int requests_find(struct ledger *l, const char *id, request_each_cb cb, void *arg, struct err *e)
{
    struct fold f;
    int rc = find(l, id, &f, e);

    if (rc == 0)
        (void)cb(arg, &f.en);
    fold_done(&f);
    return rc;
}

struct opening {
    struct ledger *ledger;
    request_each_cb cb;
    void *arg;
};

static bool on_open(void *arg, const struct ledger_record *r)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const struct opening *o = arg;
    struct fold f = {0};
    const char *id;
    bool more = true;
    struct err e;

    if (json_parse(r->body, strlen(r->body), NULL, &j, &e) < 0)
        return true;
    id = json_str(j, "request");
    if (id != NULL && find(o->ledger, id, &f, &e) == 0)
        more = o->cb(o->arg, &f.en);
    else
        log_error("record %lld: %s; it is left out", (long long)r->seq,
                  id != NULL ? e.msg : "it names no request");
    fold_done(&f);
    return more;
}

int requests_open(struct ledger *l, request_each_cb cb, void *arg, struct err *e)
{
    struct opening o = {.ledger = l, .cb = cb, .arg = arg};

    return ledger_open_requests(l, on_open, &o, e);
}

int requests_seen_ms(struct ledger *l, int64_t *ret_ms, struct err *e)
{
    return ledger_latest_ms(l, ret_ms, e);
}

/* --- writing ------------------------------------------------------------------------- */

struct record {
    struct text body;
    struct json_out o;
};

static void begin(struct record *r, const char *id)
{
    text_init(&r->body, LEDGER_BODY_MAX);
    json_out_init(&r->o, &r->body);
    json_out_object(&r->o, NULL);
    json_out_str(&r->o, "request", id); /* first: see ledger_db.h */
}

static int add(struct record *r, struct ledger *l, const char *case_id, const char *kind,
               ledger_cb cb, void *arg, struct err *e)
{
    int rc;

    json_out_end_object(&r->o);
    rc = text_check(&r->body, kind, e);
    if (rc == 0)
        rc = ledger_add(l, case_id, kind, r->body.s, cb, arg, e);
    text_done(&r->body);
    return rc;
}

int requests_accept(struct ledger *l, const struct intake_request *r, const char *digest,
                    const char *signer, const char *message, const char *case_id, bool hold,
                    ledger_cb cb, void *arg, struct err *e)
{
    struct text body = TEXT_INIT(INTAKE_BODY_MAX);
    struct record rec;
    int rc = intake_request_json(r, &body, e);

    if (rc == 0) {
        begin(&rec, r->id);
        json_out_str(&rec.o, "digest", digest);
        json_out_str(&rec.o, "signer", signer);
        json_out_str(&rec.o, "message", message);
        if (hold)
            json_out_bool(&rec.o, "hold", hold);
        json_out_str(&rec.o, "body", body.s);
        rc = add(&rec, l, case_id, "request", cb, arg, e);
    }
    text_done(&body);
    return rc;
}

int requests_refuse(struct ledger *l, const char *id, const char *word, const char *why,
                    const char *signer, ledger_cb cb, void *arg, struct err *e)
{
    struct record r;

    begin(&r, id);
    json_out_str(&r.o, "outcome", word);
    json_out_str(&r.o, "why", why);
    json_out_str(&r.o, "signer", signer);
    return add(&r, l, "", "refused", cb, arg, e);
}

int requests_refuse_many(struct ledger *l, uint64_t count, const char *why, ledger_cb cb, void *arg,
                         struct err *e)
{
    struct record r;

    begin(&r, "");
    json_out_str(&r.o, "outcome", "many");
    json_out_u64(&r.o, "count", count);
    json_out_str(&r.o, "why", why);
    return add(&r, l, "", "refused", cb, arg, e);
}

int requests_hold(struct ledger *l, const char *id, const char *case_id, const char *rule,
                  const char *why, unsigned approvals, int64_t until_ms, ledger_cb cb, void *arg,
                  struct err *e)
{
    struct record r;

    begin(&r, id);
    json_out_str(&r.o, "rule", rule);
    json_out_str(&r.o, "why", why);
    json_out_u64(&r.o, "approvals", approvals);
    json_out_i64(&r.o, "until_ms", until_ms);
    return add(&r, l, case_id, "held", cb, arg, e);
}

/* The name in front of what says where it is from. */
static size_t name_length(const char *s)
{
    return strcspn(s, "@ (");
}

bool requests_same_person(const char *a, const char *b)
{
    size_t n = name_length(a);

    if (strcmp(a, b) == 0)
        return true;
    return n > 0 && n == name_length(b) && strncasecmp(a, b, n) == 0;
}

/* Did the kernel know by which login they came? See control_who.h. */
static bool came_by_login(const char *by)
{
    return strstr(by, " (login uid ") != NULL;
}

static int judge_decision(const struct fold *f, bool approve, const char *by, int64_t now_ms,
                          struct err *e)
{
    const struct request_entry *en = &f->en;

    if (en->state != REQUEST_HELD)
        return err_set(e, ERR_NOTFOUND, 0, "request %s is not held: it is %s", en->id,
                       words[en->state]);
    if (by == NULL) /* nobody decided */
        return now_ms >= en->held_until_ms
                   ? 0
                   : err_set(e, ERR_CONFLICT, 0, "request %s: its time is not over", en->id);
    if (now_ms >= en->held_until_ms)
        return err_set(e, ERR_CONFLICT, 0, "request %s: the time to decide is over", en->id);
    if (!approve)
        return 0; /* anybody may say no, also whoever asked */
    if (requests_same_person(by, en->request->requester))
        return err_set(e, ERR_REFUSED, 0, "request %s: asked for by the same person (%.200s)",
                       en->id, en->request->requester);
    for (unsigned i = 0; i < en->approvals; i++) {
        if (requests_same_person(by, f->people[i]))
            return err_set(e, ERR_REFUSED, 0, "request %s: needs another person than %.200s",
                           en->id, f->people[i]);
        if (came_by_login(by) != came_by_login(f->people[i]))
            return err_set(e, ERR_REFUSED, 0,
                           "request %s: nobody can tell whether %.100s is another person than "
                           "%.100s: approve from a login of your own (ssh, console), not from "
                           "cron or systemd-run",
                           en->id, by, f->people[i]);
    }
    return 0;
}

int requests_decide(struct ledger *l, const char *id, bool approve, const char *by, const char *why,
                    int64_t now_ms, ledger_cb cb, void *arg, struct err *e)
{
    struct record r;
    struct fold f;
    int rc = find(l, id, &f, e);

    if (rc == 0)
        rc = judge_decision(&f, approve, by, now_ms, e);
    if (rc == 0) {
        begin(&r, id);
        json_out_bool(&r.o, "approve", approve && by != NULL);
        json_out_str(&r.o, "by", by != NULL ? by : "");
        json_out_str(&r.o, "why", why);
        rc = add(&r, l, f.en.case_id, "decision", cb, arg, e);
    }
    fold_done(&f);
    return rc;
}

int requests_answer(struct ledger *l, const char *id, const char *case_id, const char *jws,
                    ledger_cb cb, void *arg, struct err *e)
{
    struct record r;

    begin(&r, id);
    json_out_str(&r.o, "jws", jws);
    return add(&r, l, case_id, "result", cb, arg, e);
}

int requests_delivered(struct ledger *l, const char *id, const char *where, ledger_cb cb, void *arg,
                       struct err *e)
{
    struct record r;

    begin(&r, id);
    json_out_str(&r.o, "where", where);
    return add(&r, l, "", "delivered", cb, arg, e);
}
