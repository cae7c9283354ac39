/* SIDs and GUIDs in every form, and security descriptors: what is taken comes back the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "ldap/sd.h"
#include "ldap/sid.h"

static bool count(void *arg, const struct ad_sid *sid)
{
    unsigned *n = arg;

    assert(sid->n >= 12 && sid->n <= AD_SID_BYTES);
    return ++*n < 50;
}

static void one_sid(const struct ad_sid *sid)
{
    char text[AD_SID_TEXT], dn[AD_SID_DN];
    struct ad_sid again;

    (void)ad_sid_to_dn(sid, dn);
    (void)ad_sid_to_text(sid, text);
    assert(ad_sid_from_text(text, strlen(text), &again) == 0);
    assert(ad_sid_eq(sid, &again));
    assert(ad_sid_domain_eq(sid, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ad_sid sid, by;
    struct ad_guid guid, again;
    struct ad_sd sd;
    struct ad_ace ace;
    enum ad_right right;
    char text[AD_GUID_TEXT], base64[AD_GUID_BASE64];
    unsigned n = 0;
    bool cannot;
    struct err e;

    if (ad_sid_from_bytes(data, size, &sid) == 0)
        one_sid(&sid);
    if (ad_sid_from_text((const char *)data, size, &sid) == 0)
        one_sid(&sid);
    if (ad_guid_from_text((const char *)data, size, &guid) == 0 ||
        ad_guid_from_base64((const char *)data, size, &guid) == 0) {
        (void)ad_guid_to_text(&guid, text);
        assert(ad_guid_from_text(text, strlen(text), &again) == 0 && ad_guid_eq(&guid, &again));
        (void)ad_guid_to_base64(&guid, base64);
        assert(ad_guid_from_base64(base64, 24, &again) == 0 && ad_guid_eq(&guid, &again));
    }

    if (ad_sd_open(data, size, &sd, &e) < 0)
        return 0;
    n = sd.count;
    while (ad_sd_next(&sd, &ace)) {
        n--;
        assert((ace.kind == AD_ACE_OTHER) == (ace.sid.n == 0));
        if (ace.kind != AD_ACE_OTHER)
            one_sid(&ace.sid);
    }
    assert(n == 0); /* opened means that all of it can be read */
    assert(ad_sd_cannot_change_password(data, size, &cannot, &e) == 0);
    n = 0;
    (void)ad_sd_replicators(data, size, count, &n, &e);
    memset(&sid, 0, sizeof(sid));
    assert(ad_sd_reset_right(data, size, &sid, 1, &ad_guid_class_user, false, &right, &by, &e) ==
           0);
    assert(ad_sd_reset_right(data, size, NULL, 0, &ad_guid_class_user, true, &right, NULL, &e) ==
           0);
    return 0;
}
