/* config/ini.h -- the form of the configuration file: sections, keys, values, and where each
 * stands.
 *
 *   # a comment; so is a line that begins with ';'
 *   [section]
 *   key = value             ; a comment after a space, outside "..."
 *   list = one, two,
 *       three               a line that begins with a space goes on with the value above
 *
 * As sssd.conf, since its readers know that, but strict (checklist F3): a line over 4 kB, an
 * unclosed section or quote, a key outside a section, a key twice in one section, a control or
 * invisible character, bad UTF-8, a byte order mark or an empty value are errors, all of them
 * collected. Lines may end in LF or CR LF. Section and key names are compared without case.
 * What the sections and keys mean is config/keys.h; this file knows none of them.
 */
#ifndef CORDON_CONFIG_INI_H
#define CORDON_CONFIG_INI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"

enum { INI_LINE_MAX = 4096, INI_FILE_MAX = 256 * 1024, INI_ENTRIES_MAX = 4096 };

/* Where a thing stands; lines and columns (in bytes) count from 1. */
struct ini_place {
    const char *file; /* belongs to the struct ini */
    unsigned line, column;
};

struct ini_section {
    char *name; /* as written, between the brackets */
    struct ini_place at;
};

struct ini_entry {
    size_t section; /* index into ini.sections */
    char *key;
    char *value; /* trimmed, never empty; '\n' where it goes over to another line; quotes kept */
    struct ini_place at;       /* of the key */
    struct ini_place value_at; /* of the value's first byte */
    bool semicolon; /* a comment beside or between its lines begins with ';': in a list that may
                     * be parted by ';' the reader may have meant something else */
};

struct ini {
    char *file;
    struct ini_section *sections; /* each name once, in the order of the file */
    size_t section_count, section_cap;
    struct ini_entry *entries; /* in the order of the file */
    size_t entry_count, entry_cap;
};

/* Read s[0..n). `name` is what errors call the file. Each error found is a line appended to
 * `errors` (may be NULL); `e` gets the first, ERR_CONFIG, or ERR_NOMEM. */
int ini_parse(const char *name, const char *s, size_t n, struct ini **ret_ini, struct text *errors,
              struct err *e);
void ini_free(struct ini *ini);
void ini_freep(struct ini **ini);

/* Report an error at a place: "file:line:column: text" as a line in `errors` (may be NULL), and in
 * `e` if that holds none yet. Always returns -1. */
int ini_error(struct text *errors, struct err *e, const struct ini_place *at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
