/* eventlog/source.h -- the watcher of this process, and the logs it reads.
 *
 *   evlog_watcher_new        one per process
 *   evlog_source_open_files  one per log: file or files of one DC (Samba), or of any (JSON lines);
 *                            a WinRM subscription or a WEF receiver would be opened likewise
 *   ready                    the log is open; take a mark
 *   evlog_source_mark        where it stands: goes to the ledger, and into the expectation
 *   (the change is sent, its answer comes)
 *   evlog_source_poke        read now rather than at the next notice
 *   evlog_source_close
 *
 * Every event goes to the watcher, which keeps the last EVLOG_RING of those that could prove
 * something, so that an expectation may be added a little after its change. Nothing here blocks;
 * memory is constant. Loop thread only.
 */
#ifndef CORDON_EVENTLOG_SOURCE_H
#define CORDON_EVENTLOG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "eventlog/event.h"

struct evlog_watcher;
struct evlog_source;

enum {
    EVLOG_RING = 4096,
    EVLOG_MARK = 512, /* bytes of a mark, NUL included */
    EVLOG_FILES = 4,  /* of one source */
};

int evlog_watcher_new(struct loop *l, struct evlog_watcher **ret_watcher, struct err *e);
/* Closes its sources. Expectations that still wait are freed without a callback: cancel them
 * and let the loop turn where somebody wants to hear. NULL is fine. */
void evlog_watcher_free(struct evlog_watcher *w);
/* Hear every event of every source (source borrowed, for its dc), from inside the reading: the
 * callback may not open, close or poke. NULL takes it away. One only. */
typedef void (*evlog_listen_cb)(void *arg, const struct evlog_source *s,
                                const struct evlog_event *ev);
void evlog_watcher_listen(struct evlog_watcher *w, evlog_listen_cb cb, void *arg);

/* --- opening -------------------------------------------------------------------------- */

enum evlog_lines {
    EVLOG_LINES_SAMBA = 1,  /* Samba's JSON audit log: dsdb, password, transaction, auth classes */
    EVLOG_LINES_EVENTS = 2, /* a Windows event a line: any JSON shape of event.h, or XML */
    EVLOG_LINES_ANY = 3,
};

#define EVLOG_FROM_START "-"

struct evlog_files {
    enum evlog_lines lines;
    const char *dc;                 /* FQDN of the DC whose log it is; NULL: each event's own
                                     * `computer` says (a collector's file) */
    const char *paths[EVLOG_FILES]; /* Samba's classes in several files: all of them */
    unsigned count;
    const char *mark; /* evlog_source_mark of an earlier run: read on from there. NULL or "": from
                       * the end. EVLOG_FROM_START: all that is there */
    uint64_t hold_ms; /* Samba: how long a change waits for its commit; 0: 1 s */
};

/* Called once, later, from the loop: e == NULL: open. A file that is missing at first is no
 * error, it is waited for; `ready` does not wait for it (health says `missing`). What lies
 * behind a mark is read after ready has returned. */
typedef void (*evlog_ready_cb)(void *arg, struct evlog_source *s, const struct err *e);

/* Errors: ERR_CONFIG (a folder, a device, a mark that is none), ERR_DENIED, ERR_IO, ERR_NOMEM.
 * All strings are copied. The source is the caller's, to close; one that failed too. */
int evlog_source_open_files(struct evlog_watcher *w, const struct evlog_files *f,
                            evlog_ready_cb ready, void *arg, struct evlog_source **ret_source,
                            struct err *e);
/* Sets *s to NULL; ready is not called any more. Its events stay in the ring. */
void evlog_source_close(struct evlog_source **s);
const char *evlog_source_dc(const struct evlog_source *s); /* NULL: see above */

/* --- using --------------------------------------------------------------------------- */

/* Reads what is there, then writes where that leaves the log, as text without blanks (file
 * systems, inodes and offsets); "" where there is nothing to come back to. In this run a mark
 * is exact; after a restart it is as good as the files: one that was rotated away is a gap. */
void evlog_source_mark(struct evlog_source *s, char buf[EVLOG_MARK]);
/* Read, parse and match what is new, now, inside this call (at most 1 MiB a file; more follows
 * in later turns). Callbacks of expectations come in the next turn. */
void evlog_source_poke(struct evlog_source *s);

struct evlog_health {
    bool open;          /* reading; false: failed, or closed by the other side */
    bool missing;       /* a file is not there (yet) */
    bool writable;      /* others than root and we may write to a file: its events prove less */
    int64_t event_ms;   /* time of the last event, by its own clock; 0: none yet */
    int64_t seen_ms;    /* when we saw it, wall clock */
    int64_t lag_ms;     /* between the two, at that moment */
    uint64_t events;    /* all, whatever their id */
    uint64_t bad;       /* lines that were no event */
    uint64_t too_long;  /* lines over EVLOG_LINE_MAX, skipped */
    uint64_t gaps;      /* rotated away or cut short before we had read it */
    uint64_t rollbacks; /* Samba: changes that were taken back */
    char last_bad[160]; /* what was wrong with the last one, or why the last gap: shown text */
    char last_gap[160];
    char why[256]; /* it is not open; "" */
};
void evlog_source_health(const struct evlog_source *s, struct evlog_health *ret);

/* --- for those who write a source ------------------------------------------------------ */

struct evlog_pos {
    uint64_t seq;  /* of the reading, over all sources of the watcher; from 1 */
    uint32_t file; /* which of the source's files */
    uint32_t gen;  /* which inode of it, in the order they came */
    uint64_t off;  /* where the line begins */
};

#endif
