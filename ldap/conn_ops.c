/* ldap/conn_ops.c -- operations on a connection that is bound, many in flight.
 *
 *   ad_search_start, ad_modify_start   in line
 *   send_waiting                       fill the window
 *   drain                              take every answer that is there (ldap_result with no wait)
 *   op_finish                          one callback per operation: the one way out
 *   sweep                              canceled, refused by libldap, out of time
 *
 * Only the loop thread is here. `drain` and `sweep` may end the connection: nothing of it is
 * touched below a call but `closing` and `broken`.
 */
#include "ldap/conn_inside.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/text.h"
#include "ldap/result.h"

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
    struct ad_page *page;
    LDAPMessage **entries;
    size_t entry_count, entry_cap;
    unsigned referrals; /* in its answer, to other servers: counted, never followed */

    /* modify */
    ad_modify_cb modify_cb;
    LDAPMod **mods;
    size_t mod_count;

    void *arg;
    struct err refused; /* libldap would not encode it: told in the next turn */
};

static void drain(struct ad_conn *c);
static void send_waiting(struct ad_conn *c);
static void on_tick(void *arg);
static void on_soon(void *arg);

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
            if (conn_entry_decode(op->conn->ld, op->entries[decoded], &entries[decoded],
                                  &attrs[decoded], &mine) < 0) {
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
    if (op->referrals > 0) {
        op->conn->referrals += op->referrals;
        log_debug("%s: %u referrals in an answer, not followed", op->conn->host, op->referrals);
    }
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

void conn_finish_all(struct ad_conn *c, const struct err *why, bool canceled)
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
        LDAPControl *page = NULL;
        LDAPControl *controls[3] = {NULL};
        size_t n = 0;
        struct timeval limit = {.tv_sec = (time_t)((c->operation_ms + 999) / 1000)};

        rc = LDAP_SUCCESS;
        if (op->with_dacl)
            controls[n++] = &sd;
        if (op->page != NULL) {
            struct berval cookie = {.bv_val = op->page->cookie, .bv_len = op->page->n};

            rc =
                ldap_create_page_control(c->ld, (ber_int_t)op->page->size,
                                         op->page->n > 0 ? &cookie : NULL, /* critical */ 1, &page);
            controls[n++] = page;
        }
        /* The size limit is for all pages together: ours is kept by keep_entry. */
        if (rc == LDAP_SUCCESS)
            rc = ldap_search_ext(c->ld, op->base,
                                 op->subtree ? LDAP_SCOPE_SUBTREE : LDAP_SCOPE_BASE, op->filter,
                                 op->attrs, /* attrsonly */ 0, n > 0 ? controls : NULL, NULL,
                                 &limit, op->page != NULL ? 0 : (int)op->limit + 1, &op->msgid);
        ldap_control_free(page);
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
    op->page = s->page;
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

/* Where the next page begins. */
static int take_cookie(struct ad_op *op, LDAPMessage *msg, struct err *e)
{
    struct ad_conn *c = op->conn;
    LDAPControl **controls = NULL, *page;
    struct berval cookie = {0};
    ber_int_t estimate = 0;
    int rc = ldap_parse_result(c->ld, msg, NULL, NULL, NULL, NULL, &controls, /* freeit */ 0);

    op->page->n = 0;
    page = rc == LDAP_SUCCESS ? ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL) : NULL;
    if (page == NULL)
        rc = err_set(e, ERR_INVALID, rc, "%s: a page without its end", c->host);
    else if (ldap_parse_pageresponse_control(c->ld, page, &estimate, &cookie) != LDAP_SUCCESS)
        rc = err_set(e, ERR_INVALID, 0, "%s: a page with an end that cannot be read", c->host);
    else if (cookie.bv_len > sizeof(op->page->cookie))
        rc = err_set(e, ERR_TOOBIG, 0, "%s: a page's cookie of %zu bytes", c->host,
                     (size_t)cookie.bv_len);
    else if (cookie.bv_len > 0)
        memcpy(op->page->cookie, cookie.bv_val, op->page->n = cookie.bv_len);
    ber_memfree(cookie.bv_val);
    ldap_controls_free(controls);
    return rc;
}

/* One message. Takes `msg`. */
static void take_message(struct ad_conn *c, LDAPMessage *msg)
{
    struct ad_op *op = find_sent(c, ldap_msgid(msg));
    int type = ldap_msgtype(msg);
    struct err e = ERR_NONE, cut = ERR_NONE;

    if (op == NULL) { /* the answer to something given up, or an unsolicited notice */
        (void)ldap_msgfree(msg);
        return;
    }
    if (type == (int)LDAP_RES_SEARCH_REFERENCE) {
        (void)ldap_msgfree(msg); /* another naming context: we asked this DC (L7) */
        op->referrals++;
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
    if (op->page != NULL)
        (void)take_cookie(op, msg, &cut);
    (void)ad_result_err(c->ld, msg, op->modify_cb != NULL, c->host, &op->referrals,
                        &e); /* frees msg */
    if (e.code == ERR_OK)
        e = cut;
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
        c->answered = loop_now(c->loop);
        take_message(c, msg);
    }
}

static void readable_step(struct ad_conn *c)
{
    drain(c);
    if (!c->closing && !c->broken)
        send_waiting(c);
}

void conn_on_readable(void *arg, int events)
{
    (void)events;
    enter(arg, readable_step);
}
