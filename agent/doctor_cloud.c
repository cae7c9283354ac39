/* agent/doctor_cloud.c -- does the cloud's half work: token, roles in it, Graph, clocks, the sync
 * job?
 *
 *   doctor_check_cloud   a token
 *   on_token             which permissions it carries, and which of ours are missing
 *   on_rights            which Entra role lets us set passwords, where the permission is there
 *   on_graph             Graph answers a harmless question
 *   on_sync              the job for this domain, where one is configured
 */
#include <stdio.h>
#include <string.h>

#include "agent/cloud.h"
#include "agent/doctor.h"
#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/entra_rights.h"

#define SKEW_MS (INT64_C(4) * 60 * 1000) /* an assertion is good for ten minutes around */

static void on_token(void *arg, const struct secret *authorization, const struct err *e);
static void on_rights(void *arg, const struct entra_rights *r, const struct err *e);
static void on_graph(void *arg, const struct graph_answer *a, const struct err *e);
static void on_sync(void *arg, const struct sync_result *r);

/* Least first; any of a row is enough. needed: nothing can be contained without. */
static const struct {
    const char *any[3];
    const char *what;
    bool needed, sync;
} roles[] = {
    {{"User.Read.All", "User.ReadWrite.All", "Directory.Read.All"},
     "match and read users",
     true,
     false},
    {{"User.EnableDisableAccount.All", "User.ReadWrite.All"}, "disable and enable", true, false},
    {{"User.RevokeSessions.All", "User.ReadWrite.All"}, "end sessions", true, false},
    {{"RoleManagement.Read.Directory", "RoleManagement.Read.All", "Directory.Read.All"},
     "see who holds a role, or may",
     false,
     false},
    {{"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"},
     "see members and owners of role-assignable groups",
     false,
     false},
    {{"AdministrativeUnit.Read.All", "Directory.Read.All"}, "see restricted units", false, false},
    {{"AuditLog.Read.All"}, "prove by the audit log", false, false},
    {{"User-PasswordProfile.ReadWrite.All", "User.ReadWrite.All"},
     "set passwords of users of the cloud alone",
     false,
     false},
    {{"IdentityRiskyUser.ReadWrite.All"}, "mark-compromised and dismiss-risk", false, false},
    {{"Application.Read.All", "Directory.Read.All"}, "find the synchronisation", false, true},
    {{"Synchronization.ReadWrite.All"}, "push a user through it", false, true},
};

static void end(struct doctor *d)
{
    doctor_done(d); /* the cloud is closed when nothing of it is on the stack any more */
}

void doctor_check_cloud(struct doctor *d)
{
    const struct cfg_entra *entra = &d->cfg->entra;
    struct err e;

    if (!entra->on) { /* nothing to look at */
        doctor_done(d);
        return;
    }
    if (cloud_open(d->loop, d->cfg, d->domain, &d->cloud, &e) < 0) {
        doctor_say(d, "cloud", "", HEALTH_FAILED, "cordon config check", "%s", e.msg);
        doctor_done(d);
        return;
    }
    cloud_follow(d->cloud, d->dcs);
    if (token_get(d->cloud->token, on_token, d, NULL, &e) < 0)
        on_token(d, NULL, &e);
}

static void say_roles(struct doctor *d)
{
    const struct token_source *t = d->cloud->token;
    bool cloud_sync = d->cfg->entra.sync == CFG_SYNC_CLOUD;
    unsigned missing = 0;

    if (!token_readable(t)) {
        doctor_say(d, "roles", "", HEALTH_WARNING, "docs/permissions.md",
                   "the token cannot be read, so nobody can tell what it allows");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        bool has = false;
        char mend[300];

        for (size_t k = 0; k < ARRAY_LEN(roles[i].any) && roles[i].any[k] != NULL; k++)
            has = has || token_has_role(t, roles[i].any[k]);
        if (has || (roles[i].sync && !cloud_sync))
            continue;
        missing++;
        (void)snprintf(mend, sizeof(mend),
                       "grant %s to the application, with admin consent (docs/permissions.md)",
                       roles[i].any[0]);
        doctor_say(d, "roles", roles[i].any[0],
                   roles[i].needed || roles[i].sync ? HEALTH_FAILED : HEALTH_WARNING, mend,
                   "missing: cordon cannot %s", roles[i].what);
    }
    if (missing == 0)
        doctor_say(d, "roles", "", HEALTH_OK, "", "all permissions are in the token");
}

