/* tests/unit/base/test_winrm_pull.c -- subscribe, pull, unsubscribe and identify: the bodies byte
 * for byte as winrm.md 4.1 to 4.4 has them, and what is made of the answers, junk included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/winrm_pull.h"
#include "tests/unit/alloc.h"
#include "tests/unit/base/fake_winrm.h"

static const struct soap_pair options[] = {{"SubscriptionName", "cordon"},
                                           {"ContentFormat", "Raw"}};

static struct seen {
    unsigned callbacks;
    bool ok, with_fault;
    struct err e;
    struct soap_fault fault;
    struct winrm_subscription subscription;
    struct winrm_identity identity;
    char context[WINRM_CONTEXT];
    struct winrm_bookmark bookmark;
    unsigned items;
    bool has_items, ended;
} seen;

/* One of three, as winrm_cb has it. */
static void note(bool ok, const struct soap_fault *f, const struct err *e)
{
    seen.callbacks++;
    seen.ok = ok;
    seen.with_fault = f != NULL;
    assert_true(ok == (e == NULL));
    assert_true(f == NULL || e != NULL);
    if (f != NULL)
        seen.fault = *f;
    if (e != NULL)
        seen.e = *e;
}

static void on_subscribed(void *arg, const struct winrm_subscription *s, const struct soap_fault *f,
                          const struct err *e)
{
    assert_ptr_equal(arg, &seen);
    note(s != NULL, f, e);
    if (s != NULL)
        seen.subscription = *s;
}

static void on_pulled(void *arg, const struct winrm_pulled *p, const struct soap_fault *f,
                      const struct err *e)
{
    assert_ptr_equal(arg, &seen);
    note(p != NULL, f, e);
    if (p == NULL)
        return;
    (void)snprintf(seen.context, sizeof(seen.context), "%s", p->context);
    seen.bookmark = p->bookmark;
    seen.ended = p->ended;
    seen.has_items = p->items != NULL;
    for (const struct xml_node *n = p->items != NULL ? p->items->child : NULL; n != NULL;
         n = n->next)
        seen.items++;
}

static void on_done(void *arg, const struct soap_fault *f, const struct err *e)
{
    assert_ptr_equal(arg, &seen);
    note(e == NULL, f, e);
}

static void on_identified(void *arg, const struct winrm_identity *i, const struct soap_fault *f,
                          const struct err *e)
{
    assert_ptr_equal(arg, &seen);
    note(i != NULL, f, e);
    if (i != NULL)
        seen.identity = *i;
}

/* --- subscribe ----------------------------------------------------------------------------------
 */

static void query(struct xml_out *x, const void *arg)
{
    xml_out_open(x, "QueryList");
    xml_out_attr(x, "xmlns", "");
    xml_out_open(x, "Query");
    xml_out_attr(x, "Id", "0");
    xml_out_open(x, "Select");
    xml_out_attr(x, "Path", "Security");
    xml_out_text(x, arg);
    xml_out_close(x);
    xml_out_close(x);
    xml_out_close(x);
}

static void ask_subscribe(const struct winrm_subscribe *s)
{
    struct winrm_call *call = NULL;
    struct err e;

    seen = (struct seen){0};
    if (winrm_subscribe_start(&fake.winrm, s, on_subscribed, &seen, &call, &e) < 0)
        fail_msg("%s", e.msg);
    assert_ptr_equal(call, fake.call);
    assert_int_equal(seen.callbacks, 0);
}

#define DELIVERY(beat)                                                           \
    "<e:Delivery Mode=\"http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull\">" beat \
    "<w:Locale xml:lang=\"en-US\"/><p:DataLocale xml:lang=\"en-US\"/>"           \
    "<w:ContentEncoding>UTF-8</w:ContentEncoding></e:Delivery><e:Expires>PT24H</e:Expires>"
#define BEAT5 "<w:Heartbeats>PT5.000S</w:Heartbeats>"
#define EVENTQUERY "http://schemas.microsoft.com/win/2004/08/events/eventquery"

