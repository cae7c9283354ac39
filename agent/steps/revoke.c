/* agent/steps/revoke.c -- end the user's sessions in Entra ID: refresh tokens and browser cookies.
 *
 * signInSessionsValidFromDateTime moves to now (entra-graph.md 4.5); proof is that date, by the
 * service's own clock. Access tokens that are out already live on: residual.c says until when.
 */
#include "agent/cloud_leg.h"
#include "base/stamp.h"
#include "base/text.h"

#define TOLERANCE_MS 5000 /* between the front end's clock and the directory's (9.1) */

static void on_answer(void *arg, int64_t date_ms, const struct err *e)
{
    cloud_act_answered(arg, date_ms, e);
}

static const char *cannot(const struct cloud_act *x, const struct entra_user *u)
{
    (void)x;
    return u->guest ? "a guest: the sessions end in the home tenant" : NULL;
}

static int send_revoke(struct cloud_act *x, struct err *e)
{
    return entra_revoke_start(cloud_act_cloud(x)->graph, x->leg->user.id, on_answer, x,
                              &x->leg->call, e);
}

/* Since when must sessions begin anew, at least? */
static int64_t since(const struct cloud_act *x)
{
    if (x->accepted_ms != 0)
        return x->accepted_ms - TOLERANCE_MS;
    if (x->intended_before)
        return x->intended_ms - TOLERANCE_MS;
    return x->sent_ms - TOLERANCE_MS;
}

static bool shown(const struct cloud_act *x, const struct entra_user *u)
{
    return u->sessions_valid_from_ms != 0 && u->sessions_valid_from_ms >= since(x);
}

static void want(const struct cloud_act *x, struct entra_want *w)
{
    if (since(x) > w->valid_from_ms)
        w->valid_from_ms = since(x);
}

static void describe(struct cloud_act *x, const struct entra_user *before,
                     const struct entra_user *after)
{
    char iso[STAMP_TEXT];

    (void)before;
    step_say(&x->step, "sessions valid from %s%s", stamp_iso(iso, after->sessions_valid_from_ms),
             x->lost ? "; the answer was lost, found done" : "");
}

const struct cloud_kind cloud_revoke = {.step = "revoke",
                                        .target = "entra",
                                        .would = "end all sessions and refresh tokens",
                                        .cannot = cannot,
                                        .send = send_revoke,
                                        .shown = shown,
                                        .want = want,
                                        .describe = describe};
