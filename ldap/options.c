/* ldap/options.c -- see options.h. */
#include "ldap/options.h"

#include <string.h>
#include <sys/time.h>

#include "base/cleanup.h"

#define MAX_INCOMING (4 * 1024 * 1024) /* one LDAP message */
#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

enum kind {
    NUMBER, /* an int, read back as one */
    SWITCH, /* LDAP_OPT_ON or LDAP_OPT_OFF, read back as an int: 0, or 1, or -1 */
};

struct setting {
    const char *name;
    int option;
    enum kind kind;
    int value;
};

static const struct setting always[] = {
    {"protocol version", LDAP_OPT_PROTOCOL_VERSION, NUMBER, LDAP_VERSION3},
    {"referrals", LDAP_OPT_REFERRALS, SWITCH, 0}, /* never followed (L7) */
    {"restart", LDAP_OPT_RESTART, SWITCH, 0},
    {"aliases", LDAP_OPT_DEREF, NUMBER, LDAP_DEREF_NEVER},
    /* Without it a TLS peer that is silent blocks for ever, whatever the time-outs. */
    {"asynchronous connect", LDAP_OPT_CONNECT_ASYNC, SWITCH, 1},
    {"no canonical names", LDAP_OPT_X_SASL_NOCANON, SWITCH, 1}, /* no reverse DNS (K1) */
};

static const struct setting with_tls[] = {
    {"certificate check", LDAP_OPT_X_TLS_REQUIRE_CERT, NUMBER, LDAP_OPT_X_TLS_DEMAND},
    {"TLS version", LDAP_OPT_X_TLS_PROTOCOL_MIN, NUMBER, LDAP_OPT_X_TLS_PROTOCOL_TLS1_2},
    {"channel binding", LDAP_OPT_X_SASL_CBINDING, NUMBER, LDAP_OPT_X_SASL_CBINDING_TLS_ENDPOINT},
};

static int not_kept(const char *name, struct err *e)
{
    return err_set(e, ERR_INTERNAL, 0, "libldap does not keep the setting '%s': not connecting",
                   name);
}

static int apply(LDAP *ld, const struct setting *s, size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        int got = s[i].kind == SWITCH ? !s[i].value : s[i].value + 1;
        bool same;

        if (s[i].kind == SWITCH)
            (void)ldap_set_option(ld, s[i].option, s[i].value ? LDAP_OPT_ON : LDAP_OPT_OFF);
        else
            (void)ldap_set_option(ld, s[i].option, &s[i].value);
        same = ldap_get_option(ld, s[i].option, &got) == LDAP_OPT_SUCCESS;
        if (s[i].kind == SWITCH)
            same = same && (got != 0) == (s[i].value != 0);
        else
            same = same && got == s[i].value;
        if (!same)
            return not_kept(s[i].name, e);
    }
    return 0;
}

static int apply_time(LDAP *ld, int option, const char *name, uint64_t ms, struct err *e)
{
    struct timeval want = {.tv_sec = (time_t)((ms + 999) / 1000)}, *got = NULL;
    bool same;

    (void)ldap_set_option(ld, option, &want);
    (void)ldap_get_option(ld, option, (void *)&got);
    same = got != NULL && got->tv_sec == want.tv_sec && got->tv_usec == 0;
    ldap_memfree(got);
    return same ? 0 : not_kept(name, e);
}

/* How strong SASL's own layer must be. That anonymous and plain mechanisms are refused cannot be
 * read back; the mechanism is the constant "GSSAPI" anyway (L3). */
static int apply_layer(LDAP *ld, bool tls, struct err *e)
{
    const ber_len_t min = tls ? 0 : AD_SSF_MIN;
    ber_len_t got_min = min + 1, got_max = 1;

    (void)ldap_set_option(ld, LDAP_OPT_X_SASL_SECPROPS,
                          tls ? "noanonymous,noplain,minssf=0,maxssf=0"
                              : "noanonymous,noplain,minssf=128,maxssf=2147483647");
    if (ldap_get_option(ld, LDAP_OPT_X_SASL_SSF_MIN, &got_min) != LDAP_OPT_SUCCESS ||
        ldap_get_option(ld, LDAP_OPT_X_SASL_SSF_MAX, &got_max) != LDAP_OPT_SUCCESS ||
        got_min != min || (tls ? got_max != 0 : got_max < AD_SSF_MIN))
        return not_kept("strength of encryption", e);
    return 0;
}

/* Whose certificates are believed: that one file, and no folder beside it. */
static int apply_ca(LDAP *ld, const char *ca_file, struct err *e)
{
    const char *want = ca_file != NULL ? ca_file : SYSTEM_CA;
    char *file = NULL, *folder = NULL;
    bool same;

    (void)ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, want);
    (void)ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTDIR, NULL);
    same = ldap_get_option(ld, LDAP_OPT_X_TLS_CACERTFILE, (void *)&file) == LDAP_OPT_SUCCESS &&
           ldap_get_option(ld, LDAP_OPT_X_TLS_CACERTDIR, (void *)&folder) == LDAP_OPT_SUCCESS &&
           file != NULL && strcmp(file, want) == 0 && folder == NULL;
    ldap_memfree(file);
    ldap_memfree(folder);
    return same ? 0 : not_kept("certificate authorities", e);
}

int ad_options_set(LDAP *ld, const struct ad_options *o, struct err *e)
{
    ber_len_t max_incoming = MAX_INCOMING;
    Sockbuf *sb = NULL;
    int server = 0, rc;

    if (apply(ld, always, ARRAY_LEN(always), e) < 0 ||
        apply_time(ld, LDAP_OPT_NETWORK_TIMEOUT, "network time-out", o->wait_ms, e) < 0 ||
        apply_time(ld, LDAP_OPT_TIMEOUT, "time-out", o->wait_ms, e) < 0 ||
        apply_layer(ld, o->tls, e) < 0)
        return -1;
    if (o->tls) {
        if (apply(ld, with_tls, ARRAY_LEN(with_tls), e) < 0 || apply_ca(ld, o->ca_file, e) < 0)
            return -1;
        /* Last: what was set for TLS counts from here on. It fails where the CA file cannot be
         * read, which is no mistake of ours. */
        rc = ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &server);
        if (rc != LDAP_OPT_SUCCESS)
            return err_set(e, ERR_CONFIG, rc, "TLS cannot be set up: can '%s' be read?",
                           o->ca_file != NULL ? o->ca_file : SYSTEM_CA);
    }
    /* There is a buffer only where there is a connection already. */
    if (ldap_get_option(ld, LDAP_OPT_SOCKBUF, (void *)&sb) == LDAP_OPT_SUCCESS && sb != NULL)
        (void)ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &max_incoming);
    return 0;
}
