/* eventlog/event_json.c -- the Windows event in the JSON of shippers; see event.h.
 *
 * The shape is told by what is there, and the first that fits is taken:
 *
 *   as rendered   {"Event":{"System":{...},"EventData":{...}}}   evtx_dump, xml2json
 *   winlogbeat    {"winlog":{"event_id":..,"event_data":{...}},"event":{"code":".."}}, also with
 *                 dotted names at the top ("winlog.event_id"), also version 6 (no "winlog")
 *   flat          {"EventID":4738,"TargetSid":...}   NXLog, fluent-bit, Sentinel
 *   wrapped XML   only where none of these is there, and only in members made for it: any other
 *                 string may hold what an attacker typed
 *
 * Elastic's {"_source":{...}} is looked into.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "eventlog/event_fill.h"
#include "eventlog/read.h"

enum { DEPTH = 24, EXACT_DIGITS = 15 };

/* --- numbers beyond 2^53 -------------------------------------------------------------------- */

/* Where the integer that begins at s[i] ends; 0 if it is short enough or no integer. */
static size_t long_integer(const char *s, size_t n, size_t i)
{
    size_t j = i + (s[i] == '-' ? 1 : 0), digits = j;

    while (j < n && s[j] >= '0' && s[j] <= '9')
        j++;
    digits = j - digits;
    if (digits <= EXACT_DIGITS || (j < n && (s[j] == '.' || s[j] == 'e' || s[j] == 'E')))
        return 0;
    return j;
}

/* NXLog writes Keywords as a 64-bit number, which no double holds and the JSON reader therefore
 * refuses. Put such integers in quotes: they are texts from here on. Whatever else is wrong with
 * the bytes stays wrong. Leaves `t` empty where there is none. */
static void quote_long_integers(const char *s, size_t n, struct text *t)
{
    size_t copied = 0, end;
    bool in_string = false;

    for (size_t i = 0; i < n; i++) {
        if (in_string) {
            if (s[i] == '\\')
                i++;
            else if (s[i] == '"')
                in_string = false;
        } else if (s[i] == '"') {
            in_string = true;
        } else if (s[i] == '-' || (s[i] >= '0' && s[i] <= '9')) {
            end = long_integer(s, n, i);
            if (end == 0) {
                while (i + 1 < n && strchr("0123456789+-.eE", s[i + 1]) != NULL && s[i + 1] != '\0')
                    i++;
                continue;
            }
            text_addn(t, s + copied, i - copied);
            text_addc(t, '"');
            text_addn(t, s + i, end - i);
            text_addc(t, '"');
            copied = end;
            i = end - 1;
        }
    }
    if (copied > 0)
        text_addn(t, s + copied, n - copied);
}

/* --- looking things up ---------------------------------------------------------------------- */

static const char *first_str(const struct cJSON *obj, const char *const *names)
{
    const char *s;

    for (; *names != NULL; names++)
        if ((s = json_str(obj, *names)) != NULL)
            return s;
    return "";
}
#define FIRST_STR(obj, ...) first_str(obj, (const char *const[]){__VA_ARGS__, NULL})

/* The value wrapped in an object with attributes: {"#text":4725}, {"Value":"4725"}. */
static const struct cJSON *unwrap(const struct cJSON *v)
{
    static const char *const names[] = {"#text", "Value", "value", "content", "_text", "$t"};

    for (size_t i = 0; json_is_object(v) && i < ARRAY_LEN(names); i++)
        if (json_get(v, names[i]) != NULL)
            return json_get(v, names[i]);
    return v;
}

/* An attribute of an XML element turned into JSON: "Name", "@Name", {"#attributes":{"Name"}}. */
static const char *attribute(const struct cJSON *v, const char *name)
{
    static const char *const holders[] = {"#attributes", "$", "@attributes", "_attributes"};
    char at[40];
    const char *s;

    if (!json_is_object(v))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(holders); i++)
        if ((s = json_str(json_get(v, holders[i]), name)) != NULL)
            return s;
    if ((s = json_str(v, name)) != NULL)
        return s;
    (void)snprintf(at, sizeof(at), "@%s", name);
    return json_str(v, at);
}

