/* base/id.c -- see id.h. SHA-256 by OpenSSL's EVP. */
#include "base/id.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

int id_random(void *buf, size_t n, struct err *e)
{
    uint8_t *p = buf;

    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_sys(e, ERR_IO, errno, "getrandom");
        p += got;
        n -= (size_t)got;
    }
    return 0;
}

int id_ulid(char buf[ID_ULID], int64_t now_ms, struct err *e)
{
    static uint8_t last[16]; /* only the loop thread makes ids */
    uint8_t id[16];
    uint64_t ms = now_ms < 0 ? 0 : (uint64_t)now_ms;

    for (int i = 0; i < 6; i++)
        id[i] = (uint8_t)(ms >> (40 - 8 * i));
    if (id_random(id + 6, 10, e) < 0)
        return -1;
    /* Within a millisecond (or when the clock stepped back a little): one more than the last. */
    if (memcmp(id, last, 6) <= 0) {
        memcpy(id, last, sizeof(id));
        for (int i = 15; i >= 0 && ++id[i] == 0; i--) {
        }
    }
    memcpy(last, id, sizeof(last));

    /* 128 bits in 26 characters of 5: the first holds only 3 bits. */
    for (int i = 0; i < 26; i++) {
        int bit = i * 5 - 2;
        unsigned v = 0;

        for (int k = 0; k < 5; k++) {
            int at = bit + k;

            v <<= 1;
            if (at >= 0 && ((unsigned)id[at / 8] & (0x80U >> (at % 8))) != 0)
                v |= 1U;
        }
        buf[i] = crockford[v];
    }
    buf[26] = '\0';
    return 0;
}

bool id_ulid_ok(const char *s)
{
    if (strlen(s) != 26 || s[0] > '7')
        return false;
    return strspn(s, crockford) == 26;
}

int id_uuid(char buf[ID_UUID], struct err *e)
{
    uint8_t r[16];
    size_t at = 0;

    if (id_random(r, sizeof(r), e) < 0)
        return -1;
    r[6] = (uint8_t)((r[6] & 0x0F) | 0x40); /* version 4 */
    r[8] = (uint8_t)((r[8] & 0x3F) | 0x80); /* the variant of RFC 4122 */
    for (size_t i = 0; i < sizeof(r); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            buf[at++] = '-';
        id_hex(buf + at, r + i, 1);
        at += 2;
    }
    return 0;
}

int id_sha256(const void *p, size_t n, uint8_t ret[ID_SHA256], struct err *e)
{
    static EVP_MD *md; /* fetched once: the implicit fetch costs more than the hash */
    unsigned len = 0;

    if (md == NULL)
        md = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (md == NULL || EVP_Digest(p, n, ret, &len, md, NULL) != 1 || len != ID_SHA256)
        return err_set(e, ERR_INTERNAL, 0, "sha256: OpenSSL failed");
    return 0;
}

void id_hex(char *buf, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf[2 * i] = "0123456789abcdef"[p[i] >> 4];
        buf[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
    }
    buf[2 * n] = '\0';
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool id_unhex(uint8_t *buf, size_t n, const char *s)
{
    for (size_t i = 0; i < n; i++) {
        int hi = nibble(s[2 * i]);
        int lo = hi < 0 ? -1 : nibble(s[2 * i + 1]);

        if (lo < 0)
            return false;
        buf[i] = (uint8_t)(hi << 4 | lo);
    }
    return s[2 * n] == '\0';
}

int id_uuid_of(const char *name, char buf[ID_UUID], struct err *e)
{
    uint8_t hash[ID_SHA256];
    size_t at = 0;

    if (id_sha256(name, strlen(name), hash, e) < 0)
        return -1;
    hash[6] = (uint8_t)((hash[6] & 0x0F) | 0x80);
    hash[8] = (uint8_t)((hash[8] & 0x3F) | 0x80);
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            buf[at++] = '-';
        id_hex(buf + at, hash + i, 1);
        at += 2;
    }
    return 0;
}
