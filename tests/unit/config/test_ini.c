/* tests/unit/config/test_ini.c -- the form of the configuration file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config/ini.h"
#include "tests/unit/alloc.h"

#define N(text) text, sizeof(text) - 1

/* Every entry as "section.key=value@line:column;", or the errors. */
static void dump(const char *s, size_t n, struct text *out)
{
    CLEANUP(ini_freep) struct ini *ini = NULL;
    char *exact = malloc(n + (n == 0)); /* no byte behind it, for ASan */
    struct err e = ERR_NONE;

    assert_non_null(exact);
    memcpy(exact, s, n);
    if (ini_parse("f", exact, n, &ini, out, &e) < 0) {
        assert_null(ini);
        assert_int_equal(e.code, ERR_CONFIG);
        assert_true(out->len > 0);
        assert_int_equal(strncmp(out->s, e.msg, strlen(e.msg)), 0); /* e has the first */
    } else {
        assert_int_equal(out->len, 0);
        for (size_t i = 0; i < ini->entry_count; i++) {
            const struct ini_entry *en = &ini->entries[i];

            text_addf(out, "%s.%s=%s@%u:%u%s;", ini->sections[en->section].name, en->key, en->value,
                      en->at.line, en->value_at.column, en->semicolon ? "!" : "");
        }
    }
    free(exact);
}

struct row {
    const char *s;
    size_t n; /* 0: strlen */
    const char *want;
};

static void run(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct text out = TEXT_INIT(1024 * 1024);

        dump(rows[i].s, rows[i].n != 0 ? rows[i].n : strlen(rows[i].s), &out);
        if (strcmp(out.s, rows[i].want) != 0)
            fail_msg("#%zu '%s':\ngot  %s\nwant %s", i, rows[i].s, out.s, rows[i].want);
        text_done(&out);
    }
}

static void values(void **state)
{
    static const struct row rows[] = {
        {"", 0, ""},
        {"\n# x\n; y\n\n", 0, ""},
        {"[s]\n", 0, ""},
        {"[s]", 0, ""},
        {"[s]\nk=v", 0, "s.k=v@2:3;"},
        {"[s]\nk = v\n", 0, "s.k=v@2:5;"},
        {"[s] # c\nk\t=\t v w \t\n", 0, "s.k=v w@2:6;"},
        {"[s]\r\nk = v\r\n", 0, "s.k=v@2:5;"},
        {"[domain/a.b-c_d]\nK9_x = 1\n", 0, "domain/a.b-c_d.K9_x=1@2:8;"},
        {"[s]\nk = a=b = c\n", 0, "s.k=a=b = c@2:5;"},
        /* comments behind values */
        {"[s]\nk = v # c\n", 0, "s.k=v@2:5;"},
        {"[s]\nk = v ; c\n", 0, "s.k=v@2:5!;"},
        {"[s]\nk = v;c#d\n", 0, "s.k=v;c#d@2:5;"},
        {"[s]\nk = \"a # b ; c\" # d\n", 0, "s.k=\"a # b ; c\"@2:5;"},
        {"[s]\nk = a\\\" # b\n", 0, "s.k=a\\\"@2:5;"},
        {"[s]\nk = a \\# b\n", 0, "s.k=a \\# b@2:5;"},
        /* going on in the next line */
        {"[s]\nk = a,\n  b # c\n\tc\nl = d\n", 0, "s.k=a,\nb\nc@2:5;s.l=d@5:5;"},
        {"[s]\nk = a\n# c\n  # d\n  b\n", 0, "s.k=a\nb@2:5;"},
        {"[s]\nk = a\n  ; b\n", 0, "s.k=a@2:5!;"},
        {"[s]\nk = a\n  l = b\n", 0, "s.k=a\nl = b@2:5;"},
        {"[s]\r\nk = a\r\n  b\r\n", 0, "s.k=a\nb@2:5;"},
        /* a section taken up again; the same key elsewhere */
        {"[s]\na=1\n[t]\na=2\n[S]\nb=3\n", 0, "s.a=1@2:3;t.a=2@4:3;s.b=3@6:3;"},
    };

    (void)state;
    run(rows, ARRAY_LEN(rows));
}

