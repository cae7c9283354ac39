/* agent/service/holdwatch.c -- see holdwatch.h.
 *
 *   tick              every few seconds: what is over ends; what is due is read
 *   read_entra        on_entra: enabled? then alive
 *   read_ad           on_ad: not disabled? then alive
 *   holdwatch_hear    an event: read at that DC, in the next turn
 *   alive             told once, with the record; dead, or put back: may be told again
 *
 * A watch that is over, or dropped, while it is being read is freed when the read is back.
 */
#include "agent/service/holdwatch_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/entra.h"
#include "eventlog/samflags.h"
#include "ldap/uac.h"

enum {
    ENTRA_MS = 60 * 1000,
    AD_MS = 5 * 60 * 1000,
    READS = 20, /* in flight, in each world */
};

static void tick(void *arg);
static void on_entra(void *arg, const struct entra_user *u, const struct err *e);
static void on_ad(void *arg, struct ad_account *a, const struct err *e);

/* --- entries --------------------------------------------------------------------------- */

static void entry_free(struct holdwatch_entry *x)
{
    if (x == NULL)
        return;
    free(x->request);
    free(x->case_id);
    free(x->domain);
    free(x->name);
    free(x->sid);
    free(x->dn_key);
    free(x->entra_id);
    free(x->self_sid);
    free(x);
}

static void entry_freep(struct holdwatch_entry **x)
{
    entry_free(*x);
}

static char *copy(const char *s)
{
    return strdup(s != NULL ? s : "");
}

static struct holdwatch_entry *entry_new(struct holdwatch *h, const struct holdwatch_account *a,
                                         uint64_t left_ms)
{
    CLEANUP(entry_freep) struct holdwatch_entry *x = calloc(1, sizeof(*x));
    struct text key = TEXT_INIT(64 * 1024);
    uint64_t now = loop_now(h->loop);

    if (x == NULL)
        return NULL;
    if (a->dn != NULL && a->dn[0] != '\0')
        evlog_dn_key(a->dn, &key);
    x->h = h;
    x->request = copy(a->request);
    x->case_id = copy(a->case_id);
    x->domain = copy(a->domain);
    x->name = copy(a->name);
    x->sid = copy(a->sid);
    x->dn_key = key.failed ? NULL : copy(key.s);
    x->entra_id = copy(a->entra_id);
    x->self_sid = copy(a->self_sid);
    text_done(&key);
    x->has_guid = a->guid != NULL;
    if (a->guid != NULL)
        x->guid = *a->guid;
    x->until = now + left_ms;
    x->entra_due = now + ENTRA_MS;
    x->ad_due = now + AD_MS;
    if (x->request == NULL || x->case_id == NULL || x->domain == NULL || x->name == NULL ||
        x->sid == NULL || x->dn_key == NULL || x->entra_id == NULL || x->self_sid == NULL)
        return NULL;
    return TAKE(x);
}

static int arm(struct holdwatch *h, uint64_t ms, struct err *e)
{
    if (h->paused)
        return 0;
    loop_timer_stop(&h->timer);
    h->timer = loop_timer_start(h->loop, ms, tick, h);
    return h->timer != NULL ? 0 : err_set(e, ERR_NOMEM, 0, "hold_watch");
}

int holdwatch_push(struct holdwatch *h, const struct holdwatch_account *a, uint64_t left_ms,
                   struct err *e)
{
    size_t more = h->room == 0 ? 16 : h->room * 2;
    struct holdwatch_entry **grown;

    if (h->count == h->room) {
        grown = reallocarray(h->list, more, sizeof(*grown));
        if (grown == NULL)
            return err_set(e, ERR_NOMEM, 0, "hold_watch");
        h->list = grown;
        h->room = more;
    }
    h->list[h->count] = entry_new(h, a, left_ms);
    if (h->list[h->count] == NULL)
        return err_set(e, ERR_NOMEM, 0, "hold_watch");
    h->count++;
    return h->timer != NULL ? 0 : arm(h, HOLDWATCH_TICK_MS, e);
}

static bool is_reading(const struct holdwatch_entry *x)
{
    return x->entra != NULL || x->reading_ad;
}

