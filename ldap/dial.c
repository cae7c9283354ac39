/* ldap/dial.c -- see dial.h. */
#include "ldap/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE 16     /* attempts under way; the others wait for a place */
#define STAGGER_MS 250 /* RFC 8305 5: recommended */

int64_t ad_dial_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* One attempt begun: its descriptor, or -1 with *e. */
static int attempt(const struct addrinfo *ai, struct err *e)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return err_sys(e, ERR_UNSENT, errno, "socket");
    if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0 && errno != EINPROGRESS) {
        (void)err_sys(e, ERR_UNSENT, errno, "connect");
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* What has come of it, now that poll says that something has. */
static int outcome(int fd, struct err *e)
{
    int failed = 0;
    socklen_t len = sizeof(failed);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) < 0)
        failed = errno;
    return failed == 0 ? 0 : err_sys(e, ERR_UNSENT, failed, "connect");
}

/* A peer that vanishes is noticed; a request leaves at once. */
static void keep_alive(int fd)
{
    int one = 1, idle = 60, user_ms = 20000;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, sizeof(user_ms));
}

int ad_dial(const struct addrinfo *addresses, int64_t deadline_ms, int *ret_fd, struct err *e)
{
    struct pollfd fds[AT_ONCE];
    const struct addrinfo *next = addresses;
    int64_t now = ad_dial_now(), due = now, stagger = STAGGER_MS;
    int rc = err_set(e, ERR_UNSENT, 0, "no address"), count = 0, won = -1;
    nfds_t n = 0;

    /* Where time is short, all of them still get their turn. */
    for (const struct addrinfo *ai = addresses; ai != NULL; ai = ai->ai_next)
        count++;
    if (count > 0 && (deadline_ms - now) / count < stagger)
        stagger = (deadline_ms - now) / count;

    while (won < 0 && (next != NULL || n > 0)) {
        int64_t until = deadline_ms;

        now = ad_dial_now();
        if (now >= deadline_ms) {
            rc = err_set(e, ERR_UNSENT, ETIMEDOUT, "connect: no answer in time");
            break;
        }
        if (next != NULL && n < AT_ONCE && (n == 0 || now >= due)) {
            int fd = attempt(next, e);

            next = next->ai_next;
            if (fd < 0)
                continue; /* at once the next */
            fds[n++] = (struct pollfd){.fd = fd, .events = POLLOUT};
            due = now + stagger;
        }
        if (next != NULL && n < AT_ONCE && due < until)
            until = due;
        if (poll(fds, n, (int)(until - now)) < 0) {
            if (errno == EINTR)
                continue;
            rc = err_sys(e, ERR_UNSENT, errno, "poll");
            break;
        }
        for (nfds_t i = 0; i < n && won < 0;) {
            if (fds[i].revents == 0) {
                i++;
            } else if (outcome(fds[i].fd, e) == 0) {
                won = fds[i].fd;
                fds[i] = fds[--n];
            } else {
                (void)close(fds[i].fd);
                fds[i] = fds[--n];
                due = now; /* one has failed: the next need not wait */
            }
        }
    }
    while (n > 0)
        (void)close(fds[--n].fd);
    if (won < 0)
        return rc;
    keep_alive(won);
    *ret_fd = won;
    return 0;
}

int ad_dial_host(const char *host, unsigned port, uint64_t wait_ms, int *ret_fd, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *all = NULL;
    int64_t deadline = ad_dial_now() + (int64_t)wait_ms;
    char service[12];
    int rc;

    (void)snprintf(service, sizeof(service), "%u", port);
    rc = getaddrinfo(host, service, &hints, &all);
    if (rc != 0)
        return err_set(e, ERR_UNSENT, rc, "look up '%s': %s", host,
                       rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    rc = ad_dial(all, deadline, ret_fd, e);
    freeaddrinfo(all);
    return rc;
}
