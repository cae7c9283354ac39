/* Tickets by keytab, with a KDC that is only played: a wrong key is not tried twice, a keytab that
 * was exchanged is read once more (K5), and tickets do not outlive those who use them (K3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <krb5/krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ldap/cred.h"

#define WHO "svc@EXAMPLE.COM"

static char folder[] = "/tmp/cordon-test-cred-XXXXXX", keytab[64];

/* --- the KDC ------------------------------------------------------------------------ */

static struct {
    unsigned asked;
    krb5_error_code answers[3]; /* to the first, the second ... */
    unsigned rotate_at;         /* while it is asked for the n-th time, from 1; 0: never */
} kdc;

static void write_keytab(const char *who)
{
    krb5_keytab_entry entry = {.vno = 1};
    krb5_context ctx = NULL;
    krb5_keytab kt = NULL;
    char name[80], key[32] = {1};

    (void)snprintf(name, sizeof(name), "FILE:%s", keytab);
    (void)unlink(keytab);
    assert_int_equal(krb5_init_context(&ctx), 0);
    assert_int_equal(krb5_kt_resolve(ctx, name, &kt), 0);
    assert_int_equal(krb5_parse_name(ctx, who, &entry.principal), 0);
    entry.key = (krb5_keyblock){.enctype = ENCTYPE_AES256_CTS_HMAC_SHA1_96,
                                .length = sizeof(key),
                                .contents = (krb5_octet *)key};
    assert_int_equal(krb5_kt_add_entry(ctx, kt, &entry), 0);
    krb5_free_principal(ctx, entry.principal);
    assert_int_equal(krb5_kt_close(ctx, kt), 0);
    krb5_free_context(ctx);
    assert_int_equal(chmod(keytab, 0600), 0);
}

krb5_error_code __wrap_krb5_get_init_creds_keytab(krb5_context ctx, krb5_creds *creds,
                                                  krb5_principal client, krb5_keytab kt,
                                                  krb5_deltat start, const char *service,
                                                  krb5_get_init_creds_opt *opt);
krb5_error_code __wrap_krb5_get_init_creds_keytab(krb5_context ctx, krb5_creds *creds,
                                                  krb5_principal client, krb5_keytab kt,
                                                  krb5_deltat start, const char *service,
                                                  krb5_get_init_creds_opt *opt)
{
    krb5_error_code rc = kdc.answers[kdc.asked < 3 ? kdc.asked : 2];

    (void)kt;
    (void)start;
    (void)service;
    (void)opt;
    kdc.asked++;
    if (kdc.asked == kdc.rotate_at)
        write_keytab(WHO);
    if (rc != 0)
        return rc;
    memset(creds, 0, sizeof(*creds));
    assert_int_equal(krb5_copy_principal(ctx, client, &creds->client), 0);
    assert_int_equal(krb5_parse_name(ctx, "krbtgt/EXAMPLE.COM@EXAMPLE.COM", &creds->server), 0);
    creds->times.endtime = 2000000000;
    return 0;
}

/* --- one question --------------------------------------------------------------------- */

static struct {
    unsigned calls;
    bool good, keep;
    struct ad_cred cred;
    struct err err;
} got;

/* Is there anything in the cache of that name? */
static bool has_tickets(const char *name)
{
    krb5_context ctx = NULL;
    krb5_principal who = NULL;
    krb5_ccache cc = NULL;
    bool there;

    assert_int_equal(krb5_init_context(&ctx), 0);
    assert_int_equal(krb5_cc_resolve(ctx, name, &cc), 0);
    there = krb5_cc_get_principal(ctx, cc, &who) == 0;
    if (who != NULL)
        krb5_free_principal(ctx, who);
    if (there)
        (void)krb5_cc_close(ctx, cc);
    else
        (void)krb5_cc_destroy(ctx, cc);
    krb5_free_context(ctx);
    return there;
}

static void on_cred(void *arg, const struct ad_cred *cred, const struct err *e)
{
    (void)arg;
    got.calls++;
    got.good = cred != NULL;
    if (cred == NULL) {
        got.err = *e;
        return;
    }
    got.cred = *cred;
    assert_true(has_tickets(ad_ccache_name(cred->cache)));
    if (got.keep)
        (void)ad_ccache_ref(cred->cache);
}