/* Those that are over, and not being read. */
static void sweep(struct holdwatch *h)
{
    size_t kept = 0;

    for (size_t i = 0; i < h->count; i++) {
        struct holdwatch_entry *x = h->list[i];

        if (x->over && !is_reading(x))
            entry_free(x);
        else
            h->list[kept++] = x;
    }
    h->count = kept;
}

struct holdwatch_entry *holdwatch_find(const struct holdwatch *h, const char *request)
{
    for (size_t i = 0; i < h->count; i++) {
        if (!h->list[i]->over && strcmp(h->list[i]->request, request) == 0)
            return h->list[i];
    }
    return NULL;
}

/* --- open, close ------------------------------------------------------------------------- */

static void holdwatch_free(struct holdwatch *h)
{
    if (h == NULL)
        return;
    loop_timer_stop(&h->timer);
    for (size_t i = 0; i < h->count; i++)
        entry_free(h->list[i]);
    free(h->list);
    free(h);
}

static void holdwatch_freep(struct holdwatch **h)
{
    holdwatch_free(*h);
}

int holdwatch_open(struct loop *l, struct ledger *ledger, struct graph *graph,
                   const struct cfg *cfg, const struct holdwatch_ops *ops, void *arg,
                   struct holdwatch **ret_watch, struct err *e)
{
    CLEANUP(holdwatch_freep) struct holdwatch *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return err_set(e, ERR_NOMEM, 0, "hold_watch");
    h->loop = l;
    h->ledger = ledger;
    h->graph = graph;
    h->cfg = cfg;
    h->ops = *ops;
    h->arg = arg;
    if (holdwatch_read(h, e) < 0)
        return err_wrap(e, "hold_watch");
    sweep(h);
    /* What was switched on while we were away is seen now, not in a minute. */
    for (size_t i = 0; i < h->count; i++)
        h->list[i]->entra_due = h->list[i]->ad_due = loop_now(l);
    *ret_watch = TAKE(h);
    return 0;
}

void holdwatch_pause(struct holdwatch *h)
{
    h->paused = true;
    loop_timer_stop(&h->timer);
    for (size_t i = 0; i < h->count; i++) {
        if (h->list[i]->entra != NULL)
            entra_cancel(h->list[i]->entra);
    }
}

void holdwatch_close(struct holdwatch **ref)
{
    struct holdwatch *h = ref != NULL ? TAKE(*ref) : NULL;

    if (h == NULL)
        return;
    h->closing = true;
    holdwatch_pause(h);
    if (h->entra_reads == 0 && h->ad_reads == 0)
        holdwatch_free(h);
}

static void end_watch(struct holdwatch_entry *x)
{
    x->over = true;
    holdwatch_record_over(x);
}

/* Does the new watch see all that this one does? */
static bool covers(const struct holdwatch_account *a, const struct holdwatch_entry *x)
{
    return (x->sid[0] == '\0' || (a->sid != NULL && evlog_same_sid(x->sid, a->sid))) &&
           (x->entra_id[0] == '\0' ||
            (a->entra_id != NULL && text_eq_nocase(x->entra_id, a->entra_id)));
}

int holdwatch_add(struct holdwatch *h, const struct holdwatch_account *a, struct err *e)
{
    if (h->cfg->hold_watch_ms == 0 || holdwatch_find(h, a->request) != NULL)
        return 0;
    if (holdwatch_push(h, a, h->cfg->hold_watch_ms, e) < 0)
        return -1;
    if (holdwatch_record_watching(h, a, e) < 0) {
        h->list[h->count - 1]->over = true;
        sweep(h);
        return err_wrap(e, "hold_watch");
    }
    for (size_t i = 0; i + 1 < h->count; i++) { /* the last is the new one */
        if (!h->list[i]->over && covers(a, h->list[i]))
            end_watch(h->list[i]);
    }
    return 0;
}

/* It is not alive there: the next return is told. */
static void dead(struct holdwatch_entry *x, enum holdwatch_where where)
{
    bool *told = where == HOLDWATCH_AD ? &x->in_ad_alive : &x->in_entra_alive;

    if (*told)
        holdwatch_record_dead(x, where);
    *told = false;
}

void holdwatch_put_back(struct holdwatch *h, const char *request)
{
    struct holdwatch_entry *x = holdwatch_find(h, request);

    if (x == NULL)
        return;
    dead(x, HOLDWATCH_AD);
    dead(x, HOLDWATCH_ENTRA);
}

