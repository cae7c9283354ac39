/* cloud/defender_marker.c -- what the script is told, what it answers, and what that means. Pure.
 *
 * The answer is one line, "CORDON1:<base64url of JSON>:END", among whatever else the sensor brings:
 * transcript lines, NULs, raw line feeds within JSON strings, another code page
 * (defender-endpoint.md 8.4, 11.5). It is believed only where it repeats the nonce of this very
 * run.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/jws.h"
#include "cloud/defender_inside.h"
#include "cloud/field.h"

#define MARK "CORDON1:"
#define MARK_END ":END"

enum { MARKER_MAX = 16 * 1024, PAYLOAD_MAX = 1024, DOMAIN_MAX = 253, JOB_MAX = 64 };
enum { /* the script's exit codes, reference 11.5 */
       EXIT_DONE = 0,
       EXIT_PAYLOAD = 10,
       EXIT_EXPIRED = 11,
       EXIT_TARGET = 12,
       EXIT_DIRECTORY = 20,
       EXIT_RODC = 21,
       EXIT_NO_EVENT = 30,
       EXIT_HASH = 323, /* the sensor's own */
};

/* --- what it is told -------------------------------------------------------------------------- */

static bool op_ok(const char *op)
{
    static const char *const known[] = {"disable", "enable", "expire-password", "reset-password",
                                        "probe"};

    for (size_t i = 0; op != NULL && i < ARRAY_LEN(known); i++) {
        if (strcmp(op, known[i]) == 0)
            return true;
    }
    return false;
}

int defender_payload(const struct defender_order *o, struct text *payload, struct err *e)
{
    CLEANUP(text_done) struct text json = TEXT_INIT(PAYLOAD_MAX);
    struct json_out out;

    if (!op_ok(o->op) || (o->sid == NULL) != (strcmp(o->op, "probe") == 0) ||
        (o->sid != NULL && !field_sid_ok(o->sid)) || o->nonce == NULL || strlen(o->nonce) != 16 ||
        strspn(o->nonce, "0123456789abcdef") != 16 || o->exp_s <= 0 ||
        !field_opaque_ok(o->domain) || !field_opaque_ok(o->job))
        return err_set(e, ERR_USAGE, 0, "Defender: not an order for the script");
    json_out_init(&out, &json);
    json_out_object(&out, NULL);
    json_out_i64(&out, "v", 1);
    json_out_str(&out, "op", o->op);
    if (o->sid != NULL)
        json_out_str(&out, "sid", o->sid);
    json_out_str(&out, "nonce", o->nonce);
    json_out_i64(&out, "exp", o->exp_s);
    json_out_bool(&out, "pwdNext", o->pwd_next);
    json_out_bool(&out, "clearNever", o->clear_never);
    json_out_str(&out, "dom", o->domain);
    json_out_str(&out, "job", o->job);
    json_out_end_object(&out);
    if (text_check(&json, "Defender", e) < 0)
        return -1;
    jws_b64url(payload, json.s, json.len);
    return text_check(payload, "Defender", e);
}

/* --- the marker ------------------------------------------------------------------------------- */

/* What stands between the marks at `s`, without what wrapping put into it. -1: it has no end. */
static int marker_at(const char *s, const char *end, struct text *t)
{
    text_clear(t);
    s += strlen(MARK);
    for (; s < end; s++) {
        if ((size_t)(end - s) >= strlen(MARK_END) && memcmp(s, MARK_END, strlen(MARK_END)) == 0)
            return 0;
        if (*s == '\r' || *s == '\n' || *s == ' ' || *s == '\0')
            continue;
        text_addc(t, *s);
    }
    return -1;
}

static int decode_marker(const struct text *raw, const char *nonce, struct text *json,
                         struct err *e)
{
    const struct json_limits lim = {.bytes = MARKER_MAX, .depth = 4, .members = 64};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    CLEANUP(cleanup_charp) char *buf = malloc(raw->len + 1);
    const char *theirs;
    size_t n = 0;

    if (buf == NULL)
        return err_set(e, ERR_NOMEM, 0, "Defender");
    if (raw->len == 0 || !jws_unb64url((uint8_t *)buf, raw->len, raw->s, raw->len, &n))
        return err_set(e, ERR_INVALID, 0, "the script's marker line is no base64url");
    if (json_parse(buf, n, &lim, &j, e) < 0)
        return err_wrap(e, "the script's marker line");
    theirs = json_str(j, "nonce");
    if (theirs == NULL || strcmp(theirs, nonce) != 0)
        return err_set(e, ERR_INVALID, 0,
                       "the script's marker line is of another run: its nonce is not ours");
    text_addn(json, buf, n);
    return text_check(json, "Defender", e);
}

