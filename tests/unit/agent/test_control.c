/* The control socket, and callers that mean no good (U3, R8). The deadline is the loop's timer,
 * shortened here by --wrap, so that nothing waits for it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/service/control.h"

struct loop_timer *__real_loop_timer_start(struct loop *l, uint64_t ms, loop_cb cb, void *arg);
struct loop_timer *__wrap_loop_timer_start(struct loop *l, uint64_t ms, loop_cb cb, void *arg);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);

static uint64_t deadline_ms = 5000;
static uid_t pretend_uid;
static bool pretend;

struct loop_timer *__wrap_loop_timer_start(struct loop *l, uint64_t ms, loop_cb cb, void *arg)
{
    return __real_loop_timer_start(l, ms == 5000 ? deadline_ms : ms, cb, arg);
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    int rc = __real_getsockopt(fd, level, name, value, len);

    if (rc == 0 && pretend && level == SOL_SOCKET && name == SO_PEERCRED)
        ((struct ucred *)value)->uid = pretend_uid;
    return rc;
}

/* --- a service ------------------------------------------------------------------------------- */

struct world {
    struct loop *l;
    struct control *c;
    char folder[40], path[64], by[100];
    char did[400]; /* what was asked of the service */
    size_t big;    /* so many bytes of metrics */
    bool hold, stop_then, fails;
    void (*done)(void *done_arg, const struct err *e);
    void *done_arg;
    struct loop_watch *client; /* the one that is waited for */
    int fd;
    struct text got;
};

static int op_status(void *arg, struct json_out *o, struct err *e)
{
    struct world *w = arg;

    json_out_u64(o, "queue", 3);
    if (w->fails)
        return err_set(e, ERR_IO, 0, "the ledger \"is\" gone");
    return 0;
}

static int op_pending(void *arg, struct json_out *o, struct err *e)
{
    (void)arg;
    (void)e;
    json_out_object(o, NULL);
    json_out_str(o, "id", "r1");
    json_out_end_object(o);
    json_out_object(o, NULL);
    json_out_str(o, "id", "r2");
    json_out_end_object(o);
    return 0;
}

static void decide_now(void *arg)
{
    struct world *w = arg;
    struct err e;

    (void)err_set(&e, ERR_REFUSED, 0, "the same person twice");
    w->done(w->done_arg, w->fails ? &e : NULL);
}

static void stop_loop(void *arg)
{
    loop_stop(((struct world *)arg)->l);
}

static int op_decide(void *arg, const char *id, bool approve, const char *by, const char *why,
                     void (*done)(void *done_arg, const struct err *e), void *done_arg,
                     struct err *e)
{
    struct world *w = arg;

    if (strcmp(id, "none") == 0)
        return err_set(e, ERR_NOTFOUND, 0, "no such request");
    (void)snprintf(w->did, sizeof(w->did), "%s %s by %s: %s", approve ? "approve" : "decline", id,
                   by, why != NULL ? why : "-");
    w->done = done;
    w->done_arg = done_arg;
    if (!w->hold)
        assert_non_null(loop_timer_start(w->l, 0, decide_now, w));
    else if (w->stop_then)
        assert_non_null(loop_timer_start(w->l, 0, stop_loop, w));
    return 0;
}

static int op_release(void *arg, const char *by, const char *why, struct err *e)
{
    struct world *w = arg;

    (void)e;
    (void)snprintf(w->did, sizeof(w->did), "release by %s: %s", by, why);
    return 0;
}

static int op_metrics(void *arg, struct text *out, struct err *e)
{
    struct world *w = arg;

    (void)e;
    text_add(out, "up 1\n");
    for (size_t i = 0; i < w->big; i++)
        text_addc(out, 'x');
    text_add(out, "# EOF\n");
    return 0;
}

static int op_level(void *arg, const char *level, struct err *e)
{
    struct world *w = arg;

    (void)e;
    (void)snprintf(w->did, sizeof(w->did), "level %s", level);
    return 0;
}

static const struct control_ops ops = {op_status,  op_pending, op_decide,
                                       op_release, op_metrics, op_level};

