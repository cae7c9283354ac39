/* agent/intake/signed.c -- see signed.h. Each check either returns true or says why not, by refuse.
 */
#include "agent/intake/signed.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "config/list.h"
#include "ldap/name.h"

static const char *const words[] = {
    [SIGNED_GOOD] = "good",
    [SIGNED_NOT_CHECKED] = "not-checked",
    [SIGNED_TOO_BIG] = "too-big",
    [SIGNED_MALFORMED] = "malformed",
    [SIGNED_WRONG_TYPE] = "wrong-type",
    [SIGNED_UNKNOWN_KEY] = "unknown-key",
    [SIGNED_WRONG_ALG] = "wrong-algorithm",
    [SIGNED_BAD_SIGNATURE] = "bad-signature",
    [SIGNED_KEY_NOT_YET] = "key-not-yet-valid",
    [SIGNED_KEY_OVER] = "key-no-longer-valid",
    [SIGNED_FUTURE] = "from-the-future",
    [SIGNED_TOO_OLD] = "too-old",
    [SIGNED_EXPIRED] = "expired",
    [SIGNED_TOO_LONG] = "lifetime-too-long",
    [SIGNED_WRONG_AUDIENCE] = "wrong-audience",
    [SIGNED_NOT_ALLOWED] = "not-allowed",
    [SIGNED_SEEN] = "seen-before",
    [SIGNED_OTHER_BODY] = "same-id-other-body",
};
_Static_assert(ARRAY_LEN(words) == SIGNED_OUTCOMES, "a word for each");

const char *signed_word(enum signed_outcome o)
{
    return words[o];
}

/* --- saying no ----------------------------------------------------------------------------- */

static bool refuse(struct signed_in *in, enum signed_outcome outcome, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Always false. */
static bool refuse(struct signed_in *in, enum signed_outcome outcome, const char *fmt, ...)
{
    va_list ap;

    in->outcome = outcome;
    va_start(ap, fmt);
    (void)vsnprintf(in->why, sizeof(in->why), fmt, ap);
    va_end(ap);
    return false;
}

/* What is no fault of the message must not put it aside for good. */
static bool refuse_by(struct signed_in *in, enum signed_outcome outcome, const struct err *e)
{
    bool ours = e->code == ERR_NOMEM || e->code == ERR_INTERNAL || e->code == ERR_UNSUPPORTED;

    return refuse(in, ours ? SIGNED_NOT_CHECKED : outcome, "%s", e->msg);
}

/* --- genuine? -------------------------------------------------------------------------------- */

/* The keys that the hint points at: the one with that thumbprint, or those of the signer with that
 * name; without a hint all, if they are few: whoever names no key must not cost many checks. */
static size_t candidates(const struct signers *s, const char *kid,
                         const struct signer_key *ret[SIGNED_TRIES], struct signed_in *in)
{
    char shown[TEXT_SHOWN];
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++) {
        const struct signer_key *k = &s->keys[i];

        if (kid[0] != '\0' && strcmp(k->kid, kid) != 0 && strcmp(k->signer->name, kid) != 0)
            continue;
        if (n == SIGNED_TRIES) {
            (void)refuse(in, SIGNED_UNKNOWN_KEY,
                         "it names no key, and there are more than %d: the key id belongs in 'kid'",
                         SIGNED_TRIES);
            return 0;
        }
        ret[n++] = k;
    }
    if (n == 0)
        (void)refuse(in, SIGNED_UNKNOWN_KEY, "the key '%s' belongs to no signer",
                     text_shown(shown, kid));
    return n;
}

/* The bytes as received, and whose they are. The payload goes into `payload`. */
static bool genuine(const struct signers *s, const char *jws, size_t n, struct text *payload,
                    struct signed_in *in)
{
    const struct signer_key *keys[SIGNED_TRIES];
    enum signed_outcome outcome = SIGNED_WRONG_ALG;
    char shown[TEXT_SHOWN];
    struct jws_hint hint;
    struct err e = ERR_NONE;
    size_t count;

