/* base/cleanup.h -- own a thing for the length of a scope, or hand it on.
 *
 *   CLEANUP(foo_freep) struct foo *f = NULL;    freed when the scope ends
 *   return TAKE(f);                             the caller owns it now; f is NULL
 */
#ifndef CORDON_BASE_CLEANUP_H
#define CORDON_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

#define TAKE(p)                           \
    __extension__({                       \
        __auto_type take_from_ = &(p);    \
        __auto_type taken_ = *take_from_; \
        *take_from_ = NULL;               \
        taken_;                           \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline void cleanup_charp(char **p)
{
    free(*p);
}

static inline void cleanup_fdp(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

#endif
