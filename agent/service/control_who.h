/* agent/service/control_who.h -- who is at the other end of the control socket. */
#ifndef CORDON_AGENT_SERVICE_CONTROL_WHO_H
#define CORDON_AGENT_SERVICE_CONTROL_WHO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct control_who {
    uid_t uid; /* root, or the service's own user (U3, R8) */
    pid_t pid;
    bool login; /* the kernel knows by which login this process came */
    uid_t login_uid;
};

/* What the kernel says of the peer (SO_PEERCRED). ERR_DENIED: anybody but root and `own`. */
int control_who(int fd, uid_t own, struct control_who *ret_who, struct err *e);
/* Its login uid, which sudo and su do not change and only a new login sets (proc(5),
 * pam_loginuid(8)). `fd`: its /proc/self/loginuid as it opened and passed it, for a service that is
 * shut off from the processes of others, and has a user namespace of its own, can't open that;
 * anything else that was passed counts for nothing. -1: none was passed. */
void control_who_login(struct control_who *who, int fd);
/* "ann (login uid 1001)", or "root (uid 0)" where the login is not known. False: /etc/passwd does
 * not have the name. */
bool control_who_local(const struct control_who *who, char *buf, size_t size);
/* The same from wherever accounts come from; "#1001" for a name that nobody knows. Asks a directory
 * and so may block: on the pool. */
void control_who_name(const struct control_who *who, char *buf, size_t size);

#endif
