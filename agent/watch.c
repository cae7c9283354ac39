/* agent/watch.c -- see watch.h.
 *
 * One evlog source per DC (Samba's classes may come in several files of one DC), or one for all
 * (a collector's file, where each event names its computer). A mark is that of the DC's source.
 */
#include "agent/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "eventlog/expect.h"
#include "eventlog/source.h"

#define SOURCES 64
_Static_assert(ARRAY_LEN(((struct watch_health *)0)->paths) == EVLOG_FILES, "watch.h");
#define GRACE_MS 150 /* for the 4738 beside the 4725 */
#define SAM_NEVER_EXPIRES UINT32_C(0x200)

struct log {
    struct watch *w;
    char *dc; /* NULL: of all */
    char *paths[EVLOG_FILES];
    unsigned count;
    struct evlog_source *source;
    bool opened, failed;
    struct err why;
    char mark[EVLOG_MARK]; /* resume: read from here */
};

struct watch {
    struct loop *loop;
    const struct cfg_domain *domain;
    struct evlog_watcher *watcher;
    struct log logs[SOURCES];
    size_t count;
    void (*ready)(void *arg);
    void *arg;
    bool told, on;
    struct loop_timer *begin, *limit;
};

struct watch_expect {
    struct watch *w;
    struct evlog_expect *x;
    char dc[256];
    struct log *log;
    uint64_t events_before;
    watch_cb cb;
    void *arg;
};

static void open_all(void *arg);
static void on_open(void *arg, struct evlog_source *s, const struct err *e);

/* --- opening ------------------------------------------------------------------------------- */

static struct log *log_for(struct watch *w, const char *dc)
{
    struct log *all = NULL;

    for (size_t i = 0; i < w->count; i++) {
        if (w->logs[i].dc == NULL)
            all = &w->logs[i];
        else if (dc != NULL && text_eq_nocase(w->logs[i].dc, dc))
            return &w->logs[i];
    }
    return all;
}

static const struct log *log_of(const struct watch *w, const char *dc)
{
    return log_for((struct watch *)(uintptr_t)w, dc);
}

/* "dc1.corp.example.com:/path" or "/path". */
static int add_file(struct watch *w, const char *entry, struct err *e)
{
    const char *path = strchr(entry, '/');
    size_t n = path != NULL && path > entry && path[-1] == ':' ? (size_t)(path - entry) - 1 : 0;
    char dc[256] = "";
    struct log *l = NULL;

    if (path == NULL || n >= sizeof(dc))
        return err_set(e, ERR_CONFIG, 0, "events_file: '%s' is no absolute path", entry);
    memcpy(dc, entry, n);
    /* Samba's lines name no DC: with one DC it is that one's. */
    if (n == 0 && w->domain->events == CFG_EVENTS_SAMBA && w->domain->dcs.count == 1)
        (void)snprintf(dc, sizeof(dc), "%s", w->domain->dcs.items[0]);
    for (size_t i = 0; i < w->count; i++) {
        bool same = w->logs[i].dc == NULL ? dc[0] == '\0' : text_eq_nocase(w->logs[i].dc, dc);

        if (same)
            l = &w->logs[i];
    }
    if (l == NULL) {
        if (w->count == SOURCES)
            return err_set(e, ERR_CONFIG, 0, "events_file: more than %d logs", SOURCES);
        l = &w->logs[w->count++];
        l->w = w;
        l->dc = dc[0] != '\0' ? text_dup(dc) : NULL;
    }
    if (l->count == EVLOG_FILES)
        return err_set(e, ERR_CONFIG, 0, "events_file: more than %d files of one DC", EVLOG_FILES);
    l->paths[l->count] = text_dup(path);
    if (l->paths[l->count] == NULL)
        return err_set(e, ERR_NOMEM, 0, "events");
    l->count++;
    return 0;
}

static void tell(struct watch *w)
{
    if (w->told)
        return;
    w->told = true;
    loop_timer_stop(&w->limit);
    w->ready(w->arg);
}

static void on_limit(void *arg)
{
    struct watch *w = arg;

    w->limit = NULL;
    log_warning("the event log is not open in time, going on: containment beats proof");
    tell(w);
}

