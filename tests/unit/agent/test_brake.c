/* tests/unit/agent/test_brake.c -- G4, T1: counted in the ledger, by a time that nobody can set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/service/brake.h"
#include "base/boot.h"
#include "base/cleanup.h"
#include "base/stamp.h"
#include "tests/unit/agent/ledger_help.h"
#include "tests/unit/alloc.h"

/* --- clocks, and boots --------------------------------------------------------------- */

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
static int64_t uptime, wall;
static char boot[ID_UUID];
static unsigned boots;

int64_t __wrap_boot_now_ms(void);
int64_t __wrap_stamp_now_ms(void);
const char *__wrap_boot_id(char buf[ID_UUID]);

int64_t __wrap_boot_now_ms(void)
{
    return uptime;
}

int64_t __wrap_stamp_now_ms(void)
{
    return wall;
}

const char *__wrap_boot_id(char buf[ID_UUID])
{
    (void)snprintf(buf, ID_UUID, "%s", boot);
    return buf;
}

static void pass(int64_t ms)
{
    uptime += ms;
    wall += ms;
}

static void reboot(int64_t off_ms)
{
    (void)snprintf(boot, sizeof(boot), "%08x-0000-0000-0000-000000000000", ++boots);
    uptime = 1000;
    wall += off_ms + uptime;
}

/* --- a service with a ledger --------------------------------------------------------- */

static struct cfg cfg;
static struct ledger *ledger;
static struct brake *brake;
static char why[512];
static unsigned next_id;

static void start(void)
{
    ledger = open_plain();
    must(brake_new(ledger, &cfg, &brake, &e));
}

static void stop(void)
{
    brake_free(brake);
    brake = NULL;
    shut(ledger);
}

static void restart(void)
{
    stop();
    start();
}

static int begin(void **state)
{
    cfg = (struct cfg){.policy = {.brake = {4, 10 * MINUTE},
                                  .brake_ou = {100, 10 * MINUTE},
                                  .brake_signer = {100, 10 * MINUTE}}};
    reboot(0);
    uptime = 40 * (int64_t)DAY;
    wall = INT64_C(1795252443000);
    next_id = 0;
    if (set_up(state) < 0)
        return -1;
    start();
    return 0;
}

static int end(void **state)
{
    stop();
    return tear_down(state);
}

static bool ask(const char *request, const char *domain, const char *signer, const char *dn)
{
    struct brake_ask a = {request, domain, signer, dn, wall};
    bool ok = brake_take(brake, &a, why, sizeof(why), &e);

    assert_int_equal(e.code, ERR_OK);
    assert_int_equal(why[0] == '\0', ok);
    return ok;
}

static bool take_of(const char *domain, const char *signer, const char *dn)
{
    char id[32];

    (void)snprintf(id, sizeof(id), "R%u", next_id++);
    return ask(id, domain, signer, dn);
}

static bool take(void)
{
    return take_of("corp.example.com", "soar", "CN=a,OU=p,DC=corp");
}

static void take_n(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_true(take());
}

static bool engaged(void)
{
    int64_t since;

    return brake_is_engaged(brake, why, sizeof(why), &since);
}

static unsigned records(const char *words)
{
    int most = 1000;
    unsigned n = 0;

    must(ledger_commit(ledger, &e));
    for (const char *s = seen(ledger, NULL, 0, most); (s = strstr(s, words)) != NULL; s++)
        n++;
    return n;
}

/* --- tests --------------------------------------------------------------------------- */

static void all(void **state)
{
    int64_t since;

    (void)state;
    take_n(3);
    assert_true(ask("R1", "corp.example.com", "soar", NULL)); /* counted once */
    take_n(1);
    assert_false(take());
    assert_string_equal(why, "4 changes in 10 min: brake = 4 per 10m");
    assert_true(brake_is_engaged(brake, why, sizeof(why), &since));
    assert_int_equal(since, wall);
    assert_false(take());
    assert_int_equal(records(":automatic"), 4);
    assert_int_equal(records(":brake"), 1);
    /* What was let through may go on; nothing else, however long it takes. */
    assert_true(ask("R2", "corp.example.com", "soar", NULL));
    pass(8 * (int64_t)DAY);
    assert_false(take());
    assert_int_equal(records(":brake"), 1);
}

static void window_moves_on(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        take_n(1);
        pass(10 * MINUTE / 4);
    }
    take_n(1);
    pass(10 * MINUTE / 4 - 1);
    assert_false(take());
}

