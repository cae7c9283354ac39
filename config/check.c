/* config/check.c -- what holds between settings; domains and their DCs. See load.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "config/keys.h"
#include "config/list.h"
#include "config/load.h"
#include "config/sources.h"

struct ini_place cfg_place(const struct cfg *c, const char *name, const char *of, const char *key)
{
    const struct ini_entry *en = NULL;
    size_t n = strlen(name);

    if (key != NULL)
        en = cfg_source_find(c, cfg_key_find(name, key), of);
    if (en != NULL)
        return en->value_at;
    for (size_t f = 0; f < c->sources->file_count; f++) {
        const struct ini *ini = c->sources->files[f];

        for (size_t i = 0; i < ini->section_count; i++) {
            const char *s = ini->sections[i].name;

            if (of != NULL
                    ? strncasecmp(s, name, n) == 0 && s[n] == '/' && text_eq_nocase(s + n + 1, of)
                    : text_eq_nocase(s, name))
                return ini->sections[i].at;
        }
    }
    return (struct ini_place){c->sources->files[0]->file, 1, 1};
}

bool cfg_section_given(const struct cfg *c, const char *name)
{
    for (size_t f = 0; f < c->sources->file_count; f++) {
        const struct ini *ini = c->sources->files[f];

        for (size_t i = 0; i < ini->section_count; i++) {
            if (text_eq_nocase(ini->sections[i].name, name))
                return true;
        }
    }
    return false;
}

void cfg_check_given(struct load *l, const char *section, const char *of, const char *key,
                     bool given, const char *why)
{
    struct ini_place at = cfg_place(l->c, section, of, NULL);

    if (!given && cfg_source_find(l->c, cfg_key_find(section, key), of) == NULL)
        (void)COMPLAIN(l, &at, "'%s' is missing in [%s%s%s]%s", key, section, of != NULL ? "/" : "",
                       of != NULL ? of : "", why);
}

static struct ini_place domain_place(const struct cfg *c, const struct cfg_domain *d,
                                     const char *key)
{
    return cfg_place(c, "domain", d->name, key);
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

        if (!cfg_list_has(&c->domain_names, c->domains[k].name))
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
        if (d->dcs.count > 0 ? !cfg_list_has(&d->dcs, host) : !host_in(host, d->name))
            (void)COMPLAIN(l, &at, "events_file: '%s' is not %s", host,
                           d->dcs.count > 0 ? "one of dcs" : "in the domain");
    }
}

static void check_winrm(struct load *l, const struct cfg_domain *d)
{
    struct ini_place at = domain_place(l->c, d, "winrm_auth");

    if (d->winrm_auth != CFG_WINRM_CERTIFICATE)
        return;
    if (d->winrm != CFG_WINRM_HTTPS)
        (void)COMPLAIN(l, &at, "winrm_auth = certificate needs winrm = https");
    if (d->winrm_certificate == NULL)
        (void)COMPLAIN(l, &at, "winrm_auth = certificate needs winrm_certificate");
}

static void check_base(struct load *l, const struct cfg_domain *d)
{
    CLEANUP(cleanup_charp) char *domain = NULL;
    struct ini_place at = domain_place(l->c, d, "base");

    if (d->base == NULL)
        return;
    domain = cfg_dn_domain(d->base);
    if (domain == NULL)
        (void)cfg_load_no_memory(l);
    else if (strcmp(domain, d->name) != 0)
        (void)COMPLAIN(l, &at, "base: it is not in this domain: its DC= parts do not say %s",
                       d->name);
}

void cfg_check_file(struct load *l, const char *section, const char *of, const char *key,
                    const char *path, int how)
{
    struct ini_place at = cfg_place(l->c, section, of, key);
    struct err mine = ERR_NONE;

    /* What systemd hands to the service is the service's, and judged when it uses it; to an admin
     * who looks at the settings it would be another user's. */
    if (path == NULL || l->no_files || text_starts(path, "/run/credentials/") ||
        file_check_trusted(path, how, &mine) == 0)
        return;
    /* Not there, or not for us to read: that is for whoever needs it. */
    if (mine.code != ERR_NOTFOUND && mine.code != ERR_DENIED)
        (void)COMPLAIN(l, &at, "%s: %s", key, mine.msg);
}

/* What the brakes count is kept for so long. */
static void check_brakes(struct load *l)
{
    static const uint64_t week = UINT64_C(7) * 24 * 3600 * 1000;
    const struct cfg_policy *p = &l->c->policy;
    const struct {
        const char *key;
        uint64_t per_ms;
    } brakes[] = {{"brake", p->brake.per_ms},
                  {"brake_ou", p->brake_ou.per_ms},
                  {"brake_signer", p->brake_signer.per_ms}};

    for (size_t i = 0; i < ARRAY_LEN(brakes); i++) {
        struct ini_place at = cfg_place(l->c, "policy", NULL, brakes[i].key);

        if (brakes[i].per_ms > week)
            (void)COMPLAIN(l, &at, "%s: over more than 7d is not counted", brakes[i].key);
    }
}

void cfg_check_all(struct load *l)
{
    struct cfg *c = l->c;

    check_domains(l);
    check_brakes(l);
    for (size_t i = 0; i < c->domain_count && !cfg_load_hopeless(l); i++) {
        struct cfg_domain *d = &c->domains[i];

        check_dcs(l, d);
        check_events(l, d);
        check_winrm(l, d);
        check_base(l, d);
        cfg_check_file(l, "domain", d->name, "keytab", d->keytab, FILE_SECRET);
        cfg_check_file(l, "domain", d->name, "winrm_certificate", d->winrm_certificate,
                       FILE_SECRET);
        cfg_check_file(l, "domain", d->name, "ca_file", d->ca_file, FILE_PUBLIC);
        if (d->realm == NULL) {
            d->realm = strdup(d->name);
            if (d->realm == NULL)
                (void)cfg_load_no_memory(l);
            for (char *s = d->realm; s != NULL && *s != '\0'; s++) {
                if (*s >= 'a' && *s <= 'z')
                    *s = (char)(*s - 'a' + 'A');
            }
        }
    }
    if (!cfg_load_hopeless(l))
        cfg_check_web(l);
    if (!cfg_load_hopeless(l))
        cfg_check_queue(l);
}
