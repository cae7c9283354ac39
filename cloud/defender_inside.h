/* cloud/defender_inside.h -- inside cloud/defender*.c only.
 *
 *   defender.c          one request: its turn, token, sending, tries
 *   defender_find.c     machines: by name, by id, by tag
 *   defender_run.c      one script on one machine, from its start to its end
 *   defender_fetch.c    what the script wrote
 *   defender_probe.c    would a run be possible now?
 *   defender_publish.c  the script into the library
 *   defender_read.c     what the service answers. Pure
 *   defender_marker.c   what the script is told and answers, and what that means. Pure
 */
#ifndef CORDON_CLOUD_DEFENDER_INSIDE_H
#define CORDON_CLOUD_DEFENDER_INSIDE_H

#include "base/json.h"
#include "base/text.h"
#include "cloud/defender.h"
#include "cloud/pages.h"

enum {
    DEFENDER_URL_MAX = 8 * 1024,
    DEFENDER_BODY_MAX = 1024 * 1024, /* of a request; the script is in one of them */
    DEFENDER_ANSWER_MAX = 4 * 1024 * 1024,
    DEFENDER_PAGES = 20,
    DEFENDER_MACHINES = 1000,
    DEFENDER_SCRIPT_MAX = 512 * 1024,
    DEFENDER_NAME = 256, /* of a script, with its NUL */
};

/* What our token must hold: bits of defender_request.needs. */
enum { DEFENDER_READS = 1, DEFENDER_RUNS = 2, DEFENDER_LIBRARY = 4 };

/* What was refused, where a caller tells kinds apart. */
enum defender_why {
    DEFENDER_WHY_NONE,
    DEFENDER_WHY_ACTIVE,     /* 400: another action on this machine */
    DEFENDER_WHY_MACHINE,    /* 400, 404: this machine cannot, or is not there */
    DEFENDER_WHY_FEATURE,    /* 403: switched off in the tenant */
    DEFENDER_WHY_DISALLOWED, /* 403: not on this device */
    DEFENDER_WHY_PERMISSION, /* 403, or known before: our token lacks a role */
    DEFENDER_WHY_THROTTLED,  /* 429 */
    DEFENDER_WHY_OTHER,
};

/* Each has its own allowance (defender-endpoint.md 3), for all callers together. */
enum defender_lane { DEFENDER_LANE_CALLS, DEFENDER_LANE_STARTS, DEFENDER_LANES };

struct defender_call;
struct defender_answer {      /* 2xx; borrowed */
    const struct cJSON *json; /* NULL with a bare request */
    const char *body;
    size_t len;
};
typedef void (*defender_then)(struct defender_call *c, const struct defender_answer *a,
                              const struct err *e);

struct defender_request { /* to c->url, with c->body */
    const char *method;   /* a constant */
    const char *type;     /* of c->body; NULL: no body */
    enum defender_lane lane;
    unsigned needs;
    bool again;      /* a POST that does no harm when it is sent twice */
    bool bare;       /* to another host: no token, no place in a lane, no JSON */
    uint64_t try_ms; /* 0: 20 s */
    uint64_t all_ms; /* with its waits and tries; 0: 60 s */
    defender_then then;
};

struct defender_limit { /* so many in so long */
    uint64_t *times;    /* a ring of the last `most` */
    size_t most, count, at;
    uint64_t span_ms;
};

struct defender {
    struct loop *loop;
    struct http *http;
    struct token_source *token;
    char *root, *script;
    bool has_sha256;
    uint8_t sha256[32];
    char **hosts;
    size_t host_count;
    uint64_t wait_ms;
    struct defender_limit starts, minute, hour;
    uint64_t not_before[DEFENDER_LANES]; /* 429 said so */
    struct defender_call *calls;
};

struct defender_action { /* of the service's records */
    char id[64], machine[64];
    char status[32]; /* as it is spelt */
    bool is_final;
    bool succeeded, cancelled, timed_out; /* final ones */
    bool in_progress;
    bool began;      /* a command has a start, or is no longer just created */
    bool ran;        /* a command is over: there may be a result */
    bool ours;       /* its comment has our mark */
    char error[200]; /* of its commands, shown */
    int64_t created_ms;
};

struct defender_output { /* of the script, as the sensor brought it */
    bool has_exit;
    int64_t exit_code;
    char errors[200];   /* shown */
    struct text script; /* what it wrote */
};

struct defender_claim { /* what the script says of itself */
    enum defender_end end;
    char code[40], detail[200], computer[256]; /* shown */
};

enum defender_kind { DEFENDER_FIND, DEFENDER_TAGGED, DEFENDER_RUN, DEFENDER_PROBE, DEFENDER_PUT };
enum { DEFENDER_CHECKS = 7 };

struct defender_call {
    struct defender *d;
    struct defender_call *prev, *next;
    enum defender_kind kind;
    void *arg;

    /* the request under way */
    struct defender_request r;
    struct text url, body;
    unsigned tries;
    bool renewed, placed;
    uint64_t ends;
    struct token_ask *ask;
    struct http_call *http;
    struct secret *used; /* the token it goes with */
    struct loop_timer *timer;
    void (*on_timer)(struct defender_call *c);

    /* of the last answer */
    enum defender_why why;
    char request_id[64];

    /* find, tagged, probe */
    char host[256], machine_id[64], tag[200];
    struct defender_seen *seen;
    size_t seen_count;
    struct pages pages;
    void (*on_machines)(struct defender_call *c, const struct err *e);
    defender_machine_cb machine_cb;
    defender_machines_cb machines_cb;

