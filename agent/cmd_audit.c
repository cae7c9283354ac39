/* agent/cmd_audit.c -- is the ledger what was written? All of it as JSON lines; and less of it. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "agent/commands.h"
#include "agent/ledger.h"
#include "agent/verdict.h"
#include "base/json.h"
#include "base/stamp.h"
#include "base/text.h"

static int verify(struct ledger *l, bool json)
{
    struct text t = TEXT_INIT(4096);
    char head[65] = "";
    int64_t count = 0;
    struct err e = ERR_NONE;
    int rc = ledger_verify(l, &count, head, &e);

    if (json) {
        struct json_out o;

        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "audit");
        json_out_bool(&o, "intact", rc == 0);
        json_out_i64(&o, "count", count);
        json_out_str(&o, "head", head);
        json_out_str(&o, "detail", rc == 0 ? "" : e.msg);
        json_out_end_object(&o);
        (void)puts(t.s);
    } else if (rc == 0) {
        (void)printf("intact: %lld records, head %s\n", (long long)count, head);
    }
    text_done(&t);
    if (rc < 0)
        return cmd_fail("audit", verdict_exit(VERDICT_FAILED), "%s", e.msg);
    return 0;
}

int cmd_audit(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"as-agent", no_argument, NULL, 'a'},
                                            {"older-than", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct ledger *l = NULL;
    bool json = false, has_age = false;
    uint64_t age_ms = 0;
    char dir[512];
    struct err e;
    int c, rc;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'h') {
            cmd_help(argv[0]);
            return 0;
        }
        if (c == '?')
            return cmd_fail(argv[0], EXIT_USAGE, "'%s': no such option", argv[optind - 1]);
        if (c == 'o') {
            if (!text_to_duration(optarg, &age_ms))
                return cmd_fail(argv[0], EXIT_USAGE, "--older-than: a duration such as 400d");
            has_age = true;
        }
        json = json || c == 'j';
    }
    bool prune = optind + 1 == argc && strcmp(argv[optind], "prune") == 0;

    if (optind + 1 != argc ||
        (strcmp(argv[optind], "verify") != 0 && strcmp(argv[optind], "export") != 0 && !prune))
        return cmd_fail(argv[0], EXIT_USAGE, "verify, export or prune?");
    if (prune != has_age)
        return cmd_fail(argv[0], EXIT_USAGE, "prune needs --older-than, and nothing else takes it");
    if (cmd_state_dir(dir, sizeof(dir), &e) < 0 || ledger_open(dir, NULL, !prune, &l, &e) < 0)
        return cmd_fail(argv[0], cmd_exit_for(&e), "%s", e.msg);
    if (prune) {
        int64_t removed = 0;

        rc = 0;
        if (ledger_prune(l, stamp_now_ms() - (int64_t)age_ms, &removed, &e) < 0)
            rc = cmd_fail(argv[0], cmd_exit_for(&e), "%s", e.msg);
        else
            (void)printf("%lld records removed; what is left still verifies\n", (long long)removed);
    } else if (strcmp(argv[optind], "verify") == 0) {
        rc = verify(l, json);
    } else {
        rc = 0;
        if (ledger_export(l, stdout, &e) < 0)
            rc = cmd_fail(argv[0], cmd_exit_for(&e), "%s", e.msg);
    }
    (void)ledger_close(l, &e);
    return rc;
}
