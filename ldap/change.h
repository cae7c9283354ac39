/* ldap/change.h -- the changes that cordon makes to an account, each one atomic modify.
 *
 * userAccountControl only by compare-and-swap: delete the value that was read, add the new one
 * (MS-ADTS 3.1.1.5.3: deleting a value that is not there fails with noSuchAttribute), or, where a
 * DC refuses that form for another reason, by replace. Never bits 0x10, 0x40, 0x800000.
 */
#ifndef CORDON_LDAP_CHANGE_H
#define CORDON_LDAP_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "ldap/conn.h"
#include "ldap/sid.h"

enum ad_pwd_edit { AD_PWD_KEEP, AD_PWD_EXPIRE, AD_PWD_NOW }; /* pwdLastSet: as it is, 0, -1 */

struct ad_edits {
    bool uac; /* userAccountControl is written: */
    uint32_t uac_old, uac_new;
    enum ad_pwd_edit pwd;
    bool replace_form; /* userAccountControl by replace: the caller reads back and compares */
};

/* One modify of <GUID=...>. cb: see conn.h; ERR_CONFLICT: the value is another by now. */
int ad_change_start(struct ad_conn *c, const struct ad_guid *guid, const struct ad_edits *edits,
                    ad_modify_cb cb, void *arg, struct ad_op **ret_op, struct err *e);

/* Administrative reset: unicodePwd, one replace, the password in quotes as UTF-16LE (MS-ADTS
 * 3.1.1.3.1.5). ASCII passwords only. The secret is borrowed for the call and copied nowhere that
 * is not wiped. Refused (ERR_AUTH) on a connection with less than 128 bits. */
int ad_reset_start(struct ad_conn *c, const struct ad_guid *guid, struct secret *password,
                   ad_modify_cb cb, void *arg, struct ad_op **ret_op, struct err *e);

/* Ask the DC to pull the object from the DC with that NTDS settings DN now: rootDSE
 * replicateSingleObject (MS-ADTS 3.1.1.3.3.18). ERR_UNSUPPORTED / ERR_REFUSED / ERR_DENIED: not
 * offered or not allowed (Samba has no such operation). */
int ad_push_start(struct ad_conn *c, const char *source_ntds_dn, const char *object_dn,
                  ad_modify_cb cb, void *arg, struct ad_op **ret_op, struct err *e);

#endif
