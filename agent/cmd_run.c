/* agent/cmd_run.c -- `cordon run`: the service as a process.
 *
 *   settings -> one service at a state directory -> sandbox -> open -> loop -> close
 *                                                              ^              |
 *                                             SIGHUP, checked: +--------------+
 *
 * The sandbox comes before the first thread, since Landlock does not reach back to others; what is
 * opened after it, it lets through by the configuration.
 *
 * A configuration that is read anew takes the place of the old one by closing the service and
 * opening it again: the ledger has everything, as at any start. The old one is kept until the new
 * one has opened; where it does not, the old one is opened again.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/commands.h"
#include "agent/confine.h"
#include "agent/service/service.h"
#include "agent/verdict.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/id.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/text.h"

struct running {
    const char *command;
    struct service_settings set;
    char state[512], socket[600];
    struct cfg *cfg, *old, *next; /* in use; to go back to; to go on with */
    struct loop *loop;
    struct service *service;
    struct confine *confine;
    struct loop_watch *sigwatch;
    struct loop_timer *alive;
    int sigfd, lock_fd;
    bool checking, stopping;
    struct err failed;
};

static void on_ended(void *arg, const struct err *e);
static void on_signal(void *arg, int events);
static void reload(struct running *r);
static void on_checked(void *arg, const struct err *e);

/* --- arguments ---------------------------------------------------------------------------- */

enum { OPT_ONCE = 256, OPT_ROOT, OPT_HELP };
static const struct option long_options[] = {{"once", no_argument, NULL, OPT_ONCE},
                                             {"allow-root", no_argument, NULL, OPT_ROOT},
                                             {"help", no_argument, NULL, OPT_HELP},
                                             {NULL, 0, NULL, 0}};

/* Now, or whenever it likes. */
static bool is_root(void)
{
    uid_t real, effective, saved;

    return getresuid(&real, &effective, &saved) < 0 || real == 0 || effective == 0 || saved == 0;
}

/* 0: go on; 1: help was shown; -1: *e. */
static int parse_args(struct running *r, int argc, char **argv, struct err *e)
{
    bool root = false;
    int c;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (c == OPT_HELP) {
            cmd_help(argv[0]);
            return 1;
        }
        if (c == '?')
            return err_set(e, ERR_USAGE, 0, "'%s': no such option", argv[optind - 1]);
        r->set.once = r->set.once || c == OPT_ONCE;
        root = root || c == OPT_ROOT;
    }
    if (optind < argc)
        return err_set(e, ERR_USAGE, 0, "'%s': it takes no arguments", argv[optind]);
    if (!is_root())
        return 0;
    if (!root)
        return err_set(e, ERR_USAGE, 0, "not as root: run it as a user of its own");
    log_warning("running as root, as tests do (--allow-root): whoever takes it over has the host");
    return 0;
}

/* Two services with one ledger would go on with the same cases. */
static int lock_state(struct running *r, struct err *e)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CLEANUP(cleanup_charp) char *path = NULL;

    if (file_private_dir(r->state, e) < 0)
        return -1;
    if (asprintf(&path, "%s/service.lock", r->state) < 0) {
        path = NULL;
        return err_set(e, ERR_NOMEM, 0, "out of memory");
    }
    r->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (r->lock_fd < 0)
        return err_sys(e, ERR_CONFIG, errno, "%s", path);
    if (fcntl(r->lock_fd, F_OFD_SETLK, &lock) < 0)
        return err_set(e, ERR_CONFIG, errno, "another cordon run works in %s", r->state);
    return 0;
}

/* --- signals ---------------------------------------------------------------------------------- */

static void tell_systemd(const char *text)
{
    struct err e;

    if (notify_send(text, &e) < 0)
        log_warning("systemd is not told, going on: %s", e.msg);
}

