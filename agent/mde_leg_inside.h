/* agent/mde_leg_inside.h -- inside agent/mde_*.c only.
 *
 *   mde_leg.c      one DC after the other
 *   mde_look.c     what a run came to: its word, the DC, the log
 *   mde_targets.c  which operations, whose account, which DCs
 *   mde_record.c   what the ledger is told of a run, and a run of an earlier process from there
 *   mde_end.c      what came of it, for the verdict
 */
#ifndef CORDON_AGENT_MDE_LEG_INSIDE_H
#define CORDON_AGENT_MDE_LEG_INSIDE_H

#include "agent/dc_payload.h"
#include "agent/mde_leg.h"
#include "cloud/defender.h"

enum { MDE_TARGETS = 32, MDE_OPS = 2 };

struct mde_target {
    char host[256], machine[64]; /* machine: its id; "": found by name */
    bool out;                    /* it surely did nothing: not asked again */
    bool told;                   /* that it is busy */
};

struct mde_facts { /* of one operation */
    bool done, already, unknown, refused, failed, undone, not_shown, logged;
    const char *dc; /* where it was settled */
};

struct mde_left {
    bool has;
    uint32_t uac;
    struct ad_stamp uac_stamp, pwd_stamp, unicode_stamp;
};

struct mde_leg {
    struct casefile *cf;
    struct defender *defender;
    enum dc_op ops[MDE_OPS];
    size_t op_count, op_at;
    struct mde_facts facts[MDE_OPS];
    struct mde_target targets[MDE_TARGETS];
    size_t count, at;
    bool line;         /* in this round one was taken by a run of ours */
    uint64_t patience; /* until when machines that others are on are asked again */
    struct ad_sid sid;
    struct ad_guid guid;
    char sid_text[AD_SID_TEXT];

    /* the run in hand */
    char machine[64];
    struct dc_order order;
    const struct prior *taken_up; /* it is an earlier process's; borrowed */
    struct defender_call *call;
    bool running; /* call is a run: it is cancelled, not abandoned */
    struct watch_wait *wait;
    struct loop_timer *timer;
    struct step step, confirm_step;
    struct watch_expect *expect;
    bool looking, looked, heard;
    bool shown, met;
    bool own;    /* the DC that is read is the one that it ran on */
    bool denied; /* that one shows that it is not so */
    bool may_still_fire, intent_open, has_said;
    struct dc_said said;
    struct mde_left left; /* as read back, for undo */
    enum defender_end end;
    uint64_t look_until;
    char why[500]; /* the last that went wrong, or what the script says */

    bool over, hurried, waiting;
};

/* --- mde_leg.c -------------------------------------------------------------------------------- */
/* Nothing was done there, and nothing will be: another DC. */
void mde_elsewhere(struct mde_leg *m, enum outcome how, const char *why);
void mde_op_over(struct mde_leg *m); /* m->facts of this operation say how */

/* --- mde_look.c ------------------------------------------------------------------------------- */
void mde_expect(struct mde_leg *m);
void mde_take_result(struct mde_leg *m, const struct defender_result *r);
bool mde_for_this_dc(const char *code); /* the script's no, for what that DC is */
void mde_look(struct mde_leg *m);       /* then mde_elsewhere or mde_op_over, later or at once */

/* --- mde_targets.c --------------------------------------------------------------------------- */
size_t mde_ops(enum action a, enum dc_op ret[MDE_OPS]); /* 0: the script has none for this */
int mde_find_account(struct mde_leg *m, struct err *e);
void mde_targets(struct mde_leg *m); /* those that the configuration names */
void mde_add_target(struct mde_leg *m, const char *host, const char *machine);
/* A tag makes nobody a DC: only whom DNS, or the configuration, knows as one. */
bool mde_is_dc(const struct mde_leg *m, const char *host);

/* --- mde_record.c ---------------------------------------------------------------------------- */
/* The intent of m->order; the id of its action, as soon as that is known. */
int mde_record_intent(struct mde_leg *m, void (*cb)(void *arg, const struct err *e), struct err *e);
void mde_record_action(struct mde_leg *m, const char *action_id);
/* A run of this operation that an earlier process left behind: its place among the targets is
 * m->at then, and m->order is its. */
bool mde_take_up(struct mde_leg *m);
bool mde_has_prior(const struct casefile *cf);

/* As it was read back: for undo. */
void mde_keep(struct mde_leg *m, const struct ad_account *a);

/* --- mde_end.c ------------------------------------------------------------------------------- */
void mde_tell(struct mde_leg *m, enum outcome how, enum proof proof, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
