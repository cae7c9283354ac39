/* tests/unit/config/test_list.c -- lists of accounts never cut a DN apart (rules of list.h, F4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config/list.h"
#include "tests/unit/alloc.h"

typedef int split_fn(const char *value, struct cfg_list *ret_list, size_t *ret_at, struct err *e);

/* Each entry in <>; or "!" and the error. */
static void dump(split_fn *split, const char *value, struct text *out)
{
    CLEANUP(cfg_list_done) struct cfg_list l = {0};
    struct err e = ERR_NONE;
    size_t at = 0;

    if (split(value, &l, &at, &e) < 0) {
        assert_int_equal(e.code, ERR_CONFIG);
        assert_int_equal(l.count, 0);
        assert_true(at <= strlen(value));
        text_addf(out, "!%s", e.msg);
        return;
    }
    for (size_t i = 0; i < l.count; i++)
        text_addf(out, "<%s>", l.items[i]);
}

struct row {
    const char *value, *want; /* want "!x": an error that has x in it */
};

static void run(split_fn *split, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct text out = TEXT_INIT(65536);
        bool same;

        dump(split, rows[i].value, &out);
        same = rows[i].want[0] == '!' ? out.s[0] == '!' && strstr(out.s, rows[i].want + 1) != NULL
                                      : strcmp(out.s, rows[i].want) == 0;
        if (!same)
            fail_msg("#%zu '%s':\ngot  %s\nwant %s", i, rows[i].value, out.s, rows[i].want);
        text_done(&out);
    }
}

static void plain(void **state)
{
    static const struct row rows[] = {
        {"a", "<a>"},         {"a,b", "<a><b>"},   {" a ,\tb ", "<a><b>"}, {"a\nb,c", "<a><b><c>"},
        {"a,\nb", "<a><b>"},  {"a,,b", "!empty"},  {",a", "!empty"},       {"a,", "!empty"},
        {"a,\n,b", "!empty"}, {"a,b,A", "!twice"}, {"\"a\",b", "!quotes"},
    };

    (void)state;
    run(cfg_list_plain, rows, ARRAY_LEN(rows));
}

#define VIP "CN=VIP,OU=Groups,DC=corp,DC=example,DC=com"
#define OPS "OU=Ops,DC=corp,DC=example,DC=com"

