/* The answer to an LDAP ping, compressed names and all. (L8, M1) */
#include "ldap/netlogon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"

struct build {
    uint8_t b[2048];
    size_t n;
};

static void put(struct build *d, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        d->b[d->n++] = (uint8_t)(i < 8 ? v >> (8 * i) : 0);
}

static void label(struct build *d, const char *s)
{
    d->b[d->n++] = (uint8_t)strlen(s);
    memcpy(d->b + d->n, s, strlen(s));
    d->n += strlen(s);
}

static void jump(struct build *d, size_t to)
{
    d->b[d->n++] = (uint8_t)(0xc0 | to >> 8);
    d->b[d->n++] = (uint8_t)to;
}

static void head(struct build *d, uint16_t opcode)
{
    memset(d, 0, sizeof(*d));
    put(d, opcode, 2);
    put(d, 0, 2);
    put(d, 0x31fd, 4);
    for (unsigned i = 0; i < 16; i++)
        put(d, i, 1);
}

static void tail(struct build *d, uint32_t version)
{
    put(d, version, 4);
    put(d, 0xffffffff, 4);
}

/* As a DC sends it: forest at 24, the rest points into it. */
static void names(struct build *d)
{
    label(d, "corp"); /* 24 */
    label(d, "example");
    label(d, "com");
    put(d, 0, 1);
    jump(d, 24); /* domain */
    label(d, "dc1");
    jump(d, 24);
    label(d, "CORP");
    put(d, 0, 1);
    label(d, "DC1");
    put(d, 0, 1);
    put(d, 0, 1); /* no user */
    label(d, "Zürich");
    put(d, 0, 1);
    jump(d, d->n - 9); /* client site: the same */
}

static int parse(const struct build *d, size_t n, struct ad_netlogon *nl, struct err *e)
{
    uint8_t *b = malloc(n + (n == 0));
    int rc;

    assert_non_null(b);
    memcpy(b, d->b, n);
    rc = ad_netlogon_parse(b, n, nl, e);
    free(b);
    return rc;
}

