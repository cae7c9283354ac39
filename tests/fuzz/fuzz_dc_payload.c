/* tests/fuzz/fuzz_dc_payload.c -- answers of the script on a DC: what is taken is of our order,
 * within its alphabet, and says no more than its values. The first byte chooses the order. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dc_payload.h"
#include "base/cleanup.h"
#include "ldap/uac.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define SID "S-1-5-21-1004336348-1177238915-682003330-1105"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    CLEANUP(cleanup_charp) char *s = malloc(n + 1);
    struct dc_order o = {0};
    struct dc_said said;
    struct err e = ERR_NONE;

    assert(s != NULL);
    if (n == 0)
        return 0;
    o.op = (enum dc_op)(data[0] % (DC_PROBE + 1));
    o.must_change = o.op == DC_RESET_PASSWORD && data[0] >= 128;
    if (o.op != DC_PROBE)
        assert(ad_sid_from_text(SID, strlen(SID), &o.sid) == 0);
    memcpy(s, data + 1, n - 1);
    if (dc_marker_read(s, n - 1, &o, &said, &e) < 0) {
        assert(text_utf8_ok(e.msg, strlen(e.msg)) && strpbrk(e.msg, "\n\r\x1b") == NULL);
        return 0;
    }
    assert(strpbrk(said.code, "\n\x1b\"\\<") == NULL &&
           strpbrk(said.detail, "\n\x1b\"\\<") == NULL);
    assert(said.event_count <= DC_EVENTS && said.time_ms > 0 && said.usn >= 0);
    if (said.outcome == DC_DONE && o.op == DC_DISABLE)
        assert(said.has_uac_after && (said.uac_after & AD_UAC_ACCOUNTDISABLE) != 0);
    if (said.outcome == DC_REFUSED || said.outcome == DC_FAILED)
        assert(!said.has_uac_after && said.event_count == 0);
    return 0;
}
