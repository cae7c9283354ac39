/* tests/fuzz/fuzz_json.c -- whatever the bytes: an error or a tree, and a string that was written
 * is read back as it was. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t count(const struct cJSON *j)
{
    size_t total = 1;
    int64_t v;

    if (json_value_i64(j, &v))
        assert(v < INT64_C(1) << 53 && v > -(INT64_C(1) << 53));
    assert(json_value_str(j) == NULL || text_utf8_ok(json_value_str(j), strlen(json_value_str(j))));
    for (const struct cJSON *c = json_first(j); c != NULL; c = json_next(c)) {
        /* No duplicates: the first of that name is this one. */
        if (json_name(c) != NULL)
            assert(json_get(j, json_name(c)) == c);
        total += count(c);
    }
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    CLEANUP(json_freep) struct cJSON *j = NULL, *again = NULL;
    struct json_limits lim = {0};
    struct text t = TEXT_INIT(16 * 1024 * 1024);
    struct json_out o;
    struct err e = ERR_NONE;

    if (n > 0) {
        lim.flags = data[0] & 1 ? JSON_FLOATS : 0;
        lim.depth = data[0] & 2 ? 200 : 0;
        lim.members = data[0] & 4 ? 8 : 0;
    }
    if (n > 1 && json_parse((const char *)data + 1, n - 1, &lim, &j, &e) == 0)
        assert(count(j) > 0);

    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_strn(&o, "s", (const char *)data, n);
    json_out_end_object(&o);
    lim = (struct json_limits){.bytes = t.len, .string = t.len};
    if (memchr(data, 0, n) == NULL) {
        assert(json_parse(t.s, t.len, &lim, &again, &e) == 0);
        if (text_utf8_ok((const char *)data, n))
            assert(strlen(json_str(again, "s")) == n && memcmp(json_str(again, "s"), data, n) == 0);
    }
    text_done(&t);
    return 0;
}
