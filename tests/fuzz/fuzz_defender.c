/* tests/fuzz/fuzz_defender.c -- Defender's answers and what a script wrote: whatever comes, ids are
 * fit for a path, words are safe on a terminal, a marker has our nonce, and a link that is followed
 * leads to a host of the list. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cloud/defender.h"
#include "cloud/defender_inside.h"
#include "cloud/field.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define NONCE "0123456789abcdef"

static void words_ok(const char *s)
{
    assert(strpbrk(s, "\n\r\x1b") == NULL);
}

static void output(const char *s, size_t n)
{
    CLEANUP(text_done) struct text json = TEXT_INIT(1 << 16);
    struct defender_action a = {.status = "Succeeded", .is_final = true, .succeeded = true};
    struct defender_result r = {0};
    struct defender_output out;
    struct defender_claim claim;
    struct err e;
    bool is_said = false;

    if (defender_read_output(s, n, &out, &e) == 0) {
        is_said = defender_marker(out.script.s, out.script.len, NONCE, &json, &e) == 0 &&
                  defender_read_claim(json.s, json.len, &claim, &e) == 0;
        defender_judge(&a, &out, is_said ? &claim : NULL, is_said ? NULL : &e, true, &r);
        assert(is_said || r.end == DEFENDER_UNKNOWN);
        assert(r.end != DEFENDER_DONE || claim.end == DEFENDER_DONE);
        words_ok(r.words);
    }
    text_done(&out.script);
    text_clear(&json);
    if (defender_marker(s, n, NONCE, &json, &e) == 0) {
        assert(json.s[0] == '{' && json.s[json.len - 1] == '}');
        if (defender_read_claim(json.s, json.len, &claim, &e) == 0)
            words_ok(claim.detail);
    }
}

static void answers(const char *s, size_t n)
{
    const struct json_limits lim = {.depth = 24, .members = 20000, .flags = JSON_FLOATS};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct defender_seen seen[2];
    struct defender_action a;
    char sha[65];
    size_t at = 0;
    bool found = false;
    struct err e;

    if (json_parse(s, n, &lim, &j, &e) < 0)
        return;
    if (defender_read_machine(j, "DC", &seen[0], &e) == 0) {
        assert(defender_machine_id_ok(seen[0].m.id));
        seen[1] = seen[0];
        if (defender_choose(seen, 2, NULL, &at, &e) == 0)
            assert(at < 2 && seen[at].onboarded && seen[at].server && !seen[at].restricted);
    }
    if (defender_read_action(j, NONCE, &a, &e) == 0) {
        assert(field_guid_ok(a.id) && (!a.succeeded || a.is_final) &&
               !(a.succeeded && a.cancelled));
        words_ok(a.error);
    }
    if (defender_read_actions(j, NONCE, &a, &found, &e) == 0 && found)
        assert(field_guid_ok(a.id) && a.ours);
    if (defender_read_library(j, "a.ps1", sha, &e) == 0)
        assert(strlen(sha) == 64);
}

static void link_of(const char *s)
{
    static const char *const hosts[] = {"blob.example.com", "127.0.0.1:8443"};
    const struct defender_settings set = {.result_hosts = hosts, .result_host_count = 2};
    static const char *const ends[] = {".core.windows.net/", ".core.usgovcloudapi.net/",
                                       "blob.example.com/", "127.0.0.1:8443/"};
    size_t host;
    bool fits = false;

    if (!defender_link_ok(&set, s))
        return;
    host = strcspn(s + 8, "/") + 1;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        fits = fits || (host >= strlen(ends[i]) &&
                        strncasecmp(s + 8 + host - strlen(ends[i]), ends[i], strlen(ends[i])) == 0);
    assert(fits && strncmp(s, "https://", 8) == 0 && memchr(s, '@', 8 + host) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    CLEANUP(cleanup_charp) char *s = malloc(n + 1);
    enum defender_why why;
    struct err e = ERR_NONE;

    assert(s != NULL);
    memcpy(s, data, n);
    s[n] = '\0';
    output(s, n);
    answers(s, n);
    link_of(s);
    assert(defender_read_error(403, s, n, NULL, s, true, &why, &e) == -1 && e.code != ERR_OK);
    words_ok(e.msg);
    return 0;
}
