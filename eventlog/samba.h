/* eventlog/samba.h -- Samba's JSON audit log, told in the words of the Windows event log.
 *
 *   dsdbChange on userAccountControl, pwdLastSet or a password: 4725 or 4722 where the line itself
 *       shows ACCOUNTDISABLE going over (delete OLD, add NEW), and a 4738 with SAM bits
 *   passwordChange: its own event id, 4723 or 4724
 *   dsdbTransaction: what was held under that id is delivered (commit) or dropped (anything else)
 *   Authorization: the name behind a session id
 *
 * "Success" is written before the commit, so a change waits for it, at most `hold_ms`; then it is
 * delivered with EVLOG_COMMIT_UNSEEN. The classes may be in several files of one DC, which are not
 * read in one order: a commit that comes first is remembered. All tables are bounded. No loop, no
 * clock: the caller gives `now`.
 */
#ifndef CORDON_EVENTLOG_SAMBA_H
#define CORDON_EVENTLOG_SAMBA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "eventlog/event.h"
#include "eventlog/source.h"

struct evlog_samba;

enum {
    EVLOG_SAMBA_HOLD_MS = 1000,
    EVLOG_SAMBA_HELD = 512,     /* events; the oldest goes, unproven, when one more comes */
    EVLOG_SAMBA_OUTCOMES = 256, /* transactions whose end is remembered */
    EVLOG_SAMBA_SESSIONS = 256,
};

/* pos: of the change's line, as it was given to evlog_samba_line. */
typedef void (*evlog_samba_cb)(void *arg, const struct evlog_event *ev,
                               const struct evlog_pos *pos);

int evlog_samba_new(uint64_t hold_ms, evlog_samba_cb cb, void *arg, struct evlog_samba **ret_samba,
                    struct err *e);
void evlog_samba_free(struct evlog_samba *s);

/* Does this line look like one of Samba's (two blanks in front, or "timestamp" first)? */
bool evlog_samba_is(const char *line, size_t n);
/* One line without its newline; pos->file tells the files apart (cut lines are joined within
 * one). Events come from inside. ERR_INVALID, ERR_TOOBIG, ERR_NOMEM: this line is lost. */
int evlog_samba_line(struct evlog_samba *s, const char *line, size_t n, const struct evlog_pos *pos,
                     uint64_t now_ms, struct err *e);
/* Is the rest of a cut line of that file still to come? */
bool evlog_samba_waits(const struct evlog_samba *s, uint32_t file);
/* Deliver what has waited long enough. Returns the milliseconds until the next will have; 0:
 * nothing waits. */
uint64_t evlog_samba_due(struct evlog_samba *s, uint64_t now_ms);
/* Nothing more will come: deliver all that waits. */
void evlog_samba_flush(struct evlog_samba *s);
uint64_t evlog_samba_rollbacks(const struct evlog_samba *s);

#endif
