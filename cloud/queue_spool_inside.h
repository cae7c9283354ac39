/* cloud/queue_spool_inside.h -- inside cloud/queue_spool*.c and their tests: a spool folder as
 * files and names.
 *
 *   DIR/tmp/      being written: ID
 *   DIR/new/      ID, or "ID,0,,0,0,0,EXPIRES,," where it has a time to live
 *   DIR/claimed/  ID,DELIVERIES,BOOT,BOOT_END,WALL_END,SPAN,EXPIRES,HOLDER,CLAIM
 *   DIR/dead/     ID, and ID.reason
 *
 * ID is a ULID, one for each message. All that is known of a message besides its text is its name,
 * so that every move is one rename: it happens whole or not at all, and of several processes one.
 *
 * Whether a lease is over is asked of CLOCK_BOOTTIME, which nobody can set: BOOT_END, for as long
 * as the machine has not been started anew (BOOT). After that whoever held it is gone; the wall
 * clock (WALL_END) then decides. No lease is believed to be longer than its SPAN, so that neither
 * clock can freeze one. Times are in ms.
 *
 * Everything here blocks: it runs on the pool.
 */
#ifndef CORDON_CLOUD_QUEUE_SPOOL_INSIDE_H
#define CORDON_CLOUD_QUEUE_SPOOL_INSIDE_H

#include <limits.h>

#include "base/id.h"
#include "cloud/queue_inside.h"

enum { SPOOL_BOOT = 9, SPOOL_TEXT_MAX = 256 * 1024 };

struct spool_now {
    int64_t wall_ms;
    uint64_t boot_ms;
    char boot[SPOOL_BOOT]; /* which start of the machine; "" unknown */
};
typedef void (*spool_clock)(struct spool_now *ret_now);

struct spool_dir {
    int tmp, new, claimed, dead;
    char agent[QUEUE_AGENT_MAX + 1];
    spool_clock clock;
    unsigned refs; /* the loop's thread only */
};

struct spool_name {
    char id[ID_ULID];
    unsigned deliveries;
    char boot[SPOOL_BOOT];
    uint64_t boot_end;
    int64_t wall_end, expires; /* expires 0: never */
    uint64_t span;
    char holder[QUEUE_AGENT_MAX + 1], claim[QUEUE_AGENT_MAX + 1];
    bool refused; /* it came under a name that is none of ours: CLAIM is '!' */
};

/* What a receive took. */
struct spool_got {
    struct spool_name name;
    char file[NAME_MAX + 1]; /* in claimed/ */
    char *text;              /* NULL: why */
    size_t len;
    struct err why;
};

/* For tests: before the queue is used. */
void queue_spool_set_clock(struct queue *q, spool_clock clock);
void spool_clock_real(struct spool_now *ret_now);

/* --- names ----------------------------------------------------------------------------------- */

void spool_name_write(const struct spool_name *n, char file[NAME_MAX + 1]);
bool spool_name_read(const char *file, struct spool_name *ret_name);
int64_t spool_name_time(const struct spool_name *n); /* when it was put, by the id */
bool spool_lease_over(const struct spool_name *n, const struct spool_now *now);

/* --- the folder ------------------------------------------------------------------------------ */

int spool_open(const char *path, struct spool_dir *ret_dir, struct err *e);
void spool_close(struct spool_dir *d);
/* id: a fresh ULID (only the loop's thread makes them). Leaves in `got` up to max messages, ours
 * for lease_ms from now; of those whose names are not ours at most one, which is then called `id`.
 */
int spool_receive(struct spool_dir *d, const char *id, unsigned max, uint64_t lease_ms,
                  struct spool_got *got, size_t *ret_n, struct err *e);
int spool_put(struct spool_dir *d, const char *id, const char *text, size_t len, uint64_t ttl_ms,
              struct err *e);
/* file: where it is in claimed/; the new name is written there. claim: NULL leaves it. */
enum queue_end spool_renew(struct spool_dir *d, char file[NAME_MAX + 1], uint64_t lease_ms,
                           const char *claim, struct err *e);
enum queue_end spool_complete(struct spool_dir *d, const char *file, struct err *e);
enum queue_end spool_release(struct spool_dir *d, const char *file, uint64_t delay_ms,
                             struct err *e);
enum queue_end spool_dead(struct spool_dir *d, const char *id, const char *file, const char *reason,
                          struct err *e);
int spool_depth(struct spool_dir *d, uint64_t *ret_count, int64_t *ret_oldest_ms, struct err *e);
bool spool_has_new(const struct spool_dir *d); /* quick: for the loop's thread, too */

#endif
