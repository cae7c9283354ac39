/* config/list.c -- see list.h, which has the rules by number. */
#include "config/list.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

enum { LIST_MAX = 4096 };

void cfg_list_done(struct cfg_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i]);
    free(l->items);
    *l = (struct cfg_list){0};
}

bool cfg_list_has(const struct cfg_list *l, const char *s)
{
    for (size_t i = 0; i < l->count; i++) {
        if (text_eq_nocase(l->items[i], s))
            return true;
    }
    return false;
}

/* Adds `item` (taken over, also on failure; NULL: there was no memory). */
static int add(struct cfg_list *l, char *item, struct err *e)
{
    char shown[TEXT_SHOWN];
    char **p;

    if (item == NULL)
        return err_set(e, ERR_NOMEM, 0, "list");
    for (size_t i = 0; i < l->count; i++) {
        if (text_eq_nocase(l->items[i], item)) {
            (void)err_set(e, ERR_CONFIG, 0, "'%s' is in the list twice", text_shown(shown, item));
            free(item);
            return -1;
        }
    }
    if (l->count >= LIST_MAX) {
        free(item);
        return err_set(e, ERR_CONFIG, 0, "more than %d entries", LIST_MAX);
    }
    p = reallocarray(l->items, l->count + 1, sizeof(*p));
    if (p == NULL) {
        free(item);
        return err_set(e, ERR_NOMEM, 0, "list");
    }
    l->items = p;
    l->items[l->count++] = item;
    return 0;
}

static size_t skip(const char *s, size_t at, const char *set)
{
    return at + strspn(s + at, set);
}

/* The end of s[from..to) without the spaces behind it; a space behind a backslash counts. */
static size_t trimmed(const char *s, size_t from, size_t to)
{
    while (to > from && (s[to - 1] == ' ' || s[to - 1] == '\t') &&
           !(to - 1 > from && s[to - 2] == '\\'))
        to--;
    return to;
}

/* --- DNs ----------------------------------------------------------------------------- */

/* The length of `attribute` in front of '=' (spaces allowed), or 0 where there is none. */
static size_t attribute_len(const char *s)
{
    size_t n = 0;

    if ((s[0] >= 'a' && s[0] <= 'z') || (s[0] >= 'A' && s[0] <= 'Z'))
        n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
    else if (s[0] >= '0' && s[0] <= '9')
        n = strspn(s, "0123456789.");
    return s[skip(s, n, " \t")] == '=' ? n : 0;
}

int cfg_bare_check(const char *s, struct err *e)
{
    for (; *s != '\0'; s++) {
        if (*s == '"')
            return err_set(e, ERR_CONFIG, 0,
                           "quotes stand around the whole (as a character, write \\\")");
        if (*s == '\\' && *++s == '\0')
            return err_set(e, ERR_CONFIG, 0, "a backslash with nothing behind it");
    }
    return 0;
}

bool cfg_dn_like(const char *s)
{
    return attribute_len(s) > 0;
}

static bool is_dc(const char *rdn)
{
    size_t n = attribute_len(rdn);

    return (n == 2 && strncasecmp(rdn, "DC", 2) == 0) ||
           (n == 26 && strncmp(rdn, "0.9.2342.19200300.100.1.25", 26) == 0);
}

/* The end of one part of a DN: the next bare comma, or the end of the string. */
static size_t rdn_end(const char *s, size_t at)
{
    for (; s[at] != '\0' && s[at] != ','; at++) {
        if (s[at] == '\\' && s[at + 1] != '\0')
            at++;
    }
    return at;
}

