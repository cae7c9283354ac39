/* agent/steps/risk.c -- tell Identity Protection what we know of a user, and see that it took it.
 *
 * confirmCompromised and dismiss take object ids; the answer comes before the state changes
 * (isProcessing), so that the proof is the risky user as read back (entra-graph.md 6).
 */
#include <stdio.h>
#include <string.h>

#include "agent/cloud_leg.h"
#include "agent/run_inside.h"
#include "base/json.h"

#define LOOK_MS 2000

static void on_answer(void *arg, const struct graph_answer *a, const struct err *e)
{
    cloud_act_answered(arg, e == NULL ? a->date_ms : 0, e);
}

static int send_to(struct cloud_act *x, const char *verb, struct err *e)
{
    char path[80], body[80];

    (void)snprintf(path, sizeof(path), "/identityProtection/riskyUsers/%s", verb);
    (void)snprintf(body, sizeof(body), "{\"userIds\":[\"%.36s\"]}", x->leg->user.id);
    return graph_start(
        cloud_act_cloud(x)->graph,
        &(struct graph_ask){
            .method = "POST", .path = path, .body = body, .flags = GRAPH_IDEMPOTENT | GRAPH_ALONE},
        on_answer, x, &x->leg->plain, e);
}

static int send_mark(struct cloud_act *x, struct err *e)
{
    return send_to(x, "confirmCompromised", e);
}

static int send_dismiss(struct cloud_act *x, struct err *e)
{
    return send_to(x, "dismiss", e);
}

static int look(struct cloud_act *x, struct err *e);

static void look_again(void *arg)
{
    struct cloud_act *x = arg;
    struct err e;

    x->leg->timer = NULL;
    if (look(x, &e) < 0)
        cloud_act_looked(x, false, e.msg);
}

static void on_seen(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct cloud_act *x = arg;
    struct casefile *cf = x->leg->cf;
    const char *state = e == NULL ? json_str(a->json, "riskState") : NULL;
    bool mark = x->kind == &cloud_mark, so;
    char words[400];

    x->leg->plain = NULL;
    so = state != NULL && strcmp(state, mark ? "confirmedCompromised" : "dismissed") == 0;
    if (so) {
        (void)snprintf(words, sizeof(words), "riskState %.60s, riskLevel %.40s", state,
                       json_str(a->json, "riskLevel") != NULL ? json_str(a->json, "riskLevel")
                                                              : "unknown");
        cloud_act_looked(x, true, words);
        return;
    }
    if (!x->leg->interrupted &&
        run_now_us(cf) - x->step.started_us < (cf->w->wait_ms + LOOK_MS) * 1000) {
        x->leg->timer = loop_timer_start(cf->w->loop, LOOK_MS, look_again, x);
        if (x->leg->timer != NULL)
            return;
    }
    (void)snprintf(words, sizeof(words), "%s, but Identity Protection shows %.60s%.200s",
                   x->accepted ? "accepted" : "no clear answer",
                   state != NULL ? state : "no state: ", e != NULL ? e->msg : "");
    cloud_act_looked(x, false, words);
}

static int look(struct cloud_act *x, struct err *e)
{
    char path[100];

    (void)snprintf(path, sizeof(path), "/identityProtection/riskyUsers/%.36s", x->leg->user.id);
    return graph_start(
        cloud_act_cloud(x)->graph,
        &(struct graph_ask){.method = "GET", .path = path, .flags = GRAPH_ENUMS | GRAPH_ALONE},
        on_seen, x, &x->leg->plain, e);
}

const struct cloud_kind cloud_mark = {.step = "mark-compromised",
                                      .target = "entra",
                                      .would = "confirm it as compromised",
                                      .send = send_mark,
                                      .look = look};
const struct cloud_kind cloud_dismiss = {.step = "dismiss-risk",
                                         .target = "entra",
                                         .would = "dismiss its risk",
                                         .send = send_dismiss,
                                         .look = look};
