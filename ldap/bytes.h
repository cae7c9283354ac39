/* ldap/bytes.h -- little-endian numbers out of bytes. The caller has checked the length. */
#ifndef CORDON_LDAP_BYTES_H
#define CORDON_LDAP_BYTES_H

#include <stdint.h>

static inline uint16_t bytes_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t bytes_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t bytes_u64(const uint8_t *p)
{
    return bytes_u32(p) | (uint64_t)bytes_u32(p + 4) << 32;
}

#endif
