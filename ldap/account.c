/* ldap/account.c -- see account.h.
 *
 *   read      ad_read_start -> on_entry -> ad_account_decode -> one report
 *   explain   ad_explain_start -> on_level ... -> one report
 */
#include "ldap/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"
#include "ldap/sd.h"
#include "ldap/uac.h"
#include "ldap/value.h"

#define TOKENS_MAX 8192
#define STRINGS_MAX 2048
#define TEXT_MAX 4096

/* --- read ---------------------------------------------------------------------------- */

const char *const ad_prove_attrs[] = {"objectGUID",  "userAccountControl",   "pwdLastSet",
                                      "lockoutTime", "replPropertyMetaData", NULL};
#define JUDGE_ATTRS                                                                               \
    "objectGUID", "objectSid", "objectClass", "sAMAccountName", "sAMAccountType", "name",         \
        "userPrincipalName", "userAccountControl", "pwdLastSet", "lockoutTime", "primaryGroupID", \
        "adminCount", "isCriticalSystemObject", "msDS-SecondaryKrbTgtNumber", "tokenGroups",      \
        "sIDHistory", "servicePrincipalName", "memberOf", "replPropertyMetaData",                 \
        "msDS-UserPasswordExpiryTimeComputed"
static const char *const judge_attrs[] = {JUDGE_ATTRS, NULL};
static const char *const judge_dacl_attrs[] = {JUDGE_ATTRS, "nTSecurityDescriptor", NULL};
static const char *const show_attrs[] = {JUDGE_ATTRS,
                                         "nTSecurityDescriptor",
                                         "mail",
                                         "displayName",
                                         "lastLogon",
                                         "accountExpires",
                                         "msDS-User-Account-Control-Computed",
                                         "msDS-KeyCredentialLink",
                                         "msDS-AllowedToDelegateTo",
                                         "msDS-AllowedToActOnBehalfOfOtherIdentity",
                                         "whenCreated",
                                         NULL};

struct reading {
    struct ad_guid guid;
    int what;
    ad_read_cb cb;
    void *arg;
};

static void strings_free(char **s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(s[i]);
    free(s);
}

void ad_account_free(struct ad_account *a)
{
    if (a == NULL)
        return;
    free(a->dn);
    free(a->sam);
    free(a->upn);
    free(a->mail);
    free(a->display_name);
    free((void *)(uintptr_t)a->subject.name);
    free((void *)(uintptr_t)a->subject.token_groups);
    free((void *)(uintptr_t)a->subject.sid_history);
    strings_free(a->member_of, a->member_of_count);
    strings_free(a->spns, a->spn_count);
    free(a);
}

void ad_account_freep(struct ad_account **a)
{
    ad_account_free(*a);
}

/* All values as texts; a value that is none is left out, not an error: they only inform. */
static int take_strings(const struct ad_attr *a, char ***ret, size_t *ret_n, struct err *e)
{
    size_t n = a == NULL ? 0 : a->count < STRINGS_MAX ? a->count : STRINGS_MAX, k = 0;
    char **s;

    if (n == 0)
        return 0;
    s = calloc(n, sizeof(*s));
    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "%s", a->name);
    for (size_t i = 0; i < n; i++) {
        if (a->values[i].n > TEXT_MAX || memchr(a->values[i].s, '\0', a->values[i].n) != NULL)
            continue;
        s[k] = strndup(a->values[i].s, a->values[i].n);
        if (s[k] == NULL) {
            strings_free(s, k);
            return err_set(e, ERR_NOMEM, 0, "%s", a->name);
        }
        k++;
    }
    *ret = s;
    *ret_n = k;
    return 0;
}

static int take_filetime(const struct ad_entry *en, const char *name, bool *ret_there, int64_t *ret,
                         struct err *e)
{
    struct ad_time t;

    if (ad_value_filetime(ad_entry_attr(en, name), ret_there, &t, e) < 0)
        return -1;
    if (*ret_there)
        *ret = t.raw;
    return 0;
}

