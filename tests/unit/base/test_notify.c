/* What a service manager gets to see: by a socket of the test's own (P5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/notify.h"

/* A socket to listen at, under the name as NOTIFY_SOCKET has it. */
static int listen_at(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_true(strlen(name) < sizeof(a.sun_path));
    memcpy(a.sun_path, name, strlen(name));
    if (name[0] == '@')
        a.sun_path[0] = '\0';
    else
        len++;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static void expect(int fd, const char *text)
{
    char got[200];
    ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

    assert_true(n >= 0);
    got[n] = '\0';
    assert_string_equal(got, text);
}

static void by_path(void **state)
{
    char folder[] = "/tmp/cordon-notify-XXXXXX", name[64];
    struct err e;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(name, sizeof(name), "%s/notify", folder);
    fd = listen_at(name);
    assert_int_equal(notify_send("READY=1", &e), 0);
    assert_int_equal(notify_send("STATUS=3 in flight\nWATCHDOG=1", &e), 0);
    expect(fd, "READY=1");
    expect(fd, "STATUS=3 in flight\nWATCHDOG=1");

    /* The manager is gone: an error, and no signal. */
    (void)close(fd);
    assert_int_equal(notify_send("WATCHDOG=1", &e), -1);
    assert_int_equal(e.code, ERR_IO);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(notify_send("WATCHDOG=1", &e), -1);
    assert_int_equal(rmdir(folder), 0);
}

static void abstract(void **state)
{
    char name[64];
    struct err e;
    int fd;

    (void)state;
    (void)snprintf(name, sizeof(name), "@cordon-notify-%ld", (long)getpid());
    fd = listen_at(name);
    assert_int_equal(notify_send("STOPPING=1", &e), 0);
    expect(fd, "STOPPING=1");
    (void)close(fd);
}

static void without(void **state)
{
    char longer[300];
    struct err e;

    (void)state;
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(notify_send("READY=1", &e), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", "", 1), 0);
    assert_int_equal(notify_send("READY=1", &e), 0);

    /* Names that cannot be one. */
    assert_int_equal(setenv("NOTIFY_SOCKET", "vsock:2:1234", 1), 0);
    assert_int_equal(notify_send("READY=1", &e), -1);
    assert_int_equal(e.code, ERR_UNSUPPORTED);
    assert_int_equal(setenv("NOTIFY_SOCKET", "@", 1), 0);
    assert_int_equal(notify_send("READY=1", &e), -1);
    memset(longer, '/', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(setenv("NOTIFY_SOCKET", longer, 1), 0);
    assert_int_equal(notify_send("READY=1", &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
}

static void watchdog(void **state)
{
    static const struct {
        const char *usec;
        uint64_t ms;
    } rows[] = {
        {"30000000", 15000},
        {"2000", 1},
        {"1", 1},
        {"0", 0},
        {"", 0},
        {"-5", 0},
        {"10s", 0},
        {"99999999999999999999999", 0},
    };
    char pid[32];

    (void)state;
    assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
    assert_int_equal(unsetenv("WATCHDOG_PID"), 0);
    assert_int_equal(notify_watchdog_ms(), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(setenv("WATCHDOG_USEC", rows[i].usec, 1), 0);
        assert_int_equal(notify_watchdog_ms(), rows[i].ms);
    }
    assert_int_equal(setenv("WATCHDOG_USEC", "30000000", 1), 0);
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
    assert_int_equal(notify_watchdog_ms(), 15000);
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getppid());
    assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
    assert_int_equal(notify_watchdog_ms(), 0); /* somebody else's */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_path),
        cmocka_unit_test(abstract),
        cmocka_unit_test(without),
        cmocka_unit_test(watchdog),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
