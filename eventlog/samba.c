/* eventlog/samba.c -- see samba.h. The lines are those of Samba's source4/dsdb/samdb/ldb_modules/
 * audit_log.c and auth/auth_log.c (wiki: Setting up Audit Logging).
 *
 *   evlog_samba_line   whole, cut, or the rest of a cut one
 *   take_line          by type; what cannot concern us is never parsed
 *   on_change, on_password, on_transaction, on_authorization
 *   hold               until the transaction's end, or evlog_samba_due
 */
#include "eventlog/samba.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/stamp.h"
#include "eventlog/samflags.h"

enum {
    UAC_ACCOUNTDISABLE = 0x2, /* of userAccountControl, MS-ADTS 2.2.16 */
    GUID = 40,
    MEMBERS = 4096, /* a group change names each member */
    CUT_AGE = 64,   /* lines of others between two pieces of one */
};
static const char cut_end[] = " +>"; /* lib/util/debug.c: a line over 4,095 bytes is parted */

struct evlog_samba {
    uint64_t hold_ms;
    evlog_samba_cb cb;
    void *arg;
    uint64_t rollbacks;
    struct held {
        struct evlog_event *ev; /* its transaction is what it waits for */
        struct evlog_pos pos;
        uint64_t since;
    } held[EVLOG_SAMBA_HELD]; /* in the order they came */
    unsigned held_count;
    struct outcome {
        char id[GUID];
        bool committed;
    } outcomes[EVLOG_SAMBA_OUTCOMES]; /* a ring */
    unsigned outcome_count;
    struct session {
        char id[GUID];
        char sid[192], name[128], domain[64];
    } sessions[EVLOG_SAMBA_SESSIONS]; /* a ring */
    unsigned session_count;
    struct piece {
        struct text text; /* empty: none */
        unsigned age;
    } pieces[EVLOG_FILES];
};

int evlog_samba_new(uint64_t hold_ms, evlog_samba_cb cb, void *arg, struct evlog_samba **ret_samba,
                    struct err *e)
{
    struct evlog_samba *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "Samba's audit log");
    s->hold_ms = hold_ms == 0 ? EVLOG_SAMBA_HOLD_MS : hold_ms;
    s->cb = cb;
    s->arg = arg;
    for (size_t i = 0; i < EVLOG_FILES; i++)
        text_init(&s->pieces[i].text, EVLOG_LINE_MAX);
    *ret_samba = s;
    return 0;
}

void evlog_samba_free(struct evlog_samba *s)
{
    if (s == NULL)
        return;
    for (unsigned i = 0; i < s->held_count; i++)
        free(s->held[i].ev);
    for (size_t i = 0; i < EVLOG_FILES; i++)
        text_done(&s->pieces[i].text);
    free(s);
}

uint64_t evlog_samba_rollbacks(const struct evlog_samba *s)
{
    return s->rollbacks;
}

/* --- holding ---------------------------------------------------------------------------------- */

/* Take held[i] out of its place, to be delivered or dropped. */
static struct held take_held(struct evlog_samba *s, unsigned i)
{
    struct held h = s->held[i];

    s->held_count--;
    memmove(&s->held[i], &s->held[i + 1], (s->held_count - i) * sizeof(h));
    return h;
}

static void deliver(struct evlog_samba *s, struct held *h, enum evlog_commit commit)
{
    h->ev->commit = commit;
    s->cb(s->arg, h->ev, &h->pos);
    free(h->ev);
}

static bool no_transaction(const char *id)
{
    return id[strspn(id, "0-")] == '\0';
}

static int hold(struct evlog_samba *s, struct evlog_event *ev, const struct evlog_pos *pos,
                uint64_t now_ms, struct err *e)
{
    struct held *h;

    if (ev->outcome != EVLOG_SUCCESS || no_transaction(ev->transaction)) {
        ev->commit = EVLOG_COMMIT_UNSEEN;
        s->cb(s->arg, ev, pos);
        return 0;
    }
    for (unsigned i = 0; i < EVLOG_SAMBA_OUTCOMES && i < s->outcome_count; i++) {
        if (strcmp(s->outcomes[i].id, ev->transaction) != 0)
            continue;
        if (s->outcomes[i].committed) {
            ev->commit = EVLOG_COMMITTED;
            s->cb(s->arg, ev, pos);
        } else {
            s->rollbacks++;
        }
        return 0;
    }
    if (s->held_count == EVLOG_SAMBA_HELD) {
        struct held oldest = take_held(s, 0);

        deliver(s, &oldest, EVLOG_COMMIT_UNSEEN);
    }
    h = &s->held[s->held_count];
    *h = (struct held){.ev = evlog_event_dup(ev), .pos = *pos, .since = now_ms};
    if (h->ev == NULL)
        return err_set(e, ERR_NOMEM, 0, "a change in Samba's audit log");
    s->held_count++;
    return 0;
}

