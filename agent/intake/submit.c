/* agent/intake/submit.c -- see submit.h.
 *
 *   put_next    onto the queue, some at a time; told once it has them
 *   look        the directory of answers, or the queue of answers, for those that are ours
 *   take        an answer: by a key that is believed, to a request of ours: shown
 *
 * On a queue of answers there are other people's, too: they are given back at once.
 */
#include "agent/intake/submit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/intake/result.h"
#include "agent/service/link.h"
#include "agent/verdict.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"

enum {
    AT_ONCE = 8,
    TRIES = 4,
    LOOK_MS = 250,
    LOOK_MAX_MS = 5000,
    LEASE_MS = 30 * 1000,
    GIVE_BACK_MS = 1000,
    PEM_MAX = 64 * 1024,
    KEYS = 16,
};

struct one {
    struct submit *s;
    const struct submit_item *item;
    unsigned tries;
    bool put, answered;
    unsigned steps; /* seen in the folder */
};

struct giving { /* a message of the queue of answers, and its last verb */
    struct submit *s;
    struct giving *next;
    struct queue_message *m;
};

struct submit {
    const struct cfg *cfg;
    struct loop *loop;
    struct queue_link *link;
    struct jws_key *keys[KEYS];
    size_t key_count;
    struct one *all;
    size_t count, next, flying, missing;
    struct giving *giving;
    bool json, waiting;
    uint64_t until, look_ms;
    struct loop_timer *timer, *late;
    int exit;
    struct err failed;
};

static void put_next(struct submit *s);
static void on_put(void *arg, enum queue_end end, const struct err *e);
static void look(void *arg);
static void on_answers(void *arg, struct queue_message **msgs, size_t n, enum queue_end end,
                       const struct err *e);

static void stop(struct submit *s)
{
    loop_timer_stop(&s->timer);
    loop_timer_stop(&s->late);
    loop_stop(s->loop);
}

/* --- putting ---------------------------------------------------------------------------- */

static void tell_put(const struct submit *s, const struct submit_item *x)
{
    struct text line = TEXT_INIT(4096);
    struct json_out o;

    if (s->json) {
        json_out_init(&o, &line);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "submitted");
        json_out_str(&o, "id", x->id);
        json_out_str(&o, "account", x->account);
        json_out_str(&o, "to", queue_name(queue_link_requests(s->link)));
        json_out_end_object(&o);
    } else {
        text_addf(&line, "%s  submitted     ", x->id);
        text_show(&line, x->account, strlen(x->account), TEXT_SHOW_LIMIT);
    }
    (void)printf("%s\n", line.s);
    (void)fflush(stdout);
    text_done(&line);
}

static void put_one(void *arg)
{
    struct one *x = arg;
    struct err e;

    if (queue_put_start(queue_link_requests(x->s->link), x->item->jws, x->item->n, x->item->ttl_ms,
                        on_put, x, &e) < 0)
        on_put(x, QUEUE_FATAL, &e);
}

static void put_next(struct submit *s)
{
    while (s->next < s->count && s->flying < AT_ONCE && s->failed.code == ERR_OK) {
        s->flying++;
        put_one(&s->all[s->next++]);
    }
    if (s->flying > 0)
        return;
    if (s->failed.code != ERR_OK || !s->waiting || s->missing == 0)
        stop(s);
    else if (s->timer == NULL)
        s->timer = loop_timer_start(s->loop, LOOK_MS, look, s);
}

static void on_put(void *arg, enum queue_end end, const struct err *e)
{
    struct one *x = arg;
    struct submit *s = x->s;

    if (end == QUEUE_RETRY &&
        ++x->tries < TRIES) { /* at least once: the service tells them apart */
        (void)loop_timer_start(s->loop, UINT64_C(500) << x->tries, put_one, x);
        return;
    }
    s->flying--;
    if (end == QUEUE_OK) {
        x->put = true;
        tell_put(s, x->item);
    } else if (s->failed.code == ERR_OK) {
        if (e != NULL)
            s->failed = *e;
        else
            (void)err_set(&s->failed, ERR_IO, (int)end, "the queue did not take it");
    }
    put_next(s);
}

