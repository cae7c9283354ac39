/* ldap/conn.c -- one connection to one DC; see conn.h.
 *
 *   ad_conn_open_start   queue the opening job, start its deadline
 *   open_work            [pool] resolve, connect, options, TLS, GSSAPI bind, check the SSF
 *   open_done            the loop takes the handle: non-blocking from here on
 *   send_waiting         fill the window
 *   drain                take every answer that is there (ldap_result with no wait)
 *   op_finish            one callback per operation
 *   conn_lost            every operation hears of it, then the owner
 *
 * Invariants: between open_done and close only the loop thread touches `ld`; before that only the
 * job does. A job that hangs in the KDC is left behind when its deadline passes: it frees what it
 * holds when it comes back. `drain` may end the connection: nothing of it is touched below a call.
 */
#include "ldap/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <gssapi/gssapi_krb5.h>
#include <ldap.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openldap.h> /* ldap_init_fd */
#include <poll.h>
#include <sasl/sasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/text.h"
#include "ldap/result.h"

#define MAX_INCOMING (4 * 1024 * 1024) /* one LDAP message */
#define MAX_VALUE (1024 * 1024 - 1)    /* one value; a security descriptor has at most 64 KiB */
#define TICK_MS 100
/* Modifies under way at once: libldap keeps 4 KiB for each until it is answered, and a DC does them
 * one after the other, so that more than a round trip of them gains nothing. */
#define MODIFIES 16

enum op_state { OP_WAITING, OP_SENT };

struct ad_op {
    struct ad_conn *conn;
    struct ad_op *prev, *next; /* in the waiting or the sent list */
    enum op_state state;
    int msgid;
    uint64_t deadline;
    bool canceled;

    /* search */
    ad_search_cb search_cb;
    char *base, *filter;
    char **attrs;
    bool subtree, with_dacl, some;
    unsigned limit;
    LDAPMessage **entries;
    size_t entry_count, entry_cap;

    /* modify */
    ad_modify_cb modify_cb;
    LDAPMod **mods;
    size_t mod_count;

    void *arg;
    struct err refused; /* libldap would not encode it: told in the next turn */
};

struct op_list {
    struct ad_op *first, *last;
    unsigned count;
};

struct opening {          /* owned by the job until open_done */
    struct ad_conn *conn; /* NULL once nobody waits any more */
    char *host, *ca_file, *ccache;
    unsigned port;
    bool tls;
    uint64_t connect_ms, bind_ms;
    LDAP *ld;
    int fd;
    unsigned ssf;
    char local[80];
    int rc;
    struct err err;
};

struct ad_conn {
    struct loop *loop;
    char *host;
    uint64_t operation_ms;
    unsigned window, modifies; /* modifies: of those sent */
    ad_conn_cb ready, lost;
    void *arg;
    struct opening *opening; /* while the job runs */
    struct loop_timer *deadline;
    LDAP *ld;
    int fd;
    unsigned ssf;
    bool tls;
    char local[80];
    struct loop_watch *watch;
    struct loop_timer *tick, *soon;
    struct op_list waiting, sent;
    bool closing, broken, failed;
    unsigned entered; /* how deep we are in our own callbacks: closing waits a turn while > 0 */
    struct err why;   /* why sending failed */
};

static void drain(struct ad_conn *c);
static void send_waiting(struct ad_conn *c);
static void on_tick(void *arg);
static void on_soon(void *arg);
static void on_readable(void *arg, int events);

/* --- opening: straight-line C on the pool ---------------------------------- */

static int64_t now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void opening_free(struct opening *o)
{
    if (o == NULL)
        return;
    if (o->ld != NULL)
        (void)ldap_unbind_ext(o->ld, NULL, NULL); /* closes the descriptor as well */
    else if (o->fd >= 0)
        (void)close(o->fd);
    free(o->host);
    free(o->ca_file);
    free(o->ccache);
    free(o);
}

