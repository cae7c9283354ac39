/* tests/unit/base/test_soap_fault.c -- what each fault means for us: the numbers that Windows and
 * its event log give, the names that other servers give, and nothing at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/soap.h"

#define ID "uuid:8F0C0DE5-0000-4000-8000-00000000ABCD"
#define UTF8_TYPE "application/soap+xml;charset=UTF-8"

/* Code and Subcode (NULL: none), Reason, what is in Detail. */
static struct soap_fault fault(const char *subcode, const char *reason, const char *detail)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(64 * 1024);
    struct soap_fault f;
    struct soap_answer a;
    struct err e;

    text_add(&t, "<s:Envelope xmlns:s='" SOAP_S "' xmlns:f='" SOAP_F "' xmlns:w='" SOAP_W
                 "'><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value>");
    if (subcode != NULL)
        text_addf(&t, "<s:Subcode><s:Value>%s</s:Value></s:Subcode>", subcode);
    text_addf(&t,
              "</s:Code><s:Reason><s:Text xml:lang='de-DE'>%s</s:Text></s:Reason>"
              "<s:Detail>%s</s:Detail></s:Fault></s:Body></s:Envelope>",
              reason, detail);
    if (soap_read(t.s, t.len, UTF8_TYPE, ID, &a, &e) < 0)
        fail_msg("%s", e.msg);
    f = a.fault;
    soap_answer_done(&a);
    return f;
}

