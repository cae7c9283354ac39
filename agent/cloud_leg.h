/* agent/cloud_leg.h -- the cloud's half of a case: Entra ID, beside what is done in AD.
 *
 *   match -> judge -> (a DC accepted, or the head start is used up) -> acts -> look -> sync -> look
 *
 * It begins when the account is known in AD, or is known not to be there, and is judged before
 * anything is changed anywhere: who is privileged in Entra is refused in AD, too. A cloud that does
 * not answer holds AD up for three seconds at most. No act waits for another's success; each states
 * its intent, sends, and is proven by reading the user back.
 */
#ifndef CORDON_AGENT_CLOUD_LEG_H
#define CORDON_AGENT_CLOUD_LEG_H

#include "agent/casefile.h"
#include "agent/cloud.h"
#include "agent/step.h"
#include "cloud/entra.h"
#include "cloud/hunting.h"
#include "cloud/sync.h"

struct cloud_leg;
struct cloud_kind;

enum cloud_act_state { CACT_WAITING, CACT_INTENT, CACT_EFFECT, CACT_EVIDENCE, CACT_ENDED };

/* One change of one user in the cloud. */
struct cloud_act {
    struct cloud_leg *leg;
    const struct cloud_kind *kind;
    enum cloud_act_state state;
    struct step step;
    bool goal; /* the verdict asks for it; else it is a help that may be missing */
    bool sent, accepted, shown, lost, logged;
    bool intended_before; /* an earlier run of this case had it in hand */
    int64_t intended_ms;  /* when, by our clock */
    int64_t sent_ms;      /* by our clock */
    int64_t accepted_ms;  /* by the service's clock; 0: not accepted */
    bool again;           /* sent once more, since it came back to life */
};

enum leg_state {
    LEG_MATCHING,
    LEG_JUDGING,
    LEG_WAITING,
    LEG_ACTING,
    LEG_LOOKING,
    LEG_AUDITING,
    LEG_SYNCING,
    LEG_LOOKING_AGAIN,
    LEG_EVIDENCE,
    LEG_HOLDING,
    LEG_ENDED,
};

#define LEG_ACTS 4

struct cloud_leg {
    struct casefile *cf;
    enum leg_state state;
    struct entra_user user; /* as last read */
    bool has_user;
    bool by_name;  /* AD could not say who it is: found by what was typed */
    bool was_told; /* run.c knows how it is judged */
    bool withheld; /* it is not to act: why_words */
    bool go;       /* nothing holds the acts back any more */
    bool converged_known, converged;
    bool interrupted, hurried;
    struct loop_timer *budget, *timer;
    struct entra_call *call;  /* the one question under way; NULL */
    struct graph_call *plain; /* or this one */
    struct sync_push *push;   /* or this one */
    struct cloud_act acts[LEG_ACTS];
    size_t act_count, at;
    /* why there is no cloud part, or a refusal */
    bool absent; /* no such user */
    enum err_code why;
    char *why_words;
    bool refused, privileged, held; /* by our guard; by a list */
    const char *rule;
    /* sync */
    struct step sync_step;
    bool sync_over, came_back, not_seen_again;
    bool audited, foreign_audit;
    bool evidence_over;
    struct hunt_call *hunt;
    uint64_t audit_us, hold_until, evidence_us;
    unsigned repairs;
};

/* What one kind of act does; agent/steps/ has one file for each. */
struct cloud_kind {
    const char *step, *target; /* "entra", "entra" */
    /* In words: nothing to do ("already so: ..."); or it cannot be done to this user. NULL: act. */
    const char *(*already)(const struct cloud_act *x, const struct entra_user *u);
    const char *(*cannot)(const struct cloud_act *x, const struct entra_user *u);
    /* What we ourselves lack for it, as far as that is known at once (the dry run); false: nothing.
     */
    bool (*lacking)(const struct cloud_act *x, char words[STEP_DETAIL]);
    /* The same, found out before anything is sent; cloud_act_checked comes later. NULL: nothing is.
     */
    int (*check)(struct cloud_act *x, struct err *e);
    /* Sends; cloud_act_answered comes later, from the loop. */
    int (*send)(struct cloud_act *x, struct err *e);
    /* Does the user show it? NULL: nothing shows it; accepted is all there will be. */
    bool (*shown)(const struct cloud_act *x, const struct entra_user *u);
    void (*want)(const struct cloud_act *x, struct entra_want *w); /* what `shown` waits for */
    void (*describe)(struct cloud_act *x, const struct entra_user *before,
                     const struct entra_user *after);
    /* Or: looks by itself, where not the user shows it; cloud_act_looked comes later. */
    int (*look)(struct cloud_act *x, struct err *e);
    const char *would;   /* the dry run: "would ..." */
    const char *unshown; /* where nothing shows it: why, in words */
};
extern const struct cloud_kind cloud_disable, cloud_enable, cloud_revoke, cloud_must_change,
    cloud_password, cloud_mark, cloud_dismiss;

/* --- for run.c --------------------------------------------------------------------------- */
/* The account is known (cf->resolved), or AD cannot say who it is. */
int cloud_leg_start(struct casefile *cf, struct err *e);
bool cloud_leg_judged(const struct casefile *cf); /* or not to be waited for; true without a leg */
/* Its guard says no to the whole case. */
bool cloud_leg_refuses(const struct casefile *cf, const char **ret_rule, const char **ret_words);
bool cloud_leg_busy(struct casefile *cf);        /* still waiting for an answer, which is hurried */
bool cloud_leg_ended(const struct casefile *cf); /* true without a leg */
/* Act now: a DC accepted, or AD's part has ended, or its head start is over. Idempotent. */
void cloud_leg_go(struct casefile *cf);
void cloud_leg_withhold(struct casefile *cf, const char *why); /* before it went: it will not */
void cloud_leg_converged(struct casefile *cf, bool all);       /* AD's part is over */
void cloud_leg_interrupt(struct casefile *cf);
void cloud_leg_free(struct casefile *cf);
void cloud_leg_dry(struct casefile *cf); /* what would be done, told as steps */
/* A goal for each act that counts. */
size_t cloud_leg_goals(const struct casefile *cf, struct goal_facts *ret, size_t max);
void cloud_leg_explain(struct casefile *cf); /* adds to the verdict's sentence */

/* --- for the acts -------------------------------------------------------------------------- */
/* lacking: why it is not sent; NULL: it may be. */
void cloud_act_checked(struct cloud_act *x, const char *lacking);
/* A line of its own beside the act's: what was not looked at, and why. */
void cloud_act_skipped(struct cloud_act *x, const char *step, const char *words);
void cloud_act_answered(struct cloud_act *x, int64_t date_ms, const struct err *e);
/* shown: words say what is seen; else why not. */
void cloud_act_looked(struct cloud_act *x, bool shown, const char *words);
struct cloud *cloud_act_cloud(const struct cloud_act *x);

#endif
