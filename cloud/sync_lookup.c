/* cloud/sync_lookup.c -- cloud sync: which service principal, job and rule serve an AD domain.
 *
 *   sync_lookup_start   the configurations of cloud sync in the tenant, one per domain
 *   on_configuration    ours is the one with the domain's name
 *   on_configurations   exactly one; then its jobs
 *   on_job, on_jobs     the one that provisions users; how well it is
 *   on_schema           the rule for users
 *   finish              the one way out
 *
 * Only reads. entra-graph.md section 8.2.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/field.h"
#include "cloud/sync_inside.h"

#define TEMPLATE "1a4721b3-e57f-4451-ae87-ef078703ec94" /* "Azure AD Cloud Sync" */
#define JOB_PREFIX "AD2AADProvisioning."
enum {
    PAGES = 10,
    SCHEMA_MAX = 8 * 1024 * 1024,
    NAMES_MAX = 200,
    PATH_MAX_LEN = 512,
};

struct sync_lookup {
    struct graph *graph;
    char *domain;
    sync_lookup_cb cb;
    void *arg;
    struct graph_call *call; /* in flight, or NULL */

    unsigned ours, jobs, active;    /* how many there are */
    struct sync_found found, spare; /* spare: a job that is not active, beside one that is */
    struct text names;              /* of other domains' configurations, for words */
    bool bad;                       /* an item that could not be read: */
    struct err why;
};

static bool on_configuration(void *arg, const struct cJSON *item);
static void on_configurations(void *arg, const struct err *e);
static bool on_job(void *arg, const struct cJSON *item);
static void on_jobs(void *arg, const struct err *e);
static void on_schema(void *arg, const struct graph_answer *a, const struct err *e);
static void finish(struct sync_lookup *l, const struct err *e);

static void lookup_free(struct sync_lookup *l)
{
    if (l == NULL)
        return;
    graph_abandon(l->call);
    text_done(&l->names);
    free(l->domain);
    free(l);
}

static void lookup_freep(struct sync_lookup **l)
{
    lookup_free(*l);
}

void sync_lookup_abandon(struct sync_lookup *l)
{
    lookup_free(l);
}

int sync_lookup_start(struct graph *g, const char *domain, sync_lookup_cb cb, void *arg,
                      struct sync_lookup **ret_lookup, struct err *e)
{
    CLEANUP(lookup_freep) struct sync_lookup *l = calloc(1, sizeof(*l));
    const struct graph_ask ask = {
        .method = "GET",
        .path = "/servicePrincipals?$filter=applicationTemplateId%20eq%20%27" TEMPLATE
                "%27&$select=id,appId,displayName",
    };

    if (l == NULL)
        return err_set(e, ERR_NOMEM, 0, "cloud sync");
    text_init(&l->names, NAMES_MAX);
    l->graph = g;
    l->cb = cb;
    l->arg = arg;
    l->domain = text_dup(domain);
    if (l->domain == NULL)
        return err_set(e, ERR_NOMEM, 0, "cloud sync");
    if (graph_list(g, &ask, PAGES, on_configuration, on_configurations, l, &l->call, e) < 0)
        return err_wrap(e, "cloud sync: look for the configuration of %s", domain);
    *ret_lookup = TAKE(l);
    return 0;
}

static bool on_configuration(void *arg, const struct cJSON *item)
{
    struct sync_lookup *l = arg;
    char id[SYNC_GUID], name[256], shown[TEXT_SHOWN];

    if (field_str(item, "id", FIELD_MUST, id, sizeof(id), &l->why) < 0 ||
        field_str(item, "displayName", FIELD_MAY_LACK, name, sizeof(name), &l->why) < 0) {
        l->bad = true;
        return false;
    }
    if (!field_guid_ok(id)) {
        l->bad = true;
        (void)err_set(&l->why, ERR_INVALID, 0, "a service principal's id is no GUID");
        return false;
    }
    if (!text_eq_nocase(name, l->domain)) {
        /* Too many of them: the rest is left out. */
        text_addf(&l->names, "%s%s", l->names.len > 0 ? ", " : "", text_shown(shown, name));
    } else if (l->ours == 0 || strcmp(l->found.sp, id) != 0) {
        l->ours++;
        memcpy(l->found.sp, id, sizeof(id));
    }
    return true;
}

