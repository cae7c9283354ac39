/* agent/service/outbox.h -- signed answers on their way to whoever asked.
 *
 * Each is in the ledger before it is here. Put into the result directory, one file ID.jws, and onto
 * the result queue, where they are configured; again and again until each has taken it, with a wait
 * between tries that grows to a minute. Then "delivered" goes into the ledger. So: at least once.
 */
#ifndef CORDON_AGENT_SERVICE_OUTBOX_H
#define CORDON_AGENT_SERVICE_OUTBOX_H

#include <stddef.h>

#include "agent/ledger.h"
#include "base/err.h"
#include "base/loop.h"
#include "cloud/queue.h"

struct outbox;

/* agent: who answers. dir, q: NULL, none. All borrowed, agent and dir copied. */
int outbox_new(struct loop *l, struct ledger *ledger, const char *agent, const char *dir,
               struct queue *q, struct outbox **ret_outbox, struct err *e);
/* Frees it; the ledger still has what was not delivered. Before its queue. */
void outbox_free(struct outbox *o);
/* jws: copied; "" is delivered at once, to nobody. One of that id that is on its way already:
 * nothing. */
int outbox_add(struct outbox *o, const char *id, const char *jws, struct err *e);
/* The answer that the ledger has of that id; where it cannot be added now, that is logged, and it
 * goes out with the next start. */
void outbox_add_recorded(struct outbox *o, const char *id);
/* A step of it: ID.NUMBER.jws in the directory, numbers from 1. Kept here alone; an answer that is
 * added behind it waits for it. */
int outbox_add_event(struct outbox *o, const char *id, unsigned number, const char *jws,
                     struct err *e);
size_t outbox_count(const struct outbox *o);
size_t outbox_stuck(const struct outbox *o); /* those that were refused at least once */
/* Has each been tried, and does each wait for its next try? */
bool outbox_is_idle(const struct outbox *o);

#endif
