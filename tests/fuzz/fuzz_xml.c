/* tests/fuzz/fuzz_xml.c -- whatever the bytes: an error, or a tree within the limits of xml.h. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t count(const struct xml_node *node, size_t depth)
{
    size_t total = 1;

    assert(depth <= 64);
    assert(node->attr_count <= 64);
    assert(strlen(node->text) <= 64 * 1024);
    assert(text_utf8_ok(node->text, strlen(node->text)));
    assert(node->name[0] != '\0');
    assert(text_utf8_ok(node->name, strlen(node->name)));
    for (size_t i = 0; i < node->attr_count; i++) {
        const struct xml_attr *a = &node->attrs[i];

        /* No duplicates: the one found by name is this one. */
        assert(a->ns[0] != '\0' || xml_attr(node, a->name) == a->value);
        assert(text_utf8_ok(a->value, strlen(a->value)));
    }
    for (const struct xml_node *c = node->child; c != NULL; c = c->next) {
        const struct xml_node *again = xml_again(c);

        assert(c->parent == node);
        assert(xml_child(node, c->ns, c->name) != NULL);
        assert(again == NULL || strcmp(again->ns, c->ns) == 0);
        assert(again == NULL || strcmp(again->name, c->name) == 0);
        total += count(c, depth + 1);
    }
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    CLEANUP(xml_freep) struct xml_doc *d = NULL;
    struct err e = ERR_NONE;

    if (xml_parse((const char *)data, n, &d, &e) == 0) {
        assert(xml_root(d)->parent == NULL && xml_root(d)->next == NULL);
        assert(count(xml_root(d), 1) <= 10000);
    } else {
        assert(d == NULL && e.code != ERR_OK && e.msg[0] != '\0');
    }
    return 0;
}
