/* agent/service/control_who.c -- see control_who.h. */
#include "agent/service/control_who.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PASSWD_MAX = 16 * 1024 };

/* Who logged in is asked of the kernel, for everybody who may come here is root or the service's
 * user: only by this are two admins two people. A process that is gone by now has no login. */
static bool login_of(pid_t pid, uid_t *ret_uid)
{
    char path[64], buf[32], *end;
    unsigned long uid;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%ld/loginuid", (long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, buf, sizeof(buf) - 1);
    (void)close(fd);
    if (n <= 0)
        return false;
    buf[n] = '\0';
    errno = 0;
    uid = strtoul(buf, &end, 10);
    if (errno != 0 || end == buf || (*end != '\0' && *end != '\n') || uid >= UINT32_MAX)
        return false; /* 4294967295: came by no login */
    *ret_uid = (uid_t)uid;
    return true;
}

int control_who(int fd, uid_t own, struct control_who *ret_who, struct err *e)
{
    struct control_who who = {0};
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || len != sizeof(peer))
        return err_sys(e, ERR_DENIED, errno, "who asks");
    if (peer.uid != own && peer.uid != 0)
        return err_set(e, ERR_DENIED, 0,
                       "only root and the service's own user may ask, not uid %lu",
                       (unsigned long)peer.uid);
    who.uid = peer.uid;
    who.login = login_of(peer.pid, &who.login_uid);
    *ret_who = who;
    return 0;
}

static void say(const struct control_who *who, const char *name, char *buf, size_t size)
{
    uid_t uid = who->login ? who->login_uid : who->uid;

    if (name != NULL)
        (void)snprintf(buf, size, "%.32s (%suid %lu)", name, who->login ? "login " : "",
                       (unsigned long)uid);
    else /* still another name than the next one's */
        (void)snprintf(buf, size, "#%lu (%suid %lu)", (unsigned long)uid,
                       who->login ? "login " : "", (unsigned long)uid);
}

bool control_who_local(const struct control_who *who, char *buf, size_t size)
{
    uid_t uid = who->login ? who->login_uid : who->uid;
    FILE *f = fopen("/etc/passwd", "re");
    const struct passwd *pw;

    while (f != NULL && (pw = fgetpwent(f)) != NULL) {
        if (pw->pw_uid != uid)
            continue;
        say(who, pw->pw_name, buf, size);
        (void)fclose(f);
        return true;
    }
    if (f != NULL)
        (void)fclose(f);
    return false;
}

void control_who_name(const struct control_who *who, char *buf, size_t size)
{
    uid_t uid = who->login ? who->login_uid : who->uid;
    struct passwd pw, *found = NULL;
    char *room = malloc(PASSWD_MAX);

    if (room != NULL && getpwuid_r(uid, &pw, room, PASSWD_MAX, &found) != 0)
        found = NULL;
    say(who, found != NULL ? found->pw_name : NULL, buf, size);
    free(room);
}
