/* base/winrm_shell.c -- see winrm_shell.h. MS-WSMV 3.1.4.11 to 3.1.4.16; winrm.md section 6.
 *
 *   winrm_run_start   Create
 *   on_created        Command, once and never again
 *   on_commanded      Receive
 *   on_received       chunks; again until Done
 *   on_signalled      a command is told to end, also after a normal end
 *   on_deleted        the shell is gone: the answer
 *
 * Invariants: a shell that was made is deleted, whatever happened in it; what it said is told after
 * that. Only one that is abandoned, or whose id never came, is left to its idle time. From Command
 * on nothing but a clear no, or an end that was seen, says more than ERR_UNPROVEN.
 */
#include "base/winrm_shell.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/soap_inside.h"

#define RESOURCE SOAP_RSP "/cmd"
#define ACTION_CREATE SOAP_X "/Create"
#define ACTION_DELETE SOAP_X "/Delete"
#define ACTION_COMMAND SOAP_RSP "/Command"
#define ACTION_RECEIVE SOAP_RSP "/Receive"
#define ACTION_SIGNAL SOAP_RSP "/Signal"
#define TERMINATE SOAP_RSP "/signal/terminate"
#define STATE_DONE SOAP_RSP "/CommandState/Done"

enum {
    ENCODED_MAX = 8191 - 100, /* a command line, less what stands before it */
    RECEIVE_MS = 20 * 1000,
    END_MS = 10 * 1000, /* for what ends a shell */
    ID_MAX = 128,
};

struct winrm_run {
    struct winrm *w;
    struct winrm_call *call;
    winrm_ran_cb cb;
    void *arg;
    struct loop_timer *limit; /* all_ms; NULL once it is over */
    char *encoded;            /* of the script; NULL: only a shell is tried */
    char shell[ID_MAX], command[ID_MAX];
    struct text out, err_out;
    bool truncated, done, has_exit;
    bool tidying; /* how it went is known, and is not changed any more */
    int32_t exit_code;
    struct err why; /* ERR_OK: it ran */
};

static void on_created(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                       const struct err *e);
static void on_commanded(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                         const struct err *e);
static void receive(struct winrm_run *r);
static void on_received(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                        const struct err *e);
static void end(struct winrm_run *r);
static void on_signalled(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                         const struct err *e);
static void delete (struct winrm_run *r);
static void on_deleted(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                       const struct err *e);
static void finish(struct winrm_run *r);

static void run_free(struct winrm_run *r)
{
    loop_timer_stop(&r->limit);
    winrm_call_abandon(r->call);
    text_done(&r->out);
    text_done(&r->err_out);
    free(r->encoded);
    free(r);
}

/* Every request after Create names the shell. */
static int ask(struct winrm_run *r, const char *action,
               void (*body)(struct xml_out *, const void *), const struct soap_pair *options,
               size_t count, uint64_t ms, winrm_cb cb, struct err *e)
{
    struct soap_pair shell = {"ShellId", r->shell};
    struct winrm_ask a = {.resource = RESOURCE,
                          .action = action,
                          .selectors = &shell,
                          .selector_count = r->shell[0] != '\0' ? 1 : 0,
                          .options = options,
                          .option_count = count,
                          .body = body,
                          .arg = r,
                          .operation_ms = ms,
                          .repeat = WINRM_ONCE};

    return winrm_call_start(r->w, &a, cb, r, &r->call, e);
}

/* --- create -------------------------------------------------------------------------------------
 */

static void create_body(struct xml_out *x, const void *arg)
{
    (void)arg;
    xml_out_open(x, "rsp:Shell");
    xml_out_leaf(x, "rsp:InputStreams", "stdin");
    xml_out_leaf(x, "rsp:OutputStreams", "stdout stderr");
    xml_out_close(x);
}

static bool take_id(char buf[ID_MAX], const char *s)
{
    return soap_take(buf, ID_MAX, s) && buf[0] != '\0';
}

