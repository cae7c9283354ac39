/* tests/unit/base/test_winrm_shell.c -- one script in a shell: the requests of winrm.md 6 byte for
 * byte, what becomes of the output, and how it ended. What goes wrong: test_winrm_shell_fails.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/base/shell_play.h"

/* --- what is asked ------------------------------------------------------------------------------
 */

#define SELECTED                                                              \
    "<w:SelectorSet xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">" \
    "<w:Selector Name=\"ShellId\">S-1</w:Selector></w:SelectorSet>"
#define OPTIONS(s) \
    "<w:OptionSet xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">" s "</w:OptionSet>"
#define OPTION(name, value) "<w:Option Name=\"" name "\">" value "</w:Option>"

static void request_is(const char *action, const char *header, const char *body)
{
    assert_string_equal(fake.action, action);
    assert_string_equal(fake_between("<w:ResourceURI s:mustUnderstand=\"true\">", "<"),
                        SHELL "/cmd");
    assert_string_equal(fake_header(), header);
    assert_string_equal(fake_body(), body);
    assert_int_equal(fake.repeat, WINRM_ONCE);
}

static void the_requests(void **state)
{
    (void)state;
    start_with("exit 0", LONG_MS);
    request_is(TRANSFER "/Create",
               OPTIONS(OPTION("WINRS_NOPROFILE", "TRUE") OPTION("WINRS_CODEPAGE", "65001")),
               "<rsp:Shell><rsp:InputStreams>stdin</rsp:InputStreams>"
               "<rsp:OutputStreams>stdout stderr</rsp:OutputStreams></rsp:Shell>");
    created();
    request_is(SHELL "/Command",
               SELECTED OPTIONS(OPTION("WINRS_CONSOLEMODE_STDIN", "TRUE")
                                    OPTION("WINRS_SKIP_CMD_SHELL", "FALSE")),
               "<rsp:CommandLine><rsp:Command>powershell</rsp:Command>"
               "<rsp:Arguments>-NoProfile</rsp:Arguments>"
               "<rsp:Arguments>-NonInteractive</rsp:Arguments>"
               "<rsp:Arguments>-EncodedCommand</rsp:Arguments>"
               "<rsp:Arguments>ZQB4AGkAdAAgADAA</rsp:Arguments></rsp:CommandLine>");
    commanded();
    for (int i = 0; i < 2; i++) {
        request_is(SHELL "/Receive",
                   SELECTED OPTIONS(OPTION("WSMAN_CMDSHELL_OPTION_KEEPALIVE", "TRUE")),
                   "<rsp:Receive><rsp:DesiredStream CommandId=\"C-1\">stdout stderr"
                   "</rsp:DesiredStream></rsp:Receive>");
        received(i == 0 ? "" : STREAM("stdout", "b2s=") DONE);
    }
    request_is(SHELL "/Signal", SELECTED,
               "<rsp:Signal CommandId=\"C-1\"><rsp:Code>" SHELL "/signal/terminate</rsp:Code>"
               "</rsp:Signal>");
    fake_answer("", "<rsp:SignalResponse/>");
    request_is(TRANSFER "/Delete", SELECTED, "");
    assert_non_null(strstr(fake.sent.s, "<s:Body/>"));
    assert_int_equal(seen.callbacks, 0);
    fake_answer("", "");
    assert_int_equal(seen.callbacks, 1);
    assert_true(seen.ok && seen.has_exit && !seen.truncated);
    assert_int_equal(seen.exit_code, 0);
    assert_string_equal(seen.out.s, "ok");
    assert_string_equal(seen.err_out.s, "");
    assert_int_equal(fake.asked, 6);
    assert_int_equal(fake.abandoned, 0);
}

static void scripts(void **state)
{
    char long_one[4000];
    struct err e;

    (void)state;
    start_with("\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x92", LONG_MS);
    created();
    assert_non_null(strstr(fake_body(), ">5ACsID3YEt0=</rsp:Arguments>"));
    winrm_run_abandon(run);
    start_with("", LONG_MS);
    created();
    assert_non_null(strstr(fake_body(), "<rsp:Arguments/></rsp:CommandLine>"));
    winrm_run_abandon(run);

    memset(long_one, 'x', sizeof(long_one));
    long_one[3030] = '\0'; /* 8,080 characters of base64 */
    start_with(long_one, LONG_MS);
    winrm_run_abandon(run);
    long_one[3030] = 'x';
    long_one[3039] = '\0';
    assert_int_equal(winrm_run_start(&fake.winrm, long_one, LONG_MS, on_ran, &seen, &run, &e), -1);
    assert_int_equal(e.code, ERR_INTERNAL);
    assert_int_equal(winrm_run_start(&fake.winrm, "a\xff", LONG_MS, on_ran, &seen, &run, &e), -1);
    assert_int_equal(e.code, ERR_INTERNAL);
    assert_null(fake.call);
    assert_int_equal(seen.callbacks, 0);
}

