/* tests/unit/base/test_xml_out.c -- what is written is what a reader reads, whatever the values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/xml.h"
#include "base/xml_out.h"
#include "tests/unit/alloc.h"

static void form(void **state)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(1000);
    struct xml_out x;
    struct err e;

    (void)state;
    xml_out_init(&x, &t);
    xml_out_open(&x, "a:r");
    xml_out_attr(&x, "xmlns:a", "urn:a");
    xml_out_attr(&x, "k", "");
    xml_out_text(&x, ""); /* does not end the tag */
    xml_out_attr(&x, "l", "2");
    xml_out_leaf(&x, "a:one", "1");
    xml_out_leaf(&x, "a:none", NULL);
    xml_out_leaf(&x, "a:empty", "");
    xml_out_text(&x, "x");
    xml_out_text(&x, "y");
    xml_out_open(&x, "a:in");
    xml_out_close(&x);
    xml_out_close(&x);
    assert_int_equal(xml_out_check(&x, "form", &e), 0);
    assert_string_equal(t.s, "<a:r xmlns:a=\"urn:a\" k=\"\" l=\"2\"><a:one>1</a:one><a:none/>"
                             "<a:empty/>xy<a:in/></a:r>");
}

static void escaped(void **state)
{
    static const struct {
        const char *value, *text, *attr;
    } rows[] = {
        {"plain", "plain", "plain"},
        {"<b>&amp;</b>", "&lt;b&gt;&amp;amp;&lt;/b&gt;", "&lt;b&gt;&amp;amp;&lt;/b&gt;"},
        {"]]>", "]]&gt;", "]]&gt;"},
        {"<!DOCTYPE a>", "&lt;!DOCTYPE a&gt;", "&lt;!DOCTYPE a&gt;"},
        {"\" x=\"y", "\" x=\"y", "&quot; x=&quot;y"},
        {"it's", "it's", "it's"},
        {"\tx\ny", "\tx\ny", "&#9;x&#10;y"}, /* in an attribute a reader makes blanks of them */
        {"a\r\nb", "a&#13;\nb", "a&#13;&#10;b"},
        {"\x7f\xc2\x85", "\x7f\xc2\x85", "\x7f\xc2\x85"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x92", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x92",
         "\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x92"},
        {"\xee\x80\x80\xef\xbf\xbd\xf4\x8f\xbf\xbf", "\xee\x80\x80\xef\xbf\xbd\xf4\x8f\xbf\xbf",
         "\xee\x80\x80\xef\xbf\xbd\xf4\x8f\xbf\xbf"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(1000), wanted = TEXT_INIT(1000);
        CLEANUP(xml_freep) struct xml_doc *d = NULL;
        struct xml_out x;
        struct err e;

        xml_out_init(&x, &t);
        xml_out_open(&x, "r");
        xml_out_attr(&x, "k", rows[i].value);
        xml_out_text(&x, rows[i].value);
        xml_out_close(&x);
        assert_int_equal(xml_out_check(&x, "escaped", &e), 0);
        text_addf(&wanted, "<r k=\"%s\">%s</r>", rows[i].attr, rows[i].text);
        assert_string_equal(t.s, wanted.s);
        assert_int_equal(xml_parse(t.s, t.len, &d, &e), 0);
        assert_string_equal(xml_root(d)->text, rows[i].value);
        assert_string_equal(xml_attr(xml_root(d), "k"), rows[i].value);
    }
}

/* No reference can carry these, so nothing does. */
static void refused(void **state)
{
    static const char *const bad[] = {
        "\x01",         "a\x08", "\x0b", "\x1b[31m",         "\x1f",
        "\xef\xbf\xbe", /* U+FFFE */
        "\xef\xbf\xbf", /* U+FFFF */
        "\xed\xa0\x80", /* a surrogate */
        "\xc0\xbc",     /* '<', overlong */
        "\xff",         "a\xc3", "\x80", "\xf4\x90\x80\x80", "ok until here \xe2\x82",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        for (int attr = 0; attr < 2; attr++) {
            CLEANUP(text_done) struct text t = TEXT_INIT(1000);
            struct xml_out x;
            struct err e;

            xml_out_init(&x, &t);
            xml_out_open(&x, "r");
            if (attr)
                xml_out_attr(&x, "k", bad[i]);
            else
                xml_out_text(&x, bad[i]);
            xml_out_leaf(&x, "good", "good"); /* does not wash it off */
            xml_out_close(&x);
            assert_int_equal(xml_out_check(&x, "refused", &e), -1);
            assert_int_equal(e.code, ERR_INVALID);
        }
    }
}

static void misused(void **state)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(1000);
    struct xml_out x;
    struct err e;

    (void)state;
    xml_out_init(&x, &t); /* left open */
    xml_out_open(&x, "r");
    assert_int_equal(xml_out_check(&x, "open", &e), -1);
    xml_out_close(&x);
    assert_int_equal(xml_out_check(&x, "closed", &e), 0);
    xml_out_close(&x); /* once too often */
    assert_int_equal(xml_out_check(&x, "close", &e), -1);

    xml_out_init(&x, &t); /* text outside */
    xml_out_text(&x, "a");
    assert_int_equal(xml_out_check(&x, "text", &e), -1);

    for (int i = 0; i < 3; i++) { /* an attribute too late */
        xml_out_init(&x, &t);
        if (i > 0)
            xml_out_open(&x, "r");
        if (i == 1)
            xml_out_text(&x, "a");
        if (i == 2)
            xml_out_leaf(&x, "b", NULL);
        xml_out_attr(&x, "k", "v");
        if (i > 0)
            xml_out_close(&x);
        assert_int_equal(xml_out_check(&x, "attribute", &e), -1);
        assert_int_equal(e.code, ERR_INVALID);
    }
}

