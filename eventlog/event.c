/* eventlog/event.c -- keep, show and compare events; see event.h. */
#include "eventlog/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/stamp.h"
#include "eventlog/samflags.h"

/* All that points into somebody's memory. */
static const size_t strings[] = {
    offsetof(struct evlog_event, computer),    offsetof(struct evlog_event, channel),
    offsetof(struct evlog_event, provider),    offsetof(struct evlog_event, target.sid),
    offsetof(struct evlog_event, target.name), offsetof(struct evlog_event, target.domain),
    offsetof(struct evlog_event, target.dn),   offsetof(struct evlog_event, actor.sid),
    offsetof(struct evlog_event, actor.name),  offsetof(struct evlog_event, actor.domain),
    offsetof(struct evlog_event, actor.dn),    offsetof(struct evlog_event, password_last_set_text),
    offsetof(struct evlog_event, remote),      offsetof(struct evlog_event, old_name),
    offsetof(struct evlog_event, new_name),    offsetof(struct evlog_event, transaction),
};

static const char **string_at(struct evlog_event *ev, size_t i)
{
    return (const char **)((char *)ev + strings[i]);
}

void evlog_event_init(struct evlog_event *ev)
{
    *ev = (struct evlog_event){0};
    for (size_t i = 0; i < ARRAY_LEN(strings); i++)
        *string_at(ev, i) = "";
}

size_t evlog_event_size(const struct evlog_event *ev)
{
    struct evlog_event from = *ev;
    size_t need = sizeof(*ev);

    for (size_t i = 0; i < ARRAY_LEN(strings); i++)
        need += strlen(*string_at(&from, i)) + 1;
    return need;
}

struct evlog_event *evlog_event_copy(const struct evlog_event *ev, void **block, size_t *size)
{
    struct evlog_event *copy;
    struct evlog_event from = *ev;
    size_t need = (evlog_event_size(ev) + 127) & ~(size_t)127, n; /* so that a ring soon settles */
    char *s;

    if (*block == NULL || need > *size) {
        void *grown = realloc(*block, need);

        if (grown == NULL)
            return NULL;
        *block = grown;
        *size = need;
    }
    copy = *block;
    *copy = from;
    s = (char *)(copy + 1);
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        n = strlen(*string_at(&from, i)) + 1;
        memcpy(s, *string_at(&from, i), n);
        *string_at(copy, i) = s;
        s += n;
    }
    return copy;
}

struct evlog_event *evlog_event_dup(const struct evlog_event *ev)
{
    void *block = NULL;
    size_t size = 0;

    return evlog_event_copy(ev, &block, &size);
}

/* --- out ------------------------------------------------------------------------------ */

static const char *or_null(const char *s)
{
    return s[0] == '\0' ? NULL : s;
}

static void out_hex(struct json_out *o, const char *name, bool has, uint64_t v)
{
    char hex[24];

    (void)snprintf(hex, sizeof(hex), "0x%" PRIx64, v);
    json_out_str(o, name, has ? hex : NULL);
}

static void out_bits(struct json_out *o, const char *name, uint32_t bits)
{
    json_out_array(o, name);
    for (unsigned n = 0; n < 32; n++) {
        if ((bits & UINT32_C(1) << n) == 0)
            continue;
        if (evlog_sam_name(n) != NULL)
            json_out_str(o, NULL, evlog_sam_name(n));
        else
            out_hex(o, NULL, true, UINT64_C(1) << n);
    }
    json_out_end_array(o);
}

static void out_uac(struct json_out *o, const struct evlog_uac *u)
{
    char code[16];

    json_out_object(o, "uac");
    out_hex(o, "old", u->has_old, u->old);
    out_hex(o, "new", u->has_new, u->new);
    if (u->has_old && u->has_new) {
        out_bits(o, "set", u->new & ~u->old);
        out_bits(o, "cleared", u->old & ~u->new);
    } else {
        json_out_null(o, "set");
        json_out_null(o, "cleared");
    }
    if (u->code_count > 0) {
        json_out_array(o, "codes");
        for (unsigned i = 0; i < u->code_count; i++) {
            (void)snprintf(code, sizeof(code), "%%%%%u", u->codes[i]);
            json_out_str(o, NULL, code);
        }
        json_out_end_array(o);
    }
    json_out_end_object(o);
}

