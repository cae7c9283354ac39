/* base/sm.c -- see sm.h. */
#include "base/sm.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

void sm_move(const struct sm_state *table, unsigned count, int *state, int next, const char *what)
{
    int now = *state;

    if (now < 0 || next < 0 || (unsigned)now >= count || (unsigned)next >= count ||
        (table[now].to & SM_TO(next)) == 0) {
        (void)fprintf(stderr, "cordon: bug: %s: no way from state %d to %d\n", what, now, next);
        abort();
    }
    log_debug("%s: %s -> %s", what, table[now].name, table[next].name);
    *state = next;
}
