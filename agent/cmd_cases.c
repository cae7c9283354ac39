/* agent/cmd_cases.c -- the ledger for people: the list of cases, and one case with its evidence. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands.h"
#include "agent/ledger.h"
#include "agent/verdict.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/stamp.h"
#include "base/text.h"

struct listing {
    bool json;
    size_t shown;
    int exit;
};

static int open_ledger(const char *command, struct ledger **ret)
{
    char dir[512];
    struct err e;

    if (cmd_state_dir(dir, sizeof(dir), &e) < 0 ||
        ledger_open(dir, NULL, /* readonly */ true, ret, &e) < 0)
        return cmd_fail(command, cmd_exit_for(&e), "%s", e.msg);
    return 0;
}

static const char *or_dash(const char *s)
{
    return s != NULL && s[0] != '\0' ? s : "-";
}

static bool on_case(void *arg, const struct ledger_record *opened,
                    const struct ledger_record *verdict)
{
    struct listing *l = arg;
    struct text t = TEXT_INIT(64 * 1024);
    struct cJSON *c = NULL, *v = NULL;
    char when[STAMP_TEXT], account[TEXT_SHOWN], who[TEXT_SHOWN];
    struct err e;

    if (json_parse(opened->body, strlen(opened->body), NULL, &c, &e) < 0 ||
        (verdict != NULL && json_parse(verdict->body, strlen(verdict->body), NULL, &v, &e) < 0)) {
        (void)fprintf(stderr, "cordon cases: case %s cannot be read: %s\n", opened->case_id, e.msg);
        l->exit = verdict_exit(VERDICT_FAILED);
        json_free(c);
        return true;
    }
    if (l->json) {
        struct json_out o;

        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "case");
        json_out_str(&o, "case", opened->case_id);
        json_out_time(&o, "time", opened->time_ms);
        json_out_str(&o, "action", json_str(c, "action"));
        json_out_str(&o, "account", json_str(c, "account"));
        json_out_str(&o, "sid", json_str(c, "sid"));
        json_out_str(&o, "requester", json_str(c, "requester"));
        json_out_str(&o, "reason", json_str(c, "reason"));
        json_out_str(&o, "ticket", json_str(c, "ticket"));
        json_out_str(&o, "verdict", v != NULL ? json_str(v, "verdict") : NULL);
        json_out_str(&o, "proof", v != NULL ? json_str(v, "proof") : NULL);
        json_out_end_object(&o);
    } else {
        text_addf(&t, "%s  %-24s  %-15s  %-20s  %-12s %-10s  %s", opened->case_id,
                  stamp_iso(when, opened->time_ms), or_dash(json_str(c, "action")),
                  text_shown(account, or_dash(json_str(c, "account"))),
                  v != NULL ? or_dash(json_str(v, "verdict")) : "open",
                  v != NULL ? or_dash(json_str(v, "proof")) : "-",
                  text_shown(who, or_dash(json_str(c, "requester"))));
    }
    (void)puts(t.s);
    l->shown++;
    text_done(&t);
    json_free(c);
    json_free(v);
    return true;
}

int cmd_cases(int argc, char **argv)
{
    static const struct option options[] = {
        {"open", no_argument, NULL, 'o'}, {"limit", required_argument, NULL, 'l'},
        {"json", no_argument, NULL, 'j'}, {"as-agent", no_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    struct listing l = {0};
    struct ledger *ledger = NULL;
    bool open_only = false;
    uint64_t limit = 50;
    struct err e;
    int c, rc;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'o':
            open_only = true;
            break;
        case 'l':
            if (!text_to_u64(optarg, 0, 1000000000, &limit))
                return cmd_fail(argv[0], EXIT_USAGE, "--limit: a number");
            break;
        case 'j':
            l.json = true;
            break;
        case 'a':
            break;
        case 'h':
            cmd_help(argv[0]);
            return 0;
        default:
            return cmd_fail(argv[0], EXIT_USAGE, "'%s': no such option", argv[optind - 1]);
        }
    }
    if (optind < argc)
        return cmd_fail(argv[0], EXIT_USAGE,
                        "'%s': cases takes no argument (did you mean: cordon case %s)",
                        argv[optind], argv[optind]);
    rc = open_ledger(argv[0], &ledger);
    if (rc != 0)
        return rc;
    if (ledger_cases(ledger, open_only, (unsigned)limit, on_case, &l, &e) < 0)
        l.exit = cmd_fail(argv[0], cmd_exit_for(&e), "%s", e.msg);
    else if (l.shown == 0 && !l.json)
        (void)puts(open_only ? "no open case" : "no case yet");
    (void)ledger_close(ledger, &e);
    return l.exit;
}

/* --- one case -------------------------------------------------------------------------------- */

static void show_opened(struct text *t, const struct ledger_record *r, const struct cJSON *j)
{
    char when[STAMP_TEXT], a[TEXT_SHOWN], b[TEXT_SHOWN];

    text_addf(t, "case %s\n  %-12s %s %s\n", r->case_id, "asked", or_dash(json_str(j, "action")),
              text_shown(a, or_dash(json_str(j, "account"))));
    text_addf(t, "  %-12s %s\n  %-12s %s\n", "at", stamp_iso(when, r->time_ms), "by",
              text_shown(a, or_dash(json_str(j, "requester"))));
    if (json_str(j, "reason") != NULL)
        text_addf(t, "  %-12s %s\n", "reason", text_shown(a, json_str(j, "reason")));
    if (json_str(j, "ticket") != NULL)
        text_addf(t, "  %-12s %s\n", "ticket", text_shown(a, json_str(j, "ticket")));
    if (json_str(j, "dn") != NULL)
        text_addf(t, "  %-12s %s\n  %-12s %s\n", "account", text_shown(a, json_str(j, "dn")), "sid",
                  text_shown(b, or_dash(json_str(j, "sid"))));
}

