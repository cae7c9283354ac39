/* agent/cmd_action.c -- disable, enable, contain, revoke ...: every action, one-shot.
 *
 *   arguments -> accounts -> world_open -> on_world: cases, three for each operation in flight
 *             -> on_case, one by one -> summary -> exit code
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/caseload.h"
#include "agent/cloud.h"
#include "agent/commands.h"
#include "agent/run.h"
#include "agent/world.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "config/list.h"

#define FROM_MAX (64 * 1024 * 1024)
#define ACCOUNT_MAX 1024
#define BATCH_FROM 4 /* accounts in a call: from here on Graph is asked in batches */
#define REASON_MAX 500

struct accounts { /* offsets into one buffer: few bytes each */
    struct text text;
    size_t *at;
    size_t count, cap;
};

struct args {
    enum action action;
    const char *command;
    struct options options;
    const char *reason, *ticket, *dc, *undo_case, *domain, *from;
    bool json, as_agent, dry_run, privileged, on_prem, cloud, hold;
    uint64_t wait_ms;
    bool has_wait;
    struct accounts accounts;
};

struct driver {
    struct args *args;
    struct loop *loop;
    struct world world;
    struct report *report;
    struct caseload *load; /* resume, undo */
    bool resume;
    char requester[400];
    size_t next, flying;
    bool failed, stopping;
    int exit;
    int sigfd;
    struct loop_watch *sigwatch;
};

/* --- accounts -------------------------------------------------------------------------------- */

static int add_account(struct accounts *a, const char *s, size_t n, struct err *e)
{
    if (n == 0)
        return 0;
    if (n > ACCOUNT_MAX)
        return err_set(e, ERR_USAGE, 0, "an account name over %d bytes", ACCOUNT_MAX);
    if (a->count == a->cap) {
        size_t cap = a->cap == 0 ? 64 : a->cap * 2;
        size_t *more = realloc(a->at, cap * sizeof(*more));

        if (more == NULL)
            return err_set(e, ERR_NOMEM, 0, "accounts");
        a->at = more;
        a->cap = cap;
    }
    a->at[a->count++] = a->text.len;
    text_addn(&a->text, s, n);
    text_addn(&a->text, "", 1);
    return text_check(&a->text, "accounts", e);
}

static const char *account(const struct accounts *a, size_t i)
{
    return a->text.s + a->at[i];
}

