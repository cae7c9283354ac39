/* agent/doctor.c -- what works, what does not, and what mends it. Changes nothing.
 *
 *   the checks of `checks[]`, one after the other; each ends with done(), later or at once:
 *   config -> krb5.conf -> keytab -> ticket -> DNS -> every DC -> lists -> rights -> events ->
 * ledger
 *
 * A check that fails never stops the next: the person wants the whole list. What rests on something
 * that failed is told as skipped. The only thing written is the ledger's own folder, if missing.
 */
#include "agent/cloud.h"
#include "agent/defender_walk.h"
#include "agent/doctor.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/commands.h"
#include "agent/ledger.h"
#include "agent/policy.h"
#include "agent/verdict.h"
#include "agent/watch.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/stamp.h"
#include "base/text.h"

#define TICKET_WARN_MS (INT64_C(15) * 60 * 1000)
#define QUIET_WARN_MS (INT64_C(24) * 3600 * 1000)

/* --- telling --------------------------------------------------------------------------------- */

void doctor_say(struct doctor *d, const char *name, const char *target, enum health h,
                const char *mend, const char *fmt, ...)
{
    static const char *const words[] = {"ok", "warning", "failed", "skipped"};
    static const char *const shorts[] = {"ok", "WARN", "FAIL", "skip"};
    struct text t = TEXT_INIT(64 * 1024);
    char detail[1500];
    struct json_out o;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    d->counts[h]++;
    if (d->json) {
        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "check");
        json_out_str(&o, "name", name);
        json_out_str(&o, "target", target);
        json_out_str(&o, "state", words[h]);
        json_out_str(&o, "detail", detail);
        json_out_str(&o, "mend", h == HEALTH_OK ? "" : mend);
        json_out_end_object(&o);
        text_addc(&t, '\n');
        (void)fputs(t.s, stdout);
    } else {
        text_addf(&t, "  %-5s %-14s ", shorts[h], name);
        if (target[0] != '\0') {
            text_show(&t, target, strlen(target), 200);
            text_add(&t, ": ");
        }
        text_addf(&t, "%s\n", detail);
        if (mend[0] != '\0' && h != HEALTH_OK)
            text_addf(&t, "        %-14s mend: %s\n", "", mend);
        (void)fputs(t.s, stdout);
    }
    (void)fflush(stdout);
    text_done(&t);
}

/* --- configuration, krb5.conf ---------------------------------------------------------------- */

static void check_config(struct doctor *d)
{
    const char *path = cmd_config_path();
    struct text notices = TEXT_INIT(64 * 1024);
    char shown[TEXT_SHOWN];
    struct stat st;
    struct err e;

    (void)text_shown(shown, path);
    if (stat(path, &st) == 0)
        doctor_say(d, "config", "", HEALTH_OK, "", "%s (mode %04o), domain %s", shown,
                   (unsigned)st.st_mode & 07777, d->domain->name);
    if (cfg_notices(d->cfg, &notices, &e) == 0) {
        for (const char *line = notices.s; *line != '\0';) { /* one a line */
            size_t n = strcspn(line, "\n");

            if (n > 0)
                doctor_say(d, "config", "", HEALTH_WARNING, "", "%.*s", (int)n, line);
            line += n + (line[n] == '\n');
        }
    }
    text_done(&notices);
    doctor_done(d);
}

/* "rdns = true" in [libdefaults]: of several the first counts, as for the library. Files that are
 * included are not looked into: it is a hint, and cordon goes by its own settings. */