static void ask(bool keep, krb5_error_code first, krb5_error_code second, unsigned rotate_at)
{
    struct loop *l = NULL;
    struct err e;

    memset(&got, 0, sizeof(got));
    memset(&kdc, 0, sizeof(kdc));
    got.keep = keep;
    kdc.answers[0] = first;
    kdc.answers[1] = kdc.answers[2] = second;
    kdc.rotate_at = rotate_at;
    write_keytab(WHO);
    assert_int_equal(loop_new(&l, &e), 0);
    assert_int_equal(ad_cred_keytab_start(l, keytab, "svc", "EXAMPLE.COM", on_cred, NULL, &e), 0);
    assert_int_equal(got.calls, 0); /* never inside start */
    assert_int_equal(loop_run(l, &e), 0);
    loop_free(l);
    assert_int_equal(got.calls, 1);
}

static void wrong_key_once(void **state)
{
    (void)state;
    ask(false, KRB5KDC_ERR_PREAUTH_FAILED, 0, 0);
    assert_false(got.good);
    assert_int_equal(kdc.asked, 1); /* a second try would count towards the lock-out */
    assert_int_equal(got.err.code, ERR_AUTH);
    assert_int_equal(got.err.native, (int)KRB5KDC_ERR_PREAUTH_FAILED);
    assert_non_null(strstr(got.err.msg, "make the keytab anew"));
}

static void rotated(void **state)
{
    (void)state;
    ask(false, KRB5KDC_ERR_PREAUTH_FAILED, 0, 1);
    assert_int_equal(kdc.asked, 2);
    assert_true(got.good);
    assert_string_equal(got.cred.principal, WHO);
    assert_int_equal(got.cred.ends_ms, INT64_C(2000000000000));
    /* exchanged, and wrong again: that was it, even where it changes once more */
    ask(false, KRB5KDC_ERR_PREAUTH_FAILED, KRB5KDC_ERR_PREAUTH_FAILED, 1);
    assert_int_equal(kdc.asked, 2);
    assert_false(got.good);
    /* another cause is no reason to read again */
    ask(false, KRB5_KDC_UNREACH, 0, 1);
    assert_int_equal(kdc.asked, 1);
    assert_int_equal(got.err.code, ERR_UNSENT);
}

static void destroyed(void **state)
{
    struct ad_ccache *first, *second;
    char name[64];

    (void)state;
    /* nobody kept it: gone after the callback */
    ask(false, 0, 0, 0);
    assert_true(got.good);
    ask(true, 0, 0, 0);
    first = got.cred.cache;
    (void)snprintf(name, sizeof(name), "%s", ad_ccache_name(first));
    assert_true(has_tickets(name));
    /* two users, as the set of DCs and a bind under way: the last one ends it */
    second = ad_ccache_ref(first);
    ad_ccache_unref(&first);
    assert_null(first);
    assert_true(has_tickets(name));
    ad_ccache_unref(&second);
    assert_false(has_tickets(name));
    ad_ccache_unref(&second); /* NULL */
    assert_null(ad_ccache_ref(NULL));
    assert_null(ad_ccache_name(NULL));
}

static void not_kept(void **state)
{
    char name[64];

    (void)state;
    ask(true, 0, 0, 0);
    (void)snprintf(name, sizeof(name), "%s", ad_ccache_name(got.cred.cache));
    ad_ccache_unref(&got.cred.cache);
    ask(false, 0, 0, 0);
    /* serial numbers: the one after */
    (void)snprintf(strrchr(name, '-') + 1, 12, "%lu",
                   strtoul(strrchr(name, '-') + 1, NULL, 10) + 1);
    assert_false(has_tickets(name));
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || setenv("KRB5_CONFIG", "/dev/null", 1) < 0)
        return -1;
    (void)snprintf(keytab, sizeof(keytab), "%s/k.keytab", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(keytab);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_key_once),
        cmocka_unit_test(rotated),
        cmocka_unit_test(destroyed),
        cmocka_unit_test(not_kept),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
