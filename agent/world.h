/* agent/world.h -- what all cases of one run of the program share.
 *
 * Opened once: settings, DCs, event log, ledger, lists resolved to SIDs. Cases borrow it.
 */
#ifndef CORDON_AGENT_WORLD_H
#define CORDON_AGENT_WORLD_H

#include <stdbool.h>

#include "agent/ledger.h"
#include "agent/policy.h"
#include "agent/report.h"
#include "agent/watch.h"
#include "base/loop.h"
#include "config/config.h"
#include "ldap/dcs.h"
#include "ldap/gather.h"

struct casefile;
struct cloud;

struct world {
    struct loop *loop;
    const struct cfg *cfg;
    const struct cfg_domain *domain;
    struct ad_dcs *dcs;
    struct watch *watch;
    bool with_cloud;         /* one is configured and wanted */
    struct cloud *cloud;     /* NULL: none is wanted, or it cannot be used: */
    struct err cloud_failed; /* why */
    struct ledger *ledger;   /* NULL in a dry run; ours, or borrowed */
    struct policy *policy;
    struct ad_gather *gather;
    struct report *report;
    char own_computer[80];    /* this host's sAMAccountName if it were joined: "MGMT1$" */
    uint64_t wait_ms;         /* for convergence */
    struct casefile *running; /* those that hear of DCs that change */
    size_t running_count;
    bool interrupted;

    /* private: opening */
    bool watch_ready, policy_ready, policy_started, policy_failed, told, own_ledger, closed;
    void (*ready)(void *arg, const struct err *e);
    void *arg;
    struct loop_timer *later;
    struct err failed;
};

struct world_opts {
    const struct cfg *cfg;
    const struct cfg_domain *domain;
    bool as_agent, with_ledger, with_watch, with_cloud;
    bool one_account;    /* all of it is about one account: the logs are asked for that one only */
    const char *only_dc; /* --dc */
    const char *state_dir;
    struct ledger *ledger; /* of several worlds, borrowed; or NULL, and with_ledger opens one */
    uint64_t wait_ms;
    struct report *report; /* NULL: nobody is told */
};

/* ready: once, from the loop: NULL when a DC answers, the event log is open (or was given up on)
 * and every list entry is resolved; else why not (ERR_CONFIG: a list entry that does not resolve;
 * ERR_AUTH: no ticket; ERR_UNSENT: no DC). The world must be closed in either case. */
int world_open(struct loop *l, const struct world_opts *opts, struct world *ret_world,
               void (*ready)(void *arg, const struct err *e), void *arg, struct err *e);
/* Its last callbacks come with the loop's next turns: the struct stays until then. */
void world_close(struct world *w);
/* Opened without a DC, it goes on looking for one; then, and only then, its lists are there. */
bool world_can_judge(const struct world *w);
/* The first DC, in order of preference, that can be used now; write: that may be written to. */
struct ad_dc *world_dc(struct world *w, bool write);
bool world_hopeful(const struct world *w);
bool world_has_lists(const struct world *w); /* does the configuration hold or protect anybody? */
/* In words, why there is no DC: each with its reason. */
int world_no_dc(struct world *w, struct err *e);

#endif
