/* The life of a message and of its request, with a queue, a clock and cases that are played: what
 * is on disk before what is sent, and what becomes of everything that fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/service/link.h"
#include "agent/service/service_inside.h"
#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/stamp.h"
#include "tests/unit/agent/ledger_help.h"

#define CONF                                                                        \
    "[cordon]\ndomains = corp.example.com\n[domain/corp.example.com]\n"             \
    "[signer/soar]\nkey = /1\nactions = disable, enable, reset-password, contain\n" \
    "rate = 3 per 10m\n[queue]\ndirectory = /q\nagent = one\nlease = 30s\n"         \
    "[service]\nhold_expires = 1h\n"

/* --- what is played ------------------------------------------------------------------------- */

static uint64_t now_ms;
struct loop_timer {
    struct loop_timer *next;
    uint64_t at;
    loop_cb cb;
    void *arg;
};
static struct loop_timer *timers;

uint64_t __wrap_loop_now(struct loop *l);
uint64_t __wrap_loop_now(struct loop *l)
{
    (void)l;
    return now_ms;
}

struct loop_timer *__wrap_loop_timer_start(struct loop *l, uint64_t ms, loop_cb cb, void *arg);
struct loop_timer *__wrap_loop_timer_start(struct loop *l, uint64_t ms, loop_cb cb, void *arg)
{
    struct loop_timer *t = calloc(1, sizeof(*t)), **at = &timers;

    (void)l;
    assert_true(ms <= SERVICE_WAIT_MAX_MS); /* no wait is ever longer */
    *t = (struct loop_timer){.at = now_ms + ms, .cb = cb, .arg = arg};
    while (*at != NULL && (*at)->at <= t->at)
        at = &(*at)->next;
    t->next = *at;
    *at = t;
    return t;
}

void __wrap_loop_timer_stop(struct loop_timer **t);
void __wrap_loop_timer_stop(struct loop_timer **t)
{
    struct loop_timer **at = &timers;

    if (t == NULL || *t == NULL)
        return;
    while (*at != *t)
        at = &(*at)->next;
    *at = (*t)->next;
    free(*t);
    *t = NULL;
}

/* The queue: each verb is noted, and answered by the test. */
static char told_q[2048];
static struct {
    queue_cb cb;
    void *arg;
    struct queue_message *m;
} verbs[80];
static size_t verb_count;

