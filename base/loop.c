/* base/loop.c -- libuv behind a small face; see loop.h.
 *
 * Every handle is a struct of ours with the uv handle first inside; stopping one closes the
 * handle and the close callback frees the struct: never earlier. The prepare handle gives the
 * end of a turn (libuv runs it after the due timers and just before it polls).
 */
#include "base/loop.h"

#include <stdlib.h>
#include <time.h>
#include <uv.h>

#include "base/cleanup.h"

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_idle_t idle; /* active while a turn was asked for */
    loop_cb turn_end;
    void *turn_end_arg;
};

struct loop_timer {
    union {
        uv_handle_t any;
        uv_timer_t timer;
        uv_idle_t idle; /* for 0 ms */
    } uv;
    bool at_once;
    loop_cb cb;
    void *arg;
};

struct loop_watch {
    uv_poll_t uv;
    loop_watch_cb cb;
    void *arg;
};

struct loop_fswatch {
    uv_fs_event_t uv;
    loop_cb cb;
    void *arg;
};

struct job {
    uv_work_t uv;
    void (*work)(void *arg);
    void (*done)(void *arg, bool canceled);
    void *arg;
};

static void on_prepare(uv_prepare_t *h)
{
    struct loop *l = h->data;

    (void)uv_idle_stop(&l->idle);
    if (l->turn_end != NULL)
        l->turn_end(l->turn_end_arg);
}

static void on_idle(uv_idle_t *h)
{
    (void)h; /* its being active makes the poll return at once */
}

int loop_new(struct loop **ret_loop, struct err *e)
{
    struct loop *l = calloc(1, sizeof(*l));
    int rc;

    if (l == NULL)
        return err_set(e, ERR_NOMEM, 0, "loop");
    rc = uv_loop_init(&l->uv);
    if (rc < 0) {
        free(l);
        return err_set(e, ERR_INTERNAL, rc, "loop: %s", uv_strerror(rc));
    }
    (void)uv_prepare_init(&l->uv, &l->prepare);
    l->prepare.data = l;
    (void)uv_prepare_start(&l->prepare, on_prepare);
    uv_unref((uv_handle_t *)&l->prepare);
    (void)uv_idle_init(&l->uv, &l->idle);
    *ret_loop = l;
    return 0;
}

void loop_free(struct loop *l)
{
    if (l == NULL)
        return;
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->idle, NULL);
    /* Let the close callbacks run; a job that hangs in a library is left behind, with its loop. */
    for (int i = 0; i < 4; i++) /* a stop that was asked for ends the first at once */
        (void)uv_run(&l->uv, UV_RUN_NOWAIT);
    if (uv_loop_close(&l->uv) == 0)
        free(l);
}

int loop_run(struct loop *l, struct err *e)
{
    (void)e;
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    return 0;
}

void loop_stop(struct loop *l)
{
    uv_stop(&l->uv);
}

uint64_t loop_now(struct loop *l)
{
    return uv_now(&l->uv);
}

uint64_t loop_now_us(struct loop *l)
{
    (void)l;
    return uv_hrtime() / 1000;
}

/* --- timers --------------------------------------------------------------- */

static void free_handle(uv_handle_t *h)
{
    free(h); /* the uv handle is the first member of each of our structs */
}

static void fire(struct loop_timer *t)
{
    loop_cb cb = t->cb;
    void *arg = t->arg;

    /* The callback may forget its pointer, but not stop a timer that has fired: so close first. */
    uv_close(&t->uv.any, free_handle);
    cb(arg);
}

static void on_timer(uv_timer_t *h)
{
    fire((struct loop_timer *)h);
}

static void on_at_once(uv_idle_t *h)
{
    fire((struct loop_timer *)h);
}

struct loop_timer *loop_timer_start(struct loop *l, uint64_t ms, loop_cb cb, void *arg)
{
    struct loop_timer *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->cb = cb;
    t->arg = arg;
    t->at_once = ms == 0;
    if (t->at_once) {
        /* Not a timer of 0 ms: libuv runs one that is started by a timer in the same turn, so that
         * a chain of them would never come to the turn's end. Idle handles run once a turn. */
        (void)uv_idle_init(&l->uv, &t->uv.idle);
        (void)uv_idle_start(&t->uv.idle, on_at_once);
        return t;
    }
    (void)uv_timer_init(&l->uv, &t->uv.timer);
    /* A long turn leaves the cached time behind; a deadline counts from now. */
    uv_update_time(&l->uv);
    (void)uv_timer_start(&t->uv.timer, on_timer, ms, 0);
    return t;
}

