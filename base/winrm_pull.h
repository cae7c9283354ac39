/* base/winrm_pull.h -- WS-Eventing pull subscriptions: subscribe, pull, unsubscribe (winrm.md 4).
 *
 * One request each on a struct winrm; what to do with a fault is the caller's affair.
 */
#ifndef CORDON_BASE_WINRM_PULL_H
#define CORDON_BASE_WINRM_PULL_H

#include "base/winrm.h"

#define WINRM_EVENTLOG "http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog"
#define WINRM_EVENTQUERY "http://schemas.microsoft.com/win/2004/08/events/eventquery"
#define WINRM_EARLIEST "http://schemas.dmtf.org/wbem/wsman/1/wsman/bookmark/earliest"

enum {
    WINRM_CONTEXT = 256, /* bytes of a context or an identifier, NUL included */
    WINRM_BOOKMARKS = 4, /* channels of one bookmark */
};

struct winrm_bookmark {
    size_t count; /* 0: none */
    struct winrm_place {
        char channel[128];
        uint64_t record;
        bool current;
    } at[WINRM_BOOKMARKS];
};

struct winrm_subscribe {  /* borrowed during the call of _start */
    const char *resource; /* NULL: WINRM_EVENTLOG */
    const char *dialect;  /* NULL: WINRM_EVENTQUERY */
    const char *filter;   /* as text; NULL: none */
    /* An event query as child elements of Filter (the form of the specification): writes
     * <QueryList xmlns="">...; NULL: `filter` as text. */
    void (*query)(struct xml_out *x, const void *arg);
    const void *arg;
    const struct soap_pair *options;
    size_t option_count;
    uint64_t heartbeat_ms;             /* 0: none asked for */
    const struct winrm_bookmark *from; /* NULL or count 0: from now on */
    bool earliest;                     /* all that is in the log */
    uint64_t operation_ms;
};
struct winrm_subscription {
    char identifier[WINRM_CONTEXT]; /* "" where the server gave none */
    char context[WINRM_CONTEXT];
};
typedef void (*winrm_subscribe_cb)(void *arg, const struct winrm_subscription *s,
                                   const struct soap_fault *f, const struct err *e);
int winrm_subscribe_start(struct winrm *w, const struct winrm_subscribe *s, winrm_subscribe_cb cb,
                          void *arg, struct winrm_call **ret_call, struct err *e);

struct winrm_pull {
    const char *resource; /* as subscribed */
    const char *context;
    unsigned max;          /* elements at most; 0: 100 */
    uint64_t operation_ms; /* the long poll */
    const struct soap_pair *options;
    size_t option_count;
};
struct winrm_pulled {             /* borrowed during the callback */
    const struct xml_node *items; /* its children are the items; NULL: none */
    const char *context;          /* the next one's; "" where the server gave none */
    bool ended;                   /* EndOfSequence */
    struct winrm_bookmark bookmark;
};
typedef void (*winrm_pull_cb)(void *arg, const struct winrm_pulled *p, const struct soap_fault *f,
                              const struct err *e);
/* Never repeated by itself: the first may have been served. */
int winrm_pull_start(struct winrm *w, const struct winrm_pull *p, winrm_pull_cb cb, void *arg,
                     struct winrm_call **ret_call, struct err *e);

typedef void (*winrm_done_cb)(void *arg, const struct soap_fault *f, const struct err *e);
int winrm_unsubscribe_start(struct winrm *w, const char *resource, const char *identifier,
                            winrm_done_cb cb, void *arg, struct winrm_call **ret_call,
                            struct err *e);

struct winrm_identity {
    char vendor[128], version[128], protocol[128]; /* shown text */
};
typedef void (*winrm_identify_cb)(void *arg, const struct winrm_identity *i,
                                  const struct soap_fault *f, const struct err *e);
int winrm_identify_start(struct winrm *w, bool anonymous, winrm_identify_cb cb, void *arg,
                         struct winrm_call **ret_call, struct err *e);

#endif