/* F3 */
static void errors(void **state)
{
    static const struct row rows[] = {
        {"k = v\n", 0, "f:1:1: 'k' stands outside a section\n"},
        {"[s\nk = v\n", 0, "f:1:3: the section is not closed: a ']' is missing\n"},
        {"[s # ]\n", 0, "f:1:3: a section name is made of letters, digits and . - _ /\n"},
        {"[s#]\n", 0, "f:1:3: the section is not closed: a ']' is missing\n"},
        {"[]\n", 0, "f:1:1: the section has no name\n"},
        {"[a b]\n", 0, "f:1:3: a section name is made of letters, digits and . - _ /\n"},
        {"[s] k = v\n", 0, "f:1:5: nothing may stand behind a section but a comment\n"},
        {"[s]x\n", 0, "f:1:4: nothing may stand behind a section but a comment\n"},
        {"[s]\nk\n", 0, "f:2:1: neither 'key = value' nor '[section]' nor a comment\n"},
        {"[s]\npass word = v\n", 0, "f:2:5: a key is made of letters, digits and _\n"},
        {"[s]\n= v\n", 0, "f:2:1: a key is made of letters, digits and _\n"},
        {"[s]\nk =\n", 0, "f:2:1: 'k' has no value: leave the line out to have the default\n"},
        {"[s]\nk = # v\n", 0, "f:2:1: 'k' has no value: leave the line out to have the default\n"},
        {"[s]\nk = 1\n[t]\n[s]\nK = 2\n", 0, "f:5:1: 'K' is given twice: first in line 2\n"},
        {"[s]\nk = \"a\n", 0,
         "f:2:5: this quote is not closed in its line (as a character, write \\\")\n"},
        {"[s]\n  k = v\n", 0,
         "f:2:1: a line that begins with a space goes on with a value, and there is none above "
         "it: keys and sections begin at the left\n"},
        {"[s]\nk = v\n\n  w\n", 0,
         "f:4:1: a line that begins with a space goes on with a value, and there is none above "
         "it: keys and sections begin at the left\n"},
        /* bytes */
        {N("[s]\nk = a\0b\n"), "f:2:6: a control or invisible character (U+0000)\n"},
        {"[s]\nk = a\x1b[1m\n", 0, "f:2:6: a control or invisible character (U+001B)\n"},
        {"[s]\nk = a\rb\n", 0, "f:2:6: a control or invisible character (U+000D)\n"},
        {"[s]\r\r\n", 0, "f:1:4: a control or invisible character (U+000D)\n"},
        {"[s]\nk = v\r", 0, "f:2:6: a control or invisible character (U+000D)\n"},
        {"[s]\nk = \x7f\n", 0, "f:2:5: a control or invisible character (U+007F)\n"},
        {"[s]\nk = ali\xe2\x80\x8b"
         "ce\n",
         0, "f:2:8: a control or invisible character (U+200B)\n"},
        {"# \xe2\x80\xae\n", 0, "f:1:3: a control or invisible character (U+202E)\n"},
        {"[s]\nk = a\xff\n", 0, "f:2:6: byte 0xff is not UTF-8\n"},
        {"[s]\nk = \xc0\xaf\n", 0, "f:2:5: byte 0xc0 is not UTF-8\n"},
        {"\xef\xbb\xbf[s]\n", 0,
         "f:1:1: the file begins with a byte order mark: save it without\n"},
        {"\xff\xfe[\0s\0", 0, "f:1:1: byte 0xff is not UTF-8\n"},
        /* all of them, and none that only follows from another */
        {"k = v\n  w\n[s\nl = 1\n  2\n[t]\nm = \"\n  x\nn = 1\n", 0,
         "f:1:1: 'k' stands outside a section\n"
         "f:3:3: the section is not closed: a ']' is missing\n"
         "f:7:5: this quote is not closed in its line (as a character, write \\\")\n"},
    };

    (void)state;
    run(rows, ARRAY_LEN(rows));
}

/* F3: 4096 bytes are a line, 4097 an error, and nothing is cut in silence */
static void sizes(void **state)
{
    CLEANUP(cleanup_charp) char *big = malloc(INI_FILE_MAX + 1);
    struct text in = TEXT_INIT(INI_FILE_MAX), out = TEXT_INIT(1024 * 1024);
    CLEANUP(ini_freep) struct ini *ini = NULL;
    struct err e;

    (void)state;
    text_add(&in, "[s]\nk = ");
    for (size_t i = 4; i < INI_LINE_MAX; i++)
        text_addc(&in, 'x');
    assert_int_equal(ini_parse("f", in.s, in.len, &ini, &out, &e), 0);
    assert_int_equal(strlen(ini->entries[0].value), INI_LINE_MAX - 4);
    text_addc(&in, 'x');
    dump(in.s, in.len, &out);
    assert_string_equal(out.s, "f:2:4097: the line is longer than 4096 bytes\n");

    assert_non_null(big);
    memset(big, '\n', INI_FILE_MAX + 1);
    text_clear(&out);
    dump(big, INI_FILE_MAX, &out);
    assert_int_equal(out.len, 0);
    dump(big, INI_FILE_MAX + 1, &out);
    assert_string_equal(out.s, "f:1:1: the file is larger than 262144 bytes\n");
    text_done(&in);
    text_done(&out);
}

/* S2: a line that is not understood may hold a secret: it is not repeated */
static void says_no_values(void **state)
{
    struct text out = TEXT_INIT(4096);

    (void)state;
    dump(N("[s]\nhunter2\npass word = hunter2\nk = \"hunter2\n"), &out);
    assert_null(strstr(out.s, "hunter2"));
    text_done(&out);
}

/* M2 */
static void memory(void **state)
{
    static const char s[] = "[s]\nk = a\n  b\n[t]\nk = c\nl = d\n";

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        CLEANUP(ini_freep) struct ini *ini = NULL;
        struct err e = ERR_NONE;
        int rc = ini_parse("f", s, strlen(s), &ini, NULL, &e);

        assert_int_equal(rc, alloc_failed ? -1 : 0);
        assert_int_equal(e.code, alloc_failed ? ERR_NOMEM : ERR_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),         cmocka_unit_test(errors), cmocka_unit_test(sizes),
        cmocka_unit_test(says_no_values), cmocka_unit_test(memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
