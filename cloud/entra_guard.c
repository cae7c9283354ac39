/* cloud/entra_guard.c -- is this user privileged in Entra? (entra-graph.md 5.2)
 *
 *   entra_guard_start   all questions at once
 *   on_item, on_done    one question's answer; the last: the judgement
 *   on_owners           what the list of the groups' owners says (entra_owners.c); the same
 *
 * The first question needs no more than the right to read users, and must be answered: what it
 * shows are the active roles and the groups. The others are put where the token allows them; those
 * that are not put are named. Graph's own 403 remains the last word.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "cloud/entra_inside.h"

#define PAGES 20
#define QUESTIONS 5

/* Roles that may only look or invite; a holder is an ordinary user (5.1). */
static const char *const harmless[] = {"Directory Readers",
                                       "Guest Inviter",
                                       "Message Center Reader",
                                       "Reports Reader",
                                       "Usage Summary Reports Reader",
                                       "User Experience Success Manager",
                                       "Guest User",
                                       "Restricted Guest User",
                                       "User"};

struct guard;

struct question {
    struct guard *g;
    const struct ask *ask;
    struct graph_call *call;
    bool over, failed, not_put;
};

static const struct ask {
    const char *what;           /* for "not asked: ..." */
    const char *roles[4];       /* any of these in the token lets us ask; none: always */
    const char *before, *after; /* of the path, around the user's id */
    int flags;
    bool needed;
    void (*take)(struct question *q, const struct cJSON *item);
} asks[QUESTIONS];

struct guard {
    struct entra_call base;
    struct entra_user user;
    const struct cfg_list *groups; /* borrowed: the configuration's */
    struct question q[QUESTIONS];
    struct entra_owners_ask *owners; /* under way, or NULL */
    bool owners_not_put;
    size_t open;
    struct entra_guard out;
    struct err why;
    entra_guard_cb cb;
    void *arg;
};

static void find(struct guard *g, const char *rule, const char *what, const char *name)
{
    char shown[TEXT_SHOWN];

    if (g->out.is == ENTRA_PRIVILEGED)
        return;
    g->out.is = ENTRA_PRIVILEGED;
    g->out.rule = rule;
    (void)snprintf(g->out.words, sizeof(g->out.words), "%s %s", what,
                   text_shown(shown, name != NULL ? name : "without a name"));
}

static void role(struct guard *g, const char *what, const char *name)
{
    for (size_t i = 0; name != NULL && i < ARRAY_LEN(harmless); i++) {
        if (text_eq_nocase(name, harmless[i]))
            return;
    }
    find(g, "privileged", what, name);
}

static void take_member(struct question *q, const struct cJSON *item)
{
    struct guard *g = q->g;
    const char *type = json_str(item, "@odata.type"), *name = json_str(item, "displayName"),
               *id = json_str(item, "id");
    bool yes = false;

    if (type != NULL && strcmp(type, "#microsoft.graph.directoryRole") == 0)
        role(g, "Entra role", name);
    if (type != NULL && strcmp(type, "#microsoft.graph.administrativeUnit") == 0 &&
        json_bool(item, "isMemberManagementRestricted", &yes) && yes)
        find(g, "restricted-unit", "restricted management unit", name);
    if (json_bool(item, "isAssignableToRole", &yes) && yes)
        find(g, "privileged", "role-assignable group", name);
    for (size_t i = 0; i < g->groups->count; i++) {
        if ((id != NULL && text_eq_nocase(g->groups->items[i], id)) ||
            (name != NULL && text_eq_nocase(g->groups->items[i], name)))
            find(g, "privileged", "protected group", name != NULL ? name : id);
    }
}

static void take_group(struct question *q, const struct cJSON *item)
{
    bool yes = false;

    if (json_bool(item, "isAssignableToRole", &yes) && yes)
        find(q->g, "privileged", "role-assignable group", json_str(item, "displayName"));
}

