/* agent/service/control.c -- the service's end of the control socket; see control.h.
 *
 *   control_open    the socket has its name (control_socket.c)
 *   on_caller       accept; who is it? No more than CALLERS at a time
 *   on_input        until the end of the line, or too much of it
 *   take_request    strict JSON, a verb with its members and no other, then what the service offers
 *   on_decided      the decision is on disk, or was refused
 *   on_output       the answer goes out as fast as it is read
 *   drop            the one way out
 *
 * Invariants: one request, one answer of one line. A caller costs one descriptor, REQUEST_MAX in
 * and ANSWER_MAX out, for DEADLINE_MS at most, whatever it does. A decision that is under way when
 * its caller goes is carried through; `on_decided` then finds nobody to tell. All on the loop.
 */
#include "agent/service/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/service/control_inside.h"
#include "agent/service/control_who.h"
#include "base/cleanup.h"
#include "base/log.h"

#define CALLERS 16
#define DEADLINE_MS 5000
#define PAUSE_MS 500 /* where the process has no descriptor left */
#define NAME_MAX_LEN 64

struct caller {
    struct control *c; /* borrowed; NULL: closed, only a decision is waited for */
    struct caller *next;
    int fd;
    struct loop_watch *watch;
    struct loop_timer *deadline;
    int login; /* what it passed; -1 */
    struct control_who who;
    char by[NAME_MAX_LEN]; /* while `naming` the job's */
    struct text in, out;
    size_t sent;
    bool naming, deciding; /* not freed until that is over */
};

struct control {
    struct loop *l; /* borrowed */
    struct control_socket s;
    struct control_ops ops;
    void *arg;
    struct loop_watch *watch;
    struct loop_timer *pause;
    uid_t own;
    struct caller *callers;
    size_t count;
};

static void on_caller(void *arg, int events);
static void on_input(void *arg, int events);
static void take_request(struct caller *k, const char *line, size_t n);
static void on_decided(void *arg, const struct err *e);
static void on_output(void *arg, int events);
static void drop(struct caller *k);

/* --- the answer ------------------------------------------------------------------------------ */

static void begin_answer(struct caller *k, struct json_out *o, const char *type)
{
    text_clear(&k->out);
    json_out_init(o, &k->out);
    json_out_object(o, NULL);
    json_out_str(o, "type", type);
}

static void say_error(struct caller *k, const struct err *e)
{
    struct json_out o;

    begin_answer(k, &o, "error");
    json_out_str(&o, "error", err_word(e->code));
    json_out_str(&o, "why", e->msg);
    json_out_end_object(&o);
}

/* The answer is whole in `out`, but for its last byte: on its way with it. May free k. */
static void send_answer(struct caller *k)
{
    struct err e;

    text_addc(&k->out, '\n');
    if (text_check(&k->out, "answer", &e) < 0) {
        say_error(k, &e);
        text_addc(&k->out, '\n');
    }
    loop_watch_stop(&k->watch);
    k->watch = loop_watch_start(k->c->l, k->fd, LOOP_WRITE, on_output, k);
    if (k->watch == NULL)
        drop(k);
}

static void refuse(struct caller *k, const struct err *e)
{
    say_error(k, e);
    send_answer(k);
}

static void on_output(void *arg, int events)
{
    struct caller *k = arg;
    ssize_t n;

    (void)events;
    n = send(k->fd, k->out.s + k->sent, k->out.len - k->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        drop(k);
        return;
    }
    k->sent += (size_t)n;
    if (k->sent == k->out.len)
        drop(k);
}

/* --- callers --------------------------------------------------------------------------------- */

static void free_caller(struct caller *k)
{
    text_done(&k->in);
    text_done(&k->out);
    if (k->login >= 0)
        (void)close(k->login);
    free(k);
}

static void drop(struct caller *k)
{
    struct caller **at = &k->c->callers;

    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    k->c->count--;
    loop_watch_stop(&k->watch);
    loop_timer_stop(&k->deadline);
    (void)close(k->fd);
    k->c = NULL;
    if (!k->naming && !k->deciding)
        free_caller(k);
}

static void on_deadline(void *arg)
{
    struct caller *k = arg;

    k->deadline = NULL;
    drop(k);
}

