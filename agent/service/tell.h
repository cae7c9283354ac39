/* agent/service/tell.h -- what the service says of itself, over its socket (control.h). */
#ifndef CORDON_AGENT_SERVICE_TELL_H
#define CORDON_AGENT_SERVICE_TELL_H

#include "agent/service/control.h"

/* arg: struct service. */
extern const struct control_ops tell_ops;

#endif