/* As the kernel has it: -1 where this program came by no login. */
static long long my_login(void)
{
    FILE *f = fopen("/proc/self/loginuid", "re");
    long long uid = -1;

    if (f != NULL && fscanf(f, "%lld", &uid) == 1 && uid == UINT32_MAX)
        uid = -1;
    if (f != NULL)
        (void)fclose(f);
    return uid;
}

static void say_who(char *buf, size_t size)
{
    if (my_login() >= 0)
        (void)snprintf(buf, size, "(login uid %lld)", my_login());
    else
        (void)snprintf(buf, size, "(uid %lu)", (unsigned long)geteuid());
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct err e;

    assert_non_null(w);
    (void)snprintf(w->folder, sizeof(w->folder), "/tmp/cordon-control-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    (void)snprintf(w->path, sizeof(w->path), "%s/control", w->folder);
    w->fd = -1;
    w->got = TEXT_INIT(8 * 1024 * 1024);
    assert_int_equal(loop_new(&w->l, &e), 0);
    assert_int_equal(control_open(w->l, w->path, &ops, w, &w->c, &e), 0);
    say_who(w->by, sizeof(w->by));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char lock[80];

    control_close(&w->c);
    assert_int_equal(access(w->path, F_OK), -1);
    (void)snprintf(lock, sizeof(lock), "%s.lock", w->path);
    (void)unlink(lock);
    assert_int_equal(rmdir(w->folder), 0);
    loop_free(w->l);
    text_done(&w->got);
    free(w);
    deadline_ms = 5000;
    pretend = false;
    return 0;
}

/* --- callers --------------------------------------------------------------------------------- */

static int call(struct world *w)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", w->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static void put(int fd, const void *p, size_t n)
{
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

static void on_answer(void *arg, int events)
{
    struct world *w = arg;
    char buf[65536];
    ssize_t n;

    (void)events;
    /* To the end: where a peer hung up with something unread, the loop tells only once. */
    while ((n = recv(w->fd, buf, sizeof(buf), 0)) > 0)
        text_addn(&w->got, buf, (size_t)n);
    if (n < 0 && errno == EAGAIN)
        return;
    loop_watch_stop(&w->client);
    (void)close(w->fd);
    loop_stop(w->l);
}

/* Until the service has hung up on fd; the answer. */
static const char *hear(struct world *w, int fd)
{
    struct err e;

    text_clear(&w->got);
    w->fd = fd;
    w->client = loop_watch_start(w->l, fd, LOOP_READ, on_answer, w);
    assert_non_null(w->client);
    assert_int_equal(loop_run(w->l, &e), 0);
    assert_null(w->client);
    return w->got.s;
}

static const char *ask(struct world *w, const char *line)
{
    int fd = call(w);

    put(fd, line, strlen(line));
    return hear(w, fd);
}

static void still_there(struct world *w)
{
    assert_string_equal(ask(w, "{\"do\":\"status\"}\n"), "{\"type\":\"status\",\"queue\":3}\n");
}

static void answers(void **state)
{
    struct world *w = *state;

    still_there(w);
    assert_string_equal(ask(w, "{\"do\":\"pending\"}\n"),
                        "{\"type\":\"pending\",\"pending\":[{\"id\":\"r1\"},{\"id\":\"r2\"}]}\n");
    assert_string_equal(ask(w, "{\"do\":\"metrics\"}\n"),
                        "{\"type\":\"metrics\",\"text\":\"up 1\\n# EOF\\n\"}\n");
    assert_non_null(strstr(ask(w, "{\"do\":\"log-level\",\"level\":\"info\"}\n"), "\"done\""));
    assert_string_equal(w->did, "level info");
    assert_non_null(strstr(ask(w, "{\"do\":\"brake\",\"why\":\"all clear\"}\n"), "\"done\""));
    assert_non_null(strstr(w->did, w->by));
    assert_non_null(strstr(w->did, ": all clear"));
    assert_non_null(strstr(ask(w, "{\"do\":\"approve\",\"id\":\"r1\"}\n"), "\"done\""));
    assert_non_null(strstr(w->did, "approve r1 by "));
    assert_non_null(strstr(w->did, w->by)); /* the kernel's word */
    assert_non_null(strstr(ask(w, "{\"do\":\"decline\",\"id\":\"r2\",\"why\":\"not \\u00fcs\"}\n"),
                           "\"done\""));
    assert_non_null(strstr(w->did, "decline r2 by "));
    assert_non_null(strstr(w->did, ": not \xc3\xbcs"));
}

/* In pieces of a byte each, as it may come. */
static void in_pieces(void **state)
{
    static const char line[] = "{\"do\":\"status\"}\n";
    struct world *w = *state;
    int fd = call(w);
    struct err e;

    for (size_t i = 0; line[i] != '\0'; i++) {
        put(fd, line + i, 1);
        if (line[i] != '\n') {
            assert_non_null(loop_timer_start(w->l, 1, stop_loop, w));
            assert_int_equal(loop_run(w->l, &e), 0);
        }
    }
    assert_string_equal(hear(w, fd), "{\"type\":\"status\",\"queue\":3}\n");
}

static void says_no(void **state)
{
    static const struct {
        const char *line, *word;
    } rows[] = {
        {"\n", "invalid"},
        {"garbage\n", "invalid"},
        {"\x16\x03\x01\x02\n", "invalid"},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "invalid"},
        {"[]\n", "invalid"},
        {"{}\n", "invalid"},
        {"{\"do\":7}\n", "invalid"},
        {"{\"do\":\"dance\"}\n", "unsupported"},
        {"{\"do\":\"Status\"}\n", "unsupported"},
        {"{\"do\":\"status\",\"do\":\"approve\"}\n", "invalid"},
        {"{\"do\":\"status\",\"id\":\"r1\"}\n", "invalid"},
        {"{\"do\":\"status\"}{\"do\":\"status\"}\n", "invalid"},
        {"{\"do\":\"status\"}\n{\"do\":\"status\"}\n", "invalid"},
        {"{\"do\":\"approve\",\"id\":\"r1\",\"by\":\"root\"}\n", "invalid"},
        {"{\"do\":\"approve\",\"id\":[\"r1\"]}\n", "invalid"},
        {"{\"do\":\"approve\",\"id\":\"\"}\n", "invalid"},
        {"{\"do\":\"approve\",\"id\":\"r\\u202e1\"}\n", "invalid"},
        {"{\"do\":\"approve\",\"why\":\"x\"}\n", "invalid"},
        {"{\"do\":\"decline\",\"id\":\"r1\"}\n", "invalid"},
        {"{\"do\":\"decline\",\"id\":\"r1\",\"why\":\"a\\nb\"}\n", "invalid"},
        {"{\"do\":\"brake\"}\n", "invalid"},
        {"{\"do\":\"log-level\",\"level\":\"loud\"}\n", "usage"},
        {"{\"do\":\"approve\",\"id\":\"none\"}\n", "not-found"},
    };
    struct world *w = *state;
    char want[80];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)snprintf(want, sizeof(want), "{\"type\":\"error\",\"error\":\"%s\",\"why\":\"",
                       rows[i].word);
        (void)ask(w, rows[i].line);
        if (strncmp(w->got.s, want, strlen(want)) != 0)
            fail_msg("row %zu: %s", i, w->got.s);
        assert_string_equal(w->did, "");
        assert_ptr_equal(strchr(w->got.s, '\n'), w->got.s + w->got.len - 1);
    }
    /* What the service could not do: nothing of its half answer is seen. */
    w->fails = true;
    assert_string_equal(ask(w, "{\"do\":\"status\"}\n"),
                        "{\"type\":\"error\",\"error\":\"io\","
                        "\"why\":\"the ledger \\\"is\\\" gone\"}\n");
    assert_non_null(strstr(ask(w, "{\"do\":\"approve\",\"id\":\"r1\"}\n"), "\"refused\""));
}

