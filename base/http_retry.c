/* base/http_retry.c -- see http_retry.h. */
#include "base/http_retry.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"

#define DAY_MS ((uint64_t)24 * 60 * 60 * 1000)
#define CEILING_MS ((uint64_t)60 * 1000) /* between tries, where the server names no time (H7) */

/* --- what servers say ------------------------------------------------------------------------ */

/* Exactly n digits. */
static bool take_digits(const char **s, unsigned n, unsigned *ret)
{
    unsigned v = 0;

    for (unsigned i = 0; i < n; i++) {
        if ((*s)[i] < '0' || (*s)[i] > '9')
            return false;
        v = v * 10 + (unsigned)((*s)[i] - '0');
    }
    *s += n;
    *ret = v;
    return true;
}

/* One of the names, by its place. */
static bool take_name(const char **s, const char *const *names, unsigned n, unsigned *ret)
{
    for (unsigned i = 0; i < n; i++) {
        if (text_starts(*s, names[i])) {
            *s += strlen(names[i]);
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool take(const char **s, const char *what)
{
    if (!text_starts(*s, what))
        return false;
    *s += strlen(what);
    return true;
}

static bool take_clock(const char **s, unsigned t[3])
{
    return take_digits(s, 2, &t[0]) && take(s, ":") && take_digits(s, 2, &t[1]) && take(s, ":") &&
           take_digits(s, 2, &t[2]);
}

/* Two digits of a year are within fifty years of now (RFC 9110); of us that is 1970 to 2069. */
static unsigned whole_year(unsigned yy)
{
    return yy < 70 ? 2000 + yy : 1900 + yy;
}

bool http_date(const char *s, int64_t *ret_ms)
{
    static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    static const char *const rest[] = {"day", "sday", "nesday", "rsday", "day", "urday", "day"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    unsigned weekday, day, month, year, t[3];
    char iso[32];
    bool ok;

    if (!take_name(&s, days, ARRAY_LEN(days), &weekday))
        return false;
    if (take(&s, ", ")) { /* Sun, 06 Nov 1994 08:49:37 GMT */
        ok = take_digits(&s, 2, &day) && take(&s, " ") && take_name(&s, months, 12, &month) &&
             take(&s, " ") && take_digits(&s, 4, &year) && take(&s, " ") && take_clock(&s, t) &&
             take(&s, " GMT");
    } else if (take(&s, rest[weekday])) { /* Sunday, 06-Nov-94 08:49:37 GMT */
        ok = take(&s, ", ") && take_digits(&s, 2, &day) && take(&s, "-") &&
             take_name(&s, months, 12, &month) && take(&s, "-") && take_digits(&s, 2, &year) &&
             take(&s, " ") && take_clock(&s, t) && take(&s, " GMT");
        if (ok)
            year = whole_year(year);
    } else { /* Sun Nov  6 08:49:37 1994 */
        ok = take(&s, " ") && take_name(&s, months, 12, &month) && take(&s, " ") &&
             (take(&s, " ") ? take_digits(&s, 1, &day) : take_digits(&s, 2, &day)) &&
             take(&s, " ") && take_clock(&s, t) && take(&s, " ") && take_digits(&s, 4, &year);
    }
    if (!ok || *s != '\0')
        return false;
    (void)snprintf(iso, sizeof(iso), "%04u-%02u-%02uT%02u:%02u:%02uZ", year, month + 1, day, t[0],
                   t[1], t[2]);
    return stamp_parse_iso(iso, ret_ms); /* it knows the lengths of months */
}

static uint64_t capped(uint64_t ms)
{
    return ms < DAY_MS ? ms : DAY_MS;
}

/* Whole or fractional seconds, rounded up to milliseconds. */
static bool seconds(const char *s, uint64_t *ret_ms)
{
    uint64_t ms = 0, place = 100;
    bool rest = false;
    size_t digits = 0;

    for (; *s >= '0' && *s <= '9'; s++, digits++)
        ms = capped(ms * 10 + (uint64_t)(*s - '0') * 1000);
    if (digits == 0)
        return false;
    if (*s == '.') {
        s++;
        if (*s < '0' || *s > '9')
            return false;
        for (; *s >= '0' && *s <= '9'; s++, place /= 10) {
            ms += (uint64_t)(*s - '0') * place;
            rest = rest || (place == 0 && *s != '0');
        }
    }
    if (*s != '\0')
        return false;
    *ret_ms = capped(ms + (rest ? 1 : 0));
    return true;
}

bool http_retry_after(const char *s, int64_t now_ms, uint64_t *ret_ms)
{
    int64_t when;

    if (seconds(s, ret_ms))
        return true;
    if (!http_date(s, &when))
        return false;
    *ret_ms = when <= now_ms ? 0 : capped((uint64_t)when - (uint64_t)now_ms);
    return true;
}

bool http_rate_limit_reset(const char *s, int64_t now_ms, uint64_t *ret_ms)
{
    int64_t when;

    /* Less than this is no time since 1970 (it was over in 2001): some services count down. */
    if (!text_to_i64(s, 1000000000, 253402300799, &when))
        return false;
    when = when * 1000 + 1000;
    *ret_ms = when <= now_ms ? 1000 : capped((uint64_t)when - (uint64_t)now_ms);
    return true;
}

/* --- what we do ------------------------------------------------------------------------------ */

/* A clear "not now": nothing was done. */
static bool is_turned_away(const struct http_verdict *v)
{
    return v->status == 429 || (v->status == 503 && v->named);
}

static bool is_in_doubt(long status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

bool http_may_repeat(const struct http_verdict *v)
{
    if ((v->flags & HTTP_ONE_TRY) != 0)
        return false;
    switch (v->end) {
    case HTTP_END_UNSENT:
        return true;
    case HTTP_END_CUT:
    case HTTP_END_TIMEOUT:
        return v->repeat == HTTP_SAFELY;
    case HTTP_END_ANSWER:
        return is_turned_away(v) ||
               (v->repeat == HTTP_SAFELY && (is_in_doubt(v->status) || v->status == 408));
    default:
        return false;
    }
}

bool http_may_have_acted(const struct http_verdict *v)
{
    if (v->only_asks || v->end == HTTP_END_UNSENT || v->end == HTTP_END_NEVER)
        return false;
    return v->end != HTTP_END_ANSWER || (is_in_doubt(v->status) && !is_turned_away(v));
}

uint64_t http_wait_ms(const struct http_verdict *v, uint64_t wait_ms, unsigned next,
                      uint32_t random)
{
    uint64_t ms;

    /* What is named is the least; every early try counts against the quota. 0-20 % on top. */
    if (v->named && v->named_ms > 0)
        return v->named_ms + v->named_ms / 5 * (random % 1024) / 1023;
    for (ms = wait_ms; next > 2 && ms < CEILING_MS; next--)
        ms *= 2;
    if (ms > CEILING_MS)
        ms = CEILING_MS;
    return ms + ms / 2 * (random % 1024) / 1023;
}
