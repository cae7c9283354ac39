/* agent/cmd_query.c -- the ready filter or query for a person to paste: where to see it elsewhere.
 *
 *   cordon query ACCOUNT|--case ID --xml|--sentinel|--hunting [--since TIME]
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/caseload.h"
#include "agent/commands.h"
#include "agent/world.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/hunting.h"
#include "ldap/find.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

enum form { FORM_NONE, FORM_XML, FORM_SENTINEL, FORM_HUNTING };

struct query {
    const char *account, *domain, *case_id;
    bool as_agent;
    enum form form;
    uint64_t since_ms;
    char sid[AD_SID_TEXT];
    int64_t from_ms;
    int exit;
    struct loop *loop;
    struct world world;
};

static void on_found(void *arg, const struct ad_found *found, size_t n, const struct err *e)
{
    struct query *q = arg;

    (void)n;
    if (e != NULL)
        q->exit = cmd_fail("query", cmd_exit_for(e), "%s", e->msg);
    else
        (void)ad_sid_to_text(&found[0].sid, q->sid);
    loop_stop(q->loop);
}

static void on_world(void *arg, const struct err *e)
{
    struct query *q = arg;
    struct ad_name name;
    struct ad_dc *dc = e == NULL ? world_dc(&q->world, false) : NULL;
    struct err mine;

    if (e == NULL && dc != NULL &&
        ad_name_parse(q->account, strlen(q->account), q->world.domain->name, &name, &mine) == 0 &&
        ad_gather_find(q->world.gather, dc, &name, on_found, q, &mine) == 0)
        return;
    if (e == NULL && dc == NULL)
        (void)world_no_dc(&q->world, &mine);
    if (e != NULL)
        mine = *e;
    q->exit = cmd_fail("query", cmd_exit_for(&mine), "%s", mine.msg);
    loop_stop(q->loop);
}

/* The SID by which everything is found, of an account of AD. */
static int resolve(struct query *q)
{
    struct world_opts o = {.as_agent = q->as_agent};
    struct cfg *cfg = NULL;
    struct err e;
    int code = cmd_load(&cfg);

    if (code != 0)
        return code;
    o.cfg = cfg;
    o.domain = cmd_domain(cfg, q->domain, &e);
    if (o.domain == NULL || loop_new(&q->loop, &e) < 0) {
        q->exit = cmd_fail("query", cmd_exit_for(&e), "%s", e.msg);
    } else {
        if (world_open(q->loop, &o, &q->world, on_world, q, &e) < 0)
            q->exit = cmd_fail("query", cmd_exit_for(&e), "%s", e.msg);
        else
            (void)loop_run(q->loop, &e);
        world_close(&q->world);
    }
    loop_free(q->loop);
    cfg_free(cfg);
    return q->exit;
}

static int from_case(struct query *q)
{
    struct caseload *c = NULL;
    struct ledger *l = NULL;
    char state[512], id[ID_ULID];
    struct err e;
    int rc;

    rc = cmd_state_dir(state, sizeof(state), &e);
    if (rc == 0)
        rc = ledger_open(state, NULL, /* readonly */ true, &l, &e);
    if (rc == 0)
        rc = ledger_find_case(l, q->case_id, id, &e) < 0 ? -1 : caseload(l, id, &c, &e);
    if (rc == 0 && !c->has_guid)
        rc = err_set(&e, ERR_NOTFOUND, 0, "case %s never came to know an account of AD", id);
    if (rc == 0) {
        (void)ad_sid_to_text(&c->found.sid, q->sid);
        for (size_t i = 0; i < c->prior_count; i++) {
            if (c->priors[i].intended_ms != 0 &&
                (q->from_ms == 0 || c->priors[i].intended_ms < q->from_ms))
                q->from_ms = c->priors[i].intended_ms;
        }
    }
    caseload_free(c);
    if (l != NULL)
        (void)ledger_close(l, &(struct err){0});
    return rc < 0 ? cmd_fail("query", cmd_exit_for(&e), "%s", e.msg) : 0;
}

static int print(const struct query *q)
{
    struct text t = TEXT_INIT(64 * 1024);
    int64_t to = stamp_now_ms(),
            from = q->from_ms != 0 ? q->from_ms - 60000 : to - (int64_t)q->since_ms;
    struct err e;
    int rc;

    if (from < to - HUNT_SPAN_DAYS * DAY_MS)
        from = to - HUNT_SPAN_DAYS * DAY_MS;
    if (q->form == FORM_XML)
        rc = hunt_text_query_xml(&t, q->sid, NULL, 0, &e);
    else if (q->form == FORM_SENTINEL)
        rc = hunt_text_security_event(&t, q->sid, from, to + 15 * 60000, &e);
    else
        rc = hunt_text_identity(&t, q->sid, from, to + 15 * 60000, &e);
    if (rc == 0)
        rc = text_check(&t, "query", &e);
    if (rc == 0)
        (void)printf("%s\n", t.s);
    text_done(&t);
    return rc < 0 ? cmd_fail("query", cmd_exit_for(&e), "%s", e.msg) : 0;
}

int cmd_query(int argc, char **argv)
{
    static const struct option options[] = {{"xml", no_argument, NULL, 'x'},
                                            {"sentinel", no_argument, NULL, 's'},
                                            {"hunting", no_argument, NULL, 'h'},
                                            {"case", required_argument, NULL, 'c'},
                                            {"since", required_argument, NULL, 't'},
                                            {"domain", required_argument, NULL, 'D'},
                                            {"as-agent", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'H'},
                                            {NULL, 0, NULL, 0}};
    struct query q = {.since_ms = 3600000};
    enum form form = FORM_NONE;
    int c, code;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        switch (c) {
        case 'x':
        case 's':
        case 'h':
            form = c == 'x' ? FORM_XML : c == 's' ? FORM_SENTINEL : FORM_HUNTING;
            if (q.form != FORM_NONE && q.form != form)
                return cmd_fail("query", EXIT_USAGE, "one of --xml, --sentinel, --hunting");
            q.form = form;
            break;
        case 'c':
            q.case_id = optarg;
            break;
        case 't':
            if (!text_to_duration(optarg, &q.since_ms) || q.since_ms == 0 ||
                q.since_ms > (uint64_t)(HUNT_SPAN_DAYS * DAY_MS))
                return cmd_fail("query", EXIT_USAGE, "--since: a duration such as 1h, at most %dd",
                                HUNT_SPAN_DAYS);
            break;
        case 'D':
            q.domain = optarg;
            break;
        case 'a':
            q.as_agent = true;
            break;
        case 'H':
            cmd_help("query");
            return 0;
        default:
            return cmd_fail("query", EXIT_USAGE, "'%s': no such option, or its argument is missing",
                            argv[optind - 1]);
        }
    }
    if (q.form == FORM_NONE)
        return cmd_fail("query", EXIT_USAGE, "one of --xml, --sentinel, --hunting");
    if ((q.case_id != NULL) == (optind < argc) || optind + 1 < argc)
        return cmd_fail("query", EXIT_USAGE, "one account, or --case ID");
    q.account = argv[optind];
    code = q.case_id != NULL ? from_case(&q) : resolve(&q);
    return code != 0 ? code : print(&q);
}
