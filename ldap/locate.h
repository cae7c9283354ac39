/* ldap/locate.h -- the DCs of a domain by DNS, nearest first.
 *
 * SRV _ldap._tcp.dc._msdcs.DOMAIN (MS-ADTS 6.3.2.3), ordered by RFC 2782; an LDAP ping (MS-ADTS
 * 6.3.3) of the first that answers tells our site, whose DCs (_ldap._tcp.SITE._sites.dc._msdcs)
 * then come first. A name that does not end in the domain's suffix is dropped (checklist K2).
 */
#ifndef CORDON_LDAP_LOCATE_H
#define CORDON_LDAP_LOCATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"

#define AD_LOCATE_MAX 64

struct ad_location {
    char host[256];
    unsigned port;
    bool in_site;
};
struct ad_locations {
    struct ad_location at[AD_LOCATE_MAX];
    size_t count;
    char site[64]; /* "" unknown */
};

/* locs borrowed for the call; NULL with err (ERR_UNSENT: DNS does not answer; ERR_NOTFOUND: no
 * such records). Once, from the loop. `site` NULL: ask. */
typedef void (*ad_locate_cb)(void *arg, const struct ad_locations *locs, const struct err *e);
int ad_locate_start(struct loop *l, const char *domain, const char *site, ad_locate_cb cb,
                    void *arg, struct err *e);

#endif
