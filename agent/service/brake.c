/* agent/service/brake.c -- see brake.h.
 *
 *   brake_new      all records: each "automatic" is a change, each "brake" engages or lets go
 *   brake_take     counted already? engaged? which rule would be broken? else one record more
 *   brake_release  a record on disk; what was counted so far is let go
 *
 * Time is boot_now_ms(), which nobody can set. A change keeps when it was on that clock, and on
 * which boot (`place`): of this boot the age is exact, whatever became of the wall clock and
 * however often we were restarted. Of an earlier boot it is at least the time since this one, and
 * at least what the wall clock says less SLACK_MS: so a clock that is wrong by minutes lets nothing
 * through anew, and one that is behind holds nothing up for longer than a window. That is worked
 * out once, at start; from then on all ages go by the one clock.
 *
 * What was let go stays in the list, so that a request that was counted is known.
 */
#include "agent/service/brake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/boot.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/stamp.h"
#include "base/text.h"
#include "config/value.h"

enum {
    MINUTE_MS = 60 * 1000,
    SLACK_MS = 15 * MINUTE_MS,
    DAY_MS = 24 * 60 * MINUTE_MS,
    KEEP_MS = 7 * DAY_MS, /* no rule looks further back: config/check.c */
    SHARE_MIN = 5,        /* of a small domain a few hundredths would be nobody */
    WHY_MAX = 512,
};

enum rule { RULE_ALL, RULE_OU, RULE_SIGNER, RULE_PERCENT, RULES };
static const char *const rule_words[RULES] = {"all", "ou", "signer", "percent"};

struct change { /* a week of them is kept: all that is the same in many is shared */
    char request[ID_UUID];
    const char *domain, *signer, *ou; /* of `names`, never NULL; "": none */
    int64_t at_ms;                    /* boot_now_ms() then; of an earlier boot below 0 */
    bool let_go;
};

struct name { /* a domain, a signer or an OU */
    struct name *next;
    char text[];
};

struct domain_users {
    char *domain;
    uint64_t enabled;
};

struct brake {
    struct ledger *ledger; /* borrowed */
    struct cfg_rate rates[RULE_PERCENT];
    unsigned percent;
    char boot[ID_UUID];
    struct change *changes;
    size_t count, room;
    struct name *names;
    struct domain_users *domains;
    size_t domain_count;
    bool engaged, told; /* told: there is a record of it */
    enum rule rule;
    char *whom; /* of the engaged rule; NULL: it was read from the ledger */
    char why[WHY_MAX], request[ID_UUID];
    int64_t since_ms; /* wall clock */
};

/* --- the list ------------------------------------------------------------------------ */

/* As many as there are OUs, at most: they are kept as long as the brake. NULL: no memory. */
static const char *shared(struct brake *b, const char *text)
{
    size_t size = strlen(text != NULL ? text : "") + 1;
    struct name *n = b->names;

    if (size == 1)
        return "";
    while (n != NULL && strcmp(n->text, text) != 0)
        n = n->next;
    if (n != NULL)
        return n->text;
    n = malloc(sizeof(*n) + size);
    if (n == NULL)
        return NULL;
    memcpy(n->text, text, size);
    n->next = b->names;
    b->names = n;
    return n->text;
}

static int change_init(struct brake *b, struct change *c, const char *request, const char *domain,
                       const char *signer, const char *ou, struct err *e)
{
    *c = (struct change){
        .domain = shared(b, domain), .signer = shared(b, signer), .ou = shared(b, ou)};
    if (c->domain == NULL || c->signer == NULL || c->ou == NULL)
        return err_set(e, ERR_NOMEM, 0, "brake");
    if (strlen(request) >= sizeof(c->request))
        return err_set(e, ERR_INVALID, 0, "brake: that is no request's id");
    memcpy(c->request, request, strlen(request) + 1);
    return 0;
}

static int reserve(struct brake *b, struct err *e)
{
    size_t more = b->room == 0 ? 32 : b->room * 2;
    struct change *grown;

    if (b->count < b->room)
        return 0;
    grown = reallocarray(b->changes, more, sizeof(*grown));
    if (grown == NULL)
        return err_set(e, ERR_NOMEM, 0, "brake");
    b->changes = grown;
    b->room = more;
    return 0;
}