static void end_transaction(struct evlog_samba *s, const char *id, bool committed)
{
    struct outcome *o = &s->outcomes[s->outcome_count % EVLOG_SAMBA_OUTCOMES];

    if (strlen(id) >= sizeof(o->id) || no_transaction(id))
        return;
    memcpy(o->id, id, strlen(id) + 1);
    o->committed = committed;
    s->outcome_count++;
    if (s->outcome_count == 2 * EVLOG_SAMBA_OUTCOMES)
        s->outcome_count = EVLOG_SAMBA_OUTCOMES; /* never wraps; the ring's place is the same */
    for (unsigned i = 0; i < s->held_count;) {
        struct held h;

        if (strcmp(s->held[i].ev->transaction, id) != 0) {
            i++;
            continue;
        }
        h = take_held(s, i);
        if (committed) {
            deliver(s, &h, EVLOG_COMMITTED);
        } else {
            s->rollbacks++;
            free(h.ev);
        }
    }
}

uint64_t evlog_samba_due(struct evlog_samba *s, uint64_t now_ms)
{
    while (s->held_count > 0) {
        uint64_t age = now_ms - s->held[0].since;
        struct held h;

        if (now_ms >= s->held[0].since && age < s->hold_ms)
            return s->hold_ms - age;
        h = take_held(s, 0);
        deliver(s, &h, EVLOG_COMMIT_UNSEEN);
    }
    return 0;
}

void evlog_samba_flush(struct evlog_samba *s)
{
    while (s->held_count > 0) {
        struct held h = take_held(s, 0);

        deliver(s, &h, EVLOG_COMMIT_UNSEEN);
    }
}

/* --- sessions --------------------------------------------------------------------------------- */

static bool copy_to(char *to, size_t size, const char *from)
{
    if (from == NULL || strlen(from) >= size)
        return false;
    memcpy(to, from, strlen(from) + 1);
    return true;
}

static void on_authorization(struct evlog_samba *s, const struct cJSON *a)
{
    struct session *n = &s->sessions[s->session_count % EVLOG_SAMBA_SESSIONS];

    *n = (struct session){0};
    if (!copy_to(n->id, sizeof(n->id), json_str(a, "sessionId")) ||
        !copy_to(n->sid, sizeof(n->sid), json_str(a, "sid")) ||
        !copy_to(n->name, sizeof(n->name), json_str(a, "account"))) {
        n->id[0] = '\0';
        return;
    }
    (void)copy_to(n->domain, sizeof(n->domain), json_str(a, "domain"));
    s->session_count++;
    if (s->session_count == 2 * EVLOG_SAMBA_SESSIONS)
        s->session_count = EVLOG_SAMBA_SESSIONS;
}

/* The newest session of that id, if it is the same person's. */
static void name_actor(const struct evlog_samba *s, struct evlog_event *ev, const char *session)
{
    for (unsigned i = 0; session != NULL && i < EVLOG_SAMBA_SESSIONS && i < s->session_count; i++) {
        const struct session *n = &s->sessions[(s->session_count - 1 - i) % EVLOG_SAMBA_SESSIONS];

        if (strcmp(n->id, session) != 0 || !evlog_same_sid(n->sid, ev->actor.sid))
            continue;
        ev->actor.name = n->name;
        ev->actor.domain = n->domain;
        return;
    }
}

/* --- what the lines say --------------------------------------------------------------------------
 */

static const char *or_empty(const char *s)
{
    return s == NULL ? "" : s;
}

/* What every class has, under the same names. */
static int common(const struct evlog_samba *s, const struct cJSON *line, const struct cJSON *body,
                  struct evlog_event *ev, struct err *e)
{
    const char *remote = or_empty(json_str(body, "remoteAddress"));
    int64_t status;

