/* tests/unit/cloud/test_queue_spool.c -- the spool directory: two queues on one folder, clocks that
 * are set, a kill at every step, and files that do not belong there (F6, Q1, Q2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/stamp.h"
#include "cloud/queue_spool_inside.h"
#include "tests/unit/alloc.h"
#include "tests/unit/cloud/queue_sync.h"

#define ULID "01J8ZC8PXBS6Q1E0V5W5J0M7QK"
#define LEASE 120000

static char root[] = "/tmp/cordon-spool-XXXXXX", dir[64];
static struct spool_now now_;

static void clock_set(struct spool_now *ret_now)
{
    *ret_now = now_;
}

static struct queue *open_as(const char *agent)
{
    const struct queue_spool_settings s = {.dir = dir, .agent = agent};
    struct queue *q = NULL;
    struct err e;

    if (queue_spool_new(sync_.l, &s, &q, &e) < 0)
        fail_msg("%s", e.msg);
    queue_spool_set_clock(q, clock_set);
    return q;
}

static int empty_root(void)
{
    char cmd[128];

    (void)snprintf(cmd, sizeof(cmd), "rm -rf %s/*", root);
    return system(cmd); /* NOLINT(cert-env33-c): our own folder */
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    (void)snprintf(dir, sizeof(dir), "%s/spool", root);
    now_ = (struct spool_now){.wall_ms = 1795000000000, .boot_ms = 5000000, .boot = "0123abcd"};
    failpoint_set(NULL);
    return empty_root() == 0 && loop_new(&sync_.l, &e) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(sync_.l);
    sync_.l = NULL;
    return empty_root();
}

static size_t files_in(const char *folder)
{
    char path[128];
    size_t n = 0;
    DIR *d;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, folder);
    d = opendir(path);
    assert_non_null(d);
    for (const struct dirent *ent; (ent = readdir(d)) != NULL;)
        n += ent->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void write_file(const char *name, const void *p, size_t n, mode_t mode)
{
    char path[256];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
    assert_true(fd >= 0 && write(fd, p, n) == (ssize_t)n && fchmod(fd, mode) == 0);
    (void)close(fd);
}

static void read_dead(const char *id, const char *ending, char *buf, size_t size)
{
    char path[256];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/dead/%s%s", dir, id, ending);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    n = read(fd, buf, size - 1);
    assert_true(n >= 0);
    buf[n] = '\0';
    (void)close(fd);
}

/* --- names ----------------------------------------------------------------------------------- */

static void names(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "." ULID,
        ULID ".txt",
        ULID ",",
        ULID ",1",
        ULID ",1,0123abcd,2,3,4,5,a",
        ULID ",1,0123abcd,2,3,4,5,a,b,c",
        ULID ",-1,0123abcd,2,3,4,5,a,b",
        ULID ",1,0123ABCD,2,3,4,5,a,b",
        ULID ",1,0123abc,2,3,4,5,a,b",
        ULID ",1,0123abcd,x,3,4,5,a,b",
        ULID ",1,0123abcd,2,3,4,999999999999999,a,b",
        ULID ",1,0123abcd,2,3,4,5,a b,c",
        ULID ",1,0123abcd,2,3,4,5,!,c",
    };
    struct spool_name n, back;
    char file[NAME_MAX + 1];

    (void)state;
    assert_true(spool_name_read(ULID, &n));
    assert_string_equal(n.id, ULID);
    assert_int_equal(n.deliveries, 0);
    assert_int_equal(spool_name_time(&n), 1727629908907);
    assert_true(spool_name_read(ULID ",3,0123abcd,20,30,40,50,agent-1,agent_2", &n));
    assert_int_equal(n.deliveries, 3);
    assert_string_equal(n.boot, "0123abcd");
    assert_int_equal(n.boot_end, 20);
    assert_int_equal(n.wall_end, 30);
    assert_int_equal(n.span, 40);
    assert_int_equal(n.expires, 50);
    assert_string_equal(n.holder, "agent-1");
    assert_string_equal(n.claim, "agent_2");
    assert_true(spool_name_read(ULID ",1,,0,0,0,0,,!", &n) && n.refused);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (spool_name_read(bad[i], &n))
            fail_msg("taken: %s", bad[i]);
    }
    /* The longest that we make is read again. */
    n = (struct spool_name){.id = ULID,
                            .deliveries = 1000000,
                            .boot = "ffffffff",
                            .boot_end = 100000000000000,
                            .wall_end = 100000000000000,
                            .span = 100000000000000,
                            .expires = 100000000000000};
    memset(n.holder, 'a', QUEUE_AGENT_MAX);
    memset(n.claim, 'b', QUEUE_AGENT_MAX);
    spool_name_write(&n, file);
    assert_true(spool_name_read(file, &back));
    assert_memory_equal(&n, &back, sizeof(n));
}

