/* tests/unit/config/test_config.c -- from files to settings, and what must not get through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "config/config.h"
#include "config/keys.h"
#include "tests/unit/alloc.h"

#define HEAD "[cordon]\ndomains = corp.example.com\n[domain/corp.example.com]\n" /* 3 lines */
#define DCS "dcs = dc1.corp.example.com, dc2.corp.example.com\n"

static struct cfg *load(const char *s)
{
    struct text errors = TEXT_INIT(65536);
    struct cfg *c = NULL;
    struct err e;

    if (cfg_load_bytes("f", s, strlen(s), &c, &errors, &e) < 0)
        fail_msg("'%s':\n%s", s, errors.s);
    assert_int_equal(errors.len, 0);
    return c;
}

static void defaults(void **state)
{
    CLEANUP(cfg_freep) struct cfg *c = load(HEAD);
    const struct cfg_domain *d = &c->domains[0];

    (void)state;
    assert_int_equal(c->domain_count, 1);
    assert_string_equal(c->log_level, "warning");
    assert_int_equal(c->watch_within_ms, 2000);
    assert_int_equal(c->confirm_ms, 10000);
    assert_int_equal(c->wait_ms, 15000);
    assert_int_equal(c->window, 40);
    assert_string_equal(d->name, "corp.example.com");
    assert_string_equal(d->realm, "CORP.EXAMPLE.COM");
    assert_int_equal(d->dcs.count, 0);
    assert_null(d->site);
    assert_null(d->keytab);
    assert_null(d->principal);
    assert_null(d->base);
    assert_null(d->ca_file);
    assert_int_equal(d->events, CFG_EVENTS_NONE);
    assert_int_equal(d->events_file.count, 0);
    assert_int_equal(d->transport, CFG_TRANSPORT_GSSAPI);
    assert_int_equal(d->write, CFG_WRITE_ALL);
    assert_int_equal(d->write_limit, 8);
    assert_int_equal(d->connect_timeout_ms, 3000);
    assert_int_equal(d->operation_timeout_ms, 10000);
    assert_int_equal(c->policy.never_disable.count, 0);
    assert_false(c->policy.allow_privileged);
    assert_int_equal(c->policy.brake.count, 20);
    assert_int_equal(c->policy.brake.per_ms, 600000);
    assert_int_equal(c->policy.brake_ou.count, 5);
    assert_int_equal(c->policy.brake_signer.count, 10);
    assert_int_equal(c->policy.brake_percent, 2);
}

static void everything(void **state)
{
    CLEANUP(cfg_freep)
    struct cfg *c =
        load("[CORDON]\nDomains = b.example.com, Corp.Example.com\nlog_level = Debug\n"
             "watch_within = 500ms\nconfirm = 5\nwait = 2m\nwindow = 1\n"
             "[domain/CORP.example.com]\n"
             "dcs = DC1.corp.example.com,\n  dc2.corp.example.com # the other\n"
             "realm = OTHER.REALM\nsite = Berlin-1\nkeytab = \"/etc/cordon/a b.keytab\"\n"
             "principal = cordon@CORP.EXAMPLE.COM\n"
             "base = OU=People, DC=corp,DC=Example,DC=com\nevents = samba ; c\n"
             "events_file = dc1.corp.example.com:/var/log/1, dc2.corp.example.com:/b\n"
             "transport = ldaps\nca_file = /etc/ca.pem\nwrite = first\nwrite_limit = 64\n"
             "connect_timeout = 100ms\noperation_timeout = 5m\n"
             "[domain/b.example.com]\nevents = jsonl\nevents_file = /a, /b\n"
             "[policy]\nnever_disable = group:CN=VIP,OU=Groups,DC=corp,DC=com, alice\n"
             "always_disable = ou:OU=a,DC=x\nnever_credentials = svc-*\n"
             "always_credentials = bob\n"
             "privileged_groups = Tier 0, group:CN=x,DC=y\nallow_privileged = YES\n"
             "brake = 3 per 7d\nbrake_ou = 1 per 1h\nbrake_percent = 0\n");
    const struct cfg_domain *b = &c->domains[0], *d = &c->domains[1];

    (void)state;
    assert_int_equal(c->domain_count, 2); /* in the order of `domains` */
    assert_string_equal(b->name, "b.example.com");
    assert_int_equal(b->events, CFG_EVENTS_JSONL);
    assert_int_equal(b->events_file.count, 2);
    assert_string_equal(c->log_level, "debug");
    assert_int_equal(c->watch_within_ms, 500);
    assert_int_equal(c->confirm_ms, 5000);
    assert_int_equal(c->wait_ms, 120000);
    assert_int_equal(c->window, 1);
    assert_string_equal(d->name, "corp.example.com");
    assert_int_equal(d->dcs.count, 2);
    assert_string_equal(d->dcs.items[0], "dc1.corp.example.com");
    assert_string_equal(d->dcs.items[1], "dc2.corp.example.com");
    assert_string_equal(d->realm, "OTHER.REALM");
    assert_string_equal(d->site, "Berlin-1");
    assert_string_equal(d->keytab, "/etc/cordon/a b.keytab");
    assert_string_equal(d->principal, "cordon@CORP.EXAMPLE.COM");
    assert_string_equal(d->base, "OU=People, DC=corp,DC=Example,DC=com");
    assert_int_equal(d->events, CFG_EVENTS_SAMBA);
    assert_string_equal(d->events_file.items[1], "dc2.corp.example.com:/b");
    assert_int_equal(d->transport, CFG_TRANSPORT_LDAPS);
    assert_string_equal(d->ca_file, "/etc/ca.pem");
    assert_int_equal(d->write, CFG_WRITE_FIRST);
    assert_int_equal(d->write_limit, 64);
    assert_int_equal(d->connect_timeout_ms, 100);
    assert_int_equal(d->operation_timeout_ms, 300000);
    assert_int_equal(c->policy.never_disable.count, 2);
    assert_string_equal(c->policy.never_disable.items[0], "group:CN=VIP,OU=Groups,DC=corp,DC=com");
    assert_string_equal(c->policy.always_disable.items[0], "ou:OU=a,DC=x");
    assert_string_equal(c->policy.never_credentials.items[0], "svc-*");
    assert_string_equal(c->policy.always_credentials.items[0], "bob");
    assert_string_equal(c->policy.privileged_groups.items[0], "Tier 0");
    assert_string_equal(c->policy.privileged_groups.items[1], "CN=x,DC=y");
    assert_true(c->policy.allow_privileged);
    assert_int_equal(c->policy.brake.count, 3);
    assert_int_equal(c->policy.brake.per_ms, 7 * 86400000);
    assert_int_equal(c->policy.brake_ou.per_ms, 3600000);
    assert_int_equal(c->policy.brake_percent, 0);
}

#define GUID "11111111-2222-3333-4444-aaaaaaaaaaaa"
#define ENTRA "[entra]\ntenant = corp.example.com\nclient_id = " GUID "\n" /* 3 lines */
#define OKTA "[okta]\nurl = https://example.okta.com\n"                    /* 2 lines */

/* Nothing to notice. */
static void later(void **state)
{
    CLEANUP(cfg_freep)
    struct cfg *c = load(HEAD DCS "events = winrm            ; winrm | samba | jsonl | none\n");
    struct text t = TEXT_INIT(65536);
    size_t lines = 0;
    struct err e;

    (void)state;
    assert_int_equal(cfg_notices(c, &t, &e), 0);
    for (size_t i = 0; i < t.len; i++)
        lines += t.s[i] == '\n';
    assert_int_equal(lines, 0);
    text_done(&t);
}

