/* agent/intake/submit.c -- see submit.h. */
#include "agent/intake/submit.h"

int submit_put(const struct cfg *cfg, const struct submit_item *items, size_t count,
               uint64_t wait_ms, bool json, int *ret_exit, struct err *e)
{
    (void)cfg;
    (void)items;
    (void)count;
    (void)wait_ms;
    (void)json;
    (void)ret_exit;
    /* Until the engines of the queue are bound here. */
    return err_set(e, ERR_UNSUPPORTED, 0,
                   "this version cannot reach a queue yet: give --out FILE, and bring it there");
}
