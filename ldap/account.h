/* ldap/account.h -- one account as one DC shows it: read everything that decides.
 *
 * A read is a base search of <GUID=...>, so that a rename or move in between
 * changes nothing; tokenGroups is only served that way (MS-ADTS 3.1.1.4.5.19).
 */
#ifndef CORDON_LDAP_ACCOUNT_H
#define CORDON_LDAP_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ldap/conn.h"
#include "ldap/find.h"
#include "ldap/meta.h"
#include "ldap/protect.h"
#include "ldap/sid.h"

struct ad_account {
    struct ad_subject subject; /* what the guard judges: SIDs, groups, flags */
    char *dn, *sam, *upn, *mail, *display_name;
    struct ad_guid guid;
    uint32_t uac;          /* as stored */
    uint32_t uac_computed; /* msDS-User-Account-Control-Computed: 0x10 locked, 0x800000 expired */
    bool has_computed;
    int64_t pwd_last_set; /* FILETIME; 0: must change */
    bool has_pwd_last_set;
    int64_t pwd_expires; /* msDS-UserPasswordExpiryTimeComputed; 0, INT64_MAX: never */
    bool has_pwd_expires;
    int64_t lockout_time, last_logon, account_expires;
    bool has_lockout_time, has_last_logon, has_account_expires;
    struct ad_stamp uac_stamp, pwd_stamp, unicode_stamp; /* replPropertyMetaData */
    bool has_uac_stamp, has_pwd_stamp, has_unicode_stamp;
    bool dacl_read; /* the next is known */
    bool cannot_change_password;
    char **member_of; /* direct groups, DNs (NULL where not read) */
    size_t member_of_count;
    char **spns;
    size_t spn_count;
    size_t key_credentials; /* msDS-KeyCredentialLink */
    size_t delegates_to;    /* msDS-AllowedToDelegateTo */
    bool acts_on_behalf;    /* msDS-AllowedToActOnBehalfOfOtherIdentity is set */
    int64_t when_created_ms;
};

void ad_account_free(struct ad_account *a);
void ad_account_freep(struct ad_account **a);

/* --- read ----------------------------------------------------------------------- */
enum {
    AD_READ_JUDGE = 0, /* what guard, change and proof need */
    AD_READ_DACL = 1,  /* also who may change the password (cannot_change_password) */
    AD_READ_SHOW = 2,  /* also what a person wants to know */
    AD_READ_PROVE = 4, /* only what a read-back needs: no groups */
};
/* `a` is the callee's to keep: ad_account_free. ERR_INVALID: an entry that is not what it must be
 * (no objectSid, two values where one belongs, another object than asked for). */
typedef void (*ad_read_cb)(void *arg, struct ad_account *a, const struct err *e);
int ad_read_start(struct ad_conn *c, const struct ad_guid *guid, int what, ad_read_cb cb, void *arg,
                  struct ad_op **ret_op, struct err *e);
extern const char *const ad_prove_attrs[]; /* what AD_READ_PROVE asks for; NULL-terminated */
/* Decode one entry. `want` NULL: any object. */
int ad_account_decode(const struct ad_entry *en, const struct ad_guid *want, int what,
                      struct ad_account **ret_account, struct err *e);

/* --- why is it in that group? ----------------------------------------------------- */
/* Words for the way from the account to the group: "member of Domain Admins through
 * HelpDesk-Leads, Tier0-Ops", "primary group Domain Admins". Walks memberOf upwards, bounded (8
 * levels, 200 groups). Always calls back, at worst with the group's SID alone. */
typedef void (*ad_explain_cb)(void *arg, const char *words);
int ad_explain_start(struct ad_conn *c, const struct ad_account *a, const struct ad_sid *group,
                     const char *domain_dn, ad_explain_cb cb, void *arg, struct err *e);

#endif