/* [defender] */
static void defender(void **state)
{
    static const char id[] = "0123456789abcdef0123456789abcdef01234567";
    CLEANUP(text_done) struct text t = TEXT_INIT(4096);
    struct cfg *c;

    (void)state;
    text_addf(&t,
              HEAD DCS ENTRA "secret_file = /s\nlogin_url = https://login.example.com\n"
                             "[defender]\nscript = /etc/cordon/cordon-dc.ps1\n"
                             "dcs = dc1.corp.example.com=%s, dc2.corp.example.com\n"
                             "dc_tag = Domain Controller\nfallback = no\n",
              id);
    c = load(t.s);
    assert_true(c->defender.on);
    assert_int_equal(c->defender.dcs.count, 2);
    assert_false(c->defender.fallback);
    assert_string_equal(c->defender.dc_tag, "Domain Controller");
    assert_string_equal(c->defender.login_url, "https://login.example.com");
    assert_string_equal(c->defender.url, "https://api.securitycenter.microsoft.com");
    assert_int_equal(c->defender.poll_ms, 10000);
    assert_int_equal(c->defender.run_ms, 480000);
    assert_int_equal(c->entra.sync_via, CFG_SYNC_VIA_WINRM);
    cfg_free(c);
    c = load(HEAD DCS ENTRA "secret_file = /s\nsync = connect\nsync_via = mde\n"
                            "sync_server = sync1.corp.example.com\n"
                            "[defender]\nscript = /a.ps1\nsync_script = /b.ps1\n"
                            "dcs = dc1.corp.example.com\npoll = 300ms\nrun_within = 25m\n");
    assert_int_equal(c->entra.sync_via, CFG_SYNC_VIA_MDE);
    assert_string_equal(c->defender.sync_script, "/b.ps1");
    assert_int_equal(c->defender.poll_ms, 300);
    cfg_free(c);
    c = load(HEAD);
    assert_false(c->defender.on);
    cfg_free(c);
}

/* [risk] */
static void risk(void **state)
{
    CLEANUP(cfg_freep) struct cfg *off = load(HEAD);
    CLEANUP(cfg_freep)
    struct cfg *on = load(HEAD ENTRA "certificate = /c\n[risk]\npoll = 5m\nlevel = Medium\n"
                                     "detections = leakedCredentials,\n  anomalous*\n"
                                     "max_age = 7d\non_high_risk = contain\n");
    struct text t = TEXT_INIT(65536);
    struct cfg *c = NULL;
    struct err e;

    (void)state;
    assert_false(off->risk.on);
    assert_int_equal(off->risk.poll_ms, 120000);
    assert_int_equal(off->risk.level, CFG_RISK_HIGH);
    assert_int_equal(off->risk.detections.count, 0);
    assert_int_equal(off->risk.max_age_ms, 86400000);
    assert_int_equal(off->risk.on_high_risk, CFG_ON_RISK_HOLD);
    assert_true(on->risk.on);
    assert_int_equal(on->risk.level, CFG_RISK_MEDIUM);
    assert_int_equal(on->risk.detections.count, 2);
    assert_string_equal(on->risk.detections.items[1], "anomalous*");
    assert_int_equal(on->risk.on_high_risk, CFG_ON_RISK_CONTAIN);
    assert_int_equal(cfg_show(on, false, &t, &e), 0);
    assert_non_null(strstr(t.s, "detections = leakedCredentials, anomalous*  # f:"));
    text_done(&t);

    assert_int_equal(cfg_load_bytes("f", HEAD "[risk]\n", strlen(HEAD "[risk]\n"), &c, NULL, &e),
                     -1);
    assert_non_null(strstr(e.msg, "[risk] needs a section [entra]"));
    assert_int_equal(cfg_load_bytes("f", HEAD "[risk]\ndetections = a b\n",
                                    strlen(HEAD "[risk]\ndetections = a b\n"), &c, NULL, &e),
                     -1);
    assert_non_null(strstr(e.msg, "detections: 'a b': a name without spaces"));
    assert_int_equal(cfg_load_bytes("f", HEAD "[policy]\nbrake = 1 per 8d\n",
                                    strlen(HEAD "[policy]\nbrake = 1 per 8d\n"), &c, NULL, &e),
                     -1);
    assert_non_null(strstr(e.msg, "brake: over more than 7d is not counted"));
}

#define SIGNER "[signer/soar]\nkey = /k\nactions = disable\n" /* 3 lines */

/* [signer/NAME] and [queue] */
static void queue(void **state)
{
    CLEANUP(cfg_freep) struct cfg *off = load(HEAD SIGNER);
    CLEANUP(cfg_freep)
    struct cfg *c = load(
        HEAD "[Signer/SOAR-1.x]\nkey = /k1\nnext_key = /k2\nnot_before = 2026-11-21\n"
             "not_after = 2026-11-21T09:14:03+01:00\nnext_not_before = 2026-11-20\n"
             "next_not_after = 2027-01-01\nactions = Disable, reset-password,\n  dismiss-risk\n"
             "domains = Corp.Example.com\naccounts = ou:OU=x,DC=y; alice\nscope = on-prem\n"
             "rate = 20 per 10m\n"
             "[signer/b]\nkey = /b\nactions = revoke\n"
             "[queue]\nengine = azure\naccount = abc1\nqueue = a-b\nresult_queue = abc\n"
             "sas_file = /s\npoll_min = 100ms\npoll_max = 1m\nlease = 7d\nmax_age = 1m\n"
             "agent = x\nsigning_key = /p\n"
             "[signer/soar-1.X]\n" /* taken up again */);
    CLEANUP(cfg_freep) struct cfg *again = NULL;
    const struct cfg_signer *s = &c->signers[0];
    struct text t = TEXT_INIT(65536);
    struct err e;

    (void)state;
    assert_false(off->queue.on);
    assert_int_equal(off->signer_count, 1);
    assert_int_equal(off->signers[0].actions, 1U);
    assert_true(off->signers[0].not_before_ms == 0 && off->signers[0].not_after_ms == 0);
    assert_int_equal(off->signers[0].scope, CFG_SCOPE_BOTH);
    assert_int_equal(off->signers[0].rate.count, 1000);
    assert_int_equal(off->signers[0].rate.per_ms, 600000);

    assert_int_equal(c->signer_count, 2);
    assert_string_equal(s->name, "soar-1.x");
    assert_string_equal(s->key, "/k1");
    assert_string_equal(s->next_key, "/k2");
    assert_true(s->not_before_ms == INT64_C(1795219200000));
    assert_true(s->not_after_ms == INT64_C(1795248843000));
    assert_true(s->next_before_ms == INT64_C(1795132800000));
    assert_true(s->next_after_ms == INT64_C(1798761600000));
    assert_int_equal(s->actions, 1U << 0 | 1U << 3 | 1U << 7);
    assert_int_equal(s->domains.count, 1);
    assert_int_equal(s->accounts.count, 2);
    assert_int_equal(s->scope, CFG_SCOPE_ON_PREM);
    assert_int_equal(s->rate.count, 20);
    assert_string_equal(c->signers[1].name, "b");

    assert_true(c->queue.on);
    assert_int_equal(c->queue.engine, CFG_ENGINE_AZURE);
    assert_string_equal(c->queue.url, "https://abc1.queue.core.windows.net");
    assert_string_equal(c->queue.sas_file, "/s");
    assert_int_equal(c->queue.lease_ms, 7 * 86400000);
    assert_int_equal(c->queue.max_age_ms, 60000);

    /* As shown, so read. */
    assert_int_equal(cfg_show(c, false, &t, &e), 0);
    assert_non_null(strstr(t.s, "[signer/soar-1.x]\nkey = /k1  # f:5\n"));
    assert_non_null(strstr(t.s, "actions = disable, reset-password, dismiss-risk  # f:"));
    assert_non_null(strstr(t.s, "rate = 20 per 10m  # f:"));
    assert_int_equal(cfg_load_bytes("g", t.s, t.len, &again, NULL, &e), 0);
    assert_int_equal(again->signer_count, 2);
    assert_int_equal(again->signers[0].actions, s->actions);
    assert_true(again->signers[0].next_after_ms == s->next_after_ms);
    assert_int_equal(again->queue.poll_max_ms, 60000);
    text_clear(&t);
    assert_int_equal(cfg_show(off, false, &t, &e), 0);
    assert_null(strstr(t.s, "[queue]"));
    text_done(&t);
}

