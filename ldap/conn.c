/* ldap/conn.c -- the life of one connection to one DC; see conn.h.
 *
 *   ad_conn_open_start   queue the opening job (conn_open.c), start its deadline
 *   open_done            the loop takes the handle: non-blocking from here on
 *                        operations: conn_ops.c
 *   conn_lost            every operation hears of it, then the owner
 *   ad_conn_close        the same, in the next turn, but the owner
 *
 * Invariants: between open_done and close only the loop thread touches `ld`; before that only the
 * job does. A job that hangs in the KDC is left behind when its deadline passes: it frees what it
 * holds when it comes back.
 */
#include "ldap/conn_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "ldap/cred.h"

/* --- opening ----------------------------------------------------------------- */

static void open_done(void *arg, bool canceled)
{
    struct opening *o = arg;
    struct ad_conn *c = o->conn;
    Sockbuf *sb = NULL;
    struct err e;

    if (c == NULL) { /* closed, or past the deadline: nobody waits */
        conn_opening_free(o);
        return;
    }
    if (canceled)
        o->rc = err_set(&o->err, ERR_CANCELED, 0, "%s: never started", o->host);
    c->opening = NULL;
    loop_timer_stop(&c->deadline);
    if (o->rc == 0) {
        c->ld = TAKE(o->ld);
        c->fd = o->fd;
        o->fd = -1;
        c->ssf = o->ssf;
        c->tls = o->tls;
        memcpy(c->local, o->local, sizeof(c->local));
        /* From here on a partial answer must never block the loop. */
        (void)ldap_get_option(c->ld, LDAP_OPT_SOCKBUF, &sb);
        if (sb == NULL || ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_NONBLOCK, sb) < 0)
            o->rc = err_set(&o->err, ERR_INTERNAL, 0, "%s: no non-blocking socket", o->host);
        c->watch = loop_watch_start(c->loop, c->fd, LOOP_READ, conn_on_readable, c);
        if (c->watch == NULL)
            o->rc = err_set(&o->err, ERR_NOMEM, 0, "%s: cannot watch the socket", o->host);
    }
    e = o->err;
    c->broken = o->rc < 0;
    conn_opening_free(o);
    c->ready(c->arg, c->broken ? &e : NULL);
}

/* Nobody waits for the job any more. What hangs on the socket ends now (L2); what hangs in the
 * resolver or the KDC ends when that gives up, and the job then goes no further. */
static void leave_behind(struct ad_conn *c)
{
    struct opening *o = c->opening;
    int guard;

    if (o == NULL)
        return;
    c->opening = NULL;
    o->conn = NULL;
    atomic_store(&o->given_up, true);
    guard = atomic_load(&o->guard);
    if (guard >= 0)
        (void)shutdown(guard, SHUT_RDWR);
}

static void on_open_deadline(void *arg)
{
    struct ad_conn *c = arg;
    struct err e;

    /* The job may hang in the KDC or the resolver: leave it behind, it cleans up by itself. */
    c->deadline = NULL;
    leave_behind(c);
    c->broken = true;
    (void)err_set(&e, ERR_UNSENT, ETIMEDOUT,
                  "%s: no connection in time (look-up, connect or Kerberos)", c->host);
    c->ready(c->arg, &e);
}

