/* agent/service/control_inside.h -- what both ends of the control socket go by. */
#ifndef CORDON_AGENT_SERVICE_CONTROL_INSIDE_H
#define CORDON_AGENT_SERVICE_CONTROL_INSIDE_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/err.h"

enum {
    CONTROL_REQUEST_MAX = 8 * 1024, /* with the end of the line */
    CONTROL_ANSWER_MAX = 4 * 1024 * 1024,
    CONTROL_TEXT_MAX = 500, /* of one member, as --reason */
};

/* ERR_CONFIG: not absolute, or too long for a socket. */
int control_address(const char *path, struct sockaddr_un *ret, struct err *e);

struct control_socket {
    struct sockaddr_un at;
    int fd, lock;
    dev_t dev; /* of the socket that we made: only that one is removed */
    ino_t ino;
};
#define CONTROL_SOCKET_NONE ((struct control_socket){.fd = -1, .lock = -1})

/* On failure, too, control_unlisten must follow. Errors as of control_open. */
int control_listen(const char *path, struct control_socket *s, struct err *e);
void control_unlisten(struct control_socket *s);

#endif
