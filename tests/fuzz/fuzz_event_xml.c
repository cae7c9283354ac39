/* tests/fuzz/fuzz_event_xml.c -- whatever the bytes: an error or an event that can be kept, written
 * and read again; and a stream in pieces is the same as the stream whole. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "eventlog/event.h"
#include "eventlog/read.h"

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

static void on_bad(void *arg, uint64_t line, const struct err *e)
{
    (void)arg;
    assert(line > 0 && e->code != ERR_OK);
}

static unsigned stream(const uint8_t *data, size_t n, size_t step)
{
    CLEANUP(evlog_read_freep) struct evlog_read *r = NULL;
    unsigned count = 0;
    struct err e;

    assert(evlog_read_new(on_event, on_bad, &count, &r, &e) == 0);
    for (size_t i = 0; i < n; i += step)
        assert(evlog_read_bytes(r, data + i, n - i < step ? n - i : step, &e) == 0);
    assert(evlog_read_end(r, &e) == 0);
    assert(evlog_read_events(r) == count);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    unsigned count = 0;
    struct err e = ERR_NONE;

    if (evlog_parse_xml((const char *)data, n, on_event, &count, &e) < 0)
        assert(e.code != ERR_OK);
    else
        assert(count > 0);
    assert(stream(data, n, n + 1) == stream(data, n, 3));
    return 0;
}
