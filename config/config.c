/* config/config.c -- from files to plain structs, by the table in keys.c.
 *
 *   cfg_load      read the file and its drop-ins          (all must be trusted)
 *   take_file     each entry: known? in range? stored     (a later file wins)
 *   cfg_check_all what holds between settings             (check.c, check_web.c)
 *
 * All errors are collected on the way; if there was one, the caller gets no settings at all.
 */
#include "config/config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "config/ini.h"
#include "config/keys.h"
#include "config/list.h"
#include "config/load.h"
#include "config/named.h"
#include "config/sources.h"
#include "config/value.h"

enum { DROPINS_MAX = 100 };

/* --- errors and memory ------------------------------------------------------------- */

/* The first error stays in l->e; running out of memory replaces it and ends everything. */
int cfg_load_no_memory(struct load *l)
{
    l->failed = true;
    return err_set(l->e, ERR_NOMEM, 0, "configuration");
}

bool cfg_load_hopeless(const struct load *l)
{
    return l->e->code == ERR_NOMEM;
}

/* An error of a whole file, with no place in it. */
static void file_failed(struct load *l, const char *path, const struct err *why)
{
    char shown[TEXT_SHOWN];

    if (why->code == ERR_NOMEM) {
        (void)cfg_load_no_memory(l);
        return;
    }
    l->failed = true;
    l->torn = true;
    (void)text_shown(shown, path);
    if (l->errors != NULL)
        text_addf(l->errors, "%s: %s\n", shown, why->msg);
    if (l->e->code == ERR_OK)
        (void)err_set(l->e, ERR_CONFIG, why->native, "%s: %s", shown, why->msg);
}

static void domain_done(struct cfg_domain *d)
{
    free(d->name);
    free(d->realm);
    cfg_list_done(&d->dcs);
    free(d->site);
    free(d->keytab);
    free(d->principal);
    free(d->base);
    cfg_list_done(&d->events_file);
    free(d->event_host);
    free(d->winrm_certificate);
    free(d->ca_file);
}

static void web_done(struct cfg *c)
{
    free(c->entra.tenant);
    free(c->entra.client_id);
    free(c->entra.certificate);
    free(c->entra.secret_file);
    free(c->entra.federated_token_file);
    free(c->entra.managed_identity);
    free(c->entra.login_url);
    free(c->entra.graph_url);
    free(c->entra.loganalytics_url);
    free(c->entra.imds_url);
    free(c->entra.sync_server);
    free(c->entra.workspace);
    cfg_list_done(&c->entra.protected_groups);
    free(c->defender.url);
    free(c->defender.login_url);
    free(c->defender.scope);
    cfg_list_done(&c->defender.dcs);
    cfg_list_done(&c->defender.result_hosts);
    free(c->defender.dc_tag);
    free(c->defender.script);
    free(c->defender.sync_script);
    free(c->okta.url);
    free(c->okta.token_file);
    free(c->okta.key_file);
    free(c->okta.client_id);
    free(c->okta.key_id);
    free(c->okta.scope);
    free(c->http.ca_file);
    free(c->http.proxy);
    free(c->http.proxy_login_file);
    cfg_list_done(&c->http.no_proxy_list);
    free(c->http.no_proxy);
}

static void queue_done(struct cfg *c)
{
    for (size_t i = 0; i < c->signer_count; i++) {
        free(c->signers[i].name);
        free(c->signers[i].key);
        free(c->signers[i].next_key);
        cfg_list_done(&c->signers[i].domains);
        cfg_list_done(&c->signers[i].accounts);
    }
    free(c->signers);
    free(c->queue.directory);
    free(c->queue.result_directory);
    free(c->queue.url);
    free(c->queue.account);
    free(c->queue.queue);
    free(c->queue.result_queue);
    free(c->queue.key_file);
    free(c->queue.sas_file);
    free(c->queue.poison_sas_file);
    free(c->queue.result_sas_file);
    free(c->queue.agent);
    free(c->queue.signing_key);
    cfg_list_done(&c->queue.answer_keys);
    free(c->service.socket);
    free(c->service.metrics_file);
}

static void sources_free(struct cfg_sources *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++)
        free(s->list[i].of);
    free(s->list);
    for (size_t i = 0; i < s->file_count; i++)
        ini_free(s->files[i]);
    free(s->files);
    free(s);
}

