/* agent/service/brake.h -- not too many at once: what is automatic stops before it switches a
 * company off.
 *
 * Counted in the ledger, so that neither a restart nor a clock step lets anything through anew
 * (checklist G4). Rules: so many automatic changes in a while, in all, for each OU and for each
 * signer; and a share of the enabled users of the domain. When one engages, everything automatic is
 * held and an alarm is written, until a person releases it.
 */
#ifndef CORDON_AGENT_SERVICE_BRAKE_H
#define CORDON_AGENT_SERVICE_BRAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/ledger.h"
#include "base/err.h"
#include "config/config.h"

struct brake;

/* Reads the window and the state from the ledger. `l` and cfg are borrowed. */
int brake_new(struct ledger *l, const struct cfg *cfg, struct brake **ret_brake, struct err *e);
void brake_free(struct brake *b);
/* The settings were read anew. */
void brake_configure(struct brake *b, const struct cfg *cfg);
/* How many enabled users the domain has, as asked from AD; 0: not known, the share is not judged.
 */
void brake_users(struct brake *b, const char *domain, uint64_t enabled);

struct brake_ask {
    const char *request, *domain, *signer;
    const char *dn; /* of the account: its OU is the part behind the first RDN */
    int64_t now_ms; /* wall clock */
};
/* May this one go ahead by itself? True: it is counted (a record of kind "automatic" is added; a
 * request that was counted is not counted again). False: `why` says which rule, "20 changes in 10
 * m: brake = 20 per 10m"; the first time that a rule engages it adds a record "brake"
 * {"state":"engaged"} and logs an alarm. */
bool brake_take(struct brake *b, const struct brake_ask *a, char *why, size_t size, struct err *e);
bool brake_is_engaged(const struct brake *b, char *why, size_t size, int64_t *ret_since_ms);
/* A person lets it go: a record, and the window begins anew. `by`: who, from checked credentials.
 */
int brake_release(struct brake *b, const char *by, const char *why, struct err *e);

/* For status: what stands in the window now. */
struct brake_count {
    const char *rule; /* "all", "ou", "signer", "percent" */
    const char *whom; /* the OU or signer with the most; "" */
    unsigned count, limit;
    uint64_t per_ms;
};
size_t brake_counts(const struct brake *b, int64_t now_ms, struct brake_count *ret, size_t max);

#endif
