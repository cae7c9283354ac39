/* tests/fuzz/fuzz_samba_audit.c -- lines of Samba's audit log, in two files, whatever they hold:
 * what is delivered is delivered once, and nothing that failed is called a success. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "eventlog/samba.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void on_event(void *arg, const struct evlog_event *ev, const struct evlog_pos *pos)
{
    uint64_t *last = arg;
    struct evlog_event *copy = evlog_event_dup(ev);

    assert(copy != NULL);
    assert(ev->kind == EVLOG_SAMBA && ev->outcome != EVLOG_UNSAID);
    assert(ev->outcome == EVLOG_SUCCESS || ev->commit == EVLOG_COMMIT_UNSEEN);
    assert(ev->id == EVLOG_CHANGED || !ev->uac.has_new);
    assert(ev->uac.has_new || !ev->uac.has_old);
    assert(pos->seq > 0 && pos->seq <= *last);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct evlog_samba *s = NULL;
    const char *line = (const char *)data, *end = line + n;
    struct evlog_pos pos = {0};
    uint64_t now = 0, lines = 0;
    struct err e;

    assert(evlog_samba_new(/* hold_ms */ 5, on_event, &lines, &s, &e) == 0);
    while (line < end) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t len = (size_t)((stop == NULL ? end : stop) - line);
        char *exact = malloc(len + (len == 0));

        assert(exact != NULL);
        memcpy(exact, line, len);
        pos.seq = ++lines;
        pos.file = len % 2;
        e = ERR_NONE;
        if (evlog_samba_line(s, exact, len, &pos, now, &e) < 0)
            assert(e.code != ERR_OK);
        free(exact);
        if (lines % 4 == 0)
            assert(evlog_samba_due(s, ++now) <= 5);
        line += len + 1;
    }
    evlog_samba_flush(s);
    evlog_samba_free(s);
    return 0;
}
