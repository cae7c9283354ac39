/* agent/mde_leg.h -- AD's part through Live Response of Defender for Endpoint: where no DC takes it
 * over LDAP, or --via mde asks for it.
 *
 * One configured DC after the other, until one has surely made the change, or may have. What the
 * script says is a claim: the account is read back where a DC can be asked, and the DC's log is
 * watched for the event by LocalSystem. It takes minutes; the cloud does not wait for it.
 */
#ifndef CORDON_AGENT_MDE_LEG_H
#define CORDON_AGENT_MDE_LEG_H

#include "agent/casefile.h"

/* Is it configured, allowed (fallback, or --via mde), and is there a script for this action? */
bool mde_leg_wanted(const struct casefile *cf);
/* Did an earlier process leave a run behind? It is followed before anything else is done in AD. */
bool mde_leg_resumes(const struct casefile *cf);
/* run_mde_over comes once, from the loop. -1: it cannot be begun, with why. */
int mde_leg_start(struct casefile *cf, struct err *e);
void mde_leg_free(struct casefile *cf);
void mde_leg_interrupt(struct casefile *cf);
bool mde_leg_busy(struct casefile *cf);        /* still waiting for an answer, which is hurried */
bool mde_leg_ended(const struct casefile *cf); /* true as well where there is none */
size_t mde_leg_goals(const struct casefile *cf, struct goal_facts *ret); /* 0 to 2 */
/* What it did, as far as it is known by now; dc NULL: nothing. Strings borrowed from the case. */
struct mde_did {
    bool disabled, reset, expired;
    const char *dc;
};
void mde_leg_did(const struct casefile *cf, struct mde_did *ret);
void mde_leg_explain(struct casefile *cf);

#endif
