/* base/text.c -- see text.h. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

char text_empty[1] = "";

void text_init(struct text *t, size_t max)
{
    *t = TEXT_INIT(max);
}

void text_done(struct text *t)
{
    size_t max = t->max;

    if (t->cap != 0)
        free(t->s);
    text_init(t, max);
}

void text_clear(struct text *t)
{
    t->len = 0;
    t->failed = false;
    if (t->cap != 0)
        t->s[0] = '\0';
}

void text_wipe(struct text *t)
{
    if (t->cap != 0)
        explicit_bzero(t->s, t->cap);
    text_done(t);
}

/* Room for `more` bytes and the NUL. Returns false, and marks the failure, where there is none. */
static bool room(struct text *t, size_t more)
{
    size_t need, cap;
    char *grown;

    if (t->failed || __builtin_add_overflow(t->len, more, &need) || need > t->max) {
        t->failed = true;
        return false;
    }
    if (need < t->cap)
        return true;

    cap = t->cap < 64 ? 64 : t->cap;
    while (cap <= need)
        cap = cap > SIZE_MAX / 2 ? need + 1 : cap * 2;
    /* Not realloc: what was there may be secret, and a moved block is not wiped. */
    grown = malloc(cap);
    if (grown == NULL) {
        t->failed = true;
        return false;
    }
    memcpy(grown, t->s, t->len + 1);
    if (t->cap != 0) {
        explicit_bzero(t->s, t->len);
        free(t->s);
    }
    t->s = grown;
    t->cap = cap;
    return true;
}

void text_addn(struct text *t, const void *p, size_t n)
{
    if (n == 0 || !room(t, n))
        return;
    memcpy(t->s + t->len, p, n);
    t->len += n;
    t->s[t->len] = '\0';
}

void text_add(struct text *t, const char *s)
{
    text_addn(t, s, strlen(s));
}

void text_addc(struct text *t, char c)
{
    text_addn(t, &c, 1);
}

void text_addf(struct text *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        t->failed = true;
        return;
    }
    if (n == 0 || !room(t, (size_t)n))
        return;
    va_start(ap, fmt);
    (void)vsnprintf(t->s + t->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->len += (size_t)n;
}

int text_check(const struct text *t, const char *what, struct err *e)
{
    if (!t->failed)
        return 0;
    return err_set(e, ERR_TOOBIG, 0, "%s: no memory, or more than %zu bytes", what, t->max);
}

char *text_take(struct text *t)
{
    char *s;

    if (t->failed)
        return NULL;
    s = t->cap != 0 ? t->s : strdup("");
    t->cap = 0;
    text_init(t, t->max);
    return s;
}

/* --- UTF-8 ---------------------------------------------------------------- */

