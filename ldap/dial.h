/* ldap/dial.h -- a TCP connection to a host that may have several addresses, some of them dead. For
 * ldap/ only; blocks: in a job.
 *
 * As RFC 8305 5: the addresses are tried in their order, the next one as soon as one has failed, or
 * when the one before has been silent for a while, and the first that answers is taken. Each may
 * answer until the deadline: a dead one in front delays, but never uses up what the others have.
 */
#ifndef CORDON_LDAP_DIAL_H
#define CORDON_LDAP_DIAL_H

#include <netdb.h>
#include <stdint.h>

#include "base/err.h"

/* Monotonic milliseconds, as `deadline_ms` below. */
int64_t ad_dial_now(void);

/* 0 with a connected, non-blocking descriptor, close-on-exec, kept alive (L1); or -1: ERR_UNSENT,
 * with the words of the last address that failed. */
int ad_dial(const struct addrinfo *addresses, int64_t deadline_ms, int *ret_fd, struct err *e);

/* The same for a name: both the look-up and the connection within `wait_ms`. (The look-up itself
 * cannot be cut short: what it takes too long is missing for the rest.) */
int ad_dial_host(const char *host, unsigned port, uint64_t wait_ms, int *ret_fd, struct err *e);

#endif
