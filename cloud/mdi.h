/* cloud/mdi.h -- Defender for Identity: another hand that can disable an account.
 *
 * A sensor on a domain controller acts in Active Directory when the service is asked to. Only what
 * an account's own list of actions offers is ever asked for, and a yes means "taken over, not
 * done": the proof is to be read elsewhere (LDAP, IdentityDirectoryEvents). It is a way round a
 * lost LDAP path, not a second way at the same time. entra-graph.md section 7.
 */
#ifndef CORDON_CLOUD_MDI_H
#define CORDON_CLOUD_MDI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cloud/graph.h"

enum mdi_provider { MDI_OTHER, MDI_ACTIVE_DIRECTORY, MDI_ENTRA, MDI_OKTA };
enum mdi_action { /* bits of mdi_account.actions */
                  MDI_DISABLE = 1,
                  MDI_ENABLE = 2,
                  MDI_FORCE_PASSWORD_RESET = 4,
                  MDI_REVOKE_ALL_SESSIONS = 8,
                  MDI_SIGN_IN_AGAIN = 16,
                  MDI_MARK_COMPROMISED = 32,
};
enum { MDI_ID = 128, MDI_TEXT = 320, MDI_SID = 192, MDI_ACCOUNTS = 16 };

struct mdi_account {
    enum mdi_provider provider;
    char provider_word[64]; /* as the service spells it */
    char identifier[MDI_ID];
    unsigned actions; /* what is offered; words we do not know are left out */
};
struct mdi_identity { /* plain: copy it at will */
    char id[MDI_ID];
    char sid[MDI_SID]; /* on premises; "" */
    char name[MDI_TEXT], domain[MDI_TEXT], upn[MDI_TEXT];
    bool has_enabled, enabled; /* as the service last knew it */
    struct mdi_account accounts[MDI_ACCOUNTS];
    size_t account_count;
};

struct mdi_call;
void mdi_cancel(struct mdi_call *c);

/* By SID: exactly one, whose SID is the one asked for. ERR_NOTFOUND, ERR_AMBIGUOUS, ERR_CONFLICT
 * (another SID came back), ERR_USAGE (not a SID); else as graph.h's. */
typedef void (*mdi_identity_cb)(void *arg, const struct mdi_identity *i, const struct err *e);
int mdi_find_start(struct graph *g, const char *sid, mdi_identity_cb cb, void *arg,
                   struct mdi_call **ret_call, struct err *e);

struct mdi_taken { /* accepted, and nothing more */
    char correlation_id[64], request_id[64];
};
/* e: ERR_UNPROVEN where it may have been taken over. */
typedef void (*mdi_taken_cb)(void *arg, const struct mdi_taken *t, const struct err *e);
/* Ask for one action on the account of `provider`. ERR_UNSUPPORTED, at once and with nothing sent:
 * the identity has no such account, or it does not offer the action. ERR_AMBIGUOUS: two accounts
 * do. Sent once. */
int mdi_invoke_start(struct graph *g, const struct mdi_identity *i, enum mdi_provider provider,
                     enum mdi_action action, mdi_taken_cb cb, void *arg, struct mdi_call **ret_call,
                     struct err *e);

/* "disable", "enable", ...: as the service spells it. */
const char *mdi_action_word(enum mdi_action a);
/* "disable, force password reset" for a person; "nothing". */
struct text;
void mdi_actions_text(struct text *t, unsigned actions);

/* --- pure, for tests ------------------------------------------------------------------------- */
struct cJSON;
/* One identity, also where it is wrapped in {"value": {...}}. */
int mdi_read_identity(const struct cJSON *j, struct mdi_identity *ret_identity, struct err *e);

#endif
