/* cloud/defender_probe.c -- would a run be possible now? Asks, and changes nothing.
 *
 *   probe_now    the machine: shows the token and its roles as well
 *   on_machines  found, onboarded, alive, not restricted
 *   on_actions   what Live Response did there of late: the tenant's switches have no other sign
 *   on_library   the script, and its hash
 *
 * What could not be asked is "not known", never "ok".
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/stamp.h"
#include "cloud/defender_inside.h"
#include "cloud/field.h"

#define BACK_MS (INT64_C(30) * 24 * 3600 * 1000)

enum { TOKEN, ROLE, MACHINE, HEALTH, LIVE, SCRIPT, HASH };
static const char *const names[DEFENDER_CHECKS] = {
    [TOKEN] = "token",        [ROLE] = "role",     [MACHINE] = "machine", [HEALTH] = "health",
    [LIVE] = "live response", [SCRIPT] = "script", [HASH] = "hash",
};

static void on_machines(struct defender_call *c, const struct err *e);
static void on_actions(struct defender_call *c, const struct defender_answer *a,
                       const struct err *e);
static void ask_library(struct defender_call *c);
static void on_library(struct defender_call *c, const struct defender_answer *a,
                       const struct err *e);
static void finish(struct defender_call *c);

static void say(struct defender_call *c, int check, bool ok, const char *mend, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

static void say(struct defender_call *c, int check, bool ok, const char *mend, const char *fmt, ...)
{
    struct defender_check *k = &c->checks[check];
    char words[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    field_copy(k->words, sizeof(k->words), words);
    field_copy(k->mend, sizeof(k->mend), mend);
    k->ok = ok;
    k->known = true;
}

static void say_unknown(struct defender_call *c, int check, const char *words)
{
    say(c, check, false, "", "%s", words);
    c->checks[check].known = false;
}

static void probe_now(struct defender_call *c)
{
    defender_machines(c, on_machines);
}

int defender_probe_start(struct defender *d, const char *host, const char *machine_id,
                         defender_probe_cb cb, void *arg, struct defender_call **ret_call,
                         struct err *e)
{
    CLEANUP(defender_call_freep) struct defender_call *c = NULL;

    if (defender_call_new(d, DEFENDER_PROBE, arg, &c, e) < 0 ||
        defender_name_it(c, host, machine_id, NULL, e) < 0 || defender_wait(c, 0, probe_now, e) < 0)
        return -1;
    c->probe_cb = cb;
    for (int i = 0; i < DEFENDER_CHECKS; i++) {
        c->checks[i].name = names[i];
        say_unknown(c, i, "not asked");
    }
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

/* --- token and roles -------------------------------------------------------------------------- */

static void say_roles(struct defender_call *c)
{
    const struct token_source *t = c->d->token;
    bool runs, reads;

    if (!token_readable(t)) {
        say_unknown(c, ROLE, "the token does not say what it may");
        return;
    }
    runs = token_has_role(t, "Machine.LiveResponse");
    reads = token_has_role(t, "Machine.Read.All") || token_has_role(t, "Machine.ReadWrite.All");
    if (runs && reads)
        say(c, ROLE, true, "", "Machine.LiveResponse and Machine.Read.All");
    else
        say(c, ROLE, false,
            "grant it to cordon's application in WindowsDefenderATP, with admin consent",
            "the token lacks %s%s%s", runs ? "" : "Machine.LiveResponse",
            !runs && !reads ? " and " : "", reads ? "" : "Machine.Read.All");
}

/* --- the machine ------------------------------------------------------------------------------ */

static void say_health(struct defender_call *c)
{
    const struct defender_machine *m = &c->machine;
    char age[STAMP_TEXT], os[TEXT_SHOWN], health[TEXT_SHOWN];

    say(c, MACHINE, true, "", "%s (%.40s), %s", m->name, m->id, text_shown(os, m->os));
    (void)text_shown(health, m->health[0] != '\0' ? m->health : "unknown");
    if (m->seen_ms != 0)
        (void)stamp_age(age, stamp_now_ms() - m->seen_ms);
    say(c, HEALTH, m->active,
        m->active ? "" : "look at its sensor: a run would wait there, for up to three days",
        "%s, last full report %s%s", health, m->seen_ms != 0 ? age : "never",
        m->seen_ms != 0 ? " ago" : "");
}

static void ask_actions(struct defender_call *c)
{
    const struct defender_request r = {
        .method = "GET", .needs = DEFENDER_READS, .then = on_actions};
    CLEANUP(text_done) struct text f = TEXT_INIT(512);
    char since[STAMP_TEXT];

    text_addf(&f, "machineId eq '%s' and type eq 'LiveResponse' and creationDateTimeUtc ge %s",
              c->machine.id, stamp_iso(since, stamp_now_ms() - BACK_MS));
    defender_url(c, "/api/machineactions");
    defender_filter(c, f.s);
    c->url.failed = c->url.failed || f.failed;
    defender_ask(c, &r);
}

