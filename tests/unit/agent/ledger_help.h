/* tests/unit/agent/ledger_help.h -- a folder for a ledger, a ledger in it, callbacks that are
 * noted. Included by one source per test program, after cmocka.h.
 */
#ifndef CORDON_TESTS_LEDGER_HELP_H
#define CORDON_TESTS_LEDGER_HELP_H

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/ledger.h"

#define CASE_A "01J5AAAAAAAAAAAAAAAAAAAAAA"
#define CASE_B "01J5BBBBBBBBBBBBBBBBBBBBBB"
#define CASE_C "01J5CCCCCCCCCCCCCCCCCCCCCC"

static char folder[64]; /* of the test, below it: */
static char dir[96];    /* the ledger's */
static struct err e;

/* What the callbacks said, in order: the letter of each, in upper case where it failed. */
static char told[4096];
static struct err told_err;
static char letters[] __attribute__((unused)) = "abcdefghijklmnopqrstuvwxyz";
#define LETTER(c) (&letters[(c) - 'a'])

static inline void tell(void *arg, const struct err *err)
{
    size_t n = strlen(told);
    char letter = *(const char *)arg;

    assert_true(n + 1 < sizeof(told));
    told[n] = err != NULL ? (char)(letter - 'a' + 'A') : letter;
    told[n + 1] = '\0';
    if (err != NULL)
        told_err = *err;
}

static inline void remove_all(const char *path)
{
    char sub[512];
    struct dirent *d;
    DIR *list = opendir(path);

    while (list != NULL && (d = readdir(list)) != NULL) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        (void)snprintf(sub, sizeof(sub), "%.200s/%.200s", path, d->d_name);
        if (unlink(sub) < 0)
            remove_all(sub);
    }
    if (list != NULL)
        (void)closedir(list);
    (void)rmdir(path);
}

static inline int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/cordon-ledger.XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(dir, sizeof(dir), "%s/state", folder);
    told[0] = '\0';
    told_err = e = ERR_NONE;
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    remove_all(folder);
    return 0;
}

static inline const char *at(const char *name)
{
    static char path[4][512];
    static unsigned next;
    char *p = path[next++ % 4];

    (void)snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
    return p;
}

static inline void must(int rc)
{
    if (rc < 0)
        print_error("%s\n", e.msg);
    assert_int_equal(rc, 0);
}

static inline void fails(int rc, enum err_code code, const char *words)
{
    assert_int_equal(rc, -1);
    if (e.code != code || strstr(e.msg, words) == NULL)
        print_error("expected %s with \"%s\", got: %s\n", err_word(code), words, e.msg);
    assert_int_equal(e.code, code);
    assert_non_null(strstr(e.msg, words));
}

static inline struct ledger *open_plain(void)
{
    struct ledger *l = NULL;

    must(ledger_open(dir, NULL, false, &l, &e));
    return l;
}

static inline struct ledger *open_reader(void)
{
    struct ledger *l = NULL;

    must(ledger_open(dir, NULL, true, &l, &e));
    return l;
}

static inline void shut(struct ledger *l)
{
    must(ledger_close(l, &e));
}

static inline void put(struct ledger *l, const char *id, const char *kind, const char *body)
{
    must(ledger_add(l, id, kind, body, NULL, NULL, &e));
}

/* n records in a ledger without a loop, one transaction. */
static inline void fill(int n)
{
    struct ledger *l = open_plain();
    char body[64];

    for (int i = 0; i < n; i++) {
        (void)snprintf(body, sizeof(body), "{\"n\":%d}", i);
        put(l, CASE_A, i == 0 ? "case" : "evidence", body);
    }
    shut(l);
}

static inline int64_t verified(void)
{
    struct ledger *l = open_reader();
    char head[65];
    int64_t count = -1;

    must(ledger_verify(l, &count, head, &e));
    shut(l);
    return count;
}

/* What is read, in the words of `told`: "1:case 2:intent ". */
static inline bool note_seq(void *arg, const struct ledger_record *r)
{
    size_t n = strlen(told);

    (void)snprintf(told + n, sizeof(told) - n, "%d:%s ", (int)r->seq, r->kind);
    return --*(int *)arg > 0;
}

static inline const char *seen(struct ledger *l, const char *id, int64_t since, int most)
{
    told[0] = '\0';
    must(ledger_each(l, id, since, note_seq, &most, &e));
    return told;
}

/* The cases, newest first: the fifth letter of the id, then the verdict. */
static inline bool note_case(void *arg, const struct ledger_record *opened,
                             const struct ledger_record *verdict)
{
    size_t n = strlen(told);

    (void)arg;
    (void)snprintf(told + n, sizeof(told) - n, "%c%s ", opened->case_id[4],
                   verdict != NULL ? verdict->body : "");
    return true;
}

static inline const char *list(struct ledger *l, bool unfinished_only, unsigned limit)
{
    told[0] = '\0';
    must(ledger_cases(l, unfinished_only, limit, note_case, NULL, &e));
    return told;
}

/* Behind the ledger's back. */
static inline void sql(const char *text)
{
    sqlite3 *db = NULL;
    char *why = NULL;

    assert_int_equal(sqlite3_open_v2(at("ledger.db"), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

#endif
