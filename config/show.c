/* config/show.c -- what the table says, for a person: the settings in effect, a sample file, the
 * man page. Nothing here is a secret: secrets are never values, only file names are.
 */
#include "config/config.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/stamp.h"
#include "config/keys.h"
#include "config/list.h"
#include "config/named.h"
#include "config/sources.h"
#include "config/value.h"

/* --- the settings in effect ------------------------------------------------------------ */

static bool is_list(enum cfg_type type)
{
    return type == CFG_DOMAINS || type == CFG_HOSTS || type == CFG_FILES || type == CFG_MACHINES ||
           type == CFG_ACCOUNTS || type == CFG_GROUPS || type == CFG_DIRECT || type == CFG_NAMES;
}

/* So that what is shown could be put into a file again. */
static void add_list(struct text *out, const struct cfg_key *key, const struct cfg_list *l)
{
    bool accounts = key->type == CFG_ACCOUNTS || key->type == CFG_GROUPS;

    for (size_t i = 0; i < l->count; i++) {
        bool quote = accounts && strpbrk(l->items[i], ",;#\\=") != NULL;

        text_addf(out, quote ? "%s\"%s\"" : "%s%s", i > 0 ? ", " : "", l->items[i]);
    }
}

/* "disable, revoke" */
static void add_flags(struct text *out, const struct cfg_key *key, unsigned flags)
{
    const char *comma = "";
    char word[32];

    for (unsigned i = 0; cfg_word_at(key->words, i, word)[0] != '\0'; i++) {
        if ((flags & 1U << i) == 0)
            continue;
        text_addf(out, "%s%s", comma, word);
        comma = ", ";
    }
}

/* One value as one would type it; nothing where there is none. */
static void add_field(struct text *out, const struct cfg_key *key, const void *base,
                      const struct ini_entry *from)
{
    const void *field = (const char *)base + key->offset;
    const struct cfg_rate *rate = field;
    char buf[STAMP_TEXT];
    unsigned word;

    if (is_list(key->type)) {
        add_list(out, key, field);
        return;
    }
    switch (key->type) {
    case CFG_BOOL:
        text_add(out, *(const bool *)field ? "yes" : "no");
        break;
    case CFG_COUNT:
        text_addf(out, "%u", *(const unsigned *)field);
        break;
    case CFG_DURATION:
        text_add(out, cfg_duration_text(*(const uint64_t *)field, buf));
        break;
    case CFG_WORD:
        memcpy(&word, field, sizeof(word));
        text_add(out, cfg_word_at(key->words, word, buf));
        break;
    case CFG_FLAGS:
        add_flags(out, key, *(const unsigned *)field);
        break;
    case CFG_RATE:
        text_addf(out, "%u per %s", rate->count, cfg_duration_text(rate->per_ms, buf));
        break;
    case CFG_TIME:
        if (*(const int64_t *)field != 0)
            text_add(out, stamp_iso(buf, *(const int64_t *)field));
        break;
    case CFG_LATER:
        /* A value over several lines is shown on one. */
        for (const char *s = from != NULL ? from->value : ""; *s != '\0'; s++)
            text_addc(out, (char)(*s == '\n' ? ' ' : *s));
        break;
    default:
        if (*(char *const *)field != NULL)
            text_addf(out, strpbrk(*(char *const *)field, ";#") != NULL ? "\"%s\"" : "%s",
                      *(char *const *)field);
        break;
    }
}

static void show_text(struct text *out, const struct cfg_key *key, const char *value,
                      const struct ini_entry *from)
{
    if (value[0] == '\0')
        text_addf(out, "# %s: %s\n", key->name, key->def_says != NULL ? key->def_says : "not set");
    else if (from == NULL)
        text_addf(out, "%s = %s  # default\n", key->name, value);
    else
        text_addf(out, "%s = %s  # %s:%u\n", key->name, value, from->at.file, from->at.line);
}

