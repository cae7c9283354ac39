/* agent/policy.c -- see policy.h.
 *
 *   policy_resolve_start   one search for the well-known names
 *   on_well_known
 *   next                   the entries one after the other: account, group, OU
 *   on_entry
 */
#include "agent/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "ldap/name.h"
#include "ldap/value.h"

enum entry_kind { ENTRY_ACCOUNT, ENTRY_GROUP, ENTRY_OU, ENTRY_GLOB };
enum list_id {
    NEVER_DISABLE,
    ALWAYS_DISABLE,
    NEVER_CREDENTIALS,
    ALWAYS_CREDENTIALS,
    PRIVILEGED,
    ONLY,
    LISTS
};

static const char *const list_names[] = {"never_disable",     "always_disable",
                                         "never_credentials", "always_credentials",
                                         "privileged_groups", "accounts"};
/* No fixed SID: by name (active-directory.md 5). Not being there is no error. */
static const char *const well_known[] = {"DnsAdmins", "Exchange Windows Permissions",
                                         "Exchange Trusted Subsystem", "Organization Management",
                                         "ADSyncAdmins"};

struct entry {
    enum list_id list;
    enum entry_kind kind;
    char *text; /* as configured */
    char *dn;   /* OU: as the DC spells it */
    struct ad_sid sid;
};

struct policy {
    struct entry *entries;
    size_t count;
    struct ad_named_sid *privileged; /* names are ours */
    size_t privileged_count;
};

struct resolving {
    struct ad_dc *dc;
    char what[160]; /* the list that is being resolved, where it is one of its own; or "" */
    struct policy *policy;
    size_t at;
    policy_cb cb;
    void *arg;
};

static void next(struct resolving *r);
static void on_entry(void *arg, const struct ad_entry *entries, size_t n, const struct err *e);

void policy_free(struct policy *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->count; i++) {
        free(p->entries[i].text);
        free(p->entries[i].dn);
    }
    for (size_t i = 0; i < p->privileged_count; i++)
        free((void *)(uintptr_t)p->privileged[i].name);
    free(p->privileged);
    free(p->entries);
    free(p);
}

const struct ad_named_sid *policy_privileged(const struct policy *p, size_t *ret_count)
{
    *ret_count = p->privileged_count;
    return p->privileged;
}

static void end(struct resolving *r, const struct err *e)
{
    r->cb(r->arg, e == NULL ? TAKE(r->policy) : NULL, e);
    policy_free(r->policy);
    free(r);
}

static int add_privileged(struct policy *p, const struct ad_sid *sid, const char *name)
{
    struct ad_named_sid *more =
        realloc(p->privileged, (p->privileged_count + 1) * sizeof(*p->privileged));

    if (more == NULL)
        return -1;
    p->privileged = more;
    more[p->privileged_count] = (struct ad_named_sid){.sid = *sid, .name = text_dup(name)};
    if (more[p->privileged_count].name == NULL)
        return -1;
    p->privileged_count++;
    return 0;
}

static int take_list(struct policy *p, enum list_id id, const struct cfg_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        const char *s = l->items[i];
        struct entry *en = &p->entries[p->count];

        en->list = id;
        en->kind = text_starts(s, "group:") || id == PRIVILEGED         ? ENTRY_GROUP
                   : text_starts(s, "ou:")                              ? ENTRY_OU
                   : text_starts(s, "sid:")                             ? ENTRY_ACCOUNT
                   : strpbrk(s, "*?") != NULL && strchr(s, '=') == NULL ? ENTRY_GLOB
                                                                        : ENTRY_ACCOUNT;
        en->text = text_dup(s);
        if (en->text == NULL)
            return -1;
        p->count++;
    }
    return 0;
}

/* What stands behind "group:", "ou:", "sid:". */
static const char *value_of(const struct entry *en)
{
    static const char *const prefixes[] = {"group:", "ou:", "sid:"};

    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (text_starts(en->text, prefixes[i]))
            return en->text + strlen(prefixes[i]);
    }
    return en->text;
}

static void on_well_known(void *arg, const struct ad_entry *entries, size_t n, const struct err *e)
{
    struct resolving *r = arg;
    struct err mine;

    if (e != NULL) {
        mine = *e;
        end(r, &mine);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct ad_sid sid;
        char *sam = NULL;
        bool there;

        if (ad_value_sid(ad_entry_attr(&entries[i], "objectSid"), &there, &sid, &mine) == 0 &&
            there &&
            ad_value_text(ad_entry_attr(&entries[i], "sAMAccountName"), 300, &sam, &mine) == 0 &&
            sam != NULL && add_privileged(r->policy, &sid, sam) < 0) {
            free(sam);
            (void)err_set(&mine, ERR_NOMEM, 0, "lists");
            end(r, &mine);
            return;
        }
        free(sam);
    }
    next(r);
}