static void on_configurations(void *arg, const struct err *e)
{
    struct sync_lookup *l = arg;
    struct graph_ask ask = {.method = "GET"};
    char path[PATH_MAX_LEN];
    struct err mine;

    l->call = NULL;
    if (e != NULL || l->bad) {
        finish(l, e != NULL ? e : &l->why);
        return;
    }
    if (l->ours == 0) {
        (void)err_set(&mine, ERR_NOTFOUND, 0,
                      "there is no configuration of cloud sync named '%s'%s%s", l->domain,
                      l->names.len > 0 ? ", only for: " : ": is Entra Connect used instead?",
                      l->names.s);
        finish(l, &mine);
        return;
    }
    if (l->ours > 1) {
        (void)err_set(&mine, ERR_AMBIGUOUS, 0,
                      "there are %u configurations of cloud sync named '%s'", l->ours, l->domain);
        finish(l, &mine);
        return;
    }
    (void)snprintf(path, sizeof(path), "/servicePrincipals/%s/synchronization/jobs", l->found.sp);
    ask.path = path;
    if (graph_list(l->graph, &ask, PAGES, on_job, on_jobs, l, &l->call, &mine) < 0)
        finish(l, &mine);
}

/* --- a job ------------------------------------------------------------------------------------ */

/* The domain that a job's settings name must be ours, where they name one. */
static int check_domain(const struct cJSON *job, const char *domain, struct err *e)
{
    const struct cJSON *list = json_get(job, "synchronizationJobSettings");
    char shown[TEXT_SHOWN];

    if (!json_is_array(list))
        return 0;
    for (const struct cJSON *c = json_first(list); c != NULL; c = json_next(c)) {
        const char *name = json_str(c, "name"), *value = json_str(c, "value");
        CLEANUP(json_freep) struct cJSON *j = NULL;
        const char *other;
        struct err ignored;

        if (name == NULL || value == NULL || strcmp(name, "Domain") != 0)
            continue;
        if (json_parse(value, strlen(value), NULL, &j, &ignored) < 0)
            continue; /* written in another way than we know */
        other = json_str(j, "domain");
        if (other != NULL && !text_eq_nocase(other, domain))
            return err_set(e, ERR_CONFLICT, 0,
                           "the cloud sync configuration named '%s' is for the domain '%s'", domain,
                           text_shown(shown, other));
    }
    return 0;
}

static void say_health(const struct cJSON *status, const char *code, struct sync_found *f)
{
    const struct cJSON *q = json_get(status, "quarantine");
    const struct cJSON *last = json_get(status, "lastExecution");
    const char *state = json_str(last, "state");
    char word[64], since[64], reason[96];

    (void)field_shown(word, sizeof(word), code);
    (void)field_shown(since, sizeof(since), json_str(q, "currentBegan"));
    (void)field_shown(reason, sizeof(reason), json_str(q, "reason"));
    f->health[0] = '\0';
    if (text_eq_nocase(word, "Quarantine"))
        (void)snprintf(f->health, sizeof(f->health),
                       "the sync job is in quarantine%s%s%s%s%s: its cycles are slowed or stopped",
                       since[0] != '\0' ? " since " : "", since, reason[0] != '\0' ? " (" : "",
                       reason, reason[0] != '\0' ? ")" : "");
    else if (text_eq_nocase(word, "Paused"))
        field_copy(f->health, sizeof(f->health),
                   "the sync job is paused: nothing is synchronised until it is started again");
    else if (text_eq_nocase(word, "NotConfigured") || text_eq_nocase(word, "NotRun"))
        (void)snprintf(f->health, sizeof(f->health), "the sync job has never run (%s)", word);
    else if (!text_eq_nocase(word, "Active"))
        (void)snprintf(f->health, sizeof(f->health), "the sync job's state is '%s'", word);
    else if (state != NULL && text_eq_nocase(state, "Failed"))
        field_copy(f->health, sizeof(f->health), "the sync job's last run failed");
    (void)field_shown(since, sizeof(since), json_str(last, "timeEnded"));
    (void)field_shown(reason, sizeof(reason), state);
    (void)snprintf(f->state, sizeof(f->state), "%s%s%s%s%s", word,
                   since[0] != '\0' ? ", last run ended " : "", since,
                   reason[0] != '\0' ? ": " : "", reason);
}