/* --- output -------------------------------------------------------------------------------------
 */

static void chunks_are_joined(void **state)
{
    (void)state;
    begin();
    received(STREAM("stdout", "4oI=") STATE("Running", "")); /* half of a euro sign */
    received(STREAM("stderr", "w6Q=") STREAM("stdout", "\n  rC\r\n\tBv aw = = \n"));
    received(STREAM("stdout", "") STREAM("stdout", " \n ") STATE("Pending", ""));
    received("<rsp:Stream Name='stdout' CommandId='C-1' End='true'/>"
             "<rsp:Stream Name='stderr' CommandId='C-1' End='true'>IQ==</rsp:Stream>"
             "<rsp:Stream Name='other'>eA==</rsp:Stream><rsp:Stream>eA==</rsp:Stream>"
             "<Stream xmlns='' Name='stdout'>eA==</Stream>" DONE STREAM("stdout", "AAE="));
    tidied();
    assert_true(seen.ok && !seen.truncated);
    assert_int_equal(seen.out.len, 8);
    assert_memory_equal(seen.out.s, "\xe2\x82\xac ok\0\1", 8);
    assert_string_equal(seen.err_out.s, "\xc3\xa4!");
}

static void too_much_is_cut(void **state)
{
    enum { CHUNK = 150 * 1024 };
    CLEANUP(text_done) struct text t = TEXT_INIT(1024UL * 1024);

    (void)state;
    text_add(&t, "<rsp:Stream Name='stdout'>");
    for (int i = 0; i < CHUNK / 3; i++)
        text_add(&t, "YWJj");
    text_add(&t, "</rsp:Stream>");
    begin();
    received(t.s);
    received(t.s);
    received(t.s);
    received(STREAM("stderr", "eA==") DONE);
    tidied();
    assert_true(seen.ok && seen.truncated);
    assert_int_equal(seen.out.len, WINRM_OUTPUT_MAX);
    for (size_t i = 0; i < seen.out.len; i++)
        assert_int_equal(seen.out.s[i], 'a' + (int)(i % 3));
    assert_string_equal(seen.err_out.s, "x"); /* has its own room */
}

static void no_base64(void **state)
{
    static const char *const bad[] = {
        "!",           "YQ",   "YQ=",   "YWJj=",     "=",          "YQ==YQ==",
        "YW\xc3\xa4j", "Y W=", "YWJj-", "YWJj-YWJj", "YWJj&#160;", "YWJjYWJj*",
        "YQ==x",       "Y=Q=", "_w==",  "YWJjYQ",    "-",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(1024);

        begin();
        text_addf(&t, "<rsp:Stream Name='stdout'>%s</rsp:Stream>" DONE, bad[i]);
        received(t.s);
        if (seen.callbacks != 0 || strstr(fake.action, "Signal") == NULL)
            fail_msg("'%s' is taken", bad[i]);
        tidied();
        assert_false(seen.ok);
        assert_int_equal(seen.e.code, ERR_UNPROVEN);
    }
}

#define MARK "#< CLIXML\r\n"
#define OBJS(in)                                                                              \
    "<Objs Version=\"1.1.0.1\" xmlns=\"http://schemas.microsoft.com/powershell/2004/04\">" in \
    "</Objs>"
#define PROGRESS \
    "<Obj S=\"progress\" RefId=\"0\"><MS><PR N=\"Record\"><AV>Preparing.</AV></PR></MS></Obj>"
#define ERROR_RECORD "<S S=\"Error\">Start-ADSyncSyncCycle : no_x000D__x000A_</S>"

