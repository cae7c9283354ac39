/* agent/verdict.c -- see verdict.h. */
#include "agent/verdict.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

static const char *const actions[] = {"disable", "enable", "expire-password",  "reset-password",
                                      "contain", "revoke", "mark-compromised", "dismiss-risk"};
/* Other names for them in requests: the verbs of Graph's invokeAction. */
static const struct {
    const char *verb;
    enum action action;
} verbs[] = {{"disableAccount", ACT_DISABLE},          {"enableAccount", ACT_ENABLE},
             {"forcePasswordReset", ACT_EXPIRE},       {"revokeAllSessions", ACT_REVOKE},
             {"requireUserToSignInAgain", ACT_REVOKE}, {"markUserAsCompromised", ACT_MARK}};
static const char *const proofs[] = {"none", "accepted", "read-back", "logged", "everywhere"};
static const char *const outcomes[] = {"done",   "already",     "skipped", "refused",
                                       "failed", "unconfirmed", "unknown"};
static const struct {
    const char *word;
    int exit;
} verdicts[] = {{"done", 0},       {"unconfirmed", 10}, {"partial", 11},
                {"refused", 12},   {"held", 13},        {"not-found", 14},
                {"ambiguous", 14}, {"failed", 15},      {"unknown", 16}};

const char *action_word(enum action a)
{
    return actions[a];
}

bool action_parse(const char *s, enum action *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (strcmp(s, actions[i]) == 0) {
            *ret = (enum action)i;
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(s, verbs[i].verb) == 0) {
            *ret = verbs[i].action;
            return true;
        }
    }
    return false;
}

const char *proof_word(enum proof p)
{
    return proofs[p];
}

const char *outcome_word(enum outcome o)
{
    return outcomes[o];
}

const char *verdict_word(enum verdict v)
{
    return verdicts[v].word;
}

bool verdict_parse(const char *s, enum verdict *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        if (strcmp(s, verdicts[i].word) == 0) {
            *ret = (enum verdict)i;
            return true;
        }
    }
    return false;
}

int verdict_exit(enum verdict v)
{
    return verdicts[v].exit;
}

enum goal_is { GOAL_PROVEN, GOAL_UNPROVEN, GOAL_UNKNOWN, GOAL_REFUSED, GOAL_FAILED };

static enum goal_is judge(const struct goal_facts *g, enum proof *ret_proof)
{
    *ret_proof = PROOF_NONE;
    if (!g->some_done && !g->some_already) {
        if (g->some_unknown)
            return GOAL_UNKNOWN;
        if (g->some_undone)
            return GOAL_FAILED; /* the DC said yes, and the account shows no: nothing is changed */
        return g->some_refused && !g->some_failed ? GOAL_REFUSED : GOAL_FAILED;
    }
    *ret_proof = g->not_shown ? PROOF_ACCEPTED : PROOF_READ_BACK;
    if (g->reverted || (g->not_shown && !g->some_logged))
        return GOAL_UNPROVEN;

    /* What was so before has no event of ours to show: only all DCs alike prove it. */
    if (!g->some_done) {
        if (g->converged)
            *ret_proof = PROOF_EVERYWHERE;
        return g->converged || !g->log_watched ? GOAL_PROVEN : GOAL_UNPROVEN;
    }
    if (g->log_watched && !g->some_logged)
        return GOAL_UNPROVEN;
    if (g->some_logged)
        *ret_proof = PROOF_LOGGED;
    if (g->converged)
        *ret_proof = PROOF_EVERYWHERE;
    return GOAL_PROVEN;
}

struct verdict_out verdict_of(const struct goal_facts *goals, size_t count)
{
    size_t n[GOAL_FAILED + 1] = {0}, met;
    enum proof least = PROOF_EVERYWHERE;

    for (size_t i = 0; i < count; i++) {
        enum proof proof;

        n[judge(&goals[i], &proof)]++;
        if (proof < least)
            least = proof;
    }
    met = n[GOAL_PROVEN] + n[GOAL_UNPROVEN];
    if (count == 0)
        return (struct verdict_out){VERDICT_FAILED, PROOF_NONE};
    if (n[GOAL_UNKNOWN] > 0)
        return (struct verdict_out){VERDICT_UNKNOWN, PROOF_NONE};
    if (met == count)
        return (struct verdict_out){n[GOAL_UNPROVEN] > 0 ? VERDICT_UNCONFIRMED : VERDICT_DONE,
                                    least};
    if (met > 0)
        return (struct verdict_out){VERDICT_PARTIAL, PROOF_NONE};
    return (struct verdict_out){n[GOAL_FAILED] > 0 ? VERDICT_FAILED : VERDICT_REFUSED, PROOF_NONE};
}
