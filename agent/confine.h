/* agent/confine.h -- what `cordon run` keeps of its rights, by the configuration; base/sandbox.h.
 */
#ifndef CORDON_AGENT_CONFINE_H
#define CORDON_AGENT_CONFINE_H

#include "base/err.h"
#include "base/sandbox.h"
#include "config/config.h"

struct confine;

struct confine_places { /* borrowed while the call lasts */
    const struct cfg *cfg;
    const char *config_path, *state_dir, *socket;
};

/* Makes the folders that are written to, and enters the sandbox, as [service] sandbox says. Before
 * there is any other thread. With `yes` whatever cannot be had is left out, and logged; ERR_CONFIG:
 * with `required` something is missing; a folder that cannot be had. */
int confine_enter(const struct confine_places *p, struct confine **ret_confine, struct err *e);
void confine_free(struct confine *c); /* it stays in force */
/* Would the process get at all that this configuration names? ERR_CONFIG names what it would not,
 * and says to restart. */
int confine_check(const struct confine *c, const struct confine_places *next, struct err *e);
/* How far it goes, for status: "files by Landlock (ABI 7), system calls filtered". */
const char *confine_words(const struct confine *c);

#endif
