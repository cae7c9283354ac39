/* base/gss.c -- see gss.h.
 *
 *   gss_step_start   what the peer sent goes along
 *   step_work        on the pool: name, ticket, credential (the first time), then one step
 *   step_done        on the loop: the callback; or the end, where gss_free came meanwhile
 *
 * While a step is under way the struct belongs to its job, but for `freed`, which only the loop
 * looks at. The service ticket is got by libkrb5 before GSSAPI is asked: then what the KDC says has
 * its own number, which SPNEGO would hide, and what follows is local.
 */
#include "base/gss.h"

#include <errno.h>
#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5/krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum {
    TOKEN_MAX = 128 * 1024, /* Windows' own limit of a ticket's size is 64 KB */
    FLAGS_NEEDED = GSS_C_MUTUAL_FLAG | GSS_C_CONF_FLAG | GSS_C_INTEG_FLAG | GSS_C_REPLAY_FLAG |
                   GSS_C_SEQUENCE_FLAG,
};

struct gss {
    struct loop *loop; /* borrowed */
    enum gss_mech mech;
    char *service, *host, *ccache;
    void *binding;
    size_t binding_len;

    gss_cred_id_t cred;
    gss_name_t name;
    gss_ctx_id_t ctx;
    bool done;   /* the context stands and is what we demand */
    bool broken; /* it failed, and will not be asked again */
    bool bound;
    char enctype[64];

    /* the step in hand */
    bool busy;  /* from its start until its callback has returned */
    bool freed; /* gss_free was called meanwhile */
    gss_cb cb;
    void *arg;
    void *in;
    size_t in_len;
    struct text out;
    int rc;
    struct err err;
};

/* --- life ------------------------------------------------------------------------------------ */

static void destroy(struct gss *g)
{
    OM_uint32 minor;

    (void)gss_delete_sec_context(&minor, &g->ctx, GSS_C_NO_BUFFER);
    (void)gss_release_cred(&minor, &g->cred);
    (void)gss_release_name(&minor, &g->name);
    text_done(&g->out);
    free(g->in);
    free(g->binding);
    free(g->service);
    free(g->host);
    free(g->ccache);
    free(g);
}

void gss_free(struct gss *g)
{
    if (g == NULL)
        return;
    g->freed = true;
    if (!g->busy)
        destroy(g);
}

void gss_freep(struct gss **g)
{
    gss_free(*g);
}

int gss_new(struct loop *l, const struct gss_settings *s, struct gss **ret_gss, struct err *e)
{
    CLEANUP(gss_freep) struct gss *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return err_set(e, ERR_NOMEM, 0, "Kerberos");
    g->loop = l;
    g->mech = s->mech;
    text_init(&g->out, TOKEN_MAX);
    g->service = text_dup(s->service);
    g->host = text_dup(s->host);
    g->ccache = text_dup(s->ccache);
    if (s->binding != NULL && (g->binding = malloc(s->binding_len + 1)) != NULL) {
        memcpy(g->binding, s->binding, s->binding_len);
        g->binding_len = s->binding_len;
    }
    if (g->service == NULL || g->host == NULL || (s->ccache != NULL && g->ccache == NULL) ||
        (s->binding != NULL && g->binding == NULL))
        return err_set(e, ERR_NOMEM, 0, "Kerberos");
    *ret_gss = TAKE(g);
    return 0;
}

bool gss_is_done(const struct gss *g)
{
    return g->done;
}

bool gss_is_bound(const struct gss *g)
{
    return g->bound;
}

const char *gss_enctype(const struct gss *g)
{
    return g->enctype;
}

uint32_t gss_left_s(const struct gss *g)
{
    OM_uint32 minor, left;

    if (!g->done || gss_context_time(&minor, g->ctx, &left) != GSS_S_COMPLETE)
        return 0;
    return left;
}

/* --- words for what went wrong --------------------------------------------------------------- */