/* --- answers ------------------------------------------------------------------------------ */

static struct one *find(struct submit *s, const char *id)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->all[i].put && strcmp(s->all[i].item->id, id) == 0)
            return &s->all[i];
    }
    return NULL;
}

static int exit_of(const struct cJSON *j)
{
    const char *outcome = json_str(j, "outcome"),
               *word = json_str(json_get(j, "verdict"), "verdict");
    enum verdict v;

    if (word != NULL && verdict_parse(word, &v))
        return verdict_exit(v);
    return outcome != NULL && strcmp(outcome, "good") == 0 ? verdict_exit(VERDICT_UNKNOWN)
                                                           : verdict_exit(VERDICT_REFUSED);
}

static void show(const struct submit *s, const char *id, const char *payload, const struct cJSON *j)
{
    const struct cJSON *v = json_get(j, "verdict");
    struct text line = TEXT_INIT(INTAKE_RESULT_MAX);
    const char *word = json_str(v, "verdict"), *proof = json_str(v, "proof"),
               *detail = json_str(v, "detail");

    if (s->json) {
        (void)printf("%s\n", payload);
    } else {
        if (word == NULL) {
            word = json_str(j, "outcome");
            detail = json_str(j, "detail");
        }
        text_addf(&line, "%s  ", id);
        text_show(&line, word, strlen(word), TEXT_SHOW_LIMIT);
        if (proof != NULL && strcmp(proof, "none") != 0) {
            text_add(&line, ", ");
            text_show(&line, proof, strlen(proof), TEXT_SHOW_LIMIT);
        }
        if (detail != NULL && detail[0] != '\0') {
            text_add(&line, ": ");
            text_show(&line, detail, strlen(detail), 600);
        }
        (void)printf("%s\n", line.s);
    }
    (void)fflush(stdout);
    text_done(&line);
}

typedef int (*verify_by)(const struct jws_key *agent, const char *jws, size_t n,
                         struct text *payload, char ret_request[ID_UUID], struct err *e);

/* Of one of ours, and by a key that is believed? ERR_NOTFOUND: it is somebody else's. */
static int read_ours(struct submit *s, verify_by verify, const char *jws, size_t n,
                     struct text *payload, struct cJSON **ret_json, struct one **ret_one,
                     struct err *e)
{
    char id[ID_UUID];
    int rc = -1;

    (void)err_set(e, ERR_DENIED, 0, "no key");
    for (size_t i = 0; i < s->key_count && rc < 0; i++) {
        text_clear(payload);
        rc = verify(s->keys[i], jws, n, payload, id, e);
    }
    if (rc < 0)
        return -1;
    *ret_one = find(s, id);
    return *ret_one == NULL ? err_set(e, ERR_NOTFOUND, 0, "no request of ours")
                            : json_parse(payload->s, payload->len, NULL, ret_json, e);
}

static void show_step(const struct submit *s, const char *id, const char *payload,
                      const struct cJSON *j)
{
    static const char *const members[] = {"step", "target", "state", "proof", "detail"};
    static const char *const before[] = {"  ", " ", " ", ", ", ": "};
    struct text line = TEXT_INIT(INTAKE_RESULT_MAX);

    text_addf(&line, "%s", id);
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const char *word = json_str(json_get(j, "step"), members[i]);

        if (word == NULL || word[0] == '\0' || strcmp(word, "none") == 0)
            continue;
        text_add(&line, before[i]);
        text_show(&line, word, strlen(word), 600);
    }
    (void)printf("%s\n", s->json ? payload : line.s);
    (void)fflush(stdout);
    text_done(&line);
}