int cfg_dn_check(const char *dn, struct err *e)
{
    char shown[TEXT_SHOWN];
    bool in_dc = false;
    size_t at = 0;

    (void)text_shown(shown, dn);
    for (;;) {
        const char *rdn;
        size_t end, value;

        at = skip(dn, at, " \t");
        rdn = dn + at;
        end = rdn_end(dn, at);
        if (!cfg_dn_like(rdn))
            return err_set(e, ERR_CONFIG, 0,
                           "'%s' is no whole DN: after a comma stands no attribute= "
                           "(a comma in a name is written \\,)",
                           shown);
        value = skip(dn, at + strcspn(rdn, "=") + 1, " \t");
        if (value >= end)
            return err_set(e, ERR_CONFIG, 0, "'%s' is no whole DN: a part is empty", shown);
        if (in_dc && !is_dc(rdn))
            return err_set(e, ERR_CONFIG, 0,
                           "'%s' looks like two DNs run into one: part them with ';' or a new line",
                           shown);
        in_dc = is_dc(rdn);
        if (dn[end] == '\0')
            break;
        at = end + 1;
    }
    if (!in_dc)
        return err_set(e, ERR_CONFIG, 0,
                       "'%s' is no whole DN: it does not end in DC=... "
                       "(a comma in a name is written \\,)",
                       shown);
    return 0;
}

char *cfg_dn_domain(const char *dn)
{
    struct text t = TEXT_INIT(4096);
    char *s;

    for (size_t at = 0;;) {
        size_t end, from;

        at = skip(dn, at, " \t");
        end = rdn_end(dn, at);
        if (is_dc(dn + at)) {
            from = skip(dn, at + strcspn(dn + at, "=") + 1, " \t");
            if (t.len > 0)
                text_addc(&t, '.');
            for (size_t to = trimmed(dn, from, end); from < to; from++)
                text_addc(&t, (char)(dn[from] >= 'A' && dn[from] <= 'Z' ? dn[from] - 'A' + 'a'
                                                                        : dn[from]));
        }
        if (dn[end] == '\0')
            break;
        at = end + 1;
    }
    s = text_take(&t);
    text_done(&t);
    return s;
}

/* --- plain lists ---------------------------------------------------------------------- */

static int empty_entry(struct err *e)
{
    return err_set(e, ERR_CONFIG, 0, "an empty entry: two commas in a row, or one too many");
}

int cfg_list_plain(const char *value, struct cfg_list *ret_list, size_t *ret_at, struct err *e)
{
    CLEANUP(cfg_list_done) struct cfg_list l = {0};
    size_t at = 0;

    for (;;) {
        size_t from = skip(value, at, " \t\n"), end;

        end = from + strcspn(value + from, ",\n");
        *ret_at = from;
        if (trimmed(value, from, end) == from)
            return empty_entry(e);
        if (memchr(value + from, '"', end - from) != NULL)
            return err_set(e, ERR_CONFIG, 0, "quotes do not belong in this list");
        if (add(&l, strndup(value + from, trimmed(value, from, end) - from), e) < 0)
            return -1;
        if (value[end] == '\0')
            break;
        at = end + 1;
    }
    *ret_list = l;
    l = (struct cfg_list){0};
    return 0;
}

/* --- lists of accounts ------------------------------------------------------------------ */

static const char *const prefixes[] = {"group:", "ou:", "sid:"};

/* Rule 5: from behind the opening quote to the closing one. */
static size_t quote_end(const char *s, size_t at)
{
    for (; s[at] != '\0' && s[at] != '"'; at++) {
        if (s[at] == '\\' && s[at + 1] != '\0')
            at++;
    }
    return at;
}

/* Rules 1, 2 and 4: the separator that ends the bare entry at `at`, or the end of the string. */
static size_t bare_end(const char *s, size_t at)
{
    bool dn = cfg_dn_like(s + at);

    for (; s[at] != '\0' && s[at] != ';' && s[at] != '\n'; at++) {
        if (s[at] == ',' && !(dn && cfg_dn_like(s + skip(s, at + 1, " \t"))))
            break;
        if (s[at] == '\\' && s[at + 1] != '\0' && s[at + 1] != '\n')
            at++;
    }
    return at;
}