/* A lease is over when it is over: whatever is done to the wall clock, and after a new start of the
 * machine. */
static void leases(void **state)
{
    static const struct {
        const char *what, *boot;
        uint64_t boot_ms;
        int64_t wall_ms;
        bool over;
    } cases[] = {
        {"just begun", "0123abcd", 1000000, 9000000, false},
        {"nearly over", "0123abcd", 1000099, 9000099, false},
        {"over", "0123abcd", 1000100, 9000100, true},
        {"the clock was set forward", "0123abcd", 1000050, 99000000, false},
        {"the clock was set back", "0123abcd", 1000050, 1, false},
        {"set back, and over", "0123abcd", 1000100, 1, true},
        {"a new start, soon", "ffffffff", 50, 9000050, false},
        {"a new start, later", "ffffffff", 50, 9000100, true},
        {"a new start, and a clock without a battery", "ffffffff", 50, 1, true},
        {"a new start nobody told us of", "0123abcd", 50, 9000050, true},
    };
    const struct spool_name n = {
        .id = ULID, .boot = "0123abcd", .boot_end = 1000100, .wall_end = 9000100, .span = 100};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct spool_now now = {.wall_ms = cases[i].wall_ms, .boot_ms = cases[i].boot_ms};

        memcpy(now.boot, cases[i].boot, sizeof(now.boot));
        if (spool_lease_over(&n, &now) != cases[i].over)
            fail_msg("%s", cases[i].what);
    }
}

static void real_clock(void **state)
{
    struct spool_now a, b;

    (void)state;
    spool_clock_real(&a);
    spool_clock_real(&b);
    assert_true(a.boot_ms > 0 && b.boot_ms >= a.boot_ms && b.boot_ms - a.boot_ms < 60000);
    assert_true(a.wall_ms > 1700000000000);
    assert_string_equal(a.boot, b.boot);
}

/* --- the verbs ------------------------------------------------------------------------------- */

static void one_message(void **state)
{
    CLEANUP(queue_freep) struct queue *a = open_as("agent-a");
    CLEANUP(queue_freep) struct queue *b = open_as("agent-b");
    struct queue_message *m;
    uint64_t ends;

    (void)state;
    assert_null(sync_one(a, LEASE));
    assert_int_equal(sync_.end, QUEUE_OK);
    assert_int_equal(sync_put(a, "eyJ.abc.def", 0), QUEUE_OK);
    assert_int_equal(files_in("tmp"), 0);
    assert_int_equal(sync_depth(b), QUEUE_OK);
    assert_int_equal(sync_.count, 1);
    assert_int_equal(sync_.oldest_ms, now_.wall_ms);

    m = sync_one(b, LEASE);
    assert_non_null(m);
    assert_string_equal(m->text, "eyJ.abc.def");
    assert_int_equal(m->len, strlen("eyJ.abc.def"));
    assert_true(id_ulid_ok(m->id));
    assert_string_equal(m->claim, "");
    assert_int_equal(m->deliveries, 1);
    assert_int_equal(m->put_ms, now_.wall_ms);
    assert_true(m->ends <= loop_now(sync_.l) + LEASE);
    assert_null(sync_one(a, LEASE)); /* it is b's */
    assert_int_equal(sync_depth(a), QUEUE_OK);
    assert_int_equal(sync_.count, 1);

    ends = m->ends;
    assert_int_equal(sync_renew(m, LEASE * 2, "agent-b"), QUEUE_OK);
    assert_true(m->ends >= ends + LEASE);
    assert_string_equal(m->claim, "agent-b");
    assert_int_equal(sync_renew(m, LEASE, NULL), QUEUE_OK);
    assert_string_equal(m->claim, "agent-b");
    assert_int_equal(sync_complete(m), QUEUE_OK);
    assert_int_equal(sync_complete(m), QUEUE_GONE); /* twice does no harm */
    assert_int_equal(sync_renew(m, LEASE, NULL), QUEUE_GONE);
    assert_int_equal(sync_release(m, 0), QUEUE_GONE);
    assert_int_equal(sync_dead(m, "late"), QUEUE_GONE);
    assert_int_equal(files_in("dead"), 0);
    queue_message_free(m);
    assert_int_equal(sync_depth(a), QUEUE_OK);
    assert_int_equal(sync_.count, 0);
}

