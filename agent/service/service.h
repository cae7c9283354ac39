/* agent/service/service.h -- the service: drains the queue, carries requests out, answers.
 *
 * Everything durable is in the ledger (requests.h); what is here is the working copy of it. Opened
 * and closed in one process as often as the configuration is read anew.
 */
#ifndef CORDON_AGENT_SERVICE_SERVICE_H
#define CORDON_AGENT_SERVICE_SERVICE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"

struct service;

struct service_settings { /* borrowed: outlives the service */
    const struct cfg *cfg;
    const char *state_dir;
    const char *socket;  /* of control.h; NULL: none */
    const char *sandbox; /* for status: how far the process is confined; NULL: nothing is said */
    bool once;           /* drain what is there, then end */
};

/* The service must be closed and freed where this fails, too, unless it is NULL then.
 *
 * ended: once, from the loop; e says why it cannot go on (ERR_CONFIG: a list entry that does not
 * resolve), or NULL: it was told to stop, or `once` and all is done. */
int service_open(struct loop *l, const struct service_settings *s,
                 void (*ended)(void *arg, const struct err *e), void *arg,
                 struct service **ret_service, struct err *e);
/* Take nothing new; let what is in flight end, or park it within the stop timeout; then `ended`.
 * reopens: another one is opened in this process: then what hangs is waited for. */
void service_stop(struct service *s, bool reopens);
/* Would this configuration do, as far as can be said beside a running service? done: once, later.
 * ERR_CONFIG names what is wrong. */
int service_check(struct service *s, const struct cfg *next,
                  void (*done)(void *arg, const struct err *e), void *arg, struct err *e);
/* Record of what is in effect now, for the audit. */
void service_note(struct service *s, const char *what, const char *detail);
void service_close(struct service *s); /* after `ended`, when the loop stands */
/* After loop_free, since the last callbacks come from there. NULL is fine. */
void service_free(struct service **s);

#endif
