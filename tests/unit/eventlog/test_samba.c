/* tests/unit/eventlog/test_samba.c -- Samba's audit lines, told as Windows events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "eventlog/samba.h"
#include "eventlog/samflags.h"

#define HEAD "  {\"timestamp\": \"2026-11-21T03:05:08.516445+0000\", \"type\": "
#define SID "S-1-5-21-446816963-3164974082-3454712361-1103"
#define DN "CN=u00010,OU=People,DC=corp,DC=example,DC=com"
#define TX "aee93222-60b6-46e8-b537-8e3986577bbb"
#define TX2 "bee93222-60b6-46e8-b537-8e3986577bbb"
#define CHANGE_AS(status, tx, attributes)                                                   \
    HEAD "\"dsdbChange\", \"dsdbChange\": {\"version\": {\"major\": 1, \"minor\": 0}, "     \
         "\"statusCode\": " status ", \"status\": \"Success\", \"operation\": \"Modify\", " \
         "\"remoteAddress\": \"ipv4:10.77.0.100:49008\", \"performedAsSystem\": false, "    \
         "\"userSid\": \"" SID "\", \"dn\": \"" DN "\", \"transactionId\": \"" tx           \
         "\", \"sessionId\": \"ea3299ff-b54c-444f-805c-1f814c43966c\", \"attributes\": "    \
         "{" attributes "}}}"
#define CHANGE(attributes) CHANGE_AS("0", TX, attributes)
#define END(tx, action)                                                                           \
    HEAD "\"dsdbTransaction\", \"dsdbTransaction\": {\"version\": {\"major\": 1, \"minor\": 0}, " \
         "\"action\": \"" action "\", \"transactionId\": \"" tx "\", \"duration\": 2958}}"
#define COMMIT END(TX, "commit")
#define VALUE(action, v) "{\"action\": \"" action "\", \"values\": [{\"value\": \"" v "\"}]}"
#define CAS(old, new) \
    "\"userAccountControl\": {\"actions\": [" VALUE("delete", old) ", " VALUE("add", new) "]}"
#define REPLACE(name, v) "\"" name "\": {\"actions\": [" VALUE("replace", v) "]}"
#define AUTH                                                                                       \
    HEAD "\"Authorization\", \"Authorization\": {\"version\": {\"major\": 1, \"minor\": 1}, "      \
         "\"localAddress\": \"ipv4:10.77.0.11:389\", \"remoteAddress\": "                          \
         "\"ipv4:10.77.0.100:49008\", \"serviceDescription\": \"LDAP\", \"authType\": \"krb5\", "  \
         "\"domain\": \"CORP\", \"account\": \"svc-cordon\", \"sid\": \"" SID                      \
         "\", \"sessionId\": \"ea3299ff-b54c-444f-805c-1f814c43966c\", \"logonServer\": \"DC1\", " \
         "\"transportProtection\": \"SEAL\", \"accountFlags\": \"0x00000210\"}}"
#define PASSWORD(id, status, tx)                                                                  \
    HEAD "\"passwordChange\", \"passwordChange\": {\"version\": {\"major\": 1, \"minor\": 1}, "   \
         "\"eventId\": " id ", \"statusCode\": " status ", \"status\": \"Success\", "             \
         "\"remoteAddress\": \"ipv4:10.77.0.100:49030\", \"userSid\": \"" SID "\", \"dn\": \"" DN \
         "\", \"action\": \"Reset\", \"transactionId\": \"" tx                                    \
         "\", \"sessionId\": \"bb762529-6df4-479f-b137-ec6fd33d0012\"}}"

enum { KEPT = 16 };

struct world {
    struct evlog_samba *samba;
    struct evlog_event *ev[KEPT];
    struct evlog_pos pos[KEPT];
    unsigned count;
    uint64_t seq;
};

static void on_event(void *arg, const struct evlog_event *ev, const struct evlog_pos *pos)
{
    struct world *w = arg;

    if (w->count < KEPT) {
        w->ev[w->count] = evlog_event_dup(ev);
        w->pos[w->count] = *pos;
    }
    w->count++;
}

static void forget(struct world *w)
{
    for (unsigned i = 0; i < KEPT; i++) {
        free(w->ev[i]);
        w->ev[i] = NULL;
    }
    w->count = 0;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct err e;

    *state = w;
    return w == NULL ? -1 : evlog_samba_new(0, on_event, w, &w->samba, &e);
}

static int teardown(void **state)
{
    struct world *w = *state;

    forget(w);
    evlog_samba_free(w->samba);
    free(w);
    return 0;
}

static int feed_n(struct world *w, uint32_t file, const char *line, size_t n, uint64_t now)
{
    struct evlog_pos pos = {.seq = ++w->seq, .file = file};
    struct err e = ERR_NONE;
    char *exact = malloc(n + (n == 0));
    int rc;

    assert_non_null(exact);
    memcpy(exact, line, n);
    rc = evlog_samba_line(w->samba, exact, n, &pos, now, &e);
    free(exact);
    return rc;
}

static int feed_at(struct world *w, uint32_t file, const char *line, uint64_t now)
{
    return feed_n(w, file, line, strlen(line), now);
}

static void feed(struct world *w, const char *line)
{
    if (feed_at(w, 0, line, 1000) < 0)
        fail_msg("refused: %s", line);
}

/* --- what each line becomes ---------------------------------------------------------------------
 */

