/* agent/service/metrics.c -- see metrics.h. One family after the other, each with its TYPE, UNIT
 * and HELP in front and nothing of another in between. */
#include "agent/service/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static void family(struct text *t, const char *name, const char *type, const char *unit,
                   const char *help)
{
    text_addf(t, "# TYPE %s %s\n", name, type);
    if (unit != NULL)
        text_addf(t, "# UNIT %s %s\n", name, unit);
    text_addf(t, "# HELP %s %s\n", name, help);
}

/* A label's value: \ " and the end of a line are escaped, other control characters and broken
 * UTF-8 become '?'. */
static void add_label(struct text *t, const char *s)
{
    size_t left = strlen(s), step;
    uint32_t c;

    for (; left > 0; s += step, left -= step) {
        step = text_utf8_next(s, left, &c);
        if (step == 0 || (text_is_hidden(c) && c != '\n'))
            text_addc(t, '?');
        else if (c == '\n')
            text_add(t, "\\n");
        else if (c == '"' || c == '\\')
            text_addf(t, "\\%c", (int)c);
        else
            text_addn(t, s, step);
        step = step > 0 ? step : 1;
    }
}

static void sample_name(struct text *t, const char *name, const char *label, const char *value)
{
    text_add(t, name);
    if (label != NULL) {
        text_addf(t, "{%s=\"", label);
        add_label(t, value);
        text_add(t, "\"}");
    }
}

static void add_count(struct text *t, const char *name, const char *label, const char *value,
                      int64_t n)
{
    if (n == METRICS_UNKNOWN)
        return;
    sample_name(t, name, label, value);
    text_addf(t, " %lld\n", (long long)n);
}

/* No floating point: milliseconds as seconds with three places. */
static void add_seconds(struct text *t, const char *name, const char *label, const char *value,
                        int64_t ms)
{
    uint64_t n = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;

    if (ms == METRICS_UNKNOWN)
        return;
    sample_name(t, name, label, value);
    text_addf(t, " %s%llu.%03u\n", ms < 0 ? "-" : "", (unsigned long long)(n / 1000),
              (unsigned)(n % 1000));
}

static void gauge(struct text *t, const char *name, int64_t n, const char *help)
{
    if (n == METRICS_UNKNOWN)
        return;
    family(t, name, "gauge", NULL, help);
    add_count(t, name, NULL, NULL, n);
}

static void counter(struct text *t, const char *name, uint64_t n, const char *help)
{
    family(t, name, "counter", NULL, help);
    text_addf(t, "%s_total %llu\n", name, (unsigned long long)n);
}

static void write_dcs(const struct metrics *m, struct text *t)
{
    if (m->dc_count == 0)
        return;
    family(t, "cordon_dc_up", "gauge", NULL, "Whether the domain controller can be used.");
    for (size_t i = 0; i < m->dc_count; i++)
        add_count(t, "cordon_dc_up", "dc", m->dcs[i].name, m->dcs[i].up);
    family(t, "cordon_dc_proven_age_seconds", "gauge", "seconds",
           "Since the domain controller last answered.");
    for (size_t i = 0; i < m->dc_count; i++)
        add_seconds(t, "cordon_dc_proven_age_seconds", "dc", m->dcs[i].name,
                    m->dcs[i].proven_age_ms);
    family(t, "cordon_dc_event_age_seconds", "gauge", "seconds",
           "Since the last event of the domain controller.");
    for (size_t i = 0; i < m->dc_count; i++)
        add_seconds(t, "cordon_dc_event_age_seconds", "dc", m->dcs[i].name, m->dcs[i].event_age_ms);
}

static void write_requests(const struct metrics *m, struct text *t)
{
    gauge(t, "cordon_queue_depth", m->queue_depth, "Requests in the queue.");
    if (m->queue_oldest_ms != METRICS_UNKNOWN) {
        family(t, "cordon_queue_oldest_seconds", "gauge", "seconds",
               "Age of the oldest request in the queue.");
        add_seconds(t, "cordon_queue_oldest_seconds", NULL, NULL, m->queue_oldest_ms);
    }
    gauge(t, "cordon_cases_in_flight", m->in_flight, "Cases that are being carried out.");
    gauge(t, "cordon_requests_waiting", m->waiting, "Requests that wait to be begun.");
    gauge(t, "cordon_held", m->held, "Requests that wait for a person.");
    gauge(t, "cordon_outbox_depth", m->outbox, "Answers that are not delivered yet.");
    gauge(t, "cordon_outbox_stuck", m->outbox_stuck, "Answers that were refused at least once.");
    gauge(t, "cordon_ledger_records", m->ledger_records, "Records in the ledger.");
    gauge(t, "cordon_ledger_failed", m->ledger_failed, "1: the ledger cannot be written.");
    gauge(t, "cordon_degraded", m->degraded,
          "What cordon status says that somebody should look at.");
    counter(t, "cordon_requests_taken", m->taken, "Requests taken, since the start.");
    counter(t, "cordon_requests_refused", m->refused, "Messages refused, since the start.");
    counter(t, "cordon_requests_answered", m->answered, "Requests answered, since the start.");
    family(t, "cordon_verdicts", "counter", NULL, "Cases by how they ended, since the start.");
    for (int v = 0; v <= VERDICT_UNKNOWN; v++) {
        sample_name(t, "cordon_verdicts_total", "verdict", verdict_word((enum verdict)v));
        text_addf(t, " %llu\n", (unsigned long long)m->verdicts[v]);
    }
}

