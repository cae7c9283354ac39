/* base/id.h -- randomness, case ids (ULID), UUIDs and SHA-256. */
#ifndef CORDON_BASE_ID_H
#define CORDON_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ID_ULID 27 /* 26 characters and the NUL */
#define ID_UUID 37 /* 36 characters and the NUL */
#define ID_SHA256 32

/* From getrandom(2); fails rather than give less. */
int id_random(void *buf, size_t n, struct err *e);

/* A ULID: 48 bits of milliseconds, 80 of randomness, Crockford base 32; sorts by time,
 * and within one millisecond of one process rises by one. */
int id_ulid(char buf[ID_ULID], int64_t now_ms, struct err *e);
bool id_ulid_ok(const char *s); /* exactly 26 characters of the alphabet, first 0-7 */

/* A random UUID (RFC 4122, version 4), lower case. */
int id_uuid(char buf[ID_UUID], struct err *e);

/* The same UUID for the same name (RFC 9562, version 8: of its SHA-256). */
int id_uuid_of(const char *name, char buf[ID_UUID], struct err *e);

int id_sha256(const void *p, size_t n, uint8_t ret[ID_SHA256], struct err *e);
void id_hex(char *buf, const uint8_t *p, size_t n);   /* buf: 2n + 1 */
bool id_unhex(uint8_t *buf, size_t n, const char *s); /* exactly 2n digits */

#endif
