/* base/loop.h -- the one loop: time, timers, descriptors, jobs, the end of a turn.
 *
 * One thread owns all program state; only jobs run elsewhere, on the thread pool, and a
 * job owns what it works on until its done callback. Every handle here is stopped with
 * its *_stop function, which sets the pointer to NULL and frees later, from the loop.
 * No callback ever runs inside the function that starts it.
 */
#ifndef CORDON_BASE_LOOP_H
#define CORDON_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct loop;
struct loop_timer;
struct loop_watch;
struct loop_fswatch;

typedef void (*loop_cb)(void *arg);
typedef void (*loop_watch_cb)(void *arg, int events); /* LOOP_READ | LOOP_WRITE; on error both */
enum { LOOP_READ = 1, LOOP_WRITE = 2 };

int loop_new(struct loop **ret_loop, struct err *e);
void loop_free(struct loop *l); /* everything must be stopped; jobs still running are abandoned */
int loop_run(struct loop *l, struct err *e); /* until loop_stop, or nothing is left to wait for */
void loop_stop(struct loop *l);

/* Monotonic milliseconds. */
uint64_t loop_now(struct loop *l);
uint64_t loop_now_us(struct loop *l); /* not cached: for measuring */

/* Calls cb once, `ms` from now (0: in the next turn). The timer is freed after that. */
struct loop_timer *loop_timer_start(struct loop *l, uint64_t ms, loop_cb cb, void *arg);
void loop_timer_stop(struct loop_timer **t); /* NULL and NULL inside are fine */

struct loop_watch *loop_watch_start(struct loop *l, int fd, int events, loop_watch_cb cb,
                                    void *arg);
int loop_watch_change(struct loop_watch *w, int events);
void loop_watch_stop(struct loop_watch **w); /* the fd may be closed right after */

/* Tells when something about `path` (a file or a folder) changed: inotify. */
struct loop_fswatch *loop_fswatch_start(struct loop *l, const char *path, loop_cb cb, void *arg);
void loop_fswatch_stop(struct loop_fswatch **w);

/* `work` runs on the pool; then `done` on the loop, with canceled = true if it never ran. */
int loop_job_start(struct loop *l, void (*work)(void *arg), void (*done)(void *arg, bool canceled),
                   void *arg, struct err *e);

/* Called at the end of each turn, before the loop sleeps: the ledger's commit. One only. */
void loop_on_turn_end(struct loop *l, loop_cb cb, void *arg);
/* Asks for one more turn soon although nothing is due (the turn end has work to do). */
void loop_wake(struct loop *l);

#endif
