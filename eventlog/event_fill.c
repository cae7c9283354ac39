/* eventlog/event_fill.c -- see event_fill.h. The names are those of the Windows event manifest
 * (Microsoft-Windows-Security-Auditing, events 4720-4781). */
#include "eventlog/event_fill.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"

/* winmeta.xml: WINEVT_KEYWORD_AUDIT_SUCCESS and _FAILURE */
#define KEYWORD_SUCCESS UINT64_C(0x0020000000000000)
#define KEYWORD_FAILURE UINT64_C(0x0010000000000000)

enum what { STRING, LOGON_ID, UAC_OLD, UAC_NEW, UAC_CODES, PASSWORD_LAST_SET };

static const struct {
    const char *name;
    enum what what;
    size_t at; /* of a STRING, in the event */
} data_names[] = {
    {"TargetSid", STRING, offsetof(struct evlog_event, target.sid)},
    {"TargetUserName", STRING, offsetof(struct evlog_event, target.name)},
    {"TargetDomainName", STRING, offsetof(struct evlog_event, target.domain)},
    {"SubjectUserSid", STRING, offsetof(struct evlog_event, actor.sid)},
    {"SubjectUserName", STRING, offsetof(struct evlog_event, actor.name)},
    {"SubjectDomainName", STRING, offsetof(struct evlog_event, actor.domain)},
    {"OldTargetUserName", STRING, offsetof(struct evlog_event, old_name)},
    {"NewTargetUserName", STRING, offsetof(struct evlog_event, new_name)},
    {"SubjectLogonId", LOGON_ID, 0},
    {"OldUacValue", UAC_OLD, 0},
    {"NewUacValue", UAC_NEW, 0},
    {"UserAccountControl", UAC_CODES, 0},
    {"PasswordLastSet", PASSWORD_LAST_SET, 0},
};
_Static_assert(ARRAY_LEN(data_names) <= 32, "a bit of `seen` each");

void evlog_fill_init(struct evlog_fill *f, enum evlog_kind kind)
{
    evlog_event_init(&f->ev);
    f->ev.kind = kind;
    f->seen = 0;
}

bool evlog_number(const char *s, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    unsigned base = 10, digit;

    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        base = 16;
        s += 2;
    }
    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        if (*s >= '0' && *s <= '9')
            digit = (unsigned)(*s - '0');
        else if (base == 16 && (*s | 0x20) >= 'a' && (*s | 0x20) <= 'f')
            digit = (unsigned)((*s | 0x20) - 'a') + 10;
        else
            return false;
        if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit, &v) || v > max)
            return false;
    }
    *ret = v;
    return true;
}

void evlog_fill_codes(struct evlog_fill *f, const char *value)
{
    struct evlog_uac *u = &f->ev.uac;

    for (const char *s = value; *s != '\0' && u->code_count < EVLOG_CODES_MAX;) {
        unsigned code = 0, digits = 0;

        for (; *s >= '0' && *s <= '9'; s++, digits++)
            code = digits < 5 ? code * 10 + (unsigned)(*s - '0') : UINT_MAX;
        if (digits > 0 && code <= UINT16_MAX)
            u->codes[u->code_count++] = (uint16_t)code;
        else if (digits == 0)
            s++;
    }
}

static int fill_number(const char *name, const char *value, uint64_t max, uint64_t *ret,
                       bool *ret_has, struct err *e)
{
    char shown[TEXT_SHOWN];

    if (value[0] == '\0' || strcmp(value, "-") == 0)
        return 0; /* not changed, not known */
    if (!evlog_number(value, max, ret))
        return err_set(e, ERR_INVALID, 0, "%s is '%s', not a number", name,
                       text_shown(shown, value));
    *ret_has = true;
    return 0;
}

int evlog_fill_data(struct evlog_fill *f, const char *name, const char *value, bool fleeting,
                    struct err *e)
{
    struct evlog_event *ev = &f->ev;
    uint64_t v = 0;
    size_t i;
    int rc = 0;

    for (i = 0; i < ARRAY_LEN(data_names); i++)
        if (strcmp(data_names[i].name, name) == 0)
            break;
    if (i == ARRAY_LEN(data_names))
        return 0;
    if ((f->seen & UINT32_C(1) << i) != 0)
        return err_set(e, ERR_INVALID, 0, "%s stands there twice", name);
    f->seen |= UINT32_C(1) << i;

    switch (data_names[i].what) {
    case STRING:
        if (!fleeting && strcmp(value, "-") != 0)
            *(const char **)((char *)ev + data_names[i].at) = value;
        break;
    case LOGON_ID:
        rc = fill_number(name, value, UINT64_MAX, &ev->logon_id, &ev->has_logon_id, e);
        break;
    case UAC_OLD:
        rc = fill_number(name, value, UINT32_MAX, &v, &ev->uac.has_old, e);
        ev->uac.old = (uint32_t)v;
        break;
    case UAC_NEW:
        rc = fill_number(name, value, UINT32_MAX, &v, &ev->uac.has_new, e);
        ev->uac.new = (uint32_t)v;
        break;
    case UAC_CODES:
        evlog_fill_codes(f, value);
        break;
    case PASSWORD_LAST_SET:
        if (value[0] == '\0' || strcmp(value, "-") == 0 || fleeting)
            break;
        if (strcmp(value, "%%1794") == 0) {
            ev->password_last_set = EVLOG_PLS_NEVER;
        } else {
            ev->password_last_set = EVLOG_PLS_TIME;
            ev->password_last_set_text = value;
        }
        break;
    }
    return rc;
}

void evlog_fill_keywords(struct evlog_fill *f, const char *value)
{
    uint64_t bits = 0;
    int64_t negative;

    /* NXLog writes the 64 bits as a signed number. */
    if (value[0] == '-' && text_to_i64(value, INT64_MIN, -1, &negative))
        bits = (uint64_t)negative;
    else if (!evlog_number(value, UINT64_MAX, &bits))
        bits = text_eq_nocase(value, "Audit Success")   ? KEYWORD_SUCCESS
               : text_eq_nocase(value, "Audit Failure") ? KEYWORD_FAILURE
                                                        : 0;
    if ((bits & KEYWORD_FAILURE) != 0)
        f->ev.outcome = EVLOG_FAILURE;
    else if ((bits & KEYWORD_SUCCESS) != 0 && f->ev.outcome != EVLOG_FAILURE)
        f->ev.outcome = EVLOG_SUCCESS;
}

void evlog_fill_time(struct evlog_fill *f, const char *value, bool utc)
{
    char with_zone[STAMP_TEXT];
    int n;

    f->ev.has_time = stamp_parse_iso(value, &f->ev.time_ms);
    if (f->ev.has_time || !utc)
        return;
    n = snprintf(with_zone, sizeof(with_zone), "%sZ", value);
    f->ev.has_time =
        n > 0 && (size_t)n < sizeof(with_zone) && stamp_parse_iso(with_zone, &f->ev.time_ms);
}

int evlog_fill_end(struct evlog_fill *f, struct err *e)
{
    struct evlog_event *ev = &f->ev;

    if (ev->id == 0)
        return err_set(e, ERR_INVALID, 0, "no event id");
    if (!ev->has_time)
        ev->time_ms = 0;
    switch (ev->id) {
    case EVLOG_LOCKED:
        /* The field that is a domain everywhere else names the calling computer here. */
        ev->remote = ev->target.domain;
        ev->target.domain = "";
        break;
    case EVLOG_RENAMED:
        if (ev->target.name[0] == '\0')
            ev->target.name = ev->new_name;
        break;
    default:
        break;
    }
    return 0;
}
