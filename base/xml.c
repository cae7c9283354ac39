/* base/xml.c -- see xml.h. Expat reads, we build a tree in an arena that is freed at once.
 *
 * The first handler that finds something wrong notes it in `b->e` and stops the parser; after that
 * expat calls no handler that adds to the tree. A DTD is refused where it begins, so no entity is
 * ever declared, and expat itself refuses a reference to one that is not declared.
 */
#include "base/xml.h"

#include <expat.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

enum {
    DEPTH_MAX = 64,
    NODES_MAX = 10000,
    ATTRS_MAX = 64,
    TEXT_MAX = 64 * 1024,
    BLOCK = 16 * 1024,
};
/* Between URI and name as expat hands them over. It cannot stand in a name; expat refuses a URI
 * that has it, and we look for the last one besides. */
#define SEPARATOR '\n'

struct block {
    struct block *next;
    size_t used, size;
    max_align_t bytes[];
};

struct xml_doc {
    struct block *blocks;
    struct xml_node *root;
};

struct open_node {
    struct xml_node *node, *last_child;
    struct text text;
};

struct build {
    XML_Parser parser;
    struct xml_doc *doc;
    struct open_node open[DEPTH_MAX];
    size_t depth, nodes, nodes_max, text_max;
    bool stopped;
    struct err *e;
};

/* --- the arena ---------------------------------------------------------------------- */

static void *take(struct xml_doc *d, size_t n)
{
    struct block *b = d->blocks;
    void *p;

    n = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (b == NULL || b->size - b->used < n) {
        size_t size = n > BLOCK ? n : BLOCK;

        b = malloc(sizeof(*b) + size);
        if (b == NULL)
            return NULL;
        *b = (struct block){.next = d->blocks, .size = size};
        d->blocks = b;
    }
    p = (char *)b->bytes + b->used;
    b->used += n;
    return p;
}

static const char *keep(struct xml_doc *d, const char *s, size_t n)
{
    char *p;

    if (n == 0)
        return "";
    p = take(d, n + 1);
    if (p != NULL) {
        memcpy(p, s, n);
        p[n] = '\0';
    }
    return p;
}

/* --- handlers ----------------------------------------------------------------------- */

static void stop(struct build *b, enum err_code code, const char *what)
{
    if (b->stopped)
        return;
    b->stopped = true;
    (void)err_set(b->e, code, 0, "XML, line %llu: %s",
                  (unsigned long long)XML_GetCurrentLineNumber(b->parser), what);
    (void)XML_StopParser(b->parser, /* resumable */ XML_FALSE);
}

/* "uri\nlocal" or "local". */
static bool keep_name(struct xml_doc *d, const char *full, const char **ret_ns,
                      const char **ret_name)
{
    const char *sep = strrchr(full, SEPARATOR), *local = sep != NULL ? sep + 1 : full;

    *ret_ns = keep(d, full, sep != NULL ? (size_t)(sep - full) : 0);
    *ret_name = keep(d, local, strlen(local));
    return *ret_ns != NULL && *ret_name != NULL;
}

static bool keep_attrs(struct build *b, struct xml_node *n, const XML_Char **attrs)
{
    size_t count = 0;

    while (attrs[count * 2] != NULL)
        count++;
    if (count > ATTRS_MAX) {
        stop(b, ERR_TOOBIG, "more than 64 attributes");
        return false;
    }
    n->attrs = count == 0 ? NULL : take(b->doc, count * sizeof(*n->attrs));
    if (count != 0 && n->attrs == NULL)
        goto no_memory;
    n->attr_count = count;
    for (size_t i = 0; i < count; i++) {
        n->attrs[i].value = keep(b->doc, attrs[i * 2 + 1], strlen(attrs[i * 2 + 1]));
        if (!keep_name(b->doc, attrs[i * 2], &n->attrs[i].ns, &n->attrs[i].name) ||
            n->attrs[i].value == NULL)
            goto no_memory;
    }
    return true;

no_memory:
    stop(b, ERR_NOMEM, "out of memory");
    return false;
}

static void on_start(void *arg, const XML_Char *name, const XML_Char **attrs)
{
    struct build *b = arg;
    struct open_node *above = b->depth > 0 ? &b->open[b->depth - 1] : NULL;
    struct xml_node *n;
    char what[64];

    if (b->stopped)
        return;
    if (b->depth >= DEPTH_MAX) {
        stop(b, ERR_TOOBIG, "more than 64 levels");
        return;
    }
    if (++b->nodes > b->nodes_max) {
        (void)snprintf(what, sizeof(what), "more than %zu elements", b->nodes_max);
        stop(b, ERR_TOOBIG, what);
        return;
    }
    n = take(b->doc, sizeof(*n));
    if (n == NULL) {
        stop(b, ERR_NOMEM, "out of memory");
        return;
    }
    *n = (struct xml_node){.text = "", .parent = above != NULL ? above->node : NULL};
    if (!keep_name(b->doc, name, &n->ns, &n->name)) {
        stop(b, ERR_NOMEM, "out of memory");
        return;
    }
    if (!keep_attrs(b, n, attrs))
        return;
    if (above == NULL)
        b->doc->root = n;
    else if (above->last_child == NULL)
        above->node->child = n;
    else
        above->last_child->next = n;
    if (above != NULL)
        above->last_child = n;
    b->open[b->depth] = (struct open_node){.node = n, .text = TEXT_INIT(b->text_max)};
    b->depth++;
}

