/* ldap/cred.c -- see cred.h. */
#include "ldap/cred.h"

#include <errno.h>
#include <krb5/krb5.h>
#include <netdb.h>
#include <poll.h>
#include <sasl/sasl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/stamp.h"
#include "base/text.h"
#include "ldap/renew.h"

/* --- plug-ins -------------------------------------------------------------------------------- */

/* Called by libsasl2 for each file that it would load: everything but GSSAPI's plug-in is passed
 * over. */
static int verify_file(void *context, const char *file, sasl_verify_type_t type)
{
    const char *slash = strrchr(file, '/'), *base = slash != NULL ? slash + 1 : file;

    (void)context;
    if (type == SASL_VRFY_PLUGIN && !text_starts(base, "libgssapiv2."))
        return SASL_CONTINUE;
    return SASL_OK;
}

int ad_cred_only_gssapi(struct err *e)
{
    static const sasl_callback_t callbacks[] = {
        {SASL_CB_VERIFYFILE, (int (*)(void))(void (*)(void))verify_file, NULL},
        {SASL_CB_LIST_END, NULL, NULL}};
    int rc = sasl_client_init(callbacks); /* libldap's own call later only counts */

    if (rc != SASL_OK)
        return err_set(e, ERR_INTERNAL, rc, "libsasl2: %s", sasl_errstring(rc, NULL, NULL));
    return 0;
}

/* --- settings -------------------------------------------------------------------------- */

#define PROBES 16

static int64_t mono_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Which of the hosts has a KDC that answers first? 0 where none does in time: no worse than before.
 *
 * A connection alone says nothing: a hanging process still accepts. A length with the high bit set
 * must be answered by an error or by closing (RFC 4120 7.2.2), and leaves no trace in any log. */
static size_t first_kdc(const struct ad_realm *r, unsigned probe_ms)
{
    static const unsigned char too_long[4] = {0x80, 0, 0, 0};
    struct pollfd fds[PROBES];
    size_t host_of[PROBES], n = 0, best = 0;
    int64_t deadline = mono_ms() + probe_ms, left;
    bool found = false, connected = false;

    for (size_t i = 0; i < r->host_count && n < PROBES; i++) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai = NULL;

        if (getaddrinfo(r->hosts[i], "88", &hints, &ai) != 0)
            continue;
        int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd >= 0) {
            (void)connect(fd, ai->ai_addr, ai->ai_addrlen);
            fds[n] = (struct pollfd){.fd = fd, .events = POLLOUT};
            host_of[n++] = i;
        }
        freeaddrinfo(ai);
    }
    while (!found && n > 0 && (left = deadline - mono_ms()) > 0) {
        if (poll(fds, n, (int)left) <= 0)
            break;
        for (size_t k = 0; k < n && !found; k++) {
            int failed = 0;
            socklen_t len = sizeof(failed);

            if (fds[k].fd < 0 || fds[k].revents == 0)
                continue;
            if (fds[k].events == POLLIN) { /* an answer, or the end: somebody is at home */
                best = host_of[k];
                found = true;
            } else if (getsockopt(fds[k].fd, SOL_SOCKET, SO_ERROR, &failed, &len) == 0 &&
                       failed == 0 && (fds[k].revents & POLLOUT) != 0 &&
                       send(fds[k].fd, too_long, sizeof(too_long), MSG_NOSIGNAL) == 4) {
                if (!connected)
                    best = host_of[k]; /* better than one that does not even connect */
                connected = true;
                fds[k].events = POLLIN;
            } else {
                (void)close(fds[k].fd);
                fds[k].fd = -1; /* poll passes over it */
            }
        }
    }
    for (size_t k = 0; k < n; k++) {
        if (fds[k].fd >= 0)
            (void)close(fds[k].fd);
    }
    return best;
}

