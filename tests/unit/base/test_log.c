/* The journal's fields: what is in front of a sentence, and nothing that is quoted in it. */
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

#include "base/log.h"

static int journal;

static const char *next(void)
{
    static char got[4096];
    ssize_t n = recv(journal, got, sizeof(got) - 1, MSG_DONTWAIT);

    got[n > 0 ? n : 0] = '\0';
    return got;
}

static int set_up(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/cordon-log-XXXXXX";

    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/socket", folder);
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (journal < 0 || bind(journal, (const struct sockaddr *)&at, sizeof(at)) < 0)
        return -1;
    log_to_journal(at.sun_path);
    (void)unlink(at.sun_path);
    (void)rmdir(folder);
    return 0;
}

static void fields(void **state)
{
    (void)state;
    log_warning("request=01J5 case=01K6 held by the rule %s", "brake");
    assert_string_equal(next(), "PRIORITY=4\nSYSLOG_IDENTIFIER=cordon\n"
                                "MESSAGE=request=01J5 case=01K6 held by the rule brake\n"
                                "CORDON_REQUEST=01J5\nCORDON_CASE=01K6\n");
    log_warning("case=01K6 step=guard target= state=done");
    assert_string_equal(next(), "PRIORITY=4\nSYSLOG_IDENTIFIER=cordon\n"
                                "MESSAGE=case=01K6 step=guard target= state=done\n"
                                "CORDON_CASE=01K6\nCORDON_STEP=guard\nCORDON_STATE=done\n");
    log_warning("nothing in particular");
    assert_string_equal(next(),
                        "PRIORITY=4\nSYSLOG_IDENTIFIER=cordon\nMESSAGE=nothing in particular\n");
}

/* O1: what others wrote starts no line, and so no field. */
static void quoted(void **state)
{
    (void)state;
    log_warning("case=01K6 not found: %s", "x request=FAKE\nPRIORITY=0\nCORDON_CASE=FAKE");
    const char *got = next();

    assert_null(strstr(got, "CORDON_REQUEST"));
    assert_null(strstr(got, "\nPRIORITY=0"));
    assert_null(strstr(got, "\nCORDON_CASE=FAKE"));
    assert_non_null(strstr(got, "\nCORDON_CASE=01K6\n"));
}

/* What led to an error comes with it, each line with its own priority. */
static void ring(void **state)
{
    (void)state;
    log_debug("request=01J5 looked at");
    assert_string_equal(next(), "");
    log_error("request=01J5 lost");
    assert_string_equal(next(), "PRIORITY=7\nSYSLOG_IDENTIFIER=cordon\n"
                                "MESSAGE=request=01J5 looked at\nCORDON_REQUEST=01J5\n");
    assert_string_equal(next(), "PRIORITY=3\nSYSLOG_IDENTIFIER=cordon\n"
                                "MESSAGE=request=01J5 lost\nCORDON_REQUEST=01J5\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),
        cmocka_unit_test(quoted),
        cmocka_unit_test(ring),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