void cfg_free(struct cfg *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->domain_count; i++)
        domain_done(&c->domains[i]);
    free(c->domains);
    cfg_list_done(&c->policy.never_disable);
    cfg_list_done(&c->policy.always_disable);
    cfg_list_done(&c->policy.never_credentials);
    cfg_list_done(&c->policy.always_credentials);
    cfg_list_done(&c->policy.privileged_groups);
    cfg_list_done(&c->domain_names);
    cfg_list_done(&c->risk.detections);
    free(c->log_level);
    web_done(c);
    queue_done(c);
    sources_free(c->sources);
    free(c);
}

void cfg_freep(struct cfg **c)
{
    cfg_free(*c);
}

/* --- where settings are from ----------------------------------------------------------- */

static struct cfg_source *source_find(const struct cfg *c, const struct cfg_key *key,
                                      const char *of)
{
    for (size_t i = 0; i < c->sources->count; i++) {
        struct cfg_source *s = &c->sources->list[i];

        if (s->key == key && (of == NULL || strcmp(s->of, of) == 0))
            return s;
    }
    return NULL;
}

const struct ini_entry *cfg_source_find(const struct cfg *c, const struct cfg_key *key,
                                        const char *of)
{
    const struct cfg_source *s = source_find(c, key, of);

    return s != NULL ? s->entry : NULL;
}

static void source_set(struct load *l, const struct cfg_key *key, const char *of,
                       const struct ini_entry *entry)
{
    struct cfg_sources *all = l->c->sources;
    struct cfg_source *s = source_find(l->c, key, of);
    char *name = NULL;

    if (s != NULL) {
        s->entry = entry;
        return;
    }
    if (all->count == all->cap) {
        size_t more = all->cap == 0 ? 32 : all->cap * 2;
        struct cfg_source *p = reallocarray(all->list, more, sizeof(*p));

        if (p == NULL) {
            (void)cfg_load_no_memory(l);
            return;
        }
        all->list = p;
        all->cap = more;
    }
    if (of != NULL && (name = strdup(of)) == NULL) {
        (void)cfg_load_no_memory(l);
        return;
    }
    all->list[all->count++] = (struct cfg_source){key, name, entry};
}

const void *cfg_key_base(const struct cfg *c, const struct cfg_key *key, const void *one)
{
    return cfg_section_slash(key->section)[0] != '\0' ? one : (const void *)c;
}

/* --- one file ------------------------------------------------------------------------------ */

static void set_defaults(struct load *l, const char *section, void *base)
{
    for (size_t i = 0; i < cfg_key_count; i++) {
        const struct cfg_key *key = &cfg_keys[i];
        struct err mine;
        size_t at;

        if (key->def == NULL || strcmp(key->section, section) != 0)
            continue;
        if (cfg_value_read(key, key->def, base, &at, &mine) < 0) {
            l->failed = true;
            *l->e = mine; /* no memory; or a default that its own range refuses */
        }
    }
}

/* The struct of a section [kind/NAME]; made, with its defaults, where it is new. */
static void *named_get(struct load *l, const char *kind, const char *name)
{
    void *one = cfg_named_find(l->c, kind, name);

    if (one != NULL)
        return one;
    one = cfg_named_add(l->c, kind, name);
    if (one == NULL)
        (void)cfg_load_no_memory(l);
    else
        set_defaults(l, kind, one);
    return one;
}

static void unknown_section(struct load *l, const struct ini_section *s,
                            const struct cfg_section *near)
{
    char shown[TEXT_SHOWN];

    (void)text_shown(shown, s->name);
    if (near == NULL)
        (void)COMPLAIN(l, &s->at, "unknown section [%s]", shown);
    else
        (void)COMPLAIN(l, &s->at, "unknown section [%s]: did you mean [%s%s%s]?", shown, near->name,
                       near->named != NULL ? "/" : "", near->named != NULL ? near->named : "");
}

/* The kind of a section [kind/NAME], or NULL. */
static const struct cfg_section *named_kind(const char *name)
{
    size_t n = strcspn(name, "/");

    for (size_t i = 0; name[n] == '/' && i < cfg_section_count; i++) {
        const struct cfg_section *s = &cfg_sections[i];

        if (s->named != NULL && strlen(s->name) == n && strncasecmp(name, s->name, n) == 0)
            return s;
    }
    return NULL;
}

/* What a section is called in the table; *ret_of is set to NAME for [section/NAME]. NULL: an error,
 * which has been reported. */