static void disable_by_swap(void **state)
{
    struct world *w = *state;

    feed(w, AUTH);
    feed(w, CHANGE(CAS("512", "514")));
    assert_int_equal(w->count, 0); /* "Success" comes before the commit */
    feed(w, COMMIT);
    assert_int_equal(w->count, 2);
    assert_int_equal(w->ev[0]->id, EVLOG_DISABLED);
    assert_false(w->ev[0]->uac.has_new);
    assert_int_equal(w->ev[1]->id, EVLOG_CHANGED);
    assert_true(w->ev[1]->uac.has_old && w->ev[1]->uac.has_new);
    assert_int_equal(w->ev[1]->uac.old, 0x10);
    assert_int_equal(w->ev[1]->uac.new, 0x11);
    assert_int_equal(w->ev[1]->uac.code_count, 1);
    assert_int_equal(w->ev[1]->uac.codes[0], 2080);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(w->ev[i]->kind, EVLOG_SAMBA);
        assert_int_equal(w->ev[i]->outcome, EVLOG_SUCCESS);
        assert_int_equal(w->ev[i]->commit, EVLOG_COMMITTED);
        assert_false(w->ev[i]->has_record);
        assert_true(w->ev[i]->has_time && w->ev[i]->time_ms == INT64_C(1795230308516));
        assert_string_equal(w->ev[i]->target.sid, "");
        assert_string_equal(w->ev[i]->target.dn, DN);
        assert_string_equal(w->ev[i]->actor.sid, SID);
        assert_string_equal(w->ev[i]->actor.name, "svc-cordon");
        assert_string_equal(w->ev[i]->actor.domain, "CORP");
        assert_string_equal(w->ev[i]->remote, "10.77.0.100:49008");
        assert_int_equal(w->pos[i].seq, 2); /* of the change, not of the commit */
    }
    assert_int_equal(evlog_samba_due(w->samba, 99999), 0);
    assert_int_equal(w->count, 2);
}

