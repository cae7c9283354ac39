/* agent/cmd_verify.c -- a signed request, answer or step: who signed it, would it be taken now,
 * what does it say?
 *
 * Nothing of a message is shown before its signature was found good. With --key no configuration is
 * asked: is it by that key, and what does it say; whether it would be taken is not judged then.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "agent/commands.h"
#include "agent/intake/result.h"
#include "agent/intake/signed.h"
#include "agent/verdict.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/stamp.h"

enum { PEM_MAX = 64 * 1024, FILE_MAX = 64 * 1024 * 1024 };

struct verify {
    struct signers *signers; /* NULL with --key */
    struct jws_key *key;     /* --key */
    bool json;
    int exit;
};

/* --- telling
 * --------------------------------------------------------------------------------------- */

static void line(const char *name, const char *value)
{
    struct text t = TEXT_INIT(16 * 1024);

    if (value[0] != '\0') {
        text_show(&t, value, strlen(value), TEXT_SHOW_LIMIT * 4);
        (void)printf("  %-10s %s\n", name, t.s);
    }
    text_done(&t);
}

static void lines_request(const struct intake_request *r)
{
    const struct intake_options *o = &r->options;
    char at[STAMP_TEXT], options[128];
    size_t n;

    line("id", r->id);
    line("action", action_word(r->action));
    line("account", r->account);
    line("scope", intake_scope_word(r->scope));
    line("reason", r->reason);
    line("ticket", r->ticket);
    line("requester", r->requester);
    line("issued", stamp_iso(at, r->issued_ms));
    line("expires", stamp_iso(at, r->expires_ms));
    line("audience", r->audience);
    (void)snprintf(options, sizeof(options), "%s%s%s%s%s%s",
                   o->clear_never_expires ? "clear-never-expires " : "",
                   o->must_change ? "must-change " : "", o->mfa ? "mfa " : "",
                   o->audit ? "audit " : "", o->okta ? "idp=okta " : "", o->steps ? "steps " : "");
    n = strlen(options);
    if (n > 0)
        options[n - 1] = '\0';
    line("options", options);
}

/* What a person wants to know of an answer; --json has all of it. */
static int lines_answer(const char *payload, size_t n, struct err *e)
{
    static const struct {
        const char *label, *member;
    } rows[] = {
        {"agent", "agent"},
        {"time", "time"},
        {"signer", "signer"},
        {"outcome", "outcome"},
        {"detail", "detail"},
        {"action", "verdict/action"},
        {"account", "verdict/account"},
        {"verdict", "verdict/verdict"},
        {"proof", "verdict/proof"},
        {"rule", "verdict/rule"},
        {"detail", "verdict/detail"},
        {"case", "verdict/case"},
        {"ledger", "ledger/head"},
    };
    static const struct json_limits lim = {
        .bytes = INTAKE_RESULT_MAX, .members = 100000, .string = INTAKE_RESULT_MAX};
    CLEANUP(json_freep) struct cJSON *j = NULL;

    if (json_parse(payload, n, &lim, &j, e) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *s = json_value_str(json_at(j, rows[i].member));

        line(rows[i].label, s != NULL ? s : "");
    }
    return 0;
}

static void tell(const struct verify *v, const struct signed_in *in)
{
    struct text t = TEXT_INIT(4L * INTAKE_BODY_MAX);
    char who[200] = "";
    struct json_out o;

    if (in->key != NULL)
        (void)snprintf(who, sizeof(who), "%s, key %s (%s)", in->key->signer->name, in->key->kid,
                       jws_alg_name(in->key->alg));
    if (v->json) {
        json_out_init(&o, &t);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "verify");
        json_out_str(&o, "outcome", signed_word(in->outcome));
        json_out_str(&o, "detail", in->why);
        json_out_str(&o, "signer", in->key != NULL ? in->key->signer->name : NULL);
        json_out_str(&o, "kid", in->key != NULL ? in->key->kid : NULL);
        json_out_str(&o, "alg", in->key != NULL ? jws_alg_name(in->key->alg) : NULL);
        json_out_str(&o, "digest", in->digest[0] != '\0' ? in->digest : NULL);
        if (in->has_request) {
            json_out_object(&o, "request");
            intake_request_members(&in->request, &o);
            json_out_end_object(&o);
        }
        json_out_end_object(&o);
        (void)printf("%s\n", t.s);
    } else if (in->outcome == SIGNED_GOOD) {
        (void)printf("good: would be taken now, if its id was not seen before%s\n",
                     signed_list(in) != NULL ? " and the account is on the signer's list" : "");
    } else {
        text_safe(&t, in->why);
        (void)printf("refused: %s: %s\n", signed_word(in->outcome), t.s);
    }
    if (!v->json) {
        line("signed by", who);
        if (in->has_request)
            lines_request(&in->request);
        line("digest", in->digest);
    }
    text_done(&t);
}

