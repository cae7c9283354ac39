/* config/value.c -- one value: checked by its type and range, and stored. See value.h.
 *
 * Each function returns 0, or -1 with the reason in `e`; where it stands is the caller's to add.
 */
#include "config/value.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/http.h"
#include "base/stamp.h"
#include "base/text.h"
#include "config/list.h"

const char *cfg_duration_text(uint64_t ms, char buf[32])
{
    static const struct {
        uint64_t ms;
        const char *unit;
    } units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;

    while (i + 1 < ARRAY_LEN(units) && (ms < units[i].ms || ms % units[i].ms != 0))
        i++;
    if (ms == 0)
        i = 2;
    (void)snprintf(buf, 32, "%" PRIu64 "%s", ms / units[i].ms, units[i].unit);
    return buf;
}

void cfg_lower(char *s)
{
    for (; *s != '\0'; s++) {
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
    }
}

int cfg_host_check(char *s, const char *what, struct err *e)
{
    char shown[TEXT_SHOWN];
    size_t n = strlen(s), label = 0;
    bool bad = n == 0 || n > 253;

    (void)text_shown(shown, s);
    if (n > 0 && (strchr(s, ':') != NULL || strspn(s, "0123456789.") == n))
        return err_set(e, ERR_CONFIG, 0,
                       "'%s' is an IP address: name the host, since Kerberos knows it by its name",
                       shown);
    cfg_lower(s);
    for (size_t i = 0; i < n && !bad; i++) {
        bool edge = label == 0 || s[i + 1] == '.' || s[i + 1] == '\0';

        if (s[i] == '.') {
            bad = label == 0 || i + 1 == n;
            label = 0;
            continue;
        }
        bad = ++label > 63 || (s[i] == '-' && edge) ||
              strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", s[i]) == NULL;
    }
    return bad ? err_set(e, ERR_CONFIG, 0, "'%s' is no %s", shown, what) : 0;
}

static int check_path(const char *s, struct err *e)
{
    char shown[TEXT_SHOWN];

    if (s[0] != '/' || s[strlen(s) - 1] == '/' || strlen(s) >= PATH_MAX)
        return err_set(e, ERR_CONFIG, 0, "'%s' is no absolute path of a file",
                       text_shown(shown, s));
    return 0;
}

/* 8-4-4-4-12 hexadecimal digits. */
static bool is_guid(const char *s)
{
    size_t i;

    for (i = 0; s[i] != '\0'; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;

        if (i >= 36 || (hyphen ? s[i] != '-' : strchr("0123456789abcdefABCDEF", s[i]) == NULL))
            return false;
    }
    return i == 36;
}

static int check_tenant(char *s, struct err *e)
{
    static const char several[] = "common organizations consumers";
    struct err mine;
    char shown[TEXT_SHOWN];

    (void)text_shown(shown, s);
    if (cfg_word_find(several, s) >= 0)
        return err_set(e, ERR_CONFIG, 0, "'%s' is no tenant of its own: name yours", shown);
    if (is_guid(s)) {
        cfg_lower(s);
        return 0;
    }
    if (strchr(s, '.') == NULL || cfg_host_check(s, "domain name", &mine) < 0)
        return err_set(e, ERR_CONFIG, 0, "'%s' is neither a GUID nor a domain name", shown);
    return 0;
}

/* Scopes: visible characters without quotes or backslashes (RFC 6749 3.3), single spaces. */
static int check_scopes(const char *s, struct err *e)
{
    bool bad = s[0] == ' ' || s[strlen(s) - 1] == ' ' || strstr(s, "  ") != NULL || strlen(s) > 500;

    for (const char *c = s; *c != '\0' && !bad; c++)
        bad = *c < ' ' || *c > '~' || *c == '"' || *c == '\\';
    return bad ? err_set(e, ERR_CONFIG, 0, "scopes are names parted by single spaces") : 0;
}

/* The types that a web service brings along. */
static int check_web(const struct cfg_key *key, char *s, struct err *e)
{
    char shown[TEXT_SHOWN];

    (void)text_shown(shown, s);
    switch (key->type) {
    case CFG_URL:
    case CFG_URL_LOCAL:
        return http_check_root(s, key->type == CFG_URL_LOCAL, e);
    case CFG_PROXY:
        return http_check_proxy(s, e);
    case CFG_TENANT:
        return check_tenant(s, e);
    case CFG_IDENTITY:
        if (cfg_word_find("yes no", s) < 0 && !is_guid(s))
            return err_set(e, ERR_CONFIG, 0, "'%s' is none of: yes no, nor a GUID", shown);
        cfg_lower(s);
        return 0;
    case CFG_GUID:
        if (!is_guid(s))
            return err_set(e, ERR_CONFIG, 0,
                           "'%s' is no GUID like 00000000-0000-0000-0000-000000000000", shown);
        cfg_lower(s);
        return 0;
    default:
        return check_scopes(s, e);
    }
}

