/* tests/unit/base/test_winrm_shell_fails.c -- one script in a shell, and everything goes wrong.
 *
 * What must hold: Command is sent once; a shell whose id is known is deleted; one callback; and the
 * code says "has not run" only where that is sure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/alloc.h"
#include "tests/unit/base/shell_play.h"

/* --- what goes wrong ----------------------------------------------------------------------------
 */

static void no_shell(void **state)
{
    static const struct {
        uint32_t fault; /* 0: an error */
        enum err_code comes, told;
    } rows[] = {
        {0, ERR_UNSENT, ERR_UNSENT},
        {0, ERR_AUTH, ERR_AUTH},
        {0, ERR_DENIED, ERR_DENIED},
        {0, ERR_UNSUPPORTED, ERR_UNSUPPORTED},
        {0, ERR_BUSY, ERR_BUSY},
        {0, ERR_NOMEM, ERR_NOMEM},
        {0, ERR_UNPROVEN, ERR_UNSENT}, /* a shell, perhaps; but it runs nothing */
        {5, 0, ERR_DENIED},
        {2150859173U, 0, ERR_BUSY},
        {2150859180U, 0, ERR_REFUSED},
        {2150858793U, 0, ERR_UNSENT}, /* TimedOut */
    };
    static const char *const without_id[] = {
        "", "<rsp:Shell/>", "<rsp:Shell><rsp:ShellId> </rsp:ShellId></rsp:Shell>",
        "<x:ResourceCreated><w:Selector Name='Other'>S-1</w:Selector></x:ResourceCreated>",
        "<rsp:ShellId>12345678901234567890123456789012345678901234567890123456789012345678901234"
        "567890123456789012345678901234567890123456789012345678</rsp:ShellId>"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start_with("exit 0", LONG_MS);
        if (rows[i].fault != 0)
            fake_fault(rows[i].fault);
        else
            fake_error(rows[i].comes);
        assert_int_equal(seen.callbacks, 1);
        assert_int_equal(seen.e.code, rows[i].told);
        assert_int_equal(fake.asked, 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(without_id); i++) {
        start_with("exit 0", LONG_MS);
        fake_answer("", without_id[i]);
        assert_int_equal(seen.callbacks, 1);
        assert_int_equal(seen.e.code, ERR_INVALID);
        assert_int_equal(fake.asked, 1);
    }
}

static void shell_ids(void **state)
{
    static const char *const rows[] = {
        "<rsp:Shell xmlns:rsp='urn:other'><rsp:ShellId>\n S-1 \n</rsp:ShellId></rsp:Shell>",
        "<x:ResourceCreated><a:Address>http://x/</a:Address><a:ReferenceParameters><w:ResourceURI>"
        "x</w:ResourceURI><w:SelectorSet><w:Selector Name='ShellId'>S-1</w:Selector>"
        "</w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>",
        "<x:ResourceCreated><w:Selector Name='Other'>no</w:Selector>"
        "<w:Selector Name='shellid'>S-1</w:Selector></x:ResourceCreated>",
        "<rsp:Shell><rsp:ShellId/></rsp:Shell><rsp:Shell><rsp:ShellId>S-1</rsp:ShellId></"
        "rsp:Shell>",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start_with("exit 0", LONG_MS);
        fake_answer("", rows[i]);
        is_asked("Command");
        assert_non_null(strstr(fake_header(), "<w:Selector Name=\"ShellId\">S-1</w:Selector>"));
        winrm_run_abandon(run);
    }
}

/* Command is sent once; only what says clearly that nothing was begun is told as such. */
static void command_fails(void **state)
{
    static const struct {
        uint32_t fault;     /* 0: an error, or */
        const char *answer; /* this */
        enum err_code comes, told;
    } rows[] = {
        {0, NULL, ERR_UNPROVEN, ERR_UNPROVEN},
        {0, NULL, ERR_TIMEOUT, ERR_UNPROVEN},
        {0, NULL, ERR_INVALID, ERR_UNPROVEN},
        {0, NULL, ERR_TOOBIG, ERR_UNPROVEN},
        {0, NULL, ERR_NOMEM, ERR_UNPROVEN},
        {0, NULL, ERR_UNSENT, ERR_UNSENT},
        {0, NULL, ERR_AUTH, ERR_AUTH},
        {5, NULL, 0, ERR_DENIED},
        {2150859174U, NULL, 0, ERR_BUSY},
        {2150858843U, NULL, 0, ERR_NOTFOUND},
        {2150858809U, NULL, 0, ERR_INVALID},
        {2150858753U, NULL, 0, ERR_UNSUPPORTED},
        /* It may have been begun before these were said. */
        {2150858793U, NULL, 0, ERR_UNPROVEN}, /* TimedOut */
        {2150858883U, NULL, 0, ERR_UNPROVEN}, /* the plug-in did not answer */
        {995, NULL, 0, ERR_UNPROVEN},
        {1223, NULL, 0, ERR_UNPROVEN},
        {2150858823U, NULL, 0, ERR_UNPROVEN}, /* the answer is too large */
        {31337, NULL, 0, ERR_UNPROVEN},
        {0, "", 0, ERR_UNPROVEN},
        {0, "<rsp:CommandResponse/>", 0, ERR_UNPROVEN},
        {0, "<rsp:CommandId>C-1</rsp:CommandId>", 0, ERR_UNPROVEN},
        {0, "<rsp:CommandResponse><CommandId>C-1</CommandId></rsp:CommandResponse>", 0,
         ERR_UNPROVEN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start_with("exit 0", LONG_MS);
        created();
        is_asked("Command");
        if (rows[i].answer != NULL)
            fake_answer("", rows[i].answer);
        else if (rows[i].fault != 0)
            fake_fault(rows[i].fault);
        else
            fake_error(rows[i].comes);
        is_asked("Delete"); /* never Command again */
        assert_int_equal(seen.callbacks, 0);
        if (i % 2 == 0)
            fake_answer("", "");
        else
            fake_error(ERR_UNPROVEN);
        assert_int_equal(seen.callbacks, 1);
        if (seen.e.code != rows[i].told)
            fail_msg("%zu: %s", i, err_word(seen.e.code));
        assert_int_equal(fake.asked, 3);
    }
}

static void receive_fails(void **state)
{
    static const char *const junk[] = {"", "<n:PullResponse/>", "<ReceiveResponse/>"};

    (void)state;
    begin();
    for (int i = 0; i < 3; i++) { /* nothing yet */
        is_asked("Receive");
        fake_fault(2150858793U);
    }
    received(STREAM("stdout", "b2s=") DONE);
    tidied();
    assert_true(seen.ok);
    assert_string_equal(seen.out.s, "ok");

    for (enum err_code c = ERR_NOMEM; c <= ERR_UNPROVEN; c++) {
        begin();
        fake_error(c);
        tidied();
        assert_int_equal(seen.e.code, ERR_UNPROVEN);
    }
    begin();
    fake_fault(2150858843U); /* the shell is gone, and what of the command? */
    tidied();
    assert_int_equal(seen.e.code, ERR_UNPROVEN);
    for (size_t i = 0; i < ARRAY_LEN(junk); i++) {
        begin();
        fake_answer("", junk[i]);
        tidied();
        assert_int_equal(seen.e.code, ERR_UNPROVEN);
    }
}

/* How the tidying goes changes nothing of what is known. */
static void tidying_fails(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        begin();
        received(STREAM("stdout", "b2s=") DONE);
        is_asked("Signal");
        if ((i & 1) != 0)
            fake_error(ERR_UNPROVEN);
        else
            fake_fault(2150858843U);
        is_asked("Delete");
        if ((i & 2) != 0)
            fake_error(ERR_NOMEM);
        else
            fake_fault(5);
        assert_int_equal(seen.callbacks, 1);
        assert_true(seen.ok && seen.has_exit);
        assert_string_equal(seen.out.s, "ok");
    }
}

/* Nothing can be asked any more, from the n-th request on. */
static void requests_that_cannot_start(void **state)
{
    static const enum err_code told[] = {ERR_NOMEM, ERR_UNPROVEN, ERR_OK, ERR_OK};

    (void)state;
    for (int n = 0; n < 4; n++) {
        start_with("exit 0", LONG_MS);
        fake.deaf = n == 0;
        created();
        if (n > 0) {
            fake.deaf = n == 1;
            commanded();
        }
        if (n > 1) {
            fake.deaf = n == 2;
            received(DONE);
        }
        if (n > 2) {
            fake.deaf = true;
            is_asked("Signal");
            fake_answer("", "");
        }
        fake.deaf = false;
        assert_int_equal(seen.callbacks, 1);
        assert_int_equal(seen.ok ? ERR_OK : seen.e.code, told[n]);
    }
}

/* --- the limit, and being given up --------------------------------------------------------------
 */

enum where { AT_CREATE, AT_COMMAND, AT_RECEIVE, AT_SIGNAL, AT_DELETE, STATES };

static void go_to(enum where at)
{
    if (at > AT_CREATE)
        created();
    if (at > AT_COMMAND)
        commanded();
    if (at == AT_RECEIVE)
        received(STATE("Running", "")); /* the second one */
    if (at > AT_RECEIVE)
        received(STREAM("stdout", "b2s=") DONE);
    if (at > AT_SIGNAL) {
        is_asked("Signal");
        fake_answer("", "");
    }
}

static void stop(void *arg)
{
    loop_stop(arg);
}

/* What is due comes. */
static void turn(void)
{
    struct err e;

    for (int i = 0; i < 3; i++) {
        assert_non_null(loop_timer_start(fake.winrm.loop, 0, stop, fake.winrm.loop));
        assert_int_equal(loop_run(fake.winrm.loop, &e), 0);
    }
}

static void the_limit(void **state)
{
    (void)state;
    for (enum where at = AT_CREATE; at < STATES; at++) {
        start_with("exit 0", 0);
        go_to(at);
        turn();
        switch (at) {
        case AT_CREATE: /* no id, so nothing to tidy */
            assert_int_equal(seen.callbacks, 1);
            assert_int_equal(seen.e.code, ERR_UNSENT);
            assert_int_equal(fake.abandoned, 1);
            break;
        case AT_COMMAND:
            assert_int_equal(fake.abandoned, 1);
            is_asked("Delete");
            fake_answer("", "");
            assert_int_equal(seen.e.code, ERR_UNPROVEN);
            break;
        case AT_RECEIVE:
            assert_int_equal(fake.abandoned, 1);
            tidied();
            assert_int_equal(seen.e.code, ERR_TIMEOUT);
            break;
        default: /* it has ended: that is told, and the shell goes */
            assert_int_equal(fake.abandoned, 0);
            if (at == AT_SIGNAL)
                tidied();
            else
                fake_answer("", "");
            assert_true(seen.ok);
            assert_string_equal(seen.out.s, "ok");
            break;
        }
        assert_int_equal(seen.callbacks, 1);
        assert_null(fake.call);
    }
    /* While a shell goes after a lost answer: that stays what it is. */
    start_with("exit 0", 0);
    created();
    fake_error(ERR_UNPROVEN);
    turn();
    is_asked("Delete");
    fake_answer("", "");
    assert_int_equal(seen.e.code, ERR_UNPROVEN);
    start_with("exit 0", 0);
    created();
    fake_fault(5);
    turn();
    fake_answer("", "");
    assert_int_equal(seen.e.code, ERR_DENIED);
}

static void given_up(void **state)
{
    (void)state;
    for (enum where at = AT_CREATE; at < STATES; at++) {
        start_with("exit 0", 0);
        go_to(at);
        winrm_run_abandon(run);
        assert_int_equal(fake.abandoned, 1);
        assert_null(fake.call);
        turn();
        assert_int_equal(seen.callbacks, 0);
    }
    winrm_run_abandon(NULL);
}

/* --- a shell, and nothing in it -----------------------------------------------------------------
 */

static void probe(void **state)
{
    struct err e;

    (void)state;
    for (int i = 0; i < 4; i++) {
        forget();
        assert_int_equal(winrm_shell_probe_start(&fake.winrm, on_ran, &seen, &run, &e), 0);
        is_asked("Create");
        if (i == 0) {
            fake_fault(5);
            assert_int_equal(seen.e.code, ERR_DENIED);
            assert_int_equal(fake.asked, 1);
        } else if (i == 3) {
            winrm_run_abandon(run);
            continue;
        } else {
            created();
            is_asked("Delete");
            assert_non_null(strstr(fake_header(), ">S-1</w:Selector>"));
            if (i == 1)
                fake_answer("", "");
            else
                fake_error(ERR_UNPROVEN);
            assert_true(seen.ok && !seen.has_exit);
            assert_int_equal(fake.asked, 2);
        }
        assert_int_equal(seen.callbacks, 1);
    }
}

/* --- memory -------------------------------------------------------------------------------------
 */

/* Plays the server until it has called back. False: it could not be started. */
static bool play(unsigned *commands)
{
    struct err e;

    *commands = 0;
    if (winrm_run_start(&fake.winrm, "exit 0", LONG_MS, on_ran, &seen, &run, &e) < 0) {
        assert_int_equal(seen.callbacks, 0);
        return false;
    }
    for (int i = 0; i < 10 && seen.callbacks == 0; i++) {
        if (strstr(fake.action, "/Create") != NULL) {
            created();
        } else if (strstr(fake.action, "/Command") != NULL) {
            ++*commands;
            commanded();
        } else if (strstr(fake.action, "/Receive") != NULL) {
            received(STREAM("stdout", "b2s=") STREAM("stderr", "IzwgQ0xJWE1MIA==") DONE);
        } else {
            fake_answer("", "");
        }
    }
    assert_int_equal(seen.callbacks, 1);
    return true;
}

/* M2: whichever allocation fails, one callback or none at all, no second Command, and never "has
 * not run" once it was sent. */
static void no_memory(void **state)
{
    long n = 0;

    (void)state;
    for (; alloc_sweep(n); n++) {
        unsigned commands;
        bool started;

        forget();
        started = play(&commands);
        alloc_left = -1;
        assert_null(fake.call);
        assert_in_range(commands, 0, 1);
        if (!started || seen.callbacks == 0)
            continue;
        if (seen.ok)
            assert_true(commands == 1 && seen.has_exit);
        else if (commands == 1)
            assert_int_equal(seen.e.code, ERR_UNPROVEN);
        turn();
    }
    assert_true(n > 20);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(no_shell),      T(shell_ids),     T(command_fails),
        T(receive_fails), T(tidying_fails), T(requests_that_cannot_start),
        T(the_limit),     T(given_up),      T(probe),
        T(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
