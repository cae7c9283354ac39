/* base/notify.h -- sd_notify(3) in our own few lines (checklist P5): READY, WATCHDOG, STATUS ...
 *
 * Over the datagram socket that NOTIFY_SOCKET names (a path, or '@' for an abstract one). Without
 * it nothing is sent and nothing fails.
 */
#ifndef CORDON_BASE_NOTIFY_H
#define CORDON_BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* "READY=1", "STATUS=...", "RELOADING=1\nMONOTONIC_USEC=...": as sd_notify. */
int notify_send(const char *text, struct err *e);
/* Does systemd wait for a sign of life, and how often (half of WATCHDOG_USEC)? 0: no. */
uint64_t notify_watchdog_ms(void);

#endif
