/* tests/fuzz/fuzz_soap.c -- whatever a server answers: an envelope that is read, or an error; and
 * what subscribe, pull, identify and a shell make of it. Their connection is
 * tests/unit/base/fake_winrm.h. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "base/winrm_pull.h"
#include "base/winrm_shell.h"
#include "tests/unit/base/fake_winrm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned callbacks;

static void is_text(const char *s)
{
    assert(s != NULL && text_utf8_ok(s, strlen(s)));
}

static void is_shown(const char *s)
{
    is_text(s);
    for (; *s != '\0'; s++)
        assert((unsigned char)*s >= 0x20 && *s != 0x7f);
}

/* One of three. */
static void told(bool ok, const struct soap_fault *f, const struct err *e)
{
    callbacks++;
    assert(ok == (e == NULL) && (f == NULL || e != NULL));
    assert(e == NULL || (e->code != ERR_OK && e->msg[0] != '\0'));
}

static void on_subscribed(void *arg, const struct winrm_subscription *s, const struct soap_fault *f,
                          const struct err *e)
{
    (void)arg;
    told(s != NULL, f, e);
    if (s != NULL) {
        assert(s->context[0] != '\0');
        is_text(s->context);
        is_text(s->identifier);
    }
}

static void on_pulled(void *arg, const struct winrm_pulled *p, const struct soap_fault *f,
                      const struct err *e)
{
    (void)arg;
    told(p != NULL, f, e);
    if (p == NULL)
        return;
    is_text(p->context);
    assert(p->bookmark.count <= WINRM_BOOKMARKS);
    for (size_t i = 0; i < p->bookmark.count; i++)
        is_text(p->bookmark.at[i].channel);
    for (const struct xml_node *c = p->items != NULL ? p->items->child : NULL; c != NULL;
         c = c->next)
        is_text(c->text);
}

static void on_identified(void *arg, const struct winrm_identity *i, const struct soap_fault *f,
                          const struct err *e)
{
    (void)arg;
    told(i != NULL, f, e);
    if (i != NULL) {
        is_shown(i->vendor);
        is_shown(i->version);
        is_shown(i->protocol);
    }
}

static void on_ran(void *arg, const struct winrm_ran *r, const struct err *e)
{
    (void)arg;
    told(r != NULL, NULL, e);
    assert(fake.call == NULL);
    if (r != NULL) {
        assert(r->out_len <= WINRM_OUTPUT_MAX && r->err_len <= WINRM_OUTPUT_MAX);
        assert(r->out[r->out_len] == '\0' && r->err_out[r->err_len] == '\0');
    }
}

static void read_it(const uint8_t *s, size_t n, const char *type)
{
    struct soap_answer a;
    struct err e = ERR_NONE;

    if (soap_read(s, n, type, NULL, &a, &e) < 0) {
        assert(e.code == ERR_INVALID || e.code == ERR_TOOBIG);
        /* Who it is for makes no envelope of it. */
        assert(soap_read(s, n, type, FAKE_ID, &a, &e) < 0);
        return;
    }
    is_text(a.action);
    is_text(a.relates_to);
    assert(a.body != NULL);
    if (a.fault.kind != SOAP_NO_FAULT) {
        is_shown(a.fault.machine);
        is_shown(a.fault.subcode);
        is_shown(a.fault.words);
        assert(a.fault.words[0] != '\0');
        assert((a.fault.code == 0) == (a.fault.outer == 0));
        assert(soap_fault_word(a.fault.kind) != NULL);
        assert(soap_fault_err(&a.fault, "x", &e) < 0 && e.code != ERR_OK);
    }
    soap_answer_done(&a);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

/* A shell whose answer number `at` it is: Create, Command, Receive, Signal, Delete. */
static void in_a_shell(const uint8_t *s, size_t n, const char *type, int at)
{
    static const char *const well[] = {
        "<rsp:Shell><rsp:ShellId>S</rsp:ShellId></rsp:Shell>",
        "<rsp:CommandResponse><rsp:CommandId>C</rsp:CommandId></rsp:CommandResponse>",
        "<rsp:ReceiveResponse><rsp:CommandState State='" SOAP_RSP
        "/CommandState/Done'><rsp:ExitCode>0</rsp:ExitCode></rsp:CommandState></"
        "rsp:ReceiveResponse>",
        "",
        "",
    };
    struct winrm_run *run;
    struct err e;

    callbacks = 0;
    if (winrm_run_start(&fake.winrm, "exit 0", 3600000, on_ran, NULL, &run, &e) < 0)
        return;
    for (int i = 0; i < at; i++)
        fake_answer("", well[i]);
    fake_bytes(s, n, type, NULL);
    for (int i = 0; i < 8 && callbacks == 0; i++) {
        assert(fake.call != NULL);
        fake_answer("", strstr(fake.action, "/Receive") != NULL   ? well[2]
                        : strstr(fake.action, "/Command") != NULL ? well[1]
                                                                  : "");
    }
    assert(callbacks == 1 && fake.call == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const types[] = {
        NULL,
        "application/soap+xml;charset=UTF-8",
        "application/soap+xml; charset=utf-16",
        "application/soap+xml;charset=\"UTF-16LE\"",
        "application/soap+xml;charset=utf-16be",
    };
    struct winrm_call *call;
    const char *type;
    const uint8_t *end;
    struct err e;
    int at;

    if (fake.winrm.loop == NULL && loop_new(&fake.winrm.loop, &e) < 0)
        return 0;
    if (n == 0)
        return 0;
    /* The first byte: which type, and where in a shell; or the type is the data's own, up to a NUL.
     */
    at = data[0] / 8 % 5;
    end = memchr(data, '\0', n);
    if (data[0] % 8 < ARRAY_LEN(types)) {
        type = types[data[0] % 8];
        data++;
        n--;
    } else if (end != NULL) {
        type = (const char *)data + 1;
        n -= (size_t)(end + 1 - data);
        data = end + 1;
    } else {
        return 0;
    }
    read_it(data, n, type);
    callbacks = 0;
    if (winrm_subscribe_start(&fake.winrm, &(struct winrm_subscribe){.operation_ms = 1},
                              on_subscribed, NULL, &call, &e) == 0)
        fake_bytes(data, n, type, NULL);
    if (winrm_pull_start(&fake.winrm, &(struct winrm_pull){.context = "c", .operation_ms = 1},
                         on_pulled, NULL, &call, &e) == 0)
        fake_bytes(data, n, type, NULL);
    if (winrm_identify_start(&fake.winrm, true, on_identified, NULL, &call, &e) == 0)
        fake_bytes(data, n, type, NULL);
    assert(callbacks == 3);
    in_a_shell(data, n, type, at);
    if (loop_timer_start(fake.winrm.loop, 0, stop, fake.winrm.loop) != NULL)
        (void)loop_run(fake.winrm.loop, &e); /* frees the stopped timers */
    return 0;
}
