/* agent/service/refusals.c -- what is refused, on record within bounds.
 *
 * Whoever may put messages on the queue needs no key to fill a ledger that never forgets. So
 * records of single refusals come out of a bucket; once it is empty they are only counted, and one
 * record a minute says how many there were of each kind. Their texts and reasons lie with the dead
 * letters. One id with two contents has a bucket of its own, so that no flood hides it. A request
 * that is genuine, and refused for the first time, is not counted here: that takes a key.
 */
#include "agent/service/service_inside.h"

#include <string.h>

#include "base/log.h"

enum { BURST = 100, REFILL_MS = 6 * 1000, TELL_MS = 60 * 1000 };

static void on_told(void *arg, const struct err *e);

bool refusals_room(struct service *s, enum signed_outcome outcome)
{
    struct bucket *b = outcome == SIGNED_OTHER_BODY ? &s->refusals.alarms : &s->refusals.others;
    uint64_t now = loop_now(s->loop), more;

    if (!b->began)
        *b = (struct bucket){.began = true, .left = BURST, .filled = now};
    more = (now - b->filled) / REFILL_MS;
    b->filled += more * REFILL_MS;
    b->left = more < BURST - b->left ? b->left + (unsigned)more : BURST;
    if (b->left == 0)
        return false;
    b->left--;
    return true;
}

void refusals_count(struct service *s, enum signed_outcome outcome)
{
    struct refusals *r = &s->refusals;

    if (r->total == 0) {
        r->since = loop_now(s->loop);
        log_error("ALARM: so many messages are refused that from now on they are counted, not put "
                  "on record one by one");
    }
    r->counts[outcome]++;
    r->total++;
}

static void say(const struct refusals *r, uint64_t ms, struct text *t)
{
    text_addf(t, "in %llu s:", (unsigned long long)(ms + 999) / 1000);
    for (int i = 0; i < SIGNED_OUTCOMES; i++) {
        if (r->counts[i] > 0)
            text_addf(t, " %llu %s", (unsigned long long)r->counts[i],
                      signed_word((enum signed_outcome)i));
    }
}

void refusals_tell(struct service *s, bool at_once)
{
    struct refusals *r = &s->refusals;
    uint64_t age = loop_now(s->loop) - r->since;
    struct text why = TEXT_INIT(1024);
    struct err e;

    /* A ledger that fails is tried by what comes next from the queue, not by this. */
    if (r->total > 0 && r->telling == 0 && (at_once || (age >= TELL_MS && !s->sick))) {
        say(r, age, &why);
        if (text_check(&why, "refusals", &e) < 0 ||
            requests_refuse_many(s->ledger, r->total, why.s, on_told, s, &e) < 0) {
            service_ledger_failed(s, &e);
        } else {
            log_warning("%llu messages refused %s", (unsigned long long)r->total, why.s);
            r->telling = r->total;
            memcpy(r->told, r->counts, sizeof(r->told));
        }
    }
    text_done(&why);
}

/* What was counted meanwhile stays for the next time; all of it, where it is not on disk. */
static void on_told(void *arg, const struct err *e)
{
    struct service *s = arg;
    struct refusals *r = &s->refusals;

    if (e != NULL) {
        service_ledger_failed(s, e);
    } else {
        for (int i = 0; i < SIGNED_OUTCOMES; i++)
            r->counts[i] -= r->told[i];
        r->total -= r->telling;
        r->since = loop_now(s->loop);
    }
    r->telling = 0;
}