static int check_text(const struct cfg_key *key, char *s, struct err *e)
{
    char shown[TEXT_SHOWN];

    (void)text_shown(shown, s);
    if (cfg_bare_check(s, e) < 0)
        return -1;
    switch (key->type) {
    case CFG_NAME:
        if (strpbrk(s, " \t") != NULL || strlen(s) > 255)
            return err_set(e, ERR_CONFIG, 0, "'%s': a name without spaces", shown);
        return 0;
    case CFG_LINE:
        return strlen(s) <= 255 ? 0 : err_set(e, ERR_CONFIG, 0, "'%s': too long", shown);
    case CFG_REALM:
        if (strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != strlen(s) || strlen(s) > 253)
            return err_set(e, ERR_CONFIG, 0,
                           "'%s': a realm is in upper case, like CORP.EXAMPLE.COM", shown);
        return 0;
    case CFG_PATH:
        return check_path(s, e);
    case CFG_HOST:
        return cfg_host_check(s, "host name", e);
    case CFG_URL:
    case CFG_URL_LOCAL:
    case CFG_PROXY:
    case CFG_GUID:
    case CFG_TENANT:
    case CFG_IDENTITY:
    case CFG_SCOPES:
        return check_web(key, s, e);
    case CFG_DN:
        return cfg_dn_like(s) ? cfg_dn_check(s, e)
                              : err_set(e, ERR_CONFIG, 0, "'%s' is no DN", shown);
    case CFG_WORD_TEXT:
        cfg_lower(s);
        return cfg_word_find(key->words, s) >= 0
                   ? 0
                   : err_set(e, ERR_CONFIG, 0, "'%s' is none of: %s", shown, key->words);
    default:
        return 0;
    }
}

/* What libcurl takes for CURLOPT_NOPROXY and we can stand for: names, ".suffix", addresses. */
static int check_direct(char *s, struct err *e)
{
    char shown[TEXT_SHOWN];
    unsigned char addr[sizeof(struct in6_addr)];
    struct err mine;
    char *name = s[0] == '.' ? s + 1 : s;

    if (inet_pton(AF_INET, s, addr) == 1 || inet_pton(AF_INET6, s, addr) == 1)
        return 0;
    if (cfg_host_check(name, "host name", &mine) < 0)
        return err_set(e, ERR_CONFIG, 0, "'%s' is no host name, no .suffix and no IP address",
                       text_shown(shown, s));
    return 0;
}

/* "host" or "host=id", the id of Defender's 40 hex digits. */
static int check_machine(char *s, struct err *e)
{
    char *eq = strchr(s, '='), shown[TEXT_SHOWN];
    int rc;

    if (eq != NULL && (strlen(eq + 1) != 40 || strspn(eq + 1, "0123456789abcdef") != 40))
        return err_set(e, ERR_CONFIG, 0, "'%s': a device id has 40 lower-case hex digits",
                       text_shown(shown, s));
    if (eq != NULL)
        *eq = '\0';
    rc = cfg_host_check(s, "host name", e);
    if (eq != NULL)
        *eq = '=';
    return rc;
}

/* Lists of hosts, domains and files. */
static int check_list(const struct cfg_key *key, const struct cfg_list *list, struct err *e)
{
    for (size_t i = 0; i < list->count; i++) {
        char *s = list->items[i], *colon;

        if (key->type == CFG_HOSTS || key->type == CFG_DOMAINS) {
            if (cfg_host_check(s, key->type == CFG_HOSTS ? "host name" : "domain name", e) < 0)
                return -1;
            continue;
        }
        if (key->type == CFG_NAMES) {
            char shown[TEXT_SHOWN];

            if (strpbrk(s, " \t\n") != NULL || strlen(s) > 127)
                return err_set(e, ERR_CONFIG, 0, "'%s': a name without spaces",
                               text_shown(shown, s));
            continue;
        }
        if (key->type == CFG_DIRECT) {
            if (check_direct(s, e) < 0)
                return -1;
            continue;
        }
        if (key->type == CFG_MACHINES) {
            if (check_machine(s, e) < 0)
                return -1;
            continue;
        }
        colon = s[0] == '/' ? NULL : strstr(s, ":/");
        if (colon != NULL) {
            int rc;

            *colon = '\0';
            rc = cfg_host_check(s, "host name", e);
            *colon = ':';
            if (rc < 0)
                return -1;
        }
        if (check_path(colon != NULL ? colon + 1 : s, e) < 0)
            return -1;
    }
    return 0;
}

