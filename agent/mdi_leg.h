/* agent/mdi_leg.h -- AD's part by Defender for Identity (--via mdi): another hand, not a second. */
#ifndef CORDON_AGENT_MDI_LEG_H
#define CORDON_AGENT_MDI_LEG_H

#include "agent/casefile.h"

/* run_mdi_over comes once, from the loop. -1: it cannot be begun, with why. */
int mdi_leg_start(struct casefile *cf, struct err *e);
void mdi_leg_free(struct casefile *cf);
bool mdi_leg_busy(struct casefile *cf); /* still waiting for an answer, which is hurried */
size_t mdi_leg_goals(const struct casefile *cf, struct goal_facts *ret); /* 0 or 1 */
void mdi_leg_explain(struct casefile *cf);

#endif