static const char *section_known(struct load *l, const struct ini_section *s, const char **ret_of)
{
    const struct cfg_section *known = named_kind(s->name);
    struct err mine = ERR_NONE;
    char shown[TEXT_SHOWN];

    *ret_of = NULL;
    if (known != NULL) {
        *ret_of = s->name + strlen(known->name) + 1;
        if (cfg_named_check(known->name, *ret_of, &mine) == 0)
            return known->name;
        if (mine.code == ERR_NOMEM)
            (void)cfg_load_no_memory(l);
        else
            (void)COMPLAIN(l, &s->at, "[%s]: %s", text_shown(shown, s->name), mine.msg);
        return NULL;
    }
    known = cfg_section_find(s->name);
    if (known != NULL && known->named == NULL)
        return known->name;
    unknown_section(l, s, known != NULL ? known : cfg_section_near(s->name));
    return NULL;
}

static void unknown_key(struct load *l, const char *section, const struct ini_entry *en)
{
    const struct cfg_key *near = cfg_key_near(section, en->key);
    const char *slash = cfg_section_slash(section);
    char shown[TEXT_SHOWN];

    (void)text_shown(shown, en->key);
    for (size_t i = 0; i < cfg_section_count; i++) {
        const char *other = cfg_sections[i].name;

        if (cfg_key_find(other, en->key) != NULL) {
            (void)COMPLAIN(l, &en->at, "unknown key '%s' in [%s%s]: it belongs in [%s%s]", shown,
                           section, slash, other, cfg_section_slash(other));
            return;
        }
    }
    if (near != NULL)
        (void)COMPLAIN(l, &en->at, "unknown key '%s' in [%s%s]: did you mean '%s'?", shown, section,
                       slash, near->name);
    else
        (void)COMPLAIN(l, &en->at, "unknown key '%s' in [%s%s]", shown, section, slash);
}

/* `one` is the struct of a [section/NAME], else NULL. */
static void take_entry(struct load *l, const char *section, void *one, const struct ini_entry *en)
{
    const struct cfg_key *key = cfg_key_find(section, en->key);
    struct ini_place at = en->value_at;
    struct err mine = ERR_NONE;
    size_t offset = 0;

    if (key == NULL) {
        unknown_key(l, section, en);
        return;
    }
    source_set(l, key, one != NULL ? cfg_named_name(one) : NULL, en);
    /* "alice ; bob" would leave bob off a list in silence. */
    if (en->semicolon && (key->type == CFG_ACCOUNTS || key->type == CFG_GROUPS)) {
        (void)COMPLAIN(l, &en->at,
                       "%s: a ';' behind a space begins a comment, but may be meant to part "
                       "entries: write 'one; two', and comments with '#'",
                       key->name);
        return;
    }
    if (cfg_value_read(key, en->value, one != NULL ? one : (void *)l->c, &offset, &mine) == 0)
        return;
    if (mine.code == ERR_NOMEM) {
        (void)cfg_load_no_memory(l);
        return;
    }
    /* The offset counts in this line only; further down the value may have comments between. */
    if (memchr(en->value, '\n', offset) == NULL)
        at.column += (unsigned)offset;
    (void)COMPLAIN(l, &at, "%s: %s", key->name, mine.msg);
}

/* Takes `ini` over. */
static void take_file(struct load *l, struct ini *ini)
{
    struct cfg_sources *all = l->c->sources;
    struct ini **p = reallocarray(all->files, all->file_count + 1, sizeof(struct ini *));

    if (p == NULL) {
        ini_free(ini);
        (void)cfg_load_no_memory(l);
        return;
    }
    all->files = p;
    all->files[all->file_count++] = ini;

    for (size_t i = 0; i < ini->section_count && !cfg_load_hopeless(l); i++) {
        const char *of = NULL;
        const char *section = section_known(l, &ini->sections[i], &of);
        void *one = NULL;

        if (section == NULL)
            continue;
        if (of != NULL && (one = named_get(l, section, of)) == NULL)
            continue;
        for (size_t k = 0; k < ini->entry_count && !cfg_load_hopeless(l); k++) {
            if (ini->entries[k].section == i)
                take_entry(l, section, one, &ini->entries[k]);
        }
    }
}