static int krb_fail(const struct gss *g, krb5_context ctx, krb5_error_code code, struct err *e)
{
    const char *text = ctx != NULL ? krb5_get_error_message(ctx, code) : NULL;
    const char *mend = "";
    enum err_code how = ERR_AUTH;
    char shown[TEXT_SHOWN];

    switch (code) {
    case KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN:
    case KRB5_ERR_HOST_REALM_UNKNOWN:
        mend = ": the host's name is not its FQDN, or the SPN is missing (setspn -L HOST)";
        break;
    case KRB5KDC_ERR_ETYPE_NOSUPP:
        mend = ": no AES key for that service: set msDS-SupportedEncryptionTypes of its account";
        break;
    case KRB5KRB_AP_ERR_SKEW:
        mend =
            ": the clocks differ by more than 5 minutes: set this host's time (chronyc tracking)";
        break;
    case KRB5KRB_AP_ERR_TKT_EXPIRED:
    case KRB5KDC_ERR_NEVER_VALID:
        mend = ": run kinit again";
        break;
    case KRB5_FCC_NOFILE:
    case KRB5_CC_NOTFOUND:
    case KRB5_CC_END:
        mend = ": no Kerberos ticket: run kinit";
        break;
    case KRB5_CC_FORMAT:
    case KRB5_CCACHE_BADVNO:
    case KRB5_FCC_PERM:
    case KRB5_CC_UNKNOWN_TYPE:
    case KRB5_CC_BADNAME:
        mend = ": the ticket cache cannot be used (KRB5CCNAME)";
        break;
    case KRB5_KDC_UNREACH:
    case KRB5_REALM_UNKNOWN:
    case KRB5_REALM_CANT_RESOLVE:
        mend = ": check port 88 to the DCs, DNS (_kerberos._tcp SRV) and krb5.conf";
        how = ERR_TIMEOUT;
        break;
    case ENOMEM:
        how = ERR_NOMEM;
        break;
    default:
        break;
    }
    err_set_text(e, how, (int)code, "ticket for %s/%s: %s%s", g->service, g->host,
                 text != NULL ? text_shown(shown, text) : "Kerberos", mend);
    if (text != NULL)
        krb5_free_error_message(ctx, text);
    return -1;
}

static void add_status(struct text *t, OM_uint32 code, int type, gss_OID mech)
{
    OM_uint32 more = 0, minor;
    gss_buffer_desc s = GSS_C_EMPTY_BUFFER;

    do {
        if (gss_display_status(&minor, code, type, mech, &more, &s) != GSS_S_COMPLETE)
            return;
        if (t->len > 0)
            text_add(t, ": ");
        text_addn(t, s.value, strnlen(s.value, s.length)); /* SPNEGO counts its NUL */
        (void)gss_release_buffer(&minor, &s);
    } while (more != 0);
}

static gss_OID oid_of(const struct gss *g)
{
    static gss_OID_desc spnego = {6, (void *)"\x2b\x06\x01\x05\x05\x02"};

    return g->mech == GSS_SPNEGO ? &spnego : gss_mech_krb5;
}

/* `doing`: what failed, and what may be the reason. The context is at its end. */
static int gss_fail(struct gss *g, OM_uint32 major, OM_uint32 minor, const char *doing,
                    struct err *e)
{
    struct text t = TEXT_INIT(1024);
    char shown[TEXT_SHOWN];

    g->broken = true;
    g->done = false;
    if (!GSS_ERROR(major) && (major & GSS_S_CONTINUE_NEEDED) == 0 && major != GSS_S_COMPLETE)
        text_add(&t, "repeated, or out of sequence");
    else if (minor != 0)
        add_status(&t, minor, GSS_C_MECH_CODE, oid_of(g));
    else
        add_status(&t, major, GSS_C_GSS_CODE, GSS_C_NO_OID);
    err_set_text(e, minor == ENOMEM ? ERR_NOMEM : ERR_AUTH, (int)minor, "%s/%s: %s: %s", g->service,
                 g->host, doing, text_shownn(shown, t.s, t.len));
    text_done(&t);
    return -1;
}

/* --- the ticket and the credential (on the pool) --------------------------------------------- */