int ad_cred_profile(const struct ad_realm *realms, size_t count, const char *base_path,
                    unsigned probe_ms, struct err *e)
{
    struct text t = TEXT_INIT(64 * 1024);
    char path[300];
    int fd, rc;

    /* The first file wins, value by value; profiles are read lazily, so the descriptor stays. */
    text_add(&t, "[libdefaults]\n"
                 "dns_canonicalize_hostname = false\nrdns = false\n"
                 "forwardable = false\nproxiable = false\n"
                 "permitted_enctypes = aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96 "
                 "aes256-cts-hmac-sha384-192 aes128-cts-hmac-sha256-128\n");
    text_add(&t, "[domain_realm]\n");
    for (size_t i = 0; i < count; i++)
        text_addf(&t, ".%s = %s\n%s = %s\n", realms[i].domain, realms[i].realm, realms[i].domain,
                  realms[i].realm);
    text_add(&t, "[realms]\n");
    for (size_t i = 0; i < count; i++) {
        size_t first;

        if (realms[i].host_count < 2)
            continue;
        first = first_kdc(&realms[i], probe_ms);
        text_addf(&t, "%s = {\n kdc = %s\n", realms[i].realm, realms[i].hosts[first]);
        for (size_t k = 0; k < realms[i].host_count; k++) {
            if (k != first)
                text_addf(&t, " kdc = %s\n", realms[i].hosts[k]);
        }
        text_add(&t, "}\n");
    }
    rc = text_check(&t, "Kerberos settings", e);
    if (rc < 0)
        goto out;
    fd = memfd_create("cordon-krb5", 0);
    if (fd < 0 || write(fd, t.s, t.len) != (ssize_t)t.len) {
        rc = err_sys(e, ERR_IO, errno, "Kerberos settings");
        if (fd >= 0)
            (void)close(fd);
        goto out;
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d:%s", fd, base_path);
    if (setenv("KRB5_CONFIG", path, 1) < 0)
        rc = err_sys(e, ERR_NOMEM, errno, "Kerberos settings");
out:
    text_done(&t);
    return rc;
}

/* --- words for what Kerberos says (K5) ---------------------------------------- */

static int krb_err(krb5_context ctx, krb5_error_code code, const char *doing, struct err *e)
{
    const char *text = ctx != NULL ? krb5_get_error_message(ctx, code) : NULL;
    const char *mend = "";
    char shown[TEXT_SHOWN];

    switch (code) {
    case KRB5KDC_ERR_PREAUTH_FAILED:
    case KRB5KRB_AP_ERR_BAD_INTEGRITY:
        mend = ": the keytab's key is not the account's (password or kvno changed): make the "
               "keytab anew";
        break;
    case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
        mend = ": no such account: check `principal`";
        break;
    case KRB5KDC_ERR_CLIENT_REVOKED:
        mend = ": the account is disabled or locked";
        break;
    case KRB5KRB_AP_ERR_SKEW:
        mend =
            ": the clocks differ by more than 5 minutes: set this host's time (chronyc tracking)";
        break;
    case KRB5_KDC_UNREACH:
        mend = ": check port 88 to the DCs, and krb5.conf";
        break;
    case KRB5_REALM_UNKNOWN:
        mend = ": check DNS (_kerberos._tcp SRV) or krb5.conf";
        break;
    case KRB5KDC_ERR_KEY_EXP:
        mend = ": the account's password has expired";
        break;
    case KRB5_KT_NOTFOUND:
        mend = ": the keytab holds no AES key for that principal: make the keytab anew";
        break;
    default:
        break;
    }
    (void)err_set(e, code == KRB5_KDC_UNREACH || code == KRB5_REALM_UNKNOWN ? ERR_UNSENT : ERR_AUTH,
                  (int)code, "%s: %s%s", doing, text != NULL ? text_shown(shown, text) : "Kerberos",
                  mend);
    if (text != NULL)
        krb5_free_error_message(ctx, text);
    return -1;
}

/* --- tickets in memory (K3) --------------------------------------------------------- */

struct ad_ccache {
    unsigned refs;
    char name[64];
};

struct ad_ccache *ad_ccache_ref(struct ad_ccache *c)
{
    if (c != NULL)
        c->refs++;
    return c;
}

void ad_ccache_unref(struct ad_ccache **cp)
{
    struct ad_ccache *c = *cp;
    krb5_context ctx = NULL;
    krb5_ccache cc = NULL;

    *cp = NULL;
    if (c == NULL || --c->refs > 0)
        return;
    if (krb5_init_context(&ctx) == 0) {
        if (krb5_cc_resolve(ctx, c->name, &cc) == 0)
            (void)krb5_cc_destroy(ctx, cc);
        krb5_free_context(ctx);
    }
    free(c);
}

const char *ad_ccache_name(const struct ad_ccache *c)
{
    return c != NULL ? c->name : NULL;
}

/* --- from a keytab: straight-line C on the pool -------------------------------- */

struct from_keytab {
    char *keytab, *principal, *realm;
    ad_cred_cb cb;
    void *arg;
    struct ad_cred cred;
    int rc;
    struct err err;
};

/* The configured principal, with the realm put behind where it has none; or the keytab's first. */
static krb5_error_code choose_principal(krb5_context ctx, krb5_keytab kt,
                                        const struct from_keytab *f, krb5_principal *ret)
{
    krb5_kt_cursor cursor;
    krb5_keytab_entry entry;
    krb5_error_code rc;
    char name[AD_PRINCIPAL];

    if (f->principal != NULL) {
        (void)snprintf(name, sizeof(name), "%s%s%s", f->principal,
                       strchr(f->principal, '@') == NULL ? "@" : "",
                       strchr(f->principal, '@') == NULL ? f->realm : "");
        return krb5_parse_name(ctx, name, ret);
    }
    rc = krb5_kt_start_seq_get(ctx, kt, &cursor);
    if (rc != 0)
        return rc;
    rc = krb5_kt_next_entry(ctx, kt, &entry, &cursor);
    if (rc == 0) {
        rc = krb5_copy_principal(ctx, entry.principal, ret);
        (void)krb5_free_keytab_entry_contents(ctx, &entry);
    }
    (void)krb5_kt_end_seq_get(ctx, kt, &cursor);
    return rc;
}

/* One question to the KDC, with the keytab as it is now. */
static krb5_error_code ask_kdc(krb5_context ctx, const struct from_keytab *f,
                               krb5_principal *ret_who, krb5_creds *ret_creds)
{
    krb5_get_init_creds_opt *opt = NULL;
    krb5_principal who = NULL;
    krb5_keytab kt = NULL;
    krb5_error_code rc;
    char name[300];

    (void)snprintf(name, sizeof(name), "FILE:%s", f->keytab);
    rc = krb5_kt_resolve(ctx, name, &kt);
    if (rc == 0)
        rc = choose_principal(ctx, kt, f, &who);
    if (rc == 0)
        rc = krb5_get_init_creds_opt_alloc(ctx, &opt);
    if (rc == 0) {
        krb5_get_init_creds_opt_set_forwardable(opt, 0);
        krb5_get_init_creds_opt_set_proxiable(opt, 0);
        rc = krb5_get_init_creds_keytab(ctx, ret_creds, who, kt, 0, NULL, opt);
    }
    if (opt != NULL)
        krb5_get_init_creds_opt_free(ctx, opt);
    if (kt != NULL)
        (void)krb5_kt_close(ctx, kt);
    if (rc == 0)
        *ret_who = TAKE(who);
    if (who != NULL)
        krb5_free_principal(ctx, who);
    return rc;
}

/* Into a cache of its own. */
static krb5_error_code keep(krb5_context ctx, struct from_keytab *f, krb5_principal who,
                            krb5_creds *creds)
{
    static atomic_uint serial;
    struct ad_ccache *cache = calloc(1, sizeof(*cache));
    krb5_ccache cc = NULL;
    krb5_error_code rc;
    char *text = NULL;

    if (cache == NULL)
        return ENOMEM;
    cache->refs = 1;
    (void)snprintf(cache->name, sizeof(cache->name), "MEMORY:cordon-%u",
                   atomic_fetch_add(&serial, 1));
    rc = krb5_unparse_name(ctx, who, &text);
    if (rc == 0)
        rc = krb5_cc_resolve(ctx, cache->name, &cc);
    if (rc == 0)
        rc = krb5_cc_initialize(ctx, cc, who);
    if (rc == 0)
        rc = krb5_cc_store_cred(ctx, cc, creds);
    if (rc == 0) {
        (void)snprintf(f->cred.principal, sizeof(f->cred.principal), "%s", text);
        f->cred.ends_ms = (int64_t)(uint32_t)creds->times.endtime * 1000;
        f->cred.cache = TAKE(cache);
        (void)krb5_cc_close(ctx, cc);
    } else if (cc != NULL) {
        (void)krb5_cc_destroy(ctx, cc);
    }
    free(cache);
    if (text != NULL)
        krb5_free_unparsed_name(ctx, text);
    return rc;
}

static void keytab_work(void *arg)
{
    struct from_keytab *f = arg;
    struct ad_keytab_mark before, after;
    krb5_context ctx = NULL;
    krb5_principal who = NULL;
    krb5_creds creds = {0};
    krb5_error_code rc;
    bool again = true;

    f->rc = -1;
    rc = krb5_init_context(&ctx);
    while (rc == 0) {
        ad_keytab_mark(f->keytab, &before);
        if (file_check_trusted(f->keytab, FILE_SECRET, &f->err) < 0) {
            (void)err_wrap(&f->err, "keytab");
            krb5_free_context(ctx);
            return;
        }
        rc = ask_kdc(ctx, f, &who, &creds);
        ad_keytab_mark(f->keytab, &after);
        if (!again || !ad_renew_is_wrong_key((int)rc) || ad_keytab_same(&before, &after))
            break;
        again = false; /* exchanged under our hands: the new one, once */
        rc = 0;
    }
    if (rc == 0) {
        rc = keep(ctx, f, who, &creds);
        krb5_free_cred_contents(ctx, &creds);
        krb5_free_principal(ctx, who);
    }
    if (rc == 0)
        f->rc = 0;
    else
        (void)krb_err(ctx, rc, "ticket by keytab", &f->err);
    if (ctx != NULL)
        krb5_free_context(ctx);
}

static void from_keytab_free(struct from_keytab *f)
{
    ad_ccache_unref(&f->cred.cache);
    free(f->keytab);
    free(f->principal);
    free(f->realm);
    free(f);
}

static void keytab_done(void *arg, bool canceled)
{
    struct from_keytab *f = arg;

    if (canceled)
        f->rc = err_set(&f->err, ERR_CANCELED, 0, "ticket by keytab: never started");
    f->cb(f->arg, f->rc == 0 ? &f->cred : NULL, f->rc == 0 ? NULL : &f->err);
    from_keytab_free(f);
}

int ad_cred_keytab_start(struct loop *l, const char *keytab, const char *principal,
                         const char *realm, ad_cred_cb cb, void *arg, struct err *e)
{
    struct from_keytab *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return err_set(e, ERR_NOMEM, 0, "ticket by keytab");
    f->keytab = text_dup(keytab);
    f->principal = text_dup(principal);
    f->realm = text_dup(realm);
    f->cb = cb;
    f->arg = arg;
    if (f->keytab == NULL || f->realm == NULL || (principal != NULL && f->principal == NULL)) {
        from_keytab_free(f);
        return err_set(e, ERR_NOMEM, 0, "ticket by keytab");
    }
    if (loop_job_start(l, keytab_work, keytab_done, f, e) < 0) {
        from_keytab_free(f);
        return -1;
    }
    return 0;
}

/* --- the caller's own cache ----------------------------------------------------- */

int ad_cred_caller(const char *realm, struct ad_cred *ret_cred, struct err *e)
{
    krb5_context ctx = NULL;
    krb5_ccache cc = NULL;
    krb5_principal who = NULL;
    krb5_cc_cursor cursor;
    krb5_creds creds;
    krb5_error_code rc;
    char *text = NULL;
    int64_t now = stamp_now_ms() / 1000, best = 0;
    bool any = false;

    *ret_cred = (struct ad_cred){0};
    rc = krb5_init_context(&ctx);
    if (rc == 0)
        rc = krb5_cc_default(ctx, &cc);
    if (rc == 0)
        rc = krb5_cc_get_principal(ctx, cc, &who);
    if (rc == 0)
        rc = krb5_unparse_name(ctx, who, &text);
    if (rc == 0)
        rc = krb5_cc_start_seq_get(ctx, cc, &cursor);
    if (rc != 0)
        goto out;
    while (krb5_cc_next_cred(ctx, cc, &cursor, &creds) == 0) {
        /* Any ticket-granting ticket may lead to `realm`, by trust. */
        if (!krb5_is_config_principal(ctx, creds.server) && creds.server->length == 2 &&
            creds.server->data[0].length == 6 &&
            memcmp(creds.server->data[0].data, "krbtgt", 6) == 0) {
            any = true;
            if ((int64_t)(uint32_t)creds.times.endtime > best)
                best = (int64_t)(uint32_t)creds.times.endtime;
        }
        krb5_free_cred_contents(ctx, &creds);
    }
    (void)krb5_cc_end_seq_get(ctx, cc, &cursor);
    (void)snprintf(ret_cred->principal, sizeof(ret_cred->principal), "%s", text);
    ret_cred->ends_ms = best * 1000;
out:
    if (text != NULL)
        krb5_free_unparsed_name(ctx, text);
    if (who != NULL)
        krb5_free_principal(ctx, who);
    if (cc != NULL)
        (void)krb5_cc_close(ctx, cc);
    if (ctx != NULL)
        krb5_free_context(ctx);
    if (rc != 0 || !any)
        return err_set(e, ERR_AUTH, (int)rc,
                       "no Kerberos ticket: run kinit (realm %s), or use --as-agent", realm);
    if (best <= now)
        return err_set(e, ERR_AUTH, 0,
                       "the Kerberos ticket of %s has expired: run kinit, or use --as-agent",
                       ret_cred->principal);
    return 0;
}
