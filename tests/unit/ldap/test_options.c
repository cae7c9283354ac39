/* Every LDAP handle bears our settings, or is not used: a libldap that drops any one of them in
 * silence is found out (L1, L4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ldap.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "ldap/options.h"

int __real_ldap_set_option(LDAP *ld, int option, const void *value);
int __real_ldap_get_option(LDAP *ld, int option, void *value);
int __wrap_ldap_set_option(LDAP *ld, int option, const void *value);
int __wrap_ldap_get_option(LDAP *ld, int option, void *value);

static int sets_left, gets_left, set_answer; /* until one is not done; -1: all are */
static int struck;                           /* the option that it was; 0: none yet */

int __wrap_ldap_set_option(LDAP *ld, int option, const void *value)
{
    if (sets_left == 0 && option != LDAP_OPT_X_TLS_NEWCTX) { /* that one cannot be read back */
        sets_left = -1;
        struck = option;
        return set_answer;
    }
    sets_left -= sets_left > 0;
    return __real_ldap_set_option(ld, option, value);
}

int __wrap_ldap_get_option(LDAP *ld, int option, void *value)
{
    if (gets_left == 0) {
        gets_left = -1;
        struck = option;
        return LDAP_OPT_ERROR;
    }
    gets_left -= gets_left > 0;
    return __real_ldap_get_option(ld, option, value);
}

/* A handle on which everything is as we do not want it. */
static LDAP *bad_handle(void)
{
    int version = LDAP_VERSION2, always = LDAP_DEREF_ALWAYS, never = LDAP_OPT_X_TLS_NEVER;
    int tls10 = LDAP_OPT_X_TLS_PROTOCOL_TLS1_0, none = LDAP_OPT_X_SASL_CBINDING_NONE;
    struct timeval long_time = {.tv_sec = 86400, .tv_usec = 5};
    LDAP *ld = NULL;

    assert_int_equal(ldap_initialize(&ld, "ldap://127.0.0.1:1"), LDAP_SUCCESS);
    (void)__real_ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);
    (void)__real_ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_ON);
    (void)__real_ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON);
    (void)__real_ldap_set_option(ld, LDAP_OPT_DEREF, &always);
    (void)__real_ldap_set_option(ld, LDAP_OPT_CONNECT_ASYNC, LDAP_OPT_OFF);
    (void)__real_ldap_set_option(ld, LDAP_OPT_X_SASL_NOCANON, LDAP_OPT_OFF);
    (void)__real_ldap_set_option(ld, LDAP_OPT_X_SASL_SECPROPS, "minssf=1,maxssf=56");
    (void)__real_ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &long_time);
    (void)__real_ldap_set_option(ld, LDAP_OPT_TIMEOUT, &long_time);
    (void)__real_ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &never);
    (void)__real_ldap_set_option(ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, &tls10);
    (void)__real_ldap_set_option(ld, LDAP_OPT_X_SASL_CBINDING, &none);
    (void)__real_ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, "/nonexistent/ours.pem");
    (void)__real_ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTDIR, "/nonexistent");
    return ld;
}

static int set(bool tls, int nth_set, int answer, int nth_get, struct err *e)
{
    struct ad_options o = {.tls = tls, .wait_ms = 1500};
    LDAP *ld = bad_handle();
    int rc;

    struck = 0;
    sets_left = nth_set;
    set_answer = answer;
    gets_left = nth_get;
    *e = ERR_NONE;
    rc = ad_options_set(ld, &o, e);
    sets_left = gets_left = -1;
    (void)ldap_unbind_ext(ld, NULL, NULL);
    return rc;
}

static void all_kept(void **state)
{
    struct err e;

    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        if (set(tls != 0, -1, 0, -1, &e) < 0)
            fail_msg("tls %d: %s", tls, e.msg);
    }
}

/* One by one: dropped with the answer "done", and refused. */
static void one_dropped(void **state)
{
    static const int answers[] = {LDAP_OPT_SUCCESS, LDAP_OPT_ERROR};
    int dropped = 0;

    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        for (int k = 0; k < 2; k++) {
            for (int n = 0;; n++) {
                struct err e;
                int rc = set(tls != 0, n, answers[k], -1, &e);

                if (struck == 0)
                    break;
                if (rc == 0)
                    fail_msg("tls %d: option 0x%x was dropped, and nobody saw it", tls,
                             (unsigned)struck);
                assert_int_equal(e.code, ERR_INTERNAL);
                assert_non_null(strstr(e.msg, "does not keep the setting"));
                dropped++;
            }
        }
    }
    assert_int_equal(dropped, 2 * (9 + 14)); /* a setting more: say so here */
}

/* What cannot be read back counts as not kept. */
static void one_unreadable(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        for (int n = 0;; n++) {
            struct err e;
            int rc = set(tls != 0, -1, 0, n, &e);

            if (struck == 0)
                break;
            if (struck == LDAP_OPT_SOCKBUF) { /* a limit on top, where there is a connection */
                assert_int_equal(rc, 0);
                continue;
            }
            assert_int_equal(rc, -1);
            assert_int_equal(e.code, ERR_INTERNAL);
        }
    }
}

static void no_ca(void **state)
{
    struct ad_options o = {.tls = true, .ca_file = "/nonexistent/ca.pem", .wait_ms = 1000};
    LDAP *ld = bad_handle();
    struct err e = ERR_NONE;

    (void)state;
    assert_int_equal(ad_options_set(ld, &o, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.msg, "/nonexistent/ca.pem"));
    (void)ldap_unbind_ext(ld, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kept),
        cmocka_unit_test(one_dropped),
        cmocka_unit_test(one_unreadable),
        cmocka_unit_test(no_ca),
    };

    sets_left = gets_left = -1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
