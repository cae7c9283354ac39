/* The metrics, read by a reader that takes nothing but OpenMetrics. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/service/metrics.h"
#include "base/file.h"

/* --- a strict reader ------------------------------------------------------------------------- */

struct reader {
    char family[80], type[16], seen[64][80], sample[128][200];
    size_t families, samples;
    bool typed; /* metadata may still come: no sample of the family yet */
};

static bool is_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!(isalpha((unsigned char)s[i]) || s[i] == '_' || s[i] == ':' ||
              (i > 0 && isdigit((unsigned char)s[i]))))
            return false;
    }
    return n > 0;
}

static const char *read_meta(struct reader *r, char *s)
{
    char *name = strchr(s + 2, ' '), *rest;

    if (name == NULL || (rest = strchr(++name, ' ')) == NULL)
        return "metadata of three words";
    *rest++ = '\0';
    if (!is_name(name, strlen(name)))
        return "a family's name";
    if (strncmp(s, "# TYPE ", 7) == 0) {
        static const char *const types[] = {"gauge", "counter", "info"};
        bool known = false;

        for (size_t i = 0; i < 3; i++)
            known |= strcmp(rest, types[i]) == 0;
        if (!known)
            return "a known type";
        for (size_t i = 0; i < r->families; i++) {
            if (strcmp(r->seen[i], name) == 0)
                return "each family once";
        }
        (void)snprintf(r->seen[r->families++], 80, "%s", name);
        (void)snprintf(r->family, sizeof(r->family), "%s", name);
        (void)snprintf(r->type, sizeof(r->type), "%s", rest);
        r->typed = true;
        return NULL;
    }
    if (strcmp(name, r->family) != 0 || !r->typed)
        return "metadata behind its TYPE, before the samples";
    if (strncmp(s, "# UNIT ", 7) == 0) {
        size_t n = strlen(name), u = strlen(rest);

        return n > u && name[n - u - 1] == '_' && strcmp(name + n - u, rest) == 0
                   ? NULL
                   : "a name that ends in its unit";
    }
    return strncmp(s, "# HELP ", 7) == 0 ? NULL : "TYPE, UNIT or HELP";
}

static const char *read_sample(struct reader *r, const char *s)
{
    size_t n = strcspn(s, "{ "), base = strlen(r->family);
    const char *p = s + n, *suffix;
    char *end;

    if (!is_name(s, n) || n < base || strncmp(s, r->family, base) != 0)
        return "a sample of the family";
    suffix = strcmp(r->type, "counter") == 0 ? "_total"
             : strcmp(r->type, "info") == 0  ? "_info"
                                             : "";
    if (n - base != strlen(suffix) || strncmp(s + base, suffix, n - base) != 0)
        return "the suffix of the type";
    if (*p == '{') {
        size_t k = strcspn(++p, "=");

        if (!is_name(p, k) || strncmp(p + k, "=\"", 2) != 0)
            return "a label";
        for (p += k + 2; *p != '"'; p++) {
            if (*p == '\0' || (unsigned char)*p < ' ')
                return "the end of a label";
            if (*p == '\\' && strchr("\\\"n", *++p) == NULL)
                return "an escape";
        }
        if (*++p != '}')
            return "the end of the labels";
        p++;
    }
    for (size_t i = 0; i < r->samples; i++) {
        if (strncmp(r->sample[i], s, (size_t)(p - s) + 1) == 0)
            return "each sample once";
    }
    (void)snprintf(r->sample[r->samples++], 200, "%s", s);
    r->typed = false;
    if (*p != ' ' || !(isdigit((unsigned char)p[1]) || p[1] == '-'))
        return "a number";
    (void)strtod(p + 1, &end);
    return *end == '\0' ? NULL : "nothing behind the number";
}

