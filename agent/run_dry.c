/* agent/run_dry.c -- what would be done, in words; nothing is touched. */
#include "agent/run_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/cloud_leg.h"
#include "agent/okta_leg.h"
#include "base/cleanup.h"

void run_dry(struct casefile *cf)
{
    CLEANUP(step_done)
    struct step s = {.name = "guard",
                     .outcome = OUT_DONE,
                     .started_us = cf->started_us,
                     .ended_us = run_now_us(cf)};

    step_say(&s, "not privileged; on no list that holds it");
    run_tell(cf, &s);
    for (size_t i = 0; i < run_ad_steps(cf); i++) {
        const struct plan_step *ps = &cf->plan->steps[i];
        struct ad_edits edits = {0};
        struct err why = ERR_NONE;
        enum need need =
            ps->kind->decide(cf->legs[cf->home_leg].account, &cf->options, &edits, &why);

        step_done(&s);
        s = (struct step){
            .name = ps->kind->step, .outcome = OUT_SKIPPED, .started_us = run_now_us(cf)};
        s.ended_us = s.started_us;
        s.target = ps->every_dc && run_wide(cf) && cf->leg_count > 1 ? "" : cf->home->host;
        if (need == NEED_REFUSED) {
            const char *colon = strchr(why.msg, ':');
            char rule[64];

            (void)snprintf(rule, sizeof(rule), "%.*s", colon != NULL ? (int)(colon - why.msg) : 0,
                           why.msg);
            s.outcome = OUT_REFUSED;
            step_say(&s, "%s", why.msg);
            run_tell(cf, &s);
            run_end_early(cf, VERDICT_REFUSED, rule, why.msg);
            return;
        }
        if (need == NEED_NOTHING)
            step_say(&s, "would do nothing: already so");
        else if (edits.uac)
            step_say(&s, "would change userAccountControl %" PRIu32 " -> %" PRIu32 "%s%s",
                     edits.uac_old, edits.uac_new,
                     edits.pwd == AD_PWD_EXPIRE ? " and pwdLastSet -> 0" : "",
                     step_target(&s)[0] == '\0' ? " at every writable DC" : "");
        else
            step_say(&s, "would %s",
                     ps->kind->resets             ? "set a random password, twice"
                     : edits.pwd == AD_PWD_EXPIRE ? "set pwdLastSet -> 0"
                                                  : "set pwdLastSet -> now");
        run_tell(cf, &s);
    }
    cloud_leg_dry(cf);
    okta_leg_dry(cf);
    cf->ending = true;
    cf->ended_us = run_now_us(cf);
    cf->planned = true;
    report_plan(cf->w->report, cf);
    cf->done(cf->arg, cf);
    run_case_end(cf);
}