static bool number(const struct cJSON *v, uint64_t max, uint64_t *ret)
{
    int64_t i;
    const char *s;

    v = unwrap(v);
    if (v == NULL)
        return false;
    if ((s = json_value_str(v)) != NULL)
        return evlog_number(s, max, ret);
    if (!json_value_i64(v, &i) || i < 0 || (uint64_t)i > max)
        return false;
    *ret = (uint64_t)i;
    return true;
}

static bool first_number(const struct cJSON *obj, const char *const *names, uint64_t max,
                         uint64_t *ret)
{
    for (; *names != NULL; names++)
        if (number(json_get(obj, *names), max, ret))
            return true;
    return false;
}
#define FIRST_NUMBER(obj, max, ret, ...) \
    first_number(obj, (const char *const[]){__VA_ARGS__, NULL}, max, ret)

static void keywords(struct evlog_fill *f, const struct cJSON *v)
{
    char number_text[24];
    int64_t i;

    if (json_is_array(v)) {
        for (const struct cJSON *c = json_first(v); c != NULL; c = json_next(c))
            if (json_value_str(c) != NULL)
                evlog_fill_keywords(f, json_value_str(c));
    } else if (v != NULL && json_value_str(v) != NULL) {
        evlog_fill_keywords(f, json_value_str(v));
    } else if (v != NULL && json_value_i64(v, &i)) {
        (void)snprintf(number_text, sizeof(number_text), "%lld", (long long)i);
        evlog_fill_keywords(f, number_text);
    }
}

/* --- data ------------------------------------------------------------------------------------ */

static int datum(struct evlog_fill *f, const char *name, const struct cJSON *v, struct err *e)
{
    char number_text[24];
    int64_t i;

    v = unwrap(v);
    if (v == NULL)
        return 0;
    if (json_value_str(v) != NULL)
        return evlog_fill_data(f, name, json_value_str(v), /* fleeting */ false, e);
    if (json_value_i64(v, &i)) {
        (void)snprintf(number_text, sizeof(number_text), "%lld", (long long)i);
        return evlog_fill_data(f, name, number_text, /* fleeting */ true, e);
    }
    /* winlogbeat's security module makes ["2050","2089"] of the codes. */
    if (json_is_array(v) && strcmp(name, "UserAccountControl") == 0)
        for (const struct cJSON *c = json_first(v); c != NULL; c = json_next(c))
            if (json_value_str(c) != NULL)
                evlog_fill_codes(f, json_value_str(c));
    return 0;
}

/* {"TargetSid":"S-1-..",...}, or {"Data":[{"@Name":"TargetSid","#text":"S-1-.."},...]} */
static int read_data(struct evlog_fill *f, const struct cJSON *obj, struct err *e)
{
    const struct cJSON *list = json_get(obj, "Data");
    const char *name;

    for (const struct cJSON *c = json_first(obj); json_is_object(obj) && c != NULL;
         c = json_next(c))
        if (datum(f, json_name(c), c, e) < 0)
            return -1;
    for (const struct cJSON *c = json_is_array(list) ? json_first(list) : NULL; c != NULL;
         c = json_next(c))
        if ((name = attribute(c, "Name")) != NULL && datum(f, name, c, e) < 0)
            return -1;
    return 0;
}

/* --- shapes ------------------------------------------------------------------------------------
 */

static int read_rendered(struct evlog_fill *f, const struct cJSON *event, struct err *e)
{
    const struct cJSON *sys = json_get(event, "System"), *v;
    const char *s;
    uint64_t id = 0;

    (void)FIRST_NUMBER(sys, UINT32_MAX, &id, "EventID");
    f->ev.id = (uint32_t)id;
    f->ev.has_record = FIRST_NUMBER(sys, UINT64_MAX, &f->ev.record, "EventRecordID");
    f->ev.computer = FIRST_STR(sys, "Computer");
    f->ev.channel = FIRST_STR(sys, "Channel");
    keywords(f, json_get(sys, "Keywords"));
    if ((s = attribute(json_get(sys, "Provider"), "Name")) != NULL)
        f->ev.provider = s;
    v = json_get(sys, "TimeCreated");
    if ((s = attribute(v, "SystemTime")) != NULL || (v != NULL && (s = json_value_str(v)) != NULL))
        evlog_fill_time(f, s, /* utc */ true);
    return read_data(f, json_get(event, "EventData"), e);
}

