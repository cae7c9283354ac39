/* cloud/okta_inside.h -- inside cloud/okta*.c only.
 *
 *   okta.c         one request: token, sending, one new token after a 401
 *   okta_find.c    reading one user, finding one
 *   okta_change.c  suspend, unsuspend, deactivate; sessions; the System Log
 *   okta_decode.c  what Okta answers. Pure
 */
#ifndef CORDON_CLOUD_OKTA_INSIDE_H
#define CORDON_CLOUD_OKTA_INSIDE_H

#include "base/text.h"
#include "cloud/okta.h"
#include "cloud/pages.h"

enum {
    OKTA_URL_MAX = 8 * 1024,
    OKTA_ANSWER_MAX = 1024 * 1024,
    OKTA_PAGES = 20,
};

/* How an answer went: a is NULL where e says that there was none, or a 401 came twice. */
typedef void (*okta_then)(struct okta_call *c, const struct http_answer *a, const struct err *e);

struct okta {
    struct loop *loop;
    struct http *http;
    struct token_source *token;
    char *root;
    struct okta_call *calls;
    uint64_t answered; /* okta_answered */
};

struct okta_call {
    struct okta *o;
    struct okta_call *prev, *next;

    /* the request under way */
    const char *method; /* a constant */
    struct text url;
    bool changes; /* a POST that is sent once */
    bool renewed; /* a 401 was answered with a new token */
    bool canceled;
    okta_then then;
    struct token_ask *ask;
    struct http_call *http;
    struct secret *used; /* the token it goes with */
    struct loop_timer *timer;
    void (*on_timer)(struct okta_call *c);
    int64_t date_ms; /* of the last answer */
    uint64_t all_ms; /* for a request with all its repetitions; 0: the default */

    /* what it is for */
    char id[OKTA_ID];
    void *arg;
    okta_user_cb user_cb;
    okta_change_cb change_cb;
    okta_done_cb done_cb;
    okta_event_cb event_cb;

    /* find */
    enum okta_by by;
    char *typed;
    struct okta_user user, other;
    unsigned found, gone;
    struct pages pages;

    /* change */
    enum okta_change change;
    struct okta_result r;
    unsigned looks;
    bool unclear, has_why;
    struct err why;

    /* confirm */
    char type[64], actor[OKTA_ID];
    int64_t since_ms, after_ms;
    uint64_t ends, every;
    bool has_foreign;
    struct okta_event foreign;

    uint64_t began; /* sessions: by loop_now */
};

int okta_call_new(struct okta *o, const char *id, struct okta_call **ret_call, struct err *e);
/* Before its callback: that may free the struct okta. */
void okta_call_detach(struct okta_call *c);
void okta_call_free(struct okta_call *c);
void okta_call_freep(struct okta_call **c);

/* Send `method` to c->url; `then` comes later. A failure to begin is -1. */
int okta_ask(struct okta_call *c, const char *method, bool changes, okta_then then, struct err *e);
/* c->url = root + path (constant) + id + rest (constant). */
void okta_url(struct okta_call *c, const char *path, const char *id, const char *rest);
/* The same as okta_ask; where it cannot begin, `then` is called at once with the reason. For calls
 * that run already. */
void okta_ask_on(struct okta_call *c, const char *method, bool changes, okta_then then);
/* `on_timer` in ms; at once where there is no memory. Cancel brings it forward. */
void okta_wait(struct okta_call *c, uint64_t ms, void (*on_timer)(struct okta_call *c));

/* An answer that should be one user, its id the one asked for (NULL: any). */
int okta_user_of(const struct http_answer *a, const char *id, struct okta_user *ret_user,
                 struct err *e);
/* Fill e from an answer that is no success. Always -1. */
int okta_error_of(const struct http_answer *a, bool changes, struct err *e);
int okta_json_of(const struct http_answer *a, struct cJSON **ret_json, struct err *e);
/* From a Link header: the URL of rel="next", into url. False: none. */
bool okta_next_link(const char *header, char *url, size_t size);

#endif
