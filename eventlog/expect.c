/* eventlog/expect.c -- see expect.h.
 *
 *   evlog_expect_start   into the table by SID and by DN, then through the ring of what came before
 *   evlog_set_event      an event: into the ring, then to those who wait for its target
 *   consider             is it proof, or something else worth telling? The whole judgement
 *   progress             enough? Then due, in the next turn
 *   run_due              the callbacks, all from here
 *
 * Invariants: an expectation is in the table until its callback begins; `due` is set once. No
 * callback runs but from run_due or, for a deadline and a grace, after a turn through it.
 */
#include "eventlog/expect.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "eventlog/samflags.h"
#include "eventlog/source_ops.h"

enum {
    BUCKETS = 64,          /* to begin with */
    RING_EVENT = 8 * 1024, /* a larger one is judged, but not kept for those to come */
    KEY_MAX = 16 * 1024,
};

struct key {
    struct key *next;
    struct evlog_expect *x; /* NULL: not in use */
    uint32_t hash;
};

struct dn {
    struct dn *next;
    struct key key;
    char text[]; /* as of evlog_dn_key */
};

struct evlog_expect {
    struct evlog_set *set;
    struct evlog_want want[EVLOG_WANTS], opposite[EVLOG_WANTS];
    const char *target_sid, *actor_sid, *dc, *remote; /* "" for none; in `strings` */
    char *strings;
    uint64_t logon_id, grace_ms;
    int64_t not_before_ms;
    struct evlog_since since;
    uint32_t source; /* id; 0: any */
    evlog_expect_cb cb;
    void *arg;

    struct key sid;
    struct dn *dns; /* at most EVLOG_DNS */

    struct loop_timer *deadline, *grace;
    bool settled, canceled, grace_over, late, due;
    uint64_t due_round;
    struct evlog_expect *due_prev, *due_next;
    struct evlog_result r; /* owns the events in it */
};

/* Thousands wait at once: with its strings and its timer one takes less than 1 KiB. */
_Static_assert(sizeof(struct evlog_expect) <= 528, "an expectation is small");

struct evlog_set {
    struct evlog_watcher *watcher;
    struct key **buckets;
    size_t bucket_count, key_count;
    struct ringed {
        void *block; /* starts with the event */
        size_t size;
        uint32_t hash, source;
        struct evlog_pos pos;
    } ring[EVLOG_RING];
    uint64_t ringed;  /* how many ever */
    uint64_t evicted; /* the highest sequence that is not in the ring any more, or never was */
    struct evlog_expect *due_first, *due_last;
    uint64_t round;
    struct loop_timer *due_timer;
    bool calling, dead; /* freed from inside a callback: run_due frees the rest */
    struct text key;    /* scratch */
};

static void run_due(void *arg);

/* --- kinds of proof --------------------------------------------------------------------------- */

void evlog_want_disabled(struct evlog_spec *s)
{
    s->want[0] = (struct evlog_want){.id = EVLOG_DISABLED};
    s->want[1] = (struct evlog_want){EVLOG_CHANGED, EVLOG_BITS_ROSE, EVLOG_SAM_DISABLED};
    s->opposite[0] = (struct evlog_want){.id = EVLOG_ENABLED};
    s->opposite[1] = (struct evlog_want){EVLOG_CHANGED, EVLOG_BITS_FELL, EVLOG_SAM_DISABLED};
}

void evlog_want_enabled(struct evlog_spec *s)
{
    s->want[0] = (struct evlog_want){.id = EVLOG_ENABLED};
    s->want[1] = (struct evlog_want){EVLOG_CHANGED, EVLOG_BITS_FELL, EVLOG_SAM_DISABLED};
    s->opposite[0] = (struct evlog_want){.id = EVLOG_DISABLED};
    s->opposite[1] = (struct evlog_want){EVLOG_CHANGED, EVLOG_BITS_ROSE, EVLOG_SAM_DISABLED};
}

void evlog_want_must_change(struct evlog_spec *s)
{
    s->want[0] = (struct evlog_want){EVLOG_CHANGED, EVLOG_MUST_CHANGE, 0};
    s->opposite[0] = (struct evlog_want){EVLOG_CHANGED, EVLOG_PASSWORD_SET, 0};
}

void evlog_want_reset(struct evlog_spec *s, unsigned count)
{
    s->want[0] = (struct evlog_want){.id = EVLOG_RESET_PASSWORD};
    s->count = count;
}