static void on_signal(void *arg, int events)
{
    struct running *r = arg;
    struct signalfd_siginfo info;

    (void)events;
    if (read(r->sigfd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGHUP) {
        reload(r);
        return;
    }
    if (r->stopping) /* a second time: at once; the ledger is as it is */
        _exit(128 + (int)info.ssi_signo);
    r->stopping = true;
    tell_systemd("STOPPING=1");
    service_stop(r->service, false);
}

static void on_alive(void *arg)
{
    struct running *r = arg;

    tell_systemd("WATCHDOG=1");
    r->alive = loop_timer_start(r->loop, notify_watchdog_ms(), on_alive, r);
}

/* --- read anew -------------------------------------------------------------------------------- */

static void kept(struct running *r, const char *why)
{
    log_error("the configuration is not taken, the old one is kept: %s", why);
    cfg_free(r->next);
    r->next = NULL;
    tell_systemd("READY=1");
}

/* The Kerberos settings of the process were made from these at its start. */
static bool same_ground(const struct cfg *a, const struct cfg *b)
{
    if (a->domain_count != b->domain_count)
        return false;
    for (size_t i = 0; i < a->domain_count; i++) {
        const struct cfg_domain *x = &a->domains[i], *y = &b->domains[i];

        if (strcmp(x->name, y->name) != 0 || strcmp(x->realm, y->realm) != 0 ||
            x->dcs.count != y->dcs.count)
            return false;
        for (size_t k = 0; k < x->dcs.count; k++) {
            if (strcmp(x->dcs.items[k], y->dcs.items[k]) != 0)
                return false;
        }
    }
    return true;
}

/* All that it names, within reach from inside the sandbox? */
static int in_reach(const struct running *r, struct err *e)
{
    char socket[sizeof(r->socket)];
    struct confine_places p = {r->next, cmd_config_path(), r->state, socket};

    if (cmd_socket_path(r->next, socket, sizeof(socket), e) < 0)
        return -1;
    return confine_check(r->confine, &p, e);
}

static void reload(struct running *r)
{
    struct text errors = TEXT_INIT(64 * 1024);
    struct err e;

    if (r->stopping || r->checking || r->next != NULL) {
        text_done(&errors);
        return; /* the one under way was read a moment ago */
    }
    log_info("reading %s anew", cmd_config_path());
    tell_systemd("RELOADING=1");
    if (cfg_load(cmd_config_path(), &r->next, &errors, &e) < 0) {
        r->next = NULL;
        kept(r, errors.len > 0 ? errors.s : e.msg);
    } else if (!same_ground(r->cfg, r->next)) {
        kept(r, "domains, realms and dcs do not change while it runs: restart it");
    } else if (in_reach(r, &e) < 0) {
        kept(r, e.msg);
    } else if (service_check(r->service, r->next, on_checked, r, &e) < 0) {
        kept(r, e.msg);
    } else {
        r->checking = true;
    }
    text_done(&errors);
}

static void on_checked(void *arg, const struct err *e)
{
    struct running *r = arg;

    r->checking = false;
    if (e != NULL) {
        kept(r, e->msg);
        return;
    }
    if (r->stopping)
        return;
    service_note(r->service, "configuration read anew", cmd_config_path());
    service_stop(r->service, true);
}

/* --- one after the other ------------------------------------------------------------------------
 */

static void on_ended(void *arg, const struct err *e)
{
    struct running *r = arg;

    if (e != NULL)
        r->failed = *e;
    loop_watch_stop(&r->sigwatch);
    loop_timer_stop(&r->alive);
    loop_stop(r->loop);
}

static int serve_one(struct running *r, struct err *e)
{
    enum log_level level;
    int rc;

    r->set.cfg = r->cfg;
    r->set.state_dir = r->state;
    r->set.socket = r->socket;
    r->failed = ERR_NONE;
    if (r->cfg->log_level != NULL && log_level_parse(r->cfg->log_level, &level))
        log_set_level(level);
    if (cmd_socket_path(r->cfg, r->socket, sizeof(r->socket), e) < 0 || loop_new(&r->loop, e) < 0)
        return -1;
    rc = service_open(r->loop, &r->set, on_ended, r, &r->service, e);
    if (rc == 0) {
        r->sigwatch = loop_watch_start(r->loop, r->sigfd, LOOP_READ, on_signal, r);
        if (notify_watchdog_ms() > 0)
            on_alive(r);
        tell_systemd("READY=1");
        rc = loop_run(r->loop, e);
    }
    service_close(r->service);
    loop_free(r->loop);
    service_free(&r->service);
    r->loop = NULL;
    if (rc == 0 && r->failed.code != ERR_OK) {
        *e = r->failed;
        rc = -1;
    }
    return rc;
}

static int confine(struct running *r, struct err *e)
{
    struct confine_places p = {r->cfg, cmd_config_path(), r->state, r->socket};

    if (cmd_socket_path(r->cfg, r->socket, sizeof(r->socket), e) < 0 ||
        confine_enter(&p, &r->confine, e) < 0)
        return -1;
    r->set.sandbox = confine_words(r->confine);
    return 0;
}

static int serve(struct running *r, struct err *e)
{
    for (;;) {
        int rc = serve_one(r, e);

        if (rc < 0 && r->old != NULL && !r->stopping) {
            log_error("the new configuration does not work, back to the old one: %s", e->msg);
            cfg_free(r->cfg);
            r->cfg = TAKE(r->old);
            continue;
        }
        if (rc < 0 || r->next == NULL || r->stopping)
            return rc;
        cfg_free(r->old);
        r->old = TAKE(r->cfg);
        r->cfg = TAKE(r->next);
    }
}

/* Where a unit sends stderr to a file, the log belongs there. */
static bool stderr_is_journal(void)
{
    struct stat st;

    return fstat(STDERR_FILENO, &st) == 0 && S_ISSOCK(st.st_mode);
}

int cmd_run(int argc, char **argv)
{
    struct running r = {.command = argv[0], .sigfd = -1, .lock_fd = -1};
    struct err e;
    sigset_t set;
    int code = 0, rc = parse_args(&r, argc, argv, &e);

    if (rc != 0)
        return rc > 0 ? 0 : cmd_fail(argv[0], EXIT_USAGE, "%s", e.msg);
    if (getenv("NOTIFY_SOCKET") != NULL)
        log_to_journal(stderr_is_journal() ? LOG_JOURNAL : NULL);
    code = cmd_load(&r.cfg);
    if (code != 0)
        return code;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    r.sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (r.sigfd < 0)
        rc = err_sys(&e, ERR_IO, errno, "signalfd");
    if (rc == 0)
        rc = cmd_state_dir(r.state, sizeof(r.state), &e);
    if (rc == 0)
        rc = lock_state(&r, &e);
    if (rc == 0 && chdir("/") < 0)
        rc = err_sys(&e, ERR_IO, errno, "chdir");
    if (rc == 0)
        rc = confine(&r, &e);
    if (rc == 0)
        rc = serve(&r, &e);
    if (rc < 0)
        code = cmd_fail(argv[0], cmd_exit_for(&e), "%s", e.msg);
    cfg_free(r.cfg);
    cfg_free(r.old);
    cfg_free(r.next);
    confine_free(r.confine);
    cleanup_fdp(&r.sigfd);
    cleanup_fdp(&r.lock_fd);
    return code;
}