static void values(void **state)
{
    static const struct {
        const char *attributes;
        unsigned count;
        uint32_t first; /* id */
        int old, new;   /* of the 4738; -1: unknown */
        enum evlog_pls pls;
    } table[] = {
        {CAS("514", "512"), 2, EVLOG_ENABLED, 0x11, 0x10, EVLOG_PLS_UNCHANGED},
        {CAS("512", "66050"), 2, EVLOG_DISABLED, 0x10, 0x211, EVLOG_PLS_UNCHANGED},
        {CAS("66048", "512"), 1, EVLOG_CHANGED, 0x210, 0x10, EVLOG_PLS_UNCHANGED},
        {CAS("514", "66050"), 1, EVLOG_CHANGED, 0x11, 0x211, EVLOG_PLS_UNCHANGED},
        {REPLACE("userAccountControl", "514"), 1, EVLOG_CHANGED, -1, 0x11, EVLOG_PLS_UNCHANGED},
        {REPLACE("useraccountcontrol", "514"), 1, EVLOG_CHANGED, -1, 0x11, EVLOG_PLS_UNCHANGED},
        {REPLACE("pwdLastSet", "0"), 1, EVLOG_CHANGED, -1, -1, EVLOG_PLS_NEVER},
        {REPLACE("pwdLastSet", "-1"), 1, EVLOG_CHANGED, -1, -1, EVLOG_PLS_TIME},
        {CAS("66048", "512") ", " REPLACE("pwdLastSet", "0"), 1, EVLOG_CHANGED, 0x210, 0x10,
         EVLOG_PLS_NEVER},
        {"\"unicodePwd\": {\"actions\": [{\"action\": \"replace\", \"redacted\": true}]}", 1,
         EVLOG_CHANGED, -1, -1, EVLOG_PLS_TIME},
        {CAS("-2147483136", "-2147483134"), 2, EVLOG_DISABLED, 0x10, 0x11, EVLOG_PLS_UNCHANGED},
        /* what is not one value is no value */
        {CAS("x", "514"), 1, EVLOG_CHANGED, -1, -1, EVLOG_PLS_UNCHANGED},
        {"\"userAccountControl\": {\"actions\": [" VALUE("add", "514") "]}", 1, EVLOG_CHANGED, -1,
         -1, EVLOG_PLS_UNCHANGED},
        {"\"userAccountControl\": {\"actions\": [" VALUE("delete", "512") "]}", 1, EVLOG_CHANGED,
         -1, -1, EVLOG_PLS_UNCHANGED},
        {"\"userAccountControl\": {\"actions\": [{\"action\": \"replace\", \"values\": "
         "[{\"value\": \"514\"}, {\"value\": \"512\"}]}]}",
         1, EVLOG_CHANGED, -1, -1, EVLOG_PLS_UNCHANGED},
        {"\"userAccountControl\": {\"actions\": [{\"action\": \"replace\", \"values\": "
         "[{\"base64\": true, \"value\": \"514\"}]}]}",
         1, EVLOG_CHANGED, -1, -1, EVLOG_PLS_UNCHANGED},
        {REPLACE("displayName", "userAccountControl"), 0, 0, -1, -1, EVLOG_PLS_UNCHANGED},
    };
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char line[4096], tx[64], end[1024];
        const struct evlog_event *ev;

        (void)snprintf(tx, sizeof(tx), "%08zx-60b6-46e8-b537-8e3986577bbb", i + 1);
        (void)snprintf(line, sizeof(line), CHANGE_AS("0", "%s", "%s"), tx, table[i].attributes);
        (void)snprintf(end, sizeof(end), END("%s", "commit"), tx);
        feed(w, line);
        feed(w, end);
        if (w->count != table[i].count)
            fail_msg("%u events from %s", w->count, line);
        if (table[i].count == 0)
            continue;
        ev = w->ev[w->count - 1];
        assert_int_equal(w->ev[0]->id, table[i].first);
        assert_int_equal(ev->id, EVLOG_CHANGED);
        assert_int_equal(ev->uac.has_old ? (int)ev->uac.old : -1, table[i].old);
        assert_int_equal(ev->uac.has_new ? (int)ev->uac.new : -1, table[i].new);
        assert_int_equal(ev->password_last_set, table[i].pls);
        assert_int_equal(ev->password_last_set_text[0] != '\0', table[i].pls == EVLOG_PLS_TIME);
        forget(w);
    }
}

