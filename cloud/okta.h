/* cloud/okta.h -- users in Okta: find, suspend, end the sessions, confirm; and back.
 *
 * Suspend works from ACTIVE only and can be undone; deactivate cannot (it takes application
 * assignments away) and is a call of its own that nothing else here makes. Every change is preceded
 * by a look and followed by one: an answer is never taken as proof. Tokens go to the configured
 * root only. okta.md.
 *
 * The asynchronous contract of style.md, 1, for all *_start.
 */
#ifndef CORDON_CLOUD_OKTA_H
#define CORDON_CLOUD_OKTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http.h"
#include "base/loop.h"
#include "cloud/token.h"

struct okta;
struct okta_call;

/* root: "https://corp.okta.com". All borrowed but root. */
int okta_new(struct loop *l, struct http *h, struct token_source *token, const char *root,
             struct okta **ret_okta, struct err *e);
void okta_free(struct okta *o); /* calls still running end without their callbacks */
void okta_freep(struct okta **o);
/* By loop_now: when Okta last answered a request with what was asked for; 0: not yet. */
uint64_t okta_answered(const struct okta *o);
/* Hurries the callback: ERR_CANCELED, or ERR_UNPROVEN where a change was sent. */
void okta_cancel(struct okta_call *c);

enum okta_status {
    OKTA_UNKNOWN, /* a word we do not know: cannot be acted on */
    OKTA_STAGED,
    OKTA_PROVISIONED,
    OKTA_ACTIVE,
    OKTA_RECOVERY,
    OKTA_PASSWORD_EXPIRED,
    OKTA_LOCKED_OUT,
    OKTA_SUSPENDED,
    OKTA_DEPROVISIONED,
};

enum { OKTA_ID = 64, OKTA_TEXT = 320 };

struct okta_user { /* plain: copy it at will */
    char id[OKTA_ID];
    enum okta_status status;
    char status_word[40];
    char becoming[40]; /* transitioningToStatus; "": at rest */
    char login[OKTA_TEXT], email[OKTA_TEXT], name[OKTA_TEXT]; /* "" where there is none */
    char provider[40]; /* "OKTA", "ACTIVE_DIRECTORY", ...; "" unknown */
    char provider_name[OKTA_TEXT];
    bool from_ad; /* provider is ACTIVE_DIRECTORY */
    int64_t status_changed_ms, last_login_ms, password_changed_ms; /* 0: none */
};

/* Errors of the reads: ERR_NOTFOUND, ERR_AMBIGUOUS (names both), ERR_DENIED, ERR_AUTH, ERR_BUSY,
 * ERR_TIMEOUT, ERR_UNSENT, ERR_INVALID. The message has Okta's code, errorId and request id. */
typedef void (*okta_user_cb)(void *arg, const struct okta_user *u, const struct err *e);

/* By id. ERR_USAGE: not an id. */
int okta_read_start(struct okta *o, const char *id, okta_user_cb cb, void *arg,
                    struct okta_call **ret_call, struct err *e);

/* Whose API token it is: the actor of what is done with it. Not for a service app, which is its own
 * client id. */
int okta_me_start(struct okta *o, okta_user_cb cb, void *arg, struct okta_call **ret_call,
                  struct err *e);

enum okta_by {
    OKTA_BY_ID,
    OKTA_BY_LOGIN, /* exact; where nobody has it so, also in other case, or as a short login */
    OKTA_BY_MAIL,
};
/* Exactly one user that is not DEPROVISIONED; then read once more by id, which is fresh. */
int okta_find_start(struct okta *o, enum okta_by by, const char *text, okta_user_cb cb, void *arg,
                    struct okta_call **ret_call, struct err *e);