/* The service ticket into the cache. *ret_cache: the cache's full name, malloc'd by libkrb5. */
static krb5_error_code get_ticket(const struct gss *g, krb5_context ctx, char **ret_cache)
{
    krb5_creds want = {0}, *got = NULL;
    krb5_ccache cc = NULL;
    krb5_error_code rc;

    rc = g->ccache != NULL ? krb5_cc_resolve(ctx, g->ccache, &cc) : krb5_cc_default(ctx, &cc);
    if (rc == 0)
        rc = krb5_cc_get_principal(ctx, cc, &want.client);
    if (rc == 0)
        rc = krb5_sname_to_principal(ctx, g->host, g->service, KRB5_NT_SRV_HST, &want.server);
    if (rc == 0)
        rc = krb5_get_credentials(ctx, 0, cc, &want, &got);
    if (rc == 0)
        rc = krb5_cc_get_full_name(ctx, cc, ret_cache);
    krb5_free_creds(ctx, got);
    krb5_free_cred_contents(ctx, &want);
    if (cc != NULL)
        (void)krb5_cc_close(ctx, cc);
    return rc;
}

static int acquire(struct gss *g, const char *cache, struct err *e)
{
    gss_key_value_element_desc where = {"ccache", cache};
    gss_key_value_set_desc store = {1, &where};
    gss_OID_set_desc mechs = {1, oid_of(g)}, krb5_only = {1, gss_mech_krb5};
    gss_buffer_desc name;
    OM_uint32 major, minor = 0;
    struct text t = TEXT_INIT(512);
    int rc = 0;

    text_addf(&t, "%s@%s", g->service, g->host);
    name = (gss_buffer_desc){t.len, t.s};
    major = t.failed ? GSS_S_FAILURE
                     : gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &g->name);
    if (t.failed)
        rc = text_check(&t, "Kerberos", e);
    else if (major != GSS_S_COMPLETE)
        rc = gss_fail(g, major, minor, "name", e);
    text_done(&t);
    if (rc < 0)
        return rc;
    major = gss_acquire_cred_from(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &mechs, GSS_C_INITIATE,
                                  &store, &g->cred, NULL, NULL);
    /* Whatever plug-ins there are: SPNEGO offers nothing else (K2). */
    if (major == GSS_S_COMPLETE && g->mech == GSS_SPNEGO)
        major = gss_set_neg_mechs(&minor, g->cred, &krb5_only);
    return major == GSS_S_COMPLETE ? 0 : gss_fail(g, major, minor, "credential", e);
}

static int prepare(struct gss *g, struct err *e)
{
    krb5_context ctx = NULL;
    krb5_error_code code;
    char *cache = NULL;
    int rc;

    code = krb5_init_context(&ctx);
    if (code == 0)
        code = get_ticket(g, ctx, &cache);
    rc = code == 0 ? acquire(g, cache, e) : krb_fail(g, ctx, code, e);
    if (cache != NULL)
        krb5_free_string(ctx, cache);
    if (ctx != NULL)
        krb5_free_context(ctx);
    return rc;
}

/* --- the context ----------------------------------------------------------------------------- */

/* 1.2.840.113554.1.2.2.4 and the enctype. */
static unsigned read_enctype(const gss_buffer_desc *oid)
{
    const uint8_t *s = oid->value;

    return oid->length == 11 && s[10] < 0x80 ? s[10] : 0;
}

/* The key that messages are sealed with has to be one of AES. */
static int check_enctype(struct gss *g, struct err *e)
{
    static const char *const names[] = {
        [17] = "aes128-cts-hmac-sha1-96",
        [18] = "aes256-cts-hmac-sha1-96",
        [19] = "aes128-cts-hmac-sha256-128",
        [20] = "aes256-cts-hmac-sha384-192",
    };
    gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
    unsigned enctype = 0;
    OM_uint32 major, minor = 0;

    major = gss_inquire_sec_context_by_oid(&minor, g->ctx, GSS_C_INQ_SSPI_SESSION_KEY, &set);
    if (major == GSS_S_COMPLETE && set != NULL && set->count == 2) {
        enctype = read_enctype(&set->elements[1]);
        explicit_bzero(set->elements[0].value, set->elements[0].length);
    }
    (void)gss_release_buffer_set(&minor, &set);
    if (enctype >= ARRAY_LEN(names) || names[enctype] == NULL) {
        g->broken = true;
        return err_set(e, ERR_AUTH, (int)enctype,
                       "%s/%s: the key is not AES (enctype %u): set msDS-SupportedEncryptionTypes "
                       "of the host's account",
                       g->service, g->host, enctype);
    }
    (void)snprintf(g->enctype, sizeof(g->enctype), "%s", names[enctype]);
    return 0;
}

