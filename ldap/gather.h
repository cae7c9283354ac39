/* ldap/gather.h -- many small questions to one DC, asked as few.
 *
 * Look-ups by name and read-backs by GUID that wait at the same time go out in one search; each
 * asker gets the answer it would have got alone. Whatever is not clear in the common answer (two
 * entries for a name, an entry that no name explains, an account that is not there, an error of the
 * search) is asked again, alone. A DC spends 0.1 ms on a search and a fifth of that on one more
 * name in it (docs/performance.md).
 */
#ifndef CORDON_LDAP_GATHER_H
#define CORDON_LDAP_GATHER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"
#include "ldap/account.h"
#include "ldap/dcs.h"

struct ad_gather;

int ad_gather_new(struct loop *l, struct ad_gather **ret_gather, struct err *e);
void ad_gather_free(struct ad_gather *g); /* what still waits is not called back */
/* Crowded: many are under way, so that a question may wait some milliseconds for company. Else it
 * goes out in the next turn of the loop. */
void ad_gather_crowded(struct ad_gather *g, bool crowded);

/* As ad_find_start and ad_read_start (AD_READ_PROVE), at that DC. dc must outlive g. Where it is
 * not ready when the question would go out: ERR_UNSENT. */
int ad_gather_find(struct ad_gather *g, struct ad_dc *dc, const struct ad_name *name, ad_find_cb cb,
                   void *arg, struct err *e);
int ad_gather_prove(struct ad_gather *g, struct ad_dc *dc, const struct ad_guid *guid,
                    ad_read_cb cb, void *arg, struct err *e);

#endif
