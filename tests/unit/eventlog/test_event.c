/* tests/unit/eventlog/test_event.c -- real events in every shape come out as the same event.
 *
 * The XML files are the truth: the table below was made from them by another XML reader. The JSON
 * shapes are made here, from the same files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/stamp.h"
#include "base/xml.h"
#include "eventlog/event.h"
#include "eventlog/samflags.h"

struct row {
    const char *file;
    uint32_t id;
    uint64_t record;
    int64_t time_ms;
    const char *computer, *sid, *name, *domain, *actor_sid, *actor, *actor_domain;
    uint64_t logon_id;
    const char *old, *new, *codes;
    enum evlog_pls pls;
    const char *pls_text, *old_name, *new_name;
};

static const struct row rows[] = {
    {"4722-local-guest-enabled", 4722, 2776111, INT64_C(1594532976998), "jump01.offsec.lan",
     "S-1-5-21-1470532092-3758209836-3742276719-501", "Guest", "JUMP01",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x58d874, "", "", "",
     EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4722-local-hidden-1of5", 4722, 1934517, INT64_C(1643043805002), "fs03vuln.offsec.lan",
     "S-1-5-21-2721507831-1374043488-2540227515-1008", "3teamssixf$", "FS03VULN",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x14f509e2, "", "", "",
     EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4723-change", 4723, 233289145, INT64_C(1638658067872), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1242", "hacker2", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x10e7c4430, "", "", "",
     EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4724-computer-account", 4724, 237294525, INT64_C(1639492968825), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1296", "compnay-88$", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1234", "hack1", "OFFSEC", 0x308fb82ad, "", "", "",
     EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4724-local-hidden-3of5", 4724, 1934519, INT64_C(1643043805002), "fs03vuln.offsec.lan",
     "S-1-5-21-2721507831-1374043488-2540227515-1008", "3teamssixf$", "FS03VULN",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x14f509e2, "", "", "",
     EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4724-reset-pair", 4724, 233279999, INT64_C(1638655753680), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1242", "hacker2", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x10e6e8ef8, "", "", "",
     EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4725-dc", 4725, 175714, INT64_C(1440201307657), "DC01.contoso.local",
     "S-1-5-21-3457937927-2839227994-823803824-2104", "Auditor", "CONTOSO",
     "S-1-5-21-3457937927-2839227994-823803824-1104", "dadmin", "CONTOSO", 0x30d5f, "", "", "",
     EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4726-deleted", 4726, 16075606, INT64_C(1594530686431), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1166", "admin-kriss", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1158", "lambda-user", "OFFSEC", 0x8070a7a, "", "",
     "", EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4726-local-hidden-4of5", 4726, 1934526, INT64_C(1643043805009), "fs03vuln.offsec.lan",
     "S-1-5-21-2721507831-1374043488-2540227515-1008", "3teamssixf$", "FS03VULN",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x14f509e2, "", "", "",
     EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-dacl-only-nothing-shown", 4738, 105298891, INT64_C(1612786092116), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1234", "hack1", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x123be598, "", "", "",
     EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-dc-created-still-disabled", 4738, 175413, INT64_C(1440087722792), "DC01.contoso.local",
     "S-1-5-21-3457937927-2839227994-823803824-6609", "ksmith", "CONTOSO",
     "S-1-5-21-3457937927-2839227994-823803824-1104", "dadmin", "CONTOSO", 0x30dc2, "0x15", "0x211",
     "2050 2089", EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-des-only-set", 4738, 105297489, INT64_C(1612785975608), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1234", "hack1", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x123be598, "0x210",
     "0x8210", "2095", EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-local-hidden-2of5", 4738, 1934518, INT64_C(1643043805002), "fs03vuln.offsec.lan",
     "S-1-5-21-2721507831-1374043488-2540227515-1008", "3teamssixf$", "FS03VULN",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x14f509e2, "0x15",
     "0x210", "2048 2050 2089", EVLOG_PLS_TIME, "1/24/2022 5:03:25 PM", "", ""},
    {"4738-local-hidden-5of5", 4738, 1934530, INT64_C(1643043805035), "fs03vuln.offsec.lan",
     "S-1-5-21-2721507831-1374043488-2540227515-1008", "3teamssixf$", "FS03VULN",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x14f509e2, "0x10",
     "0x10", "", EVLOG_PLS_TIME, "5/7/2020 1:39:46 PM", "", ""},
    {"4738-never-expires-cleared", 4738, 105298988, INT64_C(1612786125248), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1234", "hack1", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x123be598, "0x210",
     "0x10", "2057", EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-never-expires-set", 4738, 105298983, INT64_C(1612786123160), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1234", "hack1", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x123be598, "0x10",
     "0x210", "2089", EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-no-preauth-cleared", 4738, 105298669, INT64_C(1612786015015), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1234", "hack1", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x123be598, "0x10210",
     "0x210", "2064", EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-no-preauth-set", 4738, 105298661, INT64_C(1612786013407), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1234", "hack1", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x123be598, "0x210",
     "0x10210", "2096", EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-not-delegated-cleared", 4738, 105297359, INT64_C(1612785935200), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1234", "hack1", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x123be598, "0x4210",
     "0x210", "2062", EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-not-delegated-set", 4738, 105297351, INT64_C(1612785931864), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1234", "hack1", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x123be598, "0x210",
     "0x4210", "2094", EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-password-not-required-cleared", 4738, 105299157, INT64_C(1612786203523),
     "rootdc1.offsec.lan", "S-1-5-21-4230534742-2542757381-3142984815-1234", "hack1", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x123d4393, "0x14",
     "0x10", "2050", EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-password-not-required-set", 4738, 105299141, INT64_C(1612786199382),
     "rootdc1.offsec.lan", "S-1-5-21-4230534742-2542757381-3142984815-1234", "hack1", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x123d4393, "0x10",
     "0x14", "2082", EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-rename-pair", 4738, 138036030, INT64_C(1619426813026), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1239", "adminupn42", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x2e15bba1, "", "", "",
     EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-reset-pair", 4738, 233280000, INT64_C(1638655753680), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1242", "hacker2", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x10e6e8ef8, "", "", "",
     EVLOG_PLS_TIME, "12/4/2021 10:09:13 PM", "", ""},
    {"4738-reversible-encryption-set", 4738, 105296866, INT64_C(1612785782776),
     "rootdc1.offsec.lan", "S-1-5-21-4230534742-2542757381-3142984815-1234", "hack1", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x123be598, "0x210",
     "0xa10", "2091", EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4738-spn-only-nothing-shown", 4738, 15779580, INT64_C(1594329742853), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1159", "honey-pot1", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1158", "lambda-user", "OFFSEC", 0x6529663, "", "",
     "", EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4767-dc", 4767, 175705, INT64_C(1440196261871), "DC01.contoso.local",
     "S-1-5-21-3457937927-2839227994-823803824-2104", "Auditor", "CONTOSO",
     "S-1-5-21-3457937927-2839227994-823803824-1104", "dadmin", "CONTOSO", 0x30d5f, "", "", "",
     EVLOG_PLS_UNCHANGED, "", "", ""},
    {"4781-computer-renamed", 4781, 237294532, INT64_C(1639492968908), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1296", "rootdc1", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1234", "hack1", "OFFSEC", 0x308fabb0c, "", "", "",
     EVLOG_PLS_UNCHANGED, "", "compnay-88$", "rootdc1"},
    {"4781-rename-pair", 4781, 138036031, INT64_C(1619426813026), "rootdc1.offsec.lan",
     "S-1-5-21-4230534742-2542757381-3142984815-1239", "adminupn42", "OFFSEC",
     "S-1-5-21-4230534742-2542757381-3142984815-1111", "admmig", "OFFSEC", 0x2e15bba1, "", "", "",
     EVLOG_PLS_UNCHANGED, "", "hacker42", "adminupn42"},
};

/* --- reading ---------------------------------------------------------------------------------- */

