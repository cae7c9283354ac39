/* agent/world.c -- see world.h.
 *
 *   world_open     the log's sources and the DCs are opened at once, beside each other
 *   on_watch       the log is open, or was given up on
 *   on_dcs         a DC moved: the first that is ready resolves the lists; cases hear of the rest
 *   on_policy
 *   maybe_ready    all three: told once
 */
#include "agent/world.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cloud.h"
#include "agent/run.h"
#include "base/log.h"
#include "base/stamp.h"
#include "base/text.h"

#define SKEW_WARN_MS (2 * 60 * 1000)

static void tell_now(void *arg)
{
    struct world *w = arg;

    w->later = NULL;
    if (w->told)
        return;
    w->told = true;
    w->ready(w->arg, w->failed.code != ERR_OK ? &w->failed : NULL);
}

static void maybe_ready(struct world *w)
{
    if (w->told || w->later != NULL)
        return;
    if (w->failed.code != ERR_OK || (w->watch_ready && w->policy_ready))
        w->later = loop_timer_start(w->loop, 0, tell_now, w);
}

static void on_watch(void *arg)
{
    struct world *w = arg;

    w->watch_ready = true;
    maybe_ready(w);
}

static void on_policy(void *arg, struct policy *p, const struct err *e)
{
    struct world *w = arg;

    if (w->closed) {
        policy_free(p);
        return;
    }
    if (e != NULL && err_is_elsewhere(e)) {
        w->policy_started = false; /* that DC went away: the next one that is ready */
        return;
    }
    if (e != NULL) {
        w->failed = *e;
        w->policy_failed = true;
        if (w->told)
            log_error("the lists of the configuration: %s", e->msg);
        maybe_ready(w);
        return;
    }
    w->policy = p;
    w->policy_ready = true;
    maybe_ready(w);
}

static void resolve_lists(struct world *w)
{
    struct ad_dc *dc = world_dc(w, false);
    struct err e;

    if (w->policy_started || dc == NULL)
        return;
    if (policy_resolve_start(dc, &w->cfg->policy, on_policy, w, &e) < 0) {
        log_debug("lists: %s", e.msg);
        return;
    }
    w->policy_started = true;
}

static void on_dcs(void *arg, struct ad_dc *dc)
{
    struct world *w = arg;

    if (dc != NULL && dc->state == AD_DC_READY) {
        if (dc->has_skew && (dc->skew_ms > SKEW_WARN_MS || dc->skew_ms < -SKEW_WARN_MS))
            log_warning("the clock of %s is %lld s away from ours, carrying on", dc->host,
                        (long long)(dc->skew_ms / 1000));
        if (dc->domain_dn[0] == '\0')
            log_warning("%s names no default naming context, carrying on", dc->host);
    }
    if (dc != NULL)
        log_debug("%s is %s%s%s", dc->host, ad_dc_state_word(dc->state),
                  dc->why.code != ERR_OK ? ": " : "", dc->why.code != ERR_OK ? dc->why.msg : "");
    watch_follow(w->watch, w->dcs);
    cloud_follow(w->cloud, w->dcs);
    if (!w->policy_ready) {
        resolve_lists(w);
        /* Nobody is left to hope for: say why, rather than wait for a DC to come back. */
        if (!w->policy_started && !ad_dcs_hopeful(w->dcs) && world_dc(w, false) == NULL) {
            (void)world_no_dc(w, &w->failed);
            maybe_ready(w);
        }
    }
    if (dc != NULL)
        run_dc_changed(w, dc);
}

