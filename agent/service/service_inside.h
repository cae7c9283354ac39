/* agent/service/service_inside.h -- what the files of the service share; nobody else's.
 *
 *   service.c  opens, polls, stops      place.c   a domain: its world, its signers' lists
 *   intake.c   one message's life       job.c     one request in hand, to its answer
 *   held.c     what waits for people    resume.c  the ledger's open requests, at the start
 *   answer.c   the signed answer        outbox.c  its way out
 *   events.c   its steps, where asked
 *   refusals.c what is refused, on record within bounds
 *   own.c      requests of our own      risks.c   made from what Identity Protection finds
 *   watchers.c who was contained, and comes back to life
 *   health.c   is the world still there? numbers.c, tell.c   what is told of it
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
    struct loop_timer *census; /* how many enabled users has it? For the brake */
    bool counting;
    uint64_t counted_at; /* by loop_now; 0: not yet */
    struct place_list *lists;
    size_t list_count;
    uint64_t proven[AD_DCS_MAX]; /* by loop_now: when that DC last answered; 0 */
    bool probing[AD_DCS_MAX];
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
    unsigned tries;        /* of a write that fails, of a case that cannot be begun */
    char failed[300];      /* why it could not be begun last; "" */
    bool taken_over;       /* another agent may have acted on it */
    bool hold;             /* whatever the guards say: a person must say yes */
    bool approved, twice;  /* by one person, by two */
    bool deciding;         /* a decision is on its way to disk */
    bool elsewhere;        /* another agent ended it: it is closed here, and nobody is told */
    int64_t give_up_ms;    /* wall clock: not to be begun any more */
    int64_t moved;         /* verdicts of this case before that record do not count */
    int64_t held_until_ms; /* JOB_HELD */
    unsigned events;       /* sent so far, of its steps */
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

/* --- own.c: requests that nobody sent ------------------------------------------------------ */

/* Take one of our own: on disk with this turn, and then a job like others, by nobody's signature.
 * `what`: what made it ("risk:...", "hold_watch:..."). One that was taken before: 0 again.
 * ERR_BUSY: not now. ERR_CONFLICT: somebody signed another one with this id. */
int own_request(struct service *s, const struct intake_request *q, const char *what, bool hold,
                struct err *e);
/* It did not get to disk: whoever made it shall offer it again. */
void own_lost(struct job *j);

/* --- watchers.c: who was contained, and comes back ---------------------------------------------
 */

int watchers_open(struct service *s, struct err *e);
void watchers_listen(struct place *p); /* its world was opened anew */
void watchers_close(struct service *s);
/* The verdict of its case is on disk, its answer not yet. */
void watchers_ended(struct job *j);
void watchers_lost(struct service *s, const char *what); /* own_lost */

/* --- risks.c ---------------------------------------------------------------------------------- */

int risks_open(struct service *s, struct err *e); /* where there is [risk] */
void risks_close(struct service *s);
bool risks_asked(const struct service *s); /* nothing is to come of what there was at the start */

/* Of an approval, or a start behind it: what is not begun by then ends. */
#define APPROVED_MS (INT64_C(15) * 60 * 1000)

/* --- held.c --------------------------------------------------------------------------------- */
void held_begin(struct job *j); /* writes "held", then waits */
void held_tick(struct job *j);  /* is its time over? */
/* The end of one that a person declined, or that nobody decided on in time. */
void held_declined(struct job *j, const struct request_entry *en);
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

/* --- events.c -----------------------------------------------------------------------------------
 */
/* run_terms.told: arg is the job. */
void event_told(void *arg, const struct casefile *cf, const struct step *st);
/* The steps that the ledger has of it go out once more. How many. */
unsigned events_again(struct service *s, const struct request_entry *en);

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
/* --- health.c ----------------------------------------------------------------------------------
 */

struct health {
    struct loop_timer *timer;
    uint64_t queue_ok;        /* by loop_now: the last look at the queue that came back; 0 */
    bool asking, known;       /* asking: how much there is; known: */
    uint64_t depth, depth_at; /* depth_at: by loop_now */
    int64_t oldest_ms;        /* wall clock; 0: none, or not known */
    struct graph_call *probe;
    uint64_t probed_at;
    struct err graph_why; /* the last probe failed */
    bool file_failed;     /* said so */
};
int health_open(struct service *s, struct err *e);
void health_pause(struct service *s); /* nothing is asked any more */
/* By loop_now: the last answer of Graph to anybody here; 0: none. */
uint64_t health_graph(const struct service *s);
uint64_t health_okta(const struct service *s); /* the same; nothing is asked of it for this */
void health_look(struct service *s);           /* brings `proven` up to now */
/* What somebody should look at, in sentences; none: a healthy service. */
void health_complain(struct service *s, void (*say)(void *arg, const char *words), void *arg);

/* --- numbers.c ------------------------------------------------------------------------------- */
int numbers_write(struct service *s, struct text *t, struct err *e); /* OpenMetrics */
/* The last event of that DC's log, by its own clock, Unix ms; 0: none yet, or not watched. */
int64_t numbers_event_ms(const struct world *w, const char *dc);

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
    struct cloud *tenant;      /* Graph, for the service itself; NULL: no [entra], or: */
    struct err tenant_failed;  /* why it cannot be used */
    struct intake_risk *risks; /* NULL: no [risk] */
    struct holdwatch *watch;
    struct health health;
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
    bool receiving, polled_empty;
    bool sick; /* the ledger cannot be written: nothing is taken */
    uint64_t sick_until;
    bool stopping, reopens, interrupted, give_up, told;
    struct loop_timer *ending;
    struct err failed;
    void (*ended)(void *arg, const struct err *e);
    void *arg;
    /* for status */
    uint64_t taken, refused, answered, came_back, put_back;
    uint64_t verdicts[VERDICT_UNKNOWN + 1];
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