static struct text load(const char *name)
{
    struct text t = TEXT_INIT(1024 * 1024);
    char path[512];
    struct err e;

    (void)snprintf(path, sizeof(path), "%s/tests/data/events/%s.xml", TEST_SOURCE_DIR, name);
    if (file_read_any(path, 1024 * 1024, &t, &e) < 0)
        fail_msg("%s", e.msg);
    return t;
}

struct got {
    unsigned count;
    struct evlog_event *ev; /* the last */
};

static void on_event(void *arg, const struct evlog_event *ev)
{
    struct got *g = arg;

    free(g->ev);
    g->ev = evlog_event_dup(ev);
    assert_non_null(g->ev);
    g->count++;
}

static struct evlog_event *from_xml(const char *s, size_t n)
{
    struct got g = {0};
    struct err e = ERR_NONE;

    if (evlog_parse_xml(s, n, on_event, &g, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(g.count, 1);
    return g.ev;
}

static struct evlog_event *from_json(const char *s)
{
    struct got g = {0};
    struct err e = ERR_NONE;

    if (evlog_parse_json(s, strlen(s), on_event, &g, &e) < 0)
        fail_msg("%s in %s", e.msg, s);
    assert_int_equal(g.count, 1);
    return g.ev;
}

static enum err_code json_error(const char *s)
{
    struct got g = {0};
    struct err e = ERR_NONE;

    if (evlog_parse_json(s, strlen(s), on_event, &g, &e) == 0)
        fail_msg("taken: %s", s);
    assert_int_equal(g.count, 0);
    return e.code;
}

static void codes_text(const struct evlog_uac *u, char *buf, size_t size)
{
    size_t at = 0;

    buf[0] = '\0';
    for (unsigned i = 0; i < u->code_count; i++)
        at += (size_t)snprintf(buf + at, size - at, "%s%u", i > 0 ? " " : "", u->codes[i]);
}

#define OK(cond)                                                   \
    do {                                                           \
        if (!(cond))                                               \
            fail_msg("%s, %s: not so: %s", r->file, shape, #cond); \
    } while (0)

static void check(const struct row *r, const struct evlog_event *ev, const char *shape)
{
    char codes[512], hex[2][24] = {"", ""};

    OK(ev->id == r->id);
    /* The one refused attempt among them. */
    OK(ev->outcome == (strcmp(r->file, "4723-change") == 0 ? EVLOG_FAILURE : EVLOG_SUCCESS));
    OK(ev->commit == EVLOG_COMMITTED);
    OK(ev->has_record && ev->record == r->record);
    OK(ev->has_time && ev->time_ms == r->time_ms);
    OK(strcmp(ev->computer, r->computer) == 0);
    OK(strcmp(ev->channel, EVLOG_CHANNEL) == 0);
    OK(strcmp(ev->provider, EVLOG_PROVIDER) == 0);
    OK(strcmp(ev->target.sid, r->sid) == 0);
    OK(strcmp(ev->target.name, r->name) == 0);
    OK(strcmp(ev->target.domain, r->domain) == 0);
    OK(strcmp(ev->actor.sid, r->actor_sid) == 0);
    OK(strcmp(ev->actor.name, r->actor) == 0);
    OK(strcmp(ev->actor.domain, r->actor_domain) == 0);
    OK(ev->has_logon_id && ev->logon_id == r->logon_id);
    if (ev->uac.has_old)
        (void)snprintf(hex[0], sizeof(hex[0]), "0x%x", ev->uac.old);
    if (ev->uac.has_new)
        (void)snprintf(hex[1], sizeof(hex[1]), "0x%x", ev->uac.new);
    OK(strcmp(hex[0], r->old) == 0);
    OK(strcmp(hex[1], r->new) == 0);
    codes_text(&ev->uac, codes, sizeof(codes));
    OK(strcmp(codes, r->codes) == 0);
    OK(ev->password_last_set == r->pls);
    OK(strcmp(ev->password_last_set_text, r->pls_text) == 0);
    OK(strcmp(ev->old_name, r->old_name) == 0);
    OK(strcmp(ev->new_name, r->new_name) == 0);
}

/* X4 */
static void every_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct text t = load(rows[i].file);
        struct evlog_event *ev = from_xml(t.s, t.len);

        assert_int_equal(ev->kind, EVLOG_XML);
        check(&rows[i], ev, "xml");
        free(ev);
        text_done(&t);
    }
}

/* --- shapes -------------------------------------------------------------------------------------
 */

#define NS NULL

static const char *sys_text(const struct xml_node *event, const char *name)
{
    const struct xml_node *n = xml_child(xml_child(event, NS, "System"), NS, name);

    assert_non_null(n);
    return n->text;
}

static const char *sys_attr(const struct xml_node *event, const char *name, const char *attr)
{
    const struct xml_node *n = xml_child(xml_child(event, NS, "System"), NS, name);

    assert_non_null(n);
    return xml_attr(n, attr);
}

static bool failed(const struct xml_node *event)
{
    return strcmp(sys_text(event, "Keywords"), "0x8010000000000000") == 0;
}

static const struct xml_node *first_data(const struct xml_node *event)
{
    return xml_child(xml_child(event, NS, "EventData"), NS, "Data");
}

static void out_data(struct json_out *o, const struct xml_node *event, const char *prefix)
{
    char name[128];

    for (const struct xml_node *d = first_data(event); d != NULL; d = xml_again(d)) {
        (void)snprintf(name, sizeof(name), "%s%s", prefix, xml_attr(d, "Name"));
        json_out_str(o, name, d->text);
    }
}

/* evlog as evtx_dump writes it; then as xmltodict and the like do. */
static void rendered(struct json_out *o, const struct xml_node *event, bool attributes)
{
    json_out_object(o, NULL);
    json_out_object(o, "Event");
    json_out_object(o, "System");
    if (attributes) {
        json_out_object(o, "Provider");
        json_out_object(o, "#attributes");
        json_out_str(o, "Name", sys_attr(event, "Provider", "Name"));
        json_out_end_object(o);
        json_out_end_object(o);
        json_out_raw(o, "EventID", sys_text(event, "EventID"));
        json_out_object(o, "TimeCreated");
        json_out_object(o, "#attributes");
        json_out_str(o, "SystemTime", sys_attr(event, "TimeCreated", "SystemTime"));
        json_out_end_object(o);
        json_out_end_object(o);
        json_out_raw(o, "EventRecordID", sys_text(event, "EventRecordID"));
    } else {
        json_out_object(o, "Provider");
        json_out_str(o, "@Name", sys_attr(event, "Provider", "Name"));
        json_out_end_object(o);
        json_out_object(o, "EventID");
        json_out_str(o, "@Qualifiers", "0");
        json_out_str(o, "#text", sys_text(event, "EventID"));
        json_out_end_object(o);
        json_out_object(o, "TimeCreated");
        json_out_str(o, "@SystemTime", sys_attr(event, "TimeCreated", "SystemTime"));
        json_out_end_object(o);
        json_out_str(o, "EventRecordID", sys_text(event, "EventRecordID"));
    }
    json_out_str(o, "Keywords", sys_text(event, "Keywords"));
    json_out_str(o, "Channel", sys_text(event, "Channel"));
    json_out_str(o, "Computer", sys_text(event, "Computer"));
    json_out_null(o, "Security");
    json_out_end_object(o);
    json_out_object(o, "EventData");
    if (attributes) {
        out_data(o, event, "");
    } else {
        json_out_array(o, "Data");
        for (const struct xml_node *d = first_data(event); d != NULL; d = xml_again(d)) {
            json_out_object(o, NULL);
            json_out_str(o, "@Name", xml_attr(d, "Name"));
            json_out_str(o, "#text", d->text);
            json_out_end_object(o);
        }
        json_out_end_array(o);
    }
    json_out_end_object(o);
    json_out_end_object(o);
    json_out_end_object(o);
}

static void shape_evtx_dump(struct json_out *o, const struct xml_node *event, const char *xml)
{
    (void)xml;
    rendered(o, event, true);
}

static void shape_xmltodict(struct json_out *o, const struct xml_node *event, const char *xml)
{
    (void)xml;
    rendered(o, event, false);
}

static void shape_winlogbeat(struct json_out *o, const struct xml_node *event, const char *xml)
{
    (void)xml;
    json_out_object(o, NULL);
    json_out_str(o, "@timestamp", sys_attr(event, "TimeCreated", "SystemTime"));
    json_out_object(o, "event");
    json_out_str(o, "code", sys_text(event, "EventID"));
    json_out_str(o, "outcome", failed(event) ? "failure" : "success");
    json_out_raw(o, "risk_score", "21.5");
    json_out_str(o, "original", xml);
    json_out_end_object(o);
    json_out_object(o, "winlog");
    json_out_str(o, "event_id", sys_text(event, "EventID"));
    json_out_str(o, "computer_name", sys_text(event, "Computer"));
    json_out_str(o, "channel", sys_text(event, "Channel"));
    json_out_str(o, "provider_name", sys_attr(event, "Provider", "Name"));
    json_out_raw(o, "record_id", sys_text(event, "EventRecordID"));
    json_out_array(o, "keywords");
    json_out_str(o, NULL,
                 "\xc3\x9c"
                 "berwachung erfolgreich");
    json_out_end_array(o);
    json_out_object(o, "event_data");
    for (const struct xml_node *d = first_data(event); d != NULL; d = xml_again(d)) {
        const char *name = xml_attr(d, "Name"), *s = d->text;

        if (strcmp(name, "UserAccountControl") != 0 || strchr(s, '%') == NULL) {
            json_out_str(o, name, s);
            continue;
        }
        /* its security module parts the codes */
        json_out_array(o, name);
        while ((s = strstr(s, "%%")) != NULL) {
            s += 2;
            json_out_strn(o, NULL, s, strspn(s, "0123456789"));
        }
        json_out_end_array(o);
    }
    json_out_array(o, "NewUACList"); /* which it decodes by the wrong table */
    json_out_str(o, NULL, "SCRIPT");
    json_out_end_array(o);
    json_out_end_object(o);
    json_out_end_object(o);
    json_out_end_object(o);
}

static void shape_dotted(struct json_out *o, const struct xml_node *event, const char *xml)
{
    (void)xml;
    json_out_object(o, NULL);
    json_out_str(o, "_index", "winlogbeat");
    json_out_object(o, "_source");
    json_out_str(o, "@timestamp", sys_attr(event, "TimeCreated", "SystemTime"));
    json_out_raw(o, "winlog.event_id", sys_text(event, "EventID"));
    json_out_str(o, "event.outcome", failed(event) ? "failure" : "success");
    json_out_str(o, "winlog.computer_name", sys_text(event, "Computer"));
    json_out_str(o, "winlog.channel", sys_text(event, "Channel"));
    json_out_str(o, "winlog.provider_name", sys_attr(event, "Provider", "Name"));
    json_out_str(o, "winlog.record_id", sys_text(event, "EventRecordID"));
    out_data(o, event, "winlog.event_data.");
    json_out_end_object(o);
    json_out_end_object(o);
}

static void shape_winlogbeat6(struct json_out *o, const struct xml_node *event, const char *xml)
{
    (void)xml;
    json_out_object(o, NULL);
    json_out_str(o, "@timestamp", sys_attr(event, "TimeCreated", "SystemTime"));
    json_out_raw(o, "event_id", sys_text(event, "EventID"));
    json_out_str(o, "computer_name", sys_text(event, "Computer"));
    json_out_str(o, "log_name", sys_text(event, "Channel"));
    json_out_str(o, "source_name", sys_attr(event, "Provider", "Name"));
    json_out_str(o, "record_number", sys_text(event, "EventRecordID"));
    json_out_array(o, "keywords");
    json_out_str(o, NULL, failed(event) ? "Audit Failure" : "Audit Success");
    json_out_end_array(o);
    json_out_object(o, "event_data");
    out_data(o, event, "");
    json_out_end_object(o);
    json_out_end_object(o);
}

static void nxlog(struct json_out *o, const struct xml_node *event, const char *keywords)
{
    json_out_object(o, NULL);
    json_out_str(o, "EventTime", sys_attr(event, "TimeCreated", "SystemTime"));
    json_out_str(o, "Hostname", sys_text(event, "Computer"));
    json_out_raw(o, "Keywords", keywords);
    json_out_str(o, "EventType", failed(event) ? "AUDIT_FAILURE" : "AUDIT_SUCCESS");
    json_out_raw(o, "EventID", sys_text(event, "EventID"));
    json_out_str(o, "SourceName", sys_attr(event, "Provider", "Name"));
    json_out_raw(o, "RecordNumber", sys_text(event, "EventRecordID"));
    json_out_str(o, "Channel", sys_text(event, "Channel"));
    out_data(o, event, "");
    json_out_str(o, "Message", "A user account was changed.\r\n\"EventID\":4725");
    json_out_end_object(o);
}

static void shape_nxlog(struct json_out *o, const struct xml_node *event, const char *xml)
{
    (void)xml;
    nxlog(o, event, failed(event) ? "-9218868437227405312" : "-9214364837600034816");
}

static void shape_nxlog_unsigned(struct json_out *o, const struct xml_node *event, const char *xml)
{
    (void)xml;
    nxlog(o, event, failed(event) ? "9227875636482146304" : "9232379236109516800");
}

static void shape_original(struct json_out *o, const struct xml_node *event, const char *xml)
{
    (void)event;
    json_out_object(o, NULL);
    json_out_object(o, "event");
    json_out_str(o, "original", xml);
    json_out_end_object(o);
    json_out_end_object(o);
}

static void shape_member(struct json_out *o, const struct xml_node *event, const char *xml)
{
    (void)event;
    json_out_object(o, NULL);
    json_out_str(o, "host", "collector");
    json_out_str(o, "Xml", xml);
    json_out_end_object(o);
}

static void every_shape(void **state)
{
    static const struct {
        const char *name;
        void (*make)(struct json_out *o, const struct xml_node *event, const char *xml);
    } shapes[] = {
        {"evtx_dump", shape_evtx_dump},
        {"xmltodict", shape_xmltodict},
        {"winlogbeat", shape_winlogbeat},
        {"dotted", shape_dotted},
        {"winlogbeat6", shape_winlogbeat6},
        {"nxlog", shape_nxlog},
        {"nxlog unsigned", shape_nxlog_unsigned},
        {"event.original", shape_original},
        {"Xml", shape_member},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(text_done) struct text t = load(rows[i].file);
        CLEANUP(xml_freep) struct xml_doc *doc = NULL;
        struct err e;

        assert_int_equal(xml_parse(t.s, t.len, &doc, &e), 0);
        for (size_t k = 0; k < ARRAY_LEN(shapes); k++) {
            CLEANUP(text_done) struct text json = TEXT_INIT(1024 * 1024);
            struct evlog_event *ev;
            struct json_out o;

            json_out_init(&o, &json);
            shapes[k].make(&o, xml_root(doc), t.s);
            assert_false(json.failed);
            ev = from_json(json.s);
            check(&rows[i], ev, shapes[k].name);
            free(ev);
        }
    }
}

/* --- what is odd
 * ----------------------------------------------------------------------------------- */

#define XML(sys, data)                                                                  \
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>" sys \
    "</System><EventData>" data "</EventData></Event>"

static struct evlog_event *xml(const char *s)
{
    return from_xml(s, strlen(s));
}

static void odd_values(void **state)
{
    static const struct {
        const char *time;
        int64_t ms;
    } times[] = {{"2026-11-20T09:30:01.123Z", 123},
                 {"2026-11-20T09:30:01.1234567Z", 123},
                 {"2026-11-20T09:30:01.123456789Z", 123},
                 {"2026-11-20T09:30:01Z", 0},
                 {"2026-11-20 09:30:01.123456", 123}};
    int64_t base = 0;
    struct evlog_event *ev;
    char s[512];

    (void)state;
    assert_true(stamp_parse_iso("2026-11-20T09:30:01Z", &base));
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        (void)snprintf(s, sizeof(s), XML("<EventID>1</EventID><TimeCreated SystemTime='%s'/>", ""),
                       times[i].time);
        ev = xml(s);
        assert_true(ev->has_time && ev->time_ms == base + times[i].ms);
        free(ev);
    }

