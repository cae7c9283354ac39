/* config/named.c -- see named.h. */
#include "config/named.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "config/value.h"

enum { LABEL_MAX = 64 };

static const struct kind {
    const char *kind;
    size_t list, count, size; /* the first two are offsets into struct cfg */
    bool host;                /* the name is a DNS name; else a short word */
} kinds[] = {
    {"domain", offsetof(struct cfg, domains), offsetof(struct cfg, domain_count),
     sizeof(struct cfg_domain), true},
    {"signer", offsetof(struct cfg, signers), offsetof(struct cfg, signer_count),
     sizeof(struct cfg_signer), false},
};
_Static_assert(offsetof(struct cfg_domain, name) == 0 && offsetof(struct cfg_signer, name) == 0,
               "the name comes first");

static const struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].kind, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

/* The array's pointer, whatever its type. */
static char *list_of(const struct cfg *c, const struct kind *k)
{
    char *list;

    memcpy(&list, (const char *)c + k->list, sizeof(list));
    return list;
}

static size_t count_of(const struct cfg *c, const struct kind *k)
{
    size_t count;

    memcpy(&count, (const char *)c + k->count, sizeof(count));
    return count;
}

size_t cfg_named_count(const struct cfg *c, const char *kind)
{
    const struct kind *k = kind_find(kind);

    return k != NULL ? count_of(c, k) : 0;
}

void *cfg_named_at(const struct cfg *c, const char *kind, size_t i)
{
    const struct kind *k = kind_find(kind);

    return k != NULL && i < count_of(c, k) ? list_of(c, k) + i * k->size : NULL;
}

const char *cfg_named_name(const void *one)
{
    const char *name;

    memcpy(&name, one, sizeof(name));
    return name;
}

void *cfg_named_find(const struct cfg *c, const char *kind, const char *name)
{
    for (size_t i = 0; i < cfg_named_count(c, kind); i++) {
        void *one = cfg_named_at(c, kind, i);

        if (text_eq_nocase(cfg_named_name(one), name))
            return one;
    }
    return NULL;
}

void *cfg_named_add(struct cfg *c, const char *kind, const char *name)
{
    const struct kind *k = kind_find(kind);
    size_t count;
    char *list, *own;

    if (k == NULL)
        return NULL;
    count = count_of(c, k);
    list = reallocarray(list_of(c, k), count + 1, k->size);
    if (list == NULL)
        return NULL;
    memcpy((char *)c + k->list, &list, sizeof(list));
    own = strdup(name);
    if (own == NULL)
        return NULL;
    cfg_lower(own);
    list += count * k->size;
    memset(list, 0, k->size);
    memcpy(list, &own, sizeof(own));
    count++;
    memcpy((char *)c + k->count, &count, sizeof(count));
    return list;
}

int cfg_named_check(const char *kind, const char *name, struct err *e)
{
    const struct kind *k = kind_find(kind);
    CLEANUP(cleanup_charp) char *copy = strdup(name);
    char shown[TEXT_SHOWN];

    if (copy == NULL)
        return err_set(e, ERR_NOMEM, 0, "configuration");
    if (k != NULL && k->host)
        return cfg_host_check(copy, "domain name", e);
    cfg_lower(copy);
    if (copy[0] == '\0' || strlen(copy) > LABEL_MAX || strchr("._-", copy[0]) != NULL ||
        copy[strspn(copy, "abcdefghijklmnopqrstuvwxyz0123456789._-")] != '\0')
        return err_set(e, ERR_CONFIG, 0,
                       "'%s': a name of letters, digits and . - _, at most %d, that begins with "
                       "one of the first two",
                       text_shown(shown, name), LABEL_MAX);
    return 0;
}
