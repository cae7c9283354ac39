/* base/winrm_shell.c -- see winrm_shell.h. MS-WSMV 3.1.4.11 to 3.1.4.16; winrm.md section 6.
 *
 *   winrm_run_start   Create
 *   on_created        Command, once and never again
 *   on_commanded      Receive
 *   on_received       chunks; again until Done
 *   on_signalled      a command is told to end, also after a normal end
 *   on_deleted        the shell is gone: the answer
 *
 * Invariant: a shell that was made is deleted, whatever happened in it; what it said is told after
 * that. Only one that is abandoned is left to its idle time.
 */
#include "base/winrm_shell.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define RESOURCE SOAP_RSP "/cmd"
#define ACTION_CREATE SOAP_X "/Create"
#define ACTION_DELETE SOAP_X "/Delete"
#define ACTION_COMMAND SOAP_RSP "/Command"
#define ACTION_RECEIVE SOAP_RSP "/Receive"
#define ACTION_SIGNAL SOAP_RSP "/Signal"
#define TERMINATE SOAP_RSP "/signal/terminate"
#define STATE_DONE SOAP_RSP "/CommandState/Done"

enum {
    LINE_MAX_CHARS = 8191,
    RECEIVE_MS = 20 * 1000,
    END_MS = 10 * 1000, /* for what ends a shell */
    ID_MAX = 128,
};

struct winrm_run {
    struct winrm *w;
    struct loop *loop;
    struct winrm_call *call;
    winrm_ran_cb cb;
    void *arg;
    struct loop_timer *limit; /* all_ms; NULL once it is over */
    char *encoded;            /* of the script; NULL: only a shell is tried */
    char shell[ID_MAX], command[ID_MAX];
    struct text out, err_out;
    bool truncated, done, has_exit, ending;
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
               size_t count, uint64_t ms, winrm_cb cb)
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
    struct err e;

    if (winrm_call_start(r->w, &a, cb, r, &r->call, &e) == 0)
        return 0;
    if (r->why.code == ERR_OK)
        r->why = e;
    return -1;
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

static bool take(char *buf, size_t size, const char *s)
{
    size_t n;

    s += strspn(s, " \t\r\n");
    n = strcspn(s, " \t\r\n");
    if (n == 0 || n >= size)
        return false;
    memcpy(buf, s, n);
    buf[n] = '\0';
    return true;
}

/* rsp:ShellId, or the selector of that name in x:ResourceCreated. */
static bool read_shell(const struct xml_node *n, char *buf, unsigned depth)
{
    for (; n != NULL && depth < 16; n = n->next) {
        const char *name = xml_attr(n, "Name");

        if (strcmp(n->name, "ShellId") == 0 && take(buf, ID_MAX, n->text))
            return true;
        if (strcmp(n->name, "Selector") == 0 && name != NULL && text_eq_nocase(name, "ShellId") &&
            take(buf, ID_MAX, n->text))
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
        if (r->why.code == ERR_UNPROVEN)
            r->why.code = ERR_UNSENT;
        finish(r);
        return;
    }
    if (!read_shell(a->body->child, r->shell, 0)) {
        (void)err_set(&r->why, ERR_INVALID, 0, "%s: a shell without an id", winrm_host(r->w));
        finish(r);
        return;
    }
    if (r->encoded == NULL || r->ending) {
        delete (r);
        return;
    }
    if (ask(r, ACTION_COMMAND, command_body, options, ARRAY_LEN(options), RECEIVE_MS,
            on_commanded) < 0)
        delete (r);
}

/* --- command and receive
 * -------------------------------------------------------------------------- */

static void on_commanded(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                         const struct err *e)
{
    struct winrm_run *r = arg;
    const struct xml_node *answer;

    r->call = NULL;
    if (e != NULL) {
        r->why = *e;
        /* Only a clear no says that nothing ran. */
        if (f == NULL && e->code != ERR_UNSENT && e->code != ERR_AUTH)
            r->why.code = ERR_UNPROVEN;
        delete (r);
        return;
    }
    answer = xml_child(a->body, SOAP_RSP, "CommandResponse");
    if (answer == NULL ||
        !take(r->command, sizeof(r->command), soap_text(answer, SOAP_RSP, "CommandId"))) {
        (void)err_set(&r->why, ERR_UNPROVEN, 0, "%s: a command without an id: it may have run",
                      winrm_host(r->w));
        delete (r);
        return;
    }
    if (r->ending)
        end(r);
    else
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

    if (ask(r, ACTION_RECEIVE, receive_body, options, ARRAY_LEN(options), RECEIVE_MS, on_received) <
        0)
        end(r);
}

