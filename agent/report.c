/* agent/report.c -- see report.h. */
#include "agent/report.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/casefile.h"
#include "agent/cloud_leg.h"
#include "agent/okta_leg.h"
#include "agent/residual.h"
#include "agent/run.h"
#include "agent/world.h"
#include "base/stamp.h"
#include "base/text.h"

#define FAILURES_SHOWN 50

struct failure {
    char *line;
};

struct report {
    FILE *out;
    bool json, colour, terminal, broken;
    size_t accounts, told, planned;
    const struct casefile *headed; /* whose header line was written last */
    size_t counts[VERDICT_UNKNOWN + 1];
    int exit;
    char *failures[FAILURES_SHOWN];
    size_t failure_count, failures_left_out;
    int64_t started_ms;
};

int report_new(FILE *out, bool json, size_t accounts, struct report **ret_report, struct err *e)
{
    struct report *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return err_set(e, ERR_NOMEM, 0, "report");
    r->out = out;
    r->json = json;
    r->accounts = accounts;
    r->terminal = isatty(fileno(out)) == 1;
    r->colour = r->terminal && getenv("NO_COLOR") == NULL;
    r->started_ms = stamp_now_ms();
    *ret_report = r;
    return 0;
}

void report_free(struct report *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->failure_count; i++)
        free(r->failures[i]);
    free(r);
}

static void out(struct report *r, const char *s)
{
    if (fputs(s, r->out) == EOF)
        r->broken = true;
}

static void line_out(struct report *r, struct text *t)
{
    text_addc(t, '\n');
    out(r, t->s);
    if (fflush(r->out) == EOF)
        r->broken = true;
    text_done(t);
}

bool report_broken(const struct report *r)
{
    return r->broken;
}

int report_exit(const struct report *r)
{
    return r->exit;
}

/* --- words -------------------------------------------------------------------------------- */

static const char *paint(const struct report *r, enum outcome o)
{
    if (!r->colour)
        return "";
    switch (o) {
    case OUT_DONE:
    case OUT_ALREADY:
        return "\033[32m";
    case OUT_SKIPPED:
        return "";
    case OUT_REFUSED:
    case OUT_UNCONFIRMED:
        return "\033[33m";
    default:
        return "\033[31m";
    }
}

/* The word that a person reads: a confirmation that came is "proven", not "done". */
static const char *word(const struct step *s)
{
    if (s->outcome == OUT_DONE &&
        (strcmp(s->name, "confirm") == 0 || strcmp(s->name, "converge") == 0))
        return "proven";
    if (s->outcome == OUT_DONE && strcmp(s->name, "guard") == 0)
        return "ok";
    return outcome_word(s->outcome);
}

static void add_took(struct text *t, uint64_t us)
{
    if (us < 1000000)
        text_addf(t, "%llu ms", (unsigned long long)(us / 1000));
    else
        text_addf(t, "%llu.%llu s", (unsigned long long)(us / 1000000),
                  (unsigned long long)(us / 100000 % 10));
}

static const char *short_host(const char *host, char buf[64])
{
    (void)snprintf(buf, 64, "%.*s", (int)strcspn(host, "."), host);
    return buf;
}

static void header(struct report *r, const struct casefile *cf)
{
    struct text t = TEXT_INIT(4096);
    char dn[TEXT_SHOWN], typed[TEXT_SHOWN];

    if (r->headed == cf)
        return;
    r->headed = cf;
    text_addf(&t, "%s", text_shown(typed, cf->typed));
    if (cf->resolved)
        text_addf(&t, "  %s", text_shown(dn, cf->found.dn));
    line_out(r, &t);
}

void report_step(struct report *r, struct casefile *cf, const struct step *s)
{
    struct text t = TEXT_INIT(16 * 1024);
    char host[64];

    if (r == NULL)
        return;
    if (r->json) {
        struct json_out o;

        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        run_step_json(cf, s, &o);
        if (cf->dry_run)
            json_out_bool(&o, "dry_run", true);
        json_out_end_object(&o);
        line_out(r, &t);
        return;
    }
    if (r->accounts > 1)
        return;
    header(r, cf);
    text_addf(&t, "  %-15s %s%-11s%s ", s->name, paint(r, s->outcome), word(s),
              r->colour ? "\033[0m" : "");
    if (step_target(s)[0] != '\0' && strcmp(step_target(s), "entra") != 0)
        text_addf(&t, "%s  ", short_host(step_target(s), host));
    text_show(&t, step_detail(s), strlen(step_detail(s)), 400);
    if (s->ended_us > s->started_us) {
        size_t pad = t.len < 72 ? 72 - t.len : 1;

        text_addf(&t, "%*s  ", (int)pad, "");
        add_took(&t, s->ended_us - s->started_us);
    }
    line_out(r, &t);
}

/* --- verdict -------------------------------------------------------------------------------- */