/* What came to nothing is counted anew, and is not let through as one that was counted. */
static void forgotten(void **state)
{
    (void)state;
    take_n(3);
    brake_forget(brake, "R0");
    brake_forget(brake, "nobody's");
    take_n(2);
    assert_false(ask("R0", "corp.example.com", "soar", NULL));
    assert_true(ask("R1", "corp.example.com", "soar", NULL));
}
static void restarts(void **state)
{
    int64_t since, then;

    (void)state;
    take_n(2);
    restart();
    pass(10 * MINUTE - 1);
    take_n(2);
    restart();
    assert_true(ask("R0", "corp.example.com", "soar", NULL));
    assert_false(take());
    then = wall;
    pass(HOUR);
    restart();
    assert_true(brake_is_engaged(brake, why, sizeof(why), &since));
    assert_int_equal(since, then);
    assert_string_equal(why, "4 changes in 10 min: brake = 4 per 10m");
    assert_false(take());
    assert_int_equal(records(":brake"), 1);
}

/* A step of the wall clock, within a run and over a restart, does nothing at all. */
static void clock_steps(void **state)
{
    static const int64_t steps[] = {10 * MINUTE, -10 * MINUTE, DAY, -DAY, 400 * (int64_t)DAY};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps) * 2; i++) {
        pass(DAY);
        take_n(4);
        wall += steps[i / 2];
        if (i % 2 != 0)
            restart();
        pass(10 * MINUTE - 1);
        if (i % 2 == 0) {
            pass(1); /* not frozen: what is old is old */
            take_n(4);
            continue;
        }
        assert_false(take()); /* not freed */
        must(brake_release(brake, "root (uid 0)", "", &e));
    }
}

/* Over a reboot only the wall clock is left, and it is not believed to the minute. */
static void reboots(void **state)
{
    (void)state;
    take_n(4);
    pass(MINUTE);
    must(ledger_commit(ledger, &e));
    reboot(10 * MINUTE); /* or two minutes, and a step of +8 */
    restart();
    assert_false(take());
    must(brake_release(brake, "root (uid 0)", "", &e));
    take_n(4);
    must(ledger_commit(ledger, &e));
    reboot(26 * MINUTE);
    restart();
    take_n(4);

    /* A clock that came up years behind: free once this boot is older than the window. */
    must(ledger_commit(ledger, &e));
    reboot(-1000 * (int64_t)DAY);
    restart();
    pass(9 * MINUTE);
    restart();
    pass(MINUTE - 1001); /* 10 min - 1 ms since the boot */
    restart();
    assert_int_equal(uptime, 10 * MINUTE - 1);
    pass(1);
    take_n(4);
    assert_false(take());
}

static void no_boot_id(void **state)
{
    (void)state;
    boot[0] = '\0';
    restart();
    take_n(4);
    pass(20 * MINUTE);
    restart();
    assert_false(take()); /* by the wall clock, less the quarter of an hour */
    must(brake_release(brake, "root (uid 0)", "", &e));
    take_n(4);
    pass(26 * MINUTE);
    restart();
    take_n(4);
}

static void release(void **state)
{
    (void)state;
    fails(brake_release(brake, "root (uid 0)", "x", &e), ERR_NOTFOUND, "not engaged");
    take_n(4);
    assert_false(take());
    must(brake_release(brake, "root (uid 0)", "a drill", &e));
    assert_false(engaged());
    assert_int_equal(records(":brake"), 2);
    assert_true(ask("R0", "corp.example.com", "soar", NULL)); /* still known */
    take_n(4);
    restart();
    assert_false(engaged());
    assert_false(take());
    assert_true(engaged());
    restart();
    assert_true(engaged());
    must(brake_release(brake, "root (uid 0)", NULL, &e));
    restart();
    take_n(4);
}

static void ous(void **state)
{
    static const struct {
        const char *dn;
        bool same;
    } dns[] = {
        {"CN=b,OU=Sales,DC=corp,DC=example,DC=com", true},
        {"CN=Doe\\, Jane,OU=Sales,DC=corp,DC=example,DC=com", true},
        {"CN=x\\\\,ou=sales,dc=corp,dc=example,dc=com", true},
        {"CN=x\\2C\\,OU=no, OU=Sales,DC=corp,DC=example,DC=com", true},
        {"CN=\"a,OU=b\",OU=Sales,DC=corp,DC=example,DC=com", true},
        {"CN=b+SN=c,OU=Sales,DC=corp,DC=example,DC=com", true},
        {"CN=b,OU=East,OU=Sales,DC=corp,DC=example,DC=com", false},
        {"CN=b,OU=Sales,DC=other,DC=example,DC=com", false},
        {"OU=Sales,DC=corp,DC=example,DC=com", false},
        {"CN=b\\,OU=Sales,DC=corp,DC=example,DC=com", false}, /* an escaped comma */
        {"CN=b", false},
        {"CN=b\\", false},
        {"", false},
        {NULL, false},
    };

    (void)state;
    cfg.policy.brake.count = 100;
    cfg.policy.brake_ou.count = 1;
    for (size_t i = 0; i < ARRAY_LEN(dns); i++) {
        brake_configure(brake, &cfg);
        assert_true(take_of("corp.example.com", "s", "CN=a,OU=Sales,DC=corp,DC=example,DC=com"));
        if (i % 2 != 0)
            restart();
        if (take_of("corp.example.com", "s", dns[i].dn) == dns[i].same)
            fail_msg("%s", dns[i].dn);
        if (dns[i].same) {
            assert_non_null(strstr(why, "1 changes in "));
            assert_non_null(strstr(why, " in 10 min: brake_ou = 1 per 10m"));
            must(brake_release(brake, "root (uid 0)", "", &e));
        }
        pass(HOUR);
    }
    /* Where no OU is known the rule says nothing. */
    assert_true(take_of("corp.example.com", "s", NULL));
    assert_true(take_of("corp.example.com", "s", NULL));
}

