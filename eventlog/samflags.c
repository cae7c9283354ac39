/* eventlog/samflags.c -- see samflags.h. One table, n is the bit number (MS-SAMR 2.2.1.12). */
#include "eventlog/samflags.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

enum { CODE_CLEARED = 2048, CODE_SET = 2080 };

static const struct {
    const char *name;
    uint32_t uac; /* the same in AD's userAccountControl (MS-ADTS 2.2.16); 0: there is none */
} flags[] = {
    {"disabled", 0x2},
    {"home-directory-required", 0x8},
    {"password-not-required", 0x20},
    {"temp-duplicate", 0x100},
    {"normal", 0x200},
    {"mns-logon", 0x20000},
    {"interdomain-trust", 0x800},
    {"workstation-trust", 0x1000},
    {"server-trust", 0x2000},
    {"never-expires", 0x10000},
    {"auto-locked", 0x10},
    {"encrypted-text-password", 0x80},
    {"smartcard-required", 0x40000},
    {"trusted-for-delegation", 0x80000},
    {"not-delegated", 0x100000},
    {"des-only", 0x200000},
    {"no-preauth", 0x400000},
    {"password-expired", 0x800000},
    {"trusted-to-auth-for-delegation", 0x1000000},
    {"no-auth-data-required", 0x2000000},
    {"partial-secrets", 0x4000000},
    {"use-aes-keys", 0},
};
_Static_assert(ARRAY_LEN(flags) == EVLOG_SAM_BITS, "one row a bit");

const char *evlog_sam_name(unsigned n)
{
    return n < EVLOG_SAM_BITS ? flags[n].name : NULL;
}

uint32_t evlog_sam_bit(const char *name)
{
    for (unsigned n = 0; n < EVLOG_SAM_BITS; n++)
        if (strcmp(flags[n].name, name) == 0)
            return UINT32_C(1) << n;
    return 0;
}

uint32_t evlog_sam_from_uac(uint32_t uac)
{
    uint32_t sam = 0;

    for (unsigned n = 0; n < EVLOG_SAM_BITS; n++)
        if ((uac & flags[n].uac) != 0)
            sam |= UINT32_C(1) << n;
    return sam;
}

bool evlog_sam_code(uint16_t code, unsigned *ret_bit, bool *ret_set)
{
    bool set = code >= CODE_SET;
    unsigned n = (unsigned)code - (set ? CODE_SET : CODE_CLEARED);

    if (code < CODE_CLEARED || n >= EVLOG_SAM_BITS)
        return false;
    *ret_bit = n;
    *ret_set = set;
    return true;
}

uint16_t evlog_sam_code_of(unsigned n, bool set)
{
    return (uint16_t)((set ? CODE_SET : CODE_CLEARED) + n);
}
