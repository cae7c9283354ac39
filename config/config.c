/* config/config.c -- from files to plain structs, by the table in keys.c.
 *
 *   cfg_load      read the file and its drop-ins          (all must be trusted)
 *   take_file     each entry: known? in range? stored     (a later file wins)
 *   check_all     what holds between settings
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
#include "config/sources.h"
#include "config/value.h"

enum { DROPINS_MAX = 100 };

struct load {
    struct cfg *c;
    struct text *errors; /* borrowed, may be NULL */
    struct err *e;
    bool failed;
    bool torn;     /* a file is missing as a whole: what it may hold must not be called missing */
    bool no_files; /* from memory: look at no file */
};

/* --- errors and memory ------------------------------------------------------------- */

/* The first error stays in l->e; running out of memory replaces it and ends everything. */
static int no_memory(struct load *l)
{
    l->failed = true;
    return err_set(l->e, ERR_NOMEM, 0, "configuration");
}

static bool hopeless(const struct load *l)
{
    return l->e->code == ERR_NOMEM;
}

#define COMPLAIN(l, at, ...) ((l)->failed = true, ini_error((l)->errors, (l)->e, (at), __VA_ARGS__))

/* An error of a whole file, with no place in it. */
static void file_failed(struct load *l, const char *path, const struct err *why)
{
    char shown[TEXT_SHOWN];

    if (why->code == ERR_NOMEM) {
        (void)no_memory(l);
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
    free(d->ca_file);
}

static void sources_free(struct cfg_sources *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++)
        free(s->list[i].domain);
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
    free(c->log_level);
    sources_free(c->sources);
    free(c);
}

void cfg_freep(struct cfg **c)
{
    cfg_free(*c);
}

/* --- where settings are from ----------------------------------------------------------- */

static struct cfg_source *source_find(const struct cfg *c, const struct cfg_key *key,
                                      const char *domain)
{
    for (size_t i = 0; i < c->sources->count; i++) {
        struct cfg_source *s = &c->sources->list[i];

        if (s->key == key && (domain == NULL || strcmp(s->domain, domain) == 0))
            return s;
    }
    return NULL;
}

const struct ini_entry *cfg_source_find(const struct cfg *c, const struct cfg_key *key,
                                        const char *domain)
{
    const struct cfg_source *s = source_find(c, key, domain);

    return s != NULL ? s->entry : NULL;
}

static void source_set(struct load *l, const struct cfg_key *key, const char *domain,
                       const struct ini_entry *entry)
{
    struct cfg_sources *all = l->c->sources;
    struct cfg_source *s = source_find(l->c, key, domain);
    char *name = NULL;

    if (s != NULL) {
        s->entry = entry;
        return;
    }
    if (all->count == all->cap) {
        size_t more = all->cap == 0 ? 32 : all->cap * 2;
        struct cfg_source *p = reallocarray(all->list, more, sizeof(*p));

        if (p == NULL) {
            (void)no_memory(l);
            return;
        }
        all->list = p;
        all->cap = more;
    }
    if (domain != NULL && (name = strdup(domain)) == NULL) {
        (void)no_memory(l);
        return;
    }
    all->list[all->count++] = (struct cfg_source){key, name, entry};
}

