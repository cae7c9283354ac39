/* tests/unit/alloc.h -- fail the n-th allocation, for tests that sweep n = 0, 1, 2, ... (M2)
 *
 * Included by one source of a test that is linked with ALLOC_WRAP (see tests.cmake of the floor).
 *
 *   for (long n = 0; alloc_sweep(n); n++) { ...the call...; }   until it needed no more than n
 */
#ifndef CORDON_TESTS_ALLOC_H
#define CORDON_TESTS_ALLOC_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static long alloc_left = -1; /* allocations that still succeed; -1: all */
static bool alloc_failed;    /* since the last alloc_sweep */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

/* Let n allocations through. False once a round has gone through whole: the sweep is over. */
static bool alloc_sweep(long n)
{
    bool more = n == 0 || alloc_failed;

    alloc_failed = false;
    alloc_left = more ? n : -1;
    return more;
}

static bool alloc_denied(void)
{
    if (alloc_left < 0)
        return false;
    if (alloc_left > 0) {
        alloc_left--;
        return false;
    }
    alloc_failed = true;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return alloc_denied() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return alloc_denied() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return alloc_denied() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return alloc_denied() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
    return alloc_denied() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
    return alloc_denied() ? NULL : __real_strndup(s, n);
}

#endif