static void on_end(void *arg, const XML_Char *name)
{
    struct build *b = arg;
    struct open_node *o;

    (void)name; /* expat has checked that it fits */
    if (b->stopped)
        return;
    o = &b->open[--b->depth];
    o->node->text = keep(b->doc, o->text.s, o->text.len);
    text_done(&o->text);
    if (o->node->text == NULL) {
        o->node->text = "";
        stop(b, ERR_NOMEM, "out of memory");
    }
}

static void on_text(void *arg, const XML_Char *s, int n)
{
    struct build *b = arg;
    struct text *t;

    if (b->stopped)
        return;
    t = &b->open[b->depth - 1].text;
    if ((size_t)n > t->max - t->len) {
        stop(b, ERR_TOOBIG, "too much text in one element");
        return;
    }
    text_addn(t, s, (size_t)n);
    if (t->failed)
        stop(b, ERR_NOMEM, "out of memory");
}

static void on_doctype(void *arg, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    stop(arg, ERR_INVALID, "a DOCTYPE, which is never read");
}

static void on_instruction(void *arg, const XML_Char *target, const XML_Char *data)
{
    (void)target, (void)data;
    stop(arg, ERR_INVALID, "a processing instruction, which is never read");
}

/* Expat also knows Latin-1 and ASCII; nothing that speaks to us writes these. */
static void on_declaration(void *arg, const XML_Char *version, const XML_Char *encoding,
                           int standalone)
{
    static const char *const known[] = {"UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", "US-ASCII"};

    (void)version, (void)standalone;
    if (encoding == NULL)
        return;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (text_eq_nocase(encoding, known[i]))
            return;
    stop(arg, ERR_INVALID, "an encoding that is neither UTF-8 nor UTF-16");
}

/* --- parsing ------------------------------------------------------------------------ */

int xml_parse(const char *s, size_t n, struct xml_doc **ret_doc, struct err *e)
{
    static const struct xml_limits usual = {.bytes = XML_MAX_BYTES, .nodes = NODES_MAX};

    return xml_parse_limits(s, n, &usual, ret_doc, e);
}

int xml_parse_limits(const char *s, size_t n, const struct xml_limits *l, struct xml_doc **ret_doc,
                     struct err *e)
{
    CLEANUP(xml_freep) struct xml_doc *d = NULL;
    struct build *b = NULL;
    enum XML_Error why;
    int rc = -1;

    if (n > l->bytes || n > INT_MAX)
        return err_set(e, ERR_TOOBIG, 0, "XML: more than %zu KiB", l->bytes / 1024);
    d = calloc(1, sizeof(*d));
    b = calloc(1, sizeof(*b));
    if (d == NULL || b == NULL)
        goto no_memory;
    b->doc = d;
    b->e = e;
    b->nodes_max = l->nodes;
    b->text_max = l->text != 0 ? l->text : TEXT_MAX;
    b->parser = XML_ParserCreateNS(l->encoding, SEPARATOR);
    if (b->parser == NULL)
        goto no_memory;
    XML_SetUserData(b->parser, b);
    XML_SetElementHandler(b->parser, on_start, on_end);
    XML_SetCharacterDataHandler(b->parser, on_text);
    XML_SetStartDoctypeDeclHandler(b->parser, on_doctype);
    XML_SetProcessingInstructionHandler(b->parser, on_instruction);
    XML_SetXmlDeclHandler(b->parser, on_declaration);

    if (XML_Parse(b->parser, s, (int)n, /* isFinal */ 1) == XML_STATUS_OK && !b->stopped) {
        *ret_doc = TAKE(d);
        rc = 0;
    } else if (!b->stopped) {
        why = XML_GetErrorCode(b->parser);
        if (why == XML_ERROR_NO_MEMORY)
            goto no_memory;
        (void)err_set(e, ERR_INVALID, (int)why, "XML, line %llu, column %llu: %s",
                      (unsigned long long)XML_GetCurrentLineNumber(b->parser),
                      (unsigned long long)XML_GetCurrentColumnNumber(b->parser),
                      XML_ErrorString(why));
    }
    goto out;

no_memory:
    rc = err_set(e, ERR_NOMEM, 0, "XML");
out:
    if (b != NULL) {
        if (b->parser != NULL)
            XML_ParserFree(b->parser);
        for (size_t i = 0; i < b->depth; i++)
            text_done(&b->open[i].text);
    }
    free(b);
    return rc;
}

void xml_free(struct xml_doc *d)
{
    if (d == NULL)
        return;
    while (d->blocks != NULL) {
        struct block *b = d->blocks;

        d->blocks = b->next;
        free(b);
    }
    free(d);
}

void xml_freep(struct xml_doc **d)
{
    xml_free(*d);
}

/* --- looking up --------------------------------------------------------------------- */

const struct xml_node *xml_root(const struct xml_doc *d)
{
    return d->root;
}

static const struct xml_node *find(const struct xml_node *from, const char *ns, const char *name)
{
    for (; from != NULL; from = from->next)
        if ((ns == NULL || strcmp(from->ns, ns) == 0) && strcmp(from->name, name) == 0)
            return from;
    return NULL;
}

const struct xml_node *xml_child(const struct xml_node *n, const char *ns, const char *name)
{
    return n == NULL ? NULL : find(n->child, ns, name);
}

const struct xml_node *xml_again(const struct xml_node *n)
{
    return find(n->next, n->ns, n->name);
}

const char *xml_attr(const struct xml_node *n, const char *name)
{
    for (size_t i = 0; n != NULL && i < n->attr_count; i++)
        if (n->attrs[i].ns[0] == '\0' && strcmp(n->attrs[i].name, name) == 0)
            return n->attrs[i].value;
    return NULL;
}
