/* agent/service/brake.h -- not too many at once: what is automatic stops before it switches a
 * company off.
 *
 * Counted in the ledger, so that neither a restart nor a clock step lets anything through anew
 * (checklist G4). Rules: so many automatic changes in a while, in all, for each OU and for each
 * signer; and a share of the enabled users of the domain. When one engages, everything automatic is
 * held and an alarm is written, until a person releases it.
 *
 * The windows go by the time since boot, which nobody can set (base/boot.h); what is from an
 * earlier boot is as old as the wall clock says, less a quarter of an hour, and at least as old as
 * this boot. Who names an OU or a domain in other letters (ASCII) names the same.
 */
#ifndef CORDON_AGENT_SERVICE_BRAKE_H
#define CORDON_AGENT_SERVICE_BRAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/ledger.h"
#include "base/err.h"
#include "config/config.h"

struct brake;

/* Reads the window and the state from the ledger. `l` is borrowed, cfg only for the call.
 * ERR_INVALID: a record of ours that is not as we write it. Errors else as ledger_each's. */
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
    int64_t now_ms; /* wall clock, to tell since when it is engaged; no window goes by it */
};
/* May this one go ahead by itself? True: it is counted (a record of kind "automatic" is added; a
 * request that was counted in the last 7 days is not counted again, and may go on though the brake
 * is engaged since: it was let through). False: `why` says which rule, "20 changes in 10 min: brake
 * = 20 per 10m"; the first time that a rule engages it adds a record "brake" {"state":"engaged"}
 * and logs an alarm. False and e->code not ERR_OK: it could not be counted, so it must be held. The
 * record is on disk with this turn of the loop: before any intent that is added after it.
 *
 * No signer ("" or NULL) or no DN: that rule has nothing to say. */
bool brake_take(struct brake *b, const struct brake_ask *a, char *why, size_t size, struct err *e);
/* Nothing came of it, and its record may not have got to disk: it is counted anew when it is asked
 * for again. */
void brake_forget(struct brake *b, const char *request);
bool brake_is_engaged(const struct brake *b, char *why, size_t size, int64_t *ret_since_ms);
/* A person lets it go: a record, on disk when this returns, and all windows begin anew. `by`: who,
 * from checked credentials. ERR_NOTFOUND: it is not engaged. With another error it stays engaged.
 */
int brake_release(struct brake *b, const char *by, const char *why, struct err *e);

/* For status: what stands in each window now; of OUs, signers and domains the one that is nearest
 * to its limit. "percent" only where a domain has both changes and a known number of users. `whom`
 * is good until the next call. now_ms is not looked at. */
struct brake_count {
    const char *rule; /* "all", "ou", "signer", "percent" */
    const char *whom; /* the OU, signer or domain; "" */
    unsigned count, limit;
    uint64_t per_ms;
};
size_t brake_counts(const struct brake *b, int64_t now_ms, struct brake_count *ret, size_t max);

#endif
