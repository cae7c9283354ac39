/* agent/cmd_winrm.c -- WinRM by hand: for the first look at a real DC, and other WS-Man servers.
 *
 *   cordon winrm identify HOST
 *   cordon winrm pull HOST [--resource URI] [--dialect URI] [--filter TEXT] [--option N=V]
 *
 *   on_ticket       (--as-agent) the keytab's ticket is there
 *   on_identity     identify: told, and over
 *   on_subscribed   pull: and again
 *   on_pulled       each item as it comes, until --for, --count or a signal
 *   bye             the subscription is given back
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/commands.h"
#include "agent/verdict.h"
#include "agent/watch.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/stamp.h"
#include "base/text.h"
#include "base/winrm_pull.h"
#include "eventlog/event.h"
#include "ldap/cred.h"

enum { OPTIONS_MAX = 16, POLL_MS = 5000, BYE_MS = 3000 };
#define DEFAULT_FILTER                                                                             \
    "<QueryList><Query Id=\"0\"><Select Path=\"Security\">*[System[(EventID=4722 or EventID=4723 " \
    "or EventID=4724 or EventID=4725 or EventID=4726 or EventID=4738 or EventID=4740 or "          \
    "EventID=4767 or EventID=4781)]]</Select></Query></QueryList>"

struct tool {
    bool pulls, json, as_agent, anonymous, earliest, verbose;
    const char *domain;
    struct winrm_settings settings;
    bool has_tls;
    char host[256], path[256];
    const char *resource, *dialect, *filter;
    struct soap_pair options[OPTIONS_MAX];
    size_t option_count;
    uint64_t for_ms, poll_ms, count, shown, batches;
    unsigned max;
    struct loop *loop;
    struct winrm *winrm, *other;
    struct winrm_subscription sub;
    struct ad_ccache *ccache;
    struct winrm_call *call;
    struct loop_timer *timer;
    struct loop_watch *signals;
    int sigfd, exit;
    bool ending;
    struct cfg *cfg;
    const struct cfg_domain *section;
};

static void begin(struct tool *t);
static void on_identity(void *arg, const struct winrm_identity *i, const struct soap_fault *f,
                        const struct err *e);
static void on_subscribed(void *arg, const struct winrm_subscription *s, const struct soap_fault *f,
                          const struct err *e);
static void pull(struct tool *t);
static void on_pulled(void *arg, const struct winrm_pulled *p, const struct soap_fault *f,
                      const struct err *e);
static void bye(struct tool *t);

static void fail(struct tool *t, const struct soap_fault *f, const struct err *e)
{
    char number[48] = "";

    if (f != NULL && f->code != 0)
        (void)snprintf(number, sizeof(number), " (WSManFault %" PRIu32 ")", f->code);
    t->exit = cmd_fail("winrm", cmd_exit_for(e), "%s%s", e->msg, number);
    bye(t);
}

/* --- identify --------------------------------------------------------------------------------- */

static void facts_text(const struct tool *t, const struct winrm_facts *f)
{
    char at[STAMP_TEXT], shown[TEXT_SHOWN];

    (void)printf("  url          %s\n", winrm_url(t->winrm));
    if (f->offered[0] != '\0')
        (void)printf("  offered      %s\n", text_shown(shown, f->offered));
    if (f->authenticated)
        (void)printf("  login        Kerberos, %s%s, context for %" PRIu32 " s\n",
                     f->enctype[0] != '\0' ? f->enctype : "encryption type unknown",
                     f->bound ? ", bound to the TLS channel" : "", f->context_left_s);
    if (f->tls_subject[0] != '\0')
        (void)printf("  certificate  %s, until %s\n", text_shown(shown, f->tls_subject),
                     stamp_iso(at, f->tls_ends_ms));
    if (f->has_clock)
        (void)printf("  clock        %+" PRId64 " ms from ours\n", f->clock_ms);
}

