/* cloud/sync.h -- carry one user's change from Active Directory to Entra ID now, and say what came
 * of it.
 *
 * Two engines, chosen by the configuration for each AD domain:
 *
 *   cloud sync     provisionOnDemand for one user, by distinguished name. At most one request per
 *                  user is in flight and five are begun in ten seconds. Its answer can prove what
 *                  was written to Entra ID, and can also tell that an old state was just written
 *                  over ours: the provisioning agent read a domain controller without the change.
 *   Entra Connect  a delta cycle on the sync server, by a runner (WinRM) that is given to us. At
 *                  most one start in five minutes, whoever asks. It proves nothing about a user.
 *
 * How a push ends is data, never fatal: the cycle comes anyway. Whatever it says, the user is to be
 * read again afterwards. Nothing here can restart a job or start a full cycle.
 * entra-graph.md section 8.
 */
#ifndef CORDON_CLOUD_SYNC_H
#define CORDON_CLOUD_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "cloud/graph.h"

enum sync_kind { SYNC_KIND_NONE, SYNC_KIND_CLOUD, SYNC_KIND_CONNECT };

/* Who runs a script in Windows PowerShell on the sync server. The script is always one of the
 * constant texts of this program (sync_script_*). */
struct sync_ran {    /* borrowed during the callback */
    const char *out; /* standard output, UTF-8 */
    size_t len;
    bool truncated;   /* there was more */
    const char *host; /* which one answered; may be NULL */
};
typedef void (*sync_ran_cb)(void *arg, const struct sync_ran *r, const struct err *e);
struct sync_runner {
    /* The asynchronous contract of style.md, 1. `*ret_run` is for cancel. Errors: ERR_UNSENT (it
     * surely did not run), ERR_AUTH, ERR_DENIED, ERR_UNPROVEN (it may have run) ... */
    int (*run)(void *arg, const char *host, const char *script, uint64_t all_ms, sync_ran_cb cb,
               void *cb_arg, void **ret_run, struct err *e);
    void (*cancel)(void *arg, void *run); /* the callback is never made; the run is gone */
    void *arg;                            /* borrowed */
};

struct sync_settings { /* copied */
    enum sync_kind kind;
    const char *domain;        /* DNS name of the AD domain: that of the cloud sync configuration */
    const char *sync_server;   /* SYNC_KIND_CONNECT */
    struct sync_runner runner; /* SYNC_KIND_CONNECT; run == NULL: SYNC_NOT_DONE says so */
    uint64_t wait_ms;          /* how long a push may wait for its turn; 0: 2 min */
    uint64_t lookup_ms;        /* how long job and rule are remembered; 0: 10 min */
    uint64_t cycle_every_ms;   /* between two starts of a Connect cycle; 0: 5 min */
    uint64_t cycle_wait_ms;    /* for the end of a cycle that was running; 0: 10 min */
};

struct sync;
struct sync_push;

/* graph: borrowed; NULL unless SYNC_KIND_CLOUD. ERR_CONFIG: a setting is missing. */
int sync_new(struct loop *l, struct graph *graph, const struct sync_settings *s,
             struct sync **ret_sync, struct err *e);
void sync_free(struct sync *s); /* callbacks still owed are never made */
void sync_freep(struct sync **s);

