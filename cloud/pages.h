/* cloud/pages.h -- a list that comes in pages: none is fetched twice, and no more than so many.
 *
 * The address of the next page is the server's word. One that comes again, at any distance, is a
 * circle: the list never ends, and what it holds cannot be known (checklist H3).
 */
#ifndef CORDON_CLOUD_PAGES_H
#define CORDON_CLOUD_PAGES_H

#include <stddef.h>

#include "base/err.h"

struct pages {
    char **seen;
    size_t count, room;
};

void pages_done(struct pages *p);
/* `at` is the next to be fetched, the first included; kept. ERR_TOOBIG: it would be more than max;
 * ERR_INVALID: it was fetched before; ERR_NOMEM. */
int pages_next(struct pages *p, size_t max, const char *at, struct err *e);

#endif