/* Connect to one address within the time left. */
static int connect_one(const struct addrinfo *ai, int64_t deadline, int *ret_fd, struct err *e)
{
    CLEANUP(cleanup_fdp)
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct pollfd p;
    int64_t left;
    int failed = 0, one = 1, idle = 60, user_ms = 20000;
    socklen_t len = sizeof(failed);

    if (fd < 0)
        return err_sys(e, ERR_UNSENT, errno, "socket");
    if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
        if (errno != EINPROGRESS)
            return err_sys(e, ERR_UNSENT, errno, "connect");
        p = (struct pollfd){.fd = fd, .events = POLLOUT};
        for (;;) {
            left = deadline - now_ms();
            if (left <= 0)
                return err_set(e, ERR_UNSENT, ETIMEDOUT, "connect: no answer in time");
            int n = poll(&p, 1, (int)left);

            if (n > 0)
                break;
            if (n < 0 && errno != EINTR)
                return err_sys(e, ERR_UNSENT, errno, "poll");
        }
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) < 0 || failed != 0)
            return err_sys(e, ERR_UNSENT, failed != 0 ? failed : errno, "connect");
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, sizeof(user_ms));
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int connect_host(struct opening *o, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *all = NULL;
    int64_t deadline = now_ms() + (int64_t)o->connect_ms;
    char port[8];
    int rc;

    (void)snprintf(port, sizeof(port), "%u", o->port);
    rc = getaddrinfo(o->host, port, &hints, &all);
    if (rc != 0)
        return err_set(e, ERR_UNSENT, rc, "look up '%s': %s", o->host,
                       rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    rc = err_set(e, ERR_UNSENT, 0, "'%s' has no address", o->host);
    for (struct addrinfo *ai = all; ai != NULL && rc < 0; ai = ai->ai_next)
        rc = connect_one(ai, deadline, &o->fd, e);
    freeaddrinfo(all);
    return rc;
}

/* Our end as Samba writes it: "ipv4:10.77.0.100:49008". */
static void note_local(struct opening *o)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss);
    char ip[INET6_ADDRSTRLEN];

    if (getsockname(o->fd, (struct sockaddr *)&ss, &len) < 0)
        return;
    if (ss.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&ss;

        if (inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip)) != NULL)
            (void)snprintf(o->local, sizeof(o->local), "ipv4:%s:%u", ip, ntohs(in->sin_port));
    } else if (ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&ss;

        if (inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip)) != NULL)
            (void)snprintf(o->local, sizeof(o->local), "ipv6:%s:%u", ip, ntohs(in6->sin6_port));
    }
}

/* L1, L4: each option is set, and those that security hangs on are read back. */
static int set_options(struct opening *o, struct err *e)
{
    LDAP *ld = o->ld;
    int version = LDAP_VERSION3, never = LDAP_DEREF_NEVER, demand = LDAP_OPT_X_TLS_DEMAND;
    int tls12 = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2, endpoint = LDAP_OPT_X_SASL_CBINDING_TLS_ENDPOINT;
    int got = 0, zero = 0;
    struct timeval net = {.tv_sec = (time_t)((o->bind_ms + 999) / 1000)};
    ber_len_t max_incoming = MAX_INCOMING;
    Sockbuf *sb = NULL;
    void *nocanon = NULL;
    int rc = 0;

    rc |= ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);
    rc |= ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    rc |= ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_OFF);
    rc |= ldap_set_option(ld, LDAP_OPT_DEREF, &never);
    rc |= ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &net);
    rc |= ldap_set_option(ld, LDAP_OPT_TIMEOUT, &net);
    rc |= ldap_set_option(ld, LDAP_OPT_CONNECT_ASYNC, LDAP_OPT_ON);
    rc |= ldap_set_option(ld, LDAP_OPT_X_SASL_NOCANON, LDAP_OPT_ON);
    rc |= ldap_set_option(ld, LDAP_OPT_X_SASL_SECPROPS,
                          o->tls ? "noanonymous,noplain,minssf=0,maxssf=0"
                                 : "noanonymous,noplain,minssf=128");
    if (o->tls) {
        rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
        rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, &tls12);
        rc |=
            ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE,
                            o->ca_file != NULL ? o->ca_file : "/etc/ssl/certs/ca-certificates.crt");
        rc |= ldap_set_option(ld, LDAP_OPT_X_SASL_CBINDING, &endpoint);
        rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &zero);
        if (rc == 0 &&
            (ldap_get_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &got) != 0 || got != demand))
            rc = -1;
    }
    if (rc != 0)
        return err_set(e, ERR_INTERNAL, rc, "libldap refuses one of our settings");
    if (ldap_get_option(ld, LDAP_OPT_REFERRALS, &nocanon) != 0 || nocanon != NULL)
        return err_set(e, ERR_INTERNAL, 0, "libldap does not keep referral chasing off");
    if (ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sb) == 0 && sb != NULL)
        (void)ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &max_incoming);
    return 0;
}

/* GSSAPI asks nothing that we would answer: take the defaults (no authorization id). */
static int interact(LDAP *ld, unsigned flags, void *defaults, void *in)
{
    (void)ld;
    (void)flags;
    (void)defaults;
    for (sasl_interact_t *i = in; i->id != SASL_CB_LIST_END; i++) {
        i->result = i->defresult != NULL ? i->defresult : "";
        i->len = (unsigned)strlen(i->result);
    }
    return LDAP_SUCCESS;
}

