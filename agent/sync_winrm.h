/* agent/sync_winrm.h -- how the sync server is told to sync: one of our scripts, over WinRM.
 *
 * The runner that cloud/sync.h asks for. By the WinRM settings of the domain, as the account that
 * acts in it.
 */
#ifndef CORDON_AGENT_SYNC_WINRM_H
#define CORDON_AGENT_SYNC_WINRM_H

#include "base/err.h"
#include "base/loop.h"
#include "cloud/sync.h"
#include "config/config.h"

struct sync_winrm;
struct ad_ccache;

/* d: borrowed. */
int sync_winrm_new(struct loop *l, const struct cfg_domain *d, struct sync_winrm **ret_sync,
                   struct err *e);
void sync_winrm_free(struct sync_winrm *s); /* after the sync that it runs for. NULL is fine */
/* Valid as long as s. */
struct sync_runner sync_winrm_runner(struct sync_winrm *s);
/* The tickets to log in with (counted here); NULL: the caller's default cache. Until this was
 * called nothing is run: ERR_AUTH. */
void sync_winrm_login(struct sync_winrm *s, struct ad_ccache *cache);

#endif