static int verb(struct queue_message *m, queue_cb cb, void *arg, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static int verb(struct queue_message *m, queue_cb cb, void *arg, const char *fmt, ...)
{
    size_t n = strlen(told_q);
    va_list ap;

    assert_true(verb_count < ARRAY_LEN(verbs));
    for (size_t i = 0; i < verb_count; i++)
        assert_true(verbs[i].m != m); /* one verb at a time on it */
    va_start(ap, fmt);
    (void)vsnprintf(told_q + n, sizeof(told_q) - n, fmt, ap);
    va_end(ap);
    verbs[verb_count].cb = cb;
    verbs[verb_count].arg = arg;
    verbs[verb_count++].m = m;
    return 0;
}

/* The oldest of them. */
static void answers(enum queue_end end)
{
    queue_cb cb = verbs[0].cb;
    void *arg = verbs[0].arg;
    struct err why;

    assert_true(verb_count > 0);
    (void)err_set(&why, ERR_IO, 0, "played");
    if (end == QUEUE_OK)
        verbs[0].m->ends = now_ms + 30000;
    memmove(&verbs[0], &verbs[1], --verb_count * sizeof(verbs[0]));
    cb(arg, end, end == QUEUE_OK || end == QUEUE_GONE ? NULL : &why);
}

int __wrap_queue_renew_start(struct queue_message *m, uint64_t lease_ms, const char *claim,
                             queue_cb cb, void *arg, struct err *err);
int __wrap_queue_renew_start(struct queue_message *m, uint64_t lease_ms, const char *claim,
                             queue_cb cb, void *arg, struct err *err)
{
    (void)err;
    assert_int_equal(lease_ms, 30000);
    return verb(m, cb, arg, "renew(%s) ", claim);
}

int __wrap_queue_complete_start(struct queue_message *m, queue_cb cb, void *arg, struct err *err);
int __wrap_queue_complete_start(struct queue_message *m, queue_cb cb, void *arg, struct err *err)
{
    (void)err;
    return verb(m, cb, arg, "complete ");
}

int __wrap_queue_release_start(struct queue_message *m, uint64_t delay_ms, queue_cb cb, void *arg,
                               struct err *err);
int __wrap_queue_release_start(struct queue_message *m, uint64_t delay_ms, queue_cb cb, void *arg,
                               struct err *err)
{
    (void)err;
    assert_true(delay_ms <= SERVICE_WAIT_MAX_MS);
    return verb(m, cb, arg, "release ");
}

int __wrap_queue_dead_start(struct queue_message *m, const char *reason, queue_cb cb, void *arg,
                            struct err *err);
int __wrap_queue_dead_start(struct queue_message *m, const char *reason, queue_cb cb, void *arg,
                            struct err *err)
{
    (void)err;
    return verb(m, cb, arg, "dead(%.*s) ", (int)strcspn(reason, ":"), reason);
}

static unsigned freed;
void __wrap_queue_message_free(struct queue_message *m);
void __wrap_queue_message_free(struct queue_message *m)
{
    freed++;
    free((void *)(uintptr_t)m->text);
    free(m);
}

const struct queue_caps *__wrap_queue_caps(const struct queue *q);
const struct queue_caps *__wrap_queue_caps(const struct queue *q)
{
    static const struct queue_caps caps = {.max_batch = 32, .max_lease_ms = 100000};

    (void)q;
    return &caps;
}

/* Cases: begun when the test says that there is a DC; ended by the test. */
static bool has_dc;
static unsigned begun;
static struct request last;
static void (*case_done)(void *arg, struct casefile *cf);
static void *case_arg;

bool __wrap_world_can_judge(const struct world *w);
bool __wrap_world_can_judge(const struct world *w)
{
    (void)w;
    return has_dc;
}

struct ad_dc *__wrap_world_dc(struct world *w, bool write);
struct ad_dc *__wrap_world_dc(struct world *w, bool write)
{
    static struct ad_dc dc;

    (void)w;
    (void)write;
    return has_dc ? &dc : NULL;
}

bool __wrap_world_hopeful(const struct world *w);
bool __wrap_world_hopeful(const struct world *w)
{
    (void)w;
    return true;
}

int __wrap_run_case_start(struct world *w, const struct request *r,
                          void (*done)(void *arg, struct casefile *cf), void *arg,
                          struct casefile **ret_case, struct err *err);
int __wrap_run_case_start(struct world *w, const struct request *r,
                          void (*done)(void *arg, struct casefile *cf), void *arg,
                          struct casefile **ret_case, struct err *err)
{
    (void)w;
    (void)err;
    begun++;
    last = *r;
    case_done = done;
    case_arg = arg;
    *ret_case = NULL;
    return 0;
}

/* --- the service, without its outside ----------------------------------------------------------
 */

static struct service *s;
static struct signers *signers;
static struct jws_key *own, *stranger;
static struct cfg *cfg;
static unsigned dropped; /* how many messages were handed over */

static int begin(void **state)
{
    struct text pem = TEXT_INIT(4096);

    if (set_up(state) < 0)
        return -1;
    log_set_level(LOG_ERROR_LEVEL);
    timers = NULL;
    verb_count = 0;
    told_q[0] = '\0';
    now_ms = 1000000;
    freed = begun = dropped = 0;
    has_dc = false;
    must(cfg_load_bytes("conf", CONF, strlen(CONF), &cfg, NULL, &e));
    must(jws_key_new(JWS_EDDSA, &own, &e));
    must(jws_key_new(JWS_EDDSA, &stranger, &e));
    must(signers_new(cfg, &signers, &e));
    must(jws_key_public_pem(own, &pem, &e));
    must(signers_add(signers, &cfg->signers[0], false, pem.s, pem.len, &e));
    text_done(&pem);
    s = calloc(1, sizeof(*s));
    s->cfg = cfg;
    s->signers = signers;
    s->polled_empty = true; /* nothing is asked of the queue here */
    (void)snprintf(s->agent, sizeof(s->agent), "one");
    s->ledger = open_plain();
    must(outbox_new(NULL, s->ledger, "agent", NULL, NULL, &s->outbox, &e));
    must(brake_new(s->ledger, cfg, &s->brake, &e));
    s->places = calloc(1, sizeof(*s->places));
    s->place_count = 1;
    s->places[0] = (struct place){.s = s, .domain = &cfg->domains[0], .told = true};
    s->rates = calloc(1, sizeof(*s->rates));
    s->rates[0] = (struct rate){
        .signer = &cfg->signers[0], .count = 3, .at = calloc(3, sizeof(*s->rates[0].at))};
    return 0;
}

static int end(void **state)
{
    failpoint_set(NULL);
    s->stopping = true;
    shut(s->ledger); /* its last callbacks find everything, as in service_close */
    outbox_free(s->outbox);
    for (struct message *m = s->messages, *next; m != NULL; m = next) {
        next = m->next;
        __wrap_queue_message_free(m->m);
        free(m);
    }
    assert_int_equal(freed, dropped); /* each once */
    while (s->jobs != NULL)
        job_free(s->jobs);
    brake_free(s->brake);
    for (struct loop_timer *t = timers, *next; t != NULL; t = next) {
        next = t->next;
        free(t);
    }
    free(s->rates[0].at);
    free(s->rates);
    free(s->places);
    free(s);
    signers_free(signers);
    jws_key_free(own);
    jws_key_free(stranger);
    cfg_free(cfg);
    return tear_down(state);
}

/* A turn of the loop: what is due now, then the ledger's commit. */
static void turn(void)
{
    struct loop_timer *t;

    for (int i = 0; i < 50 && timers != NULL && timers->at <= now_ms; i++) {
        t = timers;
        timers = t->next;
        t->cb(t->arg);
        free(t);
    }
    (void)ledger_commit(s->ledger, &e);
}

static void later(uint64_t ms)
{
    now_ms += ms;
    turn();
    turn();
}

static char *make(const struct jws_key *k, const char *id, enum action action, const char *account)
{
    struct text t = TEXT_INIT(SIGNED_MAX);
    int64_t now = stamp_now_ms();
    struct intake_request r = {.action = action,
                               .requester = "soc@example.com",
                               .issued_ms = now / 1000 * 1000,
                               .expires_ms = now / 1000 * 1000 + 600000,
                               .audience = "corp.example.com"};

    (void)snprintf(r.id, sizeof(r.id), "%s", id);
    (void)snprintf(r.account, sizeof(r.account), "%s", account);
    must(signed_request(k, &r, &t, &e));
    return text_take(&t);
}

static void come(char *text, const char *message_id, const char *claim)
{
    struct queue_message *m = calloc(1, sizeof(*m));

    *m = (struct queue_message){.id = message_id,
                                .text = text,
                                .len = text != NULL ? strlen(text) : 0,
                                .claim = claim,
                                .deliveries = 1,
                                .ends = now_ms + 30000};
    dropped++;
    told_q[0] = '\0';
    message_take(s, m);
}

static struct job *job(const char *id)
{
    return job_find(s, id);
}

static const char *kinds(const char *id)
{
    static char list[512];
    struct text t = TEXT_INIT(sizeof(list) - 1);

    (void)id;
    told[0] = '\0';
    return seen(s->ledger, NULL, 0, 100), text_done(&t), told;
}

/* The case says how it ended, on record. */
static void case_ends(const char *id, enum verdict v, const char *rule)
{
    static struct world w;
    struct casefile cf = {.w = &w, .verdict = v, .detail = (char *)(uintptr_t) "why not"};
    char body[128];

    (void)snprintf(cf.rule, sizeof(cf.rule), "%s", rule);
    (void)snprintf(body, sizeof(body), "{\"type\":\"verdict\",\"verdict\":\"%s\"}",
                   verdict_word(v));
    put(s->ledger, job(id)->case_id, "verdict", body);
    must(ledger_commit(s->ledger, &e));
    case_done(case_arg, &cf);
    turn();
}

static const char *state_of(const char *id)
{
    static const char *const words[] = {"taking", "waiting",   "running", "holding",
                                        "held",   "answering", "over"};

    return job(id) != NULL ? words[job(id)->state] : "none";
}

static enum request_state on_disk;
static bool note_state(void *arg, const struct request_entry *en)
{
    (void)arg;
    on_disk = en->state;
    return true;
}

static const char *recorded(const char *id)
{
    on_disk = REQUEST_UNKNOWN;
    if (requests_find(s->ledger, id, note_state, NULL, &e) < 0)
        return "nothing";
    return request_state_word(on_disk);
}

/* --- tests
 * ---------------------------------------------------------------------------------------- */

static void test_there_and_back(void **state) /* Q1, D2 */
{
    (void)state;
    has_dc = true;
    come(make(own, CASE_A, ACT_DISABLE, "alice"), "m-1", "");
    assert_string_equal(told_q, ""); /* not on disk yet: nothing is done for it */
    assert_int_equal(begun, 0);
    turn();
    assert_string_equal(told_q, "renew(one) ");
    assert_int_equal(begun, 1); /* the same done twice does no harm: the claim is not waited for */
    assert_string_equal(last.account, "alice");
    assert_string_equal(last.requester, "soc@example.com (signed by soar)");
    assert_true(last.unrecorded && last.terms.parks && !last.terms.taken_over);
    answers(QUEUE_OK);
    later(9999);
    assert_string_equal(told_q, "renew(one) ");
    later(1); /* a third of the lease */
    assert_string_equal(told_q, "renew(one) renew(one) ");
    case_ends(CASE_A, VERDICT_DONE, "");
    /* The verb under way comes first; then the answer is on disk already. */
    assert_string_equal(told_q, "renew(one) renew(one) ");
    assert_string_equal(recorded(CASE_A), "done");
    answers(QUEUE_OK);
    assert_string_equal(told_q, "renew(one) renew(one) complete ");
    answers(QUEUE_OK);
    turn();
    assert_null(s->messages);
    assert_null(s->jobs);
    assert_string_equal(kinds(CASE_A), "1:request 2:verdict 3:result 4:delivered ");
}

static void test_the_claim_comes_first_where_twice_is_not_once(void **state)
{
    (void)state;
    has_dc = true;
    come(make(own, CASE_A, ACT_RESET, "alice"), "m-1", "");
    turn();
    assert_string_equal(told_q, "renew(one) ");
    assert_int_equal(begun, 0);
    answers(QUEUE_RETRY);
    later(1000);
    assert_int_equal(begun, 0);
    answers(QUEUE_OK);
    assert_int_equal(begun, 1);
}

static void test_a_foreign_claim_is_passed_on(void **state) /* Q5 */
{
    (void)state;
    has_dc = true;
    come(make(own, CASE_A, ACT_ENABLE, "alice"), "m-1", "two");
    turn();
    answers(QUEUE_OK);
    assert_true(last.terms.taken_over);
    assert_true(last.terms.issued_ms > 0);
}

static void test_refused(void **state) /* Q2, R2 */
{
    char *forged = make(stranger, CASE_A, ACT_DISABLE, "alice"), *cut;

    (void)state;
    has_dc = true;
    come(forged, "m-1", "");
    assert_string_equal(told_q, "");
    turn();
    turn();
    assert_string_equal(told_q, "dead(unknown-key) "); /* only once it is on record */
    answers(QUEUE_OK);
    cut = make(own, CASE_A, ACT_DISABLE, "alice");
    cut[strlen(cut) / 2] = '\0';
    come(cut, "m-2", "");
    turn();
    turn();
    assert_string_equal(told_q, "dead(malformed) ");
    answers(QUEUE_RETRY); /* tried again, while the lease lasts */
    later(5000);
    assert_string_equal(told_q, "dead(malformed) dead(malformed) ");
    answers(QUEUE_OK);
    come(make(own, CASE_A, ACT_EXPIRE, "alice"), "m-3", ""); /* not its action */
    turn();
    turn();
    assert_string_equal(told_q, "dead(not-allowed) ");
    answers(QUEUE_OK);
    come(NULL, "m-4", "");
    turn();
    turn();
    assert_string_equal(told_q, "dead(malformed) ");
    answers(QUEUE_OK);
    turn();
    assert_null(s->messages);
    assert_int_equal(begun, 0);
    assert_string_equal(recorded(CASE_A), "unknown"); /* refused, and answered as such */
}

/* Garbage costs the ledger a bounded number of records; all of it is put aside. */
static void test_a_flood(void **state)
{
    int64_t before, after;
    char head[65];

    (void)state;
    has_dc = true;
    for (int i = 0; i < 150; i++) {
        come(NULL, "m-1", "");
        turn();
        turn();
        assert_string_equal(told_q, "dead(malformed) ");
        answers(QUEUE_OK);
        turn();
        assert_null(s->messages);
    }
    must(ledger_head(s->ledger, &before, head, &e));
    assert_int_equal(before, 100);
    assert_int_equal(s->refused, 150);
    assert_int_equal(s->refusals.total, 50);
    /* What took a key is on record all the same, and answered; a copy of it is one of many. */
    come(make(own, CASE_A, ACT_EXPIRE, "alice"), "m-2", "");
    turn();
    turn();
    answers(QUEUE_OK);
    must(ledger_head(s->ledger, &after, head, &e));
    assert_int_equal(after - before, 3); /* result, refused, delivered */
    come(make(own, CASE_A, ACT_EXPIRE, "alice"), "m-3", "");
    turn();
    turn();
    assert_string_equal(told_q, "dead(not-allowed) ");
    answers(QUEUE_OK);
    must(ledger_head(s->ledger, &before, head, &e));
    assert_int_equal(before, after);
    /* How many there were: with the next minute, and again where that does not get to disk. */
    now_ms += 60000;
    failpoint_set("commit-before:1:fail");
    refusals_tell(s, false);
    turn();
    turn();
    failpoint_set(NULL);
    assert_int_equal(s->refusals.total, 51);
    refusals_tell(s, true);
    turn();
    turn();
    assert_int_equal(s->refusals.total, 0);
    must(ledger_head(s->ledger, &after, head, &e));
    assert_int_equal(after - before, 1);
    refusals_tell(s, true);
    turn();
    must(ledger_head(s->ledger, &after, head, &e));
    assert_int_equal(after - before, 1);
    /* And the good one is taken. */
    come(make(own, CASE_B, ACT_DISABLE, "alice"), "m-4", "");
    turn();
    answers(QUEUE_OK);
    assert_string_equal(state_of(CASE_B), "running");
}

/* With the dead letters out of reach only so many wait for another try. */
static void test_dead_letters_out_of_reach(void **state)
{
    (void)state;
    for (int i = 0; i < 80; i++) {
        come(NULL, "m-1", "");
        turn();
        turn();
        answers(QUEUE_AUTH);
        assert_true(messages_ending(s) <= MESSAGES_FAILING_MAX);
    }
    assert_int_equal(messages_ending(s), MESSAGES_FAILING_MAX);
    now_ms += 30000; /* the leases are over */
    while (s->messages != NULL) {
        now_ms += 60000;
        turn();
        while (verb_count > 0)
            answers(QUEUE_AUTH);
    }
}

static void test_seen_before(void **state) /* R6 */
{
    char *text = make(own, CASE_A, ACT_DISABLE, "alice"), *copy = strdup(text),
         *again = strdup(text);

    (void)state;
    has_dc = true;
    come(text, "m-1", "");
    come(copy, "m-2", ""); /* in the same turn: the first is not on disk yet */
    turn();
    turn();
    assert_string_equal(told_q, "renew(one) dead(seen-before) ");
    answers(QUEUE_OK);
    answers(QUEUE_OK);
    assert_int_equal(begun, 1);
    case_ends(CASE_A, VERDICT_DONE, "");
    turn();
    answers(QUEUE_OK);
    turn();
    assert_null(s->jobs);
    /* Afterwards: another message of the same words, and the very same message. */
    come(strdup(again), "m-3", "");
    turn();
    turn();
    assert_string_equal(told_q, "dead(seen-before) ");
    answers(QUEUE_OK);
    come(again, "m-1", "");
    turn();
    assert_string_equal(told_q, "complete "); /* we could not complete it then */
    answers(QUEUE_OK);
    assert_int_equal(begun, 1);
    /* The same id with other words. */
    come(make(own, CASE_A, ACT_DISABLE, "bob"), "m-4", "");
    turn();
    turn();
    assert_string_equal(told_q, "dead(same-id-other-body) ");
    answers(QUEUE_OK);
    turn();
    assert_int_equal(begun, 1);
    assert_string_equal(recorded(CASE_A), "done");
}

static void test_lost_to_another(void **state)
{
    char *text = make(own, CASE_A, ACT_DISABLE, "alice"), *again = strdup(text);

    (void)state;
    come(text, "m-1", ""); /* no DC: it waits */
    turn();
    answers(QUEUE_OK);
    assert_string_equal(state_of(CASE_A), "waiting");
    later(10000);
    answers(QUEUE_LOST);
    turn();
    assert_string_equal(state_of(CASE_A), "none"); /* nothing is begun for it any more */
    assert_string_equal(recorded(CASE_A), "running");
    /* The other one died. */
    has_dc = true;
    come(again, "m-1", "two");
    turn();
    assert_int_equal(begun, 1);
    assert_true(last.terms.taken_over);
    answers(QUEUE_OK);
    case_ends(CASE_A, VERDICT_DONE, "");
    turn();
    answers(QUEUE_OK);
    assert_string_equal(recorded(CASE_A), "done");
}

/* It waits for its claim, and there is none to be had: nothing may be begun for it in between. */
static void test_lost_before_its_claim(void **state)
{
    (void)state;
    has_dc = true;
    come(make(own, CASE_A, ACT_RESET, "alice"), "m-1", "");
    turn();
    assert_string_equal(state_of(CASE_A), "waiting");
    answers(QUEUE_LOST);
    turn();
    assert_string_equal(state_of(CASE_A), "none");
    assert_int_equal(begun, 0);
    come(make(own, CASE_B, ACT_RESET, "alice"), "m-2", "");
    turn();
    answers(QUEUE_GONE);
    turn();
    turn();
    assert_string_equal(recorded(CASE_B), "done"); /* by somebody else */
    assert_int_equal(begun, 0);
}

static void test_completed_by_another(void **state)
{
    (void)state;
    come(make(own, CASE_A, ACT_DISABLE, "alice"), "m-1", "");
    turn();
    answers(QUEUE_GONE);
    turn();
    turn();
    assert_string_equal(state_of(CASE_A), "none");
    assert_string_equal(recorded(CASE_A), "done");
    has_dc = true;
    later(60000);
    assert_int_equal(begun, 0);
}

static void test_lost_in_the_middle(void **state)
{
    (void)state;
    has_dc = true;
    come(make(own, CASE_A, ACT_DISABLE, "alice"), "m-1", "");
    turn();
    answers(QUEUE_LOST);
    assert_string_equal(state_of(CASE_A), "running"); /* what is begun is ended, and told */
    case_ends(CASE_A, VERDICT_DONE, "");
    assert_string_equal(recorded(CASE_A), "done");
    assert_string_equal(told_q, "renew(one) ");
}

static void test_held(void **state)
{
    (void)state;
    has_dc = true;
    come(make(own, CASE_B, ACT_DISABLE, "alice"), "m-1", "");
    turn();
    answers(QUEUE_OK);
    case_ends(CASE_B, VERDICT_HELD, "never_disable");
    assert_string_equal(state_of(CASE_B), "held");
    assert_string_equal(recorded(CASE_B), "held");
    turn();
    assert_string_equal(told_q, "renew(one) complete "); /* the ledger has it */
    answers(QUEUE_OK);
    fails(held_decide(s, CASE_B, true, "soc (uid 7)", "", NULL, NULL, &e), ERR_REFUSED,
          "same person");
    must(held_decide(s, CASE_B, true, "bob (uid 7)", "looked", NULL, NULL, &e));
    fails(held_decide(s, CASE_B, true, "cy (uid 8)", "", NULL, NULL, &e), ERR_CONFLICT, "just now");
    assert_int_equal(begun, 1); /* not before the decision is on disk */
    turn();
    assert_int_equal(begun, 2);
    assert_true(last.leave.approved && !last.leave.twice && last.leave.privileged);
    case_ends(CASE_B, VERDICT_DONE, "");
    assert_string_equal(recorded(CASE_B), "done");
    assert_null(s->jobs);
}

static void test_privileged_takes_two(void **state)
{
    (void)state;
    has_dc = true;
    come(make(own, CASE_B, ACT_DISABLE, "adm1"), "m-1", "");
    turn();
    answers(QUEUE_OK);
    {
        static struct world w;
        struct casefile cf = {
            .w = &w, .verdict = VERDICT_HELD, .rule = "privileged", .for_two = true};

        case_done(case_arg, &cf);
        turn();
    }
    turn();
    answers(QUEUE_OK);
    must(held_decide(s, CASE_B, true, "bob (uid 7)", "", NULL, NULL, &e));
    turn();
    assert_string_equal(state_of(CASE_B), "held");
    fails(held_decide(s, CASE_B, true, "bob (uid 7)", "", NULL, NULL, &e), ERR_REFUSED, "another");
    must(held_decide(s, CASE_B, true, "cy (uid 8)", "", NULL, NULL, &e));
    turn();
    assert_int_equal(begun, 2);
    assert_true(last.leave.approved && last.leave.twice);
}

static void test_declined_and_too_late(void **state)
{
    static const char *const ids[] = {CASE_B, CASE_C};

    (void)state;
    has_dc = true;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        come(make(own, ids[i], ACT_DISABLE, "alice"), i == 0 ? "m-1" : "m-2", "");
        turn();
        answers(QUEUE_OK);
        case_ends(ids[i], VERDICT_HELD, "brake");
        turn();
        answers(QUEUE_OK);
    }
    must(held_decide(s, CASE_B, false, "soc (uid 7)", "my mistake", NULL, NULL, &e));
    turn();
    turn();
    assert_string_equal(recorded(CASE_B), "done");
    held_tick(job(CASE_C));
    turn();
    assert_string_equal(recorded(CASE_C), "held");
    s->seen_ms = job(CASE_C)->held_until_ms;
    held_tick(job(CASE_C));
    turn();
    turn();
    assert_string_equal(recorded(CASE_C), "done");
    assert_int_equal(begun, 2); /* neither is carried out */
    assert_null(s->jobs);
}

