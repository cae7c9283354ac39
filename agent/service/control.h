/* agent/service/control.h -- how people and monitors talk to the running service: a Unix socket.
 *
 * One request a connection: a line of JSON {"do":"status"|"pending"|"approve"|"decline"|"brake"|
 * "metrics"|"log-level", ...}, at most 8 KiB, then the answer as JSON lines; 5 s. Mode 0600; who
 * asks is who the kernel says (SO_PEERCRED), never what the line says (checklist U3, R8). No other
 * port is listened on. The other end is `cordon status`, `pending`, `approve`, `decline`, `brake`,
 * `metrics`.
 *
 *   approve, decline   "id", "why" (approve: if you like)       -> {"type":"done","by":...}
 *   brake              "why": releases it                       -> the same
 *   log-level          "level"                                  -> the same
 *   status             -> {"type":"status", what ops.status writes}
 *   pending            -> {"type":"pending","pending":[what ops.pending writes]}
 *   metrics            -> {"type":"metrics","text":...}
 *   any                -> {"type":"error","error":(err_word),"why":...}
 */
#ifndef CORDON_AGENT_SERVICE_CONTROL_H
#define CORDON_AGENT_SERVICE_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "base/loop.h"

struct control;

/* What the service offers; NULL: not that. Each writes members into an open object, or fails.
 * Two members of status have a meaning to `cordon status`: "degraded", an array of sentences (not
 * empty: it ends with 10), and "brake", an object with "engaged". */
struct control_ops {
    int (*status)(void *arg, struct json_out *o, struct err *e);
    int (*pending)(void *arg, struct json_out *o /* an array is open */, struct err *e);
    /* done: the decision is on disk. `by`: as of control_who_name. */
    int (*decide)(void *arg, const char *id, bool approve, const char *by, const char *why,
                  void (*done)(void *done_arg, const struct err *e), void *done_arg, struct err *e);
    int (*brake_release)(void *arg, const char *by, const char *why, struct err *e);
    int (*metrics)(void *arg, struct text *out, struct err *e); /* OpenMetrics */
    int (*log_level)(void *arg, const char *level, struct err *e);
};

/* The folder must be trusted (base/file.h). A socket that a dead process left is replaced;
 * ERR_BUSY: a live one is there. ERR_CONFIG: no socket, or a path that cannot be one. `ops` is
 * copied. */
int control_open(struct loop *l, const char *path, const struct control_ops *ops, void *arg,
                 struct control **ret_control, struct err *e);
/* Removes the socket. A decision that is under way is carried through, and its `done` must still be
 * called (before loop_free): close this before the ledger. */
void control_close(struct control **c);

/* The client's side, blocking, 7 s at most: sends the line, hands each line of the answer over
 * until `each` does not return 0 (nothing of an answer that is not whole). ERR_NOTFOUND: no service
 * runs there; ERR_DENIED; ERR_UNSENT, ERR_BUSY: not asked; ERR_UNPROVEN: asked, and no answer. */
int control_ask(const char *path, const char *line, int (*each)(void *arg, const char *answer),
                void *arg, struct err *e);

#endif
