/* tests/fuzz/fuzz_jws.c -- whatever the bytes: an error, and never a message that nobody signed;
 * and base64url has one spelling. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/jws.h"
#include "tests/unit/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct jws_key *ec, *ed;
    CLEANUP(cleanup_charp) char *buf = malloc(n + 1);
    struct text payload = TEXT_INIT(64 * 1024), again = TEXT_INIT(2 * n + 4);
    char kid[JWS_KID];
    size_t got = 0;
    struct err e = ERR_NONE;

    if (ec == NULL) {
        assert(jws_key_public(key_ec_public, sizeof(key_ec_public) - 1, &ec, &e) == 0);
        assert(jws_key_public(key_ed_public, sizeof(key_ed_public) - 1, &ed, &e) == 0);
    }
    if (buf == NULL)
        return 0;
    if (jws_unb64url((uint8_t *)buf, n, (const char *)data, n, &got)) {
        jws_b64url(&again, buf, got);
        assert(again.len == n && memcmp(again.s, data, n) == 0);
    }
    if (jws_kid((const char *)data, n, kid, &e) == 0)
        assert(strlen(kid) < sizeof(kid));
    assert(jws_verify(ec, JWS_ES256, NULL, (const char *)data, n, &payload, &e) < 0);
    assert(jws_verify(ed, JWS_EDDSA, NULL, (const char *)data, n, &payload, &e) < 0);
    assert(payload.len == 0 && e.msg[0] != '\0');
    text_done(&payload);
    text_done(&again);
    return 0;
}
