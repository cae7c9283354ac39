/* cloud/entra_owners.c -- see entra_owners.h.
 *
 *   entra_owners_start   the list is fresh: in the next turn. Else it is begun, or waited for
 *   on_group, on_groups  the groups, each with its owners as far as an $expand shows them
 *   next_long            a group with more owners than that: its own list
 *   loaded               all who wait are answered
 *
 * Invariants: one list at a time (o->loading). An ask is in o->asks exactly while its callback is
 * owed. Groups and owners are whole, or `why` says that they are not.
 */
#include "cloud/entra_owners.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "base/text.h"
#include "cloud/entra_inside.h"

enum {
    FRESH_MS = 60 * 1000,
    PAGES = 20,
    OWNERS_MAX = 50000, /* a tenant's limit: 500 groups with 100 owners each */
    EXPANDED = 20,      /* so many an $expand shows at most, and does not say that there are more */
};

/* Least first. */
static const char *const roles[] = {"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"};

static const char groups_path[] = "/groups?$filter=isAssignableToRole%20eq%20true&$select=id,"
                                  "displayName,isAssignableToRole&$expand=owners($select=id)";

struct group {
    char id[37];
    char *name;
    bool is_long; /* its owners need a list of their own */
};

struct owner {
    char id[37];
    unsigned group;
};

struct entra_owners {
    struct graph *g;
    struct graph_call *call;
    bool loading;
    uint64_t fresh_until;
    struct err why; /* of the last list; ERR_OK: it is whole */
    struct group *groups;
    struct owner *owners;
    size_t group_count, group_room, owner_count, owner_room, at;
    struct entra_owners_ask *asks;
};

struct entra_owners_ask {
    struct entra_owners *o;
    struct entra_owners_ask *next;
    char id[37];
    bool canceled;
    struct loop_timer *timer;
    entra_owners_cb cb;
    void *arg;
};

static void on_groups(void *arg, const struct err *e);
static void next_long(struct entra_owners *o);
static bool on_owner(void *arg, const struct cJSON *item);
static void on_owners(void *arg, const struct err *e);
static void loaded(struct entra_owners *o, const struct err *e);

int entra_owners_new(struct graph *g, struct entra_owners **ret_owners, struct err *e)
{
    struct entra_owners *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return err_set(e, ERR_NOMEM, 0, "owners");
    o->g = g;
    *ret_owners = o;
    return 0;
}

static void forget(struct entra_owners *o)
{
    for (size_t i = 0; i < o->group_count; i++)
        free(o->groups[i].name);
    o->group_count = o->owner_count = o->at = 0;
}

void entra_owners_free(struct entra_owners *o)
{
    if (o == NULL)
        return;
    graph_abandon(o->call);
    while (o->asks != NULL) {
        struct entra_owners_ask *a = o->asks;

        o->asks = a->next;
        loop_timer_stop(&a->timer);
        free(a);
    }
    forget(o);
    free(o->groups);
    free(o->owners);
    free(o);
}

/* --- the list ----------------------------------------------------------------------------------
 */

static bool grow(void **list, size_t *room, size_t count, size_t size)
{
    size_t more = *room == 0 ? 16 : *room * 2;
    void *p;

    if (count < *room)
        return true;
    p = reallocarray(*list, more, size);
    if (p == NULL)
        return false;
    *list = p;
    *room = more;
    return true;
}

static bool add_owner(struct entra_owners *o, const struct cJSON *item, size_t group)
{
    const char *id = json_str(item, "id");
    void *list = o->owners;

    if (id == NULL || !entra_id_ok(id)) {
        (void)err_set(&o->why, ERR_INVALID, 0, "Graph: an owner of a group without a proper id");
        return false;
    }
    if (o->owner_count >= OWNERS_MAX) {
        (void)err_set(&o->why, ERR_TOOBIG, 0, "Graph: more than %d owners of groups", OWNERS_MAX);
        return false;
    }
    if (!grow(&list, &o->owner_room, o->owner_count, sizeof(*o->owners))) {
        (void)err_set(&o->why, ERR_NOMEM, 0, "owners");
        return false;
    }
    o->owners = list;
    memcpy(o->owners[o->owner_count].id, id, 37);
    o->owners[o->owner_count++].group = (unsigned)group;
    return true;
}

static bool on_group(void *arg, const struct cJSON *item)
{
    struct entra_owners *o = arg;
    const char *id = json_str(item, "id"), *name = json_str(item, "displayName");
    const struct cJSON *list = json_get(item, "owners");
    void *groups = o->groups;
    size_t seen = 0, at = o->group_count;
    bool yes;

    /* A query option may be ignored without a word: what was asked for is looked at. */
    if (!json_bool(item, "isAssignableToRole", &yes) || !yes)
        return true;
    if (id == NULL || !entra_id_ok(id)) {
        (void)err_set(&o->why, ERR_INVALID, 0, "Graph: a group without a proper id");
        return false;
    }
    if (!grow(&groups, &o->group_room, at, sizeof(*o->groups)) ||
        (o->groups = groups, o->groups[at].name = text_dup(name != NULL ? name : "")) == NULL) {
        (void)err_set(&o->why, ERR_NOMEM, 0, "owners");
        return false;
    }
    memcpy(o->groups[at].id, id, 37);
    o->group_count++;
    for (const struct cJSON *i = json_first(list); i != NULL; i = json_next(i), seen++) {
        if (!add_owner(o, i, at))
            return false;
    }
    o->groups[at].is_long = !json_is_array(list) || seen >= EXPANDED;
    return true;
}

