/* tests/unit/base/test_secret.c -- bytes that nobody may see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/secret.h"

/* S1 */
static void making(void **state)
{
    CLEANUP(secret_freep) struct secret *a = NULL, *b = NULL, *c = NULL, *none = NULL;
    struct err e = ERR_NONE;

    (void)state;
    secret_free(NULL);
    assert_int_equal(secret_new(5, &a, &e), 0);
    assert_int_equal(secret_new(5, &b, &e), 0);
    assert_int_equal(secret_new(6, &c, &e), 0);
    assert_int_equal(secret_new(0, &none, &e), 0);
    assert_int_equal(secret_len(a), 5);
    assert_int_equal(secret_len(none), 0);
    assert_memory_equal(secret_bytes(a), "\0\0\0\0\0", 5);
    assert_true(secret_equal(a, b));
    assert_false(secret_equal(a, c));
    secret_bytes(b)[4] = 1;
    assert_false(secret_equal(a, b));

    struct secret *big = NULL;
    assert_int_equal(secret_new(SIZE_MAX, &big, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    assert_null(big);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MLOCK_WORKS = 0 }; /* the sanitizers make mlock do nothing and say yes */
#else
enum { MLOCK_WORKS = 1 };
#endif

static bool flag_of(const void *p, const char *flag)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false, found = false;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        unsigned long from, to;

        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = (unsigned long)p >= from && (unsigned long)p < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, flag) != NULL;
    }
    (void)fclose(f);
    return found;
}

/* S1: locked, and not in a core dump */
static void kept_in(void **state)
{
    CLEANUP(secret_freep) struct secret *s = NULL;
    struct err e;

    (void)state;
    assert_int_equal(secret_new(32, &s, &e), 0);
    assert_true(flag_of(secret_bytes(s), " dd"));
    if (MLOCK_WORKS && secret_is_locked(s))
        assert_true(flag_of(secret_bytes(s), " lo"));
}

/* S1: where locking is refused, it says so and goes on */
static void not_locked(void **state)
{
    struct rlimit old, none;

    (void)state;
    if (!MLOCK_WORKS || geteuid() == 0) /* root may lock whatever the limit */
        skip();
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &old), 0);
    none = old;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    {
        CLEANUP(secret_freep) struct secret *s = NULL;
        struct err e;

        assert_int_equal(secret_new(32, &s, &e), 0);
        assert_false(secret_is_locked(s));
    }
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &old), 0);
}

/* S2, F1 */
static void from_file(void **state)
{
    CLEANUP(secret_freep) struct secret *s = NULL, *other = NULL;
    char folder[] = "/tmp/cordon-secret.XXXXXX", path[64];
    struct err e = ERR_NONE;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/s", folder);
    assert_int_equal(file_write_atomic(path, "abc\n", 4, &e), 0);
    assert_int_equal(secret_from_file(path, 4, &s, &e), 0);
    assert_int_equal(secret_len(s), 4);
    assert_memory_equal(secret_bytes(s), "abc\n", 4);

    assert_int_equal(secret_from_file(path, 3, &other, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(secret_from_file(path, 4, &other, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.msg, "chmod 600"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(secret_from_file(path, 4, &other, &e), -1);
    assert_int_equal(e.code, ERR_NOTFOUND);
    assert_null(other);
    assert_int_equal(rmdir(folder), 0);
}

/* S3 */
static void passwords(void **state)
{
    CLEANUP(secret_freep) struct secret *bad = NULL;
    unsigned seen[256] = {0};
    struct err e = ERR_NONE;
    unsigned least = UINT32_MAX, most = 0;

    (void)state;
    assert_int_equal(secret_password(15, &bad, &e), -1);
    assert_int_equal(secret_password(257, &bad, &e), -1);
    assert_null(bad);
    for (int i = 0; i < 2000; i++) {
        CLEANUP(secret_freep) struct secret *s = NULL;
        bool upper = false, lower = false, digit = false, sign = false;
        size_t n = i % 2 == 0 ? 16 : 64;

        assert_int_equal(secret_password(n, &s, &e), 0);
        assert_int_equal(secret_len(s), n);
        for (size_t k = 0; k < n; k++) {
            uint8_t c = secret_bytes(s)[k];

            seen[c]++;
            upper = upper || (c >= 'A' && c <= 'Z');
            lower = lower || (c >= 'a' && c <= 'z');
            digit = digit || (c >= '0' && c <= '9');
            sign = sign || (c != 0 && strchr("-_.+", c) != NULL);
        }
        assert_true(upper && lower && digit && sign);
    }
    /* 80,000 characters over 66: all occur, about as often as one another (signs and digits a
     * little more: each password must have one), and nothing else does. */
    for (unsigned c = 0; c < 256; c++) {
        bool allowed = c != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                        "0123456789-_.+",
                                        (int)c) != NULL;

        assert_true((seen[c] > 0) == allowed);
        if (allowed && seen[c] < least)
            least = seen[c];
        if (seen[c] > most)
            most = seen[c];
    }
    assert_true(most < 2 * least);
}

static void copied(void **state)
{
    CLEANUP(secret_freep) struct secret *a = NULL, *kept = NULL;
    struct err e;

    (void)state;
    assert_int_equal(secret_new(3, &a, &e), 0);
    memcpy(secret_bytes(a), "abc", 3);
    assert_int_equal(secret_keep(&kept, a, &e), 0);
    secret_bytes(a)[0] = 'x';
    assert_int_equal(secret_len(kept), 3);
    assert_memory_equal(secret_bytes(kept), "abc", 4);
    assert_int_equal(secret_keep(&kept, kept, &e), 0); /* of itself */
    assert_memory_equal(secret_bytes(kept), "abc", 4);
    assert_int_equal(secret_keep(&kept, a, &e), 0);
    assert_memory_equal(secret_bytes(kept), "xbc", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(making),    cmocka_unit_test(kept_in), cmocka_unit_test(not_locked),
        cmocka_unit_test(from_file), cmocka_unit_test(copied),  cmocka_unit_test(passwords),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
