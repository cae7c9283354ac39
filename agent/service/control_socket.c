/* agent/service/control_socket.c -- the name of the control socket: one service has it at a time.
 *
 * A lock file beside it is held as long as we run; under it, what a dead process left is told from
 * what a live one listens at, and only the former is removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "agent/service/control_inside.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"

#define BACKLOG 32

int control_address(const char *path, struct sockaddr_un *ret, struct err *e)
{
    char shown[TEXT_SHOWN];

    if (path[0] != '/' || strlen(path) >= sizeof(ret->sun_path))
        return err_set(e, ERR_CONFIG, 0,
                       "control socket '%s': an absolute path of %zu bytes at most",
                       text_shown(shown, path), sizeof(ret->sun_path) - 1);
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path, path, strlen(path) + 1);
    return 0;
}

/* Held as long as we run, so that two that start at once cannot both take the other for dead. */
static int take_lock(struct control_socket *s, struct err *e)
{
    char path[sizeof(s->at.sun_path) + 8], shown[TEXT_SHOWN];

    (void)snprintf(path, sizeof(path), "%s.lock", s->at.sun_path);
    s->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (s->lock < 0)
        return err_sys(e, ERR_IO, errno, "'%s'", text_shown(shown, path));
    if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
        return err_sys(e, errno == EWOULDBLOCK ? ERR_BUSY : ERR_IO, errno,
                       "another service runs at '%s'", text_shown(shown, s->at.sun_path));
    return 0;
}

/* What is there is a socket that nobody listens at, and goes; or it is not for us to remove. */
static int clear_path(const struct control_socket *s, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    char shown[TEXT_SHOWN];
    struct stat st;

    (void)text_shown(shown, s->at.sun_path);
    if (lstat(s->at.sun_path, &st) < 0)
        return errno == ENOENT ? 0 : err_sys(e, ERR_IO, errno, "'%s'", shown);
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_CONFIG, 0, "'%s' is there, and is no socket", shown);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(e, ERR_IO, errno, "socket");
    /* Only ECONNREFUSED says that it is dead; EAGAIN is a full backlog, EACCES another's. */
    if (connect(fd, (const struct sockaddr *)&s->at, sizeof(s->at)) == 0 || errno != ECONNREFUSED)
        return err_set(e, ERR_BUSY, 0, "another service runs at '%s'", shown);
    if (unlink(s->at.sun_path) < 0)
        return err_sys(e, ERR_IO, errno, "remove '%s'", shown);
    return 0;
}

static int trust_folder(const char *path, struct err *e)
{
    CLEANUP(cleanup_fdp) int fd = -1;
    char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    char *slash;

    (void)snprintf(folder, sizeof(folder), "%s", path);
    slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder)
        return err_set(e, ERR_CONFIG, 0, "the control socket needs a folder: '%s'", path);
    *slash = '\0';
    return file_open_trusted_dir(folder, &fd, e);
}

int control_listen(const char *path, struct control_socket *s, struct err *e)
{
    char shown[TEXT_SHOWN];
    struct stat st;

    *s = CONTROL_SOCKET_NONE;
    if (control_address(path, &s->at, e) < 0)
        return -1;
    (void)text_shown(shown, path);
    if (trust_folder(s->at.sun_path, e) < 0 || take_lock(s, e) < 0 || clear_path(s, e) < 0)
        return -1;
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode is set before there is a name: bind keeps it, so nobody gets in between. */
    if (s->fd < 0 || fchmod(s->fd, 0600) < 0 ||
        bind(s->fd, (const struct sockaddr *)&s->at, sizeof(s->at)) < 0)
        return err_sys(e, ERR_IO, errno, "bind '%s'", shown);
    if (lstat(s->at.sun_path, &st) < 0)
        return err_sys(e, ERR_IO, errno, "'%s'", shown);
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    if ((st.st_mode & 0777) != 0600 || listen(s->fd, BACKLOG) < 0)
        return err_sys(e, ERR_IO, errno, "listen at '%s'", shown);
    return 0;
}

void control_unlisten(struct control_socket *s)
{
    struct stat st;

    if (s->ino != 0 && lstat(s->at.sun_path, &st) == 0 && st.st_dev == s->dev &&
        st.st_ino == s->ino)
        (void)unlink(s->at.sun_path);
    cleanup_fdp(&s->fd);
    cleanup_fdp(&s->lock); /* the file stays: to remove it would let two hold it */
    *s = CONTROL_SOCKET_NONE;
}
