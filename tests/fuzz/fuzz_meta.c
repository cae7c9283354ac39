/* replPropertyMetaData, and the XML form of the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "ldap/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t ids[] = {AD_ATTID_UAC, AD_ATTID_PWD_LAST_SET, AD_ATTID_UNICODE_PWD, 0};
    char name[AD_META_NAME];
    struct ad_stamp stamp;
    struct err e;
    bool there, broken = false;

    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        if (ad_meta_find(data, size, ids[i], &there, &stamp, &e) < 0) {
            assert(e.code == ERR_INVALID || e.code == ERR_TOOBIG);
            broken = true;
        } else if (there) {
            assert(ad_stamp_eq(&stamp, &stamp));
        }
    }
    if (broken && ad_meta_from_xml((const char *)data, size, name, &stamp, &e) == 0)
        assert(strlen(name) > 0 && strlen(name) < AD_META_NAME);
    return 0;
}
