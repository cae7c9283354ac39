/* ldap/sid.c -- see sid.h. */
#include "ldap/sid.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "ldap/bytes.h"

/* --- SID: in ---------------------------------------------------------------- */

int ad_sid_from_prefix(const void *p, size_t n, struct ad_sid *ret)
{
    const uint8_t *b = p;
    size_t len;

    if (n < 8 || b[0] != 1 || b[1] == 0 || b[1] > AD_SID_PARTS)
        return -1;
    len = 8 + 4 * (size_t)b[1];
    if (n < len)
        return -1;
    /* All of it: no byte of an earlier SID stays behind the new one. */
    *ret = (struct ad_sid){.n = (uint8_t)len};
    memcpy(ret->b, b, len);
    return 0;
}

int ad_sid_from_bytes(const void *p, size_t n, struct ad_sid *ret)
{
    struct ad_sid sid;

    if (ad_sid_from_prefix(p, n, &sid) < 0 || sid.n != n)
        return -1;
    *ret = sid;
    return 0;
}

struct ad_sid ad_sid_make(uint64_t authority, const uint32_t *parts, size_t count)
{
    struct ad_sid sid = {0};

    assert(count >= 1 && count <= AD_SID_PARTS && authority >> 48 == 0);
    sid.n = (uint8_t)(8 + 4 * count);
    sid.b[0] = 1;
    sid.b[1] = (uint8_t)count;
    for (unsigned i = 0; i < 6; i++)
        sid.b[2 + i] = (uint8_t)(authority >> (40 - 8 * i));
    for (size_t i = 0; i < count; i++) {
        for (unsigned k = 0; k < 4; k++)
            sid.b[8 + 4 * i + k] = (uint8_t)(parts[i] >> (8 * k));
    }
    return sid;
}

/* The number between *s and the next '-' or the end: decimal, no leading zero. */
static int decimal(const char **s, const char *end, uint64_t max, uint64_t *ret)
{
    const char *start = *s;
    uint64_t v = 0;

    for (; *s < end && **s != '-'; (*s)++) {
        if (**s < '0' || **s > '9' || (*s > start && *start == '0'))
            return -1;
        v = v * 10 + (uint64_t)(**s - '0'); /* no overflow: v <= max < 2^32 before */
        if (v > max)
            return -1;
    }
    if (*s == start)
        return -1;
    *ret = v;
    return 0;
}

int ad_sid_from_text(const char *s, size_t n, struct ad_sid *ret)
{
    const char *end = s + n;
    uint32_t parts[AD_SID_PARTS];
    uint64_t authority, v;
    uint8_t hex[6];
    char digits[13];
    size_t count = 0;

    if (n < 4 || (s[0] != 'S' && s[0] != 's') || memcmp(s + 1, "-1-", 3) != 0)
        return -1;
    s += 4;

    /* An authority below 2^32 is decimal, one from there on hex: each SID has one text. */
    if (end - s >= 14 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        memcpy(digits, s + 2, 12);
        digits[12] = '\0';
        if (!id_unhex(hex, sizeof(hex), digits))
            return -1;
        authority = 0;
        for (unsigned i = 0; i < 6; i++)
            authority = authority << 8 | hex[i];
        if (authority <= UINT32_MAX)
            return -1;
        s += 14;
    } else if (decimal(&s, end, UINT32_MAX, &authority) < 0) {
        return -1;
    }

    while (s < end) {
        if (*s++ != '-' || count == AD_SID_PARTS || decimal(&s, end, UINT32_MAX, &v) < 0)
            return -1;
        parts[count++] = (uint32_t)v;
    }
    if (count == 0)
        return -1;
    *ret = ad_sid_make(authority, parts, count);
    return 0;
}

struct ad_sid ad_sid_in(const struct ad_sid *domain, uint32_t rid)
{
    uint32_t parts[AD_SID_PARTS];
    unsigned count = ad_sid_parts(domain);

    if (count == 0 || count == AD_SID_PARTS)
        return (struct ad_sid){0};
    for (unsigned i = 0; i < count; i++)
        parts[i] = ad_sid_part(domain, i);
    parts[count] = rid;
    return ad_sid_make(ad_sid_authority(domain), parts, count + 1);
}

/* --- SID: out --------------------------------------------------------------- */

const char *ad_sid_to_text(const struct ad_sid *sid, char buf[AD_SID_TEXT])
{
    uint64_t authority = ad_sid_authority(sid);
    int at;

    buf[0] = '\0';
    if (sid->n == 0)
        return buf;
    at = snprintf(buf, AD_SID_TEXT, authority > UINT32_MAX ? "S-1-0x%012llx" : "S-1-%llu",
                  (unsigned long long)authority);
    for (unsigned i = 0; i < ad_sid_parts(sid); i++)
        at += snprintf(buf + at, AD_SID_TEXT - (size_t)at, "-%u", ad_sid_part(sid, i));
    assert(at > 0 && at < AD_SID_TEXT); /* the longest text fits by construction */
    return buf;
}

const char *ad_sid_to_dn(const struct ad_sid *sid, char buf[AD_SID_DN])
{
    char text[AD_SID_TEXT];

    buf[0] = '\0';
    if (sid->n != 0)
        (void)snprintf(buf, AD_SID_DN, "<SID=%s>", ad_sid_to_text(sid, text));
    return buf;
}

/* --- SID: questions --------------------------------------------------------- */

unsigned ad_sid_parts(const struct ad_sid *sid)
{
    return sid->n == 0 ? 0 : sid->b[1];
}

uint32_t ad_sid_part(const struct ad_sid *sid, unsigned i)
{
    return i < ad_sid_parts(sid) ? bytes_u32(sid->b + 8 + 4 * i) : 0;
}