/* base64 without regard to white space. False: it is none. */
static bool add_base64(struct winrm_run *r, struct text *to, const char *s)
{
    EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
    size_t n = strlen(s);
    unsigned char *buf = malloc(n / 4 * 3 + 64);
    int len = 0, tail = 0;
    bool ok = false;

    if (ctx != NULL && buf != NULL) {
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

/* Streams and state of a ReceiveResponse. */
static int take_output(struct winrm_run *r, const struct soap_answer *a)
{
    const struct xml_node *answer = xml_child(a->body, SOAP_RSP, "ReceiveResponse");
    const char *name, *state;
    int64_t code;

    if (answer == NULL)
        return err_set(&r->why, ERR_UNPROVEN, 0, "%s: an answer that is no ReceiveResponse",
                       winrm_host(r->w));
    for (const struct xml_node *n = answer->child; n != NULL; n = n->next) {
        if (strcmp(n->ns, SOAP_RSP) != 0)
            continue;
        if (strcmp(n->name, "Stream") == 0 && n->text[0] != '\0') {
            name = xml_attr(n, "Name");
            if (!add_base64(r, name != NULL && strcmp(name, "stderr") == 0 ? &r->err_out : &r->out,
                            n->text))
                return err_set(&r->why, ERR_UNPROVEN, 0, "%s: output that is no base64",
                               winrm_host(r->w));
        }
        if (strcmp(n->name, "CommandState") == 0) {
            state = xml_attr(n, "State");
            r->done = r->done || (state != NULL && strcmp(state, STATE_DONE) == 0);
            if (text_to_i64(soap_text(n, SOAP_RSP, "ExitCode"), INT32_MIN, UINT32_MAX, &code)) {
                r->has_exit = true;
                r->exit_code = (int32_t)(uint32_t)code;
            }
        }
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
    if (r->done || r->ending)
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
    if (ask(r, ACTION_SIGNAL, signal_body, NULL, 0, END_MS, on_signalled) < 0)
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
    if (ask(r, ACTION_DELETE, NULL, NULL, 0, END_MS, on_deleted) < 0)
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

/* "#< CLIXML" and what follows, where nothing but progress is in it: no error output. */
static void strip_clixml(struct text *t)
{
    static const char mark[] = "#< CLIXML";
    const char *s = t->s;

    if (strncmp(s, mark, sizeof(mark) - 1) != 0 || strstr(s, "S=\"Error\"") != NULL)
        return;
    text_clear(t);
}

static void finish(struct winrm_run *r)
{
    struct winrm_ran ran = {0};
    const struct err *e = r->why.code != ERR_OK ? &r->why : NULL;

    loop_timer_stop(&r->limit);
    strip_clixml(&r->err_out);
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

/* Too long: what is in flight is given up, the command is told to end. */
static void on_limit(void *arg)
{
    struct winrm_run *r = arg;

    r->limit = NULL;
    if (r->done) { /* it ended by itself; only the tidying up is slow */
        finish(r);
        return;
    }
    r->ending = true;
    (void)err_set(&r->why, ERR_TIMEOUT, 0, "%s: the command took too long and was told to end",
                  winrm_host(r->w));
    if (r->shell[0] == '\0') {
        r->why.code = ERR_UNSENT;
        finish(r);
        return;
    }
    winrm_call_abandon(r->call);
    r->call = NULL;
    if (r->command[0] != '\0')
        end(r);
    else
        delete (r);
}

/* UTF-16LE, then base64. NULL: no memory, or not UTF-8. */
static char *encode(const char *script)
{
    size_t left = strlen(script), n, at = 0;
    uint8_t *wide = malloc(left * 2 + 2); /* no character has more units than bytes */
    char *out = malloc((left * 2 + 2) / 3 * 4 + 8);
    uint32_t c;

    while (wide != NULL && out != NULL && left > 0) {
        n = text_utf8_next(script, left, &c);
        if (n == 0 || c > 0xFFFF) { /* our own constants have none of these */
            free(out);
            out = NULL;
            break;
        }
        wide[at++] = (uint8_t)c;
        wide[at++] = (uint8_t)(c >> 8);
        script += n;
        left -= n;
    }
    if (wide != NULL && out != NULL)
        (void)EVP_EncodeBlock((unsigned char *)out, wide, (int)at);
    else {
        free(out);
        out = NULL;
    }
    free(wide);
    return out;
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
    r->loop = winrm_loop(w);
    r->cb = cb;
    r->arg = arg;
    text_init(&r->out, WINRM_OUTPUT_MAX);
    text_init(&r->err_out, WINRM_OUTPUT_MAX);
    if (script != NULL) {
        r->encoded = encode(script);
        if (r->encoded == NULL || strlen(r->encoded) > LINE_MAX_CHARS - 100) {
            (void)err_set(e, r->encoded == NULL ? ERR_NOMEM : ERR_INTERNAL, 0,
                          "the script is too long for a command line");
            goto fail;
        }
    }
    r->limit = loop_timer_start(r->loop, all_ms, on_limit, r);
    if (r->limit == NULL) {
        (void)err_set(e, ERR_NOMEM, 0, "WinRM");
        goto fail;
    }
    if (ask(r, ACTION_CREATE, create_body, options, ARRAY_LEN(options), RECEIVE_MS, on_created) <
        0) {
        *e = r->why;
        goto fail;
    }
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
