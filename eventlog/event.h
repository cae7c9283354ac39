/* eventlog/event.h -- one security event about an account, whatever shape it came in.
 *
 * Windows Security events 4720-4726, 4738, 4740, 4767, 4781 (others parse as generic), from event XML
 * (http://schemas.microsoft.com/win/2004/08/events/event), from the JSON of common shippers, and from
 * Samba's JSON audit log, which is told in the same words. Data is taken by name, never by position.
 */
#ifndef CORDON_EVENTLOG_EVENT_H
#define CORDON_EVENTLOG_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

#define EVLOG_SID 192
#define EVLOG_NAME 264
#define EVLOG_DN 1024

enum evlog_password { EVLOG_PWD_UNCHANGED, EVLOG_PWD_NEVER, EVLOG_PWD_TIME };
enum evlog_commit {
    EVLOG_COMMITTED,     /* Windows writes no others; Samba: the transaction's commit was seen */
    EVLOG_COMMIT_UNSEEN, /* Samba: neither commit nor rollback was seen in time */
};
enum evlog_shape { EVLOG_XML, EVLOG_JSON, EVLOG_SAMBA };

struct evlog_who {
    char sid[EVLOG_SID];   /* "" unknown */
    char name[EVLOG_NAME];
    char domain[EVLOG_NAME];
};

struct evlog_event {
    enum evlog_shape shape;
    uint32_t id;             /* 4725 */
    bool has_record;
    uint64_t record;
    int64_t time_ms;         /* of the event, by the DC's clock */
    bool has_time;
    char computer[EVLOG_NAME]; /* "" unknown (Samba): the source's DC */
    char provider[EVLOG_NAME], channel[EVLOG_NAME];
    bool success;            /* audit success; a failed attempt proves nothing */
    enum evlog_commit commit;
    struct evlog_who target, actor;
    char target_dn[EVLOG_DN]; /* Samba: no target SID, but its DN */
    bool has_logon_id;
    uint64_t logon_id;
    bool has_uac_old, has_uac_new; /* SAM bits (not userAccountControl's) */
    uint32_t uac_old, uac_new;
    char uac_codes[256];     /* "%%2080 %%2057" as given; "" none */
    enum evlog_password password;
    char password_text[64];  /* as given, where EVLOG_PWD_TIME */
    char old_name[EVLOG_NAME], new_name[EVLOG_NAME]; /* 4781 */
    char remote[80];         /* Samba: "ipv4:10.0.0.5:50123" */
};

/* One <Event> (XML text, UTF-8 or UTF-16). ERR_INVALID, ERR_TOOBIG. */
int evlog_parse_xml(const char *s, size_t n, struct evlog_event *ret, struct err *e);
/* One JSON object in one of the shippers' shapes (not Samba's). ERR_UNSUPPORTED: JSON, but no
 * Windows event. */
int evlog_parse_json(const char *s, size_t n, struct evlog_event *ret, struct err *e);

/* The contract's JSON line ({"type":"event",...}), without newline. */
void evlog_to_json(const struct evlog_event *ev, const char *source, struct text *out);
/* For a person, one line: time, computer, id in words, target, actor, flags. */
void evlog_to_line(const struct evlog_event *ev, struct text *out);
/* "disabled", "changed", ...; "event" for others. */
const char *evlog_id_word(uint32_t id);

#endif
