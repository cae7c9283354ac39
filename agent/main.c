/* agent/main.c -- the start of the process, and the table of commands.
 *
 * Order: nothing of the environment reaches a library before it was weeded (checklist P1), then
 * the process is closed up (P2), then the command runs. Exit is by _exit after flushing: a job that
 * hangs in a KDC or a resolver must not keep a finished program waiting (libuv joins its pool).
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/commands.h"
#include "agent/verdict.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "config/value.h"
#include "ldap/conn.h"
#include "ldap/cred.h"

extern char **environ;

#define KDC_PROBE_MS 400

#define ACTION_ARGS "[options] ACCOUNT..."
#define ACTION_OPTIONS                                                                          \
    "  --from FILE|-      accounts from a file: one per line, or the first CSV column\n"        \
    "  --reason TEXT      why; kept in the ledger (at most 500 bytes)\n"                        \
    "  --ticket ID        the incident's number; kept in the ledger\n"                          \
    "  --dry-run          look it up, judge it, show the plan; touch nothing\n"                 \
    "  --dc HOST          write to this DC only\n"                                              \
    "  --domain NAME      which configured domain (default: the first)\n"                       \
    "  --wait TIME        how long to wait until every DC has it (default 15s)\n"               \
    "  --on-prem, --cloud only in AD, only in Entra ID (default: both, where configured)\n"     \
    "  --evidence WHERE   sentinel or hunting: is it seen where logs are collected?\n"          \
    "  --via mdi|mde      AD's part by Defender for Identity, or Live Response on a DC\n"       \
    "  --hold[=TIME]      then watch Entra for so long (default hold_watch), and put it back\n" \
    "  --idp okta         in Okta, too (contain: as [okta] contain says)\n"                     \
    "  --audit            wait for the proof of Entra's audit log, too (minutes: see --wait)\n" \
    "  --as-agent         act with the agent's keytab, not with your own ticket\n"              \
    "  --privileged       also a privileged account: only where the configuration allows it,\n" \
    "                     and never without a second person\n"                                  \
    "  --json             one JSON object a line (see cordon(1))\n"

#define DEACTIVATE                                                                                 \
    "  --deactivate       with --idp okta: deactivate, not suspend. Takes all applications away\n" \
    "                     (some then delete the user's data); enable does not undo it\n"

static const struct {
    const char *name;
    const char *text;
} helps[] = {
    {"disable",
     "Takes accounts out of play: sets ACCOUNTDISABLE at every writable DC at once by\n"
     "compare-and-swap, and proves it by the DC's own log.\n\n" DEACTIVATE ACTION_OPTIONS},
    {"enable",
     "Undo. With --case ID puts back exactly what that case changed, where it still stands as\n"
     "the case left it; without, clears ACCOUNTDISABLE.\n\n"
     "  --case ID          undo this case (it names the account)\n" ACTION_OPTIONS},
    {"expire-password",
     "The user must choose a new password at the next logon (pwdLastSet = 0). Refuses where that\n"
     "would do nothing or lock the user out.\n\n"
     "  --clear-never-expires  also clear \"password never expires\", in the same "
     "change\n"
     "  --mfa              in Entra, for users of the cloud alone: after a multi-factor "
     "sign-in\n" ACTION_OPTIONS},
    {"reset-password",
     "Sets a random password, twice. Nobody is shown it, and it is kept nowhere.\n\n"
     "  --must-change      then make the user choose a new one at the next logon\n"
     "  --clear-never-expires  goes with --must-change\n" ACTION_OPTIONS},
    {"contain", "The strongest form: disable and reset-password as one plan.\n\n"
                "  --must-change      the user must choose a new password once enabled "
                "again\n" DEACTIVATE ACTION_OPTIONS},
    {"revoke",
     "Ends the user's sessions in Entra ID: refresh tokens and browser cookies. Nothing is\n"
     "changed in AD.\n\n" ACTION_OPTIONS},
    {"mark-compromised",
     "Tells Identity Protection that the user is compromised (risk high).\n\n" ACTION_OPTIONS},
    {"dismiss-risk", "Tells Identity Protection that the user's risk is none.\n\n" ACTION_OPTIONS},
    {"show", "Everything that decides about an account. Changes nothing.\n\n"
             "  --dc HOST, --domain NAME, --as-agent, --json\n"},
    {"cases", "Lists the cases in the ledger, newest first.\n\n"
              "  --open             only those without an end\n"
              "  --limit N          at most so many (default 50; 0: all)\n  --json\n"},
    {"case", "One case with its steps and evidence.\n\n"
             "  --resume           take it up where it was, if it has no end (--as-agent as at "
             "first)\n  --json\n"},
    {"events", "The watcher's own view: security events out of files, or stdin (-).\n\n"
               "  --follow           go on as the files grow\n"
               "  --json\n"},
    {"audit", "verify: recompute the ledger's hash chain. export: all records as JSON lines.\n"
              "prune: remove the oldest finished cases; what is left still verifies.\n\n"
              "  --older-than TIME  goes with prune: 400d\n  --json\n"},
    {"config",
     "show: the settings in effect, with where each came from. check: errors with file and\n"
     "line. sample: a file to begin with. manual: cordon.conf(5).\n\n  --json\n"},
    {"risky", "Lists the risky users of Entra ID, or what was detected about one.\n\n"
              "  --level LEVEL      low, medium or high: at least that\n"
              "  --state STATE      atRisk, confirmedCompromised, remediated, dismissed ...\n"
              "  --limit N          at most so many (default 1000)\n"
              "  --detections USER  what was detected about this one\n"
              "  --since TIME       goes with --detections (default 30d)\n  --json\n"},
    {"query", "Prints a query to paste where logs are collected: the events of one account.\n\n"
              "  --xml              the filter of Event Viewer, for a DC's Security log\n"
              "  --sentinel         KQL for Log Analytics (SecurityEvent)\n"
              "  --hunting          KQL for advanced hunting (IdentityDirectoryEvents)\n"
              "  --case ID          the account and the time of this case\n"
              "  --since TIME       how far back (default 1h)\n  --domain NAME, --as-agent\n"},
    {"defender",
     "Live Response of Defender for Endpoint, the way where LDAP cannot get through.\n"
     "publish: puts the script (that of the configuration, or FILE) into the library, and\n"
     "reads its hash back. check: could it be used now, on each configured DC?\n\n"
     "  --json\n"},
    {"winrm",
     "WinRM by hand: for the first look at a DC, and for other WS-Management servers. HOST may\n"
     "also be HOST:PORT or a URL. identify: who answers, and how we are logged in. pull: "
     "subscribe,\n"
     "and print what comes (the DC's account events, where no --resource is named).\n\n"
     "  --https            TLS on 5986; else sealed HTTP on 5985\n"
     "  --port N, --ca-file FILE\n"
     "  --auth HOW         negotiate, kerberos, or certificate (with --certificate FILE)\n"
     "  --service CLASS    of the service principal: HTTP (default), WSMAN, HOST\n"
     "  --anonymous        identify without logging in\n"
     "  --resource URI, --dialect URI, --filter TEXT, --option NAME=VALUE\n"
     "  --earliest         what is in the log already, too\n"
     "  --count N, --for TIME, --max N (in one answer), --poll TIME (default 5s)\n"
     "  --xml              items as they came\n"
     "  --domain NAME, --as-agent, --json\n"},
    {"run",
     "The service: takes signed requests from the queue, carries them out as the commands do, and\n"
     "answers. SIGTERM: settles what is in flight, or parks it for the next start. SIGHUP: reads\n"
     "the configuration anew; one that will not do is refused, and the old one kept.\n\n"
     "  --once             take what is there, and end\n"
     "  --allow-root       for tests only: run as root, which it refuses otherwise\n"},
    {"key",
     "new: makes a key pair to sign requests or answers with; the private half goes into a new\n"
     "file (never over an old one), the public half and the key id are printed. show: prints\n"
     "them of a file.\n\n"
     "  --out FILE         where the private key goes (chmod 600)\n"
     "  --type TYPE        ed25519 (default) or es256\n  --json\n"},
    {"submit",
     "Signs a request for each account and puts it on the queue; or into a file.\n\n"
     "  --key FILE         the private key to sign with (cordon key new)\n"
     "  --expires TIME     how long it is good (default 10m)\n"
     "  --reason TEXT, --ticket ID, --requester NAME (default: you, on this host)\n"
     "  --domain NAME      which domain it is for (default: the first configured)\n"
     "  --on-prem, --cloud only in AD, only in Entra ID (default: both)\n"
     "  --clear-never-expires, --must-change, --mfa, --audit, --idp okta: as with the action\n"
     "  --steps            each step is told as it ends, and the answer lists them\n"
     "  --wait[=TIME]      wait for the answers, and show them (default: until it expires)\n"
     "  --out FILE|-       write it there instead of onto the queue: one a line\n"
     "  --signed FILE|-    put these, signed elsewhere by --out, onto the queue; one that would\n"
     "                     be refused is told, and then none is put\n  --json\n"},
    {"verify", "A signed request, or several, one a line: who signed it, would it be taken now, "
               "what does it\n"
               "say? Ends with 12 where one would be refused.\n\n"
               "  --key FILE         only: is it, request or answer, by this public key? No "
               "configuration is\n"
               "                     asked, and nothing else judged\n  --json\n"},
    {"status", "How the running service is: ends with 10 where it is degraded, with 15 where none "
               "runs.\n\n  --json\n"},
    {"pending", "The requests that are held, each with its id and why.\n\n  --json\n"},
    {"approve", "Lets a held request go ahead. Who approves is who the kernel says.\n\n"
                "  --why TEXT         kept in the ledger (at most 500 bytes)\n  --json\n"},
    {"decline", "Refuses a held request.\n\n"
                "  --why TEXT         needed; kept in the ledger (at most 500 bytes)\n  --json\n"},
    {"brake", "status: is it engaged (then it ends with 10), and why. release: what is automatic "
              "goes on.\n\n"
              "  --why TEXT         goes with release, and is needed; kept in the ledger\n"
              "  --json             goes with release\n"},
    {"metrics", "Prints what a monitor scrapes.\n"},
    {"log-level", "Sets it until the service ends or reads its configuration anew.\n"},
    {"doctor", "Walks through everything that must work; says what is wrong, and what mends it.\n\n"
               "  --domain NAME, --as-agent, --json\n"},
};

const struct command commands[] = {
    {"disable", cmd_action, ACTION_ARGS, "take accounts out of play, and prove it"},
    {"enable", cmd_action, "[options] ACCOUNT... | --case ID", "undo"},
    {"expire-password", cmd_action, ACTION_ARGS, "force a new password, where that means anything"},
    {"reset-password", cmd_action, ACTION_ARGS, "set a random password, twice"},
    {"contain", cmd_action, ACTION_ARGS, "disable and reset-password, as one plan"},
    {"revoke", cmd_action, ACTION_ARGS, "end the sessions in Entra ID"},
    {"mark-compromised", cmd_action, ACTION_ARGS,
     "confirm the user as compromised to Identity Protection"},
    {"dismiss-risk", cmd_action, ACTION_ARGS, "dismiss the user's risk in Identity Protection"},
    {"show", cmd_show, "[options] ACCOUNT...", "everything that decides about an account"},
    {"cases", cmd_cases, "[--open] [--limit N] [--json]", "list the cases in the ledger"},
    {"case", cmd_case, "[--resume] [--json] ID", "one case with its steps and evidence"},
    {"events", cmd_events, "[--follow] [--json] FILE... | -",
     "security events as the watcher sees them"},
    {"audit", cmd_audit, "verify | export | prune",
     "check, print or shorten the ledger's hash chain"},
    {"config", cmd_config, "show | check | sample | manual", "the settings"},
    {"risky", cmd_risky, "[options]", "who is at risk, as Identity Protection sees it"},
    {"query", cmd_query, "ACCOUNT | --case ID --xml | --sentinel | --hunting",
     "a ready query for where logs are collected"},
    {"defender", cmd_defender, "publish [FILE] | check", "Live Response, the fallback path"},
    {"winrm", cmd_winrm, "identify | pull [options] HOST", "WinRM by hand, for a first look"},
    {"run", cmd_run, "[--once] [--allow-root]", "the service: drain the queue, carry out, answer"},
    {"key", cmd_key, "new [--type TYPE] --out FILE | show FILE", "key pairs for signed requests"},
    {"submit", cmd_submit, "ACTION [options] ACCOUNT... | --signed FILE|-",
     "sign a request, and put it on the queue"},
    {"verify", cmd_verify, "[--key FILE] [--json] FILE|-", "a signed request: would it be taken?"},
    {"status", cmd_status, "[--json]", "how the running service is"},
    {"pending", cmd_pending, "[--json]", "the requests that wait for a person"},
    {"approve", cmd_decide, "[--why TEXT] ID", "let a held request go ahead"},
    {"decline", cmd_decide, "--why TEXT ID", "refuse a held request"},
    {"brake", cmd_brake, "status | release --why TEXT", "the brake on what is automatic"},
    {"metrics", cmd_metrics, "", "the service's numbers, as OpenMetrics"},
    {"log-level", cmd_log_level, "error | warning | info | debug",
     "how much the running service logs"},
    {"doctor", cmd_doctor, "[options]", "what works, what does not, and what mends it"},
};
const size_t command_count = ARRAY_LEN(commands);

/* --- process start ------------------------------------------------------------------------- */