static int sasl_bind(struct opening *o, struct err *e)
{
    int64_t deadline = now_ms() + (int64_t)o->bind_ms;
    LDAPMessage *answer = NULL;
    const char *mech = NULL;
    sasl_ssf_t ssf = 0;
    OM_uint32 minor;
    int msgid = 0, rc;

    /* K3: the credential is the worker thread's default only while it binds. */
    if (o->ccache != NULL && gss_krb5_ccache_name(&minor, o->ccache, NULL) != GSS_S_COMPLETE)
        return err_set(e, ERR_AUTH, (int)minor, "ticket cache cannot be used");
    for (;;) {
        int64_t left;
        struct timeval tv;

        rc = ldap_sasl_interactive_bind(o->ld, NULL, "GSSAPI", NULL, NULL, LDAP_SASL_QUIET,
                                        interact, NULL, answer, &mech, &msgid);
        if (answer != NULL)
            (void)ldap_msgfree(answer);
        answer = NULL;
        if (rc != LDAP_SASL_BIND_IN_PROGRESS)
            break;
        left = deadline - now_ms();
        if (left <= 0)
            left = 0;
        tv = (struct timeval){.tv_sec = left / 1000, .tv_usec = (left % 1000) * 1000};
        rc = ldap_result(o->ld, msgid, LDAP_MSG_ALL, &tv, &answer);
        if (rc == 0) {
            rc = err_set(e, ERR_UNSENT, ETIMEDOUT, "bind: no answer in time");
            goto out;
        }
        if (rc < 0) {
            rc = err_set(e, ERR_UNSENT, rc, "bind: the connection ended");
            goto out;
        }
    }
    if (rc != LDAP_SUCCESS) {
        rc = ad_result_bind_err(o->ld, rc, o->host, e);
        goto out;
    }
    /* L4: what was asked for is not what was got, until it was read back. */
    (void)ldap_get_option(o->ld, LDAP_OPT_X_SASL_SSF, &ssf);
    o->ssf = ssf;
    if (!o->tls && ssf < 128)
        rc = err_set(e, ERR_AUTH, (int)ssf,
                     "bind: the connection is not sealed (SSF %u, 128 needed)", (unsigned)ssf);
    if (o->tls && !ldap_tls_inplace(o->ld))
        rc = err_set(e, ERR_AUTH, 0, "bind: TLS is not in force");
out:
    if (o->ccache != NULL)
        (void)gss_krb5_ccache_name(&minor, NULL, NULL);
    return rc;
}

static int open_all(struct opening *o, struct err *e)
{
    char url[300];
    int rc;

    if (connect_host(o, e) < 0)
        return -1;
    note_local(o);
    (void)snprintf(url, sizeof(url), "%s://%s:%u", o->tls ? "ldaps" : "ldap", o->host, o->port);
    rc = ldap_init_fd(o->fd, LDAP_PROTO_TCP, url, &o->ld);
    if (rc != LDAP_SUCCESS)
        return err_set(e, ERR_INTERNAL, rc, "libldap: %s", ldap_err2string(rc));
    if (set_options(o, e) < 0)
        return -1;
    if (o->tls) {
        rc = ldap_install_tls(o->ld);
        if (rc != LDAP_SUCCESS)
            return ad_result_bind_err(o->ld, rc, o->host, e);
    }
    return sasl_bind(o, e);
}

static void open_work(void *arg)
{
    struct opening *o = arg;

    o->rc = open_all(o, &o->err);
    if (o->rc < 0)
        (void)err_wrap(&o->err, "%s", o->host);
}

/* --- back on the loop ------------------------------------------------------- */

static void open_done(void *arg, bool canceled)
{
    struct opening *o = arg;
    struct ad_conn *c = o->conn;
    Sockbuf *sb = NULL;
    struct err e;

    if (c == NULL) { /* closed, or past the deadline: nobody waits */
        opening_free(o);
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
        c->watch = loop_watch_start(c->loop, c->fd, LOOP_READ, on_readable, c);
        if (c->watch == NULL)
            o->rc = err_set(&o->err, ERR_NOMEM, 0, "%s: cannot watch the socket", o->host);
    }
    e = o->err;
    c->broken = o->rc < 0;
    opening_free(o);
    c->ready(c->arg, c->broken ? &e : NULL);
}

