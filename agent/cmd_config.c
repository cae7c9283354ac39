/* agent/cmd_config.c -- the settings: in effect, checked, a sample, the manual. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "agent/commands.h"
#include "agent/intake/signers.h"
#include "agent/verdict.h"
#include "base/text.h"
#include "config/config.h"

/* The keys that cordon run and cordon verify would read. */
static int check_signers(const struct cfg *cfg)
{
    struct signers *signers = NULL;
    struct err e;

    if (signers_load(cfg, &signers, &e) < 0)
        return cmd_fail("config", EXIT_CONFIG, "%s", e.msg);
    signers_free(signers);
    return 0;
}

static int check(const char *path)
{
    struct text errors = TEXT_INIT(256 * 1024), notices = TEXT_INIT(256 * 1024);
    struct cfg *cfg = NULL;
    struct err e;
    int rc = 0;

    if (cfg_load(path, &cfg, &errors, &e) < 0) {
        if (errors.len == 0)
            (void)fprintf(stderr, "cordon config: %s\n", e.msg);
        (void)fputs(errors.s, stderr);
        rc = EXIT_CONFIG;
    } else {
        if (cfg_notices(cfg, &notices, &e) == 0)
            (void)fputs(notices.s, stdout);
        rc = check_signers(cfg);
        if (rc == 0)
            (void)printf("%s: good\n", path);
    }
    text_done(&errors);
    text_done(&notices);
    cfg_free(cfg);
    return rc;
}

static int show(const char *path, bool json)
{
    struct text out = TEXT_INIT(4 * 1024 * 1024), errors = TEXT_INIT(256 * 1024);
    struct cfg *cfg = NULL;
    struct err e;
    int rc = 0;

    if (cfg_load(path, &cfg, &errors, &e) < 0 || cfg_show(cfg, json, &out, &e) < 0) {
        if (errors.len == 0)
            (void)fprintf(stderr, "cordon config: %s\n", e.msg);
        (void)fputs(errors.s, stderr);
        rc = EXIT_CONFIG;
    } else {
        (void)fputs(out.s, stdout);
    }
    text_done(&errors);
    text_done(&out);
    cfg_free(cfg);
    return rc;
}

int cmd_config(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"as-agent", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct text out = TEXT_INIT(4 * 1024 * 1024);
    bool json = false;
    struct err e;
    int c, rc = 0;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'h') {
            cmd_help(argv[0]);
            return 0;
        }
        if (c == '?')
            return cmd_fail(argv[0], EXIT_USAGE, "'%s': no such option", argv[optind - 1]);
        json = json || c == 'j';
    }
    if (optind + 1 != argc)
        return cmd_fail(argv[0], EXIT_USAGE, "show, check, sample or manual?");
    if (strcmp(argv[optind], "check") == 0)
        return check(cmd_config_path());
    if (strcmp(argv[optind], "show") == 0)
        return show(cmd_config_path(), json);
    if (strcmp(argv[optind], "sample") == 0)
        rc = cfg_sample(&out, &e);
    else if (strcmp(argv[optind], "manual") == 0)
        rc = cfg_manual(&out, &e);
    else
        return cmd_fail(argv[0], EXIT_USAGE, "'%s': show, check, sample or manual?", argv[optind]);
    if (rc < 0)
        rc = cmd_fail(argv[0], cmd_exit_for(&e), "%s", e.msg);
    else
        (void)fputs(out.s, stdout);
    text_done(&out);
    return rc;
}