void evlog_want_bits(struct evlog_spec *s, uint32_t set, uint32_t cleared)
{
    assert((set == 0) != (cleared == 0));
    s->want[0] = set != 0 ? (struct evlog_want){EVLOG_CHANGED, EVLOG_BITS_UP, set}
                          : (struct evlog_want){EVLOG_CHANGED, EVLOG_BITS_DOWN, cleared};
    s->opposite[0] = set != 0 ? (struct evlog_want){EVLOG_CHANGED, EVLOG_BITS_FELL, set}
                              : (struct evlog_want){EVLOG_CHANGED, EVLOG_BITS_ROSE, cleared};
}

static bool fits(const struct evlog_want *w, const struct evlog_event *ev)
{
    const struct evlog_uac *u = &ev->uac;
    /* Only Samba's replace form has a new value and no old one; a Windows event that lacks one of
     * them says nothing. */
    bool known = u->has_new && (u->has_old || ev->kind == EVLOG_SAMBA);
    bool up = known && (u->new & w->bits) == w->bits, down = known && (u->new & w->bits) == 0;

    if (w->id != ev->id)
        return false;
    switch (w->when) {
    case EVLOG_ALWAYS:
        return true;
    case EVLOG_BITS_ROSE:
        return up && (!u->has_old || (u->old & w->bits) == 0);
    case EVLOG_BITS_FELL:
        return down && (!u->has_old || (u->old & w->bits) == w->bits);
    case EVLOG_BITS_UP:
        return up;
    case EVLOG_BITS_DOWN:
        return down;
    case EVLOG_MUST_CHANGE:
        return ev->password_last_set == EVLOG_PLS_NEVER;
    case EVLOG_PASSWORD_SET:
        return ev->password_last_set == EVLOG_PLS_TIME;
    }
    return false;
}

static bool fits_any(const struct evlog_want *w, const struct evlog_event *ev)
{
    for (size_t i = 0; i < EVLOG_WANTS && w[i].id != 0; i++)
        if (fits(&w[i], ev))
            return true;
    return false;
}

static bool names_id(const struct evlog_want *w, uint32_t id)
{
    for (size_t i = 0; i < EVLOG_WANTS && w[i].id != 0; i++)
        if (w[i].id == id)
            return true;
    return false;
}

/* --- the table -------------------------------------------------------------------------------- */

/* FNV-1a over ASCII lower case. Only what we wait for goes into the table, so nobody outside can
 * make its chains long. */
static uint32_t hash_of(const char *s)
{
    uint32_t h = UINT32_C(2166136261);

    for (; *s != '\0'; s++)
        h = (h ^ (unsigned char)(*s >= 'A' && *s <= 'Z' ? *s | 0x20 : *s)) * UINT32_C(16777619);
    return h;
}

static void insert(struct key **buckets, size_t count, struct key *k)
{
    struct key **at = &buckets[k->hash & (count - 1)];

    k->next = *at;
    *at = k;
}

static void put(struct evlog_set *set, struct key *k, struct evlog_expect *x, uint32_t hash)
{
    size_t count = set->bucket_count * 2;
    struct key **grown;

    /* No memory to grow: the chains get longer, nothing else. */
    if (set->key_count >= set->bucket_count && (grown = calloc(count, sizeof(*grown))) != NULL) {
        for (size_t i = 0; i < set->bucket_count; i++) {
            for (struct key *c = set->buckets[i], *next; c != NULL; c = next) {
                next = c->next;
                insert(grown, count, c);
            }
        }
        free(set->buckets);
        set->buckets = grown;
        set->bucket_count = count;
    }
    k->x = x;
    k->hash = hash;
    insert(set->buckets, set->bucket_count, k);
    set->key_count++;
}

static void take_out(struct evlog_set *set, struct key *k)
{
    struct key **at;

    if (k->x == NULL)
        return;
    at = &set->buckets[k->hash & (set->bucket_count - 1)];
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    k->x = NULL;
    set->key_count--;
}

int evlog_set_new(struct evlog_watcher *w, struct evlog_set **ret_set, struct err *e)
{
    struct evlog_set *set = calloc(1, sizeof(*set));

    if (set != NULL)
        set->buckets = calloc(BUCKETS, sizeof(struct key *));
    if (set == NULL || set->buckets == NULL) {
        free(set);
        return err_set(e, ERR_NOMEM, 0, "expectations");
    }
    set->watcher = w;
    set->bucket_count = BUCKETS;
    text_init(&set->key, KEY_MAX);
    *ret_set = set;
    return 0;
}

