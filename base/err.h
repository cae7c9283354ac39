/* base/err.h -- what went wrong, in words for a person and in a code for the caller.
 *
 * Anything that can fail returns 0 or -1 and takes `struct err *e` last (never NULL).
 * The code answers one question: what may the caller do now? No allocation happens
 * while failing. Source of the manner: a fixed buffer, context put in front.
 */
#ifndef CORDON_BASE_ERR_H
#define CORDON_BASE_ERR_H

#include <stdbool.h>

enum err_code {
    ERR_OK = 0,
    ERR_NOMEM,       /* out of memory: stop taking work */
    ERR_INTERNAL,    /* our own mistake */
    ERR_USAGE,       /* the person typed it wrong: exit 64 */
    ERR_CONFIG,      /* the configuration is wrong: exit 78 */
    ERR_INVALID,     /* bytes from outside that are not what they should be */
    ERR_TOOBIG,      /* over one of our limits */
    ERR_IO,          /* a file, a disk, the ledger */
    ERR_NOTFOUND,    /* there is no such thing */
    ERR_AMBIGUOUS,   /* there are several such things */
    ERR_CANCELED,    /* we were told to stop */
    ERR_UNSENT,      /* nothing was sent: try again, or elsewhere */
    ERR_BUSY,        /* a clear "not now": try again later, or elsewhere */
    ERR_CONFLICT,    /* compare-and-swap lost: read again */
    ERR_DENIED,      /* a clear no for lack of rights: do not try again */
    ERR_REFUSED,     /* a clear no for another reason */
    ERR_AUTH,        /* we could not say who we are (ticket, keytab, certificate) */
    ERR_UNSUPPORTED, /* the peer does not offer this */
    ERR_TIMEOUT,     /* a question went unanswered; nothing was changed by it */
    ERR_UNPROVEN,    /* sent, and no clear answer: it may have happened. Go and look */
};

struct err {
    enum err_code code;
    int native;    /* errno, LDAP result, krb5 code, ... : for the log */
    char msg[512]; /* outermost context first: "disable 'jdoe': modify: insufficient access" */
};

#define ERR_NONE ((struct err){.code = ERR_OK})

/* Set `e`. Always -1, so that `return err_set(...)` reads well. (Macros, so that compiler and
 * analyser see the -1 and know the path that was taken.) */
#define err_set(...) (err_set_text(__VA_ARGS__), -1)

/* Put context in front of the message: "<context>: <message>". Always -1. */
#define err_wrap(...) (err_wrap_text(__VA_ARGS__), -1)

/* Set from errno-style number, with strerror behind the text. Always -1. */
#define err_sys(...) (err_sys_text(__VA_ARGS__), -1)

void err_set_text(struct err *e, enum err_code code, int native, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void err_wrap_text(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_sys_text(struct err *e, enum err_code code, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* "denied", "unproven" ...: a fixed word for logs and JSON. */
const char *err_word(enum err_code code);

/* A clear answer that nothing was done: safe to call the effect "not done". */
bool err_is_refusal(const struct err *e);

/* May the same be tried at another DC? (never sent, busy, or no way to say who we are) */
bool err_is_elsewhere(const struct err *e);

#endif
