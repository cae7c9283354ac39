/* agent/cloud.h -- what all cases of one run share of the cloud: connections, tokens, clients.
 *
 * Opened once by the configuration; nothing is asked before a case asks. Cases borrow it.
 */
#ifndef CORDON_AGENT_CLOUD_H
#define CORDON_AGENT_CLOUD_H

#include "base/http.h"
#include "base/loop.h"
#include "cloud/entra_owners.h"
#include "cloud/defender.h"
#include "cloud/graph.h"
#include "cloud/okta.h"
#include "cloud/sync.h"
#include "cloud/token.h"
#include "config/config.h"
#include "ldap/dcs.h"

struct cloud {
    struct loop *loop;
    const struct cfg *cfg;
    struct http *http;
    struct token_source *token; /* for Graph; NULL: no [entra] */
    struct graph *graph;
    struct entra_owners *owners; /* of role-assignable groups, for the guard */
    uint64_t down_until;         /* by loop_now: Graph could not be reached just now; 0 */
    struct err down_why;
    struct token_source *logs_token; /* for Log Analytics; NULL until asked for */
    struct sync *sync;
    struct sync_winrm *sync_winrm; /* NULL, but with sync = connect */
    struct sync_mde *sync_mde;     /* in its place, with sync_via = mde */
    char sync_script[64];          /* its script's name in the library; "" */
    struct token_source *defender_token;
    struct defender *defender;  /* NULL: no [defender], or: */
    struct err defender_failed; /* why it can't be used */
    struct token_source *okta_token;
    struct okta *okta;        /* NULL: no [okta] */
    char okta_actor[OKTA_ID]; /* who we are in its log; "": not asked yet */
};

/* domain: whose users the sync job is for; borrowed. ERR_CONFIG: a key or a secret that cannot be
 * used. */
int cloud_open(struct loop *l, const struct cfg *cfg, const struct cfg_domain *domain,
               struct cloud **ret_cloud, struct err *e);
/* Graph alone: for what is no case's business. */
int cloud_open_graph(struct loop *l, const struct cfg *cfg, struct cloud **ret_cloud,
                     struct err *e);
/* The ticket that the sync server is logged in to with: whenever the set of DCs changed. NULLs are
 * fine. */
void cloud_follow(struct cloud *c, struct ad_dcs *dcs);
/* Begins to ask for a token while the DCs are being opened; and then for what the guard will want
 * to know of the tenant. */
void cloud_warm_up(struct cloud *c);
void cloud_close(struct cloud *c);
/* Another token by the same credential, for another resource (Log Analytics); the caller frees. */
int cloud_token(struct cloud *c, const char *scope, struct token_source **ret_token, struct err *e);

#endif