/* Who it is in Okta, and how that user stood when it was written down. */
static void add_okta(struct text *t, const struct cJSON *j, const char *change)
{
    char id[TEXT_SHOWN], status[TEXT_SHOWN];

    if (json_str(j, "okta_id") == NULL)
        return;
    text_addf(t, "%s%s Okta %s, %s", change != NULL ? ": " : "", change != NULL ? change : "",
              text_shown(id, json_str(j, "okta_id")),
              text_shown(status, or_dash(json_str(j, "okta_status"))));
}

static void show_record(struct text *t, const struct ledger_record *r, const struct cJSON *j)
{
    char when[STAMP_TEXT], a[TEXT_SHOWN];
    int64_t old, new;

    text_addf(t, "  #%-6lld %s  %-9s", (long long)r->seq, stamp_iso(when, r->time_ms), r->kind);
    if (strcmp(r->kind, "intent") == 0) {
        text_addf(t, "%s at %s", or_dash(json_str(j, "step")),
                  text_shown(a, or_dash(json_str(j, "target"))));
        if (json_i64(j, "uac_old", &old) && json_i64(j, "uac_new", &new))
            text_addf(t, ": userAccountControl %lld -> %lld", (long long)old, (long long)new);
        if (json_str(j, "pwdLastSet") != NULL)
            text_addf(t, ": pwdLastSet %s", text_shown(a, json_str(j, "pwdLastSet")));
        add_okta(t, j, json_str(j, "okta_change"));
    } else if (strcmp(r->kind, "step") == 0) {
        text_addf(t, "%s %s%s%s", or_dash(json_str(j, "step")), or_dash(json_str(j, "state")),
                  json_str(j, "target") != NULL && json_str(j, "target")[0] != '\0' ? " at " : "",
                  text_shown(a, json_str(j, "target") != NULL ? json_str(j, "target") : ""));
        text_addf(t, " (%s)", or_dash(json_str(j, "proof")));
        add_okta(t, j, NULL);
        if (json_str(j, "detail") != NULL && json_str(j, "detail")[0] != '\0') {
            text_add(t, ": ");
            text_show(t, json_str(j, "detail"), strlen(json_str(j, "detail")), 400);
        }
    } else if (strcmp(r->kind, "verdict") == 0 || strcmp(r->kind, "paused") == 0) {
        text_addf(t, "%s (%s)", or_dash(json_str(j, "verdict")), or_dash(json_str(j, "proof")));
        if (json_str(j, "detail") != NULL && json_str(j, "detail")[0] != '\0') {
            text_add(t, ": ");
            text_show(t, json_str(j, "detail"), strlen(json_str(j, "detail")), 400);
        }
    }
    text_addc(t, '\n');
}

static bool on_record(void *arg, const struct ledger_record *r)
{
    struct listing *l = arg;
    struct text t = TEXT_INIT(256 * 1024);
    struct cJSON *j = NULL;
    struct err e;

    if (json_parse(r->body, strlen(r->body), NULL, &j, &e) < 0) {
        (void)fprintf(stderr, "cordon case: record %lld cannot be read: %s\n", (long long)r->seq,
                      e.msg);
        l->exit = verdict_exit(VERDICT_FAILED);
        return true;
    }
    if (l->json) {
        struct json_out o;

        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "record");
        json_out_i64(&o, "seq", r->seq);
        json_out_time(&o, "time", r->time_ms);
        json_out_str(&o, "case", r->case_id);
        json_out_str(&o, "kind", r->kind);
        json_out_raw(&o, "body", r->body);
        json_out_end_object(&o);
        text_addc(&t, '\n');
    } else if (strcmp(r->kind, "case") == 0) {
        show_opened(&t, r, j);
    } else {
        show_record(&t, r, j);
    }
    (void)fputs(t.s, stdout);
    l->shown++;
    text_done(&t);
    json_free(j);
    return true;
}

int cmd_case(int argc, char **argv)
{
    static const struct option options[] = {{"resume", no_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"as-agent", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct listing l = {0};
    struct ledger *ledger = NULL;
    bool resume = false, as_agent = false;
    char id[27];
    struct err e;
    int c, rc;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'r':
            resume = true;
            break;
        case 'j':
            l.json = true;
            break;
        case 'a':
            as_agent = true;
            break;
        case 'h':
            cmd_help(argv[0]);
            return 0;
        default:
            return cmd_fail(argv[0], EXIT_USAGE, "'%s': no such option", argv[optind - 1]);
        }
    }
    if (optind + 1 != argc)
        return cmd_fail(argv[0], EXIT_USAGE, "which case? (cordon cases lists them)");
    if (resume)
        return cmd_resume(argv[optind], l.json, as_agent);
    rc = open_ledger(argv[0], &ledger);
    if (rc != 0)
        return rc;
    if (ledger_find_case(ledger, argv[optind], id, &e) < 0 ||
        ledger_each(ledger, id, 0, on_record, &l, &e) < 0)
        l.exit = cmd_fail(argv[0], cmd_exit_for(&e), "%s", e.msg);
    (void)ledger_close(ledger, &(struct err){0});
    return l.exit;
}