enum sync_outcome {
    /* Cloud sync. "Other" is the opposite of what was wanted. */
    SYNC_PROVEN,         /* the wanted state was written to Entra ID, or both sides have it */
    SYNC_SAW_OTHER,      /* DANGER: the provisioning agent read a DC without the change; it may have
                            written the other state to Entra ID */
    SYNC_EXPORTED_OTHER, /* DANGER: the other state was written to Entra ID */
    SYNC_NO_PROOF,       /* success, but nothing said about the account's state */
    SYNC_SKIPPED,        /* nothing was written; `words` say why */
    SYNC_UNCLEAR,        /* sent, and no clear answer. As SYNC_SAW_OTHER: look again */
    /* Entra Connect. */
    SYNC_STARTED, /* a delta cycle was started after the push was asked for */
    SYNC_LATER,   /* the next start is due only after the waiting time; it is planned and will be
                     made as long as this struct sync lives */
    /* Both. */
    SYNC_NOT_DONE,  /* nothing was sent: `words` say why */
    SYNC_FAILED,    /* a clear no, in `words` */
    SYNC_FORBIDDEN, /* a permission is missing; `words` name it */
};
const char *sync_outcome_word(enum sync_outcome o); /* "proven", "saw-other", ... */
/* May Entra ID now have the opposite of what is wanted through this push? */
bool sync_outcome_is_danger(enum sync_outcome o);

struct sync_result { /* borrowed during the callback */
    enum sync_outcome outcome;
    char words[512];     /* for a person; quotes outside text safely */
    char health[256];    /* of the job, where it is not well ("in quarantine since ..."); else "" */
    char request_id[64]; /* of the push; "" */
    char job[96];        /* its id, or the sync server; "" */
    enum err_code code;  /* why not, where one error was behind it; ERR_OK */
    bool sent;           /* the push, or the start of a cycle, left us */
};
typedef void (*sync_cb)(void *arg, const struct sync_result *r);

struct sync_ask {        /* copied */
    const char *user_id; /* Entra object id */
    const char *dn;      /* of the AD account */
    bool synchronised; /* onPremisesSyncEnabled as read: where it is false nothing is sent, since a
                          push of a user outside the scope would create one */
    bool want_enabled;
};

/* The push of a user that is already waiting is joined; one that was sent already is not: it may
 * have been read too early, and another one follows it. ret_push may be NULL. Errors of start:
 * ERR_USAGE (no GUID, no DN), ERR_NOMEM. */
int sync_push_start(struct sync *s, const struct sync_ask *ask, sync_cb cb, void *arg,
                    struct sync_push **ret_push, struct err *e);
/* Hurries the callback: SYNC_NOT_DONE with ERR_CANCELED, or SYNC_UNCLEAR where it was sent. */
void sync_push_cancel(struct sync_push *p);

/* Is there a job for the domain, and is it well? For doctor. Cloud sync only (Connect: the server's
 * scheduler, nothing is started). outcome SYNC_PROVEN: well; else as above. */
int sync_check_start(struct sync *s, sync_cb cb, void *arg, struct sync_push **ret_push,
                     struct err *e);

/* --- pure, for tests ------------------------------------------------------------------------- */
/* The body of a provisionOnDemand answer. Never fails but for memory: what cannot be read is
 * SYNC_NO_PROOF or SYNC_UNCLEAR in words. */
struct cJSON;
void sync_read_answer(const struct cJSON *body, const char *user_id, bool want_enabled,
                      struct sync_result *ret_result);

enum sync_cycle {
    SYNC_CYCLE_STARTED,
    SYNC_CYCLE_READY,   /* asked only: nothing runs */
    SYNC_CYCLE_RUNNING, /* one runs already: wait for its end, start again */
    SYNC_CYCLE_BUSY,    /* a connector is busy: try again soon */
    SYNC_CYCLE_STAGING, /* a staging server: it never exports */
    SYNC_CYCLE_OFF,     /* cycles are switched off or suspended */
    SYNC_CYCLE_NO_MODULE,
    SYNC_CYCLE_DENIED,
    SYNC_CYCLE_FAILED,
    SYNC_CYCLE_UNREADABLE,
};
/* What one of our scripts printed: its one line of JSON. words: at least 256 bytes. */
enum sync_cycle sync_read_cycle(const char *out, size_t n, char *words, size_t words_size);
extern const char sync_script_start[]; /* look, and start a delta cycle where that makes sense */
extern const char sync_script_look[];  /* look only */

#endif