static void accounts(void **state)
{
    static const struct row rows[] = {
        /* rule 1 */
        {"alice", "<alice>"},
        {"alice,bob;carol\ndave", "<alice><bob><carol><dave>"},
        {"alice, bob; carol,\ndave", "<alice><bob><carol><dave>"},
        {"Anna Smith, x", "<Anna Smith><x>"},
        {"adm-*, svc-?", "<adm-*><svc-?>"},
        {"alice@corp.example.com", "<alice@corp.example.com>"},
        {"S-1-5-21-1-2-3-1105", "<S-1-5-21-1-2-3-1105>"},
        {"SID:S-1-5-21-1-2-3-1105, x", "<sid:S-1-5-21-1-2-3-1105><x>"},
        {"sid:alice", "!behind sid: stands S-1-"},
        {"sid:S-1-", "!behind sid: stands S-1-"},
        {"sid:CN=a,DC=b", "!behind sid: stands S-1-"},
        {"CORP\\alice, bob", "<CORP\\alice><bob>"},
        /* rule 2 */
        {"group:" VIP, "<group:" VIP ">"},
        {"GROUP: " VIP, "<group:" VIP ">"},
        {"group:Tier 0, alice", "<group:Tier 0><alice>"},
        {"ou:" OPS, "<ou:" OPS ">"},
        {"alice, group:" VIP ", bob", "<alice><group:" VIP "><bob>"},
        {"group:" VIP ",ou:" OPS, "<group:" VIP "><ou:" OPS ">"},
        {"group:" VIP ", group:x", "<group:" VIP "><group:x>"},
        {VIP, "<" VIP ">"},
        {"CN=a, OU=b , DC=c", "<CN=a, OU=b , DC=c>"},
        {"CN = a,OU = b,DC = c, bob", "<CN = a,OU = b,DC = c><bob>"},
        {"2.5.4.3=a,DC=c", "<2.5.4.3=a,DC=c>"},
        {"CN=a,0.9.2342.19200300.100.1.25=c", "<CN=a,0.9.2342.19200300.100.1.25=c>"},
        {"CN=a+SN=b,DC=c", "<CN=a+SN=b,DC=c>"},
        {"DC=corp,DC=com", "<DC=corp,DC=com>"},
        /* rule 3 */
        {VIP ";" OPS, "<" VIP "><" OPS ">"},
        {VIP "\n" OPS, "<" VIP "><" OPS ">"},
        {VIP ",\nbob", "<" VIP "><bob>"},
        {VIP ",\ngroup:" OPS, "<" VIP "><group:" OPS ">"},
        {"bob,\n" VIP, "<bob><" VIP ">"},
        {VIP "," OPS, "!two DNs"},
        {VIP ", " OPS, "!two DNs"},
        {"group:" VIP ", " OPS, "!two DNs"},
        {VIP ",\n" OPS, "!a DN ends in a comma"},
        {"CN=VIP,OU=Groups,\nDC=corp,DC=com", "!a DN ends in a comma"},
        {"CN=VIP,OU=Groups\nDC=corp,DC=com", "!does not end in DC="},
        {"CN=Doe, Jane,OU=x,DC=y", "!a comma in a name is written \\,"},
        {"CN=Doe,Jane,OU=x,DC=y", "!a comma in a name is written \\,"},
        {"CN=VIP", "!does not end in DC="},
        {"group:CN=VIP,OU=Groups", "!does not end in DC="},
        {"CN=,DC=y", "!a part is empty"},
        {"CN=a,DC=", "!a part is empty"},
        {"CN=a,DC=y,", "!empty"},
        {"CN=a,,DC=y", "!does not end in DC="},
        /* rule 4 */
        {"CN=Doe\\, Jane,OU=x,DC=y", "<CN=Doe\\, Jane,OU=x,DC=y>"},
        {"CN=Doe\\,OU=Jane,OU=x,DC=y", "<CN=Doe\\,OU=Jane,OU=x,DC=y>"},
        {"bob,CN=Doe\\, Jane,OU=x,DC=y;group:CN=A\\;B,DC=y,carol",
         "<bob><CN=Doe\\, Jane,OU=x,DC=y><group:CN=A\\;B,DC=y><carol>"},
        {"CN=a\\\\,OU=x,DC=y", "<CN=a\\\\,OU=x,DC=y>"},
        {"CN=a\\\\, bob", "!does not end in DC="},
        {"CN=a\\2C b,DC=y, bob", "<CN=a\\2C b,DC=y><bob>"},
        {"CN=a\\=b,DC=y", "<CN=a\\=b,DC=y>"},
        {"CN=a\\\"b,DC=y", "<CN=a\\\"b,DC=y>"},
        {"CN=a,DC=y\\ ", "<CN=a,DC=y\\ >"},
        {"alice\\", "!backslash with nothing"},
        {"CN=a,DC=y\\\nbob", "!backslash with nothing"},
        /* rule 5 */
        {"\"alice\"", "<alice>"},
        {"\"" VIP "\", bob", "<" VIP "><bob>"},
        {"\"" VIP "\",\"" OPS "\"", "<" VIP "><" OPS ">"},
        {"group:\"" VIP "\",\n\"" OPS "\"", "<group:" VIP "><" OPS ">"},
        {"\"group:" VIP "\", \"ou:" OPS "\"", "<group:" VIP "><ou:" OPS ">"},
        {"\"CN=A;B #1,DC=y\"", "<CN=A;B #1,DC=y>"},
        {"\"CN=Doe\\, Jane,OU=x,DC=y\"", "<CN=Doe\\, Jane,OU=x,DC=y>"},
        {"\"CN=a\\\"b,DC=y\"", "<CN=a\\\"b,DC=y>"},
        {"\" alice \"", "<alice>"},
        {"\"CN=Doe, Jane,OU=x,DC=y\"", "!a comma in a name is written \\,"},
        {"\"" VIP "," OPS "\"", "!two DNs"},
        {"\"alice\" bob", "!behind the closing quote"},
        {"\"alice", "!not closed"},
        {"al\"ice\"", "!quotes stand around"},
        {"CN=\"Doe, Jane\",OU=x,DC=y", "!"},
        {"O=\"a\",DC=y", "!quotes stand around"},
        {"\"alice, bob\"", "!neither a name"},
        /* rule 6 */
        {"alice,,bob", "!empty"},
        {"alice,;bob", "!empty"},
        {",alice", "!empty"},
        {"alice,", "!empty"},
        {"alice;", "!empty"},
        {"alice,\n;bob", "!empty"},
        {"\"\"", "!empty"},
        {"group:", "!empty"},
        {"group:,alice", "!empty"},
        {"alice, ALICE", "!twice"},
        {VIP ";" VIP, "!twice"},
        /* what looks like a slip */
        {"user:alice", "!neither a name"},
        {"grp:" VIP, "!neither a name"},
        {"ou:People", "!behind ou: stands a DN"},
        {"allow_privileged = yes", "!neither a name"},
        {"alice\nwrite = all", "!does not end in DC="},
    };

    (void)state;
    run(cfg_list_accounts, rows, ARRAY_LEN(rows));
}

