/* cloud/queue_azure_xml.c -- bodies of the queue service, out and in. See queue_azure_inside.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xml.h"
#include "cloud/field.h"
#include "cloud/queue_azure_inside.h"

/* --- out ------------------------------------------------------------------------------------- */

/* X2. The text is UTF-8: what remains that XML cannot carry are control characters and two that are
 * none. */
static bool add_escaped(struct text *t, const char *s)
{
    for (size_t n = strlen(s); n > 0;) {
        uint32_t c;
        size_t len = text_utf8_next(s, n, &c);

        if (len == 0 || (c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0xFFFE ||
            c == 0xFFFF)
            return false;
        if (c == '<')
            text_add(t, "&lt;");
        else if (c == '>')
            text_add(t, "&gt;");
        else if (c == '&')
            text_add(t, "&amp;");
        else if (c == '\r')
            text_add(t, "&#13;");
        else
            text_addn(t, s, len);
        s += len;
        n -= len;
    }
    return true;
}

int azure_body(struct text *t, const char *text, struct err *e)
{
    static const char head[] = "<?xml version=\"1.0\" encoding=\"utf-8\"?>"
                               "<QueueMessage><MessageText>";
    size_t before;

    text_add(t, head);
    before = t->len;
    if (!add_escaped(t, text))
        return err_set(e, ERR_INVALID, 0, "Azure: a character that a message cannot carry");
    if (t->failed || t->len - before > AZURE_TEXT_MAX)
        return err_set(e, ERR_TOOBIG, 0, "Azure: more than the %d bytes of a message",
                       AZURE_TEXT_MAX);
    text_add(t, "</MessageText></QueueMessage>");
    return text_check(t, "Azure", e);
}

/* --- in -------------------------------------------------------------------------------------- */

void azure_list_done(struct azure_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->m[i].id);
        free(l->m[i].receipt);
        free(l->m[i].text);
    }
    l->n = 0;
}

static const char *leaf(const struct xml_node *n, const char *name)
{
    const struct xml_node *c = xml_child(n, "", name);

    return c != NULL && c->child == NULL ? c->text : NULL;
}

static int64_t date_of(const char *s)
{
    int64_t ms;

    return s != NULL && http_date(s, &ms) ? ms : 0;
}

bool azure_receipt_ok(const char *s)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++) {
        if (s[i] <= ' ' || s[i] > '~')
            return false;
    }
    return n > 0 && n <= AZURE_RECEIPT_MAX;
}

static int read_message(const struct xml_node *n, bool peeked, struct azure_message *m,
                        struct err *e)
{
    const char *id = leaf(n, "MessageId"), *receipt = leaf(n, "PopReceipt");
    const char *count = leaf(n, "DequeueCount"), *text = leaf(n, "MessageText");
    uint64_t deliveries = 0;

    if (!field_opaque_ok(id) || text == NULL || count == NULL ||
        !text_to_u64(count, 0, UINT32_MAX, &deliveries) ||
        (!peeked && (receipt == NULL || !azure_receipt_ok(receipt))))
        return err_set(e, ERR_INVALID, 0, "Azure: a message without what it should have");
    m->id = text_dup(id);
    m->text = text_dup(text);
    m->receipt = peeked ? NULL : text_dup(receipt);
    m->deliveries = (unsigned)deliveries;
    m->put_ms = date_of(leaf(n, "InsertionTime"));
    m->visible_ms = date_of(leaf(n, "TimeNextVisible"));
    if (m->id == NULL || m->text == NULL || (!peeked && m->receipt == NULL))
        return err_set(e, ERR_NOMEM, 0, "Azure");
    return 0;
}

int azure_list_read(const char *s, size_t n, bool peeked, struct azure_list *ret_list,
                    struct err *e)
{
    CLEANUP(xml_freep) struct xml_doc *doc = NULL;
    CLEANUP(azure_list_done) struct azure_list l = {.n = 0};
    const struct xml_node *root, *c;

    if (xml_parse(s, n, &doc, e) < 0)
        return err_wrap(e, "Azure");
    root = xml_root(doc);
    if (strcmp(root->name, "QueueMessagesList") != 0 || root->ns[0] != '\0')
        return err_set(e, ERR_INVALID, 0, "Azure: no list of messages");
    for (c = xml_child(root, "", "QueueMessage"); c != NULL; c = xml_again(c)) {
        if (l.n == QUEUE_BATCH_MAX)
            return err_set(e, ERR_INVALID, 0, "Azure: more messages than were asked for");
        l.m[l.n] = (struct azure_message){.id = NULL};
        l.n++; /* freed with the others where it cannot be read */
        if (read_message(c, peeked, &l.m[l.n - 1], e) < 0)
            return -1;
    }
    *ret_list = l;
    l.n = 0;
    return 0;
}

void azure_error_code(const char *s, size_t n, char *buf, size_t size)
{
    CLEANUP(xml_freep) struct xml_doc *doc = NULL;
    struct err e;
    const char *code;

    buf[0] = '\0';
    if (n == 0 || n > XML_MAX_BYTES || xml_parse(s, n, &doc, &e) < 0)
        return;
    code = strcmp(xml_root(doc)->name, "Error") == 0 ? leaf(xml_root(doc), "Code") : NULL;
    if (field_opaque_ok(code))
        field_copy(buf, size, code);
}
