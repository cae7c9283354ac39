/* config/config.h -- the settings, as the rest of the program sees them: plain structs.
 *
 * Everything comes from the one table in config/keys.c: type, range, default, help. Modules
 * receive `const struct cfg_domain *` and the like; none reads files or environment itself.
 */
#ifndef CORDON_CONFIG_CONFIG_H
#define CORDON_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

struct cfg_list { /* in the order of the file; how entries are parted: config/list.h */
    char **items;
    size_t count;
};

enum cfg_events { CFG_EVENTS_NONE, CFG_EVENTS_SAMBA, CFG_EVENTS_JSONL, CFG_EVENTS_WINRM };
enum cfg_transport { CFG_TRANSPORT_GSSAPI, CFG_TRANSPORT_LDAPS };
enum cfg_write { CFG_WRITE_ALL, CFG_WRITE_FIRST };

struct cfg_domain {
    char *name;  /* DNS name, lower case: "corp.example.com" */
    char *realm; /* default: the name in upper case */
    struct cfg_list dcs;
    char *site;      /* NULL: ask a DC (LDAP ping) */
    char *keytab;    /* path or NULL */
    char *principal; /* for the keytab; NULL: its first entry */
    char *base;      /* DN below which accounts may be touched; NULL: the whole domain */
    enum cfg_events events;
    struct cfg_list events_file; /* "/path", or "host:/path" with a host of `dcs` or the domain */
    enum cfg_transport transport;
    char *ca_file; /* for ldaps; NULL: the system's */
    enum cfg_write write;
    unsigned write_limit;
    uint64_t connect_timeout_ms;
    uint64_t operation_timeout_ms;
};

/* Entries: "name", "user@domain", "S-1-5-..." or "sid:S-1-5-...", a DN, a pattern with * or ?,
 * "group:..." with a name, SID or DN, "ou:DN". The prefixes are lower case; DNs are whole and as
 * typed, escapes included. */
struct cfg_policy {
    struct cfg_list never_disable, always_disable, never_credentials, always_credentials;
    struct cfg_list privileged_groups; /* besides the built-in ones; without "group:" */
    bool allow_privileged;             /* whether --privileged may be used at all */
};

struct cfg_sources; /* which file and line each setting is from; config/config.c */

struct cfg {
    struct cfg_domain *domains; /* in the order of `domain_names` */
    size_t domain_count;
    struct cfg_policy policy;
    char *log_level;
    uint64_t watch_within_ms; /* open the event source within this, or go ahead without */
    uint64_t confirm_ms;      /* how long to wait for an event after the change */
    uint64_t wait_ms;         /* how long to wait for convergence (--wait) */
    unsigned window;          /* operations in flight on one connection */
    struct cfg_list domain_names;
    struct cfg_sources *sources;
};

#define CFG_DEFAULT_PATH "/etc/cordon/cordon.conf"

/* Read `path` (trusted, FILE_PRIVATE, see base/file.h) and after it, from the folder conf.d beside
 * it, what ends in ".conf", in name order. A later file may give a key of an earlier one anew.
 * Everything is checked; on any error nothing is used. Every error found is appended to `errors`
 * (if not NULL), one line each, "file:line:column: text", or "file: text" for a whole file; `e`
 * gets the first: ERR_CONFIG, or ERR_NOMEM.
 *
 * Also checked where they exist: keytabs (FILE_SECRET) and ca_files (FILE_PUBLIC). That one is not
 * there, or not for us to read, is an error only for whoever uses it. */
int cfg_load(const char *path, struct cfg **ret_cfg, struct text *errors, struct err *e);
/* The same from memory, for tests and the fuzzer; `name` stands in for the path. No file is
 * looked at. */
int cfg_load_bytes(const char *name, const char *s, size_t n, struct cfg **ret_cfg,
                   struct text *errors, struct err *e);
void cfg_free(struct cfg *c);
void cfg_freep(struct cfg **c);

/* What is no error but worth a line: "file:line:column: text", one a line; nothing where there is
 * nothing. For instance a setting that this version knows and does not use yet. */
int cfg_notices(const struct cfg *c, struct text *out, struct err *e);

/* The settings in effect, each with where it came from ("default", "file:line"). */
int cfg_show(const struct cfg *c, bool json, struct text *out, struct err *e);
/* A commented sample file that itself passes cfg_load. */
int cfg_sample(struct text *out, struct err *e);
/* cordon.conf(5), in man(7) roff. */
int cfg_manual(struct text *out, struct err *e);

#endif
