/* cloud/entra_rights.h -- may our own principal set the password of a user of the cloud? To be
 * known before anything is sent.
 *
 * It takes a permission of the application and a role of the directory (entra-graph.md 4.4, 5.1).
 * The token says both; but of the roles only those that hold in the whole tenant, so that for one
 * of an administrative unit the principal's own assignments are read. Whether a role reaches this
 * user, only Entra knows: its 403 remains the last word.
 */
#ifndef CORDON_CLOUD_ENTRA_RIGHTS_H
#define CORDON_CLOUD_ENTRA_RIGHTS_H

#include <stdbool.h>

#include "base/err.h"
#include "cloud/entra.h"

enum { ENTRA_RIGHTS_WORDS = 480 };

/* By the token alone, at once: is something missing? words: what, and where to grant it. False also
 * where there is no token yet, or none that can be read. */
bool entra_rights_lacking(const struct token_source *t, char words[ENTRA_RIGHTS_WORDS]);

struct entra_rights {                 /* borrowed for the callback */
    bool known;                       /* the token can be read */
    bool permission;                  /* of the application */
    bool role_known;                  /* whether it holds a role that may reset passwords */
    char role[160];                   /* "User Administrator"; "" */
    char lacking[ENTRA_RIGHTS_WORDS]; /* as above; "": nothing that is known */
};
/* e: the assignments were to be read, and could not. */
typedef void (*entra_rights_cb)(void *arg, const struct entra_rights *r, const struct err *e);
int entra_rights_start(struct graph *g, entra_rights_cb cb, void *arg, struct entra_call **ret_call,
                       struct err *e);

#endif