    evlog_event_init(ev);
    ev->kind = EVLOG_SAMBA;
    if (!json_i64(body, "statusCode", &status))
        return err_set(e, ERR_INVALID, 0, "a Samba audit line without statusCode");
    ev->outcome = status == 0 ? EVLOG_SUCCESS : EVLOG_FAILURE;
    ev->has_time = stamp_parse_iso(or_empty(json_str(line, "timestamp")), &ev->time_ms);
    ev->target.dn = or_empty(json_str(body, "dn"));
    ev->actor.sid = or_empty(json_str(body, "userSid"));
    ev->transaction = or_empty(json_str(body, "transactionId"));
    ev->remote = text_starts(remote, "ipv4:") || text_starts(remote, "ipv6:") ? remote + 5 : remote;
    name_actor(s, ev, json_str(body, "sessionId"));
    return 0;
}

/* The one value of an action; false: none, several, cut or not text. */
static bool only_value(const struct cJSON *action, const char **ret)
{
    const struct cJSON *v = json_first(json_get(action, "values"));
    bool flag;

    if (v == NULL || json_next(v) != NULL || (json_bool(v, "base64", &flag) && flag) ||
        (json_bool(v, "truncated", &flag) && flag) || json_str(v, "value") == NULL)
        return false;
    *ret = json_str(v, "value");
    return true;
}

struct delta {
    bool has_old, has_new;
    uint32_t old, new;
};

/* userAccountControl: delete OLD, add NEW; or replace NEW, which does not say what was before.
 * Anything else leaves the values unknown. */
static void read_uac(const struct cJSON *attribute, struct delta *d)
{
    const struct cJSON *a = json_first(json_get(attribute, "actions"));

    for (; a != NULL; a = json_next(a)) {
        const char *what = or_empty(json_str(a, "action")), *text;
        int64_t v;

        /* It is a signed number in the directory, and may be negative. */
        if (!only_value(a, &text) || !text_to_i64(text, INT32_MIN, UINT32_MAX, &v)) {
            *d = (struct delta){0};
            return;
        }
        if (strcmp(what, "delete") == 0 && !d->has_old && !d->has_new) {
            d->has_old = true;
            d->old = (uint32_t)v;
        } else if (strcmp(what, "add") == 0 && d->has_old && !d->has_new) {
            d->has_new = true;
            d->new = (uint32_t)v;
        } else if (strcmp(what, "replace") == 0) {
            *d = (struct delta){.has_new = true, .new = (uint32_t)v};
        } else {
            *d = (struct delta){0};
            return;
        }
    }
}

static void read_password(const struct cJSON *attribute, struct evlog_event *ev, const char *when)
{
    const struct cJSON *a = json_first(json_get(attribute, "actions"));

    for (; a != NULL; a = json_next(a)) {
        const char *what = or_empty(json_str(a, "action")), *v;

        if (strcmp(what, "delete") == 0 || !only_value(a, &v))
            continue;
        /* 0: must be changed; -1 and any time: it counts as set (MS-SAMR 3.1.1.8.8). */
        ev->password_last_set = strcmp(v, "0") == 0 ? EVLOG_PLS_NEVER : EVLOG_PLS_TIME;
        ev->password_last_set_text = strcmp(v, "0") == 0 ? "" : when;
    }
}

