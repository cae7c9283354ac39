/* agent/sync_mde.h -- how the sync server is told to sync where WinRM does not get there: by Live
 * Response of Defender for Endpoint (sync_via = mde).
 *
 * The runner that cloud/sync.h asks for. Of its two scripts the words do not travel: a signed one
 * in the library (installer/defender/cordon-sync.ps1) can do just these two things, and is told
 * which. It takes minutes, and changes no account.
 */
#ifndef CORDON_AGENT_SYNC_MDE_H
#define CORDON_AGENT_SYNC_MDE_H

#include "base/err.h"
#include "base/loop.h"
#include "cloud/defender.h"
#include "cloud/sync.h"
#include "config/config.h"

struct sync_mde;

/* cfg: borrowed. */
int sync_mde_new(struct loop *l, const struct cfg *cfg, struct sync_mde **ret_sync, struct err *e);
void sync_mde_free(struct sync_mde *s); /* after the sync that it runs for. NULL is fine */
/* Valid as long as s. */
struct sync_runner sync_mde_runner(struct sync_mde *s);
/* By whom (borrowed), and which script of the library. Until this was called, or with NULL:
 * nothing is run, and `why` says why. */
void sync_mde_by(struct sync_mde *s, struct defender *d, const struct defender_script *script,
                 const struct err *why);

#endif
