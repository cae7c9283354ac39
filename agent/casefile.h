/* agent/casefile.h -- one request for one account, while it is being carried out.
 *
 * The case owns its legs (one per DC it is sent to) and outlives them. What is durable is in the
 * ledger; this is the working copy.
 */
#ifndef CORDON_AGENT_CASEFILE_H
#define CORDON_AGENT_CASEFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/guard.h"
#include "agent/plan.h"
#include "agent/step.h"
#include "agent/verdict.h"
#include "agent/watch.h"
#include "base/id.h"
#include "base/loop.h"
#include "ldap/account.h"
#include "ldap/dcs.h"

struct world;
struct casefile;
struct cloud_leg;
struct okta_leg;
struct mdi_leg;

/* What holds for a request that the service carries out, beside the guards; all zero: nothing. */
struct run_terms {
    bool parks;                /* told to stop: it is left for the next start, without a verdict */
    bool again;                /* the same where no DC, or no ledger, let anything be sent */
    bool taken_over;           /* another run, whose ledger is not ours, may have acted on it */
    int64_t issued_ms;         /* when it was asked for: what was changed since is not ours */
    const struct policy *only; /* the accounts that its signer may name (policy_only); NULL: any */
    /* Asked once before the first effect, unless somebody approved: false holds the case by that
     * rule, with `why`. */
    bool (*let)(void *arg, const struct casefile *cf, const char **ret_rule, char *why,
                size_t size);
    /* Each step, as it ends; NULL: nobody is told. */
    void (*told)(void *arg, const struct casefile *cf, const struct step *s);
    void *arg; /* of both */
};

enum effect_state {
    EFFECT_WAITING, /* for its DC */
    EFFECT_READING,
    EFFECT_INTENT,
    EFFECT_EFFECT,
    EFFECT_EVIDENCE,
    EFFECT_ENDED,
};

enum confirm_state { CONFIRM_NOT_ASKED, CONFIRM_WAITING, CONFIRM_MET, CONFIRM_MISSED };

/* What an earlier run of this case had in hand at this DC (from the ledger). */
struct prior {
    bool intended; /* an intent is on record: it may have been sent */
    bool ended;    /* and its end, too */
    char mark[192];
    char local[80];
    uint32_t unicode_version; /* of unicodePwd before a reset */
    int64_t intended_ms;
    /* A run of Live Response; its step is "mde/OPERATION". */
    char machine[64], nonce[24], action[64]; /* action: "" not known */
    int64_t expires_ms;
    bool given_up; /* surely nothing was done there */
};

/* One change of one account at one DC. */
struct effect {
    struct casefile *cf;
    const struct effect_kind *kind;
    struct ad_dc *dc; /* borrowed: lives as long as the set of DCs */
    enum effect_state state;
    struct step step;
    struct ad_edits edits;
    struct watch_wait *wait; /* for its DC's log */
    struct ad_op *op;        /* the one request in flight, or NULL */
    struct loop_timer *timer;
    struct ad_account *account; /* as read at this DC, until the change is sent */
    uint32_t before_uac, after_uac;
    struct ad_stamp before_unicode, before_stamp; /* (userAccountControl); version 0: unreadable */
    struct ad_stamp uac_stamp, pwd_stamp, unicode_stamp; /* as read back */
    bool has_stamps;
    bool sent, accepted, undone, refused_here, answer_lost, unlocked, intent_open;
    bool was_locked;
    unsigned resets, tries;
    uint64_t deadline; /* for waiting on a DC that went away in the middle */
    enum err_code why;
    char *why_words; /* or NULL */
    struct watch_expect *expect;
    enum confirm_state confirm;
    struct step confirm_step;
    bool confirm_counted;           /* among the case's confirms_open */
    bool foreign;                   /* someone else made the same change just then */
    const struct prior *prior;      /* borrowed, or NULL */
    void (*done)(struct effect *x); /* the run's: called once, from the loop */
};

/* A place to which the case is sent. */
struct leg {
    struct ad_dc *dc;
    struct ad_op *op;
    struct ad_account *account;
    bool asked, judged;
    struct casefile *cf;
};

struct casefile {
    struct world *w;
    struct casefile *next_running;
    char id[ID_ULID];
    bool recorded; /* the "case" record is in the ledger */
    const struct plan *plan;
    struct options options;
    char *typed;                             /* the account as it was asked for */
    const char *reason, *ticket, *requester; /* borrowed from the request */
    bool dry_run;
    struct guard_leave leave;
    struct run_terms terms;

    struct ad_found found;
    bool resolved;
    bool has_ids; /* SID and GUID in `found` are Entra's word: no DC was asked */
    struct ad_dc *home;
    struct loop_timer *grace, *later;
    struct leg *legs;
    size_t leg_count;
    size_t home_leg;
    bool judging, going, ending, interrupted, planned;

    size_t plan_at; /* which plan step */
    struct effect **effects;
    size_t effect_count, effects_open, confirms_open;
    struct ad_dc *accepted_at; /* the first that took it */
    struct prior *priors;      /* resume: for each (plan step, DC) on record */
    const char *(*prior_names)[2];
    size_t prior_count;

    bool in_ad, in_cloud;    /* where it is to act (--on-prem, --cloud, the configuration) */
    struct cloud_leg *cloud; /* NULL: none */
    struct okta_leg *okta;   /* NULL: none */
    struct mdi_leg *mdi;     /* NULL: AD's part goes by LDAP */
    struct mde_leg *mde;     /* NULL: not (yet) through Live Response */
    bool mde_waits;          /* for the cloud's word on who it is */
    bool ad_failed;          /* AD's part could not begin */
    enum err_code ad_why;
    char *ad_words;
    struct loop_timer *head_start;

    struct converge *converge;
    bool converged, reverted, converge_done;
    size_t pushes_open;

    bool unsent;  /* it failed before any effect, for a reason that may pass */
    bool for_two; /* held, and one person's approval will not do */
    char rule[64];
    char *detail; /* or NULL: case_detail */
    enum verdict verdict;
    enum proof proof;                 /* the weakest of the two worlds */
    enum proof ad_proof, cloud_proof; /* where there is a part in it */
    bool has_ad_proof, has_cloud_proof;
    int64_t started_ms;
    uint64_t started_us, accepted_us, proven_us, ended_us;
    int64_t last_tgt_ms;
    void (*done)(void *arg, struct casefile *cf);
    void *arg;
};

const char *case_detail(const struct casefile *cf); /* the verdict's sentence; never NULL */

#endif
