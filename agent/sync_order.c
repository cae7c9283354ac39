/* agent/sync_order.c -- see sync_order.h. */
#include "agent/sync_order.h"

#include <string.h>

#include "agent/dc_payload.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/jws.h"

#define EXPIRES_MIN INT64_C(1000000000000) /* 13 digits */
#define EXPIRES_MAX INT64_C(9999999999999)

const char *sync_op_word(enum sync_op op)
{
    return op == SYNC_OP_START ? "sync-start" : "sync-look";
}

int sync_order_build(enum sync_op op, int64_t expires_ms, const char *nonce, struct text *payload,
                     struct err *e)
{
    CLEANUP(text_done) struct text json = TEXT_INIT(256);

    if (strlen(nonce) != DC_NONCE - 1 || nonce[strspn(nonce, "0123456789abcdef")] != '\0' ||
        expires_ms < EXPIRES_MIN || expires_ms > EXPIRES_MAX)
        return err_set(e, ERR_INTERNAL, 0, "no order for the sync server");
    text_addf(&json, "{\"v\":1,\"op\":\"%s\",\"expires\":%lld,\"nonce\":\"%s\"}", sync_op_word(op),
              (long long)expires_ms, nonce);
    if (text_check(&json, "the order", e) < 0)
        return -1;
    jws_b64url(payload, json.s, json.len);
    return text_check(payload, "the order", e);
}

/* Only what is known, and of its kind. */
static void copy_answer(const struct cJSON *said, struct text *answer)
{
    static const char *const flags[] = {"SyncCycleEnabled", "StagingModeEnabled",
                                        "SchedulerSuspended", "SyncCycleInProgress"};
    static const char *const words[] = {"result", "errorType", "error"};
    const struct cJSON *scheduler = json_get(said, "scheduler");
    struct json_out o;
    bool flag = false;
    int64_t v = 0;

    json_out_init(&o, answer);
    json_out_object(&o, NULL);
    if (json_i64(said, "cordon", &v))
        json_out_i64(&o, "cordon", v);
    json_out_bool(&o, "module", json_bool(said, "module", &flag) && flag);
    if (json_is_object(scheduler)) {
        json_out_object(&o, "scheduler");
        for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
            if (json_bool(scheduler, flags[i], &flag))
                json_out_bool(&o, flags[i], flag);
        }
        json_out_end_object(&o);
    }
    if (json_i64(said, "running", &v))
        json_out_i64(&o, "running", v);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        json_out_str(&o, words[i], json_str(said, words[i]));
    json_out_end_object(&o);
}

int sync_answer_read(const char *json, size_t n, enum sync_op op, struct text *answer,
                     struct err *e)
{
    const struct json_limits lim = {
        .bytes = DC_MARKER_JSON_MAX, .depth = 6, .members = 64, .string = 512};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const struct cJSON *said;
    const char *theirs, *outcome, *words;

    if (json_parse(json, n, &lim, &j, e) < 0)
        return err_wrap(e, "the script's answer");
    theirs = json_str(j, "op");
    outcome = json_str(j, "outcome");
    said = json_get(j, "answer");
    if (theirs == NULL || outcome == NULL || strcmp(theirs, sync_op_word(op)) != 0)
        return err_set(e, ERR_INVALID, 0, "the script's answer is of another operation");
    if (strcmp(outcome, "refused") == 0) {
        words = json_str(j, "code") != NULL ? dc_code_words(json_str(j, "code")) : NULL;
        return err_set(e, ERR_REFUSED, 0, "the script on the sync server refuses: %s",
                       words != NULL ? words : "no reason that is known");
    }
    if (strcmp(outcome, "done") != 0 || !json_is_object(said))
        return err_set(e, ERR_INVALID, 0, "the script's answer says nothing of the server");
    copy_answer(said, answer);
    return text_check(answer, "the script's answer", e);
}