/* A member of winlog: nested, dotted at the top, or (version 6) bare at the top. */
static const struct cJSON *winlog(const struct cJSON *top, const char *name, const char *v6)
{
    const struct cJSON *v = json_get(json_get(top, "winlog"), name);
    char dotted[64];

    if (v != NULL)
        return v;
    (void)snprintf(dotted, sizeof(dotted), "winlog.%s", name);
    if ((v = json_get(top, dotted)) != NULL)
        return v;
    return v6 == NULL ? NULL : json_get(top, v6);
}

static const char *winlog_str(const struct cJSON *top, const char *name, const char *v6)
{
    const struct cJSON *v = winlog(top, name, v6);
    const char *s = v == NULL ? NULL : json_value_str(v);

    return s == NULL ? "" : s;
}

static int read_winlogbeat(struct evlog_fill *f, const struct cJSON *top, struct err *e)
{
    static const char prefix[] = "winlog.event_data.";
    const struct cJSON *event = json_get(top, "event");
    uint64_t id = 0;
    const char *s;

    if (!number(winlog(top, "event_id", "event_id"), UINT32_MAX, &id))
        (void)(FIRST_NUMBER(event, UINT32_MAX, &id, "code") ||
               FIRST_NUMBER(top, UINT32_MAX, &id, "event.code"));
    f->ev.id = (uint32_t)id;
    f->ev.has_record = number(winlog(top, "record_id", "record_number"), UINT64_MAX, &f->ev.record);
    f->ev.computer = winlog_str(top, "computer_name", "computer_name");
    f->ev.channel = winlog_str(top, "channel", "log_name");
    f->ev.provider = winlog_str(top, "provider_name", "source_name");
    evlog_fill_time(f, FIRST_STR(top, "@timestamp"), /* utc */ false);

    /* The outcome is made of the bits, the keywords are words in the DC's language. */
    s = FIRST_STR(event, "outcome");
    if (*s == '\0')
        s = FIRST_STR(top, "event.outcome");
    if (strcmp(s, "success") == 0)
        f->ev.outcome = EVLOG_SUCCESS;
    else if (strcmp(s, "failure") == 0)
        f->ev.outcome = EVLOG_FAILURE;
    keywords(f, winlog(top, "keywords", "keywords"));

    for (const struct cJSON *c = json_first(top); c != NULL; c = json_next(c))
        if (text_starts(json_name(c), prefix) &&
            datum(f, json_name(c) + sizeof(prefix) - 1, c, e) < 0)
            return -1;
    return read_data(f, winlog(top, "event_data", "event_data"), e);
}

