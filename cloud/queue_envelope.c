/* cloud/queue_envelope.c -- what lies in a foreign store: base64 of {"v":1,"request":TEXT,"claim":
 * AGENT,"reason":WORDS}. See queue_inside.h.
 *
 * Who puts messages there may be anybody, with any tool: so a text without our envelope is read as
 * well, in clear or as base64. What is none of that is ERR_INVALID, a case for the dead-letters.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/jws.h"
#include "cloud/field.h"
#include "cloud/queue_inside.h"

enum { TEXT_LIMIT = 64 * 1024 };

/* --- base64 (RFC 4648 4) --------------------------------------------------------------------- */

void queue_base64(struct text *t, const void *p, size_t n)
{
    unsigned char out[4 * 256 + 1];
    const unsigned char *s = p;

    for (size_t at = 0; at < n; at += 3 * 256) {
        size_t some = n - at < 3 * 256 ? n - at : 3 * 256;
        int len = EVP_EncodeBlock(out, s + at, (int)some);

        text_addn(t, out, (size_t)len);
    }
    explicit_bzero(out, sizeof(out));
}

/* By the strict reader of base64url, whose alphabet differs in two characters; in place, since what
 * comes out is never ahead of what goes in. */
bool queue_unbase64(uint8_t *buf, const char *s, size_t n, size_t *ret_n)
{
    size_t bare = n;

    if (n == 0 || n % 4 != 0 || memchr(s, '-', n) != NULL || memchr(s, '_', n) != NULL)
        return false;
    while (bare > n - 2 && s[bare - 1] == '=')
        bare--;
    for (size_t i = 0; i < bare; i++)
        buf[i] = (uint8_t)(s[i] == '+' ? '-' : s[i] == '/' ? '_' : s[i]);
    return jws_unb64url(buf, bare, (const char *)buf, bare, ret_n);
}

/* --- reading --------------------------------------------------------------------------------- */

void queue_envelope_done(struct queue_envelope *v)
{
    free(v->request);
    *v = (struct queue_envelope){0};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Three dotted parts of base64url. */
static bool is_jws(const char *s, size_t n)
{
    unsigned dots = 0;
    size_t part = 0;

    for (size_t i = 0; i < n; i++) {
        bool dot = s[i] == '.';

        if (dot && part == 0)
            return false;
        if (!dot && !((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                      (s[i] >= '0' && s[i] <= '9') || s[i] == '-' || s[i] == '_'))
            return false;
        dots += dot;
        part = dot ? 0 : part + 1;
    }
    return dots == 2 && part > 0;
}

static int take(struct queue_envelope *v, const char *s, size_t n, struct err *e)
{
    v->request = strndup(s, n);
    v->len = n;
    return v->request != NULL ? 0 : err_set(e, ERR_NOMEM, 0, "queue");
}

static int read_json(const char *s, size_t n, struct queue_envelope *v, struct err *e)
{
    const struct json_limits lim = {.bytes = TEXT_LIMIT, .members = 64, .string = TEXT_LIMIT};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const char *request, *claim;
    int64_t version;

    if (json_parse(s, n, &lim, &j, e) < 0)
        return err_wrap(e, "message");
    if (json_get(j, "v") == NULL || json_get(j, "request") == NULL)
        return take(v, s, n, e); /* no envelope: the order itself */
    request = json_str(j, "request");
    claim = json_str(j, "claim");
    if (!json_i64(j, "v", &version) || version != 1)
        return err_set(e, ERR_INVALID, 0, "message: an envelope of another version");
    if (request == NULL || request[0] == '\0')
        return err_set(e, ERR_INVALID, 0, "message: an envelope without a text");
    if (json_get(j, "claim") != NULL && (claim == NULL || !queue_agent_ok(claim)))
        return err_set(e, ERR_INVALID, 0, "message: its claim is no agent's id");
    field_copy(v->claim, sizeof(v->claim), claim);
    return take(v, request, strlen(request), e);
}

static int read_clear(const char *s, size_t n, struct queue_envelope *v, struct err *e)
{
    if (n > 0 && s[0] == '{')
        return read_json(s, n, v, e);
    if (is_jws(s, n))
        return take(v, s, n, e);
    return err_set(e, ERR_INVALID, 0, "message: neither a JWS nor JSON, nor base64 of that");
}

int queue_envelope_read(const char *raw, struct queue_envelope *ret_envelope, struct err *e)
{
    struct queue_envelope v = {0};
    CLEANUP(cleanup_charp) char *plain = NULL;
    size_t n = strlen(raw), len = 0;

    while (n > 0 && is_space(raw[n - 1]))
        n--;
    while (n > 0 && is_space(*raw)) {
        raw++;
        n--;
    }
    if (n == 0)
        return err_set(e, ERR_INVALID, 0, "message: empty");
    plain = calloc(1, n);
    if (plain == NULL)
        return err_set(e, ERR_NOMEM, 0, "queue");
    if (raw[0] != '{' && queue_unbase64((uint8_t *)plain, raw, n, &len)) {
        if (read_clear(plain, len, &v, e) < 0)
            return -1;
    } else if (read_clear(raw, n, &v, e) < 0) {
        return -1;
    }
    *ret_envelope = v;
    return 0;
}

/* --- writing --------------------------------------------------------------------------------- */

void queue_envelope_write(struct text *t, const char *request, size_t len, const char *claim,
                          const char *reason)
{
    struct json_out o;

    json_out_init(&o, t);
    json_out_object(&o, NULL);
    json_out_i64(&o, "v", 1);
    json_out_strn(&o, "request", request, len);
    if (claim != NULL && claim[0] != '\0')
        json_out_str(&o, "claim", claim);
    if (reason != NULL && reason[0] != '\0')
        json_out_str(&o, "reason", reason);
    json_out_end_object(&o);
}
