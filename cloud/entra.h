/* cloud/entra.h -- users in Entra ID: who is who, who is privileged, and what may be done to them.
 *
 * A user is decoded strictly: a member that was asked for and is missing, or is of another type, is
 * an error that names it, never a default; the user in the answer must be the one asked for.
 * entra-graph.md 4, 5, 9.1.
 */
#ifndef CORDON_CLOUD_ENTRA_H
#define CORDON_CLOUD_ENTRA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "cloud/entra_owners.h"
#include "cloud/graph.h"
#include "config/config.h"

enum entra_tri { ENTRA_NULL, ENTRA_FALSE, ENTRA_TRUE };

struct entra_user {
    char *id, *upn;            /* never NULL */
    char *display_name;        /* NULL: none; so below */
    bool enabled, guest;       /* accountEnabled; userType Guest */
    enum entra_tri synced;     /* onPremisesSyncEnabled: TRUE: AD owns it */
    enum entra_tri restricted; /* isManagementRestricted */
    char *immutable_id, *sid, *on_prem_sam, *on_prem_domain, *on_prem_dn;
    int64_t sessions_valid_from_ms, password_changed_ms, last_sync_ms; /* 0: none */
};
int entra_user_copy(const struct entra_user *from, struct entra_user *ret, struct err *e);
void entra_user_done(struct entra_user *u);
/* For tests and the fuzzer; want_id NULL: any. */
int entra_user_decode(const struct cJSON *j, const char *want_id, struct entra_user *ret,
                      struct err *e);
/* Lives in the cloud alone: not synchronised, and without a trace of AD. */
bool entra_user_is_cloud_only(const struct entra_user *u);

struct entra_call;
void entra_cancel(struct entra_call *c); /* hurries the callback */

typedef void (*entra_user_cb)(void *arg, const struct entra_user *u, const struct err *e);
int entra_read_start(struct graph *g, const char *id, entra_user_cb cb, void *arg,
                     struct entra_call **ret_call, struct err *e);

/* What AD knows of the account. All borrowed for the call. */
struct entra_facts {
    const char *sid;            /* "S-1-5-..." */
    const uint8_t *guid;        /* objectGUID, 16 bytes as AD stores them */
    const uint8_t *consistency; /* mS-DS-ConsistencyGuid, 16 bytes; NULL: none */
    const char *upn, *domain;   /* DNS name of the domain; upn may be NULL or "" */
};
/* By onPremisesSecurityIdentifier, cross-checked with onPremisesImmutableId; by the latter where no
 * user has the SID; never by name. ERR_NOTFOUND: not synchronised (yet); ERR_CONFLICT: the two
 * sides do not fit, both shown; ERR_AMBIGUOUS: two users. */
int entra_match_start(struct graph *g, const struct entra_facts *f, entra_user_cb cb, void *arg,
                      struct entra_call **ret_call, struct err *e);
/* Its onPremisesImmutableId as an objectGUID, 16 bytes as AD stores them (it may also be an
 * mS-DS-ConsistencyGuid of its own). False: none, or of another form. */
bool entra_anchor_guid(const struct entra_user *u, uint8_t ret_guid[16]);

/* By what a person typed, where AD cannot say who it is: object id, UPN, mail, SID, immutable id; a
 * sAMAccountName only of `domain`. */
int entra_find_start(struct graph *g, const char *typed, const char *domain, entra_user_cb cb,
                     void *arg, struct entra_call **ret_call, struct err *e);

enum entra_privilege { ENTRA_ORDINARY, ENTRA_PRIVILEGED, ENTRA_UNKNOWN };
struct entra_guard { /* borrowed for the callback */
    enum entra_privilege is;
    const char *rule;    /* "privileged", "restricted-unit", "cannot-judge" */
    char words[400];     /* "Entra role Global Administrator", ... */
    char not_asked[300]; /* which questions could not be put, for want of a permission; "" */
};
typedef void (*entra_guard_cb)(void *arg, const struct entra_guard *g, const struct err *e);
/* Active and eligible roles, role-assignable groups (their members, and by `owners` who owns them),
 * restricted units, protected groups (ids or names). What is not answered within budget_ms is
 * UNKNOWN. owners NULL: not asked. */
int entra_guard_start(struct graph *g, struct entra_owners *owners, const struct entra_user *u,
                      uint64_t budget_ms, const struct cfg_list *protected_groups,
                      entra_guard_cb cb, void *arg, struct entra_call **ret_call, struct err *e);

/* date_ms: the service's clock when it said yes; 0: not known. Errors as of graph_start. */
typedef void (*entra_done_cb)(void *arg, int64_t date_ms, const struct err *e);
int entra_enable_start(struct graph *g, const char *id, bool enabled, entra_done_cb cb, void *arg,
                       struct entra_call **ret_call, struct err *e);
/* revokeSignInSessions; the beta's invalidateAllRefreshTokens where that is not offered. */
int entra_revoke_start(struct graph *g, const char *id, entra_done_cb cb, void *arg,
                       struct entra_call **ret_call, struct err *e);
/* password NULL: only "must change". */
int entra_password_start(struct graph *g, const char *id, bool must_change, bool with_mfa,
                         struct secret *password, entra_done_cb cb, void *arg,
                         struct entra_call **ret_call, struct err *e);

struct entra_want { /* what is waited for; zero: nothing */
    bool enabled, disabled;
    int64_t valid_from_ms, password_since_ms;
};
/* Reads the user until it shows what is wanted, or until within_ms. u: as last read, NULL where it
 * never could be (e says why). */
typedef void (*entra_verify_cb)(void *arg, const struct entra_user *u, bool held,
                                const struct err *e);
int entra_verify_start(struct graph *g, const char *id, const struct entra_want *want,
                       uint64_t within_ms, entra_verify_cb cb, void *arg,
                       struct entra_call **ret_call, struct err *e);

#endif
