/* agent/cmd_show.c -- everything that decides about an account. Changes nothing.
 *
 *   arguments -> world_open -> on_world
 *   per account, one after the other: begin -> on_found -> on_account (judged like an action)
 *     -> on_allowed: what the DC would let us write
 *     -> explain_next, on_way: for each group that means privilege, the way into it
 *     -> tell -> next
 *
 * A DC that goes away in the middle is no answer: the next one is asked. What is told says which
 * DC it is from, since lastLogon and lockoutTime differ from DC to DC.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/commands.h"
#include "agent/show.h"
#include "agent/verdict.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"

#define TRIES 5
#define RETRY_MS 100

static void begin(void *arg);
static void explain_next(struct show *s);
static void told(struct show *s);
static void told_alone(struct show *s);

/* --- telling --------------------------------------------------------------------------------- */

static void next(struct show *s)
{
    ad_account_free(TAKE(s->account));
    s->way_count = s->way_at = 0;
    s->tries = 0;
    s->at++;
    if (s->at == s->count)
        loop_stop(s->loop);
    else
        s->later = loop_timer_start(s->loop, 0, begin, s);
}

static void worse(struct show *s, int code)
{
    if (code > s->exit)
        s->exit = code;
}

/* This account cannot be shown. */
static void give_up(struct show *s, const struct err *e)
{
    const char *typed = s->accounts[s->at];
    struct text t = TEXT_INIT(16 * 1024);
    char shown[TEXT_SHOWN];
    struct json_out o;

    worse(s, cmd_exit_for(e));
    if (s->json) {
        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "account");
        json_out_str(&o, "account", typed);
        json_out_str(&o, "error", err_word(e->code));
        json_out_str(&o, "why", e->msg);
        json_out_end_object(&o);
        text_addc(&t, '\n');
        show_emit(&t);
    } else {
        (void)cmd_fail(s->command, 0, "%s: %s", text_shown(shown, typed), e->msg);
    }
    next(s);
}

/* True: it is being tried again, elsewhere or a little later. */
static bool again(struct show *s, const struct err *e)
{
    if (e->code == ERR_TIMEOUT && s->dc != NULL)
        ad_dc_reconnect(s->dc, e); /* hangs: not asked again before it answers a bind */
    if ((e->code != ERR_TIMEOUT && !err_is_elsewhere(e)) || ++s->tries > TRIES)
        return false;
    s->later = loop_timer_start(s->loop, RETRY_MS, begin, s);
    return s->later != NULL;
}

/* --- asking ---------------------------------------------------------------------------------- */

static void on_allowed(void *arg, const struct ad_entry *en, size_t n, const struct err *e)
{
    struct show *s = arg;
    const struct ad_attr *a =
        e == NULL && n == 1 ? ad_entry_attr(en, "allowedAttributesEffective") : NULL;

    s->asked = e == NULL && n == 1;
    for (size_t i = 0; a != NULL && i < a->count; i++) {
        struct ad_value v = a->values[i];

        s->may_uac = s->may_uac || (v.n == 18 && strncasecmp(v.s, "userAccountControl", 18) == 0);
        s->may_pwd = s->may_pwd || (v.n == 10 && strncasecmp(v.s, "pwdLastSet", 10) == 0);
    }
    explain_next(s);
}

static void on_account(void *arg, struct ad_account *a, const struct err *e)
{
    static const char *const attrs[] = {"allowedAttributesEffective", NULL};
    struct show *s = arg;
    char base[AD_GUID_DN];
    struct err ignored;
    struct ad_guard_facts f = {0};
    const char *name;

    if (e != NULL) {
        if (!again(s, e))
            give_up(s, e);
        return;
    }
    s->account = a;
    f.privileged = policy_privileged(s->world.policy, &f.privileged_count);
    for (size_t i = 0; i < a->subject.token_group_count && s->way_count < WAYS_MAX; i++) {
        if (ad_protect_is_privileged(&a->subject.token_groups[i], &f, &name))
            s->ways[s->way_count++] = (struct way){.sid = a->subject.token_groups[i], .name = name};
    }
    for (size_t i = 0; i < a->subject.sid_history_count && s->way_count < WAYS_MAX; i++) {
        if (ad_protect_is_privileged(&a->subject.sid_history[i], &f, &name))
            s->ways[s->way_count++] = (struct way){.sid = a->subject.sid_history[i],
                                                   .name = name,
                                                   .history = true,
                                                   .how = "by sIDHistory"};
    }
    s->asked = s->may_uac = s->may_pwd = false;
    if (ad_search_start(
            s->dc->conn,
            &(struct ad_search){.base = ad_guid_to_dn(&a->guid, base), .attrs = attrs, .limit = 1},
            on_allowed, s, NULL, &ignored) < 0)
        explain_next(s);
}

static void on_found(void *arg, const struct ad_found *found, size_t n, const struct err *e)
{
    struct show *s = arg;
    struct err mine;

    (void)n;
    if (e != NULL && e->code == ERR_NOTFOUND && s->world.cloud != NULL) {
        s->missing = *e;
        if (show_cloud_start(s, told_alone, &mine) == 0)
            return;
    }
    if (e != NULL) {
        if (!again(s, e))
            give_up(s, e);
        return;
    }
    ad_found_done(&s->found);
    if (ad_found_copy(&found[0], &s->found, &mine) < 0) {
        give_up(s, &mine);
        return;
    }
    if (ad_read_start(s->dc->conn, &s->found.guid, AD_READ_SHOW, on_account, s, NULL, &mine) < 0)
        give_up(s, &mine);
}

