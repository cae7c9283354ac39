/* base/winrm_auth.c -- see winrm_inside.h. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/winrm_inside.h"

const char *winrm_scheme(enum winrm_auth a)
{
    return a == WINRM_KERBEROS ? "Kerberos" : "Negotiate";
}

/* --- challenges (RFC 9110 11.6.1) ------------------------------------------------------------ */

static const char token_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "!#$%&'*+-.^_`|~";
static const char token68_chars[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/";
static const char base64_chars[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";

void winrm_challenge_init(struct winrm_challenge *c)
{
    *c = (struct winrm_challenge){0};
    text_init(&c->token, WINRM_TOKEN_MAX);
}

static int unbase64(const char *s, size_t n, struct text *out, struct err *e)
{
    size_t pad = n > 0 && s[n - 1] == '=' ? (n > 1 && s[n - 2] == '=' ? 2 : 1) : 0;
    CLEANUP(cleanup_charp) char *raw = malloc(n + 1);

    if (raw == NULL)
        return err_set(e, ERR_NOMEM, 0, "login");
    if (n % 4 != 0 || n > 2 * WINRM_TOKEN_MAX || strspn(s, base64_chars) != n - pad ||
        EVP_DecodeBlock((uint8_t *)raw, (const uint8_t *)s, (int)n) != (int)(n / 4 * 3))
        return err_set(e, ERR_INVALID, 0, "the server's login token is no base64");
    text_clear(out);
    text_addn(out, raw, n / 4 * 3 - pad);
    return text_check(out, "the server's login token", e);
}

static void offer(struct winrm_challenge *c, const char *s, size_t n)
{
    size_t len = strlen(c->offered);

    if (n < 32 && len + n + 3 < sizeof(c->offered))
        (void)snprintf(c->offered + len, sizeof(c->offered) - len, "%s%.*s", len > 0 ? ", " : "",
                       (int)n, s);
}

/* Behind the name of a parameter: '=' and its value. */
static const char *skip_value(const char *s)
{
    s += strspn(s, "= \t");
    if (*s != '"')
        return s + strcspn(s, ",");
    for (s++; *s != '\0' && *s != '"'; s++) {
        if (*s == '\\' && s[1] != '\0')
            s++;
    }
    return *s == '"' ? s + 1 : s;
}

int winrm_challenge_add(struct winrm_challenge *c, const char *value, const char *scheme,
                        struct err *e)
{
    const char *s = value;

    while (*(s += strspn(s, ", \t")) != '\0') {
        size_t n = strspn(s, token_chars), gap, t;
        const char *word = s;
        bool ours;

        if (n == 0) { /* not ours to understand: on behind the next comma */
            s += strcspn(s, ",");
            continue;
        }
        s += n;
        gap = strspn(s, " \t");
        if (s[gap] == '=') { /* a parameter of the scheme before */
            s = skip_value(s + gap);
            continue;
        }
        offer(c, word, n);
        ours = n == strlen(scheme) && strncasecmp(word, scheme, n) == 0;
        c->named = c->named || ours;
        s += gap;
        t = strspn(s, token68_chars);
        t += strspn(s + t, "=");
        if (t == 0 || s[t + strspn(s + t, " \t")] == '=' ||
            (s[t + strspn(s + t, " \t")] != ',' && s[t + strspn(s + t, " \t")] != '\0'))
            continue; /* parameters follow, or nothing */
        if (ours && !c->has_token) {
            if (unbase64(s, t, &c->token, e) < 0)
                return -1;
            c->has_token = true;
        }
        s += t;
    }
    return 0;
}

int winrm_authorization(const char *scheme, const void *token, size_t len,
                        struct secret **ret_value, struct err *e)
{
    CLEANUP(secret_freep) struct secret *exact = NULL;
    size_t name = strlen(scheme) + 1, n = name + (len + 2) / 3 * 4;
    CLEANUP(cleanup_charp) char *buf = NULL;

    if (len > WINRM_TOKEN_MAX)
        return err_set(e, ERR_TOOBIG, 0, "login token");
    if ((buf = malloc(n + 1)) == NULL)
        return err_set(e, ERR_NOMEM, 0, "login");
    (void)snprintf(buf, n + 1, "%s ", scheme);
    (void)EVP_EncodeBlock((uint8_t *)buf + name, token, (int)len);
    if (secret_new(n, &exact, e) < 0)
        return -1;
    memcpy(secret_bytes(exact), buf, n);
    explicit_bzero(buf, n);
    *ret_value = TAKE(exact);
    return 0;
}

bool winrm_cookie(const char *set_cookie, char buf[WINRM_COOKIE])
{
    static const char name[] = "MS-WSMAN=";
    size_t n = strcspn(set_cookie, ";");

    while (n > 0 && set_cookie[n - 1] == ' ')
        n--;
    if (strncasecmp(set_cookie, name, strlen(name)) != 0 || n >= WINRM_COOKIE)
        return false;
    for (size_t i = 0; i < n; i++) { /* RFC 6265 4.1.1 */
        char ch = set_cookie[i];

        if (ch <= ' ' || ch > '~' || ch == '"' || ch == ',' || ch == '\\')
            return false;
    }
    (void)snprintf(buf, WINRM_COOKIE, "%.*s", (int)n, set_cookie);
    return true;
}

bool winrm_is_type(const char *content_type, const char *type)
{
    size_t n = strlen(type);

    if (content_type == NULL)
        return false;
    content_type += strspn(content_type, " \t");
    return strncasecmp(content_type, type, n) == 0 && strchr("; \t", content_type[n]) != NULL;
}

/* --- words (winrm.md 2.7) -------------------------------------------------------------------- */

int winrm_refused_err(const struct winrm *w, bool with_token, struct err *e)
{
    const char *offers = w->facts.offered[0] != '\0' ? w->facts.offered : "nothing";

    if (w->auth == WINRM_CERTIFICATE)
        return err_set(e, ERR_AUTH, 401,
                       "%s:%u refused the client certificate (401; it offers: %s): is "
                       "Auth/Certificate on, and is there one certmapping for it?",
                       w->host, w->port, offers);
    if (!with_token)
        return err_set(e, ERR_AUTH, 401, "%s:%u does not offer %s (it offers: %s)", w->host,
                       w->port, winrm_scheme(w->auth), offers);
    return err_set(e, ERR_AUTH, 401,
                   "%s:%u refused the ticket for %s/%s (401; it offers: %s): the SPN is another "
                   "account's, the clocks differ, the account may not log on from the network%s",
                   w->host, w->port, w->service, w->host, offers,
                   w->tls ? ", or CbtHardeningLevel is Strict and something between ends the TLS"
                          : "");
}

int winrm_status_err(const struct winrm *w, long status, struct err *e)
{
    static const struct {
        long status;
        enum err_code code;
        const char *words;
    } rows[] = {
        {200, ERR_INVALID, "an answer without SOAP"},
        {400, ERR_REFUSED,
         "it does not understand the request (broken framing, or AllowUnencrypted is false)"},
        {403, ERR_DENIED, "access denied"},
        {404, ERR_UNSUPPORTED, "no WinRM there: another web server has the port"},
        {405, ERR_UNSUPPORTED, "no WinRM there: another web server has the port"},
        {413, ERR_TOOBIG, "the request is over its MaxEnvelopeSizekb"},
        {500, ERR_INVALID, "an error without SOAP (broken framing, or AllowUnencrypted is false)"},
        {503, ERR_BUSY, "WinRM is starting, or out of resources: try again later"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].status == status)
            return err_set(e, rows[i].code, (int)status, "%s:%u: HTTP status %ld: %s", w->host,
                           w->port, status, rows[i].words);
    }
    return err_set(e, status >= 300 && status < 500 ? ERR_REFUSED : ERR_INVALID, (int)status,
                   "%s:%u: HTTP status %ld", w->host, w->port, status);
}