/* An answer, or a step before it: shown. Errors of read_ours. */
static int take(struct submit *s, const char *jws, size_t n, struct err *e)
{
    CLEANUP(text_done) struct text payload = TEXT_INIT(INTAKE_RESULT_MAX);
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct jws_hint hint;
    struct one *x = NULL;
    bool step;

    if (n > 0 && jws[n - 1] == '\n')
        n--;
    step = jws_peek(jws, n, &hint, e) == 0 && strcmp(hint.typ, SIGNED_STEP_TYPE) == 0;
    if (read_ours(s, step ? intake_step_verify : intake_result_verify, jws, n, &payload, &j, &x,
                  e) < 0)
        return -1;
    if (x->answered) /* what comes twice is shown once */
        return 0;
    if (step) {
        show_step(s, x->item->id, payload.s, j);
    } else {
        int code = exit_of(j);

        show(s, x->item->id, payload.s, j);
        x->answered = true;
        s->missing--;
        s->exit = code > s->exit ? code : s->exit;
    }
    return 0;
}

/* number: of a step; 0: the answer. Is it there? */
static bool look_at(struct submit *s, const struct one *x, unsigned number)
{
    struct text jws = TEXT_INIT(SIGNED_MAX);
    CLEANUP(cleanup_charp) char *path = NULL;
    char nth[16] = "";
    bool there;
    struct err e;

    if (number > 0)
        (void)snprintf(nth, sizeof(nth), ".%u", number);
    if (asprintf(&path, "%s/%s%s.jws", s->cfg->queue.result_directory, x->item->id, nth) < 0) {
        path = NULL;
        text_done(&jws);
        return false;
    }
    there = file_read_trusted(path, FILE_PUBLIC, SIGNED_MAX, &jws, &e) == 0;
    if (there && take(s, jws.s, jws.len, &e) < 0)
        log_error("the answer to %s is not believed: %s", x->item->id, e.msg);
    text_done(&jws);
    return there;
}

static void look_in_folder(struct submit *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct one *x = &s->all[i];

        if (!x->put || x->answered)
            continue;
        while (look_at(s, x, x->steps + 1))
            x->steps++;
        (void)look_at(s, x, 0);
    }
}

/* Not before the last answer is off the queue, or the next one who waits there would see it. */
static void look_later(struct submit *s)
{
    if (s->missing == 0) {
        if (s->giving == NULL)
            stop(s);
        return;
    }
    s->timer = loop_timer_start(s->loop, s->look_ms, look, s);
    if (s->look_ms * 3 / 2 < LOOK_MAX_MS)
        s->look_ms = s->look_ms * 3 / 2;
}

static void look(void *arg)
{
    struct submit *s = arg;
    struct queue *q = queue_link_results(s->link);
    struct err e;

    s->timer = NULL;
    if (q == NULL) {
        look_in_folder(s);
        s->look_ms = LOOK_MS; /* a look there costs nothing */
        look_later(s);
    } else if (queue_receive_start(q, queue_caps(q)->max_batch, LEASE_MS, on_answers, s, &e) < 0) {
        on_answers(s, NULL, 0, QUEUE_RETRY, &e);
    }
}

static void giving_free(struct giving *g)
{
    struct giving **at = &g->s->giving;

    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    queue_message_free(g->m);
    free(g);
}

static void on_message_over(void *arg, enum queue_end end, const struct err *e)
{
    struct giving *g = arg;
    struct submit *s = g->s;

    (void)end; /* what is not off the queue is somebody's once more, and nobody's harm */
    (void)e;
    giving_free(g);
    if (s->missing == 0)
        look_later(s);
}

/* Ours is completed, another's is given back. Without memory for it the lease runs out by itself.
 */
static void give(struct submit *s, struct queue_message *m, bool ours)
{
    struct giving *g = calloc(1, sizeof(*g));
    struct err e;

    if (g == NULL) {
        queue_message_free(m);
        return;
    }
    *g = (struct giving){.s = s, .next = s->giving, .m = m};
    s->giving = g;
    if ((ours ? queue_complete_start(m, on_message_over, g, &e)
              : queue_release_start(m, GIVE_BACK_MS, on_message_over, g, &e)) < 0)
        giving_free(g);
}

static void on_answers(void *arg, struct queue_message **msgs, size_t n, enum queue_end end,
                       const struct err *e)
{
    struct submit *s = arg;
    struct err mine;

    if (end != QUEUE_OK)
        log_warning("the queue of answers cannot be read, trying on: %s", e != NULL ? e->msg : "");
    for (size_t i = 0; i < n; i++) {
        struct queue_message *m = msgs[i];
        bool ours = m->text != NULL && take(s, m->text, m->len, &mine) == 0;

        give(s, m, ours);
    }
    look_later(s);
}