int watch_open(struct loop *l, const struct cfg *cfg, const struct cfg_domain *domain,
               void (*ready)(void *arg), void *arg, struct watch **ret_watch, struct err *e)
{
    struct watch *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return err_set(e, ERR_NOMEM, 0, "events");
    w->loop = l;
    w->domain = domain;
    w->ready = ready;
    w->arg = arg;
    w->on = domain->events != CFG_EVENTS_NONE;
    if (domain->events == CFG_EVENTS_WINRM) {
        (void)err_set(e, ERR_CONFIG, 0,
                      "[domain/%s] events = winrm is not built yet: use samba, jsonl or none",
                      domain->name);
        goto fail;
    }
    if (evlog_watcher_new(l, &w->watcher, e) < 0)
        goto fail;
    for (size_t i = 0; w->on && i < domain->events_file.count; i++) {
        if (add_file(w, domain->events_file.items[i], e) < 0)
            goto fail;
    }
    /* In the next turn, so that marks to resume from can still be given. */
    w->begin = loop_timer_start(l, 0, open_all, w);
    w->limit = loop_timer_start(l, cfg->watch_within_ms, on_limit, w);
    if (w->begin == NULL || w->limit == NULL) {
        (void)err_set(e, ERR_NOMEM, 0, "events");
        goto fail;
    }
    *ret_watch = w;
    return 0;
fail:
    watch_close(&w);
    return -1;
}

int watch_resume_at(struct watch *w, const char *dc, const char *mark, struct err *e)
{
    struct log *l = log_for(w, dc);

    if (l == NULL || strlen(mark) >= sizeof(l->mark))
        return err_set(e, ERR_NOTFOUND, 0, "the log of %s is not watched", dc);
    /* Of several steps the first one's: it was noted before the others. */
    if (l->mark[0] == '\0')
        (void)snprintf(l->mark, sizeof(l->mark), "%s", mark);
    return 0;
}

static void check_all(struct watch *w)
{
    for (size_t i = 0; i < w->count; i++) {
        if (!w->logs[i].opened && !w->logs[i].failed)
            return;
    }
    tell(w);
}

static void open_all(void *arg)
{
    struct watch *w = arg;

    w->begin = NULL;
    for (size_t i = 0; i < w->count; i++) {
        struct log *l = &w->logs[i];
        struct evlog_files f = {
            .lines = w->domain->events == CFG_EVENTS_SAMBA ? EVLOG_LINES_SAMBA : EVLOG_LINES_EVENTS,
            .dc = l->dc,
            .count = l->count,
            .mark = l->mark[0] != '\0' ? l->mark : NULL,
        };

        for (unsigned k = 0; k < l->count; k++)
            f.paths[k] = l->paths[k];
        if (evlog_source_open_files(w->watcher, &f, on_open, l, &l->source, &l->why) < 0) {
            l->failed = true;
            log_warning("the event log %s cannot be opened, going on: %s", l->paths[0], l->why.msg);
        }
    }
    check_all(w);
}

static void on_open(void *arg, struct evlog_source *s, const struct err *e)
{
    struct log *l = arg;
    struct evlog_health h;

    l->source = s;
    if (e != NULL) {
        l->failed = true;
        l->why = *e;
        log_warning("the event log %s cannot be opened, going on: %s", l->paths[0], e->msg);
    } else {
        l->opened = true;
        evlog_source_health(s, &h);
        if (h.writable)
            log_warning("%s may be written to by others than its owner: what it says proves less",
                        l->paths[0]);
    }
    check_all(l->w);
}

void watch_close(struct watch **wp)
{
    struct watch *w = *wp;

    *wp = NULL;
    if (w == NULL)
        return;
    loop_timer_stop(&w->begin);
    loop_timer_stop(&w->limit);
    for (size_t i = 0; i < w->count; i++) {
        evlog_source_close(&w->logs[i].source);
        free(w->logs[i].dc);
        for (unsigned k = 0; k < w->logs[i].count; k++)
            free(w->logs[i].paths[k]);
    }
    evlog_watcher_free(w->watcher);
    free(w);
}

bool watch_is_on(const struct watch *w)
{
    return w != NULL && w->on;
}

bool watch_covers(const struct watch *w, const char *dc)
{
    const struct log *l = w != NULL ? log_of(w, dc) : NULL;
    struct evlog_health h;

    if (l == NULL || !l->opened)
        return false;
    evlog_source_health(l->source, &h);
    return h.open && !h.missing;
}

