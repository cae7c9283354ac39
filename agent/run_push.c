/* agent/run_push.c -- ask the DCs that were not written to, to pull the object at once. */
#include "agent/run_inside.h"

#include <stdlib.h>

#include "ldap/change.h"

struct push {
    struct casefile *cf;
    struct step step;
};

static void on_pushed(void *arg, const struct err *e)
{
    struct push *p = arg;
    struct casefile *cf = p->cf;

    p->step.ended_us = run_now_us(cf);
    if (e == NULL) {
        p->step.outcome = OUT_DONE;
        p->step.proof = PROOF_ACCEPTED;
        step_say(&p->step, "asked to pull the object");
    } else if (e->code == ERR_DENIED) {
        p->step.outcome = OUT_SKIPPED;
        step_say(&p->step, "no right to ask for it: %.400s", e->msg);
    } else {
        p->step.outcome = OUT_SKIPPED;
        step_say(&p->step, "not offered: %.400s", e->msg);
    }
    run_tell_and_record(cf, &p->step);
    cf->pushes_open--;
    step_done(&p->step);
    free(p);
    run_settle(cf);
}

void run_push_all(struct casefile *cf)
{
    size_t n = ad_dcs_count(cf->w->dcs);

    if (cf->accepted_at == NULL || cf->accepted_at->ntds_dn[0] == '\0')
        return;
    for (size_t i = 0; i < n; i++) {
        struct ad_dc *dc = ad_dcs_at(cf->w->dcs, i);
        struct push *p;
        bool written = false;
        struct err e;

        for (size_t k = 0; k < cf->effect_count; k++)
            written = written ||
                      (cf->effects[k]->dc == dc &&
                       (cf->effects[k]->accepted || cf->effects[k]->step.outcome == OUT_ALREADY));
        if (written || dc->state != AD_DC_READY)
            continue;
        p = calloc(1, sizeof(*p));
        if (p == NULL)
            return;
        p->cf = cf;
        p->step = (struct step){.name = "push", .started_us = run_now_us(cf)};
        p->step.target = dc->host;
        if (ad_push_start(dc->conn, cf->accepted_at->ntds_dn, cf->found.dn, on_pushed, p, NULL,
                          &e) < 0)
            free(p);
        else
            cf->pushes_open++;
    }
}
