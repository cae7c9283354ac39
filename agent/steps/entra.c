/* agent/steps/entra.c -- accountEnabled in Entra ID: false to disable, true to undo that.
 *
 * One property alone in the PATCH, which may be repeated (entra-graph.md 4.3). Proof is the user as
 * read back.
 */
#include "agent/cloud_leg.h"
#include "base/text.h"

static void on_answer(void *arg, int64_t date_ms, const struct err *e)
{
    cloud_act_answered(arg, date_ms, e);
}

static int send_enabled(struct cloud_act *x, bool enabled, struct err *e)
{
    return entra_enable_start(cloud_act_cloud(x)->graph, x->leg->user.id, enabled, on_answer, x,
                              &x->leg->call, e);
}

static void describe(struct cloud_act *x, const struct entra_user *before,
                     const struct entra_user *after)
{
    if (x->lost && before->enabled == after->enabled) { /* seen so at once when resumed */
        step_say(&x->step, "accountEnabled %s; found done", after->enabled ? "true" : "false");
        return;
    }
    step_say(&x->step, "accountEnabled %s -> %s%s%s", before->enabled ? "true" : "false",
             after->enabled ? "true" : "false", x->again ? "; it had come back to life" : "",
             x->lost ? "; the answer was lost, found done" : "");
}

static const char *already_disabled(const struct cloud_act *x, const struct entra_user *u)
{
    (void)x;
    return u->enabled ? NULL : "already so: accountEnabled false";
}

static int send_disable(struct cloud_act *x, struct err *e)
{
    return send_enabled(x, false, e);
}

static bool shows_disabled(const struct cloud_act *x, const struct entra_user *u)
{
    (void)x;
    return !u->enabled;
}

static void want_disabled(const struct cloud_act *x, struct entra_want *w)
{
    (void)x;
    w->disabled = true;
}

const struct cloud_kind cloud_disable = {.step = "entra",
                                         .target = "entra",
                                         .would = "set accountEnabled false",
                                         .already = already_disabled,
                                         .send = send_disable,
                                         .shown = shows_disabled,
                                         .want = want_disabled,
                                         .describe = describe};

static const char *already_enabled(const struct cloud_act *x, const struct entra_user *u)
{
    (void)x;
    return u->enabled ? "already so: accountEnabled true" : NULL;
}

/* Undo of a case puts back what that case changed, and nothing else. */
static const char *not_ours(const struct cloud_act *x, const struct entra_user *u)
{
    const struct options *o = &x->leg->cf->options;

    (void)u;
    return o->undo && !o->undo_entra ? "that case did not disable it in Entra" : NULL;
}

static int send_enable(struct cloud_act *x, struct err *e)
{
    return send_enabled(x, true, e);
}

static bool shows_enabled(const struct cloud_act *x, const struct entra_user *u)
{
    (void)x;
    return u->enabled;
}

static void want_enabled(const struct cloud_act *x, struct entra_want *w)
{
    (void)x;
    w->enabled = true;
}

const struct cloud_kind cloud_enable = {.step = "entra",
                                        .target = "entra",
                                        .would = "set accountEnabled true",
                                        .already = already_enabled,
                                        .cannot = not_ours,
                                        .send = send_enable,
                                        .shown = shows_enabled,
                                        .want = want_enabled,
                                        .describe = describe};
