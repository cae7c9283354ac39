/* base/soap_read.c -- reading an answer; see soap.h. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/soap_inside.h"

enum { NODES_MAX = 100000, TEXT_MAX = 1024 * 1024 /* a stream's chunk */ };

const char *soap_text(const struct xml_node *n, const char *ns, const char *name)
{
    const struct xml_node *c = n != NULL ? xml_child(n, ns, name) : NULL;

    return c != NULL ? c->text : "";
}

bool soap_take(char *buf, size_t size, const char *s)
{
    size_t n;

    s += strspn(s, " \t\r\n");
    n = strlen(s);
    while (n > 0 && strchr(" \t\r\n", s[n - 1]) != NULL)
        n--;
    if (n >= size)
        return false;
    memcpy(buf, s, n);
    buf[n] = '\0';
    return true;
}

void soap_shown(char *buf, size_t size, const char *s)
{
    char shown[TEXT_SHOWN];
    size_t n = strlen(text_shown(shown, s));

    if (n >= size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)shown[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(buf, shown, n);
    buf[n] = '\0';
}

/* What stands in the quotes of another is not looked at. */
void soap_parameter(const char *type, const char *name, char *buf, size_t size)
{
    const char *s = type + strcspn(type, ";"), *value;
    size_t n = strlen(name), len;
    bool ours;

    buf[0] = '\0';
    while (*s == ';') {
        s++;
        s += strspn(s, " \t");
        ours = strncasecmp(s, name, n) == 0 && s[n] == '=';
        s += strcspn(s, "=;");
        if (*s == '=' && s[1] == '"') {
            value = s += 2;
            while (*s != '\0' && *s != '"')
                s += *s == '\\' && s[1] != '\0' ? 2 : 1;
            len = (size_t)(s - value);
        } else {
            value = s += *s == '=' ? 1 : 0;
            len = strcspn(s, "; \t");
        }
        if (ours) {
            (void)snprintf(buf, size, "%.*s", (int)len, value);
            return;
        }
        s += strcspn(s, ";");
    }
}

enum charset { UNSAID, UTF8, UTF16, UTF16LE, UTF16BE };

static int charset_of(const char *content_type, enum charset *ret, struct err *e)
{
    static const struct {
        const char *name;
        enum charset is;
    } known[] = {{"utf-8", UTF8},     {"utf8", UTF8},        {"us-ascii", UTF8},
                 {"utf-16", UTF16},   {"utf-16le", UTF16LE}, {"utf-16be", UTF16BE},
                 {"unicode", UTF16LE}};
    char name[32], shown[TEXT_SHOWN];

    *ret = UNSAID;
    if (content_type == NULL)
        return 0;
    soap_parameter(content_type, "charset", name, sizeof(name));
    if (name[0] == '\0')
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (text_eq_nocase(name, known[i].name)) {
            *ret = known[i].is;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, 0, "an answer in '%s', which is neither UTF-8 nor UTF-16",
                   text_shown(shown, name));
}

/* The encoding for the parser, by the charset and the BOM; the BOM is passed over. */
static int encoding_of(const char **s, size_t *n, enum charset said, const char **ret,
                       struct err *e)
{
    static const char utf8[] = "\xEF\xBB\xBF", le[] = "\xFF\xFE", be[] = "\xFE\xFF";
    enum charset seen = UNSAID;

    if (*n >= 3 && memcmp(*s, utf8, 3) == 0)
        seen = UTF8;
    else if (*n >= 2 && memcmp(*s, le, 2) == 0)
        seen = UTF16LE;
    else if (*n >= 2 && memcmp(*s, be, 2) == 0)
        seen = UTF16BE;
    *s += seen == UTF8 ? 3 : seen == UNSAID ? 0 : 2;
    *n -= seen == UTF8 ? 3 : seen == UNSAID ? 0 : 2;
    /* Without a BOM: by the first character, which is '<' in all of them. */
    if (seen == UNSAID)
        seen = *n >= 2 && (*s)[0] != '\0' && (*s)[1] == '\0'   ? UTF16LE
               : *n >= 2 && (*s)[0] == '\0' && (*s)[1] != '\0' ? UTF16BE
                                                               : UTF8;
    if (said != UNSAID && said != seen && !(said == UTF16 && (seen == UTF16LE || seen == UTF16BE)))
        return err_set(e, ERR_INVALID, 0, "an answer whose bytes are not in the charset it names");
    *ret = seen == UTF16LE ? "UTF-16LE" : seen == UTF16BE ? "UTF-16BE" : "UTF-8";
    return 0;
}

/* Both are "uuid:..." or a bare GUID: compared without regard to case and prefix. */
static bool same_id(const char *a, const char *b)
{
    a += strspn(a, " \t\r\n");
    if (strncasecmp(a, "urn:", 4) == 0)
        a += 4;
    if (strncasecmp(a, "uuid:", 5) == 0)
        a += 5;
    if (strncasecmp(b, "uuid:", 5) == 0)
        b += 5;
    return strncasecmp(a, b, strlen(b)) == 0 &&
           strspn(a + strlen(b), " \t\r\n") == strlen(a + strlen(b));
}

int soap_read(const void *bytes, size_t n, const char *content_type, const char *message_id,
              struct soap_answer *ret, struct err *e)
{
    CLEANUP(xml_freep) struct xml_doc *doc = NULL;
    struct xml_limits limits = {.bytes = SOAP_MAX_ANSWER, .nodes = NODES_MAX, .text = TEXT_MAX};
    const struct xml_node *root, *fault;
    struct soap_answer a = {0};
    const char *s = bytes;
    enum charset said;

    if (n == 0)
        return err_set(e, ERR_INVALID, 0, "an answer with nothing in it");
    if (n > SOAP_MAX_ANSWER)
        return err_set(e, ERR_TOOBIG, 0, "an answer of more than %d KiB", SOAP_MAX_ANSWER / 1024);
    if (charset_of(content_type, &said, e) < 0 ||
        encoding_of(&s, &n, said, &limits.encoding, e) < 0)
        return -1;
    if (xml_parse_limits(s, n, &limits, &doc, e) < 0)
        return err_wrap(e, "SOAP answer");
    root = xml_root(doc);
    if (strcmp(root->name, "Envelope") != 0 || strcmp(root->ns, SOAP_S) != 0)
        return err_set(e, ERR_INVALID, 0, "an answer that is no SOAP envelope");
    a.header = xml_child(root, SOAP_S, "Header");
    a.body = xml_child(root, SOAP_S, "Body");
    if (a.body == NULL || xml_again(a.body) != NULL)
        return err_set(e, ERR_INVALID, 0, "a SOAP envelope without one body");
    a.action = soap_text(a.header, SOAP_A, "Action");
    a.relates_to = soap_text(a.header, SOAP_A, "RelatesTo");
    fault = xml_child(a.body, SOAP_S, "Fault");
    /* A fault may leave it out, and claims nothing. */
    if (message_id != NULL && !same_id(a.relates_to, message_id) &&
        (fault == NULL || a.relates_to[0] != '\0'))
        return err_set(e, ERR_INVALID, 0, "the answer to another message");
    if (fault != NULL)
        soap_fault_read(fault, &a.fault);
    a.doc = TAKE(doc);
    *ret = a;
    return 0;
}

void soap_answer_done(struct soap_answer *a)
{
    xml_free(a->doc);
    *a = (struct soap_answer){0};
}