static int check_context(struct gss *g, OM_uint32 flags, struct err *e)
{
    gss_OID mech = GSS_C_NO_OID;
    OM_uint32 major, minor = 0;

    major = gss_inquire_context(&minor, g->ctx, NULL, NULL, NULL, &mech, NULL, NULL, NULL);
    if (major != GSS_S_COMPLETE)
        return gss_fail(g, major, minor, "context", e);
    if (mech == GSS_C_NO_OID || mech->length != gss_mech_krb5->length ||
        memcmp(mech->elements, gss_mech_krb5->elements, mech->length) != 0) {
        g->broken = true;
        return err_set(e, ERR_AUTH, 0, "%s/%s: the peer chose another login than Kerberos",
                       g->service, g->host);
    }
    if ((flags & FLAGS_NEEDED) != FLAGS_NEEDED) {
        g->broken = true;
        return err_set(e, ERR_AUTH, (int)flags,
                       "%s/%s: the context lacks protection that was asked for (flags 0x%x)",
                       g->service, g->host, (unsigned)flags);
    }
    if (check_enctype(g, e) < 0)
        return -1;
    g->bound = g->binding != NULL;
    g->done = true;
    return 0;
}

static int init_context(struct gss *g, struct err *e)
{
    struct gss_channel_bindings_struct bindings = {
        .application_data = {g->binding_len, g->binding}};
    gss_buffer_desc in = {g->in_len, g->in}, out = GSS_C_EMPTY_BUFFER;
    OM_uint32 want = FLAGS_NEEDED | (g->binding != NULL ? GSS_C_CHANNEL_BOUND_FLAG : 0);
    OM_uint32 major, minor = 0, ignored, flags = 0;
    bool first = g->ctx == GSS_C_NO_CONTEXT;

    if (!first && g->in_len == 0) {
        g->broken = true;
        return err_set(e, ERR_AUTH, 0, "%s/%s: the peer did not prove who it is", g->service,
                       g->host);
    }
    major = gss_init_sec_context(&minor, g->cred, &g->ctx, g->name, oid_of(g), want, 0,
                                 g->binding != NULL ? &bindings : GSS_C_NO_CHANNEL_BINDINGS, &in,
                                 NULL, &out, &flags, NULL);
    text_clear(&g->out);
    text_addn(&g->out, out.value, out.length);
    (void)gss_release_buffer(&ignored, &out);
    if (major != GSS_S_COMPLETE && major != GSS_S_CONTINUE_NEEDED)
        return gss_fail(g, major, minor,
                        first ? "login"
                              : "login refused, or the peer is not who it should be (its clock, or "
                                "the SPN is another account's?)",
                        e);
    if (text_check(&g->out, "Kerberos token", e) < 0) {
        g->broken = true;
        return -1;
    }
    return major == GSS_S_COMPLETE ? check_context(g, flags, e) : 0;
}

/* --- a step ---------------------------------------------------------------------------------- */

static void step_work(void *arg) /* worker: nobody else touches g now */
{
    struct gss *g = arg;

    g->rc = g->cred == GSS_C_NO_CREDENTIAL ? prepare(g, &g->err) : 0;
    if (g->rc == 0)
        g->rc = init_context(g, &g->err);
    if (g->rc < 0)
        g->broken = true;
}

static void step_done(void *arg, bool canceled)
{
    struct gss *g = arg;

    if (canceled)
        g->rc = err_set(&g->err, ERR_CANCELED, 0, "login: never started");
    if (!g->freed) {
        bool ok = g->rc == 0;

        g->cb(g->arg, ok ? g->out.s : NULL, ok ? g->out.len : 0, ok && g->done,
              ok ? NULL : &g->err);
    }
    g->busy = false;
    if (g->freed)
        destroy(g);
}

int gss_step_start(struct gss *g, const void *token, size_t len, gss_cb cb, void *arg,
                   struct err *e)
{
    void *in = NULL;

