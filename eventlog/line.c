/* eventlog/line.c -- see line.h. */
#include "eventlog/line.h"

#include <string.h>

#include "eventlog/samba.h"

bool evlog_line_is_samba(const char *line, size_t n)
{
    return (n >= 2 && line[0] == ' ' && line[1] == ' ') || evlog_samba_is(line, n);
}

int evlog_line_parse(const char *line, size_t n, evlog_event_cb cb, void *arg, struct err *e)
{
    static const char bom[] = "\xef\xbb\xbf"; /* tools of Windows begin files with it */

    if (n >= 3 && memcmp(line, bom, 3) == 0) {
        line += 3;
        n -= 3;
    }
    while (n > 0 && strchr(" \t\r\n", *line) != NULL && *line != '\0') {
        line++;
        n--;
    }
    if (n > 0 && *line == '<')
        return evlog_parse_xml(line, n, cb, arg, e);
    if (n > 0 && *line == '{')
        return evlog_parse_json(line, n, cb, arg, e);
    return err_set(e, ERR_INVALID, 0, "neither XML nor JSON");
}