static void dns(void **state)
{
    static const struct {
        const char *dn, *domain;
    } rows[] = {
        {VIP, "corp.example.com"},
        {"DC=Corp, dc = Example,Dc=COM", "corp.example.com"},
        {"CN=Doe\\,DC=x,DC=y", "y"},
        {"CN=a,0.9.2342.19200300.100.1.25=c", "c"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(cleanup_charp) char *domain = cfg_dn_domain(rows[i].dn);
        struct err e;

        assert_int_equal(cfg_dn_check(rows[i].dn, &e), 0);
        assert_non_null(domain);
        assert_string_equal(domain, rows[i].domain);
    }
    assert_false(cfg_dn_like("alice"));
    assert_false(cfg_dn_like("group:CN=x"));
    assert_false(cfg_dn_like("a_b=c"));
    assert_false(cfg_dn_like("=c"));
    assert_false(cfg_dn_like(""));
}

/* Each list must come back whole after any one byte of it was replaced by a separator or a quote:
 * as an error, or as entries of which each DN is whole. No mistake yields a bare OU. */
static void slips(void **state)
{
    static const char value[] = "group:" VIP ";CN=Doe\\, Jane,OU=x,DC=y, alice\n\"ou:" OPS "\"";
    static const char with[] = ",;\n\"\\ =:";

    (void)state;
    for (size_t i = 0; i < sizeof(value) - 1; i++) {
        for (size_t k = 0; with[k] != '\0'; k++) {
            CLEANUP(cfg_list_done) struct cfg_list l = {0};
            char copy[sizeof(value)];
            struct err e = ERR_NONE;
            size_t at;

            memcpy(copy, value, sizeof(value));
            copy[i] = with[k];
            if (cfg_list_accounts(copy, &l, &at, &e) < 0) {
                assert_int_equal(e.code, ERR_CONFIG);
                continue;
            }
            for (size_t n = 0; n < l.count; n++) {
                const char *s = l.items[n];

                s += text_starts(s, "group:") ? 6 : text_starts(s, "ou:") ? 3 : 0;
                if (cfg_dn_like(s))
                    assert_int_equal(cfg_dn_check(s, &e), 0);
                else
                    assert_null(strpbrk(s, "=:,;\"\n"));
            }
        }
    }
}

/* M2 */
static void memory(void **state)
{
    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        CLEANUP(cfg_list_done) struct cfg_list l = {0};
        struct err e = ERR_NONE;
        size_t at;
        int rc = cfg_list_accounts("alice,group:\"" VIP "\";bob", &l, &at, &e);

        assert_int_equal(rc, alloc_failed ? -1 : 0);
        assert_int_equal(e.code, alloc_failed ? ERR_NOMEM : ERR_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain), cmocka_unit_test(accounts), cmocka_unit_test(dns),
        cmocka_unit_test(slips), cmocka_unit_test(memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
