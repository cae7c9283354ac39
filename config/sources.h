/* config/sources.h -- inside config/ only: which file and line each setting is from. */
#ifndef CORDON_CONFIG_SOURCES_H
#define CORDON_CONFIG_SOURCES_H

#include "config/config.h"
#include "config/ini.h"
#include "config/keys.h"

/* A setting that some file gives. The last file wins; overridden ones are not kept. */
struct cfg_source {
    const struct cfg_key *key;
    char *of;                      /* NAME of [section/NAME], lower case; else NULL */
    const struct ini_entry *entry; /* borrowed from `files` */
};

struct cfg_sources {
    struct ini **files;
    size_t file_count;
    struct cfg_source *list;
    size_t count, cap;
};

/* NULL where no file gives it. `of` is NULL but for [section/NAME]. */
const struct ini_entry *cfg_source_find(const struct cfg *c, const struct cfg_key *key,
                                        const char *of);

/* The struct that key->offset points into; `one` is that of a [section/NAME]. */
const void *cfg_key_base(const struct cfg *c, const struct cfg_key *key, const void *one);

#endif
