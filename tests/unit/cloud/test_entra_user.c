/* tests/unit/cloud/test_entra_user.c -- one user as Graph answers it: nothing that decides has a
 * default, and the user must be the one asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "cloud/entra_inside.h"

#define ID "3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a10"
#define REST                                                                                   \
    "\"onPremisesSyncEnabled\":true,\"onPremisesSecurityIdentifier\":\"S-1-5-21-1-2-3-1104\"," \
    "\"signInSessionsValidFromDateTime\":\"2026-11-21T09:14:03Z\""

static int decode(const char *s, const char *want, struct entra_user *u, struct err *e)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;

    assert_int_equal(json_parse(s, strlen(s), NULL, &j, e), 0);
    return entra_user_decode(j, want, u, e);
}

static void a_user(void **state)
{
    struct entra_user u, copy;
    struct err e;

    (void)state;
    assert_int_equal(decode("{\"id\":\"" ID "\",\"userPrincipalName\":\"a@x\",\"accountEnabled\":"
                            "false,\"userType\":\"Guest\"," REST "}",
                            ID, &u, &e),
                     0);
    assert_false(u.enabled);
    assert_true(u.guest && u.synced == ENTRA_TRUE && u.restricted == ENTRA_NULL);
    assert_false(entra_user_is_cloud_only(&u));
    assert_true(u.sessions_valid_from_ms == INT64_C(1795252443000));
    assert_int_equal(entra_user_copy(&u, &copy, &e), 0);
    assert_string_equal(copy.sid, "S-1-5-21-1-2-3-1104");
    entra_user_done(&copy);
    entra_user_done(&u);
}

static void no_user(void **state)
{
    static const char *const bad[] = {
        "[]",
        "{\"id\":\"" ID "\",\"userPrincipalName\":\"a@x\"," REST "}",
        "{\"id\":\"" ID "\",\"userPrincipalName\":\"a@x\",\"accountEnabled\":null," REST "}",
        "{\"id\":\"" ID "\",\"userPrincipalName\":\"a@x\",\"accountEnabled\":\"false\"," REST "}",
        "{\"id\":\"" ID "\",\"userPrincipalName\":\"a@x\",\"accountEnabled\":0," REST "}",
        "{\"id\":\"" ID "\",\"accountEnabled\":false," REST "}",
        "{\"userPrincipalName\":\"a@x\",\"accountEnabled\":false," REST "}",
        "{\"id\":\"../x\",\"userPrincipalName\":\"a@x\",\"accountEnabled\":false," REST "}",
        "{\"id\":\"" ID "\",\"userPrincipalName\":\"a@x\",\"accountEnabled\":false}",
        "{\"id\":\"" ID "\",\"userPrincipalName\":\"a@x\",\"accountEnabled\":false,"
        "\"onPremisesSyncEnabled\":\"yes\",\"onPremisesSecurityIdentifier\":null}",
        "{\"id\":\"" ID "\",\"userPrincipalName\":\"a@x\",\"accountEnabled\":false,"
        "\"onPremisesSyncEnabled\":null,\"onPremisesSecurityIdentifier\":null,"
        "\"signInSessionsValidFromDateTime\":\"soon\"}",
        "{\"id\":\"00000000-0000-0000-0000-000000000000\",\"userPrincipalName\":\"a@x\","
        "\"accountEnabled\":false," REST "}",
    };
    struct entra_user u;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(decode(bad[i], ID, &u, &e), -1);
        assert_int_equal(e.code, ERR_INVALID);
    }
}

static void anchors(void **state)
{
    /* 0 to 15: the sixteen bytes as AD stores them (RFC 4648). */
    uint8_t guid[16];
    char out[25];

    (void)state;
    for (uint8_t i = 0; i < 16; i++)
        guid[i] = i;
    entra_base64(guid, out);
    assert_string_equal(out, "AAECAwQFBgcICQoLDA0ODw==");
    memset(guid, 0xff, sizeof(guid));
    entra_base64(guid, out);
    assert_string_equal(out, "/////////////////////w==");
}

static void literals(void **state)
{
    struct text t = TEXT_INIT(256);

    (void)state;
    entra_literal(&t, "O'Brien+x=/");
    assert_string_equal(t.s, "O%27%27Brien%2Bx%3D%2F");
    text_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user),
        cmocka_unit_test(no_user),
        cmocka_unit_test(anchors),
        cmocka_unit_test(literals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
