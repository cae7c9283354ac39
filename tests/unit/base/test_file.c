/* tests/unit/base/test_file.c -- who may have written what we trust. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"

enum { NOBODY = 65534 };

static char folder[64];

static const char *at(const char *name)
{
    static char path[4][512];
    static unsigned next;
    char *p = path[next++ % 4];

    (void)snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
    return p;
}

static void put(const char *name, mode_t mode)
{
    int fd;

    (void)unlink(at(name));
    fd = open(at(name), O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "hello", 5), 5);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void make_dir(const char *name, mode_t mode)
{
    assert_int_equal(mkdir(at(name), 0700), 0);
    assert_int_equal(chmod(at(name), mode), 0);
}

static enum err_code check(const char *path, int how, struct err *e)
{
    *e = ERR_NONE;
    return file_check_trusted(path, how, e) == 0 ? ERR_OK : e->code;
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/cordon-file.XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static void remove_tree(int parent, const char *name)
{
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || unlinkat(parent, name, 0) == 0)
        return;
    /* Not empty: the tests make at most this. */
    static const char *const inside[] = {"f", "g", "conf", "d", "l", "s", "x", "a", "b", "c"};
    int fd = openat(parent, name, O_DIRECTORY | O_NOFOLLOW);

    if (fd < 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
        struct stat st;

        if (fstatat(fd, inside[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
            remove_tree(fd, inside[i]);
    }
    (void)close(fd);
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

static int tear_down(void **state)
{
    struct stat st;

    (void)state;
    remove_tree(AT_FDCWD, folder);
    return stat(folder, &st) == 0 ? -1 : 0; /* a temporary file left behind would show here */
}

/* F1 */
static void modes(void **state)
{
    static const struct {
        mode_t mode;
        enum err_code public, private;
        const char *type;
    } rows[] = {
        {0600, ERR_OK, ERR_OK, NULL},
        {0400, ERR_OK, ERR_OK, NULL},
        {0644, ERR_OK, ERR_CONFIG, "chmod 600"},
        {0640, ERR_OK, ERR_CONFIG, "chmod 600"},
        {0604, ERR_OK, ERR_CONFIG, "chmod 600"},
        {0610, ERR_OK, ERR_CONFIG, "chmod 600"},
        {0620, ERR_CONFIG, ERR_CONFIG, "chmod 600"},
        {0602, ERR_CONFIG, ERR_CONFIG, "chmod 600"},
        {0666, ERR_CONFIG, ERR_CONFIG, "chmod 600"},
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        put("f", rows[i].mode);
        assert_int_equal(check(at("f"), FILE_PUBLIC, &e), rows[i].public);
        if (rows[i].public != ERR_OK)
            assert_non_null(strstr(e.msg, "chmod go-w"));
        assert_int_equal(check(at("f"), FILE_PRIVATE, &e), rows[i].private);
        if (rows[i].type != NULL) {
            assert_non_null(strstr(e.msg, rows[i].type));
            assert_non_null(strstr(e.msg, at("f")));
        }
        assert_int_equal(check(at("f"), FILE_SECRET, &e), rows[i].private);
        /* Settings are root's to show to a group; nobody else can do so. */
        assert_int_equal(check(at("f"), FILE_SETTINGS, &e),
                         rows[i].mode == 0640 && geteuid() == 0 ? ERR_OK : rows[i].private);
    }
}

/* F1: an access list counts for what it gives to others, not for its mask in the mode. */
static void access_lists(void **state)
{
    enum { R = ACL_READ };
    static const struct {
        uint16_t user, named, group, named_group, mask;
        bool ours; /* the named user is us */
        enum err_code want;
    } rows[] = {
        {R, R, 0, 0, R, true, ERR_OK},      /* a systemd credential */
        {R, R, 0, 0, R, false, ERR_CONFIG}, /* the same for somebody else */
        {R, 0, R, 0, R, true, ERR_CONFIG},  {R, 0, 0, R, R, true, ERR_CONFIG},
        {R, R, R, R, 0, false, ERR_OK}, /* the mask takes all of it away */
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct {
            struct posix_acl_xattr_header head;
            struct posix_acl_xattr_entry e[6];
        } acl = {
            {htole32(POSIX_ACL_XATTR_VERSION)},
            {{htole16(ACL_USER_OBJ), htole16(rows[i].user), htole32((uint32_t)ACL_UNDEFINED_ID)},
             {htole16(ACL_USER), htole16(rows[i].named), htole32(rows[i].ours ? geteuid() : 4242)},
             {htole16(ACL_GROUP_OBJ), htole16(rows[i].group), htole32((uint32_t)ACL_UNDEFINED_ID)},
             {htole16(ACL_GROUP), htole16(rows[i].named_group), htole32(4242)},
             {htole16(ACL_MASK), htole16(rows[i].mask), htole32((uint32_t)ACL_UNDEFINED_ID)},
             {htole16(ACL_OTHER), 0, htole32((uint32_t)ACL_UNDEFINED_ID)}},
        };

        put("f", 0400);
        if (setxattr(at("f"), "system.posix_acl_access", &acl, sizeof(acl), 0) < 0) {
            assert_int_equal(errno, EOPNOTSUPP);
            skip();
        }
        assert_int_equal(check(at("f"), FILE_SECRET, &e), rows[i].want);
        assert_int_equal(check(at("f"), FILE_PRIVATE, &e), rows[i].want);
        assert_int_equal(check(at("f"), FILE_PUBLIC, &e), ERR_OK);
    }
}

/* F1: only a regular file, never through a link, never hanging on a pipe */
static void kinds(void **state)
{
    struct err e;

    (void)state;
    put("f", 0600);
    make_dir("d", 0700);
    assert_int_equal(symlink("f", at("l")), 0);
    assert_int_equal(mkfifo(at("s"), 0600), 0);
    assert_int_equal(check(at("l"), FILE_PUBLIC, &e), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "symbolic link"));
    assert_int_equal(check(at("d"), FILE_PUBLIC, &e), ERR_CONFIG);
    assert_int_equal(check(at("s"), FILE_PUBLIC, &e), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "regular"));
    assert_int_equal(check("/dev/null", FILE_PUBLIC, &e), ERR_CONFIG);
    assert_int_equal(check(at("x"), FILE_PUBLIC, &e), ERR_NOTFOUND);
    assert_int_equal(check(at("x/y"), FILE_PUBLIC, &e), ERR_NOTFOUND);
    assert_int_equal(check(at("f/y"), FILE_PUBLIC, &e), ERR_IO);
    assert_int_equal(check("", FILE_PUBLIC, &e), ERR_IO);
    assert_int_equal(check("/", FILE_PUBLIC, &e), ERR_IO);
    assert_int_equal(check(at("d/"), FILE_PUBLIC, &e), ERR_IO);
}

/* F2 */
static void folders(void **state)
{
    struct err e;

    (void)state;
    make_dir("d", 0755);
    put("d/f", 0600);
    assert_int_equal(check(at("d/f"), FILE_SECRET, &e), ERR_OK);
    assert_int_equal(check(at("d/../d/./f"), FILE_SECRET, &e), ERR_OK);
    assert_int_equal(check(at("d//f"), FILE_SECRET, &e), ERR_OK);
    assert_int_equal(chmod(at("d"), 0775), 0);
    assert_int_equal(check(at("d/f"), FILE_PUBLIC, &e), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "chmod go-w"));
    assert_int_equal(chmod(at("d"), 0757), 0);
    assert_int_equal(check(at("d/f"), FILE_PUBLIC, &e), ERR_CONFIG);

    /* Sticky: nobody else can exchange what is ours in it; but no secret directly in it. */
    assert_int_equal(chmod(at("d"), 01777), 0);
    assert_int_equal(check(at("d/f"), FILE_PUBLIC, &e), ERR_OK);
    assert_int_equal(check(at("d/f"), FILE_PRIVATE, &e), ERR_OK);
    assert_int_equal(check(at("d/f"), FILE_SECRET, &e), ERR_CONFIG);
    make_dir("d/a", 0700);
    put("d/a/f", 0600);
    assert_int_equal(check(at("d/a/f"), FILE_SECRET, &e), ERR_OK);

    /* To list a folder */
    int fd = -1;
    assert_int_equal(file_open_trusted_dir(at("d/a"), &fd, &e), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(file_open_trusted_dir(at("d"), &fd, &e), -1);
    assert_int_equal(file_open_trusted_dir(at("d/x"), &fd, &e), -1);
    assert_int_equal(e.code, ERR_NOTFOUND);
}

/* F2: a link on the way, made by us, is followed; what it leads through is judged too */
static void links_on_the_way(void **state)
{
    struct err e;

    (void)state;
    make_dir("d", 0755);
    put("d/f", 0600);
    assert_int_equal(symlink("d", at("l")), 0);
    assert_int_equal(check(at("l/f"), FILE_SECRET, &e), ERR_OK);
    assert_int_equal(symlink(at("d"), at("a")), 0);
    assert_int_equal(check(at("a/f"), FILE_SECRET, &e), ERR_OK);
    assert_int_equal(symlink("b", at("b")), 0);
    assert_int_equal(check(at("b/f"), FILE_SECRET, &e), ERR_IO);
    assert_int_equal(e.native, ELOOP);
    assert_int_equal(chmod(at("d"), 0777), 0);
    assert_int_equal(check(at("l/f"), FILE_SECRET, &e), ERR_CONFIG);
    if (geteuid() != 0)
        return;
    assert_int_equal(chmod(at("d"), 0755), 0);
    assert_int_equal(lchown(at("l"), NOBODY, NOBODY), 0);
    assert_int_equal(check(at("l/f"), FILE_SECRET, &e), ERR_CONFIG);
}

/* F1, F2: foreign owners */
static void owners(void **state)
{
    struct err e;

    (void)state;
    if (geteuid() != 0)
        skip();
    make_dir("d", 0755);
    put("d/f", 0600);
    assert_int_equal(chown(at("d/f"), NOBODY, 0), 0);
    assert_int_equal(check(at("d/f"), FILE_PUBLIC, &e), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "65534"));
    assert_int_equal(chown(at("d/f"), 0, 0), 0);
    assert_int_equal(chown(at("d"), NOBODY, 0), 0);
    assert_int_equal(check(at("d/f"), FILE_PUBLIC, &e), ERR_CONFIG);
    assert_int_equal(file_private_dir(at("d"), &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);

    /* To a user, root's files and folders are good, and its own. */
    assert_int_equal(chmod(folder, 0755), 0);
    put("f", 0644);
    assert_int_equal(seteuid(NOBODY), 0);
    assert_int_equal(check(at("d/f"), FILE_PUBLIC, &e), ERR_DENIED); /* 0600, root's */
    assert_int_equal(check(at("f"), FILE_PUBLIC, &e), ERR_OK);
    assert_int_equal(seteuid(0), 0);
}

static void reading(void **state)
{
    struct text t = TEXT_INIT(100);
    struct err e;
    char cwd[512];

    (void)state;
    put("f", 0644);
    assert_int_equal(file_read_trusted(at("f"), FILE_PUBLIC, 5, &t, &e), 0);
    assert_string_equal(t.s, "hello");
    text_clear(&t);
    assert_int_equal(file_read_trusted(at("f"), FILE_PUBLIC, 4, &t, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    text_clear(&t);
    assert_int_equal(file_read_any(at("f"), 5, &t, &e), 0);
    assert_string_equal(t.s, "hello");
    assert_int_equal(file_read_any(at("x"), 5, &t, &e), -1);
    assert_int_equal(e.code, ERR_NOTFOUND);
    text_done(&t);

    /* A relative path is one below the current folder. */
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(check("f", FILE_PUBLIC, &e), ERR_OK);
    assert_int_equal(check("./f", FILE_PUBLIC, &e), ERR_OK);
    assert_int_equal(check("g", FILE_PUBLIC, &e), ERR_NOTFOUND);
    assert_int_equal(chdir(cwd), 0);
}

/* F6 */
static void writing(void **state)
{
    struct text t = TEXT_INIT(100);
    struct stat st;
    struct err e;

    (void)state;
    put("f", 0644);
    assert_int_equal(file_write_atomic(at("f"), "new", 3, &e), 0);
    assert_int_equal(stat(at("f"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(file_read_trusted(at("f"), FILE_SECRET, 10, &t, &e), 0);
    assert_string_equal(t.s, "new");
    text_done(&t);
    assert_int_equal(file_write_atomic(at("x/f"), "new", 3, &e), -1);
    /* A folder cannot be replaced: the temporary file is gone again (tear_down looks). */
    make_dir("d", 0700);
    assert_int_equal(file_write_atomic(at("d"), "new", 3, &e), -1);
    assert_int_equal(e.code, ERR_IO);

    /* What a dead writer left half written goes with the next one (tear_down looks). */
    put("a.me", 0600);
    assert_int_equal(file_write_again(at("a"), "me", "answer", 6, &e), 0);
    assert_int_equal(stat(at("a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(file_read_trusted(at("a"), FILE_SECRET, 10, &t, &e), 0);
    assert_string_equal(t.s, "answer");
    text_done(&t);
    assert_int_equal(access(at("a.me"), F_OK), -1);
    assert_int_equal(symlink("f", at("b.me")), 0);
    assert_int_equal(file_write_again(at("b"), "me", "answer", 6, &e), -1);
    assert_int_equal(unlink(at("b.me")), 0);

    /* Where nothing may be overwritten: not a file, not a link to nowhere. */
    assert_int_equal(file_write_new(at("g"), "one", 3, &e), 0);
    assert_int_equal(stat(at("g"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(file_write_new(at("g"), "two", 3, &e), -1);
    assert_int_equal(e.code, ERR_REFUSED);
    assert_int_equal(file_read_trusted(at("g"), FILE_SECRET, 10, &t, &e), 0);
    assert_string_equal(t.s, "one");
    text_done(&t);
    assert_int_equal(symlink("nowhere", at("l")), 0);
    assert_int_equal(file_write_new(at("l"), "two", 3, &e), -1);
    assert_int_equal(e.code, ERR_REFUSED);
}

/* F6 */
static void private_dirs(void **state)
{
    struct stat st;
    struct err e;
    mode_t old = umask(0);

    (void)state;
    assert_int_equal(file_private_dir(at("a/b/c"), &e), 0);
    assert_int_equal(file_private_dir(at("a/b/c"), &e), 0);
    assert_int_equal(file_private_dir(at("a/b/c/"), &e), 0);
    (void)umask(old);
    assert_int_equal(stat(at("a/b"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(at("a/b/c"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);

    assert_int_equal(chmod(at("a/b/c"), 0755), 0);
    assert_int_equal(file_private_dir(at("a/b/c"), &e), 0);
    assert_int_equal(stat(at("a/b/c"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(chmod(at("a/b/c"), 0770), 0);
    assert_int_equal(file_private_dir(at("a/b/c"), &e), -1);
    assert_non_null(strstr(e.msg, "chmod"));
    assert_int_equal(chmod(at("a/b/c"), 01777), 0);
    assert_int_equal(file_private_dir(at("a/b/c"), &e), -1);
    put("f", 0600);
    assert_int_equal(file_private_dir(at("f"), &e), -1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(modes),  TEST(access_lists), TEST(kinds),   TEST(folders),      TEST(links_on_the_way),
        TEST(owners), TEST(reading),      TEST(writing), TEST(private_dirs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
