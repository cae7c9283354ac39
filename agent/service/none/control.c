/* agent/service/none/control.c -- until agent/service/control.c is there: a socket without checks
 * of who asks would be none, so this one is for tests of this branch: one line in, lines out. */
#include "agent/service/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

struct control {
    struct loop_watch *watch;
    const struct control_ops *ops;
    void *arg;
    int fd;
    char path[108];
};

struct answer {
    int fd;
};

static void say(int fd, const char *s)
{
    (void)!write(fd, s, strlen(s));
    (void)!write(fd, "\n", 1);
    (void)close(fd);
}

static void on_done(void *arg, const struct err *e)
{
    struct answer *a = arg;

    say(a->fd, e != NULL ? e->msg : "ok");
    free(a);
}

static void decide(struct control *c, const struct cJSON *j, const struct ucred *who, int fd)
{
    struct answer *a = calloc(1, sizeof(*a));
    const char *as = json_str(j, "as");
    char by[256];
    struct err e;

    (void)snprintf(by, sizeof(by), "%.200s (uid %u)", as != NULL ? as : "approver", who->uid);
    if (a == NULL) {
        say(fd, "out of memory");
        return;
    }
    a->fd = fd;
    if (c->ops->decide(c->arg, json_str(j, "id"), strcmp(json_str(j, "do"), "approve") == 0, by,
                       json_str(j, "why"), on_done, a, &e) < 0)
        on_done(a, &e);
}

static void answer(struct control *c, const struct cJSON *j, const struct ucred *who, int fd)
{
    const char *what = json_str(j, "do");
    struct text t = TEXT_INIT(1024 * 1024);
    struct json_out o;
    struct err e = ERR_NONE;
    int rc = 0;

    if (what != NULL && (strcmp(what, "approve") == 0 || strcmp(what, "decline") == 0)) {
        decide(c, j, who, fd);
        text_done(&t);
        return;
    }
    json_out_init(&o, &t);
    if (what != NULL && strcmp(what, "status") == 0) {
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "status");
        rc = c->ops->status(c->arg, &o, &e);
        json_out_end_object(&o);
    } else if (what != NULL && strcmp(what, "pending") == 0) {
        json_out_array(&o, NULL);
        rc = c->ops->pending(c->arg, &o, &e);
        json_out_end_array(&o);
    } else if (what != NULL && strcmp(what, "metrics") == 0) {
        rc = c->ops->metrics(c->arg, &t, &e);
    } else {
        rc = err_set(&e, ERR_USAGE, 0, "do what?");
    }
    say(fd, rc < 0 ? e.msg : t.s);
    text_done(&t);
}

static void on_client(void *arg, int events)
{
    struct control *c = arg;
    int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
    socklen_t len = sizeof(struct ucred);
    struct cJSON *j = NULL;
    struct ucred who;
    char line[8192];
    struct err e;
    ssize_t n;

    (void)events;
    if (fd < 0)
        return;
    n = read(fd, line, sizeof(line));
    if (n <= 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
        json_parse(line, (size_t)n, NULL, &j, &e) < 0)
        say(fd, "no request");
    else
        answer(c, j, &who, fd);
    json_free(j);
}

int control_open(struct loop *l, const char *path, const struct control_ops *ops, void *arg,
                 struct control **ret_control, struct err *e)
{
    struct control *c = calloc(1, sizeof(*c));
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    if (c == NULL || strlen(path) >= sizeof(sa.sun_path)) {
        free(c);
        return err_set(e, ERR_CONFIG, 0, "[service] socket");
    }
    memcpy(sa.sun_path, path, strlen(path) + 1);
    memcpy(c->path, path, strlen(path) + 1);
    c->ops = ops;
    c->arg = arg;
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)unlink(path);
    if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(c->fd, 8) < 0) {
        free(c);
        return err_set(e, ERR_CONFIG, 0, "[service] socket '%s'", path);
    }
    c->watch = loop_watch_start(l, c->fd, LOOP_READ, on_client, c);
    *ret_control = c;
    return 0;
}

void control_close(struct control **control)
{
    struct control *c = TAKE(*control);

    if (c == NULL)
        return;
    loop_watch_stop(&c->watch);
    (void)close(c->fd);
    (void)unlink(c->path);
    free(c);
}