/* Stderr is no failure by itself; progress is none at all, the rest is for a person. */
static void clixml(void **state)
{
    static const struct {
        const char *s;
        bool stays;
    } rows[] = {
        {MARK OBJS(PROGRESS), false},
        {MARK OBJS(PROGRESS PROGRESS) "\r\n", false},
        {MARK OBJS(PROGRESS) OBJS(PROGRESS), false},
        {MARK OBJS(PROGRESS) "\n" MARK OBJS(PROGRESS), false},
        {MARK OBJS(""), false},
        {MARK, false},
        {"#< CLIXML", false},
        {MARK OBJS(ERROR_RECORD), true},
        {MARK OBJS(PROGRESS ERROR_RECORD), true},
        {MARK OBJS(PROGRESS) OBJS(ERROR_RECORD), true},
        {MARK OBJS("<S S='Error'>x</S>"), true}, /* other quotes */
        {MARK OBJS(PROGRESS "<S S=\"warning\">mind this</S>"), true},
        {MARK OBJS("<S>x</S>"), true},
        {MARK OBJS("\n" PROGRESS "\n"), false},
        {MARK OBJS(PROGRESS "words"), true},
        {MARK OBJS(PROGRESS) "Access is denied.", true},
        {MARK "Access is denied." OBJS(PROGRESS), true},
        {MARK "<Objs>" PROGRESS, true}, /* cut: who knows */
        {MARK OBJS("<Obj S=\"progress\">"), true},
        {"x" MARK OBJS(PROGRESS), true},
        {OBJS(PROGRESS), true},
        {"plain", true},
        {"", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(8192), in = TEXT_INIT(8192);
        static const char digits[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

        /* As base64, with blanks up to whole groups of three. */
        text_add(&t, rows[i].s);
        while (t.len % 3 != 0)
            text_addc(&t, ' ');
        text_add(&in, "<rsp:Stream Name='stderr'>");
        for (size_t k = 0; k < t.len; k += 3) {
            uint32_t v = (uint32_t)(uint8_t)t.s[k] << 16 | (uint32_t)(uint8_t)t.s[k + 1] << 8 |
                         (uint8_t)t.s[k + 2];

            for (int b = 18; b >= 0; b -= 6)
                text_addc(&in, digits[v >> b & 63]);
        }
        text_add(&in, "</rsp:Stream>" DONE);
        begin();
        received(in.s);
        tidied();
        assert_true(seen.ok);
        if (strcmp(seen.err_out.s, rows[i].stays ? t.s : "") != 0)
            fail_msg("%zu: %s", i, seen.err_out.s);
    }
    /* A NUL ends nothing: what is behind it may be what counts. */
    begin();
    received(STREAM("stderr", "IzwgQ0xJWE1MAGVycm9y") DONE);
    tidied();
    assert_int_equal(seen.err_out.len, 15);
}

static void exit_codes(void **state)
{
    static const struct {
        const char *state;
        bool has;
        int32_t code;
    } rows[] = {
        {STATE("Done", "<rsp:ExitCode>0</rsp:ExitCode>"), true, 0},
        {STATE("Done", "<rsp:ExitCode>\n 3 \n</rsp:ExitCode>"), true, 3},
        {STATE("Done", "<rsp:ExitCode>-1</rsp:ExitCode>"), true, -1},
        {STATE("Done", "<rsp:ExitCode>-2147483648</rsp:ExitCode>"), true, INT32_MIN},
        {STATE("Done", "<rsp:ExitCode>4294967295</rsp:ExitCode>"), true, -1},
        {STATE("Done", "<rsp:ExitCode>3221225786</rsp:ExitCode>"), true, (int32_t)0xC000013A},
        /* None: it could not be run. */
        {STATE("Done", ""), false, 0},
        {STATE("Done", "<rsp:ExitCode/>"), false, 0},
        {STATE("Done", "<rsp:ExitCode>x</rsp:ExitCode>"), false, 0},
        {STATE("Done", "<rsp:ExitCode>1 2</rsp:ExitCode>"), false, 0},
        {STATE("Done", "<rsp:ExitCode>4294967296</rsp:ExitCode>"), false, 0},
        {STATE("Done", "<rsp:ExitCode>-2147483649</rsp:ExitCode>"), false, 0},
        {STATE("Done", "<ExitCode xmlns=''>0</ExitCode>"), false, 0},
    };
    static const char *const not_yet[] = {
        STATE("Running", "<rsp:ExitCode>7</rsp:ExitCode>"),
        STATE("Pending", ""),
        STATE("DoneX", ""),
        "<rsp:CommandState/>",
        "<rsp:CommandState State='Done'/>",
        "<n:CommandState State='" SHELL "/CommandState/Done'/>",
        "",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin();
        received(not_yet[i % ARRAY_LEN(not_yet)]);
        received(rows[i].state);
        tidied();
        assert_true(seen.ok);
        assert_int_equal(seen.has_exit, rows[i].has);
        if (rows[i].has)
            assert_int_equal(seen.exit_code, rows[i].code);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_requests), T(scripts), T(chunks_are_joined), T(too_much_is_cut),
        T(no_base64),    T(clixml),  T(exit_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
