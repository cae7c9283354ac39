/* ldap/value.c -- see value.h. */
#include "ldap/value.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"

#define NUMBER_TEXT 32 /* longer than any number or time here */

int ad_value_one(const struct ad_attr *a, bool *ret_there, struct ad_value *ret, struct err *e)
{
    /* An attribute without values is how a DC answers "types only", which we never ask: as absent.
     */
    *ret_there = false;
    if (a == NULL || a->count == 0)
        return 0;
    if (a->count != 1)
        return err_set(e, ERR_INVALID, 0, "%s: %zu values where one belongs", a->name, a->count);
    *ret_there = true;
    *ret = a->values[0];
    return 0;
}

/* The one value as a string in buf; a NUL in it makes it no number. */
static int one_short(const struct ad_attr *a, char buf[NUMBER_TEXT], bool *ret_there, struct err *e)
{
    struct ad_value v = {0};

    if (ad_value_one(a, ret_there, &v, e) < 0)
        return -1;
    if (!*ret_there)
        return 0;
    if (v.n == 0 || v.n >= NUMBER_TEXT || memchr(v.s, '\0', v.n) != NULL)
        return err_set(e, ERR_INVALID, 0, "%s: not in the expected form", a->name);
    memcpy(buf, v.s, v.n);
    buf[v.n] = '\0';
    return 0;
}

int ad_value_i64(const struct ad_attr *a, int64_t min, int64_t max, bool *ret_there, int64_t *ret,
                 struct err *e)
{
    char buf[NUMBER_TEXT], shown[TEXT_SHOWN];

    if (one_short(a, buf, ret_there, e) < 0)
        return -1;
    if (*ret_there && !text_to_i64(buf, min, max, ret))
        return err_set(e, ERR_INVALID, 0, "%s: '%s' is no number from %lld to %lld", a->name,
                       text_shown(shown, buf), (long long)min, (long long)max);
    return 0;
}

int ad_value_bits(const struct ad_attr *a, bool *ret_there, uint32_t *ret, struct err *e)
{
    int64_t v;

    if (ad_value_i64(a, INT32_MIN, INT32_MAX, ret_there, &v, e) < 0)
        return -1;
    if (*ret_there)
        *ret = (uint32_t)v;
    return 0;
}

int ad_value_bool(const struct ad_attr *a, bool *ret_there, bool *ret, struct err *e)
{
    char buf[NUMBER_TEXT];

    if (one_short(a, buf, ret_there, e) < 0)
        return -1;
    if (!*ret_there)
        return 0;
    if (strcmp(buf, "TRUE") == 0)
        *ret = true;
    else if (strcmp(buf, "FALSE") == 0)
        *ret = false;
    else
        return err_set(e, ERR_INVALID, 0, "%s: neither TRUE nor FALSE", a->name);
    return 0;
}

int ad_value_filetime(const struct ad_attr *a, bool *ret_there, struct ad_time *ret, struct err *e)
{
    struct ad_time t = {.kind = AD_TIME_AT};

    /* A negative one would be a length of time, not a point in it. */
    if (ad_value_i64(a, 0, INT64_MAX, ret_there, &t.raw, e) < 0)
        return -1;
    if (!*ret_there)
        return 0;
    if (t.raw == 0)
        t.kind = AD_TIME_ZERO;
    else if (t.raw == STAMP_FILETIME_NEVER)
        t.kind = AD_TIME_NEVER;
    else
        t.ms = stamp_from_filetime(t.raw);
    *ret = t;
    return 0;
}

int ad_value_time(const struct ad_attr *a, bool *ret_there, int64_t *ret_ms, struct err *e)
{
    char buf[NUMBER_TEXT];

    if (one_short(a, buf, ret_there, e) < 0)
        return -1;
    if (*ret_there && !stamp_parse_generalized(buf, ret_ms))
        return err_set(e, ERR_INVALID, 0, "%s: not a time", a->name);
    return 0;
}

int ad_value_sid(const struct ad_attr *a, bool *ret_there, struct ad_sid *ret, struct err *e)
{
    struct ad_value v = {0};

    if (ad_value_one(a, ret_there, &v, e) < 0)
        return -1;
    if (*ret_there && ad_sid_from_bytes(v.s, v.n, ret) < 0)
        return err_set(e, ERR_INVALID, 0, "%s: not a SID", a->name);
    return 0;
}

int ad_value_guid(const struct ad_attr *a, bool *ret_there, struct ad_guid *ret, struct err *e)
{
    struct ad_value v = {0};

    if (ad_value_one(a, ret_there, &v, e) < 0)
        return -1;
    if (*ret_there && ad_guid_from_bytes(v.s, v.n, ret) < 0)
        return err_set(e, ERR_INVALID, 0, "%s: not a GUID", a->name);
    return 0;
}

int ad_value_sids(const struct ad_attr *a, size_t max, struct ad_sid **ret_sids, size_t *ret_count,
                  struct err *e)
{
    struct ad_sid *sids;

    if (a == NULL || a->count == 0) {
        *ret_sids = NULL;
        *ret_count = 0;
        return 0;
    }
    if (a->count > max)
        return err_set(e, ERR_TOOBIG, 0, "%s: %zu values, more than %zu", a->name, a->count, max);
    sids = calloc(a->count, sizeof(*sids));
    if (sids == NULL)
        return err_set(e, ERR_NOMEM, 0, "%s", a->name);
    for (size_t i = 0; i < a->count; i++) {
        if (ad_sid_from_bytes(a->values[i].s, a->values[i].n, &sids[i]) < 0) {
            free(sids);
            return err_set(e, ERR_INVALID, 0, "%s: value %zu is not a SID", a->name, i + 1);
        }
    }
    *ret_sids = sids;
    *ret_count = a->count;
    return 0;
}

int ad_value_text(const struct ad_attr *a, size_t max, char **ret_s, struct err *e)
{
    struct ad_value v = {0};
    bool there = false;
    char *s;

    if (ad_value_one(a, &there, &v, e) < 0)
        return -1;
    if (!there) {
        *ret_s = NULL;
        return 0;
    }
    if (v.n > max)
        return err_set(e, ERR_TOOBIG, 0, "%s: %zu bytes, more than %zu", a->name, v.n, max);
    if ((v.n > 0 && memchr(v.s, '\0', v.n) != NULL) || !text_utf8_ok(v.s, v.n))
        return err_set(e, ERR_INVALID, 0, "%s: not text", a->name);
    s = malloc(v.n + 1);
    if (s == NULL)
        return err_set(e, ERR_NOMEM, 0, "%s", a->name);
    if (v.n > 0)
        memcpy(s, v.s, v.n);
    s[v.n] = '\0';
    *ret_s = s;
    return 0;
}
