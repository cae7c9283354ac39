/* base/stamp.h -- times as 64-bit UTC, in and out.
 *
 * A wall time is int64_t milliseconds since 1970-01-01T00:00:00Z (POSIX: no leap
 * seconds; ":60" is read as the second after). Deadlines never use these: they use
 * loop_now(). FILETIME: 100 ns since 1601-01-01 (MS-DTYP 2.3.3).
 */
#ifndef CORDON_BASE_STAMP_H
#define CORDON_BASE_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAMP_TEXT 40
#define STAMP_FILETIME_NEVER INT64_MAX

int64_t stamp_now_ms(void); /* CLOCK_REALTIME */

/* "2026-11-21T09:14:03.120Z"; years 0001..9999, else "?". Returns buf. */
const char *stamp_iso(char buf[STAMP_TEXT], int64_t ms);
/* "09:14:03Z" for a person; with the date in front when it is not within 20 h of `now`. */
const char *stamp_clock(char buf[STAMP_TEXT], int64_t ms, int64_t now_ms);

/* RFC 3339 / ISO 8601: 'T' or ' ', fraction of 0..9 digits, 'Z' or +hh:mm, +hhmm. */
bool stamp_parse_iso(const char *s, int64_t *ret_ms);
/* LDAP generalized time (RFC 4517 3.3.13): 20261121091403.0Z */
bool stamp_parse_generalized(const char *s, int64_t *ret_ms);

int64_t stamp_from_filetime(int64_t ft); /* 0 and NEVER are the caller's business */
int64_t stamp_from_filetime_seconds(int64_t secs1601);
/* "3 d 4 h", "12 min", "8 s": for ages. */
const char *stamp_age(char buf[STAMP_TEXT], int64_t ms);

#endif
