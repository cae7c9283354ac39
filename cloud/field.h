/* cloud/field.h -- inside cloud/: members of a service's answer, each with its type and length
 * checked; ids checked before they go into a path or a query.
 *
 * A member of another type than it should have, or longer than we take, makes the whole answer
 * ERR_INVALID, with the member's name: nothing is cut, and no default stands in for a wrong value.
 */
#ifndef CORDON_CLOUD_FIELD_H
#define CORDON_CLOUD_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

bool field_guid_ok(const char *s); /* 8-4-4-4-12 hexadecimal digits */
bool field_sid_ok(const char *s);  /* "S-1-5-21-..." of 1 to 15 parts, decimal, no more */
/* A service's own id, opaque: letters, digits, and - . _ ~ only, shorter than 128. */
bool field_opaque_ok(const char *s);

enum field_need { FIELD_MAY_LACK, FIELD_MUST }; /* null counts as lacking */

/* Copy a string; "" where it may lack and does. */
int field_str(const struct cJSON *o, const char *name, enum field_need need, char *buf, size_t size,
              struct err *e);
/* An ISO 8601 time to Unix ms; 0 where it may lack and does. */
int field_time(const struct cJSON *o, const char *name, enum field_need need, int64_t *ret_ms,
               struct err *e);
/* *ret_has (may be NULL with FIELD_MUST) tells whether it was there. */
int field_bool(const struct cJSON *o, const char *name, enum field_need need, bool *ret_has,
               bool *ret, struct err *e);
/* A member whatever the case of its name (the first); for services that spell it both ways. */
const struct cJSON *field_any_case(const struct cJSON *o, const char *name);

/* Copy s into buf, shown safely (base/text.h) and cut if it is too long. Returns buf. NULL: "". */
const char *field_shown(char *buf, size_t size, const char *s);
/* Copy our own or checked text, cut if it is too long. NULL: "". */
void field_copy(char *buf, size_t size, const char *s);

#endif