static const char *role_name(const struct cJSON *item)
{
    const char *name = json_str(json_get(item, "roleDefinition"), "displayName");

    return name != NULL ? name : json_str(item, "roleDefinitionId");
}

static void take_assignment(struct question *q, const struct cJSON *item)
{
    role(q->g, "Entra role", role_name(item));
}

static void take_eligible(struct question *q, const struct cJSON *item)
{
    role(q->g, "eligible for the Entra role", role_name(item));
}

static void take_unit(struct question *q, const struct cJSON *item)
{
    bool yes = false;

    if (json_bool(item, "isMemberManagementRestricted", &yes) && yes)
        find(q->g, "restricted-unit", "restricted management unit", json_str(item, "displayName"));
}

static const struct ask asks[QUESTIONS] = {
    {.what = "groups and active roles",
     .before = "/users/",
     .after = "/transitiveMemberOf?$select=id,displayName&$top=999",
     .needed = true,
     .take = take_member},
    {.what = "role-assignable groups",
     .roles = {"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"},
     .before = "/users/",
     .after = "/transitiveMemberOf/microsoft.graph.group?$count=true&$select=id,"
              "displayName,isAssignableToRole&$top=999",
     .flags = GRAPH_EVENTUAL,
     .take = take_group},
    {.what = "role assignments",
     .roles = {"RoleManagement.Read.Directory", "RoleManagement.Read.All", "Directory.Read.All"},
     .before = "/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20%27",
     .after = "%27&$expand=roleDefinition",
     .take = take_assignment},
    {.what = "eligible roles (PIM)",
     .roles = {"RoleEligibilitySchedule.Read.Directory", "RoleManagement.Read.Directory",
               "RoleManagement.Read.All"},
     .before = "/roleManagement/directory/"
               "roleEligibilityScheduleInstances?$filter=principalId%20eq%20%27",
     .after = "%27&$expand=roleDefinition",
     .take = take_eligible},
    {.what = "administrative units",
     .roles = {"AdministrativeUnit.Read.All", "Directory.Read.All"},
     .before = "/users/",
     .after = "/memberOf/microsoft.graph.administrativeUnit?$count=true&$select=id,"
              "displayName,isMemberManagementRestricted",
     .flags = GRAPH_EVENTUAL,
     .take = take_unit},
};

static void guard_end(struct guard *g)
{
    struct text t = TEXT_INIT(sizeof(g->out.not_asked) * 4);
    size_t left = 0;

    loop_timer_stop(&g->base.timer);
    for (size_t i = 0; i < QUESTIONS; i++) {
        if (g->q[i].not_put)
            text_addf(&t, "%s%s", left++ > 0 ? ", " : "", g->q[i].ask->what);
    }
    if (g->owners_not_put)
        text_addf(&t, "%sowners of role-assignable groups", left++ > 0 ? ", " : "");
    if (left > 0)
        (void)snprintf(g->out.not_asked, sizeof(g->out.not_asked), "%s", t.s);
    text_done(&t);
    if (g->out.is != ENTRA_PRIVILEGED && g->why.code != ERR_OK) {
        g->out.is = ENTRA_UNKNOWN;
        g->out.rule = "cannot-judge";
        (void)snprintf(g->out.words, sizeof(g->out.words),
                       "cannot judge whether it is privileged in Entra: %.300s", g->why.msg);
    }
    g->cb(g->arg, &g->out, NULL);
    entra_user_done(&g->user);
    free(g);
}

static void maybe_end(struct guard *g)
{
    if (--g->open == 0)
        guard_end(g);
}

static bool on_item(void *arg, const struct cJSON *item)
{
    struct question *q = arg;

    q->ask->take(q, item);
    return q->g->out.is != ENTRA_PRIVILEGED; /* enough is known then */
}

/* Not allowed, or not offered: the other questions and the 403 remain. */
static bool is_not_to_be_asked(const struct err *e)
{
    return e->code == ERR_DENIED || e->code == ERR_UNSUPPORTED || e->code == ERR_REFUSED ||
           e->code == ERR_NOTFOUND;
}