static unsigned behind_; /* so many looks at the clock are from before the other one's */

static void clock_behind(struct spool_now *ret_now)
{
    *ret_now = now_;
    if (behind_ > 0) {
        behind_--;
        ret_now->boot_ms -= 5;
        ret_now->wall_ms -= 5;
    }
}

/* It is taken while the second agent looks: at the clock before, into the folder after. */
static void taken_meanwhile(void **state)
{
    CLEANUP(queue_freep) struct queue *a = open_as("agent-a");
    CLEANUP(queue_freep) struct queue *b = open_as("agent-b");
    struct queue_message *m;

    (void)state;
    assert_int_equal(sync_put(a, "text", 0), QUEUE_OK);
    m = sync_one(a, LEASE);
    assert_non_null(m);
    queue_spool_set_clock(b, clock_behind);
    behind_ = 2; /* for its id; before it looks */
    assert_null(sync_one(b, LEASE));
    assert_int_equal(behind_, 0);
    assert_int_equal(sync_complete(m), QUEUE_OK);
    queue_message_free(m);
}

/* Another agent takes over what ran out, sees whose it was, and the first one learns that. Q5 */
static void taken_over(void **state)
{
    CLEANUP(queue_freep) struct queue *a = open_as("agent-a");
    CLEANUP(queue_freep) struct queue *b = open_as("agent-b");
    struct queue_message *ma, *mb;

    (void)state;
    assert_int_equal(sync_put(a, "text", 0), QUEUE_OK);
    ma = sync_one(a, LEASE);
    assert_non_null(ma);
    assert_int_equal(sync_renew(ma, LEASE, "agent-a"), QUEUE_OK);

    /* The clock is set, back and forth: nothing changes. */
    now_.wall_ms += 365LL * 86400000;
    assert_null(sync_one(b, LEASE));
    now_.wall_ms -= 2 * 365LL * 86400000;
    assert_null(sync_one(b, LEASE));
    now_.boot_ms += LEASE - 1;
    assert_null(sync_one(b, LEASE));

    /* Over, and nobody came: it may still be renewed. */
    now_.boot_ms += 1;
    assert_int_equal(sync_renew(ma, LEASE, NULL), QUEUE_OK);
    assert_null(sync_one(b, LEASE));

    now_.boot_ms += LEASE;
    mb = sync_one(b, LEASE);
    assert_non_null(mb);
    assert_string_equal(mb->text, "text");
    assert_string_equal(mb->claim, "agent-a");
    assert_int_equal(mb->deliveries, 2);
    assert_int_equal(sync_renew(ma, LEASE, NULL), QUEUE_LOST);
    assert_int_equal(sync_complete(ma), QUEUE_LOST);
    assert_int_equal(sync_release(ma, 0), QUEUE_LOST);
    assert_int_equal(sync_dead(ma, "mine"), QUEUE_LOST);
    assert_int_equal(files_in("dead"), 0);
    assert_int_equal(sync_complete(mb), QUEUE_OK);
    assert_int_equal(sync_complete(ma), QUEUE_GONE);
    queue_message_free(ma);
    queue_message_free(mb);
}

static void machine_started_anew(void **state)
{
    CLEANUP(queue_freep) struct queue *a = open_as("agent-a");
    struct queue_message *m;

    (void)state;
    assert_int_equal(sync_put(a, "text", 0), QUEUE_OK);
    m = sync_one(a, LEASE);
    assert_non_null(m);
    queue_message_free(m);
    memcpy(now_.boot, "ffffffff", sizeof("ffffffff"));
    now_.boot_ms = 30000;
    now_.wall_ms += 60000;
    assert_null(sync_one(a, LEASE));
    now_.wall_ms += 60000;
    m = sync_one(a, LEASE);
    assert_non_null(m);
    assert_int_equal(m->deliveries, 2);
    queue_message_free(m);
}

