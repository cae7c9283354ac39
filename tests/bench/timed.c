/* tests/bench/timed.c -- timed CMD...: run it and write "WALL_MS CPU_MS MAXRSS_KB STATUS" to fd 3.
 *
 * Small on purpose: Linux counts into a child's greatest size what its parent held at the fork, so
 * a shell or Python in this place would be measured with it. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double ms(const struct timeval *t)
{
    return (double)t->tv_sec * 1e3 + (double)t->tv_usec / 1e3;
}

int main(int argc, char **argv)
{
    struct timespec a, b;
    struct rusage u;
    int status;
    pid_t pid;

    if (argc < 2)
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &a);
    pid = vfork();
    if (pid == 0) {
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &u) != pid)
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &b);
    status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    dprintf(3, "%.2f %.2f %ld %d\n",
            (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6,
            ms(&u.ru_utime) + ms(&u.ru_stime), u.ru_maxrss, status);
    return status;
}