    /* Logon ids of any width are one number. */
    ev = xml(XML("<EventID>4725</EventID>", "<Data Name='SubjectLogonId'>0x3e7</Data>"));
    assert_true(ev->has_logon_id && ev->logon_id == 999);
    free(ev);
    ev = xml(
        XML("<EventID>4725</EventID>", "<Data Name='SubjectLogonId'>0x00000000000003E7</Data>"));
    assert_true(ev->has_logon_id && ev->logon_id == 999);
    free(ev);

    ev = xml(XML("<EventID>4738</EventID>", "<Data Name='PasswordLastSet'>%%1794</Data>"));
    assert_int_equal(ev->password_last_set, EVLOG_PLS_NEVER);
    free(ev);
    ev = xml(XML("<EventID>4724</EventID><Keywords>0x8010000000000000</Keywords>", ""));
    assert_int_equal(ev->outcome, EVLOG_FAILURE);
    free(ev);

    /* 4740: the "domain" is the calling computer. */
    ev = xml(XML("<EventID>4740</EventID>", "<Data Name='TargetUserName'>a</Data>"
                                            "<Data Name='TargetDomainName'>WS7</Data>"));
    assert_string_equal(ev->target.domain, "");
    assert_string_equal(ev->remote, "WS7");
    free(ev);

