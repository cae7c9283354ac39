/* cloud/defender_run.c -- one script on one machine, from its start to its end.
 *
 *   begin        another run of ours there: busy
 *   on_library   the file in the library is the one that we know
 *   post         sent once: the one request that acts
 *   on_started   its id. Refused: end. No clear answer: look
 *   on_looked    among the machine's actions, the one whose comment has our nonce
 *   on_polled    until it is final: 10 s, then by and by 30 s
 *   on_deadline  cancels, and goes on reading until it is final, or for 90 s more
 *   conclude     what the script wrote (defender_fetch.c), and what it means
 *   finish       the one way out
 *
 *   new -> checking -> starting -> polling -> fetching -> over
 *                         |  looking ^ |         ^
 *                         +-----^------+> cancelling <-> settling
 *
 * Invariants: `post` happens once. After it only a clear refusal, or a final action with the
 * script's own word, may say how it went; all else is DEFENDER_UNKNOWN. What may still fire is
 * cancelled, and may_still_fire says that this was not confirmed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/sm.h"
#include "base/stamp.h"
#include "cloud/defender_inside.h"
#include "cloud/field.h"

enum {
    ALL_MS = 15 * 60 * 1000,
    LOOKS = 6,
    CANCEL_TRIES = 3,
    START_TRY_MS = 30 * 1000,
    QUESTION_MS = 30 * 1000,
    NONCE_MIN = 16,
};
/* All by defender.wait_ms, which is 10 s: */
#define POLL_MAX(d) ((d)->wait_ms * 3)
#define LOOK(d) ((d)->wait_ms * 3 / 10) /* for a lost start: 3, 6, 12, 24, 30 s apart */
#define SETTLE_POLL(d) ((d)->wait_ms / 2)
#define SETTLE(d) ((d)->wait_ms * 9) /* after a cancel */
/* A queued action lives three days (defender-endpoint.md 0): older ones are not ours. */
#define LOOK_BACK_MS (INT64_C(4) * 24 * 3600 * 1000)

enum run_state {
    RUN_NEW,
    RUN_CHECKING,
    RUN_STARTING,
    RUN_LOOKING,
    RUN_POLLING,
    RUN_CANCELLING,
    RUN_SETTLING,
    RUN_FETCHING,
    RUN_OVER,
};
#define FOLLOWED (SM_TO(RUN_POLLING) | SM_TO(RUN_CANCELLING) | SM_TO(RUN_FETCHING))
static const struct sm_state states[] = {
    [RUN_NEW] = {"new", SM_TO(RUN_CHECKING) | SM_TO(RUN_STARTING) | SM_TO(RUN_LOOKING) |
                            SM_TO(RUN_POLLING) | SM_TO(RUN_OVER)},
    [RUN_CHECKING] = {"checking", SM_TO(RUN_STARTING) | SM_TO(RUN_OVER)},
    [RUN_STARTING] = {"starting", FOLLOWED | SM_TO(RUN_LOOKING) | SM_TO(RUN_OVER)},
    [RUN_LOOKING] = {"looking", FOLLOWED | SM_TO(RUN_OVER)},
    [RUN_POLLING] = {"polling", SM_TO(RUN_CANCELLING) | SM_TO(RUN_FETCHING) | SM_TO(RUN_OVER)},
    [RUN_CANCELLING] = {"cancelling", SM_TO(RUN_SETTLING)},
    [RUN_SETTLING] = {"settling", SM_TO(RUN_CANCELLING) | SM_TO(RUN_FETCHING) | SM_TO(RUN_OVER)},
    [RUN_FETCHING] = {"fetching", SM_TO(RUN_OVER)},
    [RUN_OVER] = {"over", 0},
};

static void begin(struct defender_call *c);
static void on_library(struct defender_call *c, const struct defender_answer *a,
                       const struct err *e);
static void post(struct defender_call *c);
static void on_started(struct defender_call *c, const struct defender_answer *a,
                       const struct err *e);