static void on_done(void *arg, const struct err *e)
{
    struct question *q = arg;

    q->over = true;
    q->call = NULL;
    if (e != NULL && !q->ask->needed && is_not_to_be_asked(e))
        q->not_put = true;
    else if (e != NULL && q->g->why.code == ERR_OK)
        q->g->why = *e;
    maybe_end(q->g);
}

static void on_owners(void *arg, const char *group, const struct err *e)
{
    struct guard *g = arg;

    g->owners = NULL;
    if (e != NULL && is_not_to_be_asked(e))
        g->owners_not_put = true;
    else if (e != NULL && g->why.code == ERR_OK)
        g->why = *e;
    else if (e == NULL && group != NULL)
        find(g, "privileged", "owner of the role-assignable group",
             group[0] != '\0' ? group : NULL);
    maybe_end(g);
}

static void hurry(struct entra_call *base)
{
    struct guard *g = (struct guard *)base;

    if (g->owners != NULL)
        entra_owners_cancel(g->owners);
    for (size_t i = 0; i < QUESTIONS; i++) {
        if (!g->q[i].over && g->q[i].call != NULL)
            graph_cancel(g->q[i].call);
    }
}

static void on_budget(void *arg)
{
    struct guard *g = arg;

    g->base.timer = NULL;
    hurry(&g->base);
}

static bool may_ask(const struct graph *g, const struct ask *a)
{
    const struct token_source *t = graph_token(g);

    if (a->roles[0] == NULL || !token_readable(t))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(a->roles) && a->roles[i] != NULL; i++) {
        if (token_has_role(t, a->roles[i]))
            return true;
    }
    return false;
}

int entra_guard_start(struct graph *graph, struct entra_owners *owners, const struct entra_user *u,
                      uint64_t budget_ms, const struct cfg_list *protected_groups,
                      entra_guard_cb cb, void *arg, struct entra_call **ret_call, struct err *e)
{
    struct guard *g = calloc(1, sizeof(*g));
    struct err mine;

    if (g == NULL || entra_user_copy(u, &g->user, e) < 0) {
        free(g);
        return err_set(e, ERR_NOMEM, 0, "user");
    }
    g->base = (struct entra_call){.g = graph, .loop = graph_loop(graph), .hurry = hurry};
    g->groups = protected_groups;
    g->cb = cb;
    g->arg = arg;
    if (g->user.restricted == ENTRA_TRUE)
        find(g, "restricted-unit", "member of a", "restricted management unit");
    for (size_t i = 0; i < QUESTIONS; i++) {
        struct question *q = &g->q[i];
        char path[400];

        *q = (struct question){.g = g, .ask = &asks[i]};
        (void)snprintf(path, sizeof(path), "%s%s%s", asks[i].before, g->user.id, asks[i].after);
        if (!may_ask(graph, &asks[i]))
            q->not_put = q->over = true;
        else if (graph_list(
                     graph,
                     &(struct graph_ask){.path = path, .flags = asks[i].flags, .all_ms = budget_ms},
                     PAGES, on_item, on_done, q, &q->call, &mine) == 0)
            g->open++;
        else if (g->why.code == ERR_OK)
            g->why = mine;
    }
    if (owners == NULL)
        g->owners_not_put = true;
    else if (entra_owners_start(owners, g->user.id, on_owners, g, &g->owners, &mine) == 0)
        g->open++;
    else if (mine.code == ERR_DENIED)
        g->owners_not_put = true;
    else if (g->why.code == ERR_OK)
        g->why = mine;
    if (g->open == 0) {
        *e = g->why;
        entra_user_done(&g->user);
        free(g);
        return -1;
    }
    g->base.timer = loop_timer_start(g->base.loop, budget_ms, on_budget, g);
    if (ret_call != NULL)
        *ret_call = &g->base;
    return 0;
}
