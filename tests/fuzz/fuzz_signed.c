/* tests/fuzz/fuzz_signed.c -- bytes from a queue.
 *
 * As they are: an error, and never a request, since nobody signed them. And as a payload that was
 * signed: a request that says the same when it is written and read again, or an error. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/intake/result.h"
#include "agent/intake/signed.h"
#include "base/cleanup.h"
#include "tests/unit/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char conf[] = "[cordon]\ndomains = corp.example.com\n[domain/corp.example.com]\n"
                           "[signer/soar]\nkey = /1\nnext_key = /2\nactions = disable, contain\n"
                           "accounts = svc-*\n";
#define NOW INT64_C(1795252500000) /* 2026-11-21T09:15:00Z */

static struct signers *signers;
static struct jws_key *own;

static void set_up(void)
{
    struct secret *pem = NULL;
    struct cfg *cfg = NULL;
    struct err e;

    assert(cfg_load_bytes("f", conf, sizeof(conf) - 1, &cfg, NULL, &e) == 0);
    assert(signers_new(cfg, &signers, &e) == 0);
    assert(signers_add(signers, &cfg->signers[0], false, key_ed_public, sizeof(key_ed_public) - 1,
                       &e) == 0);
    assert(signers_add(signers, &cfg->signers[0], true, key_ec_public, sizeof(key_ec_public) - 1,
                       &e) == 0);
    assert(secret_new(sizeof(key_ed_private) - 1, &pem, &e) == 0);
    memcpy(secret_bytes(pem), key_ed_private, sizeof(key_ed_private) - 1);
    assert(jws_key_private(pem, &own, &e) == 0);
    secret_free(pem);
}

static void as_payload(const char *s, size_t n)
{
    struct text t = TEXT_INIT(2 * SIGNED_MAX), u = TEXT_INIT(INTAKE_BODY_MAX);
    struct intake_request r, again;
    struct signed_in in;
    struct err e = ERR_NONE;
    bool good = intake_request_parse(s, n, &r, &e) == 0;

    assert(good == (e.code == ERR_OK || e.msg[0] == '\0'));
    if (good) {
        assert(intake_request_json(&r, &u, &e) == 0);
        assert(intake_request_parse(u.s, u.len, &again, &e) == 0);
        assert(memcmp(&r, &again, sizeof(r)) == 0);
    }
    if (n <= INTAKE_BODY_MAX) {
        assert(signed_sign(own, SIGNED_REQUEST_TYPE, s, n, &t, &e) == 0);
        signed_verify(signers, t.s, t.len, NOW, 0, &in);
        assert(in.has_request == good && in.key != NULL);
        assert(in.outcome != SIGNED_BAD_SIGNATURE && in.outcome != SIGNED_NOT_CHECKED);
        assert(in.outcome != SIGNED_GOOD ||
               (r.expires_ms > NOW && (r.action == ACT_DISABLE || r.action == ACT_CONTAIN)));
    }
    text_done(&t);
    text_done(&u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct text payload = TEXT_INIT(INTAKE_RESULT_MAX);
    char id[ID_UUID];
    struct signed_in in;
    struct err e = ERR_NONE;

    if (signers == NULL)
        set_up();
    signed_verify(signers, (const char *)data, n, NOW, 0, &in);
    assert(in.outcome != SIGNED_GOOD && in.outcome != SIGNED_NOT_CHECKED);
    assert(!in.has_request && in.key == NULL && in.why[0] != '\0');
    assert(intake_result_verify(own, (const char *)data, n, &payload, id, &e) < 0);
    as_payload((const char *)data, n);
    text_done(&payload);
    return 0;
}