static void begin(void *arg)
{
    struct show *s = arg;
    const char *typed = s->accounts[s->at];
    struct ad_name_domain domain;
    struct err e;

    s->later = NULL;
    s->way_count = s->way_at = 0;
    ad_account_free(TAKE(s->account));
    s->dc = world_dc(&s->world, /* write: of --dc only that one */ true);
    if (s->dc == NULL && world_hopeful(&s->world)) {
        s->later = loop_timer_start(s->loop, RETRY_MS, begin, s);
        return;
    }
    if (s->dc == NULL) {
        (void)world_no_dc(&s->world, &e);
        give_up(s, &e);
        return;
    }
    if (ad_name_parse(typed, strlen(typed), s->world.domain->name, &s->name, &e) < 0) {
        give_up(s, &e);
        return;
    }
    domain = (struct ad_name_domain){.dns = s->world.domain->name, .netbios = s->dc->netbios};
    if (ad_find_start(s->dc->conn, &s->name, &domain, s->dc->domain_dn, on_found, s, NULL, &e) < 0)
        give_up(s, &e);
}

static void on_way(void *arg, const char *words)
{
    struct show *s = arg;

    struct way *w = &s->ways[s->way_at++];
    char name[TEXT_SHOWN];

    /* No way was found, only the SID, as for what is in a group through its primary group: then
     * the name says more. */
    if (text_starts(words, "member of S-1-"))
        (void)snprintf(w->how, sizeof(w->how), "member of %s", text_shown(name, w->name));
    else
        (void)snprintf(w->how, sizeof(w->how), "%s", words);
    explain_next(s);
}

static void explain_next(struct show *s)
{
    struct err ignored;

    for (; s->way_at < s->way_count; s->way_at++) {
        struct way *w = &s->ways[s->way_at];
        char name[TEXT_SHOWN];

        if (w->history)
            continue;
        if (s->dc->state == AD_DC_READY &&
            ad_explain_start(s->dc->conn, s->account, &w->sid, s->dc->domain_dn, on_way, s,
                             &ignored) == 0)
            return;
        (void)snprintf(w->how, sizeof(w->how), "member of %s", text_shown(name, w->name));
    }
    if (s->world.cloud != NULL && show_cloud_start(s, told, &ignored) == 0)
        return;
    told(s);
}

static void told(struct show *s)
{
    show_tell(s);
    show_cloud_done(s);
    next(s);
}

/* Not in AD: perhaps in Entra alone. */
static void told_alone(struct show *s)
{
    struct err e = s->missing;

    if (s->entra.found)
        show_cloud_alone(s);
    else if (s->entra.code != ERR_NOTFOUND)
        (void)err_set(&e, e.code, 0, "%.300s; Entra: %.180s", s->missing.msg, s->entra.why);
    if (s->entra.found) {
        show_cloud_done(s);
        next(s);
        return;
    }
    show_cloud_done(s);
    give_up(s, &e);
}

/* --- the command ----------------------------------------------------------------------------- */

static void on_world(void *arg, const struct err *e)
{
    struct show *s = arg;

    if (e == NULL) {
        s->later = loop_timer_start(s->loop, 0, begin, s);
        return;
    }
    s->exit = cmd_fail(s->command, cmd_exit_for(e), "%s", e->msg);
    loop_stop(s->loop);
}

static int run_show(struct show *s)
{
    struct world_opts o = {.as_agent = s->as_agent, .only_dc = s->dc_only};
    struct cfg *cfg = NULL;
    struct err e;
    int code = cmd_load(&cfg);

    if (code != 0)
        return code;
    o.cfg = cfg;
    o.with_cloud = cfg->entra.on;
    o.domain = cmd_domain(cfg, s->domain, &e);
    if (o.domain == NULL || loop_new(&s->loop, &e) < 0) {
        s->exit = cmd_fail(s->command, cmd_exit_for(&e), "%s", e.msg);
        goto out;
    }
    if (world_open(s->loop, &o, &s->world, on_world, s, &e) < 0)
        s->exit = cmd_fail(s->command, cmd_exit_for(&e), "%s", e.msg);
    else
        (void)loop_run(s->loop, &e);
    loop_timer_stop(&s->later);
    ad_account_free(s->account);
    ad_found_done(&s->found);
    show_cloud_done(s);
    world_close(&s->world);
out:
    loop_free(s->loop);
    cfg_free(cfg);
    return s->exit;
}

int cmd_show(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},     {"as-agent", no_argument, NULL, 'a'},
        {"dc", required_argument, NULL, 'd'}, {"domain", required_argument, NULL, 'D'},
        {"help", no_argument, NULL, 'h'},     {NULL, 0, NULL, 0}};
    struct show s = {.command = argv[0]};
    int c;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        char shown[TEXT_SHOWN];

        switch (c) {
        case 'j':
            s.json = true;
            break;
        case 'a':
            s.as_agent = true;
            break;
        case 'd':
            s.dc_only = optarg;
            break;
        case 'D':
            s.domain = optarg;
            break;
        case 'h':
            cmd_help(argv[0]);
            return 0;
        default:
            return cmd_fail(argv[0], EXIT_USAGE, "'%s': %s", text_shown(shown, argv[optind - 1]),
                            c == ':' ? "needs a value" : "no such option");
        }
    }
    if (optind == argc)
        return cmd_fail(argv[0], EXIT_USAGE, "which account? (--help)");
    s.accounts = argv + optind;
    s.count = (size_t)(argc - optind);
    return run_show(&s);
}
