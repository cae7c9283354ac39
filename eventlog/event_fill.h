/* eventlog/event_fill.h -- from names and values to an event: what the XML and JSON parsers share.
 *
 * Inside this floor only. Values are borrowed; the event points into them.
 */
#ifndef CORDON_EVENTLOG_EVENT_FILL_H
#define CORDON_EVENTLOG_EVENT_FILL_H

#include "eventlog/event.h"

struct evlog_fill {
    struct evlog_event ev;
    uint32_t seen; /* which data came already: one that comes twice proves neither */
};

void evlog_fill_init(struct evlog_fill *f, enum evlog_kind kind);
/* One Data of EventData. Names that are not known are fine. ERR_INVALID: a name for the second
 * time, or a value that is none. `fleeting`: the value does not outlive the call, so that only
 * numbers can be taken from it. */
int evlog_fill_data(struct evlog_fill *f, const char *name, const char *value, bool fleeting,
                    struct err *e);
/* Codes in a text, "%%2050\r\n\t\t%%2089" (or bare numbers): added to those there are. */
void evlog_fill_codes(struct evlog_fill *f, const char *value);
/* Keywords as "0x8020000000000000", as a signed or unsigned decimal, or in (English) words. */
void evlog_fill_keywords(struct evlog_fill *f, const char *value);
/* A time in ISO form. Where it names no zone: `utc` says that it is UTC by definition (SystemTime);
 * otherwise it is some local time, and left unknown. */
void evlog_fill_time(struct evlog_fill *f, const char *value, bool utc);
/* "0x3e7" or "999", the whole text, any number of leading zeros. */
bool evlog_number(const char *s, uint64_t max, uint64_t *ret);
/* All is in: what depends on the id. ERR_INVALID: no id. */
int evlog_fill_end(struct evlog_fill *f, struct err *e);

#endif
