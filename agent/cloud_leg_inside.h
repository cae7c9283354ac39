/* agent/cloud_leg_inside.h -- what cloud_leg.c, cloud_record.c and cloud_sync.c share. */
#ifndef CORDON_AGENT_CLOUD_LEG_INSIDE_H
#define CORDON_AGENT_CLOUD_LEG_INSIDE_H

#include "agent/cloud_leg.h"
#include "agent/ledger.h"

void leg_move(struct cloud_leg *l, enum leg_state next);
void leg_end(struct cloud_leg *l);
void leg_why(struct cloud_leg *l, const struct err *e);
int leg_keep_user(struct cloud_leg *l, const struct entra_user *u, struct err *e);
void leg_repair(struct cloud_leg *l);

/* cloud_record.c: the ledger's part */
int leg_intend(struct cloud_act *x, ledger_cb cb, struct err *e);
void leg_record(const struct cloud_act *x);

void leg_after_acts(struct cloud_leg *l);

/* cloud_audit.c */
bool leg_audit_wanted(const struct cloud_leg *l);
void leg_audit(struct cloud_leg *l); /* then leg_after_acts */

/* cloud_evidence.c */
bool leg_evidence_wanted(const struct cloud_leg *l);
void leg_evidence(struct cloud_leg *l); /* then leg_hold */

/* cloud_sync.c */
bool leg_sync_wanted(const struct cloud_leg *l);
void leg_hold(struct cloud_leg *l); /* watches on where asked to, then ends the leg */
void leg_sync(struct cloud_leg *l); /* then looks again, and ends the leg */

#endif
