/* agent/report.h -- telling: JSON lines for scripts, words for people. stdout only.
 *
 * JSON is a contract (docs/, cordon(1)). For people: one account is told step by step; many are
 * told as a progress line (on a terminal), a summary, and those that did not come out right.
 */
#ifndef CORDON_AGENT_REPORT_H
#define CORDON_AGENT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "agent/verdict.h"
#include "base/json.h"

struct report;
struct casefile;
struct step;

int report_new(FILE *out, bool json, size_t accounts, struct report **ret_report, struct err *e);
void report_free(struct report *r);

void report_step(struct report *r, struct casefile *cf, const struct step *s);
void report_verdict(struct report *r, const struct casefile *cf);
void report_plan(struct report *r, const struct casefile *cf); /* the end of a dry run */
/* (For these two r may be NULL: nobody is told.) */
/* An account that never became a case (no DC, no ticket, no ledger). */
void report_never(struct report *r, const char *account, enum action a, enum verdict v,
                  const char *rule, const char *detail);
void report_summary(struct report *r);
/* The highest exit code of all that was told; 0 when nothing was. */
int report_exit(const struct report *r);
/* stdout failed (a closed pipe, a full disk): not everything was told. */
bool report_broken(const struct report *r);

/* The whole verdict object, for the ledger as well. */
void report_verdict_json(const struct casefile *cf, struct json_out *o);

#endif
