/* ldap/options.h -- the settings of every LDAP handle of ours (L1, L4). For ldap/ only.
 *
 * libldap takes options from the environment, from files and from its own defaults, and some only
 * in silence: each one that matters is set, then read back, and a handle that does not bear all of
 * them is not used. What cannot be read back is said where it is set.
 */
#ifndef CORDON_LDAP_OPTIONS_H
#define CORDON_LDAP_OPTIONS_H

#include <ldap.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define AD_SSF_MIN 128 /* bits of encryption by SASL, where TLS does not encrypt */

struct ad_options {
    bool tls;
    const char *ca_file; /* with tls; NULL: the system's */
    uint64_t wait_ms;    /* for the network, and for each answer that libldap itself waits for */
};

/* Once per handle, before anything is sent. -1, ERR_INTERNAL: the handle is not to be used; it
 * names the setting. */
int ad_options_set(LDAP *ld, const struct ad_options *o, struct err *e);

#endif
