/* cloud/defender_marker.c -- what the script is told, what it answers, and what that means. Pure.
 *
 * The answer is one line, "CORDON1 NONCE JSON" (installer/defender/cordon-dc.ps1), among whatever
 * else the sensor brings: transcript lines, NULs, raw line feeds within JSON strings, another code
 * page (defender-endpoint.md 8.4). It counts only with the nonce of this very run.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cloud/defender_inside.h"
#include "cloud/field.h"

#define MARK "CORDON1 "

enum {
    PAYLOAD_MAX = 3900,
    COMMENT_MAX = 800,
    MARKER_MAX = 16 * 1024,
    EXIT_HASH = 323, /* the sensor's own */
};

/* --- what it is told -------------------------------------------------------------------------- */

bool defender_payload_ok(const char *s)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

    /* '{"' begins so; "c1_" stands before it later. What comes after "-Payload" is PowerShell's
     * source (defender-endpoint.md 11.2): nothing else may ever get there. */
    return s != NULL && strncmp(s, "eyJ", 3) == 0 && strlen(s) <= PAYLOAD_MAX &&
           s[strspn(s, set)] == '\0';
}

void defender_write_start(struct text *body, const char *script, const char *payload,
                          const char *nonce, const char *comment)
{
    CLEANUP(text_done) struct text args = TEXT_INIT(PAYLOAD_MAX + 64);
    CLEANUP(text_done) struct text marked = TEXT_INIT(2048);
    char words[COMMENT_MAX];
    struct json_out o;

    text_addf(&args, "-Payload c1_%s", payload);
    field_copy(words, sizeof(words), comment);
    text_addf(&marked, "cordon %s: %s", nonce, words);
    body->failed = body->failed || args.failed || marked.failed;
    json_out_init(&o, body);
    json_out_object(&o, NULL);
    json_out_array(&o, "Commands");
    json_out_object(&o, NULL);
    json_out_str(&o, "type", "RunScript");
    json_out_array(&o, "params");
    json_out_object(&o, NULL);
    json_out_str(&o, "key", "ScriptName");
    json_out_str(&o, "value", script);
    json_out_end_object(&o);
    json_out_object(&o, NULL);
    json_out_str(&o, "key", "Args");
    json_out_str(&o, "value", args.s);
    json_out_end_object(&o);
    json_out_end_array(&o);
    json_out_end_object(&o);
    json_out_end_array(&o);
    json_out_str(&o, "Comment", marked.s);
    json_out_end_object(&o);
}

/* --- the marker ------------------------------------------------------------------------------- */

static bool is_filling(char c) /* what a console or the sensor puts in, and JSON cannot hold */
{
    return c == '\r' || c == '\n' || c == '\0';
}

/* A line begins at s: nothing stands before it but other lines, NULs or a byte order mark. */
static bool begins_line(const char *out, const char *s)
{
    return s == out || is_filling(s[-1]) || (s - out >= 3 && memcmp(s - 3, "\xef\xbb\xbf", 3) == 0);
}

/* The object that begins at s, up to its last bracket. -1: it has no end. */
static int take_object(const char *s, const char *end, struct text *t)
{
    bool inside = false, escaped = false;
    unsigned depth = 0;

    for (; s < end; s++) {
        if (is_filling(*s))
            continue;
        text_addc(t, *s);
        if (inside) {
            inside = escaped || *s != '"';
            escaped = !escaped && *s == '\\';
        } else if (*s == '"') {
            inside = true;
        } else if (*s == '{') {
            depth++;
        } else if (*s == '}' && --depth == 0) {
            return s + 1 == end || is_filling(s[1]) || s[1] == ' ' ? 0 : -1;
        }
    }
    return -1;
}

/* s: behind the mark. */
static int take_line(const char *s, const char *end, const char *nonce, struct text *t,
                     struct err *e)
{
    size_t n = strlen(nonce);

    if ((size_t)(end - s) < n + 2 || memcmp(s, nonce, n) != 0 || s[n] != ' ')
        return err_set(e, ERR_INVALID, 0,
                       "the script's marker line is of another run: its nonce is not ours");
    if (s[n + 1] != '{' || take_object(s + n + 1, end, t) < 0)
        return err_set(e, ERR_INVALID, 0, "the script's marker line is cut, or no JSON");
    return text_check(t, "the script's marker line", e);
}

int defender_marker(const char *out, size_t n, const char *nonce, struct text *json, struct err *e)
{
    const struct json_limits lim = {.bytes = MARKER_MAX, .depth = 8};
    CLEANUP(text_done) struct text line = TEXT_INIT(MARKER_MAX);
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const char *end = out + n, *found = NULL;

    for (const char *at = out; (at = memmem(at, (size_t)(end - at), MARK, strlen(MARK))) != NULL;
         at += strlen(MARK)) {
        if (!begins_line(out, at))
            continue;
        if (found != NULL)
            return err_set(e, ERR_INVALID, 0, "the script wrote several marker lines");
        found = at;
    }
    if (found == NULL)
        return err_set(e, ERR_INVALID, 0, "the script wrote no marker line");
    if (take_line(found + strlen(MARK), end, nonce, &line, e) < 0)
        return -1;
    if (json_parse(line.s, line.len, &lim, &j, e) < 0)
        return err_wrap(e, "the script's marker line");
    text_addn(json, line.s, line.len);
    return text_check(json, "the script's marker line", e);
}

