/* agent/sync_winrm.c -- see sync_winrm.h. A connection for each script: they are minutes apart. */
#include "agent/sync_winrm.h"

#include <stdlib.h>

#include "agent/watch.h"
#include "base/cleanup.h"
#include "base/winrm_shell.h"
#include "ldap/cred.h"

struct sync_winrm {
    struct loop *loop;
    const struct cfg_domain *domain;
    struct ad_ccache *cache;
    bool has_login;
    struct job *jobs;
};

struct job {
    struct sync_winrm *of;
    struct job *next;
    struct winrm *winrm;
    struct winrm_run *run;
    struct loop_timer *over; /* it has called back; it is freed in the next turn */
    sync_ran_cb cb;
    void *arg;
};

static void job_free(struct job *j)
{
    for (struct job **at = &j->of->jobs; *at != NULL; at = &(*at)->next) {
        if (*at == j) {
            *at = j->next;
            break;
        }
    }
    loop_timer_stop(&j->over);
    if (j->run != NULL)
        winrm_run_abandon(j->run);
    winrm_free(j->winrm);
    free(j);
}

static void on_over(void *arg)
{
    struct job *j = arg;

    j->over = NULL;
    job_free(j);
}

static void on_ran(void *arg, const struct winrm_ran *r, const struct err *e)
{
    struct job *j = arg;
    struct sync_ran ran = {0};
    sync_ran_cb cb = j->cb;
    void *cb_arg = j->arg;

    j->run = NULL;
    /* Where there is no memory for the timer, sync_winrm_free frees it. */
    j->over = loop_timer_start(j->of->loop, 0, on_over, j);
    if (e != NULL) {
        cb(cb_arg, NULL, e);
        return;
    }
    ran.out = r->out;
    ran.len = r->out_len;
    ran.truncated = r->truncated;
    ran.host = winrm_host(j->winrm);
    cb(cb_arg, &ran, NULL);
}

static int run(void *arg, const char *host, const char *script, uint64_t all_ms, sync_ran_cb cb,
               void *cb_arg, void **ret_run, struct err *e)
{
    struct sync_winrm *s = arg;
    struct winrm_settings w;
    struct job *j;

    if (!s->has_login)
        return err_set(e, ERR_AUTH, 0, "%s: no Kerberos ticket yet to log in with", host);
    j = calloc(1, sizeof(*j));
    if (j == NULL)
        return err_set(e, ERR_NOMEM, 0, "%s", host);
    *j = (struct job){.of = s, .next = s->jobs, .cb = cb, .arg = cb_arg};
    s->jobs = j;
    watch_winrm_settings(s->domain, host, ad_ccache_name(s->cache), &w);
    if (winrm_new(s->loop, &w, &j->winrm, e) < 0 ||
        winrm_run_start(j->winrm, script, all_ms, on_ran, j, &j->run, e) < 0) {
        job_free(j);
        return -1;
    }
    *ret_run = j;
    return 0;
}

static void cancel(void *arg, void *job)
{
    (void)arg;
    job_free(job);
}

int sync_winrm_new(struct loop *l, const struct cfg_domain *d, struct sync_winrm **ret_sync,
                   struct err *e)
{
    struct sync_winrm *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "sync");
    s->loop = l;
    s->domain = d;
    *ret_sync = s;
    return 0;
}

void sync_winrm_free(struct sync_winrm *s)
{
    if (s == NULL)
        return;
    while (s->jobs != NULL)
        job_free(s->jobs);
    ad_ccache_unref(&s->cache);
    free(s);
}

struct sync_runner sync_winrm_runner(struct sync_winrm *s)
{
    return (struct sync_runner){.run = run, .cancel = cancel, .arg = s};
}

void sync_winrm_login(struct sync_winrm *s, struct ad_ccache *cache)
{
    if (s == NULL || (s->has_login && s->cache == cache))
        return;
    ad_ccache_unref(&s->cache);
    s->cache = ad_ccache_ref(cache);
    s->has_login = true;
}
