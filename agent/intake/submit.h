/* agent/intake/submit.h -- signed requests onto the queue of the configuration, and their answers
 * from it. */
#ifndef CORDON_AGENT_INTAKE_SUBMIT_H
#define CORDON_AGENT_INTAKE_SUBMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "config/config.h"

struct submit_item { /* all borrowed */
    const char *id, *account;
    const char *jws;
    size_t n;
    uint64_t ttl_ms; /* until it expires: it need not lie on the queue longer */
};

/* Puts all of them on the queue, and tells of each on stdout. wait_ms > 0: waits so long for the
 * answers, prints them, and sets *ret_exit to the highest exit code of their verdicts (16 where one
 * did not come); else 0. Runs a loop of its own. ERR_UNSUPPORTED, ERR_CONFIG, or what the queue
 * says; some may be on it then, and putting them again does no harm. */
int submit_put(const struct cfg *cfg, const struct submit_item *items, size_t count,
               uint64_t wait_ms, bool json, int *ret_exit, struct err *e);

#endif