static void forget_old(struct brake *b, int64_t now)
{
    size_t kept = 0;

    for (size_t i = 0; i < b->count; i++) {
        if (now - b->changes[i].at_ms < KEEP_MS)
            b->changes[kept++] = b->changes[i];
    }
    b->count = kept;
}

static bool is_counted(const struct brake *b, const char *request)
{
    for (size_t i = 0; i < b->count; i++) {
        if (strcmp(b->changes[i].request, request) == 0)
            return true;
    }
    return false;
}

/* --- from the ledger ----------------------------------------------------------------- */

/* The OU of an account: what stands behind its first RDN. Backslash and quotes protect a comma
 * (RFC 4514 2.4, RFC 2253 4). "" where there is none. */
static const char *ou_of(const char *dn)
{
    bool quoted = false;

    for (const char *s = dn != NULL ? dn : ""; *s != '\0'; s++) {
        if (*s == '\\' && s[1] != '\0') {
            s++;
        } else if (*s == '"') {
            quoted = !quoted;
        } else if (*s == ',' && !quoted) {
            return s + 1 + strspn(s + 1, " ");
        }
    }
    return "";
}

/* When it was, on this boot's clock. */
static int64_t place(const struct brake *b, const char *boot, int64_t boot_ms, int64_t wall_ms,
                     int64_t now, int64_t now_wall_ms)
{
    bool known = b->boot[0] != '\0' && boot != NULL && boot[0] != '\0';
    int64_t age = now_wall_ms - wall_ms - SLACK_MS;

    if (known && strcmp(boot, b->boot) == 0)
        return boot_ms < now ? boot_ms : now;
    if (age < 0)
        age = 0;
    if (known && age < now) /* now: the time since this boot */
        age = now;
    return now - age;
}

struct reading {
    struct brake *b;
    int64_t now, now_wall_ms;
    struct err *e;
    bool failed;
};

static int read_change(struct reading *r, const struct ledger_record *rec, const struct cJSON *j)
{
    struct brake *b = r->b;
    const char *request = json_str(j, "request");
    int64_t boot_ms = 0;
    struct change c;

    if (request == NULL || !json_i64(j, "boot_ms", &boot_ms))
        return err_set(r->e, ERR_INVALID, 0, "not as cordon writes it: type  cordon audit verify");
    if (reserve(b, r->e) < 0 || change_init(b, &c, request, json_str(j, "domain"),
                                            json_str(j, "signer"), json_str(j, "ou"), r->e) < 0)
        return -1;
    c.at_ms = place(b, json_str(j, "boot"), boot_ms, rec->time_ms, r->now, r->now_wall_ms);
    b->changes[b->count++] = c;
    return 0;
}

static void let_all_go(struct brake *b)
{
    b->engaged = false;
    for (size_t i = 0; i < b->count; i++)
        b->changes[i].let_go = true;
}

/* Any state but "released" holds: one that we do not know is not the one to let things through. */
static int read_state(struct reading *r, const struct ledger_record *rec, const struct cJSON *j)
{
    struct brake *b = r->b;
    const char *state = json_str(j, "state"), *why = json_str(j, "why");

    if (state != NULL && strcmp(state, "released") == 0) {
        let_all_go(b);
        return 0;
    }
    b->engaged = b->told = true;
    b->since_ms = rec->time_ms;
    (void)snprintf(b->why, sizeof(b->why), "%s", why != NULL ? why : "the ledger has it so");
    return 0;
}

static bool on_record(void *arg, const struct ledger_record *rec)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct reading *r = arg;
    bool change = strcmp(rec->kind, "automatic") == 0;

    if (!change && strcmp(rec->kind, "brake") != 0)
        return true;
    r->failed = json_parse(rec->body, strlen(rec->body), NULL, &j, r->e) < 0 ||
                (change ? read_change : read_state)(r, rec, j) < 0;
    if (r->failed)
        (void)err_wrap(r->e, "ledger: record %lld (%s)", (long long)rec->seq, rec->kind);
    return !r->failed;
}

static void freep(struct brake **b)
{
    brake_free(*b);
}

