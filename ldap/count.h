/* ldap/count.h -- how many entries a filter finds in a domain, page by page, none of them kept. */
#ifndef CORDON_LDAP_COUNT_H
#define CORDON_LDAP_COUNT_H

#include <stdint.h>

#include "base/err.h"
#include "ldap/conn.h"

/* People and services that are not disabled; no computers, no trusts (SAM_USER_OBJECT,
 * MS-SAMR 2.2.1.9). */
#define AD_ENABLED_USERS \
    "(&(sAMAccountType=805306368)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))"

/* cb: once, from the loop; e NULL: n is right as of now. Closing the connection ends it with an
 * error as of ad_search. */
typedef void (*ad_count_cb)(void *arg, uint64_t n, const struct err *e);
int ad_count_start(struct ad_conn *c, const char *base, const char *filter, ad_count_cb cb,
                   void *arg, struct err *e);

#endif
