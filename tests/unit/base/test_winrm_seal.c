/* tests/unit/base/test_winrm_seal.c -- the frame around sealed bytes, as it is and as servers vary
 * it; and all that is no such frame. The bytes may be anything, a boundary included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/soap.h"
#include "base/winrm_seal.h"

#define SPNEGO "application/HTTP-SPNEGO-session-encrypted"
#define KERBEROS "application/HTTP-Kerberos-session-encrypted"
#define TYPE "multipart/encrypted;protocol=\"" SPNEGO "\";boundary=\"Encrypted Boundary\""
#define SOAP "type=application/soap+xml;charset=UTF-8;Length="

static void written(void **state)
{
    static const char *const protocols[] = {SPNEGO, KERBEROS};

    (void)state;
    for (enum winrm_seal how = WINRM_SEAL_SPNEGO; how <= WINRM_SEAL_KERBEROS; how++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(4096), wanted = TEXT_INIT(4096);

        winrm_seal_write(&t, how, 12345, "TOK", 3, "sealed bytes", 12);
        text_addf(&wanted,
                  "--Encrypted Boundary\r\nContent-Type: %s\r\n"
                  "OriginalContent: type=application/soap+xml;charset=UTF-8;Length=12345\r\n"
                  "--Encrypted Boundary\r\nContent-Type: application/octet-stream\r\n",
                  protocols[how]);
        text_addn(&wanted, "\3\0\0\0TOKsealed bytes", 19);
        text_add(&wanted, "--Encrypted Boundary--\r\n");
        assert_int_equal(t.len, wanted.len);
        assert_memory_equal(t.s, wanted.s, t.len);
        text_clear(&wanted);
        text_addf(&wanted, "multipart/encrypted;protocol=\"%s\";boundary=\"Encrypted Boundary\"",
                  protocols[how]);
        assert_string_equal(winrm_seal_type(how), wanted.s);
    }
}

/* Reads a copy that ends where it ends: ASan sees a step too far. */
static int read_as(const char *s, size_t n, const char *type, enum winrm_seal how,
                   const char *token, const char *sealed, size_t sealed_len, struct err *e)
{
    CLEANUP(cleanup_charp) char *exact = malloc(n + (n == 0));
    struct winrm_sealed r = {.plain_len = 4711};

    assert_non_null(exact);
    memcpy(exact, s, n);
    *e = ERR_NONE;
    if (winrm_seal_read(exact, n, type, how, &r, e) < 0) {
        assert_int_equal(r.plain_len, 4711); /* written on success only */
        assert_int_not_equal(e->code, ERR_OK);
        return -1;
    }
    assert_int_equal(r.token_len, strlen(token));
    assert_memory_equal(r.token, token, r.token_len);
    assert_int_equal(r.sealed_len, sealed_len);
    assert_memory_equal(r.sealed, sealed, sealed_len);
    assert_int_equal(r.plain_len, 12345);
    assert_string_equal(r.original_type, "application/soap+xml;charset=UTF-8");
    return 0;
}

static void any_bytes(void **state)
{
#define B(s)             \
    {                    \
        s, sizeof(s) - 1 \
    }
    static const struct {
        const char *s;
        size_t n;
    } rows[] = {
        B(""),
        B("x"),
        B("-"),
        B("--"),
        B("---"),
        B("\r\n"),
        B("\0\0\0\0"),
        B("\xff\n\r\0--Encrypted Boundary--\r\n\xfe tail"),
        B("in --Encrypted Boundary\r\nContent-Type: application/octet-stream\r\n side"),
        B("at the end --Encrypted Boundary--"),
        B("at the end --Encrypted Boundary--\r\n"),
        B("at the end --Encrypted Boundary"),
        B("at the end --Encrypted Boundary\r\n"),
        B("at the end -- Encrypted Boundary--"),
        B("at the end --Encrypted"),
        B("at the end --"),
        B("at the end ---"),
        B("blanks at the end  "),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (enum winrm_seal how = WINRM_SEAL_SPNEGO; how <= WINRM_SEAL_KERBEROS; how++) {
            static const char *const tokens[] = {"", "T", "to\nken--Encrypted Boundary--\r\n"};

            for (size_t k = 0; k < ARRAY_LEN(tokens); k++) {
                CLEANUP(text_done) struct text t = TEXT_INIT(4096);
                struct err e;

                winrm_seal_write(&t, how, 12345, tokens[k], strlen(tokens[k]), rows[i].s,
                                 rows[i].n);
                if (read_as(t.s, t.len, winrm_seal_type(how), how, tokens[k], rows[i].s, rows[i].n,
                            &e) < 0)
                    fail_msg("%zu: %s", i, e.msg);
                /* Sealed as the other protocol: another context. */
                assert_int_equal(read_as(t.s, t.len, winrm_seal_type(how), !how, "", "", 0, &e),
                                 -1);
                assert_int_equal(read_as(t.s, t.len, winrm_seal_type(!how), how, "", "", 0, &e),
                                 -1);
                assert_int_equal(e.code, ERR_INVALID);
            }
        }
    }
}

