/* agent/cmd_service.c -- the running service, for people and monitors: each command is one question
 * over the control socket (agent/service/control.h), and its answer told. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands.h"
#include "agent/service/control.h"
#include "agent/verdict.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/stamp.h"
#include "base/text.h"
#include "config/value.h"

#define ANSWER_MAX ((size_t)4 * 1024 * 1024)

struct told {
    const char *command;
    void (*tell)(struct told *t, const struct cJSON *answer); /* NULL: nothing */
    const char *done; /* for tell_done: the word for what was done */
    bool json;
    int exit;
};

/* --- where it is ----------------------------------------------------------------------------- */

/* A configuration that cannot be read keeps nobody from asking how the service is, which may run by
 * an older one. */
static int find_socket(const char *command, char *buf, size_t size, struct err *e)
{
    CLEANUP(text_done) struct text errors = TEXT_INIT(256 * 1024);
    struct cfg *cfg = NULL;
    int rc;

    if (cfg_load(cmd_config_path(), &cfg, &errors, e) < 0 && e->code != ERR_NOTFOUND)
        (void)cmd_fail(command, 0,
                       "the configuration cannot be read, so the socket's usual place is tried: %s",
                       e->msg);
    rc = cmd_socket_path(cfg, buf, size, e);
    cfg_free(cfg);
    return rc;
}

/* --- what it said ---------------------------------------------------------------------------- */

/* The contract of exit codes, for the words of base/err.h as they come over the socket. */
static int exit_for(const char *word)
{
    static const struct {
        enum err_code code;
        enum verdict verdict;
    } rows[] = {
        {ERR_NOTFOUND, VERDICT_NOT_FOUND}, {ERR_REFUSED, VERDICT_REFUSED},
        {ERR_CONFLICT, VERDICT_REFUSED},   {ERR_DENIED, VERDICT_REFUSED},
        {ERR_UNPROVEN, VERDICT_UNKNOWN},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(err_word(rows[i].code), word) == 0)
            return verdict_exit(rows[i].verdict);
    }
    return verdict_exit(VERDICT_FAILED);
}

static int on_answer(void *arg, const char *line)
{
    static const struct json_limits lim = {
        .bytes = ANSWER_MAX, .members = 100000, .string = ANSWER_MAX, .flags = JSON_FLOATS};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct told *t = arg;
    const char *type;
    struct err e;

    if (json_parse(line, strlen(line), &lim, &j, &e) < 0 || (type = json_str(j, "type")) == NULL) {
        t->exit = cmd_fail(t->command, verdict_exit(VERDICT_FAILED),
                           "the service's answer cannot be read");
        return -1;
    }
    if (strcmp(type, "error") == 0) {
        const char *word = json_str(j, "error"), *why = json_str(j, "why");

        t->exit = cmd_fail(t->command, exit_for(word != NULL ? word : ""), "%s",
                           why != NULL ? why : "refused");
        return -1;
    }
    t->exit = json_first(json_get(j, "degraded")) != NULL ? verdict_exit(VERDICT_UNCONFIRMED) : 0;
    if (t->tell != NULL)
        t->tell(t, j);
    if (t->json)
        (void)puts(line);
    return 0;
}

/* changes: no answer leaves open whether it was done. */
static int ask(struct told *t, const char *line, bool changes)
{
    char path[512];
    struct err e;

    if (find_socket(t->command, path, sizeof(path), &e) < 0)
        return cmd_fail(t->command, verdict_exit(VERDICT_FAILED), "%s", e.msg);
    t->exit = verdict_exit(VERDICT_FAILED);
    if (control_ask(path, line, on_answer, t, &e) < 0)
        return cmd_fail(
            t->command,
            verdict_exit(changes && e.code == ERR_UNPROVEN ? VERDICT_UNKNOWN : VERDICT_FAILED),
            "%s", e.msg);
    return t->exit;
}

static int ask_to(struct told *t, const char *verb, const char *id, const char *why,
                  const char *level)
{
    CLEANUP(text_done) struct text line = TEXT_INIT(64 * 1024);
    struct json_out o;
    struct err e;

    json_out_init(&o, &line);
    json_out_object(&o, NULL);
    json_out_str(&o, "do", verb);
    if (id != NULL)
        json_out_str(&o, "id", id);
    if (why != NULL)
        json_out_str(&o, "why", why);
    if (level != NULL)
        json_out_str(&o, "level", level);
    json_out_end_object(&o);
    if (text_check(&line, "request", &e) < 0)
        return cmd_fail(t->command, EXIT_USAGE, "%s", e.msg);
    return ask(t, line.s, id != NULL || why != NULL || level != NULL);
}

