/* tests/fuzz/fuzz_sync.c -- what cloud sync and the scripts on the sync server say: never proof and
 * danger at once, and words that are safe on a terminal. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "cloud/sync.h"
#include "cloud/sync_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define UID "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a10"

static void safe(const char *s)
{
    assert(text_utf8_ok(s, strlen(s)) && strpbrk(s, "\n\r\x1b") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct json_limits lim = {.string = 512 * 1024, .depth = 32, .flags = JSON_FLOATS};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct sync_result off = {0}, on = {0};
    struct sync_found found = {0};
    bool active, failed;
    char words[256] = "";
    struct err e = ERR_NONE;

    if (sync_read_cycle((const char *)data, n, words, sizeof(words)) != SYNC_CYCLE_UNREADABLE)
        assert(words[0] != '\0');
    safe(words);
    if (json_parse((const char *)data, n, &lim, &j, &e) < 0)
        return 0;
    sync_read_answer(j, UID, false, &off);
    sync_read_answer(j, UID, true, &on);
    safe(off.words);
    safe(on.words);
    /* One answer cannot prove both. */
    assert(off.outcome != SYNC_PROVEN || on.outcome != SYNC_PROVEN);
    /* Proof of one that was written or read is danger for the other. */
    assert(off.outcome != SYNC_PROVEN || sync_outcome_is_danger(on.outcome));
    assert(on.outcome != SYNC_PROVEN || sync_outcome_is_danger(off.outcome));
    if (sync_read_job(j, "corp.example", &found, &active, &e, &failed)) {
        assert(strpbrk(found.job, "/?#%\\") == NULL);
        safe(found.health);
        safe(found.state);
    }
    if (sync_read_schema(j, found.rule, sizeof(found.rule), &e) == 0)
        assert(found.rule[0] != '\0');
    return 0;
}