static void on_open_deadline(void *arg)
{
    struct ad_conn *c = arg;
    struct err e;

    /* The job may hang in the KDC or the resolver: leave it behind, it cleans up by itself. */
    c->deadline = NULL;
    c->opening->conn = NULL;
    c->opening = NULL;
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
    o->ccache = text_dup(opts->ccache);
    if (c->host == NULL || o->host == NULL || (opts->ca_file != NULL && o->ca_file == NULL) ||
        (opts->ccache != NULL && o->ccache == NULL))
        goto nomem;
    c->deadline = loop_timer_start(l, o->connect_ms + o->bind_ms, on_open_deadline, c);
    if (c->deadline == NULL)
        goto nomem;
    o->conn = c;
    c->opening = o;
    if (loop_job_start(l, open_work, open_done, o, e) < 0) {
        loop_timer_stop(&c->deadline);
        goto fail;
    }
    *ret_conn = c;
    return 0;
nomem:
    (void)err_set(e, ERR_NOMEM, 0, "connection");
fail:
    if (o != NULL)
        opening_free(o);
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

bool ad_conn_usable(const struct ad_conn *c)
{
    return c->ld != NULL && !c->broken && !c->closing;
}

/* --- operations: lists, one way out ----------------------------------------- */

static void list_append(struct op_list *list, struct ad_op *op)
{
    op->next = NULL;
    op->prev = list->last;
    if (list->last != NULL)
        list->last->next = op;
    else
        list->first = op;
    list->last = op;
    list->count++;
}

static void list_remove(struct op_list *list, struct ad_op *op)
{
    if (op->prev != NULL)
        op->prev->next = op->next;
    else
        list->first = op->next;
    if (op->next != NULL)
        op->next->prev = op->prev;
    else
        list->last = op->prev;
    list->count--;
}

static void mods_free(struct ad_op *op)
{
    for (size_t i = 0; i < op->mod_count; i++) {
        LDAPMod *m = op->mods[i];

        if (m == NULL)
            continue;
        if (m->mod_bvalues != NULL && m->mod_bvalues[0] != NULL) {
            /* It may be a password. */
            if (m->mod_bvalues[0]->bv_val != NULL)
                explicit_bzero(m->mod_bvalues[0]->bv_val, m->mod_bvalues[0]->bv_len);
            free(m->mod_bvalues[0]->bv_val);
            free(m->mod_bvalues[0]);
        }
        free(m->mod_bvalues);
        free(m->mod_type);
        free(m);
    }
    free(op->mods);
    op->mods = NULL;
    op->mod_count = 0;
}

static void op_free(struct ad_op *op)
{
    if (op == NULL)
        return;
    for (size_t i = 0; i < op->entry_count; i++)
        (void)ldap_msgfree(op->entries[i]);
    free(op->entries);
    free(op->base);
    free(op->filter);
    if (op->attrs != NULL) {
        for (size_t i = 0; op->attrs[i] != NULL; i++)
            free(op->attrs[i]);
    }
    free(op->attrs);
    mods_free(op);
    free(op);
}

/* Decode one entry in place: names and values point into the message. */
static int entry_decode(LDAP *ld, LDAPMessage *msg, struct ad_entry *en, struct ad_attr **ret_attrs,
                        struct err *e)
{
    struct berval dn, name, *values = NULL;
    struct ad_attr *attrs = NULL;
    size_t count = 0, cap = 0;
    BerElement *ber = NULL;
    int rc;

    rc = ldap_get_dn_ber(ld, msg, &ber, &dn);
    if (rc != LDAP_SUCCESS)
        goto bad;
    while ((rc = ldap_get_attribute_ber(ld, msg, ber, &name, &values)) == LDAP_SUCCESS &&
           name.bv_val != NULL) {
        struct ad_value *mine;
        size_t n = 0;

        if (count == cap) {
            struct ad_attr *more;

            cap = cap == 0 ? 32 : cap * 2;
            more = cap > 4096 ? NULL : realloc(attrs, cap * sizeof(*attrs));
            if (more == NULL) {
                ber_memfree(values);
                rc = LDAP_NO_MEMORY;
                break;
            }
            attrs = more;
        }
        while (values != NULL && values[n].bv_val != NULL)
            n++;
        mine = calloc(n == 0 ? 1 : n, sizeof(*mine));
        attrs[count] = (struct ad_attr){.name = name.bv_val, .values = mine, .count = n};
        if (mine == NULL) {
            ber_memfree(values);
            rc = LDAP_NO_MEMORY;
            break;
        }
        count++;
        for (size_t i = 0; i < n; i++) {
            mine[i] = (struct ad_value){.s = values[i].bv_val, .n = values[i].bv_len};
            if (values[i].bv_len > MAX_VALUE)
                rc = LDAP_DECODING_ERROR;
        }
        ber_memfree(values);
        values = NULL;
        if (rc != LDAP_SUCCESS)
            break;
    }
    if (rc != LDAP_SUCCESS)
        goto bad;
    ber_free(ber, 0);
    *en = (struct ad_entry){.dn = dn.bv_val, .attrs = attrs, .count = count};
    *ret_attrs = attrs;
    return 0;
bad:
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)attrs[i].values);
    free(attrs);
    if (ber != NULL)
        ber_free(ber, 0);
    return err_set(e, ERR_INVALID, rc,
                   "the DC's answer cannot be read (a value over %d bytes, or broken)", MAX_VALUE);
}