/* NULL, or what was wanted; the samples are in r. */
static const char *read_all(struct reader *r, const char *text)
{
    char *copy = strdup(text), *s = copy, *end;
    const char *bad = NULL;

    *r = (struct reader){0};
    for (; bad == NULL; s = end + 1) {
        end = strchr(s, '\n');
        if (end == NULL) {
            bad = "an end of the line";
            break;
        }
        *end = '\0';
        if (strcmp(s, "# EOF") == 0) {
            bad = end[1] == '\0' ? NULL : "nothing behind # EOF";
            break;
        }
        bad = s[0] == '#' ? read_meta(r, s) : read_sample(r, s);
    }
    if (bad != NULL)
        print_message("%s: %s\n", bad, s);
    free(copy);
    return bad;
}

static bool has(const struct reader *r, const char *line)
{
    for (size_t i = 0; i < r->samples; i++) {
        if (strcmp(r->sample[i], line) == 0)
            return true;
    }
    return false;
}

/* --- the tests ------------------------------------------------------------------------------- */

static void everything(void **state)
{
    static const struct metrics_dc dcs[] = {{"dc1", true, 0, 1500},
                                            {"dc2", false, 90500, METRICS_UNKNOWN}};
    static const struct metrics_leg legs[] = {{"queue", 0}, {"entra", 61007}};
    static const struct metrics_expiry left[] = {{"kerberos", 36000000}, {"entra", -2500}};
    static const struct metrics_brake brakes[] = {{"all", 3, 20}, {"ou", 0, 5}};
    struct metrics m = {.version = "0.1.0",
                        .queue_depth = 3,
                        .queue_oldest_ms = 12034,
                        .in_flight = 0,
                        .outbox = 2,
                        .held = 1,
                        .brake_engaged = 1,
                        .watched = 2,
                        .at_risk = 4,
                        .taken = 7,
                        .came_back = 1,
                        .ledger_records = 123456789012,
                        .dcs = dcs,
                        .legs = legs,
                        .expiries = left,
                        .brakes = brakes,
                        .dc_count = 2,
                        .leg_count = 2,
                        .expiry_count = 2,
                        .brake_count = 2};
    static const char *const want[] = {
        "cordon_build_info{version=\"0.1.0\"} 1",
        "cordon_queue_depth 3",
        "cordon_queue_oldest_seconds 12.034",
        "cordon_cases_in_flight 0",
        "cordon_outbox_depth 2",
        "cordon_held 1",
        "cordon_ledger_records 123456789012",
        "cordon_verdicts_total{verdict=\"done\"} 41",
        "cordon_verdicts_total{verdict=\"unknown\"} 0",
        "cordon_brake_engaged 1",
        "cordon_brake_count{rule=\"all\"} 3",
        "cordon_brake_limit{rule=\"ou\"} 5",
        "cordon_requests_taken_total 7",
        "cordon_watched 2",
        "cordon_watched_alive 0",
        "cordon_users_at_risk 4",
        "cordon_came_back_total 1",
        "cordon_dc_up{dc=\"dc1\"} 1",
        "cordon_dc_up{dc=\"dc2\"} 0",
        "cordon_dc_event_age_seconds{dc=\"dc1\"} 1.500",
        "cordon_leg_proven_age_seconds{leg=\"queue\"} 0.000",
        "cordon_dc_proven_age_seconds{dc=\"dc2\"} 90.500",
        "cordon_leg_proven_age_seconds{leg=\"entra\"} 61.007",
        "cordon_credential_left_seconds{credential=\"entra\"} -2.500",
    };
    struct text t = TEXT_INIT(64 * 1024), small = TEXT_INIT(500);
    struct reader r;
    struct err e;

    (void)state;
    m.verdicts[VERDICT_DONE] = 41;
    assert_int_equal(metrics_write(&m, &t, &e), 0);
    assert_null(read_all(&r, t.s));
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        if (!has(&r, want[i]))
            fail_msg("not there: %s", want[i]);
    }
    /* What is not known is not told. */
    assert_null(strstr(t.s, "event_age_seconds{dc=\"dc2\"}"));
    assert_int_equal(metrics_write(&m, &small, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    text_done(&t);
    text_done(&small);
}

static void nothing_known(void **state)
{
    struct metrics m = {.version = "x",
                        .queue_depth = -1,
                        .queue_oldest_ms = -1,
                        .in_flight = -1,
                        .outbox = -1,
                        .held = -1,
                        .ledger_records = -1,
                        .waiting = -1,
                        .outbox_stuck = -1,
                        .ledger_failed = -1,
                        .brake_engaged = -1,
                        .degraded = -1,
                        .watched = -1,
                        .alive = -1,
                        .at_risk = -1};
    struct text t = TEXT_INIT(64 * 1024);
    struct reader r;
    struct err e;

    (void)state;
    assert_int_equal(metrics_write(&m, &t, &e), 0);
    assert_null(read_all(&r, t.s));
    assert_int_equal(r.families, 10); /* what runs, and the counters */
    text_done(&t);
}

static void labels(void **state)
{
    static const struct metrics_dc dcs[] = {{"a\"} 7\n# EOF\nx{b=\"\\", true, 1, 1},
                                            {"\x1b[2J\xff\xc3\xbc", true, 2, 2},
                                            {"", false, 3, 3}};
    struct metrics m = {.version = "x", .dcs = dcs, .dc_count = 3};
    struct text t = TEXT_INIT(64 * 1024);
    struct reader r;
    struct err e;

    (void)state;
    assert_int_equal(metrics_write(&m, &t, &e), 0);
    assert_null(read_all(&r, t.s));
    assert_true(has(&r, "cordon_dc_up{dc=\"a\\\"} 7\\n# EOF\\nx{b=\\\"\\\\\"} 1"));
    assert_true(has(&r, "cordon_dc_up{dc=\"?[2J?\xc3\xbc\"} 1"));
    assert_true(has(&r, "cordon_dc_up{dc=\"\"} 0"));
    text_done(&t);
}

/* The reader itself: what it must not take. */
static void reader_is_strict(void **state)
{
    static const char *const bad[] = {
        "",
        "# EOF",
        "# EOF\nx 1\n",
        "x 1\n# EOF\n",
        "# TYPE x gauge\nx 1\n",
        "# TYPE x gauge\n# TYPE x gauge\n# EOF\n",
        "# TYPE x counter\nx 1\n# EOF\n",
        "# TYPE x gauge\n# UNIT x seconds\nx 1\n# EOF\n",
        "# TYPE x gauge\nx 1\nx 2\n# EOF\n",
        "# TYPE x gauge\nx{a=\"\\q\"} 1\n# EOF\n",
        "# TYPE x gauge\nx one\n# EOF\n",
        "# TYPE x gauge\nx 1\n# HELP x late\n# EOF\n",
    };
    struct reader r;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_non_null(read_all(&r, bad[i]));
}

static void to_file(void **state)
{
    char folder[] = "/tmp/cordon-metrics-XXXXXX", path[80];
    struct text t = TEXT_INIT(1000), got = TEXT_INIT(1000);
    struct dirent *d;
    struct stat st;
    size_t files = 0;
    struct err e;
    DIR *dir;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/cordon.prom", folder);
    text_add(&t, "old and longer\n# EOF\n");
    assert_int_equal(metrics_to_file(path, &t, &e), 0);
    text_clear(&t);
    text_add(&t, "new\n# EOF\n");
    assert_int_equal(metrics_to_file(path, &t, &e), 0);
    assert_int_equal(file_read_any(path, 1000, &got, &e), 0);
    assert_string_equal(got.s, "new\n# EOF\n");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(unlink(path), 0);

    /* Where it cannot be: an error, and nothing left lying about. */
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(metrics_to_file(path, &t, &e), -1);
    assert_int_equal(e.code, ERR_IO);
    dir = opendir(folder);
    assert_non_null(dir);
    while ((d = readdir(dir)) != NULL)
        files += d->d_name[0] != '.';
    (void)closedir(dir);
    assert_int_equal(files, 1);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(folder), 0);
    text_done(&t);
    text_done(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything), cmocka_unit_test(nothing_known),    cmocka_unit_test(labels),
        cmocka_unit_test(to_file),    cmocka_unit_test(reader_is_strict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
