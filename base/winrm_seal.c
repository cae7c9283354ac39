/* base/winrm_seal.c -- see winrm_seal.h. MS-WSMV 2.2.9.1, and what servers really send (winrm.md
 * 2.4).
 */
#include "base/winrm_seal.h"

#include <string.h>
#include <strings.h>

#include "base/soap_inside.h"

#define BOUNDARY "Encrypted Boundary"
#define OCTETS "application/octet-stream"

enum { LINES_MAX = 16, LINE_MAX_BYTES = 1024 };

static const char *protocol(enum winrm_seal how)
{
    return how == WINRM_SEAL_KERBEROS ? "application/HTTP-Kerberos-session-encrypted"
                                      : "application/HTTP-SPNEGO-session-encrypted";
}

const char *winrm_seal_type(enum winrm_seal how)
{
    return how == WINRM_SEAL_KERBEROS
               ? "multipart/encrypted;protocol=\"application/HTTP-Kerberos-session-encrypted\";"
                 "boundary=\"" BOUNDARY "\""
               : "multipart/encrypted;protocol=\"application/HTTP-SPNEGO-session-encrypted\";"
                 "boundary=\"" BOUNDARY "\"";
}

void winrm_seal_write(struct text *out, enum winrm_seal how, size_t plain_len, const void *token,
                      size_t token_len, const void *sealed, size_t sealed_len)
{
    const uint8_t length[4] = {(uint8_t)token_len, (uint8_t)(token_len >> 8),
                               (uint8_t)(token_len >> 16), (uint8_t)(token_len >> 24)};

    text_addf(out,
              "--" BOUNDARY "\r\nContent-Type: %s\r\n"
              "OriginalContent: type=application/soap+xml;charset=UTF-8;Length=%zu\r\n"
              "--" BOUNDARY "\r\nContent-Type: " OCTETS "\r\n",
              protocol(how), plain_len);
    text_addn(out, length, sizeof(length));
    text_addn(out, token, token_len);
    text_addn(out, sealed, sealed_len);
    text_add(out, "--" BOUNDARY "--\r\n");
}

/* --- reading ------------------------------------------------------------------------------------
 */

struct cursor {
    const char *s;
    size_t left;
};

