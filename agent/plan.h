/* agent/plan.h -- all plans, one table each: what is done, in which order, to how many DCs. */
#ifndef CORDON_AGENT_PLAN_H
#define CORDON_AGENT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/verdict.h"
#include "base/err.h"
#include "ldap/account.h"
#include "ldap/change.h"

/* How a case left the account at one DC: what undo compares with. */
struct undo_left {
    uint32_t uac_after;
    struct ad_stamp uac_stamp, pwd_stamp;
    bool has_stamps;
};

enum evidence { EVIDENCE_NONE, EVIDENCE_SENTINEL, EVIDENCE_HUNTING };

/* What the person asked for beyond the action. */
struct options {
    bool clear_never_expires, must_change, with_mfa, audit, okta, via_mdi, via_mde;
    enum evidence evidence; /* also look where logs are collected */
    uint64_t hold_ms;       /* how long to watch Entra after it; 0: not */
    /* enable --case: put back exactly this */
    bool undo;
    bool undo_disabled;           /* the case set ACCOUNTDISABLE */
    bool undo_never_expires;      /* the case cleared DONT_EXPIRE_PASSWORD */
    bool undo_expired;            /* the case set pwdLastSet to 0 */
    bool undo_entra;              /* the case set accountEnabled false */
    bool undo_okta;               /* the case suspended it in Okta */
    const struct undo_left *left; /* borrowed */
    size_t left_count;
    bool okta_deactivate; /* in place of suspending: cannot be undone */
    const char *okta_id;  /* whom an earlier run, or the case to undo, found in Okta; NULL */
};

enum need { NEED_NOTHING, NEED_CHANGE, NEED_REFUSED };

/* One kind of change: looks at the account as a DC shows it and says what must be sent. Pure. */
struct effect_kind {
    const char *step; /* "disable" */
    /* On NEED_CHANGE fills *edits; on NEED_REFUSED *why (ERR_REFUSED, with the rule word in front:
     * "never-expires: ..."). */
    enum need (*decide)(const struct ad_account *a, const struct options *o, struct ad_edits *edits,
                        struct err *why);
    bool resets;     /* a new random password: `edits` is about what follows it */
    bool needs_dacl; /* decide() wants to know who may change the password */
};
extern const struct effect_kind effect_disable, effect_enable, effect_expire, effect_reset;

struct plan_step {
    const struct effect_kind *kind;
    bool every_dc; /* sent to every writable DC at once (where the config says write = all) */
};
struct cloud_kind;
struct plan_cloud {
    const struct cloud_kind *kind;
    bool goal; /* the verdict asks for it */
};
struct plan {
    enum action action;
    bool credentials; /* the lists of this family apply; else those of `disable` */
    bool both;        /* the lists of both families apply */
    struct plan_step steps[3];
    size_t count; /* 0: nothing is changed in AD */
    struct plan_cloud cloud[3];
    size_t cloud_count;
    const char *past; /* "disabled": for a person */
};
const struct plan *plan_for(enum action a);

#endif