static void on_machines(struct defender_call *c, const struct err *e)
{
    struct err mine;

    /* A refusal by its role shows a token, all the same. */
    if (e != NULL && c->used == NULL) {
        say(c, TOKEN, false, "", "%s", e->msg);
        finish(c);
        return;
    }
    if (e != NULL && e->code == ERR_AUTH) {
        say(c, TOKEN, false, "look at scope and tenant of section [defender]", "%s", e->msg);
        finish(c);
        return;
    }
    say(c, TOKEN, true, "", "accepted");
    say_roles(c);
    if (e == NULL && defender_the_one(c, &c->machine, &mine) < 0)
        e = &mine;
    if (e == NULL) {
        say_health(c);
        ask_actions(c);
        return;
    }
    if (e->code == ERR_UNSUPPORTED) {
        say(c, MACHINE, true, "", "found");
        say(c, LIVE, false, "offboard it, and onboard it again without restrictions", "%s", e->msg);
    } else if (e->code == ERR_NOTFOUND || e->code == ERR_AMBIGUOUS || e->code == ERR_CONFLICT) {
        say(c, MACHINE, false, "", "%s", e->msg);
    } else {
        say_unknown(c, MACHINE, e->msg);
    }
    ask_library(c);
}

/* --- Live Response ---------------------------------------------------------------------------- */

static int read_past(const struct cJSON *list, bool *ret_active, int64_t *ret_ran, struct err *e)
{
    if (!json_is_array(list))
        return err_set(e, ERR_INVALID, 0, "Defender: the answer is no list of actions");
    for (const struct cJSON *j = json_first(list); j != NULL; j = json_next(j)) {
        struct defender_action a;

        if (defender_read_action(j, NULL, &a, e) < 0)
            return -1;
        *ret_active = *ret_active || !a.is_final;
        if (a.succeeded && a.created_ms > *ret_ran)
            *ret_ran = a.created_ms;
    }
    return 0;
}

static void on_actions(struct defender_call *c, const struct defender_answer *a,
                       const struct err *e)
{
    bool active = false;
    int64_t ran = 0;
    char age[STAMP_TEXT];
    struct err mine;

    if (e == NULL && read_past(json_get(a->json, "value"), &active, &ran, &mine) < 0)
        e = &mine;
    if (e != NULL)
        say_unknown(c, LIVE, e->msg);
    else if (active)
        say(c, LIVE, false, "wait for it, or cancel it in the portal",
            "an action is pending on that machine: another would be refused");
    else if (ran != 0)
        say(c, LIVE, true, "", "it worked there %s ago", stamp_age(age, stamp_now_ms() - ran));
    else
        say_unknown(c, LIVE,
                    "nothing ran there for 30 days: only a run shows whether the tenant's switches "
                    "('Live Response for Servers') and the machine allow it");
    ask_library(c);
}

/* --- the script ------------------------------------------------------------------------------- */

static void ask_library(struct defender_call *c)
{
    const struct defender_request r = {
        .method = "GET", .needs = DEFENDER_LIBRARY, .then = on_library};

    defender_url(c, "/api/libraryfiles");
    defender_ask(c, &r);
}

static void on_library(struct defender_call *c, const struct defender_answer *a,
                       const struct err *e)
{
    char have[65], want[65];
    struct err mine;

    if (e == NULL && defender_read_library(a->json, c->d->script, have, &mine) < 0)
        e = &mine;
    if (e != NULL && e->code == ERR_NOTFOUND) {
        say(c, SCRIPT, false, "cordon defender publish", "%s", e->msg);
    } else if (e != NULL) {
        say_unknown(c, SCRIPT, e->msg);
        say_unknown(c, HASH, e->msg);
    } else {
        say(c, SCRIPT, true, "", "'%s' is in the library", c->d->script);
        if (c->d->has_sha256)
            id_hex(want, c->d->sha256, sizeof(c->d->sha256));
        if (!c->d->has_sha256)
            say_unknown(c, HASH, "no hash is known to compare with");
        else if (strcmp(have, want) == 0)
            say(c, HASH, true, "", "SHA-256 %.16s..., as it should be", have);
        else
            say(c, HASH, false, "find out who changed it; then: cordon defender publish",
                "SHA-256 %.16s..., not %.16s...: it is not the script that cordon knows", have,
                want);
    }
    finish(c);
}

static void finish(struct defender_call *c)
{
    defender_call_detach(c);
    c->probe_cb(c->arg, c->checks, DEFENDER_CHECKS);
    defender_call_free(c);
}
