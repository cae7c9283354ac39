/* agent/watch.c -- see watch.h.
 *
 * One evlog source per DC (Samba's classes may come in several files of one DC; over WinRM a
 * subscription), or one for all (a collector's file or log, where each event names its computer). A
 * mark is that of the DC's source.
 */
#include "agent/watch_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/stamp.h"
#include "eventlog/source_winrm.h"
#include "ldap/dcs.h"

#define FORWARDED "ForwardedEvents"
#define BYE_MS 2000
/* Before the time of an "@" mark: what is read is judged by its own time. */
#define CLOCKS_MS 60000

_Static_assert(ARRAY_LEN(((struct watch_health *)0)->paths) == EVLOG_FILES, "watch.h");

static void open_all(void *arg);
static struct log *place_of(struct watch *w, const char *dc);
static void on_open(void *arg, struct evlog_source *s, const struct err *e);

/* --- opening ------------------------------------------------------------------------------- */

struct log *watch_log_for(struct watch *w, const char *dc)
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
    return watch_log_for((struct watch *)(uintptr_t)w, dc);
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
        if (w->count == WATCH_LOGS)
            return err_set(e, ERR_CONFIG, 0, "events_file: more than %d logs", WATCH_LOGS);
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

const char *watch_log_name(const struct log *l)
{
    return l->count > 0 ? l->paths[0] : l->host;
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

int watch_open(struct loop *l, const struct cfg *cfg, const struct cfg_domain *domain, bool hold,
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
    w->winrm = domain->events == CFG_EVENTS_WINRM;
    w->hold = w->winrm && hold;
    w->since_ms = stamp_now_ms();
    w->within_ms = cfg->watch_within_ms;
    w->until = loop_now(l) + w->within_ms;
    if (evlog_watcher_new(l, &w->watcher, e) < 0)
        goto fail;
    for (size_t i = 0; w->on && !w->winrm && i < domain->events_file.count; i++) {
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
    struct log *l = w->winrm ? place_of(w, dc) : watch_log_for(w, dc);
    int64_t since = 0;

    if (l == NULL || strlen(mark) >= sizeof(l->mark))
        return err_set(e, ERR_NOTFOUND, 0, "the log of %s is not watched", dc);
    /* Of several steps the first one's: it was noted before the others. */
    if (l->mark[0] != '\0' || l->since_ms != 0)
        return 0;
    if (mark[0] != '@')
        (void)snprintf(l->mark, sizeof(l->mark), "%s", mark);
    else if (!text_to_i64(mark + 1, 1, INT64_MAX, &since))
        return err_set(e, ERR_INVALID, 0, "not the mark of a log");
    else if (w->winrm)
        l->since_ms = since - CLOCKS_MS;
    else
        (void)snprintf(l->mark, sizeof(l->mark), "%s", EVLOG_FROM_START);
    return 0;
}

static void check_all(struct watch *w)
{
    for (size_t i = 0; !w->winrm && i < w->count; i++) {
        if (!w->logs[i].opened && !w->logs[i].failed)
            return;
    }
    tell(w);
}

/* --- WinRM ----------------------------------------------------------------------------------- */

static void on_winrm(void *arg, struct evlog_source *source, const struct err *e);

static void unlink_wait(struct watch_wait *x)
{
    for (struct watch_wait **at = &x->w->waits; *at != NULL; at = &(*at)->next) {
        if (*at == x) {
            *at = x->next;
            break;
        }
    }
    loop_timer_stop(&x->timer);
}

static void on_wake(void *arg)
{
    struct watch_wait *x = arg;
    void (*cb)(void *arg) = x->cb;
    void *cb_arg = x->arg;

    x->timer = NULL;
    unlink_wait(x);
    free(x);
    cb(cb_arg);
}

/* Whom it waits for may go on. Only from the loop, never from inside what they called. */
static void wake(struct watch *w)
{
    for (struct watch_wait *x = w->waits, *next; x != NULL; x = next) {
        next = x->next;
        if (x->log == NULL || x->log->opened || x->log->failed) {
            loop_timer_stop(&x->timer);
            x->timer = loop_timer_start(w->loop, 0, on_wake, x);
        }
    }
}

const char *watch_winrm_service(const struct cfg_domain *d)
{
    static const char *const classes[] = {[CFG_WINRM_SPN_HTTP] = "HTTP",
                                          [CFG_WINRM_SPN_WSMAN] = "WSMAN",
                                          [CFG_WINRM_SPN_HOST] = "HOST"};

    return classes[d->winrm_service];
}

void watch_winrm_settings(const struct cfg_domain *d, const char *host, const char *ccache,
                          struct winrm_settings *ret)
{
    *ret = (struct winrm_settings){
        .host = host,
        .port = d->winrm_port,
        .tls = d->winrm == CFG_WINRM_HTTPS,
        .ca_file = d->ca_file,
        .auth = (enum winrm_auth)d->winrm_auth,
        .service = watch_winrm_service(d),
        .ccache = ccache,
        .certificate = d->winrm_certificate,
        .connect_ms = d->connect_timeout_ms,
    };
}

static int ask_host(struct watch *w, struct log *l, struct err *e)
{
    const struct cfg_domain *d = w->domain;
    struct winrm_settings s;
    struct evlog_winrm spec = {
        .winrm = &s,
        .dc = l->dc,
        .log = l->dc == NULL ? FORWARDED : NULL,
        .target_sid = w->target[0] != '\0' ? w->target : NULL,
        .mark = l->mark[0] != '\0' ? l->mark : NULL,
        /* One that turns up late: from when the others began. */
        .since_ms = l->since_ms != 0               ? l->since_ms
                    : loop_now(w->loop) > w->until ? w->since_ms
                                                   : 0,
        .poll_ms = d->poll_ms,
        .hold = w->hold,
    };

    watch_winrm_settings(d, l->host, ad_ccache_name(w->ccache), &s);
    return evlog_source_open_winrm(w->watcher, &spec, on_winrm, l, &l->source, e);
}

/* The place of that DC's log, or of the collector's; made where there is none. NULL: no room. */
static struct log *place_of(struct watch *w, const char *dc)
{
    const char *collector = w->domain->event_host;
    struct log *l = watch_log_for(w, dc);

    if (l != NULL || w->count == WATCH_LOGS)
        return l;
    l = &w->logs[w->count];
    *l = (struct log){.w = w,
                      .host = text_dup(collector != NULL ? collector : dc),
                      .dc = collector != NULL ? NULL : text_dup(dc)};
    if (l->host == NULL || (l->dc == NULL && collector == NULL)) {
        free(l->host);
        free(l->dc);
        return NULL;
    }
    w->count++;
    return l;
}

static void ask_for(struct watch *w, const char *dc)
{
    struct log *l = place_of(w, dc);

    if (l == NULL || l->source != NULL || l->failed)
        return;
    l->focused = !w->hold;
    if (ask_host(w, l, &l->why) < 0) {
        l->failed = true;
        log_warning("the event log of %s cannot be asked for, going on: %s", l->host, l->why.msg);
        wake(w);
    }
}

static void on_winrm(void *arg, struct evlog_source *source, const struct err *e)
{
    struct log *l = arg;
    char sid[AD_SID_TEXT];

    (void)source;
    if (e == NULL && !l->focused) { /* logged in; whom it is about was not known yet */
        if (l->w->hold)
            return;
        l->focused = true;
        (void)snprintf(sid, sizeof(sid), "%s", l->w->target);
        evlog_winrm_focus(l->source, sid[0] != '\0' ? sid : NULL, on_winrm, l);
        return;
    }
    if (e != NULL) {
        l->failed = true;
        l->why = *e;
        log_warning("the event log of %s cannot be read, going on: %s", l->host, e->msg);
    } else {
        l->opened = true;
    }
    wake(l->w);
}

void watch_follow(struct watch *w, struct ad_dcs *dcs)
{
    const struct ad_cred *cred;
    struct err e;

    if (w == NULL || !w->winrm || dcs == NULL || !ad_dcs_located(dcs) || w->ended != NULL)
        return;
    cred = ad_dcs_cred(dcs);
    if (cred->principal[0] == '\0')
        return;
    if (!w->has_cred || w->ccache != cred->cache) {
        ad_ccache_unref(&w->ccache);
        w->ccache = ad_ccache_ref(cred->cache);
        w->has_cred = true;
        for (size_t i = 0; i < w->count; i++) {
            if (w->logs[i].source != NULL &&
                evlog_winrm_ccache(w->logs[i].source, ad_ccache_name(w->ccache), &e) < 0)
                log_debug("%s: %s", w->logs[i].host, e.msg);
        }
    }
    if (w->domain->event_host != NULL) {
        ask_for(w, NULL);
        return;
    }
    for (size_t i = 0; i < ad_dcs_count(dcs); i++) {
        const struct ad_dc *dc = ad_dcs_at(dcs, i);

        if (dc->write && dc->state != AD_DC_UNFIT)
            ask_for(w, dc->host);
    }
}

void watch_focus(struct watch *w, const struct ad_sid *target)
{
    if (w == NULL || !w->hold)
        return;
    w->hold = false;
    w->target[0] = '\0';
    if (target != NULL)
        (void)ad_sid_to_text(target, w->target);
    w->until = loop_now(w->loop) + w->within_ms;
    for (size_t i = 0; i < w->count; i++) {
        struct log *l = &w->logs[i];

        if (l->source == NULL || l->focused)
            continue;
        l->focused = true;
        l->failed = false;
        evlog_winrm_focus(l->source, w->target[0] != '\0' ? w->target : NULL, on_winrm, l);
    }
}

bool watch_wait_start(struct watch *w, const char *dc, void (*cb)(void *arg), void *arg,
                      struct watch_wait **ret_wait)
{
    struct log *l = w != NULL && w->winrm ? watch_log_for(w, dc) : NULL;
    uint64_t now = w != NULL ? loop_now(w->loop) : 0;
    struct watch_wait *x;

    if (l == NULL || l->opened || l->failed || now >= w->until)
        return false;
    x = calloc(1, sizeof(*x));
    if (x == NULL)
        return false;
    *x = (struct watch_wait){.next = w->waits, .w = w, .log = l, .cb = cb, .arg = arg};
    x->timer = loop_timer_start(w->loop, w->until - now, on_wake, x);
    w->waits = x;
    *ret_wait = x;
    return true;
}

void watch_wait_cancel(struct watch_wait **xp)
{
    struct watch_wait *x = *xp;

    *xp = NULL;
    if (x == NULL)
        return;
    unlink_wait(x);
    free(x);
}

static void on_ended(void *arg)
{
    struct watch *w = arg;

    if (--w->ending == 0)
        w->ended(w->ended_arg);
}

bool watch_end_start(struct watch *w, void (*cb)(void *arg), void *arg)
{
    if (w == NULL || !w->winrm || w->ended != NULL)
        return false;
    w->ended = cb;
    w->ended_arg = arg;
    for (size_t i = 0; i < w->count; i++) {
        if (w->logs[i].source == NULL)
            continue;
        w->ending++;
        evlog_winrm_end(w->logs[i].source, BYE_MS, on_ended, w);
    }
    return w->ending > 0;
}

/* --- files ------------------------------------------------------------------------------------ */

static void open_all(void *arg)
{
    struct watch *w = arg;

    w->begin = NULL;
    for (size_t i = 0; !w->winrm && i < w->count; i++) {
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
        free(w->logs[i].host);
        for (unsigned k = 0; k < w->logs[i].count; k++)
            free(w->logs[i].paths[k]);
    }
    while (w->waits != NULL) {
        struct watch_wait *x = w->waits;

        watch_wait_cancel(&x);
    }
    ad_ccache_unref(&w->ccache);
    evlog_watcher_free(w->watcher);
    free(w);
}

void watch_listen(struct watch *w, evlog_listen_cb cb, void *arg)
{
    evlog_watcher_listen(w->watcher, cb, arg);
}

bool watch_is_on(const struct watch *w)
{
    return w != NULL && w->on;
}

bool watch_covers(const struct watch *w, const char *dc)
{
    const struct log *l = w != NULL ? log_of(w, dc) : NULL;
    struct evlog_health h;

    if (l == NULL || l->source == NULL || (!l->opened && !w->winrm))
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
                                 .name = watch_log_name(l),
                                 .open = l->opened && h.open,
                                 .missing = h.missing,
                                 .writable = h.writable,
                                 .why = l->failed ? l->why.msg : "",
                                 .event_ms = h.event_ms,
                                 .events = h.events};
    for (unsigned k = 0; k < l->count; k++)
        ret->paths[k] = l->paths[k];
    return true;
}

void watch_mark(struct watch *w, const char *dc, char *buf, size_t size)
{
    struct log *l = w != NULL ? watch_log_for(w, dc) : NULL;
    char mark[EVLOG_MARK] = "";

    if (l != NULL && l->source != NULL && (l->opened || w->winrm))
        evlog_source_mark(l->source, mark);
    if (strlen(mark) >= size)
        mark[0] = '\0'; /* half a mark is none */
    if (mark[0] == '\0' && watch_is_on(w))
        (void)snprintf(buf, size, "@%lld", (long long)stamp_now_ms());
    else
        (void)snprintf(buf, size, "%s", mark);
}

void watch_poke(struct watch *w, const char *dc)
{
    struct log *l = w != NULL ? watch_log_for(w, dc) : NULL;

    if (l != NULL && l->opened)
        evlog_source_poke(l->source);
}
