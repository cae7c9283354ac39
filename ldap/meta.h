/* ldap/meta.h -- which version of an attribute a DC has: the proof of convergence.
 *
 * A change is everywhere when every writable DC shows the same triple (version, originating
 * invocation id, originating USN) for the attribute; an equal value proves less. Two sources:
 * replPropertyMetaData, a blob, on all DCs, and msDS-ReplAttributeMetaData, XML, on Windows only.
 * Blob, little-endian (MS-DRSR 5.164): u32 version 1, u32 0, u32 count, u32 0, then count x 48
 * bytes: u32 attid, u32 version, i64 seconds since 1601, 16 bytes invocation id, u64 originating
 * USN, u64 local USN.
 */
#ifndef CORDON_LDAP_META_H
#define CORDON_LDAP_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ldap/sid.h"

/* Attribute ids of the base schema: 1.2.840.113556.1.4.n is 0x90000 + n. Those of schema
 * extensions differ from DC to DC and have no place here. */
#define AD_ATTID_NAME UINT32_C(0x00090001)
#define AD_ATTID_UAC UINT32_C(0x00090008)
#define AD_ATTID_DBCS_PWD UINT32_C(0x00090037)
#define AD_ATTID_UNICODE_PWD UINT32_C(0x0009005A)
#define AD_ATTID_NT_PWD_HISTORY UINT32_C(0x0009005E)
#define AD_ATTID_PWD_LAST_SET UINT32_C(0x00090060)
#define AD_ATTID_PRIMARY_GROUP UINT32_C(0x00090062)
#define AD_ATTID_SUPPLEMENTAL_CREDENTIALS UINT32_C(0x0009007D)
#define AD_ATTID_ADMIN_COUNT UINT32_C(0x00090096)
#define AD_ATTID_ACCOUNT_EXPIRES UINT32_C(0x0009009F)
#define AD_ATTID_LM_PWD_HISTORY UINT32_C(0x000900A0)
#define AD_ATTID_SAM_ACCOUNT_NAME UINT32_C(0x000900DD)
#define AD_ATTID_UPN UINT32_C(0x00090290)
#define AD_ATTID_LOCKOUT_TIME UINT32_C(0x00090296)
#define AD_ATTID_SPN UINT32_C(0x00090303)
#define AD_ATTID_IS_DELETED UINT32_C(0x00020030)
#define AD_ATTID_SECURITY_DESCRIPTOR UINT32_C(0x00020119)

#define AD_META_MAX_ATTRS 4096 /* the base schema has some 1,500 in all */

struct ad_stamp {
    uint32_t version;
    struct ad_guid invocation; /* of the DC where the change was made */
    uint64_t originating_usn;  /* there */
    int64_t time_ms;           /* there, whole seconds; since 1970 */
    uint64_t local_usn;        /* at the DC that was asked */
};

/* The stamp of one attribute. The whole blob is checked first, so a broken one is always
 * ERR_INVALID (or ERR_TOOBIG), never "not there". ret_there false: the attribute was never
 * written on this object; *ret is untouched then. */
int ad_meta_find(const void *blob, size_t n, uint32_t attid, bool *ret_there, struct ad_stamp *ret,
                 struct err *e);

/* One value of msDS-ReplAttributeMetaData. Gives the attribute's name too. */
#define AD_META_NAME 128
int ad_meta_from_xml(const char *s, size_t n, char ret_name[AD_META_NAME], struct ad_stamp *ret,
                     struct err *e);

/* The same change? Version, invocation and originating USN; times and local USN say nothing. */
bool ad_stamp_eq(const struct ad_stamp *a, const struct ad_stamp *b);

#endif
