/* eventlog/tail.h -- follow a file as `tail -F` does: rotation, truncation, partial lines, FIFOs.
 *
 * Lines come whole, without their newline, from the loop. A line over 64 KiB is skipped and counted.
 * A renamed file is read to its end before the new one; a truncated one is read from its start, and
 * counted as a gap. A file that is not there yet is waited for. Nothing blocks.
 */
#ifndef CORDON_EVENTLOG_TAIL_H
#define CORDON_EVENTLOG_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

#define TAIL_MARK 96

struct tail;
struct tail_health {
    bool open;         /* the file is there and readable */
    uint64_t lines, bytes, gaps, too_long;
    struct err why;    /* if not open */
};

typedef void (*tail_line_cb)(void *arg, const char *line, size_t n); /* borrowed for the call */

/* mark: from tail_mark at some earlier run; NULL: begin at the end as it is now (a file that is not
 * there yet: from its start). A mark whose file is gone: from the start of what is there, one gap. */
int tail_open(struct loop *l, const char *path, const char *mark, tail_line_cb cb, void *arg,
              struct tail **ret_tail, struct err *e);
void tail_close(struct tail **t);
/* "device:inode:offset" of the first byte not delivered yet; "-" while there is no file. */
void tail_mark(const struct tail *t, char buf[TAIL_MARK]);
/* Read what is there now, delivering lines from inside this call. */
void tail_poke(struct tail *t);
const struct tail_health *tail_health(const struct tail *t);

#endif
