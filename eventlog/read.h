/* eventlog/read.h -- read events out of whole files: for people, tests and forensics.
 *
 * The form is found out: XML (one document, <Events>, or <Event>s one after the other), JSON
 * lines, a JSON array, JSON objects one after the other (also over many lines), Samba's audit
 * lines; UTF-8, or UTF-16 with a BOM. Bytes may come in pieces of any size; one event may have
 * EVLOG_READ_MAX of them, and memory stays at that, whatever the size of the file.
 *
 *   evlog_read_new ... evlog_read_bytes (many times) ... evlog_read_end ... evlog_read_free
 */
#ifndef CORDON_EVENTLOG_READ_H
#define CORDON_EVENTLOG_READ_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "eventlog/event.h"

struct evlog_read;

enum { EVLOG_READ_MAX = 256 * 1024 };

/* Something that is no event, near that line (from 1). e->msg says what; carry on. */
typedef void (*evlog_bad_cb)(void *arg, uint64_t line, const struct err *e);

int evlog_read_new(evlog_event_cb on_event, evlog_bad_cb on_bad, void *arg,
                   struct evlog_read **ret_read, struct err *e);
void evlog_read_free(struct evlog_read *r);
void evlog_read_freep(struct evlog_read **r);
/* Callbacks run inside. Only ERR_NOMEM ends it: bad bytes go to on_bad. */
int evlog_read_bytes(struct evlog_read *r, const void *p, size_t n, struct err *e);
/* The end of the file: what is unfinished is bad, what Samba's lines left waiting is delivered. */
int evlog_read_end(struct evlog_read *r, struct err *e);
uint64_t evlog_read_events(const struct evlog_read *r); /* counts so far */
uint64_t evlog_read_bad(const struct evlog_read *r);

/* All of the above for one file, or stdin where path is "-" (blocks: not on the loop). `line` of
 * on_bad is within that file. Errors: ERR_NOTFOUND, ERR_DENIED, ERR_IO, ERR_NOMEM. */
int evlog_read_file(const char *path, evlog_event_cb on_event, evlog_bad_cb on_bad, void *arg,
                    struct err *e);

/* To follow a file, open a watcher, evlog_watcher_listen and evlog_source_open_files with
 * EVLOG_LINES_ANY. */

#endif
