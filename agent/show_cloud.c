/* agent/show_cloud.c -- the Entra half of `cordon show`: who it is there, and may it be touched?
 *
 *   show_cloud_start   match, or find by what was typed where AD has no such account
 *   on_matched         who is that? The guard's question
 *   on_guarded         done
 */
#include "agent/show.h"

#include <stdio.h>
#include <string.h>

#include "agent/cloud.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/entra.h"

#define BUDGET_MS 10000

static void on_matched(void *arg, const struct entra_user *u, const struct err *e);
static void on_guarded(void *arg, const struct entra_guard *g, const struct err *e);

int show_cloud_start(struct show *s, void (*done)(struct show *s), struct err *e)
{
    struct show_entra *x = &s->entra;
    struct graph *g = s->world.cloud->graph;
    char sid[AD_SID_TEXT];

    show_cloud_done(s);
    x->done = done;
    if (s->account == NULL)
        return entra_find_start(g, s->accounts[s->at], s->world.domain->name, on_matched, s, NULL,
                                e);
    return entra_match_start(g,
                             &(struct entra_facts){.sid = ad_sid_to_text(&s->found.sid, sid),
                                                   .guid = s->found.guid.b,
                                                   .consistency = s->found.has_consistency
                                                                      ? s->found.consistency.b
                                                                      : NULL,
                                                   .upn = s->found.upn,
                                                   .domain = s->world.domain->name},
                             on_matched, s, NULL, e);
}

void show_cloud_done(struct show *s)
{
    entra_user_done(&s->entra.user);
    s->entra = (struct show_entra){.asked = false};
}

static void on_matched(void *arg, const struct entra_user *u, const struct err *e)
{
    struct show *s = arg;
    struct show_entra *x = &s->entra;
    struct err mine;

    x->asked = true;
    if (e == NULL && entra_user_copy(u, &x->user, &mine) < 0)
        e = &mine;
    if (e != NULL) {
        x->code = e->code;
        (void)snprintf(x->why, sizeof(x->why), "%s", e->msg);
        x->done(s);
        return;
    }
    x->found = true;
    if (entra_guard_start(s->world.cloud->graph, s->world.cloud->owners, &x->user, BUDGET_MS,
                          &s->world.cfg->entra.protected_groups, on_guarded, s, NULL, &mine) < 0) {
        (void)snprintf(x->rule, sizeof(x->rule), "cannot-judge");
        (void)snprintf(x->why, sizeof(x->why), "%s", mine.msg);
        x->done(s);
    }
}

static void on_guarded(void *arg, const struct entra_guard *g, const struct err *e)
{
    struct show *s = arg;
    struct show_entra *x = &s->entra;

    if (e != NULL) {
        (void)snprintf(x->rule, sizeof(x->rule), "cannot-judge");
        (void)snprintf(x->why, sizeof(x->why), "%s", e->msg);
    } else if (g->is != ENTRA_ORDINARY) {
        (void)snprintf(x->rule, sizeof(x->rule), "%s", g->rule);
        (void)snprintf(x->why, sizeof(x->why), "%s", g->words);
    }
    if (e == NULL)
        (void)snprintf(x->not_asked, sizeof(x->not_asked), "%s", g->not_asked);
    x->done(s);
}

/* --- telling -----------------------------------------------------------------------------------
 */

static const char *tri(enum entra_tri t)
{
    return t == ENTRA_TRUE ? "yes" : t == ENTRA_FALSE ? "no longer" : "no";
}

void show_cloud_json(const struct show *s, struct json_out *o)
{
    const struct show_entra *x = &s->entra;

    if (!x->asked)
        return;
    json_out_object(o, "entra");
    if (!x->found) {
        json_out_str(o, "error", err_word(x->code));
        json_out_str(o, "why", x->why);
        json_out_end_object(o);
        return;
    }
    json_out_str(o, "id", x->user.id);
    json_out_str(o, "upn", x->user.upn);
    json_out_str(o, "display_name", x->user.display_name);
    json_out_bool(o, "enabled", x->user.enabled);
    json_out_bool(o, "guest", x->user.guest);
    json_out_bool(o, "synchronised", x->user.synced == ENTRA_TRUE);
    json_out_str(o, "immutable_id", x->user.immutable_id);
    json_out_str(o, "sid", x->user.sid);
    if (x->user.sessions_valid_from_ms != 0)
        json_out_time(o, "sessions_valid_from", x->user.sessions_valid_from_ms);
    if (x->user.password_changed_ms != 0)
        json_out_time(o, "password_changed", x->user.password_changed_ms);
    if (x->user.last_sync_ms != 0)
        json_out_time(o, "last_sync", x->user.last_sync_ms);
    json_out_bool(o, "may", x->rule[0] == '\0');
    json_out_str(o, "rule", x->rule);
    json_out_str(o, "why", x->why);
    json_out_str(o, "not_asked", x->not_asked);
    json_out_end_object(o);
}

static void line(struct text *t, const char *name, const char *value)
{
    text_addf(t, "  %-19s ", name);
    text_show(t, value, strlen(value), 400);
    text_addc(t, '\n');
}

static void time_line(struct text *t, const char *name, int64_t ms, int64_t now)
{
    char iso[STAMP_TEXT], age[STAMP_TEXT];

    if (ms != 0)
        text_addf(t, "  %-19s %s (%s ago)\n", name, stamp_iso(iso, ms),
                  stamp_age(age, now > ms ? now - ms : 0));
}

void show_cloud_text(const struct show *s, struct text *t)
{
    const struct show_entra *x = &s->entra;
    int64_t now = stamp_now_ms();

    if (!x->asked)
        return;
    text_add(t, "\n  in Entra ID\n");
    if (!x->found) {
        line(t, x->code == ERR_NOTFOUND ? "nobody" : "not known", x->why);
        return;
    }
    line(t, "user", x->user.upn);
    line(t, "object id", x->user.id);
    line(t, "state", x->user.enabled ? "enabled" : "disabled");
    if (x->user.guest)
        line(t, "guest", "yes: sessions and password are the home tenant's");
    line(t, "synchronised", tri(x->user.synced));
    time_line(t, "last synchronised", x->user.last_sync_ms, now);
    time_line(t, "sessions valid from", x->user.sessions_valid_from_ms, now);
    time_line(t, "password changed", x->user.password_changed_ms, now);
    if (x->rule[0] != '\0')
        line(t, x->rule, x->why);
    else
        line(t, "privileged", "no");
    if (x->not_asked[0] != '\0')
        line(t, "not asked", x->not_asked);
}

void show_cloud_alone(const struct show *s)
{
    struct text t = TEXT_INIT(64 * 1024);
    char shown[TEXT_SHOWN];
    struct json_out o;

    if (s->json) {
        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "account");
        json_out_str(&o, "account", s->accounts[s->at]);
        json_out_str(&o, "sid", "");
        json_out_str(&o, "dn", "");
        show_cloud_json(s, &o);
        json_out_end_object(&o);
        text_addc(&t, '\n');
    } else {
        text_addf(&t, "%s\n  not in AD\n", text_shown(shown, s->accounts[s->at]));
        show_cloud_text(s, &t);
    }
    show_emit(&t);
}