/* rsp:ShellId, or the selector of that name in x:ResourceCreated. */
static bool read_shell(const struct xml_node *n, char *buf, unsigned depth)
{
    for (; n != NULL && depth < 16; n = n->next) {
        const char *name = xml_attr(n, "Name");

        if (strcmp(n->name, "ShellId") == 0 && take_id(buf, n->text))
            return true;
        if (strcmp(n->name, "Selector") == 0 && name != NULL && text_eq_nocase(name, "ShellId") &&
            take_id(buf, n->text))
            return true;
        if (read_shell(n->child, buf, depth + 1))
            return true;
    }
    return false;
}

static void command_body(struct xml_out *x, const void *arg)
{
    static const char *const words[] = {"-NoProfile", "-NonInteractive", "-EncodedCommand"};
    const struct winrm_run *r = arg;

    xml_out_open(x, "rsp:CommandLine");
    xml_out_leaf(x, "rsp:Command", "powershell");
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        xml_out_leaf(x, "rsp:Arguments", words[i]);
    xml_out_leaf(x, "rsp:Arguments", r->encoded);
    xml_out_close(x);
}

static void on_created(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                       const struct err *e)
{
    static const struct soap_pair options[] = {{"WINRS_CONSOLEMODE_STDIN", "TRUE"},
                                               {"WINRS_SKIP_CMD_SHELL", "FALSE"}};
    struct winrm_run *r = arg;

    (void)f;
    r->call = NULL;
    if (e != NULL) {
        r->why = *e;
        /* A shell that runs nothing: whatever may have been made, nothing has run. */
        if (r->why.code == ERR_UNPROVEN || r->why.code == ERR_TIMEOUT)
            r->why.code = ERR_UNSENT;
        finish(r);
        return;
    }
    if (!read_shell(a->body->child, r->shell, 0)) {
        (void)err_set(&r->why, ERR_INVALID, 0, "%s: a shell without an id", winrm_host(r->w));
        finish(r);
        return;
    }
    if (r->encoded == NULL || ask(r, ACTION_COMMAND, command_body, options, ARRAY_LEN(options),
                                  RECEIVE_MS, on_commanded, &r->why) < 0)
        delete (r);
}

/* --- command and receive
 * -------------------------------------------------------------------------- */

/* Does the fault say that nothing was begun? One that speaks of time, of the size of an answer or
 * of a service that is stopping may come after the command was. */
static bool is_clear_no(const struct soap_fault *f)
{
    switch (f->kind) {
    case SOAP_DENIED:
    case SOAP_QUOTA:
    case SOAP_NO_RESOURCE:
    case SOAP_NO_SHELL:
    case SOAP_NO_SHELLS:
    case SOAP_OUR_BUG:
        return true;
    default:
        return false;
    }
}

static void on_commanded(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                         const struct err *e)
{
    struct winrm_run *r = arg;
    const struct xml_node *answer;

    r->call = NULL;
    if (e != NULL) {
        r->why = *e;
        if (f != NULL ? !is_clear_no(f) : e->code != ERR_UNSENT && e->code != ERR_AUTH)
            r->why.code = ERR_UNPROVEN;
        delete (r);
        return;
    }
    answer = xml_child(a->body, SOAP_RSP, "CommandResponse");
    if (answer == NULL || !take_id(r->command, soap_text(answer, SOAP_RSP, "CommandId"))) {
        (void)err_set(&r->why, ERR_UNPROVEN, 0, "%s: a command without an id: it may have run",
                      winrm_host(r->w));
        delete (r);
        return;
    }
    receive(r);
}

static void receive_body(struct xml_out *x, const void *arg)
{
    const struct winrm_run *r = arg;

    xml_out_open(x, "rsp:Receive");
    xml_out_open(x, "rsp:DesiredStream");
    xml_out_attr(x, "CommandId", r->command);
    xml_out_text(x, "stdout stderr");
    xml_out_close(x);
    xml_out_close(x);
}

