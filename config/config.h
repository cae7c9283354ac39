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
enum cfg_winrm { CFG_WINRM_HTTP, CFG_WINRM_HTTPS };
enum cfg_winrm_service { CFG_WINRM_SPN_HTTP, CFG_WINRM_SPN_WSMAN, CFG_WINRM_SPN_HOST };
enum cfg_winrm_auth { CFG_WINRM_NEGOTIATE, CFG_WINRM_KERBEROS, CFG_WINRM_CERTIFICATE };

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
    char *
        event_host; /* a collector: its ForwardedEvents log is read; NULL: each DC's Security log */
    enum cfg_winrm winrm;
    unsigned winrm_port; /* 0: 5985, or 5986 */
    enum cfg_winrm_auth winrm_auth;
    enum cfg_winrm_service winrm_service; /* the class of the service principal */
    char *winrm_certificate;              /* PEM file with certificate and key; NULL */
    uint64_t poll_ms;                     /* heartbeat and long poll of a subscription */
    enum cfg_transport transport;
    char *ca_file; /* for ldaps and winrm = https; NULL: the system's */
    enum cfg_write write;
    unsigned write_limit;
    uint64_t connect_timeout_ms;
    uint64_t operation_timeout_ms;
    bool hold; /* put back what comes to life again within hold_watch_ms */
};

struct cfg_rate { /* at most so many in that time */
    unsigned count;
    uint64_t per_ms;
};

/* Entries: "name", "user@domain", "S-1-5-..." or "sid:S-1-5-...", a DN, a pattern with * or ?,
 * "group:..." with a name, SID or DN, "ou:DN". The prefixes are lower case; DNs are whole and as
 * typed, escapes included. */
struct cfg_policy {
    struct cfg_list never_disable, always_disable, never_credentials, always_credentials;
    struct cfg_list privileged_groups;             /* besides the built-in ones; without "group:" */
    bool allow_privileged;                         /* whether --privileged may be used at all */
    struct cfg_rate brake, brake_ou, brake_signer; /* of automatic changes; at most 7 days */
    unsigned brake_percent;                        /* of the enabled users in a day; 0: any */
};

/* What has no value in the file and no default is NULL. Of a section that is not there, `on` is
 * false and the rest means nothing. */
enum cfg_cloud { CFG_CLOUD_GLOBAL, CFG_CLOUD_USGOV, CFG_CLOUD_DOD, CFG_CLOUD_CHINA };
enum cfg_sync { CFG_SYNC_NONE, CFG_SYNC_CLOUD, CFG_SYNC_CONNECT };
enum cfg_sync_via { CFG_SYNC_VIA_WINRM, CFG_SYNC_VIA_MDE };
enum cfg_credential { /* which one the file gives */
                      CFG_CREDENTIAL_CERTIFICATE,
                      CFG_CREDENTIAL_SECRET,
                      CFG_CREDENTIAL_MANAGED,
                      CFG_CREDENTIAL_FEDERATED,
};

struct cfg_entra {
    bool on; /* there is a section [entra] */
    enum cfg_cloud cloud;
    char *tenant;    /* a GUID or a domain; may be NULL with a managed identity */
    char *client_id; /* a GUID; NULL with a managed identity that the host itself has */
    enum cfg_credential credential;
    char *certificate, *secret_file, *federated_token_file; /* at most one is not NULL */
    char *managed_identity; /* "no", "yes", or the GUID that is in client_id then, too */
    char *login_url, *graph_url, *loganalytics_url; /* by `cloud`, where the file does not say */
    char *imds_url;
    enum cfg_sync sync;
    char *sync_server;                /* with CFG_SYNC_CONNECT */
    enum cfg_sync_via sync_via;       /* how it is reached */
    char *workspace;                  /* a GUID; NULL: Log Analytics is not asked */
    bool hold;                        /* put back what comes to life again within hold_watch_ms */
    struct cfg_list protected_groups; /* ids or names */
};

enum cfg_login { CFG_LOGIN_UPN, CFG_LOGIN_MAIL, CFG_LOGIN_SAM };

struct cfg_okta {
    bool on; /* there is a section [okta] */
    char *url;
    char *token_file, *key_file; /* exactly one is not NULL */
    char *client_id, *key_id;    /* with key_file */
    char *scope;                 /* parted by single spaces */
    bool contain;                /* whether `contain` acts in Okta, too */
    enum cfg_login login_attribute;
};

struct cfg_http {
    char *ca_file;          /* instead of the system's authorities */
    char *proxy;            /* "http://host:port", without a login */
    char *proxy_login_file; /* one line, "user:password"; FILE_SECRET */
    struct cfg_list no_proxy_list;
    char *no_proxy; /* the same, with commas, as base/http.h takes it */
};

struct cfg_defender {
    bool on; /* there is a section [defender]; its credential is that of [entra] */
    char *url, *login_url, *scope;
    struct cfg_list dcs; /* "dc1.corp.example.com" or "dc1.corp.example.com=<id>", in this order */
    char *dc_tag;        /* machines with this tag that are DCs as well; NULL: only dcs */
    struct cfg_list result_hosts; /* that a result link may have, besides Microsoft's */
    bool fallback;                /* used by itself where no DC takes a change over LDAP */
    char *script;      /* the script as it is in the library: a file here; its hash is compared */
    char *sync_script; /* the one for the sync server; NULL but with sync_via = mde */
    uint64_t poll_ms, run_ms; /* until a run is first looked at; until it is cancelled */
};

/* [signer/NAME]: whoever may sign requests, and for what. Two keys, so that one can be exchanged
 * for the other without a gap. */