static void test_a_restart(void **state)
{
    (void)state;
    has_dc = true;
    come(make(own, CASE_A, ACT_DISABLE, "alice"), "m-1", "");
    come(make(own, CASE_B, ACT_DISABLE, "bob"), "m-2", "");
    come(make(own, CASE_C, ACT_DISABLE, "carol"), "m-3", "");
    has_dc = false;
    turn();
    verb_count = 0;
    /* B was held; C ended, and died before its answer. */
    must(requests_hold(s->ledger, CASE_B, job(CASE_B)->case_id, "brake", "why", 1,
                       stamp_now_ms() + 100000, NULL, NULL, &e));
    put(s->ledger, job(CASE_C)->case_id, "case",
        "{\"action\":\"disable\",\"account\":\"carol\",\"domain\":\"corp.example.com\"}");
    put(s->ledger, job(CASE_C)->case_id, "verdict", "{\"verdict\":\"done\"}");
    must(ledger_commit(s->ledger, &e));
    for (struct message *m = s->messages; m != NULL; m = m->next) {
        m->job = NULL;
        m->ends = true; /* as if the process had gone: nobody answers for them */
        __wrap_loop_timer_stop(&m->timer);
    }
    while (s->jobs != NULL)
        job_free(s->jobs);
    must(resume_all(s, &e));
    turn();
    assert_string_equal(state_of(CASE_A), "waiting");
    assert_string_equal(state_of(CASE_B), "held");
    assert_string_equal(recorded(CASE_C), "done"); /* answered from what is on record */
    has_dc = true;
    job_consider(job(CASE_A));
    later(1000);
    assert_int_equal(begun, 1);
    assert_true(last.terms.taken_over); /* it was never begun: another may have had it since */
    assert_string_equal(last.account, "alice");
}

