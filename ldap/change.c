/* ldap/change.c -- see change.h. */
#include "ldap/change.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ldap/uac.h"

#define GUID_DN 64

static void guid_dn(char buf[GUID_DN], const struct ad_guid *guid)
{
    char text[AD_GUID_TEXT];

    (void)snprintf(buf, GUID_DN, "<GUID=%s>", ad_guid_to_text(guid, text));
}

int ad_change_start(struct ad_conn *c, const struct ad_guid *guid, const struct ad_edits *edits,
                    ad_modify_cb cb, void *arg, struct ad_op **ret_op, struct err *e)
{
    char dn[GUID_DN], old_text[16], new_text[16];
    struct ad_mod mods[3];
    size_t n = 0;

    guid_dn(dn, guid);
    if (edits->uac) {
        /* Bits that the directory computes must never be sent (they unlock, or do nothing). */
        if ((edits->uac_new & AD_UAC_NEVER_WRITE) != 0)
            return err_set(e, ERR_INTERNAL, 0,
                           "a computed bit of userAccountControl would be written");
        /* The stored value is a signed 32-bit integer on the wire (2.4.2.1.12.1 of MS-ADA3). */
        (void)snprintf(old_text, sizeof(old_text), "%d", (int32_t)edits->uac_old);
        (void)snprintf(new_text, sizeof(new_text), "%d", (int32_t)edits->uac_new);
        if (edits->replace_form) {
            mods[n++] =
                (struct ad_mod){AD_MOD_REPLACE, "userAccountControl", {new_text, strlen(new_text)}};
        } else {
            mods[n++] =
                (struct ad_mod){AD_MOD_DELETE, "userAccountControl", {old_text, strlen(old_text)}};
            mods[n++] =
                (struct ad_mod){AD_MOD_ADD, "userAccountControl", {new_text, strlen(new_text)}};
        }
    }
    if (edits->pwd != AD_PWD_KEEP)
        mods[n++] = (struct ad_mod){
            AD_MOD_REPLACE,
            "pwdLastSet",
            {edits->pwd == AD_PWD_EXPIRE ? "0" : "-1", edits->pwd == AD_PWD_EXPIRE ? 1U : 2U}};
    if (n == 0)
        return err_set(e, ERR_INTERNAL, 0, "a change that changes nothing");
    return ad_modify_start(c, dn, mods, n, cb, arg, ret_op, e);
}

int ad_reset_start(struct ad_conn *c, const struct ad_guid *guid, struct secret *password,
                   ad_modify_cb cb, void *arg, struct ad_op **ret_op, struct err *e)
{
    size_t len = secret_len(password);
    struct secret *wire = NULL;
    char dn[GUID_DN];
    int rc;

    if (ad_conn_ssf(c) < 128 && !ad_conn_tls(c))
        return err_set(e, ERR_AUTH, (int)ad_conn_ssf(c), "%s: a password needs a sealed connection",
                       ad_conn_host(c));
    if (secret_new(2 * (len + 2), &wire, e) < 0)
        return -1;
    uint8_t *w = secret_bytes(wire);

    w[0] = '"';
    for (size_t i = 0; i < len; i++)
        w[2 * (i + 1)] = secret_bytes(password)[i];
    w[2 * (len + 1)] = '"';
    guid_dn(dn, guid);
    rc = ad_modify_start(
        c, dn, &(struct ad_mod){AD_MOD_REPLACE, "unicodePwd", {(const char *)w, secret_len(wire)}},
        1, cb, arg, ret_op, e);
    secret_free(wire);
    return rc;
}

int ad_push_start(struct ad_conn *c, const char *source_ntds_dn, const char *object_dn,
                  ad_modify_cb cb, void *arg, struct ad_op **ret_op, struct err *e)
{
    struct text value = TEXT_INIT(4096);
    int rc;

    text_addf(&value, "%s:%s", source_ntds_dn, object_dn);
    rc = text_check(&value, "replicateSingleObject", e);
    if (rc == 0)
        rc = ad_modify_start(
            c, "", &(struct ad_mod){AD_MOD_ADD, "replicateSingleObject", {value.s, value.len}}, 1,
            cb, arg, ret_op, e);
    text_done(&value);
    return rc;
}
