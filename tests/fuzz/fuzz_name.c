/* A name as typed: the filter made of it has the shape that we gave it, and no other. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "ldap/name.h"

/* Nesting and number of comparisons are ours alone: the name adds neither '(' nor '*' nor NUL. */
static void check_shape(const struct text *t, size_t comparisons)
{
    size_t open = 0, depth = 0;

    assert(strlen(t->s) == t->len);
    assert(strchr(t->s, '*') == NULL);
    for (const char *p = t->s; *p != '\0'; p++) {
        if (*p == '(') {
            open++;
            depth++;
        } else if (*p == ')') {
            assert(depth > 0);
            depth--;
            assert(depth > 0 || p[1] == '\0');
        }
    }
    assert(depth == 0);
    /* & | names | three types */
    assert(open == 2 + comparisons + 1 + 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ad_name_domain domain = {.dns = "corp.example.com", .netbios = "CORP"};
    struct text filter = TEXT_INIT(AD_NAME_FILTER_MAX);
    struct ad_name name;
    const struct ad_name *names[] = {&name, &name};
    struct ad_name_entry entry = {0};
    char buf[AD_NAME_BASE];
    const char *base;
    size_t which[2];
    struct err e;

    if (ad_name_parse((const char *)data, size, domain.dns, &name, &e) < 0) {
        assert(e.msg[0] != '\0' && text_utf8_ok(e.msg, strlen(e.msg)));
        return 0;
    }
    assert(strlen(name.text) == size && memcmp(name.text, data, size) == 0);
    base = ad_name_base(&name, buf);
    assert(base != NULL || ad_name_is_search(&name));
    if (ad_name_filter(&name, &domain, &filter, &e) == 0 && ad_name_is_search(&name)) {
        size_t forms =
            name.kind != AD_NAME_UPN ? 1
            : text_eq_nocase(name.domain, domain.dns) || text_eq_nocase(name.domain, domain.netbios)
                ? 4
                : 3;

        check_shape(&filter, forms);
        if (ad_name_batchable(&name)) {
            text_clear(&filter);
            assert(ad_name_batch_filter(names, 2, &domain, &filter, &e) == 0);
            check_shape(&filter, 2 * forms);
            entry.sam = name.local;
            entry.upn = name.text;
            ad_name_batch_assign(names, 2, &domain, &entry, 1, which);
            assert(which[0] == 0 && which[1] == 0);
        }
    }
    text_done(&filter);
    return 0;
}
