/* cloud/pages.c -- see pages.h. */
#include "cloud/pages.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void pages_done(struct pages *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->seen[i]);
    free(p->seen);
    *p = (struct pages){0};
}

int pages_next(struct pages *p, size_t max, const char *at, struct err *e)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->seen[i], at) == 0)
            return err_set(e, ERR_INVALID, 0,
                           "the list goes round in circles: after %zu pages the next is page %zu "
                           "again",
                           p->count, i + 1);
    }
    if (p->count >= max)
        return err_set(e, ERR_TOOBIG, 0, "the list has more than %zu pages", max);
    if (p->count == p->room) {
        size_t room = p->room == 0 ? 4 : p->room * 2;
        char **more = realloc(p->seen, room * sizeof(*more));

        if (more == NULL)
            return err_set(e, ERR_NOMEM, 0, "pages");
        p->seen = more;
        p->room = room;
    }
    p->seen[p->count] = text_dup(at);
    if (p->seen[p->count] == NULL)
        return err_set(e, ERR_NOMEM, 0, "pages");
    p->count++;
    return 0;
}
