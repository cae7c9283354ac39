/* cloud/defender.h -- Live Response of Defender for Endpoint: one library script, run on one DC.
 *
 * The fallback where no DC takes the change over LDAP (defender-endpoint.md). A run takes minutes;
 * its end is data. What a run says is never proof: the directory and the events are (agent/).
 *
 *   machines   which machine is that DC? by name, by id, by tag
 *   probe      would a run be possible now?
 *   run        start, poll, result link, marker line
 *   publish    the script into the library, its hash checked afterwards
 */
#ifndef CORDON_CLOUD_DEFENDER_H
#define CORDON_CLOUD_DEFENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http.h"
#include "base/loop.h"
#include "base/text.h"
#include "cloud/token.h"

struct defender;
struct defender_call;

struct defender_settings { /* copied */
    const char *url;       /* "https://api.securitycenter.microsoft.com" or a regional root */
    const char *script;    /* its name in the library: "cordon-dc.ps1" */
    const uint8_t *sha256; /* of the script as shipped or signed by the customer; NULL: not checked.
                              Else it is looked up before each run, where our token may
                              (Library.Manage); what differs is never run */
    const char *const *result_hosts; /* hosts that a result link may have besides the reference's,
                                        with all below them: "blob.example.com"; with a port only
                                        where it is named: "blob.example.com:8443" */
    size_t result_host_count;
    uint64_t wait_ms; /* until a run is looked at first, the other waits by it; 0: 10 s (tests name
                         another) */
};
/* http, token: borrowed. ERR_CONFIG: no root, or a name that the library would not take. */
int defender_new(struct loop *l, struct http *http, struct token_source *token,
                 const struct defender_settings *s, struct defender **ret_defender, struct err *e);
void defender_free(struct defender *d); /* callbacks still owed are never made */
void defender_freep(struct defender **d);

struct defender_machine {
    char id[64], name[256]; /* name: its DNS name, lower case */
    char health[32], os[64];
    int64_t seen_ms;
    bool active;
};
/* The machine of a DC: by DNS name, the selection rule of the reference (newest, active, onboarded;
 * two that fit equally well are ERR_AMBIGUOUS), or by id (40 hex digits; its name must then be
 * `host`, which may be NULL: ERR_CONFLICT). ERR_NOTFOUND, ERR_DENIED, ERR_UNSUPPORTED (onboarded in
 * restricted mode: no script ever runs there), ERR_BUSY (throttled) ... */
typedef void (*defender_machine_cb)(void *arg, const struct defender_machine *m,
                                    const struct err *e);
int defender_find_start(struct defender *d, const char *host, const char *machine_id,
                        defender_machine_cb cb, void *arg, struct defender_call **ret_call,
                        struct err *e);
/* All machines with a tag; the caller checks them against the DCs that DNS shows. One for each
 * name, by the same rule; where two fit equally well both are there, and neither is to be used. */
typedef void (*defender_machines_cb)(void *arg, const struct defender_machine *m, size_t n,
                                     const struct err *e);
int defender_tagged_start(struct defender *d, const char *tag, defender_machines_cb cb, void *arg,
                          struct defender_call **ret_call, struct err *e);

enum defender_end {
    DEFENDER_DONE,    /* the script says that it made the change, and saw it */
    DEFENDER_ALREADY, /* it says that it was so */
    DEFENDER_REFUSED, /* it, or the service, refused: nothing was changed */
    DEFENDER_FAILED,  /* surely nothing was changed */
    DEFENDER_BUSY,    /* another action runs on that machine: try the next DC */
    DEFENDER_UNKNOWN, /* it may have been done, or may still be: look */
};
const char *defender_end_word(enum defender_end end);

struct defender_result { /* borrowed during the callback */
    enum defender_end end;
    char words[512];    /* for a person, and what to do */
    char action_id[64]; /* "" where none was made */
    char request_id[64];
    bool cancelled;      /* we cancelled it, and the service confirmed */
    bool may_still_fire; /* it was sent, is not over, and could not be cancelled */
    bool elsewhere;      /* refused for this machine only: another one may take it */
    bool not_there;      /* looked for by its nonce, and every answer listed none: it was never
                            taken, or the service does not show it yet */
    const char *marker;  /* the marker's JSON, of our nonce: a claim, for the agent to read; NULL:
                            none */
    size_t marker_len;
    enum err_code code; /* why not; ERR_OK */
};
typedef void (*defender_run_cb)(void *arg, const struct defender_result *r);

struct defender_script {   /* copied */
    const char *name;      /* in the library */
    const uint8_t *sha256; /* as in defender_settings */
};
struct defender_ask { /* copied */
    const char *machine_id;
    const struct defender_script *script; /* NULL: that of the settings */
    const char *payload; /* base64url of its JSON, without the "c1_": agent/ made it */
    const char *nonce;   /* in it; the marker line has to repeat it. Also our mark in the comment */
    const char *comment; /* for the audit trail there: case id and reason, shown text */
    uint64_t all_ms;     /* then it is cancelled; 0: 15 min */
    /* The action's id, as soon as it is known: at most once, from the loop; for the ledger. NULL */
    void (*started)(void *arg, const char *action_id);
};
/* Starts one run; never repeats a start that may have been taken: after a lost answer the action is
 * looked for by the nonce in its comment. A second run on a machine while one of ours is there:
 * DEFENDER_BUSY, and nothing is sent. */
int defender_run_start(struct defender *d, const struct defender_ask *ask, defender_run_cb cb,
                       void *arg, struct defender_call **ret_call, struct err *e);
bool defender_is_taken(const struct defender *d, const char *machine_id);
/* Hurries the callback, cancelling what was sent. It may still take a minute: what was sent is
 * followed to its end, if there is one. */
void defender_run_cancel(struct defender_call *c);
/* An action of an earlier process, looked up again by its id; NULL: by its nonce, where the process
 * ended before it learnt the id. */
int defender_resume_start(struct defender *d, const char *action_id, const char *nonce,
                          uint64_t all_ms, defender_run_cb cb, void *arg,
                          struct defender_call **ret_call, struct err *e);

/* Could a run be made on that machine now? Each point told: `ok`, and in words what is missing. */
struct defender_check {
    const char *name; /* "token", "role", "machine", "health", "live response", "script", "hash" */
    bool ok, known;
    char words[256], mend[256];
};
typedef void (*defender_probe_cb)(void *arg, const struct defender_check *checks, size_t n);
int defender_probe_start(struct defender *d, const char *host, const char *machine_id,
                         defender_probe_cb cb, void *arg, struct defender_call **ret_call,
                         struct err *e);

/* Upload (replace) the script `name` (NULL: that of the settings) and read back its hash. */
typedef void (*defender_publish_cb)(void *arg, const char *sha256_hex, const struct err *e);
int defender_publish_start(struct defender *d, const char *name, const void *script, size_t n,
                           defender_publish_cb cb, void *arg, struct defender_call **ret_call,
                           struct err *e);

void defender_abandon(struct defender_call *c); /* its callback is never made; NULL is fine */

/* --- pure ------------------------------------------------------------------------------------ */
/* The marker line out of a script's output, "CORDON1 NONCE JSON": exactly one, with our nonce. Its
 * JSON is appended, without what wrapping put into it. ERR_INVALID: none, several, another nonce,
 * no JSON; ERR_NOMEM. */
int defender_marker(const char *out, size_t n, const char *nonce, struct text *json, struct err *e);
/* May a result be fetched from there? (https, no user, no port, a host of the list) */
bool defender_link_ok(const struct defender_settings *s, const char *url);

#endif