static void on_identity(void *arg, const struct winrm_identity *i, const struct soap_fault *f,
                        const struct err *e)
{
    struct tool *t = arg;
    CLEANUP(text_done) struct text line = TEXT_INIT(16 * 1024);
    struct winrm_facts facts;
    struct json_out o;

    t->call = NULL;
    if (e != NULL) {
        fail(t, f, e);
        return;
    }
    winrm_facts(t->winrm, &facts);
    if (t->json) {
        json_out_init(&o, &line);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "identity");
        json_out_str(&o, "url", winrm_url(t->winrm));
        json_out_str(&o, "vendor", i->vendor);
        json_out_str(&o, "version", i->version);
        json_out_str(&o, "protocol", i->protocol);
        json_out_bool(&o, "authenticated", facts.authenticated);
        json_out_str(&o, "offered", facts.offered);
        json_out_str(&o, "enctype", facts.enctype);
        json_out_bool(&o, "bound", facts.bound);
        json_out_str(&o, "certificate", facts.tls_subject);
        json_out_end_object(&o);
        (void)puts(line.s);
    } else {
        (void)printf("%s: %s, %s\n", t->host, i->vendor[0] != '\0' ? i->vendor : "no vendor named",
                     i->version[0] != '\0' ? i->version : "no version named");
        (void)printf("  protocol     %s\n", i->protocol);
        facts_text(t, &facts);
    }
    loop_stop(t->loop);
}

/* --- pull ---------------------------------------------------------------------------------------
 */

/* An element as text, each with its namespace where that changes. */
static void write_node(struct xml_out *x, const struct xml_node *n, const char *outer)
{
    xml_out_open(x, n->name);
    if (strcmp(n->ns, outer) != 0)
        xml_out_attr(x, "xmlns", n->ns);
    for (size_t i = 0; i < n->attr_count; i++) {
        if (n->attrs[i].ns[0] == '\0')
            xml_out_attr(x, n->attrs[i].name, n->attrs[i].value);
    }
    if (n->child == NULL)
        xml_out_text(x, n->text);
    for (const struct xml_node *c = n->child; c != NULL; c = c->next)
        write_node(x, c, n->ns);
    xml_out_close(x);
}

static void on_event(void *arg, const struct evlog_event *ev)
{
    struct tool *t = arg;
    CLEANUP(text_done) struct text line = TEXT_INIT(64 * 1024);

    if (t->json)
        evlog_event_json(ev, &line);
    else
        evlog_event_human(ev, &line);
    (void)puts(line.s);
}

static void show_item(struct tool *t, const struct xml_node *n)
{
    CLEANUP(text_done) struct text xml = TEXT_INIT(512 * 1024);
    CLEANUP(text_done) struct text line = TEXT_INIT(1024 * 1024);
    struct xml_out x;
    struct json_out o;
    struct err e;

    t->shown++;
    if (!t->verbose && strcmp(n->name, "Event") == 0 && evlog_parse_node(n, on_event, t, &e) == 0)
        return;
    xml_out_init(&x, &xml);
    write_node(&x, n, "");
    if (xml_out_check(&x, "item", &e) < 0) {
        (void)fprintf(stderr, "cordon winrm: %s\n", e.msg);
        return;
    }
    if (t->json) {
        json_out_init(&o, &line);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "item");
        json_out_str(&o, "name", n->name);
        json_out_str(&o, "namespace", n->ns);
        json_out_str(&o, "xml", xml.s);
        json_out_end_object(&o);
    } else {
        text_safe(&line, xml.s);
    }
    (void)puts(line.s);
}

static void subscribe(struct tool *t)
{
    bool events = t->resource == NULL;
    struct winrm_subscribe ask = {.resource = t->resource,
                                  .dialect = t->dialect,
                                  .filter = t->filter != NULL ? t->filter
                                            : events          ? DEFAULT_FILTER
                                                              : NULL,
                                  .options = t->options,
                                  .option_count = t->option_count,
                                  .heartbeat_ms = events ? t->poll_ms : 0,
                                  .earliest = t->earliest,
                                  .operation_ms = t->poll_ms};
    struct err e;

    if (winrm_subscribe_start(t->winrm, &ask, on_subscribed, t, &t->call, &e) < 0)
        fail(t, NULL, &e);
}

static void on_subscribed(void *arg, const struct winrm_subscription *s, const struct soap_fault *f,
                          const struct err *e)
{
    struct tool *t = arg;

    t->call = NULL;
    if (e != NULL) {
        fail(t, f, e);
        return;
    }
    t->sub = *s;
    (void)fprintf(stderr, "cordon winrm: subscribed at %s, waiting for what comes\n",
                  winrm_url(t->winrm));
    pull(t);
}