/* Rules 2 and 3, on one entry without quotes and outer spaces. */
static int check_entry(const char *prefix, const char *body, struct err *e)
{
    char shown[TEXT_SHOWN];

    if (body[0] == '\0')
        return empty_entry(e);
    if (strcmp(prefix, "sid:") == 0) {
        if (strncmp(body, "S-1-", 4) != 0 || body[4] == '\0' ||
            body[4 + strspn(body + 4, "0123456789-")] != '\0')
            return err_set(e, ERR_CONFIG, 0, "'sid:%s': behind sid: stands S-1-...",
                           text_shown(shown, body));
        return 0;
    }
    if (cfg_dn_like(body))
        return cfg_dn_check(body, e);
    if (strcmp(prefix, "ou:") == 0)
        return err_set(e, ERR_CONFIG, 0, "'ou:%s': behind ou: stands a DN",
                       text_shown(shown, body));
    if (strpbrk(body, "=:,;") != NULL)
        return err_set(
            e, ERR_CONFIG, 0,
            "'%s' is neither a name (no = : , ;) nor a DN, nor begins with group:, ou: or sid:",
            text_shown(shown, body));
    return 0;
}

/* One entry, from s[at] on; *ret_end is the separator behind it. */
static int read_entry(const char *s, size_t at, struct cfg_list *l, size_t *ret_end, struct err *e)
{
    CLEANUP(cleanup_charp) char *body = NULL;
    struct text item = TEXT_INIT(8192);
    bool quoted = s[at] == '"';
    const char *prefix = "";
    size_t end;
    char *p;

    if (quoted)
        at = skip(s, at + 1, " \t");
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (strncasecmp(s + at, prefixes[i], strlen(prefixes[i])) == 0)
            prefix = prefixes[i];
    }
    at = skip(s, at + strlen(prefix), " \t");
    if (!quoted && prefix[0] != '\0' && s[at] == '"') {
        quoted = true;
        at = skip(s, at + 1, " \t");
    }

    end = quoted ? quote_end(s, at) : bare_end(s, at);
    body = strndup(s + at, trimmed(s, at, end) - at);
    if (body == NULL)
        return err_set(e, ERR_NOMEM, 0, "list");
    if (quoted) {
        if (s[end] != '"')
            return err_set(e, ERR_CONFIG, 0, "a quote that is not closed");
        end = skip(s, end + 1, " \t");
        if (s[end] != '\0' && strchr(",;\n", s[end]) == NULL)
            return err_set(e, ERR_CONFIG, 0, "something stands behind the closing quote");
    } else if (cfg_bare_check(body, e) < 0) {
        return -1;
    }
    /* Rule 3: does the DN go on in the next line, or does another begin there? */
    if (!quoted && s[end] == ',' && cfg_dn_like(body)) {
        size_t next = skip(s, end + 1, " \t");

        if (s[next] == '\n' && cfg_dn_like(s + skip(s, next, " \t\n")))
            return err_set(e, ERR_CONFIG, 0,
                           "a DN ends in a comma, and the next line begins with one: write a DN on "
                           "one line, and no comma behind it");
    }
    if (check_entry(prefix, body, e) < 0)
        return -1;

    text_add(&item, prefix);
    text_add(&item, body);
    p = text_take(&item);
    text_done(&item);
    *ret_end = end;
    return add(l, p, e);
}

int cfg_list_accounts(const char *value, struct cfg_list *ret_list, size_t *ret_at, struct err *e)
{
    CLEANUP(cfg_list_done) struct cfg_list l = {0};
    size_t at = 0, end = 0;

    for (;;) {
        at = skip(value, at, " \t\n");
        *ret_at = at;
        if (value[at] == '\0' || value[at] == ',' || value[at] == ';')
            return empty_entry(e);
        if (read_entry(value, at, &l, &end, e) < 0)
            return -1;
        if (value[end] == '\0')
            break;
        at = end + 1;
    }
    *ret_list = l;
    l = (struct cfg_list){0};
    return 0;
}