enum okta_change { OKTA_SUSPEND, OKTA_UNSUSPEND, OKTA_DEACTIVATE };
enum okta_outcome {
    OKTA_DONE,     /* it is so, read back after our request */
    OKTA_ALREADY,  /* it was so before, or somebody was faster */
    OKTA_GONE,     /* DEPROVISIONED: nobody can sign in, and nothing can be suspended */
    OKTA_CANNOT,   /* not from this status; nothing was sent */
    OKTA_LATER,    /* a change of status is running: ask again */
    OKTA_NOT_DONE, /* nothing was sent, or a clear no; see the error */
    OKTA_NOT_SO,   /* accepted, and the user is not so when read back */
    OKTA_UNPROVEN, /* sent, and it could not be seen how it ended */
};
const char *okta_outcome_word(enum okta_outcome o);

struct okta_result { /* borrowed during the callback */
    enum okta_outcome outcome;
    bool sent;                    /* a request for the change left us */
    bool accepted;                /* Okta said yes to it */
    bool have_before, have_after; /* what was read before and last */
    struct okta_user before, after;
    int64_t sent_ms; /* Okta's clock about when it was sent; 0: not known */
    char words[256]; /* for a person */
    char request_id[64], after_request_id[64];
};
/* e: NULL for DONE, ALREADY, GONE, CANNOT and LATER; r is never NULL. */
typedef void (*okta_change_cb)(void *arg, const struct okta_result *r, const struct err *e);
/* Look, send (once; never a second time after an unclear end), look. */
int okta_change_start(struct okta *o, const char *id, enum okta_change change, okta_change_cb cb,
                      void *arg, struct okta_call **ret_call, struct err *e);

/* End the sessions at Okta, revoke OAuth tokens, forget remembered devices. Not the applications'
 * own sessions. Twice does no harm. sent_ms: as in okta_result. */
typedef void (*okta_done_cb)(void *arg, const char *request_id, int64_t sent_ms,
                             const struct err *e);
int okta_clear_sessions_start(struct okta *o, const char *id, okta_done_cb cb, void *arg,
                              struct okta_call **ret_call, struct err *e);

struct okta_event { /* of the System Log */
    bool ours;      /* by the actor that was asked for */
    char uuid[64];  /* the evidence */
    char type[64];
    int64_t published_ms;
    char actor_id[OKTA_ID], actor_type[64], actor_name[OKTA_TEXT]; /* alternateId, or "" */
    char transaction[64];
};
/* ev NULL and e NULL: no such event (yet): that proves nothing. Not ev->ours: after all the time
 * there was only somebody else's, which proves nothing of ours. */
typedef void (*okta_event_cb)(void *arg, const struct okta_event *ev, const struct err *e);
struct okta_expect {
    const char *id, *type; /* the user, a target of it; "user.lifecycle.suspend", ... */
    const char *actor;     /* our app's id, or that of the token's admin; NULL: anybody's is ours */
    int64_t since_ms;      /* when it was sent, by Okta's clock; 1 s of tolerance */
    int64_t after_ms;      /* the user's status_changed_ms before it: it is later; 0: not known */
};
/* A successful event as expected. Asked after 1, 2, 4, 5, 5 ... s, for wait_ms in all (0: once). */
int okta_confirm_start(struct okta *o, const struct okta_expect *x, uint64_t wait_ms,
                       okta_event_cb cb, void *arg, struct okta_call **ret_call, struct err *e);

/* --- pure, for tests ------------------------------------------------------------------------- */
bool okta_id_ok(const char *s); /* letters and digits, 16 to 32 */
enum okta_status okta_status_of(const char *word);
struct cJSON;
int okta_read_user(const struct cJSON *j, struct okta_user *ret_user, struct err *e);
/* From a list of events: the first of ours, else the first of somebody else's. False: none.
 * ERR_INVALID: not such a list. */
int okta_read_events(const struct cJSON *list, const struct okta_expect *x,
                     struct okta_event *ret_event, bool *ret_found, struct err *e);
/* Fill e from an answer that is no success: code, words, ids. Always -1. `body` need not be JSON.
 */
int okta_read_error(long status, const char *body, size_t n, const char *challenge,
                    const char *request_id, bool changes, struct err *e);

#endif
