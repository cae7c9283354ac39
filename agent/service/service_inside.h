/* agent/service/service_inside.h -- what the files of the service share; nobody else's.
 *
 *   service.c  opens, polls, stops      place.c   a domain: its world, its signers' lists
 *   intake.c   one message's life       job.c     one request in hand, to its answer
 *   held.c     what waits for people    resume.c  the ledger's open requests, at the start
 *   answer.c   the signed answer        outbox.c  its way out
 *   refusals.c what is refused, on record within bounds
 */
#ifndef CORDON_AGENT_SERVICE_INSIDE_H
#define CORDON_AGENT_SERVICE_INSIDE_H

#include "agent/caseload.h"
#include "agent/intake/signed.h"
#include "agent/run.h"
#include "agent/service/brake.h"
#include "agent/service/outbox.h"
#include "agent/service/requests.h"
#include "agent/service/service.h"
#include "agent/world.h"
#include "cloud/queue.h"

enum {
    SERVICE_AGENT = 128,
    SERVICE_WAIT_MAX_MS = 60 * 1000, /* no wait between tries is ever longer */
};

/* --- place.c: a domain ----------------------------------------------------------------- */

struct place_list { /* the accounts that one signer may name, in this domain */
    struct place *place;
    const struct cfg_signer *signer;
    struct policy *policy;
    bool asking, failed;
    struct err why;
};
struct place {
    struct service *s;
    const struct cfg_domain *domain;
    struct world world;
    bool told; /* the world is there, or told why not */
    unsigned tries;
    struct loop_timer *later;
    struct place_list *lists;
    size_t list_count;
};
int place_open(struct service *s, const struct cfg_domain *d, struct place *p, struct err *e);
void place_close(struct place *p);
struct place *place_for(struct service *s, const char *domain);
/* The signer's list: PLACE_LIST_NONE, it names anybody; LATER: being looked up. */
enum place_answer { PLACE_NONE, PLACE_READY, PLACE_LATER, PLACE_FAILED };
enum place_answer place_only(struct place *p, const char *signer, const struct policy **ret_only,
                             const struct err **ret_why);

/* --- job.c: a request in hand --------------------------------------------------------------- */

enum job_state {
    JOB_TAKING,    /* its "request" is on its way to disk */
    JOB_WAITING,   /* for its claim, a DC, a place among those in flight */
    JOB_RUNNING,   /* a case carries it out */
    JOB_HOLDING,   /* its "held" is on its way to disk */
    JOB_HELD,      /* for a person */
    JOB_ANSWERING, /* its "result" is on its way to disk */
    JOB_OVER,      /* and about to be freed */
};
struct message;
struct job {
    struct service *s;
    struct job *next;
    enum job_state state;
    struct intake_request request;
    char digest[2 * ID_SHA256 + 1], signer[128], message_id[256], case_id[ID_ULID];
    char requester[INTAKE_REQUESTER + 160]; /* with the signer's name */
    struct message *message;                /* or NULL: it has none (any more) */
    struct casefile *cf;                    /* while it runs */
    struct caseload *load;                  /* what an earlier run left; NULL */
    struct loop_timer *timer;
    unsigned tries;        /* of a write that fails */
    bool taken_over;       /* another agent may have acted on it */
    bool approved, twice;  /* by one person, by two */
    bool deciding;         /* a decision is on its way to disk */
    bool elsewhere;        /* another agent ended it: it is closed here, and nobody is told */
    int64_t give_up_ms;    /* wall clock: not to be begun any more */
    int64_t moved;         /* verdicts of this case before that record do not count */
    int64_t held_until_ms; /* JOB_HELD */
    /* an end without a case's verdict */
    enum verdict end_verdict;
    const char *end_rule; /* a constant; NULL: the case's own verdict */
    char end_why[SIGNED_WHY];
    /* held: as it is being written */
    bool for_two;
    char hold_rule[64], hold_why[600];
};

int job_new(struct service *s, const struct intake_request *r, const char *digest,
            const char *signer, const char *message_id, const char *case_id, struct job **ret_job,
            struct err *e);