static void released(void **state)
{
    CLEANUP(queue_freep) struct queue *a = open_as("agent-a");
    struct queue_message *m;

    (void)state;
    assert_int_equal(sync_put(a, "text", 0), QUEUE_OK);
    m = sync_one(a, LEASE);
    assert_non_null(m);
    assert_int_equal(sync_renew(m, LEASE, "agent-a"), QUEUE_OK);
    assert_int_equal(sync_release(m, 0), QUEUE_OK);
    assert_int_equal(sync_complete(m), QUEUE_LOST); /* it is no longer ours */
    queue_message_free(m);

    m = sync_one(a, LEASE);
    assert_non_null(m);
    assert_int_equal(m->deliveries, 2);
    assert_string_equal(m->claim, "agent-a");
    assert_int_equal(sync_release(m, 5000), QUEUE_OK);
    queue_message_free(m);
    now_.boot_ms += 4999;
    assert_null(sync_one(a, LEASE));
    now_.boot_ms += 1;
    m = sync_one(a, LEASE);
    assert_non_null(m);
    assert_int_equal(m->deliveries, 3);
    queue_message_free(m);
}

static void put_aside(void **state)
{
    CLEANUP(queue_freep) struct queue *a = open_as("agent-a");
    struct queue_message *m;
    char buf[512], id[ID_ULID];

    (void)state;
    assert_int_equal(sync_put(a, "text", 0), QUEUE_OK);
    m = sync_one(a, LEASE);
    assert_non_null(m);
    memcpy(id, m->id, sizeof(id));
    assert_int_equal(sync_dead(m, "not signed by\x1b[31m anybody"), QUEUE_OK);
    assert_int_equal(sync_dead(m, "again"), QUEUE_GONE);
    queue_message_free(m);
    read_dead(id, "", buf, sizeof(buf));
    assert_string_equal(buf, "text");
    read_dead(id, ".reason", buf, sizeof(buf));
    assert_non_null(strstr(buf, "not signed by"));
    assert_null(strchr(buf, '\x1b'));
    assert_non_null(strstr(buf, "deliveries 1"));
    assert_int_equal(files_in("dead"), 2);
    assert_int_equal(files_in("tmp") + files_in("new") + files_in("claimed"), 0);
}

static void batches(void **state)
{
    CLEANUP(queue_freep) struct queue *a = open_as("agent-a");
    char text[16];
    unsigned seen = 0;

    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        now_.wall_ms++;
        assert_int_equal(sync_put(a, text, 0), QUEUE_OK);
    }
    /* The oldest first, and never more than was asked for, nor than the engine gives. */
    assert_int_equal(sync_receive(a, 3, LEASE), QUEUE_OK);
    assert_int_equal(sync_.n, 3);
    for (unsigned i = 0; i < 3; i++, seen++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        assert_string_equal(sync_.msgs[i]->text, text);
        queue_message_free(sync_.msgs[i]);
    }
    assert_int_equal(sync_receive(a, 1000, LEASE), QUEUE_OK);
    assert_int_equal(sync_.n, queue_caps(a)->max_batch);
    while (sync_.n > 0) {
        for (size_t i = 0; i < sync_.n; i++, seen++)
            queue_message_free(sync_.msgs[i]);
        assert_int_equal(sync_receive(a, 1000, LEASE), QUEUE_OK);
    }
    assert_int_equal(seen, 50);
}