/* The next line without its end and the blanks around it, into buf. False: none, or too long. */
static bool next_line(struct cursor *c, char buf[LINE_MAX_BYTES])
{
    const char *end = c->left > 0 ? memchr(c->s, '\n', c->left) : NULL;
    const char *s = c->s;
    size_t n;

    if (end == NULL)
        return false;
    n = (size_t)(end - s);
    c->left -= n + 1;
    c->s = end + 1;
    while (n > 0 && (*s == ' ' || *s == '\t')) {
        s++;
        n--;
    }
    while (n > 0 && (s[n - 1] == '\r' || s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    if (n >= LINE_MAX_BYTES || memchr(s, '\0', n) != NULL)
        return false;
    memcpy(buf, s, n);
    buf[n] = '\0';
    return true;
}

/* "Name: value" -> value; NULL where it is another header. */
static const char *value_of(const char *line, const char *name)
{
    size_t n = strlen(name);

    if (strncasecmp(line, name, n) != 0)
        return NULL;
    line += n;
    line += strspn(line, " \t");
    if (*line != ':')
        return NULL;
    line++;
    return line + strspn(line, " \t");
}

/* "type=application/soap+xml;charset=UTF-8;Length=1234" */
static bool read_original(const char *s, struct winrm_sealed *ret)
{
    char length[24];
    const char *type = NULL;
    size_t type_len = 0;
    uint64_t n = 0;
    bool has_length = false;

    for (const char *at = s + strspn(s, " \t"); *at != '\0'; at += strspn(at, "; \t")) {
        size_t len = strcspn(at, ";");

        if (strncasecmp(at, "type=", 5) == 0) {
            type = at + 5;
            type_len = len - 5;
        } else if (strncasecmp(at, "charset=", 8) == 0 && type != NULL) {
            type_len = (size_t)(at + len - type);
        } else if (strncasecmp(at, "Length=", 7) == 0) {
            size_t digits = len - 7;

            while (digits > 0 && (at[6 + digits] == ' ' || at[6 + digits] == '\t'))
                digits--;
            if (has_length || digits >= sizeof(length))
                return false;
            memcpy(length, at + 7, digits);
            length[digits] = '\0';
            if (!text_to_u64(length, 0, SOAP_MAX_ANSWER, &n))
                return false;
            has_length = true;
        }
        at += len;
    }
    if (type == NULL || !has_length || type_len >= sizeof(ret->original_type))
        return false;
    memcpy(ret->original_type, type, type_len);
    ret->original_type[type_len] = '\0';
    ret->plain_len = (size_t)n;
    return true;
}

/* What stands in front of the closing boundary, "--NAME--": the sealed bytes may hold anything, a
 * look-alike included. By the name that the type gives, blanks around it passed over; by the last
 * "--" where it gives none, or another one. */
static bool cut_boundary(struct cursor *c, const char *name)
{
    size_t n = c->left, len = strlen(name), at;

    while (n > 0 && strchr("\r\n \t", c->s[n - 1]) != NULL && c->s[n - 1] != '\0')
        n--;
    if (n < 4 || memcmp(c->s + n - 2, "--", 2) != 0)
        return false;
    n -= 2;
    if (len > 0 && n >= len + 2 && memcmp(c->s + n - len, name, len) == 0) {
        at = n - len;
        while (at > 2 && c->s[at - 1] == ' ')
            at--;
        if (c->s[at - 2] == '-' && c->s[at - 1] == '-') {
            c->left = at - 2;
            return true;
        }
    }
    for (; n >= 2; n--) {
        if (c->s[n - 2] == '-' && c->s[n - 1] == '-') {
            c->left = n - 2;
            return true;
        }
    }
    return false;
}

/* Is a media type, whatever its case and the blanks around, of this name? */
static bool is_type(const char *s, const char *name)
{
    size_t n = strlen(name);

    s += strspn(s, " \t");
    return strncasecmp(s, name, n) == 0 && (s[n] == '\0' || strchr("; \t", s[n]) != NULL);
}

static bool has_protocol(const char *type, enum winrm_seal how)
{
    const char *want = protocol(how);
    size_t n = strlen(want);

    for (const char *s = type; *s != '\0'; s++) {
        if (strncasecmp(s, want, n) == 0)
            return true;
    }
    return false;
}

int winrm_seal_read(const void *bytes, size_t n, const char *content_type, enum winrm_seal how,
                    struct winrm_sealed *ret, struct err *e)
{
    struct cursor c = {bytes, n};
    char boundary[80];
    struct winrm_sealed got = {0};
    char line[LINE_MAX_BYTES];
    bool protocol_seen = false, original_seen = false;
    const uint8_t *p;
    const char *v;
    size_t token;

    if (content_type == NULL)
        return err_set(e, ERR_INVALID, 0,
                       "an answer without a Content-Type, where a sealed one is due");
    if (is_type(content_type, "multipart/x-multi-encrypted"))
        return err_set(e, ERR_UNSUPPORTED, 0, "an answer sealed by CredSSP");
    if (!is_type(content_type, "multipart/encrypted"))
        return err_set(e, ERR_INVALID, 0, "an answer in clear, where a sealed one is due");
    if (!has_protocol(content_type, how))
        return err_set(e, ERR_INVALID, 0, "an answer sealed by another protocol than was agreed");
    for (int i = 0;; i++) {
        if (i == LINES_MAX || !next_line(&c, line))
            return err_set(e, ERR_INVALID, 0, "a sealed answer whose head cannot be read");
        if ((v = value_of(line, "OriginalContent")) != NULL) {
            if (original_seen || !read_original(v, &got))
                return err_set(e, ERR_INVALID, 0, "a sealed answer with a bad OriginalContent");
            original_seen = true;
        } else if ((v = value_of(line, "Content-Type")) != NULL) {
            if (is_type(v, OCTETS))
                break;
            if (!is_type(v, protocol(how)))
                return err_set(e, ERR_INVALID, 0,
                               "an answer sealed by another protocol than was agreed");
            protocol_seen = true;
        }
    }
    if (!protocol_seen || !original_seen)
        return err_set(e, ERR_INVALID, 0, "a sealed answer without its OriginalContent");
    soap_parameter(content_type, "boundary", boundary, sizeof(boundary));
    if (!cut_boundary(&c, boundary[0] != '\0' ? boundary : BOUNDARY))
        return err_set(e, ERR_INVALID, 0, "a sealed answer without its end");
    if (c.left < 4)
        return err_set(e, ERR_INVALID, 0, "a sealed answer without a token");
    p = (const uint8_t *)c.s;
    token = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (token > c.left - 4)
        return err_set(e, ERR_INVALID, 0, "a sealed answer with a token longer than itself");
    got.token = p + 4;
    got.token_len = token;
    got.sealed = p + 4 + token;
    got.sealed_len = c.left - 4 - token;
    *ret = got;
    return 0;
}
