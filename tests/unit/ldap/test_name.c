/* What a person types, and the filter it becomes. (R7, L6) */
#include "ldap/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"

#define DNS "corp.example.com"
static const struct ad_name_domain domain = {.dns = DNS, .netbios = "CORP"};

#define TYPES "(|(sAMAccountType=805306368)(sAMAccountType=805306369)(sAMAccountType=805306370))"

/* From exactly n bytes of heap, so that a read past them is seen. */
static int parse(const char *s, size_t n, struct ad_name *name, struct err *e)
{
    char *b = malloc(n + (n == 0));
    int rc;

    assert_non_null(b);
    memcpy(b, s, n);
    rc = ad_name_parse(b, n, DNS, name, e);
    free(b);
    return rc;
}

static struct ad_name good(const char *s)
{
    struct ad_name name;
    struct err e;

    if (parse(s, strlen(s), &name, &e) < 0)
        fail_msg("'%s': %s", s, e.msg);
    return name;
}

static void filter_is(const char *s, const char *names)
{
    struct text want = TEXT_INIT(8192), got = TEXT_INIT(AD_NAME_FILTER_MAX);
    struct ad_name name = good(s);
    struct err e;
    char buf[AD_NAME_BASE];

    text_addf(&want, "(&(|%s)" TYPES ")", names);
    assert_true(ad_name_is_search(&name));
    if (name.kind != AD_NAME_IMMUTABLE)
        assert_null(ad_name_base(&name, buf));
    if (ad_name_filter(&name, &domain, &got, &e) < 0)
        fail_msg("'%s': %s", s, e.msg);
    assert_string_equal(got.s, want.s);
    text_done(&want);
    text_done(&got);
}

/* --- kinds ---------------------------------------------------------------------- */

static void kinds(void **state)
{
    static const struct {
        const char *s;
        enum ad_name_kind kind;
        const char *base; /* NULL: searched for */
    } table[] = {
        {"alice", AD_NAME_SAM, NULL},
        {"LNX01$", AD_NAME_SAM, NULL},
        {"S-1-team", AD_NAME_SAM, NULL},
        {"CORP\\alice", AD_NAME_DOWNLEVEL, NULL},
        {"corp.example.com\\alice", AD_NAME_DOWNLEVEL, NULL},
        {"alice@corp.example.com", AD_NAME_UPN, NULL},
        {"a=b@corp.example.com", AD_NAME_UPN, NULL},
        {"S-1-5-21-1-2-3-1104", AD_NAME_SID, "<SID=S-1-5-21-1-2-3-1104>"},
        {"s-1-5-21-1-2-3-1104", AD_NAME_SID, "<SID=S-1-5-21-1-2-3-1104>"},
        {"<sid=S-1-5-21-1-2-3-1104>", AD_NAME_SID, "<SID=S-1-5-21-1-2-3-1104>"},
        {"<SID=01020000000000052000000020020000>", AD_NAME_SID, "<SID=S-1-5-32-544>"},
        {"bf967aba-0de6-11d0-a285-00aa003049e2", AD_NAME_GUID,
         "<GUID=bf967aba-0de6-11d0-a285-00aa003049e2>"},
        {"{BF967ABA-0DE6-11D0-A285-00AA003049E2}", AD_NAME_GUID,
         "<GUID=bf967aba-0de6-11d0-a285-00aa003049e2>"},
        {"<GUID=bf967aba-0de6-11d0-a285-00aa003049e2>", AD_NAME_GUID,
         "<GUID=bf967aba-0de6-11d0-a285-00aa003049e2>"},
        {"<GUID=ba7a96bfe60dd011a28500aa003049e2>", AD_NAME_GUID,
         "<GUID=bf967aba-0de6-11d0-a285-00aa003049e2>"},
        {"unqWv+YN0BGihQCqADBJ4g==", AD_NAME_IMMUTABLE,
         "<GUID=bf967aba-0de6-11d0-a285-00aa003049e2>"},
        {"CN=Alice,OU=People,DC=corp,DC=example,DC=com", AD_NAME_DN,
         "CN=Alice,OU=People,DC=corp,DC=example,DC=com"},
        {"cn=a@b, ou=People , dc=Corp, dc=EXAMPLE, dc=com", AD_NAME_DN,
         "cn=a@b, ou=People , dc=Corp, dc=EXAMPLE, dc=com"},
        /* the characters that a DN has to escape, and one that is a conflict's mark */
        {"CN=O'Brien\\, \\+\\\"\\\\\\<\\>\\;\\=\\#*()ë\\ ,DC=corp,DC=example,DC=com", AD_NAME_DN,
         "CN=O'Brien\\, \\+\\\"\\\\\\<\\>\\;\\=\\#*()ë\\ ,DC=corp,DC=example,DC=com"},
        {"CN=x\\0ACNF:bf967aba,DC=corp,DC=example,DC=com", AD_NAME_DN,
         "CN=x\\0ACNF:bf967aba,DC=corp,DC=example,DC=com"},
    };
    char buf[AD_NAME_BASE];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct ad_name name = good(table[i].s);

        if (name.kind != table[i].kind)
            fail_msg("'%s' is a %s", table[i].s, ad_name_kind_word(name.kind));
        if (table[i].base == NULL) {
            assert_null(ad_name_base(&name, buf));
        } else {
            assert_string_equal(ad_name_base(&name, buf), table[i].base);
            assert_int_equal(ad_name_is_search(&name), name.kind == AD_NAME_IMMUTABLE);
        }
        assert_string_equal(name.text, table[i].s);
        assert_true(strlen(ad_name_kind_word(name.kind)) > 0);
    }
}