static int load(struct entra_owners *o, struct err *e)
{
    forget(o);
    o->why = ERR_NONE;
    if (graph_list(o->g, &(struct graph_ask){.path = groups_path}, PAGES, on_group, on_groups, o,
                   &o->call, e) < 0)
        return -1;
    o->loading = true;
    return 0;
}

static void on_groups(void *arg, const struct err *e)
{
    struct entra_owners *o = arg;

    o->call = NULL;
    if (e != NULL || o->why.code != ERR_OK)
        loaded(o, e != NULL ? e : &o->why);
    else
        next_long(o);
}

static void next_long(struct entra_owners *o)
{
    char path[160];
    struct err e;

    while (o->at < o->group_count && !o->groups[o->at].is_long)
        o->at++;
    if (o->at == o->group_count) {
        loaded(o, NULL);
        return;
    }
    (void)snprintf(path, sizeof(path), "/groups/%s/owners?$select=id&$top=999",
                   o->groups[o->at].id);
    if (graph_list(o->g, &(struct graph_ask){.path = path}, PAGES, on_owner, on_owners, o, &o->call,
                   &e) < 0)
        loaded(o, &e);
}

static bool on_owner(void *arg, const struct cJSON *item)
{
    struct entra_owners *o = arg;

    return add_owner(o, item, o->at);
}

static void on_owners(void *arg, const struct err *e)
{
    struct entra_owners *o = arg;

    o->call = NULL;
    if (e != NULL && e->code == ERR_NOTFOUND)
        e = NULL; /* the group is gone since */
    if (e != NULL || o->why.code != ERR_OK) {
        loaded(o, e != NULL ? e : &o->why);
        return;
    }
    o->at++;
    next_long(o);
}

/* --- who asks ------------------------------------------------------------------------------------
 */

/* The callback may ask again; it does not free the list. */
static void ask_end(struct entra_owners_ask *a, const struct err *e)
{
    struct entra_owners *o = a->o;
    struct entra_owners_ask **at = &o->asks;
    const char *group = NULL;

    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    loop_timer_stop(&a->timer);
    for (size_t i = 0; e == NULL && group == NULL && i < o->owner_count; i++) {
        if (text_eq_nocase(o->owners[i].id, a->id))
            group = o->groups[o->owners[i].group].name;
    }
    a->cb(a->arg, group, e);
    free(a);
}

/* A no for lack of rights lasts as long as a list; what may be otherwise next time does not. */
static void loaded(struct entra_owners *o, const struct err *e)
{
    bool lasts =
        e == NULL || e->code == ERR_DENIED || e->code == ERR_UNSUPPORTED || e->code == ERR_REFUSED;
    struct err why = e != NULL ? *e : ERR_NONE;

    o->loading = false;
    o->why = why;
    o->fresh_until = lasts ? loop_now(graph_loop(o->g)) + FRESH_MS : 0;
    while (o->asks != NULL && !o->loading)
        ask_end(o->asks, why.code != ERR_OK ? &why : NULL);
}

static void on_turn(void *arg)
{
    struct entra_owners_ask *a = arg;
    struct err e;

    a->timer = NULL;
    if (a->canceled)
        (void)err_set(&e, ERR_CANCELED, 0, "the owners of role-assignable groups: not in time");
    else
        e = a->o->why;
    ask_end(a, e.code != ERR_OK ? &e : NULL);
}

static bool may_ask(const struct entra_owners *o)
{
    const struct token_source *t = graph_token(o->g);

    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        if (token_has_role(t, roles[i]))
            return true;
    }
    return !token_readable(t);
}

static bool is_fresh(const struct entra_owners *o)
{
    return !o->loading && loop_now(graph_loop(o->g)) < o->fresh_until;
}

void entra_owners_warm_up(struct entra_owners *o)
{
    struct err ignored;

    if (!o->loading && !is_fresh(o) && may_ask(o))
        (void)load(o, &ignored);
}

int entra_owners_start(struct entra_owners *o, const char *id, entra_owners_cb cb, void *arg,
                       struct entra_owners_ask **ret_ask, struct err *e)
{
    struct entra_owners_ask *a;
    bool fresh = is_fresh(o);

    if (!entra_id_ok(id))
        return err_set(e, ERR_INTERNAL, 0, "no object id");
    if (!may_ask(o))
        return err_set(e, ERR_DENIED, 0, "the token does not have %s", roles[0]);
    a = calloc(1, sizeof(*a));
    if (a == NULL)
        return err_set(e, ERR_NOMEM, 0, "owners");
    a->o = o;
    a->cb = cb;
    a->arg = arg;
    memcpy(a->id, id, 37);
    if (fresh && (a->timer = loop_timer_start(graph_loop(o->g), 0, on_turn, a)) == NULL) {
        free(a);
        return err_set(e, ERR_NOMEM, 0, "owners");
    }
    if (!fresh && !o->loading && load(o, e) < 0) {
        free(a);
        return -1;
    }
    a->next = o->asks;
    o->asks = a;
    *ret_ask = a;
    return 0;
}

void entra_owners_cancel(struct entra_owners_ask *a)
{
    if (a->canceled)
        return;
    a->canceled = true;
    if (a->timer == NULL)
        a->timer = loop_timer_start(graph_loop(a->o->g), 0, on_turn, a);
}