static void search_report(struct ad_op *op, const struct err *e)
{
    struct ad_entry *entries = NULL;
    struct ad_attr **attrs = NULL;
    size_t decoded = 0;
    struct err mine;

    if (e == NULL && op->entry_count > 0) {
        entries = calloc(op->entry_count, sizeof(*entries));
        attrs = calloc(op->entry_count, sizeof(*attrs));
        if (entries == NULL || attrs == NULL) {
            (void)err_set(&mine, ERR_NOMEM, 0, "search");
            e = &mine;
        }
        for (; e == NULL && decoded < op->entry_count; decoded++) {
            if (entry_decode(op->conn->ld, op->entries[decoded], &entries[decoded], &attrs[decoded],
                             &mine) < 0) {
                e = &mine;
                break;
            }
        }
    }
    op->search_cb(op->arg, e == NULL ? entries : NULL, e == NULL ? op->entry_count : 0, e);
    for (size_t i = 0; i < decoded; i++) {
        for (size_t k = 0; k < entries[i].count; k++)
            free((void *)(uintptr_t)attrs[i][k].values);
        free(attrs[i]);
    }
    free(entries);
    free(attrs);
}

/* The one way out of an operation. The callback may start others, or close the connection. */
static void op_finish(struct ad_op *op, const struct err *e)
{
    if (op->state == OP_SENT && op->search_cb == NULL)
        op->conn->modifies--;
    list_remove(op->state == OP_SENT ? &op->conn->sent : &op->conn->waiting, op);
    assert(op->search_cb != NULL || op->modify_cb != NULL);
    if (op->search_cb != NULL)
        search_report(op, e);
    else
        op->modify_cb(op->arg, e);
    op_free(op);
}

/* What not knowing means, by kind of operation and by how far it got. */
static void op_unknown(struct ad_op *op, struct err *e, const struct err *why, bool canceled)
{
    *e = *why;
    if (op->modify_cb != NULL && op->state == OP_SENT)
        e->code = ERR_UNPROVEN;
    else if (canceled)
        e->code = ERR_CANCELED;
    else if (op->state == OP_SENT && why->code == ERR_TIMEOUT)
        e->code = ERR_TIMEOUT;
    else
        e->code = ERR_UNSENT;
}

static void finish_all(struct ad_conn *c, const struct err *why, bool canceled)
{
    struct op_list *lists[] = {&c->sent, &c->waiting};
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        /* Only what is there now: a callback that starts anew is refused by ad_conn_usable. */
        while (lists[i]->first != NULL) {
            op_unknown(lists[i]->first, &e, why, canceled);
            op_finish(lists[i]->first, &e);
        }
    }
}

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

static void conn_lost(struct ad_conn *c, const struct err *why)
{
    struct err e = *why;

    if (c->broken || c->closing)
        return;
    log_debug("%s: connection lost: %s", c->host, e.msg);
    c->broken = true;
    loop_watch_stop(&c->watch);
    loop_timer_stop(&c->tick);
    c->entered++;
    finish_all(c, &e, false);
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
    finish_all(c, &e, true);
    conn_free(c);
}