    /* run */
    int state;
    struct loop_timer *deadline;
    defender_run_cb run_cb;
    char action_id[64], nonce[80], script[DEFENDER_NAME];
    bool has_sha256;
    uint8_t sha256[32];
    void (*started)(void *arg, const char *action_id);
    bool listed_none; /* every look for a lost start was answered, and none had our mark */
    char *payload, *comment;
    uint64_t wait_ms, settle_ends, all_ms, run_ends;
    unsigned looks, link_tries, cancel_tries;
    bool cancel_taken;
    bool over; /* the deadline has passed, or we were told to stop: cancel it */
    bool told_to_stop;
    bool was_running; /* the service had it in progress */
    bool sent;
    bool hash_skipped;
    struct defender_action action;
    void (*on_output)(struct defender_call *c, const struct defender_output *out,
                      const struct err *why_not);

    /* probe */
    struct defender_check checks[DEFENDER_CHECKS];
    struct defender_machine machine;
    defender_probe_cb probe_cb;

    /* publish */
    char sha256_hex[65], form_type[96];
    bool unclear;
    struct err why_unclear;
    defender_publish_cb publish_cb;
};

/* --- defender.c ------------------------------------------------------------------------------ */
int defender_call_new(struct defender *d, enum defender_kind kind, void *arg,
                      struct defender_call **ret_call, struct err *e);
void defender_call_detach(struct defender_call *c); /* before its callback, which may free d */
void defender_call_free(struct defender_call *c);
void defender_call_freep(struct defender_call **c);
/* c->url = root + path, a constant; more may be appended. */
void defender_url(struct defender_call *c, const char *path);
/* "?$filter=" and `filter`, encoded. */
void defender_filter(struct defender_call *c, const char *filter);
/* Sends; `then` comes later, or at once where that is not possible. */
void defender_ask(struct defender_call *c, const struct defender_request *r);
/* Ends the request under way, or the wait: its callback is never made. */
void defender_drop(struct defender_call *c);
/* `then` in ms. -1: no memory, and it never comes. */
int defender_wait(struct defender_call *c, uint64_t ms, void (*then)(struct defender_call *c),
                  struct err *e);

/* --- defender_find.c ------------------------------------------------------------------------- */
/* Asks for the machine of c->machine_id or c->host, or for all of c->tag; they are then in c->seen,
 * whatever they are, and `then` is called. */
void defender_machines(struct defender_call *c,
                       void (*then)(struct defender_call *c, const struct err *e));
/* Name, id or tag as they may go into a path or filter, copied. ERR_USAGE. */
int defender_name_it(struct defender_call *c, const char *host, const char *machine_id,
                     const char *tag, struct err *e);
/* The one of c->seen that is meant, by the rule. */
int defender_the_one(const struct defender_call *c, struct defender_machine *ret_machine,
                     struct err *e);

/* --- defender_fetch.c ------------------------------------------------------------------------ */
/* What the script of c->action_id wrote; out is NULL where it cannot be had: why_not. */
void defender_fetch(struct defender_call *c,
                    void (*then)(struct defender_call *c, const struct defender_output *out,
                                 const struct err *why_not));

/* --- defender_read.c: pure ------------------------------------------------------------------- */
bool defender_machine_id_ok(const char *s); /* 40 hexadecimal digits */
/* Fill e from an answer that is no success. Always -1. `changes`: it may have acted. */
int defender_read_error(long status, const char *body, size_t n, const char *foreign,
                        const char *request_id, bool changes, enum defender_why *ret_why,
                        struct err *e);

struct defender_seen { /* a machine, with what decides */
    struct defender_machine m;
    bool onboarded, server, restricted, tagged;
};
int defender_read_machine(const struct cJSON *j, const char *tag, struct defender_seen *ret_seen,
                          struct err *e);
/* Of n with one name (host NULL: whatever) the one by the rule: its index. */
int defender_choose(const struct defender_seen *seen, size_t n, const char *host, size_t *ret_index,
                    struct err *e);
int defender_read_action(const struct cJSON *j, const char *mark,
                         struct defender_action *ret_action, struct err *e);
/* Of a list of actions, the one with our mark. *ret_found tells. ERR_AMBIGUOUS: several. */
int defender_read_actions(const struct cJSON *list, const char *mark,
                          struct defender_action *ret_action, bool *ret_found, struct err *e);
/* Is the file in the library, and what is its hash? ERR_NOTFOUND, ERR_INVALID. */
int defender_read_library(const struct cJSON *j, const char *name, char sha256_hex[65],
                          struct err *e);
bool defender_script_name_ok(const char *s);

/* --- defender_marker.c: pure ----------------------------------------------------------------- */
bool defender_payload_ok(const char *s);
/* The body of runliveresponse, appended; our mark is in its comment. */
void defender_write_start(struct text *body, const char *script, const char *payload,
                          const char *nonce, const char *comment);
/* What the link leads to. out->script is to be ended by text_done. */
int defender_read_output(const char *body, size_t n, struct defender_output *out, struct err *e);
/* The marker's outcome. ERR_INVALID: none of its five words. */
int defender_read_claim(const char *json, size_t n, struct defender_claim *ret_claim,
                        struct err *e);
/* What a final action means, with what its script wrote (out, claim: NULL where that is not known;
 * why_not: then). Fills end, words, code. */
void defender_judge(const struct defender_action *a, const struct defender_output *out,
                    const struct defender_claim *claim, const struct err *why_not, bool was_running,
                    struct defender_result *r);
bool defender_host_ok(const char *url, char *const *hosts, size_t n);

#endif
