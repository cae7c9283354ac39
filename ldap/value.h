/* ldap/value.h -- from an attribute's bytes to a number, a time, an identifier.
 *
 * Every function takes the attribute as found, NULL where the entry does not show it: absent is
 * no error, *ret_there is false then, and the caller decides what it means (often: "could not
 * read it", which is not "no"). What is there must be exactly one value in exactly the expected
 * form, else ERR_INVALID with the attribute's name; *ret is written only where ret_there is true.
 */
#ifndef CORDON_LDAP_VALUE_H
#define CORDON_LDAP_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ldap/conn.h" /* struct ad_attr, struct ad_value: types only */
#include "ldap/sid.h"

/* Exactly one value, or none at all. */
int ad_value_one(const struct ad_attr *a, bool *ret_there, struct ad_value *ret, struct err *e);

/* Decimal, whole, within the range. */
int ad_value_i64(const struct ad_attr *a, int64_t min, int64_t max, bool *ret_there, int64_t *ret,
                 struct err *e);
/* A 32-bit set of bits: LDAP shows these as signed numbers, so -2147483648 is 0x80000000. */
int ad_value_bits(const struct ad_attr *a, bool *ret_there, uint32_t *ret, struct err *e);
/* "TRUE" or "FALSE" (RFC 4517 3.3.3), nothing else. */
int ad_value_bool(const struct ad_attr *a, bool *ret_there, bool *ret, struct err *e);

/* A FILETIME attribute (pwdLastSet, accountExpires, lockoutTime, ...). Which of the values mean
 * "never" depends on the attribute, so they are told apart, not guessed. */
enum ad_time_kind {
    AD_TIME_ZERO,  /* 0: "must change" (pwdLastSet), "not locked" (lockoutTime), "never" */
    AD_TIME_NEVER, /* 0x7FFFFFFFFFFFFFFF */
    AD_TIME_AT,    /* ms is set */
};
struct ad_time {
    enum ad_time_kind kind;
    int64_t raw; /* 100 ns since 1601, as read: what a compare-and-swap must send */
    int64_t ms;  /* since 1970; 0 unless AD_TIME_AT */
};
int ad_value_filetime(const struct ad_attr *a, bool *ret_there, struct ad_time *ret, struct err *e);
/* Generalized time (whenChanged, currentTime): milliseconds since 1970. */
int ad_value_time(const struct ad_attr *a, bool *ret_there, int64_t *ret_ms, struct err *e);

int ad_value_sid(const struct ad_attr *a, bool *ret_there, struct ad_sid *ret, struct err *e);
int ad_value_guid(const struct ad_attr *a, bool *ret_there, struct ad_guid *ret, struct err *e);
/* All values as SIDs (tokenGroups, sIDHistory): malloc'd, the caller's; NULL and 0 where the
 * attribute is absent. More than `max` is ERR_TOOBIG. One broken SID spoils all. */
int ad_value_sids(const struct ad_attr *a, size_t max, struct ad_sid **ret_sids, size_t *ret_count,
                  struct err *e);
/* UTF-8 text without NUL, at most `max` bytes: malloc'd, the caller's; NULL where absent. */
int ad_value_text(const struct ad_attr *a, size_t max, char **ret_s, struct err *e);

#endif
