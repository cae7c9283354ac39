/* config/ini.c -- see ini.h. One pass, line by line; an error spoils its line and what goes on
 * with it, never the reading of the next, so that one run shows them all.
 */
#include "config/ini.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define NONE SIZE_MAX
#define ASTRAY (SIZE_MAX - 1) /* in a section whose header is wrong */

struct reader {
    struct ini *ini;
    struct text *errors; /* borrowed, may be NULL */
    struct err *e;
    unsigned line;
    size_t section; /* the one we are in; NONE before the first */
    size_t entry;   /* the one that a continuation line goes on with, or NONE */
    bool spoiled;   /* the line above was wrong: a continuation of it is not worth another error */
    bool failed;
};

/* --- errors ------------------------------------------------------------------------- */

int ini_error(struct text *errors, struct err *e, const struct ini_place *at, const char *fmt, ...)
{
    char what[sizeof(e->msg)];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    if (errors != NULL)
        text_addf(errors, "%s:%u:%u: %s\n", at->file, at->line, at->column, what);
    if (e->code == ERR_OK)
        (void)err_set(e, ERR_CONFIG, 0, "%s:%u:%u: %s", at->file, at->line, at->column, what);
    return -1;
}

/* An error in this line, at 0-based offset `at`. */
#define WRONG(r, offset, ...)                                       \
    do {                                                            \
        struct ini_place place_ = place(r, offset);                 \
        (void)ini_error((r)->errors, (r)->e, &place_, __VA_ARGS__); \
        spoil(r);                                                   \
    } while (0)

static struct ini_place place(const struct reader *r, size_t offset)
{
    return (struct ini_place){r->ini->file, r->line, (unsigned)offset + 1};
}

static void spoil(struct reader *r)
{
    r->failed = true;
    r->spoiled = true;
    r->entry = NONE;
}

static int no_memory(struct reader *r)
{
    r->failed = true;
    return err_set(r->e, ERR_NOMEM, 0, "%s", r->ini->file);
}

/* --- memory ---------------------------------------------------------------------------- */

static void *grown(void *list, size_t count, size_t *cap, size_t size)
{
    size_t more = *cap == 0 ? 16 : *cap * 2;
    void *p = list;

    if (count < *cap)
        return list;
    p = reallocarray(list, more, size);
    if (p != NULL)
        *cap = more;
    return p;
}

void ini_free(struct ini *ini)
{
    if (ini == NULL)
        return;
    for (size_t i = 0; i < ini->section_count; i++)
        free(ini->sections[i].name);
    for (size_t i = 0; i < ini->entry_count; i++) {
        free(ini->entries[i].key);
        free(ini->entries[i].value);
    }
    free(ini->sections);
    free(ini->entries);
    free(ini->file);
    free(ini);
}

void ini_freep(struct ini **ini)
{
    ini_free(*ini);
}

/* --- one line ---------------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t skip_space(const char *s, size_t n, size_t at)
{
    while (at < n && is_space(s[at]))
        at++;
    return at;
}

/* Every byte of a line, comments too: what cannot be seen may hide what a reader should see. */
static bool check_bytes(struct reader *r, const char *s, size_t n)
{
    for (size_t at = 0; at < n;) {
        uint32_t c;
        size_t len = text_utf8_next(s + at, n - at, &c);

        if (len == 0) {
            WRONG(r, at, "byte 0x%02x is not UTF-8", (unsigned char)s[at]);
            return false;
        }
        if (c == 0xfeff && at == 0 && r->line == 1) {
            WRONG(r, at, "the file begins with a byte order mark: save it without");
            return false;
        }
        if (text_is_hidden(c) && c != '\t') {
            WRONG(r, at, "a control or invisible character (U+%04X)", (unsigned)c);
            return false;
        }
        at += len;
    }
    return true;
}

/* The value that begins at `at`, up to the comment behind it; n shrinks to its end. Returns false
 * where it is wrong. A backslash protects the next character from meaning anything here. */
