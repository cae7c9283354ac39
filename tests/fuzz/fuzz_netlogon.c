/* The answer to an LDAP ping: unauthenticated bytes from whoever sits at that address. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "ldap/netlogon.h"

static void shown(const char *s)
{
    size_t n = strlen(s);
    uint32_t c;

    assert(n < AD_NETLOGON_NAME);
    for (size_t at = 0, len; at < n; at += len) {
        len = text_utf8_next(s + at, n - at, &c);
        assert(len > 0 && !text_is_hidden(c));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ad_netlogon nl;
    struct err e;

    if (ad_netlogon_parse(data, size, &nl, &e) < 0)
        return 0;
    shown(nl.forest);
    shown(nl.domain);
    shown(nl.host);
    shown(nl.netbios_domain);
    shown(nl.netbios_host);
    shown(nl.user);
    shown(nl.dc_site);
    shown(nl.client_site);
    shown(nl.next_site);
    return 0;
}
