/* agent/ledger.c -- the writing half of ledger.h: open, add, commit, callbacks, locks.
 *
 *   ledger_add     copies the record into the batch of this turn and asks for a turn's end
 *   on_turn_end    the turn is over
 *   commit_batch   all of the batch in one transaction: one fsync
 *   call_back      success or the shared error to each record's callback, in the order of adding
 *
 * Invariants: a batch is owed its callbacks from the moment its commit was tried, whatever came of
 * it, so handing it over needs no memory. No callback runs inside ledger_add. What a callback adds
 * belongs to the next batch and the next turn.
 *
 * The memory of one batch is kept for the next, as long as it is not much.
 */
#include "agent/ledger.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/ledger_db.h"
#include "agent/ledger_inside.h"
#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/stamp.h"

enum {
    EARLY = 32 * 1024,        /* bytes of one turn that are committed before it ends */
    TEXT_KEEP = 16 * 1024,    /* bytes of text that a spare batch may hold on to */
    SMALL_FILE = 1024 * 1024, /* up to here a check at each opening costs nothing to speak of */
    OPEN_BYTE = 0,            /* in ledger.lock: held shared by every writer */
};

struct entry {
    int64_t time_ms;
    char case_id[ID_ULID];
    char kind[LEDGER_KIND_MAX + 1];
    size_t body; /* where it begins in the batch's text */
    ledger_cb cb;
    void *arg;
};

struct ledger_batch {
    struct ledger_batch *next;
    struct entry *entries;
    size_t count, entry_room;
    char *text;
    size_t used, text_room;
    bool failed;
    struct err err; /* why, where it failed */
};

static void on_turn_end(void *arg);
static void call_back(struct ledger *l);

int ledger_wrap(const struct ledger *l, struct err *e)
{
    char shown[TEXT_SHOWN];

    return err_wrap(e, "ledger '%s'", text_shown(shown, l->path));
}

/* --- opening ------------------------------------------------------------------------- */

static void batch_free(struct ledger_batch *b)
{
    if (b == NULL)
        return;
    free(b->entries);
    free(b->text);
    free(b);
}

static void ledger_freep(struct ledger **lp)
{
    struct ledger *l = *lp;

    if (l == NULL)
        return;
    ledger_chain_done(&l->chain);
    if (l->db != NULL && sqlite3_close(l->db) != SQLITE_OK)
        log_error("ledger: closed with a statement still open");
    batch_free(l->adding);
    batch_free(l->spare);
    cleanup_fdp(&l->lock_fd);
    cleanup_fdp(&l->dir_fd);
    free(l->path);
    free(l);
}

/* The folder: there, ours, and nobody else's. Its true name, since SQLite is to follow no links. */
static int open_folder(const char *dir, bool readonly, struct ledger *l, struct err *e)
{
    CLEANUP(cleanup_charp) char *real = NULL;
    char shown[TEXT_SHOWN];
    struct stat st;

    if (!readonly && file_private_dir(dir, e) < 0)
        return -1;
    if (file_open_trusted_dir(dir, &l->dir_fd, e) < 0)
        return -1;
    if (fstat(l->dir_fd, &st) < 0)
        return err_sys(e, ERR_IO, errno, "'%s'", text_shown(shown, dir));
    if (st.st_uid != geteuid())
        return err_set(e, ERR_DENIED, 0, "folder '%s' belongs to uid %lu: run this as that user",
                       text_shown(shown, dir), (unsigned long)st.st_uid);

    real = realpath(dir, NULL);
    if (real == NULL)
        return err_sys(e, ERR_IO, errno, "'%s'", text_shown(shown, dir));
    if (asprintf(&l->path, "%s/ledger.db", real) < 0) {
        l->path = NULL;
        return err_set(e, ERR_NOMEM, 0, "out of memory");
    }
    return 0;
}

/* Durable from the start: the file's name, and the folder's own in case it is new as well. */
static void sync_folders(int dir_fd)
{
    CLEANUP(cleanup_fdp) int above = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)fsync(dir_fd);
    if (above >= 0)
        (void)fsync(above);
}

/* The file: ours alone; made if there is none, so that its mode is 0600 (SQLite gives its two
 * companions the same). It is judged by name and never opened here when it exists: closing any
 * descriptor of it would drop the locks that SQLite holds on it elsewhere in this process. In a
 * folder that only we may change, the name is as good as a descriptor. */