static int check_groups(struct cfg_list *list, struct err *e)
{
    for (size_t i = 0; i < list->count; i++) {
        char *s = list->items[i];
        char shown[TEXT_SHOWN];

        if (text_starts(s, "ou:") || (!cfg_dn_like(s) && strpbrk(s, "*?") != NULL))
            return err_set(e, ERR_CONFIG, 0, "'%s': only groups stand here", text_shown(shown, s));
        if (text_starts(s, "group:"))
            memmove(s, s + strlen("group:"), strlen(s + strlen("group:")) + 1);
        for (size_t k = 0; k < i; k++) {
            if (text_eq_nocase(list->items[k], s))
                return err_set(e, ERR_CONFIG, 0, "'%s' is in the list twice", text_shown(shown, s));
        }
    }
    return 0;
}

static int read_list(const struct cfg_key *key, const char *value, struct cfg_list *field,
                     size_t *ret_at, struct err *e)
{
    CLEANUP(cfg_list_done) struct cfg_list list = {0};
    bool accounts = key->type == CFG_ACCOUNTS || key->type == CFG_GROUPS;

    if ((accounts ? cfg_list_accounts : cfg_list_plain)(value, &list, ret_at, e) < 0)
        return -1;
    if (accounts ? key->type == CFG_GROUPS && check_groups(&list, e) < 0
                 : check_list(key, &list, e) < 0)
        return -1;
    cfg_list_done(field);
    *field = list;
    list = (struct cfg_list){0};
    return 0;
}

static int read_number(const struct cfg_key *key, const char *value, void *field, struct err *e)
{
    char shown[TEXT_SHOWN], low[32], high[32];
    uint64_t v;

    (void)text_shown(shown, value);
    if (key->type == CFG_COUNT) {
        if (!text_to_u64(value, key->min, key->max, &v))
            return err_set(e, ERR_CONFIG, 0, "'%s' is no number from %" PRIu64 " to %" PRIu64,
                           shown, key->min, key->max);
        *(unsigned *)field = (unsigned)v;
        return 0;
    }
    if (!text_to_duration(value, &v))
        return err_set(e, ERR_CONFIG, 0, "'%s' is no time: write 500ms, 3s, 5m or 1h", shown);
    if (v < key->min || v > key->max)
        return err_set(e, ERR_CONFIG, 0, "'%s' is out of range: %s to %s", shown,
                       cfg_duration_text(key->min, low), cfg_duration_text(key->max, high));
    *(uint64_t *)field = v;
    return 0;
}

/* Some of the words, in any order, each once. */
static int read_flags(const struct cfg_key *key, const char *value, unsigned *field, size_t *ret_at,
                      struct err *e)
{
    CLEANUP(cfg_list_done) struct cfg_list list = {0};
    char shown[TEXT_SHOWN];
    unsigned v = 0;

    if (cfg_list_plain(value, &list, ret_at, e) < 0)
        return -1;
    for (size_t i = 0; i < list.count; i++) {
        int word = cfg_word_find(key->words, list.items[i]);

        if (word < 0)
            return err_set(e, ERR_CONFIG, 0, "'%s' is none of: %s",
                           text_shown(shown, list.items[i]), key->words);
        v |= 1U << (unsigned)word;
    }
    *field = v;
    return 0;
}

/* "20 per 10m" */
static int read_rate(const struct cfg_key *key, char *value, struct cfg_rate *field, struct err *e)
{
    char *per = strstr(value, " per ");
    char shown[TEXT_SHOWN];
    uint64_t count, ms;

    (void)text_shown(shown, value);
    if (per != NULL)
        *per = '\0';
    if (per == NULL || !text_to_u64(value, key->min, key->max, &count) ||
        !text_to_duration(per + 5, &ms) || ms < 1000)
        return err_set(e, ERR_CONFIG, 0,
                       "'%s': write it like 20 per 10m, with a number from %" PRIu64 " to %" PRIu64
                       " and a time of 1s or more",
                       shown, key->min, key->max);
    *field = (struct cfg_rate){(unsigned)count, ms};
    return 0;
}

