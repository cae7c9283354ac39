/* agent/service/check.c -- would another configuration do? Asked beside the running service, before
 * anything of it is given up: the keys of its signers, and every entry of its lists (checklist F4,
 * F5). What no DC can be asked about now is found out when it is opened.
 */
#include "agent/service/service_inside.h"

#include <stdlib.h>

#include "base/cleanup.h"

struct check {
    struct service *s;
    const struct cfg *next;
    size_t asked; /* answers still to come, and one for the beginning */
    struct err why;
    void (*done)(void *arg, const struct err *e);
    void *arg;
};

static void answered(struct check *c)
{
    if (--c->asked > 0)
        return;
    c->done(c->arg, c->why.code != ERR_OK ? &c->why : NULL);
    free(c);
}

static void on_policy(void *arg, struct policy *p, const struct err *e)
{
    struct check *c = arg;

    policy_free(p);
    if (e != NULL && e->code == ERR_CONFIG && c->why.code == ERR_OK)
        c->why = *e;
    answered(c);
}

static void begin(void *arg)
{
    struct check *c = arg;
    struct err e;

    for (size_t i = 0; i < c->s->place_count; i++) {
        struct ad_dc *dc = world_dc(&c->s->places[i].world, false);

        if (dc != NULL && policy_resolve_start(dc, &c->next->policy, on_policy, c, &e) == 0)
            c->asked++;
    }
    answered(c);
}

int service_check(struct service *s, const struct cfg *next,
                  void (*done)(void *arg, const struct err *e), void *arg, struct err *e)
{
    CLEANUP(signers_freep) struct signers *signers = NULL;
    struct check *c;

    if (!next->queue.on || (next->signer_count == 0 && !next->risk.on))
        return err_set(e, ERR_CONFIG, 0, "it has no [queue], or neither [signer/NAME] nor [risk]");
    if (signers_load(next, &signers, e) < 0)
        return -1;
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return err_set(e, ERR_NOMEM, 0, "configuration");
    *c = (struct check){.s = s, .next = next, .asked = 1, .done = done, .arg = arg};
    if (loop_timer_start(s->loop, 0, begin, c) == NULL) {
        free(c);
        return err_set(e, ERR_NOMEM, 0, "configuration");
    }
    return 0;
}