/* --- for people ------------------------------------------------------------------------------ */

enum { ON_ONE_LINE = 6 };

/* An item of a list that goes on one line: a few values, and no more lists in it. */
static bool is_small(const struct cJSON *j)
{
    size_t n = 0;

    for (const struct cJSON *m = json_first(j); m != NULL; m = json_next(m), n++) {
        if (json_name(m) == NULL || json_is_object(m) || json_is_array(m))
            return false;
    }
    return n > 0 && n <= ON_ONE_LINE;
}

/* "per_ms" is shown as "per 10m", "proven_ms_ago" as "proven_ago 3 min". Where the _ms is, or the
 * name's end. */
static size_t span_at(const char *name)
{
    size_t n = name != NULL ? strlen(name) : 0;

    if (n > strlen("_ms_ago") && text_ends_nocase(name, "_ms_ago"))
        return n - strlen("_ms_ago");
    return n > strlen("_ms") && text_ends_nocase(name, "_ms") ? n - strlen("_ms") : n;
}

static void show_name(struct text *t, const char *name)
{
    size_t at = span_at(name);

    text_show(t, name, at, 64);
    if (name[at] != '\0')
        text_add(t, name + at + strlen("_ms"));
}

static void show_span(struct text *t, const char *name, int64_t ms)
{
    char span[STAMP_TEXT];

    if (text_ends_nocase(name, "_ago"))
        text_add(t, stamp_age(span, ms));
    else
        text_add(t, cfg_duration_text((uint64_t)ms, span));
}

/* `of`: the object that it is a member of. */
static void show_value(struct text *t, const struct cJSON *of, const struct cJSON *m)
{
    const char *name = json_name(m), *s = json_value_str(m);
    int64_t n;
    bool b;

    if (s != NULL)
        text_show(t, s, strlen(s), 500);
    else if (json_value_i64(m, &n) && n >= 0 && name != NULL && name[span_at(name)] != '\0')
        show_span(t, name, n);
    else if (json_value_i64(m, &n))
        text_addf(t, "%lld", (long long)n);
    else if (name != NULL && json_bool(of, name, &b))
        text_add(t, b ? "yes" : "no");
    else
        text_add(t, "none");
}

/* Whatever the service tells, as an indented list: a newer one may tell more. What is empty is
 * left out. */
static void show_members(struct text *t, const struct cJSON *j, unsigned depth)
{
    for (const struct cJSON *m = json_first(j); m != NULL && depth < 8; m = json_next(m)) {
        const char *name = json_name(m), *s = json_value_str(m);
        bool small = name == NULL && is_small(m);

        if ((depth == 0 && name != NULL && strcmp(name, "type") == 0) || (s != NULL && *s == '\0'))
            continue;
        text_addf(t, "%*s", (int)(2 * depth), "");
        if (name != NULL)
            show_name(t, name);
        else
            text_addc(t, '-');
        for (const struct cJSON *k = small ? json_first(m) : NULL; k != NULL; k = json_next(k)) {
            if ((s = json_value_str(k)) != NULL && *s == '\0')
                continue;
            text_add(t, k == json_first(m) ? " " : "  ");
            show_name(t, json_name(k));
            text_addc(t, ' ');
            show_value(t, m, k);
        }
        if (!small && json_first(m) == NULL) {
            text_addc(t, ' ');
            show_value(t, j, m);
        }
        text_addc(t, '\n');
        if (!small)
            show_members(t, m, depth + 1);
    }
}

static void tell(const struct cJSON *j, const char *nothing)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(2 * ANSWER_MAX);

    show_members(&t, j, 0);
    (void)fputs(t.len > 0 ? t.s : nothing, stdout);
}

static void tell_status(struct told *t, const struct cJSON *j)
{
    if (!t->json)
        tell(j, "running\n");
}

static void tell_pending(struct told *t, const struct cJSON *j)
{
    if (!t->json)
        tell(json_get(j, "pending"), "nothing waits for a person\n");
}

static void tell_brake(struct told *t, const struct cJSON *j)
{
    const struct cJSON *brake = json_get(j, "brake");
    bool engaged = false;

    (void)json_bool(brake, "engaged", &engaged);
    t->exit = verdict_exit(engaged ? VERDICT_UNCONFIRMED : VERDICT_DONE);
    if (brake == NULL)
        t->exit = cmd_fail(t->command, verdict_exit(VERDICT_FAILED),
                           "the service does not say how the brake is");
    else
        tell(brake, "free\n");
}