static const char *password_word(const struct evlog_event *ev)
{
    switch (ev->password_last_set) {
    case EVLOG_PLS_NEVER:
        return "never";
    case EVLOG_PLS_TIME:
        return ev->password_last_set_text;
    case EVLOG_PLS_UNCHANGED:
        break;
    }
    return "unchanged";
}

void evlog_event_json(const struct evlog_event *ev, struct text *t)
{
    static const char *const kinds[] = {
        [EVLOG_XML] = "xml", [EVLOG_JSON] = "json", [EVLOG_SAMBA] = "samba"};
    struct json_out o;

    json_out_init(&o, t);
    json_out_object(&o, NULL);
    json_out_str(&o, "type", "event");
    json_out_u64(&o, "id", ev->id);
    if (ev->has_record)
        json_out_u64(&o, "record", ev->record);
    else
        json_out_null(&o, "record");
    if (ev->has_time)
        json_out_time(&o, "time", ev->time_ms);
    else
        json_out_null(&o, "time");
    json_out_str(&o, "computer", or_null(ev->computer));

    json_out_object(&o, "target");
    json_out_str(&o, "sid", or_null(ev->target.sid));
    json_out_str(&o, "name", or_null(ev->target.name));
    json_out_str(&o, "domain", or_null(ev->target.domain));
    if (ev->target.dn[0] != '\0')
        json_out_str(&o, "dn", ev->target.dn);
    json_out_end_object(&o);

    json_out_object(&o, "actor");
    json_out_str(&o, "sid", or_null(ev->actor.sid));
    json_out_str(&o, "name", or_null(ev->actor.name));
    if (ev->actor.domain[0] != '\0')
        json_out_str(&o, "domain", ev->actor.domain);
    out_hex(&o, "logon_id", ev->has_logon_id, ev->logon_id);
    json_out_end_object(&o);

    out_uac(&o, &ev->uac);
    json_out_str(&o, "password_last_set", password_word(ev));
    if (ev->id == EVLOG_RENAMED) {
        json_out_str(&o, "old_name", or_null(ev->old_name));
        json_out_str(&o, "new_name", or_null(ev->new_name));
    }
    if (ev->outcome == EVLOG_UNSAID)
        json_out_null(&o, "success");
    else
        json_out_bool(&o, "success", ev->outcome == EVLOG_SUCCESS);
    json_out_str(&o, "source", kinds[ev->kind]);
    if (ev->kind == EVLOG_SAMBA)
        json_out_bool(&o, "committed", ev->commit == EVLOG_COMMITTED);
    if (ev->remote[0] != '\0')
        json_out_str(&o, "remote", ev->remote);
    json_out_end_object(&o);
}

const char *evlog_id_word(uint32_t id)
{
    switch (id) {
    case EVLOG_CREATED:
        return "created";
    case EVLOG_ENABLED:
        return "enabled";
    case EVLOG_CHANGE_PASSWORD:
        return "password changed";
    case EVLOG_RESET_PASSWORD:
        return "password reset";
    case EVLOG_DISABLED:
        return "disabled";
    case EVLOG_DELETED:
        return "deleted";
    case EVLOG_CHANGED:
        return "changed";
    case EVLOG_LOCKED:
        return "locked out";
    case EVLOG_UNLOCKED:
        return "unlocked";
    case EVLOG_RENAMED:
        return "renamed";
    default:
        return "event";
    }
}

static void human_who(struct text *t, const struct evlog_who *w)
{
    const char *s = w->name[0] != '\0' ? w->name : w->dn[0] != '\0' ? w->dn : w->sid;

    if (*s == '\0') {
        text_add(t, "?");
        return;
    }
    text_addc(t, '\'');
    text_show(t, s, strlen(s), TEXT_SHOW_LIMIT);
    text_addc(t, '\'');
}

static void human_bits(struct text *t, uint32_t bits, char sign)
{
    for (unsigned n = 0; n < 32; n++) {
        if ((bits & UINT32_C(1) << n) == 0)
            continue;
        if (evlog_sam_name(n) != NULL)
            text_addf(t, " %c%s", sign, evlog_sam_name(n));
        else
            text_addf(t, " %c0x%" PRIx32, sign, UINT32_C(1) << n);
    }
}

