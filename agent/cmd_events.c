/* agent/cmd_events.c -- the watcher's own view of security events, for people and scripts.
 *
 * Without --follow the files are read to their ends. With it they are read by the same sources that
 * prove a change: from their start, then on as they grow, until a signal.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/commands.h"
#include "agent/verdict.h"
#include "base/cleanup.h"
#include "base/loop.h"
#include "base/text.h"
#include "eventlog/read.h"
#include "eventlog/source.h"

#define FOLLOW_MAX 32

struct show {
    bool json;
    const char *path;
    uint64_t events, bad;
    struct loop *loop;
    int sigfd;
};

static void on_event(void *arg, const struct evlog_event *ev)
{
    struct show *s = arg;
    struct text t = TEXT_INIT(64 * 1024);

    if (s->json)
        evlog_event_json(ev, &t);
    else
        evlog_event_human(ev, &t);
    (void)puts(t.s);
    s->events++;
    text_done(&t);
}

static void on_bad(void *arg, uint64_t line, const struct err *e)
{
    struct show *s = arg;

    s->bad++;
    (void)fprintf(stderr, "cordon events: %s:%llu: %s\n", s->path, (unsigned long long)line,
                  e->msg);
}

static void on_listen(void *arg, const struct evlog_source *source, const struct evlog_event *ev)
{
    (void)source;
    on_event(arg, ev);
    (void)fflush(stdout);
}

static void on_ready(void *arg, struct evlog_source *source, const struct err *e)
{
    (void)source;
    (void)arg;
    if (e != NULL)
        (void)fprintf(stderr, "cordon events: %s\n", e->msg);
}

static void on_signal(void *arg, int events)
{
    struct show *s = arg;

    (void)events;
    loop_stop(s->loop);
}

static int follow(struct show *s, char **paths, int count)
{
    struct evlog_source *sources[FOLLOW_MAX] = {NULL};
    struct evlog_watcher *w = NULL;
    struct loop_watch *watch = NULL;
    sigset_t set;
    struct err e;
    int rc = 0;

    if (count > FOLLOW_MAX)
        return cmd_fail("events", EXIT_USAGE, "--follow: at most %d files", FOLLOW_MAX);
    if (loop_new(&s->loop, &e) < 0 || evlog_watcher_new(s->loop, &w, &e) < 0) {
        rc = cmd_fail("events", cmd_exit_for(&e), "%s", e.msg);
        goto out;
    }
    evlog_watcher_listen(w, on_listen, s);
    for (int i = 0; i < count; i++) {
        /* "-": as of a time when the file was not there yet: from its start. */
        struct evlog_files f = {
            .lines = EVLOG_LINES_ANY, .paths = {paths[i]}, .count = 1, .mark = "-"};

        if (evlog_source_open_files(w, &f, on_ready, s, &sources[i], &e) < 0) {
            rc = cmd_fail("events", cmd_exit_for(&e), "%s", e.msg);
            goto out;
        }
    }
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    s->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->sigfd >= 0)
        watch = loop_watch_start(s->loop, s->sigfd, LOOP_READ, on_signal, s);
    (void)loop_run(s->loop, &e);
out:
    loop_watch_stop(&watch);
    for (int i = 0; i < FOLLOW_MAX; i++)
        evlog_source_close(&sources[i]);
    evlog_watcher_free(w);
    loop_free(s->loop);
    if (s->sigfd >= 0)
        (void)close(s->sigfd);
    return rc;
}

int cmd_events(int argc, char **argv)
{
    static const struct option options[] = {{"follow", no_argument, NULL, 'f'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"as-agent", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct show s = {.sigfd = -1};
    bool following = false;
    struct err e;
    int c, rc = 0;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "f", options, NULL)) != -1) {
        switch (c) {
        case 'f':
            following = true;
            break;
        case 'j':
            s.json = true;
            break;
        case 'a':
            break;
        case 'h':
            cmd_help(argv[0]);
            return 0;
        default:
            return cmd_fail(argv[0], EXIT_USAGE, "'%s': no such option", argv[optind - 1]);
        }
    }
    if (optind == argc)
        return cmd_fail(argv[0], EXIT_USAGE, "which files? (- for stdin)");
    if (following && (argc - optind != 1 || strcmp(argv[optind], "-") != 0))
        return follow(&s, argv + optind, argc - optind);
    for (int i = optind; i < argc; i++) {
        s.path = argv[i];
        if (evlog_read_file(argv[i], on_event, on_bad, &s, &e) < 0)
            rc = cmd_fail(argv[0], cmd_exit_for(&e), "%s", e.msg);
    }
    /* What could not be read as an event is named above, and the exit code says so. */
    return rc != 0 ? rc : s.bad > 0 ? verdict_exit(VERDICT_FAILED) : 0;
}
