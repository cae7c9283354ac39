/* agent/service/metrics.h -- the service's numbers as OpenMetrics 1.0 text.
 *
 * A pure writer: a struct of plain numbers in, text out, with "# EOF" at its end. Ages are told as
 * ages, by the caller's clock; what is not known is left out, never told as 0.
 */
#ifndef CORDON_AGENT_SERVICE_METRICS_H
#define CORDON_AGENT_SERVICE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/verdict.h"
#include "base/err.h"
#include "base/text.h"

#define METRICS_UNKNOWN (-1) /* for every number here */

struct metrics_dc {
    const char *name;
    bool up;
    int64_t proven_age_ms; /* since it last answered */
    int64_t event_age_ms;  /* of the last event that came from it */
};
struct metrics_leg {
    const char *name;      /* "queue", "entra" ... */
    int64_t proven_age_ms; /* since the last round trip that was proven (U4) */
};
struct metrics_expiry {
    const char *what; /* "kerberos", "entra" ... */
    int64_t left_ms;  /* below 0, but not METRICS_UNKNOWN: over for so long */
};
struct metrics_brake { /* what stands in a window, and what may */
    const char *rule;  /* "all", "ou", ... */
    int64_t count, limit;
};

struct metrics {
    const char *version;
    int64_t queue_depth, queue_oldest_ms, in_flight, waiting, outbox, outbox_stuck, held;
    int64_t ledger_records, ledger_failed, brake_engaged, degraded;
    int64_t watched, alive; /* who was contained; and of those who is not any more */
    int64_t at_risk;
    uint64_t taken, refused, answered, came_back, put_back; /* since the start */
    uint64_t risk_polls, risk_failures, risk_requests;
    uint64_t verdicts[VERDICT_UNKNOWN + 1]; /* by enum verdict */
    const struct metrics_dc *dcs;
    const struct metrics_leg *legs;
    const struct metrics_expiry *expiries;
    const struct metrics_brake *brakes;
    size_t dc_count, leg_count, expiry_count, brake_count;
};

/* ERR_TOOBIG, ERR_NOMEM: `out` had no room. */
int metrics_write(const struct metrics *m, struct text *out, struct err *e);
/* For a collector that reads files: written beside it and renamed, 0644. A reader sees the old one
 * or the new one, whole. Not synced to disk: after a crash there are new numbers. */
int metrics_to_file(const char *path, const struct text *t, struct err *e);

#endif