static void take_bytes(struct load *l, const char *name, const char *s, size_t n)
{
    struct ini *ini = NULL;
    struct err mine = ERR_NONE;

    if (ini_parse(name, s, n, &ini, l->errors, &mine) == 0) {
        take_file(l, ini);
        return;
    }
    l->failed = true;
    l->torn = true;
    if (l->e->code == ERR_OK || mine.code == ERR_NOMEM)
        *l->e = mine;
}

/* --- all of it
 * -------------------------------------------------------------------------------------- */

static int load_begin(struct load *l)
{
    *l->e = ERR_NONE;
    l->c = calloc(1, sizeof(*l->c));
    if (l->c == NULL || (l->c->sources = calloc(1, sizeof(*l->c->sources))) == NULL)
        return cfg_load_no_memory(l);
    set_defaults(l, "cordon", l->c);
    set_defaults(l, "policy", l->c);
    set_defaults(l, "entra", l->c);
    set_defaults(l, "okta", l->c);
    set_defaults(l, "defender", l->c);
    set_defaults(l, "http", l->c);
    set_defaults(l, "queue", l->c);
    set_defaults(l, "risk", l->c);
    set_defaults(l, "service", l->c);
    return l->failed ? -1 : 0;
}

static int load_end(struct load *l, struct cfg **ret_cfg)
{
    if (!l->torn && !cfg_load_hopeless(l))
        cfg_check_all(l);
    if (l->failed) {
        cfg_free(l->c);
        return -1;
    }
    *ret_cfg = l->c;
    return 0;
}

int cfg_load_bytes(const char *name, const char *s, size_t n, struct cfg **ret_cfg,
                   struct text *errors, struct err *e)
{
    struct load l = {.errors = errors, .e = e, .no_files = true};

    if (load_begin(&l) == 0)
        take_bytes(&l, name, s, n);
    else
        l.torn = true;
    return load_end(&l, ret_cfg);
}

static void take_path(struct load *l, const char *path)
{
    struct text t = TEXT_INIT(INI_FILE_MAX);
    struct err mine = ERR_NONE;

    if (file_read_trusted(path, FILE_SETTINGS, INI_FILE_MAX, &t, &mine) < 0)
        file_failed(l, path, &mine);
    else
        take_bytes(l, path, t.s, t.len);
    text_done(&t);
}

static int is_dropin(const struct dirent *d)
{
    size_t n = strlen(d->d_name);

    return d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".conf") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* conf.d beside `path`, in the order of the names' bytes. */
static void take_dropins(struct load *l, const char *path)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    const char *slash = strrchr(path, '/');
    size_t folder = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    struct dirent **names = NULL;
    struct err mine = ERR_NONE;
    char full[PATH_MAX];
    int count;

    if ((size_t)snprintf(full, sizeof(full), "%.*sconf.d", (int)folder, path) >= sizeof(full)) {
        (void)err_sys(&mine, ERR_IO, ENAMETOOLONG, "conf.d");
        file_failed(l, path, &mine);
        return;
    }
    if (file_open_trusted_dir(full, &fd, &mine) < 0) {
        if (mine.code != ERR_NOTFOUND)
            file_failed(l, full, &mine);
        return;
    }
    count = scandirat(fd, ".", &names, is_dropin, by_bytes);
    if (count < 0) {
        (void)err_sys(&mine, errno == ENOMEM ? ERR_NOMEM : ERR_IO, errno, "list");
        file_failed(l, full, &mine);
        return;
    }
    if (count > DROPINS_MAX) {
        (void)err_set(&mine, ERR_CONFIG, 0, "more than %d files", DROPINS_MAX);
        file_failed(l, full, &mine);
    }
    for (int i = 0; i < count; i++) {
        if (count <= DROPINS_MAX && !cfg_load_hopeless(l)) {
            if ((size_t)snprintf(full, sizeof(full), "%.*sconf.d/%s", (int)folder, path,
                                 names[i]->d_name) < sizeof(full))
                take_path(l, full);
            else
                file_failed(l, names[i]->d_name,
                            &(struct err){.code = ERR_CONFIG, .msg = "the path is too long"});
        }
        free(names[i]);
    }
    free(names);
}

int cfg_load(const char *path, struct cfg **ret_cfg, struct text *errors, struct err *e)
{
    struct load l = {.errors = errors, .e = e};

    if (load_begin(&l) == 0) {
        take_path(&l, path);
        if (!cfg_load_hopeless(&l))
            take_dropins(&l, path);
    } else {
        l.torn = true;
    }
    return load_end(&l, ret_cfg);
}