int defender_marker(const char *out, size_t n, const char *nonce, struct text *json, struct err *e)
{
    CLEANUP(text_done) struct text first = TEXT_INIT(MARKER_MAX);
    CLEANUP(text_done) struct text other = TEXT_INIT(MARKER_MAX);
    const char *end = out + n, *at = out;
    unsigned found = 0;

    while ((at = memmem(at, (size_t)(end - at), MARK, strlen(MARK))) != NULL) {
        struct text *t = found++ == 0 ? &first : &other;

        if (marker_at(at, end, t) < 0)
            return err_set(e, ERR_INVALID, 0, "the script's marker line is cut");
        if (text_check(t, "the script's marker line", e) < 0)
            return -1;
        if (t == &other && strcmp(first.s, other.s) != 0)
            return err_set(e, ERR_INVALID, 0, "the script wrote several marker lines that differ");
        at += strlen(MARK);
    }
    if (found == 0)
        return err_set(e, ERR_INVALID, 0, "the script wrote no marker line");
    return decode_marker(&first, nonce, json, e);
}

static int read_number(const struct cJSON *j, const char *name, bool *ret_has, int64_t *ret,
                       struct err *e)
{
    const struct cJSON *v = json_get(j, name);

    *ret_has = v != NULL && !json_is_null(v);
    if (*ret_has && !json_value_i64(v, ret))
        return err_set(e, ERR_INVALID, 0, "'%s' is no whole number", name);
    return 0;
}

static int read_event(const struct cJSON *j, struct defender_said *s, struct err *e)
{
    bool has;

    if (j == NULL || json_is_null(j))
        return 0;
    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, 0, "'event' is no object");
    if (read_number(j, "id", &has, &s->event_id, e) < 0 ||
        read_number(j, "record", &has, &s->event_record, e) < 0 ||
        field_time(j, "time", FIELD_MAY_LACK, &s->event_ms, e) < 0)
        return -1;
    return 0;
}