bool sync_read_job(const struct cJSON *job, const char *domain, struct sync_found *f,
                   bool *ret_active, struct err *e, bool *ret_failed)
{
    const struct cJSON *status = json_get(job, "status");
    const char *id = json_str(job, "id"), *code = json_str(status, "code");

    *ret_failed = true;
    if (id == NULL) {
        (void)err_set(e, ERR_INVALID, 0, "a sync job without an id");
        return false;
    }
    if (!text_starts(id, JOB_PREFIX)) {
        *ret_failed = false; /* password hashes, or from Entra ID to AD */
        return false;
    }
    if (!field_opaque_ok(id) || strlen(id) >= sizeof(f->job)) {
        (void)err_set(e, ERR_INVALID, 0, "a sync job's id has characters it should not have");
        return false;
    }
    if (check_domain(job, domain, e) < 0)
        return false;
    *ret_failed = false;
    field_copy(f->job, sizeof(f->job), id);
    say_health(status, code != NULL ? code : "unknown", f);
    *ret_active = code != NULL && text_eq_nocase(code, "Active");
    return true;
}

static bool on_job(void *arg, const struct cJSON *item)
{
    struct sync_lookup *l = arg;
    struct sync_found f = l->found;
    bool active;

    if (!sync_read_job(item, l->domain, &f, &active, &l->why, &l->bad))
        return !l->bad;
    l->jobs++;
    if (active)
        l->active++;
    if (active)
        l->found = f;
    else
        l->spare = f;
    return true;
}

static void on_jobs(void *arg, const struct err *e)
{
    struct sync_lookup *l = arg;
    struct graph_ask ask = {.method = "GET", .flags = GRAPH_ALONE, .max_answer = SCHEMA_MAX};
    char path[PATH_MAX_LEN];
    struct err mine;

    l->call = NULL;
    if (e != NULL || l->bad) {
        finish(l, e != NULL ? e : &l->why);
        return;
    }
    if (l->jobs == 0) {
        (void)err_set(&mine, ERR_NOTFOUND, 0,
                      "the cloud sync configuration '%s' has no job that provisions users",
                      l->domain);
        finish(l, &mine);
        return;
    }
    if (l->active > 1 || (l->active == 0 && l->jobs > 1)) {
        (void)err_set(&mine, ERR_AMBIGUOUS, 0,
                      "the cloud sync configuration '%s' has %u jobs that provision users",
                      l->domain, l->jobs);
        finish(l, &mine);
        return;
    }
    if (l->active == 0)
        l->found = l->spare;
    (void)snprintf(path, sizeof(path), "/servicePrincipals/%s/synchronization/jobs/%s/schema",
                   l->found.sp, l->found.job);
    ask.path = path;
    if (graph_start(l->graph, &ask, on_schema, l, &l->call, &mine) < 0)
        finish(l, &mine);
}

/* --- the rule --------------------------------------------------------------------------------- */

static bool maps_users(const struct cJSON *rule)
{
    const struct cJSON *maps = json_get(rule, "objectMappings");
    bool on;

    if (!json_is_array(maps))
        return false;
    for (const struct cJSON *m = json_first(maps); m != NULL; m = json_next(m)) {
        const char *source = json_str(m, "sourceObjectName");

        if (source != NULL && text_eq_nocase(source, "user") && json_bool(m, "enabled", &on) && on)
            return true;
    }
    return false;
}

int sync_read_schema(const struct cJSON *schema, char *rule, size_t size, struct err *e)
{
    const struct cJSON *rules = json_get(schema, "synchronizationRules");
    int64_t best = INT64_MAX;
    bool found = false;

    if (!json_is_array(rules))
        return err_set(e, ERR_INVALID, 0, "the sync job's schema has no 'synchronizationRules'");
    for (const struct cJSON *c = json_first(rules); c != NULL; c = json_next(c)) {
        int64_t priority = INT64_MAX;

        if (!maps_users(c))
            continue;
        (void)json_i64(c, "priority", &priority);
        if (found && priority >= best)
            continue;
        if (field_str(c, "id", FIELD_MUST, rule, size, e) < 0)
            return -1;
        best = priority;
        found = rule[0] != '\0';
    }
    return found
               ? 0
               : err_set(e, ERR_NOTFOUND, 0, "the sync job has no rule for users that is enabled");
}

static void on_schema(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct sync_lookup *l = arg;
    struct err mine;

    l->call = NULL;
    if (e == NULL && sync_read_schema(a->json, l->found.rule, sizeof(l->found.rule), &mine) < 0)
        e = &mine;
    finish(l, e);
}

static void finish(struct sync_lookup *l, const struct err *e)
{
    struct err mine;

    if (e != NULL) {
        mine = *e;
        (void)err_wrap(&mine, "cloud sync");
        e = &mine;
    }
    l->cb(l->arg, e == NULL ? &l->found : NULL, e);
    lookup_free(l);
}