    if (n > SIGNED_MAX)
        return refuse(in, SIGNED_TOO_BIG, "over %d bytes", SIGNED_MAX);
    if (jws_peek(jws, n, &hint, &e) < 0)
        return refuse_by(in, SIGNED_MALFORMED, &e);
    if (strcmp(hint.typ, SIGNED_REQUEST_TYPE) != 0)
        return refuse(in, SIGNED_WRONG_TYPE, "of the type '%s', not '" SIGNED_REQUEST_TYPE "'",
                      text_shown(shown, hint.typ));
    count = candidates(s, hint.kid, keys, in);
    if (count == 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct signer_key *k = keys[i];

        /* The message's own word on it chooses nothing; it is only told apart, for the refusal. */
        if (strcmp(hint.alg, jws_alg_name(k->alg)) != 0)
            continue;
        outcome = SIGNED_BAD_SIGNATURE;
        text_clear(payload);
        if (jws_verify(k->key, k->alg, SIGNED_REQUEST_TYPE, jws, n, payload, &e) == 0) {
            in->key = k;
            return true;
        }
        if (e.code == ERR_TOOBIG) /* its size was looked at: this is memory, see signed_verify */
            e.code = ERR_NOMEM;
        if (e.code != ERR_DENIED)
            return refuse_by(in, SIGNED_MALFORMED, &e);
    }
    if (outcome == SIGNED_WRONG_ALG)
        return refuse(in, SIGNED_WRONG_ALG, "signed by '%s', which is not what its key is for",
                      text_shown(shown, hint.alg));
    return refuse(in, SIGNED_BAD_SIGNATURE, "altered, or not signed by the key that it names");
}

/* Bytes of the payload once decoded, at most; the message is known to have three parts or is no
 * JWS at all. */
static size_t payload_size(const char *jws, size_t n)
{
    const char *one = memchr(jws, '.', n), *two;

    if (one == NULL)
        return 0;
    two = memchr(one + 1, '.', n - (size_t)(one + 1 - jws));
    return two == NULL ? 0 : (size_t)(two - one - 1) / 4 * 3;
}

static bool understood(const struct text *payload, struct signed_in *in)
{
    uint8_t hash[ID_SHA256];
    struct err e = ERR_NONE;

    if (id_sha256(payload->s, payload->len, hash, &e) < 0)
        return refuse_by(in, SIGNED_NOT_CHECKED, &e);
    id_hex(in->digest, hash, sizeof(hash));
    if (intake_request_parse(payload->s, payload->len, &in->request, &e) < 0)
        return refuse_by(in, SIGNED_MALFORMED, &e);
    in->has_request = true;
    return true;
}

/* --- fresh? ------------------------------------------------------------------------------------
 */

/* What ends, ends by the latest time that we know of; what begins, begins by the clock: where the
 * two differ, somebody put the clock back, and each check takes the stricter one. */
static bool fresh(const struct signer_key *k, uint64_t max_age_ms, int64_t now, int64_t seen,
                  struct signed_in *in)
{
    const struct intake_request *r = &in->request;
    int64_t late = seen > now ? seen : now, max_age = (int64_t)max_age_ms;
    char at[STAMP_TEXT], age[STAMP_TEXT];

    if (k->from_ms != 0 && now < k->from_ms)
        return refuse(in, SIGNED_KEY_NOT_YET, "the key of '%s' is valid from %s on",
                      k->signer->name, stamp_iso(at, k->from_ms));
    if (k->until_ms != 0 && late >= k->until_ms)
        return refuse(in, SIGNED_KEY_OVER, "the key of '%s' was valid until %s", k->signer->name,
                      stamp_iso(at, k->until_ms));
    if (r->issued_ms > now + SIGNED_AHEAD_MS)
        return refuse(in, SIGNED_FUTURE, "issued at %s, which is %s ahead of our clock",
                      stamp_iso(at, r->issued_ms), stamp_age(age, r->issued_ms - now));
    if (r->expires_ms <= late)
        return refuse(in, SIGNED_EXPIRED, "expired at %s%s", stamp_iso(at, r->expires_ms),
                      r->expires_ms > now ? "; the clock was put back since" : "");
    if (r->issued_ms < late - max_age)
        return refuse(in, SIGNED_TOO_OLD, "issued at %s, and max_age is %s",
                      stamp_iso(at, r->issued_ms), stamp_age(age, max_age));
    if (r->expires_ms - r->issued_ms > max_age)
        return refuse(in, SIGNED_TOO_LONG, "expires %s after it was issued, and max_age is %s",
                      stamp_age(at, r->expires_ms - r->issued_ms), stamp_age(age, max_age));
    return true;
}

/* --- allowed? ----------------------------------------------------------------------------------
 */

/* Off the list for certain, without asking the directory: the list has nothing but patterns, which
 * are of the sAMAccountName, and that is how the account is named. Any other entry could be a group
 * that it is in. */
