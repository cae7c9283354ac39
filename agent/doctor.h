/* agent/doctor.h -- what the checks of `cordon doctor` have in common. */
#ifndef CORDON_AGENT_DOCTOR_H
#define CORDON_AGENT_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/policy.h"
#include "agent/watch.h"
#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "ldap/cred.h"
#include "ldap/dcs.h"

enum health { HEALTH_OK, HEALTH_WARNING, HEALTH_FAILED, HEALTH_SKIPPED };

struct doctor {
    bool json, as_agent;
    const char *wanted; /* --domain */
    const struct cfg_domain *domain;
    struct cfg *cfg;
    struct loop *loop;
    struct loop_timer *later;
    size_t at;
    unsigned counts[HEALTH_SKIPPED + 1];
    char krb5_path[512]; /* the system's krb5.conf, before ours was put in front */
    struct ad_dcs *dcs;
    bool dcs_waiting, has_cred;
    char who[AD_PRINCIPAL];
    struct policy *policy;
    struct watch *watch;
    struct doctor_winrm *winrm;
    struct cloud *cloud; /* while it is looked at */
    struct defender_walk *defender_walk;
    size_t defender_at; /* machines that it looked at */
};

/* One line, told at once. target: a DC, a file; "". mend: what to type; "" where nothing helps.
 * Texts are safe to show. */
void doctor_say(struct doctor *d, const char *name, const char *target, enum health h,
                const char *mend, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* The check ended: the next one, in a turn of its own. Last thing a check does, once. */
void doctor_done(struct doctor *d);

/* doctor_dcs.c */
void doctor_check_dns(struct doctor *d);
void doctor_check_dcs(struct doctor *d);
struct ad_dc *doctor_ready_dc(struct doctor *d); /* NULL: none */

/* doctor_winrm.c: events = winrm, each DC's log, or the collector's */
void doctor_check_winrm(struct doctor *d);
void doctor_winrm_free(struct doctor_winrm *w); /* when nothing of it is on the stack */

/* doctor_defender.c; after the cloud, which it uses */
void doctor_check_defender(struct doctor *d);

/* doctor_cloud.c */
void doctor_check_cloud(struct doctor *d);

/* doctor_rights.c */
/* What we may do to ordinary accounts below `base`, asked of `dc` without changing anything: up to
 * three of them are looked at. who: our principal, for the commands that mend. done: once, from the
 * loop. */
int doctor_rights_start(struct doctor *d, struct ad_dc *dc, const char *base, const char *who,
                        void (*done)(struct doctor *d), struct err *e);

#endif
