/* ldap/sd.c -- see sd.h.
 *
 *   descriptor (MS-DTYP 2.4.6)  u8 revision, u8, u16 control, u32 offsets: owner, group, sacl, dacl
 *   ACL (2.4.5)                 u8 revision, u8, u16 size, u16 count, u16
 *   ACE (2.4.4)                 u8 type, u8 flags, u16 size, u32 mask,
 *                               object types: u32 which, [GUID object], [GUID inherited],
 *                               SID, and for callback types data that we do not read
 */
#include "ldap/sd.h"

#include "ldap/bytes.h"

#define CONTROL_DACL_PRESENT 0x0004
#define CONTROL_DACL_PROTECTED 0x1000
#define CONTROL_SELF_RELATIVE 0x8000

#define HAS_OBJECT 1U
#define HAS_INHERITED 2U

const struct ad_guid ad_guid_class_user =
    AD_GUID_INIT(bf967aba, 0de6, 11d0, a2, 85, 00, aa, 00, 30, 49, e2);
const struct ad_guid ad_guid_class_inetorgperson =
    AD_GUID_INIT(4828cc14, 1437, 45bc, 9b, 07, ad, 6f, 01, 5e, 5f, 28);
const struct ad_guid ad_guid_change_password =
    AD_GUID_INIT(ab721a53, 1e2f, 11d0, 98, 19, 00, aa, 00, 40, 52, 9b);
const struct ad_guid ad_guid_reset_password =
    AD_GUID_INIT(00299570, 246d, 11d0, a7, 68, 00, aa, 00, 6e, 05, 29);
const struct ad_guid ad_guid_get_changes =
    AD_GUID_INIT(1131f6aa, 9c07, 11d1, f7, 9f, 00, c0, 4f, c2, dc, d2);
const struct ad_guid ad_guid_get_changes_all =
    AD_GUID_INIT(1131f6ad, 9c07, 11d1, f7, 9f, 00, c0, 4f, c2, dc, d2);

/* --- reading ---------------------------------------------------------------- */

/* What the type says: allow or deny, with or without the object part. */
static enum ad_ace_kind kind_of(uint8_t type, bool *ret_is_object)
{
    *ret_is_object = type == 5 || type == 6 || type == 11 || type == 12;
    switch (type) {
    case 0:  /* ACCESS_ALLOWED */
    case 5:  /* ACCESS_ALLOWED_OBJECT */
    case 9:  /* ACCESS_ALLOWED_CALLBACK */
    case 11: /* ACCESS_ALLOWED_CALLBACK_OBJECT */
        return AD_ACE_ALLOW;
    case 1:
    case 6:
    case 10:
    case 12:
        return AD_ACE_DENY;
    default:
        return AD_ACE_OTHER;
    }
}

/* One entry at p, n bytes left in the list. Returns its size, or 0 where it is broken. */
static size_t read_ace(const uint8_t *p, size_t n, struct ad_ace *ace)
{
    size_t size, at = 8;
    bool is_object;
    uint32_t which;

    if (n < 4)
        return 0;
    size = bytes_u16(p + 2);
    if (size < 4 || size % 4 != 0 || size > n)
        return 0;
    *ace = (struct ad_ace){.type = p[0], .flags = p[1], .kind = kind_of(p[0], &is_object)};
    if (ace->kind == AD_ACE_OTHER)
        return size;

    if (size < at)
        return 0;
    ace->mask = bytes_u32(p + 4);
    if (is_object) {
        if (size < at + 4)
            return 0;
        which = bytes_u32(p + at);
        at += 4;
        ace->has_object = (which & HAS_OBJECT) != 0;
        ace->has_inherited = (which & HAS_INHERITED) != 0;
        if (ace->has_object) {
            if (size < at + 16)
                return 0;
            (void)ad_guid_from_bytes(p + at, 16, &ace->object);
            at += 16;
        }
        if (ace->has_inherited) {
            if (size < at + 16)
                return 0;
            (void)ad_guid_from_bytes(p + at, 16, &ace->inherited);
            at += 16;
        }
    }
    if (ad_sid_from_prefix(p + at, size - at, &ace->sid) < 0)
        return 0;
    return size;
}

int ad_sd_open(const void *p, size_t n, struct ad_sd *ret_sd, struct err *e)
{
    const uint8_t *b = p;
    struct ad_sd sd = {0};
    struct ad_ace ace;
    uint16_t control;
    size_t at, left, size;

    if (n > AD_SD_MAX_BYTES)
        return err_set(e, ERR_TOOBIG, 0, "security descriptor of %zu bytes", n);
    if (n < 20 || b[0] != 1)
        return err_set(e, ERR_INVALID, 0, "no security descriptor");
    control = bytes_u16(b + 2);
    if ((control & CONTROL_SELF_RELATIVE) == 0)
        return err_set(e, ERR_INVALID, 0, "security descriptor is not self-relative");
    if ((control & CONTROL_DACL_PRESENT) == 0)
        return err_set(e, ERR_INVALID, 0, "security descriptor without its DACL");
    sd.is_protected = (control & CONTROL_DACL_PROTECTED) != 0;

    at = bytes_u32(b + 16);
    if (at == 0) {
        sd.is_null = true;
        *ret_sd = sd;
        return 0;
    }
    if (at < 20 || at > n || n - at < 8)
        return err_set(e, ERR_INVALID, 0, "security descriptor: DACL outside of it");
    size = bytes_u16(b + at + 2);
    /* Revision 2, or 4 where there are object entries. */
    if ((b[at] != 2 && b[at] != 4) || size < 8 || size > n - at)
        return err_set(e, ERR_INVALID, 0, "security descriptor: broken DACL");
    sd.at = b + at + 8;
    sd.left = size - 8;
    sd.count = bytes_u16(b + at + 4);

    /* Every entry is walked once here, so that ad_sd_next cannot fail. Room behind the last
     * entry is allowed by the format. */
    left = sd.left;
    for (unsigned i = 0; i < sd.count; i++) {
        size = read_ace(sd.at + (sd.left - left), left, &ace);
        if (size == 0)
            return err_set(e, ERR_INVALID, 0, "security descriptor: broken entry %u", i);
        left -= size;
    }
    *ret_sd = sd;
    return 0;
}

