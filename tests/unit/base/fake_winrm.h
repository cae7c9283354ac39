/* tests/unit/base/fake_winrm.h -- base/winrm.h as a test plays it: it notes what is asked, and
 * calls back when the test says what comes.
 *
 * Linked in place of base/winrm.c, so included by one source of a test. One call at a time. What is
 * asked is written by soap_write and what comes is read by soap_read, as in the real one.
 */
#ifndef CORDON_TESTS_FAKE_WINRM_H
#define CORDON_TESTS_FAKE_WINRM_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/winrm.h"

#define FAKE_ID "uuid:8F0C0DE5-0000-4000-8000-00000000ABCD"

struct winrm {
    struct loop *loop;
};
struct winrm_call {
    winrm_cb cb;
    void *arg, *owned;
};

static struct fake_winrm {
    struct winrm winrm;
    struct winrm_call *call; /* in flight; NULL: none */
    unsigned asked, abandoned;
    bool deaf; /* nothing can be started */
    /* of the last one */
    struct text sent; /* the envelope */
    char action[256];
    enum winrm_repeat repeat;
    uint64_t operation_ms;
    bool anonymous;
} fake = {.sent = {.s = text_empty, .max = 1024UL * 1024}};

int winrm_call_start(struct winrm *w, const struct winrm_ask *ask, winrm_cb cb, void *arg,
                     struct winrm_call **ret_call, struct err *e)
{
    struct soap_request r = {
        .to = "http://dc1.corp.example.com:5985/wsman",
        .resource = ask->resource,
        .action = ask->action,
        .message_id = FAKE_ID,
        .operation_ms = ask->operation_ms,
        .selectors = ask->selectors,
        .selector_count = ask->selector_count,
        .options = ask->options,
        .option_count = ask->option_count,
        .header = ask->header,
        .body = ask->body,
        .arg = ask->arg,
    };
    struct winrm_call *c;

    assert(w == &fake.winrm && fake.call == NULL);
    assert(ask->operation_ms > 0 && (ask->resource == NULL) == (ask->action == NULL));
    if (fake.deaf)
        return err_set(e, ERR_NOMEM, 0, "fake");
    text_clear(&fake.sent);
    if (soap_write(&r, &fake.sent, e) < 0)
        return -1;
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return err_set(e, ERR_NOMEM, 0, "fake");
    *c = (struct winrm_call){cb, arg, ask->owned};
    (void)snprintf(fake.action, sizeof(fake.action), "%s", ask->action != NULL ? ask->action : "");
    fake.repeat = ask->repeat;
    fake.operation_ms = ask->operation_ms;
    fake.anonymous = ask->anonymous;
    fake.asked++;
    fake.call = *ret_call = c;
    return 0;
}

static void fake_free(struct winrm_call *c)
{
    free(c->owned);
    free(c);
}

void winrm_call_abandon(struct winrm_call *c)
{
    if (c == NULL)
        return;
    assert(c == fake.call);
    fake.call = NULL;
    fake.abandoned++;
    fake_free(c);
}

const char *winrm_host(const struct winrm *w)
{
    assert(w == &fake.winrm);
    return "dc1.corp.example.com";
}

struct loop *winrm_loop(const struct winrm *w)
{
    return w->loop;
}

/* The one way back, as winrm_finish: the call is over before its callback, and freed after. */
static void fake_back(const struct soap_answer *a, const struct soap_fault *f, const struct err *e)
{
    struct winrm_call *c = fake.call;

    assert(c != NULL);
    fake.call = NULL;
    c->cb(c->arg, a, f, e);
    fake_free(c);
}

/* These bytes come. An envelope that cannot be read is an error to the caller, as in the real one.
 * `content_type` NULL: by the bytes. */
static inline void fake_bytes(const void *s, size_t n, const char *content_type, const char *id)
{
    struct soap_answer a;
    struct err e = ERR_NONE;

    if (soap_read(s, n, content_type, id, &a, &e) < 0) {
        if (fake.repeat == WINRM_ONCE)
            e.code = ERR_UNPROVEN;
        fake_back(NULL, NULL, &e);
        return;
    }
    if (a.fault.kind != SOAP_NO_FAULT) {
        (void)soap_fault_err(&a.fault, "dc1.corp.example.com", &e);
        fake_back(NULL, &a.fault, &e);
    } else {
        fake_back(&a, NULL, NULL);
    }
    soap_answer_done(&a);
}

static inline void fake_error(enum err_code code)
{
    struct err e;

    (void)err_set(&e, code, 0, "%s", err_word(code));
    fake_back(NULL, NULL, &e);
}

/* An answer with this in its header and its body; the prefixes are those of winrm.md, 3.1. */
static inline void fake_answer(const char *header, const char *body)
{
    CLEANUP(cleanup_charp) char *s = NULL; /* not ours to sweep: libc's own malloc */
    int n = asprintf(&s,
                     "<s:Envelope xmlns:s='" SOAP_S "' xmlns:a='" SOAP_A "' xmlns:n='" SOAP_N
                     "' xmlns:e='" SOAP_E "' xmlns:w='" SOAP_W "' xmlns:x='" SOAP_X
                     "' xmlns:f='" SOAP_F "' xmlns:rsp='" SOAP_RSP "' xmlns:wid='" SOAP_WID
                     "'><s:Header><a:RelatesTo>" FAKE_ID "</a:RelatesTo>%s</s:Header><s:Body>%s"
                     "</s:Body></s:Envelope>",
                     header, body);

    assert(n > 0);
    fake_bytes(s, (size_t)n, "application/soap+xml;charset=UTF-8", FAKE_ID);
}

/* A fault with this number. */
static inline void fake_fault(uint32_t code)
{
    char body[256];

    (void)snprintf(body, sizeof(body),
                   "<s:Fault><s:Detail><f:WSManFault Code='%u'/></s:Detail></s:Fault>", code);
    fake_answer("", body);
}

/* What stands in the last envelope between two texts, the first occurrence of each. */
static inline const char *fake_between(const char *from, const char *to)
{
    static char found[64 * 1024];
    const char *s = strstr(fake.sent.s, from), *end;

    s = s != NULL ? s + strlen(from) : "";
    end = strstr(s, to);
    (void)snprintf(found, sizeof(found), "%.*s", end != NULL ? (int)(end - s) : 0, s);
    return found;
}

static inline const char *fake_body(void)
{
    return fake_between("<s:Body>", "</s:Body>");
}

/* Selectors, options and what else follows the usual header. */
static inline const char *fake_header(void)
{
    return fake_between("</w:OperationTimeout>", "</s:Header>");
}

#endif
