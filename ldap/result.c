/* ldap/result.c -- see result.h. Unknown result codes are never taken for a refusal (L10). */
#include "ldap/result.h"

#include <gssapi/gssapi_krb5.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/text.h"

/* What a result means to one who asked, and to one who sent a change. After a change only what says
 * that nothing was done is a clear no: "it failed somehow" (1, 80) and "time is up" (3) may stand
 * for a change that was made, so they must be looked at. Retrying (51, 52, 11) begins by reading.
 * A code that is not here is no answer either (L10). */
static const struct {
    int native;
    enum err_code asked, changed;
} codes[] = {
    {LDAP_OPERATIONS_ERROR, ERR_REFUSED, ERR_UNPROVEN},
    {LDAP_PROTOCOL_ERROR, ERR_UNSUPPORTED, ERR_UNSUPPORTED},
    {LDAP_TIMELIMIT_EXCEEDED, ERR_BUSY, ERR_UNPROVEN},
    {LDAP_SIZELIMIT_EXCEEDED, ERR_TOOBIG, ERR_UNPROVEN},
    {LDAP_STRONG_AUTH_REQUIRED, ERR_AUTH, ERR_AUTH},
    {LDAP_REFERRAL, ERR_REFUSED, ERR_REFUSED},
    {LDAP_ADMINLIMIT_EXCEEDED, ERR_BUSY, ERR_BUSY},
    {LDAP_UNAVAILABLE_CRITICAL_EXTENSION, ERR_UNSUPPORTED, ERR_UNSUPPORTED},
    {LDAP_CONFIDENTIALITY_REQUIRED, ERR_REFUSED, ERR_REFUSED},
    {LDAP_NO_SUCH_ATTRIBUTE, ERR_CONFLICT, ERR_CONFLICT},
    {LDAP_UNDEFINED_TYPE, ERR_REFUSED, ERR_REFUSED},
    {LDAP_INAPPROPRIATE_MATCHING, ERR_REFUSED, ERR_REFUSED},
    {LDAP_CONSTRAINT_VIOLATION, ERR_REFUSED, ERR_REFUSED},
    {LDAP_TYPE_OR_VALUE_EXISTS, ERR_REFUSED, ERR_REFUSED},
    {LDAP_INVALID_SYNTAX, ERR_REFUSED, ERR_REFUSED},
    {LDAP_NO_SUCH_OBJECT, ERR_NOTFOUND, ERR_NOTFOUND},
    {LDAP_INVALID_DN_SYNTAX, ERR_INVALID, ERR_REFUSED},
    {LDAP_INVALID_CREDENTIALS, ERR_AUTH, ERR_AUTH},
    {LDAP_INSUFFICIENT_ACCESS, ERR_DENIED, ERR_DENIED},
    {LDAP_BUSY, ERR_BUSY, ERR_BUSY},
    {LDAP_UNAVAILABLE, ERR_BUSY, ERR_BUSY},
    {LDAP_UNWILLING_TO_PERFORM, ERR_REFUSED, ERR_REFUSED},
    {LDAP_OBJECT_CLASS_VIOLATION, ERR_REFUSED, ERR_REFUSED},
    {LDAP_OTHER, ERR_REFUSED, ERR_UNPROVEN},
};

enum err_code ad_result_code(int native, bool modify)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (codes[i].native == native)
            return modify ? codes[i].changed : codes[i].asked;
    }
    return modify ? ERR_UNPROVEN : ERR_INVALID;
}

/* reference: MS-ERREF win32 codes as DCs put them in front of their text */
static const struct {
    int native; /* 0: any */
    unsigned ext;
    const char *words;
} explained[] = {
    {1, 0x04dc, "not bound"},
    {8, 0x2028, "the DC requires signing"},
    {10, 0x202b, "a read-only DC, or another domain's: write to a writable DC of this domain"},
    {11, 0x2024, "the DC's limit is reached"},
    {19, 0x052d, "the password policy refuses it"},
    {53, 0x052d, "the password policy refuses it"},
    {19, 0x21c8, "the UPN is not unique"},
    {0, 0x200d, "the value exists already"},
    {32, 0x2030, "no such object: moved, deleted, or in another domain"},
    {32, 0x208d, "no such object: moved, deleted, or in another domain"},
    {50, 0x2098, "no right to write this property: delegate it (see cordon doctor)"},
    {50, 0x0005, "no right to reset the password: delegate it (see cordon doctor)"},
    {51, 0x200e, "the DC is busy"},
    {53, 0x2035, "not on a global catalog port, or a change that is not allowed"},
    {53, 0x001f, "a password needs an encrypted connection"},
    {65, 0x217c, "an account type bit does not fit the object class"},
    {80, 0x0057, "not a value that may be written"},
};

static const char *explain(int native, const char *text)
{
    unsigned ext = 0;
    uint8_t raw[4];
    char first[9] = "";

    if (strnlen(text, 8) == 8) {
        memcpy(first, text, 8);
        if (id_unhex(raw, 4, first))
            ext = (unsigned)raw[0] << 24 | (unsigned)raw[1] << 16 | (unsigned)raw[2] << 8 | raw[3];
    }
    for (size_t i = 0; ext != 0 && i < ARRAY_LEN(explained); i++) {
        if (explained[i].ext == ext && (explained[i].native == 0 || explained[i].native == native))
            return explained[i].words;
    }
    if (native == LDAP_INSUFFICIENT_ACCESS)
        return "no right: delegate it (see cordon doctor)";
    return NULL;
}