void ad_conn_close(struct ad_conn **cp)
{
    struct ad_conn *c = *cp;

    *cp = NULL;
    if (c == NULL || c->closing)
        return;
    c->closing = true;
    if (c->opening != NULL)
        c->opening->conn = NULL;
    c->opening = NULL;
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

/* --- sending ------------------------------------------------------------------ */

/* One request out. Returns 1 when sent, 0 when the socket is still full, -1 with *e. */
static int op_send(struct ad_op *op, struct err *e)
{
    struct ad_conn *c = op->conn;
    int rc;

    if (op->search_cb != NULL) {
        /* SDFlagsRequestValue ::= SEQUENCE { Flags INTEGER }, 4 = DACL (MS-ADTS 3.1.1.3.4.1.11) */
        static char dacl[] = {0x30, 0x03, 0x02, 0x01, 0x04};
        LDAPControl sd = {.ldctl_oid = (char *)(uintptr_t) "1.2.840.113556.1.4.801",
                          .ldctl_value = {.bv_val = dacl, .bv_len = sizeof(dacl)},
                          .ldctl_iscritical = 1};
        LDAPControl *controls[] = {&sd, NULL};
        struct timeval limit = {.tv_sec = (time_t)((c->operation_ms + 999) / 1000)};

        rc = ldap_search_ext(c->ld, op->base, op->subtree ? LDAP_SCOPE_SUBTREE : LDAP_SCOPE_BASE,
                             op->filter, op->attrs, /* attrsonly */ 0,
                             op->with_dacl ? controls : NULL, NULL, &limit, (int)op->limit + 1,
                             &op->msgid);
    } else {
        rc = ldap_modify_ext(c->ld, op->base, op->mods, NULL, NULL, &op->msgid);
    }
    if (rc == LDAP_BUSY)
        return 0;
    if (rc == LDAP_SERVER_DOWN || rc == LDAP_CONNECT_ERROR || rc == LDAP_UNAVAILABLE)
        return err_set(e, ERR_UNSENT, rc, "%s: the connection ended", c->host);
    if (rc != LDAP_SUCCESS)
        return err_set(e, rc == LDAP_NO_MEMORY ? ERR_NOMEM : ERR_INVALID, rc, "%s: cannot send: %s",
                       c->host, ldap_err2string(rc));
    (void)failpoint_hit("send");
    list_remove(&c->waiting, op);
    op->state = OP_SENT;
    list_append(&c->sent, op);
    if (op->search_cb == NULL)
        c->modifies++;
    mods_free(op); /* on the wire now; a password has no business here any more */
    return 1;
}

/* The first that may go now. */
static struct ad_op *next_waiting(const struct ad_conn *c)
{
    struct ad_op *op = c->waiting.first;

    while (op != NULL && op->search_cb == NULL && c->modifies >= MODIFIES)
        op = op->next;
    return op;
}

static void send_waiting(struct ad_conn *c)
{
    struct ad_op *op;

    while (c->sent.count < c->window && (op = next_waiting(c)) != NULL) {
        struct err e;
        int rc = op_send(op, &e);

        if (rc == 0)
            return;
        if (rc > 0)
            continue;
        /* Never from inside x_start: let the tick tell. */
        if (e.code == ERR_UNSENT) {
            c->why = e;
            c->failed = true;
        } else {
            op->refused = e;
        }
        if (c->soon == NULL)
            c->soon = loop_timer_start(c->loop, 0, on_soon, c);
        return;
    }
}

static void op_queue(struct ad_op *op, struct ad_op **ret_op, uint64_t timeout_ms)
{
    struct ad_conn *c = op->conn;

    op->deadline = loop_now(c->loop) + (timeout_ms != 0 ? timeout_ms : c->operation_ms);
    list_append(&c->waiting, op);
    if (c->tick == NULL)
        c->tick = loop_timer_start(c->loop, TICK_MS, on_tick, c);
    if (ret_op != NULL)
        *ret_op = op;
    send_waiting(c);
}

static struct ad_op *op_new(struct ad_conn *c, const char *base, struct err *e)
{
    struct ad_op *op;

    if (c == NULL || !ad_conn_usable(c)) {
        (void)err_set(e, ERR_UNSENT, 0, "%s: not connected", c != NULL ? c->host : "DC");
        return NULL;
    }
    op = calloc(1, sizeof(*op));
    if (op == NULL || (op->base = text_dup(base)) == NULL) {
        op_free(op);
        (void)err_set(e, ERR_NOMEM, 0, "operation");
        return NULL;
    }
    op->conn = c;
    return op;
}

int ad_search_start(struct ad_conn *c, const struct ad_search *s, ad_search_cb cb, void *arg,
                    struct ad_op **ret_op, struct err *e)
{
    struct ad_op *op = op_new(c, s->base, e);
    size_t n = 0;

    if (op == NULL)
        return -1;
    op->search_cb = cb;
    op->arg = arg;
    op->subtree = s->subtree;
    op->with_dacl = s->with_dacl;
    op->some = s->some;
    op->limit = s->limit == 0 ? 1 : s->limit;
    op->filter = text_dup(s->filter != NULL ? s->filter : "(objectClass=*)");
    while (s->attrs[n] != NULL)
        n++;
    op->attrs = calloc(n + 1, sizeof(*op->attrs));
    for (size_t i = 0; op->attrs != NULL && i < n; i++) {
        op->attrs[i] = text_dup(s->attrs[i]);
        if (op->attrs[i] == NULL)
            goto nomem;
    }
    if (op->filter == NULL || op->attrs == NULL)
        goto nomem;
    op_queue(op, ret_op, s->timeout_ms);
    return 0;
nomem:
    op_free(op);
    return err_set(e, ERR_NOMEM, 0, "search");
}

int ad_modify_start(struct ad_conn *c, const char *dn, const struct ad_mod *mods, size_t count,
                    ad_modify_cb cb, void *arg, struct ad_op **ret_op, struct err *e)
{
    static const int hows[] = {LDAP_MOD_ADD, LDAP_MOD_DELETE, LDAP_MOD_REPLACE};
    struct ad_op *op = op_new(c, dn, e);

    if (op == NULL)
        return -1;
    op->modify_cb = cb;
    op->arg = arg;
    op->mods = calloc(count + 1, sizeof(LDAPMod *));
    if (op->mods == NULL)
        goto nomem;
    for (size_t i = 0; i < count; i++) {
        LDAPMod *m = calloc(1, sizeof(*m));

        if (m == NULL)
            goto nomem;
        op->mods[i] = m;
        op->mod_count = i + 1;
        m->mod_op = hows[mods[i].how] | LDAP_MOD_BVALUES;
        m->mod_type = text_dup(mods[i].attr);
        m->mod_bvalues = calloc(2, sizeof(struct berval *));
        if (m->mod_type == NULL || m->mod_bvalues == NULL)
            goto nomem;
        m->mod_bvalues[0] = calloc(1, sizeof(struct berval));
        if (m->mod_bvalues[0] == NULL)
            goto nomem;
        m->mod_bvalues[0]->bv_val = malloc(mods[i].value.n + 1);
        if (m->mod_bvalues[0]->bv_val == NULL)
            goto nomem;
        memcpy(m->mod_bvalues[0]->bv_val, mods[i].value.s, mods[i].value.n);
        m->mod_bvalues[0]->bv_len = mods[i].value.n;
    }
    op_queue(op, ret_op, 0);
    return 0;
nomem:
    op_free(op);
    return err_set(e, ERR_NOMEM, 0, "modify");
}

void ad_op_cancel(struct ad_op *op)
{
    struct ad_conn *c;

    if (op == NULL || op->canceled)
        return;
    c = op->conn;
    op->canceled = true;
    if (!c->closing && c->soon == NULL)
        c->soon = loop_timer_start(c->loop, 0, on_soon, c);
}

/* --- time ---------------------------------------------------------------------- */

/* Operations that are canceled, refused by libldap, or out of time. */
static void sweep(struct ad_conn *c)
{
    struct op_list *lists[] = {&c->sent, &c->waiting};
    uint64_t now = loop_now(c->loop);
    bool overdue = false;
    struct err e, why;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct ad_op *op = lists[i]->first;

        while (op != NULL && !c->closing && !c->broken) {
            struct ad_op *next = op->next;

            if (op->refused.code != ERR_OK) {
                e = op->refused;
                op_finish(op, &e);
                next = lists[i]->first; /* the callback may have changed the list */
            } else if (op->canceled) {
                if (op->state == OP_SENT && op->search_cb != NULL)
                    (void)ldap_abandon_ext(c->ld, op->msgid, NULL, NULL);
                (void)err_set(&why, ERR_CANCELED, 0, "%s: canceled", c->host);
                op_unknown(op, &e, &why, true);
                op_finish(op, &e);
                next = lists[i]->first;
            } else if (now >= op->deadline) {
                overdue = true;
            }
            op = next;
        }
    }
    if (c->closing || c->broken)
        return;
    /* A DC that does not answer one of us does not answer any: give up the connection. */
    if (overdue) {
        (void)err_set(&why, ERR_TIMEOUT, ETIMEDOUT, "%s: no answer in time", c->host);
        conn_lost(c, &why);
    } else if (c->failed) {
        why = c->why;
        conn_lost(c, &why);
    }
}