static void answer(void **state)
{
    static const uint16_t opcodes[] = {23, 25};
    struct text t = TEXT_INIT(256);
    struct ad_netlogon nl;
    struct build d;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(opcodes); i++) {
        head(&d, opcodes[i]);
        names(&d);
        tail(&d, 5);
        if (parse(&d, d.n, &nl, &e) < 0)
            fail_msg("%s", e.msg);
        assert_string_equal(nl.forest, "corp.example.com");
        assert_string_equal(nl.domain, "corp.example.com");
        assert_string_equal(nl.host, "dc1.corp.example.com");
        assert_string_equal(nl.netbios_domain, "CORP");
        assert_string_equal(nl.netbios_host, "DC1");
        assert_string_equal(nl.user, "");
        assert_string_equal(nl.dc_site, "Zürich");
        assert_string_equal(nl.client_site, "Zürich");
        assert_string_equal(nl.next_site, "");
        assert_int_equal(nl.flags, 0x31fd);
        assert_int_equal(nl.nt_version, 5);
        assert_int_equal(nl.domain_guid.b[15], 15);
    }
    ad_netlogon_words(&t, AD_NETLOGON_PDC | AD_NETLOGON_WRITABLE);
    assert_string_equal(t.s, "pdc, writable");
    text_done(&t);

    /* with the next closest site, and with an address before it */
    head(&d, 23);
    names(&d);
    label(&d, "Basel");
    put(&d, 0, 1);
    tail(&d, 0x15);
    assert_int_equal(parse(&d, d.n, &nl, &e), 0);
    assert_string_equal(nl.next_site, "Basel");
    head(&d, 23);
    names(&d);
    put(&d, 16, 1);
    for (int i = 0; i < 16; i++)
        put(&d, 0xff, 1);
    label(&d, "Basel");
    put(&d, 0, 1);
    tail(&d, 0x1d);
    assert_int_equal(parse(&d, d.n, &nl, &e), 0);
    assert_string_equal(nl.next_site, "Basel");

    /* an address, or a site, that is cut short */
    head(&d, 23);
    names(&d);
    put(&d, 16, 8);
    tail(&d, 0xd);
    assert_int_equal(parse(&d, d.n, &nl, &e), -1);
    head(&d, 23);
    names(&d);
    label(&d, "Basel");
    tail(&d, 0x15);
    assert_int_equal(parse(&d, d.n, &nl, &e), -1);

    head(&d, 24);
    names(&d);
    tail(&d, 5);
    assert_int_equal(parse(&d, d.n, &nl, &e), -1);
    assert_int_equal(e.code, ERR_BUSY);
    head(&d, 19); /* the old form */
    names(&d);
    tail(&d, 5);
    assert_int_equal(parse(&d, d.n, &nl, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
}

static void cut_short(void **state)
{
    struct ad_netlogon nl;
    struct build d;
    struct err e;

    (void)state;
    head(&d, 23);
    names(&d);
    tail(&d, 5);
    for (size_t n = 0; n < d.n; n++)
        assert_int_equal(parse(&d, n, &nl, &e), -1);
    /* names that reach into the tail */
    for (size_t n = 32; n < d.n - 8; n++) {
        struct build s = d;

        s.n = n;
        tail(&s, 5);
        assert_int_equal(parse(&s, s.n, &nl, &e), -1);
    }
}

/* The forest name is what `make` writes at offset 24; all else is empty. */
static int forest(void (*make)(struct build *), struct ad_netlogon *nl)
{
    struct build d;
    struct err e;

    head(&d, 23);
    make(&d);
    label(&d, "d");
    put(&d, 0, 1);
    label(&d, "h");
    put(&d, 0, 1);
    put(&d, 0, 5);
    tail(&d, 5);
    return parse(&d, d.n, nl, &e);
}

static void plain(struct build *d)
{
    label(d, "f");
    put(d, 0, 1);
}
static void to_itself(struct build *d)
{
    jump(d, 24);
}
static void to_own_label(struct build *d)
{
    label(d, "f");
    jump(d, 24);
}
static void forwards(struct build *d)
{
    jump(d, 26);
    label(d, "f");
    put(d, 0, 1);
}
static void outside(struct build *d)
{
    jump(d, 0x3fff);
}
static void half_a_jump(struct build *d)
{
    put(d, 0xc0, 1);
}
static void undefined_form(struct build *d)
{
    put(d, 0x80, 1);
    put(d, 0, 1);
}
static void empty_name(struct build *d)
{
    put(d, 0, 1);
}
static void with_dot(struct build *d)
{
    label(d, "a.b");
    put(d, 0, 1);
}
static void with_escape(struct build *d)
{
    label(d, "a\033[2J");
    put(d, 0, 1);
}
static void with_bidi(struct build *d)
{
    label(d, "a\xe2\x80\xae");
    put(d, 0, 1);
}
static void not_utf8(struct build *d)
{
    label(d, "a\xff");
    put(d, 0, 1);
}
static void too_long(struct build *d)
{
    for (int i = 0; i < 5; i++)
        label(d, "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff");
    put(d, 0, 1);
}

static void names_refused(void **state)
{
    static void (*const bad[])(struct build *) = {
        to_itself,  to_own_label, forwards,    outside,   half_a_jump, undefined_form,
        empty_name, with_dot,     with_escape, with_bidi, not_utf8,    too_long};
    struct ad_netlogon nl;

    (void)state;
    assert_int_equal(forest(plain, &nl), 0);
    assert_string_equal(nl.forest, "f");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (forest(bad[i], &nl) == 0)
            fail_msg("case %zu was taken", i);
    }
}

/* Each name a jump to the jump before it: the longest chain that can be made stays bounded. */
static void chains(void **state)
{
    struct ad_netlogon nl;
    struct build d;
    struct err e;

    (void)state;
    head(&d, 23);
    label(&d, "f");
    put(&d, 0, 1);
    for (int i = 0; i < 7; i++)
        jump(&d, i == 0 ? 24 : d.n - 2);
    tail(&d, 5);
    assert_int_equal(parse(&d, d.n, &nl, &e), 0);
    assert_string_equal(nl.client_site, "f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(names_refused),
        cmocka_unit_test(chains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