int defender_read_claim(const char *json, size_t n, struct defender_claim *ret_claim, struct err *e)
{
    static const enum defender_end ends[] = {DEFENDER_DONE, DEFENDER_ALREADY, DEFENDER_REFUSED,
                                             DEFENDER_FAILED, DEFENDER_UNKNOWN};
    const struct json_limits lim = {.bytes = MARKER_MAX, .depth = 8};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct defender_claim c = {0};
    const char *outcome;

    if (json_parse(json, n, &lim, &j, e) < 0)
        return err_wrap(e, "the script's marker line");
    outcome = json_str(j, "outcome");
    (void)field_shown(c.code, sizeof(c.code), json_str(j, "code"));
    (void)field_shown(c.detail, sizeof(c.detail), json_str(j, "detail"));
    (void)field_shown(c.computer, sizeof(c.computer), json_str(j, "computer"));
    for (size_t i = 0; outcome != NULL && i < ARRAY_LEN(ends); i++) {
        if (strcmp(outcome, defender_end_word(ends[i])) == 0) {
            c.end = ends[i];
            *ret_claim = c;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, 0, "the script's marker line has no outcome that is known");
}

/* --- the result that the link leads to -------------------------------------------------------- */

/* "\u0000", and halves of surrogate pairs: what no reader of JSON should have to take. */
static bool is_bad_escape(const char *s, size_t left)
{
    return left >= 6 && s[0] == '\\' && s[1] == 'u' &&
           (memcmp(s + 2, "0000", 4) == 0 ||
            ((s[2] == 'd' || s[2] == 'D') && strchr("89abcdefABCDEF", s[3]) != NULL &&
             s[3] != '\0'));
}

/* One piece of a string from s on: what of it stays, and how long it was. */
static size_t clean_piece(const char *s, size_t left, struct text *t)
{
    unsigned char c = (unsigned char)*s;
    uint32_t ignored;
    size_t n;

    if (is_bad_escape(s, left))
        return 6;
    if (c == '\\' && left >= 2) {
        text_addn(t, s, 2);
        return 2;
    }
    if (c < 0x20) {
        if (c != '\0')
            text_addf(t, "\\u%04x", c);
        return 1;
    }
    n = text_utf8_next(s, left, &ignored);
    if (n == 0)
        text_addc(t, '?'); /* another code page */
    else
        text_addn(t, s, n);
    return n == 0 ? 1 : n;
}

/* JSON as the sensor writes it to JSON as it should be. */
static void clean(const char *s, size_t n, struct text *t)
{
    bool inside = false;
    size_t i = n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

    while (i < n) {
        if (s[i] == '"') {
            inside = !inside;
            text_addc(t, s[i++]);
        } else if (inside) {
            i += clean_piece(s + i, n - i, t);
        } else {
            if (s[i] != '\0')
                text_addc(t, s[i]);
            i++;
        }
    }
}

int defender_read_output(const char *body, size_t n, struct defender_output *out, struct err *e)
{
    const struct json_limits lim = {.bytes = 2 * (size_t)DEFENDER_ANSWER_MAX,
                                    .string = DEFENDER_ANSWER_MAX,
                                    .flags = JSON_FLOATS};
    CLEANUP(text_done) struct text text = TEXT_INIT(2 * (size_t)DEFENDER_ANSWER_MAX);
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const char *script, *errors;

    *out = (struct defender_output){.script = TEXT_INIT(DEFENDER_ANSWER_MAX)};
    clean(body, n, &text);
    if (text_check(&text, "the result", e) < 0 || json_parse(text.s, text.len, &lim, &j, e) < 0)
        return err_wrap(e, "Defender: the result");
    script = json_str(j, "script_output");
    errors = json_str(j, "script_errors");
    if (errors == NULL)
        errors = json_str(j, "script_error");
    if (script == NULL)
        return err_set(e, ERR_INVALID, 0, "Defender: the result has no 'script_output'");
    out->has_exit = json_i64(j, "exit_code", &out->exit_code);
    (void)field_shown(out->errors, sizeof(out->errors), errors);
    text_add(&out->script, script);
    return text_check(&out->script, "the result", e);
}

/* --- what it means ---------------------------------------------------------------------------- */

/* Appends; what does not fit is cut. */
static void add_words(struct defender_result *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void add_words(struct defender_result *r, const char *fmt, ...)
{
    size_t n = strlen(r->words);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(r->words + n, sizeof(r->words) - n, fmt, ap);
    va_end(ap);
}

static void add_exit(struct defender_result *r, const struct defender_output *out)
{
    if (out->has_exit && out->exit_code != 0)
        add_words(r, "; exit code %lld%s", (long long)out->exit_code,
                  out->exit_code == EXIT_HASH ? ": the sensor says that the file is not the one in "
                                                "the library"
                                              : "");
    if (out->errors[0] != '\0')
        add_words(r, "; %s", out->errors);
}

static void judge_claim(const struct defender_output *out, const struct defender_claim *c,
                        struct defender_result *r)
{
    static const char *const words[] = {
        [DEFENDER_DONE] = "done",         [DEFENDER_ALREADY] = "it was so already",
        [DEFENDER_REFUSED] = "refused",   [DEFENDER_FAILED] = "failed, and nothing was changed",
        [DEFENDER_UNKNOWN] = "not known",
    };
    bool good = c->end == DEFENDER_DONE || c->end == DEFENDER_ALREADY;

    add_words(r, "the script on %s says: %s", c->computer[0] != '\0' ? c->computer : "the DC",
              words[c->end]);
    if (c->code[0] != '\0')
        add_words(r, " (%s)", c->code);
    if (c->detail[0] != '\0')
        add_words(r, ": %s", c->detail);
    add_exit(r, out);
    r->end = c->end;
    /* Its line is the last that it does: whoever ended it otherwise contradicts it. */
    if (out->has_exit && out->exit_code != 0)
        r->end = DEFENDER_UNKNOWN;
    else if (good)
        return;
    r->code = r->end == DEFENDER_UNKNOWN ? ERR_UNPROVEN : ERR_REFUSED;
}

static void judge_silent(const struct defender_action *a, const struct defender_output *out,
                         const struct err *why_not, bool was_running, struct defender_result *r)
{
    bool never_began = !a->began && !was_running && !a->succeeded;
    char status[TEXT_SHOWN];

    r->end = never_began ? DEFENDER_FAILED : DEFENDER_UNKNOWN;
    r->code = !never_began ? ERR_UNPROVEN : a->cancelled ? ERR_TIMEOUT : ERR_REFUSED;
    add_words(r, "the action ended as '%s'%s", text_shown(status, a->status),
              never_began ? " before the script began" : "");
    if (why_not != NULL)
        add_words(r, ": %s", why_not->msg);
    if (out != NULL)
        add_exit(r, out);
    if (a->error[0] != '\0')
        add_words(r, "; %s", a->error);
}

void defender_judge(const struct defender_action *a, const struct defender_output *out,
                    const struct defender_claim *claim, const struct err *why_not, bool was_running,
                    struct defender_result *r)
{
    if (claim != NULL && out != NULL)
        judge_claim(out, claim, r);
    else
        judge_silent(a, out, why_not, was_running, r);
}

const char *defender_end_word(enum defender_end how)
{
    static const char *const words[] = {
        [DEFENDER_DONE] = "done",       [DEFENDER_ALREADY] = "already",
        [DEFENDER_REFUSED] = "refused", [DEFENDER_FAILED] = "failed",
        [DEFENDER_BUSY] = "busy",       [DEFENDER_UNKNOWN] = "unknown",
    };

    return (size_t)how < ARRAY_LEN(words) ? words[how] : "unknown";
}

/* --- where a result may be ----------------------------------------------------------------------
 */

/* Is `host` (with its port, if it has one) the entry, or below it? */
static bool is_below(const char *host, size_t n, const char *entry, bool itself)
{
    size_t m = strlen(entry);

    if (m == 0 || n < m || strncasecmp(host + n - m, entry, m) != 0)
        return false;
    return n == m ? itself : n > m + 1 && host[n - m - 1] == '.';
}

bool defender_host_ok(const char *url, char *const *hosts, size_t count)
{
    static const char *const theirs[] = {"blob.core.windows.net", "core.windows.net",
                                         "core.usgovcloudapi.net"};
    static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
    const char *host, *port;
    size_t n, name;

    if (url == NULL || strncmp(url, "https://", 8) != 0)
        return false;
    host = url + 8;
    n = strcspn(host, "/?#");
    name = strspn(host, set);
    port = host + name;
    if (n == 0 || host[n] != '/' || (name < n && *port != ':') || *host == '.' || *host == '-' ||
        memmem(host, n, "..", 2) != NULL ||
        (name < n && strspn(port + 1, "0123456789") != n - name - 1))
        return false;
    for (size_t i = 0; name == n && i < ARRAY_LEN(theirs); i++) {
        if (is_below(host, n, theirs[i], /* itself */ false))
            return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (is_below(host, n, hosts[i], /* itself */ true))
            return true;
    }
    return false;
}

bool defender_link_ok(const struct defender_settings *s, const char *url)
{
    return defender_host_ok(url, (char *const *)(uintptr_t)s->result_hosts, s->result_host_count);
}
