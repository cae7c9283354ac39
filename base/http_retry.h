/* base/http_retry.h -- inside base/ only: may a try be repeated, and after how long. Pure.
 *
 * The rule: what surely did nothing may be sent again; what may have acted only where the caller
 * says that twice does no harm. What the server asks for in waiting is the least we wait.
 */
#ifndef CORDON_BASE_HTTP_RETRY_H
#define CORDON_BASE_HTTP_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/http.h"

/* How one try ended. */
enum http_end {
    HTTP_END_ANSWER,  /* a whole one, whatever its status */
    HTTP_END_UNSENT,  /* no byte of the request went out: look-up, connection, TLS, proxy */
    HTTP_END_NEVER,   /* the same, and trying again would not help: a wrong certificate */
    HTTP_END_CUT,     /* bytes went out, and the connection ended before a whole answer */
    HTTP_END_TIMEOUT, /* bytes went out, and no whole answer in time */
    HTTP_END_INVALID, /* bytes went out, and what came is no HTTP */
    HTTP_END_TOOBIG,  /* bytes went out, and the answer is over a limit */
};

struct http_verdict {
    enum http_end end;
    long status;       /* of an answer */
    bool named;        /* the answer names a time to wait */
    uint64_t named_ms; /* that time */
    bool only_asks;    /* GET, or HTTP_READS: it changes nothing */
    enum http_repeat repeat;
    int flags;
};

/* May this be sent again? */
bool http_may_repeat(const struct http_verdict *v);
/* May it have acted without our knowing? For an answer: 500, 502, 503 without a time, 504. */
bool http_may_have_acted(const struct http_verdict *v);
/* How long to wait before try number `next` (2, 3, ...). `random` is any number. */
uint64_t http_wait_ms(const struct http_verdict *v, uint64_t wait_ms, unsigned next,
                      uint32_t random);

/* X-Rate-Limit-Reset: whole epoch seconds, against the server's own clock; a second is added. */
bool http_rate_limit_reset(const char *s, int64_t now_ms, uint64_t *ret_ms);

#endif
