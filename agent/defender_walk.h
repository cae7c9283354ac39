/* agent/defender_walk.h -- could Live Response be used now, on each machine that it would be used
 * on? Those that the configuration names, then those with its tag. Nothing is run. */
#ifndef CORDON_AGENT_DEFENDER_WALK_H
#define CORDON_AGENT_DEFENDER_WALK_H

#include "cloud/defender.h"
#include "config/config.h"

struct defender_walk;
struct defender_walk_calls {
    /* Is that one a DC? NULL: whoever has the tag is looked at. */
    bool (*is_dc)(void *arg, const char *host);
    /* Of each machine, from the loop; n == 0: it, or (host "") who has the tag, cannot be asked. */
    void (*checked)(void *arg, const char *host, const struct defender_check *checks, size_t n,
                    const struct err *e);
    void (*done)(void *arg); /* once, the last; the walk is gone then */
};
/* d, cfg: borrowed. *ret_walk is for abandon. */
int defender_walk_start(struct loop *l, struct defender *d, const struct cfg_defender *cfg,
                        const struct defender_walk_calls *calls, void *arg,
                        struct defender_walk **ret_walk, struct err *e);
void defender_walk_abandon(struct defender_walk *w); /* nothing is called any more; NULL is fine */

#endif