int ad_result_err(LDAP *ld, LDAPMessage *msg, bool modify, const char *host, unsigned *referrals,
                  struct err *e)
{
    char **uris = NULL;
    char *text = NULL, shown[TEXT_SHOWN];
    enum err_code code = modify ? ERR_UNPROVEN : ERR_INVALID;
    const char *words;
    int native = LDAP_OTHER, rc;

    *e = ERR_NONE;
    rc = ldap_parse_result(ld, msg, &native, NULL, &text, &uris, NULL, /* freeit */ 1);
    for (size_t i = 0; uris != NULL && uris[i] != NULL; i++)
        ++*referrals;
    ber_memvfree((void **)uris);
    if (rc != LDAP_SUCCESS)
        return err_set(e, code, rc, "%s: the DC's result cannot be read", host);
    if (native == LDAP_SUCCESS) {
        ldap_memfree(text);
        return 0;
    }
    code = ad_result_code(native, modify);
    words = explain(native, text != NULL ? text : "");
    (void)err_set(e, code, native, "%s: %s%s%s (result %d%s%s)", host, words != NULL ? words : "",
                  words != NULL ? "; " : "", ldap_err2string(native), native,
                  text != NULL && text[0] != '\0' ? ", " : "",
                  text != NULL && text[0] != '\0' ? text_shown(shown, text) : "");
    ldap_memfree(text);
    return -1;
}

/* Words in GSSAPI's and Windows' messages, and what a person does about it. */
static const struct {
    const char *needle;
    const char *words;
} bind_causes[] = {
    {"Server not found in Kerberos database",
     "the KDC does not know ldap/HOST: use the DC's full name, not an address or an alias"},
    {"No Kerberos credentials available", "no Kerberos ticket: run kinit, or use --as-agent"},
    {"No credentials cache", "no Kerberos ticket: run kinit, or use --as-agent"},
    {"Credentials cache", "no usable Kerberos ticket: run kinit, or use --as-agent"},
    {"Ticket expired", "the Kerberos ticket has expired: run kinit"},
    {"credentials expired", "the Kerberos ticket has expired: run kinit"},
    {"Ticket has expired", "the Kerberos ticket has expired: run kinit"},
    {"Clock skew",
     "the clocks differ by more than 5 minutes: set this host's time (chronyc tracking)"},
    {"Cannot contact any KDC", "no KDC answers: check port 88 to the DCs, and krb5.conf"},
    {"Cannot find KDC", "no KDC is known for the realm: check DNS or krb5.conf"},
    {"data 533", "the account that binds is disabled"},
    {"data 532", "the password of the account that binds has expired"},
    {"data 773", "the account that binds must change its password"},
    {"data 775", "the account that binds is locked out"},
    {"data 701", "the account that binds has expired"},
    {"80090346", "the DC wants a channel binding token and did not get a valid one"},
};

static const char *bind_cause(const char *text)
{
    for (size_t i = 0; text != NULL && i < ARRAY_LEN(bind_causes); i++) {
        if (strstr(text, bind_causes[i].needle) != NULL)
            return bind_causes[i].words;
    }
    return NULL;
}

static int bind_err(enum err_code code, int native, const char *text, struct err *e)
{
    const char *words = bind_cause(text);
    char shown[TEXT_SHOWN];

    return err_set(e, code, native, "bind: %s%s%s%s", words != NULL ? words : "",
                   words != NULL ? " (" : "", text_shown(shown, text), words != NULL ? ")" : "");
}

int ad_result_bind_err(LDAP *ld, int rc, struct err *e)
{
    enum err_code code = ERR_AUTH;
    char *text = NULL;

    (void)ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
    if (rc == LDAP_SERVER_DOWN || rc == LDAP_CONNECT_ERROR || rc == LDAP_TIMEOUT ||
        rc == LDAP_BUSY || rc == LDAP_UNAVAILABLE)
        code = ERR_UNSENT;
    (void)bind_err(code, rc, text != NULL && text[0] != '\0' ? text : ldap_err2string(rc), e);
    ldap_memfree(text);
    return -1;
}

int ad_result_tls_err(LDAP *ld, int rc, const char *ca_file, struct err *e)
{
    char *text = NULL, shown[TEXT_SHOWN], file[TEXT_SHOWN];

    (void)ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
    (void)err_set(e, ERR_UNSENT, rc,
                  "TLS: %s: is the DC's certificate for this name, in date, and of an authority in "
                  "%s%s?",
                  text_shown(shown, text != NULL && text[0] != '\0' && text[0] != '('
                                        ? text
                                        : ldap_err2string(rc)),
                  ca_file != NULL ? "" : "the system's list",
                  ca_file != NULL ? text_shown(file, ca_file) : "");
    ldap_memfree(text);
    return -1;
}

int ad_result_gss_err(OM_uint32 minor, struct err *e)
{
    gss_buffer_desc said = GSS_C_EMPTY_BUFFER;
    OM_uint32 ignored, more = 0;
    char text[300] = "GSSAPI";

    if (gss_display_status(&ignored, minor, GSS_C_MECH_CODE, (gss_OID)(uintptr_t)gss_mech_krb5,
                           &more, &said) == GSS_S_COMPLETE)
        (void)snprintf(text, sizeof(text), "%.*s", (int)said.length, (const char *)said.value);
    (void)gss_release_buffer(&ignored, &said);
    return bind_err(ERR_AUTH, (int)minor, text, e);
}