static void show_json(struct json_out *o, const struct cfg_key *key, const void *base,
                      const char *section, const char *value, const struct ini_entry *from)
{
    const struct cfg_list *l = (const void *)((const char *)base + key->offset);
    struct text where = TEXT_INIT(8192);

    json_out_object(o, NULL);
    json_out_str(o, "section", section);
    json_out_str(o, "key", key->name);
    if (is_list(key->type)) {
        json_out_array(o, "value");
        for (size_t i = 0; i < l->count; i++)
            json_out_str(o, NULL, l->items[i]);
        json_out_end_array(o);
    } else if (key->type == CFG_BOOL) {
        json_out_bool(o, "value", *(const bool *)(const void *)l);
    } else if (key->type == CFG_COUNT) {
        json_out_u64(o, "value", *(const unsigned *)(const void *)l);
    } else {
        json_out_str(o, "value", value[0] != '\0' ? value : NULL);
    }
    if (key->type == CFG_DURATION)
        json_out_u64(o, "ms", *(const uint64_t *)(const void *)l);
    if (from != NULL) {
        text_addf(&where, "%s:%u", from->at.file, from->at.line);
        json_out_str(o, "from", where.s);
    } else {
        json_out_str(o, "from", "default");
    }
    json_out_end_object(o);
    text_done(&where);
}

/* One section of the table; `one` for [section/NAME]. */
static void show_section(const struct cfg *c, const struct cfg_section *s, const void *one,
                         struct json_out *json, struct text *out)
{
    struct text name = TEXT_INIT(512), value = TEXT_INIT(1024 * 1024);
    const char *of = one != NULL ? cfg_named_name(one) : NULL;
    bool began = false;

    text_addf(&name, "%s%s%s", s->name, of != NULL ? "/" : "", of != NULL ? of : "");
    for (size_t i = 0; i < cfg_key_count; i++) {
        const struct cfg_key *key = &cfg_keys[i];
        const struct ini_entry *from;
        const void *base = cfg_key_base(c, key, one);

        if (strcmp(key->section, s->name) != 0)
            continue;
        from = cfg_source_find(c, key, of);
        if (key->type == CFG_LATER && from == NULL)
            continue;
        text_clear(&value);
        add_field(&value, key, base, from);
        out->failed = out->failed || value.failed;
        if (json != NULL) {
            show_json(json, key, base, name.s, value.s, from);
            continue;
        }
        if (!began)
            text_addf(out, "[%s]\n", name.s);
        began = true;
        show_text(out, key, value.s, from);
    }
    if (began)
        text_addc(out, '\n');
    text_done(&name);
    text_done(&value);
}

/* Shown where it is not there, the section would be there for whoever reads it in again. */
static bool is_off(const struct cfg *c, const struct cfg_section *s)
{
    return (strcmp(s->name, "entra") == 0 && !c->entra.on) ||
           (strcmp(s->name, "okta") == 0 && !c->okta.on) ||
           (strcmp(s->name, "defender") == 0 && !c->defender.on) ||
           (strcmp(s->name, "queue") == 0 && !c->queue.on) ||
           (strcmp(s->name, "risk") == 0 && !c->risk.on);
}

int cfg_show(const struct cfg *c, bool json, struct text *out, struct err *e)
{
    struct json_out o;

    json_out_init(&o, out);
    if (json) {
        json_out_object(&o, NULL);
        json_out_str(&o, "type", "config");
        json_out_array(&o, "settings");
    }
    for (size_t i = 0; i < cfg_section_count; i++) {
        const struct cfg_section *s = &cfg_sections[i];

        if (is_off(c, s))
            continue;
        if (s->named == NULL)
            show_section(c, s, NULL, json ? &o : NULL, out);
        for (size_t k = 0; k < cfg_named_count(c, s->name); k++)
            show_section(c, s, cfg_named_at(c, s->name, k), json ? &o : NULL, out);
    }
    if (json) {
        json_out_end_array(&o);
        json_out_end_object(&o);
        text_addc(out, '\n');
    }
    return text_check(out, "settings", e);
}

/* --- what is worth a line ------------------------------------------------------------------- */

static void notice(struct text *out, const struct ini_entry *en, const char *what)
{
    text_addf(out, "%s:%u:%u: '%s' %s\n", en->at.file, en->at.line, en->at.column, en->key, what);
}