static void passwords(void **state)
{
    struct world *w = *state;

    feed(w, PASSWORD("4724", "0", TX));
    assert_int_equal(w->count, 0);
    feed(w, COMMIT);
    assert_int_equal(w->count, 1);
    assert_int_equal(w->ev[0]->id, EVLOG_RESET_PASSWORD);
    assert_string_equal(w->ev[0]->actor.name, ""); /* a session that was never announced */
    forget(w);
    feed(w, PASSWORD("4723", "49", TX2));
    assert_int_equal(w->count, 1);
    assert_int_equal(w->ev[0]->id, EVLOG_CHANGE_PASSWORD);
    assert_int_equal(w->ev[0]->outcome, EVLOG_FAILURE);
    assert_int_equal(feed_at(w, 0, PASSWORD("4738", "0", TX), 0), -1);
}

/* --- transactions
 * ---------------------------------------------------------------------------------- */

static void refused_is_no_proof(void **state)
{
    struct world *w = *state;

    feed(w, CHANGE_AS("50", TX, CAS("512", "514")));
    assert_int_equal(w->count, 2);
    assert_int_equal(w->ev[0]->outcome, EVLOG_FAILURE);
    assert_int_equal(w->ev[1]->outcome, EVLOG_FAILURE);
    feed(w, END(TX, "rollback"));
    assert_int_equal(w->count, 2);
}

static void rolled_back(void **state)
{
    struct world *w = *state;

    feed(w, CHANGE(CAS("512", "514")));
    feed(w, END(TX, "rollback"));
    feed(w, CHANGE_AS("0", TX2, CAS("512", "514")));
    feed(w,
         HEAD "\"dsdbTransaction\", \"dsdbTransaction\": {\"action\": \"commit\", \"statusCode\": "
              "1, \"transactionId\": \"" TX2 "\"}}");
    assert_int_equal(evlog_samba_due(w->samba, 99999), 0);
    assert_int_equal(w->count, 0);
    assert_int_equal(evlog_samba_rollbacks(w->samba), 4);
}

/* Two files of one DC are not read in one order. */
static void commit_seen_first(void **state)
{
    struct world *w = *state;

    assert_int_equal(feed_at(w, 1, COMMIT, 1000), 0);
    assert_int_equal(feed_at(w, 1, END(TX2, "rollback"), 1000), 0);
    feed(w, CHANGE(CAS("512", "514")));
    assert_int_equal(w->count, 2);
    assert_int_equal(w->ev[0]->commit, EVLOG_COMMITTED);
    feed(w, CHANGE_AS("0", TX2, CAS("512", "514")));
    assert_int_equal(evlog_samba_due(w->samba, 99999), 0);
    assert_int_equal(w->count, 2);
}

/* The transaction class may be off. */
static void no_commit_seen(void **state)
{
    struct world *w = *state;

    feed(w, CHANGE(CAS("512", "514")));
    assert_int_equal(evlog_samba_due(w->samba, 1400), 600);
    assert_int_equal(w->count, 0);
    assert_int_equal(evlog_samba_due(w->samba, 2000), 0);
    assert_int_equal(w->count, 2);
    assert_int_equal(w->ev[0]->commit, EVLOG_COMMIT_UNSEEN);
    forget(w);
    /* Without a transaction there is nothing to wait for. */
    feed(w, CHANGE_AS("0", "00000000-0000-0000-0000-000000000000", CAS("512", "514")));
    assert_int_equal(w->count, 2);
    assert_int_equal(w->ev[0]->commit, EVLOG_COMMIT_UNSEEN);
    forget(w);
    feed(w, CHANGE_AS("0", TX2, CAS("512", "514")));
    evlog_samba_flush(w->samba);
    assert_int_equal(w->count, 2);
}

static void bounded(void **state)
{
    struct world *w = *state;
    char line[4096], tx[64];

    for (unsigned i = 0; i < 10000; i++) {
        (void)snprintf(tx, sizeof(tx), "%08x-60b6-46e8-b537-8e3986577bbb", i + 1);
        (void)snprintf(line, sizeof(line), CHANGE_AS("0", "%s", "%s"), tx, CAS("514", "66050"));
        feed(w, line);
    }
    assert_int_equal(w->count, 10000 - EVLOG_SAMBA_HELD);
    for (unsigned i = 0; i < 10000; i++) {
        (void)snprintf(tx, sizeof(tx), "%08x-60b6-46e8-b537-8e3986577bbb", i + 1);
        (void)snprintf(line, sizeof(line), END("%s", "commit"), tx);
        feed(w, line);
        feed(w, AUTH);
    }
    assert_int_equal(w->count, 10000);
}

