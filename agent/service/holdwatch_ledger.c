/* agent/service/holdwatch_ledger.c -- the records of what is watched, and a start from them.
 *
 *   watching    from now on, for so long
 *   came-back   told; with "put-back" as its policy it is contained again
 *   dead-again  it was put back, or seen disabled: the next return is told again
 *   watch-over  given back on purpose
 */
#include "agent/service/holdwatch_inside.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/stamp.h"

/* --- writing --------------------------------------------------------------------------- */

static const char *word(enum holdwatch_where where)
{
    return where == HOLDWATCH_AD ? "ad" : "entra";
}

static void begin(struct json_out *o, struct text *t, const char *request)
{
    json_out_init(o, t);
    json_out_object(o, NULL);
    json_out_str(o, "request", request);
}

static int put(const struct holdwatch *h, const char *case_id, const char *kind, struct json_out *o,
               struct text *t, struct err *e)
{
    int rc;

    json_out_end_object(o);
    rc = text_check(t, "hold_watch", e);
    if (rc == 0)
        rc = ledger_add(h->ledger, case_id, kind, t->s, NULL, NULL, e);
    text_done(t);
    return rc;
}

int holdwatch_record_watching(struct holdwatch *h, const struct holdwatch_account *a, struct err *e)
{
    struct text t = TEXT_INIT(LEDGER_BODY_MAX);
    char guid[AD_GUID_TEXT] = "";
    struct json_out o;

    begin(&o, &t, a->request);
    json_out_str(&o, "domain", a->domain);
    json_out_str(&o, "name", a->name);
    json_out_str(&o, "sid", a->sid != NULL ? a->sid : "");
    json_out_str(&o, "dn", a->dn != NULL ? a->dn : "");
    json_out_str(&o, "guid", a->guid != NULL ? ad_guid_to_text(a->guid, guid) : "");
    json_out_str(&o, "entra", a->entra_id != NULL ? a->entra_id : "");
    json_out_str(&o, "self", a->self_sid != NULL ? a->self_sid : "");
    json_out_u64(&o, "ms", h->cfg->hold_watch_ms);
    return put(h, a->case_id != NULL ? a->case_id : "", "watching", &o, &t, e);
}

void holdwatch_record_back(const struct holdwatch_entry *x, const struct holdwatch_return *r)
{
    struct text t = TEXT_INIT(LEDGER_BODY_MAX);
    struct json_out o;
    struct err e;

    begin(&o, &t, x->request);
    json_out_str(&o, "where", word(r->where));
    json_out_str(&o, "who", r->who);
    json_out_str(&o, "what", r->what);
    json_out_str(&o, "policy", r->policy);
    json_out_bool(&o, "read", r->read);
    json_out_u64(&o, "put_backs", x->put_backs);
    if (put(x->h, x->case_id, "came-back", &o, &t, &e) < 0)
        log_error("hold_watch: %s", e.msg);
}

/* where: "" of no matter. */
static void record_plain(const struct holdwatch_entry *x, const char *kind, const char *where)
{
    struct text t = TEXT_INIT(LEDGER_BODY_MAX);
    struct json_out o;
    struct err e;

    begin(&o, &t, x->request);
    if (where[0] != '\0')
        json_out_str(&o, "where", where);
    if (put(x->h, x->case_id, kind, &o, &t, &e) < 0)
        log_warning("hold_watch: %s", e.msg);
}

void holdwatch_record_dead(const struct holdwatch_entry *x, enum holdwatch_where where)
{
    record_plain(x, "dead-again", word(where));
}

void holdwatch_record_over(const struct holdwatch_entry *x)
{
    record_plain(x, "watch-over", "");
}

/* --- reading --------------------------------------------------------------------------- */

struct reading {
    struct holdwatch *h;
    struct err *e;
    int64_t now_ms;
    bool failed;
};

static int take_watching(struct reading *r, const struct ledger_record *rec, const struct cJSON *j,
                         const char *request)
{
    struct holdwatch_account a = {.request = request, .case_id = rec->case_id};
    int64_t ms, age = r->now_ms - rec->time_ms;
    const char *text = json_str(j, "guid");
    struct ad_guid guid;

    if (!json_i64(j, "ms", &ms))
        return err_set(r->e, ERR_INVALID, 0, "not as cordon writes it");
    if (age < 0)
        age = 0;
    if (age >= ms || holdwatch_find(r->h, request) != NULL)
        return 0;
    a.domain = json_str(j, "domain");
    a.name = json_str(j, "name");
    a.sid = json_str(j, "sid");
    a.dn = json_str(j, "dn");
    a.entra_id = json_str(j, "entra");
    a.self_sid = json_str(j, "self");
    if (text != NULL && ad_guid_from_text(text, strlen(text), &guid) == 0)
        a.guid = &guid;
    return holdwatch_push(r->h, &a, (uint64_t)(ms - age), r->e);
}

static void take_state(struct holdwatch_entry *x, const struct cJSON *j, bool alive)
{
    const char *where = json_str(j, "where");
    int64_t n;

    if (where != NULL && strcmp(where, word(HOLDWATCH_AD)) == 0)
        x->in_ad_alive = alive;
    else
        x->in_entra_alive = alive;
    if (json_i64(j, "put_backs", &n) && n >= 0 && n <= HOLDWATCH_PUT_BACKS)
        x->put_backs = (unsigned)n;
}

static int take(struct reading *r, const struct ledger_record *rec, const struct cJSON *j)
{
    const char *request = json_str(j, "request");
    struct holdwatch_entry *x;

    if (request == NULL)
        return err_set(r->e, ERR_INVALID, 0, "not as cordon writes it");
    if (strcmp(rec->kind, "watching") == 0)
        return take_watching(r, rec, j, request);
    x = holdwatch_find(r->h, request);
    if (x == NULL)
        return 0;
    if (strcmp(rec->kind, "watch-over") == 0)
        x->over = true;
    else
        take_state(x, j, strcmp(rec->kind, "came-back") == 0);
    return 0;
}

static bool on_record(void *arg, const struct ledger_record *rec)
{
    static const char *const kinds[] = {"watching", "came-back", "dead-again", "watch-over"};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct reading *r = arg;
    bool ours = false;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        ours = ours || strcmp(rec->kind, kinds[i]) == 0;
    if (!ours)
        return true;
    r->failed = json_parse(rec->body, strlen(rec->body), NULL, &j, r->e) < 0 || take(r, rec, j) < 0;
    if (r->failed)
        (void)err_wrap(r->e, "ledger: record %lld (%s)", (long long)rec->seq, rec->kind);
    return !r->failed;
}

int holdwatch_read(struct holdwatch *h, struct err *e)
{
    struct reading r = {.h = h, .e = e, .now_ms = stamp_now_ms()};

    return ledger_each(h->ledger, NULL, 0, on_record, &r, e) < 0 || r.failed ? -1 : 0;
}
