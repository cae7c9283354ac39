/* base/sandbox.h -- the process gives up what it will not need, for good: Landlock, a filter of
 * system calls, capabilities.
 *
 *   sandbox_grant*   what it still reads and writes, by path, while everything can be opened
 *   sandbox_enter    from here on nothing else, in this thread and all that come of it
 *
 * Files: Landlock (ABI 2 or later, Linux 5.19; before that no file could be renamed from one folder
 * to another). A rule holds for what is at the path now: a folder with all below it, whatever comes
 * into it later; or one file, until another takes its place. Nothing can be executed, no device be
 * made or controlled, no TCP port be listened at (ABI 4), no signal be sent out (ABI 6). Looking
 * whether something is there (stat, readlink) is not Landlock's business.
 *
 * System calls: a list of what is allowed, not of what is not, since a call that the next kernel
 * brings must be closed without our knowing it. What kept others from that, that a library takes
 * a new call into use with the next update, is met by the answer: whatever is on no list does not
 * exist (ENOSYS), as on an older kernel, and libraries know how to do without. What only an
 * attacker asks for (a program, another process's memory, mounts, modules, BPF) ends the process.
 * What a library might try in good faith (keyrings, io_uring, fork) is denied: EPERM. Memory is
 * never both writable and executable.
 *
 * Under sanitizers, which look at the process from outside at its end, the filter leaves out what
 * they need; see sandbox_calls.c.
 */
#ifndef CORDON_BASE_SANDBOX_H
#define CORDON_BASE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum sandbox_right {
    SANDBOX_READ,  /* files and lists of files */
    SANDBOX_WRITE, /* that, and to make, change, rename and remove files, folders and sockets */
};

struct sandbox;

int sandbox_new(struct sandbox **ret_sandbox, struct err *e); /* ERR_NOMEM */
void sandbox_free(struct sandbox *s);                         /* what was entered stays in force */
void sandbox_freep(struct sandbox **s);

/* What is at `path` (links are followed), with all below it. Nothing there: nothing is granted, and
 * that is no error. Only before sandbox_enter. ERR_IO: it cannot be opened; ERR_NOMEM. */
int sandbox_grant(struct sandbox *s, const char *path, enum sandbox_right right, struct err *e);
/* The folder that `path` is in, and where it is a link the one that it leads to: so that the file
 * can be exchanged. To read, one file alone where that folder is everybody's: /, /tmp, /var ... */
int sandbox_grant_beside(struct sandbox *s, const char *path, enum sandbox_right right,
                         struct err *e);
/* Would a rule granted so far let us at what is at `path`, or would be there? */
bool sandbox_covers(const struct sandbox *s, const char *path, enum sandbox_right right);

struct sandbox_state {
    int landlock;       /* the ABI in force; 0: none, and `why` */
    bool calls;         /* system calls are filtered; false: `why` */
    char why[160];      /* what is missing, and why; "" */
    const char *leaves; /* what a sanitizer needs and the filter lets through; NULL: nothing */
};

enum { SANDBOX_ABSTRACT = 1 }; /* sockets without a file may be connected to (NOTIFY_SOCKET=@...) */

/* Capabilities, privileges that a program could bring, dumps: given up. Then Landlock, then the
 * filter. What the kernel does not have is left out, and *ret_state says so; it is filled in any
 * case. ERR_INTERNAL: there are other threads, which Landlock would not hold for; ERR_IO. After an
 * error the rest is in force all the same. */
int sandbox_enter(struct sandbox *s, unsigned flags, struct sandbox_state *ret_state,
                  struct err *e);

/* "files by Landlock (ABI 7), system calls filtered", or what is missing. Returns buf. */
const char *sandbox_words(const struct sandbox_state *state, char *buf, size_t size);

#endif