static void free_expect(struct evlog_expect *x)
{
    struct evlog_set *set = x->set;

    take_out(set, &x->sid);
    for (struct dn *d = x->dns, *next; d != NULL; d = next) {
        next = d->next;
        take_out(set, &d->key);
        free(d);
    }
    if (x->due) {
        *(x->due_prev == NULL ? &set->due_first : &x->due_prev->due_next) = x->due_next;
        *(x->due_next == NULL ? &set->due_last : &x->due_next->due_prev) = x->due_prev;
    }
    loop_timer_stop(&x->deadline);
    loop_timer_stop(&x->grace);
    for (unsigned i = 0; i < EVLOG_KEPT; i++)
        free((void *)x->r.proof[i]);
    free((void *)x->r.second);
    free((void *)x->r.foreign);
    free((void *)x->r.opposite);
    free((void *)x->r.failure);
    free((void *)x->r.elsewhere);
    free(x->strings);
    free(x);
}

void evlog_set_free(struct evlog_set *set)
{
    if (set == NULL)
        return;
    /* Each has at least one key, so the table knows them all, but for those that are due: these are
     * in it too until they are called. */
    for (size_t i = 0; i < set->bucket_count; i++)
        while (set->buckets[i] != NULL)
            free_expect(set->buckets[i]->x);
    loop_timer_stop(&set->due_timer);
    for (size_t i = 0; i < EVLOG_RING; i++)
        free(set->ring[i].block);
    text_done(&set->key);
    free(set->buckets);
    set->buckets = NULL;
    if (set->calling)
        set->dead = true;
    else
        free(set);
}

/* --- the end of a wait
 * ---------------------------------------------------------------------------- */

static void make_due(struct evlog_expect *x)
{
    struct evlog_set *set = x->set;

    if (!x->due) {
        x->due = true;
        x->due_round = set->round;
        x->due_prev = set->due_last;
        *(set->due_last == NULL ? &set->due_first : &set->due_last->due_next) = x;
        set->due_last = x;
    }
    /* Where there is no memory for it, the next one that is due tries again. */
    if (set->due_timer == NULL)
        set->due_timer = loop_timer_start(evlog_watcher_loop(set->watcher), 0, run_due, set);
}

static void on_grace(void *arg)
{
    struct evlog_expect *x = arg;

    x->grace = NULL;
    x->grace_over = true;
    if (x->r.found >= x->r.needed)
        make_due(x);
}

static void on_deadline(void *arg)
{
    struct evlog_expect *x = arg;

    x->deadline = NULL;
    x->late = true;
    make_due(x);
}

/* A 4738 that is proof itself comes alone. */
static bool has_second(const struct evlog_expect *x)
{
    for (size_t i = 0; i < EVLOG_WANTS && x->want[i].id != 0; i++)
        if (x->want[i].id != EVLOG_CHANGED)
            return true;
    return false;
}

static void progress(struct evlog_expect *x)
{
    if (x->due || !x->settled || x->r.found < x->r.needed)
        return;
    if (x->grace_ms == 0 || x->r.second != NULL || x->grace_over || !has_second(x)) {
        make_due(x);
        return;
    }
    if (x->grace == NULL)
        x->grace = loop_timer_start(evlog_watcher_loop(x->set->watcher), x->grace_ms, on_grace, x);
    if (x->grace == NULL)
        make_due(x);
}

static bool was_lost(const struct evlog_expect *x)
{
    uint64_t gap = evlog_watcher_gap(x->set->watcher, x->source);

    return x->r.lost || (gap != 0 && (!x->since.by_seq || gap > x->since.seq));
}

static void run_due(void *arg)
{
    struct evlog_set *set = arg;
    uint64_t round = ++set->round; /* what gets due from here on waits for the next turn */

    set->due_timer = NULL;
    set->calling = true;
    while (set->due_first != NULL && set->due_first->due_round < round) {
        struct evlog_expect *x = set->due_first;

        x->r.end = x->r.found >= x->r.needed ? EVLOG_MET
                   : x->canceled             ? EVLOG_CANCELED
                                             : EVLOG_DEADLINE;
        x->r.lost = was_lost(x);
        /* Out of everything before the call: nothing can reach it twice. */
        set->due_first = x->due_next;
        *(x->due_next == NULL ? &set->due_last : &x->due_next->due_prev) = NULL;
        x->due = false;
        take_out(set, &x->sid);
        for (struct dn *d = x->dns; d != NULL; d = d->next)
            take_out(set, &d->key);
        x->cb(x->arg, &x->r);
        free_expect(x);
    }
    set->calling = false;
    if (set->dead)
        free(set);
    else if (set->due_first != NULL)
        make_due(set->due_first);
}

