/* base/boot.c -- see boot.h. proc(5), random/boot_id; clock_gettime(2), CLOCK_BOOTTIME. */
#include "base/boot.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

int64_t boot_now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

const char *boot_id(char buf[ID_UUID])
{
    CLEANUP(cleanup_fdp)
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd >= 0 ? read(fd, buf, ID_UUID - 1) : -1;

    buf[n == ID_UUID - 1 ? n : 0] = '\0';
    if (strspn(buf, "0123456789abcdef-") != strlen(buf))
        buf[0] = '\0';
    return buf;
}
