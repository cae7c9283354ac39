/* config/named.h -- inside config/ only: sections of which there may be several, [kind/NAME].
 *
 * Each kind is an array of structs in struct cfg, whose first member is `char *name`, as in the
 * brackets, in lower case. Adding one may move the others.
 */
#ifndef CORDON_CONFIG_NAMED_H
#define CORDON_CONFIG_NAMED_H

#include <stddef.h>

#include "config/config.h"

size_t cfg_named_count(const struct cfg *c, const char *kind);
void *cfg_named_at(const struct cfg *c, const char *kind, size_t i);
void *cfg_named_find(const struct cfg *c, const char *kind, const char *name); /* or NULL */
const char *cfg_named_name(const void *one);
/* A new one, all zero but for its name. NULL: no memory. */
void *cfg_named_add(struct cfg *c, const char *kind, const char *name);
/* May `name` stand behind the slash? */
int cfg_named_check(const char *kind, const char *name, struct err *e);

#endif