static int judge_file(struct ledger *l, bool readonly, off_t *ret_size, struct err *e)
{
    struct stat st;
    int fd;

    if (fstatat(l->dir_fd, "ledger.db", &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return err_sys(e, ERR_IO, errno, "stat");
        if (readonly)
            return err_set(e, ERR_NOTFOUND, 0, "there is none yet");
        fd = openat(l->dir_fd, "ledger.db", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0600);
        if (fd < 0 && errno != EEXIST)
            return err_sys(e, ERR_IO, errno, "create");
        cleanup_fdp(&fd);
        sync_folders(l->dir_fd);
        *ret_size = 0;
        return 0;
    }
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return err_set(e, ERR_CONFIG, 0, "it is not a file of its own (a link?)");
    if (st.st_uid != geteuid() || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return err_set(e, ERR_CONFIG, 0,
                       "it is not ours alone (uid %lu, mode %04o): chown it to uid %lu, chmod 600",
                       (unsigned long)st.st_uid, (unsigned)st.st_mode & 07777U,
                       (unsigned long)geteuid());
    *ret_size = st.st_size;
    return 0;
}

static struct flock one_byte(short type, int64_t at)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
}

static int open_locks(struct ledger *l, struct err *e)
{
    l->lock_fd = openat(l->dir_fd, "ledger.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return l->lock_fd < 0 ? err_sys(e, ERR_IO, errno, "its lock file") : 0;
}

/* Did the last writer go without closing, so that the file deserves a look? It left a WAL file
 * behind, and no writer is here who would have it open. Then say that we are here. */
static int arrive(struct ledger *l, bool *ret_unclean, struct err *e)
{
    struct flock who = one_byte(F_WRLCK, OPEN_BYTE), here = one_byte(F_RDLCK, OPEN_BYTE);
    struct stat st;

    /* Two that arrive at once both look: that only costs time. */
    if (fcntl(l->lock_fd, F_OFD_GETLK, &who) < 0 || fcntl(l->lock_fd, F_OFD_SETLK, &here) < 0)
        return err_sys(e, ERR_IO, errno, "its lock file");
    *ret_unclean = who.l_type == F_UNLCK &&
                   fstatat(l->dir_fd, "ledger.db-wal", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                   st.st_size > 0;
    return 0;
}

static int open_file(struct ledger *l, struct err *e)
{
    bool unclean = false;
    off_t size = 0;

    if (judge_file(l, l->readonly, &size, e) < 0)
        return -1;
    if (!l->readonly && (open_locks(l, e) < 0 || arrive(l, &unclean, e) < 0))
        return -1;
    if (ledger_db_open(l->path, l->readonly, &l->db, e) < 0)
        return -1;
    if ((unclean || size < SMALL_FILE) && ledger_db_check(l->db, "quick_check", e) < 0)
        return -1;
    if (ledger_db_migrate(l->db, ledger_migrations, ledger_migration_count, l->readonly, e) < 0)
        return -1;
    return l->readonly ? 0 : ledger_chain_init(&l->chain, l->db, e);
}

int ledger_open(const char *dir, struct loop *l, bool readonly, struct ledger **ret_ledger,
                struct err *e)
{
    CLEANUP(ledger_freep) struct ledger *led = calloc(1, sizeof(*led));

    if (led == NULL)
        return err_set(e, ERR_NOMEM, 0, "ledger");
    led->dir_fd = led->lock_fd = -1;
    led->readonly = readonly;
    if (open_folder(dir, readonly, led, e) < 0)
        return err_wrap(e, "ledger");
    if (open_file(led, e) < 0)
        return ledger_wrap(led, e);
    if (!readonly && l != NULL) {
        led->loop = l;
        loop_on_turn_end(l, on_turn_end, led);
    }
    *ret_ledger = TAKE(led);
    return 0;
}

int ledger_close(struct ledger *l, struct err *e)
{
    int rc;

    if (l == NULL)
        return 0;
    assert(!l->calling && l->reading == 0);
    rc = ledger_commit(l, e);
    l->closing = true;
    call_back(l);
    if (l->loop != NULL)
        loop_on_turn_end(l->loop, NULL, NULL);
    ledger_freep(&l);
    return rc;
}

/* --- adding -------------------------------------------------------------------------- */

static int check_record(const char *case_id, const char *kind, const char *body, size_t body_len,
                        struct err *e)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    char shown[TEXT_SHOWN];

    if (case_id[0] != '\0' && !id_ulid_ok(case_id))
        return err_set(e, ERR_INVALID, 0, "case id '%s' is no ULID", text_shown(shown, case_id));
    if (kind[0] < 'a' || kind[0] > 'z' || strlen(kind) > LEDGER_KIND_MAX ||
        kind[strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789-_")] != '\0')
        return err_set(e, ERR_INVALID, 0, "kind '%s'", text_shown(shown, kind));
    if (body_len > LEDGER_BODY_MAX)
        return err_set(e, ERR_TOOBIG, 0, "%s: more than %d bytes", kind, LEDGER_BODY_MAX);
    /* One record is one line of an export, byte for byte. */
    if (strpbrk(body, "\t\n\r") != NULL)
        return err_set(e, ERR_INVALID, 0, "%s: line breaks or tabs in its JSON", kind);
    if (json_parse(body, body_len, NULL, &j, e) < 0)
        return err_wrap(e, "%s", kind);
    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, 0, "%s: its JSON is not an object", kind);
    return 0;
}

/* Room for `more` things of `unit` bytes behind `used`. Doubles, so that a turn costs few calls. */
static int make_room(void *mem_ptr, size_t *room, size_t used, size_t more, size_t unit)
{
    void *grown, *old;
    size_t want = *room < 64 ? 64 : *room;

    if (more <= *room - used)
        return 0;
    while (want - used < more)
        want *= 2; /* LEDGER_TURN_MAX bounds it */
    memcpy(&old, mem_ptr, sizeof(old));
    grown = reallocarray(old, want, unit);
    if (grown == NULL)
        return -1;
    memcpy(mem_ptr, &grown, sizeof(grown));
    *room = want;
    return 0;
}

static struct ledger_batch *batch_of_turn(struct ledger *l)
{
    if (l->adding == NULL && l->spare != NULL) {
        l->adding = l->spare;
        l->spare = NULL;
    } else if (l->adding == NULL) {
        l->adding = calloc(1, sizeof(*l->adding));
    }
    return l->adding;
}

int ledger_add(struct ledger *l, const char *case_id, const char *kind, const char *body,
               ledger_cb cb, void *arg, struct err *e)
{
    size_t n = strnlen(body, LEDGER_BODY_MAX + 1);
    struct ledger_batch *b;
    struct entry *x;

    if (l->readonly)
        return err_set(e, ERR_INTERNAL, 0, "ledger: opened for reading only");
    if (l->closing)
        return err_set(e, ERR_CANCELED, 0, "ledger: it is being closed");
    if (check_record(case_id, kind, body, n, e) < 0)
        return err_wrap(e, "ledger: record refused");

    b = batch_of_turn(l);
    if (b != NULL && (b->used + n + 1 + (b->count + 1) * sizeof(*x)) > LEDGER_TURN_MAX)
        return err_set(e, ERR_TOOBIG, 0, "ledger: more than %d bytes in one turn", LEDGER_TURN_MAX);
    if (b == NULL || make_room(&b->entries, &b->entry_room, b->count, 1, sizeof(*x)) < 0 ||
        make_room(&b->text, &b->text_room, b->used, n + 1, 1) < 0)
        return err_set(e, ERR_NOMEM, 0, "ledger: out of memory");

    x = &b->entries[b->count++];
    *x = (struct entry){.time_ms = stamp_now_ms(), .body = b->used, .cb = cb, .arg = arg};
    memcpy(x->case_id, case_id, strlen(case_id) + 1);
    memcpy(x->kind, kind, strlen(kind) + 1);
    memcpy(b->text + b->used, body, n + 1);
    b->used += n + 1;
    if (l->loop != NULL)
        loop_wake(l->loop);
    /* Much to say in one turn: to disk with it now, so that it need not be kept. The callbacks
     * come at the end of the turn all the same; what failed is told by them. */
    if (b->used >= EARLY && l->loop != NULL && l->reading == 0)
        (void)ledger_commit(l, &(struct err){0});
    return 0;
}

/* --- committing ---------------------------------------------------------------------- */

/* A ledger that was moved or deleted under us would swallow records without a word. */
static int still_there(struct ledger *l, struct err *e)
{
    int moved = 0;

    if (sqlite3_file_control(l->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
        moved != 0)
        return err_set(e, ERR_IO, 0, "the file was moved or deleted while in use: restart cordon");
    return 0;
}

static int write_batch(struct ledger *l, const struct ledger_batch *b, struct err *e)
{
    if (failpoint_hit("commit-before"))
        return err_set(e, ERR_IO, 0, "failpoint");
    if (still_there(l, e) < 0 || ledger_chain_begin(&l->chain, e) < 0)
        return -1;
    for (size_t i = 0; i < b->count; i++) {
        const struct entry *x = &b->entries[i];

        if (ledger_chain_append(&l->chain, x->time_ms, x->case_id, x->kind, b->text + x->body, e) <
            0)
            return -1;
    }
    return ledger_chain_commit(&l->chain, e);
}

static int commit_batch(struct ledger *l, struct ledger_batch *b)
{
    int rc = write_batch(l, b, &b->err);

    if (rc < 0) {
        ledger_chain_rollback(&l->chain);
    } else if (failpoint_hit("commit")) {
        rc = err_set(&b->err, ERR_IO, 0, "failpoint: on disk, but the answer was lost");
    }
    if (rc < 0)
        (void)ledger_wrap(l, &b->err);
    b->failed = rc < 0;
    if (b->text_room > TEXT_KEEP) {
        free(b->text);
        b->text = NULL;
        b->text_room = 0;
    }
    return rc;
}

int ledger_commit(struct ledger *l, struct err *e)
{
    struct ledger_batch *b = l->adding;
    int rc;

    if (b == NULL || b->count == 0)
        return 0;
    if (l->reading > 0)
        return err_set(e, ERR_INTERNAL, 0, "ledger: commit from a callback that reads it");
    rc = commit_batch(l, b);
    if (rc < 0) {
        *e = b->err;
        log_error("%s; %zu record(s) of this turn are not on disk", e->msg, b->count);
    }

    l->adding = NULL;
    b->next = NULL;
    if (l->owed == NULL)
        l->owed = b;
    else
        l->owed_last->next = b;
    l->owed_last = b;
    if (l->loop != NULL)
        loop_wake(l->loop);
    else
        call_back(l);
    return rc;
}

/* --- callbacks ----------------------------------------------------------------------- */

static void batch_done(struct ledger *l, struct ledger_batch *b)
{
    if (l->spare != NULL) {
        batch_free(b);
        return;
    }
    b->count = b->used = 0;
    b->failed = false;
    l->spare = b;
}

static void call_back(struct ledger *l)
{
    /* One that commits by hand, without a loop: the call further up the stack goes on with it. */
    if (l->calling)
        return;
    l->calling = true;
    while (l->owed != NULL) {
        struct ledger_batch *b = l->owed;

        l->owed = b->next;
        for (size_t i = 0; i < b->count; i++)
            if (b->entries[i].cb != NULL)
                b->entries[i].cb(b->entries[i].arg, b->failed ? &b->err : NULL);
        batch_done(l, b);
    }
    l->calling = false;
}

static void on_turn_end(void *arg)
{
    struct ledger *l = arg;
    struct err e;

    (void)ledger_commit(l, &e); /* told to each callback, and logged */
    call_back(l);
}

/* --- the lock of a case -------------------------------------------------------------- */

/* Byte 0 is OPEN_BYTE; the rest, up to the largest offset, is for cases. */
static int case_byte(const char *case_id, int64_t *ret_at, struct err *e)
{
    uint8_t hash[ID_SHA256];
    uint64_t at = 0;
    char shown[TEXT_SHOWN];

    if (!id_ulid_ok(case_id))
        return err_set(e, ERR_INVALID, 0, "case id '%s' is no ULID", text_shown(shown, case_id));
    if (id_sha256(case_id, strlen(case_id), hash, e) < 0)
        return -1;
    for (int i = 0; i < 8; i++)
        at = at << 8 | hash[i];
    at &= INT64_MAX;
    *ret_at = at == OPEN_BYTE ? 1 : (int64_t)at;
    return 0;
}

int ledger_lock_case(struct ledger *l, const char *case_id, bool *ret_got_it, struct err *e)
{
    struct flock lock;
    int64_t at;

    if (l->readonly)
        return err_set(e, ERR_INTERNAL, 0, "ledger: opened for reading only");
    if (case_byte(case_id, &at, e) < 0)
        return err_wrap(e, "ledger: lock");
    /* OFD: it belongs to our descriptor, so it goes when we go, however that happens. */
    lock = one_byte(F_WRLCK, at);
    if (fcntl(l->lock_fd, F_OFD_SETLK, &lock) < 0) {
        if (errno != EAGAIN && errno != EACCES) {
            (void)err_sys(e, ERR_IO, errno, "lock case %s", case_id);
            return ledger_wrap(l, e);
        }
        *ret_got_it = false;
        return 0;
    }
    *ret_got_it = true;
    return 0;
}

void ledger_unlock_case(struct ledger *l, const char *case_id)
{
    struct flock lock;
    struct err ignored;
    int64_t at;

    if (l->readonly || case_byte(case_id, &at, &ignored) < 0)
        return;
    lock = one_byte(F_UNLCK, at);
    (void)fcntl(l->lock_fd, F_OFD_SETLK, &lock); /* unlocking one byte of our own cannot fail */
}
