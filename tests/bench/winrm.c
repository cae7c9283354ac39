/* tests/bench/winrm.c -- the source that asks over WinRM, against the stand-in in the lab.
 *
 *   winrm watch HOST ORDERS N   an event is added by an order, N times; each line: wall clock (s)
 * when the order was answered, and when the expectation was met winrm many HOST N           N
 * subscriptions at once: KB resident before, and with all open
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "eventlog/expect.h"
#include "eventlog/source_winrm.h"

#define US "S-1-5-21-1-2-3-1200"
#define TARGET "S-1-5-21-1-2-3-4711"

struct bench {
    struct loop *loop;
    struct evlog_watcher *watcher;
    unsigned open, wanted;
    bool met;
};

static double wall(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_ready(void *arg, struct evlog_source *s, const struct err *e)
{
    struct bench *b = arg;

    (void)s;
    if (e != NULL) {
        (void)fprintf(stderr, "%s\n", e->msg);
        exit(1);
    }
    if (++b->open == b->wanted)
        loop_stop(b->loop);
}

static void on_met(void *arg, const struct evlog_result *r)
{
    struct bench *b = arg;

    b->met = r->end == EVLOG_MET;
    loop_stop(b->loop);
}

static void order(const char *path, const char *json)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char answer[4096];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        write(fd, json, strlen(json)) < 0 || shutdown(fd, SHUT_WR) < 0 ||
        read(fd, answer, sizeof(answer)) <= 0) {
        perror(path);
        exit(1);
    }
    (void)close(fd);
}

static long rss_kb(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0, all = 0;

    if (f != NULL && fscanf(f, "%ld %ld", &all, &pages) != 2)
        pages = 0;
    if (f != NULL)
        (void)fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void open_all(struct bench *b, const char *host, unsigned n)
{
    struct winrm_settings w = {.host = host};
    struct evlog_winrm spec = {.winrm = &w, .dc = host};
    struct err e;

    b->wanted = n;
    for (unsigned i = 0; i < n; i++) {
        struct evlog_source *s = NULL;

        if (evlog_source_open_winrm(b->watcher, &spec, on_ready, b, &s, &e) < 0) {
            (void)fprintf(stderr, "%s\n", e.msg);
            exit(1);
        }
    }
    (void)loop_run(b->loop, &e);
}

int main(int argc, char **argv)
{
    static const char json[] = "{\"add\":[{\"id\":4725,\"target\":\"zoe\",\"target_sid\":\"" TARGET
                               "\",\"subject\":\"svc-cordon\",\"subject_sid\":\"" US "\"}]}";
    struct bench b = {0};
    long before;
    struct err e;

    if (argc < 4 || loop_new(&b.loop, &e) < 0 || evlog_watcher_new(b.loop, &b.watcher, &e) < 0)
        return 2;
    before = rss_kb();
    if (strcmp(argv[1], "many") == 0) {
        open_all(&b, argv[2], (unsigned)atoi(argv[3]));
        (void)printf("%ld %ld\n", before, rss_kb());
        return 0;
    }
    open_all(&b, argv[2], 1);
    for (int i = 0; argc > 4 && i < atoi(argv[4]); i++) {
        struct evlog_spec s = {.target_sid = TARGET, .actor_sid = US, .dc = argv[2]};
        struct evlog_expect *x = NULL;
        double asked;

        evlog_want_disabled(&s);
        b.met = false;
        if (evlog_expect_start(b.watcher, &s, on_met, &b, &x, &e) < 0)
            return 1;
        evlog_expect_settle(x, 20000);
        order(argv[3], json);
        asked = wall();
        (void)loop_run(b.loop, &e);
        if (!b.met)
            return 1;
        (void)printf("%.6f %.6f\n", asked, wall());
    }
    return 0;
}
