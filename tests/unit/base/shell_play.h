/* tests/unit/base/shell_play.h -- a run of base/winrm_shell.h and the server's side of it, for the
 * tests of both: what comes well, and what goes wrong. Include cmocka.h before. */
#ifndef CORDON_TESTS_SHELL_PLAY_H
#define CORDON_TESTS_SHELL_PLAY_H

#include "base/cleanup.h"
#include "base/loop.h"
#include "base/winrm_shell.h"
#include "tests/unit/base/fake_winrm.h"

#define SHELL "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
#define TRANSFER "http://schemas.xmlsoap.org/ws/2004/09/transfer"
#define LONG_MS 3600000

static struct seen {
    unsigned callbacks;
    bool ok, truncated, has_exit;
    int32_t exit_code;
    struct err e;
    struct text out, err_out;
} seen;

static struct winrm_run *run; /* NULL once it has called back */

static void on_ran(void *arg, const struct winrm_ran *r, const struct err *e)
{
    assert_ptr_equal(arg, &seen);
    assert_null(fake.call); /* nothing in flight: the callback may free the connection */
    assert_true((r == NULL) == (e != NULL));
    seen.callbacks++;
    seen.ok = r != NULL;
    run = NULL;
    if (e != NULL) {
        seen.e = *e;
        return;
    }
    assert_int_equal(r->out[r->out_len] + r->err_out[r->err_len], 0);
    seen.truncated = r->truncated;
    seen.has_exit = r->has_exit;
    seen.exit_code = r->exit_code;
    text_addn(&seen.out, r->out, r->out_len);
    text_addn(&seen.err_out, r->err_out, r->err_len);
}

static void forget(void)
{
    text_done(&seen.out);
    text_done(&seen.err_out);
    text_done(&fake.sent);
    seen = (struct seen){.out = TEXT_INIT(1024UL * 1024), .err_out = TEXT_INIT(1024UL * 1024)};
    fake.asked = fake.abandoned = 0;
}

static inline void start_with(const char *script, uint64_t all_ms)
{
    struct err e;

    forget();
    if (winrm_run_start(&fake.winrm, script, all_ms, on_ran, &seen, &run, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(seen.callbacks, 0);
}

/* --- the server's side --------------------------------------------------------------------------
 */

/* What is in flight, by the last word of its action. */
static inline void is_asked(const char *what)
{
    const char *slash = strrchr(fake.action, '/');

    if (fake.call == NULL)
        fail_msg("%s: nothing is asked", what);
    assert_string_equal(slash + 1, what);
}

static inline void created(void)
{
    is_asked("Create");
    fake_answer("", "<rsp:Shell><rsp:ShellId>S-1</rsp:ShellId></rsp:Shell>");
}

static inline void commanded(void)
{
    is_asked("Command");
    fake_answer("",
                "<rsp:CommandResponse><rsp:CommandId>C-1</rsp:CommandId></rsp:CommandResponse>");
}

#define STREAM(name, base64) "<rsp:Stream Name='" name "' CommandId='C-1'>" base64 "</rsp:Stream>"
#define STATE(state, in)                                                             \
    "<rsp:CommandState CommandId='C-1' State='" SHELL "/CommandState/" state "'>" in \
    "</rsp:CommandState>"
#define DONE STATE("Done", "<rsp:ExitCode>0</rsp:ExitCode>")

static inline void received(const char *in)
{
    CLEANUP(cleanup_charp) char *s = NULL;

    is_asked("Receive");
    assert_true(asprintf(&s, "<rsp:ReceiveResponse>%s</rsp:ReceiveResponse>", in) > 0);
    fake_answer("", s);
}

/* Signal and Delete, and then the answer. */
static inline void tidied(void)
{
    is_asked("Signal");
    fake_answer("", "<rsp:SignalResponse/>");
    is_asked("Delete");
    assert_int_equal(seen.callbacks, 0);
    fake_answer("", "");
    assert_int_equal(seen.callbacks, 1);
    assert_null(fake.call);
}

/* Until Command is answered. */
static inline void begin(void)
{
    start_with("exit 0", LONG_MS);
    created();
    commanded();
}

static inline int setup(void **state)
{
    struct err e;

    (void)state;
    return loop_new(&fake.winrm.loop, &e);
}

static inline int teardown(void **state)
{
    (void)state;
    forget();
    loop_free(fake.winrm.loop);
    return fake.call == NULL ? 0 : -1;
}

#endif