static void too_much(void **state)
{
    struct world *w = *state;
    char big[10000];
    int fd;

    memset(big, ' ', sizeof(big));
    fd = call(w);
    put(fd, big, sizeof(big)); /* no end of a line */
    assert_non_null(strstr(hear(w, fd), "\"too-big\""));

    /* A `why` of more than there may be, in a request that is small enough. */
    memset(big, 'y', sizeof(big));
    memcpy(big, "{\"do\":\"brake\",\"why\":\"", 21);
    memcpy(big + 600, "\"}\n", 4);
    assert_non_null(strstr(ask(w, big), "500 bytes"));

    /* An answer over the limit is told as such, not cut. */
    w->big = 5 * 1024 * 1024;
    assert_non_null(strstr(ask(w, "{\"do\":\"metrics\"}\n"), "\"too-big\""));
    w->big = 3 * 1024 * 1024; /* more than a socket holds: in many pieces */
    (void)ask(w, "{\"do\":\"metrics\"}\n");
    assert_true(w->got.len > w->big);
    assert_int_equal(w->got.s[w->got.len - 1], '\n');
    still_there(w);
}

static void gone_in_the_middle(void **state)
{
    struct world *w = *state;
    int fd = call(w);

    (void)close(fd); /* without a word */
    fd = call(w);
    put(fd, "{\"do\":\"appr", 11);
    (void)close(fd);
    fd = call(w);
    put(fd, "{\"do\":\"status\"}", 15); /* all but the end of the line: not asked */
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_string_equal(hear(w, fd), "");
    w->big = 3 * 1024 * 1024;
    fd = call(w);
    put(fd, "{\"do\":\"metrics\"}\n", 17);
    (void)close(fd); /* does not want to hear it */
    still_there(w);
    still_there(w);
}