/* Every cut of a message is refused, however it ends. */
static void cut_off(void **state)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(4096);
    struct err e;
    size_t whole;

    (void)state;
    winrm_seal_write(&t, WINRM_SEAL_SPNEGO, 12345, "TOK", 3, "sealed", 6);
    whole = t.len - 2; /* the last CRLF may be missing */
    for (size_t n = 0; n < t.len; n++)
        assert_int_equal(read_as(t.s, n, TYPE, WINRM_SEAL_SPNEGO, "TOK", "sealed", 6, &e),
                         n >= whole ? 0 : -1);
}

/* A message of these lines, with token "TOK" and "sealed" as its bytes. */
static void build(struct text *t, const char *head, const char *end)
{
    text_add(t, head);
    text_addn(t, "\3\0\0\0TOKsealed", 13);
    text_add(t, end);
}

#define HEAD                                                                     \
    "--Encrypted Boundary\r\nContent-Type: " SPNEGO "\r\nOriginalContent: " SOAP \
    "12345\r\n--Encrypted Boundary\r\nContent-Type: application/octet-stream\r\n"
#define END "--Encrypted Boundary--\r\n"

/* As seen in answers (winrm.md 2.4), and what would mean the same. */
static void varied(void **state)
{
    static const struct {
        const char *type, *head, *end;
    } rows[] = {
        {TYPE, HEAD, END},
        /* a TAB before the headers, as in the specification's sample */
        {TYPE,
         "--Encrypted Boundary\r\n\tContent-Type: " SPNEGO "\r\n\tOriginalContent: " SOAP
         "12345\r\n--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n",
         END},
        /* blanks here and there */
        {TYPE,
         "-- Encrypted Boundary\r\n  Content-Type :  " SPNEGO " \r\n \t OriginalContent:\t" SOAP
         "12345 \t\r\n-- Encrypted Boundary\r\nContent-Type:application/octet-stream \r\n",
         "-- Encrypted Boundary--\r\n"},
        /* another case */
        {"Multipart/Encrypted; PROTOCOL=\"application/http-spnego-session-ENCRYPTED\"; "
         "boundary=\"Encrypted Boundary\"",
         "--Encrypted Boundary\r\ncontent-type: APPLICATION/http-spnego-SESSION-encrypted\r\n"
         "ORIGINALCONTENT: TYPE=application/soap+xml;charset=UTF-8;LENGTH=12345\r\n"
         "--Encrypted Boundary\r\nCONTENT-TYPE: Application/Octet-Stream\r\n",
         END},
        /* no boundary parameter; no quotes; other parameters; another boundary */
        {"multipart/encrypted;protocol=\"" SPNEGO "\"", HEAD, END},
        {"multipart/encrypted; protocol=" SPNEGO, HEAD, END},
        {" multipart/encrypted ; x=y ;protocol=\"" SPNEGO "\";boundary=Encrypted Boundary", HEAD,
         END},
        {"multipart/encrypted;protocol=\"" SPNEGO "\";boundary=\"other-one-\"",
         "--other-one-\r\nContent-Type: " SPNEGO "\r\nOriginalContent: " SOAP
         "12345\r\n--other-one-\r\nContent-Type: application/octet-stream\r\n",
         "--other-one---\r\n"},
        /* line ends */
        {TYPE, HEAD, "--Encrypted Boundary--"},
        {TYPE, HEAD, "--Encrypted Boundary--\r\n\r\n\r\n"},
        {TYPE, HEAD, "--Encrypted Boundary-- \r\n"},
        {TYPE,
         "\r\n\r\n--Encrypted Boundary\nContent-Type: " SPNEGO "\nOriginalContent: " SOAP
         "12345\n\n--Encrypted Boundary\nX-More: y\nContent-Type: application/octet-stream\n",
         END},
        /* the parts of OriginalContent with blanks, and with an order of their own */
        {TYPE,
         "--Encrypted Boundary\r\nContent-Type: " SPNEGO "\r\nOriginalContent: Length=12345;  "
         "type=application/soap+xml;charset=UTF-8;; x=y ;\r\n--Encrypted Boundary\r\n"
         "Content-Type: application/octet-stream\r\n",
         END},
        {TYPE,
         "--Encrypted Boundary\r\nOriginalContent: " SOAP "12345\r\nContent-Type: " SPNEGO
         "\r\n--Encrypted Boundary\r\nContent-Type: application/octet-stream; x=y\r\n",
         END},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(4096);
        struct err e;

        build(&t, rows[i].head, rows[i].end);
        if (read_as(t.s, t.len, rows[i].type, WINRM_SEAL_SPNEGO, "TOK", "sealed", 6, &e) < 0)
            fail_msg("%zu: %s", i, e.msg);
    }
}