static void receive(struct winrm_run *r)
{
    static const struct soap_pair options[] = {{"WSMAN_CMDSHELL_OPTION_KEEPALIVE", "TRUE"}};

    if (ask(r, ACTION_RECEIVE, receive_body, options, ARRAY_LEN(options), RECEIVE_MS, on_received,
            &r->why) < 0) {
        r->why.code = ERR_UNPROVEN; /* it was begun */
        end(r);
    }
}

/* base64 without regard to white space. False: it is none, or there is no memory. */
static bool add_base64(struct winrm_run *r, struct text *to, const char *s)
{
    EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
    size_t n = strlen(s);
    unsigned char *buf = malloc(n / 4 * 3 + 64);
    int len = 0, tail = 0;
    bool ok = false;

    /* A '-' would be the end of a PEM to it, and what follows be lost without a word. */
    if (ctx != NULL && buf != NULL && strchr(s, '-') == NULL) {
        EVP_DecodeInit(ctx);
        ok = EVP_DecodeUpdate(ctx, buf, &len, (const unsigned char *)s, (int)n) >= 0 &&
             EVP_DecodeFinal(ctx, buf + len, &tail) >= 0;
        len += tail;
    }
    if (ok && (size_t)len > WINRM_OUTPUT_MAX - to->len) {
        len = (int)(WINRM_OUTPUT_MAX - to->len);
        r->truncated = true;
    }
    if (ok)
        text_addn(to, buf, (size_t)len);
    EVP_ENCODE_CTX_free(ctx);
    free(buf);
    return ok && !to->failed;
}

static int take_stream(struct winrm_run *r, const struct xml_node *n)
{
    const char *name = xml_attr(n, "Name");
    struct text *to = name == NULL                  ? NULL
                      : strcmp(name, "stdout") == 0 ? &r->out
                      : strcmp(name, "stderr") == 0 ? &r->err_out
                                                    : NULL;

    if (to == NULL || add_base64(r, to, n->text))
        return 0;
    return err_set(&r->why, ERR_UNPROVEN, 0, "%s: output that cannot be decoded", winrm_host(r->w));
}

static void take_state(struct winrm_run *r, const struct xml_node *n)
{
    const char *state = xml_attr(n, "State");
    char digits[24];
    int64_t code;

    if (state == NULL || strcmp(state, STATE_DONE) != 0)
        return;
    r->done = true;
    if (soap_take(digits, sizeof(digits), soap_text(n, SOAP_RSP, "ExitCode")) &&
        text_to_i64(digits, INT32_MIN, UINT32_MAX, &code)) {
        r->has_exit = true;
        r->exit_code = (int32_t)(uint32_t)code;
    }
}

/* Streams and state of a ReceiveResponse. */
static int take_output(struct winrm_run *r, const struct soap_answer *a)
{
    const struct xml_node *answer = xml_child(a->body, SOAP_RSP, "ReceiveResponse");

    if (answer == NULL)
        return err_set(&r->why, ERR_UNPROVEN, 0, "%s: an answer that is no ReceiveResponse",
                       winrm_host(r->w));
    for (const struct xml_node *n = answer->child; n != NULL; n = n->next) {
        if (strcmp(n->ns, SOAP_RSP) != 0)
            continue;
        if (strcmp(n->name, "Stream") == 0 && take_stream(r, n) < 0)
            return -1;
        if (strcmp(n->name, "CommandState") == 0)
            take_state(r, n);
    }
    return 0;
}

static void on_received(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                        const struct err *e)
{
    struct winrm_run *r = arg;

    r->call = NULL;
    if (e != NULL && (f == NULL || f->kind != SOAP_TIMED_OUT)) {
        r->why = *e;
        r->why.code = ERR_UNPROVEN; /* it was begun */
        end(r);
        return;
    }
    if (e == NULL && take_output(r, a) < 0) {
        end(r);
        return;
    }
    if (r->done)
        end(r);
    else
        receive(r);
}

