/* cloud/mdi.c -- see mdi.h.
 *
 *   mdi_find_start     the identities with the SID: exactly one
 *   on_item, on_items
 *   mdi_invoke_start   only what is offered; sent once
 *   on_invoked         taken over, if the answer names what was asked
 *
 * The service's documents and its metadata spell some members differently, and wrap single objects
 * in "value": both are read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cloud/field.h"
#include "cloud/mdi.h"

enum { PAGES = 3, PATH_LEN = 512, BODY_MAX = 2048, ALL_MS = 60 * 1000 };

struct mdi_call {
    struct graph *graph;
    void *arg;
    struct graph_call *call;
    mdi_identity_cb identity_cb;
    mdi_taken_cb taken_cb;

    char sid[MDI_SID];
    struct mdi_identity found;
    unsigned count;
    bool bad; /* an item could not be read: */
    struct err why;

    char account[MDI_ID];
    enum mdi_action action;
};

static const struct {
    enum mdi_action action;
    const char *word, *words;
} action_words[] = {
    {MDI_DISABLE, "disable", "disable"},
    {MDI_ENABLE, "enable", "enable"},
    {MDI_FORCE_PASSWORD_RESET, "forcePasswordReset", "force password reset"},
    {MDI_REVOKE_ALL_SESSIONS, "revokeAllSessions", "revoke all sessions"},
    {MDI_SIGN_IN_AGAIN, "requireUserToSignInAgain", "require to sign in again"},
    {MDI_MARK_COMPROMISED, "markUserAsCompromised", "mark as compromised"},
};

static const char *const provider_words[] = {
    [MDI_OTHER] = "",
    [MDI_ACTIVE_DIRECTORY] = "activeDirectory",
    [MDI_ENTRA] = "entraID",
    [MDI_OKTA] = "okta",
};

static void call_free(struct mdi_call *c)
{
    if (c == NULL)
        return;
    graph_abandon(c->call);
    free(c);
}

static void call_freep(struct mdi_call **c)
{
    call_free(*c);
}

static int call_new(struct graph *g, void *arg, struct mdi_call **ret_call, struct err *e)
{
    *ret_call = calloc(1, sizeof(**ret_call));
    if (*ret_call == NULL)
        return err_set(e, ERR_NOMEM, 0, "Defender for Identity");
    (*ret_call)->graph = g;
    (*ret_call)->arg = arg;
    return 0;
}

void mdi_cancel(struct mdi_call *c)
{
    if (c->call != NULL)
        graph_cancel(c->call);
}

/* --- words ------------------------------------------------------------------------------------ */

const char *mdi_action_word(enum mdi_action a)
{
    for (size_t i = 0; i < ARRAY_LEN(action_words); i++) {
        if (action_words[i].action == a)
            return action_words[i].word;
    }
    return "";
}

void mdi_actions_text(struct text *t, unsigned actions)
{
    bool any = false;

    for (size_t i = 0; i < ARRAY_LEN(action_words); i++) {
        if ((actions & (unsigned)action_words[i].action) == 0)
            continue;
        text_addf(t, "%s%s", any ? ", " : "", action_words[i].words);
        any = true;
    }
    if (!any)
        text_add(t, "nothing");
}

static enum mdi_provider provider_of(const char *word)
{
    for (size_t i = 1; i < ARRAY_LEN(provider_words); i++) {
        if (text_eq_nocase(word, provider_words[i]))
            return (enum mdi_provider)i;
    }
    return MDI_OTHER;
}

/* --- an identity ------------------------------------------------------------------------------ */

static const struct cJSON *unwrap(const struct cJSON *j)
{
    const struct cJSON *inner = json_get(j, "value");

    return json_is_object(inner) ? inner : j;
}

/* "identityProvider", or "provider" as the documents have it. */
static const char *provider_member(const struct cJSON *j)
{
    const char *s = json_value_str(field_any_case(j, "identityProvider"));

    return s != NULL ? s : json_value_str(field_any_case(j, "provider"));
}

static unsigned read_actions(const struct cJSON *list)
{
    unsigned bits = 0;

    if (!json_is_array(list))
        return 0;
    for (const struct cJSON *c = json_first(list); c != NULL; c = json_next(c)) {
        const char *word = json_value_str(c);

        for (size_t i = 0; word != NULL && i < ARRAY_LEN(action_words); i++) {
            if (text_eq_nocase(word, action_words[i].word))
                bits |= (unsigned)action_words[i].action;
        }
    }
    return bits;
}