/* --- refused -------------------------------------------------------------------- */

static void refused(void **state)
{
    static const struct {
        const char *s;
        enum err_code code;
        const char *says;
    } table[] = {
        {"", ERR_USAGE, "empty"},
        {" ", ERR_USAGE, "space"},
        {" alice", ERR_USAGE, "begin with a space"},
        {"alice ", ERR_USAGE, "end with a space"},
        {"alice\xc2\xa0", ERR_USAGE, "end with a space"},
        {"CORP\\ alice", ERR_USAGE, "space"},
        {"alice @corp.example.com", ERR_USAGE, "space"},
        {"CORP\\", ERR_USAGE, "the account is missing"},
        {"\\alice", ERR_USAGE, "the domain is missing"},
        {"@corp.example.com", ERR_USAGE, "before the @"},
        {"alice@", ERR_USAGE, "after the @"},
        {"ali\nce", ERR_USAGE, "U+000A, a line feed"},
        {"ali\tce", ERR_USAGE, "a tab"},
        {"ali\033[2Jce", ERR_USAGE, "escape"},
        {"ali\x7f"
         "ce",
         ERR_USAGE, "U+007F"},
        {"ali\xc2\x9b"
         "ce",
         ERR_USAGE, "U+009B, a control"},
        {"ali\xe2\x80\xae"
         "ce",
         ERR_USAGE, "U+202E, a direction control"},
        {"ali\xe2\x81\xa6"
         "ce",
         ERR_USAGE, "U+2066, a direction control"},
        {"ali\xe2\x80\x8b"
         "ce",
         ERR_USAGE, "character 4 is U+200B, a zero-width space"},
        {"\xef\xbb\xbf"
         "alice",
         ERR_USAGE, "byte order mark"},
        {"ali\xc2\xad"
         "ce",
         ERR_USAGE, "soft hyphen"},
        {"👩\xe2\x80\x8d💻", ERR_USAGE, "U+200D, a zero-width joiner"},
        {"ali\xe3\x85\xa4"
         "ce",
         ERR_USAGE, "U+3164, a character that cannot be seen"},
        {"ali\xff"
         "ce",
         ERR_USAGE, "character 4 is not UTF-8"},
        {"ali\xc0\x80", ERR_USAGE, "not UTF-8"},
        {"S-1-5-21-1-2-3-", ERR_USAGE, "not a whole SID"},
        {"S-1-5-21-1-2-3-99999999999", ERR_USAGE, "not a whole SID"},
        {"<SID=S-1-5-21->", ERR_USAGE, "neither"},
        {"<SID=>", ERR_USAGE, "neither"},
        {"<GUID=x>", ERR_USAGE, "neither"},
        {"<WKGUID=a9d1ca15768811d1aded00c04fd8d5cd,DC=corp,DC=example,DC=com>", ERR_USAGE,
         "neither"},
        {"<", ERR_USAGE, "neither"},
        {"CN=Alice", ERR_USAGE, "begins as a DN"},
        {"CN=Alice,OU=People", ERR_USAGE, "without its DC= parts"},
        {"CN=Alice,,DC=com", ERR_USAGE, "begins as a DN"},
        {"CN=Alice\\", ERR_USAGE, "begins as a DN"},
        {"CN=a\\00b,DC=corp,DC=example,DC=com", ERR_USAGE, "no text"},
        {"CN=#04024869,DC=corp,DC=example,DC=com", ERR_USAGE, "no text"},
        {"DC=corp,DC=example,DC=com", ERR_USAGE, "a domain, not an account"},
        {"CN=Alice,DC=other,DC=com", ERR_NOTFOUND, "not in the domain"},
        {"CN=Alice,DC=sub,DC=corp,DC=example,DC=com", ERR_NOTFOUND, "not in the domain"},
        {"CN=Alice,DC=example,DC=com", ERR_NOTFOUND, "not in the domain"},
        {"CN=Alice,DC=corp.example,DC=com,O=x", ERR_USAGE, "without its DC= parts"},
    };
    struct ad_name name, before;
    struct err e;

    (void)state;
    memset(&name, 0x5a, sizeof(name));
    before = name;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (parse(table[i].s, strlen(table[i].s), &name, &e) == 0)
            fail_msg("'%s' was taken", table[i].s);
        if (e.code != table[i].code || strstr(e.msg, table[i].says) == NULL)
            fail_msg("'%s': %s %s", table[i].s, err_word(e.code), e.msg);
        assert_true(text_utf8_ok(e.msg, strlen(e.msg)));
        assert_null(strchr(e.msg, '\033'));
        assert_memory_equal(&name, &before, sizeof(name));
    }
    /* without a domain to compare with, any domain will do */
    assert_int_equal(ad_name_parse("CN=A,DC=x", 9, NULL, &name, &e), 0);
    /* NUL is a byte of the name, wherever it stands */
    static const char nul[] = "alice\0evil";

    assert_int_equal(parse(nul, 10, &name, &e), -1);
    assert_non_null(strstr(e.msg, "character 6 is U+0000, NUL"));
    assert_int_equal(parse(nul, 6, &name, &e), -1);
    assert_int_equal(parse("\0", 1, &name, &e), -1);
}