static bool wanted_variable(const char *name, size_t n)
{
    static const char *const keep[] = {
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "TZ",
        "TERM",
        "COLUMNS",
        "NO_COLOR",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
        "CREDENTIALS_DIRECTORY",
        "STATE_DIRECTORY",
        "RUNTIME_DIRECTORY",
        /* ours */
        "CORDON_CONFIG",
        "CORDON_STATE",
        "CORDON_SOCKET",
        /* the caller's own Kerberos: the cache, and the two that say how to use it. The files that
         * they name are checked before a library sees them. */
        "KRB5CCNAME",
        "KRB5_CONFIG",
        "KRB5_CLIENT_KTNAME",
        /* Azure Arc says by these where its agent listens; loopback alone is believed. */
        "IDENTITY_ENDPOINT",
        "IMDS_ENDPOINT",
#ifdef CORDON_FAILPOINTS
        "CORDON_FAILPOINT",
#endif
    };

    if (n > 3 && strncmp(name, "LC_", 3) == 0)
        return true;
#ifdef __SANITIZE_ADDRESS__
    if (n > 5 && (strncmp(name, "ASAN_", 5) == 0 || strncmp(name, "LSAN_", 5) == 0))
        return true;
#endif
    for (size_t i = 0; i < ARRAY_LEN(keep); i++) {
        if (strlen(keep[i]) == n && strncmp(keep[i], name, n) == 0)
            return true;
    }
    return false;
}

