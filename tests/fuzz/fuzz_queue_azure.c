/* tests/fuzz/fuzz_queue_azure.c -- lists of messages, errors and envelopes of Azure queues, and
 * names of files in a spool: what is taken is fit for a URL, a log or a rename, and survives being
 * written again. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cloud/field.h"
#include "cloud/queue_azure_inside.h"
#include "cloud/queue_spool_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* An envelope that was read is read the same when we have written it. */
static void try_envelope(const char *raw)
{
    struct text json = TEXT_INIT(1 << 20), coded = TEXT_INIT(1 << 20), body = TEXT_INIT(1 << 20);
    struct queue_envelope v = {0}, w = {0};
    struct err e = ERR_NONE;

    if (queue_envelope_read(raw, &v, &e) < 0) {
        assert(e.code == ERR_INVALID || e.code == ERR_TOOBIG);
        return;
    }
    assert(v.len > 0 && strlen(v.request) == v.len && text_utf8_ok(v.request, v.len));
    assert(v.claim[0] == '\0' || queue_agent_ok(v.claim));
    queue_envelope_write(&json, v.request, v.len, v.claim, "reason");
    queue_base64(&coded, json.s, json.len);
    /* What is nearly as long as a message may be grows beyond that. */
    if (coded.len <= AZURE_TEXT_MAX) {
        assert(azure_body(&body, coded.s, &e) == 0);
        assert(queue_envelope_read(coded.s, &w, &e) == 0);
        assert(strcmp(v.request, w.request) == 0 && strcmp(v.claim, w.claim) == 0);
    }
    queue_envelope_done(&v);
    queue_envelope_done(&w);
    text_done(&json);
    text_done(&coded);
    text_done(&body);
}

/* A text that came out of XML goes back into it, and comes out the same. */
static void try_body(const char *text)
{
    struct text t = TEXT_INIT(1 << 20), xml = TEXT_INIT(1 << 20);
    struct azure_list l = {.n = 0};
    const char *from, *to;
    struct err e;

    if (azure_body(&t, text, &e) < 0) {
        assert(e.code == ERR_TOOBIG); /* escaped it is longer */
        text_done(&t);
        return;
    }
    from = strstr(t.s, "<MessageText>");
    to = strstr(t.s, "</QueueMessage>");
    text_add(&xml, "<QueueMessagesList><QueueMessage><MessageId>a</MessageId><PopReceipt>b"
                   "</PopReceipt><DequeueCount>1</DequeueCount>");
    text_addn(&xml, from, (size_t)(to - from));
    text_add(&xml, "</QueueMessage></QueueMessagesList>");
    assert(azure_list_read(xml.s, xml.len, false, &l, &e) == 0 && l.n == 1);
    assert(strcmp(l.m[0].text, text) == 0);
    azure_list_done(&l);
    text_done(&t);
    text_done(&xml);
}

static void try_name(const char *s)
{
    struct spool_name a, b;
    char file[NAME_MAX + 1];

    if (!spool_name_read(s, &a))
        return;
    assert(strpbrk(a.holder, "/,") == NULL && strpbrk(a.claim, "/,") == NULL);
    spool_name_write(&a, file);
    assert(strchr(file, '/') == NULL && spool_name_read(file, &b));
    assert(memcmp(&a, &b, sizeof(a)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    CLEANUP(cleanup_charp) char *s = malloc(n + 1);
    struct azure_list l = {.n = 0};
    char code[64];
    struct err e;

    assert(s != NULL);
    memcpy(s, data, n);
    s[n] = '\0';
    azure_error_code(s, n, code, sizeof(code));
    assert(code[0] == '\0' || field_opaque_ok(code));
    for (int peeked = 0; peeked < 2; peeked++) {
        if (azure_list_read(s, n, peeked, &l, &e) < 0)
            continue;
        for (size_t i = 0; i < l.n; i++) {
            assert(field_opaque_ok(l.m[i].id));
            assert(peeked || azure_receipt_ok(l.m[i].receipt));
            try_envelope(l.m[i].text);
            try_body(l.m[i].text);
        }
        azure_list_done(&l);
    }
    try_envelope(s);
    try_name(s);
    return 0;
}
