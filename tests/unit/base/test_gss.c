/* tests/unit/base/test_gss.c -- what can be seen of base/gss.c without a KDC; with one it is
 * tests/e2e/winrm_conn.t. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/gss.h"
#include "tests/unit/alloc.h"

static struct loop *loop;
static char folder[] = "/tmp/cordon-gss.XXXXXX";

struct seen {
    int callbacks;
    bool done;
    struct err e;
    struct gss *frees; /* from inside */
};

static void on_step(void *arg, const void *token, size_t len, bool done, const struct err *e)
{
    struct seen *s = arg;

    (void)token;
    s->callbacks++;
    s->done = done;
    s->e = e != NULL ? *e : ERR_NONE;
    assert_true(e == NULL || (len == 0 && !done));
    gss_free(s->frees);
}

static struct gss *make(const char *ccache, enum gss_mech mech)
{
    struct gss *g = NULL;
    struct err e;

    assert_int_equal(gss_new(loop,
                             &(struct gss_settings){.mech = mech,
                                                    .service = "HTTP",
                                                    .host = "dc1.corp.example.com",
                                                    .ccache = ccache,
                                                    .binding = "tls-server-end-point:x",
                                                    .binding_len = 22},
                             &g, &e),
                     0);
    return g;
}

static struct seen step(struct gss *g)
{
    struct seen s = {0};
    struct err e;

    if (gss_step_start(g, NULL, 0, on_step, &s, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(s.callbacks, 0);
    (void)loop_run(loop, &e);
    assert_int_equal(s.callbacks, 1);
    return s;
}

static void no_tickets(void **state)
{
    char none[64], junk[64], folder_as_file[64];
    const struct {
        const char *ccache, *words;
    } rows[] = {
        {none, "run kinit"},
        {"MEMORY:nobody-has-made-it", "run kinit"},
        {junk, "cannot be used"},
        {folder_as_file, "dc1.corp.example.com"},
        {"NONSENSE:x", "cannot be used"},
        {NULL, "run kinit"}, /* KRB5CCNAME, set in main */
    };
    FILE *f;

    (void)state;
    (void)snprintf(none, sizeof(none), "FILE:%s/none", folder);
    (void)snprintf(junk, sizeof(junk), "FILE:%s/junk", folder);
    (void)snprintf(folder_as_file, sizeof(folder_as_file), "FILE:%s", folder);
    f = fopen(junk + strlen("FILE:"), "w");
    assert_non_null(f);
    (void)fputs("these are no tickets", f);
    (void)fclose(f);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (enum gss_mech m = GSS_SPNEGO; m <= GSS_KRB5; m++) {
            struct gss *g = make(rows[i].ccache, m);
            struct seen s = step(g);
            struct err e;

            if (s.e.code != ERR_AUTH || strstr(s.e.msg, rows[i].words) == NULL ||
                strstr(s.e.msg, "HTTP/dc1.corp.example.com") == NULL)
                fail_msg("%s: %s %s", rows[i].ccache, err_word(s.e.code), s.e.msg);
            assert_false(gss_is_done(g));
            assert_int_equal(gss_left_s(g), 0);
            /* and that was its end */
            assert_int_equal(gss_step_start(g, NULL, 0, on_step, &s, &e), -1);
            gss_free(g);
        }
    }
    assert_int_equal(unlink(junk + strlen("FILE:")), 0);
}

/* Nothing is sealed or believed before the context stands. */
static void no_context(void **state)
{
    struct gss *g = make("MEMORY:none", GSS_SPNEGO);
    struct text a = TEXT_INIT(100), b = TEXT_INIT(100);
    struct err e;

    (void)state;
    assert_int_equal(gss_seal_message(g, "x", 1, &a, &b, &e), -1);
    assert_int_equal(gss_unseal_message(g, "x", 1, "y", 1, &a, &e), -1);
    assert_int_equal(e.code, ERR_AUTH);
    assert_int_equal(a.len + b.len, 0);
    assert_false(gss_is_bound(g));
    assert_string_equal(gss_enctype(g), "");
    gss_free(g);
    text_done(&a);
    text_done(&b);
    gss_free(NULL);
}

/* Freed while its job runs, and from inside its callback. */
static void freed(void **state)
{
    struct seen s = {0};
    struct gss *g = make("MEMORY:none", GSS_KRB5);
    struct err e;

    (void)state;
    assert_int_equal(gss_step_start(g, NULL, 0, on_step, &s, &e), 0);
    assert_int_equal(gss_step_start(g, NULL, 0, on_step, &s, &e), -1); /* one at a time */
    gss_free(g);
    (void)loop_run(loop, &e);
    assert_int_equal(s.callbacks, 0);

    g = make("MEMORY:none", GSS_KRB5);
    s.frees = g;
    assert_int_equal(gss_step_start(g, NULL, 0, on_step, &s, &e), 0);
    (void)loop_run(loop, &e);
    assert_int_equal(s.callbacks, 1);
}

/* M2: ours on the loop's side; what fails inside libkrb5 is its own. */
static void memory(void **state)
{
    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        struct gss *g = NULL;
        struct err e;
        int rc = gss_new(loop,
                         &(struct gss_settings){.service = "HTTP",
                                                .host = "dc1",
                                                .ccache = "MEMORY:x",
                                                .binding = "x",
                                                .binding_len = 1},
                         &g, &e);

        alloc_left = -1;
        assert_true(rc == 0 ? g != NULL : e.code == ERR_NOMEM);
        gss_free(g);
    }
}

static int set_up(void **state)
{
    struct err e;

    (void)state;
    return loop_new(&loop, &e);
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_tickets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_context, set_up, tear_down),
        cmocka_unit_test_setup_teardown(freed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory, set_up, tear_down),
    };
    char none[64];
    int rc;

    if (mkdtemp(folder) == NULL)
        return 1;
    (void)snprintf(none, sizeof(none), "FILE:%s/none", folder);
    /* No host's own settings, tickets or keytab (a client keytab would be asked for some). */
    if (setenv("KRB5_CONFIG", "/dev/null", 1) < 0 || setenv("KRB5CCNAME", none, 1) < 0 ||
        setenv("KRB5_CLIENT_KTNAME", none, 1) < 0)
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(folder);
    return rc;
}
