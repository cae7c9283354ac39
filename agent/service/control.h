/* agent/service/control.h -- how people and monitors talk to the running service: a Unix socket.
 *
 * One request a connection: a line of JSON {"do":"status"|"pending"|"approve"|"decline"|"brake"|
 * "metrics"|"log-level", ...}, at most 8 KiB, then the answer as JSON lines; 5 s. Mode 0600; who
 * asks is who the kernel says (SO_PEERCRED), never what the line says (checklist U3, R8). No other
 * port is listened on. The other end is `cordon status`, `pending`, `approve`, `decline`, `brake`,
 * `metrics`.
 */
#ifndef CORDON_AGENT_SERVICE_CONTROL_H
#define CORDON_AGENT_SERVICE_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "base/loop.h"

struct control;

/* What the service offers. Each writes members into an open object, or fails. */
struct control_ops {
    int (*status)(void *arg, struct json_out *o, struct err *e);
    int (*pending)(void *arg, struct json_out *o /* an array is open */, struct err *e);
    /* done: the decision is on disk. `by`: "name (uid N)". */
    int (*decide)(void *arg, const char *id, bool approve, const char *by, const char *why,
                  void (*done)(void *done_arg, const struct err *e), void *done_arg, struct err *e);
    int (*brake_release)(void *arg, const char *by, const char *why, struct err *e);
    int (*metrics)(void *arg, struct text *out, struct err *e); /* OpenMetrics */
    int (*log_level)(void *arg, const char *level, struct err *e);
};

int control_open(struct loop *l, const char *path, const struct control_ops *ops, void *arg,
                 struct control **ret_control, struct err *e);
void control_close(struct control **c); /* removes the socket */

/* The client's side, blocking: sends the line, hands each line of the answer over. ERR_NOTFOUND: no
 * service runs there; ERR_DENIED. */
int control_ask(const char *path, const char *line, int (*each)(void *arg, const char *answer),
                void *arg, struct err *e);

#endif