static void queue_wrong(void **state)
{
    static const struct {
        const char *conf, *want;
    } bad[] = {
        {"[signer]\n", "f:4:1: unknown section [signer]: did you mean [signer/soar]?"},
        {"[signer/]\n", "f:4:1: [signer/]: "},
        {"[signer/a/b]\n", "f:4:1: [signer/a/b]: 'a/b': a name of"},
        {"[signer/-a]\n", "f:4:1: [signer/-a]: "},
        {"[singer/a]\n", "unknown section [singer/a]"},
        {"[signer/a]\nactions = disable\n", "f:4:1: 'key' is missing in [signer/a]: "},
        {"[signer/a]\nkey = /k\n", "f:4:1: 'actions' is missing in [signer/a]: "},
        {"[signer/a]\nkey = /k\nactions = delete\n", "f:6:11: actions: 'delete' is none of: "},
        {"[signer/a]\nkey = /k\nactions = disable, disable\n", "twice"},
        {SIGNER "rate = 20\n", "f:7:8: rate: '20': write it like 20 per 10m"},
        {SIGNER "rate = 0 per 1m\n", "rate: "},
        {SIGNER "rate = 1 per 500ms\n", "rate: "},
        {SIGNER "rate = 1 per\n", "rate: "},
        {SIGNER "rate = 1 per never\n", "rate: "},
        {SIGNER "not_before = tomorrow\n", "f:7:14: not_before: 'tomorrow' is no time"},
        {SIGNER "not_before = 2026-02-30\n", "no time"},
        {SIGNER "not_before = 1969-01-01\n", "no time"},
        {SIGNER "not_before = 2026-01-02\nnot_after = 2026-01-02\n",
         "f:8:13: not_after: not after when"},
        {SIGNER "next_key = /n\nnext_not_before = 2026-01-02\nnext_not_after = 2026-01-01\n",
         "f:9:18: next_not_after: not after when"},
        {SIGNER "domains = other.example.com\n",
         "f:7:11: domains: 'other.example.com' is none of 'domains' in [cordon]"},
        {SIGNER "accounts = alice ; bob\n", "accounts: a ';' behind a space"},
        {SIGNER "key2 = /k\n", "unknown key 'key2' in [signer/NAME]: did you mean 'key'?"},
        {"[queue]\n", "f:4:1: 'directory' is missing in [queue]: engine = spool needs it"},
        {"[queue]\ndirectory = /d\npoll_min = 2s\npoll_max = 1s\n",
         "f:7:12: poll_max: shorter than poll_min"},
        {"[queue]\nengine = azure\nkey_file = /k\n", "'account' is missing"},
        {"[queue]\nengine = azure\naccount = abc\nqueue = abc\n", "and has none"},
        {"[queue]\nengine = azure\naccount = abc\nqueue = abc\nkey_file = /k\nsas_file = /s\n",
         "and has several"},
        {"[queue]\nengine = azure\naccount = abc\nqueue = abc\nkey_file = /k\nresult_sas_file = "
         "/s\n",
         "f:9:19: it stands beside sas_file"},
        {"[queue]\nengine = azure\naccount = abc\nqueue = abc\nentra = yes\n",
         "f:8:9: entra = yes needs a section [entra]"},
        {"[queue]\nengine = azure\naccount = a-b\nqueue = abc\nkey_file = /k\n",
         "f:6:11: account: 3 to 24 of small letters and digits"},
        {"[queue]\nengine = azure\naccount = abc\nqueue = A-b\nkey_file = /k\n",
         "f:7:9: queue: 3 to 56 of small letters, single hyphens and digits"},
        {"[queue]\nengine = azure\naccount = abc\nqueue = a--b\nkey_file = /k\n", "queue: "},
        {"[queue]\nengine = azure\naccount = abc\nqueue = -ab\nkey_file = /k\n", "queue: "},
        {"[queue]\nengine = azure\naccount = abc\nqueue = abc\nkey_file = /k\n"
         "url = http://example.com\n",
         "url: "},
        {"[queue]\ndirectory = /d\nmax_age = 1s\n", "max_age: "},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct text conf = TEXT_INIT(65536), errors = TEXT_INIT(65536);
        struct cfg *c = NULL;
        struct err e;

        text_addf(&conf, "%s%s", HEAD, bad[i].conf);
        if (cfg_load_bytes("f", conf.s, conf.len, &c, &errors, &e) == 0)
            fail_msg("taken: '%s'", bad[i].conf);
        if (strstr(errors.s, bad[i].want) == NULL)
            fail_msg("'%s':\n%swanted: %s", bad[i].conf, errors.s, bad[i].want);
        text_done(&conf);
        text_done(&errors);
    }
}

static void web_defaults(void **state)
{
    CLEANUP(cfg_freep) struct cfg *off = load(HEAD);
    CLEANUP(cfg_freep)
    struct cfg *c = load(HEAD ENTRA "secret_file = /s\n" OKTA "token_file = /t\n");

    (void)state;
    assert_false(off->entra.on);
    assert_false(off->okta.on);
    assert_int_equal(off->cloud_after_ms, 5000);
    assert_int_equal(off->hold_watch_ms, 45 * 60 * 1000);
    assert_null(off->http.ca_file);
    assert_null(off->http.proxy);
    assert_null(off->http.no_proxy);

    assert_true(c->entra.on);
    assert_int_equal(c->entra.credential, CFG_CREDENTIAL_SECRET);
    assert_string_equal(c->entra.secret_file, "/s");
    assert_null(c->entra.certificate);
    assert_string_equal(c->entra.managed_identity, "no");
    assert_int_equal(c->entra.cloud, CFG_CLOUD_GLOBAL);
    assert_string_equal(c->entra.login_url, "https://login.microsoftonline.com");
    assert_string_equal(c->entra.graph_url, "https://graph.microsoft.com");
    assert_string_equal(c->entra.loganalytics_url, "https://api.loganalytics.io");
    assert_string_equal(c->entra.imds_url, "http://169.254.169.254");
    assert_int_equal(c->entra.sync, CFG_SYNC_NONE);
    assert_null(c->entra.workspace);
    assert_true(c->entra.hold);
    assert_int_equal(c->entra.protected_groups.count, 0);
    assert_true(c->okta.on);
    assert_string_equal(c->okta.token_file, "/t");
    assert_string_equal(c->okta.scope, "okta.users.manage okta.users.read okta.logs.read");
    assert_false(c->okta.contain);
    assert_int_equal(c->okta.login_attribute, CFG_LOGIN_UPN);
}

