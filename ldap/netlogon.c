/* ldap/netlogon.c -- see netlogon.h. */
#include "ldap/netlogon.h"

#include <string.h>

#include "base/cleanup.h"
#include "ldap/bytes.h"

/* Opcodes of the EX form (MS-ADTS 6.3.1.3). "User unknown" is no answer about the DC that
 * differs: we ask for no user. */
#define SAM_LOGON_RESPONSE_EX 23
#define SAM_PAUSE_RESPONSE_EX 24
#define SAM_USER_UNKNOWN_EX 25

#define NTVER_WITH_IP UINT32_C(0x00000008)
#define NTVER_CLOSEST UINT32_C(0x00000010)

#define HEAD_BYTES 24 /* opcode, 0, flags, GUID */
#define TAIL_BYTES 8  /* NtVer, LmNt, Lm20 */

#define JUMPS_MAX 16

/* One label as it stands: whole UTF-8 that can be seen, and no dot, which would make two of it. */
static int label_ok(const uint8_t *p, size_t n)
{
    const char *s = (const char *)p;
    uint32_t c;

    while (n > 0) {
        size_t len = text_utf8_next(s, n, &c);

        if (len == 0 || c == '.' || text_is_hidden(c))
            return -1;
        s += len;
        n -= len;
    }
    return 0;
}

/* The name at *at, which then points behind it. `end` bounds what stands in line and what a
 * pointer may point at. A pointer must point backwards, before where its name began, so that each
 * jump goes strictly down and no loop is possible; the number of jumps is limited besides. */
static int read_name(const uint8_t *b, size_t end, size_t *at, char out[AD_NETLOGON_NAME])
{
    size_t p = *at, floor = *at, len = 0;
    unsigned jumps = 0;

    for (;;) {
        if (p >= end)
            return -1;
        if ((b[p] & 0xc0) == 0xc0) {
            size_t to;

            if (end - p < 2)
                return -1;
            to = (size_t)(b[p] & 0x3f) << 8 | b[p + 1];
            if (jumps == 0)
                *at = p + 2;
            if (to >= floor || ++jumps > JUMPS_MAX)
                return -1;
            p = floor = to;
        } else if (b[p] == 0) {
            if (jumps == 0)
                *at = p + 1;
            out[len] = '\0';
            return 0;
        } else {
            size_t n = b[p]; /* up to 63: the other two forms were never defined */

            if (n > 63 || end - p - 1 < n || len + 1 + n >= AD_NETLOGON_NAME ||
                label_ok(b + p + 1, n) < 0)
                return -1;
            if (len > 0)
                out[len++] = '.';
            memcpy(out + len, b + p + 1, n);
            len += n;
            p += 1 + n;
        }
    }
}

int ad_netlogon_parse(const void *p, size_t n, struct ad_netlogon *ret, struct err *e)
{
    const uint8_t *b = p;
    struct ad_netlogon nl = {0};
    char *const names[] = {nl.forest,       nl.domain, nl.host,    nl.netbios_domain,
                           nl.netbios_host, nl.user,   nl.dc_site, nl.client_site};
    size_t at = HEAD_BYTES, end;

    if (n < HEAD_BYTES + TAIL_BYTES || n > 64 * 1024)
        return err_set(e, ERR_INVALID, 0, "netlogon: %zu bytes are no answer", n);
    switch (bytes_u16(b)) {
    case SAM_LOGON_RESPONSE_EX:
    case SAM_USER_UNKNOWN_EX:
        break;
    case SAM_PAUSE_RESPONSE_EX:
        return err_set(e, ERR_BUSY, SAM_PAUSE_RESPONSE_EX, "netlogon: the DC is paused");
    default:
        return err_set(e, ERR_INVALID, bytes_u16(b), "netlogon: opcode %u is not known",
                       bytes_u16(b));
    }
    end = n - TAIL_BYTES;
    if (bytes_u16(b + end + 4) != 0xffff || bytes_u16(b + end + 6) != 0xffff)
        return err_set(e, ERR_INVALID, 0, "netlogon: the end is missing");
    nl.flags = bytes_u32(b + 4);
    (void)ad_guid_from_bytes(b + 8, 16, &nl.domain_guid);
    nl.nt_version = bytes_u32(b + end);

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (read_name(b, end, &at, names[i]) < 0)
            return err_set(e, ERR_INVALID, 0, "netlogon: name %zu of the answer is broken", i + 1);
    }
    /* An address that we do not ask for: a size and that many bytes. */
    if ((nl.nt_version & NTVER_WITH_IP) != 0 && at < end) {
        if (end - at - 1 < b[at])
            return err_set(e, ERR_INVALID, 0, "netlogon: the address is cut short");
        at += 1 + (size_t)b[at];
    }
    if ((nl.nt_version & NTVER_CLOSEST) != 0 && at < end &&
        read_name(b, end, &at, nl.next_site) < 0)
        return err_set(e, ERR_INVALID, 0, "netlogon: the next closest site is broken");
    /* Without these three there is nothing to go by. What else stands there is not ours. */
    if (nl.forest[0] == '\0' || nl.domain[0] == '\0' || nl.host[0] == '\0')
        return err_set(e, ERR_INVALID, 0, "netlogon: the DC does not name itself");
    *ret = nl;
    return 0;
}

void ad_netlogon_words(struct text *t, uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *word;
    } words[] = {
        {AD_NETLOGON_PDC, "pdc"},
        {AD_NETLOGON_GC, "gc"},
        {AD_NETLOGON_LDAP, "ldap"},
        {AD_NETLOGON_DS, "ds"},
        {AD_NETLOGON_KDC, "kdc"},
        {AD_NETLOGON_TIMESERV, "time"},
        {AD_NETLOGON_GOOD_TIMESERV, "good time"},
        {AD_NETLOGON_CLOSEST, "closest"},
        {AD_NETLOGON_WRITABLE, "writable"},
        {AD_NETLOGON_NDNC, "application partition"},
        {AD_NETLOGON_RODC, "read-only"},
        {AD_NETLOGON_FULL_SECRETS, "full secrets"},
        {AD_NETLOGON_WEB_SERVICE, "web service"},
    };
    const char *between = "";

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if ((flags & words[i].flag) == 0)
            continue;
        text_addf(t, "%s%s", between, words[i].word);
        between = ", ";
    }
}
