/* agent/watch_inside.h -- what watch.c (the logs) and watch_expect.c (expectations) share. */
#ifndef CORDON_AGENT_WATCH_INSIDE_H
#define CORDON_AGENT_WATCH_INSIDE_H

#include "agent/watch.h"
#include "base/text.h"
#include "eventlog/source.h"

enum { WATCH_LOGS = 64 };

struct log {
    struct watch *w;
    char *dc;                 /* NULL: of all */
    char *paths[EVLOG_FILES]; /* files */
    unsigned count;           /* of them; 0: asked over WinRM */
    char *host;               /* WinRM: whom to ask */
    struct evlog_source *source;
    bool opened;  /* it was open once */
    bool failed;  /* the first attempt did not open it */
    bool focused; /* WinRM: it was told whom to subscribe for */
    struct err why;
    char mark[EVLOG_MARK]; /* resume: read from here */
    int64_t since_ms;      /* or, where the log was not open then, from this time (wall clock); 0 */
};

struct watch_wait {
    struct watch_wait *next;
    struct watch *w;
    struct log *log;
    struct loop_timer *timer;
    void (*cb)(void *arg);
    void *arg;
};

struct watch {
    struct loop *loop;
    const struct cfg_domain *domain;
    struct evlog_watcher *watcher;
    struct log logs[WATCH_LOGS];
    size_t count;
    void (*ready)(void *arg);
    void *arg;
    bool told, on;
    struct loop_timer *begin, *limit;
    /* WinRM */
    bool winrm, hold;
    char target[AD_SID_TEXT]; /* whom a held watch was turned to */
    struct ad_ccache *ccache; /* counted */
    bool has_cred;
    int64_t since_ms;          /* wall clock, when it was opened */
    uint64_t within_ms, until; /* nobody waits longer for a log */
    struct watch_wait *waits;
    size_t ending;
    void (*ended)(void *arg);
    void *ended_arg;
};

/* The log that speaks for that DC; NULL: none. */
struct log *watch_log_for(struct watch *w, const char *dc);
/* "/var/log/...", or the host that is asked. */
const char *watch_log_name(const struct log *l);

#endif