/* Run `step` so that a callback in it may close the connection: it then goes in the next turn. */
static void enter(struct ad_conn *c, void (*step)(struct ad_conn *c))
{
    c->entered++;
    step(c);
    c->entered--;
}

static void soon_step(struct ad_conn *c)
{
    sweep(c);
    if (!c->closing && !c->broken)
        send_waiting(c);
}

static void on_soon(void *arg)
{
    struct ad_conn *c = arg;

    c->soon = NULL;
    enter(c, soon_step);
}

static void tick_step(struct ad_conn *c)
{
    sweep(c);
    if (c->closing || c->broken)
        return;
    drain(c); /* also pushes on a write that did not fit */
    if (c->closing || c->broken)
        return;
    send_waiting(c);
    if ((c->sent.count > 0 || c->waiting.count > 0) && c->tick == NULL)
        c->tick = loop_timer_start(c->loop, TICK_MS, on_tick, c);
}

static void on_tick(void *arg)
{
    struct ad_conn *c = arg;

    c->tick = NULL;
    enter(c, tick_step);
}

/* --- answers ------------------------------------------------------------------- */

static struct ad_op *find_sent(struct ad_conn *c, int msgid)
{
    for (struct ad_op *op = c->sent.first; op != NULL; op = op->next) {
        if (op->msgid == msgid)
            return op;
    }
    return NULL;
}