static void web_everything(void **state)
{
    CLEANUP(cfg_freep)
    struct cfg *c =
        load(HEAD "[Entra]\ntenant = 11111111-2222-3333-4444-AAAAAAAAAAAA\nclient_id = " GUID
                  "\ncertificate = /c.pem\nmanaged_identity = no\ncloud = DoD\n"
                  "graph_url = https://Graph.example.com:8443/x\n"
                  "imds_url = http://127.0.0.1:40342\nsync = connect\n"
                  "sync_server = SYNC1.corp.example.com\nworkspace = " GUID "\nhold = no\n"
                  "protected_groups = Tier 0 Cloud, " GUID "\n"
                  "[okta]\nurl = https://example.okta.com\nkey_file = /k\nclient_id = 0oaX\n"
                  "key_id = k1\nscope = a.b c.d\ncontain = yes\nlogin_attribute = sam\n"
                  "[http]\nca_file = /a\nproxy = http://[::1]:3128\nproxy_login_file = /p\n"
                  "no_proxy = A.example.com, .b.example.com,\n  10.0.0.1, ::1\n"
                  "[cordon]\ncloud_after = 0\nhold_watch = 2h\n");
    CLEANUP(cfg_freep)
    struct cfg *own = load(HEAD "[entra]\nmanaged_identity = Yes\ncloud = china\n");
    CLEANUP(cfg_freep)
    struct cfg *user = load(HEAD "[entra]\nmanaged_identity = " GUID "\ncloud = usgov\n");
    CLEANUP(cfg_freep) struct cfg *federated = load(HEAD ENTRA "federated_token_file = /t\n");

    (void)state;
    assert_string_equal(c->entra.tenant, GUID);
    assert_string_equal(c->entra.client_id, GUID);
    assert_int_equal(c->entra.credential, CFG_CREDENTIAL_CERTIFICATE);
    assert_string_equal(c->entra.login_url, "https://login.microsoftonline.us");
    assert_string_equal(c->entra.graph_url, "https://Graph.example.com:8443/x");
    assert_string_equal(c->entra.loganalytics_url, "https://api.loganalytics.us");
    assert_string_equal(c->entra.imds_url, "http://127.0.0.1:40342");
    assert_int_equal(c->entra.sync, CFG_SYNC_CONNECT);
    assert_string_equal(c->entra.sync_server, "sync1.corp.example.com");
    assert_string_equal(c->entra.workspace, GUID);
    assert_false(c->entra.hold);
    assert_int_equal(c->entra.protected_groups.count, 2);
    assert_string_equal(c->entra.protected_groups.items[0], "Tier 0 Cloud");
    assert_string_equal(c->okta.key_file, "/k");
    assert_null(c->okta.token_file);
    assert_string_equal(c->okta.client_id, "0oaX");
    assert_string_equal(c->okta.key_id, "k1");
    assert_string_equal(c->okta.scope, "a.b c.d");
    assert_true(c->okta.contain);
    assert_int_equal(c->okta.login_attribute, CFG_LOGIN_SAM);
    assert_string_equal(c->http.ca_file, "/a");
    assert_string_equal(c->http.proxy, "http://[::1]:3128");
    assert_string_equal(c->http.proxy_login_file, "/p");
    assert_string_equal(c->http.no_proxy, "a.example.com,.b.example.com,10.0.0.1,::1");
    assert_int_equal(c->cloud_after_ms, 0);
    assert_int_equal(c->hold_watch_ms, 7200000);

    assert_int_equal(own->entra.credential, CFG_CREDENTIAL_MANAGED);
    assert_string_equal(own->entra.managed_identity, "yes");
    assert_null(own->entra.client_id);
    assert_null(own->entra.tenant);
    assert_string_equal(own->entra.login_url, "https://login.partner.microsoftonline.cn");
    assert_string_equal(own->entra.graph_url, "https://microsoftgraph.chinacloudapi.cn");
    assert_string_equal(own->entra.loganalytics_url, "https://api.loganalytics.azure.cn");
    assert_string_equal(user->entra.client_id, GUID);
    assert_string_equal(user->entra.graph_url, "https://graph.microsoft.us");
    assert_int_equal(federated->entra.credential, CFG_CREDENTIAL_FEDERATED);
}

static void notices(void **state)
{
    CLEANUP(cfg_freep)
    struct cfg *c = load(HEAD DCS "events = none\nevents_file = /a\nca_file = /b\nprincipal = x\n"
                                  "write_limit = 3\n");
    CLEANUP(cfg_freep)
    struct cfg *web = load(HEAD ENTRA "managed_identity = yes\nsync_server = a\n" OKTA
                                      "key_id = a\ntoken_file = /t\n"
                                      "[http]\nno_proxy = a\nproxy_login_file = /p\n");
    CLEANUP(cfg_freep) struct cfg *quiet = load(HEAD "events = jsonl\nevents_file = /a\n");
    struct text t = TEXT_INIT(65536);
    struct err e;

    (void)state;
    assert_int_equal(cfg_notices(c, &t, &e), 0);
    assert_string_equal(t.s,
                        "f:6:1: 'events_file' is not used: events is neither samba nor jsonl\n"
                        "f:7:1: 'ca_file' is not used: transport is not ldaps, winrm not https\n"
                        "f:8:1: 'principal' is not used: there is no keytab\n"
                        "f:9:1: 'write_limit' is not used: it is for write = all without dcs\n");
    text_clear(&t);
    assert_int_equal(cfg_notices(web, &t, &e), 0);
    assert_string_equal(t.s, "f:8:1: 'sync_server' is not used: sync is not connect\n"
                             "f:6:1: 'client_id' is not used: managed_identity says which "
                             "identity\n"
                             "f:11:1: 'key_id' is not used: it is for key_file\n"
                             "f:14:1: 'no_proxy' is not used: there is no proxy\n"
                             "f:15:1: 'proxy_login_file' is not used: there is no proxy\n");
    text_clear(&t);
    assert_int_equal(cfg_notices(quiet, &t, &e), 0);
    assert_int_equal(t.len, 0);
    text_done(&t);
}