    if (g->busy || g->done || g->broken)
        return err_set(e, ERR_INTERNAL, 0, "Kerberos: a step that is not due");
    if (len > TOKEN_MAX)
        return err_set(e, ERR_TOOBIG, 0, "Kerberos: the peer's token");
    if (len > 0 && (in = malloc(len)) == NULL)
        return err_set(e, ERR_NOMEM, 0, "Kerberos");
    if (len > 0)
        memcpy(in, token, len);
    free(g->in);
    g->in = in;
    g->in_len = len;
    g->cb = cb;
    g->arg = arg;
    if (loop_job_start(g->loop, step_work, step_done, g, e) < 0)
        return -1;
    g->busy = true;
    return 0;
}

/* --- messages -------------------------------------------------------------------------------- */

int gss_seal_message(struct gss *g, const void *plain, size_t len, struct text *token,
                     struct text *sealed, struct err *e)
{
    CLEANUP(cleanup_charp) char *copy = malloc(len + 1);
    gss_iov_buffer_desc iov[3] = {
        {.type = GSS_IOV_BUFFER_TYPE_HEADER | GSS_IOV_BUFFER_FLAG_ALLOCATE},
        {.type = GSS_IOV_BUFFER_TYPE_DATA, .buffer = {len, copy}},
        {.type = GSS_IOV_BUFFER_TYPE_PADDING | GSS_IOV_BUFFER_FLAG_ALLOCATE},
    };
    OM_uint32 major, minor = 0, ignored;
    int sealed_too = 0;

    if (copy == NULL)
        return err_set(e, ERR_NOMEM, 0, "Kerberos");
    if (!g->done)
        return err_set(e, ERR_INTERNAL, 0, "Kerberos: there is no context to seal with");
    memcpy(copy, plain, len);
    major = gss_wrap_iov(&minor, g->ctx, /* conf_req */ 1, GSS_C_QOP_DEFAULT, &sealed_too, iov, 3);
    if (major == GSS_S_COMPLETE && sealed_too) {
        text_addn(token, iov[0].buffer.value, iov[0].buffer.length);
        text_addn(sealed, iov[1].buffer.value, iov[1].buffer.length);
        text_addn(sealed, iov[2].buffer.value, iov[2].buffer.length);
    }
    (void)gss_release_iov_buffer(&ignored, iov, 3);
    if (major != GSS_S_COMPLETE || !sealed_too)
        return gss_fail(g, major, minor, "the message cannot be sealed", e);
    /* What is lost here is missed by the peer's sequence. */
    if (text_check(token, "token", e) < 0 || text_check(sealed, "sealed message", e) < 0) {
        g->done = false;
        g->broken = true;
        return -1;
    }
    return 0;
}

/* Laid end to end: then it does not matter where the peer parts header and data. Anything but
 * COMPLETE is a failure, the warnings of replay and sequence too. */
int gss_unseal_message(struct gss *g, const void *token, size_t token_len, const void *sealed,
                       size_t sealed_len, struct text *plain, struct err *e)
{
    gss_buffer_desc in = {token_len + sealed_len, NULL}, out = GSS_C_EMPTY_BUFFER;
    OM_uint32 major, minor = 0, ignored;
    int was_sealed = 0;
    char *both = malloc(in.length + 1);

    if (both == NULL)
        return err_set(e, ERR_NOMEM, 0, "Kerberos");
    in.value = both;
    memcpy(both, token, token_len);
    memcpy(both + token_len, sealed, sealed_len);
    if (!g->done) {
        free(both);
        return err_set(e, ERR_AUTH, 0, "Kerberos: there is no context to unseal with");
    }
    major = gss_unwrap(&minor, g->ctx, &in, &out, &was_sealed, NULL);
    free(both);
    if (major == GSS_S_COMPLETE && was_sealed)
        text_addn(plain, out.value, out.length);
    (void)gss_release_buffer(&ignored, &out);
    if (major != GSS_S_COMPLETE || !was_sealed)
        return gss_fail(g, major, minor, "the answer is not what the peer sealed", e);
    if (text_check(plain, "unsealed message", e) < 0) {
        g->done = false;
        g->broken = true;
        return -1;
    }
    return 0;
}