void holdwatch_again(struct holdwatch *h, const char *request)
{
    struct holdwatch_entry *x = holdwatch_find(h, request);

    if (x == NULL)
        return;
    if (x->put_backs > 0)
        x->put_backs--;
    x->in_ad_alive = x->in_entra_alive = false;
    x->entra_due = x->ad_due = loop_now(h->loop) + HOLDWATCH_TICK_MS;
}

void holdwatch_drop(struct holdwatch *h, const char *sid, const char *entra_id)
{
    for (size_t i = 0; i < h->count; i++) {
        struct holdwatch_entry *x = h->list[i];

        if (x->over || !((sid != NULL && evlog_same_sid(x->sid, sid)) ||
                         (entra_id != NULL && x->entra_id[0] != '\0' &&
                          text_eq_nocase(x->entra_id, entra_id))))
            continue;
        end_watch(x);
    }
}

size_t holdwatch_count(const struct holdwatch *h)
{
    size_t n = 0;

    for (size_t i = 0; i < h->count; i++)
        n += !h->list[i]->over;
    return n;
}

void holdwatch_each(const struct holdwatch *h,
                    void (*cb)(void *arg, const struct holdwatch_state *state), void *arg)
{
    uint64_t now = loop_now(h->loop);

    for (size_t i = 0; i < h->count; i++) {
        const struct holdwatch_entry *x = h->list[i];
        const struct holdwatch_state state = {
            .request = x->request,
            .domain = x->domain,
            .name = x->name,
            .left_ms = x->until > now ? x->until - now : 0,
            .in_ad = x->sid[0] != '\0' || x->dn_key[0] != '\0',
            .in_entra = x->entra_id[0] != '\0',
            .ad_alive = x->in_ad_alive,
            .entra_alive = x->in_entra_alive,
            .put_backs = x->put_backs,
        };

        if (!x->over)
            cb(arg, &state);
    }
}

/* --- back to life ------------------------------------------------------------------------ */

/* Is it to be contained again, there? */
static bool wants_put_back(const struct holdwatch_entry *x, enum holdwatch_where where)
{
    const struct cfg *cfg = x->h->cfg;

    if (where == HOLDWATCH_ENTRA)
        return cfg->entra.hold;
    for (size_t i = 0; i < cfg->domain_count; i++) {
        if (strcmp(cfg->domains[i].name, x->domain) == 0)
            return cfg->domains[i].hold;
    }
    return false;
}

static void alive(struct holdwatch_entry *x, enum holdwatch_where where, const char *who,
                  const char *what, bool ours, bool read)
{
    struct holdwatch *h = x->h;
    bool *told = where == HOLDWATCH_AD ? &x->in_ad_alive : &x->in_entra_alive;
    bool wanted = wants_put_back(x, where), put_back = wanted && x->put_backs < HOLDWATCH_PUT_BACKS;
    struct holdwatch_return r = {.request = x->request,
                                 .case_id = x->case_id,
                                 .domain = x->domain,
                                 .name = x->name,
                                 .sid = x->sid,
                                 .entra_id = x->entra_id,
                                 .where = where,
                                 .who = who,
                                 .what = what,
                                 .policy = put_back ? "put-back" : "tell",
                                 .read = read};
    char shown[TEXT_SHOWN];

    if (*told || x->over || (h->ops.giving_back != NULL && h->ops.giving_back(h->arg, &r)))
        return;
    (void)text_shown(shown, x->name);
    if (ours) {
        log_info("case=%s '%s' was enabled by cordon's own account (%s), and is not watched any "
                 "more",
                 x->case_id, shown, what);
        end_watch(x);
        return;
    }
    *told = true;
    if (put_back)
        r.number = ++x->put_backs;
    holdwatch_record_back(x, &r);
    log_at(put_back ? LOG_WARNING_LEVEL : LOG_ERROR_LEVEL,
           "case=%s ALARM: '%s' came back to life in %s%s%s: %s%s", x->case_id, shown,
           where == HOLDWATCH_AD ? "Active Directory" : "Entra", who[0] != '\0' ? ", by " : "", who,
           what,
           put_back ? "; it is contained again"
           : wanted ? "; it was put back often enough: a person must look"
                    : "");
    h->ops.came_back(h->arg, &r); /* may add and drop: the list may have moved */
}

