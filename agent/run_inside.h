/* agent/run_inside.h -- what the files that carry a case (run*.c) share; nobody else's. */
#ifndef CORDON_AGENT_RUN_INSIDE_H
#define CORDON_AGENT_RUN_INSIDE_H

#include "agent/run.h"

/* run.c */
uint64_t run_now_us(const struct casefile *cf);
void run_mdi_over(struct casefile *cf, bool done); /* --via mdi: AD's part has ended */
void run_mde_over(struct casefile *cf, bool done); /* Live Response: AD's part has ended */
size_t run_ad_steps(const struct casefile *cf);    /* how many steps are for AD; 0: none */
bool run_wide(const struct casefile *cf);          /* goes to every DC, not to one */
void run_case_end(struct casefile *cf); /* after `done`: it frees itself, perhaps a little later */

/* run_may.c: the terms of the case. False: why not; let: it is held now, and on its way out. */
bool run_may(const struct casefile *cf, const struct ad_account *a, struct judgement *ret);
bool run_let(struct casefile *cf);

/* run_tell.c */
void run_say(struct casefile *cf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void run_add_detail(struct casefile *cf, const char *s); /* "...; s" */
void run_tell(struct casefile *cf, const struct step *s);
void run_tell_and_record(struct casefile *cf, const struct step *s);

/* run_dry.c */
void run_dry(struct casefile *cf);

/* run_push.c: calls run_settle when the last has answered */
void run_push_all(struct casefile *cf);

/* run_end.c */
void run_end_early(struct casefile *cf, enum verdict v, const char *rule, const char *detail);
void run_fail(struct casefile *cf, const struct err *e); /* before anything was sent */
void run_settle(struct casefile *cf);                    /* ends it, if everything is in */
void run_conclude(struct casefile *cf);                  /* verdict and detail are set: record */

#endif