static void what_is_not_done(void **state)
{
    CLEANUP(queue_freep) struct queue *a = open_as("agent-a");
    struct queue_spool_settings s = {.dir = dir, .agent = "../a"};
    struct queue_message *m;
    struct queue *q = NULL;
    char *big = calloc(1, SPOOL_TEXT_MAX + 2);

    (void)state;
    assert_non_null(big);
    memset(big, 'x', SPOOL_TEXT_MAX + 1);
    assert_int_equal(sync_put(a, big, 0), QUEUE_FATAL);
    assert_int_equal(sync_.err.code, ERR_TOOBIG);
    big[SPOOL_TEXT_MAX] = '\0';
    assert_int_equal(sync_put(a, big, 0), QUEUE_OK);
    m = sync_one(a, LEASE);
    assert_non_null(m);
    assert_int_equal(m->len, SPOOL_TEXT_MAX);
    assert_string_equal(m->text, big);
    free(big);
    assert_int_equal(sync_put(a, "", 0), QUEUE_FATAL);
    assert_int_equal(sync_.err.code, ERR_INVALID);
    assert_int_equal(sync_put(a, "\xff", 0), QUEUE_FATAL);
    assert_int_equal(sync_.err.code, ERR_INVALID);
    assert_int_equal(queue_put_start(a, "a\0b", 3, 0, sync_on, NULL, &sync_.err), -1);
    assert_int_equal(sync_.err.code, ERR_INVALID);
    assert_int_equal(sync_receive(a, 0, LEASE), QUEUE_FATAL);
    assert_int_equal(sync_.err.code, ERR_USAGE);
    assert_int_equal(sync_receive(a, 1, 0), QUEUE_FATAL);
    assert_int_equal(sync_.err.code, ERR_USAGE);
    assert_int_equal(sync_receive(a, 1, queue_caps(a)->max_lease_ms + 1), QUEUE_FATAL);
    assert_int_equal(sync_.err.code, ERR_USAGE);
    assert_int_equal(sync_renew(m, LEASE, "a,b"), QUEUE_FATAL);
    assert_int_equal(sync_.err.code, ERR_USAGE);
    assert_int_equal(sync_release(m, UINT64_MAX), QUEUE_FATAL);
    assert_int_equal(sync_.err.code, ERR_USAGE);
    queue_message_free(m);

    assert_int_equal(queue_spool_new(sync_.l, &s, &q, &sync_.err), -1);
    assert_int_equal(sync_.err.code, ERR_CONFIG);
    s.agent = "a";
    assert_int_equal(chmod(root, 0777), 0);
    assert_int_equal(queue_spool_new(sync_.l, &s, &q, &sync_.err), -1);
    assert_int_equal(sync_.err.code, ERR_CONFIG);
    assert_int_equal(chmod(root, 0700), 0);
    assert_int_equal(queue_spool_new(sync_.l, &s, &q, &sync_.err), 0);
    queue_free(q);
}

/* What was not received in its time is no order any more, but it is not lost either. */
static void time_to_live(void **state)
{
    CLEANUP(queue_freep) struct queue *a = open_as("agent-a");
    struct queue_message *m;

    (void)state;
    assert_int_equal(sync_put(a, "in time", 60000), QUEUE_OK);
    now_.wall_ms += 59999;
    m = sync_one(a, 1000);
    assert_non_null(m);
    assert_string_equal(m->text, "in time");
    assert_int_equal(sync_release(m, 0), QUEUE_OK);
    queue_message_free(m);
    now_.wall_ms += 1;
    m = sync_one(a, 1000);
    assert_non_null(m);
    assert_null(m->text);
    assert_int_equal(m->why.code, ERR_INVALID);
    assert_int_equal(sync_dead(m, m->why.msg), QUEUE_OK);
    queue_message_free(m);
}

/* --- what does not belong there (F6) --------------------------------------------------------- */

static void hostile_files(void **state)
{
    CLEANUP(queue_freep) struct queue *a = open_as("agent-a");
    static const char ids[] = "ABCDEFGHJKMNP";
    char path[256], outside[128], *big = calloc(1, SPOOL_TEXT_MAX + 1);
    unsigned n = 0, got = 0;
    struct stat st;

    (void)state;
#define AT(i) (void)snprintf(path, sizeof(path), "%s/new/01J8ZC8PXBS6Q1E0V5W5J0M7Q%c", dir, ids[i])
#define NEW(i, p, len, mode)                                                        \
    ((void)snprintf(path, sizeof(path), "new/01J8ZC8PXBS6Q1E0V5W5J0M7Q%c", ids[i]), \
     write_file(path, p, len, mode))
    assert_non_null(big);
    memset(big, 'x', SPOOL_TEXT_MAX + 1);
    (void)snprintf(outside, sizeof(outside), "%s/outside", root);
    write_file("../outside", "secret", 6, 0600);
    AT(n++); /* a link to elsewhere */
    assert_int_equal(symlink(outside, path), 0);
    AT(n++); /* one to nowhere */
    assert_int_equal(symlink("nowhere", path), 0);
    AT(n++); /* a second name */
    assert_int_equal(link(outside, path), 0);
    AT(n++); /* nobody writes to it */
    assert_int_equal(mkfifo(path, 0600), 0);
    AT(n++);
    assert_int_equal(mkdir(path, 0700), 0);
    NEW(n++, big, SPOOL_TEXT_MAX + 1, 0600);
    NEW(n++, "", 0, 0600);
    NEW(n++, "\n \r\n", 4, 0600);
    NEW(n++, "a\0b", 3, 0600);
    NEW(n++, "\xc3\x28", 2, 0600);
    NEW(n++, "text", 4, 0622);
    write_file("new/order.jws", "text", 4, 0600);
    n++;
    write_file("claimed/.order", "text", 4, 0600);
    n++;
    if (geteuid() == 0) {
        NEW(n - 2, "text", 4, 0600);
        AT(n - 2);
        assert_int_equal(chown(path, 65534, 65534), 0);
        n++;
    }
    free(big);
    assert_int_equal(sync_put(a, "good", 0), QUEUE_OK);

    for (unsigned good = 0; got < n + 1; got++) {
        struct queue_message *m = sync_one(a, LEASE);

        assert_non_null(m);
        if (m->text != NULL) {
            assert_string_equal(m->text, "good");
            assert_int_equal(good++, 0);
            assert_int_equal(sync_complete(m), QUEUE_OK);
        } else {
            assert_true(m->why.code == ERR_INVALID || m->why.code == ERR_TOOBIG);
            assert_true(m->why.msg[0] != '\0' && id_ulid_ok(m->id));
            assert_int_equal(sync_dead(m, m->why.msg), QUEUE_OK);
        }
        queue_message_free(m);
    }
    assert_null(sync_one(a, LEASE));
    assert_int_equal(sync_.end, QUEUE_OK);
    assert_int_equal(files_in("new") + files_in("claimed") + files_in("tmp"), 0);
    assert_int_equal(files_in("dead"), 2 * n);
    /* The links were moved, not what they point to. */
    assert_int_equal(lstat(outside, &st), 0);
    assert_int_equal(st.st_size, 6);
}

