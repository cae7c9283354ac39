/* ldap/conn_open.c -- one connection made: straight-line C in a job on the pool.
 *
 *   conn_open_work   the job
 *   connect_host     resolve, connect
 *   set_options      ours, not the host's
 *   sasl_bind        GSSAPI; then read back what was got
 *
 * Until the job is done nobody else touches its struct opening or the handle in it.
 */
#include "ldap/conn_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gssapi/gssapi_krb5.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openldap.h> /* ldap_init_fd */
#include <sasl/sasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ldap/dial.h"
#include "ldap/result.h"

#define MAX_INCOMING (4 * 1024 * 1024) /* one LDAP message */

void conn_opening_free(struct opening *o)
{
    if (o == NULL)
        return;
    if (o->ld != NULL)
        (void)ldap_unbind_ext(o->ld, NULL, NULL); /* closes the descriptor as well */
    else if (o->fd >= 0)
        (void)close(o->fd);
    free(o->host);
    free(o->ca_file);
    free(o->ccache);
    free(o);
}

static int connect_host(struct opening *o, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *all = NULL;
    int64_t deadline = ad_dial_now() + (int64_t)o->connect_ms;
    char port[8];
    int rc;

    (void)snprintf(port, sizeof(port), "%u", o->port);
    rc = getaddrinfo(o->host, port, &hints, &all);
    if (rc != 0)
        return err_set(e, ERR_UNSENT, rc, "look up '%s': %s", o->host,
                       rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    rc = ad_dial(all, deadline, &o->fd, e);
    freeaddrinfo(all);
    return rc;
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

/* L1, L4: each option is set, and those that security hangs on are read back. */
static int set_options(struct opening *o, struct err *e)
{
    LDAP *ld = o->ld;
    int version = LDAP_VERSION3, never = LDAP_DEREF_NEVER, demand = LDAP_OPT_X_TLS_DEMAND;
    int tls12 = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2, endpoint = LDAP_OPT_X_SASL_CBINDING_TLS_ENDPOINT;
    int got = 0, zero = 0;
    struct timeval net = {.tv_sec = (time_t)((o->bind_ms + 999) / 1000)};
    ber_len_t max_incoming = MAX_INCOMING;
    Sockbuf *sb = NULL;
    void *nocanon = NULL;
    int rc = 0;

    rc |= ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);
    rc |= ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    rc |= ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_OFF);
    rc |= ldap_set_option(ld, LDAP_OPT_DEREF, &never);
    rc |= ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &net);
    rc |= ldap_set_option(ld, LDAP_OPT_TIMEOUT, &net);
    rc |= ldap_set_option(ld, LDAP_OPT_CONNECT_ASYNC, LDAP_OPT_ON);
    rc |= ldap_set_option(ld, LDAP_OPT_X_SASL_NOCANON, LDAP_OPT_ON);
    rc |= ldap_set_option(ld, LDAP_OPT_X_SASL_SECPROPS,
                          o->tls ? "noanonymous,noplain,minssf=0,maxssf=0"
                                 : "noanonymous,noplain,minssf=128");
    if (o->tls) {
        rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
        rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, &tls12);
        rc |=
            ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE,
                            o->ca_file != NULL ? o->ca_file : "/etc/ssl/certs/ca-certificates.crt");
        rc |= ldap_set_option(ld, LDAP_OPT_X_SASL_CBINDING, &endpoint);
        rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &zero);
        if (rc == 0 &&
            (ldap_get_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &got) != 0 || got != demand))
            rc = -1;
    }
    if (rc != 0)
        return err_set(e, ERR_INTERNAL, rc, "libldap refuses one of our settings");
    if (ldap_get_option(ld, LDAP_OPT_REFERRALS, &nocanon) != 0 || nocanon != NULL)
        return err_set(e, ERR_INTERNAL, 0, "libldap does not keep referral chasing off");
    if (ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sb) == 0 && sb != NULL)
        (void)ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &max_incoming);
    return 0;
}

/* GSSAPI asks nothing that we would answer: take the defaults (no authorization id). */
static int interact(LDAP *ld, unsigned flags, void *defaults, void *in)
{
    (void)ld;
    (void)flags;
    (void)defaults;
    for (sasl_interact_t *i = in; i->id != SASL_CB_LIST_END; i++) {
        i->result = i->defresult != NULL ? i->defresult : "";
        i->len = (unsigned)strlen(i->result);
    }
    return LDAP_SUCCESS;
}

static int sasl_bind(struct opening *o, struct err *e)
{
    int64_t deadline = ad_dial_now() + (int64_t)o->bind_ms;
    LDAPMessage *answer = NULL;
    const char *mech = NULL;
    sasl_ssf_t ssf = 0;
    OM_uint32 minor;
    int msgid = 0, rc;

    /* K3: the credential is the worker thread's default only while it binds. */
    if (o->ccache != NULL && gss_krb5_ccache_name(&minor, o->ccache, NULL) != GSS_S_COMPLETE)
        return err_set(e, ERR_AUTH, (int)minor, "ticket cache cannot be used");
    for (;;) {
        int64_t left;
        struct timeval tv;

        rc = ldap_sasl_interactive_bind(o->ld, NULL, "GSSAPI", NULL, NULL, LDAP_SASL_QUIET,
                                        interact, NULL, answer, &mech, &msgid);
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
        rc = ad_result_bind_err(o->ld, rc, o->host, e);
        goto out;
    }
    /* L4: what was asked for is not what was got, until it was read back. */
    (void)ldap_get_option(o->ld, LDAP_OPT_X_SASL_SSF, &ssf);
    o->ssf = ssf;
    if (!o->tls && ssf < 128)
        rc = err_set(e, ERR_AUTH, (int)ssf,
                     "bind: the connection is not sealed (SSF %u, 128 needed)", (unsigned)ssf);
    if (o->tls && !ldap_tls_inplace(o->ld))
        rc = err_set(e, ERR_AUTH, 0, "bind: TLS is not in force");
out:
    if (o->ccache != NULL)
        (void)gss_krb5_ccache_name(&minor, NULL, NULL);
    return rc;
}

static int open_all(struct opening *o, struct err *e)
{
    char url[300];
    int rc;

    if (connect_host(o, e) < 0)
        return -1;
    note_local(o);
    (void)snprintf(url, sizeof(url), "%s://%s:%u", o->tls ? "ldaps" : "ldap", o->host, o->port);
    rc = ldap_init_fd(o->fd, LDAP_PROTO_TCP, url, &o->ld);
    if (rc != LDAP_SUCCESS)
        return err_set(e, ERR_INTERNAL, rc, "libldap: %s", ldap_err2string(rc));
    if (set_options(o, e) < 0)
        return -1;
    if (o->tls) {
        rc = ldap_install_tls(o->ld);
        if (rc != LDAP_SUCCESS)
            return ad_result_bind_err(o->ld, rc, o->host, e);
    }
    return sasl_bind(o, e);
}

void conn_open_work(void *arg)
{
    struct opening *o = arg;

    o->rc = open_all(o, &o->err);
    if (o->rc < 0)
        (void)err_wrap(&o->err, "%s", o->host);
}