const void *cfg_key_base(const struct cfg *c, const struct cfg_key *key, const struct cfg_domain *d)
{
    return strcmp(key->section, "domain") == 0 ? (const void *)d : (const void *)c;
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

/* The domain of a section [domain/NAME]; made, with its defaults, where it is new. */
static struct cfg_domain *domain_get(struct load *l, const char *name)
{
    struct cfg *c = l->c;
    struct cfg_domain *p;

    for (size_t i = 0; i < c->domain_count; i++) {
        if (text_eq_nocase(c->domains[i].name, name))
            return &c->domains[i];
    }
    p = reallocarray(c->domains, c->domain_count + 1, sizeof(*p));
    if (p == NULL) {
        (void)no_memory(l);
        return NULL;
    }
    c->domains = p;
    p += c->domain_count;
    *p = (struct cfg_domain){.name = strdup(name)};
    if (p->name == NULL) {
        (void)no_memory(l);
        return NULL;
    }
    cfg_lower(p->name);
    c->domain_count++;
    set_defaults(l, "domain", p);
    return p;
}

/* What a section is called in the table; *ret_domain is set for [domain/NAME]. NULL: an error,
 * which has been reported. */
static const char *section_known(struct load *l, const struct ini_section *s,
                                 const char **ret_domain)
{
    CLEANUP(cleanup_charp) char *name = NULL;
    const struct cfg_section *known;
    char shown[TEXT_SHOWN];
    struct err mine;

    *ret_domain = NULL;
    (void)text_shown(shown, s->name);
    if (strncasecmp(s->name, "domain/", strlen("domain/")) == 0) {
        name = strdup(s->name + strlen("domain/"));
        if (name == NULL) {
            (void)no_memory(l);
            return NULL;
        }
        if (cfg_host_check(name, "domain name", &mine) < 0) {
            (void)COMPLAIN(l, &s->at, "[%s]: %s", shown, mine.msg);
            return NULL;
        }
        *ret_domain = s->name + strlen("domain/");
        return "domain";
    }
    known = cfg_section_find(s->name);
    if (known != NULL && strcmp(known->name, "domain") != 0)
        return known->name;
    known = known != NULL ? known : cfg_section_near(s->name);
    if (known == NULL)
        (void)COMPLAIN(l, &s->at, "unknown section [%s]", shown);
    else if (strcmp(known->name, "domain") == 0)
        (void)COMPLAIN(l, &s->at, "unknown section [%s]: did you mean [domain/corp.example.com]?",
                       shown);
    else
        (void)COMPLAIN(l, &s->at, "unknown section [%s]: did you mean [%s]?", shown, known->name);
    return NULL;
}

static void unknown_key(struct load *l, const char *section, const struct ini_entry *en)
{
    const struct cfg_key *near = cfg_key_near(section, en->key);
    const char *slash = strcmp(section, "domain") == 0 ? "/NAME" : "";
    char shown[TEXT_SHOWN];

    (void)text_shown(shown, en->key);
    for (size_t i = 0; i < cfg_section_count; i++) {
        if (cfg_key_find(cfg_sections[i].name, en->key) != NULL) {
            (void)COMPLAIN(l, &en->at, "unknown key '%s' in [%s%s]: it belongs in [%s%s]", shown,
                           section, slash, cfg_sections[i].name,
                           strcmp(cfg_sections[i].name, "domain") == 0 ? "/NAME" : "");
            return;
        }
    }
    if (near != NULL)
        (void)COMPLAIN(l, &en->at, "unknown key '%s' in [%s%s]: did you mean '%s'?", shown, section,
                       slash, near->name);
    else
        (void)COMPLAIN(l, &en->at, "unknown key '%s' in [%s%s]", shown, section, slash);
}

static void take_entry(struct load *l, const char *section, struct cfg_domain *d,
                       const struct ini_entry *en)
{
    const struct cfg_key *key = cfg_key_find(section, en->key);
    struct ini_place at = en->value_at;
    struct err mine = ERR_NONE;
    size_t offset = 0;

    if (key == NULL) {
        unknown_key(l, section, en);
        return;
    }
    source_set(l, key, d != NULL ? d->name : NULL, en);
    /* "alice ; bob" would leave bob off a list in silence. */
    if (en->semicolon && (key->type == CFG_ACCOUNTS || key->type == CFG_GROUPS)) {
        (void)COMPLAIN(l, &en->at,
                       "%s: a ';' behind a space begins a comment, but may be meant to part "
                       "entries: write 'one; two', and comments with '#'",
                       key->name);
        return;
    }
    if (cfg_value_read(key, en->value, d != NULL ? (void *)d : (void *)l->c, &offset, &mine) == 0)
        return;
    if (mine.code == ERR_NOMEM) {
        (void)no_memory(l);
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
        (void)no_memory(l);
        return;
    }
    all->files = p;
    all->files[all->file_count++] = ini;

    for (size_t i = 0; i < ini->section_count && !hopeless(l); i++) {
        const char *domain = NULL;
        const char *section = section_known(l, &ini->sections[i], &domain);
        struct cfg_domain *d = NULL;

        if (section == NULL)
            continue;
        if (domain != NULL && (d = domain_get(l, domain)) == NULL)
            continue;
        for (size_t k = 0; k < ini->entry_count && !hopeless(l); k++) {
            if (ini->entries[k].section == i)
                take_entry(l, section, d, &ini->entries[k]);
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

/* --- what holds between settings ----------------------------------------------------------------
 */

/* Where to point at for a setting of a domain: its line, or else the domain's section. */
static struct ini_place domain_place(const struct cfg *c, const struct cfg_domain *d,
                                     const char *key)
{
    const struct ini_entry *en = NULL;

    if (key != NULL)
        en = cfg_source_find(c, cfg_key_find("domain", key), d->name);
    if (en != NULL)
        return en->value_at;
    for (size_t f = 0; f < c->sources->file_count; f++) {
        const struct ini *ini = c->sources->files[f];

        for (size_t i = 0; i < ini->section_count; i++) {
            if (strncasecmp(ini->sections[i].name, "domain/", 7) == 0 &&
                text_eq_nocase(ini->sections[i].name + 7, d->name))
                return ini->sections[i].at;
        }
    }
    return (struct ini_place){c->sources->files[0]->file, 1, 1};
}

static bool list_has(const struct cfg_list *l, const char *s)
{
    for (size_t i = 0; i < l->count; i++) {
        if (text_eq_nocase(l->items[i], s))
            return true;
    }
    return false;
}

static int by_name(const void *va, const void *vb, void *names)
{
    const struct cfg_domain *a = va, *b = vb;
    const struct cfg_list *l = names;

    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(l->items[i], a->name) == 0)
            return strcmp(a->name, b->name) == 0 ? 0 : -1;
        if (strcmp(l->items[i], b->name) == 0)
            return 1;
    }
    return 0;
}

/* The list of domains and the sections name the same. */
static void check_domains(struct load *l)
{
    struct cfg *c = l->c;
    const struct ini_entry *en = cfg_source_find(c, cfg_key_find("cordon", "domains"), NULL);
    struct ini_place top = {c->sources->files[0]->file, 1, 1};

    if (en == NULL) {
        (void)COMPLAIN(l, &top, "'domains' is missing in [cordon]: it names the domains to serve");
        return;
    }
    if (c->domain_names.count == 0) /* it was wrong, and that has been said */
        return;
    for (size_t i = 0; i < c->domain_names.count; i++) {
        const char *name = c->domain_names.items[i];
        bool found = false;

        for (size_t k = 0; k < c->domain_count; k++)
            found = found || strcmp(c->domains[k].name, name) == 0;
        if (!found)
            (void)COMPLAIN(l, &en->value_at, "domain '%s' has no section [domain/%s]", name, name);
    }
    for (size_t k = 0; k < c->domain_count; k++) {
        struct ini_place at = domain_place(c, &c->domains[k], NULL);

        if (!list_has(&c->domain_names, c->domains[k].name))
            (void)COMPLAIN(l, &at, "[domain/%s] is not used: add it to 'domains' in [cordon]",
                           c->domains[k].name);
    }
    if (!l->failed)
        qsort_r(c->domains, c->domain_count, sizeof(*c->domains), by_name, &c->domain_names);
}

/* K2: a DC is in the domain by its name. */
static bool host_in(const char *host, const char *domain)
{
    size_t n = strlen(host), m = strlen(domain);

    return n > m + 1 && host[n - m - 1] == '.' && strcmp(host + n - m, domain) == 0;
}

static void check_dcs(struct load *l, const struct cfg_domain *d)
{
    for (size_t i = 0; i < d->dcs.count; i++) {
        struct ini_place at = domain_place(l->c, d, "dcs");

        if (!host_in(d->dcs.items[i], d->name))
            (void)COMPLAIN(l, &at,
                           "dcs: '%s' is not in the domain: write its full name, which "
                           "ends in .%s",
                           d->dcs.items[i], d->name);
    }
}

static void check_events(struct load *l, const struct cfg_domain *d)
{
    bool follows = d->events == CFG_EVENTS_SAMBA || d->events == CFG_EVENTS_JSONL;
    struct ini_place at = domain_place(l->c, d, "events");

    if (follows && cfg_source_find(l->c, cfg_key_find("domain", "events_file"), d->name) == NULL)
        (void)COMPLAIN(l, &at, "events = %s needs events_file: which file to follow",
                       d->events == CFG_EVENTS_SAMBA ? "samba" : "jsonl");
    at = domain_place(l->c, d, "events_file");
    for (size_t i = 0; i < d->events_file.count; i++) {
        const char *s = d->events_file.items[i];
        size_t n = s[0] == '/' ? 0 : strcspn(s, ":");
        char host[256];

        if (n == 0) {
            if (d->events == CFG_EVENTS_SAMBA && d->dcs.count > 1)
                (void)COMPLAIN(l, &at,
                               "events_file: with several DCs say which one the file is "
                               "from: %s:%s",
                               d->dcs.items[0], s);
            continue;
        }
        (void)snprintf(host, sizeof(host), "%.*s", (int)n, s);
        if (d->dcs.count > 0 ? !list_has(&d->dcs, host) : !host_in(host, d->name))
            (void)COMPLAIN(l, &at, "events_file: '%s' is not %s", host,
                           d->dcs.count > 0 ? "one of dcs" : "in the domain");
    }
}

static void check_base(struct load *l, const struct cfg_domain *d)
{
    CLEANUP(cleanup_charp) char *domain = NULL;
    struct ini_place at = domain_place(l->c, d, "base");

    if (d->base == NULL)
        return;
    domain = cfg_dn_domain(d->base);
    if (domain == NULL)
        (void)no_memory(l);
    else if (strcmp(domain, d->name) != 0)
        (void)COMPLAIN(l, &at, "base: it is not in this domain: its DC= parts do not say %s",
                       d->name);
}

/* A file that a library will open by name later: what can be checked is checked now. */
static void check_file(struct load *l, const struct cfg_domain *d, const char *key,
                       const char *path, int how)
{
    struct ini_place at = domain_place(l->c, d, key);
    struct err mine = ERR_NONE;

    if (path == NULL || l->no_files || file_check_trusted(path, how, &mine) == 0)
        return;
    /* Not there, or not for us to read: that is for whoever needs it. */
    if (mine.code != ERR_NOTFOUND && mine.code != ERR_DENIED)
        (void)COMPLAIN(l, &at, "%s: %s", key, mine.msg);
}

static void check_all(struct load *l)
{
    struct cfg *c = l->c;

    check_domains(l);
    for (size_t i = 0; i < c->domain_count && !hopeless(l); i++) {
        struct cfg_domain *d = &c->domains[i];

        check_dcs(l, d);
        check_events(l, d);
        check_base(l, d);
        check_file(l, d, "keytab", d->keytab, FILE_SECRET);
        check_file(l, d, "ca_file", d->ca_file, FILE_PUBLIC);
        if (d->realm == NULL) {
            d->realm = strdup(d->name);
            if (d->realm == NULL)
                (void)no_memory(l);
            for (char *s = d->realm; s != NULL && *s != '\0'; s++) {
                if (*s >= 'a' && *s <= 'z')
                    *s = (char)(*s - 'a' + 'A');
            }
        }
    }
}

/* --- all of it
 * -------------------------------------------------------------------------------------- */

static int load_begin(struct load *l)
{
    *l->e = ERR_NONE;
    l->c = calloc(1, sizeof(*l->c));
    if (l->c == NULL || (l->c->sources = calloc(1, sizeof(*l->c->sources))) == NULL)
        return no_memory(l);
    set_defaults(l, "cordon", l->c);
    set_defaults(l, "policy", l->c);
    return l->failed ? -1 : 0;
}

static int load_end(struct load *l, struct cfg **ret_cfg)
{
    if (!l->torn && !hopeless(l))
        check_all(l);
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

    if (file_read_trusted(path, FILE_PRIVATE, INI_FILE_MAX, &t, &mine) < 0)
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
        if (count <= DROPINS_MAX && !hopeless(l)) {
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
        if (!hopeless(&l))
            take_dropins(&l, path);
    } else {
        l.torn = true;
    }
    return load_end(&l, ret_cfg);
}
