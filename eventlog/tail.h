/* eventlog/tail.h -- follow one file as `tail -F` does, without ever blocking.
 *
 * Whole lines only: what has no newline yet is left in the file. Rotation (a rename, then a new
 * file): the old one is read to its end, then the new one from its start, and the old one is kept
 * open for TAIL_KEEP_MS more, since other processes may write to it for a while. Truncation, also
 * when it has grown again meanwhile: from the start, and a gap. A missing file is waited for. A
 * FIFO is read as it comes.
 */
#ifndef CORDON_EVENTLOG_TAIL_H
#define CORDON_EVENTLOG_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/text.h"

struct evlog_tail;

enum {
    EVLOG_TAIL_POLL_MS = 250, /* where a notice was missed, or there are none (NFS) */
    EVLOG_TAIL_KEEP_MS = 60000,
    EVLOG_TAIL_TURN = 1024 * 1024, /* bytes of one read */
    EVLOG_TAIL_DRAIN = 64 * 1024 * 1024,
};

/* Called from inside reading; may not close the tail. */
struct evlog_tail_cbs {
    /* One line without its newline (or CR LF), borrowed. gen counts the files, off is in it. */
    void (*line)(void *arg, const char *line, size_t n, uint32_t gen, uint64_t off);
    void (*too_long)(void *arg);             /* a line over EVLOG_LINE_MAX was skipped */
    void (*gap)(void *arg, const char *why); /* something may have been missed */
};

/* mark: of evlog_tail_mark, perhaps in an earlier run; NULL or "": begin at the end. Nothing is
 * read by itself before evlog_tail_begin. Errors: ERR_CONFIG (a folder or device, a broken mark),
 * ERR_DENIED, ERR_IO, ERR_NOMEM. A gap at the mark is reported before the first line. */
int evlog_tail_open(struct loop *l, const char *path, const char *mark,
                    const struct evlog_tail_cbs *cbs, void *arg, struct evlog_tail **ret_tail,
                    struct err *e);
void evlog_tail_begin(struct evlog_tail *t);
void evlog_tail_close(struct evlog_tail **t);

/* Read what is new, now: at most EVLOG_TAIL_TURN bytes, the rest in turns to come. */
void evlog_tail_read(struct evlog_tail *t);
/* Read all there is at this moment (at most EVLOG_TAIL_DRAIN). */
void evlog_tail_drain(struct evlog_tail *t);
/* Appends where the next line begins: "device.inode.offset.check", "-" while the file is missing,
 * "fifo" where there is nothing to come back to. */
void evlog_tail_mark(const struct evlog_tail *t, struct text *out);
/* Where a mark lies in what this tail reads; {0, 0} (before everything) where it does not know
 * that file. False: not a mark. */
bool evlog_tail_locate(const struct evlog_tail *t, const char *mark, uint32_t *ret_gen,
                       uint64_t *ret_off);
bool evlog_tail_missing(const struct evlog_tail *t);
bool evlog_tail_writable(const struct evlog_tail *t); /* by others than root and us */

#endif