/* --- judging one event --------------------------------------------------------------------------
 */

static const char *bare_address(const char *s)
{
    return text_starts(s, "ipv4:") || text_starts(s, "ipv6:") ? s + 5 : s;
}

static void keep(const struct evlog_event **at, const struct evlog_event *ev)
{
    struct evlog_event *copy = evlog_event_dup(ev);

    if (copy == NULL)
        return; /* the count says that there was one */
    free((void *)*at);
    *at = copy;
}

/* The same event once more: read twice, or by two sources. */
static bool same_event(const struct evlog_event *a, const struct evlog_event *b)
{
    if (a->id != b->id || !text_eq_nocase(a->computer, b->computer))
        return false;
    if (a->has_record && b->has_record)
        return a->record == b->record;
    if (a->transaction[0] != '\0' && b->transaction[0] != '\0')
        return strcmp(a->transaction, b->transaction) == 0;
    return a->has_time && b->has_time && a->time_ms == b->time_ms;
}

static void on_proof(struct evlog_expect *x, const struct evlog_event *ev)
{
    const char *remote = bare_address(ev->remote);
    const struct evlog_event *kept = NULL;

    for (unsigned i = 0; i < x->r.proof_count; i++)
        if (same_event(x->r.proof[i], ev))
            return;
    if (x->r.found >= x->r.needed) {
        if (x->r.second == NULL)
            keep(&x->r.second, ev);
        return;
    }
    /* It must be kept to be told from its own copy; without memory it is not counted. */
    if (x->r.proof_count < EVLOG_KEPT) {
        keep(&x->r.proof[x->r.proof_count], ev);
        kept = x->r.proof[x->r.proof_count];
        if (kept == NULL)
            return;
        x->r.proof_count++;
    }
    x->r.found++;
    if (x->r.found == 1) {
        /* What was undone before our change is not our change undone. */
        free((void *)x->r.opposite);
        x->r.opposite = NULL;
        x->r.opposite_count = 0;
        x->r.opposite_is_ours = false;
    }
    if (ev->commit == EVLOG_COMMIT_UNSEEN)
        x->r.commit_unseen = true;
    if (x->remote[0] != '\0' && remote[0] != '\0' && strcmp(x->remote, remote) != 0) {
        x->r.other_connection = true;
        if (x->r.other_remote[0] == '\0' && kept != NULL)
            x->r.other_remote = bare_address(kept->remote);
    }
}

static bool is_target(const struct evlog_expect *x, const struct evlog_event *ev,
                      const char *dn_key)
{
    if (ev->target.sid[0] != '\0')
        return evlog_same_sid(ev->target.sid, x->target_sid);
    for (const struct dn *d = x->dns; d != NULL; d = d->next)
        if (strcmp(d->text, dn_key) == 0)
            return true;
    return false;
}

