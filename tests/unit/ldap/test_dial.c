/* Several addresses of one host, some of them dead: the living one is found (L2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ldap/dial.h"

#define FILLERS 8

/* Three ends on loopback: one that answers, one that refuses, one that is silent. */
static struct ends {
    struct sockaddr_in good, refused, silent;
    int good_fd, refused_fd, silent_fd, fillers[FILLERS];
} ends;

static int bound(struct sockaddr_in *at)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t len = sizeof(*at);

    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

static int set_up(void **state)
{
    (void)state;
    ends.good_fd = bound(&ends.good);
    assert_int_equal(listen(ends.good_fd, 16), 0);
    ends.refused_fd = bound(&ends.refused); /* bound, never listening: the port stays ours */
    /* Nobody accepts, and the queue is full: the kernel drops what else comes. */
    ends.silent_fd = bound(&ends.silent);
    assert_int_equal(listen(ends.silent_fd, 0), 0);
    for (int i = 0; i < FILLERS; i++) {
        ends.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(ends.fillers[i], (struct sockaddr *)&ends.silent, sizeof(ends.silent));
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(ends.good_fd);
    (void)close(ends.refused_fd);
    (void)close(ends.silent_fd);
    for (int i = 0; i < FILLERS; i++)
        (void)close(ends.fillers[i]);
    return 0;
}

/* Dial what `kinds` says: g, r, s, or ? for a family that does not exist. */
static int dial(const char *kinds, int64_t wait_ms, int *ret_fd, struct err *e)
{
    struct addrinfo all[40];
    size_t n = strlen(kinds);

    assert_true(n <= ARRAY_LEN(all));
    for (size_t i = 0; i < n; i++) {
        struct sockaddr_in *at = kinds[i] == 'g'   ? &ends.good
                                 : kinds[i] == 's' ? &ends.silent
                                                   : &ends.refused;

        all[i] = (struct addrinfo){.ai_family = kinds[i] == '?' ? 12345 : AF_INET,
                                   .ai_addr = (struct sockaddr *)at,
                                   .ai_addrlen = sizeof(*at),
                                   .ai_next = i + 1 < n ? &all[i + 1] : NULL};
    }
    return ad_dial(n > 0 ? all : NULL, ad_dial_now() + wait_ms, ret_fd, e);
}

static int open_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void finds_the_living_one(void **state)
{
    /* With one deadline for all in a row, "sg" and "ssg" would never connect. */
    static const char *const cases[] = {
        "g", "rg", "sg", "ssg", "?g", "?rsg", "gs", "sr?g", "rrrrrrrrrrrrrrrrrrrrrrrrg",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sockaddr_in at;
        socklen_t len = sizeof(at);
        int fd = -1, before = open_fds(), one = 0;
        struct err e = ERR_NONE;

        if (dial(cases[i], 10000, &fd, &e) < 0)
            fail_msg("%s: %s", cases[i], e.msg);
        assert_int_equal(getpeername(fd, (struct sockaddr *)&at, &len), 0);
        assert_int_equal(at.sin_port, ends.good.sin_port);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        len = sizeof(one);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, &len), 0);
        assert_int_not_equal(one, 0);
        assert_int_equal(close(fd), 0);
        assert_int_equal(open_fds(), before); /* of the others none is left open */
    }
}

static void short_of_time(void **state)
{
    int fd = -1;
    struct err e;

    /* Four silent ones in front, and less time than four full turns. */
    (void)state;
    assert_int_equal(dial("ssssg", 600, &fd, &e), 0);
    assert_int_equal(close(fd), 0);
}

static void nobody(void **state)
{
    static const struct {
        const char *kinds;
        int native;
    } cases[] = {
        {"", 0},          {"r", ECONNREFUSED}, {"rr", ECONNREFUSED}, {"?", EAFNOSUPPORT},
        {"s", ETIMEDOUT}, {"sr", ETIMEDOUT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int fd = -1, before = open_fds();
        struct err e = ERR_NONE;

        assert_int_equal(dial(cases[i].kinds, cases[i].native == ETIMEDOUT ? 60 : 10000, &fd, &e),
                         -1);
        assert_int_equal(e.code, ERR_UNSENT);
        assert_int_equal(e.native, cases[i].native);
        assert_int_equal(fd, -1);
        assert_int_equal(open_fds(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_the_living_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(short_of_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
