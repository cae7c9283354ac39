/* config/keys.c -- the table; see keys.h. */
#include "config/keys.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "config/config.h"

#define CORDON(field) "cordon", #field
#define DOMAIN(field) "domain", #field
#define POLICY(field) "policy", #field
#define IN_CFG(field) .offset = offsetof(struct cfg, field)
#define IN_DOMAIN(field) .offset = offsetof(struct cfg_domain, field)
#define IN_POLICY(field) .offset = offsetof(struct cfg, policy.field)

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

#define ACCOUNTS_RULE                                                                              \
    "Entries are accounts (name, user@domain, SID or DN), patterns (adm-*), group:NAME-or-DN "     \
    "(nested members too) and ou:DN (all below it). They are parted by commas, by ';' right "      \
    "behind an entry, or each on a line of its own that begins with a space. The commas of a DN "  \
    "belong to it: it goes on as long as attribute= follows the comma, and must end in its DC= "   \
    "parts; after a DN that is followed by another DN, use ';' or a new line. An entry may stand " \
    "in double quotes. A backslash protects the next character and stays, as in CN=Doe\\, Jane."

const struct cfg_section cfg_sections[] = {
    {"cordon", "The program as a whole.", false},
    {"domain", "One Active Directory domain: a section for each name in domains.", false},
    {"policy", "Whom cordon may act on without asking a person.", false},
    {"entra", "Microsoft Entra ID.", true},
    {"okta", "Okta.", true},
    {"http", "How web services are reached.", true},
    {"defender", "Microsoft Defender for Endpoint.", true},
    {"queue", "The central queue.", true},
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
    {CORDON(cloud_after), CFG_LATER, .typical = "5s",
     .help = "The head start of the change on premises before the cloud is changed."},
    {CORDON(hold_watch), CFG_LATER, .typical = "45m",
     .help = "How long an account disabled in Entra is watched for being enabled again."},

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
    {DOMAIN(transport), CFG_WORD, IN_DOMAIN(transport), .words = "gssapi ldaps", .def = "gssapi",
     .typical = "gssapi",
     .help = "gssapi: port 389, signed and sealed by Kerberos. ldaps: port 636, TLS with a checked "
             "certificate and channel binding, Kerberos inside. There is nothing weaker.",
     .harm = "ldaps fails when a DC's certificate has run out."},
    {DOMAIN(ca_file), CFG_PATH, IN_DOMAIN(ca_file), .def_says = "the system's authorities",
     .unit = "absolute path", .typical = "/etc/cordon/ca.pem",
     .help = "The authorities (PEM) that may vouch for a DC with transport = ldaps.",
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
    {POLICY(brake), CFG_LATER, .typical = "20 per 10m",
     .help = "How many automatic changes are let through in a while."},

/* --- for issues to come: known, so that a file written for them stays valid --------- */
#define LATER(section, name, like, text)                            \
    {                                                               \
        section, name, CFG_LATER, .typical = (like), .help = (text) \
    }
    LATER("entra", "tenant", "00000000-0000-0000-0000-000000000000", "The tenant."),
    LATER("entra", "client_id", "00000000-0000-0000-0000-000000000000", "cordon's application."),
    LATER("entra", "certificate", "/etc/cordon/entra.pem", "Its certificate and key."),
    LATER("entra", "secret_file", "/etc/cordon/entra.secret", "A file that holds its secret."),
    LATER("entra", "managed_identity", "no", "Use the host's managed identity."),
    LATER("entra", "federated_token_file", "/run/token", "A file that holds a federated token."),
    LATER("entra", "login_url", "https://login.microsoftonline.com", "Where tokens come from."),
    LATER("entra", "graph_url", "https://graph.microsoft.com", "Microsoft Graph."),
    LATER("entra", "loganalytics_url", "https://api.loganalytics.io", "Log Analytics."),
    LATER("entra", "imds_url", "http://169.254.169.254", "The instance's metadata service."),
    LATER("entra", "sync", "cloud-sync", "How accounts reach Entra."),
    LATER("okta", "url", "https://example.okta.com", "The Okta organisation."),
    LATER("okta", "token_file", "/etc/cordon/okta.token", "A file that holds the token."),
    LATER("okta", "key_file", "/etc/cordon/okta.pem", "A file that holds the key."),
    LATER("http", "ca_file", "/etc/cordon/ca.pem", "Authorities to trust for web services."),
    LATER("http", "proxy", "http://proxy.example.com:3128", "The proxy to use."),
    LATER("http", "no_proxy", "graph.microsoft.com", "Hosts to reach without it."),
    LATER("defender", "url", "https://api.securitycenter.microsoft.com", "The service."),
    LATER("defender", "login_url", "https://login.microsoftonline.com", "Where tokens come from."),
    LATER("defender", "scope", "https://api.securitycenter.microsoft.com/.default", "The scope."),
    LATER("defender", "dcs", "dc1.corp.example.com", "DCs to reach through Live Response."),
    LATER("defender", "fallback", "no", "Whether to use Live Response when no DC answers."),
    LATER("defender", "script", "cordon.ps1", "The script in the library."),
    LATER("queue", "engine", "spool", "What the queue is kept in."),
#undef LATER
};
const size_t cfg_key_count = ARRAY_LEN(cfg_keys);

const struct cfg_key *cfg_key_find(const char *section, const char *name)
{
    for (size_t i = 0; i < cfg_key_count; i++) {
        if (text_eq_nocase(cfg_keys[i].section, section) && text_eq_nocase(cfg_keys[i].name, name))
            return &cfg_keys[i];
    }
    return NULL;
}

const struct cfg_section *cfg_section_find(const char *name)
{
    for (size_t i = 0; i < cfg_section_count; i++) {
        if (text_eq_nocase(cfg_sections[i].name, name))
            return &cfg_sections[i];
    }
    return NULL;
}

/* Near enough to be a slip: one letter in three. */
static bool is_near(unsigned distance, const char *name)
{
    return distance <= 1 + strlen(name) / 3 && distance < strlen(name);
}

const struct cfg_key *cfg_key_near(const char *section, const char *name)
{
    const struct cfg_key *best = NULL;
    unsigned least = 255;

    for (size_t i = 0; i < cfg_key_count; i++) {
        unsigned d;

        if (!text_eq_nocase(cfg_keys[i].section, section))
            continue;
        d = text_distance(cfg_keys[i].name, name);
        if (d < least) {
            least = d;
            best = &cfg_keys[i];
        }
    }
    return is_near(least, name) ? best : NULL;
}

const struct cfg_section *cfg_section_near(const char *name)
{
    const struct cfg_section *best = NULL;
    unsigned least = 255;

    for (size_t i = 0; i < cfg_section_count; i++) {
        unsigned d = text_distance(cfg_sections[i].name, name);

        if (d < least) {
            least = d;
            best = &cfg_sections[i];
        }
    }
    return is_near(least, name) ? best : NULL;
}

int cfg_word_find(const char *words, const char *word)
{
    char one[32];

    for (unsigned i = 0; cfg_word_at(words, i, one)[0] != '\0'; i++) {
        if (text_eq_nocase(one, word))
            return (int)i;
    }
    return -1;
}

const char *cfg_word_at(const char *words, unsigned i, char buf[32])
{
    for (; i > 0 && *words != '\0'; i--) {
        words += strcspn(words, " ");
        words += strspn(words, " ");
    }
    (void)snprintf(buf, 32, "%.*s", (int)strcspn(words, " "), words);
    return buf;
}
