/* base/xml_out.h -- writing XML: elements are opened and closed by name, text is escaped here.
 *
 * Nothing else puts a '<' into a document, so text from outside can not become markup. A character
 * that XML 1.0 can not carry, broken UTF-8, too deep a nesting or a close without an open set
 * `failed`, which stays set: write freely, then ask once with xml_out_check.
 */
#ifndef CORDON_BASE_XML_OUT_H
#define CORDON_BASE_XML_OUT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/text.h"

enum { XML_OUT_DEPTH = 32 };

struct xml_out {
    struct text *to; /* borrowed */
    const char *open[XML_OUT_DEPTH];
    unsigned depth;
    bool in_tag; /* "<name ..." is not closed by '>' yet */
    bool failed;
};

void xml_out_init(struct xml_out *x, struct text *to);
/* `name`: ours, with its prefix; borrowed until it is closed. */
void xml_out_open(struct xml_out *x, const char *name);
/* Of the element just opened, before any text or child. `name` is ours, `value` anybody's. */
void xml_out_attr(struct xml_out *x, const char *name, const char *value);
void xml_out_text(struct xml_out *x, const char *s);
void xml_out_close(struct xml_out *x);
/* <name>text</name>; text NULL or "": <name/> */
void xml_out_leaf(struct xml_out *x, const char *name, const char *text);
/* Everything closed, nothing failed? ERR_INVALID, ERR_TOOBIG. */
int xml_out_check(const struct xml_out *x, const char *what, struct err *e);

#endif
