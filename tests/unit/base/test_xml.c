/* tests/unit/base/test_xml.c -- the hardened door for XML (checklist X1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/xml.h"
#include "tests/unit/alloc.h"

static enum err_code parse_n(const char *s, size_t n)
{
    CLEANUP(xml_freep) struct xml_doc *d = NULL;
    struct err e = ERR_NONE;
    /* Without a byte behind it, so that ASan sees a read past the end. */
    CLEANUP(cleanup_charp) char *exact = malloc(n + (n == 0));

    assert_non_null(exact);
    memcpy(exact, s, n);
    if (xml_parse(exact, n, &d, &e) < 0) {
        assert_null(d);
        assert_true(e.msg[0] != '\0');
        return e.code;
    }
    assert_non_null(xml_root(d));
    return ERR_OK;
}

static void refused_or_not(void **state)
{
    static const struct {
        const char *s;
        enum err_code want;
    } rows[] = {
        {"<a/>", ERR_OK},
        {"<?xml version='1.0'?><a/>", ERR_OK},
        {"<?xml version='1.0' encoding='utf-8'?><a/>", ERR_OK},
        {"<?xml version='1.0' encoding='iso-8859-1'?><a/>", ERR_INVALID},
        {"<?xml version='1.0' encoding='utf-7'?><a/>", ERR_INVALID},
        {"\xef\xbb\xbf<a/>", ERR_OK},
        {"<a><!-- x --></a>", ERR_OK},
        {"<a>&lt;&gt;&amp;&quot;&apos;&#65;</a>", ERR_OK},
        {"<!DOCTYPE a><a/>", ERR_INVALID},
        {"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", ERR_INVALID},
        {"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", ERR_INVALID},
        {"<?go there?><a/>", ERR_INVALID},
        {"<a><?go there?></a>", ERR_INVALID},
        {"<a/><?go there?>", ERR_INVALID},
        {"<a>&x;</a>", ERR_INVALID},
        {"<a>&#0;</a>", ERR_INVALID},
        {"<a>\xff</a>", ERR_INVALID},
        {"<a>\xed\xa0\x80</a>", ERR_INVALID},
        {"<p:a/>", ERR_INVALID},
        {"<a x='1' x='2'/>", ERR_INVALID},
        {"<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>", ERR_INVALID},
        {"<a>", ERR_INVALID},
        {"<a></b>", ERR_INVALID},
        {"<a/><b/>", ERR_INVALID},
        {"<a/>x", ERR_INVALID},
        {"", ERR_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum err_code got = parse_n(rows[i].s, strlen(rows[i].s));

        if (got != rows[i].want)
            fail_msg("#%zu '%s': got %s, want %s", i, rows[i].s, err_word(got),
                     err_word(rows[i].want));
    }
    assert_int_equal(parse_n("<a>\0</a>", 8), ERR_INVALID);
}

/* `count` times `s`, with something in front and behind. */
static enum err_code repeated(const char *front, const char *s, size_t count, const char *behind,
                              size_t behind_count)
{
    struct text t = TEXT_INIT(8 * 1024 * 1024);
    enum err_code got;

    text_add(&t, front);
    for (size_t i = 0; i < count; i++)
        text_add(&t, s);
    for (size_t i = 0; i < behind_count; i++)
        text_add(&t, behind);
    assert_false(t.failed);
    got = parse_n(t.s, t.len);
    text_done(&t);
    return got;
}

static void limits(void **state)
{
    struct text t = TEXT_INIT(65536);

    (void)state;
    assert_int_equal(repeated("", "<a>", 64, "</a>", 64), ERR_OK);
    assert_int_equal(repeated("", "<a>", 65, "</a>", 65), ERR_TOOBIG);
    assert_int_equal(repeated("<r>", "<a/>", 9999, "</r>", 1), ERR_OK);
    assert_int_equal(repeated("<r>", "<a/>", 10000, "</r>", 1), ERR_TOOBIG);
    assert_int_equal(repeated("<r>", "x", 65536, "</r>", 1), ERR_OK);
    assert_int_equal(repeated("<r>", "x", 65537, "</r>", 1), ERR_TOOBIG);
    assert_int_equal(repeated("<r>", "x<a/>", 5000, "</r>", 1), ERR_OK);
    assert_int_equal(repeated("<r/>", " ", XML_MAX_BYTES - 4, "", 0), ERR_OK);
    assert_int_equal(repeated("<r/>", " ", XML_MAX_BYTES - 3, "", 0), ERR_TOOBIG);
    for (int count = 64; count <= 65; count++) {
        text_clear(&t);
        text_add(&t, "<a");
        for (int i = 0; i < count; i++)
            text_addf(&t, " a%d='x'", i);
        text_add(&t, "/>");
        assert_int_equal(parse_n(t.s, t.len), count == 64 ? ERR_OK : ERR_TOOBIG);
    }
    text_done(&t);
}

static void tree(void **state)
{
    static const char s[] = "<r xmlns='urn:a' xmlns:q='urn:b' q:x='1' x='2'>one<q:c>&lt;</q:c>"
                            "two<c y=''/><q:c>3</q:c><![CDATA[<three>]]></r>";
    CLEANUP(xml_freep) struct xml_doc *d = NULL;
    struct err e = ERR_NONE;
    const struct xml_node *r, *c;

    (void)state;
    assert_int_equal(xml_parse(s, strlen(s), &d, &e), 0);
    r = xml_root(d);
    assert_string_equal(r->name, "r");
    assert_string_equal(r->ns, "urn:a");
    assert_string_equal(r->text, "onetwo<three>");
    assert_null(r->parent);
    assert_int_equal(r->attr_count, 2);
    assert_string_equal(xml_attr(r, "x"), "2");
    assert_null(xml_attr(r, "y"));
    assert_null(xml_attr(NULL, "y"));

    c = xml_child(r, NULL, "c");
    assert_non_null(c);
    assert_string_equal(c->ns, "urn:b");
    assert_string_equal(c->text, "<");
    assert_ptr_equal(c->parent, r);
    assert_ptr_equal(xml_child(r, "urn:b", "c"), c);
    c = xml_again(c);
    assert_non_null(c);
    assert_string_equal(c->text, "3");
    assert_null(xml_again(c));
    c = xml_child(r, "urn:a", "c");
    assert_non_null(c);
    assert_string_equal(xml_attr(c, "y"), "");
    assert_string_equal(c->text, "");
    assert_null(xml_child(r, "", "c"));
    assert_null(xml_child(NULL, NULL, "c"));
}

/* UTF-16 by its BOM, by its declaration, and by its first character alone. */
static void utf16(void **state)
{
    static const char *const texts[] = {
        "<a>x</a>",
        "<?xml version='1.0' encoding='utf-16'?><a>x</a>",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        for (int big = 0; big < 2; big++)
            for (int bom = 0; bom < 2; bom++) {
                CLEANUP(xml_freep) struct xml_doc *d = NULL;
                struct err e = ERR_NONE;
                struct text t = TEXT_INIT(1024);

                if (bom)
                    text_add(&t, big ? "\xfe\xff" : "\xff\xfe");
                for (const char *p = texts[i]; *p != '\0'; p++) {
                    char pair[2] = {big ? '\0' : *p, big ? *p : '\0'};

                    text_addn(&t, pair, 2);
                }
                if (xml_parse(t.s, t.len, &d, &e) < 0)
                    fail_msg("%zu big %d bom %d: %s", i, big, bom, e.msg);
                assert_string_equal(xml_root(d)->text, "x");
                text_done(&t);
            }
}

/* M2: whichever allocation of ours fails, it is said so, and nothing is left behind. */
static void no_memory(void **state)
{
    static const char s[] = "<r xmlns='urn:a' x='1' y=''><c>one</c>two<c>three</c></r>";
    long n = 0;

    (void)state;
    for (; alloc_sweep(n); n++) {
        CLEANUP(xml_freep) struct xml_doc *d = NULL;
        struct err e = ERR_NONE;
        int rc = xml_parse(s, strlen(s), &d, &e);

        assert_int_equal(rc, alloc_failed ? -1 : 0);
        assert_int_equal(e.code, alloc_failed ? ERR_NOMEM : ERR_OK);
        assert_true((d == NULL) == alloc_failed);
    }
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_or_not), cmocka_unit_test(limits),    cmocka_unit_test(tree),
        cmocka_unit_test(utf16),          cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
