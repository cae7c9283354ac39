/* cloud/field.c -- see field.h. */
#include "cloud/field.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"

enum { OPAQUE_MAX = 127, SID_PARTS = 15 };
#define SID_AUTHORITY_MAX ((UINT64_C(1) << 48) - 1)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool field_guid_ok(const char *s)
{
    if (s == NULL || strlen(s) != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s[i] != '-' : !is_hex(s[i]))
            return false;
    }
    return true;
}

/* One decimal part from *s on, without leading zeros; *s is moved behind it. */
static bool sid_part(const char **s, uint64_t max)
{
    const char *p = *s;
    uint64_t v = 0;

    if (!is_digit(*p) || (*p == '0' && is_digit(p[1])))
        return false;
    for (; is_digit(*p); p++) {
        v = v * 10 + (uint64_t)(*p - '0');
        if (v > max)
            return false;
    }
    *s = p;
    return true;
}

bool field_sid_ok(const char *s)
{
    unsigned parts = 0;

    /* MS-DTYP 2.4.2.1; revision 1 is the only one there is. */
    if (s == NULL || !text_starts(s, "S-1-"))
        return false;
    s += 4;
    if (!sid_part(&s, SID_AUTHORITY_MAX))
        return false;
    for (; *s == '-'; parts++) {
        s++;
        if (!sid_part(&s, UINT32_MAX))
            return false;
    }
    return *s == '\0' && parts >= 1 && parts <= SID_PARTS;
}

bool field_opaque_ok(const char *s)
{
    size_t n = 0;

    if (s == NULL || *s == '.') /* no "." and ".." as a path segment */
        return false;
    for (; s[n] != '\0'; n++) {
        if (n >= OPAQUE_MAX || (!is_alnum(s[n]) && strchr("-._~", s[n]) == NULL))
            return false;
    }
    return n > 0;
}

static bool lacks(const struct cJSON *j)
{
    return j == NULL || json_is_null(j);
}

static int missing(const char *name, struct err *e)
{
    return err_set(e, ERR_INVALID, 0, "the answer lacks '%s'", name);
}

int field_str(const struct cJSON *o, const char *name, enum field_need need, char *buf, size_t size,
              struct err *e)
{
    const struct cJSON *j = json_get(o, name);
    const char *s = json_value_str(j);
    size_t n;

    if (lacks(j) && need == FIELD_MAY_LACK) {
        buf[0] = '\0';
        return 0;
    }
    if (lacks(j))
        return missing(name, e);
    if (s == NULL)
        return err_set(e, ERR_INVALID, 0, "'%s' in the answer is no text", name);
    n = strlen(s);
    if (n >= size)
        return err_set(e, ERR_INVALID, 0, "'%s' in the answer is too long", name);
    memcpy(buf, s, n + 1);
    return 0;
}

int field_time(const struct cJSON *o, const char *name, enum field_need need, int64_t *ret_ms,
               struct err *e)
{
    const struct cJSON *j = json_get(o, name);
    const char *s = json_value_str(j);

    if (lacks(j) && need == FIELD_MAY_LACK) {
        *ret_ms = 0;
        return 0;
    }
    if (lacks(j))
        return missing(name, e);
    if (s == NULL || !stamp_parse_iso(s, ret_ms))
        return err_set(e, ERR_INVALID, 0, "'%s' in the answer is no time", name);
    return 0;
}

int field_bool(const struct cJSON *o, const char *name, enum field_need need, bool *ret_has,
               bool *ret, struct err *e)
{
    const struct cJSON *j = json_get(o, name);
    bool v = false;

    if (lacks(j) && need == FIELD_MUST)
        return missing(name, e);
    if (!lacks(j) && !json_bool(o, name, &v))
        return err_set(e, ERR_INVALID, 0, "'%s' in the answer is neither true nor false", name);
    if (ret_has != NULL)
        *ret_has = !lacks(j);
    *ret = v;
    return 0;
}

const struct cJSON *field_any_case(const struct cJSON *o, const char *name)
{
    if (!json_is_object(o))
        return NULL;
    for (const struct cJSON *c = json_first(o); c != NULL; c = json_next(c)) {
        if (text_eq_nocase(json_name(c), name))
            return c;
    }
    return NULL;
}

const char *field_shown(char *buf, size_t size, const char *s)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(64 * 1024);

    buf[0] = '\0';
    if (s == NULL)
        return buf;
    /* A shown character may take several bytes: less of them, until it fits. */
    for (size_t limit = size - 1; limit > 0; limit -= (limit + 3) / 4) {
        text_clear(&t);
        text_show(&t, s, strlen(s), limit);
        if (!t.failed && t.len < size) {
            memcpy(buf, t.s, t.len + 1);
            break;
        }
    }
    return buf;
}

void field_copy(char *buf, size_t size, const char *s)
{
    size_t n = s != NULL ? strnlen(s, size - 1) : 0;

    /* Never half a character. */
    while (s != NULL && n > 0 && s[n] != '\0' && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--;
    if (n > 0)
        memcpy(buf, s, n);
    buf[n] = '\0';
}