void report_verdict_json(const struct casefile *cf, struct json_out *o)
{
    const struct okta_user *okta = okta_leg_user(cf);
    struct residual list[RESIDUAL_MAX];
    int64_t now = stamp_now_ms();
    unsigned n = residual_list(cf, now, list);
    char sid[AD_SID_TEXT];

    json_out_object(o, NULL);
    json_out_str(o, "type", "verdict");
    json_out_str(o, "case", cf->id);
    json_out_str(o, "account", cf->typed);
    json_out_str(o, "sid", cf->resolved || cf->has_ids ? ad_sid_to_text(&cf->found.sid, sid) : "");
    json_out_str(o, "dn", cf->found.dn != NULL ? cf->found.dn : "");
    json_out_str(o, "action", action_word(cf->plan->action));
    json_out_str(o, "verdict", verdict_word(cf->verdict));
    json_out_str(o, "proof", proof_word(cf->proof));
    json_out_str(o, "rule", cf->rule);
    json_out_str(o, "detail", case_detail(cf));
    if (cf->has_ad_proof || cf->has_cloud_proof) {
        json_out_object(o, "proofs");
        if (cf->has_ad_proof)
            json_out_str(o, "ad", proof_word(cf->ad_proof));
        if (cf->has_cloud_proof)
            json_out_str(o, "cloud", proof_word(cf->cloud_proof));
        json_out_end_object(o);
    }
    if (cf->cloud != NULL && cf->cloud->has_user) {
        json_out_object(o, "entra");
        json_out_str(o, "id", cf->cloud->user.id);
        json_out_str(o, "upn", cf->cloud->user.upn);
        json_out_bool(o, "enabled", cf->cloud->user.enabled);
        json_out_end_object(o);
    }
    if (okta != NULL) {
        json_out_object(o, "okta");
        json_out_str(o, "id", okta->id);
        json_out_str(o, "login", okta->login);
        json_out_str(o, "status", okta->status_word);
        json_out_end_object(o);
    }
    json_out_array(o, "residual");
    for (unsigned i = 0; i < n; i++) {
        json_out_object(o, NULL);
        json_out_str(o, "what", list[i].what);
        if (list[i].until_ms != 0)
            json_out_time(o, "until", list[i].until_ms);
        else
            json_out_null(o, "until");
        json_out_end_object(o);
    }
    json_out_end_array(o);
    json_out_time(o, "started", cf->started_ms);
    json_out_time(o, "ended", now);
    json_out_str(o, "requester", cf->requester);
    if (cf->dry_run)
        json_out_bool(o, "dry_run", true);
    json_out_end_object(o);
}

static void count(struct report *r, enum verdict v)
{
    r->told++;
    r->counts[v]++;
    if (verdict_exit(v) > r->exit)
        r->exit = verdict_exit(v);
}

static void keep_failure(struct report *r, const char *account, enum verdict v, const char *rule,
                         const char *detail)
{
    struct text t = TEXT_INIT(4096);
    char a[TEXT_SHOWN];

    if (r->failure_count == FAILURES_SHOWN) {
        r->failures_left_out++;
        return;
    }
    text_addf(&t, "  %-12s %s%s%s%s  ", verdict_word(v), text_shown(a, account),
              rule[0] != '\0' ? " (" : "", rule, rule[0] != '\0' ? ")" : "");
    text_show(&t, detail, strlen(detail), 300);
    r->failures[r->failure_count] = text_take(&t);
    if (r->failures[r->failure_count] != NULL)
        r->failure_count++;
    text_done(&t);
}

static void progress(struct report *r)
{
    if (r->json || r->accounts < 2 || !r->terminal)
        return;
    (void)fprintf(r->out, "\r\033[K%zu of %zu: %zu done, %zu not", r->told, r->accounts,
                  r->counts[VERDICT_DONE], r->told - r->planned - r->counts[VERDICT_DONE]);
    (void)fflush(r->out);
}

static void residual_out(struct report *r, const struct casefile *cf)
{
    struct residual list[RESIDUAL_MAX];
    int64_t now = stamp_now_ms();
    unsigned n = residual_list(cf, now, list);
    char when[STAMP_TEXT];

    for (unsigned i = 0; i < n; i++) {
        struct text t = TEXT_INIT(1024);

        text_addf(&t, "%s %s", i == 0 ? "still open:" : "           ", list[i].what);
        if (list[i].until_ms != 0)
            text_addf(&t, ", until %s", stamp_clock(when, list[i].until_ms, now));
        line_out(r, &t);
    }
}