/* True: a read that came back was the last thing a closed watch waited for. */
static bool gone(struct holdwatch *h)
{
    if (!h->closing)
        return false;
    if (h->entra_reads == 0 && h->ad_reads == 0)
        holdwatch_free(h);
    return true;
}

static void failed(const struct holdwatch_entry *x, bool *said, const char *where,
                   const struct err *e)
{
    char shown[TEXT_SHOWN];

    if (!*said && !x->h->paused)
        log_warning("case=%s hold_watch: '%s' cannot be read in %s: %s; tried again", x->case_id,
                    text_shown(shown, x->name), where, e->msg);
    *said = true;
}

static void on_entra(void *arg, const struct entra_user *u, const struct err *e)
{
    struct holdwatch_entry *x = arg;
    struct holdwatch *h = x->h;

    x->entra = NULL;
    h->entra_reads--;
    if (gone(h))
        return;
    if (e != NULL && e->code != ERR_NOTFOUND) {
        failed(x, &x->entra_failing, "Entra", e);
    } else {
        x->entra_failing = false;
        if (u != NULL && u->enabled)
            alive(x, HOLDWATCH_ENTRA, "", "seen when read again", false, true);
        else
            dead(x, HOLDWATCH_ENTRA);
    }
    if (h->timer == NULL || h->entra_reads == 0)
        (void)arm(h, 0, &(struct err){0}); /* the next twenty */
}

static void on_ad(void *arg, struct ad_account *a, const struct err *e)
{
    struct holdwatch_entry *x = arg;
    struct holdwatch *h = x->h;
    bool event = x->what[0] != '\0';
    bool enabled = a != NULL && (a->uac & AD_UAC_ACCOUNTDISABLE) == 0;
    char who[HOLDWATCH_WHO], what[HOLDWATCH_WHAT];
    bool ours = x->ours;

    ad_account_free(a);
    x->reading_ad = false;
    h->ad_reads--;
    if (gone(h))
        return;
    (void)snprintf(who, sizeof(who), "%s", event ? x->who : "");
    (void)snprintf(what, sizeof(what), "%s", event ? x->what : "seen when read again");
    if (!x->heard)
        x->what[0] = x->who[0] = '\0'; /* else there is a later one, to be looked at next */
    if (e != NULL && e->code != ERR_NOTFOUND) {
        failed(x, &x->ad_failing, "Active Directory", e);
        if (event)
            alive(x, HOLDWATCH_AD, who, what, ours, /* read */ false);
        return;
    }
    x->ad_failing = false;
    if (enabled)
        alive(x, HOLDWATCH_AD, who, what, event && ours, /* read */ true);
    else
        dead(x, HOLDWATCH_AD);
}

/* --- when to read ------------------------------------------------------------------------ */

static void read_entra(struct holdwatch_entry *x, uint64_t now)
{
    struct err e;

    x->entra_due = now + ENTRA_MS;
    if (entra_read_start(x->h->graph, x->entra_id, on_entra, x, &x->entra, &e) == 0)
        x->h->entra_reads++;
    else
        failed(x, &x->entra_failing, "Entra", &e);
}

static void read_ad(struct holdwatch_entry *x, uint64_t now)
{
    struct holdwatch *h = x->h;
    const char *dc = x->heard && x->dc[0] != '\0' ? x->dc : NULL;
    bool heard = x->heard;
    struct err e;

    x->ad_due = now + AD_MS;
    x->heard = false;
    if (h->ops.read_ad != NULL && x->has_guid) {
        if (h->ops.read_ad(h->arg, x->domain, dc, &x->guid, on_ad, x, &e) == 0) {
            h->ad_reads++;
            x->reading_ad = true;
            return;
        }
        failed(x, &x->ad_failing, "Active Directory", &e);
    }
    if (heard) {
        char who[HOLDWATCH_WHO], what[HOLDWATCH_WHAT];

        (void)snprintf(who, sizeof(who), "%s", x->who);
        (void)snprintf(what, sizeof(what), "%s", x->what);
        x->what[0] = x->who[0] = '\0';
        alive(x, HOLDWATCH_AD, who, what, x->ours, /* read */ false);
    }
}