    /* NXLog without a zone: the time is not known, the event is. */
    ev = from_json(
        "{\"EventID\":4725,\"EventTime\":\"2026-11-20 09:30:01\",\"Channel\":\"Security\"}");
    assert_false(ev->has_time);
    free(ev);
}

static void refused(void **state)
{
    static const struct {
        const char *s;
        enum err_code want;
    } bad[] = {
        {"", ERR_INVALID},
        {"{}", ERR_INVALID},
        {"[]", ERR_INVALID},
        {"{\"EventID\":\"\"}", ERR_INVALID},
        {"{\"EventID\":0}", ERR_INVALID},
        {"{\"EventID\":4725,\"EventID\":4738}", ERR_INVALID},
        {"{\"EventID\":4738,\"OldUacValue\":\"0x15q\"}", ERR_INVALID},
        {"{\"EventID\":4738,\"OldUacValue\":\"0x100000000\"}", ERR_INVALID},
        /* data without names prove nothing */
        {"{\"Id\":4725,\"Properties\":[{\"Value\":\"alice\"}]}", ERR_UNSUPPORTED},
        {"{\"EventID\":4725,\"StringInserts\":[\"alice\"]}", ERR_UNSUPPORTED},
        /* twice, in two ways of writing */
        {"{\"winlog\":{\"event_id\":4725,\"event_data\":{\"TargetSid\":\"S-1-1\"}},"
         "\"winlog.event_data.TargetSid\":\"S-1-2\"}",
         ERR_INVALID},
        {"{\"xml\":\"<Event><!DOCTYPE x></Event>\"}", ERR_INVALID},
        {"{\"Message\":\"<Event><System><EventID>4725</EventID></System></Event>\"}", ERR_INVALID},
    };
    static const char *const bad_xml[] = {
        "<Event/>",
        "<Events/>",
        "<x/>",
        "",
        "<Event><System/></Event>",
        "<Event xmlns='urn:x'><System><EventID>4725</EventID></System></Event>",
        XML("<EventID>4725</EventID>",
            "<Data Name='TargetSid'>S-1-1</Data><Data Name='TargetSid'>S-1-2</Data>"),
        "<Event><System><EventID>1</EventID></System><System><EventID>2</EventID></System></Event>",
        "<!DOCTYPE Event [<!ENTITY x 'y'>]><Event><System><EventID>1</EventID></System></Event>",
    };
    struct got g = {0};
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (json_error(bad[i].s) != bad[i].want)
            fail_msg("wrong error for %s", bad[i].s);
    for (size_t i = 0; i < ARRAY_LEN(bad_xml); i++)
        if (evlog_parse_xml(bad_xml[i], strlen(bad_xml[i]), on_event, &g, &e) == 0)
            fail_msg("taken: %s", bad_xml[i]);
    assert_int_equal(g.count, 0);
}

