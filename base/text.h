/* base/text.h -- one growable buffer, and what we do with text from outside.
 *
 * Invariants of struct text: `s` is never NULL, s[len] == 0, len <= max. A failed
 * append (no memory, over the maximum) leaves the buffer as it was and sets `failed`,
 * which stays set: append freely, then ask once with text_check().
 */
#ifndef CORDON_BASE_TEXT_H
#define CORDON_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct text {
    char *s;
    size_t len;
    size_t cap; /* bytes allocated; 0 while `s` is the shared empty string */
    size_t max; /* hard limit of len */
    bool failed;
};

void text_init(struct text *t, size_t max);
void text_done(struct text *t);  /* frees; the struct is empty and usable again */
void text_clear(struct text *t); /* keeps the memory; clears `failed` */
void text_wipe(struct text *t);  /* zeroes the bytes, then frees: for secrets */

void text_add(struct text *t, const char *s);
void text_addn(struct text *t, const void *p, size_t n);
void text_addc(struct text *t, char c);
void text_addf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int text_check(const struct text *t, const char *what, struct err *e); /* -1 where one failed */
char *text_take(struct text *t); /* the bytes, malloc'd, now the caller's; NULL where no memory */

#define TEXT_INIT(limit) ((struct text){.s = text_empty, .max = (limit)})
extern char text_empty[1];

/* --- showing foreign text (checklist O1) ------------------------------------
 * Escapes C0, C1, DEL, backslash, broken UTF-8, bidi and zero-width characters, cuts
 * at `limit` characters with "…". What comes out is safe on a terminal and in a log. */
#define TEXT_SHOW_LIMIT 256
void text_show(struct text *t, const char *s, size_t n, size_t limit);

/* For text of our own that quotes foreign text already: what is hidden is escaped, the rest stays.
 */
void text_safe(struct text *t, const char *s);

/* The same into a caller's buffer, for error messages; returns buf. */
#define TEXT_SHOWN 160
const char *text_shown(char buf[TEXT_SHOWN], const char *s);
const char *text_shownn(char buf[TEXT_SHOWN], const char *s, size_t n);

/* --- UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing past U+10FFFF --- */
bool text_utf8_ok(const char *s, size_t n);
/* Decode one character at s (n > 0 bytes left). Returns its length, or 0 if it is broken. */
size_t text_utf8_next(const char *s, size_t n, uint32_t *ret_c);
bool text_is_hidden(uint32_t c); /* control, bidi, zero-width, format, surrogate, line separators */

/* --- numbers, whole and with a range ------------------------------------------- */
bool text_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);
bool text_to_i64(const char *s, int64_t min, int64_t max, int64_t *ret);
/* "250ms", "3s", "5m", "2h", "7d"; a bare number is seconds. */
bool text_to_duration(const char *s, uint64_t *ret_ms);

/* --- small things -------------------------------------------------------------- */
bool text_eq_nocase(const char *a, const char *b); /* ASCII */
bool text_starts(const char *s, const char *prefix);
bool text_ends_nocase(const char *s, const char *suffix);
/* `*` and `?` as in a shell, ASCII case folded, linear time, no other specials. */
bool text_glob(const char *pattern, const char *s);
/* How far apart two words are (Levenshtein, capped at 255): for "did you mean". */
unsigned text_distance(const char *a, const char *b);
char *text_dup(const char *s); /* strdup that maps NULL to NULL */

#endif
