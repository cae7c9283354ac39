/* base/err.c -- errors in a fixed buffer; see err.h. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const words[] = {
    [ERR_OK] = "ok",
    [ERR_NOMEM] = "out-of-memory",
    [ERR_INTERNAL] = "internal",
    [ERR_USAGE] = "usage",
    [ERR_CONFIG] = "configuration",
    [ERR_INVALID] = "invalid",
    [ERR_TOOBIG] = "too-big",
    [ERR_IO] = "io",
    [ERR_NOTFOUND] = "not-found",
    [ERR_AMBIGUOUS] = "ambiguous",
    [ERR_CANCELED] = "canceled",
    [ERR_UNSENT] = "unsent",
    [ERR_BUSY] = "busy",
    [ERR_CONFLICT] = "conflict",
    [ERR_DENIED] = "denied",
    [ERR_REFUSED] = "refused",
    [ERR_AUTH] = "auth",
    [ERR_UNSUPPORTED] = "unsupported",
    [ERR_TIMEOUT] = "timeout",
    [ERR_UNPROVEN] = "unproven",
};

void err_set_text(struct err *e, enum err_code code, int native, const char *fmt, ...)
{
    va_list ap;

    e->code = code;
    e->native = native;
    va_start(ap, fmt);
    (void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap); /* cut, never overrun */
    va_end(ap);
}

void err_wrap_text(struct err *e, const char *fmt, ...)
{
    char context[sizeof(e->msg)];
    size_t used;
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(context, sizeof(context), fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    used = strnlen(context, sizeof(context) - 1);

    /* The innermost text is the one that is cut when there is no room for all. */
    if (used + 3 < sizeof(context)) {
        size_t room = sizeof(context) - used - 3, inner = strnlen(e->msg, room);

        memcpy(context + used, ": ", 2);
        memcpy(context + used + 2, e->msg, inner);
        context[used + 2 + inner] = '\0';
    }
    memcpy(e->msg, context, sizeof(e->msg));
    e->msg[sizeof(e->msg) - 1] = '\0';
}

void err_sys_text(struct err *e, enum err_code code, int errnum, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0)
        text[0] = '\0';
    err_set_text(e, code, errnum, "%s: %s", text, strerror(errnum));
}

const char *err_word(enum err_code code)
{
    if ((size_t)code >= sizeof(words) / sizeof(words[0]))
        return "internal";
    return words[code];
}

bool err_is_refusal(const struct err *e)
{
    switch (e->code) {
    case ERR_UNSENT:
    case ERR_BUSY:
    case ERR_CONFLICT:
    case ERR_DENIED:
    case ERR_REFUSED:
    case ERR_AUTH:
    case ERR_NOTFOUND:
    case ERR_UNSUPPORTED:
        return true;
    default:
        return false;
    }
}

bool err_is_elsewhere(const struct err *e)
{
    return e->code == ERR_UNSENT || e->code == ERR_BUSY || e->code == ERR_AUTH ||
           e->code == ERR_TIMEOUT;
}
