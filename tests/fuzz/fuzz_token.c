/* tests/fuzz/fuzz_token.c -- whatever a token service, a challenge or a token says: an error in
 * words that a terminal can bear, or what the rules allow. The first byte chooses who reads it. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "cloud/token_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char file[] = "/etc/cordon/key", scope[] = "https://graph.microsoft.com", id[] = "a-b";

static void check_words(const struct err *e)
{
    assert(e->code != ERR_OK && e->msg[0] != '\0');
    assert(text_utf8_ok(e->msg, strlen(e->msg)));
    for (const char *s = e->msg; *s != '\0'; s++)
        assert((unsigned char)*s >= ' ' && *s != 0x7F);
}

static void answer(const struct token_conf *c, const char *s, size_t n)
{
    struct token_got got = {0};
    struct err e = ERR_NONE;

    if (token_answer_read(c, s, n, n % 2 == 0 ? 0 : INT64_C(1700000000000), &got, &e) < 0) {
        check_words(&e);
        return;
    }
    assert(got.life_ms > 0 && got.life_ms <= (uint64_t)TOKEN_LIFE_MAX_S * 1000);
    assert(got.refresh_ms < got.life_ms);
    for (size_t i = 7; i < secret_len(got.authorization); i++)
        assert(secret_bytes(got.authorization)[i] > ' ' &&
               secret_bytes(got.authorization)[i] < 0x7F);
    secret_free(got.authorization);
}

static void claims(const char *s, size_t n)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    CLEANUP(cleanup_charp) char *z = strndup(s, n);
    struct text t = TEXT_INIT(64 * 1024);
    struct token_claims k;
    struct err e = ERR_NONE;

    token_claims_init(&k);
    token_claims_read(&k, s, n);
    (void)token_claims_role(&k, "User.Read.All");
    token_claims_done(&k);
    if (z != NULL && token_claims_merge(z, &t, &e) == 0) {
        const struct cJSON *list;

        assert(json_parse(t.s, t.len, NULL, &j, &e) == 0);
        list = json_at(j, "access_token/xms_cc/values");
        assert(strcmp(json_value_str(json_first(list)), "cp1") == 0);
    } else if (z != NULL) {
        check_words(&e);
    }
    text_done(&t);
}

static void path(const char *s, size_t n)
{
    CLEANUP(cleanup_charp) char *z = strndup(s, n);
    char out[TOKEN_ARC_PATH_MAX];
    struct err e = ERR_NONE;

    if (z == NULL)
        return;
    if (token_arc_path(z, "/a/b", out, &e) < 0) {
        check_words(&e);
        return;
    }
    assert(strncmp(out, "/a/b/", 5) == 0 && strchr(out + 5, '/') == NULL);
    assert(strcmp(out + strlen(out) - 4, ".key") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const enum token_kind kinds[] = {TOKEN_SECRET, TOKEN_CERTIFICATE, TOKEN_OKTA_KEY,
                                            TOKEN_MANAGED};
    static const long states[] = {400, 401, 403, 404, 410, 429, 500, 503};
    const char *s = (const char *)data + 1;
    struct token_conf c = {.file = file, .scope = scope, .credential_ends = 1};
    struct err e = ERR_NONE;

    if (n == 0)
        return 0;
    n--;
    c.kind = kinds[data[0] >> 2 & 3];
    c.way = c.kind != TOKEN_MANAGED ? TOKEN_BY_FORM : data[0] & 16 ? TOKEN_BY_ARC : TOKEN_BY_IMDS;
    c.client_id = data[0] & 32 ? id : NULL;
    switch (data[0] & 3) {
    case 0:
        answer(&c, s, n);
        break;
    case 1:
        (void)token_refusal_read(&c, states[data[0] >> 5], s, n, "0b1c", &e);
        check_words(&e);
        break;
    case 2:
        claims(s, n);
        break;
    default:
        path(s, n);
    }
    return 0;
}
