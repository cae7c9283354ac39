/* ldap/conn_inside.h -- what the files of one connection (conn*.c) share; nobody else's. */
#ifndef CORDON_LDAP_CONN_INSIDE_H
#define CORDON_LDAP_CONN_INSIDE_H

#include <ldap.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ldap/conn.h"

struct op_list {
    struct ad_op *first, *last;
    unsigned count;
};

struct opening {          /* owned by the job until open_done */
    struct ad_conn *conn; /* NULL once nobody waits any more */
    char *host, *ca_file;
    struct ad_ccache *ccache;
    unsigned port;
    bool tls;
    uint64_t connect_ms, bind_ms;
    LDAP *ld;
    int fd;
    atomic_int guard;     /* a second descriptor of the same socket, closed by the loop alone: what
                             the loop shuts down is never another's, whatever libldap closes */
    atomic_bool given_up; /* nobody waits any more: go no further */
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
    uint64_t referrals; /* in all answers */
    uint64_t answered;  /* ad_conn_answered */
    bool closing, broken, failed;
    unsigned entered; /* how deep we are in our own callbacks: closing waits a turn while > 0 */
    struct err why;   /* why sending failed */
};

/* conn.c */
void conn_lost(struct ad_conn *c, const struct err *why); /* tells all; may close `c` */

/* conn_open.c: only the job touches `o` while it runs */
void conn_open_work(void *arg); /* a struct opening; its `rc` and `err` say how it went */
void conn_opening_free(struct opening *o);

/* conn_entry.c: *ret_attrs is what `en` points to, with its values one by one to be freed */
int conn_entry_decode(LDAP *ld, LDAPMessage *msg, struct ad_entry *en, struct ad_attr **ret_attrs,
                      struct err *e);

/* conn_ops.c */
void conn_on_readable(void *arg, int events); /* a struct ad_conn */
/* Each operation there hears `why`, or what it means to it. */
void conn_finish_all(struct ad_conn *c, const struct err *why, bool canceled);

#endif
