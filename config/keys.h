/* config/keys.h -- the one table of settings: section, key, type, range, default, unit, help, harm.
 *
 * Everything else is made from it: parsing and its errors (config.c), `cordon config show`, the
 * sample file and cordon.conf(5) (show.c). To add a setting, add a field and a line here.
 */
#ifndef CORDON_CONFIG_KEYS_H
#define CORDON_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

enum cfg_type {
    CFG_NAME,      /* char *: a name without spaces */
    CFG_LINE,      /* char *: some words */
    CFG_REALM,     /* char *: upper case */
    CFG_HOST,      /* char *: a host name; no IP address */
    CFG_URL,       /* char *: the root of a web service, https only; base/http.h, http_check_root */
    CFG_URL_LOCAL, /* the same; also http, to loopback and 169.254.169.254 */
    CFG_PROXY,     /* char *: http://host:port */
    CFG_GUID,      /* char *: lower case, with hyphens */
    CFG_TENANT,    /* char *: a GUID, or a domain name */
    CFG_IDENTITY,  /* char *: "yes", "no" or a GUID */
    CFG_SCOPES,    /* char *: names parted by spaces */
    CFG_PATH,      /* char *: an absolute path */
    CFG_DN,        /* char *: a whole distinguishedName */
    CFG_BOOL,      /* bool */
    CFG_COUNT,     /* unsigned, min..max */
    CFG_DURATION,  /* uint64_t, milliseconds, min..max */
    CFG_WORD,      /* an enum: the place of the word in `words` */
    CFG_WORD_TEXT, /* char *: one of `words` */
    CFG_DOMAINS,   /* struct cfg_list of DNS names */
    CFG_HOSTS,     /* struct cfg_list of host names; no IP addresses */
    CFG_FILES,     /* struct cfg_list of /path or host:/path */
    CFG_MACHINES,  /* struct cfg_list of host names, or host=id with a device id of 40 hex digits */
    CFG_DIRECT,    /* struct cfg_list of host names, suffixes (.example.com) and IP addresses */
    CFG_FLAGS,     /* unsigned: some of `words`, a bit for each by its place */
    CFG_RATE,      /* struct cfg_rate: N per TIME, min..max of N */
    CFG_TIME,      /* int64_t, Unix ms: a date, or a date and time; 0 where none is given */
    CFG_NAMES,     /* struct cfg_list of names without spaces */
    CFG_ACCOUNTS,  /* struct cfg_list, by the rule in list.h */
    CFG_GROUPS,    /* the same, groups only: "group:" may be left out and is taken off */
    CFG_LATER,     /* not stored: for an issue to come */
};

struct cfg_key {
    const char *section; /* "domain" stands for [domain/NAME] */
    const char *name;
    enum cfg_type type;
    size_t offset;        /* into struct cfg, or into struct cfg_domain and the like */
    uint64_t min, max;    /* of counts; of durations in milliseconds */
    const char *words;    /* parted by spaces */
    const char *def;      /* as one would type it; NULL: none */
    const char *def_says; /* where `def` is NULL: what happens then */
    const char *unit;
    const char *typical;
    const char *help;
    const char *harm;    /* what a wrong value does */
    const char *instead; /* another key of the section that this one takes the place of */
    enum cfg_use use;    /* of paths: what the service does with what is there */
};

extern const struct cfg_key cfg_keys[];
extern const size_t cfg_key_count;

struct cfg_section {
    const char *name; /* "domain" stands for [domain/NAME] */
    const char *help;
    const char *named; /* there may be several, [name/NAME]; a NAME for the sample */
    bool later;        /* for an issue to come */
    bool switches;     /* its being there switches something on */
};
extern const struct cfg_section cfg_sections[];
extern const size_t cfg_section_count;

/* NULL where there is none. Case does not matter. `section` as in the table. */
const struct cfg_key *cfg_key_find(const char *section, const char *name);
const struct cfg_section *cfg_section_find(const char *name);
/* "/NAME" for a section of which there may be several, else "". */
const char *cfg_section_slash(const char *name);
/* The nearest name to a mistyped one, or NULL where none is near. */
const struct cfg_key *cfg_key_near(const char *section, const char *name);
const struct cfg_section *cfg_section_near(const char *name);
/* The place of `word` in `words`, counted from 0, or -1. Word `i`, or "" (into buf). */
int cfg_word_find(const char *words, const char *word);
const char *cfg_word_at(const char *words, unsigned i, char buf[32]);

#endif
