/* base/notify.c -- one datagram to the service manager; see notify.h. */
#include "base/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

/* The manager's queue may be full for a moment; the loop waits for it no longer than this. */
#define SEND_SECONDS 1

static int find_socket(const char *name, struct sockaddr_un *ret_to, socklen_t *ret_len,
                       struct err *e)
{
    char shown[TEXT_SHOWN];
    size_t n = strlen(name);

    if (name[0] != '/' && name[0] != '@')
        return err_set(e, ERR_UNSUPPORTED, 0, "NOTIFY_SOCKET '%s': neither a path nor '@'",
                       text_shown(shown, name));
    if (n < 2 || n >= sizeof(ret_to->sun_path))
        return err_set(e, ERR_INVALID, 0, "NOTIFY_SOCKET: %zu bytes", n);
    *ret_to = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_to->sun_path, name, n);
    if (name[0] == '@')
        ret_to->sun_path[0] = '\0';
    /* Of an abstract name every byte counts, so its length ends with the last one. */
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] == '/'));
    return 0;
}

int notify_send(const char *text, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    const char *name = getenv("NOTIFY_SOCKET");
    struct timeval patience = {.tv_sec = SEND_SECONDS};
    struct sockaddr_un to;
    socklen_t len;
    ssize_t sent;

    if (name == NULL || name[0] == '\0')
        return 0;
    if (find_socket(name, &to, &len, e) < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
        return err_sys(e, ERR_IO, errno, "notify");
    do
        sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to, len);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return err_sys(e, ERR_IO, errno, "notify the service manager");
    return 0;
}

uint64_t notify_watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    uint64_t us, who;

    if (usec == NULL || !text_to_u64(usec, 1, UINT64_MAX, &us))
        return 0;
    /* Set for a parent of ours, and inherited: then it is not us who must answer. */
    if (pid != NULL && (!text_to_u64(pid, 1, UINT64_MAX, &who) || who != (uint64_t)getpid()))
        return 0;
    return us / 2000 > 0 ? us / 2000 : 1;
}