bool ad_sd_next(struct ad_sd *sd, struct ad_ace *ret_ace)
{
    size_t size;

    if (sd->count == 0)
        return false;
    size = read_ace(sd->at, sd->left, ret_ace);
    if (size == 0)
        return false; /* never: ad_sd_open has read it */
    sd->at += size;
    sd->left -= size;
    sd->count--;
    return true;
}

/* --- judging ---------------------------------------------------------------- */

/* Does the entry's mask and object part cover this extended right (MS-ADTS 5.1.3.3.4)? */
static bool covers(const struct ad_ace *ace, const struct ad_guid *right)
{
    if ((ace->mask & (AD_MASK_CONTROL_ACCESS | AD_MASK_GENERIC_ALL)) == 0)
        return false;
    return !ace->has_object || ad_guid_eq(&ace->object, right);
}

int ad_sd_cannot_change_password(const void *p, size_t n, bool *ret_cannot, struct err *e)
{
    struct ad_sd sd;
    struct ad_ace ace;
    bool cannot = false;

    if (ad_sd_open(p, n, &sd, e) < 0)
        return err_wrap(e, "who may change the password");
    while (ad_sd_next(&sd, &ace)) {
        if (ace.kind == AD_ACE_DENY && (ace.flags & AD_ACE_FLAG_INHERIT_ONLY) == 0 &&
            covers(&ace, &ad_guid_change_password) &&
            (ad_sid_is_everyone(&ace.sid) || ad_sid_is_self(&ace.sid)))
            cannot = true;
    }
    *ret_cannot = cannot;
    return 0;
}

int ad_sd_replicators(const void *p, size_t n, ad_sd_sid_cb cb, void *arg, struct err *e)
{
    static const uint32_t zero[] = {0};
    struct ad_sd sd;
    struct ad_ace ace;
    bool more = true;

    if (ad_sd_open(p, n, &sd, e) < 0)
        return err_wrap(e, "who may replicate secrets");
    if (sd.is_null) {
        struct ad_sid everyone = ad_sid_make(1, zero, 1);

        more = cb(arg, &everyone);
    }
    while (more && ad_sd_next(&sd, &ace)) {
        if (ace.kind == AD_ACE_ALLOW && (ace.flags & AD_ACE_FLAG_INHERIT_ONLY) == 0 &&
            (covers(&ace, &ad_guid_get_changes) || covers(&ace, &ad_guid_get_changes_all)))
            more = cb(arg, &ace.sid);
    }
    if (!more)
        return err_set(e, ERR_TOOBIG, 0, "who may replicate secrets: too many to remember");
    return 0;
}

/* Does the entry speak about an object of that class: this one, or one that will inherit it? */
static bool applies(const struct ad_ace *ace, const struct ad_guid *object_class, bool children)
{
    if (children && (ace->flags & AD_ACE_FLAG_CONTAINER_INHERIT) == 0)
        return false;
    if (!children && (ace->flags & AD_ACE_FLAG_INHERIT_ONLY) != 0)
        return false;
    return !ace->has_inherited || ad_guid_eq(&ace->inherited, object_class);
}

int ad_sd_reset_right(const void *p, size_t n, const struct ad_sid *sids, size_t count,
                      const struct ad_guid *object_class, bool children, enum ad_right *ret_right,
                      struct ad_sid *ret_by, struct err *e)
{
    struct ad_sd sd;
    struct ad_ace ace;
    struct ad_sid by = {0};
    enum ad_right right;

    if (ad_sd_open(p, n, &sd, e) < 0)
        return err_wrap(e, "who may reset the password");
    right = sd.is_null && !children ? AD_RIGHT_YES : AD_RIGHT_NONE;
    while (right == AD_RIGHT_NONE && ad_sd_next(&sd, &ace)) {
        bool mine = false;

        if (ace.kind == AD_ACE_OTHER || !applies(&ace, object_class, children) ||
            !covers(&ace, &ad_guid_reset_password))
            continue;
        for (size_t i = 0; i < count && !mine; i++)
            mine = ad_sid_eq(&sids[i], &ace.sid);
        if (mine) {
            right = ace.kind == AD_ACE_ALLOW ? AD_RIGHT_YES : AD_RIGHT_DENIED;
            by = ace.sid;
        }
    }
    *ret_right = right;
    if (ret_by != NULL)
        *ret_by = by;
    return 0;
}