void report_verdict(struct report *r, const struct casefile *cf)
{
    struct text t = TEXT_INIT(32 * 1024);
    struct json_out o;

    if (r == NULL)
        return;
    count(r, cf->verdict);
    if (r->json) {
        json_out_init(&o, &t);
        report_verdict_json(cf, &o);
        line_out(r, &t);
        return;
    }
    if (r->accounts > 1) {
        if (cf->verdict != VERDICT_DONE)
            keep_failure(r, cf->typed, cf->verdict, cf->rule, case_detail(cf));
        progress(r);
        return;
    }
    header(r, cf);
    if (cf->verdict == VERDICT_DONE) {
        uint64_t base = cf->started_us;

        text_addf(&t, "%s%s%s", r->colour ? "\033[1;32m" : "", cf->plan->past,
                  r->colour ? "\033[0m" : "");
        if (cf->accepted_us > base) {
            text_add(&t, " in ");
            add_took(&t, cf->accepted_us - base);
        } else {
            text_add(&t, " already");
        }
        bool both = cf->has_ad_proof && cf->has_cloud_proof;
        enum proof told = both ? cf->ad_proof : cf->proof;

        text_addf(&t, ", %s", told >= PROOF_LOGGED ? "proven" : "read back");
        if (told >= PROOF_LOGGED && cf->ended_us > base) {
            text_add(&t, " in ");
            add_took(&t, cf->ended_us - base);
        }
        if (both)
            text_addf(&t, " (AD: %s; Entra: %s)", proof_word(cf->ad_proof),
                      proof_word(cf->cloud_proof));
        else
            text_addf(&t, " (%s)", proof_word(cf->proof));
    } else {
        text_addf(&t, "%s%s%s", r->colour ? "\033[1;31m" : "", verdict_word(cf->verdict),
                  r->colour ? "\033[0m" : "");
        if (cf->rule[0] != '\0')
            text_addf(&t, " (%s)", cf->rule);
        if (case_detail(cf)[0] != '\0') {
            text_add(&t, ": ");
            text_show(&t, case_detail(cf), strlen(case_detail(cf)), 600);
        }
    }
    if (cf->recorded)
        text_addf(&t, "   case %s", cf->id);
    line_out(r, &t);
    residual_out(r, cf);
}

void report_plan(struct report *r, const struct casefile *cf)
{
    struct text t = TEXT_INIT(8 * 1024);
    char sid[AD_SID_TEXT];
    struct json_out o;

    r->told++;
    r->planned++;
    if (!r->json) {
        if (r->accounts == 1) {
            text_add(&t, "dry run: nothing was changed");
            line_out(r, &t);
        }
        text_done(&t);
        return;
    }
    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_str(&o, "type", "plan");
    json_out_str(&o, "account", cf->typed);
    json_out_str(&o, "sid", ad_sid_to_text(&cf->found.sid, sid));
    json_out_str(&o, "dn", cf->found.dn);
    json_out_str(&o, "action", action_word(cf->plan->action));
    json_out_bool(&o, "dry_run", true);
    json_out_end_object(&o);
    line_out(r, &t);
}

void report_never(struct report *r, const char *account, enum action a, enum verdict v,
                  const char *rule, const char *detail)
{
    struct text t = TEXT_INIT(8 * 1024);
    char shown[TEXT_SHOWN];
    struct json_out o;

    count(r, v);
    if (r->json) {
        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "verdict");
        json_out_str(&o, "case", "");
        json_out_str(&o, "account", account);
        json_out_str(&o, "sid", "");
        json_out_str(&o, "dn", "");
        json_out_str(&o, "action", action_word(a));
        json_out_str(&o, "verdict", verdict_word(v));
        json_out_str(&o, "proof", "none");
        json_out_str(&o, "rule", rule);
        json_out_str(&o, "detail", detail);
        json_out_array(&o, "residual");
        json_out_end_array(&o);
        json_out_time(&o, "started", r->started_ms);
        json_out_time(&o, "ended", stamp_now_ms());
        json_out_end_object(&o);
        line_out(r, &t);
        return;
    }
    if (r->accounts > 1) {
        keep_failure(r, account, v, rule, detail);
        progress(r);
        return;
    }
    text_addf(&t, "%s\n%s", text_shown(shown, account), verdict_word(v));
    if (rule[0] != '\0')
        text_addf(&t, " (%s)", rule);
    text_add(&t, ": ");
    text_show(&t, detail, strlen(detail), 600);
    text_add(&t, "; nothing was changed");
    line_out(r, &t);
}

void report_summary(struct report *r)
{
    struct text t = TEXT_INIT(4096);
    bool first = r->planned == 0;

    if (r->json || r->accounts < 2) {
        text_done(&t);
        return;
    }
    if (r->terminal)
        out(r, "\r\033[K");
    text_addf(&t, "%zu account%s: ", r->told, r->told == 1 ? "" : "s");
    if (r->planned > 0)
        text_addf(&t, "%zu would be changed (dry run)", r->planned);
    for (size_t v = 0; v <= VERDICT_UNKNOWN; v++) {
        if (r->counts[v] == 0)
            continue;
        text_addf(&t, "%s%zu %s", first ? "" : ", ", r->counts[v], verdict_word((enum verdict)v));
        first = false;
    }
    text_add(&t, ", in ");
    add_took(&t, (uint64_t)(stamp_now_ms() - r->started_ms) * 1000);
    line_out(r, &t);
    for (size_t i = 0; i < r->failure_count; i++) {
        struct text f = TEXT_INIT(8192);

        text_add(&f, r->failures[i]);
        line_out(r, &f);
    }
    if (r->failures_left_out > 0) {
        struct text f = TEXT_INIT(256);

        text_addf(&f, "  and %zu more: see cordon cases", r->failures_left_out);
        line_out(r, &f);
    }
}
