/* agent/service/control_ask.c -- the client's end of the control socket: one line there, one back.
 *
 * Blocking, with one deadline for all of it, longer than the service's own: so that a service that
 * answers late has answered. Whatever went wrong after the line was sent is ERR_UNPROVEN: what was
 * asked for may have happened.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/service/control.h"
#include "agent/service/control_inside.h"
#include "base/cleanup.h"

#define PATIENCE_MS 7000

static int64_t clock_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* False: the deadline passed. */
static bool wait_for(int fd, short events, int64_t until)
{
    for (;;) {
        int64_t left = until - clock_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int n = left > 0 ? poll(&p, 1, (int)left) : 0;

        if (n > 0)
            return true;
        if (n == 0 || errno != EINTR)
            return false;
    }
}

static int connect_to(const char *path, int64_t until, int *ret_fd, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    char shown[TEXT_SHOWN];
    struct sockaddr_un at;

    if (control_address(path, &at, e) < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(e, ERR_IO, errno, "socket");
    (void)text_shown(shown, path);
    while (connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0) {
        switch (errno) {
        case ENOENT:
        case ENOTDIR:
        case ECONNREFUSED:
        case ENOTSOCK:
            return err_set(e, ERR_NOTFOUND, errno, "no service runs at '%s'", shown);
        case EACCES:
        case EPERM:
            return err_set(e, ERR_DENIED, errno,
                           "'%s': only root and the service's own user may ask", shown);
        case EAGAIN: /* the backlog is full; there is nothing to poll for */
            if (clock_ms() >= until)
                return err_set(e, ERR_BUSY, errno, "'%s': too many ask", shown);
            (void)poll(NULL, 0, 20);
            break;
        case EINTR:
            break;
        default:
            return err_sys(e, ERR_IO, errno, "'%s'", shown);
        }
    }
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* With our login, opened here, where it can be: see control_who_login. */
static ssize_t send_first(int fd, const char *line, size_t len)
{
    CLEANUP(cleanup_fdp) int login = open("/proc/self/loginuid", O_RDONLY | O_CLOEXEC);
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } with = {0};
    struct iovec iov = {.iov_base = (char *)line, .iov_len = len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

    if (login >= 0) {
        m.msg_control = with.room;
        m.msg_controllen = sizeof(with.room);
        with.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&with.head), &login, sizeof(login));
    }
    return sendmsg(fd, &m, MSG_NOSIGNAL);
}

/* A service that turns us away answers without reading all: then its answer is what counts. */
static int send_line(int fd, const char *line, int64_t until, struct err *e)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(CONTROL_REQUEST_MAX);
    size_t sent = 0;

    text_add(&t, line);
    text_addc(&t, '\n');
    if (text_check(&t, "request", e) < 0)
        return -1;
    while (sent < t.len) {
        ssize_t n = sent == 0 ? send_first(fd, t.s, t.len)
                              : send(fd, t.s + sent, t.len - sent, MSG_NOSIGNAL);

        if (n > 0)
            sent += (size_t)n;
        else if (errno == EPIPE || errno == ECONNRESET)
            return 0;
        else if (errno == EAGAIN && !wait_for(fd, POLLOUT, until))
            return err_set(e, ERR_UNSENT, 0, "the service takes no request");
        else if (errno != EAGAIN && errno != EINTR)
            return err_sys(e, ERR_UNSENT, errno, "send");
    }
    return 0;
}

static int read_answer(int fd, int64_t until, struct text *t, struct err *e)
{
    char buf[16384];

    for (;;) {
        ssize_t n = recv(fd, buf, sizeof(buf), 0);

        if (n > 0) {
            text_addn(t, buf, (size_t)n);
            if (t->failed)
                return err_set(e, ERR_TOOBIG, 0, "an answer of more than %d bytes",
                               CONTROL_ANSWER_MAX);
        } else if (n == 0 || errno == ECONNRESET) {
            break;
        } else if (errno == EAGAIN && !wait_for(fd, POLLIN, until)) {
            return err_set(e, ERR_UNPROVEN, 0, "no answer from the service");
        } else if (errno != EAGAIN && errno != EINTR) {
            return err_sys(e, ERR_UNPROVEN, errno, "receive");
        }
    }
    if (t->len == 0 || t->s[t->len - 1] != '\n')
        return err_set(e, ERR_UNPROVEN, 0, "the service ended before it had answered");
    return 0;
}

int control_ask(const char *path, const char *line, int (*each)(void *arg, const char *answer),
                void *arg, struct err *e)
{
    CLEANUP(text_done) struct text answer = TEXT_INIT(CONTROL_ANSWER_MAX);
    CLEANUP(cleanup_fdp) int fd = -1;
    int64_t until = clock_ms() + PATIENCE_MS;
    char *end;

    if (connect_to(path, until, &fd, e) < 0 || send_line(fd, line, until, e) < 0 ||
        read_answer(fd, until, &answer, e) < 0)
        return -1;
    if (memchr(answer.s, '\0', answer.len) != NULL)
        return err_set(e, ERR_INVALID, 0, "the answer has a NUL");
    for (char *s = answer.s; *s != '\0'; s = end + 1) {
        end = strchr(s, '\n'); /* there is one: read_answer saw it */
        *end = '\0';
        if (each(arg, s) != 0)
            break;
    }
    return 0;
}
