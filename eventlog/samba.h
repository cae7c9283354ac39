/* eventlog/samba.h -- Samba's JSON audit log, told as Windows would log it.
 *
 * A dsdbChange is proof only when its transaction was committed: a change is held until the commit
 * (delivered), the rollback (dropped), or `hold` ms (delivered as EVLOG_COMMIT_UNSEEN). One reader
 * per DC: its classes may come in several files. See samba-lab.md 6.
 */
#ifndef CORDON_EVENTLOG_SAMBA_H
#define CORDON_EVENTLOG_SAMBA_H

#include "eventlog/event.h"

#define EVLOG_SAMBA_HOLD_MS 1000
#define EVLOG_SAMBA_HELD_MAX 512

struct evlog_samba;
typedef void (*evlog_event_cb)(void *arg, const struct evlog_event *ev); /* ev borrowed for the call */

int evlog_samba_new(evlog_event_cb cb, void *arg, struct evlog_samba **ret, struct err *e);
void evlog_samba_free(struct evlog_samba *s);
/* One line, without its newline. Returns 1: taken (or of no interest), 0: not an audit line,
 * -1: *e says what is wrong with it (the reader stays usable). May call cb. now_ms: loop time. */
int evlog_samba_line(struct evlog_samba *s, const char *line, size_t n, uint64_t now_ms, struct err *e);
/* Deliver what was held too long. Returns ms until the next such moment, or 0: nothing is held. */
uint64_t evlog_samba_tick(struct evlog_samba *s, uint64_t now_ms);
/* Deliver all that is held (the input has ended). */
void evlog_samba_flush(struct evlog_samba *s);

#endif
