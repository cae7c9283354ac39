/* cloud/risk.h -- Identity Protection: who is at risk, and telling it who is compromised.
 *
 * One request a second for the whole tenant is kept by cloud/graph. Marking a user is accepted, not
 * done: Identity Protection works on (isProcessing). Words it has learned since are kept as text.
 * Needs Entra ID P2; without it details are masked ("hidden") or the calls are refused, and the
 * error says so. entra-graph.md section 6.
 */
#ifndef CORDON_CLOUD_RISK_H
#define CORDON_CLOUD_RISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cloud/graph.h"

enum risk_level {                     /* in this order */
                  RISK_LEVEL_UNKNOWN, /* see the word */
                  RISK_LEVEL_HIDDEN,  /* masked: no licence */
                  RISK_LEVEL_NONE,
                  RISK_LEVEL_LOW,
                  RISK_LEVEL_MEDIUM,
                  RISK_LEVEL_HIGH,
};
enum risk_state {
    RISK_STATE_UNKNOWN,
    RISK_STATE_NONE,
    RISK_STATE_CONFIRMED_SAFE,
    RISK_STATE_REMEDIATED,
    RISK_STATE_DISMISSED,
    RISK_STATE_AT_RISK,
    RISK_STATE_COMPROMISED,
};
enum { RISK_ID = 40, RISK_WORD = 64, RISK_TEXT = 320 };

struct risk_user {    /* plain: copy it at will */
    char id[RISK_ID]; /* the user's object id */
    enum risk_level level;
    enum risk_state state;
    char level_word[RISK_WORD], state_word[RISK_WORD], detail[RISK_WORD];
    bool processing, deleted;
    int64_t updated_ms; /* 0: none */
    char upn[RISK_TEXT], name[RISK_TEXT];
};
struct risk_detection {
    char id[128], user_id[RISK_ID];
    char type[128]; /* riskEventType: free text */
    enum risk_level level;
    enum risk_state state;
    char level_word[RISK_WORD], state_word[RISK_WORD], detail[RISK_WORD];
    char source[RISK_TEXT], ip[64];
    int64_t activity_ms, detected_ms; /* 0: none */
};

struct risk_call;
/* Hurries the callback; for a mark that was sent ERR_UNPROVEN. */
void risk_cancel(struct risk_call *c);

/* One user; ERR_NOTFOUND: there is no record of risk. ERR_USAGE: no GUID. Errors else as graph.h's,
 * with the missing permission or licence in words. */
typedef void (*risk_user_cb)(void *arg, const struct risk_user *u, const struct err *e);
int risk_read_start(struct graph *g, const char *user_id, risk_user_cb cb, void *arg,
                    struct risk_call **ret_call, struct err *e);

struct risk_filter {
    enum risk_level at_least; /* RISK_LEVEL_UNKNOWN: any; else LOW, MEDIUM or HIGH */
    enum risk_state state;    /* RISK_STATE_UNKNOWN: any */
    size_t max;               /* 0: 1000; then `more` is true */
};
/* All of them, once, at the end. Filtered by the service and again here; deleted users and doubles
 * are left out. users[0..n) is borrowed; NULL where e is not. */
typedef void (*risk_list_cb)(void *arg, const struct risk_user *users, size_t n, bool more,
                             const struct err *e);
int risk_list_start(struct graph *g, const struct risk_filter *f, risk_list_cb cb, void *arg,
                    struct risk_call **ret_call, struct err *e);

/* What was detected about one user since then, newest first; at most 200. */
typedef void (*risk_detections_cb)(void *arg, const struct risk_detection *d, size_t n, bool more,
                                   const struct err *e);
int risk_detections_start(struct graph *g, const char *user_id, int64_t since_ms,
                          risk_detections_cb cb, void *arg, struct risk_call **ret_call,
                          struct err *e);

enum risk_mark { RISK_CONFIRM_COMPROMISED, RISK_DISMISS };
enum risk_marked {
    RISK_ACCEPTED, /* taken over (204), not done */
    RISK_SEEN,     /* the end of the request was unclear, and the user's record shows the mark */
    RISK_NOT_DONE, /* a clear no, or nothing was sent */
    RISK_UNPROVEN, /* sent, no clear end, and the record does not show it (yet) */
};
struct risk_result {
    char id[RISK_ID];
    enum risk_marked how;
    enum err_code code; /* why not; ERR_OK */
};
/* r[0..n) is in the order asked for (borrowed). e: the first error, or NULL where all were accepted
 * or seen. request_id: of the last request. */
typedef void (*risk_mark_cb)(void *arg, const struct risk_result *r, size_t n,
                             const char *request_id, const struct err *e);
/* 1 to 1000 object ids, each once; 60 in a request, each request sent once. ERR_USAGE: no GUID. */
int risk_mark_start(struct graph *g, enum risk_mark mark, const char *const *user_ids, size_t n,
                    risk_mark_cb cb, void *arg, struct risk_call **ret_call, struct err *e);

/* --- pure, for tests ------------------------------------------------------------------------- */
struct cJSON;
enum risk_level risk_level_of(const char *word);
enum risk_state risk_state_of(const char *word);
int risk_read_user(const struct cJSON *j, struct risk_user *ret_user, struct err *e);
int risk_read_detection(const struct cJSON *j, struct risk_detection *ret_detection, struct err *e);

#endif