/* A string that somebody could choose never becomes an event where the line is one already. */
static void no_smuggling(void **state)
{
    struct evlog_event *ev =
        from_json("{\"EventID\":4688,\"Channel\":\"Security\",\"xml\":\"<Event><System><EventID>"
                  "4725</EventID>"
                  "</System></Event>\",\"CommandLine\":\"{\\\"EventID\\\":4725}\"}");

    (void)state;
    assert_int_equal(ev->id, 4688);
    free(ev);
}

static void several_events(void **state)
{
    static const char two[] =
        "<Events><Event><System><EventID>4725</EventID></System></Event>"
        "<Other/><Event><System><EventID>4738</EventID></System></Event></Events>";
    struct got g = {0};
    struct err e;

    (void)state;
    assert_int_equal(evlog_parse_xml(two, strlen(two), on_event, &g, &e), 0);
    assert_int_equal(g.count, 2);
    assert_int_equal(g.ev->id, 4738);
    free(g.ev);
}

/* --- out
 * --------------------------------------------------------------------------------------------- */

static void written(void **state)
{
    CLEANUP(text_done) struct text t = load("4738-never-expires-set");
    CLEANUP(text_done) struct text out = TEXT_INIT(65536);
    struct evlog_event *ev = from_xml(t.s, t.len), e2;

    (void)state;
    evlog_event_json(ev, &out);
    assert_string_equal(
        out.s,
        "{\"type\":\"event\",\"id\":4738,\"record\":105298983,\"time\":\"2021-02-08T12:08:43."
        "160Z\","
        "\"computer\":\"rootdc1.offsec.lan\",\"target\":{\"sid\":"
        "\"S-1-5-21-4230534742-2542757381-3142984815-1234\",\"name\":\"hack1\",\"domain\":"
        "\"OFFSEC\"},\"actor\":{\"sid\":\"S-1-5-21-4230534742-2542757381-3142984815-1111\","
        "\"name\":\"admmig\",\"domain\":\"OFFSEC\",\"logon_id\":\"0x123be598\"},\"uac\":{\"old\":"
        "\"0x10\",\"new\":\"0x210\",\"set\":[\"never-expires\"],\"cleared\":[],\"codes\":"
        "[\"%%2089\"]},\"password_last_set\":\"unchanged\",\"success\":true,\"source\":\"xml\"}");
    text_clear(&out);
    evlog_event_human(ev, &out);
    assert_string_equal(out.s,
                        "2021-02-08T12:08:43.160Z rootdc1.offsec.lan 4738 changed 'hack1' by "
                        "'admmig' #105298983 uac 0x10 -> 0x210 +never-expires");
    free(ev);

    /* Nothing known: nulls, and no crash. What came from outside is shown, not obeyed (O1). */
    evlog_event_init(&e2);
    e2.id = 4725;
    e2.target.name = "a\x1b[2J\nb";
    text_clear(&out);
    evlog_event_json(&e2, &out);
    assert_non_null(strstr(out.s, "\"record\":null,\"time\":null,\"computer\":null"));
    assert_non_null(
        strstr(out.s, "\"uac\":{\"old\":null,\"new\":null,\"set\":null,\"cleared\":null}"));
    assert_null(strpbrk(out.s, "\x1b\n"));
    text_clear(&out);
    evlog_event_human(&e2, &out);
    assert_null(strpbrk(out.s, "\x1b\n"));
}