/* P1: LDAPNOINIT first, then everything that is not on the list goes. */
static int weed_environment(void)
{
    static char **kept; /* for the life of the process */
    size_t n = 0, k = 0;

    while (environ != NULL && environ[n] != NULL)
        n++;
    kept = calloc(n + 1, sizeof(*kept));
    if (kept == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (wanted_variable(environ[i], strcspn(environ[i], "=")))
            kept[k++] = environ[i];
    }
    environ = kept;
    return setenv("LDAPNOINIT", "1", 1);
}

static int close_up(void)
{
    struct rlimit none = {0, 0};

    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            return -1;
    }
    (void)umask(077);
#ifndef CORDON_FAILPOINTS
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(SIGPIPE, SIG_IGN);
    /* Before the pool's first job: binds and look-ups block, one each. */
    return setenv("UV_THREADPOOL_SIZE", "12", 1);
}

/* --- shared by the commands ------------------------------------------------------------------ */

int cmd_fail(const char *command, int code, const char *fmt, ...)
{
    char line[2000];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    struct text safe = TEXT_INIT(16 * 1024);

    text_safe(&safe, line); /* it may quote what was typed (O1) */
    (void)fprintf(stderr, "cordon%s%s: %s\n", command != NULL ? " " : "",
                  command != NULL ? command : "", safe.s);
    text_done(&safe);
    return code;
}