bool watch_health(const struct watch *w, size_t i, struct watch_health *ret)
{
    const struct log *l = w != NULL && i < w->count ? &w->logs[i] : NULL;
    struct evlog_health h = {0};

    if (l == NULL)
        return false;
    if (l->opened)
        evlog_source_health(l->source, &h);
    *ret = (struct watch_health){.dc = l->dc,
                                 .count = l->count,
                                 .open = l->opened && h.open,
                                 .missing = h.missing,
                                 .writable = h.writable,
                                 .why = l->failed ? l->why.msg : ""};
    for (unsigned k = 0; k < l->count; k++)
        ret->paths[k] = l->paths[k];
    return true;
}

void watch_mark(struct watch *w, const char *dc, char *buf, size_t size)
{
    struct log *l = w != NULL ? log_for(w, dc) : NULL;
    char mark[EVLOG_MARK] = "";

    if (l != NULL && l->opened)
        evlog_source_mark(l->source, mark);
    if (strlen(mark) >= size)
        mark[0] = '\0'; /* half a mark is none */
    (void)snprintf(buf, size, "%s", mark);
}

void watch_poke(struct watch *w, const char *dc)
{
    struct log *l = w != NULL ? log_for(w, dc) : NULL;

    if (l != NULL && l->opened)
        evlog_source_poke(l->source);
}

/* --- expecting ------------------------------------------------------------------------------- */

static void add_event(struct text *t, const struct evlog_event *ev)
{
    text_addf(t, "%s%s%u", t->len > 0 ? ", " : "", t->len > 0 ? "" : "event ", ev->id);
    if (ev->has_record)
        text_addf(t, " #%llu", (unsigned long long)ev->record);
}

static void who(char *buf, size_t size, const struct evlog_event *ev)
{
    char shown[TEXT_SHOWN];

    (void)snprintf(buf, size, "%s (event %u)",
                   text_shown(shown, ev->actor.name[0] != '\0' ? ev->actor.name : ev->actor.sid),
                   ev->id);
}

/* Why did it not come? The likeliest cause, and what mends it. */
static void why_not(const struct watch_expect *x, const struct evlog_result *r,
                    struct watch_result *out)
{
    struct evlog_health h = {0};
    char shown[TEXT_SHOWN];

    if (x->log == NULL) {
        (void)snprintf(out->detail, sizeof(out->detail),
                       "the log of %.80s is not watched: add it to events_file", x->dc);
        return;
    }
    if (!x->log->opened) {
        (void)snprintf(out->detail, sizeof(out->detail), "the log is not open: %.200s",
                       x->log->failed ? x->log->why.msg : "still opening");
        return;
    }
    evlog_source_health(x->log->source, &h);
    if (h.missing)
        (void)snprintf(out->detail, sizeof(out->detail),
                       "%.100s is not there: is auditing switched on, and the path right?",
                       text_shown(shown, x->log->paths[0]));
    else if (!h.open)
        (void)snprintf(out->detail, sizeof(out->detail), "%.100s cannot be read",
                       text_shown(shown, x->log->paths[0]));
    else if (r->foreign != NULL)
        (void)snprintf(out->detail, sizeof(out->detail),
                       "no event by us: someone else made this change");
    else if (r->failure != NULL)
        (void)snprintf(out->detail, sizeof(out->detail),
                       "the log shows only a failed attempt of ours");
    else if (r->elsewhere != NULL)
        (void)snprintf(out->detail, sizeof(out->detail), "our event came from another DC (%.80s)",
                       text_shown(shown, r->elsewhere->computer));
    else if (r->lost || h.gaps > 0)
        (void)snprintf(out->detail, sizeof(out->detail),
                       "the log was rotated or cut while we read it: %.140s", h.last_gap);
    else if (r->unproving_count > 0)
        (void)snprintf(out->detail, sizeof(out->detail),
                       "an event came that is not from the Security log and its provider");
    else if (r->empty_count > 0)
        (void)snprintf(out->detail, sizeof(out->detail),
                       "only 4738 events that do not show this change");
    else if (h.events == x->events_before)
        (void)snprintf(out->detail, sizeof(out->detail),
                       "no event at all came from %.60s: is auditing on? see cordon doctor", x->dc);
    else
        (void)snprintf(
            out->detail, sizeof(out->detail),
            "events came from %.60s, but none of this change: is User Account Management "
            "audited? see cordon doctor",
            x->dc);
}

/* What anybody may write to is no witness (F1, rule 5). */
static const char *anybody_writes(const struct log *l)
{
    struct stat st;

    for (unsigned i = 0; l != NULL && i < l->count; i++) {
        if (stat(l->paths[i], &st) == 0 && (st.st_mode & S_IWOTH) != 0)
            return l->paths[i];
    }
    return NULL;
}

