/* agent/cmd_submit.c -- sign requests, and put them on the queue or into a file.
 *
 *   arguments -> one request for each account -> all checked and signed -> all written, or none
 *   --signed: messages signed elsewhere -> each judged as the agent will -> all put, or none
 */
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/commands.h"
#include "agent/intake/signed.h"
#include "agent/intake/submit.h"
#include "agent/verdict.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/stamp.h"
#include "base/text.h"
#include "config/value.h"

#define SECOND_MS UINT64_C(1000)
#define DAY_MS (24 * 3600 * SECOND_MS)
enum { PEM_MAX = 64 * 1024, ACCOUNTS_MAX = 1000 };

struct args {
    struct intake_request request; /* but for id, account and times */
    const char *key, *out, *domain, *ready;
    uint64_t expires_ms, wait_ms;
    bool wait, json, on_prem, cloud;
    char **accounts;
    size_t count;
};

struct signed_out {
    char id[ID_UUID];
    struct text jws;
};

enum {
    OPT_KEY = 256,
    OPT_EXPIRES,
    OPT_REASON,
    OPT_TICKET,
    OPT_REQUESTER,
    OPT_DOMAIN,
    OPT_OUT,
    OPT_SIGNED,
    OPT_WAIT,
    OPT_ON_PREM,
    OPT_CLOUD,
    OPT_CLEAR,
    OPT_MUST,
    OPT_MFA,
    OPT_AUDIT,
    OPT_IDP,
    OPT_STEPS,
    OPT_JSON,
    OPT_HELP
};

static const struct option long_options[] = {{"key", required_argument, NULL, OPT_KEY},
                                             {"expires", required_argument, NULL, OPT_EXPIRES},
                                             {"reason", required_argument, NULL, OPT_REASON},
                                             {"ticket", required_argument, NULL, OPT_TICKET},
                                             {"requester", required_argument, NULL, OPT_REQUESTER},
                                             {"domain", required_argument, NULL, OPT_DOMAIN},
                                             {"out", required_argument, NULL, OPT_OUT},
                                             {"signed", required_argument, NULL, OPT_SIGNED},
                                             {"wait", optional_argument, NULL, OPT_WAIT},
                                             {"on-prem", no_argument, NULL, OPT_ON_PREM},
                                             {"cloud", no_argument, NULL, OPT_CLOUD},
                                             {"clear-never-expires", no_argument, NULL, OPT_CLEAR},
                                             {"must-change", no_argument, NULL, OPT_MUST},
                                             {"mfa", no_argument, NULL, OPT_MFA},
                                             {"audit", no_argument, NULL, OPT_AUDIT},
                                             {"idp", required_argument, NULL, OPT_IDP},
                                             {"steps", no_argument, NULL, OPT_STEPS},
                                             {"json", no_argument, NULL, OPT_JSON},
                                             {"help", no_argument, NULL, OPT_HELP},
                                             {NULL, 0, NULL, 0}};

/* `size` with the NUL: cut off, a reason or a name would be another one. */
static int take(char *buf, size_t size, const char *option, const char *value, struct err *e)
{
    size_t n = strlen(value);

    if (n >= size)
        return err_set(e, ERR_USAGE, 0, "%s: over %zu bytes", option, size - 1);
    memcpy(buf, value, n + 1);
    return 0;
}