/* --- the end
 * -------------------------------------------------------------------------------------- */

static void signal_body(struct xml_out *x, const void *arg)
{
    const struct winrm_run *r = arg;

    xml_out_open(x, "rsp:Signal");
    xml_out_attr(x, "CommandId", r->command);
    xml_out_leaf(x, "rsp:Code", TERMINATE);
    xml_out_close(x);
}

/* Also needed after a normal end. */
static void end(struct winrm_run *r)
{
    struct err e; /* the shell goes all the same */

    r->tidying = true;
    if (ask(r, ACTION_SIGNAL, signal_body, NULL, 0, END_MS, on_signalled, &e) < 0)
        delete (r);
}

static void on_signalled(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                         const struct err *e)
{
    struct winrm_run *r = arg;

    (void)a;
    (void)f;
    (void)e; /* the shell goes all the same */
    r->call = NULL;
    delete (r);
}

static void delete (struct winrm_run *r)
{
    struct err e; /* an idle one ends by itself */

    r->tidying = true;
    if (ask(r, ACTION_DELETE, NULL, NULL, 0, END_MS, on_deleted, &e) < 0)
        finish(r);
}

static void on_deleted(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                       const struct err *e)
{
    struct winrm_run *r = arg;

    (void)a;
    (void)f;
    (void)e; /* an idle one ends by itself */
    r->call = NULL;
    finish(r);
}

/* Documents of PowerShell's own XML, each behind a mark or right behind another, and all that is in
 * them is progress? Anything else may be what somebody has to read. */
static bool is_progress(const struct text *t)
{
    static const char mark[] = "#< CLIXML", close[] = "</Objs>";
    const char *s = t->s;

    if (strncmp(s, mark, strlen(mark)) != 0 || strlen(s) != t->len)
        return false;
    while (*(s += strspn(s, " \t\r\n")) != '\0') {
        CLEANUP(xml_freep) struct xml_doc *doc = NULL;
        const char *end, *kind;
        struct err ignored;

        if (strncmp(s, mark, strlen(mark)) == 0) {
            s += strlen(mark);
            continue;
        }
        end = strstr(s, close);
        if (end == NULL)
            return false;
        end += strlen(close);
        if (xml_parse(s, (size_t)(end - s), &doc, &ignored) < 0 ||
            xml_root(doc)->text[strspn(xml_root(doc)->text, " \t\r\n")] != '\0')
            return false;
        for (const struct xml_node *n = xml_root(doc)->child; n != NULL; n = n->next) {
            kind = xml_attr(n, "S");
            if (kind == NULL || strcmp(kind, "progress") != 0)
                return false;
        }
        s = end;
    }
    return true;
}

static void finish(struct winrm_run *r)
{
    struct winrm_ran ran = {0};
    const struct err *e = r->why.code != ERR_OK ? &r->why : NULL;

    loop_timer_stop(&r->limit);
    if (is_progress(&r->err_out))
        text_clear(&r->err_out);
    ran.out = r->out.s;
    ran.out_len = r->out.len;
    ran.err_out = r->err_out.s;
    ran.err_len = r->err_out.len;
    ran.truncated = r->truncated;
    ran.has_exit = r->has_exit;
    ran.exit_code = r->exit_code;
    r->cb(r->arg, e == NULL ? &ran : NULL, e);
    run_free(r);
}

/* --- starting
 * ------------------------------------------------------------------------------------- */

/* Too long: what is in flight is given up, the command is told to end. Tidying up has deadlines of
 * its own, and changes nothing of what is known. */