static void depth(void **state)
{
    (void)state;
    for (unsigned n = XML_OUT_DEPTH; n <= XML_OUT_DEPTH + 1; n++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(1000);
        struct xml_out x;
        struct err e;

        xml_out_init(&x, &t);
        for (unsigned i = 0; i < n; i++)
            xml_out_open(&x, "r");
        for (unsigned i = 0; i < n; i++)
            xml_out_close(&x);
        assert_int_equal(xml_out_check(&x, "depth", &e), n == XML_OUT_DEPTH ? 0 : -1);
    }
}

static void write_one(struct text *t, struct xml_out *x)
{
    xml_out_init(x, t);
    xml_out_open(x, "root");
    for (int i = 0; i < 20; i++) {
        xml_out_open(x, "leaf");
        xml_out_attr(x, "name", "<value>");
        xml_out_text(x, "some & text");
        xml_out_close(x);
    }
    xml_out_close(x);
}

/* M2 and the maximum: whole, or an error. */
static void whole_or_nothing(void **state)
{
    CLEANUP(text_done) struct text whole = TEXT_INIT(10000);
    struct xml_out x;
    struct err e;
    long n = 0;

    (void)state;
    write_one(&whole, &x);
    assert_int_equal(xml_out_check(&x, "whole", &e), 0);
    for (size_t max = 0; max <= whole.len; max++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(max);

        write_one(&t, &x);
        assert_int_equal(xml_out_check(&x, "cut", &e), max == whole.len ? 0 : -1);
        assert_int_equal(max == whole.len ? ERR_TOOBIG : e.code, ERR_TOOBIG);
    }
    for (; alloc_sweep(n); n++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(10000);

        write_one(&t, &x);
        alloc_left = -1;
        assert_int_equal(xml_out_check(&x, "memory", &e), alloc_failed ? -1 : 0);
        assert_true(alloc_failed || strcmp(t.s, whole.s) == 0);
    }
    assert_true(n > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form),    cmocka_unit_test(escaped), cmocka_unit_test(refused),
        cmocka_unit_test(misused), cmocka_unit_test(depth),   cmocka_unit_test(whole_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