static void too_slow(void **state)
{
    struct world *w = *state;
    int fd;

    deadline_ms = 1;
    fd = call(w);
    assert_string_equal(hear(w, fd), ""); /* never said a word */
    fd = call(w);
    put(fd, "{\"do\":", 6);
    assert_string_equal(hear(w, fd), "");

    /* One that asks for much and does not read: the end of it is never sent. */
    deadline_ms = 5;
    w->big = 3 * 1024 * 1024;
    fd = call(w);
    put(fd, "{\"do\":\"metrics\"}\n", 17);
    assert_non_null(loop_timer_start(w->l, 50, stop_loop, w));
    assert_int_equal(loop_run(w->l, &(struct err){0}), 0);
    deadline_ms = 5000;
    (void)hear(w, fd);
    assert_true(w->got.len < w->big);
    still_there(w);
}

static void many(void **state)
{
    struct world *w = *state;
    int fds[20];

    for (size_t i = 0; i < 16; i++) {
        fds[i] = call(w);
        put(fds[i], "{", 1);
    }
    for (size_t i = 16; i < 20; i++) {
        fds[i] = call(w);
        put(fds[i], "{\"do\":\"status\"}\n", 16);
    }
    for (size_t i = 16; i < 20; i++)
        assert_non_null(strstr(hear(w, fds[i]), "\"busy\""));
    /* The first are served all the same, and make room. */
    for (size_t i = 0; i < 8; i++) {
        put(fds[i], "\"do\":\"status\"}\n", 15);
        assert_string_equal(hear(w, fds[i]), "{\"type\":\"status\",\"queue\":3}\n");
    }
    still_there(w);
    for (size_t i = 8; i < 16; i++)
        (void)close(fds[i]);
    still_there(w);
}

static void strangers(void **state)
{
    struct world *w = *state;

    pretend = true;
    pretend_uid = geteuid() + 12345;
    assert_non_null(strstr(ask(w, "{\"do\":\"approve\",\"id\":\"r1\"}\n"), "\"denied\""));
    assert_string_equal(w->did, "");
    pretend_uid = 0;
    assert_non_null(strstr(ask(w, "{\"do\":\"approve\",\"id\":\"r1\"}\n"), "\"done\""));
    assert_non_null(strstr(w->did, my_login() < 0 ? "by root (uid 0)" : w->by));
}

static void put_with(int fd, const char *line, const int *fds, size_t n)
{
    char room[CMSG_SPACE(8 * sizeof(int))] __attribute__((aligned(8))) = {0};
    struct iovec iov = {.iov_base = (char *)line, .iov_len = strlen(line)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = room,
                       .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), (ssize_t)strlen(line));
}