static void original_types(void **state)
{
    static const struct {
        const char *original, *type;
    } rows[] = {
        {"type=application/soap+xml;charset=UTF-16;Length=0",
         "application/soap+xml;charset=UTF-16"},
        {"type=application/soap+xml; charset=UTF-16 ;Length=0",
         "application/soap+xml; charset=UTF-16 "},
        {"type=application/soap+xml;Length=0", "application/soap+xml"},
        {"Length=0;type=application/soap+xml", "application/soap+xml"},
        {"charset=x;type=;Length=0", ""},
        {"type=;Length=2097152", ""}, /* SOAP_MAX_ANSWER */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(4096), head = TEXT_INIT(4096);
        struct winrm_sealed r;
        struct err e;

        text_addf(&head,
                  "Content-Type: " SPNEGO "\r\nOriginalContent: %s\r\n"
                  "Content-Type: application/octet-stream\r\n",
                  rows[i].original);
        build(&t, head.s, END);
        if (winrm_seal_read(t.s, t.len, TYPE, WINRM_SEAL_SPNEGO, &r, &e) < 0)
            fail_msg("%zu: %s", i, e.msg);
        assert_string_equal(r.original_type, rows[i].type);
    }
}

static void refused(void **state)
{
    char x200[201];
#define ORIGINAL(s)                                                           \
    "--Encrypted Boundary\r\nContent-Type: " SPNEGO "\r\nOriginalContent: " s \
    "\r\n--Encrypted Boundary\r\nContent-Type: application/octet-stream\r\n"
    static const struct {
        const char *type, *head, *words;
        enum err_code code;
    } rows[] = {
        {NULL, HEAD, "without a Content-Type", ERR_INVALID},
        {"", HEAD, "in clear", ERR_INVALID},
        {"application/soap+xml;charset=UTF-8", HEAD, "in clear", ERR_INVALID},
        {"multipart/mixed;protocol=\"" SPNEGO "\"", HEAD, "in clear", ERR_INVALID},
        {"multipart/encryptedx;protocol=\"" SPNEGO "\"", HEAD, "in clear", ERR_INVALID},
        {"multipart/x-multi-encrypted;protocol=\"application/HTTP-CredSSP-session-encrypted\"",
         HEAD, "CredSSP", ERR_UNSUPPORTED},
        {"multipart/encrypted;protocol=\"application/HTTP-CredSSP-session-encrypted\"", HEAD,
         "another protocol", ERR_INVALID},
        {"multipart/encrypted;protocol=\"" KERBEROS "\"", HEAD, "another protocol", ERR_INVALID},
        {"multipart/encrypted", HEAD, "another protocol", ERR_INVALID},
        {TYPE, "", "head", ERR_INVALID},
        {TYPE, "--Encrypted Boundary\r\n", "head", ERR_INVALID},
        {TYPE, "--Encrypted Boundary\r\nContent-Type: " KERBEROS "\r\n", "another protocol",
         ERR_INVALID},
        {TYPE, "--Encrypted Boundary\r\nContent-Type: text/plain\r\n", "another protocol",
         ERR_INVALID},
        /* one part only, or half of one */
        {TYPE, "--Encrypted Boundary\r\nContent-Type: application/octet-stream\r\n",
         "OriginalContent", ERR_INVALID},
        {TYPE, "OriginalContent: " SOAP "12345\r\nContent-Type: application/octet-stream\r\n",
         "OriginalContent", ERR_INVALID},
        {TYPE, "Content-Type: " SPNEGO "\r\nContent-Type: application/octet-stream\r\n",
         "OriginalContent", ERR_INVALID},
        {TYPE, "OriginalContent: " SOAP "1\r\n" HEAD, "bad OriginalContent", ERR_INVALID},
        /* lengths that are none */
        {TYPE, ORIGINAL(""), "bad OriginalContent", ERR_INVALID},
        {TYPE, ORIGINAL("type=application/soap+xml;charset=UTF-8"), "bad", ERR_INVALID},
        {TYPE, ORIGINAL("Length=5"), "bad", ERR_INVALID},
        {TYPE, ORIGINAL(SOAP), "bad", ERR_INVALID},
        {TYPE, ORIGINAL(SOAP "-1"), "bad", ERR_INVALID},
        {TYPE, ORIGINAL(SOAP "0x10"), "bad", ERR_INVALID},
        {TYPE, ORIGINAL(SOAP "12 45"), "bad", ERR_INVALID},
        {TYPE, ORIGINAL(SOAP "1.5"), "bad", ERR_INVALID},
        {TYPE, ORIGINAL(SOAP "2097153"), "bad", ERR_INVALID}, /* over SOAP_MAX_ANSWER */
        {TYPE, ORIGINAL(SOAP "18446744073709551616"), "bad", ERR_INVALID},
        {TYPE, ORIGINAL(SOAP "000000000000000000000000000000001"), "bad", ERR_INVALID},
        {TYPE, ORIGINAL(SOAP "1;Length=2"), "bad", ERR_INVALID},
    };
    CLEANUP(text_done) struct text t = TEXT_INIT(64 * 1024);
    struct err e;

    (void)state;
    memset(x200, 'x', 200);
    x200[200] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        text_clear(&t);
        build(&t, rows[i].head, END);
        if (read_as(t.s, t.len, rows[i].type, WINRM_SEAL_SPNEGO, "TOK", "sealed", 6, &e) == 0)
            fail_msg("%zu is taken", i);
        assert_int_equal(e.code, rows[i].code);
        if (strstr(e.msg, rows[i].words) == NULL)
            fail_msg("%zu: %s", i, e.msg);
    }
    text_clear(&t); /* a type too long to keep */
    text_addf(&t,
              "Content-Type: " SPNEGO "\r\nOriginalContent: type=%s;Length=1\r\n"
              "Content-Type: application/octet-stream\r\n",
              x200);
    build(&t, "", END);
    assert_int_equal(read_as(t.s, t.len, TYPE, WINRM_SEAL_SPNEGO, "", "", 0, &e), -1);
    text_clear(&t); /* a line too long */
    for (int i = 0; i < 10; i++)
        text_add(&t, x200);
    build(&t, "\r\n" HEAD, END);
    assert_int_equal(read_as(t.s, t.len, TYPE, WINRM_SEAL_SPNEGO, "", "", 0, &e), -1);
    text_clear(&t); /* too many lines */
    for (int i = 0; i < 20; i++)
        text_add(&t, "\r\n");
    build(&t, HEAD, END);
    assert_int_equal(read_as(t.s, t.len, TYPE, WINRM_SEAL_SPNEGO, "", "", 0, &e), -1);
    text_clear(&t); /* a NUL in the head */
    text_addn(&t, "X: \0\r\n", 6);
    build(&t, HEAD, END);
    assert_int_equal(read_as(t.s, t.len, TYPE, WINRM_SEAL_SPNEGO, "", "", 0, &e), -1);
    assert_int_equal(
        winrm_seal_read(NULL, 0, TYPE, WINRM_SEAL_SPNEGO, &(struct winrm_sealed){0}, &e), -1);
}