size_t text_utf8_next(const char *s, size_t n, uint32_t *ret_c)
{
    const unsigned char *u = (const unsigned char *)s;
    uint32_t c, least;
    size_t len;

    if (n == 0)
        return 0;
    if (u[0] < 0x80) {
        *ret_c = u[0];
        return 1;
    }
    if (u[0] >= 0xc2 && u[0] <= 0xdf) {
        len = 2;
        c = u[0] & 0x1fU;
        least = 0x80;
    } else if ((u[0] & 0xf0) == 0xe0) {
        len = 3;
        c = u[0] & 0x0fU;
        least = 0x800;
    } else if (u[0] >= 0xf0 && u[0] <= 0xf4) {
        len = 4;
        c = u[0] & 0x07U;
        least = 0x10000;
    } else {
        return 0;
    }
    if (n < len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((u[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (u[i] & 0x3fU);
    }
    if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret_c = c;
    return len;
}

bool text_utf8_ok(const char *s, size_t n)
{
    uint32_t c;

    while (n > 0) {
        size_t len = text_utf8_next(s, n, &c);

        if (len == 0)
            return false;
        s += len;
        n -= len;
    }
    return true;
}

bool text_is_hidden(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || /* C0, DEL, C1 */
           c == 0xad || c == 0x34f || c == 0x61c || c == 0x115f || c == 0x1160 || c == 0x17b4 ||
           c == 0x17b5 || (c >= 0x180b && c <= 0x180f) ||
           (c >= 0x200b && c <= 0x200f) || /* zero width, direction marks */
           (c >= 0x2028 && c <= 0x202e) || /* line separators, embeddings, overrides */
           (c >= 0x2060 && c <= 0x206f) || /* word joiner, isolates, deprecated formats */
           c == 0x3164 || (c >= 0xfe00 && c <= 0xfe0f) || /* fillers, variation selectors */
           c == 0xfeff || c == 0xffa0 || (c >= 0xfff0 && c <= 0xfffb) ||
           (c >= 0x1bca0 && c <= 0x1bca3) || (c >= 0x1d173 && c <= 0x1d17a) ||
           (c >= 0xe0000 && c <= 0xe0fff) || /* tags */
           (c >= 0xd800 && c <= 0xdfff);
}

/* --- showing -------------------------------------------------------------- */

void text_show(struct text *t, const char *s, size_t n, size_t limit)
{
    size_t shown = 0;
    uint32_t c;

    while (n > 0) {
        size_t len = text_utf8_next(s, n, &c);

        if (shown++ == limit) {
            text_add(t, "…");
            return;
        }
        if (len == 0) {
            text_addf(t, "\\x%02x", (unsigned char)*s);
            len = 1;
        } else if (c == '\\') {
            text_add(t, "\\\\");
        } else if (c == '\n') {
            text_add(t, "\\n");
        } else if (c == '\t') {
            text_add(t, "\\t");
        } else if (c < 0x80 && text_is_hidden(c)) {
            text_addf(t, "\\x%02x", c);
        } else if (text_is_hidden(c)) {
            text_addf(t, "\\u{%x}", c);
        } else {
            text_addn(t, s, len);
        }
        s += len;
        n -= len;
    }
}

void text_safe(struct text *t, const char *s)
{
    size_t n = strlen(s);
    uint32_t c;

    while (n > 0) {
        size_t len = text_utf8_next(s, n, &c);

        if (len == 0) {
            text_addf(t, "\\x%02x", (unsigned char)*s);
            len = 1;
        } else if (text_is_hidden(c)) {
            text_addf(t, c < 0x80 ? "\\x%02x" : "\\u{%x}", c);
        } else {
            text_addn(t, s, len);
        }
        s += len;
        n -= len;
    }
}

const char *text_shownn(char buf[TEXT_SHOWN], const char *s, size_t n)
{
    struct text t = TEXT_INIT(4096);
    size_t keep;

    text_show(&t, s, n, 100);
    keep = t.len;
    /* Cut between characters, so that the buffer ends in whole UTF-8. */
    if (keep > TEXT_SHOWN - 4) {
        keep = TEXT_SHOWN - 4;
        while (keep > 0 && ((unsigned char)t.s[keep] & 0xc0) == 0x80)
            keep--;
        memcpy(buf, t.s, keep);
        memcpy(buf + keep, "…", 4);
    } else {
        memcpy(buf, t.s, keep + 1);
    }
    text_done(&t);
    return buf;
}

const char *text_shown(char buf[TEXT_SHOWN], const char *s)
{
    if (s == NULL)
        s = "(none)";
    return text_shownn(buf, s, strlen(s));
}

/* --- numbers -------------------------------------------------------------- */

bool text_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;

    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return false;
    }
    if (v < min || v > max)
        return false;
    *ret = v;
    return true;
}

bool text_to_i64(const char *s, int64_t min, int64_t max, int64_t *ret)
{
    bool negative = *s == '-';
    uint64_t v;
    int64_t signed_v;

    if (!text_to_u64(s + (negative ? 1 : 0), 0, negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX, &v))
        return false;
    signed_v = negative ? (int64_t)(0 - v) : (int64_t)v;
    if (signed_v < min || signed_v > max)
        return false;
    *ret = signed_v;
    return true;
}

bool text_to_duration(const char *s, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1},      {"s", 1000},    {"", 1000},     {"m", 60000},
                 {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    char digits[21];
    size_t n = strspn(s, "0123456789");
    uint64_t v;

    if (n == 0 || n >= sizeof(digits))
        return false;
    memcpy(digits, s, n);
    digits[n] = '\0';
    if (!text_to_u64(digits, 0, UINT64_MAX / 86400000, &v))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strcmp(s + n, units[i].unit) == 0) {
            *ret_ms = v * units[i].ms;
            return true;
        }
    }
    return false;
}

/* --- small things --------------------------------------------------------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool text_eq_nocase(const char *a, const char *b)
{
    for (; lower(*a) == lower(*b); a++, b++) {
        if (*a == '\0')
            return true;
    }
    return false;
}

bool text_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool text_ends_nocase(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && text_eq_nocase(s + (n - m), suffix);
}

bool text_glob(const char *pattern, const char *s)
{
    const char *star = NULL, *again = NULL;

    /* On a mismatch go back to the last star and let it swallow one more byte: no recursion. */
    while (*s != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            again = s;
        } else if (*pattern == '?' || (*pattern != '\0' && lower(*pattern) == lower(*s))) {
            pattern++;
            s++;
        } else if (star != NULL) {
            pattern = star + 1;
            s = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

unsigned text_distance(const char *a, const char *b)
{
    unsigned char row[65];
    size_t m = strlen(b);

    if (m >= sizeof(row) || strlen(a) >= sizeof(row))
        return 255;
    for (size_t j = 0; j <= m; j++)
        row[j] = (unsigned char)j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        unsigned char diagonal = row[0];

        row[0] = (unsigned char)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = diagonal + (lower(a[i - 1]) == lower(b[j - 1]) ? 0U : 1U);

            diagonal = row[j];
            if (row[j] + 1U < best)
                best = row[j] + 1U;
            if (row[j - 1] + 1U < best)
                best = row[j - 1] + 1U;
            row[j] = (unsigned char)best;
        }
    }
    return row[m];
}

char *text_dup(const char *s)
{
    return s == NULL ? NULL : strdup(s);
}