struct job *job_find(const struct service *s, const char *id);
void job_move(struct job *j, enum job_state next);
/* Write it to the ledger; then it goes its way. */
int job_accept(struct job *j, struct err *e);
/* As soon as may be: from JOB_WAITING. */
void job_consider(struct job *j);
/* End it without carrying it out, or without going on with it. */
void job_end(struct job *j, enum verdict v, const char *rule, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Its verdict is on disk already: answer. */
void job_answer(struct job *j);
/* Read again what the case has done so far. */
int job_reload(struct job *j, struct err *e);
/* Has anything been sent for it, perhaps? */
bool job_begun(const struct job *j);
/* Its message is somebody else's now, or gone. */
void job_message_lost(struct job *j, bool gone);
void job_free(struct job *j);

/* --- held.c --------------------------------------------------------------------------------- */
void held_begin(struct job *j); /* writes "held", then waits */
void held_tick(struct job *j);  /* is its time over? */
int held_decide(struct service *s, const char *id, bool approve, const char *by, const char *why,
                void (*done)(void *arg, const struct err *e), void *arg, struct err *e);

/* --- resume.c ------------------------------------------------------------------------------- */
int resume_all(struct service *s, struct err *e);
/* One that the ledger has as open, and nobody has in hand. */
int resume_one(struct service *s, const struct request_entry *en, struct job **ret_job,
               struct err *e);

/* --- answer.c ------------------------------------------------------------------------------- */
/* What the ledger says of how the case ended: ERR_NOTFOUND where it has no verdict behind `since`.
 */
int answer_of_case(struct service *s, const struct job *j, struct text *jws, struct err *e);
/* The verdict object of an end without a case. */
void answer_verdict(const struct job *j, struct text *t);
int answer_of_end(struct service *s, const struct job *j, const char *verdict, struct text *jws,
                  struct err *e);
int answer_of_refusal(struct service *s, const struct signed_in *in, struct text *jws,
                      struct err *e);

/* --- intake.c ------------------------------------------------------------------------------- */
enum message_state {
    MESSAGE_JUDGED,  /* it was judged; a record of it is on its way to disk */
    MESSAGE_CARRIED, /* it belongs to a job, and is renewed */
    MESSAGE_ENDING,  /* its last verb is being tried */
    MESSAGE_OVER,
};
enum message_end { MESSAGE_COMPLETE, MESSAGE_DEAD, MESSAGE_RELEASE, MESSAGE_DROP };
struct message {
    struct service *s;
    struct message *next;
    enum message_state state;
    struct queue_message *m;
    struct job *job; /* MESSAGE_CARRIED */
    struct loop_timer *timer;
    bool verb;    /* one is under way */
    bool claimed; /* our claim is on it */
    bool ends;    /* wanted: `end` */
    bool heard;   /* the ledger knows this id, or a job has it */
    enum message_end end;
    uint64_t delay_ms;
    char reason[SIGNED_WHY + 64];
    char answers[ID_UUID]; /* the request whose answer goes out once this is on disk; "" */
    unsigned tries;
};
/* Just received; `qm` is ours now. */
void message_take(struct service *s, struct queue_message *qm);
/* Its request is on disk: claim it, and keep it as long as the job has it. */
void message_carry(struct message *m);
/* It waits for its next try: now. */
void message_hurry(struct message *m);
/* The job has no more need of it. */
void message_end(struct message *m, enum message_end how, uint64_t delay_ms, const char *reason);

/* Those that no job has: in hand only until they are off the queue, or put aside. */
size_t messages_ending(const struct service *s);
enum {
    MESSAGES_FAILING_MAX = 64, /* kept for another try; the rest comes again by itself */
    MESSAGES_ENDING_MAX = 128, /* with so many nothing more is taken from the queue */
};

/* --- refusals.c ----------------------------------------------------------------------------- */
struct bucket {
    bool began;
    unsigned left;   /* records of single refusals that may still be written */
    uint64_t filled; /* loop_now when `left` last grew */
};
struct refusals {
    struct bucket alarms, others;
    uint64_t counts[SIGNED_OUTCOMES], total, since; /* not on record yet */
    uint64_t told[SIGNED_OUTCOMES], telling;        /* of these: on their way to disk */
};
/* May one more have a record of its own? Then it is used up. */
bool refusals_room(struct service *s, enum signed_outcome outcome);
void refusals_count(struct service *s, enum signed_outcome outcome);
/* On record, once a minute, how many were only counted. */
void refusals_tell(struct service *s, bool at_once);

/* --- service.c ------------------------------------------------------------------------------ */
struct rate { /* what one signer was let through, lately */
    const struct cfg_signer *signer;
    int64_t *at;
    size_t count, next;
};
struct service {
    struct loop *loop;
    struct service_settings set;
    const struct cfg *cfg;
    struct ledger *ledger;
    struct signers *signers;
    struct jws_key *own; /* answers are signed with it; NULL: none are sent */
    char agent[SERVICE_AGENT];
    struct queue_link *link;
    struct queue *queue; /* of `link` */
    struct outbox *outbox;
    struct brake *brake;
    struct control *control;
    struct place *places;
    size_t place_count;
    struct job *jobs; /* oldest first */
    struct message *messages;
    struct rate *rates;
    struct refusals refusals;
    size_t running; /* cases in flight */
    int64_t seen_ms, started_ms;

    struct loop_timer *poll, *tick, *stopper;
    uint64_t poll_ms;
    unsigned poll_failures;
    uint64_t queue_proven; /* loop_now when the queue last answered; 0: never */
    bool receiving, polled_empty;
    bool sick; /* the ledger cannot be written: nothing is taken */
    uint64_t sick_until;
    bool stopping, reopens, interrupted, give_up, told;
    struct loop_timer *ending;
    struct err failed;
    void (*ended)(void *arg, const struct err *e);
    void *arg;
    /* for status */
    uint64_t taken, refused, answered;
};
/* Jobs that are not held, and so keep room. */
size_t service_busy(const struct service *s);
void service_wake(struct service *s); /* there is room again: look at the queue */
void service_maybe_end(struct service *s);
/* A write failed: nothing is taken for a while. Back-off for a retry, up to a minute. */
void service_ledger_failed(struct service *s, const struct err *e);
void service_ledger_fine(struct service *s);
uint64_t service_backoff_ms(unsigned tries); /* 0.5 s doubling to 60 s, with jitter */
int64_t service_now_ms(struct service *s);   /* wall clock, and never back (T1) */

#endif
