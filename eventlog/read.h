/* eventlog/read.h -- feed bytes, get events: for files, pipes and `cordon events`.
 *
 * Detects by itself: event XML (one <Event>, many, concatenated, in <Events>, UTF-8 or UTF-16), JSON lines,
 * one JSON array, Samba's audit lines (each line decides for itself).
 */
#ifndef CORDON_EVENTLOG_READ_H
#define CORDON_EVENTLOG_READ_H

#include "eventlog/event.h"
#include "eventlog/samba.h"

struct evlog_reader;
typedef void (*evlog_bad_cb)(void *arg, uint64_t line, const struct err *e);

int evlog_reader_new(evlog_event_cb event, evlog_bad_cb bad, void *arg, struct evlog_reader **ret,
                     struct err *e);
void evlog_reader_free(struct evlog_reader *r);
/* Any cut of the stream. now_ms as in samba.h. */
void evlog_reader_bytes(struct evlog_reader *r, const char *p, size_t n, uint64_t now_ms);
/* One whole line from a tail. */
void evlog_reader_line(struct evlog_reader *r, const char *line, size_t n, uint64_t now_ms);
uint64_t evlog_reader_tick(struct evlog_reader *r, uint64_t now_ms);
void evlog_reader_end(struct evlog_reader *r); /* the input has ended: what is incomplete is bad */
uint64_t evlog_reader_bad_count(const struct evlog_reader *r);

#endif
