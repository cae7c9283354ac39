/* base/log.c -- one line per event on stderr; debug lines wait in a ring until an error. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"

#define RING 64
#define LINE 400

static enum log_level shown_level = LOG_WARNING_LEVEL;
static bool journal;
static char ring[RING][LINE];
static unsigned ring_next, ring_count;
/* Jobs on the pool may log too. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const names[] = {"error", "warning", "info", "debug"};
static const int priorities[] = {3, 4, 6, 7}; /* syslog's */

void log_set_level(enum log_level level)
{
    shown_level = level;
}

void log_to_journal(void)
{
    journal = true;
}

bool log_level_parse(const char *s, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(s, names[i]) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_at(enum log_level level, const char *fmt, ...)
{
    char line[LINE], when[STAMP_TEXT];
    va_list ap;
    int n;

    n = journal ? snprintf(line, sizeof(line), "<%d>", priorities[level])
                : snprintf(line, sizeof(line), "%s %s: ", stamp_iso(when, stamp_now_ms()),
                           names[level]);
    if (n < 0)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
    va_end(ap);
    /* One event is one line, whatever came in: CRLF can never start a new one, ESC reaches no
     * terminal (O1). */
    struct text safe = TEXT_INIT(4 * LINE);

    text_safe(&safe, line);
    (void)snprintf(line, sizeof(line), "%s", safe.s);
    text_done(&safe);

    (void)pthread_mutex_lock(&lock);
    if (level > shown_level) {
        memcpy(ring[ring_next], line, sizeof(line));
        ring_next = (ring_next + 1) % RING;
        if (ring_count < RING)
            ring_count++;
    } else {
        /* What led here, in order, then the error itself. */
        if (level == LOG_ERROR_LEVEL) {
            for (unsigned i = 0; i < ring_count; i++)
                (void)fprintf(stderr, "%s\n", ring[(ring_next + RING - ring_count + i) % RING]);
            ring_count = 0;
        }
        (void)fprintf(stderr, "%s\n", line);
    }
    (void)pthread_mutex_unlock(&lock);
}