/* NULL: there is no such list. */
static int resolve(struct ad_dc *dc, const struct cfg_list *const lists[LISTS], const char *what,
                   policy_cb cb, void *arg, struct err *e)
{
    static const char *const attrs[] = {"objectSid", "sAMAccountName", NULL};
    struct text filter = TEXT_INIT(4096);
    struct resolving *r = calloc(1, sizeof(*r));
    size_t total = 0;
    int rc = -1;

    for (size_t i = 0; i < LISTS; i++)
        total += lists[i] != NULL ? lists[i]->count : 0;
    if (r != NULL)
        r->policy = calloc(1, sizeof(*r->policy));
    if (r == NULL || r->policy == NULL ||
        (r->policy->entries = calloc(total + 1, sizeof(struct entry))) == NULL)
        goto nomem;
    r->dc = dc;
    (void)snprintf(r->what, sizeof(r->what), "%s", what);
    r->cb = cb;
    r->arg = arg;
    for (size_t i = 0; i < LISTS; i++) {
        if (lists[i] != NULL && take_list(r->policy, (enum list_id)i, lists[i]) < 0)
            goto nomem;
    }
    text_add(&filter, "(&(objectClass=group)(|");
    for (size_t i = 0; i < ARRAY_LEN(well_known); i++)
        text_addf(&filter, "(sAMAccountName=%s)", well_known[i]);
    text_add(&filter, "))");
    rc = text_check(&filter, "groups", e);
    if (rc == 0)
        rc = ad_search_start(dc->conn,
                             &(struct ad_search){.base = dc->domain_dn,
                                                 .subtree = true,
                                                 .filter = filter.s,
                                                 .attrs = attrs,
                                                 .limit = 20},
                             on_well_known, r, NULL, e);
    text_done(&filter);
    if (rc == 0)
        return 0;
    policy_free(r->policy);
    free(r);
    return -1;
nomem:
    if (r != NULL)
        policy_free(r->policy);
    free(r);
    return err_set(e, ERR_NOMEM, 0, "lists");
}

int policy_resolve_start(struct ad_dc *dc, const struct cfg_policy *cfg, policy_cb cb, void *arg,
                         struct err *e)
{
    const struct cfg_list *const lists[LISTS] = {
        [NEVER_DISABLE] = &cfg->never_disable,
        [ALWAYS_DISABLE] = &cfg->always_disable,
        [NEVER_CREDENTIALS] = &cfg->never_credentials,
        [ALWAYS_CREDENTIALS] = &cfg->always_credentials,
        [PRIVILEGED] = &cfg->privileged_groups,
    };

    return resolve(dc, lists, "", cb, arg, e);
}

int policy_only_start(struct ad_dc *dc, const struct cfg_list *only, const char *what, policy_cb cb,
                      void *arg, struct err *e)
{
    const struct cfg_list *const lists[LISTS] = {[ONLY] = only};

    return resolve(dc, lists, what, cb, arg, e);
}

/* What errors call the list: "[policy] never_disable". */
static const char *label(const struct resolving *r, const struct entry *en, char buf[160])
{
    if (r->what[0] != '\0')
        return r->what;
    (void)snprintf(buf, 160, "[policy] %s", list_names[en->list]);
    return buf;
}

/* Ask for the next entry that needs asking. */
static void next(struct resolving *r)
{
    static const char *const attrs[] = {"objectSid", "objectClass", "sAMAccountName", NULL};
    struct text filter = TEXT_INIT(AD_NAME_FILTER_MAX);
    char base[AD_NAME_BASE], named[160];
    const struct entry *en;
    const char *at = NULL, *value;
    struct ad_name name;
    struct err e;
    int rc = 0;

    while (r->at < r->policy->count && r->policy->entries[r->at].kind == ENTRY_GLOB)
        r->at++;
    if (r->at == r->policy->count) {
        end(r, NULL);
        return;
    }
    en = &r->policy->entries[r->at];
    value = value_of(en);
    if (ad_name_parse(value, strlen(value), NULL, &name, &e) < 0) {
        e.code = ERR_CONFIG;
        (void)err_wrap(&e, "%s", label(r, en, named));
        end(r, &e);
        return;
    }
    at = ad_name_base(&name, base);
    if (at != NULL) {
        text_add(&filter, "(objectClass=*)");
    } else if (en->kind == ENTRY_GROUP) {
        text_add(&filter, "(&(objectClass=group)(sAMAccountName=");
        ad_name_escape(&filter, value, strlen(value));
        text_add(&filter, "))");
    } else {
        struct ad_name_domain domain = {.dns = ad_dcs_domain(r->dc->dcs),
                                        .netbios = r->dc->netbios};

        rc = ad_name_filter(&name, &domain, &filter, &e);
    }
    if (rc == 0)
        rc = text_check(&filter, "filter", &e);
    if (rc == 0)
        rc = ad_search_start(r->dc->conn,
                             &(struct ad_search){.base = at != NULL ? at : r->dc->domain_dn,
                                                 .subtree = at == NULL,
                                                 .filter = filter.s,
                                                 .attrs = attrs,
                                                 .limit = AD_FIND_MAX},
                             on_entry, r, NULL, &e);
    text_done(&filter);
    if (rc < 0)
        end(r, &e);
}