/* --- flags
 * ------------------------------------------------------------------------------------------- */

static void sam_flags(void **state)
{
    static const struct {
        const char *name;
        uint32_t uac;
    } table[] = {
        {"disabled", 0x2},
        {"home-directory-required", 0x8},
        {"password-not-required", 0x20},
        {"temp-duplicate", 0x100},
        {"normal", 0x200},
        {"mns-logon", 0x20000},
        {"interdomain-trust", 0x800},
        {"workstation-trust", 0x1000},
        {"server-trust", 0x2000},
        {"never-expires", 0x10000},
        {"auto-locked", 0x10},
        {"encrypted-text-password", 0x80},
        {"smartcard-required", 0x40000},
        {"trusted-for-delegation", 0x80000},
        {"not-delegated", 0x100000},
        {"des-only", 0x200000},
        {"no-preauth", 0x400000},
        {"password-expired", 0x800000},
        {"trusted-to-auth-for-delegation", 0x1000000},
        {"no-auth-data-required", 0x2000000},
        {"partial-secrets", 0x4000000},
        {"use-aes-keys", 0},
    };
    unsigned bit;
    bool set;

    (void)state;
    for (unsigned n = 0; n < ARRAY_LEN(table); n++) {
        assert_string_equal(evlog_sam_name(n), table[n].name);
        assert_int_equal(evlog_sam_bit(table[n].name), 1u << n);
        assert_int_equal(evlog_sam_from_uac(table[n].uac), table[n].uac == 0 ? 0 : 1u << n);
        assert_true(evlog_sam_code((uint16_t)(2048 + n), &bit, &set) && bit == n && !set);
        assert_true(evlog_sam_code((uint16_t)(2080 + n), &bit, &set) && bit == n && set);
        assert_int_equal(evlog_sam_code_of(n, false), 2048 + n);
        assert_int_equal(evlog_sam_code_of(n, true), 2080 + n);
    }
    assert_int_equal(ARRAY_LEN(table), EVLOG_SAM_BITS);
    assert_null(evlog_sam_name(EVLOG_SAM_BITS));
    assert_int_equal(evlog_sam_bit("ACCOUNTDISABLE"), 0);
    assert_false(evlog_sam_code(2047, &bit, &set));
    assert_false(evlog_sam_code(2070, &bit, &set));
    assert_false(evlog_sam_code(2102, &bit, &set));
    assert_false(evlog_sam_code(1794, &bit, &set));
    assert_int_equal(evlog_sam_from_uac(512), 0x10);
    assert_int_equal(evlog_sam_from_uac(514), 0x11);
    assert_int_equal(evlog_sam_from_uac(66050), 0x211);
    assert_int_equal(evlog_sam_from_uac(UINT32_MAX), 0x1fffff);
}