static void signers(void **state)
{
    (void)state;
    cfg.policy.brake.count = 100;
    cfg.policy.brake_signer.count = 2;
    brake_configure(brake, &cfg);
    assert_true(take_of("a.example.com", "soar", NULL));
    assert_true(take_of("b.example.com", "siem", NULL));
    assert_true(take_of("b.example.com", "soar", NULL));
    assert_true(take_of("b.example.com", NULL, NULL));
    assert_true(take_of("b.example.com", "", NULL));
    assert_true(take_of("b.example.com", "", NULL));
    assert_false(take_of("b.example.com", "soar", NULL));
    assert_string_equal(why, "2 changes by soar in 10 min: brake_signer = 2 per 10m");
    assert_false(take_of("b.example.com", "siem", NULL)); /* engaged is engaged, for all */
}

/* brake is for all domains together, the share for each. */
static void percent(void **state)
{
    (void)state;
    cfg.policy.brake.count = 100;
    cfg.policy.brake_percent = 2;
    brake_configure(brake, &cfg);
    brake_users(brake, "small.example.com", 10);
    brake_users(brake, "big.example.com", 450);
    for (int i = 0; i < 20; i++) { /* not known how many there are */
        assert_true(take_of("other.example.com", "", NULL));
        pass(HOUR);
    }
    for (int i = 0; i < 9; i++) { /* slowly */
        assert_true(take_of("big.example.com", "", NULL));
        pass(HOUR);
    }
    for (int i = 0; i < 5; i++)
        assert_true(take_of("small.example.com", "", NULL));
    assert_false(take_of("BIG.example.com", "", NULL));
    assert_string_equal(why, "9 changes among the 450 enabled users of BIG.example.com in 24 h: "
                             "brake_percent = 2 (here: 9)");
    must(brake_release(brake, "root (uid 0)", "", &e));
    restart();
    for (int i = 0; i < 12; i++)
        assert_true(take_of("big.example.com", "", NULL)); /* asked anew after the start: not yet */
    brake_users(brake, "big.example.com", 700);
    brake_users(brake, "big.example.com", 600);
    assert_false(take_of("big.example.com", "", NULL));
    must(brake_release(brake, "root (uid 0)", "", &e));
    brake_users(brake, "big.example.com", UINT64_MAX);
    for (int i = 0; i < 20; i++)
        assert_true(take_of("big.example.com", "", NULL));
    brake_users(brake, "big.example.com", 0);
    assert_true(take_of("big.example.com", "", NULL));
    cfg.policy.brake_percent = 0;
    brake_configure(brake, &cfg);
    brake_users(brake, "big.example.com", 1);
    assert_true(take_of("big.example.com", "", NULL));
}

static void domains_together(void **state)
{
    (void)state;
    assert_true(take_of("a.example.com", "", "CN=a,DC=a"));
    assert_true(take_of("b.example.com", "", "CN=a,DC=b"));
    assert_true(take_of("c.example.com", "", "CN=a,DC=c"));
    assert_true(take_of("d.example.com", "", "CN=a,DC=d"));
    assert_false(take_of("e.example.com", "", "CN=a,DC=e"));
}