static int take_option(struct args *a, int c, const char *value, struct err *e)
{
    struct intake_options *o = &a->request.options;

    switch (c) {
    case OPT_KEY:
        a->key = value;
        return 0;
    case OPT_EXPIRES:
        if (!text_to_duration(value, &a->expires_ms) || a->expires_ms < 10 * SECOND_MS ||
            a->expires_ms > 7 * DAY_MS)
            return err_set(e, ERR_USAGE, 0, "--expires: a time such as 10m, from 10s to 7d");
        return 0;
    case OPT_REASON:
        return take(a->request.reason, sizeof(a->request.reason), "--reason", value, e);
    case OPT_TICKET:
        return take(a->request.ticket, sizeof(a->request.ticket), "--ticket", value, e);
    case OPT_REQUESTER:
        return take(a->request.requester, sizeof(a->request.requester), "--requester", value, e);
    case OPT_DOMAIN:
        a->domain = value;
        return take(a->request.audience, sizeof(a->request.audience), "--domain", value, e);
    case OPT_OUT:
        a->out = value;
        return 0;
    case OPT_SIGNED:
        a->ready = value;
        return 0;
    case OPT_WAIT:
        a->wait = true;
        if (value != NULL &&
            (!text_to_duration(value, &a->wait_ms) || a->wait_ms == 0 || a->wait_ms > 7 * DAY_MS))
            return err_set(e, ERR_USAGE, 0, "--wait=TIME: such as 2m (at most 7d)");
        return 0;
    case OPT_IDP:
        o->okta = value != NULL && strcmp(value, "okta") == 0;
        return o->okta ? 0 : err_set(e, ERR_USAGE, 0, "--idp: okta is the only other one");
    default:
        break;
    }
    a->on_prem = a->on_prem || c == OPT_ON_PREM;
    a->cloud = a->cloud || c == OPT_CLOUD;
    a->json = a->json || c == OPT_JSON;
    o->clear_never_expires = o->clear_never_expires || c == OPT_CLEAR;
    o->must_change = o->must_change || c == OPT_MUST;
    o->mfa = o->mfa || c == OPT_MFA;
    o->audit = o->audit || c == OPT_AUDIT;
    o->steps = o->steps || c == OPT_STEPS;
    return 0;
}

/* Whoever is logged in here; the signature says no more than that the key's holder says so. */
static int default_requester(struct intake_request *r, struct err *e)
{
    const struct passwd *pw = getpwuid(getuid());
    char host[256] = "?", name[600];

    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(name, sizeof(name), "%.200s on %s", pw != NULL ? pw->pw_name : "?", host);
    return take(r->requester, sizeof(r->requester), "--requester", name, e);
}

/* 0: go on; 1: help was shown; -1: *e. */
static int parse_args(struct args *a, int argc, char **argv, struct err *e)
{
    int c;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (c == OPT_HELP) {
            cmd_help(argv[0]);
            return 1;
        }
        if (c == '?')
            return err_set(e, ERR_USAGE, 0, "'%s': no such option, or its argument is missing",
                           argv[optind - 1]);
        if (take_option(a, c, optarg, e) < 0)
            return -1;
    }
    if (a->ready != NULL && (optind < argc || a->key != NULL || a->out != NULL))
        return err_set(e, ERR_USAGE, 0,
                       "--signed goes with --wait and --json only: the rest is in the messages");
    if (a->ready != NULL)
        return 0;
    if (optind + 2 > argc)
        return err_set(e, ERR_USAGE, 0, "which action, of which account? (--help)");
    if (!action_parse(argv[optind], &a->request.action))
        return err_set(e, ERR_USAGE, 0, "no action '%s'", argv[optind]);
    a->accounts = argv + optind + 1;
    a->count = (size_t)(argc - optind - 1);
    if (a->count > ACCOUNTS_MAX)
        return err_set(e, ERR_USAGE, 0, "more than %d accounts", ACCOUNTS_MAX);
    if (a->key == NULL)
        return err_set(e, ERR_USAGE, 0,
                       "--key FILE: which key to sign with? (cordon key new makes one)");
    if (a->wait && a->out != NULL)
        return err_set(e, ERR_USAGE, 0, "--wait goes with the queue, not with --out");
    if (a->request.requester[0] == '\0' && default_requester(&a->request, e) < 0)
        return -1;
    a->request.scope = a->on_prem == a->cloud ? INTAKE_BOTH
                       : a->on_prem           ? INTAKE_ON_PREM
                                              : INTAKE_CLOUD;
    if (a->wait && a->wait_ms == 0)
        a->wait_ms = a->expires_ms;
    return 0;
}

/* --- signing ------------------------------------------------------------------------------------
 */

static int sign_all(const struct args *a, const struct jws_key *own, struct signed_out *out,
                    struct err *e)
{
    int64_t now = stamp_now_ms();
    char shown[TEXT_SHOWN];

