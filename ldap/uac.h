/* ldap/uac.h -- userAccountControl: the bits, their names, and which are not ours to write.
 *
 * Source: MS-ADTS 2.2.16, MS-SAMR 2.2.1.12. The SAM bits of event 4738 are others (disabled =
 * 0x1): see eventlog/.
 */
#ifndef CORDON_LDAP_UAC_H
#define CORDON_LDAP_UAC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

#define AD_UAC_SCRIPT UINT32_C(0x00000001)
#define AD_UAC_ACCOUNTDISABLE UINT32_C(0x00000002)
#define AD_UAC_HOMEDIR_REQUIRED UINT32_C(0x00000008)
#define AD_UAC_LOCKOUT UINT32_C(0x00000010) /* computed */
#define AD_UAC_PASSWD_NOTREQD UINT32_C(0x00000020)
#define AD_UAC_PASSWD_CANT_CHANGE UINT32_C(0x00000040) /* not stored: two deny ACEs, see sd.h */
#define AD_UAC_ENCRYPTED_TEXT_PWD_ALLOWED UINT32_C(0x00000080)
#define AD_UAC_TEMP_DUPLICATE_ACCOUNT UINT32_C(0x00000100)
#define AD_UAC_NORMAL_ACCOUNT UINT32_C(0x00000200)
#define AD_UAC_INTERDOMAIN_TRUST_ACCOUNT UINT32_C(0x00000800)
#define AD_UAC_WORKSTATION_TRUST_ACCOUNT UINT32_C(0x00001000)
#define AD_UAC_SERVER_TRUST_ACCOUNT UINT32_C(0x00002000)
#define AD_UAC_DONT_EXPIRE_PASSWORD UINT32_C(0x00010000)
#define AD_UAC_MNS_LOGON_ACCOUNT UINT32_C(0x00020000)
#define AD_UAC_SMARTCARD_REQUIRED UINT32_C(0x00040000)
#define AD_UAC_TRUSTED_FOR_DELEGATION UINT32_C(0x00080000)
#define AD_UAC_NOT_DELEGATED UINT32_C(0x00100000)
#define AD_UAC_USE_DES_KEY_ONLY UINT32_C(0x00200000)
#define AD_UAC_DONT_REQ_PREAUTH UINT32_C(0x00400000)
#define AD_UAC_PASSWORD_EXPIRED UINT32_C(0x00800000) /* computed */
#define AD_UAC_TRUSTED_TO_AUTH_FOR_DELEGATION UINT32_C(0x01000000)
#define AD_UAC_NO_AUTH_DATA_REQUIRED UINT32_C(0x02000000)
#define AD_UAC_PARTIAL_SECRETS_ACCOUNT UINT32_C(0x04000000)
#define AD_UAC_USE_AES_KEYS UINT32_C(0x08000000)

/* What kind of account it is: must survive every write. */
#define AD_UAC_TYPE_BITS                                                                        \
    (AD_UAC_TEMP_DUPLICATE_ACCOUNT | AD_UAC_NORMAL_ACCOUNT | AD_UAC_INTERDOMAIN_TRUST_ACCOUNT | \
     AD_UAC_WORKSTATION_TRUST_ACCOUNT | AD_UAC_SERVER_TRUST_ACCOUNT)
/* Computed or not stored: never part of a value we send, and no part of a comparison. */
#define AD_UAC_NEVER_WRITE (AD_UAC_LOCKOUT | AD_UAC_PASSWD_CANT_CHANGE | AD_UAC_PASSWORD_EXPIRED)

/* sAMAccountType (MS-SAMR 2.2.1.9) */
#define AD_SAM_TYPE_USER UINT32_C(805306368)
#define AD_SAM_TYPE_MACHINE UINT32_C(805306369)
#define AD_SAM_TYPE_TRUST UINT32_C(805306370)

/* "normal, disabled, password never expires"; unknown bits as "0x40000000". 0: "none". */
void ad_uac_words(struct text *t, uint32_t uac);
/* One bit's word, or NULL. */
const char *ad_uac_word(uint32_t bit);

/* `was` with `set` added and `clear` taken away, without the bits that are never written.
 * False, and nothing given, where that would change what kind of account it is. */
bool ad_uac_change(uint32_t was, uint32_t set, uint32_t clear, uint32_t *ret_to);
/* Do two values say the same, the never-written bits aside? For the read-back. */
bool ad_uac_same(uint32_t a, uint32_t b);

#endif
