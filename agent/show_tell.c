/* agent/show_tell.c -- telling one account: JSON is a contract (cordon(1)), words are for people.
 *
 * What each action would come to is asked of the guard and of the action's own steps, so that
 * nothing is said here that they would not say. Foreign text goes through text_show.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/guard.h"
#include "agent/plan.h"
#include "agent/show.h"
#include "agent/verdict.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/stamp.h"
#include "base/text.h"
#include "ldap/uac.h"

#define LINES_MAX 16
#define SHOW_MAX 1200 /* characters of one foreign text */

struct lines {
    char at[LINES_MAX][200];
    size_t count;
};

void show_emit(struct text *t)
{
    struct err e;

    if (text_check(t, "answer", &e) < 0)
        (void)fprintf(stderr, "cordon: %s\n", e.msg);
    else
        (void)fputs(t->s, stdout);
    (void)fflush(stdout);
    text_done(t);
}

/* --- what the account is --------------------------------------------------------------------- */

struct would { /* what an action would come to */
    enum action action;
    const char *word; /* "change" "nothing" "refused" "held" */
    char rule[64], why[500];
};

/* A membership is told with the way that leads there, as the action does. */
static void say_way(const struct show *s, struct judgement *j)
{
    for (size_t i = 0; j->group && i < s->way_count; i++) {
        if (ad_sid_eq(&s->ways[i].sid, &j->by))
            (void)snprintf(j->detail, sizeof(j->detail), "%s", s->ways[i].how);
    }
}

/* The same guard and the same steps as the action itself. */
static void would(const struct show *s, enum action action, struct would *ret)
{
    const struct plan *plan = plan_for(action);
    const struct options o = {0};
    int families = (!plan->credentials ? POLICY_DISABLE : 0) |
                   (plan->credentials || plan->both ? POLICY_CREDENTIALS : 0);

    struct judgement j;

    *ret = (struct would){.action = action, .word = "nothing"};
    if (!guard_judge(&s->world, s->dc, s->account, families, (struct guard_leave){0}, &j)) {
        say_way(s, &j);
        ret->word = j.verdict == VERDICT_HELD ? "held" : "refused";
        (void)snprintf(ret->rule, sizeof(ret->rule), "%s", j.rule);
        (void)snprintf(ret->why, sizeof(ret->why), "%s", j.detail);
        return;
    }
    for (size_t i = 0; i < plan->count; i++) {
        struct ad_edits edits = {0};
        struct err why = ERR_NONE;
        const char *rest;

        switch (plan->steps[i].kind->decide(s->account, &o, &edits, &why)) {
        case NEED_NOTHING:
            break;
        case NEED_CHANGE:
            ret->word = "change";
            break;
        case NEED_REFUSED: /* "rule: sentence" */
            ret->word = "refused";
            rest = strstr(why.msg, ": ");
            (void)snprintf(ret->rule, sizeof(ret->rule), "%.*s",
                           rest != NULL ? (int)(rest - why.msg) : 0, why.msg);
            (void)snprintf(ret->why, sizeof(ret->why), "%.480s", rest != NULL ? rest + 2 : why.msg);
            return;
        }
    }
}

