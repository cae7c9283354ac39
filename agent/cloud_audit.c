/* agent/cloud_audit.c -- --audit: the directory's own log as proof, where it speaks in time.
 *
 * An entry counts where it is about this user, after our request, and by our own service principal
 * (entra-graph.md 9.2). It lags by minutes; that none is there yet proves nothing.
 */
#include <stdio.h>
#include <string.h>

#include "agent/cloud_leg_inside.h"
#include "agent/run_inside.h"
#include "base/json.h"
#include "base/stamp.h"
#include "base/text.h"

#define EVERY_MS 5000
#define PAGES 4

static void ask(void *arg);

/* What our request is called there. */
static const char *activity_of(const struct cloud_act *x)
{
    if (x->kind == &cloud_disable)
        return "Disable account";
    if (x->kind == &cloud_enable)
        return "Enable account";
    return x->kind == &cloud_revoke ? "Update StsRefreshTokenValidFrom Timestamp" : NULL;
}

bool leg_audit_wanted(const struct cloud_leg *l)
{
    bool any = false;

    for (size_t i = 0; i < l->act_count; i++)
        any = any || (l->acts[i].step.outcome == OUT_DONE && activity_of(&l->acts[i]) != NULL);
    return l->cf->options.audit && any && !l->audited && !l->interrupted;
}

/* The names stand with and without a dot at the end. */
static bool same_activity(const char *s, const char *wanted)
{
    size_t n = strlen(wanted);

    return s != NULL && strncmp(s, wanted, n) == 0 && (s[n] == '\0' || strcmp(s + n, ".") == 0);
}

static bool on_entry(void *arg, const struct cJSON *item)
{
    struct cloud_leg *l = arg;
    const char *activity = json_str(item, "activityDisplayName"),
               *when = json_str(item, "activityDateTime"),
               *who = json_str(json_at(item, "initiatedBy/app"), "servicePrincipalId"),
               *result = json_str(item, "result");
    const char *us = token_object_id(l->cf->w->cloud->token);
    const struct cJSON *targets = json_get(item, "targetResources");
    bool about = false;
    int64_t ms = 0;

    for (const struct cJSON *t = json_first(targets); t != NULL; t = json_next(t))
        about =
            about || (json_str(t, "id") != NULL && text_eq_nocase(json_str(t, "id"), l->user.id));
    if (!about || when == NULL || !stamp_parse_iso(when, &ms) || us[0] == '\0' ||
        (result != NULL && strcmp(result, "success") != 0))
        return true;
    for (size_t i = 0; i < l->act_count; i++) {
        struct cloud_act *x = &l->acts[i];
        const char *wanted = activity_of(x);

        if (wanted == NULL || x->logged || x->step.outcome != OUT_DONE ||
            !same_activity(activity, wanted) || ms < x->accepted_ms - 5000)
            continue;
        if (who != NULL && text_eq_nocase(who, us))
            x->logged = true;
        else
            l->foreign_audit = true; /* somebody else did the same */
    }
    return true;
}

static void audit_end(struct cloud_leg *l, const struct err *e)
{
    struct step s = {.name = "audit", .target = "entra", .started_us = l->audit_us};
    size_t logged = 0, wanted = 0;

    for (size_t i = 0; i < l->act_count; i++) {
        struct cloud_act *x = &l->acts[i];

        if (activity_of(x) == NULL || x->step.outcome != OUT_DONE)
            continue;
        wanted++;
        logged += x->logged;
        if (x->logged)
            x->step.proof = PROOF_LOGGED;
    }
    s.ended_us = run_now_us(l->cf);
    s.outcome = logged == wanted ? OUT_DONE : OUT_UNCONFIRMED;
    s.proof = logged == wanted ? PROOF_LOGGED : PROOF_NONE;
    if (e != NULL)
        step_say(&s, "the directory's audit log cannot be read: %.400s", e->msg);
    else
        step_say(&s, "%zu of %zu in the directory's audit log%s%s", logged, wanted,
                 logged < wanted ? "; it lags by minutes, and silence proves nothing" : "",
                 l->foreign_audit ? "; somebody else did the same" : "");
    run_tell_and_record(l->cf, &s);
    step_done(&s);
    l->audited = true;
    leg_after_acts(l);
}

static void on_list(void *arg, const struct err *e)
{
    struct cloud_leg *l = arg;
    bool all = true;

    l->plain = NULL;
    for (size_t i = 0; i < l->act_count; i++)
        all = all && (activity_of(&l->acts[i]) == NULL || l->acts[i].logged ||
                      l->acts[i].step.outcome != OUT_DONE);
    if (all || l->interrupted || (e != NULL && e->code == ERR_DENIED) ||
        run_now_us(l->cf) - l->audit_us > (l->cf->w->wait_ms + EVERY_MS) * 1000) {
        audit_end(l, all ? NULL : e);
        return;
    }
    l->timer = loop_timer_start(l->cf->w->loop, EVERY_MS, ask, l);
    if (l->timer == NULL)
        audit_end(l, e);
}

static void ask(void *arg)
{
    struct cloud_leg *l = arg;
    int64_t since = stamp_now_ms();
    char path[400], iso[STAMP_TEXT];
    struct err e;

    l->timer = NULL;
    for (size_t i = 0; i < l->act_count; i++) {
        if (l->acts[i].accepted_ms != 0 && l->acts[i].accepted_ms < since)
            since = l->acts[i].accepted_ms;
    }
    (void)stamp_iso(iso, since - 60000);
    iso[19] = 'Z'; /* whole seconds */
    iso[20] = '\0';
    (void)snprintf(path, sizeof(path),
                   "/auditLogs/directoryAudits?$filter=activityDateTime%%20ge%%20%s%%20and%%20"
                   "targetResources/any(t:t/id%%20eq%%20%%27%s%%27)&$orderby=activityDateTime%%20"
                   "desc&$top=50",
                   iso, l->user.id);
    if (graph_list(l->cf->w->cloud->graph, &(struct graph_ask){.path = path, .flags = GRAPH_ALONE},
                   PAGES, on_entry, on_list, l, &l->plain, &e) < 0)
        audit_end(l, &e);
}

void leg_audit(struct cloud_leg *l)
{
    l->audit_us = run_now_us(l->cf);
    leg_move(l, LEG_AUDITING);
    ask(l);
}
