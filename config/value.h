/* config/value.h -- inside config/ only: from the text of one value to the field it is kept in. */
#ifndef CORDON_CONFIG_VALUE_H
#define CORDON_CONFIG_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "config/config.h"
#include "config/keys.h"

/* Check `value` (as ini.h gives it) and store it in `base`, the struct that key->offset points
 * into; what was there is freed. On an error (ERR_CONFIG, ERR_NOMEM) nothing is stored, and
 * *ret_at is where in `value` it is. */
int cfg_value_read(const struct cfg_key *key, const char *value, void *base, size_t *ret_at,
                   struct err *e);

/* A DNS name: letters, digits, '-', '_' in labels of 1..63, 253 in all; no IP address. Folded to
 * lower case in place. `what` names it in the error. */
int cfg_host_check(char *s, const char *what, struct err *e);
void cfg_lower(char *s); /* ASCII */

/* "250ms", "3s", "5m": the largest unit that leaves no rest. */
const char *cfg_duration_text(uint64_t ms, char buf[32]);

#endif