static void tell_metrics(struct told *t, const struct cJSON *j)
{
    const char *s = json_str(j, "text");

    (void)t;
    (void)fputs(s != NULL ? s : "", stdout);
}

static void tell_done(struct told *t, const struct cJSON *j)
{
    CLEANUP(text_done) struct text who = TEXT_INIT(4096);
    const char *by = json_str(j, "by");

    if (by != NULL)
        text_show(&who, by, strlen(by), 200);
    if (!t->json)
        (void)printf("%s%s%s\n", t->done, who.len > 0 ? ", by " : "", who.s);
}

/* --- the commands ---------------------------------------------------------------------------- */

struct typed {
    const char *why;
    bool json, help;
    int rc;
};

/* Options and the number of arguments behind them; false: `rc` is the exit code. */
static bool read_line(int argc, char **argv, bool takes_why, int args, const char *what,
                      struct typed *t)
{
    static const struct option options[] = {{"why", required_argument, NULL, 'w'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"as-agent", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int c;

    *t = (struct typed){0};
    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'h') {
            cmd_help(argv[0]);
            return false;
        }
        if (c == '?' || (c == 'w' && !takes_why)) {
            t->rc = cmd_fail(argv[0], EXIT_USAGE, "'%s': no such option", argv[optind - 1]);
            return false;
        }
        if (c == 'w')
            t->why = optarg;
        t->json |= c == 'j';
    }
    if (argc - optind != args) {
        t->rc = cmd_fail(argv[0], EXIT_USAGE, "%s", what);
        return false;
    }
    return true;
}

int cmd_status(int argc, char **argv)
{
    struct told t = {.command = argv[0], .tell = tell_status};
    struct typed o;

    if (!read_line(argc, argv, false, 0, "takes no argument", &o))
        return o.rc;
    t.json = o.json;
    return ask_to(&t, "status", NULL, NULL, NULL);
}

int cmd_pending(int argc, char **argv)
{
    struct told t = {.command = argv[0], .tell = tell_pending};
    struct typed o;

    if (!read_line(argc, argv, false, 0, "takes no argument", &o))
        return o.rc;
    t.json = o.json;
    return ask_to(&t, "pending", NULL, NULL, NULL);
}

int cmd_metrics(int argc, char **argv)
{
    struct told t = {.command = argv[0], .tell = tell_metrics};
    struct typed o;

    if (!read_line(argc, argv, false, 0, "takes no argument", &o))
        return o.rc;
    return ask_to(&t, "metrics", NULL, NULL, NULL);
}

/* approve and decline */
int cmd_decide(int argc, char **argv)
{
    struct told t = {
        .command = argv[0],
        .tell = tell_done,
        .done = strcmp(argv[0], "approve") == 0 ? "approved" : "declined",
    };
    struct typed o;

    if (!read_line(argc, argv, true, 1, "which request? (cordon pending lists them)", &o))
        return o.rc;
    if (o.why == NULL && strcmp(argv[0], "decline") == 0)
        return cmd_fail(argv[0], EXIT_USAGE, "--why TEXT is needed");
    t.json = o.json;
    return ask_to(&t, argv[0], argv[optind], o.why, NULL);
}

int cmd_brake(int argc, char **argv)
{
    struct told t = {.command = argv[0], .tell = tell_done, .done = "released"};
    struct typed o;

    if (!read_line(argc, argv, true, 1, "status or release?", &o))
        return o.rc;
    t.json = o.json;
    if (strcmp(argv[optind], "status") == 0) {
        if (o.json)
            return cmd_fail(argv[0], EXIT_USAGE, "--json: cordon status --json has the brake, too");
        t.tell = tell_brake;
        return ask_to(&t, "status", NULL, NULL, NULL);
    }
    if (strcmp(argv[optind], "release") != 0)
        return cmd_fail(argv[0], EXIT_USAGE, "'%s': status or release?", argv[optind]);
    if (o.why == NULL)
        return cmd_fail(argv[0], EXIT_USAGE, "--why TEXT is needed");
    return ask_to(&t, "brake", NULL, o.why, NULL);
}

int cmd_log_level(int argc, char **argv)
{
    struct told t = {.command = argv[0], .tell = tell_done, .done = "set"};
    struct typed o;

    if (!read_line(argc, argv, false, 1, "which level? error, warning, info or debug", &o))
        return o.rc;
    return ask_to(&t, "log-level", NULL, NULL, argv[optind]);
}
