/* ldap/find.c -- see find.h.
 *
 *   ad_find_start -> on_found (an immutableId: -> second search) -> one report
 */
#include "ldap/find.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "ldap/value.h"

#define DN_MAX 1024
#define TEXT_MAX 400

struct find {
    struct ad_conn *conn; /* borrowed; only used from callbacks of its own operations */
    struct ad_name name;
    char *domain_dn, *dns, *netbios;
    bool second; /* immutableId: the search by mS-DS-ConsistencyGuid */
    ad_find_cb cb;
    void *arg;
};

static const char *const find_attrs[] = {
    "objectGUID", "objectSid", "sAMAccountName", "userPrincipalName", "mS-DS-ConsistencyGuid",
    NULL};

static void find_free(struct find *f)
{
    free(f->domain_dn);
    free(f->dns);
    free(f->netbios);
    free(f);
}

static void on_found(void *arg, const struct ad_entry *entries, size_t n, const struct err *e);

static int find_search(struct find *f, struct ad_op **ret_op, struct err *e)
{
    struct ad_name_domain domain = {.dns = f->dns, .netbios = f->netbios};
    struct text filter = TEXT_INIT(AD_NAME_FILTER_MAX);
    char base[AD_NAME_BASE];
    const char *at = ad_name_base(&f->name, base);
    int rc = 0;

    if (f->second)
        at = NULL;
    if (at == NULL)
        rc = ad_name_filter(&f->name, &domain, &filter, e);
    else
        text_add(&filter, "(objectClass=*)");
    if (rc == 0)
        rc = text_check(&filter, "filter", e);
    if (rc == 0)
        rc = ad_search_start(f->conn,
                             &(struct ad_search){.base = at != NULL ? at : f->domain_dn,
                                                 .subtree = at == NULL,
                                                 .filter = filter.s,
                                                 .attrs = find_attrs,
                                                 .limit = AD_FIND_MAX},
                             on_found, f, ret_op, e);
    text_done(&filter);
    return rc;
}

int ad_find_start(struct ad_conn *c, const struct ad_name *name,
                  const struct ad_name_domain *domain, const char *domain_dn, ad_find_cb cb,
                  void *arg, struct ad_op **ret_op, struct err *e)
{
    struct find *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return err_set(e, ERR_NOMEM, 0, "look-up");
    f->conn = c;
    f->name = *name;
    f->cb = cb;
    f->arg = arg;
    f->domain_dn = text_dup(domain_dn);
    f->dns = text_dup(domain->dns);
    f->netbios =
        domain->netbios != NULL && domain->netbios[0] != '\0' ? text_dup(domain->netbios) : NULL;
    if (f->domain_dn == NULL || f->dns == NULL) {
        find_free(f);
        return err_set(e, ERR_NOMEM, 0, "look-up");
    }
    if (find_search(f, ret_op, e) < 0) {
        find_free(f);
        return -1;
    }
    return 0;
}

/* A text that is none, or too long, is as if it were not there: it only informs. */
static int take_text(const struct ad_attr *a, char **ret, struct err *e)
{
    struct err ignored;

    if (ad_value_text(a, TEXT_MAX, ret, &ignored) < 0 || *ret == NULL)
        *ret = text_dup("");
    return *ret == NULL ? err_set(e, ERR_NOMEM, 0, "look-up") : 0;
}

/* Sixteen bytes by custom, but any are allowed. */
static void take_consistency(const struct ad_attr *a, struct ad_found *ret)
{
    ret->has_consistency =
        a != NULL && a->count == 1 && a->values[0].n == sizeof(ret->consistency.b);
    if (ret->has_consistency)
        memcpy(ret->consistency.b, a->values[0].s, sizeof(ret->consistency.b));
}

int ad_found_decode(const struct ad_entry *en, struct ad_found *ret, struct err *e)
{
    bool there;

    *ret = (struct ad_found){0};
    if (ad_value_guid(ad_entry_attr(en, "objectGUID"), &there, &ret->guid, e) < 0)
        return -1;
    if (!there)
        return err_set(e, ERR_INVALID, 0, "an entry without objectGUID");
    if (ad_value_sid(ad_entry_attr(en, "objectSid"), &there, &ret->sid, e) < 0)
        return -1;
    take_consistency(ad_entry_attr(en, "mS-DS-ConsistencyGuid"), ret);
    if (strlen(en->dn) >= DN_MAX)
        return err_set(e, ERR_TOOBIG, 0, "a distinguishedName over %d bytes", DN_MAX - 1);
    ret->dn = text_dup(en->dn);
    if (ret->dn == NULL)
        (void)err_set(e, ERR_NOMEM, 0, "look-up");
    if (ret->dn == NULL || take_text(ad_entry_attr(en, "sAMAccountName"), &ret->sam, e) < 0 ||
        take_text(ad_entry_attr(en, "userPrincipalName"), &ret->upn, e) < 0) {
        ad_found_done(ret);
        return -1;
    }
    return 0;
}

