/* agent/residual.c -- see residual.h. The lifetimes are the directory's defaults: the domain's own
 * Kerberos policy stands in a file on SYSVOL that LDAP does not show, and the words say "default".
 */
#include "agent/residual.h"

#include <stdio.h>

#include "agent/casefile.h"
#include "agent/cloud_leg.h"
#include "agent/mde_leg.h"
#include "agent/okta_leg.h"
#include "agent/world.h"

#define TICKET_MS (INT64_C(600) * 60 * 1000) /* MaxTicketAge, MaxServiceAge: 10 h / 600 min */
#define ACCESS_TOKEN_MS (INT64_C(90) * 60 * 1000)
#define CAE_MS (INT64_C(15) * 60 * 1000)
#define RECHECK_MS                                                                 \
    (INT64_C(20) * 60 * 1000) /* a KDC asks again only for tickets older than that \
                               */

static unsigned add(struct residual *list, unsigned n, int64_t until, const char *what)
{
    if (n == RESIDUAL_MAX)
        return n;
    list[n].until_ms = until;
    (void)snprintf(list[n].what, sizeof(list[n].what), "%s", what);
    return n + 1;
}

/* entra-graph.md 11.1. Of a token that is out, only the issuer's default lifetime is known. */
static unsigned cloud_part(const struct casefile *cf, int64_t now_ms, bool disabled_in_ad,
                           struct residual ret[RESIDUAL_MAX], unsigned n)
{
    const struct cloud_leg *l = cf->cloud;
    bool acted = false, disabled = false;

    if (l == NULL || !l->has_user || cf->plan->action == ACT_ENABLE)
        return n;
    for (size_t i = 0; i < l->act_count; i++) {
        const struct cloud_act *x = &l->acts[i];

        acted = acted || ((x->kind == &cloud_disable || x->kind == &cloud_revoke) &&
                          (x->step.outcome == OUT_DONE || x->step.outcome == OUT_ALREADY ||
                           x->step.outcome == OUT_UNCONFIRMED));
        disabled = disabled || (x->kind == &cloud_disable &&
                                (x->step.outcome == OUT_DONE || x->step.outcome == OUT_ALREADY));
    }
    if (disabled && !disabled_in_ad && l->user.synced == ENTRA_TRUE)
        n = add(ret, n, 0,
                "AD has not disabled it by this case: the next synchronisation may enable it in "
                "Entra again");
    if (acted) {
        n = add(ret, n, now_ms + CAE_MS,
                "Entra access tokens in services with continuous access evaluation (Exchange, "
                "SharePoint, Teams)");
        n = add(ret, n, now_ms + ACCESS_TOKEN_MS,
                "Entra access tokens in apps without continuous access evaluation (60 to 90 min)");
        n = add(ret, n, 0, "sessions that apps keep for themselves: end them in the app");
    }
    if (l->user.guest)
        n = add(ret, n, 0, "a guest: what the home tenant allows");
    return n;
}

unsigned residual_list(const struct casefile *cf, int64_t now_ms, struct residual ret[RESIDUAL_MAX])
{
    bool disabled = false, reset = false, expired = false, changed = false;
    struct mde_did mde;
    const char *okta[2];
    unsigned n = 0;
    char line[200];

    if (cf->planned)
        return 0;
    for (size_t i = 0; i < cf->effect_count; i++) {
        const struct effect *x = cf->effects[i];
        bool so = x->step.outcome == OUT_DONE || x->step.outcome == OUT_ALREADY ||
                  x->step.outcome == OUT_UNCONFIRMED;

        disabled = disabled || (so && x->kind == &effect_disable);
        reset = reset || (so && x->kind == &effect_reset);
        expired = expired || (so && x->edits.pwd == AD_PWD_EXPIRE);
        changed = changed || so;
    }
    mde_leg_did(cf, &mde);
    disabled = disabled || mde.disabled;
    reset = reset || mde.reset;
    expired = expired || mde.expired;
    changed = changed || mde.dc != NULL;
    n = cloud_part(cf, now_ms, disabled, ret, n);
    for (unsigned i = 0, k = okta_leg_residual(cf, okta); i < k; i++)
        n = add(ret, n, 0, okta[i]);
    if (!changed || cf->plan->action == ACT_ENABLE) {
        if (cf->plan->action == ACT_ENABLE && changed && cf->options.undo &&
            cf->options.undo_expired)
            n = add(ret, n, 0,
                    "the earlier date of the password cannot come back: pwdLastSet is now");
        return n;
    }
    n = add(ret, n, now_ms + TICKET_MS,
            "Kerberos service tickets issued before (default lifetime 10 h)");
    if (disabled)
        n = add(ret, n, now_ms + RECHECK_MS,
                "new service tickets with an earlier ticket-granting ticket: a KDC of the "
                "account's own "
                "domain asks again after 20 min");
    else
        n = add(ret, n, now_ms + TICKET_MS,
                "Kerberos ticket-granting tickets issued before (default lifetime 10 h, renewable "
                "7 d)");
    n = add(ret, n, 0, "sessions that are open (RDP, SMB, LDAP): end them on the machines");
    n = add(ret, n, 0, "a machine that is offline takes the cached password");
    if (expired && !reset)
        n = add(ret, n, 0, "whoever holds the old password may choose the new one");
    if (expired)
        n = add(ret, n, 0,
                "in Entra ID a forced change does nothing under password hash synchronisation, by "
                "default");
    if (mde.dc != NULL) {
        (void)snprintf(line, sizeof(line), "DCs other than %.120s: not proven to know of it yet",
                       mde.dc);
        n = add(ret, n, 0, line);
    }
    if (mde.dc == NULL && cf->effect_count > 0 && !cf->converged) {
        for (size_t i = 0; i < ad_dcs_count(cf->w->dcs); i++) {
            const struct ad_dc *dc = ad_dcs_at(cf->w->dcs, i);
            bool shown = dc->state == AD_DC_UNFIT;

            for (size_t k = 0; k < cf->effect_count; k++) {
                const struct effect *x = cf->effects[k];

                shown = shown || (x->dc == dc &&
                                  (x->step.outcome == OUT_DONE || x->step.outcome == OUT_ALREADY));
            }
            if (!shown) {
                (void)snprintf(line, sizeof(line), "%.120s: not proven to know of it yet",
                               dc->host);
                n = add(ret, n, 0, line);
            }
        }
    }
    return n;
}
