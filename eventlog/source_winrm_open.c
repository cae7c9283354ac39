/* eventlog/source_winrm_open.c -- opening, marks and freeing of the source that asks over WinRM. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stamp.h"
#include "eventlog/source_winrm_inside.h"

enum { POLL_MS = 5000 };

static void winrm_poke(struct evlog_source *base)
{
    (void)base; /* a pull waits at the server: the event comes when it is written */
}

static void winrm_mark(const struct evlog_source *base, struct text *out)
{
    const struct winrm_source *s = (const struct winrm_source *)base;
    struct evlog_query q = winrm_source_query(s);
    struct evlog_place p = {.hash = evlog_query_hash(&q),
                            .record = s->bookmark.count > 0 ? s->bookmark.at[0].record : 0,
                            .since_ms = winrm_source_there(s, stamp_now_ms())};

    evlog_place_write(&p, out);
}

/* Every mark of an earlier run is older than all that this one reads: it was opened there. */
static bool winrm_locate(const struct evlog_source *base, const char *mark, struct evlog_since *ret)
{
    const struct winrm_source *s = (const struct winrm_source *)base;
    struct evlog_query q = winrm_source_query(s);
    struct evlog_place p;

    if (!evlog_place_read(mark, &p))
        return false;
    ret->at[0].gen = 0;
    ret->at[0].off = p.hash == evlog_query_hash(&q) && p.record > 0 ? p.record + 1 : 0;
    return true;
}

static void winrm_health(const struct evlog_source *base, struct evlog_health *ret)
{
    (void)base;
    (void)ret;
}

static void winrm_source_free(struct evlog_source *base)
{
    struct winrm_source *s = (struct winrm_source *)base;

    loop_timer_stop(&s->timer);
    loop_timer_stop(&s->teller);
    loop_timer_stop(&s->bye_timer);
    winrm_call_abandon(s->call);
    winrm_call_abandon(s->bye_call);
    winrm_free(s->winrm);
    winrm_free(s->bye);
    free(s->host);
    free(s->path);
    free(s->ca_file);
    free(s->service);
    free(s->ccache);
    free(s->certificate);
    free(s->log);
    free(s->target_sid);
    free(s);
}

static const struct evlog_source_ops winrm_ops = {
    .begin = winrm_source_begin,
    .poke = winrm_poke,
    .drain = winrm_poke,
    .mark = winrm_mark,
    .locate = winrm_locate,
    .health = winrm_health,
    .free = winrm_source_free,
};

static bool copy(char **to, const char *from)
{
    *to = text_dup(from);
    return from == NULL || *to != NULL;
}

static int copy_spec(struct winrm_source *s, const struct evlog_winrm *spec, struct err *e)
{
    const struct winrm_settings *w = spec->winrm;

    if (!copy(&s->host, w->host) || !copy(&s->path, w->path) || !copy(&s->ca_file, w->ca_file) ||
        !copy(&s->service, w->service) || !copy(&s->ccache, w->ccache) ||
        !copy(&s->certificate, w->certificate) || !copy(&s->target_sid, spec->target_sid) ||
        !copy(&s->log, spec->log != NULL ? spec->log : EVLOG_CHANNEL))
        return err_set(e, ERR_NOMEM, 0, "event source");
    s->settings = *w;
    s->settings.host = s->host;
    s->settings.path = s->path;
    s->settings.ca_file = s->ca_file;
    s->settings.service = s->service;
    s->settings.ccache = s->ccache;
    s->settings.certificate = s->certificate;
    s->poll_ms = spec->poll_ms != 0 ? spec->poll_ms : POLL_MS;
    s->max = WINRM_PULL_MAX;
    s->held = spec->hold;
    s->since_ms = spec->since_ms != 0 ? spec->since_ms : stamp_now_ms();
    s->bounded = spec->since_ms != 0;
    return 0;
}

/* A mark of an earlier run: its bookmark where the query is the same, else its time. */
static int start_at(struct winrm_source *s, const char *mark, struct err *e)
{
    const char *inner = evlog_mark_inner(mark);
    struct evlog_place p;
    char shown[TEXT_SHOWN];

    if (strlen(mark) >= EVLOG_MARK || inner == NULL || !evlog_place_read(inner, &p))
        return err_set(e, ERR_CONFIG, 0, "'%s' is no mark", text_shown(shown, mark));
    s->from = p;
    s->bounded = true;
    return 0;
}

int evlog_source_open_winrm(struct evlog_watcher *w, const struct evlog_winrm *spec,
                            evlog_ready_cb ready, void *arg, struct evlog_source **ret_source,
                            struct err *e)
{
    struct winrm_source *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "event source");
    s->ready = ready;
    s->ready_arg = arg;
    if (copy_spec(s, spec, e) < 0 ||
        (spec->mark != NULL && spec->mark[0] != '\0' && start_at(s, spec->mark, e) < 0) ||
        winrm_new(evlog_watcher_loop(w), &s->settings, &s->winrm, e) < 0 ||
        evlog_source_adopt(w, &s->base, &winrm_ops, spec->dc, NULL, NULL, e) < 0) {
        winrm_source_free(&s->base);
        return err_wrap(e, "event source");
    }
    s->base.health.open = false;
    *ret_source = &s->base;
    return 0;
}
