/* agent/defender_walk.c -- see defender_walk.h. */
#include "agent/defender_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { PLACES = 64 };

struct place {
    char host[256], machine[64];
};

struct defender_walk {
    struct loop *loop;
    struct defender *d;
    const struct cfg_defender *cfg;
    struct defender_walk_calls calls;
    void *arg;
    struct place places[PLACES];
    size_t count, at;
    struct defender_call *call;
    struct loop_timer *timer;
};

static void on_tagged(void *arg, const struct defender_machine *m, size_t n, const struct err *e);
static void next(void *arg);
static void on_probed(void *arg, const struct defender_check *checks, size_t n);

static void add(struct defender_walk *w, const char *host, const char *machine)
{
    struct place *p = &w->places[w->count];

    if (w->count == PLACES)
        return;
    for (size_t i = 0; i < w->count; i++) {
        if (text_eq_nocase(w->places[i].host, host))
            return;
    }
    (void)snprintf(p->host, sizeof(p->host), "%s", host);
    (void)snprintf(p->machine, sizeof(p->machine), "%s", machine);
    w->count++;
}

int defender_walk_start(struct loop *l, struct defender *d, const struct cfg_defender *cfg,
                        const struct defender_walk_calls *calls, void *arg,
                        struct defender_walk **ret_walk, struct err *e)
{
    struct defender_walk *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return err_set(e, ERR_NOMEM, 0, "Defender");
    *w = (struct defender_walk){.loop = l, .d = d, .cfg = cfg, .calls = *calls, .arg = arg};
    for (size_t i = 0; i < cfg->dcs.count; i++) {
        const char *entry = cfg->dcs.items[i], *id = strchr(entry, '=');
        char host[256];

        (void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(entry, "="), entry);
        add(w, host, id != NULL ? id + 1 : "");
    }
    if (cfg->dc_tag != NULL) {
        if (defender_tagged_start(d, cfg->dc_tag, on_tagged, w, &w->call, e) < 0) {
            free(w);
            return -1;
        }
    } else {
        w->timer = loop_timer_start(l, 0, next, w);
        if (w->timer == NULL) {
            free(w);
            return err_set(e, ERR_NOMEM, 0, "Defender");
        }
    }
    *ret_walk = w;
    return 0;
}

void defender_walk_abandon(struct defender_walk *w)
{
    if (w == NULL)
        return;
    loop_timer_stop(&w->timer);
    defender_abandon(w->call);
    free(w);
}

static void on_tagged(void *arg, const struct defender_machine *m, size_t n, const struct err *e)
{
    struct defender_walk *w = arg;

    w->call = NULL;
    for (size_t i = 0; e == NULL && i < n; i++) {
        if (w->calls.is_dc == NULL || w->calls.is_dc(w->arg, m[i].name))
            add(w, m[i].name, m[i].id);
    }
    if (e != NULL)
        w->calls.checked(w->arg, "", NULL, 0, e);
    next(w);
}

static void next(void *arg)
{
    struct defender_walk *w = arg;
    struct err e;

    w->timer = NULL;
    for (; w->at < w->count; w->at++) {
        const struct place *p = &w->places[w->at];

        if (defender_probe_start(w->d, p->host, p->machine[0] != '\0' ? p->machine : NULL,
                                 on_probed, w, &w->call, &e) == 0)
            return;
        w->calls.checked(w->arg, p->host, NULL, 0, &e);
    }
    w->calls.done(w->arg);
    free(w);
}

static void on_probed(void *arg, const struct defender_check *checks, size_t n)
{
    struct defender_walk *w = arg;

    w->call = NULL;
    w->calls.checked(w->arg, w->places[w->at].host, checks, n, NULL);
    w->at++;
    next(w);
}