int cmd_exit_for(const struct err *e)
{
    switch (e->code) {
    case ERR_USAGE:
        return EXIT_USAGE;
    case ERR_CONFIG:
        return EXIT_CONFIG;
    case ERR_NOTFOUND:
    case ERR_AMBIGUOUS:
        return verdict_exit(VERDICT_NOT_FOUND);
    default:
        return verdict_exit(VERDICT_FAILED);
    }
}

int cmd_file_failed(struct err *e, const char *path)
{
    if (e->code == ERR_NOTFOUND)
        e->code = ERR_USAGE;
    return strstr(e->msg, path) != NULL ? -1 : err_wrap(e, "%s", path);
}

const char *cmd_config_path(void)
{
    const char *path = getenv("CORDON_CONFIG");

    return path != NULL && path[0] != '\0' ? path : CFG_DEFAULT_PATH;
}

/* Our Kerberos settings in front of the system's, or of the file that the caller names. */
static int set_up_kerberos(const struct cfg *cfg, struct err *e)
{
    const char *base = getenv("KRB5_CONFIG"), *client = getenv("KRB5_CLIENT_KTNAME");
    struct ad_realm realms[64];
    size_t n = 0;

    for (size_t i = 0; i < cfg->domain_count && n < ARRAY_LEN(realms); i++, n++) {
        realms[n] = (struct ad_realm){.domain = cfg->domains[i].name,
                                      .realm = cfg->domains[i].realm,
                                      .hosts = (const char *const *)cfg->domains[i].dcs.items,
                                      .host_count = cfg->domains[i].dcs.count};
    }
    /* A krb5.conf can load plug-ins: only one that nobody else could have written. */
    if (base == NULL || base[0] == '\0' || strchr(base, ':') != NULL)
        base = "/etc/krb5.conf";
    else if (file_check_trusted(base, FILE_PUBLIC, e) < 0)
        return err_wrap(e, "KRB5_CONFIG");
    if (client != NULL) {
        const char *path = text_starts(client, "FILE:") ? client + 5 : client;

        if (file_check_trusted(path, FILE_PRIVATE, e) < 0)
            return err_wrap(e, "KRB5_CLIENT_KTNAME");
    }
    if (ad_cred_only_gssapi(e) < 0)
        return -1;
    return ad_cred_profile(realms, n, base, KDC_PROBE_MS, e);
}