/* Told if it fits into the socket's own buffer, which at that moment is empty. */
static void turn_away(int fd, const struct err *e)
{
    struct caller k = {.out = TEXT_INIT(4096)};

    say_error(&k, e);
    text_addc(&k.out, '\n');
    (void)send(fd, k.out.s, k.out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    text_done(&k.out);
}

static int add_caller(struct control *c, int fd, const struct control_who *who, struct err *e)
{
    struct caller *k;

    if (c->count >= CALLERS)
        return err_set(e, ERR_BUSY, 0, "%d others ask at this moment", CALLERS);
    k = calloc(1, sizeof(*k));
    if (k == NULL)
        return err_set(e, ERR_NOMEM, 0, "control");
    *k = (struct caller){
        .c = c,
        .fd = fd,
        .who = *who,
        .login = -1,
        .in = TEXT_INIT(CONTROL_REQUEST_MAX),
        .out = TEXT_INIT(CONTROL_ANSWER_MAX),
    };
    k->deadline = loop_timer_start(c->l, DEADLINE_MS, on_deadline, k);
    k->watch = loop_watch_start(c->l, fd, LOOP_READ, on_input, k);
    if (k->watch == NULL || k->deadline == NULL) {
        loop_watch_stop(&k->watch);
        loop_timer_stop(&k->deadline);
        free_caller(k);
        return err_set(e, ERR_NOMEM, 0, "control");
    }
    k->next = c->callers;
    c->callers = k;
    c->count++;
    return 0;
}

static void on_pause_over(void *arg)
{
    struct control *c = arg;

    c->pause = NULL;
    c->watch = loop_watch_start(c->l, c->s.fd, LOOP_READ, on_caller, c);
    if (c->watch == NULL)
        c->pause = loop_timer_start(c->l, PAUSE_MS, on_pause_over, c);
}

static void on_caller(void *arg, int events)
{
    struct control *c = arg;
    struct control_who who;
    struct err e;
    int fd;

    (void)events;
    fd = accept4(c->s.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        /* Out of descriptors: the socket stays readable, so that the loop would spin on it. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            loop_watch_stop(&c->watch);
            c->pause = loop_timer_start(c->l, PAUSE_MS, on_pause_over, c);
            log_warning("control socket: %s; nobody is answered for %d ms", strerror(errno),
                        PAUSE_MS);
        }
        return;
    }
    if (control_who(fd, c->own, &who, &e) < 0)
        log_warning("control socket: refused: %s", e.msg);
    else if (add_caller(c, fd, &who, &e) == 0)
        return;
    turn_away(fd, &e);
    (void)close(fd);
}

/* The first descriptor that it passes is its login; of more there is no need. */
static ssize_t receive(struct caller *k, char *buf, size_t size)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(4 * sizeof(int))];
    } with;
    struct iovec iov = {.iov_base = buf, .iov_len = size};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = with.room,
                       .msg_controllen = sizeof(with.room)};
    ssize_t n = recvmsg(k->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n < 0)
        return n;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= c->cmsg_len; at += sizeof(int)) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
            if (k->login < 0)
                k->login = fd;
            else
                (void)close(fd);
        }
    }
    return n;
}

static void find_name(void *arg)
{
    struct caller *k = arg;

    control_who_name(&k->who, k->by, sizeof(k->by));
}

static void on_named(void *arg, bool canceled)
{
    struct caller *k = arg;

    k->naming = false;
    if (k->c == NULL) /* it went meanwhile, or the service ends */
        free_caller(k);
    else if (canceled)
        drop(k);
    else
        take_request(k, k->in.s, k->in.len - 1);
}

/* Its request is whole: who is it? */
static void name(struct caller *k)
{
    struct err e;

    control_who_login(&k->who, k->login);
    /* A job only where it must be: the pool may be busy with a KDC that hangs. */
    if (control_who_local(&k->who, k->by, sizeof(k->by))) {
        take_request(k, k->in.s, k->in.len - 1);
    } else if (loop_job_start(k->c->l, find_name, on_named, k, &e) == 0) {
        k->naming = true;
    } else {
        refuse(k, &e);
    }
}

