/* eventlog/samflags.h -- the account flags of event 4738, which are SAM's and not AD's.
 *
 * OldUacValue/NewUacValue hold USER_* bits of MS-SAMR 2.2.1.12 (disabled = 0x1), not those of
 * the userAccountControl attribute (disabled = 0x2, MS-ADTS 2.2.16). Bit n cleared is written
 * as %%(2048+n), set as %%(2080+n). What happened is decided by the two values; the codes are
 * only shown, since those of rare bits were never seen.
 */
#ifndef CORDON_EVENTLOG_SAMFLAGS_H
#define CORDON_EVENTLOG_SAMFLAGS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    EVLOG_SAM_DISABLED = 0x1,
    EVLOG_SAM_PASSWORD_NOT_REQUIRED = 0x4,
    EVLOG_SAM_NORMAL = 0x10,
    EVLOG_SAM_NEVER_EXPIRES = 0x200,
    EVLOG_SAM_AUTO_LOCKED = 0x400,
    EVLOG_SAM_SMARTCARD_REQUIRED = 0x1000,
    EVLOG_SAM_BITS = 22, /* how many have a name */
};

/* "disabled", "never-expires" ... for bit number n; NULL past the table. */
const char *evlog_sam_name(unsigned n);
/* The word of a name, or 0 where there is none. */
uint32_t evlog_sam_bit(const char *name);
/* userAccountControl of the directory -> SAM bits; bits that SAM does not have are left out. */
uint32_t evlog_sam_from_uac(uint32_t uac);
/* %%2080 -> bit 0, set. False: no code of a flag. */
bool evlog_sam_code(uint16_t code, unsigned *ret_bit, bool *ret_set);
uint16_t evlog_sam_code_of(unsigned n, bool set);

#endif
