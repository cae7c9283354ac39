/* agent/confine.c -- see confine.h.
 *
 *   each_place   all that the service still needs, one after the other: what the configuration
 *                names, its own folders, what the libraries read. Granted at the start; of another
 *                configuration asked whether it was.
 *
 * The files of a setting are granted with their folder, so that a key, a log or resolv.conf that is
 * exchanged by rename is still to be read. /etc is granted whole, for that reason: the service is
 * not root, and sees there what everybody sees. Nothing under /tmp is: SQLite keeps its temporary
 * tables in memory (agent/ledger_db.c), tickets are in memory, and of Kerberos's replay cache only
 * the accepting side has need.
 */
#include "agent/confine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

struct confine {
    struct sandbox *sandbox;
    enum cfg_sandbox wanted;
    struct sandbox_state state;
    bool failed; /* not all of it was entered */
    char words[640];
};

typedef int (*place_fn)(struct confine *c, const char *setting, const char *path, enum cfg_use use,
                        struct err *e);

/* What libraries read by themselves: names, times, authorities, plug-ins, tickets of the machine's
 * own Kerberos, how many processors there are. What is not there is passed over. Of other processes
 * /proc shows what it shows to everybody (whose login a caller's is); Landlock itself keeps us from
 * their memory, environment and files. */
static const char *const system_files[] = {
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/proc",
    "/sys/devices/system/cpu",
    "/dev/urandom",
    "/dev/random",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/nscd",
    "/var/lib/sss/mc",
    "/var/lib/sss/pubconf",
    "/var/lib/ca-certificates",
    "/var/opt/azcmagent/tokens",
};

/* --- what is needed --------------------------------------------------------------------------- */

struct visit {
    struct confine *c;
    place_fn fn;
};

static int on_setting(void *arg, const char *setting, const char *path, enum cfg_use use,
                      struct err *e)
{
    struct visit *v = arg;

    return v->fn(v->c, setting, path, use, e);
}

/* The krb5.conf that ours was put in front of (ldap/cred.h). */
static const char *kerberos_file(void)
{
    const char *all = getenv("KRB5_CONFIG"), *colon = all != NULL ? strchr(all, ':') : NULL;

    return colon != NULL && colon[1] == '/' ? colon + 1 : NULL;
}

static int each_place(struct confine *c, const struct confine_places *p, place_fn fn, struct err *e)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY"), *kerberos = kerberos_file();
    struct visit v = {c, fn};

    if (fn(c, "the folder of the ledger", p->state_dir, CFG_USE_FOLDER, e) < 0 ||
        fn(c, "the control socket", p->socket, CFG_USE_BESIDE, e) < 0 ||
        fn(c, "the configuration", p->config_path, CFG_USE_READ, e) < 0)
        return -1;
    if (credentials != NULL && credentials[0] == '/' &&
        fn(c, "CREDENTIALS_DIRECTORY", credentials, CFG_USE_READ, e) < 0)
        return -1;
    if (kerberos != NULL && fn(c, "KRB5_CONFIG", kerberos, CFG_USE_READ, e) < 0)
        return -1;
    return cfg_each_path(p->cfg, on_setting, &v, e);
}

/* --- entering --------------------------------------------------------------------------------- */

static int grant(struct confine *c, const char *setting, const char *path, enum cfg_use use,
                 struct err *e)
{
    struct stat st;

    switch (use) {
    case CFG_USE_FOLDER:
        /* It must be there to be granted. */
        if (file_private_dir(path, e) < 0)
            return err_wrap(e, "%s", setting);
        return sandbox_grant(c->sandbox, path, SANDBOX_WRITE, e);
    case CFG_USE_BESIDE:
        return sandbox_grant_beside(c->sandbox, path, SANDBOX_WRITE, e);
    case CFG_USE_READ:
        break;
    }
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return sandbox_grant(c->sandbox, path, SANDBOX_READ, e);
    /* A pipe of events is opened for writing too, so that it never ends (eventlog/tail.c). */
    if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode) &&
        sandbox_grant(c->sandbox, path, SANDBOX_WRITE, e) < 0)
        return -1;
    return sandbox_grant_beside(c->sandbox, path, SANDBOX_READ, e);
}