/* What came under a strange name stays refused, also when its first receiver died. */
static void strange_name_stays_strange(void **state)
{
    CLEANUP(queue_freep) struct queue *a = open_as("agent-a");
    struct queue_message *m;

    (void)state;
    write_file("new/half-copied", "{\"half\":1}", 10, 0600);
    for (unsigned i = 1; i <= 2; i++) {
        m = sync_one(a, LEASE);
        assert_non_null(m);
        assert_null(m->text);
        assert_int_equal(m->deliveries, i);
        queue_message_free(m);
        now_.boot_ms += LEASE;
    }
}

static void leftovers_are_cleared(void **state)
{
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    char path[128];
    struct queue *a = open_as("agent-a");

    (void)state;
    write_file("tmp/" ULID, "half", 4, 0600);
    write_file("tmp/fresh", "half", 4, 0600);
    (void)snprintf(path, sizeof(path), "%s/tmp/" ULID, dir);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    queue_free(a);
    a = open_as("agent-a");
    assert_int_equal(files_in("tmp"), 1); /* somebody may be writing that one */
    queue_free(a);
}

/* --- kills and crowds ------------------------------------------------------------------------ */

/* In a process of its own; what comes back is its exit status, or -SIGKILL. */
static int in_child(int (*run)(void *arg), void *arg)
{
    int status = 0;
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    if (pid == 0)
        _exit(run(arg));
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct killed {
    enum queue_verb verb;
    unsigned at;
};

static int do_one(void *arg)
{
    const struct killed *k = arg;
    struct queue_message *m = NULL;
    struct queue *a;
    char spec[64];
    struct err e;
    int rc = 0;

    if (loop_new(&sync_.l, &e) < 0)
        return 1;
    a = open_as("agent-a");
    if (k->verb != QUEUE_PUT && k->verb != QUEUE_RECEIVE && (m = sync_one(a, LEASE)) == NULL)
        return 2;
    (void)snprintf(spec, sizeof(spec), "spool:%u:kill", k->at);
    failpoint_set(spec);
    if (k->verb == QUEUE_PUT)
        rc = sync_put(a, "a text of some length", 0) != QUEUE_OK;
    else if (k->verb == QUEUE_RECEIVE)
        rc = (m = sync_one(a, LEASE)) == NULL;
    else if (k->verb == QUEUE_RENEW)
        rc = sync_renew(m, LEASE, "agent-a") != QUEUE_OK;
    else if (k->verb == QUEUE_RELEASE)
        rc = sync_release(m, 0) != QUEUE_OK;
    else if (k->verb == QUEUE_COMPLETE)
        rc = sync_complete(m) != QUEUE_OK;
    else
        rc = sync_dead(m, "reason") != QUEUE_OK;
    queue_message_free(m);
    queue_free(a);
    return rc;
}

/* What is left after a kill: the text whole and once, or finished. Then it can be worked on. */
static void look_after(const struct killed *k, bool killed)
{
    CLEANUP(queue_freep) struct queue *b = open_as("agent-b");
    struct queue_message *m;
    char buf[64], id[ID_ULID];
    bool aside = k->verb == QUEUE_DEAD && files_in("dead") == 2;

    now_.boot_ms += LEASE;
    m = sync_one(b, LEASE);
    if (m == NULL) {
        /* A put that was never acknowledged; or what was asked for is done. */
        assert_true((k->verb == QUEUE_PUT && killed) || k->verb == QUEUE_COMPLETE || aside);
        assert_int_equal(sync_.end, QUEUE_OK);
        return;
    }
    assert_false(aside);
    assert_true(killed || (k->verb != QUEUE_COMPLETE && k->verb != QUEUE_DEAD));
    assert_string_equal(m->text, "a text of some length");
    assert_null(sync_one(b, LEASE));
    memcpy(id, m->id, sizeof(id));
    assert_int_equal(sync_dead(m, "second"), QUEUE_OK);
    queue_message_free(m);
    read_dead(id, "", buf, sizeof(buf));
    assert_string_equal(buf, "a text of some length");
    read_dead(id, ".reason", buf, sizeof(buf));
    assert_int_equal(strncmp(buf, "second\n", 7), 0);
}

static void killed_at_each_step(void **state)
{
    static const enum queue_verb verbs[] = {QUEUE_PUT,     QUEUE_RECEIVE,  QUEUE_RENEW,
                                            QUEUE_RELEASE, QUEUE_COMPLETE, QUEUE_DEAD};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        struct killed k = {.verb = verbs[i]};
        int rc;

        do {
            assert_int_equal(empty_root(), 0);
            if (k.verb != QUEUE_PUT) {
                struct queue *a = open_as("agent-a");

                assert_int_equal(sync_put(a, "a text of some length", 0), QUEUE_OK);
                queue_free(a);
            }
            k.at++;
            rc = in_child(do_one, &k);
            if (rc != 0 && rc != -SIGKILL)
                fail_msg("verb %d, step %u: %d", (int)k.verb, k.at, rc);
            look_after(&k, rc != 0);
        } while (rc != 0);
        assert_true(k.at >= 3); /* it was killed at least twice */
    }
}