uint64_t ad_sid_authority(const struct ad_sid *sid)
{
    uint64_t v = 0;

    for (unsigned i = 2; i < 8; i++)
        v = v << 8 | sid->b[i];
    return sid->n == 0 ? 0 : v;
}

uint32_t ad_sid_rid(const struct ad_sid *sid)
{
    return sid->n == 0 ? 0 : ad_sid_part(sid, ad_sid_parts(sid) - 1);
}

bool ad_sid_eq(const struct ad_sid *a, const struct ad_sid *b)
{
    return a->n != 0 && a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}

bool ad_sid_domain_eq(const struct ad_sid *a, const struct ad_sid *b)
{
    return a->n != 0 && a->n == b->n && memcmp(a->b, b->b, a->n - 4U) == 0;
}

bool ad_sid_in_domain(const struct ad_sid *sid, const struct ad_sid *domain)
{
    /* The second byte counts the parts, so it differs by one; the rest must not differ. */
    return domain->n != 0 && sid->n == domain->n + 4 &&
           memcmp(sid->b + 2, domain->b + 2, domain->n - 2U) == 0;
}

/* S-1-5-<first>-... with that many parts in all */
static bool nt_authority(const struct ad_sid *sid, unsigned parts, uint32_t first)
{
    return ad_sid_parts(sid) == parts && ad_sid_authority(sid) == 5 && ad_sid_part(sid, 0) == first;
}

bool ad_sid_is_account(const struct ad_sid *sid)
{
    return nt_authority(sid, 5, 21);
}

bool ad_sid_is_domain(const struct ad_sid *sid)
{
    return nt_authority(sid, 4, 21);
}

bool ad_sid_is_builtin(const struct ad_sid *sid)
{
    return nt_authority(sid, 2, 32);
}

bool ad_sid_is_everyone(const struct ad_sid *sid)
{
    return ad_sid_parts(sid) == 1 && ad_sid_authority(sid) == 1 && ad_sid_part(sid, 0) == 0;
}

bool ad_sid_is_self(const struct ad_sid *sid)
{
    return nt_authority(sid, 1, 10);
}

/* --- GUID ------------------------------------------------------------------- */

/* Where the bytes stand in the text: u32, u16, u16 little-endian, then eight as they are. */
static const uint8_t guid_order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

int ad_guid_from_bytes(const void *p, size_t n, struct ad_guid *ret)
{
    if (n != sizeof(ret->b))
        return -1;
    memcpy(ret->b, p, sizeof(ret->b));
    return 0;
}

int ad_guid_from_text(const char *s, size_t n, struct ad_guid *ret)
{
    uint8_t bytes[16];
    char hex[33];
    size_t at = 0;

    if (n == AD_GUID_TEXT - 1 + 2 && s[0] == '{' && s[n - 1] == '}') {
        s++;
        n -= 2;
    }
    if (n != AD_GUID_TEXT - 1)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (s[i] != '-')
                return -1;
        } else {
            hex[at++] = s[i];
        }
    }
    hex[at] = '\0';
    if (!id_unhex(bytes, sizeof(bytes), hex))
        return -1;
    for (size_t i = 0; i < 16; i++)
        ret->b[guid_order[i]] = bytes[i];
    return 0;
}

const char *ad_guid_to_text(const struct ad_guid *g, char buf[AD_GUID_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;

    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            buf[at++] = '-';
        buf[at++] = digits[g->b[guid_order[i]] >> 4];
        buf[at++] = digits[g->b[guid_order[i]] & 15];
    }
    buf[at] = '\0';
    return buf;
}

const char *ad_guid_to_dn(const struct ad_guid *g, char buf[AD_GUID_DN])
{
    char text[AD_GUID_TEXT];

    (void)snprintf(buf, AD_GUID_DN, "<GUID=%s>", ad_guid_to_text(g, text));
    return buf;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const char *ad_guid_to_base64(const struct ad_guid *g, char buf[AD_GUID_BASE64])
{
    size_t at = 0;

    for (size_t i = 0; i < 15; i += 3) {
        uint32_t v = (uint32_t)g->b[i] << 16 | (uint32_t)g->b[i + 1] << 8 | g->b[i + 2];

        for (int shift = 18; shift >= 0; shift -= 6)
            buf[at++] = base64_digits[v >> shift & 63];
    }
    buf[at++] = base64_digits[g->b[15] >> 2];
    buf[at++] = base64_digits[(g->b[15] & 3) << 4];
    memcpy(buf + at, "==", 3);
    return buf;
}

int ad_guid_from_base64(const char *s, size_t n, struct ad_guid *ret)
{
    struct ad_guid g = {{0}};
    uint32_t v = 0;
    size_t at = 0;

    if (n != AD_GUID_BASE64 - 1 || s[22] != '=' || s[23] != '=')
        return -1;
    for (size_t i = 0; i < 22; i++) {
        const char *d = s[i] == '\0' ? NULL : strchr(base64_digits, s[i]);

        if (d == NULL)
            return -1;
        v = v << 6 | (uint32_t)(d - base64_digits);
        if (i % 4 == 3) {
            g.b[at++] = (uint8_t)(v >> 16);
            g.b[at++] = (uint8_t)(v >> 8);
            g.b[at++] = (uint8_t)v;
            v = 0;
        }
    }
    /* Two digits are left: 8 bits, and 4 that must be zero in the canonical form. */
    if ((v & 15) != 0)
        return -1;
    g.b[at] = (uint8_t)(v >> 4);
    *ret = g;
    return 0;
}

bool ad_guid_eq(const struct ad_guid *a, const struct ad_guid *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool ad_guid_is_zero(const struct ad_guid *g)
{
    static const struct ad_guid zero;

    return ad_guid_eq(g, &zero);
}