static bool cut_value(struct reader *r, const char *s, size_t at, size_t *n, bool *ret_semicolon)
{
    bool quoted = false, after_space = at > 0 && is_space(s[at - 1]);
    size_t quote_at = 0, i;

    *ret_semicolon = false;
    for (i = at; i < *n; i++) {
        if (s[i] == '\\' && i + 1 < *n) {
            i++;
            after_space = false;
            continue;
        }
        if (s[i] == '"') {
            quoted = !quoted;
            quote_at = i;
        }
        if (!quoted && after_space && (s[i] == '#' || s[i] == ';')) {
            *ret_semicolon = s[i] == ';';
            break;
        }
        after_space = is_space(s[i]);
    }
    if (quoted) {
        WRONG(r, quote_at, "this quote is not closed in its line (as a character, write \\\")");
        return false;
    }
    while (i > at && is_space(s[i - 1]))
        i--;
    *n = i;
    return true;
}

static void read_continuation(struct reader *r, const char *s, size_t n, size_t at)
{
    struct ini_entry *en;
    struct text joined;
    bool semicolon;
    char *p;

    if (s[at] == '#' || s[at] == ';') {
        if (s[at] == ';' && r->entry != NONE)
            r->ini->entries[r->entry].semicolon = true;
        return;
    }
    if (r->spoiled)
        return;
    if (r->entry == NONE) {
        WRONG(r, 0,
              "a line that begins with a space goes on with a value, and there is none "
              "above it: keys and sections begin at the left");
        return;
    }
    if (!cut_value(r, s, at, &n, &semicolon))
        return;
    en = &r->ini->entries[r->entry];
    en->semicolon = en->semicolon || semicolon;
    text_init(&joined, INI_FILE_MAX);
    text_add(&joined, en->value);
    text_addc(&joined, '\n');
    text_addn(&joined, s + at, n - at);
    p = text_take(&joined);
    text_done(&joined);
    if (p == NULL) {
        (void)no_memory(r);
        return;
    }
    free(en->value);
    en->value = p;
}

static void read_section(struct reader *r, const char *s, size_t n)
{
    struct ini *ini = r->ini;
    char shown[TEXT_SHOWN];
    size_t end, behind;
    char *name;
    void *p;

    /* Until the name is known to be good, keys below it are read but belong nowhere. */
    r->section = ASTRAY;
    for (end = 1; end < n && s[end] != ']'; end++) {
        if (!is_name(s[end]) && strchr("./-", s[end]) == NULL)
            break;
    }
    if (end == n || s[end] != ']') {
        WRONG(r, end,
              end == n || strchr("#;", s[end]) != NULL
                  ? "the section is not closed: a ']' is missing"
                  : "a section name is made of letters, digits and . - _ /");
        return;
    }
    behind = skip_space(s, n, end + 1);
    if (behind < n && (behind == end + 1 || (s[behind] != '#' && s[behind] != ';'))) {
        WRONG(r, behind, "nothing may stand behind a section but a comment");
        return;
    }
    if (end == 1) {
        WRONG(r, 0, "the section has no name");
        return;
    }

    name = strndup(s + 1, end - 1);
    p = grown(ini->sections, ini->section_count, &ini->section_cap, sizeof(*ini->sections));
    if (p != NULL)
        ini->sections = p;
    if (name == NULL || p == NULL) {
        free(name);
        (void)no_memory(r);
        return;
    }
    /* A section may be taken up again further down; its keys still may not. */
    for (size_t i = 0; i < ini->section_count; i++) {
        if (text_eq_nocase(ini->sections[i].name, name)) {
            free(name);
            r->section = i;
            return;
        }
    }
    if (ini->section_count >= INI_ENTRIES_MAX) {
        WRONG(r, 0, "more than %d sections: [%s]", INI_ENTRIES_MAX, text_shown(shown, name));
        free(name);
        return;
    }
    ini->sections[ini->section_count] = (struct ini_section){name, place(r, 0)};
    r->section = ini->section_count++;
}

