/* base/log.c -- one line per event on stderr; debug lines wait in a ring until an error. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"

#define RING 64
#define LINE 400

static enum log_level shown_level = LOG_WARNING_LEVEL;
static bool journal;
static int journal_fd = -1; /* for the life of the process */
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

void log_to_journal(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    CLEANUP(cleanup_fdp) int fd = -1;

    journal = true;
    if (path == NULL || strlen(path) >= sizeof(to.sun_path))
        return;
    memcpy(to.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0) {
        journal_fd = fd;
        fd = -1;
    }
}

/* Of "request=R case=C held ..." the words in front that name something: a field each. The first
 * word of another kind ends them, so that nothing quoted further on becomes one. */
static void add_fields(struct text *t, const char *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";

    for (size_t name, n; (name = strspn(s, letters)) > 0 && name < 32 && s[name] == '=';
         s += n + (s[n] == ' ')) {
        n = strcspn(s, " ");
        if (n == name + 1)
            continue;
        text_add(t, "CORDON_");
        for (size_t i = 0; i < name; i++)
            text_addc(t, (char)(s[i] == '_' ? '_' : s[i] - 'a' + 'A'));
        text_addn(t, s + name, n - name);
        text_addc(t, '\n');
    }
}

/* One line, "<4>request=R held": never more than one, so the simple form of systemd's protocol
 * will do. A journal that does not take it (it is restarting, it is full) leaves stderr. */
static void emit(const char *line)
{
    struct text t = TEXT_INIT(8 * LINE);
    ssize_t sent = -1;

    if (journal_fd >= 0 && line[0] == '<') {
        text_addf(&t, "PRIORITY=%c\nSYSLOG_IDENTIFIER=cordon\nMESSAGE=%s\n", line[1], line + 3);
        add_fields(&t, line + 3);
        if (!t.failed)
            sent = send(journal_fd, t.s, t.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    text_done(&t);
    if (sent < 0)
        (void)fprintf(stderr, "%s\n", line);
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
                emit(ring[(ring_next + RING - ring_count + i) % RING]);
            ring_count = 0;
        }
        emit(line);
    }
    (void)pthread_mutex_unlock(&lock);
}