enum { CROWD = 4, CROWD_MESSAGES = 120 };

/* Takes and completes until nothing is left; writes one byte for each. */
static int drain(void *arg)
{
    int fd = *(int *)arg;
    struct queue *a;
    struct err e;

    if (loop_new(&sync_.l, &e) < 0)
        return 1;
    a = open_as("crowd");
    for (unsigned empty = 0; empty < 3;) {
        if (sync_receive(a, 4, LEASE) != QUEUE_OK)
            return 2;
        empty = sync_.n == 0 ? empty + 1 : 0;
        for (size_t i = 0, n = sync_.n; i < n; i++) {
            struct queue_message *m = sync_.msgs[i];
            unsigned char which = (unsigned char)atoi(m->text);

            if (sync_renew(m, LEASE, "crowd") != QUEUE_OK || sync_complete(m) != QUEUE_OK ||
                write(fd, &which, 1) != 1)
                return 3;
            queue_message_free(m);
        }
    }
    queue_free(a);
    return 0;
}

/* Several processes on one folder: each message goes to one of them. */
static void a_crowd(void **state)
{
    struct queue *a = open_as("agent-a");
    unsigned char seen[CROWD_MESSAGES] = {0}, which;
    pid_t pids[CROWD];
    int fds[2], status;
    char text[16];

    (void)state;
    for (unsigned i = 0; i < CROWD_MESSAGES; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        assert_int_equal(sync_put(a, text, 0), QUEUE_OK);
    }
    queue_free(a);
    assert_int_equal(pipe(fds), 0);
    (void)fflush(NULL);
    for (size_t i = 0; i < CROWD; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(drain(&fds[1]));
        assert_true(pids[i] > 0);
    }
    (void)close(fds[1]);
    while (read(fds[0], &which, 1) == 1) {
        assert_true(which < CROWD_MESSAGES);
        seen[which]++;
    }
    (void)close(fds[0]);
    for (size_t i = 0; i < CROWD; i++)
        assert_true(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
    for (unsigned i = 0; i < CROWD_MESSAGES; i++)
        assert_int_equal(seen[i], 1);
}

/* --- news, and the end ----------------------------------------------------------------------- */

static void on_news(void *arg)
{
    ++*(unsigned *)arg;
    loop_stop(sync_.l);
}

static void news(void **state)
{
    const struct queue_spool_settings s = {.dir = dir, .agent = "agent-a", .watch = true};
    CLEANUP(queue_freep) struct queue *a = NULL;
    struct queue *b = open_as("agent-b");
    unsigned told = 0;
    struct err e;

    (void)state;
    assert_int_equal(queue_spool_new(sync_.l, &s, &a, &e), 0);
    queue_on_news(a, on_news, &told);
    assert_int_equal(queue_put_start(b, "text", 4, 0, sync_on, NULL, &e), 0);
    sync_.calls = 0;
    while (told == 0 || sync_.calls == 0)
        (void)loop_run(sync_.l, &e);
    queue_free(b);
}

static void never(void *arg, enum queue_end end, const struct err *e)
{
    (void)arg, (void)end, (void)e;
    fail_msg("a callback after the end");
}

static void never_received(void *arg, struct queue_message **msgs, size_t n, enum queue_end end,
                           const struct err *e)
{
    (void)msgs, (void)n;
    never(arg, end, e);
}

static void freed_in_the_midst(void **state)
{
    struct queue *a = open_as("agent-a");
    struct queue_message *m, *other;
    struct err e;

    (void)state;
    assert_int_equal(sync_put(a, "one", 0), QUEUE_OK);
    assert_int_equal(sync_put(a, "two", 0), QUEUE_OK);
    m = sync_one(a, LEASE);
    other = sync_one(a, LEASE);
    assert_non_null(m);
    assert_non_null(other);
    assert_int_equal(queue_renew_start(m, LEASE, NULL, never, NULL, &e), 0);
    queue_message_free(m);
    assert_int_equal(queue_release_start(other, 0, never, NULL, &e), 0);
    assert_int_equal(queue_put_start(a, "three", 5, 0, never, NULL, &e), 0);
    assert_int_equal(queue_receive_start(a, 5, LEASE, never_received, NULL, &e), 0);
    queue_free(a);
    queue_message_free(other);
    (void)loop_run(sync_.l, &e); /* the jobs come home */

    a = open_as("agent-a");
    assert_int_equal(sync_depth(a), QUEUE_OK);
    assert_int_equal(sync_.count, 3);
    queue_free(a);
}

/* Wherever memory ends: an error, and the message is still there. */
static void without_memory(void **state)
{
    struct queue *a = open_as("agent-a");
    struct queue_message *m;

    (void)state;
    assert_int_equal(sync_put(a, "warm up", 0), QUEUE_OK);
    m = sync_one(a, LEASE);
    assert_int_equal(sync_complete(m), QUEUE_OK);
    queue_message_free(m);
    for (long n = 0; alloc_sweep(n); n++) {
        if (sync_put(a, "text", 0) == QUEUE_OK) {
            alloc_left = -1;
            m = sync_one(a, LEASE);
            assert_non_null(m);
            assert_int_equal(sync_complete(m), QUEUE_OK);
            queue_message_free(m);
        }
    }
    for (long n = 0; alloc_sweep(n); n++) {
        alloc_left = -1;
        assert_int_equal(sync_put(a, "text", 0), QUEUE_OK);
        alloc_left = n;
        m = sync_one(a, LEASE);
        alloc_left = -1;
        if (m == NULL) {
            now_.boot_ms += LEASE;
            m = sync_one(a, LEASE);
        }
        assert_non_null(m);
        alloc_left = n;
        if (sync_renew(m, LEASE, "agent-a") != QUEUE_OK) {
            alloc_left = -1;
            queue_message_free(m);
            now_.boot_ms += LEASE;
            m = sync_one(a, LEASE);
            assert_non_null(m);
        }
        alloc_left = -1;
        assert_string_equal(m->text, "text");
        assert_int_equal(sync_complete(m), QUEUE_OK);
        queue_message_free(m);
    }
    queue_free(a);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(names),
        T(leases),
        T(real_clock),
        T(one_message),
        T(taken_over),
        T(taken_meanwhile),
        T(machine_started_anew),
        T(released),
        T(put_aside),
        T(batches),
        T(what_is_not_done),
        T(time_to_live),
        T(hostile_files),
        T(strange_name_stays_strange),
        T(leftovers_are_cleared),
        T(killed_at_each_step),
        T(a_crowd),
        T(news),
        T(freed_in_the_midst),
        T(without_memory),
    };
    int rc;

    if (mkdtemp(root) == NULL)
        return 1;
    rc = cmocka_run_group_tests_name("cloud/queue_spool", tests, NULL, NULL);
    (void)rmdir(root);
    return rc;
}
