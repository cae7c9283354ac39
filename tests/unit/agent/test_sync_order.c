/* Orders for the script on the sync server, and its answers, by the vectors that the script's own
 * test reads too (tests/powershell/sync.js). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/sync_order.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "cloud/defender.h"
#include "cloud/sync_inside.h"

static struct cJSON *vectors;

static int load(void **state)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(1 << 20);
    char buf[4096];
    struct err e;
    FILE *f = fopen(TEST_SOURCE_DIR "/tests/data/defender/sync_vectors.json", "re");
    size_t n;

    (void)state;
    assert_non_null(f);
    while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
        text_addn(&t, buf, n);
    (void)fclose(f);
    return json_parse(t.s, t.len, NULL, &vectors, &e);
}

static int unload(void **state)
{
    (void)state;
    json_free(vectors);
    return 0;
}

static enum sync_op op_of(const struct cJSON *j)
{
    return strcmp(json_str(j, "op"), "sync-start") == 0 ? SYNC_OP_START : SYNC_OP_LOOK;
}

/* W1: what is built is byte for byte what the script's pattern is tried on. */
static void orders(void **state)
{
    unsigned n = 0;

    (void)state;
    for (const struct cJSON *j = json_first(json_get(vectors, "orders")); j != NULL;
         j = json_next(j), n++) {
        CLEANUP(text_done) struct text t = TEXT_INIT(512);
        int64_t expires;
        struct err e;

        assert_true(json_i64(j, "expires", &expires));
        assert_int_equal(sync_order_build(op_of(j), expires, json_str(j, "nonce"), &t, &e), 0);
        assert_string_equal(t.s, json_str(j, "payload"));
    }
    assert_int_equal(n, 4);
}

static void not_orders(void **state)
{
    static const char *const nonces[] = {"",
                                         "0123456789abcde",
                                         "0123456789abcdef0",
                                         "0123456789ABCDEF",
                                         "0123456789abcde\"",
                                         "$(calc)89abcdef0"};
    CLEANUP(text_done) struct text t = TEXT_INIT(512);
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(nonces); i++)
        assert_int_equal(sync_order_build(SYNC_OP_LOOK, 1732180453120, nonces[i], &t, &e), -1);
    assert_int_equal(sync_order_build(SYNC_OP_LOOK, 0, "0123456789abcdef", &t, &e), -1);
    assert_int_equal(sync_order_build(SYNC_OP_LOOK, INT64_MAX, "0123456789abcdef", &t, &e), -1);
    assert_int_equal(t.len, 0);
}

static const char *word(enum sync_cycle c)
{
    switch (c) {
    case SYNC_CYCLE_READY:
        return "ready";
    case SYNC_CYCLE_STARTED:
        return "started";
    case SYNC_CYCLE_RUNNING:
        return "running";
    case SYNC_CYCLE_BUSY:
        return "busy";
    case SYNC_CYCLE_STAGING:
        return "staging";
    case SYNC_CYCLE_OFF:
        return "off";
    case SYNC_CYCLE_DENIED:
        return "denied";
    case SYNC_CYCLE_NO_MODULE:
        return "no-module";
    case SYNC_CYCLE_FAILED:
        return "failed";
    default:
        return "unreadable";
    }
}

/* From the script's line to what the engine makes of it, as if WinRM had brought it. */
static void answers(void **state)
{
    unsigned n = 0;

    (void)state;
    for (const struct cJSON *j = json_first(json_get(vectors, "answers")); j != NULL;
         j = json_next(j), n++) {
        CLEANUP(text_done) struct text json = TEXT_INIT(8192), answer = TEXT_INIT(8192);
        const char *line = json_str(j, "line"), *means = json_str(j, "means");
        char words[256];
        struct err e;
        int rc;

        assert_int_equal(defender_marker(line, strlen(line), "0123456789abcdef", &json, &e), 0);
        rc = sync_answer_read(json.s, json.len, op_of(j), &answer, &e);
        if (strcmp(means, "refused") == 0 || strcmp(means, "invalid") == 0) {
            assert_int_equal(rc, -1);
            assert_int_equal(e.code, strcmp(means, "refused") == 0 ? ERR_REFUSED : ERR_INVALID);
            continue;
        }
        assert_int_equal(rc, 0);
        assert_string_equal(word(sync_read_cycle(answer.s, answer.len, words, sizeof(words))),
                            means);
        /* Of another order. */
        assert_int_equal(sync_answer_read(json.s, json.len,
                                          op_of(j) == SYNC_OP_LOOK ? SYNC_OP_START : SYNC_OP_LOOK,
                                          &answer, &e),
                         -1);
    }
    assert_int_equal(n, 15);
}

/* Only what is known, and of its kind, goes on to the engine. */
static void only_what_is_known(void **state)
{
    static const char line[] =
        "{\"op\":\"sync-look\",\"outcome\":\"done\",\"answer\":{\"cordon\":1,\"module\":true,"
        "\"scheduler\":{\"SyncCycleEnabled\":\"yes\",\"StagingModeEnabled\":false,\"x\":1},"
        "\"running\":\"7\",\"result\":{\"a\":1},\"more\":\"x\"}}";
    CLEANUP(text_done) struct text t = TEXT_INIT(8192);
    struct err e;

    (void)state;
    assert_int_equal(sync_answer_read(line, strlen(line), SYNC_OP_LOOK, &t, &e), 0);
    assert_string_equal(t.s, "{\"cordon\":1,\"module\":true,\"scheduler\":{\"StagingModeEnabled\":"
                             "false},\"result\":null,\"errorType\":null,\"error\":null}");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders),
        cmocka_unit_test(not_orders),
        cmocka_unit_test(answers),
        cmocka_unit_test(only_what_is_known),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
