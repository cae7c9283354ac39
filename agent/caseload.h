/* agent/caseload.h -- a case as the ledger has it: for undo, resume and show. */
#ifndef CORDON_AGENT_CASELOAD_H
#define CORDON_AGENT_CASELOAD_H

#include <stdbool.h>

#include "agent/casefile.h"
#include "agent/ledger.h"
#include "agent/plan.h"

#define CASELOAD_PLACES 128 /* (step, DC) pairs */

struct caseload {
    char id[ID_ULID];
    enum action action;
    char *account, *domain, *reason, *ticket, *requester;
    bool privileged, in_ad, in_cloud;
    struct options options;
    bool has_guid;
    struct ad_found found;
    bool has_verdict;
    enum verdict verdict;
    /* per (step, DC) */
    struct prior priors[CASELOAD_PLACES];
    const char *names[CASELOAD_PLACES][2]; /* ours */
    size_t prior_count;
    /* for undo */
    bool did_disable, did_clear_never_expires, did_expire, did_reset, did_entra, did_okta;
    struct undo_left left[CASELOAD_PLACES];
    size_t left_count;
    char first_dc[256]; /* that took a change; "" */
    char okta_id[64];   /* whom it was about in Okta; "" */
};

/* ERR_NOTFOUND: no such case; ERR_INVALID: its records cannot be read. */
int caseload(struct ledger *l, const char *id, struct caseload **ret, struct err *e);
void caseload_free(struct caseload *c);

#endif