static int read_time(const char *value, int64_t *field, struct err *e)
{
    char whole[STAMP_TEXT], shown[TEXT_SHOWN];
    int64_t ms = 0;

    (void)snprintf(whole, sizeof(whole), "%s%s", value,
                   strlen(value) == strlen("2026-11-21") ? "T00:00:00Z" : "");
    if (!stamp_parse_iso(whole, &ms) || ms <= 0)
        return err_set(e, ERR_CONFIG, 0,
                       "'%s' is no time: write 2026-11-21, or 2026-11-21T09:14:03Z",
                       text_shown(shown, value));
    *field = ms;
    return 0;
}

static int read_choice(const struct cfg_key *key, const char *value, void *field, struct err *e)
{
    static const char bools[] = "no yes false true off on";
    char shown[TEXT_SHOWN];
    const char *words = key->type == CFG_BOOL ? bools : key->words;
    int word = cfg_word_find(words, value);
    unsigned v;

    if (word < 0)
        return err_set(e, ERR_CONFIG, 0, "'%s' is none of: %s", text_shown(shown, value),
                       key->type == CFG_BOOL ? "yes no" : words);
    if (key->type == CFG_BOOL) {
        *(bool *)field = word % 2 == 1;
    } else {
        v = (unsigned)word; /* an enum is an unsigned int to our compilers; see the assert below */
        memcpy(field, &v, sizeof(v));
    }
    return 0;
}
_Static_assert(
    sizeof(enum cfg_events) == sizeof(unsigned) && sizeof(enum cfg_transport) == sizeof(unsigned) &&
        sizeof(enum cfg_winrm) == sizeof(unsigned) &&
        sizeof(enum cfg_winrm_auth) == sizeof(unsigned) &&
        sizeof(enum cfg_winrm_service) == sizeof(unsigned) &&
        sizeof(enum cfg_write) == sizeof(unsigned) && sizeof(enum cfg_cloud) == sizeof(unsigned) &&
        sizeof(enum cfg_sync) == sizeof(unsigned) && sizeof(enum cfg_login) == sizeof(unsigned) &&
        sizeof(enum cfg_scope) == sizeof(unsigned) && sizeof(enum cfg_engine) == sizeof(unsigned) &&
        sizeof(enum cfg_risk_level) == sizeof(unsigned) &&
        sizeof(enum cfg_on_risk) == sizeof(unsigned),
    "read_choice stores an unsigned");

/* For settings that we do not use yet: nothing but what would be dangerous to let stand. */
static int check_later(const char *value, struct err *e)
{
    const char *host = strstr(value, "://");

    if (host != NULL && memchr(host + 3, '@', strcspn(host + 3, "/")) != NULL)
        return err_set(e, ERR_CONFIG, 0, "no name or password in a URL: secrets are never values");
    return 0;
}

int cfg_value_read(const struct cfg_key *key, const char *value, void *base, size_t *ret_at,
                   struct err *e)
{
    CLEANUP(cleanup_charp) char *copy = NULL;
    void *field = (char *)base + key->offset;
    size_t n = strlen(value);

    *ret_at = 0;
    switch (key->type) {
    case CFG_DOMAINS:
    case CFG_HOSTS:
    case CFG_FILES:
    case CFG_MACHINES:
    case CFG_DIRECT:
    case CFG_NAMES:
    case CFG_ACCOUNTS:
    case CFG_GROUPS:
        return read_list(key, value, field, ret_at, e);
    case CFG_FLAGS:
        return read_flags(key, value, field, ret_at, e);
    case CFG_LATER:
        return check_later(value, e);
    default:
        break;
    }

    if (strchr(value, '\n') != NULL)
        return err_set(e, ERR_CONFIG, 0, "only a list may go on in the next line");
    copy =
        n > 2 && value[0] == '"' && value[n - 1] == '"' ? strndup(value + 1, n - 2) : strdup(value);
    if (copy == NULL)
        return err_set(e, ERR_NOMEM, 0, "configuration");
    switch (key->type) {
    case CFG_COUNT:
    case CFG_DURATION:
        return read_number(key, copy, field, e);
    case CFG_RATE:
        return read_rate(key, copy, field, e);
    case CFG_TIME:
        return read_time(copy, field, e);
    case CFG_BOOL:
    case CFG_WORD:
        return read_choice(key, copy, field, e);
    default:
        if (check_text(key, copy, e) < 0)
            return -1;
        free(*(char **)field);
        *(char **)field = TAKE(copy);
        return 0;
    }
}