static void test_over_its_rate(void **state)
{
    char id[ID_ULID];

    (void)state;
    for (int i = 0; i < 3; i++) {
        (void)snprintf(id, sizeof(id), "01J5%022d", i);
        come(make(own, id, ACT_DISABLE, "alice"),
             id[25] == '0'   ? "a"
             : id[25] == '1' ? "b"
                             : "c",
             "");
        turn();
        answers(QUEUE_OK);
    }
    come(make(own, CASE_A, ACT_DISABLE, "alice"), "m-9", "");
    turn();
    assert_string_equal(told_q, "release ");
    answers(QUEUE_OK);
    assert_string_equal(recorded(CASE_A), "nothing");
}

static void test_the_ledger_cannot_be_written(void **state) /* D2 */
{
    (void)state;
    has_dc = true;
    failpoint_set("commit-before:1:fail");
    come(make(own, CASE_A, ACT_DISABLE, "alice"), "m-1", "");
    turn();
    turn();
    assert_int_equal(begun, 0);
    assert_string_equal(told_q, "release ");
    assert_true(s->sick);
    answers(QUEUE_OK);
    assert_null(s->jobs);
    /* The answer: tried until it is there; the message is kept as long. */
    failpoint_set(NULL);
    come(make(own, CASE_B, ACT_DISABLE, "alice"), "m-2", "");
    turn();
    assert_false(s->sick);
    answers(QUEUE_OK);
    failpoint_set("commit-before:2:fail");
    case_ends(CASE_B, VERDICT_DONE, "");
    assert_string_equal(recorded(CASE_B), "running");
    assert_null(strstr(told_q, "complete"));
    later(2000);
    assert_string_equal(recorded(CASE_B), "done");
    assert_non_null(strstr(told_q, "complete"));
    answers(QUEUE_OK);
}

