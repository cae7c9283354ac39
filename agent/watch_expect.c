/* agent/watch_expect.c -- one change and the event that proves it; see watch.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/watch_inside.h"
#include "base/log.h"
#include "eventlog/expect.h"

#define SLACK_MS 5000 /* between our clock and a DC's that nobody measured */
#define GRACE_MS 150  /* for the 4738 beside the 4725 */
#define SAM_NEVER_EXPIRES UINT32_C(0x200)

struct watch_expect {
    struct watch *w;
    struct evlog_expect *x;
    char dc[256];
    struct log *log;
    uint64_t events_before;
    watch_cb cb;
    void *arg;
};

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
        (void)snprintf(out->detail, sizeof(out->detail), "the log of %.80s is not watched%s", x->dc,
                       x->w->winrm ? "" : ": add it to events_file");
        return;
    }
    if (x->log->source != NULL)
        evlog_source_health(x->log->source, &h);
    if (x->w->winrm && !h.open && r->foreign == NULL && r->failure == NULL &&
        r->elsewhere == NULL) {
        (void)snprintf(out->detail, sizeof(out->detail), "the log is not open: %.200s",
                       h.why[0] != '\0' ? h.why : "still opening");
        return;
    }
    if (!x->log->opened && !x->w->winrm) {
        (void)snprintf(out->detail, sizeof(out->detail), "the log is not open: %.200s",
                       x->log->failed ? x->log->why.msg : "still opening");
        return;
    }
    if (h.missing)
        (void)snprintf(out->detail, sizeof(out->detail),
                       "%.100s is not there: is auditing switched on, and the path right?",
                       text_shown(shown, watch_log_name(x->log)));
    else if (!h.open && !x->w->winrm)
        (void)snprintf(out->detail, sizeof(out->detail), "%.100s cannot be read",
                       text_shown(shown, watch_log_name(x->log)));
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
        (void)snprintf(out->detail, sizeof(out->detail), "a part of the log was lost to us: %.140s",
                       h.last_gap);
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
    x->log = watch_log_for(w, spec->dc);
    (void)snprintf(x->dc, sizeof(x->dc), "%s", spec->dc);
    s.target_sid = ad_sid_to_text(spec->target, target);
    s.actor_sid = ad_sid_to_text(spec->actor, actor);
    /* What is asked over WinRM is read later, too, where it opens late. */
    if (x->log != NULL && x->log->source != NULL && (x->log->opened || w->winrm)) {
        evlog_source_health(x->log->source, &h);
        x->events_before = h.events;
        s.source = x->log->source;
        s.mark = spec->mark;
        /* A log that was not open then is read from that time on: what is older proves nothing. */
        if (spec->mark != NULL && spec->mark[0] == '@') {
            s.mark = EVLOG_FROM_START;
            if (s.not_before_ms == 0 && text_to_i64(spec->mark + 1, 1, INT64_MAX, &s.not_before_ms))
                s.not_before_ms -= SLACK_MS;
        }
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
    struct evlog_health h = {0};
    struct err e;

    if (dn_now != NULL && evlog_expect_add_dn(x->x, dn_now, &e) < 0)
        log_debug("expectation: %s", e.msg);
    /* What is not watched will not come: do not wait for it. One that was open a moment ago may
     * come back, and is read from where it was. */
    if (x->log != NULL && x->log->source != NULL)
        evlog_source_health(x->log->source, &h);
    if (x->log == NULL || (!x->log->opened && !h.open))
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
