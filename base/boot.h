/* base/boot.h -- time that nobody can set: milliseconds since this boot, and which boot it is.
 *
 * It goes on while the machine sleeps, and over restarts of the program; two times of one boot can
 * be subtracted whatever was done to the wall clock meanwhile.
 */
#ifndef CORDON_BASE_BOOT_H
#define CORDON_BASE_BOOT_H

#include <stdint.h>

#include "base/id.h"

int64_t boot_now_ms(void); /* CLOCK_BOOTTIME */
/* The kernel's boot_id, as it writes it; "" where it cannot be read. Returns buf. */
const char *boot_id(char buf[ID_UUID]);

#endif
