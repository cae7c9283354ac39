/* eventlog/winrm_query.c -- see winrm_query.h. winrm.md 4.1: a Select takes some 20 comparisons. */
#include "eventlog/winrm_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "eventlog/event.h"

/* Those that can prove or undo something, and nothing else: a busy DC logs thousands a second. */
static const uint32_t ids[] = {EVLOG_ENABLED,  EVLOG_CHANGE_PASSWORD, EVLOG_RESET_PASSWORD,
                               EVLOG_DISABLED, EVLOG_DELETED,         EVLOG_CHANGED,
                               EVLOG_LOCKED,   EVLOG_UNLOCKED,        EVLOG_RENAMED};

/* "S-1-5-21-...": nothing that could end the quotes of an XPath string. */
static bool is_sid(const char *s)
{
    return s != NULL && strncmp(s, "S-1-", 4) == 0 &&
           strspn(s + 4, "0123456789-") == strlen(s + 4) && strlen(s) < 200;
}

void evlog_query_xpath(const struct evlog_query *q, struct text *out)
{
    char at[STAMP_TEXT];

    text_add(out, "*[System[Provider[@Name='" EVLOG_PROVIDER "'] and (");
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        text_addf(out, "%sEventID=%" PRIu32, i > 0 ? " or " : "", ids[i]);
    text_addc(out, ')');
    if (q->since_ms != 0)
        text_addf(out, " and TimeCreated[@SystemTime>='%s']", stamp_iso(at, q->since_ms));
    text_addc(out, ']');
    if (is_sid(q->target_sid))
        text_addf(out, " and EventData[Data[@Name='TargetSid']='%s']", q->target_sid);
    text_addc(out, ']');
}

void evlog_query_write(struct xml_out *x, const void *query)
{
    const struct evlog_query *q = query;
    CLEANUP(text_done) struct text t = TEXT_INIT(4096);

    evlog_query_xpath(q, &t);
    xml_out_open(x, "QueryList");
    xml_out_attr(x, "xmlns", "");
    xml_out_open(x, "Query");
    xml_out_attr(x, "Id", "0");
    xml_out_open(x, "Select");
    xml_out_attr(x, "Path", q->log);
    xml_out_text(x, t.s);
    xml_out_close(x);
    xml_out_close(x);
    xml_out_close(x);
    x->failed = x->failed || t.failed;
}

/* FNV-1a (draft-eastlake-fnv), 32 bits. */
uint32_t evlog_query_hash(const struct evlog_query *q)
{
    struct evlog_query timeless = *q;
    CLEANUP(text_done) struct text t = TEXT_INIT(4096);
    uint32_t h = UINT32_C(2166136261);

    timeless.since_ms = 0;
    text_addf(&t, "%s\n", q->log);
    evlog_query_xpath(&timeless, &t);
    for (size_t i = 0; i < t.len; i++)
        h = (h ^ (unsigned char)t.s[i]) * UINT32_C(16777619);
    return h;
}

void evlog_place_write(const struct evlog_place *p, struct text *out)
{
    text_addf(out, "w1:%08" PRIx32 ":%" PRIu64 ":%" PRId64, p->hash, p->record, p->since_ms);
}

bool evlog_place_read(const char *s, struct evlog_place *ret)
{
    char part[3][24];
    uint64_t hash = 0;

    if (strncmp(s, "w1:", 3) != 0)
        return false;
    s += 3;
    for (int i = 0; i < 3; i++) {
        size_t n = strcspn(s, ":");

        if (n == 0 || n >= sizeof(part[i]) || (s[n] == ':') != (i < 2))
            return false;
        memcpy(part[i], s, n);
        part[i][n] = '\0';
        s += n + (i < 2 ? 1 : 0);
    }
    if (strlen(part[0]) != 8)
        return false;
    for (const char *c = part[0]; *c != '\0'; c++) {
        static const char digits[] = "0123456789abcdef";
        const char *d = strchr(digits, *c);

        if (d == NULL)
            return false;
        hash = hash * 16 + (uint64_t)(d - digits);
    }
    ret->hash = (uint32_t)hash;
    return text_to_u64(part[1], 0, UINT64_MAX, &ret->record) &&
           text_to_i64(part[2], 0, INT64_MAX, &ret->since_ms);
}