void loop_timer_stop(struct loop_timer **t)
{
    if (t == NULL || *t == NULL)
        return;
    if ((*t)->at_once)
        (void)uv_idle_stop(&(*t)->uv.idle);
    else
        (void)uv_timer_stop(&(*t)->uv.timer);
    if (!uv_is_closing(&(*t)->uv.any))
        uv_close(&(*t)->uv.any, free_handle);
    *t = NULL;
}

/* --- descriptors ---------------------------------------------------------- */

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct loop_watch *w = (struct loop_watch *)h;
    int what = ((events & UV_READABLE) != 0 ? LOOP_READ : 0) |
               ((events & UV_WRITABLE) != 0 ? LOOP_WRITE : 0);

    w->cb(w->arg, status < 0 ? LOOP_READ | LOOP_WRITE : what);
}

static int to_uv(int events)
{
    return ((events & LOOP_READ) != 0 ? UV_READABLE : 0) |
           ((events & LOOP_WRITE) != 0 ? UV_WRITABLE : 0);
}

struct loop_watch *loop_watch_start(struct loop *l, int fd, int events, loop_watch_cb cb, void *arg)
{
    struct loop_watch *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->cb = cb;
    w->arg = arg;
    if (uv_poll_init(&l->uv, &w->uv, fd) < 0) {
        free(w);
        return NULL;
    }
    if (uv_poll_start(&w->uv, to_uv(events), on_poll) < 0) {
        uv_close((uv_handle_t *)&w->uv, free_handle);
        return NULL;
    }
    return w;
}

int loop_watch_change(struct loop_watch *w, int events)
{
    return uv_poll_start(&w->uv, to_uv(events), on_poll) < 0 ? -1 : 0;
}

void loop_watch_stop(struct loop_watch **w)
{
    if (w == NULL || *w == NULL)
        return;
    (void)uv_poll_stop(&(*w)->uv);
    uv_close((uv_handle_t *)&(*w)->uv, free_handle);
    *w = NULL;
}

static void on_fs_event(uv_fs_event_t *h, const char *name, int events, int status)
{
    struct loop_fswatch *w = (struct loop_fswatch *)h;

    (void)name;
    (void)events;
    (void)status;
    w->cb(w->arg);
}

struct loop_fswatch *loop_fswatch_start(struct loop *l, const char *path, loop_cb cb, void *arg)
{
    struct loop_fswatch *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->cb = cb;
    w->arg = arg;
    if (uv_fs_event_init(&l->uv, &w->uv) < 0) {
        free(w);
        return NULL;
    }
    if (uv_fs_event_start(&w->uv, on_fs_event, path, 0) < 0) {
        uv_close((uv_handle_t *)&w->uv, free_handle);
        return NULL;
    }
    return w;
}

void loop_fswatch_stop(struct loop_fswatch **w)
{
    if (w == NULL || *w == NULL)
        return;
    (void)uv_fs_event_stop(&(*w)->uv);
    uv_close((uv_handle_t *)&(*w)->uv, free_handle);
    *w = NULL;
}

/* --- jobs ----------------------------------------------------------------- */

static void job_work(uv_work_t *w)
{
    struct job *j = (struct job *)w;

    j->work(j->arg);
}

static void job_after(uv_work_t *w, int status)
{
    CLEANUP(cleanup_charp) char *mem = (char *)w; /* freed when the callback has returned */
    struct job *j = (struct job *)w;

    (void)mem;
    j->done(j->arg, status == UV_ECANCELED);
}

int loop_job_start(struct loop *l, void (*work)(void *arg), void (*done)(void *arg, bool canceled),
                   void *arg, struct err *e)
{
    struct job *j = calloc(1, sizeof(*j));
    int rc;

    if (j == NULL)
        return err_set(e, ERR_NOMEM, 0, "job");
    j->work = work;
    j->done = done;
    j->arg = arg;
    rc = uv_queue_work(&l->uv, &j->uv, job_work, job_after);
    if (rc < 0) {
        free(j);
        return err_set(e, ERR_INTERNAL, rc, "job: %s", uv_strerror(rc));
    }
    return 0;
}

/* --- the end of a turn ---------------------------------------------------- */

void loop_on_turn_end(struct loop *l, loop_cb cb, void *arg)
{
    l->turn_end = cb;
    l->turn_end_arg = arg;
}

void loop_wake(struct loop *l)
{
    (void)uv_idle_start(&l->idle, on_idle);
}