static void test_it_expires_while_it_waits(void **state)
{
    (void)state;
    come(make(own, CASE_A, ACT_DISABLE, "alice"), "m-1", "");
    turn();
    answers(QUEUE_OK);
    s->seen_ms = job(CASE_A)->give_up_ms;
    has_dc = true;
    later(1000);
    turn();
    assert_int_equal(begun, 0);
    assert_string_equal(recorded(CASE_A), "done");
    answers(QUEUE_OK);
}

/* --- our own ---------------------------------------------------------------------------------- */

static struct intake_request own_one(const char *id)
{
    int64_t now = stamp_now_ms();
    struct intake_request r = {.action = ACT_CONTAIN, .issued_ms = now, .expires_ms = now + 600000};

    (void)snprintf(r.id, sizeof(r.id), "%s", id);
    (void)snprintf(r.account, sizeof(r.account), "alice");
    (void)snprintf(r.requester, sizeof(r.requester), "Identity Protection");
    (void)snprintf(r.audience, sizeof(r.audience), "corp.example.com");
    return r;
}

static void test_own(void **state)
{
    static const char id[] = "0f8fad5b-d9cb-869f-a165-70867728950e";
    struct intake_request r = own_one(id);

    (void)state;
    has_dc = true;
    must(own_request(s, &r, "risk:7", false, &e));
    assert_int_equal(begun, 0); /* not on disk yet */
    must(own_request(s, &r, "risk:7", false, &e));
    turn();
    assert_int_equal(begun, 1);
    assert_string_equal(last.requester, "Identity Protection");
    assert_false(last.terms.taken_over);
    case_ends(id, VERDICT_DONE, "");
    turn();
    assert_string_equal(state_of(id), "none");
    assert_string_equal(recorded(id), "done");
    must(own_request(s, &r, "risk:7", false, &e)); /* answered, and not done again */
    turn();
    assert_int_equal(begun, 1);
    assert_int_equal(s->verdicts[VERDICT_DONE], 1);
}

