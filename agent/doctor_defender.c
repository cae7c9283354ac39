/* agent/doctor_defender.c -- could Live Response be used now, on each DC that it would be used on?
 * Nothing is run. */
#include <stdio.h>

#include "agent/cloud.h"
#include "agent/defender_walk.h"
#include "agent/doctor.h"
#include "base/text.h"

static bool is_dc(void *arg, const char *host)
{
    const struct doctor *d = arg;
    struct ad_dcs *dcs = d->dcs;
    bool found = false;

    for (size_t i = 0; dcs != NULL && i < ad_dcs_count(dcs); i++)
        found = found || text_eq_nocase(ad_dcs_at(dcs, i)->host, host);
    if (!found)
        doctor_say(arg, "defender", host, HEALTH_WARNING, "take the tag from it",
                   "has the tag '%s' and is no DC that DNS shows: not used",
                   d->cfg->defender.dc_tag);
    return found;
}

static void on_checked(void *arg, const char *host, const struct defender_check *checks, size_t n,
                       const struct err *e)
{
    struct doctor *d = arg;

    d->defender_at++;
    if (e != NULL)
        doctor_say(d, "defender", host, HEALTH_FAILED, "", "%s", e->msg);
    for (size_t i = 0; i < n; i++) {
        const struct defender_check *c = &checks[i];

        doctor_say(d, "defender", host,
                   c->ok      ? HEALTH_OK
                   : c->known ? HEALTH_FAILED
                              : HEALTH_WARNING,
                   c->mend, "%s: %s", c->name, c->words);
    }
}

static void on_done(void *arg)
{
    struct doctor *d = arg;

    d->defender_walk = NULL;
    if (d->defender_at == 0)
        doctor_say(d, "defender", "", HEALTH_FAILED, "give the DCs the tag, or name them in dcs",
                   "no DC to run anything on%s",
                   d->cfg->defender.dc_tag != NULL ? ": none has the tag of dc_tag" : "");
    doctor_done(d);
}

void doctor_check_defender(struct doctor *d)
{
    static const struct defender_walk_calls calls = {
        .is_dc = is_dc, .checked = on_checked, .done = on_done};
    struct err e;

    if (!d->cfg->defender.on) {
        doctor_done(d);
        return;
    }
    if (d->cloud == NULL || d->cloud->defender == NULL) {
        doctor_say(d, "defender", "", HEALTH_FAILED, "docs/defender-setup.md", "%s",
                   d->cloud == NULL ? "the cloud is not open" : d->cloud->defender_failed.msg);
        doctor_done(d);
        return;
    }
    if (defender_walk_start(d->loop, d->cloud->defender, &d->cfg->defender, &calls, d,
                            &d->defender_walk, &e) < 0) {
        doctor_say(d, "defender", "", HEALTH_FAILED, "", "%s", e.msg);
        doctor_done(d);
    }
}
