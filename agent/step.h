/* agent/step.h -- one step as it is told: to a person, to a script, to the ledger. */
#ifndef CORDON_AGENT_STEP_H
#define CORDON_AGENT_STEP_H

#include <stdint.h>

#include "agent/verdict.h"

#define STEP_DETAIL 512

struct step {
    const char *name;   /* "disable" */
    const char *target; /* DC, or ""; NULL is "". Borrowed: outlives the step */
    enum outcome outcome;
    enum proof proof;
    char *detail_; /* ours; step_detail */
    uint64_t started_us, ended_us;
};

/* What there is to say about it: replaces what was said before; cut at STEP_DETAIL - 1 bytes. */
void step_say(struct step *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *step_detail(const struct step *s); /* never NULL */
const char *step_target(const struct step *s); /* never NULL */
void step_done(struct step *s);                /* frees what was said */

#endif
