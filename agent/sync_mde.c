/* agent/sync_mde.c -- see sync_mde.h.
 *
 *   run          which machine is it?
 *   on_machine   the order, and the run
 *   on_ran       what the server said, in the form that WinRM would have brought it in
 *
 * A run that was sent and is given up may still start a cycle, within its time: that does no harm.
 */
#include "agent/sync_mde.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dc_payload.h"
#include "agent/sync_order.h"
#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"

#define EXPIRY_MS (INT64_C(2) * 60 * 1000) /* after the run's own end */

struct job;

struct sync_mde {
    struct loop *loop;
    const struct cfg *cfg;
    struct defender *defender;
    char script[128];
    uint8_t sha256[32];
    struct err why;
    struct job *jobs;
};

struct job {
    struct sync_mde *of;
    struct job *next;
    struct defender_call *call;
    struct loop_timer *over; /* it has called back; it is freed in the next turn */
    enum sync_op op;
    char host[256], nonce[DC_NONCE];
    sync_ran_cb cb;
    void *arg;
};

static void on_machine(void *arg, const struct defender_machine *machine, const struct err *e);
static void on_ran(void *arg, const struct defender_result *r);

static void job_free(struct job *j)
{
    for (struct job **at = &j->of->jobs; *at != NULL; at = &(*at)->next) {
        if (*at == j) {
            *at = j->next;
            break;
        }
    }
    loop_timer_stop(&j->over);
    defender_abandon(j->call);
    free(j);
}

static void on_over(void *arg)
{
    struct job *j = arg;

    j->over = NULL;
    job_free(j);
}

static void finish(struct job *j, const struct sync_ran *ran, const struct err *e)
{
    /* Where there is no memory for the timer, sync_mde_free frees it. */
    j->over = loop_timer_start(j->of->loop, 0, on_over, j);
    j->cb(j->arg, ran, e);
}

static int run(void *arg, const char *host, const char *script, uint64_t all_ms, sync_ran_cb cb,
               void *cb_arg, void **ret_run, struct err *e)
{
    struct sync_mde *s = arg;
    struct job *j;

    (void)all_ms; /* a run has its own time: run_within */
    if (s->defender == NULL) {
        *e = s->why;
        return -1;
    }
    if (script != sync_script_start && script != sync_script_look)
        return err_set(e, ERR_INTERNAL, 0, "%s: no such script", host);
    j = calloc(1, sizeof(*j));
    if (j == NULL)
        return err_set(e, ERR_NOMEM, 0, "%s", host);
    *j = (struct job){.of = s,
                      .next = s->jobs,
                      .op = script == sync_script_start ? SYNC_OP_START : SYNC_OP_LOOK,
                      .cb = cb,
                      .arg = cb_arg};
    (void)snprintf(j->host, sizeof(j->host), "%s", host);
    s->jobs = j;
    if (dc_nonce(j->nonce, e) < 0 ||
        defender_find_start(s->defender, host, NULL, on_machine, j, &j->call, e) < 0) {
        job_free(j);
        return -1;
    }
    *ret_run = j;
    return 0;
}

static int start(struct job *j, const char *machine_id, struct err *e)
{
    struct sync_mde *s = j->of;
    CLEANUP(text_done) struct text payload = TEXT_INIT(512);
    char comment[128];
    const struct defender_script script = {.name = s->script, .sha256 = s->sha256};
    struct defender_ask ask = {.machine_id = machine_id,
                               .script = &script,
                               .nonce = j->nonce,
                               .comment = comment,
                               .all_ms = s->cfg->defender.run_ms};

    (void)snprintf(comment, sizeof(comment), "cordon: %s", sync_op_word(j->op));
    if (sync_order_build(j->op, stamp_now_ms() + (int64_t)ask.all_ms + EXPIRY_MS, j->nonce,
                         &payload, e) < 0)
        return -1;
    ask.payload = payload.s;
    return defender_run_start(s->defender, &ask, on_ran, j, &j->call, e);
}

static void on_machine(void *arg, const struct defender_machine *machine, const struct err *e)
{
    struct job *j = arg;
    struct err mine;

    j->call = NULL;
    if (e == NULL && start(j, machine->id, &mine) == 0)
        return;
    if (e != NULL)
        mine = *e;
    (void)err_wrap(&mine, "%s", j->host);
    finish(j, NULL, &mine);
}

static void on_ran(void *arg, const struct defender_result *r)
{
    struct job *j = arg;
    CLEANUP(text_done) struct text answer = TEXT_INIT(8192);
    struct sync_ran ran = {.host = j->host};
    enum err_code code = r->end == DEFENDER_UNKNOWN ? ERR_UNPROVEN
                         : r->code == ERR_OK        ? ERR_REFUSED
                                                    : r->code;
    struct err e;

    j->call = NULL;
    if (r->marker == NULL) {
        (void)err_set(&e, code, 0, "%.100s: %.380s", j->host, r->words);
        finish(j, NULL, &e);
        return;
    }
    if (sync_answer_read(r->marker, r->marker_len, j->op, &answer, &e) < 0) {
        if (e.code != ERR_REFUSED)
            e.code = ERR_UNPROVEN; /* it ran */
        finish(j, NULL, &e);
        return;
    }
    ran.out = answer.s;
    ran.len = answer.len;
    finish(j, &ran, NULL);
}

static void cancel(void *arg, void *job)
{
    (void)arg;
    job_free(job);
}

int sync_mde_new(struct loop *l, const struct cfg *cfg, struct sync_mde **ret_sync, struct err *e)
{
    struct sync_mde *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "sync");
    s->loop = l;
    s->cfg = cfg;
    (void)err_set(&s->why, ERR_CONFIG, 0, "Live Response is not open");
    *ret_sync = s;
    return 0;
}

void sync_mde_free(struct sync_mde *s)
{
    if (s == NULL)
        return;
    while (s->jobs != NULL)
        job_free(s->jobs);
    free(s);
}

struct sync_runner sync_mde_runner(struct sync_mde *s)
{
    return (struct sync_runner){.run = run, .cancel = cancel, .arg = s};
}

void sync_mde_by(struct sync_mde *s, struct defender *d, const struct defender_script *script,
                 const struct err *why)
{
    s->defender = d;
    if (d == NULL) {
        s->why = *why;
        return;
    }
    (void)snprintf(s->script, sizeof(s->script), "%s", script->name);
    memcpy(s->sha256, script->sha256, sizeof(s->sha256));
}
