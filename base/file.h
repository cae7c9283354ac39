/* base/file.h -- files that we trust, opened once and checked by descriptor (checklist F).
 *
 * "Trusted" means: a regular file, owned by root or by the user we run as, not writable by
 * group or others, in folders of which the same holds up to "/". A sticky folder (/tmp)
 * on the way up is accepted where the folder below it is ours, since nobody else can then
 * rename it; a secret directly in one is refused. Never stat a path and open it later.
 */
#ifndef CORDON_BASE_FILE_H
#define CORDON_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"

enum {
    FILE_PUBLIC = 0,   /* others may read it */
    FILE_PRIVATE = 1,  /* nobody but the owner may read it: the error says which chmod to type */
    FILE_SECRET = 2,   /* as FILE_PRIVATE, and not directly in a sticky folder */
    FILE_SETTINGS = 3, /* as FILE_PRIVATE, but where root owns it its group may read it */
};

/* An access list (acl(5)) counts for what it gives to others than root and us; the mode's group
 * bits are only its mask. So a systemd credential is as good as a file of mode 0400. */

/* Links: the file itself may not be one; a folder on the way may, where root or we made it.
 * Errors: ERR_NOTFOUND, ERR_CONFIG (not trusted: the text says why and what to type), ERR_DENIED,
 * ERR_IO, ERR_TOOBIG. */

/* Open for reading with O_NOFOLLOW|O_CLOEXEC and check as above. */
int file_open_trusted(const char *path, int how, int *ret_fd, struct err *e);
/* Read the whole of it, at most `max` bytes, into `t` (initialised by the caller). */
int file_read_trusted(const char *path, int how, size_t max, struct text *t, struct err *e);
/* Check only (for files that a library opens itself, such as a keytab). */
int file_check_trusted(const char *path, int how, struct err *e);
/* A folder that is trusted itself, and not shared by everybody: to list it. */
int file_open_trusted_dir(const char *path, int *ret_fd, struct err *e);
/* Any file or "-" for stdin: no trust asked, only a size limit. */
int file_read_any(const char *path, size_t max, struct text *t, struct err *e);

/* Make sure that `path` is a folder of our own, mode 0700, creating it (and missing parents,
 * 0700) if need be; refuses one that others own or may enter for writing. Where others may only
 * read it, it is closed to them. What lies above it must be trusted, as for files. */
int file_private_dir(const char *path, struct err *e);
/* Write whole: temporary file in the same folder, fsync, rename, fsync of the folder. 0600. */
int file_write_atomic(const char *path, const void *p, size_t n, struct err *e);
/* The same for what is written once more after a crash, into a folder of our own: the temporary
 * file is PATH.MARK, so that what a dead writer left is written over, and nothing piles up. One
 * writer of a mark at a time. */
int file_write_again(const char *path, const char *mark, const void *p, size_t n, struct err *e);

/* The same for a file that must not be there yet: ERR_REFUSED where it is. */
int file_write_new(const char *path, const void *p, size_t n, struct err *e);

#endif