/* --- lines that are cut, and others
 * ------------------------------------------------------------------- */

static void cut_lines(void **state)
{
    static const char whole[] = CHANGE(CAS("512", "514"));
    struct world *w = *state;
    char one[4096], two[4096], three[4096];

    /* In two, with another process's line between them. */
    (void)snprintf(one, sizeof(one), "%.300s +>", whole);
    (void)snprintf(two, sizeof(two), "  %s", whole + 300);
    feed(w, one);
    feed(w, END(TX2, "commit"));
    feed(w, two);
    feed(w, COMMIT);
    assert_int_equal(w->count, 2);
    forget(w);

    /* In three; and the same in another file, each by itself. */
    (void)snprintf(two, sizeof(two), "  %.100s +>", whole + 300);
    (void)snprintf(three, sizeof(three), "  %s", whole + 400);
    assert_int_equal(feed_at(w, 0, one, 0), 0);
    assert_int_equal(feed_at(w, 1, one, 0), 0);
    assert_int_equal(feed_at(w, 1, two, 0), 0);
    assert_int_equal(feed_at(w, 0, two, 0), 0);
    assert_int_equal(feed_at(w, 0, three, 0), 0);
    assert_int_equal(feed_at(w, 1, three, 0), 0);
    assert_int_equal(w->count, 4);
    forget(w);

    /* A rest without a head, a head without a rest, a rest of two signs. */
    assert_int_equal(feed_at(w, 0, three, 0), -1);
    assert_int_equal(feed_at(w, 0, one, 0), 0);
    assert_int_equal(feed_at(w, 0, one, 0), -1);
    assert_int_equal(feed_at(w, 0, "  +>", 0), 0);
    (void)feed_at(w, 0, "  ", 0);
    for (unsigned i = 0; i < 100; i++)
        feed(w, COMMIT);
    assert_int_equal(feed_at(w, 0, two, 0), 0); /* its head has been given up: a new one begins */
    assert_int_equal(w->count, 0);
}

static void of_no_interest(void **state)
{
    struct world *w = *state;

    feed(w, HEAD "\"groupChange\", \"groupChange\": {\"eventId\": 4728, \"statusCode\": 0}}");
    feed(w, HEAD "\"Authentication\", \"Authentication\": {\"eventId\": 4624}}");
    feed(w, HEAD "\"somethingNew\", \"somethingNew\": 7}");
    feed(w, HEAD "\"dsdbChange\", \"dsdbChange\": {\"statusCode\": 0, \"operation\": \"Delete\", "
                 "\"dn\": \"CN=\\\"userAccountControl\\\"\"}}");
    evlog_samba_flush(w->samba);
    assert_int_equal(w->count, 0);
}

static void broken(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "{",
        "{}",
        "[]",
        "{\"type\": \"dsdbTransaction\", \"dsdbTransaction\": {}}",
        "{\"type\": \"dsdbChange\", \"dsdbChange\": {\"operation\": \"Modify\", \"attributes\": "
        "{\"userAccountControl\": 1}}}",
        "{\"type\": \"passwordChange\", \"passwordChange\": {\"statusCode\": 0}}",
    };
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (feed_at(w, 0, bad[i], 0) == 0)
            fail_msg("taken: %s", bad[i]);
    /* Cut anywhere: an error or nothing, never a crash and never an event. */
    for (size_t n = 0; n + 1 < strlen(CHANGE(CAS("512", "514"))); n++)
        (void)feed_n(w, 0, CHANGE(CAS("512", "514")), n, 0);
    evlog_samba_flush(w->samba);
    assert_int_equal(w->count, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(disable_by_swap),     T(values),      T(passwords),
        T(refused_is_no_proof), T(rolled_back), T(commit_seen_first),
        T(no_commit_seen),      T(bounded),     T(cut_lines),
        T(of_no_interest),      T(broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
