/* agent/service/control_who.c -- see control_who.h. */
#include "agent/service/control_who.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { PASSWD_MAX = 16 * 1024 };

/* Is it that file of that process, and the kernel's? */
static bool is_login_of(pid_t pid, int fd)
{
    char link[64], at[512], want[64];
    struct statfs fs;
    ssize_t n;
    size_t len;

    if (fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
        return false;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, at, sizeof(at) - 1);
    if (n <= 0)
        return false;
    at[n] = '\0';
    len = (size_t)snprintf(want, sizeof(want), "/%ld/loginuid", (long)pid);
    return (size_t)n >= len && strcmp(at + (size_t)n - len, want) == 0;
}

static bool read_login(int fd, uid_t *ret_uid)
{
    char buf[32], *end;
    unsigned long uid;
    ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

    if (n <= 0)
        return false;
    buf[n] = '\0';
    errno = 0;
    uid = strtoul(buf, &end, 10);
    if (errno != 0 || end == buf || (*end != '\0' && *end != '\n') || uid >= UINT32_MAX)
        return false; /* 4294967295: it came by no login */
    *ret_uid = (uid_t)uid;
    return true;
}

int control_who(int fd, uid_t own, struct control_who *ret_who, struct err *e)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || len != sizeof(peer))
        return err_sys(e, ERR_DENIED, errno, "who asks");
    if (peer.uid != own && peer.uid != 0)
        return err_set(e, ERR_DENIED, 0,
                       "only root and the service's own user may ask, not uid %lu",
                       (unsigned long)peer.uid);
    *ret_who = (struct control_who){.uid = peer.uid, .pid = peer.pid};
    return 0;
}

void control_who_login(struct control_who *who, int fd)
{
    char path[64];
    int mine;

    if (fd >= 0 && is_login_of(who->pid, fd)) {
        who->login = read_login(fd, &who->login_uid);
        return;
    }
    (void)snprintf(path, sizeof(path), "/proc/%ld/loginuid", (long)who->pid);
    mine = open(path, O_RDONLY | O_CLOEXEC);
    if (mine < 0)
        return; /* gone by now, or not to be seen from here */
    who->login = read_login(mine, &who->login_uid);
    (void)close(mine);
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
