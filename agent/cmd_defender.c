/* agent/cmd_defender.c -- Live Response: the script into the library, and could it be used now?
 *
 *   cordon defender publish [FILE]
 *   cordon defender check
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cloud.h"
#include "agent/commands.h"
#include "agent/defender_walk.h"
#include "agent/verdict.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "cloud/defender.h"

#define SCRIPT_MAX (512 * 1024)

struct use {
    bool json;
    const char *file;
    struct cfg *cfg;
    struct loop *loop;
    struct cloud *cloud;
    struct defender_call *call;
    struct defender_walk *walk;
    size_t looked;
    bool published;
    int exit;
};

static void publish(struct use *u, const char *path, const char *name);

static void on_published(void *arg, const char *sha256_hex, const struct err *e)
{
    struct use *u = arg;
    bool is_last = u->file != NULL || u->cloud->sync_script[0] == '\0' || u->published;

    u->call = NULL;
    u->published = true;
    if (e != NULL)
        u->exit = cmd_fail("defender", cmd_exit_for(e), "publish: %s", e->msg);
    else if (u->json)
        (void)printf("{\"type\":\"published\",\"sha256\":\"%s\"}\n", sha256_hex);
    else
        (void)printf("published; the library shows sha256 %s, which is the file's\n", sha256_hex);
    if (is_last)
        loop_stop(u->loop);
    else
        publish(u, u->cfg->defender.sync_script, u->cloud->sync_script);
}

/* name: NULL: the script for DCs */
static void publish(struct use *u, const char *path, const char *name)
{
    CLEANUP(text_done) struct text script = TEXT_INIT(SCRIPT_MAX);
    struct err e;

    if (file_read_trusted(path, FILE_PUBLIC, SCRIPT_MAX, &script, &e) == 0 &&
        defender_publish_start(u->cloud->defender, name, script.s, script.len, on_published, u,
                               &u->call, &e) == 0)
        return;
    u->exit = cmd_fail("defender", cmd_exit_for(&e), "publish: %s", e.msg);
    loop_stop(u->loop);
}

/* --- check ------------------------------------------------------------------------------------ */

static void tell(const struct use *u, const char *host, const struct defender_check *c)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(8192);
    struct json_out o;

    if (u->json) {
        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "check");
        json_out_str(&o, "name", c->name);
        json_out_str(&o, "target", host);
        json_out_str(&o, "state", c->ok ? "ok" : c->known ? "failed" : "skipped");
        json_out_str(&o, "detail", c->words);
        json_out_str(&o, "mend", c->ok ? "" : c->mend);
        json_out_end_object(&o);
    } else {
        text_addf(&t, "  %-5s %-14s %s: %s",
                  c->ok      ? "ok"
                  : c->known ? "FAIL"
                             : "skip",
                  c->name, host, c->words);
        if (!c->ok && c->mend[0] != '\0')
            text_addf(&t, "\n        %-14s mend: %s", "", c->mend);
    }
    (void)puts(t.s);
}

static void on_checked(void *arg, const char *host, const struct defender_check *checks, size_t n,
                       const struct err *e)
{
    struct use *u = arg;

    u->looked++;
    if (e != NULL)
        u->exit = cmd_fail("defender", cmd_exit_for(e), "check: %s%s%s", host,
                           host[0] != '\0' ? ": " : "", e->msg);
    for (size_t i = 0; i < n; i++) {
        tell(u, host, &checks[i]);
        if (!checks[i].ok && checks[i].known)
            u->exit = verdict_exit(VERDICT_FAILED);
    }
}

static void on_done(void *arg)
{
    struct use *u = arg;

    u->walk = NULL;
    if (u->looked == 0)
        u->exit = cmd_fail("defender", verdict_exit(VERDICT_FAILED),
                           "check: no machine has the tag of dc_tag");
    loop_stop(u->loop);
}

static void check(struct use *u)
{
    static const struct defender_walk_calls calls = {.checked = on_checked, .done = on_done};
    struct err e;

    if (defender_walk_start(u->loop, u->cloud->defender, &u->cfg->defender, &calls, u, &u->walk,
                            &e) < 0)
        u->exit = cmd_fail("defender", cmd_exit_for(&e), "check: %s", e.msg);
}

static int work(struct use *u, bool publishes)
{
    struct err e;
    int code = cmd_load(&u->cfg);

    if (code != 0)
        return code;
    if (!u->cfg->defender.on) {
        code = cmd_fail("defender", EXIT_CONFIG,
                        "no [defender] in %s (cordon config sample shows one)", cmd_config_path());
        cfg_free(u->cfg);
        return code;
    }
    if (!publishes && u->cfg->defender.dcs.count == 0 && u->cfg->defender.dc_tag == NULL) {
        code = cmd_fail("defender", EXIT_CONFIG,
                        "check: neither dcs nor dc_tag in [defender]: nothing to look at");
    } else if (loop_new(&u->loop, &e) < 0 ||
               cloud_open(u->loop, u->cfg, &u->cfg->domains[0], &u->cloud, &e) < 0) {
        code = cmd_fail("defender", cmd_exit_for(&e), "%s", e.msg);
    } else if (u->cloud->defender == NULL) {
        code = cmd_fail("defender", cmd_exit_for(&u->cloud->defender_failed), "%s",
                        u->cloud->defender_failed.msg);
    } else {
        if (publishes)
            publish(u, u->file != NULL ? u->file : u->cfg->defender.script, NULL);
        else
            check(u);
        if (u->call != NULL || u->walk != NULL)
            (void)loop_run(u->loop, &e);
        code = u->exit;
    }
    defender_abandon(u->call);
    defender_walk_abandon(u->walk);
    cloud_close(u->cloud);
    loop_free(u->loop);
    cfg_free(u->cfg);
    return code;
}

int cmd_defender(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"as-agent", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'H'},
                                            {NULL, 0, NULL, 0}};
    struct use u = {0};
    bool publishes;
    int c;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        switch (c) {
        case 'j':
            u.json = true;
            break;
        case 'a':
            break; /* the cloud knows only one principal: the agent's */
        case 'H':
            cmd_help("defender");
            return 0;
        default:
            return cmd_fail("defender", EXIT_USAGE, "'%s': no such option", argv[optind - 1]);
        }
    }
    publishes = optind < argc && strcmp(argv[optind], "publish") == 0;
    if (optind == argc || (!publishes && strcmp(argv[optind], "check") != 0) ||
        argc - optind > (publishes ? 2 : 1))
        return cmd_fail("defender", EXIT_USAGE, "publish [FILE], or check");
    u.file = publishes && argc - optind == 2 ? argv[optind + 1] : NULL;
    return work(&u, publishes);
}
