/* base/stamp.c -- see stamp.h. Civil dates by days-from-civil arithmetic: no locale, no zone
 * file, no 2038. */
#include "base/stamp.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MS_1601 INT64_C(11644473600000) /* 1601-01-01 to 1970-01-01 in milliseconds */

int64_t stamp_now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Days since 1970-01-01 of a proleptic Gregorian date. */
static int64_t days_from_civil(int64_t y, int m, int d)
{
    int64_t era, yoe, doy;

    y -= m <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = y - era * 400;
    doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + (yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

static void civil_from_days(int64_t z, int64_t *y, int *m, int *d)
{
    int64_t era, doe, yoe, doy, mp;

    z += 719468;
    era = (z >= 0 ? z : z - 146096) / 146097;
    doe = z - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    *d = (int)(doy - (153 * mp + 2) / 5 + 1);
    *m = (int)(mp < 10 ? mp + 3 : mp - 9);
    *y = yoe + era * 400 + (*m <= 2);
}

static bool split(int64_t ms, int64_t *y, int *mo, int *d, int64_t *in_day)
{
    int64_t day = ms / 86400000;

    *in_day = ms % 86400000;
    if (*in_day < 0) {
        *in_day += 86400000;
        day--;
    }
    civil_from_days(day, y, mo, d);
    return *y >= 1 && *y <= 9999;
}

const char *stamp_iso(char buf[STAMP_TEXT], int64_t ms)
{
    int64_t y, in_day;
    int mo, d;

    if (!split(ms, &y, &mo, &d, &in_day))
        return memcpy(buf, "?", 2);
    (void)snprintf(buf, STAMP_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)y, mo, d,
                   (int)(in_day / 3600000), (int)(in_day / 60000 % 60), (int)(in_day / 1000 % 60),
                   (int)(in_day % 1000));
    return buf;
}

const char *stamp_clock(char buf[STAMP_TEXT], int64_t ms, int64_t now_ms)
{
    int64_t y, in_day, away = ms > now_ms ? ms - now_ms : now_ms - ms;
    int mo, d;

    if (!split(ms, &y, &mo, &d, &in_day))
        return memcpy(buf, "?", 2);
    if (away < INT64_C(20) * 3600000)
        (void)snprintf(buf, STAMP_TEXT, "%02d:%02d:%02dZ", (int)(in_day / 3600000),
                       (int)(in_day / 60000 % 60), (int)(in_day / 1000 % 60));
    else
        (void)snprintf(buf, STAMP_TEXT, "%04d-%02d-%02d %02d:%02dZ", (int)y, mo, d,
                       (int)(in_day / 3600000), (int)(in_day / 60000 % 60));
    return buf;
}

/* Exactly n digits. */
static bool digits(const char **s, int n, int *ret)
{
    int v = 0;

    for (int i = 0; i < n; i++) {
        char c = (*s)[i];

        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (c - '0');
    }
    *s += n;
    *ret = v;
    return true;
}

static int days_in_month(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

    return m == 2 && leap ? 29 : days[m - 1];
}

static bool join(int y, int mo, int d, int h, int mi, int s, int ms, int64_t *ret_ms)
{
    if (y < 1 || mo < 1 || mo > 12 || d < 1 || d > days_in_month(y, mo) || h > 23 || mi > 59 ||
        s > 60)
        return false;
    *ret_ms = days_from_civil(y, mo, d) * 86400000 +
              ((int64_t)h * 3600 + (int64_t)mi * 60 + s) * 1000 + ms;
    return true;
}

/* The fraction after '.' or ',': 1 to 9 digits, kept to the millisecond. */
static bool fraction(const char **s, int *ret_ms)
{
    int ms = 0, n = 0;

    *ret_ms = 0;
    if (**s != '.' && **s != ',')
        return true;
    for ((*s)++; **s >= '0' && **s <= '9'; (*s)++, n++) {
        if (n < 3)
            ms = ms * 10 + (**s - '0');
    }
    for (int i = n; i < 3; i++)
        ms *= 10;
    *ret_ms = ms;
    return n >= 1 && n <= 9;
}

static bool zone(const char **s, int64_t *ret_ms)
{
    int h, m = 0, sign = **s == '-' ? -1 : 1;

    *ret_ms = 0;
    if (**s == 'Z' || **s == 'z') {
        (*s)++;
        return true;
    }
    if (**s != '+' && **s != '-')
        return false;
    (*s)++;
    if (!digits(s, 2, &h))
        return false;
    if (**s == ':')
        (*s)++;
    if (**s != '\0' && !digits(s, 2, &m))
        return false;
    if (h > 23 || m > 59)
        return false;
    *ret_ms = sign * ((int64_t)h * 60 + m) * 60000;
    return true;
}

bool stamp_parse_iso(const char *s, int64_t *ret_ms)
{
    int y, mo, d, h, mi, sec, ms;
    int64_t off, at;

    if (!digits(&s, 4, &y) || *s++ != '-' || !digits(&s, 2, &mo) || *s++ != '-' ||
        !digits(&s, 2, &d))
        return false;
    if (*s != 'T' && *s != 't' && *s != ' ')
        return false;
    s++;
    if (!digits(&s, 2, &h) || *s++ != ':' || !digits(&s, 2, &mi) || *s++ != ':' ||
        !digits(&s, 2, &sec) || !fraction(&s, &ms) || !zone(&s, &off) || *s != '\0')
        return false;
    if (!join(y, mo, d, h, mi, sec, ms, &at))
        return false;
    *ret_ms = at - off;
    return true;
}

bool stamp_parse_generalized(const char *s, int64_t *ret_ms)
{
    int y, mo, d, h, mi, sec, ms;
    int64_t off, at;

    if (!digits(&s, 4, &y) || !digits(&s, 2, &mo) || !digits(&s, 2, &d) || !digits(&s, 2, &h) ||
        !digits(&s, 2, &mi) || !digits(&s, 2, &sec) || !fraction(&s, &ms) || !zone(&s, &off) ||
        *s != '\0')
        return false;
    if (!join(y, mo, d, h, mi, sec, ms, &at))
        return false;
    *ret_ms = at - off;
    return true;
}

int64_t stamp_from_filetime(int64_t ft)
{
    return ft / 10000 - MS_1601;
}

int64_t stamp_from_filetime_seconds(int64_t secs1601)
{
    if (secs1601 > INT64_MAX / 1000 || secs1601 < 0)
        return INT64_MAX;
    return secs1601 * 1000 - MS_1601;
}

const char *stamp_age(char buf[STAMP_TEXT], int64_t ms)
{
    int64_t s = (ms < 0 ? -ms : ms) / 1000;

    if (s < 120)
        (void)snprintf(buf, STAMP_TEXT, "%d s", (int)s);
    else if (s < 7200)
        (void)snprintf(buf, STAMP_TEXT, "%d min", (int)(s / 60));
    else if (s < 2 * 86400)
        (void)snprintf(buf, STAMP_TEXT, "%d h", (int)(s / 3600));
    else
        (void)snprintf(buf, STAMP_TEXT, "%lld d", (long long)(s / 86400));
    return buf;
}