int defender_read_said(const char *json, size_t n, struct defender_said *ret_said, struct err *e)
{
    const struct json_limits lim = {.bytes = MARKER_MAX, .depth = 4, .members = 64};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct defender_said s = {0};
    const struct cJSON *err;
    int64_t version = 0;
    bool has;

    if (json_parse(json, n, &lim, &j, e) < 0)
        return err_wrap(e, "the script's marker line");
    if (read_number(j, "v", &has, &version, e) < 0 ||
        field_bool(j, "ok", FIELD_MUST, NULL, &s.ok, e) < 0 ||
        field_bool(j, "already", FIELD_MAY_LACK, NULL, &s.already, e) < 0 ||
        field_str(j, "op", FIELD_MAY_LACK, s.op, sizeof(s.op), e) < 0 ||
        field_str(j, "dc", FIELD_MAY_LACK, s.dc, sizeof(s.dc), e) < 0 ||
        field_str(j, "sid", FIELD_MAY_LACK, s.sid, sizeof(s.sid), e) < 0 ||
        field_str(j, "lang", FIELD_MAY_LACK, s.lang, sizeof(s.lang), e) < 0 ||
        read_number(j, "uacBefore", &s.has_uac_before, &s.uac_before, e) < 0 ||
        read_number(j, "uacAfter", &s.has_uac_after, &s.uac_after, e) < 0 ||
        read_number(j, "usn", &has, &s.usn, e) < 0 || read_event(json_get(j, "event"), &s, e) < 0)
        return err_wrap(e, "the script's marker line");
    if (version != 1)
        return err_set(e, ERR_INVALID, 0, "the script's marker line is of another version");
    err = json_get(j, "err");
    if (err != NULL && !json_is_null(err) && json_value_str(err) == NULL)
        return err_set(e, ERR_INVALID, 0, "the script's marker line: 'err' is no text");
    (void)field_shown(s.err, sizeof(s.err), json_value_str(err));
    *ret_said = s;
    return 0;
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

static void end(struct defender_result *r, enum defender_end how, enum err_code code)
{
    r->end = how;
    r->code = code;
}

/* What the exit code alone says; NULL: nothing. */
static const char *exit_words(const struct defender_output *out)
{
    if (out == NULL || !out->has_exit)
        return NULL;
    switch (out->exit_code) {
    case EXIT_PAYLOAD:
        return "it did not understand its argument";
    case EXIT_EXPIRED:
        return "the order had expired, or the DC's clock is wrong";
    case EXIT_TARGET:
        return "it refuses to touch that account";
    case EXIT_DIRECTORY:
        return "the directory refused";
    case EXIT_RODC:
        return "the DC is read-only";
    case EXIT_NO_EVENT:
        return "changed, and no event was seen";
    case EXIT_HASH:
        return "the sensor says that the file is not the one in the library";
    default:
        return NULL;
    }
}

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

static void judge_done(const struct defender_output *out, const struct defender_said *s,
                       struct defender_result *r)
{
    char dc[TEXT_SHOWN];

    end(r, s->already ? DEFENDER_ALREADY : DEFENDER_DONE, ERR_OK);
    add_words(r, "the script on %s says: %s", text_shown(dc, s->dc[0] != '\0' ? s->dc : "the DC"),
              s->already ? "it was so already" : "done");
    if (s->has_uac_after)
        add_words(r, "; userAccountControl %lld", (long long)s->uac_after);
    if (s->event_id != 0)
        add_words(r, "; event %lld, record %lld", (long long)s->event_id,
                  (long long)s->event_record);
    else if (out->has_exit && out->exit_code == EXIT_NO_EVENT)
        add_words(r, "; it saw no event of it");
}

/* It says that it did not: is that a refusal, a failure, or can it not know? */
static void judge_not_done(const struct defender_output *out, const struct defender_said *s,
                           struct defender_result *r)
{
    bool untouched = !s->has_uac_before || (s->has_uac_after && s->uac_after == s->uac_before);
    int64_t code = out->has_exit ? out->exit_code : -1;
    const char *words = exit_words(out);

    if (code == EXIT_PAYLOAD || code == EXIT_EXPIRED || code == EXIT_TARGET)
        end(r, DEFENDER_REFUSED, ERR_REFUSED);
    else if (code == EXIT_RODC || (code == EXIT_DIRECTORY && untouched))
        end(r, DEFENDER_FAILED, ERR_REFUSED);
    else
        end(r, DEFENDER_UNKNOWN, ERR_UNPROVEN);
    add_words(r, "the script on the DC says: not done");
    if (words != NULL)
        add_words(r, ": %s", words);
    if (s->err[0] != '\0')
        add_words(r, ": %s", s->err);
}

static void judge_silent(const struct defender_action *a, const struct defender_output *out,
                         const struct err *why_not, bool was_running, struct defender_result *r)
{
    bool never_began = !a->began && !was_running && !a->succeeded;
    const char *words = exit_words(out);
    char status[TEXT_SHOWN];

    if (never_began)
        end(r, DEFENDER_FAILED, a->cancelled ? ERR_TIMEOUT : ERR_REFUSED);
    else
        end(r, DEFENDER_UNKNOWN, ERR_UNPROVEN);
    add_words(r, "the action ended as '%s'%s", text_shown(status, a->status),
              never_began ? " before the script began" : "");
    if (why_not != NULL)
        add_words(r, ": %s", why_not->msg);
    if (out != NULL && out->has_exit && out->exit_code != EXIT_DONE)
        add_words(r, "; exit code %lld", (long long)out->exit_code);
    if (words != NULL)
        add_words(r, ": %s", words);
    if (out != NULL && out->errors[0] != '\0')
        add_words(r, "; %s", out->errors);
    if (a->error[0] != '\0')
        add_words(r, "; %s", a->error);
}

void defender_judge(const struct defender_action *a, const struct defender_output *out,
                    const struct defender_said *said, const struct err *why_not, bool was_running,
                    struct defender_result *r)
{
    bool exit_agrees;

    if (said == NULL || out == NULL) {
        judge_silent(a, out, why_not, was_running, r);
        return;
    }
    exit_agrees = !out->has_exit || out->exit_code == EXIT_DONE || out->exit_code == EXIT_NO_EVENT;
    if (said->ok && exit_agrees) {
        judge_done(out, said, r);
    } else if (!said->ok) {
        judge_not_done(out, said, r);
    } else {
        end(r, DEFENDER_UNKNOWN, ERR_UNPROVEN);
        add_words(r, "the script says that it was done, and ends with code %lld%s%s",
                  (long long)out->exit_code, out->errors[0] != '\0' ? ": " : "", out->errors);
    }
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