int brake_new(struct ledger *l, const struct cfg *cfg, struct brake **ret_brake, struct err *e)
{
    CLEANUP(freep) struct brake *b = calloc(1, sizeof(*b));
    struct reading r = {
        .b = b, .now = boot_now_ms(), .now_wall_ms = stamp_now_ms(), .e = e, .failed = false};

    if (b == NULL)
        return err_set(e, ERR_NOMEM, 0, "brake");
    b->ledger = l;
    (void)boot_id(b->boot);
    brake_configure(b, cfg);
    if (ledger_each(l, NULL, 0, on_record, &r, e) < 0 || r.failed)
        return err_wrap(e, "brake");
    forget_old(b, r.now);
    *ret_brake = TAKE(b);
    return 0;
}

void brake_free(struct brake *b)
{
    if (b == NULL)
        return;
    for (struct name *n = b->names, *next; n != NULL; n = next) {
        next = n->next;
        free(n);
    }
    for (size_t i = 0; i < b->domain_count; i++)
        free(b->domains[i].domain);
    free(b->changes);
    free(b->domains);
    free(b->whom);
    free(b);
}

void brake_configure(struct brake *b, const struct cfg *cfg)
{
    b->rates[RULE_ALL] = cfg->policy.brake;
    b->rates[RULE_OU] = cfg->policy.brake_ou;
    b->rates[RULE_SIGNER] = cfg->policy.brake_signer;
    b->percent = cfg->policy.brake_percent;
}

void brake_users(struct brake *b, const char *domain, uint64_t enabled)
{
    struct domain_users *grown;
    char *name;

    for (size_t i = 0; i < b->domain_count; i++) {
        if (text_eq_nocase(b->domains[i].domain, domain)) {
            b->domains[i].enabled = enabled;
            return;
        }
    }
    name = strdup(domain);
    grown =
        name != NULL ? reallocarray(b->domains, b->domain_count + 1, sizeof(*b->domains)) : NULL;
    if (grown == NULL) {
        free(name);
        log_warning("brake: out of memory: brake_percent is not judged in %s", domain);
        return;
    }
    b->domains = grown;
    b->domains[b->domain_count++] = (struct domain_users){name, enabled};
}

/* --- the rules ----------------------------------------------------------------------- */

static uint64_t users_of(const struct brake *b, const char *domain)
{
    for (size_t i = 0; i < b->domain_count; i++) {
        if (text_eq_nocase(b->domains[i].domain, domain))
            return b->domains[i].enabled;
    }
    return 0;
}

/* What a change counts for under this rule; "" where it does not. */
static const char *whom_of(const struct change *c, enum rule rule)
{
    switch (rule) {
    case RULE_OU:
        return c->ou;
    case RULE_SIGNER:
        return c->signer;
    case RULE_PERCENT:
        return c->domain;
    default:
        return "";
    }
}

/* False: this rule has nothing to say about `whom`. */
static bool limit_of(const struct brake *b, enum rule rule, const char *whom, struct cfg_rate *ret)
{
    uint64_t users, share;

    if (rule == RULE_ALL) {
        *ret = b->rates[rule];
        return true;
    }
    if (whom[0] == '\0')
        return false;
    if (rule != RULE_PERCENT) {
        *ret = b->rates[rule];
        return true;
    }
    users = users_of(b, whom);
    if (users == 0 || b->percent == 0)
        return false;
    share = users / 100 * b->percent + users % 100 * b->percent / 100;
    if (share < SHARE_MIN)
        share = SHARE_MIN;
    *ret = (struct cfg_rate){share < UINT32_MAX ? (unsigned)share : UINT32_MAX, DAY_MS};
    return true;
}

static bool in_window(const struct change *c, int64_t now, uint64_t per_ms)
{
    return !c->let_go && now - c->at_ms < (int64_t)per_ms;
}

static unsigned count(const struct brake *b, enum rule rule, const char *whom, int64_t now,
                      uint64_t per_ms)
{
    unsigned n = 0;

    for (size_t i = 0; i < b->count; i++) {
        const struct change *c = &b->changes[i];

        n += in_window(c, now, per_ms) && text_eq_nocase(whom_of(c, rule), whom);
    }
    return n;
}