void evlog_event_human(const struct evlog_event *ev, struct text *t)
{
    char when[STAMP_TEXT] = "?";

    if (ev->has_time)
        (void)stamp_iso(when, ev->time_ms);
    text_add(t, when);
    text_addc(t, ' ');
    if (ev->computer[0] == '\0')
        text_addc(t, '?');
    else
        text_show(t, ev->computer, strlen(ev->computer), TEXT_SHOW_LIMIT);
    text_addf(t, " %" PRIu32 " %s ", ev->id, evlog_id_word(ev->id));
    human_who(t, &ev->target);
    text_add(t, " by ");
    human_who(t, &ev->actor);
    if (ev->has_record)
        text_addf(t, " #%" PRIu64, ev->record);

    if (ev->uac.has_old && ev->uac.has_new) {
        text_addf(t, " uac 0x%" PRIx32 " -> 0x%" PRIx32, ev->uac.old, ev->uac.new);
        human_bits(t, ev->uac.new & ~ev->uac.old, '+');
        human_bits(t, ev->uac.old & ~ev->uac.new, '-');
    } else if (ev->uac.has_new) {
        text_addf(t, " uac -> 0x%" PRIx32, ev->uac.new);
    }
    if (ev->password_last_set != EVLOG_PLS_UNCHANGED) {
        text_add(t, " password last set: ");
        text_show(t, password_word(ev), strlen(password_word(ev)), TEXT_SHOW_LIMIT);
    }
    if (ev->id == EVLOG_RENAMED && ev->old_name[0] != '\0') {
        text_add(t, " was '");
        text_show(t, ev->old_name, strlen(ev->old_name), TEXT_SHOW_LIMIT);
        text_addc(t, '\'');
    }
    if (ev->remote[0] != '\0') {
        text_add(t, " from ");
        text_show(t, ev->remote, strlen(ev->remote), TEXT_SHOW_LIMIT);
    }
    if (ev->outcome == EVLOG_FAILURE)
        text_add(t, " FAILED");
    if (ev->commit == EVLOG_COMMIT_UNSEEN)
        text_add(t, " (commit not seen)");
}

/* --- comparing ---------------------------------------------------------------------------- */

bool evlog_same_host(const char *computer, const char *dc)
{
    size_t n = strlen(computer), m = strlen(dc);

    /* A root dot changes nothing. */
    if (n > 0 && computer[n - 1] == '.')
        n--;
    if (m > 0 && dc[m - 1] == '.')
        m--;
    if (n == 0 || m == 0)
        return false;
    if (memchr(computer, '.', n) == NULL)
        m = strcspn(dc, ".");
    if (n != m)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char a = (unsigned char)computer[i], b = (unsigned char)dc[i];

        if (a != b && ((a | 0x20) != (b | 0x20) || (a | 0x20) < 'a' || (a | 0x20) > 'z'))
            return false;
    }
    return true;
}

bool evlog_same_sid(const char *a, const char *b)
{
    return a[0] != '\0' && text_eq_nocase(a, b);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* RFC 4514: a special character may be written as \c or as \xx, any byte as \xx. What is special
 * stays escaped, so that no value can pass for structure. */
void evlog_dn_key(const char *dn, struct text *t)
{
    static const char special[] = ",+\"\\<>;=#";
    size_t begin = t->len, tail; /* blanks before a separator are dropped, back to `tail` */

    tail = begin;
    for (const char *s = dn; *s != '\0'; s++) {
        if (*s == '\\' && s[1] != '\0') {
            int hi = hex_digit(s[1]), lo = hi < 0 ? -1 : hex_digit(s[2]);
            char c = s[1];

            if (lo >= 0) {
                c = (char)(hi * 16 + lo);
                s += 2;
            } else {
                s++;
            }
            if (c == '\0') {
                text_add(t, "\\00");
            } else {
                if (strchr(special, c) != NULL || c == ' ')
                    text_addc(t, '\\');
                text_addc(t, lower(c));
            }
            tail = t->len;
        } else if (*s == ',' || *s == ';' || *s == '+' || *s == '=') {
            if (t->len > tail && !t->failed) {
                t->len = tail;
                t->s[t->len] = '\0';
            }
            text_addc(t, *s == ';' ? ',' : *s);
            while (s[1] == ' ')
                s++;
            tail = t->len;
        } else {
            text_addc(t, lower(*s));
            if (*s != ' ')
                tail = t->len;
        }
    }
    if (t->len > tail && tail > begin && !t->failed) {
        t->len = tail;
        t->s[t->len] = '\0';
    }
}