    for (size_t i = 0; i < a->count; i++) {
        struct intake_request r = a->request;

        text_init(&out[i].jws, SIGNED_MAX);
        r.issued_ms = now;
        r.expires_ms = now + (int64_t)a->expires_ms;
        if (take(r.account, sizeof(r.account), "account", a->accounts[i], e) < 0 ||
            id_ulid(r.id, now, e) < 0)
            return -1;
        memcpy(out[i].id, r.id, sizeof(r.id));
        if (signed_request(own, &r, &out[i].jws, e) < 0) {
            if (e->code == ERR_INVALID)
                e->code = ERR_USAGE;
            return err_wrap(e, "'%s'", text_shown(shown, a->accounts[i]));
        }
        text_addc(&out[i].jws, '\n');
        if (text_check(&out[i].jws, "request", e) < 0)
            return -1;
    }
    return 0;
}

static void tell(const struct args *a, const struct signed_out *out)
{
    struct text line = TEXT_INIT(16 * 1024);
    struct json_out o;

    for (size_t i = 0; i < a->count; i++) {
        text_clear(&line);
        if (a->json) {
            json_out_init(&o, &line);
            json_out_object(&o, NULL);
            json_out_str(&o, "type", "submitted");
            json_out_str(&o, "id", out[i].id);
            json_out_str(&o, "action", action_word(a->request.action));
            json_out_str(&o, "account", a->accounts[i]);
            json_out_str(&o, "to", a->out);
            json_out_end_object(&o);
        } else {
            text_addf(&line, "%s  %s ", out[i].id, action_word(a->request.action));
            text_show(&line, a->accounts[i], strlen(a->accounts[i]), TEXT_SHOW_LIMIT);
        }
        (void)printf("%s\n", line.s);
    }
    text_done(&line);
}

static int to_file(const struct args *a, const struct signed_out *out, struct err *e)
{
    struct text all = TEXT_INIT((size_t)ACCOUNTS_MAX * SIGNED_MAX);
    int rc;

    for (size_t i = 0; i < a->count; i++)
        text_addn(&all, out[i].jws.s, out[i].jws.len);
    rc = text_check(&all, "requests", e);
    if (rc == 0 && strcmp(a->out, "-") == 0) {
        (void)fputs(all.s, stdout);
    } else if (rc == 0) {
        rc = file_write_new(a->out, all.s, all.len, e);
        if (rc == 0)
            tell(a, out);
    }
    text_done(&all);
    return rc;
}

static int to_queue(const struct args *a, const struct cfg *cfg, const struct signed_out *out,
                    int *ret_exit, struct err *e)
{
    struct submit_item *items = calloc(a->count, sizeof(*items));
    int rc;

    if (items == NULL)
        return err_set(e, ERR_NOMEM, 0, "requests");
    for (size_t i = 0; i < a->count; i++)
        items[i] = (struct submit_item){.id = out[i].id,
                                        .account = a->accounts[i],
                                        .jws = out[i].jws.s,
                                        .n = out[i].jws.len - 1, /* without its line end */
                                        .ttl_ms = a->expires_ms};
    rc = submit_put(cfg, items, a->count, a->wait_ms, a->json, ret_exit, e);
    free(items);
    return rc;
}

/* --- signed elsewhere ---------------------------------------------------------------------------
 */

/* Those of one file, one a line. A message that the agent would refuse is told here, by its line,
 * and none is put: who is at the queue hears of it, and not the agent's log alone. */
static int judge_ready(const struct signers *signers, const struct text *t, struct signed_in *in,
                       struct submit_item *items, size_t *ret_count, struct err *e)
{
    int64_t now = stamp_now_ms();
    size_t count = 0, at = 0, n;

    for (size_t from = 0; from < t->len; from += n + 1) {
        const char *s = t->s + from, *nl = memchr(s, '\n', t->len - from);

        n = nl != NULL ? (size_t)(nl - s) : t->len - from;
        at++;
        if (n == 0 || (n == 1 && s[0] == '\r'))
            continue;
        if (count == ACCOUNTS_MAX)
            return err_set(e, ERR_USAGE, 0, "more than %d messages", ACCOUNTS_MAX);
        signed_verify(signers, s, n, now, 0, &in[count]);
        if (in[count].outcome != SIGNED_GOOD)
            return err_set(e, ERR_REFUSED, 0, "line %zu: %s: %s; none was put on the queue", at,
                           signed_word(in[count].outcome), in[count].why);
        items[count] =
            (struct submit_item){.id = in[count].request.id,
                                 .account = in[count].request.account,
                                 .jws = s,
                                 .n = n,
                                 .ttl_ms = (uint64_t)(in[count].request.expires_ms - now)};
        count++;
    }
    *ret_count = count;
    return count > 0 ? 0 : err_set(e, ERR_USAGE, 0, "no message in it");
}