static void say(struct brake *b, enum rule rule, const char *whom, unsigned n,
                const struct cfg_rate *limit)
{
    char shown[TEXT_SHOWN], age[STAMP_TEXT], per[32];

    (void)text_shown(shown, whom);
    (void)stamp_age(age, (int64_t)limit->per_ms);
    (void)cfg_duration_text(limit->per_ms, per);
    switch (rule) {
    case RULE_OU:
        (void)snprintf(b->why, sizeof(b->why), "%u changes in %s in %s: brake_ou = %u per %s", n,
                       shown, age, limit->count, per);
        break;
    case RULE_SIGNER:
        (void)snprintf(b->why, sizeof(b->why), "%u changes by %s in %s: brake_signer = %u per %s",
                       n, shown, age, limit->count, per);
        break;
    case RULE_PERCENT:
        (void)snprintf(b->why, sizeof(b->why),
                       "%u changes among the %llu enabled users of %s in %s: brake_percent = %u "
                       "(here: %u)",
                       n, (unsigned long long)users_of(b, whom), shown, age, b->percent,
                       limit->count);
        break;
    default:
        (void)snprintf(b->why, sizeof(b->why), "%u changes in %s: brake = %u per %s", n, age,
                       limit->count, per);
        break;
    }
}

/* --- taking, and letting go ---------------------------------------------------------- */

static int put(struct brake *b, const char *kind, struct text *t, struct err *e)
{
    if (text_check(t, "brake", e) < 0)
        return -1;
    return ledger_add(b->ledger, "", kind, t->s, NULL, NULL, e);
}

static int record_engaged(struct brake *b, struct err *e)
{
    struct text t = TEXT_INIT(LEDGER_BODY_MAX);
    struct json_out o;
    int rc;

    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_str(&o, "state", "engaged");
    json_out_str(&o, "rule", rule_words[b->rule]);
    json_out_str(&o, "whom", b->whom != NULL ? b->whom : "");
    json_out_str(&o, "why", b->why);
    json_out_str(&o, "request", b->request);
    json_out_end_object(&o);
    rc = put(b, "brake", &t, e);
    text_done(&t);
    b->told = rc == 0;
    return rc;
}

static int record_change(struct brake *b, const struct change *c, const char *dn, struct err *e)
{
    struct text t = TEXT_INIT(LEDGER_BODY_MAX);
    struct json_out o;
    int rc;

    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_str(&o, "request", c->request);
    json_out_str(&o, "domain", c->domain);
    json_out_str(&o, "signer", c->signer);
    json_out_str(&o, "ou", c->ou);
    json_out_str(&o, "dn", dn != NULL ? dn : "");
    json_out_str(&o, "boot", b->boot);
    json_out_i64(&o, "boot_ms", c->at_ms);
    json_out_end_object(&o);
    rc = put(b, "automatic", &t, e);
    text_done(&t);
    return rc;
}

static void engage(struct brake *b, const struct brake_ask *a, enum rule rule, const char *whom)
{
    b->engaged = true;
    b->told = false;
    b->rule = rule;
    b->since_ms = a->now_ms;
    free(b->whom);
    b->whom = strdup(whom); /* for the record; NULL is fine */
    (void)snprintf(b->request, sizeof(b->request), "%s", a->request);
    log_error("brake: %s; all that is automatic is held until a person lets go: cordon brake",
              b->why);
}

/* Would one change more break a rule? Engages then. */
static bool judge(struct brake *b, const struct brake_ask *a, const struct change *c)
{
    for (enum rule rule = RULE_ALL; rule < RULES; rule++) {
        const char *whom = whom_of(c, rule);
        struct cfg_rate limit;
        unsigned n;

        if (!limit_of(b, rule, whom, &limit))
            continue;
        n = count(b, rule, whom, c->at_ms, limit.per_ms);
        if (n < limit.count)
            continue;
        say(b, rule, whom, n, &limit);
        engage(b, a, rule, whom);
        return true;
    }
    return false;
}