int cmd_load(struct cfg **ret_cfg)
{
    struct text errors = TEXT_INIT(256 * 1024);
    enum log_level level;
    struct cfg *cfg = NULL;
    struct err e;

    if (cfg_load(cmd_config_path(), &cfg, &errors, &e) < 0) {
        if (errors.len > 0)
            (void)fprintf(stderr, "%s%s", errors.s, errors.s[errors.len - 1] == '\n' ? "" : "\n");
        else
            (void)fprintf(stderr, "cordon: %s\n", e.msg);
        if (e.code == ERR_NOTFOUND)
            (void)fprintf(stderr, "cordon: make one: cordon config sample > %s\n",
                          cmd_config_path());
        text_done(&errors);
        return EXIT_CONFIG;
    }
    text_done(&errors);
    if (cfg->log_level != NULL && log_level_parse(cfg->log_level, &level))
        log_set_level(level);
    if (set_up_kerberos(cfg, &e) < 0) {
        cfg_free(cfg);
        return cmd_fail(NULL, EXIT_CONFIG, "%s", e.msg);
    }
    *ret_cfg = cfg;
    return 0;
}

#define INSTALLED_STATE "/var/lib/cordon" /* the unit's StateDirectory */

/* The service's own user finds the service's ledger: sudo -u cordon cordon cases. */
static bool is_service_user(void)
{
    struct stat st;

    return geteuid() != 0 && stat(INSTALLED_STATE, &st) == 0 && st.st_uid == geteuid();
}

int cmd_state_dir(char *buf, size_t size, struct err *e)
{
    const char *dir = getenv("CORDON_STATE"), *home = getenv("HOME");
    const struct passwd *pw;
    int n;

    if (dir == NULL || dir[0] == '\0')
        dir = getenv("STATE_DIRECTORY");
    if ((dir == NULL || dir[0] == '\0') && is_service_user())
        dir = INSTALLED_STATE;
    if (dir != NULL && dir[0] != '\0') {
        n = snprintf(buf, size, "%s", dir);
    } else {
        if (home == NULL || home[0] != '/') {
            pw = getpwuid(getuid());
            home = pw != NULL ? pw->pw_dir : NULL;
        }
        if (home == NULL)
            return err_set(e, ERR_IO, 0, "no home folder for the ledger: set CORDON_STATE");
        n = snprintf(buf, size, "%s/.local/state/cordon", home);
    }
    if (n < 0 || (size_t)n >= size || buf[0] != '/')
        return err_set(e, ERR_USAGE, 0, "CORDON_STATE must be an absolute path");
    return 0;
}

#define INSTALLED "/run/cordon" /* the unit's RuntimeDirectory */

int cmd_socket_path(const struct cfg *cfg, char *buf, size_t size, struct err *e)
{
    const char *dir = getenv("RUNTIME_DIRECTORY"), *told = getenv("CORDON_SOCKET");
    char state[512];
    int n;

    if (told != NULL && told[0] == '/') {
        n = snprintf(buf, size, "%s", told);
    } else if (cfg != NULL && cfg->service.socket != NULL) {
        n = snprintf(buf, size, "%s", cfg->service.socket);
    } else if (dir != NULL && dir[0] == '/') {
        n = snprintf(buf, size, "%s/control.sock", dir);
    } else if (getenv("CORDON_STATE") == NULL && access(INSTALLED, W_OK) == 0) {
        n = snprintf(buf, size, INSTALLED "/control.sock");
    } else {
        if (cmd_state_dir(state, sizeof(state), e) < 0)
            return -1;
        n = snprintf(buf, size, "%s/control.sock", state);
    }
    if (n < 0 || (size_t)n >= size)
        return err_set(e, ERR_CONFIG, 0, "[service] socket: the path is too long");
    return 0;
}