static void test_own_is_held(void **state)
{
    static const char id[] = "0f8fad5b-d9cb-869f-a165-70867728950e";
    struct intake_request r = own_one(id);
    const char *rule = "brake";
    struct casefile cf = {0};
    char why[100];

    (void)state;
    has_dc = true;
    must(own_request(s, &r, "risk:7", /* hold */ true, &e));
    turn();
    assert_int_equal(begun, 1);
    assert_false(last.terms.let(last.terms.arg, &cf, &rule, why, sizeof(why)));
    assert_string_equal(rule, "risk");
    while (s->jobs != NULL) /* as if it had died: the ledger knows that it is to be held */
        job_free(s->jobs);
    must(resume_all(s, &e));
    turn();
    assert_true(job(id)->hold);
    assert_false(job(id)->taken_over);
}

static void test_own_did_not_get_to_disk(void **state)
{
    static const char id[] = "0f8fad5b-d9cb-869f-a165-70867728950e";
    struct intake_request r = own_one(id);

    (void)state;
    has_dc = true;
    failpoint_set("commit-before:1:fail");
    must(own_request(s, &r, "risk:7", false, &e));
    turn();
    turn();
    assert_int_equal(begun, 0);
    assert_null(s->jobs); /* whoever made it offers it again */
    failpoint_set(NULL);
    service_ledger_fine(s);
    must(own_request(s, &r, "risk:7", false, &e));
    turn();
    assert_int_equal(begun, 1);
}

