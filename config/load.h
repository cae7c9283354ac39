/* config/load.h -- inside config/ only: the settings while they are being read and checked. */
#ifndef CORDON_CONFIG_LOAD_H
#define CORDON_CONFIG_LOAD_H

#include <stdbool.h>

#include "config/config.h"
#include "config/ini.h"

struct load {
    struct cfg *c;
    struct text *errors; /* borrowed, may be NULL */
    struct err *e;
    bool failed;
    bool torn;     /* a file is missing as a whole: what it may hold must not be called missing */
    bool no_files; /* from memory: look at no file */
};

/* The first error stays in l->e; running out of memory replaces it and ends everything: -1. */
int cfg_load_no_memory(struct load *l);
bool cfg_load_hopeless(const struct load *l);

#define COMPLAIN(l, at, ...) ((l)->failed = true, ini_error((l)->errors, (l)->e, (at), __VA_ARGS__))

/* Where to point at for a setting of a section: its line, or else the section itself. `name` is the
 * section as the table calls it; `of` is NAME of [section/NAME], else NULL; `key` may be NULL. */
struct ini_place cfg_place(const struct cfg *c, const char *name, const char *of, const char *key);
/* A file that is opened by name later: what can be checked is checked now. */
void cfg_check_file(struct load *l, const char *section, const char *of, const char *key,
                    const char *path, int how);

/* What holds between settings; and what is worked out from them. */
void cfg_check_all(struct load *l);
void cfg_check_web(struct load *l);   /* [entra], [okta], [http] */
void cfg_check_queue(struct load *l); /* [signer/NAME], [queue] */

/* For them: is there a section [name]? */
bool cfg_section_given(const struct cfg *c, const char *name);
/* A setting that its section cannot do without; `why` stands behind "'key' is missing in
 * [section]". One that was given and wrong has had its line. */
void cfg_check_given(struct load *l, const char *section, const char *of, const char *key,
                     bool given, const char *why);

#endif