static int put_ready(const struct args *a, const struct cfg *cfg, int *ret_exit, struct err *e)
{
    CLEANUP(text_done) struct text t = TEXT_INIT((size_t)ACCOUNTS_MAX * SIGNED_MAX);
    struct signed_in *in = calloc(ACCOUNTS_MAX, sizeof(*in));
    struct submit_item *items = calloc(ACCOUNTS_MAX, sizeof(*items));
    struct signers *signers = NULL;
    uint64_t wait_ms = a->wait_ms;
    size_t count = 0;
    int rc = in == NULL || items == NULL ? err_set(e, ERR_NOMEM, 0, "requests") : 0;

    if (rc == 0)
        rc = signers_load(cfg, &signers, e);
    if (rc == 0 && file_read_any(a->ready, t.max, &t, e) < 0)
        rc = cmd_file_failed(e, a->ready);
    if (rc == 0)
        rc = judge_ready(signers, &t, in, items, &count, e);
    for (size_t i = 0; a->wait && a->wait_ms == 0 && i < count; i++)
        wait_ms = items[i].ttl_ms > wait_ms ? items[i].ttl_ms : wait_ms;
    if (rc == 0)
        rc = submit_put(cfg, items, count, wait_ms, a->json, ret_exit, e);
    signers_free(signers);
    free(items);
    free(in);
    return rc;
}

static int carry_out(struct args *a, const struct cfg *cfg, int *ret_exit, struct err *e)
{
    CLEANUP(secret_freep) struct secret *pem = NULL;
    CLEANUP(jws_key_freep) struct jws_key *own = NULL;
    struct signed_out *out = calloc(a->count, sizeof(*out));
    int rc;

    if (out == NULL)
        return err_set(e, ERR_NOMEM, 0, "requests");
    rc = secret_from_file(a->key, PEM_MAX, &pem, e) < 0 ? -1 : jws_key_private(pem, &own, e);
    if (rc < 0)
        (void)cmd_file_failed(e, a->key);
    if (rc == 0)
        rc = sign_all(a, own, out, e);
    if (rc == 0)
        rc = a->out != NULL ? to_file(a, out, e) : to_queue(a, cfg, out, ret_exit, e);
    for (size_t i = 0; i < a->count; i++) {
        if (out[i].jws.s != NULL)
            text_done(&out[i].jws);
    }
    free(out);
    return rc;
}

int cmd_submit(int argc, char **argv)
{
    struct args a = {.expires_ms = 600 * SECOND_MS};
    const struct cfg_domain *domain;
    struct cfg *cfg = NULL;
    struct err e = ERR_NONE;
    int code = 0, rc = parse_args(&a, argc, argv, &e);

    if (rc != 0)
        return rc > 0 ? 0 : cmd_fail(argv[0], EXIT_USAGE, "%s", e.msg);
    if (a.ready != NULL) {
        code = cmd_load(&cfg);
        if (code == 0 && put_ready(&a, cfg, &code, &e) < 0)
            code = cmd_fail(
                argv[0], e.code == ERR_REFUSED ? verdict_exit(VERDICT_REFUSED) : cmd_exit_for(&e),
                "%s", e.msg);
        cfg_free(cfg);
        return code;
    }
    /* Whoever only signs needs no configuration. */
    if (a.out == NULL || a.domain == NULL) {
        code = cmd_load(&cfg);
        if (code != 0)
            return code;
        domain = cmd_domain(cfg, a.domain, &e);
        if (domain == NULL)
            rc = -1;
        else
            rc = take(a.request.audience, sizeof(a.request.audience), "--domain", domain->name, &e);
    }
    if (rc == 0)
        rc = carry_out(&a, cfg, &code, &e);
    if (rc < 0)
        code = cmd_fail(argv[0], cmd_exit_for(&e), "%s", e.msg);
    cfg_free(cfg);
    return code;
}