static int take_stamps(const struct ad_entry *en, struct ad_account *a, struct err *e)
{
    const struct ad_attr *m = ad_entry_attr(en, "replPropertyMetaData");
    struct ad_value v;
    bool there;

    if (ad_value_one(m, &there, &v, e) < 0)
        return -1;
    if (!there)
        return 0;
    if (ad_meta_find(v.s, v.n, AD_ATTID_UAC, &a->has_uac_stamp, &a->uac_stamp, e) < 0 ||
        ad_meta_find(v.s, v.n, AD_ATTID_PWD_LAST_SET, &a->has_pwd_stamp, &a->pwd_stamp, e) < 0 ||
        ad_meta_find(v.s, v.n, AD_ATTID_UNICODE_PWD, &a->has_unicode_stamp, &a->unicode_stamp, e) <
            0)
        return err_wrap(e, "replPropertyMetaData");
    return 0;
}

/* What the guard judges. */
static int take_subject(const struct ad_entry *en, struct ad_account *a, struct err *e)
{
    struct ad_subject *s = &a->subject;
    const struct ad_attr *at;
    struct ad_sid *sids = NULL;
    char *name = NULL;
    int64_t v;
    bool there;

    if (ad_value_sid(ad_entry_attr(en, "objectSid"), &there, &s->sid, e) < 0)
        return -1;
    if (!there)
        return err_set(e, ERR_INVALID, 0, "no objectSid: not an account, or not readable");
    at = ad_entry_attr(en, "objectClass");
    for (size_t i = 0; at != NULL && i < at->count; i++)
        s->classes |= ad_class_flag(at->values[i].s, at->values[i].n);
    if (at != NULL && at->count > 0)
        s->classes |= AD_CLASS_READ;
    s->has_uac = true;
    s->uac = a->uac;
    if (ad_value_bits(ad_entry_attr(en, "sAMAccountType"), &s->has_sam_type, &s->sam_type, e) < 0 ||
        ad_value_bits(ad_entry_attr(en, "primaryGroupID"), &s->has_primary_group, &s->primary_group,
                      e) < 0)
        return -1;
    if (ad_value_i64(ad_entry_attr(en, "adminCount"), INT32_MIN, INT32_MAX, &s->has_admin_count, &v,
                     e) < 0)
        return -1;
    if (s->has_admin_count)
        s->admin_count = (int32_t)v;
    if (ad_value_bool(ad_entry_attr(en, "isCriticalSystemObject"), &there, &s->critical, e) < 0)
        return -1;
    s->has_krbtgt_number = ad_entry_attr(en, "msDS-SecondaryKrbTgtNumber") != NULL;
    at = ad_entry_attr(en, "tokenGroups");
    s->has_token_groups = at != NULL && at->count > 0;
    if (ad_value_sids(at, TOKENS_MAX, &sids, &s->token_group_count, e) < 0)
        return -1;
    s->token_groups = sids;
    if (ad_value_sids(ad_entry_attr(en, "sIDHistory"), TOKENS_MAX, &sids, &s->sid_history_count,
                      e) < 0)
        return -1;
    s->sid_history = sids;
    if (ad_value_text(ad_entry_attr(en, "name"), TEXT_MAX, &name, e) < 0)
        return -1;
    s->name = name;
    s->sam = a->sam;
    s->spn_count = a->spn_count;
    return 0;
}

static int take_dacl(const struct ad_entry *en, struct ad_account *a, struct err *e)
{
    struct ad_value v;
    bool there;

    if (ad_value_one(ad_entry_attr(en, "nTSecurityDescriptor"), &there, &v, e) < 0)
        return -1;
    if (!there)
        return 0; /* not shown to us: dacl_read stays false, and the step says so */
    if (ad_sd_cannot_change_password(v.s, v.n, &a->cannot_change_password, e) < 0)
        return err_wrap(e, "nTSecurityDescriptor");
    a->dacl_read = true;
    return 0;
}

