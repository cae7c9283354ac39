/* tests/fuzz/fuzz_okta.c -- users, events, errors and links of Okta: an id that is taken is fit for
 * a path, and words are safe on a terminal. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "cloud/okta.h"
#include "cloud/okta_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define ID "00ub0oNGTSWTBKOLGLNR"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct json_limits lim = {.depth = 32, .members = 4096, .flags = JSON_FLOATS};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    CLEANUP(cleanup_charp) char *s = malloc(n + 1);
    struct okta_event ev;
    struct okta_user u;
    struct err e = ERR_NONE;
    char url[64];
    const struct okta_expect x = {.id = ID, .type = "user.lifecycle.suspend", .actor = ID};
    bool found = false;

    assert(s != NULL);
    memcpy(s, data, n);
    s[n] = '\0';
    if (okta_next_link(s, url, sizeof(url)))
        assert(url[0] != '\0' && strchr(url, '>') == NULL);
    assert(okta_read_error(403, s, n, s, s, true, &e) == -1 && e.code == ERR_DENIED);
    assert(text_utf8_ok(e.msg, strlen(e.msg)) && strpbrk(e.msg, "\n\r\x1b") == NULL);
    if (json_parse(s, n, &lim, &j, &e) < 0)
        return 0;
    if (okta_read_user(j, &u, &e) == 0)
        assert(okta_id_ok(u.id) && (u.status == okta_status_of(u.status_word)));
    if (okta_read_events(j, &x, &ev, &found, &e) == 0 && found)
        assert(ev.uuid[0] != '\0' && ev.published_ms >= -5000);
    return 0;
}