static void on_input(void *arg, int events)
{
    struct caller *k = arg;
    char buf[4096];
    const char *end;
    struct err e;
    ssize_t n;

    (void)events;
    /* To the end, but for one byte too many: of a broken connection the loop tells only once. */
    while ((n = receive(k, buf, sizeof(buf))) > 0 && !k->in.failed)
        text_addn(&k->in, buf, (size_t)n);
    end = memchr(k->in.s, '\n', k->in.len);
    if (!k->in.failed && end == NULL && n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (!k->in.failed && end == NULL) { /* gone before it had asked */
        drop(k);
        return;
    }
    if (k->in.failed) {
        (void)err_set(&e, ERR_TOOBIG, 0, "a request of more than %d bytes", CONTROL_REQUEST_MAX);
        refuse(k, &e);
        return;
    }
    if (end != k->in.s + k->in.len - 1) {
        (void)err_set(&e, ERR_INVALID, 0, "more than one request");
        refuse(k, &e);
    } else {
        loop_watch_stop(&k->watch); /* what it says from here on is not read */
        name(k);
    }
}

/* --- requests -------------------------------------------------------------------------------- */

struct asked {
    const char *id, *why, *level;
};

static int not_offered(struct err *e)
{
    return err_set(e, ERR_UNSUPPORTED, 0, "this service does not do that");
}

static int do_status(struct caller *k, const struct asked *a, struct err *e)
{
    const struct control *c = k->c;
    struct json_out o;

    (void)a;
    if (c->ops.status == NULL)
        return not_offered(e);
    begin_answer(k, &o, "status");
    if (c->ops.status(c->arg, &o, e) < 0)
        return -1;
    json_out_end_object(&o);
    return 0;
}

static int do_pending(struct caller *k, const struct asked *a, struct err *e)
{
    const struct control *c = k->c;
    struct json_out o;

    (void)a;
    if (c->ops.pending == NULL)
        return not_offered(e);
    begin_answer(k, &o, "pending");
    json_out_array(&o, "pending");
    if (c->ops.pending(c->arg, &o, e) < 0)
        return -1;
    json_out_end_array(&o);
    json_out_end_object(&o);
    return 0;
}

static int do_metrics(struct caller *k, const struct asked *a, struct err *e)
{
    CLEANUP(text_done) struct text body = TEXT_INIT(CONTROL_ANSWER_MAX);
    const struct control *c = k->c;
    struct json_out o;

    (void)a;
    if (c->ops.metrics == NULL)
        return not_offered(e);
    if (c->ops.metrics(c->arg, &body, e) < 0 || text_check(&body, "metrics", e) < 0)
        return -1;
    begin_answer(k, &o, "metrics");
    json_out_str(&o, "text", body.s);
    json_out_end_object(&o);
    return 0;
}

static void say_done(struct caller *k)
{
    struct json_out o;

    begin_answer(k, &o, "done");
    json_out_str(&o, "by", k->by);
    json_out_end_object(&o);
}

static int do_log_level(struct caller *k, const struct asked *a, struct err *e)
{
    const struct control *c = k->c;
    enum log_level level;

    if (c->ops.log_level == NULL)
        return not_offered(e);
    if (!log_level_parse(a->level, &level))
        return err_set(e, ERR_USAGE, 0, "a level is error, warning, info or debug");
    if (c->ops.log_level(c->arg, a->level, e) < 0)
        return -1;
    log_info("log level %s, set by %s", a->level, k->by);
    say_done(k);
    return 0;
}

static int do_brake(struct caller *k, const struct asked *a, struct err *e)
{
    const struct control *c = k->c;

    if (c->ops.brake_release == NULL)
        return not_offered(e);
    if (c->ops.brake_release(c->arg, k->by, a->why, e) < 0)
        return -1;
    say_done(k);
    return 0;
}

static int decide(struct caller *k, const struct asked *a, bool approve, struct err *e)
{
    const struct control *c = k->c;

    if (c->ops.decide == NULL)
        return not_offered(e);
    k->deciding = true;
    if (c->ops.decide(c->arg, a->id, approve, k->by, a->why, on_decided, k, e) < 0) {
        k->deciding = false;
        return -1;
    }
    return 0;
}

static int do_approve(struct caller *k, const struct asked *a, struct err *e)
{
    return decide(k, a, /* approve */ true, e);
}

static int do_decline(struct caller *k, const struct asked *a, struct err *e)
{
    return decide(k, a, /* approve */ false, e);
}

static void on_decided(void *arg, const struct err *e)
{
    struct caller *k = arg;

    k->deciding = false;
    if (k->c == NULL) { /* the caller went meanwhile, or the service ends */
        free_caller(k);
        return;
    }
    if (e != NULL) {
        refuse(k, e);
        return;
    }
    say_done(k);
    send_answer(k);
}

enum { MAY = 1, MUST = 2 };
static const struct verb {
    const char *name;
    int (*run)(struct caller *k, const struct asked *a, struct err *e);
    int id, why, level; /* which members it takes */
} verbs[] = {
    {"status", do_status, 0, 0, 0},          {"pending", do_pending, 0, 0, 0},
    {"approve", do_approve, MUST, MAY, 0},   {"decline", do_decline, MUST, MUST, 0},
    {"brake", do_brake, 0, MUST, 0},         {"metrics", do_metrics, 0, 0, 0},
    {"log-level", do_log_level, 0, 0, MUST},
};

/* One member: text of a bounded length, not empty, nothing hidden in it. */
static int take_member(const struct cJSON *m, int takes, const char **ret, struct err *e)
{
    const char *s = json_value_str(m);
    size_t n = s != NULL ? strlen(s) : 0;
    uint32_t c;

    if (takes == 0)
        return err_set(e, ERR_INVALID, 0, "'%s' does not belong here", json_name(m));
    if (n == 0 || n > CONTROL_TEXT_MAX)
        return err_set(e, ERR_INVALID, 0, "'%s': a text of 1 to %d bytes", json_name(m),
                       CONTROL_TEXT_MAX);
    for (size_t i = 0; i < n;) {
        size_t step = text_utf8_next(s + i, n - i, &c);

        if (step == 0 || text_is_hidden(c))
            return err_set(e, ERR_INVALID, 0, "'%s': has characters that cannot be seen",
                           json_name(m));
        i += step;
    }
    *ret = s;
    return 0;
}

static int read_members(const struct cJSON *j, const struct verb *v, struct asked *a, struct err *e)
{
    char shown[TEXT_SHOWN];

    for (const struct cJSON *m = json_first(j); m != NULL; m = json_next(m)) {
        const char *name = json_name(m);
        int rc = 0;

        if (strcmp(name, "id") == 0)
            rc = take_member(m, v->id, &a->id, e);
        else if (strcmp(name, "why") == 0)
            rc = take_member(m, v->why, &a->why, e);
        else if (strcmp(name, "level") == 0)
            rc = take_member(m, v->level, &a->level, e);
        else if (strcmp(name, "do") != 0)
            rc = err_set(e, ERR_INVALID, 0, "'%s': no such member", text_shown(shown, name));
        if (rc < 0)
            return -1;
    }
    if ((v->id == MUST && a->id == NULL) || (v->level == MUST && a->level == NULL))
        return err_set(e, ERR_INVALID, 0, "%s: '%s' is missing", v->name,
                       v->id == MUST ? "id" : "level");
    if (v->why == MUST && a->why == NULL)
        return err_set(e, ERR_INVALID, 0, "%s: why?", v->name);
    return 0;
}

static int carry_out(struct caller *k, const struct cJSON *j, struct err *e)
{
    const char *name = json_str(j, "do");
    const struct verb *v = NULL;
    struct asked a = {0};
    char shown[TEXT_SHOWN];

    if (name == NULL)
        return err_set(e, ERR_INVALID, 0, "no request: a member 'do' is needed");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            v = &verbs[i];
    }
    if (v == NULL)
        return err_set(e, ERR_UNSUPPORTED, 0, "'%s': no such request", text_shown(shown, name));
    if (read_members(j, v, &a, e) < 0)
        return -1;
    return v->run(k, &a, e);
}