/* By one key, and no configuration: genuine, and no more than that. */
static int tell_by_key(const struct verify *v, const char *jws, size_t n, struct err *e)
{
    struct text payload = TEXT_INIT(INTAKE_BODY_MAX), out = TEXT_INIT(4L * INTAKE_BODY_MAX);
    struct intake_request r;
    struct jws_hint hint;
    char id[ID_UUID];
    enum jws_alg alg;
    bool result, step, event;
    struct json_out o;
    int rc = signer_alg(v->key, &alg, e);

    if (rc == 0)
        rc = jws_peek(jws, n, &hint, e);
    result = rc == 0 && strcmp(hint.typ, SIGNED_RESULT_TYPE) == 0;
    step = rc == 0 && strcmp(hint.typ, SIGNED_STEP_TYPE) == 0;
    event = rc == 0 && strcmp(hint.typ, SIGNED_EVENT_TYPE) == 0;
    if (rc == 0 && event)
        rc = jws_verify(v->key, alg, SIGNED_EVENT_TYPE, jws, n, &payload, e);
    else if (rc == 0 && result)
        rc = intake_result_verify(v->key, jws, n, &payload, id, e);
    else if (rc == 0 && step)
        rc = intake_step_verify(v->key, jws, n, &payload, id, e);
    else if (rc == 0)
        rc = jws_verify(v->key, alg, SIGNED_REQUEST_TYPE, jws, n, &payload, e) < 0
                 ? -1
                 : intake_request_parse(payload.s, payload.len, &r, e);
    if (rc == 0 && result && !v->json) {
        (void)printf("genuine: an answer to request %s, by this key\n", id);
        rc = lines_answer(payload.s, payload.len, e);
    } else if (rc == 0 && v->json) {
        json_out_init(&o, &out);
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "verify");
        json_out_str(&o, "outcome", "genuine");
        json_out_raw(&o,
                     event    ? "event"
                     : result ? "result"
                     : step   ? "step"
                              : "request",
                     payload.s);
        json_out_end_object(&o);
        (void)printf("%s\n", out.s);
    } else if (rc == 0 && event) {
        text_safe(&out, payload.s);
        (void)printf("genuine: an event, by this key\n  %s\n", out.s);
    } else if (rc == 0 && (result || step)) {
        text_safe(&out, payload.s);
        (void)printf("genuine: %s request %s, by this key\n  %s\n",
                     result ? "an answer to" : "a step of", id, out.s);
    } else if (rc == 0) {
        (void)printf("genuine: a request, by this key; whether it would be taken was not judged\n");
        lines_request(&r);
    }
    text_done(&payload);
    text_done(&out);
    return rc;
}

/* --- all messages of a file
 * ------------------------------------------------------------------------ */

static void judge(struct verify *v, const char *jws, size_t n)
{
    struct signed_in in;
    struct err e = ERR_NONE;
    int code = 0;

    if (v->key != NULL) {
        if (tell_by_key(v, jws, n, &e) < 0)
            code = cmd_fail("verify", verdict_exit(VERDICT_REFUSED), "%s", e.msg);
    } else {
        signed_verify(v->signers, jws, n, stamp_now_ms(), 0, &in);
        tell(v, &in);
        code = in.outcome == SIGNED_GOOD          ? 0
               : in.outcome == SIGNED_NOT_CHECKED ? verdict_exit(VERDICT_FAILED)
                                                  : verdict_exit(VERDICT_REFUSED);
    }
    if (code > v->exit)
        v->exit = code;
}

/* One message a line, as cordon submit writes them. */
static int judge_file(struct verify *v, const char *path, struct err *e)
{
    struct text t = TEXT_INIT(FILE_MAX);
    size_t count = 0, n;
    int rc = file_read_any(path, FILE_MAX, &t, e);

    for (size_t from = 0; rc == 0 && from < t.len; from += n + 1) {
        const char *s = t.s + from, *nl = memchr(s, '\n', t.len - from);

        n = nl != NULL ? (size_t)(nl - s) : t.len - from;
        if (n == 0 || (n == 1 && s[0] == '\r'))
            continue;
        judge(v, s, n);
        count++;
    }
    text_done(&t);
    if (rc == 0 && count == 0)
        return err_set(e, ERR_USAGE, 0, "%s: nothing in it", path);
    return rc < 0 ? cmd_file_failed(e, path) : 0;
}

static int load_key(const char *path, struct jws_key **ret_key, struct err *e)
{
    struct text pem = TEXT_INIT(PEM_MAX);
    int rc = file_read_trusted(path, FILE_PUBLIC, PEM_MAX, &pem, e);

    if (rc == 0)
        rc = jws_key_public(pem.s, pem.len, ret_key, e);
    text_done(&pem);
    return rc < 0 ? cmd_file_failed(e, path) : 0;
}

int cmd_verify(int argc, char **argv)
{
    static const struct option options[] = {{"key", required_argument, NULL, 'k'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct verify v = {0};
    const char *key = NULL;
    struct cfg *cfg = NULL;
    struct err e = ERR_NONE;
    int c, rc;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'h') {
            cmd_help(argv[0]);
            return 0;
        }
        if (c == '?')
            return cmd_fail(argv[0], EXIT_USAGE, "'%s': no such option, or its argument is missing",
                            argv[optind - 1]);
        if (c == 'k')
            key = optarg;
        v.json = v.json || c == 'j';
    }
    if (optind + 1 != argc)
        return cmd_fail(argv[0], EXIT_USAGE, "which file? (- is standard input)");
    if (key != NULL) {
        rc = load_key(key, &v.key, &e);
    } else {
        v.exit = cmd_load(&cfg);
        if (v.exit != 0)
            return v.exit;
        rc = signers_load(cfg, &v.signers, &e);
        if (rc == 0 && v.signers->count == 0)
            rc = err_set(&e, ERR_CONFIG, 0, "%s has no [signer/NAME]; or give --key FILE",
                         cmd_config_path());
    }
    if (rc == 0)
        rc = judge_file(&v, argv[optind], &e);
    if (rc < 0) {
        c = cmd_fail(argv[0], cmd_exit_for(&e), "%s", e.msg);
        v.exit = c > v.exit ? c : v.exit;
    }
    jws_key_free(v.key);
    signers_free(v.signers);
    cfg_free(cfg);
    return v.exit;
}