static void add_line(struct lines *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_line(struct lines *l, const char *fmt, ...)
{
    va_list ap;

    if (l->count == LINES_MAX)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(l->at[l->count++], sizeof(l->at[0]), fmt, ap);
    va_end(ap);
}

/* What neither a disable nor a reset takes away (active-directory.md 3). Only what is so for this
 * account, but for the first three, which are so for every one. */
static void not_ended(const struct ad_account *a, struct lines *l)
{
    add_line(l, "Kerberos tickets issued before: service tickets to their end (default 10 h)");
    add_line(l, "sessions that are open (RDP, SMB, LDAP): end them on the machines");
    add_line(l, "a machine that is offline takes the cached password");
    if (a->key_credentials > 0)
        add_line(l, "%zu key credential%s (msDS-KeyCredentialLink): a password reset leaves %s",
                 a->key_credentials, a->key_credentials > 1 ? "s" : "",
                 a->key_credentials > 1 ? "them" : "it");
    if ((a->uac & AD_UAC_SMARTCARD_REQUIRED) != 0)
        add_line(l, "certificates of the account (smart card): a password reset leaves them");
    if ((a->uac & AD_UAC_TRUSTED_FOR_DELEGATION) != 0)
        add_line(l, "trusted for delegation to any service: tickets of others may be in its hands");
    if ((a->uac & AD_UAC_TRUSTED_TO_AUTH_FOR_DELEGATION) != 0)
        add_line(
            l, "trusted to authenticate for delegation: it may hold tickets in the name of others");
    if (a->delegates_to > 0)
        add_line(l, "delegation to %zu service%s (msDS-AllowedToDelegateTo)", a->delegates_to,
                 a->delegates_to > 1 ? "s" : "");
    if (a->acts_on_behalf)
        add_line(l, "others may act on anybody's behalf towards it (resource-based delegation)");
    if (a->subject.sid_history_count > 0)
        add_line(l, "%zu SID%s of old in sIDHistory", a->subject.sid_history_count,
                 a->subject.sid_history_count > 1 ? "s" : "");
}

static bool is_time(bool has, int64_t ft)
{
    return has && ft > 0 && ft != STAMP_FILETIME_NEVER;
}

static bool is_locked(const struct ad_account *a)
{
    return a->has_computed ? (a->uac_computed & AD_UAC_LOCKOUT) != 0
                           : a->has_lockout_time && a->lockout_time > 0;
}

/* --- JSON ------------------------------------------------------------------------------------ */

static void json_time(struct json_out *o, const char *name, bool has, int64_t ft)
{
    if (is_time(has, ft))
        json_out_time(o, name, stamp_from_filetime(ft));
    else
        json_out_null(o, name);
}

static void json_would(struct json_out *o, const struct would *w)
{
    json_out_object(o, action_word(w->action));
    json_out_str(o, "would", w->word);
    json_out_str(o, "rule", w->rule);
    json_out_str(o, "why", w->why);
    json_out_end_object(o);
}

static void json_password(struct json_out *o, const struct ad_account *a, int64_t now)
{
    bool never = (a->uac & AD_UAC_DONT_EXPIRE_PASSWORD) != 0;

    json_out_object(o, "password");
    json_time(o, "last_set", a->has_pwd_last_set, a->pwd_last_set);
    if (is_time(a->has_pwd_last_set, a->pwd_last_set))
        json_out_i64(o, "age_s", (now - stamp_from_filetime(a->pwd_last_set)) / 1000);
    else
        json_out_null(o, "age_s");
    if (a->has_pwd_last_set)
        json_out_bool(o, "must_change", a->pwd_last_set == 0 && !never);
    else
        json_out_null(o, "must_change");
    json_time(o, "expires", a->has_pwd_expires, a->pwd_expires);
    if (a->has_computed)
        json_out_bool(o, "expired", (a->uac_computed & AD_UAC_PASSWORD_EXPIRED) != 0);
    else
        json_out_null(o, "expired");
    json_out_bool(o, "never_expires", never);
    json_out_bool(o, "smart_card_only", (a->uac & AD_UAC_SMARTCARD_REQUIRED) != 0);
    if (a->dacl_read)
        json_out_bool(o, "user_can_change", !a->cannot_change_password);
    else
        json_out_null(o, "user_can_change");
    json_out_end_object(o);
}

static void tell_json(const struct show *s, const struct would *w, size_t n,
                      const struct judgement *j)
{
    const struct ad_account *a = s->account;
    struct text t = TEXT_INIT(512 * 1024), words = TEXT_INIT(1024);
    char sid[AD_SID_TEXT], guid[AD_GUID_TEXT];
    struct lines lines = {.count = 0};
    struct json_out o;

    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_str(&o, "type", "account");
    json_out_str(&o, "account", s->accounts[s->at]);
    json_out_str(&o, "dc", s->dc->host);
    json_out_str(&o, "sid", ad_sid_to_text(&a->subject.sid, sid));
    json_out_str(&o, "dn", a->dn);
    json_out_str(&o, "guid", ad_guid_to_text(&a->guid, guid));
    json_out_str(&o, "sam", a->sam);
    json_out_str(&o, "upn", a->upn);
    json_out_str(&o, "mail", a->mail);
    json_out_str(&o, "display_name", a->display_name);
    json_out_bool(&o, "enabled", (a->uac & AD_UAC_ACCOUNTDISABLE) == 0);
    json_out_u64(&o, "uac", a->uac);
    json_out_array(&o, "flags");
    for (unsigned i = 0; i < 32; i++) {
        if ((a->uac & (UINT32_C(1) << i)) != 0 && ad_uac_word(UINT32_C(1) << i) != NULL)
            json_out_str(&o, NULL, ad_uac_word(UINT32_C(1) << i));
    }
    json_out_end_array(&o);
    /* Guard and lists of both families; what a single action adds to that is told there. */
    json_out_bool(&o, "may", j->rule[0] == '\0');
    json_out_str(&o, "rule", j->rule);
    json_out_str(&o, "why", j->detail);
    json_out_object(&o, "actions");
    for (size_t i = 0; i < n; i++)
        json_would(&o, &w[i]);
    json_out_end_object(&o);
    json_out_object(&o, "rights");
    if (s->asked) {
        json_out_bool(&o, "userAccountControl", s->may_uac);
        json_out_bool(&o, "pwdLastSet", s->may_pwd);
    } else {
        json_out_null(&o, "userAccountControl");
        json_out_null(&o, "pwdLastSet");
    }
    json_out_end_object(&o);
    json_password(&o, a, stamp_now_ms());
    json_out_bool(&o, "locked", is_locked(a));
    json_time(&o, "locked_since", a->has_lockout_time, a->lockout_time);
    json_time(&o, "last_logon", a->has_last_logon, a->last_logon);
    json_time(&o, "account_expires", a->has_account_expires, a->account_expires);
    if (a->when_created_ms != 0)
        json_out_time(&o, "created", a->when_created_ms);
    else
        json_out_null(&o, "created");
    json_out_array(&o, "privileged_groups");
    for (size_t i = 0; i < s->way_count; i++) {
        json_out_object(&o, NULL);
        json_out_str(&o, "name", s->ways[i].name);
        json_out_str(&o, "sid", ad_sid_to_text(&s->ways[i].sid, sid));
        json_out_str(&o, "how", s->ways[i].how);
        json_out_end_object(&o);
    }
    json_out_end_array(&o);
    ad_protect_hint_words(&words, j->hints);
    json_out_str(&o, "hints", words.s);
    json_out_u64(&o, "spns", a->spn_count);
    json_out_u64(&o, "key_credentials", a->key_credentials);
    json_out_u64(&o, "delegates_to", a->delegates_to);
    json_out_bool(&o, "acts_on_behalf", a->acts_on_behalf);
    json_out_u64(&o, "sid_history", a->subject.sid_history_count);
    not_ended(a, &lines);
    json_out_array(&o, "not_ended");
    for (size_t i = 0; i < lines.count; i++)
        json_out_str(&o, NULL, lines.at[i]);
    json_out_end_array(&o);
    show_cloud_json(s, &o);
    json_out_end_object(&o);
    text_addc(&t, '\n');
    text_done(&words);
    show_emit(&t);
}

/* --- words ----------------------------------------------------------------------------------- */

static void label(struct text *t, const char *name)
{
    text_addf(t, "  %-19s ", name);
}

static void field(struct text *t, const char *name, const char *value)
{
    label(t, name);
    if (value == NULL)
        text_add(t, "(none, or not readable)");
    else
        text_show(t, value, strlen(value), SHOW_MAX);
    text_addc(t, '\n');
}

/* "2026-11-21T09:14:03.120Z (3 d 4 h ago)" */
static void add_time(struct text *t, int64_t ft, int64_t now)
{
    char when[STAMP_TEXT], age[STAMP_TEXT];
    int64_t ms = stamp_from_filetime(ft);

    if (ms <= now)
        text_addf(t, "%s (%s ago)", stamp_iso(when, ms), stamp_age(age, now - ms));
    else
        text_addf(t, "%s (in %s)", stamp_iso(when, ms), stamp_age(age, ms - now));
}

static void password(struct text *t, const struct ad_account *a, int64_t now)
{
    bool never = (a->uac & AD_UAC_DONT_EXPIRE_PASSWORD) != 0;

    label(t, "password");
    if (!a->has_pwd_last_set) {
        text_add(t, "date not readable");
    } else if (a->pwd_last_set == 0) {
        text_add(t, never ? "marked \"must change\", which does nothing: it never expires"
                          : "must be changed at the next logon");
    } else {
        text_add(t, "set ");
        add_time(t, a->pwd_last_set, now);
    }
    text_addc(t, '\n');
    label(t, "password expires");
    if (never)
        text_add(t, "never (flag of the account)");
    else if ((a->uac & AD_UAC_SMARTCARD_REQUIRED) != 0)
        text_add(t, "not in use: smart card only");
    else if (!a->has_pwd_expires)
        text_add(t, "not readable");
    else if (a->pwd_expires == STAMP_FILETIME_NEVER)
        text_add(t, "never (by policy)");
    else if (a->pwd_expires == 0)
        text_add(t, "now: must be changed at the next logon");
    else
        add_time(t, a->pwd_expires, now);
    text_addc(t, '\n');
    field(t, "user may change it",
          !a->dacl_read               ? "unknown: the access control list is not readable"
          : a->cannot_change_password ? "no"
                                      : "yes");
}

static void tell_text(const struct show *s, const struct would *w, size_t n,
                      const struct judgement *j)
{
    const struct ad_account *a = s->account;
    struct text t = TEXT_INIT(256 * 1024);
    char sid[AD_SID_TEXT], guid[AD_GUID_TEXT];
    struct lines lines = {.count = 0};
    int64_t now = stamp_now_ms();

    if (s->at > 0)
        text_addc(&t, '\n');
    text_show(&t, s->accounts[s->at], strlen(s->accounts[s->at]), SHOW_MAX);
    text_addf(&t, "   as %s shows it\n", s->dc->host);
    field(&t, "name", a->sam);
    field(&t, "user principal", a->upn);
    field(&t, "mail", a->mail);
    field(&t, "display name", a->display_name);
    field(&t, "DN", a->dn);
    field(&t, "SID", ad_sid_to_text(&a->subject.sid, sid));
    field(&t, "GUID", ad_guid_to_text(&a->guid, guid));
    field(&t, "state", (a->uac & AD_UAC_ACCOUNTDISABLE) != 0 ? "DISABLED" : "enabled");
    label(&t, "flags");
    ad_uac_words(&t, a->uac);
    text_addf(&t, " (%" PRIu32 ")\n", a->uac);
    password(&t, a, now);
    label(&t, "locked out");
    if (!is_locked(a)) {
        text_add(&t, a->has_computed || a->has_lockout_time ? "no" : "not readable");
    } else {
        text_add(&t, "yes");
        if (is_time(a->has_lockout_time, a->lockout_time)) {
            text_add(&t, ", since ");
            add_time(&t, a->lockout_time, now);
        }
    }
    text_addc(&t, '\n');
    label(&t, "last logon");
    if (is_time(a->has_last_logon, a->last_logon))
        add_time(&t, a->last_logon, now);
    else
        text_add(&t, a->has_last_logon ? "never" : "none, or not readable");
    text_addf(&t, " (at %s alone; each DC keeps its own)\n", s->dc->host);
    if (is_time(a->has_account_expires, a->account_expires)) {
        label(&t, "account expires");
        add_time(&t, a->account_expires, now);
        text_addc(&t, '\n');
    }
    if (a->spn_count > 0) {
        label(&t, "service names");
        text_addf(&t, "%zu, the first: ", a->spn_count);
        text_show(&t, a->spns[0], strlen(a->spns[0]), SHOW_MAX);
        text_addc(&t, '\n');
    }
    for (size_t i = 0; i < s->way_count; i++) {
        label(&t, i == 0 ? "privileged" : "");
        text_show(&t, s->ways[i].name, strlen(s->ways[i].name), SHOW_MAX);
        text_addf(&t, ": %s\n", s->ways[i].how);
    }
    if (j->hints != 0) {
        label(&t, "worth knowing");
        ad_protect_hint_words(&t, j->hints);
        text_addc(&t, '\n');
    }
    text_add(&t, "\n  what cordon would do\n");
    for (size_t i = 0; i < n; i++)
        text_addf(&t, "    %-15s %s%s%s%s%s\n", action_word(w[i].action),
                  w[i].word[0] == 'c'   ? "yes"
                  : w[i].word[0] == 'n' ? "nothing to do: it is so already"
                                        : w[i].word,
                  w[i].rule[0] != '\0' ? ": " : "", w[i].rule, w[i].why[0] != '\0' ? ": " : "",
                  w[i].why);
    if (s->asked && (!s->may_uac || !s->may_pwd))
        text_addf(
            &t,
            "    but the directory would deny it: you may not write %s%s%s here (cordon doctor)\n",
            s->may_uac ? "" : "userAccountControl", s->may_uac || s->may_pwd ? "" : ", ",
            s->may_pwd ? "" : "pwdLastSet");
    show_cloud_text(s, &t);
    text_add(&t, "\n  what no disable or reset ends\n");
    not_ended(a, &lines);
    for (size_t i = 0; i < lines.count; i++)
        text_addf(&t, "    %s\n", lines.at[i]);
    show_emit(&t);
}

void show_tell(const struct show *s)
{
    static const enum action actions[] = {ACT_DISABLE, ACT_EXPIRE, ACT_RESET, ACT_CONTAIN,
                                          ACT_ENABLE};
    struct would w[ARRAY_LEN(actions)];
    struct judgement j;

    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        would(s, actions[i], &w[i]);
    if (guard_judge(&s->world, s->dc, s->account, POLICY_DISABLE | POLICY_CREDENTIALS,
                    (struct guard_leave){0}, &j))
        j.rule = "";
    else
        say_way(s, &j);
    if (s->json)
        tell_json(s, w, ARRAY_LEN(w), &j);
    else
        tell_text(s, w, ARRAY_LEN(w), &j);
}
