/* agent/mde_targets.c -- see mde_leg_inside.h. */
#include <stdio.h>
#include <string.h>

#include "agent/cloud_leg.h"
#include "agent/mde_leg_inside.h"
#include "agent/world.h"
#include "base/text.h"

size_t mde_ops(enum action a, enum dc_op ret[MDE_OPS])
{
    switch (a) {
    case ACT_DISABLE:
        ret[0] = DC_DISABLE;
        return 1;
    case ACT_ENABLE:
        ret[0] = DC_ENABLE;
        return 1;
    case ACT_EXPIRE:
        ret[0] = DC_EXPIRE_PASSWORD;
        return 1;
    case ACT_RESET:
        ret[0] = DC_RESET_PASSWORD;
        return 1;
    case ACT_CONTAIN:
        ret[0] = DC_DISABLE;
        ret[1] = DC_RESET_PASSWORD;
        return 2;
    default:
        return 0;
    }
}

/* As AD has it, or as Entra has it from AD; the script goes by the GUID, and compares the SID. */
int mde_find_account(struct mde_leg *m, struct err *e)
{
    struct casefile *cf = m->cf;
    const struct cloud_leg *c = cf->cloud;

    if (!cf->resolved && !cf->has_ids) {
        if (c == NULL || !c->has_user || c->user.sid == NULL ||
            ad_sid_from_text(c->user.sid, strlen(c->user.sid), &cf->found.sid) < 0 ||
            !entra_anchor_guid(&c->user, cf->found.guid.b))
            return err_set(e, ERR_NOTFOUND, 0,
                           "Live Response needs the account's SID and objectGUID: no DC can be "
                           "asked, and Entra does not tell both");
        cf->has_ids = true;
        if (cf->found.dn == NULL)
            cf->found.dn = text_dup(c->user.on_prem_dn);
        if (cf->found.sam == NULL)
            cf->found.sam = text_dup(c->user.on_prem_sam);
    }
    m->sid = cf->found.sid;
    m->guid = cf->found.guid;
    (void)ad_sid_to_text(&m->sid, m->sid_text);
    return 0;
}

void mde_add_target(struct mde_leg *m, const char *host, const char *machine)
{
    struct mde_target *t = &m->targets[m->count];

    if (m->count == MDE_TARGETS || strlen(host) >= sizeof(t->host) ||
        strlen(machine) >= sizeof(t->machine))
        return;
    for (size_t i = 0; i < m->count; i++) {
        if (text_eq_nocase(m->targets[i].host, host))
            return;
    }
    *t = (struct mde_target){0};
    (void)snprintf(t->host, sizeof(t->host), "%s", host);
    (void)snprintf(t->machine, sizeof(t->machine), "%s", machine);
    m->count++;
}

/* "dc1.corp.example.com" or "dc1.corp.example.com=<id>", of this domain. */
void mde_targets(struct mde_leg *m)
{
    const struct cfg_list *l = &m->cf->w->cfg->defender.dcs;
    char suffix[260];

    (void)snprintf(suffix, sizeof(suffix), ".%s", m->cf->w->domain->name);
    for (size_t i = 0; i < l->count; i++) {
        size_t n = strcspn(l->items[i], "=");
        char host[256];

        (void)snprintf(host, sizeof(host), "%.*s", (int)n, l->items[i]);
        if (text_ends_nocase(host, suffix))
            mde_add_target(m, host, l->items[i][n] == '=' ? l->items[i] + n + 1 : "");
    }
}

bool mde_is_dc(const struct mde_leg *m, const char *host)
{
    struct ad_dcs *dcs = m->cf->w->dcs;

    for (size_t i = 0; dcs != NULL && i < ad_dcs_count(dcs); i++) {
        if (text_eq_nocase(ad_dcs_at(dcs, i)->host, host))
            return true;
    }
    return false;
}
