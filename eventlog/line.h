/* eventlog/line.h -- one line, or one piece of a file, by its look (inside this floor). */
#ifndef CORDON_EVENTLOG_LINE_H
#define CORDON_EVENTLOG_LINE_H

#include "eventlog/event.h"

/* One of Samba's, or the rest of one: two blanks in front, or its "timestamp" first. */
bool evlog_line_is_samba(const char *line, size_t n);
/* XML or JSON. Errors as of evlog_parse_xml and evlog_parse_json. */
int evlog_line_parse(const char *line, size_t n, evlog_event_cb cb, void *arg, struct err *e);

#endif