static int read_accounts(const struct cJSON *list, struct mdi_identity *x, struct err *e)
{
    if (list == NULL || json_is_null(list))
        return 0;
    if (!json_is_array(list))
        return err_set(e, ERR_INVALID, 0, "'accounts' in the answer is no list");
    for (const struct cJSON *c = json_first(list); c != NULL; c = json_next(c)) {
        struct mdi_account *a = &x->accounts[x->account_count];
        const char *provider = provider_member(c);

        if (x->account_count == MDI_ACCOUNTS)
            return err_set(e, ERR_TOOBIG, 0, "an identity with more than %d accounts",
                           MDI_ACCOUNTS);
        if (provider == NULL)
            return err_set(e, ERR_INVALID, 0, "an account in the answer lacks its provider");
        if (field_str(c, "identifier", FIELD_MUST, a->identifier, sizeof(a->identifier), e) < 0)
            return -1;
        a->provider = provider_of(provider);
        (void)field_shown(a->provider_word, sizeof(a->provider_word), provider);
        a->actions = read_actions(json_get(c, "actions"));
        x->account_count++;
    }
    return 0;
}

int mdi_read_identity(const struct cJSON *j, struct mdi_identity *ret_identity, struct err *e)
{
    struct mdi_identity x = {0};

    j = unwrap(j);
    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, 0, "Defender for Identity: the answer is no identity");
    if (field_str(j, "id", FIELD_MUST, x.id, sizeof(x.id), e) < 0 ||
        field_str(j, "onPremisesSecurityIdentifier", FIELD_MAY_LACK, x.sid, sizeof(x.sid), e) < 0 ||
        field_bool(j, "isEnabled", FIELD_MAY_LACK, &x.has_enabled, &x.enabled, e) < 0 ||
        read_accounts(json_get(j, "accounts"), &x, e) < 0)
        return err_wrap(e, "Defender for Identity");
    if (!field_opaque_ok(x.id))
        return err_set(e, ERR_INVALID, 0,
                       "Defender for Identity: an id has characters it should not have");
    field_copy(x.name, sizeof(x.name), json_str(j, "displayName"));
    field_copy(x.domain, sizeof(x.domain), json_str(j, "domain"));
    field_copy(x.upn, sizeof(x.upn), json_str(j, "userPrincipalName"));
    *ret_identity = x;
    return 0;
}

/* --- find ------------------------------------------------------------------------------------- */

static bool on_item(void *arg, const struct cJSON *item)
{
    struct mdi_call *c = arg;
    struct mdi_identity x;

    if (mdi_read_identity(item, &x, &c->why) < 0) {
        c->bad = true;
        return false;
    }
    if (!text_eq_nocase(x.sid, c->sid)) {
        c->bad = true;
        (void)err_set(&c->why, ERR_CONFLICT, 0,
                      "Defender for Identity answers about another SID than %s", c->sid);
        return false;
    }
    if (c->count == 0 || strcmp(c->found.id, x.id) != 0)
        c->count++;
    c->found = x;
    return c->count < 2;
}

static void on_items(void *arg, const struct err *e)
{
    CLEANUP(call_freep) struct mdi_call *c = arg;
    struct err mine;

    c->call = NULL;
    if (c->bad) {
        e = &c->why;
    } else if (e == NULL && c->count == 0) {
        (void)err_set(&mine, ERR_NOTFOUND, 0, "Defender for Identity knows no account with SID %s",
                      c->sid);
        e = &mine;
    } else if (e == NULL && c->count > 1) {
        (void)err_set(&mine, ERR_AMBIGUOUS, 0,
                      "Defender for Identity has several identities with SID %s", c->sid);
        e = &mine;
    }
    c->identity_cb(c->arg, e == NULL ? &c->found : NULL, e);
}

int mdi_find_start(struct graph *g, const char *sid, mdi_identity_cb cb, void *arg,
                   struct mdi_call **ret_call, struct err *e)
{
    CLEANUP(call_freep) struct mdi_call *c = NULL;
    char path[PATH_LEN];
    const struct graph_ask ask = {.method = "GET", .path = path, .all_ms = ALL_MS};

