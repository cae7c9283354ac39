/* eventlog/event.h -- one security event about an account, whatever it was wrapped in.
 *
 * Parsers for the Windows event as XML (MS-EVEN6, schema .../win/2004/08/events/event) and for
 * the JSON that shippers make of it: winlogbeat / Elastic (ECS, nested or with dotted names),
 * NXLog and others (flat), evtx_dump and xml2json (Event/System/EventData), and XML inside a
 * member ("event.original", "xml", "Xml", "EventXml", "_raw", fluent-bit's "System"). Data are
 * taken by name, never by position; names that are not known are ignored.
 *
 * An event has no life of its own: the strings belong to whoever hands it out and are good
 * until the callback returns. evlog_event_dup keeps one.
 */
#ifndef CORDON_EVENTLOG_EVENT_H
#define CORDON_EVENTLOG_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

#define EVLOG_CHANNEL "Security"
#define EVLOG_PROVIDER "Microsoft-Windows-Security-Auditing"

enum { EVLOG_LINE_MAX = 64 * 1024 }; /* bytes of one line, or of one event in a file */

enum evlog_id {
    EVLOG_CREATED = 4720,
    EVLOG_ENABLED = 4722,
    EVLOG_CHANGE_PASSWORD = 4723, /* by the holder; may be a failure */
    EVLOG_RESET_PASSWORD = 4724,  /* by somebody else; may be a failure */
    EVLOG_DISABLED = 4725,
    EVLOG_DELETED = 4726,
    EVLOG_CHANGED = 4738,
    EVLOG_LOCKED = 4740,
    EVLOG_UNLOCKED = 4767,
    EVLOG_RENAMED = 4781,
};

enum evlog_kind { EVLOG_XML, EVLOG_JSON, EVLOG_SAMBA };
enum evlog_outcome { EVLOG_UNSAID, EVLOG_SUCCESS, EVLOG_FAILURE };

/* Samba writes "Success" before the transaction is committed; Windows logs what is done. */
enum evlog_commit {
    EVLOG_COMMITTED,
    EVLOG_COMMIT_UNSEEN, /* Samba: neither commit nor rollback was seen within the hold */
};

/* The attribute is text in the DC's language and zone: never read as a time. */
enum evlog_pls { EVLOG_PLS_UNCHANGED, EVLOG_PLS_NEVER, EVLOG_PLS_TIME };

enum { EVLOG_CODES_MAX = 48 };

/* Strings are never NULL; "" is unknown or absent ("-" in a Windows event comes out as ""). */
struct evlog_event {
    uint32_t id;
    enum evlog_kind kind;
    enum evlog_outcome outcome; /* Keywords: audit success or failure */
    enum evlog_commit commit;
    bool has_record, has_time;
    uint64_t record; /* EventRecordID; Samba has none */
    int64_t time_ms; /* by the DC's clock, UTC; absent where a shipper gives no zone */
    const char *computer, *channel, *provider;
    struct evlog_who {
        const char *sid, *name, *domain;
        const char *dn; /* Samba's only name for a target */
    } target, actor;
    bool has_logon_id;
    uint64_t logon_id; /* of the actor */
    struct evlog_uac {
        bool has_old, has_new;
        uint32_t old, new;               /* SAM bits, see samflags.h */
        uint16_t codes[EVLOG_CODES_MAX]; /* the %%NNNN that came along */
        uint16_t code_count;
    } uac;
    enum evlog_pls password_last_set;
    const char *password_last_set_text; /* where EVLOG_PLS_TIME */
    const char *remote;                 /* "10.77.0.100:49008", the client's end; "" unknown */
    const char *old_name, *new_name;    /* 4781 */
    const char *transaction;            /* Samba: transactionId */
};

typedef void (*evlog_event_cb)(void *arg, const struct evlog_event *ev);

/* All of it empty, with "" in every string. */
void evlog_event_init(struct evlog_event *ev);
/* A copy in one block, strings included; free() it. NULL: no memory. */
struct evlog_event *evlog_event_dup(const struct evlog_event *ev);
/* The same into *block (malloc'd, *size bytes, grown when too small; start with NULL and 0).
 * Returns the event, which is the block, or NULL. For rings that reuse their memory. */
struct evlog_event *evlog_event_copy(const struct evlog_event *ev, void **block, size_t *size);
/* Bytes that a copy takes. */
size_t evlog_event_size(const struct evlog_event *ev);

/* One XML document: <Event>, or an element with <Event> children (<Events>). Calls cb for each,
 * from inside. Errors: ERR_INVALID (not XML, no event in it), ERR_TOOBIG, ERR_NOMEM. */
int evlog_parse_xml(const char *s, size_t n, evlog_event_cb cb, void *arg, struct err *e);
/* The same of an element that is read already, an <Event>: its strings live in that document. */
struct xml_node;
int evlog_parse_node(const struct xml_node *event, evlog_event_cb cb, void *arg, struct err *e);
/* One JSON object with one event in any of the shapes above. */
int evlog_parse_json(const char *s, size_t n, evlog_event_cb cb, void *arg, struct err *e);

/* --- out -------------------------------------------------------------------------- */

/* {"type":"event","id":4738,"record":88124,"time":"...","computer":"...","target":{...},
 *  "actor":{...},"uac":{...},"password_last_set":"never"}: a contract, see docs. */
void evlog_event_json(const struct evlog_event *ev, struct text *t);
/* "2026-11-21T09:14:03.120Z dc1 4725 disabled 'alice' by 'cordon' #88123", without a newline. */
void evlog_event_human(const struct evlog_event *ev, struct text *t);
/* "disabled", "changed" ...; "event" for ids that have no word here. */
const char *evlog_id_word(uint32_t id);

/* --- comparing ------------------------------------------------------------------------ */

/* Is the event's computer this DC? FQDNs without regard to case; a short name (no dot) counts
 * when it is the first label of dc. */
bool evlog_same_host(const char *computer, const char *dc);
/* SIDs as text, without regard to case. "" is equal to nothing. */
bool evlog_same_sid(const char *a, const char *b);
/* A DN in the form in which two spellings of it are equal bytes: ASCII lower case, no blanks
 * around separators, one way of escaping. Appends to t. */
void evlog_dn_key(const char *dn, struct text *t);

#endif