static void read_key(struct reader *r, const char *s, size_t n)
{
    struct ini *ini = r->ini;
    size_t key_len = 0, equals, at;
    char shown[TEXT_SHOWN];
    struct ini_entry en;
    bool semicolon;
    void *p;

    while (key_len < n && is_name(s[key_len]))
        key_len++;
    equals = skip_space(s, n, key_len);
    if (key_len == 0 || equals == n || s[equals] != '=') {
        /* The line is not shown: it may hold a secret that someone put here by mistake. */
        if (memchr(s, '=', n) == NULL)
            WRONG(r, 0, "neither 'key = value' nor '[section]' nor a comment");
        else
            WRONG(r, key_len, "a key is made of letters, digits and _");
        return;
    }
    if (r->section == NONE) {
        WRONG(r, 0, "'%s' stands outside a section", text_shownn(shown, s, key_len));
        return;
    }
    if (r->section == ASTRAY) {
        r->spoiled = true;
        return;
    }
    at = skip_space(s, n, equals + 1);
    if (!cut_value(r, s, at, &n, &semicolon))
        return;
    if (at >= n) {
        WRONG(r, 0, "'%s' has no value: leave the line out to have the default",
              text_shownn(shown, s, key_len));
        return;
    }
    for (size_t i = 0; i < ini->entry_count; i++) {
        if (ini->entries[i].section == r->section && strlen(ini->entries[i].key) == key_len &&
            strncasecmp(ini->entries[i].key, s, key_len) == 0) {
            WRONG(r, 0, "'%s' is given twice: first in line %u", text_shownn(shown, s, key_len),
                  ini->entries[i].at.line);
            return;
        }
    }
    if (ini->entry_count >= INI_ENTRIES_MAX) {
        WRONG(r, 0, "more than %d keys", INI_ENTRIES_MAX);
        return;
    }

    en = (struct ini_entry){.section = r->section, .at = place(r, 0), .value_at = place(r, at)};
    en.semicolon = semicolon;
    en.key = strndup(s, key_len);
    en.value = strndup(s + at, n - at);
    p = grown(ini->entries, ini->entry_count, &ini->entry_cap, sizeof(*ini->entries));
    if (p != NULL)
        ini->entries = p;
    if (en.key == NULL || en.value == NULL || p == NULL) {
        free(en.key);
        free(en.value);
        (void)no_memory(r);
        return;
    }
    r->entry = ini->entry_count;
    ini->entries[ini->entry_count++] = en;
}

static void read_line(struct reader *r, const char *s, size_t n)
{
    size_t at;

    if (n > INI_LINE_MAX) {
        WRONG(r, INI_LINE_MAX, "the line is longer than %d bytes", INI_LINE_MAX);
        return;
    }
    if (!check_bytes(r, s, n))
        return;
    at = skip_space(s, n, 0);
    if (at == n) { /* an empty line ends a value */
        r->entry = NONE;
        r->spoiled = false;
        return;
    }
    if (at > 0) {
        read_continuation(r, s, n, at);
        return;
    }
    if (s[0] == '#' || s[0] == ';')
        return;
    r->entry = NONE;
    r->spoiled = false;
    if (s[0] == '[')
        read_section(r, s, n);
    else
        read_key(r, s, n);
}

/* --- all of it -------------------------------------------------------------------------------- */

int ini_parse(const char *name, const char *s, size_t n, struct ini **ret_ini, struct text *errors,
              struct err *e)
{
    CLEANUP(ini_freep) struct ini *ini = calloc(1, sizeof(*ini));
    struct reader r = {.ini = ini, .errors = errors, .e = e, .section = NONE, .entry = NONE};
    const char *end = s + n;

    *e = ERR_NONE;
    if (ini == NULL || (ini->file = strdup(name)) == NULL)
        return err_set(e, ERR_NOMEM, 0, "%s", name);
    if (n > INI_FILE_MAX) {
        struct ini_place at = {ini->file, 1, 1};

        return ini_error(errors, e, &at, "the file is larger than %d bytes", INI_FILE_MAX);
    }
    while (s < end && e->code != ERR_NOMEM) {
        const char *newline = memchr(s, '\n', (size_t)(end - s));
        const char *stop = newline != NULL ? newline : end;
        size_t len = (size_t)(stop - s);

        r.line++;
        if (newline != NULL && len > 0 && s[len - 1] == '\r')
            len--;
        read_line(&r, s, len);
        s = newline != NULL ? newline + 1 : end;
    }
    if (r.failed)
        return -1;
    *ret_ini = TAKE(ini);
    return 0;
}
