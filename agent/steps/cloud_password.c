/* agent/steps/cloud_password.c -- the password of a user who lives in the cloud alone.
 *
 * A synchronised user's password belongs to AD: changed there (twice), and carried over by password
 * hash synchronisation; Graph offers no application permission for the way with writeback
 * (entra-graph.md 0.1, 4.4, 4.6). Before anything is sent it is known whether our own principal has
 * the permission and the Entra role that it takes. Proof is lastPasswordChangeDateTime for a new
 * password; a mere "must change" shows nowhere, so accepted is all there is.
 */
#include "agent/cloud_leg.h"
#include "base/secret.h"
#include "base/stamp.h"
#include "base/text.h"
#include "cloud/entra_rights.h"

#define PASSWORD_LENGTH 40
#define TOLERANCE_MS 5000

static void on_answer(void *arg, int64_t date_ms, const struct err *e)
{
    cloud_act_answered(arg, date_ms, e);
}

/* An AD that could not be asked has not set it either. */
static const char *cannot_reset(const struct cloud_act *x, const struct entra_user *u)
{
    if (u->guest)
        return "a guest: the password is the home tenant's";
    if (u->synced == ENTRA_TRUE && x->leg->by_name)
        return "synchronised: AD is the source of authority for the password. A reset in Entra "
               "would "
               "need password writeback, and Graph lets no application ask whether that is on, nor "
               "reset through it: reset the password in AD";
    if (u->synced == ENTRA_TRUE)
        return "synchronised: the password is AD's, and follows from there";
    return NULL;
}

static const char *cannot_expire(const struct cloud_act *x, const struct entra_user *u)
{
    (void)x;
    if (u->guest)
        return "a guest: the password is the home tenant's";
    if (u->synced == ENTRA_TRUE)
        return "synchronised: AD is the source of authority for the password; pwdLastSet = 0 does "
               "nothing in Entra under password hash synchronisation, by default";
    return NULL;
}

static bool lacking(const struct cloud_act *x, char words[STEP_DETAIL])
{
    _Static_assert(ENTRA_RIGHTS_WORDS <= STEP_DETAIL, "words fit");
    return entra_rights_lacking(cloud_act_cloud(x)->token, words);
}

static void on_rights(void *arg, const struct entra_rights *r, const struct err *e)
{
    struct cloud_act *x = arg;
    const char *no = e != NULL ? e->msg : r->lacking[0] != '\0' ? r->lacking : NULL;

    if (no == NULL && x->kind == &cloud_must_change && x->leg->cf->options.with_mfa)
        cloud_act_skipped(x, "mfa-method",
                          "whether the user has registered a method for multi-factor sign-in could "
                          "not be checked: cordon does not read authentication methods; see that "
                          "there is one, and that it is the user's own");
    cloud_act_checked(x, no);
}

static int check(struct cloud_act *x, struct err *e)
{
    return entra_rights_start(cloud_act_cloud(x)->graph, on_rights, x, &x->leg->call, e);
}

static int send_reset(struct cloud_act *x, struct err *e)
{
    struct secret *password = NULL;
    int rc = secret_password(PASSWORD_LENGTH, &password, e);

    if (rc == 0)
        rc = entra_password_start(cloud_act_cloud(x)->graph, x->leg->user.id,
                                  x->leg->cf->options.must_change, /* with_mfa */ false, password,
                                  on_answer, x, &x->leg->call, e);
    secret_free(password);
    return rc;
}

static int send_expire(struct cloud_act *x, struct err *e)
{
    return entra_password_start(cloud_act_cloud(x)->graph, x->leg->user.id, /* must_change */ true,
                                x->leg->cf->options.with_mfa, NULL, on_answer, x, &x->leg->call, e);
}

static bool shows_reset(const struct cloud_act *x, const struct entra_user *u)
{
    int64_t since = x->accepted_ms != 0  ? x->accepted_ms
                    : x->intended_before ? x->intended_ms
                                         : x->sent_ms;

    return u->password_changed_ms != 0 && u->password_changed_ms >= since - TOLERANCE_MS;
}

static void describe(struct cloud_act *x, const struct entra_user *before,
                     const struct entra_user *after)
{
    char iso[STAMP_TEXT];

    (void)before;
    step_say(&x->step, "password set to a random value, changed %s%s",
             stamp_iso(iso, after->password_changed_ms),
             x->lost ? "; the answer was lost, found done" : "");
}

static void want(const struct cloud_act *x, struct entra_want *w)
{
    int64_t since = x->accepted_ms != 0 ? x->accepted_ms : x->sent_ms;

    w->password_since_ms = since - TOLERANCE_MS;
}

const struct cloud_kind cloud_password = {.step = "entra-password",
                                          .target = "entra",
                                          .would = "set a random password",
                                          .cannot = cannot_reset,
                                          .lacking = lacking,
                                          .check = check,
                                          .send = send_reset,
                                          .shown = shows_reset,
                                          .want = want,
                                          .describe = describe};
const struct cloud_kind cloud_must_change = {.step = "entra-password",
                                             .target = "entra",
                                             .would = "force a new password at the next sign-in",
                                             .cannot = cannot_expire,
                                             .lacking = lacking,
                                             .check = check,
                                             .send = send_expire,
                                             .unshown = "Entra has nothing that shows it"};