static void write_brakes(const struct metrics *m, struct text *t)
{
    gauge(t, "cordon_brake_engaged", m->brake_engaged, "1: all that is automatic is held.");
    if (m->brake_count == 0)
        return;
    family(t, "cordon_brake_count", "gauge", NULL, "Automatic changes in the rule's window.");
    for (size_t i = 0; i < m->brake_count; i++)
        add_count(t, "cordon_brake_count", "rule", m->brakes[i].rule, m->brakes[i].count);
    family(t, "cordon_brake_limit", "gauge", NULL, "How many the rule allows.");
    for (size_t i = 0; i < m->brake_count; i++)
        add_count(t, "cordon_brake_limit", "rule", m->brakes[i].rule, m->brakes[i].limit);
}

static void write_found(const struct metrics *m, struct text *t)
{
    gauge(t, "cordon_watched", m->watched, "Contained accounts that are watched.");
    gauge(t, "cordon_watched_alive", m->alive, "Of those, the ones that came back to life.");
    counter(t, "cordon_came_back", m->came_back, "Returns to life, since the start.");
    counter(t, "cordon_put_back", m->put_back, "Contained again for it, since the start.");
    gauge(t, "cordon_users_at_risk", m->at_risk, "Users at risk, at the last look.");
    counter(t, "cordon_risk_polls", m->risk_polls,
            "Looks at Identity Protection, since the start.");
    counter(t, "cordon_risk_failures", m->risk_failures, "Of those, the ones that failed.");
    counter(t, "cordon_risk_requests", m->risk_requests, "Requests made of it, since the start.");
}

int metrics_write(const struct metrics *m, struct text *t, struct err *e)
{
    /* No "info": who reads files (node_exporter) takes the older text format only. */
    family(t, "cordon_build_info", "gauge", NULL, "What runs.");
    sample_name(t, "cordon_build_info", "version", m->version);
    text_add(t, " 1\n");
    write_requests(m, t);
    write_brakes(m, t);
    write_found(m, t);
    write_dcs(m, t);
    if (m->leg_count > 0)
        family(t, "cordon_leg_proven_age_seconds", "gauge", "seconds",
               "Since the last round trip that was proven.");
    for (size_t i = 0; i < m->leg_count; i++)
        add_seconds(t, "cordon_leg_proven_age_seconds", "leg", m->legs[i].name,
                    m->legs[i].proven_age_ms);
    if (m->expiry_count > 0)
        family(t, "cordon_credential_left_seconds", "gauge", "seconds",
               "Until the ticket or token expires.");
    for (size_t i = 0; i < m->expiry_count; i++)
        add_seconds(t, "cordon_credential_left_seconds", "credential", m->expiries[i].what,
                    m->expiries[i].left_ms);
    text_add(t, "# EOF\n");
    return text_check(t, "metrics", e);
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, p, n);

        if (k < 0 && errno != EINTR)
            return -1;
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
    }
    return 0;
}

int metrics_to_file(const char *path, const struct text *t, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    char temp[PATH_MAX], shown[TEXT_SHOWN];
    int len = snprintf(temp, sizeof(temp), "%s.XXXXXX", path), saved;

    (void)text_shown(shown, path);
    if (len < 0 || (size_t)len >= sizeof(temp))
        return err_sys(e, ERR_IO, ENAMETOOLONG, "write '%s'", shown);
    fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, ERR_IO, errno, "write '%s'", shown);
    if (write_all(fd, t->s, t->len) == 0 && fchmod(fd, 0644) == 0 && rename(temp, path) == 0)
        return 0;
    saved = errno;
    (void)unlink(temp);
    return err_sys(e, ERR_IO, saved, "write '%s'", shown);
}
