/* cloud/hunting.h -- the same events where a SIEM keeps them: query texts, and their answers.
 *
 * Texts are made from constants, a checked SID, checked ids and times of ours; nothing else is ever
 * put into one. Two services answer: advanced hunting (Graph: IdentityDirectoryEvents) and Log
 * Analytics (SecurityEvent). Both lag by minutes: rows are evidence, no rows are none.
 * entra-graph.md sections 9.3 and 9.4.
 */
#ifndef CORDON_CLOUD_HUNTING_H
#define CORDON_CLOUD_HUNTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http.h"
#include "base/loop.h"
#include "base/text.h"
#include "cloud/graph.h"
#include "cloud/token.h"

enum { HUNT_ROWS = 1000, HUNT_TEXT = 256, HUNT_SID = 192, HUNT_SPAN_DAYS = 30 };

/* --- texts ----------------------------------------------------------------------------------- */
/* All append to t. ERR_USAGE: not a SID, a time out of range, to before from, more than
 * HUNT_SPAN_DAYS. Times are Unix ms. */

/* KQL for Log Analytics: SecurityEvent 4725, 4722, 4738, 4724 about the SID. */
int hunt_text_security_event(struct text *t, const char *sid, int64_t from_ms, int64_t to_ms,
                             struct err *e);
/* KQL for advanced hunting: IdentityDirectoryEvents, account disabled or enabled. */
int hunt_text_identity(struct text *t, const char *sid, int64_t from_ms, int64_t to_ms,
                       struct err *e);
/* The filter of Event Viewer (its XML tab) for the same events on a domain controller: 1 to 16 ids
 * of 1 to 65535; NULL and 0: those four. No times. */
int hunt_text_query_xml(struct text *t, const char *sid, const unsigned *ids, size_t n,
                        struct err *e);

/* --- asking ---------------------------------------------------------------------------------- */
struct hunt_row {
    int64_t time_ms;
    unsigned event_id;      /* 4725, ...; 0: none given */
    char action[HUNT_TEXT]; /* "Account disabled", or what the event id means */
    char computer[HUNT_TEXT];
    char actor[HUNT_TEXT];    /* "" where it is not said */
    char actor_sid[HUNT_SID]; /* the same */
    char target_sid[HUNT_SID];
};
struct hunt_rows { /* borrowed during the callback; in order of time */
    const struct hunt_row *rows;
    size_t count;
    size_t left_out;      /* rows about another SID, outside the window, or without a time */
    bool partial;         /* the service says that it could not finish; `note` why */
    bool more;            /* there may be more than HUNT_ROWS */
    char note[HUNT_TEXT]; /* outside text, made safe; "" */
    char request_id[64];
};
/* Errors as graph.h's; ERR_INVALID: not such an answer. */
typedef void (*hunt_cb)(void *arg, const struct hunt_rows *r, const struct err *e);
struct hunt_call;
void hunt_cancel(struct hunt_call *c);

int hunt_identity_start(struct graph *g, const char *sid, int64_t from_ms, int64_t to_ms,
                        hunt_cb cb, void *arg, struct hunt_call **ret_call, struct err *e);

/* Log Analytics: a token source of its own (scope "https://api.loganalytics.io"). */
struct hunt_workspace { /* borrowed until the callback */
    struct loop *loop;
    struct http *http;
    struct token_source *token;
    const char *root;      /* "https://api.loganalytics.io" */
    const char *workspace; /* GUID */
};
int hunt_security_event_start(const struct hunt_workspace *w, const char *sid, int64_t from_ms,
                              int64_t to_ms, hunt_cb cb, void *arg, struct hunt_call **ret_call,
                              struct err *e);

/* --- pure, for tests ------------------------------------------------------------------------- */
struct cJSON;
struct hunt_table; /* rows as they are collected */
/* Both shapes: {"schema","results"} with any case of the names, and {"tables":[{"columns","rows"}],
 * "error"?}. `ret` owns its rows until hunt_table_free. */
int hunt_read(const struct cJSON *body, const char *sid, int64_t from_ms, int64_t to_ms,
              struct hunt_table **ret_table, struct err *e);
void hunt_table_rows(const struct hunt_table *t, struct hunt_rows *ret_rows);
void hunt_table_free(struct hunt_table *t);
void hunt_table_freep(struct hunt_table **t);

#endif
