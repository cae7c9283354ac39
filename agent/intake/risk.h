/* agent/intake/risk.h -- what Identity Protection finds becomes a request, once for each detection.
 *
 * Every [risk] poll: who is at risk of that level, or confirmed as compromised; what was detected
 * about each of them within max_age, of the types that count; who that is on premises. From that a
 * request: contain, or what on_high_risk says. A record "risk" in the ledger remembers the
 * detections {"user","upn","request","action","hold","detections":[..]}, or with "skipped" why
 * there was no request. The request's id is made from the first of them, so that it is the same one
 * if it must be offered again after a crash.
 *
 * A user whose record did not change is asked about again only after an hour; at most LOOKS of them
 * in one poll, the latest first. The one request a second is kept by cloud/graph.
 */
#ifndef CORDON_AGENT_INTAKE_RISK_H
#define CORDON_AGENT_INTAKE_RISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/intake/request.h"
#include "agent/ledger.h"
#include "base/err.h"
#include "base/loop.h"
#include "cloud/graph.h"
#include "config/config.h"

struct intake_risk;

enum { INTAKE_RISK_LOOKS = 60 };

struct intake_risk_finding { /* borrowed for the call */
    const struct intake_request *request;
    bool hold; /* a person must say yes, whatever the lists say */
    const char *user_id, *upn;
};
/* Take it: 0, and all that is to be remembered of it was added to the ledger inside this call, so
 * that it is on disk together with our record. -1: not now; it is offered again at the next poll.
 * An id that was taken before is to be answered with 0. The callback may not close the intake. */
typedef int (*intake_risk_cb)(void *arg, const struct intake_risk_finding *f, struct err *e);

/* Reads the ledger; the first poll begins in the next turn. All but cb's arg are borrowed; cfg
 * until the intake is closed or configured anew. ERR_INVALID: a record of ours that is not as we
 * write it. Where [risk] is not there nothing is asked. */
int intake_risk_open(struct loop *l, struct ledger *ledger, struct graph *graph,
                     const struct cfg *cfg, intake_risk_cb cb, void *arg,
                     struct intake_risk **ret_risk, struct err *e);
/* The settings were read anew: from the next poll on, which begins at once where none runs. */
void intake_risk_configure(struct intake_risk *r, const struct cfg *cfg);
/* cb is not called any more. Frees itself when the question under way has come back: let the loop
 * turn before the graph is freed. NULLs are fine. */
void intake_risk_close(struct intake_risk **r);

/* Records of it did not get to disk: what the ledger does not have is offered again, soon. */
void intake_risk_again(struct intake_risk *r);

/* For status and metrics. */
struct intake_risk_health {
    bool asked;                       /* at least one poll has ended well */
    int64_t ok_ms;                    /* wall clock: when the last good one ended; 0 */
    uint64_t polls, requests, failed; /* so far */
    size_t at_risk;                   /* users, at the last good one */
    const char *why;                  /* the last one failed; "" (until the next call) */
};
void intake_risk_health(const struct intake_risk *r, struct intake_risk_health *ret);

#endif
