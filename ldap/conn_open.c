/* ldap/conn_open.c -- one connection made: straight-line C in a job on the pool.
 *
 *   conn_open_work   the job
 *   ad_dial_host     resolve, connect
 *   ad_options_set   ours, not the host's
 *   sasl_bind        GSSAPI; then read back what was got
 *
 * Until the job is done nobody else touches its struct opening or the handle in it.
 */
#include "ldap/conn_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <netinet/in.h>
#include <openldap.h> /* ldap_init_fd */
#include <sasl/sasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ldap/cred.h"
#include "ldap/dial.h"
#include "ldap/options.h"
#include "ldap/result.h"

void conn_opening_free(struct opening *o)
{
    if (o == NULL)
        return;
    if (o->ld != NULL)
        (void)ldap_unbind_ext(o->ld, NULL, NULL); /* closes the descriptor as well */
    else if (o->fd >= 0)
        (void)close(o->fd);
    if (atomic_load(&o->guard) >= 0)
        (void)close(atomic_load(&o->guard));
    free(o->host);
    free(o->ca_file);
    ad_ccache_unref(&o->ccache);
    free(o);
}

/* Our end as Samba writes it: "ipv4:10.77.0.100:49008". */
static void note_local(struct opening *o)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss);
    char ip[INET6_ADDRSTRLEN];

    if (getsockname(o->fd, (struct sockaddr *)&ss, &len) < 0)
        return;
    if (ss.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&ss;

        if (inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip)) != NULL)
            (void)snprintf(o->local, sizeof(o->local), "ipv4:%s:%u", ip, ntohs(in->sin_port));
    } else if (ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&ss;

        if (inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip)) != NULL)
            (void)snprintf(o->local, sizeof(o->local), "ipv6:%s:%u", ip, ntohs(in6->sin6_port));
    }
}

/* The credential for a bind inside TLS, where SASL must not sign or seal (MS-ADTS 5.1.1.1.2). Left
 * to itself, the GSSAPI plug-in acquires one at each of its steps and loses it (cyrus-sasl issue
 * 843: 17 KiB for each bind); it takes ours instead. As it does, tell the library not to offer
 * signing and sealing either: Windows takes the offer for a request. */
static int layerless_cred(gss_cred_id_t *ret_cred, struct err *e)
{
    gss_OID_set_desc krb5 = {.count = 1, .elements = (gss_OID)(uintptr_t)gss_mech_krb5};
    gss_buffer_desc none = GSS_C_EMPTY_BUFFER;
    gss_cred_id_t cred = GSS_C_NO_CREDENTIAL;
    OM_uint32 minor = 0, ignored;

    if (gss_acquire_cred(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &krb5, GSS_C_INITIATE, &cred,
                         NULL, NULL) != GSS_S_COMPLETE ||
        gss_set_cred_option(&minor, &cred, (gss_OID)(uintptr_t)GSS_KRB5_CRED_NO_CI_FLAGS_X,
                            &none) != GSS_S_COMPLETE) {
        (void)gss_release_cred(&ignored, &cred);
        return ad_result_gss_err(minor, e);
    }
    *ret_cred = cred;
    return 0;
}

/* GSSAPI asks nothing that we would answer: take the defaults (no authorization id). But it asks
 * after libldap has made its SASL context, and before the first step: the only moment at which the
 * credential can be handed to it. */
static int interact(LDAP *ld, unsigned flags, void *defaults, void *in)
{
    gss_cred_id_t cred = defaults;

    (void)flags;
    for (sasl_interact_t *i = in; i->id != SASL_CB_LIST_END; i++) {
        i->result = i->defresult != NULL ? i->defresult : "";
        i->len = (unsigned)strlen(i->result);
    }
    if (cred != GSS_C_NO_CREDENTIAL &&
        ldap_set_option(ld, LDAP_OPT_X_SASL_GSS_CREDS, cred) != LDAP_OPT_SUCCESS)
        return LDAP_LOCAL_ERROR;
    return LDAP_SUCCESS;
}

