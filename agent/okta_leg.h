/* agent/okta_leg.h -- Okta's part of a case: suspend (or back), and end the sessions.
 *
 *   find -> intent -> suspend -> sessions -> ended
 *                        the System Log, beside them
 *
 * It goes when the cloud's part goes. Suspend can be undone; deactivate cannot, and is done only
 * where it was asked for by its name.
 */
#ifndef CORDON_AGENT_OKTA_LEG_H
#define CORDON_AGENT_OKTA_LEG_H

#include "agent/casefile.h"
#include "cloud/okta.h"

struct okta_leg;

/* Where it is wanted: by --idp okta, or by `contain = yes` in [okta] for contain. */
int okta_leg_start(struct casefile *cf, struct err *e);
void okta_leg_go(struct casefile *cf); /* idempotent */
bool okta_leg_ended(const struct casefile *cf);
bool okta_leg_absent(const struct casefile *cf); /* no such user there; true without a leg */
bool okta_leg_busy(struct casefile *cf);         /* still waiting for an answer, which is hurried */
void okta_leg_interrupt(struct casefile *cf);
void okta_leg_free(struct casefile *cf);
size_t okta_leg_goals(const struct casefile *cf, struct goal_facts *ret, size_t max);
const struct okta_user *okta_leg_user(const struct casefile *cf); /* as last read; NULL: nobody */
/* What is still open, or cannot come back. Constants. */
unsigned okta_leg_residual(const struct casefile *cf, const char *ret[2]);
void okta_leg_explain(struct casefile *cf);
void okta_leg_dry(struct casefile *cf);

#endif