static void on_late(void *arg)
{
    struct submit *s = arg;

    s->late = NULL;
    stop(s);
}

/* --- all of it ---------------------------------------------------------------------------- */

static int add_key(struct submit *s, const char *path, bool private, struct err *e)
{
    CLEANUP(secret_freep) struct secret *pem = NULL;
    struct text t = TEXT_INIT(PEM_MAX);
    int rc;

    if (s->key_count == KEYS) {
        text_done(&t);
        return err_set(e, ERR_CONFIG, 0, "[queue] answer_keys: more than %d", KEYS);
    }
    if (private)
        rc = secret_from_file(path, PEM_MAX, &pem, e) < 0
                 ? -1
                 : jws_key_private(pem, &s->keys[s->key_count], e);
    else
        rc = file_read_trusted(path, FILE_PUBLIC, PEM_MAX, &t, e) < 0
                 ? -1
                 : jws_key_public(t.s, t.len, &s->keys[s->key_count], e);
    text_done(&t);
    if (rc < 0)
        return err_wrap(e, "the key of answers '%s'", path);
    s->key_count++;
    return 0;
}

static int open_keys(struct submit *s, struct err *e)
{
    const struct cfg_queue *q = &s->cfg->queue;

    for (size_t i = 0; i < q->answer_keys.count; i++) {
        if (add_key(s, q->answer_keys.items[i], false, e) < 0)
            return -1;
    }
    if (s->key_count == 0 && q->signing_key != NULL && add_key(s, q->signing_key, true, e) < 0)
        return -1;
    if (s->key_count == 0)
        return err_set(e, ERR_CONFIG, 0,
                       "--wait: [queue] answer_keys must say whose answers are believed");
    if (queue_link_results(s->link) == NULL && q->result_directory == NULL)
        return err_set(e, ERR_CONFIG, 0,
                       "--wait: [queue] must say where answers go (result_directory, or "
                       "result_queue)");
    return 0;
}

static int run(struct submit *s, uint64_t wait_ms, struct err *e)
{
    s->waiting = wait_ms > 0;
    s->look_ms = LOOK_MS;
    if (loop_new(&s->loop, e) < 0 ||
        queue_link_open(s->loop, s->cfg, /* watch */ false, &s->link, e) < 0 ||
        (s->waiting && open_keys(s, e) < 0))
        return -1;
    if (s->waiting)
        s->late = loop_timer_start(s->loop, wait_ms, on_late, s);
    put_next(s);
    if (loop_run(s->loop, e) < 0)
        return -1;
    if (s->failed.code != ERR_OK) {
        *e = s->failed;
        return -1;
    }
    if (s->waiting && s->missing > 0) {
        (void)fprintf(stderr, "cordon submit: no answer in time to %zu of %zu\n", s->missing,
                      s->count);
        s->exit = verdict_exit(VERDICT_UNKNOWN);
    }
    return 0;
}

int submit_put(const struct cfg *cfg, const struct submit_item *items, size_t count,
               uint64_t wait_ms, bool json, int *ret_exit, struct err *e)
{
    struct submit s = {.cfg = cfg, .count = count, .missing = count, .json = json};
    int rc;

    s.all = calloc(count + 1, sizeof(*s.all));
    if (s.all == NULL)
        return err_set(e, ERR_NOMEM, 0, "requests");
    for (size_t i = 0; i < count; i++)
        s.all[i] = (struct one){.s = &s, .item = &items[i]};
    rc = run(&s, wait_ms, e);
    loop_timer_stop(&s.timer);
    loop_timer_stop(&s.late);
    while (s.giving != NULL)
        giving_free(s.giving);
    queue_link_close(&s.link);
    loop_free(s.loop);
    for (size_t i = 0; i < s.key_count; i++)
        jws_key_free(s.keys[i]);
    free(s.all);
    if (rc == 0)
        *ret_exit = s.exit;
    return rc;
}