static void lengths(void **state)
{
    char s[AD_NAME_DN_MAX + 2];
    struct ad_name name;
    struct err e;

    (void)state;
    memset(s, 'a', sizeof(s));
    assert_int_equal(parse(s, AD_NAME_MAX, &name, &e), 0);
    assert_int_equal(parse(s, AD_NAME_MAX + 1, &name, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    assert_int_equal(parse(s, AD_NAME_DN_MAX + 1, &name, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    /* a DN may be longer */
    memcpy(s, "CN=", 3);
    memcpy(s + AD_NAME_DN_MAX - 26, ",DC=corp,DC=example,DC=com", 26);
    assert_int_equal(parse(s, AD_NAME_DN_MAX, &name, &e), 0);
    assert_int_equal(name.kind, AD_NAME_DN);
    /* the longest filter that one name and a batch can make */
    struct text t = TEXT_INIT(AD_NAME_FILTER_MAX);
    const struct ad_name *batch[AD_NAME_BATCH];

    memset(s, '*', AD_NAME_MAX);
    memcpy(s + AD_NAME_MAX - 17, "@" DNS, 17);
    assert_int_equal(parse(s, AD_NAME_MAX, &name, &e), 0);
    assert_int_equal(ad_name_filter(&name, &domain, &t, &e), 0);
    for (size_t i = 0; i < AD_NAME_BATCH; i++)
        batch[i] = &name;
    text_clear(&t);
    assert_int_equal(ad_name_batch_filter(batch, AD_NAME_BATCH, &domain, &t, &e), 0);
    text_done(&t);
    t = TEXT_INIT(100);
    assert_int_equal(ad_name_filter(&name, &domain, &t, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    text_done(&t);
}

/* --- filters -------------------------------------------------------------------- */

static void filters(void **state)
{
    (void)state;
    filter_is("alice", "(sAMAccountName=alice)");
    filter_is("CORP\\alice", "(sAMAccountName=alice)");
    filter_is("corp\\alice", "(sAMAccountName=alice)");
    filter_is("LNX01$", "(sAMAccountName=LNX01$)");
    /* every character is itself */
    filter_is("*", "(sAMAccountName=\\2A)");
    filter_is("a*)(objectClass=*", "(sAMAccountName=a\\2A\\29\\28objectClass=\\2A)");
    filter_is("a,+\"<>;=#*()b", "(sAMAccountName=a,+\"<>;=#\\2A\\28\\29b)");
    filter_is("CORP\\a\\b", "(sAMAccountName=a\\5Cb)");
    /* letters of any script */
    filter_is("זואי", "(sAMAccountName=\\D7\\96\\D7\\95\\D7\\90\\D7\\99)");
    filter_is("علي", "(sAMAccountName=\\D8\\B9\\D9\\84\\D9\\8A)");
    filter_is("😀", "(sAMAccountName=\\F0\\9F\\98\\80)");
    /* UPN: with the implicit form only in our own domain */
    filter_is("alice@corp.example.com",
              "(userPrincipalName=alice@corp.example.com)(sAMAccountName=alice)"
              "(mail=alice@corp.example.com)(proxyAddresses=smtp:alice@corp.example.com)");
    filter_is("alice@CORP", "(userPrincipalName=alice@CORP)(sAMAccountName=alice)"
                            "(mail=alice@CORP)(proxyAddresses=smtp:alice@CORP)");
    filter_is("alice@example.org",
              "(userPrincipalName=alice@example.org)"
              "(mail=alice@example.org)(proxyAddresses=smtp:alice@example.org)");
    filter_is("a@b@corp.example.com",
              "(userPrincipalName=a@b@corp.example.com)(sAMAccountName=a@b)"
              "(mail=a@b@corp.example.com)(proxyAddresses=smtp:a@b@corp.example.com)");
    filter_is("o'neil*@x.y", "(userPrincipalName=o'neil\\2A@x.y)(mail=o'neil\\2A@x.y)"
                             "(proxyAddresses=smtp:o'neil\\2A@x.y)");
    filter_is("unqWv+YN0BGihQCqADBJ4g==",
              "(mS-DS-ConsistencyGuid=\\BA\\7A\\96\\BF\\E6\\0D\\D0\\11\\A2\\85\\00\\AA\\00\\30"
              "\\49\\E2)");
}

static void other_filters(void **state)
{
    struct text t = TEXT_INIT(4096);
    struct ad_name name = good("OTHER\\alice");
    struct ad_name_domain nameless = {.dns = DNS};
    struct err e;

    (void)state;
    assert_int_equal(ad_name_filter(&name, &domain, &t, &e), -1);
    assert_int_equal(e.code, ERR_NOTFOUND);
    name = good("CORP\\alice"); /* as long as the NetBIOS name is not known, CORP is not ours */
    text_clear(&t);
    assert_int_equal(ad_name_filter(&name, &nameless, &t, &e), -1);
    name = good("S-1-5-21-1-2-3-1104");
    text_clear(&t);
    assert_int_equal(ad_name_filter(&name, &domain, &t, &e), 0);
    assert_string_equal(t.s, "(objectClass=*)");
    text_clear(&t);
    ad_name_escape(&t, "a\0b", 3);
    ad_name_escape(&t, "", 0);
    assert_string_equal(t.s, "a\\00b");
    text_done(&t);

    name = good("unqWv+YN0BGihQCqADBJ4g==");
    assert_true(ad_name_immutable_ok(&name, NULL, 0));
    assert_true(ad_name_immutable_ok(&name, name.guid.b, 16));
    assert_false(ad_name_immutable_ok(&name, name.guid.b, 15));
    assert_false(ad_name_immutable_ok(&name, "0123456789abcdef", 16));
}

/* --- many at once --------------------------------------------------------------- */

static void batch_filter(void **state)
{
    struct ad_name a = good("alice"), b = good("CORP\\bob"), c = good("c@example.org"),
                   non_ascii = good("zoë"), sid = good("S-1-5-21-1-2-3-1104");
    const struct ad_name *names[] = {&a, &b, &c}, *odd[] = {&non_ascii};
    struct text t = TEXT_INIT(AD_NAME_FILTER_MAX);
    struct err e;

    (void)state;
    assert_true(ad_name_batchable(&a) && ad_name_batchable(&b) && ad_name_batchable(&c));
    assert_false(ad_name_batchable(&non_ascii));
    assert_false(ad_name_batchable(&sid));
    assert_int_equal(ad_name_batch_filter(names, 3, &domain, &t, &e), 0);
    assert_string_equal(t.s, "(&(|(sAMAccountName=alice)(sAMAccountName=bob)"
                             "(userPrincipalName=c@example.org)(mail=c@example.org)"
                             "(proxyAddresses=smtp:c@example.org))" TYPES ")");
    assert_int_equal(ad_name_batch_filter(names, 0, &domain, &t, &e), -1);
    assert_int_equal(ad_name_batch_filter(odd, 1, &domain, &t, &e), -1);
    text_done(&t);
}

static void batch_assign(void **state)
{
    static const char *const proxies[] = {"SMTP:bob@example.org", "smtp:robert@example.org",
                                          "X500:/o=x"};
    const struct ad_name_entry alice = {.sam = "Alice", .upn = "alice.l@corp.example.com"},
                               bob = {.sam = "bob", .proxies = proxies, .proxy_count = 3},
                               zoe = {.sam = "zoë"},
                               other = {.sam = "bob2", .mail = "ROBERT@example.org"},
                               stray = {.sam = "dora"};
    struct ad_name n0 = good("ALICE"), n1 = good("robert@example.org"), n2 = good("nobody"),
                   n3 = good("alice@corp.example.com"), n4 = good("X500:/o=x");
    const struct ad_name *names[] = {&n0, &n1, &n2, &n3, &n4};
    struct ad_name_entry entries[4];
    size_t which[5];

    (void)state;
    entries[0] = bob;
    entries[1] = alice;
    ad_name_batch_assign(names, 5, &domain, entries, 2, which);
    assert_int_equal(which[0], 1);
    assert_int_equal(which[1], 0);
    assert_true(which[2] == AD_NAME_NONE);
    assert_int_equal(which[3], 1); /* the same account by another name */
    assert_true(which[4] == AD_NAME_NONE);

    entries[2] = other; /* two for one name: that name is asked for alone */
    ad_name_batch_assign(names, 5, &domain, entries, 3, which);
    assert_int_equal(which[0], 1);
    assert_true(which[1] == AD_NAME_UNCLEAR);
    assert_true(which[2] == AD_NAME_NONE);

    entries[2] = stray; /* the DC found it by a rule that we do not know */
    ad_name_batch_assign(names, 5, &domain, entries, 3, which);
    for (size_t i = 0; i < 5; i++)
        assert_true(which[i] == AD_NAME_UNCLEAR);
    entries[0] = zoe;
    ad_name_batch_assign(names, 5, &domain, entries, 2, which);
    for (size_t i = 0; i < 5; i++)
        assert_true(which[i] == AD_NAME_UNCLEAR);

    ad_name_batch_assign(names, 5, &domain, entries, 0, which);
    for (size_t i = 0; i < 5; i++)
        assert_true(which[i] == AD_NAME_NONE);

    /* a name without its '$' is not the computer's */
    struct ad_name pc = good("LNX01");
    const struct ad_name *one[] = {&pc};
    const struct ad_name_entry computer = {.sam = "LNX01$"};

    ad_name_batch_assign(one, 1, &domain, &computer, 1, which);
    assert_true(which[0] == AD_NAME_UNCLEAR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),         cmocka_unit_test(refused),
        cmocka_unit_test(lengths),       cmocka_unit_test(filters),
        cmocka_unit_test(other_filters), cmocka_unit_test(batch_filter),
        cmocka_unit_test(batch_assign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