/* The first column of a line of CSV (RFC 4180), or the whole of it where it is a DN. */
static int add_line(struct accounts *a, const char *s, size_t n, bool first, struct err *e)
{
    static const char *const heads[] = {
        "account",           "accounts", "samaccountname",    "user", "username", "upn",
        "userprincipalname", "dn",       "distinguishedname", "sid",  "objectsid"};
    struct text field = TEXT_INIT(ACCOUNT_MAX + 1);
    char *line;
    size_t i = 0;
    int rc;

    while (n > 0 && (s[n - 1] == '\r' || s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    while (n > 0 && (*s == ' ' || *s == '\t')) {
        s++;
        n--;
    }
    if (n == 0)
        return 0;
    line = strndup(s, n);
    if (line == NULL)
        return err_set(e, ERR_NOMEM, 0, "accounts");
    if (memchr(s, '\0', n) != NULL) {
        free(line);
        return err_set(e, ERR_USAGE, 0, "a NUL byte");
    }
    if (s[0] == '"') {
        for (i = 1; i < n; i++) {
            if (s[i] == '"' && i + 1 < n && s[i + 1] == '"')
                i++;
            else if (s[i] == '"')
                break;
            text_addc(&field, s[i]);
        }
        if (i >= n || (i + 1 < n && s[i + 1] != ',' && s[i + 1] != ';')) {
            free(line);
            text_done(&field);
            return err_set(e, ERR_USAGE, 0, "a quote that is not closed");
        }
    } else if (cfg_dn_like(line)) {
        text_addn(&field, s, n);
    } else {
        text_addn(&field, s, strcspn(line, ",;\t"));
        while (field.len > 0 && field.s[field.len - 1] == ' ')
            field.s[--field.len] = '\0';
    }
    free(line);
    for (size_t k = 0; first && k < ARRAY_LEN(heads); k++) {
        if (text_eq_nocase(field.s, heads[k])) {
            text_done(&field);
            return 0; /* the head of a table */
        }
    }
    rc = text_check(&field, "account", e);
    if (rc == 0)
        rc = add_account(a, field.s, field.len, e);
    text_done(&field);
    return rc;
}

static int add_from(struct accounts *a, const char *path, struct err *e)
{
    struct text t = TEXT_INIT(FROM_MAX);
    size_t line = 1;
    int rc;

    if (file_read_any(path, FROM_MAX, &t, e) < 0) {
        text_done(&t);
        return -1;
    }
    const char *s = t.s, *end;

    assert(s != NULL); /* text.h */
    end = s + t.len;

    if (t.len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
        s += 3;
    rc = 0;
    while (s < end && rc == 0) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        size_t n = (size_t)((nl != NULL ? nl : end) - s);

        rc = add_line(a, s, n, line == 1, e);
        if (rc < 0)
            (void)err_wrap(e, "%s:%zu", path, line);
        s += n + 1;
        line++;
    }
    text_done(&t);
    return rc;
}

/* --- arguments ---------------------------------------------------------------------------------
 */

enum {
    OPT_REASON = 256,
    OPT_TICKET,
    OPT_JSON,
    OPT_DRY,
    OPT_DC,
    OPT_AS_AGENT,
    OPT_FROM,
    OPT_CASE,
    OPT_CLEAR,
    OPT_MUST,
    OPT_PRIVILEGED,
    OPT_WAIT,
    OPT_DOMAIN,
    OPT_ON_PREM,
    OPT_CLOUD,
    OPT_MFA,
    OPT_AUDIT,
    OPT_IDP,
    OPT_DEACTIVATE,
    OPT_HOLD,
    OPT_VIA,
    OPT_EVIDENCE,
    OPT_HELP
};

static const struct option long_options[] = {{"reason", required_argument, NULL, OPT_REASON},
                                             {"ticket", required_argument, NULL, OPT_TICKET},
                                             {"json", no_argument, NULL, OPT_JSON},
                                             {"dry-run", no_argument, NULL, OPT_DRY},
                                             {"dc", required_argument, NULL, OPT_DC},
                                             {"as-agent", no_argument, NULL, OPT_AS_AGENT},
                                             {"from", required_argument, NULL, OPT_FROM},
                                             {"case", required_argument, NULL, OPT_CASE},
                                             {"clear-never-expires", no_argument, NULL, OPT_CLEAR},
                                             {"must-change", no_argument, NULL, OPT_MUST},
                                             {"privileged", no_argument, NULL, OPT_PRIVILEGED},
                                             {"wait", required_argument, NULL, OPT_WAIT},
                                             {"domain", required_argument, NULL, OPT_DOMAIN},
                                             {"on-prem", no_argument, NULL, OPT_ON_PREM},
                                             {"cloud", no_argument, NULL, OPT_CLOUD},
                                             {"mfa", no_argument, NULL, OPT_MFA},
                                             {"audit", no_argument, NULL, OPT_AUDIT},
                                             {"idp", required_argument, NULL, OPT_IDP},
                                             {"deactivate", no_argument, NULL, OPT_DEACTIVATE},
                                             {"hold", optional_argument, NULL, OPT_HOLD},
                                             {"via", required_argument, NULL, OPT_VIA},
                                             {"evidence", required_argument, NULL, OPT_EVIDENCE},
                                             {"help", no_argument, NULL, OPT_HELP},
                                             {NULL, 0, NULL, 0}};

/* A reason or a ticket goes into the ledger and onto terminals: text, and not a book. */
static int check_words(const char *what, const char *s, struct err *e)
{
    size_t n;

    assert(s != NULL); /* the option requires an argument */
    n = strlen(s);
    if (n > REASON_MAX)
        return err_set(e, ERR_USAGE, 0, "--%s: over %d bytes", what, REASON_MAX);
    if (!text_utf8_ok(s, n))
        return err_set(e, ERR_USAGE, 0, "--%s: not UTF-8", what);
    return 0;
}

static bool arg_is(const char *arg, const char *word)
{
    return arg != NULL && strcmp(arg, word) == 0;
}

/* 0: go on; 1: help was shown; -1: *e. */
static int parse_args(struct args *a, int argc, char **argv, struct err *e)
{
    int c;

    if (!action_parse(argv[0], &a->action))
        return err_set(e, ERR_INTERNAL, 0, "no such action");
    a->command = argv[0];
    text_init(&a->accounts.text, FROM_MAX);
    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (c) {
        case OPT_REASON:
            a->reason = optarg;
            if (check_words("reason", optarg, e) < 0)
                return -1;
            break;
        case OPT_TICKET:
            a->ticket = optarg;
            if (check_words("ticket", optarg, e) < 0)
                return -1;
            break;
        case OPT_JSON:
            a->json = true;
            break;
        case OPT_DRY:
            a->dry_run = true;
            break;
        case OPT_DC:
            a->dc = optarg;
            break;
        case OPT_AS_AGENT:
            a->as_agent = true;
            break;
        case OPT_FROM:
            if (a->from != NULL)
                return err_set(e, ERR_USAGE, 0, "--from may be given once");
            a->from = optarg;
            break;
        case OPT_CASE:
            a->undo_case = optarg;
            break;
        case OPT_CLEAR:
            a->options.clear_never_expires = true;
            break;
        case OPT_MUST:
            a->options.must_change = true;
            break;
        case OPT_PRIVILEGED:
            a->privileged = true;
            break;
        case OPT_WAIT:
            if (!text_to_duration(optarg, &a->wait_ms) || a->wait_ms > UINT64_C(86400000))
                return err_set(e, ERR_USAGE, 0,
                               "--wait: a duration such as 15s or 2m (at most 1d)");
            a->has_wait = true;
            break;
        case OPT_DOMAIN:
            a->domain = optarg;
            break;
        case OPT_ON_PREM:
            a->on_prem = true;
            break;
        case OPT_CLOUD:
            a->cloud = true;
            break;
        case OPT_EVIDENCE:
            if (arg_is(optarg, "sentinel"))
                a->options.evidence = EVIDENCE_SENTINEL;
            else if (arg_is(optarg, "hunting"))
                a->options.evidence = EVIDENCE_HUNTING;
            else
                return err_set(e, ERR_USAGE, 0, "--evidence: sentinel or hunting");
            break;
        case OPT_VIA:
            a->options.via_mdi = arg_is(optarg, "mdi");
            a->options.via_mde = arg_is(optarg, "mde");
            if (!a->options.via_mdi && !a->options.via_mde)
                return err_set(e, ERR_USAGE, 0, "--via: mdi or mde");
            break;
        case OPT_HOLD:
            a->hold = true;
            if (optarg != NULL && (!text_to_duration(optarg, &a->options.hold_ms) ||
                                   a->options.hold_ms > UINT64_C(86400000)))
                return err_set(e, ERR_USAGE, 0, "--hold=TIME: such as 45m (at most 1d)");
            break;
        case OPT_IDP:
            if (!arg_is(optarg, "okta"))
                return err_set(e, ERR_USAGE, 0, "--idp: okta is the only other one");
            a->options.okta = true;
            break;
        case OPT_DEACTIVATE:
            a->options.okta_deactivate = true;
            break;
        case OPT_AUDIT:
            a->options.audit = true;
            break;
        case OPT_MFA:
            a->options.with_mfa = true;
            break;
        case OPT_HELP:
            cmd_help(argv[0]);
            return 1;
        default:
            return err_set(e, ERR_USAGE, 0, "'%s': no such option, or its argument is missing",
                           argv[optind - 1]);
        }
    }
    for (int i = optind; i < argc; i++) {
        if (argv[i][0] == '\0')
            return err_set(e, ERR_USAGE, 0, "an empty account name");
        if (add_account(&a->accounts, argv[i], strlen(argv[i]), e) < 0)
            return -1;
    }
    if (a->from != NULL && add_from(&a->accounts, a->from, e) < 0) {
        if (e->code != ERR_NOMEM)
            e->code = ERR_USAGE;
        return -1;
    }
    if (a->undo_case != NULL && a->action != ACT_ENABLE)
        return err_set(e, ERR_USAGE, 0, "--case goes with enable");
    if (a->undo_case != NULL && a->accounts.count > 0)
        return err_set(e, ERR_USAGE, 0, "--case names the account already");
    if (a->options.clear_never_expires && a->action != ACT_EXPIRE && !a->options.must_change)
        return err_set(e, ERR_USAGE, 0,
                       "--clear-never-expires goes with expire-password or --must-change");
    if (a->options.must_change && a->action != ACT_RESET && a->action != ACT_CONTAIN)
        return err_set(e, ERR_USAGE, 0, "--must-change goes with reset-password or contain");
    if (a->options.okta_deactivate &&
        (!a->options.okta || (a->action != ACT_DISABLE && a->action != ACT_CONTAIN)))
        return err_set(e, ERR_USAGE, 0,
                       "--deactivate goes with --idp okta, and with disable or contain");
    if (a->options.with_mfa && a->action != ACT_EXPIRE)
        return err_set(e, ERR_USAGE, 0, "--mfa goes with expire-password");
    if (a->on_prem && plan_for(a->action)->count == 0)
        return err_set(e, ERR_USAGE, 0, "%s has no part in AD", argv[0]);
    if (a->undo_case == NULL && a->accounts.count == 0)
        return err_set(e, ERR_USAGE, 0,
                       a->from != NULL ? "%s: no account in it" : "%s: which account? (--help)",
                       a->from != NULL ? a->from : argv[0]);
    return 0;
}

/* --- carrying out ---------------------------------------------------------------------------- */

static void on_case(void *arg, struct casefile *cf);
static void launch(struct driver *d);

static void stop_loop(struct driver *d)
{
    d->stopping = true;
    loop_watch_stop(&d->sigwatch);
    loop_stop(d->loop);
}

static size_t total(const struct driver *d)
{
    return d->load != NULL ? 1 : d->args->accounts.count;
}

static int launch_one(struct driver *d, size_t i, struct err *e)
{
    struct args *a = d->args;
    struct casefile *cf;
    struct request r = {.action = a->action,
                        .options = a->options,
                        .reason = a->reason,
                        .ticket = a->ticket,
                        .requester = d->requester,
                        .dry_run = a->dry_run,
                        .leave = {.privileged = a->privileged},
                        .in_ad = a->on_prem || !a->cloud,
                        .in_cloud = a->cloud || !a->on_prem};

    if (d->load != NULL) {
        r.account = d->load->account;
        if (d->load->has_guid)
            r.known = &d->load->found;
        if (d->resume) {
            r.action = d->load->action;
            r.options = d->load->options;
            r.options.left = d->load->left;
            r.options.okta_id = a->options.okta_id;
            r.leave.privileged = d->load->privileged;
            r.case_id = d->load->id;
            r.priors = d->load->priors;
            r.prior_names = d->load->names;
            r.prior_count = d->load->prior_count;
        }
    } else {
        r.account = account(&a->accounts, i);
    }
    return run_case_start(&d->world, &r, on_case, d, &cf, e);
}

static void launch(struct driver *d)
{
    struct err e;

    while (d->next < total(d) && d->flying < 3 * d->world.cfg->window && !d->world.interrupted) {
        size_t i = d->next++;

        if (launch_one(d, i, &e) < 0) {
            report_never(d->report,
                         d->load != NULL ? d->load->account : account(&d->args->accounts, i),
                         d->args->action, VERDICT_FAILED, "", e.msg);
            continue;
        }
        d->flying++;
    }
    if (d->flying == 0) {
        for (; d->next < total(d); d->next++)
            report_never(d->report, account(&d->args->accounts, d->next), d->args->action,
                         VERDICT_FAILED, "", "told to stop before it was begun");
        stop_loop(d);
    }
}

static void on_case(void *arg, struct casefile *cf)
{
    struct driver *d = arg;

    (void)cf;
    d->flying--;
    launch(d);
}

static void never_all(struct driver *d, const char *detail)
{
    for (size_t i = 0; i < total(d); i++)
        report_never(d->report, d->load != NULL ? d->load->account : account(&d->args->accounts, i),
                     d->args->action, VERDICT_FAILED, "", detail);
}

static void on_world(void *arg, const struct err *e)
{
    struct driver *d = arg;

    /* Without a DC the cloud's part goes on; each case says why AD's does not. */
    if (e != NULL && (e->code == ERR_CONFIG || !d->world.with_cloud)) {
        if (e->code == ERR_CONFIG)
            d->exit = cmd_fail(d->args->command, EXIT_CONFIG, "%s", e->msg);
        else
            never_all(d, e->msg);
        stop_loop(d);
        return;
    }
    if (d->requester[0] == '\0') {
        const struct ad_cred *cred = ad_dcs_cred(d->world.dcs);
        const struct passwd *pw = getpwuid(getuid());

        if (d->args->as_agent || cred == NULL || cred->principal[0] == '\0')
            (void)snprintf(d->requester, sizeof(d->requester), "%s on %.*s%s%s",
                           pw != NULL ? pw->pw_name : "?", (int)strcspn(d->world.own_computer, "$"),
                           d->world.own_computer, cred != NULL ? " as " : "",
                           cred != NULL ? cred->principal : "");
        else
            (void)snprintf(d->requester, sizeof(d->requester), "%s", cred->principal);
    }
    /* Many at once: twenty calls in a request (entra-graph.md 10.1). */
    if (d->world.cloud != NULL && d->world.cloud->graph != NULL && total(d) >= BATCH_FROM)
        graph_batching(d->world.cloud->graph, true, 0);
    launch(d);
}

static void on_signal(void *arg, int events)
{
    struct driver *d = arg;
    struct signalfd_siginfo info;

    (void)events;
    if (read(d->sigfd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (d->world.interrupted) /* a second time: at once; the ledger is as it is */
        _exit(128 + (int)info.ssi_signo);
    (void)fprintf(stderr,
                  "cordon: stopping; what is in flight is being settled (again: at once)\n");
    run_interrupt(&d->world);
    if (d->flying == 0) {
        never_all(d, "told to stop before it was begun");
        stop_loop(d);
    }
}

/* Undo and resume start from the ledger. Returns an exit code, or -1 to go on. */
static int load_case(struct driver *d, const char *prefix, const char *state)
{
    struct ledger *l = NULL;
    char id[ID_ULID];
    struct err e;

    if (ledger_open(state, NULL, /* readonly */ true, &l, &e) < 0)
        return cmd_fail(d->args->command, cmd_exit_for(&e), "%s", e.msg);
    if (ledger_find_case(l, prefix, id, &e) < 0 || caseload(l, id, &d->load, &e) < 0) {
        (void)ledger_close(l, &(struct err){0});
        return cmd_fail(d->args->command, cmd_exit_for(&e), "%s", e.msg);
    }
    (void)ledger_close(l, &e);
    return -1;
}

static int carry_out(struct args *a, const char *resume_id)
{
    struct driver d = {.args = a, .sigfd = -1, .resume = resume_id != NULL};
    struct world_opts o = {0};
    struct cfg *cfg = NULL;
    char state[512];
    sigset_t set;
    struct err e;
    int code = cmd_load(&cfg);

    if (code != 0)
        return code;
    if (cmd_state_dir(state, sizeof(state), &e) < 0) {
        code = cmd_fail(a->command, cmd_exit_for(&e), "%s", e.msg);
        goto out;
    }
    if (resume_id != NULL || a->undo_case != NULL) {
        code = load_case(&d, resume_id != NULL ? resume_id : a->undo_case, state);
        if (code >= 0 || d.load == NULL)
            goto out;
        /* What is not settled, or not proven, may be looked at again: the log may speak by now. */
        if (resume_id != NULL && d.load->has_verdict && d.load->verdict != VERDICT_UNKNOWN &&
            d.load->verdict != VERDICT_UNCONFIRMED) {
            code = verdict_exit(d.load->verdict);
            (void)fprintf(stderr, "cordon: case %s has ended already: %s\n", d.load->id,
                          verdict_word(d.load->verdict));
            goto out;
        }
        if (a->domain == NULL)
            a->domain = d.load->domain;
        if (d.load->okta_id[0] != '\0')
            a->options.okta_id = d.load->okta_id;
        if (resume_id != NULL) {
            a->action = d.load->action;
            a->reason = d.load->reason;
            a->ticket = d.load->ticket;
            a->on_prem = d.load->in_ad && !d.load->in_cloud;
            a->cloud = d.load->in_cloud && !d.load->in_ad;
            a->options.okta = d.load->options.okta;
            a->options.undo_okta = d.load->options.undo_okta;
            (void)snprintf(d.requester, sizeof(d.requester), "%s",
                           d.load->requester != NULL ? d.load->requester : "");
        } else {
            a->options.undo = true;
            a->options.undo_disabled = d.load->did_disable;
            a->options.undo_never_expires = d.load->did_clear_never_expires;
            a->options.undo_expired = d.load->did_expire;
            a->options.undo_entra = d.load->did_entra;
            a->options.undo_okta = d.load->did_okta;
            a->options.left = d.load->left;
            a->options.left_count = d.load->left_count;
        }
    }
    o.domain = cmd_domain(cfg, a->domain, &e);
    if (o.domain == NULL) {
        code = cmd_fail(a->command, cmd_exit_for(&e), "%s", e.msg);
        goto out;
    }
    /* K1, K2: a name as in the SPN, of this domain. */
    if (a->dc != NULL && cmd_check_dc(a->dc, o.domain, &e) < 0) {
        code = cmd_fail(a->command, EXIT_USAGE, "%s", e.msg);
        goto out;
    }
    if (loop_new(&d.loop, &e) < 0 || report_new(stdout, a->json, total(&d), &d.report, &e) < 0) {
        code = cmd_fail(a->command, cmd_exit_for(&e), "%s", e.msg);
        goto out;
    }
    o.cfg = cfg;
    o.as_agent = a->as_agent;
    o.only_dc = a->dc;
    o.with_ledger = !a->dry_run;
    o.with_watch = !a->dry_run;
    o.one_account = total(&d) == 1;
    if (a->hold && a->options.hold_ms == 0)
        a->options.hold_ms = cfg->hold_watch_ms;
    o.with_cloud = (cfg->entra.on && (a->cloud || !a->on_prem)) ||
                   (cfg->okta.on &&
                    (a->options.okta || a->options.undo_okta ||
                     (a->action == ACT_CONTAIN && cfg->okta.contain && (a->cloud || !a->on_prem))));
    if (a->options.okta && !cfg->okta.on) {
        code = cmd_fail(a->command, EXIT_CONFIG,
                        "--idp okta needs a section [okta] in %s (cordon config sample shows one)",
                        cmd_config_path());
        goto out;
    }
    if (a->options.via_mdi || (cfg->defender.on && (a->on_prem || !a->cloud)))
        o.with_cloud = true;
    if (a->options.via_mde && !cfg->defender.on) {
        code =
            cmd_fail(a->command, EXIT_CONFIG,
                     "--via mde needs a section [defender] in %s (cordon config sample shows one)",
                     cmd_config_path());
        goto out;
    }
    if (!cfg->entra.on && (a->cloud || a->options.via_mdi || plan_for(a->action)->count == 0)) {
        code = cmd_fail(a->command, EXIT_CONFIG,
                        "%s needs a section [entra] in %s (cordon config sample shows one)",
                        a->cloud ? "--cloud" : a->command, cmd_config_path());
        goto out;
    }
    o.state_dir = state;
    o.wait_ms = a->has_wait ? a->wait_ms : cfg->wait_ms;
    o.report = d.report;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    d.sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (d.sigfd >= 0)
        d.sigwatch = loop_watch_start(d.loop, d.sigfd, LOOP_READ, on_signal, &d);
    if (world_open(d.loop, &o, &d.world, on_world, &d, &e) < 0) {
        if (e.code == ERR_CONFIG)
            d.exit = cmd_fail(a->command, EXIT_CONFIG, "%s", e.msg);
        else
            never_all(&d, e.msg);
        loop_watch_stop(&d.sigwatch);
    } else if (resume_id != NULL) {
        bool mine = false;

        if (ledger_lock_case(d.world.ledger, d.load->id, &mine, &e) < 0 || !mine) {
            code = cmd_fail(a->command, 15, "case %s is still being carried out by another process",
                            d.load->id);
            world_close(&d.world);
            goto out;
        }
        for (size_t i = 0; i < d.load->prior_count; i++) {
            if (d.load->priors[i].intended && d.load->priors[i].mark[0] != '\0' &&
                watch_resume_at(d.world.watch, d.load->names[i][1], d.load->priors[i].mark, &e) < 0)
                log_warning(
                    "the event log of %s cannot be read from where the case began, going on: %s",
                    d.load->names[i][1], e.msg);
        }
        (void)loop_run(d.loop, &e);
    } else {
        (void)loop_run(d.loop, &e);
    }
    report_summary(d.report);
    code = report_exit(d.report);
    if (d.exit > code)
        code = d.exit;
    if (report_broken(d.report))
        (void)fprintf(stderr,
                      "cordon: the answer could not be written in full; see cordon cases\n");
    world_close(&d.world);
out:
    report_free(d.report);
    if (d.sigfd >= 0)
        (void)close(d.sigfd);
    loop_free(d.loop);
    caseload_free(d.load);
    cfg_free(cfg);
    return code;
}

int cmd_action(int argc, char **argv)
{
    struct args a = {0};
    struct err e;
    int rc = parse_args(&a, argc, argv, &e);

    if (rc < 0)
        rc = cmd_fail(argv[0], EXIT_USAGE, "%s", e.msg);
    else if (rc > 0)
        rc = 0;
    else
        rc = carry_out(&a, NULL);
    free(a.accounts.at);
    text_done(&a.accounts.text);
    return rc;
}

int cmd_resume(const char *prefix, bool json, bool as_agent)
{
    struct args a = {.command = "case", .json = json, .as_agent = as_agent};

    text_init(&a.accounts.text, 16);
    return carry_out(&a, prefix);
}
