/* base/xml_out.c -- see xml_out.h. */
#include "base/xml_out.h"

#include <string.h>

void xml_out_init(struct xml_out *x, struct text *to)
{
    *x = (struct xml_out){.to = to};
}

static void end_tag(struct xml_out *x)
{
    if (x->in_tag)
        text_addc(x->to, '>');
    x->in_tag = false;
}

/* XML 1.0, 2.2: Char */
static bool can_carry(uint32_t c)
{
    return c == 0x9 || c == 0xA || c == 0xD || (c >= 0x20 && c <= 0xD7FF) ||
           (c >= 0xE000 && c <= 0xFFFD) || (c >= 0x10000 && c <= 0x10FFFF);
}

static void add_escaped(struct xml_out *x, const char *s, bool attribute)
{
    size_t left = strlen(s);

    while (left > 0) {
        uint32_t c = 0;
        size_t n = text_utf8_next(s, left, &c);

        if (n == 0 || !can_carry(c)) {
            x->failed = true;
            return;
        }
        if (c == '<')
            text_add(x->to, "&lt;");
        else if (c == '>')
            text_add(x->to, "&gt;");
        else if (c == '&')
            text_add(x->to, "&amp;");
        else if (c == '"' && attribute)
            text_add(x->to, "&quot;");
        else if (c == 0xD || (attribute && (c == 0x9 || c == 0xA))) /* else readers change them */
            text_addf(x->to, "&#%u;", (unsigned)c);
        else
            text_addn(x->to, s, n);
        s += n;
        left -= n;
    }
}

void xml_out_open(struct xml_out *x, const char *name)
{
    if (x->depth == XML_OUT_DEPTH) {
        x->failed = true;
        return;
    }
    end_tag(x);
    x->open[x->depth++] = name;
    text_addf(x->to, "<%s", name);
    x->in_tag = true;
}

void xml_out_attr(struct xml_out *x, const char *name, const char *value)
{
    if (!x->in_tag) {
        x->failed = true;
        return;
    }
    text_addf(x->to, " %s=\"", name);
    add_escaped(x, value, /* attribute */ true);
    text_addc(x->to, '"');
}

void xml_out_text(struct xml_out *x, const char *s)
{
    if (x->depth == 0) {
        x->failed = true;
        return;
    }
    if (*s == '\0')
        return;
    end_tag(x);
    add_escaped(x, s, /* attribute */ false);
}

void xml_out_close(struct xml_out *x)
{
    if (x->depth == 0) {
        x->failed = true;
        return;
    }
    x->depth--;
    if (x->in_tag)
        text_add(x->to, "/>");
    else
        text_addf(x->to, "</%s>", x->open[x->depth]);
    x->in_tag = false;
}

void xml_out_leaf(struct xml_out *x, const char *name, const char *text)
{
    xml_out_open(x, name);
    if (text != NULL)
        xml_out_text(x, text);
    xml_out_close(x);
}

int xml_out_check(const struct xml_out *x, const char *what, struct err *e)
{
    if (x->failed || x->depth != 0)
        return err_set(e, ERR_INVALID, 0, "%s: a value that XML cannot carry", what);
    return text_check(x->to, what, e);
}