static size_t open_fds(void)
{
    size_t n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* A login that is not the caller's own, or not the kernel's word, is nobody's. */
static void passed_logins(void **state)
{
    struct world *w = *state;
    const char *line = "{\"do\":\"approve\",\"id\":\"r1\"}\n";
    char forged[64];
    size_t before;
    FILE *f;
    int fds[8], fd;

    (void)snprintf(forged, sizeof(forged), "%s/loginuid", w->folder);
    f = fopen(forged, "we");
    assert_non_null(f);
    (void)fputs("4711", f);
    (void)fclose(f);
    for (size_t i = 0; i < 8; i++)
        fds[i] = i % 3 == 0   ? open(forged, O_RDONLY)
                 : i % 3 == 1 ? open("/proc/1/loginuid", O_RDONLY)
                              : open("/proc/self/loginuid", O_RDONLY);
    before = open_fds();
    for (size_t n = 1; n <= 8; n++) {
        w->did[0] = '\0';
        fd = call(w);
        put_with(fd, line, fds + (n == 2), n > 7 ? 7 : n);
        assert_non_null(strstr(hear(w, fd), "\"done\""));
        assert_non_null(strstr(w->did, w->by));
        assert_null(strstr(w->did, "4711"));
    }
    assert_int_equal(open_fds(), before);
    for (size_t i = 0; i < 8; i++)
        (void)close(fds[i]);
    (void)unlink(forged);
}

/* The decision goes its way without its caller, and without the socket. */
static void decision_outlives(void **state)
{
    struct world *w = *state;
    struct err e;
    int fd;

    w->hold = true;
    deadline_ms = 1;
    fd = call(w);
    put(fd, "{\"do\":\"approve\",\"id\":\"r1\"}\n", 27);
    assert_string_equal(hear(w, fd), ""); /* past its deadline: no word of how it went */
    assert_non_null(strstr(w->did, "approve r1"));
    w->done(w->done_arg, NULL);
    deadline_ms = 5000;
    still_there(w);

    w->stop_then = true;
    fd = call(w);
    put(fd, "{\"do\":\"approve\",\"id\":\"r2\"}\n", 27);
    assert_int_equal(loop_run(w->l, &e), 0); /* until it is asked */
    assert_non_null(strstr(w->did, "approve r2"));
    control_close(&w->c);
    w->done(w->done_arg, NULL);
    (void)close(fd);
}

/* --- the name -------------------------------------------------------------------------------- */

static void one_at_a_time(void **state)
{
    struct world *w = *state;
    struct control *other = NULL;
    char lock[80], longer[200];
    struct stat st;
    struct err e;
    int fd;

    assert_int_equal(lstat(w->path, &st), 0);
    assert_int_equal(st.st_mode, S_IFSOCK | 0600);
    assert_int_equal(control_open(w->l, w->path, &ops, w, &other, &e), -1);
    assert_int_equal(e.code, ERR_BUSY);
    still_there(w);

    /* Live, and without a lock: somebody else's. It is left alone. */
    (void)snprintf(lock, sizeof(lock), "%s.lock", w->path);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(control_open(w->l, w->path, &ops, w, &other, &e), -1);
    assert_int_equal(e.code, ERR_BUSY);
    still_there(w);

    /* Dead: replaced. */
    control_close(&w->c);
    assert_int_equal(lstat(w->path, &st), -1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    {
        struct sockaddr_un at = {.sun_family = AF_UNIX};

        (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", w->path);
        assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    }
    (void)close(fd);
    assert_int_equal(control_open(w->l, w->path, &ops, w, &w->c, &e), 0);
    still_there(w);

    /* Not the one that we made: not ours to remove. */
    assert_int_equal(unlink(w->path), 0);
    fd = open(w->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    control_close(&w->c);
    assert_int_equal(access(w->path, F_OK), 0);

    /* A file, and paths that cannot be one. */
    assert_int_equal(control_open(w->l, w->path, &ops, w, &other, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_int_equal(unlink(w->path), 0);
    assert_int_equal(control_open(w->l, "control", &ops, w, &other, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_int_equal(control_open(w->l, "/tmp/cordon-control", &ops, w, &other, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG); /* everybody's folder */
    memset(longer, 'x', sizeof(longer));
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(control_open(w->l, longer, &ops, w, &other, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_null(other);
}

/* --- the client ------------------------------------------------------------------------------ */

struct asking {
    struct world *w;
    const char *line;
    struct text got;
    int rc;
    struct err e;
};

static int each(void *arg, const char *answer)
{
    struct asking *a = arg;

    text_add(&a->got, answer);
    text_addc(&a->got, '|');
    return 0;
}

static void ask_work(void *arg)
{
    struct asking *a = arg;

    a->rc = control_ask(a->w->path, a->line, each, a, &a->e);
}

static void ask_done(void *arg, bool canceled)
{
    assert_false(canceled);
    loop_stop(((struct asking *)arg)->w->l);
}

static struct asking client(struct world *w, const char *line)
{
    struct asking a = {.w = w, .line = line, .got = TEXT_INIT(8 * 1024 * 1024)};

    assert_int_equal(loop_job_start(w->l, ask_work, ask_done, &a, &a.e), 0);
    assert_int_equal(loop_run(w->l, &a.e), 0);
    return a;
}

struct fake {
    struct world *w;
    int listening;
    const char *says;
    size_t n;
};

static void fake_caller(void *arg, int events)
{
    struct fake *f = arg;
    int fd = accept4(f->listening, NULL, NULL, SOCK_CLOEXEC);

    (void)events;
    assert_true(fd >= 0);
    if (f->n > 0)
        put(fd, f->says, f->n);
    (void)close(fd);
}

static void asks(void **state)
{
    static const struct {
        const char *says;
        size_t n;
        enum err_code code; /* OK: comes whole */
        const char *got;
    } rows[] = {
        {"", 0, ERR_UNPROVEN, ""},
        {"{\"type\":\"do", 11, ERR_UNPROVEN, ""},
        {"{}\n{\"type\":\"do", 14, ERR_UNPROVEN, ""},
        {"{}\0{}\n", 6, ERR_INVALID, ""},
        {"{}\n[]\n", 6, ERR_OK, "{}|[]|"},
    };
    struct world *w = *state;
    struct asking a;

    a = client(w, "{\"do\":\"status\"}");
    assert_int_equal(a.rc, 0);
    assert_string_equal(a.got.s, "{\"type\":\"status\",\"queue\":3}|");
    text_done(&a.got);
    w->big = 3 * 1024 * 1024;
    a = client(w, "{\"do\":\"metrics\"}");
    assert_int_equal(a.rc, 0);
    assert_true(a.got.len > w->big);
    text_done(&a.got);
    pretend = true;
    pretend_uid = geteuid() + 1;
    a = client(w, "{\"do\":\"status\"}");
    assert_int_equal(a.rc, 0);
    assert_non_null(strstr(a.got.s, "\"denied\""));
    text_done(&a.got);

    control_close(&w->c);
    a = client(w, "{\"do\":\"status\"}");
    assert_int_equal(a.rc, -1);
    assert_int_equal(a.e.code, ERR_NOTFOUND);

    /* Services that break off. */
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fake f = {w, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rows[i].says,
                         rows[i].n};
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        struct loop_watch *watch;

        (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", w->path);
        assert_int_equal(bind(f.listening, (struct sockaddr *)&at, sizeof(at)), 0);
        assert_int_equal(listen(f.listening, 1), 0);
        watch = loop_watch_start(w->l, f.listening, LOOP_READ, fake_caller, &f);
        assert_non_null(watch);
        a = client(w, "{\"do\":\"status\"}");
        assert_int_equal(a.rc, rows[i].code == ERR_OK ? 0 : -1);
        assert_true(a.rc == 0 || a.e.code == rows[i].code);
        assert_string_equal(a.got.s, rows[i].got);
        text_done(&a.got);
        loop_watch_stop(&watch);
        (void)close(f.listening);
        a = client(w, "{\"do\":\"status\"}"); /* nobody listens there any more */
        assert_int_equal(a.e.code, ERR_NOTFOUND);
        assert_int_equal(unlink(w->path), 0);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(answers),  CASE(in_pieces),         CASE(says_no),
        CASE(too_much), CASE(too_slow),          CASE(gone_in_the_middle),
        CASE(many),     CASE(strangers),         CASE(passed_logins),
        CASE(asks),     CASE(decision_outlives), CASE(one_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