static int sasl_bind(struct opening *o, struct err *e)
{
    int64_t deadline = ad_dial_now() + (int64_t)o->bind_ms;
    LDAPMessage *answer = NULL;
    const char *mech = NULL;
    gss_cred_id_t cred = GSS_C_NO_CREDENTIAL;
    sasl_ssf_t ssf = 0;
    OM_uint32 minor;
    int msgid = 0, rc;

    /* K3: the credential is the worker thread's default only while it binds. */
    if (o->ccache != NULL &&
        gss_krb5_ccache_name(&minor, ad_ccache_name(o->ccache), NULL) != GSS_S_COMPLETE)
        return err_set(e, ERR_AUTH, (int)minor, "ticket cache cannot be used");
    if (o->tls && layerless_cred(&cred, e) < 0) {
        rc = -1;
        goto out;
    }
    for (;;) {
        int64_t left;
        struct timeval tv;

        rc = ldap_sasl_interactive_bind(o->ld, NULL, "GSSAPI", NULL, NULL, LDAP_SASL_QUIET,
                                        interact, cred, answer, &mech, &msgid);
        if (answer != NULL)
            (void)ldap_msgfree(answer);
        answer = NULL;
        if (rc != LDAP_SASL_BIND_IN_PROGRESS)
            break;
        left = deadline - ad_dial_now();
        if (left <= 0)
            left = 0;
        tv = (struct timeval){.tv_sec = left / 1000, .tv_usec = (left % 1000) * 1000};
        rc = ldap_result(o->ld, msgid, LDAP_MSG_ALL, &tv, &answer);
        if (rc == 0) {
            rc = err_set(e, ERR_UNSENT, ETIMEDOUT, "bind: no answer in time");
            goto out;
        }
        if (rc < 0) {
            rc = err_set(e, ERR_UNSENT, rc, "bind: the connection ended");
            goto out;
        }
    }
    if (rc != LDAP_SUCCESS) {
        rc = ad_result_bind_err(o->ld, rc, e);
        goto out;
    }
    /* L4: what was asked for is not what was got, until it was read back. */
    (void)ldap_get_option(o->ld, LDAP_OPT_X_SASL_SSF, &ssf);
    o->ssf = ssf;
    if (!o->tls && ssf < AD_SSF_MIN)
        rc =
            err_set(e, ERR_AUTH, (int)ssf, "bind: the connection is not sealed (SSF %u, %d needed)",
                    (unsigned)ssf, AD_SSF_MIN);
    if (o->tls && !ldap_tls_inplace(o->ld))
        rc = err_set(e, ERR_AUTH, 0, "bind: TLS is not in force");
out:
    (void)gss_release_cred(&minor, &cred);
    if (o->ccache != NULL)
        (void)gss_krb5_ccache_name(&minor, NULL, NULL);
    return rc;
}

static int given_up(struct err *e)
{
    return err_set(e, ERR_CANCELED, 0, "nobody waits for the connection any more");
}

static int open_all(struct opening *o, struct err *e)
{
    char url[300];
    int rc;

    if (ad_dial_host(o->host, o->port, o->connect_ms, &o->fd, e) < 0)
        return -1;
    atomic_store(&o->guard, fcntl(o->fd, F_DUPFD_CLOEXEC, 0));
    if (atomic_load(&o->given_up))
        return given_up(e);
    note_local(o);
    (void)snprintf(url, sizeof(url), "%s://%s:%u", o->tls ? "ldaps" : "ldap", o->host, o->port);
    rc = ldap_init_fd(o->fd, LDAP_PROTO_TCP, url, &o->ld);
    if (rc != LDAP_SUCCESS)
        return err_set(e, ERR_INTERNAL, rc, "libldap: %s", ldap_err2string(rc));
    if (ad_options_set(
            o->ld,
            &(struct ad_options){.tls = o->tls, .ca_file = o->ca_file, .wait_ms = o->bind_ms},
            e) < 0)
        return -1;
    if (o->tls) {
        rc = ldap_install_tls(o->ld);
        if (rc != LDAP_SUCCESS)
            return ad_result_tls_err(o->ld, rc, o->ca_file, e);
    }
    if (atomic_load(&o->given_up))
        return given_up(e);
    return sasl_bind(o, e);
}

void conn_open_work(void *arg)
{
    struct opening *o = arg;

    o->rc = open_all(o, &o->err);
    if (o->rc < 0)
        (void)err_wrap(&o->err, "%s", o->host);
}