static void pull(struct tool *t)
{
    struct winrm_pull ask = {.resource = t->resource,
                             .context = t->sub.context,
                             .max = t->max,
                             .operation_ms = t->poll_ms,
                             .options = t->options,
                             .option_count = t->option_count};
    struct err e;

    if (winrm_pull_start(t->winrm, &ask, on_pulled, t, &t->call, &e) < 0)
        fail(t, NULL, &e);
}

static void on_pulled(void *arg, const struct winrm_pulled *p, const struct soap_fault *f,
                      const struct err *e)
{
    struct tool *t = arg;

    t->call = NULL;
    if (f != NULL && f->kind == SOAP_TIMED_OUT) {
        pull(t);
        return;
    }
    if (e != NULL) {
        fail(t, f, e);
        return;
    }
    t->batches++;
    for (const struct xml_node *n = p->items == NULL ? NULL : p->items->child; n != NULL;
         n = n->next) {
        if (t->count == 0 || t->shown < t->count)
            show_item(t, n);
    }
    (void)fflush(stdout);
    if (p->context[0] != '\0')
        (void)snprintf(t->sub.context, sizeof(t->sub.context), "%s", p->context);
    if (p->ended || (t->count != 0 && t->shown >= t->count)) {
        bye(t);
        return;
    }
    pull(t);
}

/* --- the end ------------------------------------------------------------------------------------
 */

static void on_bye(void *arg, const struct soap_fault *f, const struct err *e)
{
    struct tool *t = arg;

    (void)f;
    t->call = NULL;
    if (e != NULL)
        (void)fprintf(stderr, "cordon winrm: unsubscribe: %s\n", e->msg);
    loop_stop(t->loop);
}

static void on_late(void *arg)
{
    struct tool *t = arg;

    t->timer = NULL;
    loop_stop(t->loop);
}

/* The Pull holds its connection: another one says good-bye. */
static void bye(struct tool *t)
{
    struct err e;

    if (t->ending)
        return;
    t->ending = true;
    loop_timer_stop(&t->timer);
    winrm_call_abandon(t->call);
    t->call = NULL;
    t->timer = loop_timer_start(t->loop, t->sub.identifier[0] != '\0' ? BYE_MS : 0, on_late, t);
    if (t->sub.identifier[0] != '\0' &&
        (winrm_new(t->loop, &t->settings, &t->other, &e) < 0 ||
         winrm_unsubscribe_start(t->other, t->resource, t->sub.identifier, on_bye, t, &t->call,
                                 &e) < 0))
        (void)fprintf(stderr, "cordon winrm: unsubscribe: %s\n", e.msg);
}

static void on_over(void *arg)
{
    struct tool *t = arg;

    t->timer = NULL;
    bye(t);
}

static void on_signal(void *arg, int events)
{
    (void)events;
    bye(arg);
}

/* --- the beginning ------------------------------------------------------------------------------
 */

static void begin(struct tool *t)
{
    struct err e;

    t->settings.ccache = ad_ccache_name(t->ccache);
    if (winrm_new(t->loop, &t->settings, &t->winrm, &e) < 0) {
        fail(t, NULL, &e);
        return;
    }
    if (t->pulls) {
        if (t->for_ms != 0)
            t->timer = loop_timer_start(t->loop, t->for_ms, on_over, t);
        subscribe(t);
    } else if (winrm_identify_start(t->winrm, t->anonymous, on_identity, t, &t->call, &e) < 0) {
        fail(t, NULL, &e);
    }
}

static void on_ticket(void *arg, const struct ad_cred *cred, const struct err *e)
{
    struct tool *t = arg;

    if (e != NULL) {
        fail(t, NULL, e);
        return;
    }
    t->ccache = ad_ccache_ref(cred->cache);
    begin(t);
}

static void on_begin(void *arg)
{
    struct tool *t = arg;
    const struct cfg_domain *d = t->section;
    struct err e;

    t->timer = NULL;
    if (!t->as_agent || t->anonymous)
        begin(t);
    else if (d == NULL || d->keytab == NULL)
        t->exit = cmd_fail("winrm", EXIT_CONFIG, "--as-agent needs a keytab in the configuration"),
        loop_stop(t->loop);
    else if (ad_cred_keytab_start(t->loop, d->keytab, d->principal, d->realm, on_ticket, t, &e) < 0)
        fail(t, NULL, &e);
}