static void test_own_id_is_signed_for(void **state)
{
    struct intake_request r = own_one(CASE_A);

    (void)state;
    come(make(own, CASE_A, ACT_DISABLE, "alice"), "m-1", "");
    fails(own_request(s, &r, "risk:7", false, &e), ERR_CONFLICT, "ALARM");
    turn();
    fails(own_request(s, &r, "risk:7", false, &e), ERR_CONFLICT, "ALARM");
    s->sick = true;
    fails(own_request(s, &r, "risk:7", false, &e), ERR_BUSY, "ledger");
    s->sick = false;
    s->stopping = true;
    fails(own_request(s, &r, "risk:7", false, &e), ERR_BUSY, "stopping");
    s->stopping = false;
}

/* No DC let anything be sent: begun again, a little later each time, until it expires. */
static void test_nothing_could_be_sent(void **state)
{
    static struct world w;
    struct casefile cf = {.w = &w,
                          .verdict = VERDICT_FAILED,
                          .unsent = true,
                          .terms = {.again = true},
                          .detail = (char *)(uintptr_t) "dc1: timed out"};

    (void)state;
    has_dc = true;
    come(make(own, CASE_A, ACT_DISABLE, "alice"), "m-1", "");
    turn();
    answers(QUEUE_OK);
    assert_true(last.terms.again);
    case_done(case_arg, &cf);
    turn();
    assert_string_equal(state_of(CASE_A), "waiting");
    assert_string_equal(recorded(CASE_A), "running");
    assert_int_equal(begun, 1); /* not at once */
    later(1000);
    assert_int_equal(begun, 2);
    assert_true(last.unrecorded);
    case_done(case_arg, &cf);
    turn();
    s->seen_ms = job(CASE_A)->give_up_ms;
    later(2000);
    turn();
    assert_int_equal(begun, 2);
    assert_string_equal(recorded(CASE_A), "done");
    answers(QUEUE_OK);

    /* A clear no is an end. */
    cf.unsent = false;
    s->seen_ms = 0;
    come(make(own, CASE_B, ACT_DISABLE, "bob"), "m-2", "");
    turn();
    answers(QUEUE_OK);
    put(s->ledger, job(CASE_B)->case_id, "verdict", "{\"verdict\":\"failed\"}");
    must(ledger_commit(s->ledger, &e));
    case_done(case_arg, &cf);
    turn();
    assert_string_equal(recorded(CASE_B), "done");
    turn();
    answers(QUEUE_OK);
}

