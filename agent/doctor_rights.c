/* agent/doctor_rights.c -- may we do what we will be asked to? Asked without changing anything.
 *
 *   doctor_rights_start   a few users below the base, without adminCount
 *   on_sample
 *   ask_next, on_user     each by its GUID: what may be written (allowedAttributesEffective, which
 *                         the DC computes for us), the right to reset (the DACL and our own
 * groups), and whether what the guard and the proof need is shown to us tell                  one
 * line for each right, over all that were looked at
 *
 * allowedAttributesEffective knows no control rights, hence the DACL for the reset. A privileged
 * account is left out: that we may not touch it says nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/doctor.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "ldap/protect.h"
#include "ldap/sd.h"
#include "ldap/value.h"

#define SAMPLE 12
#define ENOUGH 3
#define TOKENS 4096

enum right { MAY_UAC, MAY_PWD, MAY_RESET, SEE_GROUPS, SEE_DACL, SEE_META, RIGHTS };

/* For the mending: dsacls' form, and SDDL up to the class and our SID. */
static const struct {
    const char *name, *what, *lacks, *dsacls, *sddl;
} table[RIGHTS] = {
    [MAY_UAC] = {"right-disable", "write userAccountControl",
                 "disable, enable and contain would be denied", "RPWP;userAccountControl",
                 "(OA;CIIO;RPWP;bf967a68-0de6-11d0-a285-00aa003049e2"},
    [MAY_PWD] = {"right-expire", "write pwdLastSet", "expire-password would be denied",
                 "RPWP;pwdLastSet", "(OA;CIIO;RPWP;bf967a0a-0de6-11d0-a285-00aa003049e2"},
    [MAY_RESET] = {"right-reset", "reset the password",
                   "reset-password and contain would be denied", "CA;Reset Password",
                   "(OA;CIIO;CR;00299570-246d-11d0-a768-00aa006e0529"},
    [SEE_GROUPS] = {"read-groups", "read tokenGroups", "the guard cannot judge and refuses",
                    "RPLCLORC;", "(OA;CIIO;RPLCLORC;"},
    [SEE_DACL] = {"read-acl", "read the access control list",
                  "expire-password refuses: a user who may not change it would be locked out",
                  "RPLCLORC;", "(OA;CIIO;RPLCLORC;"},
    [SEE_META] = {"read-versions", "read replPropertyMetaData",
                  "it cannot be proven that every DC has a change", "RPLCLORC;",
                  "(OA;CIIO;RPLCLORC;"},
};

struct asking {
    struct doctor *d;
    struct ad_dc *dc;
    char *base, *who;
    struct ad_guid guids[SAMPLE];
    size_t count, at;
    unsigned looked, has[RIGHTS], cannot_tell[RIGHTS];
    char without[RIGHTS][TEXT_SHOWN]; /* the first that lacks it */
    bool inetorg[RIGHTS];             /* ... and its class */
    struct err why;                   /* the last that could not be read */
    void (*done)(struct doctor *d);
};

static void ask_next(struct asking *x);

static void end(struct asking *x)
{
    void (*done)(struct doctor * d) = x->done;
    struct doctor *d = x->d;

    free(x->base);
    free(x->who);
    free(x);
    done(d);
}

/* What an administrator types, on Windows and on Samba. */
static void mend_line(const struct asking *x, enum right r, char *buf, size_t size)
{
    const char *class = x->inetorg[r] ? "inetOrgPerson" : "user";
    char sid[AD_SID_TEXT] = "SID", sddl[300], base[TEXT_SHOWN], who[TEXT_SHOWN];

    if (x->dc->has_self)
        (void)ad_sid_to_text(&x->dc->self, sid);
    (void)snprintf(sddl, sizeof(sddl), "%s;%s;%s)", table[r].sddl,
                   x->inetorg[r] ? "4828cc14-1437-45bc-9b07-ad6f015e5f28"
                                 : "bf967aba-0de6-11d0-a285-00aa003049e2",
                   sid);
    (void)snprintf(
        buf, size,
        "dsacls \"%s\" /I:S /G \"%s:%s;%s\"   or: samba-tool dsacl set --objectdn=\"%s\" "
        "--sddl='%s'",
        text_shown(base, x->base), text_shown(who, x->who), table[r].dsacls, class, base, sddl);
}

static void tell(struct asking *x)
{
    char mend[900];

    if (x->looked == 0) {
        doctor_say(x->d, "rights", x->dc->host, HEALTH_WARNING,
                   "set `base` to where the accounts are, or give the agent the right to read them",
                   "not tested: no ordinary user to be seen below the base%s%s",
                   x->why.code != ERR_OK ? ": " : "", x->why.code != ERR_OK ? x->why.msg : "");
        end(x);
        return;
    }
    for (enum right r = 0; r < RIGHTS; r++) {
        if (x->has[r] == x->looked) {
            doctor_say(x->d, table[r].name, x->dc->host, HEALTH_OK, "", "%s: on %u of %u users",
                       table[r].what, x->has[r], x->looked);
        } else if (x->has[r] + x->cannot_tell[r] == x->looked) {
            doctor_say(x->d, table[r].name, x->dc->host, HEALTH_SKIPPED, "",
                       "%s: not to be told, since the access control list is not shown",
                       table[r].what);
        } else {
            mend_line(x, r, mend, sizeof(mend));
            doctor_say(x->d, table[r].name, x->dc->host,
                       r == SEE_META ? HEALTH_WARNING : HEALTH_FAILED, mend,
                       "%s: on %u of %u users, not on '%s': %s", table[r].what, x->has[r],
                       x->looked, x->without[r], table[r].lacks);
        }
    }
    end(x);
}

