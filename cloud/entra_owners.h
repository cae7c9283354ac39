/* cloud/entra_owners.h -- does this user own a group that can hold Entra roles? An owner can make
 * himself a member.
 *
 * Graph takes "what does this user own?" from people only, not from applications. So the tenant's
 * role-assignable groups (500 at most) are listed with their owners: once for all users, kept for a
 * minute, and beside the guard's other questions. Whoever asks meanwhile waits for the same list.
 */
#ifndef CORDON_CLOUD_ENTRA_OWNERS_H
#define CORDON_CLOUD_ENTRA_OWNERS_H

#include "base/err.h"
#include "cloud/graph.h"

struct entra_owners;
int entra_owners_new(struct graph *g, struct entra_owners **ret_owners, struct err *e);
void entra_owners_free(struct entra_owners *o); /* who still waits is never called; before Graph */

/* Begins the list early, where the token is there and allows it; what goes wrong is told to those
 * who ask. */
void entra_owners_warm_up(struct entra_owners *o);

/* group: the name of one that the user owns, "" where it has none; NULL: he owns none. Errors: as
 * of graph_list; ERR_CANCELED. */
typedef void (*entra_owners_cb)(void *arg, const char *group, const struct err *e);
struct entra_owners_ask;
/* id: the user's. -1 with ERR_DENIED: the token does not allow the question. */
int entra_owners_start(struct entra_owners *o, const char *id, entra_owners_cb cb, void *arg,
                       struct entra_owners_ask **ret_ask, struct err *e);
void entra_owners_cancel(struct entra_owners_ask *a); /* hurries the callback */

#endif