static int on_change(struct evlog_samba *s, const struct cJSON *line, const struct cJSON *body,
                     const struct evlog_pos *pos, uint64_t now_ms, struct err *e)
{
    const char *when = or_empty(json_str(line, "timestamp"));
    struct evlog_event ev;
    struct delta d = {0};
    bool ours = false, disabled, was;

    if (strcmp(or_empty(json_str(body, "operation")), "Modify") != 0)
        return 0;
    if (common(s, line, body, &ev, e) < 0)
        return -1;
    /* Names of attributes as the client wrote them. */
    for (const struct cJSON *a = json_first(json_get(body, "attributes")); a != NULL;
         a = json_next(a)) {
        const char *name = or_empty(json_name(a));

        if (text_eq_nocase(name, "userAccountControl")) {
            read_uac(a, &d);
        } else if (text_eq_nocase(name, "pwdLastSet")) {
            read_password(a, &ev, when);
        } else if (text_eq_nocase(name, "unicodePwd") ||
                   text_eq_nocase(name, "clearTextPassword")) {
            if (ev.password_last_set == EVLOG_PLS_UNCHANGED) {
                ev.password_last_set = EVLOG_PLS_TIME;
                ev.password_last_set_text = when;
            }
        } else {
            continue;
        }
        ours = true;
    }
    if (!ours)
        return 0;

    disabled = (d.new &UAC_ACCOUNTDISABLE) != 0;
    was = (d.old & UAC_ACCOUNTDISABLE) != 0;
    ev.id = EVLOG_CHANGED;
    ev.uac.has_new = d.has_new;
    ev.uac.has_old = d.has_new && d.has_old;
    ev.uac.new = d.has_new ? evlog_sam_from_uac(d.new) : 0;
    ev.uac.old = ev.uac.has_old ? evlog_sam_from_uac(d.old) : 0;
    for (unsigned n = 0; ev.uac.has_old && n < EVLOG_SAM_BITS; n++)
        if (((ev.uac.old ^ ev.uac.new) & UINT32_C(1) << n) != 0)
            ev.uac.codes[ev.uac.code_count++] =
                evlog_sam_code_of(n, (ev.uac.new &UINT32_C(1) << n) != 0);
    if (ev.uac.has_old && disabled != was) {
        struct evlog_event flip = ev;

        flip.id = disabled ? EVLOG_DISABLED : EVLOG_ENABLED;
        flip.uac = (struct evlog_uac){0};
        flip.password_last_set = EVLOG_PLS_UNCHANGED;
        flip.password_last_set_text = "";
        if (hold(s, &flip, pos, now_ms, e) < 0)
            return -1;
    }
    return hold(s, &ev, pos, now_ms, e);
}

static int on_password(struct evlog_samba *s, const struct cJSON *line, const struct cJSON *body,
                       const struct evlog_pos *pos, uint64_t now_ms, struct err *e)
{
    struct evlog_event ev;
    int64_t id;

    if (common(s, line, body, &ev, e) < 0)
        return -1;
    if (!json_i64(body, "eventId", &id) ||
        (id != EVLOG_CHANGE_PASSWORD && id != EVLOG_RESET_PASSWORD))
        return err_set(e, ERR_INVALID, 0, "a passwordChange without an eventId");
    ev.id = (uint32_t)id;
    return hold(s, &ev, pos, now_ms, e);
}

static int on_transaction(struct evlog_samba *s, const struct cJSON *body, struct err *e)
{
    const char *id = json_str(body, "transactionId"), *action = json_str(body, "action");
    int64_t status = 0;
    bool failed = json_i64(body, "statusCode", &status) && status != 0;

    if (id == NULL || action == NULL)
        return err_set(e, ERR_INVALID, 0, "a dsdbTransaction without id or action");
    /* A commit that failed is written as one, with a status. "begin" ends nothing. */
    if (strcmp(action, "commit") == 0)
        end_transaction(s, id, !failed);
    else if (strcmp(action, "rollback") == 0 || failed)
        end_transaction(s, id, false);
    return 0;
}

/* --- lines ---------------------------------------------------------------------------------------
 */

/* memmem without regard to the case of ASCII letters. `needle` in lower case. */
static bool mentions(const char *s, size_t n, const char *needle)
{
    size_t len = strlen(needle);

    for (size_t i = 0; i + len <= n; i++) {
        size_t k = 0;

        while (k < len && (s[i + k] == needle[k] ||
                           (s[i + k] >= 'A' && s[i + k] <= 'Z' && (s[i + k] | 0x20) == needle[k])))
            k++;
        if (k == len)
            return true;
    }
    return false;
}

/* Most of a DC's lines cannot concern us (replication notes, logons): look before parsing. Where
 * the spelling is another than Samba's own, parse and see. */
