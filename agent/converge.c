/* agent/converge.c -- has every writable DC this version of what was changed?
 *
 *   round        ask every DC that can be asked
 *   on_stamp     one answered
 *   weigh        all alike and as wanted: done; else another round until the deadline
 *
 * Alike means the same (version, originating invocation id, originating USN) for each attribute
 * that was changed, not merely the same value (active-directory.md 8). Where only one DC is there
 * and it was read back already, nothing is asked again.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/run.h"
#include "base/text.h"
#include "ldap/uac.h"

#define ROUND_FIRST_MS 200
#define ROUND_LAST_MS 1000
#define LIST_MS 2

struct view {
    struct converge *c;
    struct ad_dc *dc;
    struct ad_op *op;
    bool known, so;
    struct ad_stamp uac, pwd, unicode;
    bool has_stamps;
    uint32_t uac_value;
};

struct converge {
    struct casefile *cf;
    void (*done)(struct casefile *cf, const struct step *s);
    struct loop_timer *timer;
    uint64_t deadline, wait;
    struct step step;
    bool uac, pwd, unicode;  /* which attributes */
    const struct effect *by; /* whose edits say what is wanted */
    bool disabled_wanted, enabled_wanted, expired_wanted;
    struct view *views;
    size_t count, asked;
    bool listed;
};

static void round_start(void *arg);
static void on_stamp(void *arg, struct ad_account *a, const struct err *e);
static void weigh(struct converge *c);

void converge_free(struct casefile *cf)
{
    struct converge *c = cf->converge;

    if (c == NULL)
        return;
    cf->converge = NULL;
    loop_timer_stop(&c->timer);
    step_done(&c->step);
    free(c->views);
    free(c);
}

static void take(struct view *v, uint32_t uac, const struct ad_stamp *u, const struct ad_stamp *p,
                 const struct ad_stamp *w, bool has, bool pwd_zero)
{
    const struct converge *c = v->c;

    assert(c != NULL);
    v->known = true;
    v->uac_value = uac;
    v->uac = *u;
    v->pwd = *p;
    v->unicode = *w;
    v->has_stamps = has;
    v->so = true;
    if (c->disabled_wanted && (uac & AD_UAC_ACCOUNTDISABLE) == 0)
        v->so = false;
    if (c->enabled_wanted && (uac & AD_UAC_ACCOUNTDISABLE) != 0)
        v->so = false;
    if (c->expired_wanted && !pwd_zero)
        v->so = false;
}

int converge_start(struct casefile *cf, void (*done)(struct casefile *cf, const struct step *s),
                   struct err *e)
{
    struct converge *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return err_set(e, ERR_NOMEM, 0, "converge");
    c->cf = cf;
    c->done = done;
    c->wait = ROUND_FIRST_MS;
    c->deadline = loop_now(cf->w->loop) + cf->w->wait_ms;
    c->step = (struct step){.name = "converge", .started_us = loop_now_us(cf->w->loop)};
    for (size_t i = 0; i < cf->effect_count; i++) {
        const struct effect *x = cf->effects[i];
        bool so = x->step.outcome == OUT_DONE || x->step.outcome == OUT_ALREADY;

        if (!so)
            continue;
        c->uac = c->uac || x->edits.uac || x->kind == &effect_disable || x->kind == &effect_enable;
        c->pwd = c->pwd || x->edits.pwd != AD_PWD_KEEP || x->kind == &effect_expire;
        c->unicode = c->unicode || x->kind->resets;
        c->disabled_wanted = c->disabled_wanted || x->kind == &effect_disable;
        c->expired_wanted =
            c->expired_wanted || x->kind == &effect_expire || x->edits.pwd == AD_PWD_EXPIRE;
        if (x->kind == &effect_enable)
            c->enabled_wanted = !cf->options.undo || cf->options.undo_disabled;
    }
    cf->converge = c;
    c->timer = loop_timer_start(cf->w->loop, 0, round_start, c);
    if (c->timer == NULL) {
        converge_free(cf);
        return err_set(e, ERR_NOMEM, 0, "converge");
    }
    return 0;
}

/* Every writable DC that is known by now. */
static int take_list(struct converge *c)
{
    struct casefile *cf = c->cf;
    size_t n = ad_dcs_count(cf->w->dcs);

    c->views = calloc(n, sizeof(*c->views));
    if (c->views == NULL)
        return -1;
    c->listed = true;
    for (size_t i = 0; i < n; i++) {
        struct ad_dc *dc = ad_dcs_at(cf->w->dcs, i);

        if (dc->state != AD_DC_UNFIT)
            c->views[c->count++] = (struct view){.c = c, .dc = dc};
    }
    /* One DC, and a moment ago it told us all: no need to ask again. */
    if (c->count == 1 && cf->plan->count == 1) {
        for (size_t i = 0; i < cf->effect_count; i++) {
            const struct effect *x = cf->effects[i];

            if (x->dc == c->views[0].dc && x->has_stamps &&
                (x->step.outcome == OUT_DONE || x->step.outcome == OUT_ALREADY))
                take(&c->views[0], x->after_uac, &x->uac_stamp, &x->pwd_stamp, &x->unicode_stamp,
                     true, true);
        }
    }
    return 0;
}