static void on_limit(void *arg)
{
    struct winrm_run *r = arg;

    r->limit = NULL;
    if (r->tidying)
        return;
    winrm_call_abandon(TAKE(r->call));
    if (r->shell[0] == '\0') {
        (void)err_set(&r->why, ERR_UNSENT, 0, "%s: no shell in time; nothing has run",
                      winrm_host(r->w));
        finish(r);
    } else if (r->command[0] == '\0') {
        (void)err_set(&r->why, ERR_UNPROVEN, 0,
                      "%s: no answer to the command in time: it may have run", winrm_host(r->w));
        delete (r);
    } else {
        (void)err_set(&r->why, ERR_TIMEOUT, 0, "%s: the command took too long and was told to end",
                      winrm_host(r->w));
        end(r);
    }
}

/* UTF-16LE, then base64. */
static int encode(const char *script, char **ret_encoded, struct err *e)
{
    size_t left = strlen(script), n, at = 0;
    CLEANUP(cleanup_charp) char *wide = malloc(left * 2 + 2); /* no more units than bytes */
    CLEANUP(cleanup_charp) char *out = malloc((left * 2 + 2) / 3 * 4 + 8);
    uint32_t c, units[2];

    if (wide == NULL || out == NULL)
        return err_set(e, ERR_NOMEM, 0, "WinRM");
    for (; left > 0; script += n, left -= n) {
        n = text_utf8_next(script, left, &c);
        if (n == 0)
            return err_set(e, ERR_INTERNAL, 0, "WinRM: the script is not UTF-8");
        units[0] = c < 0x10000 ? c : 0xD800 + ((c - 0x10000) >> 10);
        units[1] = 0xDC00 + (c & 0x3FF);
        for (int i = 0; i < (c < 0x10000 ? 1 : 2); i++) {
            wide[at++] = (char)(units[i] & 0xFF);
            wide[at++] = (char)(units[i] >> 8);
        }
    }
    if (EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)wide, (int)at) > ENCODED_MAX)
        return err_set(e, ERR_INTERNAL, 0, "WinRM: the script is too long for a command line");
    *ret_encoded = TAKE(out);
    return 0;
}

static int start(struct winrm *w, const char *script, uint64_t all_ms, winrm_ran_cb cb, void *arg,
                 struct winrm_run **ret_run, struct err *e)
{
    static const struct soap_pair options[] = {{"WINRS_NOPROFILE", "TRUE"},
                                               {"WINRS_CODEPAGE", "65001"}};
    struct winrm_run *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return err_set(e, ERR_NOMEM, 0, "WinRM");
    r->w = w;
    r->cb = cb;
    r->arg = arg;
    text_init(&r->out, WINRM_OUTPUT_MAX);
    text_init(&r->err_out, WINRM_OUTPUT_MAX);
    if (script != NULL && encode(script, &r->encoded, e) < 0)
        goto fail;
    r->limit = loop_timer_start(winrm_loop(w), all_ms, on_limit, r);
    if (r->limit == NULL) {
        (void)err_set(e, ERR_NOMEM, 0, "WinRM");
        goto fail;
    }
    if (ask(r, ACTION_CREATE, create_body, options, ARRAY_LEN(options), RECEIVE_MS, on_created, e) <
        0)
        goto fail;
    *ret_run = r;
    return 0;
fail:
    run_free(r);
    return -1;
}

int winrm_run_start(struct winrm *w, const char *script, uint64_t all_ms, winrm_ran_cb cb,
                    void *arg, struct winrm_run **ret_run, struct err *e)
{
    return start(w, script, all_ms, cb, arg, ret_run, e);
}

int winrm_shell_probe_start(struct winrm *w, winrm_ran_cb cb, void *arg, struct winrm_run **ret_run,
                            struct err *e)
{
    return start(w, NULL, RECEIVE_MS + END_MS, cb, arg, ret_run, e);
}

void winrm_run_abandon(struct winrm_run *r)
{
    if (r != NULL)
        run_free(r);
}
