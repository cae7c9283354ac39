/* agent/doctor_defender.c -- could Live Response be used now, on each configured DC? Nothing is
 * run. */
#include <stdio.h>
#include <string.h>

#include "agent/cloud.h"
#include "agent/doctor.h"
#include "cloud/defender.h"

static void next(struct doctor *d);

static void host_of(const char *entry, char host[256])
{
    (void)snprintf(host, 256, "%.*s", (int)strcspn(entry, "="), entry);
}

static void on_probed(void *arg, const struct defender_check *checks, size_t n)
{
    struct doctor *d = arg;
    char host[256];

    host_of(d->cfg->defender.dcs.items[d->defender_at], host);
    for (size_t i = 0; i < n; i++) {
        const struct defender_check *c = &checks[i];
        char words[300];

        (void)snprintf(words, sizeof(words), "%s: %s", c->name, c->words);
        doctor_say(d, "defender", host,
                   c->ok      ? HEALTH_OK
                   : c->known ? HEALTH_FAILED
                              : HEALTH_WARNING,
                   c->mend, "%s", words);
    }
    d->defender_at++;
    next(d);
}

static void next(struct doctor *d)
{
    const struct cfg_list *l = &d->cfg->defender.dcs;
    const char *id;
    char host[256];
    struct err e;

    for (; d->defender_at < l->count; d->defender_at++) {
        host_of(l->items[d->defender_at], host);
        id = strchr(l->items[d->defender_at], '=');
        if (defender_probe_start(d->cloud->defender, host, id != NULL ? id + 1 : NULL, on_probed, d,
                                 NULL, &e) == 0)
            return;
        doctor_say(d, "defender", host, HEALTH_FAILED, "", "%s", e.msg);
    }
    doctor_done(d);
}

void doctor_check_defender(struct doctor *d)
{
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
    if (d->cfg->defender.dcs.count == 0) {
        doctor_say(d, "defender", "", HEALTH_SKIPPED, "",
                   "only DCs with the tag '%s': they are looked for when they are needed",
                   d->cfg->defender.dc_tag);
        doctor_done(d);
        return;
    }
    next(d);
}
