/* ldap/renew.h -- when may the KDC be asked by keytab again? Pure, for ldap/ only (K5).
 *
 * A wrong key is not tried twice: each try counts towards the lock-out of our own account. A keytab
 * that was exchanged since (rotation) is another key. A KDC that does not answer is asked more and
 * more rarely, and one that just gave a ticket is not asked for the next at once.
 */
#ifndef CORDON_LDAP_RENEW_H
#define CORDON_LDAP_RENEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Which keytab: tells whether the file is still the same, without reading it. */
struct ad_keytab_mark {
    uint64_t device, inode, size;
    int64_t modified_ns, changed_ns;
};
void ad_keytab_mark(const char *path, struct ad_keytab_mark *ret); /* no such file: all zero */
bool ad_keytab_same(const struct ad_keytab_mark *a, const struct ad_keytab_mark *b);

struct ad_renew {
    struct ad_keytab_mark tried; /* what the KDC was last asked with */
    unsigned failures;           /* in a row, other than a wrong key */
    uint64_t not_before_ms;      /* by loop_now */
};

bool ad_renew_may(const struct ad_renew *r, const struct ad_keytab_mark *keytab, uint64_t now_ms);
/* Asked with this one; how it went: `e` NULL with a ticket that ends in `left_ms`. */
void ad_renew_asked(struct ad_renew *r, const struct ad_keytab_mark *keytab);
void ad_renew_answered(struct ad_renew *r, const struct err *e, int64_t left_ms, uint64_t now_ms);

/* The key is not the account's: by the krb5 code in `native`. */
bool ad_renew_is_wrong_key(int native);

#endif