static int take_show(const struct ad_entry *en, struct ad_account *a, struct err *e)
{
    const struct ad_attr *at;
    bool there;

    if (ad_value_text(ad_entry_attr(en, "mail"), TEXT_MAX, &a->mail, e) < 0 ||
        ad_value_text(ad_entry_attr(en, "displayName"), TEXT_MAX, &a->display_name, e) < 0 ||
        take_filetime(en, "lastLogon", &a->has_last_logon, &a->last_logon, e) < 0 ||
        take_filetime(en, "accountExpires", &a->has_account_expires, &a->account_expires, e) < 0 ||
        ad_value_bits(ad_entry_attr(en, "msDS-User-Account-Control-Computed"), &a->has_computed,
                      &a->uac_computed, e) < 0 ||
        ad_value_time(ad_entry_attr(en, "whenCreated"), &there, &a->when_created_ms, e) < 0)
        return -1;
    at = ad_entry_attr(en, "msDS-KeyCredentialLink");
    a->key_credentials = at != NULL ? at->count : 0;
    at = ad_entry_attr(en, "msDS-AllowedToDelegateTo");
    a->delegates_to = at != NULL ? at->count : 0;
    a->acts_on_behalf = ad_entry_attr(en, "msDS-AllowedToActOnBehalfOfOtherIdentity") != NULL;
    return 0;
}

int ad_account_decode(const struct ad_entry *en, const struct ad_guid *want, int what,
                      struct ad_account **ret_account, struct err *e)
{
    CLEANUP(ad_account_freep) struct ad_account *a = calloc(1, sizeof(*a));
    char shown[TEXT_SHOWN];
    bool there;

    if (a == NULL)
        return err_set(e, ERR_NOMEM, 0, "account");
    a->dn = text_dup(en->dn);
    if (a->dn == NULL)
        return err_set(e, ERR_NOMEM, 0, "account");
    /* L9: the answer is checked against the question. */
    if (ad_value_guid(ad_entry_attr(en, "objectGUID"), &there, &a->guid, e) < 0)
        goto bad;
    if (!there || (want != NULL && !ad_guid_eq(&a->guid, want))) {
        (void)err_set(e, ERR_INVALID, 0, "the DC answered about another object");
        goto bad;
    }
    if (ad_value_bits(ad_entry_attr(en, "userAccountControl"), &there, &a->uac, e) < 0)
        goto bad;
    if (!there) {
        (void)err_set(e, ERR_INVALID, 0,
                      "no userAccountControl: not an account, or the agent may not read it");
        goto bad;
    }
    if (take_filetime(en, "pwdLastSet", &a->has_pwd_last_set, &a->pwd_last_set, e) < 0 ||
        take_filetime(en, "lockoutTime", &a->has_lockout_time, &a->lockout_time, e) < 0 ||
        take_filetime(en, "msDS-UserPasswordExpiryTimeComputed", &a->has_pwd_expires,
                      &a->pwd_expires, e) < 0 ||
        take_stamps(en, a, e) < 0)
        goto bad;
    if ((what & AD_READ_PROVE) == 0) {
        if (ad_value_text(ad_entry_attr(en, "sAMAccountName"), TEXT_MAX, &a->sam, e) < 0 ||
            ad_value_text(ad_entry_attr(en, "userPrincipalName"), TEXT_MAX, &a->upn, e) < 0 ||
            take_strings(ad_entry_attr(en, "memberOf"), &a->member_of, &a->member_of_count, e) <
                0 ||
            take_strings(ad_entry_attr(en, "servicePrincipalName"), &a->spns, &a->spn_count, e) <
                0 ||
            take_subject(en, a, e) < 0)
            goto bad;
        if ((what & (AD_READ_DACL | AD_READ_SHOW)) != 0 && take_dacl(en, a, e) < 0)
            goto bad;
        if ((what & AD_READ_SHOW) != 0 && take_show(en, a, e) < 0)
            goto bad;
    }
    *ret_account = TAKE(a);
    return 0;
bad:
    return err_wrap(e, "'%s'", text_shown(shown, en->dn));
}

static void on_entry(void *arg, const struct ad_entry *entries, size_t n, const struct err *e)
{
    struct reading *r = arg;
    struct ad_account *a = NULL;
    struct err mine;

    if (e == NULL && n != 1) {
        (void)err_set(&mine, ERR_NOTFOUND, 0, "the account is not there any more, or not readable");
        e = &mine;
    }
    if (e == NULL && ad_account_decode(&entries[0], &r->guid, r->what, &a, &mine) < 0)
        e = &mine;
    r->cb(r->arg, a, e);
    free(r);
}

