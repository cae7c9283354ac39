/* What a DC's result lets the caller do: after a change only a clear no is a no (L10). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ldap.h>
#include <openldap.h> /* ldap_init_fd */
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ldap/options.h"
#include "ldap/result.h"

static bool is_refusal(enum err_code code)
{
    return err_is_refusal(&(struct err){.code = code});
}

/* The whole range that a DC can send, and more: the list below is all that counts as a no. */
static void changes(void **state)
{
    static const int clear_no[] = {2,  8,  10, 11, 12, 13, 16, 17, 18, 19,
                                   20, 21, 32, 34, 49, 50, 51, 52, 53, 65};

    (void)state;
    for (int native = -20; native <= 5000; native++) {
        bool listed = false;

        if (native == LDAP_SUCCESS)
            continue;
        for (size_t i = 0; i < ARRAY_LEN(clear_no); i++)
            listed = listed || clear_no[i] == native;
        if (is_refusal(ad_result_code(native, true)) != listed)
            fail_msg("result %d after a change: %s", native,
                     err_word(ad_result_code(native, true)));
        if (!listed)
            assert_int_equal(ad_result_code(native, true), ERR_UNPROVEN);
    }
}

static void one_by_one(void **state)
{
    static const struct {
        int native;
        enum err_code asked, changed;
    } cases[] = {
        {LDAP_OPERATIONS_ERROR, ERR_REFUSED, ERR_UNPROVEN},
        {LDAP_OTHER, ERR_REFUSED, ERR_UNPROVEN},
        {LDAP_TIMELIMIT_EXCEEDED, ERR_BUSY, ERR_UNPROVEN},
        {LDAP_NO_SUCH_ATTRIBUTE, ERR_CONFLICT, ERR_CONFLICT}, /* the swap was lost */
        {LDAP_INSUFFICIENT_ACCESS, ERR_DENIED, ERR_DENIED},
        {LDAP_BUSY, ERR_BUSY, ERR_BUSY},
        {LDAP_UNAVAILABLE, ERR_BUSY, ERR_BUSY},
        {LDAP_NO_SUCH_OBJECT, ERR_NOTFOUND, ERR_NOTFOUND},
        {LDAP_UNWILLING_TO_PERFORM, ERR_REFUSED, ERR_REFUSED},
        {LDAP_SIZELIMIT_EXCEEDED, ERR_TOOBIG, ERR_UNPROVEN},
        {118 /* canceled, RFC 3909 */, ERR_INVALID, ERR_UNPROVEN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(ad_result_code(cases[i].native, false), cases[i].asked);
        assert_int_equal(ad_result_code(cases[i].native, true), cases[i].changed);
    }
}

/* No right and a lost swap are final; only "not now" is tried again. */
static void tried_again(void **state)
{
    (void)state;
    for (int native = 1; native <= 200; native++) {
        bool now_not = ad_result_code(native, true) == ERR_BUSY;

        assert_int_equal(now_not, native == 11 || native == 51 || native == 52);
    }
}

/* A DC that sends us elsewhere: counted, in words, and nobody goes there (L7). */
static void referrals(void **state)
{
    static const char answer[] = /* SearchResultDone, referral (10), two URIs */
        "\x30\x2b\x02\x01\x01\x65\x26\x0a\x01\x0a\x04\x00\x04\x09"
        "0000202B:"
        "\xa3\x14\x04\x08ldap://a\x04\x08ldap://b";
    char attr[] = "cn", *attrs[] = {attr, NULL};
    struct timeval wait = {.tv_sec = 10};
    LDAPMessage *msg = NULL;
    unsigned count = 1; /* of an answer before */
    int ends[2], msgid = 0;
    LDAP *ld = NULL;
    struct err e;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(ldap_init_fd(ends[0], LDAP_PROTO_TCP, "ldap://dc.example.com", &ld), 0);
    assert_int_equal(ad_options_set(ld, &(struct ad_options){.wait_ms = 10000}, &e), 0);
    assert_int_equal(ldap_search_ext(ld, "DC=x", LDAP_SCOPE_BASE, "(cn=*)", attrs, 0, NULL, NULL,
                                     NULL, 0, &msgid),
                     0);
    assert_int_equal(msgid, 1);
    assert_int_equal(write(ends[1], answer, sizeof(answer) - 1), sizeof(answer) - 1);
    assert_int_equal(ldap_result(ld, msgid, LDAP_MSG_ALL, &wait, &msg), LDAP_RES_SEARCH_RESULT);
    assert_int_equal(ad_result_err(ld, msg, false, "dc.example.com", &count, &e), -1);
    assert_int_equal(e.code, ERR_REFUSED);
    assert_int_equal(e.native, LDAP_REFERRAL);
    assert_non_null(strstr(e.msg, "read-only DC"));
    assert_int_equal(count, 3);
    (void)ldap_unbind_ext(ld, NULL, NULL);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes),
        cmocka_unit_test(one_by_one),
        cmocka_unit_test(tried_again),
        cmocka_unit_test(referrals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