static int read_flat(struct evlog_fill *f, const struct cJSON *top, struct err *e)
{
    const char *type = FIRST_STR(top, "EventType");
    uint64_t id = 0;

    (void)FIRST_NUMBER(top, UINT32_MAX, &id, "EventID", "EventId");
    f->ev.id = (uint32_t)id;
    f->ev.has_record = FIRST_NUMBER(top, UINT64_MAX, &f->ev.record, "RecordNumber", "EventRecordID",
                                    "EventRecordId", "RecordId");
    f->ev.computer = FIRST_STR(top, "Hostname", "Computer", "MachineName", "ComputerName");
    f->ev.channel = FIRST_STR(top, "Channel", "LogName");
    f->ev.provider = FIRST_STR(top, "SourceName", "ProviderName", "Provider", "EventSourceName");
    keywords(f, json_get(top, "Keywords"));
    if (strcmp(type, "AUDIT_FAILURE") == 0)
        f->ev.outcome = EVLOG_FAILURE;
    else if (strcmp(type, "AUDIT_SUCCESS") == 0 && f->ev.outcome == EVLOG_UNSAID)
        f->ev.outcome = EVLOG_SUCCESS;
    /* NXLog's EventTime has no zone unless it was told to write one. */
    evlog_fill_time(
        f, FIRST_STR(top, "EventTime", "TimeCreated", "SystemTime", "TimeGenerated", "@timestamp"),
        /* utc */ false);

    /* Values in their order but without their names: nothing can be told from those. */
    if (json_is_array(json_get(top, "Properties")) ||
        (json_is_array(json_get(top, "StringInserts")) && json_get(top, "TargetSid") == NULL))
        return err_set(e, ERR_UNSUPPORTED, 0,
                       "an event whose values have no names: have it written as XML");
    if (json_is_object(json_get(top, "EventData")))
        return read_data(f, json_get(top, "EventData"), e);
    return read_data(f, top, e);
}

/* XML in a member that is made for it. NULL: none. */
static const char *wrapped_xml(const struct cJSON *top)
{
    static const char *const paths[] = {
        "event/original", "event.original", "Event",      "xml",  "Xml",   "XML",
        "EventXml",       "EventXML",       "winlog/xml", "_raw", "System"};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        const struct cJSON *v = json_at(top, paths[i]);
        const char *s = v == NULL ? NULL : json_value_str(v);

        if (s != NULL && text_starts(s + strspn(s, " \t\r\n"), "<Event"))
            return s;
    }
    return NULL;
}

static int read_object(const struct cJSON *top, evlog_event_cb cb, void *arg, struct err *e)
{
    const struct cJSON *inner = json_get(top, "_source");
    struct evlog_fill f;
    const char *xml;
    int rc;

    if (json_is_object(inner))
        top = inner;
    evlog_fill_init(&f, EVLOG_JSON);
    if (json_is_object(json_at(top, "Event/System")))
        rc = read_rendered(&f, json_get(top, "Event"), e);
    else if (json_is_object(json_get(top, "System")))
        rc = read_rendered(&f, top, e);
    else if (winlog(top, "event_id", NULL) != NULL || json_is_object(json_get(top, "winlog")) ||
             json_is_object(json_get(top, "event_data")))
        rc = read_winlogbeat(&f, top, e);
    else if (json_get(top, "EventID") != NULL || json_get(top, "EventId") != NULL)
        rc = read_flat(&f, top, e);
    else if ((xml = wrapped_xml(top)) != NULL)
        return evlog_parse_xml(xml, strlen(xml), cb, arg, e);
    else if (json_is_array(json_get(top, "Properties")))
        return err_set(e, ERR_UNSUPPORTED, 0,
                       "an event whose values have no names: have it written as XML");
    else
        return err_set(e, ERR_INVALID, 0, "JSON, but no event that is known here");
    if (rc < 0 || evlog_fill_end(&f, e) < 0)
        return -1;
    cb(arg, &f.ev);
    return 0;
}

int evlog_parse_json(const char *s, size_t n, evlog_event_cb cb, void *arg, struct err *e)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const struct json_limits lim = {.bytes = 2 * EVLOG_READ_MAX,
                                    .depth = DEPTH,
                                    .string = EVLOG_READ_MAX,
                                    .flags = JSON_FLOATS};
    CLEANUP(text_done) struct text quoted = TEXT_INIT(2 * EVLOG_READ_MAX);
    int rc;

    if (n > EVLOG_READ_MAX)
        return err_set(e, ERR_TOOBIG, 0, "an event of %zu bytes", n);
    quote_long_integers(s, n, &quoted);
    if (text_check(&quoted, "an event", e) < 0)
        return -1;
    rc = quoted.len > 0 ? json_parse(quoted.s, quoted.len, &lim, &j, e)
                        : json_parse(s, n, &lim, &j, e);
    if (rc < 0)
        return -1;
    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, 0, "JSON, but not an object");
    return read_object(j, cb, arg, e);
}