static void tick(void *arg)
{
    struct holdwatch *h = arg;
    uint64_t now = loop_now(h->loop);
    struct err e;

    h->timer = NULL;
    for (size_t i = 0; i < h->count; i++) {
        if (now >= h->list[i]->until)
            h->list[i]->over = true;
    }
    sweep(h);
    for (size_t i = 0; i < h->count; i++) { /* may grow meanwhile; entries stay where they are */
        struct holdwatch_entry *x = h->list[i];

        if (!x->over && h->graph != NULL && x->entra_id[0] != '\0' && x->entra == NULL &&
            now >= x->entra_due && h->entra_reads < READS)
            read_entra(x, now);
        if (!x->over && !x->reading_ad && (x->heard || (x->has_guid && now >= x->ad_due)) &&
            h->ad_reads < READS)
            read_ad(x, now);
    }
    if (h->count > 0 && arm(h, HOLDWATCH_TICK_MS, &e) < 0)
        log_error("%s: nothing is watched any more", e.msg);
}

/* --- events ------------------------------------------------------------------------------ */

static bool is_target(const struct holdwatch_entry *x, const struct evlog_event *ev)
{
    CLEANUP(text_done) struct text key = TEXT_INIT(64 * 1024);

    if (ev->target.sid[0] != '\0' && x->sid[0] != '\0')
        return evlog_same_sid(x->sid, ev->target.sid);
    if (ev->target.dn[0] == '\0' || x->dn_key[0] == '\0')
        return false;
    evlog_dn_key(ev->target.dn, &key);
    return !key.failed && strcmp(key.s, x->dn_key) == 0;
}

/* 4738 of another change than the flag says the flag, too: so it must have changed. Samba's replace
 * form does not say what was before. */
static bool says(const struct evlog_event *ev, bool enabled)
{
    uint32_t now = ev->uac.new &EVLOG_SAM_DISABLED;

    if (ev->outcome == EVLOG_FAILURE)
        return false;
    if (ev->id == (enabled ? EVLOG_ENABLED : EVLOG_DISABLED))
        return true;
    return ev->id == EVLOG_CHANGED && ev->uac.has_new && (now == 0) == enabled &&
           (!ev->uac.has_old || (ev->uac.old & EVLOG_SAM_DISABLED) != now);
}

void holdwatch_hear(void *arg, const struct evlog_source *s, const struct evlog_event *ev)
{
    struct holdwatch *h = arg;
    const char *dc = s != NULL ? evlog_source_dc(s) : NULL;
    char name[TEXT_SHOWN], domain[TEXT_SHOWN], computer[TEXT_SHOWN], record[32] = "";
    bool enabled = says(ev, true);
    struct err e;

    if (!enabled && !says(ev, false))
        return;
    if (dc == NULL)
        dc = ev->computer;
    for (size_t i = 0; i < h->count; i++) {
        struct holdwatch_entry *x = h->list[i];

        if (x->over || !is_target(x, ev))
            continue;
        if (!enabled)
            dead(x, HOLDWATCH_AD);
        if (!enabled || x->in_ad_alive)
            continue;
        (void)text_shown(name, ev->actor.name);
        (void)text_shown(domain, ev->actor.domain);
        if (ev->has_record)
            (void)snprintf(record, sizeof(record), " #%" PRIu64, ev->record);
        (void)snprintf(x->who, sizeof(x->who), "%.80s%s%.100s%s%.100s%s", domain,
                       domain[0] != '\0' ? "\\" : "", name,
                       ev->actor.sid[0] != '\0' && name[0] != '\0' ? " (" : "", ev->actor.sid,
                       ev->actor.sid[0] != '\0' && name[0] != '\0' ? ")" : "");
        (void)snprintf(x->what, sizeof(x->what), "event %" PRIu32 "%s at %s", ev->id, record,
                       text_shown(computer, dc));
        (void)snprintf(x->dc, sizeof(x->dc), "%s", dc);
        x->ours = evlog_same_sid(ev->actor.sid, x->self_sid);
        x->heard = true;
        if (!h->closing && arm(h, 0, &e) < 0)
            log_error("%s: nothing is watched any more", e.msg);
    }
}
