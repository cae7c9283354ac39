/* agent/residual.h -- what the attacker may still have, and until when (active-directory.md 3). */
#ifndef CORDON_AGENT_RESIDUAL_H
#define CORDON_AGENT_RESIDUAL_H

#include <stdint.h>

struct casefile;

struct residual {
    char what[200];
    int64_t until_ms; /* wall clock; 0: no end of its own */
};
#define RESIDUAL_MAX 16
/* Returns how many were written. Pure but for the clock given. */
unsigned residual_list(const struct casefile *cf, int64_t now_ms,
                       struct residual ret[RESIDUAL_MAX]);

#endif