int world_open(struct loop *l, const struct world_opts *opts, struct world *w,
               void (*ready)(void *arg, const struct err *e), void *arg, struct err *e)
{
    struct ad_dcs_opts d = {.domain = opts->domain,
                            .as_agent = opts->as_agent,
                            .only = opts->only_dc,
                            .window = opts->cfg->window};
    char host[64] = "";

    *w = (struct world){.loop = l,
                        .cfg = opts->cfg,
                        .domain = opts->domain,
                        .report = opts->report,
                        .wait_ms = opts->wait_ms,
                        .ready = ready,
                        .arg = arg};
    if (gethostname(host, sizeof(host) - 1) == 0) {
        (void)snprintf(w->own_computer, sizeof(w->own_computer), "%.*s$", (int)strcspn(host, "."),
                       host);
        for (char *p = w->own_computer; *p != '\0'; p++)
            *p = (char)toupper((unsigned char)*p);
    }
    if (ad_gather_new(l, &w->gather, e) < 0)
        return -1;
    /* A cloud that cannot be used holds nothing up in AD; each case says why its part is missing.
     */
    w->with_cloud = opts->with_cloud;
    if (opts->with_cloud && cloud_open(l, opts->cfg, opts->domain, &w->cloud, &w->cloud_failed) < 0)
        log_error("%s", w->cloud_failed.msg);
    else if (w->cloud != NULL)
        cloud_warm_up(w->cloud);
    w->ledger = opts->ledger;
    w->own_ledger = opts->ledger == NULL && opts->with_ledger;
    if (w->own_ledger && ledger_open(opts->state_dir, l, /* readonly */ false, &w->ledger, e) < 0)
        return -1;
    if (opts->with_watch) {
        if (watch_open(l, opts->cfg, opts->domain, opts->one_account, on_watch, w, &w->watch, e) <
            0)
            return -1;
    } else {
        w->watch_ready = true;
    }
    return ad_dcs_open_start(l, &d, on_dcs, w, &w->dcs, e);
}

static void on_bye(void *arg)
{
    struct world *w = arg;

    loop_stop(w->loop);
}

void world_close(struct world *w)
{
    struct err e;

    w->closed = true;
    loop_timer_stop(&w->later);
    ad_gather_free(w->gather);
    w->gather = NULL;
    cloud_close(w->cloud);
    w->cloud = NULL;
    ad_dcs_close(&w->dcs);
    if (watch_end_start(w->watch, on_bye, w) && loop_run(w->loop, &e) < 0)
        log_debug("event logs: %s", e.msg);
    watch_close(&w->watch);
    policy_free(w->policy);
    w->policy = NULL;
    if (w->own_ledger && w->ledger != NULL && ledger_close(w->ledger, &e) < 0)
        log_error("ledger: %s", e.msg);
    w->ledger = NULL;
}

bool world_can_judge(const struct world *w)
{
    return w->policy_ready;
}

struct ad_dc *world_dc(struct world *w, bool write)
{
    size_t n = w->dcs != NULL ? ad_dcs_count(w->dcs) : 0;

    for (size_t i = 0; i < n; i++) {
        struct ad_dc *dc = ad_dcs_at(w->dcs, i);

        if (dc->state == AD_DC_READY && (dc->write || !write))
            return dc;
    }
    return NULL;
}

bool world_hopeful(const struct world *w)
{
    return ad_dcs_hopeful(w->dcs);
}

bool world_has_lists(const struct world *w)
{
    const struct cfg_policy *p = &w->cfg->policy;

    return p->never_disable.count + p->always_disable.count + p->never_credentials.count +
               p->always_credentials.count >
           0;
}

int world_no_dc(struct world *w, struct err *e)
{
    struct text t = TEXT_INIT(4096);
    size_t n = w->dcs != NULL ? ad_dcs_count(w->dcs) : 0;
    enum err_code code = ERR_UNSENT;

    if (w->dcs != NULL && ad_dcs_failed(w->dcs) != NULL) {
        *e = *ad_dcs_failed(w->dcs);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        const struct ad_dc *dc = ad_dcs_at(w->dcs, i);

        text_addf(&t, "%s%.300s", i > 0 ? "; " : "",
                  dc->why.code != ERR_OK ? dc->why.msg : dc->host);
        if (dc->why.code == ERR_AUTH)
            code = ERR_AUTH;
    }
    (void)err_set(e, code, 0, "no DC of %s can be used: %s", w->domain->name,
                  n > 0 ? t.s : "DNS names none");
    text_done(&t);
    return -1;
}
