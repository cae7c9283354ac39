/* ldap/find.h -- from a name to one account: its GUID, SID and names.
 *
 * A look-up asks for all forms that a name may have in one search, and takes two answers for an
 * error that lists both.
 */
#ifndef CORDON_LDAP_FIND_H
#define CORDON_LDAP_FIND_H

#include <stddef.h>

#include "base/err.h"
#include "ldap/conn.h"
#include "ldap/name.h"
#include "ldap/sid.h"

struct ad_found {
    struct ad_guid guid;
    struct ad_sid sid;
    char *dn, *sam, *upn;       /* never NULL once decoded; sam and upn may be "" */
    struct ad_guid consistency; /* mS-DS-ConsistencyGuid */
    bool has_consistency;
};
#define AD_FIND_MAX 3 /* asked for at most: two are already too many */

int ad_found_copy(const struct ad_found *from, struct ad_found *ret, struct err *e);
void ad_found_done(struct ad_found *f); /* frees the texts */
/* ERR_INVALID: no objectGUID, or the wrong size of anything. A SID of length 0: none was shown. */
int ad_found_decode(const struct ad_entry *en, struct ad_found *ret, struct err *e);

/* cb: count 1: found. ERR_NOTFOUND; ERR_AMBIGUOUS with what was found (two or three), the message
 * listing them; other errors as of the connection. `found` is borrowed for the call. */
typedef void (*ad_find_cb)(void *arg, const struct ad_found *found, size_t count,
                           const struct err *e);
int ad_find_start(struct ad_conn *c, const struct ad_name *name,
                  const struct ad_name_domain *domain, const char *domain_dn, ad_find_cb cb,
                  void *arg, struct ad_op **ret_op, struct err *e);

/* What a look-up of what was typed says, in `domain`, where n accounts answer: 0 for exactly one
 * with a SID, else -1 and *e as above. */
int ad_find_judge(const char *typed, const char *domain, const struct ad_found *found, size_t n,
                  struct err *e);

#endif
