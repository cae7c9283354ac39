/* agent/run.h -- carry one case through its plan, from the name to the verdict.
 *
 *   resolve -> judge (at every DC that will be written to) -> effects -> confirm, push, converge
 *           -> verdict (on disk before it is told)
 */
#ifndef CORDON_AGENT_RUN_H
#define CORDON_AGENT_RUN_H

#include "agent/casefile.h"
#include "agent/guard.h"
#include "agent/ledger.h"
#include "agent/world.h"
#include "base/json.h"

struct request {
    enum action action;
    struct options options;
    const char *account;                     /* as typed; NULL with `guid` */
    const char *reason, *ticket, *requester; /* borrowed until the case is done */
    bool dry_run;
    struct guard_leave leave;
    struct run_terms terms;
    bool in_ad, in_cloud; /* where to act; at least one */
    /* resume: the case as the ledger has it */
    const char *case_id;          /* NULL: a new one */
    bool unrecorded;              /* nothing of that case is on record yet */
    const struct ad_found *known; /* the account is known by GUID: no look-up by name */
    const struct prior *priors;
    const char *(*prior_names)[2]; /* step, target of each */
    size_t prior_count;
};

/* done: once, from the loop; the case is freed after it returns. */
int run_case_start(struct world *w, const struct request *r,
                   void (*done)(void *arg, struct casefile *cf), void *arg,
                   struct casefile **ret_case, struct err *e);
/* A DC changed its state: wakes what waits for it. */
void run_dc_changed(struct world *w, struct ad_dc *dc);
/* In `done`: it was told to stop, or nothing could be sent and its terms say that it is begun
 * again: it is left open on record, and has no verdict yet. */
bool run_parked(const struct casefile *cf);
/* SIGINT, SIGTERM: end everything that runs as soon as it may be ended. */
void run_interrupt(struct world *w);

/* --- for the steps ------------------------------------------------------------------------ */
/* All guards, on the account as that DC shows it. True: it may be touched. */
bool run_judge(const struct casefile *cf, const struct ad_dc *dc, const struct ad_account *a,
               struct judgement *ret);
/* Is what this action would change in AD of another making than ours, since it was asked for? In
 * doubt it is. Only for what is not the same done twice; `why` in words. Pure. */
bool run_changed_since(enum action action, const struct ad_account *a, int64_t issued_ms,
                       char why[200]);
/* A record of this case; the "case" record goes in front of the first. */
int run_record(struct casefile *cf, const char *kind, const char *body, ledger_cb cb, void *arg,
               struct err *e);
/* Write the members of a step line (the contract's) into an open object. */
void run_step_json(const struct casefile *cf, const struct step *s, struct json_out *o);
/* The version of an attribute, as caseload reads it. */
void run_stamp_json(const char *name, const struct ad_stamp *s, struct json_out *o);
void run_accepted(struct casefile *cf, struct effect *x);
void run_confirmed(struct casefile *cf, struct effect *x);
/* The cloud leg knows whether it may act, or is not to be waited for. May end the case. */
void run_cloud_judged(struct casefile *cf);
/* What an earlier run of this case had in hand there, or NULL. */
const struct prior *run_find_prior(const struct casefile *cf, const char *step, const char *target);

/* --- converge.c --------------------------------------------------------------------------- */
/* Ask every writable DC until all show the same version of what was changed, or until `wait`. */
int converge_start(struct casefile *cf, void (*done)(struct casefile *cf, const struct step *s),
                   struct err *e);
void converge_free(struct casefile *cf);

#endif
