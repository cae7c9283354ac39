/* ldap/sid.h -- security identifiers and GUIDs: bytes, text, comparison.
 *
 * SID, binary (MS-DTYP 2.4.2.2): u8 revision 1, u8 count of parts, u48 big-endian authority,
 * count x u32 little-endian parts. At least one part (there is no account or group without
 * one), at most 15. A struct ad_sid made by these functions is always whole; all zero (n == 0)
 * means "none", and none equals nothing, not even another none.
 * GUID (MS-DTYP 2.3.4): 16 bytes as the directory stores them; the text form prints the first
 * three fields byte-swapped. Pure functions, no allocation.
 */
#ifndef CORDON_LDAP_SID_H
#define CORDON_LDAP_SID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AD_SID_PARTS 15
#define AD_SID_BYTES 68 /* 8 + 4 x 15 */
#define AD_SID_TEXT 192 /* "S-1-" + authority (15) + 15 x "-4294967295" + NUL = 185 */
#define AD_SID_DN (AD_SID_TEXT + 8)

struct ad_sid {
    uint8_t n; /* bytes in use; 0: none */
    uint8_t b[AD_SID_BYTES];
};

/* The *_from_* functions return 0, or -1 and leave *ret untouched. */

/* Exactly one SID and nothing after it. */
int ad_sid_from_bytes(const void *p, size_t n, struct ad_sid *ret);
/* The SID at the start of p, followed by anything: for access control entries. */
int ad_sid_from_prefix(const void *p, size_t n, struct ad_sid *ret);
/* "S-1-5-21-..." (MS-DTYP 2.4.2.1): decimal parts without leading zeros or signs; an authority
 * of 2^32 and more is 0x and twelve hex digits. A small "s" is taken as well. */
int ad_sid_from_text(const char *s, size_t n, struct ad_sid *ret);
/* From numbers: our own constants. count 1..15, else it is our bug (assert). */
struct ad_sid ad_sid_make(uint64_t authority, const uint32_t *parts, size_t count);
/* The SID of `rid` in the domain S-1-5-21-a-b-c; none where `domain` has no room for a part. */
struct ad_sid ad_sid_in(const struct ad_sid *domain, uint32_t rid);

/* These return buf. None: "". */
const char *ad_sid_to_text(const struct ad_sid *sid, char buf[AD_SID_TEXT]);
const char *ad_sid_to_dn(const struct ad_sid *sid, char buf[AD_SID_DN]); /* "<SID=S-1-...>" */

bool ad_sid_eq(const struct ad_sid *a, const struct ad_sid *b);
unsigned ad_sid_parts(const struct ad_sid *sid);            /* 0 for none */
uint32_t ad_sid_part(const struct ad_sid *sid, unsigned i); /* 0 past the end */
uint64_t ad_sid_authority(const struct ad_sid *sid);        /* 0 for none */
uint32_t ad_sid_rid(const struct ad_sid *sid);              /* the last part; 0 for none */
/* Both without their last part: the same issuer (S-1-5-21-a-b-c, or S-1-5-32). */
bool ad_sid_domain_eq(const struct ad_sid *a, const struct ad_sid *b);
/* `sid` is `domain` plus exactly one part. */
bool ad_sid_in_domain(const struct ad_sid *sid, const struct ad_sid *domain);

bool ad_sid_is_account(const struct ad_sid *sid);  /* S-1-5-21-a-b-c-rid: of some domain */
bool ad_sid_is_domain(const struct ad_sid *sid);   /* S-1-5-21-a-b-c */
bool ad_sid_is_builtin(const struct ad_sid *sid);  /* S-1-5-32-rid */
bool ad_sid_is_everyone(const struct ad_sid *sid); /* S-1-1-0 */
bool ad_sid_is_self(const struct ad_sid *sid);     /* S-1-5-10, the object's own account */

/* --- GUID ------------------------------------------------------------------------ */
#define AD_GUID_TEXT 37   /* 8-4-4-4-12 and the NUL */
#define AD_GUID_DN 44     /* "<GUID=" text ">" and the NUL */
#define AD_GUID_BASE64 25 /* 24 characters and the NUL */

struct ad_guid {
    uint8_t b[16];
};

int ad_guid_from_bytes(const void *p, size_t n, struct ad_guid *ret); /* n must be 16 */
/* Dashed, hex digits of either case, with or without braces around it. */
int ad_guid_from_text(const char *s, size_t n, struct ad_guid *ret);
/* Entra's immutableId: exactly 24 characters of the standard alphabet that end in "==",
 * in the one canonical form. */
int ad_guid_from_base64(const char *s, size_t n, struct ad_guid *ret);

/* These return buf. */
const char *ad_guid_to_text(const struct ad_guid *g, char buf[AD_GUID_TEXT]); /* lower case */
const char *ad_guid_to_dn(const struct ad_guid *g, char buf[AD_GUID_DN]);     /* "<GUID=...>" */
const char *ad_guid_to_base64(const struct ad_guid *g, char buf[AD_GUID_BASE64]);
bool ad_guid_eq(const struct ad_guid *a, const struct ad_guid *b);
bool ad_guid_is_zero(const struct ad_guid *g);

/* An initializer for a GUID constant, from the fields as Microsoft prints them, without 0x. */
#define AD_GUID_INIT(a, b, c, d0, d1, d2, d3, d4, d5, d6, d7)                                   \
    {                                                                                           \
        {                                                                                       \
            AD_GUID_BYTE(a, 0), AD_GUID_BYTE(a, 8), AD_GUID_BYTE(a, 16), AD_GUID_BYTE(a, 24),   \
                AD_GUID_BYTE(b, 0), AD_GUID_BYTE(b, 8), AD_GUID_BYTE(c, 0), AD_GUID_BYTE(c, 8), \
                0x##d0, 0x##d1, 0x##d2, 0x##d3, 0x##d4, 0x##d5, 0x##d6, 0x##d7                  \
        }                                                                                       \
    }
#define AD_GUID_BYTE(field, shift) (uint8_t)((0x##field) >> (shift)&0xff)

#endif