/* F3, K1, K2: one line each, in full or a part of it */
static void errors(void **state)
{
    static const struct {
        const char *s;
        const char *want; /* the beginning, or with '*' in front a part */
    } rows[] = {
        /* names */
        {"[cordn]\n", "f:1:1: unknown section [cordn]: did you mean [cordon]?\n"},
        {"[zzzzzz]\n", "f:1:1: unknown section [zzzzzz]\n"},
        {"[domain]\n",
         "f:1:1: unknown section [domain]: did you mean [domain/corp.example.com]?\n"},
        {"[domain/]\n", "f:1:1: [domain/]: '' is no domain name\n"},
        {"[domain/a..b]\n", "f:1:1: [domain/a..b]: 'a..b' is no domain name\n"},
        {"[domain/10.0.0.1]\n", "*is an IP address"},
        {HEAD "dc = x\n", "f:4:1: unknown key 'dc' in [domain/NAME]: did you mean 'dcs'?\n"},
        {HEAD "zzzzzz = x\n", "f:4:1: unknown key 'zzzzzz' in [domain/NAME]\n"},
        {HEAD "window = 3\n",
         "f:4:1: unknown key 'window' in [domain/NAME]: it belongs in [cordon]\n"},
        {"[cordon]\nkeytab = /a\n",
         "f:2:1: unknown key 'keytab' in [cordon]: it belongs in [domain/NAME]\n"},
        {"[entra]\nsecret = hunter2\n", "f:2:1: unknown key 'secret' in [entra]"},
        {HEAD "[okta]\nurl = https://me:hunter2@x\ntoken_file = /t\n",
         "f:5:7: url: no name or password in a URL: secrets are never values\n"},
        {HEAD "[http]\nproxy = http://me:hunter2@x:1\n",
         "f:5:9: proxy: no name or password in a proxy's URL: a file that holds them is named "
         "instead\n"},
        /* [entra] */
        {HEAD ENTRA, "f:4:1: [entra] needs one way to prove who cordon is, and has none: give one "
                     "of certificate, secret_file, managed_identity or federated_token_file\n"},
        {HEAD ENTRA "managed_identity = no\n", "f:4:1: [entra] needs one way"},
        {HEAD ENTRA "certificate = /a\nsecret_file = /b\n",
         "f:8:15: [entra] needs one way to prove who cordon is, and has several: give one of "
         "certificate, secret_file, managed_identity or federated_token_file\n"},
        {HEAD ENTRA "certificate = /a\nmanaged_identity = yes\n", "*and has several"},
        {HEAD ENTRA "secret_file = a\n", "f:7:15: secret_file: 'a' is no absolute path"},
        {HEAD ENTRA "managed_identity = maybe\n",
         "f:7:20: managed_identity: 'maybe' is none of: yes no, nor a GUID\n"},
        {HEAD "[entra]\nclient_id = " GUID "\nsecret_file = /a\n",
         "f:4:1: 'tenant' is missing in [entra]: which tenant to work in\n"},
        {HEAD "[entra]\ntenant = a.b\nsecret_file = /a\n",
         "f:4:1: 'client_id' is missing in [entra]: which application cordon is\n"},
        {HEAD "[entra]\ntenant = common\nclient_id = " GUID "\nsecret_file = /a\n",
         "f:5:10: tenant: 'common' is no tenant of its own: name yours\n"},
        {HEAD "[entra]\ntenant = Organizations\nclient_id = " GUID "\nsecret_file = /a\n",
         "*is no tenant of its own"},
        {HEAD "[entra]\ntenant = contoso\nclient_id = " GUID "\nsecret_file = /a\n",
         "f:5:10: tenant: 'contoso' is neither a GUID nor a domain name\n"},
        {HEAD "[entra]\ntenant = a.b/c\nclient_id = " GUID "\nsecret_file = /a\n", "*is neither"},
        {HEAD "[entra]\ntenant = a.b\nclient_id = x\nsecret_file = /a\n",
         "f:6:13: client_id: 'x' is no GUID like"},
        {HEAD "[entra]\ntenant = a.b\nclient_id = 1" GUID "\nsecret_file = /a\n", "*is no GUID"},
        {HEAD "[entra]\ntenant = a.b\nclient_id = 11111111-2222-3333-44444aaaaaaaaaaaa\n"
              "secret_file = /a\n",
         "*is no GUID"},
        {HEAD ENTRA "secret_file = /a\nsync = connect\n",
         "f:4:1: 'sync_server' is missing in [entra]: sync = connect needs it\n"},
        {HEAD ENTRA "secret_file = /a\nsync = entra\n", "*is none of: none cloud-sync connect"},
        {HEAD ENTRA "secret_file = /a\ncloud = de\n", "*is none of: global usgov dod china"},
        {HEAD ENTRA "secret_file = /a\ngraph_url = http://graph.microsoft.com\n",
         "f:8:13: graph_url: 'http://graph.microsoft.com': only https:// is used\n"},
        {HEAD ENTRA "secret_file = /a\ngraph_url = http://127.0.0.1\n", "*only https:// is used"},
        {HEAD ENTRA "secret_file = /a\ngraph_url = https://169.254.169.254\n", "*link-local"},
        {HEAD ENTRA "secret_file = /a\nlogin_url = https://a/\n", "*without the '/' at its end"},
        {HEAD ENTRA "secret_file = /a\nlogin_url = https://a?b\n", "*no '?' here"},
        {HEAD ENTRA "secret_file = /a\nlogin_url = \"https://a#b\"\n", "*a fragment"},
        {HEAD ENTRA "secret_file = /a\nlogin_url = login.microsoftonline.com\n",
         "*does not begin with https://"},
        {HEAD ENTRA "secret_file = /a\nimds_url = http://10.0.0.1\n",
         "*only https:// is used, but for 169.254.169.254 and loopback"},
        {HEAD ENTRA "secret_file = /a\nprotected_groups = adm-*\n", "*only groups stand here"},
        {HEAD ENTRA "secret_file = /a\nworkspace = main\n", "*is no GUID"},
        /* [okta], [http], the times */
        {HEAD OKTA, "f:4:1: [okta] needs one way to prove who cordon is, and has none"},
        {HEAD OKTA "token_file = /a\nkey_file = /b\n", "f:6:14: [okta] needs one way to prove who "
                                                       "cordon is, and has two"},
        {HEAD "[okta]\ntoken_file = /a\n", "f:4:1: 'url' is missing in [okta]"},
        {HEAD OKTA "key_file = /b\nkey_id = k\n", "f:4:1: 'client_id' is missing in [okta]"},
        {HEAD OKTA "key_file = /b\nclient_id = k\n", "f:4:1: 'key_id' is missing in [okta]"},
        {HEAD OKTA "token_file = /b\nscope = \"a  b\"\n", "*parted by single spaces"},
        {HEAD OKTA "token_file = /b\nlogin_attribute = cn\n", "*is none of: upn mail sam"},
        {HEAD "[http]\nproxy = proxy.example.com:3128\n", "*a proxy is written http://host:port"},
        {HEAD "[http]\nproxy = http://proxy.example.com\n", "*a proxy is written"},
        {HEAD "[http]\nproxy = http://[::1]\n", "*a proxy is written"},
        {HEAD "[http]\nproxy = https://proxy.example.com:1\n", "*a proxy is written"},
        {HEAD "[http]\nproxy = http://proxy.example.com:1/\n", "*a proxy is written"},
        {HEAD "[http]\nproxy = socks5://proxy.example.com:1\n", "*a proxy is written"},
        {HEAD "[http]\nno_proxy = *\n", "f:5:12: no_proxy: '*' is no host name"},
        {HEAD "[http]\nno_proxy = a, 10.0.0.0/8\n", "*'10.0.0.0/8' is no host name"},
        {HEAD "[cordon]\ncloud_after = 11m\n", "*out of range: 0s to 10m"},
        {HEAD "[cordon]\nhold_watch = 25h\n", "*out of range: 0s to 24h"},
        /* the domains and their sections */
        {"", "f:1:1: 'domains' is missing in [cordon]"},
        {"[cordon]\ndomains = a.b\n", "f:2:11: domain 'a.b' has no section [domain/a.b]\n"},
        {"[cordon]\ndomains = a.b\n[domain/a.b]\n[domain/c.d]\n",
         "f:4:1: [domain/c.d] is not used: add it to 'domains' in [cordon]\n"},
        {"[cordon]\ndomains = a.b, A.B\n[domain/a.b]\n", "*in the list twice"},
        {"[cordon]\ndomains = a.b,,c.d\n[domain/a.b]\n", "f:2:15: domains: an empty entry"},
        {"[domain/a.b]\nrealm = A\n[domain/A.B]\nrealm = B\n",
         "f:4:1: 'realm' is given twice: first in line 2\n"},
        /* dcs */
        {HEAD "dcs = 10.0.0.1\n", "f:4:7: dcs: '10.0.0.1' is an IP address: name the host, since "
                                  "Kerberos knows it by its name\n"},
        {HEAD "dcs = dc1.corp.example.com, fe80::1\n", "f:4:29: dcs: 'fe80::1' is an IP address"},
        {HEAD "dcs = dc1\n", "f:4:7: dcs: 'dc1' is not in the domain: write its full name, which "
                             "ends in .corp.example.com\n"},
        {HEAD "dcs = dc1.evilcorp.example.com\n", "*is not in the domain"},
        {HEAD "dcs = corp.example.com\n", "*is not in the domain"},
        {HEAD "dcs = dc1.corp.example.com.\n", "*is no host name"},
        {HEAD "dcs = dc1 .corp.example.com\n", "*is no host name"},
        {HEAD "dcs = -dc.corp.example.com\n", "*is no host name"},
        {HEAD "dcs = dc1.corp.example.com dc2.corp.example.com\n", "*is no host name"},
        {HEAD "dcs = dc1.corp.example.com;dc2.corp.example.com\n", "*is no host name"},
        {HEAD "dcs = a.corp.example.com, A.corp.example.com\n", "*in the list twice"},
        {HEAD "dcs = a.corp.example.com\n  keytab = /x\n", "*is no host name"},
        /* values */
        {HEAD "realm = corp.example.com\n", "*upper case"},
        {HEAD "site = a b\n", "*without spaces"},
        {HEAD "keytab = cordon.keytab\n", "f:4:10: keytab: 'cordon.keytab' is no absolute path"},
        {HEAD "keytab = FILE:/a\n", "*no absolute path"},
        {HEAD "keytab = /a/\n", "*no absolute path"},
        {HEAD "keytab = /a\n  /b\n", "f:4:10: keytab: only a list may go on in the next line\n"},
        {HEAD "keytab = /a\"b\"\n", "*quotes stand around the whole"},
        {HEAD "base = People\n", "f:4:8: base: 'People' is no DN\n"},
        {HEAD "base = OU=People\n", "*does not end in DC="},
        {HEAD "base = OU=People,DC=example,DC=com\n", "*its DC= parts do not say corp.example.com"},
        {HEAD "events = syslog\n", "f:4:10: events: 'syslog' is none of: none samba jsonl winrm\n"},
        {HEAD "transport = ldap\n", "*is none of: gssapi ldaps"},
        {HEAD "write = none\n", "*is none of: all first"},
        {HEAD "write_limit = 0\n", "*is no number from 1 to 64"},
        {HEAD "write_limit = 65\n", "*is no number from 1 to 64"},
        {HEAD "write_limit = 8x\n", "*is no number from 1 to 64"},
        {HEAD "connect_timeout = 99ms\n", "*out of range: 100ms to 1m"},
        {HEAD "connect_timeout = 61s\n", "*out of range: 100ms to 1m"},
        {HEAD "connect_timeout = soon\n", "*'soon' is no time"},
        {HEAD "connect_timeout = -1s\n", "*'-1s' is no time"},
        {HEAD "[cordon]\nlog_level = verbose\n", "*is none of: error warning info debug"},
        {HEAD "[policy]\nallow_privileged = maybe\n", "*'maybe' is none of: yes no"},
        /* events_file */
        {HEAD "events = samba\n",
         "f:4:10: events = samba needs events_file: which file to follow\n"},
        {HEAD "events = jsonl\n", "*events = jsonl needs events_file"},
        {HEAD "events_file = log\n", "*'log' is no absolute path"},
        {HEAD "events_file = dc1:log\n", "*is no absolute path"},
        {HEAD "events_file = dc 1:/log\n", "*is no host name"},
        {HEAD "events_file = 10.0.0.1:/log\n", "*is an IP address"},
        {HEAD DCS "events = samba\nevents_file = /log\n",
         "f:6:15: events_file: with several DCs say which one the file is from: "
         "dc1.corp.example.com:/log\n"},
        {HEAD DCS "events = samba\nevents_file = dc3.corp.example.com:/log\n",
         "*is not one of dcs"},
        {HEAD "events = samba\nevents_file = dc.example.org:/log\n", "*is not in the domain"},
        /* lists of accounts: where a comment could swallow an entry */
        {HEAD "[policy]\nnever_disable = alice ; bob\n",
         "f:5:1: never_disable: a ';' behind a space begins a comment"},
        {HEAD "[policy]\nnever_disable = alice\n  ; bob\n", "*begins a comment"},
        {HEAD "[policy]\nnever_disable = CN=Team #1,DC=x\n", "*does not end in DC="},
        {HEAD "[policy]\nnever_disable = CN=Doe, Jane,OU=x,DC=y\n",
         "f:5:17: never_disable: 'CN=Doe' is no whole DN"},
        {HEAD "[policy]\nnever_disable = a,\n  CN=x\n", "f:5:17: never_disable: 'CN=x' is no"},
        {HEAD "[policy]\nprivileged_groups = ou:DC=x\n", "*only groups stand here"},
        {HEAD "[policy]\nprivileged_groups = adm-*\n", "*only groups stand here"},
        {HEAD "[policy]\nprivileged_groups = group:a, a\n", "*in the list twice"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct text out = TEXT_INIT(65536);
        struct cfg *c = NULL;
        struct err e = ERR_NONE;
        const char *want = rows[i].want;
        bool same;

        if (cfg_load_bytes("f", rows[i].s, strlen(rows[i].s), &c, &out, &e) == 0)
            fail_msg("#%zu '%s': accepted", i, rows[i].s);
        assert_null(c);
        assert_int_equal(e.code, ERR_CONFIG);
        assert_int_equal(strncmp(out.s, e.msg, strlen(e.msg)), 0);
        assert_null(strstr(out.s, "hunter2")); /* S2 */
        same = want[0] == '*' ? strstr(out.s, want + 1) != NULL
                              : strncmp(out.s, want, strlen(want)) == 0;
        /* One mistake, one line. */
        if (!same || (strncmp(rows[i].s, HEAD, strlen(HEAD)) == 0 &&
                      strchr(out.s, '\n') != out.s + out.len - 1))
            fail_msg("#%zu '%s':\ngot  %s\nwant %s", i, rows[i].s, out.s, want);
        text_done(&out);
    }
}

static void all_errors(void **state)
{
    static const char s[] = "[cordon]\ndomains = corp.example.com\nwindow = 0\nwindwo = 1\n"
                            "[domain/corp.example.com]\ndcs = dc1\nwait = 1s\n";
    struct text out = TEXT_INIT(65536);
    struct cfg *c = NULL;
    struct err e;

    (void)state;
    assert_int_equal(cfg_load_bytes("f", s, strlen(s), &c, &out, &e), -1);
    assert_string_equal(out.s,
                        "f:3:10: window: '0' is no number from 1 to 512\n"
                        "f:4:1: unknown key 'windwo' in [cordon]: did you mean 'window'?\n"
                        "f:7:1: unknown key 'wait' in [domain/NAME]: it belongs in [cordon]\n"
                        "f:6:7: dcs: 'dc1' is not in the domain: write its full name, which ends "
                        "in .corp.example.com\n");
    assert_string_equal(e.msg, "f:3:10: window: '0' is no number from 1 to 512");
    text_done(&out);
}

/* --- files ------------------------------------------------------------------------------ */

static char folder[64];

static const char *at(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *p = path[next++ % 4];

    (void)snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
    return p;
}

static void put(const char *name, const char *s)
{
    struct err e;

    assert_int_equal(file_write_atomic(at(name), s, strlen(s), &e), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/cordon-config.XXXXXX");
    return mkdtemp(folder) != NULL && mkdir(at("conf.d"), 0755) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    static const char *const names[] = {
        "c", "k", "conf.d/10.conf", "conf.d/9.conf", "conf.d/a.bak", "conf.d/.x.conf", "conf.d"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        (void)remove(at(names[i]));
    return rmdir(folder);
}

static void drop_ins(void **state)
{
    CLEANUP(cfg_freep) struct cfg *c = NULL;
    struct text t = TEXT_INIT(65536);
    char want[128];
    struct err e = ERR_NONE;

    (void)state;
    put("c", HEAD "write_limit = 2\nconnect_timeout = 1s\n");
    put("conf.d/10.conf", "[domain/Corp.example.com]\nwrite_limit = 3\n[cordon]\nwindow = 5\n");
    put("conf.d/9.conf", "[domain/corp.example.com]\nwrite_limit = 4\n");
    put("conf.d/a.bak", "nonsense");
    put("conf.d/.x.conf", "nonsense");
    assert_int_equal(cfg_load(at("c"), &c, &t, &e), 0);
    assert_int_equal(c->domains[0].write_limit, 4); /* "10" < "9" */
    assert_int_equal(c->domains[0].connect_timeout_ms, 1000);
    assert_int_equal(c->window, 5);

    assert_int_equal(cfg_show(c, false, &t, &e), 0);
    (void)snprintf(want, sizeof(want), "write_limit = 4  # %s:2\n", at("conf.d/9.conf"));
    assert_non_null(strstr(t.s, want));
    (void)snprintf(want, sizeof(want), "window = 5  # %s:4\n", at("conf.d/10.conf"));
    assert_non_null(strstr(t.s, want));
    assert_non_null(strstr(t.s, "wait = 15s  # default\n"));
    text_done(&t);
}

/* F1, F2, F3: nothing of it is used */
static void untrusted(void **state)
{
    struct cfg *c = NULL;
    struct text t = TEXT_INIT(65536);
    struct err e = ERR_NONE;

    (void)state;
    assert_int_equal(cfg_load(at("c"), &c, &t, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    put("c", HEAD);
    assert_int_equal(chmod(at("c"), 0644), 0);
    assert_int_equal(cfg_load(at("c"), &c, &t, &e), -1);
    assert_non_null(strstr(e.msg, "chmod 600"));
    assert_int_equal(chmod(at("c"), 0600), 0);

    put("conf.d/10.conf", "[policy]\nallow_privileged = no\n");
    assert_int_equal(chmod(at("conf.d/10.conf"), 0644), 0);
    assert_int_equal(cfg_load(at("c"), &c, &t, &e), -1);
    assert_non_null(strstr(e.msg, "10.conf"));
    assert_int_equal(chmod(at("conf.d/10.conf"), 0600), 0);
    put("conf.d/9.conf", "nonsense");
    assert_int_equal(cfg_load(at("c"), &c, &t, &e), -1);
    assert_non_null(strstr(e.msg, "9.conf:1:1"));
    assert_int_equal(unlink(at("conf.d/9.conf")), 0);
    assert_int_equal(unlink(at("conf.d/10.conf")), 0);

    /* A folder into which others may put files is refused even while it is empty. */
    assert_int_equal(chmod(at("conf.d"), 0777), 0);
    assert_int_equal(cfg_load(at("c"), &c, &t, &e), -1);
    assert_non_null(strstr(e.msg, "conf.d"));
    assert_int_equal(chmod(at("conf.d"), 01777), 0);
    assert_int_equal(cfg_load(at("c"), &c, &t, &e), -1);
    assert_int_equal(chmod(at("conf.d"), 0755), 0);
    assert_null(c);
    assert_int_equal(cfg_load(at("c"), &c, NULL, &e), 0);
    cfg_free(c);
    text_done(&t);
}

/* "Config or keytab readable by others: refused with the chmod to type" */
static void keytabs(void **state)
{
    CLEANUP(cfg_freep) struct cfg *absent = NULL, *good = NULL;
    struct cfg *c = NULL;
    char conf[256], want[256];
    struct err e = ERR_NONE;

    (void)state;
    (void)snprintf(conf, sizeof(conf), HEAD "keytab = %s\n", at("k"));
    put("c", conf);
    assert_int_equal(cfg_load(at("c"), &absent, NULL, &e), 0);
    put("k", "key");
    assert_int_equal(cfg_load(at("c"), &good, NULL, &e), 0);
    assert_int_equal(chmod(at("k"), 0640), 0);
    assert_int_equal(cfg_load(at("c"), &c, NULL, &e), -1);
    (void)snprintf(want, sizeof(want),
                   "%s:4:10: keytab: '%s' is open to others (mode 0640): type  "
                   "chmod 600 '%s'",
                   at("c"), at("k"), at("k"));
    assert_string_equal(e.msg, want);
}

/* The same for what cordon proves itself with in the cloud. */
static void web_files(void **state)
{
    static const struct {
        const char *conf, *want;
        mode_t mode;
    } rows[] = {
        {HEAD ENTRA "certificate = %s\n", "certificate: '%s' is open to others (mode 0640)", 0640},
        {HEAD ENTRA "secret_file = %s\n", "secret_file: '%s' is open to others (mode 0604)", 0604},
        {HEAD ENTRA "federated_token_file = %s\n", "federated_token_file: '%s' is open", 0640},
        {HEAD OKTA "token_file = %s\n", "token_file: '%s' is open to others", 0640},
        {HEAD OKTA "key_file = %s\nclient_id = a\nkey_id = b\n", "key_file: '%s' is open", 0640},
        {HEAD "[http]\nproxy_login_file = %s\n", "proxy_login_file: '%s' is open", 0640},
        {HEAD "[http]\nca_file = %s\n", "ca_file: '%s' may be changed by others", 0664},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(cfg_freep) struct cfg *good = NULL, *absent = NULL;
        struct cfg *c = NULL;
        struct text conf = TEXT_INIT(4096), want = TEXT_INIT(4096);
        const char *split = strstr(rows[i].conf, "%s"), *name = strstr(rows[i].want, "%s");
        struct err e = ERR_NONE;

        text_addf(&conf, "%.*s%s%s", (int)(split - rows[i].conf), rows[i].conf, at("k"), split + 2);
        text_addf(&want, "%.*s%s%s", (int)(name - rows[i].want), rows[i].want, at("k"), name + 2);
        put("c", conf.s);
        (void)remove(at("k"));
        assert_int_equal(cfg_load(at("c"), &absent, NULL, &e), 0);
        put("k", "secret");
        assert_int_equal(cfg_load(at("c"), &good, NULL, &e), 0);
        assert_int_equal(chmod(at("k"), rows[i].mode), 0);
        assert_int_equal(cfg_load(at("c"), &c, NULL, &e), -1);
        if (strstr(e.msg, want.s) == NULL)
            fail_msg("#%zu: got %s, want %s", i, e.msg, want.s);
        text_done(&conf);
        text_done(&want);
    }
}

/* --- what is made from the table --------------------------------------------------------- */

/* Each setting has all that the man page promises, and a default that its own range accepts. */
static void table(void **state)
{
    (void)state;
    for (size_t i = 0; i < cfg_key_count; i++) {
        const struct cfg_key *k = &cfg_keys[i];

        assert_ptr_equal(cfg_key_find(k->section, k->name), k); /* no two alike */
        assert_non_null(cfg_section_find(k->section));
        assert_non_null(k->help);
        assert_non_null(k->typical);
        if (k->type == CFG_LATER)
            continue;
        assert_non_null(k->harm);
        if ((k->def != NULL) == (k->def_says != NULL))
            fail_msg("%s: either a default or what happens without", k->name);
    }
}

/* What the service keeps access to. Whatever [service] names by a path it makes itself: a row that
 * does not say so (.use) would not be writable from inside the sandbox. */
struct seen_path {
    unsigned n, missing;
};

static int on_path(void *arg, const char *setting, const char *path, enum cfg_use use,
                   struct err *e)
{
    static const struct {
        const char *setting, *path;
        enum cfg_use use;
    } rows[] = {
        {"[domain/x.y] keytab", "/k", CFG_USE_READ},
        {"[domain/x.y] events_file", "/log/a", CFG_USE_READ},
        {"[domain/x.y] events_file", "/log/b", CFG_USE_READ},
        {"[signer/s] key", "/s.pub", CFG_USE_READ},
        {"[queue] directory", "/spool", CFG_USE_FOLDER},
        {"[queue] result_directory", "/results", CFG_USE_FOLDER},
        {"[service] socket", "/run/s", CFG_USE_BESIDE},
    };
    struct seen_path *s = arg;

    (void)e;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].setting, setting) == 0 && strcmp(rows[i].path, path) == 0 &&
            rows[i].use == use) {
            s->n++;
            return 0;
        }
    }
    print_error("%s %s %d\n", setting, path, (int)use);
    s->missing++;
    return 0;
}

static void paths(void **state)
{
    static const char text[] =
        "[cordon]\ndomains = x.y\n[domain/x.y]\nkeytab = /k\nevents = samba\n"
        "dcs = dc1.x.y\nevents_file = /log/a, dc1.x.y:/log/b\n"
        "[signer/s]\nkey = /s.pub\nactions = disable\n"
        "[queue]\ndirectory = /spool\nresult_directory = /results\n[service]\nsocket = /run/s\n";
    CLEANUP(cfg_freep) struct cfg *c = NULL;
    struct seen_path seen = {0, 0};
    struct err e;

    (void)state;
    if (cfg_load_bytes("f", text, strlen(text), &c, NULL, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(cfg_each_path(c, on_path, &seen, &e), 0);
    assert_int_equal(seen.n, 7);
    assert_int_equal(seen.missing, 0);
    assert_int_equal(c->service.sandbox, CFG_SANDBOX_YES);
    for (size_t i = 0; i < cfg_key_count; i++) {
        const struct cfg_key *k = &cfg_keys[i];

        if (k->type == CFG_PATH && strcmp(k->section, "service") == 0 && k->use == CFG_USE_READ)
            fail_msg("[service] %s: say what is written there (.use)", k->name);
    }
}

/* As it is, and with every line of it that shows a setting taken into use. */
static void sample(void **state)
{
    CLEANUP(cfg_freep) struct cfg *as_is = NULL, *in_use = NULL;
    struct text t = TEXT_INIT(65536), u = TEXT_INIT(65536), errors = TEXT_INIT(65536);
    struct err e;

    (void)state;
    assert_int_equal(cfg_sample(&t, &e), 0);
    if (cfg_load_bytes("f", t.s, t.len, &as_is, &errors, &e) < 0)
        fail_msg("%s", errors.s);
    for (const char *s = t.s; *s != '\0';) {
        size_t n = strcspn(s, "\n");

        assert_true(n <= 100);
        text_addn(&u, s[0] == '#' && s[1] != ' ' ? s + 1 : s,
                  (s[0] == '#' && s[1] != ' ' ? n - 1 : n) + 1);
        s += n + 1;
    }
    if (cfg_load_bytes("f", u.s, u.len, &in_use, &errors, &e) < 0)
        fail_msg("%s", errors.s);
    assert_int_equal(in_use->policy.never_disable.count, 1);
    text_done(&t);
    text_done(&u);
    text_done(&errors);
}

static void manual(void **state)
{
    struct text t = TEXT_INIT(1024 * 1024);
    struct err e;

    (void)state;
    assert_int_equal(cfg_manual(&t, &e), 0);
    for (size_t i = 0; i < cfg_key_count; i++) {
        char want[64];

        (void)snprintf(want, sizeof(want), ".B %s\n", cfg_keys[i].name);
        assert_non_null(strstr(t.s, want));
    }
    /* Every line that begins with a dot is a request that we meant. */
    for (const char *s = t.s; *s != '\0'; s += strcspn(s, "\n") + 1) {
        static const char *const requests[] = {".\\\"", ".TH ", ".SH ", ".SS ",  ".TP\n", ".B ",
                                               ".BR ",  ".I ",  ".IR ", ".br\n", ".PP\n"};
        bool known = s[0] != '.' && s[0] != '\'' && s[0] != '\n';

        for (size_t i = 0; i < ARRAY_LEN(requests); i++)
            known = known || text_starts(s, requests[i]);
        if (!known)
            fail_msg("'%.60s'", s);
    }
    assert_non_null(strstr(t.s, "CN=Doe\\e, Jane"));
    text_done(&t);
}

static void shown(void **state)
{
    CLEANUP(cfg_freep)
    struct cfg *c = load(HEAD "keytab = \"/a ;b\"\n[policy]\n"
                              "never_disable = CN=Doe\\, Jane,DC=x, alice, \"CN=A;#,DC=y\"\n"
                              "[entra]\ntenant = x.y\nmanaged_identity = yes\n");
    CLEANUP(cfg_freep) struct cfg *again = NULL;
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const struct cJSON *s, *found = NULL;
    struct text t = TEXT_INIT(65536);
    struct err e;

    (void)state;
    assert_int_equal(cfg_show(c, false, &t, &e), 0);
    assert_non_null(strstr(t.s, "[domain/corp.example.com]\n# dcs: found by DNS and site\n"
                                "realm = CORP.EXAMPLE.COM  # default\n"));
    assert_non_null(strstr(t.s, "keytab = \"/a ;b\"  # f:4\n"));
    assert_non_null(strstr(t.s, "never_disable = \"CN=Doe\\, Jane,DC=x\", alice, "
                                "\"CN=A;#,DC=y\"  # f:6\n"));
    assert_non_null(strstr(t.s, "[entra]\ntenant = x.y  # f:8\n"));
    assert_int_equal(cfg_load_bytes("g", t.s, t.len, &again, NULL, &e), 0);
    assert_int_equal(again->policy.never_disable.count, 3);
    assert_string_equal(again->domains[0].keytab, "/a ;b");
    assert_true(again->entra.on);
    assert_false(again->okta.on); /* not made to be there by being shown */

    text_clear(&t);
    assert_int_equal(cfg_show(c, true, &t, &e), 0);
    assert_int_equal(json_parse(t.s, t.len, NULL, &j, &e), 0);
    for (s = json_first(json_get(j, "settings")); s != NULL; s = json_next(s)) {
        assert_non_null(json_str(s, "section"));
        assert_non_null(json_str(s, "from"));
        if (strcmp(json_str(s, "key"), "never_disable") == 0)
            found = s;
    }
    assert_non_null(found);
    assert_string_equal(json_str(found, "from"), "f:6");
    assert_string_equal(json_value_str(json_first(json_get(found, "value"))),
                        "CN=Doe\\, Jane,DC=x");
    text_done(&t);
}

/* M2 */
static void memory(void **state)
{
    static const char s[] = HEAD DCS
        "base = OU=x,DC=corp,DC=example,DC=com\nevents = jsonl\n"
        "events_file = /a\n[policy]\nnever_disable = CN=a,DC=b, c\n" OKTA
        "token_file = /t\n[entra]\nmanaged_identity = " GUID "\n[http]\nno_proxy = a, b\n" SIGNER
        "domains = corp.example.com\naccounts = a, b\nrate = 1 per 1m\n"
        "not_before = 2026-01-01\n[queue]\nengine = azure\naccount = abc\nqueue = abc\n"
        "key_file = /k\n";

    (void)state;
    for (long n = 0; alloc_sweep(n); n++) {
        CLEANUP(cfg_freep) struct cfg *c = NULL;
        struct err e = ERR_NONE;
        int rc = cfg_load_bytes("f", s, strlen(s), &c, NULL, &e);

        if (rc != (alloc_failed ? -1 : 0) || e.code != (alloc_failed ? ERR_NOMEM : ERR_OK))
            fail_msg("allocation %ld: %d %s", n, rc, e.msg);
    }
}

/* M2: the same through files, where reading them needs memory too */
static void memory_files(void **state)
{
    (void)state;
    put("c", HEAD DCS);
    put("conf.d/10.conf", "[cordon]\nwindow = 3\n");
    for (long n = 0; alloc_sweep(n); n++) {
        CLEANUP(cfg_freep) struct cfg *c = NULL;
        struct err e = ERR_NONE;
        int rc = cfg_load(at("c"), &c, NULL, &e);

        assert_int_equal(rc, alloc_failed ? -1 : 0);
    }
}

int main(void)
{
#define FILES(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(everything),
        cmocka_unit_test(later),
        cmocka_unit_test(defender),
        cmocka_unit_test(risk),
        cmocka_unit_test(queue),
        cmocka_unit_test(queue_wrong),
        cmocka_unit_test(web_defaults),
        cmocka_unit_test(web_everything),
        cmocka_unit_test(notices),
        cmocka_unit_test(errors),
        cmocka_unit_test(all_errors),
        FILES(drop_ins),
        FILES(untrusted),
        FILES(keytabs),
        FILES(web_files),
        cmocka_unit_test(table),
        cmocka_unit_test(paths),
        cmocka_unit_test(sample),
        cmocka_unit_test(manual),
        cmocka_unit_test(shown),
        cmocka_unit_test(memory),
        FILES(memory_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
