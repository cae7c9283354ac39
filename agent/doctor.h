/* agent/doctor.h -- what the checks of `cordon doctor` have in common. */
#ifndef CORDON_AGENT_DOCTOR_H
#define CORDON_AGENT_DOCTOR_H

#include <stddef.h>

#include "base/err.h"
#include "ldap/dcs.h"

enum health { HEALTH_OK, HEALTH_WARNING, HEALTH_FAILED, HEALTH_SKIPPED };

struct doctor;

/* One line, told at once. target: a DC, a file; "". mend: what to type; "" where nothing helps.
 * Texts are safe to show. */
void doctor_say(struct doctor *d, const char *name, const char *target, enum health h,
                const char *mend, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* What we may do to ordinary accounts below `base`, asked of `dc` without changing anything: up to
 * three of them are looked at. who: our principal, for the commands that mend. done: once, from the
 * loop. */
int doctor_rights_start(struct doctor *d, struct ad_dc *dc, const char *base, const char *who,
                        void (*done)(struct doctor *d), struct err *e);

#endif