/* The codes of the real events say what the two values say. */
static void codes_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct text t = load(rows[i].file);
        struct evlog_event *ev = from_xml(t.s, t.len);

        for (unsigned k = 0; k < ev->uac.code_count; k++) {
            unsigned bit = 0;
            bool set = false;

            assert_true(evlog_sam_code(ev->uac.codes[k], &bit, &set));
            assert_int_equal(ev->uac.new >> bit & 1, set);
            assert_int_equal(ev->uac.old >> bit & 1, !set);
        }
        free(ev);
        text_done(&t);
    }
}

/* --- comparing
 * ------------------------------------------------------------------------------------------ */

static void hosts_and_sids(void **state)
{
    (void)state;
    assert_true(evlog_same_host("DC1.corp.example.com", "dc1.CORP.example.com"));
    assert_true(evlog_same_host("dc1", "dc1.corp.example.com"));
    assert_true(evlog_same_host("dc1.corp.example.com.", "dc1.corp.example.com"));
    assert_false(evlog_same_host("dc1.corp", "dc1.corp.example.com"));
    assert_false(evlog_same_host("dc1.other.example.com", "dc1.corp.example.com"));
    assert_false(evlog_same_host("dc10", "dc1.corp.example.com"));
    assert_false(evlog_same_host("", ""));
    assert_false(evlog_same_host("", "dc1"));
    assert_false(evlog_same_host("dc[", "dc{"));
    assert_true(evlog_same_sid("s-1-5-18", "S-1-5-18"));
    assert_false(evlog_same_sid("", ""));
}