static void fault_numbers(void **state)
{
    static const struct {
        uint32_t code;
        enum soap_fault_kind kind;
        enum err_code err;
    } rows[] = {
        {2150858793U, SOAP_TIMED_OUT, ERR_TIMEOUT},
        {5, SOAP_DENIED, ERR_DENIED},
        {15001, SOAP_BAD_QUERY, ERR_INVALID},
        {15008, SOAP_BAD_QUERY, ERR_INVALID},
        {15007, SOAP_NO_LOG, ERR_NOTFOUND},
        {15009, SOAP_NO_LOG, ERR_NOTFOUND},
        {15010, SOAP_NO_LOG, ERR_NOTFOUND},
        {15036, SOAP_NO_LOG, ERR_NOTFOUND},
        {15011, SOAP_STALE, ERR_NOTFOUND},
        {15012, SOAP_STALE, ERR_NOTFOUND},
        {0x80338038U, SOAP_STALE, ERR_NOTFOUND},
        {2150858760U, SOAP_GONE, ERR_NOTFOUND},
        {2150858907U, SOAP_GONE, ERR_NOTFOUND},
        {2150858910U, SOAP_GONE, ERR_NOTFOUND},
        {0x8033800aU, SOAP_GONE, ERR_NOTFOUND},
        {2150858758U, SOAP_OUR_BUG, ERR_INVALID},
        {2150858788U, SOAP_OUR_BUG, ERR_INVALID},
        {0x8033803fU, SOAP_QUOTA, ERR_BUSY},
        {2150859174U, SOAP_QUOTA, ERR_BUSY},
        {2150859175U, SOAP_QUOTA, ERR_BUSY},
        {2150859176U, SOAP_QUOTA, ERR_BUSY},
        {2150859240U, SOAP_QUOTA, ERR_BUSY},
        {2150858823U, SOAP_TOO_BIG, ERR_TOOBIG},
        {2150858824U, SOAP_TOO_BIG, ERR_TOOBIG},
        {2150858825U, SOAP_TOO_BIG, ERR_TOOBIG},
        {2150858790U, SOAP_TOO_BIG, ERR_TOOBIG},
        {2150858878U, SOAP_OUR_BUG, ERR_INVALID},
        {2150858811U, SOAP_NO_RESOURCE, ERR_UNSUPPORTED},
        {2150858813U, SOAP_NO_RESOURCE, ERR_UNSUPPORTED},
        {2150858753U, SOAP_NO_RESOURCE, ERR_UNSUPPORTED},
        {0x8033805bU, SOAP_NO_SHELL, ERR_NOTFOUND},
        {2150858809U, SOAP_OUR_BUG, ERR_INVALID},
        {2150858916U, SOAP_OUR_BUG, ERR_INVALID},
        {2150858783U, SOAP_OUR_BUG, ERR_INVALID},
        {2150859015U, SOAP_BAD_QUERY, ERR_INVALID},
        {2150859007U, SOAP_OUR_BUG, ERR_INVALID},
        {2150858767U, SOAP_OUR_BUG, ERR_INVALID},
        {2150858768U, SOAP_OUR_BUG, ERR_INVALID},
        {2150858769U, SOAP_OUR_BUG, ERR_INVALID},
        {2150859173U, SOAP_QUOTA, ERR_BUSY},
        {2150859180U, SOAP_NO_SHELLS, ERR_REFUSED},
        {2150858883U, SOAP_STOPPING, ERR_BUSY},
        {995, SOAP_STOPPING, ERR_BUSY},
        {1223, SOAP_STOPPING, ERR_BUSY},
        {4711, SOAP_OTHER, ERR_REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char detail[256];
        struct soap_fault f;
        struct err e;

        (void)snprintf(detail, sizeof(detail),
                       "<f:WSManFault Code=\"%u\" Machine=\"dc1.corp.example.com\"><f:Message>"
                       "Der Text.</f:Message></f:WSManFault>",
                       rows[i].code);
        f = fault("w:InternalNonsense", "reason", detail);
        if (f.kind != rows[i].kind)
            fail_msg("%u is %s", rows[i].code, soap_fault_word(f.kind));
        assert_int_equal(f.code, rows[i].code);
        assert_int_equal(f.outer, rows[i].code);
        assert_string_equal(f.machine, "dc1.corp.example.com");
        assert_string_equal(f.subcode, "InternalNonsense");
        assert_non_null(strstr(f.words, "Der Text."));
        assert_int_equal(soap_fault_err(&f, "dc1", &e), -1);
        assert_int_equal(e.code, rows[i].err);
        assert_int_equal((uint32_t)e.native, rows[i].code);
        assert_int_equal(strncmp(e.msg, "dc1: ", 5), 0);
        assert_string_equal(e.msg + 5, f.words);
    }
}

#define PROVIDER(in) "<f:ProviderFault provider='P' path='c:\\p.dll'>" in "</f:ProviderFault>"

/* Which of several numbers counts. */
static void nested_faults(void **state)
{
    static const struct {
        const char *detail;
        uint32_t code, outer;
        enum soap_fault_kind kind;
        const char *words;
    } rows[] = {
        {"<w:FaultDetail>http://x</w:FaultDetail><f:WSManFault Code='2150858811' Machine='dc1'>"
         "<f:Message>\n " PROVIDER("<f:WSManFault Code='15007'><f:Message>inner</f:Message>"
                                   "</f:WSManFault>") "\n</f:Message></f:WSManFault>",
         15007, 2150858811U, SOAP_NO_LOG, "there is no such log; it says: inner"},
        /* What is not known inside: the outer one. */
        {"<f:WSManFault Code='5'><f:Message>" PROVIDER(
             "<f:WSManFault Code='31337'/>") "</f:Message></f:WSManFault>",
         31337, 5, SOAP_DENIED, "access denied; it says: why"},
        /* Three deep; then one beside it that is not as deep. */
        {"<f:WSManFault Code='1'><f:Message>" PROVIDER("<f:WSManFault Code='2'>" PROVIDER(
             "<f:WSManFault Code='15012'/>") "</f:WSManFault>") "</f:Message></"
                                                                "f:WSManFault><f:WSManFault "
                                                                "Code='5'/>",
         15012, 1, SOAP_STALE, "the place in the log is gone; it says: why"},
        /* White space is no message: the one that says something stays. */
        {"<f:WSManFault Code='995'><f:Message>\n  " PROVIDER(
             "text") "\n</f:Message></f:WSManFault>",
         995, 995, SOAP_STOPPING, "the service is stopping; it says: why"},
        /* Not numbers. */
        {"<f:WSManFault Code='0x5'/>", 0, 0, SOAP_OTHER, "why"},
        {"<f:WSManFault Code='-5'/>", 0, 0, SOAP_OTHER, "why"},
        {"<f:WSManFault Code=''/>", 0, 0, SOAP_OTHER, "why"},
        {"<f:WSManFault Code='0'/>", 0, 0, SOAP_OTHER, "why"},
        {"<f:WSManFault Code='4294967296'/>", 0, 0, SOAP_OTHER, "why"},
        {"<f:WSManFault/>", 0, 0, SOAP_OTHER, "why"},
        {"<f:WSManFault Code='5'><f:Message>" PROVIDER(
             "<f:WSManFault Code='0'/>") "</f:Message></f:WSManFault>",
         5, 5, SOAP_DENIED, "access denied; it says: why"},
        /* Of another namespace. */
        {"<w:WSManFault Code='5'/>", 0, 0, SOAP_OTHER, "why"},
        {"", 0, 0, SOAP_OTHER, "why"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct soap_fault f = fault(NULL, " why", rows[i].detail);

        assert_int_equal(f.code, rows[i].code);
        assert_int_equal(f.outer, rows[i].outer);
        assert_int_equal(f.kind, rows[i].kind);
        assert_string_equal(f.words, rows[i].words);
        assert_string_equal(f.subcode, "");
    }
}

static void symbolic_faults(void **state)
{
    static const struct {
        const char *subcode;
        enum soap_fault_kind kind;
    } rows[] = {
        {"w:TimedOut", SOAP_TIMED_OUT},
        {"TimedOut", SOAP_TIMED_OUT},
        {"\n   wsman:TimedOut\r\n ", SOAP_TIMED_OUT},
        {"w:AccessDenied", SOAP_DENIED},
        {"wsen:InvalidEnumerationContext", SOAP_GONE},
        {"wse:UnableToRenew", SOAP_OUR_BUG},
        {"wse:FilteringRequestedUnavailable", SOAP_BAD_QUERY},
        {"wsen:FilterDialectRequestedUnavailable", SOAP_BAD_QUERY},
        {"wsen:CannotProcessFilter", SOAP_BAD_QUERY},
        {"w:InvalidBookmark", SOAP_STALE},
        {"w:QuotaLimit", SOAP_QUOTA},
        {"w:EncodingLimit", SOAP_TOO_BIG},
        {"a:DestinationUnreachable", SOAP_GONE}, /* OMI: an unknown context */
        {"w:InvalidSelectors", SOAP_NO_RESOURCE},
        {"a:ActionNotSupported", SOAP_NO_RESOURCE},
        {"a:InvalidMessageInformationHeader", SOAP_OUR_BUG},
        {"a:MessageInformationHeaderRequired", SOAP_OUR_BUG},
        {"w:SchemaValidationError", SOAP_OUR_BUG},
        {"w:InvalidOptions", SOAP_OUR_BUG},
        {"w:InternalError", SOAP_STOPPING},
        {"w:timedout", SOAP_OTHER}, /* XML names have a case */
        {"w:TimedOutX", SOAP_OTHER},
        {"w:", SOAP_OTHER},
        {"", SOAP_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct soap_fault f = fault(rows[i].subcode, "", "");

        if (f.kind != rows[i].kind)
            fail_msg("%s is %s", rows[i].subcode, soap_fault_word(f.kind));
        assert_int_equal(f.code, 0);
        assert_string_not_equal(f.words, "");
    }
    /* A number that is known counts for more. */
    assert_int_equal(fault("w:TimedOut", "", "<f:WSManFault Code='5'/>").kind, SOAP_DENIED);
    assert_int_equal(fault("w:TimedOut", "", "<f:WSManFault Code='31337'/>").kind, SOAP_TIMED_OUT);
    /* The deepest of several. */
    assert_int_equal(fault("w:Unknown</s:Value><s:Subcode><s:Value>w:TimedOut</s:Value>"
                           "</s:Subcode><s:Value>",
                           "", "")
                         .kind,
                     SOAP_TIMED_OUT);
}

/* SOAP 1.2 5.4.6: MustUnderstand is a Code, not a Subcode. */
static void code_without_subcode(void **state)
{
    static const struct {
        const char *fault, *subcode, *words;
        enum soap_fault_kind kind;
    } rows[] = {
        {"<s:Fault><s:Code><s:Value>s:MustUnderstand</s:Value></s:Code></s:Fault>",
         "MustUnderstand", "a header is not understood", SOAP_OUR_BUG},
        {"<s:Fault><s:Code><s:Value>s:VersionMismatch</s:Value></s:Code></s:Fault>",
         "VersionMismatch", "VersionMismatch", SOAP_OTHER},
        {"<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code></s:Fault>", "",
         "a fault without a code", SOAP_OTHER},
        {"<s:Fault/>", "", "a fault without a code", SOAP_OTHER},
        {"<s:Fault><s:Code/><s:Reason/><s:Detail/></s:Fault>", "", "a fault without a code",
         SOAP_OTHER},
        {"<s:Fault><s:Detail><WSManFault xmlns='" SOAP_F "' Code='77'/></s:Detail></s:Fault>", "",
         "fault 77", SOAP_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(8192);
        struct soap_answer a;
        struct err e;

        text_addf(&t, "<s:Envelope xmlns:s='" SOAP_S "'><s:Body>%s</s:Body></s:Envelope>",
                  rows[i].fault);
        assert_int_equal(soap_read(t.s, t.len, UTF8_TYPE, ID, &a, &e), 0);
        assert_int_equal(a.fault.kind, rows[i].kind);
        assert_string_equal(a.fault.subcode, rows[i].subcode);
        assert_string_equal(a.fault.words, rows[i].words);
        soap_answer_done(&a);
    }
}

/* O1: what the server says is shown safely, and cut between characters. */
static void shown_safely(void **state)
{
    CLEANUP(text_done) struct text long_one = TEXT_INIT(4096), detail = TEXT_INIT(16384);
    struct soap_fault f;

    (void)state;
    f = fault("w:\xe2\x80\xae"
              "evil",
              "line\ntwo\xc2\x9b\xe2\x80\xae", "<f:WSManFault Machine='a&#10;b'/>");
    assert_string_equal(f.subcode, "\\u{202e}evil");
    assert_string_equal(f.words, "line\\ntwo\\u{9b}\\u{202e}");
    assert_string_equal(f.machine, "a\\nb");
    for (int shift = 0; shift < 3; shift++) {
        text_clear(&long_one);
        text_clear(&detail);
        text_addn(&long_one, "xx", (size_t)shift);
        for (int i = 0; i < 500; i++)
            text_add(&long_one, "\xe2\x82\xac");
        text_addf(&detail, "<f:WSManFault Code='2150858811' Machine='%s'/>", long_one.s);
        f = fault(long_one.s, long_one.s, detail.s);
        assert_true(text_utf8_ok(f.machine, strlen(f.machine)));
        assert_true(text_utf8_ok(f.subcode, strlen(f.subcode)));
        assert_true(text_utf8_ok(f.words, strlen(f.words)));
        assert_true(strlen(f.machine) > 100 && strlen(f.words) > 150);
    }
}

static void fault_words(void **state)
{
    (void)state;
    for (enum soap_fault_kind k = SOAP_NO_FAULT; k <= SOAP_OTHER; k++) {
        assert_non_null(soap_fault_word(k));
        for (enum soap_fault_kind l = SOAP_NO_FAULT; l < k; l++)
            assert_string_not_equal(soap_fault_word(k), soap_fault_word(l));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_numbers),   cmocka_unit_test(nested_faults),
        cmocka_unit_test(symbolic_faults), cmocka_unit_test(code_without_subcode),
        cmocka_unit_test(shown_safely),    cmocka_unit_test(fault_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