static bool holds(const struct ad_attr *a, const char *word)
{
    for (size_t i = 0; a != NULL && i < a->count; i++) {
        if (a->values[i].n == strlen(word) &&
            strncasecmp(a->values[i].s, word, a->values[i].n) == 0)
            return true;
    }
    return false;
}

static bool there(const struct ad_entry *en, const char *name)
{
    const struct ad_attr *a = ad_entry_attr(en, name);

    return a != NULL && a->count > 0;
}

/* A privileged account, or one that the guard refuses by what it is, is no sample. */
static bool ordinary(const struct ad_entry *en)
{
    struct ad_sid *sids = NULL;
    size_t n = 0;
    bool privileged = false;
    const char *name;
    struct err ignored;

    if (ad_value_sids(ad_entry_attr(en, "tokenGroups"), TOKENS, &sids, &n, &ignored) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        privileged = privileged || ad_protect_is_privileged(&sids[i], NULL, &name);
    free(sids);
    return !privileged;
}

static void look(struct asking *x, const struct ad_entry *en)
{
    const struct ad_attr *may = ad_entry_attr(en, "allowedAttributesEffective");
    const struct ad_attr *dacl = ad_entry_attr(en, "nTSecurityDescriptor");
    bool inetorg = holds(ad_entry_attr(en, "objectClass"), "inetOrgPerson");
    bool has[RIGHTS] = {
        [MAY_UAC] = holds(may, "userAccountControl"),
        [MAY_PWD] = holds(may, "pwdLastSet"),
        [SEE_GROUPS] = there(en, "tokenGroups"),
        [SEE_DACL] = there(en, "nTSecurityDescriptor"),
        [SEE_META] = there(en, "replPropertyMetaData"),
    };
    enum ad_right reset = AD_RIGHT_NONE;
    bool known =
        dacl != NULL && dacl->count == 1 && x->dc->token_count > 0 &&
        ad_sd_reset_right(dacl->values[0].s, dacl->values[0].n, x->dc->tokens, x->dc->token_count,
                          inetorg ? &ad_guid_class_inetorgperson : &ad_guid_class_user,
                          /* children */ false, &reset, NULL, &x->why) == 0;

    has[MAY_RESET] = reset == AD_RIGHT_YES;
    if (!known)
        x->cannot_tell[MAY_RESET]++;
    x->looked++;
    for (enum right r = 0; r < RIGHTS; r++) {
        x->has[r] += has[r];
        if (has[r] || x->without[r][0] != '\0' || (r == MAY_RESET && !known))
            continue;
        x->inetorg[r] = inetorg;
        (void)text_shown(x->without[r], en->dn);
    }
}

static void on_user(void *arg, const struct ad_entry *en, size_t n, const struct err *e)
{
    struct asking *x = arg;

    if (e != NULL)
        x->why = *e;
    else if (n == 1 && ordinary(en))
        look(x, en);
    x->at++;
    ask_next(x);
}

static void ask_next(struct asking *x)
{
    static const char *const attrs[] = {
        "allowedAttributesEffective", "nTSecurityDescriptor", "tokenGroups",
        "replPropertyMetaData",       "objectClass",          NULL};
    char base[AD_GUID_DN];

    while (x->at < x->count && x->looked < ENOUGH) {
        if (ad_search_start(x->dc->conn,
                            &(struct ad_search){.base = ad_guid_to_dn(&x->guids[x->at], base),
                                                .attrs = attrs,
                                                .limit = 1,
                                                .with_dacl = true},
                            on_user, x, NULL, &x->why) == 0)
            return;
        x->at++;
    }
    tell(x);
}

static void on_sample(void *arg, const struct ad_entry *entries, size_t n, const struct err *e)
{
    struct asking *x = arg;
    struct err ignored;
    bool has;

    if (e != NULL && e->code == ERR_NOTFOUND) {
        doctor_say(x->d, "rights", x->dc->host, HEALTH_FAILED, "base = DN, in the configuration",
                   "the base '%s' does not exist, or may not be read", x->base);
        end(x);
        return;
    }
    if (e != NULL)
        x->why = *e;
    for (size_t i = 0; e == NULL && i < n && x->count < SAMPLE; i++) {
        if (ad_value_guid(ad_entry_attr(&entries[i], "objectGUID"), &has, &x->guids[x->count],
                          &ignored) == 0 &&
            has)
            x->count++;
    }
    ask_next(x);
}

int doctor_rights_start(struct doctor *d, struct ad_dc *dc, const char *base, const char *who,
                        void (*done)(struct doctor *d), struct err *e)
{
    static const char *const attrs[] = {"objectGUID", NULL};
    struct asking *x = calloc(1, sizeof(*x));

    if (x == NULL || (x->base = text_dup(base)) == NULL || (x->who = text_dup(who)) == NULL) {
        (void)err_set(e, ERR_NOMEM, 0, "rights");
        goto fail;
    }
    x->d = d;
    x->dc = dc;
    x->done = done;
    if (ad_search_start(dc->conn,
                        &(struct ad_search){.base = base,
                                            .subtree = true,
                                            .filter =
                                                "(&(sAMAccountType=805306368)(!(adminCount=1))"
                                                "(!(isCriticalSystemObject=TRUE)))",
                                            .attrs = attrs,
                                            .limit = SAMPLE,
                                            .some = true},
                        on_sample, x, NULL, e) < 0)
        goto fail;
    return 0;
fail:
    if (x != NULL) {
        free(x->base);
        free(x->who);
    }
    free(x);
    return -1;
}
