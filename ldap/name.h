/* ldap/name.h -- what a person typed, and the one search that answers it.
 *
 *   alice                       sAMAccountName (computers with their '$')
 *   CORP\alice                  the same, in the domain of that NetBIOS or DNS name
 *   alice@corp.example.com      userPrincipalName, the implicit one (sAMAccountName where the
 *                               suffix is this domain), mail and proxyAddresses, all at once
 *   CN=Alice,OU=X,DC=corp,...   that object, where its DC= parts are this domain
 *   S-1-5-21-... <SID=...>      that object
 *   3f2a...-... {3f2a...}       the object with that objectGUID; also <GUID=...>
 *   24 characters, "==" at end  Entra's immutableId: base64 of mS-DS-ConsistencyGuid, else
 * objectGUID
 *
 * Every character is itself: `*` is no pattern, nothing is trimmed or corrected. Refused, with
 * words that name the character: NUL, controls, and whatever cannot be seen (bidi controls,
 * zero-width: text_is_hidden); so is a space at either end, which the directory may ignore.
 * Letters of any script are fine. Pure functions, no connection.
 */
#ifndef CORDON_LDAP_NAME_H
#define CORDON_LDAP_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"
#include "ldap/sid.h"

#define AD_NAME_MAX 256                 /* bytes of an account name in any form but a DN */
#define AD_NAME_DN_MAX 1024             /* bytes of a DN */
#define AD_NAME_BATCH 50                /* names in one filter */
#define AD_NAME_FILTER_MAX (256 * 1024) /* a good maximum for the caller's struct text */

enum ad_name_kind {
    AD_NAME_SAM,       /* local */
    AD_NAME_DOWNLEVEL, /* domain \ local */
    AD_NAME_UPN,       /* local @ domain */
    AD_NAME_DN,        /* text */
    AD_NAME_SID,       /* sid */
    AD_NAME_GUID,      /* guid */
    AD_NAME_IMMUTABLE, /* guid: of mS-DS-ConsistencyGuid, or else of objectGUID */
};

struct ad_name {
    enum ad_name_kind kind;
    char text[AD_NAME_DN_MAX + 1]; /* as given */
    char local[AD_NAME_MAX + 1];
    char domain[AD_NAME_MAX + 1];
    struct ad_sid sid;
    struct ad_guid guid;
};

/* What the search is about. */
struct ad_name_domain {
    const char *dns;     /* "corp.example.com"; never NULL */
    const char *netbios; /* "CORP"; NULL: not known (yet) */
};

/* domain_dns (may be NULL: do not check) is what a DN's DC= parts must spell. `s` is n bytes, NUL
 * included where there is one. ERR_USAGE: no such name can be; ERR_TOOBIG; ERR_NOTFOUND: a DN in
 * another domain. The message quotes the name safely. */
int ad_name_parse(const char *s, size_t n, const char *domain_dns, struct ad_name *ret_name,
                  struct err *e);
const char *ad_name_kind_word(enum ad_name_kind kind); /* "DN", "user principal name", ... */

/* Append one value to a filter, escaped (RFC 4515 section 3). */
void ad_name_escape(struct text *filter, const void *value, size_t n);

/* The base of a base search, or NULL: a subtree search of the domain. AD_NAME_IMMUTABLE has both:
 * first the base search ("<GUID=...>", indexed), whose answer counts if ad_name_immutable_ok; then
 * the subtree search by mS-DS-ConsistencyGuid, which is not indexed: give it a time limit. */
#define AD_NAME_BASE (AD_NAME_DN_MAX + 1)
const char *ad_name_base(const struct ad_name *name, char buf[AD_NAME_BASE]);
bool ad_name_is_search(const struct ad_name *name); /* DN, SID, GUID: false */
/* consistency: the entry's mS-DS-ConsistencyGuid, NULL and 0 where it has none. */
bool ad_name_immutable_ok(const struct ad_name *name, const void *consistency, size_t n);

/* Append THE filter to `filter`. For a subtree search: every form at once, and every kind of
 * account (people, computers, managed service accounts, trusts), so that the guard refuses krbtgt
 * by its rule instead of "not found". The indexed names stand first, the account types after. For
 * a base search "(objectClass=*)". ERR_NOTFOUND: DOMAIN\name of another domain; ERR_TOOBIG. */
int ad_name_filter(const struct ad_name *name, const struct ad_name_domain *domain,
                   struct text *filter, struct err *e);

/* --- many names in one search ---------------------------------------------------------- */
/* Only SAM, DOWNLEVEL and UPN names of pure ASCII go in: the directory folds other letters in ways
 * we do not (case, accents, width), so that we could not tell who answers whom. */
bool ad_name_batchable(const struct ad_name *name);
/* One filter for 1..AD_NAME_BATCH batchable names, each under the rules of ad_name_filter. */
int ad_name_batch_filter(const struct ad_name *const *names, size_t count,
                         const struct ad_name_domain *domain, struct text *filter, struct err *e);

/* The attributes of one found entry that names are compared with; NULL where not shown. */
struct ad_name_entry {
    const char *sam, *upn, *mail;
    const char *const *proxies; /* proxyAddresses: "SMTP:a@b", ... */
    size_t proxy_count;
};
extern const char *const ad_name_attrs[]; /* to ask for: these four, NULL-terminated */

#define AD_NAME_NONE SIZE_MAX          /* no entry answers: not found */
#define AD_NAME_UNCLEAR (SIZE_MAX - 1) /* ask for this name alone */

/* Which entry answers which name: ret_which[i] is an index into `entries`, NONE or UNCLEAR. An
 * entry that answers no name, or shows a compared value that is not ASCII, makes every name
 * UNCLEAR; two entries for one name make that name UNCLEAR. One entry may answer several names. */
void ad_name_batch_assign(const struct ad_name *const *names, size_t count,
                          const struct ad_name_domain *domain, const struct ad_name_entry *entries,
                          size_t entry_count, size_t *ret_which);

#endif
