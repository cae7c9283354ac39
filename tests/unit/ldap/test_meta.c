/* Attribute versions: the blob and the XML. (L8) */
#include "ldap/meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/stamp.h"

static const struct ad_guid dc1 =
    AD_GUID_INIT(11111111, 2222, 3333, 44, 55, 66, 77, 88, 99, aa, bb);

struct build {
    uint8_t b[16 + 48 * 8];
    size_t n;
};

static void put(struct build *d, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        d->b[d->n++] = (uint8_t)(i < 8 ? v >> (8 * i) : 0);
}

static void attr(struct build *d, uint32_t id, uint32_t version, uint64_t seconds, uint64_t usn,
                 uint64_t local)
{
    put(d, id, 4);
    put(d, version, 4);
    put(d, seconds, 8);
    memcpy(d->b + d->n, dc1.b, 16);
    d->n += 16;
    put(d, usn, 8);
    put(d, local, 8);
    d->b[8]++;
}

static void make(struct build *d)
{
    memset(d, 0, sizeof(*d));
    put(d, 1, 4);
    put(d, 0, 12);
    attr(d, AD_ATTID_UAC, 7, UINT64_C(13408000000), UINT64_C(0x123456789a), 4711);
    attr(d, AD_ATTID_UNICODE_PWD, 2, UINT64_C(13408000001), 5, 6);
}

/* On exactly n bytes of heap, so that a read past them is seen. */
static int find(const struct build *d, size_t n, uint32_t id, bool *there, struct ad_stamp *s,
                struct err *e)
{
    uint8_t *b = malloc(n + (n == 0));
    int rc;

    assert_non_null(b);
    memcpy(b, d->b, n);
    rc = ad_meta_find(b, n, id, there, s, e);
    free(b);
    return rc;
}

static void blob(void **state)
{
    struct ad_stamp s;
    struct build d;
    struct err e;
    char iso[STAMP_TEXT];
    bool there;

    (void)state;
    make(&d);
    assert_int_equal(find(&d, d.n, AD_ATTID_UAC, &there, &s, &e), 0);
    assert_true(there);
    assert_int_equal(s.version, 7);
    assert_true(ad_guid_eq(&s.invocation, &dc1));
    assert_true(s.originating_usn == UINT64_C(0x123456789a));
    assert_true(s.local_usn == 4711);
    assert_string_equal(stamp_iso(iso, s.time_ms), "2025-11-19T04:26:40.000Z");

    assert_int_equal(find(&d, d.n, AD_ATTID_PWD_LAST_SET, &there, &s, &e), 0);
    assert_false(there);
    assert_int_equal(s.version, 7); /* untouched */

    /* none at all is a blob, too */
    make(&d);
    d.n = 16;
    d.b[8] = 0;
    assert_int_equal(find(&d, d.n, AD_ATTID_UAC, &there, &s, &e), 0);
    assert_false(there);
}

static void blob_broken(void **state)
{
    struct ad_stamp s;
    struct build d;
    struct err e;
    bool there;

    (void)state;
    make(&d);
    for (size_t n = 0; n < d.n; n++) {
        assert_int_equal(find(&d, n, AD_ATTID_UAC, &there, &s, &e), -1);
        assert_int_equal(e.code, ERR_INVALID);
    }
    assert_int_equal(find(&d, d.n + 1, AD_ATTID_UAC, &there, &s, &e), -1);
    d.b[0] = 2; /* version */
    assert_int_equal(find(&d, d.n, AD_ATTID_UAC, &there, &s, &e), -1);
    make(&d);
    d.b[8] = 3; /* one more than there are */
    assert_int_equal(find(&d, d.n, AD_ATTID_UAC, &there, &s, &e), -1);
    make(&d);
    d.b[11] = 0xff; /* count near 2^32: no overflow */
    assert_int_equal(find(&d, d.n, AD_ATTID_UAC, &there, &s, &e), -1);
    assert_int_equal(e.code, ERR_TOOBIG);
    make(&d);
    d.b[16 + 48 + 15] = 0x7f; /* an impossible time, in the other attribute */
    assert_int_equal(find(&d, d.n, AD_ATTID_UAC, &there, &s, &e), -1);
    make(&d);
    attr(&d, AD_ATTID_UAC, 8, UINT64_C(13408000000), 9, 9); /* the same attribute again */
    assert_int_equal(find(&d, d.n, AD_ATTID_UAC, &there, &s, &e), -1);
}