static void from_config(struct tool *t)
{
    const struct cfg_domain *d = t->section;

    if (d == NULL)
        return;
    if (!t->has_tls)
        t->settings.tls = d->winrm == CFG_WINRM_HTTPS;
    if (t->settings.ca_file == NULL)
        t->settings.ca_file = d->ca_file;
    if (t->settings.port == 0)
        t->settings.port = d->winrm_port;
    if (t->settings.service == NULL)
        t->settings.service = watch_winrm_service(d);
    t->settings.connect_ms = d->connect_timeout_ms;
}

static int work(struct tool *t)
{
    sigset_t set;
    struct err e;
    int code;

    /* The first look at a server needs no configuration. */
    if (t->as_agent || t->domain != NULL || access(cmd_config_path(), F_OK) == 0) {
        code = cmd_load(&t->cfg);
        if (code != 0)
            return code;
        t->section = cmd_domain(t->cfg, t->domain, &e);
        if (t->section == NULL) {
            cfg_free(t->cfg);
            return cmd_fail("winrm", cmd_exit_for(&e), "%s", e.msg);
        }
        from_config(t);
    }
    if (loop_new(&t->loop, &e) < 0) {
        cfg_free(t->cfg);
        return cmd_fail("winrm", cmd_exit_for(&e), "%s", e.msg);
    }
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    t->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (t->sigfd >= 0)
        t->signals = loop_watch_start(t->loop, t->sigfd, LOOP_READ, on_signal, t);
    t->timer = loop_timer_start(t->loop, 0, on_begin, t);
    (void)loop_run(t->loop, &e);
    loop_timer_stop(&t->timer);
    loop_watch_stop(&t->signals);
    winrm_call_abandon(t->call);
    winrm_free(t->winrm);
    winrm_free(t->other);
    ad_ccache_unref(&t->ccache);
    loop_free(t->loop);
    if (t->sigfd >= 0)
        (void)close(t->sigfd);
    cfg_free(t->cfg);
    return t->exit;
}

/* HOST, HOST:PORT, or a URL. */
static int take_host(struct tool *t, const char *s)
{
    const char *rest = s;
    uint64_t port;
    char number[8];
    size_t n;

    if (text_starts(s, "https://") || text_starts(s, "http://")) {
        t->settings.tls = text_starts(s, "https://");
        t->has_tls = true;
        rest = strchr(s, '/') + 2;
    }
    n = strcspn(rest, ":/");
    if (n == 0 || n >= sizeof(t->host))
        return cmd_fail("winrm", EXIT_USAGE, "'%s' is no host", s);
    (void)snprintf(t->host, sizeof(t->host), "%.*s", (int)n, rest);
    rest += n;
    if (*rest == ':') {
        n = strcspn(++rest, "/");
        if (n >= sizeof(number))
            return cmd_fail("winrm", EXIT_USAGE, "'%s': no such port", s);
        (void)snprintf(number, sizeof(number), "%.*s", (int)n, rest);
        if (!text_to_u64(number, 1, 65535, &port))
            return cmd_fail("winrm", EXIT_USAGE, "'%s': no such port", s);
        t->settings.port = (unsigned)port;
        rest += n;
    }
    if (strlen(rest) >= sizeof(t->path))
        return cmd_fail("winrm", EXIT_USAGE, "'%s': the path is too long", s);
    (void)snprintf(t->path, sizeof(t->path), "%s", rest);
    t->settings.host = t->host;
    if (t->path[0] == '/' && t->path[1] != '\0')
        t->settings.path = t->path;
    return 0;
}

static int take_option(struct tool *t, char *s)
{
    char *eq = strchr(s, '=');

    if (eq == NULL || eq == s || t->option_count == OPTIONS_MAX)
        return cmd_fail("winrm", EXIT_USAGE, "--option: NAME=VALUE, at most %d of them",
                        OPTIONS_MAX);
    *eq = '\0';
    t->options[t->option_count++] = (struct soap_pair){s, eq + 1};
    return 0;
}

static int take_number(const char *what, const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
    if (text_to_u64(s, min, max, ret))
        return 0;
    return cmd_fail("winrm", EXIT_USAGE, "%s: a number from %" PRIu64 " to %" PRIu64, what, min,
                    max);
}