static void on_result(void *arg, const struct evlog_result *r)
{
    struct watch_expect *x = arg;
    struct watch_result out = {.met = r->end == EVLOG_MET};
    struct text t = TEXT_INIT(1024);
    const char *open_to_all = anybody_writes(x->log);
    char shown[TEXT_SHOWN];

    if (open_to_all != NULL) {
        out.met = false;
        (void)snprintf(out.detail, sizeof(out.detail),
                       "anybody may write to %.120s, so it proves nothing: chmod o-w",
                       text_shown(shown, open_to_all));
    } else if (out.met) {
        for (unsigned i = 0; i < r->proof_count; i++)
            add_event(&t, r->proof[i]);
        if (r->second != NULL)
            add_event(&t, r->second);
        if (r->commit_unseen)
            text_add(&t, "; its commit was not logged");
        if (r->other_connection)
            text_addf(&t, "; from %s", r->other_remote);
        (void)snprintf(out.detail, sizeof(out.detail), "%s", t.s);
    } else {
        why_not(x, r, &out);
    }
    text_done(&t);
    if (r->foreign != NULL)
        who(out.foreign, sizeof(out.foreign), r->foreign);
    out.opposite = r->opposite != NULL;
    x->x = NULL;
    x->cb(x->arg, &out);
    free(x);
}

int watch_expect_start(struct watch *w, const struct watch_spec *spec, watch_cb cb, void *arg,
                       struct watch_expect **ret_expect, struct err *e)
{
    struct watch_expect *x = calloc(1, sizeof(*x));
    char target[AD_SID_TEXT], actor[AD_SID_TEXT];
    struct evlog_spec s = {.count = spec->count,
                           .target_dn = spec->target_dn,
                           .dc = spec->dc,
                           .not_before_ms = spec->not_before_ms,
                           .remote = spec->local,
                           .grace_ms = GRACE_MS};
    struct evlog_health h;

    if (x == NULL)
        return err_set(e, ERR_NOMEM, 0, "expectation");
    x->w = w;
    x->cb = cb;
    x->arg = arg;
    x->log = log_for(w, spec->dc);
    (void)snprintf(x->dc, sizeof(x->dc), "%s", spec->dc);
    s.target_sid = ad_sid_to_text(spec->target, target);
    s.actor_sid = ad_sid_to_text(spec->actor, actor);
    if (x->log != NULL && x->log->opened) {
        evlog_source_health(x->log->source, &h);
        x->events_before = h.events;
        s.source = x->log->source;
        s.mark = spec->mark;
    }
    switch (spec->what) {
    case WATCH_DISABLED:
        evlog_want_disabled(&s);
        break;
    case WATCH_ENABLED:
        evlog_want_enabled(&s);
        break;
    case WATCH_EXPIRED:
        evlog_want_must_change(&s);
        break;
    case WATCH_RESET:
        evlog_want_reset(&s, spec->count);
        break;
    case WATCH_NEVER_CLEARED:
        evlog_want_bits(&s, 0, SAM_NEVER_EXPIRES);
        break;
    case WATCH_NEVER_SET:
        evlog_want_bits(&s, SAM_NEVER_EXPIRES, 0);
        break;
    case WATCH_PASSWORD_NOW:
        s.want[0] = (struct evlog_want){.id = EVLOG_CHANGED, .when = EVLOG_PASSWORD_SET};
        break;
    }
    if (evlog_expect_start(w->watcher, &s, on_result, x, &x->x, e) < 0) {
        free(x);
        return -1;
    }
    *ret_expect = x;
    return 0;
}

void watch_expect_settle(struct watch_expect *x, const char *dn_now, uint64_t within_ms)
{
    struct err e;

    if (dn_now != NULL && evlog_expect_add_dn(x->x, dn_now, &e) < 0)
        log_debug("expectation: %s", e.msg);
    /* What is not watched will not come: do not wait for it. */
    if (x->log == NULL || !x->log->opened)
        within_ms = 1;
    evlog_expect_settle(x->x, within_ms);
}

void watch_expect_count(struct watch_expect *x, unsigned count)
{
    evlog_expect_count(x->x, count);
}

void watch_expect_cancel(struct watch_expect **xp)
{
    struct watch_expect *x = *xp;

    *xp = NULL;
    if (x == NULL)
        return;
    evlog_expect_drop(&x->x);
    free(x);
}