enum cfg_scope { CFG_SCOPE_BOTH, CFG_SCOPE_ON_PREM, CFG_SCOPE_CLOUD };
struct cfg_signer {
    char *name;                            /* lower case */
    char *key, *next_key;                  /* public keys, PEM files; the second may be NULL */
    int64_t not_before_ms, not_after_ms;   /* of key; Unix ms, 0: no limit */
    int64_t next_before_ms, next_after_ms; /* of next_key */
    unsigned actions;                      /* 1 << the place of the word in the table */
    struct cfg_list domains;               /* empty: all of [cordon] domains */
    struct cfg_list accounts;              /* only these, as in cfg_policy; empty: everybody */
    enum cfg_scope scope;
    struct cfg_rate rate;
};

enum cfg_engine { CFG_ENGINE_SPOOL, CFG_ENGINE_AZURE };
struct cfg_queue {
    bool on; /* there is a section [queue] */
    enum cfg_engine engine;
    char *directory, *result_directory;      /* spool; the second may be NULL: no answers */
    char *url;                               /* azure; by `account`, where the file does not say */
    char *account, *queue, *result_queue;    /* the last may be NULL: no answers */
    char *key_file, *sas_file;               /* azure: one of these two, or entra */
    char *poison_sas_file, *result_sas_file; /* beside sas_file; NULL: that one is for all */
    bool entra;
    uint64_t poll_min_ms, poll_max_ms, lease_ms;
    uint64_t max_age_ms;         /* how old a request may be, and how long it may live */
    char *agent;                 /* who this one is among several; NULL: the host's name */
    char *signing_key;           /* private key, PEM file, for answers; NULL: none */
    struct cfg_list answer_keys; /* public keys, PEM files, of agents; empty: signing_key's own */
};

enum cfg_sandbox { CFG_SANDBOX_NO, CFG_SANDBOX_YES, CFG_SANDBOX_REQUIRED };
struct cfg_service {
    enum cfg_sandbox sandbox;
    unsigned max_in_flight;
    uint64_t stop_timeout_ms, hold_expires_ms;
    unsigned approvals;
    char *socket;       /* NULL: by the runtime directory */
    char *metrics_file; /* NULL: none is written */
};

enum cfg_risk_level { CFG_RISK_LOW, CFG_RISK_MEDIUM, CFG_RISK_HIGH };
enum cfg_on_risk { CFG_ON_RISK_HOLD, CFG_ON_RISK_EXPIRE, CFG_ON_RISK_CONTAIN };
struct cfg_risk { /* what Identity Protection finds becomes a request */
    bool on;      /* there is a section [risk] */
    uint64_t poll_ms;
    enum cfg_risk_level level;  /* of the user, at least */
    struct cfg_list detections; /* riskEventType, * and ?; empty: any */
    uint64_t max_age_ms;        /* of a detection */
    enum cfg_on_risk on_high_risk;
};

struct cfg_sources; /* which file and line each setting is from; config/config.c */

struct cfg {
    struct cfg_domain *domains; /* in the order of `domain_names` */
    size_t domain_count;
    struct cfg_policy policy;
    struct cfg_entra entra;
    struct cfg_okta okta;
    struct cfg_defender defender;
    struct cfg_http http;
    struct cfg_signer *signers;
    size_t signer_count;
    struct cfg_queue queue;
    struct cfg_risk risk;
    struct cfg_service service;
    char *log_level;
    uint64_t watch_within_ms; /* open the event source within this, or go ahead without */
    uint64_t confirm_ms;      /* how long to wait for an event after the change */
    uint64_t wait_ms;         /* how long to wait for convergence (--wait) */
    unsigned window;          /* operations in flight on one connection */
    uint64_t cloud_after_ms;  /* the head start of the change on premises */
    uint64_t hold_watch_ms;   /* how long what was contained is watched */
    struct cfg_list domain_names;
    struct cfg_sources *sources;
};

#define CFG_DEFAULT_PATH "/etc/cordon/cordon.conf"

/* Read `path` (trusted, FILE_SETTINGS, see base/file.h) and after it, from the folder conf.d beside
 * it, what ends in ".conf", in name order. A later file may give a key of an earlier one anew.
 * Everything is checked; on any error nothing is used. Every error found is appended to `errors`
 * (if not NULL), one line each, "file:line:column: text", or "file: text" for a whole file; `e`
 * gets the first: ERR_CONFIG, or ERR_NOMEM.
 *
 * Also checked where they exist: keytabs, keys, tokens and the like (FILE_SECRET) and ca_files
 * (FILE_PUBLIC). That one is not there, or not for us to read, is an error only for whoever uses
 * it. */
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

/* What the paths in it are for. */
enum cfg_use {
    CFG_USE_READ,   /* the file is read */
    CFG_USE_FOLDER, /* it is a folder, which is written to */
    CFG_USE_BESIDE, /* it is made, and others beside it */
};
/* fn for each path that is given and means something, with the setting that gives it ("[queue]
 * directory"), until one fails. ERR_NOMEM, or what fn says. */
typedef int (*cfg_path_fn)(void *arg, const char *setting, const char *path, enum cfg_use use,
                           struct err *e);
int cfg_each_path(const struct cfg *c, cfg_path_fn fn, void *arg, struct err *e);

/* The settings in effect, each with where it came from ("default", "file:line"). */
int cfg_show(const struct cfg *c, bool json, struct text *out, struct err *e);
/* A commented sample file that itself passes cfg_load. */
int cfg_sample(struct text *out, struct err *e);
/* cordon.conf(5), in man(7) roff. */
int cfg_manual(struct text *out, struct err *e);

#endif