static int take_auth(struct tool *t, const char *s)
{
    static const char *const words[] = {
        [WINRM_NEGOTIATE] = "negotiate", [WINRM_KERBEROS] = "kerberos"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(s, words[i]) == 0) {
            t->settings.auth = (enum winrm_auth)i;
            return 0;
        }
    }
    if (strcmp(s, "certificate") == 0) {
        t->settings.auth = WINRM_CERTIFICATE;
        return 0;
    }
    return cmd_fail("winrm", EXIT_USAGE, "--auth: negotiate, kerberos or certificate");
}

static int take(struct tool *t, int c, char *value)
{
    uint64_t n;
    int rc = 0;

    switch (c) {
    case 'r':
        t->resource = value;
        break;
    case 'd':
        t->dialect = value;
        break;
    case 'f':
        t->filter = value;
        break;
    case 'o':
        return take_option(t, value);
    case 'p':
        rc = take_number("--port", value, 1, 65535, &n);
        t->settings.port = (unsigned)n;
        break;
    case 's':
        t->settings.tls = true;
        t->has_tls = true;
        break;
    case 'C':
        t->settings.ca_file = value;
        break;
    case 'A':
        return take_auth(t, value);
    case 'K':
        t->settings.certificate = value;
        break;
    case 'S':
        t->settings.service = value;
        break;
    case 'D':
        t->domain = value;
        break;
    case 'm':
        rc = take_number("--max", value, 1, 32000, &n);
        t->max = (unsigned)n;
        break;
    case 'n':
        rc = take_number("--count", value, 1, UINT64_MAX, &t->count);
        break;
    case 't':
        if (!text_to_duration(value, &t->for_ms) || t->for_ms == 0)
            return cmd_fail("winrm", EXIT_USAGE, "--for: a duration such as 30s");
        break;
    case 'P':
        if (!text_to_duration(value, &t->poll_ms) || t->poll_ms < 1000 || t->poll_ms > 60000)
            return cmd_fail("winrm", EXIT_USAGE, "--poll: a duration from 1s to 60s");
        break;
    case 'e':
        t->earliest = true;
        break;
    case 'x':
        t->verbose = true;
        break;
    case 'u':
        t->anonymous = true;
        break;
    case 'j':
        t->json = true;
        break;
    case 'a':
        t->as_agent = true;
        break;
    default:
        return EXIT_USAGE;
    }
    return rc;
}

int cmd_winrm(int argc, char **argv)
{
    static const struct option options[] = {{"resource", required_argument, NULL, 'r'},
                                            {"dialect", required_argument, NULL, 'd'},
                                            {"filter", required_argument, NULL, 'f'},
                                            {"option", required_argument, NULL, 'o'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"https", no_argument, NULL, 's'},
                                            {"ca-file", required_argument, NULL, 'C'},
                                            {"auth", required_argument, NULL, 'A'},
                                            {"certificate", required_argument, NULL, 'K'},
                                            {"service", required_argument, NULL, 'S'},
                                            {"domain", required_argument, NULL, 'D'},
                                            {"max", required_argument, NULL, 'm'},
                                            {"count", required_argument, NULL, 'n'},
                                            {"for", required_argument, NULL, 't'},
                                            {"poll", required_argument, NULL, 'P'},
                                            {"earliest", no_argument, NULL, 'e'},
                                            {"xml", no_argument, NULL, 'x'},
                                            {"anonymous", no_argument, NULL, 'u'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"as-agent", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'H'},
                                            {NULL, 0, NULL, 0}};
    struct tool t = {.poll_ms = POLL_MS, .sigfd = -1};
    int c, rc;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (c == 'H') {
            cmd_help("winrm");
            return 0;
        }
        if (c == '?' || c == ':')
            return cmd_fail("winrm", EXIT_USAGE, "'%s': no such option, or its argument is missing",
                            argv[optind - 1]);
        rc = take(&t, c, optarg);
        if (rc != 0)
            return rc;
    }
    if (optind + 2 != argc ||
        (strcmp(argv[optind], "identify") != 0 && strcmp(argv[optind], "pull") != 0))
        return cmd_fail("winrm", EXIT_USAGE,
                        "identify HOST, or pull HOST; see cordon winrm --help");
    t.pulls = strcmp(argv[optind], "pull") == 0;
    if (t.pulls && t.anonymous)
        return cmd_fail("winrm", EXIT_USAGE, "--anonymous is for identify");
    rc = take_host(&t, argv[optind + 1]);
    return rc != 0 ? rc : work(&t);
}