static void notice_key(const struct cfg *c, const char *section, const char *key, bool idle,
                       const char *what, struct text *out)
{
    const struct ini_entry *en = cfg_source_find(c, cfg_key_find(section, key), NULL);

    if (en != NULL && idle)
        notice(out, en, what);
}

/* `key` of a domain is given, but `idle` says that nothing looks at it. */
static void notice_idle(const struct cfg *c, const struct cfg_domain *d, const char *key, bool idle,
                        const char *what, struct text *out)
{
    const struct ini_entry *en = cfg_source_find(c, cfg_key_find("domain", key), d->name);

    if (en != NULL && idle)
        notice(out, en, what);
}

/* The other engine's settings, and times of a key that is not there. */
static void notice_queue(const struct cfg *c, struct text *out)
{
    static const char *const spool[] = {"directory"};
    static const char *const azure[] = {
        "account",  "url",      "queue",           "result_queue",
        "key_file", "sas_file", "poison_sas_file", "result_sas_file",
        "entra"};
    static const char *const next[] = {"next_not_before", "next_not_after"};

    if (c->queue.on && c->signer_count == 0)
        notice_key(c, "queue", "engine", true,
                   "without a [signer/NAME]: requests can be put on, none taken", out);
    for (size_t i = 0; i < ARRAY_LEN(spool); i++)
        notice_key(c, "queue", spool[i], c->queue.engine != CFG_ENGINE_SPOOL,
                   "is not used: engine is not spool", out);
    for (size_t i = 0; i < ARRAY_LEN(azure); i++)
        notice_key(c, "queue", azure[i], c->queue.engine != CFG_ENGINE_AZURE,
                   "is not used: engine is not azure", out);
    for (size_t k = 0; k < c->signer_count; k++) {
        for (size_t i = 0; i < ARRAY_LEN(next) && c->signers[k].next_key == NULL; i++) {
            const struct ini_entry *en =
                cfg_source_find(c, cfg_key_find("signer", next[i]), c->signers[k].name);

            if (en != NULL)
                notice(out, en, "is not used: there is no next_key");
        }
    }
}

int cfg_notices(const struct cfg *c, struct text *out, struct err *e)
{
    for (size_t i = 0; i < c->sources->count; i++) {
        const struct cfg_source *s = &c->sources->list[i];

        if (s->key->type == CFG_LATER)
            notice(out, s->entry, "is known, but not used yet");
    }
    for (size_t i = 0; i < c->domain_count; i++) {
        const struct cfg_domain *d = &c->domains[i];

        notice_idle(c, d, "events_file",
                    d->events != CFG_EVENTS_SAMBA && d->events != CFG_EVENTS_JSONL,
                    "is not used: events is neither samba nor jsonl", out);
        notice_idle(c, d, "event_host", d->events != CFG_EVENTS_WINRM,
                    "is not used: events is not winrm", out);
        notice_idle(c, d, "ca_file",
                    d->transport != CFG_TRANSPORT_LDAPS && d->winrm != CFG_WINRM_HTTPS,
                    "is not used: transport is not ldaps, winrm not https", out);
        notice_idle(c, d, "winrm_certificate", d->winrm_auth != CFG_WINRM_CERTIFICATE,
                    "is not used: winrm_auth is not certificate", out);
        notice_idle(c, d, "principal", d->keytab == NULL, "is not used: there is no keytab", out);
        notice_idle(c, d, "write_limit", d->dcs.count > 0 || d->write == CFG_WRITE_FIRST,
                    "is not used: it is for write = all without dcs", out);
    }
    notice_key(c, "entra", "sync_server", c->entra.sync != CFG_SYNC_CONNECT,
               "is not used: sync is not connect", out);
    notice_key(c, "entra", "client_id", c->entra.credential == CFG_CREDENTIAL_MANAGED,
               "is not used: managed_identity says which identity", out);
    notice_key(c, "okta", "client_id", c->okta.key_file == NULL, "is not used: it is for key_file",
               out);
    notice_key(c, "okta", "key_id", c->okta.key_file == NULL, "is not used: it is for key_file",
               out);
    notice_key(c, "okta", "scope", c->okta.key_file == NULL, "is not used: it is for key_file",
               out);
    notice_key(c, "http", "no_proxy", c->http.proxy == NULL, "is not used: there is no proxy", out);
    notice_key(c, "http", "proxy_login_file", c->http.proxy == NULL,
               "is not used: there is no proxy", out);
    notice_queue(c, out);
    return text_check(out, "notices", e);
}

