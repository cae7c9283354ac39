/* ldap/meta.c -- see meta.h. */
#include "ldap/meta.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "base/text.h"
#include "base/xml.h"
#include "ldap/bytes.h"

#define HEAD_BYTES 16
#define STAMP_BYTES 48

/* Seconds since 1601 up to the year 9999: what a time can be, and far from any overflow. */
#define SECONDS_MAX INT64_C(265046774399)

/* --- the blob --------------------------------------------------------------- */

static int read_stamp(const uint8_t *p, struct ad_stamp *ret, struct err *e)
{
    int64_t seconds = (int64_t)bytes_u64(p + 8);

    if (seconds < 0 || seconds > SECONDS_MAX)
        return err_set(e, ERR_INVALID, 0, "replPropertyMetaData: impossible time");
    ret->version = bytes_u32(p + 4);
    ret->time_ms = stamp_from_filetime_seconds(seconds);
    (void)ad_guid_from_bytes(p + 16, 16, &ret->invocation);
    ret->originating_usn = bytes_u64(p + 32);
    ret->local_usn = bytes_u64(p + 40);
    return 0;
}

int ad_meta_find(const void *blob, size_t n, uint32_t attid, bool *ret_there, struct ad_stamp *ret,
                 struct err *e)
{
    const uint8_t *b = blob;
    struct ad_stamp stamp, found = {0};
    bool there = false;
    uint32_t count;

    if (n < HEAD_BYTES || bytes_u32(b) != 1)
        return err_set(e, ERR_INVALID, 0, "replPropertyMetaData: not version 1");
    count = bytes_u32(b + 8);
    if (count > AD_META_MAX_ATTRS)
        return err_set(e, ERR_TOOBIG, 0, "replPropertyMetaData: %u attributes", count);
    if (n != HEAD_BYTES + STAMP_BYTES * (size_t)count)
        return err_set(e, ERR_INVALID, 0, "replPropertyMetaData: %zu bytes for %u attributes", n,
                       count);

    /* To the end, although the list is sorted: two stamps for one attribute prove nothing. */
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *p = b + HEAD_BYTES + STAMP_BYTES * (size_t)i;

        if (read_stamp(p, &stamp, e) < 0)
            return -1;
        if (bytes_u32(p) != attid)
            continue;
        if (there)
            return err_set(e, ERR_INVALID, 0, "replPropertyMetaData: attribute 0x%x twice", attid);
        there = true;
        found = stamp;
    }
    *ret_there = there;
    if (there)
        *ret = found;
    return 0;
}

/* --- the XML ---------------------------------------------------------------- */

/* Text of the one child with that name; NULL where there is none, or more than one. */
static const char *field(const struct xml_node *root, const char *name)
{
    const struct xml_node *n = xml_child(root, NULL, name);

    return n != NULL && xml_again(n) == NULL ? n->text : NULL;
}

int ad_meta_from_xml(const char *s, size_t n, char ret_name[AD_META_NAME], struct ad_stamp *ret,
                     struct err *e)
{
    CLEANUP(xml_freep) struct xml_doc *doc = NULL;
    const struct xml_node *root;
    const char *name, *version, *time, *invocation, *usn, *local;
    struct ad_stamp stamp = {0};
    uint64_t v;

    /* Windows puts a NUL behind each value. */
    if (n > 0 && s[n - 1] == '\0')
        n--;
    if (xml_parse(s, n, &doc, e) < 0)
        return err_wrap(e, "msDS-ReplAttributeMetaData");
    root = xml_root(doc);
    name = field(root, "pszAttributeName");
    version = field(root, "dwVersion");
    time = field(root, "ftimeLastOriginatingChange");
    invocation = field(root, "uuidLastOriginatingDsaInvocationID");
    usn = field(root, "usnOriginatingChange");
    local = field(root, "usnLocalChange");
    if (strcmp(root->name, "DS_REPL_ATTR_META_DATA") != 0 || name == NULL || name[0] == '\0' ||
        strlen(name) >= AD_META_NAME || version == NULL || time == NULL || invocation == NULL ||
        usn == NULL || local == NULL)
        return err_set(e, ERR_INVALID, 0, "msDS-ReplAttributeMetaData: not in the expected form");

    if (!text_to_u64(version, 0, UINT32_MAX, &v) || !stamp_parse_iso(time, &stamp.time_ms) ||
        ad_guid_from_text(invocation, strlen(invocation), &stamp.invocation) < 0 ||
        !text_to_u64(usn, 0, INT64_MAX, &stamp.originating_usn) ||
        !text_to_u64(local, 0, INT64_MAX, &stamp.local_usn))
        return err_set(e, ERR_INVALID, 0, "msDS-ReplAttributeMetaData: a broken number");
    stamp.version = (uint32_t)v;
    *ret = stamp;
    (void)snprintf(ret_name, AD_META_NAME, "%s", name);
    return 0;
}

bool ad_stamp_eq(const struct ad_stamp *a, const struct ad_stamp *b)
{
    return a->version == b->version && a->originating_usn == b->originating_usn &&
           ad_guid_eq(&a->invocation, &b->invocation);
}