/* The length of the token against the bytes that are there. */
static void tokens_that_lie(void **state)
{
    static const struct {
        const char bytes[8];
        size_t n;
        int rc;
        size_t token, sealed;
    } rows[] = {
        {"", 0, -1, 0, 0},
        {"\0\0\0", 3, -1, 0, 0},
        {"\0\0\0\0", 4, 0, 0, 0},
        {"\0\0\0\0s", 5, 0, 0, 1},
        {"\1\0\0\0T", 5, 0, 1, 0},
        {"\2\0\0\0T", 5, -1, 0, 0},
        {"\1\1\0\0T", 5, -1, 0, 0},
        {"\1\0\1\0T", 5, -1, 0, 0},
        {"\1\0\0\1T", 5, -1, 0, 0},
        {"\xff\xff\xff\xffT", 5, -1, 0, 0},
        {"\xfc\xff\xff\xffT", 5, -1, 0, 0}, /* 4 + it is 0 in 32 bits */
        {"\0\0\0\1", 4, -1, 0, 0},          /* big-endian */
        {"\2\0\0\0TTss", 8, 0, 2, 2},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(4096);
        struct winrm_sealed r;
        struct err e;

        text_add(&t, HEAD);
        text_addn(&t, rows[i].bytes, rows[i].n);
        text_add(&t, END);
        assert_int_equal(winrm_seal_read(t.s, t.len, TYPE, WINRM_SEAL_SPNEGO, &r, &e), rows[i].rc);
        if (rows[i].rc < 0) {
            assert_int_equal(e.code, ERR_INVALID);
            continue;
        }
        assert_int_equal(r.token_len, rows[i].token);
        assert_int_equal(r.sealed_len, rows[i].sealed);
        assert_ptr_equal(r.sealed, r.token + r.token_len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written),         cmocka_unit_test(any_bytes),
        cmocka_unit_test(cut_off),         cmocka_unit_test(varied),
        cmocka_unit_test(original_types),  cmocka_unit_test(refused),
        cmocka_unit_test(tokens_that_lie),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