int ad_read_start(struct ad_conn *c, const struct ad_guid *guid, int what, ad_read_cb cb, void *arg,
                  struct ad_op **ret_op, struct err *e)
{
    struct reading *r = calloc(1, sizeof(*r));
    char base[AD_GUID_DN];

    if (r == NULL)
        return err_set(e, ERR_NOMEM, 0, "read");
    *r = (struct reading){.guid = *guid, .what = what, .cb = cb, .arg = arg};
    if (ad_search_start(
            c,
            &(struct ad_search){.base = ad_guid_to_dn(guid, base),
                                .attrs = (what & AD_READ_PROVE) != 0  ? ad_prove_attrs
                                         : (what & AD_READ_SHOW) != 0 ? show_attrs
                                         : (what & AD_READ_DACL) != 0 ? judge_dacl_attrs
                                                                      : judge_attrs,
                                .limit = 1,
                                .with_dacl = (what & (AD_READ_DACL | AD_READ_SHOW)) != 0},
            on_entry, r, ret_op, e) < 0) {
        free(r);
        return -1;
    }
    return 0;
}

/* --- why is it in that group? ------------------------------------------------------------ */

#define LEVELS 8
#define GROUPS 200

struct group {
    char *dn;
    char *sam;
    size_t from; /* index of the group below it, or SIZE_MAX: the account itself */
};

struct explain {
    struct ad_conn *conn;
    char *domain_dn;
    struct ad_sid want;
    struct group groups[GROUPS];
    size_t count, done, asked;
    unsigned level;
    ad_explain_cb cb;
    void *arg;
};

static void on_level(void *arg, const struct ad_entry *entries, size_t n, const struct err *e);

static void explain_end(struct explain *x, const char *words)
{
    char sid[AD_SID_TEXT], fallback[AD_SID_TEXT + 32];

    if (words == NULL) {
        (void)snprintf(fallback, sizeof(fallback), "member of %s", ad_sid_to_text(&x->want, sid));
        words = fallback;
    }
    x->cb(x->arg, words);
    for (size_t i = 0; i < x->count; i++) {
        free(x->groups[i].dn);
        free(x->groups[i].sam);
    }
    free(x->domain_dn);
    free(x);
}

static void explain_add(struct explain *x, const char *dn, size_t n, size_t from)
{
    for (size_t i = 0; i < x->count; i++) {
        if (strlen(x->groups[i].dn) == n && strncasecmp(x->groups[i].dn, dn, n) == 0)
            return;
    }
    if (x->count == GROUPS || n > TEXT_MAX)
        return;
    x->groups[x->count].dn = strndup(dn, n);
    x->groups[x->count].from = from;
    if (x->groups[x->count].dn != NULL)
        x->count++;
}

/* One search for all groups of a level. */
static int ask_level(struct explain *x, struct err *e)
{
    static const char *const attrs[] = {"objectSid", "sAMAccountName", "memberOf", NULL};
    struct text filter = TEXT_INIT(AD_NAME_FILTER_MAX);
    int rc;

    x->asked = x->count;
    text_add(&filter, "(|");
    for (size_t i = x->done; i < x->asked; i++) {
        text_add(&filter, "(distinguishedName=");
        ad_name_escape(&filter, x->groups[i].dn, strlen(x->groups[i].dn));
        text_add(&filter, ")");
    }
    text_add(&filter, ")");
    rc = text_check(&filter, "groups", e);
    if (rc == 0)
        rc = ad_search_start(x->conn,
                             &(struct ad_search){.base = x->domain_dn,
                                                 .subtree = true,
                                                 .filter = filter.s,
                                                 .attrs = attrs,
                                                 .limit = GROUPS},
                             on_level, x, NULL, e);
    text_done(&filter);
    return rc;
}

