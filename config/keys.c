/* config/keys.c -- the table; see keys.h. */
#include "config/keys.h"

#include <stddef.h>

#include "base/cleanup.h"
#include "config/config.h"

#define CORDON(field) "cordon", #field
#define DOMAIN(field) "domain", #field
#define POLICY(field) "policy", #field
#define ENTRA(field) "entra", #field
#define OKTA(field) "okta", #field
#define DEFENDER(field) "defender", #field
#define RISK(field) "risk", #field
#define HTTP(field) "http", #field
#define SIGNER(field) "signer", #field
#define QUEUE(field) "queue", #field
#define SERVICE(field) "service", #field
#define IN_CFG(field) .offset = offsetof(struct cfg, field)
#define IN_DOMAIN(field) .offset = offsetof(struct cfg_domain, field)
#define IN_POLICY(field) .offset = offsetof(struct cfg, policy.field)
#define IN_ENTRA(field) .offset = offsetof(struct cfg, entra.field)
#define IN_OKTA(field) .offset = offsetof(struct cfg, okta.field)
#define IN_DEFENDER(field) .offset = offsetof(struct cfg, defender.field)
#define IN_HTTP(field) .offset = offsetof(struct cfg, http.field)
#define IN_SIGNER(field) .offset = offsetof(struct cfg_signer, field)
#define IN_QUEUE(field) .offset = offsetof(struct cfg, queue.field)
#define IN_SERVICE(field) .offset = offsetof(struct cfg, service.field)

#define IN_RISK(field) .offset = offsetof(struct cfg, risk.field)

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

#define ACCOUNTS_RULE                                                                              \
    "Entries are accounts (name, user@domain, SID or DN), patterns (adm-*), group:NAME-or-DN "     \
    "(nested members too) and ou:DN (all below it). They are parted by commas, by ';' right "      \
    "behind an entry, or each on a line of its own that begins with a space. The commas of a DN "  \
    "belong to it: it goes on as long as attribute= follows the comma, and must end in its DC= "   \
    "parts; after a DN that is followed by another DN, use ';' or a new line. An entry may stand " \
    "in double quotes. A backslash protects the next character and stays, as in CN=Doe\\, Jane."

const struct cfg_section cfg_sections[] = {
    {.name = "cordon", .help = "The program as a whole."},
    {.name = "domain",
     .help = "One Active Directory domain: a section for each name in domains.",
     .named = "corp.example.com"},
    {.name = "policy", .help = "Whom cordon may act on without asking a person."},
    {.name = "entra",
     .help = "Microsoft Entra ID. That the section is there switches the cloud's steps on. One way "
             "to prove who cordon is must be given: certificate, secret_file, managed_identity or "
             "federated_token_file.",
     .switches = true},
    {.name = "okta",
     .help = "Okta. That the section is there switches its commands on. Either key_file or "
             "token_file must be given.",
     .switches = true},
    {.name = "http", .help = "How web services are reached."},
    {.name = "signer",
     .help = "Whoever may sign requests that come over the queue, one section each. A request is "
             "acted on only if it is signed by one of these keys and is within what its signer may "
             "do. cordon key new makes a key.",
     .named = "soar",
     .switches = true},
    {.name = "queue",
     .help = "The central queue that signed requests come from. That the section is there switches "
             "it on.",
     .switches = true},
    {.name = "defender",
     .help = "Microsoft Defender for Endpoint: Live Response on a DC, where LDAP cannot get "
             "through. Its "
             "credential is that of [entra].",
     .switches = true},
    {.name = "risk",
     .help = "What Identity Protection (Entra ID P2) finds becomes a request of the service's own. "
             "That the section is there switches it on. It needs a section [entra]. All guards, "
             "lists and brakes hold for it as for others.",
     .switches = true},
    {.name = "service", .help = "How cordon run works."},
};
const size_t cfg_section_count = ARRAY_LEN(cfg_sections);