/* The whole judgement. dn_key is of the event, where it has no SID. */
static void consider(struct evlog_expect *x, const struct evlog_event *ev,
                     const struct evlog_pos *pos, uint32_t source, const char *dn_key)
{
    bool wanted, undone, ours, here, genuine;

    if ((x->source != 0 && x->source != source) || !evlog_since_covers(&x->since, pos) ||
        !is_target(x, ev, dn_key) ||
        (x->not_before_ms != 0 && ev->has_time && ev->time_ms < x->not_before_ms))
        return;
    wanted = fits_any(x->want, ev);
    undone = fits_any(x->opposite, ev);
    ours = evlog_same_sid(ev->actor.sid, x->actor_sid) &&
           (x->logon_id == 0 || !ev->has_logon_id || x->logon_id == ev->logon_id);
    here = evlog_same_host(ev->computer, x->dc);
    genuine = ev->kind == EVLOG_SAMBA || (text_eq_nocase(ev->channel, EVLOG_CHANNEL) &&
                                          text_eq_nocase(ev->provider, EVLOG_PROVIDER));

    if (ev->outcome == EVLOG_FAILURE) {
        if (ours && here && (wanted || names_id(x->want, ev->id))) {
            x->r.failure_count++;
            keep(&x->r.failure, ev);
        }
    } else if ((wanted || undone) && (!genuine || ev->outcome != EVLOG_SUCCESS)) {
        x->r.unproving_count++;
    } else if (undone) {
        x->r.opposite_count++;
        x->r.opposite_is_ours = ours;
        keep(&x->r.opposite, ev);
    } else if (wanted && !ours) {
        if (x->r.foreign_count++ == 0)
            keep(&x->r.foreign, ev);
    } else if (wanted && !here) {
        x->r.elsewhere_count++;
        keep(&x->r.elsewhere, ev);
    } else if (wanted) {
        on_proof(x, ev);
    } else if (ours && here && ev->id == EVLOG_CHANGED) {
        x->r.empty_count++;
        /* Beside a reset it shows the time; one that shows nothing is nobody's second. */
        if (x->r.second == NULL && genuine &&
            (ev->uac.has_new || ev->password_last_set != EVLOG_PLS_UNCHANGED))
            keep(&x->r.second, ev);
    }
    progress(x);
}

static bool may_prove(uint32_t id)
{
    return (id >= EVLOG_CREATED && id <= EVLOG_DELETED) || id == EVLOG_CHANGED ||
           id == EVLOG_LOCKED || id == EVLOG_UNLOCKED || id == EVLOG_RENAMED;
}

/* By SID where there is one, else by DN; the key of the DN is left in set->key. */
static uint32_t event_hash(struct evlog_set *set, const struct evlog_event *ev)
{
    text_clear(&set->key);
    if (ev->target.sid[0] != '\0')
        return hash_of(ev->target.sid);
    evlog_dn_key(ev->target.dn, &set->key);
    return hash_of(set->key.s);
}

void evlog_set_event(struct evlog_set *set, uint32_t source, const struct evlog_event *ev,
                     const struct evlog_pos *pos)
{
    struct ringed *r = &set->ring[set->ringed % EVLOG_RING];
    struct key *next;
    uint32_t hash;

    if (!may_prove(ev->id) || (ev->target.sid[0] == '\0' && ev->target.dn[0] == '\0'))
        return;
    hash = event_hash(set, ev);
    if (set->key.failed)
        return; /* a DN of more than KEY_MAX is nobody's */
    for (struct key *k = set->buckets[hash & (set->bucket_count - 1)]; k != NULL; k = next) {
        next = k->next;
        if (k->hash == hash)
            consider(k->x, ev, pos, source, set->key.s);
    }

    if (set->ringed >= EVLOG_RING && r->pos.seq > set->evicted)
        set->evicted = r->pos.seq;
    if (evlog_event_size(ev) > RING_EVENT || evlog_event_copy(ev, &r->block, &r->size) == NULL) {
        set->evicted = pos->seq;
        return; /* the place keeps what it had */
    }
    r->hash = hash;
    r->source = source;
    r->pos = *pos;
    set->ringed++;
}

/* What came between the mark and now. */
static void look_back(struct evlog_expect *x, uint32_t hash)
{
    struct evlog_set *set = x->set;
    uint64_t first = set->ringed > EVLOG_RING ? set->ringed - EVLOG_RING : 0;

    if (set->evicted != 0 && (!x->since.by_seq || set->evicted > x->since.seq))
        x->r.lost = true;
    for (uint64_t i = first; i < set->ringed; i++) {
        const struct ringed *r = &set->ring[i % EVLOG_RING];
        const struct evlog_event *ev = r->block;

        if (r->hash != hash)
            continue;
        (void)event_hash(set, ev);
        consider(x, ev, &r->pos, r->source, set->key.s);
    }
}

/* --- the life of one
 * -------------------------------------------------------------------------------- */

static const char *or_empty(const char *s)
{
    return s == NULL ? "" : s;
}

/* The strings of the spec in one block of ours. */
static int copy_strings(struct evlog_expect *x, const struct evlog_spec *spec, struct err *e)
{
    const char **to[] = {&x->target_sid, &x->actor_sid, &x->dc, &x->remote};
    const char *from[] = {or_empty(spec->target_sid), spec->actor_sid, spec->dc,
                          bare_address(or_empty(spec->remote))};
    size_t need = 0;
    char *s;

    for (size_t i = 0; i < ARRAY_LEN(from); i++)
        need += strlen(from[i]) + 1;
    s = x->strings = malloc(need);
    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "expectation");
    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        size_t n = strlen(from[i]) + 1;

        *to[i] = memcpy(s, from[i], n);
        s += n;
    }
    return 0;
}

