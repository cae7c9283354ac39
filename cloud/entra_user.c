/* cloud/entra_user.c -- one user as Graph answers it, decoded strictly. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/entra_inside.h"

#define VALUE_MAX 2048

const char entra_select[] =
    "id,userPrincipalName,displayName,accountEnabled,userType,onPremisesSyncEnabled,"
    "onPremisesImmutableId,onPremisesSecurityIdentifier,onPremisesDistinguishedName,"
    "onPremisesSamAccountName,onPremisesDomainName,onPremisesLastSyncDateTime,"
    "signInSessionsValidFromDateTime,lastPasswordChangeDateTime,isManagementRestricted";

/* Absent, or neither a text nor null. */
static int take_text(const struct cJSON *j, const char *name, bool must, char **ret, struct err *e)
{
    const struct cJSON *v = json_get(j, name);
    const char *s = json_value_str(v);

    if (v == NULL && must)
        return err_set(e, ERR_INVALID, 0, "the user in Graph's answer has no %s", name);
    if (v == NULL || json_is_null(v))
        return 0;
    if (s == NULL || strlen(s) > VALUE_MAX)
        return err_set(e, ERR_INVALID, 0, "%s in Graph's answer is no text of a sane length", name);
    *ret = text_dup(s);
    return *ret == NULL ? err_set(e, ERR_NOMEM, 0, "user") : 0;
}

static int take_tri(const struct cJSON *j, const char *name, bool must, enum entra_tri *ret,
                    struct err *e)
{
    const struct cJSON *v = json_get(j, name);
    bool b;

    if (v == NULL && must)
        return err_set(e, ERR_INVALID, 0, "the user in Graph's answer has no %s", name);
    *ret = ENTRA_NULL;
    if (v == NULL || json_is_null(v))
        return 0;
    if (!json_bool(j, name, &b))
        return err_set(e, ERR_INVALID, 0, "%s in Graph's answer is neither true, false nor null",
                       name);
    *ret = b ? ENTRA_TRUE : ENTRA_FALSE;
    return 0;
}

static int take_time(const struct cJSON *j, const char *name, bool must, int64_t *ret,
                     struct err *e)
{
    CLEANUP(cleanup_charp) char *s = NULL;

    *ret = 0;
    if (take_text(j, name, must, &s, e) < 0)
        return -1;
    if (s != NULL && !stamp_parse_iso(s, ret))
        return err_set(e, ERR_INVALID, 0, "%s in Graph's answer is no time", name);
    return 0;
}

int entra_user_decode(const struct cJSON *j, const char *want_id, struct entra_user *ret,
                      struct err *e)
{
    struct entra_user u = {0};
    CLEANUP(cleanup_charp) char *type = NULL;

    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, 0, "Graph's answer is no user");
    if (!json_bool(j, "accountEnabled", &u.enabled)) {
        (void)err_set(e, ERR_INVALID, 0,
                      "the user in Graph's answer has no accountEnabled that is true or false");
        return -1;
    }
    if (take_text(j, "id", true, &u.id, e) < 0 ||
        take_text(j, "userPrincipalName", true, &u.upn, e) < 0 ||
        take_text(j, "displayName", false, &u.display_name, e) < 0 ||
        take_text(j, "userType", false, &type, e) < 0 ||
        take_tri(j, "onPremisesSyncEnabled", true, &u.synced, e) < 0 ||
        take_tri(j, "isManagementRestricted", false, &u.restricted, e) < 0 ||
        take_text(j, "onPremisesImmutableId", false, &u.immutable_id, e) < 0 ||
        take_text(j, "onPremisesSecurityIdentifier", true, &u.sid, e) < 0 ||
        take_text(j, "onPremisesSamAccountName", false, &u.on_prem_sam, e) < 0 ||
        take_text(j, "onPremisesDomainName", false, &u.on_prem_domain, e) < 0 ||
        take_text(j, "onPremisesDistinguishedName", false, &u.on_prem_dn, e) < 0 ||
        take_time(j, "signInSessionsValidFromDateTime", false, &u.sessions_valid_from_ms, e) < 0 ||
        take_time(j, "lastPasswordChangeDateTime", false, &u.password_changed_ms, e) < 0 ||
        take_time(j, "onPremisesLastSyncDateTime", false, &u.last_sync_ms, e) < 0)
        goto bad;
    if (u.id == NULL || u.upn == NULL || !entra_id_ok(u.id)) {
        (void)err_set(e, ERR_INVALID, 0, "the user in Graph's answer has no proper id");
        goto bad;
    }
    if (want_id != NULL && !text_eq_nocase(u.id, want_id)) {
        (void)err_set(e, ERR_INVALID, 0, "Graph answered about another user than was asked for");
        goto bad;
    }
    u.guest = type != NULL && text_eq_nocase(type, "Guest");
    *ret = u;
    return 0;
bad:
    entra_user_done(&u);
    return -1;
}

void entra_user_done(struct entra_user *u)
{
    char **all[] = {&u->id,  &u->upn,         &u->display_name,   &u->immutable_id,
                    &u->sid, &u->on_prem_sam, &u->on_prem_domain, &u->on_prem_dn};

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        free(*all[i]);
        *all[i] = NULL;
    }
}

int entra_user_copy(const struct entra_user *from, struct entra_user *ret, struct err *e)
{
    char **all[] = {&ret->id,  &ret->upn,         &ret->display_name,   &ret->immutable_id,
                    &ret->sid, &ret->on_prem_sam, &ret->on_prem_domain, &ret->on_prem_dn};

    *ret = *from;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        bool had = *all[i] != NULL;

        *all[i] = text_dup(*all[i]);
        if (had && *all[i] == NULL) {
            for (size_t k = i; k < ARRAY_LEN(all); k++)
                *all[k] = NULL;
            entra_user_done(ret);
            return err_set(e, ERR_NOMEM, 0, "user");
        }
    }
    return 0;
}

bool entra_user_is_cloud_only(const struct entra_user *u)
{
    return u->synced != ENTRA_TRUE && u->sid == NULL;
}

/* 8-4-4-4-12 hexadecimal digits: what may go into a path. */
bool entra_id_ok(const char *id)
{
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? id[i] != '-' : strchr("0123456789abcdefABCDEF", id[i]) == NULL || id[i] == '\0')
            return false;
    }
    return id[36] == '\0';
}