static int grant_all(struct confine *c, const struct confine_places *p, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(system_files); i++) {
        if (sandbox_grant(c->sandbox, system_files[i], SANDBOX_READ, e) < 0)
            return -1;
    }
    if (sandbox_grant_beside(c->sandbox, "/etc/resolv.conf", SANDBOX_READ, e) < 0 ||
        sandbox_grant(c->sandbox, "/dev/null", SANDBOX_WRITE, e) < 0)
        return -1;
    return each_place(c, p, grant, e);
}

static void enter(struct confine *c)
{
    const char *notify = getenv("NOTIFY_SOCKET");
    unsigned flags = notify != NULL && notify[0] == '@' ? SANDBOX_ABSTRACT : 0;
    char words[256];
    struct err e;

    c->failed = sandbox_enter(c->sandbox, flags, &c->state, &e) < 0;
    (void)snprintf(c->words, sizeof(c->words), "%s%s%s",
                   sandbox_words(&c->state, words, sizeof(words)), c->failed ? "; " : "",
                   c->failed ? e.msg : "");
}

int confine_enter(const struct confine_places *p, struct confine **ret_confine, struct err *e)
{
    struct confine *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return err_set(e, ERR_NOMEM, 0, "sandbox");
    c->wanted = p->cfg->service.sandbox;
    if (c->wanted == CFG_SANDBOX_NO) {
        (void)snprintf(c->words, sizeof(c->words), "off: [service] sandbox = no");
        log_warning("sandbox=%s", c->words);
        *ret_confine = c;
        return 0;
    }
    if (sandbox_new(&c->sandbox, e) < 0 || grant_all(c, p, e) < 0) {
        confine_free(c);
        return err_wrap(e, "sandbox");
    }
    enter(c);
    if (c->state.landlock > 0 && c->state.calls && !c->failed) {
        log_info("sandbox=\"%s\"", c->words);
    } else if (c->wanted == CFG_SANDBOX_YES) {
        log_warning("the sandbox is not whole, going on with less: %s", c->words);
    } else {
        (void)err_set(e, ERR_CONFIG, 0, "[service] sandbox = required, and it is not whole: %s",
                      c->words);
        confine_free(c);
        return -1;
    }
    *ret_confine = c;
    return 0;
}

void confine_free(struct confine *c)
{
    if (c == NULL)
        return;
    sandbox_free(c->sandbox);
    free(c);
}

/* --- another configuration -------------------------------------------------------------------- */

static int look(struct confine *c, const char *setting, const char *path, enum cfg_use use,
                struct err *e)
{
    enum sandbox_right right = use == CFG_USE_READ ? SANDBOX_READ : SANDBOX_WRITE;
    CLEANUP(cleanup_charp) char *folder = strdup(path);
    char shown[TEXT_SHOWN];
    char *slash = folder != NULL ? strrchr(folder, '/') : NULL;

    if (slash == NULL)
        return err_set(e, ERR_NOMEM, 0, "sandbox");
    slash[slash == folder ? 1 : 0] = '\0';
    if (sandbox_covers(c->sandbox, use == CFG_USE_BESIDE ? folder : path, right))
        return 0;
    return err_set(e, ERR_CONFIG, 0,
                   "%s: '%s' is outside of what the service kept for itself at its start: restart "
                   "it to use it",
                   setting, text_shown(shown, path));
}

int confine_check(const struct confine *c, const struct confine_places *next, struct err *e)
{
    struct confine asked = *c;

    if (next->cfg->service.sandbox != c->wanted)
        return err_set(e, ERR_CONFIG, 0,
                       "[service] sandbox does not change while it runs: restart it");
    if (c->state.landlock == 0) /* every file is as open as it was */
        return 0;
    return each_place(&asked, next, look, e);
}

const char *confine_words(const struct confine *c)
{
    return c->words;
}
