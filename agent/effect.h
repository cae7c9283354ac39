/* agent/effect.h -- carry out one change at one DC: read, judge, intend, send, read back.
 *
 *   waiting -> reading -> intent -> effect -> evidence -> ended
 *
 * Invariants: nothing is sent before the intent is on disk. Once it is sent, only a clear refusal
 * or the read-back may say how it went. The expectation of the event is open before the sending.
 */
#ifndef CORDON_AGENT_EFFECT_H
#define CORDON_AGENT_EFFECT_H

#include "agent/casefile.h"

/* `account`: as read and judged at that DC a moment ago (taken over), or NULL: read it first.
 * x->done is called once, from the loop. The effect lives until effect_free. */
int effect_start(struct casefile *cf, const struct effect_kind *kind, struct ad_dc *dc,
                 struct ad_account *account, const struct prior *prior,
                 void (*done)(struct effect *x), struct effect **ret_effect, struct err *e);
/* Its DC became ready or went down. */
void effect_dc_changed(struct effect *x);
/* Told to stop: ends as soon as it may; what was sent stays "unknown" until the case is resumed. */
void effect_interrupt(struct effect *x);
void effect_free(struct effect *x); /* only after done */

#endif
