/* eventlog/source_winrm_inside.h -- what source_winrm.c (the life of a subscription) and
 * source_winrm_open.c (what every source has) share.
 */
#ifndef CORDON_EVENTLOG_SOURCE_WINRM_INSIDE_H
#define CORDON_EVENTLOG_SOURCE_WINRM_INSIDE_H

#include "base/winrm_pull.h"
#include "eventlog/source_ops.h"
#include "eventlog/source_winrm.h"
#include "eventlog/winrm_query.h"

enum {
    WINRM_PULL_MAX = 100, /* events in one answer */
    WINRM_SEEN = 1024,    /* events that are remembered, so that none is handed over twice */
};

enum source_state {
    S_IDLE,
    S_LOGIN,
    S_HELD,
    S_SUBSCRIBING,
    S_WATCHING,
    S_SWEEPING,
    S_WAITING,
    S_ENDED
};

struct winrm_source {
    struct evlog_source base; /* first: ops get its address */
    struct winrm *winrm;
    struct winrm_call *call; /* the one in flight */
    struct winrm_settings settings;
    char *host, *path, *ca_file, *service, *ccache, *certificate, *log, *target_sid;
    int state;
    bool held;    /* no subscription before focus */
    bool bounded; /* a subscription without a bookmark goes back to since_ms */
    bool as_text;
    evlog_ready_cb ready;
    void *ready_arg;
    struct err told; /* what ready is told */
    struct loop_timer *timer, *teller;
    uint64_t poll_ms;
    unsigned max, failures, unreadable;
    struct winrm_subscription now;
    char left[WINRM_CONTEXT]; /* a subscription of ours that may still be open there */
    struct winrm_bookmark bookmark;
    uint32_t gen;            /* of the log: one more with each gap */
    int64_t since_ms;        /* our clock: what a subscription without a bookmark goes back to */
    struct evlog_place from; /* a mark of an earlier run; all 0: none */
    uint64_t seen[WINRM_SEEN];
    unsigned seen_at;
    struct evlog_pos pos; /* of the event in hand */
    bool took;            /* the batch had an event that is one */
    /* the end */
    struct winrm *bye;
    struct winrm_call *bye_call;
    struct loop_timer *bye_timer;
    void (*ended)(void *arg);
    void *ended_arg;
};

struct evlog_query winrm_source_query(const struct winrm_source *s);
/* Our time as the server's, a little early rather than late. */
int64_t winrm_source_there(const struct winrm_source *s, int64_t ours_ms);
/* From idle: log in, or subscribe. */
void winrm_source_begin(struct evlog_source *base);

#endif
