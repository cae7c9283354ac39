/* tests/bench/events.c -- events N: N events as a DC answers them, read, parsed and matched.
 *
 * The envelopes are what a Pull brings (a hundred 4725 and 4738 each, other people's but for the
 * last one), made before the clock runs; each is read as base/soap.c does, goes to the watcher, and
 * a hundred expectations look at every event. Prints events a second, and what memory grew by
 * between the first tenth and the end (KB).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "base/soap.h"
#include "eventlog/expect.h"
#include "eventlog/source_ops.h"

enum { BATCH = 100, WAITING = 100 };

static void nothing(struct evlog_source *s)
{
    (void)s;
}

static void mark(const struct evlog_source *s, struct text *out)
{
    (void)s;
    text_add(out, "x");
}

static bool locate(const struct evlog_source *s, const char *m, struct evlog_since *ret)
{
    (void)s, (void)m, (void)ret;
    return true;
}

static void health(const struct evlog_source *s, struct evlog_health *ret)
{
    (void)s, (void)ret;
}

static void done(struct evlog_source *s)
{
    free(s);
}

static const struct evlog_source_ops ops = {nothing, nothing, nothing, mark, locate, health, done};

static struct evlog_source *source;
static unsigned met;

static void on_event(void *arg, const struct evlog_event *ev)
{
    struct evlog_pos pos = {.seq = evlog_source_next_seq(source), .off = ev->record};

    (void)arg;
    evlog_source_deliver(source, ev, &pos);
}

static void on_met(void *arg, const struct evlog_result *r)
{
    (void)arg;
    met += r->end == EVLOG_MET;
}

static void envelope(struct text *t, unsigned from)
{
    text_add(t, "<s:Envelope xmlns:s='" SOAP_S "' xmlns:n='" SOAP_N "'><s:Body><n:PullResponse>"
                "<n:EnumerationContext>uuid:1</n:EnumerationContext><n:Items>");
    for (unsigned i = 0; i < BATCH; i++)
        text_addf(
            t,
            "<Event "
            "xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider "
            "Name='Microsoft-Windows-Security-Auditing' "
            "Guid='{54849625-5478-4994-a5ba-3e3b0328c30d}'/><EventID>%u</EventID><Version>0</"
            "Version>"
            "<Level>0</Level><Task>13824</Task><Opcode>0</Opcode>"
            "<Keywords>0x8020000000000000</Keywords>"
            "<TimeCreated "
            "SystemTime='2026-11-20T09:30:01.1234567Z'/><EventRecordID>%u</EventRecordID>"
            "<Correlation ActivityID='{6e4a7c2d-0000-0000-0000-000000000000}'/>"
            "<Execution ProcessID='620' ThreadID='1948'/><Channel>Security</Channel>"
            "<Computer>dc1.corp.example.com</Computer><Security/></System><EventData>"
            "%s<Data Name='TargetUserName'>user%u</Data><Data Name='TargetDomainName'>CORP</Data>"
            "<Data Name='TargetSid'>S-1-5-21-1-2-3-%u</Data>"
            "<Data Name='SubjectUserSid'>S-1-5-21-1-2-3-500</Data>"
            "<Data Name='SubjectUserName'>admin</Data><Data Name='SubjectDomainName'>CORP</Data>"
            "<Data Name='SubjectLogonId'>0x30d5f</Data>%s</EventData></Event>",
            i % 2 == 0 ? 4725U : 4738U, from + i, i % 2 == 0 ? "" : "<Data Name='Dummy'>-</Data>",
            from + i, 2000 + (from + i) % 5000,
            i % 2 == 0 ? ""
                       : "<Data Name='PrivilegeList'>-</Data><Data Name='SamAccountName'>-</Data>"
                         "<Data Name='PasswordLastSet'>-</Data><Data Name='OldUacValue'>0x10</Data>"
                         "<Data Name='NewUacValue'>0x11</Data>"
                         "<Data Name='UserAccountControl'>%%2080</Data>");
    text_add(t, "</n:Items></n:PullResponse></s:Body></s:Envelope>");
}

static long rss_kb(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0, all = 0;

    if (f != NULL && fscanf(f, "%ld %ld", &all, &pages) != 2)
        pages = 0;
    if (f != NULL)
        (void)fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int argc, char **argv)
{
    unsigned long total = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    struct text envelopes[10];
    struct evlog_watcher *w = NULL;
    struct loop *l = NULL;
    struct timespec a, b;
    long early = 0;
    struct err e;

    if (loop_new(&l, &e) < 0 || evlog_watcher_new(l, &w, &e) < 0)
        return 1;
    source = calloc(1, sizeof(*source));
    if (source == NULL ||
        evlog_source_adopt(w, source, &ops, "dc1.corp.example.com", NULL, NULL, &e) < 0)
        return 1;
    for (unsigned i = 0; i < WAITING; i++) {
        struct evlog_expect *x = NULL;
        char sid[64];
        struct evlog_spec s = {
            .target_sid = sid, .actor_sid = "S-1-5-21-1-2-3-1200", .dc = "dc1.corp.example.com"};

        (void)snprintf(sid, sizeof(sid), "S-1-5-21-1-2-3-%u", 2000 + i);
        evlog_want_disabled(&s);
        if (evlog_expect_start(w, &s, on_met, NULL, &x, &e) < 0)
            return 1;
    }
    for (unsigned i = 0; i < ARRAY_LEN(envelopes); i++) {
        text_init(&envelopes[i], 1024 * 1024);
        envelope(&envelopes[i], 1000 + i * BATCH);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    for (unsigned long n = 0; n < total; n += BATCH) {
        const struct text *t = &envelopes[n / BATCH % ARRAY_LEN(envelopes)];
        const struct xml_node *items, *response;
        struct soap_answer answer;

        if (soap_read(t->s, t->len, "application/soap+xml;charset=UTF-8", NULL, &answer, &e) < 0) {
            (void)fprintf(stderr, "%s\n", e.msg);
            return 1;
        }
        response = xml_child(answer.body, SOAP_N, "PullResponse");
        items = xml_child(response, SOAP_N, "Items");
        for (const struct xml_node *item = items->child; item != NULL; item = item->next) {
            if (evlog_parse_node(item, on_event, NULL, &e) < 0) {
                (void)fprintf(stderr, "%s\n", e.msg);
                return 1;
            }
        }
        soap_answer_done(&answer);
        if (early == 0 && n >= total / 10)
            early = rss_kb();
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    (void)printf("%.0f %ld\n",
                 (double)total /
                     ((double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9),
                 rss_kb() - early);
    for (unsigned i = 0; i < ARRAY_LEN(envelopes); i++)
        text_done(&envelopes[i]);
    evlog_watcher_free(w);
    loop_free(l);
    return met == 0 ? 0 : 1;
}
