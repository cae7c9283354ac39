/* agent/policy.h -- the lists of the configuration, resolved once, and the guard over all of it.
 *
 * Every entry is resolved to a SID (or a DN, for an OU) at start: one that does not resolve stops
 * the start, since a never-list with a typo protects nobody (checklist F4).
 */
#ifndef CORDON_AGENT_POLICY_H
#define CORDON_AGENT_POLICY_H

#include <stdbool.h>

#include "base/err.h"
#include "config/config.h"
#include "ldap/account.h"
#include "ldap/dcs.h"
#include "ldap/protect.h"

struct policy;

/* cb once, from the loop: policy (the caller's) or an error: ERR_CONFIG names the entry. */
typedef void (*policy_cb)(void *arg, struct policy *p, const struct err *e);
int policy_resolve_start(struct ad_dc *dc, const struct cfg_policy *cfg, policy_cb cb, void *arg,
                         struct err *e);
void policy_free(struct policy *p);

/* Is this DN that container, or below it? Both as the DC spells them; ASCII case folded. */
bool policy_below(const char *dn, const char *container);

/* Groups without a fixed SID that mean privilege (DnsAdmins ..., and the configured ones). */
const struct ad_named_sid *policy_privileged(const struct policy *p, size_t *ret_count);

/* A list that permits, such as a signer's: resolved as above. `what` names it in an error:
 * "[signer/x] accounts". Its policy answers policy_only, and no other question. */
int policy_only_start(struct ad_dc *dc, const struct cfg_list *only, const char *what, policy_cb cb,
                      void *arg, struct err *e);
/* Is the account on it, by whatever entry? */
bool policy_only(const struct policy *p, const struct ad_account *a);

enum policy_family { POLICY_DISABLE = 1, POLICY_CREDENTIALS = 2 };
/* True: the lists let it pass. False: held, with the rule ("never_disable", "always_disable") and
 * the entry in words. */
bool policy_lists(const struct policy *p, int families, const struct ad_account *a,
                  const char **ret_rule, char *detail, size_t size);

#endif