static void on_token(void *arg, const struct secret *authorization, const struct err *e)
{
    struct doctor *d = arg;
    char iso[STAMP_TEXT];
    struct err mine;

    (void)authorization;
    if (e != NULL) {
        doctor_say(d, "token", d->cfg->entra.login_url, HEALTH_FAILED,
                   "see the message; credentials are in [entra]", "%s", e->msg);
        end(d);
        return;
    }
    doctor_say(d, "token", d->cfg->entra.login_url, HEALTH_OK, "", "until %s, as %s",
               token_expires_ms(d->cloud->token) != 0
                   ? stamp_iso(iso, token_expires_ms(d->cloud->token))
                   : "its end",
               token_object_id(d->cloud->token)[0] != '\0' ? token_object_id(d->cloud->token)
                                                           : "an unnamed principal");
    say_roles(d);
    if (entra_rights_start(d->cloud->graph, on_rights, d, NULL, &mine) < 0)
        on_rights(d, NULL, &mine);
}

/* Without the permission its line says enough; who sets no passwords needs neither. */
static void on_rights(void *arg, const struct entra_rights *r, const struct err *e)
{
    struct doctor *d = arg;
    struct err mine;

    if (e != NULL)
        doctor_say(d, "entra-role", "", HEALTH_WARNING, "", "%s", e->msg);
    else if (r->permission && r->role[0] != '\0')
        doctor_say(d, "entra-role", r->role, HEALTH_OK, "",
                   "passwords of users of the cloud alone can be set");
    else if (r->permission && r->lacking[0] != '\0')
        doctor_say(
            d, "entra-role", "User Administrator", HEALTH_WARNING,
            "assign it to cordon's service principal, at an administrative unit's scope where "
            "that is enough (docs/permissions.md)",
            "missing: cordon cannot set passwords of users of the cloud alone, as it has no "
            "Entra role that may");
    else if (r->permission)
        doctor_say(d, "entra-role", "", HEALTH_SKIPPED, "",
                   "the token does not tell which Entra roles cordon has");
    if (graph_start(d->cloud->graph,
                    &(struct graph_ask){.method = "GET", .path = "/users?$top=1&$select=id"},
                    on_graph, d, NULL, &mine) < 0)
        on_graph(d, NULL, &mine);
}

static void on_graph(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct doctor *d = arg;
    int64_t skew = e == NULL && a->date_ms != 0 ? a->date_ms - stamp_now_ms() : 0;
    struct err mine;

    if (e != NULL)
        doctor_say(d, "graph", d->cfg->entra.graph_url, HEALTH_FAILED,
                   "see the message; a proxy goes into [http]", "%s", e->msg);
    else if (skew > SKEW_MS || skew < -SKEW_MS)
        doctor_say(d, "graph", d->cfg->entra.graph_url, HEALTH_FAILED,
                   "set this host's clock (timedatectl set-ntp true)",
                   "answers, but its clock is %lld s away from ours", (long long)(skew / 1000));
    else
        doctor_say(d, "graph", d->cfg->entra.graph_url, HEALTH_OK, "", "answers");
    if (d->cfg->entra.sync == CFG_SYNC_NONE) {
        doctor_say(d, "sync", "", HEALTH_SKIPPED, "", "sync = none");
        end(d);
        return;
    }
    if (e == NULL && d->cloud->sync_mde != NULL) { /* only a run would show more: minutes */
        doctor_say(d, "sync", d->cfg->entra.sync_server,
                   d->cloud->sync_script[0] != '\0' ? HEALTH_SKIPPED : HEALTH_FAILED, "",
                   "sync_via = mde: nothing is run there by doctor");
        end(d);
        return;
    }
    if (e != NULL || sync_check_start(d->cloud->sync, on_sync, d, NULL, &mine) < 0) {
        doctor_say(d, "sync", "", HEALTH_FAILED, "", "%s", e != NULL ? "not asked" : mine.msg);
        end(d);
    }
}

static void on_sync(void *arg, const struct sync_result *r)
{
    struct doctor *d = arg;
    bool well = r->outcome == SYNC_PROVEN;

    doctor_say(d, "sync", r->job,
               well ? r->health[0] != '\0' ? HEALTH_WARNING : HEALTH_OK : HEALTH_FAILED,
               well ? "" : "the synchronisation for this domain; sync = none where there is none",
               "%s%s%s", r->words, r->health[0] != '\0' ? "; " : "", r->health);
    end(d);
}
