/* agent/service/risks.c -- what Identity Protection finds, as requests of our own (intake/risk.h).
 */
#include "agent/service/service_inside.h"

#include <stdio.h>

#include "agent/cloud.h"
#include "agent/intake/risk.h"
#include "base/log.h"

static int on_finding(void *arg, const struct intake_risk_finding *f, struct err *e)
{
    struct service *s = arg;
    char what[64];

    (void)snprintf(what, sizeof(what), "risk:%.40s", f->user_id);
    return own_request(s, f->request, what, f->hold, e);
}

int risks_open(struct service *s, struct err *e)
{
    if (!s->cfg->risk.on || s->tenant == NULL)
        return 0;
    return intake_risk_open(s->loop, s->ledger, s->tenant->graph, s->cfg, on_finding, s, &s->risks,
                            e);
}

void risks_close(struct service *s)
{
    intake_risk_close(&s->risks);
}

bool risks_asked(const struct service *s)
{
    struct intake_risk_health h;

    if (s->risks == NULL)
        return true;
    intake_risk_health(s->risks, &h);
    return h.polls > 0;
}