    if (!field_sid_ok(sid))
        return err_set(e, ERR_USAGE, 0, "Defender for Identity: not a SID");
    if (call_new(g, arg, &c, e) < 0)
        return -1;
    c->identity_cb = cb;
    field_copy(c->sid, sizeof(c->sid), sid);
    (void)snprintf(path, sizeof(path),
                   "/security/identities/identityAccounts?$filter="
                   "onPremisesSecurityIdentifier%%20eq%%20%%27%s%%27",
                   sid);
    if (graph_list(g, &ask, PAGES, on_item, on_items, c, &c->call, e) < 0)
        return -1;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

/* --- act -------------------------------------------------------------------------------------- */

static int read_taken(const struct mdi_call *c, const struct graph_answer *a, struct mdi_taken *t,
                      struct err *e)
{
    const struct cJSON *j = unwrap(a->json);
    const char *account = json_str(j, "accountId"), *action = json_str(j, "action");

    memset(t, 0, sizeof(*t));
    (void)field_shown(t->request_id, sizeof(t->request_id), a->request_id);
    (void)field_shown(t->correlation_id, sizeof(t->correlation_id), json_str(j, "correlationId"));
    if (account == NULL || action == NULL || !text_eq_nocase(account, c->account) ||
        !text_eq_nocase(action, mdi_action_word(c->action)))
        return err_set(e, ERR_UNPROVEN, (int)a->status,
                       "Defender for Identity took something over, and its answer does not name "
                       "what was asked for (request-id %s)",
                       t->request_id);
    return 0;
}

static void on_invoked(void *arg, const struct graph_answer *a, const struct err *e)
{
    CLEANUP(call_freep) struct mdi_call *c = arg;
    struct mdi_taken t;
    struct err mine;

    c->call = NULL;
    if (e == NULL && read_taken(c, a, &t, &mine) < 0)
        e = &mine;
    c->taken_cb(c->arg, e == NULL ? &t : NULL, e);
}

/* The one account of the provider that offers it. */
static int choose(const struct mdi_identity *i, enum mdi_provider provider, enum mdi_action action,
                  const struct mdi_account **ret_account, struct err *e)
{
    unsigned accounts = 0, offers = 0;

    for (size_t k = 0; k < i->account_count; k++) {
        const struct mdi_account *a = &i->accounts[k];

        if (a->provider != provider)
            continue;
        accounts++;
        if ((a->actions & (unsigned)action) == 0)
            continue;
        offers++;
        *ret_account = a;
    }
    if (accounts == 0)
        return err_set(e, ERR_UNSUPPORTED, 0, "Defender for Identity knows no %s account of it",
                       provider_words[provider]);
    if (offers == 0)
        return err_set(e, ERR_UNSUPPORTED, 0,
                       "Defender for Identity does not offer '%s' for its %s account",
                       mdi_action_word(action), provider_words[provider]);
    if (offers > 1)
        return err_set(e, ERR_AMBIGUOUS, 0,
                       "Defender for Identity has %u %s accounts of it that offer '%s'", offers,
                       provider_words[provider], mdi_action_word(action));
    return 0;
}

int mdi_invoke_start(struct graph *g, const struct mdi_identity *i, enum mdi_provider provider,
                     enum mdi_action action, mdi_taken_cb cb, void *arg, struct mdi_call **ret_call,
                     struct err *e)
{
    CLEANUP(call_freep) struct mdi_call *c = NULL;
    CLEANUP(text_done) struct text body = TEXT_INIT(BODY_MAX);
    const struct mdi_account *account = NULL;
    char path[PATH_LEN];
    struct graph_ask ask = {.method = "POST", .path = path, .flags = GRAPH_ALONE, .all_ms = ALL_MS};
    struct json_out o;

    if (provider == MDI_OTHER || (size_t)provider >= ARRAY_LEN(provider_words) ||
        *mdi_action_word(action) == '\0' || !field_opaque_ok(i->id))
        return err_set(e, ERR_USAGE, 0, "Defender for Identity: no such action");
    if (choose(i, provider, action, &account, e) < 0 || call_new(g, arg, &c, e) < 0)
        return -1;
    c->taken_cb = cb;
    c->action = action;
    field_copy(c->account, sizeof(c->account), account->identifier);
    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    json_out_str(&o, "accountId", account->identifier);
    json_out_str(&o, "action", mdi_action_word(action));
    json_out_str(&o, "identityProvider", provider_words[provider]);
    json_out_end_object(&o);
    if (text_check(&body, "Defender for Identity", e) < 0)
        return -1;
    ask.body = body.s;
    (void)snprintf(path, sizeof(path), "/security/identities/identityAccounts/%s/invokeAction",
                   i->id);
    if (graph_start(g, &ask, on_invoked, c, &c->call, e) < 0)
        return -1;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}