const struct cfg_domain *cmd_domain(const struct cfg *cfg, const char *wanted, struct err *e)
{
    for (size_t i = 0; i < cfg->domain_count; i++) {
        if (wanted == NULL || text_eq_nocase(cfg->domains[i].name, wanted))
            return &cfg->domains[i];
    }
    (void)err_set(e, wanted == NULL ? ERR_CONFIG : ERR_USAGE, 0,
                  wanted == NULL ? "%s names no domain" : "no [domain/%s] in the configuration",
                  wanted == NULL ? cmd_config_path() : wanted);
    return NULL;
}

int cmd_check_dc(const char *host, const struct cfg_domain *domain, struct err *e)
{
    char name[256], suffix[300], shown[TEXT_SHOWN];

    if (strlen(host) >= sizeof(name))
        return err_set(e, ERR_USAGE, 0, "--dc: over %zu bytes", sizeof(name) - 1);
    memcpy(name, host, strlen(host) + 1);
    if (cfg_host_check(name, "--dc", e) < 0)
        return -1;
    for (size_t i = 0; i < domain->dcs.count; i++) {
        if (text_eq_nocase(domain->dcs.items[i], name))
            return 0;
    }
    (void)snprintf(suffix, sizeof(suffix), ".%s", domain->name);
    if (!text_ends_nocase(name, suffix))
        return err_set(e, ERR_USAGE, 0, "--dc: '%s' is no DC of %s: give its full name",
                       text_shown(shown, name), domain->name);
    return 0;
}

void cmd_help(const char *name)
{
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(commands[i].name, name) == 0)
            (void)printf("usage: cordon %s %s\n\n", name, commands[i].args);
    }
    for (size_t i = 0; i < ARRAY_LEN(helps); i++) {
        if (strcmp(helps[i].name, name) == 0)
            (void)fputs(helps[i].text, stdout);
    }
}

static void help(FILE *f)
{
    (void)fprintf(
        f, "cordon takes a compromised account out of play in Active Directory, and proves it.\n\n"
           "usage: cordon COMMAND ...        cordon COMMAND --help        man cordon\n\n");
    for (size_t i = 0; i < command_count; i++)
        (void)fprintf(f, "  %-16s %s\n", commands[i].name, commands[i].help);
    (void)fprintf(
        f,
        "\nexit: 0 done and proven, 10 not proven, 11 partly, 12 refused, 13 held, 14 not found,\n"
        "      15 failed, 16 unknown, 64 usage, 78 configuration\n"
        "environment: CORDON_CONFIG (default %s), CORDON_STATE\n",
        CFG_DEFAULT_PATH);
}

static int run(int argc, char **argv)
{
    unsigned best = 255;
    const char *near = NULL;

    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        if (argc > 2)
            cmd_help(argv[2]);
        else
            help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        (void)printf("cordon %s\n", CORDON_VERSION);
        return 0;
    }
    for (size_t i = 0; i < command_count; i++) {
        unsigned far;

        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc - 1, argv + 1);
        far = text_distance(commands[i].name, argv[1]);
        if (far < best) {
            best = far;
            near = commands[i].name;
        }
    }
    return cmd_fail(NULL, EXIT_USAGE, "no command '%s'%s%s%s (cordon --help)", argv[1],
                    best <= 3 ? "; did you mean '" : "", best <= 3 ? near : "",
                    best <= 3 ? "'?" : "");
}

int main(int argc, char **argv)
{
    int code;

    if (getauxval(AT_SECURE) != 0) /* P3 */
        return cmd_fail(NULL, EXIT_USAGE, "never set-uid or with file capabilities");
    if (weed_environment() < 0 || close_up() < 0)
        return cmd_fail(NULL, verdict_exit(VERDICT_FAILED), "cannot set up the process: %s",
                        strerror(errno));
    code = run(argc, argv);
    if (fflush(stdout) != 0 && code == 0)
        code = cmd_fail(NULL, verdict_exit(VERDICT_FAILED), "the answer could not be written: %s",
                        strerror(errno));
    (void)fflush(stderr);
#ifdef __SANITIZE_ADDRESS__
    return code; /* so that leaks are looked for */
#else
    _exit(code);
#endif
}
