/* agent/cmd_risky.c -- who is at risk, as Identity Protection sees it; and what was detected.
 *
 *   cordon risky [--level LEVEL] [--state STATE] [--limit N]
 *   cordon risky --detections USER [--since TIME]
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cloud.h"
#include "agent/commands.h"
#include "agent/verdict.h"
#include "base/json.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/entra.h"
#include "cloud/risk.h"

struct risky {
    struct risk_filter filter;
    const char *user;
    uint64_t since_ms;
    bool json;
    int exit;
    struct loop *loop;
    struct cloud *cloud;
};

static void out(struct text *t)
{
    (void)fputs(t->s, stdout);
    text_done(t);
}

static void fail(struct risky *r, const struct err *e)
{
    r->exit = cmd_fail("risky", cmd_exit_for(e), "%s", e->msg);
    loop_stop(r->loop);
}

static void user_json(const struct risk_user *u)
{
    struct text t = TEXT_INIT(8192);
    struct json_out o;

    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_str(&o, "type", "risky");
    json_out_str(&o, "id", u->id);
    json_out_str(&o, "upn", u->upn);
    json_out_str(&o, "name", u->name);
    json_out_str(&o, "level", u->level_word);
    json_out_str(&o, "state", u->state_word);
    json_out_str(&o, "detail", u->detail);
    json_out_bool(&o, "processing", u->processing);
    if (u->updated_ms != 0)
        json_out_time(&o, "updated", u->updated_ms);
    json_out_end_object(&o);
    text_addc(&t, '\n');
    out(&t);
}

static void user_text(const struct risk_user *u)
{
    struct text t = TEXT_INIT(8192);
    char iso[STAMP_TEXT], level[TEXT_SHOWN], state[TEXT_SHOWN];

    text_addf(&t, "%-7s %-22s %-24s ", text_shown(level, u->level_word),
              text_shown(state, u->state_word),
              u->updated_ms != 0 ? stamp_iso(iso, u->updated_ms) : "");
    text_show(&t, u->upn, strlen(u->upn), 200);
    text_addf(&t, "  %s%s\n", u->id, u->processing ? "  (being processed)" : "");
    out(&t);
}

static void on_users(void *arg, const struct risk_user *users, size_t n, bool more,
                     const struct err *e)
{
    struct risky *r = arg;

    if (e != NULL) {
        fail(r, e);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (r->json)
            user_json(&users[i]);
        else
            user_text(&users[i]);
    }
    if (!r->json)
        (void)printf("%zu user%s%s\n", n, n == 1 ? "" : "s", more ? ", and more (--limit)" : "");
    loop_stop(r->loop);
}

static void detection(const struct risky *r, const struct risk_detection *d)
{
    struct text t = TEXT_INIT(8192);
    char iso[STAMP_TEXT], shown[TEXT_SHOWN], type[TEXT_SHOWN];
    struct json_out o;

    if (r->json) {
        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "detection");
        json_out_str(&o, "id", d->id);
        json_out_str(&o, "user", d->user_id);
        json_out_str(&o, "what", d->type);
        json_out_str(&o, "level", d->level_word);
        json_out_str(&o, "state", d->state_word);
        json_out_str(&o, "detail", d->detail);
        json_out_str(&o, "source", d->source);
        json_out_str(&o, "ip", d->ip);
        if (d->detected_ms != 0)
            json_out_time(&o, "detected", d->detected_ms);
        json_out_end_object(&o);
        text_addc(&t, '\n');
    } else {
        text_addf(&t, "%-24s %-7s %-30s %s\n",
                  d->detected_ms != 0 ? stamp_iso(iso, d->detected_ms) : "", d->level_word,
                  text_shown(type, d->type), text_shown(shown, d->ip));
    }
    out(&t);
}

static void on_detections(void *arg, const struct risk_detection *d, size_t n, bool more,
                          const struct err *e)
{
    struct risky *r = arg;

    if (e != NULL) {
        fail(r, e);
        return;
    }
    for (size_t i = 0; i < n; i++)
        detection(r, &d[i]);
    if (!r->json)
        (void)printf("%zu detection%s%s\n", n, n == 1 ? "" : "s", more ? ", and more" : "");
    loop_stop(r->loop);
}

static void on_user(void *arg, const struct entra_user *u, const struct err *e)
{
    struct risky *r = arg;
    struct err mine;

    if (e != NULL) {
        fail(r, e);
        return;
    }
    if (risk_detections_start(r->cloud->graph, u->id, stamp_now_ms() - (int64_t)r->since_ms,
                              on_detections, r, NULL, &mine) < 0)
        fail(r, &mine);
}

static int ask(struct risky *r)
{
    struct cfg *cfg = NULL;
    struct err e;
    int rc, code = cmd_load(&cfg);

    if (code != 0)
        return code;
    if (!cfg->entra.on) {
        code = cmd_fail("risky", EXIT_CONFIG, "no [entra] in %s (cordon config sample shows one)",
                        cmd_config_path());
        cfg_free(cfg);
        return code;
    }
    rc = loop_new(&r->loop, &e);
    if (rc == 0)
        rc = cloud_open(r->loop, cfg, &cfg->domains[0], &r->cloud, &e);
    if (rc == 0)
        rc = r->user != NULL ? entra_find_start(r->cloud->graph, r->user, cfg->domains[0].name,
                                                on_user, r, NULL, &e)
                             : risk_list_start(r->cloud->graph, &r->filter, on_users, r, NULL, &e);
    if (rc == 0)
        (void)loop_run(r->loop, &e);
    else
        r->exit = cmd_fail("risky", cmd_exit_for(&e), "%s", e.msg);
    cloud_close(r->cloud);
    loop_free(r->loop);
    cfg_free(cfg);
    return r->exit;
}

int cmd_risky(int argc, char **argv)
{
    static const struct option options[] = {{"level", required_argument, NULL, 'l'},
                                            {"state", required_argument, NULL, 's'},
                                            {"limit", required_argument, NULL, 'n'},
                                            {"detections", required_argument, NULL, 'd'},
                                            {"since", required_argument, NULL, 't'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"as-agent", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'H'},
                                            {NULL, 0, NULL, 0}};
    struct risky r = {.since_ms = UINT64_C(30) * 24 * 3600 * 1000};
    uint64_t n;
    int c;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        switch (c) {
        case 'l':
            r.filter.at_least = risk_level_of(optarg);
            if (r.filter.at_least < RISK_LEVEL_LOW)
                return cmd_fail("risky", EXIT_USAGE, "--level: low, medium or high");
            break;
        case 's':
            r.filter.state = risk_state_of(optarg);
            if (r.filter.state == RISK_STATE_UNKNOWN)
                return cmd_fail("risky", EXIT_USAGE,
                                "--state: atRisk, confirmedCompromised, remediated, dismissed, "
                                "confirmedSafe or none");
            break;
        case 'n':
            if (!text_to_u64(optarg, 1, 100000, &n))
                return cmd_fail("risky", EXIT_USAGE, "--limit: a number from 1 to 100000");
            r.filter.max = (size_t)n;
            break;
        case 'd':
            r.user = optarg;
            break;
        case 't':
            if (!text_to_duration(optarg, &r.since_ms) || r.since_ms == 0)
                return cmd_fail("risky", EXIT_USAGE, "--since: a duration such as 7d");
            break;
        case 'j':
            r.json = true;
            break;
        case 'a':
            break; /* the cloud knows only one principal: the agent's */
        case 'H':
            cmd_help("risky");
            return 0;
        default:
            return cmd_fail("risky", EXIT_USAGE, "'%s': no such option, or its argument is missing",
                            argv[optind - 1]);
        }
    }
    if (optind < argc)
        return cmd_fail("risky", EXIT_USAGE, "'%s': --detections USER asks about one",
                        argv[optind]);
    return ask(&r);
}