/* --- the sample file ----------------------------------------------------------------------------
 */

/* A comment, broken at spaces before column 88. */
static void add_comment(struct text *out, const char *s)
{
    while (*s != '\0') {
        size_t n = strlen(s), cut = n;

        if (n > 86) {
            for (cut = 86; cut > 0 && s[cut] != ' '; cut--)
                ;
            if (cut == 0)
                cut = n;
        }
        text_addf(out, "# %.*s\n", (int)cut, s);
        s += cut;
        s += strspn(s, " ");
    }
}

static void sample_key(struct text *out, const struct cfg_key *key)
{
    text_addc(out, '\n');
    add_comment(out, key->help);
    if (key->instead != NULL)
        text_addf(out, "# Instead of %s, for instance:\n# %s = %s\n", key->instead, key->name,
                  key->typical);
    else if (strcmp(key->section, "cordon") == 0 && strcmp(key->name, "domains") == 0)
        text_add(out, "domains = corp.example.com\n");
    else if (key->def != NULL)
        text_addf(out, "#%s = %s\n", key->name, key->def);
    else
        text_addf(out, "# Default: %s. For instance:\n#%s = %s\n", key->def_says, key->name,
                  key->typical);
}

int cfg_sample(struct text *out, struct err *e)
{
    text_add(
        out,
        "# cordon.conf -- see cordon.conf(5). Owned by root or by the user that runs cordon,\n"
        "# chmod 600; root's may be 640, for a group to read. A line that begins with '#' is a\n"
        "# comment; those that begin with a key after '#' show the default, or an example.\n");
    for (size_t i = 0; i < cfg_section_count; i++) {
        const struct cfg_section *s = &cfg_sections[i];

        if (s->later)
            continue;
        text_addc(out, '\n');
        add_comment(out, s->help);
        text_addf(out, "%s[%s%s%s]\n", s->switches ? "#" : "", s->name, s->named != NULL ? "/" : "",
                  s->named != NULL ? s->named : "");
        for (size_t k = 0; k < cfg_key_count; k++) {
            if (strcmp(cfg_keys[k].section, s->name) == 0 && cfg_keys[k].type != CFG_LATER)
                sample_key(out, &cfg_keys[k]);
        }
    }
    return text_check(out, "sample", e);
}

/* --- the man page
 * ------------------------------------------------------------------------------------ */

/* Text into roff: backslashes and minus signs escaped, no line begins with a request. */
static void add_roff(struct text *out, const char *s)
{
    if (*s == '.' || *s == '\'')
        text_add(out, "\\&");
    for (; *s != '\0'; s++) {
        if (*s == '\\')
            text_add(out, "\\e");
        else if (*s == '-')
            text_add(out, "\\-");
        else
            text_addc(out, *s);
    }
}

static void roff_line(struct text *out, const char *label, const char *s)
{
    if (s == NULL || *s == '\0')
        return;
    text_addf(out, ".br\n%s: ", label);
    add_roff(out, s);
    text_addc(out, '\n');
}

static void manual_range(struct text *out, const struct cfg_key *key)
{
    char low[32], high[32];

    if (key->type == CFG_COUNT)
        text_addf(out, ".br\nRange: %" PRIu64 " to %" PRIu64 "\n", key->min, key->max);
    else if (key->type == CFG_DURATION)
        text_addf(out, ".br\nRange: %s to %s\n", cfg_duration_text(key->min, low),
                  cfg_duration_text(key->max, high));
    else if (key->type == CFG_BOOL)
        text_add(out, ".br\nOne of: yes no\n");
    else if (key->type == CFG_RATE)
        text_addf(out, ".br\nRange: %" PRIu64 " to %" PRIu64 " per time\n", key->min, key->max);
    else if (key->words != NULL)
        roff_line(out, key->type == CFG_FLAGS ? "Some of" : "One of", key->words);
}

