/* config/paths.c -- every path that the settings name, by the table; see config.h. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/keys.h"
#include "config/named.h"
#include "config/sources.h"

static int one_key(const struct cfg_key *key, const struct cfg_section *s, const void *base,
                   cfg_path_fn fn, void *arg, struct err *e)
{
    const void *field = (const char *)base + key->offset;
    struct text setting = TEXT_INIT(512);
    int rc = 0;

    text_addf(&setting, "[%s%s%s] %s", s->name, s->named != NULL ? "/" : "",
              s->named != NULL ? cfg_named_name(base) : "", key->name);
    if (setting.failed)
        rc = err_set(e, ERR_NOMEM, 0, "paths");
    if (rc == 0 && key->type == CFG_PATH) {
        const char *path = *(char *const *)field;

        rc = path != NULL ? fn(arg, setting.s, path, key->use, e) : 0;
    }
    if (key->type == CFG_FILES) {
        const struct cfg_list *l = field;

        /* "/path", or "host:/path" */
        for (size_t i = 0; rc == 0 && i < l->count; i++)
            rc = fn(arg, setting.s, l->items[i] + strcspn(l->items[i], "/"), key->use, e);
    }
    text_done(&setting);
    return rc;
}

int cfg_each_path(const struct cfg *c, cfg_path_fn fn, void *arg, struct err *e)
{
    for (size_t i = 0; i < cfg_key_count; i++) {
        const struct cfg_key *key = &cfg_keys[i];
        const struct cfg_section *s = cfg_section_find(key->section);

        if (key->type != CFG_PATH && key->type != CFG_FILES)
            continue;
        if (s->named == NULL && one_key(key, s, c, fn, arg, e) < 0)
            return -1;
        for (size_t k = 0; s->named != NULL && k < cfg_named_count(c, s->name); k++) {
            if (one_key(key, s, cfg_named_at(c, s->name, k), fn, arg, e) < 0)
                return -1;
        }
    }
    return 0;
}
