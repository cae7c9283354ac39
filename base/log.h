/* base/log.h -- one event, one line, on stderr.
 *
 * error: someone must act. warning: carried on, and the sentence says so. info: decisions,
 * effects, evidence. debug: the rest, kept in a ring and written out at the first error.
 * Text from outside goes through text_shown first; secrets go nowhere.
 */
#ifndef CORDON_BASE_LOG_H
#define CORDON_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR_LEVEL, LOG_WARNING_LEVEL, LOG_INFO_LEVEL, LOG_DEBUG_LEVEL };

void log_set_level(enum log_level level); /* default: warning */
/* The journal has the time itself. Events go to its socket, with fields: PRIORITY, and of what
 * leads the sentence, "request=R case=C held", CORDON_REQUEST=R and CORDON_CASE=C. Where there is
 * no such socket, or `path` is NULL, they go to stderr with the level as "<3>" (sd-daemon(3)).
 * Once. */
#define LOG_JOURNAL "/run/systemd/journal/socket"
void log_to_journal(const char *path);
bool log_level_parse(const char *s, enum log_level *ret);

void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...) log_at(LOG_ERROR_LEVEL, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING_LEVEL, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO_LEVEL, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG_LEVEL, __VA_ARGS__)

#endif
