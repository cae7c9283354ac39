/* eventlog/winrm_query.h -- which events a subscription asks a DC for, and its place as text.
 *
 * Inside this floor only. Pure.
 */
#ifndef CORDON_EVENTLOG_WINRM_QUERY_H
#define CORDON_EVENTLOG_WINRM_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "base/xml_out.h"

struct evlog_query {
    const char *log;        /* "Security", "ForwardedEvents" */
    const char *target_sid; /* NULL or "": of any account */
    int64_t since_ms;       /* by the DC's clock; 0: no bound */
};

/* The event query (QueryList, Microsoft's event schema; no namespace): by id and provider, by
 * target and time where they are given. `query` is a struct evlog_query. */
void evlog_query_write(struct xml_out *x, const void *query);
/* Only its XPath. A target that is no SID is left out. */
void evlog_query_xpath(const struct evlog_query *q, struct text *out);
/* Tells queries apart whose bookmarks do not fit each other; the time does not count. */
uint32_t evlog_query_hash(const struct evlog_query *q);

/* The source's own part of a mark: "w1:HASH:RECORD:TIME". */
struct evlog_place {
    uint32_t hash;
    uint64_t record;  /* the last one seen; 0: none yet */
    int64_t since_ms; /* when the mark was taken, by the DC's clock, a little earlier to be safe */
};
void evlog_place_write(const struct evlog_place *p, struct text *out);
bool evlog_place_read(const char *s, struct evlog_place *ret);

#endif