static void counts(void **state)
{
    struct brake_count c[8];

    (void)state;
    cfg.policy.brake_percent = 50;
    brake_configure(brake, &cfg);
    assert_int_equal(brake_counts(brake, wall, c, 8), 3);
    assert_string_equal(c[0].rule, "all");
    assert_int_equal(c[0].count, 0);
    assert_int_equal(c[0].limit, 4);
    assert_int_equal(c[0].per_ms, 10 * MINUTE);
    assert_string_equal(c[1].rule, "ou");
    assert_int_equal(c[1].limit, 100);
    brake_users(brake, "corp.example.com", 100);
    brake_users(brake, "b.example.com", 12);
    assert_true(take_of("corp.example.com", "soar", "CN=a,OU=x,DC=a"));
    assert_true(take_of("corp.example.com", "siem", "CN=b,OU=X,DC=a"));
    assert_true(take_of("b.example.com", "soar", "CN=a,OU=b,DC=b"));
    assert_int_equal(brake_counts(brake, wall, c, 8), 4);
    assert_int_equal(c[0].count, 3);
    assert_int_equal(c[1].count, 2);
    assert_string_equal(c[1].whom, "OU=x,DC=a");
    assert_string_equal(c[2].whom, "soar");
    assert_int_equal(c[2].count, 2);
    assert_string_equal(c[3].rule, "percent");
    assert_string_equal(c[3].whom, "b.example.com"); /* 1 of 6, not 2 of 50 */
    assert_int_equal(c[3].limit, 6);
    assert_int_equal(c[3].per_ms, DAY);
    assert_int_equal(brake_counts(brake, wall, c, 2), 2);
    pass(10 * MINUTE);
    assert_int_equal(brake_counts(brake, wall, c, 8), 4);
    assert_int_equal(c[0].count, 0);
    assert_int_equal(c[1].count, 0);
}

/* What was altered, or is from a cordon to come, does not let things through. */
static void damaged(void **state)
{
    struct brake *b = NULL;

    (void)state;
    put(ledger, "", "brake", "{\"state\":\"half\"}");
    must(ledger_commit(ledger, &e));
    restart();
    assert_true(engaged());
    assert_false(take());
    put(ledger, "", "automatic", "{\"request\":\"R1\"}");
    must(ledger_commit(ledger, &e));
    fails(brake_new(ledger, &cfg, &b, &e), ERR_INVALID, "record 2 (automatic)");
}

/* A ledger that takes nothing: held, with an error. */
static void ledger_fails(void **state)
{
    struct ledger *reader;
    struct brake *b = NULL;
    struct brake_ask a = {"X1", "corp.example.com", "soar", "CN=a,DC=b", wall};

    (void)state;
    take_n(4);
    must(ledger_commit(ledger, &e));
    reader = open_reader();
    must(brake_new(reader, &cfg, &b, &e));
    assert_true(brake_take(b, &(struct brake_ask){.request = "R1"}, why, sizeof(why), &e));
    assert_false(brake_take(b, &a, why, sizeof(why), &e));
    assert_int_equal(e.code, ERR_INTERNAL);
    assert_true(brake_is_engaged(b, why, sizeof(why), &a.now_ms));
    fails(brake_release(b, "root (uid 0)", "", &e), ERR_INTERNAL, "reading only");
    assert_true(brake_is_engaged(b, why, sizeof(why), &a.now_ms));
    brake_free(b);
    shut(reader);
}

static void no_memory(void **state) /* M2 */
{
    struct brake_ask a = {"M", "corp.example.com", "soar", "CN=a,OU=b,DC=c", wall};
    unsigned before;

    (void)state;
    take_n(2);
    before = records(":automatic");
    for (long n = 0; alloc_sweep(n); n++) {
        bool ok;
        struct brake *b = NULL;

        if (brake_new(ledger, &cfg, &b, &e) < 0) {
            assert_int_equal(e.code, ERR_NOMEM);
            continue;
        }
        ok = brake_take(b, &a, why, sizeof(why), &e);
        assert_int_equal(ok, e.code == ERR_OK);
        brake_free(b);
    }
    assert_int_equal(records(":automatic"), before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all, begin, end),
        cmocka_unit_test_setup_teardown(window_moves_on, begin, end),
        cmocka_unit_test_setup_teardown(restarts, begin, end),
        cmocka_unit_test_setup_teardown(forgotten, begin, end),
        cmocka_unit_test_setup_teardown(clock_steps, begin, end),
        cmocka_unit_test_setup_teardown(reboots, begin, end),
        cmocka_unit_test_setup_teardown(no_boot_id, begin, end),
        cmocka_unit_test_setup_teardown(release, begin, end),
        cmocka_unit_test_setup_teardown(ous, begin, end),
        cmocka_unit_test_setup_teardown(signers, begin, end),
        cmocka_unit_test_setup_teardown(percent, begin, end),
        cmocka_unit_test_setup_teardown(domains_together, begin, end),
        cmocka_unit_test_setup_teardown(counts, begin, end),
        cmocka_unit_test_setup_teardown(damaged, begin, end),
        cmocka_unit_test_setup_teardown(ledger_fails, begin, end),
        cmocka_unit_test_setup_teardown(no_memory, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
