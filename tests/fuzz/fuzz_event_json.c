/* tests/fuzz/fuzz_event_json.c -- as fuzz_event_xml.c: an error or an event that can be kept,
 * written and read again; never two from one object. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "eventlog/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void on_event(void *arg, const struct evlog_event *ev)
{
    CLEANUP(text_done) struct text out = TEXT_INIT(16 * 1024 * 1024);
    CLEANUP(text_done) struct text key = TEXT_INIT(1024 * 1024);
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const struct json_limits lim = {.bytes = 16 * 1024 * 1024, .string = 4 * 1024 * 1024};
    struct evlog_event *copy = evlog_event_dup(ev);
    unsigned *count = arg;
    struct err e;

    assert(copy != NULL && ev->id != 0);
    evlog_event_json(copy, &out);
    assert(json_parse(out.s, out.len, &lim, &j, &e) == 0);
    text_clear(&out);
    evlog_event_human(copy, &out);
    assert(text_utf8_ok(out.s, out.len) && strpbrk(out.s, "\n\r\x1b") == NULL);
    evlog_dn_key(ev->target.name, &key);
    free(copy);
    ++*count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    unsigned count = 0;
    struct err e = ERR_NONE;

    if (evlog_parse_json((const char *)data, n, on_event, &count, &e) < 0)
        assert(e.code != ERR_OK);
    else
        assert(count > 0);
    return 0;
}