static void explain_path(struct explain *x, size_t at)
{
    struct text t = TEXT_INIT(2000);
    char shown[TEXT_SHOWN];
    size_t path[LEVELS + 1], n = 0;

    text_addf(&t, "member of %s", text_shown(shown, x->groups[at].sam));
    for (size_t i = x->groups[at].from; i != SIZE_MAX && n < LEVELS; i = x->groups[i].from)
        path[n++] = i;
    for (size_t i = n; i > 0; i--)
        text_addf(&t, "%s%s", i == n ? " through " : ", ",
                  text_shown(shown, x->groups[path[i - 1]].sam != NULL
                                        ? x->groups[path[i - 1]].sam
                                        : x->groups[path[i - 1]].dn));
    explain_end(x, t.failed ? NULL : t.s);
    text_done(&t);
}

static void on_level(void *arg, const struct ad_entry *entries, size_t n, const struct err *e)
{
    struct explain *x = arg;
    size_t hit = SIZE_MAX;
    struct err ignored;

    if (e != NULL) {
        explain_end(x, NULL);
        return;
    }
    for (size_t k = 0; k < n; k++) {
        const struct ad_attr *mo = ad_entry_attr(&entries[k], "memberOf");
        struct ad_sid sid;
        bool there = false;
        size_t at = SIZE_MAX;

        for (size_t i = x->done; i < x->asked; i++) {
            if (text_eq_nocase(x->groups[i].dn, entries[k].dn))
                at = i;
        }
        if (at == SIZE_MAX)
            continue;
        (void)ad_value_text(ad_entry_attr(&entries[k], "sAMAccountName"), 300, &x->groups[at].sam,
                            &ignored);
        if (ad_value_sid(ad_entry_attr(&entries[k], "objectSid"), &there, &sid, &ignored) == 0 &&
            there && ad_sid_eq(&sid, &x->want) && x->groups[at].sam != NULL)
            hit = at;
        for (size_t i = 0; mo != NULL && i < mo->count; i++)
            explain_add(x, mo->values[i].s, mo->values[i].n, at);
    }
    x->done = x->asked;
    if (hit != SIZE_MAX) {
        explain_path(x, hit);
        return;
    }
    if (++x->level == LEVELS || x->count == x->done || ask_level(x, &ignored) < 0)
        explain_end(x, NULL);
}

/* The primary group stands in no memberOf: name it by its SID. */
static void on_primary(void *arg, const struct ad_entry *entries, size_t n, const struct err *e)
{
    struct explain *x = arg;
    char *sam = NULL, words[400], shown[TEXT_SHOWN];
    struct err ignored;

    if (e == NULL && n == 1 &&
        ad_value_text(ad_entry_attr(&entries[0], "sAMAccountName"), 300, &sam, &ignored) == 0 &&
        sam != NULL) {
        (void)snprintf(words, sizeof(words), "primary group %s", text_shown(shown, sam));
        free(sam);
        explain_end(x, words);
        return;
    }
    explain_end(x, NULL);
}

int ad_explain_start(struct ad_conn *c, const struct ad_account *a, const struct ad_sid *group,
                     const char *domain_dn, ad_explain_cb cb, void *arg, struct err *e)
{
    static const char *const attrs[] = {"sAMAccountName", NULL};
    struct explain *x = calloc(1, sizeof(*x));
    char base[AD_SID_DN];
    int rc;

    if (x == NULL || (x->domain_dn = text_dup(domain_dn)) == NULL) {
        free(x);
        return err_set(e, ERR_NOMEM, 0, "groups");
    }
    x->conn = c;
    x->want = *group;
    x->cb = cb;
    x->arg = arg;
    for (size_t i = 0; i < a->member_of_count; i++)
        explain_add(x, a->member_of[i], strlen(a->member_of[i]), SIZE_MAX);
    if ((a->subject.has_primary_group && ad_sid_rid(group) == a->subject.primary_group &&
         ad_sid_domain_eq(group, &a->subject.sid)) ||
        x->count == 0)
        rc = ad_search_start(
            c, &(struct ad_search){.base = ad_sid_to_dn(group, base), .attrs = attrs, .limit = 1},
            on_primary, x, NULL, e);
    else
        rc = ask_level(x, e);
    if (rc < 0) {
        for (size_t i = 0; i < x->count; i++)
            free(x->groups[i].dn);
        free(x->domain_dn);
        free(x);
    }
    return rc;
}