static void subscribe_bodies(void **state)
{
    static const struct winrm_bookmark none = {0};
    static const struct winrm_bookmark two = {
        .count = 2,
        .at = {{"Security", 88120, true}, {"A&B/\"Op\"", UINT64_MAX, false}},
    };
    static const struct {
        struct winrm_subscribe s;
        const char *body;
    } rows[] = {
        {{.query = query, .arg = "*[System[(EventID=4725)]]", .heartbeat_ms = 5000},
         "<e:Subscribe>" DELIVERY(
             BEAT5) "<w:Filter Dialect=\"" EVENTQUERY
                    "\"><QueryList xmlns=\"\"><Query Id=\"0\"><Select Path=\"Security\">"
                    "*[System[(EventID=4725)]]</Select></Query></QueryList></w:Filter>"
                    "<w:SendBookmarks/></e:Subscribe>"},
        /* As text, escaped once. */
        {{.filter = "<QueryList><Query Id=\"0\"/></QueryList>", .heartbeat_ms = 5000},
         "<e:Subscribe>" DELIVERY(
             BEAT5) "<w:Filter Dialect=\"" EVENTQUERY
                    "\">&lt;QueryList&gt;&lt;Query Id=\"0\"/&gt;&lt;/QueryList&gt;</w:Filter>"
                    "<w:SendBookmarks/></e:Subscribe>"},
        /* A dialect of its own; a place in the log. */
        {{.filter = "x", .dialect = "urn:d", .heartbeat_ms = 5000, .from = &two},
         "<e:Subscribe>" DELIVERY(
             BEAT5) "<w:Filter Dialect=\"urn:d\">x</w:Filter>"
                    "<w:Bookmark><BookmarkList xmlns=\"\">"
                    "<Bookmark Channel=\"Security\" RecordId=\"88120\" IsCurrent=\"true\"/>"
                    "<Bookmark Channel=\"A&amp;B/&quot;Op&quot;\" "
                    "RecordId=\"18446744073709551615\"/>"
                    "</BookmarkList></w:Bookmark><w:SendBookmarks/></e:Subscribe>"},
        /* A place counts for more than "all". */
        {{.heartbeat_ms = 1, .from = &two, .earliest = true},
         "<e:Subscribe>" DELIVERY(
             "<w:Heartbeats>PT0.001S</w:Heartbeats>") "<w:Bookmark><BookmarkList xmlns=\"\">"
                                                      "<Bookmark Channel=\"Security\" "
                                                      "RecordId=\"88120\" IsCurrent=\"true\"/>"
                                                      "<Bookmark "
                                                      "Channel=\"A&amp;B/&quot;Op&quot;\" "
                                                      "RecordId=\"18446744073709551615\"/>"
                                                      "</BookmarkList></"
                                                      "w:Bookmark><w:SendBookmarks/></"
                                                      "e:Subscribe>"},
        {{.from = &none, .earliest = true},
         "<e:Subscribe>" DELIVERY("") "<w:Bookmark>http://schemas.dmtf.org/wbem/wsman/1/wsman/"
                                      "bookmark/earliest</w:Bookmark>"
                                      "<w:SendBookmarks/></e:Subscribe>"},
        {{.from = &none}, "<e:Subscribe>" DELIVERY("") "<w:SendBookmarks/></e:Subscribe>"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct winrm_subscribe s = rows[i].s;

        s.operation_ms = 5000;
        ask_subscribe(&s);
        assert_string_equal(fake_body(), rows[i].body);
        assert_string_equal(fake.action,
                            "http://schemas.xmlsoap.org/ws/2004/08/eventing/Subscribe");
        assert_non_null(strstr(fake.sent.s, ">http://schemas.microsoft.com/wbem/wsman/1/windows/"
                                            "EventLog</w:ResourceURI>"));
        assert_string_equal(fake_header(), "");
        assert_int_equal(fake.repeat, WINRM_ONCE);
        assert_int_equal(fake.operation_ms, 5000);
        winrm_call_abandon(fake.call); /* ASan sees what was not freed */
        assert_int_equal(seen.callbacks, 0);
    }
    ask_subscribe(&(struct winrm_subscribe){
        .resource = "urn:other", .options = options, .option_count = 2, .operation_ms = 1});
    assert_non_null(strstr(fake.sent.s, ">urn:other</w:ResourceURI>"));
    assert_string_equal(
        fake_header(),
        "<w:OptionSet xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><w:Option "
        "Name=\"SubscriptionName\">cordon</w:Option><w:Option Name=\"ContentFormat\">Raw</w:Option>"
        "</w:OptionSet>");
    winrm_call_abandon(fake.call);
}

#define MANAGER(id)                                                                             \
    "<e:SubscriptionManager><a:Address>http://evil.example/</a:Address><a:ReferenceProperties>" \
    "<w:ResourceURI>x</w:ResourceURI>" id "</a:ReferenceProperties></e:SubscriptionManager>"
#define CONTEXT(c) "<n:EnumerationContext>" c "</n:EnumerationContext>"
#define X16 "xxxxxxxxxxxxxxxx"
#define X240 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16

static void subscribe_answers(void **state)
{
    static const struct {
        const char *body, *identifier, *context;
    } rows[] = {
        {"<e:SubscribeResponse>" MANAGER("<e:Identifier>ID-1</e:Identifier>") "<e:Expires>PT0.000S<"
                                                                              "/e:Expires>" CONTEXT(
                                                                                  "uuid:c1") "</"
                                                                                             "e:"
                                                                                             "Subsc"
                                                                                             "ribeR"
                                                                                             "espon"
                                                                                             "se>",
         "ID-1", "uuid:c1"},
        /* white space; another order; reference parameters; no identifier */
        {"\n <e:SubscribeResponse>\n " CONTEXT("\r\n\tuuid:c1 \n")
             MANAGER("<e:Identifier>\n ID-1\n </e:Identifier>") "</e:SubscribeResponse>",
         "ID-1", "uuid:c1"},
        {"<e:SubscribeResponse><e:SubscriptionManager><a:ReferenceParameters><e:Identifier>ID-2"
         "</e:Identifier></a:ReferenceParameters></e:SubscriptionManager>" CONTEXT(
             "two words") "</e:SubscribeResponse>",
         "ID-2", "two words"},
        {"<e:SubscribeResponse>" CONTEXT("c") "</e:SubscribeResponse>", "", "c"},
        {"<e:SubscribeResponse>" MANAGER("<n:Identifier>not it</n:Identifier>")
             CONTEXT("c") "</e:SubscribeResponse>",
         "", "c"},
        {"<e:SubscribeResponse>" CONTEXT(X240 "123456789012345") "</e:SubscribeResponse>", "",
         X240 "123456789012345"},
        /* none of these is one */
        {"<e:SubscribeResponse>" CONTEXT(X240 X16) "</e:SubscribeResponse>", NULL, NULL},
        {"<e:SubscribeResponse>" MANAGER("<e:Identifier>" X240 X16 "</e:Identifier>")
             CONTEXT("c") "</e:SubscribeResponse>",
         NULL, NULL},
        {"<e:SubscribeResponse>" MANAGER(
             "<e:Identifier>ID</e:Identifier>") "</e:SubscribeResponse>",
         NULL, NULL},
        {"<e:SubscribeResponse>" CONTEXT(" \n ") "</e:SubscribeResponse>", NULL, NULL},
        {"<e:SubscribeResponse><EnumerationContext>c</EnumerationContext></e:SubscribeResponse>",
         NULL, NULL},
        {"<n:SubscribeResponse>" CONTEXT("c") "</n:SubscribeResponse>", NULL, NULL},
        {"<n:PullResponse>" CONTEXT("c") "</n:PullResponse>", NULL, NULL},
        {"", NULL, NULL},
        {"just text", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ask_subscribe(&(struct winrm_subscribe){.operation_ms = 1});
        fake_answer("", rows[i].body);
        assert_int_equal(seen.callbacks, 1);
        if (rows[i].context == NULL) {
            assert_false(seen.ok);
            assert_int_equal(seen.e.code, ERR_INVALID);
            assert_false(seen.with_fault);
        } else {
            assert_true(seen.ok);
            assert_string_equal(seen.subscription.identifier, rows[i].identifier);
            assert_string_equal(seen.subscription.context, rows[i].context);
        }
    }
    ask_subscribe(&(struct winrm_subscribe){.operation_ms = 1});
    fake_fault(15008);
    assert_true(seen.with_fault && seen.fault.kind == SOAP_BAD_QUERY);
    assert_int_equal(seen.e.code, ERR_INVALID);
    ask_subscribe(&(struct winrm_subscribe){.operation_ms = 1});
    fake_error(ERR_UNPROVEN);
    assert_true(!seen.with_fault && seen.e.code == ERR_UNPROVEN);
}

/* The Identifier that nests deeper than anybody's is looked for is not found, and harms nobody. */
static void deep_answer(void **state)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(8192);

    (void)state;
    text_add(&t, "<e:SubscribeResponse>" CONTEXT("c") "<e:SubscriptionManager>");
    for (int i = 0; i < 40; i++)
        text_add(&t, "<x>");
    text_add(&t, "<e:Identifier>ID</e:Identifier>");
    for (int i = 0; i < 40; i++)
        text_add(&t, "</x>");
    text_add(&t, "</e:SubscriptionManager></e:SubscribeResponse>");
    ask_subscribe(&(struct winrm_subscribe){.operation_ms = 1});
    fake_answer("", t.s);
    assert_true(seen.ok);
    assert_string_equal(seen.subscription.identifier, "");
}

/* --- pull ---------------------------------------------------------------------------------------
 */

static void ask_pull(const struct winrm_pull *p)
{
    struct winrm_call *call = NULL;
    struct err e;

    seen = (struct seen){0};
    if (winrm_pull_start(&fake.winrm, p, on_pulled, &seen, &call, &e) < 0)
        fail_msg("%s", e.msg);
    assert_ptr_equal(call, fake.call);
    assert_int_equal(seen.callbacks, 0);
}

static void pull_bodies(void **state)
{
    (void)state;
    ask_pull(&(struct winrm_pull){
        .context = "uuid:c1<&", .operation_ms = 5000, .options = options, .option_count = 1});
    assert_string_equal(fake_body(),
                        "<n:Pull><n:EnumerationContext>uuid:c1&lt;&amp;</n:EnumerationContext>"
                        "<n:MaxElements>100</n:MaxElements></n:Pull>");
    assert_string_equal(fake.action, "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Pull");
    assert_non_null(strstr(fake.sent.s, ">http://schemas.microsoft.com/wbem/wsman/1/windows/"
                                        "EventLog</w:ResourceURI>"));
    assert_non_null(strstr(fake.sent.s, "<w:OperationTimeout>PT5.000S</w:OperationTimeout>"));
    assert_non_null(strstr(fake_header(), "<w:Option Name=\"SubscriptionName\">cordon</w:Option>"));
    assert_int_equal(fake.repeat, WINRM_ONCE); /* events may have been handed out */
    winrm_call_abandon(fake.call);

    ask_pull(&(struct winrm_pull){
        .resource = "urn:other", .context = "c", .max = UINT32_MAX, .operation_ms = 1});
    assert_string_equal(fake_body(), "<n:Pull><n:EnumerationContext>c</n:EnumerationContext>"
                                     "<n:MaxElements>4294967295</n:MaxElements></n:Pull>");
    assert_non_null(strstr(fake.sent.s, ">urn:other</w:ResourceURI>"));
    assert_string_equal(fake_header(), "");
    winrm_call_abandon(fake.call);
}

#define EVENT "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'/>"

static void pull_answers(void **state)
{
    static const struct {
        const char *body;
        int items; /* -1: no list */
        bool ended, ok;
        const char *context;
    } rows[] = {
        {"<n:PullResponse>" CONTEXT("c2") "<n:Items>" EVENT EVENT "</n:Items></n:PullResponse>", 2,
         false, true, "c2"},
        {"<n:PullResponse>" CONTEXT(" c2\n") "<n:Items/></n:PullResponse>", 0, false, true, "c2"},
        {"<n:PullResponse>" CONTEXT("c2") "</n:PullResponse>", -1, false, true, "c2"},
        {"<n:PullResponse><n:Items>" EVENT "</n:Items><n:EndOfSequence/></n:PullResponse>", 1, true,
         true, ""},
        {"<n:PullResponse/>", -1, false, true, ""},
        /* of another namespace, or not where they belong */
        {"<n:PullResponse>" CONTEXT("c") "<Items>" EVENT
                                         "</Items><w:EndOfSequence/></n:PullResponse>",
         -1, false, true, "c"},
        {"<n:PullResponse>" CONTEXT(X240 X16) "<n:Items/></n:PullResponse>", 0, false, false, ""},
        {"<e:PullResponse>" CONTEXT("c") "<n:Items/></e:PullResponse>", 0, false, false, ""},
        {"<PullResponse>" CONTEXT("c") "<n:Items/></PullResponse>", 0, false, false, ""},
        {"<n:EnumerateResponse>" CONTEXT("c") "<w:Items>" EVENT "</w:Items></n:EnumerateResponse>",
         0, false, false, ""},
        {"<n:Items>" EVENT "</n:Items>", 0, false, false, ""},
        {"", 0, false, false, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ask_pull(&(struct winrm_pull){.context = "c1", .operation_ms = 1});
        fake_answer("", rows[i].body);
        assert_int_equal(seen.callbacks, 1);
        if (seen.ok != rows[i].ok)
            fail_msg("%zu: %s", i, seen.e.msg);
        if (!rows[i].ok) {
            assert_int_equal(seen.e.code, ERR_INVALID);
            continue;
        }
        assert_int_equal(seen.has_items, rows[i].items >= 0);
        assert_int_equal(seen.items, rows[i].items > 0 ? rows[i].items : 0);
        assert_int_equal(seen.ended, rows[i].ended);
        assert_string_equal(seen.context, rows[i].context);
        assert_int_equal(seen.bookmark.count, 0);
    }
    ask_pull(&(struct winrm_pull){.context = "c1", .operation_ms = 1});
    fake_fault(2150858793U);
    assert_true(seen.with_fault && seen.fault.kind == SOAP_TIMED_OUT);
    assert_int_equal(seen.e.code, ERR_TIMEOUT);
    ask_pull(&(struct winrm_pull){.context = "c1", .operation_ms = 1});
    fake_bytes("<html/>", 7, "application/soap+xml", FAKE_ID);
    assert_true(!seen.with_fault && seen.e.code == ERR_UNPROVEN);
}

static void bookmarks(void **state)
{
#define MARK(c, r, more) "<Bookmark Channel='" c "' RecordId='" r "'" more "/>"
#define LIST(s) "<w:Bookmark><BookmarkList>" s "</BookmarkList></w:Bookmark>"
    static const struct {
        const char *header;
        struct winrm_bookmark b;
    } rows[] = {
        {LIST(MARK("Security", "88124", " IsCurrent='true'")), {1, {{"Security", 88124, true}}}},
        {LIST(MARK("Security", "88124", " IsCurrent='True'")), {1, {{"Security", 88124, true}}}},
        {"<w:Bookmark>\n <BookmarkList Direction='forward'>\n " MARK(
             "S", "18446744073709551615", " IsCurrent='false'") "\n</BookmarkList></w:Bookmark>",
         {1, {{"S", UINT64_MAX, false}}}},
        {"<w:Bookmark><BookmarkList xmlns='urn:any'>" MARK("S", "0",
                                                           "") "</BookmarkList></w:Bookmark>",
         {1, {{"S", 0, false}}}},
        {LIST(MARK("A", "1", "") MARK("B", "2", " IsCurrent='true'")),
         {2, {{"A", 1, false}, {"B", 2, true}}}},
        /* more than we hold */
        {LIST(MARK("A", "1", "") MARK("B", "2", "") MARK("C", "3", "") MARK("D", "4", "")
                  MARK("E", "5", "")),
         {4, {{"A", 1, false}, {"B", 2, false}, {"C", 3, false}, {"D", 4, false}}}},
        /* OMI's default is no place; nor is a broken one */
        {"<w:Bookmark>http://schemas.dmtf.org/wbem/wsman/1/wsman/bookmark/earliest</w:Bookmark>",
         {0}},
        {"<w:Bookmark/>", {0}},
        {LIST(""), {0}},
        {LIST(MARK("S", "", "")), {0}},
        {LIST(MARK("S", "-1", "")), {0}},
        {LIST(MARK("S", "0x10", "")), {0}},
        {LIST(MARK("S", "18446744073709551616", "")), {0}},
        {LIST("<Bookmark Channel='S'/><Bookmark RecordId='1'/><Other Channel='S' RecordId='1'/>"),
         {0}},
        {LIST(MARK(X16 X16 X16 X16 X16 X16 X16 X16, "1", "")), {0}},
        {LIST(MARK("S", "x", "") MARK("T", "7", "")), {1, {{"T", 7, false}}}},
        {"<n:Bookmark><BookmarkList>" MARK("S", "1", "") "</BookmarkList></n:Bookmark>", {0}},
        {"", {0}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ask_pull(&(struct winrm_pull){.context = "c1", .operation_ms = 1});
        fake_answer(rows[i].header, "<n:PullResponse><n:Items/></n:PullResponse>");
        assert_true(seen.ok);
        if (seen.bookmark.count != rows[i].b.count)
            fail_msg("%zu: %zu", i, seen.bookmark.count);
        for (size_t k = 0; k < rows[i].b.count; k++) {
            assert_string_equal(seen.bookmark.at[k].channel, rows[i].b.at[k].channel);
            assert_int_equal(seen.bookmark.at[k].record, rows[i].b.at[k].record);
            assert_int_equal(seen.bookmark.at[k].current, rows[i].b.at[k].current);
        }
    }
    /* In the body it is an event's own affair. */
    ask_pull(&(struct winrm_pull){.context = "c1", .operation_ms = 1});
    fake_answer("", "<n:PullResponse>" LIST(MARK("S", "1", "")) "<n:Items/></n:PullResponse>");
    assert_true(seen.ok && seen.bookmark.count == 0);
    /* What was read can be written, and leads to the same place. */
    ask_pull(&(struct winrm_pull){.context = "c1", .operation_ms = 1});
    fake_answer(LIST(MARK("A&amp;&quot;&#9;B", "5", " IsCurrent='true'")), "<n:PullResponse/>");
    ask_subscribe(&(struct winrm_subscribe){
        .from = &(struct winrm_bookmark){.count = 1, .at = {seen.bookmark.at[0]}},
        .operation_ms = 1});
    assert_non_null(strstr(fake_body(), "<Bookmark Channel=\"A&amp;&quot;&#9;B\" RecordId=\"5\" "
                                        "IsCurrent=\"true\"/>"));
    winrm_call_abandon(fake.call);
}

/* --- unsubscribe and identify -------------------------------------------------------------------
 */

static void unsubscribe(void **state)
{
    struct winrm_call *call;
    struct err e;

    (void)state;
    for (int i = 0; i < 3; i++) {
        seen = (struct seen){0};
        assert_int_equal(winrm_unsubscribe_start(&fake.winrm, i == 0 ? "urn:other" : NULL, "ID<1>",
                                                 on_done, &seen, &call, &e),
                         0);
        assert_string_equal(fake_header(), "<e:Identifier>ID&lt;1&gt;</e:Identifier>");
        assert_string_equal(fake_body(), "<e:Unsubscribe/>");
        assert_string_equal(fake.action,
                            "http://schemas.xmlsoap.org/ws/2004/08/eventing/Unsubscribe");
        assert_non_null(strstr(fake.sent.s, i == 0 ? ">urn:other</w:ResourceURI>"
                                                   : "/windows/EventLog</w:ResourceURI>"));
        assert_int_equal(fake.repeat, WINRM_SAFELY);
        if (i == 0)
            fake_answer("", "");
        else if (i == 1)
            fake_fault(2150858760U);
        else
            fake_error(ERR_TIMEOUT);
        assert_int_equal(seen.callbacks, 1);
        assert_int_equal(seen.ok, i == 0);
        assert_int_equal(seen.with_fault, i == 1);
    }
}

static void identify(void **state)
{
    static const struct {
        const char *body, *vendor, *version, *protocol;
    } rows[] = {
        {"<wid:IdentifyResponse><wid:ProtocolVersion>http://x/wsman.xsd</wid:ProtocolVersion>"
         "<wid:ProductVendor>Microsoft Corporation</wid:ProductVendor><wid:ProductVersion>OS: "
         "10.0.20348 SP: 0.0 Stack: 3.0</wid:ProductVersion></wid:IdentifyResponse>",
         "Microsoft Corporation", "OS: 10.0.20348 SP: 0.0 Stack: 3.0", "http://x/wsman.xsd"},
        {"<wid:IdentifyResponse/>", "", "", ""},
        {"<wid:IdentifyResponse><wid:ProductVendor>a\nb\xe2\x80\xae</wid:ProductVendor>"
         "</wid:IdentifyResponse>",
         "a\\nb\\u{202e}", "", ""},
        {"<e:IdentifyResponse/>", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
    };
    CLEANUP(text_done) struct text t = TEXT_INIT(8192);
    struct winrm_call *call;
    struct err e;

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        const char *vendor = rows[i / 2].vendor;

        seen = (struct seen){0};
        assert_int_equal(winrm_identify_start(&fake.winrm, /* anonymous */ i % 2 == 0,
                                              on_identified, &seen, &call, &e),
                         0);
        assert_int_equal(fake.anonymous, i % 2 == 0);
        assert_int_equal(fake.repeat, WINRM_SAFELY);
        assert_string_equal(fake_body(), "<wid:Identify/>");
        assert_non_null(strstr(fake.sent.s, "<s:Header/>"));
        fake_answer("", rows[i / 2].body);
        assert_int_equal(seen.callbacks, 1);
        assert_int_equal(seen.ok, vendor != NULL);
        if (vendor == NULL) {
            assert_int_equal(seen.e.code, ERR_INVALID);
            continue;
        }
        assert_string_equal(seen.identity.vendor, vendor);
        assert_string_equal(seen.identity.version, rows[i / 2].version);
        assert_string_equal(seen.identity.protocol, rows[i / 2].protocol);
    }
    /* Cut between characters. */
    text_add(&t, "<wid:IdentifyResponse><wid:ProductVendor>x");
    for (int i = 0; i < 100; i++)
        text_add(&t, "\xe2\x82\xac");
    text_add(&t, "</wid:ProductVendor></wid:IdentifyResponse>");
    assert_int_equal(winrm_identify_start(&fake.winrm, false, on_identified, &seen, &call, &e), 0);
    fake_answer("", t.s);
    assert_true(seen.ok && text_utf8_ok(seen.identity.vendor, strlen(seen.identity.vendor)));
    assert_true(strlen(seen.identity.vendor) > 100);
}

/* --- memory -------------------------------------------------------------------------------------
 */

static int start_any(int which, struct err *e)
{
    struct winrm_call *call;

    switch (which) {
    case 0:
        return winrm_subscribe_start(&fake.winrm,
                                     &(struct winrm_subscribe){.operation_ms = 1, .filter = "f"},
                                     on_subscribed, &seen, &call, e);
    case 1:
        return winrm_pull_start(&fake.winrm,
                                &(struct winrm_pull){.context = "c", .operation_ms = 1}, on_pulled,
                                &seen, &call, e);
    case 2:
        return winrm_unsubscribe_start(&fake.winrm, NULL, "id", on_done, &seen, &call, e);
    default:
        return winrm_identify_start(&fake.winrm, true, on_identified, &seen, &call, e);
    }
}

/* M2: nothing is left behind where a start fails, and no callback comes of it. */
static void starts_that_fail(void **state)
{
    struct err e;

    (void)state;
    seen = (struct seen){0};
    for (int which = 0; which < 4; which++) {
        fake.deaf = true;
        assert_int_equal(start_any(which, &e), -1);
        assert_int_equal(e.code, ERR_NOMEM);
        fake.deaf = false;
        for (long n = 0; alloc_sweep(n); n++) {
            int rc;

            text_done(&fake.sent);
            rc = start_any(which, &e);
            alloc_left = -1;
            assert_int_equal(rc, alloc_failed ? -1 : 0);
            winrm_call_abandon(fake.call);
        }
    }
    /* A value that cannot be sent. */
    assert_int_equal(winrm_unsubscribe_start(&fake.winrm, NULL, "\x01", on_done, &seen,
                                             &(struct winrm_call *){NULL}, &e),
                     -1);
    assert_int_equal(e.code, ERR_INVALID);
    assert_int_equal(seen.callbacks, 0);
}

static int teardown(void **state)
{
    (void)state;
    text_done(&fake.sent);
    return fake.call == NULL ? 0 : -1;
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
    const struct CMUnitTest tests[] = {
        T(subscribe_bodies), T(subscribe_answers), T(deep_answer),
        T(pull_bodies),      T(pull_answers),      T(bookmarks),
        T(unsubscribe),      T(identify),          T(starts_that_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
