/* tests/unit/cloud/test_mdi.c -- Defender for Identity: only what is offered is asked for, and a
 * yes is no more than that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/mdi.h"
#include "tests/unit/cloud/sim.h"

#define SID "S-1-5-21-3623811015-3361044348-30300820-1613"
#define ACCOUNT "937a726d-10d7-4af2-9383-56d7d1cd9eed"
#define ID "b7e1c9a4-3d52-4f0c-8b6a-91d4e2f7a053"
#define IDENTITY(id, sid, accounts)                                                       \
    "{\"id\":\"" id "\",\"displayName\":\"Anna\",\"onPremisesSecurityIdentifier\":\"" sid \
    "\",\"isEnabled\":true,\"accounts\":[" accounts "]}"
#define AD(member, word, actions) \
    "{\"" member "\":\"" word "\",\"identifier\":\"" ACCOUNT "\",\"actions\":[" actions "]}"
#define PLAIN IDENTITY(ID, SID, AD("identityProvider", "activeDirectory", "\"disable\",\"newOne\""))

struct got {
    unsigned calls;
    struct mdi_identity i;
    struct mdi_taken t;
    bool failed;
    struct err e;
};

static void on_identity(void *arg, const struct mdi_identity *i, const struct err *e)
{
    struct got *g = arg;

    g->calls++;
    g->failed = e != NULL;
    if (e != NULL)
        g->e = *e;
    else
        g->i = *i;
}

static void on_taken(void *arg, const struct mdi_taken *t, const struct err *e)
{
    struct got *g = arg;

    g->calls++;
    g->failed = e != NULL;
    if (e != NULL)
        g->e = *e;
    else
        g->t = *t;
}

static void identities(void **state)
{
    static const struct {
        const char *json;
        bool fine;
        unsigned actions;
    } cases[] = {
        {PLAIN, true, MDI_DISABLE},
        {"{\"value\":" PLAIN "}", true, MDI_DISABLE},
        {IDENTITY(ID, SID, AD("provider", "ActiveDirectory", "\"Disable\",\"forcePasswordReset\"")),
         true, MDI_DISABLE | MDI_FORCE_PASSWORD_RESET},
        {IDENTITY(ID, SID, AD("identityProvider", "activeDirectory", "7,null,{}")), true, 0},
        {IDENTITY(ID, SID, "{\"identifier\":\"x\"}"), false, 0},
        {IDENTITY(ID, SID, "{\"identityProvider\":\"okta\"}"), false, 0},
        {IDENTITY("a/../b", SID, ""), false, 0},
        {"{\"onPremisesSecurityIdentifier\":\"" SID "\"}", false, 0},
        {"{\"id\":\"" ID "\",\"accounts\":{}}", false, 0},
        {"[]", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) struct cJSON *j = sim_json(cases[i].json);
        struct mdi_identity x;
        struct err e = ERR_NONE;

        if ((mdi_read_identity(j, &x, &e) == 0) != cases[i].fine)
            fail_msg("%zu: %s", i, e.msg);
        if (!cases[i].fine)
            continue;
        assert_int_equal(x.accounts[0].provider, MDI_ACTIVE_DIRECTORY);
        assert_int_equal(x.accounts[0].actions, cases[i].actions);
    }
}

static void found(void **state)
{
    static const struct {
        struct sim_says says;
        enum err_code code;
    } cases[] = {
        {{"GET", "identityAccounts?$filter=onPremisesSecurityIdentifier%20eq%20%27" SID "%27",
          .status = 200, .body = "{\"value\":[" PLAIN "]}"},
         ERR_OK},
        {{"GET", "identityAccounts", .status = 200, .body = "{\"value\":[]}"}, ERR_NOTFOUND},
        {{"GET", "identityAccounts", .status = 200,
          .body = "{\"value\":[" PLAIN "," IDENTITY("b7", SID, "") "]}"},
         ERR_AMBIGUOUS},
        {{"GET", "identityAccounts", .status = 200,
          .body = "{\"value\":[" IDENTITY(ID, "S-1-5-21-1-2-3-500", "") "]}"},
         ERR_CONFLICT},
        {{"GET", "identityAccounts", .status = 200, .body = "{\"value\":[{\"id\":7}]}"},
         ERR_INVALID},
        {{"GET", "identityAccounts", .code = ERR_DENIED, .status = 403}, ERR_DENIED},
    };
    struct got g;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        memset(&g, 0, sizeof(g));
        sim_script(&cases[i].says, 1);
        assert_int_equal(mdi_find_start(NULL, SID, on_identity, &g, NULL, &e), 0);
        sim_run();
        assert_int_equal(g.calls, 1);
        assert_int_equal(g.failed ? g.e.code : ERR_OK, cases[i].code);
        sim_end();
    }
    assert_int_equal(mdi_find_start(NULL, SID "' or '1'='1", on_identity, &g, NULL, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
}

#define INVOKE "POST", "/security/identities/identityAccounts/" ID "/invokeAction"
#define BODY                                                                      \
    "{\"accountId\":\"" ACCOUNT "\",\"action\":\"disable\",\"identityProvider\":" \
    "\"activeDirectory\"}"

static void invoked(void **state)
{
    static const struct {
        struct sim_says says;
        enum err_code code;
    } cases[] = {
        {{INVOKE, .asks = BODY, .status = 200,
          .body = "{\"accountId\":\"" ACCOUNT "\",\"action\":\"disable\",\"identityProvider\":"
                  "\"activeDirectory\",\"correlationId\":\"c1\"}"},
         ERR_OK},
        {{INVOKE, .status = 200,
          .body =
              "{\"value\":{\"accountId\":\"" ACCOUNT "\",\"action\":\"Disable\",\"provider\":\"x\","
              "\"correlationId\":\"c1\"}}"},
         ERR_OK},
        {{INVOKE, .status = 200, .body = "{\"accountId\":\"other\",\"action\":\"disable\"}"},
         ERR_UNPROVEN},
        {{INVOKE, .status = 200, .body = "{\"accountId\":\"" ACCOUNT "\",\"action\":\"enable\"}"},
         ERR_UNPROVEN},
        {{INVOKE, .status = 204}, ERR_UNPROVEN},
        {{INVOKE, .code = ERR_DENIED, .status = 403}, ERR_DENIED},
        {{INVOKE, .code = ERR_UNPROVEN}, ERR_UNPROVEN},
    };
    CLEANUP(json_freep) struct cJSON *j = sim_json(PLAIN);
    struct mdi_identity x;
    struct got g;
    struct err e;

    (void)state;
    assert_int_equal(mdi_read_identity(j, &x, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        memset(&g, 0, sizeof(g));
        sim_script(&cases[i].says, 1);
        assert_int_equal(
            mdi_invoke_start(NULL, &x, MDI_ACTIVE_DIRECTORY, MDI_DISABLE, on_taken, &g, NULL, &e),
            0);
        sim_run();
        assert_int_equal(g.calls, 1);
        assert_int_equal(g.failed ? g.e.code : ERR_OK, cases[i].code);
        if (!g.failed)
            assert_string_equal(g.t.correlation_id, "c1");
        sim_end();
    }
    /* What is not offered is not sent. */
    sim_script(NULL, 0);
    assert_int_equal(
        mdi_invoke_start(NULL, &x, MDI_ACTIVE_DIRECTORY, MDI_ENABLE, on_taken, &g, NULL, &e), -1);
    assert_int_equal(e.code, ERR_UNSUPPORTED);
    assert_int_equal(mdi_invoke_start(NULL, &x, MDI_OKTA, MDI_DISABLE, on_taken, &g, NULL, &e), -1);
    assert_int_equal(e.code, ERR_UNSUPPORTED);
    x.accounts[1] = x.accounts[0];
    x.account_count = 2;
    assert_int_equal(
        mdi_invoke_start(NULL, &x, MDI_ACTIVE_DIRECTORY, MDI_DISABLE, on_taken, &g, NULL, &e), -1);
    assert_int_equal(e.code, ERR_AMBIGUOUS);
    sim_end();
}

static void words(void **state)
{
    CLEANUP(text_done) struct text t = TEXT_INIT(256);

    (void)state;
    mdi_actions_text(&t, MDI_DISABLE | MDI_FORCE_PASSWORD_RESET);
    assert_string_equal(t.s, "disable, force password reset");
    text_clear(&t);
    mdi_actions_text(&t, 0);
    assert_string_equal(t.s, "nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identities),
        cmocka_unit_test(found),
        cmocka_unit_test(invoked),
        cmocka_unit_test(words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