static void manual_key(struct text *out, const struct cfg_key *key)
{
    text_addf(out, ".TP\n.B %s\n", key->name);
    add_roff(out, key->help);
    text_addc(out, '\n');
    if (key->type == CFG_LATER) {
        roff_line(out, "Typical", key->typical);
        return;
    }
    roff_line(out, "Unit", key->unit);
    manual_range(out, key);
    roff_line(out, "Default", key->def != NULL ? key->def : key->def_says);
    roff_line(out, "Typical", key->typical);
    roff_line(out, "Harm", key->harm);
}

static void manual_section(struct text *out, const struct cfg_section *s, bool later)
{
    bool began = false;

    for (size_t i = 0; i < cfg_key_count; i++) {
        if (strcmp(cfg_keys[i].section, s->name) != 0 || (cfg_keys[i].type == CFG_LATER) != later)
            continue;
        if (!began) {
            text_addf(out, ".SS \"[%s%s]\"\n", s->name, cfg_section_slash(s->name));
            add_roff(out, s->help);
            text_addc(out, '\n');
        }
        began = true;
        manual_key(out, &cfg_keys[i]);
    }
}

int cfg_manual(struct text *out, struct err *e)
{
    text_add(out,
             ".\\\" Made from the table in config/keys.c: change that, not this.\n"
             ".TH CORDON.CONF 5 \"\" \"cordon " CORDON_VERSION "\" \"File Formats\"\n"
             ".SH NAME\n"
             "cordon.conf \\- settings of cordon\n"
             ".SH SYNOPSIS\n"
             ".I /etc/cordon/cordon.conf\n"
             ".br\n"
             ".I /etc/cordon/conf.d/*.conf\n"
             ".SH DESCRIPTION\n"
             "Sections in brackets, and in them lines of the form\n"
             ".IR \"key = value\" .\n"
             "A line that begins with # or ; is a comment, and so is what follows one of these "
             "after a space, outside double quotes. A line that begins with a space goes on with "
             "the value of the line above; only lists may do so. Lines are at most 4096 bytes of "
             "UTF\\-8, files at most 256 KiB.\n"
             ".PP\n"
             "Files in conf.d beside the file are read after it, in the order of their names; they "
             "may give a key anew. Within one file a key is given once.\n"
             ".PP\n"
             "An unknown section or key, a value out of range, or a setting that does not go with "
             "another is an error, and then nothing is used at all.\n"
             ".B cordon config check\n"
             "lists all errors with file, line and column.\n"
             ".B cordon config show\n"
             "prints the settings in effect and where each comes from.\n"
             ".PP\n"
             "The files must belong to root or to the user that runs cordon, and be closed to all "
             "others (chmod 600; where root owns them, a group may read them: 640); the folders up "
             "to / must not be writable by others. Secrets are "
             "never values: a file that holds one is named instead.\n"
             ".PP\n"
             "Times are numbers with a unit: 250ms, 3s, 5m, 2h, 7d; a bare number is seconds.\n"
             ".PP\n"
             "The environment variable\n"
             ".B CORDON_CONFIG\n"
             "names another file.\n"
             ".SH SETTINGS\n");
    for (size_t i = 0; i < cfg_section_count; i++)
        manual_section(out, &cfg_sections[i], /* later */ false);
    text_add(out, ".SH KNOWN, NOT USED YET\n"
                  "These may stand in the file already. This version does nothing with them, and\n"
                  ".B cordon config check\n"
                  "says so.\n");
    for (size_t i = 0; i < cfg_section_count; i++)
        manual_section(out, &cfg_sections[i], /* later */ true);
    text_add(out, ".SH SEE ALSO\n.BR cordon (1)\n");
    return text_check(out, "manual", e);
}
