/* ldap/sd.h -- security descriptors: who may, who may not (MS-DTYP 2.4.4 - 2.4.6).
 *
 * Input is the value of nTSecurityDescriptor: self-relative, little-endian, and not trusted.
 * ad_sd_open checks the whole DACL, every length in it, before anything is answered; all later
 * calls only walk what was checked. "No" is never said of a descriptor that could not be read:
 * that is an error (ERR_INVALID), and so is one without a DACL in it, since then we were not
 * shown it (a DC leaves out what it may not show).
 *
 * Of the entries only those count that speak about the object itself: an inherit-only entry
 * (flag 0x08) does not. Conditional entries (types 9 to 12) are read as if their condition held.
 */
#ifndef CORDON_LDAP_SD_H
#define CORDON_LDAP_SD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ldap/sid.h"

#define AD_SD_MAX_BYTES (256 * 1024) /* an ACL's size is a u16: four parts of 64 KiB at most */

enum ad_ace_kind {
    AD_ACE_ALLOW,
    AD_ACE_DENY,
    AD_ACE_OTHER, /* neither: skipped by every judgement here; it has no sid */
};

#define AD_ACE_FLAG_CONTAINER_INHERIT 0x02
#define AD_ACE_FLAG_NO_PROPAGATE 0x04
#define AD_ACE_FLAG_INHERIT_ONLY 0x08
#define AD_ACE_FLAG_INHERITED 0x10

#define AD_MASK_CONTROL_ACCESS UINT32_C(0x00000100)
#define AD_MASK_GENERIC_ALL UINT32_C(0x10000000)

struct ad_ace {
    enum ad_ace_kind kind;
    uint8_t type;
    uint8_t flags;
    uint32_t mask;
    bool has_object;    /* object: what the mask is about; absent: everything */
    bool has_inherited; /* inherited: the class of object that inherits it; absent: every */
    struct ad_guid object;
    struct ad_guid inherited;
    struct ad_sid sid;
};

/* The DACL of one descriptor; borrows the bytes it was opened on. */
struct ad_sd {
    const uint8_t *at;
    size_t left;
    unsigned count;
    bool is_protected; /* inheritance is off, as AdminSDHolder leaves it */
    bool is_null;      /* a DACL that is present but NULL: everyone may do everything */
};

/* 0, or ERR_INVALID / ERR_TOOBIG. */
int ad_sd_open(const void *p, size_t n, struct ad_sd *ret_sd, struct err *e);
/* The next entry, in the order of the list; false at the end. */
bool ad_sd_next(struct ad_sd *sd, struct ad_ace *ret_ace);

/* "User cannot change password": a deny of User-Change-Password (or of all extended rights) for
 * S-1-1-0 or for S-1-5-10. Windows' own tool sets both; we take ONE as enough, since which of
 * them a DC looks at depends on the way the change is made, and the price of a wrong "can" is
 * a user who is locked out. A deny for other SIDs is not looked at. */
int ad_sd_cannot_change_password(const void *p, size_t n, bool *ret_cannot, struct err *e);

/* Yields each SID (one call per entry; a SID may come twice) that an entry allows Get-Changes
 * or Get-Changes-All on this object, the domain head: by name, by "all extended rights", or by
 * GENERIC_ALL. Denies are not subtracted: this list makes us more careful, never less. A NULL
 * DACL yields S-1-1-0. The callback returns true to go on; false (no room) ends it with
 * ERR_TOOBIG. */
typedef bool (*ad_sd_sid_cb)(void *arg, const struct ad_sid *sid);
int ad_sd_replicators(const void *p, size_t n, ad_sd_sid_cb cb, void *arg, struct err *e);

enum ad_right {
    AD_RIGHT_NONE,   /* no entry speaks of it: not allowed */
    AD_RIGHT_DENIED, /* the first entry that speaks of it denies it */
    AD_RIGHT_YES,
};

/* May one of these SIDs (an account and all its groups) reset the password of an object of this
 * class (User-Force-Change-Password)? The first entry that speaks of it decides, as in the access
 * check (MS-ADTS 5.1.3.3.4). `children` false: of this very object. true: the descriptor is an
 * OU's, and the question is about objects of that class that inherit from it.
 * ret_by (may be NULL): the SID of the entry that decided. */
int ad_sd_reset_right(const void *p, size_t n, const struct ad_sid *sids, size_t count,
                      const struct ad_guid *object_class, bool children, enum ad_right *ret_right,
                      struct ad_sid *ret_by, struct err *e);

extern const struct ad_guid ad_guid_class_user;          /* bf967aba-... */
extern const struct ad_guid ad_guid_class_inetorgperson; /* 4828cc14-... */
extern const struct ad_guid ad_guid_change_password;     /* User-Change-Password */
extern const struct ad_guid ad_guid_reset_password;      /* User-Force-Change-Password */
extern const struct ad_guid ad_guid_get_changes;         /* DS-Replication-Get-Changes */
extern const struct ad_guid ad_guid_get_changes_all;     /* DS-Replication-Get-Changes-All */

#endif
