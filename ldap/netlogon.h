/* ldap/netlogon.h -- the answer to an LDAP ping: what a DC says of itself.
 *
 * The `netlogon` attribute of the rootDSE is a NETLOGON_SAM_LOGON_RESPONSE_EX (MS-ADTS
 * 6.3.1.9): u16 opcode, u16 0, u32 flags, domain GUID, then eight or more names in DNS
 * compression (RFC 1035 4.1.4), and at the very end u32 NtVer, u16 0xFFFF, u16 0xFFFF. It comes
 * before any authentication: a hint where to go, never a reason to trust.
 */
#ifndef CORDON_LDAP_NETLOGON_H
#define CORDON_LDAP_NETLOGON_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "ldap/sid.h"

/* MS-ADTS 6.3.1.2 */
#define AD_NETLOGON_PDC UINT32_C(0x00000001)
#define AD_NETLOGON_GC UINT32_C(0x00000004)
#define AD_NETLOGON_LDAP UINT32_C(0x00000008)
#define AD_NETLOGON_DS UINT32_C(0x00000010)
#define AD_NETLOGON_KDC UINT32_C(0x00000020)
#define AD_NETLOGON_TIMESERV UINT32_C(0x00000040)
#define AD_NETLOGON_CLOSEST UINT32_C(0x00000080)
#define AD_NETLOGON_WRITABLE UINT32_C(0x00000100)
#define AD_NETLOGON_GOOD_TIMESERV UINT32_C(0x00000200)
#define AD_NETLOGON_NDNC UINT32_C(0x00000400)
#define AD_NETLOGON_RODC UINT32_C(0x00000800) /* DS_SELECT_SECRET_DOMAIN_6 */
#define AD_NETLOGON_FULL_SECRETS                                     \
    UINT32_C(0x00001000) /* DS_FULL_SECRET_DOMAIN_6: writable, 2008+ \
                          */
#define AD_NETLOGON_WEB_SERVICE UINT32_C(0x00002000)

/* NtVer, as asked and as answered: 5 and 5EX, with the next closest site. */
#define AD_NETLOGON_NTVER_ASKED UINT32_C(0x00000016)

#define AD_NETLOGON_NAME 256 /* bytes of one name, with the NUL */

struct ad_netlogon {
    uint32_t flags; /* AD_NETLOGON_* */
    uint32_t nt_version;
    struct ad_guid domain_guid;
    char forest[AD_NETLOGON_NAME];
    char domain[AD_NETLOGON_NAME];
    char host[AD_NETLOGON_NAME]; /* the DC's DNS name, without a dot at the end */
    char netbios_domain[AD_NETLOGON_NAME];
    char netbios_host[AD_NETLOGON_NAME];
    char user[AD_NETLOGON_NAME];
    char dc_site[AD_NETLOGON_NAME];
    char client_site[AD_NETLOGON_NAME]; /* "" where our address is in no site */
    char next_site[AD_NETLOGON_NAME];   /* "" unless the answer holds it */
};

/* 0; ERR_BUSY where the DC says that it is paused; ERR_INVALID for anything that is no such
 * answer. Names are whole UTF-8 without hidden characters, without dots inside a label. */
int ad_netlogon_parse(const void *p, size_t n, struct ad_netlogon *ret, struct err *e);

/* "pdc, gc, writable": for doctor. */
void ad_netlogon_words(struct text *t, uint32_t flags);

#endif
