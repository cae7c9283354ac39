/* base/sandbox_inside.h -- inside sandbox*.c and their test. */
#ifndef CORDON_BASE_SANDBOX_INSIDE_H
#define CORDON_BASE_SANDBOX_INSIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Whether this program was built with a sanitizer that needs more than the program does. */
bool sandbox_sanitized(void);

/* The filter, loaded into all threads of this process. ERR_UNSUPPORTED: the kernel has none. */
int sandbox_calls_load(bool sanitized, struct err *e);
/* The filter for another kind of machine (SCMP_ARCH_*), written to `fd` as text, not loaded. */
int sandbox_calls_show(uint32_t arch, bool sanitized, int fd, struct err *e);

#endif
