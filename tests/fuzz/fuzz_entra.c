/* tests/fuzz/fuzz_entra.c -- users and refusals of Graph: who is taken has an id that is fit for a
 * path, and what is refused never reads as done. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "cloud/entra_inside.h"
#include "cloud/graph_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct json_limits lim = {.depth = 32, .members = 4096, .flags = JSON_FLOATS};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct graph g = {.token = NULL};
    struct graph_call c = {
        .g = &g, .method = (char[]){"PATCH"}, .path = (char[]){"/groups/x"}, .body = NULL};
    struct graph_reply r = {.request_id = "", .client_request_id = ""};
    struct entra_user u = {0};
    struct err e;

    if (n < 2)
        return 0;
    (void)json_parse((const char *)data + 2, n - 2, &lim, &j, &e);
    r.json = j;
    r.status = 100 + data[0] * 256 % 500 + data[1];
    assert(graph_error(&c, &r, &e) == -1);
    assert(e.code != ERR_OK && text_utf8_ok(e.msg, strlen(e.msg)));
    if (j == NULL || entra_user_decode(j, NULL, &u, &e) < 0)
        return 0;
    assert(entra_id_ok(u.id) && u.upn != NULL);
    entra_user_done(&u);
    return 0;
}