bool brake_take(struct brake *b, const struct brake_ask *a, char *why, size_t size, struct err *e)
{
    struct change c = {0};

    *e = ERR_NONE;
    (void)snprintf(why, size, "%s", "");
    if (is_counted(b, a->request))
        return true;
    forget_old(b, boot_now_ms());
    if (!b->engaged) {
        if (reserve(b, e) < 0 ||
            change_init(b, &c, a->request, a->domain, a->signer, ou_of(a->dn), e) < 0)
            goto failed;
        c.at_ms = boot_now_ms();
        if (!judge(b, a, &c)) {
            if (record_change(b, &c, a->dn, e) < 0)
                goto failed;
            b->changes[b->count++] = c;
            return true;
        }
    }
    (void)snprintf(why, size, "%s", b->why);
    if (!b->told && record_engaged(b, e) < 0)
        goto failed;
    return false;

failed:
    (void)err_wrap(e, "brake");
    (void)snprintf(why, size, "%s", e->msg);
    return false;
}

void brake_forget(struct brake *b, const char *request)
{
    for (size_t i = 0; i < b->count; i++) {
        if (strcmp(b->changes[i].request, request) == 0) {
            b->changes[i] = b->changes[--b->count];
            return;
        }
    }
}

bool brake_is_engaged(const struct brake *b, char *why, size_t size, int64_t *ret_since_ms)
{
    (void)snprintf(why, size, "%s", b->engaged ? b->why : "");
    *ret_since_ms = b->engaged ? b->since_ms : 0;
    return b->engaged;
}

int brake_release(struct brake *b, const char *by, const char *why, struct err *e)
{
    struct text t = TEXT_INIT(LEDGER_BODY_MAX);
    struct json_out o;
    int rc;

    if (!b->engaged)
        return err_set(e, ERR_NOTFOUND, 0, "the brake is not engaged");
    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_str(&o, "state", "released");
    json_out_str(&o, "by", by);
    json_out_str(&o, "why", why != NULL ? why : "");
    json_out_end_object(&o);
    rc = put(b, "brake", &t, e);
    text_done(&t);
    /* On disk first: what was let go must not be found engaged after a crash, nor the reverse. */
    if (rc < 0 || ledger_commit(b->ledger, e) < 0)
        return err_wrap(e, "brake");
    let_all_go(b);
    return 0;
}

/* --- for status ---------------------------------------------------------------------- */

static int by_whom(const void *va, const void *vb, void *rule)
{
    const struct change *const *a = va, *const *b = vb;

    return strcasecmp(whom_of(*a, *(enum rule *)rule), whom_of(*b, *(enum rule *)rule));
}

/* The one with the largest part of its limit. */
static bool fullest(const struct brake *b, enum rule rule, int64_t now, const struct change **list,
                    struct brake_count *ret)
{
    struct cfg_rate limit;
    uint64_t per_ms = rule == RULE_PERCENT ? DAY_MS : b->rates[rule].per_ms;
    size_t n = 0;
    bool found = limit_of(b, rule, "", &limit);

    *ret = (struct brake_count){.rule = rule_words[rule], .whom = "", .per_ms = per_ms};
    if (found)
        ret->limit = limit.count;
    for (size_t i = 0; i < b->count; i++) {
        if (in_window(&b->changes[i], now, per_ms))
            list[n++] = &b->changes[i];
    }
    if (n > 0)
        qsort_r(list, n, sizeof(struct change *), by_whom, &rule);
    for (size_t i = 0, k; i < n; i = k) {
        const char *whom = whom_of(list[i], rule);

        for (k = i + 1; k < n && text_eq_nocase(whom_of(list[k], rule), whom); k++)
            ;
        if (!limit_of(b, rule, whom, &limit) ||
            (found && (uint64_t)(k - i) * ret->limit <= (uint64_t)ret->count * limit.count))
            continue;
        found = true;
        ret->whom = whom;
        ret->count = (unsigned)(k - i);
        ret->limit = limit.count;
    }
    if (!found && rule != RULE_PERCENT) {
        ret->limit = b->rates[rule].count;
        found = true;
    }
    return found;
}

size_t brake_counts(const struct brake *b, int64_t now_ms, struct brake_count *ret, size_t max)
{
    CLEANUP(cleanup_charp) char *room = NULL;
    const struct change **list;
    int64_t now = boot_now_ms();
    size_t n = 0;

    (void)now_ms; /* the wall clock has no say */
    room = reallocarray(NULL, b->count + 1, sizeof(*list));
    if (room == NULL)
        return 0;
    list = (const struct change **)(void *)room;
    for (enum rule rule = RULE_ALL; rule < RULES && n < max; rule++)
        n += fullest(b, rule, now, list, &ret[n]);
    return n;
}