static void take_request(struct caller *k, const char *line, size_t n)
{
    static const struct json_limits lim = {.bytes = CONTROL_REQUEST_MAX, .depth = 2, .members = 8};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct err e;

    if (json_parse(line, n, &lim, &j, &e) < 0) {
        (void)err_wrap(&e, "request");
        refuse(k, &e);
    } else if (carry_out(k, j, &e) < 0) {
        refuse(k, &e);
    } else if (!k->deciding) {
        send_answer(k);
    }
}

/* --- open and close -------------------------------------------------------------------------- */

int control_open(struct loop *l, const char *path, const struct control_ops *ops, void *arg,
                 struct control **ret_control, struct err *e)
{
    CLEANUP(control_close) struct control *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return err_set(e, ERR_NOMEM, 0, "control");
    c->l = l;
    c->s = CONTROL_SOCKET_NONE;
    c->ops = *ops;
    c->arg = arg;
    c->own = geteuid();
    if (control_listen(path, &c->s, e) < 0)
        return -1;
    c->watch = loop_watch_start(l, c->s.fd, LOOP_READ, on_caller, c);
    if (c->watch == NULL)
        return err_set(e, ERR_NOMEM, 0, "control");
    *ret_control = TAKE(c);
    return 0;
}

void control_close(struct control **at)
{
    struct control *c = *at;

    if (c == NULL)
        return;
    *at = NULL;
    for (struct caller *k = c->callers, *next; k != NULL; k = next) {
        next = k->next;
        drop(k);
    }
    loop_watch_stop(&c->watch);
    loop_timer_stop(&c->pause);
    control_unlisten(&c->s);
    free(c);
}
