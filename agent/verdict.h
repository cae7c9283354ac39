/* agent/verdict.h -- words and numbers that scripts rely on, and the one function that judges.
 *
 * verdict_of() is pure: a struct of facts in, a verdict out. It never says more than its facts.
 */
#ifndef CORDON_AGENT_VERDICT_H
#define CORDON_AGENT_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

enum action {
    ACT_DISABLE,
    ACT_ENABLE,
    ACT_EXPIRE,
    ACT_RESET,
    ACT_CONTAIN,
    ACT_REVOKE,
    ACT_MARK,
    ACT_DISMISS,
};
const char *action_word(enum action a);             /* "disable", "expire-password", ... */
bool action_parse(const char *s, enum action *ret); /* also Graph's verbs */

enum proof { PROOF_NONE, PROOF_ACCEPTED, PROOF_READ_BACK, PROOF_LOGGED, PROOF_EVERYWHERE };
const char *proof_word(enum proof p); /* "read-back" ... */

/* How a step ended; the words of the contract. */
enum outcome {
    OUT_DONE,
    OUT_ALREADY,
    OUT_SKIPPED,
    OUT_REFUSED,
    OUT_FAILED,
    OUT_UNCONFIRMED,
    OUT_UNKNOWN,
};
const char *outcome_word(enum outcome o);

enum verdict {
    VERDICT_DONE,
    VERDICT_UNCONFIRMED,
    VERDICT_PARTIAL,
    VERDICT_REFUSED,
    VERDICT_HELD,
    VERDICT_NOT_FOUND,
    VERDICT_AMBIGUOUS,
    VERDICT_FAILED,
    VERDICT_UNKNOWN,
};
const char *verdict_word(enum verdict v);
bool verdict_parse(const char *s, enum verdict *ret);
int verdict_exit(enum verdict v); /* 0, 10..16 */

enum { EXIT_USAGE = 64, EXIT_CONFIG = 78 };

/* One goal of a plan (the disable, the reset, the revoke), wherever it was sent. */
struct goal_facts {
    bool some_done, some_already, some_unknown, some_refused, some_failed;
    bool some_undone; /* accepted, but reading back shows otherwise */
    bool not_shown;   /* accepted, and reading back never showed it */
    bool some_logged; /* an event of ours proves it, at the DC that did it */
    bool log_watched; /* there is a log to prove it with (events is not none) */
    bool converged;   /* every writable DC shows the same version, and it is what we wanted */
    bool reverted;    /* some DC shows, at the end, that it is not so */
};

struct verdict_out {
    enum verdict verdict;
    enum proof proof;
};
struct verdict_out verdict_of(const struct goal_facts *goals, size_t count);

#endif