static void on_entry(void *arg, const struct ad_entry *entries, size_t n, const struct err *e)
{
    struct resolving *r = arg;
    struct entry *en = &r->policy->entries[r->at];
    char shown[TEXT_SHOWN], named[160];
    struct err mine;
    bool there = false;

    if (e != NULL && e->code != ERR_NOTFOUND) {
        mine = *e;
        end(r, &mine);
        return;
    }
    if (e != NULL || n != 1) {
        (void)err_set(&mine, ERR_CONFIG, 0,
                      "%s: '%s' %s in the directory: mend the entry, or take it out",
                      label(r, en, named), text_shown(shown, en->text),
                      e != NULL || n == 0 ? "does not exist (or may not be read)"
                                          : "means more than one object");
        end(r, &mine);
        return;
    }
    if (en->kind == ENTRY_OU) {
        en->dn = text_dup(entries[0].dn);
    } else {
        const struct ad_attr *classes = ad_entry_attr(&entries[0], "objectClass");
        bool group = false;

        for (size_t i = 0; classes != NULL && i < classes->count; i++)
            group = group || (ad_class_flag(classes->values[i].s, classes->values[i].n) &
                              AD_CLASS_GROUP) != 0;
        if (ad_value_sid(ad_entry_attr(&entries[0], "objectSid"), &there, &en->sid, &mine) < 0 ||
            !there) {
            (void)err_set(&mine, ERR_CONFIG, 0, "%s: '%s' has no SID", label(r, en, named),
                          text_shown(shown, en->text));
            end(r, &mine);
            return;
        }
        /* A group named without "group:" means its members as well: who would mean only the group?
         */
        if (group)
            en->kind = ENTRY_GROUP;
        if (en->list == PRIVILEGED && add_privileged(r->policy, &en->sid, value_of(en)) < 0) {
            (void)err_set(&mine, ERR_NOMEM, 0, "lists");
            end(r, &mine);
            return;
        }
    }
    r->at++;
    next(r);
}

/* --- judging ------------------------------------------------------------------------------ */

bool policy_below(const char *dn, const char *ou)
{
    size_t n = strlen(dn), m = strlen(ou);

    return text_eq_nocase(dn, ou) ||
           (n > m + 1 && dn[n - m - 1] == ',' && text_eq_nocase(dn + n - m, ou));
}

static bool matches(const struct entry *en, const struct ad_account *a)
{
    switch (en->kind) {
    case ENTRY_ACCOUNT:
        return ad_sid_eq(&en->sid, &a->subject.sid);
    case ENTRY_GROUP:
        for (size_t i = 0; i < a->subject.token_group_count; i++) {
            if (ad_sid_eq(&en->sid, &a->subject.token_groups[i]))
                return true;
        }
        return false;
    case ENTRY_OU:
        return en->dn != NULL && policy_below(a->dn, en->dn);
    case ENTRY_GLOB:
        return a->sam != NULL && text_glob(en->text, a->sam);
    }
    return false;
}

bool policy_only(const struct policy *p, const struct ad_account *a)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->entries[i].list == ONLY && matches(&p->entries[i], a))
            return true;
    }
    return false;
}

bool policy_lists(const struct policy *p, int families, const struct ad_account *a,
                  const char **ret_rule, char *detail, size_t size)
{
    static const struct {
        int family;
        enum list_id never, always;
    } lists[] = {{POLICY_DISABLE, NEVER_DISABLE, ALWAYS_DISABLE},
                 {POLICY_CREDENTIALS, NEVER_CREDENTIALS, ALWAYS_CREDENTIALS}};
    char shown[TEXT_SHOWN];

    for (size_t f = 0; f < ARRAY_LEN(lists); f++) {
        bool has_always = false, in_always = false;

        if ((families & lists[f].family) == 0)
            continue;
        for (size_t i = 0; i < p->count; i++) {
            const struct entry *en = &p->entries[i];

            if (en->list == lists[f].never && matches(en, a)) {
                *ret_rule = list_names[lists[f].never];
                (void)snprintf(detail, size, "on the list %s by '%s': a person must decide",
                               *ret_rule, text_shown(shown, en->text));
                return false;
            }
            if (en->list == lists[f].always) {
                has_always = true;
                in_always = in_always || matches(en, a);
            }
        }
        if (has_always && !in_always) {
            *ret_rule = list_names[lists[f].always];
            (void)snprintf(detail, size, "not on the list %s: a person must decide", *ret_rule);
            return false;
        }
    }
    return true;
}
