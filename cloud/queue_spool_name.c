/* cloud/queue_spool_name.c -- what a file's name says: written, read, and whether its lease is
 * over. See queue_spool_inside.h. Pure, but for the real clock. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/queue_spool_inside.h"

enum { FIELDS = 9 };
#define REFUSED "!"

/* Which start of the machine this is: the first part of the kernel's boot id. Where /proc is not to
 * be seen it is unknown, before and after a start alike; SPAN still bounds a lease then. */
static void read_boot(char boot[SPOOL_BOOT])
{
    CLEANUP(cleanup_fdp) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    memset(boot, 0, SPOOL_BOOT);
    if (fd < 0 || read(fd, boot, SPOOL_BOOT - 1) != SPOOL_BOOT - 1 ||
        strspn(boot, "0123456789abcdef") != SPOOL_BOOT - 1)
        memset(boot, 0, SPOOL_BOOT);
}

void spool_clock_real(struct spool_now *ret_now)
{
    struct timespec ts = {0};

    (void)clock_gettime(CLOCK_BOOTTIME, &ts);
    ret_now->boot_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
    ret_now->wall_ms = stamp_now_ms();
    read_boot(ret_now->boot);
}

void spool_name_write(const struct spool_name *n, char file[NAME_MAX + 1])
{
    /* 26 + 10 + 8 + 20 + 20 + 20 + 20 + 64 + 64 and 8 commas: it always fits, but for wild numbers
     * that spool_name_read does not take. */
    (void)snprintf(file, NAME_MAX + 1,
                   "%s,%u,%s,%" PRIu64 ",%" PRId64 ",%" PRIu64 ",%" PRId64 ",%s,%s", n->id,
                   n->deliveries, n->boot, n->boot_end, n->wall_end, n->span, n->expires, n->holder,
                   n->refused ? REFUSED : n->claim);
}

static bool read_agent(const char *s, char buf[QUEUE_AGENT_MAX + 1])
{
    if (*s != '\0' && !queue_agent_ok(s))
        return false;
    memcpy(buf, s, strlen(s) + 1);
    return true;
}

bool spool_name_read(const char *file, struct spool_name *ret_name)
{
    static const uint64_t time_max = UINT64_C(100000000000000); /* past the year 5000 */
    char buf[NAME_MAX + 1], *next = buf, *f[FIELDS] = {NULL};
    struct spool_name n = {0};
    uint64_t deliveries, wall, expires;
    size_t fields = 0;

    if (strlen(file) >= sizeof(buf))
        return false;
    memcpy(buf, file, strlen(file) + 1);
    while (next != NULL && fields < FIELDS)
        f[fields++] = strsep(&next, ",");
    if (next != NULL || !id_ulid_ok(f[0]))
        return false;
    memcpy(n.id, f[0], sizeof(n.id));
    if (fields == 1) {
        *ret_name = n;
        return true;
    }
    if (fields != FIELDS || !text_to_u64(f[1], 0, 1000000, &deliveries) ||
        (f[2][0] != '\0' &&
         (strlen(f[2]) != SPOOL_BOOT - 1 || strspn(f[2], "0123456789abcdef") != SPOOL_BOOT - 1)) ||
        !text_to_u64(f[3], 0, time_max, &n.boot_end) || !text_to_u64(f[4], 0, time_max, &wall) ||
        !text_to_u64(f[5], 0, time_max, &n.span) || !text_to_u64(f[6], 0, time_max, &expires) ||
        !read_agent(f[7], n.holder))
        return false;
    n.refused = strcmp(f[8], REFUSED) == 0;
    if (!n.refused && !read_agent(f[8], n.claim))
        return false;
    n.deliveries = (unsigned)deliveries;
    memcpy(n.boot, f[2], strlen(f[2]));
    n.wall_end = (int64_t)wall;
    n.expires = (int64_t)expires;
    *ret_name = n;
    return true;
}

/* The first ten characters of a ULID. */
int64_t spool_name_time(const struct spool_name *n)
{
    static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    int64_t ms = 0;

    for (size_t i = 0; i < 10; i++)
        ms = ms << 5 | (strchr(crockford, n->id[i]) - crockford);
    return ms;
}

/* `end` lies ahead, and no further than a lease of that length could. */
static bool is_running(uint64_t now, uint64_t end, uint64_t span)
{
    return end > now && end - now <= span;
}

bool spool_lease_over(const struct spool_name *n, const struct spool_now *now)
{
    if (strcmp(n->boot, now->boot) == 0)
        return !is_running(now->boot_ms, n->boot_end, n->span);
    return now->wall_ms < 0 || !is_running((uint64_t)now->wall_ms, (uint64_t)n->wall_end, n->span);
}