int ad_conn_open_start(struct loop *l, const struct ad_conn_opts *opts, ad_conn_cb ready,
                       ad_conn_cb lost, void *arg, struct ad_conn **ret_conn, struct err *e)
{
    struct ad_conn *c = calloc(1, sizeof(*c));
    struct opening *o = calloc(1, sizeof(*o));

    if (c == NULL || o == NULL)
        goto nomem;
    c->loop = l;
    c->fd = -1;
    c->operation_ms = opts->operation_timeout_ms;
    c->window = opts->window == 0 ? 32 : opts->window;
    c->ready = ready;
    c->lost = lost;
    c->arg = arg;
    o->fd = -1;
    atomic_init(&o->guard, -1);
    o->tls = opts->tls;
    o->port = opts->port != 0 ? opts->port : opts->tls ? 636 : 389;
    o->connect_ms = opts->connect_timeout_ms;
    /* A DC that takes the connection and then hangs must not hold up the failover. */
    o->bind_ms = opts->operation_timeout_ms < 2 * opts->connect_timeout_ms
                     ? opts->operation_timeout_ms
                     : 2 * opts->connect_timeout_ms;
    c->host = text_dup(opts->host);
    o->host = text_dup(opts->host);
    o->ca_file = text_dup(opts->ca_file);
    o->ccache = ad_ccache_ref(opts->ccache);
    if (c->host == NULL || o->host == NULL || (opts->ca_file != NULL && o->ca_file == NULL))
        goto nomem;
    c->deadline = loop_timer_start(l, o->connect_ms + o->bind_ms, on_open_deadline, c);
    if (c->deadline == NULL)
        goto nomem;
    o->conn = c;
    c->opening = o;
    if (loop_job_start(l, conn_open_work, open_done, o, e) < 0) {
        loop_timer_stop(&c->deadline);
        goto fail;
    }
    *ret_conn = c;
    return 0;
nomem:
    (void)err_set(e, ERR_NOMEM, 0, "connection");
fail:
    if (o != NULL)
        conn_opening_free(o);
    if (c != NULL)
        free(c->host);
    free(c);
    return -1;
}

const char *ad_conn_host(const struct ad_conn *c)
{
    return c->host;
}

unsigned ad_conn_ssf(const struct ad_conn *c)
{
    return c->ssf;
}

bool ad_conn_tls(const struct ad_conn *c)
{
    return c->tls;
}

const char *ad_conn_local(const struct ad_conn *c)
{
    return c->local;
}

uint64_t ad_conn_referrals(const struct ad_conn *c)
{
    return c->referrals;
}

uint64_t ad_conn_answered(const struct ad_conn *c)
{
    return c->answered;
}

bool ad_conn_usable(const struct ad_conn *c)
{
    return c->ld != NULL && !c->broken && !c->closing;
}

/* --- the end -------------------------------------------------------------------- */

static void conn_free(struct ad_conn *c)
{
    loop_timer_stop(&c->deadline);
    loop_timer_stop(&c->tick);
    loop_timer_stop(&c->soon);
    loop_watch_stop(&c->watch);
    if (c->ld != NULL)
        (void)ldap_unbind_ext(c->ld, NULL, NULL);
    free(c->host);
    free(c);
}

void conn_lost(struct ad_conn *c, const struct err *why)
{
    struct err e = *why;

    if (c->broken || c->closing)
        return;
    log_debug("%s: connection lost: %s", c->host, e.msg);
    c->broken = true;
    loop_watch_stop(&c->watch);
    loop_timer_stop(&c->tick);
    c->entered++;
    conn_finish_all(c, &e, false);
    c->entered--;
    if (!c->closing)
        c->lost(c->arg, &e); /* may close `c`: not touched below */
}

static void on_close_turn(void *arg)
{
    struct ad_conn *c = arg;
    struct err e;

    c->soon = NULL;
    (void)err_set(&e, ERR_CANCELED, 0, "%s: connection closed", c->host);
    conn_finish_all(c, &e, true);
    conn_free(c);
}

void ad_conn_close(struct ad_conn **cp)
{
    struct ad_conn *c = *cp;

    *cp = NULL;
    if (c == NULL || c->closing)
        return;
    c->closing = true;
    leave_behind(c);
    loop_timer_stop(&c->deadline);
    loop_timer_stop(&c->tick);
    loop_timer_stop(&c->soon);
    loop_watch_stop(&c->watch);
    /* In the next turn: the caller may be one of our own callbacks. */
    if (c->entered == 0 && c->sent.count == 0 && c->waiting.count == 0) {
        conn_free(c);
        return;
    }
    c->soon = loop_timer_start(c->loop, 0, on_close_turn, c);
    if (c->soon == NULL)
        log_error("out of memory while closing %s: the connection is left behind", c->host);
}
