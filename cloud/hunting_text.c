/* cloud/hunting_text.c -- the texts that look for an account's events. Pure.
 *
 * What goes into one is a SID of digits and dashes, times written by us, and numbers: there is
 * nothing in them that could end a literal.
 */
#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "cloud/field.h"
#include "cloud/hunting_inside.h"

enum { IDS_MAX = 16, ID_MAX = 65535 };
#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define TIME_MIN INT64_C(946684800000)    /* 2000-01-01 */
#define TIME_MAX INT64_C(253402300799999) /* 9999-12-31 */

static const struct {
    unsigned id;
    const char *words;
} events[] = {
    {4725, "account disabled"},
    {4722, "account enabled"},
    {4738, "account changed"},
    {4724, "password reset attempted"},
};

const char *hunt_event_words(int64_t id)
{
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        if (id == (int64_t)events[i].id)
            return events[i].words;
    }
    return "";
}

static int check_sid(const char *sid, struct err *e)
{
    return field_sid_ok(sid) ? 0 : err_set(e, ERR_USAGE, 0, "not a SID");
}

int hunt_check(const char *sid, int64_t from_ms, int64_t to_ms, struct err *e)
{
    if (check_sid(sid, e) < 0)
        return -1;
    if (from_ms < TIME_MIN || to_ms > TIME_MAX || to_ms < from_ms)
        return err_set(e, ERR_USAGE, 0, "a time out of range, or an end before the begin");
    if (to_ms - from_ms > HUNT_SPAN_DAYS * DAY_MS)
        return err_set(e, ERR_USAGE, 0, "more than %d days", HUNT_SPAN_DAYS);
    return 0;
}

static void add_window(struct text *t, const char *column, int64_t from_ms, int64_t to_ms)
{
    char from[STAMP_TEXT], to[STAMP_TEXT];

    text_addf(t, "| where %s between (datetime(%s) .. datetime(%s))\n", column,
              stamp_iso(from, from_ms), stamp_iso(to, to_ms));
}

int hunt_text_security_event(struct text *t, const char *sid, int64_t from_ms, int64_t to_ms,
                             struct err *e)
{
    if (hunt_check(sid, from_ms, to_ms, e) < 0)
        return -1;
    text_add(t, "SecurityEvent\n");
    add_window(t, "TimeGenerated", from_ms, to_ms);
    text_add(t, "| where EventID in (");
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        text_addf(t, "%s%u", i > 0 ? ", " : "", events[i].id);
    text_addf(t, ")\n| where TargetSid == '%s'\n", sid);
    text_add(t, "| project TimeGenerated, Computer, EventID, TargetSid, SubjectUserSid, "
                "SubjectUserName, TargetUserName\n"
                "| order by TimeGenerated asc\n");
    text_addf(t, "| take %d\n", HUNT_ROWS + 1);
    return text_check(t, "query", e);
}

int hunt_text_identity(struct text *t, const char *sid, int64_t from_ms, int64_t to_ms,
                       struct err *e)
{
    if (hunt_check(sid, from_ms, to_ms, e) < 0)
        return -1;
    text_add(t, "IdentityDirectoryEvents\n");
    add_window(t, "Timestamp", from_ms, to_ms);
    text_add(t, "| where ActionType in~ ('Account disabled', 'Account enabled')\n"
                "| extend TargetSid = tostring(AdditionalFields.TargetAccountSid), "
                "ActorDevice = tostring(AdditionalFields['ACTOR.DEVICE'])\n");
    text_addf(t, "| where TargetSid == '%s'\n", sid);
    text_add(t, "| project Timestamp, ActionType, TargetAccountUpn, TargetSid, AccountSid, "
                "AccountName, "
                "DestinationDeviceName, ActorDevice\n"
                "| order by Timestamp asc\n");
    text_addf(t, "| take %d\n", HUNT_ROWS + 1);
    return text_check(t, "query", e);
}

int hunt_text_query_xml(struct text *t, const char *sid, const unsigned *ids, size_t n,
                        struct err *e)
{
    size_t count = ids != NULL ? n : ARRAY_LEN(events);

    if (check_sid(sid, e) < 0)
        return -1;
    if (count == 0 || count > IDS_MAX)
        return err_set(e, ERR_USAGE, 0, "1 to %d event ids", IDS_MAX);
    for (size_t i = 0; ids != NULL && i < n; i++) {
        if (ids[i] == 0 || ids[i] > ID_MAX)
            return err_set(e, ERR_USAGE, 0, "%u is no event id", ids[i]);
    }
    text_add(t, "<QueryList>\n"
                "  <Query Id=\"0\" Path=\"Security\">\n"
                "    <Select Path=\"Security\">*[System["
                "Provider[@Name='Microsoft-Windows-Security-Auditing'] and (");
    for (size_t i = 0; i < count; i++)
        text_addf(t, "%sEventID=%u", i > 0 ? " or " : "", ids != NULL ? ids[i] : events[i].id);
    text_addf(t, ")]] and *[EventData[Data[@Name='TargetSid']='%s']]</Select>\n", sid);
    text_add(t, "  </Query>\n"
                "</QueryList>\n");
    return text_check(t, "query", e);
}