static unsigned results(void)
{
    unsigned n = 0;

    for (const char *at = kinds(""); (at = strstr(at, ":result")) != NULL; at++)
        n++;
    return n;
}

/* What is on disk counts, whatever was said of the write: a decision is followed, and an answer is
 * not made twice. */
static void test_the_ledger_loses_an_answer(void **state)
{
    static struct world w;
    struct casefile cf = {.w = &w, .verdict = VERDICT_DONE};

    (void)state;
    has_dc = true;
    come(make(own, CASE_B, ACT_DISABLE, "alice"), "m-1", "");
    turn();
    answers(QUEUE_OK);
    case_ends(CASE_B, VERDICT_HELD, "brake");
    turn();
    answers(QUEUE_OK);
    must(held_decide(s, CASE_B, true, "bob (uid 7)", "", NULL, NULL, &e));
    failpoint_set("commit:1:fail");
    turn();
    failpoint_set(NULL);
    turn();
    assert_int_equal(begun, 2);
    put(s->ledger, job(CASE_B)->case_id, "verdict", "{\"verdict\":\"done\"}");
    must(ledger_commit(s->ledger, &e));
    failpoint_set("commit:1:fail");
    case_done(case_arg, &cf);
    turn();
    failpoint_set(NULL);
    later(2000);
    assert_null(s->jobs);
    assert_int_equal(results(), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(test_there_and_back),
        T(test_the_claim_comes_first_where_twice_is_not_once),
        T(test_a_foreign_claim_is_passed_on),
        T(test_refused),
        T(test_a_flood),
        T(test_dead_letters_out_of_reach),
        T(test_seen_before),
        T(test_lost_to_another),
        T(test_lost_before_its_claim),
        T(test_completed_by_another),
        T(test_lost_in_the_middle),
        T(test_held),
        T(test_privileged_takes_two),
        T(test_declined_and_too_late),
        T(test_a_restart),
        T(test_over_its_rate),
        T(test_the_ledger_cannot_be_written),
        T(test_it_expires_while_it_waits),
        T(test_own),
        T(test_own_is_held),
        T(test_own_did_not_get_to_disk),
        T(test_own_id_is_signed_for),
        T(test_nothing_could_be_sent),
        T(test_the_ledger_loses_an_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