static bool of_no_interest(const char *s, size_t n)
{
    static const char key[] = "\"type\": \"";
    const char *type = memmem(s, n, key, sizeof(key) - 1);
    size_t left;

    if (type == NULL)
        return false;
    type += sizeof(key) - 1;
    left = n - (size_t)(type - s);
#define TYPE_IS(word) (left >= sizeof(word) && memcmp(type, word "\"", sizeof(word)) == 0)
    if (TYPE_IS("dsdbTransaction") || TYPE_IS("passwordChange"))
        return false;
    if (TYPE_IS("dsdbChange"))
        return !mentions(s, n, "\"useraccountcontrol\"") && !mentions(s, n, "\"pwdlastset\"") &&
               !mentions(s, n, "\"unicodepwd\"") && !mentions(s, n, "\"cleartextpassword\"");
    if (TYPE_IS("Authorization"))
        return memmem(s, n, "\"LDAP\"", 6) == NULL;
#undef TYPE_IS
    return true;
}

static int take_line(struct evlog_samba *s, const char *line, size_t n, const struct evlog_pos *pos,
                     uint64_t now_ms, struct err *e)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const struct json_limits lim = {.bytes = EVLOG_LINE_MAX + 1, .members = MEMBERS};
    const struct cJSON *body;
    const char *type;

    if (of_no_interest(line, n))
        return 0;
    if (json_parse(line, n, &lim, &j, e) < 0)
        return -1;
    type = json_str(j, "type");
    body = type == NULL ? NULL : json_get(j, type);
    if (type == NULL || !json_is_object(body))
        return err_set(e, ERR_INVALID, 0, "JSON, but no Samba audit line");
    if (strcmp(type, "dsdbChange") == 0)
        return on_change(s, j, body, pos, now_ms, e);
    if (strcmp(type, "passwordChange") == 0)
        return on_password(s, j, body, pos, now_ms, e);
    if (strcmp(type, "dsdbTransaction") == 0)
        return on_transaction(s, body, e);
    if (strcmp(type, "Authorization") == 0)
        on_authorization(s, body);
    return 0;
}

bool evlog_samba_is(const char *line, size_t n)
{
    static const char begin[] = "{\"timestamp\": \"";

    while (n > 0 && *line == ' ') {
        line++;
        n--;
    }
    return n >= sizeof(begin) - 1 && memcmp(line, begin, sizeof(begin) - 1) == 0;
}

bool evlog_samba_waits(const struct evlog_samba *s, uint32_t file)
{
    return s->pieces[file % EVLOG_FILES].text.len > 0;
}

int evlog_samba_line(struct evlog_samba *s, const char *line, size_t n, const struct evlog_pos *pos,
                     uint64_t now_ms, struct err *e)
{
    struct piece *piece = &s->pieces[pos->file % EVLOG_FILES];
    bool rest = n >= 2 && line[0] == ' ' && line[1] == ' ' && (n == 2 || line[2] != '{');
    bool cut = n >= sizeof(cut_end) - 1 &&
               memcmp(line + n - (sizeof(cut_end) - 1), cut_end, sizeof(cut_end) - 1) == 0;
    int rc;

    if (n > EVLOG_LINE_MAX)
        return err_set(e, ERR_TOOBIG, 0, "a line of %zu bytes", n);
    /* Our piece has waited too long for its other half. */
    if (piece->text.len > 0 && ++piece->age > CUT_AGE)
        text_clear(&piece->text);

    /* The rest may begin with a brace too: where a piece waits, only the head of a line is none. */
    if (piece->text.len > 0 && n >= 2 && line[0] == ' ' && line[1] == ' ' &&
        !evlog_samba_is(line, n)) {
        size_t drop = 2 + (cut ? sizeof(cut_end) - 1 : 0);

        text_addn(&piece->text, line + 2, n > drop ? n - drop : 0);
        if (text_check(&piece->text, "a line in pieces", e) < 0) {
            text_clear(&piece->text);
            return -1;
        }
        if (cut)
            return 0;
        rc = take_line(s, piece->text.s, piece->text.len, pos, now_ms, e);
        text_clear(&piece->text);
        return rc;
    }
    if (cut) {
        bool lost = piece->text.len > 0;

        text_clear(&piece->text);
        piece->age = 0;
        text_addn(&piece->text, line, n - (sizeof(cut_end) - 1));
        if (text_check(&piece->text, "a line in pieces", e) < 0) {
            text_clear(&piece->text);
            return -1;
        }
        return lost ? err_set(e, ERR_INVALID, 0, "a cut line whose rest never came") : 0;
    }
    if (rest)
        return err_set(e, ERR_INVALID, 0, "the rest of a line whose head was not seen");
    return take_line(s, line, n, pos, now_ms, e);
}
