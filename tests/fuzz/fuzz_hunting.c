/* tests/fuzz/fuzz_hunting.c -- rows of hunting and Log Analytics, identities of Defender, users at
 * risk: only what was asked for, in order, within its limits; SIDs that are taken are SIDs. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "cloud/field.h"
#include "cloud/hunting.h"
#include "cloud/hunting_inside.h"
#include "cloud/mdi.h"
#include "cloud/risk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define SID "S-1-5-21-1-2-3-500"
#define FROM INT64_C(1789344000000)
#define TO INT64_C(1789430400000)

static void safe(const char *s)
{
    assert(text_utf8_ok(s, strlen(s)) && strpbrk(s, "\n\r\x1b") == NULL);
}

static void rows(const struct cJSON *j)
{
    CLEANUP(hunt_table_freep) struct hunt_table *t = NULL;
    struct hunt_rows r;
    struct err e;

    if (hunt_read(j, SID, FROM, TO, &t, &e) < 0) {
        assert(e.code == ERR_INVALID || e.code == ERR_TOOBIG);
        return;
    }
    hunt_table_rows(t, &r);
    safe(r.note);
    for (size_t i = 0; i < r.count; i++) {
        assert(strcmp(r.rows[i].target_sid, SID) == 0);
        assert(r.rows[i].time_ms >= FROM && r.rows[i].time_ms <= TO);
        assert(i == 0 || r.rows[i - 1].time_ms <= r.rows[i].time_ms);
        safe(r.rows[i].action);
        safe(r.rows[i].computer);
        safe(r.rows[i].actor);
    }
}

static void texts(const char *s)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(4096);
    struct err e;

    if (hunt_text_identity(&t, s, FROM, TO, &e) == 0)
        assert(strspn(s, "S-0123456789") == strlen(s) && field_sid_ok(s));
    (void)hunt_text_query_xml(&t, s, NULL, 0, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct json_limits lim = {.depth = 32, .members = 4096, .flags = JSON_FLOATS};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    CLEANUP(cleanup_charp) char *s = malloc(n + 1);
    struct risk_detection d;
    struct mdi_identity i;
    struct risk_user u;
    struct err e = ERR_NONE;

    assert(s != NULL);
    memcpy(s, data, n);
    s[n] = '\0';
    texts(s);
    assert(hunt_read_error(403, s, n, s, &e) == -1 && e.code == ERR_DENIED);
    safe(e.msg);
    if (json_parse(s, n, &lim, &j, &e) < 0)
        return 0;
    rows(j);
    if (mdi_read_identity(j, &i, &e) == 0)
        assert(field_opaque_ok(i.id) && i.account_count <= MDI_ACCOUNTS);
    if (risk_read_user(j, &u, &e) == 0)
        assert(field_guid_ok(u.id));
    (void)risk_read_detection(j, &d, &e);
    return 0;
}