void ad_found_done(struct ad_found *f)
{
    free(f->dn);
    free(f->sam);
    free(f->upn);
    f->dn = f->sam = f->upn = NULL;
}

int ad_found_copy(const struct ad_found *from, struct ad_found *ret, struct err *e)
{
    *ret = (struct ad_found){.guid = from->guid,
                             .sid = from->sid,
                             .consistency = from->consistency,
                             .has_consistency = from->has_consistency,
                             .dn = text_dup(from->dn != NULL ? from->dn : ""),
                             .sam = text_dup(from->sam != NULL ? from->sam : ""),
                             .upn = text_dup(from->upn != NULL ? from->upn : "")};
    if (ret->dn == NULL || ret->sam == NULL || ret->upn == NULL) {
        ad_found_done(ret);
        return err_set(e, ERR_NOMEM, 0, "account");
    }
    return 0;
}

int ad_find_judge(const char *typed, const char *domain, const struct ad_found *found, size_t n,
                  struct err *e)
{
    char shown[TEXT_SHOWN], first[TEXT_SHOWN], second[TEXT_SHOWN], third[TEXT_SHOWN];

    if (n == 0)
        return err_set(e, ERR_NOTFOUND, 0, "no account '%s' in %s", text_shown(shown, typed),
                       domain);
    if (n > 1)
        return err_set(e, ERR_AMBIGUOUS, 0, "'%.80s' means more than one account: %s; %s%s%s",
                       text_shown(shown, typed), text_shown(first, found[0].dn),
                       text_shown(second, found[1].dn), n > 2 ? "; " : "",
                       n > 2 ? text_shown(third, found[2].dn) : "");
    if (found[0].sid.n == 0)
        return err_set(e, ERR_INVALID, 0,
                       "'%s' shows no objectSid: it is no account, or it may not be read",
                       text_shown(shown, found[0].dn));
    return 0;
}

static void find_report(struct find *f, const struct ad_found *found, size_t n, const struct err *e)
{
    f->cb(f->arg, found, n, e);
    find_free(f);
}

static void on_found(void *arg, const struct ad_entry *entries, size_t n, const struct err *e)
{
    struct find *f = arg;
    struct ad_found found[AD_FIND_MAX];
    size_t have = 0;
    struct err mine;

    /* "No such object" for a base search is an answer. */
    if (e != NULL && e->code == ERR_NOTFOUND)
        n = 0;
    else if (e != NULL) {
        find_report(f, NULL, 0, e);
        return;
    }
    /* An immutableId may be the objectGUID, unless that object has another ConsistencyGuid. */
    if (f->name.kind == AD_NAME_IMMUTABLE && !f->second) {
        const struct ad_attr *a =
            n == 1 ? ad_entry_attr(&entries[0], "mS-DS-ConsistencyGuid") : NULL;

        if (n != 1 ||
            !ad_name_immutable_ok(&f->name, a != NULL && a->count == 1 ? a->values[0].s : NULL,
                                  a != NULL && a->count == 1 ? a->values[0].n : 0)) {
            f->second = true;
            if (find_search(f, NULL, &mine) < 0)
                find_report(f, NULL, 0, &mine);
            return;
        }
    }
    while (have < n && ad_found_decode(&entries[have], &found[have], &mine) == 0)
        have++;
    if (have < n) {
        find_report(f, NULL, 0, &mine);
    } else if (ad_find_judge(f->name.text, f->dns, found, n, &mine) < 0) {
        bool several = mine.code == ERR_AMBIGUOUS;

        find_report(f, several ? found : NULL, several ? n : 0, &mine);
    } else {
        find_report(f, found, 1, NULL);
    }
    for (size_t i = 0; i < have; i++)
        ad_found_done(&found[i]);
}