static int keep_entry(struct ad_op *op, LDAPMessage *msg, struct err *e)
{
    if (op->entry_count >= op->limit)
        return err_set(e, ERR_TOOBIG, 0, "%s: more than %u entries", op->conn->host, op->limit);
    if (op->entry_count == op->entry_cap) {
        size_t cap = op->entry_cap == 0 ? 2 : op->entry_cap * 2;
        LDAPMessage **more = realloc(op->entries, cap * sizeof(LDAPMessage *));

        if (more == NULL)
            return err_set(e, ERR_NOMEM, 0, "search");
        op->entries = more;
        op->entry_cap = cap;
    }
    op->entries[op->entry_count++] = msg;
    return 0;
}

/* One message. Takes `msg`. */
static void take_message(struct ad_conn *c, LDAPMessage *msg)
{
    struct ad_op *op = find_sent(c, ldap_msgid(msg));
    int type = ldap_msgtype(msg);
    struct err e = ERR_NONE;

    if (op == NULL) { /* the answer to something given up, or an unsolicited notice */
        (void)ldap_msgfree(msg);
        return;
    }
    if (type == (int)LDAP_RES_SEARCH_REFERENCE) {
        (void)ldap_msgfree(msg); /* another naming context: we asked this DC (L7) */
        return;
    }
    if (type == (int)LDAP_RES_SEARCH_ENTRY && op->search_cb != NULL) {
        if (keep_entry(op, msg, &e) < 0) {
            (void)ldap_msgfree(msg);
            (void)ldap_abandon_ext(c->ld, op->msgid, NULL, NULL);
            op_finish(op, op->some && e.code == ERR_TOOBIG ? NULL : &e);
        }
        return;
    }
    if ((ber_tag_t)type != (op->search_cb != NULL ? LDAP_RES_SEARCH_RESULT : LDAP_RES_MODIFY)) {
        (void)ldap_msgfree(msg);
        (void)err_set(&e, op->modify_cb != NULL ? ERR_UNPROVEN : ERR_INVALID, type,
                      "%s: the DC answered with something else (type 0x%x)", c->host,
                      (unsigned)type);
        op_finish(op, &e);
        return;
    }
    (void)ad_result_err(c->ld, msg, op->modify_cb != NULL, c->host, &e); /* frees msg */
    op_finish(op, e.code == ERR_OK ? NULL : &e);
}

static void drain(struct ad_conn *c)
{
    struct timeval zero = {0};
    struct err e;

    /* The SASL layer may hold whole answers already decrypted: until empty, not until unreadable.
     */
    while (!c->closing && !c->broken) {
        LDAPMessage *msg = NULL;
        int rc = ldap_result(c->ld, LDAP_RES_ANY, LDAP_MSG_ONE, &zero, &msg);

        if (rc == 0)
            return;
        if (rc < 0) {
            int native = 0;

            (void)ldap_get_option(c->ld, LDAP_OPT_RESULT_CODE, &native);
            (void)err_set(&e, ERR_UNSENT, native, "%s: the DC ended the connection", c->host);
            conn_lost(c, &e);
            return;
        }
        take_message(c, msg);
    }
}

static void readable_step(struct ad_conn *c)
{
    drain(c);
    if (!c->closing && !c->broken)
        send_waiting(c);
}

static void on_readable(void *arg, int events)
{
    (void)events;
    enter(arg, readable_step);
}

const struct ad_attr *ad_entry_attr(const struct ad_entry *en, const char *name)
{
    for (size_t i = 0; i < en->count; i++) {
        if (text_eq_nocase(en->attrs[i].name, name))
            return &en->attrs[i];
    }
    return NULL;
}