static bool certainly_off(const struct cfg_list *only, const char *account)
{
    struct ad_name name;
    struct err e;

    if (only->count == 0 || ad_name_parse(account, strlen(account), NULL, &name, &e) < 0 ||
        (name.kind != AD_NAME_SAM && name.kind != AD_NAME_DOWNLEVEL))
        return false;
    for (size_t i = 0; i < only->count; i++) {
        const char *en = only->items[i];

        if (strpbrk(en, "*?") == NULL || strpbrk(en, "=:") != NULL || text_glob(en, name.local))
            return false;
    }
    return true;
}

static bool allowed(const struct signers *s, const struct cfg_signer *who, struct signed_in *in)
{
    const struct intake_request *r = &in->request;
    enum intake_scope scope = who->scope == CFG_SCOPE_ON_PREM ? INTAKE_ON_PREM
                              : who->scope == CFG_SCOPE_CLOUD ? INTAKE_CLOUD
                                                              : INTAKE_BOTH;

    if (!cfg_list_has(&s->cfg->domain_names, r->audience))
        return refuse(in, SIGNED_WRONG_AUDIENCE, "meant for '%s', which is not ours", r->audience);
    if ((who->actions & 1U << (unsigned)r->action) == 0)
        return refuse(in, SIGNED_NOT_ALLOWED, "'%s' may not ask for %s", who->name,
                      action_word(r->action));
    if (who->domains.count > 0 && !cfg_list_has(&who->domains, r->audience))
        return refuse(in, SIGNED_NOT_ALLOWED, "'%s' may not ask for the domain %s", who->name,
                      r->audience);
    if (scope != INTAKE_BOTH && r->scope != scope)
        return refuse(in, SIGNED_NOT_ALLOWED, "'%s' may act %s only, and asks for %s", who->name,
                      intake_scope_word(scope), intake_scope_word(r->scope));
    if (certainly_off(&who->accounts, r->account)) {
        char shown[TEXT_SHOWN];

        return refuse(in, SIGNED_NOT_ALLOWED, "'%s' may not name the account '%s'", who->name,
                      text_shown(shown, r->account));
    }
    return true;
}

/* --- all of it
 * ------------------------------------------------------------------------------------ */

void signed_verify(const struct signers *s, const char *jws, size_t n, int64_t now_ms,
                   int64_t seen_ms, struct signed_in *ret_in)
{
    struct text payload = TEXT_INIT(INTAKE_BODY_MAX);
    struct signed_in *in = ret_in;
    bool good;

    *in = (struct signed_in){.outcome = SIGNED_GOOD};
    if (n > 0 && jws[n - 1] == '\n')
        n--;
    if (n > 0 && jws[n - 1] == '\r')
        n--;
    if (payload_size(jws, n) > INTAKE_BODY_MAX)
        good = refuse(in, SIGNED_TOO_BIG, "a request over %d bytes", INTAKE_BODY_MAX);
    else
        good = genuine(s, jws, n, &payload, in) && understood(&payload, in) &&
               fresh(in->key, s->cfg->queue.max_age_ms, now_ms, seen_ms, in) &&
               allowed(s, in->key->signer, in);
    assert(good == (in->outcome == SIGNED_GOOD));
    (void)good;
    text_done(&payload);
}

const struct cfg_list *signed_list(const struct signed_in *in)
{
    return in->key != NULL && in->key->signer->accounts.count > 0 ? &in->key->signer->accounts
                                                                  : NULL;
}

/* --- signing
 * ---------------------------------------------------------------------------------------- */

int signed_sign(const struct jws_key *own, const char *typ, const char *payload, size_t n,
                struct text *t, struct err *e)
{
    struct text kid = TEXT_INIT(SIGNER_KID - 1);
    struct jws_head head = {.typ = typ};
    enum jws_alg alg;
    int rc;

    if (signer_alg(own, &alg, e) < 0)
        return -1;
    rc = jws_key_thumbprint(own, &kid, e);
    head.kid = kid.s;
    if (rc == 0)
        rc = jws_sign(own, alg, &head, payload, n, t, e);
    text_done(&kid);
    return rc;
}

int signed_request(const struct jws_key *own, struct intake_request *r, struct text *t,
                   struct err *e)
{
    struct text body = TEXT_INIT(INTAKE_BODY_MAX);
    int rc = intake_request_check(r, e);

    if (rc == 0)
        rc = intake_request_json(r, &body, e);
    if (rc == 0)
        rc = signed_sign(own, SIGNED_REQUEST_TYPE, body.s, body.len, t, e);
    text_done(&body);
    return rc;
}