static bool krb5_says_true(const char *s, const char *key)
{
    bool in_defaults = false;

    for (const char *line = s; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        size_t n = end != NULL ? (size_t)(end - line) : strlen(line), k = strlen(key);
        size_t blank = strspn(line, " \t");

        if (blank < n && line[blank] == '[')
            in_defaults = text_starts(line + blank, "[libdefaults]");
        if (in_defaults && blank + k < n && strncmp(line + blank, key, k) == 0) {
            const char *v = line + blank + k;

            v += strspn(v, " \t");
            if (*v == '=') {
                v += 1 + strspn(v + 1, " \t");
                /* MIT's words for yes (libkrb5, profile_get_boolean) */
                return strncasecmp(v, "true", 4) == 0 || strncasecmp(v, "yes", 3) == 0 ||
                       strncasecmp(v, "on", 2) == 0 || *v == '1' || *v == 'y' || *v == 't';
            }
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return false;
}

static void check_krb5(struct doctor *d)
{
    static const char *const keys[] = {"rdns", "dns_canonicalize_hostname"};
    struct text t = TEXT_INIT(1024 * 1024);
    char shown[TEXT_SHOWN], mend[300];
    bool warned = false;
    struct err e;

    (void)text_shown(shown, d->krb5_path);
    if (file_read_any(d->krb5_path, t.max, &t, &e) < 0) {
        doctor_say(d, "krb5.conf", "", e.code == ERR_NOTFOUND ? HEALTH_OK : HEALTH_WARNING, "",
                   e.code == ERR_NOTFOUND ? "no %s: cordon brings what it needs" : "%s", shown);
        text_done(&t);
        doctor_done(d);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (!krb5_says_true(t.s, keys[i]))
            continue;
        warned = true;
        (void)snprintf(mend, sizeof(mend), "in %s: %s = false", shown, keys[i]);
        doctor_say(d, "krb5.conf", "", HEALTH_WARNING, mend,
                   "%s sets %s = true: cordon does not go by it, kinit and other tools do", shown,
                   keys[i]);
    }
    if (!warned)
        doctor_say(d, "krb5.conf", "", HEALTH_OK, "", "%s", shown);
    text_done(&t);
    doctor_done(d);
}

/* --- who we are ------------------------------------------------------------------------------ */

static void say_ticket(struct doctor *d, const char *name, const struct ad_cred *cred,
                       const char *what)
{
    char when[STAMP_TEXT], age[STAMP_TEXT], who[TEXT_SHOWN];
    int64_t left = cred->ends_ms - stamp_now_ms();

    doctor_say(d, name, "", left < TICKET_WARN_MS ? HEALTH_WARNING : HEALTH_OK,
               "kinit -R, or kinit", "%s%s, ticket until %s (in %s)", what,
               text_shown(who, cred->principal), stamp_iso(when, cred->ends_ms),
               stamp_age(age, left));
}

static void on_keytab(void *arg, const struct ad_cred *cred, const struct err *e)
{
    struct doctor *d = arg;
    char shown[TEXT_SHOWN], mend[500];

    if (e == NULL) {
        say_ticket(d, "keytab", cred, "gives a ticket: ");
        if (d->as_agent) {
            d->has_cred = true;
            (void)snprintf(d->who, sizeof(d->who), "%s", cred->principal);
        }
        doctor_done(d);
        return;
    }
    (void)text_shown(shown, d->domain->keytab);
    if (!d->as_agent && e->code == ERR_DENIED) {
        doctor_say(d, "keytab", "", HEALTH_SKIPPED, "run this as the agent's user, with --as-agent",
                   "%s is not for you to read", shown);
        doctor_done(d);
        return;
    }
    if (e->code == ERR_UNSENT)
        (void)snprintf(mend, sizeof(mend), "open port 88 (TCP and UDP) to the DCs");
    else if (e->code == ERR_AUTH)
        (void)snprintf(mend, sizeof(mend),
                       "klist -ekt %s; on a DC: ktpass, or samba-tool domain exportkeytab", shown);
    else
        (void)snprintf(mend, sizeof(mend), "keytab = ... in [domain/%s]; chown and chmod 0600 %s",
                       d->domain->name, shown);
    doctor_say(d, "keytab", "", HEALTH_FAILED, mend, "%s", e->msg);
    doctor_done(d);
}

static void check_keytab(struct doctor *d)
{
    struct err e;

    if (d->domain->keytab == NULL) {
        doctor_say(d, "keytab", "", d->as_agent ? HEALTH_FAILED : HEALTH_SKIPPED,
                   "keytab = /etc/cordon/cordon.keytab in the configuration", "none configured%s",
                   d->as_agent ? ": --as-agent needs one" : "");
        doctor_done(d);
        return;
    }
    if (ad_cred_keytab_start(d->loop, d->domain->keytab, d->domain->principal, d->domain->realm,
                             on_keytab, d, &e) < 0) {
        doctor_say(d, "keytab", "", HEALTH_FAILED, "", "%s", e.msg);
        doctor_done(d);
    }
}

static void check_ticket(struct doctor *d)
{
    struct ad_cred cred;
    char mend[400];
    struct err e;

    if (d->as_agent) {
        doctor_say(d, "ticket", "", HEALTH_SKIPPED, "", "your own is not used with --as-agent");
    } else if (ad_cred_caller(d->domain->realm, &cred, &e) < 0) {
        (void)snprintf(mend, sizeof(mend), "kinit USER@%s", d->domain->realm);
        doctor_say(d, "ticket", "", HEALTH_FAILED, mend, "%s", e.msg);
    } else {
        say_ticket(d, "ticket", &cred, "");
        d->has_cred = true;
        (void)snprintf(d->who, sizeof(d->who), "%s", cred.principal);
    }
    doctor_done(d);
}

/* --- lists, rights --------------------------------------------------------------------------- */

static void on_policy(void *arg, struct policy *p, const struct err *e)
{
    struct doctor *d = arg;
    const struct cfg_policy *c = &d->cfg->policy;
    size_t privileged = 0;

    if (e != NULL) {
        doctor_say(d, "lists", "", HEALTH_FAILED, "cordon config check; mend the entry in [policy]",
                   "%s", e->msg);
    } else {
        d->policy = p;
        (void)policy_privileged(p, &privileged);
        doctor_say(d, "lists", "", HEALTH_OK, "",
                   "%zu entries resolve; %zu privileged groups without a fixed SID",
                   c->never_disable.count + c->always_disable.count + c->never_credentials.count +
                       c->always_credentials.count + c->privileged_groups.count,
                   privileged);
    }
    doctor_done(d);
}

static void check_lists(struct doctor *d)
{
    struct ad_dc *dc = doctor_ready_dc(d);
    struct err e;

    if (dc == NULL) {
        doctor_say(d, "lists", "", HEALTH_SKIPPED, "", "no DC to ask");
        doctor_done(d);
    } else if (policy_resolve_start(dc, &d->cfg->policy, on_policy, d, &e) < 0) {
        doctor_say(d, "lists", "", HEALTH_FAILED, "", "%s", e.msg);
        doctor_done(d);
    }
}

static void check_rights(struct doctor *d)
{
    struct ad_dc *dc = doctor_ready_dc(d);
    struct err e;

    if (dc == NULL) {
        doctor_say(d, "rights", "", HEALTH_SKIPPED, "", "no DC to ask");
        doctor_done(d);
    } else if (doctor_rights_start(d, dc, d->domain->base != NULL ? d->domain->base : dc->domain_dn,
                                   d->who, doctor_done, &e) < 0) {
        doctor_say(d, "rights", "", HEALTH_FAILED, "", "%s", e.msg);
        doctor_done(d);
    }
}

/* --- events ---------------------------------------------------------------------------------- */

static void say_log(struct doctor *d, const struct watch_health *h)
{
    char shown[TEXT_SHOWN], mend[500], age[STAMP_TEXT];
    int64_t last = 0;
    struct stat st;

    (void)text_shown(shown, h->paths[0]);
    if (!h->open || h->missing) {
        (void)snprintf(mend, sizeof(mend),
                       "events_file in [domain/%s]; as the agent's user: head -1 %s",
                       d->domain->name, shown);
        doctor_say(d, "events", h->dc != NULL ? h->dc : "", HEALTH_FAILED, mend, "%s: %s", shown,
                   h->why[0] != '\0' ? h->why
                   : h->missing      ? "not there"
                                     : "not open");
        return;
    }
    for (unsigned i = 0; i < h->count; i++) {
        if (stat(h->paths[i], &st) == 0 && (int64_t)st.st_mtim.tv_sec * 1000 > last)
            last = (int64_t)st.st_mtim.tv_sec * 1000;
    }
    (void)stamp_age(age, stamp_now_ms() - last);
    if (h->writable) {
        (void)snprintf(mend, sizeof(mend), "chmod go-w %s", shown);
        doctor_say(d, "events", h->dc != NULL ? h->dc : "", HEALTH_WARNING, mend,
                   "%s may be written to by others: what it says proves less", shown);
    }
    if (last == 0 || stamp_now_ms() - last > QUIET_WARN_MS)
        doctor_say(d, "events", h->dc != NULL ? h->dc : "", HEALTH_WARNING,
                   "see whether the DC still logs (Windows: auditpol /get /category:*; Samba: log "
                   "level dsdb_json_audit:5)",
                   "%s: readable, last written %s ago", shown, age);
    else
        doctor_say(d, "events", h->dc != NULL ? h->dc : "", HEALTH_OK, "",
                   "%s: readable, last written %s ago", shown, age);
}

static void end_events(void *arg)
{
    struct doctor *d = arg;
    struct watch_health h;

    d->later = NULL;
    for (size_t i = 0; watch_health(d->watch, i, &h); i++)
        say_log(d, &h);
    for (size_t i = 0; d->dcs != NULL && i < ad_dcs_count(d->dcs); i++) {
        const struct ad_dc *dc = ad_dcs_at(d->dcs, i);
        bool named = false;

        for (size_t k = 0; watch_health(d->watch, k, &h); k++)
            named = named || h.dc == NULL || text_eq_nocase(h.dc, dc->host);
        if (!named)
            doctor_say(d, "events", dc->host, HEALTH_WARNING, "add its log to events_file",
                       "no log of this DC: changes there are proven by reading back only");
    }
    doctor_done(d);
}

static void on_watch(void *arg)
{
    struct doctor *d = arg;

    d->later = loop_timer_start(d->loop, 0, end_events, d);
}

static void check_events(struct doctor *d)
{
    struct err e;

    if (d->domain->events == CFG_EVENTS_NONE) {
        doctor_say(d, "events", "", HEALTH_WARNING,
                   "events = winrm (Windows), or samba or jsonl with events_file",
                   "none: a change is proven by reading back, never by the DC's own log");
        doctor_done(d);
    } else if (d->domain->events == CFG_EVENTS_WINRM) {
        doctor_check_winrm(d);
    } else if (watch_open(d->loop, d->cfg, d->domain, /* hold */ false, on_watch, d, &d->watch,
                          &e) < 0) {
        doctor_say(d, "events", "", HEALTH_FAILED, "", "%s", e.msg);
        doctor_done(d);
    }
}

/* --- ledger ---------------------------------------------------------------------------------- */

static void check_ledger(struct doctor *d)
{
    struct ledger *l = NULL;
    char dir[512], shown[TEXT_SHOWN], head[65];
    int64_t count = 0;
    struct err e;

    if (cmd_state_dir(dir, sizeof(dir), &e) < 0) {
        doctor_say(d, "ledger", "", HEALTH_FAILED, "set CORDON_STATE", "%s", e.msg);
        doctor_done(d);
        return;
    }
    (void)text_shown(shown, dir);
    if (ledger_open(dir, NULL, /* readonly */ false, &l, &e) < 0)
        doctor_say(d, "ledger", "", HEALTH_FAILED,
                   "a folder of your own, mode 0700, with room on its disk", "%s: %s", shown,
                   e.msg);
    else if (access(dir, W_OK) != 0)
        doctor_say(d, "ledger", "", HEALTH_FAILED, "chmod u+w", "%s: %s", shown, strerror(errno));
    else if (ledger_verify(l, &count, head, &e) < 0)
        doctor_say(d, "ledger", "", HEALTH_FAILED,
                   "keep a copy; cordon audit export; find out who altered it before going on",
                   "%s: %s", shown, e.msg);
    else
        doctor_say(d, "ledger", "", HEALTH_OK, "",
                   "%s: %" PRId64 " records, chain good, head %.12s", shown, count, head);
    if (l != NULL)
        (void)ledger_close(l, &e);
    doctor_done(d);
}

/* --- in order -------------------------------------------------------------------------------- */

static void (*const checks[])(struct doctor *d) = {
    check_config,     check_krb5,         check_keytab,          check_ticket,
    doctor_check_dns, doctor_check_dcs,   check_lists,           check_rights,
    check_events,     doctor_check_cloud, doctor_check_defender, check_ledger,
};

static void go(void *arg)
{
    struct doctor *d = arg;

    d->later = NULL;
    if (d->at == ARRAY_LEN(checks))
        loop_stop(d->loop);
    else
        checks[d->at++](d);
}

/* The check ended: the next one, in a turn of its own. */
void doctor_done(struct doctor *d)
{
    d->later = loop_timer_start(d->loop, 0, go, d);
    if (d->later == NULL)
        loop_stop(d->loop);
}

static int examine(struct doctor *d)
{
    const char *base = getenv("KRB5_CONFIG");
    struct err e;
    int code;

    /* Before ours is put in front (cmd_load). */
    (void)snprintf(d->krb5_path, sizeof(d->krb5_path), "%s",
                   base != NULL && base[0] == '/' && strchr(base, ':') == NULL ? base
                                                                               : "/etc/krb5.conf");
    code = cmd_load(&d->cfg);
    if (code != 0) {
        doctor_say(d, "config", "", HEALTH_FAILED, "cordon config check", "%s cannot be used",
                   cmd_config_path());
        return code;
    }
    d->domain = cmd_domain(d->cfg, d->wanted, &e);
    if (d->domain == NULL || loop_new(&d->loop, &e) < 0) {
        code = cmd_fail("doctor", cmd_exit_for(&e), "%s", e.msg);
        goto out;
    }
    doctor_done(d);
    (void)loop_run(d->loop, &e);
    defender_walk_abandon(d->defender_walk);
    cloud_close(d->cloud);
    if (d->at < ARRAY_LEN(checks))
        code = cmd_fail("doctor", verdict_exit(VERDICT_FAILED), "ended before all was looked at");
    if (d->counts[HEALTH_FAILED] > 0)
        code = verdict_exit(VERDICT_FAILED);
    if (!d->json)
        (void)printf("\n%u ok, %u warning%s, %u failed, %u skipped\n", d->counts[HEALTH_OK],
                     d->counts[HEALTH_WARNING], d->counts[HEALTH_WARNING] == 1 ? "" : "s",
                     d->counts[HEALTH_FAILED], d->counts[HEALTH_SKIPPED]);
    loop_timer_stop(&d->later);
    policy_free(d->policy);
    doctor_winrm_free(d->winrm);
    watch_close(&d->watch);
    ad_dcs_close(&d->dcs);
out:
    loop_free(d->loop);
    cfg_free(d->cfg);
    return code;
}

int cmd_doctor(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"as-agent", no_argument, NULL, 'a'},
                                            {"domain", required_argument, NULL, 'D'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct doctor d = {0};
    char shown[TEXT_SHOWN];
    int c;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        switch (c) {
        case 'j':
            d.json = true;
            break;
        case 'a':
            d.as_agent = true;
            break;
        case 'D':
            d.wanted = optarg;
            break;
        case 'h':
            cmd_help(argv[0]);
            return 0;
        default:
            return cmd_fail(argv[0], EXIT_USAGE, "'%s': %s", text_shown(shown, argv[optind - 1]),
                            c == ':' ? "needs a value" : "no such option");
        }
    }
    if (optind != argc)
        return cmd_fail(argv[0], EXIT_USAGE, "'%s': doctor takes no account (cordon show does)",
                        text_shown(shown, argv[optind]));
    return examine(&d);
}
