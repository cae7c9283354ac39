/* cloud/entra_rights.c -- see entra_rights.h.
 *
 *   entra_rights_start   what the token says; where a role is missing there:
 *   on_item, on_done     what our own role assignments say
 *   finish               the one way out
 */
#include "cloud/entra_rights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cloud/entra_inside.h"

enum { PAGES = 5, ALL_MS = 5000 };

/* Least first. What is greater than needed is not asked for, but it does. */
static const char *const permissions[] = {"User-PasswordProfile.ReadWrite.All",
                                          "User.ReadWrite.All"};
/* Who may read role assignments. */
static const char *const readers[] = {"RoleManagement.Read.Directory", "RoleManagement.Read.All",
                                      "Directory.Read.All"};

/* The roles that may reset passwords, some of them only of the least privileged; by the ids of
 * their templates, which are the same in every tenant. */
static const struct {
    const char *id, *name;
} roles[] = {
    {"fe930be7-5e62-47db-91af-98c3a49a38b1", "User Administrator"},
    {"966707d0-3269-4727-9be2-8c3a10f19b9d", "Password Administrator"},
    {"729827e3-9c14-49f7-bb1b-9608f156bbb8", "Helpdesk Administrator"},
    {"c4e39bd9-1100-46d3-8c65-fb160da0071f", "Authentication Administrator"},
    {"7be44c8a-adaf-4e2a-84d6-ab2649e08a13", "Privileged Authentication Administrator"},
    {"62e90394-69f5-4237-9190-012177145e10", "Global Administrator"},
};

struct asking {
    struct entra_call base;
    struct entra_rights out;
    entra_rights_cb cb;
    void *arg;
};

static bool on_item(void *arg, const struct cJSON *item);
static void on_done(void *arg, const struct err *e);
static void on_turn(void *arg);

static bool has_any(const struct token_source *t, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (token_has_role(t, list[i]))
            return true;
    }
    return false;
}

static const char *role_name(const char *id)
{
    for (size_t i = 0; id != NULL && i < ARRAY_LEN(roles); i++) {
        if (text_eq_nocase(roles[i].id, id))
            return roles[i].name;
    }
    return NULL;
}

/* One of a comma-separated list of ids. */
static const char *role_among(const char *wids)
{
    char id[37];

    for (; strlen(wids) >= 36; wids += wids[36] == ',' ? 37 : 36) {
        memcpy(id, wids, 36);
        id[36] = '\0';
        if (role_name(id) != NULL)
            return role_name(id);
    }
    return NULL;
}

static bool may_read(const struct token_source *t)
{
    return has_any(t, readers, ARRAY_LEN(readers)) && entra_id_ok(token_object_id(t));
}

static void say_lacking(const struct token_source *t, struct entra_rights *r)
{
    struct text words = TEXT_INIT(4 * ENTRA_RIGHTS_WORDS);
    bool no_role = r->role_known && r->role[0] == '\0';
    const char *oid = token_object_id(t);

    r->lacking[0] = '\0';
    if (!r->known || (r->permission && !no_role))
        return;
    text_add(&words, "cordon's application lacks ");
    if (!r->permission)
        text_addf(&words, "the permission %s (grant it there, with admin consent)%s",
                  permissions[0], no_role ? ", and " : "");
    if (no_role)
        text_addf(&words,
                  "an Entra role that may reset passwords (in the Entra admin center, Roles and "
                  "administrators, assign User Administrator to its service principal%s%s)%s",
                  oid[0] != '\0' ? " " : "", oid,
                  may_read(t) ? ""
                              : "; one at the scope of an administrative unit is only seen with "
                                "RoleManagement.Read.Directory");
    (void)snprintf(r->lacking, sizeof(r->lacking), "%s", words.s);
    text_done(&words);
}

/* A token names at least one role, the one of having none; where it names nothing it tells nothing.
 */
static void by_token(const struct token_source *t, struct entra_rights *r)
{
    const char *wids = token_directory_roles(t), *name = role_among(wids);

    *r = (struct entra_rights){.known = token_readable(t), .role_known = wids[0] != '\0'};
    r->permission = has_any(t, permissions, ARRAY_LEN(permissions));
    (void)snprintf(r->role, sizeof(r->role), "%s", name != NULL ? name : "");
    say_lacking(t, r);
}

bool entra_rights_lacking(const struct token_source *t, char words[ENTRA_RIGHTS_WORDS])
{
    struct entra_rights r;

    by_token(t, &r);
    /* Where the assignments can be read they decide, later. */
    if (r.permission && may_read(t))
        return false;
    (void)snprintf(words, ENTRA_RIGHTS_WORDS, "%s", r.lacking);
    return r.lacking[0] != '\0';
}

int entra_rights_start(struct graph *g, entra_rights_cb cb, void *arg, struct entra_call **ret_call,
                       struct err *e)
{
    const struct token_source *t = graph_token(g);
    struct asking *a = calloc(1, sizeof(*a));
    char path[200];
    int rc = 0;

    if (a == NULL)
        return err_set(e, ERR_NOMEM, 0, "rights");
    a->base = (struct entra_call){.g = g, .loop = graph_loop(g)};
    a->cb = cb;
    a->arg = arg;
    by_token(t, &a->out);
    if (a->out.known && a->out.permission && a->out.role[0] == '\0' && may_read(t)) {
        (void)snprintf(path, sizeof(path),
                       "/roleManagement/directory/roleAssignments?$filter=principalId%%20eq%%20"
                       "%%27%.36s%%27&$expand=roleDefinition",
                       token_object_id(t));
        rc = graph_list(g, &(struct graph_ask){.path = path, .all_ms = ALL_MS}, PAGES, on_item,
                        on_done, a, &a->base.call, e);
    } else {
        a->base.timer = loop_timer_start(a->base.loop, 0, on_turn, a);
        if (a->base.timer == NULL)
            rc = err_set(e, ERR_NOMEM, 0, "rights");
    }
    if (rc < 0) {
        free(a);
        return -1;
    }
    if (ret_call != NULL)
        *ret_call = &a->base;
    return 0;
}

/* A role of our own making has another id: only what is built in is known here. */
static bool on_item(void *arg, const struct cJSON *item)
{
    struct asking *a = arg;
    const struct cJSON *definition = json_get(item, "roleDefinition");
    const char *name = role_name(json_str(definition, "templateId")),
               *scope = json_str(item, "directoryScopeId");
    char shown[TEXT_SHOWN];

    if (name == NULL)
        name = role_name(json_str(item, "roleDefinitionId"));
    if (name == NULL)
        return true;
    (void)snprintf(a->out.role, sizeof(a->out.role), "%s%s%.80s", name,
                   scope != NULL && strcmp(scope, "/") != 0 ? " at " : "",
                   scope != NULL && strcmp(scope, "/") != 0 ? text_shown(shown, scope) : "");
    return false; /* one is enough */
}

static void finish(struct asking *a, const struct err *e)
{
    a->cb(a->arg, &a->out, e);
    free(a);
}

static void on_done(void *arg, const struct err *e)
{
    struct asking *a = arg;
    bool not_allowed = e != NULL && (e->code == ERR_DENIED || e->code == ERR_REFUSED ||
                                     e->code == ERR_UNSUPPORTED || e->code == ERR_NOTFOUND);

    a->base.call = NULL;
    a->out.role_known = a->out.role_known || e == NULL;
    say_lacking(graph_token(a->base.g), &a->out);
    finish(a, not_allowed ? NULL : e);
}

static void on_turn(void *arg)
{
    struct asking *a = arg;

    a->base.timer = NULL;
    finish(a, NULL);
}