int evlog_expect_start(struct evlog_watcher *w, const struct evlog_spec *spec, evlog_expect_cb cb,
                       void *arg, struct evlog_expect **ret_expect, struct err *e)
{
    bool has_sid = or_empty(spec->target_sid)[0] != '\0';
    bool has_dn = or_empty(spec->target_dn)[0] != '\0', marked = or_empty(spec->mark)[0] != '\0';
    struct evlog_expect *x;

    if (or_empty(spec->actor_sid)[0] == '\0' || or_empty(spec->dc)[0] == '\0' ||
        (!has_sid && !has_dn) || (marked && spec->source == NULL))
        return err_set(e, ERR_INTERNAL, 0, "an expectation without actor, DC, target or source");
    x = calloc(1, sizeof(*x));
    if (x == NULL)
        return err_set(e, ERR_NOMEM, 0, "expectation");
    x->set = evlog_watcher_set(w);
    memcpy(x->want, spec->want, sizeof(x->want));
    memcpy(x->opposite, spec->opposite, sizeof(x->opposite));
    x->logon_id = spec->logon_id;
    x->grace_ms = spec->grace_ms;
    x->not_before_ms = spec->not_before_ms;
    x->r.other_remote = "";
    x->cb = cb;
    x->arg = arg;
    x->source = spec->source == NULL ? 0 : spec->source->id;
    x->r.needed = spec->count == 0 ? 1 : spec->count;
    x->since = (struct evlog_since){.by_seq = true, .seq = evlog_watcher_seq(w)};
    if (copy_strings(x, spec, e) < 0 ||
        (marked && evlog_source_since(spec->source, spec->mark, &x->since, e) < 0))
        goto fail;
    if (has_sid)
        put(x->set, &x->sid, x, hash_of(x->target_sid));
    if (has_dn && evlog_expect_add_dn(x, spec->target_dn, e) < 0)
        goto fail;
    if (has_sid)
        look_back(x, x->sid.hash);
    if (spec->within_ms != 0)
        evlog_expect_settle(x, spec->within_ms);
    *ret_expect = x;
    return 0;
fail:
    free_expect(x);
    return -1;
}

void evlog_expect_settle(struct evlog_expect *x, uint64_t within_ms)
{
    x->settled = true;
    if (x->due)
        return;
    loop_timer_stop(&x->deadline);
    x->deadline = loop_timer_start(evlog_watcher_loop(x->set->watcher), within_ms, on_deadline, x);
    if (x->deadline == NULL)
        make_due(x); /* no memory: rather unproven than forever */
    progress(x);
}

int evlog_expect_add_dn(struct evlog_expect *x, const char *dn, struct err *e)
{
    CLEANUP(text_done) struct text key = TEXT_INIT(KEY_MAX);
    unsigned count = 0;
    struct dn *d;

    evlog_dn_key(dn, &key);
    if (text_check(&key, "a DN", e) < 0)
        return -1;
    for (d = x->dns; d != NULL; d = d->next, count++)
        if (strcmp(d->text, key.s) == 0)
            return 0;
    if (count == EVLOG_DNS)
        return err_set(e, ERR_TOOBIG, 0, "more than %d DNs of one target", EVLOG_DNS);
    d = calloc(1, sizeof(*d) + key.len + 1);
    if (d == NULL)
        return err_set(e, ERR_NOMEM, 0, "a DN");
    memcpy(d->text, key.s, key.len + 1);
    d->next = x->dns;
    x->dns = d;
    put(x->set, &d->key, x, hash_of(d->text));
    look_back(x, d->key.hash);
    return 0;
}

void evlog_expect_count(struct evlog_expect *x, unsigned count)
{
    x->r.needed = count == 0 ? 1 : count;
    progress(x);
}

void evlog_expect_cancel(struct evlog_expect *x)
{
    x->canceled = true;
    make_due(x);
}

void evlog_expect_drop(struct evlog_expect **xp)
{
    struct evlog_expect *x = *xp;

    *xp = NULL;
    if (x != NULL)
        free_expect(x);
}