static void dn_keys(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } pairs[] = {
        {"CN=Alice,DC=corp", "cn=alice,dc=CORP", true},
        {"CN=Alice, DC=corp", "CN=Alice,DC=corp", true},
        {"CN = Alice ,DC=corp", "CN=Alice,DC=corp", true},
        {"CN=Liddell\\, Alice,DC=corp", "CN=Liddell\\2C Alice,DC=corp", true},
        {"CN=Liddell\\, Alice,DC=corp", "CN=Liddell,CN=Alice,DC=corp", false},
        {"CN=a\\2cDC\\3dcorp", "CN=a,DC=corp", false},
        {"CN=\\C3\\A4", "CN=\xc3\xa4", true},
        {"CN=a\\20,DC=b", "CN=a,DC=b", false},
        {"CN=a b,DC=c", "CN=ab,DC=c", false},
        {"CN=a\\00b", "CN=a", false},
        {"CN=a\\", "CN=a\\", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        CLEANUP(text_done) struct text a = TEXT_INIT(1024), b = TEXT_INIT(1024);

        evlog_dn_key(pairs[i].a, &a);
        evlog_dn_key(pairs[i].b, &b);
        if ((strcmp(a.s, b.s) == 0) != pairs[i].same)
            fail_msg("'%s' and '%s': '%s' and '%s'", pairs[i].a, pairs[i].b, a.s, b.s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file),   cmocka_unit_test(every_shape),
        cmocka_unit_test(odd_values),   cmocka_unit_test(refused),
        cmocka_unit_test(no_smuggling), cmocka_unit_test(several_events),
        cmocka_unit_test(written),      cmocka_unit_test(sam_flags),
        cmocka_unit_test(codes_agree),  cmocka_unit_test(hosts_and_sids),
        cmocka_unit_test(dn_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
