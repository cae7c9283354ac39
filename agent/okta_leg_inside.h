/* agent/okta_leg_inside.h -- what okta_leg.c and okta_log.c share. */
#ifndef CORDON_AGENT_OKTA_LEG_INSIDE_H
#define CORDON_AGENT_OKTA_LEG_INSIDE_H

#include "agent/okta_leg.h"
#include "agent/step.h"
#include "base/loop.h"

/* An event that the System Log should have of us. */
struct okta_proof {
    struct okta_leg *leg;
    const char *what, *type;    /* "suspend", "user.lifecycle.suspend"; NULL: none is waited for */
    int64_t since_ms, after_ms; /* as in struct okta_expect */
    struct okta_call *call;     /* the one question under way */
    bool over, has_event;
    struct okta_event event; /* event.ours: the proof */
    struct err why;          /* no answer, and why */
};

struct okta_leg {
    struct casefile *cf;
    bool went, acts_over, ended, interrupted;
    enum okta_change change;
    bool changes, sessions; /* what is to be done */
    bool intended_before;   /* an earlier run of this case had it in hand */
    int64_t intended_ms;    /* when, by our clock */
    struct okta_user user;  /* as last read; id "": not found */
    struct okta_call *call;
    struct step step, sessions_step, log_step;
    struct okta_proof of_change, of_sessions;
    struct loop_timer *log_timer; /* the time that the log has, all in all */
    bool absent, not_shown;
};

void okta_leg_settle(struct okta_leg *l); /* ends it, if everything is in */
void okta_leg_tell(struct okta_leg *l, struct step *s);

/* okta_log.c. What is found is told once, as a step, when all that was asked is answered. */
void okta_log_ask(struct okta_leg *l, struct okta_proof *p, const char *what, const char *type,
                  int64_t since_ms, int64_t after_ms); /* then okta_leg_settle */
bool okta_log_waits(const struct okta_leg *l);
bool okta_log_cancel(struct okta_leg *l); /* false: there was no question under way */
bool okta_log_has(const struct okta_proof *p);
void okta_log_tell(struct okta_leg *l);

#endif
