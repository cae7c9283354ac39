/* base/xml.h -- a hardened XML reader (expat with namespaces), for events and SOAP.
 *
 * A DOCTYPE, a processing instruction or an entity other than the five of XML stops the parse;
 * so do depth > 64, more than 10,000 nodes, 64 attributes, 1 MiB in all, 64 KiB of text in one
 * element (checklist X1). UTF-8 and UTF-16 (by BOM or declaration) are read. The result is a
 * small tree; names are compared by namespace URI and local name, never by prefix.
 */
#ifndef CORDON_BASE_XML_H
#define CORDON_BASE_XML_H

#include <stddef.h>

#include "base/err.h"

struct xml_node {
    const char *ns;   /* "" where there is none */
    const char *name; /* local name */
    const char *text; /* all character data directly inside, joined; "" where there is none */
    struct xml_attr {
        const char *ns, *name, *value;
    } * attrs;
    size_t attr_count;
    struct xml_node *child; /* first */
    struct xml_node *next;  /* sibling */
    struct xml_node *parent;
};
struct xml_doc;

#define XML_MAX_BYTES ((size_t)1024 * 1024)

int xml_parse(const char *s, size_t n, struct xml_doc **ret_doc, struct err *e);
/* The same with other limits on size and elements (a SOAP answer holds hundreds of events).
 * encoding: "UTF-8", "UTF-16LE", "UTF-16BE" where the transport says it; NULL: by the bytes. */
struct xml_limits {
    size_t bytes, nodes;
    size_t text; /* of one element; 0: 64 KiB */
    const char *encoding;
};
int xml_parse_limits(const char *s, size_t n, const struct xml_limits *l, struct xml_doc **ret_doc,
                     struct err *e);
void xml_free(struct xml_doc *d);
void xml_freep(struct xml_doc **d);
const struct xml_node *xml_root(const struct xml_doc *d);
/* First child with that name; ns NULL: any namespace. */
const struct xml_node *xml_child(const struct xml_node *n, const char *ns, const char *name);
/* Next sibling with the same namespace and name as n. */
const struct xml_node *xml_again(const struct xml_node *n);
/* Value of an attribute without namespace, or NULL. */
const char *xml_attr(const struct xml_node *n, const char *name);

#endif