const struct cfg_key cfg_keys[] = {
    /* --- [cordon] -------------------------------------------------------------- */
    {CORDON(domains), CFG_DOMAINS, IN_CFG(domain_names), .def_says = "must be given",
     .unit = "DNS names", .typical = "corp.example.com",
     .help = "The domains that cordon works in. Each has a section [domain/NAME].",
     .harm = "A domain left out is not served: requests for its accounts are refused."},
    {CORDON(log_level), CFG_WORD_TEXT, IN_CFG(log_level), .words = "error warning info debug",
     .def = "warning", .typical = "info for the service",
     .help = "How much is written to standard error (the journal, for the service).",
     .harm = "error hides warnings such as a DC that does not answer; debug is long."},
    {CORDON(watch_within), CFG_DURATION, IN_CFG(watch_within_ms), .max = MINUTE, .def = "2s",
     .unit = "time", .typical = "1s to 5s",
     .help = "How long to wait for the event log to be opened before the change is sent without "
             "it. The log is opened first so that no event can be missed; containment comes first "
             "all the same.",
     .harm = "Long: a dead event source delays every disable by that much. Short: changes are "
             "made that the log cannot prove."},
    {CORDON(confirm), CFG_DURATION, IN_CFG(confirm_ms), .max = 10 * MINUTE, .def = "10s",
     .unit = "time", .typical = "5s to 30s",
     .help = "How long to wait for the event that proves a change.",
     .harm = "Short: changes are called unconfirmed although the event comes a moment later."},
    {CORDON(wait), CFG_DURATION, IN_CFG(wait_ms), .max = HOUR, .def = "15s", .unit = "time",
     .typical = "15s; minutes where sites replicate slowly",
     .help = "How long to wait until every writable DC shows the change.",
     .harm = "Short: a change that is still on its way is reported as not yet everywhere."},
    {CORDON(window), CFG_COUNT, IN_CFG(window), .min = 1, .max = 512, .def = "40",
     .unit = "operations", .typical = "16 to 64",
     .help = "How many operations may be in flight on one connection to a DC.",
     .harm = "High: a DC may answer busy, or drop the connection. 1: many accounts take long."},
    {CORDON(cloud_after), CFG_DURATION, IN_CFG(cloud_after_ms), .max = 10 * MINUTE, .def = "5s",
     .unit = "time", .typical = "5s",
     .help = "The head start of the change on premises before the cloud is changed. The cloud goes "
             "ahead earlier as soon as a DC has accepted the change, and at this time whatever the "
             "DCs do.",
     .harm = "Long: while no DC answers, the account stays in play in the cloud that much longer. "
             "0: a sync that runs in between may enable the account in Entra again."},
    {CORDON(hold_watch), CFG_DURATION, IN_CFG(hold_watch_ms), .max = 24 * HOUR, .def = "45m",
     .unit = "time", .typical = "45m: more than one sync cycle of 30 minutes",
     .help = "How long an account that was disabled is watched for being enabled again: in Entra, "
             "and, by cordon run, in AD.",
     .harm = "Short: a sync that read an old state enables the account, and nobody is told."},

    /* --- [domain/NAME] ------------------------------------------------------------ */
    {DOMAIN(dcs), CFG_HOSTS, IN_DOMAIN(dcs), .def_says = "found by DNS and site",
     .unit = "host names", .typical = "dc1.corp.example.com, dc2.corp.example.com",
     .help = "The domain controllers to use, in this order. Names, not addresses: Kerberos knows "
             "a DC by its name. They end in the name of the domain.",
     .harm = "A DC left out is not written to directly; with all of those named gone, nothing "
             "can be changed although other DCs are up."},
    {DOMAIN(realm), CFG_REALM, IN_DOMAIN(realm), .def_says = "the domain's name in upper case",
     .typical = "CORP.EXAMPLE.COM", .help = "The Kerberos realm. DNS is not asked for it.",
     .harm = "Wrong: no ticket is got, and nothing works."},
    {DOMAIN(site), CFG_NAME, IN_DOMAIN(site), .def_says = "asked from a DC",
     .typical = "Default-First-Site-Name",
     .help = "The Active Directory site that this host is in, to find near DCs.",
     .harm = "Wrong: far DCs are used first."},
    {DOMAIN(keytab), CFG_PATH, IN_DOMAIN(keytab),
     .def_says = "the Kerberos ticket of whoever runs cordon", .unit = "absolute path",
     .typical = "/etc/cordon/cordon.keytab",
     .help = "The key of cordon's own account. Nobody but its owner may read the file (chmod 600).",
     .harm = "Whoever can read this file is cordon, and can disable accounts."},
    {DOMAIN(principal), CFG_NAME, IN_DOMAIN(principal), .def_says = "the first entry of the keytab",
     .typical = "cordon@CORP.EXAMPLE.COM", .help = "Which entry of the keytab to use.",
     .harm = "Not in the keytab: no ticket is got."},
    {DOMAIN(base), CFG_DN, IN_DOMAIN(base), .def_says = "the whole domain",
     .unit = "distinguishedName", .typical = "OU=People,DC=corp,DC=example,DC=com",
     .help = "Only accounts below this may be touched.",
     .harm = "Narrow: accounts outside it are not found, and stay in play."},
    {DOMAIN(events), CFG_WORD, IN_DOMAIN(events), .words = "none samba jsonl winrm", .def = "none",
     .typical = "winrm (Windows), samba (Samba)",
     .help = "Where the DCs' security events come from: winrm asks each DC, samba follows Samba's "
             "JSON audit log, jsonl follows a file of events in JSON that something else "
             "forwards, none does not look.",
     .harm = "none: a change is proven by reading it back only."},
    {DOMAIN(events_file), CFG_FILES, IN_DOMAIN(events_file),
     .def_says = "needed with events = samba and jsonl", .unit = "absolute paths",
     .typical = "dc1.corp.example.com:/var/log/samba/audit.json",
     .help = "The files to follow, parted by commas. With several DCs, each file is marked with "
             "the DC that it is from: host:/path.",
     .harm = "Whoever can write to the file can make up proofs."},
    {DOMAIN(event_host), CFG_HOST, IN_DOMAIN(event_host), .def_says = "each DC is asked",
     .unit = "host name", .typical = "wec1.corp.example.com",
     .help = "A Windows event collector: with events = winrm its ForwardedEvents log is read in "
             "place of each DC's Security log.",
     .harm = "A collector that lags, or that a DC does not forward to, leaves changes "
             "unconfirmed."},
    {DOMAIN(winrm), CFG_WORD, IN_DOMAIN(winrm), .words = "http https", .def = "http",
     .typical = "http",
     .help = "How WinRM is spoken. http: port 5985, each message sealed by Kerberos, as Windows "
             "has it by default. https: port 5986, TLS with a checked certificate and channel "
             "binding. There is nothing weaker.",
     .harm = "https fails where no HTTPS listener was made, or its certificate has run out."},
    {DOMAIN(winrm_port), CFG_COUNT, IN_DOMAIN(winrm_port), .max = 65535, .def = "0", .unit = "port",
     .typical = "0: 5985 with http, 5986 with https",
     .help = "The port of WinRM, where it is not the usual one.",
     .harm = "Wrong: no log can be read, and changes are unconfirmed."},
    {DOMAIN(winrm_auth), CFG_WORD, IN_DOMAIN(winrm_auth), .words = "negotiate kerberos certificate",
     .def = "negotiate", .typical = "negotiate",
     .help = "How cordon logs in at WinRM. negotiate and kerberos are both Kerberos and nothing "
             "else, in two wrappings. certificate: a client certificate, with winrm = https only.",
     .harm = "kerberos fails where the service offers Negotiate only; domain controllers rarely "
             "take certificates."},
    {DOMAIN(winrm_service), CFG_WORD, IN_DOMAIN(winrm_service), .words = "http wsman host",
     .def = "http", .typical = "http",
     .help = "The class of the service principal name that the ticket is for.",
     .harm = "wsman is not registered on every DC: no ticket is got. http fails where an account "
             "of a web server on the DC owns that name."},
    {DOMAIN(winrm_certificate), CFG_PATH, IN_DOMAIN(winrm_certificate),
     .def_says = "needed with winrm_auth = certificate", .unit = "absolute path",
     .typical = "/etc/cordon/winrm.pem",
     .help = "Certificate and key (PEM) for winrm_auth = certificate. Nobody but its owner may "
             "read the file (chmod 600).",
     .harm = "Whoever can read this file can log in as cordon."},
    {DOMAIN(poll), CFG_DURATION, IN_DOMAIN(poll_ms), .min = 1000, .max = 50 * SECOND, .def = "5s",
     .unit = "time", .typical = "5s",
     .help = "How long a DC may hold back its answer while it has no event (events = winrm). An "
             "event that comes is answered at once.",
     .harm = "Should a server fill its batches before it answers, this is how late events come."},
    {DOMAIN(transport), CFG_WORD, IN_DOMAIN(transport), .words = "gssapi ldaps", .def = "gssapi",
     .typical = "gssapi",
     .help = "gssapi: port 389, signed and sealed by Kerberos. ldaps: port 636, TLS with a checked "
             "certificate and channel binding, Kerberos inside. There is nothing weaker.",
     .harm = "ldaps fails when a DC's certificate has run out."},
    {DOMAIN(ca_file), CFG_PATH, IN_DOMAIN(ca_file), .def_says = "the system's authorities",
     .unit = "absolute path", .typical = "/etc/cordon/ca.pem",
     .help = "The authorities (PEM) that may vouch for a DC with transport = ldaps or winrm = "
             "https.",
     .harm = "A foreign authority in it can pose as a DC."},
    {DOMAIN(write), CFG_WORD, IN_DOMAIN(write), .words = "all first", .def = "all",
     .typical = "all",
     .help = "all: a disable is sent to every writable DC at once. first: to one, and replication "
             "carries it.",
     .harm = "first: the account can still log on at the other DCs until the change has got "
             "there."},
    {DOMAIN(write_limit), CFG_COUNT, IN_DOMAIN(write_limit), .min = 1, .max = 64, .def = "8",
     .unit = "DCs", .typical = "4 to 16",
     .help = "With write = all and no dcs: how many DCs are written to directly.",
     .harm = "Low: more DCs wait for replication."},
    {DOMAIN(hold), CFG_BOOL, IN_DOMAIN(hold), .def = "no", .typical = "no",
     .help = "Whether cordon run contains an account again that comes to life in AD within "
             "hold_watch, at most three times: by a request of its own, which guards, lists and "
             "brakes hold for. It is told in either case.",
     .harm = "no: who may enable accounts gives it back to the thief. yes: an administrator who "
             "enables it has to say so to cordon (cordon enable)."},
    {DOMAIN(connect_timeout), CFG_DURATION, IN_DOMAIN(connect_timeout_ms), .min = 100,
     .max = MINUTE, .def = "3s", .unit = "time", .typical = "2s to 5s",
     .help = "How long a DC may take to accept a connection and a bind.",
     .harm = "Long: a dead DC costs that much before the next one is tried. Short: a far DC is "
             "never reached."},
    {DOMAIN(operation_timeout), CFG_DURATION, IN_DOMAIN(operation_timeout_ms), .min = 500,
     .max = 5 * MINUTE, .def = "10s", .unit = "time", .typical = "5s to 30s",
     .help = "How long a DC may take to answer one request.",
     .harm = "Short: changes end as unknown, and are looked up, although they were made."},

    /* --- [policy] --------------------------------------------------------------------- */
    {POLICY(never_disable), CFG_ACCOUNTS, IN_POLICY(never_disable), .def_says = "nobody",
     .unit = "accounts", .typical = "group:CN=VIP,OU=Groups,DC=corp,DC=example,DC=com",
     .help = "Disabling one of these is held for a person. " ACCOUNTS_RULE,
     .harm = "An account missing here may be disabled without anybody being asked."},
    {POLICY(always_disable), CFG_ACCOUNTS, IN_POLICY(always_disable), .def_says = "everybody",
     .unit = "accounts", .typical = "ou:OU=People,DC=corp,DC=example,DC=com",
     .help = "Only these are disabled at once; all others are held for a person. The entries are "
             "written as in never_disable.",
     .harm = "Narrow: a stolen account waits for a person. Wide: see never_disable."},
    {POLICY(never_credentials), CFG_ACCOUNTS, IN_POLICY(never_credentials), .def_says = "nobody",
     .unit = "accounts", .typical = "svc-*",
     .help = "As never_disable, for what touches passwords and sessions.",
     .harm = "A service account missing here may lose its password, and its service stops."},
    {POLICY(always_credentials), CFG_ACCOUNTS, IN_POLICY(always_credentials),
     .def_says = "everybody", .unit = "accounts",
     .typical = "ou:OU=People,DC=corp,DC=example,DC=com",
     .help = "As always_disable, for what touches passwords and sessions.",
     .harm = "As always_disable."},
    {POLICY(privileged_groups), CFG_GROUPS, IN_POLICY(privileged_groups),
     .def_says = "the built-in ones", .unit = "groups", .typical = "Tier 0 Admins",
     .help = "Groups whose members, nested ones too, are privileged besides the built-in ones "
             "(Domain Admins and so on). Names, SIDs or DNs, written as in never_disable.",
     .harm = "Members of a group left out can be disabled by any request."},
    {POLICY(allow_privileged), CFG_BOOL, IN_POLICY(allow_privileged), .def = "no", .typical = "no",
     .help = "Whether --privileged may be used at all, by a person on this host.",
     .harm = "yes: an administrator on this host can lock out all the others."},
    {POLICY(brake), CFG_RATE, IN_POLICY(brake), .min = 1, .max = 1000000, .def = "20 per 10m",
     .unit = "changes per time", .typical = "20 per 10m",
     .help = "How many changes the service makes by itself in a while (7 days at most). One more, "
             "and all that is automatic is held until a person lets go: cordon brake.",
     .harm = "High: whoever can have requests signed can lock out many before it stops. Low: in an "
             "incident good requests wait for a person."},
    {POLICY(brake_ou), CFG_RATE, IN_POLICY(brake_ou), .min = 1, .max = 1000000, .def = "5 per 10m",
     .unit = "changes per time", .typical = "5 per 10m",
     .help = "As brake, for the accounts that lie in one OU (or container), without those in OUs "
             "below it.",
     .harm = "As brake. Where all people lie in one OU this is what counts, not brake."},
    {POLICY(brake_signer), CFG_RATE, IN_POLICY(brake_signer), .min = 1, .max = 1000000,
     .def = "10 per 10m", .unit = "changes per time", .typical = "10 per 10m",
     .help = "As brake, for the requests of one signer.", .harm = "As brake."},
    {POLICY(brake_percent), CFG_COUNT, IN_POLICY(brake_percent), .max = 100, .def = "2",
     .unit = "percent", .typical = "1 to 5",
     .help = "As brake, by the number of enabled users in the domain: so many of a hundred in 24 "
             "hours, but 5 changes in any case. 0: not judged.",
     .harm = "High, or 0: changes that come slowly, below brake, are not stopped."},

    /* --- [entra] ---------------------------------------------------------------------- */
    {ENTRA(tenant), CFG_TENANT, IN_ENTRA(tenant),
     .def_says = "must be given, but with managed_identity", .unit = "GUID or domain name",
     .typical = "contoso.onmicrosoft.com", .help = "The tenant.",
     .harm = "Wrong: no token is got, and nothing is done in the cloud."},
    {ENTRA(client_id), CFG_GUID, IN_ENTRA(client_id),
     .def_says = "must be given, but with managed_identity", .unit = "GUID",
     .typical = "00000000-0000-0000-0000-000000000001",
     .help = "The application (client) id of cordon's app registration.",
     .harm = "Wrong: no token is got, and nothing is done in the cloud."},
    {ENTRA(certificate), CFG_PATH, IN_ENTRA(certificate), .def_says = "not used",
     .unit = "absolute path", .typical = "/etc/cordon/entra.pem",
     .help = "The certificate of cordon's app and its private key, both PEM, in one file that "
             "nobody but its owner may read (chmod 600). The best of the four where cordon does "
             "not run in Azure.",
     .harm = "Whoever can read this file can do in the tenant what cordon can."},
    {ENTRA(secret_file), CFG_PATH, IN_ENTRA(secret_file), .def_says = "not used",
     .unit = "absolute path", .typical = "/etc/cordon/entra.secret", .instead = "certificate",
     .help = "A file that holds the client secret of cordon's app and nothing else (chmod 600).",
     .harm = "Whoever can read this file can do in the tenant what cordon can; and a secret runs "
             "out without a sign."},
    {ENTRA(managed_identity), CFG_IDENTITY, IN_ENTRA(managed_identity), .def = "no",
     .unit = "yes, no, or a GUID", .typical = "yes, on a host in Azure or with Azure Arc",
     .help = "Use the managed identity of this host, with no secret in a file: yes for the "
             "host's own, or the client id of a user-assigned one.",
     .harm = "Whoever is root on this host, or may ask its metadata service, can do what cordon "
             "can."},
    {ENTRA(federated_token_file), CFG_PATH, IN_ENTRA(federated_token_file), .def_says = "not used",
     .unit = "absolute path", .typical = "/run/cordon/token", .instead = "certificate",
     .help = "A file that holds a token of another issuer that the app trusts (workload identity "
             "federation). It is read anew for each request, since it changes.",
     .harm = "Not renewed: no token is got, and nothing is done in the cloud."},
    {ENTRA(cloud), CFG_WORD, IN_ENTRA(cloud), .words = "global usgov dod china", .def = "global",
     .typical = "global (also GCC)",
     .help = "Which of Microsoft's clouds the tenant is in. It decides the URLs below, each of "
             "which can be given all the same.",
     .harm = "Wrong: the tenant is not found."},
    {ENTRA(login_url), CFG_URL, IN_ENTRA(login_url), .def_says = "by cloud", .unit = "URL",
     .typical = "https://login.microsoftonline.com", .help = "Where tokens come from.",
     .harm = "cordon's credentials are shown to whoever answers there."},
    {ENTRA(graph_url), CFG_URL, IN_ENTRA(graph_url), .def_says = "by cloud", .unit = "URL",
     .typical = "https://graph.microsoft.com", .help = "Microsoft Graph.",
     .harm = "cordon's tokens are shown to whoever answers there."},
    {ENTRA(loganalytics_url), CFG_URL, IN_ENTRA(loganalytics_url), .def_says = "by cloud",
     .unit = "URL", .typical = "https://api.loganalytics.io", .help = "Log Analytics.",
     .harm = "As graph_url."},
    {ENTRA(imds_url), CFG_URL_LOCAL, IN_ENTRA(imds_url), .def = "http://169.254.169.254",
     .unit = "URL", .typical = "http://169.254.169.254",
     .help = "The metadata service of this host, for managed_identity. It is never asked through "
             "the proxy.",
     .harm = "Wrong: no token is got."},
    {ENTRA(sync), CFG_WORD, IN_ENTRA(sync), .words = "none cloud-sync connect", .def = "none",
     .typical = "cloud-sync where that is what carries accounts to Entra",
     .help = "How accounts of the domain get into Entra, where cordon may make that happen at "
             "once: cloud-sync (Entra Cloud Sync, on demand for one user), connect (Entra Connect, "
             "a cycle on sync_server), none (nothing is set off).",
     .harm = "none: Entra shows what happens on premises up to half an hour late. The Entra steps "
             "do not wait for it."},
    {ENTRA(sync_server), CFG_HOST, IN_ENTRA(sync_server), .def_says = "needed with sync = connect",
     .unit = "host name", .typical = "sync1.corp.example.com",
     .help = "The host that Entra Connect runs on.",
     .harm = "Wrong, or the one in staging mode: the cycle does nothing."},
    {ENTRA(sync_via), CFG_WORD, IN_ENTRA(sync_via), .words = "winrm mde", .def = "winrm",
     .typical = "winrm",
     .help = "How the cycle on sync_server is started: over WinRM, or (mde) by Live Response of "
             "Defender for Endpoint, with sync_script of [defender]; that takes minutes.",
     .harm = "mde: the case is open until the run is over."},
    {ENTRA(workspace), CFG_GUID, IN_ENTRA(workspace), .def_says = "Log Analytics is not asked",
     .unit = "GUID", .typical = "00000000-0000-0000-0000-000000000002",
     .help = "The Log Analytics workspace that holds the DCs' security events.",
     .harm = "Wrong: queries find nothing, or are refused."},
    {ENTRA(hold), CFG_BOOL, IN_ENTRA(hold), .def = "yes", .typical = "yes",
     .help = "Whether an account that comes to life again in Entra within hold_watch is disabled "
             "once more. It is told in either case.",
     .harm = "no: a sync that read an old state gives the account back to the thief. yes: an "
             "administrator who enables it there has to say so to cordon."},
    {ENTRA(protected_groups), CFG_GROUPS, IN_ENTRA(protected_groups),
     .def_says = "Entra's own roles only", .unit = "groups", .typical = "Tier 0 Cloud Admins",
     .help = "Groups in Entra, by id or name, whose members are privileged as those who hold a "
             "role are. A group with a comma, a colon or the like in its name is given by its id.",
     .harm = "Members of a group left out can be disabled by any request."},

    /* --- [okta] ----------------------------------------------------------------------- */
    {OKTA(url), CFG_URL, IN_OKTA(url), .def_says = "must be given", .unit = "URL",
     .typical = "https://example.okta.com", .help = "The Okta organisation.",
     .harm = "cordon's credentials are shown to whoever answers there."},
    {OKTA(key_file), CFG_PATH, IN_OKTA(key_file), .def_says = "not used", .unit = "absolute path",
     .typical = "/etc/cordon/okta.pem",
     .help = "The private key (PEM, RSA or EC P-256) of a service app, in a file that nobody but "
             "its owner may read (chmod 600). Better than token_file: the app has only the scopes "
             "it was given.",
     .harm = "Whoever can read this file can do in Okta what cordon can."},
    {OKTA(client_id), CFG_NAME, IN_OKTA(client_id), .def_says = "needed with key_file",
     .typical = "0oa1b2c3d4e5f6g7h8i9", .help = "The client id of the service app.",
     .harm = "Wrong: no token is got, and nothing is done in Okta."},
    {OKTA(key_id), CFG_NAME, IN_OKTA(key_id), .def_says = "needed with key_file",
     .typical = "cordon-2026", .help = "The id (kid) that the service app knows the key by.",
     .harm = "Wrong: no token is got, and nothing is done in Okta."},
    {OKTA(scope), CFG_SCOPES, IN_OKTA(scope),
     .def = "okta.users.manage okta.users.read okta.logs.read", .unit = "scopes, with spaces",
     .typical = "okta.users.manage okta.users.read okta.logs.read",
     .help = "What a token for the service app is asked for.",
     .harm = "One that the app was not given: no token is got. One left out: steps are refused."},
    {OKTA(token_file), CFG_PATH, IN_OKTA(token_file), .def_says = "not used",
     .unit = "absolute path", .typical = "/etc/cordon/okta.token", .instead = "key_file",
     .help = "A file that holds an API token and nothing else (chmod 600).",
     .harm = "Such a token can do all that the administrator who made it can, and ends with that "
             "account."},
    {OKTA(contain), CFG_BOOL, IN_OKTA(contain), .def = "no", .typical = "no; yes after a test",
     .help = "Whether cordon contain suspends the account in Okta, too, and ends its sessions.",
     .harm =
         "no: the account stays in play in Okta until a person acts. yes: see login_attribute."},
    {OKTA(login_attribute), CFG_WORD, IN_OKTA(login_attribute), .words = "upn mail sam",
     .def = "upn", .typical = "upn",
     .help = "What the login in Okta is on premises: userPrincipalName, mail or sAMAccountName.",
     .harm = "Wrong: the account is not found in Okta, or it is somebody else's."},

    /* --- [http] ----------------------------------------------------------------------- */
    {HTTP(ca_file), CFG_PATH, IN_HTTP(ca_file), .def_says = "the system's authorities",
     .unit = "absolute path", .typical = "/etc/cordon/web-ca.pem",
     .help = "The authorities (PEM) that may vouch for web services, instead of the system's.",
     .harm = "A foreign authority in it can pose as Entra and take cordon's tokens."},
    {HTTP(proxy), CFG_PROXY, IN_HTTP(proxy), .def_says = "none", .unit = "URL",
     .typical = "http://proxy.example.com:3128",
     .help = "The proxy to web services. Variables of the environment are not looked at.",
     .harm = "Down: nothing is done in the cloud."},
    {HTTP(proxy_login_file), CFG_PATH, IN_HTTP(proxy_login_file), .def_says = "no login",
     .unit = "absolute path", .typical = "/etc/cordon/proxy.login",
     .help = "A file with one line, user:password, for the proxy (chmod 600).",
     .harm = "Wrong: nothing is done in the cloud. It goes over the network in clear."},
    {HTTP(no_proxy), CFG_DIRECT, IN_HTTP(no_proxy_list), .def_says = "all go through the proxy",
     .unit = "hosts, suffixes, addresses", .typical = "login.example.com, .corp.example.com",
     .help = "Hosts that are reached without the proxy. .corp.example.com is all below it.",
     .harm = "A host that only the proxy can reach is not reached."},

    /* --- [signer/NAME] ----------------------------------------------------------------- */
    {SIGNER(key), CFG_PATH, IN_SIGNER(key), .def_says = "must be given", .unit = "absolute path",
     .typical = "/etc/cordon/soar.pub",
     .help = "The signer's public key (PEM): Ed25519, or EC on P-256. The key alone says by which "
             "algorithm its messages are checked.",
     .harm = "Whoever holds the private half can have accounts changed, within what stands below. "
             "Whoever can write to this file can be the signer."},
    {SIGNER(not_before), CFG_TIME, IN_SIGNER(not_before_ms), .def_says = "no limit", .unit = "time",
     .typical = "2026-11-01",
     .help = "From when on key is taken. Times here are a date, which is its midnight in UTC, or "
             "like 2026-11-01T08:00:00Z.",
     .harm = "Late: good requests are refused."},
    {SIGNER(not_after), CFG_TIME, IN_SIGNER(not_after_ms), .def_says = "no limit", .unit = "time",
     .typical = "2027-11-01",
     .help = "Until when key is taken. For a rotation let next_key begin before this.",
     .harm = "No limit: a key that was stolen and forgotten is good for ever. Past: all requests "
             "of this signer are refused."},
    {SIGNER(next_key), CFG_PATH, IN_SIGNER(next_key), .def_says = "none", .unit = "absolute path",
     .typical = "/etc/cordon/soar-next.pub",
     .help = "A second public key of the same signer, to go over from one to the other without a "
             "gap: both are taken, each in its time.",
     .harm = "As key."},
    {SIGNER(next_not_before), CFG_TIME, IN_SIGNER(next_before_ms), .def_says = "no limit",
     .unit = "time", .typical = "2027-10-01", .help = "From when on next_key is taken.",
     .harm = "As not_before. After not_after of key: in between, nothing is taken."},
    {SIGNER(next_not_after), CFG_TIME, IN_SIGNER(next_after_ms), .def_says = "no limit",
     .unit = "time", .typical = "2028-11-01", .help = "Until when next_key is taken.",
     .harm = "As not_after."},
    {SIGNER(actions), CFG_FLAGS, IN_SIGNER(actions),
     .words = "disable enable expire-password reset-password contain revoke mark-compromised "
              "dismiss-risk",
     .def_says = "must be given", .unit = "actions", .typical = "disable, revoke, contain",
     .help = "What this signer may ask for.",
     .harm =
         "enable and dismiss-risk give an account back: a stolen key could undo a containment."},
    {SIGNER(domains), CFG_DOMAINS, IN_SIGNER(domains), .def_says = "all in [cordon] domains",
     .unit = "DNS names", .typical = "corp.example.com",
     .help = "The domains that this signer's requests may be for.",
     .harm = "Wide: a stolen key reaches accounts that it was never meant for."},
    {SIGNER(accounts), CFG_ACCOUNTS, IN_SIGNER(accounts), .def_says = "everybody",
     .unit = "accounts", .typical = "ou:OU=People,DC=corp,DC=example,DC=com",
     .help = "Only these accounts may be named by this signer; a request for another one is "
             "refused. The entries are written as in never_disable. Guards and the lists of "
             "[policy] hold as well.",
     .harm = "Narrow: a stolen account stays in play. Wide: as domains."},
    {SIGNER(scope), CFG_WORD, IN_SIGNER(scope), .words = "both on-prem cloud", .def = "both",
     .typical = "both",
     .help = "Where this signer may act: in Active Directory (on-prem), in Entra ID (cloud), or in "
             "both. A request for more is refused.",
     .harm = "Narrow: its usual requests, which are for both, are refused."},
    {SIGNER(rate), CFG_RATE, IN_SIGNER(rate), .min = 1, .max = 1000000, .def = "1000 per 10m",
     .unit = "requests per time", .typical = "200 per 10m",
     .help = "How many requests of this signer are taken in a while. The rest waits on the queue.",
     .harm = "High: a stolen key can do much before anybody looks. Low: in an incident good "
             "requests wait."},

    /* --- [queue] ------------------------------------------------------------------------ */
    {QUEUE(engine), CFG_WORD, IN_QUEUE(engine), .words = "spool azure", .def = "spool",
     .typical = "azure",
     .help = "What the queue is kept in: spool (a directory on this host) or azure (Azure Queue "
             "Storage).",
     .harm = "Wrong: requests lie where nobody looks."},
    {QUEUE(directory), CFG_PATH, IN_QUEUE(directory), .def_says = "needed with engine = spool",
     .unit = "absolute path", .typical = "/var/lib/cordon/spool",
     .help = "The directory of the spool. It belongs to the user that runs cordon, and to nobody "
             "else (chmod 700).",
     .harm = "Whoever can write there can make requests vanish; not forge them.",
     .use = CFG_USE_FOLDER},
    {QUEUE(result_directory), CFG_PATH, IN_QUEUE(result_directory),
     .def_says = "no answers are sent", .unit = "absolute path",
     .typical = "/var/lib/cordon/results",
     .help = "A directory that answers are put into, one file each, ID.jws. It belongs to the "
             "user that runs cordon. With engine = azure it may be given besides result_queue.",
     .harm = "Not given: who asked is not told how it went.", .use = CFG_USE_FOLDER},
    {QUEUE(account), CFG_NAME, IN_QUEUE(account), .def_says = "needed with engine = azure",
     .typical = "cordonqueue", .help = "The storage account.",
     .harm = "Wrong: requests are not seen."},
    {QUEUE(url), CFG_URL_LOCAL, IN_QUEUE(url), .def_says = "by account and [entra] cloud",
     .unit = "URL", .typical = "https://cordonqueue.queue.core.windows.net",
     .help = "The queue service. Clear http is taken to this host itself only, for an emulator.",
     .harm = "cordon's credentials are shown to whoever answers there."},
    {QUEUE(queue), CFG_NAME, IN_QUEUE(queue), .def_says = "needed with engine = azure",
     .typical = "cordon-requests",
     .help = "The queue that requests come from. What is refused goes to one of this name with "
             "-poison behind it, which must be there.",
     .harm = "Wrong: requests are not seen."},
    {QUEUE(result_queue), CFG_NAME, IN_QUEUE(result_queue), .def_says = "no answers are sent",
     .typical = "cordon-results", .help = "With engine = azure: the queue that answers are put on.",
     .harm = "Not given: who asked is not told how it went."},
    {QUEUE(entra), CFG_BOOL, IN_QUEUE(entra), .def = "no", .typical = "yes",
     .help = "Log in to the storage account as [entra] says. The best of the three: nothing to "
             "keep secret but what is secret already. Needs the role Storage Queue Data "
             "Contributor on the queues.",
     .harm = "Without the role: requests are not seen."},
    {QUEUE(sas_file), CFG_PATH, IN_QUEUE(sas_file), .def_says = "not used", .unit = "absolute path",
     .typical = "/etc/cordon/queue.sas", .instead = "entra",
     .help = "A file that holds a shared access signature, sv=...&sig=..., and nothing else (chmod "
             "600).",
     .harm = "Whoever can read this file can read and remove requests; not forge them. It runs out "
             "without a sign."},
    {QUEUE(poison_sas_file), CFG_PATH, IN_QUEUE(poison_sas_file),
     .def_says = "sas_file is for it, too", .unit = "absolute path",
     .typical = "/etc/cordon/poison.sas",
     .help =
         "Beside sas_file: a signature for the queue that what is refused goes to; to add (sp=a) "
         "is enough. A signature for one queue opens no other: sas_file (sp=up, to process and "
         "update) is then for the requests alone.",
     .harm = "Wrong: what is refused stays on the queue, and comes again and again."},
    {QUEUE(result_sas_file), CFG_PATH, IN_QUEUE(result_sas_file),
     .def_says = "sas_file is for it, too", .unit = "absolute path",
     .typical = "/etc/cordon/results.sas",
     .help = "Beside sas_file: a signature for result_queue; to add (sp=a) is enough. For cordon "
             "submit --wait: to process and update (sp=up).",
     .harm = "Wrong: answers are not delivered to the queue."},
    {QUEUE(key_file), CFG_PATH, IN_QUEUE(key_file), .def_says = "not used", .unit = "absolute path",
     .typical = "/etc/cordon/queue.key", .instead = "entra",
     .help = "A file that holds the account's shared key, as the portal shows it, and nothing else "
             "(chmod 600).",
     .harm = "Whoever can read this file can do anything in the whole storage account."},
    {QUEUE(poll_min), CFG_DURATION, IN_QUEUE(poll_min_ms), .min = 100, .max = MINUTE,
     .def = "500ms", .unit = "time", .typical = "500ms to 2s",
     .help = "How often the queue is asked while requests come.",
     .harm = "Short: each question to Azure costs money. Long: an account stays in play that much "
             "longer."},
    {QUEUE(poll_max), CFG_DURATION, IN_QUEUE(poll_max_ms), .min = 100, .max = MINUTE, .def = "5s",
     .unit = "time", .typical = "2s to 10s",
     .help = "How often the queue is asked when it has been empty for long.",
     .harm = "As poll_min: this is how late the first request of an incident may be seen."},
    {QUEUE(lease), CFG_DURATION, IN_QUEUE(lease_ms), .min = 10 * SECOND, .max = 7 * (uint64_t)DAY,
     .def = "2m", .unit = "time", .typical = "1m to 10m",
     .help = "How long a request is kept from other agents while this one has it in hand. It is "
             "renewed as long as the work goes on.",
     .harm = "Short: two agents work on one request, which is safe but a waste. Long: when an "
             "agent dies, its requests wait that long."},
    {QUEUE(max_age), CFG_DURATION, IN_QUEUE(max_age_ms), .min = MINUTE, .max = 7 * (uint64_t)DAY,
     .def = "1h", .unit = "time", .typical = "15m to 24h",
     .help = "How old a request may be, and how far apart its issued and expires may lie.",
     .harm = "Long: a request that somebody held back is still good when nobody expects it. Short: "
             "after an outage good requests are refused."},
    {QUEUE(agent), CFG_NAME, IN_QUEUE(agent), .def_says = "the name of this host",
     .typical = "cordon-1", .help = "Who this agent is among several at one queue.",
     .harm = "Two with one name: each takes the other's work for its own."},
    {QUEUE(signing_key), CFG_PATH, IN_QUEUE(signing_key), .def_says = "answers are not sent",
     .unit = "absolute path", .typical = "/etc/cordon/agent.pem",
     .help = "cordon's own private key (PEM, cordon key new makes one) that answers are signed "
             "with (chmod 600). Whoever asks checks them with its public half.",
     .harm = "Whoever can read this file can make up answers: that an account is contained which "
             "is not."},

    /* --- [defender] ------------------------------------------------------------------- */
    {DEFENDER(url), CFG_URL, IN_DEFENDER(url), .def = "https://api.securitycenter.microsoft.com",
     .unit = "URL", .typical = "https://eu.api.security.microsoft.com",
     .help = "The root of Defender for Endpoint's API.",
     .harm = "Wrong: the fallback does not work."},
    {DEFENDER(login_url), CFG_URL, IN_DEFENDER(login_url), .def_says = "login_url of [entra]",
     .unit = "URL", .typical = "https://login.microsoftonline.com",
     .help = "Where its tokens come from. The credential is that of [entra].",
     .harm = "Wrong: no token is got, and the fallback does not work."},
    {DEFENDER(scope), CFG_NAME, IN_DEFENDER(scope),
     .def = "https://api.securitycenter.microsoft.com/.default", .unit = "scope",
     .typical = "https://api.securitycenter.microsoft.com/.default",
     .help = "What the token is asked for. It does not follow the host.",
     .harm = "Wrong: 401 or 403 to each call."},
    {DEFENDER(dcs), CFG_MACHINES, IN_DEFENDER(dcs), .def_says = "only those of dc_tag",
     .unit = "host names, or host=machine-id",
     .typical = "dc1.corp.example.com, dc2.corp.example.com",
     .help =
         "The DCs to reach through Live Response, in this order. With the 40 hex digits of the "
         "device id behind it (host=id) the machine is known for sure; by name, a second active "
         "record of the same name is an error.",
     .harm =
         "A machine here that is no DC would be asked to change an account; the script refuses."},
    {DEFENDER(dc_tag), CFG_LINE, IN_DEFENDER(dc_tag), .def_says = "no tag is looked for",
     .typical = "Domain Controller",
     .help = "Machines with this tag are used as well, as far as they are DCs of the domain.",
     .harm = "Whoever may set tags chooses which DC is used."},
    {DEFENDER(fallback), CFG_BOOL, IN_DEFENDER(fallback), .def = "yes", .typical = "yes",
     .help = "Whether a change that no DC takes over LDAP is made through Live Response. It takes "
             "minutes; the cloud does not wait for it. --via mde works in any case.",
     .harm = "no: with LDAP cut off, the account stays in play in Active Directory."},
    {DEFENDER(result_hosts), CFG_NAMES, IN_DEFENDER(result_hosts),
     .def_says = "only Microsoft's own (core.windows.net and the like)", .unit = "names",
     .typical = "blob.example.net",
     .help = "Hosts that the link to a result may have besides. No credential is sent there.",
     .harm = "A host here can make up what the script said; it is not believed without the log."},
    {DEFENDER(script), CFG_PATH, IN_DEFENDER(script), .def_says = "must be given",
     .unit = "absolute path", .typical = "/etc/cordon/cordon-dc.ps1",
     .help =
         "The script as you signed it and as it is in the library (cordon defender publish puts "
         "it there). Its hash is compared before each use.",
     .harm = "Another script than the one in the library: nothing is run."},
    {DEFENDER(sync_script), CFG_PATH, IN_DEFENDER(sync_script),
     .def_says = "needed with sync_via = mde", .unit = "absolute path",
     .typical = "/etc/cordon/cordon-sync.ps1",
     .help =
         "The script for the Entra Connect server, as you signed it and as it is in the library.",
     .harm = "Another script than the one in the library: no cycle is started."},
    {DEFENDER(poll), CFG_DURATION, IN_DEFENDER(poll_ms), .min = 200, .max = MINUTE, .def = "10s",
     .unit = "time", .typical = "10s",
     .help =
         "How long after its start a run is looked at first. Each further wait is longer, up to "
         "three times this.",
     .harm =
         "Short: the tenant's 100 questions a minute are used up, and cordon has to wait. Long: "
         "the end of a run is seen later."},
    {DEFENDER(run_within), CFG_DURATION, IN_DEFENDER(run_ms), .min = 5 * SECOND,
     .max = 25 * (uint64_t)MINUTE, .def = "8m", .unit = "time", .typical = "8m",
     .help = "A run that is not over by then is cancelled, and the next DC is asked if it surely "
             "never began. Two minutes later the order itself has expired.",
     .harm = "Short: a DC that only was slow is given up; two to three minutes are usual. Long: a "
             "DC that is away holds up the next one."},
    /* --- [risk] ------------------------------------------------------------------------ */
    {RISK(poll), CFG_DURATION, IN_RISK(poll_ms), .min = MINUTE, .max = DAY, .def = "2m",
     .unit = "time", .typical = "1m to 10m",
     .help = "How often Identity Protection is asked who is at risk.",
     .harm = "Short: it allows one question a second to all apps of a tenant together. Long: an "
             "account stays in play that much longer."},
    {RISK(level), CFG_WORD, IN_RISK(level), .words = "low medium high", .def = "high",
     .typical = "high", .help = "The user's risk from which on a request is made.",
     .harm = "low, medium: many are held or contained who only travel."},
    {RISK(detections), CFG_NAMES, IN_RISK(detections),
     .def_says = "any, but that an administrator confirmed it", .unit = "names",
     .typical = "leakedCredentials, anomalousToken",
     .help = "Only detections of these types (riskEventType) count; * and ? stand for more. "
             "adminConfirmedUserCompromised, which cordon's own mark-compromised makes too, "
             "counts only if it is named.",
     .harm = "A type left out, or mistyped, is not acted on."},
    {RISK(max_age), CFG_DURATION, IN_RISK(max_age_ms), .min = 10 * MINUTE,
     .max = 30 * (uint64_t)DAY, .def = "24h", .unit = "time", .typical = "1h to 7d",
     .help = "Detections that are older than this are left alone.",
     .harm = "Long: when it is switched on for the first time, all that was detected in that time "
             "is acted on. Short: what is found while cordon is down is not."},
    {RISK(on_high_risk), CFG_WORD, IN_RISK(on_high_risk), .words = "hold expire-password contain",
     .def = "hold", .typical = "hold",
     .help = "What is asked for: contain, but held for a person in any case (hold); or, where no "
             "guard, list or brake holds it, at once (expire-password, contain).",
     .harm = "contain: a detection that is wrong locks somebody out. hold: a stolen account stays "
             "in play until somebody looks."},
    {QUEUE(answer_keys), CFG_FILES, IN_QUEUE(answer_keys),
     .def_says = "the public half of signing_key", .unit = "absolute paths",
     .typical = "/etc/cordon/agent.pub",
     .help = "For cordon submit --wait: the public keys (PEM) of the agents whose answers are "
             "believed, one file each.",
     .harm = "A key too many: whoever holds its private half can make up answers. One missing: "
             "that agent's answers are not believed."},

    /* --- [service] ------------------------------------------------------------------------ */
    {SERVICE(max_in_flight), CFG_COUNT, IN_SERVICE(max_in_flight), .min = 1, .max = 1000,
     .def = "20", .unit = "requests", .typical = "10 to 50",
     .help = "How many requests are carried out at a time. No more than that are taken from the "
             "queue, the rest is left to other agents.",
     .harm = "High: DCs and Graph answer slower or say busy. Low: in an incident requests wait."},
    {SERVICE(stop_timeout), CFG_DURATION, IN_SERVICE(stop_timeout_ms), .min = SECOND,
     .max = 10 * MINUTE, .def = "20s", .unit = "time", .typical = "20s",
     .help = "How long what is in flight may take to end when the service is told to stop, or to "
             "read its configuration anew. What has not ended by then goes on with the next start.",
     .harm = "Longer than systemd waits (TimeoutStopSec): it is killed, and goes on with the next "
             "start all the same."},
    {SERVICE(sandbox), CFG_WORD, IN_SERVICE(sandbox), .words = "no yes required", .def = "yes",
     .typical = "yes; required where the kernel is known to have Landlock",
     .help = "Whether the service gives up at its start what it does not need: files that the "
             "configuration does not name (Landlock), system calls, other programs. yes: as far as "
             "the kernel can; cordon status says how far that is. required: it does not start with "
             "less. Files of a new configuration (SIGHUP) must lie in folders of the old one; else "
             "it is refused, and takes a restart.",
     .harm = "no: a hole in cordon is a hole in all that its user can do on this host. required: "
             "under a kernel before 5.19, or without Landlock, it does not start."},
    {SERVICE(hold_expires), CFG_DURATION, IN_SERVICE(hold_expires_ms), .min = 10 * SECOND,
     .max = 30 * (uint64_t)DAY, .def = "4h", .unit = "time", .typical = "1h to 24h",
     .help = "How long a held request waits for a person. Then it is refused.",
     .harm = "Short: nobody gets to see it in time. Long: somebody approves of what is not asked "
             "for any more."},
    {SERVICE(approvals), CFG_COUNT, IN_SERVICE(approvals), .min = 1, .max = 2, .def = "1",
     .unit = "people", .typical = "1",
     .help = "How many different people must approve of a held request. A privileged account "
             "always needs two.",
     .harm = "1: one person on this host can lift the lists."},
    {SERVICE(socket), CFG_PATH, IN_SERVICE(socket), .use = CFG_USE_BESIDE,
     .def_says = "control.sock, in the runtime directory", .unit = "absolute path",
     .typical = "/run/cordon/control.sock",
     .help = "The socket that cordon status, pending, approve and the like talk to the service "
             "by. Only the user that runs cordon can use it.",
     .harm = "Two services with one path: the second does not start."},
    {SERVICE(metrics_file), CFG_PATH, IN_SERVICE(metrics_file), .use = CFG_USE_BESIDE,
     .def_says = "none is written", .unit = "absolute path",
     .typical = "/var/lib/prometheus/node-exporter/cordon.prom",
     .help = "A file for node_exporter's textfile collector: what cordon metrics prints, written "
             "anew every 15 seconds.",
     .harm = "A folder that cordon cannot write to: it is said once, and nothing is written."},
};
const size_t cfg_key_count = ARRAY_LEN(cfg_keys);
