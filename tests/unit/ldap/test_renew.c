/* When the KDC may be asked by keytab again: a wrong key never twice, a silent KDC rarely (K5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <krb5/krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ldap/renew.h"

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

static const struct ad_keytab_mark old = {1, 2, 3, 4, 5}, new = {1, 9, 3, 8, 8};
static const struct err wrong = {.code = ERR_AUTH, .native = (int)KRB5KDC_ERR_PREAUTH_FAILED};
static const struct err silent = {.code = ERR_UNSENT, .native = (int)KRB5_KDC_UNREACH};

/* How long after `now` until it may; at most a day. */
static uint64_t waits(const struct ad_renew *r, const struct ad_keytab_mark *m, uint64_t now)
{
    uint64_t w = 0;

    while (w < 24 * HOUR && !ad_renew_may(r, m, now + w))
        w += SECOND;
    return w;
}

static void first(void **state)
{
    static const struct ad_keytab_mark absent = {0};
    struct ad_renew r = {0};

    (void)state;
    assert_true(ad_renew_may(&r, &old, 0));
    assert_true(ad_renew_may(&r, &absent, 0)); /* to hear what is wrong with it */
}

static void wrong_key(void **state)
{
    struct ad_renew r = {0};

    (void)state;
    ad_renew_asked(&r, &old);
    ad_renew_answered(&r, &wrong, 0, 7 * HOUR);
    assert_true(waits(&r, &old, 7 * HOUR) >= HOUR); /* the same key: not again */
    assert_true(ad_renew_may(&r, &new, 7 * HOUR));  /* rotated: at once */
    ad_renew_asked(&r, &new);
    ad_renew_answered(&r, &wrong, 0, 7 * HOUR);
    assert_true(waits(&r, &new, 7 * HOUR) >= HOUR); /* ... and once */
}

/* Asked whenever it may be: how often in a day? */
static void silent_kdc(void **state)
{
    struct ad_renew r = {0};
    unsigned asked = 0;

    (void)state;
    for (uint64_t now = 0; now < 24 * HOUR; now += 500) {
        if (!ad_renew_may(&r, asked % 2 ? &old : &new, now)) /* a new keytab changes nothing */
            continue;
        ad_renew_asked(&r, &old);
        ad_renew_answered(&r, &silent, 0, now);
        assert_int_equal(waits(&r, &old, now) <= 5 * MINUTE, true);
        asked++;
    }
    assert_in_range(asked, 24 * 12, 24 * 12 + 10); /* every 5 minutes, after a few quicker ones */
}

static void good(void **state)
{
    struct ad_renew r = {0};

    (void)state;
    ad_renew_asked(&r, &old);
    ad_renew_answered(&r, &silent, 0, 0);
    ad_renew_answered(&r, NULL, (int64_t)(10 * HOUR), HOUR);
    assert_int_equal(waits(&r, &old, HOUR), 10 * MINUTE);
    assert_true(ad_renew_may(&r, &new, HOUR));
    /* tickets of ten minutes are renewed in time, and not all the while */
    ad_renew_answered(&r, NULL, (int64_t)(10 * MINUTE), HOUR);
    assert_int_equal(waits(&r, &old, HOUR), 5 * MINUTE);
    ad_renew_answered(&r, NULL, -5, HOUR);
    assert_int_equal(waits(&r, &old, HOUR), 5 * SECOND);
    /* counting begins anew after a good one */
    ad_renew_answered(&r, &silent, 0, HOUR);
    assert_int_equal(waits(&r, &old, HOUR), 5 * SECOND);
}

static void marks(void **state)
{
    char path[] = "/tmp/cordon-test-renew-XXXXXX", second[64];
    struct ad_keytab_mark a, b, none = {0};
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    ad_keytab_mark(path, &a);
    ad_keytab_mark(path, &b);
    assert_true(ad_keytab_same(&a, &b));
    assert_int_equal(write(fd, "x", 1), 1); /* written to */
    ad_keytab_mark(path, &b);
    assert_false(ad_keytab_same(&a, &b));
    /* exchanged by rename, with the same length */
    (void)snprintf(second, sizeof(second), "%s.new", path);
    FILE *f = fopen(second, "w");

    assert_non_null(f);
    assert_int_equal(fputc('y', f), 'y');
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(second, path), 0);
    ad_keytab_mark(path, &a);
    assert_false(ad_keytab_same(&a, &b));
    assert_int_equal(unlink(path), 0);
    ad_keytab_mark(path, &a);
    assert_true(ad_keytab_same(&a, &none));
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first), cmocka_unit_test(wrong_key), cmocka_unit_test(silent_kdc),
        cmocka_unit_test(good),  cmocka_unit_test(marks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
