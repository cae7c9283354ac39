/* base/secret.h -- bytes that nobody may see: locked, kept out of dumps, wiped on free.
 *
 * There is no way to print one. Where mlock is refused (RLIMIT_MEMLOCK) the secret is kept
 * all the same and secret_is_locked says so.
 */
#ifndef CORDON_BASE_SECRET_H
#define CORDON_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct secret;

/* At most 1 MiB. ERR_TOOBIG, ERR_NOMEM. */
int secret_new(size_t n, struct secret **ret_secret, struct err *e); /* n zero bytes */
/* The whole of a trusted file (FILE_SECRET), byte for byte: a newline at its end is part of it.
 * A NUL stands behind the last byte and is not counted. */
int secret_from_file(const char *path, size_t max, struct secret **ret_secret, struct err *e);
/* A copy of `s` takes the place of *at, which is freed; on an error *at stays. `s` may be *at. */
int secret_keep(struct secret **at, const struct secret *s, struct err *e);
void secret_free(struct secret *s);
void secret_freep(struct secret **s);
uint8_t *secret_bytes(struct secret *s); /* borrowed */
size_t secret_len(const struct secret *s);
bool secret_is_locked(const struct secret *s);
bool secret_equal(const struct secret *a, const struct secret *b); /* constant time */

/* A password: `len` (16 to 256) characters of A-Z a-z 0-9, at least one of each class, and one of
 * the signs "-_.+" ; from getrandom by rejection sampling. Not NUL-terminated. */
int secret_password(size_t len, struct secret **ret_secret, struct err *e);

#endif
