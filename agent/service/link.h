/* agent/service/link.h -- the queues that the configuration names, opened. */
#ifndef CORDON_AGENT_SERVICE_LINK_H
#define CORDON_AGENT_SERVICE_LINK_H

#include "base/err.h"
#include "base/loop.h"
#include "cloud/queue.h"
#include "config/config.h"

struct queue_link;

/* watch: tell early of news, where the engine can. ERR_CONFIG: there is no [queue], a key or a
 * folder that cannot be used. Nothing is asked of a service yet. */
int queue_link_open(struct loop *l, const struct cfg *cfg, bool watch, struct queue_link **ret_link,
                    struct err *e);
void queue_link_close(struct queue_link **link);

struct queue *queue_link_requests(struct queue_link *link);
struct queue *queue_link_results(struct queue_link *link); /* NULL: answers go by no queue */

/* Who this agent is: as configured, or the host's name. ERR_CONFIG: that will not do as one. */
int queue_link_agent(const struct cfg *cfg, char *buf, size_t size, struct err *e);

#endif