static void look(struct defender_call *c);
static void on_looked(struct defender_call *c, const struct defender_answer *a,
                      const struct err *e);
static void poll_now(struct defender_call *c);
static void on_polled(struct defender_call *c, const struct defender_answer *a,
                      const struct err *e);
static void on_deadline(void *arg);
static void cancel_now(struct defender_call *c);
static void on_cancelled(struct defender_call *c, const struct defender_answer *a,
                         const struct err *e);
static void finish(struct defender_call *c, struct defender_result *r);

static void move(struct defender_call *c, enum run_state next)
{
    if (c->state != (int)next)
        sm_move(states, ARRAY_LEN(states), &c->state, (int)next, "Defender");
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* --- the ends -----------------------------------------------------------------------------------
 */

static void finish(struct defender_call *c, struct defender_result *r)
{
    size_t n = strlen(r->words);

    move(c, RUN_OVER);
    if (c->hash_skipped && n < sizeof(r->words))
        (void)snprintf(r->words + n, sizeof(r->words) - n,
                       " (the script in the library was not compared: no Library.Manage)");
    field_copy(r->action_id, sizeof(r->action_id), c->action_id);
    field_copy(r->request_id, sizeof(r->request_id), c->request_id);
    r->cancelled = c->cancel_tries > 0 && c->action.cancelled;
    defender_call_detach(c);
    c->run_cb(c->arg, r);
    defender_call_free(c);
}

/* Without a word of the script. */
static void end(struct defender_call *c, enum defender_end how, const struct err *e)
{
    struct defender_result r = {.end = how, .code = e->code};

    r.elsewhere = c->why == DEFENDER_WHY_ACTIVE || c->why == DEFENDER_WHY_MACHINE ||
                  c->why == DEFENDER_WHY_DISALLOWED;
    r.not_there = how == DEFENDER_UNKNOWN && c->listed_none;
    field_copy(r.words, sizeof(r.words), e->msg);
    r.may_still_fire = how == DEFENDER_UNKNOWN && !c->action.is_final;
    if (how == DEFENDER_UNKNOWN)
        r.code = ERR_UNPROVEN;
    finish(c, &r);
}

/* Nothing was sent, and now it is too late. */
static void end_unsent(struct defender_call *c)
{
    struct err e;

    (void)err_set(&e, c->told_to_stop ? ERR_CANCELED : ERR_TIMEOUT, 0,
                  "Defender: %s before anything was sent",
                  c->told_to_stop ? "told to stop" : "the time was over");
    end(c, DEFENDER_FAILED, &e);
}

/* Followed no longer, without knowing its end. */
static void end_lost(struct defender_call *c, const struct err *e)
{
    struct err mine;

    if (c->action_id[0] == '\0')
        (void)err_set(&mine, ERR_UNPROVEN, 0,
                      "the start went unanswered, and no action with our mark is found: it may "
                      "still run, for as long as its order is valid%s%.200s",
                      e != NULL ? ": " : "", e != NULL ? e->msg : "");
    else
        (void)err_set(&mine, ERR_UNPROVEN, 0,
                      "action %s is not over ('%s')%s: it may still run, for as long as its order "
                      "is valid%s%.200s",
                      c->action_id, c->action.status[0] != '\0' ? c->action.status : "unknown",
                      c->cancel_taken       ? ", though its end was agreed to"
                      : c->cancel_tries > 0 ? ", and could not be cancelled"
                                            : "",
                      e != NULL ? ": " : "", e != NULL ? e->msg : "");
    end(c, DEFENDER_UNKNOWN, &mine);
}

static void wait_for(struct defender_call *c, uint64_t ms, void (*then)(struct defender_call *c))
{
    struct err e;

    if (defender_wait(c, ms, then, &e) < 0)
        end_lost(c, &e);
}

/* --- start --------------------------------------------------------------------------------------
 */

static int prepare(struct defender_call *c, const char *nonce, uint64_t all_ms, defender_run_cb cb,
                   void (*first)(struct defender_call *c), struct err *e)
{
    if (!field_opaque_ok(nonce) || strlen(nonce) < NONCE_MIN || strlen(nonce) >= sizeof(c->nonce))
        return err_set(e, ERR_USAGE, 0, "Defender: no nonce");
    field_copy(c->nonce, sizeof(c->nonce), nonce);
    c->run_cb = cb;
    c->wait_ms = c->d->wait_ms;
    all_ms = all_ms != 0 ? all_ms : ALL_MS;
    c->run_ends = loop_now(c->d->loop) + all_ms;
    if (defender_wait(c, 0, first, e) < 0)
        return -1;
    c->deadline = loop_timer_start(c->d->loop, all_ms, on_deadline, c);
    return c->deadline != NULL ? 0 : err_set(e, ERR_NOMEM, 0, "Defender");
}

static void take_script(struct defender_call *c, const struct defender_script *s)
{
    const uint8_t *sha256 = s != NULL ? s->sha256 : c->d->has_sha256 ? c->d->sha256 : NULL;

    field_copy(c->script, sizeof(c->script), s != NULL ? s->name : c->d->script);
    c->has_sha256 = sha256 != NULL;
    if (sha256 != NULL)
        memcpy(c->sha256, sha256, sizeof(c->sha256));
}

int defender_run_start(struct defender *d, const struct defender_ask *ask, defender_run_cb cb,
                       void *arg, struct defender_call **ret_call, struct err *e)
{
    CLEANUP(defender_call_freep) struct defender_call *c = NULL;

    if (!defender_payload_ok(ask->payload) || ask->machine_id == NULL ||
        (ask->script != NULL && !defender_script_name_ok(ask->script->name)))
        return err_set(e, ERR_USAGE, 0, "Defender: no payload, no script, or no machine");
    if (defender_call_new(d, DEFENDER_RUN, arg, &c, e) < 0 ||
        defender_name_it(c, NULL, ask->machine_id, NULL, e) < 0 ||
        prepare(c, ask->nonce, ask->all_ms, cb, begin, e) < 0)
        return -1;
    take_script(c, ask->script);
    c->started = ask->started;
    c->payload = text_dup(ask->payload);
    c->comment = text_dup(ask->comment != NULL ? ask->comment : "");
    if (c->payload == NULL || c->comment == NULL)
        return err_set(e, ERR_NOMEM, 0, "Defender");
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

int defender_resume_start(struct defender *d, const char *action_id, const char *nonce,
                          uint64_t all_ms, defender_run_cb cb, void *arg,
                          struct defender_call **ret_call, struct err *e)
{
    CLEANUP(defender_call_freep) struct defender_call *c = NULL;

    if (action_id != NULL && !field_guid_ok(action_id))
        return err_set(e, ERR_USAGE, 0, "Defender: not the id of an action");
    if (defender_call_new(d, DEFENDER_RUN, arg, &c, e) < 0 ||
        prepare(c, nonce, all_ms, cb, action_id != NULL ? poll_now : look, e) < 0)
        return -1;
    field_copy(c->action_id, sizeof(c->action_id), action_id);
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

/* The service takes one action a machine at a time; of ours we know without asking. */
bool defender_is_taken(const struct defender *d, const char *machine_id)
{
    for (const struct defender_call *o = d->calls; o != NULL; o = o->next) {
        if (o->kind == DEFENDER_RUN && o->state != RUN_NEW &&
            text_eq_nocase(o->machine_id, machine_id))
            return true;
    }
    return false;
}

static void begin(struct defender_call *c)
{
    const struct defender_request r = {
        .method = "GET", .needs = DEFENDER_LIBRARY, .then = on_library};
    struct err e;

    if (c->over) {
        end_unsent(c);
    } else if (defender_is_taken(c->d, c->machine_id)) {
        (void)err_set(&e, ERR_BUSY, 0, "Defender: another run of ours is on that machine");
        end(c, DEFENDER_BUSY, &e);
    } else if (c->has_sha256) {
        move(c, RUN_CHECKING);
        defender_url(c, "/api/libraryfiles");
        defender_ask(c, &r);
    } else {
        post(c);
    }
}

static void on_library(struct defender_call *c, const struct defender_answer *a,
                       const struct err *e)
{
    char have[65], want[65];
    struct err mine;

    if (e != NULL && e->code == ERR_DENIED) {
        /* The permission writes, too: whoever is without it relies on the script's signature. */
        c->hash_skipped = true;
        post(c);
        return;
    }
    if (e != NULL) {
        end(c, DEFENDER_FAILED, e);
        return;
    }
    if (defender_read_library(a->json, c->script, have, &mine) < 0) {
        end(c, DEFENDER_REFUSED, &mine);
        return;
    }
    id_hex(want, c->sha256, sizeof(c->sha256));
    if (strcmp(have, want) != 0) {
        (void)err_set(&mine, ERR_REFUSED, 0,
                      "Defender: '%s' in the library is not the script that cordon knows (SHA-256 "
                      "%.16s..., not %.16s...): somebody changed it. It is not run",
                      c->script, have, want);
        end(c, DEFENDER_REFUSED, &mine);
        return;
    }
    post(c);
}

static void post(struct defender_call *c)
{
    uint64_t now = loop_now(c->d->loop);
    const struct defender_request r = {
        .method = "POST",
        .type = "application/json",
        .lane = DEFENDER_LANE_STARTS,
        .needs = DEFENDER_RUNS | DEFENDER_READS, /* who cannot read could not follow it */
        .try_ms = START_TRY_MS,
        .all_ms = c->run_ends > now ? c->run_ends - now : 1,
        .then = on_started,
    };

    move(c, RUN_STARTING);
    defender_url(c, "/api/machines/");
    text_add(&c->url, c->machine_id);
    text_add(&c->url, "/runliveresponse");
    text_clear(&c->body);
    defender_write_start(&c->body, c->script, c->payload, c->nonce, c->comment);
    defender_ask(c, &r);
}

/* What a clear no to the start means. */
static enum defender_end refusal_of(const struct defender_call *c, const struct err *e)
{
    if (c->why == DEFENDER_WHY_ACTIVE)
        return DEFENDER_BUSY;
    switch (e->code) {
    case ERR_DENIED:
    case ERR_REFUSED:
    case ERR_NOTFOUND:
    case ERR_UNSUPPORTED:
        return DEFENDER_REFUSED;
    default:
        return DEFENDER_FAILED;
    }
}

/* The action as it is told now: over, to be cancelled, or to be read again. */
static void follow(struct defender_call *c);

static void take_id(struct defender_call *c, const char *id)
{
    bool is_new = c->action_id[0] == '\0';

    field_copy(c->action_id, sizeof(c->action_id), id);
    if (is_new && c->started != NULL)
        c->started(c->arg, c->action_id);
}

static int take_action(struct defender_call *c, const struct cJSON *j, struct err *e)
{
    struct defender_action a;

    if (defender_read_action(j, c->nonce, &a, e) < 0)
        return -1;
    if (c->action_id[0] != '\0' && !text_eq_nocase(a.id, c->action_id))
        return err_set(e, ERR_INVALID, 0, "Defender: the answer is about another action than %s",
                       c->action_id);
    if (c->machine_id[0] != '\0' && a.machine[0] != '\0' &&
        !text_eq_nocase(a.machine, c->machine_id))
        return err_set(e, ERR_INVALID, 0, "Defender: action %s is on another machine than %s", a.id,
                       c->machine_id);
    take_id(c, a.id);
    if (c->machine_id[0] == '\0' && defender_machine_id_ok(a.machine))
        field_copy(c->machine_id, sizeof(c->machine_id), a.machine);
    c->was_running = c->was_running || a.in_progress || a.began;
    c->action = a;
    return 0;
}

static void on_started(struct defender_call *c, const struct defender_answer *a,
                       const struct err *e)
{
    struct err mine;

    if (e != NULL && e->code != ERR_UNPROVEN) {
        end(c, refusal_of(c, e), e);
        return;
    }
    if (e == NULL && take_action(c, a->json, &mine) == 0)
        follow(c);
    else
        look(c); /* it may have been taken */
}

/* --- a lost answer ------------------------------------------------------------------------------
 */

static void look(struct defender_call *c)
{
    const struct defender_request r = {.method = "GET", .needs = DEFENDER_READS, .then = on_looked};
    CLEANUP(text_done) struct text f = TEXT_INIT(512);
    char since[STAMP_TEXT];

    move(c, RUN_LOOKING);
    if (c->machine_id[0] != '\0')
        text_addf(&f, "machineId eq '%s' and ", c->machine_id);
    text_addf(&f, "type eq 'LiveResponse' and creationDateTimeUtc ge %s",
              stamp_iso(since, stamp_now_ms() - LOOK_BACK_MS));
    defender_url(c, "/api/machineactions");
    defender_filter(c, f.s);
    c->url.failed = c->url.failed || f.failed;
    defender_ask(c, &r);
}

static void on_looked(struct defender_call *c, const struct defender_answer *a, const struct err *e)
{
    struct defender_action found;
    bool is_found = false;
    struct err mine;

    if (e == NULL &&
        defender_read_actions(json_get(a->json, "value"), c->nonce, &found, &is_found, &mine) < 0)
        e = &mine;
    c->listed_none = e == NULL && !is_found && (c->looks == 0 || c->listed_none);
    if (e == NULL && is_found) {
        take_id(c, found.id);
        c->was_running = c->was_running || found.in_progress || found.began;
        c->action = found;
        follow(c);
    } else if (++c->looks < LOOKS) {
        wait_for(c, less(LOOK(c->d) << (c->looks - 1), POLL_MAX(c->d)), look);
    } else {
        end_lost(c, e);
    }
}

/* --- following it -------------------------------------------------------------------------------
 */

static void poll_now(struct defender_call *c)
{
    const struct defender_request r = {
        .method = "GET", .needs = DEFENDER_READS, .all_ms = QUESTION_MS, .then = on_polled};

    if (c->state != RUN_SETTLING)
        move(c, RUN_POLLING);
    defender_url(c, "/api/machineactions/");
    text_add(&c->url, c->action_id);
    defender_ask(c, &r);
}

static void settle(struct defender_call *c, const struct err *e)
{
    if (loop_now(c->d->loop) >= c->settle_ends)
        end_lost(c, e);
    else if (!c->cancel_taken && c->cancel_tries < CANCEL_TRIES)
        wait_for(c, SETTLE_POLL(c->d), cancel_now);
    else
        wait_for(c, SETTLE_POLL(c->d), poll_now);
}

static void wait_more(struct defender_call *c, const struct err *e)
{
    uint64_t ms = c->wait_ms;

    if (c->state == RUN_SETTLING) {
        settle(c, e);
    } else if (c->over) {
        cancel_now(c);
    } else {
        c->wait_ms = less(ms * 13 / 10, POLL_MAX(c->d));
        move(c, RUN_POLLING);
        wait_for(c, ms, poll_now);
    }
}

static void on_polled(struct defender_call *c, const struct defender_answer *a, const struct err *e)
{
    struct err mine;

    if (e == NULL && take_action(c, a->json, &mine) < 0)
        e = &mine;
    if (e == NULL)
        follow(c);
    else
        wait_more(c, e); /* a question unanswered is no end */
}

static void conclude(struct defender_call *c, const struct defender_output *out,
                     const struct err *why_not);

static void follow(struct defender_call *c)
{
    if (!c->action.is_final) {
        wait_more(c, NULL);
        return;
    }
    loop_timer_stop(&c->deadline);
    move(c, RUN_FETCHING);
    if (c->action.ran || c->action.succeeded || c->was_running)
        defender_fetch(c, conclude);
    else
        conclude(c, NULL, NULL);
}

/* --- enough -------------------------------------------------------------------------------------
 */

static void hurry(struct defender_call *c)
{
    bool in_flight = c->http != NULL;

    c->over = true;
    switch ((enum run_state)c->state) {
    case RUN_CHECKING:
        defender_drop(c);
        end_unsent(c);
        break;
    case RUN_STARTING:
        /* Its answer is worth more than the time: without it we would have to look for it. */
        if (!in_flight) {
            defender_drop(c);
            end_unsent(c);
        }
        break;
    case RUN_POLLING:
        defender_drop(c);
        cancel_now(c);
        break;
    default:
        break; /* it ends soon, or begins by looking at c->over */
    }
}

static void on_deadline(void *arg)
{
    struct defender_call *c = arg;

    c->deadline = NULL;
    hurry(c);
}

void defender_run_cancel(struct defender_call *c)
{
    if (c->told_to_stop)
        return;
    c->told_to_stop = true;
    if (c->deadline == NULL) /* over anyway */
        return;
    /* The callback never comes from within this call. */
    loop_timer_stop(&c->deadline);
    c->deadline = loop_timer_start(c->d->loop, 0, on_deadline, c);
    c->over = true;
}

static void cancel_now(struct defender_call *c)
{
    const struct defender_request r = {.method = "POST",
                                       .type = "application/json",
                                       .needs = DEFENDER_RUNS,
                                       .again = true,
                                       .all_ms = QUESTION_MS,
                                       .then = on_cancelled};
    struct json_out o;

    if (c->cancel_tries++ == 0)
        c->settle_ends = loop_now(c->d->loop) + SETTLE(c->d);
    move(c, RUN_CANCELLING);
    text_clear(&c->body);
    json_out_init(&o, &c->body);
    json_out_object(&o, NULL);
    json_out_str(&o, "Comment",
                 c->told_to_stop ? "cordon: told to stop" : "cordon: the order has expired");
    json_out_end_object(&o);
    defender_url(c, "/api/machineactions/");
    text_add(&c->url, c->action_id);
    text_add(&c->url, "/cancel");
    defender_ask(c, &r);
}

/* Whatever the answer: how it stands is read anew. */
static void on_cancelled(struct defender_call *c, const struct defender_answer *a,
                         const struct err *e)
{
    (void)a;
    c->cancel_taken = e == NULL;
    move(c, RUN_SETTLING);
    poll_now(c);
}

/* --- what the script wrote ----------------------------------------------------------------------
 */

/* out: NULL where it is not known, why_not then. */
static void conclude(struct defender_call *c, const struct defender_output *out,
                     const struct err *why_not)
{
    CLEANUP(text_done) struct text marker = TEXT_INIT(32 * 1024);
    struct defender_result r = {0};
    struct defender_claim claim;
    struct err mine;
    bool is_said = out != NULL;

    if (is_said && (defender_marker(out->script.s, out->script.len, c->nonce, &marker, &mine) < 0 ||
                    defender_read_claim(marker.s, marker.len, &claim, &mine) < 0)) {
        is_said = false;
        why_not = &mine;
    }
    defender_judge(&c->action, out, is_said ? &claim : NULL, why_not, c->was_running, &r);
    /* Neither a cancel nor the service's time-out ends a script that runs on the machine. */
    r.may_still_fire =
        r.end == DEFENDER_UNKNOWN && !is_said && (c->action.cancelled || c->action.timed_out);
    if (is_said) {
        r.marker = marker.s;
        r.marker_len = marker.len;
    }
    finish(c, &r);
}
