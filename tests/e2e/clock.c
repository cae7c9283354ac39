/* tests/e2e/clock.c -- a wall clock that a test may set: preloaded, it adds the milliseconds that
 * stand in the file CORDON_CLOCK (written over, never cut off) to all that is told of the real
 * time. What counts from boot goes its own way, as it does where somebody sets the clock of a
 * machine.
 *
 *   cc -shared -fPIC -o clock.so clock.c
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *off; /* the file, mapped: the program weeds its environment, and shuts doors */

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("CORDON_CLOCK");
    int fd = name != NULL ? open(name, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    off = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
    if (off == MAP_FAILED)
        off = NULL;
    (void)close(fd);
}

static long long off_ms(void)
{
    return off != NULL ? atoll(off) : 0;
}

static void shift(struct timespec *ts)
{
    long long ms = off_ms(), ns = ts->tv_nsec + ms % 1000 * 1000000;

    ts->tv_sec += ms / 1000 + (ns >= 1000000000) - (ns < 0);
    ts->tv_nsec = (ns + 1000000000) % 1000000000;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ts);

    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        shift(ts);
    return rc;
}

int gettimeofday(struct timeval *tv, void *zone)
{
    struct timespec ts;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    if (ret != NULL)
        *ret = ts.tv_sec;
    return ts.tv_sec;
}
