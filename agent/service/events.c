/* agent/service/events.c -- the steps of a request as signed events, for whoever asked for them.
 *
 * An event is not kept by itself: its step is on record, and the answer waits for the events before
 * it, so that until an answer is delivered they can all be made again.
 */
#include <string.h>

#include "agent/intake/result.h"
#include "agent/service/service_inside.h"
#include "base/log.h"
#include "base/stamp.h"

struct sending {
    struct service *s;
    const char *request, *digest, *signer;
    unsigned number;
};

static void put(struct sending *x, const char *step)
{
    struct service *s = x->s;
    struct intake_step ev = {.request = x->request,
                             .digest = x->digest,
                             .signer = x->signer,
                             .agent = s->agent,
                             .time_ms = stamp_now_ms(),
                             .number = ++x->number,
                             .step = step};
    struct text jws = TEXT_INIT(2 * INTAKE_RESULT_MAX);
    struct err e;

    if (intake_step_sign(s->own, &ev, &jws, &e) < 0 ||
        outbox_add_event(s->outbox, x->request, x->number, jws.s, &e) < 0)
        log_error("request=%s a step is told with the answer alone: %s", x->request, e.msg);
    text_done(&jws);
}

void event_told(void *arg, const struct casefile *cf, const struct step *st)
{
    struct job *j = arg;
    struct sending x = {.s = j->s,
                        .request = j->request.id,
                        .digest = j->digest,
                        .signer = j->signer,
                        .number = j->events};
    struct text body = TEXT_INIT(8 * 1024);
    struct json_out o;

    if (j->s->own == NULL)
        return;
    json_out_init(&o, &body);
    json_out_object(&o, NULL);
    run_step_json(cf, st, &o);
    json_out_end_object(&o);
    if (!body.failed)
        put(&x, body.s);
    j->events = x.number;
    text_done(&body);
}

static bool on_record(void *arg, const struct ledger_record *r)
{
    struct sending *x = arg;

    if (strcmp(r->kind, "step") == 0)
        put(x, r->body);
    return true;
}

unsigned events_again(struct service *s, const struct request_entry *en)
{
    struct sending x = {.s = s, .request = en->id, .digest = en->digest, .signer = en->signer};
    struct err e;

    if (s->own == NULL || en->request == NULL || !en->request->options.steps)
        return 0;
    if (ledger_each(s->ledger, en->case_id, 0, on_record, &x, &e) < 0)
        log_error("request=%s its steps are told with the answer alone: %s", en->id, e.msg);
    return x.number;
}
