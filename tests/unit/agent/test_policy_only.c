/* tests/unit/agent/test_policy_only.c -- a list that permits: resolved, and asked. The directory is
 * scripted by --wrap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/policy.h"
#include "base/cleanup.h"
#include "config/list.h"

/* S-1-5-21-1-2-3-R */
#define SID(r) "\x01\x05\0\0\0\0\0\x05\x15\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0" r
#define ALICE SID("\x50\x04\0\0")
#define TEAM SID("\x51\x04\0\0")
#define OTHER SID("\x52\x04\0\0")

static struct {
    ad_search_cb cb; /* the search that waits for its answer */
    void *arg;
    char asked[2048]; /* its base and filter */
    struct policy *policy;
    struct err err;
    int ended;
} w;

int __wrap_ad_search_start(struct ad_conn *c, const struct ad_search *s, ad_search_cb cb, void *arg,
                           struct ad_op **ret_op, struct err *e);
const char *__wrap_ad_dcs_domain(const struct ad_dcs *d);

int __wrap_ad_search_start(struct ad_conn *c, const struct ad_search *s, ad_search_cb cb, void *arg,
                           struct ad_op **ret_op, struct err *e)
{
    (void)c;
    (void)ret_op;
    (void)e;
    w.cb = cb;
    w.arg = arg;
    (void)snprintf(w.asked, sizeof(w.asked), "%s %s", s->base, s->filter);
    return 0;
}

const char *__wrap_ad_dcs_domain(const struct ad_dcs *d)
{
    (void)d;
    return "corp.example.com";
}

static void on_policy(void *arg, struct policy *p, const struct err *e)
{
    (void)arg;
    w.policy = p;
    w.err = e != NULL ? *e : ERR_NONE;
    w.ended++;
}

/* One object of a class, or none. */
static void answer(const char *dn, const char *class, const char *sid)
{
    const struct ad_value classes = {class, class != NULL ? strlen(class) : 0}, sids = {sid, 28};
    const struct ad_attr attrs[] = {{"objectClass", &classes, 1}, {"objectSid", &sids, 1}};
    const struct ad_entry en = {dn, attrs, sid != NULL ? 2 : 1};
    ad_search_cb cb = w.cb;

    assert_non_null(cb);
    w.cb = NULL;
    cb(w.arg, dn != NULL ? &en : NULL, dn != NULL ? 1 : 0, NULL);
}

static void start(const char *value)
{
    static struct ad_dc dc = {.domain_dn = "DC=corp,DC=example,DC=com", .netbios = "CORP"};
    struct cfg_list only;
    struct err e;
    size_t at;

    memset(&w, 0, sizeof(w));
    assert_int_equal(cfg_list_accounts(value, &only, &at, &e), 0);
    assert_int_equal(policy_only_start(&dc, &only, "[signer/soar] accounts", on_policy, NULL, &e),
                     0);
    cfg_list_done(&only);
    answer(NULL, NULL, NULL); /* the well-known groups: none */
}

static struct ad_account account(const char *sid, const char *sam, char *dn)
{
    struct ad_account a = {.dn = dn};

    assert_int_equal(ad_sid_from_bytes(sid, 28, &a.subject.sid), 0);
    a.sam = strdup(sam);
    return a;
}

static bool on_list(const char *sid, const char *sam, const char *dn, const char *group)
{
    CLEANUP(cleanup_charp) char *copy = strdup(dn);
    struct ad_account a = account(sid, sam, copy);
    struct ad_sid token;
    bool is;

    if (group != NULL) {
        assert_int_equal(ad_sid_from_bytes(group, 28, &token), 0);
        a.subject.token_groups = &token;
        a.subject.token_group_count = 1;
    }
    is = policy_only(w.policy, &a);
    free(a.sam);
    return is;
}

static void asked(void **state)
{
    (void)state;
    start("alice, Team, ou:OU=x,DC=corp,DC=example,DC=com; svc-*");
    assert_non_null(strstr(w.asked, "alice"));
    answer("CN=alice,DC=corp,DC=example,DC=com", "user", ALICE);
    answer("CN=Team,DC=corp,DC=example,DC=com", "group", TEAM); /* named without "group:" */
    answer("OU=X,DC=corp,DC=example,DC=com", "organizationalUnit", NULL);
    assert_int_equal(w.ended, 1);
    assert_null(w.cb); /* a pattern asks nobody */
    assert_non_null(w.policy);

    /* By SID, whatever the account is called today. */
    assert_true(on_list(ALICE, "renamed", "CN=a,DC=corp,DC=example,DC=com", NULL));
    assert_false(on_list(OTHER, "alice", "CN=a,DC=corp,DC=example,DC=com", NULL));
    assert_true(on_list(OTHER, "bob", "CN=a,DC=corp,DC=example,DC=com", TEAM));
    assert_false(on_list(OTHER, "bob", "CN=a,DC=corp,DC=example,DC=com", ALICE));
    assert_true(on_list(OTHER, "bob", "CN=a,OU=x,DC=corp,DC=example,DC=com", NULL));
    assert_false(on_list(OTHER, "bob", "CN=a,OU=xx,DC=corp,DC=example,DC=com", NULL));
    assert_true(on_list(OTHER, "SVC-web", "CN=a,DC=corp,DC=example,DC=com", NULL));
    assert_false(on_list(OTHER, "x-svc-web", "CN=a,DC=corp,DC=example,DC=com", NULL));
    policy_free(w.policy);
}

/* F4: a typo permits nobody, and says whose list it is in. */
static void not_there(void **state)
{
    (void)state;
    start("group:Typo");
    answer(NULL, NULL, NULL);
    assert_int_equal(w.ended, 1);
    assert_null(w.policy);
    assert_int_equal(w.err.code, ERR_CONFIG);
    assert_non_null(strstr(w.err.msg, "[signer/soar] accounts: 'group:Typo' does not exist"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(asked), cmocka_unit_test(not_there)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
