/* ldap/result.h -- what an LDAP result means for the caller, and in words. For ldap/ only. */
#ifndef CORDON_LDAP_RESULT_H
#define CORDON_LDAP_RESULT_H

#include <gssapi/gssapi.h>
#include <ldap.h>
#include <stdbool.h>

#include "base/err.h"

/* The one table: what a result other than success lets the caller do. `modify`: a change was sent,
 * so that all but a clear "nothing was done" is ERR_UNPROVEN. */
enum err_code ad_result_code(int native, bool modify);

/* Read the result in `msg` (freed here). *e is ERR_NONE on success, else sorted and explained:
 * the code by that table, the words by Windows' extended code in the text
 * (MS-ADTS 3.1.1.3.1.9: the first eight hex digits of the diagnostic message). The referrals in it
 * are added to *referrals (L7). */
int ad_result_err(LDAP *ld, LDAPMessage *msg, bool modify, const char *host, unsigned *referrals,
                  struct err *e);

/* Why a bind failed: GSSAPI's own words, the data code of result 49, and what to do. */
int ad_result_bind_err(LDAP *ld, int rc, struct err *e);
/* Why there is no TLS. libldap keeps GnuTLS's judgement of a certificate to itself ("unknown error
 * code"), so the words ask what a person can look at. `ca_file` NULL: the system's. */
int ad_result_tls_err(LDAP *ld, int rc, const char *ca_file, struct err *e);
/* The same where there is no credential to begin with: GSSAPI's own minor code. */
int ad_result_gss_err(OM_uint32 minor, struct err *e);

#endif