static void round_start(void *arg)
{
    struct converge *c = arg;
    struct err e;

    c->timer = NULL;
    /* Whom to ask? The directory itself is being asked for the list of DCs. */
    if (!c->listed && ad_dcs_known(c->cf->w->dcs) == AD_DCS_ASKING &&
        loop_now(c->cf->w->loop) < c->deadline && !c->cf->w->interrupted) {
        c->timer = loop_timer_start(c->cf->w->loop, LIST_MS, round_start, c);
        if (c->timer != NULL)
            return;
    }
    if (!c->listed && take_list(c) < 0) {
        c->listed = true;
        weigh(c);
        return;
    }
    if (c->count == 1 && c->views[0].known) {
        weigh(c);
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        struct view *v = &c->views[i];

        assert(v->dc != NULL);
        v->known = false;
        if (v->dc->state == AD_DC_READY &&
            ad_read_start(v->dc->conn, &c->cf->found.guid, AD_READ_PROVE, on_stamp, v, &v->op,
                          &e) == 0)
            c->asked++;
    }
    if (c->asked == 0)
        weigh(c);
}

static void on_stamp(void *arg, struct ad_account *a, const struct err *e)
{
    struct view *v = arg;
    struct converge *c = v->c;

    v->op = NULL;
    c->asked--;
    if (e == NULL)
        take(v, a->uac, &a->uac_stamp, &a->pwd_stamp, &a->unicode_stamp, a->has_uac_stamp,
             a->has_pwd_last_set && a->pwd_last_set == 0);
    ad_account_free(a);
    if (c->asked == 0)
        weigh(c);
}

static bool alike(const struct converge *c, const struct view *a, const struct view *b)
{
    return a->has_stamps && b->has_stamps && (!c->uac || ad_stamp_eq(&a->uac, &b->uac)) &&
           (!c->pwd || ad_stamp_eq(&a->pwd, &b->pwd)) &&
           (!c->unicode || ad_stamp_eq(&a->unicode, &b->unicode));
}

static void end(struct converge *c, enum outcome how, enum proof proof)
{
    struct casefile *cf = c->cf;
    struct step s = c->step;

    s.outcome = how;
    s.proof = proof;
    s.ended_us = loop_now_us(cf->w->loop);
    cf->converged = how == OUT_DONE;
    c->done(cf, &s); /* may free the case, and `c` with it */
}

static void weigh(struct converge *c)
{
    struct casefile *cf = c->cf;
    size_t known = 0, so = 0, same = 0, down = 0, coming = 0;
    const struct view *first = NULL, *not_so = NULL;
    struct text t = TEXT_INIT(STEP_DETAIL * 4);
    bool stamps = true;

    for (size_t i = 0; i < c->count; i++) {
        struct view *v = &c->views[i];

        if (!v->known) {
            down++;
            if (v->dc->state != AD_DC_DOWN || v->dc->failures == 0)
                coming++;
            continue;
        }
        known++;
        so += v->so;
        if (!v->so)
            not_so = v;
        stamps = stamps && v->has_stamps;
        if (first == NULL)
            first = v;
        same += alike(c, first, v);
    }
    bool all_listed = ad_dcs_known(cf->w->dcs) == AD_DCS_ALL;

    if (known > 0 && known == c->count && so == known && same == known && all_listed) {
        text_addf(&t, "%zu of %zu DC%s", known, c->count, c->count == 1 ? "" : "s");
        step_say(&c->step, "%s", t.s);
        text_done(&t);
        end(c, OUT_DONE, PROOF_EVERYWHERE);
        return;
    }
    /* Another round, unless time is up, or all that is missing is DCs that are down. */
    bool hopeless =
        (down == 0 ? !all_listed : coming == 0) && known > 0 && so == known && same == known;

    if (!hopeless && (stamps || known == 0) && loop_now(cf->w->loop) < c->deadline &&
        !cf->w->interrupted) {
        text_done(&t);
        c->timer = loop_timer_start(cf->w->loop, c->wait, round_start, c);
        if (c->timer != NULL) {
            c->wait = c->wait * 2 > ROUND_LAST_MS ? ROUND_LAST_MS : c->wait * 2;
            return;
        }
    }
    text_addf(&t, "%zu of %zu DCs", known < same ? known : same, c->count);
    if (known > 0 && !stamps)
        text_add(&t, "; replPropertyMetaData may not be read, so versions cannot be compared");
    else if (same < known)
        text_add(&t, "; replication has not brought all to one version yet");
    if (!all_listed)
        text_add(&t,
                 "; the directory's list of DCs could not be read in full, so there may be others");
    for (size_t i = 0; i < c->count; i++) {
        const struct view *v = &c->views[i];

        if (!v->known)
            text_addf(&t, "; %s could not be asked: %.150s", v->dc->host,
                      v->dc->why.code != ERR_OK ? v->dc->why.msg : "no answer");
        else if (!v->so)
            text_addf(&t, "; %s still shows userAccountControl %" PRIu32, v->dc->host,
                      v->uac_value);
    }
    step_say(&c->step, "%s", t.s); /* cut where it is too much */
    text_done(&t);
    /* Where the DC that took it shows otherwise by now, it was undone; a DC that merely lags is
     * not. */
    for (size_t i = 0; not_so != NULL && i < cf->effect_count; i++) {
        const struct effect *x = cf->effects[i];

        for (size_t k = 0; k < c->count; k++) {
            if (c->views[k].dc == x->dc && c->views[k].known && !c->views[k].so &&
                (x->step.outcome == OUT_DONE || x->step.outcome == OUT_ALREADY))
                cf->reverted = true;
        }
    }
    end(c, OUT_UNCONFIRMED, PROOF_NONE);
}