static void same_change(void **state)
{
    struct ad_stamp a = {.version = 3, .invocation = dc1, .originating_usn = 9, .local_usn = 1},
                    b = a;

    (void)state;
    b.local_usn = 2;
    b.time_ms = 5;
    assert_true(ad_stamp_eq(&a, &b)); /* another DC's copy */
    b.version = 4;
    assert_false(ad_stamp_eq(&a, &b));
    b = a;
    b.originating_usn = 8;
    assert_false(ad_stamp_eq(&a, &b));
    b = a;
    b.invocation.b[15] ^= 1;
    assert_false(ad_stamp_eq(&a, &b));
}

#define XML(name, version, time, guid, usn, local)                               \
    "<DS_REPL_ATTR_META_DATA>\n\t<pszAttributeName>" name                        \
    "</pszAttributeName>\n\t<dwVersion>" version                                 \
    "</dwVersion>\n\t<ftimeLastOriginatingChange>" time                          \
    "</ftimeLastOriginatingChange>\n\t<uuidLastOriginatingDsaInvocationID>" guid \
    "</uuidLastOriginatingDsaInvocationID>\n\t<usnOriginatingChange>" usn        \
    "</usnOriginatingChange>\n\t<usnLocalChange>" local                          \
    "</usnLocalChange>\n\t<pszLastOriginatingDsaDN>CN=NTDS "                     \
    "Settings,CN=DC1</pszLastOriginatingDsaDN>\n"                                \
    "</DS_REPL_ATTR_META_DATA>\n"
#define GUID1 "11111111-2222-3333-4455-66778899aabb"

static void xml(void **state)
{
    static const char good[] =
        XML("userAccountControl", "7", "2025-11-19T04:26:40Z", GUID1, "78187493530", "4711");
    static const char *const bad[] = {
        "",
        "<DS_REPL_ATTR_META_DATA/>",
        "<a/>",
        "<!DOCTYPE x []>" XML("a", "1", "2025-11-19T04:26:40Z", GUID1, "1", "1"),
        XML("", "1", "2025-11-19T04:26:40Z", GUID1, "1", "1"),
        XML("a", "-1", "2025-11-19T04:26:40Z", GUID1, "1", "1"),
        XML("a", "4294967296", "2025-11-19T04:26:40Z", GUID1, "1", "1"),
        XML("a", "1</dwVersion><dwVersion>2", "2025-11-19T04:26:40Z", GUID1, "1", "1"),
        XML("a", "1", "yesterday", GUID1, "1", "1"),
        XML("a", "1", "2025-11-19T04:26:40Z", "1", "1", "1"),
        XML("a", "1", "2025-11-19T04:26:40Z", GUID1, "x", "1"),
        XML("a", "1", "2025-11-19T04:26:40Z", GUID1, "1", ""),
    };
    char name[AD_META_NAME];
    struct ad_stamp s, from_blob;
    struct build d;
    struct err e;
    bool there;

    (void)state;
    make(&d);
    assert_int_equal(find(&d, d.n, AD_ATTID_UAC, &there, &from_blob, &e), 0);
    /* with and without the NUL that Windows sends */
    for (size_t n = sizeof(good) - 1; n <= sizeof(good); n++) {
        if (ad_meta_from_xml(good, n, name, &s, &e) < 0)
            fail_msg("%s", e.msg);
        assert_string_equal(name, "userAccountControl");
        assert_true(ad_stamp_eq(&s, &from_blob));
        assert_true(s.time_ms == from_blob.time_ms && s.local_usn == 4711);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (ad_meta_from_xml(bad[i], strlen(bad[i]), name, &s, &e) == 0)
            fail_msg("taken: %s", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blob),
        cmocka_unit_test(blob_broken),
        cmocka_unit_test(same_change),
        cmocka_unit_test(xml),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
